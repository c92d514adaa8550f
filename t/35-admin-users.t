#!/usr/bin/perl

# Copyright (C) Rush
#
# What an administrator does with users, route by route; what is masked; and
# how soon a ban stops somebody who is buying.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Grant ();
use Test::More;
use Time::HiRes qw(time sleep);

my $t = RushTest->new(nginx => { extra_http => 'user_bcrypt_cost 4;' },
                      proxy => ['nginx_mysql']);
my $now = int(time() * 1000);
my $serial = 0;
my $password = 'a long pass word 7';


sub admin {
    my ($method, $path, $data, %o) = @_;
    $o{admin} = 1 if !$o{token};
    my $r = $t->request($method, "/api/v1/admin$path",
                        ($data ? (data => $data) : ()), %o);
    return wantarray ? ($r->{code}, $r->{json}{data}, $r) : $r->{code};
}


sub user {
    my (%o) = @_;
    my $id = 800_000 + ++$serial;
    $t->insert('user', id => $id, password_hash => '', created_ms => $now,
               updated_ms => $now, %o);
    return $id;
}


sub ids { return join ' ', map { $_->{id} } @{$_[0]{list} || []} }


sub found {
    my ($query, %o) = @_;
    my ($code, $data, $r) = admin('GET', "/users?$query", undef, %o);
    return $code == 0 ? ids($data) : "code $code $r->{body}";
}


my $root = user(username => 'root', roles => 1);
my $deputy = user(username => 'deputy', roles => 1);
$t->{admin_token} = $t->token($root, role => 'admin', roles => 1);

# sees masked numbers only
$t->insert('role', id => 2, name => 'desk', permissions => 1 << 6 | 1 << 8
           | 1 << 9, created_ms => $now, updated_ms => $now);
my $clerk = user(username => 'clerk', roles => 2);
my %clerk = (token => $t->token($clerk, roles => 2));

$t->wait_for(sub { $t->get("/api/v1/admin/users/$root", %clerk)->{status}
                   == 200 }, 3, 'the role');


subtest 'find' => sub {
    my @u = map { user(%$_) } (
        { username => 'anna', nickname => 'Queen', mobile => '13812345678',
          email => 'anna@example.com' },
        { username => 'annabel', nickname => '100%_sure', status => 1 },
        { username => 'zoe', nickname => 'ANNA two', roles => 2 },
        { username => 'ben', nickname => 'x', created_ms => $now - 86400_000 },
        { username => 'gone', nickname => 'anna gone', status => 2,
          deleted_ms => $now });

    is(found("id=$u[0]"), $u[0], 'id');
    is(found('id=1'), '', 'no such id');
    is(found('username=anna'), $u[0], 'username');
    is(found('username=ANNA'), $u[0], 'its case does not matter');
    is(found('username=ann'), '', 'the whole of it');
    is(found('username=%21%21'), '', 'no name');
    is(found('mobile=13812345678'), $u[0], 'mobile');
    is(found('mobile=%2B8613812345678'), $u[0], 'with its country');
    is(found('mobile=138'), '', 'the whole of it');
    is(found('email=Anna%40Example.com'), $u[0], 'email');
    is(found('email=ann%C3%A9%40example.com'), '', 'nobody has such one');
    is(found("id=$u[0]&username=zoe"), '', 'both must be');

    is(found('q=anna'), "@u[0, 1, 2]", 'part, by id');
    is(found('q=ANNA'), "@u[0, 1, 2]", 'either case');
    is(found('q=%25_'), $u[1], 'percent is a letter');
    is(found('q=%25'), $u[1], 'alone too');
    is(found('q=%5C'), '', 'so is a backslash');
    is(found("q='%20OR%201=1"), '', 'no SQL');
    is(found('q=anna&status=banned'), $u[1], 'banned');
    is(found('q=anna&status=deleted'), $u[4], 'deleted');
    is(found('q=anna&status=active'), "@u[0, 2]", 'active');
    is(found('q=anna&role=2'), $u[2], 'of a role');
    is(found('role=1'), "$root $deputy", 'administrators');
    is(found("q=e&to=$now"), $u[3], 'created before');
    is(found("q=ben&from=$now"), '', 'created after');

    my ($code, $data) = admin('GET', '/users?q=anna&page_size=2');
    is("$code $data->{total} $data->{total_page} " . ids($data),
       "0 3 2 @u[0, 1]", 'a page');
    is(found('q=anna&page_size=2&page=2'), $u[2], 'the next');
    is(found('q=anna&page=9'), '', 'behind the end');

    like(found('status=x'), qr/^code 2 .*status/, 'bad status');
    like(found('role=63'), qr/^code 2 /, 'bad role');
    like(found('id=x'), qr/^code 2 /, 'bad id');
    like(found('page_size=101'), qr/^code 2 /, 'bad size');
    like(found('q='), qr/^code 2 /, 'nothing');

    # masked without users_private
    my ($u) = map { $_->{list}[0] } (admin('GET', '/users?username=anna'))[1];
    is("$u->{mobile} $u->{email}", '13812345678 anna@example.com', 'as it is');
    ($u) = map { $_->{list}[0] }
        (admin('GET', '/users?username=anna', undef, %clerk))[1];
    is("$u->{mobile} $u->{email}", '138****5678 a***@example.com', 'masked');
    ($code, $u) = admin('GET', "/users/$u[0]", undef, %clerk);
    is("$u->{mobile} $u->{email}", '138****5678 a***@example.com', 'alone');
    (undef, $data) = admin('POST', '/users/batch', { ids => ["$u[0]"] },
                           %clerk);
    is("$data->[0]{mobile} $data->[0]{email}",
       '138****5678 a***@example.com', 'in a batch');

    is(admin('GET', "/users/$u[4]"), 0, 'a deleted one by id');
    is(admin('GET', '/users/1'), 4, 'nobody');
    is(admin('GET', '/users/x'), 4, 'no id');

    # many
    my $list = [$u[2], "$u[0]", 1, $u[0], $u[4]];
    ($code, $data) = admin('POST', '/users/batch', { ids => $list });
    is("$code " . join(' ', map { $_->{id} } @$data), "0 @u[0, 2, 4]",
       'a batch, each once, by id');
    is(admin('POST', '/users/batch', { ids => [1 .. 100] }), 0, 'a hundred');
    is(admin('POST', '/users/batch', { ids => [1 .. 101] }), 2, 'too many');
    is(admin('POST', '/users/batch', { ids => [] }), 2, 'none');
    is(admin('POST', '/users/batch', {}), 2, 'not given');
    is(admin('POST', '/users/batch', { ids => '1,2' }), 2, 'text');
    is(admin('POST', '/users/batch', { ids => ['1,2'] }), 2, 'text in it');
    is(admin('POST', '/users/batch', { ids => ['x'] }), 2, 'a name');
    is(admin('POST', '/users/batch', { ids => [0] }), 2, 'zero');
    is(admin('POST', '/users/batch', { ids => [[1]] }), 2, 'nested');
    is(admin('POST', '/users/batch', { ids => [{ a => 1 }] }), 2, 'object');
    is(admin('POST', '/users/batch', { ids => [undef] }), 2, 'null');
    is(admin('POST', '/users/batch', { ids => ['9223372036854775808'] }), 2,
       'too large');
};


subtest 'create' => sub {
    my ($code, $u) = admin('POST', '/users', { username => 'Carla',
        mobile => '+8613900000001', email => 'carla@example.com',
        password => $password });
    is("$code $u->{username} $u->{mobile} $u->{email} $u->{nickname} "
       . "$u->{status} @{$u->{roles}}",
       '0 carla 13900000001 carla@example.com carla active ', 'an account');
    is($t->login('carla', $password)->{code}, 0, 'logs in');

    ($code, $u) = admin('POST', '/users', { mobile => '13900000002' });
    like("$code $u->{nickname}", qr/^0 user\d{6}$/, 'without a password');
    is($t->value('SELECT password_hash FROM user WHERE id = ?', $u->{id}), '',
       'it has none');
    ($code) = admin('POST', '/users', { email => 'dora@example.com',
        nickname => 'Dora', roles => [1], role => 'admin', status => 'x' });
    is($code, 0, 'by email');
    is($t->value('SELECT roles FROM user WHERE nickname = "Dora"'), 0,
       'no role by the way');

    is(admin('POST', '/users', { username => 'carla',
                                 password => $password }), 10001, 'taken');
    is(admin('POST', '/users', { mobile => '13900000001' }), 10001, 'mobile');
    is(admin('POST', '/users', { email => 'CARLA@example.com' }), 10001,
       'email');
    is(admin('POST', '/users', { username => 'erna', password => '123456' }),
       10005, 'weak');
    is(admin('POST', '/users', { username => 'erna' }), 2, 'no way in');
    is(admin('POST', '/users', {}), 2, 'no name');
    is(admin('POST', '/users', { username => '1a', password => $password }),
       2, 'username');
    is(admin('POST', '/users', { mobile => '1234567' }), 2, 'mobile');
    is(admin('POST', '/users', { email => $_ }), 2, "email $_")
        foreach 'nobody', '@example.com', 'a@b', 'a b@example.com',
                'a@b@c.com', "\x{e4}\@example.com", 'a@example.';

    my @r = $t->burst([map { { method => 'POST', admin => 1,
        path => '/api/v1/admin/users', data => { mobile => '13900000009' } }
    } 1 .. 10], sync => 1);
    is(join(' ', sort { $a <=> $b } map { $_->{code} } @r),
       '0' . ' 10001' x 9, 'at once: one');
};


subtest 'change' => sub {
    my $id = user(username => 'fred', nickname => 'F', mobile => '13700000001');
    my ($code, $u) = admin('PUT', "/users/$id", { nickname => "Fr\x{e9}d",
        info => "one\ntwo", email => 'fred@example.com', mobile => '' });
    is("$code $u->{username} $u->{nickname} $u->{mobile} $u->{email}",
       "0 fred Fr\x{e9}d  fred\@example.com", 'changed');
    is($t->value('SELECT mobile FROM user WHERE id = ?', $id), undef, 'NULL');
    ($code, $u) = admin('PUT', "/users/$id", { username => 'Frida' });
    is("$code $u->{username} $u->{info}", "0 frida one\ntwo", 'one member');
    is(admin('PUT', "/users/$id", {}), 0, 'nothing');
    is(admin('PUT', "/users/$id", { username => '', email => '' }), 2,
       'one name must stay');
    is(admin('PUT', "/users/$id", { username => 'carla' }), 10001, 'taken');
    is(admin('PUT', "/users/$id", { username => '1' }), 2, 'no name');
    is(admin('PUT', "/users/$id", { email => 'x' }), 2, 'no email');
    is(admin('PUT', "/users/$id", { roles => [1], status => 'banned',
        password => $password, id => '5' }), 0, 'what is not asked for');
    my ($row) = $t->sql('SELECT roles, status, password_hash FROM user '
                        . 'WHERE id = ?', $id);
    is("$row->{roles} $row->{status} $row->{password_hash}", '0 0 ',
       'is not taken');
    is(admin('PUT', '/users/1', { nickname => 'x' }), 4, 'nobody');
    $t->do('UPDATE user SET status = 2 WHERE id = ?', $id);
    is(admin('PUT', "/users/$id", { nickname => 'x' }), 10041, 'deleted');

    # two at once: one of them looked at what is no more
    $id = user(username => 'greta');
    my @r = $t->burst([map { { method => 'PUT', admin => 1,
        path => "/api/v1/admin/users/$id", data => { nickname => "g$_" } }
    } 1 .. 12], sync => 1);
    my %n;
    $n{$_->{code}}++ foreach @r;
    is($t->value('SELECT version FROM user WHERE id = ?', $id),
       1 + $n{0}, 'no change is lost');
    is(($n{0} || 0) + ($n{13} || 0), 12, 'or it is told');
};


subtest 'delete and restore' => sub {
    my $reg = $t->register('hanna', $password)->{json}{data};
    my $id = $reg->{user}{id};
    my $profile = sub {
        $t->get('/api/v1/user/profile',
                token => $reg->{access_token})->{status} };

    is($profile->(), 200, 'logged in');
    $t->do('UPDATE user SET roles = 2 WHERE id = ?', $id);
    my ($code, $u) = admin('DELETE', "/users/$id");
    is("$code $u->{status} @{$u->{roles}}", '0 deleted ', 'deleted');
    ok($u->{deleted_at}, 'when');
    ok($t->wait_for(sub { $profile->() == 401 }, 1, '401'), 'its token ended');
    is($t->post('/api/v1/auth/refresh-token',
                { refresh_token => $reg->{refresh_token} })->{status}, 401,
       'and its session');
    is($t->login('hanna', $password)->{code}, 10002, 'as if it were not there');
    is($t->register('hanna', $password)->{code}, 10001, 'its name is taken');
    is(admin('DELETE', "/users/$id"), 10041, 'once');
    is(admin('PUT', "/users/$id/status", { status => 'banned',
        reason => 'x' }), 10041, 'no ban');
    is(admin('DELETE', '/users/1'), 4, 'nobody');

    ($code, $u) = admin('POST', "/users/$id/restore");
    is("$code $u->{status} @{$u->{roles}}", '0 active ',
       'restored, without roles');
    is($u->{deleted_at}, undef, 'not deleted');
    is($t->login('hanna', $password)->{code}, 0, 'logs in');
    is($profile->(), 401, 'an old token stays ended');
    is(admin('POST', "/users/$id/restore"), 10041, 'once');
    is(admin('POST', '/users/1/restore'), 4, 'nobody');

    $t->do('UPDATE user SET status = 2, erased_ms = 1 WHERE id = ?', $id);
    is(admin('POST', "/users/$id/restore"), 10041, 'not after it was erased');
};


subtest 'ban and allow' => sub {
    my $reg = $t->register('ida', $password)->{json}{data};
    my $id = $reg->{user}{id};
    my $path = "/users/$id/status";
    my ($code, $u) = admin('PUT', $path, { status => 'banned',
                                           reason => 'bots' });

    is("$code $u->{status} $u->{ban_reason}", '0 banned bots', 'banned');
    is($u->{banned_until}, undef, 'for good');
    ok($t->wait_for(sub { $t->get('/api/v1/user/profile',
        token => $reg->{access_token})->{status} == 401 }, 1, '401'),
       'its token ended');
    is($t->login('ida', $password)->{code}, 10006, 'no login');
    is($t->post('/api/v1/auth/refresh-token',
                { refresh_token => $reg->{refresh_token} })->{code}, 10007,
       'no refreshed token');

    ($code, $u) = admin('PUT', $path, { status => 'active' });
    is("$code $u->{status}", '0 active', 'allowed');
    is($t->login('ida', $password)->{code}, 0, 'logs in');
    is(admin('PUT', $path, { status => 'active' }), 0, 'twice');

    is(admin('PUT', $path, { status => 'banned' }), 2, 'no reason');
    is(admin('PUT', $path, { status => 'deleted', reason => 'x' }), 2,
       'no such status');
    is(admin('PUT', $path, { reason => 'x' }), 2, 'no status');
    is(admin('PUT', $path, { status => 'active', until => $now }), 2,
       'allowed until');
    is(admin('PUT', $path, { status => 'banned', reason => 'x',
                             until => $now - 1000 }), 2, 'in the past');
    is(admin('PUT', '/users/1/status', { status => 'active' }), 4, 'nobody');

    # lifted by the consumer
    my $until = int(time() * 1000) + 1500;
    ($code, $u) = admin('PUT', $path, { status => 'banned', reason => 'rest',
                                        until => $until });
    ok($code == 0 && $u->{banned_until}, 'for a while');
    is($t->login('ida', $password)->{code}, 10006, 'no login');
    ok($t->wait_for(sub { (admin('GET', "/users/$id"))[1]{status}
                          eq 'active' }, 6, 'the end of the ban'), 'lifted');
    cmp_ok(time() * 1000, '>=', $until, 'not before');
    is($t->login('ida', $password)->{code}, 0, 'logs in again');
};


subtest 'end of sessions' => sub {
    my $one = $t->register('jana', $password)->{json}{data};
    my $two = $t->login('jana', $password)->{json}{data};
    my $id = $one->{user}{id};
    my ($code, $u) = admin('POST', "/users/$id/revoke");

    is("$code $u->{status}", '0 active', 'ended');
    foreach my $s ($one, $two) {
        ok($t->wait_for(sub { $t->get('/api/v1/user/profile',
            token => $s->{access_token})->{status} == 401 }, 1, '401'),
           'token');
        is($t->post('/api/v1/auth/refresh-token',
            { refresh_token => $s->{refresh_token} })->{code}, 10007,
           'session');
    }
    is($t->login('jana', $password)->{code}, 0, 'logs in');
    is(admin('POST', "/users/$id/revoke"), 0, 'again');
    is(admin('POST', '/users/1/revoke'), 4, 'nobody');
};


# buys of one user from two nodes, and a ban in the middle

subtest 'a ban during a burst of buys' => sub {
    my $node = $t->node();
    my $sale = $t->activity(stock => 100_000, limit => 100_000);
    my $id = user(username => 'kurt');
    my $token = $t->token($id);
    my $path = "/api/v1/seckill/activities/$sale/buy";
    my $go = sub {
        my ($n, $at) = @_;
        return $t->burst([map { { method => 'POST', path => $path,
            data => { quantity => 1 }, token => $token } } 1 .. $n],
            node => $at, conns => 4, record => 0);
    };

    my @r = ($go->(20, 'nginx'), $go->(20, $node));
    is(scalar(grep { $_->{code} == 0 } @r), 40, 'buys');

    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my $end = time() + 4;
        $go->(10, time() * 10 % 2 ? 'nginx' : $node) while time() < $end;
        require POSIX;
        POSIX::_exit(0);
    }

    sleep 0.3;
    my ($code) = admin('PUT', "/users/$id/status",
                       { status => 'banned', reason => 'bots' });
    my $at = time();
    is($code, 0, 'banned');

    # each node refuses within a second, on every worker
    foreach my $n ('nginx', $node) {
        ok($t->wait_for(sub {
            my @a = $go->(8, $n);
            return !grep { $_->{status} != 401 } @a;
        }, 2, "401 on $n"), "$n refuses");
    }
    cmp_ok(time() - $at, '<', 1 * $RushTest::SLOW + 0.3, 'within a second');

    my $sold = sub { $t->meta($sale)->{remain} };
    my $left = $sold->();
    waitpid $pid, 0;
    is($sold->(), $left, 'nothing was bought from then on');
    cmp_ok($left, '<', 100_000 - 40, 'buys were under way');
};


subtest 'MySQL is slow or away' => sub {
    my $id = user(username => 'lars');

    my @acts = (['PUT', "/users/$id/status",
                 { status => 'banned', reason => 'x' }],
                ['PUT', "/users/$id/roles", { roles => [] }],
                ['POST', "/users/$id/revoke"], ['DELETE', "/users/$id"],
                ['PUT', "/users/$id", { nickname => 'x' }],
                ['GET', "/users/$id"], ['GET', '/users'],
                ['POST', '/users/batch', { ids => [1] }],
                ['POST', '/users', { mobile => '13600000001' }],
                ['POST', '/roles', { name => 'x', permissions => [] }],
                ['GET', '/roles'], ['PUT', '/roles/9', { name => 'x' }],
                ['DELETE', '/roles/9'], ['GET', '/audit'],
                ['POST', "/users/$id/restore"]);

    my $before = $t->value('SELECT CONCAT(status, token_version, nickname) '
                           . 'FROM user WHERE id = ?', $id);

    $t->pause('mysql');
    my @r = $t->burst([map { { method => $_->[0], admin => 1,
        path => "/api/v1/admin$_->[1]", data => $_->[2] } } @acts],
        conns => scalar @acts, timeout => 20);
    $t->resume('mysql');
    is(join(' ', map { $r[$_]{status} == 503 ? ()
                       : "$acts[$_][1] $r[$_]{status}" } 0 .. $#r), '',
       'silent: busy');

    ok($t->wait_for(sub { admin('GET', "/users/$id") == 0 }, 10, 'MySQL'),
       'there again');
    is($t->value('SELECT CONCAT(status, token_version, nickname) FROM user '
                 . 'WHERE id = ?', $id), $before,
       'without an intent nothing was done');
};


# the client goes away at once: the act is done all the same, and told

subtest 'clients that leave' => sub {
    # some before anything has begun, some in the middle, some too late
    my %users = map { user(username => "mia$_") => $_ ** 4 } 0 .. 5;

    foreach my $id (sort { $users{$a} <=> $users{$b} } keys %users) {
        my $s = $t->connect();
        my $body = '{"status":"banned","reason":"left"}';
        my $token = $t->admin_token();
        $s->syswrite("PUT /api/v1/admin/users/$id/status HTTP/1.1\r\n"
            . "Host: x\r\nAuthorization: Bearer $token\r\n"
            . "Content-Type: application/json\r\nContent-Length: "
            . length($body) . "\r\n\r\n$body");
        sleep 0.001 * $users{$id};
        close $s;
    }

    ok($t->wait_for(sub {
        my $done = $t->value('SELECT COUNT(*) FROM user WHERE '
                             . 'ban_reason = "left"');
        my $acts = $t->value('SELECT COUNT(DISTINCT act) FROM '
            . '(SELECT act, kind FROM audit_log UNION ALL SELECT act, kind '
            . 'FROM audit_inbox) a WHERE act IN (SELECT act FROM audit_log '
            . 'WHERE fields LIKE "%left%") AND kind = 1');
        return $done == $acts && $done > 0;
    }, 8, 'the acts'), 'done and told') or diag(
        $t->value('SELECT COUNT(*) FROM user WHERE ban_reason = "left"'));
};


$t->finish();
done_testing();
