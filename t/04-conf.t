#!/usr/bin/perl

# Copyright (C) Rush
#
# The samples in conf/ are good, and a bad configuration is refused with one
# sentence that tells what is wrong.

use warnings;
use strict;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use RushTest;

my $root = "$FindBin::Bin/..";
my $t = RushTest->new(redis => 0, mysql => 0, consumer => 0, start => 0);
my $dir = $t->{dir};
my $good = RushTest::slurp("$dir/nginx/nginx.conf");

sub nginx_t {
    my ($conf) = @_;

    my $env = $t->daemon('nginx')->{env};
    local @ENV{keys %$env} = values %$env;

    RushTest::spew("$dir/t.conf", $conf);

    my $out = `$RushTest::NGINX -p $dir/nginx/ -e stderr -c $dir/t.conf \\
                   -t 2>&1 </dev/null`;

    return ($? >> 8, $out);
}

sub refused {
    my ($name, $change, $sentence) = @_;

    my $conf = $good;
    $change->() for $conf;

    my ($rc, $out) = nginx_t($conf);
    my @emerg = $out =~ /^(?:nginx: )?.*?\[emerg\] (.*)$/mg;

    isnt($rc, 0, "$name: refused");
    is(scalar @emerg, 1, "$name: one sentence") or diag($out);
    like($emerg[0] // '', $sentence, "$name: the right one");
}

# --- the samples ---

my ($rc, $out) = nginx_t($good);
is($rc, 0, 'the configuration of tests') or diag($out);

my $conf = RushTest::slurp("$root/conf/nginx.conf");
my $modules = RushTest::slurp("$root/conf/modules.conf");

$modules =~ s!modules/!$RushTest::BUILD/nginx/!g;
$conf =~ s!^user .*!!m;
$conf =~ s!^include .*modules-enabled.*!$modules!m;
$conf =~ s!/run/nginx.pid!$dir/nginx.pid!;
$conf =~ s!/var/log/nginx/!$dir/!g;
$conf =~ s!/etc/rush/secrets/jwt\.key!$dir/jwt.key!;
$conf =~ s!/etc/rush/secrets/seal\.key!$dir/seal.key!;
$conf =~ s!/etc/rush/secrets/redis_worker!$dir/rush_worker.pass!;
$conf =~ s!/etc/rush/secrets/mysql!$dir/mysql.pass!;
$conf =~ s!listen 80!listen 127.0.0.1:$t->{port}{nginx}!;

($rc, $out) = nginx_t($conf);
is($rc, 0, 'conf/nginx.conf') or diag($out);

my $text = RushTest::slurp("$root/conf/consumer.conf");
$text =~ s!^(password_file = ).*!$1$dir/mysql.pass!mg;
$text =~ s!^(seal_key = ).*!$1$dir/seal.key!m;
RushTest::spew("$dir/consumer-sample.conf", $text);

$out = `$RushTest::BUILD/rush-consumer -c $dir/consumer-sample.conf -t 2>&1`;
is($?, 0, 'conf/consumer.conf') or diag($out);

# --- wrong ones ---

refused('core missing', sub { s/^load_module.*rush_core.*\n//m },
        qr/ngx_http_rush_core_module\.so/);
refused('core behind', sub {
    s/^(load_module.*rush_core.*\n)((?:load_module.*\n)+)/$2$1/m
}, qr/ngx_http_rush_core_module\.so/);
refused('module missing', sub { s/^load_module.*seckill.*\n//m },
        qr/unknown directive "seckill_/);
refused('zone too small', sub { s/rush_zone limit 4m/rush_zone limit 1k/ },
        qr/rush_zone|limit|small|size/);
refused('zone size', sub { s/rush_zone limit 4m/rush_zone limit lots/ },
        qr/lots/);
refused('zone unknown', sub { s/rush_zone limit 4m/rush_zone x 4m/ },
        qr/"x"/);
refused('no key file', sub { s!(rush_jwt_key) \S+;!$1 $dir/none;! },
        qr!\Q$dir\E/none!);
RushTest::spew("$dir/short", "k1:AAAA\n");
refused('short key', sub { s!(rush_jwt_key) \S+;!$1 $dir/short;! },
        qr/key/);
refused('no password file', sub { s!password_file=\S+!password_file=/none! },
        qr!/none!);
refused('limit', sub { s/rush_limit buy off/rush_limit buy rate=x/ },
        qr/rate=x/);
refused('events', sub { s/rush_node_id/rush_events user=0; rush_node_id/ },
        qr/"user=0" is not valid/);
refused('events time',
        sub { s/rush_node_id/rush_events heartbeat=1x; rush_node_id/ },
        qr/"heartbeat=1x" is not valid/);
refused('events twice',
        sub { s/rush_node_id/rush_events max=5 max=6; rush_node_id/ },
        qr/"max=6" stands twice/);
refused('events name',
        sub { s/rush_node_id/rush_events most=5; rush_node_id/ },
        qr/invalid parameter "most=5"/);
refused('limit burst',
        sub { s!rush_limit buy off!rush_limit buy rate=1r/m burst=8641! },
        qr/more than the rate brings in 6 days/);
refused('limit class', sub { s/rush_limit buy off/rush_limit all off/ },
        qr/"all"/);
refused('node', sub { s/rush_node_id 1;/rush_node_id 5000;/ },
        qr/rush_node_id|1023/);
refused('no thread pool', sub { s/rush_thread_pool rush;// },
        qr/"user_api" needs "rush_thread_pool"/);
refused('thread pool', sub { s/rush_thread_pool rush;/rush_thread_pool x;/ },
        qr/"x"/);

foreach (['user_wechat_limit address=1001', qr/is none of address=0\.\.1000/],
         ['user_wechat_limit waiting=0', qr/"waiting=0" is none of/],
         ['user_wechat_limit waiting=', qr/"waiting=" is none of/],
         ['user_wechat_limit =1', qr/"=1" is none of/],
         ['user_wechat_limit day=1', qr/"day=1" is none of/],
         ['user_wechat_limit waiting=1 waiting=2', qr/"waiting" is given tw/],
         ['user_wechat_limit', qr/invalid number of arguments/],
         ['user_code_limit hour=-1', qr/"hour=-1" is none of interval=0/],
         ['user_code_limit interval=x', qr/"interval=x" is none of/])
{
    my ($line, $like) = @$_;
    refused($line, sub { s/(?=rush_thread_pool rush;)/$line;\n/ }, $like);
}

refused('no redis', sub { s/rush_redis [^;]*;// }, qr/rush_redis/);
refused('no mysql', sub { s/rush_mysql [^;]*;// }, qr/rush_mysql/);
refused('no key', sub { s/rush_jwt_key [^;]*;// }, qr/rush_jwt_key/);

$t->finish();
done_testing();
