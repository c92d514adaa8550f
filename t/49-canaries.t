#!/usr/bin/perl

# Copyright (C) Rush
#
# Every flow of the accounts, good and bad, with secrets that are known: then
# they are looked for in every log, the metrics, the processes, MySQL (its
# general log too) and Redis.  The end of each file of the suite looks for keys
# and tokens in the same way; here is shown that it finds them.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Raw qw(bytes close_hard);
use Test::More;
use Time::HiRes qw(sleep);

my $limits = 'user_code_limit interval=0 hour=0 day=0 address=0;';
my $t = RushTest->new(
    courier => 1, mysql => { extra => "general-log=1\n"
                             . "general-log-file=general.log\n" },
    nginx => { extra_http => <<"EOC", verify => 'on' });
user_bcrypt_cost 4;
$limits
log_format all '\$remote_addr [\$time_local] "\$request" \$status '
               '"\$http_referer" "\$http_user_agent" \$sent_http_x_trace_id';
access_log access.log all;
EOC

my $serial = 0;
my $mark = sprintf '%06d', rand 1e6;

# what is looked for: in all there is, and what only rows may have
my (%secret, %private, %codes);


sub password {
    my $text = "canary-$mark-" . ++$serial . ' heron';
    $secret{$text} = 'a password';
    return $text;
}


sub mobile {
    my $text = sprintf '1390%04d%03d', $mark % 10_000, ++$serial;
    $private{$text} = 'a mobile number';
    return $text;
}


sub email {
    my $text = "canary$mark." . ++$serial . '@example.com';
    $private{$text} = 'an email address';
    return $text;
}


sub key {
    my $text = "canary-key-$mark-" . ++$serial;
    $private{$text} = 'a key';
    return $text;
}


# tokens of an answer; the signature of one is enough

sub keep {
    my ($r) = @_;

    my $d = ref $r->{json}{data} eq 'HASH' ? $r->{json}{data} : {};

    $secret{substr $d->{$_}, -43} = $_
        foreach grep { defined $d->{$_} } qw(access_token refresh_token
                                             ticket);
    return $r;
}


sub post {
    my ($path, $data, %o) = @_;
    return keep($t->post("/api/v1/$path", $data, %o));
}


sub is_code {
    my ($r, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($r->{code}, $code, $name) or diag($r->{body});
    return ref $r->{json}{data} eq 'HASH' ? $r->{json}{data} : {};
}


sub code {
    my ($scene, $target) = @_;
    is_code($t->send_code($scene, $target), 0, "a code for $scene");
    my $code = $t->code($target);
    $codes{$code} = 'a code';
    return $code;
}


sub target { return RushTest::Data::target($_[0]) }


sub ticket {
    my ($scene, $target) = @_;
    return is_code(post('user/verify-code', { scene => $scene,
        code => code($scene, $target), target($target) }, key => key()), 0,
        "a ticket for $scene")->{ticket};
}


my ($mobile, $email, $password) = (mobile(), email(), password());
my $user;

subtest 'flows that succeed' => sub {
    my $d = is_code(post('user/register', { mobile => $mobile,
        code => code('register', $mobile), password => $password,
        username => "canary$mark" }, key => key()), 0, 'register');
    $user = $d->{user}{id};
    my $token = $d->{access_token};

    is_code(post('user/register', { username => "ticket$mark",
        ticket => ticket('register', email()) }), 0, 'by ticket');

    $d = is_code(post('user/login', { mobile => $mobile,
                                      password => $password }), 0, 'login');
    is_code(post('user/login', { mobile => $mobile,
        code => code('login', $mobile) }, key => key()), 0, 'by code');
    is_code(post('user/login', { ticket => ticket('login', $mobile) }), 0,
            'by ticket');

    my $next = is_code(post('auth/refresh-token', { refresh_token =>
        $d->{refresh_token} }), 0, 'refresh');
    is_code(post('auth/refresh-token', { refresh_token =>
        $d->{refresh_token} }), 10007, 'used again');
    is_code(post('user/logout', {}, token => $token), 0, 'logout');

    $d = is_code(post('user/login', { mobile => $mobile,
                                      password => $password }), 0, 'login');
    $token = $d->{access_token};

    is_code(post('user/bind', { ticket => ticket('bind', $email) },
                 token => $token), 0, 'bind');
    is_code(post('user/bind', { ticket => ticket('bind', email()),
                 password => $password }, token => $token), 0, 'another');

    my $new = password();
    $d = is_code(post('user/password', { old_password => $password,
        new_password => $new }, token => $token), 0, 'a new password');
    $token = $d->{access_token};
    $password = password();
    is_code(post('user/password/reset', { new_password => $password,
        ticket => ticket('reset', $mobile) }), 0, 'reset');
    $d = is_code(post('user/login', { mobile => $mobile,
                                      password => $password }), 0, 'login');
    $token = $d->{access_token};

    is_code(post('user/addresses', { receiver => 'Li', mobile => mobile(),
        province => 'P', city => 'C', detail => 'D' }, token => $token,
        key => key()), 0, 'an address');
    is_code(post('user/addresses/parse', { text => 'Li ' . mobile() },
                 token => $token), 0, 'a pasted one');
    is_code($t->get("/api/v1/user/$_", token => $token), 0, $_)
        foreach qw(profile sessions addresses export stats);

    # of an administrator
    is_code(post('admin/users', { username => "made$mark", mobile => mobile(),
        email => email(), password => password() }, admin => 1), 0, 'made');
    is_code($t->put("/api/v1/admin/users/$user", { email => email() },
                    admin => 1), 0, 'changed');
    is_code($t->get('/api/v1/admin/users', admin => 1), 0, 'listed');
    is_code($t->get("/api/v1/admin/users/$user", admin => 1), 0, 'shown');
};


subtest 'flows that do not' => sub {
    foreach (1 .. 7) {
        post('user/login', { mobile => $mobile, password => password() });
    }

    my $login = sub { post('user/login', { @_ }) };
    $login->(account => $mobile, password => password() . 'x' x 60);
    $login->(account => mobile(), password => password());
    $login->(email => email(), password => password());
    $login->(mobile => $mobile, code => '000000');
    $login->(ticket => 'A' x 43);
    $login->(mobile => $mobile, password => [password()]);
    $login->(mobile => $mobile, password => password(), more => password());

    is_code($login->(mobile => $mobile, password => $password), 10003,
            'locked');

    my $used = code('login', $mobile);
    my $d = is_code($login->(mobile => $mobile, code => $used), 0, 'by code');
    is_code($login->(mobile => $mobile, code => $used), 10021, 'used');

    my $token = $d->{access_token};
    post('user/register', { mobile => $mobile, password => password(),
                            code => code('register', $mobile) });
    post('user/register', { mobile => mobile(), password => 'a' });
    post('user/password', { old_password => password(),
                            new_password => password() }, token => $token);
    post('user/password', { old_password => password(),
        new_password => "canary$mark" }, token => $token);
    post('user/bind', { ticket => ticket('bind', $mobile),
                        password => password() }, token => $token);
    post('user/password/reset', { new_password => password(),
                                  ticket => 'A' x 43 });
    post('auth/refresh-token', { refresh_token => 'B' x 43 });
    $t->del('/api/v1/user', { password => password() }, token => $token);

    # bodies that are no JSON, too long, of another type
    my $body = '{"mobile":"' . mobile() . '","password":"' . password() . '"';

    foreach my $o ([body => $body], [body => "$body}}"], [body => "$body,}"],
                   [body => "$body,\"x\":\"" . 'x' x 65_000 . '"}'],
                   [body => "$body}", type => 'text/plain'],
                   [body => "\xff$body}"], [body => "$body}", key => 'a b'])
    {
        foreach my $path (qw(login register password bind verify-code)) {
            my $r = $t->request('POST', "/api/v1/user/$path", @$o,
                                token => $token, fresh => 1);
            cmp_ok($r->{status}, '>=', 400, "$path: $r->{status}");
        }
    }

    # a token where none belongs is refused, and told by nobody
    is($t->get('/api/v1/user/profile', token => substr $token, 0, -1)
       ->{status}, 401);
    is($t->get('/api/v1/user/profile', headers => { Authorization =>
        "Basic $token", Cookie => "token=$token" })->{status}, 401);
};


subtest 'backends that are away, clients that leave' => sub {
    my $number = mobile();
    my $body = JSON::PP->new->encode({ mobile => $mobile,
                                       password => $password });
    my @calls = (
        ['login', { mobile => $mobile, password => $password }],
        ['register', { mobile => $number, password => password(),
                       code => '123123' }],
        ['send-code', { scene => 'login', mobile => $number }],
        ['verify-code', { scene => 'login', mobile => $number,
                          code => '321321' }],
        ['password/reset', { ticket => 'C' x 43,
                             new_password => password() }],
    );
    $codes{$_} = 'a code' foreach qw(123123 321321);

    foreach my $daemon (qw(mysql redis consumer)) {
        $t->pause($daemon) if $daemon ne 'consumer';

        foreach my $call (@calls) {
            foreach my $hard (0, 1) {
                my $s = $t->connect();
                syswrite $s, bytes('POST', "/api/v1/user/$call->[0]",
                    body => JSON::PP->new->encode($call->[1]),
                    headers => ['Idempotency-Key: ' . key()]);
                sleep 0.01;
                $hard ? close_hard($s) : close $s;
            }
        }

        $t->resume($daemon) if $daemon ne 'consumer';
        $t->stop($daemon);
        post("user/$_->[0]", $_->[1], key => key()) foreach @calls;
        $t->start($daemon);
    }

    # a message that waits for its consumer
    $t->stop('consumer');
    $t->send_code('login', $mobile);
    $t->start('consumer');
    ok($t->wait_for(sub {
        my $r = $t->send_code('login', $mobile);
        return ($r->{code} // -1) == 0;
    }, 15, 'a code'), 'all is back');
    $codes{$t->code($mobile)} = 'a code';

    # and one that none can open
    $t->redis()->xadd('{rush}out', '*', 'k', 'code', 'm', 'x' x 90);
    ok($t->wait_for(sub { $t->log_text('consumer') =~ /courier|message/ },
                    10, 'the log'), 'a broken message is told');

    # no code of before comes after the last one
    ok($t->wait_for(sub { $t->redis()->xlen('{rush}out') == 0 }, 10,
                    'the courier'), 'all are delivered');

    my $r = $t->login("canary$mark", $password);
    my $d = is_code(keep($t->post('/api/v1/user/login', { mobile => $mobile,
        code => code('login', $mobile) })), 0, 'in again');
    is_code($t->del('/api/v1/user', { password => $password },
                    token => $d->{access_token}), 0, 'closed');
};


# --- looking for them ---

sub found {
    my ($text, %what) = @_;

    my %hits = map { $what{$_} => 1 } grep { index($text, $_) >= 0 }
        grep { !$codes{$_} } keys %what;

    # six digits may be a part of a number
    foreach my $number ($text =~ /(?<![\d.])(\d{6})(?![\d.])/g) {
        $hits{"$what{$number} $number"} = 1 if $what{$number}
            && $codes{$number};
    }

    return join ', ', sort keys %hits;
}


# pids and ids of connections may be anything

sub lines {
    my ($text) = @_;
    $text =~ s!^\S+ \S+ (\[\w+\]) \d+#\d+: (?:\*\d+ )?!$1 !mg;
    $text =~ s/^\d+:[A-Z] //mg;
    $text =~ s/"pid":\d+//g;
    return $text;
}


sub mysql_dump {
    my $text = '';

    foreach my $table (map { $_->{name} } $t->sql('SELECT TABLE_NAME AS name '
        . 'FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()'))
    {
        $text .= "$table " . join("\t", map { $_ // '' } %$_) . "\n"
            foreach $t->sql("SELECT * FROM $table");
    }

    return $text;
}


sub redis_dump {
    my $rd = $t->redis();
    my $text = '';
    my $flat;
    $flat = sub { map { ref ? $flat->(@$_) : $_ // '' } @_ };

    foreach my $name ($rd->keys('*')) {
        my $type = $rd->type($name);
        my @all = $type eq 'string' ? $rd->get($name)
            : $type eq 'hash' ? $rd->hgetall($name)
            : $type eq 'list' ? $rd->lrange($name, 0, -1)
            : $type eq 'set' ? $rd->smembers($name)
            : $type eq 'zset' ? $rd->zrange($name, 0, -1)
            : $rd->xrange($name, '-', '+');
        $text .= join("\t", $name, $flat->(@all)) . "\n";
    }

    return $text;
}


subtest 'nothing is told' => sub {
    $secret{$_} = 'a key or password of a daemon' foreach $t->own_keys();

    my %all = (%secret, %codes);

    cmp_ok(scalar keys %secret, '>=', 60, scalar(keys %secret) . ' secrets');
    cmp_ok(scalar keys %codes, '>=', 12, scalar(keys %codes) . ' codes');

    # it finds what is there
    my $sent = RushTest::slurp("$t->{dir}/messages");
    my $hits = found($sent, %all, %private);
    like($hits, qr/a code \d{6}.*a mobile number.*an email/, 'in messages');

    my @logs = glob "$t->{dir}/*.log $t->{dir}/*/*.log";
    cmp_ok(scalar @logs, '>=', 6, join ' ', map { s!.*/!!r } @logs);

    foreach my $file (@logs) {
        # statements have numbers and keys as parameters
        is(found(lines(RushTest::slurp($file)), %all,
                 $file =~ /general/ ? () : %private), '',
           $file =~ s!^\Q$t->{dir}\E/!!r);
    }

    like(RushTest::slurp("$t->{dir}/mysql/general.log"), qr/\Q$mobile\E/,
         'though statements were logged');

    is(found($t->get('/metrics', record => 0)->{body}, %all, %private), '',
       '/metrics');
    is(found($t->get('/ready')->{body}, %all, %private), '', '/ready');

    foreach my $d (grep { $_->{pid} } values %{$t->{daemon}}) {
        foreach my $pid ($d->{pid}, ($d->{nginx} ? $d->workers() : ())) {
            is(found(RushTest::slurp("/proc/$pid/cmdline") . ' '
                     . RushTest::slurp("/proc/$pid/environ"), %all), '',
               "the process of $d->{name}");
        }
    }

    my $rows = mysql_dump();
    like($rows, qr/\Q$mobile\E/, 'rows');
    is(found($rows, %all), '', 'MySQL has no secret');

    my $kept = redis_dump();
    like($kept, qr/\{rush\}c:/, 'keys');
    is(found($kept, %all, map { $_ => $private{$_} }
             grep { $private{$_} ne 'a key' } keys %private), '',
       'Redis has none, and nobody\'s number');
};


# --- the check of every file ---

subtest 'the end of every file' => sub {
    my $other = RushTest->new(nginx => 0, redis => 0, mysql => 0,
                              consumer => 0);
    my $token = $other->token(5);
    my $refresh = join '', map { ('a' .. 'z')[rand 26] } 1 .. 43;
    my $log = "$other->{dir}/nginx.log";

    mkdir "$other->{dir}/x";
    $other->note_answer("{\"data\":{\"refresh_token\":\"$refresh\"}}");
    $other->secret('a canary of a test');

    RushTest::spew($log, "nothing\n" . 'A' x 43 . "\n");
    is(join(' ', $other->told()), '', 'nothing');

    foreach my $text ($token, "x $token y", $refresh, $other->{jwt_secret},
                      'a canary of a test', $other->{password}{mysql},
                      $other->{password}{rush_worker},
                      RushTest::slurp("$other->{dir}/seal.key") =~ s/\n//r)
    {
        foreach my $file ($log, "$other->{dir}/x/y.log") {
            RushTest::spew($file, "line\n[info] 1#1: $text, client\n");
            is(scalar(my @told = $other->told()), 1,
               'found: ' . substr $text, 0, 8);
            unlink $file;
        }
    }

    $other->finish();
};


$t->finish();
done_testing();
