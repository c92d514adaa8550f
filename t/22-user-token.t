#!/usr/bin/perl

# Copyright (C) Rush
#
# Tokens: which are accepted, how they are traded, how they end.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64url);
use RushTest;
use Test::More;

my $t = RushTest->new(
    consumer => 0,
    nginx => { workers => 2, extra_http => 'user_bcrypt_cost 4;' },
    proxy => ['nginx_mysql'],
);

my $profile = '/api/v1/user/profile';
my $refresh = '/api/v1/auth/refresh-token';
my $good = 'tiger lily 7';
my $json = JSON::PP->new->canonical;


sub open_account {
    my ($name) = @_;
    my $r = $t->register($name, $good);
    is($r->{code}, 0, "$name is there");
    return $r->{json}{data};
}


sub refresh_with { $t->post($refresh, { refresh_token => $_[0] }) }


# the status of a token as every worker sees it: connections of their own
# reach all of them soon

sub statuses {
    my ($token, @o) = @_;
    my %seen;
    $seen{$t->get($profile, token => $token, fresh => 1, @o)->{status}}++
        foreach 1 .. 12;
    return join ' ', sort keys %seen;
}


sub ended {
    my ($token, $what, @o) = @_;
    ok($t->wait_for(sub { statuses($token, @o) eq '401' }, 1, 'all workers'),
       "$what: ended on every worker within a second");
}


my $ann = open_account('ann');


subtest 'forged tokens' => sub {
    my $id = $ann->{user}{id};
    my $real = $ann->{access_token};
    my ($head, $claims, $mac) = split /\./, $real;
    my $key = $t->{jwt_secret};
    my $kid = $t->{jwt_kid};
    my %made = (sub => $id, sid => '1', ver => 1);

    # as the core signs it, but for the header
    my $sign = sub {
        my ($h, $mac) = @_;
        my $text = encode_base64url($json->encode($h), '') . ".$claims";
        return "$text." . encode_base64url($mac->($text, $key), '');
    };

    is($t->get($profile, token => $real)->{status}, 200, 'the real one');
    is($t->get($profile, token => $t->token($id))->{status}, 200, 'made here');

    my %bad = (
        'empty' => '',
        'no dots' => 'abc',
        'no signature' => "$head.$claims.",
        'no signature and no dot' => "$head.$claims",
        'cut' => substr($real, 0, -1),
        'cut in the claims' => "$head." . substr($claims, 0, -4) . ".$mac",
        'padded' => "$real=",
        'four parts' => "$real.$mac",
        'blank inside' => "$head .$claims.$mac",
        'changed signature' => "$head.$claims."
            . ($mac =~ /^A/ ? 'B' : 'A') . substr($mac, 1),
        'last bits changed' => "$head.$claims." . substr($mac, 0, -1)
            . chr(ord(substr $mac, -1) ^ 1),
        'changed claims' => "$head." . encode_base64url(
            decode_base64url($claims) =~ s/"role":"user"/"role":"admin"/r, '')
            . ".$mac",
        'alg none' => encode_base64url('{"alg":"none"}', '') . ".$claims.",
        'alg none, signed' => encode_base64url(
            '{"alg":"none","typ":"at+jwt"}', '') . ".$claims.$mac",
        'alg None' => $t->token($id, alg => 'None'),
        'alg hs256' => $t->token($id, alg => 'hs256'),
        'alg HS384' => $sign->({ alg => 'HS384', kid => $kid,
                                 typ => 'at+jwt' }, \&hmac_sha384),
        'alg HS512' => $sign->({ alg => 'HS512', kid => $kid,
                                 typ => 'at+jwt' }, \&hmac_sha512),
        'alg RS256' => $t->token($id, alg => 'RS256'),
        'other typ' => $sign->({ alg => 'HS256', kid => $kid, typ => 'JWT' },
                               \&hmac_sha256),
        'crit' => $sign->({ alg => 'HS256', kid => $kid, typ => 'at+jwt',
                            crit => ['exp'] }, \&hmac_sha256),
        'unknown key' => $t->token($id, kid => 'other'),
        'path as key' => $t->token($id, kid => '../../dev/null'),
        'wrong key' => $t->token($id, secret => 'x' x 32),
        'empty key' => $t->token($id, secret => ''),
        'expired' => $t->token($id, exp => time() - 60),
        'exp as text' => $t->token($id, exp => '' . (time() + 60) . 'x'),
        'no exp' => $t->token($id, exp => undef),
        'not yet' => $t->token($id, nbf => time() + 300),
        'made tomorrow' => $t->token($id, iat => time() + 86400),
        'other issuer' => $t->token($id, iss => 'evil'),
        'other audience' => $t->token($id, aud => 'evil'),
        'no subject' => $t->token($id, sub => undef),
        'empty subject' => $t->token($id, sub => ''),
        'subject of text' => $t->token($id, sub => 'ann'),
        'subject 0' => $t->token($id, sub => '0'),
        'negative subject' => $t->token($id, sub => '-1'),
        'subject too large' => $t->token($id, sub => '9' x 20),
        'unknown role' => $t->token($id, role => 'root'),
        'long' => $real . 'A' x 3000,
    );

    foreach my $name (sort keys %bad) {
        my $r = $t->get($profile, token => $bad{$name});

        is("$r->{status} $r->{code}", '401 6', $name);
        like($r->{headers}{'www-authenticate'}, qr/^Bearer/);
    }

    foreach ('', 'Bearer', 'Bearer ', "Basic $real", $real, "Bearer  $real",
             "Bearer $real x", "Token $real")
    {
        is($t->get($profile, headers => { Authorization => $_ })->{status},
           401, 'header "' . substr($_, 0, 12) . '"');
    }

    is($t->get($profile)->{status}, 401, 'none');
    is($t->get($profile, headers => { Authorization => "bearer $real" })
       ->{status}, 200, 'the scheme knows no case');
    is($t->get("$profile?access_token=$real")->{status}, 401, 'in the query');
};


subtest 'a refresh token is traded once' => sub {
    my $bob = open_account('bob');
    my $first = $bob->{refresh_token};
    my $r = refresh_with($first);
    my $second = $r->{json}{data};

    is($r->{code}, 0);
    is($r->{headers}{'cache-control'}, 'no-store');
    is_deeply([sort keys %$second], [sort qw(access_token refresh_token
        token_type expires_in refresh_after refresh_expires_in)]);
    isnt($second->{refresh_token}, $first);
    isnt($second->{access_token}, $bob->{access_token});
    is($t->get($profile, token => $second->{access_token})->{code}, 0);
    is($t->get($profile, token => $bob->{access_token})->{code}, 0,
       'the access token of before lives on');

    my $third = refresh_with($second->{refresh_token})->{json}{data};
    ok($third->{refresh_token}, 'and again');
    is($t->value('SELECT COUNT(*) FROM user_session WHERE user_id = ?',
                 $bob->{user}{id}), 1, 'one session');

    # the first was traded twice ago
    $r = refresh_with($first);
    is("$r->{status} $r->{code}", '401 10007', 'used again');
    is(refresh_with($third->{refresh_token})->{code}, 10007,
       'ends the newest too');
    ended($third->{access_token}, 'its access token');
    is($t->login('bob', $good)->{code}, 0, 'the account goes on');
};


subtest 'refused refresh tokens' => sub {
    my $own = decode_base64url($ann->{refresh_token});

    foreach ('x', 'A' x 43, 'A' x 42, 'A' x 44, '!' x 43, "' OR '1'='1",
             $ann->{access_token}, encode_base64url('x' x 32, ''),
             encode_base64url('x' x 16 . substr($own, 16), ''))
    {
        my $r = $t->post($refresh, { refresh_token => substr $_, 0, 512 });
        is("$r->{status} $r->{code}", '401 10007', substr $_, 0, 20);
    }

    foreach ({}, { refresh_token => '' }, { refresh_token => undef },
             { refresh_token => 7 }, { refresh_token => ['x'] },
             { refresh_token => 'x' x 513 })
    {
        my $r = $t->post($refresh, $_);
        is("$r->{status} $r->{code}", '400 2');
        is($r->{json}{data}{field}, 'refresh_token');
    }

    is(refresh_with($ann->{refresh_token})->{code}, 0, 'no harm was done');

    my $old = open_account('old');
    $t->do('UPDATE user_session SET expires_ms = 1 WHERE user_id = ?',
           $old->{user}{id});
    is(refresh_with($old->{refresh_token})->{code}, 10007, 'expired');

    my $ban = open_account('ban');
    $t->do('UPDATE user SET status = 1 WHERE id = ?', $ban->{user}{id});
    is(refresh_with($ban->{refresh_token})->{code}, 10006, 'banned');
    $t->do('UPDATE user SET status = 2 WHERE id = ?', $ban->{user}{id});
    is(refresh_with($ban->{refresh_token})->{code}, 10007, 'deleted');
};


subtest 'a session ends 90 days after it was opened' => sub {
    my $cap = open_account('cap');
    my $life = 90 * 86400 * 1000;

    $t->do('UPDATE user_session SET created_ms = created_ms - ?
            WHERE user_id = ?', $life - 86400_000, $cap->{user}{id});
    is(refresh_with($cap->{refresh_token})->{code}, 0);
    is($t->value('SELECT expires_ms - created_ms FROM user_session
                  WHERE user_id = ?', $cap->{user}{id}), $life);
};


subtest '30 refreshes of one token' => sub {
    my $eve = open_account('eve');
    my @r = $t->burst([map { { method => 'POST', path => $refresh,
        data => { refresh_token => $eve->{refresh_token} } } } 1 .. 30],
        sync => 1);
    my ($won, @more) = grep { $_->{code} == 0 } @r;

    ok($won && !@more, 'one wins');
    is(scalar(grep { $_->{code} == 10007 } @r), 29, 'all others are refused');
    is(refresh_with($won->{json}{data}{refresh_token})->{code}, 10007,
       'and the session ends');
    ended($won->{json}{data}{access_token}, 'its access token');
};


subtest 'logout' => sub {
    my $one = open_account('gus');
    my $two = $t->login('gus', $good)->{json}{data};
    my $r = $t->post('/api/v1/user/logout', token => $one->{access_token});

    is($r->{code}, 0);
    is_deeply($r->{json}{data}, {});
    ended($one->{access_token}, 'this session');
    is(refresh_with($one->{refresh_token})->{code}, 10007);
    is(statuses($two->{access_token}), '200', 'the other one lives');
    is(refresh_with($two->{refresh_token})->{code}, 0);

    is($t->post('/api/v1/user/logout', token => $one->{access_token})
       ->{status}, 401, 'twice');
    is($t->post('/api/v1/user/logout')->{status}, 401, 'by nobody');
};


subtest 'logout everywhere' => sub {
    my @ways = ([{ data => { all => \1 } }, ''], [{}, '?all=true'],
                [{ data => {} }, '?all=1']);

    foreach (0 .. $#ways) {
        my ($o, $query) = @{$ways[$_]};
        my $one = open_account("hal$_");
        my $two = $t->login("hal$_", $good)->{json}{data};
        my $r = $t->request('POST', "/api/v1/user/logout$query",
                            token => $one->{access_token}, %$o);

        is($r->{code}, 0);
        ended($one->{access_token}, 'this session');
        ended($two->{access_token}, 'the other one');
        is(refresh_with($_->{refresh_token})->{code}, 10007)
            foreach $one, $two;

        my ($row) = $t->sql('SELECT * FROM user WHERE id = ?',
                            $one->{user}{id});
        is($row->{token_version}, 2);
        cmp_ok($row->{token_version_ms}, '>', 0);

        my $new = $t->login("hal$_", $good)->{json}{data};
        is(statuses($new->{access_token}), '200', 'a new login works');
    }

    my $one = open_account('ida');

    foreach (['{"all":false}', ''], ['', '?all=0'], ['{"all":null}', '']) {
        my $two = $t->login('ida', $good)->{json}{data};
        is($t->request('POST', "/api/v1/user/logout$_->[1]",
                       token => $two->{access_token},
                       length $_->[0] ? (body => $_->[0]) : ())->{code}, 0);
        is(statuses($one->{access_token}), '200', 'not all');
    }

    foreach (['{"all":1}', ''], ['{"all":"true"}', ''], ['', '?all=yes'],
             ['', '?all'], ['{"all":[]}', ''], ['', '?all=1&all=0'])
    {
        my $r = $t->request('POST', "/api/v1/user/logout$_->[1]",
                            token => $one->{access_token},
                            length $_->[0] ? (body => $_->[0]) : ());
        is("$r->{status} $r->{code}", '400 2', join '', @$_);
        is($r->{json}{data}{field}, 'all');
    }

    is(statuses($one->{access_token}), '200', 'nothing ended');
};


subtest 'a token that lives on another node' => sub {
    my $node = $t->node(extra_http => 'user_bcrypt_cost 4;');
    my $jon = open_account('jon');

    is(statuses($jon->{access_token}, node => $node), '200');
    is($t->post('/api/v1/user/logout', { all => \1 },
                token => $jon->{access_token})->{code}, 0);
    ended($jon->{access_token}, 'on the other node', node => $node);
    $t->stop($node);
};


subtest 'the version has gone on' => sub {
    my $kim = open_account('kim');
    my $id = $kim->{user}{id};

    # stored, and not told to this node yet
    $t->do('UPDATE user SET token_version = 5 WHERE id = ?', $id);

    my $r = $t->post('/api/v1/user/logout', { all => \1 },
                     token => $kim->{access_token});
    is($r->{status}, 401);
    is($t->value('SELECT token_version FROM user WHERE id = ?', $id), 5);
};


subtest 'the client leaves' => sub {
    my $leo = open_account('leo');
    my ($bytes) = $t->bytes_of({ method => 'POST',
        path => '/api/v1/user/logout', data => { all => \1 },
        token => $leo->{access_token} });

    $t->proxy('nginx_mysql')->delay(200);
    my $s = $t->connect();
    $s->syswrite($bytes);
    select undef, undef, undef, 0.05;
    close $s;
    $t->proxy('nginx_mysql')->pass();

    ok($t->wait_for(sub { statuses($leo->{access_token}) eq '401' }, 3,
                    'the end'), 'logging out goes on to its end');
    is($t->value('SELECT token_version FROM user WHERE id = ?',
                 $leo->{user}{id}), 2);
};


# MySQL is behind a proxy: a login is held where it opens its session, the end
# of all sessions is in a transaction of ours

subtest 'a session that is opened while all end' => sub {
    my $pia = open_account('pia');
    my $id = $pia->{user}{id};
    my $end = 'UPDATE user u LEFT JOIN user_session s ON s.user_id = u.id '
        . 'AND s.revoked_ms = 0 SET u.token_version = u.token_version + 1, '
        . 's.revoked_ms = 1 WHERE u.id = ?';

    foreach my $commit (1, 0) {
        $t->do('UPDATE user SET fails = 1 WHERE id = ?', $id);
        $t->proxy('nginx_mysql')->delay(150);

        my $pid = fork() // die "fork: $!";

        if ($pid == 0) {
            my $r = $t->login('pia', $good, fresh => 1);
            RushTest::spew("$t->{dir}/late", $r->{code} // "- $r->{body}");
            require POSIX;
            POSIX::_exit(0);
        }

        # it was forgiven, and waits for that answer
        ok($t->wait_for(sub { !$t->value('SELECT fails FROM user WHERE '
            . 'id = ?', $id) }, 10, 'a login'), 'the password was right');

        my $db = $t->db();
        $db->begin_work();
        $t->do($end, $id);
        ok($t->wait_for(sub { $t->value('SELECT COUNT(*) FROM user_session '
            . 'WHERE user_id = ? AND revoked_ms = 0', $id)
            || $t->value('SELECT COUNT(*) FROM information_schema.PROCESSLIST '
            . "WHERE INFO LIKE 'INSERT INTO user_session%'") }, 10,
            'the session'), 'a session is being opened');
        $commit ? $db->commit() : $db->rollback();

        waitpid $pid, 0;
        $t->proxy('nginx_mysql')->pass();
        is(RushTest::slurp("$t->{dir}/late"), $commit ? 13 : 0,
           $commit ? 'changed by somebody else' : 'nobody ended it');
        is($t->value('SELECT COUNT(*) FROM user_session WHERE user_id = ? '
            . 'AND revoked_ms = 0', $id), $commit ? 0 : 1,
           $commit ? 'no session is left' : 'it is there');
    }
};


subtest 'MySQL is down' => sub {
    my $mia = open_account('mia');

    $t->stop('mysql');

    foreach (refresh_with($mia->{refresh_token}),
             $t->post('/api/v1/user/logout', token => $mia->{access_token}))
    {
        is("$_->{status} $_->{code}", '503 3');
        ok($_->{headers}{'retry-after'});
    }

    $t->start('mysql');
    ok($t->wait_for(sub { $t->get($profile, token => $mia->{access_token})
                          ->{code} == 0 }, 10, 'profile'), 'works again');
    is(refresh_with($mia->{refresh_token})->{code}, 0, 'no token was lost');
};


subtest 'short lives' => sub {
    my $node = $t->node(workers => 1, extra_http => 'user_bcrypt_cost 4;
        user_access_ttl 1s; user_refresh_ttl 1s;');
    my $d = $t->login('ann', $good, node => $node)->{json}{data};

    is($d->{expires_in}, 1);
    is($d->{refresh_expires_in}, 1);

    my ($c) = map { $json->decode(decode_base64url($_)) }
        (split /\./, $d->{access_token})[1];
    is($c->{exp} - $c->{iat}, 1);
    ok($t->wait_for(sub { $t->post($refresh, { refresh_token => 'A' x 43 })
        && $t->value('SELECT MIN(expires_ms) < ? FROM user_session
                      WHERE id = ?', RushTest::Data::now_ms(), $c->{sid}) },
        3, 'the end'));
    is(refresh_with($d->{refresh_token})->{code}, 10007, 'expired');
    $t->stop($node);
};


unlike($t->log_text('nginx'), qr/\Q$ann->{access_token}\E/,
       'no token in the log');
unlike($t->log_text('nginx'), qr/\Q$ann->{refresh_token}\E/);

$t->finish();
done_testing();
