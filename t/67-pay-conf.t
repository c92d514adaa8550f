#!/usr/bin/perl

# Copyright (C) Rush
#
# Settings of payment providers: what is refused at the start, with which
# sentence, and that no sentence has a key in it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Provider;
use Test::More;

my $t = RushTest->new(nginx => 0, redis => 0, mysql => 0, start => 0);
my $dir = "$t->{dir}/keys";
my $file = "$t->{dir}/pay.conf";
my $bin = "$t->{build}/rush-consumer";

mkdir $dir;
RushTest::Provider::Crypto::keys($dir, app => '', other => '', wxpub => '',
    merchant => $RushTest::Provider::SERIAL{merchant},
    alipay => '20200514A00000000000000000000001');
RushTest::spew("$dir/apiv3", "$RushTest::Provider::APIV3\n");
RushTest::spew("$dir/short", substr($RushTest::Provider::APIV3, 0, 16));
RushTest::spew("$dir/long", $RushTest::Provider::APIV3 . 'x');
RushTest::spew("$dir/nothing", '');
RushTest::spew("$dir/garbage", "-----BEGIN PRIVATE KEY-----\ncanaryGarbage\n"
               . "-----END PRIVATE KEY-----\n");
RushTest::spew("$dir/app.bare", RushTest::Provider::bare("$dir/app.key"));
system("openssl genrsa -out $dir/weak.key 1024 2> /dev/null") == 0
    or die "openssl\n";

my %good = (
    consumer => { seal_key => "$t->{dir}/seal.key" },
    wechat_pay => {
        appid => $RushTest::Provider::APPID,
        mchid => $RushTest::Provider::MCHID,
        serial => $RushTest::Provider::SERIAL{merchant},
        key_file => "$dir/merchant.key", apiv3_key_file => "$dir/apiv3",
        notify_url => 'https://shop.example/pay',
        refund_notify_url => 'https://shop.example/refund' },
    alipay => {
        app_id => $RushTest::Provider::APP,
        seller_id => $RushTest::Provider::SELLER,
        key_file => "$dir/app.key", public_key_file => "$dir/alipay.pub",
        notify_url => 'https://shop.example/alipay' },
);


# exit status and output of -t; changes: "section name" => value

sub check {
    my (%o) = @_;

    my %conf = map { $_ => { %{$good{$_}} } } keys %good;

    foreach my $where (keys %o) {
        my ($section, $name) = split / /, $where;
        $conf{$section}{$name} = $o{$where};
    }

    RushTest::spew($file, join '', map {
        my $section = $_;
        ("[$section]\n", map { "$_ = $conf{$section}{$_}\n" }
            grep { defined $conf{$section}{$_} } sort keys %{$conf{$section}})
    } sort keys %conf);

    my $out = `$bin -c $file -t 2>&1 < /dev/null`;
    return ($? >> 8, $out);
}


sub fine {
    my ($name, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($rc, $out) = check(%o);
    is($rc, 0, $name) or diag($out);
}


my $all = '';

sub refused {
    my ($like, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($rc, $out) = check(%o);
    ok($rc == 1 && $out =~ $like, "$like") or diag("$rc: $out");
    $all .= $out;
}


fine('both');
fine('public-key mode', 'wechat_pay public_key_id' => 'PUB_KEY_ID_01',
     'wechat_pay public_key_file' => "$dir/wxpub.pub");
fine('a key as the console shows it', 'alipay key_file' => "$dir/app.bare");
fine('certificates', 'alipay public_key_file' => undef,
     'alipay key_file' => "$dir/merchant.key",
     'alipay app_cert_file' => "$dir/merchant.crt",
     'alipay cert_file' => "$dir/alipay.crt",
     'alipay root_cert_file' => "$dir/alipay.crt");
fine('on this host without TLS',
     'wechat_pay base_url' => 'http://127.0.0.1:1',
     'wechat_pay notify_url' => 'http://127.0.0.1/pay');

refused(qr/"apiv3_key_file": .*short/, 'wechat_pay apiv3_key_file' =>
        "$dir/short");
refused(qr/"apiv3_key_file"/, 'wechat_pay apiv3_key_file' => "$dir/long");
refused(qr/"apiv3_key_file"/, 'wechat_pay apiv3_key_file' => "$dir/nothing");
refused(qr/"apiv3_key_file" is needed/, 'wechat_pay apiv3_key_file' => '');
refused(qr/"key_file" is needed/, 'wechat_pay key_file' => '');
refused(qr/"key_file": cannot read/, 'wechat_pay key_file' => "$dir/none");
refused(qr/"key_file": .*garbage/, 'wechat_pay key_file' => "$dir/garbage");
refused(qr/"key_file": .*wxpub/, 'wechat_pay key_file' => "$dir/wxpub.pub");
refused(qr/"key_file": .*weak/, 'wechat_pay key_file' => "$dir/weak.key");
refused(qr/"appid" must be/, 'wechat_pay appid' => 'wx"1');
refused(qr/"mchid" must be/, 'wechat_pay mchid' => '190a');
refused(qr/"serial" must be/, 'wechat_pay serial' => 'abcdef');
refused(qr/"public_key_id" and "public_key_file" go together/,
        'wechat_pay public_key_id' => 'PUB_KEY_ID_1');
refused(qr/must begin with PUB_KEY_ID_/, 'wechat_pay public_key_id' => 'X1',
        'wechat_pay public_key_file' => "$dir/wxpub.pub");
refused(qr/payments need TLS: "base_url"/,
        'wechat_pay base_url' => 'http://api.example');
refused(qr/payments need TLS: "base_url2"/,
        'wechat_pay base_url2' => 'http://127.0.0.1.example');
refused(qr/"notify_url" must be/,
        'wechat_pay notify_url' => 'http://shop.example/pay');
refused(qr/"notify_url" must be/,
        'wechat_pay notify_url' => 'https://shop.example/pay?a=1');
refused(qr/"refund_notify_url" must be/,
        'wechat_pay refund_notify_url' => 'https://shop.example/#a');
refused(qr/"seal_key" is needed/, 'consumer seal_key' => '');

refused(qr/"app_id" must be/, 'alipay app_id' => 'a');
refused(qr/"seller_id" must be/, 'alipay seller_id' => '');
refused(qr/either "public_key_file" is needed/,
        'alipay public_key_file' => '');
refused(qr/either "public_key_file" is needed/,
        'alipay cert_file' => "$dir/alipay.crt");
refused(qr/"app_cert_file" is not of the key/,
        'alipay public_key_file' => undef,
        'alipay app_cert_file' => "$dir/alipay.crt",
        'alipay cert_file' => "$dir/alipay.crt",
        'alipay root_cert_file' => "$dir/alipay.crt");
refused(qr/"cert_file" is a bare key/, 'alipay public_key_file' => undef,
        'alipay key_file' => "$dir/merchant.key",
        'alipay app_cert_file' => "$dir/merchant.crt",
        'alipay cert_file' => "$dir/alipay.pub",
        'alipay root_cert_file' => "$dir/alipay.crt");
refused(qr/"root_cert_file"/, 'alipay public_key_file' => undef,
        'alipay key_file' => "$dir/merchant.key",
        'alipay app_cert_file' => "$dir/merchant.crt",
        'alipay cert_file' => "$dir/alipay.crt",
        'alipay root_cert_file' => "$dir/garbage");
refused(qr/payments need TLS: "gateway"/,
        'alipay gateway' => 'http://openapi.example/gateway.do');

refused(qr/"retry_max" must not be below/, 'pay retry_min' => 5000,
        'pay retry_max' => 100);
refused(qr/"timeout" must not be below/, 'pay timeout' => 100);
refused(qr/"minute" must be a number from 10/, 'pay minute' => 1);
refused(qr/"enabled" must be a number from 0 to 1/, 'sandbox enabled' => 2);

unlike($all, qr/canary|-----|MII/, 'no key in a sentence');
like(RushTest::slurp("$RushTest::ROOT/conf/consumer.conf"),
     qr/^\[sandbox\]\n(?:;.*\n|\n)*enabled = 0$/m,
     'the sandbox is off where nobody has asked for it');

$t->finish();
done_testing();
