#!/usr/bin/perl

# Copyright (C) Rush
#
# Notices of payments become rows: whatever comes, how often and in what
# order, an order is paid once, and no money is forgotten.

use warnings;
use strict;

use File::Temp qw(tempdir);
use FindBin;
use JSON::PP ();
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use RushTest::Money;
use Test::More;

my $keys = tempdir('rush-keys.XXXXXX', DIR => $ENV{RUSH_TMP} || '/tmp',
                   CLEANUP => 1);

my %conf = (%{+MONEY}, providers($keys),
            cashier => { sweep => 30, unmatched_alarm => 3 });

# nobody takes over what is only slow: each is counted once
$conf{consumer} = { %{$conf{consumer}}, claim_idle => 20000 };

my $t = RushTest->new(nginx => 0, consumer => 2, courier => 1, start => 0,
                      consumer_conf => \%conf,
                      proxy => [qw(consumer_redis consumer_mysql)]);
my $m = RushTest::Money->new($t);

$t->start(qw(redis mysql));
$m->no_teller();
$t->start(qw(consumer consumer2));

soon('the gate opens', sub { gate_open($t) });


sub order { return $m->row('orders', $_[0]) }
sub payment { return $m->row('payment', $_[0]) }


sub ledger {
    my ($txn) = @_;
    return join ' ', map { "$_->{account} $_->{amount}" }
        $t->sql('SELECT account, amount FROM ledger WHERE txn = ? '
                . 'ORDER BY account', $txn);
}


sub bought {
    my (%o) = @_;
    my $no = $m->order(%{$o{order} || {}});
    return ($no, $m->pay($no, by => $o{by} // 'sandbox', %{$o{pay} || {}}));
}


sub states {
    my (%where) = @_;
    return join ' ', map { $_->{state} } $m->told(%where);
}


# a notice that changes nothing at all

sub nothing {
    my ($name, $no, $p, $sub) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @before = (order($no), payment($p), $t->sql('SELECT * FROM ledger'));
    $sub->();
    $m->idle("$name: read");
    is_deeply([order($no), payment($p), $t->sql('SELECT * FROM ledger')],
              \@before, "$name: nothing changes");
}


subtest 'paid' => sub {
    my ($no, $p) = bought();
    my $paid = int(time()) * 1000 - 5000;

    $m->notice($p, paid_ms => $paid, id => 'first');
    $m->wait('payment', $p, 2);

    my $o = order($no);
    is(join(' ', @$o{qw(status stock_state pay_type payment_id version)}),
       "2 4 sandbox $p 2", 'order');
    is($o->{paid_ms}, $paid, 'when the provider says');
    like($o->{trade_code}, qr/^[2-9A-HJ-NP-Z]{8}$/, 'trade code');
    is(payment($p)->{transaction_id}, "T$p", 'transaction');
    is(ledger("p:$p"), "order:$no -1000 provider:sandbox 1000", 'ledger');

    my ($log) = $t->sql('SELECT * FROM order_log WHERE order_no = ?', $no);
    is(join(' ', @$log{qw(from_status to_status actor_kind reason)}),
       '1 2 4 paid', 'record');

    my ($n) = $m->told(payment_id => $p);
    is(join(' ', @$n{qw(notice_key kind state times transaction_id amount)}),
       "first pay 1 1 T$p 1000", 'notice');
    is($n->{body}, $m->body($p, paid_ms => $paid), 'as it was signed');
    cmp_ok($n->{applied_ms}, '>=', $n->{received_ms}, 'and when');

    nothing('the same once more', $no, $p, sub {
        $m->notice($p, paid_ms => $paid, id => 'first', n => 3);
    });
    is(($m->told(payment_id => $p))[0]{times}, 4, 'it is counted');

    nothing('another notice of the same', $no, $p, sub {
        $m->notice($p, id => 'other');
    });
    is(states(payment_id => $p), '1 2', 'is stored too');

    $m->books();
};


subtest 'each state of a payment' => sub {
    foreach my $state (0, 1, 3, 4, 5) {
        my ($no, $p) = bought(pay => { state => $state });
        $m->notice($p);
        $m->wait("$state -> 2", $p, 2);
        is(order($no)->{status}, 2, "$state: the order is paid");
    }

    my ($no, $p) = bought();

    foreach my $state (qw(NOTPAY CLOSED USERPAYING PAYERROR NEVER_HEARD)) {
        nothing($state, $no, $p, sub { $m->notice($p, state => $state) });
    }

    is(states(payment_id => $p), '4 4 4 4 4', 'stored, of no meaning');
    $m->notice($p);
    $m->wait('and then it is paid', $p, 2);
    $m->books();
};


subtest 'each provider' => sub {
    foreach my $name (qw(wechat alipay)) {
        my ($no, $p) = bought(by => $name);
        $m->notice($p, provider => $name);
        $m->wait("$name pays", $p, 2);
        is(order($no)->{status}, 2, 'the order too');
    }

    my ($no, $p) = bought(by => 'alipay');

    nothing('waits', $no, $p, sub {
        $m->notice($p, provider => 'alipay', state => 'WAIT_BUYER_PAY')
    });
    nothing('closed', $no, $p, sub {
        $m->notice($p, provider => 'alipay', state => 'TRADE_CLOSED')
    });
    $m->notice($p, provider => 'alipay', state => 'TRADE_FINISHED');
    $m->wait('finished is paid', $p, 2);
    $m->books();
};


subtest '100 at once' => sub {
    my @pairs = map { [bought()] } 1 .. 5;

    # the same one, and as many that tell the same, mixed
    foreach my $i (1 .. 50) {
        foreach (@pairs) {
            $m->notice($_->[1], id => "same.$_->[1]",
                       paid_ms => 1_790_000_000_000);
            $m->notice($_->[1], id => "each.$i.$_->[1]");
        }
    }

    $m->idle();

    foreach (@pairs) {
        my ($no, $p) = @$_;
        my @told = $m->told(payment_id => $p);

        is(order($no)->{status} . payment($p)->{state}, '22', 'paid');
        is(@told, 51, 'stored');
        is((grep { $_->{state} == 1 } @told), 1, 'applied once');
        is((grep { $_->{state} == 2 } @told), 50, 'else duplicates');
        is($t->value('SELECT COUNT(*) FROM ledger WHERE txn = ?', "p:$p"), 2,
           'booked once');
        is($t->value('SELECT COUNT(*) FROM order_log WHERE order_no = ?',
                     $no), 1, 'one step');
        is($t->value('SELECT times FROM payment_notice WHERE notice_key = ?',
                     "same.$p"), 50, 'times');
    }

    my @by = map { gauge($t, $_, 'notices_known_total') }
        qw(consumer consumer2);
    cmp_ok($_, '>', 0, 'both consumers worked') foreach @by;
    $m->books();
};


subtest 'what differs is never paid' => sub {
    my $alarms = $t->value('SELECT COUNT(*) FROM alarm');
    my $n = 0;

    my @cases = (
        ['more', 'sandbox', amount => 1001],
        ['less', 'sandbox', amount => 999],
        ['nothing', 'sandbox', amount => 0],
        ['100 times as much', 'sandbox', amount => 100000],
        ['dollars', 'sandbox', currency => 'USD'],
        ['no currency', 'sandbox', currency => ''],
        ['no transaction', 'sandbox', transaction => ''],
        ['went back', 'sandbox', state => 'REFUND'],
        ['a merchant', 'wechat', mchid => '1900000002'],
        ['an app', 'wechat', appid => 'wx0000000000000002'],
        ['an amount', 'wechat', amount => 1],
        ['a seller', 'alipay', mchid => '2088000000000002'],
        ['an app', 'alipay', appid => '2021000000000002'],
        ['an amount', 'alipay', amount => 1],
    );

    foreach (@cases) {
        my ($name, $by, %o) = @$_;
        my ($no, $p) = bought(by => $by);

        nothing("$by: $name", $no, $p, sub {
            $m->notice($p, provider => $by, %o, id => "odd.$p", n => 2)
        });

        my ($told) = $m->told(payment_id => $p);
        is("$told->{state} $told->{times}", '3 2', 'kept');
        like($told->{cause}, qr/./, 'and why');
        is($t->value('SELECT COUNT(*) FROM alarm WHERE kind = ? AND '
                     . 'detail LIKE ?', 'payment_mismatch',
                     "notice $told->{id}:%"), 1, 'one alarm');
        $n++;

        # the right one comes after it
        $m->notice($p, provider => $by);
        $m->wait('the right one pays', $p, 2);
    }

    my ($no, $p) = bought(by => 'wechat');
    nothing('of another provider', $no, $p, sub { $m->notice($p) });
    is(states(payment_id => $p), '3', 'kept');

    ($no, $p) = bought();
    my ($no2, $p2) = bought();
    $m->notice($p);
    $m->wait('paid', $p, 2);
    nothing('a transaction twice', $no2, $p2, sub {
        $m->notice($p2, transaction => "T$p")
    });
    is(states(payment_id => $p2), '3', 'kept');

    nothing('two transactions of one payment', $no, $p, sub {
        $m->notice($p, transaction => 'another')
    });
    is(states(payment_id => $p), '1 3', 'kept');

    is($t->value('SELECT COUNT(*) FROM alarm'), $alarms + $n + 3, 'alarms');
    $m->books('differences with alarms');
};


subtest 'a key with two bodies' => sub {
    my ($no, $p) = bought();
    my ($no2, $p2) = bought();
    my %one = (id => 'one-key', paid_ms => 1_790_000_000_000);

    $m->notice($_, %one) foreach $p, $p2;
    $m->wait('the first', $p, 2);
    $m->wait('is not taken for the second', $p2, 2);
    $m->notice($_, %one) foreach $p, $p2;
    $m->idle();

    my @told = map { $m->told(payment_id => $_) } $p, $p2;
    is(join(' ', map { "$_->{state} $_->{times}" } @told), '1 2 1 2',
       'each is known again');
    is(join(' ', sort map { length $_->{notice_key} } @told), '24 7',
       'by a key of its own');
    $m->books();
};


subtest 'early' => sub {
    my $no = $m->order();
    my $p = RushTest::Money::id();

    $m->notice($p, amount => 1000, id => "early.$p", n => 2);
    $m->idle();
    is(states(notice_key => "early.$p"), '0', 'kept');
    is(order($no)->{status}, 1, 'nobody knows of what');

    $m->pay($no, id => $p);
    $m->wait('its row is there', $p, 2);
    is(order($no)->{status}, 2, 'paid');
    my ($told) = $m->told(notice_key => "early.$p");
    is("$told->{state} $told->{times}", '1 2', 'applied');
    $m->books();
};


subtest 'nobody asked for it' => sub {
    my $q = 'SELECT COUNT(*) FROM alarm WHERE kind = ?';
    my $before = $t->value($q, 'payment_unmatched');
    my $p = RushTest::Money::id();

    my $when = int(time()) * 1000;
    $m->notice($p, id => "stray.$p", paid_ms => $when);
    $m->notice(0, number => 'of-another-shop', id => "text.$p");
    $m->notice(0, number => '99999999999999999999', id => "long.$p");
    $m->idle();
    is(join(' ', map { $_->{state} . $_->{payment_id} }
            map { $m->told(notice_key => "$_.$p") } qw(stray text long)),
       "0$p 00 00", 'kept');
    is($t->value($q, 'payment_unmatched'), $before, 'no alarm yet');

    soon('alarms', sub {
        $t->value($q, 'payment_unmatched') == $before + 3
    });

    my ($rc, $out) = $t->reconcile();
    is($rc, 1, 'reconcile finds them');
    like($out, qr/^I13 books: notice \d+ has no payment \(payment $p,/m,
         'by name');

    $m->notice($p, id => "stray.$p", paid_ms => $when);
    $m->idle();
    select undef, undef, undef, 0.3;
    is($t->value($q, 'payment_unmatched'), $before + 3, 'each once');
    is(gauge($t, 'consumer', 'notices_unmatched'), 3, 'metric');

    my $no = $m->order();
    $m->pay($no, id => $p);
    $m->wait('it is never too late', $p, 2);
    $t->do("UPDATE payment_notice SET state = 4 WHERE state = 0");
    $m->books();
};


subtest 'paid twice' => sub {
    my ($no, $p) = bought();
    $m->close($p);
    my $p2 = $m->pay($no);

    $m->notice($p2);
    $m->wait('the second one', $p2, 2);
    $m->notice($p, n => 2);
    $m->wait('the first one, too', $p, 7);

    my $r = $m->row('refund', $p);
    is(join(' ', @$r{qw(payment_id amount total origin state reserved)}),
       "$p 1000 1000 3 1 1", 'goes back');
    is(payment($p)->{refunded}, 1000, 'is promised');
    is(order($no)->{payment_id}, $p2, 'the order is paid by the other');
    is(ledger("p:$p"), "order:$no -1000 provider:sandbox 1000",
       'it did come in');
    $m->books();

    # at the same instant, 30 times
    my @pairs = map {
        my ($order, $one) = bought();
        $m->close($one);
        [$order, $one, $m->pay($order)];
    } 1 .. 30;

    $m->notice($_) foreach map { @$_[1, 2] } @pairs;
    $m->idle();

    is(join(' ', sort map { payment($_)->{state} } @$_[1, 2]), '2 7',
       'one pays, one goes back') foreach @pairs;
    $m->books();
};


subtest 'old ones come again' => sub {
    my ($no, $p) = bought();
    $m->notice($p, id => "old.$p");
    $m->wait('paid', $p, 2);

    foreach my $to (3, 4) {
        $t->do('UPDATE orders SET status = ?, version = version + 1, '
               . 'actor_kind = 2, actor = 1 WHERE order_no = ?', $to, $no);
        nothing("status $to", $no, $p, sub {
            $m->notice($p, id => "old.$p");
            $m->notice($p, id => "young.$to.$p");
        });
        is(order($no)->{status}, $to, 'forward only');
    }

    $m->books();
};


subtest 'what can never be applied' => sub {
    my $letters = sub {
        $t->value('SELECT COUNT(*) FROM dead_letter WHERE activity_id = -2 '
                  . 'AND state = 0');
    };
    my $n = 0;

    my %good = (p => 'sandbox', k => 'pay', n => 'k1', r => 1, b => '{}');

    my @bad = ({ p => 'paypal' }, { p => '' }, { k => 'bill' },
               { n => '' }, { n => 'n' x 65 }, { r => 'now' }, { r => '-1' },
               { b => '' }, { b => '{' }, { b => '[]' }, { b => 'null' },
               { b => '{}' }, { b => '{"out_trade_no":1}' },
               { b => "\xff\xfe" },
               { b => '{"out_trade_no":"1","out_trade_no":"2",'
                      . '"trade_state":"SUCCESS"}' },
               { k => 'refund', b => '{"out_refund_no":"R1"}' },
               { p => 'alipay', b => '{"trade_status":[]}' });

    foreach (@bad) {
        $m->add(%good, n => 'bad' . ++$n, %$_);
    }

    $t->redis()->xadd('{rush}pay', '*', 'x', 'y');
    $m->idle();
    is($letters->(), @bad + 1, 'letters');
    is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'pay_dead_letter'"),
       @bad + 1, 'alarms');

    my ($rc, $out) = $t->reconcile();
    is(() = $out =~ /^I12 books: dead letter/mg, @bad + 1, 'reconcile');

    # one that is good after all, however long
    my ($no, $p) = bought();
    my $long = $m->body($p) =~ s/^\{/'{"note":"' . 'x' x 100000 . '",'/er;

    $m->add(%good, n => "long.$p", k => 'pax', b => $long);
    $m->idle();
    $t->do("UPDATE dead_letter SET body = REPLACE(body, '\"pax\"', '\"pay\"') "
           . 'ORDER BY id DESC LIMIT 1');
    $t->do('UPDATE dead_letter SET state = 3 WHERE activity_id = -2');

    $m->wait('asked for again, it pays', $p, 2);
    soon('the others stay', sub { $letters->() == @bad + 1 });
    is($t->value('SELECT COUNT(*) FROM dead_letter WHERE state = 1'), 1,
       'replayed');

    my ($id) = map { $_->{id} }
        $t->sql('SELECT id FROM dead_letter WHERE state = 0 LIMIT 1');
    ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $id);
    is($rc, 1, 'by hand: it fails');
    like($out, qr/still fails/, 'and says why');

    my ($no3, $p3) = bought();
    $t->do('UPDATE dead_letter SET body = ? WHERE id = ?',
           JSON::PP->new->encode({ fields => [
               p => 'sandbox', k => 'pay', n => 'by-hand', r => '5',
               b => $m->body($p3)] }), $id);
    ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $id);
    is($rc, 0, 'by hand: it is good now') or diag($out);
    is(payment($p3)->{state}, 2, 'paid');
    $t->do('UPDATE dead_letter SET state = 2');
    $m->books();
};


subtest 'Redis is away' => sub {
    my ($no, $p) = bought();
    my $proxy = $t->proxy('consumer_redis');

    $proxy->refuse();
    $m->notice($p);
    $proxy->pass();
    $m->wait('paid after it', $p, 2);

    ($no, $p) = bought();
    $proxy->cut('reply', match => 'XACK');
    $m->notice($p);
    $m->wait('paid', $p, 2);
    $m->idle('acknowledged at last');
    is($t->value('SELECT COUNT(*) FROM ledger WHERE txn = ?', "p:$p"), 2,
       'once');

    ($no, $p) = bought();
    $proxy->delay(300);
    $m->notice($p);
    $m->wait('slow', $p, 2);
    $proxy->pass();

    # all its data is gone: the group is made again
    $t->redis()->del('{rush}pay');
    ($no, $p) = bought();
    soon('the group', sub {
        eval { @{$t->redis()->xinfo_groups('{rush}pay')} }
    });
    $m->notice($p);
    $m->wait('paid', $p, 2);
    $m->idle();
    $m->books();
};


subtest 'MySQL is away' => sub {
    my $proxy = $t->proxy('consumer_mysql');
    my @all = map { [bought()] } 1 .. 10;

    $proxy->refuse();
    $m->notice($_->[1], n => 2) foreach @all;
    select undef, undef, undef, 0.3;
    is(payment($_->[1])->{state}, 1, 'they wait') foreach $all[0], $all[-1];
    $proxy->pass();
    $m->wait('paid after it', $_->[1], 2) foreach @all;

    foreach (['INSERT INTO ledger', 'before'], ['INSERT INTO ledger', 'reply'],
             ['COMMIT', 'before'], ['COMMIT', 'reply'])
    {
        my ($match, $where) = @$_;
        my ($no, $p) = bought();

        $proxy->cut($where, match => $match);
        $m->notice($p);
        $m->wait("$match, $where", $p, 2);
        $m->idle();
        is($t->value('SELECT COUNT(*) FROM ledger WHERE txn = ?', "p:$p"), 2,
           'once');
    }

    my ($no, $p) = bought();
    $proxy->delay(200);
    $m->notice($p, n => 3);
    $m->wait('slow', $p, 2);
    $proxy->pass();
    $m->idle();

    # somebody holds the row for a while
    ($no, $p) = bought();
    my $db = $t->db()->clone();
    $db->begin_work();
    $db->do('SELECT * FROM orders WHERE order_no = ? FOR UPDATE', undef, $no);
    $m->notice($p);
    my ($no2, $p2) = bought();
    select undef, undef, undef, 1;
    is(payment($p)->{state}, 1, 'a row is locked');
    $db->rollback();
    $db->disconnect();
    $m->notice($p2);
    $m->wait('and free', $p, 2);
    $m->wait('the next one', $p2, 2);
    $m->idle();
    $m->books();
};


subtest 'the stream stays short' => sub {
    soon('trimmed', sub { $t->redis()->xlen('{rush}pay') <= 1 });
};


subtest 'what is logged' => sub {
    my $text = join '', map { $t->log_text($_) } qw(consumer consumer2);
    unlike($text, qr/openid-of-a-buyer/, 'no buyer');
};


$t->finish();
done_testing();
