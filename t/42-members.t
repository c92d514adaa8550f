#!/usr/bin/perl

# Copyright (C) Rush
#
# Members that nobody asked for, given to each route that writes: roles,
# owners, versions, prices.  What the request does to the rows of MySQL must be
# what it does without them.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Routes;
use Test::More;

my $SOME = 22;          # members at a time

my $t = RushTest::Routes::world();
my $all = RushTest::Routes->new($t);
my $json = JSON::PP->new->canonical->allow_nonref;

my %more = (
    id => '1', user_id => '1', sub => '1', sid => '1', role => 'admin',
    roles => [1], is_admin => JSON::PP::true, permissions => ['roles_write'],
    status => 0, token_version => 77, version => 77, fails => -100,
    password_hash => '$2b$04$x', password => 'other 12345 x',
    mobile => '13900000001', email => 'mass@example.com', username => 'mass',
    deleted_ms => 1, erased_ms => 1, ban_reason => 'mass', created_ms => 1,
    created_at => '2001-01-01T00:00:00Z', price => 0, amount => 0,
    paid_ms => 5, order_no => '1-1', qty => 100, sold => 0, slot => 49,
    place => -9, req_id => 'mass', rev => 77, price_ver => 77, operator => 1,
    revoked_ms => 1, expires_ms => 1, Role => 'admin', ROLES => [1],
    'roles ' => [1], 'user.roles' => 1, 'user[roles]' => 1,
    user => { roles => [1], role => 'admin' }, __proto__ => { roles => [1] },
);

sub told {
    my ($r) = @_;
    return "$r->{status} " . ($r->{code} // '-');
}


# not comparable: of the clock, random, or counted
my $own = qr/^(?:id|order_no|req_id|stream_id|slot|place|product_id
              |activity_id|made_id|adjust_id|live_user|agent|sold|stock_state
              |closed_ms|\w+_ms|\w+_hash|applied_rev)$/x;


# what a request has done to the rows, in words that fit another one

sub changes {
    my ($before, $after, $q, $new) = @_;

    my %word = ($q->{owner} => 'SELF', $all->{root} => 'ROOT');
    my @done;

    $word{$q->{object}} = 'OBJECT' if defined $q->{object};
    $word{$new} = 'NEW' if defined $new;

    foreach my $table (sort keys %$after) {
        my $key = sub {
            my ($row) = @_;
            return join ' ', map { $row->{$_} // '' } grep { defined
                $row->{$_} } qw(id order_no seq activity_id price_ver n
                                   from_status to_status payment_id day);
        };
        my %old = map { $key->($_) => $_ } @{$before->{$table}};

        foreach my $row (@{$after->{$table}}) {
            my $was = delete $old{$key->($row)};

            foreach my $name (sort keys %$row) {
                my $v = $row->{$name} // 'NULL';

                next if $name =~ $own
                    || ($was && $v eq ($was->{$name} // 'NULL'));

                $v = $word{$v} // $v;
                $v =~ s/^user\d+$/NICK/ if $name eq 'nickname';
                $v =~ s/^b\d+\@/MAIL@/ if $name eq 'email';
                $v =~ s/oSample\d+/OPENID/ if $name eq 'wx_key';
                $v =~ s/"id":"\d+"/"id":"ID"/ if $name eq 'address';
                $v -= $was->{total} if $was && $name eq 'total';
                $v = 'GIVEN' if grep { !ref && $_ eq $v }
                    values %{$q->{data} || {}};
                push @done, ($was ? 'changed' : 'new') . " $table.$name=$v";
            }

            push @done, "changed $table.$_" foreach $was ? grep {
                /_hash$/ && $row->{$_} ne $was->{$_} } sort keys %$row : ();
        }

        push @done, "removed $table" foreach values %old;
    }

    return join "\n", sort @done;
}


sub try_it {
    my ($id, @names) = @_;

    my $q = $all->sample($id);
    my $before = $all->all_rows();
    my $given = { %$q, data => { %{$q->{data} || {}} } };

    # what of it is simple, in the address too
    $given->{data}{$_} = $more{$_} foreach @names;
    $given->{path} .= '?' . join '&', map { "$_=1" }
        grep { /^[a-z_]+$/ && !ref $more{$_} } @names;

    my $r = $t->request(delete $given->{method}, delete $given->{path},
                        %$given);

    my $no = ref $r->{json}{data} eq 'HASH' ? $r->{json}{data}{order_no}
        : undef;

    $t->wait_for(sub { $t->value('SELECT 1 FROM orders WHERE order_no = ?',
                                 $no) }, 10, 'the order')
        if defined $no && $id =~ /^seckill_(?:buy|order_place)/;

    my $user = $id =~ /^user_(?:register|wx_mini_auth)$/ ?
        $r->{json}{data}{user}{id} : undef;

    return ($r, changes($before, $all->all_rows(), $q, $user));
}


subtest 'each route has a sample' => sub {
    is(join(' ', $all->missing()), '', 'none without, none too many');
};


subtest 'members that are not asked for' => sub {
    my ($n, $runs) = (0, 0);


    # objects that all share are there
    $all->sale();

    foreach my $route (grep { $_->{method} ne 'GET' } $all->routes()) {
        my $id = $route->{id};
        my %known = map { $_->{name} => 1 } @{$route->{fields}};
        my @new = grep { !$known{$_} } sort keys %more;
        my ($r, $plain) = try_it($id);

        is(told($r), '200 0', "$id: as it should be") or diag($r->{body});

        # a body has no more than 32 names
        while (my @some = splice @new, 0, $SOME) {
            my ($r, $done) = try_it($id, @some);

            is(told($r), '200 0', "$id: taken with @some")
                or diag($r->{body});
            is($done, $plain, "$id: the same was done");
            $runs++;
        }

        $n++;
    }

cmp_ok($n, '>=', 40, "$n routes");
    cmp_ok($runs, '>=', 2 * $n - 5, "$runs times");
};


subtest 'nobody became more' => sub {
    my %fields = map { my $r = $_; $r->{id} => { map { $_->{name} => 1 }
        @{$r->{fields}} } } $all->routes();
    my %wrong;

    foreach my $row ($t->sql('SELECT route, fields FROM audit_log UNION ALL '
                             . 'SELECT route, fields FROM audit_inbox'))
    {
        my $given = $row->{fields} eq '' ? {} : $json->decode($row->{fields});
        $wrong{"$row->{route}.$_"} = 1
            foreach grep { !$fields{$row->{route}}{$_} } keys %$given;
    }

    is(join(' ', sort keys %wrong), '', 'the record has what was asked for');
    cmp_ok($t->value('SELECT COUNT(*) FROM audit_log'), '>', 100, 'of many');
    is($t->value('SELECT COUNT(*) FROM user WHERE roles <> 0 AND id <> ?',
                 $all->{root}), 0, 'no role');
    is($t->value("SELECT COUNT(*) FROM user WHERE username = 'mass' "
                 . "OR mobile = '13900000001' OR email = 'mass\@example.com' "
                 . "OR ban_reason = 'mass' OR fails < 0"), 0, 'no name');
    is($t->value('SELECT COUNT(*) FROM orders WHERE amount <> price * qty '
                 . 'OR price NOT IN (100, 1000)'), 0, 'no price');
};


$t->finish();
done_testing();
