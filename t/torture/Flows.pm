package Flows;

# Copyright (C) Rush
#
# Requests to torture.  A flow is [name, normal codes, sub that makes all
# ready and returns the request]; the sub gets the harness.  Those of orders
# and money are in Trade.pm.

use warnings;
use strict;

use RushTest::Sale;
use Trade;
use Time::HiRes qw(time);

my ($serial, $password) = (0, 'correct horse 9');


sub flows {
    my ($h) = @_;

    my $t = $h->{t};
    my $a = $h->{activity};
    my $buy = sub { my ($user, $id) = @_;
                    return { method => 'POST', data => { quantity => 1 },
                             path => "/api/v1/seckill/activities/"
                                 . ($id || $a) . '/buy',
                             user => $user, key => "k$user" } };
    my $get = sub { my ($path, %o) = @_;
                    return sub { return { method => 'GET', path => $path, %o,
                        } } };
    my $admin = sub { my ($path, $data) = @_;
                      return { method => 'POST', admin => 1,
                               path => "/api/v1/admin$path", data => $data } };

    prepare($h);

    my $o = $h->{old};
    my $day = 86_400_000;
    my $some = sub { return 1 + $serial++ % 90 };

    return (
        ['buy new', [0], sub { my $u = RushTest::Sale::user();
                               return { %{$buy->($u)}, sale => $u } }],
        ['buy replay', [0], sub { return { %{$buy->($o->{user})},
                                           order => $o->{order_no} } }],
        ['buy limit', [60004, 60009], sub { return { %{$buy->($o->{user})},
                                              key => 'other' . $serial++ } }],
        ['buy refused', [60002, 60009], sub {
            return $buy->(RushTest::Sale::user(), $h->{empty}) }],
        ['buy pooled', [0], sub { my $u = RushTest::Sale::user();
                                  my $q = $buy->($u);
                                  delete $q->{key};
                                  return $q }],
        ['result', [0], $get->("/api/v1/seckill/results/$o->{order_no}",
                               user => $o->{user})],
        ['request', [0], $get->("/api/v1/seckill/requests/k$o->{user}"
                                . "?activity_id=$a", user => $o->{user})],
        ['settle', [0], sub { my $u = RushTest::Sale::user();
                              return { method => 'GET', user => $u, path =>
                                  "/api/v1/seckill/requests/k$u"
                                  . "?activity_id=$a" } }],
        ['mine', [0], $get->('/api/v1/seckill/mine', user => $o->{user})],
        accounts($h),
        Trade::flows($h),
        ['products', [0], sub { return { method => 'GET',
            path => '/api/v1/products?page_size=' . $some->() } }],
        ['product', [0], sub { return { method => 'GET',
            path => '/api/v1/products/' . $some->() } }],
        ['product stock', [0], sub { return { method => 'GET',
            path => '/api/v1/products/' . $some->() . '/stock' } }],
        ['activities', [0], $get->('/api/v1/seckill/activities')],
        ['activity', [0], $get->("/api/v1/seckill/activities/$a")],
        ['orders', [0], sub { return { method => 'GET', user => $o->{user},
            path => '/api/v1/orders?page_size=' . $some->() } }],
        ['order', [0], $get->("/api/v1/orders/$o->{order_no}",
                              user => $o->{user})],
        ['cancel', [0], sub { return cancel($h) }],
        ['admin orders', [0], $get->('/api/v1/admin/orders', admin => 1)],
        ['admin product', [0], sub { return $admin->('/products',
            { title => 'P' . $serial++, price => 5, stock => 3 }) }],
        ['admin create', [0], sub { return $admin->('/seckill/activities', {
            product_id => '1', title => 'T', price => 5, total => 5,
            start_at => now() - 1000, end_at => now() + $day }) }],
        ['admin adjust', [0, 60010], sub { return
            $admin->("/seckill/activities/$a/stock", { delta => 1 }) }],
        ['admin reconcile', [0], sub { return { method => 'GET', admin => 1,
            path => "/api/v1/admin/seckill/activities/$a" } }],
        ['metrics', [undef], $get->('/metrics')],
        ['health', [0], $get->('/health')],
        ['ready', [0], $get->('/ready')],
        ['openapi', [undef], $get->('/api/v1/openapi.json')],
        ['no route', [4], $get->('/api/v1/none')],
        ['bad body', [2], sub { return { method => 'POST', user => 1,
            path => "/api/v1/seckill/activities/$a/buy",
            type => 'application/json', body => '{"quantity":' } }],
        ['bad token', [6], $get->('/api/v1/orders', token => 'a.b.c')],
        ['large body', [8], sub { return { method => 'POST', user => 1,
            path => "/api/v1/seckill/activities/$a/buy",
            body => '{"quantity":1' . ' ' x 70000 . '}' } }],
        ['idle', [], sub { return { idle => 1.1 } }],
    );
}


sub accounts {
    my ($h) = @_;

    my $t = $h->{t};
    my $post = sub { my ($path, $data, %o) = @_;
                     return { method => 'POST', path => "/api/v1/$path", %o,
                              $data ? (data => $data) : () } };
    my $login = sub { $t->login('torture', $password)->{json}{data} };

    return (
        ['login', [0], sub { $post->('user/login',
            { username => 'torture', password => $password }) }],
        ['login wrong', [10002, 10003], sub { $post->('user/login',
            { username => 'nobody' . $serial++, password => 'wrong 12345' })
            }],
        ['login guess', [10002, 10003], sub { $post->('user/login',
            { username => 'guessed', password => 'wrong 12345' }) }],
        ['register', [0, 10001], sub { $post->('user/register',
            { username => 'torture' . $serial++, password => $password }) }],
        ['refresh', [0], sub { $post->('auth/refresh-token',
            { refresh_token => $login->()->{refresh_token} }) }],
        ['logout', [0], sub { $post->('user/logout', undef,
            token => $login->()->{access_token}) }],
        ['profile', [0], sub { return { method => 'GET', user => $h->{id},
            path => '/api/v1/user/profile' } }],
        ['profile put', [0], sub { return { method => 'PUT',
            path => '/api/v1/user/profile', user => $h->{id},
            data => { nickname => 'n' . $serial++ } } }],
    );
}


sub now {
    return int(time() * 1000);
}


# an account, a buyer with an order in MySQL, a hundred products

sub prepare {
    my ($h) = @_;

    return if $h->{old};

    my $t = $h->{t};
    my $r = $t->register('torture', $password);

    $h->{id} = $t->value("SELECT id FROM user WHERE username = 'torture'")
        // die "no account: $r->{body}\n";
    $t->register('guessed', $password);
    $t->product() foreach 1 .. 95;

    my $user = RushTest::Sale::user();
    $r = $h->{sale}->buy($user, key => "k$user");
    $h->{old} = { user => $user, order_no => $r->{json}{data}{order_no} };
    row($h, $h->{old}{order_no});
}


sub row {
    my ($h, $order) = @_;

    $h->{t}->wait_for(sub {
        $h->{t}->value('SELECT 1 FROM orders WHERE order_no = ?', $order)
    }, 10, 'the row of an order') or die "no row\n";
}


# orders to cancel, some at once: waiting for their rows takes the time

sub cancel_ready {
    my ($h) = @_;

    if (!@{$h->{orders} || []}) {
        my @users = map { RushTest::Sale::user() } 1 .. 40;
        my @r = $h->{sale}->burst([map { [$_, "k$_"] } @users], conns => 8);

        $h->{orders} = [map { [$users[$_], $r[$_]{json}{data}{order_no}] }
                        grep { ($r[$_]{code} // -1) == 0 } 0 .. $#r];
        row($h, $_->[1]) foreach @{$h->{orders}};
    }
}


sub cancel {
    my ($h) = @_;

    cancel_ready($h);

    my ($user, $order) = @{pop @{$h->{orders}}};

    return { method => 'POST', path => "/api/v1/orders/$order/cancel",
             user => $user, data => { reason => 'no need' } };
}


1;
