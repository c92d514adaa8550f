package Parts;

# Copyright (C) Rush
#
# The parts: what fails, how often, and what must come of it.

use warnings;
use strict;

use Errno qw(:POSIX);
use Test::More;
use Time::HiRes qw(time sleep);

use Flows;
use Jobs;
use Resp;
use Starts;
use Torture;

# what fails, with which error
my @SOCKET = (['connect', ECONNREFUSED, 'REFUSED'],
              ['connect', EAGAIN, 'AGAIN'], ['socket', EMFILE, 'MFILE'],
              ['send', EPIPE, 'PIPE'], ['recv', ECONNRESET, 'RESET']);

# what a sample takes, in seconds and in failures of one loop
my %SECONDS = (alloc => 12, socket => 8, redis => 12, mysql => 12,
               consumer => 16);
my $FEW = 3;

# what a failure may be answered with, beside the normal code
my %FAILED = map { $_ => 1 } 1, 3, 11, 12, 60007;
our $ENOUGH = 3000;                     # n that no flow reaches


sub run {
    my ($o, @parts) = @_;

    my $start = time();
    my ($bad, @rows) = (0);
    my %part = (alloc => \&alloc, start => \&Starts::start,
                socket => \&socket, redis => \&redis, mysql => \&mysql,
                consumer => \&Jobs::consumer);

    # our own plan: checks of the harness count, their text does not
    Test::More->builder->no_ending(1);
    Test::More->builder->output('/dev/null');
    Test::More->builder->failure_output('/dev/null');

    printf "%-13s %-16s %5s %5s  %-36s %s\n", qw(part flow n fails answers
                                                result);

    my $h = Torture->new(o => $o);

    foreach my $part (@parts) {
        my ($from, $before) = (time(), $h->{injected} // 0);

        $part{$part}->($h, $o);
        $h->calm_down($part, alarms => 1);

        my $n = ($h->{injected} // 0) - $before;
        $h->fail("$part: nothing has failed") if !$n;
        printf "%-9s %d failures, %.0f s\n", $part, $n, time() - $from;
    }

    $h->tidy();
    my ($alerts, $reports, $left) = $h->{t}->problems();

    $h->fail("in the log: $_") foreach @$alerts;
    $h->fail("sanitizer: $_") foreach @$reports;
    $h->fail("left: $_") foreach @$left;

    $bad = $h->findings();

    printf "==> torture: %d failures injected, %d findings, %.0f s\n",
        $h->{injected} // 0, $bad, time() - $start;

    # its own check of the plan is not asked for
    $h->{t}->finish();
    return $bad ? 1 : 0;
}


sub chosen {
    my ($o, @all) = @_;
    return grep { index($_->[0], $o->{flow}) >= 0 } @all;
}


# all of it, or in a sample what the time allows, in random order

sub spend {
    my ($h, $part, @all) = @_;

    my $end = time() + $SECONDS{$part};
    my ($done, $n) = (0, scalar @all);

    while (@all && (!$h->{o}{quick} || time() < $end)) {
        (splice @all, rand @all, 1)->();
        $done++;
    }

    print "$part: $done of $n\n" if $done < $n;
}


sub alloc {
    my ($h, $o) = @_;

    spend($h, 'alloc', map { my $flow = $_; (
        sub { loop($h, 'alloc', $flow, kind => 'alloc', stride => 9) },
        # from the n-th on there is no memory at all
        sub { loop($h, 'alloc +', $flow, kind => 'alloc', times => 1e9,
                   stride => 9, step => 5) },
    ) } chosen($o, Flows::flows($h)));
}


sub socket {
    my ($h, $o) = @_;

    my @all;

    foreach my $row (@SOCKET) {
        my ($kind, $error, $name) = @$row;

        push @all, map { my $flow = $_;
            sub { loop($h, "$kind $name", $flow, kind => $kind,
                       error => $error, stride => 2) }
        } chosen($o, Flows::flows($h));
    }

    spend($h, 'socket', @all);
}


sub redis {
    my ($h, $o) = @_;

    my @all;

    foreach my $lie (grep { !$o->{lie} || $o->{lie} eq $_ } Resp::lies()) {
        push @all, map { my $flow = $_;
            sub { loop($h, $lie, $flow, kind => $lie, open => 0,
                       stride => 1) }
        } chosen($o, Flows::flows($h));
    }

    spend($h, 'redis', @all);
}


sub mysql {
    my ($h, $o) = @_;

    my @all;

    foreach my $row (grep { !$o->{lie} || $o->{lie} eq $_->[0] }
                     @Torture::MYSQL)
    {
        my ($error, %more) = @$row;
        my $name = $error . ($more{after} ? ' after' : '');

        push @all, map { my $flow = $_;
            sub { loop($h, $name, $flow, kind => 'mysql', error => $error,
                       open => 0, stride => 3, %more) }
        } chosen($o, Flows::flows($h));
    }

    spend($h, 'mysql', @all);
}


# A flow, for n from 1 until two runs in a row were not hit.  p: kind, error,
# after, times of arm(); open => 0: a closed connection is no answer

sub loop {
    my ($h, $part, $flow, %p) = @_;

    my ($name) = @$flow;
    my $quick = $h->{o}{quick};
    my ($n, $missed, $fails, %codes) = (1, 0, 0);

    $n = 1 + int rand $p{stride} if $quick;
    delete $h->{failed};

    while ($n < $ENOUGH) {
        my $hit = once($h, "$part, $name, n $n", $flow, $n, \%codes, %p);

        $fails += $hit ? 1 : 0;
        last if !$hit && ++$missed == 2;
        next if !$hit;

        $missed = 0;
        last if ($h->{failed} // 0) > 5 || ($quick && $fails >= $FEW);
        # an idle worker asks on and on
        my $step = $name eq 'idle' ? 6 : $p{step} // 1;
        $n += $quick ? 1 + int rand 2 * $p{stride} : $step;
    }

    $h->lost("$part, $name") if !$quick && $p{kind} eq 'alloc';
    $h->report($part, $name, $n - 1, $fails, %codes);
}


# one request with its failure: whether it was hit

sub once {
    my ($h, $what, $flow, $n, $codes, %p) = @_;

    my ($name, $normal, $make) = @$flow;
    my $t = $h->{t};

    $h->ready($what);

    # a try that cannot be counted back for want of all memory locks it
    $t->do('UPDATE user SET fails = 0') if ($p{times} // 1) > 1;

    my $q = $make->();
    my $worker = $h->worker();

    $h->arm('worker', $p{kind}, $n, %p);

    my $r = ask($h, $q);
    my $was = $h->disarm();

    if ($h->{o}{verbose} && $was->{hits}) {
        print "    $what: ", $r->{code} // $r->{status}, ' ',
            $h->place($was->{where}), "\n";
    }

    my $where = sub { $was->{hits} ? ' at ' . $h->place($was->{where}) : '' };

    if ($h->worker() != $worker) {
        $h->fail("$what: the worker died" . $where->());
        $t->wait_for(sub { $h->worker() }, 5, 'a worker');
    }

    # then the error page itself has failed
    my $bare = $name eq 'large body' && $p{kind} eq 'alloc';
    my $said = $q->{judge} ? $q->{judge}->($r, $was->{hits}, $p{kind})
        : judge($h, $r, $normal, $was->{hits}, %p, bare => $bare);
    $codes->{$r->{key}}++ if $was->{hits} && !$q->{idle};
    $h->fail("$what: $said" . $where->()) if $said && !$q->{idle};

    $h->fail("$what: sanitizer: $_" . $where->()) foreach $h->new_reports();

    if ($q->{sale}) {
        $h->{sale}->remember($q->{sale}, $q->{key}, $r);
    }

    if ($q->{order} && defined $r->{code} && $r->{code} == 0
        && $r->{json}{data}{order_no} ne $q->{order})
    {
        $h->fail("$what: another order: $r->{body}");
    }

    $q->{after}->() if $q->{after};

    return $was->{hits};
}


sub ask {
    my ($h, $q) = @_;

    if ($q->{idle}) {
        sleep $q->{idle};
        return { status => 0, key => 'idle' };
    }

    my %q = %$q;
    my ($method, $path) = delete @q{qw(method path)};
    my $start = time();
    my $r = $h->{t}->request($method, $path, %q, fresh => 1, timeout => 4,
                             record => 0);

    $r->{took} = time() - $start;

    # 599 is no answer: an end of the connection, or nothing at all
    $r->{key} = $r->{status} == 599
        ? (($r->{error} // '') =~ /timed? out/i ? 'silent' : 'closed')
        : $r->{code} // "http$r->{status}";

    return $r;
}


# what is wrong with an answer

sub judge {
    my ($h, $r, $normal, $hit, %p) = @_;

    my %normal = map { $_ // 'http200' => 1 } @$normal;
    my $key = $r->{key};

    return '' if $key eq 'idle';

    foreach my $name (grep { ref $r->{headers}{$_} } keys %{$r->{headers}}) {
        return "header $name twice: @{$r->{headers}{$name}}";
    }

    return "no JSON: $r->{body}"
        if $r->{body} =~ /^\{/ && !$r->{json};
    return '' if $normal{$key};
    return "no answer: $r->{error}" if $key eq 'silent';

    if ($key eq 'closed') {
        return !$hit ? "closed: $r->{error}"
            : $p{open} // 1 ? '' : "closed: $r->{error}";
    }

    # an error page of nginx, when there is not a byte left for another one
    return '' if $key eq 'http500' && $hit
        && (($p{times} // 1) > 1 || $p{bare});

    return "undeclared: $r->{status} $r->{body}"
        if !defined $r->{code} || !$Torture::CODES{$r->{code}}
            || !$r->{json} || !$r->{json}{trace_id};

    # what a duplicate means is told by codes of many kinds
    return '' if $hit && ($p{error} // 0) == 1062;

    return "not normal: $r->{body}" if !$hit && !$FAILED{$r->{code}};
    return "not so: $r->{body}" if !$FAILED{$r->{code}};
    return "not hit, and $r->{body}" if !$hit;
    return '';
}


1;
