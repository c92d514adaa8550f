#!/usr/bin/perl

# Copyright (C) Rush
#
# Nothing is sold twice: a crowd for few units, the edges of the stock,
# several sales at once, two nodes on one Redis.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(nginx => {
    workers => 2,
    limits => { global => 'off', api => 'off', login => 'off',
                buy => 'rate=5r/s burst=10' },
});

my $first = 100_000;


sub path { return "/api/v1/seckill/activities/$_[0]/buy" }

sub counter { return RushTest::Sale::counter($t, @_) }


sub sum {
    my $n = 0;
    $n += $_ // 0 foreach @_;
    return $n;
}


# every answer is one that a buyer can understand

sub answers_are {
    my ($r, $n) = @_;

    is($r->{failed}, 0, 'no request failed');
    is(sum(values %{$r->{code}}), $n, "$n answers");
    is(join(' ', grep { !/^(?:0|60002|60007)$/ } keys %{$r->{code}}), '',
       'bought, sold out or crowded');
}


# who was told yes has the rows, nobody else

sub same_buyers {
    my ($id, @users) = @_;

    my @rows = map { $_->{user_id} } $t->sql('SELECT user_id FROM orders '
        . 'WHERE activity_id = ? AND stock_state IN (0, 1, 4) '
        . 'ORDER BY user_id', $id);

    is(join(' ', @rows), join(' ', sort { $a <=> $b } @users),
       'the rows are theirs');
}


subtest '20000 buyers, 100 units' => sub {
    my $id = $t->activity(stock => 100);
    my $sent = counter('buy_sent_total');
    my $r = RushTest::Sale::load($t, requests => 20_000, conns => 512,
                                 path => path($id), first => $first);
    my $end = time();

    $first += 20_000;
    answers_are($r, 20_000);
    is($r->{code}{0}, 100, 'exactly 100 were accepted');

    ok($t->wait_for(sub { $t->live_orders($id) == 100 }, 3, '100 rows'),
       'the rows within 3 s');
    diag(sprintf '%.2f s, %d/s, rows after %.2f s, %d buyers reached Redis',
         $r->{seconds}, $r->{rps}, time() - $end,
         counter('buy_sent_total') - $sent);

    is($t->meta($id)->{remain}, 0, 'nothing is left');
    same_buyers($id, @{$r->{users}});
    cmp_ok(counter('buy_sent_total') - $sent, '<=', 4000,
           'most were refused before Redis');

    my $s = RushTest::Sale->new($t, $id);
    $s->check('books', rows => 100);
};


subtest 'edges of the stock' => sub {
    my @sales;

    foreach my $stock (0, 1, 7) {
        my $id = $t->activity(stock => $stock, wait => 0);
        push @sales, [$stock, $id];
    }

    foreach (@sales) {
        my ($stock, $id) = @$_;

        $t->wait_loaded($id);

        my $s = RushTest::Sale->new($t, $id);
        my @counts = $stock ? ($stock - 1, 1, 1, $stock + 1) : (1, 5);
        my $left = $stock;

        # one buyer less than units, the one that is missing, one too many
        foreach my $n (@counts) {
            my @r = $s->burst([map { [++$first, "e$_"] } 1 .. $n],
                              sync => 1);
            my $want = $n < $left ? $n : $left;

            is(scalar(grep { $_->{code} == 0 } @r), $want,
               "stock $stock, $left left: $want of $n buyers");
            is(scalar(grep { $_->{code} != 0 && $_->{code} != 60002 } @r),
               0, 'the others: sold out');
            $left -= $want;
        }

        $s->check("stock $stock", rows => $stock);
    }
};


subtest 'more than one unit each' => sub {
    my $id = $t->activity(stock => 10, limit => 3);
    my $s = RushTest::Sale->new($t, $id);
    my @buyers = map {
        my $user = ++$first;
        map { [$user, "q$_", data => { quantity => $_ }] } 1 .. 3
    } 1 .. 20;

    my @r = $s->burst(\@buyers, sync => 1);
    my $units = 0;

    foreach my $i (0 .. $#r) {
        $units += $buyers[$i][3]{quantity} if $r[$i]{code} == 0;
    }

    # a last unit goes to one who wants one
    my $left = 10 - $units;
    cmp_ok($units, '<=', 10, "$units of 10");
    my @rest = $s->burst([map { [++$first, 'rest'] } 1 .. $left + 2],
                         sync => 1);
    is(scalar(grep { $_->{code} == 0 } @rest), $left, "the last $left");
    $s->check('books');
    is($t->meta($id)->{remain}, 0, 'all of them');
};


subtest 'several sales at once' => sub {
    my @ids = map { $t->activity(stock => $_, wait => 0) } 1, 20, 60, 0;

    $t->wait_loaded($_) foreach @ids;

    my @loads = map {
        $first += 1500;
        RushTest::Sale::load_start($t, requests => 1500, conns => 48,
                                   path => path($_), first => $first - 1500)
    } @ids;
    my @want = (1, 20, 60, 0);

    foreach my $i (0 .. $#ids) {
        my $r = RushTest::Sale::load_end($loads[$i]);

        answers_are($r, 1500);
        is($r->{code}{0} // 0, $want[$i], "$want[$i] accepted");

        my $s = RushTest::Sale->new($t, $ids[$i]);
        $s->check("sale $i", rows => $want[$i]);
        same_buyers($ids[$i], @{$r->{users}});
    }
};


subtest 'two nodes' => sub {
    my $node = $t->node(workers => 2, extra_http => 'seckill_nodes 2;');
    my $id = $t->activity(stock => 150);
    my @loads = map {
        $first += 3000;
        RushTest::Sale::load_start($t, requests => 3000, conns => 128,
                                   path => path($id), node => $_,
                                   first => $first - 3000)
    } 'nginx', $node;
    my @r = map { RushTest::Sale::load_end($_) } @loads;

    answers_are($_, 3000) foreach @r;
    is(sum(map { $_->{code}{0} } @r), 150, '150 accepted');

    # the same buyers on both nodes at once
    my $same = $t->activity(stock => 40);
    my $s = RushTest::Sale->new($t, $same);
    my @users = map { ++$first } 1 .. 30;
    my @answers = $s->burst([map {
        ([$_, 'two', node => 'nginx'], [$_, 'two', node => $node])
    } @users], sync => 1);

    is(scalar(grep { $_->{code} == 0 } @answers), 60, 'all granted');
    is(scalar(grep { $_->{json}{data}{replayed} } @answers), 30,
       'half of them as a replay');
    $s->check('same buyers', rows => 30);

    my $books = RushTest::Sale->new($t, $id);
    $books->check('books', rows => 150);
    same_buyers($id, map { @{$_->{users}} } @r);

    # in a crowd one node may be the faster one until nothing is left
    my $each = $t->activity(stock => 2);
    RushTest::Sale->new($t, $each)->burst([[++$first, 'n', node => $_]])
        foreach 'nginx', $node;
    $t->wait_for(sub { $t->live_orders($each) == 2 }, 5, 'two rows');

    my %nodes;
    my @no = map { $_->{order_no} }
        $t->sql('SELECT order_no FROM orders WHERE activity_id IN (?, ?)',
                $id, $each);
    $nodes{($_ >> 12) & 1023}++ foreach map { /^(\d+)-/ } @no;
    is(join(' ', sort keys %nodes), '1 2', 'numbers tell the node');
    is(sum(values %nodes), 152, 'and differ');
};


subtest 'the limit of a user' => sub {
    my $id = $t->activity(stock => 5);
    my $user = ++$first;
    my @r = $t->burst([map { { method => 'POST', path => path($id),
                               user => $user, data => {} } } 1 .. 40]);
    my @limited = grep { $_->{status} == 429 } @r;

    cmp_ok(scalar @limited, '>=', 20, 'too fast: ' . @limited . ' refused');
    is($limited[0]{code}, 10, 'by rate');
    ok($limited[0]{headers}{'retry-after'}, 'Retry-After');
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'one order');

    my $s = RushTest::Sale->new($t, $id);
    $s->check('books', rows => 1);
};


$t->finish();
done_testing();
