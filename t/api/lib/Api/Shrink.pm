package Api::Shrink;

# Copyright (C) Rush
#
# Delta debugging: leaves out ever smaller parts of a list for as long as what
# is left still fails.

use warnings;
use strict;

use Exporter qw(import);

our @EXPORT_OK = qw(shrink);


# the smallest list found for which $fails is true, within so many tries

sub shrink {
    my ($fails, $tries, @list) = @_;

    my $size = int((@list + 1) / 2);

    while ($size && @list > 1 && $tries > 0) {
        my $before = @list;

        for (my $from = 0; $from < @list && $tries > 0; ) {
            my @rest = @list;

            splice @rest, $from, $size;
            $from += $size;
            next if !@rest;
            $tries--;

            if ($fails->(@rest)) {
                @list = @rest;
                # the next part has moved here
                $from -= $size;
            }
        }

        # by ones until none can go
        $size = $size > 1 ? int(($size + 1) / 2) : @list < $before ? 1 : 0;
    }

    return @list;
}


1;
