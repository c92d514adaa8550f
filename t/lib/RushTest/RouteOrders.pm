package RushTest::RouteOrders;

# Copyright (C) Rush
#
# Orders among the samples of RushTest::Routes: a request for each of their
# routes, and orders in the states that these need.
#
#   $all->order($who)     of a sale, to be paid; paid(), shipped(), done()

use warnings;
use strict;

use RushTest;
use RushTest::Pay;

my $serial = 0;


sub samples {
    return (
        seckill_mine => {}, seckill_order_list => {},
        seckill_admin_order_list => {},
        seckill_order_detail => { of => 'order' },
        seckill_order_cancel => { of => 'order' },
        seckill_admin_order_detail => { of => 'order' },
        seckill_order_place => { body => sub {
            my ($self, $who) = @_;

            # there is room for twenty
            my $at = $self->{addresses}{$who->{id}} //= $self->address($who);

            return { product_id => $self->product(), quantity => 2,
                     address_id => $at, remark => 'ring' };
        } },
        seckill_order_confirm => { of => 'shipped' },
        seckill_order_hide => { of => 'done' },
        seckill_admin_order_ship => { of => 'paid', body => {
            carrier => 'SF', number => 'SF-1' } },
        seckill_admin_order_status => { of => 'paid', body => {
            status => 'done', reason => 'by hand', version => 2 } },
        seckill_admin_order_redeem => { body => sub {
            my ($self, $who) = @_;
            my $no = $self->paid($who);
            return { trade_code => $self->{t}->value(
                'SELECT trade_code FROM orders WHERE order_no = ?', $no) };
        } },
    );
}


sub order {
    my ($self, $who) = @_;

    my $t = $self->{t};
    my $r = $t->buy($self->sale(), undef, token => $who->{token},
                    user => undef, key => 'own');
    my $no = $r->{json}{data}{order_no} // die "buy: $r->{body}\n";

    $t->wait_for(sub { $t->value('SELECT 1 FROM orders WHERE order_no = ?',
                                 $no) }, 10, 'the order')
        or die "no row of $no\n";

    return $no;
}


# orders that a payment and more have changed

sub paid {
    my ($self, $who) = @_;
    my $no = RushTest::Pay::order($self->{t}, user_id => $who->{id});
    my $code = sprintf('T%07d', ++$serial) =~ tr/01/AB/r;
    $self->{t}->do('UPDATE orders SET status = 2, stock_state = 4, '
                   . 'paid_ms = 1, trade_code = ?, actor_kind = 4, '
                   . 'version = version + 1 WHERE order_no = ?', $code, $no);
    return $no;
}


sub shipped {
    my ($self, $who) = @_;
    my $no = $self->paid($who);
    $self->{t}->do('UPDATE orders SET status = 3, shipped_ms = 1, '
                   . 'actor_kind = 2, version = version + 1 '
                   . 'WHERE order_no = ?', $no);
    return $no;
}


sub done {
    my ($self, $who) = @_;
    my $no = $self->shipped($who);
    $self->{t}->do('UPDATE orders SET status = 4, actor_kind = 1, '
                   . 'version = version + 1 WHERE order_no = ?', $no);
    return $no;
}


1;
