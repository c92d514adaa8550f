package Chaos::Purse;

# Copyright (C) Rush
#
# The sandbox as a provider in trouble, made by a process of its own: for a
# while there is no money for the refunds of a payment, so that they fail and
# an operator has to let them begin again; or the connection of whoever asks
# ends in the middle of a refund, so that nobody knows what became of it.
#
#   my $p = Chaos::Purse->start($world);    before there is any connection
#   $p->tell({ pid, how => empty | torn, ms });
#   $p->end()           waits until all is as it was
#
# What is kept back of a trade stands in a table of our own, so that it comes
# back once, whatever is killed meanwhile.

use warnings;
use strict;

use IO::Select;
use JSON::PP ();
use Time::HiRes qw(sleep time);

use parent 'Chaos::Beside';

use constant TEAR => 0.5;               # s, that a refund is waited for

my $json = JSON::PP->new->canonical;


# --- the process ---

sub serve {
    my ($w, $from) = @_;

    my $in = IO::Select->new($from);
    my ($text, %until) = ('');

    while ($from || %until) {

        foreach my $pid (sort keys %until) {
            next if $from && $until{$pid} > time();
            Chaos::Beside::until_done($w, sub { give_back($w, $pid) });
            delete $until{$pid};
        }

        next if !$from || !$in->can_read(%until ? 0.02 : undef);

        undef $from if !sysread $from, $text, 65536, length $text;

        while ($text =~ s/^(.*)\n//) {
            my $x = $json->decode($1);

            if ($x->{how} eq 'torn') {
                eval { tear($w, $x->{pid}); 1 } or delete @$w{qw(dbh redis)};
                next;
            }

            # known before it is done: it is looked for in any case
            $until{$x->{pid}} //= time() + $x->{ms} / 1000;
            eval { take_away($w, $x->{pid}); 1 }
                or delete @$w{qw(dbh redis)};
        }
    }
}


sub table {
    my ($w) = @_;
    $w->do('CREATE TABLE IF NOT EXISTS chaos_purse (payment_id BIGINT NOT '
           . 'NULL PRIMARY KEY, held BIGINT NOT NULL) ENGINE=InnoDB');
}


sub take_away {
    my ($w, $pid) = @_;

    table($w);

    my $db = $w->db();

    $db->begin_work();
    my ($left) = $db->selectrow_array('SELECT amount - refunded FROM '
        . 'sandbox_trade WHERE payment_id = ? AND state = 1 FOR UPDATE',
        undef, $pid);

    # of what is there, and only once
    if (($left // 0) > 0
        && $db->do('INSERT IGNORE INTO chaos_purse VALUES (?, ?)', undef,
                   $pid, $left) == 1)
    {
        $db->do('UPDATE sandbox_trade SET refunded = amount WHERE '
                . 'payment_id = ?', undef, $pid);
    }

    $db->commit();
}


sub give_back {
    my ($w, $pid) = @_;

    table($w);

    my $db = $w->db();

    $db->begin_work();
    my ($held) = $db->selectrow_array('SELECT held FROM chaos_purse WHERE '
        . 'payment_id = ? FOR UPDATE', undef, $pid);

    if (defined $held) {
        $db->do('UPDATE sandbox_trade SET refunded = refunded - ? WHERE '
                . 'payment_id = ?', undef, $held, $pid);
        $db->do('DELETE FROM chaos_purse WHERE payment_id = ?', undef, $pid);
    }

    $db->commit();
}


# who comes to take money of this trade waits for us, and is cut off

sub tear {
    my ($w, $pid) = @_;

    my $other = RushTest::Backend::mysql_connect($w->{dir}, 'rush');
    my $db = $w->db();
    my $end = time() + TEAR;

    $db->begin_work();
    $db->do('SELECT 1 FROM sandbox_trade WHERE payment_id = ? FOR UPDATE',
            undef, $pid);

    while (time() < $end) {
        my ($id) = $other->selectrow_array('SELECT id FROM '
            . 'information_schema.processlist WHERE info LIKE '
            . "'UPDATE sandbox_trade SET refunded = refunded + %' LIMIT 1");

        if ($id) {
            $other->do("KILL CONNECTION $id");
            last;
        }

        sleep 0.01;
    }

    $db->rollback();
    $other->disconnect();
}


1;
