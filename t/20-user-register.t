#!/usr/bin/perl

# Copyright (C) Rush
#
# Registering: what is accepted, what is refused, what is stored.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(decode_base64url);
use RushTest;
use Test::More;

my $t = RushTest->new(
    consumer => 0,
    nginx => { workers => 1, extra_http => 'user_bcrypt_cost 4;' },
    proxy => ['nginx_mysql'],
);

my $path = '/api/v1/user/register';
my $good = 'tiger lily 7';


sub register_as {
    my (%fields) = @_;
    return $t->post($path, { password => $good, %fields });
}


subtest 'by username' => sub {
    my $r = register_as(username => 'Ann.Lee_1', nickname => "Ann \x{5b89}");
    my $d = $r->{json}{data};
    my $u = $d->{user};

    is($r->{status}, 200);
    is($r->{code}, 0);
    is($r->{headers}{'cache-control'}, 'no-store');
    like($r->{headers}{'x-trace-id'}, qr/^[0-9a-f]{32}$/);
    is($r->{json}{trace_id}, $r->{headers}{'x-trace-id'});

    is($u->{username}, 'ann.lee_1', 'kept in lower case');
    is($u->{nickname}, "Ann \x{5b89}");
    is($u->{mobile}, '');
    is($u->{role}, 'user');
    is($u->{sex}, 0);
    like($u->{id}, qr/^[0-9]+$/);
    like($r->{body}, qr/"id":"\d+"/, 'the id is a string');
    like($u->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    is_deeply([sort keys %$u], [sort qw(id username mobile email nickname
        avatar sex info signature location_name longitude latitude wechat
        role created_at)], 'nothing else is told');

    is($d->{token_type}, 'Bearer');
    is($d->{expires_in}, 7200);
    is($d->{refresh_after}, 3600);
    is($d->{refresh_expires_in}, 14 * 86400);
    like($d->{refresh_token}, qr/^[A-Za-z0-9_-]{43}$/);

    $r = $t->get('/api/v1/user/profile', token => $d->{access_token});
    is($r->{code}, 0, 'the access token works');
    is_deeply($r->{json}{data}, $u);

    my ($row) = $t->sql('SELECT * FROM user WHERE id = ?', $u->{id});
    like($row->{password_hash}, qr/^\$2b\$04\$.{53}$/);
    is($row->{role}, 0);

    my ($s) = $t->sql('SELECT * FROM user_session WHERE user_id = ?',
                      $u->{id});
    is($s->{refresh_hash}, sha256_hex($d->{refresh_token}));
    is($s->{family_hash},
       sha256_hex(substr decode_base64url($d->{refresh_token}), 0, 16));
    is($s->{address}, '127.0.0.1');
    is($s->{agent}, 'rush-test');
};


subtest 'by mobile' => sub {
    my $r = register_as(mobile => '13812345678');
    my $u = $r->{json}{data}{user};

    is($r->{code}, 0);
    is($u->{mobile}, '138****5678', 'masked');
    is($u->{username}, '');
    like($u->{nickname}, qr/^user\d{6}$/);
    unlike($r->{body}, qr/13812345678/);

    is(register_as(mobile => '+8613812345678')->{code}, 10001,
       'the same number with its country');

    $r = register_as(mobile => '+4930123456');
    is($r->{json}{data}{user}{mobile}, '+49****3456');
};


subtest 'both, and doubles' => sub {
    my $r = register_as(username => 'bob', mobile => '13900000001');

    is($r->{code}, 0);
    is($r->{json}{data}{user}{nickname}, 'bob');

    foreach ({ username => 'bob' }, { username => 'BOB' },
             { mobile => '13900000001' },
             { username => 'bob2', mobile => '13900000001' },
             { username => 'bob', mobile => '13900000002' })
    {
        $r = register_as(%$_);
        is($r->{code}, 10001, join ' ', %$_);
        is($r->{status}, 200);
    }

    is($t->value("SELECT COUNT(*) FROM user WHERE username = 'bob2'
                  OR mobile = '13900000002'"), 0, 'nothing was stored');
};


subtest 'bad input' => sub {
    my $before = $t->value('SELECT COUNT(*) FROM user');
    my @bad = (
        [{}, 'username'],
        [{ username => '' }, 'username'],
        [{ username => 'ab' }, 'username'],
        [{ username => 'a' x 33 }, 'username'],
        [{ username => '1abc' }, 'username'],
        [{ username => '_abc' }, 'username'],
        [{ username => 'a b c' }, 'username'],
        [{ username => 'a@b.c' }, 'username'],
        [{ username => 'ann;DROP TABLE user' }, 'username'],
        [{ username => "ann' OR '1'='1" }, 'username'],
        [{ username => "\x{e4}nne" }, 'username'],
        [{ username => "ann\n" }, 'username'],
        [{ username => "ann\x00x" }, undef],
        [{ username => 12345 }, 'username'],
        [{ username => ['ann'] }, 'username'],
        [{ username => { a => 1 } }, 'username'],
        [{ username => \1 }, 'username'],
        [{ mobile => '1381234567' }, 'mobile'],
        [{ mobile => '12812345678' }, 'mobile'],
        [{ mobile => '138123456789' }, 'mobile'],
        [{ mobile => '+0123456789' }, 'mobile'],
        [{ mobile => '+123456' }, 'mobile'],
        [{ mobile => '+12345678901234567' }, 'mobile'],
        [{ mobile => '1381234567a' }, 'mobile'],
        [{ mobile => '+' }, 'mobile'],
        [{ mobile => 13812345678 }, 'mobile'],
        [{ username => 'carla', password => undef }, 'password'],
        [{ username => 'carla', password => '' }, 'password'],
        [{ username => 'carla', password => 'x1' x 37 }, 'password'],
        [{ username => 'carla', password => "abcdefg\x00h" }, undef],
        [{ username => 'carla', password => 12345678 }, 'password'],
        [{ username => 'carla', nickname => '' }, 'nickname'],
        [{ username => 'carla', nickname => 'n' x 65 }, 'nickname'],
        [{ username => 'carla', nickname => "a\tb" }, 'nickname'],
        [{ username => 'carla', nickname => 7 }, 'nickname'],
    );

    foreach (@bad) {
        my ($fields, $field) = @$_;
        my $r = register_as(%$fields);
        my $name = join ' ', map { "$_=" . ($fields->{$_} // 'null') }
            sort keys %$fields;
        $name =~ s/[^ -~]/?/g;

        is("$r->{status} $r->{code}", '400 2', $name);
        is($r->{json}{data}{field}, $field, "$name: names the field");
        ok($r->{json}{data}{reason}, "$name: tells the reason");
    }

    foreach (['{', 400, 2], ['[]', 400, 2], ['', 400, 2], ['null', 400, 2],
             ['{"username":"carla","username":"carl","password":"x"}', 400, 2],
             ["{\"username\":\"c\xff\",\"password\":\"$good\"}", 400, 2],
             ['{"a":"' . 'x' x 70000 . '"}', 413, undef])
    {
        my ($body, $status, $code) = @$_;
        my $r = $t->post($path, body => $body);
        is($r->{status}, $status, substr $body, 0, 30);
        is($r->{code}, $code, 'with its code') if defined $code;
    }

    my $r = $t->post($path, body => 'username=carla', type =>
                     'application/x-www-form-urlencoded');
    is("$r->{status} $r->{code}", '415 9', 'a form');

    $r = $t->get($path);
    is("$r->{status} $r->{code}", '405 5', 'GET');
    is($r->{headers}{allow}, 'POST');

    is($t->value('SELECT COUNT(*) FROM user'), $before, 'nothing was stored');
};


subtest 'weak passwords' => sub {
    foreach ('1234567', 'password', 'PassWord', '12345678', '87654321',
             'aaaaaaaa', 'abcdefgh', 'qwerty123', 'woaini1314', '1234567890',
             'dora.smith', 'DORA.smith', '13712345678')
    {
        my $r = register_as(username => 'dora.smith', mobile => '13712345678',
                            password => $_);

        is($r->{code}, 10005, "\"$_\"");
        is($r->{status}, 200);
        ok($r->{json}{data}{reason}, 'tells the reason');
    }

    is(register_as(username => 'dora.smith', password => 'x1' x 36)->{code},
       0, '72 bytes');
    my $long = "t\x{fc}r \x{f6}\x{df}";

    is(register_as(username => 'erik', password => $long)->{code}, 0,
       '9 bytes in 6 characters');
    is($t->login('erik', $long)->{code}, 0);
    is($t->login('dora.smith', 'x1' x 36)->{code}, 0);
};


subtest 'members a client must not set' => sub {
    my $r = register_as(username => 'fred', role => 'admin', status => 2,
                        id => 1, is_admin => \1, token_version => 99,
                        password_hash => 'x', created_at => 1);
    is($r->{code}, 0);

    my ($row) = $t->sql("SELECT * FROM user WHERE username = 'fred'");
    is("$row->{role} $row->{status} $row->{token_version}", '0 0 1');
    isnt($row->{id}, 1);

    $r = register_as(username => 'gert', role => 1);
    is($r->{json}{data}{user}{role}, 'user');
};


subtest 'text goes in as text' => sub {
    my $nick = q{'); DROP TABLE user; -- "\\ <script> %s \u0000};
    my $r = register_as(username => 'hugo', nickname => substr($nick, 0, 60));

    is($r->{code}, 0);
    is($r->{json}{data}{user}{nickname}, substr $nick, 0, 60);

    # raw bytes, which the client of single requests refuses to send
    ($r) = $t->burst([{ method => 'POST', path => $path,
        data => { username => 'hugo2', password => $good },
        headers => { 'User-Agent' => "\xff\xfe' OR 1=1 --" . 'y' x 300 } }]);
    is($r->{code}, 0);
    is(length $t->value('SELECT agent FROM user_session WHERE user_id = ?',
                        $r->{json}{data}{user}{id}), 200, 'the agent is cut');
};


subtest '30 at once for one number' => sub {
    my @r = $t->burst([map { { method => 'POST', path => $path,
        data => { mobile => '13600000000', password => "$good $_" } } }
        1 .. 30], sync => 1);

    is(scalar(grep { $_->{code} == 0 } @r), 1, 'one account');
    is(scalar(grep { $_->{code} == 10001 } @r), 29, 'all others are told');
    is($t->value("SELECT COUNT(*) FROM user WHERE mobile = '13600000000'"),
       1);
    is($t->value("SELECT COUNT(*) FROM user_session s JOIN user u
                  ON u.id = s.user_id WHERE mobile = '13600000000'"), 1);
};


subtest 'a full thread queue' => sub {
    my $slow = $t->node(workers => 1, extra_http => 'user_bcrypt_cost 8;');
    my $n = 150 * $t->worker_count($slow);
    my @r = $t->burst([map { { method => 'POST', path => $path,
        node => $slow, data => { username => "queue$_", password => $good } } }
        1 .. $n], sync => 1, timeout => 60);

    my @ok = grep { ($_->{code} // -1) == 0 } @r;
    my @busy = grep { ($_->{code} // -1) == 3 } @r;

    ok(@busy > 0, 'some are refused: ' . @busy);
    is(@ok + @busy, $n, 'all others get through');
    is((grep { $_->{status} != 503 || !$_->{headers}{'retry-after'} } @busy),
       0, 'with 503 and Retry-After');
    is($t->value("SELECT COUNT(*) FROM user WHERE username LIKE 'queue%'"),
       scalar @ok);

    $t->stop($slow);
};


subtest 'the client leaves' => sub {
    my $slow = $t->node(workers => 1, extra_http => 'user_bcrypt_cost 11;');
    my ($bytes) = $t->bytes_of({ method => 'POST', path => $path,
        data => { username => 'leaver', password => $good } });

    my $s = $t->connect($slow);
    $s->syswrite($bytes);
    select undef, undef, undef, 0.02;
    close $s;

    ok($t->wait_for(sub { $t->log_text($slow) =~ /rush request is gone/ }, 3,
                    'the abort'), 'during the hash');
    is($t->post($path, { username => 'stayer', password => $good },
                node => $slow)->{code}, 0, 'the next one is served');
    is($t->value("SELECT COUNT(*) FROM user WHERE username = 'leaver'"), 0,
       'nothing was stored');
    $t->stop($slow);

    # while MySQL is silent
    is(register_as(username => 'before1')->{code}, 0);
    $t->proxy('nginx_mysql')->delay(300);

    $s = $t->connect();
    $s->syswrite($bytes);
    select undef, undef, undef, 0.15;
    close $s;

    ok($t->wait_for(sub { $t->log_text('nginx') =~ /rush request is gone/ },
                    3, 'the abort'), 'during the insert');

    # wherever it is then
    $t->proxy('nginx_mysql')->delay(40);

    foreach my $ms (map { $_ * 15 } 0 .. 10) {
        $s = $t->connect();
        $s->syswrite(($t->bytes_of({ method => 'POST', path => $path,
            data => { username => "leaver$ms", password => $good } }))[0]);
        select undef, undef, undef, $ms / 1000;
        close $s;
    }

    $t->proxy('nginx_mysql')->pass();
    is($t->wait_for(sub { register_as(username => 'after1')->{code} == 0 },
                    5, 'register'), 1, 'the next one is served');
};


subtest 'MySQL is slow' => sub {
    my $node = $t->node(workers => 1, extra_http => 'user_bcrypt_cost 4;',
                        mysql_args => 'timeout=500ms');

    is($t->post($path, { username => 'slow1', password => $good },
                node => $node)->{code}, 0);
    $t->proxy('nginx_mysql')->silence();

    my $r = $t->post($path, { username => 'slow2', password => $good },
                     node => $node);
    is("$r->{status} $r->{code}", '503 3', 'an answer within its time');

    $t->proxy('nginx_mysql')->pass();
    ok($t->wait_for(sub { $t->post($path, { username => 'slow3',
        password => $good }, node => $node)->{code} =~ /^(?:0|10001)$/ }, 10,
        'register'), 'works again');
    $t->stop($node);
};


subtest 'MySQL is down' => sub {
    $t->stop('mysql');

    my $r = register_as(username => 'later1');
    is("$r->{status} $r->{code}", '503 3');
    ok($r->{headers}{'retry-after'});
    ok($r->{json}{trace_id});

    $t->start('mysql');
    ok($t->wait_for(sub { register_as(username => 'later1')->{code} == 0 },
                    10, 'register'), 'works again');
};


unlike($t->log_text('nginx'), qr/\Q$good\E|13812345678/,
       'no secret and no number in the log');

$t->finish();
done_testing();
