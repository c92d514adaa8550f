package RushTest::HTTP;

# Copyright (C) Rush
#
# Clients: single requests over HTTP::Tiny, many at once over raw sockets.
# Pairs of request and answer go to the file $RUSH_RECORD, one JSON line each,
# for the check against the API description.  Of a stream of events the first
# one is its answer here; RushTest::Events listens.

use warnings;
use strict;

use Errno qw(EAGAIN EINPROGRESS EINTR EWOULDBLOCK);
use Fcntl qw(:flock);
use HTTP::Tiny;
use IO::Poll qw(POLLIN POLLOUT POLLERR POLLHUP);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my $json = JSON::PP->new->canonical->allow_nonref->utf8;


# it writes head and body one after the other: the second would wait for the
# acknowledgement of the first, 40 ms

my $connect = \&HTTP::Tiny::Handle::connect;

{
    no warnings 'redefine';

    *HTTP::Tiny::Handle::connect = sub {
        my $self = $connect->(@_);
        setsockopt $self->{fh}, IPPROTO_TCP, TCP_NODELAY, 1;
        return $self;
    };
}


sub get   { my ($self, $path, %o) = @_; $self->request('GET', $path, %o) }
sub post  { my $self = shift; $self->send_data('POST', @_) }
sub put   { my $self = shift; $self->send_data('PUT', @_) }
sub patch { my $self = shift; $self->send_data('PATCH', @_) }
sub del   { my $self = shift; $self->send_data('DELETE', @_) }


sub send_data {
    my ($self, $method, $path, @rest) = @_;
    my @data = @rest % 2 ? (data => shift @rest) : ();
    return $self->request($method, $path, @data, @rest);
}


sub url {
    my ($self, $node) = @_;
    return "http://127.0.0.1:" . $self->port($node);
}


sub port {
    my ($self, $node) = @_;
    return $self->{port}{$node // 'nginx'} // die "no node \"$node\"\n";
}


# headers and body of the options of a request

sub prepare {
    my ($self, $o) = @_;

    my %h = %{$o->{headers} || {}};
    my $body = $o->{body};

    if (!defined $body && defined $o->{data}) {
        $body = $json->encode($o->{data});
    }

    my $token = $o->{token};
    $token //= $self->token($o->{user}) if defined $o->{user};
    $token //= $self->admin_token() if $o->{admin};

    $h{Authorization} = "Bearer $token" if defined $token;
    $h{'Idempotency-Key'} = $o->{key} if defined $o->{key};
    $h{'Content-Type'} = $o->{type} // 'application/json' if defined $body;

    return (\%h, $body);
}


sub request {
    my ($self, $method, $path, %o) = @_;

    # a stream has no end to wait for: its first event is the answer
    return ($self->burst([{ %o, method => $method, path => $path }],
                         timeout => $o{timeout} // 20,
                         record => $o{record} // 1))[0]
        if $method eq 'GET' && $path =~ m!/events(?:\?|\z)!;

    my ($h, $body) = $self->prepare(\%o);
    my $node = $o{node} // 'nginx';
    my $timeout = ($o{timeout} // 20) * $RushTest::SLOW;
    my $http = $o{fresh} ? undef : $self->{http}{"$node $timeout"};

    $http //= HTTP::Tiny->new(timeout => $timeout, max_redirect => 0,
                              agent => 'rush-test', keep_alive => !$o{fresh});
    $self->{http}{"$node $timeout"} = $http if !$o{fresh};

    my $send = sub {
        return $http->request($method, $self->url($node) . $path, {
            headers => $h, (defined $body ? (content => $body) : ()) });
    };

    RushTest::Mode::before_request($self, $node);

    my $r = $send->();
    my $res = answer($r->{status}, $r->{headers}, $r->{content});
    $res->{error} = $r->{content} if $r->{status} == 599;

    $self->note_answer($res->{body});
    $self->record($method, $path, $h, $body, $res) if $o{record} // 1;

    RushTest::Mode::after_request($self, $node, $method, $path, $res, $send);

    return $res;
}


sub answer {
    my ($status, $headers, $body, $raw) = @_;

    $body //= '';

    my $res = { status => $status, headers => $headers, body => $body };

    if ($body =~ /^\{"code":(-?\d+)/) {
        $res->{code} = $1 + 0;

    } elsif (is_stream($status, $headers) && $body =~ /^data: (.*)$/m) {
        # without an envelope; the same for who only asks whether it is good
        $res->{code} = 0;
        $res->{json} = { data => $json->decode($1) };
    }

    if (!$raw && $body =~ /^\s*[\{\[]/) {
        $res->{json} = eval { $json->decode($body) };
    }

    return $res;
}


sub is_stream {
    my ($status, $headers) = @_;
    return $status == 200
        && ($headers->{'content-type'} // '') =~ /^text\/event-stream/;
}


sub record {
    my ($self, $method, $path, $h, $body, $res) = @_;

    my $file = $ENV{RUSH_RECORD} or return;

    return if $res->{status} == 599;

    my $line = $json->encode({
        file => $0, method => $method, path => $path,
        request_headers => { map { lc, $h->{$_} } keys %$h },
        request_body => $body, status => $res->{status} + 0,
        headers => $res->{headers}, body => $res->{body},
    });

    open my $fh, '>>:raw', $file or die "$file: $!";
    flock $fh, LOCK_EX;
    syswrite $fh, "$line\n";
    close $fh;
}


sub connect {
    my ($self, $node) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                 PeerPort => $self->port($node),
                                 Timeout => 5) || die "connect: $@\n";
}


# bytes on a connection of their own; what comes back until the server closes
# or is silent for "idle" seconds

sub raw {
    my ($self, $bytes, %o) = @_;

    my $s = $self->connect($o{node});
    my $idle = ($o{idle} // 2) * $RushTest::SLOW;
    my $out = '';

    $s->syswrite($bytes);

    while (IO::Select->new($s)->can_read($idle)) {
        last if !sysread $s, $out, 65536, length $out;
        last if !$o{until_close} && parse(\$out, { method => '' }, 1);
    }

    return $out;
}


# --- many at once ---

sub bytes_of {
    my ($self, $q) = @_;

    my ($h, $body) = $self->prepare($q);
    my $method = $q->{method} // 'GET';

    $h->{Host} //= '127.0.0.1';
    $h->{'Content-Length'} = length $body if defined $body;
    $h->{'Content-Length'} //= 0 if $method =~ /^P/;

    return ("$method $q->{path} HTTP/1.1\r\n"
            . join('', map { "$_: $h->{$_}\r\n" } sort keys %$h)
            . "\r\n" . ($body // ''), $h, $body);
}


# conns connections take the requests one after another, in order

sub burst {
    my ($self, $requests, %o) = @_;

    my $conns = $o{sync} ? @$requests : $o{conns} // 64;
    my $run = {
        self => $self, o => \%o, requests => $requests, next => 0,
        answers => [], poll => IO::Poll->new(), of => {},
        left => scalar @$requests, recorded => 0, held => [],
        end => time() + ($o{timeout} // 30) * $RushTest::SLOW,
    };

    $conns = @$requests if $conns > @$requests;
    open_one($run) foreach 1 .. $conns;

    while ($run->{left} > 0 && time() < $run->{end}) {
        $run->{poll}->poll(0.2);

        foreach my $s ($run->{poll}->handles(POLLOUT)) {
            send_some($run, $run->{of}{fileno $s});
        }

        foreach my $s ($run->{poll}->handles(POLLIN | POLLHUP | POLLERR)) {
            read_some($run, $run->{of}{fileno $s});
        }

        let_go($run) if $o{sync};
    }

    foreach my $c (values %{$run->{of}}) {
        fail_one($run, $c, 'timed out');
    }

    # never sent
    $_ //= { status => 599, headers => {}, body => '', error => 'not sent' }
        foreach @{$run->{answers}}[0 .. $#$requests];

    return @{$run->{answers}};
}


sub open_one {
    my ($run) = @_;

    return if $run->{next} >= @{$run->{requests}};

    my $q = $run->{requests}[$run->{next}];
    my $s = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', Blocking => 0,
        PeerPort => $run->{self}->port($q->{node} // $run->{o}{node}));
    my $c = { s => $s, in => '', out => '' };

    if (!$s) {
        take($run, $c);
        return answered($run, $c, { status => 599, headers => {}, body => '',
                                    error => "connect: $!" });
    }

    $run->{of}{fileno $s} = $c;
    take($run, $c);
    $run->{poll}->mask($s => POLLOUT | POLLIN);
}


# the next request onto a connection

sub take {
    my ($run, $c) = @_;

    my $i = $run->{next}++;

    $c->{i} = $i;
    $c->{q} = $run->{requests}[$i];
    @$c{qw(out h body)} = $run->{self}->bytes_of($c->{q});
    $c->{in} = '';
    $c->{start} = time();

    if ($run->{o}{sync}) {
        $c->{last} = chop $c->{out};
    }
}


sub send_some {
    my ($run, $c) = @_;

    return if !$c || !length $c->{out};

    my $n = syswrite $c->{s}, $c->{out};

    if (!defined $n) {
        return if $! == EAGAIN || $! == EINTR || $! == EINPROGRESS;
        return fail_one($run, $c, "write: $!");
    }

    substr $c->{out}, 0, $n, '';

    if (!length $c->{out}) {
        $run->{poll}->mask($c->{s} => POLLIN);
        push @{$run->{held}}, $c if defined $c->{last};
    }
}


# sync: all requests stand but for their last byte, now these leave together;
# what has to be done just before that is done now

sub let_go {
    my ($run) = @_;

    my @held = @{$run->{held}};

    return if @held < $run->{left} || !@held;

    $run->{o}{sync}->() if ref $run->{o}{sync};

    foreach my $c (@held) {
        syswrite $c->{s}, delete $c->{last};
    }

    $run->{held} = [];
}


sub read_some {
    my ($run, $c) = @_;

    return if !$c || !$c->{s};

    my $n = sysread $c->{s}, $c->{in}, 65536, length $c->{in};

    if (!defined $n) {
        return if $! == EAGAIN || $! == EINTR;
        return fail_one($run, $c, "read: $!");
    }

    my $r = parse(\$c->{in}, $c->{q}, $n == 0, $run->{o}{raw});

    if ($r) {
        $r->{elapsed} = time() - $c->{start};
        answered($run, $c, $r);
        return next_one($run, $c, $r->{headers}{connection} // '');
    }

    fail_one($run, $c, 'closed') if $n == 0;
}


sub next_one {
    my ($run, $c, $connection) = @_;

    if ($run->{next} >= @{$run->{requests}} || $connection eq 'close') {
        drop($run, $c);
        open_one($run);
        return;
    }

    take($run, $c);
    $run->{poll}->mask($c->{s} => POLLOUT | POLLIN);
    send_some($run, $c);
}


sub drop {
    my ($run, $c) = @_;
    delete $run->{of}{fileno $c->{s}};
    $run->{poll}->remove($c->{s});
    close $c->{s};
    delete $c->{s};
}


sub fail_one {
    my ($run, $c, $error) = @_;

    return if !$c->{s};

    @{$run->{held}} = grep { $_ != $c } @{$run->{held}};
    answered($run, $c, { status => 599, headers => {}, body => '',
                         error => $error });
    drop($run, $c);
    open_one($run) if time() < $run->{end};
}


sub answered {
    my ($run, $c, $r) = @_;

    $run->{answers}[$c->{i}] = $r;
    $run->{left}--;
    $run->{self}->note_answer($r->{body});

    # a sample is enough
    if (($run->{o}{record} // 1) && ($c->{q}{record} // 1)
        && $run->{recorded}++ < 20)
    {
        $run->{self}->record($c->{q}{method} // 'GET', $c->{q}{path}, $c->{h},
                             $c->{body}, $r);
    }
}


# a whole answer at the start of $$in, or nothing

sub parse {
    my ($in, $q, $eof, $raw) = @_;

    my $end = index $$in, "\r\n\r\n";
    return if $end < 0;

    my ($first, @lines) = split /\r\n/, substr $$in, 0, $end;
    my ($status) = $first =~ m!^HTTP/1\.[01] (\d{3})! or return;
    my %h;

    foreach (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;
        $h{lc $name} = $value;
    }

    my $body = substr $$in, $end + 4;

    if (($q->{method} // '') eq 'HEAD' || $status =~ /^(?:1..|204|304)$/) {
        $body = '';

    } elsif (is_stream($status, \%h)) {
        ($body) = flat($body) =~ /\A(.*?\n\n)/s or return;

    } elsif (defined $h{'content-length'}) {
        return if length $body < $h{'content-length'};
        $body = substr $body, 0, $h{'content-length'};

    } elsif (($h{'transfer-encoding'} // '') eq 'chunked') {
        $body = chunks($body) // return;

    } else {
        return if !$eof;
    }

    return answer($status, \%h, $body, $raw);
}


# the chunks that are there, of a stream that goes on

sub flat {
    my ($in) = @_;

    return $in if $in !~ /^[0-9a-f]+\r\n/;

    my $out = '';

    while ($in =~ s/\A([0-9a-fA-F]+)\r\n//) {
        my $n = hex $1;
        last if $n == 0 || length $in < $n + 2;
        $out .= substr $in, 0, $n, '';
        substr $in, 0, 2, '';
    }

    return $out;
}


sub chunks {
    my ($in) = @_;

    my $out = '';

    while ($in =~ /\G([0-9a-fA-F]+)[^\r\n]*\r\n/gc) {
        my $n = hex $1;
        my $at = pos $in;

        return $out if $n == 0;
        return if length $in < $at + $n + 2;

        $out .= substr $in, $at, $n;
        pos $in = $at + $n + 2;
    }

    return;
}


1;
