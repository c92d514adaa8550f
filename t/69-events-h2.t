#!/usr/bin/perl

# Copyright (C) Rush
#
# Event streams over HTTP/2, with a client that is made of frames: several
# streams in one connection, one that is reset, windows that are shut; and over
# TLS.  There a listener keeps its request.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(WNOHANG);
use RushTest;
use RushTest::Backend;
use RushTest::Events;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my ($h2, $tls) = map { RushTest::Backend::free_port() } 1, 2;
my $t = RushTest->new(start => 0, nginx => { workers => 1,
    extra_http => 'rush_events heartbeat=300ms stall=3s lifetime=20s;',
    extra_server => "listen 127.0.0.1:$h2 http2; listen 127.0.0.1:$tls ssl;"
        . 'ssl_certificate ../tls.pem; ssl_certificate_key ../tls.key;' });
my $dir = $t->{dir};

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=rush '
       . "-keyout $dir/tls.key -out $dir/tls.pem 2> $dir/openssl.log") == 0
    or die "openssl\n";
$t->start();
$t->wait_ready();

my $sale = $t->activity(stock => 100_000, limit => 100);
my $path = "/api/v1/seckill/activities/$sale/events";
my $serial = 693_000;

sub user { return ++$serial }

sub counter { return RushTest::Sale::counter($t, @_) }

# units left, as this node knows

sub left {
    return $t->get("/api/v1/seckill/activities/$sale/stock")
        ->{json}{data}{left};
}


sub alone {
    ok($t->wait_for(sub { counter('events_listeners') == 0 }, 10, 'nobody'),
       'nobody is left');
}


# --- frames: RFC 9113; fields as literals without names of a table ---

sub frame {
    my ($type, $flags, $stream, $text) = @_;
    return substr(pack('N', length $text), 1) . pack('CCN', $type, $flags,
                                                     $stream) . $text;
}


sub field { return "\0" . join '', map { text($_) } @_ }


# its length with a prefix of 7 bits, RFC 7541 5.1

sub text {
    my ($s) = @_;

    my $n = length $s;
    return chr($n) . $s if $n < 127;

    my $out = "\x7f";
    for ($n -= 127; $n > 127; $n >>= 7) {
        $out .= chr($n & 127 | 128);
    }

    return $out . chr($n) . $s;
}


# window: of each stream, bytes

sub h2_connect {
    my (%o) = @_;

    my $c = { s => RushTest::Events::dial($h2, undef, undef), in => '',
              next => 1, data => {}, status => {}, ended => {} };

    syswrite $c->{s}, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . frame(4, 0, 0, defined $o{window} ? pack('nN', 4, $o{window}) : '');

    return $c;
}


sub h2_get {
    my ($c, $path, %o) = @_;

    my $id = $c->{next};
    $c->{next} += 2;
    $c->{data}{$id} = '';

    syswrite $c->{s}, frame(1, 5, $id, join '', map { field(@$_) }
        [':method', 'GET'], [':scheme', 'http'], [':path', $path],
        [':authority', 'rush'],
        defined $o{user} ? ['authorization', 'Bearer '
                            . $t->token($o{user})] : ());

    return $id;
}


# what is there, as long as nothing is new for $idle seconds

sub h2_read {
    my ($c, $idle) = @_;

    while (IO::Select->new($c->{s})->can_read($idle // 0.05)) {
        my $n = sysread $c->{s}, $c->{in}, 65536, length $c->{in};
        $c->{eof} = 1, last if !$n;

        while (length $c->{in} >= 9) {
            my $len = unpack 'N', "\0" . substr $c->{in}, 0, 3;
            last if length $c->{in} < 9 + $len;
            my ($type, $flags, $id) = unpack 'x3CCN', $c->{in};
            my $text = substr $c->{in}, 9, $len;
            substr $c->{in}, 0, 9 + $len, '';

            $c->{data}{$id} .= $text if $type == 0;
            $c->{open}{$id} = 1 if $type == 1;
            $c->{ended}{$id} = 'whole' if $type < 2 && $flags & 1;
            $c->{ended}{$id} //= 'reset' if $type == 3;
            $c->{goaway} = 1 if $type == 7;
            syswrite $c->{s}, frame(4, 1, 0, '') if $type == 4 && !$flags;
        }
    }
}


sub lefts {
    my ($c, $id) = @_;
    return map { $_->{data} && $_->{event} eq 'activity' ? $_->{data}{left}
        : () } RushTest::Events::parse($c->{data}{$id} =~ s/[^\n]*\z//r);
}


sub h2_wait {
    my ($c, $sub, $seconds, $what) = @_;
    return $t->wait_for(sub { h2_read($c); $sub->() }, $seconds, $what);
}


subtest 'streams of one connection' => sub {
    my $user = user();
    my $no = $t->buy($sale, $user)->{json}{data}{order_no};
    my $c = h2_connect();
    my @id = (map({ h2_get($c, $path) } 1 .. 5),
              h2_get($c, "/api/v1/orders/$no/events", user => $user));

    ok(h2_wait($c, sub { !grep { $c->{data}{$_} !~ /^event/ } @id }, 5,
               'events'), 'six streams');
    is(counter('events_listeners'), 6, 'six listeners');
    ok(h2_wait($c, sub { $c->{data}{$id[5]} =~ /"to_pay"/ }, 3, 'the row'),
       'an order');
    ok(h2_wait($c, sub { !grep { $c->{data}{$_} !~ /^:$/m } @id }, 3,
               'heartbeats'), 'heartbeats');

    # one leaves, the others stay
    syswrite $c->{s}, frame(3, 0, $id[2], pack 'N', 8);
    ok(h2_wait($c, sub { counter('events_listeners') == 5 }, 3, 'five'),
       'one is reset');

    my $n = lefts($c, $id[2]);
    $t->buy($sale, user());
    ok(h2_wait($c, sub { my $left = left();
                         !grep { (lefts($c, $_))[-1] != $left }
                         @id[0, 1, 3, 4] }, 3, 'news'), 'the others are told');
    cmp_ok(scalar(lefts($c, $id[0])), '>', $n, 'something new');
    is(scalar(lefts($c, $id[2])), $n, 'the one is not');

    # a usual request in between
    my $other = h2_get($c, '/health');
    ok(h2_wait($c, sub { $c->{ended}{$other} }, 3, 'an answer'), 'answered');

    $t->post("/api/v1/orders/$no/cancel", {}, user => $user);
    ok(h2_wait($c, sub { $c->{ended}{$id[5]} }, 3, 'the end'), 'a last event');
    is($c->{ended}{$id[5]}, 'whole', 'ends the stream');
    like($c->{data}{$id[5]}, qr/"cancelled".*\n\nevent: end\n.*\n\n\z/s,
         'as it should be');

    close $c->{s};
    alone();
};


subtest 'a window that is shut' => sub {
    # room for the first event, not for two
    my $c = h2_connect(window => 250);
    my $id = h2_get($c, $path);
    my %was = map { $_ => counter("events_$_") } qw(dropped_total slow_total);

    ok(h2_wait($c, sub { lefts($c, $id) }, 3, 'an event'), 'the first event');

    foreach (1 .. 5) {
        $t->buy($sale, user());
        h2_read($c, 0.26);
    }

    is(scalar(lefts($c, $id)), 1, 'no room for another');
    is(counter('events_slow_total'), $was{slow_total}, 'patience');

    syswrite $c->{s}, frame(8, 0, $id, pack 'N', 4000);
    ok(h2_wait($c, sub { my @l = lefts($c, $id); @l > 1 && $l[-1] == left() },
               3, 'the newest'), 'there is room: the newest state');
    cmp_ok(scalar(lefts($c, $id)), '<', 5, 'not all of them');
    cmp_ok(counter('events_dropped_total'), '>', $was{dropped_total},
           'some were replaced');

    # and for one who does nothing
    my $shut = h2_connect(window => 250);
    $id = h2_get($shut, $path);
    ok(h2_wait($shut, sub { lefts($shut, $id) }, 3, 'an event'), 'another');
    ok($t->wait_for(sub {
        $t->buy($sale, user());
        h2_read($_, 0.01) foreach $shut, $c;
        return counter('events_slow_total') > $was{slow_total};
    }, 8, 'the end of patience'), 'is closed');
    ok(h2_wait($shut, sub { $shut->{ended}{$id} || $shut->{eof} }, 3,
               'a reset'), 'told so');
    is($shut->{ended}{$id} // 'closed', 'reset', 'not as if it were whole');

    close $_->{s} foreach $c, $shut;
    alone();
};


subtest 'reload' => sub {
    RushTest::Mode::needs_master();
    my @old = $t->workers();
    my $c = h2_connect();
    my @id = map { h2_get($c, $path) } 1 .. 4;

    ok(h2_wait($c, sub { !grep { !lefts($c, $_) } @id }, 3, 'events'),
       'four listen');
    ok($t->reload('nginx'), 'reload');
    ok(h2_wait($c, sub { !grep { !$c->{ended}{$_} } @id }, 5, 'the end'),
       'all end');
    is(join(' ', map { $c->{ended}{$_} } @id), 'whole whole whole whole',
       'as they should');
    is(scalar(grep { $c->{data}{$_} =~ /^retry: [123]\d{3}\n\n\z/m } @id), 4,
       'with a hint');
    ok($t->wait_for(sub { !grep { RushTest::Daemon::stat_of($_) } @old }, 6,
                    'the old worker'), 'the old worker has left');
    close $c->{s};
    alone();
};


subtest 'many come and go' => sub {
    my ($worker) = $t->workers();
    my $rss = sub { RushTest::slurp("/proc/$worker/status")
                    =~ /^VmRSS:\s+(\d+)/m; return $1 };
    my $round = sub {
        foreach (1 .. $_[0]) {
            my $c = h2_connect();
            my @id = map { h2_get($c, $path) } 1 .. 20;
            h2_wait($c, sub { !grep { !lefts($c, $_) } @id }, 5, 'events')
                or return;
            syswrite $c->{s}, join '', map { frame(3, 0, $_, pack 'N', 8) }
                @id[0 .. 9] if $_ % 2;
            close $c->{s};
        }
        return 1;
    };

    ok($round->(20), '400 streams');
    my $before = $rss->();
    ok($round->(50), '1000 more');
    alone();
    cmp_ok($rss->(), '<', $before + 800 * $RushTest::SLOW ** 4,
           "memory: $before kB, then " . $rss->());
};


subtest 'TLS' => sub {
    RushTest::Mode::needs_master();
    my $out = "$dir/tls.out";
    my $pid = fork() // die;

    exec 'curl', '-skN', '--http1.1', '--max-time', 60, '-o', $out,
        "https://127.0.0.1:$tls$path" or die if $pid == 0;

    my $has = sub { my $re = shift;
                    return $t->wait_for(sub { RushTest::slurp($out) =~ $re },
                                        5, $re) };

    ok($has->(qr/^event: activity/), 'an event');
    ok($has->(qr/^:$/m), 'a heartbeat');
    my $size = -s $out;
    $t->buy($sale, user());
    ok($t->wait_for(sub { substr(RushTest::slurp($out), $size) =~ /"left":/ },
                    3, 'news'), 'the next one');

    ok($t->reload('nginx'), 'reload');
    ok($t->wait_for(sub { waitpid($pid, WNOHANG) == $pid }, 8, 'curl'),
       'closed');
    is($?, 0, 'as it should be');
    like(RushTest::slurp($out), qr/^retry: [123]\d{3}\n\n\z/m, 'with a hint');
    alone();
};


$t->finish();
done_testing();
