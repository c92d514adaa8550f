#!/usr/bin/perl

# Copyright (C) Rush
#
# Redis comes back: with all it had, without the last of it, with nothing; it
# loses its scripts, stands still, runs out of memory.  It sells only after
# it was checked, never a unit twice, and an answer never changes.

use warnings;
use strict;

use File::Path qw(remove_tree);
use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new();


sub gate { return RushTest::Sale::counter($t, 'seckill_gate') }


# for so long nothing is sold, and the answers say so

sub stays_closed {
    my ($s, $seconds) = @_;

    my $end = time() + $seconds;
    my %codes;

    while (time() < $end) {
        $codes{"$_->{status} " . ($_->{code} // '')}++ foreach $s->some(4);
        sleep 0.05;
    }

    is(join(', ', grep { !/^503 (?:3|12)$/ } keys %codes), '',
       "closed: " . join ', ', map { "$_: $codes{$_}" } sort keys %codes);
}


# all ids that got an order get the same once more

sub same_answers {
    my ($s) = @_;

    my @yes = $s->told('yes');
    my @r = $s->burst([map { [$_->{user}, $_->{req}] } @yes]);

    is(scalar(grep { $_->{code} == 0 && $_->{json}{data}{replayed} } @r),
       scalar @yes, @yes . ' ids got the same answer');
}


sub aof { return "$t->{dir}/redis/appendonlydir" }


sub copy_aof {
    my ($to) = @_;
    remove_tree($to);
    system('cp', '-r', aof(), $to) == 0 or die "cp failed\n";
}


sub restore_aof {
    my ($from) = @_;
    remove_tree(aof());
    return if !defined $from;
    system('cp', '-r', $from, aof()) == 0 or die "cp failed\n";
}


subtest 'a restart with all data' => sub {
    my $id = $t->activity(stock => 60);
    my $s = RushTest::Sale->new($t, $id);
    my $epoch = $t->meta($id)->{epoch};

    $s->some(20);
    $t->pause('consumer');
    $s->some(10);                       # in the stream only
    $t->kill('redis');
    $t->start('redis');

    is($t->meta($id)->{remain}, 30, 'nothing is lost');
    stays_closed($s, 1.2);
    is(gate(), 0, 'the metrics say so');
    is($t->get('/ready')->{status}, 503, 'and /ready');

    $t->resume('consumer');
    $s->sells();
    is(gate(), 1, 'open again');
    cmp_ok($t->meta($id)->{epoch}, '>', $epoch, 'a new epoch');
    same_answers($s);
    $s->sell_out('books', 60);
};


subtest 'a lost tail' => sub {
    my $id = $t->activity(stock => 80);
    my $s = RushTest::Sale->new($t, $id);

    $s->some(20);
    ok($t->wait_for(sub { $t->live_orders($id) == 20 }, 5, 'rows'), 'rows');
    copy_aof("$t->{dir}/aof-old");
    $s->some(25);
    ok($t->wait_for(sub { $t->live_orders($id) == 45 }, 5, 'rows'),
       'more of them');

    $t->kill('redis');
    restore_aof("$t->{dir}/aof-old");
    $t->pause('consumer');
    $t->start('redis');
    is($t->meta($id)->{remain}, 60, 'Redis believes in 60 units');
    stays_closed($s, 0.5);
    $t->resume('consumer');

    $s->sells();
    is($t->meta($id)->{remain}, 34, 'MySQL knew better');
    same_answers($s);
    $s->sell_out('books', 80);
};


# what neither the stream nor MySQL has is gone; the stock is still right

subtest 'a lost tail that nobody has seen' => sub {
    my $id = $t->activity(stock => 50);
    my $s = RushTest::Sale->new($t, $id);
    my $lost = RushTest::Sale->new($t, $id);

    $s->some(10);
    ok($t->wait_for(sub { $t->live_orders($id) == 10 }, 5, 'rows'), 'rows');
    copy_aof("$t->{dir}/aof-old");
    $t->kill('consumer');
    $lost->some(15);
    $t->kill('redis');
    restore_aof("$t->{dir}/aof-old");
    $t->start('redis', 'consumer');

    $s->sells();
    cmp_ok($t->meta($id)->{remain}, '<=', 39, 'not more than there is');
    same_answers($s);
    $s->sell_out('books', 50);
};


subtest 'nothing is left' => sub {
    my $id = $t->activity(stock => 50);
    my $s = RushTest::Sale->new($t, $id);

    $s->some(20);
    ok($t->wait_for(sub { $t->live_orders($id) == 20 }, 5, 'rows'), 'rows');

    # by a fault of the disk
    $t->kill('redis');
    restore_aof(undef);
    $t->start('redis');
    $s->sells();
    is($t->meta($id)->{remain}, 29, 'made anew from MySQL');
    same_answers($s);
    ok($t->wait_for(sub { $t->live_orders($id) == 21 }, 5, 'rows'), 'rows');

    # by hand: the scripts are there all the time
    $t->redis()->flushall();
    my %codes = map { ($_->{code} => 1) } $s->some(6);
    is(join(' ', grep { !/^(?:0|3|12)$/ } keys %codes), '', 'closed');
    $s->sells();
    same_answers($s);
    $s->sell_out('books', 50, alarms => ['group_lost']);
};


subtest 'SCRIPT FLUSH' => sub {
    my $id = $t->activity(stock => 150);
    my $s = RushTest::Sale->new($t, $id);

    foreach (1 .. 3) {
        $s->some(10);
        $t->redis()->script_flush();
        my @r = $s->some(5);
        is(join(' ', grep { !/^(?:0|12)$/ } map { $_->{code} } @r), '',
           'sold or closed');
        $s->sells();
    }

    $t->pause('consumer');
    my $calls = RushTest::Sale::counter($t, 'redis_gate_shut_total');
    $t->redis()->script_flush();
    stays_closed($s, 1);
    cmp_ok(RushTest::Sale::counter($t, 'redis_gate_shut_total') - $calls,
           '<=', 20, 'most did not ask Redis');
    $t->resume('consumer');
    $s->sells();
    same_answers($s);
    $s->sell_out('books', 150);
};


subtest 'Redis stands still' => sub {
    my $id = $t->activity(stock => 100);
    my $s = RushTest::Sale->new($t, $id);

    $s->some(10);
    $t->pause('redis');

    my $start = time();
    my @r = $s->some(40, sync => 1);
    cmp_ok(time() - $start, '<', 3 * $RushTest::SLOW, 'nobody waits longer');
    $t->resume('redis');

    # what had not left is certainly not done
    my @unknown = grep { $_->{code} == 11 } @r;
    is(scalar(grep { $_->{code} == 3 } @r), 40 - @unknown,
       @unknown . ' unknown outcomes');
    is($unknown[0]{status}, 202, 'status');
    like($unknown[0]{json}{data}{poll},
         qr!^/api/v1/seckill/requests/k\d+\?activity_id=$id$!, 'where to ask');

    # one half asks, the other half tries again
    my @open = $s->told('unknown');
    my @again = splice @open, 0, @open / 2;

    ok($t->wait_for(sub {
        my @left = grep { RushTest::Sale::outcome($_) eq 'unknown' } @again;
        $s->burst([map { [$_->{user}, $_->{req}] } @left]) if @left;
        return !@left;
    }, 10, 'repeats to be answered'), 'those who repeat are told');
    ok($s->resolve(), 'those who ask are told');
    $s->sells();
    $s->sell_out('books', 100);
};


# a command that stood in the buffers longer than its deadline does nothing

subtest 'too late' => sub {
    my $node = $t->node(extra_http => 'seckill_deadline 1s;', workers => 1);
    my $id = $t->activity(stock => 40);
    my $s = RushTest::Sale->new($t, $id);
    my @buyers = map {
        my $u = RushTest::Sale::user();
        [$u, "k$u", node => $node]
    } 1 .. 12;

    is(($s->some(1))[0]{code}, 0, 'one bought');
    $t->pause('redis');
    my $waker = RushTest::Sale::later(2.2, sub { $t->resume('redis') });
    my @r = $s->burst(\@buyers, sync => 1);
    waitpid $waker, 0;

    is(join(' ', grep { !/^(?:3|11)$/ } map { $_->{code} } @r), '',
       'not done, or nobody knows');
    ok(scalar $s->told('unknown'), 'some are unknown');
    $s->resolve();
    is(scalar $s->told('yes'), 1, 'none of them was granted');
    $s->check('books', rows => 1);
    $t->stop($node);
};


subtest 'no memory' => sub {
    my $id = $t->activity(stock => 30);
    my $s = RushTest::Sale->new($t, $id);

    $s->some(5);
    $t->redis()->config_set('maxmemory', '1mb');

    my %codes = map { ("$_->{status} $_->{code}" => 1) } $s->some(10);
    is(join(' ', keys %codes), '503 3', 'busy: certainly not done');
    is($t->meta($id)->{remain}, 25, 'nothing was sold');

    $t->redis()->config_set('maxmemory', '0');
    $s->sells();
    $s->sell_out('books', 30);
};


$t->finish();
done_testing();
