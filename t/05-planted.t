#!/usr/bin/perl

# Copyright (C) Rush
#
# The bugs that chaos has to find can still be planted: each patch has its
# head and applies to the tree as it is.

use warnings;
use strict;

use FindBin;
use File::Basename qw(basename);
use Test::More;

my $root = "$FindBin::Bin/..";
my @patches = sort glob "$FindBin::Bin/chaos/planted/*.patch";

cmp_ok(scalar @patches, '>=', 14, 'bugs');

foreach my $patch (@patches) {
    my $name = basename($patch, '.patch');

    open my $fh, '<', $patch or die "$patch: $!";
    my @head = map { scalar <$fh> } 1 .. 4;
    close $fh;

    like(join('', @head),
         qr/\A# \Q$name\E: \S.*\n# breaks: \S.*\n# found by: \S.*\n\n\z/,
         "$name: head");

    my $out = qx(cd '$root' && patch -p1 -F0 -N --dry-run < '$patch' 2>&1);
    is($?, 0, "$name: applies") or diag($out);
    unlike($out, qr/offset|fuzz/, "$name: where it belongs") or diag($out);
}

done_testing();
