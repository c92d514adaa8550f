#!/usr/bin/perl

# Copyright (C) Rush
#
# Orders as CSV: what a spreadsheet reads, whose numbers are shown, pages as
# they are read, and an end that is no end.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Orders;
use Test::More;
use Time::HiRes qw(sleep);

my $t = RushTest->new(
    nginx => { workers => 1, extra_server => 'send_timeout 2s;' },
    proxy => [qw(nginx_mysql)],
);

RushTest::Orders::begin($t, 635_000);

my $mysql = $t->proxy('nginx_mysql');
my $EPOCH = 1704067200000;
my $sequence = 0;
my $HEAD = 'order_no,user_id,activity_id,product_id,shop_id,title,quantity,'
    . 'price,amount,status,cancel_reason,created_at,pay_deadline,paid_at,'
    . 'pay_type,shipped_at,carrier,tracking,done_at,closed_at,receiver,'
    . 'mobile,province,city,district,detail,postcode,remark';


sub number { return (now() - $EPOCH << 22 | ++$sequence) . '-0' }


# RFC 4180, strictly: rows of fields, undef when it is none

sub rows_of {
    my ($text) = @_;
    my @rows;

    while ($text ne '') {
        my @row;

        while (1) {
            $text =~ s/\A"((?:[^"]|"")*)"(,|\r\n)//
                || $text =~ s/\A([^",\r\n]*)(,|\r\n)// or return;
            my ($field, $end) = ($1, $2);
            push @row, $field =~ s/""/"/gr;
            last if $end ne ',';
        }

        push @rows, \@row;
    }

    return \@rows;
}


sub export {
    my ($query, %o) = @_;
    return $t->get("$ADMIN?export=csv" . ($query ? "&$query" : ''),
                   admin => 1, timeout => 60, %o);
}


# of a process, KB

sub memory {
    return RushTest::slurp("/proc/$_[0]/status") =~ /^VmRSS:\s+(\d+)/m
        ? $1 : 0;
}


# quick: many rows of one product

sub many {
    my ($product, $n, %o) = @_;

    my $at = now();
    my @no = map { number() } 1 .. $n;
    my $title = $o{title} // 'Cup';

    while (my @some = splice @no, 0, 1000) {
        $t->do('INSERT INTO orders (order_no, user_id, activity_id, '
            . 'product_id, req_id, qty, price, amount, title, status, '
            . 'stock_state, granted_ms, pay_deadline_ms, created_ms) VALUES '
            . join(', ', map { "('$_', 7, 0, $product, '$_', 1, 5, 5, "
                . "'$title', 4, 4, $at, $at, $at)" } @some));
    }

    $t->do('UPDATE product SET taken = taken + ? WHERE id = ?', $n, $product);
}


subtest 'a spreadsheet' => sub {
    my $user = user();
    my $p = $t->product(title => "=cmd|' /C calc'!A0", price => 5);
    my $a = address($user, receiver => '+Li, "x"', detail => "-1\nline",
                    mobile => '13812345678', city => '@SUM(A1)');
    my $no = ordered($p, $user, data => { address_id => "$a",
                                         remark => "a,\"b\"" });
    my $plain = ordered($p, $user);

    pay($no);
    ship($no, carrier => '=1+1', number => '-7');

    my $r = export("product_id=$p");
    is($r->{status}, 200, 'an export');
    is($r->{headers}{'content-type'}, 'text/csv; charset=utf-8', 'type');
    is($r->{headers}{'content-disposition'},
       'attachment; filename="orders.csv"', 'a file');
    is($r->{headers}{'cache-control'}, 'no-store', 'nobody keeps it');
    ok($r->{headers}{'x-trace-id'}, 'trace');

    my $rows = rows_of($r->{body});
    ok($rows, 'RFC 4180') or diag($r->{body});
    is(join(',', @{$rows->[0]}), $HEAD, 'head');
    is(scalar(@$rows), 3, 'two rows');
    is(scalar(grep { @$_ != @{$rows->[0]} } @$rows), 0, 'all of one width');

    my %row;
    @row{@{$rows->[0]}} = @{$rows->[2]};
    is($row{order_no}, $no, 'newest first');
    is(join(' ', @row{qw(user_id activity_id product_id quantity price amount
                         status pay_type)}),
       "$user 0 $p 1 5 5 shipped sandbox", 'values');
    is($row{title}, "'=cmd|' /C calc'!A0", 'no formula: =');
    is($row{receiver}, "'+Li, \"x\"", 'no formula: +');
    is($row{detail}, "'-1\nline", 'no formula: -, on two lines');
    is($row{city}, "'\@SUM(A1)", 'no formula: @');
    is("$row{carrier} $row{tracking}", "'=1+1 '-7", 'of administrators too');
    is($row{remark}, 'a,"b"', 'quotes');
    is($row{mobile}, '13812345678', 'role 1 sees numbers');
    like($row{$_}, qr/^20\d\d-\d\d-\d\dT[\d:.]+Z$/, $_)
        foreach qw(created_at pay_deadline paid_at shipped_at);
    is($row{done_at} . $row{closed_at}, '', 'not yet');

    @row{@{$rows->[0]}} = @{$rows->[1]};
    is($row{order_no} . ' ' . $row{receiver}, "$plain ", 'no address');

    $r = export("product_id=$p&status=3");
    is(scalar(@{rows_of($r->{body})}), 2, 'a filter');
    $r = export("product_id=$p&last_id=$plain");
    is(rows_of($r->{body})->[1][0], $no, 'from there on');
    $r = export("product_id=$p&user_id=1");
    is($r->{body}, "$HEAD\r\n", 'nothing');

    # who may not see numbers
    my $role = $t->post('/api/v1/admin/roles', { name => 'clerk',
        permissions => ['orders_read'] }, admin => 1)->{json}{data}{id};
    my $clerk = $t->token(user(), roles => 1 << $role - 1);

    ok($t->wait_for(sub {
        $r = $t->get("$ADMIN?export=csv&product_id=$p", token => $clerk);
        return $r->{status} == 200;
    }, 5, 'the role'), 'a clerk');
    @row{@{$rows->[0]}} = @{rows_of($r->{body})->[2]};
    is($row{mobile}, '138****5678', 'masked');
    is(data($t->get("$ADMIN/$no", token => $clerk))->{address}{mobile},
       '138****5678', 'in the order too');
    is(data($t->get("$ADMIN/$no", admin => 1))->{address}{mobile},
       '13812345678', 'but not for role 1');
};


subtest 'many pages' => sub {
    my $p = $t->product();

    many($p, 2500);

    foreach my $n (0, 1) {
        my $r = export("product_id=$p", fresh => $n);
        my $rows = rows_of($r->{body});
        is(scalar(@$rows), 2501, 'all of them');
        my %seen = map { $_->[0] => 1 } @$rows;
        is(scalar keys %seen, 2501, 'each once');
        my @no = map { $_->[0] } @$rows[1 .. 2500];
        is(join(' ', @no), join(' ', reverse sort @no), 'in order');
    }

    # exactly pages: a last one without rows
    my $q = $t->product();
    many($q, 1000);
    is(scalar(@{rows_of(export("product_id=$q")->{body})}), 1001, 'two pages');

    my $r = $t->request('HEAD', "$ADMIN?export=csv&product_id=$p",
                        admin => 1);
    is("$r->{status} " . length($r->{body} // ''), '200 0', 'only a head');
};


# a client that reads slowly holds up nobody, and takes no memory

subtest 'a slow client' => sub {
    my $p = $t->product();
    my ($worker) = $t->workers();

    many($p, 30_000, title => 'x' x 120);

    my ($bytes) = $t->bytes_of({ method => 'GET', admin => 1,
        path => "$ADMIN?export=csv&product_id=$p" });
    my $s = $t->connect();
    my $before = memory($worker);

    syswrite $s, $bytes;
    sleep 0.5;
    is(told($t->get("$PATH", user => user())), '200 0', 'others are served');

    my ($in, $n) = ('', 0);

    while (sysread $s, my $part, 65536) {
        $in .= $part;
        last if $in =~ /\r\n0\r\n\r\n\z/;
        sleep 0.002 if ++$n % 4 == 0;
    }

    like($in, qr/\r\n0\r\n\r\n\z/, 'it comes to its end');
    is(scalar(() = $in =~ /"x{120}"/g), 30_000, 'with all rows');

    SKIP: {
        skip 'a sanitizer keeps what was freed', 1 if $RushTest::SANITIZE;
        cmp_ok(memory($worker) - $before, '<', 4096,
               'KB more: of a page, not of all');
    }

    close $s;

    # one that stops reading is not waited for
    $s = $t->connect();
    syswrite $s, $bytes;
    my $at = -s $t->daemon('nginx')->{log};
    ok($t->wait_for(sub {
        substr(RushTest::slurp($t->daemon('nginx')->{log}), $at)
            =~ /client timed out.*seckill_csv/
    }, 10, 'the end of it'), 'given up');
    close $s;

    # and one that leaves
    $s = $t->connect();
    syswrite $s, $bytes;
    sysread $s, my $part, 65536;
    $at = -s $t->daemon('nginx')->{log};
    close $s;
    ok($t->wait_for(sub {
        substr(RushTest::slurp($t->daemon('nginx')->{log}), $at)
            =~ /while ngx_seckill_csv_(?:next|sent)/
    }, 10, 'the end of it'), 'gone');
    is(($t->workers())[0], $worker, 'the worker lives')
        if RushTest::Mode::workers_stay();
};


# half an export must not look like a whole one

subtest 'MySQL leaves in the middle' => sub {
    my $p = $t->product();

    many($p, 5000);

    is(scalar(@{rows_of(export("product_id=$p")->{body})}), 5001, 'whole');

    my ($bytes) = $t->bytes_of({ method => 'GET', admin => 1,
        path => "$ADMIN?export=csv&product_id=$p" });
    my $s = $t->connect();
    my $in = '';

    $mysql->delay(200);
    syswrite $s, $bytes;
    sysread $s, $in, 65536;
    $mysql->drop();
    $mysql->refuse();

    while (sysread $s, my $part, 65536) { $in .= $part }

    like($in, qr/^HTTP\/1\.1 200 /, 'it had begun');
    like($in, qr/order_no,user_id/, 'with the head');
    unlike($in, qr/\r\n0\r\n\r\n\z/, 'it has no end');
    close $s;

    # before the first byte it is an answer like any other
    my $r = export("product_id=$p");
    is(told($r), '503 3', 'busy');
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    $mysql->pass();
    ok($t->wait_for(sub { export("product_id=$p")->{status} == 200 }, 10,
                    'MySQL'), 'back');
};


$t->finish();
done_testing();
