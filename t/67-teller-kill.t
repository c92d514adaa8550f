#!/usr/bin/perl

# Copyright (C) Rush
#
# The consumer dies, or loses MySQL, at each step between the intent, the call
# and the answer.  Whatever happens, the stand-in has one trade a payment and
# one refund a number, always of the same bytes, and the rows come to their
# end.  T1..T4 are places of teller_call.c and teller.c.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use RushTest;
use RushTest::Grant qw(soon clean);
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use Test::More;
use Time::HiRes qw(sleep time);

my $port = RushTest::Backend::free_port();
my $conf = RushTest::Teller::conf(port => $port,
                                  pay => { connect_timeout => 100,
                                           timeout => 200 });
my $t = RushTest->new(nginx => 0, failpoints => 1, start => 0,
                      consumer_conf => $conf);
my $m = RushTest::Money->new($t);

RushTest::Provider::add($t, $port);
$t->start(qw(redis mysql provider consumer));
soon('certificates are there', sub { calls($t, 'certificates') });


# what is asked for is there once, with one body

sub once {
    my ($name, $op, $no) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @all = map { $_->{body} }
        grep { $_->{body} =~ /(?:"|%22)\Q$no\E(?:"|%22)/ }
        RushTest::Provider::got($t, $op);
    my %body = map { (/biz_content=([^&]*)/ ? $1 : $_) => 1 } @all;

    is(scalar keys %body, 1, "$name: one request, " . @all . ' times')
        or diag(explain(\%body));
}


# a row that was left alone is due again without waiting for its lease

sub due { now_due($t, $_) foreach qw(payment refund) }


sub goes_on {
    my ($point, $how, $nth) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    soon("$point, $how: it happens", sub {
        $t->failpoint_hits($point) >= ($nth // 1)
    });

    if ($how eq 'kill') {
        soon("$point: dead", sub { !$t->running('consumer') });
        is($t->daemon('consumer')->{status}, 9, "$point: by itself");
        $t->start('consumer');
        soon('it serves', sub { gauges($t)->{teller} });
    }

    due();
}


# What was due may be asked about more than once: not while the next question
# is waited for.

sub quiet {
    $t->stop('consumer');
    $t->do('UPDATE payment SET next_ms = ?', time() * 1000 + 600_000);
    $t->start('consumer');
    soon('it serves', sub { gauges($t)->{teller} });
}


foreach my $how (qw(kill error)) {
    foreach my $point (qw(T1 T2 T3 T4)) {
        subtest "$point, $how" => sub {
            my $name = "$point, $how";

            foreach my $channel (qw(wechat_native alipay_precreate)) {
                my $op = $channel =~ s/.*_//r;

                # prepay
                $t->failpoint($point, $how, 1);
                my $id = asked($t, $m, $channel);
                goes_on($point, $how);
                becomes($t, $id, 1, "$name: open");
                once($name, $op, $id);

                # a question that finds it paid
                quiet();
                RushTest::Provider::pay($t, $id, notify => 0);
                $t->failpoint($point, $how, 1);
                due();
                goes_on($point, $how);
                becomes($t, $id, 2, "$name: paid");

                # a refund
                $t->failpoint($point, $how, 1);
                my $r = refunded($t, $m, $id, amount => 600);
                goes_on($point, $how);
                refund_is($t, $r, $channel =~ /wechat/ ? 3 : 4,
                          "$name: refund");
                once($name, $channel =~ /wechat/ ? 'refund' : 'arefund',
                     "R$r");
                RushTest::Provider::settle($t, "R$r", 'SUCCESS', notify => 0)
                    if $channel =~ /wechat/;
                due();
                refund_is($t, $r, 4, "$name: refund is done");
                is(RushTest::Provider::refunded(RushTest::Provider::dir($t),
                                                $id), 600,
                   "$name: nothing goes back twice");

                # close
                $id = asked($t, $m, $channel);
                becomes($t, $id, 1, "$name: another one");
                RushTest::Provider::set($t, $id, state => 'SCANNED')
                    if $channel =~ /alipay/;
                $t->failpoint($point, $how, 2);
                $t->do('UPDATE payment SET state = 3, tries = 0, '
                       . 'next_ms = 0 WHERE id = ?', $id);
                goes_on($point, $how, 2);
                becomes($t, $id, 4, "$name: closed");
                like(RushTest::Provider::trade($t, $id)->{state}, qr/CLOSED/,
                     "$name: at the provider");
            }
        };
    }
}


# MySQL is lost with the answer in hand, and somebody else gets the lock and
# keeps it: what the answer says is old when the lock comes back

subtest 'an answer that is too old' => sub {
    my $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'open');

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        my $dbh = RushTest::Backend::mysql_connect($t->{dir}, 'rush');
        RushTest::spew("$t->{dir}/ours", $dbh->selectrow_array(
            "SELECT GET_LOCK('rush_teller.rush', 20)"));
        sleep 0.1 while !-e "$t->{dir}/enough";
        POSIX::_exit(0);
    }

    soon('we wait for the lock', sub {
        $t->value('SELECT COUNT(*) FROM information_schema.processlist '
                  . "WHERE info LIKE 'SELECT GET_LOCK%20)'")
    });

    my $asked = sub {
        return scalar grep { $_->{path} =~ /$id/ }
            RushTest::Provider::got($t, 'query');
    };

    RushTest::Provider::pay($t, $id, notify => 0);
    $t->failpoint('T3', 'error', 1);
    due();
    soon('it is ours', sub { -s "$t->{dir}/ours" });
    my $n = $asked->();
    ok($n >= 1, 'it was asked for');
    soon('the answer is dropped', sub {
        $t->log_text('consumer') =~ /$id: an answer could not be stored/
    });
    is(state($t, $id), 1, 'it had no effect');

    RushTest::spew("$t->{dir}/enough", '');
    waitpid $pid, 0;
    becomes($t, $id, 2, 'it is paid');
    cmp_ok($asked->(), '>', $n, 'by a new answer');
    is(scalar($m->told(payment_id => $id)), 1, 'one notice');
};


# certificates were fetched, and the consumer dies before workers have them

subtest 'T5' => sub {
    my $key = "{rush}k:wx:$RushTest::Provider::SERIAL{wx1}";

    $t->stop('consumer');
    $t->redis()->del($key);
    $t->failpoint('T5', 'kill', 1);
    $t->start('consumer');
    soon('dead', sub { !$t->running('consumer') });
    ok(!$t->redis()->exists($key), 'not published');
    $t->start('consumer');
    soon('published', sub { $t->redis()->exists($key) });
};


is(scalar(RushTest::Provider::bad($t)), 0, 'ours were all good');
clean($t, 'the books');

$t->finish();
done_testing();
