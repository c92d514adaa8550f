package Chaos::Rand;

# Copyright (C) Rush
#
# Numbers that follow from a seed, the same on every machine (xorshift, 32
# bits).  The label keeps apart who draws: what one draws more moves nobody
# else.
#
#   my $rnd = Chaos::Rand->new($seed, 'plan');
#   $rnd->below($n)         0 .. n - 1
#   $rnd->range($a, $b)     a .. b
#   $rnd->chance($percent)
#   $rnd->pick(@list)
#   $rnd->weighted(@pairs)  of (name => weight, ...) one name

use warnings;
use strict;

use Digest::SHA qw(sha1);


sub new {
    my ($class, $seed, $label) = @_;

    my $x = unpack 'N', sha1("$label $seed");

    return bless { x => $x || 1 }, $class;
}


sub below {
    my ($self, $n) = @_;

    my $x = $self->{x};

    $x ^= ($x << 13) & 0xffffffff;
    $x ^= $x >> 17;
    $x ^= ($x << 5) & 0xffffffff;
    $self->{x} = $x;

    return $n > 0 ? $x % $n : 0;
}


sub range {
    my ($self, $from, $to) = @_;
    return $from + $self->below($to - $from + 1);
}


sub chance {
    my ($self, $percent) = @_;
    return $self->below(100) < $percent;
}


sub pick {
    my ($self, @list) = @_;
    return $list[$self->below(scalar @list)];
}


sub weighted {
    my ($self, @pairs) = @_;

    my ($sum, $n) = (0, 0);

    $sum += $pairs[2 * $_ + 1] foreach 0 .. $#pairs / 2;
    $n = $self->below($sum);

    while (@pairs > 2) {
        my ($name, $weight) = splice @pairs, 0, 2;
        return $name if $n < $weight;
        $n -= $weight;
    }

    return $pairs[0];
}


1;
