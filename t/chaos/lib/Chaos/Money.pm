package Chaos::Money;

# Copyright (C) Rush
#
# Whether the money of a round is where it belongs, at rest: orders and their
# ways, payments, refunds, notices, the ledger, what the sandbox itself knows,
# and the stock of ordinary products (I7, I8, I13 of docs/protocol.md).
#
#   my $from = Chaos::Money->mark($world);          before the round
#   my $books = Chaos::Money->gather($world, users => [first, last],
#       from => $from, products => { id => stock }, late => revive | refund,
#       roomy => [activities that have units and to spare]);
#   my @wrong = Chaos::Money->judge($books);
#
# Books are plain data:
#   edges      { "1 2" => mask of actors }     of shared/rush_order.h
#   orders, log, payments, refunds, notices, ledger, trades, returns, alarms
#              [rows of their tables]; returns: of sandbox_refund
#   products   { id => { was, stock, taken } }
#   late, roomy   as above
#
# Each that is wrong is a sentence that begins with the number of what does
# not hold.

use warnings;
use strict;

use List::Util qw(sum0);

use RushTest;

# payment.state, refund.state, payment_notice.state
use constant { ASKED => 0, OPEN => 1, PAID => 2, CLOSING => 3, CLOSED => 4,
               FAILED => 5, LATE => 6, RETURNED => 7 };
use constant { R_DONE => 4, R_FAILED => 6 };
use constant { O_LATE => 2, O_SECOND => 3 };        # refund.origin
use constant BY_SYSTEM => 3;                        # order_log.actor_kind
use constant { UNMATCHED => 0, APPLIED => 1, MISMATCH => 3 };
use constant SANDBOX => 4;
use constant CODE => qr/^[2-9A-HJ-NP-Z]{8}$/;

my @PAYMENT = qw(asked open paid closing closed failed late returned);
my @REFUND = qw(requested approved sending processing done rejected failed);


# --- from the database ---

sub mark {
    my ($class, $w) = @_;

    return { map { $_ => $w->value("SELECT COALESCE(MAX(id), 0) FROM $_") }
             qw(ledger payment_notice alarm) };
}


sub gather {
    my ($class, $w, %o) = @_;

    my $of_users = sprintf 'BETWEEN %d AND %d', @{$o{users}};
    my $mine = "IN (SELECT id FROM payment WHERE user_id $of_users)";
    my %b = (edges => edges(), late => $o{late} // 'revive',
             roomy => { map { $_ => 1 } @{$o{roomy} || []} });

    my %from = (
        orders => "orders WHERE user_id $of_users",
        log => "order_log WHERE user_id $of_users ORDER BY order_no, version",
        payments => "payment WHERE user_id $of_users",
        refunds => "refund WHERE user_id $of_users OR payment_id $mine",
        notices => "payment_notice WHERE id > $o{from}{payment_notice}",
        ledger => "ledger WHERE id > $o{from}{ledger}",
        trades => "sandbox_trade WHERE payment_id $mine",
        returns => "sandbox_refund WHERE payment_id $mine",
        alarms => "alarm WHERE id > $o{from}{alarm}",
    );

    $b{$_} = [$w->sql("SELECT * FROM $from{$_}")] foreach keys %from;

    foreign($w, \%b, "user_id NOT $of_users");

    foreach my $id (keys %{$o{products} || {}}) {
        my ($row) = $w->sql('SELECT stock, taken FROM product WHERE id = ?',
                            $id);
        $b{products}{$id} = { was => $o{products}{$id}, %$row };
    }

    return \%b;
}


# what somebody says late of payments of earlier rounds is not looked at here
# (rush-consumer --reconcile does)

sub foreign {
    my ($w, $b, $others) = @_;

    my %not = (0 => 0);

    foreach my $table (qw(payment refund)) {
        $not{$_->{id}} = 1
            foreach $w->sql("SELECT id FROM $table WHERE $others");
    }

    @{$b->{notices}} = grep { !$not{$_->{payment_id}} && !$not{$_->{refund_id}}
                            } @{$b->{notices}};
    @{$b->{ledger}} = grep { !$not{$_->{txn} =~ s/^[pr]://r} }
        @{$b->{ledger}};
}


# as the header declares them

sub edges {
    my $text = RushTest::slurp("$RushTest::ROOT/shared/rush_order.h");
    my %bit = (NOBODY => 0);
    my (%number, %edges);

    $number{$1} = $2 while $text =~ /\bS\((\w+),\s*(\d+), "/g;
    $bit{$1} = 1 << $2 while $text =~ /\bA\((\w+),\s*(\d+), "/g;

    while ($text =~ /\bE\((\w+),\s*(\w+),\s*(RUSH_BY_\w+(?:\|RUSH_BY_\w+)*)/g)
    {
        my ($from, $to, $who) = ($1, $2, $3);
        my $mask = 0;

        $mask |= $bit{$_} foreach $who =~ /RUSH_BY_(\w+)/g;
        $edges{"$number{$from} $number{$to}"} = $mask;
    }

    die "no edges in shared/rush_order.h\n" if !%edges;

    return \%edges;
}


# --- whether they are right ---

sub judge {
    my ($class, $books) = @_;

    my $self = bless { b => $books, wrong => [] }, $class;

    $self->{order} = { map { $_->{order_no} => $_ } @{$books->{orders}} };
    $self->{payment} = { map { $_->{id} => $_ } @{$books->{payments}} };
    $self->{refund} = { map { $_->{id} => $_ } @{$books->{refunds}} };
    push @{$self->{log}{$_->{order_no}}}, $_ foreach @{$books->{log}};
    push @{$self->{of_order}{$_->{order_no}}}, $_
        foreach @{$books->{payments}};
    push @{$self->{back}{$_->{payment_id}}}, $_ foreach @{$books->{refunds}};

    $self->way($_) foreach @{$books->{orders}};
    $self->order($_) foreach @{$books->{orders}};
    $self->payment($_) foreach @{$books->{payments}};
    $self->late($_) foreach @{$books->{orders}};
    $self->refund($_) foreach @{$books->{refunds}};
    $self->ledger();
    $self->clearing();
    $self->notice($_) foreach @{$books->{notices}};
    $self->stock();

    return @{$self->{wrong}};
}


sub wrong {
    my ($self, $format, @values) = @_;
    push @{$self->{wrong}}, sprintf $format, @values;
}


# I8: each step is an edge, by who may go it; from where it was to where it is

sub way {
    my ($self, $o) = @_;

    my $no = $o->{order_no};
    my @log = @{$self->{log}{$no} || []};
    my $edges = $self->{b}{edges};
    my ($at, $version) = (@log ? $log[0]{from_status} : $o->{status}, 0);

    $self->wrong('I8 order %s was born in state %d', $no, $at)
        if $at !~ /^[019]$/
           && !($at == 5 && $o->{stock_state} == 5);

    foreach my $step (@log) {
        my $edge = "$step->{from_status} $step->{to_status}";

        $self->wrong('I8 order %s: a step from %d, it was in %d', $no,
                     $step->{from_status}, $at)
            if $step->{from_status} != $at;
        $self->wrong('I8 order %s: no edge from %s by actor %d', $no,
                     $edge =~ s/ / to /r, $step->{actor_kind})
            if !(($edges->{$edge} // 0) >> $step->{actor_kind} & 1);
        $self->wrong('I8 order %s: version %d after %d', $no,
                     $step->{version}, $version)
            if $step->{version} <= $version;

        ($at, $version) = @$step{qw(to_status version)};
    }

    $self->wrong('I8 order %s is in state %d, its last step led to %d', $no,
                 $o->{status}, $at) if $o->{status} != $at;
    $self->wrong('I8 order %s: version %d, its log has %d', $no,
                 $o->{version}, $version) if $o->{version} < $version;
}


sub passed {
    my ($self, $o, $state) = @_;
    return scalar grep { $_->{to_status} == $state }
        @{$self->{log}{$o->{order_no}} || []};
}


# I7: one payment that counts for whoever has been paid, none for others

sub order {
    my ($self, $o) = @_;

    my $no = $o->{order_no};
    my @paid = grep { $_->{state} == PAID } @{$self->{of_order}{$no} || []};
    my $due = $o->{status} =~ /^[234678]$/ ? 1 : 0;

    $self->wrong('I7 order %s is in state %d and has %d successful payments',
                 $no, $o->{status}, scalar @paid) if @paid != $due;
    $self->wrong('I8 order %s is still being made', $no)
        if $o->{status} == 0;

    return if !$due;

    $self->wrong('I7 order %s names payment %s as its own, which is %s', $no,
                 $o->{payment_id}, join(' ', map { $_->{id} } @paid) || 'none')
        if !grep { $_->{id} eq $o->{payment_id} } @paid;
    $self->wrong('I7 order %s has no code, or a bad one', $no)
        if ($o->{trade_code} // '') !~ CODE;
    $self->wrong('I7 order %s was paid without a time or a way', $no)
        if !$o->{paid_ms} || !length $o->{pay_type};
    $self->wrong('I8 order %s was redeemed and is in state %d', $no,
                 $o->{status})
        if $o->{redeemed_ms} && !$self->passed($o, 4);

    $self->end($o) if $o->{status} == 6 || $o->{status} == 7;
}


# the money goes back, then the units, if they never left us

sub end {
    my ($self, $o) = @_;

    my $no = $o->{order_no};
    my @whole = grep { $_->{whole} && $_->{reserved}
                       && $_->{order_no} eq $no } @{$self->{b}{refunds}};
    my $left = $self->passed($o, 3) || $self->passed($o, 4);

    return $self->wrong('I7 order %s ends by %d refunds', $no, scalar @whole)
        if @whole != 1;

    my $p = $self->{payment}{$o->{payment_id}} or return;

    $self->wrong('I7 order %s is refunded, %d of %d have gone back', $no,
                 @$p{qw(returned amount)})
        if $o->{status} == 7 && $p->{returned} != $p->{amount};
    $self->wrong('I7 order %s is refunded and its units are %s', $no,
                 $left ? 'taken back' : 'kept')
        if $o->{status} == 7 && ($o->{stock_state} == 3) != !$left;
}


sub payment {
    my ($self, $p) = @_;

    my $id = $p->{id};
    my $o = $self->{order}{$p->{order_no}};
    my @back = @{$self->{back}{$id} || []};
    my $promised = sum0 map { $_->{amount} } grep { $_->{reserved} } @back;
    my $gone = sum0 map { $_->{amount} } grep { $_->{state} == R_DONE } @back;
    my $paid = paid($p);

    return $self->wrong('I7 payment %s has no order', $id) if !$o;

    $self->wrong('I13 payment %s is still %s', $id, $PAYMENT[$p->{state}])
        if $p->{state} =~ /^[036]$/;
    $self->wrong('I7 payment %s is of %d, the order costs %d', $id,
                 $p->{amount}, $o->{amount})
        if $p->{amount} != $o->{amount};
    $self->wrong('I7 payment %s is of user %s, the order of %s', $id,
                 $p->{user_id}, $o->{user_id})
        if $p->{user_id} ne $o->{user_id};
    $self->wrong('I7 payment %s is %s and has %s', $id,
                 $PAYMENT[$p->{state}],
                 defined $p->{transaction_id} ? 'been paid' : 'no number')
        if $paid != (defined $p->{transaction_id} ? 1 : 0);
    $self->wrong('I7 payment %s: %d promised back, its refunds are %d', $id,
                 $p->{refunded}, $promised) if $p->{refunded} != $promised;
    $self->wrong('I7 payment %s: %d have gone back, its refunds are %d', $id,
                 $p->{returned}, $gone) if $p->{returned} != $gone;
    $self->wrong('I7 payment %s: %d go back of %d', $id, $promised,
                 $p->{amount}) if $promised > ($paid ? $p->{amount} : 0);
    $self->wrong('I13 payment %s was paid for nothing, %d of %d go back', $id,
                 $promised, $p->{amount})
        if $p->{state} == RETURNED && $promised != $p->{amount};
}


sub paid { return $_[0]{state} =~ /^[267]$/ ? 1 : 0 }


# What was paid too late: the order comes back, or the money goes back, as the
# rule is; never both, and once.  Who cancelled does not want it any more.

sub late {
    my ($self, $o) = @_;

    my $no = $o->{order_no};
    my ($ended, $back) = (0, 0);

    foreach my $step (@{$self->{log}{$no} || []}) {
        $ended = $step->{actor_kind} if $step->{to_status} == 5;
        next if $step->{from_status} != 5;

        $back++;
        $self->wrong('I13 order %s came back, late payments are to go back',
                     $no) if $self->{b}{late} eq 'refund';
        $self->wrong('I13 order %s came back, it was cancelled by %d', $no,
                     $ended) if $ended != BY_SYSTEM;
    }

    $self->wrong('I13 order %s came back %d times', $no, $back) if $back > 1;

    foreach my $p (@{$self->{of_order}{$no} || []}) {
        my @sent = grep { $_->{origin} == O_LATE || $_->{origin} == O_SECOND }
            @{$self->{back}{$p->{id}} || []};

        $self->wrong('I13 payment %s is %s and was sent back %d times by '
                     . 'itself', $p->{id}, $PAYMENT[$p->{state}],
                     scalar @sent)
            if @sent != ($p->{state} == RETURNED ? 1 : 0);
        $self->wrong('I13 order %s ran out of time, there were units, and '
                     . 'its late payment %s went back', $no, $p->{id})
            if @sent && $sent[0]{origin} == O_LATE
               && $self->{b}{late} eq 'revive' && $o->{status} == 5
               && ($o->{cancel_reason} // '') eq 'timeout'
               && $self->{b}{roomy}{$o->{activity_id}};
    }
}


sub refund {
    my ($self, $r) = @_;

    my $id = $r->{id};
    my $p = $self->{payment}{$r->{payment_id}}
        or return $self->wrong('I7 refund %s has no payment', $id);

    # one that asks for more than is left ends so
    my $refused = $r->{state} == R_FAILED && !$r->{reserved};

    $self->wrong('I13 refund %s is still %s', $id, $REFUND[$r->{state}])
        if $r->{state} =~ /^[1236]$/ && !$refused;
    $self->wrong('I7 refund %s is %s, its sum is%s promised', $id,
                 $REFUND[$r->{state}], $r->{reserved} ? '' : ' not')
        if $r->{reserved} != ($r->{state} =~ /^(?:[234]|6)$/ && !$refused
                              ? 1 : 0);
    $self->wrong('I7 refund %s is of order %s, its payment of %s', $id,
                 $r->{order_no}, $p->{order_no})
        if $r->{order_no} ne $p->{order_no};
    $self->wrong('I7 refund %s: %d of %d, %d were paid', $id,
                 @$r{qw(amount total)}, $p->{amount})
        if $r->{total} != $p->{amount} || $r->{amount} > $r->{total}
           || $r->{amount} < 1;
}


# --- the ledger ---

sub ledger {
    my ($self) = @_;

    my (%is, %want, %sum);

    foreach my $row (@{$self->{b}{ledger}}) {
        $is{$row->{txn}}{$row->{account}} += $row->{amount};
        $sum{$row->{txn}} += $row->{amount};
    }

    foreach my $p (grep { paid($_) } @{$self->{b}{payments}}) {
        $want{"p:$p->{id}"} = { 'provider:sandbox' => $p->{amount},
                                "order:$p->{order_no}" => -$p->{amount} };
    }

    foreach my $r (grep { $_->{state} == R_DONE } @{$self->{b}{refunds}}) {
        $want{"r:$r->{id}"} = { 'provider:sandbox' => -$r->{amount},
                                "order:$r->{order_no}" => $r->{amount} };
    }

    foreach my $txn (sort grep { $sum{$_} } keys %sum) {
        $self->wrong('I7 transaction %s adds up to %d', $txn, $sum{$txn});
    }

    foreach my $txn (sort keys %{{ %is, %want }}) {
        my ($w, $i) = map { lines($_->{$txn}) } \%want, \%is;

        $self->wrong('I7 transaction %s is "%s", should be "%s"', $txn, $i,
                     $w) if $w ne $i;
    }
}


sub lines {
    my ($accounts) = @_;
    return join ', ', map { "$_ $accounts->{$_}" } sort keys %$accounts;
}


# --- what the sandbox knows by itself ---

sub clearing {
    my ($self) = @_;

    my (%trade, %return);

    $trade{$_->{payment_id}} = $_ foreach @{$self->{b}{trades}};
    push @{$return{$_->{payment_id}}}, $_ foreach @{$self->{b}{returns}};

    foreach my $p (@{$self->{b}{payments}}) {
        my $id = $p->{id};
        my $t = $trade{$id} || { state => 0, refunded => 0,
                                 amount => $p->{amount} };
        my $gone = sum0 map { $_->{amount} } @{$return{$id} || []};
        my $took = $t->{state} == 1;

        $self->wrong('I13 payment %s is %s, the sandbox %s', $id,
                     $PAYMENT[$p->{state}],
                     $took ? 'took the money' : 'has no money')
            if $took != paid($p);
        $self->wrong('I13 payment %s is closed, not at the sandbox', $id)
            if $p->{state} == CLOSED && $trade{$id} && $t->{state} == 0;
        $self->wrong('I7 payment %s is of %d, of %d at the sandbox', $id,
                     $p->{amount}, $t->{amount})
            if $t->{amount} != $p->{amount};
        $self->wrong('I7 payment %s: the sandbox gave back %d, or %d, we '
                     . 'say %d', $id, $t->{refunded}, $gone, $p->{returned})
            if $t->{refunded} != $p->{returned} || $gone != $p->{returned};
    }

    foreach my $r (@{$self->{b}{returns}}) {
        my $ours = $self->{refund}{$r->{refund_id}};

        $self->wrong('I7 the sandbox gave %d back as refund %s, which is %s',
                     $r->{amount}, $r->{refund_id},
                     $ours ? "$REFUND[$ours->{state}] and of $ours->{amount}"
                           : 'unknown')
            if !$ours || $ours->{state} != R_DONE
               || $ours->{amount} != $r->{amount};
    }

    my $theirs = sum0 map { ($_->{state} == 1 ? $_->{amount} : 0)
                            - $_->{refunded} } @{$self->{b}{trades}};
    my $ours = sum0 map { $_->{amount} }
        grep { $_->{account} eq 'provider:sandbox' } @{$self->{b}{ledger}};

    $self->wrong('I7 the sandbox has %d, the ledger says %d', $theirs, $ours)
        if $theirs != $ours;
}


# I13: what was told has been heard

sub notice {
    my ($self, $n) = @_;

    my $r = $self->{refund}{$n->{refund_id}};
    my $p = $self->{payment}{$r ? $r->{payment_id} : $n->{payment_id}};
    my $name = "notice $n->{notice_key}";

    return $self->wrong('I13 %s of provider %d was believed', $name,
                        $n->{provider}) if $n->{provider} != SANDBOX;

    return $self->wrong('I13 %s has found no payment', $name)
        if $n->{state} == UNMATCHED || !$p;

    my $due = $r ? $r->{amount} : $p->{amount};

    if ($n->{state} == MISMATCH) {
        $self->wrong('I13 %s has no alarm', $name)
            if !grep { $_->{detail} =~ /^notice \Q$n->{id}\E:/ }
                     @{$self->{b}{alarms}};
        $self->wrong('I13 %s tells what is so, and is doubted: %s', $name,
                     $n->{cause}) if $n->{amount} == $due;
    }

    return if $n->{state} != APPLIED;

    $self->wrong('I13 %s was applied, the payment is %s', $name,
                 $PAYMENT[$p->{state}]) if !paid($p);
    $self->wrong('I13 %s was applied, the refund is %s', $name,
                 $REFUND[$r->{state}]) if $r && $r->{state} != R_DONE;
    $self->wrong('I13 %s tells of %d and was applied to %d', $name,
                 $n->{amount}, $due) if $n->{amount} != $due;
}


# --- ordinary products ---

sub stock {
    my ($self) = @_;

    my %held;

    $held{$_->{product_id}} += $_->{qty}
        foreach grep { $_->{activity_id} == 0
                       && $_->{stock_state} =~ /^[014]$/ }
                     @{$self->{b}{orders}};

    foreach my $id (sort keys %{$self->{b}{products}}) {
        my $p = $self->{b}{products}{$id};
        my $held = $held{$id} // 0;

        $self->wrong('I9 product %s: %d left and %d in orders, there were %d',
                     $id, $p->{stock}, $held, $p->{was})
            if $p->{stock} < 0 || $p->{stock} + $held != $p->{was};
        $self->wrong('I9 product %s: %d taken, %d in orders', $id,
                     $p->{taken}, $held) if $p->{taken} != $held;
    }
}


1;
