#!/usr/bin/perl

# Copyright (C) Rush
#
# What an attacker sends: forged tokens, ids of others, roles, members that are
# not asked for, headers that pretend.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $limited = RushTest::Backend::free_port();
my $outside = RushTest::Backend::free_port();
my $apis = 'rush_api; user_api; seckill_api;';

my $t = RushTest->new(nginx => { extra_http => <<"EOC" });
user_bcrypt_cost 4;
server {
    listen 127.0.0.1:$limited;
    rush_limit login rate=2r/m burst=3;
    rush_limit api rate=2r/m burst=3;
    rush_limit buy rate=2r/m burst=3;
    location / { $apis }
}
server {
    listen 127.0.0.1:$outside;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    location / { $apis }
}
EOC

$t->{port}{limited} = $limited;
$t->{port}{outside} = $outside;

my $json = JSON::PP->new->canonical->allow_nonref;
my $mark = 'zqx' . int rand 1e9;        # in all that must not run
my $password = "canary-pw-$mark";
my $user = 8000;
my $now = int time();

my $product = $t->product();
my $sale = $t->activity(stock => 1000, limit => 100);
my $buy = "/api/v1/seckill/activities/$sale/buy";

is($t->register('attacked', $password)->{code}, 0, 'an account');

my $login = $t->login('attacked', $password)->{json}{data};
my @secrets = ($password, @$login{qw(access_token refresh_token)});

my @alice = ($user + 1, $t->buy($sale, $user + 1, key => 'alices'));
my ($alice, $order) = ($alice[0], $alice[1]{json}{data}{order_no});
my $mallory = $user + 2;
$user += 10;

ok($t->wait_for(sub { $t->live_orders($sale) == 1 }, 10, 'the row'),
   'an order');


# how many rows each table has

sub rows {
    return join ' ', map { "$_:" . $t->value("SELECT COUNT(*) FROM $_") }
        qw(user orders product seckill_activity seckill_stock_op
           product_stock_log seckill_price);
}


# --- tokens ---

sub signed {
    my ($head, $claims, $secret) = @_;
    my $text = encode_base64url($head, '') . '.'
        . encode_base64url($claims, '');
    return "$text." . encode_base64url(
        hmac_sha256($text, $secret // $t->{jwt_secret}), '');
}


# JSON texts of a good one, with members put in place of others

sub claims {
    my (%o) = @_;
    my %all = (iss => '"rush"', aud => '"rush"', sub => "\"$alice\"",
               sid => '"1"', ver => 1, role => '"user"', iat => $now,
               exp => $now + 600, jti => '"x"', %o);
    return '{' . join(',', map { "\"$_\":$all{$_}" }
                      grep { defined $all{$_} } sort keys %all) . '}';
}


sub head {
    my (%o) = @_;
    my %all = (alg => '"HS256"', kid => "\"$t->{jwt_kid}\"",
               typ => '"at+jwt"', %o);
    return '{' . join(',', map { "\"$_\":$all{$_}" }
                      grep { defined $all{$_} } sort keys %all) . '}';
}


sub bad_tokens {
    my $good = signed(head(), claims());
    my ($h, $c, $s) = split /\./, $good;
    my $other = 'x' x 32;
    my %bad;

    # headers
    $bad{"alg $_"} = signed(head(alg => $_), claims()) foreach
        map({ "\"$_\"" } qw(none None NONE nOnE hs256 HS384 HS512 RS256 RS512
                            ES256 PS256 EdDSA), '', 'HS256 ', '\u006eone'),
        qw(null 0 true [] ["HS256"] {});
    $bad{"head without $_"} = signed(head($_ => undef), claims())
        foreach qw(alg kid typ);
    $bad{"unsigned $_"} = encode_base64url("{\"alg\":\"$_\",\"typ\":"
        . "\"at+jwt\",\"kid\":\"$t->{jwt_kid}\"}", '') . ".$c."
        foreach qw(none None NONE HS256);
    $bad{"kid $_"} = signed(head(kid => $_), claims(), '') foreach
        '"../../../dev/null"', '"/etc/passwd"', '"0"', '""', 'null', '1',
        '["t1"]', qq("' UNION SELECT 'x"), '"t1\u0000"', '"t1 "',
        '"' . 'k' x 1000 . '"';
    $bad{"typ $_"} = signed(head(typ => $_), claims()) foreach
        '"JWT"', '"rt+jwt"', '"AT+JWT"', '""', 'null';
    $bad{"crit $_"} = signed(head(crit => $_), claims()) foreach
        '[]', '["exp"]', '"x"', 'null';
    $bad{"own key by $_->[0]"} = signed(head(@$_), claims(), $other) foreach
        [jwk => '{"kty":"oct","k":"' . encode_base64url($other, '') . '"}'],
        [jku => '"http://127.0.0.1/k"'], [x5u => '"http://127.0.0.1/k"'],
        [x5c => '["AAAA"]'];
    $bad{'alg twice'} = signed('{"alg":"none",' . substr(head(), 1),
                               claims());
    $bad{'header of another kind'} = signed($_, claims()) foreach
        '[]', '"x"', 'null', '';
    $bad{'header and more'} = signed(head() . 'x', claims());

    # claims
    foreach my $name (qw(exp iat nbf)) {
        $bad{"$name $_"} = signed(head(), claims($name => $_)) foreach
            '"' . ($now + 9) . '"', $now + 0.5, '-1', '1e400', '1e10',
            'true', '[]', '{}', 'NaN', 'Infinity', "0$now", '+1',
            9007199254740993, '9223372036854775808', '0x7fffffff';
    }

    $bad{"no $_"} = signed(head(), claims($_ => undef)) foreach
        qw(iss aud sub exp iat jti);
    $bad{"null $_"} = signed(head(), claims($_ => 'null')) foreach
        qw(iss aud sub sid exp iat nbf jti ver role);
    $bad{'exp 0'} = signed(head(), claims(exp => 0));
    $bad{'expired'} = signed(head(), claims(exp => $now - 60));
    $bad{'iat ahead'} = signed(head(), claims(iat => $now + 600));
    $bad{'nbf ahead'} = signed(head(), claims(nbf => $now + 600));
    $bad{"sub $_"} = signed(head(), claims(sub => $_)) foreach
        $alice, 0, '"0"', '"-1"', "\"0$alice\"", "\" $alice\"",
        "\"$alice \"", "\"+$alice\"", "\"$alice.0\"", '"1e3"', '"0x1"',
        '"9223372036854775808"', '"18446744073709551617"', '""', 'true',
        "[\"$alice\"]", '{"id":"1"}', "\"$alice\\u0000\"",
        "\"\x{d9}\x{a1}\"";
    $bad{"sid $_"} = signed(head(), claims(sid => $_)) foreach
        1, '""', '"x"', '[]';
    $bad{"ver $_"} = signed(head(), claims(ver => $_)) foreach
        '"1"', -1, 1.5, '9007199254740993', '[]';
    $bad{"role $_"} = signed(head(), claims(role => $_)) foreach
        '"Admin"', '"root"', '""', '["admin"]', 1, 'true', '{}';
    $bad{"iss $_"} = signed(head(), claims(iss => $_)) foreach
        '"Rush"', '"rush "', '"rus"', '"rush2"', '["rush"]', '""';
    $bad{"aud $_"} = signed(head(), claims(aud => $_)) foreach
        '"x"', '[]', '["x"]', '[["rush"]]', '{"rush":1}', '["rush",1]';
    $bad{"$_ twice"} = signed(head(), substr(claims(), 0, -1)
        . ",\"$_\":\"2\"}") foreach qw(sub role exp aud);

    # JSON
    $bad{"claims: $_->[0]"} = signed(head(), $_->[1]) foreach
        [array => '[' . claims() . ']'], [empty => ''], [object => '{}'],
        [tail => claims() . '{}'], [bom => "\xef\xbb\xbf" . claims()],
        [nul => claims() . "\0"], [comment => '/**/' . claims()],
        [comma => substr(claims(), 0, -1) . ',}'],
        [utf8 => claims(jti => "\"\xff\"")],
        [overlong => claims(jti => "\"\xc0\xaf\"")],
        [surrogate => claims(jti => '"\ud800"')],
        [deep => claims(x => '[' x 400 . ']' x 400)],
        [many => claims(map { ("m$_" => 1) } 1 .. 60)],
        [quotes => claims() =~ tr/"/'/r];

    return %bad, malformed_tokens($good);
}


sub malformed_tokens {
    my ($good) = @_;

    my ($h, $c, $s) = split /\./, $good;
    my $text = "$h.$c";

    # the same bytes, but for the two bits that are over
    my $digits = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_';
    my $last = substr $digits, 1 + index($digits, substr $s, -1), 1;

    my %form = (
        empty => '', dot => '.', dots => '..', 'two parts' => $text,
        'two and a dot' => "$text.", 'four parts' => "$good.$s",
        'five parts' => "$text.x.y.z", 'front' => ".$good",
        'no head' => ".$c.$s", 'no claims' => "$h..$s",
        padded => "$good=", 'padded claims' => "$h.$c=.$s",
        'cut by one' => substr($good, 0, -1), 'one more' => "${good}A",
        'other last bits' => "$text." . substr($s, 0, -1) . $last,
        plus => "$text." . '+' . substr($s, 1), slash => "$text./"
        . substr($s, 1), 'percent' => $good =~ s/\./%2e/r,
        blank => $good =~ s/\./ ./r, tab => "$h.\t$c.$s",
        quoted => "\"$good\"", comma => "$good,$good",
        'all zero' => "$text." . 'A' x 43, 'zero pair' => "$text."
        . 'A' x 86, 'refresh token' => $login->{refresh_token},
        'of our own, long' => $good . 'A' x 1500, 'long' => 'A' x 7000,
        'other key' => signed(head(), claims(), 'x' x 32),
        'claims changed' => "$h." . encode_base64url(claims(
            role => '"admin"'), '') . ".$s",
    );

    return map { ("form: $_" => $form{$_}) } keys %form;
}


subtest 'tokens' => sub {
    my %bad = bad_tokens();
    my @names = sort keys %bad;

    is($t->get('/api/v1/orders', token => signed(head(), claims()))->{status},
       200, 'the good one');

    my (%bodies, %count, @wrong);

    foreach my $q (['GET', '/api/v1/orders'], ['GET', "$buy/../status"],
                   ['GET', '/api/v1/admin/orders'], ['POST', $buy])
    {
        my @r = $t->burst([map { { method => $q->[0], path => $q->[1],
            headers => { Authorization => "Bearer $bad{$_}" } } } @names],
            conns => 8);

        foreach my $i (0 .. $#r) {
            $count{$r[$i]{status}}++;
            push @wrong, "$names[$i]: $r[$i]{status} $r[$i]{body}"
                if $r[$i]{status} != 401;
            $bodies{$r[$i]{body} =~ s/[0-9a-f]{32}//r}++;
        }
    }

    cmp_ok(scalar @names, '>=', 150, scalar(@names) . ' tokens');
    is(join("\n", @wrong), '', 'all refused');
    is(scalar keys %bodies, 1, 'with one text') or diag(explain(\%bodies));
    is($t->value('SELECT COUNT(*) FROM orders'), 1, 'nothing was bought');

    # two of them; the rest of an address
    is($t->get('/api/v1/orders', headers => { Authorization =>
        [map { "Bearer $_" } signed(head(), claims()), 'x'] })->{status},
       400, 'two headers');

    foreach (map { "/api/v1/orders?$_=" . signed(head(), claims()) }
             qw(access_token token jwt authorization))
    {
        is($t->get($_)->{status}, 401, substr $_, 0, 30);
    }

    foreach my $cookie (qw(token jwt access_token Authorization)) {
        is($t->get('/api/v1/orders', headers => { Cookie => "$cookie="
            . signed(head(), claims()) })->{status}, 401, "cookie $cookie");
    }
};


# --- whose it is ---

sub api_routes {
    my ($match) = @_;

    my $api = $json->decode(RushTest::slurp(
        "$RushTest::ROOT/docs/openapi.json"));
    my @routes;

    foreach my $path (sort grep { /$match/ } keys %{$api->{paths}}) {
        my $at = $path =~ s/\{id\}/$path =~ m!orders! ? $order : $sale/er;
        push @routes, map { [uc, $at] } sort keys %{$api->{paths}{$path}};
    }

    return @routes;
}


subtest 'objects of others' => sub {
    my ($id) = split /-/, $order;
    my $state = sub {
        my ($row) = $t->sql('SELECT * FROM orders WHERE order_no = ?',
                            $order);
        return $json->encode($row);
    };
    my $before = $state->();
    my @ids = ($order, $id + 1 . "-$sale", $id - 1 . "-$sale",
               "$id-" . ($sale + 1), $id, "-$sale", "$id-", "$order-1",
               "0$order", "$order%00", "$order%20", "%27%20OR%201=1--",
               "$order,$order", '*', '..', '9' x 40);

    foreach my $q (['GET', '/api/v1/orders/%s'],
                   ['POST', '/api/v1/orders/%s/cancel'],
                   ['GET', '/api/v1/seckill/results/%s'])
    {
        my ($method, $form) = @$q;

        foreach my $i (@ids) {
            my $path = sprintf $form, $i;
            my @r = $t->burst([
                { method => $method, path => $path, user => $mallory },
                { method => $method, path => $path },
                { method => $method, path => "$path?user_id=$alice",
                  user => $mallory,
                  headers => { 'X-User-Id' => $alice } } ], conns => 1);

            next if $i eq '..';
            my $want = $i =~ /%00/ ? '400 400 400' : '404 401 404';
            is(join(' ', map { $_->{status} } @r), $want, "$method $path");
            unlike($_->{body}, qr/"(?:amount|title)"/) foreach @r;
        }
    }

    # the id of a request is each user's own
    my $r = $t->get("/api/v1/seckill/requests/alices?activity_id=$sale",
                    user => $mallory);
    is($r->{json}{data}{outcome}, 'refused', 'a request of others');
    is($t->get("/api/v1/seckill/requests/$order", user => $mallory)
       ->{json}{data}{outcome}, 'refused', 'by its number');
    is($t->get("/api/v1/seckill/requests/alices?activity_id=$sale",
               user => $alice)->{json}{data}{order_no}, $order,
       'is still theirs');

    foreach ("/api/v1/orders?user_id=$alice", "/api/v1/seckill/mine?user_id="
             . $alice)
    {
        is($t->get($_, user => $mallory)->{json}{data}{total}, 0, $_);
    }

    is($state->(), $before, 'nothing has happened to it');
    is($t->get("/api/v1/orders/$order", user => $alice)->{code}, 0,
       'its owner sees it');
};


subtest 'functions of others' => sub {
    my $before = rows();
    my @routes = api_routes(qr!/admin/|/seckill/init!);
    my %tokens = (
        'nobody' => [401, undef],
        'a user' => [403, $t->token($mallory)],
        'a user who says so' => [401, signed(head(), claims(
            role => '"admin"'), 'x' x 32)],
        'an expired admin' => [401, $t->admin_token(exp => $now - 60)],
        'with headers' => [403, $t->token($mallory), 'X-Role' => 'admin',
                           'X-Forwarded-User' => 'admin',
                           'X-Original-URL' => '/api/v1/time',
                           'X-Rewrite-URL' => '/api/v1/time',
                           'X-HTTP-Method-Override' => 'GET'],
    );

    cmp_ok(scalar @routes, '>=', 19, scalar(@routes) . ' routes');

    foreach my $who (sort keys %tokens) {
        my ($status, $token, %h) = @{$tokens{$who}};
        my @r = $t->burst([map { {
            method => $_->[0], path => "$_->[1]?role=admin&admin=1",
            data => { product_id => $product, title => 'x', price => 1,
                      stock => 1, delta => 1, reason => 'x', role => 'admin',
                      is_admin => JSON::PP::true },
            headers => \%h, (defined $token ? (token => $token) : ())
        } } @routes], conns => 4);

        is(join(' ', map { $r[$_]{status} == $status ? ()
                           : "@{$routes[$_]}: $r[$_]{status}" } 0 .. $#r), '',
           $who);
    }

    is(rows(), $before, 'nothing was made');

    # what is for peers is not there for others
    foreach (qw(/metrics /ready)) {
        is($t->get($_, node => 'outside')->{status}, 200, "$_ inside");
        my $r = $t->get($_, node => 'outside', headers => {
            'X-Real-IP' => '8.8.8.8' });
        is($r->{status} == 404 || $_ eq '/ready', 1, "$_ outside");
        is($t->get($_, node => 'outside', headers => {
            'X-Real-IP' => '8.8.8.8', 'X-Forwarded-For' => '127.0.0.1',
            Forwarded => 'for=127.0.0.1' })->{status}, $r->{status},
           'nor for who pretends');
    }
};


subtest 'members that are not asked for' => sub {
    my %more = (id => '1', user_id => "$alice", role => 'admin', status => 3,
                token_version => 9, version => 7, sold => 5, epoch => 9,
                applied_rev => 9, price_ver => 9, warm => 1, order_no => '1',
                amount => 1, paid => JSON::PP::true, balance => 100,
                operator => 1, created_ms => 1, fails => -100,
                password_hash => 'x', Role => 'admin', ROLE => 'admin',
                __proto__ => { role => 'admin' });

    my $r = $t->register('assigned', $password, fields => { %more,
                                                            role => 'admin' });
    is($r->{json}{data}{user}{role}, 'user', 'no admin by register');
    push @secrets, @{$r->{json}{data}}{qw(access_token refresh_token)};

    my $token = $r->{json}{data}{access_token};
    $t->put('/api/v1/user/profile', { %more, nickname => 'n' },
            token => $token);
    my ($row) = $t->sql("SELECT * FROM user WHERE username = 'assigned'");
    is("$row->{role} $row->{status} $row->{token_version} $row->{nickname} "
       . ($row->{id} == 1 ? 'one' : 'own'), '0 0 1 n own', 'nor by change');

    $r = $t->post($buy, { %more, quantity => 2, price => 0 },
                  user => ++$user);
    my $no = $r->{json}{data}{order_no};
    ok($t->wait_for(sub { $t->value('SELECT COUNT(*) FROM orders WHERE '
                                    . 'order_no = ?', $no) }, 10, 'the row'));
    ($row) = $t->sql('SELECT * FROM orders WHERE order_no = ?', $no);
    is("$row->{user_id} $row->{qty} $row->{price} $row->{amount} "
       . $row->{status}, "$user 2 100 200 1", 'an order is as it was sold');

    $r = $t->post('/api/v1/admin/seckill/activities', { %more,
        product_id => "$product", title => 'x', price => 5, total => 3,
        start_at => ($now + 60) * 1000, end_at => ($now + 90) * 1000 },
        admin => 1);
    ($row) = $t->sql('SELECT * FROM seckill_activity WHERE id = ?',
                     $r->{json}{data}{id});
    # the controller may have seen it already
    is("$row->{sold} $row->{epoch} $row->{price_ver} $row->{warm} "
       . "$row->{status} " . ($row->{applied_rev} == 9 ? 'given' : 'own'),
       '0 0 1 0 0 own', 'an activity too');

    # twice, and in another case
    foreach ('{"quantity":1,"quantity":2}', '{"quantity":1,"quanti\u0074y":2}',
             '{"quantity":1,"retry":true,"retry":false}')
    {
        is($t->post($buy, body => $_, user => ++$user)->{status}, 400, $_);
    }

    is($t->post($buy, body => '{"Quantity":50,"QUANTITY":60}',
                user => ++$user)->{code}, 0, 'case counts');
    is($t->redis()->hget("{a:$sale}u", $user), 1, 'one unit');
    is($t->get('/api/v1/products?page=1&page=2')->{status}, 400,
       'a parameter twice');
};


# --- headers ---

subtest 'headers that pretend' => sub {
    my @names = qw(X-Forwarded-For X-Real-IP X-Client-IP True-Client-IP
        CF-Connecting-IP X-Cluster-Client-IP X-Originating-IP X-Remote-IP
        X-Remote-Addr Client-IP Via X-ProxyUser-Ip X-Forwarded-Host
        Fastly-Client-IP X-Azure-ClientIP);
    my $address = sub { join '.', 10, map { int rand 256 } 1 .. 3 };
    my $login = sub {
        return { method => 'POST', path => '/api/v1/user/login',
                 node => 'limited',
                 data => { account => 'nobody', password => 'wrong' },
                 headers => { @_ } };
    };

    my @r = $t->burst([map { $login->() } 1 .. 3], conns => 1);
    is((grep { $_->{code} == 10002 } @r) + 0, 3, 'three guesses');

    @r = $t->burst([
        $login->(), map({ $login->($_ => $address->()) } @names),
        $login->(Forwarded => 'for=' . $address->()),
        $login->(Host => 'LOCALHOST'), $login->(Host => 'other.'),
        $login->('User-Agent' => 'other'), $login->(Cookie => 'a=b'),
        $login->('Accept-Language' => 'x'),
        $login->('X-Forwarded-For' => '::1, 127.0.0.1, unknown'),
        $login->(map { $_ => $address->() } @names),
        { %{$login->()}, path => '/api/v1/user/login?x=1' },
        { %{$login->()}, path => '//api/v1/user/../user/login' },
        { %{$login->()}, path => '/api/v1/user/%6cogin' },
        { %{$login->()}, path => '/api/v1/user/register' } ], conns => 4);
    is((grep { $_->{status} != 429 } @r) + 0, 0,
       scalar(@r) . ' more are limited as one');
    ok(!(grep { !$_->{headers}{'retry-after'} } @r), 'and told when');

    # by user, whatever the address, the key and the activity
    my $who = ++$user;
    @r = $t->burst([map { { method => 'POST', path => $buy, data => {},
        user => $who, node => 'limited', key => "k$_",
        headers => { 'X-Forwarded-For' => $address->() } } } 1 .. 12],
        conns => 1);
    is((grep { $_->{status} == 200 } @r) + 0, 3, 'three buys');
    is((grep { $_->{status} == 429 } @r) + 0, 9, 'no more');
    is($t->buy($sale, ++$user, node => 'limited')->{status}, 200,
       'another user may');
};


subtest 'what comes back' => sub {
    my @r = $t->burst([
        map({ { path => '/api/v1/orders', user => $alice,
                headers => { Origin => $_ } } } 'null', 'http://evil',
            'https://rush.evil'),
        { method => 'OPTIONS', path => '/api/v1/orders', headers => {
            Origin => 'http://evil', 'Access-Control-Request-Method' =>
            'GET' } },
        { path => '/api/v1/user/profile', token => $login->{access_token} },
        { path => '/api/v1/admin/orders', admin => 1 },
        { path => "/api/v1/seckill/activities/$sale/status?mine=1",
          user => $alice },
        { path => '/api/v1/orders' } ], conns => 1);

    foreach (@r) {
        ok(!exists $_->{headers}{'access-control-allow-origin'}, 'no CORS');
        is($_->{headers}{'cache-control'}, 'no-store', 'and not kept');
    }

    # what is said again
    foreach my $trace ('00-' . 'A' x 32 . '-' . 'b' x 16 . '-01', 'x' x 200,
                       '00-' . '0' x 32 . '-' . '0' x 16 . '-00',
                       "00-<script>-\"'", '')
    {
        my $r = $t->get('/health', headers => { traceparent => $trace });
        like($r->{headers}{'x-trace-id'}, qr/^[0-9a-f]{32}$/, 'a trace id');
        is($r->{json}{trace_id}, $r->{headers}{'x-trace-id'}, 'of ours');
    }

    foreach my $key ("a\tb", 'a"b', 'a\\b', '<a>', 'x' x 65, "\xff", '"', '""',
                     'a b', 'a,b', '%0d%0aX: 1', "a';--")
    {
        my ($r) = $t->burst([{ method => 'POST', path => $buy, data => {},
                               user => ++$user, key => $key }], record => 0);
        is($r->{status}, 400, 'key ' . $json->encode($key));
        ok(!exists $r->{headers}{x}, 'no header of it');
    }

    # types that a form of another site can send
    foreach ('text/plain', 'application/x-www-form-urlencoded',
             'multipart/form-data; boundary=x', 'application/jsonp',
             'text/json', 'application/json2', '')
    {
        is($t->post($buy, body => '{}', type => $_, user => ++$user)
           ->{status}, 415, "type $_");
    }
};


subtest 'one name, many at once' => sub {
    my @r = $t->burst([map { { method => 'POST',
        path => '/api/v1/user/register', data => {
            username => ($_ % 2 ? 'Racer' : 'racer'), password => $password }
    } } 1 .. 30], sync => 1, record => 0);

    is((grep { ($_->{code} // -1) == 0 } @r) + 0, 1, 'one has it');
    is($t->value("SELECT COUNT(*) FROM user WHERE username = 'racer'"), 1,
       'one row');
    is((grep { $_->{status} >= 500 && $_->{status} != 503 } @r) + 0, 0,
       'no failure');
    push @secrets, map { @{$_->{json}{data}}{qw(access_token refresh_token)} }
        grep { ($_->{code} // -1) == 0 } @r;
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
