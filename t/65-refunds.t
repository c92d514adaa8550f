#!/usr/bin/perl

# Copyright (C) Rush
#
# Refunds: buyers ask, administrators decide.  The payments are rows that the
# test has made; the consumer has none of their providers.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Buyer qw(user data told now hints);
use RushTest::Pay;
use Test::More;

my $t = RushTest->new(consumer => 0);

my $MEMBERS = 'amount created_at currency done_at id order_no origin '
    . 'payment_id reason state state_text';
my @NAMES = qw(requested approved sending processing done rejected failed);

RushTest::Buyer::begin($t, 660_000);


sub row { return RushTest::Pay::row($t, 'refund', $_[0]) }

sub refund { return RushTest::Pay::refund($t, payment_id => shift, @_) }


# a payment that has paid 600

sub paid {
    my ($user, %row) = @_;
    return RushTest::Pay::paid($t, order_no =>
        RushTest::Pay::order($t, user_id => $user), %row);
}

sub ask {
    my ($id, $user, %data) = @_;
    my %o = map { exists $data{$_} ? ($_ => delete $data{$_}) : () }
        qw(key admin);
    my $path = $o{admin} ? '/api/v1/admin/payments' : '/api/v1/payment';
    return $t->post("$path/$id/refund", { reason => 'too small', %data },
                    ($o{admin} ? () : (user => $user)), %o);
}

sub decide {
    my ($id, $what, %data) = @_;
    return $t->post("/api/v1/admin/refunds/$id/$what",
                    { $what eq 'reject' ? (reason => 'worn') : (), %data },
                    admin => 1);
}

sub detail {
    my ($payment, $id, $user) = @_;
    return $t->get("/api/v1/payment/$payment/refunds/$id", user => $user);
}

sub refunds {
    my ($payment, $user) = @_;
    return $t->get("/api/v1/payment/$payment/refunds", user => $user);
}

sub change {
    my ($table, $id, %set) = @_;
    my @names = sort keys %set;
    $t->do("UPDATE $table SET " . join(', ', map { "$_ = ?" } @names)
           . ' WHERE id = ?', @set{@names}, $id);
}


subtest 'asked for' => sub {
    my $user = user();
    my $id = paid($user);
    my $r = ask($id, $user, amount => 200);
    my $d = data($r);

    is(told($r), '200 0', 'a part') or diag($r->{body});
    is(join(' ', sort keys %$d), $MEMBERS, 'members');
    is(join(' ', @$d{qw(payment_id amount currency reason origin state
                        state_text)}),
       "$id 200 CNY too small user 0 requested", 'values');
    is($d->{done_at}, undef, 'not done');

    my $row = row($d->{id});
    is(join(' ', @$row{qw(user_id provider total reserved whole units_back
                          decided_by version)}),
       "$user 4 600 0 0 0 0 1", 'the row');
    is($row->{req_id}, undef, 'no key');
    is(join(' ', grep { / $d->{id}$/ } hints()), '', 'nobody has to act');

    is_deeply(data(detail($id, $d->{id}, $user)), $d, 'detail');

    # what is left
    $r = ask($id, $user, amount => 401);
    is(told($r), '200 40006', 'too much');
    is_deeply(data($r), { left => 400 }, 'left');
    $r = ask($id, $user);
    is(data($r)->{amount}, 400, 'all that is left');
    is(told(ask($id, $user)), '200 40006', 'nothing is left');
    is(told(ask($id, $user, amount => 1)), '200 40006', 'not even a fen');

    is_deeply([map { $_->{amount} } @{data(refunds($id, $user))}],
              [400, 200], 'list, newest first');
    is(join(' ', map { $t->value("SELECT $_ FROM payment WHERE id = ?", $id) }
            qw(refunded returned state)), '0 0 2', 'the payment stays');

    # what was refused comes free again
    decide($d->{id}, 'reject');
    is(data(ask($id, $user))->{amount}, 200, 'once more');

    # promised by the payment, or failed without being promised
    $id = paid($user, refunded => 100);
    refund($id, amount => 100, state => 4, reserved => 1);
    refund($id, amount => 300, state => 6, reserved => 0);
    refund($id, amount => 50, state => 1, reserved => 0);
    is(data(ask($id, $user))->{amount}, 450, 'what counts');
};


subtest 'refused' => sub {
    my $user = user();
    my $id = paid($user);

    is(told(ask($id, user())), '404 4', 'of another');
    is(told(ask($_, $user)), '404 4', "unknown: $_")
        foreach $id + 1, 'x', 0;
    is(told($t->post("/api/v1/payment/$id/refund", { reason => 'x' })),
       '401 6', 'nobody');
    is(told(ask($id, $user, amount => $_)), '400 2', "amount $_")
        foreach 0, -1, '1', 1.5;
    is(told(ask($id, $user, reason => $_)), '400 2', 'reason')
        foreach '', 'x' x 81;
    is(told($t->post("/api/v1/payment/$id/refund", {}, user => $user)),
       '400 2', 'no reason');

    foreach my $state (0, 1, 3 .. 7) {
        my $other = RushTest::Pay::payment($t, state => $state, order_no =>
            RushTest::Pay::order($t, user_id => $user));
        is(told(ask($other, $user)), '200 40002', "payment in $state");
        is(told(ask($other, $user, admin => 1)), '200 40002', 'admin');
    }

    foreach my $status (2 .. 8) {
        my $other = paid($user);
        my $no = $t->value('SELECT order_no FROM payment WHERE id = ?',
                           $other);
        $t->do('DELETE FROM orders WHERE order_no = ?', $no);
        RushTest::Pay::order($t, user_id => $user, order_no => $no,
                             status => $status, payment_id => $other);
        my $want = $status =~ /[2348]/ ? '200 0' : '200 30001';
        is(told(ask($other, $user)), $want, "order in $status");
        decide(data(refunds($other, $user))->[0]{id}, 'reject')
            if $want eq '200 0';
        is(told(ask($other, $user, admin => 1)), $want, 'admin');
    }

    # its order was paid by another one
    my $other = paid($user);
    $t->do('UPDATE orders SET payment_id = 5 WHERE payment_id = ?', $other);
    is(told(ask($other, $user)), '200 30001', 'of another payment');
    is(scalar @{data(refunds($id, $user))}, 0, 'no row');
};


subtest 'seen by its owner only' => sub {
    my ($user, $other) = (user(), user());
    my $id = paid($user);
    my $mine = data(ask($id, $user))->{id};
    my $foreign = paid($other);
    my $theirs = data(ask($foreign, $other))->{id};

    is(told(detail($id, $mine, $other)), '404 4', 'of another');
    is(told(detail($foreign, $mine, $other)), '404 4', 'by the own payment');
    is(told(detail($id, $theirs, $user)), '404 4', 'refund of another');
    is(told(detail($foreign, $theirs, $user)), '404 4', 'all of another');
    is(told(detail($id, $_, $user)), '404 4', "unknown: $_")
        foreach $mine + 1, 'x', 0;
    is(told($t->get("/api/v1/payment/$id/refunds/$mine")), '401 6', 'nobody');
    is(told(refunds($id, $other)), '404 4', 'list of another');
    is(told(refunds($_, $user)), '404 4', "unknown: $_")
        foreach $id + 1, 'x', 0;
    is_deeply(data(refunds(paid($user), $user)), [], 'an empty list');

    # states as a buyer sees them; a cause only where it is meant for him
    foreach my $state (0 .. 6) {
        change('refund', $mine, state => $state, cause => 'why');
        my $d = data(detail($id, $mine, $user));
        is("$d->{state} $d->{state_text} " . ($d->{cause} // '-'),
           "$state $NAMES[$state] " . ($state == 5 ? 'why' : '-'),
           $NAMES[$state]);
    }
};


subtest 'thirty at once' => sub {
    my $user = user();
    my $id = paid($user);
    my @r = $t->burst([map { { method => 'POST', user => $user,
        path => "/api/v1/payment/$id/refund",
        data => { amount => 200, reason => "n $_" } } } 1 .. 30], sync => 1);

    my @bad = grep { $_->{code} !~ /^(?:0|40006|3)$/ } @r;
    is(scalar @bad, 0, 'answers') or diag($bad[0]{body});
    is(scalar(grep { $_->{code} == 0 } @r), 3, 'three of 200 out of 600');
    is($t->value('SELECT SUM(amount) FROM refund WHERE payment_id = ?', $id),
       600, 'the sum');
};


subtest 'decided' => sub {
    my $user = user();
    my $id = paid($user);
    my $one = data(ask($id, $user, amount => 100))->{id};
    my $r = decide($one, 'approve');
    my $d = data($r);

    is(told($r), '200 0', 'approved') or diag($r->{body});
    is(join(' ', sort keys %$d), join(' ', sort split(' ', $MEMBERS),
        qw(user_id provider out_refund_no provider_no total reserved whole
           units_back decided_by tries next_at updated_at version)),
       'members');
    is(join(' ', @$d{qw(state_text user_id provider out_refund_no provider_no
                        total decided_by version)}),
       "approved $user sandbox R$one  600 1 2", 'values');
    ok(!$d->{reserved}, 'the consumer promises');
    cmp_ok(abs(row($one)->{next_ms} - now()), '<', 20_000, 'at once');
    ok($t->wait_for(sub { grep { $_ eq "refund $one" } hints() }, 3, 'hint'),
       'a hint');
    is(told(decide($one, $_)), '200 40007', "then $_")
        foreach qw(approve reject retry);

    my $two = data(ask($id, $user, amount => 100))->{id};
    $r = decide($two, 'reject', reason => 'worn out');
    is(told($r) . ' ' . data($r)->{state_text}, '200 0 rejected', 'rejected');
    is(data($r)->{cause}, 'worn out', 'why');
    is(data(detail($id, $two, $user))->{cause}, 'worn out', 'the buyer reads');
    is(told(decide($two, $_)), '200 40007', "then $_")
        foreach qw(approve reject retry);
    is(told($t->post("/api/v1/admin/refunds/$two/reject", {}, admin => 1)),
       '400 2', 'not without a reason');

    # what was looked at has changed
    my $three = data(ask($id, $user, amount => 100))->{id};
    is(told(decide($three, $_, version => 2)), '409 13', "$_: version")
        foreach qw(approve reject);
    is(row($three)->{state}, 0, 'nothing happened');
    is(told(decide($three, 'approve', version => 1)), '200 0', 'the right one');

    foreach my $state (1 .. 6) {
        change('refund', $three, state => $state);
        is(told(decide($three, $_)), '200 40007', "$_ in $state")
            foreach qw(approve reject);
        is(row($three)->{state}, $state, 'as before');
    }

    is(told(decide($_, 'approve')), '404 4', "unknown: $_")
        foreach $three + 1, 'x', 0;
    is(told($t->post("/api/v1/admin/refunds/$three/$_", { reason => 'x' },
                     user => $user)), '403 7', "$_: not for buyers")
        foreach qw(approve reject retry);
};


subtest 'thirty decisions' => sub {
    my $user = user();
    my $id = paid($user);
    my $refund = data(ask($id, $user))->{id};
    my @r = $t->burst([map { { method => 'POST', admin => 1,
        data => { reason => 'x' }, path => "/api/v1/admin/refunds/$refund/"
            . ($_ % 3 ? 'approve' : 'reject') } } 1 .. 30], sync => 1);
    my %n;

    $n{$_->{code}}++ foreach @r;
    is_deeply(\%n, { 0 => 1, 40007 => 29 }, 'one of them');
    is(row($refund)->{version}, 2, 'one change');
};


subtest 'retried' => sub {
    my $user = user();
    my $id = paid($user);
    my $promised = refund($id, amount => 100, state => 6, reserved => 1,
                          cause => 'abnormal', tries => 9);
    my $never = refund($id, amount => 100, state => 6, cause => 'sum');

    is(told(decide($promised, 'retry', version => 2)), '409 13', 'version');
    my $r = decide($promised, 'retry');
    is(told($r), '200 0', 'again') or diag($r->{body});
    is(join(' ', @{data($r)}{qw(id out_refund_no state_text tries)}),
       "$promised R$promised sending 0", 'the same number');
    ok((grep { $_ eq "refund $promised" } hints()), 'a hint');
    is(told(decide($promised, 'retry')), '200 40007', 'once');

    is(data(decide($never, 'retry'))->{state_text}, 'approved',
       'to be promised first');

    foreach my $state (0 .. 5) {
        change('refund', $never, state => $state);
        is(told(decide($never, 'retry')), '200 40007', "state $state");
        is(row($never)->{state}, $state, 'as before');
    }
};


subtest 'by an administrator' => sub {
    my $user = user();
    my $id = paid($user);
    my $r = ask($id, undef, admin => 1, amount => 250);
    my $d = data($r);

    is(told($r), '200 0', 'made') or diag($r->{body});
    is("$d->{origin} $d->{state_text} $d->{amount} $d->{decided_by} "
       . $d->{user_id}, "admin approved 250 1 $user", 'approved at once');
    ok($t->wait_for(sub { grep { $_ eq "refund $d->{id}" } hints() }, 3,
                    'hint'), 'a hint');
    is(data(detail($id, $d->{id}, $user))->{origin}, 'admin', 'seen');
    is(data(ask($id, undef, admin => 1))->{amount}, 350, 'all that is left');
    is(told(ask($id, undef, admin => 1)), '200 40006', 'nothing is left');
    is(told(ask($_, undef, admin => 1)), '404 4', "unknown: $_")
        foreach $id + 1, 'x';
    is(told($t->post("/api/v1/admin/payments/$id/refund", { reason => 'x' },
                     user => $user)), '403 7', 'not for buyers');
};


subtest 'list' => sub {
    my ($one, $two) = (user(), user());
    my @payments = (paid($one), paid($two, channel => 1));
    my @id = map { refund($payments[$_ % 2], amount => 10 + $_,
                          state => $_ % 7, origin => $_ % 5,
                          created_ms => 1_600_000_000_000 + $_) } 0 .. 19;
    my $path = '/api/v1/admin/refunds';
    my $page = sub {
        my $d = data($t->get("$path?$_[0]", admin => 1));
        return join ' ', (map { $_->{id} } @{$d->{list}}),
            (defined $d->{next_last_id} ? "> $d->{next_last_id}" : ());
    };
    my $want = sub {
        my ($sub) = @_;
        return join ' ', map { $id[$_] } grep { $sub->() } reverse 0 .. 19;
    };
    my $between = "from=1600000000000&to=1600000000020&page_size=100";

    is($page->($between), $want->(sub { 1 }), 'by time');
    is($page->('from=1600000000005&to=1600000000009'),
       $want->(sub { $_ >= 5 && $_ < 9 }), 'some of them');
    is($page->("$between&state=3"), $want->(sub { $_ % 7 == 3 }), 'state');
    is($page->("$between&origin=second"), $want->(sub { $_ % 5 == 3 }),
       'origin');
    is($page->("$between&user_id=$two"), $want->(sub { $_ % 2 }), 'user');
    is($page->("$between&provider=wechat"), $want->(sub { $_ % 2 }),
       'provider');
    is($page->("payment_id=$payments[0]&page_size=100"),
       $want->(sub { !($_ % 2) }), 'payment');
    my $no = $t->value('SELECT order_no FROM payment WHERE id = ?',
                       $payments[1]);
    is($page->("order_no=$no&state=1&page_size=100"),
       $want->(sub { $_ % 2 && $_ % 7 == 1 }), 'order and state');
    is($page->('user_id=1'), '', 'none');

    # page by page
    my @seen;
    my $last = '';
    for (1 .. 5) {
        my $d = data($t->get("$path?payment_id=$payments[0]&page_size=3$last",
                             admin => 1));
        push @seen, map { $_->{id} } @{$d->{list}};
        last if !defined $d->{next_last_id};
        $last = "&last_id=$d->{next_last_id}";
    }
    is("@seen", $want->(sub { !($_ % 2) }), 'page by page');

    is(told($t->get("$path?$_", admin => 1)), '400 2', $_)
        foreach qw(state=7 origin=x provider=x page_size=0 page_size=101
                   user_id=x from=x last_id=0);
    is(told($t->get($path, user => $one)), '403 7', 'not for buyers');
    is(told($t->get($path)), '401 6', 'nobody');
    my ($d) = @{data($t->get("$path?payment_id=$payments[1]&state=6",
                             admin => 1))->{list}};
    is($d->{provider}, 'wechat', 'as a detail');
};


$t->finish();
done_testing();
