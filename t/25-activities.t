#!/usr/bin/perl

# Copyright (C) Rush
#
# Activities as an administrator makes, changes, switches and audits them,
# and how soon buyers and Redis see it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new();

my $ADMIN = '/api/v1/admin/seckill';
my $TOP = '/api/v1/seckill/activities';
my $UNKNOWN = 987_654_321;
my $STATE = '200 60010';
my $YES = JSON::PP::true();

my $buyer = 250_000;
my $product = $t->product(title => "Pot d'or", price => 700);


sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }

sub now { return int(time() * 1000) }


sub admin {
    my ($method, $path, $data) = @_;

    return $t->request($method, "$ADMIN$path", admin => 1,
                       defined $data ? (data => $data) : ());
}


sub change { return admin('PUT', "/activities/$_[0]", $_[1]) }

sub get { return data(admin('GET', "/activities/$_[0]")) }

sub post { return admin('POST', "/activities/$_[0]/$_[1]", $_[2] // {}) }


sub fields {
    my (%o) = @_;

    my $now = now();

    return { product_id => "$product", title => 'Sale', price => 500,
             start_at => $now - 1000, end_at => $now + 3600_000, total => 10,
             %o };
}


sub create {
    my (%o) = @_;

    my $r = admin('POST', '/activities', fields(%o));
    is(told($r), '200 0', 'created') or diag($r->{body});

    return data($r);
}


# what others see is at most so old

sub soon {
    my ($what, $sub, $limit) = @_;

    $limit //= 1.5;

    my $from = time();
    my $found = $t->wait_for($sub, 5, $what);
    my $took = time() - $from;

    ok($found && $took <= ($limit + 0.1) * $RushTest::SLOW,
       "$what within $limit s") or diag("took $took");
}


sub public {
    my ($id) = @_;

    my ($one) = grep { $_->{id} eq $id }
        @{data($t->get("$TOP?page_size=100"))->{list}};

    return $one || {};
}


sub shows {
    my ($id, $name, $want) = @_;

    soon("buyers see $name $want",
         sub { (public($id)->{$name} // '') eq $want });
}


sub redis_has {
    my ($id, %want) = @_;

    foreach my $name (sort keys %want) {
        soon("Redis has $name $want{$name}",
             sub { ($t->meta($id)->{$name} // '') eq $want{$name} }, 2);
    }
}


# an activity on sale, in Redis and seen by the workers

sub running {
    my (%o) = @_;

    my $id = create(online => $YES, %o)->{id};
    $t->wait_loaded($id);

    return $id;
}


subtest 'create' => sub {
    my $start = now() + 60_000;
    my $d = create(title => "It's \"x\" \\", start_at => $start,
                   end_at => $start + 9000);
    my $id = $d->{id};

    is_deeply([@$d{qw(product_id title price price_ver start_ms end_ms total
                      sold limit_per_user pay_seconds status rev)}],
              [$product, "It's \"x\" \\", 500, 1, $start, $start + 9000, 10,
               0, 1, 1800, 'draft', 1], 'a draft with defaults');
    ok(!$d->{warm}, 'not warm');
    # the controller may have looked at it by now
    is_deeply({ %{get($id)}, map { $_ => $d->{$_} } qw(applied applied_rev) },
              $d, 'read');
    is($t->value('SELECT price FROM seckill_price WHERE activity_id = ? AND '
                 . 'price_ver = 1', $id), 500, 'its price is kept');

    my $live = create(online => $YES, limit_per_user => 3, total => 0,
                      pay_seconds => 5, price => 0);
    is_deeply([@$live{qw(status limit_per_user pay_seconds price total)}],
              ['online', 3, 5, 0, 0], 'online at once');
    ok($live->{warm}, 'warm');
    shows($live->{id}, title => 'Sale');
    is($t->get("$TOP/$id")->{status}, 404, 'a draft is not for buyers');

    soon('applied', sub { get($live->{id})->{applied} }, 2);
    is(get($live->{id})->{applied_rev}, 1, 'its revision');

    my $now = now();
    my $n = $t->value('SELECT COUNT(*) FROM seckill_activity');

    foreach ({ end_at => $now - 5000 },         # before the start
             { end_at => $now - 500 },          # in the past
             { start_at => $now + 9, end_at => $now + 9 },
             { start_at => $now + 90_000, end_at => $now + 80_000 },
             { start_at => -1 }, { start_at => 'tomorrow' },
             { end_at => 253402300800000 }, { start_at => undef },
             { title => '' }, { title => 'x' x 129 }, { price => -1 },
             { total => -1 }, { total => 100_000_001 },
             { limit_per_user => 0 }, { limit_per_user => 101 },
             { pay_seconds => 4 }, { pay_seconds => 604_801 },
             { online => 1 }, { product_id => 'x' })
    {
        is(told(admin('POST', '/activities', fields(%$_))), '400 2',
           JSON::PP->new->canonical->encode($_) =~ s/x{9,}/x.../r);
    }

    foreach my $name (qw(product_id title price start_at end_at total)) {
        my $f = fields();
        delete $f->{$name};
        is(told(admin('POST', '/activities', $f)), '400 2', "no $name");
    }

    is(told(admin('POST', '/activities', fields(product_id => "$UNKNOWN"))),
       '404 4', 'unknown product');
    is(told(admin('POST', '/activities',
                  fields(product_id => $t->product(status => 2) . ''))),
       '404 4', 'deleted product');
    is($t->value('SELECT COUNT(*) FROM seckill_activity'), $n,
       'nothing was made');
};


subtest 'lists' => sub {
    my %id = map { $_ => create(title => "list $_")->{id} } 0 .. 3;

    $t->do('UPDATE seckill_activity SET status = ?, rev = rev + 1 '
           . 'WHERE id = ?', $_, $id{$_}) foreach 1 .. 3;

    my @name = qw(draft online paused offline);

    foreach my $status (0 .. 3) {
        my $d = data(admin('GET', "/activities?status=$status"
                           . '&page_size=100'));
        is(join(' ', grep { $_ ne $name[$status] }
                map { $_->{status} } @{$d->{list}}), '', $name[$status]);
        is($d->{list}[0]{id}, $id{$status}, 'newest first');
        is($d->{total}, $t->value('SELECT COUNT(*) FROM seckill_activity '
                                  . 'WHERE status = ?', $status), 'total');
    }

    my $d = data(admin('GET', '/activities?page_size=3'));
    is(join(' ', map { $_->{id} } @{$d->{list}}), join(' ', @id{3, 2, 1}),
       'all, a page');
    $d = data(admin('GET', '/activities?page_size=3&page=2'));
    is($d->{list}[0]{id}, $id{0}, 'the next');
    is($d->{total_page}, int(($d->{total} + 2) / 3), 'pages');
    is(told(admin('GET', "/activities?$_")), '400 2', $_)
        foreach 'status=4', 'status=draft', 'page=0', 'page_size=101';
};


subtest 'update of a draft' => sub {
    my $id = create()->{id};
    my $start = now() + 100_000;
    my %new = (product_id => $t->product() . '', title => 'x', price => 400,
               end_at => $start + 5000, total => 20, limit_per_user => 2,
               pay_seconds => 60);
    my $rev = 1;

    foreach my $name (sort keys %new) {
        my $d = data(change($id, { $name => $new{$name} }));
        my $as = $name =~ s/_at$/_ms/r;
        is("$d->{$as} $d->{rev}", "$new{$name} " . ++$rev, $name);
    }

    is(data(change($id, { start_at => $start }))->{start_ms}, $start,
       'start_at');
    is(get($id)->{price_ver}, 2, 'another version of the price');
    is(data(change($id, { price => 400 }))->{price_ver}, 2,
       'the same price: the same version');

    is(told(change($id, $_)), '400 2', 'bad')
        foreach { end_at => $start }, { start_at => $start + 5000 },
            { start_at => 5, end_at => 5 }, { price => -1 },
            { limit_per_user => 0 }, { title => '' };

    my $was = get($id)->{rev};
    is(told(change($id, { product_id => "$UNKNOWN" })), '404 4',
       'unknown product');
    is(get($id)->{rev}, $was, 'nothing was changed');
    is(told(change($UNKNOWN, { title => 'x' })), '404 4', 'unknown');
};


subtest 'update while running' => sub {
    my $id = running();

    is($t->buy($id, ++$buyer)->{code}, 0, 'bought at the old price');

    my $d = data(change($id, { price => 450, title => 'Cheaper' }));
    is("$d->{price} $d->{price_ver} $d->{title}", '450 2 Cheaper', 'price');
    is($t->value('SELECT GROUP_CONCAT(price ORDER BY price_ver) FROM '
                 . 'seckill_price WHERE activity_id = ?', $id), '500,450',
       'both prices are kept');
    shows($id, price => 450);
    shows($id, title => 'Cheaper');
    redis_has($id, price_ver => 2);

    is($t->buy($id, ++$buyer)->{code}, 0, 'bought at the new price');
    ok($t->wait_for(sub { $t->live_orders($id) == 2 }, 5, 'rows'), 'rows');
    is($t->value('SELECT GROUP_CONCAT(price ORDER BY user_id) FROM orders '
                 . 'WHERE activity_id = ?', $id), '500,450', 'each its own');

    my $end = now() + 1800_000;
    is(data(change($id, { end_at => $end }))->{end_ms}, $end, 'end_at');
    shows($id, end_ms => $end);
    redis_has($id, stop => $end);

    is(data(change($id, { limit_per_user => 4 }))->{limit_per_user}, 4);
    redis_has($id, limit => 4);
    is($t->buy($id, $buyer, quantity => 3)->{code}, 0, 'the limit counts');

    my $was = get($id)->{rev};
    is(told(change($id, { @$_ })), $STATE, "not $_->[0]")
        foreach [product_id => "$product"], [total => 11],
            [start_at => now() + 1000], [total => 11, price => 1];
    is(get($id)->{rev}, $was, 'nothing was changed');
    is($t->value('SELECT COUNT(*) FROM seckill_price WHERE activity_id = ?',
                 $id), 2, 'nor a price made');

    my $next = running(start_at => now() + 600_000);
    my $start = now() + 500_000;
    is(data(change($next, { start_at => $start }))->{start_ms}, $start,
       'before it starts the start can move');
    redis_has($next, start => $start);

    post($id, 'offline');
    is(told(change($id, { title => 'x' })), $STATE, 'it is over');
};


subtest 'updates at once' => sub {
    my $id = create()->{id};
    my ($won, $lost) = (0, 0);

    foreach my $round (1 .. 10) {
        my @r = $t->burst([map {
            { method => 'PUT', path => "$ADMIN/activities/$id", admin => 1,
              data => { price => $round * 100 + $_ } } } 1 .. 8], sync => 1);

        is(join(' ', grep { !/^(?:200 0|409 13)$/ } map { told($_) } @r), '',
           'done or CONFLICT');
        $won += grep { $_->{code} == 0 } @r;
        $lost += grep { $_->{code} == 13 } @r;

        is($t->value('SELECT COUNT(*) FROM seckill_activity a JOIN '
                     . 'seckill_price s ON s.activity_id = a.id AND '
                     . 's.price_ver = a.price_ver AND s.price = a.price '
                     . 'WHERE a.id = ?', $id), 1,
           'the kept price is that of the activity');
    }

    is(get($id)->{rev}, $won + 1, "$won won, $lost lost");
};


subtest 'delete' => sub {
    my $id = create()->{id};

    is_deeply(data(admin('DELETE', "/activities/$id")), { id => $id },
              'a draft');
    is(told(admin('DELETE', "/activities/$id")), '404 4', 'again');
    is(told(admin('GET', "/activities/$id")), '404 4', 'it is gone');

    my $live = running();
    is(told(admin('DELETE', "/activities/$live")), $STATE, 'online');
    post($live, 'pause');
    is(told(admin('DELETE', "/activities/$live")), $STATE, 'paused');
    post($live, 'offline');
    is(told(admin('DELETE', "/activities/$live")), $STATE, 'offline');
};


subtest 'switches' => sub {
    my $id = create()->{id};

    is(told(post($id, $_)), $STATE, "a draft: no $_")
        foreach qw(offline pause resume);

    is(data(post($id, 'online'))->{status}, 'online', 'online');
    shows($id, state => 'running');
    redis_has($id, state => 'on');

    my $was = get($id)->{rev};
    is(told(post($id, $_)), '200 0', "$_, it is") foreach qw(online resume);
    is(get($id)->{rev}, $was, 'no change');

    is(data(post($id, 'pause'))->{status}, 'paused', 'pause');
    shows($id, state => 'paused');
    redis_has($id, state => 'paused');
    is(told(post($id, 'pause')), '200 0', 'again');
    is(get($id)->{rev}, $was + 1, 'one change');
    is(told(post($id, 'online')), $STATE, 'a paused one is resumed');

    is(data(post($id, 'resume'))->{status}, 'online', 'resume');
    shows($id, state => 'running');
    redis_has($id, state => 'on');

    post($id, 'pause');
    is(data(post($id, 'offline'))->{status}, 'offline', 'offline');
    shows($id, state => 'ended');
    redis_has($id, state => 'off');
    is(told(post($id, 'offline')), '200 0', 'again');
    is(told(post($id, $_)), $STATE, "offline: no $_")
        foreach qw(pause resume);
    is(told(admin('POST', "/warmup/$id")), '200 0', 'it is warm still');

    is(data(post($id, 'online'))->{status}, 'online', 'online once more');
    shows($id, state => 'running');
    redis_has($id, state => 'on');

    # none comes back after its end
    my $past = create()->{id};
    $t->do('UPDATE seckill_activity SET start_ms = 1, stop_ms = 2 '
           . 'WHERE id = ?', $past);
    is(told(post($past, 'online')), $STATE, 'its time is over');
    is(told(admin('POST', "/warmup/$past")), $STATE, 'nor is it warmed');

    # nor sells what is not there any more
    my $gone = $t->product();
    my $draft = create(product_id => "$gone")->{id};
    is($t->del("/api/v1/admin/products/$gone", admin => 1)->{code}, 0,
       'a draft does not keep its product');
    is(told(post($draft, 'online')), $STATE, 'its product is gone');
};


subtest 'warmup' => sub {
    my $id = create(start_at => now() + 600_000)->{id};
    my $d = data(admin('POST', "/warmup/$id"));

    ok($d->{warm}, 'warm');
    is("$d->{status} $d->{rev}", 'draft 2', 'a draft still');
    redis_has($id, remain => 10);

    $d = data(admin('POST', "/warmup/$id"));
    is($d->{rev}, 2, 'twice: no change');
    is($t->get("$TOP/$id")->{status}, 404, 'not for buyers');
    is(told(change($id, { total => 9 })), $STATE,
       'Redis counts down from the total by now');

    post($id, 'online');
    shows($id, state => 'not_started');
    is($t->buy($id, ++$buyer)->{code}, 60001, 'not started');
    is($t->meta($id)->{remain}, 10, 'loaded once');
};


subtest 'stock' => sub {
    my $id = running(total => 5);
    my $op = data(post($id, 'stock', { delta => 3, reason => "it's" }));

    is("$op->{activity_id} $op->{delta} $op->{state}", "$id 3 asked",
       'asked');
    redis_has($id, remain => 8, total => 8);
    is($t->value('SELECT CONCAT(delta, reason, operator) FROM '
                 . 'seckill_stock_op WHERE id = ?', $op->{op_id}), "3it's1",
       'written down');
    shows($id, total => 8);
    is(get($id)->{total}, 8, 'the ledger');

    post($id, 'stock', { delta => -2 });
    redis_has($id, remain => 6, total => 6);
    is($t->buy($id, ++$buyer)->{code}, 0, 'bought');
    redis_has($id, remain => 5);

    $op = data(post($id, 'stock', { delta => -6 }));
    soon('more than is left: refused', sub {
        $t->value('SELECT state FROM seckill_stock_op WHERE id = ?',
                  $op->{op_id}) == 3 }, 2);
    is("@{$t->meta($id)}{qw(remain total)}", '5 6', 'Redis as before');
    is(get($id)->{total}, 6, 'the ledger as before');

    post($id, 'stock', { delta => -5 });
    redis_has($id, remain => 0, total => 1);
    is($t->buy($id, ++$buyer)->{code}, 60002, 'sold out');
    post($id, 'stock', { delta => 1 });
    redis_has($id, remain => 1);
    soon('a buyer has it', sub { $t->buy($id, $buyer)->{code} == 0 });

    is(told(post($id, 'stock', $_)), '400 2', 'bad')
        foreach { delta => 0 }, {}, { delta => 100_000_001 },
            { delta => 1, reason => 'x' x 201 };
    is(told(post(create()->{id}, 'stock', { delta => 1 })), $STATE,
       'a draft');
};


subtest 'books' => sub {
    my $id = running();
    my ($got, @no);
    my $are = sub {
        my ($what, %want) = @_;
        my @names = sort keys %want;
        my $text = join ' ', map { "$_=$want{$_}" } @names;

        ok($t->wait_for(sub {
            $got = data(admin('GET', "/activities/$id/availability"));
            return $text eq join ' ', map { "$_=$got->{$_}" } @names;
        }, 8, $what), $what) or diag(explain($got));
    };

    my %none = (total => 10, free => 10, queued => 0, held => 0, paid => 0,
                returning => 0, returned => 0, sold => 0);
    $are->('none sold', %none);

    push @no, data($t->buy($id, ++$buyer))->{order_no} foreach 1 .. 3;
    $are->('three held', %none, free => 7, held => 3, sold => 3);

    is($t->post("/api/v1/orders/$no[2]/cancel", {}, user => $buyer)->{code},
       0, 'cancelled');
    $are->('one given back', %none, free => 8, held => 2, sold => 2,
           returned => 1);

    $t->paid('order_no = ?', $no[0]);
    $are->('one paid', %none, free => 8, held => 1, paid => 1, sold => 2,
           returned => 1);

    my $r = data(post($id, 'reconcile'));
    is_deeply([@$r{qw(id mode total sold live redis_remain stream_pending
                      differences)}],
              [$id, 'report', 10, 2, 2, 8, 0, []], 'all agree');
    ok(!$r->{repair_asked}, 'a report');
    is($r->{redis_epoch}, $t->meta($id)->{epoch}, 'epoch');

    $t->redis()->hincrby("{a:$id}m", remain => 2);

    foreach (['report', { mode => 'report' }],
             ['a dry run', { mode => 'repair', dry_run => $YES }])
    {
        $r = data(post($id, 'reconcile', $_->[1]));
        is("$r->{mode} $r->{redis_remain} " . @{$r->{differences}},
           'report 10 1', "$_->[0] tells");
        like($r->{differences}[0] // '', qr/more stock/, 'what');
        ok(!$r->{repair_asked}, 'asks for nothing');
        is($t->value('SELECT repair FROM seckill_activity WHERE id = ?',
                     $id), 0, 'indeed');
    }

    $r = data(post($id, 'reconcile', { mode => 'repair' }));
    is("$r->{mode} " . !!$r->{repair_asked}, 'repair 1', 'repair');
    ok($t->wait_for(sub {
        return @{data(post($id, 'reconcile'))->{differences}} == 0;
    }, 10, 'the repair'), 'mended');
    is($t->meta($id)->{remain}, 8, 'in Redis');

    is(told(post($id, 'reconcile', { mode => $_ })), '400 2', "mode '$_'")
        foreach 'mend', 'REPAIR', '';

    my $draft = create()->{id};
    $got = data(admin('GET', "/activities/$draft/availability"));
    is("$got->{total} $got->{free} $got->{queued}", '10 -1 0', 'not loaded');
    $r = data(post($draft, 'reconcile'));
    is("$r->{redis_remain} " . @{$r->{differences}}, '-1 0', 'nor differs');
};


subtest 'init' => sub {
    my $path = '/api/v1/seckill/init';
    my $from = now();
    my $d = data($t->post($path, { product_id => "$product", stock => 4 },
                          admin => 1));

    is_deeply([@$d{qw(title price total limit_per_user status)}],
              ["Pot d'or", 700, 4, 1, 'online'], 'as the product');
    is($d->{end_ms} - $d->{start_ms}, 86_400_000, 'for a day');
    cmp_ok(abs($d->{start_ms} - $from), '<', 5000, 'from now');
    shows($d->{id}, state => 'running');
    soon('sold', sub { $t->buy($d->{id}, ++$buyer)->{code} == 0 }, 2);

    $d = data($t->post($path, { product_id => $product, stock => 1,
                                price => 0, limit_per_user => 2 },
                       admin => 1));
    is("$d->{price} $d->{limit_per_user}", '0 2', 'all members');

    is(told($t->post($path, { product_id => "$UNKNOWN", stock => 1 },
                     admin => 1)), '404 4', 'unknown product');
    is(told($t->post($path, { product_id => "$product", @$_ },
                     admin => 1)), '400 2', 'bad')
        foreach [], [stock => 0], [stock => 1, price => -1];
};


subtest 'who may, and what is not there' => sub {
    my $n = $t->value('SELECT SUM(rev) FROM seckill_activity');
    my @all = (['PUT', "/activities/$UNKNOWN", { title => 'x' }],
               (map { ['POST', "/activities/$UNKNOWN/$_", {}] }
                qw(online offline pause resume reconcile)),
               ['POST', "/activities/$UNKNOWN/stock", { delta => 1 }],
               ['POST', "/warmup/$UNKNOWN"],
               ['GET', "/activities/$UNKNOWN"],
               ['GET', "/activities/$UNKNOWN/availability"],
               ['DELETE', "/activities/$UNKNOWN"]);

    foreach (@all, ['GET', '/activities'], ['POST', '/activities', fields()])
    {
        my ($method, $path, $data) = @$_;
        my @data = $data ? (data => $data) : ();

        is(told(admin(@$_)), '404 4', "$method $path: unknown")
            if $path =~ /$UNKNOWN/;
        is(told($t->request($method, "$ADMIN$path", @data, user => 5)),
           '403 7', "$method $path: a user");
        is(told($t->request($method, "$ADMIN$path", @data)), '401 6',
           'nobody');
    }

    is(told($t->post('/api/v1/seckill/init', { product_id => "$product",
                                               stock => 1 }, user => 5)),
       '403 7', 'init: a user');
    is($t->value('SELECT SUM(rev) FROM seckill_activity'), $n,
       'nothing was done');
};


$t->finish();
done_testing();
