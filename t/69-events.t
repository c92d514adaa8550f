#!/usr/bin/perl

# Copyright (C) Rush
#
# Event streams: each route and each of its answers, what an activity and an
# order tell in their lives, and who may listen.

use warnings;
use strict;

use FindBin;
use POSIX qw(WNOHANG);
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Backend;
use RushTest::Events;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $h2 = RushTest::Backend::free_port();
my $t = RushTest->new(nginx => {
    extra_http => 'rush_events heartbeat=400ms; gzip on; gzip_types *; '
        . 'gzip_min_length 0;',
    extra_server => "listen 127.0.0.1:$h2 http2;" });

my $serial = 690_000;

sub user { return ++$serial }

sub counter { return RushTest::Sale::counter($t, @_) }

sub listen_to { return RushTest::Events->new($t, @_) }

sub of_sale { return "/api/v1/seckill/activities/$_[0]/events" }

sub of_order { return "/api/v1/orders/$_[0]/events" }

sub of_result { return "/api/v1/seckill/results/$_[0]/events" }

sub names { return join ' ', map { $_->{event} // 'comment' } @_ }


sub bought {
    my ($id, $user, %o) = @_;

    my $r = $t->buy($id, $user);
    is($r->{code}, 0, 'bought') or diag($r->{body});
    my $no = $r->{json}{data}{order_no};

    ok($t->wait_for(sub {
        $t->value('SELECT 1 FROM orders WHERE order_no = ?', $no)
    }, 5, 'the row'), 'written') if !$o{no_row};

    return $no;
}


# one edge of the machine of states

sub move {
    my ($no, $to, $actor, $more) = @_;
    $t->do("UPDATE orders SET status = ?, version = version + 1, "
           . "actor_kind = ?, actor = 1, reason = 'test'"
           . ($more ? ", $more" : '') . ' WHERE order_no = ?',
           $to, $actor, $no);
}


# the next event but for heartbeats, and how long it took

sub told {
    my ($s, $seconds) = @_;
    my $start = time();
    my $e = $s->wait_data(sub { 1 }, $seconds // 3);
    return ($e, time() - $start);
}


subtest 'an activity' => sub {
    my $id = $t->activity(stock => 3);
    my $s = listen_to(of_sale($id));
    my $h = $s->headers();

    is($s->status(), 200, 'served');
    is($h->{'content-type'}, 'text/event-stream', 'type');
    is($h->{'cache-control'}, 'no-store', 'not kept');
    is($h->{'x-accel-buffering'}, 'no', 'not held back');
    like($h->{'x-trace-id'}, qr/^[0-9a-f]{32}$/, 'trace');
    is($h->{'content-encoding'}, undef, 'not packed');
    is($h->{'transfer-encoding'}, 'chunked', 'chunks');

    my ($e) = told($s);
    is($e->{event}, 'activity', 'the first event');
    is_deeply([@{$e->{data}}{qw(id state left total)}],
              ["$id", 'running', 3, 3], 'tells the present state');
    cmp_ok(abs($e->{data}{server_time_ms} - time() * 1000), '<', 2000, 'now');
    like($e->{id}, qr/^\d{13}$/, 'an id');

    $t->buy($id, user());
    ($e, my $took) = told($s);
    is($e->{data}{left}, 2, 'a unit less');
    cmp_ok($took, '<', 1 * $RushTest::SLOW, "after $took s");

    my $pause = sub { $t->post("/api/v1/admin/seckill/activities/$id/$_[0]",
                               {}, admin => 1) };
    $pause->('pause');
    ok($s->wait_data(sub { $_[0]{state} eq 'paused' }, 3), 'paused');
    $pause->('resume');
    ok($s->wait_data(sub { $_[0]{state} eq 'running' }, 3), 'resumed');

    $t->buy($id, user()) foreach 1 .. 2;
    ok($s->wait_data(sub { $_[0]{state} eq 'sold_out'
                           && $_[0]{left} == 0 }, 3), 'sold out');

    # silent: comments only, so that nobody in between gives up
    my @beats = map { $s->next(2) } 1 .. 3;
    is(names(@beats), 'comment comment comment', 'heartbeats');

    $pause->('offline');
    $e = $s->wait_data(sub { $_[0]{state} eq 'ended' }, 3);
    is($e->{event}, 'activity', 'ended');
    is($s->next()->{event}, 'end', 'the end');
    ok($s->ended(2), 'closed');
    ok($s->whole(), 'as it should be');

    $s = listen_to(of_sale($id));
    my @all = map { $s->next() } 1, 2;
    is(names(@all), 'activity end', 'nobody waits for one that has ended');
    is($all[0]{data}{state}, 'ended', 'it says so');
    ok($s->ended() && $s->whole(), 'closed');
};


subtest 'the clock' => sub {
    my $id = $t->activity(stock => 3, start => 1500, stop => 3500);
    my $s = listen_to(of_sale($id));
    my @states;

    while (my ($e) = told($s, 6)) {
        last if !$e;
        push @states, $e->{data}{state}
            if !@states || $states[-1] ne $e->{data}{state};
        last if $e->{event} eq 'end';
    }

    is("@states", 'not_started running ended', 'starts and ends');
    ok($s->ended() && $s->whole(), 'closed');
};


subtest 'an order, from the queue to its end' => sub {
    my $id = $t->activity(stock => 9);
    my ($user, $other) = (user(), user());

    bought($id, $other);
    $t->pause('consumer');

    my $no = bought($id, $user, no_row => 1);
    my @s = map { listen_to($_, user => $user) } of_result($no),
        of_order($no);

    # who holds units of the activity too, but not of this order
    my $thief = listen_to(of_order($no), user => $other);

    foreach (@s, $thief) {
        my ($e) = told($_);
        is($e->{event}, 'order', 'an event');
        is_deeply([@{$e->{data}}{qw(order_no status status_text version)}],
                  [$no, 0, 'processing', 0], 'on its way');
        ok(!$e->{data}{final} && !exists $e->{data}{pay_deadline_ms},
           'more follows');
        is($e->{id}, 0, 'version 0');
    }

    sleep 0.3;
    $t->resume('consumer');

    foreach (@s) {
        my ($e, $took) = told($_, 5);
        is($e->{data}{status_text}, 'to_pay', 'to pay');
        is($e->{id}, $e->{data}{version}, 'the id is the version');
        is($e->{data}{pay_deadline_ms}, $t->value('SELECT pay_deadline_ms '
           . 'FROM orders WHERE order_no = ?', $no), 'pay before');
        cmp_ok($took, '<', 1.5 * $RushTest::SLOW, "after $took s");
    }

    ok($thief->ended(3), 'the other one is closed');
    is(scalar(grep { $_->{data} } @{$thief->{events}}), 0,
       'and was not told');
    is(listen_to(of_order($no), user => $other)->status(), 404,
       'nor let in again');

    my $start = time();
    is($t->post("/api/v1/orders/$no/cancel", {}, user => $user)->{code}, 0,
       'cancelled');

    foreach (@s) {
        my ($e) = told($_);
        is_deeply([@{$e->{data}}{qw(status status_text cancel_reason
                                    version)}],
                  [5, 'cancelled', 'user', 2], 'told');
        cmp_ok(time() - $start, '<', 1 * $RushTest::SLOW, 'soon');
        ok($e->{data}{final}, 'final');
        is($_->next()->{event}, 'end', 'the end');
        ok($_->ended() && $_->whole(), 'closed');
    }

    my $s = listen_to(of_order($no), user => $user);
    my @all = map { $s->next() } 1, 2;
    is(names(@all), 'order end', 'listened to again: told and closed');
    is($all[1]{data}{status}, 5, 'its state');
    ok($s->ended() && $s->whole(), 'whole');
};


subtest 'other ends' => sub {
    my $id = $t->activity(stock => 9, pay_seconds => 2 * $RushTest::SLOW);
    my $user = user();
    my $no = bought($id, $user);
    my $s = listen_to(of_order($no), user => $user);

    is((told($s))[0]{data}{status_text}, 'to_pay', 'to pay');
    my ($e) = told($s, 8);
    is_deeply([@{$e->{data}}{qw(status_text cancel_reason final)}],
              ['cancelled', 'timeout', $e->{data}{final}], 'not paid in time');
    ok($e->{data}{final}, 'final');
    ok($s->ended(), 'closed');

    $id = $t->activity(stock => 9);
    $no = bought($id, $user = user());
    $s = listen_to(of_order($no), user => $user);
    told($s);

    my @life = ([2, 4, 'paid', "stock_state = 4, paid_ms = 1"],
                [3, 2, 'shipped'], [6, 2, 'refunding'], [7, 4, 'refunded']);

    foreach (@life) {
        my ($to, $actor, $name, $more) = @$_;
        move($no, $to, $actor, $more);
        my ($e, $took) = told($s);
        is($e->{data}{status_text}, $name, $name);
        cmp_ok($took, '<', 1 * $RushTest::SLOW, "after $took s");
        ok(!$e->{data}{final} == ($to != 7), 'final or not');
    }

    is($s->next()->{event}, 'end', 'the end');
    ok($s->ended() && $s->whole(), 'closed');

    # two changes between two looks: the last one is told
    $no = bought($id, $user = user());
    $s = listen_to(of_result($no), user => $user);
    told($s);
    $t->db()->begin_work();
    move($no, 2, 4, 'stock_state = 4');
    move($no, 4, 2);
    $t->db()->commit();
    ($e) = told($s);
    is($e->{data}{status_text}, 'done', 'the last state');
    is($e->{data}{version}, 3, 'its version');
    ok($s->ended(), 'closed');
};


subtest 'who may not' => sub {
    my $id = $t->activity(stock => 9);
    my ($user, $other) = (user(), user());
    my $no = bought($id, $user);
    my $code = sub {
        my ($path, %o) = @_;
        my $s = listen_to($path, %o);
        return join ' ', $s->status(), $s->code();
    };

    foreach my $path (of_order($no), of_result($no)) {
        is($code->($path), '401 6', 'nobody');
        is($code->($path, user => $other), '404 4', 'a stranger');
        is($code->($path, token => 'x'), '401 6', 'a bad token');
        is($code->($path =~ s/$no/1-1/r, user => $user), '404 4', 'no order');
        is($code->($path =~ s/$no/x/r, user => $user), '404 4', 'no number');
        is($code->($path =~ s/-$id/-0/r, user => $user), '404 4',
           'of another kind');
        is($code->($path, user => $user, headers => { 'Last-Event-ID' =>
           '<b>' }), '400 2', 'an id of no event');
        is($code->($path, user => $user, method => 'POST',
                   head => "Content-Length: 0\r\n"), '405 5', 'POST');
    }

    is($code->(of_sale(999_999)), '404 4', 'no activity');
    is($code->(of_sale('x')), '404 4', 'no number');

    my $s = listen_to(of_order($no), user => $user, headers => {
        'Last-Event-ID' => '1' });
    my ($e) = told($s);
    is($e->{data}{status}, 1, 'comes again: the present state');

    # a body that does not come
    $s = listen_to(of_sale($id), head => "Content-Length: 50000\r\n");
    is($s->status(), 400, 'no body is waited for') or diag($s->status());

    is($code->(of_order(($no =~ /^(\d+)/)[0] + 5 . '-0'), user => $user),
       '404 4', 'an ordinary order that nobody has made');
};


# while the row of an ordinary order is on its way, its key names the buyer

subtest 'an ordinary order on its way' => sub {
    my ($user, $other) = (user(), user());
    my $ms = int(time() * 1000);
    my $no = (($ms - 1704067200000 << 22) | 7) . '-0';

    $t->redis()->set("{rush}o:$no", $user);

    is(listen_to(of_order($no), user => $other)->status(), 404, 'a stranger');

    my $s = listen_to(of_order($no), user => $user);
    my ($e) = told($s);
    is_deeply([@{$e->{data}}{qw(order_no status)}], [$no, 0], 'on its way');

    $t->insert('orders', order_no => $no, user_id => $user, activity_id => 0,
               product_id => 7, req_id => $no, qty => 1, price => 3,
               amount => 3, title => 'Cup', status => 1, stock_state => 0,
               granted_ms => $ms, created_ms => $ms,
               pay_deadline_ms => $ms + 10 ** 9);

    ($e, my $took) = told($s);
    is($e->{data}{status_text}, 'to_pay', 'to pay');
    cmp_ok($took, '<', 1 * $RushTest::SLOW, "after $took s");
    $s->close();
};


subtest 'HEAD, HTTP/1.0' => sub {
    my $id = $t->activity(stock => 3);
    my $opened = counter('events_opened_total');
    my $s = listen_to(of_sale($id), method => 'HEAD', record => 0,
                      head => "Connection: close\r\n");

    is($s->status(), 200, 'HEAD');
    is($s->headers()->{'content-type'}, 'text/event-stream', 'headers');
    ok($s->ended(), 'and nothing else');
    is("$s->{in}$s->{text}", '', 'no body');
    is(counter('events_opened_total'), $opened, 'nobody listens');

    $s = listen_to(of_sale($id), http10 => 1);
    is($s->status(), 200, 'HTTP/1.0');
    is($s->headers()->{'transfer-encoding'}, undef, 'no chunks');
    is((told($s))[0]{data}{left}, 3, 'an event');
    $t->buy($id, user());
    is((told($s))[0]{data}{left}, 2, 'another one');
    ok($s->next(3) && !$s->{eof}, 'open');
    $t->post("/api/v1/admin/seckill/activities/$id/offline", {}, admin => 1);
    ok($s->wait_data(sub { $_[1]{event} eq 'end' }, 3), 'the end');
    ok($s->ended() && $s->whole(), 'closed');

    # Accept-Encoding does not matter
    $id = $t->activity(stock => 3);
    $s = listen_to(of_sale($id), headers => { 'Accept-Encoding' => 'gzip' });
    is($s->headers()->{'content-encoding'}, undef, 'not packed');
    is((told($s))[0]{data}{left}, 3, 'readable');
    $t->buy($id, user());
    is((told($s))[0]{data}{left}, 2, 'at once');
};


subtest 'HTTP/2' => sub {
    local $RushTest::Mode::still = 1;       # curl listens
    my $id = $t->activity(stock => 5);
    my $out = "$t->{dir}/h2";
    my @curl = ('curl', '-sN', '--http2-prior-knowledge', '--max-time',
                60 * $RushTest::SLOW);
    my $url = "http://127.0.0.1:$h2" . of_sale($id);

    plan skip_all => 'curl speaks no HTTP/2' if `curl -V` !~ /\bHTTP2\b/;

    my @pids = map {
        my $pid = fork() // die;
        exec @curl, '-D', "$out.$_.head", '-o', "$out.$_", $url or die
            if $pid == 0;
        $pid;
    } 1, 2;

    my $lefts = sub {
        my ($n) = @_;
        return join ' ', map { $_->{data} ? $_->{data}{left} : () }
            RushTest::Events::parse(RushTest::slurp("$out.$n")
                                    =~ s/[^\n]*\z//r);
    };
    my $waits = sub {
        my ($want) = @_;
        $t->wait_for(sub { $lefts->(1) eq $want && $lefts->(2) eq $want }, 5,
                     $want);
        is($lefts->($_), $want, "told: $want") foreach 1, 2;
    };

    $waits->('5');
    like(RushTest::slurp("$out.$_.head"), qr!^HTTP/2 200!, 'HTTP/2')
        foreach 1, 2;
    $t->buy($id, user());
    $waits->('5 4');
    ok($t->wait_for(sub { (() = RushTest::slurp("$out.1") =~ /^:$/mg) >= 2 },
                    5, 'heartbeats'), 'heartbeats');
    $t->buy($id, user());
    $waits->('5 4 3');

    $t->post("/api/v1/admin/seckill/activities/$id/offline", {}, admin => 1);

    foreach my $n (1, 2) {
        my $pid = shift @pids;
        ok($t->wait_for(sub { waitpid($pid, WNOHANG) == $pid }, 5, 'curl'),
           'ends');
        is($?, 0, 'well');
        like(RushTest::slurp("$out.$n"), qr/^event: end\n.*"ended"/m,
             'by an end');
    }
};


subtest 'metrics' => sub {
    my $id = $t->activity(stock => 5);
    my %was = map { $_ => counter($_) } qw(events_opened_total
        events_left_total);

    ok($t->wait_for(sub { counter('events_listeners') == 0 }, 5, 'no one'),
       'nobody listens');

    my @s = map { listen_to(of_sale($id)) } 1 .. 5;
    told($_) foreach @s;

    is(counter('events_listeners'), 5, 'listeners of all workers');
    is(counter('events_opened_total') - $was{events_opened_total}, 5,
       'opened');

    $_->close() foreach @s;
    ok($t->wait_for(sub { counter('events_listeners') == 0 }, 5, 'no one'),
       'they have left');
    is(counter('events_left_total') - $was{events_left_total}, 5, 'counted');
    cmp_ok(counter('events_beats_total'), '>', 5, 'heartbeats');
    cmp_ok(counter('events_end_total'), '>', 5, 'ends');
};


$t->finish();
done_testing();
