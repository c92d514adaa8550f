package Chaos::Early;

# Copyright (C) Rush
#
# Notices that come before the row of their payment, made by a process of its
# own: a server that is away may be waited for here.  The sandbox has taken
# the money, the stream has its notice, and a while later there is a payment:
# an open one, or a closed one when its order cannot have any.
#
#   my $e = Chaos::Early->start($world);    before there is any connection
#   $e->tell({ pid, no, user, amount, pause });
#   $e->end()           waits until all of them are made
#   Chaos::Early->again($world, $first, $last)  of these users, what Redis may
#                       have lost: nobody asks about a payment that is closed

use warnings;
use strict;

use IO::Select;
use JSON::PP ();
use Time::HiRes qw(time);

use parent 'Chaos::Beside';

my $json = JSON::PP->new->canonical;


sub again {
    my ($class, $w, @users) = @_;

    notice($w, $_) foreach $w->sql(
        'SELECT p.id AS pid, p.amount FROM payment p JOIN sandbox_trade t '
        . 'ON t.payment_id = p.id WHERE p.user_id BETWEEN ? AND ? AND '
        . 'p.state = 4 AND t.state = 1', @users);
}


# --- the process ---

sub serve {
    my ($w, $from) = @_;

    my $in = IO::Select->new($from);
    my ($text, @due) = ('');

    while ($from || @due) {

        # without the clients nobody waits any more
        while (@due && (!$from || $due[0]{at} <= time())) {
            my $x = shift @due;
            Chaos::Beside::until_done($w, sub { payment($w, $x) });
        }

        next if !$from || !$in->can_read(@due ? 0.02 : undef);

        undef $from if !sysread $from, $text, 65536, length $text;

        while ($text =~ s/^(.*)\n//) {
            my $x = $json->decode($1);

            Chaos::Beside::until_done($w, sub { money($w, $x) });
            Chaos::Beside::until_done($w, sub { notice($w, $x) });
            $x->{at} = time() + $x->{pause};
            @due = sort { $a->{at} <=> $b->{at} } @due, $x;
        }
    }
}


sub money {
    my ($w, $x) = @_;

    my $now = RushTest::Data::now_ms();

    $w->do('INSERT INTO sandbox_trade (payment_id, amount, state, paid_ms, '
           . 'created_ms) VALUES (?, ?, 1, ?, ?) ON DUPLICATE KEY UPDATE '
           . 'state = 1', @$x{qw(pid amount)}, $now, $now);
}


sub notice {
    my ($w, $x) = @_;

    my $now = RushTest::Data::now_ms();

    $w->redis()->xadd('{rush}pay', '*', p => 'sandbox', k => 'pay',
                      n => "early-$x->{pid}", b => body($x), r => $now);
}


sub body {
    my ($x) = @_;

    return $json->encode({
        out_trade_no => "$x->{pid}", transaction_id => "SBX$x->{pid}",
        trade_state => 'SUCCESS', success_time => '2026-01-01T00:00:00+08:00',
        amount => { total => $x->{amount} + 0, currency => 'CNY' },
    });
}


# once open, if that may be

sub payment {
    my ($w, $x) = @_;

    my $now = RushTest::Data::now_ms();
    my $insert = 'INSERT INTO payment (id, order_no, user_id, provider, '
        . 'channel, amount, subject, state, params, deadline_ms, next_ms, '
        . 'created_ms, updated_ms) SELECT ?, order_no, user_id, 4, 8, '
        . "amount, title, %d, '{}', pay_deadline_ms, ?, ?, ? FROM orders o "
        . 'WHERE order_no = ? AND user_id = ?%s';
    my @bind = ($x->{pid}, $now + 1000, $now, $now, @$x{qw(no user)});

    return if $w->value('SELECT 1 FROM payment WHERE id = ?', $x->{pid});

    my $n = eval { $w->do(sprintf($insert, 1, ' AND status = 1 AND '
        . 'stock_state = 0 AND NOT EXISTS (SELECT 1 FROM payment p WHERE '
        . 'p.open_order = o.order_no)'), @bind) } // 0;

    return if $n == 1;

    $w->do(sprintf($insert, 4, ''), @bind) == 1
        or die "no order $x->{no} for an early payment\n";
}


1;
