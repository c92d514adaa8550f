#!/usr/bin/perl

# Copyright (C) Rush
#
# The scripts of ngx_seckill_module/lua on a private Redis: the contract of
# each, then random batches against a model of the rules in Perl.

use warnings;
use strict;

use File::Temp qw(tempdir);
use FindBin;
use IO::Socket::UNIX;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $seed = $ENV{RUSH_SEED} || 20261121;
my $dir = tempdir('rush-lua-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $lua = "$FindBin::Bin/../ngx_seckill_module/lua";
my @KEYS = map "{a:1001}$_", 'm', 'u', 's', 'o', 'u:new';
my ($M, $U, $S, $O, $NEW) = @KEYS;
my ($pid, $redis, %sha);

my %keys = (buy => 3, settle => 2, release => 2, retake => 2, adjust => 4,
            load => 4, rebuild => 5, change => 1);


END {
    my $status = $?;

    if ($pid) {
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }

    $? = $status;
}


sub start {
    $pid = fork();
    die "fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDOUT, '>', "$dir/out";
        open STDERR, '>&', \*STDOUT;
        { exec 'redis-server', '--port', 0, '--unixsocket', "$dir/redis",
            '--dir', $dir, '--save', '', '--maxmemory-policy', 'noeviction'; }
        POSIX::_exit(127);
    }

    for (1 .. 200) {
        $redis = IO::Socket::UNIX->new(Peer => "$dir/redis");
        last if $redis;
        sleep 0.05;
    }

    die "redis-server did not start\n" if !$redis;
}


# one reply: integers as numbers, strings as text, errors as "ERR: ..."

sub reply {
    my $line = <$redis>;
    die "redis closed the connection\n" if !defined $line;

    $line =~ s/\r\n\z//;
    my $type = substr $line, 0, 1, '';

    return "ERR: $line" if $type eq '-';
    return $line if $type ne '$' && $type ne '*';
    return undef if $line < 0;
    return [map reply(), 1 .. $line] if $type eq '*';

    read $redis, my $text, $line + 2;
    return substr $text, 0, $line;
}


sub cmd {
    print $redis join '', '*' . @_ . "\r\n",
        map '$' . length($_) . "\r\n$_\r\n", @_;
    $redis->flush();
    return reply();
}


sub run {
    my ($name, @args) = @_;
    my $n = $keys{$name};

    return cmd('EVALSHA', $sha{$name}, $n, @KEYS[0 .. $n - 1], @args);
}


sub fresh {
    my (%set) = (epoch => 1, state => 'on', start => 0, stop => 4e12,
                 remain => 5, limit => 2, price_ver => 3, @_);

    cmd('FLUSHDB');
    $set{total} = $set{remain} if !exists $set{total};

    return run('load', @set{qw(epoch state start stop remain limit price_ver
                               total)});
}


# results of buyers only; [user, req, qty, retry]

sub buy {
    my ($epoch, $deadline, @buyers) = @_;
    my $r = run('buy', $epoch, $deadline,
        map { ($_->[0], $_->[1], $_->[4] // "o$_->[1]", $_->[2] // 1,
               $_->[3] // 0) } @buyers);

    return ref $r ? join ' ', @$r[4 .. $#$r] : $r;
}


sub meta { return cmd('HGET', $M, $_[0]); }


start();

foreach my $name (sort keys %keys) {
    open my $fh, '<', "$lua/$name.lua" or die "$name.lua: $!\n";
    my $text = do { local $/; <$fh> };

    like($text, qr/\A#!lua\n/, "$name.lua has a header");
    $sha{$name} = cmd('SCRIPT', 'LOAD', $text);
}


subtest 'nothing is loaded' => sub {
    cmd('FLUSHDB');

    is_deeply(run('buy', 1, 0, 7, 'r', 'o', 1, 0), [-1], 'buy');
    is(run('settle', 7, 'r'), -1, 'settle');
    is(run('release', 7, 'r', 'o', 1), 0, 'release');
    is(run('adjust', 1, 5), -1, 'adjust');
    is(run('change', 1, 'on', 0, 1, 1, 1, 1), 0, 'change');
    is(cmd('DBSIZE'), 0, 'no key appeared');
};


subtest 'load' => sub {
    is(fresh(epoch => 4, remain => 9, total => 10), 1, 'loaded');
    is(meta('remain'), 9, 'remain');
    is(meta('total'), 10, 'total');
    is(run('load', 4, 'on', 0, 1, 99, 1, 1, 99), 0, 'same epoch refused');
    is(run('load', 3, 'on', 0, 1, 99, 1, 1, 99), 0, 'older epoch refused');
    is(meta('remain'), 9, 'refused without effect');
    like(cmd('XGROUP', 'CREATE', $S, 'rush', '0'), qr/BUSYGROUP/, 'group');
    is(run('load', 5, 'off', 0, 1, 20, 1, 1, 20, 77), 1, 'later epoch');
    is_deeply(run('adjust', 77, 5), [2, 20], 'operation 77 is in total');

    cmd('DEL', $M);
    cmd('HSET', $U, 7, 1);
    is(run('load', 9, 'on', 0, 1, 20, 1, 1, 20), 0, 'buyers without meta');
};


subtest 'buy: replies' => sub {
    fresh();
    my $r = run('buy', 1, 0, 7, 'a', 'O1', 1, 0, 8, 'b', 'O2', 2, 0);

    is_deeply([@$r[0 .. 2, 4, 5]], [0, 1, 2, 0, 0], 'granted');
    is($r->[3], meta('rver'), 'rver');
    is(meta('remain'), 2, 'remain');
    is_deeply(cmd('HMGET', $U, 7, '7:a', 8, '8:b'), [1, 'O1', 2, 'O2'],
        'kept');

    my $e = cmd('XRANGE', $S, '-', '+');
    is(scalar @$e, 1, 'one entry for both');
    my @f = @{$e->[0][1]};
    like(splice(@f, 3, 1), qr/^\d{13}$/, 'time in ms');
    is_deeply(\@f, ['e', 1, 't', 'p', 3, 'g', '7 a O1 1', 'g', '8 b O2 2'],
        'fields');

    is(buy(1, 0, [7, 'a', 1, 0, 'O9']), 'O1', 'replay');
    is(buy(2, 1, [7, 'a', 5, 1]), 'O1', 'replay comes before every rule');
    is(cmd('XLEN', $S), 1, 'replay writes nothing');
    like(run('buy', 1, 0, 7, 'z', 'o', 'x', 0), qr/^ERR/, 'bad quantity');
    is(meta('remain'), 2, 'nothing changed by an error');

    cmd('DEL', $S);
    cmd('SET', $S, 'x');
    like(buy(1, 0, [9, 'w']), qr/^ERR/, 'the stream cannot be written');
    is(meta('remain'), 2, 'stock is kept');
    is(cmd('HEXISTS', $U, '9:w'), 0, 'no buyer either');
};


subtest 'buy: refusals' => sub {
    my $now = int(time() * 1000);
    my @cases = (
        ['old epoch',      {},                     [2, 0],        -2],
        ['not on',         { state => 'paused' },  [1, 0],        -4],
        ['past deadline',  {},                     [1, 1000],     -3],
        ['deadline ahead', {},                     [1, $now * 2],  0],
        ['early',          { start => $now + 1e6 }, [1, 0],       -5],
        ['over',           { stop => $now - 1 },   [1, 0],        -6],
        ['epoch first',    { state => 'off' },     [9, 1],        -2],
        ['state second',   { state => 'off', stop => 1 }, [1, 1], -4],
        ['deadline third', { stop => 1 },          [1, 1],        -3],
        ['no stock',       { remain => 0 },        [1, 0],        -9],
    );

    foreach my $case (@cases) {
        my ($name, $set, $args, $code) = @$case;

        foreach my $retry (0, 1) {
            fresh(%$set);
            is(buy(@$args, [7, 'a', 1, $retry]), $code,
                "$name, retry $retry");

            my $kept = $code == 0 ? 'oa' : $retry && $code != -2 ? '-' : undef;
            is(cmd('HGET', $U, '7:a'), $kept, 'what is kept');
            is(cmd('XLEN', $S), $code == 0 ? 1 : 0, 'stream');
        }
    }

    fresh();
    is(buy(1, 0, map [7, "q$_", $_], 0, -1, 3, '0.5', '1.5', 'nan', '1e300'),
        join(' ', (-7) x 7), 'quantities');
    is(buy(1, 0, [7, 'a', 2], [7, 'b', 1]), '0 -8', 'limit');
    is(buy(1, 0, [7, 'c', 1]), -8, 'limit later');
    is(buy(1, 0, [8, 'a', 2], [9, 'a', 2], [9, 'b', 1]), '0 -9 0',
        'a smaller quantity still fits');
    is(meta('remain'), 0, 'sold out');
};


subtest 'buy: one batch' => sub {
    fresh(limit => 3);
    is(buy(1, 0, [7, 'a', 1, 0, 'X'], [7, 'a', 1, 0, 'Y'], [7, 'a', 1, 1]),
        '0 X X', 'replay of an earlier buyer');
    is(cmd('HGET', $U, 7), 1, 'one unit');
    is(buy(1, 0, [7, 'b', 1], [7, 'c', 1], [7, 'd', 1]), '0 0 -8',
        'requests of one user add up');
    is(cmd('HGET', $U, 7), 3, 'three units');
    is(buy(1, 0, [8, 'a', 3, 1], [8, 'b', 2, 0], [8, 'a', 1, 0]), '-9 0 -',
        'a tombstone works at once');

    fresh();
    is(buy(1, 0, [8, 'a', 3, 0], [8, 'a', 2, 1]), '-7 0',
        'a first denial without retry leaves no trace');

    fresh(remain => 200, limit => 1);
    my $got = buy(1, 0, map [1000 + $_, 'r'], 1 .. 128);
    is($got, join(' ', (0) x 128), '128 buyers');
    is(meta('remain'), 72, 'remain');

    fresh();
    my $big = '9223372036854775807';
    is(buy(1, 0, [$big, "$big-1"], ['9223372036854775806', "$big-1"]), '0 0',
        'ids beyond 2^53');
    is_deeply([sort @{cmd('HKEYS', $U)}],
        [sort map +($_, "$_:$big-1"), $big, '9223372036854775806'],
        'are kept whole');
};


subtest 'settle' => sub {
    fresh();
    buy(1, 0, [7, 'a']);
    is(run('settle', 7, 'a'), 'oa', 'granted');
    is(run('settle', 7, 'b'), '-', 'unknown is refused');
    is(buy(1, 0, [7, 'b']), '-', 'for good');
    run('release', 7, 'a', 'oa', 1);
    is(run('settle', 7, 'a'), '-oa', 'given back');
};


subtest 'release' => sub {
    fresh();
    buy(1, 0, [7, 'a', 1], [7, 'b', 1]);
    my $rver = meta('rver');

    is(run('release', 7, 'a', 'other', 1), 0, 'not the order of the request');
    is(run('release', 8, 'a', 'oa', 1), 0, 'not the user');
    is(meta('remain'), 3, 'nothing');
    is(run('release', 7, 'a', 'oa', 1), 1, 'given back');
    is(run('release', 7, 'a', 'oa', 1), 0, 'once');
    is(meta('remain'), 4, 'remain');
    is(meta('rver'), $rver + 1, 'rver');
    is(cmd('HGET', $U, 7), 1, 'units');
    is(buy(1, 0, [7, 'a', 1]), '-oa', 'tombstone');
    is(run('release', 7, 'b', 'ob', 1), 1, 'the other');
    is(cmd('HEXISTS', $U, 7), 0, 'no units, no field');
    is(buy(1, 0, [7, 'c', 2]), 0, 'may buy again');
    is(run('release', 7, 'b', '-ob', 1), 0, 'a tombstone is not an order');
};


subtest 'retake' => sub {
    is(do { cmd('FLUSHALL'); run('retake', 7, 'a', 'oa', 1) }, -1,
       'not loaded');

    fresh();
    buy(1, 0, [7, 'a', 1], [8, 'b', 2]);
    is(run('retake', 7, 'a', 'oa', 1), 2, 'held already');
    is(run('retake', 7, 'a', 'other', 1), -3, 'another order holds them');
    run('release', 7, 'a', 'oa', 1);

    my ($rver, $remain) = (meta('rver'), meta('remain'));

    is(run('retake', 7, 'a', 'other', 1), -3, 'not the order of the request');
    is(run('retake', 7, 'a', 'oa', 3), -2, 'beyond the limit');
    is(meta('remain') . ' ' . meta('rver'), "$remain $rver", 'nothing');

    is(run('retake', 7, 'a', 'oa', 1), 1, 'taken');
    is(run('retake', 7, 'a', 'oa', 1), 2, 'once');
    is(meta('remain'), $remain - 1, 'remain');
    is(meta('rver'), $rver + 1, 'rver');
    is(cmd('HGET', $U, 7), 1, 'units');
    is(buy(1, 0, [7, 'a', 1]), 'oa', 'the answer is the order again');
    is(run('release', 7, 'a', 'oa', 1), 1, 'and may be given back again');

    buy(1, 0, [7, 'c', 2]);
    is(run('retake', 7, 'a', 'oa', 1), -2, 'he holds his limit');
    is(buy(1, 0, [7, 'a', 1]), '-oa', 'the tombstone stays');
    run('release', 7, 'c', 'oc', 2);

    # a denial, an id that nobody has used, no units left
    cmd('HSET', $U, '7:d', '-');
    is(run('retake', 7, 'd', 'od', 1), -3, 'refused before');
    cmd('HSET', $M, 'remain', 0);
    is(run('retake', 7, 'a', 'oa', 1), 0, 'nothing is left');
    cmd('HSET', $M, 'remain', 1);
    is(run('retake', 7, 'a', 'oa', 2), 0, 'fewer than it needs');
    is(run('retake', 7, 'e', 'oe', 1), 1, 'rebuilt without its tombstone');
    is(meta('remain'), 0, 'the last one');
};


subtest 'adjust' => sub {
    fresh();
    my $rver = meta('rver');

    is_deeply(run('adjust', 11, 5), [1, 10], 'grown');
    is_deeply(run('adjust', 11, 5), [2, 10], 'once');
    is_deeply(run('adjust', 12, -11), [0, 10], 'refused below zero');
    is_deeply(run('adjust', 12, -10), [1, 0], 'down to zero');
    is(meta('total'), 0, 'total');
    is(meta('rver'), $rver + 2, 'rver');
};


subtest 'change' => sub {
    fresh();
    buy(1, 0, [7, 'a', 2]);
    is(run('change', 2, 'off', 0, 1, 9, 9, 3), 0, 'other epoch');
    is(meta('state'), 'on', 'unchanged');
    is(run('change', 1, 'paused', 5, 4e12, 3, 4, 2), 1, 'changed');
    is_deeply(cmd('HMGET', $M, qw(epoch state start limit price_ver remain)),
        [2, 'paused', 5, 3, 4, 3], 'meta');
    is(buy(1, 0, [7, 'b']), -2, 'old copies are refused');
    is(buy(2, 0, [7, 'b']), -4, 'paused');
    is(run('change', 2, 'on', 0, 4e12, 3, 4, 2), 1, 'resumed');
    is(buy(2, 0, [7, 'b']), 0, 'sold again');
};


subtest 'rebuild' => sub {
    fresh();
    buy(1, 0, [7, 'a', 2]);
    my $rver = meta('rver');
    run('adjust', 5, 1);
    cmd('HSET', $NEW, 8, 1, '8:x', 'O8', '9:y', '-O9');

    is(run('rebuild', 1, 1, 'on', 0, 4e12, 9, 2, 1, 10), 0, 'same epoch');
    is(run('rebuild', 0, 2, 'on', 0, 4e12, 9, 2, 1, 10), 0, 'it is loaded');
    is(run('rebuild', 2, 3, 'on', 0, 4e12, 9, 2, 1, 10), 0, 'another epoch');
    is(cmd('EXISTS', $NEW), 1, 'kept for the next try');
    is(run('rebuild', 1, 2, 'on', 0, 4e12, 9, 2, 1, 10, 21, 22), 1, 'done');
    is_deeply({@{cmd('HGETALL', $U)}}, { 8 => 1, '8:x' => 'O8',
        '9:y' => '-O9' }, 'users');
    is(cmd('EXISTS', $NEW), 0, 'moved');
    is_deeply([sort @{cmd('HKEYS', $O)}], [21, 22], 'operations');
    cmp_ok(meta('rver'), '>', $rver, 'rver rises');
    is(cmd('XLEN', $S), 1, 'the stream is kept');
    is(buy(2, 0, [8, 'x'], [9, 'y'], [7, 'a']), 'O8 -O9 0', 'buyers');

    is(run('rebuild', 2, 3, 'on', 0, 4e12, 10, 2, 1, 10), 1, 'without buyers');
    is(cmd('EXISTS', $U), 0, 'nobody');

    cmd('FLUSHDB');
    is(run('rebuild', 3, 4, 'on', 0, 4e12, 10, 2, 1, 10), 0, 'not loaded');
    is(run('rebuild', 0, 3, 'on', 0, 4e12, 10, 2, 1, 10), 1, 'all was lost');
    like(cmd('XGROUP', 'CREATE', $S, 'rush', '0'), qr/BUSYGROUP/, 'group');
};


# the rules once more, one buyer at a time

sub model_buy {
    my ($m, $epoch, $user, $req, $order, $qty, $retry) = @_;
    my $kept = $m->{kept}{"$user:$req"};
    my $held = $m->{held}{$user} || 0;

    return $kept if defined $kept;
    return -2 if $epoch != $m->{epoch};

    my $code = $m->{state} ne 'on' ? -4
        : $qty < 1 || $qty > $m->{limit} ? -7
        : $held + $qty > $m->{limit} ? -8
        : $qty > $m->{remain} ? -9 : 0;

    if ($code) {
        $m->{kept}{"$user:$req"} = '-' if $retry;
        return $code;
    }

    $m->{remain} -= $qty;
    $m->{held}{$user} = $held + $qty;
    $m->{kept}{"$user:$req"} = $order;
    $m->{live}{$order} = [$user, $req, $qty];
    push @{$m->{log}}, "$user $req $order $qty";

    return 0;
}


# I2, I3 and the whole of both hashes

sub same {
    my ($m) = @_;
    my %u = @{cmd('HGETALL', $U)};
    my %want = (%{$m->{kept}}, map { $_ => $m->{held}{$_} }
                grep $m->{held}{$_}, keys %{$m->{held}});
    my ($remain, $total) = @{cmd('HMGET', $M, 'remain', 'total')};
    my ($held, @bad) = (0);

    foreach (grep !/:/, keys %u) {
        $held += $u{$_};
        push @bad, "user $_ holds $u{$_}" if $u{$_} > $m->{limit};
    }

    push @bad, "remain $remain" if $remain < 0 || $remain != $m->{remain};
    push @bad, "I2: $remain + $held != $total" if $remain + $held != $total;
    push @bad, 'users differ' if keys %u != keys %want
        || grep !defined $u{$_} || $u{$_} ne $want{$_}, keys %want;

    return @bad;
}


# what a client was told for one request must never change from yes to no,
# from no to yes, or to another order (I5, I6)

sub told {
    my ($said, $m, $key, $order, $retry, $result) = @_;
    my $old = $said->{$key};
    my $new = $result =~ /^-\d$/ ? ($retry && $result != -2 ? 'no' : undef)
        : $result eq '-' ? 'no'
        : $result eq '0' ? $order : $result =~ s/^-//r;

    return () if !defined $new;
    $said->{$key} = $new;
    return defined $old && $old ne $new ? ("$key: $old, then $new") : ();
}


sub random_batch {
    my ($m, $said, $past) = @_;
    my (@args, @buyers);
    my $epoch = rand() < 0.05 ? $m->{epoch} + 1 : $m->{epoch};

    for (1 .. 1 + int rand(rand() < 0.2 ? 128 : 6)) {
        my @b = (100 + int rand $m->{users}, 'r' . int rand 4,
                 'o' . ++$m->{serial}, int rand($m->{limit} + 2),
                 rand() < 0.3 ? 1 : 0);

        $b[3] = 1 if rand() < 0.5;
        @b[0, 1] = @{$past->[rand @$past]}[0, 1] if @$past && rand() < 0.2;
        push @$past, \@b;
        push @buyers, \@b;
        push @args, @b;
    }

    my $r = run('buy', $epoch, 0, @args);
    return ("reply $r") if !ref $r || @$r != 4 + @buyers;

    my @bad;

    foreach my $i (0 .. $#buyers) {
        my $b = $buyers[$i];
        my $want = model_buy($m, $epoch, @$b);

        push @bad, "@$b: $r->[4 + $i], not $want" if $r->[4 + $i] ne $want;
        push @bad, told($said, $m, "$b->[0]:$b->[1]", $b->[2], $b->[4],
                        $r->[4 + $i]);
    }

    $m->{buyers} += @buyers;
    push @bad, "remain in the reply" if $r->[2] != $m->{remain};

    return @bad;
}


sub random_step {
    my ($m, $said, $past) = @_;
    my $what = rand;
    my @orders = sort keys %{$m->{live}};

    if ($what < 0.15 && @orders) {
        my $order = $orders[rand @orders];
        my ($user, $req, $qty) = @{delete $m->{live}{$order}};

        $m->{remain} += $qty;
        $m->{held}{$user} -= $qty;
        $m->{kept}{"$user:$req"} = "-$order";

        my $got = join ' ', map run('release', $user, $req, $order, $qty),
            1, 2;
        return $got eq '1 0' ? () : ("release: $got");
    }

    if ($what < 0.25) {
        my $delta = int(rand 9) - 4;
        my $id = ++$m->{serial};
        my $want = $m->{remain} + $delta < 0 && $delta < 0 ? 0 : 1;

        $m->{remain} += $delta if $want;
        my @r = map run('adjust', $id, $delta), 1, 2;
        my $second = $want ? 2 : 0;

        return "@{$r[0]} @{$r[1]}"
            eq "$want $m->{remain} $second $m->{remain}" ? () : ("adjust");
    }

    if ($what < 0.3) {
        my ($user, $req) = (100 + int rand $m->{users}, 'r' . int rand 4);
        my $want = $m->{kept}{"$user:$req"} //= '-';
        my $got = run('settle', $user, $req);

        return ("settle: $got, not $want") if $got ne $want;
        return told($said, $m, "$user:$req", '', 1, $got);
    }

    if ($what < 0.35) {
        $m->{state} = rand() < 0.8 ? 'on' : 'paused';
        my $epoch = $m->{epoch}++;

        return run('change', $epoch, $m->{state}, 0, 4e12, $m->{limit}, 1,
                   $m->{epoch}) == 1 ? () : ('change');
    }

    return random_batch($m, $said, $past);
}


subtest 'random batches against the model' => sub {
    srand $seed;
    diag("RUSH_SEED=$seed");

    my ($buyers, $granted, @bad) = (0, 0);

    foreach my $stock (0, 1, 2, 20, 21, 300) {
        foreach my $limit (1 .. 3) {
            my %m = (epoch => 1, state => 'on', remain => $stock,
                     limit => $limit, users => $stock < 20 ? 8 : 60,
                     kept => {}, held => {}, live => {}, log => [],
                     serial => 0, buyers => 0);
            my (%said, @past);

            fresh(remain => $stock, limit => $limit);

            for (1 .. 60) {
                @bad = (random_step(\%m, \%said, \@past), same(\%m));
                last if @bad;
            }

            my @log = map { my @f = @{$_->[1]}; @f[grep $_ > 6 && $_ & 1,
                0 .. $#f] } @{cmd('XRANGE', $S, '-', '+')};
            push @bad, 'stream' if "@log" ne "@{$m{log}}";

            ok(!@bad, "stock $stock, limit $limit")
                or diag(join "\n", @bad);
            $buyers += $m{buyers};
            $granted += @log;
        }
    }

    cmp_ok($buyers, '>', 3000, "$buyers buyers, $granted grants");
};


subtest 'the gate' => sub {
    fresh();
    cmd('SCRIPT', 'FLUSH');
    like(buy(1, 0, [7, 'a']), qr/^ERR: NOSCRIPT/, 'no script, no sale');
};


done_testing();
