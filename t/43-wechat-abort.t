#!/usr/bin/perl

# Copyright (C) Rush
#
# Login by WeChat: clients that leave while their request waits, in each step
# that waits.  The same request, or one with a new code, comes to its end.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant qw(soon);
use RushTest::Wechat;
use Test::More;
use Time::HiRes qw(sleep time);

my $port = RushTest::Backend::free_port();
my $t = RushTest->new(
    start => 0,
    consumer_conf => { consumer => { block => 50 },
                       controller => { reconcile => 0 },
                       wechat => RushTest::Wechat::conf($port) },
    nginx => { workers => 1,
               extra_http => 'user_wechat_limit address=0;' },
    proxy => [qw(nginx_redis nginx_mysql)],
);

RushTest::Wechat::add($t, $port);
$t->start(qw(redis mysql wechat consumer nginx));
$t->wait_ready();

my $auth = '/api/v1/user/wx-mini-auth';
my $bind = '/api/v1/user/wx-mini-bind';
my $unbind = '/api/v1/user/wx-mini-unbind';
my $log = $t->daemon('nginx')->{log};
my $go = "$t->{dir}/wechat/go";
my $serial = 10;
my (%q, $name);


sub openid { return sprintf 'oCanary%04dopenid', $serial++ }
sub number { return sprintf '135000%05d', $serial++ }
sub code { return RushTest::Wechat::code(@_) }
sub begin { return RushTest::Wechat::begin($t, @_) }


# a login of somebody new, with a number or without

sub fresh {
    my ($with) = @_;
    $name = openid();
    %q = (code => code('ok', $name),
          $with ? (phone_code => code('ok', number())) : ());
    return (data => { %q });
}


# its session may have been opened; then the code is used

sub again {
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r;
    soon("$what: the same again, or a new code", sub {
        $r = $t->post($auth, \%q);
        $r = $t->post($auth, { code => code('ok', $name) })
            if $r->{code} == 10050;
        return $r->{code} == 0;
    }, 20);
    is($t->value('SELECT COUNT(*) FROM user WHERE wx_key = ?',
                 "$RushTest::Wechat::APPID:$name"), 1, 'one account');
    return $r->{json}{data};
}


sub calm {
    ok($t->wait_for(sub {
        my $body = $t->get('/metrics', record => 0)->{body};
        return $body =~ /^rush_redis_in_flight 0$/m
               && $body =~ /^rush_mysql_busy 0$/m
               && $body =~ /^rush_mysql_waiting 0$/m;
    }, 5, 'calm'), 'no operation is left');
}


# each answer takes 300 ms: the n-th wait is aborted in its middle; the log
# tells in which step

sub leaves_in {
    my ($backend, $nth, $step, $sub) = @_;

    my $unit = 0.3;
    my $proxy = $t->proxy("nginx_$backend");
    my $text = '';

    foreach my $n (($nth .. $nth + 3) x 4) {
        my $at = -s $log;
        my %q = $sub->();

        $proxy->delay(1000 * $unit);
        my $s = begin($q{data}, %q);
        sleep $unit * ($n - 0.5);
        close $s;

        $t->wait_for(sub {
            $text = substr RushTest::slurp($log), $at;
            return $text =~ /rush request is gone in|closed keepalive/;
        }, 5, "the end of a request in $step");
        $proxy->pass();
        last if $text =~ /while ngx_user_$step,/;
    }

    like($text, qr/prematurely closed connection[^,]* while ngx_user_$step,/,
         "left in $step");
}


# the same while another one has locked a table: the request waits for sure

sub locked_in {
    my ($table, $step, $sub) = @_;

    my $db = $t->db()->clone();
    my $at = -s $log;
    my %q = $sub->();

    $db->do("LOCK TABLES $table");
    my $s = begin($q{data}, %q);

    soon('it waits', sub { $db->selectrow_array(
        "SELECT COUNT(*) FROM information_schema.processlist
          WHERE user = 'rush' AND state LIKE 'Waiting for table%'
            AND (info LIKE '%wx_key%' OR info LIKE '%user_session%')") });
    close $s;
    soon("left in $step", sub { (substr RushTest::slurp($log), $at)
        =~ /prematurely closed connection[^,]* while ngx_user_$step,/ });
    $db->do('UNLOCK TABLES');
    $db->disconnect();
}


subtest 'while Redis is asked' => sub {
    leaves_in('redis', 1, 'ask', sub { fresh(0) });
    again('ask');
    leaves_in('redis', 2, 'ask_look', sub { fresh(0) });
    again('look');
    calm();
};


subtest 'while WeChat is asked' => sub {
    unlink $go;
    my $at = -s $log;
    my $s = begin({ %q = (code => code('hold', $name = openid())) });
    RushTest::Wechat::asked($t, $q{code});
    close $s;
    soon('left while waiting', sub { (substr RushTest::slurp($log), $at)
        =~ /while ngx_user_ask_(?:wait|look),/ });
    RushTest::spew($go, '');
    my ($key) = $t->redis()->keys('{rush}c:q:*');
    soon('answered', sub { length $t->redis()->get($key) > 28 });

    # what a login has asked is none of a bind's
    my %kept = %q;
    my $kept = $name;
    fresh(0);
    my $d = again('somebody');
    $t->do('UPDATE user SET wx_key = NULL WHERE id = ?', $d->{user}{id});
    my $r = $t->post($bind, { code => $kept{code} },
                     token => $d->{access_token});
    is($r->{code}, 10050, 'its code binds nothing') or diag($r->{body});
    %q = %kept;
    $name = $kept;

    again('wait');
    is(scalar(RushTest::Wechat::calls($t, $q{code})), 2,
       'one call of the login, one of the bind');
    calm();
};


subtest 'while MySQL is asked' => sub {
    leaves_in('mysql', 2, 'wx_find_mobile', sub { fresh(1) });
    again('find_mobile');
    locked_in('user WRITE', 'wx_find', sub { fresh(0) });
    again('find');
    locked_in('user READ', 'wx_enter', sub { fresh(1) });
    again('enter');
    locked_in('user READ, user_session READ', 'wx_enter', sub { fresh(0) });
    again('enter');
    locked_in('user_session READ', 'open_session', sub { fresh(0) });
    again('open_session');

    # an account that has the number is bound
    my $number = number();
    fresh(0);
    my $d = again('an account');
    $t->do('UPDATE user SET mobile = ?, wx_key = NULL WHERE id = ?', $number,
           $d->{user}{id});
    locked_in('user READ', 'wx_enter', sub {
        fresh(0);
        $q{phone_code} = code('ok', $number);
        return (data => { %q });
    });
    is(again('bind by number')->{user}{id}, $d->{user}{id});
    calm();
};


subtest 'bind and unbind' => sub {
    fresh(1);
    my $d = again('an account');
    my %mine = (token => $d->{access_token});
    my ($bound, $r);
    my $free = sub {
        soon('unbound', sub { $t->post($unbind, {}, %mine)->{code} == 0 });
    };

    $free->();

    foreach (['user WRITE', 'wx_read'],
             ['user_session WRITE', 'wx_bind_read'], ['user READ', 'wx_bind'])
    {
        my ($table, $step) = @$_;
        locked_in($table, $step, sub { (path => $bind, %mine,
            data => { code => $bound = code('ok', openid()) }) });
        soon("$step: the same again", sub {
            $r = $t->post($bind, { code => $bound }, %mine);
            return $r->{code} == 0;
        }, 20) or diag($r->{body});
        $free->();
    }

    foreach (['user WRITE', 'wx_read'], ['user READ', 'wx_unbind']) {
        my ($table, $step) = @$_;
        $t->do('UPDATE user SET wx_key = ? WHERE id = ?', openid(),
               $d->{user}{id});
        locked_in($table, $step, sub { (path => $unbind, %mine,
                                        data => {}) });
        $free->();
    }

    calm();
};


unlike($t->log_text('nginx'), qr/oCanary|canary|135000\d{5}|\bok\.o/,
       'nothing secret in the log');

$t->finish();
done_testing();
