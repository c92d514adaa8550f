#!/usr/bin/perl

# Copyright (C) Rush
#
# What an administrator does with products and activities, route by route.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use RushTest;
use Test::More;

my $t = RushTest->new();
my $now = int(time() * 1000);


sub admin {
    my ($method, $path, $data) = @_;

    my $r = $t->request($method, "/api/v1/admin$path", admin => 1,
        $data ? (data => $data) : ());

    return ($r->{code}, $r->{json}{data} || {});
}


sub activity {
    my (%o) = @_;

    my ($code, $data) = admin('POST', '/seckill/activities', {
        product_id => '1', title => 'Sale', price => 100,
        start_at => $now - 1000, end_at => $now + 3_600_000, total => 5,
        %o });

    is($code, 0, 'an activity');
    return $data->{id};
}


my ($code, $data) = admin('POST', '/products',
    { title => 'Cup', price => 500, stock => 3 });

is($code, 0, 'a product');
my $product = $data->{id};


subtest 'products' => sub {
    ($code, $data) = admin('PUT', "/products/$product",
        { title => "Mug'; --", version => 1 });
    is("$code $data->{title} $data->{version}", "0 Mug'; -- 2", 'changed');

    is((admin('PUT', "/products/$product", { title => 'x', version => 1 }))[0],
       13, 'another version');
    is((admin('PUT', '/products/99999', { title => 'x' }))[0], 4, 'unknown');

    ($code, $data) = admin('POST', "/products/$product/stock",
        { delta => 4, reason => 'found' });
    is("$code $data->{stock}", '0 7', 'adjusted');

    ($code, $data) = admin('POST', "/products/$product/stock",
        { stock => 2, reason => 'counted' });
    is("$code $data->{stock}", '0 2', 'set');

    is((admin('POST', "/products/$product/stock",
              { delta => -3, reason => 'lost' }))[0], 20002, 'too few');
    is((admin('POST', "/products/$product/stock",
              { delta => 1, stock => 1, reason => 'both' }))[0], 2, 'both');
    is($t->value('SELECT COUNT(*) FROM product_stock_log'
                 . ' WHERE product_id = ?', $product), 2, 'the log');

    ok($t->wait_for(sub {
        my $r = $t->get("/api/v1/products/$product/stock");
        return $r->{json}{data}{stock} == 2;
    }, 2, 'the stock'), 'the stock is shown');

    is($t->get("/api/v1/products/$product")->{json}{data}{title},
       "Mug'; --", 'the product is shown');
};


subtest 'deleting a product' => sub {
    my $id = activity(product_id => $product, online => JSON::PP::true());

    is((admin('DELETE', "/products/$product"))[0], 20001, 'in use');
    is((admin('POST', "/seckill/activities/$id/offline"))[0], 0, 'offline');
    is((admin('DELETE', "/products/$product"))[0], 0, 'deleted');
    is((admin('DELETE', "/products/$product"))[0], 4, 'once');
};


subtest 'activities' => sub {
    my $p = $t->product(title => 'Pen');
    my $id = activity(product_id => "$p");
    my $path = "/seckill/activities/$id";

    ($code, $data) = admin('GET', $path);
    is("$code $data->{status}", '0 draft', 'read');

    ($code, $data) = admin('GET', '/seckill/activities?status=0&page_size=5');
    ok((grep { $_->{id} eq $id } @{$data->{list}}), 'listed');

    ($code, $data) = admin('PUT', $path, { title => 'Pens', total => 6 });
    is("$code $data->{title} $data->{total}", '0 Pens 6', 'changed');

    is((admin('POST', "$path/stock", { delta => 1 }))[0], 60010,
       'no stock change of a draft');
    is((admin('POST', "$path/pause"))[0], 60010, 'a draft is not paused');

    ($code, $data) = admin('POST', "/seckill/warmup/$id");
    ok($code == 0 && $data->{warm}, 'warmed');
    is((admin('POST', "/seckill/warmup/$id"))[0], 0, 'warmed twice');
    is((admin('DELETE', $path))[0], 60010, 'a warm one stays');

    is((admin('POST', "$path/online"))[0], 0, 'online');
    is((admin('POST', "$path/online"))[0], 0, 'online twice');
    is((admin('PUT', $path, { total => 9 }))[0], 60010,
       'buyers rely on the total');

    ok($t->wait_for(sub {
        my (undef, $d) = admin('GET', $path);
        return $d->{applied}
               && $t->get("/api/v1/seckill/activities/$id/stock")
                    ->{json}{data}{generation};
    }, 5, 'the activity'), 'applied');

    is($t->buy($id, 501)->{code}, 0, 'bought');

    ($code, $data) = admin('PUT', $path, { price => 90 });
    is("$code $data->{price_ver}", '0 2', 'another price');

    is((admin('POST', "$path/pause"))[0], 0, 'paused');
    is((admin('POST', "$path/resume"))[0], 0, 'resumed');
    is((admin('POST', "$path/stock", { delta => 2 }))[0], 0, 'more units');
    is((admin('POST', "$path/stock", { delta => 0 }))[0], 2, 'none');

    ok($t->wait_for(sub {
        (undef, $data) = admin('GET', "$path/availability");
        return $data->{total} == 8 && $data->{free} == 7
               && $data->{held} == 1;
    }, 5, 'the books'), 'availability') or diag explain $data;

    ($code, $data) = admin('POST', "$path/reconcile", { mode => 'report' });
    is_deeply([$code, $data->{differences}, $data->{live}], [0, [], 1],
              'reconciled');
    ($code, $data) = admin('POST', "$path/reconcile",
        { mode => 'repair' });
    ok($code == 0 && $data->{repair_asked}, 'repair');
    is((admin('POST', "$path/reconcile", { mode => 'x' }))[0], 2, 'mode');
    is((admin('POST', "$path/offline"))[0], 0, 'offline');
    is((admin('PUT', $path, { title => 'x' }))[0], 60010, 'it is over');

    my $draft = activity(product_id => "$p");
    is((admin('DELETE', "/seckill/activities/$draft"))[0], 0, 'deleted');
    is((admin('GET', "/seckill/activities/$draft"))[0], 4, 'gone');
};


$t->finish();
done_testing();
