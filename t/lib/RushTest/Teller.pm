package RushTest::Teller;

# Copyright (C) Rush
#
# Tests of the teller: consumers with short periods that call the stand-in of
# RushTest::Provider, and what one sees of their rows.
#
#   conf(%o)             consumer_conf; o: sections over the defaults, port (of
#                        the stand-in, default: none is configured), alipay =>
#                        'key' or 'cert', wechat => 'cert' or 'key'
#   asked($t, $m, $channel, %o)  an order and a payment in state 0, hinted;
#                        its id.  o: order => {}, and columns of payment
#   hint($t, $id, $kind) a hint
#   state($t, $id)       payment.state; params($t, $id) decoded
#   becomes($t, $id, $state, $name)  a check: payment.state is it, soon
#   due($t, $id)         the payment is due at once
#   opened($t, $m, $channel, $name)  a check: a payment that is open; its id
#   paid($t, $m, $channel, $name)    two checks: one that was paid at the
#                        stand-in, found by a question; its id
#   refunded($t, $m, $payment, %o)   an approved refund; its id
#   refund_is($t, $id, $state, $name)
#   calls($t, $op)       calls of the stand-in
#   now_due($t, $table)  all rows are due at once
#   not_due($t)          nothing that is open is asked about any more: what
#                        follows has the stand-in to itself
#   gauges($t, $name)    { 'pay_calls_total{...}' => n }

use warnings;
use strict;

use Exporter qw(import);
use HTTP::Tiny;
use JSON::PP qw(decode_json);
use Test::More;

use RushTest::Grant qw(soon);
use RushTest::Provider;

our @EXPORT = qw(asked hint state params becomes refunded refund_is calls
                 now_due not_due gauges);

our %CHANNEL = (wechat_native => [1, 1], wechat_jsapi => [2, 1],
                wechat_h5 => [3, 1], alipay_page => [4, 2],
                alipay_wap => [5, 2], alipay_precreate => [6, 2],
                sandbox => [8, 4]);


sub conf {
    my (%o) = @_;

    my $port = delete $o{port};
    my $wechat = delete $o{wechat} // 'cert';
    my $alipay = delete $o{alipay} // 'key';
    my $dir = '@DIR@/provider';

    my %conf = (
        consumer => { discover => 50, block => 20, claim_interval => 50 },
        controller => { poll => 50, sweep => 50, reconcile => 0 },
        cashier => { sweep => 30 },
        pay => { poll => 30, retry_min => 30, retry_max => 200, minute => 200,
                 connect_timeout => 500, timeout => 1000, breaker => 1000,
                 breaker_pause => 300, bills => 0 },
        sandbox => { enabled => 1 },
    );

    if ($port) {
        $conf{wechat_pay} = {
            appid => $RushTest::Provider::APPID,
            mchid => $RushTest::Provider::MCHID,
            serial => $RushTest::Provider::SERIAL{merchant},
            key_file => "$dir/merchant.key", apiv3_key_file => "$dir/apiv3",
            base_url => "http://127.0.0.1:$port", base_url2 => '',
            notify_url =>
                'https://shop.example/api/v1/payment/callback/wechat',
            refund_notify_url =>
                'https://shop.example/api/v1/payment/callback/wechat/refund',
            $wechat eq 'cert' ? () : (
                public_key_id => $RushTest::Provider::SERIAL{wxpub},
                public_key_file => "$dir/wxpub.pub"),
        };
        $conf{alipay} = {
            app_id => $RushTest::Provider::APP,
            seller_id => $RushTest::Provider::SELLER,
            key_file => "$dir/app.key",
            gateway => "http://127.0.0.1:$port/gateway.do",
            notify_url =>
                'https://shop.example/api/v1/payment/callback/alipay',
            return_url => 'https://shop.example/paid',
            $alipay eq 'key' ? (public_key_file => "$dir/alipay.pub") : (
                app_cert_file => "$dir/app.crt",
                cert_file => "$dir/alipay.crt",
                root_cert_file => "$dir/root.crt"),
        };
    }

    foreach my $section (keys %o) {
        $conf{$section} = { %{$conf{$section} || {}}, %{$o{$section}} };
    }

    return \%conf;
}


sub asked {
    my ($t, $m, $channel, %o) = @_;

    my ($n, $provider) = @{$CHANNEL{$channel}};
    my $order = $m->order(%{delete $o{order} || {}});
    my $id = $m->pay($order, state => 0, params => '', channel => $n,
                     provider => $provider, client_ip => '203.0.113.9',
                     payer => $channel eq 'wechat_jsapi' ? 'oCanaryOpenid1'
                         : '', %o);

    hint($t, $id);
    return $id;
}


sub hint {
    my ($t, $id, $kind) = @_;
    eval { $t->redis()->xadd('{rush}tell', '*', k => $kind // 'pay',
                             i => $id) };
}


sub state {
    my ($t, $id) = @_;
    return $t->value('SELECT state FROM payment WHERE id = ?', $id);
}


sub params {
    my ($t, $id) = @_;
    my $text = $t->value('SELECT params FROM payment WHERE id = ?', $id);
    return $text eq '' ? undef : decode_json($text);
}


sub becomes {
    my ($t, $id, $state, $name, $seconds) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return soon($name // "payment $id: $state",
                sub { state($t, $id) == $state }, $seconds)
        || diag(explain($t->sql('SELECT * FROM payment WHERE id = ?', $id)));
}


sub due {
    my ($t, $id) = @_;
    $t->do('UPDATE payment SET next_ms = 0 WHERE id = ?', $id);
}


sub opened {
    my ($t, $m, $channel, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $id = asked($t, $m, $channel);

    becomes($t, $id, 1, $name // 'open');
    return $id;
}


sub paid {
    my ($t, $m, $channel, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $id = opened($t, $m, $channel, "$name: open");

    RushTest::Provider::pay($t, $id, notify => 0);
    due($t, $id);
    becomes($t, $id, 2, "$name: paid");
    return $id;
}


# as the cashier leaves it when its sum is promised

sub refunded {
    my ($t, $m, $payment, %o) = @_;

    my $id = $m->refund($payment, state => 0, %o);

    $m->approve($id);
    hint($t, $id, 'refund');
    return $id;
}


sub refund_is {
    my ($t, $id, $state, $name, $seconds) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return soon($name // "refund $id: $state", sub {
        $t->value('SELECT state FROM refund WHERE id = ?', $id) == $state
    }, $seconds)
        || diag(explain($t->sql('SELECT * FROM refund WHERE id = ?', $id)));
}


sub calls {
    my ($t, $op) = @_;
    return scalar(my @all = RushTest::Provider::got($t, $op));
}


sub now_due {
    my ($t, $table) = @_;
    $t->do('UPDATE ' . ($table // 'payment') . ' SET next_ms = 0');
}


sub not_due {
    my ($t) = @_;
    $t->do("UPDATE $_ SET next_ms = 9e15") foreach qw(payment refund);
}


sub gauges {
    my ($t, $name) = @_;

    my $port = $t->{consumer_port}{$name // 'consumer'};
    my $r = HTTP::Tiny->new(timeout => 5)
        ->get("http://127.0.0.1:$port/metrics");

    return { $r->{content} =~ /^rush_consumer_(\S+) (\S+)$/mg };
}


1;
