#!/usr/bin/perl

# Copyright (C) Rush
#
# Alipay's certificate mode against the stand-in, which computes the SN of all
# certificates itself: each call names ours and the root's, answers and notices
# count when Alipay's certificate has signed them.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon clean);
use RushTest::Money;
use RushTest::Provider;
use RushTest::Teller;
use HTTP::Tiny;
use Test::More;

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(start => 0,
    consumer_conf => RushTest::Teller::conf(port => $port, alipay => 'cert'),
    nginx => { extra_http => RushTest::Provider::conf(wechat => undef)
               =~ s/alipay\.bare/alipay.crt/r });
my $m = RushTest::Money->new($t);
my $dir = RushTest::Provider::dir($t);

RushTest::Provider::add($t, $port, alipay => 'cert');
$t->start(qw(redis mysql provider consumer nginx));
$t->wait_ready();


sub row { return $m->row('payment', $_[0]) }
sub fault { return RushTest::Provider::fault($t, @_) }
sub sn { return RushTest::Provider::Alipay::sn($dir, $_[0]) }


sub opened {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return RushTest::Teller::opened($t, $m, 'alipay_precreate', $name);
}


sub paid {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return RushTest::Teller::paid($t, $m, 'alipay_precreate', @_);
}


# the SN that stand in all calls of this operation

sub named {
    my ($op) = @_;

    my %seen;

    foreach my $call (RushTest::Provider::got($t, $op)) {
        my $f = RushTest::Provider::Alipay::form({ body => $call->{body},
            args => $call->{path} =~ /\?(.*)/ ? $1 : '' });
        $seen{($f->{app_cert_sn} // '-') . ' '
              . ($f->{alipay_root_cert_sn} // '-')} = 1;
    }

    return join ', ', sort keys %seen;
}


my $ours = sn('app_cert_sn') . ' ' . sn('alipay_root_cert_sn');

like($ours, qr/^[0-9a-f]{32} [0-9a-f]{32}_[0-9a-f]{32}$/,
     'a root for each that is signed by RSA');


subtest 'each operation' => sub {
    my $id = paid('whole');
    my $r = refunded($t, $m, $id);
    refund_is($t, $r, 4, 'refund');

    # its outcome is not known: asked by its number
    $id = paid('unknown');
    fault('arefund', 'late500', 1);
    $r = refunded($t, $m, $id);
    refund_is($t, $r, 4, 'refund, found by a question');

    $id = opened();
    RushTest::Provider::set($t, $id, state => 'SCANNED');
    $t->do('UPDATE payment SET state = 3, tries = 0, next_ms = 0 '
           . 'WHERE id = ?', $id);
    becomes($t, $id, 4, 'close');

    $id = asked($t, $m, 'alipay_page');
    becomes($t, $id, 1, 'page');
    my $page = HTTP::Tiny->new()->get(params($t, $id)->{pay_url});
    is($page->{status}, 200, 'what a browser opens is signed')
        or diag($page->{content});
    $m->close($id);

    foreach my $op (qw(precreate aquery aclose arefund arefund_query page)) {
        is(named($op), $ours, "$op names both");
    }

    is(scalar(RushTest::Provider::bad($t)), 0, 'ours are all good')
        or diag(explain([map { "$_->{op}: $_->{why}" }
                         RushTest::Provider::bad($t)]));
};


# another key under another certificate, and under the right one

subtest 'answers of another certificate' => sub {
    my %why = (othercert => qr/key that is not known/,
               wrongkey => qr/signature is wrong/);

    foreach my $fault (sort keys %why) {
        fault('precreate', $fault);
        my $id = asked($t, $m, 'alipay_precreate');
        soon("precreate, $fault", sub { row($id)->{cause} =~ $why{$fault} });
        is(row($id)->{state}, 0, 'is not believed');
        fault('precreate', 'ok');
        becomes($t, $id, 1, 'later it is');

        RushTest::Provider::pay($t, $id, notify => 0);
        fault('aquery', $fault);
        RushTest::Teller::due($t, $id);
        soon("query, $fault", sub { row($id)->{cause} =~ $why{$fault} });
        is(row($id)->{state}, 1, 'not paid');
        fault('aquery', 'ok');
        becomes($t, $id, 2, 'paid');

        fault($_, $fault) foreach qw(arefund arefund_query);
        my $r = refunded($t, $m, $id);
        soon("refund, $fault", sub {
            $m->row('refund', $r)->{cause} =~ $why{$fault}
        });
        is($m->row('refund', $r)->{state}, 2, 'not done');
        fault($_, 'ok') foreach qw(arefund arefund_query);
        refund_is($t, $r, 4, 'done');
        is(scalar(grep { $_->{trade} eq $id } RushTest::Provider::all(
            $dir, 'refund')), 1, 'one refund there');

        $id = opened();
        RushTest::Provider::set($t, $id, state => 'SCANNED');
        fault('aclose', $fault, 1);
        $t->do('UPDATE payment SET state = 3, tries = 0, next_ms = 0 '
               . 'WHERE id = ?', $id);
        becomes($t, $id, 4, "close, $fault: found by a question");
        like($t->log_text('consumer'),
             qr/close $id: the answer is not believed: .*$why{$fault}/,
             'the answer was none');
    }

    like($m->alarms(), qr/pay_forged/, 'an alarm');
};


subtest 'notices' => sub {
    my $other = 'ab' x 16;

    foreach my $skip ([], ['alipay_cert_sn']) {
        my $id = opened();
        my $r = RushTest::Provider::pay($t, $id, skip => $skip, alter => sub {
            my ($n) = @_;
            is($n->{fields}{alipay_cert_sn}, sn('alipay_cert_sn'),
               'it names its certificate');
        });
        is("$r->{status} $r->{body}", '200 success', 'taken');
        becomes($t, $id, 2, 'paid');
    }

    my $id = opened();
    my $notice = sub {
        my (%o) = @_;
        return RushTest::Provider::deliver($t, RushTest::Provider::notice(
            $t, $id, state => 'TRADE_SUCCESS', %o), record => 0)->{status};
    };

    is($notice->(key => 'other', fields => { alipay_cert_sn => $other }), 401,
       'of another certificate');
    is($notice->(key => 'other'), 401, 'of another key in its name');
    is(row($id)->{state}, 1, 'not paid');
    $m->close($id);
};


$m->idle();
clean($t, 'the books');

$t->finish();
done_testing();
