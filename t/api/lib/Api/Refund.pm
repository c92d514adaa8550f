package Api::Refund;

# Copyright (C) Rush
#
# The model of refunds, see Api::Trade, and of lists of money.  Each function
# is named after the operation it judges and returns (what is wrong, what
# follows).

use warnings;
use strict;

BEGIN { *want = \&Api::Model::want; *field = \&Api::Model::field;
        *told = \&Api::Model::told; *keyed = \&Api::Trade::keyed;
        *payment = \&Api::Trade::payment; *one_of = \&Api::Trade::one_of;
        *promised = \&Api::Trade::promised;
        *is_whole = \&Api::Trade::is_whole;
        *refunds_of = \&Api::Trade::refunds_of;
        *order_states = \&Api::Trade::order_states;
        *payment_states = \&Api::Trade::payment_states;
        *refund_states = \&Api::Trade::refund_states }


sub left {
    my ($m, $p) = @_;
    return $p->{amount} - promised($m, $p, 'approve')
        - promised($m, $p, '');
}


sub seckill_payment_refund {
    my ($m, $c) = @_;

    return keyed($m, $c, sub {
        my $p = payment($m, $c, $c->{v}{id}) or return want($c, 'NOT_FOUND');
        return asks_back($m, $c, $p, undef);
    });
}


sub seckill_admin_payment_refund {
    my ($m, $c) = @_;

    my $p = payment($m, undef, $c->{v}{id}) or return want($c, 'NOT_FOUND');

    # one with a key is told what an earlier one was
    return undef if defined $c->{v}{'idempotency-key'} && told($c) ne 'OK';

    return asks_back($m, $c, $p, 'approve');
}


sub asks_back {
    my ($m, $c, $p, $decision) = @_;

    my $o = Api::Order::order($m, undef, $p->{no});
    my $s = payment_states($m, $p);
    my $paid = one_of($s, 'paid');
    my $gone = grep { /^[67]$/ } @{order_states($m, $o)};
    my $left = $paid ? left($m, $p) : 0;
    my $amount = $c->{v}{amount} // $left;
    my $fits = $paid && $left > 0 && $amount <= $left;
    my @codes = grep { $_ ne 'paid' } @$s ? 'PAY_STATE' : ();

    push @codes, 'OK' if $fits;
    push @codes, 'REFUND_SUM' if $paid && !$fits;
    push @codes, 'ORDER_STATE' if $paid && $gone;
    push @codes, 'BUSY' if $c->{n} > 1;

    my $wrong = want($c, @codes)
        || told($c) eq 'OK' && field($c, payment_id => $p->{id},
            order_no => $o->{no}, amount => $amount,
            state_text => $decision ? [qw(approved sending processing done)]
                                    : 'requested');

    return ($wrong || undef, sub {
        return if told($c) ne 'OK';
        $p->{seen} = 'paid';
        $o->{seen} = 2 if $o->{seen} == 1;
        $m->{refunds}{$c->{data}{id}} = {
            id => $c->{data}{id}, pid => $p->{id}, amount => $amount,
            seen => $c->{data}{state_text}, at => $c->{t1} };
        approved($m, $c, $m->{refunds}{$c->{data}{id}}) if $decision;
    });
}


# when the whole of it goes back, units do, too, unless they have left us

sub approved {
    my ($m, $c, $r) = @_;

    my $p = $m->{payments}{$r->{pid}};
    my $o = Api::Order::order($m, undef, $p->{no});

    $r->{decision} = 'approve';

    return if !is_whole($m, $o) || grep { /^[34]$/ } @{$o->{way} || []};

    my $a = $m->{activities}{$o->{aid}} or return;

    return if grep { ($_->{order} // '') eq $o->{no} } @{$a->{pend}};

    Api::Order::comes_back($m, $c, $o, $a);
}


sub decide {
    my ($m, $c, $decision) = @_;

    my $r = $m->{refunds}{$c->{v}{id}} or return want($c, 'NOT_FOUND');
    my @conflict = defined $c->{v}{version} ? 'CONFLICT' : ();

    return want($c, 'REFUND_STATE') if $r->{decision};

    return (want($c, 'OK', @conflict), sub {
        return if told($c) ne 'OK';
        $r->{seen} = $c->{data}{state_text};
        $r->{decision} = $decision;
        approved($m, $c, $r) if $decision eq 'approve';
    });
}


sub seckill_refund_approve { return decide(@_, 'approve') }
sub seckill_refund_reject { return decide(@_, 'reject') }


# nothing fails at the sandbox

sub seckill_refund_retry {
    my ($m, $c) = @_;
    return want($c, $m->{refunds}{$c->{v}{id}} ? 'REFUND_STATE'
                                               : 'NOT_FOUND');
}


sub seckill_refund_detail {
    my ($m, $c) = @_;

    my $p = payment($m, $c, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my $r = $m->{refunds}{$c->{v}{refund_id}};

    return want($c, 'NOT_FOUND') if !$r || $r->{pid} ne $p->{id};

    return (want($c, 'OK')
            || field($c, amount => $r->{amount},
                     state_text => refund_states($m, $r)),
            sub { $r->{seen} = $c->{data}{state_text} });
}


sub seckill_payment_refunds {
    my ($m, $c) = @_;

    my $p = payment($m, $c, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my @all = refunds_of($m, $p);
    my $wrong = want($c, 'OK');

    # money that came too late goes back by itself
    my $own = one_of(payment_states($m, $p), qw(late returned));

    return $wrong if $wrong || $own || $c->{n} > 1;

    my $n = @{$c->{data}};
    return $n == @all ? undef : "$n refunds, the model has " . @all;
}


# --- lists of everybody ---

sub anything {
    my ($m, $c) = @_;

    my %fine = map { $_ => 1 } qw(page page_size);
    my $more = grep { !$fine{$_} } keys %{$c->{v} || {}};

    return want($c, 'OK', $more ? qw(BAD_REQUEST NOT_FOUND) : ());
}


sub seckill_admin_payments { return anything(@_) }
sub seckill_admin_refunds { return anything(@_) }
sub seckill_settlements { return anything(@_) }


sub seckill_payment_notices {
    my ($m, $c) = @_;
    return want($c, $m->{payments}{$c->{v}{id}} ? 'OK' : 'NOT_FOUND', 'OK');
}


sub seckill_report {
    my ($m, $c) = @_;
    return want($c, Api::Catalog::activity($m, $c->{v}{id}) ? 'OK'
                                                            : 'NOT_FOUND');
}


1;
