package Chaos::Nginx;

# Copyright (C) Rush
#
# An nginx that is a daemon, as in production: only so it can be upgraded.
# Its master is who stands in the file; all of its processes share a session.
# Orphans come to us: we are their subreaper.

use warnings;
use strict;

use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

use RushTest;

our @ISA = qw(RushTest::Daemon);

my %PRCTL = (x86_64 => 157, aarch64 => 167);
my $SUBREAPER = 36;


# true if orphans come to this process

sub adopt {
    my $nr = $PRCTL{(POSIX::uname())[4]} or return 0;
    return syscall($nr, $SUBREAPER, 1, 0, 0, 0) == 0;
}


sub start {
    my ($self) = @_;

    die "$self->{name} is running\n" if $self->running();

    # as a supervisor does it: nothing of the one before stays
    $self->sweep();
    unlink $self->{pid_file}, "$self->{pid_file}.oldbin";

    my $pid = fork() // die "fork: $!";

    $self->exec() if $pid == 0;
    waitpid $pid, 0;

    my $failed = $?;
    my $end = time() + 5 * $RushTest::SLOW;

    until (!$failed && $self->running()) {
        die "$self->{name} did not start ($failed):\n" . $self->tail()
            if $failed || time() > $end;
        sleep 0.005;
    }

    # of the master, which became a leader
    push @{$self->{sessions}}, RushTest::Daemon::session($self->{pid});

    return $self;
}


sub running {
    my ($self) = @_;

    foreach my $file ($self->{pid_file}, "$self->{pid_file}.oldbin") {
        my ($pid) = RushTest::slurp($file) =~ /^(\d+)/ or next;

        $self->{status} = $? if waitpid($pid, WNOHANG) == $pid;

        if (RushTest::Daemon::stat_of($pid)
            && RushTest::slurp("/proc/$pid/cmdline") =~ /^nginx: master/)
        {
            $self->{pid} = $pid;
            return 1;
        }
    }

    delete $self->{pid};
    return 0;
}


# only the master

sub kill {
    my ($self, $signal) = @_;
    return 1 if !$self->running();
    return CORE::kill $signal, $self->{pid};
}


sub stop {
    my ($self, $signal) = @_;

    my $rc = 1;

    if ($self->running()) {
        CORE::kill CONT => $self->{pid};
        CORE::kill $signal || $self->{signal}, $self->{pid};
        $rc = $self->gone($self->{limit} * $RushTest::SLOW);
    }

    $self->sweep();
    return $rc;
}


# all processes of its sessions

sub members {
    my ($self) = @_;

    my %ours = map { $_ => 1 } @{$self->{sessions}};

    return grep { $ours{RushTest::Daemon::session($_)} }
        map { m!(\d+)! } glob '/proc/[0-9]*';
}


sub sweep {
    my ($self) = @_;

    my $end = time() + 5;

    while (my @left = $self->members()) {
        last if time() > $end;
        CORE::kill KILL => @left;
        sleep 0.005;
        waitpid $_, WNOHANG foreach @left;
    }
}


# of any master: an old one's go on for a while

sub workers {
    my ($self) = @_;
    return grep { RushTest::slurp("/proc/$_/cmdline")
                  =~ /worker process(?! is shutting down)/ }
        $self->members();
}


1;
