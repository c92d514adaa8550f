#!/usr/bin/perl

# Copyright (C) Rush
#
# Idempotency-Key when something breaks: a backend away or slow, an answer
# lost, a client gone, a worker killed.  What a key makes is made once.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Sale;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my %nginx = (mysql_args => 'timeout=20s connect_timeout=20s',
             extra_http => 'user_bcrypt_cost 4;');
my $t = RushTest->new(proxy => [qw(nginx_redis nginx_mysql)],
                      nginx => { workers => 1, %nginx });
my $far = $t->node(%nginx, straight => 1, workers => 1);
my $lock = 'rush_idempotency lock=2s;';
my $short = $t->node(%nginx, workers => 1,
                     extra_http => "$nginx{extra_http} $lock");
my $takes = $t->node(%nginx, straight => 1, workers => 1,
                     extra_http => "$nginx{extra_http} $lock");
my $redis = $t->proxy('nginx_redis');
my $mysql = $t->proxy('nginx_mysql');
my $products = '/api/v1/admin/products';
my $serial = 0;


sub counter { return RushTest::Sale::counter($t, @_) }
sub title { return 'thing ' . ++$serial }
sub replayed { return $_[0]{headers}{'idempotency-replayed'} // 'no' }


sub rows {
    my ($title) = @_;
    return $t->value('SELECT COUNT(*) FROM product WHERE title = ?', $title);
}


sub begun {
    my ($title) = @_;

    ok($t->wait_for(sub {
        grep { $t->value("SELECT COUNT(*) FROM $_ WHERE fields LIKE ?",
                         "%\"$title\"%") } qw(audit_inbox audit_log)
    }, 5, 'the intent'), 'it has begun');
}


sub request {
    my ($title, $key) = @_;
    return (method => 'POST', path => $products, admin => 1, key => $key,
            data => { title => $title, price => 5 });
}


sub make {
    my ($title, $key, %o) = @_;
    my %q = (request($title, $key), %o);
    return $t->request('POST', $products, %q);
}


# sends it and does not wait

sub send_it {
    my (%q) = @_;
    my $s = $t->connect($q{node});
    syswrite $s, ($t->bytes_of(\%q))[0];
    return $s;
}


sub answer {
    my ($s) = @_;
    my $in = '';
    my $end = time() + 30;
    my $r;

    until ($r || time() > $end) {
        IO::Select->new($s)->can_read(1) or next;
        sysread $s, $in, 65536, length $in or last;
        $r = RushTest::HTTP::parse(\$in, { method => 'POST' }, 0);
    }

    return $r // { status => 599, headers => {} };
}


sub record_of {
    my ($key) = @_;
    my ($name) = grep { /:\Q$key\E$/ } $t->redis()->keys('{rush}i:*');
    return defined $name ? $t->redis()->get($name) // '' : '';
}


# all nodes as if nothing had been

sub healed {
    $_->pass() foreach $redis, $mysql;
    $t->wait_ready($_) foreach 'nginx', $short;
    ok($t->wait_for(sub {
        $t->get("$products/1", admin => 1, record => 0)->{status} != 503
    }, 10, 'health'), 'healed');
}


subtest 'redis is away' => sub {
    my $title = title();

    $redis->refuse();
    my $r = make($title, 'away');
    is("$r->{status} $r->{code}", '503 3', 'BUSY');
    is(rows($title), 0, 'nothing ran');
    healed();
    ok($t->wait_for(sub { make($title, 'away')->{code} == 0 }, 10, 'a run'),
       'the key is good');
    is(rows($title), 1, 'one row');
};


# the question or its answer is lost: it leaves nothing behind

subtest 'redis is silent' => sub {
    foreach my $how (qw(black_hole silence)) {
        my $title = title();

        make(title(), "warm-$how", node => $short);
        $redis->$how();
        my $start = time();
        my $r = make($title, $how, node => $short);
        is("$r->{status} $r->{code}", '503 3', "$how: BUSY");
        cmp_ok(time() - $start, '<', 5 * $RushTest::SLOW, 'after a while');
        is(rows($title), 0, 'nothing ran');
        healed();

        # whoever asked in vain has freed it, or that was lost, too
        $start = time();
        ok($t->wait_for(sub {
            make($title, $how, node => $short)->{code} == 0
        }, 70, 'a run'), 'the key is good');
        note(sprintf 'after %.1f s', time() - $start);
        is(rows($title), 1, 'one row');
    }
};


subtest 'only the answer is late' => sub {
    my $title = title();

    make(title(), 'warm');
    local $RushTest::Mode::still = 1;
    $redis->delay(1300);
    my $r = make($title, 'late');
    is("$r->{status} $r->{code}", '503 3', 'BUSY');
    healed();
    is(rows($title), 0, 'nothing ran');
    ok($t->wait_for(sub { record_of('late') eq '' }, 5, 'no record'),
       'the key is free at once');
    is(make($title, 'late')->{code}, 0, 'and good');
};


subtest 'no scripts' => sub {
    my $title = title();

    $t->pause('consumer');
    $t->redis()->script_flush();
    my $r = make($title, 'flushed');
    is("$r->{status} $r->{code}", '503 3', 'BUSY');
    is(rows($title), 0, 'nothing ran');
    $t->resume('consumer');
    ok($t->wait_for(sub { make($title, 'flushed')->{code} == 0 }, 10, 'open'),
       'when they are there');
    healed();
};


subtest 'mysql is away' => sub {
    my $title = title();

    $mysql->refuse();
    is(make($title, 'sql')->{code}, 3, 'BUSY');
    healed();
    my $r;
    ok($t->wait_for(sub { ($r = make($title, 'sql'))->{status} != 503 }, 10,
                    'a run'), 'later');
    is($r->{code}, 0, 'the same key runs again');
    is(rows($title), 1, 'one row');
};


# a statement was executed and its answer lost: the next try finds the row

subtest 'who has made it' => sub {
    my $product = $t->product(title => 'Lamp');
    my $left = $t->value('SELECT stock FROM product WHERE id = ?', $product);
    my $sale = $t->activity(stock => 10);
    my $now = int(time() * 1000);
    my $again = counter('idem_again_total');

    my %make = (
        product => [$products, { title => 'lost product', price => 5 },
            q(SELECT COUNT(*) FROM product WHERE title = 'lost product')],
        activity => ['/api/v1/admin/seckill/activities',
            { product_id => "$product", title => 'lost sale', price => 1,
              start_at => $now, end_at => $now + 3_600_000, total => 3 },
            q(SELECT COUNT(*) FROM seckill_activity
               WHERE title = 'lost sale')],
        quick => ['/api/v1/seckill/init',
            { product_id => "$product", stock => 12345 },
            q(SELECT COUNT(*) FROM seckill_activity WHERE total = 12345)],
        units => ["/api/v1/admin/seckill/activities/$sale/stock",
            { delta => 2, reason => 'lost units' },
            q(SELECT COUNT(*) FROM seckill_stock_op
               WHERE reason = 'lost units')],
        stock => ["$products/$product/stock",
            { delta => 3, reason => 'lost stock' },
            qq(SELECT COUNT(*) FROM product_stock_log l
                 JOIN product p ON p.id = l.product_id
                WHERE l.reason = 'lost stock' AND p.stock = $left + 3)],
        user => ['/api/v1/admin/users', { username => 'lostuser',
            password => 'lost heron 7 reeds' },
            q(SELECT COUNT(*) FROM user WHERE username = 'lostuser')],
        role => ['/api/v1/admin/roles', { name => 'lost role',
            permissions => [] },
            q(SELECT COUNT(*) FROM role WHERE name = 'lost role')],
    );

    foreach my $what (sort keys %make) {
        my ($path, $data, $count) = @{$make{$what}};

        # as a bound parameter: the record has it as JSON before
        my $text = $data->{title} // $data->{reason} // $data->{username}
            // $data->{name};
        my $match = $text ? chr(length $text) . $text : pack 'q<', 12345;

        $mysql->cut('reply', match => $match, times => 2);
        my $r;
        foreach (1 .. 2) {
            $r = $t->post($path, $data, admin => 1, key => "lost-$what");
            is($r->{code}, 3, "$what: BUSY");
        }
        healed();

        is($t->value($count), 1, 'it was made');
        ok($t->wait_for(sub {
            $r = $t->post($path, $data, admin => 1, key => "lost-$what");
            $r->{status} != 503;
        }, 10, 'a run'), 'again');
        is($r->{code}, 0, 'told what was made');
        is(replayed($r), 'no', 'by another run');
        is($t->value($count), 1, 'not twice');
        is(replayed($t->post($path, $data, admin => 1,
                             key => "lost-$what")), 'true', 'kept now');
    }

    cmp_ok(counter('idem_again_total') - $again, '>=', 6, 'counted');

    # the same name without the key is somebody else's
    is($t->post('/api/v1/admin/users', $make{user}[1], admin => 1,
                key => 'other')->{code}, 10001, 'a name that is taken');
    is($t->post('/api/v1/admin/roles', $make{role}[1], admin => 1,
                key => 'other')->{code}, 10043, 'so is this one');
};


# units are adjusted once, even when Redis has lost the record of the key

subtest 'stock without a record' => sub {
    my $id = $t->product(stock => 10);
    my $stock = sub {
        my ($key, %data) = @_;
        my @names = grep { /:\Q$key\E$/ } $t->redis()->keys('{rush}i:*');

        $t->redis()->del(@names) if @names;
        my $r = $t->post("$products/$id/stock", { reason => 'x', %data },
                         admin => 1, key => $key);
        return "$r->{code} " . ($r->{json}{data}{stock} // '-');
    };

    is($stock->('more', delta => 5), '0 15', 'more');
    is($stock->('more', delta => 5), '0 15', 'once');
    is($stock->('one', delta => 1), '0 16', 'one more');
    is($stock->('more', delta => 5), '0 16', 'it is no more the last one');
    is($stock->('all', delta => -16), '0 0', 'all of them');
    is($stock->('one', stock => 9), '14 -', 'set: something else');
    is($stock->('set', stock => 7), '0 7', 'set');
    is($stock->('four', delta => -4), '0 3', 'four less');
    is($stock->('set', stock => 7), '0 3', 'it was set before');
    is($stock->('all', delta => -16), '0 3', 'once, though it would not fit');
    is($stock->('less', delta => -4), '20002 -', 'more than there are');
    is($stock->('more', delta => 6), '14 -', 'other units');
    is($stock->('more', delta => 5, reason => 'y'), '14 -', 'why');
    is($stock->('less', delta => -3), '0 0', 'what was refused is free');

    is($t->value('SELECT GROUP_CONCAT(delta ORDER BY id) FROM '
                 . 'product_stock_log WHERE product_id = ?', $id),
       '5,1,-16,7,-4,-3', 'the log');

    # of somebody else, and of another product
    my $other = $t->product(stock => 1);
    my $r = $t->post("$products/$other/stock", { delta => 5, reason => 'x' },
                     admin => 1, key => 'one');
    is($r->{code}, 14, 'another product');
};


subtest 'the answer cannot be kept' => sub {
    local $RushTest::Mode::still = 1;
    my $title = title();
    my $lost = counter('idem_lost_total', $short);

    make(title(), 'warm', node => $short);
    $mysql->delay(150);     # of some seven answers, in less than the lock
    my $s = send_it(request($title, 'unkept'), node => $short);

    # a record alone says nothing about the answer of Redis
    begun($title);
    $redis->silence();
    my $r = answer($s);
    is("$r->{status} $r->{code}", '200 0', 'made, and told');

    # it is told again for as long as the lock lasts
    ok($t->wait_for(sub { counter('idem_lost_total', $short) > $lost }, 5,
                    'the count'), 'counted');
    healed();

    # it may have been kept: only the answer of Redis was lost
    ok($t->wait_for(sub {
        my $again = make($title, 'unkept', node => $short);
        $again->{code} == 0
            && $again->{json}{data}{id} eq $r->{json}{data}{id};
    }, 10, 'the same'), 'the same one');
    is(rows($title), 1, 'one row');
};


subtest 'clients that leave' => sub {
    my @waits = (
        [redis => 0.5, 'the question'], [mysql => 0.5, 'the intent'],
        [mysql => 1.5, 'the insert'], [mysql => 2.5, 'reading it back'],
        [mysql => 3.5, 'the outcome'], [redis => 1.5, 'keeping it']);
    my $unit = $RushTest::SANITIZE ? 0.3 : 0.15;

    make(title(), "warm$_") foreach 1 .. 3;

    foreach my $wait (@waits) {
        foreach my $reset (0, 1) {
            my ($which, $after, $what) = @$wait;
            my $title = title();
            my $key = $title =~ tr/ /-/r;
            my $proxy = $which eq 'redis' ? $redis : $mysql;
            my $gone = counter('aborted_total');

            $proxy->delay(1000 * $unit);
            my $s = send_it(request($title, $key));
            sleep $unit * $after;
            setsockopt $s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $reset;
            close $s;

            ok($t->wait_for(sub { record_of($key) =~ /^D/ }, 10, 'the end'),
               "$what: finished all the same");
            $proxy->pass();
            is(rows($title), 1, 'one row');
            is(counter('aborted_total') - $gone, 0, 'nobody is missed');
            my $r = make($title, $key);
            is("$r->{code} " . replayed($r), '0 true', 'asked again: told');
        }
    }
};


# left in the look at ended tokens, nothing has begun; later it is finished

subtest 'a client that leaves after a first wait' => sub {
    local $RushTest::Mode::still = 1;

    foreach my $key (undef, 'sure') {
        $redis->delay(700);
        sleep 1.5;

        my ($s, $title);
        my $asked = counter('revoke_asked_total');
        $mysql->delay(600);
        ok($t->wait_for(sub {
            close $s if $s;
            $title = title();
            $s = send_it(request($title, $key ? "$key-$serial" : undef));
            sleep 0.02;
            return counter('revoke_asked_total') > $asked;
        }, 15, 'a look'), 'unsure');
        begun($title);
        close $s;
        ok($t->wait_for(sub { rows($title) }, 5, 'the row'), 'finished');
        healed();
    }
};


subtest 'a worker is killed' => sub {
    RushTest::Mode::needs_master();
    my $title = title();

    make(title(), 'warm', node => $short);
    local $RushTest::Mode::still = 1;
    $mysql->delay(150);
    my $s = send_it(request($title, 'killed'), node => $short);
    ok($t->wait_for(sub { rows($title) }, 10, 'the row'), 'made');

    # any of them may have it
    my %old = map { $_ => 1 } $t->workers($short);
    $t->allow(qr/worker process \d+ exited on signal/);
    kill KILL => keys %old;
    $t->wait_for(sub {
        my @now = $t->workers($short);
        return @now && !grep { $old{$_} } @now;
    }, 5, 'new workers');

    my $start = time();
    $mysql->pass();
    close $s;

    my $r = make($title, 'killed', node => $takes);
    is("$r->{status} $r->{code}", '409 15', 'it may be running');
    is($r->{headers}{'retry-after'}, 1, 'try later');
    is(make("$title.", 'killed', node => $takes)->{code}, 14,
       'something else');

    ok($t->wait_for(sub {
        $r = make($title, 'killed', node => $takes);
        $r->{status} != 409;
    }, 10, 'a run'), 'not for ever');
    cmp_ok(time() - $start, '<', 4 * $RushTest::SLOW, 'two seconds');
    is("$r->{code} " . replayed($r), '0 no', 'it runs once more');
    is(rows($title), 1, 'and finds what is there');
    healed();
};


# whoever was overtaken changes nothing any more, whatever it does

subtest 'a slow run' => sub {
    my $title = title();
    my $lost = counter('idem_lost_total', $short);

    make(title(), 'warm', node => $short);
    $mysql->delay(1000);
    my $s = send_it(request($title, 'slow'), node => $short);
    ok($t->wait_for(sub { record_of('slow') =~ /^R/ }, 5, 'a record'),
       'it runs');

    my $r;
    ok($t->wait_for(sub {
        $r = make($title, 'slow', node => $takes);
        $r->{status} != 409;
    }, 10, 'the other'), 'overtaken');
    is("$r->{code} " . replayed($r), '0 no', 'by another run');
    my $kept = record_of('slow');

    my $first = answer($s);
    is("$first->{status} $first->{code}", '503 3', 'the slow one: BUSY');
    is(record_of('slow'), $kept, 'the record is that of the other');
    is(counter('idem_lost_total', $short) - $lost, 1, 'counted');
    is(rows($title), 1, 'one row');

    my $again = make($title, 'slow');
    is(replayed($again), 'true', 'a copy');
    is($again->{json}{data}{id}, $r->{json}{data}{id}, 'of the other');
    healed();
};


$t->finish();
done_testing();
