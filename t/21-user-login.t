#!/usr/bin/perl

# Copyright (C) Rush
#
# Logging in: names, refusals that tell nothing, waits after five failures.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new(
    consumer => 0,
    nginx => { extra_http => 'user_bcrypt_cost 4;' },
    proxy => ['nginx_mysql'],
);

my $path = '/api/v1/user/login';
my $good = 'tiger lily 7';
my $id = {};

foreach (['ann', '13812345678'], ['bob'], ['cid'], ['dan'], ['eve'],
         ['fay'], ['gus'])
{
    my ($name, $mobile) = @$_;
    my $r = $t->register($name, $good,
                         fields => { $mobile ? (mobile => $mobile) : () });
    is($r->{code}, 0, "$name is there");
    $id->{$name} = $r->{json}{data}{user}{id};
}

$t->do("UPDATE user SET email = 'ann\@example.com' WHERE username = 'ann'");


sub login_as {
    my (%fields) = @_;
    return $t->post($path, { password => $good, %fields });
}


sub fails {
    my ($name) = @_;
    return $t->value('SELECT fails FROM user WHERE username = ?', $name);
}


subtest 'by every name' => sub {
    foreach ({ account => 'ann' }, { account => 'ANN' }, { username => 'ann' },
             { account => '13812345678' }, { account => '+8613812345678' },
             { mobile => '13812345678' }, { account => 'ann@example.com' },
             { account => 'Ann@Example.com' }, { email => 'ann@example.com' })
    {
        my $r = login_as(%$_);

        is($r->{code}, 0, join ' ', %$_);
        is($r->{json}{data}{user}{id}, $id->{ann});
    }

    my $r = login_as(account => 'ann');
    my $d = $r->{json}{data};

    is($r->{headers}{'cache-control'}, 'no-store');
    is($d->{user}{mobile}, '138****5678');
    is($d->{user}{email}, 'a***@example.com');
    is($d->{token_type}, 'Bearer');
    is($d->{expires_in}, 7200);
    is($t->get('/api/v1/user/profile', token => $d->{access_token})->{code},
       0);
    is(fails('ann'), 0, 'no failure is left');
};


subtest 'refusals' => sub {
    my ($one) = map { my $r = $_; delete $r->{json}{trace_id}; $r }
        login_as(username => 'bob', password => 'wrong 12345');

    is("$one->{status} $one->{code}", '200 10002');
    is(login_as(username => 'bob')->{code}, 0);

    foreach ({ username => 'nobody' }, { account => 'nobody' },
             { account => '13900000000' }, { mobile => '123' },
             { mobile => 'bob' }, { username => '13812345678' },
             { email => 'bob' }, { account => 'no@example.com' },
             { account => 'a@b@c' }, { account => "\x{e9}ric\@x.y" },
             { account => "\x{5b89}" }, { username => "' OR '1'='1" },
             { account => '" OR ""="@' }, { account => '%' },
             { email => '%@%' }, { email => '_nn@example.com' })
    {
        my $r = login_as(%$_);
        delete $r->{json}{trace_id};

        is_deeply($r->{json}, $one->{json}, 'one answer for all');
    }

    foreach ([{}, 'account'], [{ account => 'ann', username => 'ann' },
             'account'], [{ account => 7 }, 'account'],
             [{ account => '' }, 'account'],
             [{ account => 'a' x 129 }, 'account'],
             [{ account => 'ann', password => undef }, 'password'],
             [{ account => 'ann', password => '' }, 'password'],
             [{ account => 'ann', password => 7 }, 'password'],
             [{ account => 'ann', password => ['x'] }, 'password'],
             [{ account => 'ann', password => 'x' x 73 }, 'password'])
    {
        my ($fields, $field) = @$_;
        my $r = login_as(%$fields);

        is("$r->{status} $r->{code}", '400 2');
        is($r->{json}{data}{field}, $field);
    }
};


subtest 'closed accounts' => sub {
    $t->do('UPDATE user SET status = 1 WHERE id = ?', $id->{cid});
    is(login_as(account => 'cid')->{code}, 10006);
    is(login_as(account => 'cid', password => 'wrong 12345')->{code}, 10002,
       'only who knows the password learns it');

    $t->do('UPDATE user SET status = 2 WHERE id = ?', $id->{cid});
    is(login_as(account => 'cid')->{code}, 10002, 'deleted: nobody');
};


# the last failure seems to be so long ago

sub pass_seconds {
    my ($name, $seconds) = @_;
    $t->do('UPDATE user SET fail_ms = fail_ms - ? WHERE username = ?',
           $seconds * 1000, $name);
}


subtest 'five failures, then waits that double' => sub {
    foreach (1 .. 5) {
        is(login_as(account => 'dan', password => "wrong 1234$_")->{code},
           10002, "failure $_");
    }

    my $wait = 1;

    foreach my $n (6 .. 17) {
        my $r = login_as(account => 'dan');
        my $told = $r->{json}{data}{retry_after_s};

        # the first wait may be over before it is looked at
        if ($wait > 4) {
            is("$r->{status} $r->{code}", '200 10003',
               "not before $wait s, also when it is right");
            ok($told > $wait - 4 && $told <= $wait, "it tells $told s");
            is($r->{json}{data}{step_up}, 'code', 'and the other way');
        }

        is(fails('dan'), $n - 1, 'who comes too early is not counted')
            if $wait > 4;

        pass_seconds('dan', $wait);
        is(login_as(account => 'dan', password => "wrong 12345$n")->{code},
           10002, "failure $n");
        $wait = $wait < 512 ? $wait * 2 : 900;
    }

    is(login_as(mobile => '13812345678')->{code}, 0, 'nobody else waits');

    pass_seconds('dan', 899 - 30);
    is(login_as(account => 'dan')->{code}, 10003, 'a quarter of an hour');
    pass_seconds('dan', 31);
    is(login_as(account => 'dan')->{code}, 0, 'is the longest wait');
    is(fails('dan'), 0, 'success clears');

    foreach (1 .. 4) {
        login_as(account => 'dan', password => "wrong 1234$_");
    }

    is(login_as(account => 'dan')->{code}, 0, 'four failures do not matter');

    foreach (1 .. 4) {
        is(login_as(account => 'dan', password => "wrong 1234$_")->{code},
           10002, 'counted from the start');
    }

    pass_seconds('dan', 86400);
    is(login_as(account => 'dan', password => 'wrong 12345')->{code}, 10002);
    is(fails('dan'), 1, 'after a day they are forgotten');
};


subtest 'parallel guesses' => sub {
    my @r = $t->burst([map { { method => 'POST', path => $path,
        data => { account => 'eve', password => "wrong 1234$_" } } } 1 .. 30],
        sync => 1);

    is(scalar(grep { $_->{code} == 10002 } @r), 5, 'five are looked at');
    is(scalar(grep { $_->{code} == 10003 } @r), 25, 'all others are not');
};


subtest 'time tells nothing' => sub {
    my $slow = $t->node(workers => 1, extra_http => 'user_bcrypt_cost 9;');
    my %time;

    # hashes of this cost for both
    $t->post('/api/v1/user/register', { username => 'slow', password => $good },
             node => $slow);

    foreach (1 .. 5) {
        foreach my $name ('slow', 'nobody') {
            my $start = time();
            $t->post($path, { username => $name, password => 'wrong 12345' },
                     node => $slow);
            my $time = time() - $start;
            $time{$name} = $time if !$time{$name} || $time < $time{$name};
        }
    }

    my $ratio = $time{nobody} / $time{slow};
    ok($ratio > 0.5 && $ratio < 2, "ratio $ratio");
    $t->stop($slow);
};


sub stored {
    my ($name) = @_;
    return $t->value('SELECT password_hash FROM user WHERE username = ?',
                     $name);
}


subtest 'the cost was raised' => sub {
    my $dear = $t->node(workers => 1, extra_http => 'user_bcrypt_cost 6;');
    my $old = stored('bob');
    my $in = sub {
        return $t->post($path, { account => 'bob', password => shift },
                        node => $dear)->{code};
    };

    is($in->('wrong 12345'), 10002);
    is(stored('bob'), $old, 'a wrong password changes nothing');

    is($in->($good), 0);
    my $new = stored('bob');
    like($new, qr/^\$2b\$06\$.{53}$/, 'hashed anew');
    is(fails('bob'), 0);

    is($in->($good), 0);
    is(stored('bob'), $new, 'once');
    is(login_as(account => 'bob')->{code}, 0, 'a lower cost');
    is(stored('bob'), $new, 'does not bring it down');
    is($in->('wrong 12345'), 10002);
    $t->stop($dear);
};


subtest 'a full thread queue' => sub {
    my $slow = $t->node(workers => 1, extra_http => 'user_bcrypt_cost 8;');
    my @r = $t->burst([
        (map { { method => 'POST', path => '/api/v1/user/register',
            data => { username => "queue$_", password => $good } } } 1 .. 110),
        (map { { method => 'POST', path => $path,
            data => { account => 'fay', password => $good } } } 1 .. 5)],
        sync => 1, node => $slow, timeout => 60);

    my @login = @r[110 .. 114];

    is(scalar(grep { ($_->{code} // -1) =~ /^[03]$/ } @login), 5,
       'in, or BUSY: ' . join ' ', map { $_->{status} } @login);
    ok($t->wait_for(sub { fails('fay') == 0 }, 3, 'no failure'),
       'BUSY does not count as a failure');
    is(login_as(account => 'fay')->{code}, 0);
    $t->stop($slow);
};


subtest 'the client leaves' => sub {
    my $before = $t->value('SELECT COUNT(*) FROM user_session
                            WHERE user_id = ?', $id->{gus});
    my ($bytes) = $t->bytes_of({ method => 'POST', path => $path,
        data => { account => 'gus', password => $good } });

    $t->proxy('nginx_mysql')->delay(60);

    foreach my $ms (0, 30, 90, 150, 210, 270, 330) {
        my $s = $t->connect();
        $s->syswrite($bytes);
        select undef, undef, undef, $ms / 1000;
        close $s;
        # the login goes on to its end, and takes its try back
        $t->wait_for(sub { $t->value('SELECT COUNT(*) FROM user_session
            WHERE user_id = ?', $id->{gus}) > $before }, 5, 'a session');
        $before++;
    }

    $t->proxy('nginx_mysql')->pass();
    is(fails('gus'), 0, 'who gives up seven times is not locked out');
    is(login_as(account => 'gus')->{code}, 0);
};


subtest 'MySQL is down' => sub {
    $t->stop('mysql');

    my $r = login_as(account => 'ann');
    is("$r->{status} $r->{code}", '503 3');
    ok($r->{headers}{'retry-after'});

    $t->start('mysql');
    ok($t->wait_for(sub { login_as(account => 'ann')->{code} == 0 }, 10,
                    'login'), 'works again');
};


subtest 'limits by address' => sub {
    my $node = $t->node(workers => 1,
                        limits => { login => 'rate=10r/s burst=20' },
                        extra_http => 'user_bcrypt_cost 4;');
    my @r = $t->burst([map { { method => 'POST', path => $path,
        data => { account => "nobody$_", password => $good } } } 1 .. 60],
        sync => 1, node => $node);

    my @limited = grep { $_->{status} == 429 } @r;

    ok(@limited >= 30 && @limited <= 40, scalar(@limited) . ' are refused');
    is($limited[0]{code}, 10);
    ok($limited[0]{headers}{'retry-after'});
    like($limited[0]{headers}{ratelimit}, qr/^"login";r=0/);
    $t->stop($node);
};


unlike($t->log_text('nginx'), qr/\Q$good\E|wrong 1234|13812345678/,
       'no secret and no number in the log');

$t->finish();
done_testing();
