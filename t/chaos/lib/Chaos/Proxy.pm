package Chaos::Proxy;

# Copyright (C) Rush
#
# Faults of the network, on one edge between two processes.  All edges of a
# world (of a directory) are served by one process, t/chaos/proxy.c.
#
#   my $p = Chaos::Proxy->start(dir => D, name => 'a-redis', kind => 'redis',
#       listen => path or 127.0.0.1:port, to => path or host:port);
#                               kind: redis, mysql or http
#
#   $p->rule('pass')                    and so heal()
#   $p->rule('refuse')                  connections end, none is accepted
#   $p->rule('reset')                   the same by RST
#   $p->rule('blackhole', dir => 'up' | 'down' | 'both', lose => 0 | 1)
#                                       nothing moves; what was held arrives
#                                       late, or (lose) never
#   $p->rule('delay', ms => n, jitter => n, seed => n, dir => )
#   $p->rule('throttle', rate => bytes a second, dir => )
#   $p->rule('bytewise', dir => )       one byte a write
#   $p->rule('cut', where => 'request' | 'before' | 'inside' | 'after',
#            nth => n, times => n, byte => k, match => text, rst => 0 | 1)
#                               forwards each nth request that contains the
#                               text and ends its connection: inside of the
#                               request, before its reply, after byte k of
#                               it, after all of it
#   $p->counts()                { conns, open, up, down: bytes, and hits of
#                               refuse, reset, blackhole, delay, throttle,
#                               bytewise, cut_request, cut_before, ... }
#   $p->stop()                  the process ends with its last edge

use warnings;
use strict;

use Fcntl qw(:flock);
use IO::Select;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

my %process;                            # by directory


sub start {
    my ($class, %o) = @_;

    my $process = $process{$o{dir}} //= launch();
    my $self = bless { %o, process => $process, owner => $$ }, $class;

    $process->{edges}++;
    $self->order('edge', @o{qw(name kind listen to)});

    return $self;
}


sub rule {
    my ($self, $kind, %o) = @_;

    $o{rate} = delete $o{bytes_s} if exists $o{bytes_s};
    $self->order('rule', $self->{name}, $kind,
                 map { "$_=$o{$_}" } sort grep { defined $o{$_} } keys %o);

    return $self;
}


sub heal {
    my ($self) = @_;
    return $self->rule('pass');
}


sub counts {
    my ($self) = @_;
    return { $self->order('counts', $self->{name}) =~ /(\w+)=(\d+)/g };
}


sub stop {
    my ($self) = @_;

    return if $self->{owner} != $$ || $self->{stopped}++;

    my $process = $self->{process};

    eval { $self->order('close', $self->{name}) };
    return if --$process->{edges};

    delete $process{$self->{dir}};
    close $process->{control};
    kill KILL => $process->{pid};
    waitpid $process->{pid}, 0;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    $self->stop();
}


# done when this returns

sub order {
    my ($self, @words) = @_;

    my $s = $self->{process}{control};
    my $line = '';

    syswrite $s, join(' ', @words) . "\n";

    until ($line =~ /\n\z/) {
        IO::Select->new($s)->can_read(30)
            && sysread $s, $line, 4096, length $line
            or die "the proxy does not answer: @words\n";
    }

    $line =~ /^ok ?(.*)/ or die "proxy: @words: $line";
    return $1;
}


sub launch {
    my $bin = tool();

    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP PIPE);
        open STDIN, '<&', $theirs;
        open STDOUT, '>&', $theirs;
        no warnings 'exec';
        exec $bin;
        POSIX::_exit(127);
    }

    close $theirs;
    return { pid => $pid, control => $ours, edges => 0 };
}


# compiled when it is older than its source

sub tool {
    my ($src) = __FILE__ =~ m!^(.*?)/?lib/Chaos/Proxy\.pm$!;

    $src = '.' if !length $src;

    my $build = $ENV{RUSH_BUILD} || "$src/../../build";
    my $out = "$build/chaos";

    system('mkdir', '-p', $out) == 0 or die "mkdir $out\n";
    open my $lock, '>', "$out/lock" or die "$out/lock: $!";
    flock $lock, LOCK_EX or die;

    my $said = `make -s -C '$src' OUT='$out' 2>&1`;
    die "the proxy does not compile:\n$said" if $?;

    return "$out/proxy";
}


1;
