#!/usr/bin/perl

# Copyright (C) Rush
#
# Some random calls against the reference model of the API; "./build.sh api"
# runs as many as one likes.  And one liar, who must be found.

use warnings;
use strict;

use FindBin;
use Test::More;

my @RUN = ($^X, "$FindBin::Bin/api/run");


sub run {
    my ($name, $exit, $pattern, @args) = @_;

    open my $fh, '-|', @RUN, @args or die "$RUN[1]: $!";
    my $out = do { local $/; <$fh> } // '';
    close $fh;

    ok(($? >> 8) == $exit && $out =~ $pattern, $name) or diag($out);
    note($out);
}


run('one to six clients', 0, qr/^8 seeds, 1 to 6 clients: 0 failed/m,
    '--seeds', 8, '--length', 50, '--clients', 0);
run('a liar is found', 0, qr/^1 lies, 0 not found/m,
    '--selftest', 'a list counts one more', '--length', 40);

done_testing();
