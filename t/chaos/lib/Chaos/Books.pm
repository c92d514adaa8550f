package Chaos::Books;

# Copyright (C) Rush
#
# What MySQL and Redis hold of the activities of a round, as plain data that
# Chaos::Check judges:
#
#   activities  { id => row }           ops     [rows of seckill_stock_op]
#   orders      [rows]                  prices  { id => { version => price } }
#   alarms      [rows]                  dead    [open dead letters]
#   revived     { order_no => 1: paid after its end }
#   meta, users { id => hash of Redis }         half    { id => 1: u:new }
#   stream      { id => [[stream_id, epoch, [user, req, order, qty], ...]] }
#   group       { id => { pending, lag } }
#   open        { node => operations of one of its workers, the most }
#   reconcile   [exit status, output]   of rush-consumer --reconcile

use warnings;
use strict;

use List::Util qw(max);
use Time::HiRes qw(sleep);


sub gather {
    my ($class, $w, $plan, $since) = @_;

    my @ids = map { $_->{id} } @{$plan->{activities}};
    my $in = 'IN (' . join(', ', @ids) . ')';
    my $b = bless {}, $class;

    $b->{activities} = { map { $_->{id} => $_ }
        $w->sql("SELECT * FROM seckill_activity WHERE id $in") };

    foreach my $p ($w->sql('SELECT * FROM seckill_price WHERE activity_id '
                           . $in))
    {
        $b->{prices}{$p->{activity_id}}{$p->{price_ver}} = $p->{price};
    }

    my %from = (orders => 'orders', ops => 'seckill_stock_op');
    my @since = (int($since * 1000) - 1000);

    $b->{$_} = [$w->sql("SELECT * FROM $from{$_} WHERE activity_id $in")]
        foreach keys %from;
    $b->{dead} = [$w->sql('SELECT * FROM dead_letter WHERE state = 0 AND '
                          . "activity_id $in")];
    $b->{alarms} = [$w->sql("SELECT * FROM alarm WHERE activity_id $in "
                            . 'OR (activity_id = 0 AND created_ms >= ?)',
                            @since)];

    $b->{revived} = { map { $_->{order_no} => 1 } $w->sql(
        'SELECT l.order_no FROM order_log l JOIN orders o '
        . "ON o.order_no = l.order_no WHERE o.activity_id $in "
        . 'AND l.from_status = 5') };

    $b->look_into($w->redis(), $_) foreach @ids;
    $b->{open} = { map { $_ => operations($w, $_) }
                   grep { $w->daemon($_)->{nginx} } @{$w->{order}} };
    $b->{reconcile} = [$w->reconcile()];

    return $b;
}


sub look_into {
    my ($b, $redis, $id) = @_;

    $b->{meta}{$id} = { $redis->hgetall("{a:$id}m") };
    $b->{users}{$id} = { $redis->hgetall("{a:$id}u") };
    $b->{half}{$id} = 1 if $redis->exists("{a:$id}u:new");
    $b->{stream}{$id} = [];

    foreach my $entry ($redis->xrange("{a:$id}s", '-', '+')) {
        my ($at, $fields) = @$entry;
        my ($epoch, @grants);

        while (my ($name, $value) = splice @$fields, 0, 2) {
            $epoch = $value if $name eq 'e';
            push @grants, [split / /, $value] if $name eq 'g';
        }

        push @{$b->{stream}{$id}}, [$at, $epoch, @grants];
    }

    foreach my $g (eval { $redis->xinfo('groups', "{a:$id}s") }) {
        my %g = @$g;
        $b->{group}{$id} = \%g if $g{name} eq 'rush';
    }
}


# what its workers wait for.  They look at things by themselves, so it is
# the least of a few looks at several of them

sub operations {
    my ($w, $node) = @_;

    my $least;

    foreach (1 .. 10) {
        my @r = $w->burst([({ path => '/metrics' }) x 6], node => $node,
                          sync => 1, raw => 1, record => 0);
        my $most = max map {
            $_->{status} == 200
                ? max $_->{body} =~ /^rush_(?:redis_in_flight|mysql_busy
                                              |mysql_waiting)\ (\d+)$/mxg
                : 1000
        } @r;

        $least = $most if !defined $least || $most < $least;
        last if $least <= 1;
        sleep 0.05;
    }

    return $least;
}


1;
