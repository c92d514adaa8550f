package RushTest::Mode;

# Copyright (C) Rush
#
# The whole suite under other conditions: RUSH_MODE=name, set by
# "./build.sh test --mode name".
#
#   hup       nginx is reloaded between requests, once a second
#   single    master_process off: everything in one process
#   one four  so many workers, whatever the test asked for
#   bytewise  what Redis and MySQL answer nginx comes byte by byte
#   leak      requests that change nothing are repeated; the memory of the
#             workers must not grow with them
#
# A file that cannot mean anything in a mode stands in the table below with
# its reason, and is skipped aloud.

use warnings;
use strict;

use Test::More ();
use Time::HiRes qw(time sleep);

our $MODE = $ENV{RUSH_MODE} // '';

my %modes = map { $_ => 1 } qw(hup single one four bytewise leak);

die "no mode \"$MODE\"\n" if $MODE ne '' && !$modes{$MODE};

my %unfit = (
    hup => { '60-reload.t' => 'it reloads by itself' },
    single => {},
    one => {},
    four => {},
    bytewise => {},
    leak => {},
);

my $HUP_EVERY = 1;      # s
my $REPEATS = 300;
my $WARM = 100;         # of them, not counted
my $GROWTH = 256;       # kB in the rest


sub begin {
    my ($file) = $0 =~ m!([^/]+)$!;
    my $why = $MODE ne '' ? $unfit{$MODE}{$file} : undef;

    Test::More::plan(skip_all => "mode $MODE: $why") if defined $why;
}


# options of an nginx

sub nginx {
    my ($o) = @_;

    my %o = %$o;

    $o{workers} = 1 if $MODE eq 'one' || $MODE eq 'single';
    $o{workers} = 4 if $MODE eq 'four';
    $o{extra_main} = "master_process off;\n" . ($o{extra_main} // '')
        if $MODE eq 'single';

    return \%o;
}


# edges that get a proxy although the test asked for none

sub edges {
    return $MODE eq 'bytewise' ? qw(nginx_redis nginx_mysql) : ();
}


# do workers stay the same as long as nothing happens?

sub workers_stay { return $MODE ne 'hup' }


sub before_request {
    my ($t, $node) = @_;

    return if $MODE ne 'hup' || !$t->{daemon}{$node}
        || time() < ($t->{hup}{$node} // 0) + $HUP_EVERY;

    # not while a test has stopped it, or reloads by itself
    my @workers = $t->running($node) ? $t->workers($node) : ();
    return if !@workers || grep { state($_) eq 'T' } $t->pid($node), @workers;

    $t->reload($node);
    $t->{hup}{$node} = time();
}


sub state {
    my ($pid) = @_;
    return RushTest::slurp("/proc/$pid/stat") =~ /\) (\S)/ ? $1 : '';
}


# a request was answered; once for each kind of request and answer

sub after_request {
    my ($t, $node, $method, $path, $res, $again) = @_;

    return if $MODE ne 'leak' || $res->{status} >= 500
        || ($method ne 'GET' && $res->{status} != 400);

    my $kind = "$method $path $res->{status}" =~ s/\d+/0/gr;
    return if $t->{leak}{$kind}++;

    my @pids = $t->workers($node) or return;

    $again->() foreach 1 .. $WARM;
    my $before = rss(@pids);
    $again->() foreach $WARM + 1 .. $REPEATS;
    my $grown = rss(@pids) - $before;

    Test::More::fail("$kind: $grown kB more after "
                     . ($REPEATS - $WARM) . ' of the same')
        if $grown > $GROWTH;
}


sub rss {
    my $sum = 0;
    $sum += RushTest::slurp("/proc/$_/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0
        foreach @_;
    return $sum;
}


1;
