#!/usr/bin/perl

# Copyright (C) Rush
#
# WeChat Pay against the stand-in: every channel, every error of its list,
# answers that nobody has signed, certificates that change, refunds.  Whatever
# happens, one trade a payment and one refund a number.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon gauge clean log_lines);
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use Test::More;
use Time::HiRes qw(sleep time);

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(nginx => 0, start => 0,
    consumer_conf => RushTest::Teller::conf(port => $port,
        wechat_pay => { certificates => 86400 }));
my $m = RushTest::Money->new($t);

RushTest::Provider::add($t, $port);
$t->start(qw(redis mysql provider consumer));
$t->secret($RushTest::Provider::APIV3, 'oCanaryOpenid1');


sub row { return $m->row('payment', $_[0]) }
sub order_of { return $m->row('orders', row($_[0])->{order_no}) }
sub trade { return RushTest::Provider::trade($t, $_[0]) }
sub fault { return RushTest::Provider::fault($t, @_) }
sub prepay { return asked($t, $m, 'wechat_native', @_) }


sub opened {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return RushTest::Teller::opened($t, $m, 'wechat_native', $name);
}


sub paid {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return RushTest::Teller::paid($t, $m, 'wechat_native', @_);
}


# bodies of all calls of this operation for a number: they must be one

sub bodies {
    my ($op, $no) = @_;
    my %all = map { $_->{body} => 1 }
        grep { $_->{body} =~ /"\Q$no\E"/ } RushTest::Provider::got($t, $op);
    return scalar keys %all;
}


soon('certificates are fetched',
     sub { $t->redis()->exists('{rush}k:wx:'
                               . $RushTest::Provider::SERIAL{wx1}) });
ok($t->redis()->pttl('{rush}k:wx:' . $RushTest::Provider::SERIAL{wx1})
   > 86400_000, 'and live as long as they are good');
unlike($t->redis()->get('{rush}k:wx:' . $RushTest::Provider::SERIAL{wx1}),
       qr/CERTIFICATE/, 'sealed');


subtest 'channels' => sub {
    my $id = opened('native');
    like(params($t, $id)->{code_url}, qr{^weixin://}, 'a code');
    is(trade($id)->{total}, 1000, 'the amount of our row');
    like(trade($id)->{expire}, qr/\+08:00$/, 'until the deadline');

    $id = asked($t, $m, 'wechat_jsapi');
    becomes($t, $id, 1, 'jsapi');
    my $p = params($t, $id);
    is(join(' ', sort keys %$p), 'appId nonceStr package paySign signType '
       . 'timeStamp', 'parameters');
    is($p->{package}, 'prepay_id=' . trade($id)->{prepay}, 'of this trade');
    ok(RushTest::Provider::Crypto::verify(
        RushTest::Provider::file($t, 'merchant.crt'), join('', map { "$_\n" }
        @$p{qw(appId timeStamp nonceStr package)}), $p->{paySign}), 'signed');

    $id = asked($t, $m, 'wechat_h5');
    becomes($t, $id, 1, 'h5');
    like(params($t, $id)->{h5_url}, qr{^https://wx\.tenpay\.com/}, 'a page');

    $id = asked($t, $m, 'wechat_jsapi', payer => '');
    becomes($t, $id, 5, 'jsapi without an openid');
    is(trade($id), undef, 'is not asked for');
};


subtest 'paid' => sub {
    my $id = paid('found by a question');
    is(order_of($id)->{status}, 2, 'the order');
    is(row($id)->{transaction_id}, trade($id)->{id}, 'transaction');

    # a worker has set the row due: sync=1
    $id = opened();
    RushTest::Provider::pay($t, $id, notify => 0);
    $t->do('UPDATE payment SET next_ms = 1 WHERE id = ?', $id);
    hint($t, $id);
    becomes($t, $id, 2, 'asked for by a client');

    # what a provider says of another amount is no payment
    $id = opened();
    RushTest::Provider::set($t, $id, total => 1);
    RushTest::Provider::pay($t, $id, notify => 0);
    now_due($t);
    soon('a doubt is kept', sub { scalar $m->told(payment_id => $id,
                                                  state => 3) });
    is(row($id)->{state}, 1, 'another amount: not paid');
    like($m->alarms(), qr/mismatch|pay/, 'an alarm');
    $m->close($id);
};


subtest 'errors of prepay' => sub {
    foreach my $e (qw(400:PARAM_ERROR 400:APPID_MCHID_NOT_MATCH
                      400:MCH_NOT_EXISTS 400:ORDER_CLOSED 401:SIGN_ERROR
                      403:NO_AUTH 403:ACCOUNT_ERROR 403:RULE_LIMIT
                      403:TRADE_ERROR 403:NOT_ENOUGH
                      403:USER_ACCOUNT_ABNORMAL 400:INVALID_REQUEST
                      404:RESOURCE_NOT_EXISTS))
    {
        my ($code) = $e =~ /:(.*)/;
        fault('native', "e$e", 1);
        my $id = prepay();
        becomes($t, $id, 5, $code);
        is(row($id)->{cause}, $code, 'cause');
    }

    foreach my $e (qw(429 e429:FREQUENCY_LIMITED 500 502 503
                      e500:SYSTEM_ERROR e500:BANK_ERROR before lost late500
                      timeout unsigned forged wrongkey stale signtest html
                      cut big))
    {
        fault('native', $e, 1);
        my $id = prepay();
        becomes($t, $id, 1, "again after $e");
        is(bodies('native', $id), 1, 'always the same bytes');
        my @q = grep { $_->{path} =~ /$id/ }
            RushTest::Provider::got($t, 'query');

        # over a connection that was used before curl sends again by itself
        ok(scalar @q || $e =~ /^(?:before|lost|429|e429.*)$/,
           'a question before the second try');
    }

    # somebody has used this number: the provider knows how
    foreach my $e (qw(403:ORDER_PAID 403:OUT_TRADE_NO_USED)) {
        fault('native', "e$e", 1);
        my $id = prepay();
        becomes($t, $id, 1, $e);
    }

    # it was paid by somebody before we knew that it exists
    fault('native', 'lost', 1);
    fault('query', '503', 1);
    my $id = prepay();
    soon('made', sub { trade($id) });
    RushTest::Provider::pay($t, $id, notify => 0);
    becomes($t, $id, 2, 'paid before it was open');
};


subtest 'answers that are not signed are counted' => sub {
    my $g = gauges($t);
    my $n = $g->{'pay_calls_total{provider="wechat",outcome="forged"}'};
    ok($n >= 6, "$n forged");
    like($m->alarms(), qr/pay_forged/, 'an alarm');
    is(scalar(RushTest::Provider::bad($t)), 0, 'ours are all good')
        or diag(explain([map { "$_->{op}: $_->{why}" }
                         RushTest::Provider::bad($t)]));
};


subtest 'questions that go wrong' => sub {
    foreach my $e (qw(429 500 before timeout unsigned forged cut
                      e404:ORDER_NOT_EXIST e401:SIGN_ERROR))
    {
        my $id = opened();
        RushTest::Provider::pay($t, $id, notify => 0);
        fault('query', $e, 1);
        RushTest::Teller::due($t, $id);
        becomes($t, $id, 2, "paid in spite of $e");
    }
};


subtest 'close' => sub {
    my $close = sub {
        $t->do('UPDATE payment SET state = 3, tries = 0, next_ms = 0 '
               . 'WHERE id = ?', $_[0]);
        hint($t, $_[0]);
    };

    my $id = opened();
    $close->($id);
    becomes($t, $id, 4, 'closed');
    is(trade($id)->{state}, 'CLOSED', 'at the provider');

    foreach my $e (qw(429 500 before lost timeout unsigned
                      e403:TRADE_ERROR e500:SYSTEM_ERROR))
    {
        $id = opened();
        fault('close', $e, 1);
        $close->($id);
        becomes($t, $id, 4, "closed in spite of $e");
        is(trade($id)->{state}, 'CLOSED', 'at the provider');
    }

    # nobody has signed that it is
    $id = opened();
    fault('close', 'u400:ORDER_CLOSED', 1);
    $close->($id);
    becomes($t, $id, 4, 'closed in the end');
    is(trade($id)->{state}, 'CLOSED', 'at the provider, too');

    # the buyer is at it: nothing is closed
    $id = opened();
    RushTest::Provider::set($t, $id, state => 'USERPAYING');
    $close->($id);
    soon('asked more than once', sub { row($id)->{tries} > 2 });
    is(row($id)->{state}, 3, 'waits');
    RushTest::Provider::set($t, $id, state => 'NOTPAY');
    becomes($t, $id, 4, 'then it is closed');

    # paid between the question and the close
    $id = opened();
    fault('close', 'e400:ORDER_PAID', 1);
    $close->($id);
    RushTest::Provider::pay($t, $id, notify => 0)
        if trade($id)->{state} eq 'NOTPAY';
    soon('settled', sub { row($id)->{state} =~ /^[24]$/ });

    # it never arrived there
    $id = $m->pay($m->order(), by => 'wechat', state => 3, tries => 1);
    becomes($t, $id, 4, 'the provider has never seen it');
};


subtest 'certificates change' => sub {
    my $before = calls($t, 'certificates');
    RushTest::Provider::certs($t, qw(wx1 wx2));
    RushTest::Provider::signer($t, 'wx2');

    my $id = prepay();
    becomes($t, $id, 1, 'signed by a new one');
    ok(calls($t, 'certificates') > $before, 'which was fetched');
    soon('workers have it', sub { $t->redis()->exists('{rush}k:wx:'
        . $RushTest::Provider::SERIAL{wx2}) });

    RushTest::Provider::signer($t, 'wx1');
    opened('the old one is still good');

    RushTest::Provider::signer($t, 'wx2');
    $t->redis()->del(map { "{rush}k:wx:$RushTest::Provider::SERIAL{$_}" }
                     qw(wx1 wx2));
    $t->restart('redis');
    soon('published again', sub { $t->redis()->exists('{rush}k:wx:'
        . $RushTest::Provider::SERIAL{wx1}) });
    RushTest::Provider::certs($t, 'wx1');
    RushTest::Provider::signer($t, '');
};


subtest 'refunds' => sub {
    my $id = paid('whole');
    my $r = refunded($t, $m, $id);
    refund_is($t, $r, 3, 'the provider is at it');
    RushTest::Provider::settle($t, "R$r", 'SUCCESS', notify => 0);
    refund_is($t, $r, 4, 'a question tells that it is done');
    soon('the order', sub { order_of($id)->{status} == 7 });

    foreach my $e (qw(429 500 before lost late500 timeout unsigned forged
                      cut e500:SYSTEM_ERROR e401:SIGN_ERROR))
    {
        $id = paid("refund with $e");
        fault('refund', $e, 1);
        $r = refunded($t, $m, $id);
        refund_is($t, $r, 3, "sent in spite of $e");
        is(bodies('refund', "R$r"), 1, 'always the same bytes');
        is(scalar(grep { $_->{trade} eq $id } RushTest::Provider::all(
            RushTest::Provider::dir($t), 'refund')), 1, 'one refund there');
        RushTest::Provider::settle($t, "R$r", 'SUCCESS', notify => 0);
        refund_is($t, $r, 4, 'done');
    }

    foreach my $e (qw(403:NOT_ENOUGH 400:INVALID_REQUEST 403:TRADE_ERROR
                      404:RESOURCE_NOT_EXISTS))
    {
        my ($code) = $e =~ /:(.*)/;
        $id = paid("refund with $e");
        fault('refund', "e$e", 1);
        $r = refunded($t, $m, $id);
        refund_is($t, $r, 6, $code);
        is($t->value('SELECT cause FROM refund WHERE id = ?', $r), $code,
           'cause');
    }

    # an operator lets it begin again: the same number
    $t->do('UPDATE refund SET state = 2, next_ms = 0 WHERE id = ?', $r);
    refund_is($t, $r, 3, 'once more');
    is(bodies('refund', "R$r"), 1, 'the same bytes');

    foreach my $state (qw(ABNORMAL CLOSED)) {
        $id = paid($state);
        $r = refunded($t, $m, $id);
        refund_is($t, $r, 3);
        RushTest::Provider::settle($t, "R$r", $state, notify => 0);
        refund_is($t, $r, 6, $state);
    }

    $id = paid('parts');
    my @r = map { refunded($t, $m, $id, amount => $_) } 300, 300, 400;
    foreach my $part (@r) {
        soon('sent', sub { RushTest::Provider::refund($t, "R$part") });
        RushTest::Provider::settle($t, "R$part", 'SUCCESS', notify => 0);
        refund_is($t, $part, 4, 'a part');
    }
    is(row($id)->{returned}, 1000, 'all of it');
};


subtest 'bills' => sub {
    not_due($t);
    my @d = gmtime(time() + 8 * 3600);
    my $day = ($d[5] + 1900) * 10000 + ($d[4] + 1) * 100 + $d[3];
    my $ask = sub {
        $t->do('DELETE FROM bill');
        $t->do('INSERT INTO bill (day, provider, created_ms, updated_ms) '
               . 'VALUES (?, 1, 1, 1)', $_[0]);
    };
    my $bill = sub { my ($b) = $t->sql('SELECT * FROM bill'); return $b };

    $ask->($day);
    soon('compared', sub { $bill->()->{state} == 1 });
    ok($bill->()->{trades} > 10, 'trades');
    ok($bill->()->{refunds} > 10, 'refunds');
    diag(explain([$t->sql('SELECT kind, COUNT(*) n FROM bill_diff '
                          . 'GROUP BY kind')])) if $ENV{TEST_VERBOSE};

    $ask->(20200101);
    soon('a day without trades', sub { $bill->()->{state} == 1 });
    is($bill->()->{trades}, 0, 'none');

    fault('tradebill', 'badhash', 1);
    $ask->($day);
    soon('another digest: again', sub { $bill->()->{state} == 1 });
    ok($bill->()->{tries} > 2, 'tries');

    fault('download', '500', 1);
    $ask->($day);
    soon('a file that does not come: again', sub { $bill->()->{state} == 1 });

    fault('tradebill', 'e403:NO_AUTH', 1);
    $ask->($day);
    soon('refused', sub { $bill->()->{state} == 2 });
    is($bill->()->{cause}, 'NO_AUTH', 'cause');
};


my %trades;
$trades{$_->{body} =~ /"out_trade_no":"(\d+)"/ ? $1 : ''}++
    foreach RushTest::Provider::got($t, 'native');
is(scalar(grep { $_->{provider} ne 'wechat' } RushTest::Provider::all(
    RushTest::Provider::dir($t), 'trade')), 0, 'trades of WeChat only');
clean($t, 'the books');

$t->finish();
done_testing();
