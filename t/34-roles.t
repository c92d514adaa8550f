#!/usr/bin/perl

# Copyright (C) Rush
#
# Roles and permissions: each route that needs a permission against a role
# with all others, what a node does that does not know roles yet, how soon a
# change is followed, and that nobody becomes more than he is.

use warnings;
use strict;

use DBI;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new(nginx => { workers => 2 });
my $doc = JSON::PP->new->utf8->decode(
    RushTest::slurp("$FindBin::Bin/../docs/openapi.json"));
my $now = int(time() * 1000);
my $serial = 0;
my (%permission, @routes);

foreach my $path (sort keys %{$doc->{paths}}) {
    foreach my $method (sort keys %{$doc->{paths}{$path}}) {
        my $op = $doc->{paths}{$path}{$method};
        my $name = $op->{'x-permission'};
        my $admin = grep { $_->{admin} } @{$op->{security} || []};

        next if !$admin && !defined $name;

        # no object has such an id
        (my $real = $path) =~ s/\{\w+\}/999999999/g;
        push @routes, { method => uc $method, path => $real,
                        permission => $name };
        $permission{$name // ''} = 1;
    }
}


# rows of MySQL: a user with these roles, a role with these permissions

sub user {
    my (%o) = @_;
    my $id = 700_000 + ++$serial;
    $t->insert('user', id => $id, username => "u$id", password_hash => '',
               nickname => "n$id", created_ms => $now, updated_ms => $now,
               %o);
    return $id;
}


sub admin {
    my ($method, $path, $data, %o) = @_;
    $o{admin} = 1 if !$o{token};
    my $r = $t->request($method, "/api/v1/admin$path",
                        ($data ? (data => $data) : ()), %o);
    return wantarray ? ($r->{code}, $r->{json}{data}, $r) : $r->{code};
}


sub role {
    my (@permissions) = @_;
    my ($code, $data, $r) = admin('POST', '/roles',
        { name => 'role ' . ++$serial, permissions => \@permissions });
    is($code, 0, "a role with @permissions") or diag($r->{body});
    return $data->{id};
}


# a token as a login gives it

sub holder {
    my (@roles) = @_;
    my $mask = 0;
    $mask |= 1 << ($_ - 1) foreach @roles;
    my $id = user(roles => $mask);
    my $token = $t->token($id, role => $mask & 1 ? 'admin' : 'user',
                          roles => $mask);
    return wantarray ? ($id, $token) : $token;
}


# a role is known to every worker

sub known {
    my ($token, $method, $path, $status) = @_;

    return $t->wait_for(sub {
        my @r = $t->burst([map { { method => $method, path => $path,
                                   token => $token } } 1 .. 8], sync => 1);
        return !grep { $_->{status} != $status } @r;
    }, 3, "$status of $path");
}


my $root = user(username => 'root', roles => 1);
$t->{admin_token} = $t->token($root, role => 'admin', roles => 1);


subtest 'every route of an administrator has a permission' => sub {
    cmp_ok(scalar @routes, '>=', 35, scalar(@routes) . ' routes');
    is(join(' ', map { defined $_->{permission} ? ()
                       : "$_->{method} $_->{path}" } @routes), '', 'each');

    my ($code, $data) = admin('GET', '/roles');
    my ($all) = grep { $_->{id} == 1 } @$data;
    my %may = map { $_ => 1 } @{$all->{permissions}};

    is(join(' ', grep { !$may{$_} } sort keys %permission), '',
       'role 1 has all');

    # users_private is asked for by no route
    is(join(' ', grep { !$permission{$_} } sort keys %may), 'users_private',
       'each is used');
};


subtest 'the matrix' => sub {
    foreach my $name (sort keys %permission) {
        my @others = grep { $_ ne $name } sort keys %permission;
        my $with = holder(role($name));
        my $without = holder(role(@others));
        my @mine = grep { $_->{permission} eq $name } @routes;
        my ($other) = grep { $_->{permission} ne $name
                             && $_->{method} eq 'GET' } @routes;

        ok($t->wait_for(sub {
            my $r = $t->get($other->{path}, token => $without);
            return $r->{status} != 403 && $r->{status} != 503;
        }, 3, 'the role'), "$name: the others are allowed");

        my @r = $t->burst([map { { method => $_->{method}, data => {},
            path => $_->{path}, token => $without } } @mine], conns => 2);
        is(join(' ', map { "$r[$_]{status}" eq '403' ? ()
                           : "$mine[$_]{path}: $r[$_]{status}" } 0 .. $#r),
           '', "$name: refused without it");

        # a bare request fails later: in its fields, or no such object
        @r = map { $t->request($_->{method}, $_->{path}, data => {},
                               token => $with) } @mine;
        is(join(' ', map { $r[$_]{status} =~ /^(?:200|400|404)$/ ? ()
                           : "$mine[$_]{path}: $r[$_]{status}" } 0 .. $#r),
           '', "$name: looked at with it");

        my @rest = grep { $_->{permission} ne $name } @routes;
        @r = $t->burst([map { { method => $_->{method}, data => {},
            path => $_->{path}, token => $with } } @rest], conns => 2);
        is(join(' ', map { "$r[$_]{status}" eq '403' ? ()
                           : "$rest[$_]{path}: $r[$_]{status}" } 0 .. $#r),
           '', "$name: nothing else with it");
    }
};


subtest 'tokens' => sub {
    my $path = '/api/v1/admin/roles';
    my $status = sub { $t->get($path, token => shift)->{status} };

    is($status->($t->token($root, role => 'admin', roles => undef)), 200,
       'of before');
    is($status->($t->token($root, role => 'user')), 403, 'of a user');
    is($status->($t->token($root, role => 'admin', roles => 0)), 403,
       'the mask decides');
    is($status->($t->token($root, role => 'user', roles => 1)), 200,
       'the mask decides, again');
    is($status->($t->token($root, roles => 1 << 61)), 403, 'an unknown role');
    is($status->($t->token($root, roles => '1')), 401, 'text');
    is($status->($t->token($root, roles => -1)), 401, 'below zero');

    # what a login gives
    my $id = $t->register('petra', 'a long pass word 1')
        ->{json}{data}{user}{id};
    my $role = role('roles_read');

    is(admin('PUT', "/users/$id/roles", { roles => [$role] }), 0, 'given');

    my $login = $t->login('petra', 'a long pass word 1')->{json}{data};
    ok(known($login->{access_token}, 'GET', $path, 200), 'it may');
    is($login->{user}{role}, 'user', 'no administrator');

    my $fresh = $t->post('/api/v1/auth/refresh-token',
        { refresh_token => $login->{refresh_token} })->{json}{data};
    is($status->($fresh->{access_token}), 200, 'refreshed');
};


subtest 'roles' => sub {
    my $id = role('orders_read', 'users_read');
    my ($code, $data) = admin('GET', '/roles');

    is($code, 0, 'all roles');
    is_deeply([map { @{$_->{permissions}} } grep { $_->{id} == $id } @$data],
              [qw(orders_read users_read)], 'the new one');

    is(admin('POST', '/roles', { name => 'role 1', permissions => [] }), 0,
       'no permission') if !grep { $_->{name} eq 'role 1' } @$data;
    is(admin('POST', '/roles', { name => $data->[-1]{name},
                                 permissions => [] }), 10043, 'its name');
    is(admin('POST', '/roles', { name => 'x' }), 2, 'without permissions');
    is(admin('POST', '/roles', { name => 'x',
        permissions => ['orders_read', 'all'] }), 2, 'unknown permission');
    is(admin('POST', '/roles', { name => 'x', permissions => 'orders_read' }),
       2, 'no array');
    is(admin('POST', '/roles', { name => 'x',
        permissions => [['orders_read']] }), 2, 'an array in it');

    ($code, $data) = admin('PUT', "/roles/$id", { name => 'sales',
        permissions => ['orders_read'] });
    is("$code $data->{name} @{$data->{permissions}}", '0 sales orders_read',
       'changed');
    ($code, $data) = admin('PUT', "/roles/$id", { name => 'seller' });
    is("$code $data->{name} @{$data->{permissions}}", '0 seller orders_read',
       'one member');
    is(admin('PUT', "/roles/$id", { name => 'admin' }), 10043, 'a name twice');
    is(admin('PUT', '/roles/1', { permissions => [] }), 10045, 'role 1');
    is(admin('DELETE', '/roles/1'), 10045, 'nor removed');
    is(admin('PUT', '/roles/63', { name => 'x' }), 4, 'unknown');
    is(admin('DELETE', '/roles/62'), 4, 'unknown');

    my $user = user(roles => 1 << ($id - 1));
    is(admin('DELETE', "/roles/$id"), 10044, 'somebody has it');
    is(admin('PUT', "/users/$user/roles", { roles => [] }), 0, 'taken');
    is(admin('DELETE', "/roles/$id"), 0, 'removed');
    is(admin('DELETE', "/roles/$id"), 4, 'once');
    is(role(), $id, 'its number is free');
};


subtest 'a role that is full, 62 of them' => sub {
    my %there = map { $_->{id} => 1 } $t->sql('SELECT id FROM role');

    $t->insert('role', id => $_, name => "filled $_", permissions => 0,
               created_ms => $now, updated_ms => $now)
        foreach grep { !$there{$_} } 2 .. 62;

    is(admin('POST', '/roles', { name => 'more', permissions => [] }), 10046,
       'no more');
    $t->do('DELETE FROM role WHERE name LIKE "filled%" AND id <> 62');

    my $id = user();
    is(admin('PUT', "/users/$id/roles", { roles => [62] }), 0, 'the last');
    is($t->value('SELECT roles FROM user WHERE id = ?', $id),
       '2305843009213693952', 'its bit');
    $t->do('UPDATE user SET roles = 0 WHERE id = ?', $id);
    $t->do('DELETE FROM role WHERE id = 62');
};


# who has a permission to give roles, but not all

subtest 'nobody becomes more' => sub {
    my $weak = role('orders_read');
    my $strong = role('orders_read', 'audit_read');
    my ($me, $token) = holder(role('roles_write', 'roles_read', 'orders_read',
                                   'users_read', 'users_write', 'users_ban'));
    my $boss = user(roles => 1 | 1 << ($strong - 1));
    my $mate = user();

    ok(known($token, 'GET', '/api/v1/admin/roles', 200), 'the role');

    my $try = sub { scalar admin(@_[0 .. 2], token => $token) };

    is($try->('PUT', "/users/$me/roles", { roles => [1] }), 7, 'role 1');
    is($try->('PUT', "/users/$mate/roles", { roles => [1] }), 7,
       'role 1 to another');
    is($try->('PUT', "/users/$mate/roles", { roles => [$strong] }), 7,
       'what he has not');
    is($try->('PUT', "/users/$mate/roles", { roles => [$weak] }), 0,
       'what he has');
    is($try->('PUT', "/users/$boss/roles", { roles => [] }), 7,
       'from who is more');
    is($try->('PUT', "/users/$boss/status",
              { status => 'banned', reason => 'x' }), 7, 'no ban');
    is($try->('POST', "/users/$boss/revoke"), 7, 'no end of sessions');
    is($try->('DELETE', "/users/$boss"), 7, 'no deletion');
    is($try->('PUT', "/users/$boss", { email => 'me@example.com' }), 7,
       'no other email');
    is($try->('POST', '/roles', { name => 'own',
        permissions => ['audit_read'] }), 7, 'no such role');
    is($try->('PUT', "/roles/$weak", { permissions => ['audit_read'] }), 7,
       'nor a changed one');
    is($try->('PUT', "/roles/$strong", { permissions => [] }), 7,
       'nor a lesser one');
    is($try->('DELETE', "/roles/$strong"), 7, 'nor without it');
    is($try->('PUT', "/roles/1", { name => 'x' }), 10045, 'nor role 1');

    is($t->value('SELECT roles FROM user WHERE id = ?', $boss),
       1 | 1 << ($strong - 1), 'nothing was taken');
    is($t->value('SELECT status FROM user WHERE id = ?', $boss), 0,
       'nothing was done');
};


subtest 'roles of a user' => sub {
    my $id = user();
    my ($a, $b) = (role('orders_read'), role('reconcile'));

    my ($code, $data) = admin('PUT', "/users/$id/roles",
        { roles => ["$b", $a, $a] });
    is("$code @{$data->{roles} || []}", "0 $a $b", 'two, once');
    ($code, $data) = admin('PUT', "/users/$id/roles", { roles => [] });
    is("$code @{$data->{roles} || []}", '0 ', 'none');
    is(admin('PUT', "/users/$id/roles", { roles => [0] }), 2, 'role 0');
    is(admin('PUT', "/users/$id/roles", { roles => [63] }), 2, 'role 63');
    is(admin('PUT', "/users/$id/roles", { roles => ['x'] }), 2, 'a name');
    is(admin('PUT', "/users/$id/roles", { roles => $a }), 2, 'no array');
    is(admin('PUT', "/users/$id/roles", {}), 2, 'nothing');
    is(admin('PUT', "/users/$id/roles", { roles => [55] }), 10042, 'unknown');
    is(admin('PUT', '/users/999999999/roles', { roles => [] }), 4, 'no user');
    $t->do('UPDATE user SET status = 2, deleted_ms = ? WHERE id = ?', $now,
           $id);
    is(admin('PUT', "/users/$id/roles", { roles => [$a] }), 10041, 'deleted');

    # removed, but the node has not heard of it
    my $gone = role('stock_write');
    $id = user();
    ok($t->wait_for(sub {
        my $code = admin('PUT', "/users/$id/roles", { roles => [$gone] });
        $code == 0;
    }, 3, 'the role'), 'given');
    admin('PUT', "/users/$id/roles", { roles => [] });
    $t->do('DELETE FROM role WHERE id = ?', $gone);
    like(scalar admin('PUT', "/users/$id/roles", { roles => [$gone] }),
         qr/^(?:13|10042)$/, 'not given');
    is($t->value('SELECT roles FROM user WHERE id = ?', $id), 0, 'no bit');
};


subtest 'a change is followed within a second' => sub {
    my $node = $t->node();
    my $role = role('orders_read');
    my ($id, $token) = holder($role);
    my $path = '/api/v1/admin/orders';

    ok(known($token, 'GET', $path, 200), 'it may');

    my $ends = sub {
        my ($what, $want) = @_;
        my $start = time();

        foreach my $at ('nginx', $node) {
            my $ok = $t->wait_for(sub {
                my @r = $t->burst([map { { path => $path, token => $token } }
                                   1 .. 8], node => $at, sync => 1);
                return !grep { $_->{status} != $want } @r;
            }, 2, "$want on $at");
            ok($ok, "$what: $at");
        }

        cmp_ok(time() - $start, '<', 1 * $RushTest::SLOW + 0.2,
               "$what: within a second");
    };

    is(admin('PUT', "/roles/$role", { permissions => ['users_read'] }), 0,
       'less');
    $ends->('the role may less', 403);
    is(admin('PUT', "/roles/$role", { permissions => ['orders_read'] }), 0,
       'more');
    $ends->('the role may more', 200);
    is(admin('PUT', "/users/$id/roles", { roles => [] }), 0, 'taken');
    $ends->('the token', 401);
};


# a statement of the module, as text

sub statement {
    my ($name) = @_;
    my $text = RushTest::slurp(
        "$FindBin::Bin/../ngx_user_module/user_admin.sql");
    $text =~ /^-- name: $name\n(.*?);/ms or die "no statement $name\n";
    return $1;
}


# in two transactions: the second one waits for the first, and then sees it

subtest 'acts that exclude each other' => sub {
    my ($x, $y) = map { DBI->connect(
        "DBI:MariaDB:rush;mariadb_socket=$t->{dir}/mysql.sock", 'rush',
        $t->{password}{mysql}, { PrintError => 0, RaiseError => 0,
                                 AutoCommit => 0 }) } 1, 2;
    $_->do('SET innodb_lock_wait_timeout = 1') foreach $x, $y;

    $t->do('UPDATE user SET roles = roles & ~1');
    my ($a, $b) = (user(roles => 1), user(roles => 1));
    my $ban = sub {
        my ($dbh, $id) = @_;
        my $n = $dbh->do(statement('admin_end'), undef, 1, 'x', 0, 0, 1, 9,
                         9, 9, $id, 1, 0, 1, $id);
        return $n ? $n + 0 : $dbh->err();
    };

    is($ban->($x, $a), 1, 'one administrator bans the other');
    is($ban->($y, $b), 1205, 'who bans him at the same time and waits');
    $x->commit();
    $y->rollback();
    is($ban->($y, $b), 0, 'and is the last one then');
    $y->commit();

    my $role = role();
    my $bit = 1 << ($role - 1);
    my $id = user();
    my $give = sub {
        my $n = $x->do(statement('admin_set_roles'), undef, $bit, 9, 9, $id,
                       1, 1, $bit, $bit, $id);
        return $n ? $n + 0 : $x->err();
    };
    my $remove = sub {
        my $n = $y->do(statement('role_delete'), undef, $role, 1);
        return $n ? $n + 0 : $y->err();
    };

    is($give->(), 1, 'a role is given');
    is($remove->(), 1205, 'its removal waits');
    $x->commit();
    $y->rollback();
    is($remove->(), 0, 'and finds who has it');
    $y->commit();

    $t->do('UPDATE user SET roles = 0, token_version = 1 WHERE id = ?', $id);
    is($remove->(), 1, 'a role is removed');
    is($give->(), 1205, 'who gives it waits');
    $y->commit();
    $x->rollback();
    is($give->(), 0, 'and finds none');
    $_->disconnect() foreach $x, $y;

    $t->do('UPDATE user SET roles = 1, token_version = 1, status = 0 '
           . 'WHERE id = ?', $root);
};


subtest 'the last administrator' => sub {
    $t->do('UPDATE user SET roles = roles & ~1 WHERE id <> ?', $root);

    is(admin('PUT', "/users/$root/roles", { roles => [] }), 10040, 'roles');
    is(admin('DELETE', "/users/$root"), 10040, 'deletion');
    is(admin('PUT', "/users/$root/status", { status => 'banned',
        reason => 'me' }), 10040, 'ban');

    my $other = user(roles => 1, status => 1);
    is(admin('DELETE', "/users/$root"), 10040, 'a banned one does not count');
    is(admin('DELETE', "/users/$other"), 0, 'who may go');

    # two that take away each other, again and again
    foreach (1 .. 12) {
        my ($x, $y) = (user(roles => 1), user(roles => 1));
        $t->do('UPDATE user SET roles = 0 WHERE id = ?', $root);
        my @r = $t->burst([
            map { my ($who, $whom) = @$_;
                  { method => 'PUT', data => { roles => [] },
                    path => "/api/v1/admin/users/$whom/roles",
                    token => $t->token($who, roles => 1, role => 'admin') }
            } [$x, $y], [$y, $x], [$x, $x], [$y, $y]], sync => 1);
        my $left = $t->value('SELECT COUNT(*) FROM user WHERE roles & 1 '
                             . 'AND status = 0');
        cmp_ok($left, q(>=), 1, "one is left: " . join " ",
               map { $_->{code} // "-" } @r);
        $t->do('UPDATE user SET roles = 0 WHERE roles & 1');
    }

    $t->do('UPDATE user SET roles = 1, token_version = 1 WHERE id = ?',
           $root);
};


subtest 'roles that are not known' => sub {
    my $node = $t->node(start => 0);

    $t->stop('mysql');
    $t->start($node);

    my $r = $t->get('/api/v1/admin/roles', admin => 1, node => $node);
    is("$r->{status} $r->{code}", '503 3', 'cold: busy, not yes');
    is($t->get('/api/v1/admin/roles', user => 5, node => $node)->{status},
       403, 'who has none is refused');
    ok(!$t->get('/ready', node => $node)->{json}{data}{roles}, 'not ready');

    $t->start('mysql');
    ok($t->wait_for(sub {
        $t->get('/api/v1/admin/roles', admin => 1, node => $node)
            ->{status} == 200;
    }, 10, 'roles'), 'there with MySQL');
    ok($t->get('/ready', node => $node)->{json}{data}{roles}, 'known');
};


$t->finish();
done_testing();
