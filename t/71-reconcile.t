#!/usr/bin/perl

# Copyright (C) Rush
#
# rush-consumer --reconcile: what is planted is found, --dry-run changes
# nothing, --repair mends with and without a controller.  What looks from time
# to time holds nobody up.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(nginx => 0, consumer_conf => { %{+FAST}, controller => {
    %{FAST->{controller}}, recheck => 20 } });

soon('the gate opens', sub { gate_open($t) });

# id of an activity => lines without "activity ID"
my (%want, %order);


sub sale {
    my ($users, %o) = @_;

    my $id = $t->activity(stock => 20, %o);

    foreach my $user (@$users) {
        $order{$user} = buy($t, $id, $user, key => "k$user",
                            qty => $o{qty} // 1);
    }

    return $id;
}


sub hash {
    my ($command, $id, @args) = @_;
    return $t->redis()->$command("{a:$id}u", @args);
}


# damage, which the database itself would not let happen

sub row {
    my ($user, $set) = @_;
    $t->do('DROP TRIGGER IF EXISTS orders_edge');
    $t->do('DROP TRIGGER IF EXISTS orders_log');
    $t->do("UPDATE orders SET $set WHERE user_id = ?", $user);
}


sub sold {
    my ($id, $by) = @_;
    $t->do('UPDATE seckill_activity SET sold = sold + ? WHERE id = ?', $by,
           $id);
}


# all that is in Redis and in MySQL

sub everything {
    my $rd = $t->redis();
    my %all = map { $_ => unpack 'H*', $rd->dump($_) // '' } $rd->keys('*');

    foreach my $table (map { values %$_ } $t->sql('SHOW TABLES')) {
        $all{$table} = [$t->sql("SELECT * FROM $table ORDER BY "
                                . ($table eq 'user_slot' ? '1' : '1, 2'))];
    }

    return \%all;
}


sub lines {
    my ($out) = @_;

    my %lines;

    while ($out =~ /^(I\d+) activity (\d+): (.*)$/mg) {
        push @{$lines{$2}}, "$1 $3";
    }

    return { map { $_ => [sort @{$lines{$_}}] } keys %lines };
}


sub is_lines {
    my ($out, $want, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply(lines($out), { map { $_ => [sort @{$want->{$_}}] }
                             keys %$want }, $name)
        or diag($out);
}


# what a MySQL without its last seconds, and hands, can do to a sale

sub plant_holds {
    my ($id, $u) = @_;

    hash(hdel => $id, "$u:k$u");
    hash(hincrby => $id, $u + 1, 4);

    row($u + 2, 'status = 5, stock_state = 3');
    sold($id, -1);

    $t->do('DELETE FROM orders WHERE user_id = ?', $u + 3);
    sold($id, -1);

    return ("I10 request $u:k$u: order $order{$u} has stock state 0, redis "
            . 'keeps ""',
            "I10 user @{[$u + 1]} holds 5 units in redis, 1 in mysql",
            "I10 request @{[$u + 2]}:k@{[$u + 2]}: order $order{$u + 2} has "
            . "stock state 3, redis keeps \"$order{$u + 2}\"",
            "I10 user @{[$u + 2]} holds 1 units in redis, 0 in mysql",
            "I11 request @{[$u + 3]}:k@{[$u + 3]}: order $order{$u + 3} is "
            . 'held in redis and has no row',
            "I10 user @{[$u + 3]} holds 1 units in redis, 0 in mysql",
            'I2 16 units left and 8 held in redis, total is 20',
            'I9 16 of 20 units left in redis, 2 of 20 sold in mysql');
}


my $holds = sale([1 .. 4]);
my $sums = sale([11]);
my $total = sale([21]);
my $missing = sale([31]);
my $limit = sale([41], limit => 2, qty => 2);
my $state = sale([51]);
my $dead = sale([61]);
my $queue = sale([71]);
my $running = sale([101 .. 104]);
my $cold = $t->activity(warm => 0, status => 0);


subtest 'nothing to say' => sub {
    soon('all are stored', sub {
        $t->value('SELECT COUNT(*) FROM orders') == keys %order
    });

    my ($rc, $out) = $t->reconcile();
    is($rc, 0, 'exit');
    is($out, "reconcile: 10 activities, @{[scalar keys %order]} orders held, "
       . "0 differences\n", 'one line');

    ($rc, $out) = $t->reconcile('--repair');
    is($rc, 0, 'nothing to repair');
    unlike($out, qr/repairing/, 'so it does not');
};


subtest 'differences' => sub {
    $t->stop('consumer');

    $want{$holds} = [plant_holds($holds, 1)];

    sold($sums, 1);
    $want{$sums} = ['I1 sold is 2, live orders hold 1 units',
                    'I9 19 of 20 units left in redis, 2 of 20 sold in mysql'];

    sold($cold, 1);
    $want{$cold} = ['I1 sold is 1, live orders hold 0 units'];

    $t->redis()->hincrby("{a:$total}m", $_, 1) foreach qw(remain total);
    $want{$total} = ['I9 20 of 21 units left in redis, 1 of 20 sold in mysql'];

    $t->redis()->del("{a:$missing}m");
    $want{$missing} = ['I9 it is not loaded'];

    $t->do('UPDATE seckill_activity SET limit_per_user = 1 WHERE id = ?',
           $limit);
    $want{$limit} = ['I3 user 41 holds 2 units, the limit is 1'];

    row(51, 'stock_state = 4');
    $want{$state} = ["I8 order $order{51} has status 1 with stock state 4"];

    $t->insert('dead_letter', activity_id => $dead, stream_id => '1-1',
               part => -1, cause => 'bad', created_ms => 1,
               body => '{"id":"1-1","fields":["x","y"],"cut":false}');
    $want{$dead} = ['I12 1 open dead letters'];

    my $before = everything();
    my ($rc, $out) = $t->reconcile();

    is($rc, 1, 'exit');
    is_lines($out, \%want, 'each is found');

    my $n = map { @$_ } values %want;
    like($out, qr/, $n differences$/, "$n in all");
    is_deeply(everything(), $before, 'nothing is changed by looking');
};


subtest 'dry run' => sub {
    my $before = everything();
    my ($rc, $out) = $t->reconcile('--repair', '--dry-run');

    is($rc, 1, 'exit');
    is_lines($out, \%want, 'the same lines');
    like($out, qr/^repair would put /m, 'says what it would do');
    is_deeply(everything(), $before, 'changes nothing');
};


subtest 'repair without a controller' => sub {
    my ($rc, $out) = $t->reconcile('--repair');

    like($out, qr/^repairing\n(?!.*repairing)/ms, 'tries it');
    is($rc, 1, 'some are no faults of Redis');

    # only what it cannot judge is left
    my %left = map { $_ => $want{$_} } $limit, $state, $dead;
    is_lines($out =~ s/.*^repairing\n//smr, \%left, 'they stay');

    is($t->value('SELECT sold FROM seckill_activity WHERE id = ?', $cold), 0,
       'sold of one that is not loaded');
    is($t->meta($missing)->{remain}, 19, 'the missing one is loaded');
    is($t->value('SELECT order_no FROM orders WHERE user_id = 4'), $order{4},
       'the lost order has its row again');
    is(buy($t, $holds, 4, key => 'k4'), $order{4}, 'and its buyer');
    is(buy($t, $holds, 3, key => 'k3'), "-$order{3}", 'given back');
    is($t->redis()->hget("{a:$holds}u", 2), 1, 'units of the second');
};


subtest 'what people mend' => sub {
    $t->do('UPDATE seckill_activity SET limit_per_user = 2 WHERE id = ?',
           $limit);
    row(51, 'stock_state = 0');
    my $id = $t->value('SELECT id FROM dead_letter');
    is(($t->consumer_run('--dead-letters', 'discard', $id))[0], 0, 'discard');

    # delivered once more; nobody reads it
    my ($entry) = $t->redis()->xrange("{a:$queue}s", '-', '+');
    $t->redis()->xadd("{a:$queue}s", '*', @{$entry->[1]});

    my ($rc, $out) = $t->reconcile();
    is($rc, 1, 'exit');
    is_lines($out, {
        $queue => ['I12 1 entries of the stream are not stored']
    }, 'all the rest is mended');

    $t->start('consumer');

    clean($t, 'in the end');
};


subtest 'repair by the controller' => sub {
    soon('it has the lock', sub { leader($t) });

    my @want = plant_holds($running, 101);

    # lost, and in a dead letter
    $t->do('DELETE FROM orders WHERE user_id = 11');
    sold($sums, -1);
    my $letter = $t->insert('dead_letter', activity_id => $sums,
        stream_id => '2-1', part => 0, cause => 'bad', created_ms => 1,
        body => qq({"id":"2-1","fields":["e","1","t","1","p","1","g",)
                . qq("11 k11 $order{11} 1"]}));

    my ($rc, $out) = $t->reconcile('--repair');
    my ($found, $left) = split /^repairing\n/m, $out;

    is($rc, 1, 'one is left');
    is_deeply(lines($found)->{$running}, [sort @want], 'all were found');
    is(join(' ', keys %{lines($left)}), $sums, 'that in the open letter');
    is($t->value('SELECT order_no FROM orders WHERE user_id = 104'),
       $order{104}, 'the lost order');
    is($t->value('SELECT COUNT(*) FROM orders WHERE user_id = 11'), 0,
       'somebody has to decide about the other');
    is(buy($t, $sums, 11, key => 'k11'), $order{11}, 'who holds it meanwhile');
    is($t->value('SELECT SUM(repair) FROM seckill_activity'), 0,
       'nothing is asked for any more');
    cmp_ok(gauge($t, 'consumer', 'repairs_total'), '>', 0, 'it counts');

    # a Redis that lost everything learns of it again
    my $epoch = $t->meta($sums)->{epoch};
    $t->redis()->flushall();
    soon('rebuilt', sub {
        my $m = $t->meta($sums);
        $m->{epoch} && $m->{epoch} > $epoch && $m->{state} eq 'on'
    });
    is($t->meta($sums)->{remain}, 19, 'its unit is not for sale');
    is($t->redis()->hget("{a:$sums}u", '11'), 1, 'its buyer holds it');
    soon('the same answer', sub {
        (buy($t, $sums, 11, key => 'k11') // '') eq $order{11}
    });
    soon('all are rebuilt', sub { leader($t) && ($t->reconcile())[1]
        !~ /not loaded/ });

    is(($t->consumer_run('--dead-letters', 'discard', $letter))[0], 0,
       'discarded');
    ($rc, $out) = $t->reconcile('--repair');
    is($rc, 0, 'mended') or diag($out);
    like($out, qr/^repairing\nreconcile: .*, 0 differences$/m, 'says so');
    is($t->meta($sums)->{remain}, 20, 'its unit is back');
    is($t->redis()->hexists("{a:$sums}u", '11:k11'), 0, 'nobody holds it');

    # what the flag alone does
    $t->redis()->hincrby("{a:$sums}m", 'remain', 1);
    $t->do('UPDATE seckill_activity SET repair = 1 WHERE id = ?', $sums);
    soon('on request', sub {
        $t->meta($sums)->{remain} == 20
            && !$t->value('SELECT repair FROM seckill_activity '
                          . 'WHERE id = ?', $sums)
    });
};


# somebody holds what no row knows: the comparison waits ten times before it
# tells so

subtest 'a sale does not wait for it' => sub {
    my %slow = (RUSH_CONTROLLER_RECHECK => 3000,
                RUSH_CONTROLLER_RECONCILE => 1);
    my $env = $t->daemon('consumer')->{env};

    $t->stop('consumer');
    hash(hset => $sums, 77, 1);
    @$env{keys %slow} = values %slow;
    $t->start('consumer');
    soon('it works', sub { gate_open($t) });
    sleep 1.5;

    my $from = time();

    foreach (1 .. 3) {
        my $id = $t->activity(stock => 1);
        $t->do('UPDATE seckill_activity SET status = 3, rev = rev + 1 '
               . 'WHERE id = ?', $id);
        soon('off', sub { $t->meta($id)->{state} eq 'off' });
    }

    cmp_ok(time() - $from, '<', 2.5 * $RushTest::SLOW,
           'three are loaded and stopped');

    $t->stop('consumer');
    delete @$env{keys %slow};
    hash(hdel => $sums, 77);
    $t->start('consumer');
};


subtest 'not now' => sub {
    $t->stop('consumer');
    $t->redis()->script_flush();

    my ($rc, $out) = $t->reconcile();
    is($rc, 2, 'the gate is shut');
    like($out, qr/^reconcile: the gate is shut: /m, 'says so');
};


$t->finish();
done_testing();
