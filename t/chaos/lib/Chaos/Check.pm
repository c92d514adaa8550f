package Chaos::Check;

# Copyright (C) Rush
#
# Whether a round was right: the books of MySQL and Redis at rest, and what
# clients were told, against the invariants of docs/protocol.md.
#
#   my @wrong = Chaos::Check->run(world => $w, plan => $p, history => $file,
#       storm => 0|1, lost => 0|1, shifted => 0|1);
#   my @wrong = Chaos::Check->judge($plan, $books, $history, %same);
#
# Each is a sentence that begins with the number of what does not hold.
# lost: Redis was set back to an older state, so what it had acknowledged and
# MySQL had not seen may be gone.  shifted: a clock was wrong.  In a storm an
# id may stay unknown.
#
# A refusal is a promise of one epoch: whether the epoch changed between two
# moments is known from samples (watched by Chaos::Work); where it may have,
# the later answer stands.

use warnings;
use strict;

use Chaos::Books;
use Chaos::History;

# mismatches are what was sent: Chaos::Money looks at each; refunds fail by
# Chaos::Purse
my %FAIR = map { $_ => 1 } qw(adjust_refused payment_mismatch refund_failed);
# of somebody whose clock is an hour ahead
my %SHIFTED = map { $_ => 1 } qw(clock payment_unmatched);
my %LOST = map { $_ => 1 } qw(group_lost entry_lost rebuild_differs
                              sold_differs);


sub run {
    my ($class, %o) = @_;

    my $h = Chaos::History->load($o{history});
    my ($first) = @{$h->{calls}} or return 'harness: nobody asked anything';
    my $books = Chaos::Books->gather($o{world}, $o{plan}, $first->{t});

    return $class->judge($o{plan}, $books, $h, %o);
}


sub judge {
    my ($class, $plan, $books, $h, %o) = @_;

    my $self = bless {
        %o, plan => $plan, b => $books, h => $h, wrong => [],
        row => { map { ("$_->{activity_id}:$_->{user_id}:$_->{req_id}" => $_)
                     } @{$books->{orders}} },
        by_no => { map { $_->{order_no} => $_ } @{$books->{orders}} },
    }, $class;

    foreach my $a (@{$plan->{activities}}) {
        $self->ledger($a);
        $self->redis($a);
        $self->streams($a);
    }

    $self->orders();
    $self->operations();
    $self->alarms();
    $self->told($_) foreach map { $h->{ids}{$_} } sort keys %{$h->{ids}};
    $self->numbers();
    $self->nameless();
    $self->polls();
    $self->cancels();
    $self->strange();

    return @{$self->{wrong}};
}


sub wrong {
    my ($self, $format, @values) = @_;
    push @{$self->{wrong}}, @values ? sprintf $format, @values : $format;
}


sub live {
    my ($order) = @_;
    return $order->{stock_state} =~ /^[014]$/;
}


# --- the books ---

sub ledger {
    my ($self, $a) = @_;

    my $id = $a->{id};
    my $row = $self->{b}{activities}{$id}
        or return $self->wrong("I1 activity $id is gone");
    my ($units, %of) = (0);

    foreach my $o (grep { $_->{activity_id} == $id && live($_) }
                   @{$self->{b}{orders}})
    {
        $units += $o->{qty};
        $of{$o->{user_id}} += $o->{qty};
    }

    my $total = $a->{stock};

    $total += $_->{delta} foreach grep { $_->{activity_id} == $id
                                         && $_->{state} == 2 }
                              @{$self->{b}{ops}};

    $self->wrong("I1 activity $id: sold is %d, live orders hold %d",
                 $row->{sold}, $units) if $row->{sold} != $units;
    $self->wrong("I1 activity $id: %d units sold of %d", $units,
                 $row->{total}) if $units > $row->{total};
    $self->wrong("I1 activity $id: total is %d, what was put in and out "
                 . 'makes %d', $row->{total}, $total)
        if $row->{total} != $total;
    $self->wrong("I12 activity $id: revision %d is wanted, %d applied",
                 @$row{qw(rev applied_rev)})
        if $row->{rev} != $row->{applied_rev};

    foreach my $user (sort grep { $of{$_} > $a->{limit} } keys %of) {
        $self->wrong("I3 activity $id: user %s holds %d units, the limit is "
                     . '%d', $user, $of{$user}, $a->{limit});
    }

    $self->{units}{$id} = \%of;
}


sub redis {
    my ($self, $a) = @_;

    my $id = $a->{id};
    my $row = $self->{b}{activities}{$id} or return;
    my ($m, $u) = ($self->{b}{meta}{$id}, $self->{b}{users}{$id});

    return $self->wrong("I9 activity $id is not loaded")
        if !defined $m->{remain};

    my $held = 0;

    $held += $u->{$_} foreach grep { !/:/ } keys %$u;

    $self->wrong("I2 activity $id: %d units left and %d held, total is %d",
                 $m->{remain}, $held, $m->{total})
        if $m->{remain} < 0 || $m->{remain} + $held != $m->{total};
    $self->wrong("I9 activity $id: %d units left in Redis, %d of %d sold in "
                 . 'MySQL', $m->{remain}, @$row{qw(sold total)})
        if $m->{remain} != $row->{total} - $row->{sold};

    foreach (['total', $row->{total}], ['epoch', $row->{epoch}],
             ['limit', $a->{limit}], ['state', 'on'])
    {
        my ($name, $want) = @$_;
        $self->wrong("I9 activity $id: $name is %s in Redis, should be %s",
                     $m->{$name} // 'missing', $want)
            if ($m->{$name} // '') ne $want;
    }

    $self->wrong("I12 activity $id: half of a rebuild is left")
        if $self->{b}{half}{$id};

    $self->holders($a, $u);
}


# who holds what, on both sides; and who gave it back

sub holders {
    my ($self, $a, $u) = @_;

    my $id = $a->{id};
    my %want;

    foreach my $o (grep { $_->{activity_id} == $id } @{$self->{b}{orders}}) {
        my $name = "$o->{user_id}:$o->{req_id}";

        $want{$name} = live($o) ? $o->{order_no}
            : $o->{stock_state} == 3 ? "-$o->{order_no}" : next;
    }

    foreach my $name (sort keys %{{ %want, %$u }}) {
        my ($w, $is) = ($want{$name} // '', $u->{$name} // '');

        next if $w eq $is || $name !~ /:/;

        # what has no row need not be forgotten
        next if $w eq '' && $is =~ /^-/;

        $self->wrong("I10 activity $id, %s: Redis has \"%s\", the orders say "
                     . '"%s"', $name, $is, $w);
    }

    my $units = $self->{units}{$id};

    foreach my $user (sort grep { !/:/ } keys %{{ %$units, %$u }}) {
        my ($w, $is) = ($units->{$user} // 0, $u->{$user} // 0);

        $self->wrong("I10 activity $id, user %s: %d units in Redis, %d in "
                     . 'MySQL', $user, $is, $w) if $w != $is;
        $self->wrong("I3 activity $id: user %s holds %d units in Redis, the "
                     . 'limit is %d', $user, $is, $a->{limit})
            if $is > $a->{limit};
    }
}


# entries have their rows, and rows their entries (those that are not cut off
# yet)

sub streams {
    my ($self, $a) = @_;

    my $id = $a->{id};
    my $g = $self->{b}{group}{$id};
    my @entries = @{$self->{b}{stream}{$id} || []};
    my %grant;

    return $self->wrong("I12 activity $id: the stream has no group") if !$g;

    $self->wrong("I12 activity $id: %s pending, lag %s", $g->{pending},
                 $g->{lag} // 'unknown')
        if $g->{pending} || !defined $g->{lag} || $g->{lag};

    foreach my $entry (@entries) {
        my ($at, undef, @grants) = @$entry;

        foreach my $grant (@grants) {
            my ($user, $req, $no, $qty) = @$grant;
            my $row = $self->{row}{"$id:$user:$req"};

            $grant{$no} = 1;

            $self->wrong("I12 activity $id: entry $at grants %s to %s:%s, "
                         . 'the row has %s', $no, $user, $req,
                         $row ? $row->{order_no} : 'nothing')
                if !$row || $row->{order_no} ne $no || $row->{qty} != $qty;
        }
    }

    # put in again, or lost with the stream
    return if $self->{lost} || !@entries;

    my $first = $entries[0][0];

    foreach my $o (grep { $_->{activity_id} == $id } @{$self->{b}{orders}}) {
        $self->wrong("I11 order %s has no grant in the stream",
                     $o->{order_no})
            if !$grant{$o->{order_no}}
               && older($first, $o->{stream_id});
    }
}


sub older {
    my ($x, $y) = map { [split /-/] } @_;
    return $x->[0] < $y->[0] || ($x->[0] == $y->[0] && $x->[1] <= $y->[1]);
}


my %STATE = (0 => '0', 1 => '0', 2 => '4', 3 => '4', 4 => '4', 6 => '4',
             5 => '123', 7 => '1234', 8 => '123', 9 => '5');

sub orders {
    my ($self) = @_;

    foreach my $o (@{$self->{b}{orders}}) {
        my $no = $o->{order_no};
        my $price = $self->{b}{prices}{$o->{activity_id}}{1};
        my $name = "$o->{activity_id}:$o->{user_id}:$o->{req_id}";
        my $id = $self->{h}{ids}{$name};

        $self->wrong("I7 order $no: %d units for %d are %d, the price is "
                     . '%s', @$o{qw(qty price amount)}, $price // 'gone')
            if !defined $price || $o->{price} != $price
               || $o->{amount} != $price * $o->{qty};
        $self->wrong("I8 order $no: status %d with stock state %d",
                     @$o{qw(status stock_state)})
            if index($STATE{$o->{status}} // '', $o->{stock_state}) < 0;
        $self->wrong("I8 order $no is still on its way back")
            if $o->{stock_state} =~ /^[12]$/;
        $self->wrong("N1 order $no was refused by the ledger")
            if $o->{status} == 9 && !$self->{lost};
        $self->wrong("I11 order $no: of %d units, asked for were %s",
                     $o->{qty}, join ' or ', sort keys %{$id->{qs}})
            if $id && %{$id->{qs}} && !$id->{qs}{$o->{qty}};
    }
}


# stock put in and out: each that was acknowledged is there, once

sub operations {
    my ($self) = @_;

    my (%by_id, %by_reason);

    foreach my $op (@{$self->{b}{ops}}) {
        $by_id{$op->{id}} = $op;
        $by_reason{$op->{reason}}++;
        $self->wrong("I12 stock operation $op->{id} is open")
            if $op->{state} < 2;
    }

    $self->wrong("I4 stock operation \"$_\" was done $by_reason{$_} times")
        foreach sort grep { $by_reason{$_} > 1 } keys %by_reason;

    foreach my $c (grep { $_->{op} eq 'adjust' } @{$self->{h}{calls}}) {
        my $ret = $c->{ret} || {};

        next if ($ret->{kind} // '') ne 'done';

        my $op = $by_id{$ret->{op_id} // ''};

        $self->wrong("I11 stock operation %s was acknowledged and is gone",
                     $ret->{op_id} // '?')
            if !$op || $op->{reason} ne $c->{id} || $op->{delta} != $c->{q};
    }
}


sub alarms {
    my ($self) = @_;

    foreach my $al (@{$self->{b}{alarms}}) {
        next if $FAIR{$al->{kind}};
        next if $self->{lost} && $LOST{$al->{kind}};
        next if $self->{shifted} && $SHIFTED{$al->{kind}};

        $self->wrong("%s alarm %s, activity %d: %s",
                     $al->{kind} eq 'oversell_blocked' ? 'N1' : 'I12',
                     @$al{qw(kind activity_id detail)});
    }

    $self->wrong("I12 dead letter $_->{stream_id}: $_->{cause}")
        foreach @{$self->{b}{dead}};

    # one may just look at Redis by itself
    $self->wrong("I14 $_: a worker waits for %d operations",
                 $self->{b}{open}{$_})
        foreach grep { $self->{b}{open}{$_} > 1 }
                sort keys %{$self->{b}{open}};

    my ($rc, $text) = @{$self->{b}{reconcile}};

    $self->wrong("I9 reconcile says: %s", $text =~ s/\n(?=.)/; /gr =~ s/\n//r)
        if $rc;
}


# --- what clients were told ---

sub told {
    my ($self, $id) = @_;

    my $name = "$id->{a}:$id->{u}:$id->{id}";
    my $row = $self->{row}{$name};
    my @answers = sort { $a->{t0} <=> $b->{t0} } @{$id->{answers}};
    my %of;

    push @{$of{$_->{kind}}}, $_ foreach @answers;

    my %orders = map { $_->{order} => 1 } grep { defined $_->{order} }
        @{$of{yes} || []}, @{$of{back} || []};
    my $outcome = Chaos::History::outcome($id);

    if (keys %orders > 1 && !$self->{lost}) {
        $self->wrong("I5 $name was told two orders: %s",
                     join ' ', sort keys %orders);
    }

    if (%orders && !$self->{lost}) {
        $self->wrong("I11 $name was told order %s, there is %s",
                     join(' ', sort keys %orders),
                     $row ? $row->{order_no} : 'no row')
            if !$row || !$orders{$row->{order_no}};
    }

    $self->both($name, \%of, $row);

    if ($outcome eq 'not' && $row) {
        $self->wrong("I6 $name has an order, and each copy was told that it "
                     . 'was not executed');
    }

    $self->wrong("L2 $name stayed unknown")
        if $outcome eq 'unknown' && !$self->{storm};
}


# answers that do not go together

sub both {
    my ($self, $name, $of, $row) = @_;

    my ($a) = split /:/, $name;
    my @yes = @{$of->{yes} || []};
    my @back = @{$of->{back} || []};

    return if $self->{lost};

    foreach my $back (@back) {
        next if $row && $self->{b}{revived}{$row->{order_no}};
        $self->wrong("I5 $name was told that its order was given back, then "
                     . 'that it has it')
            if grep { $_->{t0} > $back->{t1} } @yes;
    }

    foreach my $no (@{$of->{no} || []}) {
        foreach my $yes (@yes, @back) {

            # a grant that was told before is in MySQL, or will be
            if ($yes->{t1} <= $no->{t0}) {
                $self->wrong("I5 $name was told $yes->{kind}, then no");

            } elsif (!$self->changed($a, $no->{t0}, $yes->{t1})) {
                $self->wrong("I5 $name was told no and $yes->{kind} in one "
                             . 'epoch');
            }
        }

        next if @yes || @back || !$row;

        my $granted = $row->{granted_ms} / 1000;

        $self->wrong("I6 $name was told no and has order %s",
                     $row->{order_no})
            if !$self->changed($a, $no->{t0}, $self->{shifted} ? 9e15
                                              : $granted + 0.1)
               || (!$self->{shifted} && $granted + 0.1 < $no->{t0});
    }
}


# whether the epoch may have changed between two moments

sub changed {
    my ($self, $a, $from, $to) = @_;

    my @seen = @{$self->{h}{epochs}{$a} || []};
    my $last = { e => 0, t0 => 0 };

    push @seen, { e => $self->{b}{meta}{$a}{epoch} // 0, t => 9e15,
                  t0 => 9e15 };

    foreach my $s (@seen) {
        return 1 if $s->{e} != $last->{e} && $last->{e}
                    && $last->{t0} <= $to && $s->{t} >= $from;
        $last = $s;
    }

    # nobody looked
    return @seen == 1;
}


# an order number is told to one only, who has it

sub numbers {
    my ($self) = @_;

    my %who;

    foreach my $name (keys %{$self->{h}{ids}}) {
        foreach my $answer (@{$self->{h}{ids}{$name}{answers}}) {
            $who{$answer->{order}}{$name} = 1 if defined $answer->{order};
        }
    }

    foreach my $no (sort keys %who) {
        my @names = sort keys %{$who{$no}};

        $self->wrong("N7 order $no was told to %s", join ', ', @names)
            if @names > 1;

        my $row = $self->{by_no}{$no} or next;
        my $name = "$row->{activity_id}:$row->{user_id}:$row->{req_id}";

        $self->wrong("N7 order $no was told to %s and belongs to %s",
                     $names[0], $name) if !$who{$no}{$name};
    }
}


# each row was asked for: by a name, or by one who never learnt his id

sub nameless {
    my ($self) = @_;

    my (%asked, %rows);

    $asked{"$_->{a}:$_->{u}"}++
        foreach grep { $_->{kind} eq 'unknown' } @{$self->{h}{nameless}};

    foreach my $name (sort keys %{$self->{row}}) {
        next if $self->{h}{ids}{$name};

        my ($who) = $name =~ /^(\d+:\d+)/;

        $self->wrong("I11 order %s of %s: nobody asked for it",
                     $self->{row}{$name}{order_no}, $who)
            if ++$rows{$who} > ($asked{$who} // 0);
    }
}


# --- what an order may look like, over time ---

# an order that was there stays; what failed stays failed

sub polls {
    my ($self) = @_;

    my (%at, %told);

    foreach my $c (grep { $_->{op} eq 'poll' && $_->{ret} }
                   @{$self->{h}{calls}})
    {
        my $no = $c->{order};
        my $kind = $c->{ret}{kind};
        my $state = $at{$no} //= {};

        # as of the answers that were there before this was asked
        my $had = $state->{success} && $state->{success} < $c->{t};
        my $failed = $state->{failed} && $state->{failed} < $c->{t};

        if ($kind eq 'missing' && ($had || $failed || !$self->{lost})) {
            $self->wrong("I11 order $no was acknowledged and is not found");

        } elsif ($kind eq 'queued' && ($had || $failed)) {
            $self->wrong("I11 order $no had a row, then none");

        } elsif ($kind eq 'success' && $failed
                 && !$self->{b}{revived}{$no})
        {
            $self->wrong("I8 order $no was over and is alive again");
        }

        $state->{$kind} = $c->{ret}{t}
            if !$state->{$kind} || $c->{ret}{t} < $state->{$kind};
    }

    foreach my $no (sort keys %at) {
        my $row = $self->{by_no}{$no};

        next if !$at{$no}{success} && !$at{$no}{failed};

        $self->wrong("I11 order $no was shown and has no row") if !$row;
        $self->wrong("I8 order $no had failed and is alive")
            if $row && $at{$no}{failed} && live($row)
               && $row->{stock_state} != 1 && !$self->{b}{revived}{$no};
    }
}


sub cancels {
    my ($self) = @_;

    foreach my $c (grep { $_->{op} eq 'cancel' && $_->{ret} }
                   @{$self->{h}{calls}})
    {
        my $kind = $c->{ret}{kind};
        my $row = $self->{by_no}{$c->{order}};

        $self->wrong("I11 order $c->{order} was acknowledged and cannot be "
                     . 'cancelled: not found')
            if $kind eq 'missing' && !$self->{lost};
        $self->wrong("I8 order $c->{order} was cancelled, its status is %s",
                     $row ? $row->{status} : 'gone')
            if $kind eq 'done' && (!$row || $row->{status} != 5);
    }
}


sub strange {
    my ($self) = @_;

    foreach my $c (@{$self->{h}{calls}}) {
        my $ret = $c->{ret} or next;

        $self->wrong("answer to $c->{op} of call $c->{i}: %s %s",
                     $ret->{status}, $ret->{body} // '')
            if $ret->{kind} eq 'strange';

        # only Redis knows what became of the copies before
        $self->wrong("I6 the filter answered a retry: call $c->{i}, $c->{a}:"
                     . "$c->{u}:$c->{id}")
            if $c->{op} eq 'buy' && $c->{retry} && $ret->{filtered};
    }
}


1;
