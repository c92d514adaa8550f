package Chaos::Beside;

# Copyright (C) Rush
#
# A process of its own, beside the players, that is told what to do by a pipe:
# a server that is away may be waited for there.  A class of this has
#
#   serve($world, $from)   reads orders, a line of JSON each, until all is done
#
#   my $p = CLASS->start($world);    before there is any connection
#   $p->tell({ ... });
#   $p->end()                        waits until all of them are done
#   until_done($world, $sub)         again and again, of what can be repeated

use warnings;
use strict;

use IO::Handle;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

use constant PATIENCE => 15;            # s, for each, with healing

my $json = JSON::PP->new->canonical;


sub start {
    my ($class, $w) = @_;

    pipe my $from, my $to or die "pipe: $!";

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        close $to;
        my $rc = eval { $class->can('serve')->($w, $from); 1 };
        print STDERR $@ if !$rc;
        POSIX::_exit($rc ? 0 : 1);
    }

    close $from;
    $to->autoflush(1);

    return bless { pid => $pid, to => $to }, $class;
}


sub tell {
    my ($self, $order) = @_;
    print {$self->{to}} $json->encode($order) . "\n";
}


sub end {
    my ($self) = @_;

    close $self->{to};
    waitpid $self->{pid}, 0;
    die ref($self) . ": its process died\n" if $?;
}


sub until_done {
    my ($w, $sub) = @_;

    my $end = time() + PATIENCE * $RushTest::SLOW;

    until (eval { $sub->(); 1 }) {
        die $@ if time() > $end;
        delete @$w{qw(dbh redis)};
        sleep 0.1;
    }
}


1;
