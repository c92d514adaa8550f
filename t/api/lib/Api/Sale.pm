package Api::Sale;

# Copyright (C) Rush
#
# The model of what buyers see: sales, buys, requests.  Each function is
# named after the operation it judges and returns (what is wrong, what follows).

use warnings;
use strict;

use Api::Client qw(now);
use List::Util qw(max min sum0);

BEGIN { *want = \&Api::Model::want; *field = \&Api::Model::field;
        *told = \&Api::Model::told; *views = \&Api::Catalog::views;
        *activity = \&Api::Catalog::activity;
        *bounds = \&Api::Catalog::bounds;
        *record = \&Api::Catalog::record }

my $SKEW = 2000;        # seckill_clock_skew


# --- sales ---

# (least, most) of what nodes may think to be left, and of the total

sub seen {
    my ($a, $c) = @_;

    my @h = views($a->{hist}, $c);
    my $lo = min(map { $_->{lo} } @h);
    my $hi = max(map { $_->{hi} } @h);
    my $tlo = min(map { $_->{tlo} } @h);
    my $thi = max(map { $_->{thi} } @h);

    # not in Redis yet: nothing or all
    if (views($a->{views}, $c) > 1) {
        $lo = min($lo, 0);
        $hi = max($hi, $thi);
    }

    return ($lo, $hi, $tlo, $thi);
}


# the phases of a window that the call may have been in

sub phases {
    my ($view, $c) = @_;

    my ($start, $stop) = @$view{qw(start stop)};
    my $edge = $Api::Catalog::EDGE;

    return (early => $c->{t0} < $start + $edge,
            open => $c->{t1} >= $start - $edge && $c->{t0} < $stop + $edge,
            over => $c->{t1} >= $stop - $edge);
}


sub states {
    my ($a, $c) = @_;

    my ($lo, $hi) = seen($a, $c);
    my %s;

    foreach my $view (views($a->{views}, $c)) {
        my %in = phases($view, $c);

        next if !$view->{status};
        $s{ended} = 1, next if $view->{status} == 3;
        $s{ended} = 1 if $in{over};
        next if !$in{early} && !$in{open};
        $s{paused} = 1, next if $view->{status} == 2;
        $s{not_started} = 1 if $in{early};
        $s{sold_out} = 1 if $in{open} && $lo <= 0;
        $s{running} = 1 if $in{open} && ($hi > 0
                                         || views($a->{views}, $c) > 1);
    }

    return [sort keys %s];
}


# 404 before the node has heard of it; then what follows

sub visible {
    my ($m, $c) = @_;

    my $a = activity($m, $c->{v}{id}) or return (want($c, 'NOT_FOUND'));
    my @all = views($a->{views}, $c);
    my @codes = ((grep { $_->{status} } @all) ? 'OK' : (),
                 (grep { !$_->{status} } @all) ? 'NOT_FOUND' : ());

    return (want($c, @codes), told($c) eq 'OK' ? $a : undef);
}


sub seckill_activity_list {
    my ($m, $c) = @_;

    return want($c, 'BAD_REQUEST')
        if ($c->{v}{state} // 'ended') !~ /^(?:upcoming|running|ended)$/;
    return want($c, 'OK');
}


sub seckill_activity_detail {
    my ($m, $c) = @_;

    my ($wrong, $a) = visible($m, $c);
    return $wrong if $wrong || !$a;

    my ($lo, $hi, $tlo, $thi) = seen($a, $c);
    my @all = grep { $_->{status} } views($a->{views}, $c);
    my %is = (price => 'price', title => 'title', start_ms => 'start',
              end_ms => 'stop', limit_per_user => 'limit');

    return field($c, state => states($a, $c),
                 left => { least => $lo, most => $hi },
                 total => { least => $tlo, most => $thi },
                 map { my $n = $_; $n => [map { $_->{$is{$n}} } @all] }
                     keys %is);
}


sub seckill_activity_status {
    my ($m, $c) = @_;

    my ($wrong, $a) = visible($m, $c);
    return $wrong if $wrong || !$a;

    my ($lo, $hi) = seen($a, $c);
    my %mine;

    if ($c->{uid} && $c->{v}{mine}) {
        my ($least, $most) = held($a, $c->{uid});
        $mine{mine} = { least => $least, most => $most };
    }

    return field($c, state => states($a, $c), %mine,
                 left => { least => $lo, most => $hi });
}


sub seckill_activity_stock {
    my ($m, $c) = @_;

    my ($wrong, $a) = visible($m, $c);
    return $wrong if $wrong || !$a;

    my ($lo, $hi, $tlo, $thi) = seen($a, $c);

    return field($c, left => { least => $lo, most => $hi },
                 total => { least => $tlo, most => $thi });
}


# --- buys ---

# units of a buyer, before and after what is on its way back

sub held {
    my ($a, $uid) = @_;

    my $most = $a->{users}{$uid} // 0;
    my $back = sum0(map { $_->{qty} }
                    grep { ($_->{uid} // '') eq $uid } @{$a->{pend}});

    return ($most - $back, $most);
}


# every answer that this buy may get: "NAME", and "NAME final" of Redis.  The
# node may go by one view and Redis by another

sub answers {
    my ($m, $a, $c) = @_;

    my @views = views($a->{views}, $c);
    my $key = $c->{v}{'idempotency-key'} // '';
    my $kept = $m->{keys}{"$a->{id}:$c->{uid}:$key"} // [''];
    my %may;

    if (filter($m, $a, $c, \%may)) {
        foreach (@$kept) {
            if ($_ eq '-') {
                $may{'DENIED final'} = 1;
            } elsif (/^-/) {
                $may{'RELEASED final'} = 1;
            } elsif (length) {
                $may{"OK replayed $_"} = 1;
            } else {
                decide($a, $c, $_, \%may) foreach @views;
                # Redis is told of the red switch a while after the node
                $may{'PAUSED final'} = 1 if !Api::Ops::heard($m, $c);
            }
        }
    }

    # one half of the way is new, the other still old
    $may{CLOSED} = $may{BUSY} = 1 if @views > 1;

    return \%may;
}


# what the node may say by itself; true when it may ask Redis

sub filter {
    my ($m, $a, $c, $may) = @_;

    my ($sells, $stopped) = Api::Ops::sells($m, $c);
    my $retry = $c->{v}{retry};
    my $zero = grep { $_->{lo} <= 0 } views($a->{hist}, $c);
    my $asks;

    foreach my $view (views($a->{views}, $c)) {
        my $status = $view->{status};
        my ($start, $stop) = ($view->{start} - $SKEW, $view->{stop} + $SKEW);

        $may->{CLOSED} = 1 if $status == 1 && $stopped;
        next if $status == 1 && !$sells;

        if ($status == 0) {
            $may->{NOT_FOUND} = 1;
        } elsif ($retry) {
            $asks = 1;
        } elsif ($status != 1) {
            $may->{$status == 2 ? 'PAUSED' : 'ENDED'} = 1;
        } else {
            $may->{NOT_STARTED} = 1 if $c->{t0} < $start + 100;
            $may->{ENDED} = 1 if $c->{t1} >= $stop - 100;
            $may->{SOLD_OUT} = 1 if $zero;
            $asks = 1 if $c->{t1} >= $start - 100 && $c->{t0} < $stop + 100;
        }
    }

    return $asks;
}


# what Redis says of one it has not seen before

sub decide {
    my ($a, $c, $view, $may) = @_;

    my $qty = $c->{v}{quantity} // 1;
    my $limit = $view->{limit};
    my ($least, $most) = held($a, $c->{uid});
    my ($lo, $hi) = bounds($a);

    if ($view->{status} != 1) {
        $may->{'PAUSED final'} = 1;
        return;
    }

    my %in = phases($view, $c);

    $may->{'NOT_STARTED final'} = 1 if $in{early};
    $may->{'ENDED final'} = 1 if $in{over};

    return if !$in{open};

    if ($qty > $limit) {
        $may->{'QUANTITY final'} = 1;
        return;
    }

    $may->{'BUY_LIMIT final'} = 1 if $most + $qty > $limit;

    return if $least + $qty > $limit;

    $may->{'SOLD_OUT final'} = 1 if $qty > $lo;
    $may->{'OK granted'} = 1 if $qty <= $hi;
}


sub seen_answer {
    my ($c) = @_;

    my $told = told($c);
    my $data = $c->{data};

    if ($told eq 'OK') {
        return $data->{replayed} ? "OK replayed $data->{order_no}"
                                 : 'OK granted';
    }

    return $told . ($data && $data->{final} ? ' final' : '');
}


sub seckill_buy {
    my ($m, $c) = @_;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');

    return bought($m, $c, $a);
}


# in a running sale of a product, or else in the next

sub seckill_buy_product {
    my ($m, $c) = @_;

    my $id = $c->{v}{product_id};
    my (%may, $none, @all);

    $none = 1;

    foreach my $a (grep { !$_->{gone} } values %{$m->{activities}}) {
        my @views = grep { $_->{pid} eq $id } views($a->{views}, $c)
            or next;
        my @on = grep { $_->{status} == 1 || $_->{status} == 2 } @views;

        next if !@on;

        push @all, { a => $a, start => min(map { $_->{start} } @on) };
        # it may hide those behind it only when it surely counts
        my $over = grep { {phases($_, $c)}->{over} } @on;
        $none = 0 if @on == views($a->{views}, $c) && !$over;
        $all[-1]{sure} = @on == views($a->{views}, $c) && !$over;
    }

    @all = sort { $a->{start} <=> $b->{start} || $a->{a}{id} <=> $b->{a}{id} }
        @all;

    my $data = $c->{data};
    my $told = told($c);

    return undef if $none && $told eq 'NO_ACTIVITY';

    # which one it was: an order number tells
    my ($of) = $told eq 'OK' ? $data->{order_no} =~ /-(\d+)$/ : ();
    my $wrong = want($c, $none ? 'NO_ACTIVITY' : 'OK')
        // 'an order of another product';
    my @match;

    foreach my $one (@all) {
        if (!defined $of || $of eq $one->{a}{id}) {
            my ($no, $apply) = bought($m, $c, $one->{a});

            $wrong = $no if defined $no;
            push @match, [$one->{a}, $apply] if !defined $no;
        }
        last if $one->{sure};
    }

    return $wrong if !@match;
    return (undef, $match[0][1]) if @match == 1;

    # nobody can tell which of them keeps the refusal
    return (undef, sub { maybe_refused($m, $c, $_->[0]) foreach @match });
}


sub maybe_refused {
    my ($m, $c, $a) = @_;

    my $key = $c->{v}{'idempotency-key'} // return;
    my $kept = \$m->{keys}{"$a->{id}:$c->{uid}:$key"};

    $$kept = [@{$$kept // ['']}, '-'];
}


sub bought {
    my ($m, $c, $a) = @_;

    my $may = answers($m, $a, $c);
    my $got = seen_answer($c);
    my $data = $c->{data};
    my $key = $c->{v}{'idempotency-key'};

    # too late for Redis on a busy machine: certainly not granted
    $may->{BUSY} = $may->{'BUSY final'} = 1 if $c->{n} > 1;

    return "$got, but the model allows " . join ' or ', sort keys %$may
        if !$may->{$got};

    my @prices = map { $_->{price} } grep { $_->{status} == 1 }
        views($a->{views}, $c);

    if (told($c) eq 'OK') {
        my $wrong = field($c, status => 'queued',
            request_id => $key // $data->{order_no},
            poll => "/api/v1/seckill/results/$data->{order_no}");

        $wrong //= 'an order number of another activity'
            if $data->{order_no} !~ /^\d+-\Q$a->{id}\E$/;
        $wrong //= 'an order number that was given before'
            if $got eq 'OK granted'
            && grep { $_->{no} eq $data->{order_no} } @{$m->{orders}};
        return $wrong if $wrong;
    }

    return (undef, sub {
        after_buy($m, $c, $a, $got, $key, \@prices);
    });
}


sub after_buy {
    my ($m, $c, $a, $got, $key, $prices) = @_;

    my $uid = $c->{uid};
    my $of = "$a->{id}:$uid:";

    if ($got eq 'OK granted') {
        my $no = $c->{data}{order_no};
        my $qty = $c->{v}{quantity} // 1;

        $a->{users}{$uid} += $qty;
        $a->{base} -= $qty;
        $a->{quiet} = 0;
        $m->{keys}{$of . ($key // $no)} = [$no];
        push @{$m->{orders}}, {
            no => $no, uid => $uid, aid => $a->{id}, qty => $qty,
            key => $key // $no, prices => $prices, seen => 1,
            at => $c->{t1},
        };
        record($a, $c);
        return;
    }

    return if !defined $key || $got =~ /^(?:OK|DENIED|RELEASED)/;

    if ($got =~ / final$/) {
        # kept for good
        $m->{keys}{$of . $key} = ['-'];

    } elsif ($got =~ /^BUSY/) {
        maybe_refused($m, $c, $a);
    }
}


sub seckill_request {
    my ($m, $c) = @_;

    my ($id, $aid) = @{$c->{v}}{qw(request_id activity_id)};
    my $named = defined $aid;

    # an id that a worker made names its activity
    ($aid) = $id =~ /^[1-9]\d*-([1-9]\d*)$/ if !$named;

    return by_row($m, $c, $id) if !defined $aid;

    my $a = activity($m, $aid) or return want($c, 'NOT_FOUND');
    my $of = "$a->{id}:$c->{uid}:$id";
    my $kept = $m->{keys}{$of} // [''];
    my $quiet = views($a->{views}, $c) == 1;

    # in Redis, or it says what it can
    if (!$a->{warm} || (!$quiet && told($c) =~ /^(?:NOT_FOUND|CLOSED)$/)) {
        return want($c, 'NOT_FOUND', 'CLOSED',
                    $quiet || !$a->{warm} ? () : 'OK');
    }

    my $wrong = want($c, 'OK');
    return $wrong if $wrong;

    my %may = map { $_ eq '' || $_ eq '-' ? ('refused ' => 1)
                    : /^-(.*)/ ? ("given_back $1" => 1)
                    : ("granted $_" => 1) } @$kept;
    my $d = $c->{data};
    my $got = "$d->{outcome} " . ($d->{order_no} // '');

    return "$got, but the model allows " . join ' or ', sort keys %may
        if !$may{$got};

    return (field($c, request_id => $id), sub {
        $m->{keys}{$of} = ['-'] if $got eq 'refused ';
    });
}


sub by_row {
    my ($m, $c, $id) = @_;

    my @all = grep { $_->{uid} eq $c->{uid} && $_->{key} eq $id }
        @{$m->{orders}};

    return want($c, 'BAD_REQUEST') if !@all;

    my $sure = grep { $_->{row} } @all;

    return want($c, 'OK', $sure ? () : 'BAD_REQUEST')
        || told($c) eq 'OK' && field($c, request_id => $id,
                                     order_no => [map { $_->{no} } @all])
        || undef;
}


1;
