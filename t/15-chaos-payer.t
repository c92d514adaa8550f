#!/usr/bin/perl

# Copyright (C) Rush
#
# The payer of the chaos harness must notice what is wrong, and only that.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/chaos/lib";

use Test::More;

use Chaos::Payer;
use Chaos::Rand;

my $NO = '77-1001';


sub yes {
    my (%data) = @_;
    return { status => 200, code => 0, json => { data => \%data } };
}


sub code {
    my ($code, %data) = @_;
    return { status => 200, code => $code, json => { data => \%data } };
}


sub lost { return { status => 599, sent => 1, error => 'closed' } }
sub unsent { return { status => 599, sent => 0, error => 'connect' } }


# somebody with an order of 1000 to be paid until 100 s

sub ann {
    my $p = Chaos::Payer->new(name => 'ann', user => 7);

    $p->ordered({ op => 'buy', sale => 1001 }, yes(order_no => $NO));
    is_shown($p, 1);

    return $p;
}


# one request after the other; about => [answer, from, to], 0.1 s by default

my $time;

sub does {
    my ($p, $op, $r, %o) = @_;

    my $x = { op => $op, no => $NO, %o };

    delete $x->{at};
    $time = $o{at} // ($time // 0) + 1;
    $p->asked($x);
    $p->take($x, $r, $time, $time + 0.1);
}


sub is_shown {
    my ($p, $status, %o) = @_;
    does($p, 'look', yes(status => $status, amount => 1000,
                         pay_deadline_ms => 100_000, %{$o{data} || {}}),
         exists $o{at} ? (at => $o{at}) : ());
}


sub opened { does($_[0], 'pay', yes(id => 5, amount => 1000)) }
sub taken { does($_[0], 'take', $_[1] // yes(), pid => 5) }
sub is_paid { is_shown($_[0], 2, data => { trade_code => 'ABCDEFGH' }) }


sub paid {
    my ($p) = @_;

    opened($p);
    taken($p);
    is_paid($p);
}


sub asks_back {
    my ($p, $amount, $id, %o) = @_;
    does($p, 'refund', yes(id => $id), pid => 5, amount => $amount,
         key => "k$id", %o);
}


sub decided {
    my ($p, $how, $id, $r) = @_;
    does($p, $how, $r // yes(), rid => $id);
}


sub seen {
    my ($p, $id, $state) = @_;
    does($p, 'seen', yes(state_text => $state), rid => $id);
}


# at rest: the order and its ways, and rows by id

sub rests {
    my ($p, $status, %o) = @_;

    $p->rest({
        now => 50,
        orders => { $NO => { order_no => $NO, status => $status } },
        log => { $NO => [map { { to_status => $_ } } @{$o{way} || []}] },
        payments => { 5 => { id => 5, order_no => $NO,
                             amount => 1000, state => $o{payment} // 1 } },
        notices => { 5 => $o{notices} || [] },
        refunds => $o{refunds} || {},
    });
}


my $nothing = qr/^\z/;

my @cases = (
    ['all is well', $nothing, sub {
        my ($p) = @_;
        paid($p);
        does($p, 'ship', yes());
        is_shown($p, 3, data => { trade_code => 'ABCDEFGH' });
        does($p, 'confirm', yes());
        is_shown($p, 4, data => { trade_code => 'ABCDEFGH' });
        asks_back($p, 1000, 9);
        seen($p, 9, 'requested');
        decided($p, 'approve', 9);
        seen($p, 9, 'done');
        is_shown($p, 7);
        rests($p, 7, way => [2, 3, 4, 6, 7], payment => 2,
              refunds => { 9 => { state => 4, amount => 1000 } });
    }],

    # orders
    ['paid by nobody', qr/is in state 2, which nobody/, sub {
        opened($_[0]);
        is_paid($_[0]);
    }],
    ['by who got no answer', $nothing, sub {
        opened($_[0]);
        taken($_[0], lost());
        is_paid($_[0]);
    }],
    ['by what never left', qr/is in state 2, which nobody/, sub {
        opened($_[0]);
        taken($_[0], unsent());
        is_paid($_[0]);
    }],
    ['back to where it was', qr/was in state 2, is in state 1/, sub {
        paid($_[0]);
        is_shown($_[0], 1);
    }],
    ['shipped by nobody', qr/is in state 3, which nobody/, sub {
        paid($_[0]);
        is_shown($_[0], 3, data => { trade_code => 'ABCDEFGH' });
    }],
    ['cancelled by nobody', qr/^live\|.*state 5, which nobody/, sub {
        is_shown($_[0], 5, at => 50);
    }],
    ['by its deadline', $nothing, sub { is_shown($_[0], 5, at => 101) }],
    ['cancelled, and alive', qr/is in state 1, which nobody/, sub {
        does($_[0], 'cancel', yes());
        is_shown($_[0], 1);
    }],
    ['cancelled, and paid', qr/is in state 2, which nobody/, sub {
        my ($p) = @_;
        opened($p);
        does($p, 'cancel', yes());
        taken($p);
        is_paid($p);
    }],
    ['cancelled after it was paid', qr/was cancelled in state 2/, sub {
        paid($_[0]);
        does($_[0], 'cancel', yes());
    }],
    ['it cannot be cancelled', qr/^live\|.*waits and cannot be cancelled/,
     sub { does($_[0], 'cancel', code(30001), at => 10) }],
    ['nor when it may be paid', $nothing, sub {
        opened($_[0]);
        taken($_[0], lost());
        does($_[0], 'cancel', code(30001), at => 10);
    }],
    ['it is not found', qr/^lost\|.*acknowledged and is missing/,
     sub { does($_[0], 'look', code(4)) }],
    ['another code', qr/has code ABCDEFGJ, it had ABCDEFGH/, sub {
        paid($_[0]);
        is_shown($_[0], 2, data => { trade_code => 'ABCDEFGJ' });
    }],
    ['a code before it is paid', qr/has a code in state 1/, sub {
        is_shown($_[0], 1, data => { trade_code => 'ABCDEFGH' });
    }],
    ['redeemed twice', qr/was redeemed 2 times/, sub {
        paid($_[0]);
        does($_[0], 'redeem', yes()) foreach 1, 2;
    }],
    ['shipped without money', qr/went on by "ship" and was never paid/,
     sub { does($_[0], 'ship', yes()) }],
    ['one request, two orders', qr/k1 was told to be 1-0, then 2-0/, sub {
        does($_[0], 'order', yes(order_no => "$_-0"), no => undef,
             key => 'k1', product => 3, q => 1) foreach 1, 2;
    }],
    ['one request, one order', $nothing, sub {
        my %x = (no => undef, key => 'k1', product => 3, q => 1);
        does($_[0], 'order', lost(), %x);
        does($_[0], 'order', yes(order_no => '1-0'), %x) foreach 1, 2;
    }],
    ['an answer that must not be', qr/look was answered 500/, sub {
        does($_[0], 'look', { status => 500, code => 1, body => '' });
    }],

    # payments
    ['it cannot be paid', qr/^live\|.*waits and cannot be paid/,
     sub { does($_[0], 'pay', code(30001), at => 10) }],
    ['paid again', qr/can be paid in state 2/, sub {
        paid($_[0]);
        opened($_[0]);
    }],
    ['paid after its end', qr/was cancelled and can be paid/, sub {
        does($_[0], 'cancel', yes());
        opened($_[0]);
    }],
    ['another amount', qr/payment 5 is of 1000, then of 999/, sub {
        opened($_[0]);
        does($_[0], 'pay', yes(id => 5, amount => 999));
    }],
    ['a payment that is gone', qr/payment 5 is gone/, sub {
        opened($_[0]);
        does($_[0], 'status', code(4), pid => 5);
    }],
    ['and nobody paid it', qr/payment 5 is paid, and nobody paid/, sub {
        opened($_[0]);
        does($_[0], 'status', yes(state_text => 'paid'), pid => 5);
    }],
    ['and nobody closed it', qr/^live\|.*is closed, and nobody closed/, sub {
        opened($_[0]);
        does($_[0], 'status', yes(state_text => 'closed'), pid => 5);
    }],
    ['forward only', qr/payment 5 was paid, is open/, sub {
        paid($_[0]);
        does($_[0], 'status', yes(state_text => $_), pid => 5)
            foreach qw(paid open);
    }],
    ['closed, and takes money', qr/was closed and takes money/, sub {
        opened($_[0]);
        does($_[0], 'close', yes(), pid => 5);
        does($_[0], 'status', yes(state_text => 'closed'), pid => 5);
        taken($_[0]);
    }],
    ['paid, and closed', qr/payment 5 was closed, it is paid/, sub {
        paid($_[0]);
        does($_[0], 'status', yes(state_text => 'paid'), pid => 5);
        does($_[0], 'close', yes(), pid => 5);
    }],
    ['a notice that came early', $nothing, sub {
        my ($p) = @_;
        $p->asked({ op => 'early', no => $NO, pid => 5, amount => 1000 });
        is_paid($p);
        rests($p, 2, way => [2], payment => 2);
    }],

    ['a forged notice', qr/a bad signature \(old\) was answered 200/, sub {
        $_[0]->take({ op => 'forged', way => 'old' }, { status => 200 });
    }],
    ['which is refused', $nothing, sub {
        $_[0]->take({ op => 'forged', way => 'old' }, { status => $_ })
            foreach 401, 503, 599;
    }],

    # refunds
    ['of more than was paid', qr/of 1000 has a refund of 1001/, sub {
        paid($_[0]);
        asks_back($_[0], 1001, 9);
    }],
    ['which is refused', $nothing, sub {
        paid($_[0]);
        does($_[0], 'refund', code(40006), pid => 5, amount => 1001,
             key => 'k');
    }],
    ['of what nobody paid', qr/has a refund, and nobody paid/, sub {
        opened($_[0]);
        asks_back($_[0], 1000, 9);
    }],
    ['one request, two refunds', qr/refund k is 8, then 9/, sub {
        paid($_[0]);
        asks_back($_[0], 1, $_, key => 'k') foreach 8, 9;
    }],
    ['by an administrator', $nothing, sub {
        paid($_[0]);
        does($_[0], 'return', yes(id => 9), pid => 5, amount => 1000,
             key => 'k');
        seen($_[0], 9, 'done');
        is_shown($_[0], 7);
    }],
    ['twice', qr/payment 5 of 1000: 2000 went back/, sub {
        my ($p) = @_;
        paid($p);
        asks_back($p, 1000, $_) foreach 8, 9;
        decided($p, 'approve', $_) foreach 8, 9;
        seen($p, $_, 'done') foreach 8, 9;
    }],
    ['approved, and rejected', qr/9 was approved and rejected/, sub {
        my ($p) = @_;
        paid($p);
        asks_back($p, 1000, 9);
        decided($p, $_, 9) foreach qw(approve reject);
    }],
    ['done, and nobody decided so', qr/9 is done, and nobody decided/, sub {
        paid($_[0]);
        asks_back($_[0], 1000, 9);
        seen($_[0], 9, 'done');
    }],
    ['rejected by nobody', qr/9 is rejected, and nobody decided/, sub {
        paid($_[0]);
        asks_back($_[0], 1000, 9);
        seen($_[0], 9, 'rejected');
    }],
    ['back again', qr/refund 9 was done, is sending/, sub {
        my ($p) = @_;
        paid($p);
        asks_back($p, 1000, 9);
        decided($p, 'approve', 9, lost());
        seen($p, 9, $_) foreach qw(done sending);
    }],

    # at rest
    ['no row', qr/^lost\|.*was acknowledged and has no row/,
     sub { $_[0]->rest({}) }],
    ['it waits no more', qr/^live\|.*ended in state 2, which nobody/,
     sub { rests($_[0], 2) }],
    ['a cancel that is gone', qr/was cancelled and is in state 1/, sub {
        does($_[0], 'cancel', yes());
        rests($_[0], 1);
    }],
    ['cancelled at rest', qr/^live\|.*ended in state 5, which nobody/,
     sub { rests($_[0], 5) }],
    ['a shipment that is gone', qr/"ship" was acknowledged, not done/, sub {
        paid($_[0]);
        does($_[0], 'ship', yes());
        rests($_[0], 2, way => [2], payment => 2);
    }],
    ['money that is gone', qr/payment 5 took money and has none/, sub {
        opened($_[0]);
        taken($_[0]);
        rests($_[0], 1);
    }],
    ['money from nowhere', qr/payment 5 has money, and nobody paid/, sub {
        opened($_[0]);
        rests($_[0], 1, payment => 7);
    }],
    ['a notice that is gone', qr/^lost\|.*the notice of its money is/, sub {
        opened($_[0]);
        taken($_[0], yes(notice => 'sent'));
        rests($_[0], 2, payment => 2, notices => [1001]);
    }],
    ['that was heard', $nothing, sub {
        opened($_[0]);
        taken($_[0], yes(notice => 'sent'));
        rests($_[0], 2, payment => 2, notices => [1000]);
    }],
    ['a decision that is gone', qr/9 was approved, its state is 0/, sub {
        my ($p) = @_;
        paid($p);
        asks_back($p, 1000, 9);
        decided($p, 'approve', 9);
        rests($p, 2, way => [2], payment => 2,
              refunds => { 9 => { state => 0, amount => 1000 } });
    }],
    ['a refund of another sum', qr/refund 9 is of 10, asked for were 1000/,
     sub {
        my ($p) = @_;
        paid($p);
        asks_back($p, 1000, 9);
        rests($p, 2, way => [2], payment => 2,
              refunds => { 9 => { state => 0, amount => 10 } });
    }],
    ['one that nobody approved', qr/has state 4, and nobody decided/, sub {
        my ($p) = @_;
        paid($p);
        asks_back($p, 1000, 9);
        rests($p, 2, way => [2], payment => 2,
              refunds => { 9 => { state => 4, amount => 1000 } });
    }],
);

foreach (@cases) {
    my ($name, $want, $sub) = @$_;

    $time = 0;
    my $p = ann();
    $sub->($p);
    like(join("\n", map { "$_->[0]|$_->[1]" } @{$p->{wrong}}), $want, $name);
}


# whatever it does, and whatever is lost, it says nothing while no answer
# comes; every operation can be sent

subtest 'a random life' => sub {
    my %did;

    foreach my $seed (1 .. 200) {
        my $rnd = Chaos::Rand->new($seed, 'life');
        my $p = Chaos::Payer->new(name => "bob$seed", user => 8);
        my $shop = { sales => [{ id => 1001 }], products => [3],
                     forged => { old => { headers => {}, body => '' } } };
        my $now = 0;

        $p->have($NO, kind => 'flash');
        @{$p->{orders}{$NO}}{qw(status amount deadline)} =
            ($seed % 7 + 1, 1000, 100);
        $p->{orders}{$NO}{payments}{5} = { id => 5, amount => 1000 };
        $p->{orders}{$NO}{refunds}{$_} = { id => $_, pid => 5, amount => 1 }
            foreach 8, 9;
        $p->{orders}{$NO}{code} = 'ABCDEFGH';

        foreach (1 .. 30) {
            my $x = $p->choose($rnd, $now, $shop);

            $now += $rnd->range(1, 20) / 10;
            $p->asked($x);

            next if $x->{op} eq 'forged' && ++$did{forged};

            foreach my $one ($x->{both} ? @{$x->{both}} : $x) {
                $did{$one->{op}}++;
                next if $one->{op} =~ /^(?:buy|early)$/;
                ok(0, "$one->{op}: a request")
                    if $p->request($one)->{path} !~ m!^/[^/]+(?:/[^/]+)+$!;
                $p->take($one, lost(), $now, $now + 0.1);
            }
        }

        is_deeply($p->{wrong}, [], "life $seed") if @{$p->{wrong}};
    }

    is_deeply([sort keys %did], [sort qw(buy order look cancel pay take close
        status early forged refund return seen ship redeem confirm approve
        reject retry)],
        'everything was done');
};


done_testing();
