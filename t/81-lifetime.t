#!/usr/bin/perl

# Copyright (C) Rush
#
# Lifetime of requests: pipelines and aborts at any byte, bodies that nobody
# wants, bodies in pieces, HEAD, half-closed clients, preconditions, HTTP/2,
# error pages, a reload with requests waiting.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use JSON::PP ();
use POSIX ();
use RushTest;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my $h2 = RushTest::Backend::free_port();
my $pages = RushTest::Backend::free_port();
my $apis = 'rush_api; user_api; seckill_api;';

my $t = RushTest->new(
    proxy => [qw(nginx_redis nginx_mysql)],
    nginx => { extra_http => <<"EOC" });
user_bcrypt_cost 4;
log_format asked '\$request';
server {
    listen 127.0.0.1:$h2 http2;
    location / { $apis }
}
server {
    listen 127.0.0.1:$pages;
    large_client_header_buffers 4 2k;
    client_max_body_size 4k;
    access_log asked.log asked;
    error_page 400 403 404 405 408 413 414 494 500 503 /error;
    location / { $apis }
    location = /denied { deny all; }
    location = /moved { rewrite ^ /api/v1/time; }
    location = /error { internal; rush_error; }
}
EOC

my $seed = $ENV{RUSH_SEED} // int(time());
my @workers = sort $t->workers();
my $json = JSON::PP->new->canonical;
my $user = 7000;

srand $seed;
note("RUSH_SEED=$seed");

my $product = $t->product();
my $sale = $t->activity(stock => 100_000, limit => 100, product => $product);
my $buy = "/api/v1/seckill/activities/$sale/buy";
my $token = $t->token(++$user);
my $password = 'canary-pw-' . int rand 1e9;
my @secrets = ($password);

is($t->register('lifetime', $password)->{code}, 0, 'an account');
push @secrets, $t->login('lifetime', $password)->{json}{data}
                 ->@{qw(access_token refresh_token)};


# --- raw connections ---

sub port_socket {
    my ($port) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
        || die "connect: $!";
}


# one request as bytes; o: token, headers, body, chunked => [sizes]

sub bytes {
    my ($method, $path, %o) = @_;

    my $text = "$method $path HTTP/1.1\r\nHost: rush\r\n";

    $text .= "Authorization: Bearer $o{token}\r\n" if $o{token};
    $text .= "$_\r\n" foreach @{$o{headers} || []};

    return "$text\r\n" if !defined $o{body};

    $text .= 'Content-Type: ' . ($o{type} // 'application/json') . "\r\n";

    return $text . 'Content-Length: ' . length($o{body})
        . "\r\n\r\n$o{body}" if !$o{chunked};

    $text .= "Transfer-Encoding: chunked\r\n\r\n";
    my $at = 0;

    foreach my $n (@{$o{chunked}}, length $o{body}) {
        last if $at >= length $o{body};
        my $part = substr $o{body}, $at, $n;
        $text .= sprintf "%x;ext=\"1\"\r\n%s\r\n", length $part, $part;
        $at += $n;
    }

    return $text . "0\r\n\r\n";
}


sub pieces {
    my ($text, $n) = @_;
    return unpack "(a$n)*", $text;
}


# the next n answers of a connection; fewer when it ends

sub answers {
    my ($s, $in, @methods) = @_;

    my @answers;
    my $end = time() + 15 * $RushTest::SLOW;

    foreach my $method (@methods) {
        my $r;

        until ($r = take($in, $method)) {
            last if time() > $end || !IO::Select->new($s)->can_read(5);
            last if !sysread $s, $$in, 65536, length $$in;
        }

        last if !$r;
        push @answers, $r;
    }

    return @answers;
}


# an answer from the front of $$in, the interim ones counted

sub take {
    my ($in, $method) = @_;

    my $at = index $$in, "\r\n\r\n";
    return if $at < 0;

    my ($status) = $$in =~ m!^HTTP/1\.1 (\d{3})!
        or return { status => 0, body => $$in };
    my ($len) = substr($$in, 0, $at) =~ /^Content-Length: (\d+)/mi;

    if ($status == 100) {
        substr $$in, 0, $at + 4, '';
        my $r = take($in, $method);
        $$in = "HTTP/1.1 100 Continue\r\n\r\n$$in", return if !$r;
        $r->{interim}++;
        return $r;
    }

    $len = 0 if $method eq 'HEAD' || $status == 304;
    return if length $$in < $at + 4 + ($len // 0);

    my $head = substr $$in, 0, $at, '';
    my $body = substr $$in, 4, $len // 0;
    substr $$in, 0, 4 + ($len // 0), '';

    return { status => $status, head => $head, body => $body,
             code => $body =~ /^\{"code":(\d+)/ ? $1 : undef };
}


sub close_hard {
    my ($s) = @_;
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $s;
}


# --- what must hold after each of them ---

sub gauge {
    my ($name) = @_;
    my @all = map { $_->{body} =~ /^rush_$name (\d+)/m ? $1 : -1 }
        $t->burst([map { { path => '/metrics' } } 1 .. 8], sync => 1,
                  record => 0);
    return (sort { $b <=> $a } @all)[0];
}


sub unharmed {
    my ($what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply([sort $t->workers()], \@workers, "$what: the same workers");
    ok($t->wait_for(sub {
        return !gauge('redis_in_flight') && !gauge('mysql_busy')
            && !gauge('mysql_waiting');
    }, 10, 'idle backends'), "$what: nothing is left in flight");
    is($t->buy($sale, ++$user)->{code}, 0, "$what: still selling");
}


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

    unharmed('pipeline');
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
    unharmed('aborts');
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
        unharmed("gone after $wait s");
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

    unharmed('half closed');
};


# --- bodies ---

subtest 'refused before the body was read' => sub {
    my $big = '{"quantity":1,"pad":"' . 'x' x 60_000 . '"}';
    my @cases = (
        ['no token', 401, $buy],
        ['bad token', 401, $buy, token => 'a.b.c'],
        ['no such route', 404, '/api/v1/none', token => $token],
        ['no such id', 404, '/api/v1/seckill/activities/x/buy',
         token => $token],
        ['wrong method', 405, '/api/v1/products'],
        ['not for users', 403, '/api/v1/admin/products', token => $token],
        ['another type', 415, $buy, token => $token, type => 'text/plain'],
        ['no type', 415, $buy, token => $token, type => ''],
        ['bad key', 400, $buy, token => $token,
         headers => ['Idempotency-Key: a b']],
        ['without use', 404, "/api/v1/orders/1-$sale/cancel",
         token => $token],
    );

    foreach my $case (@cases) {
        my ($name, $status, $path, %o) = @$case;

        foreach my $chunked (undef, [1, 2000, 3, 30_000]) {
            foreach my $piece (1_000_000, 9000) {
                my $s = $t->connect();
                my $in = '';
                my $text = bytes('POST', $path, %o, body => $big,
                                 chunked => $chunked)
                    . bytes('GET', '/health');

                foreach (pieces($text, $piece)) {
                    syswrite $s, $_;
                    sleep 0.002 if $piece < 10_000;
                }

                my @r = answers($s, \$in, 'POST', 'GET');
                is(join(' ', map { $_->{status} } @r), "$status 200",
                   "$name, " . ($chunked ? 'chunked' : 'plain') . ", $piece");
                is($r[1]{code}, 0, 'the next is whole');
            }
        }
    }

    unharmed('refused early');
};


# the rest of the body comes while the steps of the route wait

subtest 'a body that nobody reads, later than the answer' => sub {
    my $path = "/api/v1/orders/1-$sale/cancel";

    foreach my $delay (0, 60) {
        $t->proxy('nginx_mysql')->delay($delay);

        my $s = $t->connect();
        my $in = '';
        my $text = bytes('POST', $path, token => $token,
                         body => 'x' x 40_000) . bytes('GET', '/health');

        syswrite $s, substr $text, 0, 5000, '';
        sleep 0.03;
        syswrite $s, substr $text, 0, 20_000, '';
        sleep 0.1;
        syswrite $s, $text;

        is(join(' ', map { $_->{status} } answers($s, \$in, 'POST', 'GET')),
           '404 200', "backend $delay ms away");

        # and one that leaves instead
        $s = $t->connect();
        syswrite $s, substr bytes('POST', $path, token => $token,
                                  body => 'x' x 40_000), 0, 9000;
        sleep 0.02;
        close_hard($s);
    }

    $t->proxy('nginx_mysql')->pass();
    unharmed('late body');
};


subtest 'bodies in pieces' => sub {
    my $body = '{"quantity":1,"u":"\u00e9\ud83d\ude00","s":[[],{"a":null}]}';

    foreach my $n (1 .. length $body) {
        my $in = '';
        my $s = $t->connect();

        syswrite $s, bytes('POST', $buy, token => $t->token(++$user),
                           body => $body, chunked => [($n) x 100]);
        my ($r) = answers($s, \$in, 'POST');
        is($r->{code}, 0, "chunks of $n") or diag($r->{body});
    }

    foreach my $n (1, 2, 3, 7, 20) {
        my $in = '';
        my $s = $t->connect();
        my $text = bytes('POST', $buy, token => $t->token(++$user),
                         body => $body);

        foreach (pieces($text, $n)) {
            syswrite $s, $_;
            select undef, undef, undef, 0.0005;
        }

        is((answers($s, \$in, 'POST'))[0]{code}, 0, "pieces of $n");
    }

    # in several buffers, and beyond them
    my %size = (7000 => 200, 20_000 => 413, 60_000 => 413, 200_000 => 413);

    foreach my $n (sort { $a <=> $b } keys %size) {
        foreach my $chunked (undef, [(int $n / 5) x 5]) {
            my $in = '';
            my $s = $t->connect();

            syswrite $s, bytes('POST', $buy, token => $t->token(++$user),
                body => '{"quantity":1,"pad":"' . 'x' x $n . '"}',
                chunked => $chunked);

            my ($r) = answers($s, \$in, 'POST');
            is($r->{status}, $size{$n}, "$n bytes"
               . ($chunked ? ', chunked' : ''));
        }
    }

    unharmed('pieces');
};


subtest 'bodies that are broken' => sub {
    my %broken = (
        'no hex' => "zz\r\n{}\r\n0\r\n\r\n",
        'too long' => "ffffffffffffffffff\r\n{}",
        'no end of a chunk' => "2\r\n{}XX0\r\n\r\n",
        'negative' => "-2\r\n{}\r\n0\r\n\r\n",
    );

    foreach my $name (sort keys %broken) {
        # those that read the body and those that throw it away
        foreach my $who ($token, undef) {
            foreach my $late (0, 1) {
                my $head = "POST $buy HTTP/1.1\r\nHost: rush\r\n"
                    . 'Content-Type: application/json' . "\r\n"
                    . ($who ? "Authorization: Bearer $who\r\n" : '')
                    . "Transfer-Encoding: chunked\r\n\r\n";
                my $s = $t->connect();
                my $in = '';

                syswrite $s, $late ? $head : $head . $broken{$name};
                sleep 0.02, syswrite $s, $broken{$name} if $late;

                my ($r) = answers($s, \$in, 'POST');
                my %may = ($who ? () : (401 => 1), 400 => 1);
                ok($may{$r->{status} // 0}, "$name, " . ($who ? 'read'
                   : 'thrown away') . ($late ? ', late' : '')
                   . ": $r->{status}");
            }
        }
    }

    unharmed('broken bodies');
};


subtest 'Expect: 100-continue' => sub {
    my $body = '{"quantity":1}';
    my $expect = ['Expect: 100-continue'];

    foreach my $case ([200, token => $t->token(++$user)], [401],
                      [415, token => $token, type => 'text/plain'])
    {
        my ($status, %o) = @$case;
        my $text = bytes('POST', $buy, %o, body => $body,
                         headers => $expect);
        my $s = $t->connect();
        my $in = '';

        syswrite $s, substr $text, 0, -length $body;
        IO::Select->new($s)->can_read(2);
        syswrite $s, $body;
        syswrite $s, bytes('GET', '/health');

        my @r = answers($s, \$in, 'POST', 'GET');
        is(join(' ', map { $_->{status} } @r), "$status 200",
           "$status, then the next");
    }

    unharmed('Expect');
};


# --- methods and headers ---

sub api_paths {
    my ($method) = @_;

    my $api = $json->decode(RushTest::slurp(
        "$RushTest::ROOT/docs/openapi.json"));

    return map {
        my $path = $_;
        $path =~ s!/products/\{id\}!/products/$product!;
        $path =~ s/\{id\}/$path =~ m{orders} ? "1-$sale" : $sale/e;
        $path =~ s/\{order_no\}/1-$sale/;
        $path =~ s/\{request_id\}/1-$sale/;
        $path;
    } grep { $api->{paths}{$_}{$method} } sort keys %{$api->{paths}};
}


subtest 'HEAD is GET without the body' => sub {
    foreach my $path (api_paths('get')) {
        my $who = $path =~ /admin/ ? $t->admin_token() : $token;
        my $s = $t->connect();
        my $in = '';

        # the first fills caches
        syswrite $s, join '', map { bytes($_, $path, token => $who) }
            qw(GET GET HEAD GET);
        my ($warm, $get, $head, $after) = answers($s, \$in, qw(GET GET HEAD
                                                               GET));
        my %h = map { $_ => $_->{head} } $get, $head;

        is($head->{status}, $get->{status}, "HEAD $path: $get->{status}");
        ok($after && $after->{status} == $get->{status}, 'what follows');

        # times and counters may be one digit longer
        my ($a, $b) = map { $_->{head} =~ /^Content-Length: (\d+)/mi
                            ? $1 : -9 } $get, $head;
        cmp_ok(abs($a - $b), '<', 200, "$a and $b bytes");

        s/^(?:X-Trace-Id|Date|Content-Length|ETag|Retry-After):.*\r\n//mgi
            foreach values %h;
        is($h{$head}, $h{$get}, 'the same headers');
    }

    unharmed('HEAD');
};


# nothing that was done may look as if it was not

subtest 'preconditions' => sub {
    my @headers = ('If-None-Match: *', 'If-Match: "x"', 'If-Match: *',
                   'If-Unmodified-Since: Mon, 01 Jan 2024 00:00:00 GMT',
                   'If-Modified-Since: Mon, 01 Jan 2040 00:00:00 GMT',
                   'Range: bytes=0-1', 'If-Range: "x"');

    foreach my $h (@headers) {
        my $s = $t->connect();
        my $in = '';

        syswrite $s, bytes('POST', $buy, token => $t->token(++$user),
                           headers => [$h], body => '{}')
            . bytes('GET', '/api/v1/time', headers => [$h]);

        my @r = answers($s, \$in, 'POST', 'GET');
        is($r[0]{status}, 200, "a buy with $h");
        like($r[0]{body}, qr/"order_no":"\d/, 'has its number');
        is($r[1]{status}, 200, 'the time');
    }

    my $path = "/api/v1/seckill/activities/$sale";
    my ($etag) = $t->get($path)->{headers}{etag};
    my $r = $t->get($path, headers => { 'If-None-Match' => $etag });

    is($r->{status}, 304, 'what has an ETag can be asked for');
    is($r->{body}, '', 'and is not sent again');

    # what is shown of the product belongs to it too
    $t->do('UPDATE product SET title = ? WHERE id = ?', 'Renamed', $product);
    $t->wait_for(sub { $t->get($path)->{body} =~ /Renamed/ }, 5, 'the name');
    $r = $t->get($path, headers => { 'If-None-Match' => $etag });
    is($r->{status}, 200, 'another name is another answer');
};


# both have the order or its refusal under one id of the client

subtest 'one id in two activities' => sub {
    my $other = $t->activity(warm => 0, status => 0);
    my $who = ++$user;

    is($t->buy($sale, $who, key => 'twice')->{code}, 0, 'bought in one');
    ok($t->wait_for(sub {
        $t->value('SELECT COUNT(*) FROM orders WHERE user_id = ?', $who);
    }, 10, 'the row'), 'stored');

    my $path = '/api/v1/seckill/requests/twice?activity_id=';
    my $r = $t->get($path . $sale, user => $who);
    is($r->{json}{data}{outcome}, 'granted', 'of this one');

    $r = $t->get($path . $other, user => $who);
    is($r->{code}, 4, 'not of the other, which Redis does not have')
        or diag($r->{body});
};


# --- HTTP/2 ---

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

    unharmed('HTTP/2');
};


# --- pages for what nginx itself refuses ---

subtest 'error pages' => sub {
    my $bad = "POST /none HTTP/1.1\r\nHost: a\r\n"
        . "Transfer-Encoding: chunked\r\n\r\nzz\r\n";
    my %asked = (
        'bad chunks' => [$bad, 400, 2],
        'a header without an end' =>
            ["GET / HTTP/1.1\r\nHost: a\r\nX: " . 'x' x 9000 . "\r\n\r\n",
             400, 2],
        'a line without an end' =>
            ['GET /' . 'x' x 9000 . " HTTP/1.1\r\nHost: a\r\n\r\n", 414, 8],
        'no host' => ["GET / HTTP/1.1\r\n\r\n", 400, 2],
        'not HTTP' => ["HELLO\r\n\r\n", 400],
        'two lengths' => ["POST $buy HTTP/1.1\r\nHost: a\r\n"
                          . "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                          400, 2],
        'a long body' => [bytes('POST', $buy, token => $token,
                                body => 'x' x 5000), 413, 8],
        'a long chunked body' => [bytes('POST', $buy, token => $token,
            body => 'x' x 5000, chunked => [1000, 1000]), 413, 8],
        'denied' => [bytes('GET', '/denied'), 403, 7],
        'moved inside' => [bytes('GET', '/moved'), 404, 4],
        'ours' => [bytes('GET', '/none'), 404, 4],
    );

    foreach my $name (sort keys %asked) {
        my ($text, $status, $code) = @{$asked{$name}};
        my $s = port_socket($pages);
        my $in = '';

        syswrite $s, $text;
        my ($r) = answers($s, \$in, 'GET');

        is($r->{status}, $status, $name) or diag($r->{body});
        is($r->{code}, $code, 'in our envelope') or diag($r->{body})
            if $code;
    }

    unharmed('error pages');
};


# --- logs ---

subtest 'what was asked is logged as it came' => sub {
    my $path = '/api/v1/products?keyword=%0a2026/01/01+00:00:00+[notice]+x'
        . '&%0aname=1&sort=%6eew';
    my $s = port_socket($pages);
    my $in = '';

    $t->proxy('nginx_mysql')->delay(100);
    syswrite $s, bytes('GET', $path);
    is((answers($s, \$in, 'GET'))[0]{status}, 400, 'a line feed in a field');

    # the log of errors names the request; this one is given up
    $path =~ s/keyword=%0a/keyword=/;
    $s = port_socket($pages);
    syswrite $s, bytes('GET', $path);
    sleep 0.05;
    close_hard($s);

    $t->wait_for(sub { $t->log_text('nginx') =~ /gone in[^\n]*product_list/ },
                 5, 'the log');
    $t->proxy('nginx_mysql')->pass();

    like(RushTest::slurp("$t->{dir}/nginx/asked.log"),
         qr/^GET \Q$path\E HTTP\/1\.1$/m, 'the log of requests');

    my @forged = grep { $_ !~ m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] } }
        split /\n/, $t->log_text('nginx');
    is(join("\n", @forged), '', 'every line of the other log is nginx\'s')
};


# --- the end of a worker ---

subtest 'a reload with requests waiting' => sub {
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

    @workers = sort $t->workers();
    unharmed('reload');
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
