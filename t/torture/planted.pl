#!/usr/bin/perl

# Copyright (C) Rush
#
# Puts each bug of planted/*.patch into a copy of the sources and lets torture
# look for it, as the head of the patch says; without the bug the same must
# find nothing.
#
#   ./build.sh torture --planted [NAME...]

use warnings;
use strict;

use File::Basename qw(basename dirname);
use File::Path qw(make_path remove_tree);
use Cwd qw(abs_path);
use Time::HiRes qw(time);

my $root = abs_path(dirname(__FILE__) . '/../..');
my $dir = ($ENV{RUSH_BUILD} || "$root/build") . '/torture-planted';
my $tree = "$dir/tree";


sub main {
    my (@names) = @_;

    my @patches = grep { my $name = basename($_, '.patch');
                         !@names || grep { $_ eq $name } @names }
        sort glob "$root/t/torture/planted/*.patch";

    die "no such bug\n" if !@patches;

    $| = 1;
    remove_tree($tree);
    make_path($tree);
    my $not = join ' ', map { "--exclude='./$_'" }
        qw(.git build build-* run);
    shell("tar cf - -C '$root' $not . | tar xf - -C '$tree'");

    $ENV{RUSH_BUILD} = "$dir/build";
    my $missed = grep { !look_for($_) } @patches;

    printf "%d of %d were found\n", @patches - $missed, scalar @patches;
    return $missed ? 1 : 0;
}


sub look_for {
    my ($patch) = @_;

    my $name = basename($patch, '.patch');
    my $start = time();

    open my $fh, '<', $patch or die "$patch: $!\n";
    my ($args) = join('', <$fh>) =~ /^# found by: torture (.*)/m
        or die "$patch: no \"found by\"\n";

    shell("cd '$tree' && patch -s -p1 -F0 < '$patch'");
    my ($end, $sign) = torture($args);
    shell("cd '$tree' && patch -s -R -p1 -F0 < '$patch'");

    if ($end != 1 || !$sign) {
        print "$name: NOT FOUND by \"$args\", exit $end\n";
        return 0;
    }

    my $took = time() - $start;

    ($end, my $wrong) = torture($args);

    if ($end != 0) {
        print "$name: without the bug as well: ", $wrong // "exit $end", "\n";
        return 0;
    }

    printf "%-16s %-36s %3.0f s\n  %s\n", $name, $args, $took, $sign;
    return 1;
}


# (exit code, its first finding)

sub torture {
    my ($args) = @_;

    my $out = qx('$tree/t/torture/run' $args 2>&1);
    my $end = $? >> 8;
    my ($sign) = $out =~ /^\s+FAIL (.*(?:\n\s+(?:# |not ok).*)*)/m;

    print $out if $end > 1;
    return ($end, $sign);
}


sub shell {
    my ($command) = @_;
    system($command) == 0 or die "failed: $command\n";
}


exit main(@ARGV);
