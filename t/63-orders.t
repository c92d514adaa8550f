#!/usr/bin/perl

# Copyright (C) Rush
#
# Ordinary orders over HTTP: the whole life of one, every refusal, request
# ids, lists, a hundred buyers at once.  What administrators do is
# t/63-orders-admin.t, the consumer's part t/63-orders-consumer.t.

use warnings;
use strict;

use FindBin;
use JSON::PP ();
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Orders;
use Test::More;

my $t = RushTest->new(
    consumer_conf => {
        consumer => { block => 50 },
        controller => { sweep => 50 },
        orders => { pay_seconds => 600 },
    },
    nginx => { workers => 2, extra_http => 'seckill_redeem_limit 1000;' },
);

RushTest::Orders::begin($t, 631000);


subtest 'the whole life' => sub {
    my $user = user();
    my $p = $t->product(title => 'Kettle', price => 450, stock => 10);
    my $a = address($user);
    my $r = place($p, $user, key => 'k1', data => {
        quantity => 2, address_id => "$a", remark => 'ring twice' });
    my $d = data($r);

    is(told($r), '200 0', 'ordered');
    like($d->{order_no}, qr/^\d+-0$/, 'number');
    is($d->{request_id}, 'k1', 'request');
    is("$d->{status} $d->{poll} $d->{poll_after_ms}",
       "queued /api/v1/seckill/results/$d->{order_no} 200", 'as a buy');
    my $no = $d->{order_no};

    ok($t->wait_for(sub {
        $r = $t->get($d->{poll}, user => $user);
        return data($r)->{status} eq 'success';
    }, 10, 'the row'), 'polled');
    is(data($r)->{amount}, 900, 'amount');

    $d = data(detail($no, $user));
    is(join(' ', @$d{qw(title quantity price amount status_text remark
                        paid_ms version)}),
       'Kettle 2 450 900 to_pay ring twice 0 1', 'detail');
    is_deeply($d->{address}, {
        receiver => 'Li', mobile => '13812345678', province => 'Gansu',
        city => 'Lanzhou', district => '', detail => 'Road 1',
        postcode => '' }, 'address');
    is_deeply($d->{log}, [], 'nothing has changed');
    ok(!exists $d->{activity_id} && !exists $d->{trade_code}
       && !exists $d->{carrier}, 'what it does not have');
    cmp_ok(abs($d->{pay_deadline_ms} - now() - 600_000), '<', 20_000,
           'deadline');
    cmp_ok(abs($d->{server_time_ms} - now()), '<', 20_000, 'now');
    is(units($p), '8 2', 'units');

    my $trade = pay($no);
    $d = data(detail($no, $user));
    is("$d->{trade_code} $d->{pay_type} $d->{status}", "$trade sandbox 2",
       'paid');
    cmp_ok($d->{paid_ms}, '>', 0, 'when');
    is(told(act($no, 'cancel', $user)), '200 30001', 'no cancel any more');
    is(told(act($no, 'confirm', $user)), '200 30001', 'not sent yet');

    $r = ship($no, version => 2);
    is(told($r), '200 0', 'shipped');
    $d = data($r);
    is(join(' ', @$d{qw(status_text carrier tracking version user_id)}),
       "shipped SF SF-1 3 $user", 'answer');
    ok($d->{shipped_at}, 'when');
    ok(!exists $d->{trade_code}, 'no trade code for administrators');

    is(told(act($no, 'confirm', user())), '404 4', 'foreign');
    $r = act($no, 'confirm', $user);
    is(told($r) . ' ' . data($r)->{status_text}, '200 0 done', 'confirmed');
    is_deeply(data(act($no, 'confirm', $user)), data($r), 'again: the same');

    $d = data(detail($no, $user));
    is(join(', ', map { "$_->{from} $_->{to} $_->{version} $_->{by}" }
            @{$d->{log}}),
       'to_pay paid 2 provider, paid shipped 3 admin, shipped done 4 user',
       'log');
    is(join(' ', map { $_->{actor} } $t->sql('SELECT actor FROM order_log '
            . 'WHERE order_no = ? ORDER BY version', $no)), "0 1 $user",
       'by whom');
    ok($d->{done_at}, 'done');
    is(units($p), '8 2', 'sold');
};


subtest 'refused' => sub {
    my $user = user();
    my $p = $t->product(stock => 3);
    my $off = $t->product(status => 0);
    my $gone = $t->product(status => 2);
    my $other = address(user());

    is(told(place($p, $user, data => { quantity => 4 })), '200 20002',
       'stock');
    is(told(place($_, $user)), '200 20003', 'not on sale')
        foreach $off, $gone, 999_999;
    is(told(place($p, $user, data => { address_id => $_ })), '200 30004',
       'address') foreach "$other", '4711';

    foreach ([quantity => 0], [quantity => 101], [quantity => 'x'],
             [product_id => 'x'], [product_id => undef], [address_id => -1],
             [remark => 'x' x 201], [remark => "a\nb"])
    {
        my $r = place($p, $user, data => { $_->[0] => $_->[1] });
        is(told($r), '400 2', "$_->[0]");
        is(data($r)->{field}, $_->[0], 'named');
    }

    is(told(place($p, $user, key => 'x' x 65)), '400 2', 'key');
    is(told($t->post($PATH, { product_id => "$p" })), '401 6', 'nobody');
    is(units($p), '3 0', 'nothing is taken');
    is($t->value('SELECT COUNT(*) FROM orders WHERE user_id = ?', $user), 0,
       'and nothing written');
};


# what the engine remembers of a key goes: a day later, or Redis has lost it

sub forget {
    my ($user, $key) = @_;
    $t->redis()->del("{rush}i:$user:seckill_order_place:$key");
}


subtest 'request ids' => sub {
    my $user = user();
    my $p = $t->product(stock => 10);
    my $no = ordered($p, $user, key => 'one', data => { quantity => 2 });

    my $r = place($p, $user, key => 'one', data => { quantity => 2 });
    is(told($r) . ' ' . data($r)->{order_no}, "200 0 $no", 'the same');
    is($r->{headers}{'idempotency-replayed'}, 'true', 'said so');

    # by the row
    forget($user, 'one');
    $r = place($p, $user, key => 'one', data => { quantity => 2 });
    is(told($r) . ' ' . data($r)->{order_no}, "200 0 $no", 'the same');
    ok(data($r)->{replayed}, 'said so');

    foreach my $body ({ quantity => 3 }, { quantity => 2, remark => 'x' },
                      { quantity => 2, product_id => $t->product() . '' })
    {
        is(told(place($p, $user, key => 'one', data => $body)), '422 14',
           'another body');
        forget($user, 'one');
        is(told(place($p, $user, key => 'one', data => $body)), '422 14',
           'by the row');
    }

    # a buy is asked for there; an order is found, too, now that it is written
    my $asked = sub { $t->get("/api/v1/seckill/requests/$_[0]",
                              user => $_[1]) };
    $r = $asked->('one', $user);
    is(told($r) . ' ' . data($r)->{order_no}, "200 0 $no", 'by its key');
    is(told($asked->('one', user())), '400 2', 'not by somebody else');

    # somebody else's id is another one
    my $their = ordered($p, user(), key => 'one', data => { quantity => 2 });
    isnt($their, $no, 'of another user');

    # without a row
    $t->pause('consumer');
    $user = user();
    $r = place($p, $user, key => 'two');
    is(told($r), '200 0', 'ordered');
    $no = data($r)->{order_no};
    ok(!data($r)->{replayed}, 'the first');

    # its key does not find it yet, its number does, and so does its request
    $r = $asked->('two', $user);
    is(told($r) . ' ' . data($r)->{field}, '400 2 activity_id', 'no buy');
    is(data($t->get("/api/v1/seckill/results/$no", user => $user))->{status},
       'queued', 'by its number');
    $r = place($p, $user, key => 'two');
    is(told($r) . ' ' . data($r)->{order_no}, "200 0 $no", 'the same');
    is($r->{headers}{'idempotency-replayed'}, 'true', 'said so');
    forget($user, 'two');
    $r = place($p, $user, key => 'two');
    is(told($r) . ' ' . data($r)->{order_no}, "200 0 $no", 'the same');
    ok(data($r)->{replayed}, 'said so');
    forget($user, 'two');
    is(told(place($p, $user, key => 'two', data => { quantity => 2 })),
       '422 14', 'another body');

    # also when it is sold out by now
    $t->do('UPDATE product SET status = 0, stock = 0 WHERE id = ?', $p);
    forget($user, 'two');
    $r = place($p, $user, key => 'two');
    is(told($r) . ' ' . data($r)->{order_no}, "200 0 $no", 'still the same');
    is(told(place($p, $user, key => 'three')), '200 20003', 'no new ones');

    $t->resume('consumer');
    ok(written($no), 'written');
    is(row($no)->{cancel_reason}, 'product', 'it was off before');
    $r = $t->get("/api/v1/seckill/results/$no", user => $user);
    is(data($r)->{status} . ' ' . data($r)->{reason}, 'failed product',
       'the buyer learns it');

    # many at once
    $p = $t->product(stock => 10);
    $user = user();
    my @r = $t->burst([map { { method => 'POST', path => $PATH, key => 'many',
        user => $user, data => { product_id => "$p" } } } 1 .. 40],
        sync => 1);
    my %no = map { $_->{json}{data}{order_no} => 1 }
        grep { $_->{code} == 0 } @r;
    is(scalar keys %no, 1, 'one order of forty requests');
    is(scalar(grep { $_->{code} != 0 && $_->{code} != 15 } @r), 0,
       'others wait for it, or get it too');
    ok(written(keys %no), 'written');
    is(units($p), '9 1', 'one unit');
};


subtest 'before the row' => sub {
    my ($user, $other) = (user(), user());
    my $p = $t->product();

    $t->pause('consumer');
    my $r = place($p, $user);
    is(told($r), '200 0', 'ordered');
    my $no = data($r)->{order_no};
    is(data($r)->{request_id}, $no, 'an id of ours');

    $r = $t->get("/api/v1/seckill/results/$no", user => $user);
    is_deeply(data($r), { order_no => $no, status => 'queued',
                          poll_after_ms => 200 }, 'queued');
    $r = detail($no, $user);
    is(told($r), '409 30002', 'being written');
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    is(told(act($no, $_, $user)), '409 30002', "no $_ yet")
        foreach qw(cancel confirm);
    is(told($t->del("$PATH/$no", user => $user)), '409 30002', 'nor hide');

    is(told($_), '404 4', 'foreign') foreach detail($no, $other),
        act($no, 'cancel', $other), act($no, 'confirm', $other),
        $t->del("$PATH/$no", user => $other),
        $t->get("/api/v1/seckill/results/$no", user => $other);

    $t->resume('consumer');
    ok(written($no), 'written');
    is(told(detail($no, $user)), '200 0', 'there');
    is(told(act($no, 'cancel', $user)), '200 0', 'can be cancelled');
    ok($t->wait_for(sub { units($p) eq '1000 0' }, 10, 'units'),
       'units are back');
};


subtest 'not paid in time' => sub {
    my $user = user();
    my $p = $t->product(stock => 1);
    my $no = ordered($p, $user);

    is(told(place($p, user())), '200 20002', 'sold out');
    $t->do('UPDATE orders SET pay_deadline_ms = ? WHERE order_no = ?',
           now() - 1, $no);
    ok($t->wait_for(sub { units($p) eq '1 0' }, 10, 'the unit'), 'back');
    my $d = data(detail($no, $user));
    is("$d->{status} $d->{cancel_reason} $d->{log}[0]{by}",
       '5 timeout system', 'cancelled');
    is(row(ordered($p, user()))->{status}, 1, 'somebody else gets it');
};


subtest 'lists' => sub {
    my $user = user();
    my $p = $t->product(price => 5);
    my @no = map { my $no = ordered($p, $user); $no } 1 .. 5;
    my @new = reverse @no;
    my $sale = $t->activity();
    my $r = $t->buy($sale, $user);
    my $bought = data($r)->{order_no};
    ok(written($bought), 'one of a sale');

    my $list = sub {
        my ($q, %o) = @_;
        my $r = $t->get("$PATH?$q", user => $user, %o);
        return told($r) if $r->{code} // 1;
        my $d = data($r);
        return join ' ', (map { $_ // '-' } @$d{qw(total next_last_id)}),
            map { $_->{order_no} } @{$d->{list}};
    };

    is($list->('kind=ordinary'), "5 - @new", 'ordinary');
    is($list->('kind=seckill'), "1 - $bought", 'of activities');
    is($list->(''), "6 - $bought @new", 'all');
    is($list->('kind=x'), '400 2', 'neither');
    is($list->('since=x'), '400 2', 'no time');

    my $at = row($no[2])->{granted_ms};
    my @since = grep { row($_)->{granted_ms} >= $at } $bought, @new;
    my @until = grep { row($_)->{granted_ms} < $at } @new;
    is($list->("since=$at"), scalar(@since) . " - @since", 'since');
    is($list->("until=$at"), scalar(@until) . " - @until", 'until');
    is($list->('until=0'), '0 -', 'never');
    is($list->('since=2026-01-01T00:00:00Z&until=2027-06-01T00:00:00Z'),
       "6 - $bought @new", 'in words');

    is($list->('last_id=&page_size=4'), "- $new[2] $bought @new[0 .. 2]",
       'keyset');
    is($list->("last_id=$new[2]&page_size=2"), "- - @new[3, 4]", 'the rest');
    is($list->("last_id=$new[4]"), '- -', 'behind the end');
    is($list->("last_id=$no[3]&kind=ordinary&page_size=2"),
       "- $new[3] @new[2, 3]", 'with a filter');
    is($list->("last_id=$no[0]", user => user()), '- -', 'of somebody else');
    is($list->('last_id=x'), '- -', 'of nobody');

    # an order that comes meanwhile does not shift the next page
    my $more = ordered($p, $user);
    is($list->("last_id=$new[2]&page_size=2"), "- - @new[3, 4]", 'stays');

    # hidden ones, also when they are where one has stopped
    is(told(act($no[1], 'cancel', $user)), '200 0', 'cancelled');
    is(told($t->del("$PATH/$no[1]", user => user())), '404 4', 'foreign');
    is(told($t->del("$PATH/$no[0]", user => $user)), '200 30001',
       'not finished');
    is_deeply(data($t->del("$PATH/$no[1]", user => $user)),
              { order_no => $no[1] }, 'hidden');
    is(told($t->del("$PATH/$no[1]", user => $user)), '200 0', 'again');
    is($list->('kind=ordinary'), "5 - $more @new[0 .. 2, 4]", 'is gone');
    is($list->("last_id=$no[1]"), "- - $no[0]", 'a mark all the same');
    is(told(detail($no[1], $user)), '200 0', 'can be read');
    is(data($t->get("$ADMIN/$no[1]", admin => 1))->{hidden}, JSON::PP::true,
       'administrators see it');
};


subtest 'a hundred buyers for ten units' => sub {
    my $p = $t->product(stock => 10);
    my @user = map { user() } 1 .. 100;
    my @r = $t->burst([map { { method => 'POST', path => $PATH, user => $_,
        data => { product_id => "$p" } } } @user], sync => 1);

    is(scalar(grep { $_->{code} !~ /^(?:0|20002)$/ } @r), 0,
       'ordered or sold out');
    my @no = map { $_->{json}{data}{order_no} } grep { $_->{code} == 0 } @r;
    cmp_ok(scalar(@no), '>=', 10, 'ten at least');
    ok($t->wait_for(sub {
        $t->value('SELECT COUNT(*) FROM orders WHERE product_id = ?', $p)
            == @no
    }, 10, 'rows'), 'each has a row');
    is($t->value('SELECT COUNT(*) FROM orders WHERE product_id = ? AND '
                 . 'status = 1', $p), 10, 'exactly ten');
    is(units($p), '0 10', 'all sold');
};


subtest 'in the end' => sub {
    my ($rc, $out) = $t->reconcile();

    # nobody has paid but in the rows of these orders
    is(join("\n", grep { /^I/ && !/^I\d+ books: / } split /\n/, $out), '',
       'nothing differs');
};



$t->finish();
done_testing();
