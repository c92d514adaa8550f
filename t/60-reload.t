#!/usr/bin/perl

# Copyright (C) Rush
#
# Reload and graceful stop while buyers come: no request fails, old workers
# leave, shared memory lives on; a changed zone, a broken configuration.

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my %base = (workers => 2, limits => {
    global => 'off', api => 'off', login => 'off', buy => 'rate=1r/m burst=3',
});
my $t = RushTest->new(proxy => [qw(nginx_redis nginx_mysql)],
                      nginx => { %base });
my $p = $t->proxy('nginx_redis');


sub counter { return RushTest::Sale::counter($t, @_) }


sub codes {
    my %n;
    $n{$_->{code} // "$_->{status} $_->{error}"}++ foreach @_;
    return join ', ', map { "$_: $n{$_}" } sort keys %n;
}


# one request a connection: none is to be lost

sub crowd {
    my ($s, $n, %o) = @_;

    return $s->burst([map {
        my $u = RushTest::Sale::user();
        [$u, "k$u", headers => { Connection => 'close' }]
    } 1 .. $n], conns => 24, %o);
}


sub gone {
    my ($name, @pids) = @_;

    ok($t->wait_for(sub {
        return !grep { RushTest::Daemon::stat_of($_) } @pids;
    }, 10, 'old workers to leave'), $name);
}


sub hup {
    my ($seconds) = @_;
    my $pid = $t->pid('nginx');
    return RushTest::Sale::later($seconds, sub { kill HUP => $pid });
}


subtest 'reload under load' => sub {
    my $id = $t->activity(stock => 30_000);
    my $s = RushTest::Sale->new($t, $id);
    my @old = $t->workers();

    my @later = map { hup($_ * 0.15) } 1 .. 4;
    my $end = time() + 1.2;
    my @r;

    push @r, crowd($s, 60) while time() < $end;
    waitpid $_, 0 foreach @later;

    is(codes(@r), '0: ' . @r, 'all of ' . @r . ' bought');
    my %no = map { ($_->{json}{data}{order_no} // '') => 1 } @r;
    is(scalar keys %no, scalar @r, 'numbers are unique');
    ok(!(grep { my $w = $_; grep { $_ == $w } @old } $t->workers()),
       'others serve now');
    gone('the old ones left', @old);
    is(scalar $t->workers(), $t->worker_count(), 'all workers');
    $s->check('books', rows => scalar @r);
};


# they wait for Redis: some are sent, the others wait for these

subtest 'requests that wait' => sub {
    my $id = $t->activity(stock => 200);
    my $s = RushTest::Sale->new($t, $id);
    my @old = $t->workers();

    $p->delay(250);
    my $later = hup(0.1);
    my @r = crowd($s, 120, sync => 1);
    waitpid $later, 0;
    $p->pass();

    is(codes(@r), '0: 120', 'all are answered');
    gone('the old ones left', @old);
    $s->check('books', rows => 120);
};


subtest 'what lives on' => sub {
    my $id = $t->activity(stock => 2);
    my $s = RushTest::Sale->new($t, $id);
    my $user = RushTest::Sale::user();

    $s->buy(RushTest::Sale::user()) foreach 1 .. 2;
    ok($t->wait_for(sub {
        my $r = $s->buy(RushTest::Sale::user());
        return $r->{code} == 60002 && !$r->{json}{data}{final};
    }, 5, 'the mark'), 'sold out, the filter knows');

    my $limited;
    foreach (1 .. 8) {
        my $r = $s->buy($user);
        $limited++ if $r->{code} == 10;
    }
    ok($limited, 'a user has reached the limit');

    my %before = map { $_ => counter($_) }
        qw(buy_granted_total buy_filtered_total buy_sent_total);

    ok($t->reload('nginx'), 'reload');

    # one at a time: a single probe may go through
    my @r = map { $s->buy(RushTest::Sale::user()) } 1 .. 20;
    is(codes(@r), '60002: 20', 'sold out');
    cmp_ok(scalar(grep { $_->{json}{data}{final} } @r), '<=', 2,
           'the mark lives');
    is($s->buy($user)->{code}, 10, 'the limit lives');
    is(counter('buy_granted_total'), $before{buy_granted_total},
       'counters live');
    cmp_ok(counter('buy_filtered_total'), '>=',
           $before{buy_filtered_total} + 18, 'and go on');
    $s->check('books', rows => 2);
};


subtest 'a zone of another size' => sub {
    my $id = $t->activity(stock => 20_000);
    my $s = RushTest::Sale->new($t, $id);
    my $zones = 'rush_zone limit 4m; rush_zone cache 16m; '
                . 'rush_zone revoke 4m; rush_zone stats 4m; ';
    my @old = $t->workers();
    my @all;

    foreach my $size ('8m', '2m', '4m') {
        $t->configure_nginx('nginx', { %base,
            zones => "$zones seckill_zone $size;" });
        my $later = hup(0.1);
        my $end = time() + 0.6;

        push @all, crowd($s, 20) while time() < $end;
        waitpid $later, 0;
    }

    # empty at first: it may say "not now", but not "no such sale"
    is(join(', ', grep { !/^(?:0|3|12)$/ }
            map { $_->{code} // $_->{error} } @all), '',
       'sold, or closed for a moment') or diag(codes(@all));
    note(codes(@all));
    gone('the old ones left', @old);

    # nobody can tell what is for sale
    $t->proxy('nginx_mysql')->refuse();
    $t->configure_nginx('nginx', { %base,
        zones => "$zones seckill_zone 6m;" });
    ok($t->reload('nginx'), 'without MySQL');

    my ($one) = $s->some(1);
    is($one->{status}, 503, 'a buyer has to wait');
    is($t->get($_)->{status}, 503, $_) foreach map {
        ("/api/v1/seckill/activities$_")
    } '', "/$id", "/$id/stock", "/$id/status";
    is($t->post('/api/v1/seckill', { product_id => '1' }, user => 1)
       ->{status}, 503, 'by product, too');

    $t->proxy('nginx_mysql')->pass();
    $t->wait_ready();
    is(codes($s->some(20)), '0: 20', 'ready: it sells');
    is(RushTest::Sale::counter($t, 'seckill_without_slot'), 0, 'slots');
    $s->check('books');
};


subtest 'a broken configuration' => sub {
    my $id = $t->activity(stock => 500);
    my $s = RushTest::Sale->new($t, $id);
    my @workers = sort $t->workers();
    my $busy = IO::Socket::INET->new(LocalAddr => '127.0.0.1:0',
                                     Listen => 1) or die;
    my @broken = (
        [{ extra_http => 'nonsense on;' }, qr/unknown directive "nonsense"/],
        [{ zones => 'seckill_zone 4k;' }, qr/zone "rush_seckill" .* small/],
        [{ extra_http => 'rush_jwt_key /nowhere;' }, qr/"?rush_jwt_key/],
        [{ node_id => 4711 }, qr/value must be/],
        # after the zones were looked at
        [{ extra_server => 'listen 127.0.0.1:' . $busy->sockport() . ';' },
         qr/bind\(\) to 127/],
    );

    $t->allow(qr/\[emerg\]/);

    foreach (@broken) {
        my ($conf, $says) = @$_;
        my $at = length $t->log_text('nginx');

        $t->configure_nginx('nginx', { %base, %$conf });
        kill HUP => $t->pid('nginx');

        ok($t->wait_for(sub {
            substr($t->log_text('nginx'), $at) =~ /\[emerg\].*$says/
        }, 5, "$says"), "told: $says")
            or diag(substr $t->log_text('nginx'), $at);
        is(codes(crowd($s, 20)), '0: 20', 'selling goes on');
    }

    # bind() is tried for 2 s
    $t->wait_for(sub { $t->log_text('nginx') =~ /still could not bind/ }, 10,
                 'the end of it');
    is(join(' ', sort $t->workers()), join(' ', @workers),
       'the same workers');

    # a worker that is born now lives in the configuration that works
    $t->kill_worker('nginx');
    $t->kill_worker('nginx');
    is(codes(crowd($s, 40)), '0: 40', 'new workers sell');
    is($t->get("/api/v1/seckill/activities/$id/stock")
       ->{json}{data}{total}, 500, 'and know the sale');

    $t->configure_nginx('nginx', { %base });
    ok($t->reload('nginx'), 'a good one is taken again');
    is(codes(crowd($s, 20)), '0: 20', 'selling goes on');
    $s->check('books', rows => 160);
};


# after USR2 two masters share a node id, each with memory of its own; the
# variable is what the old one hands on.  (nginx does that only as a daemon,
# so the upgrade itself is played by chaos.)

subtest 'two masters' => sub {
    local $ENV{RUSH_ID_HALF} = 1;
    my $node = $t->node(node_id => 1);
    my $id = $t->activity(stock => 100);
    my $s = RushTest::Sale->new($t, $id);
    my @r = $s->burst([map { ([RushTest::Sale::user(), 'm', node => 'nginx'],
                              [RushTest::Sale::user(), 'm', node => $node])
                            } 1 .. 30],
                      sync => 1);
    my @half = ({}, {});

    foreach my $i (0 .. $#r) {
        my ($number) = ($r[$i]{json}{data}{order_no} // '') =~ /^(\d+)-/;
        $half[$i % 2]{($number // 0) & 1} = 1;
    }

    is(codes(@r), '0: 60', 'all have bought');
    is(join(' ', map { sort keys %$_ } @half), '0 1',
       'one makes the even numbers, the other the odd ones');
    $s->check('books', rows => 60);
    $t->stop($node);
};


subtest 'graceful stop' => sub {
    my $id = $t->activity(stock => 300);
    my $s = RushTest::Sale->new($t, $id);
    my $pid = $t->pid('nginx');
    my @workers = $t->workers();

    my $fds = sub { return scalar(map { glob "/proc/$_/fd/*" } @workers) };
    my $base = $fds->();

    # when all are connected; their last bytes follow at once
    $p->delay(600);
    my $later = RushTest::Sale::later(0, sub {
        $t->wait_for(sub { $fds->() >= $base + 120 }, 10, 'a crowd');
        sleep 0.2;
        kill QUIT => $pid;
    });
    my @r = crowd($s, 120, sync => 1);
    waitpid $later, 0;
    $p->pass();

    is(codes(@r), '0: 120', 'all are answered');
    gone('nobody is left', $pid, @workers);
    ok(!$t->running('nginx'), 'nginx has ended');

    $t->start('nginx');
    $t->wait_ready();
    is(codes(crowd($s, 10)), '0: 10', 'and it starts again');
    $s->check('books', rows => 130);
};


$t->finish();
done_testing();
