#!/usr/bin/perl

# Copyright (C) Rush
#
# Event streams and those who listen badly: too many, too slow, too long, with
# a token that has ended, who leave in each step or send what nobody asked
# for.  Nothing is left behind.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Backend;
use RushTest::Events;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $narrow = RushTest::Backend::free_port();
my %nginx = (workers => 1, level => 'info', connections => 2048,
             mysql_args => 'timeout=20s connect_timeout=20s',
             extra_server => "listen 127.0.0.1:$narrow sndbuf=1k;");
my $t = RushTest->new(proxy => [qw(nginx_redis nginx_mysql)], nginx => {
    %nginx, extra_http => 'rush_events max=30 user=3 address=20 '
        . 'heartbeat=300ms stall=2s;' });
my $redis = $t->proxy('nginx_redis');
my $mysql = $t->proxy('nginx_mysql');
my $log = $t->daemon('nginx')->{log};
my $sale = $t->activity(stock => 100_000, limit => 100);
my $serial = 691_000;

sub user { return ++$serial }

sub counter { return RushTest::Sale::counter($t, @_) }

sub listen_to { return RushTest::Events->new($t, @_) }

sub of_sale { return "/api/v1/seckill/activities/$_[0]/events" }

sub of_order { return "/api/v1/orders/$_[0]/events" }

sub alone {
    my ($name) = @_;
    ok($t->wait_for(sub { counter('events_listeners') == 0 }, 10, 'nobody'),
       $name // 'nobody is left');
}


sub bought {
    my ($id, $user) = @_;

    my $r = $t->buy($id, $user);
    my $no = $r->{json}{data}{order_no} // die "buy: $r->{body}\n";

    $t->wait_for(sub { $t->value('SELECT 1 FROM orders WHERE order_no = ?',
                                 $no) }, 5, 'the row') or die;
    return $no;
}


sub configure {
    my ($events) = @_;
    $t->configure_nginx('nginx', { %nginx,
        extra_http => "rush_events $events;" });
    ok($t->reload('nginx'), "rush_events $events");
}


sub worker_count {
    my ($worker) = $t->workers();
    return scalar(() = glob "/proc/$worker/fd/*");
}


sub rss {
    my ($worker) = $t->workers();
    return RushTest::slurp("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m
        ? $1 : 0;
}


subtest 'limits' => sub {
    plan(skip_all => 'they are of one worker') if $t->worker_count() > 1;

    my $user = user();
    my $no = bought($sale, $user);
    my $refused = counter('events_refused_total');
    my @s = map { listen_to(of_order($no), user => $user) } 1 .. 3;

    is($_->status(), 200, 'one of three') foreach @s;

    my $s = listen_to(of_order($no), user => $user);
    is($s->status() . ' ' . $s->code(), '429 10', 'a fourth of the same user');
    like($s->headers()->{'retry-after'}, qr/^(?:[5-9]|10)$/, 'comes later');

    my $other = user();
    my $his = bought($sale, $other);
    push @s, listen_to(of_order($his), user => $other);
    is($s[-1]->status(), 200, 'another user');

    (pop @s)->close();
    (pop @s)->reset();
    ok($t->wait_for(sub { counter('events_listeners') == 2 }, 5, 'two'),
       'two have left');

    push @s, listen_to(of_order($no), user => $user);
    is($s[-1]->status(), 200, 'there is room again');

    # the address has 20: 17 more
    push @s, map { listen_to(of_sale($sale)) } 1 .. 17;
    is(scalar(grep { $_->status() != 200 } @s), 0, 'twenty of an address');
    $s = listen_to(of_sale($sale));
    is($s->status() . ' ' . $s->code(), '429 10', 'not one more');
    ok(defined $s->headers()->{'retry-after'}, 'comes later');

    # the worker has 30
    push @s, map { listen_to(of_sale($sale), local => '127.0.0.2') } 1 .. 10;
    is(scalar(grep { $_->status() != 200 } @s), 0, 'thirty of a worker');
    $s = listen_to(of_sale($sale), local => '127.0.0.3');
    is($s->status() . ' ' . $s->code(), '503 3', 'not one more');
    like($s->headers()->{'retry-after'}, qr/^(?:[5-9]|10)$/, 'comes later');

    my $statements = counter('mysql_statements_total');
    listen_to(of_order($no), user => $user, local => '127.0.0.3')->status()
        foreach 1 .. 50;
    cmp_ok(counter('mysql_statements_total') - $statements, '<', 40,
           'who is refused costs MySQL nothing');
    is(counter('events_refused_total') - $refused, 53, 'counted');

    # buyers are served meanwhile
    is($t->buy($sale, user())->{code}, 0, 'buying goes on');

    $_->close() foreach @s;
    alone();
};


# a socket with little room, and nobody who reads

subtest 'a slow reader' => sub {
    my $fast = listen_to(of_sale($sale));
    my $slow = listen_to(of_sale($sale), rcvbuf => 1, port => $narrow);
    my %was = map { $_ => counter("events_$_") } qw(slow_total
        dropped_total);

    is($slow->status(), 200, 'listens');
    is($fast->status(), 200, 'so does another');

    # the kernel keeps some kB for it
    ok($t->wait_for(sub {
        $t->buy($sale, user());
        return counter('events_slow_total') > $was{slow_total};
    }, 60, 'the end of its patience'), 'it is closed');

    cmp_ok(counter('events_dropped_total'), '>=', $was{dropped_total} + 3,
           'newer events replaced older ones meanwhile');
    ok(!$fast->ended(0), 'the other is not');

    my $left = $t->get("/api/v1/seckill/activities/$sale/stock")
        ->{json}{data}{left};
    ok($fast->wait_data(sub { $_[0]{left} == $left }, 3), 'and is told');

    $_->close() foreach $fast, $slow;
    alone();
};


subtest 'what nobody asked for' => sub {
    my $s = listen_to(of_sale($sale));
    ok($s->wait_data(sub { 1 }), 'listens');

    # a pipelined request is not answered
    syswrite $s->{s}, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    is($s->next(2)->{comment}, '', 'goes on');
    ok(!$s->{error} && !$s->{eof}, 'open');

    syswrite $s->{s}, 'x' x 3000;
    ok($s->next(2), 'some more');
    syswrite $s->{s}, 'x' x 3000;
    ok($s->ended(3), 'enough');

    $s = listen_to(of_sale($sale), head => "\r\nGET /health HTTP/1.1\r\n"
                   . "Host: x\r\n");
    ok($s->wait_data(sub { 1 }), 'two requests in one go');
    is($s->next(2)->{comment}, '', 'the first one is what counts');
    $s->close();

    # it will say nothing more, as one that left
    $s = listen_to(of_sale($sale));
    ok($s->wait_data(sub { 1 }), 'listens');
    shutdown $s->{s}, 1;
    ok($s->ended(3), 'half closed is closed');

    alone();
};


subtest 'a token that ends' => sub {
    my $who = $t->register('events' . user(), 'Passw0rd-of-69');
    my $data = $who->{json}{data};
    my ($user, $token) = ($data->{user}{id}, $data->{access_token});
    my $r = $t->buy($sale, undef, token => $token, user => undef);
    my $no = $r->{json}{data}{order_no} // die "buy: $r->{body}\n";
    my $s = listen_to(of_order($no), token => $token);

    ok($s->wait_data(sub { $_[0]{status} == 1 }, 5), 'listens');

    my $ended = counter('events_token_total');
    is($t->post('/api/v1/user/logout', { all => JSON::PP::true() },
                token => $token)->{code}, 0, 'logged out');
    ok($s->ended(3), 'closed at the next heartbeat');
    ok($s->whole(), 'as it should be');
    like(join('', map { $_->{raw} } @{$s->{events}}), qr/retry: \d{4}\n\n\z/,
         'told to come again');
    is(counter('events_token_total'), $ended + 1, 'counted');
    is(listen_to(of_order($no), token => $token)->status(), 401,
       'and not let in');

    # one that ends by itself
    my $old = counter('events_old_total');
    my $short = $t->token($user, exp => int(time()) + 2, ver => 100);
    $s = listen_to(of_order($no), token => $short);
    is($s->status(), 200, 'a token of two seconds');
    my $start = time();
    ok($s->ended(5), 'closed');
    cmp_ok(time() - $start, '>', 0.5, 'not before');
    ok($s->whole(), 'as it should be');
    is(counter('events_old_total'), $old + 1, 'counted');
    alone();
};


# answers of this backend are late: who leaves in the wait leaves nothing

subtest 'leaving in each step that waits' => sub {
    my $user = user();
    my $no = bought($sale, $user);
    my $own = $t->activity(stock => 3);

    # in any build: the worker's own looks at MySQL, twice a second, wait too
    my $unit = 0.3;

    $t->pause('consumer');
    my $queued = $t->buy($own, $user)->{json}{data}{order_no};

    my $young = ($queued =~ /^(\d+)/)[0] + 1;

    foreach (['find_live', $mysql, of_order($no), 1],
             ['live_found', $redis, of_order($queued), 1],
             ['live_queued', $mysql, of_order("$young-$sale"), 2, user()])
    {
        my ($step, $proxy, $path, $nth, $who) = @$_;
        my $text = '';

        # a statement is prepared once a connection: there may be more waits
        foreach my $n (map { $_ / 2 } 2 * $nth - 1 .. 2 * $nth + 12) {
            # connected and prepared, whatever the last one has left; no
            # line in the log that comes late tells of its end
            my $s = listen_to($path, user => $who // $user, record => 0,
                              head => "Connection: close\r\n");
            $s->status();
            $s->close();

            my $at = -s $log;

            $proxy->delay(1000 * $unit);
            $s = listen_to($path, user => $who // $user, record => 0);
            sleep $unit * $n;
            $n == int $n ? $s->reset() : $s->close();
            $proxy->pass();

            $t->wait_for(sub {
                $text = substr RushTest::slurp($log), $at;
                return $text =~ /rush request is gone|closed keepalive
                                |client.*closed/x;
            }, 2, 'its end');

            last if $text =~ /while ngx_seckill_$step,/;
        }

        like($text, qr/prematurely closed[^,]* while ngx_seckill_$step,/,
             "left in $step");
    }

    $t->resume('consumer');
    $t->wait_ready();
    alone();
    is($t->buy($sale, user())->{code}, 0, 'still selling');
};


subtest 'lifetime' => sub {
    RushTest::Mode::needs_master();
    configure('lifetime=1s heartbeat=200ms stall=1s');

    my $old = counter('events_old_total');
    my $s = listen_to(of_sale($sale));
    my $start = time();

    is($s->status(), 200, 'listens');
    ok($s->ended(5), 'closed');
    cmp_ok(time() - $start, '<', 3 * $RushTest::SLOW, 'by its age');
    ok($s->whole(), 'as it should be');
    like($s->{events}[-1]{retry} // '', qr/^[123]\d{3}$/, 'with a hint');
    cmp_ok($s->{events}[-1]{retry}, '<=', 3000, 'of 1 to 3 s');
    is(counter('events_old_total'), $old + 1, 'counted');
    alone();
};


subtest 'a thousand come and go' => sub {
    RushTest::Mode::needs_master();
    configure('address=2000');

    local $RushTest::Mode::still = 1;
    my $user = user();
    my $no = bought($sale, $user);
    my $round = sub {
        my ($n) = @_;
        foreach my $i (1 .. $n) {
            my $path = $i % 3 ? of_sale($sale) : of_order($no);
            my $s = listen_to($path, record => 0,
                              ($i % 3 ? () : (user => $user)));
            $s->status() == 200 or die "status $s->{status}\n";
            $i % 2 ? $s->close() : $s->reset();
        }
        alone("$n came and went");
    };

    # as many connections to MySQL as there may be
    $mysql->delay(100);
    $t->burst([({ path => '/api/v1/orders', user => 1 }) x 24], conns => 12,
              sync => 1, record => 0);
    $mysql->pass();

    $round->(200);
    my ($fds, $rss) = (worker_count(), rss());
    $round->(1000);
    cmp_ok(worker_count(), '<=', $fds, "descriptors: $fds");
    cmp_ok(rss(), '<', $rss + 600 * $RushTest::SLOW ** 4,
           "memory: $rss kB, then " . rss());

    # and as many at a time
    my @s = map { listen_to(of_sale($sale), record => 0) } 1 .. 900;
    is(scalar(grep { $_->status() != 200 } @s), 0, '900 listen');
    my $more = rss();
    $t->buy($sale, user());
    my $got = grep { $_->next(3) && $_->wait_data(sub { 1 }, 3) } @s;
    is($got, 900, 'all are told');
    $_->close() foreach @s;
    alone();
    cmp_ok(worker_count(), '<=', $fds, 'descriptors');
    note("900 listeners: " . ($more - $rss) . ' kB');
};


$t->finish();
done_testing();
