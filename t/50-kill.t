#!/usr/bin/perl

# Copyright (C) Rush
#
# kill -9 while a sale runs: the consumer, Redis, a worker.  After the
# recovery the ends are those of a sale without faults.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(proxy => ['nginx_redis']);


sub list {
    my ($codes) = @_;
    return join ', ', map { "$_: $codes->{$_}" } sort keys %$codes;
}


subtest 'the consumer, Redis, a worker' => sub {
    RushTest::Mode::needs_master();

    my $id = $t->activity(stock => 5000);
    my $s = RushTest::Sale->new($t, $id);
    my $load = RushTest::Sale::load_start($t, requests => 3500, rate => 800,
        conns => 256, path => $s->path(), first => 500_000);

    $s->keep_buying(0.7);
    $t->kill('consumer');
    note('no consumer: ' . list($s->keep_buying(0.5)));
    $t->start('consumer');
    $s->keep_buying(0.5);

    $t->kill('redis');
    note('no redis: ' . list($s->keep_buying(0.4)));
    $t->start('redis');
    note('redis is back: ' . list($s->keep_buying(1)));

    $t->kill_worker('nginx');
    note('a worker less: ' . list($s->keep_buying(0.7)));

    my $r = RushTest::Sale::load_end($load);
    note("load: $r->{failed} failed, " . list($r->{code}));

    $s->sells();

    # who is left over, for the most
    RushTest::Sale::load($t, requests => $t->meta($id)->{remain} - 50,
                         path => $s->path(), first => 550_000);

    cmp_ok($r->{code}{0}, '>=', 500, "$r->{code}{0} bought meanwhile");
    is($r->{code}{1} // 0, 0, 'no internal error');
    $s->sell_out('books', 5000);
    $s->have_orders(@{$r->{users}});
};


subtest 'a small stock' => sub {
    RushTest::Mode::needs_master();

    my $id = $t->activity(stock => 100);
    my $s = RushTest::Sale->new($t, $id);
    my $load = RushTest::Sale::load_start($t, requests => 20_000,
        rate => 5000, conns => 512, path => $s->path(), first => 600_000);

    # the stock is gone within a moment: all falls upon its end
    $t->kill('consumer');
    $s->keep_buying(0.3);
    $t->kill('redis');
    $t->start('redis', 'consumer');
    $t->kill_worker('nginx');
    $s->keep_buying(0.5);

    my $r = RushTest::Sale::load_end($load);

    $s->sell_out('books', 100);
    $s->have_orders(@{$r->{users}});
};


subtest 'Redis again and again' => sub {
    my $id = $t->activity(stock => 200);
    my $s = RushTest::Sale->new($t, $id);

    foreach (1 .. 3) {
        $s->keep_buying(0.3, 6);
        $t->kill('redis');
        $t->start('redis');
        $s->keep_buying(0.3, 6);
    }

    $s->sells();
    ok(scalar $s->told('yes'), 'some bought');
    $s->sell_out('books', 200);
};


subtest 'workers again and again' => sub {
    RushTest::Mode::needs_master();

    my $id = $t->activity(stock => 400);
    my $s = RushTest::Sale->new($t, $id);
    my $p = $t->proxy('nginx_redis');

    $t->allow(qr/worker process \d+ exited on signal/);

    # one of them at any time, then all while answers of Redis are on their way
    foreach my $ms (60, 40, undef, undef) {
        my ($one, @others) = $t->workers();
        my %victims = map { $_ => 1 } $one, defined $ms ? () : @others;
        my $granted = $t->redis()->xlen("{a:$id}s");

        $p->delay(100);
        my $pid = RushTest::Sale::later(($ms // 0) / 1000, sub {
            delete $t->{redis};         # that is the other process'
            defined $ms or $t->wait_for(sub {
                return $t->redis()->xlen("{a:$id}s") > $granted;
            }, 5, 'a grant');
            kill KILL => keys %victims;
        });
        $s->some(30, sync => 1);
        waitpid $pid, 0;
        $p->pass();

        ok($t->wait_for(sub {
            my @now = $t->workers();
            return @now == $t->worker_count() && !grep { $victims{$_} } @now;
        }, 5, 'new workers'), 'new workers');
    }

    # who lost the answer asks with the same id
    my @lost = $s->told('unknown');
    cmp_ok(scalar @lost, '>=', 5, @lost . ' answers were lost');
    my @r = $s->burst([map { [$_->{user}, $_->{req}] } @lost]);
    is(scalar $s->told('unknown'), 0, 'the same id tells');
    ok(scalar(grep { $_->{json}{data}{replayed} } @r), 'some had bought');
    $s->sell_out('books', 400);
};


$t->finish();
done_testing();
