package Listeners;

# Copyright (C) Rush
#
# Event streams in the bench: many listeners of one activity on one worker,
# then as many of an order each.  Memory is the difference of the worker's
# RSS, CPU its user and system time.
#
#   my $section = Listeners::run(\&pin, \&cpu, \&rss, $quick);    of results.md

use warnings;
use strict;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib abs_path(dirname(__FILE__)) . '/../t/lib';

use IPC::Open2;
use RushTest;
use RushTest::Sale;
use Time::HiRes qw(sleep time);

my $root = $RushTest::ROOT;
my (@rows, $pin, $cpu, $rss);


sub run {
    ($pin, $cpu, $rss, my $quick) = @_;

    # descriptors of a process, but for those that a worker has anyway
    my $n = $quick ? 2000 : 20_000;
    my $most = `sh -c 'ulimit -n'` - 100;
    $n = $most if $n > $most;

    @rows = ();

    my $t = environment($n);
    activity($t, $n, $quick);
    $t->reload('nginx');
    sleep 1;
    $pin->(0, $t->workers('nginx'));
    orders($t, $n, $quick);
    undef $t;

    return "## Listeners\n\nEvent streams on one worker, which has one core; "
        . "the clients, Redis and MariaDB share the other.  This machine "
        . "lets a process have " . ($most + 100) . " descriptors, hence "
        . "$n listeners.  Memory is the difference of the worker's RSS to "
        . "that with 100 listeners; nginx itself has 424 bytes for each "
        . "of `worker_connections`, used or not, and the kernel its sockets. "
        . " Heartbeats come every 15 s.  Made by `bench/run --listeners`.\n\n"
        . join '', map { "| $_->[0] | $_->[1] |\n" }
            ['what', 'result'], ['---', '---'], @rows;
}


sub told {
    push @rows, [@_];
    printf "   %s: %s\n", @_;
}


sub environment {
    my ($n) = @_;

    my $bin = "$RushTest::BUILD/listen";

    system(($ENV{CC} || 'cc') . " -O2 -o $bin $root/bench/listen.c") == 0
        or die "listen does not build\n";

    # with less than a sixteenth of them left nginx closes new ones
    my $t = RushTest->new(nginx => {
        workers => 1, level => 'warn', connections => int($n * 1.1) + 200,
        extra_main => 'worker_rlimit_nofile ' . ($n + 90) . ';',
        extra_http => "request_pool_size 8k; rush_events max=$n user=100 "
            . "address=100000;" });

    $pin->(0, $t->workers('nginx'));
    $pin->(1, $t->pid('redis'), $t->pid('mysql'), $t->pid('consumer'));

    return $t;
}


# lines of requests: a tool that has all their first events

sub start {
    my ($t, @lines) = @_;

    my $file = "$t->{dir}/listen";
    RushTest::spew($file, join '', map { "$_\n" } @lines);

    my $tool = {};
    $tool->{pid} = open2($tool->{out}, $tool->{in}, 'taskset', '-c', 1,
                         "$RushTest::BUILD/listen", $t->port('nginx'), $file);
    ($tool->{ready}) = answer($tool, 'ready');

    return $tool;
}


sub answer {
    my ($tool, $what) = @_;
    my $line = readline $tool->{out};
    die "listen: $line\n" if ($line // '') !~ /^$what ?([\d. ]*)$/;
    return split ' ', $1;
}


sub stop {
    my ($t, $tool) = @_;

    close $tool->{in};
    waitpid $tool->{pid}, 0;
    $t->wait_for(sub { RushTest::Sale::counter($t, 'events_listeners') == 0 },
                 30, 'nobody listens') or die "listeners are left\n";
}


sub cpu_of {
    my ($t, $seconds) = @_;

    my $before = $cpu->($t->workers('nginx'));
    my $start = time();
    sleep $seconds;

    return ($cpu->($t->workers('nginx')) - $before)
        / (time() - $start) / 1e6;
}


# turns of the loop late by over 20 ms

sub late {
    my ($t) = @_;

    my $body = $t->get('/metrics', record => 0)->{body};
    my ($all) = $body =~ /^rush_loop_lag_seconds_count (\d+)/m;
    my ($good) = $body =~ /^rush_loop_lag_seconds_bucket\{le="0.02"\} (\d+)/m;

    return $all - $good;
}


# memory and CPU of listeners with these requests

sub idle {
    my ($t, $name, $quick, @lines) = @_;

    my $n = @lines;
    my ($worker) = $t->workers('nginx');

    my $few = start($t, @lines[0 .. 99]);
    stop($t, $few);
    $few = start($t, @lines[0 .. 99]);

    my $base = $rss->($worker);
    my $calm = cpu_of($t, $quick ? 5 : 20);
    stop($t, $few);

    my $many = start($t, @lines);
    my $more = $rss->($worker) - $base;

    told("$name: listeners", $n);
    told("$name: all of them came in", sprintf('%.1f s', $many->{ready}
                                               / 1000));
    told("$name: memory of one", sprintf('%.0f bytes', $more * 1024
                                         / ($n - 100)));

    my $busy = cpu_of($t, $quick ? 16 : 45);
    told("$name: CPU, nothing happens", sprintf('%.2f ms a second (%.2f with '
         . '100 listeners)', $busy, $calm));

    return $many;
}


sub activity {
    my ($t, $n, $quick) = @_;

    my $id = $t->activity(stock => 10_000_000, limit => 100);
    my $tool = idle($t, 'an activity', $quick,
                    ("/api/v1/seckill/activities/$id/events -") x $n);
    my (@took, @used);
    my $late = late($t);

    foreach my $i (1 .. 7) {
        my $before = $cpu->($t->workers('nginx'));

        print { $tool->{in} } "round\n";
        $tool->{in}->flush();
        answer($tool, 'round');
        $t->post("/api/v1/admin/seckill/activities/$id/"
                 . ($i % 2 ? 'pause' : 'resume'), {}, admin => 1);

        my ($first, $last) = answer($tool, 'fed');

        push @took, $last - $first;
        push @used, ($cpu->($t->workers('nginx')) - $before) / 1e6;
        sleep 0.5;
    }

    my ($took, $used) = map { (sort { $a <=> $b } @$_)[3] } \@took, \@used;

    told('an activity: one change to all of them, first to last, of 7',
         sprintf '%.0f ms', $took);
    told('an activity: CPU of that', sprintf '%.0f ms, %.1f us each', $used,
         $used * 1000 / $n);
    told('an activity: turns of the loop late by over 20 ms meanwhile',
         late($t) - $late);
    stop($t, $tool);
}


sub orders {
    my ($t, $n, $quick) = @_;

    my $ms = int(time() * 1000);
    my $id = ($ms - 1704067200000) << 22;
    my @no = map { $id + $_ . '-7' } 1 .. $n;

    foreach my $at (map { $_ * 1000 } 0 .. ($n - 1) / 1000) {
        my $to = $at + 999 > $n - 1 ? $n - 1 : $at + 999;
        $t->do('INSERT INTO orders (order_no, user_id, activity_id, '
            . 'product_id, req_id, qty, price, amount, title, status, '
            . 'stock_state, slot, granted_ms, pay_deadline_ms, created_ms) '
            . 'VALUES ' . join ', ', map {
                "('$no[$_]', " . (7_000_000 + $_) . ", 7, 1, '$no[$_]', 1, 3, "
                . "3, 'Cup', 1, 4, 0, $ms, " . ($ms + 10 ** 9) . ", $ms)"
            } $at .. $to);
    }

    my $tool = idle($t, 'an order each', $quick, map {
        "/api/v1/orders/$no[$_]/events " . $t->token(7_000_000 + $_)
    } 0 .. $n - 1);
    my $late = late($t);

    print { $tool->{in} } "round\n";
    $tool->{in}->flush();
    answer($tool, 'round');

    my $start = time();
    $t->do('UPDATE orders SET status = 2, version = version + 1, '
           . 'actor_kind = 4 WHERE activity_id = 7');
    my $took = (time() - $start) * 1000;
    my ($first, $last) = answer($tool, 'fed');

    told('an order each: all change in one statement, told after its COMMIT',
         sprintf '%.0f ms', $last - $took);
    told('an order each: turns of the loop late by over 20 ms meanwhile',
         late($t) - $late);
    stop($t, $tool);
}


1;
