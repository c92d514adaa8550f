#!/usr/bin/perl

# Copyright (C) Rush
#
# Idempotency-Key of the routes that make things: one run, and the same answer
# to each copy of it, on every worker of two nodes.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use RushTest;
use RushTest::Routes;
use RushTest::Sale;
use Test::More;
use Time::HiRes qw(sleep time);

my $http = 'user_bcrypt_cost 4;';
my $t = RushTest::Routes::world();
my $node = $t->node(extra_http => $http);
my $all = RushTest::Routes->new($t);
my $json = JSON::PP->new->utf8->canonical;
my $products = '/api/v1/admin/products';
my $serial = 0;


sub counter { return RushTest::Sale::counter($t, "idem_$_[0]_total") }
sub title { return 'thing ' . ++$serial }


sub rows {
    my ($title) = @_;
    return $t->value('SELECT COUNT(*) FROM product WHERE title = ?', $title);
}


sub make {
    my ($title, $key, %o) = @_;
    return $t->post($products, { title => $title, price => 5 }, admin => 1,
                    key => $key, %o);
}


sub replayed { return $_[0]{headers}{'idempotency-replayed'} // 'no' }
sub keys_of { return sort grep { /^\{rush\}i:/ } $t->redis()->keys('*') }


# an answer of the first run, and a copy of it

sub same {
    my ($again, $first, $what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(replayed($again), 'true', "$what: told so");
    is($again->{status}, $first->{status}, 'the status');
    is_deeply([@{$again->{json}}{qw(code message data)}],
              [@{$first->{json}}{qw(code message data)}], 'the answer');
    isnt($again->{json}{trace_id}, $first->{json}{trace_id},
         'the trace is its own');
}


subtest 'one after another' => sub {
    my $title = title();
    my $first = make($title, 'one');

    is($first->{code}, 0, 'made');
    is(replayed($first), 'no', 'by the first');
    same(make($title, 'one'), $first, 'a copy');
    same(make($title, 'one', node => $node), $first, 'the other node');
    same(make($title, '"one"'), $first, 'in quotes');
    same($t->post($products, undef, admin => 1, key => 'one', body =>
        qq({ "price" : 5,\n "of":{"no":["meaning"]}, "title" : "$title" })),
        $first, 'written otherwise');
    is(rows($title), 1, 'one row');

    is(make($title, undef)->{code}, 0, 'without a key');
    is(make($title, undef)->{code}, 0, 'it is another request each time');
    is(make($title, 'two')->{code}, 0, 'so it is with another key');
    is(rows($title), 4, 'four rows');
    is(replayed(make($title, undef)), 'no', 'nothing is kept without');
};


subtest 'something else under the same key' => sub {
    my $title = title();
    my $n = counter('reused');

    is(make($title, 'else')->{code}, 0, 'made');

    foreach my $other ({ title => "$title.", price => 5 },
                       { title => $title, price => 6 },
                       { title => $title, price => 5, stock => 0 },
                       { title => $title, price => 5, category => '' })
    {
        my $r = $t->post($products, $other, admin => 1, key => 'else');
        is("$r->{status} $r->{code}", '422 14', $json->encode($other));
        is(replayed($r), 'no', 'no replay');
    }

    is(counter('reused') - $n, 4, 'counted');
    is(rows($title), 1, 'one row');
    is(rows("$title."), 0, 'and nothing else');
};


subtest 'who has a key' => sub {
    my $title = title();
    my $other = $all->holder('products_write', 'stock_write');

    ok($t->wait_for(sub {
        $t->put("$products/1", {}, token => $other)->{status} != 403
    }, 5, 'the role'), 'nodes know the role');

    my $first = make($title, 'mine');
    my $second = make($title, 'mine', token => $other, admin => 0);
    is($second->{code}, 0, 'somebody else with the same one');
    is(replayed($second), 'no', 'is somebody else');
    isnt($second->{json}{data}{id}, $first->{json}{data}{id}, 'two products');
    is(rows($title), 2, 'two rows');

    # of a route
    my $id = $first->{json}{data}{id};
    my $r = $t->post("$products/$id/stock", { stock => 7, reason => 'x' },
                     admin => 1, key => 'mine');
    is($r->{code}, 0, 'another route with the same one');
    is(replayed($r), 'no', 'is another request');

    # an object is a field of the route
    my $id2 = $second->{json}{data}{id};
    is($t->post("$products/$id2/stock", { stock => 7, reason => 'x' },
                admin => 1, key => 'mine')->{code}, 14, 'another object');
};


subtest 'malformed' => sub {
    my $title = title();

    foreach my $key ('', '""', '"', '"a', 'a"', 'a b', '"a";p=1', '"a","b"',
                     "a\tb", '"a\"b"', 'a/b', 'x' x 65)
    {
        my $r = make($title, $key);
        is("$r->{status} $r->{code}", '400 2', "<$key>");
        is($r->{json}{data}{field}, 'idempotency_key', 'names it');
    }

    my ($bytes) = $t->bytes_of({ method => 'POST', path => $products,
        admin => 1, key => 'a', data => { title => $title, price => 5 },
        headers => { Connection => 'close' } });
    $bytes =~ s/^(Idempotency-Key: a)/Idempotency-Key: b\r\n$1/m or die;
    like($t->raw($bytes), qr/^HTTP\S+ 400 .*"is given twice"/s, 'twice');

    is(rows($title), 0, 'nothing was made');
    is(make($title, 'x' x 64)->{code}, 0, '64 are good');
    is(make(title(), 'A-z0.9_:')->{code}, 0, 'all that may be in it');
};


subtest 'refusals' => sub {
    my $id = $t->product(stock => 3);
    my $adjust = sub {
        my ($key, %data) = @_;
        return $t->post("$products/$id/stock", { reason => 'x', %data },
                        admin => 1, key => $key);
    };

    my $first = $adjust->('few', delta => -5);
    is($first->{code}, 20002, 'not enough');
    is($adjust->('more', delta => 5)->{code}, 0, 'enough now');
    same($adjust->('few', delta => -5), $first, 'for good');
    is($adjust->('few-again', delta => -5)->{code}, 0, 'not for a new key');
    same($adjust->('more', delta => 5), $adjust->('more', delta => 5), '+ 5');
    is($t->value('SELECT stock FROM product WHERE id = ?', $id), 3, 'once');

    $first = $t->post("$products/999999999/stock", { delta => 1, reason =>
        'x' }, admin => 1, key => 'nowhere');
    is($first->{status}, 404, 'no such product');
    same($t->post("$products/999999999/stock", { delta => 1, reason => 'x' },
                  admin => 1, key => 'nowhere'), $first, 'a copy');

    # nothing was done: the key is free, for a better body too
    is($adjust->('wrong')->{status}, 400, 'refused by a step');
    is($adjust->('wrong', delta => 1)->{code}, 0, 'mended');

    is($adjust->('fields', delta => 'x')->{status}, 400, 'refused before');
    is($adjust->('fields', delta => 1)->{code}, 0, 'mended');

    my $user = $all->account();
    my $title = title();
    is(make($title, 'p', admin => 0, token => $user->{token})->{status}, 403,
       'without the permission');
    is(make($title, 'p', admin => 0)->{status}, 401, 'without a token');
    is(scalar(grep { /:\Q$user->{id}\E:/ } keys_of()), 0, 'not kept');

    my $conflict = { title => 'x', product_id => "$id", price => 1,
                     total => 1, start_at => 2, end_at => 1 };
    is($t->post('/api/v1/admin/seckill/activities', $conflict, admin => 1,
                key => 'window')->{status}, 400, 'an odd window');
    is(scalar(grep { /window/ } keys_of()), 0, 'not kept');
};


subtest 'many at once' => sub {
    foreach my $round (1 .. 4) {
        my $title = title();
        my $n = 0;
        my ($running, $again) = (counter('running'), counter('replayed'));
        my @r = $t->burst([map { { method => 'POST', path => $products,
            admin => 1, key => "all $round" =~ tr/ /-/r,
            data => { title => $title, price => 5 },
            node => $n++ % 2 ? $node : 'nginx' } } 1 .. 50], sync => 1);

        my %n;
        $n{"$_->{status} " . replayed($_)}++ foreach @r;
        note(join ', ', map { "$n{$_} x $_" } sort keys %n);

        is($n{'200 no'}, 1, 'one ran');
        is(($n{'200 true'} // 0) + ($n{'409 no'} // 0), 49,
           'others were told of it');
        is(rows($title), 1, 'one row');

        my ($first) = grep { replayed($_) eq 'no' && $_->{code} == 0 } @r;
        is_deeply($_->{json}{data}, $first->{json}{data}, 'the same answer')
            foreach grep { replayed($_) eq 'true' } @r;

        foreach my $r (grep { $_->{status} == 409 } @r) {
            is("$r->{code} $r->{headers}{'retry-after'}", '15 1', 'running');
        }

        same(make($title, "all-$round"), $first, 'after that');
    }
};


subtest 'what is kept' => sub {
    my $title = title();
    my $acts = 'SELECT (SELECT COUNT(*) FROM audit_inbox) '
        . '+ (SELECT COUNT(*) FROM audit_log)';
    my $before = $t->value($acts);
    my $first = make($title, 'kept');

    make($title, 'kept') foreach 1 .. 3;
    make("$title.", 'kept');

    my ($key) = grep { /:kept$/ } keys_of();
    my $user = $t->value('SELECT MIN(id) FROM user WHERE roles & 1');
    like($key, qr/^\{rush\}i:\d+:seckill_product_create:kept$/, 'its name');

    my $ttl = $t->redis()->pttl($key);
    cmp_ok($ttl, '>', 86_390_000, 'for a day');
    cmp_ok($ttl, '<=', 86_400_000, 'not longer');

    my $text = $t->redis()->get($key);
    like($text, qr/^D [0-9a-f]{64} 0 \{.*\}$/, 'the data');
    unlike($text, qr/$first->{json}{trace_id}/, 'not the trace');
    is((split ' ', $text)[1], sha256_hex("seckill_product_create\ntitle="
       . length($title) . ":$title\nprice=8:" . pack 'q<', 5),
       'under the hash of the fields');

    is($t->value($acts) - $before, 2, 'only what ran is an act');
};


subtest 'passwords' => sub {
    my $users = '/api/v1/admin/users';
    my $password = 'heron and 7 reeds';
    my $body = sub { { username => 'keyed', password => shift } };

    $t->secret($password);

    my $first = $t->post($users, $body->($password), admin => 1, key => 'pw');
    is($first->{code}, 0, 'an account');
    same($t->post($users, $body->($password), admin => 1, key => 'pw'),
         $first, 'a copy');
    is($t->post($users, $body->("$password."), admin => 1, key => 'pw')
       ->{code}, 14, 'another password');
    is($t->login('keyed', $password)->{code}, 0, 'it is the first one');

    my ($key) = grep { /:pw$/ } keys_of();
    my ($print) = $t->redis()->get($key) =~ /^D (\w+)/;
    my $plain = "user_admin_create\nusername=5:keyed\npassword="
        . length($password) . ":$password";
    isnt($print, sha256_hex($plain), 'nobody can try passwords');
};


# of every route that takes one, the sample twice

subtest 'all routes' => sub {
    my $doc = $json->decode(RushTest::slurp(
        "$RushTest::ROOT/docs/openapi.json"));
    my @keyed;

    foreach my $route (sort { $a->{id} cmp $b->{id} } $all->routes()) {
        my $op = $doc->{paths}{$route->{path}}{lc $route->{method}};
        next if !grep { $_->{name} eq 'idempotency-key' } @{$op->{parameters}};
        next if !$op->{responses}{409}
            || $op->{responses}{409}{description} !~ /KEY_RUNNING/;

        push @keyed, $route->{id};
        like($op->{responses}{422}{description}, qr/KEY_REUSED/,
             "$route->{id}: documented");

        my $q = $all->sample($route->{id});
        my $key = $route->{id} =~ tr/_/-/r;
        my @r = map { $t->request($q->{method}, $q->{path}, %$q,
                                  key => $key) } 1, 2;
        is($r[0]{code}, 0, 'runs');
        same($r[1], $r[0], $route->{id});
    }

    my %keyed = map { $_ => 1 } @keyed;
    ok($keyed{$_}, "$_ is one of them") foreach qw(seckill_init
        seckill_product_create seckill_product_adjust seckill_admin_create
        seckill_admin_stock user_admin_create user_role_create);
    ok(!$keyed{$_}, "$_ answers secrets") foreach qw(user_login user_register
        user_refresh user_verify_code user_reset user_wx_mini_auth);
};


subtest 'restarts' => sub {
    my $title = title();
    my $first = make($title, 'restart');

    $t->reload();
    same(make($title, 'restart'), $first, 'reload');
    $t->restart('nginx');
    $t->wait_ready();
    same(make($title, 'restart'), $first, 'nginx');
    $t->restart('redis');
    $t->wait_ready();
    ok($t->wait_for(sub { make($title, 'restart')->{status} != 503 }, 10,
                    'the gate'), 'the gate opens');
    same(make($title, 'restart'), $first, 'redis');
    is(rows($title), 1, 'one row');
};


subtest 'the end of a record' => sub {
    my $short = $t->node(extra_http =>
        "$http rush_idempotency lock=500ms keep=1s;");
    my $title = title();

    is(make($title, 'short', node => $short)->{code}, 0, 'made');
    my $r = make($title, 'short', node => $short);
    is(replayed($r), 'true', 'a copy');
    ok($t->wait_for(sub {
        replayed(make($title, 'short', node => $short)) eq 'no';
    }, 5, 'the end'), 'a new request then');
    is(rows($title), 2, 'two rows');
};


$t->finish();
done_testing();
