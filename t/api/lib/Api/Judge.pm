package Api::Judge;

# Copyright (C) Rush
#
# What is done with many answers: one that stands alone is judged at once;
# answers to requests that ran at the same time are right when some order of
# them is.  "settle" waits until nothing is under way and compares the books.

use warnings;
use strict;

use Api::Client qw(now);
use Api::Rest;
use Exporter qw(import);
use List::Util qw(sum0);
use Storable qw(dclone);
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(take settle);


# what is wrong with these calls, or undef; the model goes on.  What was seen
# afterwards must fit too

sub take {
    my ($m, $after, @calls) = @_;

    if (@calls == 1) {
        my ($wrong, $apply) = $m->judge($calls[0]);
        return [$calls[0], $wrong] if defined $wrong;
        $apply->();
        return;
    }

    # who asks is looked at when a request begins
    foreach (grep { $_->{session} } @calls) {
        $_->{begun} = $m->{sessions}{$_->{session}}{alive};
    }

    my $best = { depth => -1 };
    my $end = search({ calls => \@calls, after => $after, best => $best },
                     $m, 0, '');

    return [$best->{call}, "no order of the " . @calls
            . " calls explains the answers; at best: $best->{wrong}"]
        if !$end;

    %$m = %$end;
    return;
}


# The effect of a call follows from its answer, so what the model is after
# some of the calls does not depend on their order, except that of changes of
# a sale: a set that failed once with those in this order fails always.

sub search {
    my ($s, $m, $done, $order) = @_;

    my $calls = $s->{calls};
    my $depth = grep { $done & 1 << $_ } 0 .. $#$calls;

    if ($depth == @$calls) {
        foreach my $c (@{$s->{after}}) {
            my ($wrong, $apply) = $m->judge($c);

            if (!defined $wrong) {
                $apply->();
                next;
            }

            note($s->{best}, $depth, $c, $wrong);
            return;
        }

        return $m;
    }

    foreach my $i (0 .. $#$calls) {
        my $c = $calls->[$i];
        my $then = $done | 1 << $i;
        my $changed = @{$s->{after}} && $c->{admin} ? "$order $i" : $order;

        next if $done & 1 << $i || $s->{failed}{"$then:$changed"};

        my ($wrong) = $m->judge($c);

        if (defined $wrong) {
            note($s->{best}, $depth, $c, $wrong);
            next;
        }

        my $next = dclone($m);
        my (undef, $apply) = $next->judge($c);

        $apply->();

        my $end = search($s, $next, $then, $changed);
        return $end if $end;

        $s->{failed}{"$then:$changed"} = 1;
    }

    return;
}


sub note {
    my ($best, $depth, $call, $wrong) = @_;
    @$best{qw(depth call wrong)} = ($depth, $call, $wrong)
        if $depth >= $best->{depth};
}


# --- the books ---

# until Redis, MySQL and the node agree on everything; then the model must too

sub settle {
    my ($t, $m) = @_;

    my @all = grep { !$_->{gone} } map { $m->{activities}{$_} }
        @{$m->{activity_ids}};
    my $why;

    if (!$t->wait_for(sub { !($why = Api::Rest::moving($t, $m)
                              || @all && restless($t, $m, @all)) }, 20,
                      'everything to settle'))
    {
        return "does not settle: $why";
    }

    foreach my $a (@all) {
        my $wrong = close_books($t, $m, $a);
        return "activity $a->{id}: $wrong" if $wrong;
    }

    return orders($t, $m) || Api::Rest::money($t, $m)
        || Api::Ops::settle($t, $m);
}


sub restless {
    my ($t, $m, @all) = @_;

    my $ids = join ', ', map { $_->{id} } @all;

    # these first: what they change must then be seen by the others
    return 'stock operations' if $t->value('SELECT COUNT(*) FROM '
        . "seckill_stock_op WHERE state < 2 AND activity_id IN ($ids)");
    return 'returns' if $t->value('SELECT COUNT(*) FROM orders WHERE '
        . "stock_state IN (1, 2) AND activity_id IN ($ids)");

    foreach my $row ($t->sql('SELECT id, rev, applied_rev, warm, status, total '
                             . "FROM seckill_activity WHERE id IN ($ids)"))
    {
        my $id = $row->{id};

        return "activity $id is not applied"
            if $row->{rev} != $row->{applied_rev};

        my $meta = $t->meta($id);
        return "activity $id is not loaded"
            if $row->{warm} && !defined $meta->{remain};

        return "Redis has not heard of the switch: $id"
            if !Api::Ops::is_told($m, $row, $meta);

        my $why = $row->{status} ? unseen($t, $row, $meta) : '';
        return $why if $why;
        next if !%$meta;

        foreach my $g ($t->redis()->xinfo('groups', "{a:$id}s")) {
            my %g = @$g;
            return "stream of $id" if $g{pending} || ($g{lag} // 1);
        }
    }

    return '';
}


# the tag of an answer tells the revision that the node knows

sub unseen {
    my ($t, $row, $meta) = @_;

    my $r = $t->get("/api/v1/seckill/activities/$row->{id}/stock",
                    record => 0);
    my ($rev) = ($r->{headers}{etag} // '') =~ m!W/"(\d+)-!;
    my $d = $r->{json}{data} || {};

    return "the node does not know activity $row->{id}"
        if !defined $rev || $rev != $row->{rev};
    return '' if !%$meta;
    return "the node's stock of $row->{id}"
        if $d->{generation} != $meta->{rver} || $d->{left} != $meta->{remain}
        || $d->{total} != $row->{total};
    return '';
}


# what was under way has happened: is it what the model expects?

sub close_books {
    my ($t, $m, $a) = @_;

    foreach my $e (@{$a->{pend}}) {
        if ($e->{op}) {
            my $state = $t->value('SELECT state FROM seckill_stock_op '
                                  . 'WHERE id = ?', $e->{op}) // 'gone';
            my ($least, $most) = ($e->{least} + $e->{delta},
                                  $e->{most} + $e->{delta});

            return "adjustment $e->{op} of $e->{delta} is in state $state"
                . ", the model has $least..$most left"
                if $state eq '2' ? $most < 0
                    : $state ne '3' || $least >= 0;

            next if $state eq '3';
            $a->{base} += $e->{delta};
            $a->{total} += $e->{delta};
            next;
        }

        $a->{base} += $e->{qty};
        $a->{returned} += $e->{qty};
        $a->{users}{$e->{uid}} -= $e->{qty};
        $_->{returned} = 1 foreach grep { $_->{no} eq $e->{order} }
            @{$m->{orders}};
    }

    foreach (grep { $_->{aid} eq $a->{id} } @{$m->{orders}}) {
        $_->{row} = 1;
        $m->{keys}{"$_->{aid}:$_->{uid}:$_->{key}"} = ["-$_->{no}"]
            if $_->{returned};
    }

    $a->{pend} = [];
    $a->{quiet} = 1;
    splice @{$a->{views}}, 0, -1;
    $a->{views}[0]{at} = 0;
    $a->{hist} = [];
    Api::Catalog::record($a, { t1 => 0 });

    return compare($t, $m, $a);
}


sub compare {
    my ($t, $m, $a) = @_;

    my $id = $a->{id};
    my ($row) = $t->sql('SELECT * FROM seckill_activity WHERE id = ?', $id);
    my $held = sum0(values %{$a->{users}});

    return "total is $row->{total}, the model has $a->{total}"
        if $row->{total} != $a->{total};
    return "sold is $row->{sold}, the model has $held"
        if $row->{sold} != $held;
    return 'an alarm or a dead letter'
        # of a notice that tells of another amount there has to be one
        if $t->value('SELECT COUNT(*) FROM alarm WHERE activity_id = ? AND '
                     . "kind <> 'payment_mismatch'", $id)
        || $t->value('SELECT COUNT(*) FROM dead_letter WHERE activity_id = ?',
                     $id);

    my $meta = $t->meta($id);
    return if !%$meta;

    return "remain is $meta->{remain}, the model has $a->{base}"
        if $meta->{remain} != $a->{base};

    # every id and every count that Redis keeps
    my %have = $t->redis()->hgetall("{a:$id}u");
    my %want = map { $_ => $a->{users}{$_} } keys %{$a->{users}};

    foreach (grep { /^\Q$id\E:/ } keys %{$m->{keys}}) {
        my ($key) = /^\d+:(.*)/;
        $want{$key} = $m->{keys}{$_};
    }

    foreach my $key (sort keys %{{%have, %want}}) {
        my $want = $want{$key} // '';
        my @may = ref $want ? @$want : $want;

        push @may, 0, '' if $key !~ /:/ && !$want;
        return "Redis keeps \"" . ($have{$key} // '') . "\" of $key, the "
            . "model \"@may\"" if !grep { ($have{$key} // '') eq $_ } @may;
    }

    return;
}


# rows, one each and nothing else

sub orders {
    my ($t, $m) = @_;

    my %have = map { $_->{order_no} => $_ }
        $t->sql('SELECT order_no, user_id, activity_id, qty, status, '
                . 'price, req_id FROM orders WHERE '
                . Api::Rest::users($m));

    foreach my $o (@{$m->{orders}}) {
        my $row = delete $have{$o->{no}}
            or return "order $o->{no} has no row";
        my $is = join ' ', @$row{qw(user_id activity_id qty req_id)};
        my $want = join ' ', @$o{qw(uid aid qty key)};
        my $status = Api::Rest::order($m, $o);

        return "order $o->{no} is $is, the model has $want" if $is ne $want;
        return "order $o->{no} is in state $row->{status}, the model has "
            . $status if $row->{status} != $status;
        @$o{qw(row seen)} = (1, $status);
        return "order $o->{no} has price $row->{price}"
            if !grep { $_ == $row->{price} } @{$o->{prices}};
        $o->{prices} = [$row->{price}];
    }

    return %have ? 'orders that nobody was told of: '
        . join(' ', sort keys %have) : undef;
}


1;
