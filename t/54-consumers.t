#!/usr/bin/perl

# Copyright (C) Rush
#
# Consumers side by side, killed, cut off from Redis and MySQL at the worst
# moments; entries that are no orders.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    consumer => 2,
    consumer_conf => { consumer => { claim_idle => 300,
                                     claim_interval => 100 } },
    proxy => [qw(consumer_redis consumer_mysql)],
);
my @names = qw(consumer consumer2);
my $rp = $t->proxy('consumer_redis');
my $mp = $t->proxy('consumer_mysql');


sub metric {
    my ($name, $metric) = @_;
    my $r = HTTP::Tiny->new(timeout => 5)
        ->get("http://127.0.0.1:$t->{consumer_port}{$name}/metrics");
    return $r->{content} =~ /^rush_consumer_\Q$metric\E (\d+)/m ? $1 : undef;
}


sub controller {
    return grep { (metric($_, 'controller') // 0) == 1 } @names;
}


sub some_rows {
    my ($id, $n) = @_;
    ok($t->wait_for(sub { $t->live_orders($id) == $n }, 10, "$n rows"),
       "$n rows");
}


subtest 'two share the work' => sub {
    my $id = $t->activity(stock => 5000);
    my $s = RushTest::Sale->new($t, $id);
    my $r = RushTest::Sale::load($t, requests => 3000, conns => 64,
                                 path => $s->path(), first => 200_000);

    some_rows($id, 3000);
    is($r->{code}{0}, 3000, 'all bought');
    is(scalar(controller()), 1, 'one of them is the controller');

    my @did = map { $_->{consumer} } $t->sql('SELECT DISTINCT '
        . 'SUBSTRING_INDEX(consumer, \'-\', 1) AS consumer '
        . 'FROM stream_position WHERE activity_id = ? AND last_id <> \'0-0\'',
        $id);
    is(scalar @did, 2, "both worked: @did");
    $s->check('books', rows => 3000);
};


subtest 'one is killed, then the other' => sub {
    my $id = $t->activity(stock => 6000);
    my $s = RushTest::Sale->new($t, $id);
    my $load = RushTest::Sale::load_start($t, requests => 4500, rate => 1500,
        conns => 64, path => $s->path(), first => 210_000);

    foreach my $name (@names, @names) {
        sleep 0.3;
        $t->kill($name);
        sleep 0.3;
        $t->start($name);
    }

    my $r = RushTest::Sale::load_end($load);
    is($r->{code}{0}, 4500, 'all bought');
    some_rows($id, 4500);
    $s->check('books', rows => 4500);
    $s->have_orders(@{$r->{users}});
};


# what it was given stays pending until it or another one has stored it

subtest 'one never comes back' => sub {
    my $id = $t->activity(stock => 60);
    my $s = RushTest::Sale->new($t, $id);

    my @reads = ();
    ok($t->wait_for(sub {
        @reads = map { my %c = @$_; $c{name} }
            $t->redis()->xinfo('consumers', "{a:$id}s", 'rush');
        return @reads == 4;
    }, 5, 'all writers'), 'all of them have found it') or diag("@reads");

    # its rows wait for this lock, and so would who finds it now
    my $db = RushTest::Backend::mysql_connect($t->{dir}, 'rush');
    $db->begin_work();
    $db->do('SELECT * FROM seckill_activity WHERE id = ? FOR UPDATE', undef,
            $id);

    # until the one that will not come back holds some of them
    ok($t->wait_for(sub {
        $s->some(1);
        return grep {
            my %c = @$_;
            $c{name} =~ /^consumer-/ && $c{pending}
        } $t->redis()->xinfo('consumers', "{a:$id}s", 'rush');
    }, 5, 'pending entries'), 'entries are pending');
    my $n = $s->told('yes');
    $t->kill($_) foreach @names;
    $db->rollback();
    is($t->live_orders($id), 0, 'no rows');

    $t->start('consumer2');
    some_rows($id, $n);
    ok($t->wait_for(sub { metric('consumer2', 'claimed_total') }, 5,
                    'claimed entries'), 'claimed');
    $s->check('books', rows => $n);
    $t->start('consumer');
};


subtest 'the controller is killed' => sub {
    my $id = $t->activity(stock => 5);
    my $s = RushTest::Sale->new($t, $id);

    $t->wait_for(sub { controller() == 1 }, 5, 'a controller');
    my ($first) = controller();

    $s->some(5);
    some_rows($id, 5);
    $t->kill($first);

    foreach my $yes ($s->told('yes')) {
        my ($no) = keys %{$yes->{orders}};
        $t->post("/api/v1/orders/$no/cancel", {}, user => $yes->{user});
    }

    ok($t->wait_for(sub { $t->meta($id)->{remain} == 5 }, 5, 'units'),
       'the other one gives the units back');
    $t->start($first);
    $t->wait_for(sub { controller() == 1 }, 5, 'a controller');
    isnt((controller())[0], $first, 'one holds the lock');
    $s->sells();
    $s->check('books');
};


subtest 'answers are lost' => sub {
    my $id = $t->activity(stock => 200);
    my $s = RushTest::Sale->new($t, $id);
    my @cuts = ([$mp, 'commit', 'before'], [$mp, 'commit', 'reply'],
                [$rp, 'xack', 'before'], [$rp, 'xack', 'reply'],
                [$rp, 'xreadgroup', 'reply'], [$rp, 'xautoclaim', 'reply']);
    my $n = 0;

    foreach (@cuts) {
        my ($p, $match, $where) = @$_;
        my $cuts = $p->stats()->{cuts};

        $p->cut($where, match => $match);
        $s->some(10);
        some_rows($id, $n += 10);
        ok($t->wait_for(sub { $p->stats()->{cuts} > $cuts }, 5, 'a cut'),
           "$match: $where");
        $p->pass();
    }

    # all of it, over and over
    foreach my $p ($rp, $mp) {
        foreach (1 .. 4) {
            $s->some(5);
            $p->drop();
            sleep 0.05;
        }
        $n += 20;
    }

    some_rows($id, $n);
    $s->check('books', rows => $n);
};


# an entry is what buy.lua writes: e, t, p, then g for each order

sub xadd {
    my ($id, @fields) = @_;
    return $t->redis()->xadd("{a:$id}s", '*', @fields);
}


sub grant {
    my ($id, $user, $order, %o) = @_;
    my $meta = $t->meta($id);

    return xadd($id, e => $meta->{epoch}, t => int(time() * 1000),
                p => $o{price_ver} // 1,
                g => join ' ', $user, $order, $order, $o{qty} // 1);
}


sub letters {
    my ($id) = @_;
    return $t->sql('SELECT * FROM dead_letter WHERE activity_id = ? '
                   . 'AND state = 0 ORDER BY id', $id);
}


subtest 'poison' => sub {
    my $id = $t->activity(stock => 50);
    my $s = RushTest::Sale->new($t, $id);
    my $no = 382394864345550000;

    # all of it in the way of one batch
    $t->pause($_) foreach @names;
    $s->some(5);
    xadd($id, foo => 'bar');
    xadd($id, e => 1, t => 'x', p => 1, g => '1 2 3 4');
    xadd($id, e => 1, t => 1, p => 1, g => "1 r 1$no-$id 0");
    grant($id, 77, ++$no . '-' . ($id + 1));
    grant($id, 78, ++$no . "-$id", price_ver => 99);
    $s->some(5);
    $t->resume($_) foreach @names;

    some_rows($id, 10);
    ok($t->wait_for(sub { letters($id) == 5 }, 5, 'letters'),
       'five letters') or diag(explain([letters($id)]));
    ok($s->calm(5), 'nothing is blocked');

    my ($rc, $out) = $t->consumer_run('--dead-letters', 'list');
    is($rc, 0, 'list');
    is(scalar(() = $out =~ /^\d+\tactivity $id\tentry \d+-\d+\tpart/mg), 5,
       'all of them') or diag($out);

    my @letters = letters($id);
    my ($price) = grep { $_->{cause} =~ /price version 99/ } @letters;
    ok($price, 'one has a price that nobody knows') or return;
    is($price->{part}, 0, 'it is one order');

    ($rc, $out) = $t->consumer_run('--dead-letters', 'show', $price->{id});
    is($rc, 0, 'show');
    like($out, qr/^cause +price version 99/m, 'cause');
    like($out, qr/^state +open/m, 'state');
    like($out, qr/^body +\{.*78 $no-$id/m, 'body');

    ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $price->{id});
    is($rc, 1, 'replay: still fails');
    like($out, qr/price version 99/, 'because of the same');
    is(scalar(letters($id)), 5, 'it stays');

    # what it lacked comes; the books get the unit it took
    $t->do('INSERT INTO seckill_price VALUES (?, 99, 55)', $id);
    $t->redis()->hincrby("{a:$id}m", 'remain', -1);
    $t->redis()->hset("{a:$id}u", '78', 1);
    $t->redis()->hset("{a:$id}u", "78:$no-$id", "$no-$id");
    ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $price->{id});
    is($rc, 0, 'replayed') or diag($out);
    like($out, qr/^$no-$id stored/m, 'stored');
    is($t->value('SELECT amount FROM orders WHERE order_no = ?', "$no-$id"),
       55, 'at its price');
    ($rc, $out) = $t->consumer_run('--dead-letters', 'replay', $price->{id});
    is($rc, 1, 'not twice');

    foreach my $letter (letters($id)) {
        ($rc, $out) = $t->consumer_run('--dead-letters', 'discard',
                                       $letter->{id});
        is($rc, 0, 'discarded') or diag($out);
    }

    ($rc, $out) = $t->consumer_run('--dead-letters', 'list');
    is("$rc $out", '0 ', 'none is left');
    is(($t->consumer_run('--dead-letters', 'show', 999_999))[0], 1,
       'no such letter');
    is(($t->consumer_run('--dead-letters', 'show', 'x'))[0], 2, 'no id');
    $s->check('books', rows => 11);
};


# Redis would never grant it; if it did, MySQL has the last word

subtest 'more than there is' => sub {
    my $id = $t->activity(stock => 3);
    my $s = RushTest::Sale->new($t, $id);
    my $no = 382394864345660000;

    $s->some(3);
    some_rows($id, 3);
    grant($id, 80 + $_, ++$no . "-$id") foreach 1 .. 2;

    ok($t->wait_for(sub {
        $t->value('SELECT COUNT(*) FROM orders WHERE activity_id = ? '
                  . 'AND status = 9', $id) == 2
    }, 5, 'rejected orders'), 'both are rejected');
    is($t->value('SELECT sold FROM seckill_activity WHERE id = ?', $id), 3,
       'three are sold');
    is($t->value('SELECT COUNT(*) FROM alarm WHERE activity_id = ? AND '
                 . 'kind = ?', $id, 'oversell_blocked'), 2, 'an alarm each');
    is($t->get("/api/v1/seckill/results/$no-$id", user => 82)
       ->{json}{data}{reason}, 'rejected', 'the buyer can see it');
    $s->check('books', rows => 3, alarms => ['oversell_blocked']);
};


# delivered again by hand, changed and unchanged

subtest 'delivered again' => sub {
    my $id = $t->activity(stock => 9);
    my $s = RushTest::Sale->new($t, $id);
    my ($yes) = map { $s->some($_); $s->told('yes') } 1;
    my ($no) = keys %{$yes->{orders}};

    some_rows($id, 1);

    my ($entry) = $t->redis()->xrange("{a:$id}s", '-', '+');
    my @fields = @{$entry->[1]};

    xadd($id, @fields) foreach 1 .. 3;
    ok($s->calm(5), 'taken');
    $s->check('books', rows => 1);

    # the same number for somebody else
    $fields[-1] =~ s/^\d+/4711/;
    xadd($id, @fields);
    ok($t->wait_for(sub { letters($id) == 1 }, 5, 'a letter'), 'a letter');
    is($t->value('SELECT user_id FROM orders WHERE order_no = ?', $no),
       $yes->{user}, 'the order is whose it was');
    $s->check('books', rows => 1, dead => 1, alarms => ['order_conflict']);
};


$t->finish();
done_testing();
