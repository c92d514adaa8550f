#!/usr/bin/perl

# Copyright (C) Rush
#
# Requests that meet, on every worker of two nodes: one of them has its effect
# and all others are told so.  And ends that race with what they end: a ban
# with buys, a new password with refreshes and logins, a closed account with
# logins.  What comes out is the same whoever was first.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use RushTest;
use RushTest::Routes;
use Test::More;
use Time::HiRes qw(sleep time);

my $http = 'user_bcrypt_cost 4; user_code_limit interval=0 hour=0 day=0 '
    . 'address=0;';

my $t = RushTest->new(courier => 1, nginx => { extra_http => $http });
my $node = $t->node(extra_http => $http);
my @nodes = ('nginx', $node);
my $all = RushTest::Routes->new($t);
my $good = $RushTest::Routes::PASSWORD;
my $login = '/api/v1/user/login';
my $refresh = '/api/v1/auth/refresh-token';
my $profile = '/api/v1/user/profile';
my $serial = 0;


# all at once, by turns to both nodes

sub at_once {
    my (@q) = @_;
    my $n = 0;
    return $t->burst([map { { method => 'POST', node => $nodes[$n++ % 2],
                              %$_ } } @q], sync => 1);
}


sub codes {
    my %n;
    $n{$_->{code} // "status $_->{status}"}++ foreach @_;
    return join ', ', map { "$n{$_} x $_" } sort keys %n;
}


sub winners { return grep { ($_->{code} // -1) == 0 } @_ }


# a busy thread pool may refuse some: they come again until all were answered

sub until_answered {
    my (@q) = @_;
    my @r = at_once(@q);
    my $rounds = 0;

    while ($rounds++ < 20) {
        my @busy = grep { ($r[$_]{code} // 3) == 3 } 0 .. $#r or last;
        my @again = at_once(@q[@busy]);
        @r[@busy] = @again;
    }

    return @r;
}


sub refused {
    my ($token, $what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($t->wait_for(sub {
        foreach my $n (@nodes) {
            my @r = $t->burst([map { { path => $profile, token => $token } }
                               1 .. 8], sync => 1, node => $n, record => 0);
            return if grep { $_->{status} != 401 } @r;
        }
        return 1;
    }, 2, '401 everywhere'), $what);
}


sub live {
    my ($id) = @_;
    return $t->value('SELECT COUNT(*) FROM user_session WHERE user_id = ? '
                     . 'AND revoked_ms = 0', $id);
}


# tokens that somebody was given meanwhile are good for nothing

sub all_dead {
    my ($what, @r) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @data = map { $_->{json}{data} } winners(@r);

    refused($_->{access_token}, "$what: an access token")
        foreach @data[grep { $_ < 3 } 0 .. $#data];
    is(codes(map { $t->post($refresh, { refresh_token =>
        $_->{refresh_token} }) } @data), @data ? @data . ' x 10007' : '',
       "$what: refresh tokens");
}


# --- one account, one use ---

subtest '30 registrations' => sub {
    my %names = (mobile => sub { RushTest::Routes::mobile() },
                 email => sub { 'race' . ++$serial . '@example.com' },
                 username => sub { 'race' . ++$serial });

    foreach my $name (sort keys %names) {
        foreach my $round (1 .. 2) {
            my $value = $names{$name}->();
            my $users = $t->value('SELECT COUNT(*) FROM user');
            my @r = until_answered(map { { path => '/api/v1/user/register',
                data => { ($name eq 'username' ? () : (username => 'by'
                          . ++$serial)), $name => $name eq 'username'
                          && $_ % 2 ? uc $value : $value,
                          password => $good } } } 1 .. 30);

            is(codes(@r), '1 x 0, 29 x 10001', "one $name");
            is($t->value('SELECT COUNT(*) FROM user') - $users, 1, 'a row');

            my ($won) = winners(@r);
            my $id = $won->{json}{data}{user}{id};
            is($t->value("SELECT id FROM user WHERE $name = ?", $value), $id,
               'of the one who was told so');
            is(live($id), 1, 'with one session');
        }
    }
};


subtest 'one number by three ways' => sub {
    foreach my $round (1 .. 4) {
        my $mobile = RushTest::Routes::mobile();
        my @who = map { $all->account() } 1 .. 4;
        my @tickets = map { $all->ticket('bind', $mobile) } @who;
        my @r = until_answered(
            (map { { path => '/api/v1/user/bind', data => {
                ticket => $tickets[$_], password => $good },
                token => $who[$_]{token} } } 0 .. $#who),
            (map { { path => '/api/v1/admin/users', token => $all->admin(),
                data => { mobile => $mobile } } } 1 .. 4),
            (map { { path => '/api/v1/user/register', data => {
                mobile => $mobile, password => $good } } } 1 .. 4));

        is(scalar winners(@r), 1, 'one has it: ' . codes(@r));
        is($t->value('SELECT COUNT(*) FROM user WHERE mobile = ?', $mobile),
           1);
    }
};


subtest '30 refreshes of one token' => sub {
    foreach my $round (1 .. 3) {
        my $who = $all->account();
        my $other = $t->login($who->{name}, $good)->{json}{data};
        my $token = $all->refresh($who);
        my @r = at_once(map { { path => $refresh, data => {
            refresh_token => $token } } } 1 .. 30);

        is(codes(@r), '1 x 0, 29 x 10007', 'one wins');
        all_dead('the family has ended', @r);
        is($t->post($refresh, { refresh_token => $token })->{code}, 10007);
        is($t->get($profile, token => $other->{access_token})->{code}, 0,
           'another session has not');
    }
};


subtest '30 uses of one code' => sub {
    my $verify = '/api/v1/user/verify-code';
    my $mobile = RushTest::Routes::mobile();
    my $ask = sub {
        my ($code, @keys) = @_;
        return at_once(map { { path => $verify, data => { scene => 'login',
            mobile => $mobile, code => $code }, (defined $_
            ? (key => $_) : ()) } } @keys);
    };

    my @r = $ask->($all->code('login', $mobile), (undef) x 30);
    is(codes(@r), '1 x 0, 29 x 10021', 'one ticket');

    @r = $ask->($all->code('login', $mobile), map { "k$_" } 1 .. 30);
    is(codes(@r), '1 x 0, 29 x 10021', 'keys of their own');

    @r = $ask->($all->code('login', $mobile), ('same') x 30);
    is(codes(@r), '30 x 0', 'of one key it is one request');
    my %tickets = map { $_->{json}{data}{ticket} => 1 } @r;
    is(scalar keys %tickets, 1, 'with one ticket');

    my ($ticket) = keys %tickets;
    my $who = $all->account();
    $t->do('UPDATE user SET mobile = ? WHERE id = ?', $mobile, $who->{id});
    @r = at_once(map { { path => $login, data => { ticket => $ticket },
                         key => "l$_" } } 1 .. 30);
    is(codes(@r), '1 x 0, 29 x 10022', 'which logs in once');
    is(live($who->{id}), 2, 'one session more');
};


subtest '30 uses of one ticket' => sub {
    my $who = $all->account();
    my $ticket = $all->ticket('reset', $who->{mobile});
    my $version = $t->value('SELECT token_version FROM user WHERE id = ?',
                            $who->{id});
    my @r = until_answered(map { { path => '/api/v1/user/password/reset',
        data => { ticket => $ticket, new_password => "number $_ heron" } } }
        1 .. 30);

    is(codes(@r), '1 x 0, 29 x 10022', 'a new password');
    my ($won) = grep { $r[$_ - 1]{code} == 0 } 1 .. 30;
    is($t->login($who->{name}, "number $won heron")->{code}, 0, 'is this');
    is($t->value('SELECT token_version FROM user WHERE id = ?', $who->{id})
       - $version, 1, 'was set once');
    refused($who->{token}, 'the session of before');

    my @who = map { $all->account() } 1 .. 30;
    my $email = 'one' . ++$serial . '@example.com';
    $ticket = $all->ticket('bind', $email);
    @r = until_answered(map { { path => '/api/v1/user/bind', data => {
        ticket => $ticket }, token => $_->{token} } } @who);
    is(codes(@r), '1 x 0, 29 x 10022', 'an address');
    ($won) = grep { $r[$_]{code} == 0 } 0 .. 29;
    is($t->value('SELECT id FROM user WHERE email = ?', $email),
       $who[$won]{id}, 'is of who was told so');

    my $mobile = RushTest::Routes::mobile();
    $ticket = $all->ticket('register', $mobile);
    @r = until_answered(map { { path => '/api/v1/user/register', data => {
        ticket => $ticket, username => 'tick' . ++$serial } } } 1 .. 30);
    is(codes(@r), '1 x 0, 29 x 10022', 'an account');
    is($t->value('SELECT COUNT(*) FROM user WHERE mobile = ?', $mobile), 1);
};


# --- the last administrator ---

subtest 'the last administrator' => sub {
    my $root = $all->admin();
    my %ways = (
        roles => sub { (method => 'PUT', data => { roles => [] },
                        path => "/api/v1/admin/users/$_[0]/roles") },
        ban => sub { (method => 'PUT', data => { status => 'banned',
            reason => 'x' }, path => "/api/v1/admin/users/$_[0]/status") },
        deletion => sub { (method => 'DELETE',
                           path => "/api/v1/admin/users/$_[0]") },
    );
    my @ways = sort keys %ways;
    my $left = sub { $t->value('SELECT COUNT(*) FROM user WHERE roles & 1 '
                               . 'AND status = 0') };
    my (%seen, @counts);

    $t->do('UPDATE user SET roles = 0');

    foreach my $round (0 .. 17) {
        my @pair = map { $all->account() } 1, 2;

        $t->do('UPDATE user SET roles = 1 WHERE id IN (?, ?)',
               map { $_->{id} } @pair);

        my @tokens = map { $t->token($_->{id}, role => 'admin', roles => 1,
                                     sid => $_->{id} + 1 . '') } @pair;
        my @r = at_once(
            { $ways{$ways[$round % 3]}->($pair[1]{id}), token => $tokens[0] },
            { $ways{$ways[$round / 3 % 3]}->($pair[0]{id}),
              token => $tokens[1] },
            # and by themselves
            { method => 'DELETE', path => '/api/v1/user',
              data => { password => $good }, token => $tokens[0] },
            { method => 'DELETE', path => '/api/v1/user',
              data => { password => $good }, token => $tokens[1] });

        push @counts, $left->();
        $seen{$_->{code} // '-'}++ foreach @r;
        $t->do('UPDATE user SET roles = 0');
    }

    is(scalar(grep { $_ < 1 } @counts), 0, "there is one: @counts");
    ok($seen{0}, 'some went: ' . join ' ', map { "$seen{$_} x $_" }
       sort keys %seen);
    $t->do('UPDATE user SET roles = 1 WHERE id = ?', $all->{root});
};


# --- what ends while it is used ---

# buyers on both nodes, each connection is one of a worker; when the last buy
# was accepted

sub buyers {
    my ($token, $sale, $seconds) = @_;

    my $end = time() + $seconds;
    my @pids;

    foreach my $i (0 .. 3) {
        my $pid = fork() // die "fork: $!";

        if (!$pid) {
            my ($last, $n, $no) = (0, 0, 0);

            while (time() < $end) {
                my @r = $t->burst([map { { method => 'POST', token => $token,
                    path => "/api/v1/seckill/activities/$sale/buy",
                    data => {} } } 1 .. 12], conns => 6, record => 0,
                    node => $nodes[$i % 2]);
                my $won = winners(@r);

                $last = time() if $won;
                $n += $won;
                $no += grep { $_->{status} == 401 } @r;
            }

            RushTest::spew("$t->{dir}/buyer$i", "$last $n $no");
            POSIX::_exit(0);
        }

        push @pids, $pid;
    }

    return sub {
        waitpid $_, 0 foreach @pids;
        return map { [split / /, RushTest::slurp("$t->{dir}/buyer$_")] }
            0 .. 3;
    };
}


subtest 'buys end with their buyer' => sub {
    my $sale = $t->activity(stock => 1_000_000, limit => 1_000_000);
    my $admin = $all->admin();
    my %ends = (
        ban => sub { $t->put("/api/v1/admin/users/$_[0]{id}/status",
            { status => 'banned', reason => 'bots' }, token => $admin) },
        'a closed account' => sub { $t->del('/api/v1/user',
            { password => $good }, token => $_[0]{token}) },
        'a new password' => sub { $t->post('/api/v1/user/password',
            { old_password => $good, new_password => "$good 2" },
            token => $_[0]{token}) },
    );

    $t->wait_seen($sale, $_) foreach @nodes;

    foreach my $name (sort keys %ends) {
        my $who = $all->account();
        my $wait = buyers($who->{token}, $sale, 1.8 * $RushTest::SLOW);

        ok($t->wait_for(sub { ($t->redis()->hgetall("{a:$sale}m"))
            && $t->redis()->hget("{a:$sale}u", $who->{id}) }, 5, 'buys'),
           "$name: buys are under way");
        sleep 0.2;

        my $r = $ends{$name}->($who);
        my $at = time();
        is($r->{code}, 0, $name) or diag($r->{body});

        my @told = $wait->();
        my ($last) = sort { $b <=> $a } map { $_->[0] } @told;

        note(sprintf '%s: the last buy %.0f ms after', $name,
             1000 * ($last - $at));
        cmp_ok($last - $at, '<', $RushTest::SLOW, 'none a second later');
        is(scalar(grep { $_->[1] > 0 && $_->[2] > 0 } @told), 4,
           'each buyer had some, then none');
    }
};


subtest 'a new password while tokens are traded' => sub {
    foreach my $round (1 .. 4) {
        my $who = $all->account();
        my @old = map { $all->refresh($who) } 1 .. 12;
        my @r = at_once(
            { path => '/api/v1/user/password', token => $who->{token},
              data => { old_password => $good, new_password => "$good 2" } },
            (map { { path => $refresh, data => { refresh_token => $_ } } }
             @old),
            # five tries of a password at a time are looked at
            (map { { path => $login, data => { account => $who->{name},
                password => $good } } } 1 .. 4));
        my $new = shift @r;

        is($new->{code}, 0, 'the password: ' . codes(@r))
            or diag($new->{body});
        is(live($who->{id}), 1, 'one session is left');
        all_dead('of before', @r);
        is(codes(map { $t->post($refresh, { refresh_token => $_ }) } @old),
           '12 x 10007', 'all old ones');
        is($t->post($refresh, { refresh_token =>
            $new->{json}{data}{refresh_token} })->{code}, 0, 'the new one');
        is($t->login($who->{name}, $good)->{code}, 10002, 'the old password');
    }
};


subtest 'an account that ends while somebody logs in' => sub {
    my $admin = $all->admin();
    my %ends = (
        closed => sub { (method => 'DELETE', path => '/api/v1/user',
            data => { password => $good }, token => $_[0]{token}) },
        deleted => sub { (method => 'DELETE', token => $admin,
            path => "/api/v1/admin/users/$_[0]{id}") },
        banned => sub { (method => 'PUT', token => $admin, data => {
            status => 'banned', reason => 'x' },
            path => "/api/v1/admin/users/$_[0]{id}/status") },
    );

    foreach my $name (sort keys %ends) {
        foreach my $round (1, 2) {
            my $who = $all->account();
            my @old = map { $all->refresh($who) } 1 .. 6;
            my @tickets = map { $all->ticket('login', $who->{mobile}) } 1, 2;
            my @q = (
                (map { { path => $login, data => { account => $who->{name},
                    password => $good } } } 1 .. 4),
                (map { { path => $login, data => { ticket => $_ } } }
                 @tickets),
                (map { { path => $refresh, data => { refresh_token => $_ } } }
                 @old));

            # somewhere among them
            splice @q, 4 * $round, 0, { $ends{$name}->($who), end => 1 };

            my @r = at_once(@q);
            my ($end) = grep { $q[$_]{end} } 0 .. $#q;
            my ($done) = splice @r, $end, 1;

            is($done->{code}, 0, "$name: " . codes(@r))
                or diag($done->{body});
            is(live($who->{id}), 0, 'no session is left');
            all_dead($name, @r);

            # who is banned is told so, or to wait
            like($t->login($who->{name}, $good)->{code},
                 $name eq 'banned' ? qr/^1000[36]$/ : qr/^10002$/,
                 'nobody logs in');
        }
    }
};


$t->finish();
done_testing();
