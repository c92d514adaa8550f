#!/usr/bin/perl

# Copyright (C) Rush
#
# Orders by administrators: lists, changes by hand, shipping, trade codes; and
# who wins when two want to change one.

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

RushTest::Orders::begin($t, 633000);


subtest 'administrators: lists' => sub {
    my ($one, $two) = (user(), user());
    my $p = $t->product();
    my @no = map { ordered($p, $_ % 2 ? $one : $two) } 1 .. 6;
    my @new = reverse sort @no;
    my $list = sub {
        my ($q) = @_;
        my $r = $t->get("$ADMIN?$q", admin => 1);
        return told($r) if $r->{code} // 1;
        my $d = data($r);
        return join ' ', (map { $_ // '-' } @$d{qw(total next_last_id)}),
            map { $_->{order_no} } @{$d->{list}};
    };

    is($list->("product_id=$p"), "6 - @new", 'product');
    is($list->("product_id=$p&kind=seckill"), '0 -', 'kind');
    is($list->("product_id=$p&activity_id=7"), '0 -', 'activity');
    is($list->("product_id=$p&last_id=&page_size=4"),
       "- $new[3] @new[0 .. 3]", 'keyset');
    is($list->("product_id=$p&last_id=$new[3]&page_size=4"),
       "- - @new[4, 5]", 'the rest');
    is($list->("product_id=$p&user_id=$one&last_id="),
       '- - ' . join(' ', grep { row($_)->{user_id} == $one } @new), 'user');
    is($list->('kind=x'), '400 2', 'no kind');
    is($list->('export=xml'), '400 2', 'no form');
};


subtest 'administrators: by hand' => sub {
    my $user = user();
    my $p = $t->product(stock => 100);

    # from => what may be done by hand
    my %may = (1 => 'cancelled', 2 => 'shipped done expired', 3 => 'done',
               4 => '', 5 => '', 6 => '', 7 => '', 8 => '');
    my $make = sub {
        my ($from) = @_;
        my $no = ordered($p, $user);
        pay($no) if $from != 1 && $from != 5;
        my %way = (3 => [3], 4 => [3, 4], 5 => [5], 6 => [6], 7 => [6, 7],
                   8 => [8]);
        foreach my $to (@{$way{$from} || []}) {
            $t->do('UPDATE orders SET status = ?, version = version + 1, '
                   . 'actor_kind = IF(? = 3, 2, 3), '
                   . 'shipped_ms = IF(? = 3, 1, shipped_ms) '
                   . ($to == 5 || $to == 7 || $to == 8
                      ? ', stock_state = 1 ' : '')
                   . 'WHERE order_no = ?', $to, $to, $to, $no);
        }
        return $no;
    };

    foreach my $from (1 .. 8) {
        foreach my $to (qw(shipped done cancelled expired)) {
            my $no = $make->($from);
            my $version = row($no)->{version};
            my $r = status($no, $to, $version);
            my $good = $may{$from} =~ /\b$to\b/;

            is(told($r), $good ? '200 0' : '200 30001', "$from to $to");
            my $o = row($no);

            if (!$good) {
                is("$o->{status} $o->{version}", "$from $version", 'stays');
                next;
            }

            is(data($r)->{status_text}, $to, 'says so');
            is("$o->{version} $o->{actor_kind} $o->{actor} $o->{reason}",
               $version + 1 . ' 2 1 why', 'by whom');
            is(told(status($no, $to, $version)), '409 13', 'once');
        }
    }

    # units of what was cancelled or has expired come back
    ok($t->wait_for(sub {
        !$t->value('SELECT COUNT(*) FROM orders WHERE product_id = ? AND '
                   . 'stock_state = 1', $p)
    }, 10, 'the sweep'), 'given back');
    my $live = $t->value('SELECT COUNT(*) FROM orders WHERE product_id = ? '
                         . 'AND stock_state IN (0, 4)', $p);
    is(units($p), 100 - $live . " $live", 'all of them');

    my $no = $make->(1);
    is(told(status($no, 'cancelled', 9)), '409 13', 'another version');
    is(told(status('5-0', 'done', 1)), '404 4', 'unknown');
    is(told(status($no, $_, 1)), '400 2', "never: $_")
        foreach qw(paid refunding refunded rejected processing x);
    is(told(status($no, 'cancelled', 1, reason => undef)), '400 2',
       'no reason');
    is(told(status($no, 'cancelled', 1, version => undef)), '400 2',
       'no version');
    is(row($no)->{status}, 1, 'nothing happened');
    is(told(status($no, 'cancelled', 1)), '200 0', 'cancelled');
    is(data(detail($no, $user))->{cancel_reason}, 'admin', 'reason');
    is(told(act($no, 'cancel', $user)), '200 30001',
       'what the buyer has not done');

    # shipping
    $no = $make->(1);
    is(told(ship($no)), '200 30001', 'not paid');
    pay($no);
    is(told(ship($no, version => 1)), '409 13', 'another version');
    is(told(ship($no, carrier => undef)), '400 2', 'no carrier');
    is(told(ship($no, number => 'a b')), '400 2', 'no number');
    is(told(ship('5-0')), '404 4', 'unknown');
    is(told(ship($no)), '200 0', 'shipped');
    is(told(ship($no)), '200 0', 'the same again');
    is(told(ship($no, number => 'other')), '200 30001', 'not another');
    is(row($no)->{tracking}, 'SF-1', 'stays');

    foreach ([put => "$ADMIN/$no/status", { status => 'done', reason => 'x',
                                            version => 1 }],
             [post => "$ADMIN/$no/ship", { carrier => 'x', number => 'y' }],
             [post => "$ADMIN/redeem", { trade_code => 'ABCD2345' }],
             [get => "$ADMIN/$no"], [get => "$ADMIN?export=csv"])
    {
        my ($method, $path, @data) = @$_;
        is(told($t->$method($path, @data, user => $user)), '403 7',
           "$path: not for buyers");
        is(told($t->$method($path, @data)), '401 6', 'nobody');
    }
};


subtest 'trade codes' => sub {
    my $user = user();
    my $p = $t->product();
    my $no = ordered($p, $user);

    is(told(redeem(trade_code())), '200 30003', 'unknown');
    my $r = redeem('nonsense!');
    is(told($r), '200 30003', 'no code at all');
    is(data($r)->{reason}, 'unknown', 'said so');

    my $trade = pay($no);
    $r = redeem(lc(substr $trade, 0, 4) . '-' . substr $trade, 4);
    is(told($r), '200 0', 'redeemed');
    is(data($r)->{order_no} . ' ' . data($r)->{status_text}, "$no done",
       'whose');
    ok(data($r)->{redeemed_at}, 'when');

    $r = redeem($trade);
    is(told($r), '200 30003', 'a second time');
    is_deeply([sort keys %{data($r)}], [qw(reason redeemed_at)],
              'not whose it was');
    is(data($r)->{reason}, 'used', 'but that it was used');
    is(row($no)->{version}, 3, 'one change');

    # not any more
    $no = ordered($p, $user);
    $trade = pay($no);
    $t->do('UPDATE orders SET status = 6, version = version + 1, '
           . 'actor_kind = 3 WHERE order_no = ?', $no);
    is(told(redeem($trade)), '200 30001', 'the money goes back');
    is(data(detail($no, $user))->{trade_code}, undef, 'nor is it shown');

    # fifty doors at once
    $no = ordered($p, $user);
    $trade = pay($no);
    my @r = $t->burst([map { { method => 'POST', path => "$ADMIN/redeem",
        admin => 1, data => { trade_code => $trade } } } 1 .. 50],
        sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'once');
    is(scalar(grep { $_->{code} == 30003
                     && $_->{json}{data}{reason} eq 'used' } @r), 49,
       'others learn that');
    is($t->value('SELECT COUNT(*) FROM order_log WHERE order_no = ? AND '
                 . 'to_status = 4', $no), 1, 'one change');

    # the record has no code
    ok($t->wait_for(sub { $t->value("SELECT COUNT(*) FROM audit_log WHERE "
        . "route = 'seckill_admin_order_redeem' AND code = 0") }, 10,
        'the record'), 'recorded');
    is($t->value('SELECT COUNT(*) FROM audit_log WHERE fields LIKE ?',
                 "%$trade%"), 0, 'without the code');
    my ($id) = $no =~ /^(\d+)/;
    ok($t->wait_for(sub {
        $t->value("SELECT COUNT(*) FROM audit_log WHERE object = ? AND "
                  . "route = 'seckill_admin_order_redeem'", $id)
    }, 10, 'the last one'), 'with the order');
};


# one of both, whichever comes first

subtest 'cancel against ship and expire' => sub {
    my $user = user();
    my $p = $t->product();
    my ($wrong, %won) = (0);

    foreach my $round (1 .. 20) {
        my $r = place($p, $user);
        my $no = data($r)->{order_no};
        written($no);
        pay($no);
        my @r = $t->burst([
            { method => 'POST', path => "$ADMIN/$no/ship", admin => 1,
              data => { carrier => 'SF', number => 'n' } },
            { method => 'PUT', path => "$ADMIN/$no/status", admin => 1,
              data => { status => 'expired', reason => 'x', version => 2 } },
        ], sync => 1);
        my @good = grep { $r[$_]{code} == 0 } 0, 1;
        my $o = row($no);

        $won{$o->{status}}++;
        $wrong++ if @good != 1 || $o->{version} != 3
            || $o->{status} != (3, 8)[$good[0]];
    }

    is($wrong, 0, 'one of two, twenty times');

    foreach my $round (1 .. 20) {
        my $no = data(place($p, $user))->{order_no};
        written($no);
        my @r = $t->burst([
            { method => 'POST', path => "$PATH/$no/cancel", user => $user,
              data => {} },
            { method => 'PUT', path => "$ADMIN/$no/status", admin => 1,
              data => { status => 'cancelled', reason => 'x',
                        version => 1 } },
        ], sync => 1);
        $wrong++ if (grep { $_->{code} == 0 } @r) != 1
            || row($no)->{version} != 2;
    }

    is($wrong, 0, 'buyer or administrator');
    ok($t->wait_for(sub {
        !$t->value('SELECT COUNT(*) FROM orders WHERE product_id = ? AND '
                   . 'stock_state IN (0, 1)', $p)
    }, 10, 'the sweep'), 'given back');
    my $sold = $t->value('SELECT COALESCE(SUM(qty), 0) FROM orders WHERE '
                         . 'product_id = ? AND stock_state = 4', $p);
    is(units($p), 1000 - $sold . " $sold", 'each unit once');
};


subtest 'in the end' => sub {
    my ($rc, $out) = $t->reconcile();

    # nobody has paid but in the rows of these orders
    is(join("\n", grep { /^I/ && !/^I\d+ books: / } split /\n/, $out), '',
       'nothing differs');
};



$t->finish();
done_testing();
