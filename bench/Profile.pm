package Profile;

# Copyright (C) Rush
#
# Accounts in the bench: a profile against a bare read of one row through the
# same pool, a token with and without the table of revoked ones, the lag of
# the event loop while passwords are hashed.
#
#   my $section = Profile::run($load, $quick);      of results.md
#   my @rows = Profile::figures(load => $load, quick => 1, say => sub);
#                       [name, result, must], ...

use warnings;
use strict;

use FindBin;
use File::Basename qw(dirname);
use Cwd qw(abs_path);
use lib abs_path(dirname(__FILE__)) . '/../t/lib';

use JSON::PP;
use RushTest;
use Time::HiRes qw(sleep time);

my $root = $RushTest::ROOT;
my $users = 1000;
my $first = 5_000_000;


sub run {
    my ($bin, $quick) = @_;

    my @rows = figures(load => $bin, quick => $quick,
                       say => sub { print "   @_\n" });

    return "## Accounts\n\nOne worker with its hashing threads on one core, "
        . "the load generator and MariaDB on the other; bcrypt of cost 10.  "
        . "Made by `bench/run --accounts`.\n\n"
        . join '', map { "| $_->[0] | $_->[1] | $_->[2] |\n" }
            ['what', 'result', 'must'], ['---', '---', '---'], @rows;
}


sub figures {
    my (%o) = @_;

    my $say = $o{say} || sub {};
    my @rows;

    $o{rounds} = $o{quick} ? 3 : 7;
    $o{n} = $o{quick} ? 5_000 : 30_000;

    build_module();

    my $t = RushTest->new(
        consumer => 0,
        nginx => {
            workers => 1, level => 'warn',
            modules => [qw(rush_core user seckill bench)],
            apis => 'rush_api; user_api; bench_api;',
            extra_http => 'request_pool_size 8k; user_bcrypt_cost 10;',
            limits => { global => 'rate=1000000r/s burst=1000000',
                        api => 'rate=1000000r/s burst=1000000',
                        login => 'rate=100r/s burst=100' },
        });

    my $now = int(time() * 1000);
    $t->do('INSERT INTO user (id, username, mobile, password_hash, nickname, '
        . 'created_ms, updated_ms) VALUES ' . join(',', map {
            my $id = $first + $_;
            "($id, 'u$id', '138$id" . "0', '', 'somebody', $now, $now)"
        } 0 .. $users - 1));

    system("taskset -apc 0 $_ > /dev/null") foreach $t->workers('nginx');
    system("taskset -apc 1 $_ > /dev/null") foreach $t->pid('mysql');

    push @rows, token($t, %o), profile($t, %o), lag($t, %o);
    $say->(join '  ', @$_) foreach @rows;

    undef $t;

    return @rows;
}


sub includes {
    my $src = ($ENV{NGINX_SRC} || '/usr/share/nginx/src') . '/src';
    return join ' ', "-I$root/shared", "-I$RushTest::BUILD/nginx",
        map { "-I$src/$_" } qw(core event event/modules os/unix http
                               http/modules http/v2);
}


sub compile {
    my ($what, $out) = @_;
    my $cc = $ENV{CC} || 'cc';
    system("$cc -O2 @{[includes()]} -o $out $what") == 0
        or die "$out does not build\n";
    return $out;
}


sub build_module {
    compile("-fPIC -shared $root/bench/bare.c",
            "$RushTest::BUILD/nginx/ngx_http_bench_module.so");
}


sub token {
    my ($t, %o) = @_;

    my $bin = compile("$root/bench/token.c $root/shared/ngx_rush_revoke.c "
        . "$root/shared/rush_*.c -lcrypto -lhiredis -lcrypt",
        "$RushTest::BUILD/token");
    my $r = decode_json(`$bin $t->{dir}/jwt.key @{[7 * $o{rounds}]}`);

    return ["revoked tokens above a signature of $r->{signature_ns} ns",
            "$r->{revoked_ns} ns", '500 ns'];
}


# requests a second, rounds of both in turn

sub profile {
    my ($t, %o) = @_;

    my (@ratio, @bare, @full);

    foreach (1 .. $o{rounds}) {
        push @bare, load($t, "/bench/row/$first", %o);
        push @full, load($t, '/api/v1/user/profile', %o);
        push @ratio, $full[-1] / $bare[-1];
    }

    return [sprintf('profile, %.0f/s, of a bare read of a row, %.0f/s',
                    median(@full), median(@bare)),
            sprintf('%.2f x', median(@ratio)), '0.50 x'];
}


sub load {
    my ($t, $path, %o) = @_;

    my $n = $o{n};
    my $url = 'http://127.0.0.1:' . $t->port('nginx') . $path;
    my $text = `taskset -c 1 $o{load} -c 32 -n $n -w 500 -m GET \\
        -B -k $t->{dir}/jwt.key -u $first -U $users $url`;
    my $r = decode_json($text);

    die "load: $text\n" if $r->{failed} || ($r->{code}{0} // 0) != $n;

    return $r->{rps};
}


# eight logins a second, each some 60 ms of a thread on the worker's core

sub lag {
    my ($t, %o) = @_;

    my $seconds = $o{quick} ? 3 : 15;
    my $good = 'tiger lily 7';

    $t->register("bench$_", $good) foreach 1 .. 8;

    my %before = samples($t);
    my $start = time();
    my $n = 0;

    while (time() - $start < $seconds) {
        my $r = $t->login('bench' . (1 + $n % 8), $good);
        die "login: $r->{body}\n" if $r->{code};
        $n++;
        my $wait = $start + $n / 8 - time();
        sleep $wait if $wait > 0;
    }

    my %after = samples($t);
    my $all = $after{'+Inf'} - $before{'+Inf'};
    my $late = $all - ($after{'0.02'} - $before{'0.02'});

    return [sprintf('turns of the loop late by over 20 ms, of %d, %.1f '
                    . 'logins/s', $all, $n / $seconds), $late, '0'];
}


sub samples {
    my ($t) = @_;
    return $t->get('/metrics')->{body}
        =~ /^rush_loop_lag_seconds_bucket\{le="([^"]+)"\} (\d+)$/mg;
}


sub median { my @s = sort { $a <=> $b } @_; return $s[@s / 2] }


1;
