#!/usr/bin/perl

# Copyright (C) Rush
#
# Notices that were not applied: the list of those somebody has to look at,
# and what closes one.  The rows are the test's; t/68-give-back.t has what the
# consumer makes of it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Buyer;
use RushTest::Pay;
use Test::More;

my $t = RushTest->new(consumer => 0);
my $BASE = '/api/v1/admin/notices';
my ($UNMATCHED, $APPLIED, $DUPLICATE, $MISMATCH, $IGNORED, $CLOSED) = 0 .. 5;
my $serial = 0;

RushTest::Buyer::begin($t, 690_000);


sub notice {
    my (%o) = @_;
    return $t->insert('payment_notice', provider => 4, kind => 'pay',
        notice_key => 'n' . ++$serial, payment_id => 77, amount => 60,
        transaction_id => "T$serial", state => $MISMATCH, cause => 'currency',
        body => '{"payer":"o1"}', received_ms => now(), %o);
}


sub listed { return $t->get("$BASE$_[0]", admin => 1, @_[1 .. $#_]) }

sub ids { return join ' ', map { $_->{id} } @{data($_[0])->{list}} }

sub settle {
    my ($id, $reason, %who) = @_;
    return $t->post("$BASE/$id/close",
                    defined $reason ? { reason => $reason } : {},
                    %who ? %who : (admin => 1));
}


sub row_of {
    my ($row) = $t->sql('SELECT * FROM payment_notice WHERE id = ?', $_[0]);
    return $row;
}


# somebody who has this permission only

sub clerk {
    my ($may) = @_;

    my $user = user();
    my $role = data($t->post('/api/v1/admin/roles', { name => "r$user",
        permissions => [$may] }, admin => 1))->{id};

    $t->insert('user', id => $user, username => "u$user", nickname => 'x',
               password_hash => 'x', roles => 1 << ($role - 1),
               created_ms => 1, updated_ms => 1);
    my %who = (token => $t->token($user, roles => 1 << ($role - 1)));

    ok($t->wait_for(sub {
        told($may eq 'payments_read' ? $t->get($BASE, %who)
                                     : settle(0, 'x', %who)) ne '403 7';
    }, 5, 'the role'), 'the role is known');

    return ($user, %who);
}


subtest 'what somebody has to look at' => sub {
    my @old = map { notice(state => $_, told => 1) } 0 .. 4;
    my $young = notice(state => $UNMATCHED);
    my $last = notice(payment_id => 0, kind => 'refund', refund_id => 9,
                      times => 3, cause => 'merchant');
    my $r = listed('');

    is(told($r), '200 0', 'open') or diag($r->{body});
    is(ids($r), "$last $old[$MISMATCH] $old[$UNMATCHED]",
       'mismatches, and unmatched ones that nobody waits for any more');
    is(ids(listed('?state=open')), ids($r), 'the same by name');
    is_deeply(data(listed('?state=closed')), { list => [] }, 'none is closed');

    my ($one) = @{data($r)->{list}};
    delete $one->{received_at};
    is_deeply($one, { id => "$last", provider => 'sandbox', kind => 'refund',
        notice_key => "n$serial", payment_id => '0', refund_id => '9',
        transaction_id => "T$serial", amount => 60, state => 3,
        state_text => 'mismatch', cause => 'merchant',
        body => '{"payer":"o1"}', times => 3, applied_at => undef,
        closed_at => undef, closed_by => '0', reason => '' }, 'one of them');

    $r = listed('?page_size=2');
    is(ids($r) . ' > ' . data($r)->{next_last_id},
       "$last $old[$MISMATCH] > $old[$MISMATCH]", 'a page');
    $r = listed("?page_size=2&last_id=$old[$MISMATCH]");
    is(ids($r), $old[$UNMATCHED], 'the rest');
    ok(!exists data($r)->{next_last_id}, 'and no more');

    foreach my $q (qw(state=x state= page_size=0 page_size=21 last_id=0)) {
        is(told(listed("?$q")), '400 2', $q);
    }

    is(told($t->get($BASE, user => user())), '403 7', 'a buyer');
    is(told($t->get($BASE)), '401 6', 'nobody');

    my (undef, %clerk) = clerk('payments_read');
    $r = $t->get($BASE, %clerk);
    is(data($r)->{list}[0]{body}, '***', 'who has paid is for who may know');
    is(told(settle($last, 'x', %clerk)), '403 7', 'to see is not to close');
    is(row_of($last)->{state}, $MISMATCH, 'it is open');
};


subtest 'dealt with' => sub {
    my ($user, %clerk) = clerk('refunds_write');
    my $payment = payment(order_no => order(user_id => user()));
    my $id = notice(cause => 'app', payment_id => $payment);
    my $before = now();
    my $r = settle($id, "given back by hand, \x{7968} 17", %clerk);

    is(told($r), '200 0', 'closed') or diag($r->{body});

    my $one = data($r);
    my $row = row_of($id);
    is(join(' ', @$one{qw(id state state_text cause reason body)}),
       "$id 5 closed app given back by hand, \x{7968} 17 ***", 'told');
    is("$one->{closed_by} $row->{closed_by}", "$user $user", 'by whom');
    cmp_ok(abs($row->{closed_ms} - $before), '<', 20_000, 'when');
    like($one->{closed_at}, qr/^20\d\d-/, 'told, too');

    # the first one stands
    $r = settle($id, 'another reason');
    is(told($r), '200 0', 'once more');
    is_deeply([@{data($r)}{qw(closed_by closed_at reason)}],
              [@$one{qw(closed_by closed_at reason)}], 'as it was');
    is_deeply(row_of($id), $row, 'and the row');

    unlike(ids(listed('')), qr/\b$id\b/, 'nobody has to look');
    is(ids(listed('?state=closed')), $id, 'it can be seen');
    my ($of) = @{data($t->get("/api/v1/admin/payments/$payment/notices",
                              admin => 1))->{list}};
    is("$of->{state_text} $of->{reason}", "closed $one->{reason}",
       'beside its payment');

    # one that has no payment
    $id = notice(state => $UNMATCHED, told => 1, cause => '');
    is(told(settle($id, 'of the old shop')), '200 0', 'an unmatched one');
    is(row_of($id)->{state}, $CLOSED, 'closed');

    ok($t->wait_for(sub {
        $t->value('SELECT COUNT(*) FROM audit_inbox WHERE route = '
                  . "'seckill_notice_close' AND object = ?", $id) == 2;
    }, 5, 'the record'), 'in the record of administrators');
};


subtest 'not to be closed' => sub {
    my %id = (map({ $_ => notice(state => $_) }
                  $APPLIED, $DUPLICATE, $IGNORED),
              $UNMATCHED => notice(state => $UNMATCHED));

    foreach my $state (sort keys %id) {
        is(told(settle($id{$state}, 'x')), '409 13', "state $state");
        is(row_of($id{$state})->{state}, $state, 'as it was');
    }

    my $id = notice();
    is(told(settle($_, 'x')), '404 4', "unknown: $_")
        foreach $id + 1, 'x', 0;
    is(told(settle($id)), '400 2', 'a reason is due');
    is(told(settle($id, $_)), '400 2', 'a bad one') foreach '', 'x' x 201;
    is(told(settle($id, 'x', user => user())), '403 7', 'a buyer');
    is(told($t->post("$BASE/$id/close", { reason => 'x' })), '401 6',
       'nobody');
    is(row_of($id)->{state}, $MISMATCH, 'it is open');
};


# what was closed is no reason to give money back

subtest 'and not given back' => sub {
    my $id = payment(order_no => order(user_id => user()), state => 4);
    my @n = map { notice(payment_id => $id, cause => 'amount', amount => $_) }
        60, 70;
    my $give = sub {
        return $t->post("/api/v1/admin/payments/$id/give-back",
                        { reason => 'x', @_ }, admin => 1);
    };

    is(told(settle($n[0], 'was wrong')), '200 0', 'one of two');
    my $r = $give->(amount => 60);
    is(told($r) . ' ' . data($r)->{left}, '200 40006 70', 'the other counts');
    is(told(settle($n[1], 'paid back by hand')), '200 0', 'the other');
    $r = $give->();
    is(told($r) . ' ' . data($r)->{left}, '200 40006 0', 'nothing is left');
    is($t->value('SELECT COUNT(*) FROM refund WHERE payment_id = ?', $id), 0,
       'no refund');
};


subtest 'many at once' => sub {
    my $id = notice();
    my @r = $t->burst([map { { method => 'POST', path => "$BASE/$id/close",
        admin => 1, data => { reason => "reason $_" } } } 1 .. 20],
        sync => 1);
    my %reason = map { $_->{json}{data}{reason} => 1 } @r;

    is(scalar(grep { told($_) ne '200 0' } @r), 0, 'all are told');
    is(join(', ', keys %reason), row_of($id)->{close_reason}, 'the same');
};


$t->finish();
done_testing();
