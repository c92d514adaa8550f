#!/usr/bin/perl

# Copyright (C) Rush
#
# The proxy of the chaos harness: each rule does what it says, in front of a
# Redis, whose pipeline it must count, and of a server that takes turns.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/chaos/lib";
use RushTest;
use Test::More;

use Errno qw(ECONNREFUSED ECONNRESET);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

use Chaos::Proxy;

my $t = RushTest->new(nginx => 0, mysql => 0, consumer => 0);
my $dir = $t->{dir};
my $port = RushTest::Backend::free_port();

my $p = Chaos::Proxy->start(dir => $dir, name => 'redis', kind => 'redis',
                            listen => "$dir/p.sock",
                            to => "$dir/redis.sock");
my $turns = Chaos::Proxy->start(dir => $dir, name => 'turns', kind => 'http',
                                listen => "127.0.0.1:$port",
                                to => "$dir/redis.sock");

sub over_unix { return IO::Socket::UNIX->new(Peer => "$dir/p.sock") }
sub over_tcp  { return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") }


sub resp {
    my (@words) = @_;
    return join '', '*' . @words . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @words;
}


# what comes within so many s after the bytes, or until so much came; "." at
# the end is the end of the connection, "!" a reset

sub ask {
    my ($s, $bytes, $want, $limit) = @_;

    my $in = '';
    my $end = time() + ($limit // 5) * $RushTest::SLOW;

    syswrite $s, $bytes if length $bytes;

    while (length $in < ($want // 1e9)
           && IO::Select->new($s)->can_read($end - time()))
    {
        my $n = sysread $s, $in, 65536, length $in;
        return $in . ($! == ECONNRESET ? '!' : '?') if !defined $n;
        return "$in." if !$n;
    }

    return $in;
}


subtest 'passes' => sub {
    my $s = over_unix();
    my $text = 'x' x 100_000;

    is(ask($s, resp('set', 'a', $text) . resp('get', 'a') . resp('ping'),
           100_023), "+OK\r\n\$100000\r\n$text\r\n+PONG\r\n", 'a pipeline');
};


subtest 'cuts of a pipeline' => sub {
    my @cases = (
        # where, byte, what is seen of "ping, get, get, incr, ping" when the
        # second get is hit, whether the incr ran
        ['request', 5, '.', 0],
        ['before', 0, "+PONG\r\n\$-1\r\n.", 1],
        ['inside', 3, "+PONG\r\n\$-1\r\n\$-1.", 1],
        ['inside', 500, "+PONG\r\n\$-1\r\n\$-1\r.", 1],
        ['after', 0, "+PONG\r\n\$-1\r\n\$-1\r\n.", 1],
    );

    foreach (@cases) {
        my ($where, $byte, $seen, $ran) = @$_;
        my $s = over_unix();
        my $before = $t->redis()->get('n') // 0;

        $p->rule('cut', where => $where, byte => $byte, match => 'GET',
                 nth => 2);

        my $got = ask($s, join '', resp('ping'), resp('get', 'b'),
                      resp('get', 'b'), resp('incr', 'n'), resp('ping'));

        # replies before a request that is cut may be lost with it
        $got =~ s/^.*\././s if $where eq 'request';

        is($got, $seen, "$where, byte $byte");
        ok($t->wait_for(sub { ($t->redis()->get('n') // 0)
                              == $before + $ran }, 1), 'what ran');

        # once
        is(ask(over_unix(), resp('get', 'b') x 4, 20), "\$-1\r\n" x 4,
           'the next ones pass');
    }

    my $c = $p->counts();
    is("@$c{qw(cut_request cut_before cut_inside cut_after)}", '1 1 2 1',
       'counted');
};


subtest 'cuts of turns' => sub {
    my %seen = (request => '.', before => '.', inside => '+P.',
                after => "+PONG\r\n.");

    foreach my $where (sort keys %seen) {
        my $s = over_tcp();

        $turns->rule('cut', where => $where, byte => 2, nth => 2, rst => 0);
        is(ask($s, "PING\r\n", 7), "+PONG\r\n", 'the first passes');
        is(ask($s, "PING\r\n"), $seen{$where}, $where);
        is($turns->counts()->{"cut_$where"}, 1, 'counted');
    }

    my $s = over_tcp();

    $turns->rule('cut', where => 'before', rst => 1);
    is(ask($s, "PING\r\n"), '!', 'by a reset');
    $turns->heal();
};


subtest 'time' => sub {
    my $s = over_unix();
    my $start = time();

    $p->rule('delay', ms => 150, jitter => 20, dir => 'down');
    is(ask($s, resp('ping') x 2, 14), "+PONG\r\n" x 2, 'delayed');
    cmp_ok(time() - $start, '>=', 0.149, 'by that much');

    $p->rule('throttle', rate => 1000, dir => 'down');
    $start = time();
    is(length ask($s, resp('getrange', 'a', 0, 499), 508), 508, 'throttled');
    cmp_ok(time() - $start, '>=', 0.35, 'to that rate');

    $p->rule('bytewise');
    is(ask($s, resp('ping'), 7), "+PONG\r\n", 'byte by byte');
    $p->heal();
};


subtest 'nothing moves' => sub {
    my ($one, $two) = (over_unix(), over_unix());

    is(ask($_, resp('ping'), 7), "+PONG\r\n", 'open') foreach $one, $two;

    $p->rule('blackhole');
    is(ask($one, resp('ping'), 7, 0.1), '', 'held');
    is(ask(my $new = over_unix(), resp('ping'), 7, 0.1), '', 'a new one too');
    $p->heal();
    is(ask($_, '', 7), "+PONG\r\n", 'and comes late') foreach $one, $new;

    $p->rule('blackhole', dir => 'down', lose => 1);
    is(ask($one, resp('set', 'late', 1), 5, 0.1), '', 'replies only');
    is($t->redis()->get('late'), 1, 'the request arrived');
    $p->heal();
    like(ask($one, ''), qr/^[.!]$/, 'lost');
    is(ask($two, resp('ping'), 7), "+PONG\r\n", 'who said nothing goes on');
};


subtest 'no connection' => sub {
    my $s = over_unix();

    is(ask($s, resp('ping'), 7), "+PONG\r\n", 'open');
    $p->rule('refuse');
    is(ask($s, ''), '.', 'it ends');
    ok(!over_unix(), 'no other');
    is($! + 0, ECONNREFUSED, 'refused');
    $p->heal();
    is(ask(over_unix(), resp('ping'), 7), "+PONG\r\n", 'again');

    $s = over_tcp();
    is(ask($s, "PING\r\n", 7), "+PONG\r\n", 'open');
    $turns->rule('reset');
    is(ask($s, ''), '!', 'reset');
    is(ask(over_tcp(), ''), '!', 'and the next');
    $turns->heal();
};


ok(!eval { $p->rule('nothing'); 1 }, 'no such rule');
ok(!eval { $p->rule('delay', much => 1); 1 }, 'no such setting');

$_->stop() foreach $p, $turns;
ok(!-e "$dir/p.sock", 'gone');

$t->finish();
done_testing();
