package Api::Catalog;

# Copyright (C) Rush
#
# The model of products and of what administrators do with activities.  Each
# function is named after the operation it judges and returns (what is wrong,
# what follows).  Of an activity:
#
#   views  what it has been, [{ at, status 0..3, start, stop, limit, price,
#          pid, title }]: old ones count until all have heard
#   base   units left, total units; pend: changes under way, { delta, op } of
#          an adjustment, { qty, uid, order } of a return
#   users  uid => units held; hist: what "left" may have been, by time
#   quiet  nothing is under way: all sums are exact

use warnings;
use strict;

use Api::Client qw(now);
use List::Util qw(max min sum0);

BEGIN { *want = \&Api::Model::want; *field = \&Api::Model::field;
        *told = \&Api::Model::told }

our $EDGE = 100;        # ms around a start or an end

my @STATUS = qw(draft online paused offline);


# of a list of { at, ... }: what somebody may still see during the call

sub views {
    my ($list, $c, $window) = @_;

    my $since = $c->{t0} - ($window // $Api::Model::LAG);
    my $first = 0;

    foreach my $i (1 .. $#$list) {
        $first = $i if $list->[$i]{at} <= $since;
    }

    return @$list[$first .. $#$list];
}


# --- products ---

sub product {
    my ($m, $id) = @_;
    my $p = $m->{products}{$id} or return;
    return $p->{gone} ? undef : $p;
}


sub keep_product {
    my ($p, $c) = @_;
    push @{$p->{hist}}, { at => $c->{t1}, gone => $p->{gone},
        map { $_ => $p->{$_} } qw(title price stock status version) };
}


sub seckill_product_create {
    my ($m, $c) = @_;

    my $v = $c->{v};
    my %new = (title => $v->{title}, price => $v->{price}, version => 1,
               stock => $v->{stock} // 0, status => $v->{status} // 1);
    my $wrong = want($c, 'OK') || field($c, %new);

    return ($wrong, sub {
        my $p = $m->{products}{$c->{data}{id}} = { id => $c->{data}{id},
                                                   %new };
        push @{$m->{product_ids}}, $p->{id};
        keep_product($p, $c);
    });
}


sub seckill_product_update {
    my ($m, $c) = @_;

    my $v = $c->{v};
    my $p = product($m, $v->{id}) or return want($c, 'NOT_FOUND');

    return want($c, 'CONFLICT')
        if defined $v->{version} && $v->{version} != $p->{version};

    my %new = (version => $p->{version} + 1,
               map { $_ => $v->{$_} // $p->{$_} } qw(title price status));
    my $wrong = want($c, 'OK', $c->{n} > 1 ? 'NOT_FOUND' : ())
        || $c->{n} == 1 && field($c, %new, stock => $p->{stock});

    return ($wrong || undef, sub {
        %$p = (%$p, %new);
        keep_product($p, $c);
    });
}


sub seckill_product_delete {
    my ($m, $c) = @_;

    my $p = product($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my ($used, $edge);

    foreach my $a (values %{$m->{activities}}) {
        my $now = $a->{views}[-1];
        next if $now->{pid} ne $p->{id} || $now->{status} !~ /^[12]$/;
        $used = 1 if $now->{stop} > $c->{t0} - $EDGE;
        $edge = 1 if $now->{stop} <= $c->{t1} + $EDGE;
    }

    my $wrong = want($c, $used ? 'PRODUCT_IN_USE' : (),
                     !$used || $edge ? 'OK' : ());

    return ($wrong, sub {
        return if told($c) ne 'OK';
        $p->{gone} = 1;
        keep_product($p, $c);
    });
}


sub seckill_product_adjust {
    my ($m, $c) = @_;

    my $v = $c->{v};

    return want($c, 'BAD_REQUEST')
        if defined $v->{stock} == defined $v->{delta};

    my $p = product($m, $v->{id}) or return want($c, 'NOT_FOUND');
    my $stock = $v->{stock} // $p->{stock} + $v->{delta};

    return want($c, 'PRODUCT_STOCK') if $stock < 0 || $stock > 2147483647;

    my $wrong = want($c, 'OK', $c->{n} > 1 ? 'NOT_FOUND' : ())
        || $c->{n} == 1 && field($c, stock => $stock);

    return ($wrong || undef, sub {
        $p->{stock} = $stock;
        $p->{version}++;
        keep_product($p, $c);
    });
}


sub read_product {
    my ($m, $c, @names) = @_;

    my $p = $m->{products}{$c->{v}{id}} or return want($c, 'NOT_FOUND');
    my $wrong;

    # one of the views, as a whole; the newest last, for the message
    foreach my $view (views($p->{hist}, $c, $Api::Model::FRESH)) {
        $wrong = $view->{gone} ? want($c, 'NOT_FOUND')
            : want($c, 'OK')
              || field($c, map { $_ => $view->{$_} } @names);
        return undef if !$wrong;
    }

    return $wrong;
}


sub seckill_product_detail {
    return read_product(@_, qw(title price stock status version));
}


sub seckill_product_stock { return read_product(@_, 'stock') }


sub seckill_product_list {
    my ($m, $c) = @_;

    my $v = $c->{v};

    return want($c, 'BAD_REQUEST')
        if ($v->{sort} // 'new') !~ /^(?:new|price_asc|price_desc)$/;

    my $wrong = want($c, 'OK');
    my $word = $v->{keyword} // '';

    # other lists are cached and full of strangers
    return $wrong if $wrong || $c->{n} > 1 || length($v->{category} // '')
        || index($word, $m->{prefix}) != 0;

    my @all = grep { !$_->{gone} && $_->{status} == 1
                     && $_->{title} =~ /\Q$word\E/i }
        values %{$m->{products}};

    return paged($c, scalar @all, scalar @all);
}


# the total, and the length of the page

sub paged {
    my ($c, $least, $most) = @_;

    my $size = $c->{v}{page_size} // 20;
    my $page = $c->{v}{page} // 1;
    my $wrong = field($c, total => { least => $least, most => $most },
                      page => $page, page_size => $size);
    return $wrong if $wrong || $least != $most;

    my $rows = max(0, min($size, $least - ($page - 1) * $size));
    my $have = @{$c->{data}{list}};

    return $have == $rows ? undef : "$have rows, the model has $rows";
}


# --- activities ---

sub activity {
    my ($m, $id) = @_;
    my $a = $m->{activities}{$id // 0} or return;
    return $a->{gone} ? undef : $a;
}


# (least, most) units left, and of the total

sub bounds {
    my ($a) = @_;

    my @delta = map { $_->{delta} // 0 } @{$a->{pend}};
    my $back = sum0(map { $_->{qty} // 0 } @{$a->{pend}});
    my $up = sum0(grep { $_ > 0 } @delta);
    my $down = sum0(grep { $_ < 0 } @delta);

    return ($a->{base} + $down, $a->{base} + $up + $back,
            $a->{total} + $down, $a->{total} + $up);
}


# after each change: remembers what may be seen, and what an adjustment that
# is under way may have found

sub record {
    my ($a, $c) = @_;

    my %h;
    @h{qw(lo hi tlo thi)} = bounds($a);

    push @{$a->{hist}}, { at => $c->{t1}, %h };

    foreach my $e (grep { $_->{delta} } @{$a->{pend}}) {
        my $least = $h{lo} - min(0, $e->{delta});
        my $most = $h{hi} - max(0, $e->{delta});
        $e->{least} = min($least, $e->{least} // $least);
        $e->{most} = max($most, $e->{most} // $most);
    }
}


sub add_activity {
    my ($m, $c, %view) = @_;

    my $total = delete $view{total};
    my $id = $c->{data}{id};
    my $a = $m->{activities}{$id} = {
        id => $id, base => $total, total => $total, pend => [],
        users => {}, returned => 0, warm => $view{status} == 1, hist => [],
        # before it was there, nobody knew it
        views => [{ %view, at => 0, status => 0 }, { %view, at => $c->{t1} }],
    };

    push @{$m->{activity_ids}}, $id;
    record($a, $c);
}


sub seckill_admin_create {
    my ($m, $c) = @_;

    my $v = $c->{v};

    return want($c, 'BAD_REQUEST')
        if $v->{end_at} <= $v->{start_at} || $v->{end_at} <= $c->{t0};
    return want($c, 'NOT_FOUND') if !product($m, $v->{product_id});

    my $near = $v->{end_at} <= $c->{t1} + $EDGE;
    my $wrong = want($c, 'OK', $near ? 'BAD_REQUEST' : ())
        || told($c) eq 'OK' && field($c,
            product_id => $v->{product_id}, title => $v->{title},
            price => $v->{price}, start_ms => $v->{start_at},
            end_ms => $v->{end_at}, total => $v->{total}, sold => 0,
            limit_per_user => $v->{limit_per_user} // 1,
            pay_seconds => $v->{pay_seconds} // 1800,
            status => $v->{online} ? 'online' : 'draft');

    return ($wrong || undef, sub {
        return if told($c) ne 'OK';
        add_activity($m, $c, status => $v->{online} ? 1 : 0,
            start => $v->{start_at}, stop => $v->{end_at},
            limit => $v->{limit_per_user} // 1, price => $v->{price},
            pid => $v->{product_id}, title => $v->{title},
            total => $v->{total});
    });
}


sub seckill_init {
    my ($m, $c) = @_;

    my $v = $c->{v};
    my $p = product($m, $v->{product_id}) or return want($c, 'NOT_FOUND');
    my $limit = $v->{limit_per_user} // 1;

    my $wrong = want($c, 'OK')
        || field($c, product_id => $v->{product_id}, total => $v->{stock},
                 limit_per_user => $limit, status => 'online',
                 ($c->{n} == 1 ? (price => $v->{price} // $p->{price},
                                  title => $p->{title}) : ()));

    return ($wrong, sub {
        my $d = $c->{data};
        add_activity($m, $c, status => 1, start => $d->{start_ms},
            stop => $d->{end_ms}, limit => $limit, price => $d->{price},
            pid => $p->{id}, title => $d->{title}, total => $v->{stock});
    });
}


# what an update would make of it

sub updated {
    my ($now, $c) = @_;

    my $v = $c->{v};
    my %new = (%$now, at => $c->{t1});
    my %name = (price => 'price', title => 'title', start_at => 'start',
                end_at => 'stop', limit_per_user => 'limit',
                product_id => 'pid');

    foreach (keys %name) {
        $new{$name{$_}} = $v->{$_} if defined $v->{$_};
    }

    return \%new;
}


sub seckill_admin_update {
    my ($m, $c) = @_;

    my $v = $c->{v};
    my $a = activity($m, $v->{id}) or return want($c, 'NOT_FOUND');
    my $now = $a->{views}[-1];
    my $new = updated($now, $c);
    my @may;

    # Redis counts down from the total once it has it
    return want($c, 'ACTIVITY_STATE')
        if $now->{status} == 3 || (defined $v->{total} && $a->{warm});

    if ($now->{status}) {
        # buyers rely on these by now
        return want($c, 'ACTIVITY_STATE')
            if defined $v->{product_id} || defined $v->{total}
            || (defined $v->{start_at} && $now->{start} <= $c->{t0});
        push @may, 'ACTIVITY_STATE'
            if defined $v->{start_at} && $now->{start} <= $c->{t1} + $EDGE;
    }

    return want($c, 'BAD_REQUEST', @may) if $new->{stop} <= $new->{start};
    return want($c, 'NOT_FOUND')
        if defined $v->{product_id} && !product($m, $v->{product_id});

    my $wrong = want($c, 'OK', @may, $c->{n} > 1 ? 'CONFLICT' : ())
        || $c->{n} == 1 && told($c) eq 'OK'
           && field($c, shown($a, $new, $v->{total}));

    return ($wrong || undef, sub {
        return if told($c) ne 'OK';
        $a->{base} = $a->{total} = $v->{total} if defined $v->{total};
        $a->{quiet} = 0;
        push @{$a->{views}}, $new;
        record($a, $c);
    });
}


# what an administrator is shown

sub shown {
    my ($a, $now, $total) = @_;

    my (undef, undef, $tlo, $thi) = bounds($a);
    my $held = sum0(values %{$a->{users}});

    $tlo = $thi = $total if defined $total;

    return (product_id => $now->{pid}, title => $now->{title},
            price => $now->{price}, start_ms => $now->{start},
            end_ms => $now->{stop}, limit_per_user => $now->{limit},
            status => $STATUS[$now->{status}],
            total => { least => $tlo, most => $thi },
            sold => { least => $a->{quiet} ? $held : 0, most => $held });
}


sub seckill_admin_get {
    my ($m, $c) = @_;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');

    return want($c, 'OK') || field($c, shown($a, $a->{views}[-1]));
}


sub seckill_admin_list {
    my ($m, $c) = @_;

    my $status = $c->{v}{status};
    my $least = grep { !$_->{gone} && (!defined $status
                       || $_->{views}[-1]{status} == $status) }
        values %{$m->{activities}};

    return want($c, 'OK') || $c->{n} == 1
        && field($c, total => { least => $least, most => 1e9 }) || undef;
}


sub seckill_admin_delete {
    my ($m, $c) = @_;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');

    return want($c, 'ACTIVITY_STATE')
        if $a->{views}[-1]{status} || $a->{warm};

    return (want($c, 'OK'), sub { $a->{gone} = 1 });
}


# to a status from others; or it is that already

sub switch {
    my ($m, $c, $to, @from) = @_;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my $now = $a->{views}[-1];
    my @allowed;

    if ($now->{status} == $to) {
        # one that does nothing reads the row after others have changed it
        @allowed = ('OK', $c->{n} > 1 ? 'ACTIVITY_STATE' : ());

    } elsif (!grep { $_ == $now->{status} } @from) {
        @allowed = 'ACTIVITY_STATE';

    } elsif ($to == 3) {
        @allowed = 'OK';

    } else {
        my $there = product($m, $now->{pid});
        push @allowed, 'OK' if $there && $now->{stop} > $c->{t0} - $EDGE;
        push @allowed, 'ACTIVITY_STATE'
            if !$there || $now->{stop} <= $c->{t1} + $EDGE;
    }

    my %new = (%$now, at => $c->{t1}, status => $to);
    my $wrong = want($c, @allowed)
        || told($c) eq 'OK' && $c->{n} == 1 && field($c, shown($a, \%new));

    return ($wrong || undef, sub {
        return if told($c) ne 'OK' || $now->{status} == $to;
        push @{$a->{views}}, \%new;
        $a->{warm} = 1 if $to == 1;
        $a->{quiet} = 0;
    });
}


sub seckill_admin_online  { return switch(@_, 1, 0, 3) }
sub seckill_admin_offline { return switch(@_, 3, 1, 2) }
sub seckill_admin_pause   { return switch(@_, 2, 1) }
sub seckill_admin_resume  { return switch(@_, 1, 2) }


sub seckill_admin_warmup {
    my ($m, $c) = @_;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my $now = $a->{views}[-1];

    return want($c, 'OK') if $a->{warm};
    return want($c, 'ACTIVITY_STATE')
        if $now->{status} == 3 || $now->{stop} <= $c->{t0};

    my $near = $now->{stop} <= $c->{t1} + $EDGE;

    return (want($c, 'OK', $near ? 'ACTIVITY_STATE' : ()), sub {
        $a->{warm} = 1 if told($c) eq 'OK';
    });
}


sub seckill_admin_stock {
    my ($m, $c) = @_;

    my $delta = $c->{v}{delta};

    return want($c, 'BAD_REQUEST') if $delta == 0;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');

    return want($c, 'ACTIVITY_STATE') if $a->{views}[-1]{status} == 0;

    my $wrong = want($c, 'OK')
        || field($c, activity_id => $a->{id}, delta => $delta);

    return ($wrong, sub {
        push @{$a->{pend}}, { delta => $delta, op => $c->{data}{op_id} };
        $a->{quiet} = 0;
        record($a, $c);
    });
}


sub seckill_admin_availability {
    my ($m, $c) = @_;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my ($lo, $hi, $tlo, $thi) = bounds($a);
    my $held = sum0(values %{$a->{users}});
    my $wrong = want($c, 'OK')
        || field($c, total => { least => $tlo, most => $thi });

    return $wrong if $wrong || $c->{n} > 1;

    my $loaded = views($a->{views}, $c) == 1 && $a->{warm} && $a->{quiet};

    return field($c,
        free => { least => $loaded ? $lo : -1, most => $hi },
        sold => { least => $a->{quiet} ? $held : 0, most => $held },
        ($a->{quiet} ? (queued => 0, held_and_paid($m, $a),
                        returning => 0, returned => $a->{returned}) : ()));
}


# units of orders that wait for their money, and of those that have it

sub held_and_paid {
    my ($m, $a) = @_;

    my %n = map { $_ => { least => 0, most => 0 } } qw(held paid);

    foreach my $o (grep { $_->{aid} eq $a->{id} && !$_->{returned} }
                   @{$m->{orders}})
    {
        my $waits = Api::Trade::may($m, $o, 1);
        my $sure = Api::Trade::surely($m, $o, 1);

        $n{held}{most} += $o->{qty} if $waits;
        $n{held}{least} += $o->{qty} if $sure;
        $n{paid}{most} += $o->{qty} if !$sure;
        $n{paid}{least} += $o->{qty} if !$waits;
    }

    return %n;
}


sub seckill_admin_reconcile {
    my ($m, $c) = @_;

    my $mode = $c->{v}{mode} // 'report';

    return want($c, 'BAD_REQUEST') if $mode !~ /^(?:report|repair)$/;

    my $a = activity($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my $wrong = want($c, 'OK');
    my $held = sum0(values %{$a->{users}});

    return $wrong if $wrong || !$a->{quiet} || $c->{n} > 1;
    return "differences: @{$c->{data}{differences}}"
        if @{$c->{data}{differences}};
    return field($c, total => $a->{total}, sold => $held, live => $held);
}


1;
