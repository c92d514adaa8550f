package RushTest::Pay;

# Copyright (C) Rush
#
# Orders to pay, payments and refunds as rows, and requests whose answer is
# looked at later.
#
#   order($t, user_id => 7, %row)      a row to pay: its number
#   payment($t, order_no => $no, %row) a row, open: its id
#   refund($t, payment_id => $id, %row)
#   row($t, $table, $id)               all of it
#   later($t, sub { answer })          runs in a process of its own;
#                                      ->() waits for the answer
#   number($activity, $ms)             an order number of that time

use warnings;
use strict;

use JSON::PP ();
use POSIX ();
use RushTest;
use Time::HiRes qw(time);

our $EPOCH = 1704067200000;
our @CHANNELS = ('', qw(wechat_native wechat_jsapi wechat_h5 alipay_page
                        alipay_wap alipay_precreate wallet sandbox));
our @PROVIDERS = ('', qw(wechat alipay wallet sandbox));

my @provider_of = (0, 1, 1, 1, 2, 2, 2, 3, 4);
my $json = JSON::PP->new->utf8->allow_nonref;
my $sequence = 0;


sub now_ms { return int(time() * 1000) }


sub id {
    my ($ms) = @_;
    return ($ms // now_ms()) - $EPOCH << 22 | 1001 << 12
        | ++$sequence & 4095;
}


sub number {
    my ($activity, $ms) = @_;
    return id($ms) . "-$activity";
}


sub order {
    my ($t, %o) = @_;

    my $now = now_ms();
    my $no = $o{order_no} // number($o{activity_id} // 0);

    # an ordinary one holds units of its product
    $o{product_id} //= $o{activity_id} ? 7
        : $t->product(taken => $o{qty} // 6);

    $t->insert('orders', order_no => $no, activity_id => 0, req_id => $no,
               qty => 6, price => 100, amount => 600,
               title => 'Cup', status => 1, stock_state => 0,
               slot => ++$sequence, granted_ms => $now, created_ms => $now,
               pay_deadline_ms => $now + 600_000, %o);

    return $no;
}


# what stands in the order is taken from there; nobody looks at it soon

sub payment {
    my ($t, %o) = @_;

    my $now = now_ms();
    my ($order) = $t->sql('SELECT * FROM orders WHERE order_no = ?',
                          $o{order_no});
    my $channel = $o{channel} //= 8;
    my $id = $o{id} // id();

    $t->insert('payment', id => $id, user_id => $order->{user_id},
               provider => $provider_of[$channel],
               amount => $order->{amount}, subject => $order->{title},
               state => 1, params => '{"a":1}',
               deadline_ms => $order->{pay_deadline_ms},
               next_ms => $now + 10 ** 10, created_ms => $now - 60_000,
               updated_ms => $now - 60_000, %o);

    return $id;
}


# a payment that has paid its order, and the books know

sub paid {
    my ($t, %o) = @_;

    my $now = now_ms();
    my $id = payment($t, state => 2, paid_ms => $now,
                     transaction_id => 'T' . id(), %o);

    $t->do('UPDATE orders SET status = 2, stock_state = 4, '
           . 'version = version + 1, actor_kind = 4, paid_ms = ?, '
           . "pay_type = 'sandbox', payment_id = ? WHERE order_no = ?",
           $now, $id, $o{order_no});

    my $p = row($t, 'payment', $id);
    my %books = ("provider:$PROVIDERS[$p->{provider}]" => $p->{amount},
                 "order:$p->{order_no}" => -$p->{amount});

    $t->insert('ledger', txn => "p:$id", account => $_, amount => $books{$_},
               created_ms => $now) foreach sort keys %books;

    return $id;
}


sub refund {
    my ($t, %o) = @_;

    my $now = now_ms();
    my $p = row($t, 'payment', $o{payment_id});
    my $id = $o{id} // id();

    $t->insert('refund', id => $id, order_no => $p->{order_no},
               user_id => $p->{user_id}, provider => $p->{provider},
               amount => $p->{amount}, total => $p->{amount}, origin => 0,
               state => 0, created_ms => $now, updated_ms => $now,
               next_ms => $now + 10 ** 10, %o);

    return $id;
}


sub row {
    my ($t, $table, $id) = @_;
    return ($t->sql("SELECT * FROM $table WHERE id = ?", $id))[0];
}


sub later {
    my ($t, $sub) = @_;

    pipe my $in, my $out or die "pipe: $!";

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        close $in;
        delete $t->{http};          # connections of its own
        my $r = eval { $sub->() } // { error => "$@" };
        delete $r->{headers}{''};
        print $out $json->encode({ %$r, json => undef });
        close $out;
        POSIX::_exit(0);
    }

    close $out;

    return sub {
        local $/;
        my $r = $json->decode(scalar <$in>);
        waitpid $pid, 0;
        $r->{json} = eval { $json->decode($r->{body}) };
        return $r;
    };
}


1;
