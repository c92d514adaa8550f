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

    # of no sale: nobody can tell at all
    return 1 if !$other->{aid};

    my (undef, $mine) = held($m->{activities}{$other->{aid}}, $c->{uid});

    return $mine;
}


sub row {
    my ($m, $o, $status) = @_;

    my @amounts = map { $_ * $o->{qty} } @{$o->{prices}};

    return (order_no => $o->{no}, quantity => $o->{qty},
            activity_id => $o->{aid} || undef, price => $o->{prices},
            amount => \@amounts,
            status => $status // Api::Trade::order_states($m, $o));
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

    my $s = $c->{data}{order_status} // 0;

    return (field($c, status => $s == 5 ? 'failed' : 'success',
                  order_status => Api::Trade::order_states($m, $o),
                  reason => $s == 5 ? 'user' : undef),
            sub { Api::Trade::saw($m, $o, $s) });
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
            || told($c) eq 'OK' && field($c, row($m, $o)) || undef,
            sub {
                return if told($c) ne 'OK';
                Api::Trade::saw($m, $o, $c->{data}{status});
                $o->{code} //= $c->{data}{trade_code};
            });
}


sub seckill_order_cancel {
    my ($m, $c) = @_;

    my $no = $c->{v}{id};
    my $o = order($m, $c, $no, $c->{uid});

    if (!$o) {
        return want($c, 'NOT_FOUND',
                    unknown($m, $c, $no) ? 'ORDER_PROCESSING' : ());
    }

    my @may = ($o->{row} ? () : 'ORDER_PROCESSING',
               Api::Trade::surely($m, $o, 1, 5) ? () : 'ORDER_STATE',
               Api::Trade::may($m, $o, 1) || $o->{cancelled} ? 'OK' : ());
    my $wrong = want($c, @may)
        || told($c) eq 'OK' && field($c, row($m, $o, 5),
                                     cancel_reason => 'user');

    return ($wrong || undef, sub {

        # what else would have kept it
        $o->{seen} = 2 if told($c) eq 'ORDER_STATE' && $o->{seen} == 1;
        $o->{row} = 1 if told($c) ne 'ORDER_PROCESSING';

        return if told($c) ne 'OK' || $o->{seen} == 5;

        @$o{qw(seen cancelled)} = (5, 1);

        my $a = $m->{activities}{$o->{aid}};

        comes_back($m, $c, $o, $a) if $a;
    });
}


# units on their way into the sale

sub comes_back {
    my ($m, $c, $o, $a) = @_;

    $a->{quiet} = 0;
    $m->{keys}{"$o->{aid}:$o->{uid}:$o->{key}"} = [$o->{no}, "-$o->{no}"];
    push @{$a->{pend}}, { qty => $o->{qty}, uid => $o->{uid},
                          order => $o->{no} };
    record($a, $c);
}


sub listed {
    my ($m, $c, @mine) = @_;

    my $status = $c->{v}{status};
    my %plain = map { $_ => 1 } qw(page page_size status activity_id user_id
                                   kind);

    return want($c, 'BAD_REQUEST')
        if ($c->{v}{kind} // 'seckill') !~ /^(?:seckill|ordinary)$/;
    return want($c, qw(OK BAD_REQUEST NOT_FOUND))
        if grep { !$plain{$_} } keys %{$c->{v}};

    @mine = grep { ($c->{v}{kind} eq 'seckill') == ($_->{aid} ? 1 : 0) } @mine
        if defined $c->{v}{kind};
    @mine = grep { Api::Trade::may($m, $_, $status) } @mine
        if defined $status;

    my @sure = grep { $_->{row} && (!defined $status
                      || Api::Trade::surely($m, $_, $status)) } @mine;

    return want($c, 'OK') || $c->{n} == 1
        && paged($c, scalar @sure, scalar @mine) || undef;
}


sub seckill_order_list {
    my ($m, $c) = @_;
    return listed($m, $c, grep { $_->{uid} eq $c->{uid} && !$_->{hidden} }
                          @{$m->{orders}});
}


sub seckill_mine {
    my ($m, $c) = @_;
    return listed($m, $c, grep { $_->{uid} eq $c->{uid} && !$_->{hidden}
                                 && $_->{aid} } @{$m->{orders}});
}


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
            || told($c) eq 'OK' && field($c, row($m, $o),
                user_id => $o->{uid}, request_id => $o->{key}) || undef,
            sub { Api::Trade::saw($m, $o, $c->{data}{status})
                      if told($c) eq 'OK' });
}


1;
