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
        products(), accounts(),
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
        push @ops, $op;

        # what changes a sale is mostly waited for
        push @ops, { r => 'settle' }
            if chance($op->{r} =~ /admin_(?:up|on|off|pa|re|st|cr)/ ? 60
                      : $op->{r} =~ /cancel/ ? 10 : 0.5);
    }

    return @ops;
}


1;
