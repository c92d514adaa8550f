#!/usr/bin/perl

# Copyright (C) Rush
#
# What t/model and t/chaos found: a command that Redis executes when nobody
# waits for it any more, a rebuild that somebody spoiled, a MySQL that forgot
# while there was work in hand, a controller that is none any more.

use warnings;
use strict;

use Digest::SHA qw(sha1_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use Test::More;
use POSIX ();
use Time::HiRes qw(sleep);

my $t = RushTest->new(nginx => 0, failpoints => 1, start => 0,
                      consumer_conf => FAST);

$t->start(qw(redis mysql consumer));
soon('the gate opens', sub { gate_open($t) });

my $a = $t->activity(stock => 100, limit => 5);
my $user = 100;
my %answer;


sub bought {
    my @users = map { ++$user } 1 .. 3;
    my @orders = buy_many($t, $a, @users);

    @answer{@orders} = @users;
    soon('stored', sub { rows() == keys %answer }) if !@_;

    return @orders;
}


sub rows {
    return $t->value('SELECT COUNT(*) FROM orders WHERE activity_id = ? '
                     . 'AND status = 1', $a);
}


sub change {
    my ($epoch) = @_;

    my $m = $t->meta($a);
    my $sha = sha1_hex(RushTest::slurp(
        "$RushTest::ROOT/ngx_seckill_module/lua/change.lua"));

    return $t->redis()->evalsha($sha, 1, "{a:$a}m", $epoch, 'on',
                                @$m{qw(start stop limit price_ver)},
                                $epoch + 1);
}


# one unit is missing in Redis, and an administrator asks for a repair; the
# controller sleeps at this point

sub repair {
    my ($point) = @_;

    $t->failpoint($point, 'sleep', 1);
    $t->redis()->hincrby("{a:$a}m", 'remain', -1);
    $t->do('UPDATE seckill_activity SET repair = 1 WHERE id = ?', $a);
    soon("asleep at $point", sub { $t->failpoint_hits($point) });
    is($t->meta($a)->{state}, 'off', 'nobody buys meanwhile');
}


sub right {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    soon("$name: on", sub {
        $t->meta($a)->{state} eq 'on'
        && !$t->value('SELECT repair FROM seckill_activity WHERE id = ?', $a)
    });
    clean($t, $name);
    is($t->meta($a)->{remain}, 100 - keys %answer, "$name: left");

    my @other = grep { buy($t, $a, $answer{$_}, key => $_) ne $_ }
        sort keys %answer;
    is("@other", '', "$name: all answers stay");
}


subtest 'a late command' => sub {
    bought();

    my $epoch = $t->meta($a)->{epoch};

    repair('C2');
    is(change($epoch), 0, 'of an earlier turn: refused');
    is($t->meta($a)->{state}, 'off', 'still off');
    is(buy($t, $a, 1), -4, 'no grant that the rebuild would not count');
    $t->failpoint('C2', 'off');
    right('late');
};


subtest 'a spoiled rebuild' => sub {
    bought();
    repair('C3');
    ok($t->redis()->del("{a:$a}u:new"), 'who bought is forgotten');
    $t->failpoint('C3', 'off');
    right('spoiled');
    is($t->value('SELECT COUNT(*) FROM alarm WHERE kind = ?',
                 'rebuild_differs'), 1, 'it was seen');
};


# the last orders and positions are gone, and both writers have entries that
# they have not stored yet

subtest 'MySQL without its last transactions' => sub {
    my $last = $t->value('SELECT MAX(last_id) FROM stream_position '
                         . 'WHERE activity_id = ?', $a);

    soon('both writers are there', sub {
        2 == $t->value('SELECT COUNT(*) FROM stream_position '
                       . 'WHERE activity_id = ?', $a)
    });

    my @lost = bought();

    $t->stop('consumer');
    $t->do('DELETE FROM orders WHERE order_no IN (?, ?, ?)', @lost);
    $t->do('UPDATE seckill_activity SET sold = sold - 3 WHERE id = ?', $a);
    $t->do('UPDATE stream_position SET last_id = ? WHERE activity_id = ?',
           $last, $a);

    foreach ($t->sql('SELECT consumer FROM stream_position '
                     . 'WHERE activity_id = ?', $a)) {
        bought(0);
        $t->redis()->xreadgroup('GROUP', 'rush', $_->{consumer}, 'STREAMS',
                                "{a:$a}s", '>');
    }

    $t->start('consumer');
    soon('all rows are there', sub { rows() == keys %answer });
    right('forgotten');
};


# the lock of MySQL ends with its connection, which is lost while entries are
# stored for a rebuild; we have the lock then, as another controller would

subtest 'a lock that is lost' => sub {
    $t->stop('consumer');
    bought(0);
    $t->redis()->xreadgroup('GROUP', 'rush', 'ghost', 'STREAMS', "{a:$a}s",
                            '>');
    $t->start('consumer');
    soon('the lock is taken', sub { leader($t) });

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        my $dbh = RushTest::Backend::mysql_connect($t->{dir}, 'rush');
        RushTest::spew("$t->{dir}/ours", $dbh->selectrow_array(
            "SELECT GET_LOCK('rush_ctl.rush', 20)"));
        sleep 0.1 while !-e "$t->{dir}/enough";
        POSIX::_exit(0);
    }

    soon('we wait for it', sub {
        $t->value('SELECT COUNT(*) FROM information_schema.processlist '
                  . "WHERE info LIKE 'SELECT GET_LOCK%20)'")
    });

    my $epoch = $t->meta($a)->{epoch};

    $t->failpoint('D3', 'error', 1);
    $t->redis()->script_flush();
    soon('it is ours', sub { -s "$t->{dir}/ours" });
    sleep 0.5;
    is($t->meta($a)->{state}, 'off', 'who lost it does not go on');
    cmp_ok($t->meta($a)->{epoch}, '<=', $epoch + 1, 'nor puts in force');

    RushTest::spew("$t->{dir}/enough", '');
    waitpid $pid, 0;
    soon('all rows are there', sub { rows() == keys %answer });
    right('lock');
};


$t->finish();
done_testing();
