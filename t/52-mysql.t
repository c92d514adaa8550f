#!/usr/bin/perl

# Copyright (C) Rush
#
# MariaDB is killed or hangs while a sale runs: selling goes on, orders come
# later, none is lost.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new();


sub list {
    my ($codes) = @_;
    return join ', ', map { "$_: $codes->{$_}" } sort keys %$codes;
}


subtest 'MariaDB' => sub {
    my $id = $t->activity(stock => 2000);
    my $s = RushTest::Sale->new($t, $id);

    $s->keep_buying(0.3);
    $t->kill('mysql');

    # selling needs no MySQL
    my $codes = $s->keep_buying(4);
    is(list($codes), "0: $codes->{0}", 'all buyers are served');
    is($t->get('/ready')->{status}, 503, 'though it is not ready');

    my ($told) = $s->told('yes');
    my $r = $t->get('/api/v1/orders', user => $told->{user});
    is($r->{status}, 503, 'orders cannot be read');

    $t->start('mysql');
    $s->keep_buying(0.3);

    my $n = $s->told('yes');
    ok($t->wait_for(sub { $t->live_orders($id) == $n }, 10, 'rows'),
       "$n orders appear");
    $s->check('books', rows => $n);

    $t->kill('mysql');
    $t->start('mysql');
    $s->keep_buying(0.3);
    $t->kill('mysql');
    $s->keep_buying(0.3);
    $t->start('mysql');
    $s->sell_out('books after two more', 2000);
};


subtest 'everything at once' => sub {
    my $id = $t->activity(stock => 300);
    my $s = RushTest::Sale->new($t, $id);

    $s->keep_buying(0.3);
    $t->kill($_) foreach qw(redis mysql consumer);
    my $codes = $s->keep_buying(0.3);
    is($codes->{0} // 0, 0, 'nothing is sold');

    # the last one that is needed comes last
    $t->start('consumer');
    $t->start('mysql');
    $s->keep_buying(0.2);
    $t->start('redis');
    $s->sells();
    $s->sell_out('books', 300);
};


$t->finish();
done_testing();
