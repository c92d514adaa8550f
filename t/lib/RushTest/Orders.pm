package RushTest::Orders;

# Copyright (C) Rush
#
# Ordinary orders in tests.
#
#   RushTest::Orders::begin($t, $first)   before all others; ids from there on
#   now() user()          ms; a new user id
#   data($r) told($r)     of an answer: its data; "200 0", status and code
#   address($user, %row)  an id
#   place($product, $user, data => {}, ...)  the answer of POST /orders
#   ordered(the same)     two checks: it was placed, and has a row; its number
#   row($no) written($no) the row, awaited
#   units($product)       "stock taken"
#   pay($no)              what a payment does; the trade code
#   detail act ship redeem status   answers of these routes

use warnings;
use strict;

use Exporter qw(import);
use RushTest;
use Test::More;

our @EXPORT = qw(now user data told address place ordered row written units
                 pay trade_code detail act ship redeem status $PATH $ADMIN);

our $PATH = '/api/v1/orders';
our $ADMIN = '/api/v1/admin/orders';

my ($t, $serial);
my $code = 0;


sub begin { ($t, $serial) = @_ }

sub now { return RushTest::Data::now_ms() }

sub user { return ++$serial }

sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }


sub address {
    my ($user, %o) = @_;
    return $t->insert('address', id => ++$serial, user_id => $user,
                      slot => $serial % 20, place => 1, receiver => 'Li',
                      mobile => '13812345678', province => 'Gansu',
                      city => 'Lanzhou', detail => 'Road 1',
                      created_ms => 1, updated_ms => 1, %o);
}


sub place {
    my ($product, $user, %o) = @_;
    my $data = delete $o{data};
    return $t->post($PATH, { product_id => "$product", %{$data || {}} },
                    user => $user, %o);
}


sub row {
    return ($t->sql('SELECT * FROM orders WHERE order_no = ?', $_[0]))[0];
}


sub written {
    my ($no) = @_;
    return $t->wait_for(sub { row($no) }, 10, "the row of $no");
}


sub ordered {
    my ($product, $user, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $r = place($product, $user, %o);
    is(told($r), '200 0', 'ordered') or diag($r->{body});
    my $no = data($r)->{order_no};
    ok(written($no), 'written');
    return $no;
}


sub units {
    my ($row) = $t->sql('SELECT stock, taken FROM product WHERE id = ?',
                        $_[0]);
    return "$row->{stock} $row->{taken}";
}


sub trade_code {
    my $n = ++$code;
    my @a = split //, '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
    return join '', map { $a[($n >> 5 * $_) & 31] } 0 .. 7;
}


# what a payment does; its trade code

sub pay {
    my ($no) = @_;
    my $trade = trade_code();
    $t->do("UPDATE orders SET status = 2, stock_state = 4, paid_ms = ?, "
           . "pay_type = 'sandbox', trade_code = ?, version = version + 1, "
           . "actor_kind = 4, actor = 0, reason = '' WHERE order_no = ?",
           now(), $trade, $no);
    return $trade;
}


sub detail { return $t->get("$PATH/$_[0]", user => $_[1]) }

sub act {
    my ($no, $what, $user) = @_;
    return $t->post("$PATH/$no/$what", {}, user => $user);
}

sub ship {
    my ($no, %o) = @_;
    return $t->post("$ADMIN/$no/ship", { carrier => 'SF', number => 'SF-1',
                                         %o }, admin => 1);
}

sub redeem {
    return $t->post("$ADMIN/redeem", { trade_code => $_[0] }, admin => 1);
}

sub status {
    my ($no, $status, $version, %o) = @_;
    return $t->put("$ADMIN/$no/status", { status => $status, reason => 'why',
        version => $version // row($no)->{version}, %o }, admin => 1);
}


1;
