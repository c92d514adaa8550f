package RushTest::Buyer;

# Copyright (C) Rush
#
# Payments as buyers ask for them while no consumer runs: the test changes the
# rows that it would change.
#
#   RushTest::Buyer::begin($t, $first)    before all others; users from there on
#   user() data($r) told($r) now()        as of RushTest::Orders
#   order(%row) payment(%row)             as of RushTest::Pay
#   row($id) payments_of($no)             rows of payments
#   create($no, $user, $channel, %more)   answers of these routes
#   status($id, $user, $args)
#   close_it($id, $user)
#   later(sub { answer })                 as of RushTest::Pay
#   serve($no, %set)    waits for a payment of this order that is asked for and
#                       changes it, as the teller does; the row before that
#   change($id, %set)   a payment
#   hints()             for the teller: "kind id" of each

use warnings;
use strict;

use Exporter qw(import);
use RushTest::Orders qw(user data told now);
use RushTest::Pay;

our @EXPORT = qw(user data told now order payment row payments_of create
                 status close_it later serve change hints);

my $t;


sub begin {
    ($t, my $first) = @_;
    RushTest::Orders::begin($t, $first);
}


sub order { return RushTest::Pay::order($t, @_) }

sub payment { return RushTest::Pay::payment($t, @_) }

sub row { return RushTest::Pay::row($t, 'payment', $_[0]) }

sub later { return RushTest::Pay::later($t, @_) }


sub payments_of {
    return $t->sql('SELECT * FROM payment WHERE order_no = ? ORDER BY id',
                   $_[0]);
}


sub create {
    my ($no, $user, $channel, %more) = @_;
    return $t->post('/api/v1/payment/create', { order_id => $no,
        channel => $channel // 'wechat_native', %more }, user => $user);
}


sub status {
    my ($id, $user, $args) = @_;
    return $t->get("/api/v1/payment/$id/status" . ($args // ''),
                   user => $user);
}


sub close_it {
    return $t->post("/api/v1/payment/$_[0]/close", {}, user => $_[1]);
}


sub serve {
    my ($no, %set) = @_;

    my $p;

    $t->wait_for(sub {
        ($p) = grep { $_->{state} == 0 } payments_of($no);
        return $p;
    }, 5, 'a payment that is asked for') or return;

    change($p->{id}, %set);
    return $p;
}


sub change {
    my ($id, %set) = @_;

    my @names = sort keys %set;

    $t->do('UPDATE payment SET ' . join(', ', map { "$_ = ?" } @names)
           . ', version = version + 1 WHERE id = ?', @set{@names}, $id);
}


sub hints {
    return map { my %f = @{$_->[1]}; "$f{k} $f{i}" }
        @{$t->redis()->xrange('{rush}tell', '-', '+') || []};
}


1;
