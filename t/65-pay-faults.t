#!/usr/bin/perl

# Copyright (C) Rush
#
# Payments and refunds without Redis, without MySQL, with slow ones, and with
# clients that leave while their request waits: what was written stands, what
# was not is safe to repeat.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Orders qw(user data told);
use RushTest::Pay;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    consumer => 0, proxy => [qw(nginx_redis nginx_mysql)],
    nginx => { workers => 1,
               mysql_args => 'timeout=20s connect_timeout=20s',
               extra_http => 'seckill_pay_channels sandbox wechat_native;' },
);
my $redis = $t->proxy('nginx_redis');
my $mysql = $t->proxy('nginx_mysql');
my $log = $t->daemon('nginx')->{log};
my $UNIT = 0.25;                       # a new connection takes three, of 1 s

RushTest::Orders::begin($t, 680_000);


sub order { return RushTest::Pay::order($t, user_id => $_[0]) }

sub payment { return RushTest::Pay::payment($t, order_no => order(shift), @_) }

sub paid { return RushTest::Pay::paid($t, order_no => order($_[0])) }

sub state_of {
    return $t->value('SELECT state FROM payment WHERE id = ?', $_[0]);
}

sub odd {
    my ($user) = @_;
    my $id = payment($user, state => 4);
    notice_of($id);
    return $id;
}

sub notice_of {
    my ($id) = @_;
    return $t->insert('payment_notice', provider => 4, kind => 'pay',
               notice_key => "n$id", payment_id => $id, amount => 60,
               transaction_id => "T$id", state => 3, cause => 'amount',
               body => '{}', received_ms => 1);
}

sub traded {
    my ($user) = @_;
    my $id = payment($user);
    $t->insert('sandbox_trade', payment_id => $id, amount => 600,
               created_ms => 1);
    return $id;
}


# one request of each route that writes or waits

sub requests {
    my ($user) = @_;

    my $paid = paid($user);
    my $refund = sub { RushTest::Pay::refund($t, payment_id => $paid,
                                             amount => 1, @_) };

    return (
        create => { path => '/api/v1/payment/create', user => $user,
                    data => { order_id => order($user),
                              channel => 'sandbox' } },
        status => { path => '/api/v1/payment/' . payment($user) . '/status',
                    user => $user, method => 'GET' },
        close => { path => '/api/v1/payment/' . payment($user, state => 4)
                   . '/close', user => $user, data => {} },
        sandbox => { path => '/api/v1/payment/sandbox/' . traded($user)
                     . '/pay', user => $user, data => {} },
        refund => { path => "/api/v1/payment/$paid/refund", user => $user,
                    data => { reason => 'x', amount => 5 } },
        refunds => { path => "/api/v1/payment/$paid/refunds", method => 'GET',
                     user => $user },
        detail => { path => "/api/v1/payment/$paid/refunds/" . $refund->(),
                    user => $user, method => 'GET' },
        payments => { path => '/api/v1/admin/payments', method => 'GET',
                      admin => 1 },
        list => { path => '/api/v1/admin/refunds', method => 'GET',
                  admin => 1 },
        notices => { path => "/api/v1/admin/payments/$paid/notices",
                     method => 'GET', admin => 1 },
        waiting => { path => '/api/v1/admin/notices', method => 'GET',
                     admin => 1 },
        settle => { path => '/api/v1/admin/notices/' . notice_of($paid)
                    . '/close', admin => 1, data => { reason => 'x' } },
        settlements => { path => '/api/v1/admin/settlements', admin => 1,
                         method => 'GET' },
        bill => { path => '/api/v1/admin/payments/reconcile', admin => 1,
                  data => { day => 20260301, provider => 'sandbox' } },
        approve => { path => '/api/v1/admin/refunds/' . $refund->()
                     . '/approve', admin => 1, data => {} },
        reject => { path => '/api/v1/admin/refunds/' . $refund->()
                    . '/reject', admin => 1, data => { reason => 'x' } },
        retry => { path => '/api/v1/admin/refunds/' . $refund->(state => 6)
                   . '/retry', admin => 1, data => {} },
        give => { path => '/api/v1/admin/payments/' . odd($user)
                  . '/give-back', admin => 1, data => { reason => 'x' } },
    );
}

sub send_one {
    my ($q) = @_;
    my %q = (method => 'POST', %$q);
    return $t->request(delete $q{method}, delete $q{path}, %q);
}


subtest 'an answer that cannot be finished' => sub {
    my %q = requests(user());

    $mysql->drop();
    $mysql->cut('before', match => 'bill_diff', times => 9);
    my $r = send_one($q{bill});
    is(told($r), '503 3', 'busy');
    ok($r->{json}, 'JSON') or diag($r->{body});
    unlike($r->{body}, qr/"day"/, 'with nothing of the answer in it');
    cmp_ok($mysql->stats()->{cuts}, '>=', 1, 'it was begun');
    $mysql->pass();

    ok($t->wait_for(sub { told(send_one($q{bill})) eq '200 0' }, 10, 'MySQL'),
       'then it is');
};


subtest 'Redis loses what it is told' => sub {
    my $user = user();
    my %q = requests($user);

    $redis->cut('before', match => '{rush}tell', times => 1);
    my $r = send_one($q{create});
    is(told($r), '202 11', 'the hint is lost, the row is there')
        or diag($r->{body});
    my $id = data($r)->{payment_id};
    is(state_of($id), 0, 'asked');
    is($redis->stats()->{cuts}, 1, 'lost');
    is(scalar @{$t->redis()->xrange('{rush}tell', '-', '+') || []}, 0,
       'no hint');

    # whoever looks by himself finds it
    my $answer = RushTest::Pay::later($t, sub { send_one($q{create}) });
    sleep 0.2;
    $t->do("UPDATE payment SET state = 1, params = '{\"x\":1}' WHERE id = ?",
           $id);
    is(told($answer->()), '200 0', 'then it is open');

    $redis->cut('before', match => '{rush}pay', times => 1);
    $r = send_one($q{sandbox});
    is(told($r) . ' ' . data($r)->{notice}, '200 0 lost',
       'paid, nobody was told');
    is($t->value('SELECT COUNT(*) FROM sandbox_trade WHERE state = 1'), 1,
       'the trade knows');
    is($t->redis()->xlen('{rush}pay'), 0, 'no notice');

    foreach my $name (qw(approve retry)) {
        $redis->cut('before', match => '{rush}tell', times => 1);
        is(told(send_one($q{$name})), '200 0', "$name without a hint");
    }

    $redis->pass();
};


# nobody knows whose token still holds then

subtest 'without Redis' => sub {
    my %q = requests(user());

    $redis->refuse();

    foreach my $name (sort keys %q) {
        like(told(send_one($q{$name})), qr/^(?:503 3|200 0|202 11)$/, $name);
    }

    $redis->pass();
    ok($t->wait_for(sub { told(send_one($q{status})) eq '200 0' }, 10,
                    'Redis'), 'it is back');
};


subtest 'without MySQL' => sub {
    my %q = requests(user());
    my $count = sub { join ' ', map { $t->value("SELECT COUNT(*) FROM $_") }
                          qw(payment refund bill sandbox_trade) };
    my $before = $count->();

    $mysql->refuse();
    $t->wait_for(sub { told(send_one($q{status})) eq '503 3' }, 5, 'busy');

    foreach my $name (sort keys %q) {
        my $r = send_one($q{$name});
        is(told($r), '503 3', $name);
        like($r->{headers}{'retry-after'}, qr/^[1-9]/, 'Retry-After');
    }

    $mysql->pass();
    ok($t->wait_for(sub { told(send_one($q{status})) eq '200 0' }, 10,
                    'MySQL'), 'it is back');
    is($count->(), $before, 'nothing was written');

    foreach my $name (sort keys %q) {
        my $want = $name eq 'create' ? '202 11' : '200 0';
        my $r;
        $t->wait_for(sub { ($r = send_one($q{$name}))->{status} != 503 }, 5,
                     $name);
        is(told($r), $want, "$name, again");
    }
};


subtest 'slow MySQL' => sub {
    my $user = user();
    my %q = requests($user);

    $mysql->delay(1000 * $UNIT);

    my $start = time();
    is(told(send_one($q{create})), '202 11', 'created');
    cmp_ok(time() - $start, '<', (2.5 + 6 * $UNIT) * $RushTest::SLOW,
           'it waits no longer');
    is(told(send_one($q{status})), '200 0', 'status');
    is(told(send_one($q{refund})), '200 0', 'refund');
    is(told(send_one($q{approve})), '200 0', 'approved');

    $mysql->pass();
};


# --- clients that leave ---

sub log_from {
    my ($at) = @_;
    return substr RushTest::slurp($log), $at;
}


# Leaves after so long that the request waits in this step, or later ones: an
# answer takes UNIT, a statement is prepared once a connection.  What is asked
# is made anew for each try.

sub leaves_in {
    my ($step, $make, @after) = @_;

    my $text = '';

    foreach my $after ((@after) x 4) {
        my $q = $make->();
        my $at = -s $log;

        # with a fast MySQL a request is asleep nearly all the time
        $mysql->delay(1000 * $UNIT) if $step ne 'pay_sleep';

        my $s = $t->connect();
        my ($bytes) = $t->bytes_of({ method => 'POST', %$q });
        syswrite $s, $bytes;
        sleep $UNIT * $after;
        close $s;

        $t->wait_for(sub {
            $text = log_from($at);
            return $text =~ /rush request is gone in|closed keepalive/;
        }, 3, "the end of a request in $step");
        $mysql->pass();

        last if $text =~ /while ngx_seckill_$step,/;
    }

    like($text, qr/prematurely closed connection[^,]* while ngx_seckill_$step,/,
         "left in $step");
}


sub calm {
    ok($t->wait_for(sub {
        my $body = $t->get('/metrics', record => 0)->{body};
        return $body =~ /^rush_redis_in_flight 0$/m
               && $body =~ /^rush_mysql_busy 0$/m
               && $body =~ /^rush_mysql_waiting 0$/m;
    }, 5, 'no operation'), 'no operation is left');
}


sub of {
    my ($name) = @_;
    return sub { my %q = requests(user()); return $q{$name} };
}


subtest 'clients leave' => sub {
    my $order;
    my $create = sub {
        my $user = user();
        $order = order($user);
        return { path => '/api/v1/payment/create', user => $user,
                 data => { order_id => $order, channel => 'sandbox' } };
    };
    my $rows = sub { $t->value('SELECT COUNT(*) FROM payment WHERE '
                               . 'order_no = ?', $order) };
    my @any = map { $_ + 0.5 } 0 .. 5;

    leaves_in('pay_insert', $create, @any);
    ok($t->wait_for(sub { $rows->() == 1 }, 5, 'the row'),
       'what was asked for is written');
    leaves_in('pay_sleep', $create, 2 .. 4);
    is($rows->(), 1, 'it stands');
    leaves_in('pay_look', $create, @any);
    is($rows->(), 1, 'it stands');

    leaves_in('pay_check', sub {
        my $q = $create->();
        $q->{data}{address_id} = '5';
        return $q;
    }, @any);
    leaves_in('pay_addressed', sub {
        my $q = $create->();
        $q->{data}{address_id} = '5';
        return $q;
    }, @any);
    is($rows->(), 0, 'not that far');
    leaves_in('pay_inserted', sub {
        my $q = $create->();
        $t->do('UPDATE orders SET pay_deadline_ms = 1 WHERE order_no = ?',
               $order);
        return $q;
    }, @any);

    my $id;
    my $sync = sub {
        my $user = user();
        $id = payment($user);
        return { path => "/api/v1/payment/$id/status?sync=1",
                 method => 'GET', user => $user };
    };
    leaves_in('pay_find', $sync, @any);
    leaves_in('pay_ask', $sync, @any);
    leaves_in('pay_sleep', $sync, 2 .. 4);
    ok($t->value('SELECT updated_ms FROM payment WHERE id = ?', $id) > 10,
       'the question stands');

    my $close = sub {
        my $user = user();
        $id = payment($user);
        return { path => "/api/v1/payment/$id/close", user => $user,
                 data => {} };
    };
    leaves_in('pay_close', $close, @any);
    ok($t->wait_for(sub { state_of($id) == 3 }, 5, 'closing'), 'closing');
    leaves_in('pay_sleep', $close, 2 .. 4);
    is(state_of($id), 3, 'closing');

    leaves_in('refund_ask', of('refund'), @any);
    leaves_in('refund_asked', of('refund'), @any);
    leaves_in('refund_inserted', of('refund'), @any);
    leaves_in('refunds_find', of('refunds'), @any);
    leaves_in('refund_find', of('detail'), @any);
    leaves_in('payments_list', of('payments'), @any);
    leaves_in('refunds_list', of('list'), @any);
    leaves_in('notices_list', of('notices'), @any);
    leaves_in('count_days', of('settlements'), @any);
    leaves_in('days_counted', of('settlements'), @any);
    calm();
};


# whoever pays may leave: the notice goes out all the same; so does what an
# administrator decides

subtest 'clients leave what goes on' => sub {
    my $user = user();
    my $id = traded($user);
    my $s = $t->connect();
    my ($bytes) = $t->bytes_of({ method => 'POST', user => $user,
        path => "/api/v1/payment/sandbox/$id/pay",
        data => { late_ms => 500 } });

    $t->redis()->del('{rush}pay');
    syswrite $s, $bytes;
    ok($t->wait_for(sub {
        $t->value('SELECT state FROM sandbox_trade WHERE payment_id = ?', $id)
    }, 5, 'the trade'), 'paid');
    close $s;
    ok($t->wait_for(sub { $t->redis()->xlen('{rush}pay') == 1 }, 5,
                    'the notice'), 'told');

    my $refund = RushTest::Pay::refund($t, payment_id => paid($user));
    $mysql->delay(1000 * $UNIT);
    $s = $t->connect();
    ($bytes) = $t->bytes_of({ method => 'POST', admin => 1, data => {},
        path => "/api/v1/admin/refunds/$refund/approve" });
    syswrite $s, $bytes;
    sleep $UNIT / 2;
    close $s;
    ok($t->wait_for(sub { $t->value('SELECT state FROM refund WHERE id = ?',
                                    $refund) == 1 }, 10, 'approval'),
       'decided');
    $mysql->pass();
    calm();
};


$t->finish();
done_testing();
