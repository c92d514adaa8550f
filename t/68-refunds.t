#!/usr/bin/perl

# Copyright (C) Rush
#
# Refunds inside of MySQL: what is promised is never above what was paid,
# whoever approves how many at once; what providers say of them is applied
# once; units come back when the rule says so.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use RushTest::Money;
use Test::More;

my $t = RushTest->new(nginx => 0, failpoints => 1, consumer => 2, start => 0,
                      consumer_conf => MONEY);
my $m = RushTest::Money->new($t);

$t->start(qw(redis mysql));
$m->no_teller();
$t->start(qw(consumer consumer2));

soon('the gate opens', sub { gate_open($t) });


sub order { return $m->row('orders', $_[0]) }
sub payment { return $m->row('payment', $_[0]) }
sub refund { return $m->row('refund', $_[0]) }


sub paid {
    my (%o) = @_;

    my $no = $o{no} // $m->order(%o);
    my $p = $m->pay($no);

    $m->notice($p);
    $t->wait_for(sub { payment($p)->{state} == 2 }, 10, 'a payment');
    return ($no, $p);
}


# what the teller does before it calls

sub sent {
    my ($r) = @_;
    $t->wait_for(sub { refund($r)->{reserved} }, 10, 'a reservation');
    $t->do('UPDATE refund SET state = 2, version = version + 1 WHERE id = ? '
           . 'AND state = 1 AND reserved = 1', $r);
}


sub sums {
    my ($p) = @_;
    return join ' ', @{payment($p)}{qw(refunded returned)};
}


sub state_of {
    my ($r) = @_;
    return join ' ', @{refund($r)}{qw(state reserved whole units_back)};
}


sub reach {
    my ($name, $r, $want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    soon($name, sub { state_of($r) eq $want }) or diag(state_of($r));
}


subtest 'all of it' => sub {
    my $product = $t->product(stock => 10);
    my ($no, $p) = paid(product_id => $product, qty => 2);
    my $r = $m->refund($p);

    select undef, undef, undef, 0.2;
    is(state_of($r) . ' ' . sums($p), '0 0 0 0 0 0',
       'a request alone does nothing');

    $m->approve($r, 42);
    reach('reserved', $r, '1 1 1 1');
    is(sums($p), '1000 0', 'promised');
    is(order($no)->{status}, 6, 'refunding');
    my ($log) = $t->sql('SELECT * FROM order_log WHERE order_no = ? '
                        . 'ORDER BY id DESC LIMIT 1', $no);
    is(join(' ', @$log{qw(from_status to_status actor_kind actor)}),
       '2 6 2 42', 'by whom');
    $m->books();

    sent($r);
    $m->refund_notice($r, state => 'PROCESSING');
    reach('on its way', $r, '3 1 1 1');

    $m->refund_notice($r, id => "same.$r", n => 3);
    $m->refund_notice($r);
    reach('done', $r, '4 1 1 1');
    $m->idle();
    is(sums($p), '1000 1000', 'gone back once');
    is(refund($r)->{provider_no}, "P$r", "the provider's number");
    is(order($no)->{status}, 7, 'refunded');
    soon('units are back', sub { order($no)->{stock_state} == 3 });
    is($t->value("SELECT CONCAT(stock, ' ', taken) FROM product "
                 . 'WHERE id = ?', $product), '10 0', 'in stock');
    is(join(' ', map { "$_->{account} $_->{amount}" }
            $t->sql('SELECT * FROM ledger WHERE txn = ? ORDER BY account',
                    "r:$r")),
       "order:$no 1000 provider:sandbox -1000", 'ledger');
    is(join(' ', sort map { $_->{state} } $m->told(refund_id => $r)),
       '1 1 2', 'notices');
    $m->books();
};


subtest 'of a flash sale' => sub {
    my $a = $t->activity(stock => 3, limit => 1, price => 1000);
    my $no = buy($t, $a, 100);
    soon('its row', sub { order($no) });
    my ($x, $p) = paid(no => $no);

    is(buy($t, $a, 100), -8, 'he has his one');

    my $r = $m->refund($p);
    $m->approve($r);
    sent($r);
    $m->refund_notice($r);
    reach('done', $r, '4 1 1 1');
    soon('the unit is on sale', sub { $t->meta($a)->{remain} == 3 });
    like(buy($t, $a, 100), qr/-$a$/, 'he may buy again');
    soon('stored', sub { $t->live_orders($a) == 1 });
    $m->books();
};


subtest 'shipped' => sub {
    my $product = $t->product(stock => 5);
    my ($no, $p) = paid(product_id => $product);

    $t->do('UPDATE orders SET status = 3, version = version + 1, '
           . 'actor_kind = 2, actor = 1 WHERE order_no = ?', $no);

    my $r = $m->refund($p);
    $m->approve($r);
    reach('reserved', $r, '1 1 1 0');
    sent($r);
    $m->refund_notice($r);
    reach('done', $r, '4 1 1 0');
    is(order($no)->{status} . order($no)->{stock_state}, '74',
       'the units stay away');
    is($t->value('SELECT stock FROM product WHERE id = ?', $product), 4,
       'stock');
    $m->books();
};


subtest 'in parts' => sub {
    my ($no, $p) = paid();
    my @r = map { $m->refund($p, amount => $_) } 300, 200, 500;

    foreach my $i (0, 1) {
        $m->approve($r[$i]);
        reach("part $i", $r[$i], '1 1 0 0');
    }

    is(order($no)->{status}, 2, 'the order goes on');
    is(sums($p), '500 0', 'promised');

    $m->approve($r[2]);
    reach('the rest', $r[2], '1 1 1 1');
    is(order($no)->{status}, 6, 'ends it');

    # the last of it goes first
    foreach my $i (2, 0, 1) {
        is(order($no)->{status}, 6, 'still refunding');
        sent($r[$i]);
        $m->refund_notice($r[$i]);
        soon("$i is done", sub { refund($r[$i])->{state} == 4 });
    }

    is(order($no)->{status}, 7, 'all is back');
    soon('units, too', sub { order($no)->{stock_state} == 3 });
    is(sums($p), '1000 1000', 'sums');
    $m->books();
};


subtest 'never above what was paid' => sub {
    my ($no, $p) = paid();
    my @r = map { $m->refund($p, amount => 70) } 1 .. 50;

    my @pids = map {
        my $n = $_;
        my $pid = fork() // die;

        if ($pid == 0) {
            $_->{InactiveDestroy} = 1 foreach $t->{dbh}, $m->{lock};
            my $db = RushTest::Backend::mysql_connect($t->{dir}, 'rush');

            foreach my $id (grep { $_ % 10 == $n } @r) {
                1 until eval {
                    $db->do('UPDATE refund SET state = 1, decided_by = ? '
                            . 'WHERE id = ? AND state = 0', undef, $n, $id);
                    1;
                };
            }

            POSIX::_exit(0);
        }

        $pid;
    } 0 .. 9;

    waitpid $_, 0 foreach @pids;

    soon('all are decided', sub {
        !grep { refund($_)->{state} == 1 && !refund($_)->{reserved} } @r
    });

    my @ok = grep { refund($_)->{reserved} } @r;
    is(@ok, 14, 'as many as fit');
    is(payment($p)->{refunded}, 980, 'the sum');
    is(join(' ', sort { $a cmp $b }
            map { refund($_)->{state} . refund($_)->{cause} }
            grep { !refund($_)->{reserved} } @r),
       join(' ', ('6sum') x 36), 'the others fail, and say why');
    is(order($no)->{status}, 2, 'a part is no end');
    $m->books();

    # one of them is asked for again, as much as is left
    my $last = $m->refund($p, amount => 20);
    $m->approve($last);
    reach('the rest', $last, '1 1 1 1');
    sent($_), $m->refund_notice($_) foreach @ok, $last;
    soon('all go back', sub { sums($p) eq '1000 1000' });
    soon('refunded', sub { order($no)->{status} == 7 });
    $m->books();
};


subtest 'what cannot be' => sub {
    my $no = $m->order();
    my $p = $m->pay($no);
    my $r = $m->refund($p);

    $m->approve($r);
    soon('nothing was paid', sub { refund($r)->{state} == 6 });
    is(refund($r)->{cause}, 'state', 'cause');
    is(sums($p), '0 0', 'nothing is promised');

    ($no, $p) = paid();
    my @r = map { $m->refund($p) } 1 .. 3;
    my $alarms = sub {
        return $t->value('SELECT COUNT(*) FROM alarm WHERE kind = ?', $_[0]);
    };
    my $n = $alarms->('refund_mismatch');

    $m->refund_notice($r[0]);
    $m->idle();
    is(state_of($r[0]) . ' ' . sums($p), '0 0 0 0 0 0',
       'nobody has approved it');
    is($alarms->('refund_mismatch'), ++$n, 'an alarm');

    $m->approve($r[1]);
    sent($r[1]);

    foreach my $amount (999, 1001, 0) {
        $m->refund_notice($r[1], amount => $amount);
        $m->idle();
        is(sums($p), '1000 0', "$amount: nothing");
        is($alarms->('refund_mismatch'), ++$n, 'an alarm');
    }

    $m->refund_notice($r[1], provider => 'wechat');
    $m->idle();
    is(sums($p), '1000 0', 'of a provider that is not configured');

    $m->refund_notice($r[1], state => 'NEVER_HEARD');
    $m->idle();
    is(refund($r[1])->{state}, 2, 'a state of tomorrow');

    $m->refund_notice($r[1], number => '123');
    $m->refund_notice($r[1], number => 'R');
    $m->refund_notice($r[1], number => 'R99999999999999999999');
    $m->idle();
    is($t->value('SELECT COUNT(*) FROM payment_notice WHERE state = 0 AND '
                 . "kind = 'refund'"), 4, 'refunds of nobody are kept');
    $t->do('UPDATE payment_notice SET state = 4 WHERE state = 0');

    $m->refund_notice($r[1]);
    soon('and it is done', sub { refund($r[1])->{state} == 4 });
    $m->books();
};


subtest 'it fails at the provider' => sub {
    foreach my $state (qw(CLOSED ABNORMAL)) {
        my ($no, $p) = paid();
        my $r = $m->refund($p);
        my $q = "SELECT COUNT(*) FROM alarm WHERE kind = 'refund_failed'";
        my $n = $t->value($q);

        $m->approve($r);
        sent($r);
        $m->refund_notice($r, state => $state, n => 2);
        $m->refund_notice($r, state => $state);
        reach("$state: failed", $r, '6 1 1 1');
        $m->idle();
        is($t->value($q), $n + 1, 'an alarm, once');
        is(sums($p), '1000 0', 'the sum stays promised');
        is(order($no)->{status}, 6, 'the order waits');
        $m->books();

        # an operator has it sent again, under its number
        is($m->approve($r), '0E0', 'not by an approval');
        $t->do('UPDATE refund SET state = 2 WHERE id = ?', $r);
        $m->refund_notice($r);
        reach('done after all', $r, '4 1 1 1');
        is(sums($p), '1000 1000', 'once');

        $m->refund_notice($r, state => $state);
        $m->idle();
        is(refund($r)->{state}, 4, 'done stays done');
        is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = "
                     . "'refund_mismatch' AND detail LIKE ?",
                     "%refund $r %"), 1, 'and an alarm');
        $m->books();
    }
};


subtest 'automatic ones' => sub {
    my $no = $m->order();
    my $p = $m->pay($no);
    $m->close($p);
    my ($x, $p2) = paid(no => $no);

    $m->notice($p);
    $m->wait('paid twice', $p, 7);
    is(state_of($p), '1 1 0 0', 'reserved at once, under its own number');
    sent($p);
    $m->refund_notice($p, n => 2);
    reach('done', $p, '4 1 0 0');
    is(sums($p), '1000 1000', 'all of it');
    is(order($no)->{status}, 2, 'the order is none of its business');

    # and the payment that counts can go back as well
    my $r = $m->refund($p2);
    $m->approve($r);
    sent($r);
    $m->refund_notice($r);
    soon('refunded', sub { order($no)->{status} == 7 });
    $m->books();
};


subtest 'dies in between' => sub {
    $t->stop('consumer2');

    foreach my $point (qw(K2 K8 K4 D5)) {
        foreach my $action (qw(kill error)) {
            my ($no, $p) = paid();
            my $r = $m->refund($p);

            $t->failpoint($point, $action, 1);
            $m->approve($r);

            if ($action eq 'kill') {
                soon("$point kills", sub { !$t->running('consumer') });
                $t->start('consumer');

            } else {
                soon("$point fails", sub { $t->failpoint_hits($point) });
            }

            reach("$point, $action: reserved", $r, '1 1 1 1');
            is(sums($p), '1000 0', 'once');
            $t->failpoint($point, 'off');
        }
    }

    foreach my $point (qw(K1 K2 K3 K4 D5 K6 K7)) {
        foreach my $action (qw(kill error)) {
            my ($no, $p) = paid();
            my $r = $m->refund($p);

            $m->approve($r);
            sent($r);
            $t->failpoint($point, $action, 1);
            $m->refund_notice($r);

            if ($action eq 'kill') {
                soon("$point kills", sub { !$t->running('consumer') });
                $t->start('consumer');

            } else {
                soon("$point fails", sub { $t->failpoint_hits($point) });
            }

            reach("$point, $action: done", $r, '4 1 1 1');
            $m->idle();
            is(sums($p), '1000 1000', 'once');
            $t->failpoint($point, 'off');
        }
    }

    $m->books();
};


$t->finish();
done_testing();
