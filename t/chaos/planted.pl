#!/usr/bin/perl

# Copyright (C) Rush
#
# Puts each bug of planted/*.patch into a copy of the sources, builds it, and
# lets chaos look for it: a harness that finds nothing in a product without
# bugs has to show that it finds them in one that has.  At the end the same
# seeds are played without any bug, and must be clean: what was seen was seen
# because of the bugs.
#
#   ./build.sh chaos --planted [--max 100] [--lanes 1] [--control N] [NAME...]
#
# A bug "found by: sanitizer" is looked for in a sanitized build.  The rest of
# that line may name a file of the suite, which is run instead of chaos.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Basename qw(basename);
use File::Path qw(make_path remove_tree);
use Getopt::Long;
use RushTest;
use Time::HiRes qw(time);

use constant NOT => join ' ', map { "--exclude='./$_'" }
    qw(.git build build-* run);

# what the harness itself could not do, or was too slow for, is no sign
use constant SIGN => qr/^(?:I\d|N\d|L2|log\ of|sanitizer|not\ at\ rest
                           |[AEP]\ (?!\S+\ harness)
                           |answer\ to|\w+\ ended\ by\ itself)/x;

my %o = (max => 100, lanes => 1);
my $root = $RushTest::ROOT;
my $dir = "$RushTest::BUILD/planted";
my $tree = "$dir/tree";


sub main {
    GetOptions(\%o, 'max=i', 'lanes=i', 'control=i') or return 2;

    my @patches = sort glob "$FindBin::Bin/planted/*.patch";
    my %named = map { $_ => 1 } @ARGV;

    @patches = grep { delete $named{name_of($_)} } @patches if @ARGV;
    die "no such bug: @{[keys %named]}\n" if %named;

    $| = 1;
    copy_sources();

    my @rows = map { look_for($_) } @patches;
    my $missed = grep { !$_->{sign} } @rows;
    my $clean = control(@rows);

    table(@rows);
    printf "%d of %d were found\n", @rows - $missed, scalar @rows;

    return $missed || !$clean ? 1 : 0;
}


sub name_of { return basename($_[0], '.patch') }


# --- builds: one tree, and of each kind one build for all bugs, so that only
# what a patch touches is compiled again ---

sub copy_sources {
    # also what another run, that may have been stopped, has built
    remove_tree($dir);
    make_path($tree);

    system("cd '$root' && tar cf - " . NOT . " . | tar xf - -C '$tree'") == 0
        or die "copying failed\n";
}


sub build {
    my ($what, $sanitize) = @_;

    my $build = "$dir/build" . ($sanitize ? '-asan' : '');

    local $ENV{RUSH_FAILPOINTS} = 1;
    local $ENV{RUSH_SANITIZE} = $sanitize ? 1 : '';
    local $ENV{RUSH_BUILD} = $build;

    system("'$tree/build.sh' build > '$dir/build.log' 2>&1 < /dev/null") == 0
        or die "$what does not build, see $dir/build.log\n";

    return $build;
}


sub patch {
    my ($patch, @how) = @_;

    system('patch', '-p1', '-s', '-F0', '-N', @how, '-d', $tree, '-i', $patch)
        == 0 or die "$patch does not apply\n";
}


# --- one bug ---

sub look_for {
    my ($patch) = @_;

    my $name = name_of($patch);
    my $head = RushTest::slurp($patch);
    my %row = (name => $name, sign => '', seeds => 0);

    ($row{what}) = $head =~ /^# [^:]+: (.*)/;
    ($row{breaks}) = $head =~ /^# breaks: (.*)/m;
    ($row{by}, my $file) = $head =~ /^# found by: (\S+)(?: (\S+))?/m;

    $row{by} = "$row{by}, $file" if $file;

    patch($patch);

    my $sanitize = $row{by} =~ /^sanitizer/;
    my $build = build($name, $sanitize);
    my $start = time();

    if ($file) {
        run_file(\%row, $build, $file);
    } else {
        run_chaos(\%row, $build, $sanitize);
    }

    $row{took} = time() - $start;
    patch($patch, '-R');

    printf "%-18s %s, %.0f s: %s\n", $name,
        $row{sign} ? $row{seeds} ? "seed $row{seeds}" : 'found' : 'NOT FOUND',
        @row{qw(took sign)};

    return \%row;
}


sub run_file {
    my ($row, $build, $file) = @_;

    local $ENV{RUSH_SANITIZE} = 1;
    local $ENV{RUSH_BUILD} = $build;

    my $out = qx($^X '$root/$file' 2>&1);

    $row->{sign} = $1
        if $? && $out =~ /((?:\w+Sanitizer: |runtime error: )[^\n]*)/;
}


# seed after seed, until one says what can only be a bug

sub run_chaos {
    my ($row, $build, $sanitize, $max) = @_;

    local $ENV{CHAOS_BUILD_FP} = $build;
    local $ENV{RUSH_SANITIZE} = $sanitize ? 1 : '';

    $max //= $o{max};

    while (!$row->{sign} && $row->{seeds} < $max) {
        open my $fh, '-|', $^X, "$FindBin::Bin/run",
            '--first', $row->{seeds} + 1, '--seeds', $max - $row->{seeds},
            '--lanes', $o{lanes}, '--stop' or die "run: $!";

        my $played = 0;
        my $of_seed = 0;

        while (my $line = <$fh>) {
            if ($line =~ /^seed \d+/) {
                $of_seed = $line =~ /FAILED$/;
                $played++;

            } elsif ($line =~ /^    (\S.*)/ && $of_seed && !$row->{sign}) {
                my $said = $1;
                $row->{sign} = $said if $said =~ SIGN;
                print "    seed ", $row->{seeds} + $played, ": $said\n"
                    if $said =~ /^(?:L1|harness)/;
            }
        }

        close $fh;
        $row->{seeds} += $played;
        die "chaos does not run\n" if !$played;
    }
}


# the seeds of above once more, without a bug

sub control {
    my (@rows) = @_;

    my $n = $o{control};

    foreach my $row (@rows) {
        $n = $row->{seeds} if !defined $o{control} && $row->{sign}
                              && $row->{seeds} > ($n // 0);
    }

    return 1 if !$n;

    my %row = (sign => '', seeds => 0);

    run_chaos(\%row, build('the product', 0), 0, $n);
    print "without a bug: ", $row{sign}
        ? "seed $row{seeds}: $row{sign}\n" : "$n seeds, nothing found\n";

    return !$row{sign};
}


sub table {
    my (@rows) = @_;

    my $text = "| bug | breaks | found by | seeds | s | first sign |\n"
               . "|---|---|---|---:|---:|---|\n";

    foreach my $r (@rows) {
        my $sign = $r->{sign};

        $sign = substr($sign, 0, 87) . '...' if length $sign > 90;
        $sign =~ s/([|<])/\\$1/g;

        $text .= sprintf "| %s: %s | %s | %s | %s | %.0f | %s |\n",
            @$r{qw(name what breaks by)},
            $r->{sign} ? $r->{seeds} || '-' : 'not found', $r->{took}, $sign;
    }

    RushTest::spew("$dir/table.md", $text);
    print "\n$text\n";
}


exit main();
