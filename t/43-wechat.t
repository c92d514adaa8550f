#!/usr/bin/perl

# Copyright (C) Rush
#
# Login by WeChat mini program: who gets which account, numbers that WeChat
# vouches for, binding, what WeChat refuses.  What goes wrong on the way is in
# t/43-wechat-faults.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64);
use RushTest;
use RushTest::Grant qw(gauge soon);
use RushTest::Wechat;
use Test::More;
use Time::HiRes qw(sleep time);

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(
    start => 0, courier => 1,
    consumer_conf => { consumer => { block => 50 },
                       controller => { reconcile => 0 },
                       accounts => { erase_interval => 50 },
                       wechat => RushTest::Wechat::conf($port) },
    nginx => { workers => 2, verify => 'on', extra_http => 'user_bcrypt_cost 4;'
        . ' user_wechat_limit address=0; user_code_limit interval=0 hour=0'
        . ' day=0 address=0;' },
);

RushTest::Wechat::add($t, $port);
$t->start(qw(redis mysql wechat consumer nginx));
$t->wait_ready();

my $auth = '/api/v1/user/wx-mini-auth';
my $bind = '/api/v1/user/wx-mini-bind';
my $unbind = '/api/v1/user/wx-mini-unbind';
my $profile = '/api/v1/user/profile';
my $good = 'tiger lily 7';
my $serial = 10;
my @openids;


sub openid {
    my $name = sprintf 'oCanary%04dopenid', $serial++;
    push @openids, $name;
    return $name;
}


sub number { return sprintf '136000%05d', $serial++ }
sub code { return RushTest::Wechat::code(@_) }


sub wx {
    my ($name, %fields) = @_;
    return $t->post($auth, { code => code('ok', $name), %fields });
}


sub row {
    my ($id) = @_;
    return ($t->sql('SELECT * FROM user WHERE id = ?', $id))[0];
}


sub by_key {
    my ($name) = @_;
    return [$t->sql('SELECT * FROM user WHERE wx_key = ?',
                    "$RushTest::Wechat::APPID:$name")];
}


sub is_ok {
    my ($r, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is("$r->{status} $r->{code}", '200 0', $name) or diag($r->{body});
    return $r->{json}{data};
}


sub refused {
    my ($r, $like, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is("$r->{status} $r->{code}", $like, $name) or diag($r->{body});
    return $r;
}


# by username and password: id, token

sub account {
    my ($name, %fields) = @_;
    my $d = is_ok($t->register($name, $good, fields => \%fields), $name);
    return ($d->{user}{id}, $d->{access_token});
}


subtest 'an account by WeChat' => sub {
    my $name = openid();
    my $r = wx($name);
    my $d = is_ok($r, 'the first login opens one');

    is($r->{headers}{'cache-control'}, 'no-store');
    ok($d->{user}{wechat}, 'told');
    is("$d->{user}{username}$d->{user}{mobile}$d->{user}{email}", '',
       'no name but that');
    like($d->{user}{nickname}, qr/^user\d{6}$/);
    unlike($r->{body}, qr/$name|session_key/, 'neither openid nor key');
    is($t->get($profile, token => $d->{access_token})->{json}{data}{id},
       $d->{user}{id}, 'logged in');
    is($t->post('/api/v1/auth/refresh-token', {
        refresh_token => $d->{refresh_token} })->{code}, 0, 'to stay');

    my $row = row($d->{user}{id});
    is($row->{wx_key}, "$RushTest::Wechat::APPID:$name");
    is("$row->{password_hash}$row->{status}", '0', 'no password');

    is(is_ok(wx($name), 'again')->{user}{id}, $d->{user}{id}, 'the same one');
    isnt(is_ok(wx(openid()), 'another')->{user}{id}, $d->{user}{id});
    is($t->value('SELECT COUNT(*) FROM user_session WHERE user_id = ?',
                 $d->{user}{id}), 2, 'a session each');

    # what WeChat was sent
    my ($call) = RushTest::Wechat::got($t, 'jscode2session');
    like(delete $call->{args}{js_code}, qr/^ok\.$name\./);
    is_deeply($call->{args}, { appid => $RushTest::Wechat::APPID,
        secret => $RushTest::Wechat::SECRET,
        grant_type => 'authorization_code' });
    is(scalar(RushTest::Wechat::got($t, 'stable_token')), 0,
       'no access token for it');

    # nothing is left of it
    soon('no answer is left', sub { !$t->redis()->keys('{rush}c:q:*') });
    is($t->redis()->xlen('{rush}ask'), 0, 'nor an ask');
};


subtest 'bad input' => sub {
    my $before = RushTest::Wechat::got($t);

    foreach ([{}, 'code'], [{ code => '' }, 'code'], [{ code => 7 }, 'code'],
             [{ code => 'x' x 129 }, 'code'],
             [{ code => "a\nb" }, 'code'],
             [{ code => 'x', iv => 'AAAA' }, 'encrypted_data'],
             [{ code => 'x', encrypted_data => 'AAAA' }, 'iv'],
             [{ code => 'x', iv => 'A' x 33, encrypted_data => 'AAAA' },
              'iv'],
             [{ code => 'x', iv => 'A', encrypted_data => 'A' x 2049 },
              'encrypted_data'],
             [{ code => 'x', phone_code => 'x' x 129 }, 'phone_code'],
             [{ code => 'x', iv => 'AAAA', encrypted_data => 'AAAA',
                phone_code => 'y' }, 'phone_code'])
    {
        my ($fields, $field) = @$_;
        my $r = refused($t->post($auth, $fields), '400 2',
                        join ' ', sort keys %$fields);
        is($r->{json}{data}{field}, $field);
    }

    is(scalar(RushTest::Wechat::got($t)), $before, 'WeChat was not asked');

    # members that are not the client's
    my $d = is_ok(wx(openid(), role => 'admin', roles => 1, wx_key => 'x:y',
                     mobile => number(), openid => 'other', user_id => 1),
                  'mass assignment');
    is(row($d->{user}{id})->{roles}, 0);
    is(row($d->{user}{id})->{mobile}, undef);
};


subtest 'text that hurts' => sub {
    foreach my $text ("'; DROP TABLE user; --", '" OR 1=1 #', '&openid=x',
                      'a b%00c', '../../x?y#z', "\x{4f60}\x{597d}",
                      '{"errcode":0}', "ok.\\u0000")
    {
        refused($t->post($auth, { code => $text }), '200 10050', 'a code');
        my ($call) = reverse RushTest::Wechat::got($t, 'jscode2session');
        utf8::encode(my $bytes = $text);
        is($call->{args}{js_code}, $bytes, 'WeChat has seen it as it is');
        is(scalar keys %{$call->{args}}, 4);
        refused(wx(openid(), phone_code => $text), '200 10051',
                'a phone code');
    }
};


subtest 'what WeChat refuses' => sub {
    my $name = openid();
    my $code = code('ok', $name);

    refused($t->post($auth, { code => 'nonsense' }), '200 10050',
            'errcode 40029');
    is_ok($t->post($auth, { code => $code }), 'a code');
    refused($t->post($auth, { code => $code }), '200 10050', '40163: used');
    refused($t->post($auth, { code => code('e40226', $name) }), '200 10053',
            '40226: a user that it has blocked');

    my $r = refused($t->post($auth, { code => code('e45011', $name) }),
                    '429 10', '45011: too often');
    is($r->{headers}{'retry-after'}, 10);

    foreach (40013, 40125, 45009, 50002) {
        $r = refused($t->post($auth, { code => code("e$_", $name) }),
                     '503 10054', "$_: is ours to mend");
        ok($r->{headers}{'retry-after'}, 'Retry-After');
    }

    is_ok($t->post($auth, { code => code('busy', $name) }),
          '-1 once: it is asked again');
    refused($t->post($auth, { code => code('e-1', $name) }), '503 10054',
            '-1 twice');
    is(scalar(@{by_key($name)}), 1);
};


subtest 'a number by encrypted data' => sub {
    my ($name, $number) = (openid(), number());
    my ($iv, $data) = RushTest::Wechat::encrypt($name,
        RushTest::Wechat::phone($number));
    my $d = is_ok(wx($name, iv => $iv, encrypted_data => $data), 'a number');

    is(row($d->{user}{id})->{mobile}, $number, 'is that of the account');
    like($d->{user}{mobile}, qr/^136\*{4}\d{4}$/, 'masked');

    ($iv, $data) = RushTest::Wechat::encrypt($name = openid(),
        RushTest::Wechat::phone('15112345678', country => '49'));
    is(row(is_ok(wx($name, iv => $iv, encrypted_data => $data), 'abroad')
           ->{user}{id})->{mobile}, '+4915112345678');

    $name = openid();
    my $phone = RushTest::Wechat::phone(number());
    my %bad = (
        'of another session' => [RushTest::Wechat::encrypt(openid(), $phone)],
        'of another app' => [RushTest::Wechat::encrypt($name,
            { %$phone, watermark => { %{$phone->{watermark}},
                                      appid => 'wx00' } })],
        'an hour old' => [RushTest::Wechat::encrypt($name,
            RushTest::Wechat::phone(number(), age => 3600))],
        'of tomorrow' => [RushTest::Wechat::encrypt($name,
            RushTest::Wechat::phone(number(), age => -86400))],
        'no watermark' => [RushTest::Wechat::encrypt($name,
            { %$phone, watermark => undef })],
        'no JSON' => [RushTest::Wechat::encrypt($name, 'hello')],
        'no number' => [RushTest::Wechat::encrypt($name,
            { %$phone, purePhoneNumber => 'x' })],
        'another iv' => [(RushTest::Wechat::encrypt($name, 'x'))[0],
                         (RushTest::Wechat::encrypt($name, $phone))[1]],
        'no base64' => ['!' x 24, '!' x 64],
        'cut' => [map { substr $_, 0, 24 }
                  RushTest::Wechat::encrypt($name, $phone)],
    );

    foreach (sort keys %bad) {
        refused(wx($name, iv => $bad{$_}[0], encrypted_data => $bad{$_}[1]),
                '200 10051', $_);
    }

    is_deeply(by_key($name), [], 'no account');
};


subtest 'a number by getuserphonenumber' => sub {
    my ($name, $number) = (openid(), number());
    my $d = is_ok(wx($name, phone_code => code('ok', $number)), 'a number');

    is(row($d->{user}{id})->{mobile}, $number);
    is_ok(wx(openid(), phone_code => code('us', '2025550100')), 'abroad');
    is(scalar(RushTest::Wechat::got($t, 'stable_token')), 1,
       'the access token is fetched once');
    my ($call) = reverse RushTest::Wechat::got($t, 'stable_token');
    is_deeply(decode_json($call->{body}), { grant_type => 'client_credential',
        appid => $RushTest::Wechat::APPID,
        secret => $RushTest::Wechat::SECRET,
        force_refresh => JSON::PP::false });
    ok(!exists $call->{headers}{expect}, 'no Expect');

    foreach (40001, 40014, 42001) {
        RushTest::Wechat::expire($t, $_);
        is(row(is_ok(wx(openid(), phone_code => code('ok', $number = number())
            ), "$_: with another access token")->{user}{id})->{mobile},
           $number);
    }

    is(scalar(RushTest::Wechat::got($t, 'stable_token')), 4);

    $name = openid();
    refused(wx($name, phone_code => code('mark', number())), '200 10051',
            'of another app');
    refused(wx($name, phone_code => code('old', number())), '200 10051',
            'an hour old');
    refused(wx($name, phone_code => code('e40029', number())), '200 10051',
            'errcode 40029');
    refused(wx($name, phone_code => code('e-1', number())), '503 10054',
            '-1 twice');
    refused(wx($name, phone_code => code('e40001', number())), '503 10054',
            '40001 twice');
    refused(wx($name, phone_code => code('e48001', number())), '503 10054',
            '48001: is ours to mend');
    my $code = code('ok', number());
    is_deeply(by_key($name), [], 'no account');
    is_ok(wx(openid(), phone_code => code('busy', number())), '-1 once');
    is_ok(wx($name, phone_code => $code), 'a good one');
    refused(wx($name, phone_code => $code), '200 10051', 'once');
};


subtest 'a number that has an account' => sub {
    my ($name, $number) = (openid(), number());
    my $code = sub {
        my ($scene, $to) = @_;
        $t->send_code($scene, $to);
        return '' . $t->code($to);
    };
    my $d = is_ok($t->post('/api/v1/user/register', { mobile => $number,
        code => $code->('register', $number), password => $good }), 'by code');
    my $id = $d->{user}{id};

    is(is_ok(wx($name, phone_code => code('ok', $number)), 'by WeChat')
       ->{user}{id}, $id, 'is the same');
    is(row($id)->{wx_key}, "$RushTest::Wechat::APPID:$name", 'bound');
    is(is_ok(wx($name), 'without the number')->{user}{id}, $id);
    is_ok($t->post('/api/v1/user/login', { mobile => $number,
        password => $good }), 'the password stays');

    # another WeChat with the same number does not get into it
    $d = is_ok(wx(openid(), phone_code => code('ok', $number)), 'another');
    isnt($d->{user}{id}, $id, 'has an account of its own');
    is(row($d->{user}{id})->{mobile}, undef, 'without the number');

    # banned: by the key, by the number
    my ($other, $banned) = (openid(), number());
    ($id) = account('xbanned');
    $t->do('UPDATE user SET mobile = ?, status = 1 WHERE id = ?', $banned,
           $id);
    refused(wx($other, phone_code => code('ok', $banned)), '200 10006',
            'the account of the number is banned');
    is_deeply(by_key($other), [], 'no way around it');

    $d = is_ok(wx($other), 'WeChat alone');
    $t->do('UPDATE user SET status = 1 WHERE id = ?', $d->{user}{id});
    refused(wx($other), '200 10006', 'banned');
    refused(wx($other, phone_code => code('ok', number())), '200 10006');

    # closed: the key is kept as all names are
    $t->do('UPDATE user SET status = 2, deleted_ms = ? WHERE id = ?',
           RushTest::Data::now_ms(), $d->{user}{id});
    refused(wx($other), '200 10002', 'closed');
    $t->do('UPDATE user SET deleted_ms = 1 WHERE id = ?', $d->{user}{id});
    soon('erased', sub { !@{by_key($other)} });
    isnt(is_ok(wx($other), 'then it opens a new one')->{user}{id},
         $d->{user}{id});

    my $closed = number();
    $t->do('UPDATE user SET mobile = ?, status = 2, deleted_ms = ?
             WHERE id = ?', $closed, RushTest::Data::now_ms(), $id);
    $d = is_ok(wx(openid(), phone_code => code('ok', $closed)),
               'a number that a closed account has');
    is(row($d->{user}{id})->{mobile}, undef);
};


subtest '30 at once' => sub {
    foreach my $with (0, 1, 2) {
        my ($name, $number) = (openid(), number());

        if ($with == 2) {
            my ($id) = account("many$serial");
            $t->do('UPDATE user SET mobile = ? WHERE id = ?', $number, $id);
        }

        my @r = $t->burst([map { { method => 'POST', path => $auth, data => {
            code => code('ok', $name),
            $with ? (phone_code => code('ok', $number)) : () } } } 1 .. 30],
            sync => 1);
        my %id = map { ($_->{json}{data}{user}{id} // '') => 1 } @r;

        is(scalar(grep { $_->{code} != 0 } @r), 0, 'all are logged in')
            or diag($_->{body}) foreach grep { $_->{code} != 0 } @r;
        is(scalar keys %id, 1, 'into one account');
        is(scalar @{by_key($name)}, 1);
    }

    # thirty WeChats that show the same number
    my $number = number();
    my @names = map { openid() } 1 .. 30;
    my @r = $t->burst([map { { method => 'POST', path => $auth, data => {
        code => code('ok', $_), phone_code => code('ok', $number) } } }
        @names], sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 30, 'all are logged in');
    my %id = map { ($_->{json}{data}{user}{id} // '') => 1 } @r;
    is(scalar keys %id, 30, 'into one each');
    is($t->value('SELECT COUNT(*) FROM user WHERE mobile = ?', $number), 1,
       'one has the number');

    # one code
    my $code = code('ok', openid());
    @r = $t->burst([map { { method => 'POST', path => $auth,
        data => { code => $code } } } 1 .. 30], sync => 1);
    is(scalar(grep { $_->{code} !~ /^(?:0|10050|3)$/ } @r), 0,
       'one code: in, or out');
    cmp_ok(scalar(grep { $_->{code} == 0 } @r), '>=', 1);
    is(scalar(grep { ($_->{args}{js_code} // '') eq $code }
              RushTest::Wechat::got($t, 'jscode2session')), 1,
       'WeChat was asked once');
};


subtest 'bind' => sub {
    my ($id, $token) = account('wanda');
    my $name = openid();
    my $r = $t->post($bind, { code => code('ok', $name) }, token => $token);
    my $d = is_ok($r, 'bound');

    ok($d->{wechat});
    is($d->{id}, $id);
    unlike($r->{body}, qr/$name/);
    is(is_ok(wx($name), 'logs in')->{user}{id}, $id);
    is_ok($t->post($bind, { code => code('ok', $name) }, token => $token),
          'the same again');
    refused($t->post($bind, { code => code('ok', openid()) },
                     token => $token), '200 10052', 'not a second one');

    my ($other, $stranger) = account('wolf');
    refused($t->post($bind, { code => code('ok', $name) },
                     token => $stranger), '200 10052', 'nor twice');
    is(row($other)->{wx_key}, undef);

    refused($t->post($bind, { code => 'nonsense' }, token => $stranger),
            '200 10050', 'a wrong code');
    refused($t->post($bind, { code => code('e40226', 'x') },
                     token => $stranger), '200 10053', 'a blocked user');
    refused($t->post($bind, { code => code('e40013', 'x') },
                     token => $stranger), '503 10054', 'WeChat is away');
    refused($t->post($bind, {}, token => $stranger), '400 2', 'no code');
    refused($t->post($bind, { code => code('ok', openid()) }), '401 6',
            'nobody');

    # not with a token of long ago
    my $before = RushTest::Wechat::got($t);
    $t->do('UPDATE user_session SET created_ms = created_ms - 601000
             WHERE user_id = ?', $other);
    refused($t->post($bind, { code => code('ok', openid()) },
                     token => $stranger), '200 10032', 'an old session');
    refused($t->post($bind, { code => code('ok', openid()) },
                     token => $t->token($other)), '200 10032', 'none at all');
    refused($t->post($bind, { code => 'x' }, user => 424242), '404 4',
            'no account');
    $t->do('UPDATE user SET status = 1 WHERE id = ?', $other);
    refused($t->post($bind, { code => code('ok', openid()) },
                     token => $stranger), '200 10006', 'banned');
    is(scalar(RushTest::Wechat::got($t)), $before, 'WeChat was not asked');

    # ten at once
    my @tokens = map { (account("ten$_"))[1] } 0 .. 9;
    $name = openid();
    my @r = $t->burst([map { { method => 'POST', path => $bind,
        data => { code => code('ok', $name) }, token => $_ } } @tokens],
        sync => 1);
    is(scalar(grep { $_->{code} == 0 } @r), 1, 'ten at once: one has it');
    is(scalar(grep { $_->{code} == 10052 } @r), 9);
    is(scalar @{by_key($name)}, 1);
};


subtest 'unbind' => sub {
    my $name = openid();
    my $d = is_ok(wx($name), 'WeChat only');
    my ($id, $token) = ($d->{user}{id}, $d->{access_token});

    refused($t->post($unbind, {}, token => $token), '200 10055',
            'nothing else would open it');
    $t->do("UPDATE user SET username = 'w$id' WHERE id = ?", $id);
    refused($t->post($unbind, {}, token => $token), '200 10055',
            'a username without a password neither');
    $t->do("UPDATE user SET username = NULL, password_hash = 'x'
             WHERE id = ?", $id);
    refused($t->post($unbind, {}, token => $token), '200 10055',
            'nor a password without a name');
    is(scalar @{by_key($name)}, 1);

    foreach ([mobile => number()], [email => "w$id\@example.com"],
             [username => "u$id"])
    {
        my ($column, $value) = @$_;
        $t->do("UPDATE user SET mobile = NULL, email = NULL, username = NULL,
                       wx_key = ? WHERE id = ?",
               "$RushTest::Wechat::APPID:$name", $id);
        $t->do("UPDATE user SET $column = ? WHERE id = ?", $value, $id);
        $d = is_ok($t->post($unbind, {}, token => $token), "with $column");
        ok(!$d->{wechat});
        is(row($id)->{wx_key}, undef);
        is_ok($t->post($unbind, {}, token => $token), 'again');
    }

    isnt(is_ok(wx($name), 'WeChat')->{user}{id}, $id, 'opens another');
    refused($t->post($unbind, {}), '401 6', 'nobody');
    refused($t->post($unbind, {}, user => 424242), '404 4', 'no account');
    $t->do('UPDATE user SET status = 1 WHERE id = ?', $id);
    refused($t->post($unbind, {}, token => $token), '200 10006', 'banned');
};


subtest 'export' => sub {
    my $name = openid();
    my $d = is_ok(wx($name), 'WeChat');
    my $r = $t->get('/api/v1/user/export', token => $d->{access_token});

    is($r->{json}{data}{account}{wechat}, '****' . substr($name, -4));
    unlike($r->{body}, qr/$name|$RushTest::Wechat::APPID/, 'masked');
    is($t->get('/api/v1/user/export', token => (account('nowx'))[1])
       ->{json}{data}{account}{wechat}, '', 'none');
};


subtest 'published data' => sub {
    my $file = "$RushTest::ROOT/../shared/vectors/wechat_miniprogram.json";
    plan skip_all => 'no published vectors' if !-e $file;

    foreach my $v (grep { $_->{kind} eq 'opendata_decrypt' }
                   @{decode_json(RushTest::slurp($file))->{vectors}})
    {
        is(RushTest::Wechat::aes('-d', $v->{session_key},
                                 decode_base64($v->{iv}),
                                 decode_base64($v->{encrypted_data})),
           $v->{plaintext}, 'what stands in for WeChat encrypts as it does');

        # a profile of 2016, and not a number
        refused($t->post($auth, { code => code('vector', openid()),
            iv => $v->{iv}, encrypted_data => $v->{encrypted_data} }),
            '200 10051', $v->{name});
    }
};


cmp_ok(gauge($t, 'consumer', 'asks_answered_total'), '>', 100, 'counted');
cmp_ok(gauge($t, 'consumer', 'asks_refused_total'), '>', 20);
cmp_ok(gauge($t, 'consumer', 'asks_failed_total'), '>', 5);
cmp_ok(gauge($t, 'consumer', 'asks_retried_total'), '>', 5);
soon('none is held', sub { gauge($t, 'consumer', 'asks_held') == 0 });

foreach my $name (qw(nginx consumer redis)) {
    unlike($t->log_text($name), qr/oCanary|canary|136000\d{5}|
                                   ok\.|[A-Za-z0-9+\/]{22}==/x,
           "nothing secret in the log of $name");
}

my $dump = $t->all_rows();
unlike($dump, qr/canary|ok\.oC|[A-Za-z0-9+\/]{22}==/, 'nor in MySQL');

$t->finish();
done_testing();
