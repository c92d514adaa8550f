package Api::Gen;

# Copyright (C) Rush
#
# Random operations over small domains: 3 users, 2 activities (some more by
# chance), 2 products, stock 0 to 3, request ids used again, and now and then
# a value from the edge of something.  Everything follows from the seed.

use warnings;
use strict;

use Api::Client qw(routes);
use Exporter qw(import);

our @EXPORT_OK = qw(sequence);

# JSON values; those in quotes are strings
my @EDGE = ((map { { raw => $_ } }
             qw(0 1 2 3 4 -1 2147483647 2147483648 9007199254740992
                9223372036854775807 9223372036854775808 1.5 1e3 true null
                [] {})),
            '', '1', 'x' x 64, 'x' x 65, 'x', '0', 'a b', undef);
my @IDS = (qw(0 -1 987654321 9223372036854775807 9223372036854775808 x 01 1.5
              2147483648 99999999999999999999), 'x' x 64, 'x' x 65);

my ($rand, @table);


# a generator of its own: the same on every machine

sub seed {
    my ($seed) = @_;
    $rand = ($seed * 2654435761 + 12345) & 0xffffffff || 1;
    rnd(2) foreach 1 .. 8;
}


sub rnd {
    my ($n) = @_;
    $rand ^= $rand << 13 & 0xffffffff;
    $rand ^= $rand >> 17;
    $rand ^= $rand << 5 & 0xffffffff;
    $rand &= 0xffffffff;
    return $rand % $n;
}


sub pick { return $_[rnd(scalar @_)] }

sub chance { return rnd(100) < $_[0] }

sub num { return { raw => "$_[0]" } }

sub user { return (u => rnd(3), s => chance(5) ? 1 : 0) }

sub act { return '@a' . (chance(95) ? rnd(2) : rnd(4)) }

sub prod { return '@p' . (chance(90) ? rnd(2) : rnd(4)) }

sub key { return chance(25) ? () : (key => 'k' . rnd(6)) }


sub op {
    my ($r, %o) = @_;
    return { r => $r, %o };
}


sub admin {
    my ($r, %o) = @_;
    my @who = chance(97) ? (u => 'admin')
        : chance(50) ? (u => rnd(3)) : ();
    return op($r, @who, %o);
}


sub units { return (quantity => num(pick(1, 1, 1, 1, 2, 2, 3))) }

sub retry { return chance(25) ? (retry => num(pick('true', 'false'))) : () }

sub page { return chance(30) ? (page => 1 + rnd(3), page_size => 1 + rnd(4))
                             : () }


# start and end: most sales are on, some begin or end while we look

sub window {
    my @from = chance(80) ? '@t-1000' : pick('@t+600', '@t+3600000');
    my $to = chance(85) ? '@t+7200000' : pick('@t+1500', '@t-500');
    return (start_at => $from[0], end_at => $to);
}


sub create {
    my (%o) = @_;
    return admin('seckill_admin_create', b => {
        product_id => prod(), title => 'sale', price => num(100 + rnd(3)),
        window(), total => num(pick(0, 1, 2, 3, 3)),
        limit_per_user => num(1 + rnd(3)),
        (chance(60) ? (online => num('true')) : ()), %o });
}


# weight and what makes one
sub table {
    my $buy = sub { op('seckill_buy', user(), key(), p => { id => act() },
                       b => { units(), retry() }) };
    my $of = sub { my ($r, @more) = @_;
                   return sub { admin($r, p => { id => act() }, @more) } };
    my $see = sub { my ($r) = @_;
                    return sub { op($r, p => { id => act() }) } };
    my $order = sub { my ($r, $name) = @_;
        return sub { op($r, user(), p => {
            $name // 'id' => '@o' . (chance(70) ? rnd(3) : rnd(20)) }) } };

    return (
        [40, $buy],
        [5, sub { op('seckill_buy_product', user(), key(),
                     b => { product_id => prod(), units(), retry() }) }],
        [7, sub { op('seckill_request', user(),
                     p => { request_id => chance(70) ? 'k' . rnd(6)
                                                     : '@o' . rnd(4) },
                     q => { chance(85) ? (activity_id => act()) : () }) }],
        [5, $order->('seckill_result', 'order_no')],
        [5, $order->('seckill_order_detail')],
        [10, $order->('seckill_order_cancel')],
        [2, sub { op('seckill_order_list', user(), q => { page(),
                     chance(40) ? (status => pick(1, 5, 2)) : () }) }],
        [2, sub { op('seckill_mine', user(), q => { page() }) }],
        [1, sub { admin('seckill_admin_order_list', q => { page(),
                        activity_id => act() }) }],
        [1, sub { admin('seckill_admin_order_detail',
                        p => { id => '@o' . rnd(5) }) }],
        [1, sub { op('seckill_activity_list', q => { page(),
                     state => pick(qw(upcoming running ended)) }) }],
        [3, $see->('seckill_activity_detail')],
        [3, sub { op('seckill_activity_status', p => { id => act() },
                     (chance(60) ? (user(), q => { mine => '1' }) : ())) }],
        [4, $see->('seckill_activity_stock')],
        [1, \&create],
        [1, sub { admin('seckill_init', b => { product_id => prod(),
                        stock => num(1 + rnd(3)),
                        limit_per_user => num(1 + rnd(2)) }) }],
        [3, $of->('seckill_admin_get')],
        [1, sub { admin('seckill_admin_list', q => { page(),
                        chance(50) ? (status => rnd(4)) : () }) }],
        [3, \&update],
        [1, $of->('seckill_admin_delete')],
        [2, $of->('seckill_admin_online')],
        [1, $of->('seckill_admin_offline')],
        [2, $of->('seckill_admin_pause')],
        [2, $of->('seckill_admin_resume')],
        [1, $of->('seckill_admin_warmup')],
        [3, sub { admin('seckill_admin_stock', p => { id => act() },
                        b => { delta => num(pick(-3 .. 3, -1, 1)),
                               reason => 'r' }) }],
        [3, $of->('seckill_admin_availability')],
        [2, sub { admin('seckill_admin_reconcile', p => { id => act() },
                        b => { mode => pick('report', 'report', 'x') }) }],
        products(), accounts(), trade(), decisions(), operators(), told(),
    );
}


sub update {
    my %b;

    $b{price} = num(100 + rnd(5)) if chance(30);
    $b{limit_per_user} = num(1 + rnd(3)) if chance(30);
    $b{title} = pick('sale', 'other sale') if chance(20);
    $b{total} = num(rnd(4)) if chance(15);
    $b{product_id} = prod() if chance(15);
    %b = (%b, window()) if chance(15);
    $b{end_at} = pick('@t+7200000', '@t+1000') if chance(15);

    return admin('seckill_admin_update', p => { id => act() }, b => \%b);
}


sub channel {
    return chance(60) ? 'sandbox' : pick(qw(wechat_native alipay_precreate
        wechat_native alipay_precreate wechat_h5));
}


# ordinary orders, and money for all of them

sub trade {
    my $order = sub { chance(85) ? '@k' . rnd(4) : '@o' . rnd(20) };
    my $pay = sub { chance(85) ? '@m' . rnd(3) : '@y' . rnd(10) };
    my $amount = sub { chance(50) ? ()
                       : (amount => num(pick(1, 50, 100, 150, 200, 900))) };

    return (
        [10, sub { op('seckill_order_place', user(), key(), b => {
                   product_id => '@g' . (chance(90) ? 0 : rnd(3)),
                   (chance(60) ? (quantity => num(1 + rnd(2))) : ()),
                   (chance(20) ? (remark => 'ring') : ()) }) }],
        [14, sub { op('seckill_order_pay', user(), key(),
                      p => { id => $order->() },
                      b => { channel => channel() }) }],
        [3, sub { op('seckill_payment_create', user(), key(), b => {
                  order_id => $order->(), channel => channel() }) }],
        [14, sub { op('seckill_sandbox_pay', user(), p => { id => $pay->() },
                      chance(50) ? () : (b => { fault =>
                      pick(qw(none lost twice wrong_amount x)) })) }],
        [5, sub { op('seckill_payment_status', user(),
                     p => { id => $pay->() },
                     chance(30) ? (q => { sync => '1' }) : ()) }],
        [3, sub { op('seckill_payment_close', user(),
                     p => { id => $pay->() }) }],
        [7, sub { op('seckill_payment_refund', user(), key(),
                     p => { id => $pay->() },
                     b => { reason => 'worn', $amount->() }) }],
        [2, sub { op('seckill_payment_refunds', user(),
                     p => { id => $pay->() }) }],
        [4, sub { my $n = rnd(3);
                  op('seckill_refund_detail', user(), p => {
                     id => '@j' . $n,
                     refund_id => chance(90) ? '@i' . $n : '@r' . rnd(5) })
                }],
        [3, sub { op('seckill_order_confirm', user(),
                     p => { id => $order->() }) }],
        [2, sub { op('seckill_order_hide', user(),
                     p => { id => $order->() }) }],
        [3, sub { op('seckill_order_events', user(),
                     p => { id => $order->() }) }],
    );
}


sub decisions {
    my $refund = sub { '@r' . (chance(80) ? rnd(2) : rnd(10)) };
    my $see = sub { my ($r) = @_; return [1, sub { admin($r) }] };

    return (
        [6, sub { admin('seckill_refund_approve',
                        p => { id => $refund->() }) }],
        [2, sub { admin('seckill_refund_reject', p => { id => $refund->() },
                        b => { reason => 'no' }) }],
        [1, sub { admin('seckill_refund_retry',
                        p => { id => $refund->() }) }],
        [2, sub { admin('seckill_admin_payment_refund',
                        p => { id => '@y' . rnd(3) }, b => { reason => 'x',
                        (chance(50) ? (amount => num(1 + rnd(300))) : ())
                        }) }],
        [4, sub { admin('seckill_admin_order_ship',
                        p => { id => '@o' . rnd(5) }, b => {
                        carrier => 'SF', number => pick('SF1', 'SF2') }) }],
        [2, sub { admin('seckill_admin_order_redeem', b => {
                        trade_code => '@c' . rnd(3) }) }],
        $see->('seckill_admin_payments'), $see->('seckill_admin_refunds'),
        $see->('seckill_settlements'),
        [1, sub { admin('seckill_payment_notices',
                        p => { id => '@y' . rnd(3) }) }],
        [1, sub { admin('seckill_report', p => { id => act() }) }],
    );
}


# the red switch, streams, dead letters, bills

sub operators {
    my $bill = sub { return (
        day => chance(85) ? '@d' . rnd(2) : num(pick(20990101, 20200230)),
        provider => chance(90) ? pick(qw(sandbox wechat alipay))
                               : pick(qw(wallet x))) };
    my $letter = sub { my ($r, @more) = @_;
        return sub { admin($r, p => { id => '@l' . rnd(3) }, @more) } };

    return (
        [1, sub { admin('seckill_stop_selling', b => {
                  reason => 'r' . rnd(3) }) }],
        [1, sub { admin('seckill_resume_selling', chance(50) ? ()
                        : (b => { reason => 'so' })) }],
        [3, sub { admin('seckill_streams', q => {
                  (chance(75) ? (last_id => '@z0') : ()),
                  (chance(70) ? (page_size => 1 + rnd(50)) : ()) }) }],
        [4, sub { admin('seckill_dead_letters', q => { last_id => '@b0',
                  (chance(70) ? (state => pick(qw(open open replayed
                   discarded replaying x))) : ()),
                  (chance(20) ? (page_size => 1 + rnd(3)) : ()) }) }],
        [3, $letter->('seckill_dead_replay')],
        [2, $letter->('seckill_dead_discard', b => { reason => 'old' })],
        [4, sub { admin('seckill_bill_ask', b => { $bill->() }) }],
        [4, sub { admin('seckill_bill', q => { $bill->() }) }],
    );
}


# what providers say

sub notice {
    my ($of, $by, @how) = @_;

    my $r = $by eq 'alipay' ? 'seckill_callback_alipay'
        : pick(qw(seckill_callback_wechat seckill_callback_wechat
                  seckill_callback_wechat_refund seckill_wechat_notify));

    return op($r, n => { of => $of, how => pick(@how) });
}


sub told {
    return [10, sub { notice('@y' . rnd(3), pick(qw(wechat alipay)),
        qw(paid paid paid same amount nobody event forged key unsigned old
           owner)) }];
}


sub products {
    return (
        [1, sub { admin('seckill_product_create', b => {
                        title => '@w0', price => num(rnd(1000)),
                        stock => num(rnd(4)) }) }],
        [2, sub { admin('seckill_product_update', p => { id => prod() },
                        b => { price => num(rnd(1000)),
                               (chance(40) ? (version => '@v' . rnd(2)) : ()),
                               (chance(20) ? (status => num(rnd(2))) : ()) })
                }],
        [1, sub { admin('seckill_product_delete', p => { id => prod() }) }],
        [2, sub { admin('seckill_product_adjust', p => { id => prod() },
                        b => { reason => 'r', (chance(40)
                               ? (stock => num(rnd(4)))
                               : (delta => num(pick(-4 .. 4, 100000000,
                                                    -100000000)))) }) }],
        [2, sub { op('seckill_product_detail', p => { id => prod() }) }],
        [2, sub { op('seckill_product_stock', p => { id => prod() }) }],
        [1, sub { op('seckill_product_list',
                     q => { page(), keyword => '@w0' }) }],
    );
}


sub accounts {
    my $password = sub { '@w' . (chance(70) ? 0 : rnd(3)) };
    my $weak = sub { chance(8) ? pick('short', 'password1', 'aaaaaaaaa')
                               : $password->() };

    return (
        [2, sub { my $n = '@n' . rnd(3);
                  op('user_register', b => { username => $n,
                     password => $weak->() }) }],
        [2, sub { my $n = '@n' . rnd(3);
                  op('user_login', b => { pick('username', 'account') => $n,
                     password => $password->() }) }],
        [1, sub { op('user_logout', user(),
                     (chance(30) ? (b => { all => num('true') }) : ())) }],
        [2, sub { op('user_refresh', b => {
                     refresh_token => '@f' . (rnd(3) + 10 * rnd(2)) }) }],
        [1, sub { op('user_password', user(), b => {
                     old_password => $password->(),
                     new_password => $weak->() }) }],
        [2, sub { op('user_profile', user()) }],
        [1, sub { op('user_change', user(), b => { sex => num(rnd(3)),
                     (chance(50) ? (info => pick('', 'text')) : ()) }) }],
    );
}


# one value of it from the edge, or left out

sub spoil {
    my ($op) = @_;

    my $param = routes()->{$op->{r}}{param};
    my @all = map { my $place = $_; map { [$place, $_] }
                    sort keys %{$param->{$place} || {}} } qw(p q b h);

    return if !@all;

    my ($place, $name) = @{$all[rnd(scalar @all)]};

    if ($place eq 'h') {
        $op->{key} = pick(grep { !ref && defined && length } @EDGE);
    } elsif ($place eq 'p') {
        $op->{p}{$name} = pick(@IDS);
    } elsif ($name =~ /_id$/) {
        # small numbers may be of somebody else
        $op->{$place}{$name} = pick(@IDS, undef);
    } else {
        my $v = pick(@EDGE);
        $v = $v->{raw} if ref $v && $place eq 'q';
        $op->{$place}{$name} = $v;
    }
}


# whoever begins something mostly goes on with it

sub follow {
    my ($op, %who) = @_;

    %who = (%who, map { $_ => $op->{$_} } grep { defined $op->{$_} } qw(u s));
    my $r = $op->{r};

    if ($r =~ /^seckill_(?:order_place|buy)$/ && chance(35)) {
        my $next = op('seckill_order_pay', %who, p => { id => '@k0' },
                      b => { channel => 'sandbox' });
        return (chance(40) ? { r => 'settle' } : (), $next, follow($next));
    }

    if ($r eq 'seckill_order_pay' && chance(70)) {
        my ($by) = ($op->{b}{channel} // '') =~ /^(wechat_n|alipay)/;
        my $next = $by ? notice('@y0', $by =~ s/_n//r,
                                qw(paid paid paid amount forged))
            : op('seckill_sandbox_pay', %who, p => { id => '@m0' });
        return ($next, follow($next, %who));
    }

    return stopped() if $r eq 'seckill_stop_selling';

    if ($r eq 'seckill_bill_ask' && chance(60)) {
        return ({ r => 'settle' }, admin('seckill_bill', q => $op->{b}));
    }

    if ($r =~ /^seckill_(?:sandbox_pay|callback|wechat_notify)/
        && defined $who{u} && chance(60))
    {
        my $next = op('seckill_payment_refund', %who, p => { id => '@m0' },
            b => { reason => 'worn', chance(60) ? (amount => num(50)) : () });
        return ({ r => 'settle' }, op('seckill_order_detail', %who,
                                      p => { id => '@k0' }),
                chance(60) ? ($next, follow($next)) : ());
    }

    if ($r eq 'seckill_payment_refund' && chance(50)) {
        return (op('seckill_refund_detail', %who, p => {
                   id => '@j0', refund_id => '@i0' }),
                admin('seckill_refund_' . pick(qw(approve approve reject)),
                      p => { id => '@r0' }, b => { reason => 'so' }));
    }

    return;
}


# nobody can buy now; mostly it is mended soon

sub stopped {
    my @all = map { op('seckill_buy', user(), key(), p => { id => act() },
                       b => { units(), retry() }) } 0 .. rnd(2);

    push @all, op('seckill_order_place', user(), key(), b => {
        product_id => '@g0' }) if chance(60);
    push @all, { r => 'settle' } if chance(30);
    push @all, admin('seckill_resume_selling') if chance(85);
    push @all, { r => 'settle' } if chance(50);

    return @all;
}


# the beginning: accounts, products, two sales; then whatever comes

sub sequence {
    my (%o) = @_;

    seed($o{seed});
    @table = table() if !@table;

    my $sum = 0;
    $sum += $_->[0] foreach @table;

    my @ops = map { op('user_register', b => { username => "\@n$_",
                       password => '@w0' }) } grep { chance(60) } 0 .. 2;

    push @ops, map { op('seckill_product_create', u => 'admin', b => {
        title => '@w0', price => num(200), stock => num(rnd(4)) }) } 0, 1;
    # one after the other, or the sales would have no products
    push @ops, { r => 'settle' };
    push @ops, map { { %{create(product_id => "\@p$_",
        ($_ == 0 || chance(70) ? (start_at => '@t-1000',
            end_at => '@t+7200000', online => num('true')) : ()))},
        u => 'admin' } } 0, 1;
    push @ops, { r => 'settle' };

    while (@ops < $o{length}) {
        my $n = rnd($sum);
        my ($row) = grep { ($n -= $_->[0]) < 0 } @table;
        my $op = $row->[1]->();

        spoil($op) if chance(8);
        push @ops, $op, follow($op);

        # what changes a sale is mostly waited for
        push @ops, { r => 'settle' }
            if chance($op->{r} =~ /admin_(?:up|on|off|pa|re|st|cr)/ ? 60
                      : $op->{r} =~ /cancel|sandbox|approve|_refund$/ ? 10
                      : 0.5);
    }

    return @ops;
}


1;
