#!/usr/bin/perl

# Copyright (C) Rush
#
# Lost, cut, late and split answers of Redis: the outcome is told or found
# out, and a request id never has two orders.  The same for MySQL where
# results are read.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(proxy => [qw(nginx_redis nginx_mysql)],
                      nginx => { workers => 1 });
my $p = $t->proxy('nginx_redis');
my $m = $t->proxy('nginx_mysql');


sub counter { return RushTest::Sale::counter($t, @_) }


# the lanes stand again

# a node that has heard nothing for a second asks before it believes a token

sub calm {
    $p->pass();
    $t->wait_ready();
    $t->wait_for(sub {
        $t->get('/metrics', record => 0)->{body}
            =~ /^rush_revocation_feed_age_seconds 0\.[0-3]/m;
    }, 5, 'a look at the feed');
}


subtest 'one answer is cut' => sub {
    my $id = $t->activity(stock => 100);
    my $s = RushTest::Sale->new($t, $id);

    # the buy script alone names the stream
    foreach my $cut (['before'], ['reply'], map { ['inside', $_] }
                     (1, 3, 10, 20))
    {
        my ($where, $bytes) = @$cut;
        my $name = join ' ', @$cut;

        foreach my $key (1, 0) {
            my $retried = counter('buy_retried_total');
            my $cuts = $p->stats()->{cuts};

            $p->cut($where, bytes => $bytes // 1, match => "{a:$id}s");
            my $user = RushTest::Sale::user();
            my $r = $s->buy($user, $key ? (key => "k$user") : ());

            is($p->stats()->{cuts} - $cuts, 1, "cut $name");
            is($r->{code}, 0, 'the second try tells')
                or diag($r->{body});
            is(!!$r->{json}{data}{replayed}, $where ne 'before',
               $where eq 'before' ? 'bought then' : 'had bought before');
            is(counter('buy_retried_total') - $retried, 1, 'counted');
            calm();
        }
    }

    # the answer was there
    $p->cut('after', match => "{a:$id}s");
    my $r = $s->buy(RushTest::Sale::user());
    is($r->{code}, 0, 'cut after the answer');
    ok(!$r->{json}{data}{replayed}, 'nothing was repeated');
    calm();
    $s->check('books', rows => 13);
};


subtest 'both tries are cut' => sub {
    my $id = $t->activity(stock => 100);
    my $s = RushTest::Sale->new($t, $id);

    foreach my $where (qw(before reply inside)) {
        foreach my $key (1, 0) {
            my $unknown = counter('buy_unknown_total');
            my $user = RushTest::Sale::user();

            $p->cut($where, times => 2, match => "{a:$id}s");
            my $r = $s->buy($user, $key ? (key => "k$user") : ());

            is($r->{code}, 11, "$where: unknown") or diag($r->{body});
            is($r->{status}, 202, 'status');
            is(counter('buy_unknown_total') - $unknown, 1, 'counted');

            my $data = $r->{json}{data};
            is($data->{poll}, "/api/v1/seckill/requests/$data->{request_id}"
               . "?activity_id=$id", 'where to ask');
            calm();

            # asked, or repeated: the same; of several workers the one that was
            # cut off may need a moment
            my $q;
            $t->wait_for(sub {
                $q = $t->get($data->{poll}, user => $user);
                return $q->{status} == 200;
            }, 5, 'an answer');
            my $want = $where eq 'before' ? 'refused' : 'granted';
            is($q->{json}{data}{outcome}, $want, $want);
            $s->resolve();

            next if !$key;

            $r = $s->buy($user, key => "k$user");
            is($r->{code}, $where eq 'before' ? 60009 : 0, 'the same id');
            is($r->{json}{data}{order_no}, $q->{json}{data}{order_no},
               'the same order');
        }
    }

    $s->check('books', rows => 4);
};


subtest 'an unknown outcome is repeated' => sub {
    my $id = $t->activity(stock => 2);
    my $s = RushTest::Sale->new($t, $id);

    $p->cut('before', times => 2, match => "{a:$id}s");
    is($s->buy(1, key => 'one')->{code}, 11, 'unknown, did not run');
    calm();
    $p->cut('reply', times => 2, match => "{a:$id}s");
    is($s->buy(2, key => 'two')->{code}, 11, 'unknown, did run');
    calm();

    is($s->buy(3)->{code}, 0, 'the last unit');
    ok($t->wait_for(sub { $s->buy(4)->{code} == 60002 }, 5, 'sold out'),
       'sold out');
    $s->buy(4) foreach 1 .. 3;

    # a retry is answered by Redis, not by the filter
    my %o = (body => '{"quantity":1,"retry":true}');
    is($s->buy(2, key => 'two', %o)->{code}, 0, 'yes stays yes');
    is($s->buy(1, key => 'one', %o)->{code}, 60002, 'no');

    my ($no) = grep { $_->{user} == 3 } $s->told('yes');
    my ($order) = keys %{$no->{orders}};
    $t->wait_for(sub { $t->post("/api/v1/orders/$order/cancel", {},
                                user => 3)->{code} == 0 }, 5, 'a cancel');
    $t->wait_for(sub { $t->meta($id)->{remain} == 1 }, 5, 'a unit');
    is($s->buy(1, key => 'one', %o)->{code}, 60009, 'no stays no');
    $s->check('books', rows => 1);
};


subtest 'many at once' => sub {
    my $id = $t->activity(stock => 120);
    my $s = RushTest::Sale->new($t, $id);

    foreach my $where (qw(before reply inside after)) {
        $p->cut($where, times => 3, match => "{a:$id}s", bytes => 7);
        $s->some(25, conns => 25);
        calm();
    }

    $s->resolve();
    $s->sell_out('books', 120);
};


subtest 'byte by byte' => sub {
    my $id = $t->activity(stock => 20);
    my $s = RushTest::Sale->new($t, $id);

    $p->bytewise();
    my @r = $s->some(20, sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 20, 'all have bought');
    is(($s->some(1))[0]{code}, 60002, 'sold out');
    calm();
    $s->check('books', rows => 20);
};


subtest 'late' => sub {
    my $id = $t->activity(stock => 30);
    my $s = RushTest::Sale->new($t, $id);
    my $connects = counter('redis_connects_total');

    $p->delay(600);
    is(($s->some(1))[0]{code}, 0, 'slow is no fault');
    is(counter('redis_connects_total'), $connects, 'no new connection');

    # answers come, but each later than anybody waits
    $p->delay(1300);
    my $start = time();
    my @r = $s->some(5, sync => 1);
    cmp_ok(time() - $start, '<', 3 * $RushTest::SLOW, 'in time');
    my $n = grep { $_->{code} == 11 } @r;
    is(scalar(grep { $_->{code} == 3 } @r), 5 - $n, "$n are unknown");
    calm();
    ok($s->resolve(), 'resolved');
    is(scalar $s->told('yes'), 1 + $n, 'they had bought');

    $p->silence();
    my ($r) = $s->some(1);
    is($r->{code}, 11, 'silence: unknown') or diag($r->{body});
    calm();

    $p->black_hole();
    ($r) = $s->some(1);
    is($r->{code}, 11, 'a hole: unknown');
    calm();
    $s->resolve();
    $s->sells();
    $s->sell_out('books', 30);
};


subtest 'refused' => sub {
    my $id = $t->activity(stock => 20);
    my $s = RushTest::Sale->new($t, $id);

    $p->refuse();
    $t->wait_for(sub { ($s->some(1))[0]{code} == 3 }, 5, 'busy');

    my $start = time();
    my @r = $s->some(20);
    is(scalar(grep { $_->{status} == 503 } @r), 20, 'busy');
    cmp_ok(time() - $start, '<', 1 * $RushTest::SLOW, 'at once');
    ok($r[0]{headers}{'retry-after'}, 'Retry-After');

    # MySQL still has results
    is($t->get('/api/v1/seckill/mine', user => 1)->{code}, 0, 'orders');

    $p->pass();
    $s->sells();
    calm();
    $s->sell_out('books', 20);
};


subtest 'the answer about a request is cut' => sub {
    my $id = $t->activity(stock => 5);
    my $s = RushTest::Sale->new($t, $id);
    my $path = '/api/v1/seckill/requests';

    is($s->buy(11, key => 'a')->{code}, 0, 'bought');

    foreach my $req ('a', 'b') {
        $p->cut('reply', match => $req eq 'a' ? "11\r\n\$1\r\na\r\n"
                                              : "12\r\n\$1\r\nb\r\n");
        my %o = (user => $req eq 'a' ? 11 : 12);
        my $r = $t->get("$path/$req?activity_id=$id", %o);
        is($r->{status}, 503, 'busy') or diag($r->{body});
        calm();
        $t->wait_for(sub {
            $r = $t->get("$path/$req?activity_id=$id", %o);
            return $r->{status} == 200;
        }, 5, 'an answer');
        is($r->{json}{data}{outcome}, $req eq 'a' ? 'granted' : 'refused',
           'then it is told');
    }

    is($s->buy(12, key => 'b')->{code}, 60009, 'as it was settled');
    $s->check('books', rows => 1);
};


subtest 'MySQL' => sub {
    my $id = $t->activity(stock => 9);
    my $s = RushTest::Sale->new($t, $id);
    my $r = $s->buy(21, key => 'm');
    my $no = $r->{json}{data}{order_no};
    my $poll = $r->{json}{data}{poll};

    ok($t->wait_for(sub { $t->live_orders($id) == 1 }, 5, 'a row'), 'a row');

    $m->refuse();
    is($t->get($poll, user => 21)->{status}, 503, 'no result');
    is(($s->some(1))[0]{code}, 0, 'buying goes on');
    is($t->get("/api/v1/seckill/requests/m?activity_id=$id", user => 21)
       ->{json}{data}{order_no}, $no, 'requests are known to Redis');
    $m->pass();
    ok($t->wait_for(sub { $t->get($poll, user => 21)->{status} == 200 }, 5,
                    'a result'), 'it comes back');

    # a cancel whose answer is lost has one effect
    my $cancel = "/api/v1/orders/$no/cancel";
    my $rver = $t->meta($id)->{rver};

    $m->silence();
    $r = $t->post($cancel, {}, user => 21);
    is($r->{status}, 503, 'busy') or diag($r->{body});
    $m->pass();
    ok($t->wait_for(sub {
        $t->post($cancel, {}, user => 21)->{code} == 0
    }, 5, 'the cancel'), 'cancelled');
    ok($t->wait_for(sub { $t->meta($id)->{remain} == 8 }, 3, 'a unit'),
       'the unit is back');
    $t->wait_ready();
    $s->check('books', rows => 1);
    is($t->meta($id)->{rver}, $rver + 1, 'once');
};


# MySQL has no row when it is asked, Redis no units when it is: the row came
# and was cancelled in between

subtest 'an order that comes and goes' => sub {
    my $id = $t->activity(stock => 9);
    my $s = RushTest::Sale->new($t, $id);
    my $user = 30;

    my $come_and_go = sub {
        my ($method, $format) = @_;

        $user++;

        # every connection knows the statement: to prepare it takes another
        # turn, and both together longer than a worker waits
        $t->burst([map { { method => $method, user => $user, data =>
            $method eq 'GET' ? undef : {}, path => sprintf $format, "1-$id" }
            } 1 .. 64], sync => 1, record => 0) foreach 1 .. 3;
        $t->pause('consumer');

        my $no = $s->buy($user)->{json}{data}{order_no};
        my $path = sprintf $format, $no;

        # several at once, so that nobody has to connect then
        $m->delay(100);
        $t->burst([({ path => "/api/v1/orders/$no", user => $user }) x 16],
                  conns => 8, sync => 1);
        $m->delay(700);

        my $pid = RushTest::Sale::later(0, sub {
            my $r = $method eq 'GET' ? $t->get($path, user => $user)
                : $t->post($path, {}, user => $user);
            RushTest::spew("$t->{dir}/late", "$r->{status} $r->{body}");
        });

        sleep 0.3;
        $t->resume('consumer');
        ok($t->wait_for(sub {
            $t->do("UPDATE orders SET status = 5, stock_state = 1, "
                   . "version = version + 1, cancel_reason = 'user', "
                   . "closed_ms = granted_ms WHERE order_no = '$no'") == 1
        }, 5, 'a row'), 'written and cancelled');
        ok($t->wait_for(sub { $t->meta($id)->{remain} == 9 }, 5, 'a unit'),
           'given back');

        waitpid $pid, 0;
        $m->pass();

        return RushTest::slurp("$t->{dir}/late");
    };

    foreach my $what (['GET', '/api/v1/orders/%s'],
                      ['GET', '/api/v1/seckill/results/%s'],
                      ['POST', '/api/v1/orders/%s/cancel'])
    {
        my $said;

        # whose connection is a new one is told to come again
        foreach (1 .. 5) {
            $said = $come_and_go->(@$what);
            last if $said !~ /^503 \{"code":3,/;
        }

        like($said, qr/^200 \{"code":0,/, "@$what");
    }

    $s->check('books', rows => 0);
};


$t->finish();
done_testing();
