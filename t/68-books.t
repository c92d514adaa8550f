#!/usr/bin/perl

# Copyright (C) Rush
#
# The books: every kind of damage to money is found by --reconcile and by the
# controller, nothing else is, and nothing is changed by looking.  Settlements
# of days that are over.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use RushTest::Money;
use Test::More;

my %conf = %{+MONEY};

$conf{controller} = { %{$conf{controller}}, reconcile => 1, recheck => 20 };

my $t = RushTest->new(nginx => 0, start => 0, consumer_conf => \%conf);
my $m = RushTest::Money->new($t);

$t->start(qw(redis mysql));
$m->no_teller();
$t->start('consumer');

soon('the gate opens', sub { gate_open($t) });


sub paid {
    my (%o) = @_;

    my $no = $m->order(%{$o{order} || {}});
    my $p = $m->pay($no);

    $m->notice($p, paid_ms => $o{paid_ms});
    $t->wait_for(sub { $m->row('payment', $p)->{state} == 2 }, 10, 'paid');
    return ($no, $p);
}


sub refunded {
    my ($p, %o) = @_;

    my $r = $m->refund($p, amount => $o{amount} // 1000);

    $m->approve($r);
    $t->wait_for(sub { $m->row('refund', $r)->{reserved} }, 10, 'reserved');
    $t->do('UPDATE refund SET state = 2 WHERE id = ?', $r);
    $m->refund_notice($r, done_ms => $o{done_ms});
    $t->wait_for(sub { $m->row('refund', $r)->{state} == 4 }, 10, 'done');
    return $r;
}


sub lines {
    my ($out) = @_;
    return sort $out =~ /^(I\d+ books: .*)$/mg;
}


# some of everything that is right

my ($whole, $whole_p) = paid();
my ($part, $part_p) = paid();
my ($gone, $gone_p) = paid();
my $half = refunded($part_p, amount => 400);
my $all = refunded($gone_p);
my $twice = $m->pay($whole, state => 4);

$m->notice($twice);
$m->wait('paid twice', $twice, 7);
$m->notice($m->pay($m->order()), amount => 1);
$m->idle();
soon('units are back', sub { $m->row('orders', $gone)->{stock_state} == 3 });


# all that money stands in, to be put back after each damage

my @tables = qw(orders payment payment_notice refund ledger order_log alarm
                dead_letter product);

$t->stop('consumer');

# MariaDB fails when a table is opened while its triggers go
$t->do("DROP TRIGGER $_") foreach qw(orders_edge orders_log
                                     order_log_no_update);

foreach my $table (@tables) {
    $t->do("CREATE TABLE kept_$table LIKE $table");
    my @names = map { "`$_->{Field}`" }
        grep { $_->{Extra} !~ /GENERATED/ } $t->sql("DESCRIBE $table");
    $t->do("INSERT INTO kept_$table (" . join(', ', @names) . ') SELECT '
           . join(', ', @names) . " FROM $table");
}


sub put_back {
    foreach my $table (@tables) {
        my $names = join ', ', map { "`$_->{Field}`" }
            grep { $_->{Extra} !~ /GENERATED/ } $t->sql("DESCRIBE $table");
        $t->do("DELETE FROM $table");
        $t->do("INSERT INTO $table ($names) SELECT $names FROM kept_$table");
    }
}


my $r = 'books: ';
my $id = qr/\d+/;

# damage => what it makes reconcile say
my @damage = (
    ['a side of the ledger', [
        ["UPDATE ledger SET amount = amount + 1 WHERE txn = 'p:$whole_p' AND "
         . "account LIKE 'provider%'"]],
     "I7 books: ledger p:$whole_p: the sum is 1 fen, of 2 rows"],

    ['both sides', [
        ["UPDATE ledger SET amount = amount * 2 WHERE txn = 'p:$whole_p'"]],
     "I7 books: payment $whole_p: 1000 fen were paid, the ledger has -2000"],

    ['half of a transaction', [
        ["DELETE FROM ledger WHERE txn = 'p:$whole_p' AND account LIKE "
         . "'provider%'"]],
     "I7 books: ledger p:$whole_p: the sum is -1000 fen, of 1 rows"],

    ['a payment is not booked', [
        ["DELETE FROM ledger WHERE txn = 'p:$whole_p'"]],
     "I7 books: payment $whole_p: 1000 fen were paid, the ledger has 0"],

    ['a refund is not booked', [
        ["DELETE FROM ledger WHERE txn = 'r:$half'"]],
     "I7 books: refund $half: 400 fen went back, the ledger has 0"],

    ['booked from nothing', [
        ["INSERT INTO ledger (txn, account, amount, created_ms) VALUES "
         . "('p:5', 'a', 7, 1790000000000), ('p:5', 'b', -7, 1790000000000)"]],
     qr/^I7 books: ledger p:5: 7 fen \(row \d+\) that no payment or/,
     qr/^I7 books: ledger p:5: -7 fen \(row \d+\) that no payment or/],

    ['promised more', [
        ['UPDATE payment SET refunded = 500 WHERE id = ?', $part_p]],
     "I7 books: payment $part_p: 500 fen are promised back, its refunds say "
     . '400'],

    ['promised nothing', [
        ['UPDATE refund SET reserved = 0 WHERE id = ?', $half]],
     "I7 books: payment $part_p: 400 fen are promised back, its refunds say "
     . '0'],

    ['gone back less', [
        ['UPDATE payment SET returned = 1 WHERE id = ?', $part_p]],
     "I7 books: payment $part_p: 1 fen went back, its refunds say 400"],

    ['an order paid twice', [
        ['DELETE FROM refund WHERE payment_id = ?', $twice],
        ['UPDATE payment SET state = 2, refunded = 0 WHERE id = ?', $twice]],
     "I7 books: order $whole is paid 2 times (payment $twice)",
     "I7 books: payment $twice has state 2, its order has status 2"],

    ['an order that nobody paid', [
        ['UPDATE orders SET payment_id = 0 WHERE order_no = ?', $whole]],
     "I7 books: payment $whole_p has state 2, its order has status 2",
     "I7 books: order $whole has status 2, payment 0 did not pay it"],

    ['paid with the payment of another', [
        ['UPDATE orders SET payment_id = ? WHERE order_no = ?', $part_p,
         $whole]],
     "I7 books: payment $whole_p has state 2, its order has status 2",
     "I7 books: order $whole has status 2, payment $part_p did not pay it"],

    ['another amount', [
        ['UPDATE orders SET amount = 999 WHERE order_no = ?', $whole]],
     "I7 books: payment $whole_p has state 2, its order has status 2"],

    ['paid, and cancelled', [
        ['UPDATE orders SET status = 5, stock_state = 3 WHERE order_no = ?',
         $whole],
        ['UPDATE product SET stock = stock + 1, taken = taken - 1']],
     "I7 books: payment $whole_p has state 2, its order has status 5",
     "I8 books: order $whole has status 5, its record ends at 2"],

    ['refunded, but not all', [
        ['UPDATE orders SET status = 7 WHERE order_no = ?', $part],
        ["INSERT INTO order_log (order_no, user_id, from_status, to_status, "
         . 'version, actor_kind, actor, reason, created_ms) VALUES (?, 7, 2, '
         . "6, 3, 2, 0, '', 1790000000000), (?, 7, 6, 7, 4, 3, 0, '', "
         . '1790000000000)', $part, $part]],
     "I7 books: order $part has status 7, payment $part_p did not go back"],

    ['a way that is none', [
        ["INSERT INTO order_log (order_no, user_id, from_status, to_status, "
         . 'version, actor_kind, actor, reason, created_ms) VALUES (?, 7, 2, '
         . "1, 3, 2, 0, '', 1790000000000), (?, 7, 1, 2, 4, 4, 0, '', "
         . '1790000000000)', $whole, $whole]],
     "I8 books: order $whole went from 2 to 1"],

    ['by somebody who may not', [
        ['UPDATE order_log SET actor_kind = 1 WHERE order_no = ?', $whole]],
     "I8 books: order $whole went from 1 to 2"],

    ['a gap in the way', [
        ['DELETE FROM order_log WHERE order_no = ? AND to_status = 6',
         $gone]],
     "I8 books: order $gone came to 2 and left from 6"],

    ['no record', [
        ['DELETE FROM order_log WHERE order_no = ?', $whole]],
     "I8 books: order $whole has status 2, version 2 and no record"],

    ['a notice without a payment', [
        ['INSERT INTO payment_notice (provider, notice_key, kind, payment_id, '
         . "body, received_ms) VALUES (4, 'x', 'pay', 9, '{}', "
         . '1790000000000)']],
     qr/^I13 books: notice $id has no payment \(payment 9, refund 0\)$/],

    ['a difference nobody was told of', [
        ["DELETE FROM alarm WHERE kind = 'payment_mismatch'"]],
     qr/^I13 books: notice $id differs and nobody was told/],

    ['applied to nothing', [
        ["UPDATE payment SET state = 4, paid_ms = 0 WHERE id = ?", $twice],
        ["UPDATE payment SET refunded = 0 WHERE id = ?", $twice],
        ["DELETE FROM refund WHERE payment_id = ?", $twice],
        ["DELETE FROM ledger WHERE txn = 'p:$twice'"]],
     qr/^I13 books: notice $id was applied, payment $twice has state 4$/],

    ['a payment is gone', [
        ["DELETE FROM refund WHERE payment_id = ?", $twice],
        ["DELETE FROM payment WHERE id = ?", $twice],
        ["DELETE FROM ledger WHERE txn = 'p:$twice'"]],
     qr/^I13 books: notice $id was applied, payment $twice is gone/],

    ['money that is owed', [
        ['DELETE FROM refund WHERE payment_id = ?', $twice],
        ['UPDATE payment SET refunded = 0 WHERE id = ?', $twice]],
     "I13 books: payment $twice: 1000 fen are to go back, its refunds say 0"],

    ['nobody decides', [
        ['DELETE FROM refund WHERE payment_id = ?', $twice],
        ['UPDATE payment SET refunded = 0, state = 6, updated_ms = 1 WHERE id '
         . '= ?', $twice]],
     "I13 books: payment $twice: 1000 fen came late, nobody has decided "
     . '(state 6)'],

    ['a dead letter', [
        ['INSERT INTO dead_letter (activity_id, stream_id, part, cause, body, '
         . "created_ms) VALUES (-2, '1-1', -1, 'bad', '{}', 1790000000000)"]],
     qr/^I12 books: dead letter $id of payments \(-2, state 0\)$/],
);


subtest 'nothing to say' => sub {
    my ($rc, $out) = $t->reconcile();
    is($rc, 0, 'exit') or diag($out);
    is(join("\n", lines($out)), '', 'no line');
};


foreach (@damage) {
    my ($name, $damage, @want) = @$_;

    subtest $name => sub {
        $t->do(@$_) foreach @$damage;

        my @before = map { [$t->sql("SELECT * FROM $_")] } @tables;
        my ($rc, $out) = $t->reconcile();
        my @lines = lines($out);

        is($rc, 1, 'exit');

        foreach my $want (@want) {
            my @found = grep { ref $want ? /$want/ : $_ eq $want } @lines;
            is(@found, 1, 'is found') or diag($out);
            @lines = grep { ref $want ? !/$want/ : $_ ne $want } @lines;
        }

        is(join("\n", @lines), '', 'and nothing else');
        is_deeply([map { [$t->sql("SELECT * FROM $_")] } @tables], \@before,
                  'nothing is changed by looking');
        put_back();
    };
}


subtest 'the controller looks, too' => sub {
    my ($rc, $out) = $t->reconcile();
    is($rc, 0, 'all is put back') or diag($out);

    $t->do("DELETE FROM ledger WHERE txn = 'p:$whole_p'");
    $t->start('consumer');
    soon('the metric', sub {
        (gauge($t, 'consumer', 'differences') // 0) == 1
    });
    like($t->log_text('consumer'),
         qr/reconcile: I7 books: payment $whole_p: 1000 fen were paid/,
         'and the log');
    $t->stop('consumer');
    put_back();
    $t->start('consumer');
    soon('nothing', sub { gauge($t, 'consumer', 'differences') eq '0' });
};


sub settlement {
    my ($day) = @_;
    return map { join ' ', @$_{qw(shop_id provider paid_count paid
                                  refund_count refunded)} }
        $t->sql('SELECT * FROM settlement WHERE day = ? AND created_ms > 1 '
                . 'ORDER BY shop_id, provider', $day);
}


sub day {
    my ($ms) = @_;
    my @d = gmtime($ms / 1000 + 8 * 3600);
    return sprintf '%04d%02d%02d', $d[5] + 1900, $d[4] + 1, $d[3];
}


subtest 'settlements' => sub {
    my $now = int(time() * 1000);
    my $today = $now - ($now + 8 * 3600_000) % 86400_000;
    my $last = $today - 1000;
    my $day = day($last);

    is(join(',', settlement(day($now))), '', 'none of today');
    is(join(',', settlement($day)), '', 'nothing was sold yesterday');

    # a notice of yesterday's last second comes today
    my ($no, $p) = paid(paid_ms => $last, order => { shop_id => 5 });
    soon('it is counted', sub {
        join(',', settlement($day)) eq '5 4 1 1000 0 0'
    });

    paid(paid_ms => $last, order => { shop_id => 6, amount => 50 });
    paid(paid_ms => $last, order => { shop_id => 5, amount => 7 });
    refunded($p, amount => 300, done_ms => $last);

    soon('and the next ones', sub {
        join(',', settlement($day)) eq '5 4 2 1007 1 300,6 4 1 50 0 0'
    }) or diag(explain [settlement($day)]);

    my $first = $today - 86400_000;
    paid(paid_ms => $first, order => { shop_id => 6, amount => 3 });
    paid(paid_ms => $first - 1000, order => { shop_id => 6, amount => 4 });

    soon('the first second is of this day', sub {
        join(',', settlement($day)) eq '5 4 2 1007 1 300,6 4 2 53 0 0'
    });
    soon('the one before it is not', sub {
        join(',', settlement(day($first - 1))) eq '6 4 1 4 0 0'
    });

    # what was made while nobody ran
    $t->stop('consumer');
    $t->do('DELETE FROM settlement');
    $t->start('consumer');
    soon('all days are made again', sub {
        join(',', settlement($day), settlement(day($first - 1)))
            eq '5 4 2 1007 1 300,6 4 2 53 0 0,6 4 1 4 0 0'
    });

    # a fee stays, whatever comes later
    $t->do('UPDATE settlement SET fee = 9 WHERE day = ? AND shop_id = 5',
           $day);
    paid(paid_ms => $last, order => { shop_id => 5, amount => 1 });
    soon('once more', sub { (settlement($day))[0] eq '5 4 3 1008 1 300' });
    is($t->value('SELECT fee FROM settlement WHERE day = ? AND shop_id = 5',
                 $day), 9, 'its fee');
    is(join(',', settlement(day($now))), '', 'none of today');
};


$t->finish();
done_testing();
