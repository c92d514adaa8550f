package Chaos::Payer;

# Copyright (C) Rush
#
# What is known of one user's orders, payments and refunds from the answers
# that were given, and what may be.  Of what was not answered nobody knows
# whether it was done, or will be a little later: it stays possible.
#
#   my $p = Chaos::Payer->new(name => 'c1p3', user => 1000603);
#   my $op = $p->choose($rnd, $now, \%shop);    { op, no, pid, rid, ... };
#       op "race" has two others in both => [$x, $y]; shop: { sales =>
#       [{ id, limit, pay_seconds }], products => [ids] }
#   $p->asked($op);                     before it is sent
#   $p->take($op, $answer, $t0, $t1);   s
#   $p->ordered($op, $answer)           a buy of a flash sale, which others
#                                       judge: Chaos::Work
#   $p->rest(\%rows)    at rest: { orders => { no => row }, log => { no =>
#                       [rows] }, payments, refunds => { id => row }, now,
#                       notices => { payment => [amounts] } }
#   @{$p->{wrong}}      [kind, text]: what cannot be right.  kind "live": a
#                       wrong clock explains it; "lost": data that Redis
#                       lost; "" nothing does
#   $p->{did}, $p->plain(), Chaos::Payer->from($data)   as Chaos::Person
#
# Facts are counted: maybe, requests that have no answer (yet) and may do it;
# yes, those that were told to have done it.

use warnings;
use strict;

use JSON::PP ();
use List::Util qw(sum0);

use Chaos::PayerAsk;
use Chaos::PayerRest;

use constant SLACK => 1.5;              # s, around a deadline

# what an answer says, beyond yes
my %CODE = (3 => 'unknown', 11 => 'unknown', 12 => 'unknown', 10 => 'not',
            6 => 'out', 4 => 'missing', 13 => 'conflict', 15 => 'running',
            20002 => 'stock', 30001 => 'state', 30002 => 'written',
            30003 => 'code', 40001 => 'open', 40002 => 'state',
            40004 => 'failed', 40006 => 'sum', 40007 => 'state');

# the ways of an order, and how far it can get from each state
my %WAY = (0 => [1, 5], 1 => [2, 5], 2 => [3, 4, 6, 8], 3 => [4, 6],
           4 => [6], 5 => [2], 6 => [7], 8 => [6]);
my %REACH = map { $_ => reach($_) } 0 .. 9;

# of a payment and of a refund: what may be seen after what
my %AFTER = (
    asked => qr/^/, open => qr/^(?!asked)/, closing => qr/^(?!asked)/,
    paid => qr/^(?:paid|returned)$/, late => qr/^(?:late|paid|returned)$/,
    closed => qr/^(?:closed|paid|late|returned)$/,
    failed => qr/^(?:failed|paid|late|returned)$/, returned => qr/^returned$/,
);
my %NEXT = (
    requested => qr/^/, rejected => qr/^rejected$/, done => qr/^done$/,
    approved => qr/^(?!requested|rejected)/,
    sending => qr/^(?!requested|rejected|approved)/,
    processing => qr/^(?!requested|rejected|approved)/,
    failed => qr/^(?!requested|rejected)/,
);


sub reach {
    my ($from) = @_;

    my %seen;
    my @next = ($from);

    while (defined(my $at = shift @next)) {
        push @next, @{$WAY{$at} || []} if !$seen{$at}++;
    }

    return \%seen;
}


sub new {
    my ($class, %o) = @_;

    return bless { %o, orders => {}, asks => {}, serial => 0, wrong => [] },
        $class;
}


sub from { return bless { %{$_[1]}, wrong => [] }, $_[0] }
sub plain { my %all = %{$_[0]}; delete @all{qw(wrong rnd)}; return \%all }


sub wrong {
    my ($self, $kind, $format, @values) = @_;
    push @{$self->{wrong}}, [$kind, "$self->{name}: "
                             . sprintf $format, @values];
}


# --- what to do ---

sub choose { return Chaos::PayerAsk::choose(@_) }
sub request { return Chaos::PayerAsk::request(@_) }


# --- facts ---

sub could { return $_[0]{maybe}{$_[1]} || $_[0]{yes}{$_[1]} }


# of whom an operation tells: an order, a payment or a refund

sub about {
    my ($self, $x) = @_;

    my $o = $self->{orders}{$x->{no} // ''} or return {};
    my $p = $o->{payments}{$x->{pid} // ''};
    my $r = $o->{refunds}{$x->{rid} // ''};

    return $x->{op} =~ /^(?:approve|reject|retry|seen)$/ ? $r || {}
        : $x->{op} =~ /^(?:take|close|status|early)$/ ? $p || {} : $o;
}


sub asked {
    my ($self, $x) = @_;

    return map { $self->asked($_) } @{$x->{both}} if $x->{both};

    # its row is made for it, whatever happens
    $self->{orders}{$x->{no}}{payments}{$x->{pid}} =
        { id => $x->{pid}, amount => $x->{amount}, early => 1 }
        if $x->{op} eq 'early';

    $self->about($x)->{maybe}{$x->{op}}++;
    $self->{did}{early}++ if $x->{op} eq 'early';
    $self->{asks}{$x->{key}} //= { product => $x->{product}, q => $x->{q} }
        if $x->{op} eq 'order';
}


sub kind {
    my ($r) = @_;

    return $r->{sent} // 1 ? 'unknown' : 'not' if $r->{status} == 599;
    return 'strange' if !defined $r->{code};
    return $r->{code} == 0 ? 'yes' : $CODE{$r->{code}} // 'strange';
}


sub take {
    my ($self, $x, $r, $t0, $t1) = @_;

    return $self->take_forged($x, $r) if $x->{op} eq 'forged';

    my $kind = kind($r);
    my $about = $self->about($x);

    $self->{did}{"$x->{op} $kind"}++;

    return $self->wrong('', '%s was answered %s %s', $x->{op}, $r->{status},
                        $r->{body} // '') if $kind eq 'strange';
    return $self->wrong('live', '%s: a token that holds was refused',
                        $x->{op}) if $kind eq 'out';

    # who is told so may be sure that this one did nothing
    if ($kind ne 'unknown') {
        $about->{maybe}{$x->{op}}--;
        $about->{yes}{$x->{op}}++ if $kind eq 'yes';
        $about->{first}{$x->{op}} //= $t1 if $kind eq 'yes';
    }

    return if $kind eq 'not';

    my $data = ref $r->{json} && ref $r->{json}{data} ? $r->{json}{data} : {};
    my $sub = $self->can("take_$x->{op}") or return;

    $sub->($self, $x, $kind, $data, $t0, $t1);
}


# --- orders ---

sub ordered {
    my ($self, $x, $r) = @_;

    my $no = ref $r->{json} && ref $r->{json}{data}
        && ($r->{code} // -1) == 0 ? $r->{json}{data}{order_no} : undef;

    $self->have($no, kind => 'flash', sale => $x->{sale}) if defined $no;
}


sub have {
    my ($self, $no, %o) = @_;

    return $self->{orders}{$no} //= { no => $no, payments => {},
                                      refunds => {}, %o };
}


sub take_order {
    my ($self, $x, $kind, $data) = @_;

    my $ask = $self->{asks}{$x->{key}};

    return $ask->{doubt} = 1 if $kind =~ /^(?:unknown|running)$/;

    $self->wrong('', 'order %s was told to be %s, then %s', $x->{key},
                 $ask->{no}, $data->{order_no} // $kind)
        if defined $ask->{no} && ($data->{order_no} // '') ne $ask->{no};

    return if $kind ne 'yes';

    $ask->{no} = $data->{order_no};
    $self->have($ask->{no}, kind => 'plain', product => $x->{product},
                q => $x->{q});
}


# it may be in a state, of all that is known and was asked

sub may_be {
    my ($self, $o, $s, $t1) = @_;

    my $paid = grep { could($_, 'take') || could($_, 'early') }
        values %{$o->{payments}};
    my $back = could($o, 'return')
        || grep { could($_, 'approve') } values %{$o->{refunds}};

    return !$o->{yes}{cancel} if $s == 1;
    return $paid && !$o->{yes}{cancel} if $s == 2;
    return could($o, 'ship') if $s == 3;
    return could($o, 'redeem') || could($o, 'confirm') if $s == 4;
    return could($o, 'cancel') || $self->over($o, $t1)
        || ($o->{kind} // '') eq 'plain' && !$o->{status}
        if $s == 5;
    return $back if $s == 6 || $s == 7;
    return $s == 0;
}


sub leads {
    my ($self, $o, $s) = @_;
    return !defined $o->{status} || $REACH{$o->{status}}{$s};
}


sub over {
    my ($self, $o, $t) = @_;
    return !defined $o->{deadline} || $t > $o->{deadline} - SLACK;
}


sub take_look {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $o = $self->{orders}{$x->{no}};

    return $self->wrong('lost', 'order %s was acknowledged and is %s',
                        $x->{no}, $kind)
        if $kind eq 'missing' || $kind eq 'written' && defined $o->{status};
    return if $kind ne 'yes';

    my $s = $data->{status};

    $o->{deadline} //= $data->{pay_deadline_ms} / 1000
        if $data->{pay_deadline_ms};

    $self->wrong('', 'order %s was in state %d, is in state %d', $o->{no},
                 $o->{status}, $s)
        if !$self->leads($o, $s);
    $self->wrong($s == 5 ? 'live' : '', 'order %s is in state %d, which '
                 . 'nobody asked for', $o->{no}, $s)
        if ($s != 5 || ($o->{status} // 0) != 5)
           && !$self->may_be($o, $s, $t1);

    # who has paid has one code, and keeps it
    my $code = $data->{trade_code};

    $self->wrong('', 'order %s has code %s, it had %s', $o->{no},
                 $code // 'none', $o->{code})
        if defined $o->{code} && $s =~ /^[234]$/ && ($code // '') ne $o->{code};
    $self->wrong('', 'order %s has a code in state %d', $o->{no}, $s)
        if defined $code && $s =~ /^[01]$/;

    $o->{code} = $code if defined $code;
    @$o{qw(status amount)} = ($s, $data->{amount});
}


# it waits for its payment, as far as anybody can know

sub waits {
    my ($self, $o, $t1) = @_;

    return ($o->{status} // -1) == 1 && !could($o, 'cancel')
        && !$self->over($o, $t1)
        && !grep { could($_, 'take') || could($_, 'early') }
                 values %{$o->{payments}};
}


sub take_cancel {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $o = $self->{orders}{$x->{no}};

    $self->wrong('', 'order %s was cancelled in state %d', $o->{no},
                 $o->{status})
        if $kind eq 'yes' && defined $o->{status}
           && $o->{status} =~ /^[234678]$/;
    $self->wrong('live', 'order %s waits and cannot be cancelled', $o->{no})
        if $kind eq 'state' && $self->waits($o, $t1);
    $self->wrong('lost', 'order %s cannot be cancelled: %s', $o->{no}, $kind)
        if $kind eq 'missing';
}


# shipping and the like want a paid order

sub take_ship {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $o = $self->{orders}{$x->{no}};
    my $paid = $self->may_be($o, 2, $t1);

    $self->wrong('', 'order %s went on by "%s" and was never paid', $o->{no},
                 $x->{op}) if $kind eq 'yes' && !$paid;
    $self->wrong('', 'order %s was redeemed %d times', $o->{no},
                 $o->{yes}{redeem}) if ($o->{yes}{redeem} // 0) > 1;
}


sub take_redeem { return take_ship(@_) }
sub take_confirm { return take_ship(@_) }


# --- payments ---

sub take_pay {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $o = $self->{orders}{$x->{no}};
    my $id = $data->{id} // $data->{payment_id};

    $self->wrong('live', 'order %s waits and cannot be paid', $o->{no})
        if $kind eq 'state' && $self->waits($o, $t1);
    $self->wrong('', 'order %s can be paid in state %d', $o->{no},
                 $o->{status})
        if $kind eq 'yes' && ($o->{status} // 1) =~ /^[234678]$/;
    $self->wrong('', 'order %s was cancelled and can be paid', $o->{no})
        if $kind eq 'yes' && ($o->{first}{cancel} // 9e15) < $t0;

    return if !defined $id;

    my $p = $o->{payments}{$id} //= { id => $id };

    $self->wrong('', 'payment %s is of %s, then of %s', $id, $p->{amount},
                 $data->{amount})
        if defined $p->{amount} && defined $data->{amount}
           && $p->{amount} != $data->{amount};

    $p->{amount} //= $data->{amount};
}


sub paid_by {
    my ($p) = @_;
    return could($p, 'take') || could($p, 'early');
}


sub take_status {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $o = $self->{orders}{$x->{no}};
    my $p = $o->{payments}{$x->{pid}};

    # the row of an early one is made a while later
    return $self->wrong('', 'payment %s is gone', $p->{id})
        if $kind eq 'missing' && (!$p->{early} || defined $p->{state});
    return if $kind ne 'yes';

    my $s = $data->{state_text};

    $self->wrong('', 'payment %s was %s, is %s', $p->{id}, $p->{state}, $s)
        if defined $p->{state} && $p->{state} ne $s
           && $s !~ ($AFTER{$p->{state}} // qr/^/);
    $self->wrong('', 'payment %s is %s, and nobody paid', $p->{id}, $s)
        if $s =~ /^(?:paid|late|returned)$/ && !paid_by($p);
    $self->wrong('live', 'payment %s is %s, and nobody closed it', $p->{id},
                 $s)
        if $s eq 'closed' && !could($p, 'close') && !could($o, 'cancel')
           && !$self->over($o, $t1)
           && !grep { paid_by($_) } values %{$o->{payments}};

    $p->{state} = $s;
    $p->{closed} //= $t1 if $s eq 'closed';
}


sub take_close {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $p = $self->{orders}{$x->{no}}{payments}{$x->{pid}};

    $self->wrong('', 'payment %s was closed, it is %s', $p->{id}, $p->{state})
        if $kind eq 'yes' && ($p->{state} // '') =~ /^(?:paid|late|returned)$/;
}


# what was closed at the provider takes no money any more

sub take_take {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $p = $self->{orders}{$x->{no}}{payments}{$x->{pid}};

    return if $kind ne 'yes';

    $self->wrong('', 'payment %s was closed and takes money', $p->{id})
        if $p->{closed} && $p->{closed} < $t0;

    # of what Redis has somebody will hear
    $p->{heard}{($x->{fault} // '') eq 'wrong_amount' ? 'doubt' : 'money'} = 1
        if ($data->{notice} // '') eq 'sent';
}


sub take_forged {
    my ($self, $x, $r) = @_;

    my $s = $r->{status};

    $self->{did}{"forged, $x->{way} $s"}++;
    $self->wrong('', 'a notice with a bad signature (%s) was answered %d %s',
                 $x->{way}, $s, $r->{body} // '')
        if $s < 400 || $s == 500;
}


# --- refunds ---

sub take_refund {
    my ($self, $x, $kind, $data, $t0, $t1) = @_;

    my $o = $self->{orders}{$x->{no}};
    my $p = $o->{payments}{$x->{pid}};
    my $id = $data->{id} // $data->{refund_id};
    my $amount = $x->{amount} // $p->{amount};

    if ($kind eq 'yes') {
        $self->wrong('', 'payment %s of %d has a refund of %d', $p->{id},
                     $p->{amount}, $amount)
            if defined $p->{amount} && $amount > $p->{amount};
        $self->wrong('', 'payment %s has a refund, and nobody paid', $p->{id})
            if !paid_by($p);
    }

    return if !defined $id;

    my $ask = $self->{asks}{$x->{key}} //= {};

    $self->wrong('', 'refund %s is %s, then %s', $x->{key}, $ask->{rid}, $id)
        if defined $ask->{rid} && $ask->{rid} ne $id;

    $ask->{rid} = $id;
    my $r = $o->{refunds}{$id} //= { id => $id, pid => $p->{id},
                                     amount => $amount };

    $r->{yes}{approve} = 1 if $x->{op} eq 'return';
}


sub take_return { return take_refund(@_) }


sub take_approve {
    my ($self, $x, $kind) = @_;

    my $o = $self->{orders}{$x->{no}};
    my $r = $o->{refunds}{$x->{rid}};
    my $p = $o->{payments}{$r->{pid}};

    $self->wrong('', 'refund %s was approved and rejected', $r->{id})
        if $r->{yes}{approve} && $r->{yes}{reject};

    # those that failed were not paid after all
    my $sum = sum0 map { $_->{amount} // 0 }
        grep { $_->{pid} eq $p->{id} && ($_->{state} // '') eq 'done' }
        values %{$o->{refunds}};

    $self->wrong('', 'payment %s of %d: %d went back', $p->{id},
                 $p->{amount}, $sum)
        if defined $p->{amount} && $sum > $p->{amount};
}


sub take_reject { return take_approve(@_) }


sub take_seen {
    my ($self, $x, $kind, $data) = @_;

    my $o = $self->{orders}{$x->{no}};
    my $r = $o->{refunds}{$x->{rid}};

    return $self->wrong('', 'refund %s is gone', $r->{id})
        if $kind eq 'missing';
    return if $kind ne 'yes';

    my $s = $data->{state_text};

    $self->wrong('', 'refund %s was %s, is %s', $r->{id}, $r->{state}, $s)
        if defined $r->{state} && $r->{state} ne $s
           && $s !~ ($NEXT{$r->{state}} // qr/^/);
    $self->wrong('', 'refund %s is %s, and nobody decided so', $r->{id}, $s)
        if $s eq 'rejected' ? !could($r, 'reject')
           : $s ne 'requested' && !could($r, 'approve');

    $r->{state} = $s;
    $self->take_approve($x, $kind);
}


sub rest { return Chaos::PayerRest::rest(@_) }


1;
