package Overload;

# Copyright (C) Rush
#
# What happens above capacity.  Three loads on one worker, each with what must
# hold:
#
#   ten times   Redis is kept busy by another client, so that it grants some
#               thousand a second, a tenth of what the worker can refuse.  Then
#               ten times as many buyers come for 30 s, at even times whether
#               answered or not, and after them half of what it can again
#   stall       Redis stands still for 2 s of every 10; most buyers come for a
#               sale that is sold out
#   storm       2,000 clients that send a byte now and then, and 10,000 that
#               do nothing, beside the buyers
#
# The worker has a core of its own, so it does not compete with the load
# generator; Redis does, but it sleeps most of the time.
#
# run($load, $cpu_pinning, $quick) returns the section for bench/results.md
# and whether all held.

use warnings;
use strict;

use JSON::PP;
use POSIX ();
use Redis;
use RushTest;
use Time::HiRes qw(sleep time);

my $root = $RushTest::ROOT;
my $users = 60_000_000;
my $BUSY = 0.08;                    # s, a command of the other client
my ($load, $pin, $scale, @rows, $failed);


sub run {
    my ($tool, $cpus, $quick) = @_;

    ($load, $pin, $scale, @rows, $failed) = ($tool, $cpus, $quick ? 0.3 : 1);

    my $t = environment();

    ten_times($t);
    stall($t);
    undef $t;

    $t = environment();
    storm($t);
    undef $t;

    return (section(), !$failed);
}


sub environment {
    my $t = RushTest->new(
        redis => { appendfsync => 'everysec',
                   extra => "enable-debug-command local\n" },
        nginx => {
            workers => 1, level => 'warn', connections => 16384,
            extra_main => 'worker_rlimit_nofile 20000;',
            # as in conf/nginx.conf
            extra_http => 'request_pool_size 8k; client_header_timeout 5s; '
                . 'client_body_timeout 5s; reset_timedout_connection on;',
            limits => { global => 'off',
                        api => 'rate=1000000r/s burst=1000000',
                        buy => 'rate=1000000r/s burst=1000000',
                        login => 'rate=10r/s burst=20' },
        });

    $pin->(0, $t->workers('nginx'));
    $pin->(1, $t->pid('redis'), $t->pid('mysql'), $t->pid('consumer'));

    return $t;
}


# --- one load ---

sub start {
    my ($t, $path, @args) = @_;

    my $mark = "$t->{dir}/mark";
    my @cmd = ('taskset', '-c', 1, $load, '-m', 'POST',
        '-b', '{"quantity":1}', '-k', "$t->{dir}/jwt.key", '-u', $users,
        '-U', 400_000, '-s', $mark, '-l', "$t->{dir}/timeline",
        # a connection that never sent a request is closed after 5 s
        '-w', 8192, '-d', 2000, '-n', 100_000_000, @args,
        'http://127.0.0.1:' . $t->port('nginx') . $path);

    unlink $mark;

    my $pid = open my $out, '-|', @cmd or die "load: $!\n";

    sleep 0.005 until -e $mark || !kill 0, $pid;

    return $out;
}


sub result {
    my ($t, $out) = @_;

    my $text = do { local $/; <$out> };

    close $out or die "load failed\n";

    my $r = decode_json($text);

    $r->{timeline} = [map { decode_json($_) }
        split /\n/, RushTest::slurp("$t->{dir}/timeline")];

    return $r;
}


sub load_run {
    my ($t, $path, @args) = @_;
    return result($t, start($t, $path, @args));
}


sub buy_path { return "/api/v1/seckill/activities/$_[0]/buy" }

sub ms { return sprintf '%.1f ms', $_[0] / 1000 }

sub median { my @s = sort { $a <=> $b } @_; return $s[@s / 2] // 0 }


# a sale nobody exhausts, whose buyers may come again

sub big {
    my ($t) = @_;
    return $t->activity(stock => 50_000_000, limit => 1_000_000);
}


sub held {
    my ($name, $figure, $must, $ok) = @_;

    push @rows, [$name, $figure, $must, $ok ? 'yes' : 'NO'];
    $failed = 1 if !$ok;
    printf "   %-46s %-26s %-26s %s\n", @{$rows[-1]};
}


sub told {
    my ($name, $figure) = @_;

    push @rows, [$name, $figure, '', ''];
    printf "   %-46s %s\n", $name, $figure;
}


# --- ten times ---

# a client that keeps Redis busy

sub busy_redis {
    my ($t) = @_;

    my $pid = fork() // die "fork: $!";

    return $pid if $pid;

    eval {
        my $redis = Redis->new(sock => "$t->{dir}/redis.sock");
        $redis->debug('sleep', $BUSY) while 1;
    };

    POSIX::_exit(0);
}


# of the seconds of a load

sub granted {
    my ($t, $path, @args) = @_;

    my $r = load_run($t, $path, @args);
    my @seconds = map { $_->{granted} } @{$r->{timeline}};

    return median(@seconds[1 .. $#seconds]);
}


sub ten_times {
    my ($t) = @_;

    my $id = big($t);
    my $path = buy_path($id);
    my $busy = busy_redis($t);

    sleep 1;

    # as fast as they are answered, then a bit more than that
    my $peak = granted($t, $path, '-c', 512, '-t', 10 * $scale);
    my $more = granted($t, $path, '-c', 4096, '-r',
                       int(1.5 * $peak) . ':' . 10 * $scale);

    $peak = $more if $more > $peak;
    my $half = int $peak / 2;

    sleep 2;

    my $r = load_run($t, $path, '-c', 4096, '-r',
        join ',', "$half:" . 10 * $scale, 10 * $peak . ':' . 30 * $scale,
        "$half:10");

    kill KILL => $busy;
    waitpid $busy, 0;

    my ($normal, $over, $after) = @{$r->{phases}};
    my $good = $over->{granted} / (30 * $scale);
    my @late = grep { $_->{at} > 40 * $scale + 5.5 && $_->{granted} }
        @{$r->{timeline}};
    my $back = median(map { $_->{granted_p99_us} } @late);

    told('capacity: most granted a second', $peak);
    told('offered', sprintf '%.0f a second', ($over->{sent}
         + $over->{dropped}) / (30 * $scale));
    told('half of capacity, p99 of granted', ms($normal->{granted_p99_us}));
    held('ten times: granted a second',
         sprintf('%.0f, %.0f %%', $good, 100 * $good / $peak), '90 %',
         $good >= 0.9 * $peak);
    held('ten times: p99 of granted', ms($over->{granted_p99_us}),
         '3 x ' . ms($normal->{granted_p99_us}),
         $over->{granted_p99_us} < 3 * $normal->{granted_p99_us});
    held('ten times: p99 of refused', ms($over->{refused_p99_us}), '50 ms',
         $over->{refused_p99_us} < 50_000);
    held('ten times: lost, unknown or without an answer',
         $over->{failed} + $over->{dropped} + $over->{unable}, '0',
         !$over->{failed} && !$over->{dropped} && !$over->{unable});
    held('5 s after it: p99 of granted', ms($back),
         '1.5 x ' . ms($normal->{granted_p99_us}),
         $back > 0 && $back < 1.5 * $normal->{granted_p99_us});
}


# --- stall ---

sub stall {
    my ($t) = @_;

    my $sold = $t->activity(stock => 1);
    my $id = big($t);
    my $times = $scale < 1 ? 1 : 3;

    $t->buy($sold, 1);

    # one in ten wants to buy what can be had
    my $out = start($t, buy_path($sold), '-c', 4096, '-r',
        '10000:' . 10 * $times, '-x', buy_path($id), '-p', 10);
    my $start = time();

    foreach my $n (0 .. $times - 1) {
        sleep $start + 10 * $n + 6 - time();
        $t->pause('redis');
        sleep 2;
        $t->resume('redis');
    }

    my $r = result($t, $out);
    my $all = $r->{phases}[0];

    # a line tells of the second that ends with it
    my (@usual, @stalled);

    foreach my $line (@{$r->{timeline}}) {
        my $at = ($line->{at} - 0.5) - 10 * int(($line->{at} - 0.5) / 10);
        push @{$at > 6 && $at < 8 ? \@stalled : \@usual},
            $line->{refused_p99_us};
    }

    my ($worst) = sort { $b <=> $a } @stalled;

    told('stall: buyers', sprintf '%d: %d granted, %d refused, %d told to '
         . 'ask later', @$all{qw(sent granted refused unable)});
    told('stall: p99 of refused, other seconds', ms(median(@usual)));
    held('stall: p99 of refused, worst second of a stall', ms($worst),
         '50 ms', @stalled == 2 * $times && $worst < 50_000);
    held('stall: without an answer', $all->{failed} + $all->{dropped}, '0',
         !$all->{failed} && !$all->{dropped});
}


# --- storm ---

sub storm_tool {
    my $bin = "$RushTest::BUILD/storm";

    system(($ENV{CC} || 'cc') . " -O2 -o $bin $root/bench/storm.c") == 0
        or die "storm does not build\n";

    return $bin;
}


sub storm {
    my ($t) = @_;

    my $path = buy_path(big($t));
    my ($slow, $idle) = map { int $_ * $scale } 2000, 10000;
    my @args = ('-c', 512, '-r', '4000:' . 15 * $scale);
    my $mark = "$t->{dir}/storm";

    load_run($t, $path, @args);

    my $normal = load_run($t, $path, @args)->{phases}[0];
    my @cmd = ('taskset', '-c', 1, storm_tool(), $slow, $idle,
        $t->port('nginx'), $mark);
    my $pid = open my $out, '-|', @cmd or die "storm: $!\n";

    sleep 0.01 until -e $mark || !kill 0, $pid;
    sleep 1;

    my $r = load_run($t, $path, @args)->{phases}[0];

    kill TERM => $pid;
    my $s = decode_json(do { local $/; <$out> });
    close $out;

    told("storm: $slow slow, $idle idle clients",
         "$s->{opened} connections opened, $s->{closed} closed by the server");
    held('storm: connections refused', $s->{refused}, '0', !$s->{refused});
    held('storm: granted of ' . $r->{sent}, $r->{granted}, '90 %',
         $r->{granted} >= 0.9 * $r->{sent});
    held('storm: p99 of granted', ms($r->{granted_p99_us}),
         '3 x ' . ms($normal->{granted_p99_us}),
         $r->{granted_p99_us} < 3 * $normal->{granted_p99_us});
    held('storm: without an answer', $r->{failed} + $r->{dropped}, '0',
         !$r->{failed} && !$r->{dropped});
}


sub section {
    return "## Overload\n\n"
        . "One worker.  Capacity is what Redis grants while another client "
        . "keeps it busy, " . 1000 * $BUSY . " ms at a time, so that the "
        . "worker can refuse ten times as many.  Buyers come at even times, "
        . "answered or not; times count from when a request was due.  The "
        . "worker has one core; the load generator, which measured the "
        . "capacity too, Redis, MariaDB and the consumer share the other.  "
        . "Made by `bench/run --overload`.\n\n"
        . join('', map { '| ' . join(' | ', @$_) . " |\n" }
               ['load', 'measured', 'must', 'held'], [('---') x 4], @rows);
}


1;
