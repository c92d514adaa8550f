#!/usr/bin/perl

# Copyright (C) Rush
#
# ./build.sh up in a directory of its own: what it prints works when pasted,
# a second one is harmless, what dies comes back, down leaves no process.

use warnings;
use strict;

use File::Temp qw(tempdir);
use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use RushTest;

my $root = "$FindBin::Bin/..";
my $run = tempdir('rush-up.XXXXXX', DIR => '/tmp', CLEANUP => 1) . '/run';
my $port = RushTest::Backend::free_port();

$ENV{RUSH_RUN} = $run;
$ENV{RUSH_PORT} = $port;
$ENV{RUSH_BUILD} = $RushTest::BUILD;

END {
    my $rc = $?;
    sh("$root/build.sh down") if -d "$run/pid";
    $? = $rc;
}

sub sh {
    my ($command) = @_;
    my $out = `exec 2>&1 </dev/null; $command`;
    return wantarray ? ($? >> 8, $out) : $out;
}

sub env {
    my ($name) = @_;
    return RushTest::slurp("$run/rush.env") =~ /^$name=(.*)$/m ? $1 : '';
}

my %what = (NGINX => 'nginx', REDIS => 'redis-server', MYSQL => 'mariadbd',
            CONSUMER => 'rush-consumer');

sub runs {
    my ($name) = @_;
    my $pid = env("RUSH_${name}_PID") || return 0;
    return RushTest::slurp("/proc/$pid/cmdline") =~ /$what{$name}/;
}

sub children {
    my ($pid) = @_;
    return RushTest::Daemon->new(pid => $pid)->children();
}

sub wait_for {
    my ($sub, $seconds) = @_;
    my $end = time() + $seconds * $RushTest::SLOW;
    until ($sub->()) {
        return 0 if time() > $end;
        sleep 0.1;
    }
    return 1;
}

my $start = time();
my ($rc, $out) = sh("$root/build.sh up");

is($rc, 0, 'up') or BAIL_OUT("up failed:\n$out");
diag(sprintf 'up took %.1f s', time() - $start);
ok(runs($_), "$_ runs") foreach sort keys %what;

# the lines as they are printed, one after another in one shell
my @lines = $out =~ /^((?:TOKEN=|curl ).*?) *$/mg;
is(scalar @lines, 3, 'three lines');

my ($token, $buy, $orders) = @lines;
$out = sh("$token\n$buy\necho\n$buy\necho\nsleep 1\n$orders");
my @answers = $out =~ /(\{.*\})/g;
like($answers[0], qr/^\{"code":0,.*"order_no":"(\d+-\d+)"/, 'bought');
my ($no) = $answers[0] =~ /"order_no":"([^"]+)"/;
like($answers[1], qr/\Q$no\E/, 'pasted again: the same order');
like($answers[2], qr/^\{"code":0,.*\Q$no\E/, 'the order is there');

# README, "From buy to paid", as it stands; a slow machine is given time
my ($chain) = RushTest::slurp("$root/README.md")
    =~ /^## From buy to paid\n(.*?)^## /ms;
my $blocks = join '', $chain =~ /^```sh\n(.*?)^```/msg;
my $slow = 2 * $RushTest::SLOW;

$blocks =~ s/^sleep (\d+)$/'sleep ' . ($1 > 20 ? $1 + $slow : $1 * $slow)/gme;
symlink $RushTest::BUILD, "$run/../build";
$out = sh("cd $run/.. && { $blocks }");
my @codes = $out =~ /\{"code":(\d+)/g;
is("@codes", '60002 0 0 0 0 0 0 30003 0 0 0 0 0 30001', 'from buy to paid')
    or diag($out);
like($out, qr/"state_text":"paid".*"trade_code".*"cancel_reason":"timeout"
              .*"state_text":"done".*"status_text":"refunded"
              .*\s0\ differences/sx, 'and back');

# files
my $mode = sub { sprintf '%o', (stat $_[0])[2] & 07777 };
is($mode->("$run/rush.env"), '600', 'mode of rush.env');
is($mode->($_), '600', "mode of $_")
    foreach glob("$run/secrets/*"), "$run/users.acl";

my @names = RushTest::slurp("$run/rush.env") =~ /^(\w+)=/mg;
is(join(' ', @names), 'RUSH_URL RUSH_ADMIN_USER RUSH_ADMIN_PASSWORD '
   . 'RUSH_REDIS_SOCKET RUSH_MYSQL_SOCKET RUSH_MYSQL_DB RUSH_JWT_KEY_FILE '
   . 'RUSH_NGINX_PID RUSH_REDIS_PID RUSH_MYSQL_PID RUSH_CONSUMER_PID '
   . 'RUSH_NGINX_CONF RUSH_NGINX_ERROR_LOG', 'names in rush.env');

# a second time
my $before = RushTest::slurp("$run/rush.env");
($rc, $out) = sh("$root/build.sh up");
is($rc, 0, 'up again');
is(RushTest::slurp("$run/rush.env"), $before, 'nothing changed');
($rc, $out) = sh("$root/build.sh status");
is($rc, 0, 'status') or diag($out);
like($out, qr/RUSH_URL=.*nginx +running.*ready +200/s, 'status tells');

# the log of a run without faults
unlike(RushTest::slurp(env('RUSH_NGINX_ERROR_LOG')),
       qr/\[(?:alert|crit|emerg|error)\]/, 'nginx had no trouble');

# what dies comes back, and rush.env tells
foreach my $name (qw(CONSUMER REDIS MYSQL NGINX)) {
    my $pid = env("RUSH_${name}_PID");
    my @workers = $name eq 'NGINX' ? children($pid) : ();

    kill KILL => $pid, @workers;
    ok(wait_for(sub { env("RUSH_${name}_PID") ne $pid && runs($name) }, 20),
       "$name comes back");
}

ok(wait_for(sub { (sh("$root/build.sh status"))[0] == 0 }, 20),
   'all is well again');

# a port that is somebody's
($rc, $out) = sh("RUSH_RUN=$run-2 $root/build.sh up");
isnt($rc, 0, 'a busy port is an error');
like($out, qr/port $port is busy/, 'a clear one');
sh("rm -rf $run-2");

# the end
my @pids = map { env("RUSH_${_}_PID") } keys %what;
my ($supervisor) = RushTest::slurp("$run/pid/supervisor") =~ /^(\d+)/;
my @children = map { children($_) } @pids;

($rc, $out) = sh("$root/build.sh down");
is($rc, 0, 'down') or diag($out);
ok(!RushTest::Daemon::stat_of($_), "pid $_ is gone")
    foreach @pids, $supervisor, @children;
ok(!-e "$run/rush.env", 'rush.env tells no lies');
unlike($out, qr/killed/, 'nobody had to be killed');
is((sh("$root/build.sh down"))[0], 0, 'down again');

unlike(RushTest::slurp($_), qr/Sanitizer|runtime error/, "no report in $_")
    foreach glob "$run/log/*.log";

done_testing();
