#!/usr/bin/perl

# Copyright (C) Rush
#
# Directives of notices: keys are looked at when nginx starts, and what is
# wrong is told in one sentence, without the key.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Provider;
use Test::More;

my $t = RushTest->new(redis => 0, mysql => 0, consumer => 0, start => 0);
my $dir = $t->{dir};
my $keys = "$dir/provider";
my $good = RushTest::slurp("$dir/nginx/nginx.conf");

RushTest::Provider::add($t, RushTest::Backend::free_port());


sub nginx_t {
    my ($lines, %o) = @_;

    my $env = $t->daemon('nginx')->{env};
    local @ENV{keys %$env} = values %$env;

    my $conf = $good;
    $conf =~ s/(rush_node_id)/$lines\n$1/;
    $conf =~ s/rush_seal_key.*//g if $o{no_seal};
    RushTest::spew("$dir/nginx/t.conf", $conf);

    my $out = `$RushTest::NGINX -p $dir/nginx/ -e stderr -c $dir/nginx/t.conf \\
                   -t 2>&1 </dev/null`;

    return ($? >> 8, $out);
}


sub taken {
    my ($name, $lines, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($rc, $out) = nginx_t($lines, %o);
    is($rc, 0, "$name: taken") or diag($out);
}


sub refused {
    my ($name, $lines, $sentence, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($rc, $out) = nginx_t($lines, %o);
    my @emerg = $out =~ /^(?:nginx: )?.*?\[emerg\] (.*)$/mg;

    isnt($rc, 0, "$name: refused");
    is(scalar @emerg, 1, "$name: one sentence") or diag($out);
    like($emerg[0] // '', $sentence, "$name: the right one");
    unlike($out, qr/canary/, "$name: without the key");
}


sub file {
    my ($name, $text) = @_;
    RushTest::spew("$dir/$name", $text);
    return "$dir/$name";
}


my $wechat = "seckill_wechat_pay apiv3_key=$keys/apiv3";
my $public = "public_key_id=$RushTest::Provider::SERIAL{wxpub} "
    . "public_key=$keys/wxpub.pub";
my $alipay = "seckill_alipay key=$keys";

# --- good ones ---

taken('certificates', "$wechat;");
taken('a public key', "$wechat $public;");
taken('all of it', "$wechat $public mchid=1900000109 appid=wx1 appid=wx2;");
taken('relative names', RushTest::Provider::conf());
taken("Alipay's $_", "$alipay/$_;")
    foreach qw(alipay.pub alipay.bare alipay.crt);
taken('sellers and apps', "$alipay/alipay.pub seller_id=2 app_id=1 app_id=2;");
taken('an APIv3 key with line ends',
      'seckill_wechat_pay apiv3_key='
      . file('lines', "$RushTest::Provider::APIV3\r\n\n") . ';');

# --- the APIv3 key ---

foreach my $case (['of 16 bytes', 'canaryApiV3Key16'],
                  ['of 31 bytes', substr $RushTest::Provider::APIV3, 1],
                  ['of 33 bytes', $RushTest::Provider::APIV3 . '0'],
                  ['of 64 hex digits', 'canary' . '0' x 58],
                  ['with a blank', 'canary' . '0' x 20 . ' ' . '0' x 5],
                  ['of nothing', ''])
{
    my ($name, $text) = @$case;
    refused("an APIv3 key $name", 'seckill_wechat_pay apiv3_key='
            . file('apiv3', $text) . ';',
            qr/key file "[^"]+" must hold the APIv3 key, 32 printable/);
}

refused('no APIv3 key', "seckill_wechat_pay $public;", qr/apiv3_key=/);
refused('no such file', 'seckill_wechat_pay apiv3_key=/none;',
        qr!key file "/none" cannot be read!);

# --- public keys ---

my $pem = RushTest::slurp("$keys/wxpub.pub");
my $small = `openssl genrsa 1024 2>/dev/null | openssl rsa -pubout 2>/dev/null`;
my $curve = `openssl ecparam -name prime256v1 -genkey -noout \\
    | openssl ec -pubout 2>/dev/null`;

(my $damaged = $pem) =~ s/\n(.{20})/\n/;

foreach my $case (['a private key', RushTest::slurp("$keys/merchant.key"),
                   qr/is a private key, the public one is wanted/],
                  ['a damaged key', $damaged, qr/is no public key/],
                  ['no key', 'canary', qr/is neither PEM nor DER/],
                  ['an empty file', '', qr/is empty/],
                  ['a small key', $small, qr/has not 2048 to 8192 bits/],
                  ['another kind of key', $curve, qr/is no RSA key/],
                  ['a large file', 'A' x 70000, qr/is too long/])
{
    my ($name, $text, $sentence) = @$case;
    my $file = file('key', $text);

    refused("$name of WeChat", "$wechat public_key=$file "
            . "public_key_id=$RushTest::Provider::SERIAL{wxpub};",
            $sentence);
    refused("$name of Alipay", "seckill_alipay key=$file;", $sentence);
}

refused('a key without its id', "$wechat public_key=$keys/wxpub.pub;",
        qr/public_key_id=/);
refused('an id without its key', "$wechat public_key_id=PUB_KEY_ID_1;",
        qr/public_key=/);
refused('an id that is none', "$wechat public_key_id=0119 "
        . "public_key=$keys/wxpub.pub;", qr/PUB_KEY_ID_/);
refused('an id that is no serial', "$wechat public_key_id=PUB_KEY_ID_- "
        . "public_key=$keys/wxpub.pub;", qr/bad "public_key_id="/);

# --- the rest ---

refused('an unknown word', "$wechat secret=1;", qr/"secret=1" is unknown/);
refused('a word without value', "$wechat mchid=;", qr/"mchid=" is unknown/);
refused('a merchant twice', "$wechat mchid=1 mchid=2;", qr/duplicate/);
refused('WeChat twice', "$wechat; $wechat;", qr/is duplicate/);
refused('Alipay twice', "$alipay/alipay.pub; $alipay/alipay.pub;",
        qr/is duplicate/);
refused('no key of Alipay', 'seckill_alipay seller_id=1;', qr/needs "key="/);

# certificates come sealed; without accounts nothing else needs the seal

$good =~ s/user_api;//g;
taken('a public key without rush_seal_key', "$wechat $public;", no_seal => 1);
refused('certificates without rush_seal_key', "$wechat;",
        qr/"seckill_wechat_pay" needs "rush_seal_key"/, no_seal => 1);

$t->finish();
done_testing();
