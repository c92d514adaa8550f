#!/usr/bin/perl

# Copyright (C) Rush
#
# The cashier dies, or loses a connection, between any two steps: each payment
# is booked once, and none is forgotten.  K1..K7, and D5 for the COMMIT.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use RushTest::Money;
use Test::More;

my %conf = %{+MONEY};

$conf{consumer} = { %{$conf{consumer}}, claim_idle => 300 };

my $t = RushTest->new(nginx => 0, failpoints => 1, consumer => 2, start => 0,
                      consumer_conf => \%conf);
my $m = RushTest::Money->new($t);

$t->start(qw(redis mysql));
$m->no_teller();
$t->start('consumer');
soon('the gate opens', sub { gate_open($t) });


sub bought {
    my $no = $m->order();
    return ($no, $m->pay($no));
}


sub states {
    my ($p) = @_;
    return $t->value("SELECT CONCAT(p.state, ' ', o.status, ' ', (SELECT "
        . "COUNT(*) FROM ledger WHERE txn = CONCAT('p:', p.id)), ' ', "
        . '(SELECT COUNT(*) FROM payment_notice n WHERE n.payment_id = '
        . 'p.id)) FROM payment p JOIN orders o ON o.order_no = p.order_no '
        . 'WHERE p.id = ?', $p);
}


sub pending {
    return $t->redis()->xpending('{rush}pay', 'rush')->[0];
}


sub right {
    my ($name, @p) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    foreach my $p (@p) {
        soon("$name: paid", sub { states($p) =~ /^2 2/ });
        is(states($p), '2 2 2 1', "$name: booked once");
    }

    soon("$name: nothing is pending", sub { !pending() });
}


# what MySQL and Redis have after the death.  D5 is a COMMIT that was sent, the
# only one there is: MySQL has it, and may need a moment

my %left = (K1 => '1 1 0 0|1', K2 => '1 1 0 0|1', K3 => '1 1 0 0|1',
            K4 => '1 1 0 0|1', D5 => '2 2 2 1|1',
            K6 => '2 2 2 1|1', K7 => '2 2 2 1|0');

foreach my $point (sort keys %left) {
    subtest "$point, a death" => sub {
        my ($no, $p) = bought();

        $t->failpoint($point, 'kill', 1);
        $m->notice($p);
        soon("$point kills", sub { !$t->running('consumer') });
        is($t->daemon('consumer')->{status}, 9, 'by itself');
        is($t->failpoint_hits($point), 1, 'once');
        my ($rows, $entries) = split /\|/, $left{$point};
        soon('MySQL has the COMMIT', sub { states($p) eq $rows })
            if $point eq 'D5';
        is(states($p), $rows, 'rows');
        is(pending(), $entries, 'entries');

        $t->start('consumer');
        right($point, $p);
        $m->books($point);
    };
}


subtest 'lost connections' => sub {
    foreach my $point (sort keys %left) {
        my ($no, $p) = bought();

        $t->failpoint($point, 'error', 1);
        $m->notice($p);
        soon("$point fails", sub { $t->failpoint_hits($point) });
        right($point, $p);
    }

    ok($t->running('consumer'), 'it runs');
    $m->books();
};


subtest 'many in a row' => sub {
    my @points = sort keys %left;
    my @p = map { (bought())[1] } 1 .. 40;

    $t->failpoint($points[$_], 'error', 2 + 3 * $_) foreach 0 .. $#points;
    $m->notice($_) foreach @p;
    right('many', @p);
    $t->failpoint($_, 'off') foreach @points;
    $m->books();
};


subtest 'a dead letter' => sub {
    foreach my $action (qw(kill error)) {
        my $n = $t->value('SELECT COUNT(*) FROM dead_letter');

        $t->failpoint('D11', $action, 1);
        $t->redis()->xadd('{rush}pay', '*', 'x', 'y');

        if ($action eq 'kill') {
            soon('D11 kills', sub { !$t->running('consumer') });
            is($t->value('SELECT COUNT(*) FROM dead_letter'), $n,
               'rolled back');
            $t->start('consumer');
        }

        soon("$action: one letter", sub {
            $t->value('SELECT COUNT(*) FROM dead_letter') == $n + 1
                && !pending()
        });
        is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = "
                     . "'pay_dead_letter'"), $n + 1, 'one alarm');
    }

    $t->do('UPDATE dead_letter SET state = 2');
};


subtest 'another consumer' => sub {
    foreach my $point (qw(K1 K3 K4 K6)) {
        my ($no, $p) = bought();

        $t->start('consumer2');
        $t->failpoint($point, 'kill', 1);
        $m->notice($p);

        my ($dead) = soon("$point kills one", sub {
            (grep { !$t->running($_) } qw(consumer consumer2))[0]
        });

        right("$point, takeover", $p);
        $t->start($dead) if $dead eq 'consumer';
        $t->stop('consumer2');
    }

    # one sleeps with a notice, the other takes it; then it wakes up
    $t->start('consumer2');
    my ($no, $p) = bought();
    $t->failpoint('K1', 'sleep', 1);
    $m->notice($p);
    soon('one sleeps', sub { $t->failpoint_hits('K1') });
    right('taken by the other', $p);
    $t->failpoint('K1', 'off');
    select undef, undef, undef, 0.5 * $RushTest::SLOW;
    is(states($p), '2 2 2 1', 'and nothing comes of it again');
    $m->idle();
    $m->books();
};


subtest 'an entry without a body' => sub {
    $t->stop('consumer2');
    my ($no, $p) = bought();

    $t->failpoint('K1', 'kill', 1);
    $m->notice($p);
    soon('K1 kills', sub { !$t->running('consumer') });
    $t->redis()->xtrim('{rush}pay', 'MAXLEN', 0);
    $t->start('consumer');
    soon('it is acknowledged', sub { !pending() });
    is($t->value("SELECT COUNT(*) FROM alarm WHERE kind = 'entry_lost'"), 1,
       'an alarm');
    $m->notice($p);
    right('the provider comes again', $p);
    $m->books();
};


$t->finish();
done_testing();
