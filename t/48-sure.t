#!/usr/bin/perl

# Copyright (C) Rush
#
# A node that has not heard of ended tokens for a while asks Redis before it
# believes one, and says BUSY when it cannot; refusals of a sale do not wait
# for that.  Who ends tokens is answered when the others can know.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    proxy => ['nginx_redis'],
    nginx => { workers => 2, extra_http => 'user_bcrypt_cost 4;' },
);
my $far = $t->node(straight => 1, extra_http => 'user_bcrypt_cost 4;');
my $redis = $t->proxy('nginx_redis');
my $profile = '/api/v1/user/profile';
my $logout = '/api/v1/user/logout';
my $good = 'tiger lily 7';


sub open_account {
    my ($name) = @_;
    my $r = $t->register($name, $good, node => $far);
    is($r->{code}, 0, "$name is there");
    return $r->{json}{data}{access_token};
}


# how n questions at once are answered: "200" or "401 503"

sub answers {
    my ($n, $token, %o) = @_;

    my @r = $t->burst([map { { path => $profile, token => $token } } 1 .. $n],
                      conns => $n, timeout => 10, %o);
    my %seen = map { $_->{status} => 1 } @r;

    return join ' ', sort keys %seen;
}


sub age {
    my ($s) = $t->get('/metrics', record => 0)->{body}
        =~ /^rush_revocation_feed_age_seconds (\S+)/m;
    return $s;
}


# the node has heard nothing for longer than it may rely on

sub deaf {
    $redis->black_hole();
    ok($t->wait_for(sub { age() > 1 }, 5, "silence"), "nothing is heard");
}


sub heard {
    $redis->pass();
    ok($t->wait_for(sub { age() < 0.6 }, 10, 'the feed'), 'heard of all');
}


subtest 'a token that ended while nobody was heard' => sub {
    my ($ann, $bob) = map { open_account($_) } qw(ann bob);

    is(answers(4, $_), '200', 'believed') foreach $ann, $bob;

    deaf();
    is($t->post($logout, token => $ann, node => $far)->{code}, 0, 'logout');

    my $start = time();
    is(answers(6, $ann), '503', 'the ended one: busy');
    is(answers(6, $bob), '503', 'the other one: busy');
    cmp_ok(time() - $start, '<', 8 * $RushTest::SLOW, 'not for long');

    my $r = $t->get($profile, token => $bob);
    is($r->{code}, 3, 'BUSY');
    ok($r->{headers}{'retry-after'}, 'tells when to ask again');
    is($t->get($profile, token => "${bob}x")->{status}, 401,
       'what is forged needs no question');
    is($t->get('/api/v1/time')->{status}, 200, 'nor who has no token');

    # whoever comes first after the silence
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        delete @$t{qw(http dbh redis)};
        my $seen = '';
        my $end = time() + 3;
        $seen .= ' ' . answers(2, $ann, record => 0) while time() < $end;
        require POSIX;
        POSIX::_exit($seen =~ /200/ ? 1 : $seen =~ /401/ ? 0 : 2);
    }

    sleep 0.3;
    $redis->pass();
    waitpid $pid, 0;
    is($? >> 8, 0, 'never accepted, and refused in the end');

    heard();
    is(answers(4, $bob), '200', 'the other one holds');
};


subtest 'answers of Redis that come late' => sub {
    my $cid = open_account('cid');

    $redis->delay(300);
    sleep 1.5;
    is(answers(4, $cid), '200', 'late by 0.3 s');

    my $asked = RushTest::Sale::counter($t, 'revoke_asked_total');
    $redis->delay(700);
    ok($t->wait_for(sub {
        answers(4, $cid) eq '200'
            && RushTest::Sale::counter($t, 'revoke_asked_total') > $asked;
    }, 15, 'a look of a request'), 'late by 0.7 s: they wait for a look');

    is($t->post($logout, token => $cid, node => $far)->{code}, 0, 'logout');
    sleep 1;
    is(answers(8, $cid), '401', 'a second later it has ended');
    heard();
};


subtest 'a sale while nobody is heard' => sub {
    my $dan = open_account('dan');
    my ($out, $open) = map { $t->activity(stock => $_) } 1, 100;
    my $path = sub { "/api/v1/seckill/activities/$_[0]/buy" };

    is($t->buy($out, 7)->{code}, 0, 'the last unit');
    ok($t->wait_for(sub { ($t->buy($out, 8)->{code} // 0) == 60002 }, 5,
                    'sold out'), 'sold out');

    deaf();

    # one a second is a probe, which asks Redis
    my ($start, $code);

    foreach (1 .. 3) {
        $start = time();
        $code = $t->post($path->($out), { quantity => 1 },
                         token => $dan)->{code};
        last if $code == 60002;
    }

    is($code, 60002, 'a refusal');
    cmp_ok(time() - $start, '<', 0.3 * $RushTest::SLOW, 'at once');
    is($t->post($logout, token => $dan, node => $far)->{code}, 0, 'logout');

    is($t->post($path->($open), { quantity => 1 }, token => $dan)->{status},
       503, 'what has units: busy');
    heard();

    is($t->post($path->($open), { quantity => 1 }, token => $dan)->{status},
       401, 'then: ended');
    is($t->meta($open)->{remain}, 100, 'nothing was bought');
};


subtest 'who ends tokens and cannot tell it' => sub {
    my ($eve, $fay) = map { open_account($_) } qw(eve fay);

    $t->wait_for(sub { age() < 0.4 }, 5, 'a fresh look');
    $redis->silence();

    my $start = time();
    my $r = $t->post($logout, token => $eve, timeout => 10);
    is($r->{code}, 3, 'logout: BUSY');
    cmp_ok(time() - $start, '<', 4 * $RushTest::SLOW, 'after a second');
    isnt($t->get($profile, token => $eve)->{status}, 200, 'ended here');
    is($t->value('SELECT COUNT(*) FROM user_session WHERE revoked_ms > 0 '
                 . 'AND user_id = (SELECT id FROM user WHERE username = ?)',
                 'eve'), 1, 'and in MySQL');

    heard();
    ok($t->wait_for(sub { answers(4, $eve, node => $far) eq '401' }, 3,
                    'told'), 'told to others as soon as it can be');
    is(answers(4, $eve), '401', 'ended here');

    $r = $t->post('/api/v1/user/password',
                  { old_password => $good, new_password => "$good new" },
                  token => $fay, timeout => 10);
    is($r->{code}, 0, 'told');
    is(answers(6, $fay, node => $far), '401', 'all nodes know')
        if $t->wait_for(sub { answers(2, $fay, node => $far) eq '401' }, 1,
                        'the other node');
};


subtest 'clients that leave while they wait' => sub {
    my $gus = open_account('gus');
    my $gone = RushTest::Sale::counter($t, 'aborted_total');

    deaf();

    foreach (1 .. 6) {
        my $s = $t->connect();
        my ($bytes) = $t->bytes_of({ method => 'GET', path => $profile,
                                     token => $gus });
        syswrite $s, $bytes;
        sleep 0.03;
        close $s;
    }

    ok($t->wait_for(sub {
        RushTest::Sale::counter($t, 'aborted_total') >= $gone + 3;
    }, 5, 'they are gone'), 'gone');
    heard();
    is(answers(4, $gus), '200', 'all goes on');
};


$t->finish();
done_testing();
