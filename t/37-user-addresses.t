#!/usr/bin/perl

# Copyright (C) Rush
#
# Sessions and addresses of a user: each route, its errors, its owner, what
# happens at the same time; the table of regions.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    consumer => 0,
    # as servers come: the workers must not depend on it
    mysql => { extra => "transaction-isolation=REPEATABLE-READ\n" },
    nginx => { workers => 2, extra_http => 'user_bcrypt_cost 4;' },
    proxy => ['nginx_mysql'],
);
my $mysql = $t->proxy('nginx_mysql');

my $sessions = '/api/v1/user/sessions';
my $path = '/api/v1/user/addresses';
my $good = 'tiger lily 7';

# text that hurts where it is not handled as text
my @hostile = ("'; DROP TABLE address; --", '" OR 1=1 #', "\\' \\\" %s %n",
               '<script>alert(1)</script>', '{{7*7}} ${x}');


sub account {
    my ($name) = @_;
    my $r = $t->register($name, $good);
    die "no $name: $r->{body}\n" if $r->{code};
    return $r->{json}{data};
}


sub address {
    my (%o) = @_;
    return { receiver => "\x{5f20}\x{4e09}", mobile => '13800138000',
             province => "\x{5e7f}\x{4e1c}\x{7701}",
             city => "\x{6df1}\x{5733}\x{5e02}",
             district => "\x{5357}\x{5c71}\x{533a}",
             detail => "\x{79d1}\x{6280}\x{56ed} 1", %o };
}


sub encoded {
    my ($text) = @_;
    utf8::encode($text);
    return $text;
}


sub list {
    my ($token, $query) = @_;
    return $t->get($path . ($query // ''), token => $token)->{json}{data};
}


sub defaults {
    my ($token) = @_;
    return join ' ', map { $_->{is_default} ? $_->{id} : () }
        @{list($token, '?page_size=100')->{list}};
}


sub all_workers_refuse {
    my ($token, $what) = @_;

    my $started = time();
    my $ok = $t->wait_for(sub {
        my @r = $t->burst([map { { path => '/api/v1/user/stats',
            method => 'GET', token => $token } } 1 .. 12], sync => 1);
        return !grep { $_->{status} != 401 } @r;
    }, 5, $what);

    ok($ok, "$what: every worker refuses");
    cmp_ok(time() - $started, '<', 1 * $RushTest::SLOW, 'within a second');
}


my $ann = account('ann');
my $bob = account('bob');
my ($token, $other) = map { $_->{access_token} } $ann, $bob;


subtest 'sessions' => sub {
    my @more = map { $t->request('POST', '/api/v1/user/login',
        data => { username => 'ann', password => $good },
        headers => { 'User-Agent' => "phone $_ <b>" })->{json}{data} } 1, 2;

    my $r = $t->get($sessions, token => $token);
    my $d = $r->{json}{data};

    is($r->{code}, 0);
    is("$d->{total} $d->{page} $d->{page_size} $d->{total_page}", '3 1 20 1');
    is_deeply([sort keys %{$d->{list}[0]}], [sort qw(id device address
        created_at used_at expires_at current)]);
    is(scalar(grep { $_->{current} } @{$d->{list}}), 1, 'one is this one');
    is($d->{list}[2]{current}, 1, 'the oldest');
    is($d->{list}[0]{device}, 'phone 2 <b>', 'as it said');
    is($d->{list}[0]{address}, '127.0.0.1');
    is($r->{headers}{'cache-control'}, 'no-store');

    $d = $t->get("$sessions?page=2&page_size=2", token => $token)
        ->{json}{data};
    is("$d->{total} $d->{total_page} @{[scalar @{$d->{list}}]}", '3 2 1',
       'the second page');
    is($t->get("$sessions?page=9", token => $token)->{json}{data}{total}, 3);
    is($t->get("$sessions?page=0", token => $token)->{status}, 400);
    is($t->get("$sessions?page_size=101", token => $token)->{status}, 400);
    is($t->get($sessions)->{status}, 401, 'of nobody');
    is($t->get($sessions, user => 4242)->{json}{data}{total}, 0,
       'of a user without any');

    my ($id) = map { $_->{id} } @{$t->get($sessions, token => $token)
        ->{json}{data}{list}};
    my $theirs = $t->get($sessions, token => $other)
        ->{json}{data}{list}[0]{id};

    foreach ([$id, $other, 404], [$id, undef, 401], [$id + 1, $token, 404],
             [$id - 1, $token, 404], [$theirs, $token, 404],
             [0, $token, 404], ['x', $token, 404])
    {
        my ($which, $who, $status) = @$_;
        is($t->del("$sessions/$which",
                   (defined $who ? (token => $who) : ()))->{status}, $status,
           "$which is refused");
    }

    is($t->get($sessions, token => $token)->{json}{data}{total}, 3,
       'nothing was ended');

    $r = $t->del("$sessions/$id", token => $token);
    is($r->{code}, 0, 'one is ended');
    all_workers_refuse($more[1]{access_token}, 'the ended session');
    is($t->post('/api/v1/auth/refresh-token', { refresh_token =>
        $more[1]{refresh_token} })->{code}, 10007, 'it does not refresh');
    is($t->get($sessions, token => $more[0]{access_token})->{code}, 0,
       'others go on');
    is($t->del("$sessions/$id", token => $token)->{code}, 0,
       'ended twice: what was lost may be repeated');
    is($t->get($sessions, token => $token)->{json}{data}{total}, 2);
};


subtest 'add and list' => sub {
    my $r = $t->post($path, address(postcode => '518000', tag => 'home'),
                     token => $token);
    my $d = $r->{json}{data};

    is($r->{code}, 0);
    like($d->{id}, qr/^\d+$/);
    is($d->{receiver}, "\x{5f20}\x{4e09}");
    is($d->{is_default}, 1, 'the first one is the default');
    is("$d->{postcode} $d->{tag} $d->{mobile}", '518000 home 13800138000');
    is($r->{headers}{'cache-control'}, 'no-store');

    my $second = $t->post($path, address(detail => '2'), token => $token)
        ->{json}{data};
    ok(!$second->{is_default}, 'the second is not');
    my $third = $t->post($path, address(detail => '3', is_default => \1),
                         token => $token)->{json}{data};
    ok($third->{is_default}, 'unless it is said');

    is(defaults($token), $third->{id}, 'one default');
    is_deeply([map { $_->{id} } @{list($token)->{list}}],
              [$third->{id}, $d->{id}, $second->{id}], 'it stands first');

    my $p = list($token, '?page=2&page_size=2');
    is("$p->{total} $p->{total_page} " . @{$p->{list}}, '3 2 1', 'a page');
    ok(!$p->{list}[0]{is_default});
    is(scalar @{list($token, '?page=7')->{list}}, 0, 'beyond the end');
    is(list($other)->{total}, 0, 'others have theirs');
    is($t->get($path)->{status}, 401, 'of nobody');
    is($t->post($path, address())->{status}, 401, 'for nobody');
    is($t->post($path, address(), user => 4242)->{code}, 4,
       'for a user who is not there');
    is($t->value('SELECT COUNT(*) FROM address WHERE user_id = 4242'), 0);
};


subtest 'change and remove' => sub {
    my @all = @{list($token)->{list}};
    my $id = $all[1]{id};
    my $r = $t->put("$path/$id", { detail => 'new', tag => '' },
                    token => $token);

    is($r->{code}, 0);
    is($r->{json}{data}{detail}, 'new');
    is($r->{json}{data}{tag}, '', 'taken away');
    is($r->{json}{data}{receiver}, $all[1]{receiver}, 'all else stays');
    is($r->{json}{data}{district}, $all[1]{district});
    ok(!$r->{json}{data}{is_default});

    foreach ({}, { detail => undef }, { unknown => 1 }) {
        is($t->put("$path/$id", $_, token => $token)->{code}, 0,
           'nothing to change');
    }

    ok($t->put("$path/$id", { is_default => \1 }, token => $token)
       ->{json}{data}{is_default}, 'it becomes the default');
    is(defaults($token), $id);
    ok(!$t->put("$path/$id", { is_default => \0 }, token => $token)
       ->{json}{data}{is_default}, 'it gives it up');
    is(defaults($token), $all[0]{id}, 'to the next one');
    is($t->put("$path/$all[2]{id}", { is_default => \0 }, token => $token)
       ->{code}, 0, 'who has it not cannot give it up');
    is(defaults($token), $all[0]{id});

    is($t->del("$path/$all[0]{id}", token => $token)->{code}, 0);
    isnt(defaults($token), '', 'another one is the default');
    is(scalar(split / /, defaults($token)), 1, 'one');
    is($t->del("$path/$all[0]{id}", token => $token)->{code}, 4, 'gone');

    $t->del("$path/$_->{id}", token => $token) foreach @all[1, 2];
    is(defaults($token), '', 'none is left');

    my $last = $t->post($path, address(), token => $token)->{json}{data};
    ok($t->put("$path/$last->{id}", { is_default => \0 }, token => $token)
       ->{json}{data}{is_default}, 'the only one stays the default');
};


subtest 'owners' => sub {
    my $mine = list($token)->{list}[0]{id};
    my $gone = $t->post($path, address(), token => $token)->{json}{data}{id};
    $t->del("$path/$gone", token => $token);
    my $before = list($token);

    foreach my $id ($mine, $mine + 1, $mine - 1, $gone, 1,
                    '9223372036854775807', '9223372036854775808', 'x', -1)
    {
        my $who = $id eq $mine ? $other : $token;
        is($t->put("$path/$id", { detail => 'stolen' }, token => $who)
           ->{status}, 404, "change of $id");
        is($t->put("$path/$id", { is_default => \1 }, token => $who)
           ->{status}, 404);
        is($t->put("$path/$id", {}, token => $who)->{status}, 404);
        is($t->del("$path/$id", token => $who)->{status}, 404, 'removal');
    }

    is($t->put("$path/$mine", { detail => 'x' })->{status}, 401);
    is($t->del("$path/$mine")->{status}, 401);
    is_deeply(list($token), $before, 'nothing has changed');
    is(list($other)->{total}, 0);
    is($t->post("$path/$mine", {}, token => $token)->{status}, 405);
    is($t->get("$path/$mine", token => $token)->{status}, 405);
};


subtest 'members a client must not set' => sub {
    my $id = list($token)->{list}[0]{id};
    my %more = (id => '77', user_id => $bob->{user}{id}, slot => 49,
                place => -9, req_id => 'x', version => 9, created_ms => 1,
                created_at => '2001-01-01T00:00:00Z', status => 2);
    my $r = $t->post($path, address(%more), token => $token);

    is($r->{code}, 0);
    isnt($r->{json}{data}{id}, '77');
    my ($row) = $t->sql('SELECT * FROM address WHERE id = ?',
                        $r->{json}{data}{id});
    is($row->{user_id}, $ann->{user}{id});
    is($row->{req_id}, undef);
    cmp_ok($row->{slot}, '<', 20);
    cmp_ok($row->{created_ms}, '>', 1e12);

    is($t->put("$path/$id", { detail => 'x', %more }, token => $token)
       ->{json}{data}{id}, $id);
    is($t->value('SELECT COUNT(*) FROM address WHERE user_id = ?',
                 $bob->{user}{id}), 0);
    $t->del("$path/$r->{json}{data}{id}", token => $token);

    foreach my $v (2, -1, 'true', '1', [], {}, 1.5) {
        is($t->put("$path/$id", { is_default => $v }, token => $token)
           ->{status}, 400, 'is_default is no such thing');
    }
};


subtest 'what may be in it' => sub {
    my $id = list($token)->{list}[0]{id};
    my %max = (receiver => 32, province => 32, city => 32, district => 32,
               detail => 255, tag => 16);

    foreach my $name (sort keys %max) {
        foreach my $text (@hostile) {
            my $v = substr $text, 0, $max{$name};
            is($t->put("$path/$id", { $name => $v }, token => $token)
               ->{json}{data}{$name}, $v, "$name: $v");
        }

        my $long = "\x{1f600}" x $max{$name};
        is($t->put("$path/$id", { $name => $long }, token => $token)
           ->{json}{data}{$name}, $long, "$name of $max{$name} characters");
        is(list($token)->{list}[0]{$name}, $long, 'as stored');

        foreach my $v ("${long}x", "a\nb", "a\x07b", 7, ['x']) {
            my $r = $t->put("$path/$id", { $name => $v }, token => $token);
            is("$r->{status} $r->{json}{data}{field}", "400 $name",
               "$name is refused");
        }
    }

    foreach (['receiver', ''], ['receiver', '  '], ['detail', "\x{3000} "],
             ['city', ' '], ['province', ''], ['mobile', ''],
             ['mobile', '1234'], ['mobile', '12-'], ['mobile', '-12345'],
             ['mobile', '138001380001234567'], ['mobile', '1380013800a'],
             ['mobile', '010--62345678'], ['mobile', '+'],
             ['mobile', "13800138000'"], ['postcode', '51800!'],
             ['postcode', '5' x 13])
    {
        my ($name, $v) = @$_;
        my $r = $t->put("$path/$id", { $name => $v }, token => $token);
        is("$r->{status} $r->{json}{data}{field}", "400 $name",
           encoded("$name \"$v\" is refused"));
        $r = $t->post($path, address($name => $v), token => $token);
        is($r->{status}, 400, 'in a new one, too');
    }

    foreach my $m ('010-62345678', '010-62345678-801', '95588',
                   '+8613900139000', '+85261234567', '4008208820')
    {
        (my $want = $m) =~ s/^\+86//;
        is($t->put("$path/$id", { mobile => $m }, token => $token)
           ->{json}{data}{mobile}, $want, "number $m");
    }

    foreach my $name (qw(receiver mobile province city detail)) {
        my $a = address();
        delete $a->{$name};
        my $r = $t->post($path, $a, token => $token);
        is("$r->{status} $r->{json}{data}{field}", "400 $name", "no $name");
    }

    is($t->value('SELECT COUNT(*) FROM address'), 1, 'none was stored');
};


subtest 'repeated' => sub {
    my $r = $t->post($path, address(detail => 'k'), token => $other,
                     key => 'once');
    my $id = $r->{json}{data}{id};

    is($r->{code}, 0);
    is($t->post($path, address(detail => 'k'), token => $other,
                key => 'once')->{json}{data}{id}, $id, 'the same again');
    $r = $t->post($path, address(detail => 'l'), token => $other,
                  key => 'once');
    is("$r->{status} $r->{code}", '422 14', 'the key of something else');
    is(list($other)->{total}, 1);
    is($t->post($path, address(detail => 'k'), token => $token,
                key => 'once')->{code}, 0, "another user's key");

    my @r = $t->burst([map { { method => 'POST', path => $path,
        data => address(detail => 'm'), token => $other, key => 'many' } }
        1 .. 20], sync => 1);
    my %ids = map { $_->{json}{data}{id} // "code $_->{code}" => 1 } @r;
    is(scalar keys %ids, 1, 'twenty at once make one');
    is(list($other)->{total}, 2);

    $t->do('DELETE FROM address');
};


subtest 'twenty at most' => sub {
    my @r = $t->burst([map { { method => 'POST', path => $path,
        data => address(detail => "n$_"), token => $token } } 1 .. 40],
        sync => 1);
    my %codes;
    $codes{$_->{code}}++ foreach @r;

    # who loses too many races for a slot has to try again
    is(join(' ', grep { !/^(?:0|3|10030)$/ } keys %codes), '', 'no other code');
    cmp_ok($codes{0}, '<=', 20);
    cmp_ok($codes{3} // 0, '<=', 5, 'hardly one was told to try again');
    is(list($token)->{total}, $codes{0}, 'as many as were told so');
    is(scalar(split / /, defaults($token)), 1, 'one default');

    while (list($token)->{total} < 19) {
        $t->post($path, address(), token => $token);
    }

    $t->del("$path/" . list($token)->{list}[3]{id}, token => $token)
        if list($token)->{total} > 19;

    @r = $t->burst([map { { method => 'POST', path => $path,
        data => address(detail => "n$_", is_default => \1),
        token => $token } } 1 .. 30], sync => 1);
    %codes = ();
    $codes{$_->{code}}++ foreach @r;
    is_deeply(\%codes, { 0 => 1, 10030 => 29 }, 'of 30 at 19 one comes in');
    is(list($token)->{total}, 20);
    is(scalar(split / /, defaults($token)), 1, 'one default');

    foreach (1 .. 4) {
        $t->do('DELETE FROM address WHERE user_id = ?', $bob->{user}{id});
        $t->burst([map { { method => 'POST', path => $path, token => $other,
            data => address() } } 1 .. 60], sync => 1);
    }

    is(list($other)->{total}, 20);
    $t->do('DELETE FROM address WHERE user_id = ?', $bob->{user}{id});

    # rows that are deleted and not purged yet bring deadlocks, many on a busy
    # machine, none on an idle one; workers try again, so nobody is told
    my ($dead) = $t->sql("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'");
    note("$dead->{Value} deadlocks");

    my $r = $t->post($path, address(), token => $token, key => 'full');
    is("$r->{status} $r->{code}", '200 10030', 'full');
    $t->del("$path/" . list($token)->{list}[5]{id}, token => $token);
    $r = $t->post($path, address(), token => $token, key => 'full');
    is($r->{code}, 0, 'a place is free');
    is($t->post($path, address(), token => $token, key => 'full')
       ->{json}{data}{id}, $r->{json}{data}{id}, 'the key still says which');
};


subtest 'one default' => sub {
    my @ids = map { $_->{id} } @{list($token)->{list}};

    foreach my $round (1 .. 5) {
        my @r = $t->burst([map { { method => 'PUT', path => "$path/$ids[$_]",
            data => { is_default => $_ % 3 ? \1 : \0 }, token => $token } }
            0 .. 9], sync => 1);
        is(join(' ', grep { $_ } map { $_->{code} } @r), '', 'ten at once');
        is(scalar(split / /, defaults($token)), 1, 'leave one default');
    }

    my @r = $t->burst([map { { method => 'DELETE', path => "$path/$ids[$_]",
        token => $token } } 0 .. 9], sync => 1);
    is(join(' ', grep { $_ } map { $_->{code} } @r), '', 'ten are removed');
    is(list($token)->{total}, 10);
    is(scalar(split / /, defaults($token)), 1, 'and one default');
};


subtest 'a pasted address' => sub {
    my $text = "\x{6536}\x{8d27}\x{4eba}\x{ff1a}\x{5f20}\x{4e09}\n"
        . "+86 138-0013-8000\n\x{5317}\x{4eac}\x{5e02}\x{6d77}\x{6dc0}"
        . "\x{533a}\x{4e2d}\x{5173}\x{6751}\x{5927}\x{8857}1\x{53f7} 100080";
    my $r = $t->post("$path/parse", { text => $text }, token => $token);
    my $d = $r->{json}{data};

    is($r->{code}, 0);
    is_deeply($d, { receiver => "\x{5f20}\x{4e09}", mobile => '13800138000',
        province => "\x{5317}\x{4eac}\x{5e02}",
        city => "\x{5317}\x{4eac}\x{5e02}",
        district => "\x{6d77}\x{6dc0}\x{533a}",
        detail => "\x{4e2d}\x{5173}\x{6751}\x{5927}\x{8857}1\x{53f7}",
        postcode => '100080', complete => $d->{complete} });
    ok($d->{complete});

    is($t->post("$path/parse", { text => $_ }, token => $token)
       ->{json}{data}{complete} ? 1 : 0, 0, 'not all was found')
        foreach 'x', $hostile[0], "\x{1f600}" x 500, '1' x 500;
    is($t->post("$path/parse", { text => $_ }, token => $token)->{code}, 0,
       'text is text') foreach @hostile;

    is($t->post("$path/parse", $_, token => $token)->{status}, 400,
       'refused') foreach {}, { text => '' }, { text => 'x' x 501 },
                          { text => 5 };
    is($t->post("$path/parse", { text => 'x' })->{status}, 401, 'for nobody');
    is($t->put("$path/parse", { text => 'x' }, token => $token, record => 0)
       ->{status}, 405, 'it is no address');
};


subtest 'MySQL is slow' => sub {
    my $id = list($token)->{list}[0]{id};
    my @calls = (['GET', $sessions], ['GET', $path],
                 ['POST', $path, address()], ['DELETE', "$path/$id"],
                 ['PUT', "$path/$id", { tag => 'slow' }]);

    foreach (@calls) {
        my ($method, $where, $data) = @$_;

        $mysql->delay(200);
        my $s = $t->connect();
        my ($bytes) = $t->bytes_of({ method => $method, path => $where,
            ($data ? (data => $data) : ()), token => $other });
        syswrite $s, $bytes;
        sleep 0.1;
        close $s;
        $mysql->pass();

        ok($t->wait_for(sub {
            my $m = $t->get('/metrics', record => 0)->{body};
            return $m =~ /^rush_mysql_busy 0$/m
                   && $m =~ /^rush_mysql_waiting 0$/m;
        }, 5, 'calm'), "$method $where: the client leaves");
    }

    cmp_ok(list($other)->{total}, '<=', 1, 'once or not at all');

    # a session is ended even if nobody waits for the answer
    my $more = $t->login('ann', $good)->{json}{data};
    my ($sid) = map { $_->{id} } @{$t->get($sessions, token => $token)
        ->{json}{data}{list}};
    $mysql->delay(300);
    my $s = $t->connect();
    syswrite $s, ($t->bytes_of({ method => 'DELETE', token => $token,
                                 path => "$sessions/$sid" }))[0];
    sleep 0.1;
    close $s;
    $mysql->pass();
    all_workers_refuse($more->{access_token}, 'nobody waits');
};


subtest 'MySQL is away' => sub {
    my $id = list($token)->{list}[0]{id};
    my $sid = $t->get($sessions, token => $token)->{json}{data}{list}[0]{id};

    $mysql->refuse();

    foreach (['GET', $sessions], ['DELETE', "$sessions/$sid"],
             ['GET', $path], ['POST', $path, address()],
             ['PUT', "$path/$id", { tag => 'x' }], ['DELETE', "$path/$id"])
    {
        my ($method, $where, $data) = @$_;
        my $r = $t->request($method, $where, token => $token,
                            ($data ? (data => $data) : ()));
        is("$r->{status} $r->{code}", '503 3', "$method $where");
        ok($r->{headers}{'retry-after'}, 'try again');
    }

    is($t->post("$path/parse", { text => 'x' }, token => $token)->{code}, 0,
       'nothing of it is needed here');

    $mysql->pass();
    ok($t->wait_for(sub { $t->get($path, token => $token)->{code} == 0 }, 10,
                    'MySQL'), 'it is back');
};


subtest 'the table of regions' => sub {
    my $out = "$t->{dir}/regions.h";
    my $root = $RushTest::ROOT;

    is(system('perl', "$root/tools/regions.pl",
              "$root/shared/rush_regions.txt", $out), 0);
    ok(RushTest::slurp($out) eq RushTest::slurp("$root/shared/rush_regions.h"),
       'rush_regions.h is what tools/regions.pl makes');
};


$t->finish();
done_testing();
