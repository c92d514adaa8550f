#!/usr/bin/perl

# Copyright (C) Rush
#
# Access tokens, beyond what t/22 and t/80 refuse: the form that we write
# ourselves is read a shorter way, so each fault is tried in that form and in
# another order of members; what is right has to be taken; the second at which
# a token begins and ends; keys that come and go; what is ended, on every
# worker of two nodes.  No refused request reaches a step, and none is an
# error in the log.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha1 hmac_sha256 hmac_sha384 hmac_sha512);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64 encode_base64url);
use RushTest;
use RushTest::Routes;
use Test::More;
use Time::Local qw(timegm);
use Time::HiRes qw(sleep time);

my $t = RushTest->new(nginx => { extra_http => 'user_bcrypt_cost 4;' });
my $all = RushTest::Routes->new($t);
my $json = JSON::PP->new->canonical;
my $now = int time();
my $who = $all->account();
my $card = $all->sponsor($who);
my $sale = $all->sale();
my $kid = $t->{jwt_kid};
my $key = $t->{jwt_secret};
my $node = $t->node(extra_http => 'user_bcrypt_cost 4;');

# one of each kind of auth and limit; none of them may do anything
my @routes = (
    ['POST', '/api/v1/user/addresses', { receiver => 'Li', mobile =>
        '13812345678', province => 'P', city => 'C', detail => 'D' }],
    ['POST', "/api/v1/seckill/activities/$sale/buy", {}],
    ['GET', "/api/v1/user/sponsors/$card"],
    ['POST', '/api/v1/admin/products', { title => 'forged', price => 1 }],
    ['DELETE', '/api/v1/user', {}],
);


# --- making them ---

sub signed {
    my ($head, $claims, $mac) = @_;
    my $text = encode_base64url($head, '') . '.'
        . encode_base64url($claims, '');
    return "$text." . encode_base64url($mac ? $mac->($text)
                                       : hmac_sha256($text, $key), '');
}


# members as [name, JSON text], in the order in which we write them

sub own_head {
    my (%o) = @_;
    return join_members([[alg => '"HS256"'], [kid => "\"$kid\""],
                         [typ => '"at+jwt"']], %o);
}


sub own_claims {
    my (%o) = @_;
    return join_members([[iss => '"rush"'], [aud => '"rush"'],
        [sub => "\"$who->{id}\""], [sid => '"' . ($who->{id} + 1) . '"'],
        [ver => 1], [role => '"user"'], [iat => $now], [exp => $now + 600],
        [jti => '"AAAAAAAAAAAAAAAAAAAAAA"']], %o);
}


# texts take the place of members, undef takes one away, new ones follow;
# turn => 1: the other way round

sub join_members {
    my ($members, %o) = @_;

    my $turn = delete $o{turn};
    my @all = map { [$_->[0], exists $o{$_->[0]} ? delete $o{$_->[0]}
                     : $_->[1]] } @$members;

    push @all, map { [$_, $o{$_}] } sort keys %o;
    @all = reverse @all if $turn;

    return '{' . join(',', map { "\"$_->[0]\":$_->[1]" }
                      grep { defined $_->[1] } @all) . '}';
}


sub good { return signed(own_head(), own_claims(@_)) }


# the sum of a counter of both nodes

sub counted {
    my ($name) = @_;
    my $sum = 0;
    $sum += $t->get('/metrics', node => $_, record => 0)->{body}
        =~ /^\Q$name\E (\d+)/m ? $1 : 0 foreach 'nginx', $node;
    return $sum;
}


# --- refused ---

sub bad_headers {
    my %bad;
    my $rsa = sub { 'x' x 256 };
    my %mac = (HS384 => \&hmac_sha384, HS512 => \&hmac_sha512,
               HS1 => \&hmac_sha1, RS256 => $rsa, PS512 => $rsa,
               ES256 => sub { "\0" x 64 });

    foreach my $alg (sort keys %mac) {
        $bad{"alg $alg, signed so"} = signed(own_head(alg => "\"$alg\""),
            own_claims(), sub { $mac{$alg}->($_[0], $key) });
    }

    # the spellings that t/80 does not have
    foreach my $alg ('nONE', 'NoNe', 'none ', ' none', '\u004eone', 'n\u006fne',
                     '', 'HS256\u0000', '\u0000HS256', 'HS-256', 'HS256,none',
                     'hS256', 'A256GCM', 'dir')
    {
        foreach my $with ('', encode_base64url(hmac_sha256('x', $key), '')) {
            $bad{"alg \"$alg\" " . ($with ? 'with' : 'without')} =
                encode_base64url(own_head(alg => "\"$alg\""), '') . '.'
                . encode_base64url(own_claims(), '') . ".$with";
        }
    }

    $bad{"$_ in a name"} = signed(own_head() =~ s/"alg":"HS256"/$_/r,
                                  own_claims()) foreach
        '"alg":"none","\u0061lg":"HS256"', '"\u0061lg":"none","alg":"HS256"',
        '"Alg":"HS256"', '"alg ":"HS256"', '"alg\u0000":"HS256"',
        '"al\u0067":"none"', '"alg":"HS256","typ":"at+jwt"',
        "\"alg\":\"HS256\",\"kid\":\"$kid\"";
    $bad{"b64 $_"} = signed(own_head(b64 => $_, crit => '["b64"]'),
                            own_claims()) foreach 'false', 'true';
    $bad{"zip $_"} = signed(own_head(zip => "\"$_\""), own_claims() . ' x')
        foreach 'DEF';
    $bad{"kid $_"} = signed(own_head(kid => $_), own_claims()) foreach
        "\"../$kid\"", "\"$kid/../$kid\"", "\"\L$kid\E \"", "\"\U$kid\E\"",
        "\" $kid\"", "[\"$kid\"]", '{}', 'false', "\"$kid\\u0000\"",
        '"t1\' OR \'1\'=\'1"', '"file:///dev/null"', "\"$kid,$kid\"",
        '"' . substr($kid, 0, 1) . '"';
    $bad{"empty key, kid $_"} = signed(own_head(kid => "\"$_\""),
        own_claims(), sub { hmac_sha256($_[0], '') }) foreach
        '', '../../../../dev/null', '0';
    $bad{'key as text'} = signed(own_head(), own_claims(), sub {
        hmac_sha256($_[0], encode_base64url($key, '')) });
    $bad{'typ with application/'} = signed(own_head(
        typ => '"application/at+jwt"'), own_claims());
    $bad{'cty of a nested one'} = signed(own_head(cty => '"JWT"'),
                                         '"' . good() . '"');
    $bad{'header is claims'} = signed(own_claims(), own_claims());
    $bad{'200 members in the header'} = signed(own_head(map { ("m$_" => 1) }
        1 .. 200), own_claims());
    $bad{'deep header'} = signed(own_head(x => '[' x 60 . ']' x 60),
                                 own_claims());

    return %bad;
}


sub bad_claims {
    my %bad;
    my $far = '9223372036854775807';

    my %wrong = (
        exp => ["\"@{[$now + 600]}\"", "@{[$now + 600]}.0", '0', '-1', '-0',
                'null', 'true', '[]', '9e9', '1e400', '1' . '0' x 400, '0x7f',
                '9007199254740992', '9223372036854775808', "0$now",
                '18446744073709551616', $far, $now - 31],
        iat => ["\"$now\"", "$now.5", '-1', 'null', 'false', '{}', $far,
                '1e3', $now + 3600],
        nbf => ["\"$now\"", "$now.5", '-1', 'null', 'false', '{}', $far,
                '1e3', $now + 3600],
        sub => [$who->{id}, '""', '"0"', "\"-$who->{id}\"", 'null', '[]',
                "\"$who->{id}\\u0000\"", "\"\\u0030$who->{id}\"", "\"$far" .
                '0"', "\"$who->{id},1\"", "[\"$who->{id}\"]"],
        sid => ['1', '"-1"', 'null', '"x"', '["1"]', '"1e3"',
                '"9223372036854775808"'],
        ver => ['"1"', '-1', '1.0', 'null', 'true', $far, '[1]', '1e0'],
        role => ['"ADMIN"', '"admin "', 'null', '1', '["user"]', '""'],
        roles => ['"1"', '-1', '1.5', 'null', '[1]', 'true',
                  '9223372036854775808', '01', '{"1":1}'],
        iss => ['"RUSH"', '"rush\u0000"', '"rush/"', 'null', '["rush"]'],
        aud => ['"rush2"', '["rush",null]', '["rush",1]', '[]', 'null',
                '{"0":"rush"}', '["RUSH"]', '[["rush"]]', '["rush","rush",'],
        jti => ['""', 'null', '1', '[]', "\"\x01\""],
    );

    foreach my $name (sort keys %wrong) {
        foreach my $v (@{$wrong{$name}}) {
            foreach my $turn (0, 1) {
                $bad{"$name $v" . ($turn ? ', turned' : '')} = signed(
                    own_head(), own_claims($name => $v, turn => $turn));
            }
        }
    }

    foreach my $name (qw(sub ver role exp iat jti iss aud sid roles)) {
        my $again = $name eq 'roles' ? '"roles":1,"roles":1' : "\"$name\":1";
        my $name_u = sprintf '\u%04x%s', ord $name, substr $name, 1;

        $bad{"$name twice"} = signed(own_head(),
            own_claims() =~ s/\}$/,$again}/r);
        $bad{"$name twice, escaped"} = signed(own_head(),
            own_claims(roles => 0) =~ s/\}$/,"$name_u":1}/r);
    }

    $bad{"name of $_ in capitals"} = signed(own_head(), own_claims(
        $_ => undef) =~ s/\}$/,"\U$_\E":"1"}/r) foreach qw(sub exp iat iss);
    $bad{"after the claims: $_"} = signed(own_head(), own_claims() . $_)
        foreach ' x', "\0", ',', '}', '{}', '//', 'null';
    $bad{"claims are $_"} = signed(own_head(), $_) foreach
        'null', 'true', '1', '""', '[]', '{', '}', ' ', '{"sub":}',
        '[' x 1000, '{"a":' x 300;
    $bad{'claims cut'} = signed(own_head(), substr own_claims(), 0, -1);

    return %bad;
}


sub bad_forms {
    my $good = good();
    my ($h, $c, $s) = split /\./, $good;
    my $digits = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_';
    my $next = sub {
        my ($text, $n) = @_;
        return substr($text, 0, -1) . substr $digits,
            index($digits, substr $text, -1) ^ $n, 1;
    };
    my %bad = (
        'six dots' => '......', 'a dot before' => ".$good",
        'a dot after' => "$good.", 'five parts' => "$h.$c.$s.$h.$c",
        'encrypted' => "$h.$c.$s.$c.$s", 'nothing but dots' => '.' x 47,
        'claims twice' => "$h.$c$c.$s", 'signature twice' => "$h.$c.$s$s",
        'parts changed' => "$c.$h.$s", 'signature of zeros' => "$h.$c."
        . 'A' x 43, 'last byte of it' => "$h.$c." . substr($s, 0, -2) . 'AA',
        'standard alphabet' => encode_base64(own_head(), '') . '.'
        . encode_base64(own_claims(aud => '["rush","??>>~~"]'), '') . ".$s",
        'padding inside' => "$h=.$c.$s", 'two of it' => "$good==",
        'of 2049 bytes' => good(pad => '"' . 'x' x 1500 . '"'),
        'of 8000 bytes' => $good . 'A' x 7600,
        'hex' => "$h.$c." . unpack('H*', decode_base64url($s)),
        'a byte of 8 bits' => "$h.$c\xc3.$s",
    );

    # over bits of the last character: the same bytes for a lax decoder
    $bad{"bits $_ of the signature"} = "$h.$c." . $next->($s, $_)
        foreach 1, 2, 3;

    foreach my $text (own_claims(x => '"a"'), own_claims(x => '"aa"'),
                      own_claims(x => '"aaa"'))
    {
        my $c = encode_base64url($text, '');
        next if length($c) % 4 == 0;
        my $signed = "$h." . $next->($c, 1);
        $bad{'bits of the claims, ' . length $c} = "$signed."
            . encode_base64url(hmac_sha256($signed, $key), '');
        $signed = "$h.$c" . '=' x (-length($c) % 4);
        $bad{'signed padding, ' . length $c} = "$signed."
            . encode_base64url(hmac_sha256($signed, $key), '');
    }

    # at each place one character less, one more, another
    foreach my $at (map { int($_ * length($good) / 12) } 0 .. 11) {
        my $x = $good;
        substr $x, $at, 1, '';
        $bad{"without byte $at"} = $x;
        $x = $good;
        substr $x, $at, 0, 'A';
        $bad{"one more at $at"} = $x;
        $x = $good;
        substr $x, $at, 1, substr($x, $at, 1) eq 'Q' ? 'R' : 'Q';
        $bad{"another byte at $at"} = $x;
    }

    return %bad;
}


subtest 'refused' => sub {
    my %bad = (bad_headers(), bad_claims(), bad_forms());
    my @names = sort keys %bad;
    my $rows = $json->encode($all->all_rows());
    my $bought = $t->meta($sale)->{remain};
    my $steps = counted('rush_redis_commands_total');
    my $refused = counted('rush_token_bad_total');
    my ($n, %bodies, @wrong) = (0);

    foreach my $route (@routes) {
        my ($method, $path, $data) = @$route;
        my @r = $t->burst([map { { method => $method, path => $path,
            data => $data, token => $bad{$_} } } @names], conns => 8);

        foreach my $i (0 .. $#r) {
            my ($r, $name) = ($r[$i], $names[$i]);

            $bodies{$r->{body} =~ s/"trace_id":"\w+"//r}++;
            push @wrong, "$method $path, $name: $r->{status} $r->{body}"
                if $r->{status} != 401 || ($r->{code} // -1) != 6
                || ($r->{headers}{'www-authenticate'} // '') !~ /^Bearer/
                || $r->{headers}{'cache-control'} ne 'no-store';
            $n++;
        }
    }

    cmp_ok(scalar @names, '>=', 300, scalar(@names) . ' tokens');
    is(join("\n", @wrong), '', 'each is refused');
    is(join("\n", map { /^\{"code":6,/ ? () : $_ } keys %bodies), '',
       'with one text');
    is(scalar keys %bodies, 1);
    is(counted('rush_token_bad_total') - $refused, $n, 'each was counted');
    is($json->encode($all->all_rows()), $rows, 'MySQL is what it was');
    is($t->meta($sale)->{remain}, $bought, 'nothing was bought');

    is(join("\n", map { grep { !/\[(?:info|notice)\]/ } split /\n/,
                        $t->log_text($_) } 'nginx', $node), '',
       'nothing above its level in the log');
};


# --- taken ---

subtest 'taken' => sub {
    my %good = (
        'as we write it' => good(),
        'turned' => good(turn => 1),
        'without sid, ver, role' => good(sid => undef, ver => undef,
                                         role => undef),
        'more members' => good(scope => '"a b"', x => '[{"y":[null,1e5]}]'),
        'one of many audiences' => good(aud => '["x","rush","y"]'),
        'nbf of before' => good(nbf => $now - 5),
        'no roles' => good(roles => 0),
        'blanks' => signed(' { "alg" : "HS256" , "kid":"' . $kid
            . '","typ":"at+jwt"} ', own_claims() =~ s/,/ ,\n/gr),
        'escaped names' => signed('{"\u0061lg":"HS25\u0036","kid":"' . $kid
            . '","typ":"at\u002bjwt"}', own_claims() =~ s/"sub"/"s\\u0075b"/r),
        'other order of the header' => signed(own_head(turn => 1),
                                              own_claims()),
        'jku that nobody follows' => signed(own_head(
            jku => '"http://127.0.0.1:1/k"', jwk => '{"kty":"oct"}'),
            own_claims()),
        'no mask, but the old word' => good(role => '"admin"', roles => 0),
    );

    # ahead as far as clocks may differ
    $good{"$_ ahead"} = good($_ => int(time()) + 25) foreach qw(iat nbf);
    $good{'just over'} = good(exp => int(time()) - 20);

    foreach my $name (sort keys %good) {
        my $r = $t->get("/api/v1/user/sponsors/$card",
                        token => $good{$name});
        is("$r->{status} $r->{json}{data}{id}", "200 $card", $name);
    }

    # the mask has the last word
    foreach (['"admin"', 0], ['"user"', 1 << 40]) {
        is($t->get('/api/v1/admin/roles', token => good(role => $_->[0],
            roles => $_->[1]))->{status}, 403, "role $_->[0], mask $_->[1]");
    }
};


sub date_of {
    my ($r) = @_;
    my %month = map { (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))
                      [$_] => $_ } 0 .. 11;
    my ($d, $m, $y, @t) = $r->{headers}{date}
        =~ /, (\d+) (\w+) (\d+) (\d+):(\d+):(\d+) GMT/ or die;
    return timegm(reverse(@t), $d, $month{$m}, $y);
}


# the answer tells in its date by which second it was judged

subtest 'to the second' => sub {
    my $start = int time();
    my (@cases, %seen, @wrong);

    foreach my $name (qw(exp iat nbf)) {
        my $edge = $start + 2 + ($name eq 'exp' ? -30 : 30);
        push @cases, map { [$name, $edge, good($name => $edge, turn => $_)] }
            0, 1;
    }

    # by a route whose steps do not wait: the date is that of the check
    while (time() < $start + 3.2) {
        foreach my $i (0 .. $#cases) {
            my ($name, $edge, $token) = @{$cases[$i]};
            my $r = $t->get("/api/v1/seckill/activities/$sale/status",
                            token => $token, record => 0);
            my $at = date_of($r);
            my $good = $name eq 'exp' ? $at < $edge + 30 : $at >= $edge - 30;

            push @wrong, "$name, $at for $edge: $r->{status}"
                if $r->{status} != ($good ? 200 : 401);
            $seen{$i}{$r->{status}} = 1;
        }

        sleep 0.01;
    }

    is(join("\n", @wrong), '', 'exp, iat, nbf');
    is(scalar(grep { keys %$_ == 2 } values %seen), scalar @cases,
       'each was seen on both sides');
};


# --- where it stands ---

subtest 'headers' => sub {
    my $good = good();
    my %status = (
        "Bearer $good" => 200, "bearer $good" => 200, "BEARER $good" => 200,
        "bEaReR $good" => 200, "Bearer $good " => 200, "Bearer\t$good" => 401,
        "Bearer  $good" => 401, "Bearer $good,$good" => 401,
        "Bearer $good Bearer $good" => 401, "Bearer \"$good\"" => 401,
        "Bearer=$good" => 401, "Bearer: $good" => 401, "Bearer" => 401,
        "BearerX $good" => 401, "Bear $good" => 401, "JWT $good" => 401,
        "Basic " . encode_base64("x:$good", '') => 401, $good => 401,
        "DPoP $good" => 401, "Bearer realm=\"$good\"" => 401,
        "Bearer token=$good" => 401, "\xe2\x80\x8bBearer $good" => 401,
    );

    foreach my $value (sort keys %status) {
        foreach my $path ('/api/v1/user/profile',
                          "/api/v1/user/sponsors/$card")
        {
            my ($r) = $t->burst([{ path => $path,
                headers => { Authorization => $value } }], record => 0);
            is($r->{status}, $status{$value}, "$path: "
               . substr($value, 0, 16) =~ s/[^ -~]/?/gr);
        }
    }

    # nobody guesses which of two was meant; nginx tells both at level info
    foreach my $two ([$good, $good], [$good, 'x'], ['x', $good],
                     [$good, good(roles => 1)])
    {
        my $out = $t->raw("GET /api/v1/user/profile HTTP/1.1\r\nHost: a\r\n"
            . join('', map { "Authorization: Bearer $_\r\n" } @$two)
            . "\r\n");
        like($out, qr!^HTTP/1\.1 400 !, 'two headers');
    }

    foreach my $name (qw(Proxy-Authorization X-Authorization Authorisation
                         X-Auth-Token X-Access-Token Sec-WebSocket-Protocol
                         X-Forwarded-Authorization Authentication))
    {
        is($t->get('/api/v1/user/profile', headers => { $name =>
            "Bearer $good" })->{status}, 401, $name);
    }

    is($t->post('/api/v1/user/addresses/parse', { text => 'x', $_ => $good })
       ->{status}, 401, "$_ in the body") foreach qw(access_token token);
};


# --- keys that come and go ---

sub keys_are {
    my (@lines) = @_;
    RushTest::spew("$t->{dir}/jwt.key", join('', map { "$_\n" } @lines), 0600);
    return $t->reload('nginx');
}


sub all_say {
    my ($token, $status, %o) = @_;
    return $t->wait_steady(sub {
        my @r = $t->burst([map { { path => '/api/v1/user/profile',
            token => $token } } 1 .. 12], sync => 1, record => 0, %o);
        return !grep { $_->{status} != $status } @r;
    }, 3, "$status of every worker");
}


subtest 'rotation' => sub {
    RushTest::Mode::needs_master();

    my $old = "$kid:" . encode_base64url($key, '');
    my $secret = 'k' x 40;
    my $new = 'n2:' . encode_base64url($secret, '');
    my $before = good();
    my $login = sub {
        my $r = $t->login($who->{name}, $RushTest::Routes::PASSWORD);
        my $token = $r->{json}{data}{access_token} // '';
        return ($token, decode_base64url((split /\./, $token)[0]));
    };

    $t->secret($secret, encode_base64url($secret, ''));

    ok(keys_are($old, $new), 'a second key');
    ok(all_say($before, 200), 'the old one still verifies');
    my ($token, $head) = $login->();
    like($head, qr/"kid":"n2"/, 'the last one signs');
    ok(all_say($token, 200), 'and verifies');

    my $cross = sub {
        my ($kid, $k) = @_;
        return signed(own_head(kid => "\"$kid\""), own_claims(),
                      sub { hmac_sha256($_[0], $k) });
    };
    ok(all_say($cross->('n2', $key), 401), 'the key of another name');
    ok(all_say($cross->($kid, $secret), 401), 'and the other way');

    ok(keys_are($new), 'the old key is gone');
    ok(all_say($before, 401), 'with all it has signed');
    ok(all_say($token, 200), 'the new one stays');
    ok(all_say($cross->('n2', $key), 401), 'its bytes are no key');

    # what cannot be read changes nothing
    $t->allow(qr/token key file/);
    RushTest::spew("$t->{dir}/jwt.key", "n2:short\n", 0600);
    kill HUP => $t->pid('nginx');
    ok($t->wait_for(sub { $t->log_text('nginx') =~ /token key file/ }, 5,
                    'the refusal'), 'it is refused');
    ok(all_say($token, 200), 'a broken file');

    ok(keys_are($old), 'back');
    ok(all_say($token, 401), 'as before');
    ok(all_say($before, 200));
};


subtest 'ended' => sub {
    my $one = $all->account();
    my @nodes = ('nginx', $node);
    my $raise = sub {
        my ($route, %o) = @_;
        my $r = $t->post("/api/v1/$route", token => $all->admin(), %o);
        is($r->{code}, 0, $route) or diag($r->{body});
    };

    ok(all_say($one->{token}, 200, node => $_), "$_: good") foreach @nodes;
    $raise->("admin/users/$one->{id}/revoke");

    foreach my $n (@nodes) {
        ok(all_say($one->{token}, 401, node => $n), "$n: ended");
        ok(all_say($t->token($one->{id}, ver => $_), 401, node => $n),
           "$n: version $_") foreach 0, 1;
        ok(all_say($t->token($one->{id}, ver => 2), 200, node => $n),
           "$n: the next version");
    }

    # a session that has ended is that, whoever names it
    my $two = $all->account();
    my $sid = $two->{id} + 1;
    my $r = $t->del("/api/v1/user/sessions/$sid", token => $two->{token});
    is($r->{code}, 0, 'a session');

    foreach my $n (@nodes) {
        ok(all_say($two->{token}, 401, node => $n), "$n: ended");
        ok(all_say($t->token($one->{id}, ver => 2, sid => "$sid"), 401,
                   node => $n), "$n: under another name too");
        ok(all_say($t->token($two->{id}, sid => '1'), 200, node => $n),
           "$n: another one goes on");
    }
};


$t->finish();
done_testing();
