package RushTest::Events;

# Copyright (C) Rush
#
# A client of server-sent events, over a socket of its own.
#
#   my $s = RushTest::Events->new($t, $path, %o)   sends the request; o as of
#               RushTest's requests, and http10 => 1, head => 'text' for more
#               header lines, rcvbuf => bytes, local => a source address
#   $s->status(), $s->headers(), $s->body()        of its answer
#   $s->next($seconds)    the next event: { event, id, data (decoded), raw,
#                         retry }; a block of comments alone is { comment }.
#                         undef: none came, or the stream has ended
#   $s->wait_data($sub, $seconds)   the first event for which $sub->(data, it)
#                         says yes
#   $s->ended($seconds)   whether the server has closed; {rest} is what came
#   $s->whole()           whether it ended as the protocol wants
#   $s->close(), $s->reset()
#
#   RushTest::Events::parse($text)   events of a text, as next() has them

use warnings;
use strict;

use IO::Select;
use JSON::PP ();
use Socket;
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;


sub new {
    my ($class, $t, $path, %o) = @_;

    my $self = bless { in => '', text => '', events => [] }, $class;
    my ($h) = $t->prepare(\%o);
    my $method = $o{method} // 'GET';
    my $version = $o{http10} ? '1.0' : '1.1';

    $self->{s} = dial($o{port} // $t->port($o{node}), $o{local}, $o{rcvbuf});
    $self->{t} = $t;
    $self->{record} = [$method, $path, $h] if $o{record} // 1;

    syswrite $self->{s}, "$method $path HTTP/$version\r\nHost: rush\r\n"
        . join('', map { "$_: $h->{$_}\r\n" } sort keys %$h)
        . ($o{head} // '') . "\r\n" . ($o{body} // '');

    $self->{method} = $method;

    return $self;
}


sub dial {
    my ($port, $local, $rcvbuf) = @_;

    socket my $s, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";

    # before there is a connection: it is the window then
    setsockopt $s, SOL_SOCKET, SO_RCVBUF, pack 'i', $rcvbuf if $rcvbuf;
    bind $s, pack_sockaddr_in(0, inet_aton($local)) or die "bind: $!\n"
        if $local;
    connect $s, pack_sockaddr_in($port, inet_aton('127.0.0.1'))
        or die "connect: $!\n";

    RushTest::Mode::stream($s);

    return $s;
}


# reads what is there; false when nothing came in time or all has ended

sub more {
    my ($self, $end) = @_;

    return if $self->{eof} || !$self->{s};

    my $left = $end - time();
    return if !IO::Select->new($self->{s})->can_read($left > 0 ? $left : 0);

    my $n = sysread $self->{s}, $self->{in}, 65536, length $self->{in};

    if (!$n) {
        $self->{eof} = 1;
        $self->{error} = "$!" if !defined $n;
    }

    $self->take();

    return 1;
}


sub take {
    my ($self) = @_;

    if (!$self->{status}) {
        $self->{in} =~ s/\A(.*?)\r\n\r\n//s or return;
        my ($first, @lines) = split /\r\n/, $1;
        ($self->{status}) = $first =~ m!^HTTP/1\.1 (\d+)!;
        $self->{headers} = { map { /^([^:]+): *(.*)$/ ? (lc $1, $2) : () }
                             @lines };
        $self->{chunked} = ($self->{headers}{'transfer-encoding'} // '')
            eq 'chunked';
        delete $self->{record} if $self->{status} != 200
            && !defined $self->{headers}{'content-length'};
    }

    if (!$self->{chunked}) {
        $self->{text} .= $self->{in};
        $self->{in} = '';

    } else {
        while ($self->{in} =~ /\A([0-9a-f]+)\r\n/) {
            my ($at, $n) = ($+[0], hex $1);
            last if length $self->{in} < $at + $n + 2;
            $self->{text} .= substr $self->{in}, $at, $n;
            substr $self->{in}, 0, $at + $n + 2, '';
            $self->{last_chunk} = 1 if $n == 0;
        }
    }

    while (($self->{headers}{'content-type'} // '') =~ /^text\/event-stream/
           && $self->{text} =~ s/\A(.*?\n)\n//s)
    {
        my ($event) = parse("$1\n");
        push @{$self->{events}}, $event if $event;
        $self->keep($event) if $event->{event};
    }
}


# for the check against the API description

sub keep {
    my ($self, $event) = @_;

    my $r = delete $self->{record} or return;

    $self->{t}->record(@$r, undef, { status => $self->{status},
        headers => $self->{headers}, body => $event->{raw} });
}


sub parse {
    my ($text) = @_;

    my @events;

    foreach my $block (split /(?<=\n)\n/, $text) {
        my %e = (raw => "$block\n");

        foreach my $line (split /\n/, $block) {
            if ($line =~ /^:(.*)/) {
                $e{comment} = $1;
            } elsif ($line =~ /^(event|id|retry): (.*)$/) {
                $e{$1} = $2;
            } elsif ($line =~ /^data: (.*)$/) {
                $e{data} = $json->decode($1);
            } else {
                $e{strange} = $line;
            }
        }

        push @events, \%e;
    }

    return @events;
}


sub limit { return time() + ($_[0] // 5) * $RushTest::SLOW }


sub status {
    my ($self) = @_;
    my $end = limit(10);
    1 while !$self->{status} && $self->more($end);
    return $self->{status} // 0;
}


sub headers { $_[0]->status(); return $_[0]{headers} || {} }


# of an answer that is no stream

sub body {
    my ($self) = @_;

    my $n = $self->headers()->{'content-length'} // 0;
    my $end = limit(10);
    1 while length $self->{text} < $n && $self->more($end);

    if (my $r = delete $self->{record}) {
        $self->{t}->record(@$r, undef, { status => $self->{status},
            headers => $self->{headers}, body => $self->{text} });
    }

    return $self->{text};
}


sub code { return $_[0]->body() =~ /^\{"code":(\d+)/ ? $1 : '-' }


sub next {
    my ($self, $seconds) = @_;

    my $end = limit($seconds);

    while (!@{$self->{events}}) {
        $self->more($end) or return;
    }

    return shift @{$self->{events}};
}


sub wait_data {
    my ($self, $sub, $seconds) = @_;

    my $end = limit($seconds);

    while (1) {
        while (my $e = shift @{$self->{events}}) {
            return $e if $e->{data} && $sub->($e->{data}, $e);
        }

        $self->more($end) or return;
    }
}


sub ended {
    my ($self, $seconds) = @_;
    my $end = limit($seconds);
    1 while $self->more($end);
    return $self->{eof};
}


sub whole {
    my ($self) = @_;
    return $self->{eof} && !$self->{error} && $self->{in} eq ''
        && $self->{text} eq '' && (!$self->{chunked} || $self->{last_chunk});
}


sub close {
    my ($self) = @_;
    close delete $self->{s} if $self->{s};
}


sub reset {
    my ($self) = @_;
    setsockopt $self->{s}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->close();
}


1;
