#!/usr/bin/perl

# Copyright (C) Rush
#
# Login by WeChat when something fails on its way: WeChat, the consumer,
# Redis, MySQL.  What is right is in t/43-wechat.t, clients that leave are in
# t/43-wechat-abort.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(gauge soon);
use RushTest::Wechat;
use Test::More;
use Time::HiRes qw(sleep time);

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(
    start => 0, consumer => 2,
    consumer_conf => { consumer => { block => 50 },
                       controller => { reconcile => 0 },
                       wechat => RushTest::Wechat::conf($port) },
    nginx => { workers => 1,
               extra_http => 'user_wechat_limit address=0;' },
    proxy => [qw(nginx_redis nginx_mysql consumer_redis)],
);

RushTest::Wechat::add($t, $port);
$t->start(qw(redis mysql wechat consumer nginx));
$t->wait_ready();

my $auth = '/api/v1/user/wx-mini-auth';
my $bind = '/api/v1/user/wx-mini-bind';
my $unbind = '/api/v1/user/wx-mini-unbind';
my $go = "$t->{dir}/wechat/go";
my $serial = 10;


sub openid { return sprintf 'oCanary%04dopenid', $serial++ }
sub number { return sprintf '135000%05d', $serial++ }
sub code { return RushTest::Wechat::code(@_) }
sub wx { return $t->post($auth, { @_ }) }
sub said { my ($r) = @_; return "$r->{status} " . ($r->{code} // 'none') }


sub is_said {
    my ($r, $like, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(said($r), $like, $name) or diag($r->{body});
    return $r;
}


sub works {
    my ($name, %fields) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r;
    ok($t->wait_for(sub { $r = wx(code => code('ok', openid()), %fields);
                          $r->{code} == 0 }, 15, $name), $name);
    return $r->{json}{data};
}


sub accounts {
    my ($name) = @_;
    return $t->value('SELECT COUNT(*) FROM user WHERE wx_key = ?',
                     "$RushTest::Wechat::APPID:$name");
}


sub calls { return RushTest::Wechat::calls($t, @_) }
sub begin { return RushTest::Wechat::begin($t, @_) }
sub finish { return RushTest::Wechat::finish(@_) }
sub asked { return RushTest::Wechat::asked($t, @_) }


# over a connection that was used before curl asks again by itself, and learns
# that the code is used

sub unknown {
    my ($r, $kind, $used) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $likes = $kind =~ /^(?:reset|close)$/ ? "503 10054|200 $used"
        : '503 10054';
    like(said($r), qr/^(?:$likes)$/, $kind) or diag($r->{body});
    return $r;
}


subtest 'answers that are none' => sub {
    foreach my $kind (qw(half cut h500 h503 h302 h404 reset close html big
                         nokey badid))
    {
        my $name = openid();
        my $code = code($kind, $name);
        my $r = unknown(wx(code => $code), $kind, 10050);
        ok($r->{headers}{'retry-after'} || $r->{code} == 10050,
           'Retry-After');

        # a code that may be used shows nobody in
        isnt(wx(code => $code)->{code}, 0, 'the same again');
        is(accounts($name), 0, 'no account');
    }

    foreach my $kind (qw(half cut h500 reset close html big)) {
        my $name = openid();
        my $code = code('ok', $name);
        my $phone = code($kind, number());
        unknown(wx(code => $code, phone_code => $phone), $kind, 10051);
        is(accounts($name), 0, 'no account');
    }

    foreach my $mode (qw(h500 e40125 e45009 cut reset)) {
        RushTest::Wechat::mode($t, 'token', $mode);
        RushTest::Wechat::expire($t, 40001);
        my $name = openid();
        is_said(wx(code => code('ok', $name),
                   phone_code => code('ok', number())), '503 10054',
                "the access token: $mode");
        is(accounts($name), 0, 'no account');
        is_said(wx(code => code('ok', $name)), '200 0',
                'who brings no number needs none');
    }

    foreach my $mode (qw(busy slow short ok)) {
        RushTest::Wechat::mode($t, 'token', $mode);
        RushTest::Wechat::expire($t, 42001);
        is_said(wx(code => code('ok', openid()),
                   phone_code => code('ok', number())), '200 0',
                "the access token: $mode");
    }
};


subtest 'WeChat is slow' => sub {
    my $slow = begin({ code => code('slow', openid()) });
    my $start = time();
    works('another one does not wait');
    ok(time() - $start < 1 * $RushTest::SLOW, 'not for it');
    is_said(finish($slow), '200 0', 'slow');

    RushTest::Wechat::mode($t, 'all', 'silent');
    $start = time();
    is_said(wx(code => code('ok', openid())), '503 10054', 'silent');
    ok(time() - $start < 3.5 * $RushTest::SLOW, 'soon told');
    RushTest::Wechat::mode($t, 'all', 'ok');

    # more than are asked at once
    my @slow = map { begin({ code => code('slow', openid()) }) } 1 .. 40;
    my @said = map { said(finish($_)) } @slow;
    is(scalar(grep { $_ !~ /^(?:200 0|503 3|503 10054)$/ } @said), 0,
       '40 slow ones: in, or told to come again');
    # one after the other, not three would come in while they wait
    cmp_ok(scalar(grep { $_ eq '200 0' } @said), '>=', 16, 'side by side');
    works('as before');
};


subtest 'WeChat is away' => sub {
    my $retried = gauge($t, 'consumer', 'asks_retried_total');

    $t->stop('wechat');
    is_said(wx(code => my $code = code('ok', openid())), '503 10054', 'gone');
    soon('tried twice', sub { gauge($t, 'consumer', 'asks_retried_total')
                              == $retried + 1 });
    $t->start('wechat');
    works('back');

    # it has not seen the code: when the refusal is forgotten, it is good
    soon('the same code', sub { wx(code => $code)->{code} == 0 }, 15);
};


subtest 'the consumer is away' => sub {
    my $code = code('ok', openid());

    $t->stop('consumer');
    my $start = time();
    my $r = is_said(wx(code => $code), '503 3', 'stopped');
    my $waited = time() - $start;
    cmp_ok($waited, '>', 2.5, 'it was waited for');
    ok($waited < 4 * $RushTest::SLOW, 'not for long');
    ok($r->{headers}{'retry-after'}, 'Retry-After');

    # so many may wait, of all workers
    my $node = $t->node(workers => 1,
                        extra_server => 'user_wechat_limit waiting=3;');
    sleep 0.01 while time() - $start < 3.2;     # none that counts is left
    my @s = map { begin({ code => code('ok', openid()) }, node => $node) }
        1 .. 12;
    my @r = map { finish($_) } @s;
    is(scalar(grep { said($_) ne '503 3' } @r), 0, 'all are told');
    cmp_ok($t->redis()->xlen('{rush}ask'), '<=', 4, 'the others at once');
    $t->stop($node);

    # a code that nobody waits for stays unused
    $t->start('consumer');
    works('started');
    is(scalar calls($code), 0, 'what was asked long ago is not asked now');
    is_said(wx(code => $code), '200 0', 'the same again');

    # nobody has ever listened
    $t->stop('consumer');
    $t->redis()->del('{rush}ask');
    $start = time();
    is_said(wx(code => $code = code('ok', openid())), '503 3', 'none at all');
    ok(time() - $start < 2 * $RushTest::SLOW, 'told at once');
    $t->start('consumer');
    $t->redis()->del('{rush}ask');
    soon('the group is made again', sub { wx(code => $code)->{code} == 0 },
         15);
};


subtest 'killed between the call and the answer' => sub {
    my $code = code('hold', my $name = openid());

    unlink $go;
    my $s = begin({ code => $code });
    asked($code);
    $t->kill('consumer');
    RushTest::spew($go, '');
    is_said(finish($s), '503 3', 'nobody knows');
    $t->start('consumer');
    soon('the code is used', sub { wx(code => $code)->{code} == 10050 }, 15);
    is(accounts($name), 0, 'it showed nobody in');
    is_said(wx(code => code('ok', $name)), '200 0', 'another one does');

    # it ends in peace
    unlink $go;
    $s = begin({ code => $code = code('hold', openid()) });
    asked($code);
    my $pid = $t->pid('consumer');
    kill TERM => $pid;
    sleep 0.1;
    RushTest::spew($go, '');
    is_said(finish($s), '200 0', 'the end waits for what is under way');
    $t->stop('consumer');
    $t->start('consumer');
};


subtest 'two consumers' => sub {
    $t->start('consumer2');

    my @codes = map { code('ok', openid()) } 1 .. 60;
    my @r = $t->burst([map { { method => 'POST', path => $auth,
        data => { code => $_ } } } @codes], conns => 30);

    is(scalar(grep { $_->{code} != 0 } @r), 0, 'all are logged in');
    is(scalar(grep { my $code = $_; 1 != calls($code) } @codes), 0,
       'each code was shown once');
    cmp_ok(gauge($t, $_, 'asks_answered_total'), '>', 0, "by $_")
        foreach qw(consumer consumer2);

    $t->stop('consumer2');
};


subtest 'limits of an address' => sub {
    my $node = $t->node(workers => 1,
                        extra_server => 'user_wechat_limit address=3;');
    my $ask = sub { $t->post($auth, { code => code('ok', openid()) },
        node => $node, headers => { 'X-Forwarded-For' => "10.0.0.$serial",
                                    'X-Real-IP' => "10.0.1.$serial" }) };

    $t->redis()->del($_) foreach $t->redis()->keys('{rush}c:w:*');
    is_said($ask->(), '200 0', "login $_") foreach 1 .. 3;
    my $r = is_said($ask->(), '429 10', 'not the fourth');
    my $wait = $r->{headers}{'retry-after'};
    ok($wait > 30 && $wait <= 60, "wait for $wait s");
    works('a server without a limit');

    foreach my $key ($t->redis()->keys('{rush}c:w:*')) {
        ok($t->redis()->pttl($key) > 0, 'ends by itself');
        my @at = $t->redis()->lrange($key, 0, -1);
        $t->redis()->lset($key, $_, $at[$_] - 60_000) foreach 0 .. $#at;
    }

    is_said($ask->(), '200 0', 'a minute later');
    $t->stop($node);
};


subtest 'MySQL is away' => sub {
    my $code = code('ok', my $name = openid());
    my %q = (code => $code, phone_code => code('ok', number()));
    my $mine = works('an account');
    my $bound = code('ok', openid());
    my %token = (token => $mine->{access_token});

    $t->proxy('nginx_mysql')->refuse();
    is_said(wx(%q), '503 3', 'refuses');
    is_said($t->post($bind, { code => $bound }, %token), '503 3', 'bind');
    is_said($t->post($unbind, {}, %token), '503 3', 'unbind');
    $t->proxy('nginx_mysql')->silence();
    is_said(wx(%q), '503 3', 'silent');
    is_said($t->post($unbind, {}, %token), '503 3', 'unbind');
    $t->proxy('nginx_mysql')->pass();

    soon('the same again', sub { wx(%q)->{code} == 0 });
    is(scalar calls($code), 1, 'WeChat was asked once');
    is(accounts($name), 1);
    is(scalar calls($bound), 0, 'not for what cannot be bound');

    # the account is there, its session is not
    %q = (code => code('ok', $name = openid()));
    works('statements are prepared');
    $t->proxy('nginx_mysql')->cut('before', match => 'user_session');
    my $r = wx(%q);
    $t->proxy('nginx_mysql')->pass();
    soon('a lost connection', sub { $r->{code} == 0 || wx(%q)->{code} == 0 });
    is(accounts($name), 1, 'one account');
};


subtest 'Redis is away' => sub {
    my %q = (code => code('ok', openid()));

    $t->proxy('nginx_redis')->refuse();
    is_said(wx(%q), '503 3', 'refuses');
    $t->proxy('nginx_redis')->pass();
    soon('the same again', sub { wx(%q)->{code} == 0 }, 15);

    # while it is waited for
    unlink $go;
    my $s = begin({ %q = (code => code('hold', openid())) });
    asked($q{code});
    $t->proxy('nginx_redis')->silence();
    is_said(finish($s), '503 3', 'silent');
    $t->proxy('nginx_redis')->pass();
    RushTest::spew($go, '');
    soon('the answer is found', sub { wx(%q)->{code} == 0 }, 15);
    is(scalar calls($q{code}), 1, 'WeChat was asked once');

    # the consumer cannot tell
    unlink $go;
    $s = begin({ %q = (code => code('hold', openid())) });
    asked($q{code});
    $t->proxy('consumer_redis')->refuse();
    RushTest::spew($go, '');
    sleep 0.3;
    $t->proxy('consumer_redis')->pass();
    is_said(finish($s), '200 0', 'it tells later');

    # what cannot be taken is not asked
    $t->proxy('consumer_redis')->cut('reply', match => 'XDEL');
    is_said(wx(%q = (code => code('ok', openid()))), '503 3', 'not taken');
    is(scalar calls($q{code}), 0, 'WeChat was not asked');
    $t->proxy('consumer_redis')->pass();
    soon('the same again', sub { wx(%q)->{code} == 0 }, 15);

    # all of its data is lost
    unlink $go;
    $s = begin({ %q = (code => code('hold', openid())) });
    asked($q{code});
    $t->redis()->del($t->redis()->keys('{rush}c:q:*'));
    is_said(finish($s), '503 3', 'the place of the answer is gone');
    RushTest::spew($go, '');

    # who came before would ask WeChat with a code that was used
    soon('an answer', sub { $t->redis()->keys('{rush}c:q:*') });
    is_said(wx(%q), '200 0', 'but not the answer');

    $t->stop('redis');
    is_said(wx(code => code('ok', openid())), '503 3', 'gone');
    $t->start('redis');
    $t->wait_ready();
    works('back');
};


subtest 'answers that others wrote' => sub {
    unlink $go;

    my (%q, %seen, $s, $key, $r);

    # again, if the consumer gave up before we came
    foreach (1 .. 4) {
        %q = (code => code('hold', openid()));
        $s = begin(\%q);
        asked($q{code});
        ($key) = grep { !$seen{$_}++ } $t->redis()->keys('{rush}c:q:*');

        ok($t->redis()->pttl($key) > 0, 'a place ends by itself');
        $t->redis()->set($key, 'x' x 100, PX => 5000);
        $r = finish($s);
        last if ($r->{code} // 0) != 10054;
    }

    is_said($r, '503 3', 'not sealed');
    RushTest::spew($go, '');
    soon('answered', sub { $t->redis()->get($key) ne 'x' x 100 });
    my $sealed = $t->redis()->get($key);
    ok($t->redis()->pttl($key) > 50_000, 'kept for a minute');
    unlike($sealed, qr/Canary|openid/, 'sealed');

    # the answer to another ask
    unlink $go;
    my %other = (code => code('hold', openid()));
    $s = begin(\%other);
    asked($other{code});
    my ($place) = grep { !$seen{$_} } $t->redis()->keys('{rush}c:q:*');
    $t->redis()->set($place, $sealed, PX => 5000);
    is_said(finish($s), '503 3', 'of another ask');
    RushTest::spew($go, '');
    is_said(wx(%q), '200 0', 'its own');
    soon('is good for one login', sub { !$t->redis()->exists($key) });

    # asks that nobody sealed
    my $failed = gauge($t, 'consumer', 'asks_failed_total');
    $t->redis()->xadd('{rush}ask', '*', i => 'a' x 64, m => 'y' x 200);
    $t->redis()->xadd('{rush}ask', '*', i => 'a' x 64, m => 'y' x 9000);
    $t->redis()->xadd('{rush}ask', '*', i => 'short', m => 'y');
    $t->redis()->xadd('{rush}ask', '*', 'none', 1);
    soon('are dropped', sub { gauge($t, 'consumer', 'asks_failed_total')
                              == $failed + 4 });
    works('the others go on');
};


subtest 'a reload' => sub {
    plan skip_all => 'no master that reloads'
        if $RushTest::Mode::MODE eq 'single';

    unlink $go;
    my $code = code('hold', openid());
    my $s = begin({ code => $code });
    asked($code);
    $t->reload('nginx');
    RushTest::spew($go, '');
    is_said(finish($s), '200 0', 'what waits is answered');
    works('and then');
};


foreach my $name (qw(nginx consumer consumer2 redis wechat)) {
    my $text = $t->log_text($name);
    unlike($text, qr/oCanary|canary|135000\d{5}|\bok\.o|[\w+\/]{22}==/,
           "nothing secret in the log of $name");
}

$t->finish();
done_testing();
