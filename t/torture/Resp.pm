package Resp;

# Copyright (C) Rush
#
# A proxy before Redis that knows where a reply ends, and lies about the n-th
# one.  A refusal says that nothing was done, so nothing is: its command does
# not reach Redis.
#
#   my $p = Resp->new(listen => path, target => path);
#   $p->arm($n, $lie)      the n-th whole reply from now on, of any connection
#   $p->disarm()           { seen => replies, hits => 0 or 1 }
#   Resp::lies()           names
#
# After a lie that breaks the stream ("cut", "short") the connection ends.

use warnings;
use strict;

use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);
use RushTest::Proxy;

# how it ends is the same
our @ISA = ('RushTest::Proxy');

my %lies = (
    nil     => "\$-1\r\n",
    null    => "*-1\r\n",
    err     => "-ERR torture\r\n",
    int     => ":7\r\n",
    minus   => ":-1\r\n",
    status  => "+OK\r\n",
    empty   => "*0\r\n",
    nested  => "*2\r\n*2\r\n*1\r\n:0\r\n\$1\r\nx\r\n*0\r\n",
    other   => "*6\r\n\$1\r\n1\r\n\$-1\r\n\$2\r\non\r\n:3\r\n*0\r\n\$0\r\n\r\n",
    numbers => "*2\r\n:99999\r\n:-5\r\n",
    large   => "\$65536\r\n" . 'x' x 65536 . "\r\n",
    binary  => "\$4\r\n\0\r\n\377\r\n",
    cut     => sub { my ($r) = @_; (substr($r, 0, -1), 1) },
    short   => sub { my ($r) = @_;
                     (length $r > 3 ? substr($r, 0, 1) . substr $r, 2
                                    : "\r\n", 1) },
);

my %refusals = (
    noscript => "-NOSCRIPT No matching script. Please use EVAL.\r\n",
    readonly => "-READONLY You can't write against a read only replica.\r\n",
    oom      => "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
);


sub lies {
    return sort keys %lies, keys %refusals;
}


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


sub arm {
    my ($self, $n, $lie) = @_;
    $lies{$lie} || $refusals{$lie} or die "no lie \"$lie\"\n";
    return $self->tell("$n $lie");
}


sub disarm {
    my ($self) = @_;
    return $self->tell('0 nil');
}


sub tell {
    my ($self, $text) = @_;

    my $s = $self->{control};
    syswrite $s, "$text\n";
    IO::Select->new($s)->can_read(30) && sysread $s, my $line, 4096
        or die "proxy $self->{listen} does not answer\n";

    my ($seen, $hits) = split ' ', $line;
    return { seen => $seen, hits => $hits };
}


# --- the process ---

sub serve {
    my ($l, $control, $target) = @_;

    my $p = { l => $l, target => $target, select => IO::Select->new(),
              peer => {}, n => 0, seen => 0, hits => 0 };

    $p->{select}->add($l, $control);

    while (1) {
        foreach my $s ($p->{select}->can_read(5)) {
            if ($s == $control) {
                sysread $control, my $line, 4096 or return;
                syswrite $control, "$p->{seen} $p->{hits}\n";
                @$p{qw(n lie)} = split ' ', $line;
                @$p{qw(seen hits)} = (0, 0);
            } elsif ($s == $l) {
                welcome($p);
            } elsif ($p->{peer}{$s}) {
                forward($p, $p->{peer}{$s}, $s);
            }
        }
    }
}


sub welcome {
    my ($p) = @_;

    my $client = $p->{l}->accept() or return;
    my $server = IO::Socket::UNIX->new(Peer => $p->{target});

    if (!$server) {
        close $client;
        return;
    }

    # refused: for each command under way, what it is answered without Redis
    my $pair = { client => $client, server => $server, in => '', out => '',
                 refused => [] };

    $p->{peer}{$_} = $pair foreach $client, $server;
    $p->{select}->add($client, $server);
}


sub forward {
    my ($p, $pair, $from) = @_;

    my $n = sysread $from, my $data, 65536;

    return finish_pair($p, $pair) if !$n;

    if ($from == $pair->{client}) {
        $pair->{out} .= $data;

        while (!$pair->{done} && defined(my $end = ends(\$pair->{out}, 0))) {
            command($p, $pair, substr $pair->{out}, 0, $end, '');
        }

    } else {
        $pair->{in} .= $data;

        while (!$pair->{done} && defined(my $end = ends(\$pair->{in}, 0))) {
            shift @{$pair->{refused}};
            reply($p, $pair, substr $pair->{in}, 0, $end, '');
            refuse($p, $pair);
        }
    }
}


sub command {
    my ($p, $pair, $data) = @_;

    my $text = $p->{n} ? $refusals{$p->{lie}} : undef;

    if (defined $text && ++$p->{seen} == $p->{n}) {
        $p->{hits}++;
        push @{$pair->{refused}}, $text;
        return refuse($p, $pair);
    }

    push @{$pair->{refused}}, undef;
    put($p, $pair, $pair->{server}, $data);
}


# when its turn has come

sub refuse {
    my ($p, $pair) = @_;

    while (!$pair->{done} && defined $pair->{refused}[0]) {
        put($p, $pair, $pair->{client}, shift @{$pair->{refused}});
    }
}


sub reply {
    my ($p, $pair, $data) = @_;

    my ($lie, $last) = ($p->{n} ? $lies{$p->{lie}} : undef, 0);

    if (defined $lie && ++$p->{seen} == $p->{n}) {
        $p->{hits}++;
        ($data, $last) = ref $lie ? $lie->($data) : ($lie, 0);
    }

    put($p, $pair, $pair->{client}, $data);
    finish_pair($p, $pair) if $last;
}


# where what starts at $at ends, undef while it is incomplete

sub ends {
    my ($in, $at) = @_;

    my $eol = index $$in, "\r\n", $at;
    return if $eol < 0;

    my $type = substr $$in, $at, 1;
    my $n = substr $$in, $at + 1, $eol - $at - 1;

    $at = $eol + 2;

    if ($type eq '$') {
        $at += $n + 2 if $n >= 0;
        return $at <= length $$in ? $at : undef;
    }

    if ($type eq '*') {
        while ($n-- > 0) {
            $at = ends($in, $at) // return;
        }
    }

    return $at;
}


sub put {
    my ($p, $pair, $to, $data) = @_;

    while (length $data) {
        my $n = syswrite $to, $data;
        return finish_pair($p, $pair) if !defined $n;
        substr $data, 0, $n, '';
    }
}


sub finish_pair {
    my ($p, $pair) = @_;

    return if $pair->{done}++;

    foreach my $s ($pair->{client}, $pair->{server}) {
        $p->{select}->remove($s);
        delete $p->{peer}{$s};
        close $s;
    }
}


1;
