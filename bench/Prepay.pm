package Prepay;

# Copyright (C) Rush
#
# Prepay in the bench: from the row that a worker has inserted and hinted at to
# the parameters that it finds there, one after the other and many at once,
# against the stand-in of the tests.  What the provider took is told by the
# teller's log and is not ours.
#
#   my $section = Prepay::run($pin, $quick);    of results.md

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../t/lib";

use RushTest;
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use Time::HiRes qw(sleep time);

my @names = (['sandbox', 'sandbox: no call at all'],
             ['alipay_page', 'alipay_page: one signature, no call'],
             ['wechat_native', 'wechat_native'],
             ['alipay_precreate', 'alipay_precreate']);


sub run {
    my ($pin, $quick) = @_;

    my $port = RushTest::Backend::free_port();
    my $conf = RushTest::Teller::conf(port => $port);

    # periods as they are in production: only hints are quick
    $conf->{pay} = { parallel => 32, bills => 0 };
    $conf->{consumer} = { block => 250 };

    my $t = RushTest->new(nginx => 0, start => 0, consumer_conf => $conf,
                          redis => { appendfsync => 'everysec' });
    my $m = RushTest::Money->new($t);

    RushTest::Provider::add($t, $port);
    $t->start(qw(redis mysql provider consumer));
    $t->wait_for(sub { calls($t, 'certificates') }, 10, 'certificates');
    $pin->(0, $t->pid('consumer'));
    $pin->(1, $t->pid('redis'), $t->pid('mysql'), $t->pid('provider'));

    my @rows = (['channel', 'p50 ms', 'p99 ms', 'of it the provider, p50 ms',
                 'per s, 32 at once'], ['---', ('---:') x 4]);

    push @rows, one($t, $m, @$_, $quick) foreach @names;

    return "## Prepay\n\nFrom a row of table payment to the parameters for "
        . "the client in it: a hint by Redis, the intent, the call of the "
        . "stand-in over HTTP on this machine, the answer verified and "
        . "stored.  The consumer has one core; MariaDB, Redis, the stand-in "
        . "(Perl, a process a connection) and the client share the other.  "
        . "Made by `bench/run --prepay`.\n\n"
        . join '', map { '| ' . join(' | ', @$_) . " |\n" } @rows;
}


sub one {
    my ($t, $m, $channel, $name, $quick) = @_;

    my $n = $quick ? 30 : 200;
    my (@ms, @ids);

    # the first one opens connections
    wait_open($t, asked($t, $m, $channel));

    foreach (1 .. $n) {
        my $start = time();
        my $id = asked($t, $m, $channel);
        wait_open($t, $id);
        push @ms, (time() - $start) * 1000;
        push @ids, $id;
    }

    my @took = took($t, @ids);

    # many: rows first, then one hint
    my @many = map { my ($no, $who) = @{$RushTest::Teller::CHANNEL{$channel}};
        $m->pay($m->order(), state => 0, params => '', channel => $no,
                provider => $who, next_ms => 9e15) } 1 .. 2 * $n;
    my $list = join ', ', @many;

    $t->do("UPDATE payment SET next_ms = 0 WHERE id IN ($list)");
    hint($t, 1);

    my $start = time();
    sleep 0.002 while time() - $start < 60 && $t->value(
        "SELECT COUNT(*) FROM payment WHERE state = 0 AND id IN ($list)");

    return [$name, map({ sprintf '%.1f', $_ } rank(\@ms, 0.5),
                       rank(\@ms, 0.99)),
            @took ? sprintf('%.0f', rank(\@took, 0.5)) : '',
            sprintf '%.0f', 2 * $n / (time() - $start)];
}


sub wait_open {
    my ($t, $id) = @_;
    my $end = time() + 10;

    while ($t->value('SELECT state FROM payment WHERE id = ?', $id) != 1) {
        die "payment $id does not open\n" if time() > $end;
        sleep 0.0005;
    }
}


# ms of each call, as the teller's log has it

sub took {
    my ($t, @ids) = @_;
    my %ours = map { $_ => 1 } @ids;
    my @all;

    open my $fh, '<', "$t->{dir}/consumer.log" or return;
    while (my $line = <$fh>) {
        push @all, $2 if $line =~ /prepay (\d+): .*?, (\d+) ms,/ && $ours{$1};
    }

    return @all;
}


sub rank {
    my ($all, $part) = @_;
    my @s = sort { $a <=> $b } @$all;
    return $s[int($part * $#s + 0.5)];
}


1;
