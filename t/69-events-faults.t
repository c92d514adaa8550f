#!/usr/bin/perl

# Copyright (C) Rush
#
# Event streams while things break: reload, stop, a killed worker, MySQL and
# Redis away, ids that become visible out of order, a worker that stood still.
# What has changed is told once it can be known.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Backend;
use RushTest::Events;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(failpoints => 1, proxy => [qw(nginx_redis nginx_mysql)],
                      nginx => { workers => 2, extra_http =>
    'rush_events heartbeat=300ms user=100 address=1000;' });
my $redis = $t->proxy('nginx_redis');
my $mysql = $t->proxy('nginx_mysql');
my $sale = $t->activity(stock => 100_000, limit => 100);
my $serial = 692_000;

sub user { return ++$serial }

sub counter { return RushTest::Sale::counter($t, @_) }

sub listen_to { return RushTest::Events->new($t, @_) }

sub of_sale { return "/api/v1/seckill/activities/$_[0]/events" }

sub of_order { return "/api/v1/orders/$_[0]/events" }


sub gone {
    my (@pids) = @_;
    return $t->wait_for(sub {
        return !grep { RushTest::Daemon::stat_of($_) } @pids;
    }, 8, 'old workers to leave');
}


sub bought {
    my ($user, %o) = @_;

    my $r = $t->buy($sale, $user);
    my $no = $r->{json}{data}{order_no} // die "buy: $r->{body}\n";

    $t->wait_for(sub { $t->value('SELECT 1 FROM orders WHERE order_no = ?',
                                 $no) }, 5, 'the row') or die
        if !$o{no_row};

    return $no;
}


# to_pay -> paid, by SQL, as the consumer does it

sub pay {
    my ($no, $dbh) = @_;
    my $text = 'UPDATE orders SET status = 2, stock_state = 4, '
        . "version = version + 1, actor_kind = 4, reason = 'test' "
        . 'WHERE order_no = ?';

    return $dbh ? $dbh->do($text, undef, $no) : $t->do($text, $no);
}


# listeners of an order, until there are some in more than one worker

sub everywhere {
    my ($no, $user) = @_;

    my %before = connections();
    my @s;

    while (@s < 80) {
        push @s, listen_to(of_order($no), user => $user, record => 0);
        $s[-1]->wait_data(sub { 1 })
            or die "no event: ", $s[-1]->status() // '-', ' ',
                   $s[-1]->body() // '', "\n";

        next if @s < 16;

        # with many workers some may be idle for long
        my %now = connections();
        my $some = grep { $now{$_} - ($before{$_} // 0) >= 2 } keys %now;
        return @s if $some == keys %now || $some > 1;
    }

    die "one worker has them all\n";
}


sub connections {
    return map { my @fds = glob "/proc/$_/fd/*"; $_ => scalar @fds }
        $t->workers();
}


# after an outage each worker has to find its own way back

sub settled {
    my ($no, $user) = @_;

    $t->wait_ready();
    $t->wait_for(sub { return eval { $_->close() foreach everywhere($no, $user);
                                     1 } },
                 10, 'streams at each worker') or die "no streams\n";
}


# all of them are told this status

sub all_told {
    my ($name, $status, $seconds, @s) = @_;

    my $start = time();
    my $n = grep { $_->wait_data(sub { $_[0]{status} == $status },
                                 $seconds) } @s;
    my $took = time() - $start;

    is($n, scalar @s, "$name: all are told");
    cmp_ok($took, '<', $seconds * $RushTest::SLOW, "$name: after $took s");
}


sub beats {
    my ($name, @s) = @_;
    is(scalar(grep { my $e = $_->next(3); $e && exists $e->{comment} } @s),
       scalar @s, "$name: heartbeats, and nothing else");
}


subtest 'reload' => sub {
    RushTest::Mode::needs_master();
    my $user = user();
    my $no = bought($user);
    my @old = $t->workers();
    my $left = counter('events_leave_total');
    my @s = ((map { listen_to(of_sale($sale), record => 0) } 1 .. 40),
             everywhere($no, $user));

    $_->status() foreach @s;
    my $start = time();
    ok($t->reload('nginx'), 'new workers');

    my @open = grep { !$_->ended(6) } @s;
    my $took = time() - $start;
    my %retry = map { ($_->{events}[-1]{retry} // '') => 1 } @s;

    is(scalar @open, 0, 'all are closed');
    cmp_ok($took, '<', 4 * $RushTest::SLOW, "after $took s");
    is(scalar(grep { $_->whole() } @s), scalar @s, 'each as it should be');
    is(join(' ', grep { !/^[123]\d{3}$/ || $_ > 3000 } keys %retry), '',
       'with a hint when to come again');
    cmp_ok(scalar keys %retry, '>', 3, 'not all at once');
    ok(gone(@old), 'the old workers have left');
    is(counter('events_leave_total') - $left, scalar @s, 'counted');
    is(counter('events_listeners'), 0, 'nobody listens');

    my $s = listen_to(of_order($no), user => $user,
                      headers => { 'Last-Event-ID' => '1' });
    ok($s->wait_data(sub { $_[0]{status} == 1 }), 'comes again');
    pay($no);
    all_told('then', 2, 1, $s);
    $s->close();
};


subtest 'stop' => sub {
    RushTest::Mode::needs_master();     # without one nginx just ends

    my @s = map { listen_to(of_sale($sale), record => 0) } 1 .. 20;
    my @pids = ($t->pid('nginx'), $t->workers());

    $_->status() foreach @s;
    kill QUIT => $t->pid('nginx');

    is(scalar(grep { $_->ended(6) && $_->whole() } @s), 20, 'all end well');
    ok(gone(@pids), 'nginx has ended');

    $t->start('nginx');
    $t->wait_ready();
    is(listen_to(of_sale($sale))->status(), 200, 'and serves again');
};


subtest 'a worker is killed' => sub {
    RushTest::Mode::needs_master();
    plan(skip_all => 'it is one of two') if $t->worker_count() != 2;

    my $user = user();
    my $no = bought($user);
    my @s = everywhere($no, $user);
    my $victim = $t->kill_worker('nginx');

    ok($victim, 'killed');

    my @dead = grep { $_->ended(0.2) } @s;
    my @alive = grep { !$_->{eof} } @s;

    ok(@dead && @alive, scalar(@dead) . ' were cut off, not '
       . scalar @alive);
    is(counter('events_listeners'), scalar @alive, 'the others are counted');

    my @again = map { listen_to(of_order($no), user => $user, record => 0) }
        @dead;
    pay($no);
    all_told('those', 2, 1, @alive);
    all_told('who came again', 2, 2, @again);
    $_->close() foreach @alive, @again;
};


subtest 'MySQL is away' => sub {
    my ($user, $late) = (user(), user());
    my $no = bought($user);
    my @s = everywhere($no, $user);
    my $watch = listen_to(of_sale($sale));

    ok($watch->wait_data(sub { 1 }), 'an activity');

    $t->pause('consumer');
    my $queued = bought($late, no_row => 1);
    my $q = listen_to(of_order($queued), user => $late);
    ok($q->wait_data(sub { $_[0]{status} == 0 }), 'one waits for its row');

    $mysql->refuse();

    # it has gone on without us
    pay($no);
    $t->resume('consumer');
    ok($t->wait_for(sub { $t->value('SELECT 1 FROM orders WHERE order_no = ?',
                                    $queued) }, 5, 'the row'), 'written');

    is(listen_to(of_order($no), user => $user)->code(), 3,
       'who comes now is told to come later');
    beats('a second', @s, $q);
    beats('and another one', @s, $q);

    # stock is not a matter of MySQL
    $watch->{events} = [];
    $t->buy($sale, user());
    ok($watch->wait_data(sub { 1 }, 3), 'stock is told');

    $mysql->pass();
    all_told('back', 2, 6, @s);
    ok($q->wait_data(sub { $_[0]{status} == 1 }, 6), 'and the row is found');
    $_->close() foreach @s, $q, $watch;
    settled($no, $user);
};


subtest 'MySQL is killed' => sub {
    my $user = user();
    my $no = bought($user);
    my @s = everywhere($no, $user);

    $t->kill('mysql');
    beats('no MySQL', @s);
    $t->start('mysql');
    $t->wait_ready();
    pay($no);
    all_told('back', 2, 5, @s);
    $_->close() foreach @s;
    settled($no, $user);
};


subtest 'Redis is away' => sub {
    my $user = user();
    my $no = bought($user);

    $t->pause('consumer');
    my $queued = bought($user, no_row => 1);
    my @s = everywhere($no, $user);
    my $watch = listen_to(of_sale($sale));

    ok($watch->wait_data(sub { 1 }), 'an activity');
    $redis->refuse();

    ok($t->wait_for(sub {
        listen_to(of_order($queued), user => $user)->code() eq '3'
    }, 5, 'BUSY'), 'an order without a row has to wait');

    beats('no news', $watch);
    pay($no);
    all_told('orders', 2, 2, @s);

    $redis->pass();
    $t->resume('consumer');
    $t->wait_ready();
    $watch->{events} = [];
    ok($t->wait_for(sub { $t->buy($sale, user())->{code} == 0 }, 10, 'a buy'),
       'selling again');
    ok($watch->wait_data(sub { 1 }, 4), 'stock is told again');
    $_->close() foreach @s, $watch;
    settled($no, $user);
};


subtest 'ids that become visible late' => sub {
    my ($first, $second) = (user(), user());
    my @no = map { bought($_) } $first, $second;
    my @s = (listen_to(of_order($no[0]), user => $first),
             listen_to(of_order($no[1]), user => $second));
    my $dbh = RushTest::Backend::mysql_connect($t->{dir}, 'rush');

    $_->wait_data(sub { 1 }) foreach @s;

    # the lower id is that of the longer transaction
    $dbh->begin_work();
    pay($no[0], $dbh);
    pay($no[1]);
    all_told('the shorter one', 2, 1, $s[1]);
    ok(!$s[0]->wait_data(sub { 1 }, 1.5 / $RushTest::SLOW),
       'the other waits');
    $dbh->commit();
    all_told('the longer one', 2, 1, $s[0]);

    # ids that nobody will ever see
    foreach (1 .. 100) {
        $dbh->begin_work();
        $dbh->do('UPDATE orders SET status = 4, version = version + 1, '
                 . 'actor_kind = 2 WHERE order_no = ?', undef, $no[0]);
        $dbh->rollback();
    }

    $t->do('UPDATE orders SET status = 3, version = version + 1, '
           . 'actor_kind = 2 WHERE order_no = ?', $no[1]);
    all_told('behind them', 3, 1, $s[1]);
    $_->close() foreach @s;
};


subtest 'a worker stood still' => sub {
    plan(skip_all => 'it is one of two') if $t->worker_count() != 2;

    my $user = user();
    my ($no, $other) = (bought($user), bought(user()));
    my @s = everywhere($no, $user);
    my ($stopped) = $t->workers();
    my $lost = counter('events_lost_total');

    kill STOP => $stopped;

    # more changes than the ring has places
    $t->do('INSERT INTO order_log (order_no, user_id, from_status, to_status, '
           . 'version, actor_kind, actor, reason, created_ms) SELECT ?, 1, 1, '
           . '1, 1000 + seq, 3, 0, ?, 1 FROM seq_1_to_9000', $other, '');
    pay($no);

    my @told = grep { $_->wait_data(sub { $_[0]{status} == 2 }, 0.3) } @s;
    ok($t->wait_for(sub {
        push @told, grep { !$_->{told}
            && $_->wait_data(sub { $_[0]{status} == 2 }, 0) } @s;
        return @told > 0;
    }, 6, 'the other worker'), 'the other worker tells its own');
    cmp_ok(scalar @told, '<', scalar @s, 'the stopped one does not');

    # the other one may have some thousand rows to go
    sleep 2;
    kill CONT => $stopped;

    my %told = map { $_ => 1 } @told;
    all_told('going on', 2, 3, grep { !$told{$_} } @s);
    ok($t->wait_for(sub { counter('events_lost_total') > $lost }, 3,
                    'the count'), 'it has read all states again');
    $_->close() foreach @s;
};


subtest 'killed between telling and knowing that it told' => sub {
    plan(skip_all => 'it is one of two') if $t->worker_count() != 2;

    my $user = user();
    my $no = bought($user);
    my @s = everywhere($no, $user);
    my @old = $t->workers();

    # a new topic asks by itself; here it is the log that has to tell
    sleep 0.5;

    $t->allow(qr/worker process \d+ exited on signal/);
    $t->failpoint('W21', 'kill', 1);
    pay($no);

    my @told = grep { $_->wait_data(sub { $_[0]{status} == 2 }, 3) } @s;
    my @cut = grep { $_->{eof} } @s;

    cmp_ok($t->failpoint_hits('W21'), '>=', 1, 'somebody was killed');
    ok(@cut > 0 && @told > 0, @cut . ' were cut off, ' . @told . ' told');

    my %told = map { $_ => 1 } @told;
    is(scalar(grep { !$told{$_} && !$_->{eof} } @s), 0, 'nobody was missed');

    $t->wait_for(sub { my %now = map { $_ => 1 } $t->workers();
                       return keys %now == 2 && grep { !$now{$_} } @old }, 5,
                 'a new worker');
    $_->close() foreach @s;

    my $s = listen_to(of_order($no), user => $user);
    ok($s->wait_data(sub { $_[0]{status} == 2 }), 'told when it comes again');
    $t->do('UPDATE orders SET status = 3, version = version + 1, '
           . 'actor_kind = 2 WHERE order_no = ?', $no);
    all_told('the log goes on', 3, 1, $s);
    $s->close();
};


subtest 'another node' => sub {
    my $node = $t->node(extra_http => 'rush_events user=100;');
    my $user = user();
    my $no = bought($user);
    my @s = map { listen_to(of_order($no), user => $user, node => $_) }
        'nginx', $node;

    $_->wait_data(sub { 1 }) foreach @s;
    is($t->post("/api/v1/orders/$no/cancel", {}, user => $user)->{code}, 0,
       'cancelled at one of them');
    all_told('at both', 5, 1, @s);
    ok($_->ended() && $_->whole(), 'and closed') foreach @s;
    $t->stop($node);
};


$t->finish();
done_testing();
