#!/usr/bin/perl

# Copyright (C) Rush
#
# Idempotency-Key on what makes refunds: one key is one refund, also after the
# record of the first answer is gone.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Orders qw(user data told);
use RushTest::Pay;
use Test::More;

my $t = RushTest->new(nginx => { extra_http =>
    'seckill_pay_channels wechat_native;' });

RushTest::Orders::begin($t, 690_000);


sub replayed { return $_[0]{headers}{'idempotency-replayed'} // '' }

sub paid {
    return RushTest::Pay::paid($t, order_no =>
        RushTest::Pay::order($t, user_id => $_[0]));
}

sub ask {
    my ($id, $user, $key, %data) = @_;
    return $t->post("/api/v1/payment/$id/refund",
                    { reason => 'small', %data }, user => $user, key => $key);
}

sub refunds_of {
    return $t->value('SELECT COUNT(*) FROM refund WHERE payment_id = ?',
                     $_[0]);
}

# what was kept of answers

sub forget {
    my $rd = $t->redis();
    $rd->del($_) foreach $rd->keys('{rush}i:*');
}


subtest 'a buyer' => sub {
    my $user = user();
    my $id = paid($user);
    my $r = ask($id, $user, 'k1', amount => 100);
    my $refund = data($r)->{id};

    is(told($r) . replayed($r), '200 0', 'made') or diag($r->{body});
    $r = ask($id, $user, 'k1', amount => 100);
    is(told($r) . ' ' . replayed($r) . ' ' . data($r)->{id},
       "200 0 true $refund", 'the first answer');
    is(told(ask($id, $user, 'k1', amount => 101)), '422 14', 'another body');
    is(refunds_of($id), 1, 'one refund');
    is($t->value('SELECT req_id FROM refund WHERE id = ?', $refund), 'k1',
       'its key');

    # the record is gone, the row has the key
    forget();
    $r = ask($id, $user, 'k1', amount => 100);
    is(told($r) . ' ' . data($r)->{id}, "200 0 $refund", 'found');
    is(refunds_of($id), 1, 'one refund');
    forget();
    is(told(ask($id, $user, 'k1', amount => 5)), '422 14', 'another amount');
    forget();
    is(told(ask(paid($user), $user, 'k1', amount => 100)), '422 14',
       'another payment');
    forget();

    # all of it, when nothing is left any more
    $id = paid($user);
    $refund = data(ask($id, $user, 'k2'))->{id};
    forget();
    $r = ask($id, $user, 'k2');
    is(told($r) . ' ' . data($r)->{id}, "200 0 $refund", 'all that was left');

    # keys of two people are two keys
    my $other = user();
    my $theirs = paid($other);
    is(told(ask($theirs, $other, 'k1')), '200 0', 'of another');
};


subtest 'twenty at once' => sub {
    my $user = user();
    my $id = paid($user);
    my @r = $t->burst([map { { method => 'POST', user => $user, key => 'b',
        path => "/api/v1/payment/$id/refund",
        data => { amount => 100, reason => 'x' } } } 1 .. 20], sync => 1);
    my %n;

    $n{$_->{code}}++ foreach @r;
    is(join(' ', grep { !/^(?:0|15)$/ } sort keys %n), '', 'answers');
    is(scalar(keys %{{ map { $_->{json}{data}{id} => 1 }
                       grep { $_->{code} == 0 } @r }}), 1, 'one refund told');
    is(refunds_of($id), 1, 'one refund');
};


subtest 'an administrator' => sub {
    my $user = user();
    my $id = paid($user);
    my $make = sub {
        return $t->post("/api/v1/admin/payments/$id/refund",
            { reason => 'broken', amount => 100 }, admin => 1, key => 'a');
    };
    my $r = $make->();
    my $refund = data($r)->{id};

    is(told($r), '200 0', 'made') or diag($r->{body});
    is(data($make->())->{id}, $refund, 'again: the same');
    is(refunds_of($id), 1, 'one refund');
    is($t->value('SELECT req_id FROM refund WHERE id = ?', $refund), undef,
       'keys of the buyer stay his');
    is(told(ask($id, $user, 'a', amount => 100)), '200 0', 'such as this one');
};


# what came in another amount goes back once, whatever the key

subtest 'given back' => sub {
    my $id = RushTest::Pay::payment($t, state => 4, order_no =>
        RushTest::Pay::order($t, user_id => user()));
    my $give = sub {
        my ($key, %data) = @_;
        return $t->post("/api/v1/admin/payments/$id/give-back",
            { reason => 'too little', %data }, admin => 1, key => $key);
    };

    $t->insert('payment_notice', provider => 4, kind => 'pay', amount => 60,
               notice_key => "n$id", payment_id => $id, state => 3,
               transaction_id => "T$id", cause => 'amount', body => '{}',
               received_ms => 1);

    my $r = $give->('g1');
    my $refund = data($r)->{id};

    is(told($r) . replayed($r), '200 0', 'made') or diag($r->{body});
    $r = $give->('g1');
    is(replayed($r) . ' ' . data($r)->{id}, "true $refund", 'a copy');
    is(told($give->('g1', amount => 60)), '422 14', 'another body');
    is(data($give->('g2'))->{id}, $refund, 'another key');
    forget();
    is(data($give->('g1'))->{id}, $refund, 'when nothing is remembered');
    is(refunds_of($id), 1, 'one refund');
};


# the names of WeChat Pay

subtest 'other names' => sub {
    my $user = user();
    my $id = paid($user);
    my $ask = sub {
        my ($key, $amount) = @_;
        return $t->post('/api/v1/pay/wechat/refund', { amount => $amount,
            payment_id => "$id", reason => 'small' }, user => $user,
            key => $key);
    };
    my $r = $ask->('w1', 10);
    my $refund = data($r)->{id};

    is(told($r) . replayed($r), '200 0', 'made') or diag($r->{body});
    is(replayed($ask->('w1', 10)), 'true', 'a copy');
    is(told($ask->('w1', 11)), '422 14', 'another body');
    is(data(ask($id, $user, 'w1', amount => 10))->{id}, $refund,
       'the same key by the usual name');
    is(refunds_of($id), 1, 'one refund');

    my $no = RushTest::Pay::order($t, user_id => $user);
    my $open = RushTest::Pay::payment($t, order_no => $no, channel => 1);
    my $order = sub {
        return $t->post('/api/v1/pay/wechat/unified-order',
                        { order_id => $_[0] }, user => $user, key => 'w2');
    };
    is(data($order->($no))->{id}, $open, 'one that is open');
    is(replayed($order->($no)), 'true', 'a copy');
    is(told($order->(RushTest::Pay::order($t, user_id => $user))), '422 14',
       'of another order');
};


$t->finish();
done_testing();
