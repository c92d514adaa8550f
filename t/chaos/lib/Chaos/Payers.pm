package Chaos::Payers;

# Copyright (C) Rush
#
# The payers of a round: each does one thing after the other, on either node,
# or two at once, and knows what it may be told (Chaos::Payer).
#
#   Chaos::Payers->prepare($w, $plan)
#       before the round: ordinary products; marks where its rows begin
#   my $payers = Chaos::Payers->new(work => $work, names => prefix)
#       before there is any connection: notices that come early are made by a
#       process of their own (Chaos::Early), and so is what makes refunds fail
#       (Chaos::Purse)
#   $payers->start($count)
#       beside the buyers, on the connections of Chaos::Work
#   $payers->leave($history)
#       what is known in the end
#   my $why = Chaos::Payers->noise($w, $plan)
#       after healing: what money still moves, '' none
#   my @wrong = Chaos::Payers->settle($w, $file, $plan, %o)
#       at rest: what was seen, what became of it, and the books; o: lost,
#       shifted

use warnings;
use strict;

use JSON::PP ();
use Time::HiRes qw(time);

use Chaos::Early;
use Chaos::Money;
use Chaos::Payer;
use Chaos::Purse;
use Chaos::Rand;

use constant TIMEOUT => 4.5;
use constant USERS => 600;              # behind the first one, up to 999

my $json = JSON::PP->new->canonical;


sub prepare {
    my ($class, $w, $plan) = @_;

    $plan->{mark} = Chaos::Money->mark($w);
    $plan->{forged} = $w->{forger}->forge();
    $plan->{products} = { map { $w->product(stock => $_) => $_ }
                          @{$plan->{stocks} || []} };
}


sub new {
    my ($class, %o) = @_;

    my $plan = $o{work}{plan};

    return bless {
        %o, http => $o{work}{http}, payers => [],
        early => Chaos::Early->start($o{work}{world}),
        purse => Chaos::Purse->start($o{work}{world}),
        shop => { sales => [grep { $_->{for_payers} } @{$plan->{activities}}],
                  products => [sort keys %{$plan->{products}}],
                  forged => $plan->{forged} },
    }, $class;
}


sub start {
    my ($self, $count) = @_;

    my $work = $self->{work};

    foreach my $n (1 .. $count) {
        my $p = Chaos::Payer->new(
            name => "$self->{names}p$n",
            user => $work->{ops}{first_user} + USERS + $n);

        $p->{rnd} = Chaos::Rand->new($work->{seed}, "payer $n");
        push @{$self->{payers}}, $p;
        $self->{http}->at(time() + $p->{rnd}->below(300) / 1000,
                          sub { $self->act($p) });
    }
}


sub act {
    my ($self, $p) = @_;

    return if time() >= $self->{work}{end};

    my $rnd = $p->{rnd};
    my $x = $p->choose($rnd, time(), $self->{shop});
    my $think = $rnd->range(5, 80) / 1000;
    my $next = sub {
        $self->{http}->at(time() + $think, sub { $self->act($p) });
    };

    $p->asked($x);
    $self->trouble($p, $_) foreach $x->{both} ? @{$x->{both}} : $x;

    return $self->two($p, $x->{both}, $next) if $x->{op} eq 'race';
    return $self->buy($p, $x, $next) if $x->{op} eq 'buy';

    if ($x->{op} eq 'early') {
        $self->{early}->tell({ %$x, user => $p->{user},
                               pause => $rnd->range(0, 300) / 1000 });
        return $next->();
    }

    $self->{http}->ask($self->prepared($p, $x, $next));
}


# a request, its time, and what its answer does

sub prepared {
    my ($self, $p, $x, $next) = @_;

    my $w = $self->{work}{world};
    my $q = $p->request($x);

    $q->{token} = delete $q->{admin} ? $w->admin_token()
        : $self->{work}->token(delete $q->{user})
        if $q->{admin} || $q->{user};

    my ($bytes) = $w->bytes_of($q);
    my $t0 = time();

    return ($p->{rnd}->pick(qw(a b)), $bytes, TIMEOUT, sub {
        $p->take($x, $_[0], $t0, time());
        $self->listen($p);
        $next->();
    });
}


sub two {
    my ($self, $p, $both, $next) = @_;

    my $left = @$both;

    $self->{http}->together(TIMEOUT, map {
        my ($node, $bytes, undef, $sub) =
            $self->prepared($p, $_, sub { $next->() if !--$left });
        [$node, $bytes, $sub];
    } @$both);
}


# as the other buyers do, and judged with them

sub buy {
    my ($self, $p, $x, $next) = @_;

    my ($node, $bytes, $sub) = $self->{work}->prepare(
        { n => 'p', rnd => $p->{rnd} },
        { op => 'buy', a => $x->{sale} + 0, u => $p->{user}, q => $x->{q},
          id => $x->{key}, payer => 1 },
        sub {
            $p->ordered($x, $_[0]);
            $self->listen($p);
            $next->();
        });

    $self->{http}->ask($node, $bytes, TIMEOUT, $sub);
}


# what is about to go back may find no money, or nobody may know whether it
# has gone

sub trouble {
    my ($self, $p, $x) = @_;

    return if $x->{op} !~ /^(?:approve|return|retry)$/ || !$x->{pid};

    my $how = $p->{rnd}->weighted(none => 65, empty => 25, torn => 10);

    return if $how eq 'none';

    $p->{did}{"trouble $how"}++;
    $self->{purse}->tell({ pid => $x->{pid}, how => $how,
                           ms => $p->{rnd}->range(200, 1500) });
}


# somebody listens to some of the orders, two to a few

sub listen {
    my ($self, $p) = @_;

    foreach my $no (sort keys %{$p->{orders}}) {
        next if $self->{known}{$no}++;

        foreach (1 .. $p->{rnd}->pick(0, 0, 1, 1, 2)) {
            $self->{work}{ears}->tell({ no => $no, user => $p->{user} });
        }
    }
}


sub leave {
    my ($self, $h) = @_;

    foreach my $p (@{$self->{payers}}) {
        $h->add({ ev => 'claim', of => 'payer', kind => $_->[0],
                  text => $_->[1] }) foreach @{$p->{wrong}};
        $h->add({ ev => 'payer', %{$p->plain()} });
    }

    # the later one holds the pipe of the other
    $_->end() foreach @$self{qw(purse early)};
}


# --- after healing ---

sub users {
    my ($plan) = @_;
    my $first = $plan->{ops}{first_user};
    return ($first, $first + 999);
}


# the operator: what has failed at the provider may go by now

sub retry {
    my ($w, $of) = @_;

    my @failed = $w->sql("SELECT id FROM refund WHERE $of AND state = 6 "
                         . 'AND reserved = 1');

    $w->post("/api/v1/admin/refunds/$_->{id}/retry", {}, admin => 1,
             record => 0) foreach @failed;

    return scalar @failed;
}


sub noise {
    my ($class, $w, $plan) = @_;

    my $of = sprintf 'user_id BETWEEN %d AND %d', users($plan);
    my $failed = retry($w, $of);

    return "$failed refunds that failed" if $failed;

    my $soon = RushTest::Data::now_ms() + 6000;

    my %open = (
        'ordinary orders on their way' => "orders WHERE $of AND (status = 0 "
            . 'OR stock_state IN (1, 2))',
        'ordinary orders about to time out' => "orders WHERE $of AND "
            . "stock_state = 0 AND pay_deadline_ms < $soon",
        'payments on their way' => "payment WHERE $of AND state IN (0, 3, 6)",
        'payments that end soon' => "payment WHERE $of AND state = 1 AND "
            . "deadline_ms < $soon",
        'payments that nobody heard of' => 'payment p JOIN sandbox_trade t '
            . "ON t.payment_id = p.id WHERE p.$of AND p.state IN (1, 4, 5) "
            . 'AND t.state = 1',
        'refunds on their way' => "refund WHERE $of AND state IN (1, 2, 3)",
        'notices without a payment' => 'payment_notice WHERE state = 0 AND '
            . "id > $plan->{mark}{payment_notice}",
    );

    foreach my $what (sort keys %open) {
        my $count = $w->value("SELECT COUNT(*) FROM $open{$what}");
        return "$count $what" if $count;
    }

    foreach my $key ('{rush}pay', '{rush}order') {
        my %g = map { @$_ } grep { { @$_ }->{name} eq 'rush' }
            eval { $w->redis()->xinfo('groups', $key) };

        next if !%g && !$w->redis()->exists($key);
        return "$key has no group" if !%g;
        return "$key: $g{pending} pending, lag " . ($g{lag} // '?')
            if $g{pending} || ($g{lag} // 1);
    }

    return '';
}


sub settle {
    my ($class, $w, $file, $plan, %o) = @_;

    my (@wrong, @payers);

    open my $fh, '<', $file or die "$file: $!";

    while (my $line = <$fh>) {
        next if $line !~ /"ev":"(?:claim|payer)"/;
        my $e = $json->decode($line);

        if ($e->{ev} eq 'payer') {
            push @payers, Chaos::Payer->from($e);
        } elsif (($e->{of} // '') eq 'payer') {
            push @wrong, [@$e{qw(kind text)}];
        }
    }

    my $books = Chaos::Money->gather($w, users => [users($plan)],
        from => $plan->{mark}, products => $plan->{products},
        late => $plan->{late},
        # a buyer of whom Redis has lost something may be in doubt
        roomy => [map { $_->{id} } grep { $_->{roomy} && !$o{lost} }
                  @{$plan->{activities}}]);
    my %rows = (
        now => time(),
        orders => { map { $_->{order_no} => $_ } @{$books->{orders}} },
        payments => { map { $_->{id} => $_ } @{$books->{payments}} },
        refunds => { map { $_->{id} => $_ } @{$books->{refunds}} },
    );

    push @{$rows{log}{$_->{order_no}}}, $_ foreach @{$books->{log}};
    push @{$rows{notices}{$_->{payment_id}}}, $_->{amount}
        foreach grep { $_->{kind} eq 'pay' } @{$books->{notices}};

    foreach my $p (@payers) {
        $p->rest(\%rows);
        push @wrong, @{$p->{wrong}};
    }

    return Chaos::Money->judge($books), map { "P $_->[1]" }
        grep { !($_->[0] eq 'live' && $o{shifted})
               && !($_->[0] eq 'lost' && $o{lost}) } @wrong;
}


1;
