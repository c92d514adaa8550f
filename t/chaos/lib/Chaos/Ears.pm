package Chaos::Ears;

# Copyright (C) Rush
#
# Who listens to orders and activities while all goes wrong, a process of its
# own over the same edges as the buyers (Chaos::Ear knows what may be heard).
# Some leave by themselves, and come again.
#
#   my $ears = Chaos::Ears->start($world, $plan);
#   $ears->tell({ no => $order, user => $user })    another one; also from
#                       processes that were forked since
#   my @wrong = $ears->settle(\%now)    at rest: each is told what is so;
#                       now: { orders => { no => { status, version } },
#                       activities => { id => { left, total } } }
#   $ears->{did}        then: { what => how often }
#   $ears->end()

use warnings;
use strict;

use Errno qw(EINPROGRESS);
use IO::Handle;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

use RushTest::Events;

use Chaos::Ear;
use Chaos::Rand;

use constant MOST => 40;                # that listen
use constant DEAF => 1.5;               # s; a heartbeat comes each 0.3 s
use constant SILENCE => 5;              # s, at rest
use constant TOLD => 40;                # s: a lost change is asked for in 30

my $json = JSON::PP->new->canonical;


sub start {
    my ($class, $w, $plan) = @_;

    pipe my $from, my $to or die "pipe: $!";
    pipe my $back, my $out or die "pipe: $!";

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        my @kept = delete @$w{qw(dbh redis http)};

        close $_ foreach $to, $back;
        my $rc = eval { serve($w, $plan, $from, $out); 1 };
        print STDERR $@ if !$rc;
        POSIX::_exit($rc ? 0 : 1);
    }

    close $_ foreach $from, $out;

    return bless { pid => $pid, to => $to, back => $back, owner => $$ },
        $class;
}


# one write: others write, too

sub tell {
    my ($self, $what) = @_;
    local $SIG{PIPE} = 'IGNORE';
    syswrite $self->{to}, $json->encode($what) . "\n";
}


sub settle {
    my ($self, $now) = @_;

    my $line = '';
    my $end = time() + (TOLD + 20) * $RushTest::SLOW;

    local $SIG{PIPE} = 'IGNORE';
    $self->{to}->autoflush(1);
    print {$self->{to}} $json->encode({ now => $now }) . "\n";

    while ($line !~ /\n\z/) {
        my $left = $end - time();

        IO::Select->new($self->{back})->can_read($left > 0 ? $left : 0)
            && sysread $self->{back}, $line, 65536, length $line
            or return ['', 'ears harness: no answer'];
    }

    my $r = $json->decode($line);
    $self->{did} = $r->{did};

    return @{$r->{wrong}};
}


sub end {
    my ($self) = @_;

    return if $self->{owner} != $$;

    close $self->{to};
    CORE::kill KILL => $self->{pid};
    waitpid $self->{pid}, 0;
}


# --- the process ---

sub serve {
    my ($w, $plan, $from, $out) = @_;

    my $self = bless {
        w => $w, from => $from, ears => [], conns => {}, text => '',
        rnd => Chaos::Rand->new($plan->{seed}, 'ears'), to => { map {
            my ($host, $port) = split /:/, $w->nodes()->{$_};
            $_ => pack_sockaddr_in($port, inet_aton($host));
        } qw(a b) },
    }, __PACKAGE__;

    $self->add({ activity => $_->{id} }) foreach @{$plan->{activities}};

    $self->turn() until $self->{now} || $self->{eof};
    return if !$self->{now};

    $self->rest();

    my %did;

    foreach my $e (@{$self->{ears}}) {
        $did{$_} += $e->{did}{$_} foreach keys %{$e->{did}};
    }

    $out->autoflush(1);
    print $out $json->encode({ did => \%did, wrong => [
        map { @{$_->{wrong}} } @{$self->{ears}} ] }) . "\n";
}


sub add {
    my ($self, $what) = @_;

    my $e = Chaos::Ear->new(%$what);

    $e->{at} = time();
    push @{$self->{ears}}, $e if @{$self->{ears}} < MOST;
}


sub turn {
    my ($self) = @_;

    my $now = time();

    $self->dial($_) foreach grep { defined $_->{at} && $_->{at} <= $now }
                            @{$self->{ears}};

    my ($r, $w) = ('', '');

    vec($r, fileno $self->{from}, 1) = 1 if !$self->{eof};

    foreach my $fd (keys %{$self->{conns}}) {
        vec($r, $fd, 1) = 1;
        vec($w, $fd, 1) = 1 if length $self->{conns}{$fd}{out};
    }

    if (select($r, $w, undef, 0.05) > 0) {
        $self->told() if !$self->{eof} && vec $r, fileno $self->{from}, 1;

        foreach my $fd (keys %{$self->{conns}}) {
            my $c = $self->{conns}{$fd};

            $self->send($c) if vec $w, $fd, 1;
            $self->read($c) if $self->{conns}{$fd} && vec $r, $fd, 1;
        }
    }

    $now = time();

    foreach my $c (values %{$self->{conns}}) {
        next if $now - $c->{seen} < ($self->{now} ? SILENCE * $RushTest::SLOW
                                                  : DEAF);
        $c->{ear}{did}{deaf}++;
        $c->{ear}->wrong('', 'hears nothing at rest') if $self->{now};
        $self->drop($c, 0);
    }
}


sub told {
    my ($self) = @_;

    if (!sysread $self->{from}, $self->{text}, 65536,
        length $self->{text})
    {
        $self->{eof} = 1;
        return;
    }

    while ($self->{text} =~ s/^(.*)\n//) {
        my $x = $json->decode($1);

        if ($x->{now}) {
            $self->{now} = $x->{now};
        } else {
            $self->add($x);
        }
    }
}


# --- connections ---

sub dial {
    my ($self, $e) = @_;

    my $now = time();

    $e->{at} = undef;

    socket my $s, PF_INET, SOCK_STREAM | Socket::SOCK_NONBLOCK(), 0
        or die "socket: $!";
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;

    my $node = $self->{rnd}->pick(qw(a b));

    if (!connect($s, $self->{to}{$node}) && $! != EINPROGRESS) {
        $e->{at} = $now + 0.2;
        return;
    }

    my $token = $e->{user} ? $self->{w}->token($e->{user}) : undef;

    $self->{conns}{fileno $s} = {
        ear => $e, s => $s, fd => fileno $s, seen => $now,
        out => 'GET ' . $e->path() . " HTTP/1.1\r\nHost: rush\r\n"
            . ($token ? "Authorization: Bearer $token\r\n" : '') . "\r\n",
        stream => bless({ in => '', text => '', events => [], s => $s },
                        'RushTest::Events'),
    };

    $e->{on} = {};
}


sub send {
    my ($self, $c) = @_;

    my $n = syswrite $c->{s}, $c->{out};

    return $self->drop($c, 0) if !defined $n && !$!{EAGAIN} && !$!{EINTR};
    substr $c->{out}, 0, $n // 0, '';
}


sub read {
    my ($self, $c) = @_;

    my ($e, $in) = @$c{qw(ear stream)};

    $in->more(0);
    $c->{seen} = time();

    if ($in->{status} && !$c->{answered}++
        && !$e->answered($in->{status}))
    {
        return $self->drop($c, 0);
    }

    while (my $event = shift @{$in->{events}}) {
        $e->heard($event);
    }

    return $self->drop($c, $in->whole()) if $in->{eof};

    # who leaves, and comes again
    if (!$self->{now} && $self->{rnd}->chance(3)) {
        $e->{did}{leaves}++;
        $self->drop($c, 0);
    }
}


sub drop {
    my ($self, $c, $whole) = @_;

    my $e = $c->{ear};

    delete $self->{conns}{$c->{fd}};
    close $c->{s};

    my $pause = $e->ended($whole);

    $e->{at} = time() + $pause * $self->{rnd}->range(50, 150) / 100
        if defined $pause;
}


# --- at rest ---

sub rest {
    my ($self) = @_;

    my $now = $self->{now};
    my $end = time() + TOLD * $RushTest::SLOW;
    my @open = @{$self->{ears}};

    while (@open && time() < $end) {
        $self->turn();
        @open = grep { $self->differs($_) && !$_->{done} } @open;
    }

    foreach my $e (@{$self->{ears}}) {
        my $why = $self->differs($e) or next;
        $e->wrong('', '%s', $why);
    }
}


# what it does not know yet, from a connection that is open

sub differs {
    my ($self, $e) = @_;

    my $is = defined $e->{no} ? $self->{now}{orders}{$e->{no}}
        : $self->{now}{activities}{$e->{activity}};

    # one that was lost with Redis, others look at that
    return '' if !$is;
    return 'does not come to hear anything' if !$e->{done} && !$e->{on}{n};

    return $e->sees($is);
}


1;
