package Chaos::Fault;

# Copyright (C) Rush
#
# The faults: start_KIND($nemesis, $fault) begins one and returns why it
# cannot, stop_KIND ends it.  See Chaos::Nemesis.

use warnings;
use strict;

use File::Path qw(remove_tree);

use Chaos::World;


# --- deaths ---

sub start_kill_worker {
    my ($self, $f) = @_;

    my $pid = worker($self, $f) or return 'no worker';

    push @{$self->{expected}}, qr/worker process $pid exited on signal/;
    CORE::kill KILL => $pid;
    return;
}


# one of the workers of a node

sub worker {
    my ($self, $f) = @_;

    my ($node) = $f->{target} =~ /([ab])$/;
    my @workers = sort { $a <=> $b }
        $self->{world}->workers($self->{world}->name($node));

    return @workers ? $workers[($f->{args}{nth} // 0) % @workers] : undef;
}


sub start_kill_daemon { return death(@_, 'KILL') }
sub start_kill_redis  { return death(@_, 'KILL') }
sub start_kill_mysql  { return death(@_, 'KILL') }
sub start_kill_master { return death(@_, 'KILL') }


sub start_term {
    my ($self, $f) = @_;

    # nginx 1.22 counts the open sockets of a worker that was leaving
    # when it is told to go at once, as if it had waited for them
    push @{$self->{expected}},
        qr/open socket #\d+ left in connection|\[alert\] \S+ aborting/
        if $f->{target} =~ /^(?:worker-)?[ab]$/;

    return death($self, $f, 'TERM') if $f->{target} !~ /^worker/;

    # a worker that is told so ends at once, and is replaced
    my $pid = worker($self, $f) or return 'no worker';
    CORE::kill TERM => $pid;
    return;
}


sub death {
    my ($self, $f, $signal) = @_;

    my $name = $self->daemon_of($f->{target});

    return 'not running' if !$self->{world}->running($name);

    # those of a killed master go on until it comes back, then go with it
    $self->strike($name, $signal);
    $self->down($name, $f->{for_ms});
    return;
}


# --- pauses ---

sub start_pause {
    my ($self, $f) = @_;

    my $pid = $f->{target} =~ /^worker/ ? worker($self, $f)
        : $self->{world}->pid($self->daemon_of($f->{target}));

    return 'not running' if !$pid;

    CORE::kill STOP => $pid;
    $self->{stopped}{$pid} = 1;
    $f->{pid} = $pid;
    return;
}


sub stop_pause {
    my ($self, $f) = @_;
    delete $self->{stopped}{$f->{pid}};
    CORE::kill CONT => $f->{pid} if $self->{world}->ours($f->{pid});
}


# --- nginx ---

sub start_reload {
    my ($self, $f) = @_;

    my $w = $self->{world};
    my $name = $w->name($f->{target});
    my $how = $f->{args}{how};
    my $pid = $w->pid($name) or return 'not running';

    if ($how eq 'resized') {
        # there and back: half of these rounds begin with the other size
        my $size = ($w->{resized}{$name}++ % 2) ? '2m' : '3m';
        $w->configure_nginx($name, $w->nginx_options($name,
            zones => Chaos::World::ZONES
                     =~ s/seckill_zone \S+;/seckill_zone $size;/r));
        $self->{conf}{$name} = 1;

    } elsif ($how eq 'broken') {
        $w->configure_nginx($name, $w->nginx_options($name,
            extra_http => 'no_such_directive on;'));
        $self->{conf}{$name} = 1;
        push @{$self->{expected}}, qr/unknown directive "no_such_directive"/;
    }

    CORE::kill HUP => $pid;
    $self->{hits}{"reload $how"}++;
    return;
}


# a broken file stays until the fault is over; nobody may start from it

sub stop_reload {
    my ($self, $f) = @_;

    my $w = $self->{world};
    my $name = $w->name($f->{target});

    $w->configure_nginx($name, $w->nginx_options($name))
        if $f->{args}{how} eq 'broken';
}


sub start_upgrade {
    my ($self, $f) = @_;

    return 'orphans do not come to us here' if !$ENV{CHAOS_ADOPT};

    $f->{pid} = $self->{world}->pid($self->{world}->name($f->{target}))
        or return 'not running';
    CORE::kill USR2 => $f->{pid};

    # two of them may overlap; the second says so and goes on
    push @{$self->{expected}}, qr/changing binary signal is ignored/;
    return;
}


# the old one goes if there is a new one; else it stays

sub stop_upgrade {
    my ($self, $f) = @_;

    my $w = $self->{world};
    my $now = $w->pid($w->name($f->{target}));

    return if !$now || $now == $f->{pid} || !$w->ours($f->{pid});

    CORE::kill QUIT => $f->{pid};
    $self->{hits}{'upgrade finished'}++;
}


# --- Redis and disks ---

sub start_flush {
    my ($self) = @_;
    return $self->redis_order('SCRIPT', 'FLUSH') =~ /^\+OK/ ? undef
        : 'no answer';
}


sub start_old_aof {
    my ($self, $f) = @_;

    my $dir = "$self->{world}{dir}/redis";

    $f->{copy} = "$dir/old-$f->{at_ms}";
    remove_tree($f->{copy});
    return system('cp', '-r', "$dir/appendonlydir", $f->{copy}) == 0
        ? undef : 'cannot copy';
}


# what Redis acknowledged since the copy is lost

sub stop_old_aof {
    my ($self, $f) = @_;

    my $dir = "$self->{world}{dir}/redis";

    $self->strike('redis', 'KILL');
    return if $self->{world}->running('redis');

    remove_tree("$dir/appendonlydir");
    rename $f->{copy}, "$dir/appendonlydir" or die "$f->{copy}: $!";
    $self->{lost} = 1;
    $self->down('redis', 100);
}


sub start_disk_full {
    my ($self, $f) = @_;

    my $dir = $self->{world}{disk}{$f->{target}} or return 'no own disk';

    open my $fh, '>', "$dir/filler" or return "$!";
    my $block = "\0" x 65536;
    1 while (syswrite($fh, $block) // 0) == length $block;
    close $fh;

    # they may well give up
    $self->{full}{$f->{target}} = 1;
    return;
}


sub stop_disk_full {
    my ($self, $f) = @_;
    unlink "$self->{world}{disk}{$f->{target}}/filler";
}


# --- clocks ---

# of one daemon, by starting it again with another

sub start_clock {
    my ($self, $f) = @_;

    return 'faketime is not installed' if !$Chaos::World::FAKETIME;
    return 'not with sanitizers' if $RushTest::SANITIZE;

    my $name = $f->{name} = $self->daemon_of($f->{target});

    $self->{env}{$name} = { LD_PRELOAD => $Chaos::World::FAKETIME,
                            FAKETIME => $f->{args}{shift},
                            FAKETIME_DONT_FAKE_MONOTONIC => 1 };
    $self->{shifted} = 1;
    $self->strike($name, 'KILL');
    $self->down($name, 50);
    return;
}


sub stop_clock {
    my ($self, $f) = @_;

    delete $self->{env}{$f->{name}} or return;
    $self->strike($f->{name}, 'KILL');
    $self->down($f->{name}, 50);
}


# --- failpoints ---

sub start_failpoint {
    my ($self, $f) = @_;

    my $w = $self->{world};
    my $cause = $f->{args}{cause} || '';

    return 'is armed' if $self->{points}{$f->{target}};

    if ($f->{args}{action} eq 'kill') {
        $self->{killing} = 1;
        push @{$self->{expected}}, qr/worker process \d+ exited on signal 9/;
    }

    $w->failpoint($f->{target}, @{$f->{args}}{qw(action nth)});
    $self->{points}{$f->{target}} = { %{$f->{args}} };

    if ($cause eq 'flush') {
        $self->redis_order('SCRIPT', 'FLUSH');

    } elsif ($cause eq 'reload') {
        CORE::kill HUP => $w->pid('nginx') if $w->pid('nginx');

    } elsif ($cause eq 'reset') {
        $w->{edges}{'a-redis'}->rule('reset');
        $w->{edges}{'a-redis'}->heal();
    }

    return;
}


sub stop_failpoint {
    my ($self, $f) = @_;

    $self->watch_points();
    $self->{world}->failpoint($f->{target}, 'off', 0);
    delete $self->{points}{$f->{target}};
}


# --- the network ---

sub start_proxy {
    my ($self, $f) = @_;

    my %args = %{$f->{args}};
    my $rule = delete $args{rule};
    my $edge = $self->{world}{edges}{$f->{target}};

    $edge->rule($rule, %args);
    $self->{ruled}{$f->{target}} = $f;
    $self->{hits}{"proxy $rule" . ($args{where} ? " $args{where}" : '')}++;
    return;
}


# a later fault may have taken the edge

sub stop_proxy {
    my ($self, $f) = @_;

    return if ($self->{ruled}{$f->{target}} // 0) != $f;

    $self->{world}{edges}{$f->{target}}->heal();
    delete $self->{ruled}{$f->{target}};
}


1;
