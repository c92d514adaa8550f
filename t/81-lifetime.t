#!/usr/bin/perl

# Copyright (C) Rush
#
# Lifetime of requests: pipelines and aborts at any byte, clients that leave
# while a step waits, half-closed ones, HTTP/2, a reload with requests waiting.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use JSON::PP ();
use POSIX ();
use RushTest;
use RushTest::Raw qw(answers bytes close_hard pieces);
use Test::More;
use Time::HiRes qw(sleep time);

my $h2 = RushTest::Backend::free_port();

my $t = RushTest->new(
    proxy => [qw(nginx_redis nginx_mysql)],
    nginx => { extra_http => <<"EOC" });
user_bcrypt_cost 4;
server {
    listen 127.0.0.1:$h2 http2;
    location / { rush_api; user_api; seckill_api; }
}
EOC

my $seed = $ENV{RUSH_SEED} // int(time());
my $json = JSON::PP->new->canonical;
my $user = 7000;

srand $seed;
note("RUSH_SEED=$seed");

my $product = $t->product();
my $sale = $t->activity(stock => 100_000, limit => 100, product => $product);
my $buy = "/api/v1/seckill/activities/$sale/buy";
my $raw = RushTest::Raw->new($t, $sale);
my $token = $t->token(++$user);
my $password = 'canary-pw-' . int rand 1e9;
my @secrets = ($password);

is($t->register('lifetime', $password)->{code}, 0, 'an account');
push @secrets, $t->login('lifetime', $password)->{json}{data}
                 ->@{qw(access_token refresh_token)};


# a walk through the routes: method, bytes, status

sub mixed {
    my ($n) = @_;

    my @make = (
        sub { ['GET', bytes('GET', '/health'), 200] },
        sub { ['GET', bytes('GET', '/api/v1/time?a=%20&b'), 200] },
        sub { ['GET', bytes('GET', "/api/v1/seckill/activities/$sale"),
               200] },
        sub { ['HEAD', bytes('HEAD', "/api/v1/products/$product"), 200] },
        sub { ['GET', bytes('GET', "/api/v1/products/$product/stock"), 200] },
        sub { ['GET', bytes('GET', '/api/v1/products?keyword=Pro%64uct&page='
                            . (1 + int rand 3)), 200] },
        sub { ['GET', bytes('GET', '/api/v1/orders', token => $token), 200] },
        sub { ['GET', bytes('GET', "/api/v1/seckill/activities/$sale/status"
                            . '?mine=1', token => $token), 200] },
        sub { ['GET', bytes('GET', '/api/v1/nothing'), 404] },
        sub { ['DELETE', bytes('DELETE', '/api/v1/products'), 405] },
        sub { ['GET', bytes('GET', '/api/v1/orders'), 401] },
        sub { ['POST', bytes('POST', $buy, token => $t->token(++$user),
                             body => '{"quantity":1}'), 200] },
        sub { ['POST', bytes('POST', $buy, token => $t->token(++$user),
                             body => '{"quantity":1,"more":"'
                                     . 'x' x (1 + int rand 300) . '"}',
                             chunked => [map { 1 + int rand 40 } 1 .. 9]),
               200] },
        sub { ['POST', bytes('POST', $buy, body => '{}' . ' ' x rand 3000),
               401] },
        sub { ['POST', bytes('POST', $buy, token => $token, body => '{"q'),
               400] },
        sub { ['POST', bytes('POST', $buy, token => $token, body => 'a=b',
                             type => 'text/plain'), 415] },
        sub { ['GET', bytes('GET', '/api/v1/admin/orders', token => $token,
                            body => 'x' x (rand 5000)), 403] },
        sub { ['GET', bytes('GET', '/api/v1/seckill/requests/none'
                            . int rand 1e9, token => $token), 400] },
    );

    return map { $make[rand @make]->() } 1 .. $n;
}


# --- what one finds ---

subtest 'a hundred requests in one pipeline' => sub {
    foreach my $size (1_000_000, 1000, 7) {
        my @all = mixed(100);
        my $text = join '', map { $_->[1] } @all;
        my ($in, @got) = ('');
        my $s = $t->connect();

        # so that nobody waits for the other's window
        my $pid = fork() // die;

        if ($pid == 0) {
            syswrite $s, $_ foreach pieces($text, $size);
            POSIX::_exit(0);
        }

        @got = answers($s, \$in, map { $_->[0] } @all);
        waitpid $pid, 0;

        is(join(' ', map { $_->{status} } @got),
           join(' ', map { $_->[2] } @all), "pieces of $size bytes");
        is($in, '', 'and not a byte more');
        close $s;
    }

    $raw->unharmed('pipeline');
};


subtest 'aborts at any byte' => sub {
    my $rounds = $ENV{RUSH_ROUNDS} // 150;

    foreach my $delay (0, 25) {
        $t->proxy($_)->delay($delay) foreach qw(nginx_redis nginx_mysql);

        foreach my $i (1 .. $rounds) {
            my $text = join '', map { $_->[1] } mixed(1 + int rand 30);
            my $s = $t->connect();

            syswrite $s, substr $text, 0, 1 + int rand length $text;
            sleep rand 0.03 if rand() < 0.5;
            sysread $s, my $some, 1 + int rand 2000
                if rand() < 0.2 && IO::Select->new($s)->can_read(0.05);

            my $how = rand();
            $how < 0.4 ? close $s : $how < 0.8 ? close_hard($s)
                : shutdown $s, 1;
        }
    }

    $t->proxy($_)->pass() foreach qw(nginx_redis nginx_mysql);
    $raw->unharmed('aborts');
};


# each step that waits, with the client gone while it does

subtest 'nobody there when the answer comes' => sub {
    my $admin = $t->admin_token();
    my @routes = (
        ['POST', $buy, token => $t->token(++$user), body => '{}'],
        ['POST', '/api/v1/seckill', token => $t->token(++$user),
         body => qq({"product_id":"$product"})],
        ['GET', "/api/v1/seckill/activities/$sale/status?mine=1",
         token => $token],
        ['GET', "/api/v1/seckill/requests/gone?activity_id=$sale",
         token => $token],
        ['GET', '/api/v1/seckill/requests/gone', token => $token],
        ['GET', "/api/v1/seckill/results/1-$sale", token => $token],
        ['GET', '/api/v1/seckill/mine', token => $token],
        ['GET', '/api/v1/orders', token => $token],
        ['GET', "/api/v1/orders/1-$sale", token => $token],
        ['POST', "/api/v1/orders/1-$sale/cancel", token => $token],
        ['GET', '/api/v1/products?keyword=nobody'],
        ['GET', '/api/v1/products?category=nobody'],
        ['GET', '/api/v1/products/999999'],
        ['GET', '/api/v1/user/profile', token => $token],
        ['PUT', '/api/v1/user/profile', token => $token, body => '{"sex":1}'],
        ['POST', '/api/v1/user/logout', token => $t->token(++$user)],
        ['POST', '/api/v1/user/login',
         body => qq({"account":"lifetime","password":"$password"})],
        ['POST', '/api/v1/user/register',
         body => qq({"username":"gone","password":"$password"})],
        ['POST', '/api/v1/auth/refresh-token',
         body => '{"refresh_token":"' . 'A' x 43 . '"}'],
        ['GET', '/api/v1/admin/orders', token => $admin],
        ['GET', '/api/v1/admin/seckill/activities', token => $admin],
        ['GET', "/api/v1/admin/seckill/activities/$sale", token => $admin],
        ['GET', "/api/v1/admin/seckill/activities/$sale/availability",
         token => $admin],
        ['POST', "/api/v1/admin/seckill/activities/$sale/reconcile",
         token => $admin, body => '{}'],
        ['POST', "/api/v1/admin/seckill/activities/$sale/stock",
         token => $admin, body => '{"delta":1}'],
        ['POST', '/api/v1/seckill/init', token => $admin,
         body => qq({"product_id":"$product","stock":1})],
        ['POST', '/api/v1/admin/products', token => $admin,
         body => '{"title":"x","price":1}'],
        ['PUT', "/api/v1/admin/products/$product", token => $admin,
         body => '{"status":1}'],
        ['POST', "/api/v1/admin/products/$product/stock", token => $admin,
         body => '{"delta":1,"reason":"x"}'],
    );

    foreach my $wait (0.02, 0.12, 0.3) {
        $t->proxy($_)->delay(100) foreach qw(nginx_redis nginx_mysql);

        foreach my $hard (0, 1) {
            my @s;

            foreach my $q (@routes) {
                push @s, my $s = $t->connect();
                syswrite $s, bytes(@$q);
            }

            sleep $wait;
            $hard ? close_hard($_) : close $_ foreach @s;
        }

        $t->proxy($_)->pass() foreach qw(nginx_redis nginx_mysql);
        $raw->unharmed("gone after $wait s");
    }

    like($t->log_text('nginx'), qr/rush request is gone in "seckill_/,
         'some were waiting');
};


subtest 'a client that half closes' => sub {
    # that is an end for nginx, unless the route runs on
    my $s = $t->connect();
    my $in = '';

    syswrite $s, bytes('POST', '/api/v1/user/login', body =>
        qq({"account":"lifetime","password":"$password"}));
    shutdown $s, 1;

    my ($r) = answers($s, \$in, 'POST');
    is($r->{code}, 0, 'a login is answered');
    push @secrets, $json->decode($r->{body})->{data}
                        ->@{qw(access_token refresh_token)} if $r->{body};

    foreach my $i (1 .. 30) {
        $s = $t->connect();
        syswrite $s, join '', map { $_->[1] } mixed(5);
        shutdown $s, 1;
        1 while sysread $s, my $some, 65536;
    }

    $raw->unharmed('half closed');
};


sub output {
    my (@args) = @_;
    open my $fh, '-|', 'timeout', 20 * $RushTest::SLOW, @args or die;
    local $/;
    my $out = <$fh> // '';
    close $fh;
    return $out;
}


subtest 'HTTP/2' => sub {
    plan skip_all => 'no curl' if !grep { -x "$_/curl" } split /:/, $ENV{PATH};

    my @curl = (qw(curl -s --http2-prior-knowledge -w), '\n%{http_code}');
    my $top = "http://127.0.0.1:$h2";
    my $auth = sub { ('-H', "Authorization: Bearer $_[0]") };
    my $type = 'Content-Type: application/json';

    like(output(@curl, "$top/health"), qr/\n200$/, 'GET');
    like(output(@curl, '-I', "$top/api/v1/products/$product"), qr/\n200$/,
         'HEAD');
    like(output(@curl, '-X', 'DELETE', "$top/api/v1/products"), qr/\n405$/,
         'another method');
    like(output(@curl, $auth->($t->token(++$user)), '-H', $type,
                '-H', 'Idempotency-Key: h2', '-d', '{}', "$top$buy"),
         qr/"request_id":"h2".*\n200$/s, 'a buy');

    # without a length
    like(output('sh', '-c', 'printf "{}" | "$@"', 'sh', @curl,
                $auth->($t->token(++$user)), '-H', $type, '-T', '-', '-X',
                'POST', "$top$buy"), qr/\n200$/, 'a body in pieces');

    # streams that end while their steps wait
    $t->proxy($_)->delay(60) foreach qw(nginx_redis nginx_mysql);

    foreach my $ms (20, 40, 70, 90) {
        output('curl', '-s', '--no-progress-meter',
               '--http2-prior-knowledge', '-Z', '-m',
               $ms / 1000, $auth->($token), map { "$top$_" } $_ % 3
               ? ('/api/v1/orders', '/api/v1/products?keyword=h2',
                  "/api/v1/seckill/activities/$sale/status?mine=1")
               : ('/api/v1/user/profile', "/api/v1/orders/1-$sale"))
            foreach 1 .. 5;
    }

    $t->proxy($_)->pass() foreach qw(nginx_redis nginx_mysql);

    if (grep { -x "$_/h2load" } split /:/, $ENV{PATH}) {
        # some versions of curl stumble over an answer before its end
        RushTest::spew("$t->{dir}/long", '{}' . ' ' x 50_000);
        like(output('nghttp', '-H', ':method: POST', '-H', $type, '-d',
                    "$t->{dir}/long", "$top$buy"), qr/^\{"code":6,/,
             'refused before a long body');

        my $out = output('h2load', '-n', 400, '-c', 4, '-m', 25, '-H',
                         "Authorization: Bearer $token",
                         map { "$top$_" } '/api/v1/time', '/api/v1/orders',
                         "/api/v1/products/$product",
                         "/api/v1/seckill/activities/$sale/status?mine=1");
        like($out, qr/400 succeeded, 0 failed/, 'many streams') or diag($out);
        like($out, qr/400 2xx/, 'all answered') or diag($out);
    }

    $raw->unharmed('HTTP/2');
};


# --- the end of a worker ---

subtest 'a reload with requests waiting' => sub {
    RushTest::Mode::needs_master();

    $t->proxy($_)->delay(400) foreach qw(nginx_redis nginx_mysql);

    my (@s, @methods);

    foreach my $i (1 .. 10) {
        my $who = $t->token(++$user);

        foreach my $q (['POST', $buy, token => $who, body => '{}'],
                       ['GET', '/api/v1/orders', token => $who],
                       ['GET', "/api/v1/products?keyword=w$i"],
                       ['GET', "/api/v1/seckill/activities/$sale/status"
                        . '?mine=1', token => $who])
        {
            push @s, my $s = $t->connect();
            push @methods, $q->[0];
            syswrite $s, bytes(@$q);
        }
    }

    sleep 0.1;
    ok($t->reload('nginx', wait => 20), 'the old workers left');
    $t->proxy($_)->pass() foreach qw(nginx_redis nginx_mysql);

    my @r = map { my $in = ''; answers($s[$_], \$in, $methods[$_]) } 0 .. $#s;

    is(scalar(grep { ($_->{code} // -1) == 0 } @r), scalar @s,
       'each got its answer');

    $raw->reloaded();
    $raw->unharmed('reload');
};


subtest 'nothing secret is told' => sub {
    my $metrics = $t->get('/metrics', record => 0)->{body};

    foreach my $file (glob "$t->{dir}/*.log $t->{dir}/*/*.log") {
        my $text = RushTest::slurp($file);
        my @found = grep { index($text, $_) >= 0 } grep { length } @secrets;
        is(scalar @found, 0, $file =~ s!^\Q$t->{dir}\E/!!r);
    }

    is(scalar(grep { index($metrics, $_) >= 0 } @secrets), 0, '/metrics');
};


$t->finish();
done_testing();
