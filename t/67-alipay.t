#!/usr/bin/perl

# Copyright (C) Rush
#
# Alipay against the stand-in: every channel, the codes of its lists, answers
# that nobody has signed, refunds, bills, certificate mode.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon clean);
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use HTTP::Tiny;
use Test::More;
use Time::HiRes qw(sleep time);

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(nginx => 0, start => 0,
    consumer_conf => RushTest::Teller::conf(port => $port));
my $m = RushTest::Money->new($t);

RushTest::Provider::add($t, $port);
$t->start(qw(redis mysql provider consumer));


sub row { return $m->row('payment', $_[0]) }
sub order_of { return $m->row('orders', row($_[0])->{order_no}) }
sub trade { return RushTest::Provider::trade($t, $_[0]) }
sub fault { return RushTest::Provider::fault($t, @_) }


sub opened {
    my ($name, $channel) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return RushTest::Teller::opened($t, $m, $channel // 'alipay_precreate',
                                    $name);
}


sub paid {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return RushTest::Teller::paid($t, $m, 'alipay_precreate', @_);
}


# what is asked for must be the same each time, but for the clock

sub contents {
    my ($op, $no) = @_;
    my %all = map { $_ => 1 } grep { /%22\Q$no\E%22/ }
        map { $_->{body} =~ /biz_content=([^&]*)/ ? $1 : '' }
        RushTest::Provider::got($t, $op);
    return scalar keys %all;
}


subtest 'channels' => sub {
    my $id = opened('precreate');
    like(params($t, $id)->{qr_code}, qr{^https://qr\.alipay\.com/}, 'a code');
    is(trade($id)->{total}, 1000, 'the amount of our row');

    foreach my $channel (qw(alipay_page alipay_wap)) {
        my $op = $channel =~ s/alipay_//r;
        my $before = calls($t, $op);
        $id = opened($channel, $channel);
        is(calls($t, $op), $before, 'without a call');
        my $url = params($t, $id)->{pay_url};
        my $r = HTTP::Tiny->new()->get($url);
        is($r->{status}, 200, 'what a browser opens is signed')
            or diag("$url: $r->{content}");
        is(trade($id)->{total}, 1000, 'the amount');

        RushTest::Provider::pay($t, $id, notify => 0);
        RushTest::Teller::due($t, $id);
        becomes($t, $id, 2, 'paid');
        is(order_of($id)->{status}, 2, 'the order');
        is(row($id)->{transaction_id}, trade($id)->{id}, 'the transaction');
    }

    is(scalar(RushTest::Provider::bad($t)), 0, 'ours are all good')
        or diag(explain([map { "$_->{op}: $_->{why}" }
                         RushTest::Provider::bad($t)]));
};


subtest 'amounts' => sub {
    foreach my $fen (1, 9, 10, 99, 100, 101, 123456789) {
        my $id = asked($t, $m, 'alipay_precreate', order => {
                       amount => $fen });
        becomes($t, $id, 1);
        is(trade($id)->{total}, $fen, "$fen fen");
        $m->close($id);
    }
};


subtest 'errors of precreate' => sub {
    foreach my $code (qw(ACQ.INVALID_PARAMETER ACQ.ACCESS_FORBIDDEN
                         ACQ.CONTEXT_INCONSISTENT ACQ.TOTAL_FEE_EXCEED
                         ACQ.BUYER_SELLER_EQUAL ACQ.TRADE_BUYER_NOT_MATCH
                         ACQ.BUYER_ENABLE_STATUS_FORBID
                         isv.invalid-signature))
    {
        fault('precreate', "e:$code", 1);
        my $id = asked($t, $m, 'alipay_precreate');
        becomes($t, $id, 5, $code);
        like(row($id)->{cause}, qr/\Q$code\E$/, 'cause');
    }

    foreach my $e (qw(e:ACQ.SYSTEM_ERROR e:AQC.SYSTEM_ERROR 429 500 503
                      before lost late500 timeout unsigned forged wrongkey
                      html cut big))
    {
        fault('precreate', $e, 1);
        my $id = asked($t, $m, 'alipay_precreate');
        becomes($t, $id, 1, "again after $e");
        is(contents('precreate', $id), 1, 'always the same');
    }

    foreach my $code (qw(ACQ.TRADE_HAS_SUCCESS ACQ.TRADE_HAS_FINISHED)) {
        fault('precreate', "e:$code", 1);
        my $id = asked($t, $m, 'alipay_precreate');
        becomes($t, $id, 1, $code);
    }
};


subtest 'questions that go wrong' => sub {
    foreach my $e (qw(429 500 before timeout unsigned forged cut
                      e:ACQ.SYSTEM_ERROR e:ACQ.TRADE_NOT_EXIST
                      e:isv.invalid-signature))
    {
        my $id = opened();
        RushTest::Provider::pay($t, $id, notify => 0);
        fault('aquery', $e, 1);
        RushTest::Teller::due($t, $id);
        becomes($t, $id, 2, "paid in spite of $e");
    }

    my $id = opened();
    RushTest::Provider::set($t, $id, total => 1);
    RushTest::Provider::pay($t, $id, notify => 0);
    RushTest::Teller::due($t, $id);
    soon('a doubt is kept', sub { scalar $m->told(payment_id => $id,
                                                  state => 3) });
    is(row($id)->{state}, 1, 'another amount: not paid');
    $m->close($id);

    # somebody gave it back before we knew of it
    $id = opened();
    RushTest::Provider::pay($t, $id, notify => 0);
    RushTest::Provider::set($t, $id, state => 'TRADE_CLOSED');
    $t->do('UPDATE payment SET next_ms = 0 WHERE id = ?', $id);
    soon('it went back, and not by us', sub {
        grep { $_->{cause} =~ /not by us/ } $m->told(payment_id => $id,
                                                     state => 3)
    });
    is(row($id)->{state}, 1, 'that is no payment');

    # nobody is asked for ever
    $t->do('UPDATE payment SET deadline_ms = 1, next_ms = 0 WHERE id = ?',
           $id);
    becomes($t, $id, 3, 'after the deadline it is closed');
    $t->do('UPDATE payment SET updated_ms = updated_ms - 200 * 60 * 26, '
           . 'next_ms = 0 WHERE id = ?', $id);
    becomes($t, $id, 4, 'after a day it is left alone');
    like(row($id)->{cause}, qr/not as it was asked for/, 'and says why');
};


subtest 'close' => sub {
    my $close = sub {
        $t->do('UPDATE payment SET state = 3, tries = 0, next_ms = 0 '
               . 'WHERE id = ?', $_[0]);
        hint($t, $_[0]);
    };

    my $id = opened();
    $close->($id);
    becomes($t, $id, 4, 'nobody has scanned it: there is no trade');

    foreach my $e ('ok', qw(429 500 before lost timeout unsigned
                            e:ACQ.SYSTEM_ERROR e:ACQ.TRADE_STATUS_ERROR))
    {
        $id = opened();
        RushTest::Provider::set($t, $id, state => 'SCANNED');
        fault('aclose', $e, 1);
        $close->($id);
        becomes($t, $id, 4, "closed, $e");
        is(trade($id)->{state}, 'TRADE_CLOSED', 'at the provider');
    }

    $id = opened();
    RushTest::Provider::pay($t, $id, notify => 0);
    $close->($id);
    becomes($t, $id, 2, 'what is paid cannot be closed');
};


subtest 'refunds' => sub {
    my $id = paid('whole');
    my $r = refunded($t, $m, $id);
    refund_is($t, $r, 4, 'done at once');
    soon('the order', sub { order_of($id)->{status} == 7 });

    foreach my $e (qw(429 500 before lost late500 timeout unsigned forged
                      cut e:ACQ.SYSTEM_ERROR e:isv.invalid-signature))
    {
        $id = paid("refund with $e");
        fault('arefund', $e, 1);
        $r = refunded($t, $m, $id);
        refund_is($t, $r, 4, "done in spite of $e");
        is(contents('arefund', "R$r"), 1, 'always the same');
        is(scalar(grep { $_->{trade} eq $id } RushTest::Provider::all(
            RushTest::Provider::dir($t), 'refund')), 1, 'one refund there');
    }

    $id = paid('refund, told of another trade');
    fault('arefund', 'elsewhere', 1);
    my $before = calls($t, 'arefund_query');
    $r = refunded($t, $m, $id);
    refund_is($t, $r, 4, 'done');
    cmp_ok(calls($t, 'arefund_query'), '>', $before,
           'not believed: asked what became of it');

    foreach my $code (qw(ACQ.SELLER_BALANCE_NOT_ENOUGH
                         ACQ.REASON_TRADE_REFUND_FEE_ERR
                         ACQ.REASON_TRADE_BEEN_FREEZEN
                         ACQ.TRADE_HAS_FINISHED))
    {
        $id = paid("refund with $code");
        fault('arefund', "e:$code", 1);
        $r = refunded($t, $m, $id);
        refund_is($t, $r, 6, $code);
        like($t->value('SELECT cause FROM refund WHERE id = ?', $r),
             qr/\Q$code\E$/, 'cause');
    }

    $t->do('UPDATE refund SET state = 2, next_ms = 0 WHERE id = ?', $r);
    refund_is($t, $r, 4, 'once more, the same number');

    $id = paid('parts');
    my @r = map { refunded($t, $m, $id, amount => $_) } 300, 300, 400;
    refund_is($t, $_, 4, 'a part') foreach @r;
    is(row($id)->{returned}, 1000, 'all of it');
};


subtest 'bills' => sub {
    not_due($t);
    my @d = gmtime(time() + 8 * 3600);
    my $day = ($d[5] + 1900) * 10000 + ($d[4] + 1) * 100 + $d[3];
    my $ask = sub {
        $t->do('DELETE FROM bill');
        $t->do('INSERT INTO bill (day, provider, created_ms, updated_ms) '
               . 'VALUES (?, 2, 1, 1)', $_[0]);
    };
    my $bill = sub { my ($b) = $t->sql('SELECT * FROM bill'); return $b };

    $ask->($day);
    soon('compared', sub { $bill->()->{state} == 1 });
    ok($bill->()->{trades} > 10, 'trades');
    ok($bill->()->{refunds} > 10, 'refunds');
    is(join(' ', map { "$_->{kind} $_->{number}" } grep {
        $_->{kind} ne 'pay_missing' } $t->sql('SELECT * FROM bill_diff')), '',
       'no other difference than the payment that was doubted');

    $ask->(20200101);
    soon('a day without trades', sub { $bill->()->{state} == 1 });

    fault('adownload', 'cut', 1);
    $ask->($day);
    soon('a file that breaks off: again', sub { $bill->()->{state} == 1 });

    fault('adownload', 'html', 1);
    $ask->($day);
    soon('no bill: failed', sub { $bill->()->{state} == 2 });
};


clean($t, 'the books');

$t->finish();
done_testing();
