#!/usr/bin/perl

# Copyright (C) Rush
#
# The teller and the sandbox: from a row that asks for a payment to money that
# is paid, closed or given back; two consumers, one teller; Redis and MySQL that
# go away.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon gauge clean);
use RushTest::Money;
use RushTest::Teller;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new(nginx => 0, consumer => 2,
                      consumer_conf => RushTest::Teller::conf());
my $m = RushTest::Money->new($t);


# what the buyer's page does

sub pay_it {
    my ($id) = @_;
    return $t->do('UPDATE sandbox_trade SET state = 1, paid_ms = ? '
                  . 'WHERE payment_id = ? AND state = 0',
                  int(time() * 1000), $id);
}


sub row { return $m->row('payment', $_[0]) }


sub order_of {
    return $m->row('orders', row($_[0])->{order_no});
}


sub paid {
    my ($name) = @_;
    my $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1, "$name: open");
    pay_it($id);
    now_due($t);
    becomes($t, $id, 2, "$name: paid");
    return $id;
}


subtest 'prepay' => sub {
    my $start = time();
    my $id = asked($t, $m, 'sandbox');

    becomes($t, $id, 1, 'open');
    ok(time() - $start < $RushTest::SLOW, 'soon');
    is_deeply(params($t, $id), { pay_url =>
        "/api/v1/payment/sandbox/$id/pay" }, 'parameters for the client');
    my $row = row($id);
    is($row->{tries}, 0, 'no call is open');
    ok($row->{next_ms} > $row->{created_ms}, 'it is asked about later');
    ok($row->{next_ms} <= $row->{deadline_ms}, 'before the deadline');

    my $none = asked($t, $m, 'wechat_native');
    becomes($t, $none, 5, 'a provider that is not configured');
    like(row($none)->{cause}, qr/not configured/, 'says so');

    my $old = asked($t, $m, 'sandbox', deadline_ms => 1);
    becomes($t, $old, 5, 'after the deadline');
    is($t->value('SELECT COUNT(*) FROM sandbox_trade WHERE payment_id = ?',
                 $old), 0, 'without a call');

    my $gone = asked($t, $m, 'sandbox', order => { status => 5,
                     stock_state => 3 });
    becomes($t, $gone, 5, 'of an order that was cancelled');
};


subtest 'paid, found by a question' => sub {
    my $id = paid('sandbox');
    my $order = order_of($id);

    is($order->{status}, 2, 'the order is paid');
    is($order->{payment_id}, $id, 'by it');
    is(row($id)->{transaction_id}, "SBX$id", 'the number of the provider');
    is(scalar($m->told(payment_id => $id)), 1, 'one notice');
};


subtest 'the schedule' => sub {
    my $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1);
    my $created = row($id)->{created_ms};

    # a minute is 200 ms here: 1, 5, 15, 60
    soon('asked after a minute', sub { row($id)->{tries} == 1 });
    is(row($id)->{next_ms} - $created, 1000, 'then after five');
    soon('asked after five', sub { row($id)->{tries} == 2 });
    is(row($id)->{next_ms} - $created, 3000, 'then after fifteen');
    pay_it($id);
    becomes($t, $id, 2, 'paid at the third look');
};


subtest 'close' => sub {
    my $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1);
    $t->do('UPDATE payment SET state = 3, next_ms = 0, tries = 0 '
           . 'WHERE id = ? AND state = 1', $id);
    becomes($t, $id, 4, 'closed by the client');
    is($t->value('SELECT state FROM sandbox_trade WHERE payment_id = ?', $id),
       2, 'and at the provider');
    is(pay_it($id) + 0, 0, 'nobody can pay any more');

    $id = asked($t, $m, 'sandbox', order => { pay_deadline_ms =>
                int(time() * 1000) + 700 * $RushTest::SLOW });
    becomes($t, $id, 1);
    becomes($t, $id, 4, 'closed at the deadline');
    soon('the order is cancelled', sub { order_of($id)->{status} == 5 });

    $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1);
    $t->do("UPDATE orders SET status = 5, stock_state = 1, version = "
           . "version + 1, actor_kind = 1, cancel_reason = 'user' "
           . "WHERE order_no = ?", row($id)->{order_no});
    becomes($t, $id, 4, 'of an order that its buyer has cancelled');

    $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1);
    pay_it($id);
    $t->do('UPDATE payment SET state = 3, next_ms = 0, tries = 0 '
           . 'WHERE id = ? AND state = 1', $id);
    becomes($t, $id, 2, 'what is paid cannot be closed');
    is(order_of($id)->{status}, 2, 'and counts');
};


subtest 'refunds' => sub {
    my $id = paid('whole');
    my $refund = refunded($t, $m, $id);
    refund_is($t, $refund, 4, 'the whole');
    is($t->value('SELECT refunded FROM sandbox_trade WHERE payment_id = ?',
                 $id), 1000, 'at the provider');
    soon('the order', sub { order_of($id)->{status} == 7 });

    $id = paid('parts');
    my $first = refunded($t, $m, $id, amount => 300);
    my $second = refunded($t, $m, $id, amount => 200);
    refund_is($t, $first, 4, 'a part');
    refund_is($t, $second, 4, 'another one');
    ok(abs($t->value('SELECT MAX(updated_ms) - MIN(updated_ms) FROM refund '
                     . 'WHERE payment_id = ?', $id)) >= 190,
       'a minute apart');
    is(row($id)->{returned}, 500, 'both came back');

    my $more = refunded($t, $m, $id, amount => 501);
    refund_is($t, $more, 6, 'more than is left');
    is($t->value('SELECT refunded FROM sandbox_trade WHERE payment_id = ?',
                 $id), 500, 'is not asked for');

    # the outcome was lost: the provider knows it
    $id = paid('unknown');
    $refund = $m->refund($id, amount => 100);
    $t->do('INSERT INTO sandbox_refund VALUES (?, ?, 100, 1)', $refund, $id);
    $t->do('UPDATE sandbox_trade SET refunded = 100 WHERE payment_id = ?',
           $id);
    $t->do('UPDATE payment SET refunded = 100 WHERE id = ?', $id);
    $t->do('UPDATE refund SET state = 2, reserved = 1, tries = 1 '
           . 'WHERE id = ?', $refund);
    refund_is($t, $refund, 4, 'a question tells');
    is($t->value('SELECT refunded FROM sandbox_trade WHERE payment_id = ?',
                 $id), 100, 'nothing is sent again');
};


# 48 that are done, and the books know

sub many_refunds {
    my ($id) = @_;

    my $row = row($id);

    foreach (1 .. 48) {
        my $r = $m->refund($id, amount => 1, state => 4, reserved => 1,
                           updated_ms => 1, done_ms => 1);
        $t->insert('ledger', txn => "r:$r", account => $_->[0],
                   amount => $_->[1], created_ms => 1)
            foreach ["order:$row->{order_no}", 1], ['provider:sandbox', -1];
    }

    $t->do('UPDATE payment SET refunded = 48, returned = 48 WHERE id = ?',
           $id);
    $t->do('UPDATE sandbox_trade SET refunded = 48 WHERE payment_id = ?', $id);
}


subtest 'fifty refunds of a payment' => sub {
    my $id = paid('fifty');
    many_refunds($id);

    refund_is($t, refunded($t, $m, $id, amount => 1), 4, 'the 49th');
    refund_is($t, refunded($t, $m, $id, amount => 1), 4, 'the 50th');

    my $last = refunded($t, $m, $id, amount => 1);
    refund_is($t, $last, 6, 'the 51st');
    is($m->row('refund', $last)->{cause},
       '50 refunds of this payment are all there can be', 'why');
    is($m->row('refund', $last)->{tries}, 0, 'it was not sent');
    is($t->value('SELECT COUNT(*) FROM sandbox_refund WHERE payment_id = ?',
                 $id), 2, 'the provider has not seen it');
    soon('an alarm', sub {
        $t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'refund_failed' "
                  . 'AND detail LIKE ?', "%$last%") == 1;
    });
    is(join(' ', @{row($id)}{qw(refunded returned)}), '51 50',
       'its sum stays promised');

    # one of another payment is none of these
    $id = paid('another');
    refund_is($t, refunded($t, $m, $id, amount => 1), 4, 'of another');
};


subtest 'two consumers, one teller' => sub {
    my @held = grep { gauge($t, $_, 'teller') } qw(consumer consumer2);
    is(scalar @held, 1, 'one holds the lock');

    $t->kill($held[0]);
    my $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1, 'the other one goes on');
    $t->start($held[0]);

    my @ids = map { asked($t, $m, 'sandbox') } 1 .. 60;
    soon('sixty at once', sub {
        $t->value('SELECT COUNT(*) FROM payment WHERE state = 1 AND id IN ('
                  . join(', ', @ids) . ')') == 60;
    });
    is($t->value('SELECT COUNT(*) FROM sandbox_trade WHERE payment_id IN ('
                 . join(', ', @ids) . ')'), 60, 'a trade each');
};


subtest 'Redis and MySQL go away' => sub {
    $t->stop('redis');
    my $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1, 'without Redis: found by looking');
    $t->start('redis');

    $t->restart('mysql');
    $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1, 'after MySQL was away');
    pay_it($id);
    now_due($t);
    becomes($t, $id, 2, 'paid');
};


# money that the rows have no place for: told, and asked about again later

subtest 'what cannot be applied' => sub {
    my $id = asked($t, $m, 'sandbox');
    becomes($t, $id, 1, 'open');
    $t->do('INSERT INTO ledger (txn, account, amount, created_ms) VALUES '
           . "(?, 'provider:sandbox', 1, 1), (?, 'x', -1, 1)", ("p:$id") x 2);
    pay_it($id);
    now_due($t);
    soon('the row says so', sub { row($id)->{cause} =~ /cannot be applied/ });
    is(row($id)->{state}, 1, 'it is not paid');
    ok(row($id)->{next_ms} > time() * 1000 - 1000, 'and is left alone');
    is(scalar($m->told(payment_id => $id)), 0, 'nothing is stored');

    $t->do('DELETE FROM ledger WHERE txn = ?', "p:$id");
    becomes($t, $id, 2, 'later it is paid');
};


subtest 'bills of the sandbox' => sub {
    my $id = paid('bill');
    my $refund = refunded($t, $m, $id, amount => 100);
    refund_is($t, $refund, 4);

    my $now = time() + 8 * 3600;
    my @d = gmtime $now;
    my $day = ($d[5] + 1900) * 10000 + ($d[4] + 1) * 100 + $d[3];

    $t->do('INSERT INTO bill (day, provider, created_ms, updated_ms) '
           . 'VALUES (?, 4, 1, 1)', $day);
    soon('compared', sub { $t->value('SELECT state FROM bill') == 1 });
    my ($bill) = $t->sql('SELECT * FROM bill');
    is($bill->{diffs}, 0, 'no difference')
        or diag(explain([$t->sql('SELECT * FROM bill_diff')]));
    ok($bill->{trades} >= 5, 'trades');
    ok($bill->{refunds} >= 4, 'refunds');
};


ok(gauges($t, 'consumer2')->{'pay_calls_total{provider="sandbox",outcome='
    . '"answered"}'} + gauges($t)->{'pay_calls_total{provider="sandbox",'
    . 'outcome="answered"}'} > 10, 'calls are counted');
clean($t, 'the books');

$t->finish();
done_testing();
