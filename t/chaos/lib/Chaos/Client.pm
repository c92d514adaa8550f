package Chaos::Client;

# Copyright (C) Rush
#
# Many HTTP requests at once, none waits for another.
#
#   my $http = Chaos::Client->new(nodes => { a => '127.0.0.1:port', ... });
#   $http->ask($node, $bytes, $timeout, sub { my ($answer) = @_; ... });
#   $http->together($timeout, [$node, $bytes, $sub], ...)
#                       the last bytes of all leave at once
#   $http->at($time, sub { ... })
#   $http->watch($fh, sub { ... })      when it can be read
#   $http->turn()       until something happened, at most 50 ms
#   $http->open()       requests without an answer
#
# An answer is that of RushTest::HTTP; without one { status => 599, error,
# sent => 0 if not one byte of the request left }.

use warnings;
use strict;

use Errno qw(EAGAIN EINPROGRESS EINTR);
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

use RushTest::HTTP;


sub new {
    my ($class, %o) = @_;

    my %to = map {
        my ($host, $port) = split /:/, $o{nodes}{$_};
        $_ => pack_sockaddr_in($port, inet_aton($host));
    } keys %{$o{nodes}};

    return bless { to => \%to, idle => {}, conns => {}, open => 0,
                   timers => [], watched => {} }, $class;
}


sub ask {
    my ($self, $node, $bytes, $timeout, $sub) = @_;

    my $c = pop @{$self->{idle}{$node}} || $self->connect($node);

    $self->{open}++;
    delete $c->{group};
    @$c{qw(out in sub sent end)} = ($bytes, '', $sub, 0, time() + $timeout);

    # never from inside of the caller
    return $self->at(0, sub { $self->fail($c, $c->{error}) })
        if $c->{error};

    $c->{writing} = 1;
    return $c;
}


sub together {
    my ($self, $timeout, @asked) = @_;

    my @conns = map {
        my ($node, $bytes, $sub) = @$_;
        my $last = chop $bytes;
        my $c = $self->ask($node, $bytes, $timeout, $sub);

        ref $c eq 'HASH' ? do { $c->{last} = $last; $c } : ();
    } @asked;

    $_->{group} = \@conns foreach @conns;
}


sub at {
    my ($self, $time, $sub) = @_;

    $self->{timers} = [sort { $a->[0] <=> $b->[0] } @{$self->{timers}},
                       [$time, $sub]];
    return;
}


sub watch {
    my ($self, $fh, $sub) = @_;
    $self->{watched}{fileno $fh} = [$fh, $sub];
}


sub unwatch {
    my ($self, $fh) = @_;
    delete $self->{watched}{fileno $fh};
}


sub open {
    my ($self) = @_;
    return $self->{open};
}


sub connect {
    my ($self, $node) = @_;

    my $c = { node => $node };

    socket my $s, PF_INET, SOCK_STREAM | Socket::SOCK_NONBLOCK(), 0
        or die "socket: $!";
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;

    if (!CORE::connect($s, $self->{to}{$node}) && $! != EINPROGRESS) {
        $c->{error} = "connect: $!";
        return $c;
    }

    $c->{s} = $s;
    $c->{fd} = fileno $s;
    $self->{conns}{$c->{fd}} = $c;

    return $c;
}


sub turn {
    my ($self) = @_;

    my ($r, $w) = ('', '');
    my $wait = 0.05;
    my $now = time();

    vec($r, $_, 1) = 1 foreach keys %{$self->{watched}};

    foreach my $c (values %{$self->{conns}}) {
        vec($r, $c->{fd}, 1) = 1;
        vec($w, $c->{fd}, 1) = 1 if $c->{writing};
    }

    my $timers = $self->{timers};

    if (@$timers && $timers->[0][0] - $now < $wait) {
        $wait = $timers->[0][0] - $now;
        $wait = 0 if $wait < 0;
    }

    if (CORE::select($r, $w, undef, $wait) > 0) {
        foreach my $c (values %{$self->{conns}}) {
            $self->write($c) if $c->{writing} && vec $w, $c->{fd}, 1;
            $self->read($c) if $c->{s} && vec $r, $c->{fd}, 1;
        }

        foreach my $fd (keys %{$self->{watched}}) {
            my $e = $self->{watched}{$fd} or next;
            $e->[1]->($e->[0]) if vec $r, $fd, 1;
        }
    }

    $now = time();

    # what runs may set others
    while (@{$self->{timers}} && $self->{timers}[0][0] <= $now) {
        (shift @{$self->{timers}})->[1]->();
    }

    $self->fail($_, 'timed out')
        foreach grep { $_->{sub} && $_->{end} < $now }
                values %{$self->{conns}};
}


sub write {
    my ($self, $c) = @_;

    my $n = syswrite $c->{s}, $c->{out};

    if (!defined $n) {
        return if $! == EAGAIN || $! == EINTR || $! == EINPROGRESS;
        return $self->fail($c, "write: $!");
    }

    $c->{sent} += $n;
    substr $c->{out}, 0, $n, '';

    return if length $c->{out};

    $c->{writing} = 0;
    $self->let_go($c->{group}) if defined $c->{last};
}


# when all but the last byte of each is out

sub let_go {
    my ($self, $group) = @_;

    my @alive = grep { $_->{s} && defined $_->{last} } @$group;

    return if grep { $_->{writing} } @alive;

    foreach my $c (@alive) {

        # one that failed meanwhile let the others go
        next if !defined $c->{last};

        $c->{out} = delete $c->{last};
        $c->{writing} = 1;
        $self->write($c);
    }
}


sub read {
    my ($self, $c) = @_;

    my $n = sysread $c->{s}, $c->{in}, 65536, length($c->{in} // '');

    if (!defined $n) {
        return if $! == EAGAIN || $! == EINTR;
        return $self->fail($c, "read: $!");
    }

    if (!$c->{sub}) {
        # idle: its end, or what nobody asked for
        return $self->drop($c);
    }

    my $r = RushTest::HTTP::parse(\$c->{in}, { method => '' }, !$n);

    return $n ? () : $self->fail($c, 'closed') if !$r;

    my $sub = delete $c->{sub};

    $self->{open}--;

    if (!$n || ($r->{headers}{connection} // '') eq 'close') {
        $self->drop($c);
    } else {
        $c->{in} = '';
        push @{$self->{idle}{$c->{node}}}, $c;
    }

    $sub->($r);
}


sub fail {
    my ($self, $c, $error) = @_;

    my $sub = delete $c->{sub};
    my $group = $c->{group};
    my $sent = $c->{sent};

    $self->drop($c);

    if ($sub) {
        $self->{open}--;
        $sub->({ status => 599, headers => {}, body => '', error => $error,
                 sent => $sent ? 1 : 0 });
    }

    $self->let_go($group) if $group;
}


sub drop {
    my ($self, $c) = @_;

    my $s = delete $c->{s} or return;

    delete $self->{conns}{$c->{fd}};
    $c->{writing} = 0;
    delete $c->{last};
    @{$self->{idle}{$c->{node}}} =
        grep { $_ != $c } @{$self->{idle}{$c->{node}}};
    close $s;
}


1;
