#!/usr/bin/perl

# Copyright (C) Rush
#
# While an account changes from platform certificates to the public key ("both"
# of [wechat_pay]): answers and notices of either kind are believed; without it
# certificates are not even fetched.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon clean);
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use Test::More;

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(start => 0,
    consumer_conf => RushTest::Teller::conf(port => $port, wechat => 'key',
        wechat_pay => { both => 1 }),
    nginx => { extra_http => RushTest::Provider::conf(alipay => undef) });
my $m = RushTest::Money->new($t);
my %serial = %RushTest::Provider::SERIAL;

RushTest::Provider::add($t, $port);
$t->start(qw(redis mysql provider consumer nginx));
$t->wait_ready();


sub row { return $m->row('payment', $_[0]) }
sub signer { return RushTest::Provider::signer($t, @_) }
sub published { return $t->redis()->exists("{rush}k:wx:$serial{$_[0]}") }


# a payment from the beginning to the notice, all signed by this key

sub whole_way {
    my ($key) = @_;

    signer($key);
    my $id = asked($t, $m, 'wechat_native');
    becomes($t, $id, 1, "$key: open");

    my $r = RushTest::Provider::pay($t, $id, alter => sub {
        is($_[0]{headers}{'Wechatpay-Serial'}, $serial{$key},
           "$key: signs the notice");
    });
    is($r->{status}, 200, "$key: the notice is taken");
    becomes($t, $id, 2, "$key: paid");

    my $refund = refunded($t, $m, $id);
    refund_is($t, $refund, 3, "$key: the refund is under way");
    RushTest::Provider::settle($t, "R$refund", 'SUCCESS', notify => 0);
    refund_is($t, $refund, 4, "$key: done, found by a question");
}


subtest 'both' => sub {
    soon('certificates are fetched', sub { published('wx1') });

    whole_way('wxpub');
    whole_way('wx1');

    my ($call) = RushTest::Provider::got($t, 'native');
    is($call->{headers}{'wechatpay-serial'}, $serial{wxpub},
       'the public key is what is asked for');

    # one more appears meanwhile
    RushTest::Provider::certs($t, qw(wx1 wx2));
    my $before = calls($t, 'certificates');
    whole_way('wx2');
    ok(calls($t, 'certificates') > $before, 'it was fetched');
    whole_way('wxpub');
};


subtest 'the public key alone' => sub {
    my $file = "$t->{dir}/consumer.conf";

    $t->stop('consumer');
    RushTest::spew($file, RushTest::slurp($file) =~ s/^both = \K1$/0/mr);
    $t->redis()->del(map { "{rush}k:wx:$serial{$_}" } qw(wx1 wx2));
    $t->start('consumer');

    my $before = calls($t, 'certificates');
    whole_way('wxpub');

    signer('wx1');
    my $id = asked($t, $m, 'wechat_native');
    soon('an answer of a certificate', sub { row($id)->{cause}
                                             =~ /key that is not known/ });
    is(row($id)->{state}, 0, 'is not believed');
    signer('wxpub');
    becomes($t, $id, 1, 'one of the public key is');

    is(calls($t, 'certificates'), $before, 'none are fetched');
    ok(!published('wx1'), 'and none published');
    $m->close($id);
};


is(scalar(RushTest::Provider::bad($t)), 0, 'ours were all good');
$m->idle();
clean($t, 'the books');

$t->finish();
done_testing();
