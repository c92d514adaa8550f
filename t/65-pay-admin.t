#!/usr/bin/perl

# Copyright (C) Rush
#
# Money as administrators see it: payments, notices, bills, settlements.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use POSIX qw(strftime);
use RushTest;
use RushTest::Buyer;
use RushTest::Pay;
use Test::More;

my $t = RushTest->new(consumer => 0);
my $BASE = '/api/v1/admin';

RushTest::Buyer::begin($t, 670_000);


sub admin { return $t->get("$BASE/$_[0]", admin => 1) }

sub refused {
    my ($path, @args) = @_;
    is(told(admin("$path$_")), '400 2', $_) foreach @args;
    is(told($t->get("$BASE/$path", user => user())), '403 7', 'a buyer');
    is(told($t->get("$BASE/$path")), '401 6', 'nobody');
}


subtest 'payments' => sub {
    my ($one, $two) = (user(), user());
    my @no = map { order(user_id => $_ % 2 ? $two : $one) } 0 .. 19;
    my @id = map { payment(order_no => $no[$_], channel => 1 + $_ % 8,
                           state => $_ % 8, transaction_id => "T$_",
                           created_ms => 1_600_000_000_000 + $_) } 0 .. 19;
    my $page = sub {
        my $d = data(admin("payments?$_[0]"));
        return join ' ', (map { $_->{id} } @{$d->{list}}),
            (defined $d->{next_last_id} ? "> $d->{next_last_id}" : ());
    };
    my $want = sub {
        my ($sub) = @_;
        return join ' ', map { $id[$_] } grep { $sub->() } reverse 0 .. 19;
    };
    my $between = "from=1600000000000&to=1600000000020&page_size=100";

    is($page->($between), $want->(sub { 1 }), 'by time');
    is($page->("$between&state=2"), $want->(sub { $_ % 8 == 2 }), 'state');
    is($page->("$between&channel=sandbox"), $want->(sub { $_ % 8 == 7 }),
       'channel');
    is($page->("$between&provider=wechat"), $want->(sub { $_ % 8 < 3 }),
       'provider');
    is($page->("$between&user_id=$one"), $want->(sub { !($_ % 2) }), 'user');
    is($page->("order_no=$no[4]"), $id[4], 'order');
    is($page->("transaction_id=T7"), $id[7], 'number of the provider');
    is($page->("payment_id=$id[9]"), $id[9], 'payment');
    is($page->("payment_id=$id[9]&user_id=$one"), '', 'not both');
    is($page->("$between&provider=alipay&user_id=$two&state=5"),
       $want->(sub { $_ % 8 == 5 && $_ % 2 }), 'three of them');

    my ($last, @seen) = ('');
    for (1 .. 8) {
        my $d = data(admin("payments?$between&user_id=$two&page_size=4$last"
                           =~ s/page_size=100&//r));
        push @seen, map { $_->{id} } @{$d->{list}};
        last if !defined $d->{next_last_id};
        $last = "&last_id=$d->{next_last_id}";
    }
    is("@seen", $want->(sub { $_ % 2 }), 'page by page');

    # one of them
    $t->do("UPDATE payment SET payer = 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o', "
           . "cause = 'no_auth: 1900', client_ip = '203.0.113.77' "
           . 'WHERE id = ?', $id[3]);
    my $r = admin("payments?payment_id=$id[3]");
    my ($d) = @{data($r)->{list}};
    is(join(' ', sort keys %$d), 'amount cause channel closed_at created_at '
       . 'currency id next_at order_no paid_at pay_deadline payer provider '
       . 'refunded returned state state_text subject transaction_id tries '
       . 'updated_at user_id version', 'members');
    is(join(' ', @$d{qw(order_no user_id provider channel amount state_text
                        cause transaction_id payer subject)}),
       "$no[3] $two alipay alipay_page 600 closing no_auth: 1900 T3 oUpF***6o "
       . 'Cup', 'values');
    unlike($r->{body}, qr/oUpF8|203\.0/, 'who it is stays hidden');
    $t->do("UPDATE payment SET payer = 'oShort' WHERE id = ?", $id[3]);
    is(data(admin("payments?payment_id=$id[3]"))->{list}[0]{payer}, '***',
       'a short one too');
    is(data(admin("payments?payment_id=$id[2]"))->{list}[0]{payer}, '',
       'none');

    refused('payments', qw(?state=8 ?channel=x ?provider=x ?page_size=101
                           ?last_id=0 ?from=x ?user_id=x));
};


subtest 'notices' => sub {
    my $id = payment(order_no => order(user_id => user()));
    my $body = '{"out_trade_no":"' . $id . "\",\"x\":\"\x{4f60}\"}";
    my @rows = map { $t->insert('payment_notice', provider => 4,
        notice_key => "n$_-$id", kind => $_ == 2 ? 'query' : 'pay',
        payment_id => $id, transaction_id => "T$_", amount => 600 + $_,
        state => $_, cause => $_ == 3 ? 'amount' : '', body => $body,
        times => $_ + 1, received_ms => 1_600_000_000_000 + $_) } 0 .. 4;
    my $r = admin("payments/$id/notices");
    my @list = @{data($r)->{list}};

    is(told($r), '200 0', 'found') or diag($r->{body});
    is(join(' ', map { $_->{id} } @list), join(' ', reverse @rows), 'newest');
    is(join(' ', sort keys %{$list[0]}), 'amount applied_at body cause '
       . 'closed_at closed_by id kind notice_key payment_id provider reason '
       . 'received_at refund_id state state_text times transaction_id',
       'members');
    is(join(' ', map { $_->{state_text} } @list),
       'ignored mismatch duplicate applied unmatched', 'states');
    is("$list[1]{cause} $list[1]{amount} $list[1]{times} $list[1]{refund_id}",
       'amount 603 4 0', 'values');
    is($list[0]{body}, $body, 'the body as it came');
    ok(!exists data($r)->{next_last_id}, 'all of them');

    $r = admin("payments/$id/notices?page_size=2");
    is(join(' ', map { $_->{id} } @{data($r)->{list}}), "$rows[4] $rows[3]",
       'a page');
    is(data($r)->{next_last_id}, $rows[3], 'there is more');
    $r = admin("payments/$id/notices?last_id=$rows[3]");
    is(join(' ', map { $_->{id} } @{data($r)->{list}}),
       "$rows[2] $rows[1] $rows[0]", 'the rest');
    is_deeply(data(admin("payments/$id/notices?last_id=$rows[0]")),
              { list => [] }, 'the end');

    my $none = payment(order_no => order(user_id => user()));
    is_deeply(data(admin("payments/$none/notices")), { list => [] }, 'none');
    is(told(admin("payments/$_/notices")), '404 4', "unknown: $_")
        foreach $none + 1, 'x', 0;

    # who has paid is for those who may know
    my $role = data($t->post("$BASE/roles", { name => 'clerk',
        permissions => ['payments_read'] }, admin => 1))->{id};
    my $clerk = user();
    $t->insert('user', id => $clerk, username => "u$clerk", nickname => 'x',
               password_hash => 'x', roles => 1 << ($role - 1),
               created_ms => 1, updated_ms => 1);
    my $token = $t->token($clerk, roles => 1 << ($role - 1));
    $t->wait_for(sub {
        ($r = $t->get("$BASE/payments/$id/notices", token => $token))
            ->{status} == 200;
    }, 5, 'the role');
    is(join(' ', map { $_->{body} } @{data($r)->{list}}), '*** ' x 4 . '***',
       'bodies are hidden');
    is(data($r)->{list}[1]{amount}, 603, 'not what it tells');

    # of a payment that was never ours
    $t->do('UPDATE payment_notice SET payment_id = ? WHERE payment_id = ?',
           $none + 1, $id);
    is(scalar @{data(admin('payments/' . ($none + 1) . '/notices'))->{list}},
       5, 'of a payment that nobody knows');

    refused("payments/$id/notices", qw(?page_size=21 ?last_id=x));
};


sub bill {
    my ($day, $provider) = @_;
    return $t->post("$BASE/payments/reconcile",
                    { day => $day, provider => $provider }, admin => 1);
}


sub day {
    my ($back) = @_;
    return strftime('%Y%m%d', gmtime(time() + 8 * 3600 - 86400 * $back)) + 0;
}


subtest 'bills' => sub {
    my $path = 'payments/reconcile';
    my $r = bill(20260301, 'wechat');
    my $d = data($r);

    is(told($r), '200 0', 'asked') or diag($r->{body});
    is(join(' ', sort keys %$d), 'cause created_at day differences diffs fee '
       . 'paid provider refunded refunds state state_text trades updated_at',
       'members');
    is("$d->{day} $d->{provider} $d->{state_text}", '20260301 wechat asked');
    is_deeply(data(admin("$path?day=20260301&provider=wechat")), $d, 'read');
    is(told(admin("$path?day=20260301&provider=alipay")), '404 4', 'none');

    # done, with differences
    $t->do("UPDATE bill SET state = 1, trades = 3, paid = 900, refunds = 1, "
           . "refunded = 100, fee = 5, diffs = 130, tries = 4, next_ms = 0");
    my @id = map { $t->insert('bill_diff', day => 20260301, provider => 1,
        kind => $_ % 2 ? 'pay_missing' : 'refund_amount', number => "N$_",
        ours => $_ % 2 ? -1 : 5, theirs => $_, created_ms => 1) } 1 .. 130;
    $t->insert('bill_diff', day => 20260301, provider => 2, number => 'x',
               kind => 'pay_missing', ours => 1, theirs => 2, created_ms => 1);
    $d = data(admin("$path?day=20260301&provider=wechat"));
    is(join(' ', @$d{qw(state_text trades paid refunds refunded fee diffs)}),
       'done 3 900 1 100 5 130', 'sums');
    is(scalar @{$d->{differences}}, 100, 'differences');
    is_deeply($d->{differences}[0], { id => "$id[0]", kind => 'pay_missing',
        number => 'N1', ours => -1, theirs => 1 }, 'one');
    is($d->{next_last_id}, $id[99], 'there are more');
    $d = data(admin("$path?day=20260301&provider=wechat&last_id=$id[99]"));
    is(scalar @{$d->{differences}}, 30, 'the rest');
    ok(!exists $d->{next_last_id}, 'no more');

    # once more
    is(data(bill(20260301, 'wechat'))->{state_text}, 'asked', 'again');
    my ($row) = $t->sql('SELECT * FROM bill');
    is("$row->{state} $row->{tries}", '0 0', 'from the beginning');
    cmp_ok(abs($row->{next_ms} - now()), '<', 20_000, 'now');
    is($t->value('SELECT COUNT(*) FROM bill'), 1, 'one row');

    # days
    is(told(bill(day(1), 'sandbox')), '200 0', 'yesterday');
    is(told(bill(day(-$_), 'sandbox')), '400 2', "in $_ days") foreach 0 .. 2;
    is(told(bill($_, 'alipay')), '400 2', "day $_")
        foreach 20260230, 20261301, 20260001, 20260100, 20250229, 20191231,
            30000101, 1;
    is(told(bill(20240229, 'alipay')), '200 0', 'a leap day');
    is(told(bill(20260301, $_)), '400 2', "provider \"$_\"")
        foreach 'wallet', '', 'x';
    is(told($t->post("$BASE/$path", { day => 20260301 }, admin => 1)),
       '400 2', 'no provider');
    is(told($t->post("$BASE/$path", { day => 20260301, provider => 'wechat' },
                     user => user())), '403 7', 'a buyer');
    refused("$path?provider=wechat&day=20260301", qw(&last_id=x));
    is(told(admin("$path?day=20260301&provider=wallet")), '400 2', 'wallet');
};


subtest 'settlements' => sub {
    foreach my $day (1 .. 3) {
        foreach my $shop (0, 7) {
            $t->insert('settlement', day => 20260300 + $day, shop_id => $shop,
                       provider => $_, paid_count => $day, paid => 1000 * $day,
                       refund_count => 1, refunded => 100 * $_, fee => 6,
                       created_ms => $day == 2 ? 0 : 1_600_000_000_000)
                foreach 1, 2;
        }
    }

    my $list = sub {
        my $d = data(admin("settlements?$_[0]"));
        return "$d->{total}: " . join ' ', map {
            $_->{day} % 100 . "/$_->{shop_id}/" . substr $_->{provider}, 0, 1
        } @{$d->{list}};
    };

    is($list->(''), '12: 3/0/w 3/0/a 3/7/w 3/7/a 2/0/w 2/0/a 2/7/w 2/7/a '
       . '1/0/w 1/0/a 1/7/w 1/7/a', 'all, newest day first');
    is($list->('from=20260302&to=20260302'), '4: 2/0/w 2/0/a 2/7/w 2/7/a',
       'a day');
    is($list->('from=20260302'), '8: 3/0/w 3/0/a 3/7/w 3/7/a 2/0/w 2/0/a '
       . '2/7/w 2/7/a', 'from');
    is($list->('to=20260301&shop_id=7'), '2: 1/7/w 1/7/a', 'to, shop');
    is($list->('shop_id=0&provider=alipay'), '3: 3/0/a 2/0/a 1/0/a',
       'provider');
    is($list->('page=3&page_size=5'), '12: 1/7/w 1/7/a', 'page');

    # MariaDB would forget a column of the order, see pay_admin.sql
    foreach (1 .. 10) {
        $list->('shop_id=7&provider=alipay');
        is($list->('to=20260301'), '4: 1/0/w 1/0/a 1/7/w 1/7/a', 'in order');
    }
    is($list->('from=20270101'), '0: ', 'none');

    my ($d) = @{data(admin('settlements?from=20260303'))->{list}};
    is(join(' ', map { "$_=" . ($d->{$_} // '-') } sort keys %$d),
       'created_at=2020-09-13T12:26:40.000Z currency=CNY day=20260303 fee=6 '
       . 'net=2894 paid=3000 paid_count=3 provider=wechat refund_count=1 '
       . 'refunded=100 shop_id=0', 'members');
    ($d) = @{data(admin('settlements?from=20260302&to=20260302'))->{list}};
    is($d->{created_at}, undef, 'to be made again');

    refused('settlements', qw(?from=1 ?to=x ?provider=x ?shop_id=-1
                              ?page_size=101));
};


$t->finish();
done_testing();
