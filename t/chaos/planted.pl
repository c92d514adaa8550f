#!/usr/bin/perl

# Copyright (C) Rush
#
# Puts each bug of planted/*.patch into a copy of the tree, builds it, and
# lets chaos look for it: a harness that finds nothing in a product without
# bugs has to show that it finds them in one that has.
#
#   ./build.sh chaos --planted [--max 100] [--lanes 2] [NAME ...]

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Basename qw(basename);
use File::Path qw(make_path remove_tree);
use Getopt::Long;
use RushTest;
use Time::HiRes qw(time);

my %o = (max => 100, lanes => 2);
my $root = $RushTest::ROOT;
my $dir = "$RushTest::BUILD/planted";
my $tree = "$dir/tree";


sub main {
    GetOptions(\%o, 'max=i', 'lanes=i', 'planted') or return 2;

    my @patches = sort glob "$FindBin::Bin/planted/*.patch";
    my %named = map { $_ => 1 } @ARGV;

    @patches = grep { delete $named{name_of($_)} } @patches if @ARGV;
    die "no such bug: @{[keys %named]}\n" if %named;

    copy_tree();
    $| = 1;

    my @rows = map { look_for($_) } @patches;

    table(@rows);

    my $missed = grep { !$_->{seeds} } @rows;
    printf "%d of %d were found\n", @rows - $missed, scalar @rows;

    return $missed ? 1 : 0;
}


sub name_of { return basename($_[0], '.patch') }


# one tree and one build for all: only what a patch touches is built again

sub copy_tree {
    remove_tree($tree);
    make_path($tree);

    system("cd '$root' && tar cf - --exclude=./.git --exclude='./build*'"
           . " --exclude=./run . | tar xf - -C '$tree'") == 0
        or die "copying failed\n";

    build('the product itself');
}


sub build {
    my ($what) = @_;

    local $ENV{RUSH_FAILPOINTS} = 1;
    local $ENV{RUSH_BUILD} = "$dir/build";

    system("'$tree/build.sh' build > '$dir/build.log' 2>&1 < /dev/null") == 0
        or die "$what does not build, see $dir/build.log\n";
}


sub patch {
    my ($patch, @how) = @_;

    system('patch', '-p1', '-s', '-F0', '-N', @how, '-d', $tree, '-i', $patch)
        == 0 or die "$patch does not apply\n";
}


sub look_for {
    my ($patch) = @_;

    my $name = name_of($patch);
    my %row = (name => $name, start => time(), violation => '');
    my @head = split /\n/, RushTest::slurp($patch);

    ($row{what}) = $head[0] =~ /^# (.*)/;
    ($row{breaks}) = $head[1] =~ /^# breaks: (.*)/;

    patch($patch);
    build($name);

    local $ENV{CHAOS_BUILD_FP} = "$dir/build";

    open my $fh, '-|', $^X, "$FindBin::Bin/run", '--seeds', $o{max},
        '--lanes', $o{lanes}, '--stop' or die "run: $!";
    my $played = 0;

    while (my $line = <$fh>) {
        $played++ if $line =~ /^seed \d+/;

        if ($line =~ /^seed \d+.*FAILED$/) {
            $row{seeds} ||= $played;

        } elsif ($row{seeds} && !$row{violation} && $line =~ /^ +(\S.*)/) {
            $row{violation} = $1;
        }
    }

    close $fh;
    patch($patch, '-R');

    $row{took} = time() - $row{start};
    printf "%-18s %s  %.0f s  %s\n", $name,
        $row{seeds} ? "seed $row{seeds}" : 'NOT FOUND', @row{qw(took
        violation)};

    return \%row;
}


sub table {
    my (@rows) = @_;

    print "\n| bug | breaks | found after | first sign |\n",
        "|---|---|---:|---|\n";

    foreach my $r (@rows) {
        my $sign = substr $r->{violation}, 0, 90;
        $sign =~ s/([|<])/\\$1/g;

        printf "| %s: %s | %s | %s | %s |\n", $r->{name}, $r->{what},
            $r->{breaks}, $r->{seeds} ? "$r->{seeds} seeds" : 'not found',
            $sign;
    }

    print "\n";
}


exit main();
