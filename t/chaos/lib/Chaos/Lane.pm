package Chaos::Lane;

# Copyright (C) Rush
#
# A process with a world of its own that plays one plan after the other.
# It gets lines of JSON (members for Chaos::Plan) and answers with lines (the
# result of Chaos::Round).
#
#   my $l = Chaos::Lane->new(dir => D, build => B);
#   $l->order(%plan);  my $result = $l->result();       # waits
#   $l->socket()                        can be read when a result is there
#   $l->end()

use warnings;
use strict;

use IO::Handle;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);
use Test::More ();

use Chaos::Plan;
use Chaos::Round;
use Chaos::World;

use constant ROUNDS => 25;              # in one world
use constant LIMIT => 240;              # s, of one round

my $json = JSON::PP->new->canonical;
my %open;                               # ends that lanes must not inherit


sub new {
    my ($class, %o) = @_;

    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";

    my $pid = fork() // die "fork: $!";
    my $self = bless { %o, pid => $pid, socket => $ours, owner => $$ },
        $class;

    if ($pid == 0) {
        close $_ foreach $ours, values %open;
        $self->{socket} = $theirs;
        # ends as a program does, with its END blocks
        exit $self->serve();
    }

    close $theirs;
    $open{$pid} = $ours;
    $ours->autoflush(1);

    return $self;
}


sub socket { return $_[0]{socket} }


sub order {
    my ($self, %plan) = @_;

    $self->{plan} = \%plan;
    $self->{since} = time();
    print {$self->{socket}} $json->encode(\%plan) . "\n";
}


sub result {
    my ($self) = @_;

    my $s = $self->{socket};
    my $line = '';

    until ($line =~ /\n\z/) {
        my $left = $self->{since} + LIMIT * $RushTest::SLOW - time();
        my $n = IO::Select->new($s)->can_read($left > 0 ? $left : 0)
            ? sysread $s, $line, 65536, length $line : undef;

        next if $n;
        $self->{dead} = 1;
        return { seed => $self->{plan}{seed}, ok => 0, hits => {},
                 skipped => {}, answers => {}, ops => 0, faults => 0,
                 took => time() - $self->{since}, dir => $self->{dir},
                 wrong => ['harness: the lane ' . (defined $n ? 'ended'
                           : 'does not answer') . ", see $self->{dir}"] };
    }

    return $json->decode($line);
}


sub end {
    my ($self) = @_;

    return if $self->{owner} != $$ || $self->{ended}++;

    close delete $open{$self->{pid}};
    CORE::kill TERM => $self->{pid} if $self->{dead};
    waitpid $self->{pid}, 0;
}


# --- the process ---

sub serve {
    my ($self) = @_;

    my $s = $self->{socket};

    $ENV{CHAOS_ADOPT} = Chaos::Nginx::adopt() ? 1 : 0;

    # what the parts of the test harness have to say
    open my $log, '>>', "$self->{dir}/lane.log" or die "lane.log: $!";
    $log->autoflush(1);
    Test::More->builder->$_($log) foreach qw(failure_output todo_output);

    $SIG{$_} = sub { $self->leave(); exit 1 } foreach qw(INT TERM HUP);
    $s->autoflush(1);

    while (my $line = <$s>) {
        my $result = eval { $self->play($json->decode($line)) };

        if (!$result) {
            print $log "$@\n";
            $self->leave();
            last;
        }

        print $s $json->encode($result) . "\n";
    }

    $self->leave();
    return 0;
}


sub play {
    my ($self, $members) = @_;

    my $w = $self->{world};

    if (!$w || $w->{rounds} >= ROUNDS || $members->{fresh}) {
        $self->leave();
        $w = $self->{world} = Chaos::World->new(build => $self->{build});
    }

    my %plan = %$members;
    delete $plan{fresh};

    my $plan = Chaos::Plan->new(%plan);
    my $result = Chaos::Round->play($w, $plan,
                                    "$self->{dir}/seed-$plan->{seed}");

    # a world that went wrong explains nothing any more
    $self->leave() if !$result->{ok};

    return $result;
}


sub leave {
    my ($self) = @_;

    my $w = delete $self->{world} or return;

    $w->end(0);
    1 while waitpid(-1, POSIX::WNOHANG) > 0;
}


1;
