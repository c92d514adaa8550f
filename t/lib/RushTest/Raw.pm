package RushTest::Raw;

# Copyright (C) Rush
#
# HTTP/1.1 by hand, for what a client library would not send, and a look at
# whether nginx has come through it.
#
#   bytes($method, $path, %o)   a request; o: token, headers => ['A: b'],
#                               body, type, chunked => [sizes of chunks]
#   pieces($text, $n)           the text in pieces of n bytes
#   answers($s, \$in, @methods) the next answers of a connection, one a
#                               method, fewer when it ends: { status, head,
#                               body, code, interim }; $in keeps the rest
#   close_hard($s)              by a reset
#
#   my $raw = RushTest::Raw->new($t, $activity);
#   $raw->unharmed($what)       the same workers, idle backends, still selling
#   $raw->reloaded()            other workers from now on

use warnings;
use strict;

use Exporter qw(import);
use IO::Select;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT_OK = qw(bytes pieces answers close_hard);


sub bytes {
    my ($method, $path, %o) = @_;

    my $text = "$method $path HTTP/1.1\r\nHost: rush\r\n";

    $text .= "Authorization: Bearer $o{token}\r\n" if $o{token};
    $text .= "$_\r\n" foreach @{$o{headers} || []};

    return "$text\r\n" if !defined $o{body};

    $text .= 'Content-Type: ' . ($o{type} // 'application/json') . "\r\n";

    return $text . 'Content-Length: ' . length($o{body})
        . "\r\n\r\n$o{body}" if !$o{chunked};

    $text .= "Transfer-Encoding: chunked\r\n\r\n";
    my $at = 0;

    foreach my $n (@{$o{chunked}}, length $o{body}) {
        last if $at >= length $o{body};
        my $part = substr $o{body}, $at, $n;
        $text .= sprintf "%x;ext=\"1\"\r\n%s\r\n", length $part, $part;
        $at += $n;
    }

    return $text . "0\r\n\r\n";
}


sub pieces {
    my ($text, $n) = @_;
    return unpack "(a$n)*", $text;
}


sub answers {
    my ($s, $in, @methods) = @_;

    my @answers;
    my $end = time() + 15 * $RushTest::SLOW;

    foreach my $method (@methods) {
        my $r;

        until ($r = take($in, $method)) {
            last if time() > $end || !IO::Select->new($s)->can_read(5);
            last if !sysread $s, $$in, 65536, length $$in;
        }

        last if !$r;
        push @answers, $r;
    }

    return @answers;
}


# a whole answer from the front of $$in; interim ones belong to the next

sub take {
    my ($in, $method) = @_;

    my $at = index $$in, "\r\n\r\n";
    return if $at < 0;

    my ($status) = $$in =~ m!^HTTP/1\.1 (\d{3})!
        or return { status => 0, body => $$in };
    my ($len) = substr($$in, 0, $at) =~ /^Content-Length: (\d+)/mi;

    if ($status == 100) {
        my $rest = substr $$in, $at + 4;
        my $r = take(\$rest, $method) or return;
        $$in = $rest;
        $r->{interim}++;
        return $r;
    }

    $len = 0 if $method eq 'HEAD' || $status == 304 || !defined $len;
    return if length $$in < $at + 4 + $len;

    my $head = substr $$in, 0, $at, '';
    my $body = substr $$in, 4, $len;
    substr $$in, 0, 4 + $len, '';

    return { status => $status, head => $head, body => $body,
             code => $body =~ /^\{"code":(\d+)/ ? $1 : undef };
}


sub close_hard {
    my ($s) = @_;
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $s;
}


# --- what must hold after it ---

sub new {
    my ($class, $t, $activity) = @_;
    my $self = bless { t => $t, activity => $activity, user => 900_000 },
        $class;
    $self->reloaded();
    return $self;
}


sub reloaded {
    my ($self) = @_;
    $self->{workers} = join ' ', sort $self->{t}->workers();
}


# the largest of all workers, as far as one can see from outside

sub gauge {
    my ($self, $name) = @_;

    my @all = map { $_->{body} =~ /^rush_$name (\d+)/m ? $1 : -1 }
        $self->{t}->burst([map { { path => '/metrics' } } 1 .. 8],
                          sync => 1, record => 0);

    return (sort { $b <=> $a } @all)[0];
}


sub unharmed {
    my ($self, $what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $t = $self->{t};

    Test::More::is(join(' ', sort $t->workers()), $self->{workers},
                   "$what: the same workers")
        if RushTest::Mode::workers_stay();
    Test::More::ok($t->wait_for(sub {
        return !grep { $self->gauge($_) }
            qw(redis_in_flight mysql_busy mysql_waiting);
    }, 10, 'idle backends'), "$what: nothing is left in flight");
    Test::More::is($t->buy($self->{activity}, ++$self->{user})->{code}, 0,
                   "$what: still selling");
}


1;
