#!/usr/bin/perl

# Copyright (C) Rush
#
# 300 reloads while buyers come (RUSH_RELOADS; 50 under a sanitizer and in a
# mode): no request fails, old workers leave, descriptors and mappings come
# back to where they were, the master does not grow, shared memory stays the
# same.  Each buyer has a connection of his own: an old worker closes one that
# is kept open between two requests, and no client can know that in time.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $RELOADS = $ENV{RUSH_RELOADS}
    // ($RushTest::SANITIZE || $RushTest::Mode::MODE ne '' ? 50 : 300);
my $WARM = int $RELOADS / 5;        # the master's heap finds its size
my $GROWTH = 4;                     # kB a reload, of the master
my $BURST = 2;
my $POOL = 4;                       # connections to MySQL, of a worker

my $t = RushTest->new(nginx => {
    workers => 2, level => 'notice',
    limits => { global => 'off', api => 'off', login => 'off',
                buy => "rate=1r/m burst=$BURST" },
});
my $master = $t->pid('nginx');


# what a process has open: heap and anonymous memory may be one mapping or
# several, so only named ones are counted

sub holdings {
    my ($pid) = @_;

    my @maps = RushTest::slurp("/proc/$pid/maps") =~ m!\s(/.*)$!mg;
    my (%fds, $fds);

    $fds{$_}++ foreach map { readlink $_ // () } glob "/proc/$pid/fd/*";

    # a connection to MySQL is open twice, once for nginx's events; there are
    # as many as were of use
    my @mysql = grep { m!^socket:! && $fds{$_} == 2 } keys %fds;
    delete @fds{@mysql};
    $fds += $_ foreach values %fds;

    return { maps => scalar @maps, fds => $fds, mysql => scalar @mysql,
             zones => scalar grep({ m!^/dev/zero! } @maps) };
}


# the master and the fullest of the workers, when no client is there

sub all_holdings {
    my $m = holdings($master);
    my %all = map { ("master $_" => $m->{$_}) } keys %$m;

    foreach my $pid ($t->workers()) {
        my $w = holdings($pid);
        $all{"worker $_"} = $w->{$_} > ($all{"worker $_"} // 0)
            ? $w->{$_} : $all{"worker $_"} foreach keys %$w;
    }

    return \%all;
}


# workers that have all of their connections, and no client's, are alike

sub alike {
    my %fds = map { holdings($_)->{fds} => 1 } $t->workers();
    return keys %fds == 1;
}


# HUP until the old ones are gone, not only out of service

sub reload {
    my %old = map { $_ => 1 } $t->workers();

    kill HUP => $master;

    return $t->wait_for(sub {
        my @now = $t->workers();
        return @now == $t->worker_count() && !grep({ $old{$_} } @now)
            && !grep { RushTest::Daemon::stat_of($_) } keys %old;
    }, 20, 'other workers');
}


# a client of its own for each question: the limit asks for the user only

sub asks {
    my ($s, $user) = @_;
    return $s->buy($user, fresh => 1, record => 0);
}


my $id = $t->activity(stock => 1_000_000);
my $sold = $t->activity(stock => 1);
my $sale = RushTest::Sale->new($t, $id);
my $gone = RushTest::Sale->new($t, $sold);
my $user = RushTest::Sale::user();

$gone->buy(RushTest::Sale::user());

# once, and they have had their connections to Redis and MySQL
reload();
$t->wait_ready();
sleep 0.2;
$t->wait_for(\&alike, 10, 'workers that are alike');

my $base = all_holdings();

note(join ', ', map { "$_: $base->{$_}" } sort keys %$base);

my $first = 5_000_000;
my $load = RushTest::Sale::load_start($t,
    path => "/api/v1/seckill/activities/$id/buy", conns => 16, rate => 300,
    requests => 10_000_000, users => 500_000, first => $first, close => 1,
    seconds => 500);

ok($t->wait_for(sub { $t->meta($id)->{remain} < 1_000_000 - 100 }, 20,
                'buyers'), 'buyers are there');

my $started = time();
my ($late, $through, $let_in, @rss) = (0, 0, 0);

foreach (1 .. $RELOADS) {
    reload() or $late++;
    push @rss, RushTest::Mode::rss($master);

    # the filter's mark and the buckets live in zones
    my $r = asks($gone, RushTest::Sale::user());
    $through++ if $r->{code} != 60002 || $r->{json}{data}{final};
    $let_in++ if asks($sale, $user)->{code} != 10;
}

my $seconds = time() - $started;
my $r = RushTest::Sale::load_end($load, 1);

note(sprintf '%d reloads in %.0f s, %d requests', $RELOADS, $seconds,
     $r->{requests});

is($late, 0, "after each of $RELOADS reloads the old workers left");
is($r->{failed}, 0, 'no connection failed');
is(join(' ', map { "$_: $r->{code}{$_}" } sort keys %{$r->{code}}),
   "0: $r->{requests}", "all of $r->{requests} buyers were served");

# one probe a second may pass the mark and hear it from Redis
cmp_ok($through, '<=', 1 + $seconds, 'sold out was not forgotten');
cmp_ok($let_in, '<=', 1 + $BURST + $seconds / 60,
       'nor how often a user may ask');
cmp_ok($let_in, '>=', 1, 'who was let in at first');

my $granted = RushTest::Sale::counter($t, 'buy_granted_total');
cmp_ok($granted, '>=', $r->{requests}, 'counters go on');

$t->wait_ready();

# what the questions above went over is idle, but open
delete $t->{http};

my $now;
my @same = grep { $_ ne 'worker mysql' } sort keys %$base;

$t->wait_for(sub {
    $now = all_holdings();
    return alike() && !grep { $now->{$_} != $base->{$_} } @same;
}, 10, 'what was opened to be closed');

is($now->{$_}, $base->{$_}, "$_ as before") foreach @same;
cmp_ok($now->{'worker mysql'}, '<=', $POOL, 'the pool is not exceeded');

SKIP: {
    skip 'a sanitizer keeps what was freed', 1 if $RushTest::SANITIZE;

    my $slope = RushTest::Mode::slope(@rss[$WARM .. $#rss]);
    cmp_ok($slope, '<', $GROWTH,
           sprintf 'the master grows by %.2f kB a reload', $slope)
        or diag(join ' ', @rss);
    note(sprintf 'master: %d kB, then %d kB', $rss[$WARM], $rss[-1]);
}

$sale->forget();
$sale->check('books', rows => $granted - 1, within => 30);

$t->finish();
done_testing();
