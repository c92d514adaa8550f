#!/usr/bin/perl

# Copyright (C) Rush
#
# Payments by the names that clients of WeChat Pay know: the same rows and the
# same answers as by the names of payments, code by code.  Nobody serves them:
# what the consumer would do is done by the test.  The notices are in
# t/66-notices.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Pay;
use Test::More;

my $t = RushTest->new(
    consumer => 0, proxy => ['nginx_mysql'],
    nginx => { extra_http => 'seckill_pay_channels wechat_native wechat_jsapi '
                   . 'alipay_page sandbox;' },
);

my $BASE = '/api/v1/pay/wechat';
my $serial = 720_000;

sub user { return ++$serial }

sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }

sub now { return RushTest::Pay::now_ms() }

sub order { return RushTest::Pay::order($t, user_id => shift, @_) }

sub payment {
    my ($user, %o) = @_;
    return RushTest::Pay::payment($t, channel => 1, %o,
                                  order_no => $o{order_no} // order($user));
}

sub paid { return RushTest::Pay::paid($t, order_no => order($_[0])) }

sub row { return RushTest::Pay::row($t, 'payment', $_[0]) }

sub later { return RushTest::Pay::later($t, @_) }

sub unified {
    my ($no, $user, %data) = @_;
    return $t->post("$BASE/unified-order", { order_id => $no, %data },
                    user => $user);
}

sub query {
    my ($id, $user, $args) = @_;
    return $t->get("$BASE/query?payment_id=$id" . ($args // ''),
                   user => $user);
}

sub close_it {
    my ($id, $user) = @_;
    return $t->post("$BASE/close", { payment_id => "$id" }, user => $user);
}

sub refund {
    my ($id, $user, %data) = @_;
    return $t->post("$BASE/refund", { payment_id => "$id", reason => 'small',
                                      %data }, user => $user);
}

sub change {
    my ($id, %set) = @_;
    my @names = sort keys %set;
    $t->do('UPDATE payment SET ' . join(', ', map { "$_ = ?" } @names)
           . ', version = version + 1 WHERE id = ?', @set{@names}, $id);
}


# what the consumer would do, as soon as there is something to do

sub serve {
    my ($no, %set) = @_;

    my $p;

    $t->wait_for(sub {
        ($p) = $t->sql('SELECT * FROM payment WHERE order_no = ? '
                       . 'AND state = 0', $no);
        return $p;
    }, 5, 'a payment that is asked for') or return;

    change($p->{id}, %set);
    return $p->{id};
}


subtest 'unified-order' => sub {
    my $user = user();
    my $no = order($user);
    my $answer = later(sub { unified($no, $user) });
    my $id = serve($no, state => 1, params => '{"code_url":"weixin://x"}');
    my $r = $answer->();

    is(told($r), '200 0', 'open') or diag($r->{body});
    is(join(' ', @{data($r)}{qw(id order_no channel amount)}),
       "$id $no wechat_native 600", 'native, when nothing is said');
    is(data($r)->{params}{code_url}, 'weixin://x', 'what the client needs');

    # the same object by both names
    my $other = $t->post('/api/v1/payment/create', { order_id => $no,
        channel => 'wechat_native' }, user => $user);
    is_deeply(data($other), data($r), 'the same by payment/create');
    is_deeply(data(unified($no, $user, channel => 'wechat_native')), data($r),
              'and with its channel');

    # every code
    is(told(unified($no, user())), '404 4', 'of another');
    is(told(unified($_, $user)), '404 4', "unknown: $_")
        foreach RushTest::Pay::number(0), 'x', "$no-1";
    is(told(unified($no, $user, channel => $_)), '200 40003', "channel $_")
        foreach qw(wechat_h5 alipay_page sandbox wallet x);
    is(told($t->post("$BASE/unified-order", {}, user => $user)), '400 2',
       'no order');
    is(told($t->post("$BASE/unified-order", { order_id => $no })), '401 6',
       'nobody');

    is(told(unified(order($user), $user, channel => 'wechat_jsapi')),
       '200 40005', 'nobody knows who pays');
    is(told(unified(order($user, status => 5), $user)), '200 30001',
       'cancelled');
    is(told(unified(order($user, amount => 0, price => 0), $user)),
       '200 40008', 'nothing to pay');
    is(told(unified($no, $user, address_id => '5')), '200 30004',
       'no such address');

    my $coming = RushTest::Pay::number(0);
    $t->redis()->set("{rush}o:$coming", $user);
    is(told(unified($coming, $user)), '409 30002', 'on its way');

    my $busy = order($user);
    RushTest::Pay::payment($t, order_no => $busy, channel => 8);
    $r = unified($busy, $user);
    is(told($r), '200 40001', 'another one is open');

    foreach ([5, '200 40004'], [4, '200 40002']) {
        my ($state, $want) = @$_;
        my $next = order($user);
        $answer = later(sub { unified($next, $user) });
        serve($next, state => $state);
        is(told($answer->()), $want, "state $state meanwhile");
    }

    $r = unified(order($user), $user);
    is(told($r), '202 11', 'nobody answers');
    like(data($r)->{poll}, qr{^/api/v1/payment/\d+/status$}, 'where to ask');
};


subtest 'query' => sub {
    my $user = user();
    my $id = payment($user);
    my $r = query($id, $user);

    is(told($r), '200 0', 'found') or diag($r->{body});
    is_deeply(data($r), data($t->get("/api/v1/payment/$id/status",
                                     user => $user)), 'as its status');
    is(told(query($id, user())), '404 4', 'of another');
    is(told(query($id + 1, $user)), '404 4', 'unknown');
    is(told(query($_, $user)), '400 2', "no id: \"$_\"")
        foreach '', 'x', 0, '-1', '9' x 30;
    is(told($t->get("$BASE/query", user => $user)), '400 2', 'none');
    is(told($t->get("$BASE/query?payment_id=$id")), '401 6', 'nobody');

    change($id, updated_ms => 1);
    my $answer = later(sub { query($id, $user, '&sync=1') });
    $t->wait_for(sub { row($id)->{updated_ms} > 1 }, 3, 'the question');
    change($id, state => 2, paid_ms => now());
    is(data($answer->())->{state_text}, 'paid', 'the provider was asked');
};


subtest 'close' => sub {
    my $user = user();
    my $id = payment($user);

    is(told(close_it($id, user())), '404 4', 'of another');
    is(told(close_it($id + 1, $user)), '404 4', 'unknown');
    is(told($t->post("$BASE/close", $_, user => $user)), '400 2', 'no id')
        foreach {}, { payment_id => 'x' }, { payment_id => "$id.5" };
    is(told($t->post("$BASE/close", { payment_id => "$id" })), '401 6',
       'nobody');
    is(row($id)->{state}, 1, 'as before');

    is(told(close_it($id, $user)), '202 11', 'nobody answers');
    my $answer = later(sub { close_it($id, $user) });
    $t->wait_for(sub { row($id)->{state} == 3 }, 3, 'closing');
    change($id, state => 4);
    my $r = $answer->();
    is(told($r) . ' ' . data($r)->{state_text}, '200 0 closed', 'closed');

    change($id, state => 2);
    is(told(close_it($id, $user)), '200 40002', 'paid before that');
};


subtest 'refund' => sub {
    my $user = user();
    my $id = paid($user);
    my $r = refund($id, $user, amount => 200);

    is(told($r), '200 0', 'asked for') or diag($r->{body});
    is(join(' ', @{data($r)}{qw(payment_id amount state_text origin)}),
       "$id 200 requested user", 'an administrator decides');
    is_deeply(data($t->get("/api/v1/payment/$id/refunds", user => $user)),
              [data($r)], 'in its list');
    $r = refund($id, $user, amount => 401);
    is(told($r) . ' ' . data($r)->{left}, '200 40006 400', 'too much');
    is(data(refund($id, $user))->{amount}, 400, 'all that is left');

    is(told(refund(paid($user), user())), '404 4', 'of another');
    is(told(refund($id + 1, $user)), '404 4', 'unknown');
    is(told(refund(payment($user), $user)), '200 40002', 'not paid');
    my $other = paid($user);
    $t->do('UPDATE orders SET payment_id = 5 WHERE payment_id = ?', $other);
    is(told(refund($other, $user)), '200 30001', 'of another payment');
    is(told($t->post("$BASE/refund", { payment_id => "$id" },
                     user => $user)), '400 2', 'no reason');
    is(told($t->post("$BASE/refund", { reason => 'x' }, user => $user)),
       '400 2', 'no payment');
    is(told($t->post("$BASE/refund", { payment_id => "$id",
                                       reason => 'x' })), '401 6', 'nobody');
};


subtest 'without MySQL' => sub {
    my $user = user();
    my $id = payment($user);
    my $paid = paid($user);
    my $no = order($user);
    my %q = (order => sub { unified($no, $user) },
             query => sub { query($id, $user) },
             close => sub { close_it($id, $user) },
             refund => sub { refund($paid, $user) });

    $t->proxy('nginx_mysql')->refuse();
    $t->wait_for(sub { told(query($id, $user)) eq '503 3' }, 5, 'busy');
    is(told($q{$_}->()), '503 3', $_) foreach sort keys %q;
    $t->proxy('nginx_mysql')->pass();

    ok($t->wait_for(sub { told(query($id, $user)) eq '200 0' }, 10, 'MySQL'),
       'it is back');
    is(row($id)->{state}, 1, 'nothing was done');
};


$t->finish();
done_testing();
