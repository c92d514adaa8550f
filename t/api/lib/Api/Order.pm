package Api::Order;

# Copyright (C) Rush
#
# The model of orders.  Each function is named after the operation it judges
# and returns (what is wrong, what follows).  An order has "row" once somebody
# was shown its row: until then it may be on its way.

use warnings;
use strict;

BEGIN { *want = \&Api::Model::want; *field = \&Api::Model::field;
        *told = \&Api::Model::told; *held = \&Api::Sale::held;
        *record = \&Api::Catalog::record; *paged = \&Api::Catalog::paged }

my $YOUNG = 86_400_000; # ms in which an order may still be without a row


sub order {
    my ($m, $c, $no, $uid) = @_;

    foreach (@{$m->{orders}}) {
        return $_ if $_->{no} eq ($no // '')
            && (!defined $uid || $_->{uid} eq $uid);
    }

    return;
}


# Somebody else's order is none (docs/protocol.md); only while its row is on
# its way nobody can tell whose it is, but that one holds units of the sale.

sub unknown {
    my ($m, $c, $no) = @_;

    my $other = order($m, $c, $no);

    return 0 if !$other || $other->{row} || $c->{t0} - $other->{at} >= $YOUNG;

    my (undef, $mine) = held($m->{activities}{$other->{aid}}, $c->{uid});

    return $mine;
}


sub row {
    my ($o, $status) = @_;

    my @amounts = map { $_ * $o->{qty} } @{$o->{prices}};

    return (order_no => $o->{no}, quantity => $o->{qty},
            activity_id => $o->{aid}, price => $o->{prices},
            amount => \@amounts, status => $status // $o->{status});
}


sub seckill_result {
    my ($m, $c) = @_;

    my $no = $c->{v}{order_no};
    my $o = order($m, $c, $no, $c->{uid});

    if (!$o) {
        return want($c, 'NOT_FOUND', unknown($m, $c, $no) ? 'OK' : ())
            || told($c) eq 'OK' && field($c, status => 'queued') || undef;
    }

    my $wrong = want($c, 'OK');
    return $wrong if $wrong;

    return undef if $c->{data}{status} eq 'queued' && !$o->{row};

    return (field($c, status => $o->{status} == 5 ? 'failed' : 'success',
                  order_status => $o->{status},
                  reason => $o->{status} == 5 ? 'user' : undef),
            sub { $o->{row} = 1 });
}


sub seckill_order_detail {
    my ($m, $c) = @_;

    my $no = $c->{v}{id};
    my $o = order($m, $c, $no, $c->{uid});

    if (!$o) {
        return want($c, 'NOT_FOUND',
                    unknown($m, $c, $no) ? 'ORDER_PROCESSING' : ());
    }

    return (want($c, 'OK', $o->{row} ? () : 'ORDER_PROCESSING')
            || told($c) eq 'OK' && field($c, row($o)) || undef,
            sub { $o->{row} = 1 if told($c) eq 'OK' });
}


sub seckill_order_cancel {
    my ($m, $c) = @_;

    my $no = $c->{v}{id};
    my $o = order($m, $c, $no, $c->{uid});

    if (!$o) {
        return want($c, 'NOT_FOUND',
                    unknown($m, $c, $no) ? 'ORDER_PROCESSING' : ());
    }

    my $wrong = want($c, 'OK', $o->{row} ? () : 'ORDER_PROCESSING')
        || told($c) eq 'OK' && field($c, row($o, 5),
                                     cancel_reason => 'user');

    return ($wrong || undef, sub {
        return if told($c) ne 'OK';

        my $a = $m->{activities}{$o->{aid}};

        $o->{row} = 1;
        return if $o->{status} == 5;

        $o->{status} = 5;
        $a->{quiet} = 0;
        $m->{keys}{"$o->{aid}:$o->{uid}:$o->{key}"} = [$o->{no}, "-$o->{no}"];
        push @{$a->{pend}}, { qty => $o->{qty}, uid => $o->{uid},
                              order => $o->{no} };
        record($a, $c);
    });
}


sub listed {
    my ($m, $c, @mine) = @_;

    my $status = $c->{v}{status};

    @mine = grep { $_->{status} == $status } @mine if defined $status;

    return want($c, 'OK') || $c->{n} == 1
        && paged($c, scalar(grep { $_->{row} } @mine), scalar @mine)
        || undef;
}


sub seckill_order_list {
    my ($m, $c) = @_;
    return listed($m, $c, grep { $_->{uid} eq $c->{uid} } @{$m->{orders}});
}


sub seckill_mine { return seckill_order_list(@_) }


sub seckill_admin_order_list {
    my ($m, $c) = @_;

    my ($aid, $uid) = @{$c->{v}}{qw(activity_id user_id)};

    return want($c, 'OK') if !defined $aid && !defined $uid;

    return listed($m, $c,
        grep { (!defined $aid || $_->{aid} eq $aid)
               && (!defined $uid || $_->{uid} eq $uid) } @{$m->{orders}});
}


sub seckill_admin_order_detail {
    my ($m, $c) = @_;

    my $o = order($m, $c, $c->{v}{id}) or return want($c, 'NOT_FOUND');

    return (want($c, 'OK', $o->{row} ? () : 'NOT_FOUND')
            || told($c) eq 'OK' && field($c, row($o), user_id => $o->{uid},
                                         request_id => $o->{key}) || undef,
            sub { $o->{row} = 1 if told($c) eq 'OK' });
}


1;
