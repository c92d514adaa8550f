#!/usr/bin/perl

# Copyright (C) Rush
#
# A worker dies, stands still or loses its connection between any two steps of
# a buy: W1 before the buyer is queued, W2 when the call is written, W3 when
# the answer is read, W4 between head and body of the answer, W5 when the
# request is freed, W6 when Redis is connected, W8 when a worker starts.  The
# points of the consumer are in 73-consumer-failpoints.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(failpoints => 1);

$t->allow(qr/worker process \d+ exited on signal 9/);


sub codes {
    my %n;
    $n{$_->{code} // $_->{status}}++ foreach @_;
    return join ', ', map { "$_: $n{$_}" } sort keys %n;
}


# all workers, none of them the given ones, and they serve

sub new_workers {
    my ($n, @old) = @_;

    my %old = map { $_ => 1 } @old;

    ok($t->wait_for(sub {
        my @now = $t->workers();
        return @now == $t->worker_count() && grep({ !$old{$_} } @now) >= $n;
    }, 10, 'new workers'), "$n new") or return;
    $t->wait_ready();
}


sub settled {
    my ($s, @r) = @_;

    # whoever does not know asks again with the same id
    my @lost = $s->told('unknown');
    my @again = $s->burst([map { [$_->{user}, $_->{req}] } @lost]);

    is(scalar $s->told('unknown'), 0, 'the same id tells ' . @lost);
    note(codes(@r) . '; again ' . codes(@again)
         . ', replayed ' . grep { $_->{json}{data}{replayed} } @again);
    $s->check('books');
}


foreach my $point (qw(W1 W2 W3 W4 W5)) {
    subtest "$point kills" => sub {
        RushTest::Mode::needs_master();

        my $id = $t->activity(stock => 200);
        my $s = RushTest::Sale->new($t, $id);

        foreach my $pass (1, 2, 4) {
            my @old = $t->workers();

            $t->failpoint($point, 'kill', $pass);
            my @r = $s->some(12, conns => 12);
            $t->wait_for(sub { $t->failpoint_hits($point) >= $pass }, 3,
                         $point);
            $t->failpoint($point, 'off');
            new_workers(1, @old);
            settled($s, @r) if $pass != 4;
        }

        $s->sells();
        settled($s);
    };
}


# the process lives, its connection to Redis does not

foreach my $point (qw(W2 W3)) {
    subtest "$point loses the connection" => sub {
        my $id = $t->activity(stock => 200);
        my $s = RushTest::Sale->new($t, $id);
        my @old = $t->workers();

        foreach my $pass (1 .. 4) {
            $t->failpoint($point, 'error', $pass);
            my @r = $s->some(12, conns => 6);
            $t->wait_for(sub { $t->failpoint_hits($point) >= $pass }, 3,
                         $point);
            $t->failpoint($point, 'off');
            is(join(' ', grep { !defined $_->{code} } @r), '',
               'all are answered');
            $t->wait_ready();
            $s->resolve();
        }

        is(join(' ', $t->workers()), join(' ', @old), 'the same workers')
            if RushTest::Mode::workers_stay();
        $s->sells();
        settled($s);
    };
}


# 3 s in which a worker does nothing: more than any time limit

subtest 'a worker stands still' => sub {
    my $id = $t->activity(stock => 200);
    my $s = RushTest::Sale->new($t, $id);

    foreach my $point (qw(W1 W3)) {
        $t->failpoint($point, 'sleep');
        my @r = $s->some(20, conns => 10);
        is(join(' ', grep { !defined $_->{code} } @r), '',
           "$point: all are answered");
        note(codes(@r));
        $s->resolve();
        $s->sells();
    }

    settled($s);
};


subtest 'Redis cannot be connected' => sub {
    my $id = $t->activity(stock => 60);
    my $s = RushTest::Sale->new($t, $id);

    foreach my $action ('error', RushTest::Mode::has_master()
                        ? 'kill' : ()) {
        my @old = $t->workers();

        $t->failpoint('W6', $action);
        $t->redis()->client_kill('TYPE', 'normal', 'SKIPME', 'yes');
        $s->some(6);
        $t->wait_for(sub { $t->failpoint_hits('W6') }, 5, 'W6');
        $t->failpoint('W6', 'off');
        new_workers($action eq 'kill' ? 1 : 0, @old);
        $s->resolve();
        $s->sells();
    }

    $s->check('books');
};


subtest 'a worker dies when it starts' => sub {
    RushTest::Mode::needs_master();

    my $id = $t->activity(stock => 60);
    my $s = RushTest::Sale->new($t, $id);
    my @old = $t->workers();

    $t->failpoint('W8', 'kill', 2);
    kill KILL => $old[0];
    $t->wait_for(sub { $t->failpoint_hits('W8') >= 1 }, 5, 'W8');
    new_workers(1, $old[0]);

    @old = $t->workers();
    kill HUP => $t->pid('nginx');
    ok($t->wait_for(sub { $t->failpoint_hits('W8')
                            >= $t->worker_count() + 2 }, 10, 'W8'),
       'one more is started');
    new_workers($t->worker_count(), @old);
    $s->sells();
    $s->check('books');
};


$t->finish();
done_testing();
