#!/usr/bin/perl

# Copyright (C) Rush
#
# Sponsor cards, figures, the export of all data, the end of an account and
# what the consumer leaves of it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    failpoints => 1,
    consumer_conf => { accounts => { erase_interval => 50 } },
    nginx => { workers => 2, extra_http => 'user_bcrypt_cost 4;' },
    proxy => ['nginx_mysql'],
);
my $mysql = $t->proxy('nginx_mysql');

my $path = '/api/v1/user/sponsors';
my $addresses = '/api/v1/user/addresses';
my $export = '/api/v1/user/export';
my $close = '/api/v1/user';
my $good = 'tiger lily 7';
my $day = 86400_000;

my @hostile = ("'; DROP TABLE user_sponsor; --", '" OR 1=1 #', "\\' \\\" %s",
               '<script>alert(1)</script>', '{{7*7}} ${x}');


sub account {
    my ($name, %fields) = @_;
    my $r = $t->register($name, $good, fields => \%fields);
    die "no $name: $r->{body}\n" if $r->{code};
    return $r->{json}{data};
}


sub card { return { type => 1, name => 'Acme', @_ } }


sub address {
    return { receiver => 'Ann Lee', mobile => '13800138000',
             province => 'P', city => 'C', detail => 'D 1', @_ };
}


sub order {
    my ($user, %o) = @_;
    my $no = $o{order_no} // 7000000000000000 + int rand 1e12;
    my $now = int(time() * 1000);

    $t->insert('orders', order_no => $no, user_id => $user, activity_id => 0,
        product_id => 5, req_id => "r$no", qty => 1, price => 100,
        amount => 100, title => 'Cup', status => 1, stock_state => 0,
        slot => $no % 1000000, granted_ms => $now, created_ms => $now,
        pay_deadline_ms => $now + $day, %o, order_no => $no);
    return $no;
}


sub slow_and_gone {
    my ($what, %q) = @_;

    $mysql->delay(200);
    my $s = $t->connect();
    syswrite $s, ($t->bytes_of(\%q))[0];
    sleep 0.1;
    close $s;
    $mysql->pass();

    ok($t->wait_for(sub {
        my $m = $t->get('/metrics', record => 0)->{body};
        return $m =~ /^rush_mysql_busy 0$/m
               && $m =~ /^rush_mysql_waiting 0$/m;
    }, 5, 'calm'), "$what: the client leaves");
}


sub busy {
    my ($what, $method, $where, %o) = @_;

    $mysql->refuse();
    my $r = $t->request($method, $where, %o);
    is("$r->{status} $r->{code}", '503 3', "$what: MySQL is away");
    $mysql->pass();
    $t->wait_steady(sub {
        return !grep { $_->{code} != 0 } $t->burst([map { { method => 'GET',
            path => $path, user => 4243 } } 1 .. 12], sync => 1);
    }, 10, 'MySQL');
}


sub soon_refused {
    my ($token, $what, $limit) = @_;

    my $started = time();
    ok($t->wait_for(sub {
        my @r = $t->burst([map { { method => 'GET', token => $token,
            path => '/api/v1/user/stats' } } 1 .. 12], sync => 1);
        return !grep { $_->{status} != 401 } @r;
    }, 5, $what), "$what: every worker refuses");
    cmp_ok(time() - $started, '<', ($limit // 1) * $RushTest::SLOW,
           'soon enough');
}


my $ann = account('ann', mobile => '13800138000', nickname => 'Ann');
my $bob = account('bob');
my ($token, $other) = map { $_->{access_token} } $ann, $bob;


subtest 'sponsor cards' => sub {
    my %all = (type => 3, applet_type => 2, name => "\x{8d5e}\x{52a9}",
               desc => "two\nlines", avatar => 'https://x.example/a.png',
               qr_code => '/qr/1.png', input_a => '#mini', input_b => 'pages/x',
               is_show => \0);
    my $r = $t->post($path, \%all, token => $token);
    my $d = $r->{json}{data};

    is($r->{code}, 0);
    is($d->{$_}, $all{$_}, $_)
        foreach qw(type applet_type name desc avatar qr_code input_a input_b);
    ok(!$d->{is_show});

    my $shown = $t->post($path, card(), token => $token)->{json}{data};
    ok($shown->{is_show}, 'shown unless said otherwise');
    is("$shown->{desc}$shown->{avatar}$shown->{applet_type}", '0');

    my $l = $t->get($path, token => $token)->{json}{data};
    is_deeply([map { $_->{id} } @{$l->{list}}], [$shown->{id}, $d->{id}]);
    is("$l->{total} $l->{page} $l->{page_size} $l->{total_page}", '2 1 20 1');
    is(scalar @{$t->get("$path?page=2&page_size=1", token => $token)
        ->{json}{data}{list}}, 1);
    is($t->get($path, token => $other)->{json}{data}{total}, 0);
    is($t->get($path)->{status}, 401);
    is($t->post($path, card())->{status}, 401);
    is($t->post($path, card(), user => 4242)->{code}, 4);

    # who may read one
    is_deeply($t->get("$path/$d->{id}", token => $token)->{json}{data}, $d,
              'the owner');
    is($t->get("$path/$d->{id}")->{code}, 4, 'not nobody');
    is($t->get("$path/$d->{id}", token => $other)->{code}, 4, 'not another');
    is_deeply($t->get("$path/$shown->{id}")->{json}{data}, $shown,
              'everybody, when it is shown');
    is($t->get("$path/$shown->{id}", token => $other)->{code}, 0);
    is($t->get("$path/$shown->{id}", token => 'bad')->{status}, 401);
    $t->do('UPDATE user SET status = 1 WHERE id = ?', $ann->{user}{id});
    is($t->get("$path/$shown->{id}")->{code}, 4, 'not of a closed account');
    $t->do('UPDATE user SET status = 0 WHERE id = ?', $ann->{user}{id});

    # changes
    $r = $t->put("$path/$d->{id}", { name => 'New', is_show => \1 },
                 token => $token);
    is($r->{json}{data}{name}, 'New');
    ok($r->{json}{data}{is_show});
    is($r->{json}{data}{desc}, $all{desc}, 'all else stays');
    is($t->put("$path/$d->{id}", {}, token => $token)->{code}, 0);
    $r = $t->put("$path/$d->{id}", { type => 5 }, token => $token);
    is("$r->{json}{data}{type} $r->{json}{data}{applet_type}", '5 0',
       'another type has no kind of mini program');

    foreach (card(type => 3), card(type => 1, applet_type => 2),
             card(type => 0), card(type => 6), card(type => '1'),
             card(name => ''), card(name => 'x' x 65),
             card(avatar => 'javascript:x'), card(qr_code => 'data:x'),
             card(desc => 'x' x 256), card(is_show => 1.5),
             card(input_a => "a\nb"), { type => 1 }, { name => 'x' })
    {
        is($t->post($path, $_, token => $token)->{status}, 400, 'refused');
    }

    foreach ({ applet_type => 1 }, { type => 3 }, { type => 2,
             applet_type => 1 }, { avatar => 'x' })
    {
        is($t->put("$path/$d->{id}", $_, token => $token)->{status}, 400);
    }

    foreach my $name (qw(name desc input_a input_b)) {
        foreach my $text (@hostile) {
            is($t->put("$path/$d->{id}", { $name => $text }, token => $token)
               ->{json}{data}{$name}, $text, "$name: $text");
        }
    }

    # members that are not the client's
    $r = $t->put("$path/$d->{id}", { name => 'x', user_id => $bob->{user}{id},
        id => '9', slot => 3, version => 7, req_hash => 5 },
        token => $token);
    is($r->{json}{data}{id}, $d->{id});
    is($t->value('SELECT user_id FROM user_sponsor WHERE id = ?', $d->{id}),
       $ann->{user}{id});

    # owners
    foreach my $id ($d->{id}, $d->{id} + 1, $d->{id} - 1, 'x',
                    '9223372036854775808')
    {
        my $who = $id eq $d->{id} ? $other : $token;
        is($t->put("$path/$id", { name => 'stolen' }, token => $who)
           ->{status}, 404, "change of $id");
        is($t->del("$path/$id", token => $who)->{status}, 404, 'removal');
    }

    is($t->get("$path/@{[$d->{id} + 1]}", token => $token)->{status}, 404);
    is($t->put("$path/$d->{id}", { name => 'x' })->{status}, 401);
    is($t->del("$path/$d->{id}")->{status}, 401);
    is($t->del("$path/$d->{id}", token => $token)->{code}, 0);
    is($t->del("$path/$d->{id}", token => $token)->{code}, 4, 'gone');
    is($t->get("$path/$d->{id}", token => $token)->{code}, 4);
    is($t->put("$path/$d->{id}", { name => 'x' }, token => $token)->{code}, 4);
};


subtest 'fifty cards, and keys' => sub {
    my $r = $t->post($path, card(), token => $other, key => 'k');
    is($t->post($path, card(), token => $other, key => 'k')->{json}{data}{id},
       $r->{json}{data}{id}, 'the same again');
    is($t->post($path, card(name => 'y'), token => $other, key => 'k')
       ->{code}, 14, 'the key of something else');

    foreach (1 .. 60) {
        last if $t->post($path, card(), token => $other)->{code};
    }

    is($t->get($path, token => $other)->{json}{data}{total}, 50);
    is($t->post($path, card(), token => $other)->{code}, 10031);

    my ($id) = map { $_->{id} } @{$t->get($path, token => $other)
        ->{json}{data}{list}};
    $t->del("$path/$id", token => $other);

    my %codes;
    $codes{$_->{code}}++ foreach $t->burst([map { { method => 'POST',
        path => $path, data => card(), token => $other } } 1 .. 20],
        sync => 1);
    is_deeply(\%codes, { 0 => 1, 10031 => 19 }, 'of 20 at 49 one comes in');
};


subtest 'figures' => sub {
    my $id = $ann->{user}{id};
    order($id, status => $_) foreach 1, 1, 2, 5, 9;
    order($bob->{user}{id}, status => 2);

    my $r = $t->get('/api/v1/user/stats', token => $token);
    my $d = $r->{json}{data};

    is($d->{orders_total}, 5);
    is_deeply($d->{orders}, { processing => 0, to_pay => 2, paid => 1,
        shipped => 0, done => 0, cancelled => 1, refunding => 0,
        refunded => 0, expired => 0, rejected => 1 });
    is($r->{headers}{'cache-control'}, 'no-store');
    is($t->get('/api/v1/user/stats')->{status}, 401);

    my ($plan) = $t->sql('EXPLAIN SELECT status, COUNT(*) FROM orders '
                         . 'WHERE user_id = 1 GROUP BY status');
    is($plan->{key}, 'u_req', 'by a key');
    slow_and_gone('figures', method => 'GET', path => '/api/v1/user/stats',
                  token => $token);
    busy('figures', 'GET', '/api/v1/user/stats', token => $token);
};


subtest 'export' => sub {
    $t->post($addresses, address(detail => $hostile[3]), token => $token);
    $t->put('/api/v1/user/profile', { info => $hostile[0] }, token => $token);

    my $r = $t->not_busy(sub { $t->get($export, token => $token) });
    my $d = $r->{json}{data};

    is($r->{code}, 0);
    is($r->{headers}{'content-disposition'},
       "attachment; filename=\"rush-$ann->{user}{id}.json\"");
    is($r->{headers}{'cache-control'}, 'no-store');
    is($d->{account}{mobile}, '13800138000', 'unmasked: it is hers');
    is($d->{account}{info}, $hostile[0]);
    is($d->{addresses}[0]{detail}, $hostile[3]);
    is(scalar @{$d->{sponsors}}, 1);
    is(scalar @{$d->{sessions}}, 1);
    is(scalar @{$d->{orders}}, 5);
    is($d->{orders_next}, undef, 'that is all');
    unlike($r->{body}, qr/\$2b\$|hash|password/, 'no secret');
    unlike($r->{body}, qr/\Q$bob->{user}{id}\E/, 'nothing of others');

    is($t->get($export)->{status}, 401);
    is($t->get($export, user => 4242)->{code}, 4);
    is($t->get("$export?orders_after=%27", token => $token)->{status}, 400);
    slow_and_gone('export', method => 'GET', path => $export,
                  token => $token);
    busy('export', 'GET', $export, token => $token);

    # in the middle of it: no half of a document
    $mysql->cut('reply', match => 'order_no');
    $r = $t->get($export, token => $token);
    ok($r->{json}, 'an answer that can be read');
    is(ref $r->{json}{data}{orders}, $r->{code} ? '' : 'ARRAY', 'all or none');
    $mysql->pass();

    # more than a page of everything
    my $now = int(time() * 1000);
    my $id = $bob->{user}{id};
    my $text = join ',', map { "($_, $id, 0, 5, 'r$_', 1, 100, 100, 'Cup', 2, "
        . "4, $_, $now, $now, $now)" } 1000001 .. 1005300;
    $t->do('INSERT INTO orders (order_no, user_id, activity_id, product_id, '
           . 'req_id, qty, price, amount, title, status, stock_state, slot, '
           . "granted_ms, pay_deadline_ms, created_ms) VALUES $text");
    $text = join ',', map { "($_, $id, 'h$_', 'f$_', $now, $now, $now, $now)" }
        1 .. 450;
    $t->do('INSERT INTO user_session (id, user_id, refresh_hash, family_hash, '
           . "created_ms, used_ms, expires_ms, revoked_ms) VALUES $text");

    $d = $t->get($export, token => $other)->{json}{data};
    is(scalar @{$d->{sessions}}, 451, 'all sessions');
    is(scalar @{$d->{orders}}, 5000, 'so many orders');
    my $rest = $t->get("$export?orders_after=$d->{orders_next}",
                       token => $other)->{json}{data};
    is($rest->{orders_next}, undef);
    my %seen = map { $_->{order_no} => 1 } @{$d->{orders}}, @{$rest->{orders}};
    is(scalar keys %seen, 5301, 'all of them, once each');
    is(scalar @{$rest->{orders}}, 301);
};


subtest 'who may close an account' => sub {
    my $r = $t->del($close, { password => 'wrong one' }, token => $token);
    is($r->{code}, 10004, 'wrong password');
    $r = $t->del($close, token => $token);
    is("$r->{status} $r->{json}{data}{field}", '400 password', 'none');
    is($t->del($close, { password => $good })->{status}, 401, 'nobody');
    is($t->del($close, { password => $good }, user => 4242)->{code}, 4,
       'who is not there');
    is($t->get('/api/v1/user/profile', token => $token)->{code}, 0, 'open');

    my $mad = account('mad');
    my $code = 0;
    $code = $t->del($close, { password => "x$_" },
                    token => $mad->{access_token})->{code} foreach 1 .. 6;
    is($code, 10003, 'guesses are counted');

    # an account without a password needs a fresh login
    my $kim = account('kim');
    my $id = $kim->{user}{id};
    my $who = $kim->{access_token};
    $t->do("UPDATE user SET password_hash = '' WHERE id = ?", $id);
    $t->do('UPDATE user_session SET created_ms = created_ms - 601000 '
           . 'WHERE user_id = ?', $id);
    is($t->del($close, {}, token => $who)->{code}, 10032, 'too long ago');
    is($t->del($close, { password => '' }, token => $who)->{status}, 400);
    is($t->del($close, { password => 'x' }, token => $who)->{code}, 10032,
       'nothing to compare with');
    is($t->del($close, user => $id)->{code}, 10032, 'no such session');
    $t->do('UPDATE user_session SET created_ms = created_ms + 301000 '
           . 'WHERE user_id = ?', $id);
    is($t->del($close, token => $who)->{code}, 0, 'a fresh one will do');
    soon_refused($who, 'closed without a password');

    # banned: the token ends; here the row was changed behind its back
    my $ban = account('ban');
    $t->do('UPDATE user SET status = 1 WHERE id = ?', $ban->{user}{id});
    is($t->del($close, { password => $good }, token => $ban->{access_token})
       ->{code}, 10006, 'closed by others');
    $t->do('UPDATE user SET status = 0, token_version = 5 WHERE id = ?',
           $ban->{user}{id});
    is($t->del($close, { password => $good }, token => $ban->{access_token})
       ->{status}, 401, 'an old token');
};


subtest 'a closed account' => sub {
    my $eve = account('eve', mobile => '13900139000');
    my $two = $t->login('eve', $good)->{json}{data};
    my $who = $eve->{access_token};

    slow_and_gone('close', method => 'GET', path => $path, token => $who);
    busy('close', 'DELETE', $close, data => { password => $good },
         token => $who);

    # at once by ten: one does it
    my %codes;
    $codes{$_->{status}}++ foreach $t->burst([map { { method => 'DELETE',
        path => $close, data => { password => $good }, token => $who } }
        1 .. 4], sync => 1);
    cmp_ok($codes{200} // 0, '>=', 1, 'one of four closes it');
    is(join(' ', grep { !/^(?:200|401|409)$/ } keys %codes), '',
       'the others find it closed');
    is($t->value('SELECT token_version FROM user WHERE id = ?',
                 $eve->{user}{id}), 2, 'once');

    soon_refused($_->{access_token}, 'closed') foreach $eve, $two;
    is($t->post('/api/v1/auth/refresh-token',
       { refresh_token => $two->{refresh_token} })->{code}, 10007);
    is($t->login('eve', $good)->{code}, 10002, 'no login');
    is($t->register('eve2', $good, fields => { mobile => '13900139000' })
       ->{code}, 10001, 'its number is still taken: it may be opened again');

    my ($row) = $t->sql('SELECT * FROM user WHERE id = ?', $eve->{user}{id});
    is("$row->{status} $row->{erased_ms}", '2 0');
    cmp_ok($row->{deleted_ms}, '>', 1e12);

    # opened again by an administrator
    $t->do('UPDATE user SET status = 0, deleted_ms = 0 WHERE id = ?',
           $eve->{user}{id});
    my $r = $t->login('eve', $good);
    is($r->{code}, 0, 'it can be opened again');
    is($t->del($close, { password => $good },
               token => $r->{json}{data}{access_token})->{code}, 0);
};


subtest 'nobody waits for the end' => sub {
    my $zoe = account('zoe');

    $mysql->delay(150);
    my $s = $t->connect();
    syswrite $s, ($t->bytes_of({ method => 'DELETE', path => $close,
        data => { password => $good }, token => $zoe->{access_token} }))[0];
    sleep 0.1;
    close $s;
    ok($t->wait_for(sub { $t->value('SELECT status FROM user WHERE id = ?',
                                    $zoe->{user}{id}) == 2 }, 5, 'closed'),
       'it is finished all the same');
    $mysql->pass();
    soon_refused($zoe->{access_token}, 'closed while nobody waited');
};


subtest 'anonymous' => sub {
    my $id = $ann->{user}{id};
    my @tables = qw(user_session address user_sponsor);
    my $count = sub { join ' ', map { $t->value(
        "SELECT COUNT(*) FROM $_ WHERE user_id = ?", $_[0]) } @tables };

    $t->do("UPDATE user SET email = 'ann\@example.com', avatar = '/a', "
           . "signature = 's', longitude = '1' WHERE id = ?", $id);
    is($t->del($close, { password => $good }, token => $token)->{code}, 0);
    isnt($count->($id), '0 0 0');

    # a day before its time
    my $now = int(time() * 1000);
    $t->do('UPDATE user SET deleted_ms = ? WHERE id = ?', $now - 29 * $day,
           $id);
    my $kept = account('kept');
    $t->do('UPDATE user SET status = 2, deleted_ms = ? WHERE id = ?',
           $now - 31 * $day, $kept->{user}{id});
    ok($t->wait_for(sub { $t->value('SELECT erased_ms FROM user WHERE id = ?',
                                    $kept->{user}{id}) }, 10, 'erased'),
       'one whose time has come is erased');
    is($t->value('SELECT erased_ms FROM user WHERE id = ?', $id), 0,
       'one whose time has not is left');
    is($t->value('SELECT mobile FROM user WHERE id = ?', $id), '13800138000');

    $t->do('UPDATE user SET deleted_ms = ? WHERE id = ?', $now - 31 * $day,
           $id);
    ok($t->wait_for(sub { $t->value('SELECT erased_ms FROM user WHERE id = ?',
                                    $id) }, 10, 'erased'), 'erased');

    my ($row) = $t->sql('SELECT * FROM user WHERE id = ?', $id);
    is(join(' ', grep { defined $row->{$_} }
            qw(username mobile email)), '', 'no name');
    is(join('', map { $row->{$_} } qw(password_hash nickname avatar info
            signature location_name longitude latitude)), '', 'no text');
    is($row->{status}, 2);
    is($count->($id), '0 0 0', 'no session, no address, no card');
    is($t->value('SELECT COUNT(*) FROM orders WHERE user_id = ?', $id), 5,
       'the orders stay');
    isnt($count->($bob->{user}{id}), '0 0 0', 'others keep theirs');

    my @all;
    foreach my $table (map { values %$_ } $t->sql('SHOW TABLES')) {
        push @all, $table if grep { my $r = $_; grep { defined $r->{$_}
            && $r->{$_} =~ /13800138000|ann\@example|Ann Lee/ } keys %$r }
            $t->sql("SELECT * FROM $table");
    }
    is("@all", '', 'in no table is anything left of her');

    is($t->register('ann', $good, fields => { mobile => '13800138000' })
       ->{code}, 0, 'name and number are free');

    # opened again before the transaction: nothing is erased
    my $back = account('back');
    $t->do('UPDATE user SET deleted_ms = ? WHERE id = ?', $now - 40 * $day,
           $back->{user}{id});
    sleep 0.3;
    is($t->value('SELECT username FROM user WHERE id = ?', $back->{user}{id}),
       'back', 'an open account is not touched');
    like($t->log_text('consumer'), qr/account $id: erased/);
    unlike($t->log_text('consumer'), qr/13800138000/, 'no number in a log');
};


subtest 'an answer that is lost' => sub {
    plan(skip_all => 'a new worker prepares all it asks, and is late')
        if !RushTest::Mode::workers_stay();

    my $max = account('max');
    my $who = $max->{access_token};

    my $status = sub { return $t->value('SELECT status FROM user WHERE '
                                        . 'id = ?', $max->{user}{id}) };

    # done, and the connection is lost before the worker hears of it; a
    # statement that is prepared first waits twice, of 2 s
    $mysql->delay(600);
    my $s = $t->connect();
    syswrite $s, ($t->bytes_of({ method => 'DELETE', path => $close,
        data => { password => $good }, token => $who }))[0];
    ok($t->wait_for(sub { $status->() == 2 }, 10, 'the end'), 'closed');
    $mysql->drop();
    sysread $s, my $answer, 4096;
    like($answer, qr/503.*"code":3,/s, 'the answer is lost');
    $mysql->pass();

    # the worker told nobody: the controller finds it in MySQL
    soon_refused($who, 'closed with a lost answer', 3);
};


subtest 'closed, but no worker was told' => sub {
    my $nil = account('nil');
    my $who = $nil->{access_token};

    $t->do('UPDATE user SET status = 2, deleted_ms = 1e12, token_version = 2 '
           . 'WHERE id = ?', $nil->{user}{id});
    $t->do('UPDATE user SET deleted_ms = ? WHERE id = ?', time() * 1000,
           $nil->{user}{id});
    is($t->get('/api/v1/user/stats', token => $who)->{code}, 0,
       'its token is still good');
    is($t->del($close, { password => 'any' }, token => $who)->{code}, 0,
       'closed once more');
    soon_refused($who, 'told now');
};


subtest 'the consumer dies in the middle of it' => sub {
    my $now = int(time() * 1000);

    foreach my $action ('kill', 'error') {
        my $u = account("late$action");
        my $id = $u->{user}{id};

        $t->post($addresses, address(), token => $u->{access_token});
        $t->failpoint('C5', $action, 2);
        $t->do('UPDATE user SET status = 2, deleted_ms = ? WHERE id = ?',
               $now - 31 * $day, $id);

        if ($action eq 'kill') {
            ok($t->wait_for(sub { !$t->running('consumer') }, 10, 'its end'),
               'it has died');
            is($t->value('SELECT username FROM user WHERE id = ?', $id),
               "late$action", 'nothing has happened');
            is($t->value('SELECT COUNT(*) FROM address WHERE user_id = ?',
                         $id), 1);
            $t->failpoint('C5', 'off');
            $t->start('consumer');
        }

        ok($t->wait_for(sub { $t->value('SELECT erased_ms FROM user WHERE '
            . 'id = ?', $id) }, 15, 'erased'), "$action: all of it happens");
        is($t->value('SELECT COUNT(*) FROM address WHERE user_id = ?', $id),
           0);
    }

    cmp_ok($t->failpoint_hits('C5'), '>=', 2, 'there was a fault');
    $t->failpoint('C5', 'off');
};


subtest 'old sessions' => sub {
    my $now = int(time() * 1000);
    my %rows = (
        9001 => [$now - 8 * $day, 0], 9002 => [$now - 6 * $day, 0],
        9003 => [$now + $day, $now - 10 * $day],
        9004 => [$now + $day, $now - 8 * $day], 9005 => [$now + $day, 0],
    );

    $t->do('INSERT INTO user_session (id, user_id, refresh_hash, created_ms, '
           . 'used_ms, expires_ms, revoked_ms) VALUES (?, 99, ?, 1, 1, ?, ?)',
           $_, "hash$_", @{$rows{$_}}) foreach sort keys %rows;

    ok($t->wait_for(sub { $t->value('SELECT COUNT(*) FROM user_session '
        . 'WHERE user_id = 99') == 3 }, 10, 'purged'), 'old ones go');
    sleep 0.2;
    is(join(' ', map { $_->{id} } $t->sql('SELECT id FROM user_session WHERE '
        . 'user_id = 99 ORDER BY id')), '9002 9004 9005', 'others stay');
};


$t->finish();
done_testing();
