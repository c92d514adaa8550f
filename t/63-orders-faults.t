#!/usr/bin/perl

# Copyright (C) Rush
#
# Orders when something goes wrong: backends that are away, slow or silent,
# clients that leave in each waiting step, workers that die, too many orders
# that wait, too many trade codes that are tried.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Orders;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    failpoints => 1,
    proxy => [qw(nginx_redis nginx_mysql)],
    consumer_conf => { consumer => { block => 50 } },
    nginx => { workers => 1, redis_args => 'timeout=700ms stall=2s',
               mysql_args => 'timeout=20s connect_timeout=20s',
               extra_http => 'seckill_order_backlog 5;'
                   . ' seckill_redeem_limit 2;' },
);

RushTest::Orders::begin($t, 637_000);

my $redis = $t->proxy('nginx_redis');
my $mysql = $t->proxy('nginx_mysql');
my $log = $t->daemon('nginx')->{log};


sub retry_after {
    my ($r, $name) = @_;
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, "$name: Retry-After");
}


sub orders_of {
    return $t->value('SELECT COUNT(*) FROM orders WHERE user_id = ?', $_[0]);
}


# every route, for an order that there is

sub routes {
    my ($no, $user) = @_;

    return (
        list => sub { $t->get($PATH, user => $user) },
        feed => sub { $t->get("$PATH?last_id=", user => $user) },
        detail => sub { detail($no, $user) },
        cancel => sub { act($no, 'cancel', $user) },
        confirm => sub { act($no, 'confirm', $user) },
        hide => sub { $t->del("$PATH/$no", user => $user) },
        result => sub { $t->get("/api/v1/seckill/results/$no",
                                user => $user) },
        admin_list => sub { $t->get($ADMIN, admin => 1) },
        admin_detail => sub { $t->get("$ADMIN/$no", admin => 1) },
        status => sub { status($no, 'done', 1) },
        ship => sub { ship($no) },
        redeem => sub { redeem('ABCD2345') },
        csv => sub { $t->get("$ADMIN?export=csv", admin => 1) },
    );
}


subtest 'too many wait' => sub {
    my $p = $t->product();
    my $user = user();

    # the consumer has seen the stream before
    ordered($p, $user);

    $t->pause('consumer');
    my @r = map { place($p, $user) } 1 .. 7;
    is(join(' ', map { $_->{code} } @r), '0 0 0 0 0 3 3', 'five may');
    is($r[5]{status}, 503, 'busy');
    retry_after($r[5], 'busy');
    my $r = place($p, $user, key => 'k');
    is($r->{code}, 3, 'with a key');

    $t->resume('consumer');
    ok($t->wait_for(sub { orders_of($user) == 6 }, 10, 'rows'), 'stored');
    is(told(place($p, $user, key => 'k')), '200 0', 'the same again');
    is(told(place($p, $user)), '200 0', 'stored ones do not count');
    ok($t->wait_for(sub { orders_of($user) == 8 }, 10, 'rows'), 'all');
};


subtest 'MySQL is away' => sub {
    my $p = $t->product();
    my $user = user();
    my $no = ordered($p, $user);
    my %route = (routes($no, $user), place => sub { place($p, $user) },
                 key => sub { place($p, $user, key => 'away') });

    $mysql->drop();
    $mysql->refuse();

    foreach my $name (sort keys %route) {
        my $r = $route{$name}->();
        is(told($r), '503 3', "$name: busy");
        retry_after($r, $name);
    }

    $mysql->pass();
    $t->wait_for(sub { detail($no, $user)->{status} == 200 }, 10, 'MySQL');
    is(told(place($p, $user, key => 'away')), '200 0', 'the same again');
    ok($t->wait_for(sub { orders_of($user) == 2 }, 10, 'rows'), 'once');
};


subtest 'MySQL is slow' => sub {
    my $p = $t->product();
    my $user = user();

    $mysql->delay(150);
    my $no = ordered($p, $user, key => 'slow');
    is(told(detail($no, $user)), '200 0', 'detail');
    is(told(act($no, 'cancel', $user)), '200 0', 'cancelled');
    is(told($t->del("$PATH/$no", user => $user)), '200 0', 'hidden');
    $mysql->pass();
};


subtest 'Redis is away' => sub {
    local $RushTest::Mode::still = 1;
    my $p = $t->product();
    my $user = user();
    my $no = ordered($p, $user);
    my %route = routes($no, $user);
    my $young = (now() - 1704067200000 << 22) . '-0';

    $redis->drop();
    $redis->refuse();
    sleep 0.1;

    foreach my $key (undef, 'r') {
        my $r = place($p, $user, key => $key);
        is(told($r), '503 3', 'no order');
        retry_after($r, 'no order');
    }

    is(told($_->()), '200 0', 'reads the rows')
        foreach @route{qw(list feed detail result admin_list admin_detail)};
    is(told($_), '503 3', 'without a row: busy') foreach
        detail($young, $user), act($young, 'cancel', $user),
        $t->get("/api/v1/seckill/results/$young", user => $user);
    is(told(act($no, 'cancel', $user)), '200 0', 'cancel needs MySQL only');

    $redis->pass();
    ok($t->wait_for(sub { place($p, $user, key => 'r')->{code} == 0 }, 10,
                    'Redis'), 'back');
    ok($t->wait_for(sub { orders_of($user) == 2 }, 10, 'rows'), 'once');
};


subtest 'Redis is silent' => sub {
    my $p = $t->product();
    my $user = user();

    # without a key: the client is told where to look
    $redis->cut('reply', match => 'evalsha');
    my $r = place($p, $user);
    is(told($r), '202 11', 'unknown') or diag($r->{body});
    my $d = data($r);
    is($d->{poll}, "/api/v1/seckill/results/$d->{order_no}", 'where');
    $redis->pass();
    ok(written($d->{order_no}), 'it was taken');
    is(data($t->get($d->{poll}, user => $user))->{status}, 'success',
       'polled');

    # with one: the same again
    $user = user();
    $redis->cut('reply', match => '{rush}order');
    $r = place($p, $user, key => 'lost');
    like(told($r), qr/^(?:202 11|503 3)$/, 'unknown: to be asked again');
    $redis->pass();
    $t->wait_for(sub {
        $r = place($p, $user, key => 'lost');
        return $r->{code} != 15 && $r->{status} != 503;
    }, 10, 'Redis');
    is(told($r), '200 0', 'the same again');
    ok(written(data($r)->{order_no}), 'written');
    is(orders_of($user), 1, 'once');
    is(units($p), '998 2', 'two units of two');

    # it never left
    $user = user();
    $redis->cut('before', match => '{rush}order');
    $r = place($p, $user);
    like(told($r), qr/^(?:202 11|503 3)$/, 'unknown, or certainly not');
    $redis->pass();
    $t->wait_for(sub { place($p, $user)->{code} == 0 }, 10, 'Redis');
    ok($t->wait_for(sub { orders_of($user) }, 10, 'the row'), 'then it works');
};


subtest 'the gate is shut' => sub {
    my $p = $t->product();

    $t->pause('consumer');
    $t->redis()->script_flush();
    my $r = place($p, user());
    is(told($r), '503 12', 'closed');
    retry_after($r, 'closed');
    $t->resume('consumer');
    ok($t->wait_for(sub { place($p, user())->{code} == 0 }, 15, 'the gate'),
       'open again');
};


# they need none of what is made anew

subtest 'sales are rebuilt' => sub {
    my $p = $t->product();
    my $sale = $t->activity(stock => 5);
    my $user = user();
    my $buys = sub { $t->buy($sale, user(), timeout => 2) };

    is(told($buys->()), '200 0', 'before');

    # a rebuild that takes 3 s
    $t->failpoint('C4', 'sleep', 1);
    $t->redis()->script_flush();
    ok($t->wait_for(sub { $t->failpoint_hits('C4') }, 10, 'a rebuild'),
       'the controller is at it');

    is(told(place($p, $user, key => 'now')), '200 0', 'an order is taken');
    ok($t->wait_for(sub { orders_of($user) == 1 }, 2, 'its row'), 'stored');
    is(told(place($p, $user, key => 'now')), '200 0', 'once');
    is(told($buys->()), '503 12', 'a sale is not open meanwhile');

    $t->failpoint('C4', 'off');
    ok($t->wait_for(sub { ($buys->()->{code} // -1) == 0 }, 15, 'the gate'),
       'then it is');
    is(orders_of($user), 1, 'one order');
};


subtest 'too many codes are tried' => sub {
    my @r = map { redeem('ABCD2345') } 1 .. 12;
    my ($first) = grep { $r[$_]{status} == 429 } 0 .. $#r;

    ok(defined $first && $first <= 4, 'four at once')
        or diag(join ' ', map { $_->{status} } @r);
    is($r[-1]{status} . ' ' . $r[-1]{code}, '429 10', 'limited');
    retry_after($r[-1], 'limited');
    is(told($t->post("$ADMIN/redeem", { trade_code => 'ABCD2345' },
                     token => $t->token(9, role => 'admin'))), '200 30003',
       'another administrator is not');
};


# --- workers that die ---

subtest 'a worker dies' => sub {
    my $p = $t->product();

    # before it has handed over: nothing was done, the key is free in the end
    my $user = user();
    $t->failpoint('W20', 'kill', 1);
    $t->allow(qr/worker process \d+ exited on signal/);
    my $r = place($p, $user, key => 'dead', fresh => 1, timeout => 5);
    is($r->{status}, 599, 'no answer');
    is($t->failpoint_hits('W20'), 1, 'it died');
    $t->failpoint('W20', 'off');
    $t->wait_ready();
    is(orders_of($user), 0, 'nothing was done');

    $t->redis()->del("{rush}i:$user:seckill_order_place:dead");
    is(told(place($p, $user, key => 'dead')), '200 0', 'then it works');

    # after: the order stands, and the key finds it
    $user = user();
    $t->failpoint('W4', 'kill', 1);
    $r = place($p, $user, key => 'late', fresh => 1, timeout => 5);
    $t->failpoint('W4', 'off');
    $t->wait_ready();
    $t->redis()->del("{rush}i:$user:seckill_order_place:late");
    $r = place($p, $user, key => 'late');
    is(told($r), '200 0', 'found');
    ok($t->wait_for(sub { orders_of($user) == 1 }, 10, 'the row'), 'once');
};


# --- clients that leave ---

sub leave {
    my ($seconds, $reset, %q) = @_;

    my $s = $t->connect();
    my ($bytes) = $t->bytes_of({ method => 'GET', %q });

    syswrite $s, $bytes;
    sleep $seconds;
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $reset;
    close $s;
}


# each answer of the backend takes 300 ms; a client leaves in the middle of
# one after the other, until the log names the step

sub leaves_in {
    my ($proxy, $step, $q) = @_;

    # a new connection has a second for three of them, in any build
    my $unit = 0.3;
    my $text = '';

    foreach my $n ((1 .. 7) x 3) {
        my %q = ref $q eq 'CODE' ? $q->() : %$q;

        $proxy->delay(1000 * $unit);
        my $at = -s $log;
        leave($unit * ($n - 0.5), $n % 2, %q);
        $t->wait_for(sub {
            $text = substr RushTest::slurp($log), $at;
            return $text =~ /rush request is gone in|closed keepalive/;
        }, 5, "the end of a request in $step");
        $proxy->pass();

        last if $text =~ /rush request is gone in/
            && $text =~ /while ngx_seckill_$step,/;
    }

    like($text, qr/while ngx_seckill_$step,/, "left in $step");
}


sub calm {
    ok($t->wait_for(sub {
        my $body = $t->get('/metrics', record => 0)->{body};
        return $body =~ /^rush_redis_in_flight 0$/m
            && $body =~ /^rush_mysql_busy 0$/m
            && $body =~ /^rush_mysql_waiting 0$/m;
    }, 10, 'no operation'), 'no operation is left');
}


subtest 'clients leave' => sub {
    my $p = $t->product();
    my $user = user();
    my $n = 0;

    my %new = (method => 'POST', path => $PATH, user => $user,
               data => { product_id => "$p" });

    leaves_in($mysql, 'check_order', \%new);
    leaves_in($redis, 'order_checked', \%new);
    calm();

    # whatever was handed over is written, and nothing else
    ok($t->wait_for(sub {
        my ($taken) = units($p) =~ / (\d+)/;
        return orders_of($user) == $taken
            && !($t->redis()->xpending('{rush}order', 'rush') || [0])->[0];
    }, 10, 'the orders'), 'orders that were handed over stand');
    cmp_ok(orders_of($user), '>=', 1, 'at least one');

    my $no = ordered($p, $user);
    my @get = (method => 'GET', user => $user);

    leaves_in($mysql, 'find_order', { @get, path => "$PATH/$no" });
    leaves_in($mysql, 'count_orders', { @get, path => $PATH });
    leaves_in($mysql, 'orders_counted', { @get, path => $PATH });
    leaves_in($mysql, 'count_orders', { @get, path => "$PATH?last_id=" });

    my @any = (method => 'GET', admin => 1);

    leaves_in($mysql, 'count_any_orders', { @any, path => $ADMIN });
    leaves_in($mysql, 'any_orders_counted', { @any, path => $ADMIN });
    leaves_in($mysql, 'count_any_orders', { @any,
        path => "$ADMIN?export=csv" });
    leaves_in($mysql, 'find_any_order', { @any, path => "$ADMIN/$no" });

    # without a row Redis is asked, then MySQL once more
    my %none = (@get, path => "$PATH/" . (now() - 1704067200000 << 22)
                . '-0');
    leaves_in($redis, 'order_found', \%none);
    leaves_in($mysql, 'show_order', \%none);
    calm();
};


# a change that was begun is made, whoever waits for it

subtest 'clients leave a change' => sub {
    my $p = $t->product();
    my $user = user();
    my $go = sub {
        my ($step, $what, $from) = @_;

        leaves_in($mysql, $step, sub {
            my $no = $from->();
            return (method => $what eq '' ? 'DELETE' : 'POST', user => $user,
                    path => "$PATH/$no$what", $what eq '' ? ()
                    : (data => {}));
        });
    };
    my $fresh = sub { return ordered($p, $user) };
    my $shipped = sub {
        my $no = ordered($p, $user);
        pay($no);
        $t->do('UPDATE orders SET status = 3, shipped_ms = 1, actor_kind = 2, '
               . 'version = version + 1 WHERE order_no = ?', $no);
        return $no;
    };
    my $over = sub {
        my $no = $shipped->();
        $t->do('UPDATE orders SET status = 4, actor_kind = 1, '
               . 'version = version + 1 WHERE order_no = ?', $no);
        return $no;
    };

    foreach (['/cancel', $fresh], ['/confirm', $shipped], ['', $over]) {
        my ($what, $from) = @$_;
        $go->($_, $what, $from) foreach qw(change_order order_changed);
    }

    calm();

    # of an administrator: it is finished, and recorded
    my $no = ordered($p, $user);
    pay($no);
    $mysql->delay(200);
    leave(0.1, 0, method => 'POST', path => "$ADMIN/$no/ship", admin => 1,
          data => { carrier => 'SF', number => 'x' });
    ok($t->wait_for(sub { row($no)->{status} == 3 }, 10, 'shipped'),
       'shipped without the one who asked');
    $mysql->pass();
    calm();

    ok($t->wait_for(sub {
        !$t->value('SELECT COUNT(*) FROM orders WHERE product_id = ? AND '
                   . 'stock_state = 1', $p)
    }, 10, 'the sweep'), 'given back');
    my $sold = $t->value('SELECT SUM(qty) FROM orders WHERE product_id = ? '
                         . 'AND stock_state IN (0, 4)', $p);
    is(units($p), 1000 - $sold . " $sold", 'each unit is somewhere');
};


$t->finish();
done_testing();
