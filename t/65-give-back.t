#!/usr/bin/perl

# Copyright (C) Rush
#
# Money that came in another amount than was asked for, and goes back by the
# word of an administrator: what the route takes and refuses.  The rows are the
# test's; t/68-give-back.t has the whole way.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Pay;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(consumer => 0, proxy => ['nginx_mysql']);
my $serial = 710_000;
my $notices = 0;

sub user { return ++$serial }

sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }

sub now { return RushTest::Pay::now_ms() }

sub row { return RushTest::Pay::row($t, @_) }


# 600 were asked for

sub payment {
    my (%o) = @_;
    return RushTest::Pay::payment($t, state => 4, %o, order_no =>
        RushTest::Pay::order($t, user_id => $o{user_id} // user()));
}

sub notice {
    my ($id, %o) = @_;
    return $t->insert('payment_notice', provider => 4, kind => 'pay',
        notice_key => 'n' . ++$notices, payment_id => $id, state => 3,
        transaction_id => "T$id", amount => 60, cause => 'amount',
        body => '{}', received_ms => now(), %o);
}

sub odd {
    my (%o) = @_;
    my $id = payment(%o);
    notice($id);
    return $id;
}

sub give {
    my ($id, %data) = @_;
    my $user = delete $data{user};
    return $t->post("/api/v1/admin/payments/$id/give-back",
                    { reason => 'another amount', %data },
                    (defined $user ? (user => $user) : (admin => 1)));
}

sub rows_of {
    return $t->sql('SELECT * FROM refund WHERE payment_id = ? ORDER BY id',
                   $_[0]);
}

sub hints {
    return map { my %f = @{$_->[1]}; "$f{k} $f{i}" }
        @{$t->redis()->xrange('{rush}tell', '-', '+') || []};
}


subtest 'given back' => sub {
    my $user = user();
    my $id = odd(user_id => $user);
    my $r = give($id);
    my $d = data($r);

    is(told($r), '200 0', 'decided') or diag($r->{body});
    is(join(' ', @$d{qw(payment_id amount total origin state_text reason
                        user_id decided_by out_refund_no)}),
       "$id 60 60 mismatch approved another amount $user 1 R$d->{id}",
       'of what came');
    ok(!$d->{reserved}, 'the consumer promises');

    my ($row) = rows_of($id);
    is(join(' ', @$row{qw(id provider origin state reserved)}),
       "$d->{id} 4 4 1 0", 'the row');
    cmp_ok(abs($row->{next_ms} - now()), '<', 20_000, 'at once');
    ok($t->wait_for(sub { grep { $_ eq "refund $d->{id}" } hints() }, 3,
                    'hint'), 'a hint');

    my $p = row('payment', $id);
    is(join(' ', @$p{qw(state amount refunded returned)}), '4 600 0 0',
       'the payment is the consumer\'s');

    $r = $t->get("/api/v1/payment/$id/refunds/$d->{id}", user => $user);
    is(data($r)->{origin}, 'mismatch', 'its buyer sees it');
    $r = $t->get("/api/v1/admin/refunds?payment_id=$id&origin=mismatch",
                 admin => 1);
    is(data($r)->{list}[0]{id}, $d->{id}, 'in the list');

    # who has decided stands in the record
    $r = give($id);
    is($t->value("SELECT CONCAT(user_id, ' ', object) FROM audit_inbox "
                 . 'WHERE trace_id = ? ORDER BY id LIMIT 1',
                 $r->{json}{trace_id}), "1 $id", 'recorded');
};


subtest 'once' => sub {
    my $id = odd();
    my $d = data(give($id));

    foreach my $r (give($id), give($id, amount => 60),
                   give($id, reason => 'again'))
    {
        is(told($r) . ' ' . data($r)->{id}, "200 0 $d->{id}", 'the same');
    }

    is(told(give($id, amount => 61)), '200 40006', 'not for another sum');

    # whatever has become of it
    foreach my $state (2 .. 6) {
        $t->do('UPDATE refund SET state = ? WHERE id = ?', $state, $d->{id});
        is(data(give($id))->{id}, $d->{id}, "also in state $state");
    }

    is(scalar(rows_of($id)), 1, 'one row');

    $id = odd();
    my @r = $t->burst([map { { method => 'POST', admin => 1,
        path => "/api/v1/admin/payments/$id/give-back",
        data => { reason => "n $_" } } } 1 .. 30], sync => 1);
    my @bad = grep { $_->{code} !~ /^(?:0|3)$/ } @r;
    is(scalar @bad, 0, 'thirty at once') or diag($bad[0]{body});
    is(scalar(rows_of($id)), 1, 'one row');
    my %ids = map { $_->{json}{data}{id} => 1 } grep { $_->{code} == 0 } @r;
    is(join(' ', keys %ids), (rows_of($id))[0]{id}, 'all tell of it');
};


subtest 'how much' => sub {
    my $id = odd();
    my $r = give($id, amount => 600);
    is(told($r), '200 40006', 'not what was asked for');
    is_deeply(data($r), { left => 60 }, 'what came');
    is(told(give($id, amount => $_)), '200 40006', "not $_")
        foreach 59, 61, 1;
    is(scalar(rows_of($id)), 0, 'no row');
    is(data(give($id, amount => 60))->{amount}, 60, 'that');

    # of several stories the least
    $id = odd();
    notice($id, amount => 70);
    notice($id, amount => 50, kind => 'query');
    is(data(give($id))->{amount}, 50, 'the least');

    # more than was asked for
    $id = payment();
    notice($id, amount => 6000);
    is(data(give($id))->{amount}, 6000, 'all of it');

    is(told(give($id, amount => $_)), '400 2', "amount $_")
        foreach 0, -1, '60', 1.5;
    is(told(give($id, reason => $_)), '400 2', 'reason')
        foreach '', 'x' x 81;
};


subtest 'refused' => sub {
    my $id = payment();
    my $r = give($id);

    is(told($r), '200 40006', 'nothing has come');
    is_deeply(data($r), { left => 0 }, 'nothing');

    # what does not tell of money that is ours
    notice($id, %$_) foreach { cause => 'merchant' }, { cause => 'app' },
        { cause => 'currency' }, { cause => 'provider' },
        { state => 0 }, { state => 1 }, { state => 4 }, { amount => 0 },
        { transaction_id => '' }, { kind => 'refund' };
    is(told(give($id)), '200 40006', 'nothing that counts');

    foreach my $state (2, 6, 7) {
        my $other = odd(state => $state);
        $r = give($other);
        is(told($r), '200 40002', "payment in $state");
        is(data($r)->{state}, $state, 'told');
    }

    is(told(give($_)), '404 4', "unknown: $_") foreach $id + 1, 'x', 0;
    is(told($t->post("/api/v1/admin/payments/$id/give-back", {},
                     admin => 1)), '400 2', 'no reason');
    is(told(give($id, user => user())), '403 7', 'not for buyers');
    is(told($t->post("/api/v1/admin/payments/$id/give-back",
                     { reason => 'x' })), '401 6', 'nobody');
    is($t->value('SELECT COUNT(*) FROM refund WHERE payment_id = ?', $id), 0,
       'no row');

    # approved refunds of others are made by the payment's own route
    is(told($t->post("/api/v1/admin/payments/$id/refund", { reason => 'x' },
                     admin => 1)), '200 40002', 'a refund of what is no '
       . 'payment');
};


# a notice that is wrong is followed by an answer that is right

subtest 'the provider is asked first' => sub {
    foreach my $state (1, 3) {
        my $id = odd(state => $state);
        my $before = row('payment', $id);
        my $start = time();

        is(told(give($id)), '503 3', "state $state: nobody answers");
        cmp_ok(time() - $start, '>', 1.8, 'waits');
        cmp_ok(time() - $start, '<', 2.6 * $RushTest::SLOW, 'not for long');

        my $p = row('payment', $id);
        cmp_ok(abs($p->{next_ms} - now()), '<', 20_000, 'to be asked now');
        is(join(' ', @$p{qw(state updated_ms version)}),
           join(' ', @$before{qw(state updated_ms version)}), 'no more');
        is(scalar(grep { $_ eq "pay $id" } hints()), 1, 'a hint');
        is(scalar(rows_of($id)), 0, 'no row');

        # it says the same
        my $answer = RushTest::Pay::later($t, sub { give($id) });
        sleep 0.3;
        notice($id, kind => 'query');
        is(told($answer->()), '200 0', 'the same');
        is((rows_of($id))[0]{amount}, 60, 'that goes back');
    }

    # it says something else
    my $id = odd(state => 1);
    my $answer = RushTest::Pay::later($t, sub { give($id, amount => 60) });
    sleep 0.3;
    notice($id, kind => 'query', amount => 30);
    my $r = $answer->();
    is(told($r), '200 40006', 'less came');
    is_deeply(data($r), { left => 30 }, 'so much');

    # it says that all is well
    $id = odd(state => 1);
    $answer = RushTest::Pay::later($t, sub { give($id) });
    sleep 0.3;
    $t->do('UPDATE payment SET state = 2 WHERE id = ?', $id);
    is(told($answer->()), '200 40002', 'paid after all');

    # it was not told of this payment yet
    $id = odd(state => 0);
    is(told(give($id)), '503 3', 'not sent yet');
    is(row('payment', $id)->{next_ms} > now() + 10 ** 9 ? 1 : 0, 1,
       'the teller is at it anyway');
};


subtest 'without MySQL' => sub {
    my $id = odd();
    my $mysql = $t->proxy('nginx_mysql');

    is(told(give($id, amount => 1)), '200 40006', 'before');
    $mysql->refuse();
    ok($t->wait_for(sub { told(give($id)) eq '503 3' }, 5, 'busy'), 'busy');
    $mysql->pass();
    my $r;
    $t->wait_for(sub { ($r = give($id))->{status} == 200 }, 10, 'back');
    is(told($r), '200 0', 'and then');
    is(scalar(rows_of($id)), 1, 'one row');
};


$t->finish();
done_testing();
