#!/usr/bin/perl

# Copyright (C) Rush
#
# Payments as buyers ask about and close them, and the sandbox.  Nobody serves
# them here: the rows that the consumer would change are changed by the test.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Buyer;
use Test::More;
use Time::HiRes qw(sleep time);

# below what a request waits for the consumer, which is seen to be longer
my $AT_ONCE = $RushTest::SLOW > 1 ? 1.7 : 1;

my $t = RushTest->new(
    consumer => 0,
    nginx => { extra_http => 'seckill_pay_channels wechat_native wechat_jsapi '
                   . 'wechat_h5 alipay_page sandbox;' },
);

RushTest::Buyer::begin($t, 650_000);


subtest 'status' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $id = payment(order_no => $no);
    my $d = data(status($id, $user));

    is($d->{state_text}, 'open', 'open');
    is_deeply($d->{params}, { a => 1 }, 'params');
    is(told(status($id, user())), '404 4', 'of another');
    is(told(status($_, $user)), '404 4', "unknown: $_")
        foreach $id + 1, 'x', 0, '-1', '9' x 30;
    is(told($t->get("/api/v1/payment/$id/status")), '401 6', 'nobody');
    is(told(status($id, $user, '?sync=x')), '400 2', 'sync');

    my @names = qw(asked open paid closing closed failed late returned);
    foreach my $state (0 .. 7) {
        change($id, state => $state);
        $d = data(status($id, $user));
        is("$d->{state} $d->{state_text}", "$state $names[$state]",
           $names[$state]);
        is(exists $d->{params} ? 1 : 0, $state == 1 ? 1 : 0, 'params');
        is(exists $d->{poll} ? 1 : 0, $state =~ /[0136]/ ? 1 : 0, 'poll');
        is(exists $d->{cause} ? 1 : 0, $state == 5 ? 1 : 0, 'cause');
    }

    # params that are none are left out
    change($id, state => 1, params => $_) foreach '', '"x"', '[1]';
    ok(!exists data(status($id, $user))->{params}, 'no object');
};


subtest 'status, the provider is asked' => sub {
    local $RushTest::Mode::still = 1;
    my $user = user();
    my $no = order(user_id => $user);
    my $id = payment(order_no => $no);
    my $before = row($id);

    # nobody listens: what is known, after a while
    my $start = time();
    my $r = status($id, $user, '?sync=1');
    is(told($r) . ' ' . data($r)->{state}, '200 0 1', 'what is known');
    cmp_ok(time() - $start, '>', 1.8, 'waits');
    cmp_ok(time() - $start, '<', 2.6 * $RushTest::SLOW, 'not for long');
    my $after = row($id);
    cmp_ok(abs($after->{next_ms} - now()), '<', 20_000, 'to be asked now');
    is($after->{version}, $before->{version}, 'nothing else');
    ok((grep { $_ eq "pay $id" } hints()), 'a hint');

    # once in three seconds
    $start = time();
    is(data(status($id, $user, '?sync=1'))->{state}, 1, 'again');
    cmp_ok(time() - $start, '<', $AT_ONCE, 'at once');
    is(row($id)->{next_ms}, $after->{next_ms}, 'not asked again');

    # asked, nothing new
    change($id, updated_ms => 1);
    my $answer = later(sub { status($id, $user, '?sync=1') });
    $t->wait_for(sub { row($id)->{updated_ms} > 1 }, 3, 'the question');
    $start = time();
    change($id, next_ms => now() + 60_000);     # and the version
    is(data($answer->())->{state}, 1, 'still open');
    cmp_ok(time() - $start, '<', $AT_ONCE, 'answered at once');

    # asked, paid
    change($id, updated_ms => 1);
    $answer = later(sub { status($id, $user, '?sync=1') });
    $t->wait_for(sub { row($id)->{updated_ms} > 1 }, 3, 'the question');
    change($id, state => 2, paid_ms => now());
    is(data($answer->())->{state_text}, 'paid', 'paid');

    # nothing to ask about
    foreach my $state (0, 2 .. 7) {
        change($id, state => $state, updated_ms => 1, next_ms => 5);
        $start = time();
        is(data(status($id, $user, '?sync=1'))->{state}, $state,
           "state $state");
        cmp_ok(time() - $start, '<', $AT_ONCE, 'at once');
        is(row($id)->{next_ms}, 5, 'as it was');
    }

    is(told(status($id, user(), '?sync=1')), '404 4', 'of another');
};


subtest 'close' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $id = payment(order_no => $no, tries => 4, updated_ms => 1);

    is(told(close_it($id, user())), '404 4', 'of another');
    is(told(close_it($_, $user)), '404 4', "unknown: $_")
        foreach $id + 1, 'x', 0;
    is(row($id)->{state}, 1, 'nothing happened');

    # nobody listens
    my $start = time();
    my $r = close_it($id, $user);
    is(told($r), '202 11', 'not known yet');
    is(data($r)->{payment_id}, $id, 'which one');
    cmp_ok(time() - $start, '>', 1.8, 'waits');
    my $p = row($id);
    is("$p->{state} $p->{tries}", '3 0', 'closing');
    cmp_ok(abs($p->{next_ms} - now()), '<', 20_000, 'to be looked at now');
    ok((grep { $_ eq "close $id" } hints()), 'a hint');

    # again, and it is closed meanwhile
    my $answer = later(sub { close_it($id, $user) });
    sleep 0.2;
    is(row($id)->{version}, $p->{version}, 'closing once');
    change($id, state => 4, closed_ms => now());
    $r = $answer->();
    is(told($r) . ' ' . data($r)->{state_text}, '200 0 closed', 'closed');
    is(told(close_it($id, $user)), '200 0', 'again: the same');

    # then another one may begin
    $answer = later(sub { create($no, $user) });
    my $next = serve($no, state => 1);
    is(data($answer->())->{id}, $next->{id}, 'another payment');

    # paid meanwhile
    $answer = later(sub { close_it($next->{id}, $user) });
    $t->wait_for(sub { row($next->{id})->{state} == 3 }, 3, 'closing');
    change($next->{id}, state => 2);
    $r = $answer->();
    is(told($r), '200 40002', 'too late');
    is(data($r)->{state_text}, 'paid', 'told');

    foreach my $state (2, 6, 7) {
        change($id, state => $state);
        is(told(close_it($id, $user)), '200 40002', "state $state");
        is(row($id)->{state}, $state, 'as before');
    }

    change($id, state => 5);
    is(told(close_it($id, $user)), '200 0', 'what has failed is over');

    # before the consumer has seen it
    $no = order(user_id => $user);
    $id = payment(order_no => $no, state => 0);
    $answer = later(sub { close_it($id, $user) });
    ok($t->wait_for(sub { row($id)->{state} == 3 }, 3, 'closing'), 'asked');
    change($id, state => 4);
    is(told($answer->()), '200 0', 'closed');
};


subtest 'sandbox' => sub {
    my $user = user();
    my $no = order(user_id => $user);
    my $id = payment(order_no => $no);
    my $rd = $t->redis();
    my $pay = sub {
        my ($id, $who, %o) = @_;
        return $t->post("/api/v1/payment/sandbox/$id/pay", \%o,
                        user => $who);
    };
    my $notices = sub {
        return map { +{ @{$_->[1]} } } @{$rd->xrange('{rush}pay', '-', '+')
                                         || []};
    };
    my $trade = sub {
        my ($p) = @_;
        $t->insert('sandbox_trade', payment_id => $p, amount => 600,
                   created_ms => now());
    };

    is(told($pay->($id, $user)), '200 40002', 'no trade yet');
    $trade->($id);
    is(told($pay->($id, user())), '404 4', 'of another');
    is(told($pay->($_, $user)), '404 4', "unknown: $_")
        foreach $id + 1, 'x', 0;
    is(told($pay->($id, $user, fault => $_)), '400 2', "fault $_")
        foreach 'x', 'LOST', 'losts';
    is(told($pay->($id, $user, late_ms => 60_001)), '400 2', 'too late');
    is(scalar($notices->()), 0, 'nothing is told');

    my $r = $pay->($id, $user);
    is(told($r), '200 0', 'paid') or diag($r->{body});
    is(data($r)->{notice}, 'sent', 'told');
    my ($n) = $notices->();
    is("$n->{p} $n->{k} $n->{n}", "sandbox pay sbx$id", 'the notice');
    cmp_ok(abs($n->{r} - now()), '<', 20_000, 'when');
    my $b = JSON::PP->new->decode($n->{b});
    is_deeply($b, { out_trade_no => "$id", transaction_id => "SBX$id",
        trade_type => 'SANDBOX', trade_state => 'SUCCESS',
        success_time => data($r)->{paid_at},
        amount => { total => 600, currency => 'CNY' } }, 'its body');
    is(row($id)->{state}, 1, 'the payment is the consumer\'s');
    is(told($pay->($id, $user)), '200 40002', 'once');
    is(scalar($notices->()), 1, 'one notice');

    my %faults = (none => [1, 600], lost => [0], twice => [2, 600],
                  wrong_amount => [1, 601]);
    foreach my $fault (sort keys %faults) {
        $rd->del('{rush}pay');
        my $id = payment(order_no => order(user_id => $user));
        $trade->($id);
        $r = $pay->($id, $user, fault => $fault);
        is(told($r) . ' ' . data($r)->{notice},
           '200 0 ' . ($fault eq 'lost' ? 'lost' : 'sent'), $fault);
        my @n = $notices->();
        is(scalar @n, $faults{$fault}[0], 'notices');
        is(JSON::PP->new->decode($_->{b})->{amount}{total},
           $faults{$fault}[1], 'amount') foreach @n;
        is(join(' ', map { $_->{n} } @n), join(' ', ("sbx$id") x @n), 'keys');
    }

    $rd->del('{rush}pay');
    $id = payment(order_no => order(user_id => $user));
    $trade->($id);
    my $start = time();
    is(told($pay->($id, $user, late_ms => 400)), '200 0', 'late');
    cmp_ok(time() - $start, '>', 0.39, 'it took its time');
    my @n = $notices->();
    is(scalar @n, 1, 'told');
    cmp_ok($n[0]{r} - $t->value('SELECT paid_ms FROM sandbox_trade '
                                . 'WHERE payment_id = ?', $id), '>=', 399,
           'when');

    # thirty at once, and one that belongs to WeChat
    $rd->del('{rush}pay');
    $id = payment(order_no => order(user_id => $user));
    $trade->($id);
    my @r = $t->burst([map { { method => 'POST', user => $user, data => {},
        path => "/api/v1/payment/sandbox/$id/pay" } } 1 .. 30], sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'paid once');
    is(scalar(grep { $_->{code} == 40002 } @r), 29, 'the others not');
    is(scalar($notices->()), 1, 'told once');

    $id = payment(order_no => order(user_id => $user), channel => 1);
    $trade->($id);
    is(told($pay->($id, $user)), '404 4', 'of WeChat');

    $id = payment(order_no => order(user_id => $user));
    $trade->($id);
    $t->do('UPDATE sandbox_trade SET state = 2 WHERE payment_id = ?', $id);
    is(told($pay->($id, $user)), '200 40002', 'closed');
};


subtest 'channels in the configuration' => sub {
    my $dir = "$t->{dir}/nginx";
    my $try = sub {
        my ($line) = @_;
        my $env = $t->daemon('nginx')->{env};
        local @ENV{keys %$env} = values %$env;

        $t->configure_nginx('nginx', { extra_http => $line });
        my $out = `$RushTest::NGINX -t -p $dir/ -c $dir/nginx.conf 2>&1`;
        return $? == 0 ? 'ok' : ($out =~ /emerg\] (?:\d+#\d+: )?(.*?) in /)[0];
    };

    is($try->(''), 'ok', 'none');
    is($try->('seckill_pay_channels wechat_native wechat_jsapi wechat_h5 '
              . 'alipay_page alipay_wap alipay_precreate wallet sandbox;'),
       'ok', 'all');
    is($try->('seckill_pay_channels cash;'), 'there is no channel "cash"',
       'one');
    is($try->('seckill_pay_channels sandbox sandbox;'),
       'channel "sandbox" is given twice', 'twice');
    is($try->('seckill_pay_channels sandbox; seckill_pay_channels wallet;'),
       '"seckill_pay_channels" directive is duplicate', 'two lines');
    like($try->('seckill_pay_channels;'), qr/number of arguments/, 'empty');

    return if !RushTest::Mode::has_master();

    # nothing is offered without it
    $t->configure_nginx('nginx', {});
    ok($t->reload('nginx'), 'reloaded');
    my $user = user();
    my $no = order(user_id => $user);
    is(told(create($no, $user, $_)), '200 40003', $_)
        foreach qw(wechat_native sandbox);
    my $id = payment(order_no => $no);
    $t->insert('sandbox_trade', payment_id => $id, amount => 600,
               created_ms => now());
    is(told($t->post("/api/v1/payment/sandbox/$id/pay", {}, user => $user)),
       '404 4', 'no sandbox');
    is($t->value('SELECT state FROM sandbox_trade WHERE payment_id = ?', $id),
       0, 'not paid');
};


$t->finish();
done_testing();
