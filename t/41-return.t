#!/usr/bin/perl

# Copyright (C) Rush
#
# Units come back: by a cancel, by the end of the time to pay, by restocking.
# Each exactly once, and somebody else can buy them within 2 s.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new();

my $serial = 7000;

sub user { return ++$serial }


sub order {
    my ($s, $user, %o) = @_;

    my $r = $s->buy($user, %o);

    is($r->{code}, 0, 'bought') or diag($r->{body});
    return $r->{json}{data}{order_no};
}


sub cancel {
    my ($no, $user, %o) = @_;
    return $t->post("/api/v1/orders/$no/cancel", {}, user => $user, %o);
}


sub rows {
    my ($id, $n) = @_;
    return $t->wait_for(sub { $t->live_orders($id) == $n }, 5, "$n rows");
}


# remain in Redis becomes n

sub remain {
    my ($id, $n, $name) = @_;
    ok($t->wait_for(sub { $t->meta($id)->{remain} == $n }, 3, "$n left"),
       $name);
}


# new buyers ask until one gets the unit; in how many s

sub sellable {
    my ($s, $name, %o) = @_;

    my $start = time();
    my $r;

    ok($t->wait_for(sub {
        $r = $s->buy(user(), %o);
        return $r->{code} == 0;
    }, 2, 'a buyer to win'), $name)
        or diag($r->{body});

    return $r->{json}{data}{order_no};
}


subtest 'cancel' => sub {
    my $id = $t->activity(stock => 1);
    my $s = RushTest::Sale->new($t, $id);
    my $user = user();
    my $no = order($s, $user, key => 'one');
    my $rver = $t->meta($id)->{rver};

    rows($id, 1);
    $s->buy(user()) foreach 1 .. 3;

    is(cancel($no, user())->{status}, 404, 'not mine');
    is(cancel("1$no", $user)->{status}, 404, 'no such order');
    is(cancel('x', $user)->{status}, 404, 'no order number');

    my $r = cancel($no, $user);
    is($r->{code}, 0, 'cancelled');
    is($r->{json}{data}{status}, 5, 'status');
    is($r->{json}{data}{cancel_reason}, 'user', 'reason');
    ok($r->{json}{data}{closed_at}, 'closed');

    my $next = sellable($s, 'another one has it within 2 s');

    is(cancel($no, $user)->{code}, 0, 'again: the same answer');
    is($t->meta($id)->{rver}, $rver + 1, 'one return');
    is($t->get("/api/v1/seckill/results/$no", user => $user)
       ->{json}{data}{status}, 'failed', 'the result tells');

    $s->check('books', rows => 1);
    is($t->value('SELECT stock_state FROM orders WHERE order_no = ?', $no),
       3, 'given back');

    # the buyer may try again
    is($t->value('SELECT COUNT(*) FROM orders WHERE order_no = ? AND '
                 . 'stock_state = 0', $next), 1, 'the other order stands');
};


subtest 'cancel 30 times at once' => sub {
    my $id = $t->activity(stock => 3);
    my $s = RushTest::Sale->new($t, $id);
    my ($one, $two) = (user(), user());
    my $no = order($s, $one);
    my $other = order($s, $two);
    my $rver = $t->meta($id)->{rver};

    rows($id, 2);

    my @r = $t->burst([map {
        { method => 'POST', path => "/api/v1/orders/$no/cancel",
          user => $one, data => {} }
    } 1 .. 30], sync => 1);

    is(scalar(grep { $_->{code} == 0 } @r), 30, 'all say cancelled');
    remain($id, 2, 'one unit is back');

    # time for a second one to show
    $s->check('books', rows => 1);
    is($t->meta($id)->{rver}, $rver + 1, 'one return');
    is($t->value('SELECT version FROM orders WHERE order_no = ?', $no), 2,
       'one change of the row');

    is(order($s, $one) ne $no, 1, 'the limit is free again');
    $s->check('books after it', rows => 2);
};


subtest 'cancel before the row' => sub {
    my $id = $t->activity(stock => 2);
    my $s = RushTest::Sale->new($t, $id);
    my $user = user();

    $t->pause('consumer');
    my $no = order($s, $user);

    my $r = $t->get("/api/v1/seckill/results/$no", user => $user);
    is($r->{json}{data}{status}, 'queued', 'queued');

    $r = cancel($no, $user);
    is($r->{status}, 409, 'not yet');
    is($r->{code}, 30002, 'it is being written');
    is(cancel($no, user())->{status}, 404, 'not mine');
    $t->resume('consumer');

    ok($t->wait_for(sub { cancel($no, $user)->{code} == 0 }, 5, 'the row'),
       'then it works');
    remain($id, 2, 'the unit is back');
    $s->check('books', rows => 0);
};


subtest 'cancel, consumer killed' => sub {
    my $id = $t->activity(stock => 5);
    my $s = RushTest::Sale->new($t, $id);
    my %no = map { my $user = user(); ($user => order($s, $user)) } 1 .. 5;
    my $rver = $t->meta($id)->{rver};

    rows($id, 5);
    $t->kill('consumer');

    is(cancel($no{$_}, $_)->{code}, 0, 'cancelled') foreach keys %no;
    is($t->meta($id)->{remain}, 0, 'nobody gives back');

    $t->start('consumer');
    remain($id, 5, 'all are back');
    $s->check('books', rows => 0);
    is($t->meta($id)->{rver}, $rver + 5, 'each once');
};


subtest 'not paid' => sub {
    my $id = $t->activity(stock => 4, pay_seconds => 1, limit => 3);
    my $s = RushTest::Sale->new($t, $id);
    my $user = user();
    my $no = order($s, $user, quantity => 3);
    my $kept = order($s, user());
    my $rver = $t->meta($id)->{rver};

    rows($id, 2);

    # who pays keeps it
    $t->paid('order_no = ?', $kept);

    ok($t->wait_for(sub { $t->meta($id)->{remain} == 3 }, 4, 'the timeout'),
       'three units are back');

    my ($row) = $t->sql('SELECT * FROM orders WHERE order_no = ?', $no);
    is($row->{status}, 5, 'cancelled');
    is($row->{cancel_reason}, 'timeout', 'by the clock');
    cmp_ok($row->{closed_ms}, '>', $row->{pay_deadline_ms}, 'not too early');
    cmp_ok($row->{closed_ms}, '<', $row->{pay_deadline_ms}
           + 2000 * $RushTest::SLOW, 'in time');

    my $r = cancel($no, $user);
    is($r->{code}, 30001, 'nothing to cancel any more');

    $r = $t->get("/api/v1/seckill/results/$no", user => $user);
    is($r->{json}{data}{status}, 'failed', 'the result tells');
    is($r->{json}{data}{reason}, 'timeout', 'why');

    sleep 0.5;
    is($t->meta($id)->{rver}, $rver + 1, 'once');
    is($t->meta($id)->{remain}, 3, 'three units');
    is($t->value('SELECT stock_state FROM orders WHERE order_no = ?', $kept),
       4, 'the paid one stands');
    is(cancel($kept, user())->{status}, 404);

    $t->do('UPDATE seckill_activity SET pay_seconds = 1800 WHERE id = ?',
           $id);
    sellable($s, 'others can buy', quantity => 3);
    $s->check('books');
};


# both want the same row at the same time: one of them has it

subtest 'cancel against the clock' => sub {
    my $id = $t->activity(stock => 60, pay_seconds => 2);
    my $s = RushTest::Sale->new($t, $id);
    my @users = map { user() } 1 .. 60;
    my @r = $s->burst([map { [$_, 'c'] } @users], sync => 1);
    my @no = map { $_->{json}{data}{order_no} } @r;
    my $rver = $t->meta($id)->{rver};

    rows($id, 60);

    my $due = $t->value('SELECT MIN(pay_deadline_ms) FROM orders '
                        . 'WHERE activity_id = ?', $id);
    sleep 0.002 while time() * 1000 < $due - 20;

    my @answers;

    # around the deadline, four orders at a time
    for (my $i = 0; $i < 60; $i += 4) {
        push @answers, $t->burst([map {
            { method => 'POST', path => "/api/v1/orders/$no[$_]/cancel",
              user => $users[$_], data => {} }
        } $i .. $i + 3]);
        sleep 0.01;
    }

    remain($id, 60, 'all are back');

    my %row = map { ($_->{order_no} => $_) }
        $t->sql('SELECT * FROM orders WHERE activity_id = ?', $id);
    my %why;
    my @wrong;

    foreach my $i (0 .. 59) {
        my $row = $row{$no[$i]};
        my $code = $answers[$i]{code};

        $why{$row->{cancel_reason}}++;
        push @wrong, "$code $row->{cancel_reason} $row->{version}"
            if $code != ($row->{cancel_reason} eq 'user' ? 0 : 30001)
               || $row->{version} != 2 || $row->{status} != 5;
    }

    is(join(', ', @wrong), '', 'each row changed once, and as it was told');
    note(join ', ', map { "$_ $why{$_}" } sort keys %why);
    is($t->meta($id)->{rver}, $rver + 60, '60 returns');
    $s->check('books', rows => 0);
};


subtest 'restock' => sub {
    my $node = $t->node();
    my $id = $t->activity(stock => 2);
    my $s = RushTest::Sale->new($t, $id);
    my @workers = map { [$t->workers($_)] } 'nginx', $node;
    my @sockets = map { RushTest::Sale::worker_sockets($t, $_) } 'nginx',
        $node;

    is(scalar @sockets, 2 * $t->worker_count(), 'all workers');

    my $try = sub {
        my ($socket) = @_;
        my $user = user();
        my $r = RushTest::Sale::ask($t, $socket, method => 'POST',
                                    path => $s->path(), user => $user,
                                    data => {});
        $s->remember($user, undef, $r);
        return $r->{code};
    };

    order($s, user()) foreach 1 .. 2;

    # all know that it is sold out
    foreach my $socket (@sockets) {
        is($try->($socket), 60002, 'sold out') foreach 1 .. 3;
    }

    my $r = $t->post("/api/v1/admin/seckill/activities/$id/stock",
                     { delta => 8, reason => 'found some' }, admin => 1);
    is($r->{code}, 0, 'eight more') or diag($r->{body});

    my %won;
    ok($t->wait_for(sub {
        $won{$_} ||= $try->($sockets[$_]) == 0 foreach 0 .. $#sockets;
        return !grep { !$won{$_} } 0 .. $#sockets;
    }, 2, 'every worker to sell'), 'every worker sells within 2 s');

    is($t->value('SELECT total FROM seckill_activity WHERE id = ?', $id), 10,
       'total');
    is($t->value('SELECT state FROM seckill_stock_op WHERE activity_id = ?',
                 $id), 2, 'done');

    # until they are gone, then more is taken away than there is
    $t->wait_for(sub { $try->($sockets[0]) == 60002 }, 5, 'sold out');
    $s->check('books', rows => 10);

    $t->post("/api/v1/admin/seckill/activities/$id/stock", { delta => -1 },
             admin => 1);
    ok($t->wait_for(sub {
        $t->value('SELECT COUNT(*) FROM seckill_stock_op '
                  . 'WHERE activity_id = ? AND state = 3', $id)
    }, 2, 'a refusal'), 'nothing is left to withdraw');

    my ($user, $no) = $t->db()->selectrow_array('SELECT user_id, order_no '
        . 'FROM orders WHERE activity_id = ? LIMIT 1', undef, $id);
    is(cancel($no, $user)->{code}, 0, 'one comes back');
    remain($id, 1, 'one is left');

    $t->post("/api/v1/admin/seckill/activities/$id/stock", { delta => -1 },
             admin => 1);
    remain($id, 0, 'and withdrawn');
    $s->check('books at the end', rows => 9);
    is($t->value('SELECT total FROM seckill_activity WHERE id = ?', $id), 9,
       'total');

    is(join(' ', map { "@$_" } @workers),
       join(' ', map { join ' ', $t->workers($_) } 'nginx', $node),
       'no worker has changed') if RushTest::Mode::workers_stay();
};


subtest 'units that come back all the time' => sub {
    my $id = $t->activity(stock => 3);
    my $s = RushTest::Sale->new($t, $id);
    my (%orders, $bought);

    # each cancels as soon as it has a row; nothing may get lost on the way
    for my $round (1 .. 6) {
        my @buyers = map { [user(), "r$round"] } 1 .. 12;

        ok($t->wait_for(sub {
            $t->get("/api/v1/seckill/activities/$id/stock")
              ->{json}{data}{left} == 3
        }, 2, 'three units'), 'three are for sale');

        my @r = $s->burst(\@buyers, sync => 1);

        foreach my $i (0 .. $#r) {
            next if $r[$i]{code} != 0;
            $orders{$r[$i]{json}{data}{order_no}} = $buyers[$i][0];
            $bought++;
        }

        $t->wait_for(sub {
            foreach my $no (keys %orders) {
                my $code = cancel($no, $orders{$no})->{code};
                delete $orders{$no} if $code == 0;
            }
            return !%orders;
        }, 5, 'cancels');
    }

    is($bought, 18, '18 orders of 3 units');
    $s->check('books', rows => 0);
};


$t->finish();
done_testing();
