package RushTest::Proxy;

# Copyright (C) Rush
#
# A proxy on a unix socket between a daemon and its backend, in a process of
# its own, for faults that a backend does not make by itself.
#
#   my $p = RushTest::Proxy->new(listen => path, target => path);
#
#   $p->pass()                   everything back to normal
#   $p->refuse()                 connections are accepted and closed at once;
#                                those that stand are closed
#   $p->black_hole()             nothing is forwarded in either direction
#   $p->silence()                requests are forwarded, answers are not
#   $p->delay($ms)               answers come this much later
#   $p->bytewise()               answers come byte by byte, a write each
#   $p->cut($where, %o)          closes a connection: "before" a request is
#                                forwarded, "inside" its answer (after bytes
#                                => 1 of it), "after" it was delivered,
#                                "reply": forwarded, nothing of the answer.
#                                match => text the request must contain (any
#                                case), times => 1
#   $p->drop()                   closes all connections now, passes new ones
#   $p->stats()                  { connections, cuts, up, down, writes }: up
#                                and down in bytes, writes to the daemon
#
# Answers are told from requests by direction only: an "answer" is what the
# backend sends next after a request that matched.

use warnings;
use strict;

use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);
use Time::HiRes qw(time);

my $json = JSON::PP->new->canonical;


sub new {
    my ($class, %o) = @_;

    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";

    my $l = IO::Socket::UNIX->new(Local => $o{listen}, Listen => 511)
        or die "$o{listen}: $!";
    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        close $ours;
        $SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP);
        $SIG{PIPE} = 'IGNORE';
        eval { serve($l, $theirs, $o{target}) };
        print STDERR "proxy: $@" if $@;
        POSIX::_exit(0);
    }

    close $theirs;
    close $l;

    return bless { pid => $pid, control => $ours, listen => $o{listen},
                   owner => $$ }, $class;
}


sub pass       { $_[0]->command({ mode => 'pass' }) }
sub refuse     { $_[0]->command({ mode => 'refuse', drop => 1 }) }
sub black_hole { $_[0]->command({ mode => 'hole' }) }
sub silence    { $_[0]->command({ mode => 'silence' }) }
sub delay      { $_[0]->command({ mode => 'pass', delay => $_[1] }) }
sub bytewise   { $_[0]->command({ mode => 'pass', bytewise => 1 }) }
sub drop       { $_[0]->command({ drop => 1, keep => 1 }) }
sub stats      { $_[0]->command({ keep => 1 }) }


sub cut {
    my ($self, $where, %o) = @_;

    die "cut before, reply, inside or after\n"
        if $where !~ /^(?:before|reply|inside|after)$/;

    return $self->command({ mode => 'pass', cut => $where,
        match => lc($o{match} // ''), bytes => $o{bytes} // 1,
        times => $o{times} // 1 });
}


# done when this returns

sub command {
    my ($self, $command) = @_;

    my $s = $self->{control};
    syswrite $s, $json->encode($command) . "\n";

    my $line = '';
    until ($line =~ /\n\z/) {
        IO::Select->new($s)->can_read(10 * $RushTest::SLOW)
            && sysread $s, $line, 4096, length $line
            or die "proxy $self->{listen} does not answer\n";
    }

    return $json->decode($line);
}


sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid} or return;

    return if $self->{owner} != $$;

    close $self->{control};
    kill KILL => $pid;
    waitpid $pid, 0;
    unlink $self->{listen};
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    $self->stop();
}


# --- the process ---

sub serve {
    my ($l, $control, $target) = @_;

    my $p = { l => $l, target => $target, select => IO::Select->new(),
              peer => {}, later => [], mode => { mode => 'pass' },
              stats => { connections => 0, cuts => 0, up => 0, down => 0,
                         writes => 0 } };

    $p->{select}->add($l, $control);

    while (1) {
        my $wait = @{$p->{later}} ? $p->{later}[0][0] - time() : 5;

        foreach my $s ($p->{select}->can_read($wait > 0 ? $wait : 0)) {
            if ($s == $control) {
                order($p, $control) or return;
            } elsif ($s == $l) {
                welcome($p);
            } elsif ($p->{peer}{$s}) {
                forward($p, $p->{peer}{$s}, $s);
            }
        }

        while (@{$p->{later}} && $p->{later}[0][0] <= time()) {
            my (undef, $to, $data) = @{shift @{$p->{later}}};
            put($p, $to, $data) if $p->{peer}{$to};
        }
    }
}


sub order {
    my ($p, $control) = @_;

    sysread $control, my $line, 65536 or return 0;
    my $o = $json->decode($line);

    if ($o->{drop}) {
        my %all = map { $_ => $_ } values %{$p->{peer}};
        finish_pair($p, $_) foreach values %all;
    }

    if (!$o->{keep}) {
        # what a hole swallowed is lost: such connections end
        my $stuck = $p->{mode}{mode} =~ /hole|silence/;
        $p->{mode} = $o;

        if ($stuck) {
            my %all = map { $_ => $_ } values %{$p->{peer}};
            finish_pair($p, $_) foreach grep { $_->{lost} } values %all;
        }
    }

    syswrite $control, $json->encode($p->{stats}) . "\n";
    return 1;
}


sub welcome {
    my ($p) = @_;

    my $client = $p->{l}->accept() or return;

    $p->{stats}{connections}++;

    if ($p->{mode}{mode} eq 'refuse') {
        close $client;
        return;
    }

    my $server = IO::Socket::UNIX->new(Peer => $p->{target});

    if (!$server) {
        close $client;
        return;
    }

    my $pair = { client => $client, server => $server };

    $p->{peer}{$_} = $pair foreach $client, $server;
    $p->{select}->add($client, $server);
}


sub forward {
    my ($p, $pair, $from) = @_;

    my $data;
    my $n = sysread $from, $data, 65536;

    return finish_pair($p, $pair) if !$n;

    if ($p->{mode}{mode} eq 'hole') {
        $pair->{lost} = 1;
        return;
    }

    if ($from == $pair->{client}) {
        request($p, $pair, $data);
    } else {
        reply($p, $pair, $data);
    }
}


sub request {
    my ($p, $pair, $data) = @_;

    my $m = $p->{mode};

    $p->{stats}{up} += length $data;

    if ($m->{cut} && $m->{times} > 0
        && index(lc $data, $m->{match}) >= 0)
    {
        $m->{times}--;
        $p->{stats}{cuts}++;

        return finish_pair($p, $pair) if $m->{cut} eq 'before';
        $pair->{cut} = { %$m };
    }

    put($p, $pair->{server}, $data);
}


sub reply {
    my ($p, $pair, $data) = @_;

    my $m = $p->{mode};
    my $cut = $pair->{cut};

    $p->{stats}{down} += length $data;

    if ($m->{mode} eq 'silence') {
        $pair->{lost} = 1;
        return;
    }

    if ($cut) {
        put($p, $pair->{client}, substr $data, 0, $cut->{bytes})
            if $cut->{cut} eq 'inside';
        put($p, $pair->{client}, $data) if $cut->{cut} eq 'after';
        return finish_pair($p, $pair);
    }

    # nothing overtakes what was delayed before
    if ($m->{delay} || grep { $_->[1] == $pair->{client} } @{$p->{later}}) {
        push @{$p->{later}}, [time() + ($m->{delay} // 0) / 1000,
                              $pair->{client}, $data];
        return;
    }

    if ($m->{bytewise}) {
        put($p, $pair->{client}, $_) foreach split //, $data;
        return;
    }

    put($p, $pair->{client}, $data);
}


sub put {
    my ($p, $to, $data) = @_;

    while (length $data) {
        my $n = syswrite $to, $data;
        return finish_pair($p, $p->{peer}{$to}) if !defined $n;
        $p->{stats}{writes}++;
        substr $data, 0, $n, '';
    }
}


sub finish_pair {
    my ($p, $pair) = @_;

    return if !$pair || $pair->{done}++;

    foreach my $s ($pair->{client}, $pair->{server}) {
        $p->{select}->remove($s);
        delete $p->{peer}{$s};
        close $s;
    }
}


1;
