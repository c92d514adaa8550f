#!/usr/bin/perl

# Copyright (C) Rush
#
# More buyers than Redis can serve: those that would only wait are turned away
# at once, those that wait are served.  A sold-out sale needs no Redis to say
# so.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $WAITING = 512;                  # NGX_SECKILL_WAITING
my $t = RushTest->new(nginx => { workers => 1 });


sub user { return RushTest::Sale::user() }


# so many more than may wait, all at once; Redis stands still until they were
# turned away, and sub was called: a worker waits for it for a second

sub crowd {
    my ($s, $n, $sub) = @_;

    my @buyers = map { my $u = user(); [$u, "k$u"] } 1 .. $WAITING + $n;
    my $crowded = RushTest::Sale::counter($t, 'buy_crowded_total');

    my $pid = RushTest::Sale::later(0, sub {
        delete $t->{http};          # that is the other process'
        $t->wait_for(sub {
            return RushTest::Sale::counter($t, 'buy_crowded_total')
                   >= $crowded + $n;
        }, 10, 'a crowd');
        $sub->() if $sub;
        $t->resume('redis');
    });
    my @r = $s->burst(\@buyers, sync => sub { $t->pause('redis') });

    waitpid $pid, 0;

    return @r;
}


sub codes {
    my %n;
    $n{$_->{code} // $_->{status}}++ foreach @_;
    return join ' ', map { "$_: $n{$_}" } sort keys %n;
}


subtest 'a queue that is full' => sub {
    my $id = $t->activity(stock => 5000);
    my $s = RushTest::Sale->new($t, $id);
    my $crowded = RushTest::Sale::counter($t, 'buy_crowded_total');

    foreach my $round (1, 2) {
        my @r = crowd($s, 200);
        my @away = grep { ($_->{code} // 0) == 60007 } @r;

        is(codes(@r), "0: $WAITING 60007: 200", "round $round");
        is(scalar(grep { $_->{status} != 429
                         || $_->{headers}{'retry-after'} !~ /^\d+$/ } @away),
           0, 'told when to come again');
    }

    is(RushTest::Sale::counter($t, 'buy_crowded_total') - $crowded, 400,
       'counted');
    is($t->meta($id)->{remain}, 5000 - 2 * $WAITING, 'units');

    # nobody stays in a queue that was left
    my @r = $s->some($WAITING, conns => $WAITING, sync => 1);
    is(codes(@r), "0: $WAITING", 'all are served');

    $s->check('books', rows => 3 * $WAITING);
};


subtest 'another sale is not held up' => sub {
    my $busy = RushTest::Sale->new($t, $t->activity(stock => 5000));
    my $other = RushTest::Sale->new($t, $t->activity(stock => 10));

    my $pid;
    my $buy = sub {
        my $r = $t->buy($other->{id}, user(), fresh => 1);
        RushTest::spew("$t->{dir}/other", $r->{code} // 'none');
    };

    # it has to wait for Redis, too
    crowd($busy, 50, sub { $pid = RushTest::Sale::later(0, $buy); sleep 0.2 });

    ok($t->wait_for(sub { -s "$t->{dir}/other" }, 5, 'an answer'), 'served');
    is(RushTest::slurp("$t->{dir}/other"), 0, 'it had a place');
};


subtest 'clients that leave' => sub {
    my $id = $t->activity(stock => 5000);
    my $s = RushTest::Sale->new($t, $id);

    # made before Redis stands still: a worker waits for it for a second
    my @sockets = map { $t->connect() } 1 .. $WAITING;
    my @bytes = map {
        ($t->bytes_of({ method => 'POST', path => $s->path(),
                        user => user(), key => 'gone' }))[0] } @sockets;

    $t->pause('redis');
    syswrite $sockets[$_], $bytes[$_] foreach 0 .. $#sockets;

    ok($t->wait_for(sub { ($s->some(1))[0]{status} == 429 }, 2, 'no room'),
       'the queue is full');

    close $_ foreach @sockets;
    $t->resume('redis');

    ok($t->wait_for(sub { ($s->some(1))[0]{code} == 0 }, 5, 'room'),
       'and then it is not');

    my @r = crowd($s, 10);
    is(codes(@r), "0: $WAITING 60007: 10", 'all places are back');
    $s->check('books');
};


subtest 'sold out while Redis is silent' => sub {
    my $id = $t->activity(stock => 1);
    my $s = RushTest::Sale->new($t, $id);
    my $open = sub {
        my $r = shift;
        return ($r->{code} // 0) == 60002 && !$r->{json}{data}{final};
    };

    is($t->buy($id, user())->{code}, 0, 'the last unit');
    ok($t->wait_for(sub { $open->($t->buy($id, user())) }, 5, 'the mark'),
       'sold out');

    $t->pause('redis');

    # longer than from probe to probe
    my (@late, @other);
    my $end = time() + 2.5;

    while (time() < $end) {
        my @r = $t->burst([map {
            { method => 'POST', path => $s->path(), user => user(),
              data => { quantity => 1 } } } 1 .. 20], conns => 20);

        push @other, grep { !$open->($_) } @r;
        push @late, map { $_->{elapsed} }
            grep { $open->($_) && $_->{elapsed} > 0.5 } @r;
        sleep 0.05;
    }

    $t->resume('redis');

    cmp_ok(scalar @other, '<=', 4, 'but for a probe a second all hear it')
        or diag(codes(@other));
    is("@late", '', 'at once');

    # a unit that comes back is found
    ok($t->wait_for(sub { $t->get('/ready')->{status} == 200 }, 10, 'Redis'),
       'Redis is back');
    $t->wait_loaded($id);
    $t->post("/api/v1/admin/seckill/activities/$id/stock",
             { delta => 1, op_id => 'one-more' }, admin => 1);
    ok($t->wait_for(sub { ($t->buy($id, user())->{code} // -1) == 0 }, 5,
                    'a unit'), 'a unit that was added is sold');
};


$t->finish();
done_testing();
