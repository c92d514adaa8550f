#!/usr/bin/perl

# Copyright (C) Rush
#
# Notices of Alipay as a worker takes them: forms that are altered in all the
# ways that a form can be.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use Encode qw(decode_utf8);
use RushTest;
use RushTest::Provider;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new(start => 0, mysql => 0, consumer => 0,
    nginx => { workers => 2, extra_http => 'client_body_buffer_size 64k;'
               . RushTest::Provider::conf(wechat => undef) });

RushTest::Provider::add($t, RushTest::Backend::free_port());
$t->start(qw(redis nginx));

my $path = '/api/v1/payment/callback/alipay';
my $serial = 1000000;
my $kept = 0;


sub notice {
    return RushTest::Provider::notice($t, 'T' . ++$serial,
                                      provider => 'alipay', @_);
}


sub metric {
    my ($name) = @_;
    my $r = $t->get('/metrics', record => 0);
    return $r->{body} =~ /^rush_notice_${name}_total (\d+)/m ? $1 : -1;
}


sub taken {
    my ($notice, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $r = RushTest::Provider::deliver($t, $notice);

    is("$r->{status} $r->{body}", '200 success', "$name: taken");
    is($r->{headers}{'content-type'}, 'text/plain', "$name: as text");

    my @all = RushTest::Provider::entries($t);
    is(scalar @all, ++$kept, "$name: in the stream");

    return $all[-1];
}


sub refused {
    my ($notice, $status, $reason, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    local $RushTest::Mode::still = 1;

    my $before = metric($reason);
    my $r = RushTest::Provider::deliver($t, $notice, record => 0);

    is("$r->{status} $r->{body}", "$status failure", "$name: $status");
    is(metric($reason), $before + 1, "$name: counted as $reason");
    is(scalar(RushTest::Provider::entries($t)), $kept, "$name: no entry");
}


# a notice whose form is changed behind its signature

sub altered {
    my ($sub) = @_;
    my $n = notice();
    local $_ = $n->{body};
    $sub->();
    $n->{body} = $_;
    return $n;
}


# --- what is genuine ---

my $e = taken(notice(id => '2019081500222155624068450559358070',
                     total => 10), 'a payment');

is("$e->{p} $e->{k} $e->{n}",
   'alipay pay 2019081500222155624068450559358070',
   'provider, kind and key');
is("$e->{data}{out_trade_no} $e->{data}{total_amount} "
   . $e->{data}{trade_status}, "T$serial 0.10 TRADE_SUCCESS", 'the trade');
is(join(' ', grep { exists $e->{data}{$_} } qw(sign sign_type)), '',
   'the signature is left out');
ok(!(grep { ref } values %{$e->{data}}), 'a flat object of strings');

$e = taken(notice(keep => 1), 'signed with sign_type');
$e = taken(notice(fields => { subject => "\xe8\xaf\xad\xe9\x9b\x80 500 \"&\\",
                              passback_params => "a\tb\n" }), 'odd text');
is($e->{data}{subject}, decode_utf8("\xe8\xaf\xad\xe9\x9b\x80 500 \"&\\"),
   'as it was');
is($e->{data}{passback_params}, "a\tb\n", 'with its controls');

$e = taken(notice(fields => { body => '', x_new => '1' }), 'new and empty');
is("$e->{data}{x_new}|$e->{data}{body}", '1|', 'both are kept');

$e = taken(notice(id => 'a/b+c='), 'a strange id');
like($e->{n}, qr/^h:[0-9a-f]{62}\z/, 'has a hash instead');

RushTest::Provider::set($t, 'T5000', provider => 'alipay', total => 100,
                        state => 'TRADE_SUCCESS', paid => time, id => 'A1');
RushTest::Provider::store(RushTest::Provider::dir($t), 'refund', 'R77', {
    no => 'R77', trade => 'T5000', amount => 30, state => 'SUCCESS',
    provider => 'alipay', made => time, done => time });

$e = taken(RushTest::Provider::notice($t, 'R77'), 'a refund');
is("$e->{k} $e->{data}{out_biz_no} $e->{data}{refund_fee}",
   'refund R77 0.30', 'is a refund');

# escapes and order are not signed

taken(altered(sub { $_ = join '&', reverse split /&/ }), 'another order');
taken(altered(sub { s/a/%61/g }), 'escapes');
taken(altered(sub { s/%20/+/g }), 'a plus for a blank');
taken({ %{notice()}, type => 'text/plain' }, 'another type');

# a service notice is no trade

{
    my $before = metric('ignored');
    my $r = RushTest::Provider::deliver($t, notice(fields => {
        notify_type => 'servicemarket_order_notify' }, keep => 1));
    is("$r->{status} $r->{body}", '200 success', 'another service: answered');
    is(metric('ignored'), $before + 1, 'and counted');
    is(scalar(RushTest::Provider::entries($t)), $kept, 'no entry');
}


# --- forged ---

foreach my $case (
    ['an altered signature', forged => 1],
    ['a probe', signtest => 1],
    ['another key', key => 'other'],
    ['our own key', key => 'app'])
{
    my ($name, @o) = @$case;
    refused(notice(@o), 401, 'signature', $name);
}

foreach my $case (
    ['another amount', sub { s/total_amount=1\.00/total_amount=0.01/ }],
    ['another trade', sub { s/out_trade_no=T/out_trade_no=U/ }],
    ['another state', sub { s/TRADE_SUCCESS/TRADE_FINISHED/ }],
    ['another seller', sub { s/seller_id=2/seller_id=3/ }],
    ['another app', sub { s/app_id=2/app_id=3/g }],
    ['a field less', sub { s/&point_amount=[^&]*// }],
    ['a field more', sub { $_ .= '&x=1' }],
    ['a value that was empty', sub { $_ .= '&refund_fee=1.00' }],
    ['an old one as new', sub { s/notify_id=\d/notify_id=x/ }])
{
    refused(altered($case->[1]), 401, 'signature', $case->[0]);
}

foreach my $case (
    ['no sign', sub { s/&sign=[^&]*// }],
    ['an empty sign', sub { s/&sign=[^&]*/&sign=/ }],
    ['a downgrade to RSA', sub { s/sign_type=RSA2/sign_type=RSA/ }],
    ['a downgrade to MD5', sub { s/sign_type=RSA2/sign_type=MD5/ }],
    ['sign_type in small letters', sub { s/sign_type=RSA2/sign_type=rsa2/ }],
    ['no sign_type', sub { s/&sign_type=RSA2// }],
    ['sign in capitals', sub { s/&sign=/&SIGN=/ }],
    ['JSON', sub { $_ = '{"sign":"a"}' }],
    ['multipart', sub { $_ = "--x\r\nContent-Disposition: form-data; "
                        . "name=\"sign\"\r\n\r\na\r\n--x--\r\n" }])
{
    refused(altered($case->[1]), 401, 'unsigned', $case->[0]);
}

foreach my $case (
    ['sign twice', sub { s/(&sign=[^&]*)/&sign=AAAA$1/ }],
    ['sign twice, hidden', sub { $_ .= '&si%67n=AAAA' }],
    ['sign_type twice', sub { $_ .= '&sign_type=RSA2' }],
    ['an amount twice', sub { $_ .= '&total_amount=1.00' }],
    ['an amount twice, in front', sub { $_ = "total_amount=9999.00&$_" }],
    ['a trade twice', sub { $_ .= '&out_trade_no=T1' }],
    ['charset twice', sub { $_ .= '&charset=utf-8' }],
    ['charset gbk', sub { s/charset=utf-8/charset=gbk/ }],
    ['charset utf-7', sub { s/charset=utf-8/charset=utf-7/ }],
    ['no UTF-8', sub { s/subject=[^&]*/subject=%ff%fe/ }],
    ['half a character', sub { s/subject=[^&]*/subject=%e4%b8/ }],
    ['a zero byte', sub { s/subject=/subject=%00/ }],
    ['a zero byte in a name', sub { $_ .= '&a%00b=1' }],
    ['a bad escape', sub { s/subject=/subject=%zz/ }],
    ['half an escape', sub { $_ .= '%4' }],
    ['no name', sub { $_ .= '&=1' }],
    ['too many fields', sub { $_ .= join '', map { "&n$_=1" } 1 .. 64 }],
    ['a field inside of another', sub {
        s/&trade_no=/%26trade_no%3D/ }],
    ['an amount inside of another', sub {
        s/subject=/subject=x%26total_amount%3D9999.00/ }])
{
    refused(altered($case->[1]), 400, 'format', $case->[0]);
}

# genuine, and still not ours

refused(notice(app => '2021000000000110'), 400, 'owner', 'another app');
refused(notice(seller => '2088000000000110'), 400, 'owner',
        'another seller');
refused(notice(fields => { total_amount => '1.001' }), 400, 'format',
        'a part of a fen');
refused(notice(fields => { total_amount => '-1.00' }), 400, 'format',
        'a negative amount');
refused(notice(fields => { trade_status => undef }), 400, 'format',
        'no state');
refused(notice(fields => { out_trade_no => 'a b' }), 400, 'format',
        'a number with a blank');
refused(notice(fields => { gmt_payment => 'yesterday' }), 400, 'format',
        'a bad time');


# --- sizes ---

refused({ %{notice()}, body => '' }, 400, 'size', 'no body');
taken(notice(fields => { passback_params => 'x' x 50000 }), '50 KB');

# JSON of it is longer than it was

taken(notice(fields => { passback_params => "\t" x 21000 }), '42 KB of JSON');

my $r = RushTest::Provider::deliver($t, { %{notice()}, body => 'x' x 65537 },
                                    record => 0);
is($r->{status}, 413, '64 KB and a byte');


# --- WeChat is not configured ---

my $before = metric('off');
$r = RushTest::Provider::deliver($t, RushTest::Provider::notice($t, 'T1'),
                                 record => 0);
is("$r->{status} $r->{body}", '404 {"code":"FAIL","message":"refused"}',
   'WeChat: off');
is(metric('off'), $before + 1, 'and counted');

my $log = $t->log_text('nginx');
unlike($log, qr/2088102534368455|can\*\*\*|canary/, 'no payer in the log');
like($log, qr/notice of alipay refused: signature/, 'but why');

$t->finish();
done_testing();
