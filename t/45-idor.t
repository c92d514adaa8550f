#!/usr/bin/perl

# Copyright (C) Rush
#
# Objects and functions of others, route by route: the list is that of
# docs/openapi.json, so a new route comes under the same rules by itself.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Routes;
use Test::More;

my $t = RushTest::Routes::world();
my $all = RushTest::Routes->new($t);
my $json = JSON::PP->new->canonical->allow_nonref;

# objects that everybody may see
my %public = map { $_ => 1 } qw(seckill_product_detail seckill_product_stock
    seckill_activity_detail seckill_activity_stock seckill_activity_status
    seckill_activity_events seckill_buy);

# what else is told than that there is no such thing: an id of a request is
# each user's own, so the one of another was never sent
my %told = (seckill_request => 'refused');

# there is no such thing; nginx itself refuses a zero byte
my $none = qr/^(?:404 4|400 [2-])$/;

# who must not
my $mallory = $all->account();
my %nobody = (deleted => $all->account(), banned => $all->account());
my $admin = $all->admin();

foreach (['DELETE', 'deleted', '', undef],
         ['PUT', 'banned', '/status', { status => 'banned', reason => 'x' }])
{
    my ($method, $who, $path, $data) = @$_;
    my $r = $t->request($method, "/api/v1/admin/users/$nobody{$who}{id}$path",
                        token => $admin, ($data ? (data => $data) : ()));
    is($r->{code}, 0, "one who is $who") or diag($r->{body});
    ok($t->wait_for(sub {
        my @r = $t->burst([map { { path => '/api/v1/user/profile',
            token => $nobody{$who}{token} } } 1 .. 8], sync => 1);
        return !grep { $_->{status} != 401 } @r;
    }, 3, 'all workers'), 'every worker knows');
}


# what must not change, as one text; the rows of daemons stand still

sub state_now {
    return $json->encode($all->all_rows());
}


# the same but for what belongs to the request itself

sub plain {
    my ($r) = @_;
    return $r->{body} =~ s/"trace_id":"\w+"//r;
}


sub told {
    my ($r) = @_;
    return "$r->{status} " . ($r->{code} // '-');
}


sub send_all {
    my (@q) = @_;
    return $t->burst(\@q, conns => 4);
}


subtest 'each route has a sample' => sub {
    is(join(' ', $all->missing()), '', 'none without, none too many');
    cmp_ok(scalar(grep { @{$_->{params}} } $all->routes()), '>=', 35,
           'routes with an object');
    is(join(' ', grep { !$all->{by_id}{$_} } sort keys %public, keys %told),
       '', 'the exceptions are there');

    # an id that comes otherwise has to be looked at like one of a path
    is(join(' ', map { my $r = $_; map { "$r->{id}.$_->{name}" }
                       grep { $_->{kind} eq 'id' && $_->{in} ne 'path' }
                       @{$r->{fields}} }
            grep { $_->{auth} ne 'admin' } $all->routes()),
       'seckill_order_place.address_id seckill_order_place.product_id '
       . 'seckill_wechat_close.payment_id seckill_wechat_query.payment_id '
       . 'seckill_wechat_refund.payment_id seckill_wechat_order.address_id '
       . 'seckill_payment_create.address_id seckill_buy_product.product_id '
       . 'seckill_request.activity_id',
       'no other ids but of what is public, and those of t/63-orders.t, '
       . 't/65-pay-create.t, t/65-pay-wechat.t');
};


# ids next to one, and such as are none

sub strange_ids {
    my ($id) = @_;
    my ($n, $rest) = $id =~ /^(\d+)(.*)$/ or return;
    return ($n + 1 . $rest, $n - 1 . $rest, "0$rest", "-1$rest", "-$id",
            "9223372036854775807$rest", "9223372036854775808$rest",
            '9' x 30, "0$id", "+$id", "$id.0", "$id%20", "%20$id", 'x',
            'null', 'me', "$id,$id", "$id;", "$id%00", "%27", '*', '%2a',
            "${id}e0", "0x1", "$id%0a");
}


subtest 'objects of others' => sub {
    my @routes = grep { @{$_->{params}} && $_->{auth} ne 'admin'
                        && !$public{$_->{id}} } $all->routes();
    my $n = 0;

    foreach my $route (@routes) {
        my $id = $route->{id};
        my $victim = $all->account();
        my $q = $all->sample($id, who => $victim);
        my $before = state_now();
        my $want = $told{$id} ? '200 0' : '404 4';
        my (@asked, @want, @names);
        my $ask = sub {
            my ($name, $want, %more) = @_;
            push @names, $name;
            push @want, $want;
            push @asked, { %$q, %more };
        };

        $ask->('another user', $want, token => $mallory->{token});
        $ask->('an administrator', $want, token => $admin);
        $ask->('nobody', $route->{auth} eq 'optional' ? '404 4' : '401 6',
               token => undef);
        $ask->("who is $_", '401 6', token => $nobody{$_}{token})
            foreach sort keys %nobody;

        foreach my $strange (strange_ids($q->{object})) {
            my $path = $q->{path} =~ s/\Q$q->{object}\E/$strange/r;

            foreach my $who ($victim, $mallory) {
                $ask->("\"$strange\" of " . ($who == $victim ? 'oneself'
                       : 'another'), $strange =~ /%00/ ? '400 -'
                       : $told{$id} ? '200 0|400 2|404 4'
                       # who bought may have a younger order on its way
                       : $strange =~ /^[1-9]\d+-\d+$/ && $who == $victim
                       ? '404 4|200 0|409 30002' : '404 4',
                       path => $path, token => $who->{token});
            }
        }

        foreach my $try ("user_id=$victim->{id}", "owner=$victim->{id}",
                         "id=$q->{object}")
        {
            $ask->("?$try", "$want|400 2", token => $mallory->{token},
                   path => "$q->{path}?$try",
                   headers => { 'X-User-Id' => $victim->{id} });
        }

        my @r = send_all(@asked);
        $n += @r;

        is(join("\n", map { told($r[$_]) =~ /^(?:$want[$_])$/ ? ()
            : "$names[$_]: " . told($r[$_]) } 0 .. $#r), '',
           "$id: " . @r . ' refusals');
        is(join("\n", map { ($_->{json}{data}{outcome} // 'refused')
                            eq 'refused' ? () : $_->{body} } @r), '',
           "$id: nothing was granted") if $told{$id};
        my $secret = join '|', qw(canary Hidden 13812345678),
            @$victim{qw(mobile name)};
        is(scalar(grep { $_->{body} =~ /$secret|"amount"/ } @r), 0,
           "$id: nothing is told");

        my ($none) = grep { $names[$_] =~ /^"\d+" of another/ } 0 .. $#r;
        ($none) = grep { $names[$_] =~ /of another/ } 0 .. $#r
            if !defined $none;
        is(plain($r[0]), plain($r[$none]), "$id: as if it were not there")
            if !$told{$id};
        is(state_now(), $before, "$id: nothing has changed");

        my ($own) = send_all($q);
        is(told($own), '200 0', "$id: its owner may") or diag($own->{body});
    }

    cmp_ok(scalar @routes, '>=', 10, scalar(@routes) . ' routes');
    cmp_ok($n, '>=', 500, "$n requests");
};


subtest 'what is public tells nothing of its users' => sub {
    my $victim = $all->account();
    my $no = $all->order($victim);

    foreach my $id (sort keys %public) {
        my $route = $all->route($id);
        my $q = $all->sample($id, who => $mallory);
        my @ids = strange_ids($q->{object});
        splice @ids, 0, 2;          # others stand next to it
        my @r = send_all($q, map { { %$q,
            path => $q->{path} =~ s/\Q$q->{object}\E/$_/r } } @ids);

        is(told($r[0]), '200 0', $id) or diag($r[0]{body});
        is(join("\n", map { told($r[$_ + 1]) =~ $none ? ()
            : "$ids[$_]: " . told($r[$_ + 1]) } 0 .. $#ids), '',
           "$id: strange ids");
        is(scalar(grep { $_->{body} =~ /$victim->{id}|\Q$no\E/ } @r), 0,
           "$id: nobody else");

        next if $route->{auth} ne 'user';
        is(told((send_all({ %$q, token => $_ }))[0]), '401 6', "$id: refused")
            foreach undef, map { $_->{token} } values %nobody;
    }
};


subtest 'functions of administrators' => sub {
    my @routes = grep { $_->{auth} eq 'admin' } $all->routes();
    my %other = (audit_read => 'orders_read');
    my %holder = map { $_ => $all->holder($_) } qw(audit_read orders_read);
    my $fallen = $all->account();
    my $dead = $all->account();

    $t->do('UPDATE user SET roles = 1 WHERE id IN (?, ?)', $fallen->{id},
           $dead->{id});

    my %was = map { $_->{id} => $t->token($_->{id}, role => 'admin',
                                          roles => 1) } $fallen, $dead;

    is($t->get('/api/v1/admin/roles', token => $_)->{status}, 200, 'may')
        foreach values %was;
    is($t->put("/api/v1/admin/users/$fallen->{id}/roles", { roles => [] },
               token => $admin)->{code}, 0, 'one has lost the role');
    is($t->del("/api/v1/admin/users/$dead->{id}", token => $admin)->{code}, 0,
       'one is gone');

    ok($t->wait_steady(sub {
        my @r = $t->burst([map { { path => '/api/v1/admin/roles',
            token => $was{$_ % 2 ? $fallen->{id} : $dead->{id}} } } 1 .. 16],
            sync => 1);
        return !grep { $_->{status} != 401 } @r;
    }, 3, 'all workers'), 'every worker knows');

    ok($t->wait_for(sub { $t->get('/api/v1/admin/audit',
        token => $holder{audit_read})->{status} == 200 }, 3, 'roles'),
       'roles are known');

    foreach my $route (@routes) {
        my $id = $route->{id};
        my $q = $all->sample($id);
        my $with = $holder{$other{$route->{permission}} // 'audit_read'};
        my $before = state_now();
        my %who = (
            'nobody' => [undef, '401 6'],
            'a user' => [$mallory->{token}, '403 7'],
            'a role that is not there' => [$t->token($mallory->{id},
                roles => 1 << 61), '403 7'],
            'another permission' => [$with, '403 7'],
            'who was one' => [$was{$fallen->{id}}, '401 6'],
            'who is gone' => [$was{$dead->{id}}, '401 6'],
            'who is banned' => [$nobody{banned}{token}, '401 6'],
        );
        my @names = sort keys %who;
        my @r = send_all(map { { %$q, token => $who{$_}[0] } } @names);

        is(join("\n", map { told($r[$_]) eq $who{$names[$_]}[1] ? ()
            : "$names[$_]: " . told($r[$_]) } 0 .. $#r), '', "$id: refused");

        if (defined $q->{object}) {
            my @ids = strange_ids($q->{object});

            # others of the same kind may stand next to it
            splice @ids, 0, 2 if $q->{object} =~ /^\d{1,9}$/;
            @r = send_all(map { { %$q,
                path => $q->{path} =~ s/\Q$q->{object}\E/$_/r } } @ids);
            is(join("\n", map { told($r[$_]) =~ $none ? ()
                : "$ids[$_]: " . told($r[$_]) } 0 .. $#r), '',
               "$id: strange ids");
        }

        is(state_now(), $before, "$id: nothing has changed");
    }

    cmp_ok(scalar @routes, '>=', 35, scalar(@routes) . ' routes');
};


$t->finish();
done_testing();
