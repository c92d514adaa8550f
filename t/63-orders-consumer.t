#!/usr/bin/perl

# Copyright (C) Rush
#
# The consumer's part of ordinary orders, without nginx: entries are made as a
# worker makes them.  Rows with prices and addresses of the moment, orders
# that cannot be had, entries that are no orders, deaths between any two
# steps, and units that come back.  O1..O7 are places of the thread, O8 of
# the sweep.

use warnings;
use strict;

use FindBin;
use JSON::PP qw(decode_json);
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use Test::More;

my %conf = %{+FAST};

$conf{consumer} = { %{$conf{consumer}}, claim_idle => 300 };
$conf{controller} = { %{$conf{controller}}, trim_interval => 1,
                      trim_keep => 0 };
$conf{orders} = { pay_seconds => 900, backlog => 30 };
$conf{accounts} = { erase_interval => 50 };

my $t = RushTest->new(nginx => 0, failpoints => 1, consumer => 2, start => 0,
                      consumer_conf => \%conf);

$t->start(qw(redis mysql consumer));
soon('the gate opens', sub { gate_open($t) });

my $STREAM = '{rush}order';
my $serial = 630_000;


sub now { return RushTest::Data::now_ms() }


sub number { return (now() - 1704067200000 << 22 | ++$serial & 4095) . '-0' }


# as order.lua does it; o: user, key, qty, address, remark, t, no

sub place {
    my ($product, %o) = @_;

    my $no = $o{no} // number();
    my $user = $o{user} // ++$serial;

    $t->redis()->set("{rush}o:$no", $user, PX => 86400_000);
    $t->redis()->set("{rush}o:$user:$o{key}", $no, PX => 86400_000)
        if $o{key};
    $t->redis()->xadd($STREAM, '*', o => $no, u => $user, r => $o{key} // $no,
                      p => $product, q => $o{qty} // 1,
                      a => $o{address} // 0, m => $o{remark} // '',
                      t => $o{t} // now());

    return $no;
}


sub order {
    return ($t->sql('SELECT * FROM orders WHERE order_no = ?', $_[0]))[0];
}


sub stored {
    my (@no) = @_;
    return $t->value('SELECT COUNT(*) FROM orders WHERE order_no IN ('
                     . join(', ', ('?') x @no) . ')', @no);
}


sub pending { return ($t->redis()->xpending($STREAM, 'rush') || [0])->[0] }


sub product {
    my ($row) = $t->sql('SELECT stock, taken FROM product WHERE id = ?',
                        $_[0]);
    return "$row->{stock} $row->{taken}";
}


# refused with this reason, and nothing was taken

sub refused {
    my ($no, $reason) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    soon("$reason: stored", sub { stored($no) });
    my $o = order($no);
    is(join(' ', map { $_ // '-' } @$o{qw(status stock_state cancel_reason
                                         reason)}),
       "5 5 $reason $reason", $reason);
    cmp_ok($o->{closed_ms}, '>', now() - 60_000, 'closed');
    return $o;
}


subtest 'a row' => sub {
    my $p = $t->product(title => 'A "cup"', price => 700, stock => 10,
                        shop_id => 12);
    my $a = $t->insert('address', id => ++$serial, user_id => 77, slot => 0,
                       place => 1, receiver => "Li \"x\"",
                       mobile => '13812345678', province => 'P', city => 'C',
                       detail => "D\\", created_ms => 1, updated_ms => 1);
    my $at = now() - 5000;
    my $no = place($p, user => 77, key => 'k-1', qty => 3, address => $a,
                   remark => "ring \xe4\xbd\xa0", t => $at);

    soon('stored', sub { stored($no) });

    my $o = order($no);
    is(join(' ', @$o{qw(user_id activity_id product_id req_id qty price amount
                        title shop_id status stock_state slot actor_kind
                        version granted_ms pay_deadline_ms closed_ms)}),
       "77 0 $p k-1 3 700 2100 A \"cup\" 12 1 0 0 3 1 $at "
       . ($at + 900_000) . ' 0', 'values');
    is($o->{cancel_reason} . $o->{reason}, '', 'no reason');
    utf8::encode($o->{remark}) if utf8::is_utf8($o->{remark});
    is($o->{remark}, "ring \xe4\xbd\xa0", 'remark');
    is_deeply(decode_json($o->{address}), {
        id => "$a", receiver => 'Li "x"', mobile => '13812345678',
        province => 'P', city => 'C', district => '', detail => "D\\",
        postcode => '', tag => '' }, 'address');
    like($o->{stream_id}, qr/^\d+-\d+$/, 'entry');
    is(product($p), '7 3', 'units');
    is($t->value('SELECT COUNT(*) FROM order_log WHERE order_no = ?', $no), 0,
       'born, not changed');

    soon('acknowledged', sub { !pending() });

    foreach my $key ("{rush}o:$no", '{rush}o:77:k-1') {
        soon("$key goes soon", sub { $t->redis()->pttl($key) <= 600_000 });
        cmp_ok($t->redis()->pttl($key), '>', 500_000, 'not at once');
    }

    # as it was then
    $t->do('UPDATE product SET title = ?, price = 1 WHERE id = ?', 'New', $p);
    $t->do('DELETE FROM address WHERE id = ?', $a);
    is_deeply(order($no)->{title}, 'A "cup"', 'a snapshot');
};


subtest 'what cannot be had' => sub {
    my $p = $t->product(stock => 2, price => 5, title => 'Two');
    my $off = $t->product(status => 0, stock => 9);
    my $gone = $t->product(status => 2, stock => 9);
    my $other = $t->insert('address', id => ++$serial, user_id => 5,
                           slot => 0, place => 1, receiver => 'x',
                           mobile => '1', province => 'P', city => 'C',
                           detail => 'D', created_ms => 1, updated_ms => 1);

    my $o = refused(place($p, qty => 3), 'stock');
    is("$o->{title} $o->{price} $o->{amount}", 'Two 5 15', 'what it was');
    refused(place($off), 'product');
    refused(place($gone), 'product');
    $o = refused(place(999_999), 'product');
    is("$o->{title} $o->{amount}", ' 0', 'of nothing');
    refused(place($p, address => 4711), 'address');
    $o = refused(place($p, address => $other), 'address');
    is($o->{address}, '', 'nothing of somebody else');
    is(product($p), '2 0', 'nothing is taken');
    is(product($off), '9 0', 'nor there');

    my $last = place($p, qty => 2);
    soon('the last two', sub { stored($last) });
    is(order($last)->{status}, 1, 'to pay');
    refused(place($p), 'stock');
    is(product($p), '0 2', 'all of it');
};


# in one batch and over several

subtest 'exactly as many as there are' => sub {
    my ($p, $q) = ($t->product(stock => 10), $t->product(stock => 25));

    $t->pause('consumer');
    my @no = map { (place($p), place($q, qty => 2)) } 1 .. 100;
    $t->resume('consumer');

    soon('stored', sub { stored(@no) == 200 });
    is(product($p), '0 10', 'ten');
    is(product($q), '1 24', 'twelve by two, one left');

    my @good = map { $_->{order_no} } $t->sql(
        'SELECT order_no FROM orders WHERE product_id = ? AND status = 1 '
        . 'ORDER BY order_no', $p);
    is("@good", join(' ', sort @no[map { 2 * $_ } 0 .. 9]),
       'who came first');
    is($t->value('SELECT COUNT(*) FROM orders WHERE product_id = ? AND '
                 . "status = 5 AND cancel_reason = 'stock'", $p), 90,
       'all others know');
};


# somebody else lowers the stock, between the plan and the update

subtest 'stock that changes meanwhile' => sub {
    my $p = $t->product(stock => 5);

    $t->failpoint('O3', 'sleep', 1);
    my @no = map { place($p) } 1 .. 5;
    soon('inserted', sub { $t->failpoint_hits('O3') });
    $t->do('UPDATE product SET stock = 3 WHERE id = ?', $p);
    $t->failpoint('O3', 'off');
    soon('stored', sub { stored(@no) == 5 });
    is(product($p), '0 3', 'three of five');
    is($t->value('SELECT COUNT(*) FROM orders WHERE product_id = ? AND '
                 . 'status = 1', $p), 3, 'three orders');
};


subtest 'delivered again' => sub {
    my $p = $t->product(stock => 10);
    my $no = place($p, user => 99, key => 'twice');
    soon('stored', sub { stored($no) });

    # the same entry, and the same request under another number
    my $dup = gauge($t, 'consumer', 'duplicates_total');
    place($p, user => 99, key => 'twice', no => $no);
    my $again = place($p, user => 99, key => 'twice');
    my $new = place($p);
    soon('the next one', sub { stored($new) });
    soon('acknowledged', sub { !pending() });
    is(stored($no) . stored($again), '10', 'one row');
    is(product($p), '8 2', 'two units');
    is(gauge($t, 'consumer', 'duplicates_total') - $dup, 2, 'counted');

    # twice in one batch
    $t->pause('consumer');
    my @no = map { place($p, user => 98, key => 'once') } 1 .. 3;
    $t->resume('consumer');
    soon('stored', sub { stored(@no) });
    soon('acknowledged', sub { !pending() });
    is(stored(@no), 1, 'one of three');
    is(product($p), '7 3', 'one unit');
};


subtest 'entries that are no orders' => sub {
    my $p = $t->product(stock => 100);
    my $rd = $t->redis();
    my @good = (o => 0, u => 7, r => 'r', p => $p, q => 1, a => 0, m => '',
                t => 5);
    my $bad = sub {
        my (%o) = @_;
        my %e = (@good, o => number(), %o);
        delete @e{grep { !defined $e{$_} } keys %e};
        return $rd->xadd($STREAM, '*', %e);
    };
    my @id = ($bad->(u => undef), $bad->(u => 'x'), $bad->(q => 0),
              $bad->(q => -1), $bad->(r => ''), $bad->(r => 'x' x 65),
              $bad->(o => '5-7'), $bad->(o => 'x'),
              $rd->xadd($STREAM, '*', 'x', 'y'),
              $bad->(q => '99999999999'),       # no column takes it
              $bad->(m => "\xff\xfe", r => 'utf8'));

    my $no = place($p);
    soon('the good one', sub { stored($no) });
    soon('acknowledged', sub { !pending() });

    my %letter = map { $_->{stream_id} => $_ }
        $t->sql('SELECT * FROM dead_letter WHERE activity_id = -1');
    is(scalar(grep { !$letter{$_} } @id), 0, 'a letter each')
        or diag(join ' ', grep { !$letter{$id[$_]} } 0 .. $#id);
    is($letter{$id[0]}{cause}, 'malformed order', 'cause');
    is($letter{$id[6]}{cause}, 'order number of an activity', 'cause');
    is($letter{$id[10]}{part}, -1, 'the whole entry');
    is(product($p), '99 1', 'nothing taken');

    # a letter that can be stored now
    my $q = $t->product(stock => 5);
    my $body = sub {
        my ($n) = @_;
        return '{"id":"1-1","fields":["o","' . $n . '","u","8","r","' . $n
            . "\",\"p\",\"$q\",\"q\",\"1\",\"a\",\"0\",\"m\",\"\","
            . '"t","' . now() . '"],"cut":false}';
    };
    my $n = number();
    my $id = $t->insert('dead_letter', activity_id => -1, stream_id => '1-1',
                        part => -1, cause => 'x', body => $body->($n),
                        created_ms => 1);
    my ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $id);
    is("$rc $out", "0 stored\n", 'replayed');
    is(stored($n) . ' ' . product($q), '1 4 1', 'stored');
    $t->do('UPDATE dead_letter SET state = 0 WHERE id = ?', $id);
    ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $id);
    is("$rc $out", "0 was stored before\n", 'once');
    is(product($q), '4 1', 'one unit');

    $id = $letter{$id[0]}{id};
    ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $id);
    is($rc, 1, 'still fails');
    like($out, qr/still fails: malformed order/, 'and says why');
    is($t->value('SELECT state FROM dead_letter WHERE id = ?', $id), 0,
       'open');
    $t->do('UPDATE dead_letter SET state = 2');
};


# --- deaths ---

my $pay = $t->product(stock => 1000);
my $left = 1000;


# in one reply of Redis

sub three {
    $t->redis()->multi();
    my @no = map { place($pay) } 1 .. 3;
    $t->redis()->exec();
    $left -= 3;
    return @no;
}


sub right {
    my ($name, @no) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    soon("$name: nothing is pending", sub { !pending() });
    is(stored(@no), 3, "$name: three rows");
    is(product($pay), $left . ' ' . (1000 - $left), "$name: units");
    clean($t, $name);
}


my %then = (O1 => '0 3', O2 => '0 3', O3 => '0 3', O4 => '0 3', O5 => '3 3',
            O6 => '3 3', O7 => '3 0');

foreach my $point (sort keys %then) {
    subtest "$point" => sub {
        $t->failpoint($point, 'kill', 1);
        my @no = three();
        soon('it dies', sub { !$t->running('consumer') });
        is($t->daemon('consumer')->{status}, 9, 'by itself');
        like(stored(@no) . ' ' . pending(), qr/^$then{$point}$/,
             'rows and entries');
        $t->start('consumer');
        soon('stored', sub { stored(@no) == 3 });
        right($point, @no);

        $t->failpoint($point, 'error', 1);
        @no = three();
        soon('it fails', sub { $t->failpoint_hits($point) });
        soon('stored', sub { stored(@no) == 3 });
        right("$point, error", @no);
        $t->failpoint($point, 'off');
    };
}


subtest 'another takes over' => sub {
    $t->start('consumer2');

    foreach my $point (qw(O1 O4 O5)) {
        $t->failpoint($point, 'kill', 1);
        my @no = three();
        my ($dead) = soon("$point kills one", sub {
            (grep { !$t->running($_) } qw(consumer consumer2))[0]
        });
        soon('stored by the other', sub { stored(@no) == 3 });
        right($point, @no);
        $t->start($dead);
    }

    # one sleeps with a batch, the other takes it; then it wakes up
    $t->failpoint('O4', 'sleep', 1);
    my @no = three();
    soon('stored', sub { stored(@no) == 3 });
    right('asleep', @no);
    $t->failpoint('O4', 'off');
    $t->stop('consumer2');
};


subtest 'MySQL is away, then Redis' => sub {
    $t->kill('mysql');
    my @no = three();
    $t->start('mysql');
    soon('stored', sub { stored(@no) == 3 }, 20);
    right('MySQL', @no);

    $t->stop('redis');
    $t->start('redis');
    @no = three();
    soon('stored', sub { stored(@no) == 3 }, 20);
    soon('the gate opens', sub { gate_open($t) });
    right('Redis', @no);

    # all of Redis is lost, the rows are not
    $t->redis()->flushall();
    @no = three();
    soon('stored', sub { stored(@no) == 3 }, 20);
    soon('the gate opens', sub { gate_open($t) });
    right('an empty Redis', @no);
};


subtest 'an entry without a body' => sub {
    $t->stop('consumer');
    my @no = three();
    $left += 1;

    # somebody gets them, and one is deleted
    my $r = $t->redis()->xreadgroup(GROUP => 'rush', 'nobody', STREAMS =>
                                    $STREAM, '>');
    $t->redis()->xdel($STREAM, $r->[0][1][1][0]);
    $t->start('consumer');
    soon('two are stored', sub { stored(@no) == 2 });
    soon('acknowledged', sub { !pending() });
    is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'entry_lost'"), 1,
       'an alarm');
    $t->do('DELETE FROM alarm');
};


subtest 'given back' => sub {
    my $p = $t->product(stock => 10);
    my @no = map { place($p, qty => 2) } 1 .. 3;
    my $state = sub {
        return join ' ', map { order($_)->{stock_state} } @no;
    };
    my $cancel = sub {
        $t->do("UPDATE orders SET status = 5, stock_state = 1, "
               . "cancel_reason = 'user', version = version + 1, "
               . 'actor_kind = 1 WHERE order_no = ?', $_[0]);
    };

    soon('stored', sub { stored(@no) == 3 });
    is(product($p), '4 6', 'six');

    $t->failpoint('O8', 'kill', 1);
    $cancel->($no[0]);
    soon('it dies', sub { !$t->running('consumer') });
    is($state->() . ', ' . product($p), '1 0 0, 4 6', 'both or nothing');
    $t->start('consumer');
    soon('given back', sub { $state->() eq '3 0 0' });
    is(product($p), '6 4', 'once');

    $t->failpoint('O8', 'error', 1);
    $cancel->($no[1]);
    soon('the next one', sub { $state->() eq '3 3 0' });
    is($t->failpoint_hits('O8'), 2, 'at the second try');
    is(product($p), '8 2', 'once');

    # not paid in time
    $t->do('UPDATE orders SET pay_deadline_ms = 1000 WHERE order_no = ?',
           $no[2]);
    soon('by the clock', sub { $state->() eq '3 3 3' });
    is(order($no[2])->{cancel_reason}, 'timeout', 'timeout');
    is(product($p), '10 0', 'all are back');
    is(join(' ', map { "$_->{from_status}$_->{to_status}$_->{actor_kind}" }
            $t->sql('SELECT * FROM order_log WHERE order_no = ?', $no[2])),
       '153', 'and in its log');

    # one that was waiting too long for us
    my $late = place($p, t => now() - 901_000);
    soon('born too late', sub {
        stored($late) && order($late)->{stock_state} == 3 });
    is(product($p), '10 0', 'given back');
    clean($t, 'given back');
};


subtest 'reconcile' => sub {
    my $p = $t->product(stock => 10);
    my @no = map { place($p) } 1 .. 3;
    soon('stored', sub { stored(@no) == 3 });
    clean($t, 'before');

    # a unit that no order holds; one order too many; rows that make no sense
    $t->do('UPDATE product SET stock = 6, taken = 4 WHERE id = ?', $p);
    my ($rc, $out) = $t->reconcile();
    is($rc, 1, 'found');
    like($out, qr/^I1 product $p: 4 units are taken, live orders hold 3$/m,
         'told');
    ($rc, $out) = $t->reconcile('--repair');
    is($rc, 0, 'repaired') or diag($out);
    is(product($p), '7 3', 'back on sale');

    $t->do('UPDATE product SET stock = 8, taken = 2 WHERE id = ?', $p);
    ($rc, $out) = $t->reconcile('--repair');
    is($rc, 0, 'repaired') or diag($out);
    is(product($p), '7 3', 'taken');

    $t->do('UPDATE orders SET stock_state = 4 WHERE order_no = ?', $no[0]);
    ($rc, $out) = $t->reconcile();
    like($out, qr/^I8 order $no[0] has status 1 with stock state 4$/m,
         'state');
    $t->do('UPDATE orders SET stock_state = 0 WHERE order_no = ?', $no[0]);

    # what the sums do not allow waits, and does not stop others
    $t->do('UPDATE product SET stock = 10, taken = 0 WHERE id = ?', $p);
    $t->do("UPDATE orders SET status = 5, stock_state = 1, "
           . "version = version + 1 WHERE order_no = ?", $no[0]);
    my $q = $t->product(stock => 1);
    my $other = place($q, t => now() - 901_000);
    soon('the other one', sub {
        stored($other) && order($other)->{stock_state} == 3 });
    is(order($no[0])->{stock_state}, 1, 'waits');
    ($rc, $out) = $t->reconcile('--repair');
    soon('then it is done', sub { order($no[0])->{stock_state} == 3 });
    is(product($p), '8 2', 'right');
    clean($t, 'after');
};


subtest 'trimmed, counted, told' => sub {
    soon('old entries go', sub { $t->redis()->xlen($STREAM) < 200 });
    soon('nothing waits', sub {
        gauge($t, 'consumer', 'ordinary_lag') == 0
            && gauge($t, 'consumer', 'ordinary_pending') == 0 });
    cmp_ok(gauge($t, 'consumer', 'ordinary_total'), '>', 0, 'counted');

    my $p = $t->product(stock => 100);
    $t->failpoint('O2', 'sleep', 1);
    my $first = place($p);
    soon('held', sub { $t->failpoint_hits('O2') });
    my @no = map { place($p) } 1 .. 40;
    soon('waiting', sub { gauge($t, 'consumer', 'ordinary_lag') == 40 });
    soon('an alarm', sub {
        $t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'backlog'") });
    $t->failpoint('O2', 'off');
    soon('stored', sub { stored($first, @no) == 41 });
    is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'backlog'"), 1,
       'one');
};


subtest 'nothing of a person stays' => sub {
    my $p = $t->product();
    my $id = ++$serial;

    $t->insert('user', id => $id, password_hash => '', created_ms => 1,
               updated_ms => 1);
    my $a = $t->insert('address', id => ++$serial, user_id => $id, slot => 0,
                       place => 1, receiver => 'Li', mobile => '13812345678',
                       province => 'P', city => 'C', detail => 'D',
                       created_ms => 1, updated_ms => 1);
    my $no = place($p, user => $id, address => $a, remark => 'at the back');
    soon('stored', sub { stored($no) });
    isnt(order($no)->{address}, '', 'an address');
    $t->do('UPDATE user SET status = 2, deleted_ms = 1 WHERE id = ?', $id);
    soon('erased', sub { order($no)->{address} eq '' }, 20);
    is(order($no)->{remark}, '', 'nor a remark');
};


$t->finish();
done_testing();
