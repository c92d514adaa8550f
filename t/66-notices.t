#!/usr/bin/perl

# Copyright (C) Rush
#
# Notices of WeChat Pay as a worker takes them: what is genuine stands in the
# stream before it is answered, all else is refused, counted and leaves nothing.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Provider;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new(start => 0, mysql => 0, consumer => 0,
    nginx => { workers => 2, extra_http => 'client_body_buffer_size 64k;'
               . RushTest::Provider::conf() });

RushTest::Provider::add($t, RushTest::Backend::free_port());
$t->start(qw(redis nginx));

my $path = '/api/v1/payment/callback/wechat';
my $serial = 1000000;
my $kept = 0;


sub notice { return RushTest::Provider::notice($t, 'T' . ++$serial, @_) }


sub metric {
    my ($name) = @_;
    my $r = $t->get('/metrics', record => 0);
    return $r->{body} =~ /^rush_notice_${name}_total (\d+)/m ? $1 : -1;
}


# an answer that says yes, and its entry

sub taken {
    my ($notice, $name, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $r = RushTest::Provider::deliver($t, $notice, %o);

    is("$r->{status} $r->{body}", '200 ', "$name: taken");

    my @all = RushTest::Provider::entries($t);
    is(scalar @all, ++$kept, "$name: in the stream");

    return $all[-1];
}


# one that says no, and no entry

sub refused {
    my ($notice, $status, $reason, $name, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    local $RushTest::Mode::still = 1;

    my $before = metric($reason);
    my $r = RushTest::Provider::deliver($t, $notice, record => 0, %o);

    is($r->{status}, $status, "$name: $status");
    like($r->{body}, qr/^\{"code":"FAIL","message":"[a-z ]+"\}\z/,
         "$name: in WeChat's form");
    is(metric($reason), $before + 1, "$name: counted as $reason");
    is(scalar(RushTest::Provider::entries($t)), $kept, "$name: no entry");
}


# --- what is genuine ---

my $pub = { key => 'wxpub' };
my $now = int(1000 * time);
my $n = notice(%$pub, id => 'EV-2018022511223320873', total => 4200);
my $e = taken($n, 'a payment');

is("$e->{p} $e->{k} $e->{n}", 'wechat pay EV-2018022511223320873',
   'provider, kind and key');
cmp_ok(abs($e->{r} - $now), '<', 5000, 'and when it came');
is($e->{data}{out_trade_no}, "T$serial", 'the trade');
is("$e->{data}{trade_state} $e->{data}{amount}{total} "
   . "$e->{data}{amount}{currency}", 'SUCCESS 4200 CNY', 'and its money');
is($e->{data}{mchid}, $RushTest::Provider::MCHID, 'and its merchant');

$e = taken($n, 'the same once more');
is($e->{n}, 'EV-2018022511223320873', 'has the same key');

RushTest::Provider::set($t, 'T5000', state => 'SUCCESS', total => 100,
                        paid => time, id => 'W1');
RushTest::Provider::store(RushTest::Provider::dir($t), 'refund', 'R77', {
    no => 'R77', trade => 'T5000', amount => 30, state => 'SUCCESS',
    id => 'W2', made => time, done => time });

my $alias = '/api/v1/pay/wechat/notify';

foreach my $where ("$path/refund", $path, $alias) {
    $e = taken(RushTest::Provider::notice($t, 'R77', %$pub, path => $where),
               "a refund to $where");
    is("$e->{k} $e->{data}{out_refund_no} $e->{data}{refund_status} "
       . $e->{data}{amount}{refund}, 'refund R77 SUCCESS 30', 'is a refund');
}

foreach my $where ("$path/refund", $alias) {
    $e = taken(notice(%$pub, path => $where), "a payment to $where");
    is($e->{k}, 'pay', 'is a payment');
}

$e = taken(notice(%$pub, id => 'EV ' . "\x{4e2d}" x 30), 'a strange id');
like($e->{n}, qr/^h:[0-9a-f]{62}\z/, 'has a hash instead');

my $id = $e->{n};
$e = taken(notice(%$pub, id => 'x' x 65), 'a long id');
like($e->{n}, qr/^h:[0-9a-f]{62}\z/, 'has a hash too');
isnt($e->{n}, $id, 'of its own');

foreach my $type ('text/plain', 'application/json; charset=utf-8', '') {
    taken({ %{notice(%$pub)}, type => $type }, "type \"$type\"");
}

# the bytes count, not the JSON

$e = taken(notice(%$pub, fields => { attach => "a/b \"\\\n" }), 'escapes');
is($e->{data}{attach}, "a/b \"\\\n", 'as they were');


# --- events of no meaning ---

foreach my $type ('PAYSCORE.USER_OPEN_SERVICE', 'TRANSACTION', 'x') {
    my $before = metric('ignored');
    my $r = RushTest::Provider::deliver($t, notice(%$pub, type => $type));
    is("$r->{status} $r->{body}", '200 ', "event $type: answered");
    is(metric('ignored'), $before + 1, 'and counted');
    is(scalar(RushTest::Provider::entries($t)), $kept, 'no entry');
}


# --- forged ---

my $other = notice(%$pub);
my @forged = (
    ['an altered signature', forged => 1],
    ['the probe', signtest => 1],
    ['another key', key => 'other',
     serial => $RushTest::Provider::SERIAL{wxpub}],
    ['our own key', key => 'merchant',
     serial => $RushTest::Provider::SERIAL{wxpub}],
    ['a byte of the body', alter => sub { $_[0]{body} =~ s/EV-/EX-/ }],
    ['a blank behind', alter => sub { $_[0]{body} .= ' ' }],
    ['an LF behind', alter => sub { $_[0]{body} .= "\n" }],
    ['the body of another', alter => sub { $_[0]{body} = $other->{body} }],
    ['the headers of another', alter => sub {
        $_[0]{headers} = $other->{headers} }],
    ['another time', alter => sub {
        $_[0]{headers}{'Wechatpay-Timestamp'}++ }],
    ['another nonce', alter => sub {
        $_[0]{headers}{'Wechatpay-Nonce'} .= 'a' }],
    ['the signature of another', alter => sub {
        $_[0]{headers}{'Wechatpay-Signature'} =
            $other->{headers}{'Wechatpay-Signature'} }],
    ['an empty kind of base64', alter => sub {
        $_[0]{headers}{'Wechatpay-Signature'} = '=' }],
    ['a long signature', alter => sub {
        $_[0]{headers}{'Wechatpay-Signature'} = 'A' x 4000 }],
    ['base64url', alter => sub {
        $_[0]{headers}{'Wechatpay-Signature'} =~ tr{+/}{-_};
        $_[0]{headers}{'Wechatpay-Signature'} =~ s/=+$// }],
);

foreach my $case (@forged) {
    my ($name, @o) = @$case;
    refused(notice(%$pub, @o), 401, 'signature', $name);
}

refused(notice(%$pub, path => $alias, forged => 1), 401, 'signature',
        'forged, by another name');
refused(notice(%$pub, path => $alias, unsigned => 1), 401, 'unsigned',
        'not signed, by another name');
refused(notice(%$pub, path => $alias, age => 301), 401, 'time',
        'too old, by another name');
refused(notice(%$pub, path => $alias, mchid => '1900000110'), 400, 'owner',
        'of another merchant, by another name');

# replayed

refused(notice(%$pub, age => 301), 401, 'time', 'too old');
refused(notice(%$pub, age => -302), 401, 'time', 'too new');
refused(notice(%$pub, alter => sub {
    $_[0]{headers}{'Wechatpay-Timestamp'} = $_ }), 401, 'time', "time \"$_\"")
    foreach '-1', '0', 'abc', '1e9', '9' x 19, '9' x 40,
            int(time) . '.5', '+' . int time;

# unsigned

foreach my $name (qw(Timestamp Nonce Serial Signature)) {
    refused(notice(%$pub, alter => sub {
        delete $_[0]{headers}{"Wechatpay-$name"} }), 401, 'unsigned',
        "no $name");
}

refused(notice(%$pub, unsigned => 1), 401, 'unsigned', 'no header');

# one that comes twice proves nothing, whichever of both is right

foreach my $name (qw(Timestamp Nonce Serial Signature)) {
    foreach my $first (0, 1) {
        refused(notice(%$pub, alter => sub {
            my $h = $_[0]{headers};
            my @both = ($h->{"Wechatpay-$name"}, '1');
            $h->{"Wechatpay-$name"} = [$first ? reverse @both : @both];
        }), 401, 'unsigned', "$name twice, $first");
    }
}

# a serial that nobody has; the same again is not asked for

refused(notice(key => 'wx1'), 401, 'serial', 'an unknown serial');
refused(notice(key => 'wxpub', serial => 'PUB_KEY_ID_1'), 401, 'serial',
        'another public key');
refused(notice(%$pub, serial => "../$serial"), 400, 'format',
        'no serial at all');
refused(notice(%$pub, serial => 'A' x 65), 400, 'format', 'a long serial');


# --- genuine, and still nothing for us ---

refused(notice(%$pub, apiv3 => 'another key of 32 bytes, is it..'), 400,
        'resource', 'another APIv3 key');
refused(notice(%$pub, mchid => '1900000110'), 400, 'owner',
        'another merchant');
refused(notice(%$pub, appid => 'wx1'), 400, 'owner', 'another app');
refused(notice(%$pub, fields => { out_trade_no => undef }), 400, 'format',
        'no trade in it');
refused(notice(%$pub, fields => { amount => { total => '42' } }), 400,
        'format', 'an amount in quotes');
refused(notice(%$pub, fields => { amount => { total => -1 } }), 400, 'format',
        'a negative amount');


# bodies that are signed and are not what WeChat would send

sub signed {
    my ($body) = @_;
    return { path => $path, type => 'application/json', body => $body,
             headers => RushTest::Provider::Wechat::seal(
                 RushTest::Provider::dir($t), $body, key => 'wxpub') };
}


my $good = notice(%$pub)->{body};

foreach my $case (
    ['{}', 'an empty object'], ['[]', 'an array'], ['null', 'null'],
    ['x', 'no JSON'], ["\xff", 'no UTF-8'], ["$good$good", 'two'],
    [$good =~ s/"id":/"id":"1","id":/r, 'an id twice'],
    [$good =~ s/"resource":/"resource":{},"resource":/r, 'two resources'],
    [$good =~ s/"nonce":"/"nonce":"abc","nonce":"/r, 'two nonces'],
    [$good =~ s/"id":"[^"]*"/"id":7/r, 'an id that is a number'],
    ['{"a":' x 50 . '1' . '}' x 50, 'a deep one'])
{
    refused(signed($case->[0]), 400, 'format', $case->[1]);
}

foreach my $case (
    [$good =~ s/AEAD_AES_256_GCM/AEAD_AES_128_GCM/r, 'another algorithm'],
    [$good =~ s/"nonce":"\w+"/"nonce":"short"/r, 'a short nonce'],
    [$good =~ s/"ciphertext":"[^"]+"/"ciphertext":"AAAA"/r, 'no tag'],
    [$good =~ s/"ciphertext":"./"ciphertext":"-/r, 'no base64'],
    [$good =~ s/"associated_data":"\w+"/"associated_data":"refund"/r,
     'other data beside it'])
{
    refused(signed($case->[0]), 400, 'resource', $case->[1]);
}

# a refund that says it is a payment

refused(signed($good =~ s/TRANSACTION\.SUCCESS/REFUND.SUCCESS/r =~
               s/"original_type":"transaction"/"original_type":"refund"/r),
        400, 'format', 'a payment as a refund');


# --- sizes ---

refused({ %{notice(%$pub)}, body => '' }, 400, 'size', 'no body');

my $big = signed($good =~ s/^\{/'{"a":"' . ('x' x 60000) . '",'/er);
taken($big, '60 KB');

my $r = RushTest::Provider::deliver($t, signed('x' x 65537), record => 0);
is($r->{status}, 413, '64 KB and a byte');
is(scalar(RushTest::Provider::entries($t)), $kept, 'no entry');

foreach my $method (qw(get put del)) {
    is($t->$method($path)->{code}, 5, "$method is no method of it");
}


# --- nothing of a payer or a key in a log ---

my $log = $t->log_text('nginx');
unlike($log, qr/oCanaryPayer|canaryApiV3/, 'no secret in the log');
like($log, qr/notice of wechat refused: signature/, 'but why it was refused');

$t->finish();
done_testing();
