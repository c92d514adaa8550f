#!/usr/bin/perl

# Copyright (C) Rush
#
# Guessing: passwords of one account by every name, door, worker, node and
# address; one password for many accounts; codes, tickets and refresh tokens;
# headers that pretend to be somebody else.  The owner gets in meanwhile.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64url);
use RushTest;
use RushTest::Routes;
use Test::More;
use Time::HiRes qw(sleep time);

my $strict = RushTest::Backend::free_port();
my $apis = 'rush_api; user_api; seckill_api;';
my $http = 'user_bcrypt_cost 4; user_code_limit interval=0 hour=0 day=0 '
    . 'address=0;';

# as behind a balancer: what it tells in this header is an address
my $balanced = 'set_real_ip_from 127.0.0.1; real_ip_header X-Balancer;';

my $t = RushTest->new(courier => 1, nginx => { extra_http => <<"EOC",
$http
server {
    listen 127.0.0.1:$strict;
    $balanced
    rush_limit login rate=1r/m burst=4;
    rush_limit api rate=1r/m burst=4;
    user_code_limit interval=0 hour=0 day=0 address=3;
    location / { $apis }
}
EOC
    extra_server => $balanced });

$t->{port}{strict} = $strict;

my $node = $t->node(extra_http => $http, extra_server => $balanced);
my @nodes = ('nginx', $node);
my $all = RushTest::Routes->new($t);
my $right = $RushTest::Routes::PASSWORD;
my $login = '/api/v1/user/login';
my $serial = 0;


sub guess { return 'wrong guess ' . ++$serial }


# each from an address of its own, to both nodes by turns

sub elsewhere {
    my (%q) = @_;
    $serial++;
    return { method => 'POST', path => $login, node => $nodes[$serial % 2],
             headers => { 'X-Balancer' => join '.', 10, $serial >> 8 & 255,
                          $serial & 255, 7 }, %q };
}


# another code; the right one stays text, as it has to be sent

sub wrong {
    my ($code, $n) = @_;
    return sprintf '%06d', ($code + $n) % 1_000_000;
}


sub count_of {
    my ($code, @r) = @_;
    return scalar grep { ($_->{code} // -1) == $code } @r;
}


sub code {
    my ($scene, $target) = @_;
    my $r = $t->send_code($scene, $target);
    die "send-code: $r->{body}\n" if ($r->{code} // -1) != 0;
    return $t->code($target);
}


sub fails {
    my ($who) = @_;
    return $t->value('SELECT fails FROM user WHERE id = ?', $who->{id});
}


subtest 'one account, by every name and door' => sub {
    my $who = $all->account();
    my $email = "$who->{name}\@example.com";

    $t->do('UPDATE user SET email = ? WHERE id = ?', $email, $who->{id});

    my @names = ({ account => $who->{name} }, { account => uc $who->{name} },
                 { username => $who->{name} }, { mobile => $who->{mobile} },
                 { account => $who->{mobile} }, { email => uc $email },
                 { mobile => "+86$who->{mobile}" }, { account => $email });
    my $ticket = $all->ticket('bind', "else\@example.com");
    my @doors = (
        sub { ('/api/v1/user/password', { old_password => guess(),
                                          new_password => "$right 2" }) },
        sub { ('/api/v1/user/bind', { ticket => $ticket,
                                      password => guess() }) },
        sub { ('/api/v1/user', { password => guess() }, 'DELETE') },
    );
    my @q = map { my $n = $names[$_ % @names];
                  elsewhere(data => { %$n, password => guess() }) } 1 .. 60;

    foreach my $i (1 .. 30) {
        my ($path, $data, $method) = $doors[$i % @doors]->();
        push @q, elsewhere(path => $path, data => $data,
            token => $who->{token}, method => $method // 'POST');
    }

    # two at a time take the ticket: one is refused, it is not a guess
    my @r = $t->burst([sort { ($a->{path} cmp $b->{path})
                              || ($a->{data}{password} // '') cmp
                              ($b->{data}{password} // '') } @q],
                      sync => 1);
    my $looked = count_of(10002, @r) + count_of(10004, @r);

    # those that came while one waited may have waited for long enough
    cmp_ok($looked, '>=', 5, "$looked of " . @r . ' were looked at');
    cmp_ok($looked, '<=', 7);
    is($looked, fails($who), 'and counted');
    is($looked + count_of(10003, @r) + count_of(10022, @r), scalar @r,
       'all others were not') or diag(join ' ', map { $_->{code} // '-' } @r);

    # whoever knows it has to wait too, but for a code
    $t->do('UPDATE user SET fails = 30, fail_ms = ? WHERE id = ?',
           RushTest::Data::now_ms(), $who->{id});

    foreach my $name (@names) {
        my $r = $t->post($login, { %$name, password => $right });
        is($r->{code}, 10003, join ' ', %$name);
        is($r->{json}{data}{step_up}, 'code');
        cmp_ok($r->{json}{data}{retry_after_s}, '<=', 900, 'never for ever');
    }

    is($t->get('/api/v1/user/profile', token => $who->{token})->{code}, 0,
       'who is in stays in');
    is($t->post($login, { mobile => $who->{mobile}, password => $right,
                          code => '000000' })->{status}, 400,
       'no code beside a password');
    is(fails($who), 30, 'who waits is not counted');
};


subtest 'the owner gets in during an attack' => sub {
    my $who = $all->account();
    my $mobile = $who->{mobile};
    my $stop = time() + 2 * $RushTest::SLOW;
    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        while (time() < $stop) {
            $t->burst([map { elsewhere(data => { mobile => $mobile,
                password => "wrong $_" }) } 1 .. 20], conns => 10,
                record => 0);
        }
        require POSIX;
        POSIX::_exit(0);
    }

    ok($t->wait_for(sub { fails($who) >= 5 }, 5, 'failures'), 'attacked');

    foreach my $n (1 .. 4) {
        my $r = $t->post($login, { mobile => $mobile,
            code => code('login', $mobile) });
        is($r->{code}, 0, "in by a code, $n") or diag($r->{body});
        is($t->post('/api/v1/auth/refresh-token', { refresh_token =>
            $r->{json}{data}{refresh_token} })->{code}, 0, 'and stays');
    }

    waitpid $pid, 0;

    # a new password by a code lifts it too
    $t->do('UPDATE user SET fails = 30, fail_ms = ? WHERE id = ?',
           RushTest::Data::now_ms(), $who->{id});
    is($t->post('/api/v1/user/password/reset', { new_password => "$right 3",
        ticket => $all->ticket('reset', $mobile) })->{code}, 0, 'reset');
    is($t->post($login, { mobile => $mobile, password => "$right 3" })
       ->{code}, 0, 'in by the new password');
};


subtest 'one password for many' => sub {
    my @who = map { $all->account() } 1 .. 40;
    my @r = $t->burst([map { { method => 'POST', path => $login,
        node => 'strict', data => { account => $_->{name},
        password => $right } } } @who], conns => 8);

    is(count_of(0, @r), 4, 'four an address');
    is(count_of(10, @r), 36, 'no more');

    # IPv6: a network of one customer is one
    @r = $t->burst([map { { method => 'POST', path => $login,
        node => 'strict', data => { account => $who[$_]{name},
        password => guess() }, headers => { 'X-Balancer' =>
        sprintf '2001:db8:1:2:%x:%x::%x', $_ * 7, $_, $_ } } } 1 .. 30],
        conns => 4);
    is(count_of(10, @r), 26, 'a /64 is one address');
    is($t->post($login, { account => $who[0]{name}, password => $right },
                node => 'strict', headers => { 'X-Balancer' =>
                '2001:db8:1:3::1' })->{code}, 0, 'the next one is another');
    is($t->post($login, { account => $who[0]{name}, password => $right },
                node => 'strict', headers => { 'X-Balancer' =>
                '::ffff:127.0.0.1' })->{code}, 10, 'mapped ones are IPv4');
};


# every route of these two classes, as one attacker sees them

my @names = qw(X-Forwarded-For X-Real-IP X-Client-IP True-Client-IP Client-IP
    CF-Connecting-IP X-Cluster-Client-IP X-Originating-IP X-Remote-Addr
    X-ProxyUser-Ip Fastly-Client-IP X-Forwarded-Host X-Host X-Forwarded-Server
    X-Forwarded-Proto Via From Referer Origin User-Agent X-Balancer-IP
    Accept-Language Cookie X-Request-Id X-Correlation-Id traceparent);


sub pretended {
    my ($n) = @_;
    my $ip = join '.', 11, 12, $n, 1 + int rand 200;
    return ({}, { Forwarded => "for=$ip;host=$ip" }, { Host => "h$n.example" },
            { Host => "127.0.0.1:$n" }, { map { $_ => $ip } @names },
            (map { { $_ => $ip } } @names),
            (map { { $_ => "$ip, 127.0.0.1" } } @names[0 .. 3]));
}


subtest 'headers that pretend' => sub {
    my $who = $all->account();
    my %limited;

    foreach my $route (grep { $_->{path} =~ m!^/api/v1/(?:user|auth)! }
                       $all->routes())
    {
        my $q = $all->sample($route->{id}, who => $who, cheap => 1);
        my $address = '10.9.' . ++$serial % 250 . '.1';
        my $send = sub {
            my ($h) = @_;
            return { method => $q->{method}, path => $q->{path}, node =>
                'strict', data => $q->{method} eq 'GET' ? undef : {},
                token => 'x', headers => { %$h, 'X-Balancer' => $address } };
        };

        # its own first ones, whatever becomes of them
        $t->burst([map { $send->({}) } 1 .. 4], conns => 1, record => 0);

        my @r = $t->burst([map { $send->($_) } pretended($serial % 250)],
                          conns => 4, record => 0);

        $limited{$route->{id}} = 1;
        is(join(' ', map { $_->{status} == 429 && $_->{headers}{
            'retry-after'} ? () : $_->{status} } @r), '',
           "$route->{id}: one and the same, " . @r . ' times');
    }

    cmp_ok(scalar keys %limited, '>=', 24, 'routes');

    # codes of an address: a limit of its own, beside that of requests
    my $ask = sub {
        my ($h) = @_;
        return elsewhere(path => '/api/v1/user/send-code',
            data => { scene => 'login',
                      mobile => RushTest::Routes::mobile() }, %$h);
    };
    my @heads = pretended(9);
    my $one = $t->node(extra_http => 'user_code_limit interval=0 hour=0 '
                       . 'day=0 address=3;', workers => 1);
    my @r = $t->burst([map { $ask->({ node => $one, headers => $_ }) } {}, {},
                       {}, @heads], conns => 1, record => 0);

    is(count_of(0, @r), 3, 'three codes');
    is(count_of(10020, @r), scalar @heads, 'whatever he pretends');
    $t->stop($one);
};


# --- codes, tickets, refresh tokens ---

subtest 'guesses of a code' => sub {
    my $verify = '/api/v1/user/verify-code';

    # the right one among many at once
    foreach my $round (1 .. 6) {
        my $mobile = RushTest::Routes::mobile();
        my $code = code('login', $mobile);
        my $at = 10 + int rand 60;
        my @r = $t->burst([map { elsewhere(path => $verify, data => {
            scene => 'login', mobile => $mobile, code => $_ == $at ? $code
            : wrong($code, $_) }) } 1 .. 80], sync => 1);

        is(count_of(0, @r) + count_of(10021, @r), 80, 'answered');
        is($t->post($verify, { scene => 'login', mobile => $mobile,
                               code => $code })->{code}, 10021,
           'five wrong ones burn it, right or not') if !count_of(0, @r);
        cmp_ok(count_of(0, @r), '<=', 1, 'one at most');
    }

    # through three doors
    my $mobile = RushTest::Routes::mobile();
    my $code = code('register', $mobile);
    my $wrong = wrong($code, 1);
    my @tries = (
        sub { ($verify, { scene => 'register', mobile => $mobile,
                          code => shift }) },
        sub { ('/api/v1/user/register', { mobile => $mobile,
                                          code => shift }) },
    );

    is($t->post($tries[$_ % 2]->($wrong))->{code}, 10021, "try $_")
        foreach 1 .. 5;
    is($t->post($tries[$_]->($code))->{code}, 10021, 'burnt for all')
        foreach 0, 1;

    # by other forms of a number it is the same one
    $mobile = RushTest::Routes::mobile();
    $code = code('login', $mobile);
    $wrong = wrong($code, 1);
    is($t->post($verify, { scene => 'login', code => $wrong,
        mobile => $_ % 2 ? $mobile : "+86$mobile" })->{code}, 10021)
        foreach 1 .. 5;
    is($t->post($verify, { scene => 'login', code => $code,
        mobile => $mobile })->{code}, 10021, 'burnt');

    # other scenes do not burn it, nor does another number
    $mobile = RushTest::Routes::mobile();
    $code = code('login', $mobile);
    $t->post($verify, { scene => $_, mobile => $mobile, code => '000000' })
        foreach (qw(register reset bind)) x 4;
    is($t->post($verify, { scene => 'login', mobile => $mobile,
                           code => $code })->{code}, 0, 'bound to its scene');
};


# what a day of guessing comes to

subtest 'codes of a day' => sub {
    my $one = $t->node(extra_http => '', workers => 1);
    my $mobile = RushTest::Routes::mobile();
    my $rd = $t->redis();
    my ($sent, $wrong) = (0, 0);

    # every quarter of an hour, a day long
    foreach (1 .. 95) {
        my $r = $t->post('/api/v1/user/send-code', { scene => 'login',
            mobile => $mobile }, node => $one, record => 0);

        if ($r->{code} == 0) {
            $sent++;
            $wrong += count_of(10021, $t->burst([map { elsewhere(
                path => '/api/v1/user/verify-code', data => {
                scene => 'login', mobile => $mobile, code => '000000' }) }
                1 .. 7], conns => 7, record => 0));
        }

        foreach my $key (map { $rd->keys($_) } '{rush}c:n:*', '{rush}c:a:*') {
            my @at = $rd->lrange($key, 0, -1);
            $rd->lset($key, $_, $at[$_] - 900_000) foreach 0 .. $#at;
        }
    }

    is($sent, 10, 'ten codes, so fifty guesses of a million');
    is($wrong, 70, 'of all that were tried');
    $t->stop($one);
};


sub random_token {
    return encode_base64url(join('', map { chr int rand 256 } 1 .. 32), '');
}


subtest 'guesses of tickets and refresh tokens' => sub {
    my $who = $all->account();
    my $refresh = $all->refresh($who);
    my $ticket = $all->ticket('reset', $who->{mobile});
    my $flip = sub {
        my ($text, $at) = @_;
        substr $text, $at, 1, substr($text, $at, 1) eq 'A' ? 'B' : 'A';
        return $text;
    };
    my @tokens = (map({ random_token() } 1 .. 100),
                  map { $flip->($refresh, $_) } 0 .. 20);
    my @tickets = (map({ random_token() } 1 .. 100),
                   map({ $flip->($ticket, $_) } 0 .. 42), $refresh);
    my @r = $t->burst([map { elsewhere(data => { refresh_token => $_ },
        path => '/api/v1/auth/refresh-token') } @tokens], conns => 8);

    is(count_of(10007, @r), scalar @tokens, 'refresh tokens')
        or diag(join ' ', map { "$_->{code}" } @r);

    foreach my $q (['login', {}], ['register', { password => $right }],
                   ['password/reset', { new_password => "$right 4" }],
                   ['bind', {}])
    {
        my ($path, $data) = @$q;
        @r = $t->burst([map { elsewhere(path => "/api/v1/user/$path",
            data => { %$data, ticket => $_ }, token => $who->{token}) }
            @tickets], conns => 8);
        is(count_of(10022, @r), scalar @tickets, "tickets, $path");
    }

    # the right ones were not harmed
    is($t->post('/api/v1/auth/refresh-token', { refresh_token => $refresh })
       ->{code}, 0, 'the session goes on');
    is($t->post('/api/v1/user/password/reset', { ticket => $ticket,
        new_password => "$right 5" })->{code}, 0, 'the ticket is good');
};


$t->finish();
done_testing();
