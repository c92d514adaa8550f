package Chaos::PayerAsk;

# Copyright (C) Rush
#
# What a payer (Chaos::Payer) does next, and the request that does it.
#
# Operations: buy, order (an ordinary one), look, cancel, pay, take (at the
# sandbox), status, close, early (a notice before its payment, of an order that
# waits or has ended: Chaos::Early), forged, refund, seen (of a refund),
# confirm; of an administrator ship, redeem, approve, reject, retry, return (a
# refund nobody asked for); race: two at once.

use warnings;
use strict;

use constant STEPS => 30;               # with one order, at most
use constant ORDERS => 12;

my $api = '/api/v1';

my %ADMIN = map { $_ => 1 } qw(ship redeem approve reject retry return);

my %REQUEST = (
    order => sub {
        (POST => "$api/orders", { product_id => $_[0]{product},
                                  quantity => $_[0]{q} })
    },
    look => sub { (GET => "$api/orders/$_[0]{no}") },
    cancel => sub { (POST => "$api/orders/$_[0]{no}/cancel", {}) },
    confirm => sub { (POST => "$api/orders/$_[0]{no}/confirm", {}) },
    pay => sub {
        (POST => "$api/orders/$_[0]{no}/pay", { channel => 'sandbox' })
    },
    take => sub {
        my ($x) = @_;
        return (POST => "$api/payment/sandbox/$x->{pid}/pay", {
            $x->{fault} ? (fault => $x->{fault}) : (),
            $x->{late} ? (late_ms => $x->{late}) : () });
    },
    status => sub {
        (GET => "$api/payment/$_[0]{pid}/status"
                . ($_[0]{sync} ? '?sync=1' : ''))
    },
    close => sub { (POST => "$api/payment/$_[0]{pid}/close", {}) },
    refund => sub {
        my ($x) = @_;
        return (POST => "$api/payment/$x->{pid}/refund",
                { reason => 'chaos', amount => $x->{amount} });
    },
    return => sub {
        my ($x) = @_;
        return (POST => "$api/admin/payments/$x->{pid}/refund",
                { reason => 'chaos', amount => $x->{amount} });
    },
    seen => sub {
        (GET => "$api/payment/$_[0]{pid}/refunds/$_[0]{rid}")
    },
    ship => sub {
        (POST => "$api/admin/orders/$_[0]{no}/ship",
         { carrier => 'SF', number => 'SF1' })
    },
    redeem => sub {
        (POST => "$api/admin/orders/redeem", { trade_code => $_[0]{code} })
    },
    forged => sub { (POST => "$api/payment/callback/wechat") },
    map({ my $how = $_;
          $how => sub { (POST => "$api/admin/refunds/$_[0]{rid}/$how",
                         $how eq 'reject' ? { reason => 'chaos' } : {}) }
        } qw(approve reject retry)),
);


# as RushTest has requests; the driver has the tokens

sub request {
    my ($self, $x) = @_;

    my ($method, $path, $data) = $REQUEST{$x->{op}}->($x);

    return { method => $method, path => $path, %{$x->{notice}} }
        if $x->{op} eq 'forged';

    return { method => $method, path => $path, data => $data,
             defined $x->{key} ? (key => $x->{key}) : (),
             $ADMIN{$x->{op}} ? (admin => 1) : (user => $self->{user}) };
}


sub choose {
    my ($self, $rnd, $now, $shop) = @_;

    my @mine = sort { $a->{no} cmp $b->{no} }
        grep { ($_->{steps} // 0) < STEPS } values %{$self->{orders}};
    my $n = keys %{$self->{orders}};

    $self->{serial}++;

    if (!@mine || @mine < 3 && $n < ORDERS && $rnd->chance(25)) {
        return new_order($self, $rnd, $shop);
    }

    if ($shop->{forged} && $rnd->chance(2)) {
        my $way = $rnd->pick(sort keys %{$shop->{forged}});
        return { op => 'forged', way => $way,
                 notice => $shop->{forged}{$way} };
    }

    my $o = $rnd->pick(@mine);

    if (forgets($o, $rnd, $now, $shop)) {
        $o->{steps}++;
        return { op => 'look', no => $o->{no} };
    }

    my %all = ops($self, $o, $rnd, $now);
    my $name = $rnd->weighted(map { $_ => $all{$_}[0] } sort keys %all);

    $o->{steps}++;

    return $all{$name}[1];
}


sub new_order {
    my ($self, $rnd, $shop) = @_;

    # somebody who is not sure
    my @doubt = grep { $self->{asks}{$_}{product} && $self->{asks}{$_}{doubt} }
        sort keys %{$self->{asks}};

    if (@doubt && $rnd->chance(60)) {
        my $key = $rnd->pick(@doubt);
        my $ask = $self->{asks}{$key};
        return { op => 'order', key => $key, product => $ask->{product},
                 q => $ask->{q} };
    }

    my $key = "$self->{name}-$self->{serial}";

    return { op => 'order', key => $key, q => $rnd->pick(1, 1, 2),
             product => $rnd->pick(@{$shop->{products}}) }
        if @{$shop->{products} || []} && $rnd->chance(35);

    # the last one leaves little time
    my $sale = $rnd->pick(@{$shop->{sales}}, $shop->{sales}[-1]);

    return { op => 'buy', key => $key, sale => $sale->{id}, q => 1 };
}


# whose time to pay is short may let it pass, and pay then

sub forgets {
    my ($o, $rnd, $now, $shop) = @_;

    if (!defined $o->{forgets}) {
        my ($sale) = grep { $_->{id} eq ($o->{sale} // '') }
            @{$shop->{sales}};

        $o->{forgets} = $sale && ($sale->{pay_seconds} // 1e9) < 10
            && $rnd->chance(60) ? 1 : 0;
    }

    return 0 if !$o->{forgets};

    $o->{late} = $now > ($o->{deadline} // 9e15) + 0.3;

    return !$o->{late} && ($o->{status} // 1) == 1;
}


# the state it is in by now, most likely: who is in a hurry does not look

sub guess {
    my ($o) = @_;

    return $o->{status} if ($o->{status} // 0) > 1;
    return 2 if grep { $_->{yes}{take} } values %{$o->{payments}};
    return $o->{late} ? 5 : 1;
}


# name => [weight, operation] of all that may be done with it now

sub ops {
    my ($self, $o, $rnd, $now) = @_;

    my %x = (no => $o->{no});
    my $s = guess($o);
    my %all = (look => [$o->{status} ? 10 : 25, { %x, op => 'look' }]);
    my @payments = sort { $a->{id} cmp $b->{id} } values %{$o->{payments}};
    my $p = @payments ? $rnd->pick(@payments) : undef;

    $all{cancel} = [$s == 1 ? 6 : 2, { %x, op => 'cancel' }];
    $all{pay} = [$s == 1 && !$p ? 45 : 3, { %x, op => 'pay' }];
    $all{pays} = [$s == 1 ? 6 : 1, both({ %x, op => 'pay' },
                                        { %x, op => 'pay' })];

    # of an order that has ended it comes too late
    $all{early} = [$s == 1 ? 5 : $o->{forgets} ? 40 : 15, { %x, op => 'early',
                   pid => early_id($self), amount => $o->{amount} }]
        if ($s == 1 || $s == 5) && $o->{amount};

    of_payment($self, $o, $p, $rnd, \%all) if $p;

    if ($s == 2) {
        $all{ship} = [8, { %x, op => 'ship' }];
        $all{redeem} = [6, { %x, op => 'redeem', code => $o->{code} }]
            if defined $o->{code};
        $all{redeems} = [4, both({ %{$all{redeem}[1]} },
                                 { %{$all{redeem}[1]} })] if $all{redeem};
    }

    $all{confirm} = [10, { %x, op => 'confirm' }] if $s == 3;

    return %all;
}


sub of_payment {
    my ($self, $o, $p, $rnd, $all) = @_;

    my $s = guess($o);
    my %x = (no => $o->{no}, pid => $p->{id});
    my $take = take($rnd, %x);
    my $taken = $p->{yes}{take} || $p->{maybe}{take};
    my $weight = $s == 1 ? 40 : $s == 5 ? 25 : 2;

    $weight = 3 if $taken;

    $all->{take} = [$weight, $take];
    $all->{status} = [10, { %x, op => 'status',
                            sync => $taken && $rnd->chance(60) ? 1 : 0 }];
    $all->{close} = [$s == 1 ? 4 : 1, { %x, op => 'close' }];

    if ($s == 1) {
        $all->{take_cancel} = [$taken ? 3 : 14,
                               both(take($rnd, %x),
                                    { %x, op => 'cancel', pid => undef })];
        $all->{take_close} = [6, both(take($rnd, %x),
                                      { %x, op => 'close' })];
        $all->{takes} = [5, both(take($rnd, %x), take($rnd, %x))];
    }

    of_refund($self, $o, $p, $rnd, $all)
        if $s =~ /^[234678]$/ || ($p->{state} // '') =~ /^(?:paid|late|ret)/;
}


sub take {
    my ($rnd, %x) = @_;

    my $fault = $rnd->weighted(none => 45, lost => 15, twice => 15,
                               wrong_amount => 10, late => 15);

    return { %x, op => 'take',
             $fault eq 'late' ? (late => $rnd->range(100, 1500))
             : $fault eq 'none' ? () : (fault => $fault) };
}


sub of_refund {
    my ($self, $o, $p, $rnd, $all) = @_;

    my $amount = $p->{amount} // $o->{amount} or return;
    my %x = (no => $o->{no}, pid => $p->{id});
    my $ask = sub {
        my ($n) = @_;
        return { %x, op => 'refund', key => "$self->{name}-$self->{serial}-$n",
                 amount => $rnd->pick($amount, $amount, int($amount / 2), 1,
                                      $amount + 1) };
    };

    $all->{refund} = [12, $ask->(1)];
    $all->{refunds} = [6, both($ask->(1), $ask->(2))];

    my $same = $ask->(1);

    $all->{same} = [4, both($same, { %$same })];
    $all->{return} = [4, { %$same, op => 'return' }];
    $all->{returns} = [3, both($ask->(1), { %$same, op => 'return',
                                            key => "$same->{key}-r" })];

    my @open = grep { ($_->{state} // 'requested') eq 'requested' }
        map { $o->{refunds}{$_} } sort keys %{$o->{refunds}};
    my $r = @open ? $rnd->pick(@open)
        : (map { $o->{refunds}{$_} } sort keys %{$o->{refunds}})[0];

    return if !$r;

    %x = (%x, rid => $r->{id}, pid => $r->{pid});

    $all->{approve} = [@open ? 30 : 2, { %x, op => 'approve' }];
    $all->{reject} = [@open ? 4 : 1, { %x, op => 'reject' }];
    $all->{retry} = [1, { %x, op => 'retry' }];
    $all->{seen} = [10, { %x, op => 'seen' }];
    $all->{approves} = [5, both({ %x, op => 'approve' },
                                { %x, op => 'approve' })];
    $all->{either} = [5, both({ %x, op => 'approve' },
                              { %x, op => 'reject' })];

    # an operator who has seen that it failed
    my ($failed) = grep { ($_->{state} // '') eq 'failed' }
        map { $o->{refunds}{$_} } sort keys %{$o->{refunds}};

    $all->{again} = [30, { %x, op => 'retry', rid => $failed->{id},
                           pid => $failed->{pid} }] if $failed;

    # the other one of two, as it is approved
    $all->{all} = [15, both(map { { %x, op => 'approve', rid => $_->{id},
                                    pid => $_->{pid} } } @open[0, 1])]
        if @open > 1;
}


sub both { return { op => 'race', both => [@_] } }


# beyond all that a worker makes

sub early_id {
    my ($self) = @_;

    return 9_000_000_000_000_000_000 + $self->{user} * 1000
        + $self->{serial} % 1000;
}


1;
