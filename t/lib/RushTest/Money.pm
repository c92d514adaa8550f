package RushTest::Money;

# Copyright (C) Rush
#
# Money without workers and without providers: rows as a worker makes them,
# notices as a worker puts them into the stream when it has verified them.
#
#   my $m = RushTest::Money->new($t);
#   $m->order(%o)            an ordinary order that waits for its payment; its
#                            number.  o: any column; user_id, amount
#   $m->pay($order, %o)      a payment of it; its id.  o: any column
#   $m->notice($payment, %o) puts "paid" into the stream.  o: id (of the
#                            notice), provider, amount, currency, state,
#                            transaction, mchid, appid, number (out_trade_no),
#                            paid_ms, json (the whole body), n => how often
#   $m->refund_notice($refund, %o)   the same of a refund: state, amount
#   $m->body($payment, %o)   what a notice of it would say, JSON
#   $m->refund($payment, %o) a row of refund, state 0; its id
#   $m->row($table, $id)     a row as a hash
#   $m->wait($name, $payment, $state)   a check: it comes to this state
#   $m->told(%where)         rows of payment_notice, by id
#   $m->idle($name)          a check: all notices are read and acknowledged
#   $m->books($name)         a check: --reconcile has nothing to say
#   $m->alarms()             "kind kind ..." so far
#   $m->no_teller()          nobody asks a provider: call it when MySQL runs and
#                            before consumers do
#   MONEY                    consumer_conf with short periods, sandbox on
#   providers($dir)          sections of WeChat Pay and Alipay with keys of
#                            their own; nobody answers there

use warnings;
use strict;

use JSON::PP ();
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

use Exporter qw(import);

use RushTest::Grant qw(soon FAST);

our @EXPORT = qw(MONEY providers);

use constant MONEY => {
    %{+FAST},
    cashier => { sweep => 30 },
    sandbox => { enabled => 1 },
};

my $json = JSON::PP->new->canonical;
my $serial = 0;

my %provider = (wechat => 1, alipay => 2, wallet => 3, sandbox => 4);
my %channel = (wechat => 1, alipay => 4, wallet => 7, sandbox => 8);


sub providers {
    my ($dir) = @_;

    foreach my $name (qw(wx ali)) {
        system("openssl genrsa -out $dir/$name.key 2048 2>/dev/null; openssl "
               . "rsa -in $dir/$name.key -pubout -out $dir/$name.pub "
               . '2>/dev/null') == 0 or die "openssl\n";
    }

    RushTest::spew("$dir/apiv3", 'k' x 32);

    return (
        wechat_pay => {
            appid => 'wx0000000000000001', mchid => '1900000001',
            serial => 'ABCDEF0123456789', key_file => "$dir/wx.key",
            apiv3_key_file => "$dir/apiv3",
            public_key_id => 'PUB_KEY_ID_0001',
            public_key_file => "$dir/wx.pub",
            base_url => 'http://127.0.0.1:1', base_url2 => '',
            notify_url => 'http://127.0.0.1:1/wechat',
            refund_notify_url => 'http://127.0.0.1:1/refund',
        },
        alipay => {
            app_id => '2021000000000001', seller_id => '2088000000000001',
            key_file => "$dir/ali.key", public_key_file => "$dir/ali.pub",
            gateway => 'http://127.0.0.1:1/gateway.do',
            notify_url => 'http://127.0.0.1:1/alipay',
        },
    );
}


sub new {
    my ($class, $t, %o) = @_;
    return bless { t => $t, %o }, $class;
}


# the teller would ask providers about rows of these tests: its lock is taken
# before it is there, for as long as this connection lasts

sub no_teller {
    my ($self) = @_;

    my $db = $self->{lock} =
        RushTest::Backend::mysql_connect($self->{t}{dir}, 'rush');
    my $name = "CONCAT('rush_teller.', DATABASE())";

    my ($got) = $db->selectrow_array("SELECT GET_LOCK($name, 0)");

    return $got ? $self : die "there is a teller\n";
}


sub now_ms { return int(time() * 1000) }


# as shared/rush_id.c makes them; node 1000 is nobody else's

sub id {
    return ((now_ms() - 1704067200000) << 22) | 1000 << 12
        | ($serial++ & 4095);
}


sub order {
    my ($self, %o) = @_;

    my $now = now_ms();
    my $no = $o{order_no} // id() . '-0';
    my $amount = $o{amount} // 1000;
    my $qty = $o{qty} // 1;

    my $product = $o{product_id} // $self->product();

    $self->{t}->do('UPDATE product SET stock = stock - ?, taken = taken + ? '
                   . 'WHERE id = ?', $qty, $qty, $product)
        if !$o{activity_id} && ($o{stock_state} // 0) != 3;

    $self->{t}->insert('orders', order_no => $no, user_id => 7,
        activity_id => 0, product_id => $product, req_id => $no,
        qty => $qty, price => $amount / $qty, amount => $amount,
        title => 'Tea', status => 1, stock_state => 0, granted_ms => $now,
        pay_deadline_ms => $now + 600_000, created_ms => $now, %o);

    return $no;
}


sub product {
    my ($self) = @_;
    return $self->{product} //= $self->{t}->product(stock => 100000);
}


sub pay {
    my ($self, $order, %o) = @_;

    my $now = now_ms();
    my $id = $o{id} // id();
    my $name = delete $o{by} // 'sandbox';
    my ($row) = $self->{t}->sql('SELECT * FROM orders WHERE order_no = ?',
                                $order);

    $self->{t}->insert('payment', id => $id, order_no => $order,
        user_id => $row->{user_id} // 7, provider => $provider{$name},
        channel => $channel{$name}, amount => $row->{amount} // 1000,
        subject => 'Tea', state => 1, params => '{}',
        deadline_ms => $row->{pay_deadline_ms} // $now + 1000,
        created_ms => $now, updated_ms => $now, %o);

    return $id;
}


# closes a payment as the teller does, so that an order may have another one

sub close {
    my ($self, $payment) = @_;
    $self->{t}->do('UPDATE payment SET state = 4, closed_ms = 1 WHERE id = ?',
                   $payment);
}


sub stamp {
    my ($ms) = @_;
    return strftime('%Y-%m-%dT%H:%M:%S', gmtime($ms / 1000 + 8 * 3600))
        . '+08:00';
}


sub body {
    my ($self, $payment, %o) = @_;

    return $o{json} if defined $o{json};

    my $row = $self->row('payment', $payment) // {};
    my $amount = $o{amount} // $row->{amount} // 1000;
    my $paid = $o{paid_ms} // now_ms();
    my $state = $o{state} // 'SUCCESS';

    if (($o{provider} // '') eq 'alipay') {
        return $json->encode({
            notify_id => $o{id} // 'n' . ++$serial,
            notify_type => 'trade_status_sync',
            app_id => $o{appid} // '2021000000000001',
            seller_id => $o{mchid} // '2088000000000001',
            trade_no => $o{transaction} // "T$payment",
            out_trade_no => $o{number} // "$payment",
            trade_status => $state eq 'SUCCESS' ? 'TRADE_SUCCESS' : $state,
            total_amount => sprintf('%d.%02d', $amount / 100, $amount % 100),
            gmt_payment => stamp($paid) =~ s/T/ /r =~ s/\+.*//r,
            %{$o{fields} || {}},
        });
    }

    return $json->encode({
        appid => $o{appid} // 'wx0000000000000001',
        mchid => $o{mchid} // '1900000001',
        out_trade_no => $o{number} // "$payment",
        transaction_id => $o{transaction} // "T$payment",
        trade_type => 'NATIVE',
        trade_state => $state,
        success_time => stamp($paid),
        payer => { openid => 'openid-of-a-buyer' },
        amount => { total => $amount, payer_total => $amount,
                    currency => $o{currency} // 'CNY',
                    payer_currency => 'CNY' },
    });
}


sub add {
    my ($self, %f) = @_;

    my $rd = $self->{t}->redis();

    return $rd->xadd('{rush}pay', '*', p => $f{p}, k => $f{k}, n => $f{n},
                     b => $f{b}, r => $f{r} // now_ms());
}


sub notice {
    my ($self, $payment, %o) = @_;

    my $name = $o{provider} // 'sandbox';
    my $key = $o{id} // 'n' . ++$serial . ".$payment";
    my $body = $self->body($payment, %o, id => $key);

    $self->add(p => $name, k => $o{kind} // 'pay', n => $key, b => $body,
               r => $o{received_ms})
        foreach 1 .. $o{n} // 1;

    return $key;
}


sub refund {
    my ($self, $payment, %o) = @_;

    my $now = now_ms();
    my $row = $self->row('payment', $payment);
    my $id = $o{id} // id();

    $self->{t}->insert('refund', id => $id, payment_id => $payment,
        order_no => $row->{order_no}, user_id => $row->{user_id},
        provider => $row->{provider}, amount => $row->{amount},
        total => $row->{amount}, reason => 'do not want it', origin => 0,
        state => 0, created_ms => $now, updated_ms => $now, %o);

    return $id;
}


# as a worker does it: one conditional statement

sub approve {
    my ($self, $refund, $admin) = @_;
    return $self->{t}->do('UPDATE refund SET state = 1, decided_by = ?, '
                          . 'version = version + 1 WHERE id = ? '
                          . 'AND state = 0', $admin // 1, $refund);
}


sub refund_notice {
    my ($self, $refund, %o) = @_;

    my $row = $self->row('refund', $refund) // {};
    my $name = $o{provider} // 'sandbox';
    my $key = $o{id} // 'r' . ++$serial . ".$refund";
    my $amount = $o{amount} // $row->{amount} // 1;

    my $body = $o{json} // $json->encode({
        mchid => $o{mchid} // '1900000001',
        out_trade_no => '' . ($row->{payment_id} // 0),
        transaction_id => 'T' . ($row->{payment_id} // 0),
        out_refund_no => $o{number} // "R$refund",
        refund_id => "P$refund",
        refund_status => $o{state} // 'SUCCESS',
        success_time => stamp($o{done_ms} // now_ms()),
        amount => { total => $row->{total} // 1, refund => $amount,
                    payer_total => $row->{total} // 1,
                    payer_refund => $amount },
    });

    $self->add(p => $name, k => 'refund', n => $key, b => $body)
        foreach 1 .. $o{n} // 1;

    return $key;
}


sub row {
    my ($self, $table, $id) = @_;

    my $key = $table eq 'orders' ? 'order_no' : 'id';
    my ($row) = $self->{t}->sql("SELECT * FROM $table WHERE $key = ?", $id);

    return $row;
}


sub wait {
    my ($self, $name, $payment, $state) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return soon($name, sub {
        $self->row('payment', $payment)->{state} == $state
    });
}


sub told {
    my ($self, %where) = @_;

    my @names = sort keys %where;

    return $self->{t}->sql('SELECT * FROM payment_notice WHERE 1 = 1'
        . join('', map { " AND $_ = ?" } @names) . ' ORDER BY id',
        @where{@names});
}


sub idle {
    my ($self, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return soon($name // 'all notices are read', sub {
        my ($g) = map { +{ @$_ } }
            @{$self->{t}->redis()->xinfo_groups('{rush}pay')};
        return $g && !$g->{pending} && !($g->{lag} // 1);
    });
}


sub books {
    my ($self, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return RushTest::Grant::clean($self->{t}, $name // 'the books');
}


sub alarms {
    my ($self) = @_;
    return join ' ', map { $_->{kind} }
        $self->{t}->sql('SELECT kind FROM alarm ORDER BY id');
}


1;
