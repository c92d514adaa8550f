#!/usr/bin/perl

# Copyright (C) Rush
#
# The whole way of money that others report: the teller opens a trade at the
# stand-in and publishes its certificates, the buyer pays there, its notice is
# taken by a worker, and the cashier applies it; then it goes back.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon);
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use Test::More;

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(start => 0,
    consumer_conf => RushTest::Teller::conf(port => $port),
    nginx => { workers => 2, extra_http => 'client_body_buffer_size 64k;'
               . RushTest::Provider::conf(wechat => '') });
my $m = RushTest::Money->new($t);

RushTest::Provider::add($t, $port);
$t->start(qw(redis mysql provider consumer nginx));
$t->wait_ready();


sub row { return $m->row('payment', $_[0]) }


sub told {
    my ($r, $body, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is("$r->{status} $r->{body}", "200 $body", $name);
}


# by a certificate that only the consumer has seen

foreach my $channel (qw(wechat_native alipay_precreate)) {
    my $yes = $channel =~ /alipay/ ? 'success' : '';
    my $id = asked($t, $m, $channel);

    becomes($t, $id, 1, "$channel: open");

    my $notice;
    told(RushTest::Provider::pay($t, $id, alter => sub { $notice = $_[0] }),
         $yes, "$channel: the notice is taken");
    becomes($t, $id, 2, "$channel: paid");
    is($m->row('orders', row($id)->{order_no})->{status}, 2,
       "$channel: and the order");

    # again, and a forged one beside it

    told(RushTest::Provider::deliver($t, $notice), $yes, "$channel: twice");
    is(RushTest::Provider::deliver($t, RushTest::Provider::notice($t, $id,
           forged => 1, total => 1), record => 0)->{status}, 401,
       "$channel: forged");

    # the consumer may have asked meanwhile, and keeps that answer, too
    my @paid;
    soon("$channel: both came to one", sub {
        @paid = $m->told(payment_id => $id, kind => 'pay');
        return $paid[0]{times} >= 2;
    });
    is(scalar(@paid), 1, "$channel: one notice");
    is($t->value('SELECT COUNT(*) FROM ledger WHERE txn = ?', "p:$id"), 2,
       "$channel: booked once");
}


# a refund, told by the second route

my $id = asked($t, $m, 'wechat_native');

becomes($t, $id, 1, 'another: open');
told(RushTest::Provider::pay($t, $id), '', 'another: the notice is taken');
becomes($t, $id, 2, 'another: paid');

my $refund = refunded($t, $m, $id);

refund_is($t, $refund, 3, 'a refund is under way');
told(RushTest::Provider::settle($t, "R$refund", 'SUCCESS'), '',
     'its notice is taken');
refund_is($t, $refund, 4, 'it is done');
is(row($id)->{returned}, row($id)->{amount}, 'and all of it is back');

$m->idle('all notices are applied');
$m->books('the books are right');

$t->finish();
done_testing();
