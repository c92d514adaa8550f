#!/usr/bin/perl

# Copyright (C) Rush
#
# The controller: Redis follows what MySQL wants, comes back from every loss,
# and another consumer goes on where one was killed.

use warnings;
use strict;

use File::Path qw(remove_tree);
use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use Test::More;

my %conf = %{+FAST};

$conf{controller} = { %{$conf{controller}}, trim_interval => 1,
                      trim_keep => 1, max_backlog => 100 };

my $t = RushTest->new(nginx => 0, consumer => 2, consumer_conf => \%conf);

soon('the gate opens', sub { gate_open($t) });

my $a = $t->activity(stock => 10, limit => 2);
my $now = int(time() * 1000);
my $op = 0;
my @o;


sub meta {
    my ($id, $field) = @_;
    return $t->meta($id)->{$field} // '';
}


sub wish {
    my ($id, $set, @bind) = @_;
    $t->do("UPDATE seckill_activity SET $set, rev = rev + 1 WHERE id = ?",
           @bind, $id);
}


sub column {
    my ($id, $name) = @_;
    return $t->value("SELECT $name FROM seckill_activity WHERE id = ?", $id);
}


sub order {
    my ($no, $columns) = @_;
    return $t->value("SELECT CONCAT_WS(' ', $columns) FROM orders "
                     . 'WHERE order_no = ?', $no);
}


sub stored {
    my ($id, $n) = @_;
    return $t->live_orders($id) == $n && column($id, 'sold') == $n;
}


sub alarms {
    my (@ids) = @_;
    return map { $_->{kind} }
        $t->sql('SELECT kind FROM alarm WHERE activity_id IN ('
                . join(', ', @ids) . ')');
}


sub stock_op {
    my ($id, $delta) = @_;
    $t->insert('seckill_stock_op', id => ++$op, activity_id => $id,
               delta => $delta, created_ms => $now);
    return $op;
}


# left Redis for good, not only for the moment

sub gone {
    my ($id) = @_;
    return !column($id, 'warm') && !$t->redis()->keys("{a:$id}*");
}


sub op_states {
    return join ' ', map {
        $t->value('SELECT state FROM seckill_stock_op WHERE id = ?', $_)
    } @_;
}


subtest 'loading' => sub {
    soon('the wish is fulfilled', sub { follows($t) });
    is(join(' ', @{$t->meta($a)}{qw(state remain total limit epoch)}),
       'on 10 10 2 1', 'meta');
    is(column($a, 'epoch'), 1, 'epoch in MySQL');

    @o = map { buy($t, $a, 100 + $_) } 1 .. 3;
    like($_, qr/^\d+-$a$/, 'bought') foreach @o;
    soon('rows', sub { stored($a, 3) });

    my $cold = $t->activity(stock => 5, warm => 0);
    wish($cold, 'status = 1');
    soon('online without warming up', sub { meta($cold, 'remain') eq 5 });
    soon('is warm', sub { column($cold, 'warm') == 1 });

    my $draft = $t->activity(stock => 7, status => 0, wait => 0);
    soon('a draft is loaded, off', sub { meta($draft, 'state') eq 'off' });
    is(buy($t, $draft, 1), -4, 'and sells nothing');

    my $far = $t->activity(start => 3600_000, stop => 7200_000);
    is(buy($t, $far, 1), -5, 'not started');
    wish($far, 'start_ms = 1');
    soon('starts now', sub { buy($t, $far, 1) =~ /-$far$/ });
    is(meta($far, 'epoch'), 1, 'a window alone is no new epoch');

    my $past = $t->activity(status => 3, warm => 0, start => -2000,
                            stop => -1000);
    wish($past, 'status = 1');
    soon('a wish for the past', sub { follows($t) });
    is_deeply($t->meta($past), {}, 'is not loaded');
    clean($t, 'loading');
};


subtest 'changes' => sub {
    wish($a, 'status = 2');
    soon('paused', sub { meta($a, 'state') eq 'paused' });
    is(buy($t, $a, 110), -4, 'sells nothing');
    is(buy($t, $a, 101, key => $o[0]), $o[0], 'an old answer stays');

    wish($a, 'status = 1, limit_per_user = 3');
    soon('resumed with another limit', sub {
        meta($a, 'state') eq 'on' && meta($a, 'limit') == 3
    });
    is(meta($a, 'epoch'), 2, 'a new epoch');
    is(column($a, 'epoch'), 2, 'in MySQL too');
    is(buy($t, $a, 110, epoch => 1), -2, 'old copies are refused');
    is(buy($t, $a, 110, qty => 4), -7, 'quantity');

    $t->insert('seckill_price', activity_id => $a, price_ver => 2,
               price => 50);
    wish($a, 'price = 50, price_ver = 2');
    soon('another price', sub { meta($a, 'price_ver') == 2 });
    is(meta($a, 'epoch'), 3, 'a new epoch again');

    my $no = buy($t, $a, 111, qty => 2);
    soon('stored', sub { order($no, 'qty') });
    is(order($no, 'price, amount'), '50 100', 'at the new price');
    is(order($o[0], 'price, amount'), '100 100', 'the old one stays');

    wish($a, 'status = 3');
    soon('off', sub { meta($a, 'state') eq 'off' });
    is(buy($t, $a, 112), -4, 'sells nothing');
    wish($a, 'status = 1');
    soon('on', sub { meta($a, 'state') eq 'on' });
    is(meta($a, 'epoch'), 3, 'the same epoch');
    soon('applied', sub { follows($t) });
    clean($t, 'changes');
};


subtest 'stock operations' => sub {
    my $total = column($a, 'total');
    my $remain = meta($a, 'remain');
    my @ops = map { stock_op($a, $_) } 5, -3, -1000, 2147483647;

    soon('all are done', sub { op_states(@ops) eq '2 2 3 3' });
    is(column($a, 'total'), $total + 2, 'the ledger');
    is(meta($a, 'total'), $total + 2, 'Redis');
    is(meta($a, 'remain'), $remain + 2, 'units left');

    my $cold = $t->activity(stock => 5, status => 0, warm => 0);
    @ops = map { stock_op($cold, $_) } 4, -2, -8;
    soon('not in Redis', sub { op_states(@ops) eq '2 2 3' });
    is(column($cold, 'total'), 7, 'the ledger');
    is_deeply($t->meta($cold), {}, 'is not loaded for that');
    clean($t, 'operations');
};


subtest 'given back' => sub {
    my $remain = meta($a, 'remain');

    $t->do('UPDATE orders SET status = 5, stock_state = 1, '
           . 'version = version + 1 WHERE order_no = ?', $o[0]);
    soon('a cancelled order', sub { order($o[0], 'stock_state') == 3 });
    is(meta($a, 'remain'), $remain + 1, 'its unit is back');
    is(buy($t, $a, 101, key => $o[0]), "-$o[0]", 'its id wins no more');

    $t->do('UPDATE orders SET pay_deadline_ms = 1 WHERE order_no IN (?, ?)',
           @o[1, 2]);
    soon('two unpaid ones', sub {
        order($o[1], 'stock_state') == 3 && order($o[2], 'stock_state') == 3
    });
    is(order($o[1], 'status, cancel_reason'), '5 timeout', 'why');
    is(meta($a, 'remain'), $remain + 3, 'units are back');
    is(column($a, 'sold'), 2, 'sold');

    my $paid = buy($t, $a, 120);
    soon('stored', sub { order($paid, 'status') });
    $t->paid('order_no = ?', $paid);
    $t->do('UPDATE orders SET pay_deadline_ms = 1 WHERE order_no = ?', $paid);
    is(order($paid, 'status, stock_state'), '2 4', 'a paid one stays');
    like(buy($t, $a, 101), qr/-$a$/, 'the buyer may buy again');
    clean($t, 'given back');
    is(order($paid, 'status, stock_state'), '2 4', 'for ever');
};


subtest 'script flush' => sub {
    my $x = buy($t, $a, 130, key => 'rq', qty => 2);
    my ($remain, $epoch) = @{$t->meta($a)}{qw(remain epoch)};

    $t->redis()->script_flush();
    soon('opened again', sub {
        gate_open($t) && meta($a, 'epoch') > $epoch
    });
    is(buy($t, $a, 130, key => 'rq', qty => 2), $x, 'the same answer');
    is(buy($t, $a, 101, key => $o[0]), "-$o[0]", 'given back stays so');
    is(meta($a, 'remain'), $remain, 'units left');
    is($t->redis()->hget("{a:$a}u", 130), 2, 'units held');
    is(buy($t, $a, 131, epoch => $epoch), -2, 'old copies are refused');
    clean($t, 'flush');
};


subtest 'Redis comes back empty' => sub {
    my @bought = map { buy($t, $a, 140 + $_) } 1 .. 3;
    my ($remain, $epoch) = @{$t->meta($a)}{qw(remain epoch)};

    soon('stored', sub { order($bought[2], 'status') });
    $t->insert('user', id => 77, username => 'u', password_hash => 'x',
               token_version => 4, token_version_ms => $now,
               created_ms => 0, updated_ms => 0);
    $t->insert('user_session', id => 88, user_id => 77, refresh_hash => 'h',
               created_ms => 0, used_ms => 0, expires_ms => 0,
               revoked_ms => $now);

    $t->kill('redis');
    remove_tree("$t->{dir}/redis/appendonlydir");
    $t->start('redis');

    soon('rebuilt from nothing', sub { gate_open($t) }, 15);
    is(meta($a, 'remain'), $remain, 'units left');
    cmp_ok(meta($a, 'epoch'), '>', $epoch, 'epoch');
    is(buy($t, $a, 140 + $_, key => $bought[$_ - 1]), $bought[$_ - 1],
       'the same answer') foreach 1 .. 3;
    is(buy($t, $a, 101, key => $o[0]), "-$o[0]", 'given back stays so');

    my @revoked = map { join ' ', @{$_->[1]} }
        $t->redis()->xrange('{rush}rv', '-', '+');
    is_deeply([sort @revoked], ['k s i 88 v 0', 'k u i 77 v 4'],
              'workers hear again what was revoked');
    clean($t, 'empty');
};


subtest 'Redis is killed and keeps its data' => sub {
    my $x = buy($t, $a, 151);
    my $remain = meta($a, 'remain');

    $t->kill('redis')->start('redis');
    soon('opened again', sub { gate_open($t) }, 15);
    is(buy($t, $a, 151, key => $x), $x, 'the same answer');
    is(meta($a, 'remain'), $remain, 'units left');
    soon('stored', sub { order($x, 'status') });
    clean($t, 'killed');
};


subtest 'keys are gone' => sub {
    my $remain = meta($a, 'remain');

    $t->redis()->flushall();
    soon('FLUSHALL', sub { meta($a, 'remain') eq $remain });
    clean($t, 'FLUSHALL');

    $t->redis()->del("{a:$a}m");
    soon('meta alone', sub { meta($a, 'remain') eq $remain });
    $t->redis()->del("{a:$a}s");
    soon('the stream', sub { $t->redis()->exists("{a:$a}s") });
    soon('bought again', sub { buy($t, $a, 160) =~ /-$a$/ });
    soon('and stored', sub {
        $t->value('SELECT COUNT(*) FROM orders WHERE user_id = 160')
    });
    clean($t, 'keys');
};


subtest 'takeover' => sub {
    my $first = leader($t);

    like($first, qr/^consumer/, 'one has the lock');
    is(gauge($t, 'consumer', 'controller')
       + gauge($t, 'consumer2', 'controller'), 1, 'only one');
    ok($t->value("SELECT IS_USED_LOCK('rush_ctl.rush')"),
       'it is one of the database');

    # cancelled at the moment of the death: nobody has given it back
    my $y = buy($t, $a, 170);
    soon('stored', sub { order($y, 'status') });
    my $remain = meta($a, 'remain');

    $t->kill($first);
    $t->do('UPDATE orders SET status = 5, stock_state = 1, '
           . 'version = version + 1 WHERE order_no = ?', $y);
    soon('the other goes on', sub { order($y, 'stock_state') == 3 });
    is(meta($a, 'remain'), $remain + 1, 'given back once');
    isnt(leader($t), $first, 'it has the lock');

    # rarely looks what is loaded: unloading must not depend on that
    $t->daemon($first)->{env}{RUSH_CONSUMER_DISCOVER} = 1500;
    $t->start($first);
    isnt(leader($t), $first, 'and keeps it');
    clean($t, 'takeover');
};


subtest 'backlog and trimming' => sub {
    my $id = $t->activity(stock => 1000);
    my $lock = RushTest::Backend::mysql_connect($t->{dir}, 'rush');

    $lock->begin_work();
    $lock->selectrow_array('SELECT id FROM seckill_activity WHERE id = ? '
                           . 'FOR UPDATE', undef, $id);

    # it may pause before the last of them
    my $n = grep { /-$id$/ } map { buy($t, $id, 10000 + $_) } 1 .. 250;
    cmp_ok($n, '>=', 100, "$n bought");
    soon('the sale pauses', sub { meta($id, 'state') eq 'paused' });
    is(buy($t, $id, 1), -4, 'sells nothing');
    is(gauge($t, leader($t), 'paused_backlog'), 1, 'the gauge says so');
    is(column($id, 'status'), 1, 'MySQL still wants it on');
    $lock->rollback();

    soon('goes on', sub { meta($id, 'state') eq 'on' }, 15);
    soon('all are stored', sub { stored($id, $n) });
    is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'backlog'"), 1,
       'one alarm');
    soon('old entries are trimmed', sub {
        $t->redis()->xlen("{a:$id}s") < $n
    });
    like(buy($t, $id, 1), qr/-$id$/, 'sells again');
    clean($t, 'backlog');
};


# MySQL's clock stands still ten seconds from now

subtest 'clocks' => sub {
    my $reconnect = sub {
        $t->do('SET GLOBAL init_connect = ?', $_[0]);
        $t->do("KILL $_->{id}") foreach $t->sql(
            'SELECT id FROM information_schema.processlist '
            . "WHERE user = 'rush'");
    };

    $reconnect->('SET timestamp = UNIX_TIMESTAMP() + 10');
    soon('the sale pauses', sub { meta($a, 'state') eq 'paused' });
    is(buy($t, $a, 180), -4, 'sells nothing');
    soon('the gauge says why', sub {
        gauge($t, leader($t), 'clock_skew_milliseconds') > 5000
    });
    soon('an alarm', sub {
        $t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'clock'")
    });

    $reconnect->('');
    soon('goes on', sub { meta($a, 'state') eq 'on' });
    clean($t, 'clocks');
};


subtest 'unloading' => sub {
    my ($id, $other) = map { $t->activity(stock => 5) } 1, 2;
    my $x = buy($t, $id, 1);

    soon('stored', sub { order($x, 'status') });
    soon('all writers know them', sub {
        $t->value('SELECT COUNT(*) FROM stream_position '
                  . 'WHERE activity_id IN (?, ?)', $id, $other) == 8
    });

    # as after some time without orders
    $t->do("UPDATE stream_position SET last_id = '1-0' WHERE last_id = '0-0'");
    wish($_, 'start_ms = 1, stop_ms = 2') foreach $id, $other;

    # looked at later in the same turn of the trimmer
    soon('one without orders is unloaded', sub { gone($other) });
    is(column($id, 'warm'), 1, 'one with an unpaid order is not');
    is(buy($t, $id, 2), -6, 'it is over');

    $t->paid('order_no = ?', $x);
    soon('unloaded', sub { gone($id) });
    ok(gone($other), 'the first one did not come back');
    is(buy($t, $id, 2), 'closed', 'sells nothing');

    wish($id, 'stop_ms = ?', $now + 3600_000);
    soon('loaded once more', sub { meta($id, 'remain') eq 4 });
    is(buy($t, $id, 1, key => $x), $x, 'the same answer');
    like(buy($t, $id, 2), qr/-$id$/, 'sells again');
    is(join(' ', alarms($id, $other)), '', 'no alarm');
    clean($t, 'unloading');
};


subtest 'logs' => sub {
    foreach my $name (qw(consumer consumer2)) {
        my @bad = grep { !/^alarm (?:backlog|group_lost|clock),/
                         && !/^redis: \w+: NOGROUP / }
            map { $_->{message} } log_lines($t, $name, 'error|alert');

        is(join("\n", @bad), '', "$name: no errors");
    }

    is($t->value("SELECT COUNT(*) FROM orders WHERE status = 9"), 0,
       'the ledger refused nothing');
};


$t->finish();
done_testing();
