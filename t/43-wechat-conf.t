#!/usr/bin/perl

# Copyright (C) Rush
#
# Settings of [wechat]: what is refused, with a sentence that tells.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;

my $t = RushTest->new(
    start => 0, nginx => 0, redis => 0, mysql => 0,
    consumer_conf => { wechat => {
        appid => 'wx4f4bc4dec97d474b', secret_file => '@DIR@/wechat.secret',
        base_url => 'http://127.0.0.1:8080/wx/' } },
);

my $file = "$t->{dir}/consumer.conf";
my $secret = "$t->{dir}/wechat.secret";

RushTest::spew($secret, "canary5ecret\n", 0600);
RushTest::spew($file, RushTest::slurp($file) =~ s/\@DIR\@/$t->{dir}/r);

my $conf = RushTest::slurp($file);

my ($rc, $out) = $t->consumer_run('-t');
is($rc, 0, $out);

foreach (['(?<=seal_key = ).*', '', qr/"seal_key" is needed/],
         ['(?<=appid = ).*', 'wx 4f', qr/"appid" must be letters/],
         ['(?<=appid = ).*', 'x' x 33, qr/"appid" must be letters/],
         ['(?<=appid = ).*', 'wx:4f', qr/"appid" must be letters/],
         ['(?<=secret_file = ).*', '', qr/"secret_file" must hold/],
         ['(?<=secret_file = ).*', '/none', qr!cannot read "/none"!],
         ['(?<=base_url = ).*', '', qr/"base_url" must be/],
         ['(?<=base_url = ).*', 'ftp://127.0.0.1', qr/"base_url" must be/],
         ['(?<=base_url = ).*', 'https://u:p@x.example', qr/must be http/],
         ['(?<=base_url = ).*', 'https://x.example/?a=', qr/no "\?"/],
         (map { ['(?<=base_url = ).*', $_, qr/not sent without TLS/] }
          'http://x.example', 'http://127.example.com', 'http://10.0.0.1',
          'http://localhost.example.com', 'http://1270.0.0.1'),
         ['(?=base_url)', "timeout = 2901\n", qr/100 to 2900/],
         ['(?=base_url)', "parallel = 0\n", qr/1 to 64/])
{
    my ($from, $to, $like) = @$_;
    (my $bad = $conf) =~ s/$from/$to/;
    isnt($bad, $conf, "\"$from\" is there");
    RushTest::spew($file, $bad);
    ($rc, $out) = $t->consumer_run('-t');
    is($rc, 1, substr $to, 0, 40);
    like($out, $like, 'told');
    unlike($out, qr/canary/, 'not the secret');
}

foreach ('http://localhost:80', 'http://[::1]/', 'http://127.9.9.9',
         'https://api.weixin.qq.com')
{
    RushTest::spew($file, $conf =~ s/(?<=base_url = ).*/$_/r);
    ($rc, $out) = $t->consumer_run('-t');
    is($rc, 0, $_) or diag($out);
}

RushTest::spew($file, $conf);

foreach ("a b\n", "\n", 'x' x 129, "a\nb\n") {
    RushTest::spew($secret, $_);
    ($rc, $out) = $t->consumer_run('-t');
    like($out, qr/"secret_file" must hold/, 'no secret');
}

$t->finish();
done_testing();
