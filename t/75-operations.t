#!/usr/bin/perl

# Copyright (C) Rush
#
# The red switch, streams, dead letters and the report of a sale over HTTP.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Routes;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $http = 'user_bcrypt_cost 4;';
my $t = RushTest->new(proxy => [qw(nginx_redis nginx_mysql)],
                      nginx => { extra_http => $http });
my $far = $t->node(extra_http => $http, straight => 1);
my $all = RushTest::Routes->new($t);
my ($redis, $mysql) = map { $t->proxy("nginx_$_") } qw(redis mysql);
my $system = '/api/v1/admin/system';
my $letters = '/api/v1/admin/dead-letters';
my $json = JSON::PP->new->canonical;
my $user = 100;


sub stop_selling {
    my ($reason, %o) = @_;
    return $t->post("$system/stop-selling", { reason => $reason }, admin => 1,
                    %o);
}


sub resume_selling {
    return $t->post("$system/resume-selling", {}, admin => 1, @_);
}


# what n new buyers are told, on every worker

sub told {
    my ($id, $n, %o) = @_;
    my %seen;

    $seen{$_->{code} // "status $_->{status}"}++ foreach $t->burst([map { {
        method => 'POST', user => ++$user, data => { quantity => 1 },
        path => "/api/v1/seckill/activities/$id/buy" } } 1 .. $n],
        sync => 1, %o);

    return join ' ', sort keys %seen;
}


sub sells {
    my ($id, $node) = @_;
    return $t->wait_for(sub {
        told($id, 8, node => $node // 'nginx', record => 0) eq '0'
    }, 10, 'buyers');
}


# all is as if nothing had been

sub healed {
    $_->pass() foreach $redis, $mysql;
    $t->wait_ready();
    ok($t->wait_for(sub {
        $t->get($letters, admin => 1, record => 0)->{status} == 200
    }, 10, 'health'), 'healed');
}


subtest 'the red switch' => sub {
    my $id = $t->activity(stock => 1000, limit => 100);
    my $before = $t->value('SELECT (SELECT COUNT(*) FROM audit_inbox) '
                           . '+ (SELECT COUNT(*) FROM audit_log)');

    is(told($id, 8), '0', 'it sells');
    $t->wait_known($far);

    my $start = int(time() * 1000);
    my $r = stop_selling('a wrong price');
    is($r->{code}, 0, 'stopped');
    is(told($id, 16), '12', 'at once on this node, all workers');

    my $d = $r->{json}{data};
    ok(!$d->{selling}, 'told so');
    is($d->{reason}, 'a wrong price', 'why');
    # in one statement: the consumer moves it from one table to the other
    is($d->{operator}, $t->value('SELECT MIN(user_id) FROM ('
        . join(' UNION ALL ', map { "SELECT user_id FROM $_ WHERE route = "
                                    . "'seckill_stop_selling'" }
               qw(audit_log audit_inbox)) . ') a'), 'who');
    is($t->value('SELECT changed_ms >= ? FROM switch', $start), 1, 'when');

    ok($t->wait_for(sub { told($id, 8, node => $far) eq '12' }, 2, 'told'),
       'the other node follows');
    my $ready = $t->get('/ready');
    is($ready->{status}, 503, '/ready');
    is($ready->{json}{data}{selling}, JSON::PP::false, 'says why');
    ok($t->wait_for(sub { $t->meta($id)->{state} eq 'off' }, 5, 'redis'),
       'redis follows');

    is($t->post('/api/v1/orders', { product_id => $t->product(stock => 5) },
                user => ++$user)->{code}, 12, 'nor ordinary orders');

    # the id was not judged: it may win later
    $r = $t->buy($id, ++$user, key => 'stopped');
    is("$r->{status} $r->{code}", '503 12', 'a buyer with a key');
    is($r->{json}{data}{final}, JSON::PP::false, 'is told nothing final');

    $r = stop_selling('again', node => $far);
    is($r->{code}, 0, 'stopped again');
    is($r->{json}{data}{reason}, 'a wrong price', 'the first reason stays');

    my $new = $t->activity(stock => 1000, wait => 0);
    ok($t->wait_for(sub { ($t->meta($new)->{state} // '') eq 'off' }, 5,
                    'its state'), 'what is new is off, too');

    $r = resume_selling();
    is($r->{code}, 0, 'resumed');
    ok($r->{json}{data}{selling}, 'told so');
    is(resume_selling()->{json}{data}{changed_at},
       $r->{json}{data}{changed_at}, 'once is enough');
    ok(sells($_), 'sells') foreach $id, $new;
    ok(sells($id, $far), 'on the other node');
    is($t->buy($id, $user - 40, key => 'x')->{status}, 200, 'and answers');
    $t->wait_ready();

    ok($t->wait_for(sub {
        $t->value('SELECT COUNT(*) FROM audit_log') - $before == 8
    }, 5, 'the chain'), 'all four are in the record');
};


subtest 'nobody forgets it' => sub {
    my $id = $t->activity(stock => 1000, limit => 100);

    ok(sells($id), 'it sells');
    is(stop_selling('drill')->{code}, 0, 'stopped');

    $t->reload() if RushTest::Mode::has_master();
    is(told($id, 8), '12', 'a reload');
    $t->restart('nginx');
    my %seen;
    my $end = time() + 3;
    while (time() < $end) {
        my $r = $t->buy($id, ++$user, record => 0);
        $seen{$r->{status}}++;
    }
    is(join(' ', sort keys %seen), '503', 'a restart of nginx');
    $t->restart('consumer');
    ok($t->wait_for(sub { $t->meta($id)->{state} eq 'off' }, 5, 'off'),
       'one of the consumer');
    $t->restart('redis');
    ok($t->wait_for(sub { eval { ($t->meta($id)->{epoch} // 0) > 1 } }, 20,
                    'a rebuild'), 'one of redis');
    is($t->meta($id)->{state}, 'off', 'rebuilt as off');
    is(told($id, 8), '12', 'still');
    is(told($id, 8, node => $far), '12', 'everywhere');

    resume_selling();
    ok(sells($id), 'it sells again');
    healed();
};


subtest 'a backend is away' => sub {
    my $id = $t->activity(stock => 1000, limit => 100);

    ok(sells($id), 'it sells');
    ok(sells($id, $far), 'everywhere');

    # redis of this node, and it has heard nothing for a while
    $redis->black_hole();
    sleep 1.5;
    is(stop_selling('no redis')->{code}, 0, 'redis: stopped all the same');
    is(told($id, 8), '12', 'here');
    ok($t->wait_for(sub { told($id, 8, node => $far) eq '12' }, 2, 'told'),
       'and elsewhere');
    is($t->get('/api/v1/admin/streams', admin => 1)->{status}, 503,
       'redis: no streams');
    healed_stopped();
    is(resume_selling()->{code}, 0, 'resumed');
    healed();
    ok(sells($id), 'it sells again');

    $mysql->refuse();
    ok($t->wait_for(sub { stop_selling('no mysql')->{code} == 3 }, 5, 'BUSY'),
       'mysql: nothing can be said');
    is(told($id, 8), '0', 'and it sells as before');
    is($t->get($letters, admin => 1)->{code}, 3, 'mysql: no letters');
    is($t->get("/api/v1/admin/seckill/activities/$id/report", admin => 1)
       ->{code}, 3, 'no report');
    is($t->get('/api/v1/admin/streams', admin => 1)->{code}, 0,
       'but streams');
    healed();

    $redis->refuse();
    is($t->get("/api/v1/admin/seckill/activities/$id/report", admin => 1)
       ->{code}, 3, 'redis: no report');
    healed();
};


sub healed_stopped {
    $redis->pass();
    ok($t->wait_for(sub {
        $t->get($letters, admin => 1, record => 0)->{status} == 200
    }, 10, 'health'), 'back');
}


subtest 'who may' => sub {
    my $none = $all->holder('orders_read', 'products_write');
    my $ops = $all->holder('operations');
    my @routes = (['POST', "$system/stop-selling", { reason => 'x' }],
                  ['POST', "$system/resume-selling", {}],
                  ['GET', '/api/v1/admin/streams'], ['GET', $letters],
                  ['POST', "$letters/1/replay", {}],
                  ['POST', "$letters/1/discard", { reason => 'x' }]);

    $t->wait_for(sub {
        $t->get($letters, token => $ops)->{status} != 403
    }, 5, 'the role');

    foreach (@routes) {
        my ($method, $path, $data) = @$_;
        my %q = (data => $data);
        is($t->request($method, $path, %q)->{status}, 401, "$path: nobody");
        is($t->request($method, $path, %q, user => 7)->{status}, 403, 'user');
        is($t->request($method, $path, %q, token => $none)->{status}, 403,
           'another administrator');
        isnt($t->request($method, $path, %q, token => $ops)->{status}, 403,
             'an operator');
    }

    is($t->post("$system/stop-selling", {}, admin => 1)->{status}, 400,
       'not without a reason');
    resume_selling();
    $t->wait_ready();
};


subtest 'streams' => sub {
    my @id = map { $t->activity(stock => 100, limit => 10) } 1 .. 3;

    ok(sells($_), 'it sells') foreach @id;
    ok($t->wait_for(sub { $t->live_orders($id[0]) > 0 }, 5, 'rows'), 'rows');
    $t->pause('consumer');
    is(told($id[0], 5), '0', 'five more');

    my ($last, %seen) = (0);
    my $pages = 0;

    while (defined $last) {
        my $r = $t->get('/api/v1/admin/streams?page_size=2'
                        . ($last ? "&last_id=$last" : ''), admin => 1);
        is($r->{code}, 0, 'a page') or last;
        $seen{$_->{stream}} = $_ foreach @{$r->{json}{data}{list}};
        $last = $r->{json}{data}{next_last_id};
        last if ++$pages > 20;
    }

    $t->resume('consumer');
    cmp_ok($pages, '>', 1, "$pages pages");

    foreach my $id (@id) {
        my $s = $seen{"{a:$id}s"};
        ok($s, "{a:$id}s") or next;
        is($s->{activity_id}, $id, 'of the activity');
        is($s->{groups}[0]{name}, 'rush', 'its group');
        cmp_ok($s->{length}, '>=', 1, 'entries');
        like($s->{last_id}, qr/^\d+-\d+$/, 'newest');
    }

    my $g = $seen{"{a:$id[0]}s"}{groups}[0];
    cmp_ok($g->{lag} + $g->{pending}, '>=', 1, 'not stored yet')
        or diag($json->encode($g));
    ok(exists $seen{'{rush}order'}, 'ordinary orders');
    is($seen{"{a:$id[1]}s"}{groups}[0]{lag}, 0, 'another one has no lag');
    is($seen{"{a:$id[1]}s"}{groups}[0]{oldest_pending_ms}, undef,
       'and nothing pending');

    # given out to somebody who does not come back
    $t->pause('consumer');
    told($id[2], 3);
    $t->redis()->xreadgroup('GROUP', 'rush', 'lost', 'COUNT', 100, 'STREAMS',
                            "{a:$id[2]}s", '>');
    sleep 0.2;
    my $r = $t->get('/api/v1/admin/streams?page_size=50', admin => 1);
    my ($s) = grep { $_->{stream} eq "{a:$id[2]}s" }
        @{$r->{json}{data}{list}};
    $t->resume('consumer');
    cmp_ok($s->{groups}[0]{pending}, '>=', 1, 'pending');
    cmp_ok($s->{groups}[0]{oldest_pending_ms}, '>=', 150, 'its age');
    cmp_ok($s->{groups}[0]{oldest_pending_ms}, '<', 60_000, 'in ms');
};


# --- dead letters ---

sub write_letter {
    my ($activity, $entry, @fields) = @_;
    $t->do('INSERT INTO dead_letter (activity_id, stream_id, part, cause, '
           . 'body, created_ms) VALUES (?, ?, -1, ?, ?, ?)', $activity, $entry,
           'a test', $json->encode({ id => $entry, fields => [map { "$_" }
                                                       @fields] }),
           int(time() * 1000));
    return $t->value('SELECT MAX(id) FROM dead_letter');
}


sub state_of {
    return $t->value('SELECT state FROM dead_letter WHERE id = ?', @_);
}


sub listed {
    my ($state, %o) = @_;
    my @list;
    my $last = 0;

    while (1) {
        my $r = $t->get("$letters?state=$state&page_size=1&last_id="
                        . ($last || 1), admin => 1, %o);
        push @list, @{$r->{json}{data}{list}};
        $last = $r->{json}{data}{next_last_id} // return @list;
    }
}


subtest 'dead letters' => sub {
    my $id = $t->activity(stock => 10, limit => 10);
    my $no = (1 << 40) . "-$id";
    my $now = int(time() * 1000);

    # ids begin at 1, and listed() wants one before
    write_letter(999998, '1-0');
    my $good = write_letter($id, "$now-0", 'e', 1, 't', $now, 'p', 1,
                            'g', "4711 req-1 $no 1");
    my $bad = write_letter($id, "$now-1", 'e', 'x');
    my $gone = write_letter(999_999, "$now-2", 'e', 1);
    my $order = write_letter(-1, "$now-3", 'o', '1', 'u', 1, 'm',
                             'leave it at the door');

    my @open = listed('open');
    is(join(' ', map { $_->{id} } @open), "$good $bad $gone $order",
       'listed, page by page');
    is($open[0]{stream}, "{a:$id}s", 'its stream');
    is($open[0]{entry}, "$now-0", 'its entry');
    is($open[0]{cause}, 'a test', 'its cause');
    like($open[0]{body}, qr/4711 req-1 $no 1/, 'its body');
    is($open[3]{stream}, '{rush}order', 'of ordinary orders');
    like($open[3]{body}, qr/at the door/, 'role 1 may see it');

    my $ops = $all->holder('operations');
    $t->wait_for(sub {
        $t->get($letters, token => $ops)->{status} != 403
    }, 5, 'the role');
    @open = listed('open', token => $ops, admin => 0);
    is($open[3]{body}, '***', 'others may not');
    like($open[0]{body}, qr/4711/, 'numbers they may');
    is($t->get("$letters?state=other", admin => 1)->{status}, 400, 'state');

    my $r = $t->post("$letters/$good/replay", {}, admin => 1);
    is("$r->{code} $r->{json}{data}{state}", '0 replaying', 'replay');
    ok($t->wait_for(sub { state_of($good) == 1 }, 5, 'the controller'),
       'done');
    is($t->value('SELECT user_id FROM orders WHERE order_no = ?', $no), 4711,
       'the order is there');

    # the controller has seen another activity by now
    my $id2 = $t->activity(stock => 10, limit => 10);
    my $other = (3 << 40) . "-$id2";
    my $second = write_letter($id2, "$now-5", 'e', 1, 't', $now, 'p', 1,
                              'g', "4713 req-3 $other 1");
    $t->post("$letters/$second/replay", {}, admin => 1);
    ok($t->wait_for(sub { state_of($second) != 3 }, 5, 'the controller'),
       'one of another activity');
    is($t->value('SELECT user_id FROM orders WHERE order_no = ?', $other),
       4713, 'its order');
    is(state_of($second), 1, 'is replayed, too');
    $t->do('DELETE FROM dead_letter WHERE id = ?', $second);

    $r = $t->post("$letters/$good/replay", {}, admin => 1);
    is("$r->{code} $r->{json}{data}{state}", '0 replayed', 'again');
    my ($done) = listed('replayed');
    ok($done->{closed_at} && $done->{closed_by}, 'when and by whom');

    foreach ([$bad, qr/e, t, p/], [$gone, qr/no activity 999999/]) {
        my ($letter, $cause) = @$_;
        is($t->post("$letters/$letter/replay", {}, admin => 1)->{code}, 0,
           'a bad one');
        ok($t->wait_for(sub {
            state_of($letter) == 0
                && $t->value('SELECT cause FROM dead_letter WHERE id = ?',
                             $letter) =~ $cause;
        }, 5, 'the controller'), 'open again, with the cause');
    }

    is($t->post("$letters/$bad/discard", {}, admin => 1)->{status}, 400,
       'discard: a reason is due');
    foreach my $reason ('cannot be read', 'other') {
        $r = $t->post("$letters/$bad/discard", { reason => $reason },
                      admin => 1);
        is("$r->{code} $r->{json}{data}{state}", '0 discarded', $reason);
    }
    my ($out) = listed('discarded');
    is($out->{reason}, 'cannot be read', 'the first reason stays');

    is($t->post("$letters/$bad/replay", {}, admin => 1)->{status}, 409,
       'replay of a discarded one');
    is($t->post("$letters/$good/discard", { reason => 'x' }, admin => 1)
       ->{status}, 409, 'discard of a replayed one');
    is($t->post("$letters/424242/$_", { reason => 'x' }, admin => 1)
       ->{status}, 404, "$_ of none") foreach qw(replay discard);

    ok($t->wait_for(sub {
        $t->value("SELECT COUNT(*) FROM audit_log WHERE object = ? AND "
                  . "route = 'seckill_dead_discard'", $bad) == 4;
    }, 5, 'the chain'), 'in the record');

    # the controller is killed with what was asked for
    my $no2 = (2 << 40) . "-$id";
    my $late = write_letter($id, "$now-4", 'e', 1, 't', $now, 'p', 1,
                            'g', "4712 req-2 $no2 1");
    $t->pause('consumer');
    is($t->post("$letters/$late/replay", {}, admin => 1)->{code}, 0, 'asked');
    is((listed('replaying'))[0]{id}, $late, 'listed');
    $t->kill('consumer');
    $t->start('consumer');
    ok($t->wait_for(sub { state_of($late) == 1 }, 20, 'the next one'),
       'the next one does it');
    is($t->value('SELECT user_id FROM orders WHERE order_no = ?', $no2), 4712,
       'the order is there');
    $t->do('UPDATE dead_letter SET state = 2');
};


subtest 'the report' => sub {
    my $id = $t->activity(stock => 5, limit => 2, price => 700);
    my $path = "/api/v1/admin/seckill/activities/$id/report";
    my $buy = "/api/v1/seckill/activities/$id/buy";
    my %want;

    $t->wait_known($far);

    my $count = sub {
        foreach my $r (@_) {
            $want{requests}++;
            $want{$r->{code} == 0
                  ? $r->{json}{data}{replayed} ? 'replayed' : 'success'
                  : { 60002 => 'sold_out', 60004 => 'buy_limit',
                      60006 => 'quantity', 60007 => 'crowded' }
                    ->{$r->{code}} // "code $r->{code}"}++;
        }
    };

    $count->($t->buy($id, 1, key => 'a'));
    $count->($t->buy($id, 1, key => 'a'));
    $count->($t->buy($id, 1, key => 'b', node => $far));
    $count->($t->buy($id, 1, key => 'c'));
    $count->($t->post($buy, { quantity => 50 }, user => 2));
    $count->($t->burst([map { { method => 'POST', path => $buy, user => ++
        $user, data => { quantity => 1 }, node => $_ % 2 ? $far : 'nginx' } }
        1 .. 60], conns => 10));
    $count->($t->buy($id, ++$user)) foreach 1 .. 20;

    my $d;
    ok($t->wait_for(sub {
        $d = $t->get($path, admin => 1, record => 0)->{json}{data};
        return $d->{requests} == $want{requests};
    }, 5, 'the flush'), 'all are counted') or diag($json->encode($d));

    my %got = (map({ ($_ => $d->{$_}) } qw(requests success replayed)),
               map({ ($_ => $d->{refused}{$_}) } keys %{$d->{refused}}));
    delete $got{$_} foreach grep { !$got{$_} } keys %got;
    is_deeply(\%got, \%want, 'by what they were told');
    is($d->{success}, 5, 'as much as there was');
    cmp_ok($d->{latency}{count}, '<', $want{requests}, 'redis was asked less');
    cmp_ok($d->{latency}{p50_ms}, '<=', $d->{latency}{p99_ms}, 'quantiles');

    ok($t->wait_for(sub { $t->live_orders($id) == 5 }, 5, 'rows'), 'rows');
    my ($one) = $t->sql('SELECT * FROM orders WHERE activity_id = ? LIMIT 1',
                        $id);
    is($t->post("/api/v1/orders/$one->{order_no}/cancel", {},
                user => $one->{user_id})->{code}, 0, 'one is cancelled');
    my $r = $t->get($path, admin => 1);
    is_deeply($r->{json}{data}{orders},
              [{ status => 1, count => 4, units => 4, amount => 2800 },
               { status => 5, count => 1, units => 1, amount => 700 }],
              'orders by state') or diag($r->{body});
    is_deeply($r->{json}{data}{money},
              { asked => 3500, paid => 0, returned => 0 }, 'money');

    # a worker that stops tells what it knows
    $count->($t->buy($id, ++$user)) foreach 1 .. 7;
    $t->reload() if RushTest::Mode::has_master();
    ok($t->wait_for(sub {
        $t->get($path, admin => 1, record => 0)->{json}{data}{requests}
            == $want{requests};
    }, 5, 'the last flush'), 'nothing is lost at a reload');

    # nor while redis is not there
    $redis->refuse();
    $count->($t->buy($id, ++$user)) foreach 1 .. 3;
    sleep 1.5;
    healed();
    ok($t->wait_for(sub {
        $t->get($path, admin => 1, record => 0)->{json}{data}{requests}
            >= $want{requests};
    }, 5, 'what was kept'), 'nor while redis is away');

    cmp_ok($t->redis()->ttl("{a:$id}r"), '>', 29 * 86400, 'for a month');
    is($t->get('/api/v1/admin/seckill/activities/424242/report', admin => 1)
       ->{status}, 404, 'of no activity');
};


$t->finish();
done_testing();
