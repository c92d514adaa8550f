#!/usr/bin/perl

# Copyright (C) Rush
#
# Money that came in another amount than was asked for, the whole way: a trade
# at the stand-in is paid, its notice does not match, an administrator gives it
# back, the provider counts one refund of what came, and the books are right.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon);
use RushTest::Money;
use RushTest::Pay;
use RushTest::Provider;
use RushTest::Teller;
use Test::More;

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(start => 0, failpoints => 1,
    consumer_conf => RushTest::Teller::conf(port => $port,
        cashier => { sweep => 30, unmatched_alarm => 1 }),
    nginx => { workers => 2, extra_http => 'client_body_buffer_size 64k;'
               . 'seckill_pay_channels wechat_native alipay_precreate sandbox;'
               . RushTest::Provider::conf() });
my $m = RushTest::Money->new($t);

RushTest::Provider::add($t, $port);
$t->start(qw(redis mysql provider consumer nginx));
$t->wait_ready();


sub row { return $m->row('payment', $_[0]) }
sub order_of { return $m->row('orders', row($_[0])->{order_no}) }
sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }
sub data { return $_[0]{json}{data} }


sub give {
    my ($id, %data) = @_;
    my $key = delete $data{key};
    my $r;
    $t->wait_for(sub {
        $r = $t->post("/api/v1/admin/payments/$id/give-back",
                      { reason => 'another amount', %data }, admin => 1,
                      (defined $key ? (key => $key) : ()));
        return $r->{status} != 503;
    }, 10, 'the provider was asked');
    return $r;
}


sub alarms_of {
    my ($id) = @_;
    return $t->value("SELECT COUNT(*) FROM alarm WHERE kind = "
        . "'payment_mismatch' AND detail LIKE ?", "%payment $id of %");
}


# open at the stand-in, and paid there with another sum

sub odd {
    my ($channel, $total, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $id = asked($t, $m, $channel, %o);

    becomes($t, $id, 1, "$channel: open");
    RushTest::Provider::set($t, $id, total => $total);
    is(RushTest::Provider::pay($t, $id)->{status}, 200,
       "$channel: $total fen came");
    soon('an alarm', sub { alarms_of($id) });
    isnt(row($id)->{state}, 2, 'nothing is paid');
    return $id;
}


sub refunds_there {
    my ($id) = @_;
    return grep { $_->{trade} eq $id }
        RushTest::Provider::all(RushTest::Provider::dir($t), 'refund');
}


sub books_of {
    my ($txn) = @_;
    return join ' ', map { "$_->{account} $_->{amount}" }
        $t->sql('SELECT * FROM ledger WHERE txn = ? ORDER BY account', $txn);
}


# what must be true when $sum has gone back of this payment, once

sub is_back {
    my ($id, $refund, $sum, $provider) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    refund_is($t, $refund, 4, 'the money is back');

    my $p = row($id);
    my $no = $p->{order_no};

    is(join(' ', @$p{qw(state amount refunded returned cause)}),
       "7 $sum $sum $sum $sum fen came, 1000 were asked for", 'the payment');
    is($p->{transaction_id}, RushTest::Provider::trade($t, $id)->{id},
       'its transaction');
    is(join(' ', map { "$_->{no} $_->{amount}" } refunds_there($id)),
       "R$refund $sum", 'the provider counts one refund, of what came');
    is(books_of("p:$id"), "order:$no -$sum provider:$provider $sum",
       'booked as it came');
    is(books_of("r:$refund"), "order:$no $sum provider:$provider -$sum",
       'and as it went');
    is(join(' ', map { $_->{state} } $m->told(payment_id => $id,
            kind => 'pay')), '3', 'the notice stays what it is');
}


subtest 'WeChat Pay' => sub {
    foreach my $sum (600, 1700) {
        my $id = odd('wechat_native', $sum, order => { user_id => 17 });
        my $no = row($id)->{order_no};

        my $r = give($id, amount => 1000);
        is(told($r) . ' ' . data($r)->{left}, "200 40006 $sum",
           'not what was asked for');

        $r = give($id, amount => $sum, key => "give.$id");
        is(told($r), '200 0', 'decided') or diag($r->{body});
        my $refund = data($r)->{id};
        ok((grep { $_->{kind} eq 'query' } $m->told(payment_id => $id)),
           'the provider was asked first');

        refund_is($t, $refund, 3, 'the provider is at it');
        my $asked = alarms_of($id);

        # as often as one likes
        is(data(give($id, amount => $sum, key => "give.$id"))->{id}, $refund,
           'the same');
        is(data(give($id))->{id}, $refund, 'also without the key');
        is(told($t->post("/api/v1/admin/refunds/$refund/retry", {},
                         admin => 1)), '200 40007', 'nothing has failed');

        is(RushTest::Provider::settle($t, "R$refund", 'SUCCESS')->{status},
           200, 'its notice');
        is_back($id, $refund, $sum, 'wechat');
        is(data(give($id))->{state_text}, 'done', 'asked again: done');

        # what still comes changes nothing
        RushTest::Provider::deliver($t, RushTest::Provider::notice($t, $id));
        soon('known by now', sub { grep { $_->{state} == 2 }
            $m->told(payment_id => $id) });
        is(alarms_of($id), $asked, 'no alarm more');
        is(row($id)->{state}, 7, 'as it was');

        # the order waits, and can be paid
        is(order_of($id)->{status}, 1, 'the order is not paid');
        my $next = $m->pay($no, by => 'wechat', channel => 1, state => 0,
                           params => '');
        hint($t, $next);
        becomes($t, $next, 1, 'another payment');
        RushTest::Provider::pay($t, $next);
        becomes($t, $next, 2, 'is paid');
        is(order_of($next)->{status}, 2, 'and the order');
    }

    $m->idle();
    $m->books();
};


subtest 'Alipay' => sub {
    foreach my $sum (1, 1001) {
        my $id = odd('alipay_precreate', $sum);
        my $r = give($id);
        is(told($r), '200 0', 'decided') or diag($r->{body});
        is_back($id, data($r)->{id}, $sum, 'alipay');
    }

    $m->idle();
    $m->books();
};


subtest 'after the deadline' => sub {
    my $id = odd('wechat_native', 5);

    $t->do('UPDATE payment SET deadline_ms = 1, next_ms = 0 WHERE id = ?',
           $id);
    hint($t, $id);
    becomes($t, $id, 3, 'it cannot be closed');

    my $r = give($id);
    is(told($r), '200 0', 'given back') or diag($r->{body});
    refund_is($t, data($r)->{id}, 3, 'sent');
    RushTest::Provider::settle($t, 'R' . data($r)->{id}, 'SUCCESS');
    is_back($id, data($r)->{id}, 5, 'wechat');

    # nobody asks about it any more
    $id = odd('wechat_native', 6);
    $m->close($id);
    $r = give($id);
    refund_is($t, data($r)->{id}, 3, 'one that was given up');
    RushTest::Provider::settle($t, 'R' . data($r)->{id}, 'SUCCESS');
    is_back($id, data($r)->{id}, 6, 'wechat');
    $m->books();
};


subtest 'the provider knows better' => sub {
    # a notice that is wrong, of a trade that is right
    my $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'open');
    RushTest::Provider::pay($t, $id, total => 7);
    soon('an alarm', sub { alarms_of($id) });

    my $r = give($id);
    is(told($r), '200 40002', 'not given back') or diag($r->{body});
    is(data($r)->{state_text}, 'paid', 'it is paid');
    is(order_of($id)->{status}, 2, 'and its order');
    is(scalar(refunds_there($id)), 0, 'nothing goes back');

    # it was paid between the decision and the promise
    $id = odd('wechat_native', 8);
    $m->close($id);
    $t->stop('consumer');
    $r = give($id);
    is(told($r), '200 0', 'decided');
    my $refund = data($r)->{id};
    $t->do("UPDATE payment SET state = 5, cause = 'x' WHERE id = ?", $id);
    $t->do('UPDATE payment_notice SET amount = 9 WHERE payment_id = ?', $id);
    $t->start('consumer');
    refund_is($t, $refund, 6, 'nobody has told of this sum');
    is($m->row('refund', $refund)->{cause}, 'notice', 'cause');
    is(row($id)->{state}, 5, 'the payment stays');
    $t->do('UPDATE payment_notice SET amount = 8 WHERE payment_id = ?', $id);

    $r = $t->post("/api/v1/admin/refunds/$refund/retry", {}, admin => 1);
    is(told($r), '200 0', 'once more');
    refund_is($t, $refund, 3, 'sent');
    RushTest::Provider::settle($t, "R$refund", 'SUCCESS');
    is_back($id, $refund, 8, 'wechat');
    $m->books();
};


# from there on it is nothing to the consumer

subtest 'an operator has dealt with it' => sub {
    my $open = sub {
        my $r = $t->get('/api/v1/admin/notices', admin => 1);
        return map { $_->{id} } @{data($r)->{list}};
    };
    my $close = sub {
        my $r = $t->post("/api/v1/admin/notices/$_[0]/close",
                         { reason => 'paid back by hand' }, admin => 1);
        is(told($r) . ' ' . (data($r)->{state_text} // ''), '200 0 closed',
           'closed') or diag($r->{body});
    };

    # between the decision and the promise, it went back another way
    my $id = odd('wechat_native', 77);
    $m->close($id);
    $t->stop('consumer');
    my $refund = data(give($id))->{id};
    my @told = map { $_->{id} } $m->told(payment_id => $id, state => 3);
    cmp_ok(scalar @told, '>=', 1, 'somebody has to look');
    foreach my $n (@told) {
        is(scalar(grep { $_ == $n } $open->()), 1, 'listed');
        $close->($n);
    }
    $t->start('consumer');
    refund_is($t, $refund, 6, 'nothing is sent');
    is($m->row('refund', $refund)->{cause}, 'notice', 'cause');
    is(scalar(refunds_there($id)), 0, 'the provider was not asked');
    is(row($id)->{state}, 4, 'the payment stays');

    # nobody's money, and its payment comes after all
    my $stray = RushTest::Money::id();
    my %same = (id => "stray.$stray", paid_ms => int(time()) * 1000);
    $m->notice($stray, %same);
    $m->idle();
    my ($n) = $m->told(notice_key => "stray.$stray");
    soon('an alarm', sub {
        $t->value('SELECT told FROM payment_notice WHERE id = ?', $n->{id})
    });
    is(($t->reconcile())[0], 1, 'reconcile finds it');
    is(scalar(grep { $_ == $n->{id} } $open->()), 1, 'listed');
    $close->($n->{id});
    $m->books('and no more');

    my $no = $m->order();
    $m->pay($no, id => $stray, by => 'sandbox');
    $m->notice($stray, %same);
    $m->idle();

    # a sweep ends with another early one, which was there later
    my $later = RushTest::Money::id();
    my $other = $m->order();
    $m->notice($later, amount => 1000);
    $m->idle();
    $m->pay($other, id => $later);
    $m->wait('the sweeper was here', $later, 2);

    is(row($stray)->{state}, 1, 'it is not paid by that');
    ($n) = $m->told(notice_key => "stray.$stray");
    is("$n->{state} $n->{times}", '5 2', 'it came again, and was counted');
    is(scalar(grep { $_ == $n->{id} } $open->()), 0, 'nobody has to look');
    $m->books();
};


subtest 'dies in between' => sub {
    foreach my $point (qw(K2 K8 K4 T2 T3)) {
        my $id = odd('wechat_native', 321);
        $m->close($id);

        $t->failpoint($point, 'kill', 1);
        my $r = give($id);
        is(told($r), '200 0', 'decided') or diag($r->{body});
        soon("$point kills", sub { !$t->running('consumer') });
        $t->failpoint($point, 'off');
        $t->start('consumer');

        my $refund = data($r)->{id};
        refund_is($t, $refund, 3, 'sent', 30);
        RushTest::Provider::settle($t, "R$refund", 'SUCCESS');
        is_back($id, $refund, 321, 'wechat');
    }

    $m->books();
};


is(scalar(RushTest::Provider::bad($t)), 0, 'ours are all good');

$t->finish();
done_testing();
