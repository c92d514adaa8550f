#!/usr/bin/perl

# Copyright (C) Rush
#
# Values that are not what they should be: numbers, strings, SQL, and what
# parsers are fooled with.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use RushTest;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new(nginx => { extra_http => 'user_bcrypt_cost 4;' });

my $json = JSON::PP->new->canonical->allow_nonref;
my $mark = 'zqx' . int rand 1e9;        # in all that must not run
my $password = "canary-pw-$mark";
my $user = 8000;
my $mallory = ++$user;
my $now = int time();

my $product = $t->product();
my $sale = $t->activity(stock => 1000, limit => 100);
my $buy = "/api/v1/seckill/activities/$sale/buy";

is($t->register('attacked', $password)->{code}, 0, 'an account');

my $login = $t->login('attacked', $password)->{json}{data};
my @secrets = ($password, @$login{qw(access_token refresh_token)});


# how many rows each table has

sub rows {
    return join ' ', map { "$_:" . $t->value("SELECT COUNT(*) FROM $_") }
        qw(user orders product seckill_activity seckill_stock_op
           product_stock_log seckill_price);
}


sub nothing_broke {
    my ($what, @answers) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @bad = grep { $_->{status} >= 500 } @answers;
    is(join("\n", map { "$_->{status} $_->{body}" } @bad), '',
       "$what: no answer is a failure");
}


# --- values ---

my $create = { product_id => "$product", title => 'x', price => 5,
               total => 3, start_at => ($now + 60) * 1000,
               end_at => ($now + 90) * 1000 };

my @numbers = (     # method, path, member, the others, values that are good
    ['POST', $buy, 'quantity', {}],
    ['POST', '/api/v1/seckill', 'quantity', { product_id => "$product" }],
    ['PUT', '/api/v1/user/profile', 'sex', {}],
    ['POST', '/api/v1/admin/products', 'price', { title => 'x' },
     qr/^(?:2147483648|4294967296)$/],
    ['POST', '/api/v1/admin/products', 'stock', { title => 'x', price => 1 }],
    ['POST', '/api/v1/admin/products', 'status',
     { title => 'x', price => 1 }],
    ['PUT', "/api/v1/admin/products/$product", 'version', {}],
    ['POST', "/api/v1/admin/products/$product/stock", 'delta',
     { reason => 'x' }, qr/^-1$/],
    ['POST', "/api/v1/admin/products/$product/stock", 'stock',
     { reason => 'x' }],
    ['POST', '/api/v1/admin/seckill/activities', 'price', $create,
     qr/^(?:2147483648|4294967296)$/],
    (map { ['POST', '/api/v1/admin/seckill/activities', $_, $create] }
     qw(total limit_per_user pay_seconds)),
    ['POST', "/api/v1/admin/seckill/activities/$sale/stock", 'delta',
     { reason => 'x' }, qr/^-1$/],
    (map { ['POST', '/api/v1/seckill/init', $_,
            { product_id => "$product", stock => 1 }] }
     qw(stock limit_per_user)),
);

my @bad_numbers = qw(-1 -0 1.5 1.0 "1" "" " 1" 1e3 1E0 2147483648 4294967296
    9007199254740993 9223372036854775807 9223372036854775808
    18446744073709551615 18446744073709551616 -9223372036854775809 NaN
    Infinity 007 0x1 +1 .5 1. [1] {} true);


subtest 'numbers' => sub {
    my $before = rows();
    my $n = 0;

    foreach my $field (@numbers) {
        my ($method, $path, $name, $others, $good) = @$field;
        my @values = grep { !$good || $_ !~ $good } @bad_numbers;
        my $rest = join '', map { $_ eq $name ? () : ",\"$_\":"
            . $json->encode($others->{$_}) } sort keys %$others;

        my @r = $t->burst([map { {
            method => $method, path => $path, type => 'application/json',
            body => "{\"$name\":$_$rest}", ($path =~ /admin|init/
            ? (admin => 1) : (token => $login->{access_token})) }
        } @values], conns => 4);

        is(join(' ', map { "$r[$_]{status} " . ($r[$_]{code} // '-')
                           eq '400 2' ? () : "$values[$_]: $r[$_]{body}" }
                0 .. $#r), '', "$method $path $name");
        $n += @r;
    }

    cmp_ok($n, '>', 350, "$n numbers");

    # in addresses and queries
    foreach my $v (qw(0 -1 1.5 01 +1 1e3 0x1 9223372036854775808 abc %31%00),
                   '%20' . $sale, "$sale%20", $sale . '%0a')
    {
        my $name = "\"$v\"";
        my @r = map { $t->get(sprintf($_, $v), admin => 1)->{status} }
            '/api/v1/seckill/activities/%s', '/api/v1/products/%s/stock',
            '/api/v1/admin/seckill/activities/%s',
            '/api/v1/admin/orders?user_id=%s';
        like("@r", qr/^(?:404 404 404 400|400 400 400 400)$/, $name);
    }

    foreach my $v (qw(0 -1 1.5 01 +1 101 99999999999999999999 a), '', '%00')
    {
        is($t->get("/api/v1/products?page_size=$v")->{status}, 400,
           "page_size=$v");
    }

    is(rows(), $before, 'nothing was made');
};


# each is refused or comes back as it was

subtest 'strings' => sub {
    my %text = (        # JSON text => may it be kept
        '"\u0000"' => 0, '"a\u0000b"' => 0, "\"a\0b\"" => 0,
        "\"\xc0\xaf\"" => 0, "\"\xe0\x80\xaf\"" => 0,
        "\"\xf8\x88\x80\x80\x80\"" => 0, "\"\xed\xa0\x80\"" => 0,
        '"\ud800"' => 0, '"\udc00\ud800"' => 0, '"\ud800x"' => 0,
        "\"\xff\xfe\"" => 0, "\"\xb5\xe7\xc4\xd4\"" => 0,
        "\"\xf4\x90\x80\x80\"" => 0, "\"\x01\"" => 0, '"\u0001"' => 0,
        '"\u001b[31m"' => 0, '"\u007f"' => 0, '"\u0085"' => 0,
        "\"a\nb\"" => 0, '"a\nb"' => 0, '"a\r\nX-Evil: 1"' => 0,
        '"' . 'x' x 129 . '"' => 0, 'null' => 0, '7' => 0, '["x"]' => 0,
        '{"x":1}' => 0, "\"\xe2\x80\xae abc\"" => 1,
        "\"\xf0\x9f\x98\x80\"" => 1, '"\ud83d\ude00 \u00e9"' => 1,
        "\"\xef\xbb\xbfx\"" => 1, "\"\xef\xbf\xbf\"" => 1,
        '"<script>alert(1)</script>"' => 1, '"\"}],\\\\"' => 1,
        '"%s%n%x$(id)`id`{{7*7}}"' => 1, "\"'; DROP TABLE orders; --\"" => 1,
        '"' . "\xe4\xb8\xad" x 128 . '"' => 1, '"&lt;\/"' => 1,
    );
    my $before = $t->value('SELECT COUNT(*) FROM product');
    my $kept = 0;

    foreach my $body (sort keys %text) {
        my $name = $json->encode(substr $body, 0, 30);
        my $r = $t->post('/api/v1/admin/products', admin => 1,
                         body => "{\"price\":1,\"title\":$body}");

        if (!$text{$body}) {
            is("$r->{status} " . ($r->{code} // ''), '400 2', $name);
            next;
        }

        $kept++;
        my $want = JSON::PP->new->utf8->decode("[$body]")->[0];
        is($r->{json}{data}{title}, $want, "kept: $name");

        my $id = $r->{json}{data}{id};
        my $list = $t->get("/api/v1/products/$id");
        is($list->{json}{data}{title}, $want, 'and read');

        # of second order: the name goes on into an activity
        $r = $t->post('/api/v1/seckill/init', { product_id => $id,
                                                stock => 1 }, admin => 1);
        is($r->{json}{data}{title}, $want, 'and used') or diag($r->{body});
    }

    is($t->value('SELECT COUNT(*) FROM product'), $before + $kept,
       'no other product');

    foreach my $n (2001, 60_000, 1_000_000) {
        my $r = $t->post('/api/v1/admin/products', admin => 1, fresh => 1,
            data => { price => 1, title => 'x', description => 'x' x $n });
        like($r->{status}, $n > 9000 ? qr/^(?:413|599)$/ : qr/^400$/,
             "a text of $n");
    }

    foreach ('{"title":"x","price":1' . '}' x 2, '[]', '"x"', '', 'null',
             '{"a":' x 500 . '1' . '}' x 500, '[' x 5000,
             '{' . join(',', map { "\"k$_\":1" } 1 .. 200) . '}',
             '{"title":"x","price":1}/**/', "\xef\xbb\xbf{}", '{"a":\'x\'}',
             "\xff\xfe{\0}\0")
    {
        is($t->post('/api/v1/admin/products', body => $_, admin => 1)
           ->{status}, 400, substr($_, 0, 20) =~ s/[^ -~]/?/gr);
    }
};


# --- SQL ---

my @sql = map { s/MARK/$mark/r } (
    "' OR '1'='1' -- MARK", "' OR 1=1#MARK", "'; DROP TABLE user; -- MARK",
    "' UNION SELECT 1,2,3,'MARK' -- ", "\\' OR 1=1 -- MARK",
    "MARK' AND SLEEP(5)='", "1; SELECT SLEEP(5) -- MARK", "MARK\"",
    "admin'/*MARK", "' OR ''='MARK", "MARK%' OR '%'='", "MARK\\",
    "') OR ('1'='1' -- MARK", "1' ORDER BY 100 -- MARK", "MARK`",
    "' AND EXTRACTVALUE(1,CONCAT(0x7e,'MARK')) -- ",
    "' INTO OUTFILE '/tmp/MARK' -- ", "LOAD_FILE('MARK')", "MARK' XOR 1='1",
    "0 OR 1=1 -- MARK", "(SELECT 'MARK')", "' || 'MARK", "\@\@version MARK",
    "' RLIKE (SELECT 'MARK') -- ", "MARK'--", "1 PROCEDURE ANALYSE() MARK",
    "\xe5' OR 1=1 -- MARK", "\xbf' OR 1=1 -- MARK", "_ % MARK",
);


sub encoded {
    return $_[0] =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}


subtest 'SQL' => sub {
    $t->do($_) foreach "SET GLOBAL log_output = 'TABLE'",
        'TRUNCATE mysql.general_log', 'SET GLOBAL general_log = 1';

    my $before = rows();
    my $users = $t->value('SELECT GROUP_CONCAT(username, password_hash, role '
                          . 'ORDER BY id) FROM user');
    my @all;

    foreach my $text (@sql) {
        my $e = encoded($text);
        my $valid = $text !~ /[\x80-\xff]/;
        my $data = sub {
            my ($path, $o, %how) = @_;
            return $valid ? { method => 'POST', path => $path, data => $o,
                              %how } : ();
        };

        push @all, map({ { path => $_ } }
                "/api/v1/products?keyword=$e", "/api/v1/products?category=$e",
                "/api/v1/products?sort=$e", "/api/v1/products/$e",
                "/api/v1/seckill/activities?state=$e",
                "/api/v1/seckill/activities/$e/stock"),
            map({ { path => $_, user => $mallory } }
                "/api/v1/orders?status=$e", "/api/v1/orders/$e",
                "/api/v1/seckill/results/$e", "/api/v1/seckill/requests/$e",
                "/api/v1/seckill/requests/x?activity_id=$e"),
            map({ { path => $_, admin => 1 } }
                "/api/v1/admin/orders?user_id=$e", "/api/v1/admin/orders/$e",
                "/api/v1/admin/orders?activity_id=$e"),
            map({ $data->('/api/v1/user/login',
                          { $_ => $text, password => $text }) }
                qw(account username mobile email)),
            $data->('/api/v1/user/register',
                    { username => $text, password => $password }),
            $data->('/api/v1/auth/refresh-token', { refresh_token => $text }),
            $data->($buy, { quantity => $text }, user => $mallory),
            ($text !~ /[^ -~]/ ? $data->($buy, {}, user => $mallory,
                                         key => $text) : ());
    }

    my @r = $t->burst(\@all, conns => 4);

    cmp_ok(scalar @all, '>', 500, scalar(@all) . ' requests');
    nothing_broke('SQL', @r);
    is((grep { $_->{elapsed} > 4 * $RushTest::SLOW } @r) + 0, 0,
       'nothing slept');
    is((grep { $_->{body} =~ /syntax|mysql|mariadb|SQLSTATE|errno/i } @r) + 0,
       0, 'nothing is told of the database');
    is((grep { ($_->{json}{data}{access_token} // '') ne '' } @r) + 0, 0,
       'nobody is let in');
    is(rows(), $before, 'nothing was made or lost');
    is($t->value('SELECT GROUP_CONCAT(username, password_hash, role '
                 . 'ORDER BY id) FROM user'), $users, 'users are the same');

    is($t->value('SELECT COUNT(*) FROM mysql.general_log WHERE '
                 . "command_type <> 'Execute' AND argument LIKE ? AND "
                 . 'thread_id <> CONNECTION_ID()', "%$mark%"), 0,
       'no text was a statement');
    cmp_ok($t->value('SELECT COUNT(*) FROM mysql.general_log WHERE '
                     . "command_type = 'Execute' AND argument LIKE ?",
                     "%$mark%"), '>', 50, 'but a parameter');
    $t->do('SET GLOBAL general_log = 0');
};


# --- parsers ---

# --- parsers ---

subtest 'one request, one answer' => sub {
    my $who = ++$user;
    my $hidden = "POST $buy HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
        . $t->token($who) . "\r\nContent-Length: 0\r\n\r\n";
    my $len = length $hidden;
    my $to = "POST /api/v1/user/login HTTP/1.1\r\nHost: a\r\n"
        . "Content-Type: application/json\r\n";
    my $zero = "0\r\n\r\n";
    my %asked = (
        'both lengths' => $to . "Content-Length: 5\r\nTransfer-Encoding: "
            . "chunked\r\n\r\n$zero$hidden",
        'both, the other way' => $to . 'Content-Length: ' . ($len + 5)
            . "\r\nTransfer-Encoding: chunked\r\n\r\n$zero$hidden",
        'two lengths' => $to . "Content-Length: 0\r\nContent-Length: $len"
            . "\r\n\r\n$hidden",
        'a list of lengths' => $to . "Content-Length: 0, $len\r\n\r\n$hidden",
        (map { ("length $_" => $to . "Content-Length: $_\r\n\r\n$hidden") }
         '+0', '-1', '0x0', '00x', '1e0', '9' x 25, ''),
        (map { ("coding $_" => $to . "Transfer-Encoding: $_\r\n\r\n$zero"
                . $hidden) } 'xchunked', 'chunked, chunked',
         'identity, chunked', 'gzip, chunked', 'chunked;q=1', "\x0bchunked"),
        'coding twice' => $to . "Transfer-Encoding: chunked\r\n"
            . "Transfer-Encoding: identity\r\n\r\n$zero$hidden",
        'blank before the colon' => $to . 'Content-Length : ' . $len
            . "\r\n\r\n$hidden",
        'a folded header' => $to . "X: a\r\n Content-Length: $len\r\n\r\n"
            . $hidden,
        'a bare CR' => $to . "X: a\rContent-Length: $len\r\n\r\n$hidden",
        'NUL in a header' => $to . "X: a\0b\r\n\r\n$hidden",
        'two hosts' => "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        'chunk of 2^64' => $to . "Transfer-Encoding: chunked\r\n\r\n"
            . "10000000000000000\r\n$hidden",
        'old HTTP' => "GET $buy\r\n", 'HTTP/2.0' => "GET / HTTP/2.0\r\n\r\n",
        'HTTP/1.9' => "GET /\r\n HTTP/1.9\r\nHost: a\r\n\r\n",
        'a small method' => "get /health HTTP/1.1\r\nHost: a\r\n\r\n",
        'preface' => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        'TLS' => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . "\0" x 99,
    );

    # what follows a refused head is not looked at
    foreach my $name (sort keys %asked) {
        my $out = $t->raw($asked{$name}, until_close => 1, idle => 0.3);
        my @status = $out =~ m!^HTTP/1\.1 (\d+)!mg;

        cmp_ok(scalar @status, '<=', 1, "$name: @status");
        unlike($out, qr/"code":0,/, 'no success');
    }

    foreach ('/api/v1/../v1/admin/orders', '/api/v1/%2e%2e/v1/admin/orders',
             '//api//v1//admin//orders', '/api/v1/time/../admin/orders',
             '/api/v1/time/..%2fadmin/orders', '/api/v1/time%2f../orders',
             '/api/v1/orders;a=b', '/API/V1/ORDERS', '/api/v1/orders/',
             '/api/v1/orders/.', '/api/v1/orders%00', '/api/v1/orders%20',
             '/api/v1/orders%3f', '/api/v1/orders%23', '/api/v1/orders.json',
             '/health/../api/v1/orders', '/%61pi/v1/orders',
             '/api/v1/time?/../../orders', '/api/v1/\\orders',
             '/api/v1/or%c0%aeders')
    {
        my $out = $t->raw("GET $_ HTTP/1.1\r\nHost: a\r\n\r\n");
        my ($status) = $out =~ m!^HTTP/1\.1 (\d+)!;
        like($status, /time\?/ ? qr/^200$/ : qr/^40[014]$/, "$_: $status");
    }

    foreach my $method (qw(OPTIONS TRACE CONNECT PATCH PROPFIND LOCK COPY
                           PURGE DELETE PUT))
    {
        my $out = $t->raw("$method /api/v1/orders HTTP/1.1\r\nHost: a\r\n"
                          . "Content-Length: 0\r\n\r\n");
        like($out, qr!^HTTP/1\.1 40[05]!, $method);
    }

    my $out = $t->raw("GET http://evil/api/v1/admin/orders HTTP/1.1\r\n"
                      . "Host: localhost\r\n\r\n");
    like($out, qr!^HTTP/1\.1 401!, 'an absolute address');

    is($t->get("/api/v1/products/$product", admin => 1, headers => {
        'X-HTTP-Method-Override' => 'DELETE', 'X-HTTP-Method' => 'DELETE',
        'X-Method-Override' => 'DELETE' })->{code}, 0, 'not another method');
    is($t->value('SELECT status FROM product WHERE id = ?', $product), 1,
       'the product stands');
    is($t->redis()->hget("{a:$sale}u", $who), undef, 'nothing was smuggled');

    my @r = $t->burst([map { { path => '/health' } } 1 .. 1000], conns => 1,
                      raw => 1, record => 0);
    is((grep { $_->{status} == 200 } @r) + 0, 1000, 'a thousand in a row');
};


subtest 'nothing secret is told' => sub {
    my @texts = map { [$_ =~ s!^\Q$t->{dir}\E/!!r, RushTest::slurp($_)] }
        glob "$t->{dir}/*.log $t->{dir}/*/*.log";

    push @texts, ['/metrics', $t->get('/metrics', record => 0)->{body}],
        ['/ready', $t->get('/ready')->{body}];
    push @secrets, $t->{jwt_secret}, encode_base64url($t->{jwt_secret}, ''),
        values %{$t->{password}};

    foreach (@texts) {
        my ($name, $text) = @$_;
        is((grep { defined && length && index($text, $_) >= 0 } @secrets) + 0,
           0, $name);
    }
};


$t->finish();
done_testing();
