package Orders;

# Copyright (C) Rush
#
# Ordinary orders in the bench: how many a worker takes in a second, and how
# many the consumer writes, against the same rows by the plainest client, 500
# a statement and transaction.  All of one product: its row is the hottest.
#
#   my $section = Orders::run($load, \&pin, $quick);        of results.md

use warnings;
use strict;

use JSON::PP;
use RushTest;
use Time::HiRes qw(sleep time);

my $batch = 500;
my @columns = qw(order_no user_id activity_id product_id req_id qty price
    amount title shop_id status stock_state cancel_reason slot stream_id
    granted_ms pay_deadline_ms created_ms closed_ms remark address req_hash
    reason actor_kind);


sub run {
    my ($load, $pin, $quick) = @_;

    my $n = $quick ? 10_000 : 100_000;
    my $t = RushTest->new(
        nginx => { workers => 1, level => 'warn',
                   mysql_args => 'connections=8',
                   extra_http => 'seckill_order_backlog 10000000;' });
    my $p = $t->product(stock => 2 * $n, price => 500);

    $pin->(0, $t->workers('nginx'));
    $pin->(1, $t->pid('redis'), $t->pid('mysql'));

    # the consumer is away: the stream fills

    $t->stop('consumer');

    my $taken = post($t, $load, $p, $n);

    $t->start('consumer');
    $pin->(1, $t->pid('consumer'));

    my $written = rows($t, $p, $n);
    my $bare = bare($t, $p);

    die "units\n" if $t->value('SELECT taken FROM product WHERE id = ?', $p)
        != $n;

    my @rows = (
        ['orders taken by one worker',
         sprintf('%.0f/s, p50 %.1f ms', $taken->{rps},
                 $taken->{p50_us} / 1000), 'stated'],
        ['stream to committed rows', sprintf('%.0f/s', $written), 'stated'],
        ["bare INSERT of the same rows, $batch a statement",
         sprintf('%.0f/s', $bare), ''],
        ['rows, of the bare INSERT', sprintf('%.2f x', $written / $bare),
         '0.50 x'],
    );

    undef $t;

    return "## Ordinary orders\n\n$n orders of one product.  The worker has "
        . "one core; the load generator, Redis, MariaDB and the consumer "
        . "share the other.  Made by `bench/run --orders`.\n\n"
        . join '', map { "| $_->[0] | $_->[1] | $_->[2] |\n" }
            ['what', 'result', 'must'], ['---', '---', '---'], @rows;
}


sub post {
    my ($t, $load, $p, $n) = @_;

    my $url = 'http://127.0.0.1:' . $t->port('nginx') . '/api/v1/orders';
    my $text = `taskset -c 1 $load -m POST -c 64 -n $n \\
        -k $t->{dir}/jwt.key -u 8000000 -U $n -b '{"product_id":"$p"}' $url`;
    my $r = decode_json($text);

    die "load: $text\n" if $r->{failed} || ($r->{code}{0} // 0) != $n;

    return $r;
}


# from the first row to the last

sub rows {
    my ($t, $p, $n) = @_;

    my $seen = 0;
    my $start = time();
    my $first = $start;

    while ($seen < $n && time() - $start < 120) {
        sleep 0.02;
        my $now = $t->value('SELECT taken FROM product WHERE id = ?', $p);
        $first = time() if $now == 0;
        $seen = $now;
    }

    die "only $seen of $n rows\n" if $seen < $n;

    return $n / (time() - $first);
}


sub bare {
    my ($t, $p) = @_;

    my $db = $t->db();
    my $list = join ', ', @columns;

    $db->do('CREATE TABLE bench_orders LIKE orders');

    my $rows = $db->selectall_arrayref("SELECT $list FROM orders "
        . 'WHERE product_id = ? ORDER BY order_no', undef, $p);
    my $one = '(' . join(', ', ('?') x @columns) . ')';
    my $insert = $db->prepare("INSERT INTO bench_orders ($list) VALUES "
        . join(', ', ($one) x $batch));
    my $seconds = 0;

    for (my $i = 0; $i + $batch <= @$rows; $i += $batch) {
        my @bind = map { @$_ } @$rows[$i .. $i + $batch - 1];
        my $begin = time();
        $insert->execute(@bind);
        $seconds += time() - $begin;
    }

    return @$rows / $seconds;
}


1;
