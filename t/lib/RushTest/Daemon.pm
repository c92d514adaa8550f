package RushTest::Daemon;

# Copyright (C) Rush
#
# One process we started: its own session, so that its children are known;
# it gets SIGTERM when the test dies.
#
#   new(name => , argv => [], log => path, env => {}, ready => sub { true when
#       it serves }, signal => 'TERM', nginx => 1, limit => seconds)

use warnings;
use strict;

use POSIX qw(:sys_wait_h setsid);
use Time::HiRes qw(time sleep);


sub new {
    my ($class, %o) = @_;
    return bless { signal => 'TERM', sessions => [], limit => 15, %o },
        $class;
}


sub start {
    my ($self) = @_;

    die "$self->{name} is running\n" if $self->running();

    $self->{before}->() if $self->{before};

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        $self->exec();
    }

    $self->{pid} = $pid;
    push @{$self->{sessions}}, $pid;

    my $end = time() + $self->{limit} * $RushTest::SLOW;

    until ($self->{ready}->()) {
        my $dead = !$self->running();

        if ($dead || time() > $end) {
            $self->kill('KILL');
            die "$self->{name} " . ($dead ? 'ended' : 'is not ready')
                . ", its log ends:\n" . $self->tail();
        }

        sleep 0.01;
    }

    return $self;
}


sub exec {
    my ($self) = @_;

    # nothing of the test may run in the child, whatever fails
    eval {
        setsid();
        $ENV{$_} = $self->{env}{$_} foreach keys %{$self->{env} || {}};
        $SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP PIPE);
        open STDIN, '<', '/dev/null' or die;
        open STDOUT, '>>', $self->{out} || $self->{log} or die;
        open STDERR, '>&', \*STDOUT or die;
        no warnings 'exec';
        CORE::exec 'setpriv', '--pdeathsig', 'TERM', '--',
            @{$self->{argv}};
    };

    POSIX::_exit(127);
}


sub running {
    my ($self) = @_;

    return 0 if !$self->{pid};

    if (waitpid($self->{pid}, WNOHANG) != 0) {
        $self->{status} = $?;
        delete $self->{pid};
        return 0;
    }

    return 1;
}


# true when it ended by itself within the limit

sub stop {
    my ($self, $signal) = @_;

    return 1 if !$self->running();

    CORE::kill CONT => $self->{pid};
    CORE::kill $signal || $self->{signal}, $self->{pid};

    return 1 if $self->gone($self->{limit} * $RushTest::SLOW);

    $self->kill('KILL');
    return 0;
}


# an nginx master that is killed leaves workers: they go with it

sub kill {
    my ($self, $signal) = @_;

    return 1 if !$self->running();

    my @pids = ($self->{pid}, $self->{nginx} ? $self->children() : ());

    CORE::kill $signal, @pids;
    return 1 if $signal ne 'KILL';

    my $rc = $self->gone(5);

    my $end = time() + 5;
    sleep 0.005 while (grep { stat_of($_) } @pids) && time() < $end;

    return $rc;
}


sub gone {
    my ($self, $seconds) = @_;

    my $end = time() + $seconds;

    while ($self->running()) {
        return 0 if time() > $end;
        sleep 0.005;
    }

    return 1;
}


sub tail {
    my ($self) = @_;
    my @lines = map { split /^/, RushTest::slurp($_) }
        grep { defined } $self->{out}, $self->{log};
    return join '', @lines > 15 ? @lines[-15 .. -1] : @lines;
}


# (state, parent, session) of a process that is not a zombie

sub stat_of {
    my ($pid) = @_;
    my @f = RushTest::slurp("/proc/$pid/stat") =~ /\) (\S) (\d+) \d+ (\d+)/
        or return;
    return $f[0] =~ /[ZX]/ ? () : @f;
}


sub session {
    my ($pid) = @_;
    my @f = stat_of($pid);
    return @f ? $f[2] : 0;
}


sub children {
    my ($self) = @_;

    return if !$self->{pid};

    return grep { my @f = stat_of($_); @f && $f[1] == $self->{pid} }
        map { m!(\d+)! } glob '/proc/[0-9]*';
}


sub workers {
    my ($self) = @_;

    # "master_process off"
    return $self->running() ? $self->{pid} : ()
        if $RushTest::Mode::MODE eq 'single';

    return grep { RushTest::slurp("/proc/$_/cmdline")
                  =~ /worker process(?! is shutting down)/ }
        $self->children();
}


1;
