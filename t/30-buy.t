#!/usr/bin/perl

# Copyright (C) Rush
#
# Buying: the way to the row in MySQL, every answer of the route, ids that
# are sent again, the edges of the window, batches.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    proxy => ['nginx_redis'],
    nginx => { extra_http => 'seckill_clock_skew 500ms;' },
);

my $serial = 5000;

sub user { return ++$serial }

sub counter { return RushTest::Sale::counter($t, @_) }


# code and data.final of an answer as one text

sub told {
    my ($r) = @_;

    my $data = $r->{json} ? $r->{json}{data} : undef;
    my $final = ref $data eq 'HASH' ? $data->{final} : undef;

    return join ' ', $r->{code} // "status $r->{status}",
        defined $final ? $final ? 'final' : 'open' : ();
}


# asks until the answer is the wanted one; then that answer

sub until_told {
    my ($want, $sub, $seconds) = @_;

    my $r;

    $t->wait_for(sub { told($r = $sub->()) eq $want }, $seconds // 5, $want);
    is(told($r), $want, $want);

    return $r;
}


sub admin {
    my ($id, $verb) = @_;
    my $r = $t->post("/api/v1/admin/seckill/activities/$id/$verb", {},
                     admin => 1);
    is($r->{code}, 0, $verb) or diag($r->{body});
}


subtest 'to the row' => sub {
    my $id = $t->activity(stock => 10, limit => 3, price => 250,
                          title => 'Tea', pay_seconds => 900);
    my $user = user();
    my $before = int(time() * 1000);
    my $r = $t->buy($id, $user, quantity => 2);

    is(told($r), '0', 'granted');
    is($r->{status}, 200);
    is($r->{headers}{'cache-control'}, 'no-store', 'nobody keeps it');
    is($r->{headers}{'x-trace-id'}, $r->{json}{trace_id}, 'trace id');

    my $data = $r->{json}{data};
    my $no = $data->{order_no};

    is($data->{status}, 'queued');
    is($data->{request_id}, $no, 'without a key the number is the id');
    is($data->{poll}, "/api/v1/seckill/results/$no", 'where to ask');
    ok(!exists $data->{replayed}, 'not replayed');

    my ($snowflake, $activity) = $no =~ /^([1-9]\d{16,18})-(\d+)$/;
    is($activity, $id, 'the number names the activity');
    is(($snowflake >> 12) & 1023, 1, 'and the node');

    my $made = ($snowflake >> 22) + 1704067200000;
    cmp_ok($made, '>=', $before - 50, 'and when it was made');
    cmp_ok($made, '<=', int(time() * 1000) + 50);

    my $start = time();
    my %seen;

    ok($t->wait_for(sub {
        $r = $t->get($data->{poll}, user => $user);
        return $seen{$r->{json}{data}{status}}++ >= 0
               && $r->{json}{data}{status} eq 'success';
    }, 3, 'the row'), 'the result within 3 s');

    is(join(' ', grep { !/^(?:queued|success)$/ } keys %seen), '',
       'queued before, never anything else');
    is($r->{json}{data}{order_status}, 1, 'to be paid');
    is($r->{json}{data}{amount}, 500, 'amount');

    my ($row) = $t->sql('SELECT * FROM orders WHERE order_no = ?', $no);
    my %want = (user_id => $user, activity_id => $id, req_id => $no, qty => 2,
                price => 250, amount => 500, title => 'Tea', status => 1,
                stock_state => 0);
    is($row->{$_}, $want{$_}, $_) foreach sort keys %want;
    is($row->{pay_deadline_ms}, $row->{granted_ms} + 900_000, 'deadline');
    cmp_ok($row->{granted_ms}, '>=', $before - 50);
    like($row->{stream_id}, qr/^\d+-\d+$/, 'entry');

    $r = $t->get("/api/v1/seckill/requests/$no", user => $user);
    is($r->{json}{data}{outcome}, 'granted');
    is($r->{json}{data}{order_no}, $no);
    ok($r->{json}{data}{final}, 'final');

    is($t->get("/api/v1/orders/$no", user => $user)->{json}{data}{quantity},
       2, 'the order');
    is($t->get('/api/v1/seckill/mine', user => $user)
       ->{json}{data}{list}[0]{order_no}, $no, 'mine');

    # somebody else
    my $other = user();
    is($t->get($data->{poll}, user => $other)->{status}, 404,
       'a foreign result');
    is($t->get("/api/v1/orders/$no", user => $other)->{status}, 404,
       'a foreign order');
    is($t->get("/api/v1/seckill/requests/$no", user => $other)
       ->{json}{data}{outcome}, 'refused', 'a foreign request');
    is($t->get($data->{poll}, user => $user)->{json}{data}{status},
       'success', 'which changes nothing');

    is($t->meta($id)->{remain}, 8, 'remain');
    ok($t->wait_for(sub {
        $t->get("/api/v1/seckill/activities/$id/stock")
          ->{json}{data}{left} == 8 }, 2, 'left'), 'everybody sees it');

    my $s = RushTest::Sale->new($t, $id);
    $s->remember($user, $no, { code => 0, json => { data => $data } });
    $s->check('books', rows => 1);
};


subtest 'sold out' => sub {
    my $id = $t->activity(stock => 1);
    my $s = RushTest::Sale->new($t, $id);

    is(told($s->buy(user())), 0, 'the last unit');

    # the mark stands since the last unit went, one probe goes through
    until_told('60002 final', sub { $s->buy(user()) });
    my $filtered = counter('buy_filtered_total');
    until_told('60002 open', sub { $s->buy(user()) });
    cmp_ok(counter('buy_filtered_total'), '>', $filtered, 'counted');

    my $sent = counter('buy_sent_total');
    my @r = $s->burst([map { [user()] } 1 .. 200]);
    is(scalar(grep { $_->{code} == 60002 } @r), 200, 'all refused');
    cmp_ok(counter('buy_sent_total') - $sent, '<=', 3, 'Redis rests');

    # a retry is not for the filter to answer
    my $user = user();
    is(told($s->buy($user, key => 'r1',
                    body => '{"quantity":1,"retry":true}')),
       '60002 final', 'retry asks Redis');
    is(told($s->buy($user, key => 'r1',
                    body => '{"quantity":1,"retry":true}')),
       '60009 final', 'the answer stays no');

    $s->check('books', rows => 1);
};


subtest 'limits' => sub {
    my $id = $t->activity(stock => 20, limit => 3);
    my $user = user();
    my $s = RushTest::Sale->new($t, $id);

    is(told($s->buy($user, quantity => 4)), '60006 final', 'too many');
    is(told($s->buy($user, quantity => 2)), '0', 'two');
    is(told($s->buy($user, quantity => 2)), '60004 final', 'two more');
    is(told($s->buy($user, quantity => 1)), '0', 'one more');
    is(told($s->buy($user, quantity => 1)), '60004 final', 'no more');
    is(told($s->buy(user(), quantity => 3)), '0', 'somebody else');
    is($t->meta($id)->{remain}, 14, 'six are gone');

    my $one = $t->activity(stock => 5);
    $s->check('books', rows => 3);

    my $s1 = RushTest::Sale->new($t, $one);
    $user = user();
    is(told($s1->buy($user)), '0', 'limit 1');
    is(told($s1->buy($user)), '60004 final', 'limit 1 reached');
    is(told($s1->buy($user, quantity => 2)), '60006 final', 'limit 1, two');

    # more than there is, less than the limit
    my $few = $t->activity(stock => 2, limit => 3);
    my $s2 = RushTest::Sale->new($t, $few);
    is(told($s2->buy($user, quantity => 3)), '60002 final', 'two left');
    is(told($s2->buy($user, quantity => 2)), '0', 'these two');
    $s2->check('books', rows => 1);
};


subtest 'ids sent again' => sub {
    my $id = $t->activity(stock => 10, limit => 2);
    my $s = RushTest::Sale->new($t, $id);
    my $user = user();

    my $r = $s->buy($user, key => 'a');
    my $no = $r->{json}{data}{order_no};
    is(told($r), '0', 'first');
    is($r->{json}{data}{request_id}, 'a');

    $r = $s->buy($user, key => 'a');
    is($r->{json}{data}{order_no}, $no, 'again: the same order');
    ok($r->{json}{data}{replayed}, 'says so');

    $r = $s->buy($user, key => 'a', body => '{"quantity":2}');
    is($r->{json}{data}{order_no}, $no, 'whatever else it asks for');
    ok($r->{json}{data}{replayed}, 'nothing was taken for it');

    $r = $s->buy($user, key => '"a"');
    is($r->{json}{data}{order_no}, $no, 'quoted: the same key');

    $r = $s->buy(user(), key => 'a');
    isnt($r->{json}{data}{order_no}, $no, 'ids are of one user');

    is($t->meta($id)->{remain}, 8, 'two units');

    ok($t->wait_for(sub { $t->live_orders($id) == 2 }, 3, 'rows'), 'rows');
    is($t->get("/api/v1/orders/$no", user => $user)->{json}{data}{quantity},
       1, 'the quantity of the first one');
    is($t->post("/api/v1/orders/$no/cancel", {}, user => $user)->{code}, 0,
       'cancelled');
    ok($t->wait_for(sub { $t->meta($id)->{remain} == 9 }, 3, 'unit'),
       'the unit is back');

    is(told($s->buy($user, key => 'a')), '60008 final', 'given back');
    is($t->get("/api/v1/seckill/requests/a?activity_id=$id", user => $user)
       ->{json}{data}{outcome}, 'given_back', 'and its request');
    is(told($s->buy($user, key => 'b')), '0', 'a new id buys');

    # an id that nobody has used is settled: it never wins
    is($t->get("/api/v1/seckill/requests/never?activity_id=$id",
               user => $user)->{json}{data}{outcome}, 'refused');
    is(told($s->buy($user, key => 'never')), '60009 final', 'denied');

    is($t->get('/api/v1/seckill/requests/a', user => user())->{status}, 400,
       'whose activity?');
    is($t->get("/api/v1/seckill/requests/382394864345550848-99999999",
               user => $user)->{status}, 404, 'no such activity');

    $s->check('books', rows => 2);
};


subtest 'double clicks' => sub {
    my $id = $t->activity(stock => 50);
    my $s = RushTest::Sale->new($t, $id);

    for my $n (2, 10, 30) {
        my $user = user();
        my @r = $s->burst([map { [$user, 'double'] } 1 .. $n], sync => 1);
        my %no = map { $_->{json}{data}{order_no} => 1 } @r;

        is(join(' ', map { told($_) } @r), join(' ', (0) x $n),
           "$n at once: all granted");
        is(scalar keys %no, 1, 'one order');
        is(scalar(grep { !$_->{json}{data}{replayed} } @r), 1,
           'one was the first');
    }

    is($t->meta($id)->{remain}, 47, 'three units');

    my $user = user();
    my @r = $s->burst([[$user, 'k1'], [$user, 'k2']], sync => 1);
    is(join(', ', sort { $a cmp $b } map { told($_) } @r), '0, 60004 final',
       'two keys at once: one wins');

    $user = user();
    @r = $s->burst([map { [$user] } 1 .. 20], sync => 1);
    is(scalar(grep { told($_) eq '0' } @r), 1, 'no keys: one wins');
    is(scalar(grep { told($_) eq '60004 final' } @r), 19, 'others do not');

    $s->check('books', rows => 5);
};


subtest 'edges of the window' => sub {
    my $start = int(time() * 1000) + 2500;
    my $id = $t->activity(from => $start, to => $start + 1500, stock => 9999);
    my $s = RushTest::Sale->new($t, $id);
    my ($r, %last);

    # before the margin of the clocks the filter answers, then Redis
    is(told($s->buy(user())), '60001 open', 'far before');

    until ($last{0}) {
        my $sent = time() * 1000;
        $r = $s->buy(user());
        my $told = told($r);

        like($told, qr/^(?:60001 (?:final|open)|0)$/, "early: $told")
            if !$last{$told};
        cmp_ok(time() * 1000, '>=', $start, 'not before the start')
            if $told eq '0';
        cmp_ok($sent, '<', $start + 300, 'not late')
            if $told eq '0';
        $last{$told} = 1;
        last if $sent > $start + 5000;
        sleep 0.01;
    }

    ok($last{'60001 final'}, 'Redis said no, too');

    # one that was told no stays out when the sale runs
    my ($early) = grep { $_->{no} } values %{$s->{told}};
    is($early, undef, 'refusals without a key are not kept')
        or diag(explain($early));

    until ($last{'60003 open'}) {
        my $sent = time() * 1000;
        my $told = told($s->buy(user()));

        like($told, qr/^(?:60003 (?:final|open)|0)$/, "late: $told")
            if !$last{$told};
        cmp_ok($sent, '<', $start + 1500, 'not after the end')
            if $told eq '0' && $sent >= $start + 1500;
        $last{$told} = 1;
        last if $sent > $start + 5000;
        sleep 0.01;
    }

    ok($last{'60003 final'}, 'Redis said no, too');
    ok($last{'60003 open'}, 'then the filter');
    $s->check('books');
};


subtest 'an early key' => sub {
    my $start = int(time() * 1000) + 1200;
    my $id = $t->activity(from => $start, stock => 5);
    my $s = RushTest::Sale->new($t, $id);
    my $user = user();

    # the filter's no is not final, and what it refused may win later
    is(told($s->buy($user, key => 'k')), '60001 open', 'far before');
    $t->wait_for(sub { time() * 1000 > $start }, 5, 'the start');
    is(told($s->buy($user, key => 'k')), '0', 'the same id buys');
    $s->check('books', rows => 1);
};


subtest 'paused and ended' => sub {
    my $id = $t->activity(stock => 10);
    my $s = RushTest::Sale->new($t, $id);
    my $holder = user();

    my $no = $s->buy($holder, key => 'h')->{json}{data}{order_no};

    admin($id, 'pause');
    until_told('60005 open', sub { $s->buy(user()) });
    $t->wait_for(sub { $t->meta($id)->{state} eq 'paused' }, 3, 'Redis');

    my $user = user();
    my $retry = '{"quantity":1,"retry":true}';
    is(told($s->buy($user, key => 'p', body => $retry)), '60005 final',
       'Redis says it, too');
    is($s->buy($holder, key => 'h', body => $retry)->{json}{data}{order_no},
       $no, 'who has an order is told so');

    admin($id, 'resume');
    until_told('0', sub { $s->buy(user()) });
    is(told($s->buy($user, key => 'p')), '60009 final', 'no stays no');

    admin($id, 'offline');
    until_told('60003 open', sub { $s->buy(user()) });
    $t->wait_for(sub { $t->meta($id)->{state} eq 'off' }, 3, 'Redis');
    like(told($s->buy(user(), key => 'e', body => $retry)),
         qr/^6000[35] final$/, 'Redis');
    is($s->buy($holder, key => 'h', body => $retry)->{json}{data}{order_no},
       $no, 'the order stands');
    $s->check('books');
};


subtest 'crowded' => sub {
    my $id = $t->activity(stock => 5);
    my $s = RushTest::Sale->new($t, $id);
    my $user = user();
    my @crowded;

    # more in 100 ms than the stock is worth asking for
    $t->wait_for(sub {
        my @r = $s->burst([map { [$user] } 1 .. 300], sync => 1);
        push @crowded, grep { $_->{code} == 60007 } @r;
        return @crowded;
    }, 20, 'a crowd');

    my $r = $crowded[0];
    is($r->{status}, 429, 'status') or return;
    is(told($r), '60007 open');
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    cmp_ok(counter('buy_crowded_total'), '>=', @crowded, 'counted');

    sleep 0.12;
    is(told($s->buy(user())), '0', 'the budget comes back by itself');
    $s->check('books', rows => 2);
};


subtest 'by product' => sub {
    my $product = $t->product(title => 'Pot');
    my $path = '/api/v1/seckill';
    my $r = $t->post($path, { product_id => "$product" }, user => user());

    is(told($r), '60011', 'no sale');
    is(told($t->post($path, { product_id => '999999' }, user => user())),
       '60011', 'no product');

    my $past = $t->activity(product => $product, start => -9000,
                            stop => -5000, wait => 0);
    my $next = $t->activity(product => $product, start => 600_000,
                            stop => 900_000);
    until_told('60001 open', sub {
        $t->post($path, { product_id => "$product" }, user => user()) });

    my $id = $t->activity(product => $product, stock => 3, limit => 2);
    my $user = user();

    $r = until_told('0', sub {
        $t->post($path, { product_id => "$product", quantity => 2 },
                 user => $user, key => 'p1') });
    like($r->{json}{data}{order_no}, qr/-$id$/, 'the running one');
    is($t->post($path, { product_id => $product }, user => $user,
                key => 'p1')->{json}{data}{order_no},
       $r->{json}{data}{order_no}, 'the same key');
    is(told($t->post($path, { product_id => "$product" }, user => $user)),
       '60004 final', 'limit');
    is(told($t->post($path, { product_id => "$product", quantity => 2 },
                     user => user())), '60002 final', 'one left');
    is($t->post($path, {}, user => $user)->{status}, 400, 'which?');
    is($t->post($path, { product_id => "$product" })->{status}, 401, 'who?');
};


subtest 'bad input' => sub {
    my $id = $t->activity(stock => 10);
    my $path = "/api/v1/seckill/activities/$id/buy";
    my $user = user();
    my $sent = counter('buy_sent_total');

    foreach my $body ('{"quantity":0}', '{"quantity":-1}',
                      '{"quantity":101}', '{"quantity":"1"}',
                      '{"quantity":1.5}', '{"quantity":1e0}',
                      '{"quantity":[1]}', '{"quantity":true}',
                      '{"quantity":99999999999999999999}', '{"quantity":01}',
                      '{"quantity":1,"quantity":1}', '{"quantity":1',
                      '{"quantity":1} x', '[]', '1', '{"retry":1}',
                      "{\"quantity\":1,\"x\":\"\xff\"}")
    {
        my $r = $t->request('POST', $path, user => $user, body => $body);
        is($r->{status}, 400, 'body ' . $body =~ s/[^ -~]/?/gr)
            or diag($r->{body});
    }

    foreach my $key ('', 'x' x 65, 'a b', "a\tb", 'a,b', "\xc3\xa9", '"a',
                     '""')
    {
        my ($r) = $t->burst([{ method => 'POST', path => $path, data => {},
                               user => $user, key => $key }], record => 0);
        is($r->{status}, 400, "key '" . ($key =~ s/[^ -~]/?/gr) . "'")
            or diag($r->{body});
    }

    is($t->request('POST', $path, user => $user, body => '{}',
                   type => 'text/plain')->{status}, 415, 'type');
    is($t->request('POST', $path, user => $user, body => '{"x":"'
                   . 'y' x 70000 . '"}')->{status}, 413, 'size');

    my $r = $t->get($path, user => $user);
    is($r->{status}, 405, 'GET');
    is($r->{headers}{allow}, 'POST', 'Allow');

    is($t->post($path, {})->{status}, 401, 'nobody');
    is($t->post($path, {}, token => $t->token($user, exp => 1))->{status},
       401, 'too old');
    is($t->post($path, {}, token => $t->token($user, secret => 'x'))
       ->{status}, 401, 'forged');

    foreach my $bad ($id + 100_000, 0, '-1', 'x', '1x', '1.0',
                     '99999999999999999999')
    {
        is($t->post("/api/v1/seckill/activities/$bad/buy", {},
                    user => $user)->{status}, 404, "activity $bad");
    }

    my $draft = $t->activity(status => 0, warm => 0);
    sleep 0.6;
    is($t->buy($draft, $user)->{status}, 404, 'a draft');

    is(counter('buy_sent_total'), $sent, 'Redis saw nothing of it');

    # what is good
    is(told($t->request('POST', $path, user => $user, key => 'x' x 64)), '0',
       'no body, a long key');
    is(told($t->request('POST', $path, user => user(), body => '{}',
                        key => 'Az09._:-')), '0', 'an empty object');
    is($t->meta($id)->{remain}, 8, 'two units');
};


subtest 'batches' => sub {
    my $id = $t->activity(stock => 1000);
    my $s = RushTest::Sale->new($t, $id);
    my $other = $t->activity(stock => 1000);
    my $s2 = RushTest::Sale->new($t, $other);
    my $p = $t->proxy('nginx_redis');

    my ($calls, $sent) = map { counter("buy_${_}_total") } qw(batches sent);

    # while two calls are under way buyers gather
    $p->delay(150);
    my @r = $s->burst([map { [user(), "b$_"] } 1 .. 400], sync => 1);
    $p->pass();

    is(scalar(grep { told($_) eq '0' } @r), 400, 'all of 400 have bought');
    is(counter('buy_sent_total') - $sent, 400, 'all were sent');
    cmp_ok(counter('buy_batches_total') - $calls, '<=', 40,
           'in few calls');
    my %no = map { $_->{json}{data}{order_no} => 1 } @r;
    is(scalar keys %no, 400, 'each has a number');
    is($t->redis()->xlen("{a:$id}s"),
       counter('buy_batches_total') - $calls, 'an entry a call');

    # two sales do not mix, and buyers of one call get their own answers
    $p->delay(50);
    my $user = user();
    @r = $t->burst([map {
        { method => 'POST', data => { quantity => $_ % 3 ? 1 : 2 },
          path => $_ % 2 ? $s->path() : $s2->path(),
          user => $_ % 5 ? user() : $user, key => "m$_" }
    } 1 .. 200], sync => 1);
    $p->pass();

    my @want;
    my %held;

    foreach my $i (1 .. 200) {
        my $no = $r[$i - 1]{json}{data}{order_no} // '';

        if ($i % 3 == 0) {
            is(told($r[$i - 1]), '60006 final', "$i: quantity");
        } elsif ($i % 5) {
            like($no, $i % 2 ? qr/-$id$/ : qr/-$other$/, "$i: its own sale");
        } else {
            $held{$i % 2}++ if $no;
        }
    }

    is($held{$_}, 1, 'one for the one who asked often') foreach 0, 1;
    $s->check('books');
    $s2->check('books of the other');
};


$t->finish();
done_testing();
