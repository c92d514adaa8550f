package Chaos::Plan;

# Copyright (C) Rush
#
# What happens in a round, all of it from one number:
#
#   my $p = Chaos::Plan->new(seed => 7);
#   {
#       seed, storm (0 | 1), max_faults, run_ms,
#       faults      [{ at_ms, for_ms, kind, target, args }, ...]
#       ops         { seed, weights => { buy => .., again => .., ... },
#                     max (operations at most, 0: no limit), clients, users,
#                     people (owners of accounts), payers }
#       activities  [{ stock, limit, pay_seconds, for_payers, roomy }, ...]
#                   roomy: neither stock nor limit ends before the round
#       late        revive | refund: what comes of payments that are late
#       stocks      [units of ordinary products]
#   }
#
# At most max_faults last at once, without limit in a storm.  new(%o) takes
# members of another plan in their place, to leave something out; only =>
# [kinds] makes these faults only.  lines() are JSON.

use warnings;
use strict;

use JSON::PP ();

use Chaos::Rand;

our @EDGES = qw(a-redis b-redis d1-redis d2-redis d1-mysql d2-mysql a-mysql
                b-mysql client-a client-b);

our %POINTS = (
    W => [qw(W1 W2 W3 W4 W5 W6 W8)],
    D => [qw(D1 D2 D3 D4 D5 D6 D7 D8 D9 D10)],
    C => [qw(C1 C2 C3 C4 C6 C6 C7)],
    K => [qw(K1 K2 K3 K4 K6 K7 K8)],            # the cashier
    T => [qw(T1 T2 T3 T4)],                     # the teller
    O => [qw(O1 O2 O3 O4 O5 O6 O7 O8)],         # ordinary orders
);

# how often in 30 s, times ten
my @KINDS = (
    kill_worker => 30, kill_daemon => 20, kill_redis => 10, kill_master => 3,
    kill_mysql => 5, term => 8, pause => 20, reload => 10, upgrade => 3,
    proxy => 60, flush => 3, old_aof => 2, disk_full => 2, clock => 3,
    failpoint => 60,
);

my $json = JSON::PP->new->canonical;


sub new {
    my ($class, %o) = @_;

    my $rnd = Chaos::Rand->new($o{seed}, 'plan');
    my $storm = $o{seed} % 5 == 0 ? 1 : 0;
    my $self = bless {
        seed => $o{seed}, storm => $storm, run_ms => 4000,
        max_faults => $storm ? 8 : $rnd->range(1, 3),
    }, $class;

    $self->{activities} = activities($rnd,
                                     Chaos::Rand->new($o{seed}, 'late'));
    $self->{late} = Chaos::Rand->new($o{seed}, 'rule')->chance(40)
        ? 'refund' : 'revive';
    $self->{ops} = ops($rnd, $o{seed});
    $self->{stocks} = [5, 60];
    $self->{faults} = $self->faults(Chaos::Rand->new($o{seed}, 'faults'),
                                    $o{only});

    $self->{$_} = $o{$_} foreach grep { $_ ne 'only' } keys %o;

    return $self;
}


sub lines {
    my ($self) = @_;

    my %head = map { $_ => $self->{$_} } grep { $_ ne 'faults' } keys %$self;

    return map { $json->encode($_) . "\n" } \%head, @{$self->{faults}};
}


sub activities {
    my ($rnd, $late) = @_;

    my @all = map {
        { stock => $_, limit => $rnd->pick(1, 1, 2), pay_seconds => 1800 }
    } 1, 7, 100;

    # one whose orders run out of time while all goes wrong
    push @all, { stock => 7, limit => 1, pay_seconds => 2 }
        if $rnd->chance(30);

    # for who pays: there is time, there is none
    push @all, map { { stock => $_->[0], limit => 2, pay_seconds => $_->[1],
                       for_payers => 1 } } [40, 1800], [20, 2];

    # what came too late must not want for units then
    @{$all[-1]}{qw(stock limit roomy pay_seconds)} = (400, 12, 1, 1)
        if $late->chance(60);

    return \@all;
}


sub ops {
    my ($rnd, $seed) = @_;

    return {
        seed => $seed, clients => 60, users => 300, people => 12, payers => 16,
        max => 0,
        weights => {
            buy => 40, again => $rnd->range(5, 20),
            double => $rnd->range(2, 10), poll => 10,
            resolve => $rnd->range(2, 10), cancel => $rnd->range(3, 12),
            adjust => $rnd->range(0, 3), pause => $rnd->range(0, 1),
            warmup => $rnd->range(0, 2),
        },
    };
}


# each of max_faults tracks has one fault after the other

sub faults {
    my ($self, $rnd, $only) = @_;

    my %only = map { $_ => 1 } @{$only || []};
    my @kinds = map { ($KINDS[2 * $_], $KINDS[2 * $_ + 1]) }
        grep { !$only || $only{$KINDS[2 * $_]} } 0 .. $#KINDS / 2;
    my @faults;

    die "no such fault: @$only\n" if !@kinds;

    foreach my $track (1 .. $self->{max_faults}) {
        my $at = $rnd->range(200, 900);

        while ($at < $self->{run_ms} - 500) {
            my $kind = $rnd->weighted(@kinds);
            my $fault = { at_ms => $at, kind => $kind,
                          for_ms => $rnd->range(200, 1800) };

            __PACKAGE__->can("choose_$kind")->($fault, $rnd);
            push @faults, $fault;
            $at += $fault->{for_ms} + $rnd->range(50, 700);
        }
    }

    return [sort { $a->{at_ms} <=> $b->{at_ms}
                   || $a->{kind} cmp $b->{kind} } @faults];
}


# --- what exactly, of each kind: target and args ---

sub node {
    my ($rnd) = @_;
    return $rnd->pick(qw(a b));
}


sub choose_kill_worker {
    my ($f, $rnd) = @_;
    $f->{target} = node($rnd);
    $f->{args} = { nth => $rnd->below(2) };
    $f->{for_ms} = $rnd->range(50, 300);
}


sub choose_kill_daemon {
    my ($f, $rnd) = @_;
    $f->{target} = $rnd->pick(qw(d1 d2 controller));
}


sub choose_kill_redis { $_[0]{target} = 'redis' }
sub choose_kill_mysql { $_[0]{target} = 'mysql' }


sub choose_kill_master {
    my ($f, $rnd) = @_;
    $f->{target} = node($rnd);
}


sub choose_term {
    my ($f, $rnd) = @_;
    $f->{target} = $rnd->pick(qw(worker-a worker-b a b redis mysql d1 d2
                                 controller));
}


sub choose_pause {
    my ($f, $rnd) = @_;
    $f->{target} = $rnd->pick(qw(worker-a worker-b a b redis redis mysql d1
                                 d2 controller));
    $f->{args} = { nth => $rnd->below(2) };
    $f->{for_ms} = $rnd->range(200, 2500);
}


sub choose_reload {
    my ($f, $rnd) = @_;
    $f->{target} = node($rnd);
    $f->{args} = { how => $rnd->pick(qw(same same resized broken)) };
    $f->{for_ms} = $rnd->range(100, 600);
}


sub choose_upgrade {
    my ($f, $rnd) = @_;
    $f->{target} = node($rnd);
    $f->{for_ms} = $rnd->range(300, 900);
}


sub choose_flush { $_[0]{target} = 'redis'; $_[0]{for_ms} = 100 }


# copied at the start, put in place at the end

sub choose_old_aof { $_[0]{target} = 'redis' }


sub choose_disk_full {
    my ($f, $rnd) = @_;
    $f->{target} = $rnd->pick(qw(redis mysql));
}


sub choose_clock {
    my ($f, $rnd) = @_;
    $f->{target} = $rnd->pick(qw(a b redis d1 d2 controller));
    $f->{args} = { shift => $rnd->pick('+5s', '-5s', '+1h', '-1h') };
    $f->{for_ms} = $rnd->range(800, 2000);
}


sub choose_failpoint {
    my ($f, $rnd) = @_;

    my $set = $rnd->weighted(W => 20, D => 40, C => 25, K => 12,
                             T => 12, O => 8);
    my @actions = qw(kill sleep error);

    $f->{target} = $rnd->pick(@{$POINTS{$set}});

    # these have nothing to fail
    pop @actions if $f->{target} =~ /^W[1458]$/;

    $f->{args} = { action => $rnd->pick(@actions),
                   nth => $rnd->pick(1, 1, 1, 1, 2, 5) };
    $f->{for_ms} = $rnd->range(800, 2200);

    # of what seldom runs, the first; and what makes it run
    $f->{args}{nth} = 1 if $set eq 'C' || $f->{target} =~ /^(?:W6|W8|D9|D10)$/;

    my %cause = (W8 => 'reload', W6 => 'reset', C2 => 'flush', C3 => 'flush',
                 C4 => 'flush');

    $f->{args}{cause} = $cause{$f->{target}} if $cause{$f->{target}};
}


sub choose_proxy {
    my ($f, $rnd) = @_;

    my $edge = $f->{target} = $rnd->pick(@EDGES);
    my $rule = $rnd->weighted(refuse => 10, reset => 10, blackhole => 15,
                              delay => 15, throttle => 10, bytewise => 10,
                              cut => 30);
    my %args;

    if ($rule eq 'blackhole') {
        %args = (dir => $rnd->pick(qw(up down both)),
                 lose => $rnd->below(2));

    } elsif ($rule eq 'delay') {
        %args = (ms => $rnd->pick(20, 100, 500, 1200),
                 jitter => $rnd->pick(0, 50, 300),
                 seed => $rnd->below(1_000_000));

    } elsif ($rule eq 'throttle') {
        %args = (rate => $rnd->pick(500, 5000, 50_000));

    } elsif ($rule eq 'cut') {
        # of a request that moves stock, where there is one
        %args = (where => $rnd->pick(qw(request before inside after)),
                 nth => $rnd->pick(1, 1, 3, 10), times => 1000,
                 byte => $rnd->pick(1, 5, 20, 60), rst => $rnd->below(2));
        $args{match} = $rnd->pick('evalsha', 'evalsha', '')
            if $edge =~ /^[ab]-redis/;
        $args{match} = $rnd->pick('commit', '') if $edge =~ /^d\d-mysql/;
        $args{match} = '/buy' if $edge =~ /^client/ && $rnd->chance(60);
        delete $args{match} if !length($args{match} // '');
    }

    $f->{args} = { rule => $rule, %args };
}


1;
