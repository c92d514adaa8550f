package Api::Rest;

# Copyright (C) Rush
#
# Orders and money at rest: what still moves, and what must have become of all
# that was asked for.
#
#   my $why = Api::Rest::moving($t, $m);    '' nothing
#   my $state = Api::Rest::order($m, $o);   that it has to be in
#   my $wrong = Api::Rest::money($t, $m);   undef: rows are as the model has it

use warnings;
use strict;

use Api::Trade;
use List::Util qw(sum0);

my @PAYMENT = qw(asked open paid closing closed failed late returned);
my @REFUND = qw(requested approved sending processing done rejected failed);


sub users {
    my ($m) = @_;
    return 'user_id IN (' . join(', ', map { "'$_->{uid}'" }
                                 @{$m->{slots}}, values %{$m->{accounts}},
                                 map { $_->{order} } @{$m->{letters}})
        . ')';
}


sub moving {
    my ($t, $m) = @_;

    my $of = users($m);

    Api::Notice::moving($of);

    my %open = (
        'payments' => "payment WHERE $of AND state IN (0, 3, 6)",
        'payments of orders that have ended' => 'payment p JOIN orders o ON '
            . "o.order_no = p.order_no WHERE p.$of AND p.state = 1 AND "
            . 'o.status <> 1',
        'money that nobody heard of' => 'payment p JOIN sandbox_trade t ON '
            . "t.payment_id = p.id WHERE p.$of AND p.state IN (1, 4, 5) "
            . 'AND t.state = 1',
        'refunds' => "refund WHERE $of AND state IN (1, 2, 3)",
        'orders' => "orders WHERE $of AND (status IN (0, 6) "
            . 'OR stock_state IN (1, 2))',
    );

    foreach my $key ('{rush}order', '{rush}pay') {
        foreach my $g (eval { $t->redis()->xinfo('groups', $key) }) {
            my %g = @$g;
            return "stream $key" if $g{pending} || ($g{lag} // 1);
        }
    }

    foreach my $what (sort keys %open) {
        return $what if $t->value("SELECT COUNT(*) FROM $open{$what}");
    }

    return Api::Ops::moving($t, $m);
}


sub paid_of {
    my ($m, $o) = @_;
    return grep { $_->{paid} } Api::Trade::of_order($m, $o);
}


sub order {
    my ($m, $o) = @_;

    return 5 if $o->{cancelled};
    return 1 if !paid_of($m, $o);
    return 7 if Api::Trade::is_whole($m, $o);
    return $o->{seen} =~ /^[34]$/ ? $o->{seen} : 2;
}


sub payment {
    my ($m, $p) = @_;

    my $o = Api::Order::order($m, undef, $p->{no});

    return $o->{cancelled} ? 'returned' : 'paid' if $p->{paid};
    return $p->{seen} eq 'failed' ? 'failed' : 'closed'
        if $p->{closing} || $o->{cancelled} || $p->{seen} eq 'closed';
    return 'open';
}


sub refund {
    my ($r) = @_;
    return { approve => 'done', reject => 'rejected' }
        ->{$r->{decision} // ''} // 'requested';
}


sub money {
    my ($t, $m) = @_;

    my $of = users($m);
    my %have = map { $_->{id} => $_ }
        $t->sql("SELECT * FROM payment WHERE $of");
    my %back = map { $_->{id} => $_ }
        $t->sql("SELECT * FROM refund WHERE $of");

    foreach my $p (values %{$m->{payments}}) {
        my $row = delete $have{$p->{id}}
            or return "payment $p->{id} has no row";
        my $is = $PAYMENT[$row->{state}];
        my $want = payment($m, $p);

        return "payment $p->{id} is $is, the model has $want"
            if $is ne $want && !($want eq 'closed' && $is eq 'failed');

        my $sum = $is eq 'returned' ? $row->{amount}
            : Api::Trade::promised($m, $p, 'approve');

        return "payment $p->{id}: $row->{refunded} promised, $row->{returned} "
            . "have gone back, the model has $sum"
            if $row->{refunded} != $sum || $row->{returned} != $sum;
        return "payment $p->{id} is of $row->{amount}"
            if defined $p->{amount} && $p->{amount} != $row->{amount};

        @$p{qw(seen amount)} = ($is, $row->{amount});
    }

    return 'payments that nobody was told of: ' . join ' ', sort keys %have
        if %have;

    foreach my $r (values %{$m->{refunds}}) {
        my $row = delete $back{$r->{id}}
            or return "refund $r->{id} has no row";
        my $want = refund($r);

        return "refund $r->{id} is $REFUND[$row->{state}], the model has "
            . $want if $REFUND[$row->{state}] ne $want;
        $r->{seen} = $want;
    }

    # what came too late goes back by itself, once
    my %late;
    $late{$_->{payment_id}} += $_->{amount} foreach values %back;

    foreach my $p (grep { $_->{seen} eq 'returned' }
                   values %{$m->{payments}})
    {
        my $gone = delete $late{$p->{id}} // 0;
        return "payment $p->{id}: $gone of $p->{amount} went back"
            if $gone != $p->{amount};
    }

    return 'refunds that nobody was told of: ' . join ' ', sort keys %late
        if %late;

    return goods($t, $m) || Api::Notice::settle($m);
}


# units of products that only orders change

sub goods {
    my ($t, $m) = @_;

    foreach my $g (@{$m->{goods}}) {
        my ($row) = $t->sql('SELECT stock, taken FROM product WHERE id = ?',
                            $g->{id});
        my $held = sum0(map { $_->{qty} } grep {
            my $o = $_;
            ($o->{good} // '') eq $g->{id} && $o->{seen} != 5
                && !($o->{seen} == 7
                     && !grep { /^[34]$/ } @{$o->{way} || []})
        } @{$m->{orders}});

        return "product $g->{id}: $row->{stock} left and $row->{taken} taken, "
            . "the model has $held taken of $g->{stock}"
            if $row->{taken} != $held
               || $row->{stock} != $g->{stock} - $held;
    }

    return undef;
}


1;
