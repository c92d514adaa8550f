#!/usr/bin/perl

# Copyright (C) Rush
#
# The checker of the chaos harness must be able to fail: each subtest takes
# books and a history that are right, makes one thing wrong, and wants it to
# be named.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/chaos/lib";

use Test::More;

use Chaos::Check;
use Chaos::History;

my $A = 1001;                           # limit 2, 10 units put in, 2 more later
my $PLAN = { activities => [{ id => $A, stock => 10, limit => 2 }] };

# who asked for what and has: a live order, one given back, a refusal
my @CALLS = (
    [1, buy => 7, 'k1', 10.0, 10.1, { kind => 'yes', order => 'o1-1001' }],
    [2, buy => 8, 'k2', 10.2, 10.3, { kind => 'yes', order => 'o2-1001' }],
    [3, buy => 9, 'k3', 10.4, 10.5, { kind => 'no' }],
    [4, buy => 9, 'k4', 10.5, 10.6, { kind => 'not' }],
    [5, buy => 9, 'k5', 10.6, 10.7, { kind => 'unknown' }],
    [6, resolve => 9, 'k5', 10.8, 10.9, { kind => 'no' }],
    [7, poll => 7, 'o1-1001', 11.0, 11.1, { kind => 'success' }],
    [8, poll => 8, 'o2-1001', 11.2, 11.3, { kind => 'failed' }],
    [9, cancel => 8, 'o2-1001', 11.0, 11.1, { kind => 'done' }],
    [10, adjust => undef, 'more', 11.0, 11.1, { kind => 'done', op_id => 5 }],
);


sub order {
    my ($no, $user, $req, %o) = @_;

    return { order_no => $no, user_id => $user, activity_id => $A,
             req_id => $req, qty => 1, price => 100, amount => 100,
             status => 1, stock_state => 0, granted_ms => 10_050,
             stream_id => '10050-0', %o };
}


sub books {
    return {
        activities => { $A => { total => 12, sold => 1, epoch => 3, rev => 2,
                                applied_rev => 2 } },
        ops => [{ id => 5, activity_id => $A, delta => 2, state => 2,
                  reason => 'more' },
                { id => 6, activity_id => $A, delta => -9, state => 3,
                  reason => 'less' }],
        orders => [order('o1-1001', 7, 'k1'),
                   order('o2-1001', 8, 'k2', status => 5, stock_state => 3,
                         granted_ms => 10_250)],
        prices => { $A => { 1 => 100 } },
        alarms => [], dead => [], half => {}, reconcile => [0, ''],
        open => { nginx => 1 },
        meta => { $A => { epoch => 3, remain => 11, total => 12, limit => 2,
                          state => 'on' } },
        users => { $A => { 7 => 1, '7:k1' => 'o1-1001', '8:k2' => '-o2-1001',
                           '9:k5' => '-' } },
        stream => { $A => [['10050-0', 3, [7, 'k1', 'o1-1001', 1]],
                           ['10250-0', 3, [8, 'k2', 'o2-1001', 1]]] },
        group => { $A => { pending => 0, lag => 0 } },
    };
}


sub events {
    my (@calls) = @_;

    my @events = ({ ev => 'epoch', a => $A, e => 3, t0 => 9, t => 9.1 },
                  { ev => 'epoch', a => $A, e => 3, t0 => 99, t => 99.1 });

    foreach (@calls) {
        my ($i, $op, $u, $what, $from, $to, $ret) = @$_;
        my $name = $op =~ /^(?:poll|cancel)$/ ? 'order' : 'id';

        push @events, { ev => 'call', i => $i, op => $op, a => $A, u => $u,
                        retry => $ret && $ret->{filtered},
                        t => $from, defined $what ? ($name => $what) : (),
                        q => $op eq 'adjust' ? 2 : 1 };
        push @events, { ev => 'ret', i => $i, t => $to, %$ret } if $ret;
    }

    return @events;
}


sub judge {
    my (%o) = @_;

    my $books = books();

    $o{books}->($books, $books->{activities}{$A}, $books->{meta}{$A},
                $books->{users}{$A}, $books->{orders}) if $o{books};

    my %given = map { $_->[0] => $_ } @{$o{calls} || []};
    my @calls = (grep { !$given{$_->[0]} } @CALLS);
    my $h = Chaos::History->fold(events(@calls, @{$o{calls} || []}),
                                 @{$o{events} || []});

    return Chaos::Check->judge($PLAN, $books, $h, %{$o{with} || {}});
}


sub finds {
    my ($what, $pattern, %o) = @_;

    my @wrong = judge(%o);

    ok(scalar(grep { /$pattern/ } @wrong), $what)
        or diag('it says: ', join("\n", @wrong) || 'nothing');
}


sub fine {
    my ($what, %o) = @_;
    is(join("\n", judge(%o)), '', $what);
}


fine('nothing to find');


subtest 'books of MySQL' => sub {
    finds('a row that is missing', qr/^I11 .* was told order o1-1001.*no row/,
          books => sub { shift @{$_[4]} });
    finds('which is counted', qr/^I1 .*sold is 1, live orders hold 0/,
          books => sub { shift @{$_[4]} });
    finds('sold off by one', qr/^I1 .*sold is 2/,
          books => sub { $_[1]{sold} = 2 });
    finds('more than there was', qr/^I1 .*1 units sold of 0/,
          books => sub { $_[1]{total} = 0 });
    finds('a total from nowhere', qr/^I1 .*total is 13, .* makes 12/,
          books => sub { $_[1]{total} = 13 });
    finds('more than the limit', qr/^I3 .*user 7 holds 3 units/,
          books => sub { $_[4][0]{qty} = 3 });
    finds('another quantity than was asked', qr/^I11 .*of 2 units/,
          books => sub { @{$_[4][0]}{qw(qty amount)} = (2, 200) });
    finds('a wrong price', qr/^I7 /, books => sub { $_[4][0]{price} = 99 });
    finds('a wrong amount', qr/^I7 /, books => sub { $_[4][0]{amount} = 0 });
    finds('paid, and not sold', qr/^I8 .*status 2 with stock state 0/,
          books => sub { $_[4][0]{status} = 2 });
    finds('an order on its way back', qr/^I8 .*on its way back/,
          books => sub { $_[4][1]{stock_state} = 2 });
    finds('refused by the ledger', qr/^N1 .*refused/,
          books => sub { @{$_[4][0]}{qw(status stock_state)} = (9, 5) });
    finds('nobody asked for it', qr/^I11 .*nobody asked/, books => sub {
        push @{$_[4]}, order('o9-1001', 77, 'k9');
    });
    finds('an open operation', qr/^I12 stock operation 5 is open/,
          books => sub { $_[0]{ops}[0]{state} = 1 });
    finds('a lost operation', qr/^I11 stock operation 5/,
          books => sub { shift @{$_[0]{ops}} });
    finds('an operation done twice', qr/^I4 stock operation "more"/,
          books => sub { push @{$_[0]{ops}}, { %{$_[0]{ops}[0]}, id => 8 } });
    finds('a change that is not applied', qr/^I12 .*revision/,
          books => sub { $_[1]{rev} = 3 });
    finds('oversell', qr/^N1 alarm oversell_blocked/, books => sub {
        push @{$_[0]{alarms}}, { kind => 'oversell_blocked',
                                 activity_id => $A, detail => '' };
    });
    finds('a repair nothing explains', qr/^I12 alarm group_lost/,
          books => sub {
              push @{$_[0]{alarms}}, { kind => 'group_lost',
                                       activity_id => $A, detail => '' };
          });
    fine('a repair that lost data explains', with => { lost => 1 },
         books => sub {
             push @{$_[0]{alarms}}, { kind => 'group_lost',
                                      activity_id => $A, detail => '' };
         });
    finds('a dead letter', qr/^I12 dead letter/, books => sub {
        push @{$_[0]{dead}}, { stream_id => '1-1', cause => 'x' };
    });
    finds('operations that are left', qr/^I14 nginx: .* 2 operations/,
          books => sub { $_[0]{open}{nginx} = 2 });
    finds('what reconcile says', qr/^I9 reconcile says: I9 x/,
          books => sub { $_[0]{reconcile} = [1, "I9 x\n"] });
};


subtest 'books of Redis' => sub {
    finds('remain off by one', qr/^I9 .*10 units left in Redis/,
          books => sub { $_[2]{remain} = 10 });
    finds('which is not what is held', qr/^I2 .*10 units left and 1 held/,
          books => sub { $_[2]{remain} = 10 });
    finds('below zero', qr/^I2 /, books => sub { $_[2]{remain} = -1 });
    finds('not loaded', qr/^I9 .*not loaded/,
          books => sub { %{$_[2]} = () });
    finds('another epoch', qr/^I9 .*epoch is 2/,
          books => sub { $_[2]{epoch} = 2 });
    finds('off', qr/^I9 .*state is off/,
          books => sub { $_[2]{state} = 'off' });
    finds('an order that Redis forgot', qr/^I10 .*7:k1: Redis has ""/,
          books => sub { delete $_[3]{'7:k1'} });
    finds('a hold without an order', qr/^I10 .*6:k6/,
          books => sub { $_[3]{'6:k6'} = 'o6-1001' });
    finds('units without an order', qr/^I10 .*user 6: 1 units in Redis/,
          books => sub { $_[3]{6} = 1 });
    finds('too many units', qr/^I3 .*user 7 holds 3 units in Redis/,
          books => sub { $_[3]{7} = 3 });
    finds('an order that is still held', qr/^I10 .*8:k2/,
          books => sub { $_[3]{'8:k2'} = 'o2-1001' });
    finds('no tombstone', qr/^I10 .*8:k2: Redis has ""/,
          books => sub { delete $_[3]{'8:k2'} });
    finds('half a rebuild', qr/^I12 .*half of a rebuild/,
          books => sub { $_[0]{half}{$A} = 1 });
    finds('pending entries', qr/^I12 .*1 pending/,
          books => sub { $_[0]{group}{$A}{pending} = 1 });
    finds('entries nobody read', qr/^I12 .*lag 2/,
          books => sub { $_[0]{group}{$A}{lag} = 2 });
    finds('no group', qr/^I12 .*no group/,
          books => sub { delete $_[0]{group}{$A} });
    finds('an entry without a row', qr/^I12 .*grants o3-1001 to 5:k/,
          books => sub {
              push @{$_[0]{stream}{$A}}, ['10400-0', 3,
                                          [5, 'k', 'o3-1001', 1]];
          });
    finds('a row without a grant', qr/^I11 order o2-1001 has no grant/,
          books => sub { pop @{$_[0]{stream}{$A}} });
    fine('a grant that was trimmed',
         books => sub { shift @{$_[0]{stream}{$A}} });
};


subtest 'what was told' => sub {
    finds('two yes for one id', qr/^I5 1001:7:k1 was told two orders/,
          calls => [[20, buy => 7, 'k1', 12, 13,
                     { kind => 'yes', order => 'o9-1001' }]]);
    finds('one number for two', qr/^N7 order o1-1001 was told to/,
          calls => [[20, buy => 5, 'k9', 12, 13,
                     { kind => 'yes', order => 'o1-1001' }]]);
    finds('yes, then no', qr/^I5 1001:7:k1 was told yes, then no/,
          calls => [[20, buy => 7, 'k1', 12, 13, { kind => 'no' }]]);
    finds('yes, then no in a later epoch', qr/^I5 1001:7:k1 was told yes/,
          calls => [[20, buy => 7, 'k1', 12, 13, { kind => 'no' }]],
          books => sub { $_[1]{epoch} = $_[2]{epoch} = 4 });
    finds('no, then yes', qr/^I5 1001:7:k1 was told no and yes/,
          calls => [[20, buy => 7, 'k1', 9.5, 9.6, { kind => 'no' }]]);
    finds('no, and an order', qr/^I6 1001:9:k3 was told no and has/,
          books => sub {
              push @{$_[4]}, order('o3-1001', 9, 'k3', granted_ms => 10_900);
          });
    finds('an order, then no', qr/^I6 1001:9:k3 was told no and has/,
          books => sub {
              push @{$_[4]}, order('o3-1001', 9, 'k3', granted_ms => 9_000);
          });
    finds('not executed, and an order', qr/^I6 1001:9:k4 has an order/,
          books => sub {
              push @{$_[4]}, order('o4-1001', 9, 'k4', granted_ms => 10_900);
          });
    finds('given back, then granted', qr/^I5 1001:8:k2 .*given back/,
          calls => [[20, buy => 8, 'k2', 12, 13, { kind => 'back' }],
                    [21, buy => 8, 'k2', 14, 15,
                     { kind => 'yes', order => 'o2-1001' }]]);
    fine('which a late payment explains',
         calls => [[20, buy => 8, 'k2', 12, 13, { kind => 'back' }],
                   [21, buy => 8, 'k2', 14, 15,
                    { kind => 'yes', order => 'o2-1001' }]],
         books => sub { $_[0]{revived}{'o2-1001'} = 1 });
    finds('unknown for ever', qr/^L2 1001:9:k5 stayed unknown/,
          calls => [[6, resolve => 9, 'k5', 10.8, 10.9,
                     { kind => 'void' }]]);
    fine('which may be, in a storm', with => { storm => 1 },
         calls => [[6, resolve => 9, 'k5', 10.8, 10.9,
                    { kind => 'void' }]]);
    finds('an answer that never came', qr/^L2 1001:9:k8 stayed unknown/,
          calls => [[20, buy => 9, 'k8', 12, undef, undef]]);
    finds('another order than the row', qr/^I11 1001:7:k1 was told order/,
          books => sub { $_[4][0]{order_no} = 'o7-1001' });
    finds('two rows for one nameless buy', qr/^I11 .*nobody asked/,
          calls => [[20, buy => 5, undef, 12, 13, { kind => 'unknown' }]],
          books => sub {
              push @{$_[4]}, order('o5-1001', 5, 'o5-1001'),
                             order('o6-1001', 5, 'o6-1001');
          });
    finds('a retry that the filter answered', qr/^I6 the filter answered/,
          calls => [[20, buy => 5, 'k', 12, 13,
                     { kind => 'not', filtered => 1 }]]);
    finds('an internal error', qr/^answer to buy of call 20: 500/,
          calls => [[20, buy => 5, 'k', 12, 13,
                     { kind => 'strange', status => 500, body => 'x' }]]);
};


subtest 'orders over time' => sub {
    finds('it had a row, then none', qr/^I11 .*had a row, then none/,
          calls => [[20, poll => 7, 'o1-1001', 12, 13,
                     { kind => 'queued' }]]);
    fine('it had none, then a row',
         calls => [[20, poll => 7, 'o1-1001', 10.2, 10.3,
                    { kind => 'queued' }]]);
    finds('it is not found', qr/^I11 .*acknowledged and is not found/,
          calls => [[20, poll => 7, 'o1-1001', 12, 13,
                     { kind => 'missing' }]]);
    finds('even if Redis lost data', qr/^I11 .*acknowledged and is not/,
          with => { lost => 1 },
          calls => [[20, poll => 7, 'o1-1001', 12, 13,
                     { kind => 'missing' }]]);
    finds('over, then alive', qr/^I8 order o2-1001 was over/,
          calls => [[20, poll => 8, 'o2-1001', 12, 13,
                     { kind => 'success' }]]);
    fine('but by a late payment',
         calls => [[20, poll => 8, 'o2-1001', 12, 13,
                    { kind => 'success' }]],
         books => sub { $_[0]{revived}{'o2-1001'} = 1 });
    finds('shown, and gone', qr/^I11 order o1-1001 was shown/,
          with => { lost => 1 }, books => sub { shift @{$_[4]} });
    finds('cancelled, and alive', qr/^I8 order o2-1001 was cancelled/,
          books => sub { @{$_[4][1]}{qw(status stock_state)} = (1, 0) });
};


subtest 'epochs' => sub {
    my $change = [{ ev => 'epoch', a => $A, e => 4, t0 => 99.5,
                    t => 99.6 }];
    my @no_yes = (
        calls => [[1, buy => 7, 'k1', 99.0, 99.2, { kind => 'no' }],
                  [20, buy => 7, 'k1', 99.8, 99.9,
                   { kind => 'yes', order => 'o1-1001' }],
                  [7, poll => 7, 'o1-1001', 100, 101,
                   { kind => 'success' }]],
    );
    my $epoch = sub {
        $_[1]{epoch} = $_[2]{epoch} = 4;
        $_[4][0]{granted_ms} = 99_850;
    };

    fine('no, then yes, with a rebuild between', @no_yes, books => $epoch,
         events => $change);
    finds('without', qr/^I5 1001:7:k1 was told no and yes in one/, @no_yes,
          books => sub { $_[4][0]{granted_ms} = 99_850 });
    finds('with one before', qr/^I5 .*in one epoch/, @no_yes,
          books => $epoch,
          events => [{ ev => 'epoch', a => $A, e => 4, t0 => 98, t => 98.1 },
                     { ev => 'epoch', a => $A, e => 4, t0 => 100,
                       t => 100 }]);
};


done_testing();
