#!/usr/bin/perl

# Copyright (C) Rush
#
# Codes and tickets: sending within limits, trying, single use, races, what
# stays hidden.  What they open is in t/32-code-login.t, how they travel in
# t/33-courier.t.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant ();
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new(
    courier => 1,
    nginx => { extra_http => 'user_bcrypt_cost 4;',
               extra_server => 'user_code_limit address=0;' },
    proxy => ['nginx_redis'],
);

my $send = '/api/v1/user/send-code';
my $verify = '/api/v1/user/verify-code';
my $serial = 10;
my @canaries;


# another number each time: limits do not meet

sub number {
    return sprintf '138000%05d', $serial++;
}


sub verify {
    my ($scene, $target, $code, %o) = @_;
    return $t->post($verify, { scene => $scene, code => "$code",
                               RushTest::Data::target($target) }, %o);
}


sub fresh_code {
    my ($scene, $target) = @_;
    my $r = $t->send_code($scene, $target);
    is($r->{code}, 0, "a code for $scene") or diag($r->{body});
    my $code = $t->code($target);
    push @canaries, $code;
    return $code;
}


sub wrong {
    my ($code) = @_;
    return sprintf '%06d', ($code + 1) % 1000000;
}


# lists of times in Redis, as if ms had passed

sub pass_ms {
    my ($ms) = @_;

    my $redis = $t->redis();

    foreach my $key (map { $redis->keys($_) } '{rush}c:n:*', '{rush}c:a:*') {
        my @at = $redis->lrange($key, 0, -1);
        $redis->lset($key, $_, $at[$_] - $ms) foreach 0 .. $#at;
    }
}


subtest 'sent' => sub {
    foreach (['13812345678', 'sms'], ['+4930123456', 'sms'],
             ['ann@example.com', 'mail'])
    {
        my ($target, $kind) = @$_;
        my $r = $t->send_code('login', $target);

        is("$r->{status} $r->{code}", '200 0', "to $target");
        is_deeply($r->{json}{data}, { expires_in => 300, resend_after => 60 },
                  'tells no more than that');
        is($r->{headers}{'cache-control'}, 'no-store');

        my $code = $t->code($target);
        push @canaries, $code;
        like($code, qr/^[0-9]{6}$/, 'six digits');

        my ($m) = grep { $_->{target} eq $target } $t->messages();
        is($m->{kind}, $kind);
        is($m->{scene}, 'login');
        like($m->{text}, qr/\b$code\b/, 'a sentence with it');
        like($m->{text}, qr/\b5 min\b/);
    }

    is((stat "$t->{dir}/messages")[2] & 07777, 0600, 'nobody else reads it');

    # other forms of the same
    is($t->send_code('login', '+8613812345678')->{code}, 10020);
    is($t->send_code('login', 'ANN@Example.com')->{code}, 10020);
};


subtest 'bad input' => sub {
    my $before = $t->redis()->xlen('{rush}out');

    foreach ([{}, 'scene'], [{ scene => 'login' }, 'mobile'],
             [{ scene => 'LOGIN', mobile => '13812345678' }, 'scene'],
             [{ scene => 'pay', mobile => '13812345678' }, 'scene'],
             [{ scene => 7, mobile => '13812345678' }, 'scene'],
             [{ scene => 'login', mobile => '1381234567' }, 'mobile'],
             [{ scene => 'login', mobile => 13812345678 }, 'mobile'],
             [{ scene => 'login', mobile => '138123456781' }, 'mobile'],
             [{ scene => 'login', mobile => '13812345678',
                email => 'a@b.cd' }, 'mobile'],
             (map { [{ scene => 'login', email => $_ }, 'email'] }
              'ann', 'a@b', '@b.cd', 'a@', 'a@b.', 'a@.cd', 'a@b..cd',
              'a b@c.de', 'a@b@c.de', '.a@b.cd', 'a.@b.cd', 'a..b@c.de',
              'a@-b.cd', 'a@b-.cd', 'a@b.cd-', "a\x{e9}\@b.cd", 'a@b_c.de',
              'a"b@c.de', 'a<b@c.de', "a\@b.cd\r\nBcc: x", 'a,b@c.de',
              ('x' x 65) . '@b.cd', 'a@' . ('x' x 64) . '.cd', 'a@b.c d',
              'ann@example.com>', '<ann@example.com', 'a@b.cd,e@f.gh',
              'a@b.c' . 'd' x 124, 'a@[127.0.0.1]', 'a\\@b.cd'))
    {
        my ($fields, $field) = @$_;
        my $r = $t->post($send, $fields);
        (my $name = join ' ', map { "$_=$fields->{$_}" } sort keys %$fields)
            =~ s/[^ -~]/?/g;

        is("$r->{status} $r->{code}", '400 2', substr $name, 0, 60);
        is($r->{json}{data}{field}, $field);
    }

    foreach ([{ code => '12345' }, 'code'], [{ code => '1234567' }, 'code'],
             [{ code => '12345a' }, 'code'], [{ code => 123456 }, 'code'],
             [{ code => "12345\x{661}" }, 'code'], [{ code => '' }, 'code'],
             [{}, 'code'], [{ code => '123456', scene => 'x' }, 'scene'])
    {
        my ($fields, $field) = @$_;
        my $r = $t->post($verify, { scene => 'login',
                                    mobile => '13812345678', %$fields });
        is("$r->{status} $r->{code} $r->{json}{data}{field}",
           "400 2 $field", 'verify');
    }

    is($t->redis()->xlen('{rush}out'), $before, 'nothing was sent');

    foreach my $email ('a@b.cd', 'a.b+c@d.example', 'o\'neil@x-y.de',
                       '1@qq.com', '_{|}~@x.yz', ('x' x 64) . '@b.cd')
    {
        is($t->send_code('login', $email)->{code}, 0, $email);
    }
};


subtest 'limits of a number' => sub {
    my $number = number();
    my $r;

    foreach my $n (1 .. 5) {
        $r = $t->send_code($n % 2 ? 'login' : 'reset', $number);
        is($r->{code}, 0, "code $n");
        pass_ms(30_000);

        $r = $t->send_code('login', $number);
        is("$r->{status} $r->{code}", '429 10020', 'after half a minute');
        my $wait = $r->{json}{data}{retry_after_s};
        # five are a matter of the hour
        my $most = $n < 5 ? 30 : 3600;
        ok($wait > $most - 300 && $wait <= $most, "wait for $wait s");
        is($r->{headers}{'retry-after'}, $wait);

        is($t->send_code('bind', $number)->{code}, 10020, 'any scene');
        pass_ms(30_001);
    }

    $r = $t->send_code('login', $number);
    is($r->{code}, 10020, 'five an hour');
    ok($r->{json}{data}{retry_after_s} > 3600 - 60 * 5 - 30);

    pass_ms(3600_000);

    foreach my $n (6 .. 10) {
        is($t->send_code('login', $number)->{code}, 0, "code $n");
        pass_ms(61_000);
    }

    pass_ms(3600_000);
    $r = $t->send_code('login', $number);
    is($r->{code}, 10020, 'ten a day');
    ok($r->{json}{data}{retry_after_s} > 78_000, 'wait for tomorrow');

    is($t->send_code('login', number())->{code}, 0, 'others may');

    pass_ms(86400_000 - 3600_000);
    is($t->send_code('login', $number)->{code}, 0, 'tomorrow');

    my ($key) = $t->redis()->keys('{rush}c:n:*');
    ok($t->redis()->pttl($key) > 0, 'histories end by themselves');
};


subtest 'limits of an address' => sub {
    my $node = $t->node(workers => 1);
    my $spoof = 0;
    my $ask = sub {
        my ($number) = @_;
        $spoof++;
        return $t->send_code('login', $number, node => $node, headers => {
            'X-Forwarded-For' => "10.0.0.$spoof", 'X-Real-IP' => "10.0.1.1",
            'Forwarded' => "for=10.0.0.$spoof" });
    };

    foreach (1 .. 20) {
        is($ask->(number())->{code}, 0, "number $_");
    }

    my $r = $ask->(number());
    is("$r->{status} $r->{code}", '429 10020', 'not the 21st');
    ok($r->{json}{data}{retry_after_s} > 86300);

    is($t->send_code('login', number())->{code}, 0,
       'a server that sets no limit');
    pass_ms(86400_000);
    is($ask->(number())->{code}, 0, 'tomorrow');
    $t->stop($node);
};


subtest 'a ticket' => sub {
    my $number = number();
    my $code = fresh_code('register', $number);
    my $r = verify('register', $number, $code);
    my $ticket = $r->{json}{data}{ticket};

    is("$r->{status} $r->{code}", '200 0');
    like($ticket, qr/^[A-Za-z0-9_-]{43}$/);
    is($r->{json}{data}{expires_in}, 600);
    is($r->{headers}{'cache-control'}, 'no-store');

    is(verify('register', $number, $code)->{code}, 10021, 'single use');

    my $key = '{rush}c:t:' . sha256_hex($ticket);
    my %kept = $t->redis()->hgetall($key);

    is($kept{s}, 'register', 'kept by its digest');
    unlike(join(' ', %kept), qr/$number|\Q$ticket\E|$code/, 'and sealed');
    ok($t->redis()->pttl($key) > 590_000 && $t->redis()->pttl($key)
       <= 600_000, 'for ten minutes');
};


subtest 'tries' => sub {
    my $number = number();
    my $code = fresh_code('login', $number);

    is(verify('login', $number, wrong($code))->{code}, 10021, "try $_")
        foreach 1 .. 4;
    is(verify('login', $number, $code)->{code}, 0, 'the fifth is right');

    $number = number();
    $code = fresh_code('login', $number);

    is(verify('login', $number, wrong($code))->{code}, 10021, "try $_")
        foreach 1 .. 5;
    is(verify('login', $number, $code)->{code}, 10021, 'burnt');

    is(verify('login', number(), '123456')->{code}, 10021,
       'a number without a code');
};


subtest 'bound to scene and number' => sub {
    my ($one, $two) = (number(), number());
    my $code = fresh_code('login', $one);
    fresh_code('login', $two);

    is(verify('reset', $one, $code)->{code}, 10021, 'another scene');
    is(verify('login', $two, $code)->{code}, 10021, 'another number')
        if $t->code($two) ne $code;
    is(verify('login', "$one\@example.com", $code)->{code}, 10021, 'an email');
    is(verify('login', "+86$one", $code)->{code}, 0, 'the same number');
};


subtest 'a new code ends the old one' => sub {
    my $number = number();
    my $old = fresh_code('login', $number);

    pass_ms(60_001);
    my $other = fresh_code('reset', $number);
    pass_ms(60_001);
    my $new = fresh_code('login', $number);

    is(verify('login', $number, $old)->{code}, 10021, 'old') if $old ne $new;
    is(verify('login', $number, $new)->{code}, 0, 'new');
    is(verify('reset', $number, $other)->{code}, 0, 'of another scene');

    # tries of the old one do not count
    $number = number();
    $old = fresh_code('login', $number);
    verify('login', $number, wrong($old)) foreach 1 .. 4;
    pass_ms(60_001);
    $new = fresh_code('login', $number);
    verify('login', $number, wrong($new)) foreach 1 .. 4;
    is(verify('login', $number, $new)->{code}, 0, 'five tries again');
};


subtest 'its life' => sub {
    my $number = number();
    my $code = fresh_code('login', $number);
    my @keys = $t->redis()->keys('{rush}c:k:*');

    my @ttl = map { $t->redis()->pttl($_) } @keys;
    is(scalar(grep { $_ <= 0 || $_ > 300_000 } @ttl), 0,
       'every code has five minutes at most');

    $t->redis()->pexpire($_, 50) foreach @keys;
    sleep 0.1;
    is(verify('login', $number, $code)->{code}, 10021, 'too late');
};


subtest '30 at once trade one code' => sub {
    foreach my $round (1 .. 3) {
        my $number = number();
        my $code = fresh_code('register', $number);
        my @r = $t->burst([map { { method => 'POST', path => $verify,
            data => { scene => 'register', mobile => $number,
                      code => $code } } } 1 .. 30], sync => 1);

        is(scalar(grep { $_->{code} == 0 } @r), 1, 'one ticket');
        is(scalar(grep { $_->{code} == 10021 } @r), 29, 'all others have none');
    }

    my $number = number();
    my $code = fresh_code('register', $number);
    my @r = $t->burst([map { { method => 'POST', path => $verify,
        data => { scene => 'register', mobile => $number,
                  code => sprintf '%06d', ($code + $_) % 1000000 } } }
        1 .. 30], sync => 1);

    is(scalar(grep { $_->{code} == 10021 } @r), 30, '30 guesses at once');
    is(verify('register', $number, $code)->{code}, 10021, 'burn it');
};


subtest '30 at once ask for one number' => sub {
    my $number = number();
    my @r = $t->burst([map { { method => 'POST', path => $send,
        data => { scene => 'login', mobile => $number } } } 1 .. 30],
        sync => 1);

    is(scalar(grep { $_->{code} == 0 } @r), 1, 'one is sent');
    is(scalar(grep { $_->{code} == 10020 } @r), 29);
    my $code = $t->code($number);
    push @canaries, $code;
    is(scalar(grep { $_->{target} eq $number } $t->messages()), 1);
    is(verify('login', $number, $code)->{code}, 0, 'and it is good');
};


subtest 'a lost answer' => sub {
    my $number = number();
    my $code = fresh_code('register', $number);
    my $first = verify('register', $number, $code, key => 'same-1');
    my $again = verify('register', $number, $code, key => 'same-1');

    is($first->{code}, 0);
    is($again->{code}, 0, 'the same Idempotency-Key');
    is($again->{json}{data}{ticket}, $first->{json}{data}{ticket},
       'gets the same ticket');
    is(verify('register', $number, $code, key => 'other-1')->{code}, 10021,
       'another one does not');
    is(verify('register', $number, $code)->{code}, 10021, 'nor does none');
};


subtest 'known and unknown numbers' => sub {
    is($t->register('known', 'tiger lily 7', fields => {
        mobile => '13700000001', email => 'known@example.com' })->{code}, 0);

    foreach my $scene (qw(register login reset bind)) {
        pass_ms(86400_000);

        my @r = map { $t->send_code($scene, $_) } '13700000001', '13700000002',
            'known@example.com', 'unknown@example.com';

        delete $_->{json}{trace_id} foreach @r;
        is_deeply($r[$_]{json}, $r[0]{json}, "$scene: one answer")
            foreach 1 .. 3;
    }
};


subtest 'user_verify off' => sub {
    my $register = '/api/v1/user/register';
    my $number = number();

    is($t->post($register, { mobile => $number, email => 'gus@example.com',
        password => 'tiger lily 7' })->{code}, 0, 'asks for no code');
    is($t->post($register, { mobile => number(), code => '123456' })->{code},
       10021, 'but looks at one');
    is($t->post($register, { mobile => number() })->{json}{data}{field},
       'password', 'and wants a password then');
};


subtest 'digits are evenly spread' => sub {
    my %first;
    $first{substr $_->{code}, 0, 1}++ foreach $t->messages();
    my $n = scalar $t->messages();
    cmp_ok(scalar keys %first, '>=', 8, "first digits of $n codes");
};


subtest 'the client leaves while Redis is asked' => sub {
    my $mine = number();
    my $r = $t->post('/api/v1/user/register', { mobile => $mine,
                                                password => 'tiger lily 7' });
    my $token = $r->{json}{data}{access_token};
    my $ticket = sub {
        my ($scene, $target) = @_;
        pass_ms(86400_000);
        return verify($scene, $target, fresh_code($scene, $target))
            ->{json}{data}{ticket};
    };

    # what the same request says then: those that change an account go on to
    # their end, of the others nothing stays
    foreach (
        ['send-code', 'after it was sent', qr/^10020$/, sub {
            ({ scene => 'login', mobile => number() }) }],
        ['verify-code', 'used', qr/^10021$/, sub {
            my $n = number();
            ({ scene => 'login', mobile => $n,
               code => fresh_code('login', $n) }) }],
        ['register', 'given back', qr/^0$/, sub {
            my $n = number();
            ({ mobile => $n, code => fresh_code('register', $n) }) }],
        ['login', 'logged in', qr/^10021$/, sub {
            pass_ms(86400_000);
            ({ mobile => $mine, code => fresh_code('login', $mine) }) }],
        ['bind', 'the same use', qr/^0$/, sub {
            ({ ticket => $ticket->('bind', 'left@example.com') }) }],
        ['password/reset', 'the same use', qr/^0$/, sub {
            ({ ticket => $ticket->('reset', $mine),
               new_password => 'lily tiger 7' }) }])
    {
        my ($route, $name, $then, $data) = @$_;
        my %q = (method => 'POST', path => "/api/v1/user/$route",
                 data => $data->(), $route eq 'bind' ? (token => $token) : ());
        my ($bytes) = $t->bytes_of(\%q);

        $t->proxy('nginx_redis')->delay(200);
        my $s = $t->connect();
        $s->syswrite($bytes);
        sleep 0.1;
        close $s;
        $t->proxy('nginx_redis')->pass();
        sleep 0.5;

        $r = $t->request($q{method}, $q{path}, %q);
        like($r->{code}, $then, "$route: $name") or diag($r->{body});
    }
};


subtest 'Redis' => sub {
    my $proxy = $t->proxy('nginx_redis');
    my $number = number();
    my $ask = sub { $t->send_code('login', $number) };

    $proxy->silence();
    my $r = $ask->();
    is("$r->{status} $r->{code}", '503 3', 'silent: an answer in time');
    ok($r->{headers}{'retry-after'});
    $proxy->pass();

    ok($t->wait_for(sub { $ask->()->{code} =~ /^(?:0|10020)$/ }, 10, 'redis'),
       'sent, then or now');
    push @canaries, map { $_->{code} } $t->messages();

    my $code = fresh_code('login', my $other = number());
    my ($bytes) = $t->bytes_of({ method => 'POST', path => $verify, data => {
        scene => 'login', mobile => $other, code => wrong($code) } });

    $proxy->delay(300);
    my $s = $t->connect();
    $s->syswrite($bytes);
    sleep 0.1;
    close $s;
    ok($t->wait_for(sub { $t->log_text('nginx') =~ /rush request is gone/ },
                    5, 'the abort'), 'the client leaves while it waits');
    $proxy->pass();
    is(verify('login', $other, $code)->{code}, 0);

    # scripts are gone until the controller has checked this Redis
    $t->stop('consumer');
    $t->redis()->script('FLUSH');
    $r = $t->send_code('login', number());
    is("$r->{status} $r->{code}", '503 12', 'no scripts');
    $t->start('consumer');
    $number = number();
    ok($t->wait_for(sub { $ask->()->{code} == 0 }, 15, 'scripts'), 'again');

    $t->stop('redis');
    $r = $t->send_code('login', number());
    is("$r->{status} $r->{code}", '503 3', 'Redis is down');
    $t->start('redis');
};


subtest 'a key too few' => sub {
    my $conf = RushTest::slurp("$t->{dir}/nginx/nginx.conf");
    my $env = $t->daemon('nginx')->{env};
    local @ENV{keys %$env} = values %$env;
    my $try = sub {
        RushTest::spew("$t->{dir}/t.conf", shift);
        return scalar `$RushTest::NGINX -p $t->{dir}/nginx/ -e stderr \\
            -c $t->{dir}/t.conf -t 2>&1 </dev/null`;
    };

    foreach (['rush_seal_key [^;]*;', '', qr/"user_api" needs "rush_seal_k/],
             ['rush_seal_key [^;]*;', 'rush_seal_key /none;', qr!"/none"!],
             ['(rush_seal_key [^;]*;)', 'rush_seal_key jwt.key;', qr/jwt/],
             ['(?<=rush_seal_key )[^;]*;', "$t->{dir}/jwt.key;",
              qr/43 characters/],
             ['(?=rush_jwt_key)', "rush_seal_key $t->{dir}/seal.key;",
              qr/duplicate/],
             ['address=0', 'address=x', qr/"address=x" is none of/],
             ['address=0', 'address=1001', qr/"address=1001" is none of/],
             ['address=0', 'interval=25h', qr/"interval=25h" is none of/],
             ['address=0', 'week=7', qr/"week=7" is none of/],
             ['address=0', 'address', qr/"address" is none of/],
             ['address=0', 'hour=1 hour=2', qr/"hour" is given twice/],
             ['user_verify off', 'user_verify maybe', qr/maybe/])
    {
        my ($from, $to, $like) = @$_;
        (my $bad = $conf) =~ s/$from/$to/;
        like($try->($bad), $like, "$to refused");
    }
};


# --- nothing is told to anybody else ---

cmp_ok(scalar @canaries, '>', 20, 'codes to look for');

my $rows = $t->all_rows();
my $redis = join ' ', map { "$_ " . join ' ', $t->redis()->hgetall($_) }
    $t->redis()->keys('{rush}c:[kt]:*');
my $stream = join ' ', map { ref $_->[1] ? @{$_->[1]} : () }
    $t->redis()->xrange('{rush}out', '-', '+');
my %where = (
    'a log of nginx' => $t->log_text('nginx'),
    'the log of the consumer' => $t->log_text('consumer'),
    'a metric' => $t->get('/metrics', record => 0)->{body}
        . RushTest::Grant::get($t, 'consumer', '/metrics')->{content},
    'Redis' => "$redis $stream",
);
my @seen = @canaries > 30 ? @canaries[0 .. 29] : @canaries;
my $codes = join '|', @seen;

unlike($rows, qr/'(?:$codes)'|\b(?:$codes)\b/, 'no code in MySQL');
unlike($where{$_}, qr/(?<![0-9a-f])(?:$codes)(?![0-9a-f])/, "no code in $_")
    foreach sort keys %where;
unlike($where{$_}, qr/138000\d{5}|13812345678|ann\@example/i,
       "no number in $_") foreach sort keys %where;

$t->finish();
done_testing();
