#!/usr/bin/perl

# Copyright (C) Rush
#
# Bodies that nobody wants, in pieces or broken, HEAD, preconditions, pages for
# what nginx itself refuses, what the logs say of a request.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use JSON::PP ();
use RushTest;
use RushTest::Raw qw(answers bytes close_hard pieces);
use Test::More;
use Time::HiRes qw(sleep time);

my $pages = RushTest::Backend::free_port();

my $t = RushTest->new(
    proxy => ['nginx_mysql'],
    nginx => { extra_http => <<"EOC" });
log_format asked '\$request';
server {
    listen 127.0.0.1:$pages;
    large_client_header_buffers 4 2k;
    client_max_body_size 4k;
    access_log asked.log asked;
    error_page 400 403 404 405 408 413 414 494 500 503 /error;
    location / { rush_api; user_api; seckill_api; }
    location = /denied { deny all; }
    location = /moved { rewrite ^ /api/v1/time; }
    location = /error { internal; rush_error; }
}
EOC

$t->{port}{pages} = $pages;

my $json = JSON::PP->new->canonical;
my $user = 7000;
my $product = $t->product();
my $sale = $t->activity(stock => 100_000, limit => 100, product => $product);
my $buy = "/api/v1/seckill/activities/$sale/buy";
my $raw = RushTest::Raw->new($t, $sale);
my $token = $t->token(++$user);


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

    $raw->unharmed('refused early');
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
    $raw->unharmed('late body');
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

    $raw->unharmed('pieces');
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

    $raw->unharmed('broken bodies');
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

    $raw->unharmed('Expect');
};


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
    } grep { $api->{paths}{$_}{$method} && !m{/events$} }
        sort keys %{$api->{paths}};     # streams do not end: t/69-*.t
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

    $raw->unharmed('HEAD');
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
        my $s = $t->connect('pages');
        my $in = '';

        syswrite $s, $text;
        my ($r) = answers($s, \$in, 'GET');

        is($r->{status}, $status, $name) or diag($r->{body});
        is($r->{code}, $code, 'in our envelope') or diag($r->{body})
            if $code;
    }

    $raw->unharmed('error pages');
};


# --- logs ---

subtest 'what was asked is logged as it came' => sub {
    my $path = '/api/v1/products?keyword=%0a2026/01/01+00:00:00+[notice]+x'
        . '&%0aname=1&sort=%6eew';
    my $s = $t->connect('pages');
    my $in = '';

    $t->proxy('nginx_mysql')->delay(100);
    syswrite $s, bytes('GET', $path);
    is((answers($s, \$in, 'GET'))[0]{status}, 400, 'a line feed in a field');

    # the log of errors names the request; this one is given up
    $path =~ s/keyword=%0a/keyword=/;
    $s = $t->connect('pages');
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


$t->finish();
done_testing();
