#!/usr/bin/perl

# Copyright (C) Rush
#
# The bookkeeper of the chaos harness must be able to fail: each case takes
# books that are right, makes one thing wrong, and wants it to be named.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/chaos/lib";

use Test::More;

use Chaos::Money;

my ($USER, $ADMIN, $SYSTEM, $PROVIDER) = 1 .. 4;


sub order {
    my ($no, $status, $stock, %o) = @_;

    my $paid = $status =~ /^[234678]$/;

    return { order_no => $no, user_id => 7, activity_id => 1001,
             product_id => 5, qty => 1, amount => 1000, status => $status,
             stock_state => $stock, version => 9, redeemed_ms => 0,
             payment_id => $paid ? $no =~ s/\D//gr : 0,
             paid_ms => $paid ? 5000 : 0,
             pay_type => $paid ? 'sandbox' : '',
             trade_code => $paid ? "ABCD234" . $no =~ s/\D//gr : undef, %o };
}


# a way: pairs of actor and state

sub way {
    my ($no, @way) = @_;

    my ($at, $version, @log) = (1, 1);

    while (my ($actor, $to) = splice @way, 0, 2) {
        push @log, { order_no => $no, from_status => $at, to_status => $to,
                     version => ++$version, actor_kind => $actor };
        $at = $to;
    }

    return @log;
}


sub payment {
    my ($id, $state, %o) = @_;

    return { id => $id, order_no => "o$id", user_id => 7, amount => 1000,
             state => $state, refunded => 0, returned => 0,
             transaction_id => $state =~ /^[267]$/ ? "t$id" : undef, %o };
}


sub refund {
    my ($id, $payment, $state, %o) = @_;

    return { id => $id, payment_id => $payment, order_no => "o$payment",
             amount => 1000, total => 1000, state => $state, whole => 0,
             origin => 0,
             reserved => $state =~ /^[1234]$/ ? 1 : 0, %o };
}


sub entry {
    my ($txn, $no, $amount) = @_;

    return ({ txn => $txn, account => 'provider:sandbox',
              amount => $amount },
            { txn => $txn, account => "order:$no", amount => -$amount });
}


sub trade {
    my ($id, $state, %o) = @_;
    return { payment_id => $id, amount => 1000, state => $state,
             refunded => 0, %o };
}


sub notice {
    my ($id, $state, %o) = @_;
    return { id => $id, provider => 4, notice_key => "n$id", kind => 'pay',
             payment_id => $id, refund_id => 0, amount => 1000, cause => '',
             state => $state, %o };
}


# 1 waits; 2 is paid, an ordinary order; 3 was cancelled and paid late; 4 was
# paid and refunded; 5 was shipped and a part of it refunded; 6 was too late
# and found stock

sub books {
    return {
        edges => Chaos::Money::edges(),
        orders => [order('o1', 1, 0),
                   order('o2', 2, 4, activity_id => 0, product_id => 9,
                         qty => 2),
                   order('o3', 5, 3), order('o4', 7, 3), order('o5', 3, 4),
                   order('o6', 2, 4)],
        log => [way('o2', $PROVIDER, 2), way('o3', $USER, 5),
                way('o4', $PROVIDER, 2, $ADMIN, 6, $PROVIDER, 7),
                way('o5', $PROVIDER, 2, $ADMIN, 3),
                way('o6', $SYSTEM, 5, $PROVIDER, 2)],
        payments => [payment(1, 1), payment(2, 2),
                     payment(3, 7, refunded => 1000, returned => 1000),
                     payment(4, 2, refunded => 1000, returned => 1000),
                     payment(5, 2, refunded => 300, returned => 300),
                     payment(6, 2)],
        refunds => [refund(13, 3, 4, origin => 2),
                    refund(14, 4, 4, whole => 1),
                    refund(15, 5, 4, amount => 300),
                    refund(16, 5, 0), refund(17, 5, 5), refund(18, 5, 6)],
        ledger => [entry('p:2', 'o2', 1000), entry('p:3', 'o3', 1000),
                   entry('r:13', 'o3', -1000), entry('p:4', 'o4', 1000),
                   entry('r:14', 'o4', -1000), entry('p:5', 'o5', 1000),
                   entry('r:15', 'o5', -300), entry('p:6', 'o6', 1000)],
        trades => [trade(1, 0), trade(2, 1), trade(3, 1, refunded => 1000),
                   trade(4, 1, refunded => 1000),
                   trade(5, 1, refunded => 300), trade(6, 1)],
        returns => [map { { refund_id => $_->[0], payment_id => $_->[1],
                            amount => $_->[2] } }
                    [13, 3, 1000], [14, 4, 1000], [15, 5, 300]],
        notices => [notice(2, 1), notice(3, 1), notice(4, 1), notice(5, 1),
                    notice(6, 1), notice(2, 2, notice_key => 'again'),
                    notice(1, 3, amount => 1),
                    notice(0, 1, notice_key => 'q', refund_id => 15,
                           amount => 300)],
        alarms => [{ kind => 'payment_mismatch',
                     detail => 'notice 1: payment 1 of sandbox: amount' }],
        products => { 9 => { was => 10, stock => 8, taken => 2 } },
        late => 'revive', roomy => { 1001 => 1 },
    };
}


# what is changed: row n of a table

sub judge {
    my ($change) = @_;

    my $b = books();

    $change->($b, sub { $b->{$_[0]}[$_[1]] }) if $change;

    return Chaos::Money->judge($b);
}


sub finds {
    my ($what, $pattern, $change) = @_;

    my @wrong = judge($change);

    ok(scalar(grep { /$pattern/ } @wrong), $what)
        or diag('it says: ', join("\n", @wrong) || 'nothing');
}


sub fine {
    my ($what, $change) = @_;
    is(join("\n", judge($change)), '', $what);
}


fine('nothing to find');

is(Chaos::Money::edges()->{'1 2'}, 1 << $PROVIDER, 'edges of the header');
is(Chaos::Money::edges()->{'2 1'}, undef, 'and no others');


subtest 'ways' => sub {
    finds('a step that is no edge', qr/^I8 order o2: no edge from 1 to 3/,
          sub { $_[1]->('log', 0)->{to_status} = 3 });
    finds('by whom it may not be', qr/^I8 order o2: .* by actor 1/,
          sub { $_[1]->('log', 0)->{actor_kind} = $USER });
    finds('a step that is missing', qr/^I8 order o4: a step from 6/,
          sub { splice @{$_[0]{log}}, 3, 1 });
    finds('the last one', qr/^I8 order o4 is in state 7, .* led to 6/,
          sub { splice @{$_[0]{log}}, 4, 1 });
    finds('all of them', qr/^I8 order o2 was born in state 2/,
          sub { shift @{$_[0]{log}} });
    finds('a version twice', qr/^I8 order o4: version 2 after 2/,
          sub { $_[1]->('log', 3)->{version} = 2 });
    finds('a row that fell behind', qr/^I8 order o2: version 1/,
          sub { $_[1]->('orders', 1)->{version} = 1 });
    finds('one that is being made', qr/^I8 order o1 is still being made/,
          sub { $_[1]->('orders', 0)->{status} = 0 });
    finds('redeemed, and not done', qr/^I8 order o2 was redeemed/,
          sub { $_[1]->('orders', 1)->{redeemed_ms} = 1 });
};


subtest 'paid orders' => sub {
    finds('paid, by nobody', qr/^I7 order o2 .* has 0 successful/,
          sub { $_[1]->('payments', 1)->{state} = 4 });
    finds('paid twice', qr/^I7 order o2 .* has 2 successful/,
          sub { push @{$_[0]{payments}},
                payment(22, 2, order_no => 'o2') });
    finds('paid, and waits', qr/^I7 order o2 is in state 1/,
          sub { $_[1]->('orders', 1)->{status} = 1 });
    finds('cancelled, and the money is kept', qr/^I7 order o3 .* has 1/,
          sub { $_[1]->('payments', 2)->{state} = 2 });
    finds('by another payment', qr/^I7 order o2 names payment 6/,
          sub { $_[1]->('orders', 1)->{payment_id} = 6 });
    finds('no code', qr/^I7 order o2 has no code/,
          sub { $_[1]->('orders', 1)->{trade_code} = undef });
    finds('no way', qr/^I7 order o2 was paid without/,
          sub { $_[1]->('orders', 1)->{pay_type} = '' });
    finds('refunded in part', qr/^I7 order o4 is refunded, 300 of 1000/,
          sub { $_[1]->('payments', 3)->{returned} = 300 });
    finds('refunded by nothing', qr/^I7 order o4 ends by 0 refunds/,
          sub { $_[1]->('refunds', 1)->{whole} = 0 });
    finds('and kept', qr/^I7 order o4 .* its units are kept/,
          sub { $_[1]->('orders', 3)->{stock_state} = 4 });
};


subtest 'payments and refunds' => sub {
    finds("$_->[1] for ever", qr/^I13 payment 1 is still $_->[1]/,
          sub { $_[1]->('payments', 0)->{state} = $_->[0] })
        foreach [0, 'asked'], [3, 'closing'];
    finds('late for ever', qr/^I13 payment 3 is still late/,
          sub { $_[1]->('payments', 2)->{state} = 6 });
    finds('of another amount', qr/^I7 payment 1 is of 1, the order costs/,
          sub { $_[1]->('payments', 0)->{amount} = 1 });
    finds('of somebody else', qr/^I7 payment 1 is of user 8/,
          sub { $_[1]->('payments', 0)->{user_id} = 8 });
    finds('of no order', qr/^I7 payment 1 has no order/,
          sub { shift @{$_[0]{orders}} });
    finds('paid without a number', qr/^I7 payment 2 is paid and has no/,
          sub { $_[1]->('payments', 1)->{transaction_id} = undef });
    finds('more back than was paid', qr/^I7 payment 5: 1300 go back/,
          sub { @{$_[1]->('refunds', 3)}{qw(state reserved)} = (4, 1) });
    finds('of which it knows nothing', qr/^I7 payment 5: 300 promised/,
          sub { $_[1]->('refunds', 3)->{reserved} = 1 });
    finds('without a promise', qr/^I7 refund 15 is done, its sum is not/,
          sub { $_[1]->('refunds', 2)->{reserved} = 0 });
    finds('failed with one', qr/^I13 refund 18 is still failed/,
          sub { $_[1]->('refunds', 5)->{reserved} = 1 });
    finds('a refund that is counted twice', qr/^I7 payment 5: 600 have gone/,
          sub { $_[1]->('payments', 4)->{returned} = 600 });
    finds('money for nothing', qr/^I13 payment 3 was paid for nothing, 0/,
          sub { shift @{$_[0]{refunds}} });
    finds('a refund on its way', qr/^I13 refund 15 is still sending/,
          sub { $_[1]->('refunds', 2)->{state} = 2 });
    finds('of another order', qr/^I7 refund 15 is of order o4/,
          sub { $_[1]->('refunds', 2)->{order_no} = 'o4' });
    finds('of no payment', qr/^I7 refund 15 has no payment/,
          sub { $_[1]->('refunds', 2)->{payment_id} = 99 });
    finds('of more than there was', qr/^I7 refund 16: 1000 of 900/,
          sub { $_[1]->('refunds', 3)->{total} = 900 });
};


subtest 'late payments' => sub {
    finds('one that comes back where none may', qr/^I13 order o6 came back, l/,
          sub { $_[0]{late} = 'refund' });
    finds('one that somebody cancelled', qr/^I13 order o6 .* cancelled by 1/,
          sub { $_[1]->('log', 7)->{actor_kind} = $USER });
    finds('twice', qr/^I13 order o6 came back 2 times/,
          sub { push @{$_[0]{log}}, { %{$_[1]->('log', 8)} } });
    finds('and the money as well', qr/^I13 payment 6 is paid and was sent/,
          sub { push @{$_[0]{refunds}}, refund(19, 6, 4, origin => 2) });
    finds('sent back twice', qr/^I13 payment 3 is returned and .* 2 times/,
          sub { push @{$_[0]{refunds}}, refund(19, 3, 4, origin => 3) });
    finds('sent back by nobody', qr/^I13 payment 3 .* sent back 0 times/,
          sub { $_[1]->('refunds', 0)->{origin} = 1 });
    fine('sent back, as the rule is', sub {
        $_[0]{late} = 'refund';
        splice @{$_[0]{log}}, 8, 1;
        @{$_[1]->('orders', 5)}{qw(status stock_state)} = (5, 3);
        @{$_[1]->('payments', 5)}{qw(state refunded)} = (4, 0);
        $_[1]->('payments', 5)->{transaction_id} = undef;
        splice @{$_[0]{ledger}}, -2;
        $_[1]->('trades', 5)->{state} = 2;
        splice @{$_[0]{notices}}, 4, 1;
    });
    finds('ran out of time, and might have come back',
          qr/^I13 order o3 ran out of time, there were units/,
          sub { $_[1]->('orders', 2)->{cancel_reason} = 'timeout' });
    fine('but for the want of units', sub {
        $_[1]->('orders', 2)->{cancel_reason} = 'timeout';
        $_[0]{roomy} = {};
    });
};


subtest 'the ledger' => sub {
    finds('one side only', qr/^I7 transaction p:2 adds up to 1000/,
          sub { splice @{$_[0]{ledger}}, 1, 1 });
    finds('a payment is missing', qr/^I7 transaction p:2 is "", should/,
          sub { splice @{$_[0]{ledger}}, 0, 2 });
    finds('a refund is missing', qr/^I7 transaction r:13 is ""/,
          sub { splice @{$_[0]{ledger}}, 4, 2 });
    finds('a refund that is not', qr/^I7 transaction r:16 is ".*should be ""/,
          sub { push @{$_[0]{ledger}}, entry('r:16', 'o5', -1000) });
    finds('another order', qr/^I7 transaction p:2 is "order:o1/,
          sub { $_[1]->('ledger', 1)->{account} = 'order:o1' });
};


subtest 'what the sandbox knows' => sub {
    finds('money that we do not know of', qr/^I13 payment 1 is open, .* took/,
          sub { $_[1]->('trades', 0)->{state} = 1 });
    finds('money that it does not have', qr/^I13 payment 2 is paid, .* no/,
          sub { $_[1]->('trades', 1)->{state} = 2 });
    finds('in sum', qr/^I7 the sandbox has 1700, the ledger says 2700/,
          sub { $_[1]->('trades', 1)->{state} = 2 });
    finds('closed here only', qr/^I13 payment 1 is closed, not at/,
          sub { $_[1]->('payments', 0)->{state} = 4 });
    fine('closed there as well', sub {
        $_[1]->('payments', 0)->{state} = 4;
        $_[1]->('trades', 0)->{state} = 2;
    });
    finds('sent back twice', qr/^I7 payment 5: the sandbox gave back 600/,
          sub { $_[1]->('trades', 4)->{refunded} = 600 });
    finds('by a number of its own', qr/^I7 the sandbox gave 300 .* unknown/,
          sub { push @{$_[0]{returns}}, { refund_id => 99, amount => 300,
                                          payment_id => 5 } });
    finds('that was rejected', qr/^I7 the sandbox gave .* 17, .* rejected/,
          sub { push @{$_[0]{returns}}, { refund_id => 17, amount => 1000,
                                          payment_id => 5 } });
    finds('of another amount', qr/^I7 payment 1 is of 1000, of 5 at/,
          sub { $_[1]->('trades', 0)->{amount} = 5 });
};


subtest 'notices and stock' => sub {
    finds('one that found nothing', qr/^I13 notice n2 has found no payment/,
          sub { $_[1]->('notices', 0)->{state} = 0 });
    finds('of nothing of ours', qr/^I13 notice n99 has found no/,
          sub { push @{$_[0]{notices}}, notice(99, 1) });
    finds('no alarm', qr/^I13 notice n1 has no alarm/,
          sub { @{$_[0]{alarms}} = () });
    finds('doubted without a reason', qr/^I13 notice n1 tells what is so/,
          sub { $_[1]->('notices', 6)->{amount} = 1000 });
    finds('a refund that was not', qr/^I13 notice q was applied, the refund/,
          sub { $_[1]->('refunds', 2)->{state} = 2 });
    finds('of another sum', qr/^I13 notice q tells of 1 and was/,
          sub { $_[1]->('notices', 7)->{amount} = 1 });
    finds('a forged one', qr/^I13 notice n2 of provider 1 was believed/,
          sub { $_[1]->('notices', 0)->{provider} = 1 });
    finds('applied, and not paid', qr/^I13 notice n1 was applied/,
          sub { $_[1]->('notices', 6)->{state} = 1 });
    finds('another amount', qr/^I13 notice n2 tells of 1 and was applied/,
          sub { $_[1]->('notices', 0)->{amount} = 1 });
    finds('stock that is gone', qr/^I9 product 9: 7 left and 2 in orders/,
          sub { $_[0]{products}{9}{stock} = 7 });
    finds('that is taken by nobody', qr/^I9 product 9: 3 taken, 2 in/,
          sub { $_[0]{products}{9}{taken} = 3 });
    fine('an order that could not be had',
         sub { push @{$_[0]{orders}}, order('o7', 5, 5) });
    finds('stock of a cancelled order', qr/^I9 product 9: 8 left and 0/,
          sub { $_[1]->('orders', 1)->{stock_state} = 3 });
};


done_testing();
