#!/usr/bin/perl

# Copyright (C) Rush
#
# Payments as buyers start them.  Nobody serves them here: the rows that the
# consumer would change are changed by the test.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Buyer;
use RushTest::Pay;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    consumer => 0,
    nginx => { extra_http => 'seckill_pay_channels wechat_native wechat_jsapi '
                   . 'wechat_h5 alipay_page sandbox;' },
);

my $MEMBERS = 'amount channel closed_at created_at currency id order_no '
    . 'paid_at pay_deadline pay_deadline_ms refunded returned state '
    . 'state_text';

RushTest::Buyer::begin($t, 650_000);


subtest 'created' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $answer = later(sub { create($no, $user) });
    my $p = serve($no, state => 1, params => '{"code_url":"weixin://x"}');
    my $r = $answer->();
    my $d = data($r);

    is(told($r), '200 0', 'open') or diag($r->{body});
    is(join(' ', sort keys %$d),
       join(' ', sort split(' ', $MEMBERS), qw(params poll poll_after_ms)),
       'members');
    is(join(' ', @$d{qw(id order_no channel amount currency state state_text)},
            $d->{params}{code_url}),
       "$p->{id} $no wechat_native 600 CNY 1 open weixin://x", 'values');
    is($d->{poll}, "/api/v1/payment/$d->{id}/status", 'where to ask');
    is($d->{paid_at}, undef, 'not paid');

    is(join(' ', @$p{qw(user_id provider channel amount subject payer
                        client_ip state params refunded returned tries)}),
       "$user 1 1 600 Cup  127.0.0.1 0  0 0 0", 'the row');
    my ($order) = $t->sql('SELECT * FROM orders WHERE order_no = ?', $no);
    is($p->{deadline_ms}, $order->{pay_deadline_ms}, 'its deadline');
    is($order->{version}, 1, 'the order is as it was');
    cmp_ok(abs($p->{next_ms} - now()), '<', 20_000, 'to be looked at now');

    ok($t->wait_for(sub { grep { $_ eq "pay $d->{id}" } hints() }, 3, 'hint'),
       'a hint');

    # again: the same, at once; and the row tells
    my $again = create($no, $user);
    is_deeply(data($again), $d, 'again: the same');
    is_deeply(data(status($d->{id}, $user)), $d, 'the same by its status');
    is(scalar(payments_of($no)), 1, 'one row');

    # on another way: that one has to be closed first
    $r = create($no, $user, 'alipay_page');
    is(told($r), '200 40001', 'another channel');
    is_deeply(data($r), { payment_id => $d->{id}, state => 1,
                          state_text => 'open' }, 'which one');

    # by the path of the order
    $r = $t->post("/api/v1/orders/$no/pay", { channel => 'wechat_native' },
                  user => $user);
    is_deeply(data($r), $d, 'by the order');
    $r = $t->post("/api/v1/orders/$no/pay", { channel => 'sandbox' },
                  user => $user);
    is(told($r), '200 40001', 'another channel, by the order');
};


subtest 'by the order' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $answer = later(sub {
        $t->post("/api/v1/orders/$no/pay", { channel => 'sandbox' },
                 user => $user);
    });
    my $p = serve($no, state => 1, params => '{"pay":"x"}');
    my $r = $answer->();

    is(told($r), '200 0', 'open') or diag($r->{body});
    is(data($r)->{channel}, 'sandbox', 'channel');
    is("$p->{provider} $p->{channel}", '4 8', 'the row');
};


subtest 'nobody answers' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $start = time();
    my $r = create($no, $user);
    my $took = time() - $start;
    my ($p) = payments_of($no);

    is(told($r), '202 11', 'not known');
    is_deeply(data($r), { payment_id => $p->{id}, poll_after_ms => 1000,
                          poll => "/api/v1/payment/$p->{id}/status" },
              'where to ask');
    cmp_ok($took, '>', 1.8, 'waits');
    cmp_ok($took, '<', 2.6 * $RushTest::SLOW, 'not for long');

    $r = $t->get(data($r)->{poll}, user => $user);
    is(told($r), '200 0', 'its status');
    is(data($r)->{state_text}, 'asked');
    ok(!exists data($r)->{params}, 'nothing to pay with');

    # the second one waits for the first payment
    my $answer = later(sub { create($no, $user) });
    sleep 0.3;
    change($p->{id}, state => 1, params => '{"b":2}');
    $r = $answer->();
    is(told($r) . ' ' . data($r)->{id}, "200 0 $p->{id}", 'then it is open');
    is(scalar(payments_of($no)), 1, 'one row');
};


subtest 'refused by the provider' => sub {
    my %class = ('NO_AUTH mch 1900 is not allowed' => 'refused',
                 'the order waits no more' => 'too_late', '' => 'refused',
                 'the provider is not configured' => 'not_configured',
                 'the provider is not' => 'refused');

    foreach my $cause (sort keys %class) {
        my $user = user();
        my $no = order(user_id => $user);
        my $answer = later(sub { create($no, $user) });
        my $p = serve($no, state => 5, cause => $cause);
        my $r = $answer->();

        is(told($r), '200 40004', "failed: \"$cause\"");
        is_deeply(data($r), { payment_id => $p->{id}, state => 5,
                              state_text => 'failed',
                              cause => $class{$cause} }, 'its class only');
        is(data(status($p->{id}, $user))->{cause}, $class{$cause}, 'status');

        # the next try is another payment
        next if $cause ne '';
        $answer = later(sub { create($no, $user) });
        my $next = serve($no, state => 1);
        is(data($answer->())->{id}, $next->{id}, 'another one');
        isnt($next->{id}, $p->{id}, 'of its own');
    }
};


subtest 'closed while it waits' => sub {
    foreach my $state (3, 4) {
        my $user = user();
        my $no = order(user_id => $user);
        my $answer = later(sub { create($no, $user) });
        my $p = serve($no, state => $state);
        my $r = $answer->();
        is(told($r), '200 40002', "state $state");
        is(data($r)->{state}, $state, 'told');
    }

    # what is being closed is in the way of any other
    my $user = user();
    my $no = order(user_id => $user);
    my $id = payment(order_no => $no, channel => 1, state => 3);
    my $r = create($no, $user);
    is(told($r), '200 40001', 'closing');
    is_deeply(data($r), { payment_id => $id, state => 3,
                          state_text => 'closing' }, 'which one');
};


subtest 'paid while it waits' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $answer = later(sub { create($no, $user) });
    my $p = serve($no, state => 2, paid_ms => 1_700_000_000_000,
                  params => '{"x":1}');
    my $r = $answer->();

    is(told($r) . ' ' . data($r)->{state_text}, '200 0 paid', 'paid');
    ok(!exists data($r)->{params}, 'nothing to pay with any more');
    ok(!exists data($r)->{poll}, 'nothing to wait for');
    like(data($r)->{paid_at}, qr/^2023-11-14T/, 'when');
};


subtest 'refused' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $rows = $t->value('SELECT COUNT(*) FROM payment');

    is(told(create($no, user())), '404 4', 'of another');
    is(told(create($_, $user)), '404 4', "unknown: $_")
        foreach RushTest::Pay::number(0), RushTest::Pay::number(77), 'x',
            '1', '0-0', "$no-1", '9' x 40;
    is(told($t->post('/api/v1/payment/create', { order_id => $no,
                     channel => 'sandbox' })), '401 6', 'nobody');
    is(told($t->post("/api/v1/orders/$no/pay", { channel => 'sandbox' },
                     user => user())), '404 4', 'of another, by its path');
    is(told($t->post('/api/v1/orders/x/pay', { channel => 'sandbox' },
                     user => $user)), '404 4', 'no order');

    is(told(create($no, $user, $_)), '200 40003', "channel $_")
        foreach qw(alipay_wap alipay_precreate wallet cash WECHAT_NATIVE 1
                   wechat_nativ wechat_native2);
    is(told($t->post('/api/v1/payment/create', { order_id => $no },
                     user => $user)), '400 2', 'no channel');
    is(told($t->post('/api/v1/payment/create', { channel => 'sandbox' },
                     user => $user)), '400 2', 'no order');

    # the amount is ours
    my $answer = later(sub { create($no, $user, 'sandbox', amount => 1,
        price => 1, user_id => 5, state => 2, deadline_ms => 9) });
    my $p = serve($no, state => 1);
    is(data($answer->())->{amount}, 600, 'of our row');
    is("$p->{amount} $p->{user_id} $p->{state}", "600 $user 0", 'the row');

    foreach my $status (0, 2 .. 9) {
        my $no = order(user_id => $user, status => $status,
                       stock_state => 4);
        is(told(create($no, $user)), '200 30001', "status $status");
    }

    is(told(create(order(user_id => $user, stock_state => 1), $user)),
       '200 30001', 'units go back');
    is(told(create(order(user_id => $user, pay_deadline_ms => now() - 1),
                   $user)), '200 30001', 'too late');
    is(told(create(order(user_id => $user, amount => 0, price => 0), $user)),
       '200 40008', 'nothing to pay');
    is($t->value('SELECT COUNT(*) FROM payment'), $rows + 1, 'one row');

    # its payment is open until the consumer has closed it
    payment(order_no => my $over = order(user_id => $user, status => 5,
                                         stock_state => 1));
    is(told(create($over, $user)), '200 30001', 'cancelled, and still open');
};


subtest 'before the row' => sub {
    my ($user, $other) = (user(), user());
    my $rd = $t->redis();
    my $activity = 5001;
    my $no = RushTest::Pay::number($activity);
    my $old = RushTest::Pay::number($activity, now() - 10 ** 9);
    my $theirs = order(user_id => $other, activity_id => $activity,
                       order_no => RushTest::Pay::number($activity));

    $rd->hset("{a:$activity}u", $user, 1);
    is(told(create($no, $user)), '409 30002', 'it is being written');
    is(told(create($no, $other)), '404 4', 'nothing of another');
    is(told(create($old, $user)), '404 4', 'never was');
    is(told(create($theirs, $user)), '404 4', 'has a row, of another');

    # an ordinary one
    $no = RushTest::Pay::number(0);
    $rd->set("{rush}o:$no", $user);
    is(told(create($no, $user)), '409 30002', 'an ordinary one');
    is(told(create($no, $other)), '404 4', 'of another');
};


subtest 'who pays by WeChat' => sub {
    my $user = user();
    my $no = order(user_id => $user);

    is(told(create($no, $user, 'wechat_jsapi')), '200 40005', 'no account');

    $t->insert('user', id => $user, username => "u$user",
               password_hash => 'x', nickname => 'x', created_ms => 1,
               updated_ms => 1);
    is(told(create($no, $user, 'wechat_jsapi')), '200 40005', 'not bound');
    is(scalar(payments_of($no)), 0, 'no row');

    $t->do('UPDATE user SET wx_key = ? WHERE id = ?', 'wx12:oAbc-D_9', $user);
    my $answer = later(sub { create($no, $user, 'wechat_jsapi') });
    my $p = serve($no, state => 1);
    my $r = $answer->();
    is(told($r), '200 0', 'bound') or diag($r->{body});
    is($p->{payer}, 'oAbc-D_9', 'the openid');
    unlike($r->{body}, qr/oAbc/, 'not told');
};


subtest 'address' => sub {
    my $user = user();
    my $other = user();
    my %place = (province => 'P', city => 'C', district => 'D', slot => 0,
                 place => 1, created_ms => 1, updated_ms => 1);
    my ($mine, $foreign) = map { RushTest::Pay::id() } 1, 2;

    $t->insert('address', id => $mine, user_id => $user, receiver => 'Li "x"',
               mobile => '13812345678', detail => "Road\\1", postcode => '1',
               %place);
    $t->insert('address', id => $foreign, user_id => $other,
               receiver => 'Wu', mobile => '13912345678', detail => 'Canary',
               %place);

    my $no = order(user_id => $user);
    my $address = sub { JSON::PP->new->decode($t->value(
        'SELECT address FROM orders WHERE order_no = ?', $no) || '{}') };

    is(told(create($no, $user, undef, address_id => "$foreign")),
       '200 30004', 'of another');
    is(told(create($no, $user, undef, address_id => '5')), '200 30004',
       'of nobody');
    is(scalar(payments_of($no)), 0, 'no payment');
    is_deeply($address->(), {}, 'no address');

    payment(order_no => $no, channel => 1);
    is(told(create($no, $user, undef, address_id => "$mine")), '200 0',
       'set') ;
    my $set = $address->();
    is_deeply($set, { id => "$mine", tag => '', receiver => 'Li "x"',
        mobile => '13812345678', province => 'P', city => 'C',
        district => 'D', detail => 'Road\\1', postcode => '1' },
       'the address');

    $t->do("UPDATE address SET detail = 'Moved' WHERE id = ?", $mine);
    is(told(create($no, $user, undef, address_id => "$mine")), '200 0',
       'again');
    is_deeply($address->(), $set, 'what is set stays');

    # a stranger sets nothing
    my $theirs = order(user_id => $user);
    is(told(create($theirs, $other, undef, address_id => "$foreign")),
       '404 4', 'order of another');
    is($t->value('SELECT address FROM orders WHERE order_no = ?', $theirs),
       '', 'as before');
};


subtest 'thirty at once' => sub {
    foreach my $round (1 .. 3) {
        my $user = user();
        my $no = order(user_id => $user);
        my @channels = $round == 1 ? 'sandbox'
            : qw(sandbox wechat_native alipay_page);
        my $answers = later(sub {
            my @r = $t->burst([map { { method => 'POST',
                path => '/api/v1/payment/create', user => $user,
                data => { order_id => $no,
                          channel => $channels[$_ % @channels] } } }
                1 .. 30], sync => 1);
            return { body => JSON::PP->new->encode([map { $_->{json} } @r]) };
        });
        my $p = serve($no, state => 1);
        my @all = @{$answers->()->{json}};
        my %n;

        $n{$_->{code}}++ foreach @all;
        is($n{0}, @channels == 1 ? 30 : 10, "round $round: one way");
        is($n{40001} // 0, @channels == 1 ? 0 : 20, 'the others');
        is(scalar(grep { ($_->{data}{id} // $_->{data}{payment_id} // 0)
                         ne $p->{id} } @all), 0, 'all tell of the same');
        is(scalar(payments_of($no)), 1, 'one row');
    }
};


subtest 'close against create' => sub {
    foreach (1 .. 10) {
        my $user = user();
        my $no = order(user_id => $user);
        my $id = payment(order_no => $no, channel => 1);
        my $answers = later(sub {
            my @r = $t->burst([map { $_ % 2
                ? { method => 'POST', path => '/api/v1/payment/create',
                    user => $user, data => { order_id => $no,
                                             channel => 'wechat_native' } }
                : { method => 'POST', path => "/api/v1/payment/$id/close",
                    user => $user, data => {} } } 1 .. 10], sync => 1);
            return { body => JSON::PP->new->encode(
                [map { "$_->{status} $_->{code}" } @r]) };
        });

        $t->wait_for(sub { row($id)->{state} == 3 }, 3, 'closing');
        change($id, state => 4);
        my @all = @{$answers->()->{json}};
        my %n;

        $n{$_}++ foreach @all;
        my $open = grep { $_->{state} =~ /[013]/ } payments_of($no);
        cmp_ok($open, '<=', 1, 'one is open at most');
        is(join(' | ', grep { !/^(?:200 0|200 40001|202 11|200 40002)$/ }
                sort keys %n), '', 'answers');
        is(row($id)->{state}, 4, 'closed');
    }
};


$t->finish();
done_testing();
