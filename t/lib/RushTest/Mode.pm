package RushTest::Mode;

# Copyright (C) Rush
#
# The whole suite under other conditions: RUSH_MODE=name, set by
# "./build.sh test --mode name".
#
#   hup       nginx is reloaded between requests, once a second
#   single    master_process off: everything in one process
#   one four  so many workers, whatever the test asked for
#   bytewise  what Redis and MySQL answer nginx comes byte by byte, on edges
#             where the test has no proxy of its own
#   leak      requests that change nothing are repeated; the memory of the
#             workers must not grow with them
#
# A file or subtest that cannot mean anything in a mode is skipped aloud, with
# its reason.  Each file tells in the end what the mode did to it, and fails
# if that was nothing; t/09-modes.t shows that each mode does what it says.

use warnings;
use strict;

use Scalar::Util qw(weaken);
use Test::More ();
use Time::HiRes qw(time sleep);

our $MODE = $ENV{RUSH_MODE} // '';

# local in a subtest that counts or takes the time, or needs a worker which has
# its connections and has seen what it saw: requests are what the test wants
our $still = 0;

# clients of event streams, which a reload would end, for as long as they live
my @streams;

my %modes = map { $_ => 1 } qw(hup single one four bytewise leak);

die "no mode \"$MODE\"\n" if $MODE ne '' && !$modes{$MODE};

my %unfit = (
    hup => { '60-reload.t' => 'it reloads by itself' },
    four => { '55-crowd.t' => 'it fills the queue of one worker' },
    # nginx without a master reads the configuration anew, but tells no
    # module that there is another one
    single => { '60-reload.t' => 'no master that reloads',
                '62-reloads.t' => 'no master that reloads' },
);

my %children = (single => 0, one => 1, four => 4);

my $HUP_EVERY = 1;      # s
my $HUP_AFTER = 3;      # s of requests without a reload: not this mode
my $SAMPLES = 10;       # of memory
my $WARM = 3;           # of them, not counted
my $EACH = 20;          # requests a sample
my $GROWTH = 0.1;       # kB a request, that is 4 pages in the samples
my $ROUNDS = 3;         # a leak grows in each

my %did;


sub begin {
    my ($file) = $0 =~ m!([^/]+)$!;
    my $why = $unfit{$MODE}{$file};

    Test::More::plan(skip_all => "mode $MODE: $why") if defined $why;
}


# options of an nginx

sub nginx {
    my ($o) = @_;

    my %o = %$o;

    $o{workers} = $children{$MODE} || 1 if defined $children{$MODE};
    $o{extra_main} = "master_process off;\n" . ($o{extra_main} // '')
        if $MODE eq 'single';

    return \%o;
}


# edges that get a proxy although the test asked for none

sub edges {
    return $MODE eq 'bytewise' ? qw(nginx_redis nginx_mysql) : ();
}


# reloads, and workers that are started again

sub has_master { return $MODE ne 'single' }


# at the beginning of a subtest

sub needs_master {
    Test::More::plan(skip_all => "mode $MODE: no master that reloads or "
                     . 'starts a worker again') if !has_master();
}


# do workers stay the same as long as nothing happens?

sub workers_stay { return $MODE ne 'hup' }


sub before_request {
    my ($t, $node) = @_;

    return if $MODE eq '' || !$t->{daemon}{$node} || !$t->running($node);

    $did{first} //= time();
    $did{last} = time();

    look($t, $node) if !$t->{looked}{$node}++;
    hup($t, $node) if $MODE eq 'hup';
}


# at the first request of a node: is everything as the mode wants it?

sub look {
    my ($t, $node) = @_;

    $did{nodes}++;

    if (defined $children{$MODE}) {
        $t->wait_for(sub {
            return $t->daemon($node)->children() == $children{$MODE};
        }, 5, "$children{$MODE} children") or die "mode $MODE: not so\n";
    }

    my %own = map { $_ => 1 } @{$t->{opt}{proxy} || []};
    $did{edges} += grep { !$own{$_} } edges();
}


sub stream {
    my ($s) = @_;

    return if $MODE ne 'hup';

    @streams = grep { defined && defined fileno $_ } @streams;
    push @streams, $s;
    weaken($_) foreach @streams;
}


sub hup {
    my ($t, $node) = @_;

    return if grep { defined && defined fileno $_ } @streams;
    return if $still || time() < ($t->{hup}{$node} // 0) + $HUP_EVERY;

    # not while a test has stopped it
    my @workers = $t->workers($node);
    return if !@workers || grep { state($_) eq 'T' } $t->pid($node), @workers;

    $did{reloads}++ if $t->reload($node);
    $t->{hup}{$node} = time();
}


sub state {
    my ($pid) = @_;
    return RushTest::slurp("/proc/$pid/stat") =~ /\) (\S)/ ? $1 : '';
}


# a request was answered; once for each kind of request and answer

sub after_request {
    my ($t, $node, $method, $path, $res, $again) = @_;

    return if $MODE ne 'leak' || $still || !$t->{daemon}{$node}
        || $res->{status} >= 429
        || ($method ne 'GET' && $res->{status} != 400);

    # many requests would be too many
    return if RushTest::slurp("$t->{dir}/$node/nginx.conf")
        !~ /rush_limit api off;/;

    my $kind = join ' ', $method, $path =~ s/\d+/0/gr, $res->{status};
    return if $t->{leak}{$kind}++;

    my @pids = $t->workers($node) or return;
    my @slopes;

    # caches and pools grow once
    do {
        push @slopes, grown($again, @pids);
    } while ($slopes[-1] > $GROWTH && @slopes < $ROUNDS);

    $did{kinds}++;
    $did{most} = $slopes[-1] if $slopes[-1] > ($did{most} // -1e9);

    Test::More::fail("$kind: " . join(', ', map { sprintf '%.2f', $_ } @slopes)
                     . ' kB more a request') if $slopes[-1] > $GROWTH;
}


# kB a request

sub grown {
    my ($again, @pids) = @_;

    my @rss;

    foreach (1 .. $SAMPLES) {
        $again->() foreach 1 .. $EACH;
        push @rss, rss(@pids);
    }

    return slope(@rss[$WARM .. $#rss]) / $EACH;
}


# what is shared has a size of its own, and is seen page by page

sub rss {
    my $sum = 0;
    $sum += RushTest::slurp("/proc/$_/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0
        foreach @_;
    return $sum;
}


# by least squares, a step

sub slope {
    my @y = @_;

    my $n = @y;
    my ($sx, $sy, $sxx, $sxy) = (0, 0, 0, 0);

    foreach my $x (0 .. $n - 1) {
        $sx += $x;
        $sy += $y[$x];
        $sxx += $x * $x;
        $sxy += $x * $y[$x];
    }

    return ($n * $sxy - $sx * $sy) / ($n * $sxx - $sx * $sx);
}


# --- the end ---

sub told {
    return ($did{reloads} // 0) . ' reloads' if $MODE eq 'hup';
    return "$did{nodes} nginx with $children{$MODE} children"
        if defined $children{$MODE};
    return "$did{edges} edges byte by byte" if $MODE eq 'bytewise';
    return 'nothing to repeat' if !$did{kinds};
    return sprintf '%d kinds of requests repeated, at most %.3f kB each',
        @did{qw(kinds most)};
}


END {
    if ($did{first}) {
        Test::More::diag("mode $MODE: " . told());

        if ($MODE eq 'hup' && !$did{reloads}
            && $did{last} - $did{first} > $HUP_AFTER)
        {
            Test::More::diag('it was never reloaded');
            $? ||= 1;
        }
    }
}


1;
