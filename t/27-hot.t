#!/usr/bin/perl

# Copyright (C) Rush
#
# Hot reads: activities from shared memory, their states and texts, ETag and
# Cache-Control, and that neither they nor buys need MySQL.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new();

my $TOP = '/api/v1/seckill/activities';
my $serial = 270_000;

sub user { return ++$serial }

sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }

sub status { return data($t->get("$TOP/$_[0]/status")) }


# every worker reads the same memory: what one has said, all say

sub becomes {
    my ($id, $state) = @_;

    ok($t->wait_for(sub { (status($id)->{state} // '') eq $state }, 10,
                    "$id to be $state"), $state);
}


sub ids {
    my ($query) = @_;

    my $d = data($t->get("$TOP?$query"));

    return join ' ', @$d{qw(total page page_size total_page)}, '',
        map { $_->{id} } @{$d->{list}};
}


sub admin {
    my ($id, $verb, @data) = @_;
    my $r = $t->post("/api/v1/admin/seckill/activities/$id/$verb", @data, {},
                     admin => 1);
    is($r->{code}, 0, $verb) or diag($r->{body});
}


subtest 'nothing' => sub {
    is(ids(''), '0 1 20 0 ', 'an empty list');
    is(told($t->get("$TOP/4711$_")), '404 4', "unknown$_")
        foreach '', '/status', '/stock';
    is(told($t->get("$TOP/$_")), '404 4', "no id: $_")
        foreach '0', '-1', 'x', '01', '1.0', '9' x 30;
};


my %id;

subtest 'states' => sub {
    my $product = $t->product(title => 'Clock', price => 900,
                              image => 'https://img/clock.png');

    %id = (
        not_started => $t->activity(start => 3_000_000, stop => 4_000_000,
                                    stock => 30),
        running => $t->activity(product => $product, title => 'Clocks',
                                price => 450, stock => 20, limit => 3,
                                pay_seconds => 60, start => -5000),
        paused => $t->activity(start => -4000),
        sold_out => $t->activity(start => -3000, stock => 1),
        ended => $t->activity(start => -9000, stop => -2000, wait => 0),
        offline => $t->activity(start => -2000),
    );

    my $draft = $t->activity(status => 0, warm => 0, start => -1000);

    admin($id{paused}, 'pause');
    admin($id{offline}, 'offline');
    is($t->buy($id{sold_out}, user())->{code}, 0, 'the only unit');

    becomes($id{$_}, $_ eq 'offline' ? 'ended' : $_) foreach sort keys %id;

    # what is listed: by the time of the start
    is(ids('state=upcoming'), "1 1 20 1  $id{not_started}", 'upcoming');
    is(ids('state=running'),
       "3 1 20 1  @id{qw(running paused sold_out)}", 'running');
    is(ids('state=ended'), "2 1 20 1  @id{qw(ended offline)}", 'ended');

    my @all = @id{qw(ended running paused sold_out offline not_started)};
    is(ids(''), "6 1 20 1  @all", 'all, but no draft');
    is(ids("page=$_&page_size=4"),
       "6 $_ 4 2  @all[$_ == 1 ? (0 .. 3) : (4, 5)]", "page $_")
        foreach 1, 2;
    is(ids('page=3&page_size=4'), '6 3 4 2 ', 'behind the end');
    is(ids('state=running&page=2&page_size=2'),
       "3 2 2 2  $id{sold_out}", 'state and page');

    foreach my $q (qw(state=x state=Running state=paused state= page=0
                      page=10001 page_size=0 page_size=101 page=x))
    {
        my $r = $t->get("$TOP?$q");
        my ($name) = $q =~ /^(\w+)/;
        is(told($r), '400 2', $q);
        is(data($r)->{field}, $name, 'named');
    }

    is(told($t->get("$TOP/$draft$_")), '404 4', "a draft$_")
        foreach '', '/status', '/stock';
};


subtest 'texts' => sub {
    my $id = $id{running};
    my $d = data($t->get("$TOP/$id"));
    my ($row) = $t->sql('SELECT * FROM seckill_activity WHERE id = ?', $id);

    is(join(' ', sort keys %$d), 'currency end_at end_ms id image left '
       . 'limit_per_user original_price pay_seconds price product_id '
       . 'product_title start_at start_ms state title total', 'members');

    my %want = (id => "$id", product_id => "$row->{product_id}",
                title => 'Clocks', product_title => 'Clock',
                image => 'https://img/clock.png', price => 450,
                original_price => 900, currency => 'CNY',
                start_ms => $row->{start_ms}, end_ms => $row->{stop_ms},
                limit_per_user => 3, total => 20, pay_seconds => 60,
                state => 'running', left => 20);
    is($d->{$_}, $want{$_}, $_) foreach sort keys %want;

    my ($listed) = grep { $_->{id} eq $id }
        @{data($t->get("$TOP?state=running"))->{list}};
    is_deeply($listed, $d, 'as in the list');

    is_deeply(data($t->get("$TOP/$id/stock")),
              { id => "$id", left => 20, total => 20,
                generation => $t->meta($id)->{rver} }, 'stock');

    $d = data($t->get("$TOP/$id{not_started}"));
    is("$d->{state} $d->{left}", 'not_started 30', 'before the sale');

    # what an administrator changes is seen within a second
    my $r = $t->put("/api/v1/admin/seckill/activities/$id",
                    { title => "\x{949f}\"\\" }, admin => 1);
    is($r->{code}, 0, 'changed');
    ok($t->wait_for(sub {
        data($t->get("$TOP/$id"))->{title} eq "\x{949f}\"\\" }, 3, 'title'),
       'a new title');
};


subtest 'countdowns' => sub {
    my $d = status($id{not_started});
    my $now = time() * 1000;

    cmp_ok(abs($d->{server_time_ms} - $now), '<', 2000, 'now');
    like($d->{server_time}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'as text');
    cmp_ok($d->{starts_in_ms}, '>', 2_900_000, 'starts');
    is($d->{ends_in_ms} - $d->{starts_in_ms}, 1_000_000, 'ends');

    $d = status($id{running});
    is($d->{starts_in_ms}, 0, 'has started');
    cmp_ok($d->{ends_in_ms}, '>', 3_000_000, 'runs');

    $d = status($id{ended});
    is("$d->{starts_in_ms} $d->{ends_in_ms}", '0 0', 'has ended');

    # by the clock alone
    my $soon = $t->activity(start => 1200, stop => 2400);
    becomes($soon, $_) foreach qw(not_started running ended);
};


subtest 'mine' => sub {
    my ($id, $user) = ($id{running}, user());
    my $path = "$TOP/$id/status";

    is(data($t->get("$path?mine=1", user => $user))->{mine}, 0, 'nothing');
    is($t->buy($id, $user, quantity => 2)->{code}, 0, 'bought');

    my $r = $t->get("$path?mine=1", user => $user);
    is(data($r)->{mine}, 2, 'two');
    is($r->{headers}{'cache-control'}, 'no-store', 'for nobody else');
    is($r->{headers}{etag}, undef, 'no ETag');
    is(data($t->get("$path?mine=true", user => $user))->{mine}, 2, 'true');
    is(data($t->get("$path?mine=1", user => user()))->{mine}, 0, 'others');

    ok(!exists data($t->get($_->[0], @$_[1 .. $#$_]))->{mine}, 'not asked')
        foreach ["$path?mine=1"], [$path, user => $user],
            ["$path?mine=0", user => $user];

    $r = $t->get($path, user => $user);
    is($r->{headers}{'cache-control'}, 'no-store', 'a token: no-store');
    is(told($t->get($path, token => 'x')), '401 6', 'a bad token');
    is(told($t->get("$path?mine=2", user => $user)), '400 2', 'no boolean');
};


# the same answer again costs no body

sub again {
    my ($path) = @_;

    my ($r, $first);

    # a countdown changes each second, and stock may just be on its way
    ok($t->wait_for(sub {
        $first = $t->get($path);
        $r = $t->get($path, headers => {
            'If-None-Match' => $first->{headers}{etag} // '' });
        return $r->{status} == 304;
    }, 5, '304'), "$path: 304");

    like($first->{headers}{etag}, qr/^W\/"[\w-]+"$/, 'ETag');
    is($first->{headers}{'cache-control'}, 'public, max-age=1', 'public');
    is($r->{headers}{etag}, $first->{headers}{etag}, 'the same');
    is($r->{headers}{'cache-control'}, 'public, max-age=1', 'kept');
    is($r->{body}, '', 'no body');

    return $first->{headers}{etag};
}


subtest 'ETag' => sub {
    my $id = $t->activity(stock => 10);
    my @paths = ("$TOP/$id", "$TOP/$id/stock", "$TOP/$id/status", $TOP,
                 "$TOP?state=running&page_size=2&page=2");
    my %etag = map { $_ => again($_) } @paths;

    my $r = $t->get("$TOP/$id/stock", headers => { 'If-None-Match' => '*' });
    is($r->{status}, 304, 'any');
    $r = $t->get("$TOP/$id/stock", headers => {
        'If-None-Match' => "\"x\", $etag{\"$TOP/$id/stock\"}" });
    is($r->{status}, 304, 'one of several');
    $r = $t->get("$TOP/$id/stock", headers => { 'If-None-Match' => '"x"' });
    is($r->{status}, 200, 'another one');

    is($t->buy($id, user())->{code}, 0, 'bought');

    foreach my $path ("$TOP/$id", "$TOP/$id/stock", $TOP) {
        ok($t->wait_for(sub {
            $r = $t->get($path,
                         headers => { 'If-None-Match' => $etag{$path} });
            return $r->{status} == 200;
        }, 3, 'another ETag'), "$path has changed");
        isnt($r->{headers}{etag}, $etag{$path}, 'another ETag');
    }

    # state and definition count, too
    my $before = again("$TOP/$id/stock");
    admin($id, 'pause');
    becomes($id, 'paused');
    my $paused = again("$TOP/$id/stock");
    isnt($paused, $before, 'paused');
    admin($id, 'resume');
    becomes($id, 'running');
    isnt(again("$TOP/$id/stock"), $paused, 'resumed');

    # a refusal is for nobody to keep
    $r = $t->get("$TOP/4711", headers => { 'If-None-Match' => '*' });
    is(told($r), '404 4', 'unknown');
    is($r->{headers}{etag}, undef, 'no ETag');
    is($r->{headers}{'cache-control'}, 'no-store', 'no-store');

    $r = $t->request('HEAD', "$TOP/$id/stock");
    is($r->{status}, 200, 'HEAD');
    like($r->{headers}{etag}, qr/^W/, 'has an ETag');
};


subtest 'without MySQL' => sub {
    my $id = $t->activity(stock => 5);
    my @users = map { user() } 1 .. 5;

    is($t->buy($id, $users[0])->{code}, 0, 'before');
    $t->kill('mysql');

    is($t->buy($id, $users[$_])->{code}, 0, "bought $_") foreach 1 .. 3;

    foreach my $path ($TOP, "$TOP/$id", "$TOP/$id/status", "$TOP/$id/stock") {
        my @r = $t->burst([map { { path => $path } } 1 .. 20]);
        is(scalar(grep { $_->{status} == 200 } @r), 20, $path);
    }

    ok($t->wait_for(sub { status($id)->{left} == 1 }, 3, 'stock'),
       'stock is seen to fall');
    is(data($t->get("$TOP/$id/status?mine=1", user => $users[2]))->{mine}, 1,
       'mine');

    is($t->buy($id, $users[4])->{code}, 0, 'the last one');
    becomes($id, 'sold_out');
    is($t->buy($id, user())->{code}, 60002, 'sold out');

    $t->start('mysql');
    ok($t->wait_for(sub { $t->live_orders($id) == 5 }, 10, 'rows'),
       'all five rows come');
};


subtest 'without Redis' => sub {
    my $id = $id{running};

    $t->kill('redis');

    foreach my $path ($TOP, "$TOP/$id", "$TOP/$id/status", "$TOP/$id/stock") {
        is($t->get($path)->{status}, 200, $path);
    }

    my $r = $t->get("$TOP/$id/status?mine=1", user => user());
    is(told($r), '200 0', 'asked for mine');
    ok(!exists data($r)->{mine}, 'which nobody knows');
    is(data($r)->{id}, "$id", 'the rest is told');
};


$t->finish();
done_testing();
