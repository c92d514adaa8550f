package Trade;

# Copyright (C) Rush
#
# Orders, payments, refunds and what operators do: requests to torture
# (flows(), see Flows.pm) and jobs of the consumer's threads that store orders
# and move money (jobs(), see Jobs.pm).  Rows are made as daemons leave them,
# so that the books are right before, and have to be right after.
#
# What a request may have besides: judge => sub that gets the answer and
# whether it was hit, and says what is wrong; after => sub, when all is looked
# at.

use warnings;
use strict;

use RushTest::Money;
use RushTest::Pay;
use RushTest::Provider;
use RushTest::Sale;
use Time::HiRes qw(time);

my ($serial, $code, $certs) = (0, 0, 16);

use constant USER => 7;

# of nginx and of the consumer
use constant CONSUMER => (
    sandbox => { enabled => 1 }, cashier => { sweep => 50 },
    pay => { poll => 100, minute => 200, retry_min => 50, retry_max => 400 },
);

sub conf {
    return 'seckill_pay_channels sandbox; client_body_buffer_size 64k; '
        . RushTest::Provider::conf();
}


# --- rows ---

sub money { return $_[0]{money} //= RushTest::Money->new($_[0]{t}) }

sub order { return RushTest::Pay::order($_[0]{t}, user_id => USER) }

# open at the sandbox

sub open_payment {
    my ($h, %o) = @_;

    my $t = $h->{t};
    my $id = RushTest::Pay::payment($t, order_no => order($h), %o);

    trade($t, $id, 0);
    return $id;
}


sub trade {
    my ($t, $id, $state) = @_;
    $t->insert('sandbox_trade', payment_id => $id, amount => 600,
               state => $state, paid_ms => $state,
               created_ms => RushTest::Pay::now_ms());
}


sub paid {
    my ($h) = @_;

    my $t = $h->{t};
    my $id = RushTest::Pay::paid($t, order_no => order($h));

    trade($t, $id, 1);
    return $id;
}


# a paid order, and how it went on: 2, 3 or 4; (number, trade code, version)

sub sold {
    my ($h, $status) = @_;

    my $t = $h->{t};
    my @digits = split //, '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
    my $no = $t->value('SELECT order_no FROM payment WHERE id = ?', paid($h));
    my $n = ++$code;
    my $trade = join '', map { $digits[($n >> 5 * $_) & 31] } 0 .. 7;

    $t->do('UPDATE orders SET trade_code = ? WHERE order_no = ?', $trade, $no);
    $t->do('UPDATE orders SET status = 3, shipped_ms = 1, actor_kind = 2, '
           . 'version = version + 1 WHERE order_no = ?', $no) if $status > 2;
    $t->do('UPDATE orders SET status = 4, actor_kind = 1, '
           . 'version = version + 1 WHERE order_no = ?', $no) if $status > 3;

    return ($no, $trade);
}


sub refund {
    my ($h, %row) = @_;
    return RushTest::Pay::refund($h->{t}, payment_id => paid($h),
                                 amount => 5, %row);
}


# one that nobody can store

sub letter {
    my ($h, %row) = @_;

    return $h->{t}->insert('dead_letter', id => 7_000_000 + ++$serial,
        activity_id => 999_999, stream_id => "$serial-0", part => -1,
        cause => 'no activity', created_ms => 1,
        body => '{"id":"1-0","fields":[]}', %row);
}


# one that nobody has believed

sub stray {
    my ($h) = @_;

    return $h->{t}->insert('payment_notice', provider => 4, kind => 'pay',
        notice_key => 'stray' . ++$serial, transaction_id => "S$serial",
        amount => 5, state => 3, cause => 'merchant', body => '{}',
        received_ms => 1);
}


# --- requests ---

sub flows {
    my ($h) = @_;

    my $get = sub { my ($path, %o) = @_;
                    return { method => 'GET', user => USER, %o,
                             path => "/api/v1$path" } };
    my $post = sub { my ($path, $data, %o) = @_;
                     return { method => 'POST', user => USER, data => $data,
                              path => "/api/v1$path", %o } };

    return (buyer($h, $get, $post), payer($h, $get, $post),
            admin($h, $get, $post), operator($h, $get, $post), notice($h));
}


sub buyer {
    my ($h, $get, $post) = @_;

    my $t = $h->{t};
    my $product = $h->{stock} //= $t->product(stock => 1_000_000);
    my $place = sub { return $post->('/orders',
        { product_id => "$product", quantity => 1 }, @_) };
    my $old = $h->{placed} //= do {
        my $q = $place->(key => 'placed');
        my $r = $t->request($q->{method}, $q->{path}, user => USER,
                            data => $q->{data}, key => 'placed', record => 0);
        $r->{json}{data}{order_no} // die "no order: $r->{body}\n";
    };
    my $over = $h->{cancelled} //= do {
        my $no = order($h);
        $t->do('UPDATE orders SET status = 5, stock_state = 1, actor_kind = 1,'
               . " version = version + 1, cancel_reason = 'user' "
               . 'WHERE order_no = ?', $no);
        $no;
    };

    return (
        ['place order', [0], sub { $place->(key => 'new' . ++$serial) }],
        ['place unnamed', [0], sub { $place->() }],
        ['place again', [0], sub { return { %{$place->(key => 'placed')},
                                            order => $old } }],
        ['confirm', [0], sub { my ($no) = sold($h, 3);
                               $post->("/orders/$no/confirm", {}) }],
        ['hide', [0], sub { my ($no) = sold($h, 4);
                            return { %{$get->("/orders/$no")},
                                     method => 'DELETE' } }],
        ['listen', [0], sub { $get->("/orders/$old/events") }],
        ['listen end', [0], sub { $get->("/orders/$over/events") }],
        ['listen result', [0], sub {
            $get->("/seckill/results/$h->{old}{order_no}/events",
                   user => $h->{old}{user}) }],
        ['listen sale', [0], sub {
            $get->("/seckill/activities/$h->{activity}/events") }],
    );
}


sub payer {
    my ($h, $get, $post) = @_;

    my $t = $h->{t};
    my $open = $h->{open} //= open_payment($h);
    my $back = $h->{back} //= refund($h, state => 5);
    my $of = $t->value('SELECT payment_id FROM refund WHERE id = ?', $back);

    # 11: the consumer makes it, a worker waits 2.5 s for that
    return (
        ['pay', [0, 11], sub { my $no = order($h);
                               $post->("/orders/$no/pay",
                                       { channel => 'sandbox' }) }],
        ['pay named', [0, 11], sub { $post->('/payment/create',
            { order_id => order($h), channel => 'sandbox' },
            key => 'pay' . ++$serial) }],
        ['payment', [0], sub { $get->("/payment/$open/status") }],
        ['payment ask', [0], sub { $get->('/payment/' . open_payment($h)
                                          . '/status?sync=1') }],
        ['payment close', [0, 11], sub {
            $post->('/payment/' . open_payment($h) . '/close', {}) }],
        ['sandbox pay', [0], sub {
            $post->('/payment/sandbox/' . open_payment($h) . '/pay', {}) }],
        ['sandbox twice', [0], sub {
            $post->('/payment/sandbox/' . open_payment($h) . '/pay',
                    { fault => 'twice' }) }],
        ['refund ask', [0], sub { $post->('/payment/' . paid($h) . '/refund',
            { amount => 5, reason => 'worn' }, key => 'back' . ++$serial) }],
        ['refunds', [0], sub { $get->("/payment/$of/refunds") }],
        ['refund', [0], sub { $get->("/payment/$of/refunds/$back") }],
    );
}


sub admin {
    my ($h, $get, $post) = @_;

    my @may = (admin => 1, user => undef);
    my $do = sub { $post->("/admin$_[0]", $_[1], @may) };
    my $see = sub { my ($path) = @_;
                    return sub { $get->("/admin$path", @may) } };

    return (
        ['ship', [0], sub { my ($no) = sold($h, 2);
                            $do->("/orders/$no/ship", { carrier => 'SF',
                                                        number => 'SF1' }) }],
        ['redeem', [0], sub { my (undef, $trade) = sold($h, 2);
                              $do->('/orders/redeem',
                                    { trade_code => $trade }) }],
        # 13: the consumer may change it as well
        ['order status', [0, 13], sub {
            my ($no) = sold($h, 3);
            my $version = $h->{t}->value('SELECT version FROM orders WHERE '
                                         . 'order_no = ?', $no);
            return { %{$do->("/orders/$no/status", { status => 'done',
                         reason => 'by hand', version => $version + 0 })},
                     method => 'PUT' } }],
        ['admin order', [0], $see->("/orders/$h->{placed}")],
        ['orders as csv', [undef], $see->('/orders?export=csv&page_size=5')],
        ['payments', [0], $see->('/payments?page_size=5')],
        ['all refunds', [0], $see->('/refunds?page_size=5')],
        ['told', [0], $see->("/payments/$h->{open}/notices")],
        ['settlements', [0], $see->('/settlements')],
        ['approve', [0], sub { $do->('/refunds/' . refund($h) . '/approve',
                                     {}) }],
        ['reject', [0], sub { $do->('/refunds/' . refund($h) . '/reject',
                                    { reason => 'no' }) }],
        ['retry', [0], sub { $do->('/refunds/' . refund($h, state => 6)
                                   . '/retry', {}) }],
        ['send back', [0], sub { $do->('/payments/' . paid($h) . '/refund',
            { amount => 5, reason => 'broken' }) }],
    );
}


sub operator {
    my ($h, $get, $post) = @_;

    my $t = $h->{t};
    my @may = (admin => 1, user => undef);
    my $do = sub { $post->("/admin$_[0]", $_[1], @may) };
    my $see = sub { my ($path) = @_;
                    return sub { $get->("/admin$path", @may) } };
    my $sell = sub {
        my ($on) = @_;
        $t->do('UPDATE switch SET is_on = ?, rev = rev + 1', $on);
    };
    my $given_up = sub {
        $t->do('UPDATE dead_letter SET state = 2 WHERE state = 0 AND '
               . 'activity_id = 999999');
    };

    my $closed = sub {
        $t->do('UPDATE payment_notice SET state = 5 WHERE state = 3 AND '
               . "notice_key LIKE 'stray%'");
    };

    return (
        ['stop selling', [0], sub {
            return { %{$do->('/system/stop-selling', { reason => 'drill' })},
                     after => sub { $sell->(1) } } }],
        ['resume selling', [0], sub {
            return { %{$do->('/system/resume-selling', {})},
                     after => sub { $sell->(1) } } }],
        ['streams', [0], $see->('/streams')],
        ['dead letters', [0], $see->('/dead-letters')],
        ['dead replay', [0], sub {
            return { %{$do->('/dead-letters/' . letter($h) . '/replay', {})},
                     after => $given_up } }],
        ['dead discard', [0], sub {
            return { %{$do->('/dead-letters/' . letter($h) . '/discard',
                             { reason => 'old' })}, after => $given_up } }],
        ['report', [0], $see->("/seckill/activities/$h->{activity}/report")],
        ['notices', [0], $see->('/notices')],
        ['notice close', [0], sub {
            return { %{$do->('/notices/' . stray($h) . '/close',
                             { reason => 'done' })}, after => $closed } }],
        ['bill ask', [0], sub { $do->('/payments/reconcile',
            { day => 20200101 + $serial++ % 28, provider => 'sandbox' }) }],
    );
}


# what is genuine stands in the stream before it is taken; only what was looked
# at to the end may be called forged

my %NOTICE = (
    wechat => { yes => qr/^\z/, key => 'wxpub', number => 1,
                no => qr/^\{"code":"FAIL","message":"[a-z ]+"\}\z/ },
    alipay => { yes => qr/^success\z/, key => 'alipay', number => 2,
                no => qr/^failure\z/ },
);

sub notice {
    my ($h) = @_;

    my $t = $h->{t};

    my $make = sub {
        my ($provider, $forged, %o) = @_;

        my $p = $NOTICE{$provider};
        my $id = "EV-$provider-" . ++$serial;
        my $n = RushTest::Provider::notice($t, "T$serial", id => $id,
            provider => $provider, key => $p->{key}, forged => $forged, %o);

        return { method => 'POST', path => $n->{path}, body => $n->{body},
                 type => $n->{type}, headers => $n->{headers}, after => sub {
            $t->do('DELETE FROM payment_notice WHERE provider = ?',
                   $p->{number});
        }, judge => sub {
            my ($r, $hit, $kind) = @_;

            # Redis says that there is another certificate, or none
            return '' if $o{serial} && $hit && $r->{status} == 401
                && $kind =~ /^(?:nil|null|binary|large|short)$/;

            return answered($r, $hit, $p) || $forged && refused($r, $hit)
                || !$forged && taken($h, $r, $hit, $provider, $id) || '';
        } };
    };

    return (
        ['notice', [undef], sub { $make->('wechat', 0) }],
        ['notice forged', [undef], sub { $make->('wechat', 1) }],
        ['notice cert', [undef], sub { $make->('wechat', 0, cert($t)) }],
        ['alipay', [undef], sub { $make->('alipay', 0) }],
        ['alipay forged', [undef], sub { $make->('alipay', 1) }],
    );
}


# signed by a certificate that this worker has not met yet

sub cert {
    my ($t) = @_;

    my $serial = sprintf '7132D72A03E93CDDF8C03BBD1F37EEDF%08X', ++$certs;
    my $file = RushTest::Provider::file($t, 'wx1');

    RushTest::spew("$file.new", '');
    system("openssl req -x509 -new -key $file.key -days 30 -set_serial "
           . "0x$serial -subj /CN=torture -out $file.new 2>/dev/null") == 0
        or die "openssl\n";
    RushTest::Provider::publish($t, 'wx1', serial => $serial,
                                text => RushTest::slurp("$file.new"));

    return (key => 'wx1', serial => $serial);
}


# in the provider's form, or an error page, or the end of the connection

sub answered {
    my ($r, $hit, $p) = @_;

    return 'no answer: ' . ($r->{error} // '')
        if $r->{key} eq 'silent' || $r->{key} eq 'closed' && !$hit;
    return '' if $r->{key} eq 'closed'
        || $r->{body} =~ ($r->{status} == 200 ? $p->{yes} : $p->{no});

    # an error page of nginx has the envelope of all others
    return $r->{status} < 500 || !$hit
        ? "undeclared: $r->{status} $r->{body}" : '';
}


sub refused {
    my ($r, $hit) = @_;
    return $r->{key} eq 'closed' || $r->{status} == 401
        || $hit && $r->{status} >= 500 ? '' : "taken: $r->{status}";
}


sub taken {
    my ($h, $r, $hit, $provider, $id) = @_;

    return '' if $r->{key} eq 'closed';
    return $hit && $r->{status} >= 500 ? '' : "refused: $r->{status}"
        if $r->{status} != 200;

    my %there = map { my %e = @{$_->[1]}; ("$e{p} $e{k} $e{n}" => 1) }
        $h->{t}->redis()->xrevrange('{rush}pay', '+', '-', 'COUNT', 20);

    return $there{"$provider pay $id"} ? '' : 'taken, and not in the stream';
}


# --- jobs of the consumer ---

sub jobs {
    my ($h) = @_;

    my $t = $h->{t};
    my $m = money($h);
    my $state = sub {
        my ($table, $id) = @_;
        return $t->value("SELECT state FROM $table WHERE id = ?", $id) // -1;
    };
    my $status = sub { $t->value('SELECT status FROM orders WHERE '
                                 . 'order_no = ?', $_[0]) // -1 };
    my $due = sub { $t->do('UPDATE payment SET next_ms = 0 WHERE id = ?',
                           $_[0]) };

    return (
        ['order', sub {
            my $product = $h->{stock} //= $t->product(stock => 1_000_000);
            my $r = $t->post('/api/v1/orders', { product_id => "$product" },
                             user => USER, record => 0);
            my $no = $r->{json}{data}{order_no};
            # not placed: there is nothing to wait for
            return sub { !defined $no || $status->($no) == 1 };
        }],
        ['prepay', sub {
            my $id = RushTest::Pay::payment($t, order_no => order($h),
                                            state => 0, next_ms => 0);
            return sub { $state->('payment', $id) == 1 };
        }],
        ['close', sub {
            my $id = open_payment($h, state => 3);
            $due->($id);
            return sub { $state->('payment', $id) == 4 };
        }],
        ['ask', sub {
            my $id = open_payment($h);
            $t->do('UPDATE sandbox_trade SET state = 1, paid_ms = 1 WHERE '
                   . 'payment_id = ?', $id);
            $due->($id);
            return sub { $state->('payment', $id) == 2 };
        }],
        ['told', sub {
            my $no = $m->order();
            my $id = $m->pay($no, next_ms => RushTest::Pay::now_ms() + 1e10);
            $m->notice($id);
            return sub { $state->('payment', $id) == 2
                         && $status->($no) == 2 };
        }],
        ['late', sub {
            my $no = $m->order(status => 5, stock_state => 3, version => 2,
                               cancel_reason => 'timeout');
            my $id = $m->pay($no, state => 4);
            $m->notice($id);
            return sub { $state->('payment', $id) == 2
                         && $status->($no) == 2 };
        }],
        ['refund', sub {
            my $id = refund($h, amount => 600, next_ms => 0);
            $m->approve($id);
            return sub { $state->('refund', $id) == 4 };
        }],
        ['bill', sub {
            my $day = 20210101 + $serial++ % 28;
            $t->do('REPLACE INTO bill (day, provider, created_ms, '
                   . 'updated_ms) VALUES (?, 4, 1, 1)', $day);
            return sub { $t->value('SELECT state FROM bill WHERE day = ? '
                                   . 'AND provider = 4', $day) == 1 };
        }],
        ['replay', sub {
            my $id = letter($h, state => 3);
            return sub {
                return 0 if $state->('dead_letter', $id) == 3;
                $t->do('UPDATE dead_letter SET state = 2 WHERE id = ?', $id);
                return 1;
            };
        }],
    );
}


1;
