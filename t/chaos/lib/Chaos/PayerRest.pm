package Chaos::PayerRest;

# Copyright (C) Rush
#
# What a payer (Chaos::Payer) knows, and what has become of it.

use warnings;
use strict;


sub rest {
    my ($self, $rows) = @_;

    foreach my $no (sort keys %{$self->{orders}}) {
        order($self, $self->{orders}{$no}, $rows);
    }
}


sub order {
    my ($self, $o, $rows) = @_;

    my $no = $o->{no};
    my $row = $rows->{orders}{$no}
        or return $self->wrong('lost', 'order %s was acknowledged and has no '
                               . 'row', $no);
    my %at = map { $_->{to_status} => 1 } @{$rows->{log}{$no} || []};

    $self->wrong('', 'order %s was in state %d and is in state %d', $no,
                 $o->{status}, $row->{status})
        if !$self->leads($o, $row->{status});
    $self->wrong('live', 'order %s ended in state %d, which nobody asked for',
                 $no, $row->{status})
        if $row->{status} != 9 && ($row->{stock_state} // 0) != 5
           && !$self->may_be($o, $row->{status}, $rows->{now});
    $self->wrong('', 'order %s was cancelled and is in state %d', $no,
                 $row->{status}) if $o->{yes}{cancel} && $row->{status} != 5;

    foreach (['ship', 3], ['redeem', 4], ['confirm', 4]) {
        my ($op, $s) = @$_;
        $self->wrong('', 'order %s: "%s" was acknowledged, not done', $no,
                     $op) if $o->{yes}{$op} && !$at{$s};
    }

    payment($self, $o, $_, $rows->{payments}{$_->{id}},
            $rows->{notices}{$_->{id}} || []) foreach values %{$o->{payments}};
    refund($self, $_, $rows->{refunds}{$_->{id}})
        foreach values %{$o->{refunds}};
}


sub payment {
    my ($self, $o, $p, $row, $amounts) = @_;

    return $self->wrong('', 'payment %s was told and has no row', $p->{id})
        if !$row;

    my $paid = $row->{state} =~ /^[267]$/;

    $self->wrong('', 'payment %s is of order %s, it was told for %s',
                 $p->{id}, $row->{order_no}, $o->{no})
        if $row->{order_no} ne $o->{no};
    $self->wrong('', 'payment %s took money and has none', $p->{id})
        if $p->{yes}{take} && !$paid;

    my @heard = map { $_ == $row->{amount} ? 'money' : 'doubt' } @$amounts;

    foreach my $what (sort keys %{$p->{heard}}) {
        $self->wrong('lost', 'payment %s: the notice of its %s is gone',
                     $p->{id}, $what) if !grep { $_ eq $what } @heard;
    }

    $self->wrong('', 'payment %s has money, and nobody paid', $p->{id})
        if $paid && !Chaos::Payer::paid_by($p);
}


sub refund {
    my ($self, $r, $row) = @_;

    return $self->wrong('', 'refund %s was told and has no row', $r->{id})
        if !$row;

    my $s = $row->{state};
    my $done = $s == 4;

    $self->wrong('', 'refund %s is of %d, asked for were %d', $r->{id},
                 $row->{amount}, $r->{amount})
        if defined $r->{amount} && $row->{amount} != $r->{amount};
    $self->wrong('', 'refund %s was rejected, its state is %d', $r->{id}, $s)
        if $r->{yes}{reject} && $s != 5;
    $self->wrong('', 'refund %s was approved, its state is %d', $r->{id}, $s)
        if $r->{yes}{approve} && $s !~ /^[46]$/;
    $self->wrong('', 'refund %s has state %d, and nobody decided so',
                 $r->{id}, $s)
        if $s != 0 && !Chaos::Payer::could($r, $s == 5 ? 'reject' : 'approve');
    $self->wrong('', 'refund %s had gone back and has not', $r->{id})
        if ($r->{state} // '') eq 'done' && !$done;
}


1;
