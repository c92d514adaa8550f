package Chaos::Nemesis;

# Copyright (C) Rush
#
# Makes the faults of a plan, and is the supervisor: what died comes back
# after a while.  Nothing here waits, faults may overlap.
#
#   my $n = Chaos::Nemesis->new($world, $plan);
#   $n->run()           until the last fault is over; heals all
#   $n->{hits}          { "kill_worker" => 3, "failpoint W1 kill" => 2,
#                       "proxy cut before" => .., "hit cut_before" => .. }:
#                       what really happened, and how often a proxy did it
#   $n->{skipped}       { what => why }
#   $n->{wrong}         [what must not have happened]
#   $n->{lost}          1: Redis was set back
#   $n->{shifted}       1: a clock was wrong
#   $n->{expected}      [qr/../] lines of logs that faults explain
#
# A fault is two functions, start_KIND and stop_KIND (where there is anything
# to end).  They keep what they need in the fault.

use warnings;
use strict;

use HTTP::Tiny;
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(sleep time);

use Chaos::Fault;

use constant RESTART => 0.3;            # s, of what died by itself
use constant AGAIN => 8;                # times a failpoint fires in a fault

our @ISA = qw(Chaos::Fault);


sub new {
    my ($class, $world, $plan) = @_;

    return bless { world => $world, plan => $plan, hits => {}, skipped => {},
                   wrong => [], lost => 0, shifted => 0, back => {},
                   explained => {}, expected => [], points => {},
                   stopped => {} }, $class;
}


sub run {
    my ($self) = @_;

    my $start = time();
    my @todo = map { { %$_ } } @{$self->{plan}{faults}};
    my $end = $self->{plan}{run_ms};
    my @open;

    while (1) {
        my $now = (time() - $start) * 1000;

        last if $now >= $end;

        while (@todo && $todo[0]{at_ms} <= $now) {
            my $f = shift @todo;
            $f->{end} = $now + $f->{for_ms};
            push @open, $f if $self->begin($f);
        }

        foreach my $f (grep { $_->{end} <= $now } @open) {
            $self->finish($f);
        }

        @open = grep { !$_->{done} } @open;

        $self->watch_points();
        $self->supervise();
        sleep 0.01;
    }

    $self->finish($_) foreach @open;
    $self->heal();
}


sub begin {
    my ($self, $f) = @_;

    my $why = $self->can("start_$f->{kind}")->($self, $f);

    if ($why) {
        $self->{skipped}{"$f->{kind} $f->{target}: $why"}++;
        return 0;
    }

    $self->{hits}{$f->{kind}}++ if $f->{kind} ne 'failpoint';
    return 1;
}


sub finish {
    my ($self, $f) = @_;

    my $stop = $self->can("stop_$f->{kind}");

    $stop->($self, $f) if $stop;
    $f->{done} = 1;
}


# --- who died comes back ---

sub supervise {
    my ($self, %o) = @_;

    my $w = $self->{world};

    foreach my $name (@{$w->{order}}) {
        my $d = $w->daemon($name);

        next if $d->running();

        $self->died($name, delete $d->{status}) if defined $d->{status};
        $self->{back}{$name} //= time() + RESTART;

        next if $self->{back}{$name} > time() && !$o{now};

        delete $self->{back}{$name};
        eval { $w->launch($name, %{$self->{env}{$name} || {}}); 1 }
            or $self->{back}{$name} = time() + 1;
        $self->{no_start}{$name} = $@ if $@;
    }
}


# A crash is never right, but for servers without a disk.  Who was killed or
# asked to end may do so

sub died {
    my ($self, $name, $status) = @_;

    my $signal = $status & 127;
    my $told = $self->{explained}{$name};

    return if $self->{full}{$name};
    return if ($signal == 9 || $signal == 15 || !$status) && $told;
    return if $signal == 9 && $self->{killing};

    push @{$self->{wrong}}, "$name ended by itself, "
        . ($signal ? "signal $signal" : 'status ' . ($status >> 8));
}


# it is our doing that it is down: it comes back in so many ms

sub down {
    my ($self, $name, $ms) = @_;
    $self->{back}{$name} = time() + $ms / 1000;
}


# --- failpoints ---

# one that fired is armed again while its fault lasts

sub watch_points {
    my ($self) = @_;

    my $w = $self->{world};
    my $all = $self->{points};

    return if !%$all;

    my $table = RushTest::slurp("$w->{dir}/failpoints");

    foreach my $name (keys %$all) {
        my $p = $all->{$name};
        my $at = $w->{failpoints}{$name} * 32;
        my ($left) = unpack 'x20 L', substr $table, $at, 32;

        next if $left || ($p->{fired} // 0) >= AGAIN;

        $self->{hits}{"failpoint $name $p->{action}"}++;
        $self->{hits}{failpoint}++;

        # a worker that dies at its start would do nothing else
        $w->failpoint($name, $p->{action}, $p->{nth})
            if ++$p->{fired} < AGAIN;
    }
}


# --- the end ---

sub heal {
    my ($self) = @_;

    my $w = $self->{world};

    $self->watch_points();
    $w->failpoint($_, 'off', 0) foreach keys %{$w->{failpoints}};
    $self->{points} = {};

    $self->count_edges();
    CORE::kill CONT => grep { $w->ours($_) } keys %{$self->{stopped}};
    unlink map { "$_/filler" } values %{$w->{disk}};

    foreach my $name (qw(nginx node2)) {
        next if !$self->{conf}{$name};
        delete $self->{conf}{$name};
        $w->configure_nginx($name, $w->nginx_options($name));
        CORE::kill HUP => $w->pid($name) if $w->pid($name);
    }

    # whose clock is wrong starts again with the right one
    foreach my $name (keys %{$self->{env}}) {
        delete $self->{env}{$name};
        $self->strike($name, 'KILL');
    }

    $self->supervise(now => 1);
}


sub strike {
    my ($self, $name, $signal) = @_;

    my $d = $self->{world}->daemon($name);
    my $pid = $self->{world}->pid($name) or return;

    CORE::kill $signal, $pid;
    $self->{explained}{$name} = 1;
    push @{$self->{expected}}, qr/new binary process $pid exited on signal 9/;

    # a master gives those 1 s who do not hear that all is over
    push @{$self->{expected}},
        qr/\b$pid#$pid: worker process \d+ exited on signal 9/
        if $signal eq 'TERM' && $d->{nginx};

    return if $signal ne 'KILL';

    my $end = time() + 2;
    sleep 0.002 while $d->running() && time() < $end;
}


# connections cut, refused, delayed and so on by rules

sub count_edges {
    my ($self) = @_;

    my $w = $self->{world};

    foreach my $name (sort keys %{$w->{edges}}) {
        my $edge = $w->{edges}{$name}->heal();
        my $now = $edge->counts();
        my $before = $w->{counted}{$name} || {};

        foreach my $what (grep { !/^(?:pass|conns|open|up|down)$/ }
                          keys %$now)
        {
            my $n = $now->{$what} - ($before->{$what} // 0);
            $self->{hits}{"hit $what"} += $n if $n;
        }

        $w->{counted}{$name} = $now;
    }
}


# orders go by a connection of their own: Redis may not answer

sub redis_order {
    my ($self, @words) = @_;

    my $s = IO::Socket::UNIX->new(Peer => "$self->{world}{dir}/redis.sock")
        or return '';
    my $answer = '';

    syswrite $s, join(' ', @words) . "\r\n";
    IO::Select->new($s)->can_read(0.3) && sysread $s, $answer, 100;

    return $answer;
}


# what a plan calls it, in names of the test harness

sub daemon_of {
    my ($self, $target) = @_;

    my $w = $self->{world};

    return $w->name($target) if $target ne 'controller';

    foreach my $name (qw(consumer consumer2)) {
        next if !$w->running($name);

        my $r = HTTP::Tiny->new(timeout => 0.2)
            ->get("http://127.0.0.1:$w->{consumer_port}{$name}/metrics");

        return $name if $r->{content} =~ /^rush_consumer_controller 1$/m;
    }

    return 'consumer';
}


1;
