#!/usr/bin/perl

# Copyright (C) Rush
#
# Money that comes when its order waits no more: the order comes back with its
# units, or the money goes back; never neither, never both.

use warnings;
use strict;

use FindBin;
use IO::Handle;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use RushTest::Money;
use Test::More;

my %conf = %{+MONEY};

my $t = RushTest->new(nginx => 0, failpoints => 1, consumer => 2, start => 0,
                      consumer_conf => \%conf);
my $m = RushTest::Money->new($t);

$t->start(qw(redis mysql));
$m->no_teller();
$t->start('consumer');
soon('the gate opens', sub { gate_open($t) });

my $user = 100;


sub order { return $m->row('orders', $_[0]) }
sub payment { return $m->row('payment', $_[0]) }
sub meta { return $t->meta($_[0]) }
sub sold { return $t->value('SELECT sold FROM seckill_activity WHERE id = ?',
                            $_[0]) }


# an order of a flash sale with its row; its number

sub bought {
    my ($a, %o) = @_;

    my $who = $o{user} // ++$user;
    my $no = buy($t, $a, $who, qty => $o{qty} // 1);

    $t->wait_for(sub { order($no) }, 10, "a row of $no");
    return $no;
}


# closed by the teller, then out of time

sub timed_out {
    my ($no, $p) = @_;

    $m->close($p);
    $t->do('UPDATE orders SET pay_deadline_ms = 1 WHERE order_no = ?', $no);
    $t->wait_for(sub { order($no)->{stock_state} == 3 }, 10,
                 "$no to be given back");
}


# as a worker does it

sub cancelled {
    my ($no, $db) = @_;

    ($db // $t->db())->do(
        "UPDATE orders SET status = 5, stock_state = 1, cancel_reason = "
        . "'user', closed_ms = 1, version = version + 1, actor_kind = 1, "
        . 'actor = user_id WHERE order_no = ? AND status = 1 '
        . 'AND stock_state = 0', undef, $no);
}


sub revived {
    my ($name, $no, $p) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $m->wait("$name: paid after all", $p, 2);

    my $o = order($no);
    is(join(' ', @$o{qw(status stock_state payment_id cancel_reason)}),
       "2 4 $p ", "$name: the order");
    like($o->{trade_code} // '', qr/^\w{8}$/, "$name: trade code");
    is(join(' ', map { "$_->{from_status}$_->{to_status}$_->{actor_kind}" }
            $t->sql('SELECT * FROM order_log WHERE order_no = ? '
                    . 'ORDER BY id', $no)), '153 524', "$name: its record");
    is($m->row('refund', $p), undef, "$name: no refund");
}


sub returned {
    my ($name, $no, $p, $origin) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $m->wait("$name: goes back", $p, 7);

    my $r = $m->row('refund', $p);
    is(join(' ', @$r{qw(order_no amount origin state reserved whole)}),
       "$no 1000 $origin 1 1 0", "$name: a refund")
        if $r->{amount} == 1000;
    is($r->{amount}, payment($p)->{refunded}, "$name: of all");
    is(order($no)->{status}, 5, "$name: the order is over") if $origin == 2;
}


# one that ran out of time, with a payment that has not been heard of yet

sub late {
    my ($a, %o) = @_;

    my $no = $a ? bought($a, %o) : $m->order(%o);
    my $p = $m->pay($no);
    timed_out($no, $p);
    return ($no, $p);
}


subtest 'an ordinary order' => sub {
    my $product = $t->product(stock => 3);
    my @args = (product_id => $product, qty => 2, amount => 1000);
    my $units = sub {
        return $t->value("SELECT CONCAT(stock, ' ', taken) FROM product "
                         . 'WHERE id = ?', $product);
    };

    my ($no, $p) = late(0, @args);
    is($units->(), '3 0', 'given back');
    $m->notice($p, n => 2);
    revived('in stock', $no, $p);
    is($units->(), '1 2', 'taken again');
    $m->books();

    ($no, $p) = late(0, @args, qty => 1);
    $t->do('UPDATE product SET stock = 0 WHERE id = ?', $product);
    $m->notice($p);
    returned('sold out meanwhile', $no, $p, 2);
    is($units->(), '0 2', 'nothing is taken');
    $m->books();

    $t->do('UPDATE product SET stock = 5 WHERE id = ?', $product);
    $no = $m->order(@args);
    $p = $m->pay($no);
    cancelled($no);
    $m->notice($p);
    returned('cancelled by its buyer', $no, $p, 2);
    soon('given back', sub { order($no)->{stock_state} == 3 });
    is($units->(), '5 2', 'stock');
    $m->books();
};


subtest 'a flash sale' => sub {
    my $a = $t->activity(stock => 2, limit => 1, price => 1000);

    my ($no, $p) = late($a);
    is(meta($a)->{remain} . sold($a), '20', 'given back');
    $m->notice($p);
    revived('units left', $no, $p);
    is(meta($a)->{remain} . sold($a), '11', 'taken again');
    is(buy($t, $a, order($no)->{user_id}, order => $no, key => $no), $no,
       'the answer to its request is the order again');
    $m->books();

    my ($no2, $p2) = late($a);
    my $other = bought($a);
    $m->notice($p2);
    returned('sold out', $no2, $p2, 2);
    is(meta($a)->{remain} . sold($a), '02', 'nothing is taken');
    like(buy($t, $a, order($no2)->{user_id}, order => $no2, key => $no2),
         qr/^-/, 'it stays given back');
    $m->books();
};


subtest 'the limit of a buyer' => sub {
    my $a = $t->activity(stock => 10, limit => 2, price => 500);

    my ($no, $p) = late($a, user => 50, qty => 2);
    my $again = bought($a, user => 50);
    $m->notice($p);
    returned('bought again meanwhile', $no, $p, 2);
    is(meta($a)->{remain} . ' ' . sold($a), '9 1', 'units');
    $m->books();

    # the place of the first order is taken by the second
    ($no, $p) = late($a, user => 51);
    $again = bought($a, user => 51);
    is(order($again)->{slot}, 0, 'its place is taken');
    $m->notice($p);
    revived('another place', $no, $p);
    is(order($no)->{slot}, 1, 'the next one');
    is(buy($t, $a, 51), -8, 'and no more');
    $m->books();
};


subtest 'an activity that is over' => sub {
    my $a = $t->activity(stock => 3, limit => 1, price => 1000);
    my @late = map { [late($a)] } 1 .. 3;

    $t->do('UPDATE seckill_activity SET status = 3, rev = rev + 1 '
           . 'WHERE id = ?', $a);
    soon('off', sub { meta($a)->{state} eq 'off' });
    $m->notice($late[0][1]);
    revived('off', @{$late[0]});

    # as the controller unloads it a day after its end
    $t->do('UPDATE seckill_activity SET warm = 0, applied_rev = rev '
           . 'WHERE id = ?', $a);
    $t->redis()->del(map { "{a:$a}$_" } qw(m u s o));
    $m->notice($late[1][1]);
    revived('unloaded', @{$late[1]});
    is(sold($a), 2, 'sold');

    $t->do('UPDATE seckill_activity SET total = 2 WHERE id = ?', $a);
    $m->notice($late[2][1]);
    returned('no units', @{$late[2]}, 2);
    is(sold($a), 2, 'sold');

    my $b = $t->activity(stock => 3, limit => 1, price => 1000);
    my ($no, $p) = late($b, user => 60);
    bought($b, user => 60);
    $t->do('UPDATE seckill_activity SET warm = 0, applied_rev = rev, '
           . 'status = 3 WHERE id = ?', $b);
    $t->redis()->del(map { "{a:$b}$_" } qw(m u s o));
    $m->notice($p);
    returned('unloaded, beyond the limit', $no, $p, 2);
    $m->books();
};


# Redis has units that the ledger has not: they are given back to it

subtest 'the ledger has fewer' => sub {
    my $a = $t->activity(stock => 2, limit => 1, price => 1000);
    my ($no, $p) = late($a);

    $t->do('UPDATE seckill_activity SET total = 0 WHERE id = ?', $a);
    $m->notice($p);
    returned('refused by the ledger', $no, $p, 2);
    is(meta($a)->{remain}, 2, 'Redis has them back');
    is(sold($a), 0, 'sold');
    $t->do('UPDATE seckill_activity SET total = 2 WHERE id = ?', $a);
    $m->books();
};


subtest 'the units are still held' => sub {
    # cancelled for its time, and the sweep has not come yet
    my $a = $t->activity(stock => 1, limit => 1, price => 1000);
    my $no = bought($a);
    my $p = $m->pay($no);

    $m->close($p);
    $m->notice($p, state => 'NOTPAY');
    $m->idle();
    $t->stop('consumer');
    $t->do("UPDATE orders SET status = 5, stock_state = 1, cancel_reason = "
           . "'timeout', version = version + 1 WHERE order_no = ?", $no);
    $t->do('UPDATE payment SET state = 6, transaction_id = ?, paid_ms = 2 '
           . 'WHERE id = ?', "T$p", $p);
    $t->insert('ledger', txn => "p:$p", created_ms => 1, @$_)
        foreach [account => 'provider:sandbox', amount => 1000],
                [account => "order:$no", amount => -1000];
    $t->start('consumer');
    $m->wait('decided', $p, 2);
    is(order($no)->{status} . order($no)->{stock_state}, '24', 'order');
    is(meta($a)->{remain} . sold($a), '01', 'units');
    $m->books();
};


subtest 'paid twice and late' => sub {
    my $a = $t->activity(stock => 5, limit => 1, price => 1000);
    my ($no, $p) = late($a);
    my $p2 = $m->pay($no, state => 4);

    $m->notice($_) foreach $p, $p2;
    soon('both are decided', sub {
        join(' ', sort map { payment($_)->{state} } $p, $p2) eq '2 7'
    });
    is(order($no)->{status}, 2, 'paid once');
    my ($back) = grep { payment($_)->{state} == 7 } $p, $p2;
    is($m->row('refund', $back)->{origin}, 3, 'the other goes back');
    is(meta($a)->{remain} . sold($a), '41', 'units');
    $m->books();
};


# pay against cancel, at the same instant: one of them wins

subtest 'pay against cancel' => sub {
    my $a = $t->activity(stock => 200, limit => 1, price => 1000);
    my @all;

    foreach my $i (1 .. 100) {
        push @all, [$m->order()];
    }

    my @flash = buy_many($t, $a, map { ++$user } 1 .. 50);
    push @flash, buy_many($t, $a, map { ++$user } 1 .. 50);
    soon('rows', sub { $t->live_orders($a) == 100 });
    push @all, map { [$_] } @flash;
    push @$_, $m->pay($_->[0]) foreach @all;

    pipe my $in, my $out or die;
    $out->autoflush(1);

    my $pid = fork() // die;

    if ($pid == 0) {
        close $out;
        $_->{InactiveDestroy} = 1 foreach $t->{dbh}, $m->{lock};
        my $db = RushTest::Backend::mysql_connect($t->{dir}, 'rush');

        foreach (@all) {
            sysread $in, my $go, 1;
            select undef, undef, undef, int(rand 3) * rand 0.008;

            # a deadlock is answered with BUSY, and comes again
            1 until eval { cancelled($_->[0], $db); 1 };
        }

        POSIX::_exit(0);
    }

    close $in;

    foreach (@all) {
        $m->notice($_->[1]);
        syswrite $out, '.';
        select undef, undef, undef, 0.018;
    }

    waitpid $pid, 0;
    $m->idle();

    my %seen;

    soon('all are decided', sub {
        %seen = ();
        $seen{order($_->[0])->{status} . payment($_->[1])->{state}}++
            foreach @all;
        return !grep { !/^(?:22|57)$/ } keys %seen;
    }, 30);

    $seen{$_} //= 0 foreach 22, 57;
    is($seen{22} + $seen{57}, 200, 'one outcome each');
    cmp_ok($seen{$_}, '>', 0, "$_ happens") foreach 22, 57;
    note("paid $seen{22}, cancelled $seen{57}");
    is($t->value('SELECT COUNT(*) FROM refund r JOIN orders o ON o.order_no '
                 . '= r.order_no WHERE o.status = 2 AND r.payment_id = '
                 . 'o.payment_id'), 0, 'no refund of what was sold');
    soon('units are back', sub {
        sold($a) == grep { order($_)->{status} == 2 } @flash
    });
    $m->books();
};


subtest 'killed in between' => sub {
    my $a = $t->activity(stock => 50, limit => 1, price => 1000);

    foreach my $point (qw(C7 K2 K4 D5)) {
        foreach my $action (qw(kill error)) {
            my ($no, $p) = late($a);
            my $left = meta($a)->{remain};

            # the notice itself passes K2 and K4 first
            $t->failpoint($point, $action, $point eq 'C7' ? 1 : 3);
            $m->notice($p);

            if ($action eq 'kill') {
                soon("$point kills", sub { !$t->running('consumer') });
                is(meta($a)->{remain}, $left - 1, 'Redis has taken them')
                    if $point eq 'C7';
                $t->start('consumer');

            } else {
                soon("$point fails", sub { $t->failpoint_hits($point) });
            }

            revived("$point, $action", $no, $p);
            is(meta($a)->{remain}, $left - 1, "$point, $action: once");
            $t->failpoint($point, 'off');
            $m->books("$point, $action");
        }
    }

    # Redis loses all in between: it is rebuilt, and taken anew
    my ($no, $p) = late($a);
    my $left = meta($a)->{remain};

    $t->failpoint('C7', 'kill', 1);
    $m->notice($p);
    soon('C7 kills', sub { !$t->running('consumer') });
    $t->redis()->flushall();
    $t->start('consumer');
    revived('rebuilt', $no, $p);
    soon('loaded', sub { meta($a)->{remain} == $left - 1 });
    $m->books('rebuilt');

    # and is sold out when it comes back
    my $b = $t->activity(stock => 1, limit => 1, price => 1000);
    ($no, $p) = late($b);
    $t->failpoint('C7', 'kill', 1);
    $m->notice($p);
    soon('C7 kills', sub { !$t->running('consumer') });
    is(meta($b)->{remain}, 0, 'held');
    is(buy($t, $b, ++$user), -9, 'nobody else gets it');
    $t->start('consumer');
    revived('held meanwhile', $no, $p);

    # the ledger refuses, and the controller dies before it tells
    my $c = $t->activity(stock => 1, limit => 1, price => 1000);
    ($no, $p) = late($c);
    $t->failpoint('C7', 'kill', 1);
    $m->notice($p);
    soon('C7 kills', sub { !$t->running('consumer') });
    $t->do('UPDATE seckill_activity SET total = 0 WHERE id = ?', $c);
    $t->start('consumer');
    returned('the ledger refuses', $no, $p, 2);
    is(meta($c)->{remain}, 1, 'Redis has it back');
    $t->do('UPDATE seckill_activity SET total = 1 WHERE id = ?', $c);
    $m->books();
};


subtest 'two consumers' => sub {
    my $a = $t->activity(stock => 50, limit => 1, price => 1000);

    $t->start('consumer2');
    my ($no, $p) = late($a);
    my $leader = soon('a leader', sub { leader($t) });

    $t->failpoint('C7', 'kill', 1);
    $m->notice($p);
    soon('it dies', sub { !$t->running($leader) });
    revived('the other goes on', $no, $p);
    is(meta($a)->{remain}, 49, 'once');
    $t->start($leader);
    $m->books();
};


subtest 'late_payment = refund' => sub {
    my $a = $t->activity(stock => 5, limit => 1, price => 1000);
    my @late = ([late(0)], [late($a)]);

    # the rule changes after a death between units and payment
    my @torn = late($a);
    $t->stop('consumer2');
    $t->failpoint('C7', 'kill', 1);
    $m->notice($torn[1]);
    soon('C7 kills', sub { !$t->running('consumer') });
    is(meta($a)->{remain}, 4, 'units are taken');

    my $path = "$t->{dir}/consumer.conf";
    my $text = RushTest::slurp($path);
    $text =~ s/\[cashier\]\n/[cashier]\nlate_payment = refund\n/ or die;
    RushTest::spew($path, $text);
    $t->start('consumer');
    returned('taken under another rule', @torn, 2);

    foreach (@late) {
        $m->notice($_->[1]);
        returned('no second chance', @$_, 2);
    }

    is(meta($a)->{remain} . sold($a), '50', 'units');
    $m->books();
};


subtest 'in the end' => sub {
    is($t->value('SELECT COUNT(*) FROM orders WHERE status = 9'), 0,
       'the ledger refused no order');
    # Redis was emptied
    is($t->value("SELECT COUNT(*) FROM alarm WHERE kind <> 'group_lost'"), 0,
       'no alarms');
};


$t->finish();
done_testing();
