#!/usr/bin/perl

# Copyright (C) Rush
#
# What codes and tickets open: accounts, sessions, new passwords, numbers.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    courier => 1,
    nginx => { extra_http => 'user_bcrypt_cost 4; user_code_limit interval=0'
                   . ' hour=0 day=0 address=0;', verify => 'on' },
    proxy => ['nginx_mysql', 'nginx_redis'],
);

my $register = '/api/v1/user/register';
my $login = '/api/v1/user/login';
my $reset = '/api/v1/user/password/reset';
my $bind = '/api/v1/user/bind';
my $good = 'tiger lily 7';
my $serial = 10;


sub number {
    return sprintf '139000%05d', $serial++;
}


sub code {
    my ($scene, $target) = @_;
    my $r = $t->send_code($scene, $target);
    die "send-code: $r->{body}\n" if $r->{code} != 0;
    return $t->code($target);
}


sub ticket {
    my ($scene, $target) = @_;
    my $r = $t->post('/api/v1/user/verify-code', {
        scene => $scene, code => code($scene, $target),
        RushTest::Data::target($target) });
    die "verify-code: $r->{body}\n" if $r->{code} != 0;
    return $r->{json}{data}{ticket};
}


sub users {
    my ($number) = @_;
    return $t->value('SELECT COUNT(*) FROM user WHERE mobile = ?', $number);
}


# an account that its number opened: id and access token

sub opened {
    my ($number, %fields) = @_;
    my $r = $t->post($register, { mobile => $number,
                                  code => code('register', $number),
                                  %fields });
    die "register: $r->{body}\n" if $r->{code} != 0;
    return ($r->{json}{data}{user}{id}, $r->{json}{data}{access_token});
}


sub is_ok {
    my ($r, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is("$r->{status} $r->{code}", '200 0', $name) or diag($r->{body});
    return $r->{json}{data};
}


subtest 'an account by code' => sub {
    my $number = number();
    my $d = is_ok($t->post($register, { mobile => "+86$number",
        code => code('register', $number) }), 'without a password');

    like($d->{user}{mobile}, qr/^139\*{4}\d{4}$/);
    like($d->{user}{nickname}, qr/^user\d{6}$/);
    is($t->get('/api/v1/user/profile', token => $d->{access_token})->{code},
       0, 'logged in');
    is($t->value('SELECT password_hash FROM user WHERE id = ?',
                 $d->{user}{id}), '', 'no password');

    is($t->post($login, { mobile => $number, password => $good })->{code},
       10002, 'so none is right');
    is($t->post('/api/v1/user/password', { old_password => $good,
        new_password => 'else 12345' }, token => $d->{access_token})->{code},
       10004, 'nor is there an old one');

    $d = is_ok($t->post($register, { email => 'Bob@Example.com',
        username => 'bob', password => $good, nickname => 'B',
        code => code('register', 'bob@example.com') }), 'by email, with all');
    is($d->{user}{email}, 'b***@example.com');
    is($t->value("SELECT email FROM user WHERE username = 'bob'"),
       'bob@example.com');
    is_ok($t->login('bob', $good), 'the password is good');
    is_ok($t->post($login, { email => 'BOB@example.com',
                             password => $good }), 'by email too');

    $number = number();
    my $ticket = ticket('register', $number);
    $d = is_ok($t->post($register, { ticket => $ticket, username => 'carl' }),
               'by ticket, which tells the number');
    is($t->value("SELECT mobile FROM user WHERE username = 'carl'"), $number);
    is($t->post($register, { ticket => $ticket, username => 'carl2' })
       ->{code}, 10022, 'once');
};


subtest 'what is not proved is not taken' => sub {
    my $number = number();
    my $code = code('register', $number);
    my $ticket = ticket('register', my $ticketed = number());
    my @bad = (
        [{ mobile => $number, password => $good }, 'code'],
        [{ email => 'a@b.cd', password => $good }, 'code'],
        [{ username => 'dora', mobile => $number, password => $good },
         'code'],
        [{ mobile => $number, email => 'a@b.cd', code => $code }, 'mobile'],
        [{ username => 'dora', code => $code }, 'mobile'],
        [{ username => 'dora' }, 'password'],
        [{ code => $code, ticket => $ticket }, 'code'],
        [{ mobile => $number, code => '12345' }, 'code'],
        [{}, 'username'],
    );

    foreach (@bad) {
        my ($fields, $field) = @$_;
        my $r = $t->post($register, $fields);
        is("$r->{status} $r->{code} " . ($r->{json}{data}{field} // ''),
           "400 2 $field", join ' ', sort keys %$fields);
    }

    my $wrong = sprintf '%06d', ("$code" + 1) % 1000000;
    is($t->post($register, { mobile => $number, code => $wrong })->{code},
       10021, 'a wrong code');
    is($t->post($register, { mobile => number(), code => "$code" })->{code},
       10021, 'another number');

    foreach ({ mobile => number() }, { email => 'a@b.cd' },
             { mobile => $ticketed, email => 'a@b.cd' })
    {
        is($t->post($register, { ticket => $ticket, %$_ })->{code}, 10022,
           'a ticket of another one');
    }

    is($t->post($register, { ticket => $_ })->{code}, 10022, 'no ticket')
        foreach 'x', 'A' x 43, $ticket . 'A', ('x' x 64);
    is($t->post($register, { ticket => ticket('reset', $ticketed) })->{code},
       10022, 'of another scene');

    # all of that has left the good ones alone
    is_ok($t->post($register, { ticket => $ticket, mobile => $ticketed }),
          'the ticket');
    is_ok($t->post($register, { mobile => $number, code => "$code" }),
          'the code');
};


subtest 'a use that fails gives the code back' => sub {
    my $number = number();
    my $code = code('register', $number);
    my $again = sub {
        my ($expected, %fields) = @_;
        # it is given back when the answer has gone
        ok($t->wait_for(sub {
            my $r = $t->post($register, { mobile => $number, code => $code,
                                          %fields });
            return $r->{code} == $expected || ($r->{code} != 10021 && undef);
        }, 5, "code $expected"), "answers $expected");
    };

    $again->(10005, password => 'short');
    $again->(10005, password => 'password1');
    $again->(10005, password => $number);
    $again->(10001, username => 'bob');
    $again->(0);

    my $ticket = ticket('register', $number = number());
    is($t->post($register, { ticket => $ticket, username => 'bob' })->{code},
       10001);
    ok($t->wait_for(sub { $t->post($register, { ticket => $ticket })->{code}
                          == 0 }, 5, 'the ticket'), 'tickets too');
};


subtest '30 at once open one account' => sub {
    my $number = number();
    my $code = code('register', $number);
    my @r = $t->burst([map { { method => 'POST', path => $register,
        data => { mobile => $number, code => $code } } } 1 .. 30], sync => 1);

    is(scalar(grep { $_->{code} == 0 } @r), 1, 'one account, by one code');
    is(scalar(grep { $_->{code} =~ /^(?:10021|10001)$/ } @r), 29);
    is(users($number), 1);

    my $ticket = ticket('register', $number = number());
    @r = $t->burst([map { { method => 'POST', path => $register,
        data => { ticket => $ticket, username => "many$_" } } } 1 .. 30],
        sync => 1);

    is(scalar(grep { $_->{code} == 0 } @r), 1, 'by one ticket');
    is(users($number), 1);
    is($t->value("SELECT COUNT(*) FROM user WHERE username LIKE 'many%'"), 1);

    # a code each
    $number = number();
    my @tickets = map { ticket('register', $number) } 1 .. 10;
    @r = $t->burst([map { { method => 'POST', path => $register,
        data => { ticket => $_, password => $good } } }
        (@tickets) x 3], sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'by ten tickets');
    is(users($number), 1);
};


subtest 'logging in' => sub {
    my $number = number();
    my ($id) = opened($number);

    foreach ({ mobile => $number }, { mobile => "+86$number" },
             { account => $number })
    {
        my $d = is_ok($t->post($login, { %$_, code => code('login', $number) }),
                      join ' ', %$_);
        is($d->{user}{id}, $id);
    }

    is_ok($t->post($login, { account => 'bob@example.com',
        code => code('login', 'bob@example.com') }), 'by email');
    is_ok($t->post($login, { ticket => ticket('login', $number) }),
          'by ticket');

    my $code = code('login', $number);
    is($t->post($login, { mobile => $number, code => $code })->{code}, 0);
    is($t->post($login, { mobile => $number, code => $code })->{code}, 10021,
       'a code is good for one');

    my $ticket = ticket('login', $number);
    is($t->post($login, { ticket => $ticket })->{code}, 0);
    is($t->post($login, { ticket => $ticket })->{code}, 10022, 'a ticket too');

    $code = code('login', $number);
    is($t->post($login, { mobile => $number, code => $code },
                key => 'k1')->{code}, 0) foreach 1, 2;
    is($t->post($login, { mobile => $number, code => $code },
                key => 'k2')->{code}, 10021, 'but for its Idempotency-Key');

    $code = code('register', $number);
    is($t->post($login, { mobile => $number, code => $code })->{code}, 10021,
       'a code of another scene');

    foreach ([{ mobile => $number }, 'password'],
             [{ mobile => $number, code => '123456', password => $good },
              'password'],
             [{ username => 'bob', code => '123456' }, 'mobile'],
             [{ account => 'bob', code => '123456' }, 'mobile'],
             [{ account => 'b@b', code => '123456' }, 'email'],
             [{ code => '123456' }, 'account'],
             [{ mobile => $number, ticket => 'x' x 43 }, 'account'],
             [{ mobile => $number, code => 'abcdef' }, 'code'])
    {
        my ($fields, $field) = @$_;
        my $r = $t->post($login, $fields);
        is("$r->{status} $r->{code} " . ($r->{json}{data}{field} // ''),
           "400 2 $field", join ' ', sort keys %$fields);
    }

    my $nobody = number();
    is($t->post($login, { mobile => $nobody, code => code('login', $nobody) })
       ->{code}, 10002, 'who has no account');

    $t->do('UPDATE user SET status = 1 WHERE id = ?', $id);
    is($t->post($login, { mobile => $number, code => code('login', $number) })
       ->{code}, 10006, 'a closed one');
    $t->do('UPDATE user SET status = 2 WHERE id = ?', $id);
    is($t->post($login, { mobile => $number, code => code('login', $number) })
       ->{code}, 10002, 'a deleted one');
};


subtest '30 at once log in by one code' => sub {
    my $number = number();
    my ($id) = opened($number);
    my $code = code('login', $number);
    my @r = $t->burst([map { { method => 'POST', path => $login,
        data => { mobile => $number, code => $code } } } 1 .. 30], sync => 1);

    is(scalar(grep { $_->{code} == 0 } @r), 1);
    is($t->value('SELECT COUNT(*) FROM user_session WHERE user_id = ?', $id),
       2, 'one session more');
};


subtest 'nobody is locked out' => sub {
    my $number = number();
    my ($id) = opened($number, password => $good);

    foreach (1 .. 5) {
        is($t->post($login, { mobile => $number, password => "wrong 1234$_" })
           ->{code}, 10002);
    }

    $t->do('UPDATE user SET fails = 40, fail_ms = ? WHERE id = ?',
           RushTest::Data::now_ms(), $id);

    my $r = $t->post($login, { mobile => $number, password => $good });
    is($r->{code}, 10003, 'a password has to wait');
    is($r->{json}{data}{step_up}, 'code');
    ok($r->{json}{data}{retry_after_s} <= 900, 'a quarter of an hour at most');

    is_ok($t->post($login, { mobile => $number,
        code => code('login', $number) }), 'a code has not');
    is($t->value('SELECT fails FROM user WHERE id = ?', $id), 0);
    is_ok($t->post($login, { mobile => $number, password => $good }),
          'and lifts it');
};


subtest 'a new password' => sub {
    my $number = number();
    my ($id, $token) = opened($number, password => $good, username => 'eva');
    my ($other, $else) = ('quiet river 9', 'loud river 10');
    my $version = $t->value('SELECT token_version FROM user WHERE id = ?',
                            $id);

    $t->do('UPDATE user SET fails = 9, fail_ms = ? WHERE id = ?',
           RushTest::Data::now_ms(), $id);

    my $ticket = ticket('reset', $number);

    foreach ('short', 'password1', 'eva', $number) {
        is($t->post($reset, { ticket => $ticket, new_password => $_ })
           ->{code}, 10005, "\"$_\" is weak");
    }

    my $r;
    ok($t->wait_for(sub {
        $r = $t->post($reset, { ticket => $ticket, new_password => $other });
        return $r->{code} == 0;
    }, 5, 'the ticket'), 'weak ones do not use the ticket up');
    is_deeply($r->{json}{data}, {}, 'nobody is logged in by it');

    ok($t->wait_for(sub { $t->get('/api/v1/user/profile', token => $token)
                          ->{status} == 401 }, 2, 'the end'),
       'all sessions have ended');
    is($t->value('SELECT COUNT(*) FROM user_session WHERE user_id = ?
                  AND revoked_ms = 0', $id), 0);
    is($t->value('SELECT token_version FROM user WHERE id = ?', $id),
       $version + 1);
    is($t->value('SELECT fails FROM user WHERE id = ?', $id), 0,
       'the wait is lifted');

    is($t->login('eva', $good)->{code}, 10002, 'the old one is wrong');
    is_ok($t->login('eva', $other), 'the new one is right');

    is_ok($t->post($reset, { ticket => $ticket, new_password => $other }),
          'the same again, as after a lost answer');
    is($t->post($reset, { ticket => $ticket, new_password => $else })->{code},
       10022, 'no other one');
    is_ok($t->login('eva', $other), 'it stays');

    my $unknown = number();
    $r = $t->post($reset, { ticket => ticket('reset', $unknown),
                            new_password => $else });
    is("$r->{status} $r->{code}", '404 4', 'no account');

    is($t->post($reset, { ticket => ticket('login', $number),
                          new_password => $else })->{code}, 10022,
       'a ticket of another scene');

    my @r = $t->burst([map { { method => 'POST', path => $reset, data => {
        ticket => $ticket, new_password => "$else $_" } } } 1 .. 10],
        sync => 1);
    is(scalar(grep { $_->{code} == 10022 } @r), 10, 'ten others at once');

    $ticket = ticket('reset', $number);
    @r = $t->burst([map { { method => 'POST', path => $reset, data => {
        ticket => $ticket, new_password => "$else $_" } } } 1 .. 10],
        sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'one ticket sets one password');

    $t->do('UPDATE user SET status = 1 WHERE id = ?', $id);
    is($t->post($reset, { ticket => ticket('reset', $number),
                          new_password => $else })->{code}, 10006, 'closed');

    # who had none
    my $none = number();
    opened($none);
    is_ok($t->post($reset, { ticket => ticket('reset', $none),
                             new_password => $else }), 'the first one');
    is_ok($t->post($login, { mobile => $none, password => $else }), 'is good');
};


subtest 'numbers and addresses' => sub {
    my ($one, $two, $third) = (number(), number(), number());
    my ($id, $token) = opened($one, password => $good, username => 'fay');
    my ($other, $stranger) = opened($two);

    my $d = is_ok($t->post($bind, { ticket => ticket('bind',
        'fay@example.com') }, token => $token), 'an email');
    is($d->{email}, 'f***@example.com');
    is($d->{id}, $id);
    is_ok($t->post($login, { email => 'fay@example.com',
        code => code('login', 'fay@example.com') }), 'logs in by it');

    my $ticket = ticket('bind', $two);
    is($t->post($bind, { ticket => $ticket, password => $good },
                token => $token)->{code}, 10001, 'another account has it');
    is($t->value('SELECT mobile FROM user WHERE id = ?', $id), $one);

    $ticket = ticket('bind', $third);
    is($t->post($bind, { ticket => $ticket }, token => $token)->{code}, 10004,
       'to replace one takes the password');
    is($t->post($bind, { ticket => $ticket, password => 'wrong 12345' },
                token => $token)->{code}, 10004, 'the right one');
    is_ok($t->post($bind, { ticket => $ticket, password => $good },
                   token => $token), 'replaced');
    is($t->value('SELECT mobile FROM user WHERE id = ?', $id), $third);
    is_ok($t->post($bind, { ticket => $ticket }, token => $token),
          'the same again');
    is($t->post($bind, { ticket => $ticket }, token => $stranger)->{code},
       10022, 'nobody else');

    $t->do('UPDATE user SET fails = 12, fail_ms = ? WHERE id = ?',
           RushTest::Data::now_ms(), $id);
    is($t->post($bind, { ticket => ticket('bind', $one), password => $good },
                token => $token)->{code}, 10003, 'guesses have to wait');
    $t->do('UPDATE user SET fails = 0 WHERE id = ?', $id);

    is($t->post($bind, { ticket => ticket('register', $one) },
                token => $token)->{code}, 10022, 'another scene');
    is($t->post($bind, { ticket => $ticket })->{status}, 401, 'nobody');

    # without a password a number may be replaced by who reads both
    is_ok($t->post($bind, { ticket => ticket('bind', $one) },
                   token => $stranger), 'an account without a password');

    my $free = number();
    my @tokens = map { (opened(number()))[1] } 1 .. 10;
    my @tickets = map { ticket('bind', $free) } @tokens;
    my @r = $t->burst([map { { method => 'POST', path => $bind,
        data => { ticket => $tickets[$_] }, token => $tokens[$_] } } 0 .. 9],
        sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'ten at once: one has it');
    is(scalar(grep { $_->{code} == 10001 } @r), 9);
    is(users($free), 1);

    $t->do('UPDATE user SET status = 1 WHERE id = ?', $id);
    is($t->post($bind, { ticket => ticket('bind', 'x@example.com') },
                token => $token)->{code}, 10006, 'a closed account');
    $t->do('UPDATE user SET status = 2 WHERE id = ?', $id);
    is($t->post($bind, { ticket => ticket('bind', 'y@example.com') },
                token => $token)->{status}, 404, 'a deleted one');
};


subtest 'the client leaves' => sub {
    my $number = number();
    my ($id) = opened($number, password => $good);
    my $proxy = $t->proxy('nginx_mysql');

    foreach my $ms (0, 20, 60, 100, 140) {
        my $code = code('login', $number);
        my ($bytes) = $t->bytes_of({ method => 'POST', path => $login,
            data => { mobile => $number, code => $code } });
        my $before = $t->value('SELECT COUNT(*) FROM user_session
                                WHERE user_id = ?', $id);

        $proxy->delay(40);
        my $s = $t->connect();
        $s->syswrite($bytes);
        sleep $ms / 1000;
        close $s;
        ok($t->wait_for(sub { $t->value('SELECT COUNT(*) FROM user_session
            WHERE user_id = ?', $id) > $before }, 5, 'a session'),
           "after $ms ms: it goes on to its end");
        $proxy->pass();
        is($t->post($login, { mobile => $number, code => $code })->{code},
           10021, 'the code is used');
    }

    # registering stops where it is
    foreach my $ms (0, 20, 60, 100, 140) {
        my $fresh = number();
        my $code = code('register', $fresh);
        my ($bytes) = $t->bytes_of({ method => 'POST', path => $register,
            data => { mobile => $fresh, code => $code } });

        $proxy->delay(40);
        my $s = $t->connect();
        $s->syswrite($bytes);
        sleep $ms / 1000;
        close $s;
        $proxy->pass();

        # it may have come to its end before
        ok($t->wait_for(sub {
            my $r = $t->post($register, { mobile => $fresh, code => $code });
            return $r->{code} =~ /^(?:0|10001)$/
                || ($r->{code} == 10021 && users($fresh));
        }, 5, 'the code'), "after $ms ms: the code is free, or was used");
        is(users($fresh), 1, 'one account');
    }
};


subtest 'MySQL is away' => sub {
    my $number = number();
    my ($id) = opened($number, password => $good);
    my %code = map { $_ => code('login', $_) } $number;
    my $ticket = ticket('reset', $number);
    my $bound = ticket('bind', 'zoe@example.com');
    my $new = number();
    my $code = code('register', $new);
    my $token = $t->token($id);

    my %ask = (
        login => sub { $t->post($login, { mobile => $number,
                                          code => $code{$number} }) },
        reset => sub { $t->post($reset, { ticket => $ticket,
                                          new_password => "$good x" }) },
        bind => sub { $t->post($bind, { ticket => $bound }, token => $token) },
        register => sub { $t->post($register, { mobile => $new,
                                                code => $code }) },
    );

    $t->proxy('nginx_mysql')->silence();

    foreach (sort keys %ask) {
        my $r = $ask{$_}->();
        is("$r->{status} $r->{code}", '503 3', "$_: silent");
    }

    $t->proxy('nginx_mysql')->pass();
    $t->stop('mysql');

    foreach (sort keys %ask) {
        my $r = $ask{$_}->();
        is("$r->{status} $r->{code}", '503 3', "$_: gone");
    }

    $t->start('mysql');

    # bind before reset, which ends the token
    foreach my $name (qw(register login bind reset)) {
        my $r;
        ok($t->wait_for(sub { $r = $ask{$name}->(); $r->{code} == 0 }, 10,
                        $name), "$name: BUSY may be followed by the same")
            or diag($r->{body});
    }
};


subtest 'Redis is away' => sub {
    my $number = number();
    opened($number, password => $good);
    my $code = code('login', $number);
    my $ticket = ticket('reset', $number);

    $t->proxy('nginx_redis')->refuse();

    foreach ([$login, { mobile => $number, code => $code }],
             [$login, { ticket => $ticket }],
             [$register, { mobile => $number, code => $code }],
             [$register, { ticket => $ticket }],
             [$reset, { ticket => $ticket, new_password => "$good y" }])
    {
        my $r = $t->post(@$_);
        is("$r->{status} $r->{code}", '503 3', $_->[0]);
    }

    is_ok($t->post($login, { mobile => $number, password => $good }),
          'passwords need none');
    $t->proxy('nginx_redis')->pass();

    ok($t->wait_for(sub { $t->post($login, { mobile => $number,
        code => $code })->{code} == 0 }, 10, 'login'), 'the same again');
};


unlike($t->log_text('nginx'), qr/\Q$good\E|139000\d{5}|\@example/,
       'no secret and no number in the log');

$t->finish();
done_testing();
