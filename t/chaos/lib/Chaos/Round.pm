package Chaos::Round;

# Copyright (C) Rush
#
# One plan in a world: activities, buyers and faults together; then all is
# healed, must recover, come to rest and be right.
#
#   my $r = Chaos::Round->play($world, $plan, $dir);
#   { seed, ok, wrong => [texts], hits => {}, skipped => {}, answers => {},
#     ops, recovered (s), took (s), faults }
#
# History, plan and, of a round that failed, what the servers hold and say
# are left in $dir.

use warnings;
use strict;

use File::Path qw(make_path);
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

use Chaos::Check;
use Chaos::Ears;
use Chaos::Nemesis;
use Chaos::Payers;
use Chaos::People;
use Chaos::Work;
use Chaos::World;

use constant RECOVERY => 10;            # s, the promise
use constant PATIENCE => 30;            # s, of a storm, and until it is calm
use constant USERS => 1_000_000;

my $json = JSON::PP->new->canonical;


sub play {
    my ($class, $world, $plan, $dir) = @_;

    my $self = bless {
        world => $world, plan => { %$plan }, dir => $dir, wrong => [],
        start => time(),
    }, $class;

    make_path($dir);
    RushTest::spew("$dir/plan.json", join '', $plan->lines());

    eval { $self->run(); 1 } or push @{$self->{wrong}}, "harness: $@";

    return $self->result();
}


sub run {
    my ($self) = @_;

    my ($w, $plan) = @$self{qw(world plan)};
    my $n = $self->{nemesis} = Chaos::Nemesis->new($w, $plan);
    my $history = $self->{history} = "$self->{dir}/history";

    $self->{from} = { map { $_ => -s $w->logs()->{$_} || 0 }
                      keys %{$w->logs()} };
    $self->prepare();

    $self->{ears} = Chaos::Ears->start($w, $self->{plan});

    my $clients = $self->clients();

    $n->run();
    $self->{healed} = time();
    $self->join_clients($clients);

    push @{$self->{wrong}}, @{$n->{wrong}};

    # what follows would only say the same again
    $self->recover() or return;
    Chaos::Work->resolve_unknown($w, $history, $self->{plan});
    Chaos::Early->again($w, Chaos::Payers::users($self->{plan}))
        if $n->{lost};
    $self->calm() or return;
    $self->count_failed();
    $self->listeners();

    push @{$self->{wrong}}, Chaos::Check->run(
        world => $w, plan => $plan, history => $history,
        storm => $plan->{storm}, lost => $n->{lost},
        shifted => $n->{shifted}),
        Chaos::People->settle($w, $history, lost => $n->{lost},
                              shifted => $n->{shifted}),
        Chaos::Payers->settle($w, $history, $self->{plan},
                              lost => $n->{lost}, shifted => $n->{shifted});
    $self->read_logs();
}


# --- before ---

sub prepare {
    my ($self) = @_;

    my ($w, $plan) = @$self{qw(world plan)};

    $plan->{activities} = [map { { %$_ } } @{$plan->{activities}}];
    $plan->{ops} = { %{$plan->{ops}},
                     first_user => USERS + 1000 * $w->{rounds}++ };

    foreach my $a (@{$plan->{activities}}) {
        $a->{id} = $w->activity(stock => $a->{stock}, limit => $a->{limit},
                                pay_seconds => $a->{pay_seconds}, wait => 0);
    }

    $w->late_payment($plan->{late});
    Chaos::Payers->prepare($w, $plan);
    $w->wait_loaded($_->{id}) foreach @{$plan->{activities}};
}


sub clients {
    my ($self) = @_;

    my $pid = fork() // die "fork: $!";

    return $pid if $pid;

    # the connections are those of the parent
    my $w = $self->{world};
    my @kept = delete @$w{qw(dbh redis http)};

    my $rc = eval {
        Chaos::Work->run(world => $w, plan => $self->{plan},
                         history => $self->{history},
                         ears => $self->{ears});
        1;
    };

    RushTest::spew("$self->{dir}/clients.died", $@) if !$rc;
    POSIX::_exit($rc ? 0 : 1);
}


sub join_clients {
    my ($self, $pid) = @_;

    my $end = time() + 20 * $RushTest::SLOW;

    while (waitpid($pid, POSIX::WNOHANG) == 0) {
        if (time() > $end) {
            CORE::kill KILL => $pid;
            waitpid $pid, 0;
            die "the clients do not end\n";
        }

        $self->{nemesis}->supervise();
        sleep 0.01;
    }

    die 'the clients died: ', RushTest::slurp("$self->{dir}/clients.died")
        if $?;
}


# --- after ---

# somebody buys on both nodes, in an activity that is new, and each says that
# it is ready; nobody helps but the supervisor

sub recover {
    my ($self) = @_;

    my ($w, $n) = @$self{qw(world nemesis)};
    my $limit = $self->{plan}{storm} ? PATIENCE : RECOVERY;
    my $end = $self->{healed} + $limit * $RushTest::SLOW;
    my $why = '';

    while (time() < $end) {
        $n->supervise();
        $why = eval { $self->not_recovered() } // "died: $@";

        if (!$why) {
            $self->{recovered} = time() - $self->{healed};
            return 1;
        }

        sleep 0.03;
    }

    push @{$self->{wrong}}, "L1: not recovered after $limit s: $why";
    return 0;
}


sub not_recovered {
    my ($self) = @_;

    my $w = $self->{world};

    foreach my $name (@{$w->{order}}) {
        return "$name does not serve" . ($self->{nemesis}{no_start}{$name}
                                         // '') if !$w->serves($name);
    }

    $self->{canary} //= $w->activity(stock => 10, limit => 2, wait => 0);

    foreach my $node (qw(nginx node2)) {
        my ($bad) = grep { $_->{status} != 200 }
            $w->burst([({ path => '/ready' }) x 6], node => $node,
                      timeout => 2, record => 0);
        return "$node is not ready: $bad->{status} $bad->{body}" if $bad;

        my $r = $w->buy($self->{canary}, 7, key => "canary-$node",
                        node => $node, timeout => 2, record => 0);
        return "$node does not sell: $r->{status} $r->{body}"
            if ($r->{code} // -1) != 0;
    }

    return '';
}


sub calm {
    my ($self) = @_;

    my $end = time() + PATIENCE * $RushTest::SLOW;
    my $why = '';

    while (time() < $end) {
        $self->{nemesis}->supervise();
        $why = eval { $self->noise() } // "died: $@";
        return 1 if !$why;
        sleep 0.05;
    }

    push @{$self->{wrong}}, 'not at rest after ' . PATIENCE . " s: $why";
    return 0;
}


# what still moves, or will soon

sub noise {
    my ($self) = @_;

    my $w = $self->{world};
    my @ids = ($self->{canary}, map { $_->{id} }
               @{$self->{plan}{activities}});
    my $in = 'IN (' . join(', ', @ids) . ')';
    my $soon = RushTest::Data::now_ms() + 6000;

    my %open = (
        'activities that are not applied' => "seckill_activity WHERE id $in "
            . 'AND rev <> applied_rev',
        'open stock operations' => "seckill_stock_op WHERE activity_id $in "
            . 'AND state IN (0, 1)',
        'orders on their way back' => "orders WHERE activity_id $in "
            . 'AND stock_state IN (1, 2)',
        'orders about to time out' => "orders WHERE activity_id $in "
            . "AND stock_state = 0 AND pay_deadline_ms < $soon",
    );

    foreach my $what (sort keys %open) {
        my $count = $w->value("SELECT COUNT(*) FROM $open{$what}");
        return "$count $what" if $count;
    }

    foreach my $id (@ids) {
        my %g = map { @$_ } grep { { @$_ }->{name} eq 'rush' }
            $w->redis()->xinfo('groups', "{a:$id}s");
        return "{a:$id}s has no group" if !%g;
        return "{a:$id}s: $g{pending} pending" if $g{pending};
        return "{a:$id}s: lag " . ($g{lag} // '?') if $g{lag} // 1;
    }

    return Chaos::Payers->noise($w, $self->{plan});
}


# refunds of the provider, each until an operator let it begin again; and what
# came of late payments

sub count_failed {
    my ($self) = @_;

    my $n = $self->{world}->value("SELECT COUNT(*) FROM alarm WHERE kind = "
        . "'refund_failed' AND id > ?", $self->{plan}{mark}{alarm});

    my %late = (late => 'p.state = 7', revived => 'p.state = 2');

    $self->{nemesis}{hits}{'refund failed'} += $n if $n;

    foreach my $what (keys %late) {
        $n = $self->{world}->value('SELECT COUNT(*) FROM payment p JOIN '
            . "order_log l ON l.order_no = p.order_no WHERE $late{$what} AND "
            . 'l.from_status = ? AND l.to_status = ? AND p.user_id BETWEEN ? '
            . 'AND ?', $what eq 'late' ? (1, 5) : (5, 2),
            Chaos::Payers::users($self->{plan}));
        $self->{nemesis}{hits}{"payment $what"} += $n if $n;
    }
}


# who listens sees by now what is so

sub listeners {
    my ($self) = @_;

    my ($w, $plan, $n) = @$self{qw(world plan nemesis)};
    my %now = (
        orders => { map { $_->{order_no} => $_ } $w->sql(
            'SELECT order_no, status, version FROM orders WHERE user_id '
            . 'BETWEEN ? AND ?', Chaos::Payers::users($plan)) },
        activities => { map {
            my %m = $w->redis()->hgetall("{a:$_->{id}}m");
            defined $m{remain} ? ($_->{id} => { left => $m{remain},
                                                total => $m{total} }) : ();
        } @{$plan->{activities}} },
    );

    # a number of which no row is there, asked by who is an hour ahead
    push @{$self->{wrong}}, map { "E $_->[1]" }
        grep { !($_->[0] eq 'live' && $n->{shifted})
               && !($_->[0] eq 'lost' && ($n->{lost} || $n->{shifted})) }
        $self->{ears}->settle(\%now);
}


# --- logs ---

sub read_logs {
    my ($self) = @_;

    my ($w, $n) = @$self{qw(world nemesis)};
    my %bad = (
        nginx => qr/\[(?:alert|crit|emerg)\]|Sanitizer|runtime error:/,
        consumer => qr/Sanitizer|runtime error:/,
        redis => qr/REDIS BUG REPORT/,
        mysql => qr/got signal|Assertion failure/,
    );
    my $logs = $w->logs();

    foreach my $name (sort keys %$logs) {
        my ($kind) = $w->daemon($name)->{nginx} ? 'nginx'
            : $name =~ /^([a-z]+)/;

        next if $n->{full}{$name};

        open my $fh, '<', $logs->{$name} or next;
        seek $fh, $self->{from}{$name}, 0;

        while (my $line = <$fh>) {
            next if $line !~ $bad{$kind};
            next if grep { $line =~ $_ } @{$n->{expected}};
            chomp $line;
            push @{$self->{wrong}}, "log of $name: $line";
        }
    }

    foreach my $file (glob "$w->{dir}/asan.* $w->{dir}/ubsan.*") {
        my $text = substr RushTest::slurp($file), 0, 2000;
        my ($first) = $text =~ /((?:\w+Sanitizer|runtime error): [^\n]*)/;
        push @{$self->{wrong}}, 'sanitizer: ' . ($first // '') . "\n$text";
    }
}


# --- the end ---

sub result {
    my ($self) = @_;

    my ($w, $n) = @$self{qw(world nemesis)};

    $self->{ears}->end() if $self->{ears};

    if (!@{$self->{wrong}}) {
        eval { $self->retire(); 1 }
            or push @{$self->{wrong}}, "harness: retire: $@";
    }

    $self->keep() if @{$self->{wrong}};

    my $sum = eval { Chaos::Work->summary($self->{history}) } || {};
    my $heard = $self->{ears} ? $self->{ears}{did} || {} : {};

    $sum->{answers}{"ear: $_"} = $heard->{$_} foreach keys %$heard;

    return {
        seed => $self->{plan}{seed}, ok => @{$self->{wrong}} ? 0 : 1,
        wrong => $self->{wrong}, hits => $n->{hits} || {},
        skipped => $n->{skipped} || {}, answers => $sum->{answers} || {},
        ops => $sum->{ops} || 0, recovered => $self->{recovered},
        took => time() - $self->{start}, dir => $self->{dir},
        faults => scalar @{$self->{plan}{faults}},
        storm => $self->{plan}{storm},
    };
}


# the next rounds need not carry them along: what waits is paid, as far as
# rows tell, and the controller unloads what is over and settled

sub retire {
    my ($self) = @_;

    my $w = $self->{world};
    my $in = 'IN (' . join(', ', $self->{canary}, map { $_->{id} }
                           @{$self->{plan}{activities}}) . ')';

    RushTest::Data::paid($w, sprintf
        "(activity_id $in OR user_id BETWEEN %d AND %d)",
        Chaos::Payers::users($self->{plan}));
    $w->do('UPDATE seckill_activity SET start_ms = start_ms - 200000000, '
           . 'stop_ms = stop_ms - 200000000, rev = rev + 1 '
           . "WHERE id $in");
}


sub keep {
    my ($self) = @_;

    my ($w, $dir) = @$self{qw(world dir)};
    my $logs = $w->logs();

    foreach my $name (keys %$logs) {
        system('cp', $logs->{$name}, "$dir/$name.log");
    }

    RushTest::spew("$dir/wrong", join "\n", @{$self->{wrong}}, '');
    RushTest::spew("$dir/tables", eval { $self->tables() } // "$@\n");
}


sub tables {
    my ($self) = @_;

    my $w = $self->{world};
    my $text = '';

    foreach my $id (grep { defined } map { $_->{id} }
                    @{$self->{plan}{activities}}, { id => $self->{canary} })
    {
        $text .= "--- activity $id\n";

        foreach my $table (qw(orders seckill_activity seckill_stock_op
                              dead_letter alarm stream_position))
        {
            my $by = $table eq 'seckill_activity' ? 'id' : 'activity_id';
            $text .= "$table " . $json->encode($_) . "\n"
                foreach $w->sql("SELECT * FROM $table WHERE $by = ?", $id);
        }

        $text .= "redis $_ " . $json->encode({
            $w->redis()->hgetall("{a:$id}$_") }) . "\n" foreach qw(m u o);
        $text .= "stream " . $json->encode($_) . "\n"
            foreach $w->redis()->xrange("{a:$id}s", '-', '+');
    }

    my $of = sprintf 'user_id BETWEEN %d AND %d',
        Chaos::Payers::users($self->{plan});
    my $mine = "payment_id IN (SELECT id FROM payment WHERE $of)";
    my %of = (orders => $of, order_log => $of, payment => $of, refund => $of,
              payment_notice => $mine, sandbox_trade => $mine,
              sandbox_refund => $mine, alarm => "kind LIKE 'pay%'");

    $text .= "--- payers\n";

    foreach my $table (sort keys %of) {
        $text .= "$table " . $json->encode($_) . "\n"
            foreach $w->sql("SELECT * FROM $table WHERE $of{$table}");
    }

    return $text;
}


1;
