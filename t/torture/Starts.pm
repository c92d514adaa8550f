package Starts;

# Copyright (C) Rush
#
# nginx that reads its configuration anew: by a reload, by "nginx -t", where
# all shared memory is new, and a worker that takes the place of another.  It
# serves as before, or it says that it could not.

use warnings;
use strict;

use Time::HiRes qw(sleep);

use Torture;

my $ENOUGH = 3000;                      # n that nothing reaches

# name, kind, step of n, sub that does it once: (how it ended, what was hit,
# what is wrong).  OpenSSL alone takes memory some thousand times at first
my @STARTS = (
    ['reload', 'slab', 1, \&reload],
    ['reload', 'alloc', 1, \&reload],
    ['test', 'slab', 1, \&test],
    ['test', 'pool', 1, \&test],
    ['worker', 'pool', 1, \&worker],
    ['worker', 'alloc', 11, \&worker],
);


sub start {
    my ($h, $o) = @_;

    $h->{t}->allow(qr/\[emerg\]/);
    $h->{t}->allow(qr/worker process \d+ exited with fatal code 2 /);
    $h->{t}->allow(qr/dlclose\(\) failed .*Cannot allocate memory/);

    foreach my $row (@STARTS) {
        loop($h, @$row) if index("$row->[0] $row->[1]", $o->{flow}) >= 0;
    }

    $h->base();
}


sub loop {
    my ($h, $name, $kind, $step, $sub) = @_;

    my $quick = $h->{o}{quick};
    my ($n, $missed, $fails, %ends) = (1, 0, 0);

    delete $h->{failed};

    while ($n < $ENOUGH && $missed < 2 && ($h->{failed} // 0) < 4) {
        my $what = "$name, $kind, n $n";
        my ($end, $was, $bad) = $sub->($h, $kind, $n);
        my $where = $was->{hits} ? ' at ' . $h->place($was->{where}) : '';

        print "    $what: $end$where\n" if $h->{o}{verbose} && $was->{hits};

        $h->fail("$what: $bad$where") if $bad;
        $h->{t}->running('nginx') or return $h->fail("$what: no nginx");
        $h->ready("$what$where") or return;

        foreach ($h->new_reports()) {
            $h->fail("$what: sanitizer: $_$where");
        }

        $ends{$end}++ if $was->{hits};
        $missed = $was->{hits} ? 0 : $missed + 1;
        $fails++ if $was->{hits};

        last if $quick && $fails >= 4;
        $n += $quick && $kind ne 'slab' ? 1 + int rand 40 : $step
            if $was->{hits};
    }

    $h->report($name, $kind, $n - 1, $fails, %ends);
}


sub reload {
    my ($h, $kind, $n) = @_;

    my $t = $h->{t};
    my $worker = $h->worker();

    $h->arm('master', $kind, $n);
    kill HUP => $t->pid('nginx');

    # either way it says something at the end
    my $done = $t->wait_for(sub {
        my $now = $h->worker();
        return 'new' if $now && $now != $worker && $t->workers() == 1;
        return $h->fired() && $now == $worker ? 'old' : 0;
    }, 10, 'the reload') // 'neither';

    # it may only be about to start new ones
    sleep 0.15 if $done eq 'old';

    my $was = $h->disarm();
    my $new = $h->worker() != $worker;

    return ($new ? 'new' : 'old', $was,
            !$was->{hits} && !$new ? 'no new worker' : '');
}


sub test {
    my ($h, $kind, $n) = @_;

    $h->arm('tool', $kind, $n);
    my ($end, $out) = $h->run('nginx', '-t');
    my $was = $h->disarm();

    my $well = $end eq 'exit 0' || ($end eq 'exit 1' && $was->{hits});
    return ($end, $was, $well ? '' : "$end: $out");
}


# it ends by its master's signal; one that cannot start is not started again
# until a reload, that is nginx's way

sub worker {
    my ($h, $kind, $n) = @_;

    my $t = $h->{t};
    my $old = $h->worker();
    my $log = $t->daemon('nginx')->{log};
    my $from = -s $log;

    $h->arm('any', $kind, $n);
    kill TERM => $old;

    my ($end, $new) = ('', 0);

    $t->wait_for(sub {
        my $now = $h->worker();

        $new = $now if $now && $now != $old;
        $end = 'serves' if $new && $t->get('/health', fresh => 1, timeout => 1,
                                           record => 0)->{status} == 200;
        $end ||= 'gone' if !$now && substr(RushTest::slurp($log), $from)
            =~ /exited with fatal code 2 /;
        return $end;
    }, 10, 'a worker');

    my $was = $h->disarm();

    if (!$h->worker()) {
        kill HUP => $t->pid('nginx');
        $t->wait_for(sub { $h->worker() }, 5, 'a worker of the reload');
    }

    return ($end || 'neither', $was,
            !$end || ($end eq 'gone' && !$was->{hits}) ? 'no worker' : '');
}


1;
