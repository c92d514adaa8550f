#!/usr/bin/perl

# Copyright (C) Rush
#
# A refresh token that many use at once, what others may see of a number and
# an address, the lag of the event loop as a metric.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    consumer => 0,
    nginx => { workers => 2, extra_http => 'user_bcrypt_cost 4;' },
);

my $refresh = '/api/v1/auth/refresh-token';
my $profile = '/api/v1/user/profile';
my $good = 'tiger lily 7';
my @le = qw(0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 +Inf);


sub refresh_with { $t->post($refresh, { refresh_token => $_[0] }) }


sub all_refuse {
    my ($token) = @_;
    return $t->wait_for(sub {
        my @r = $t->burst([map { { method => 'GET', path => $profile,
            token => $token } } 1 .. 12], sync => 1);
        return !grep { $_->{status} != 401 } @r;
    }, 1, 'every worker to refuse');
}


# counts of samples below each bound, their number, their sum in s

sub lag {
    my $text = $t->get('/metrics', record => 0)->{body};
    my %lag = map { $_ => ($text
        =~ /^rush_loop_lag_seconds_bucket\{le="\Q$_\E"\} (\d+)$/m)[0] } @le;
    ($lag{sum}) = $text =~ /^rush_loop_lag_seconds_sum (\S+)$/m;
    ($lag{count}) = $text =~ /^rush_loop_lag_seconds_count (\d+)$/m;
    return \%lag;
}


sub later_than {
    my ($before, $after, $le) = @_;
    return ($after->{count} - $after->{$le})
        - ($before->{count} - $before->{$le});
}


subtest 'one refresh token, thirty at once' => sub {
    my $u = $t->register('ann', $good)->{json}{data};
    my $id = $u->{user}{id};
    my $other = $t->login('ann', $good)->{json}{data};

    foreach my $round (1 .. 3) {
        my $s = $t->login('ann', $good)->{json}{data};
        my @r = $t->burst([map { { method => 'POST', path => $refresh,
            data => { refresh_token => $s->{refresh_token} } } } 1 .. 30],
            sync => 1);
        my @won = grep { $_->{code} == 0 } @r;

        is(scalar @won, 1, 'one wins');
        is(join(' ', grep { $_ !~ /^(?:0|10007)$/ } map { $_->{code} } @r),
           '', 'the others are told that it is used');

        my $new = $won[0]{json}{data};
        is(refresh_with($new->{refresh_token})->{code}, 10007,
           'the family has ended: the winner is out, too');
        is(refresh_with($s->{refresh_token})->{code}, 10007);
        ok(all_refuse($_->{access_token}), 'its access tokens end')
            foreach $s, $new;
    }

    is($t->value('SELECT COUNT(*) FROM user_session WHERE user_id = ? '
                 . 'AND revoked_ms > 0', $id), 3, 'three sessions ended');
    is($t->get($profile, token => $other->{access_token})->{code}, 0,
       'other sessions go on');
    is(refresh_with($other->{refresh_token})->{code}, 0);
};


subtest 'masks' => sub {
    my $u = $t->register('mia', $good)->{json}{data};
    my %mobile = ('13812345678' => '138****5678', '+8613812345678' =>
        '+86****5678', '+4915112345678' => '+49****5678',
        '+1234567' => '+12****7', '12345678' => '123****8',
        '1234567' => '****', '1' => '****');
    my %email = ('ann@example.com' => 'a***@example.com', 'x@y' => 'x***@y',
        'a@b@c.de' => 'a***@b@c.de', 'none' => '***');

    foreach my $v (sort keys %mobile) {
        $t->do('UPDATE user SET mobile = ? WHERE id = ?', $v, $u->{user}{id});
        my $r = $t->get($profile, token => $u->{access_token});
        is($r->{json}{data}{mobile}, $mobile{$v}, "number $v");
        unlike($r->{body}, qr/\Q$v\E"/, 'not as it is') if length $v > 1;
    }

    foreach my $v (sort keys %email) {
        $t->do('UPDATE user SET email = ? WHERE id = ?', $v, $u->{user}{id});
        my $r = $t->get($profile, token => $u->{access_token});
        is($r->{json}{data}{email}, $email{$v}, $v);
    }

    $t->do("UPDATE user SET email = CONCAT(REPEAT('e', 100), '\@x.example'), "
           . "mobile = '13812345678' WHERE id = ?", $u->{user}{id});

    my @all = ($t->put($profile, { signature => 's' },
                       token => $u->{access_token}),
               $t->login('mia', $good), $t->get($profile,
                       token => $u->{access_token}));
    unlike($_->{body}, qr/13812345678|e{20}/, 'nor where it is written')
        foreach @all;
};


subtest 'lag' => sub {
    my $before = lag();

    is(join(' ', grep { !defined $before->{$_} } @le, 'sum', 'count'), '',
       'it is there');
    sleep 1;
    my $after = lag();

    is($after->{count}, $after->{'+Inf'}, 'all are counted');
    cmp_ok($after->{count} - $before->{count}, '>=', 20,
           'two workers ask a hundred times a second');
    cmp_ok($after->{count} - $before->{count}, '<=',
           200 * $t->worker_count(), 'not more often');
    cmp_ok($after->{sum}, '>=', $before->{sum});

    foreach my $i (1 .. $#le) {
        cmp_ok($after->{$le[$i]}, '>=', $after->{$le[$i - 1]}, 'they add up');
    }

    # a worker that does not run for 0.6 s is late once
    $before = lag();
    my ($pid) = $t->workers();
    kill STOP => $pid;
    sleep 0.6;
    kill CONT => $pid;

    ok($t->wait_for(sub { later_than($before, lag(), '0.5') >= 1 }, 5,
                    'the sample'), 'a halt is seen');
    cmp_ok(lag()->{sum} - $before->{sum}, '>=', 0.5, 'its length, too');
};


subtest 'passwords do not hold anybody up' => sub {
    RushTest::Mode::needs_master();
    $t->configure_nginx('nginx', { workers => 1,
        extra_http => 'user_bcrypt_cost 10;' });
    $t->reload('nginx');
    $t->wait_ready();

    my $before = lag();

    # each takes some 60 ms of a thread: 30 of them would be late if they ran
    # in the worker
    my @r = $t->burst([map { { method => 'POST',
        path => '/api/v1/user/register',
        data => { username => "max$_", password => $good } } } 1 .. 30],
        sync => 1);
    my $after = lag();

    is(scalar(grep { $_->{code} == 0 } @r), 30, 'thirty register');
    cmp_ok(later_than($before, $after, '0.05'), '<', 8, 'the loop goes on');
};


$t->finish();
done_testing();
