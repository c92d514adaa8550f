package Chaos::Work;

# Copyright (C) Rush
#
# The buyers and the administrators of a round.  What they do follows from
# the seed; what they ask and are told goes to the history.
#
#   Chaos::Work->run(world => $w, plan => $p, history => $file, ears => $e)
#       for run_ms of the plan, in a process of its own; plan: see Chaos::Plan,
#       with { activities => [{ id, stock, limit, .. }], ops => {
#       first_user } }; ears: Chaos::Ears, told of orders
#   Chaos::Work->resolve_unknown($w, $file, $plan)
#       after healing: what is paused goes on, every unknown id is asked for
#       until its outcome is definite, every order until its row is there
#   Chaos::Work->summary($file)     { ops => n, answers => { "buy yes" => n } }

use warnings;
use strict;

use IO::Socket::UNIX;
use Time::HiRes qw(time);

use Chaos::Answer;
use Chaos::Client;
use Chaos::History;
use Chaos::Payers;
use Chaos::People;
use Chaos::Rand;

use constant RESOLVE => 10;             # s, for what is left over
use constant REMEMBER => 400;           # ids and orders, the latest
use constant SAMPLE => 0.02;            # s between looks at the epoch

my %TIMEOUT = (slow => 4.5, fast => 0.3);


sub new {
    my ($class, %o) = @_;

    my ($w, $plan) = @o{qw(world plan)};

    return bless {
        world => $w, plan => $plan, ops => $plan->{ops}, ears => $o{ears},
        h => Chaos::History->append($o{history}),
        http => Chaos::Client->new(nodes => $w->nodes()),
        ids => [], orders => [], left => $plan->{ops}{max} || 1e9,
        seed => $plan->{ops}{seed} // $plan->{seed},
    }, $class;
}


sub run {
    my ($class, %o) = @_;

    # of an earlier round with this seed
    unlink $o{history};

    my $self = $class->new(%o);
    my $http = $self->{http};
    my $start = time();

    $self->{end} = $start + $self->{plan}{run_ms} / 1000;

    my $payers = Chaos::Payers->new(
        work => $self, names => "c$self->{ops}{first_user}");

    $payers->start($self->{ops}{payers} // 0);
    $self->watch_epochs();
    $self->client($_, $start) foreach 1 .. $self->{ops}{clients};

    my $people = Chaos::People->start(
        work => $self, count => $self->{ops}{people} // 0,
        names => "c$self->{ops}{first_user}");

    while (time() < $self->{end} || $http->open()) {
        $http->turn();
        $self->{h}->flush();
    }

    $people->leave($self->{h});
    $payers->leave($self->{h});
    $self->{h}->flush();
}


# --- a client: one thing after the other ---

sub client {
    my ($self, $n, $start) = @_;

    my $c = { n => $n, rnd => Chaos::Rand->new($self->{seed}, "client $n"),
              serial => 0 };

    # all of them at once would be a burst, not a sale
    $self->{http}->at($start + $c->{rnd}->below(200) / 1000,
                      sub { $self->act($c) });
}


sub act {
    my ($self, $c) = @_;

    my $rnd = $c->{rnd};

    return if time() >= $self->{end} || $self->{left}-- <= 0;

    my %weights = %{$self->{ops}{weights}};
    my $op = $rnd->weighted(map { $_ => $weights{$_} } sort keys %weights);
    my $think = $rnd->chance(20) ? 0 : $rnd->range(10, 200) / 1000;

    $c->{serial}++;

    my $done = sub {
        $self->{http}->at(time() + $think, sub { $self->act($c) });
    };

    $self->can("do_$op")->($self, $c, $done) or $done->();
}


# --- what they do; false: there was nothing to do ---

sub do_buy {
    my ($self, $c, $done) = @_;

    my $buy = $self->new_buy($c);

    delete $buy->{id} if $c->{rnd}->chance(15);
    $self->send_buy($c, $buy, $done);
    return 1;
}


sub new_buy {
    my ($self, $c) = @_;

    my $rnd = $c->{rnd};
    my $a = $rnd->pick(grep { !$_->{for_payers} }
                       @{$self->{plan}{activities}});
    my $user = $self->{ops}{first_user} + $rnd->below($self->{ops}{users});
    my $q = $a->{limit} > 1 ? $rnd->pick(1, 1, 2) : 1;

    $q = $a->{limit} + 1 if $rnd->chance(2);

    return { op => 'buy', a => $a->{id} + 0, u => $user, q => $q,
             id => "s$self->{seed}-$c->{n}-$c->{serial}" };
}


# somebody who is not sure: often of what was asked last

sub do_again {
    my ($self, $c, $done) = @_;

    my $old = $self->recent($c, $self->{ids}) or return 0;
    my $rnd = $c->{rnd};

    $self->send_buy($c, { %$old, op => 'buy', retry => $rnd->chance(70) },
                    $done);
    return 1;
}


# two tabs, two ids, one user

sub do_double {
    my ($self, $c, $done) = @_;

    my $one = $self->new_buy($c);
    my $two = { %$one, id => "$one->{id}-b" };
    my $left = 2;
    my @asked = map {
        [$self->prepare($c, $_, sub { $done->() if !--$left })]
    } $one, $two;

    $self->{http}->together($TIMEOUT{slow}, @asked);
    return 1;
}


sub do_poll {
    my ($self, $c, $done) = @_;

    my $o = $self->recent($c, $self->{orders}) or return 0;

    $self->ask($c, { op => 'poll', %$o }, $done);
    return 1;
}


sub do_resolve {
    my ($self, $c, $done) = @_;

    my $id = $self->recent($c, $self->{ids}) or return 0;

    $self->ask($c, { op => 'resolve', a => $id->{a}, u => $id->{u},
                     id => $id->{id}, payer => $id->{payer} }, $done);
    return 1;
}


sub do_cancel {
    my ($self, $c, $done) = @_;

    my $o = $self->recent($c, $self->{orders}) or return 0;

    # again now and then, but units have to come back
    foreach (1 .. 4) {
        last if !$self->{over}{$o->{order}} || $c->{rnd}->chance(5);
        $o = $self->recent($c, $self->{orders});
    }

    $self->ask($c, { op => 'cancel', %$o }, $done);
    return 1;
}


sub do_adjust {
    my ($self, $c, $done) = @_;

    my $rnd = $c->{rnd};
    my $a = $rnd->pick(@{$self->{plan}{activities}});

    $self->ask($c, { op => 'adjust', a => $a->{id} + 0,
                     q => $rnd->pick(-3, -2, -1, 1, 2, 3),
                     id => "adjust-$self->{seed}-$c->{n}-$c->{serial}" },
               $done);
    return 1;
}


sub do_pause {
    my ($self, $c, $done) = @_;

    my $rnd = $c->{rnd};
    my $a = $rnd->pick(@{$self->{plan}{activities}})->{id} + 0;
    my $time = $rnd->range(50, 400) / 1000;

    $self->ask($c, { op => 'pause', a => $a }, sub {
        $self->{http}->at(time() + $time, sub {
            $self->ask($c, { op => 'resume', a => $a }, $done);
        });
    });
    return 1;
}


sub do_warmup {
    my ($self, $c, $done) = @_;

    my $a = $c->{rnd}->pick(@{$self->{plan}{activities}});

    $self->ask($c, { op => 'warmup', a => $a->{id} + 0 }, $done);
    return 1;
}


sub recent {
    my ($self, $c, $list) = @_;

    my $n = @$list or return;
    my $rnd = $c->{rnd};

    $n = 10 if $n > 10 && $rnd->chance(60);

    return $list->[-1 - $rnd->below($n)];
}


# --- one request ---

sub send_buy {
    my ($self, $c, $buy, $done) = @_;

    my ($node, $bytes, $sub) = $self->prepare($c, $buy, $done);
    my $rnd = $c->{rnd};

    # who leaves before the answer, and asks again
    my $timeout = $TIMEOUT{$rnd->chance(4) ? 'fast' : 'slow'};

    $self->{http}->ask($node, $bytes, $timeout, $sub);
}


sub ask {
    my ($self, $c, $what, $done) = @_;

    my ($node, $bytes, $sub) = $self->prepare($c, $what, $done);

    $self->{http}->ask($node, $bytes, $TIMEOUT{slow}, $sub);
}


sub prepare {
    my ($self, $c, $what, $done) = @_;

    my $node = $c->{rnd}->pick(qw(a b));
    my ($bytes) = $self->{world}->bytes_of(
        Chaos::Answer::request($what, sub { $self->token($_[0]) }));
    my $i = $self->{h}->number();

    $self->{h}->add({ %$what, ev => 'call', i => $i, t => time(),
                      c => $c->{n}, node => $node });
    $self->remember('ids', $what) if $what->{op} eq 'buy' && $what->{id};

    return ($node, $bytes, sub {
        $self->answered($what, $i, @_);
        $done->(@_);
    });
}


sub answered {
    my ($self, $what, $i, $r) = @_;

    my $ret = Chaos::Answer::ret($what, $r);

    $self->{h}->add({ %$ret, ev => 'ret', i => $i, t => time() });

    if ($what->{op} eq 'buy' && defined $ret->{id} && !$what->{id}) {
        $self->remember('ids', { %$what, id => $ret->{id} });
    }

    $self->{over}{$what->{order}} = 1
        if $what->{op} eq 'cancel' && $ret->{kind} eq 'done';

    # who pays it is the only one to cancel it
    if ($ret->{kind} eq 'yes' && !$what->{payer}
        && !$self->{known}{$ret->{order}}++)
    {
        $self->remember('orders', { a => $what->{a}, u => $what->{u},
                                    order => $ret->{order} });
    }
}


sub remember {
    my ($self, $list, $what) = @_;

    push @{$self->{$list}}, { %$what };
    shift @{$self->{$list}} if @{$self->{$list}} > REMEMBER;
}


sub token {
    my ($self, $user) = @_;

    return $self->{world}->admin_token() if !$user;
    return $self->{token}{$user} //= $self->{world}->token($user);
}


# --- the epoch, as Redis has it ---

# a question every 20 ms on a connection of its own; who does not answer for
# a while is asked again on another

sub watch_epochs {
    my ($self) = @_;

    my $http = $self->{http};
    my @ids = map { $_->{id} } @{$self->{plan}{activities}};
    my $m = $self->{epochs} = { last => {} };

    $m->{ask} = sub {
        my $now = time();

        return if $now >= $self->{end};
        $http->at($now + SAMPLE, $m->{ask});

        return if $m->{s} && $m->{asked} && $now - $m->{asked} < 1;
        $self->close_epochs() if $m->{s} && $m->{asked};

        if (!$m->{s}) {
            $m->{s} = IO::Socket::UNIX->new(
                Peer => "$self->{world}{dir}/redis.sock") or return;
            $m->{in} = '';
            $http->watch($m->{s}, sub { $self->read_epochs(\@ids) });
        }

        $m->{asked} = $now;
        syswrite $m->{s}, join '', map { "HGET {a:$_}m epoch\r\n" } @ids;
    };

    $m->{ask}->();
}


sub close_epochs {
    my ($self) = @_;

    my $m = $self->{epochs};

    $self->{http}->unwatch($m->{s});
    delete @$m{qw(s asked)};
}


sub read_epochs {
    my ($self, $ids) = @_;

    my $m = $self->{epochs};

    return $self->close_epochs()
        if !sysread $m->{s}, $m->{in}, 4096, length $m->{in};

    my @got = $m->{in} =~ /\G(\$-1\r\n|\$\d+\r\n\d+\r\n|-[^\r]*\r\n)/g;

    return if @got < @$ids;

    my $now = time();

    foreach my $i (0 .. $#$ids) {
        my ($e) = $got[$i] =~ /\n(\d+)/ or next;
        my $last = $m->{last}{$ids->[$i]} //= {};

        # of those in a row, the first and the last
        if (($last->{e} // -1) != $e) {
            $self->{h}->add($last->{more}) if $last->{more};
            $last->{more} = undef;
        }

        my $event = { ev => 'epoch', a => $ids->[$i] + 0, e => $e + 0,
                      t0 => $m->{asked}, t => $now };

        if (($last->{e} // -1) == $e) {
            $last->{more} = $event;
        } else {
            $self->{h}->add($event);
            $last->{e} = $e;
        }
    }

    $m->{in} = '';
    delete $m->{asked};
}


# --- after healing ---

sub resolve_unknown {
    my ($class, $w, $file, $plan) = @_;

    my $self = $class->new(world => $w, history => $file, plan => $plan);
    my $end = time() + ($plan->{storm} ? 3 : 1) * RESOLVE * $RushTest::SLOW;
    my $c = { n => 0, rnd => Chaos::Rand->new($self->{seed}, 'resolve') };
    my @todo = $self->left_over($file);

    # again and again, what has no answer yet
    while (@todo && time() < $end) {
        my @next;

        foreach my $what (@todo) {
            my ($node, $bytes, $sub) = $self->prepare($c, $what, sub { });

            $self->{http}->ask($node, $bytes, $TIMEOUT{slow}, sub {
                my ($r) = @_;
                $sub->($r);
                push @next, $what if !Chaos::Answer::settled($what, $r);
            });
        }

        $self->{http}->turn() while $self->{http}->open();
        $self->{http}->turn() if @next;
        @todo = @next;
    }

    $self->{h}->flush();
    return scalar @todo;
}


sub left_over {
    my ($self, $file) = @_;

    my $h = Chaos::History->load($file);
    my @todo = map { { op => 'resume', a => $_->{id} + 0 } }
        @{$self->{plan}{activities}};
    my %seen;

    foreach my $key (sort keys %{$h->{ids}}) {
        my $id = $h->{ids}{$key};
        my %who = (a => $id->{a}, u => $id->{u});

        push @todo, { op => 'resolve', %who, id => $id->{id} }
            if Chaos::History::outcome($id) eq 'unknown';

        foreach my $answer (@{$id->{answers}}) {
            my $order = $answer->{order} // next;
            push @todo, { op => 'poll', %who, order => $order }
                if $answer->{kind} eq 'yes' && !$seen{$order}++;
        }
    }

    return @todo;
}


sub summary {
    my ($class, $file) = @_;

    my $h = Chaos::History->load($file);
    my %answers;

    $answers{"$_->{op} " . ($_->{ret} ? $_->{ret}{kind} : 'none')}++
        foreach @{$h->{calls}};

    foreach my $who (qw(people payers)) {
        my $name = $who eq 'people' ? 'owner' : 'payer';

        foreach my $did (map { $_->{did} || {} } @{$h->{$who}}) {
            $answers{"$name: $_"} += $did->{$_} foreach keys %$did;
        }
    }

    return { ops => scalar @{$h->{calls}}, answers => \%answers };
}


1;
