#!/usr/bin/perl

# Copyright (C) Rush
#
# Providers that are away: the breaker, the second host, ten minutes of
# silence; MySQL and Redis that go away in the middle; public-key mode.
# A minute is 200 ms here.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon gauge clean);
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use Test::More;
use Time::HiRes qw(sleep time);

my ($port, $dead) = map { RushTest::Backend::free_port() } 1 .. 2;
my $t = RushTest->new(nginx => 0, start => 0, consumer => 2,
    proxy => [qw(consumer_mysql consumer_redis)],
    consumer_conf => RushTest::Teller::conf(port => $port, wechat => 'key',
        pay => { breaker => 3, breaker_pause => 400, timeout => 3000 },
        wechat_pay => { base_url2 => "http://127.0.0.1:$dead" }));
my $m = RushTest::Money->new($t);

RushTest::Provider::add($t, $port);
$t->start(qw(redis mysql provider consumer));


sub row { return $m->row('payment', $_[0]) }
sub fault { return RushTest::Provider::fault($t, @_) }
sub breaker { return gauges($t)->{"pay_breaker{provider=\"$_[0]\"}"} }


sub outcome {
    my ($who, $what) = @_;
    return gauges($t)->{"pay_calls_total{provider=\"$who\",outcome=\"$what\"}"};
}


subtest 'public-key mode' => sub {
    my $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'open');
    is(calls($t, 'certificates'), 0, 'no certificates are fetched');
    my ($call) = RushTest::Provider::got($t, 'native');
    is($call->{headers}{'wechatpay-serial'},
       $RushTest::Provider::SERIAL{wxpub}, 'it is asked for');

    fault('native', 'wrongkey', 1);
    $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'again after an answer of another key');

    # of a certificate that nobody has asked for
    RushTest::Provider::signer($t, 'wx1');
    $id = asked($t, $m, 'wechat_native');
    soon('an unknown serial', sub { row($id)->{cause} =~ /not known/ });
    is(row($id)->{state}, 0, 'is not believed');
    RushTest::Provider::signer($t, '');
    becomes($t, $id, 1, 'later it is');
};


subtest 'the breaker' => sub {
    soon('closed', sub { breaker('alipay') == 0 });
    fault('all', '503');

    my @ids = map { asked($t, $m, 'alipay_precreate') } 1 .. 10;
    soon('open', sub { breaker('alipay') == 2 });
    my $before = calls($t);
    sleep 2;
    my $n = calls($t) - $before;
    ok($n > 0 && $n < 20, "$n calls in 2 s: one a pause and a host");

    my $other = asked($t, $m, 'sandbox');
    becomes($t, $other, 1, 'others are served meanwhile');

    is($t->value('SELECT COUNT(*) FROM payment WHERE state <> 0 AND id IN ('
                 . join(', ', @ids) . ')'), 0, 'nothing is given up');
    ok(gauges($t)->{pay_silent_milliseconds} > 1000, 'its age can be seen');
    fault('all', 'ok');
    becomes($t, $_, 1, 'then it goes on') foreach @ids;
    soon('closed again', sub { breaker('alipay') == 0 });
};


subtest 'the second host' => sub {
    my $unseen;

    # the first one answers 5xx, and there is nobody at the second
    fault('native', '502', 2);
    my $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'in spite of both');

    # nobody at the first one: the second is asked at once
    $t->stop('consumer');
    my $file = "$t->{dir}/consumer.conf";
    my $text = RushTest::slurp($file);
    RushTest::spew($file, $text
                   =~ s!^(base_url = ).*!${1}http://127.0.0.1:$dead!mr
                   =~ s!^(base_url2 = ).*!${1}http://127.0.0.1:$port!mr);
    $t->start('consumer');
    my $start = time();
    $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'by the second host');
    my $version = row($id)->{version};

    # it may have been asked about by now
    my $asked = grep { $_->{path} =~ /\b$id\b/ }
        RushTest::Provider::got($t, 'query');
    ok($version >= 2 && $version <= 2 + $asked, 'at once: nothing was put off')
        or diag("version $version, asked $asked times");
    $unseen = outcome('wechat', 'unseen');
    ok($unseen >= 1, 'counted');
    $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'which is asked first now');
    is(outcome('wechat', 'unseen'), $unseen, 'no other call meets nobody');

    $t->stop('consumer');
    RushTest::spew($file, $text);
    $t->start('consumer');
};


subtest 'ten minutes of silence' => sub {
    my @ids = map { asked($t, $m, 'wechat_native',
        order => { pay_deadline_ms => int(time() * 1000) + 60_000 }) } 1 .. 5;
    becomes($t, $_, 1) foreach @ids;

    my $paid = asked($t, $m, 'wechat_native');
    becomes($t, $paid, 1);
    RushTest::Provider::pay($t, $paid, notify => 0);
    $t->do('UPDATE payment SET next_ms = 0 WHERE id = ?', $paid);
    becomes($t, $paid, 2, 'paid');

    $t->stop('provider');
    my $r = refunded($t, $m, $paid);
    $t->do('UPDATE payment SET state = 3, tries = 0, next_ms = 0 '
           . 'WHERE id = ?', $ids[0]);
    RushTest::Provider::pay($t, $ids[1], notify => 0);
    sleep 2;                            # ten minutes
    is(row($ids[0])->{state}, 3, 'closing goes on');
    like($t->value('SELECT state FROM refund WHERE id = ?', $r), qr/^[12]$/,
         'so does the refund');
    is($t->value('SELECT COUNT(*) FROM payment WHERE state = 1 AND id IN ('
                 . join(', ', @ids) . ')'), 4, 'what is open stays so');
    $t->start('provider');

    becomes($t, $ids[0], 4, 'closed');
    becomes($t, $ids[1], 2, 'paid, found by a question');
    refund_is($t, $r, 3, 'sent');
    is(scalar(grep { $_->{trade} eq $paid } RushTest::Provider::all(
        RushTest::Provider::dir($t), 'refund')), 1, 'once');
    RushTest::Provider::settle($t, "R$r", 'SUCCESS', notify => 0);
    refund_is($t, $r, 4, 'done');
    $m->close($_) foreach @ids[2 .. 4];
};


subtest 'a close that never comes' => sub {
    my $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1);
    fault('query', '503');
    fault('close', '503');
    $t->do('UPDATE payment SET state = 3, tries = 0, next_ms = 0, '
           . 'updated_ms = updated_ms - 200 * 60 * 26 WHERE id = ?', $id);
    becomes($t, $id, 4, 'is given up after 25 hours');
    like($m->alarms(), qr/pay_close/, 'with an alarm');
    fault('query', 'ok');
    fault('close', 'ok');
};


subtest 'MySQL goes away while a provider thinks' => sub {
    fault('native', 'slow', 1);
    my $id = asked($t, $m, 'wechat_native');
    soon('under way', sub { grep { $_->{body} =~ /"$id"/ }
                            RushTest::Provider::got($t, 'native') });
    $t->proxy('consumer_mysql')->refuse();
    sleep 1.5;
    $t->proxy('consumer_mysql')->pass();
    becomes($t, $id, 1, 'open');

    $t->proxy('consumer_redis')->refuse();
    $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, 'without Redis');
    $t->proxy('consumer_redis')->pass();
};


subtest 'two consumers' => sub {
    $t->start('consumer2');
    $t->pause('consumer');
    $t->proxy('consumer_mysql')->drop();
    $t->resume('consumer');

    my @ids = map { asked($t, $m, $_ % 2 ? 'wechat_native'
                                         : 'alipay_precreate') } 1 .. 12;
    becomes($t, $_, 1) foreach @ids;
    my %n;
    $n{$_}++ foreach map { $_->{body} =~ /out_trade_no(?:":"|%22%3A%22)(\d+)/
                           ? $1 : () }
        map { RushTest::Provider::got($t, $_) } qw(native precreate);
    is(scalar(grep { ($n{$_} // 0) != 1 } @ids), 0, 'one call each');
    is(scalar(grep { gauge($t, $_, 'teller') } qw(consumer consumer2)), 1,
       'one teller');
};


is(scalar(RushTest::Provider::bad($t)), 0, 'ours were all good');
clean($t, 'the books');

$t->finish();
done_testing();
