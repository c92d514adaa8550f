#!/usr/bin/perl

# Copyright (C) Rush
#
# Orders as buyers and administrators see them, results of buys, outcomes of
# requests, and all of it without MySQL or Redis.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new();

my $EPOCH = 1704067200000;
my $NOWHERE = 900001;                   # no row of an activity has this id
my @NAME = qw(processing to_pay paid shipped done cancelled refunding refunded
              expired rejected);
my $MEMBERS = 'activity_id amount closed_at created_at currency order_no '
    . 'paid_at pay_deadline pay_deadline_ms price product_id quantity status '
    . 'status_text title version';
my $DETAILS = "$MEMBERS done_at log paid_ms redeemed_at remark "
    . 'server_time_ms shipped_at';

my $serial = 260_000;
my $sequence = 0;

sub user { return ++$serial }

sub now { return int(time() * 1000) }

sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }


# what a worker could have made at that time

sub number {
    my ($activity, $ms) = @_;
    return (($ms // now()) - $EPOCH << 22 | 1000 << 12 | ++$sequence)
        . "-$activity";
}


# a row of any status, years from its deadline

sub row {
    my (%o) = @_;

    my $ms = $o{granted_ms} // now();
    my $activity = $o{activity_id} //= $NOWHERE;
    my $no = $o{order_no} // number($activity, $ms);
    my %stock = (0 => 0, 1 => 0, 5 => 3, 7 => 3, 8 => 3, 9 => 5);

    $t->insert('orders', order_no => $no, product_id => 7, req_id => $no,
               qty => 2, price => 300, amount => 600, title => 'Cup',
               status => 1, stock_state => $stock{$o{status} // 1} // 4,
               slot => $sequence, granted_ms => $ms, created_ms => $ms,
               pay_deadline_ms => $ms + 10 ** 11, %o);

    return $no;
}


sub bought {
    my ($id, $user, %o) = @_;

    my $r = $t->buy($id, $user, %o);
    my $no = data($r)->{order_no};

    is($r->{code}, 0, 'bought') or diag($r->{body});
    return $no if $o{no_row};

    ok($t->wait_for(sub {
        $t->value('SELECT 1 FROM orders WHERE order_no = ?', $no)
    }, 5, 'the row'), 'written');

    return $no;
}


sub detail { return $t->get("/api/v1/orders/$_[0]", user => $_[1]) }

sub cancel { return $t->post("/api/v1/orders/$_[0]/cancel", {},
                             user => $_[1]) }

sub result { return $t->get("/api/v1/seckill/results/$_[0]",
                            user => $_[1]) }

sub outcome {
    my ($key, $user, $activity) = @_;
    return $t->get("/api/v1/seckill/requests/$key"
                   . ($activity ? "?activity_id=$activity" : ''),
                   user => $user);
}


# total page page_size total_page: numbers of the orders

sub page {
    my ($path, %o) = @_;

    my $r = $t->get($path, %o);
    my $d = data($r);

    return "status $r->{status}" if $r->{code} != 0;
    return join ' ', @$d{qw(total page page_size total_page)}, '',
        map { $_->{order_no} } @{$d->{list}};
}


# each of these is refused and the member is named

sub refused {
    my ($path, %o) = @_;

    foreach my $q ('status=10', 'status=-1', 'status=x', 'status=', 'page=0',
                   'page=10001', 'page=1.0', 'page_size=0', 'page_size=101')
    {
        next if $q =~ /status/ && $path =~ /mine/;
        my $r = $t->get("$path?$q", %o);
        my ($name) = $q =~ /^(\w+)/;
        is(told($r), '400 2', $q);
        is(data($r)->{field}, $name, 'named');
    }
}


subtest 'list and mine' => sub {
    my $user = user();
    my $base = now() - 10 ** 9;
    my %by;

    my @no = map {
        my $status = $_ % 5 + 1;
        my $no = row(user_id => $user, status => $status,
                     activity_id => $_ <= 5 ? 0 : $NOWHERE,
                     granted_ms => $base + $_ * 1000);
        unshift @{$by{$status}}, $no;
        $no;
    } 1 .. 25;

    my @new = reverse @no;
    my $path = '/api/v1/orders';

    row(user_id => user());
    is(page($path, user => $user), "25 1 20 2  @new[0 .. 19]", 'newest first');
    is(page("$path?page=2", user => $user), "25 2 20 2  @new[20 .. 24]");
    is(page("$path?page=3", user => $user), '25 3 20 2 ', 'behind the end');
    is(page("$path?page=4&page_size=7", user => $user),
       "25 4 7 4  @new[21 .. 24]", 'size');
    is(page("$path?page_size=25", user => $user), "25 1 25 1  @new", 'all');
    is(page("$path?page_size=1&page=25", user => $user), "25 25 1 25  $no[0]");

    is(page("$path?status=$_", user => $user), "5 1 20 1  @{$by{$_}}",
       "status $_") foreach 1 .. 5;
    is(page("$path?status=2&page_size=2&page=3", user => $user),
       "5 3 2 3  $by{2}[4]", 'status and page');
    is(page("$path?status=0", user => $user), '0 1 20 0 ', 'none');
    is(page($path, user => user()), '0 1 20 0 ', 'somebody new');

    my $list = data($t->get("$path?page_size=100", user => $user))->{list};
    is($_->{status_text}, $NAME[$_->{status}], $NAME[$_->{status}])
        foreach @$list[0 .. 4];
    is(join(' ', sort keys %{$list->[0]}), $MEMBERS, 'members');
    ok(!exists $list->[24]{activity_id}, 'an ordinary order has no activity');
    is($list->[0]{activity_id}, "$NOWHERE", 'ids are strings');

    $path = '/api/v1/seckill/mine';
    is(page($path, user => $user), "20 1 20 1  @new[0 .. 19]", 'mine');
    is(page("$path?page=2&page_size=15", user => $user),
       "20 2 15 2  @new[15 .. 19]", 'pages');

    foreach my $p ('/api/v1/orders', $path) {
        refused($p, user => $user);
        is(told($t->get($p)), '401 6', 'nobody');
    }
};


subtest 'detail' => sub {
    my $id = $t->activity(price => 700, limit => 3, title => 'Lamp');
    my $user = user();
    my $no = bought($id, $user, quantity => 2, key => 'd');
    my $r = detail($no, $user);
    my $d = data($r);

    is($r->{code}, 0, 'found');
    is($r->{headers}{'cache-control'}, 'no-store', 'nobody keeps it');
    is(join(' ', sort keys %$d), join(' ', sort split ' ', $DETAILS),
       'members');
    is(join(' ', @$d{qw(order_no activity_id title quantity price amount
                        currency status status_text)}),
       "$no $id Lamp 2 700 1400 CNY 1 to_pay", 'values');
    is($d->{paid_at}, undef, 'not paid');
    is($d->{closed_at}, undef, 'not closed');
    is_deeply(data($t->get('/api/v1/orders', user => $user))->{list}[0],
              { map { $_ => $d->{$_} } split ' ', $MEMBERS },
              'as in the list');

    my $paid = row(user_id => $user, status => 2, paid_ms => $EPOCH);
    like(data(detail($paid, $user))->{paid_at}, qr/^2024-01-01T00:00:00/,
         'paid');

    is(told(detail($no, user())), '404 4', 'foreign');
    is(told(detail($_, $user)), '404 4', "unknown: $_")
        foreach number($id, now() - 10 ** 9), number(0), number($NOWHERE),
            'x', '1', '-1', "$no-1", '0-0', '9' x 40;
    is(told(detail('1' x 41, $user)), '404 4', 'too long');
    is(told($t->get("/api/v1/orders/$no")), '401 6', 'nobody');
};


subtest 'cancel' => sub {
    my $id = $t->activity();
    my $user = user();
    my $no = bought($id, $user);

    is(told(cancel($no, user())), '404 4', 'foreign');
    is(told(cancel($_, $user)), '404 4', "unknown: $_")
        foreach number($id, now() - 10 ** 9), number(0), 'x';
    is(data(detail($no, $user))->{status}, 1, 'nothing happened');

    my $first = cancel($no, $user);
    my $second = cancel($no, $user);
    is($first->{code}, 0, 'cancelled');
    is(data($first)->{status_text}, 'cancelled');
    is(data($first)->{cancel_reason}, 'user');
    is_deeply(data($second), data($first), 'again: the same');
    my $d = data(detail($no, $user));
    is_deeply({ map { $_ => $d->{$_} } keys %{data($first)} }, data($first),
              'the order says it');
    is(join(' ', map { @$_{qw(from to version by reason)} } @{$d->{log}}),
       'to_pay cancelled 2 user ', 'and when');
    ok($t->wait_for(sub { $t->meta($id)->{remain} == 10 }, 5, 'unit'),
       'the unit is back');
    is_deeply(data(cancel($no, $user)), data($first), 'also then');

    foreach my $status (0, 2 .. 9) {
        $no = row(user_id => $user, status => $status,
                  $status == 5 ? (cancel_reason => 'timeout') : ());
        my ($before) = $t->sql('SELECT * FROM orders WHERE order_no = ?', $no);
        is(told(cancel($no, $user)), '200 30001', $NAME[$status]);
        my ($after) = $t->sql('SELECT * FROM orders WHERE order_no = ?', $no);
        is_deeply($after, $before, 'as before');
    }

    # an ordinary one holds units of its product
    my $product = $t->product(stock => 5, taken => 2);
    $no = row(user_id => $user, activity_id => 0, product_id => $product);
    is(told(cancel($no, $user)), '200 0', 'an ordinary one');
    ok($t->wait_for(sub {
        $t->value('SELECT stock_state FROM orders WHERE order_no = ?', $no)
            == 3
    }, 5, 'the sweep'), 'given back');
    is($t->value('SELECT stock FROM product WHERE id = ?', $product), 7,
       'to its product');
};


subtest 'before the row' => sub {
    my $id = $t->activity();
    my ($user, $other) = (user(), user());

    $t->pause('consumer');
    my $no = bought($id, $user, no_row => 1);

    my $r = detail($no, $user);
    is(told($r), '409 30002', 'being written');
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    is(told(cancel($no, $user)), '409 30002', 'no cancel yet');

    $r = result($no, $user);
    is_deeply(data($r), { order_no => $no, status => 'queued',
                          poll_after_ms => 200 }, 'queued');
    is(data(result(number($id, now() - 7_200_000), $user))->{status},
       'queued', 'consumers may have been away for hours');
    is(told($_->($no, $other)), '404 4', 'foreign')
        foreach \&detail, \&cancel, \&result;
    is(page('/api/v1/orders', user => $user), '0 1 20 0 ', 'not listed');
    is(data(outcome($no, $user))->{outcome}, 'granted', 'but granted');

    $t->resume('consumer');
    ok($t->wait_for(sub { data(result($no, $user))->{status} eq 'success' }, 5,
                    'the row'), 'then success');
    is(told(detail($no, $user)), '200 0', 'the order');
    is(told(cancel($no, $user)), '200 0', 'can be cancelled');
};


subtest 'results' => sub {
    my $id = $t->activity(price => 50);
    my $user = user();
    my $no = bought($id, $user);
    my $d = data(result($no, $user));

    is(join(' ', @$d{qw(order_no status order_status amount)}),
       "$no success 1 50", 'success');
    ok(!exists $d->{reason}, 'no reason');
    is($d->{pay_deadline_ms}, data(detail($no, $user))->{pay_deadline_ms},
       'deadline');

    cancel($no, $user);
    $d = data(result($no, $user));
    is("$d->{status} $d->{reason} $d->{order_status}", 'failed user 5',
       'cancelled');

    $user = user();
    $no = bought($id, $user);
    $t->do('UPDATE orders SET pay_deadline_ms = ? WHERE order_no = ?',
           now() - 1000, $no);
    ok($t->wait_for(sub {
        $d = data(result($no, $user));
        return $d->{status} eq 'failed';
    }, 5, 'the sweep'), 'not paid');
    is("$d->{reason} $d->{order_status}", 'timeout 5', 'by the clock');

    $no = row(user_id => $user, status => 9, cancel_reason => 'rejected');
    $d = data(result($no, $user));
    is("$d->{status} $d->{reason} $d->{order_status}", 'failed rejected 9',
       'rejected');

    $no = row(user_id => $user, status => 4);
    is(data(result($no, $user))->{status}, 'success', 'done');

    is(told(result($no, user())), '404 4', 'foreign');
    is(told(result($_, $user)), '404 4', "unknown: $_")
        foreach number($id, now() - 10 ** 9), number($NOWHERE), number(0),
            'x';
};


# who holds units of the activity is told to wait for a row, of his own alone

subtest 'foreign, to another buyer' => sub {
    my $id = $t->activity();
    my ($user, $other) = (user(), user());
    my $no = bought($id, $user);

    bought($id, $other);
    is(told($_->($no, $other)), '404 4', 'foreign')
        foreach \&detail, \&cancel, \&result;
    is(data(detail($no, $user))->{status}, 1, 'nothing happened');
};


subtest 'requests' => sub {
    my $id = $t->activity();
    my ($user, $other) = (user(), user());
    my $no = bought($id, $user, key => 'mine');
    my $plain = bought($id, $other);
    my %want = (request_id => 'mine', outcome => 'granted', order_no => $no,
                final => JSON::PP::true);

    is_deeply(data(outcome('mine', $user, $id)), \%want, 'by activity');
    is_deeply(data(outcome('mine', $user)), \%want, 'by the row');
    is(data(outcome($plain, $other))->{order_no}, $plain, 'by suffix');
    is(data(outcome($plain, $other, $id))->{outcome}, 'granted', 'both');

    # nobody's
    my $r = outcome('never', $user, $id);
    is_deeply(data($r), { request_id => 'never', outcome => 'refused',
                          final => JSON::PP::true }, 'refused');
    is(told($t->buy($id, $user, key => 'never')), '200 60009', 'for good');
    is(data(outcome(number($id), $user))->{outcome}, 'refused', 'by suffix');

    $r = outcome('never', $user);
    is(told($r), '400 2', 'whose activity?');
    is(data($r)->{field}, 'activity_id', 'named');
    is(told(outcome('mine', user())), '400 2', 'foreign');
    is(told(outcome('mine', $user, $_)), '400 2', "activity $_")
        foreach 'x', '-1', '1' x 30;
    is(told(outcome('a' x 65, $user, $id)), '404 4', 'too long');
    is(told($t->get("/api/v1/seckill/requests/mine?activity_id=$id")),
       '401 6', 'nobody');

    # given back, in the row first
    cancel($no, $user);
    $want{outcome} = 'given_back';
    is_deeply(data(outcome('mine', $user)), \%want, 'the row knows at once');
    ok($t->wait_for(sub { $t->meta($id)->{remain} == 9 }, 5, 'unit'),
       'the unit is back');
    is_deeply(data(outcome('mine', $user, $id)), \%want, 'Redis knows');

    # the same id in another activity is another request
    my $next = $t->activity();
    my $again = bought($next, $user, key => 'mine');
    is(data(outcome('mine', $user, $next))->{order_no}, $again, 'two of them');
    is(data(outcome('mine', $user, $id))->{order_no}, $no);

    # no such activity, and one that is not in Redis
    is(told(outcome('k', $user, $NOWHERE)), '404 4', 'unknown');
    is(told(outcome(number($NOWHERE), $user)), '404 4', 'by suffix');

    # the controller loads all that is on sale, unless it sleeps
    $t->pause('consumer');
    my $cold = $t->activity(wait => 0);
    my $path = "/api/v1/seckill/activities/$cold/stock";
    ok($t->wait_for(sub { $t->get($path)->{code} == 0 }, 5, 'known'), 'known');
    $r = outcome('k', $user, $cold);
    is(told($r), '503 12', 'not loaded: closed');
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');

    # its rows are read all the same
    foreach my $status (1, 2, 5) {
        $no = row(user_id => $user, status => $status, activity_id => $cold,
                  req_id => "r$status");
        is(data(outcome("r$status", $user, $cold))->{outcome},
           $status == 5 ? 'given_back' : 'granted', $NAME[$status]);
        is(data(outcome("r$status", $user, $cold))->{order_no}, $no);
    }

    $t->resume('consumer');
};


subtest 'administrators' => sub {
    my ($one, $two) = (user(), user());
    my $path = '/api/v1/admin/orders';
    my @no = map {
        row(user_id => $_ % 3 ? $one : $two, status => $_ % 2 ? 2 : 6,
            activity_id => $NOWHERE + 1 + ($_ > 10), req_id => "admin$_")
    } 1 .. 20;

    # by number, which grows with the time
    my $some = sub {
        my ($sub) = @_;
        my @all = reverse map { $no[$_ - 1] } grep { $sub->() } 1 .. 20;
        return scalar(@all) . " 1 20 1  @all";
    };

    my $first = $NOWHERE + 1;
    my $second = $NOWHERE + 2;

    is(page("$path?activity_id=$first", admin => 1),
       $some->(sub { $_ <= 10 }), 'activity');
    is(page("$path?user_id=$two", admin => 1), $some->(sub { !($_ % 3) }),
       'user');
    is(page("$path?user_id=$one&status=6", admin => 1),
       $some->(sub { $_ % 3 && !($_ % 2) }), 'user and status');
    is(page("$path?activity_id=$second&status=2", admin => 1),
       $some->(sub { $_ > 10 && $_ % 2 }), 'activity and status');
    is(page("$path?activity_id=$second&status=2&user_id=$one", admin => 1),
       $some->(sub { $_ > 10 && $_ % 2 && $_ % 3 }), 'all three');
    is(page("$path?user_id=1", admin => 1), '0 1 20 0 ', 'none');
    is(page("$path?activity_id=$first&page_size=4&page=3", admin => 1),
       "10 3 4 3  @no[1, 0]", 'pages');

    my $all = $t->value('SELECT COUNT(*) FROM orders');
    my $d = data($t->get("$path?page_size=100", admin => 1));
    is($d->{total}, $all, 'everything');
    is(scalar @{$d->{list}}, $all < 100 ? $all : 100);

    my @six = map { $_->{order_no} }
        $t->sql('SELECT order_no FROM orders WHERE status = 6 '
                . 'ORDER BY order_no DESC');
    is(page("$path?status=6", admin => 1), @six . " 1 20 1  @six", 'status');

    refused($path, admin => 1);
    is(told($t->get("$path?user_id=x", admin => 1)), '400 2', 'user');
    is(told($t->get("$path?activity_id=x", admin => 1)), '400 2', 'activity');

    $d = data($t->get("$path/$no[2]", admin => 1));
    is("$d->{user_id} $d->{request_id} $d->{order_no} $d->{status_text}",
       "$two admin3 $no[2] paid", 'detail');
    is(join(' ', sort keys %$d),
       join(' ', sort split(' ', $DETAILS), 'request_id', 'user_id', 'hidden'),
       'members');
    my $row = data($t->get("$path?user_id=$two&page_size=1&page=6",
                           admin => 1))->{list}[0];
    is_deeply({ map { $_ => $d->{$_} } keys %$row }, $row, 'as in the list');

    is(told($t->get("$path/$_", admin => 1)), '404 4', "unknown: $_")
        foreach number($NOWHERE), 'x';

    foreach my $p ($path, "$path/$no[0]") {
        is(told($t->get($p, user => $one)), '403 7', 'not for buyers');
        is(told($t->get($p)), '401 6', 'nobody');
    }
};


subtest 'without MySQL, without Redis' => sub {
    my $id = $t->activity();
    my $user = user();
    my $no = bought($id, $user, key => 'k');
    my $young = number($id);

    $t->kill('mysql');

    my @mysql = (
        sub { $t->get('/api/v1/orders', user => $user) },
        sub { $t->get('/api/v1/seckill/mine', user => $user) },
        sub { detail($no, $user) },
        sub { cancel($no, $user) },
        sub { result($no, $user) },
        sub { $t->get('/api/v1/admin/orders', admin => 1) },
        sub { $t->get("/api/v1/admin/orders/$no", admin => 1) },
        sub { outcome('k', $user) },
    );

    foreach my $sub (@mysql) {
        my $r = $sub->();
        is(told($r), '503 3', 'busy');
        like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    }

    is(data(outcome('k', $user, $id))->{outcome}, 'granted',
       'Redis answers for requests');

    $t->start('mysql');
    ok($t->wait_for(sub { !grep { $_->{code} } map { detail($no, $user) }
                              1 .. 8 }, 10, 'MySQL'), 'it is back');

    $t->kill('redis');

    foreach my $sub (sub { detail($young, $user) },
                     sub { cancel($young, $user) },
                     sub { result($young, $user) },
                     sub { outcome('k', $user, $id) },
                     sub { outcome($no, $user) })
    {
        my $r = $sub->();
        is(told($r), '503 3', 'busy');
        like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    }

    is(page('/api/v1/orders', user => $user), "1 1 20 1  $no", 'list');
    is(told(detail($no, $user)), '200 0', 'detail');
    is(data(result($no, $user))->{status}, 'success', 'result');
    is(told(outcome('k', $user)), '200 0', 'a request by its row');
    is(told(cancel($no, $user)), '200 0', 'cancel');

    $t->start('redis');
    ok($t->wait_for(sub { ($t->meta($id)->{remain} // 0) == 10 }, 10, 'unit'),
       'Redis learns of it');
};


$t->finish();
done_testing();
