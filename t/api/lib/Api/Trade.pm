package Api::Trade;

# Copyright (C) Rush
#
# The model of ordinary orders and of money.  Each function is named after the
# operation it judges and returns (what is wrong, what follows); refunds are in
# Api::Refund.
#
# Consumers move money a while after somebody asked for it.  So what is kept
# is what was asked for and granted, and what was seen last; what may be seen
# now follows from both, and is one state only once all is at rest.
#
#   payments  { id, no, uid, channel, amount, seen, paid (at the provider),
#             closing, asked (its answer did not tell) }
#   refunds   { id, pid, amount, seen, decision: approve, reject }
#   goods     [{ id, stock, units }]  products that only orders change
#   made      "uid:route:key" => { print, code, id }
#
# of an order: seen (its state), cancelled, way => [states that were told]

use warnings;
use strict;

use List::Util qw(sum0);

BEGIN { *want = \&Api::Model::want; *field = \&Api::Model::field;
        *told = \&Api::Model::told }

# what may be seen after what
my %ORDER = (0 => [1, 5], 1 => [2, 5], 2 => [3, 4, 6], 3 => [4, 6],
             4 => [6], 5 => [], 6 => [7], 7 => []);
my %PAYMENT = (asked => [qw(open closing failed paid late)],
               open => [qw(closing closed paid late)],
               closing => [qw(closed failed paid late)], closed => [],
               failed => [], paid => [], late => ['returned'],
               returned => []);
my %REFUND = (requested => [qw(approved rejected)], approved => ['sending'],
              sending => [qw(processing done)], processing => ['done'],
              done => [], rejected => []);


sub reach {
    my ($edges, $from) = @_;

    my %seen;
    my @next = ($from);

    while (defined(my $at = shift @next)) {
        push @next, @{$edges->{$at}} if !$seen{$at}++;
    }

    return \%seen;
}


# --- what may be so ---

sub of_order {
    my ($m, $o) = @_;
    return grep { $_->{no} eq $o->{no} } values %{$m->{payments}};
}


sub refunds_of {
    my ($m, $p) = @_;
    return grep { $_->{pid} eq $p->{id} } values %{$m->{refunds}};
}


# fen that were let go, and that wait for somebody to decide

sub promised {
    my ($m, $p, $decision) = @_;
    return sum0(map { $_->{amount} } grep { ($_->{decision} // '')
                                            eq $decision }
                refunds_of($m, $p));
}


# all of it goes back, sooner or later

sub is_whole {
    my ($m, $o) = @_;

    return scalar grep { $_->{paid} && promised($m, $_, 'approve')
                         == $_->{amount} } of_order($m, $o);
}


sub order_states {
    my ($m, $o) = @_;

    my $seen = $o->{seen} // 1;
    my %s = ($seen => 1);

    $s{2} = 1 if $seen == 1 && grep { $_->{paid} } of_order($m, $o);
    @s{6, 7} = (1, 1) if is_whole($m, $o) && !$o->{cancelled};

    my $to = reach(\%ORDER, $seen);

    return [grep { $to->{$_} } sort keys %s];
}


sub may { my ($m, $o, $s) = @_;
          return scalar grep { $_ == $s } @{order_states($m, $o)} }

sub surely { my ($m, $o, @s) = @_;
             my %s = map { $_ => 1 } @s;
             return !grep { !$s{$_} } @{order_states($m, $o)} }


sub payment_states {
    my ($m, $p) = @_;

    my $o = Api::Order::order($m, undef, $p->{no});
    my %s = ($p->{seen} => 1);

    $s{open} = 1 if $p->{seen} eq 'asked';
    @s{qw(closing closed failed)} = (1) x 3
        if $p->{closing} || $o->{cancelled};
    $s{paid} = 1 if $p->{paid};
    @s{qw(late returned)} = (1, 1) if $p->{paid} && $o->{cancelled};

    my $to = reach(\%PAYMENT, $p->{seen});

    return [grep { $to->{$_} } sort keys %s];
}


sub refund_states {
    my ($m, $r) = @_;

    my %s = ($r->{seen} => 1);

    @s{qw(approved sending processing done)} = (1) x 4
        if ($r->{decision} // '') eq 'approve';

    my $to = reach(\%REFUND, $r->{seen});

    return [grep { $to->{$_} } sort keys %s];
}


sub one_of { my ($list, @names) = @_;
             my %s = map { $_ => 1 } @names;
             return scalar grep { $s{$_} } @$list }


sub payment {
    my ($m, $c, $id) = @_;
    my $p = $m->{payments}{$id // ''} or return;
    return !defined $c || $p->{uid} eq $c->{uid} ? $p : undef;
}


# --- requests that are made once a key ---

sub keyed {
    my ($m, $c, $judge) = @_;

    my $key = $c->{v}{'idempotency-key'};

    return $judge->() if !defined $key;

    my $of = "$c->{uid}:$c->{r}:$key";
    my $print = join ' ', map { "$_=$c->{v}{$_}" }
        grep { $_ ne 'idempotency-key' } sort keys %{$c->{v}};
    my $kept = $m->{made}{$of};
    my @running = $c->{n} > 1 ? 'KEY_RUNNING' : ();

    if ($kept) {
        my $wrong = want($c, @running, $kept->{print} ne $print
                                       ? 'KEY_REUSED' : $kept->{code});
        return $wrong if $wrong || told($c) ne 'OK';
        return id_of($c) eq $kept->{id} ? undef
            : "is " . id_of($c) . ", $kept->{id} was told for this key";
    }

    return undef if @running && told($c) eq 'KEY_RUNNING';

    my ($wrong, $apply) = $judge->();

    return ($wrong, sub {
        $apply->() if $apply;
        $m->{made}{$of} = { print => $print, code => told($c),
                            id => told($c) eq 'OK' ? id_of($c) : '' }
            if $c->{res}{status} == 200 || $c->{res}{status} == 404;
    });
}


sub id_of {
    my ($c) = @_;
    return $c->{data}{order_no} && !$c->{data}{id} ? $c->{data}{order_no}
        : $c->{data}{id};
}


# --- orders ---

sub seckill_order_place {
    my ($m, $c) = @_;

    return Api::Ops::while_sold($m, $c, sub { keyed($m, $c, sub {
        my ($id, $qty) = ($c->{v}{product_id}, $c->{v}{quantity} // 1);
        my ($g) = grep { $_->{id} eq $id } @{$m->{goods}};

        # what others change, and where nobody lives
        return want($c, 'ADDRESS_UNKNOWN', $g ? () : 'PRODUCT_OFF',
                    'PRODUCT_STOCK') if $c->{v}{address_id};
        return want($c, 'PRODUCT_OFF', 'PRODUCT_STOCK') if !$g;
        return want($c, 'PRODUCT_STOCK') if $qty > $g->{stock};

        my $wrong = want($c, 'OK') || field($c, status => 'queued');
        my $no = $c->{data}{order_no} // '';

        $wrong //= "a number of a sale: $no" if $no !~ /^\d+-0$/;
        $wrong //= 'a number that was given before'
            if grep { $_->{no} eq $no } @{$m->{orders}};

        return ($wrong, sub {
            push @{$m->{orders}}, {
                no => $no, uid => $c->{uid}, aid => 0, qty => $qty,
                key => $c->{v}{'idempotency-key'} // $no, seen => 1,
                prices => [$g->{price}], at => $c->{t1}, good => $g->{id},
            };
        });
    }) });
}


sub mine { return Api::Order::order($_[0], $_[1], $_[2], $_[1]{uid}) }

sub nobody {
    my ($m, $c, $no) = @_;
    return want($c, 'NOT_FOUND', Api::Order::unknown($m, $c, $no)
                                 ? 'ORDER_PROCESSING' : ());
}


# from a state to another, by hand; again is as good

sub step {
    my ($m, $c, $o, $from, $to, @extra) = @_;

    my $done = grep { $_ == $to } @{$o->{way} || []};
    my @codes = (($o->{row} ? () : 'ORDER_PROCESSING'), @extra);

    push @codes, 'OK' if $done && $c->{r} ne 'seckill_admin_order_ship'
                         ? may($m, $o, $to) : may($m, $o, $from);
    push @codes, 'OK' if $done && may($m, $o, $to);
    push @codes, 'ORDER_STATE' if !surely($m, $o, $done ? $to : $from);

    return (want($c, @codes), sub {
        return if told($c) ne 'OK';
        $o->{row} = 1;
        $o->{seen} = $to;
        push @{$o->{way}}, $to if !$done;
        # what has left us does not come back by itself
        stays($m, $o) if $to == 3 || $to == 4;
    });
}


sub stays {
    my ($m, $o) = @_;
    my $a = $m->{activities}{$o->{aid}} or return;
    $a->{pend} = [grep { ($_->{order} // '') ne $o->{no} } @{$a->{pend}}];
}


sub seckill_order_confirm {
    my ($m, $c) = @_;

    my $o = mine($m, $c, $c->{v}{id}) or return nobody($m, $c, $c->{v}{id});

    # only of what was shipped
    return want($c, 'ORDER_STATE', $o->{row} ? () : 'ORDER_PROCESSING')
        if !grep { $_ == 3 } @{$o->{way} || []};

    return step($m, $c, $o, 3, 4);
}


sub seckill_admin_order_ship {
    my ($m, $c) = @_;

    my $o = Api::Order::order($m, $c, $c->{v}{id})
        or return want($c, 'NOT_FOUND');

    return want($c, 'NOT_FOUND', 'ORDER_STATE') if !$o->{row}
        && told($c) ne 'OK';

    my @other = defined $c->{v}{version} ? 'CONFLICT' : ();
    my $same = !$o->{shipped}
        || $o->{shipped} eq "$c->{v}{carrier} $c->{v}{number}";

    return want($c, 'ORDER_STATE', @other) if !$same;

    my ($wrong, $apply) = step($m, $c, $o, 2, 3, @other);

    return ($wrong, sub {
        $apply->();
        $o->{shipped} = "$c->{v}{carrier} $c->{v}{number}"
            if told($c) eq 'OK';
    });
}


sub seckill_admin_order_redeem {
    my ($m, $c) = @_;

    my $code = $c->{v}{trade_code};
    my ($o) = grep { ($_->{code} // '') eq $code } @{$m->{orders}};

    return want($c, 'TRADE_CODE', 'LIMITED') if !$o || $o->{redeemed};

    return (want($c, 'LIMITED', may($m, $o, 2) ? 'OK' : (),
                 surely($m, $o, 2) ? () : 'ORDER_STATE'), sub {
        return if told($c) ne 'OK';
        @$o{qw(seen redeemed)} = (4, 1);
        push @{$o->{way}}, 4;
        stays($m, $o);
    });
}


sub seckill_order_hide {
    my ($m, $c) = @_;

    my $o = mine($m, $c, $c->{v}{id}) or return nobody($m, $c, $c->{v}{id});
    my $over = grep { /^[457]$/ } @{order_states($m, $o)};

    return (want($c, $o->{row} ? () : 'ORDER_PROCESSING',
                 $over || $o->{hidden} ? 'OK' : (),
                 $o->{hidden} || surely($m, $o, 4, 5, 7)
                 ? () : 'ORDER_STATE'),
            sub { $o->{hidden} = 1 if told($c) eq 'OK' });
}


# the first event

sub seckill_order_events {
    my ($m, $c) = @_;

    my $no = $c->{v}{id};
    my $o = mine($m, $c, $no);

    return want($c, 'NOT_FOUND', Api::Order::unknown($m, $c, $no) ? 'OK'
                                                                  : ())
        if !$o;

    my $wrong = want($c, 'OK')
        || field($c, order_no => $no,
                 status => [@{order_states($m, $o)}, $o->{row} ? () : 0]);

    return ($wrong, sub { saw($m, $o, $c->{data}{status}) });
}


sub saw {
    my ($m, $o, $s) = @_;
    return if !$s;
    @$o{qw(row seen)} = (1, $s);
}


# --- payments ---

sub seckill_order_pay { return pays($_[0], $_[1], $_[1]{v}{id}) }
sub seckill_payment_create { return pays($_[0], $_[1], $_[1]{v}{order_id}) }


sub pays {
    my ($m, $c, $no) = @_;

    return keyed($m, $c, sub {
        return want($c, 'NOT_FOUND') if $no !~ /^[1-9]\d*-(?:0|[1-9]\d*)$/;
        return want($c, 'PAY_CHANNEL')
            if !$Api::Notice::CHANNEL{$c->{v}{channel}};

        my $o = mine($m, $c, $no);

        return want($c, 'NOT_FOUND', 'ADDRESS_UNKNOWN',
                    Api::Order::unknown($m, $c, $no)
                    ? 'ORDER_PROCESSING' : ()) if !$o;
        return pay_order($m, $c, $o);
    });
}


sub pay_order {
    my ($m, $c, $o) = @_;

    my %state = map { my $p = $_; map { $_ => 1 } @{payment_states($m, $p)} }
        of_order($m, $o);
    my @codes = $o->{row} ? () : 'ORDER_PROCESSING';

    # who wants another channel closes the open one first
    my @other = grep { $_->{channel} ne $c->{v}{channel}
                       && one_of(payment_states($m, $_),
                                 qw(asked open closing)) } of_order($m, $o);
    my $stands = grep { !one_of(payment_states($m, $_),
                                qw(closed failed paid late returned)) }
        @other;

    push @codes, 'ADDRESS_UNKNOWN' if $c->{v}{address_id};
    push @codes, 'PAY_OPEN' if @other && may($m, $o, 1);
    push @codes, qw(OK UNKNOWN) if may($m, $o, 1) && !$stands;
    push @codes, 'ORDER_STATE' if !surely($m, $o, 1);
    push @codes, qw(PAY_OPEN PAY_STATE) if $state{closing};
    push @codes, qw(PAY_OPEN PAY_FAILED PAY_STATE BUSY) if $c->{n} > 1;

    my $wrong = want($c, @codes);
    my $id = $c->{data}{id} // $c->{data}{payment_id};

    return ($wrong, sub { $o->{row} = 1 if told($c) eq 'ORDER_STATE' })
        if $wrong || told($c) !~ /^(?:OK|UNKNOWN)$/;

    my $p = $m->{payments}{$id};
    my @open = grep { my @s = @{payment_states($m, $_)};
                      @s == 1 && $s[0] eq 'open' } of_order($m, $o);

    return "another payment than $open[0]{id}"
        if @open && $open[0]{id} ne $id;
    return "payment $id of order $p->{no}" if $p && $p->{no} ne $o->{no};

    my @amounts = map { $_ * $o->{qty} } @{$o->{prices}};

    $wrong = field($c, order_no => $o->{no}, amount => \@amounts,
                   channel => $c->{v}{channel}, state_text => $p
                   ? payment_states($m, $p) : [qw(open paid)])
        if told($c) eq 'OK';

    return ($wrong, sub {
        $o->{row} = 1;
        $p //= $m->{payments}{$id} = { id => $id, no => $o->{no},
            uid => $c->{uid}, seen => 'asked', at => $c->{t1},
            channel => $c->{v}{channel} };
        $p->{amount} //= $c->{data}{amount} // $amounts[0];
        $p->{seen} = $c->{data}{state_text} if told($c) eq 'OK';
    });
}


sub seckill_payment_status {
    my ($m, $c) = @_;

    my $p = payment($m, $c, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my $wrong = want($c, 'OK')
        || field($c, order_no => $p->{no}, amount => $p->{amount}
                     // $c->{data}{amount},
                 state_text => payment_states($m, $p));

    return ($wrong, sub {
        @$p{qw(seen amount)} = @{$c->{data}}{qw(state_text amount)};
    });
}


sub seckill_payment_close {
    my ($m, $c) = @_;

    my $p = payment($m, $c, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my $s = payment_states($m, $p);
    my @codes;

    push @codes, qw(OK UNKNOWN) if one_of($s, qw(asked open closing closed
                                                 failed));
    push @codes, 'PAY_STATE' if one_of($s, qw(paid late returned));
    push @codes, 'BUSY' if one_of($s, 'asked') || $c->{n} > 1;

    my $wrong = want($c, @codes)
        || told($c) eq 'OK' && field($c, state_text => [qw(closed failed)]);

    return ($wrong || undef, sub {
        $p->{closing} = 1 if told($c) =~ /^(?:OK|UNKNOWN|BUSY)$/;
        $p->{seen} = $c->{data}{state_text} if told($c) eq 'OK';
    });
}


# the wallet of the buyer

sub seckill_sandbox_pay {
    my ($m, $c) = @_;

    return want($c, 'BAD_REQUEST')
        if ($c->{v}{fault} // 'none') !~ /^(?:none|lost|twice|wrong_amount)$/;

    my $p = payment($m, $c, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    return want($c, 'NOT_FOUND') if $p->{channel} ne 'sandbox';

    my $s = payment_states($m, $p);

    # it is closed there before we say so
    my $there = !$p->{paid} && one_of($s, qw(asked open closing));
    my $sure = $there && @$s == 1 && $s->[0] eq 'open';

    return (want($c, $there ? 'OK' : (), $sure ? () : 'PAY_STATE'), sub {
        $p->{paid} = 1 if told($c) eq 'OK';
    });
}


1;
