package Jobs;

# Copyright (C) Rush
#
# The consumer: the n-th call fails while it does a job.  It may end, and is
# started again as a supervisor would; nothing may be lost.

use warnings;
use strict;

use HTTP::Tiny;
use Time::HiRes qw(time sleep);

use Flows;
use Resp;
use Torture;
use Trade;

my $LIMIT = 20;                         # s until a job must be done
my $ENOUGH = 1500;

# name => sub that gives the consumer the job; returns one that is true when
# it is done

sub jobs {
    my ($h) = @_;

    my $t = $h->{t};
    my $state = sub { $t->meta($_[0])->{state} // '' };

    return (
        ['store', sub {
            my $u = RushTest::Sale::user();
            $h->{sale}->buy($u, key => "k$u");
            return sub { row($h, $u) };
        }],
        ['release', sub {
            my $q = Flows::cancel($h);
            my ($order) = $q->{path} =~ m!orders/([^/]+)!;
            $t->request(delete $q->{method}, delete $q->{path}, %$q,
                        record => 0);
            return sub { given_back($h, $order) };
        }],
        ['expire', sub {
            my $q = Flows::cancel($h);
            my ($order) = $q->{path} =~ m!orders/([^/]+)!;
            $t->do('UPDATE orders SET pay_deadline_ms = 1 '
                   . 'WHERE order_no = ?', $order);
            return sub { given_back($h, $order) };
        }],
        ['load', sub {
            my $id = $t->activity(stock => 5, wait => 0);
            return sub {
                return 0 if $state->($id) ne 'on';
                # no more of them than it needs
                $t->do('UPDATE seckill_activity SET status = 3, '
                       . 'rev = rev + 1 WHERE id = ?', $id);
                return 1;
            };
        }],
        ['change', sub {
            my $id = $h->{empty};
            my $on = $state->($id) eq 'on';
            $t->do('UPDATE seckill_activity SET status = ?, rev = rev + 1 '
                   . 'WHERE id = ?', $on ? 2 : 1, $id);
            return sub { ($state->($id) eq 'on') != $on };
        }],
        ['adjust', sub {
            my $id = $h->{activity};
            $t->post("/api/v1/admin/seckill/activities/$id/stock",
                     { delta => 1 }, admin => 1, record => 0);
            return sub { $t->meta($id)->{total} == $t->value('SELECT total '
                . 'FROM seckill_activity WHERE id = ?', $id) };
        }],
        ['rebuild', sub {
            $t->redis()->script('flush');
            return sub {
                my $r = $t->get('/ready', fresh => 1, record => 0);
                return 0 if $r->{status} != 200;
                my ($one) = $h->{sale}->some(1);
                return defined $one->{code} && $one->{code} == 0;
            };
        }],
        Trade::jobs($h),
        ['metrics', sub {
            my $url = "http://127.0.0.1:$t->{consumer_port}{consumer}/metrics";
            my $http = HTTP::Tiny->new(timeout => 2);
            return sub {
                my $r = $http->get($url);
                return $r->{status} == 200 && $r->{content} =~ /rush_/;
            };
        }],
        ['idle', sub {
            my $end = time() + 0.4;
            return sub { time() > $end };
        }],
    );
}


sub row {
    my ($h, $user) = @_;

    # what was not granted is settled at the end
    return $h->{t}->value('SELECT COUNT(*) FROM orders WHERE user_id = ?',
                          $user)
        || !grep { $_->{user} == $user } $h->{sale}->told('yes');
}


sub given_back {
    my ($h, $order) = @_;
    return ($h->{t}->value('SELECT stock_state FROM orders '
                           . 'WHERE order_no = ?', $order) // 0) == 3;
}


sub consumer {
    my ($h, $o) = @_;

    my @all;

    Flows::prepare($h);

    foreach my $job (grep { index($_->[0], $o->{flow}) >= 0 } jobs($h)) {
        push @all, sub { loop($h, 'malloc', $job, kind => 'alloc',
                              stride => 20, step => 1) };
        push @all, sub { loop($h, 'malloc +', $job, kind => 'alloc',
                              times => 1e9, stride => 40, step => 23) };

        foreach my $row (grep { !$o->{lie} || $o->{lie} eq $_->[0] }
                         @Torture::MYSQL)
        {
            my ($error, %more) = @$row;
            my $name = $error . ($more{after} ? ' after' : '');

            push @all, sub { loop($h, $name, $job, kind => 'mysql',
                                  error => $error, stride => 4, step => 1,
                                  %more) };
        }

        foreach my $lie (grep { !$o->{lie} || $o->{lie} eq $_ }
                         Resp::lies())
        {
            push @all, sub { loop($h, $lie, $job, kind => $lie, stride => 3,
                                  step => 1) };
        }
    }

    push @all, sub { tool($h, $o) } if index('reconcile', $o->{flow}) >= 0;
    push @all, sub { first($h, $o) } if index('start', $o->{flow}) >= 0;

    Parts::spend($h, 'consumer', @all);
}


sub loop {
    my ($h, $part, $job, %p) = @_;

    my ($name) = @$job;
    my $quick = $h->{o}{quick};
    my ($n, $missed, $fails, %ends) = (1, 0, 0);
    my $start = time();

    $n = 1 + int rand $p{stride} if $quick;
    delete $h->{failed};

    # a sample where all of it would take too long
    while ($n < $ENOUGH && $missed < 2 && ($h->{failed} // 0) < 4
           && time() - $start < ($quick ? 1 : 20))
    {
        my $hit = once($h, "$part, $name, n $n", $job, $n, \%ends, %p);

        $missed = $hit ? 0 : $missed + 1;
        $fails += $hit ? 1 : 0;
        $n += $quick ? 1 + int rand 2 * $p{stride} : $p{step} if $hit;
    }

    $h->report($part, $name, $n, $fails, %ends);
}


sub once {
    my ($h, $what, $job, $n, $ends, %p) = @_;

    my $t = $h->{t};

    $h->ready($what);
    Flows::cancel_ready($h) if $job->[0] =~ /release|expire/;
    $h->arm('consumer', $p{kind}, $n, %p);

    my $done = $job->[1]->();
    my ($ok, $died) = wait_done($t, $done, 3);
    my $was = $h->disarm();
    my $where = $was->{hits} ? ' at ' . $h->place($was->{where}) : '';

    if ($h->{o}{verbose} && $was->{hits}) {
        print "    $what: ", $died ? $died : $ok ? 'done' : 'late', "$where\n";
    }

    if ($died) {
        $h->fail("$what: $died$where")
            if $died =~ /signal/ || !$was->{hits};
        again($h, $what);
    }

    if (!$ok) {
        my ($late, $again) = wait_done($t, $done, $LIMIT);

        $h->fail("$what: ended once more: $again") if $again;
        again($h, $what) if $again;
        $h->fail("$what: not done$where") if !$late;
    }

    $ends->{$died || ($ok ? 'done' : 'late')}++ if $was->{hits};

    $h->fail("$what: sanitizer: $_" . $where) foreach $h->new_reports();

    return $was->{hits};
}


# (whether it is done, how the consumer ended)

sub wait_done {
    my ($t, $done, $seconds) = @_;

    my $d = $t->daemon('consumer');
    my $end = time() + $seconds;

    while (time() < $end) {
        return (0, Torture::ending($d->{status})) if !$d->running();
        return (1, '') if eval { $done->() };
        sleep 0.004;
    }

    return (0, '');
}


sub again {
    my ($h, $what) = @_;
    eval { $h->{t}->start('consumer'); 1 }
        or $h->fail("$what: does not start again: $@");
}


# --reconcile: it has looked and found nothing, or it says that it could not

sub tool {
    my ($h, $o) = @_;

    my $t = $h->{t};
    my ($n, $missed, $fails, %ends) = (1, 0, 0);
    my $start = time();

    delete $h->{failed};
    $h->{sale}->calm(20);

    while ($missed < 2 && time() - $start < ($o->{quick} ? 4 : 60)) {
        $h->arm('tool', 'alloc', $n);
        my ($rc, $out) = $h->run('consumer', '--reconcile');
        my $was = $h->disarm();

        $h->fail("reconcile, n $n: $rc at " . $h->place($was->{where})
                 . ": $out")
            if $rc ne 'exit 0' && ($rc ne 'exit 2' || !$was->{hits});

        $ends{$rc}++ if $was->{hits};
        $missed = $was->{hits} ? 0 : $missed + 1;
        $fails += $was->{hits} ? 1 : 0;
        last if ($h->{failed} // 0) > 5;
        $n += $o->{quick} ? 1 + int rand 300 : 7 if $was->{hits};
    }

    $h->report('malloc', 'reconcile', $n, $fails, %ends);
}


# memory fails from the first call on: it serves, or says why not and ends

sub first {
    my ($h, $o) = @_;

    my $t = $h->{t};
    my $d = $t->daemon('consumer');
    my ($n, $missed, $fails, %ends) = (1, 0, 0);
    my $start = time();

    delete $h->{failed};

    while ($missed < 2 && time() - $start < ($o->{quick} ? 5 : 60)) {
        $t->stop('consumer');
        $h->arm('start', 'alloc', $n);

        my $ok = eval { $t->start('consumer'); 1 };
        sleep 0.1 if $ok;

        my $was = $h->disarm();
        my $end = $d->running() ? 'serves' : Torture::ending($d->{status});

        $h->fail("start, n $n: $end at " . $h->place($was->{where}))
            if $end =~ /signal|exit 0/ || (!$was->{hits} && $end ne 'serves');

        $ends{$end}++ if $was->{hits};
        $missed = $was->{hits} ? 0 : $missed + 1;
        $fails += $was->{hits} ? 1 : 0;
        again($h, "start, n $n") if !$d->running();
        last if ($h->{failed} // 0) > 5;
        $n += $o->{quick} ? 1 + int rand 300 : 11 if $was->{hits};
    }

    $h->report('malloc', 'start', $n, $fails, %ends);
}


1;
