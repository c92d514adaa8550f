#!/usr/bin/perl

# Copyright (C) Rush
#
# The consumer dies, or loses a connection, between any two steps that
# matter: each order is stored once, given back once, and what was sold stays
# sold.  D1..D11 are places of the daemon, C1..C6 of the controller.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use RushTest::Money;
use Test::More;

my %conf = %{+FAST};

$conf{consumer} = { %{$conf{consumer}}, claim_idle => 300 };
$conf{controller} = { %{$conf{controller}}, trim_interval => 1,
                      trim_keep => 0 };

my $t = RushTest->new(nginx => 0, failpoints => 1, consumer => 2, start => 0,
                      consumer_conf => \%conf);

$t->start(qw(redis mysql));

# the teller commits settlements when it starts: D5 would meet those
my $m = RushTest::Money->new($t)->no_teller();

$t->start('consumer');
soon('the gate opens', sub { gate_open($t) });

my $a = $t->activity(stock => 1000, limit => 5);
my $user = 100;
my %answer;


# orders of three buyers, in one entry of the stream

sub bought {
    my @users = map { ++$user } 1 .. 3;
    my @orders = buy_many($t, $a, @users);

    @answer{@orders} = @users;

    return @orders;
}


sub rows {
    my (@orders) = @_;
    return $t->value('SELECT COUNT(*) FROM orders WHERE status = 1 '
                     . 'AND order_no IN (' . join(', ', ('?') x @orders)
                     . ')', @orders);
}


sub pending {
    return $t->redis()->xpending("{a:$a}s", 'rush')->[0];
}


sub remain {
    return $t->meta($a)->{remain} // '';
}


# everything that was said is true, and nothing else

sub right {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    soon("$name: nothing is pending", sub { !pending() });
    is(rows(keys %answer), keys %answer, "$name: a row for each answer");
    is($t->value('SELECT sold FROM seckill_activity WHERE id = ?', $a),
       keys %answer, "$name: sold");
    is(remain(), 1000 - keys %answer, "$name: left");
    clean($t, $name);
}


sub killed {
    my ($point) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    soon("$point kills", sub { !$t->running('consumer') });
    is($t->daemon('consumer')->{status}, 9, "$point: by itself");
    is($t->failpoint_hits($point), 1, "$point: once");
}


# what there is after the death: rows, entries pending.  D5 is a COMMIT that
# was sent: MySQL has it, and may need a moment

my %stored = (D1 => '0 1', D2 => '0 1', D3 => '0 1', D4 => '0 1',
              D5 => '3 1', D6 => '3 1', D7 => '3 1', D8 => '3 0');

foreach my $point (sort keys %stored) {
    subtest "$point, a death" => sub {
        $t->failpoint($point, 'kill', 1);
        my @orders = bought();

        killed($point);
        soon('MySQL has the COMMIT', sub { rows(@orders) == 3 })
            if $point eq 'D5';
        is(rows(@orders) . ' ' . pending(), $stored{$point},
           'rows and entries');

        $t->start('consumer');
        soon('stored', sub { rows(@orders) == 3 });
        right($point);
    };
}


subtest 'lost connections' => sub {
    foreach my $point (sort keys %stored) {
        $t->failpoint($point, 'error', 1);
        my @orders = bought();

        soon("$point fails", sub { $t->failpoint_hits($point) });
        soon("$point: stored", sub { rows(@orders) == 3 });
        right($point);
    }

    ok($t->running('consumer'), 'it runs');
};


subtest 'many in a row' => sub {
    my @points = sort keys %stored;

    $t->failpoint($points[$_], 'error', 2 + $_) foreach 0 .. $#points;
    my @orders = map { bought() } 1 .. 20;

    soon('stored', sub { rows(@orders) == 60 });
    $t->failpoint($_, 'off') foreach @points;
    right('many');
};


subtest 'given back' => sub {
    my ($x, @more) = bought();
    soon('stored', sub { rows($x, @more) == 3 });
    my $remain = remain();

    my $cancel = sub {
        my ($no) = @_;
        $t->do('UPDATE orders SET status = 5, stock_state = 1, '
               . 'version = version + 1 WHERE order_no = ?', $no);
        delete $answer{$no};
    };
    my $state = sub {
        return $t->value('SELECT stock_state FROM orders WHERE order_no = ?',
                         $_[0]);
    };

    $t->failpoint('D10', 'kill', 1);
    $cancel->($x);
    killed('D10');
    is($state->($x), 2, 'Redis heard of it, MySQL does not know');
    is(remain(), $remain + 1, 'the unit is back');

    $t->start('consumer');
    soon('done', sub { $state->($x) == 3 });
    right('D10');

    $t->failpoint('D10', 'error', 1);
    $cancel->($more[0]);
    soon('the next one', sub { $state->($more[0]) == 3 });
    is($t->failpoint_hits('D10'), 2, 'at the second try');
    right('D10 once more');
};


subtest 'dead letters' => sub {
    my $bad = sub { $t->redis()->xadd("{a:$a}s", '*', 'x', 'y') };
    my $letters = sub { $t->value('SELECT COUNT(*) FROM dead_letter') };

    $t->failpoint('D11', 'kill', 1);
    $bad->();
    killed('D11');
    is($letters->() . ' ' . pending(), '1 1', 'written, not acknowledged');

    $t->start('consumer');
    soon('acknowledged', sub { !pending() });
    is($letters->(), 1, 'once');

    $t->failpoint('D11', 'error', 1);
    $bad->();
    soon('the next one', sub { $letters->() == 2 && !pending() });

    $t->do('UPDATE dead_letter SET state = 2');
    right('D11');
};


subtest 'trimming' => sub {
    foreach my $pass (1, 2) {
        $t->failpoint('D9', 'kill', $pass);
        soon('D9 kills', sub { !$t->running('consumer') });
        $t->start('consumer');
        my @orders = bought();
        soon('stored', sub { rows(@orders) == 3 });
        right("D9, pass $pass");
    }
};


subtest 'the controller' => sub {
    foreach my $point (qw(C1 C2 C3 C4)) {
        my @orders = bought();
        my $epoch = $t->meta($a)->{epoch};

        $t->failpoint($point, 'kill', 1);
        $t->redis()->script_flush();
        killed($point);
        is(buy($t, $a, 1), 'NOSCRIPT', "$point: the sale is shut")
            if $point ne 'C1';

        $t->start('consumer');
        soon("$point: open", sub { gate_open($t) });
        cmp_ok($t->meta($a)->{epoch}, '>', $epoch, "$point: epoch")
            if $point ne 'C1';
        is(buy($t, $a, $answer{$_}, key => $_), $_, "$point: answer stays")
            foreach @orders;
        right($point);
    }

    foreach my $point (qw(C2 C3 C4)) {
        my @orders = bought();

        $t->failpoint($point, 'error', 1);
        $t->redis()->script_flush();
        soon("$point fails", sub { $t->failpoint_hits($point) });
        soon("$point: open at the next try", sub { gate_open($t) });
        is(buy($t, $a, $answer{$_}, key => $_), $_, "$point: answer stays")
            foreach @orders;
        right("$point, error");
    }
};


# Redis has it, MySQL does not know: it is done once all the same

subtest 'units put in and out' => sub {
    my $op = 7000;

    foreach my $delta (5, -2, -3) {
        foreach my $action ('kill', 'error') {
            my $left = $t->meta($a)->{remain};
            my $total = $t->meta($a)->{total};

            $t->failpoint('C6', $action, 1);
            $t->insert('seckill_stock_op', id => ++$op, activity_id => $a,
                       delta => $delta, created_ms => 1);

            if ($action eq 'kill') {
                killed('C6');
                $t->start('consumer');

            } else {
                soon('C6 fails', sub { $t->failpoint_hits('C6') });
            }

            soon("$delta, $action: done", sub {
                $t->value('SELECT state FROM seckill_stock_op WHERE id = ?',
                          $op) == 2
            });
            is($t->meta($a)->{remain}, $left + $delta, 'left');
            is($t->meta($a)->{total}, $total + $delta, 'total');
            clean($t, "C6, $action");
        }
    }

    right('C6');
};


subtest 'another consumer' => sub {
    # one dies, the other takes over what it held
    foreach my $point (qw(D1 D4 D6 D7)) {
        $t->start('consumer2');
        $t->failpoint($point, 'kill', 1);
        my @orders = bought();

        my ($dead) = soon("$point kills one", sub {
            (grep { !$t->running($_) } qw(consumer consumer2))[0]
        });
        soon("$point: stored by the other", sub { rows(@orders) == 3 });
        right("$point, takeover");
        $t->start('consumer') if $dead eq 'consumer';
        $t->stop('consumer2');
    }

    # one sleeps with a batch, the other takes it; then it wakes up
    $t->start('consumer2');
    $t->failpoint('D4', 'sleep', 1);
    my @orders = bought();

    soon('stored', sub { rows(@orders) == 3 });
    right('asleep');
    cmp_ok($t->failpoint_hits('D4'), '>=', 2, 'both tried');
    $t->failpoint('D4', 'off');
};


subtest 'in the end' => sub {
    is($t->value('SELECT COUNT(*) FROM orders WHERE status = 9'), 0,
       'the ledger refused nothing');
    is(join(' ', map { $_->{kind} } $t->sql('SELECT kind FROM alarm')), '',
       'no alarms');
    is($t->stop($_)->daemon($_)->{status}, 0, "$_ ends well")
        foreach qw(consumer consumer2);
};


$t->finish();
done_testing();
