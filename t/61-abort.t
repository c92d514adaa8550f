#!/usr/bin/perl

# Copyright (C) Rush
#
# Clients that leave while their request waits: in each step that waits.
# Nothing leaks, nothing is undone, and the order stands.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    proxy => [qw(nginx_redis nginx_mysql)],
    nginx => { workers => 1,
               mysql_args => 'timeout=20s connect_timeout=20s' },
);
my $redis = $t->proxy('nginx_redis');
my $mysql = $t->proxy('nginx_mysql');
my $log = $t->daemon('nginx')->{log};


sub counter { return RushTest::Sale::counter($t, @_) }


sub log_from {
    my ($at) = @_;
    return substr RushTest::slurp($log), $at;
}


# sends a request and leaves after so many seconds: by FIN or by RST

sub leave {
    my ($seconds, $reset, %q) = @_;

    my $s = $t->connect();
    my ($bytes) = $t->bytes_of({ method => 'GET', %q });

    syswrite $s, $bytes;
    sleep $seconds;
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $reset;
    close $s;
}


# a few connections to MySQL: one that is made while answers are late takes
# its time, and the roles are read beside us

sub connected {
    $mysql->delay(100);
    $t->burst([({ path => '/api/v1/orders', user => 1 }) x 12], conns => 6,
              sync => 1, record => 0);
}


# each answer of this backend takes 300 ms: the n-th wait is aborted in its
# middle, or a later one when statements are prepared first; the log tells
# which step that was.  What works only once has a sub for the request: each
# try asks it for another one

sub leaves_in {
    my ($proxy, $nth, $step, @q) = @_;

    my $aborted = counter('aborted_total');
    my $from = -s $log;
    my $unit = 0.3;         # in any build: the worker's own looks wait, too
    my $text = '';

    connected() if $proxy == $mysql;
    $proxy->delay(1000 * $unit);

    # a statement is prepared once a connection, so there may be more waits
    foreach my $n (($nth .. $nth + 3) x 4) {
        my $at = -s $log;

        leave($unit * ($n - 0.5), $n % 2, ref $q[0] ? $q[0]->() : @q);

        # without the line the answer was faster than we: once more

        my $gone = $t->wait_for(sub {
            $text = log_from($at);
            return $text =~ /rush request is gone in|closed keepalive/;
        }, 3, "the end of a request in $step")
            && $text =~ /rush request is gone in/;

        last if $gone && $text =~ /while ngx_seckill_$step,/;
    }

    $proxy->pass();

    like($text, qr/prematurely closed connection[^,]* while ngx_seckill_$step,/,
         "left in $step");

    # each that left, an earlier try that was late to leave too
    my ($counted, @gone);

    ok($t->wait_for(sub {
        $counted = counter('aborted_total') - $aborted;
        @gone = log_from($from) =~ /(rush request is gone in)/g;
        return @gone && $counted == @gone;
    }, 3, 'the count'), 'counted')
        or diag("$counted counted, " . @gone . ' in the log');
}


# nothing is under way any more

sub calm {
    ok($t->wait_for(sub {
        my $body = $t->get('/metrics', record => 0)->{body};
        return $body =~ /^rush_redis_in_flight 0$/m
               && $body =~ /^rush_mysql_busy 0$/m
               && $body =~ /^rush_mysql_waiting 0$/m;
    }, 5, 'no operation'), 'no operation is left');
}


sub fds {
    my ($worker) = $t->workers();
    return scalar(() = glob "/proc/$worker/fd/*");
}


subtest 'buy' => sub {
    my $id = $t->activity(stock => 30);
    my $s = RushTest::Sale->new($t, $id);
    my %q = (method => 'POST', path => $s->path(), data => {});

    leaves_in($redis, 1, 'reserve', %q, user => 301, key => 'gone');
    ok($t->wait_for(sub { $t->live_orders($id) == 1 }, 5, 'the order'),
       'the order stands');
    is($t->get('/api/v1/seckill/mine', user => 301)
       ->{json}{data}{list}[0]{activity_id}, "$id", 'its buyer finds it');

    my $r = $s->buy(301, key => 'gone');
    is($r->{code}, 0, 'the same id');
    ok($r->{json}{data}{replayed}, 'was granted then');
    calm();

    # two calls are under way, the next buyer waits and was not sent
    my $sent = counter('buy_sent_total');
    $redis->delay(400);
    my @waiting = map {
        my $c = $t->connect();
        syswrite $c, ($t->bytes_of({ %q, user => 310 + $_, key => 'w' }))[0];
        sleep 0.02;
        $c;
    } 1, 2;
    leave(0.1, 0, %q, user => 320, key => 'never');
    leave(0.1, 1, %q, user => 321, key => 'never');
    $redis->pass();
    calm();

    SKIP: {
        skip 'each worker has calls of its own', 2 if $t->worker_count() > 1;

        is(counter('buy_sent_total') - $sent, 2, 'two were sent');
        is($s->buy(320, key => 'never')->{json}{data}{replayed}, undef,
           'the others were not');
    }

    # what is lost with the second try, too
    $redis->cut('reply', times => 1, match => "{a:$id}s");
    leave(0.02, 0, %q, user => 330, key => 'cut');
    $redis->pass();
    $t->wait_ready();
    calm();
    $s->check('books');
};


subtest 'result' => sub {
    my $id = $t->activity(stock => 30);
    my $s = RushTest::Sale->new($t, $id);
    my $r = $s->buy(401);
    my $poll = $r->{json}{data}{poll};

    ok($t->wait_for(sub { $t->live_orders($id) == 1 }, 5, 'a row'), 'a row');
    leaves_in($mysql, 1, 'find_result', path => $poll, user => 401);

    # without a row Redis is asked
    $t->pause('consumer');
    $r = $s->buy(402);
    leaves_in($redis, 1, 'result_found', path => $r->{json}{data}{poll},
              user => 402);
    $t->resume('consumer');
    calm();
    $s->check('books', rows => 2);
};


subtest 'request' => sub {
    my $id = $t->activity(stock => 30);
    my $s = RushTest::Sale->new($t, $id);
    my $cold = $t->activity(warm => 0, wait => 0, status => 0);

    $s->buy(501, key => 'r');
    leaves_in($redis, 1, 'settle', user => 501,
              path => "/api/v1/seckill/requests/r?activity_id=$id");

    # it was settled all the same
    leaves_in($redis, 1, 'settle', user => 502,
              path => "/api/v1/seckill/requests/x?activity_id=$id");
    is($s->buy(502, key => 'x')->{code}, 60009, 'refused for good');

    leaves_in($mysql, 1, 'settled', user => 501,
              path => "/api/v1/seckill/requests/r?activity_id=$cold");
    leaves_in($mysql, 1, 'settle', user => 501,
              path => '/api/v1/seckill/requests/r');
    calm();
    $s->check('books', rows => 1);
};


subtest 'cancel' => sub {
    my $id = $t->activity(stock => 40);
    my $s = RushTest::Sale->new($t, $id);
    my $rver = $t->meta($id)->{rver};
    my %no = map { $_ => $s->buy($_)->{json}{data}{order_no} } 600 .. 631;
    my %q = (method => 'POST', data => {});
    my (@tried, @left);

    ok($t->wait_for(sub { $t->live_orders($id) == 32 }, 5, 'rows'), 'rows');

    my $next = sub {
        push @tried, 600 + @tried;
        return (%q, user => $tried[-1],
                path => "/api/v1/orders/$no{$tried[-1]}/cancel");
    };

    leaves_in($mysql, 1, 'change_order', $next);
    push @left, $tried[-1];
    leaves_in($mysql, 2, 'order_changed', $next);
    push @left, $tried[-1];

    ok($t->wait_for(sub {
        $t->value('SELECT COUNT(*) FROM orders WHERE status = 5 AND '
                  . 'activity_id = ? AND user_id IN (?, ?)', $id, @left) == 2
    }, 5, 'the change'), 'both are cancelled');

    # those who left too early, too: cancelled, once
    is(join(' ', map { $t->post("/api/v1/orders/$no{$_}/cancel", {},
                                user => $_)->{code} } @tried),
       join(' ', map { 0 } @tried), 'again: cancelled');
    ok($t->wait_for(sub { $t->meta($id)->{remain} == 8 + @tried }, 5,
                    'units'), 'all units are back');
    is($t->meta($id)->{rver}, $rver + @tried, 'once each');

    # no row yet
    $t->pause('consumer');
    my $no = $s->buy(640)->{json}{data}{order_no};
    leaves_in($redis, 1, 'check_changed', %q, user => 640,
              path => "/api/v1/orders/$no/cancel");
    $t->resume('consumer');
    calm();
    $s->check('books', rows => 33 - @tried);
};


subtest 'others' => sub {
    my $id = $t->activity(stock => 30);
    my $s = RushTest::Sale->new($t, $id);
    my $no = $s->buy(701)->{json}{data}{order_no};

    leaves_in($redis, 1, 'count_mine', user => 701,
              path => "/api/v1/seckill/activities/$id/status?mine=1");
    leaves_in($mysql, 1, 'count_orders', user => 701,
              path => '/api/v1/orders');
    leaves_in($mysql, 2, 'orders_counted', user => 701,
              path => '/api/v1/seckill/mine');
    leaves_in($mysql, 1, 'find_order', user => 701,
              path => "/api/v1/orders/$no");

    # what an administrator has begun is done to its end
    my $product = $t->product(title => 'Cup');
    $mysql->delay(200);
    leave(0.1, 1, method => 'POST', path => '/api/v1/seckill/init',
          token => $t->admin_token(),
          data => { product_id => "$product", stock => 7 });
    ok($t->wait_for(sub {
        $t->value('SELECT total FROM seckill_activity WHERE product_id = ?',
                  $product)
    }, 5, 'the activity'), 'the activity is made');
    $mysql->pass();
    $t->wait_loaded($t->value('SELECT id FROM seckill_activity '
                              . 'WHERE product_id = ?', $product));
    calm();
    $s->check('books', rows => 1);
};


# at any moment, many at once

subtest 'a crowd that leaves' => sub {
    my $id = $t->activity(stock => 400);
    my $s = RushTest::Sale->new($t, $id);
    my $aborted = counter('aborted_total');
    my $user = 8000;
    my @paths = (['POST', $s->path()], ['GET', '/api/v1/orders'],
                 ['GET', "/api/v1/seckill/activities/$id/status?mine=1"],
                 ['GET', "/api/v1/seckill/requests/z?activity_id=$id"]);

    my $crowd = sub {
        my ($round) = @_;

        $redis->delay(20);
        $mysql->delay(20);

        my @sockets = map {
            my ($method, $path) = @{$paths[$_ % @paths]};
            my $c = $t->connect();
            my ($bytes) = $t->bytes_of({ method => $method, path => $path,
                user => ++$user, key => 'c',
                ($method eq 'POST' ? (data => {}) : ()) });
            syswrite $c, $bytes;
            $c;
        } 1 .. 40;

        sleep 0.004 * $round;
        close $_ foreach @sockets;

        $redis->pass();
        $mysql->pass();
    };

    # by then the pool has all its connections
    $crowd->($_) foreach 1 .. 6;
    $t->wait_ready();
    calm();
    my $base = fds();

    $crowd->($_) foreach 1 .. 12;
    $t->wait_ready();
    calm();

    # connections of clients go a moment later; of several workers this one may
    # have had less to do with MySQL before
    my $most = $base + ($t->worker_count() > 1 ? 4 : 1);
    ok($t->wait_for(sub { fds() <= $most }, 5, 'descriptors'),
       'no descriptor leaks') or diag(fds() . " of $base");
    cmp_ok(counter('aborted_total') - $aborted, '>=', 50, 'many left');

    # who was granted and is gone finds the order by the same id
    ok($s->calm(5), 'calm');
    my $n = $t->live_orders($id);
    cmp_ok($n, '>', 0, "$n of them bought");
    my ($one) = $t->sql('SELECT * FROM orders WHERE activity_id = ? LIMIT 1',
                        $id);
    is($s->buy($one->{user_id}, key => 'c')->{json}{data}{order_no},
       $one->{order_no}, 'the same id');
    $s->check('books', rows => $n);
};


$t->finish();
done_testing();
