#!/usr/bin/perl

# Copyright (C) Rush
#
# The stand-in for payment providers itself: it takes what is signed and
# refuses what is not, and its own signatures are good.  The client here has
# nothing of ours in it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use Compress::Zlib ();
use Digest::SHA qw(sha1_hex);
use Encode qw(decode);
use HTTP::Tiny;
use IO::Uncompress::Unzip qw(unzip);
use JSON::PP ();
use POSIX qw(strftime);
use RushTest;
use RushTest::Provider;
use Test::More;
use Time::HiRes qw(time);

my $json = JSON::PP->new->canonical->utf8;
my $port = RushTest::Backend::free_port();
my $t = RushTest->new(redis => 0, mysql => 0, consumer => 0, nginx => 0,
                      start => 0);

RushTest::Provider::add($t, $port);
$t->start('provider');

my $http = HTTP::Tiny->new(timeout => 5, agent => 'rush-test',
                           max_redirect => 0);
my $serial = 1000000;


sub file { return RushTest::Provider::file($t, $_[0]) }
sub sign { return RushTest::Provider::Crypto::sign(file($_[0]), $_[1]) }
sub number { return 'T' . $serial++ }


# --- WeChat ---

# o: key, mchid, serial, at, nonce, target (that is signed), pub

sub wx {
    my ($method, $target, $data, %o) = @_;

    my $body = defined $data ? $json->encode($data) : '';
    my $at = $o{at} // int time;
    my $nonce = $o{nonce} // 'abcdefgh01234567';
    my $signed = $o{signed} // $target;
    my $sign = sign($o{key} // 'merchant.key',
                    "$method\n$signed\n$at\n$nonce\n$body\n");
    my $mchid = $o{mchid} // $RushTest::Provider::MCHID;
    my $no = $o{serial} // $RushTest::Provider::SERIAL{merchant};

    my $r = $http->request($method, RushTest::Provider::url($t, $target), {
        headers => { Accept => 'application/json',
            ($body ne '' ? ('Content-Type' => 'application/json') : ()),
            ($o{pub} ? ('Wechatpay-Serial' =>
                        $RushTest::Provider::SERIAL{wxpub}) : ()),
            Authorization => 'WECHATPAY2-SHA256-RSA2048 '
                . qq(mchid="$mchid",nonce_str="$nonce",timestamp="$at",)
                . qq(serial_no="$no",signature="$sign") },
        content => $body });

    $r->{json} = eval { $json->decode($r->{content}) };
    return $r;
}


# is an answer signed by this key?

sub is_signed {
    my ($r, $key) = @_;
    my $h = $r->{headers};
    my $text = join '', map { ($_ // '') . "\n" }
        @$h{qw(wechatpay-timestamp wechatpay-nonce)}, $r->{content};
    return RushTest::Provider::Crypto::verify(file($key), $text,
        $h->{'wechatpay-signature'} // '');
}


sub order {
    my ($no, %o) = @_;
    return { appid => $RushTest::Provider::APPID,
             mchid => $RushTest::Provider::MCHID, description => 'a thing',
             out_trade_no => $no, notify_url => 'https://x.example/n',
             amount => { total => 100, currency => 'CNY' }, %o };
}


my $pay = '/v3/pay/transactions';
my $no = number();
my $query = "$pay/out-trade-no/$no?mchid=$RushTest::Provider::MCHID";
my $r = wx('POST', "$pay/native", order($no));

is($r->{status}, 200, 'native prepay') or diag($r->{content});
like($r->{json}{code_url}, qr{^weixin://}, 'has a QR code');
ok(is_signed($r, 'wx1.crt'), 'the answer is signed');
ok(!is_signed($r, 'wx2.crt'), 'by this key only');
is(wx('POST', "$pay/native", order($no))->{json}{code_url},
   $r->{json}{code_url}, 'the same again is the same');
is(wx('POST', "$pay/native", order($no, amount => { total => 99 }))
   ->{json}{code}, 'INVALID_REQUEST', 'with another amount it is refused');

foreach my $case (['another key', key => 'other.key'],
                  ['another merchant', mchid => '1900000110'],
                  ['another serial', serial => 'AB'],
                  ['an old time', at => int(time) - 400],
                  ['no nonce', nonce => ''],
                  ['another path', signed => "$pay/native?a=1"])
{
    my ($name, @o) = @$case;
    my $bad = wx('POST', "$pay/native", order(number()), @o);
    is("$bad->{status} $bad->{json}{code}", '401 SIGN_ERROR',
       "$name: refused");
}

is(scalar RushTest::Provider::bad($t), 6, 'and all of them are noted');

is(wx('GET', $query)->{json}{trade_state}, 'NOTPAY', 'not paid');
ok(is_signed(wx('GET', $query, undef, pub => 1), 'wxpub.pub'),
   'answers by the public key when it is asked for');
is(wx('GET', "$pay/out-trade-no/Tnone1?mchid=$RushTest::Provider::MCHID")
   ->{json}{code}, 'ORDER_NOT_EXIST', 'an order that is not there');

foreach my $case (['jsapi without payer', 'jsapi', {}],
                  ['h5 without scene', 'h5', {}],
                  ['no amount', 'native', { amount => {} }],
                  ['another app', 'native', { appid => 'wx1' }])
{
    my ($name, $way, $o) = @$case;
    is(wx('POST', "$pay/$way", order(number(), %$o))->{json}{code},
       'PARAM_ERROR', $name);
}

ok(wx('POST', "$pay/jsapi", order(number(), payer => { openid => 'o1' }))
   ->{json}{prepay_id}, 'jsapi prepay');
ok(wx('POST', "$pay/h5", order(number(), scene_info => {
       payer_client_ip => '127.0.0.1', h5_info => { type => 'Wap' } }))
   ->{json}{h5_url}, 'h5 prepay');

my $gone = number();
wx('POST', "$pay/native", order($gone));
my $close = wx('POST', "$pay/out-trade-no/$gone/close",
               { mchid => $RushTest::Provider::MCHID });
is($close->{status} . ($close->{content} // ''), '204', 'closed');
ok(is_signed($close, 'wx1.crt'), 'and signed without a body');
is(wx('POST', "$pay/native", order($gone))->{json}{code}, 'ORDER_CLOSED',
   'a number that was closed is no good any more');

RushTest::Provider::pay($t, $no, notify => 0);
$r = wx('GET', $query);
is($r->{json}{trade_state}, 'SUCCESS', 'paid');
is($r->{json}{amount}{total}, 100, 'with its amount');
is(wx('POST', "$pay/out-trade-no/$no/close",
      { mchid => $RushTest::Provider::MCHID })->{json}{code}, 'ORDER_PAID',
   'what is paid is not closed');


# --- refunds ---

sub give_back {
    my ($trade, $name, $sum, %o) = @_;
    return wx('POST', '/v3/refund/domestic/refunds', {
        out_trade_no => $trade, out_refund_no => $name, reason => 'r',
        amount => { refund => $sum, total => 100, currency => 'CNY' }, %o });
}


is(give_back($no, 'R1', 60)->{json}{status}, 'PROCESSING', 'a refund');
is(give_back($no, 'R1', 60)->{json}{status}, 'PROCESSING', 'twice is once');
is(give_back($no, 'R1', 61)->{json}{code}, 'INVALID_REQUEST',
   'with another amount it is refused');
is(give_back($no, 'R2', 41)->{json}{code}, 'INVALID_REQUEST',
   'more than is left is refused');
is(give_back($no, 'R2', 40)->{json}{status}, 'PROCESSING', 'the rest is not');
is(give_back($gone, 'R3', 1)->{json}{code}, 'TRADE_ERROR',
   'nothing was paid');
RushTest::Provider::settle($t, 'R1', 'SUCCESS', notify => 0);
is(wx('GET', '/v3/refund/domestic/refunds/R1')->{json}{status}, 'SUCCESS',
   'done in the end');
is(wx('GET', '/v3/refund/domestic/refunds/R9')->{json}{code},
   'RESOURCE_NOT_EXISTS', 'a refund that is not there');
is(wx('GET', $query)->{json}{trade_state}, 'REFUND', 'the trade tells');


# --- certificates ---

RushTest::Provider::certs($t, 'wx1', 'wx2');
$r = wx('GET', '/v3/certificates');
is(scalar @{$r->{json}{data}}, 2, 'two certificates');

foreach my $i (0, 1) {
    my $c = $r->{json}{data}[$i]{encrypt_certificate};
    is(RushTest::Provider::Crypto::unseal($RushTest::Provider::APIV3,
           $c->{nonce}, $c->{associated_data}, $c->{ciphertext}),
       RushTest::slurp(file('wx' . ($i + 1) . '.crt')),
       'that can be decrypted');
}

RushTest::Provider::signer($t, 'wx2');
ok(is_signed(wx('GET', $query), 'wx2.crt'), 'the new one signs');
RushTest::Provider::signer($t, '');


# --- bills ---

my $today = RushTest::Provider::day(time);

$r = wx('GET', "/v3/bill/tradebill?bill_date=$today&bill_type=ALL&"
        . 'tar_type=GZIP');
is($r->{json}{hash_type}, 'SHA1', 'a bill') or diag($r->{content});

my ($target) = $r->{json}{download_url} =~ m{^http://[^/]+(/.*)};
my $bill = wx('GET', $target);
my $text = Compress::Zlib::memGunzip($bill->{content});

is(sha1_hex($text), $r->{json}{hash_value}, 'with its hash');
is($bill->{headers}{'wechatpay-signature'}, undef, 'and no signature');
is(scalar(() = $text =~ /^`20/mg), 3, 'a payment and two refunds');
like($text, qr/^`3,`1\.00,`1\.00,/m, 'and their sums');
is(wx('GET', '/v3/bill/tradebill?bill_date=2020-01-01')->{json}{code},
   'NO_STATEMENT_EXIST', 'a day without any');


# --- faults ---

RushTest::Provider::fault($t, 'native', 'lost', 1);
$no = number();
is(wx('POST', "$pay/native", order($no))->{status}, 599, 'lost');
ok(RushTest::Provider::trade($t, $no), 'but it is done');
is(wx('POST', "$pay/native", order($no))->{status}, 200, 'once only');

RushTest::Provider::fault($t, 'native', 'before', 1);
$no = number();
is(wx('POST', "$pay/native", order($no))->{status}, 599, 'before');
is(RushTest::Provider::trade($t, $no), undef, 'it is not done');

foreach my $fault (qw(unsigned forged wrongkey signtest)) {
    RushTest::Provider::fault($t, 'native', $fault, 1);
    $r = wx('POST', "$pay/native", order($no));
    ok($r->{status} == 200 && !is_signed($r, 'wx1.crt'), $fault);
}

RushTest::Provider::fault($t, 'all', '503', 1);
is(wx('GET', $query)->{status}, 503, 'a page of 503');
RushTest::Provider::fault($t, 'query', 'e403:RULE_LIMIT', 1);
is(wx('GET', $query)->{json}{code}, 'RULE_LIMIT', 'an error');


# --- Alipay ---

sub china { return RushTest::Provider::china(time) }


# o: key, and fields of the form

sub ali {
    my ($method, $data, %o) = @_;

    my $key = delete $o{key} // 'app.key';
    my $via = delete $o{via} // 'POST';
    my %f = (app_id => $RushTest::Provider::APP, method => $method,
             format => 'JSON', charset => 'utf-8', sign_type => 'RSA2',
             timestamp => china(), version => '1.0',
             biz_content => $json->encode($data), %o);

    my $text = join '&', map { "$_=$f{$_}" } sort keys %f;

    $f{sign} = sign($key, $text);

    my $form = join '&', map {
        "$_=" . RushTest::Provider::Alipay::escape($f{$_}) } keys %f;
    my $url = RushTest::Provider::url($t, '/gateway.do');
    my $res = $via eq 'GET' ? $http->get("$url?$form")
        : $http->post($url, { content => $form, headers => {
            'Content-Type' => 'application/x-www-form-urlencoded' } });

    my ($name, $value, $sign) = $res->{content}
        =~ /^\{"(\w+)":(\{.*?\})(?:,"sign":"(.*)")?\}\z/s;

    if (defined $name) {
        $sign = ($sign // '') =~ s{\\/}{/}gr;
        @$res{qw(name json)} = ($name, $json->decode($value));
        $res->{good} = RushTest::Provider::Crypto::verify(
            file('alipay.crt'), $value, $sign);
    }

    return $res;
}


sub thing {
    my ($name, %o) = @_;
    return { out_trade_no => $name, total_amount => '1.00',
             subject => 'a thing', %o };
}


$no = number();
$r = ali('alipay.trade.precreate', thing($no));
is("$r->{name} $r->{json}{code}", 'alipay_trade_precreate_response 10000',
   'precreate') or diag($r->{content});
ok($r->{good}, 'the answer is signed');
like($r->{content}, qr{https:\\/\\/qr}, 'with its slashes escaped');
is(ali('alipay.trade.query', { out_trade_no => $no })->{json}{sub_code},
   'ACQ.TRADE_NOT_EXIST', 'nobody has scanned it');
is(ali('alipay.trade.precreate', thing($no, total_amount => '2.00'))
   ->{json}{sub_code}, 'ACQ.CONTEXT_INCONSISTENT', 'another amount');

$r = ali('alipay.trade.precreate', thing(number()), key => 'other.key');
is("$r->{name} $r->{json}{sub_code}", 'error_response isv.invalid-signature',
   'another key is refused');
is(ali('alipay.trade.precreate', thing(number()), app_id => '1')
   ->{json}{code}, '40002', 'another app');
is(ali('alipay.trade.query', {}, timestamp => '2020-01-01 00:00:00')
   ->{json}{sub_code}, 'isv.invalid-timestamp', 'an old time');

RushTest::Provider::pay($t, $no, notify => 0);
$r = ali('alipay.trade.query', { out_trade_no => $no });
is("$r->{json}{trade_status} $r->{json}{total_amount}",
   'TRADE_SUCCESS 1.00', 'paid');
is(ali('alipay.trade.close', { out_trade_no => $no })->{json}{sub_code},
   'ACQ.TRADE_STATUS_ERROR', 'what is paid is not closed');

my @back = ('alipay.trade.refund', { out_trade_no => $no,
    refund_amount => '0.40', out_request_no => 'R10' });
$r = ali(@back);
is("$r->{json}{fund_change} $r->{json}{refund_fee}", 'Y 0.40', 'a refund');
is(ali(@back)->{json}{fund_change}, 'N', 'twice is once');
$back[1]{refund_amount} = '0.41';
is(ali(@back)->{json}{sub_code}, 'ACQ.DISCORDANT_REPEAT_REQUEST',
   'another amount');
@{$back[1]}{qw(refund_amount out_request_no)} = ('0.61', 'R11');
is(ali(@back)->{json}{sub_code}, 'ACQ.REASON_TRADE_REFUND_FEE_ERR',
   'more than is left');
$r = ali('alipay.trade.fastpay.refund.query',
         { out_trade_no => $no, out_request_no => 'R10' });
is($r->{json}{refund_status}, 'REFUND_SUCCESS', 'it is done');
$r = ali('alipay.trade.fastpay.refund.query',
         { out_trade_no => $no, out_request_no => 'R11' });
is("$r->{json}{code} " . ($r->{json}{refund_status} // '-'), '10000 -',
   'and the other is not');

my $page = number();
$r = ali('alipay.trade.page.pay', thing($page, product_code =>
         'FAST_INSTANT_TRADE_PAY'), via => 'GET');
is("$r->{status} $r->{content}", "200 a page to pay $page\n", 'a page');
is(ali('alipay.trade.close', { out_trade_no => $page })->{json}{code},
   '10000', 'closed');
is(ali('alipay.trade.query', { out_trade_no => $page })
   ->{json}{trade_status}, 'TRADE_CLOSED', 'and stays so');

$r = ali('alipay.data.dataservice.bill.downloadurl.query',
         { bill_type => 'trade', bill_date => $today });
my $zip = $http->get($r->{json}{bill_download_url})->{content};
unzip(\$zip => \my $csv);
$csv = decode('cp936', $csv);
is(scalar(() = $csv =~ /^\d+\t,T\d+\t,/mg), 2, 'a payment and a refund')
    or diag($csv);
like($csv, qr/,-0\.40\t,-0\.40\t,/, 'with their amounts');

foreach my $fault (qw(unsigned forged wrongkey)) {
    RushTest::Provider::fault($t, 'aquery', $fault, 1);
    $r = ali('alipay.trade.query', { out_trade_no => $no });
    ok($r->{json}{code} eq '10000' && !$r->{good}, "$fault, Alipay");
}

RushTest::Provider::fault($t, 'aquery', 'e:ACQ.SYSTEM_ERROR', 1);
is(ali('alipay.trade.query', { out_trade_no => $no })->{json}{code}, '20000',
   'an error of Alipay');

$t->finish();
done_testing();
