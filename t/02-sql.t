#!/usr/bin/perl

# Copyright (C) Rush
#
# The schema can be made, and each named statement is one that the server
# prepares, for the user and with the rights that nginx and the consumer have.

use warnings;
use strict;

use DBI;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use RushTest;

my $root = "$FindBin::Bin/..";
my $t = RushTest->new(nginx => 0, redis => 0, consumer => 0);

my $dbh = DBI->connect(
    "DBI:MariaDB:rush;mariadb_socket=$t->{dir}/mysql.sock", 'rush',
    $t->{password}{mysql}, { PrintError => 0, RaiseError => 1 });

my @files = map { glob "$root/$_/*.sql" } qw(shared ngx_*_module consumer);

cmp_ok(scalar @files, '>=', 1, 'there are statements');

foreach my $file (@files) {
    my $text = RushTest::slurp($file);
    my ($name) = $file =~ m!([^/]+/[^/]+)$!;
    my @bad;
    my $n = 0;

    while ($text =~ /^--\s*name:\s*(\w+)\s*\n(.*?)(?=^--\s*name:|\z)/msg) {
        my ($label, $stmt) = ($1, $2);

        $stmt =~ s/^\s*--.*\n//mg;
        $stmt =~ s/;\s*\z//;
        $n++;

        eval {
            $dbh->do('PREPARE s FROM ' . $dbh->quote($stmt));
            $dbh->do('DEALLOCATE PREPARE s');
            1;
        } or push @bad, "$label: " . $dbh->errstr();

        push @bad, "$label: \";\" inside" if $stmt =~ /;/;
    }

    is(join("\n", @bad), '', "$name: $n statements are prepared");
    cmp_ok($n, '>', 0, "$name is not empty");

    my $out = `(perl $root/tools/embed.pl sql x $t->{dir}/x.h $file \\
        && gcc -fsyntax-only -Wall -Wextra -Werror -xc -I$root/shared \\
               $t->{dir}/x.h) 2>&1`;
    is($out, '', "$name: its header compiles");
}

ok(!eval { $dbh->do('DROP TABLE orders'); 1 }, 'no right to drop');
ok(!eval { $dbh->do('CREATE TABLE x (a INT)'); 1 }, 'no right to create');

# the ledger itself refuses to oversell
my $id = $t->activity(stock => 2, wait => 0);

ok(!eval { $t->do('UPDATE seckill_activity SET sold = 3 WHERE id = ?', $id) },
   'sold above total');
ok(!eval { $t->do('UPDATE seckill_activity SET sold = -1 WHERE id = ?', $id) },
   'sold below zero');

# the machine of orders: what the header declares is what the database knows

my $header = RushTest::slurp("$root/shared/rush_order.h");
my %state = $header =~ /^    S\((\w+),\s+(\d+),/mg;
my %actor = $header =~ /^    A\((\w+),\s+(\d+),/mg;
my %edge;

while ($header =~ /^    E\((\w+),\s+(\w+),\s+([A-Z_|]+)\)/mg) {
    my ($from, $to, $who) = ($1, $2, $3);

    $edge{"$state{$from} $state{$to}"} +=
        1 << $actor{$_} for $who =~ /RUSH_BY_(\w+)/g;
}

my %known = map { ("$_->[0] $_->[1]" => $_->[2]) } @{$dbh->selectall_arrayref(
    'SELECT from_status, to_status, actors FROM order_edge')};

is_deeply(\%known, \%edge, 'edges of orders');
cmp_ok(scalar keys %edge, '>', 10, 'there are some');

my $set = sub {
    my ($from, $to, $by, $more) = @_;

    # back to where it was: as a new row, no edge leads there
    $dbh->do('DELETE FROM order_log');
    $dbh->do('DELETE FROM orders');
    $dbh->do("INSERT INTO orders (order_no, user_id, activity_id, product_id, "
             . "req_id, qty, price, amount, title, status, stock_state, "
             . "granted_ms, pay_deadline_ms, created_ms) VALUES "
             . "('1-0', 7, 0, 1, 'x', 1, 1, 1, '', $from, 0, 1, 1, 1)");

    return eval {
        $dbh->do("UPDATE orders SET status = $to, actor_kind = $by, "
                 . "actor = 9, reason = 'why'$more WHERE order_no = '1-0'");
        1
    } ? join(' ', $dbh->selectrow_array(
            'SELECT from_status, to_status, version, actor_kind, actor, '
            . 'reason FROM order_log')) : 'refused';
};

my @wrong;
my $next = ', version = version + 1';

foreach my $from (0 .. 9) {
    foreach my $to (grep { $_ != $from } 0 .. 9) {
        foreach my $by (values %actor) {
            my $may = ($edge{"$from $to"} || 0) >> $by & 1;
            my $want = $may ? "$from $to 2 $by 9 why" : 'refused';
            my $got = $set->($from, $to, $by, $next);

            push @wrong, "$from -> $to by $by: $got" if $got ne $want;
        }
    }
}

is("@wrong", '', 'every other edge is refused, every change recorded');
is($set->(1, 2, 4, ''), 'refused', 'no change without a version');
is($set->(1, 2, 4, ', version = version + 2'), 'refused', 'the next one');
is($set->(1, 2, 4, $next), '1 2 2 4 9 why', 'a payment');
ok(!eval { $dbh->do("UPDATE order_log SET reason = ''"); 1 },
   'the log does not change');

$t->finish();
done_testing();
