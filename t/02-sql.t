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

$t->finish();
done_testing();
