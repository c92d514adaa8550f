package Chaos::Shrink;

# Copyright (C) Rush
#
# Leaves out faults, then operations, of a plan that fails, while what is
# left still fails (delta debugging).  Processes do not run the same way
# twice: a plan counts as failing when one of three tries fails.
#
#   my $plan = Chaos::Shrink->run($plan, sub { my ($members) = @_; 1: fails });

use warnings;
use strict;

use constant TRIES => 3;


sub run {
    my ($class, $plan, $fails, $say) = @_;

    my $self = bless { fails => $fails, say => $say || sub { },
                       plan => { %$plan } }, $class;

    $self->{say}->('the whole plan fails again: '
                   . ($self->still() ? 'yes' : 'no, nothing can be said'));
    return $self->{plan} if !$self->{failed};

    $self->fewer_faults();
    $self->fewer_kinds();
    $self->fewer_ops();

    return $self->{plan};
}


sub still {
    my ($self, %other) = @_;

    my %try = (%{$self->{plan}}, %other);

    foreach (1 .. TRIES) {
        next if !$self->{fails}->(\%try);
        $self->{plan} = \%try;
        $self->{failed} = 1;
        return 1;
    }

    return 0;
}


# parts of growing number are left out, one after the other

sub fewer_faults {
    my ($self) = @_;

    my $n = 1;

    while (1) {
        my @all = @{$self->{plan}{faults}};

        last if $n > @all;

        my $size = int((@all + $n - 1) / $n);
        my $shrunk = 0;

        for (my $at = 0; $at < @all; $at += $size) {
            my @rest = @all[grep { $_ < $at || $_ >= $at + $size } 0 .. $#all];

            next if !$self->still(faults => \@rest);
            $self->{say}->(@rest . ' faults are enough');
            $shrunk = 1;
            last;
        }

        $n = $shrunk ? ($n > 2 ? $n - 1 : 2)
            : $size == 1 ? @all + 1 : $n * 2;
    }
}


sub fewer_kinds {
    my ($self) = @_;

    foreach my $kind (sort keys %{$self->{plan}{ops}{weights}}) {
        my $ops = $self->{plan}{ops};
        my %weights = %{$ops->{weights}};

        next if $kind eq 'buy' || !$weights{$kind};

        $weights{$kind} = 0;
        $self->{say}->("without \"$kind\"")
            if $self->still(ops => { %$ops, weights => \%weights });
    }
}


sub fewer_ops {
    my ($self) = @_;

    for (my $max = 1024; $max >= 4; $max /= 2) {
        $self->still(ops => { %{$self->{plan}{ops}}, max => $max }) or return;
        $self->{say}->("$max operations are enough");
    }
}


1;
