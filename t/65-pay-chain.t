#!/usr/bin/perl

# Copyright (C) Rush
#
# From buy to paid and back, by the sandbox: a worker, the teller, the cashier
# and the controller together.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Orders qw(user data told);
use RushTest::Pay;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    nginx => { extra_http => 'seckill_pay_channels sandbox wechat_native '
                   . 'wallet;' },
    consumer_conf => { sandbox => { enabled => 1 },
                       pay => { poll => 100, close_patience => 5 },
                       cashier => { sweep => 100 } },
);

RushTest::Orders::begin($t, 700_000);


sub bought {
    my ($id, $user) = @_;
    my $r = $t->buy($id, $user);
    my $no = data($r)->{order_no};
    is($r->{code}, 0, 'bought') or diag($r->{body});
    ok($t->wait_for(sub {
        $t->value('SELECT 1 FROM orders WHERE order_no = ?', $no)
    }, 10, 'the order'), 'written');
    return $no;
}

sub create {
    my ($no, $user, %o) = @_;
    return $t->post('/api/v1/payment/create', { order_id => $no,
        channel => $o{channel} // 'sandbox' }, user => $user,
        (defined $o{key} ? (key => $o{key}) : ()));
}

# open, however slow the machine is

sub opened {
    my ($no, $user) = @_;
    my $r;
    ok($t->wait_for(sub { told($r = create($no, $user)) eq '200 0' }, 10,
                    'an open payment'), 'open') or diag($r->{body});
    return data($r)->{id};
}

sub pay {
    my ($id, $user, %fault) = @_;
    return $t->post("/api/v1/payment/sandbox/$id/pay", \%fault,
                    user => $user);
}

sub status {
    my ($id, $user, $args) = @_;
    return data($t->get("/api/v1/payment/$id/status" . ($args // ''),
                        user => $user));
}

sub detail {
    return data($t->get("/api/v1/orders/$_[0]", user => $_[1]));
}

sub reaches {
    my ($no, $user, $status, $seconds) = @_;
    return $t->wait_for(sub {
        detail($no, $user)->{status_text} eq $status
    }, $seconds // 10, "$no $status");
}

sub refunds_of {
    return $t->sql('SELECT * FROM refund WHERE payment_id = ? ORDER BY id',
                   $_[0]);
}

sub balanced {
    my ($rc, $out) = $t->reconcile();
    is($rc, 0, 'the books balance') or diag($out);
}


subtest 'the whole chain' => sub {
    my $sale = $t->activity(stock => 2, price => 9900, limit => 1,
                            pay_seconds => 5 * $RushTest::SLOW);
    my ($first, $second, $third) = map { user() } 1 .. 3;

    # buy, pay, paid
    my $no = bought($sale, $first);
    my $late = bought($sale, $second);
    my $r = $t->buy($sale, $third);
    is(told($r), '200 60002', 'sold out');

    my $id = opened($no, $first);
    is(status($id, $first)->{amount}, 9900, 'the amount');
    $r = pay($id, $first);
    is(told($r) . ' ' . data($r)->{notice}, '200 0 sent', 'the wallet paid');
    ok(reaches($no, $first, 'paid'), 'paid');
    my $order = detail($no, $first);
    is($order->{pay_type}, 'sandbox', 'how');
    like($order->{trade_code}, qr/^[2-9A-Z]{8}$/, 'a trade code');
    my $p = status($id, $first);
    is("$p->{state_text} " . ($p->{paid_at} ? 'when' : ''), 'paid when',
       'the payment');
    is(told(pay($id, $first)), '200 40002', 'not twice');
    is(told(create($no, $first)), '200 30001', 'nothing is left to pay');

    # the code is used at the door, once
    my $redeem = sub {
        return $t->post('/api/v1/admin/orders/redeem',
                        { trade_code => $order->{trade_code} }, admin => 1);
    };
    is(told($redeem->()), '200 0', 'redeemed');
    is(told($redeem->()), '200 30003', 'once');
    ok(reaches($no, $first, 'done'), 'done');

    # a second buyer is late, a third gets the unit
    my $open = opened($late, $second);
    ok(reaches($late, $second, 'cancelled', 20), 'the deadline has passed');
    is(detail($late, $second)->{cancel_reason}, 'timeout', 'why');
    is(status($open, $second)->{state_text}, 'closed', 'its payment');
    is(told(pay($open, $second)), '200 40002', 'cannot be paid any more');
    ok($t->wait_for(sub { ($r = $t->buy($sale, $third))->{code} == 0 }, 10,
                    'a unit'), 'the third one gets it') or diag($r->{body});

    # the money goes back, once
    $r = $t->post("/api/v1/payment/$id/refund", { reason => 'broken' },
                  user => $first);
    is(told($r), '200 0', 'asked for') or diag($r->{body});
    my $refund = data($r)->{id};
    my @r = $t->burst([map { { method => 'POST', admin => 1, data => {},
        path => "/api/v1/admin/refunds/$refund/approve" } } 1 .. 10],
        sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'approved once');
    ok($t->wait_for(sub { (refunds_of($id))[0]{state} == 4 }, 10, 'refund'),
       'done');
    ok(reaches($no, $first, 'refunded'), 'the order');
    is($t->value('SELECT refunded FROM sandbox_trade WHERE payment_id = ?',
                 $id), 9900, 'the provider paid it back');
    is(join(' ', map { status($id, $first)->{$_} } qw(refunded returned)),
       '9900 9900', 'the payment');
    is(told($t->post("/api/v1/payment/$id/refund", { reason => 'again' },
                     user => $first)), '200 30001', 'not again');
    is($t->value('SELECT SUM(amount) FROM ledger WHERE account = ?',
                 "order:$no"), 0, 'the ledger');
    balanced();
};


subtest 'notices with faults' => sub {
    my $sale = $t->activity(stock => 10, limit => 10);
    my $user = user();

    foreach my $fault (qw(lost twice wrong_amount)) {
        my $no = bought($sale, $user);
        my $id = opened($no, $user);

        is(told(pay($id, $user, fault => $fault)), '200 0', $fault);

        if ($fault ne 'twice') {
            # whoever asks the provider knows better, and may do so now
            $t->do('UPDATE payment SET updated_ms = 1 WHERE id = ?', $id);
            ok($t->wait_for(sub {
                status($id, $user, '?sync=1')->{state_text} eq 'paid'
            }, 15, 'the answer of a query'), 'found by asking');
        }

        ok(reaches($no, $user, 'paid'), 'paid');
        is($t->value('SELECT COUNT(*) FROM ledger WHERE txn = ?', "p:$id"), 2,
           'booked once');

        my @notices = map { "$_->{kind} $_->{state_text}" }
            @{data($t->get("/api/v1/admin/payments/$id/notices",
                           admin => 1))->{list}};
        like("@notices", { lost => qr/^query applied$/,
            twice => qr/^pay applied$/,
            wrong_amount => qr/query applied.*pay mismatch/ }->{$fault},
            'notices') or diag("@notices");
    }

    is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = "
                 . "'payment_mismatch'"), 1, 'an alarm');
    balanced();
};


subtest 'the consumer is away' => sub {
    my $sale = $t->activity();
    my $user = user();
    my $no = bought($sale, $user);

    $t->stop('consumer');
    my $r = create($no, $user);
    is(told($r), '202 11', 'not known');
    my $path = data($r)->{poll};
    is(data($t->get($path, user => $user))->{state_text}, 'asked', 'poll');

    $t->start('consumer');
    ok($t->wait_for(sub {
        data($t->get($path, user => $user))->{state_text} eq 'open'
    }, 15, 'open'), 'then it is open');
    is(data($t->get($path, user => $user))->{id}, data($r)->{payment_id},
       'the same');
    $t->wait_ready();
};


subtest 'closed, and another one' => sub {
    my $sale = $t->activity();
    my $user = user();
    my $no = bought($sale, $user);
    my $id = opened($no, $user);
    my $r;

    ok($t->wait_for(sub {
        $r = $t->post("/api/v1/payment/$id/close", {}, user => $user);
        return told($r) eq '200 0';
    }, 10, 'closed'), 'closed') or diag($r->{body});
    is($t->value('SELECT state FROM sandbox_trade WHERE payment_id = ?', $id),
       2, 'at the provider too');
    is(told(pay($id, $user)), '200 40002', 'cannot be paid');
    my $next = opened($no, $user);
    isnt($next, $id, 'another one');
    is(told(pay($next, $user)), '200 0', 'paid');
    ok(reaches($no, $user, 'paid'), 'the order');

    # of a provider that nobody serves, and the wallet, which nobody can serve
    foreach my $channel (qw(wechat_native wallet)) {
        $no = bought($t->activity(), $user);
        ok($t->wait_for(sub {
            told($r = create($no, $user, channel => $channel)) eq '200 40004'
        }, 10, 'a refusal'), "$channel: refused") or diag($r->{body});
        is(data($r)->{cause}, 'not_configured', 'why');

        $id = data($r)->{payment_id};
        is(status($id, $user)->{state_text}, 'failed', 'it has failed');
        is(RushTest::Pay::row($t, 'payment', $id)->{params}, '',
           'nobody was given anything to pay with');

        # the order can be paid in another way
        is(told(pay(opened($no, $user), $user)), '200 0', 'by the sandbox');
        ok(reaches($no, $user, 'paid'), 'paid');
    }
};


subtest 'with a key' => sub {
    my $user = user();
    my $no = bought($t->activity(), $user);
    my @r = $t->burst([map { { method => 'POST', user => $user, key => 'k',
        path => '/api/v1/payment/create',
        data => { order_id => $no, channel => 'sandbox' } } } 1 .. 20],
        sync => 1);

    is(join(' ', grep { !/^(?:200 0|409 15|202 11)$/ } map { told($_) } @r),
       '', 'answers');
    my $r;
    ok($t->wait_for(sub { told($r = create($no, $user, key => 'k'))
                              eq '200 0' }, 10, 'the answer'), 'then one');
    is(data(create($no, $user, key => 'k'))->{id}, data($r)->{id}, 'again');
    is($t->value('SELECT COUNT(*) FROM payment WHERE order_no = ?', $no), 1,
       'one payment');
    is(told(create(bought($t->activity(), $user), $user, key => 'k')),
       '422 14', 'another order');
};


# the order waits for a provider, but not for ever; what is paid then is late

subtest 'a provider that says nothing' => sub {
    my $sale = $t->activity();
    my $user = user();
    my $no = bought($sale, $user);
    my $id = RushTest::Pay::payment($t, order_no => $no, channel => 1,
                                    state => 3);
    my $deadline = RushTest::Pay::now_ms() - 2000;

    $t->do('UPDATE orders SET pay_deadline_ms = ? WHERE order_no = ?',
           $deadline, $no);
    sleep 1;
    is(detail($no, $user)->{status_text}, 'to_pay', 'it waits');
    ok(reaches($no, $user, 'cancelled', 15), 'not for ever');
    my $ended = $t->value('SELECT closed_ms FROM orders WHERE order_no = ?',
                          $no);
    cmp_ok($ended - $deadline, '>=', 5000, 'as long as it was told to');
    is(RushTest::Pay::row($t, 'payment', $id)->{state}, 3,
       'the provider is asked on');
};


# whoever is first: the order is paid, or it is cancelled and the money goes
# back

subtest 'pay against cancel' => sub {
    my $sale = $t->activity(stock => 100, limit => 100);
    my @all;

    foreach (1 .. 12) {
        my $user = user();
        my $no = bought($sale, $user);
        my $id = opened($no, $user);

        push @all, [$user, $no, $id];

        my %q = (method => 'POST', user => $user, data => {});
        my @q = ({ %q, path => "/api/v1/orders/$no/cancel" },
                 { %q, path => "/api/v1/payment/sandbox/$id/pay" });

        # at once, or the notice has some of a head start
        if ($_ % 3 == 0) {
            $t->burst(\@q, sync => 1);

        } else {
            pay($id, $user);
            sleep 0.01 * $_;
            $t->burst([$q[0]]);
        }
    }

    my %n;

    foreach my $one (@all) {
        my ($user, $no, $id) = @$one;
        my $end = $t->wait_for(sub {
            my ($o) = $t->sql('SELECT status, stock_state FROM orders '
                              . 'WHERE order_no = ?', $no);
            my $p = RushTest::Pay::row($t, 'payment', $id);
            my @back = refunds_of($id);
            my $money = $t->value('SELECT state FROM sandbox_trade WHERE '
                                  . 'payment_id = ?', $id);

            return $o->{status} == 2 && $p->{state} == 2 && !@back ? 'paid'
                : $o->{status} == 5 && $p->{state} == 7 && @back == 1
                  && $back[0]{state} == 4 ? 'returned'
                : $o->{status} == 5 && $p->{state} == 4 && $money == 2
                  ? 'never paid' : undef;
        }, 20, "one outcome of $no");

        ok($end, 'one outcome');
        $n{$end // 'none'}++;
    }

    diag(join ', ', map { "$_: $n{$_}" } sort keys %n);
    balanced();
};


$t->finish();
done_testing();
