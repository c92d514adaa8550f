#!/usr/bin/perl

# Copyright (C) Rush
#
# Profile and password; directives with wrong values.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;

my $t = RushTest->new(
    consumer => 0,
    nginx => { workers => 2, extra_http => 'user_bcrypt_cost 4;' },
    proxy => ['nginx_mysql'],
);

my $path = '/api/v1/user/profile';
my $change = '/api/v1/user/password';
my $good = 'tiger lily 7';


sub open_account {
    my ($name) = @_;
    my $r = $t->register($name, $good);
    is($r->{code}, 0, "$name is there");
    return $r->{json}{data};
}


sub statuses {
    my ($token) = @_;
    my %seen;
    $seen{$t->get($path, token => $token, fresh => 1)->{status}}++
        foreach 1 .. 12;
    return join ' ', sort keys %seen;
}


my $ann = open_account('ann');
my $token = $ann->{access_token};


subtest 'read' => sub {
    my $r = $t->get($path, token => $token);

    is($r->{code}, 0);
    is_deeply($r->{json}{data}, $ann->{user});
    is($r->{headers}{'cache-control'}, 'no-store');
    is($t->get($path)->{status}, 401);

    $r = $t->get($path, user => 12345);
    is("$r->{status} $r->{code}", '404 4', 'a user who is not there');
    is($t->request('HEAD', $path, token => $token)->{status}, 200);
};


subtest 'change' => sub {
    my %all = (nickname => "\x{5b89}\x{59ae} \x{1f42f}", sex => 2,
               avatar => 'https://example.com/a.png?x=1&y=2',
               info => "first\nsecond \"line\"", signature => 'carpe <diem>',
               location_name => "\x{5317}\x{4eac}", longitude => '116.397128',
               latitude => '39.916527');
    my $r = $t->put($path, \%all, token => $token);
    my $d = $r->{json}{data};

    is($r->{code}, 0);
    is($d->{$_}, $all{$_}, $_) foreach sort keys %all;
    is($d->{id}, $ann->{user}{id});
    is_deeply($t->get($path, token => $token)->{json}{data}, $d, 'it stays');

    $r = $t->put($path, { signature => 'other' }, token => $token);
    is($r->{json}{data}{signature}, 'other');
    is($r->{json}{data}{nickname}, $all{nickname}, 'all else is left alone');
    is($r->{json}{data}{sex}, 2);

    $r = $t->put($path, { avatar => '', info => '', longitude => '',
                          latitude => '', sex => 0 }, token => $token);
    is($r->{json}{data}{$_}, '', "$_ is taken away")
        foreach qw(avatar info longitude latitude);
    is($r->{json}{data}{sex}, 0);

    foreach ({}, { signature => undef }, { unknown => 1 }) {
        $r = $t->put($path, $_, token => $token);
        is($r->{code}, 0, 'nothing to change');
        is($r->{json}{data}{signature}, 'other');
    }

    is($t->put($path, { nickname => 'x' })->{status}, 401, 'by nobody');
    is($t->put($path, { nickname => 'x' }, user => 12345)->{code}, 4,
       'of nobody');
};


subtest 'limits' => sub {
    my %max = (nickname => 64, info => 255, signature => 255,
               location_name => 128);

    foreach my $name (sort keys %max) {
        my $r = $t->put($path, { $name => "\x{5b89}" x $max{$name} },
                        token => $token);
        is($r->{code}, 0, "$name of $max{$name} characters");
        is(length $r->{json}{data}{$name}, $max{$name});

        $r = $t->put($path, { $name => "\x{5b89}" x ($max{$name} + 1) },
                     token => $token);
        is("$r->{status} $r->{code}", '400 2', 'one more');
        is($r->{json}{data}{field}, $name);
    }

    foreach (['longitude', '-180'], ['longitude', '180.000'],
             ['longitude', '0'], ['longitude', '-0.5'], ['latitude', '90'],
             ['latitude', '-90.0'], ['avatar', '/img/1.png'],
             ['avatar', 'HTTP://x'], ['sex', 1])
    {
        is($t->put($path, { $_->[0] => $_->[1] }, token => $token)->{code},
           0, "@$_");
    }

    my $before = $t->get($path, token => $token)->{json}{data};

    foreach (['sex', -1], ['sex', 3], ['sex', '1'], ['sex', 1.5],
             ['sex', \1], ['nickname', ''], ['nickname', 7],
             ['nickname', "a\nb"], ['nickname', ['x']],
             ['signature', "a\nb"], ['info', "a\x07b"],
             ['avatar', 'javascript:alert(1)'], ['avatar', 'data:text/html,x'],
             ['avatar', 'x'], ['avatar', 'https://' . 'x' x 250],
             ['longitude', '180.1'], ['longitude', '-181'],
             ['longitude', '1e2'], ['longitude', '+1'], ['longitude', '1.'],
             ['longitude', '.5'], ['longitude', '01'], ['longitude', '-'],
             ['longitude', 'NaN'], ['longitude', '1,5'], ['longitude', ' 1'],
             ['longitude', '1.12345678901234567'],
             ['latitude', '90.000001'], ['latitude', '100'],
             ['location_name', { a => 1 }])
    {
        my ($name, $value) = @$_;
        my $r = $t->put($path, { $name => $value }, token => $token);

        is("$r->{status} $r->{code}", '400 2', "$name " . substr $value, 0, 30);
        is($r->{json}{data}{field}, $name);
    }

    is_deeply($t->get($path, token => $token)->{json}{data}, $before,
              'nothing was changed');
};


subtest 'members a client must not set' => sub {
    my $r = $t->put($path, { nickname => 'me', role => 'admin', status => 2,
        id => 1, username => 'root', mobile => '13800000000',
        token_version => 9, password_hash => 'x', user_id => 1 },
        token => $token);
    is($r->{code}, 0);
    is($r->{json}{data}{role}, 'user');
    is($r->{json}{data}{username}, 'ann');

    my ($row) = $t->sql('SELECT * FROM user WHERE id = ?', $ann->{user}{id});
    is("$row->{role} $row->{status} $row->{token_version}", '0 0 1');
    like($row->{password_hash}, qr/^\$2b\$/);
    is($row->{mobile}, undef);

    $r = $t->put($path, { signature => "'; UPDATE user SET role=1; --" },
                 token => $token);
    is($r->{json}{data}{signature}, "'; UPDATE user SET role=1; --");
    is($t->value('SELECT COUNT(*) FROM user WHERE role = 1'), 0);
};


subtest 'a new password' => sub {
    my $bob = open_account('bob');
    my $other = $t->login('bob', $good)->{json}{data};
    my $r = $t->post($change, { old_password => $good,
        new_password => 'green river 9' }, token => $bob->{access_token});
    my $new = $r->{json}{data};

    is($r->{code}, 0);
    is_deeply([sort keys %$new], [sort qw(access_token refresh_token
        token_type expires_in refresh_after refresh_expires_in)]);

    foreach ($bob, $other) {
        my $old = $_->{access_token};
        ok($t->wait_for(sub { statuses($old) eq '401' }, 1, 'all workers'),
           'old tokens end on every worker within a second');
        is($t->post('/api/v1/auth/refresh-token', { refresh_token =>
            $_->{refresh_token} })->{code}, 10007);
    }

    is(statuses($new->{access_token}), '200', 'the new one works');
    is($t->post('/api/v1/auth/refresh-token', { refresh_token =>
        $new->{refresh_token} })->{code}, 0);
    is($t->login('bob', $good)->{code}, 10002, 'the old password is gone');
    is($t->login('bob', 'green river 9')->{code}, 0);
    is($t->value('SELECT token_version FROM user WHERE id = ?',
                 $bob->{user}{id}), 2);
};


subtest 'refused passwords' => sub {
    my $cid = open_account('cid.young');
    my $tok = $cid->{access_token};

    foreach ([{}, 'old_password'], [{ old_password => $good }, 'new_password'],
             [{ new_password => 'green river 9' }, 'old_password'],
             [{ old_password => 1, new_password => 'green river 9' },
              'old_password'],
             [{ old_password => $good, new_password => '' }, 'new_password'],
             [{ old_password => $good, new_password => 'x1' x 37 },
              'new_password'],
             [{ old_password => $good, new_password => $good },
              'new_password'])
    {
        my $r = $t->post($change, $_->[0], token => $tok);
        is("$r->{status} $r->{code}", '400 2');
        is($r->{json}{data}{field}, $_->[1]);
    }

    foreach ('short 7', 'password1', 'CID.young', '23456789') {
        my $r = $t->post($change, { old_password => $good,
                                    new_password => $_ }, token => $tok);
        is($r->{code}, 10005, "\"$_\"");
        ok($r->{json}{data}{reason});
    }

    foreach (1 .. 5) {
        is($t->post($change, { old_password => "wrong 1234$_",
            new_password => 'green river 9' }, token => $tok)->{code}, 10004,
           "wrong $_");
    }

    # the waits of t/21-user-login.t
    $t->do('UPDATE user SET fails = fails + 35, fail_ms = ? WHERE id = ?',
           RushTest::Data::now_ms(), $cid->{user}{id});
    is($t->value('SELECT fails FROM user WHERE id = ?', $cid->{user}{id}), 40,
       'counted');

    my $r = $t->post($change, { old_password => $good,
        new_password => 'green river 9' }, token => $tok);
    is($r->{code}, 10003, 'then it has to wait');
    cmp_ok($r->{json}{data}{retry_after_s}, '>', 800);
    is($t->login('cid.young', $good)->{code}, 10003, 'at the door too');

    is($t->post($change, { old_password => $good,
        new_password => 'green river 9' })->{status}, 401, 'by nobody');
    is($t->post($change, { old_password => $good,
        new_password => 'green river 9' }, user => 12345)->{code}, 4,
       'of nobody');

    $t->do('UPDATE user SET status = 1 WHERE id = ?', $cid->{user}{id});
    is($t->post($change, { old_password => $good,
        new_password => 'green river 9' }, token => $tok)->{code}, 10006,
       'banned');
    is($t->value('SELECT token_version FROM user WHERE id = ?',
                 $cid->{user}{id}), 1, 'nothing was changed');
};


subtest 'two changes at once' => sub {
    my $dan = open_account('dan');
    my @r = $t->burst([map { { method => 'POST', path => $change,
        token => $dan->{access_token},
        data => { old_password => $good, new_password => "green river $_" } } }
        1 .. 4], sync => 1);

    is(scalar(grep { $_->{code} == 0 } @r), 1, 'one wins');
    is(scalar(grep { $_->{code} == 13 || $_->{code} == 6
                     || $_->{code} == 10004 } @r), 3,
       'all others are told: ' . join ' ', map { $_->{code} } @r);
    is($t->value('SELECT token_version FROM user WHERE id = ?',
                 $dan->{user}{id}), 2);

    my ($won) = grep { $r[$_ - 1]{code} == 0 } 1 .. 4;
    is($t->login('dan', "green river $won")->{code}, 0);
};


subtest 'the client leaves' => sub {
    my $eve = open_account('eve');
    my ($bytes) = $t->bytes_of({ method => 'POST', path => $change,
        token => $eve->{access_token},
        data => { old_password => $good, new_password => 'green river 9' } });

    $t->proxy('nginx_mysql')->delay(50);
    my $s = $t->connect();
    $s->syswrite($bytes);
    select undef, undef, undef, 0.02;
    close $s;

    ok($t->wait_for(sub { statuses($eve->{access_token}) eq '401' }, 5,
                    'the end'), 'the change goes on to its end');
    $t->proxy('nginx_mysql')->pass();
    is($t->login('eve', 'green river 9')->{code}, 0);

    # reading a profile does not
    $t->proxy('nginx_mysql')->delay(200);
    ($bytes) = $t->bytes_of({ path => $path, token => $token });
    $s = $t->connect();
    $s->syswrite($bytes);
    select undef, undef, undef, 0.05;
    close $s;
    ok($t->wait_for(sub { $t->log_text('nginx')
                          =~ /rush request is gone in "user_profile"/ }, 3,
                    'the abort'), 'a read ends with its client');
    $t->proxy('nginx_mysql')->pass();
};


subtest 'MySQL is down' => sub {
    $t->stop('mysql');

    foreach ($t->get($path, token => $token),
             $t->put($path, { sex => 1 }, token => $token),
             $t->post($change, { old_password => $good,
                 new_password => 'green river 9' }, token => $token))
    {
        is("$_->{status} $_->{code}", '503 3');
        ok($_->{headers}{'retry-after'});
    }

    $t->start('mysql');
    ok($t->wait_for(sub { $t->get($path, token => $token)->{code} == 0 }, 10,
                    'profile'), 'works again');
};


# --- directives ---

sub config_says {
    my ($text) = @_;

    my $dir = "$t->{dir}/check";

    if (!-d $dir) {
        mkdir $dir or die;
        mkdir "$dir/$_" foreach qw(body proxy fastcgi uwsgi scgi);
    }

    RushTest::spew("$dir/nginx.conf",
                   $t->nginx_conf($dir, 1, { extra_http => $text }));
    return `$RushTest::NGINX -p $dir/ -c $dir/nginx.conf -e stderr -t 2>&1`;
}


subtest 'wrong values' => sub {
    SKIP: {
        skip 'needs a sanitizer in nginx', 1 if $RushTest::SANITIZE;

        like(config_says('user_bcrypt_cost 4; user_access_ttl 24h;'),
             qr/test is successful/);

        foreach (['user_bcrypt_cost 3;', qr/must be between 4 and 14/],
                 ['user_bcrypt_cost 15;', qr/must be between 4 and 14/],
                 ['user_bcrypt_cost x;', qr/invalid number/],
                 ['user_bcrypt_cost;', qr/invalid number of arguments/],
                 ['user_access_ttl 0;', qr/must be between 1s and 24 hours/],
                 ['user_access_ttl 25h;', qr/must be between 1s and 24 hours/],
                 ['user_access_ttl soon;', qr/invalid value/],
                 ['user_refresh_ttl 91d;',
                  qr/must be between 1s and 2160 hours/],
                 ['user_access_ttl 2h; user_refresh_ttl 1h;',
                  qr/"user_access_ttl" must not be longer/],
                 ['user_access_ttl 1h; user_access_ttl 1h;',
                  qr/is duplicate/])
        {
            my $out = config_says($_->[0]);
            like($out, $_->[1], $_->[0]);
            unlike($out, qr/test is successful/);
        }
    }
};


unlike($t->log_text('nginx'), qr/\Q$good\E|green river/,
       'no secret in the log');

$t->finish();
done_testing();
