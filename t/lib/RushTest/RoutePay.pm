package RushTest::RoutePay;

# Copyright (C) Rush
#
# Requests of payments and refunds that succeed, and their objects, for
# RushTest::Routes.  The objects are rows, so that nobody has to serve them.

use warnings;
use strict;

use RushTest::Pay;


sub samples {
    return (
        seckill_payment_create => { body => sub { +{ channel => 'sandbox',
            order_id => $_[0]->order_open($_[1]) } } },
        seckill_order_pay => { of => 'order_open',
                               body => { channel => 'sandbox' } },
        seckill_payment_status => { of => 'payment' },
        seckill_payment_close => { of => 'payment_closed' },
        seckill_sandbox_pay => { of => 'payment_traded',
                                 body => { fault => 'lost' } },
        seckill_wechat_order => { body => sub { +{
            order_id => $_[0]->order_open($_[1], channel => 1) } } },
        seckill_wechat_query => { query => sub {
            'payment_id=' . $_[0]->payment($_[1]) } },
        seckill_wechat_close => { body => sub { +{
            payment_id => '' . $_[0]->payment_closed($_[1]) } } },
        seckill_wechat_refund => { body => sub { +{ amount => 5,
            payment_id => '' . $_[0]->payment_paid($_[1]),
            reason => 'small' } } },
        seckill_payment_refund => { of => 'payment_paid',
            body => { amount => 5, reason => 'small' } },
        seckill_payment_refunds => { of => 'payment_refunded' },
        seckill_refund_detail => { of => 'payment_refunded',
                                   in => 'refund_of' },
        seckill_admin_payments => {}, seckill_admin_refunds => {},
        seckill_settlements => {},
        seckill_payment_notices => { of => 'payment' },
        seckill_admin_notices => {},
        seckill_notice_close => { of => 'notice',
                                  body => { reason => 'paid back' } },
        seckill_admin_payment_refund => { of => 'payment_paid',
            body => { amount => 5, reason => 'broken' } },
        seckill_give_back => { of => 'payment_odd',
                               body => { reason => 'another amount' } },
        seckill_refund_approve => { of => 'refund' },
        seckill_refund_reject => { of => 'refund',
                                   body => { reason => 'worn' } },
        seckill_refund_retry => { of => 'refund_failed' },
        seckill_bill_ask => { body => sub { +{ day => day() + 0,
                                               provider => 'sandbox' } } },
        seckill_bill => { query => sub { $_[0]->bill() } },
    );
}


sub order_open {
    my ($self, $who, %row) = @_;
    my $no = RushTest::Pay::order($self->{t}, user_id => $who->{id});
    RushTest::Pay::payment($self->{t}, order_no => $no, %row);
    return $no;
}


sub payment {
    my ($self, $who, %row) = @_;
    return RushTest::Pay::payment($self->{t}, %row, order_no =>
        RushTest::Pay::order($self->{t}, user_id => $who->{id}));
}


sub payment_closed { return $_[0]->payment($_[1], state => 4) }


# another amount came than was asked for

sub payment_odd {
    my ($self, $who) = @_;
    my $id = $self->payment($who, state => 4);
    $self->notice($who, $id);
    return $id;
}


sub notice {
    my ($self, $who, $id) = @_;
    $id //= $self->payment($who);
    return $self->{t}->insert('payment_notice', provider => 4, kind => 'pay',
        notice_key => "odd$id", payment_id => $id, transaction_id => "T$id",
        amount => 60, state => 3, cause => 'amount', body => '{}',
        received_ms => RushTest::Pay::now_ms());
}


sub payment_traded {
    my ($self, $who) = @_;
    my $id = $self->payment($who);
    $self->{t}->insert('sandbox_trade', payment_id => $id, amount => 600,
                       created_ms => RushTest::Pay::now_ms());
    return $id;
}


sub payment_paid {
    my ($self, $who) = @_;
    return RushTest::Pay::paid($self->{t}, order_no =>
        RushTest::Pay::order($self->{t}, user_id => $who->{id}));
}


sub refund {
    my ($self, $who, %row) = @_;
    return RushTest::Pay::refund($self->{t}, amount => 5, %row,
                                 payment_id => $self->payment_paid($who));
}


sub refund_failed { return $_[0]->refund($_[1], state => 6) }

sub payment_refunded {
    my ($self, $who) = @_;
    my $id = $self->refund($who, state => 5);
    return $self->{t}->value('SELECT payment_id FROM refund WHERE id = ?',
                             $id);
}


sub refund_of {
    my ($self, $payment) = @_;
    return $self->{t}->value('SELECT id FROM refund WHERE payment_id = ?',
                             $payment);
}


# another one each time

my $days = 0;

sub day {
    my $n = $days++;
    return sprintf '%04d%02d%02d', 2020 + int($n / 336),
        1 + int($n / 28) % 12, 1 + $n % 28;
}


# done, so that nobody looks at it

sub bill {
    my ($self) = @_;
    $self->{bill} //= $self->{t}->insert('bill', day => 20260228, state => 1,
        provider => 4, created_ms => 1, updated_ms => 1);
    return 'day=20260228&provider=sandbox';
}


1;
