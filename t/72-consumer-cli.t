#!/usr/bin/perl

# Copyright (C) Rush
#
# rush-consumer as people and supervisors meet it: settings, dead letters,
# /metrics and /health, signals, the log.

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use lib "$FindBin::Bin/lib";
use RushTest;
use RushTest::Grant;
use Test::More;

my $t = RushTest->new(nginx => 0, start => 0, consumer_conf => FAST);

my $dir = $t->{dir};
my $bin = "$t->{build}/rush-consumer";
my $log = "$dir/daemon.log";
my $a;

# section, name, least, most
my @numbers = (
    [qw(consumer writers 1 16)], [qw(consumer batch 1 4096)],
    [qw(consumer block 1 10000)], [qw(consumer claim_idle 10 3600000)],
    [qw(consumer claim_interval 10 3600000)],
    [qw(consumer discover 10 60000)],
    [qw(controller enabled 0 1)], [qw(controller poll 10 10000)],
    [qw(controller sweep 10 60000)], [qw(controller sweep_batch 1 10000)],
    [qw(controller reconcile 0 86400)], [qw(controller recheck 1 10000)],
    [qw(controller trim_interval 1 86400)],
    [qw(controller trim_keep 0 2592000)],
    [qw(controller max_backlog 100 100000000)],
    [qw(controller clock_alarm 10 60000)],
    [qw(controller clock_pause 10 600000)],
    [qw(redis port 1 65535)], [qw(redis db 0 15)],
    [qw(redis connect_timeout 10 60000)], [qw(redis timeout 10 60000)],
    [qw(mysql port 1 65535)], [qw(mysql connect_timeout 1000 60000)],
    [qw(mysql timeout 1000 600000)],
);


# exit code and output; $env: hash of variables

sub run {
    my ($env, @args) = @_;

    local @ENV{keys %$env} = values %$env;

    open my $fh, '-|', 'sh', '-c', 'exec "$@" 2>&1 </dev/null', 'sh', $bin,
        @args or die "sh: $!";
    my $out = do { local $/; <$fh> } // '';
    close $fh;

    return ($? & 127 ? "signal $?" : $? >> 8, $out);
}


sub conf {
    my ($text) = @_;
    RushTest::spew("$dir/try.conf", $text);
    return run({}, '-c', "$dir/try.conf", '-t');
}


# one sentence on one line, exit 1; FILE: the name of the file

sub wrong {
    my ($text, $want, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($rc, $out) = conf($text);

    $want =~ s!FILE!$dir/try.conf!;
    is("$rc $out", "1 $want\n", $name // $text =~ tr/\n/ /r);
}


sub variable {
    my ($section, $name) = @_;
    return 'RUSH_MYSQL_DB' if "$section $name" eq 'mysql database';
    return uc "RUSH_${section}_$name";
}


sub letters {
    my (@args) = @_;
    return $t->consumer_run('--dead-letters', @args);
}


sub http {
    my ($request) = @_;

    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:'
                                  . $t->{consumer_port}{consumer}) or return;
    print $s $request;
    return do { local $/; <$s> } // '';
}


subtest 'options' => sub {
    my ($rc, $out) = run({}, '--help');
    is($rc, 0, 'help');
    like($out, qr/^rush-consumer \[-c FILE\] \[-t\]\n/, 'says how');

    ($rc, $out) = run({}, '--version');
    is("$rc $out", "0 rush-consumer "
       . (RushTest::slurp("$RushTest::ROOT/shared/rush_base.h")
          =~ /RUSH_VERSION +"([^"]+)"/)[0] . "\n", 'version');

    foreach ([qw(--reconcile)], [qw(--dead-letters list)]) {
        ($rc) = run({}, '-c', "$dir/there-is-none", @$_);
        is($rc, 2, "@$_ without settings: could not look");
    }

    foreach (['--nonsense'], ['word'], ['--repair'], ['--dry-run'],
             ['-t', 'word'], ['-c'], ['--dead-letters'],
             [qw(--dead-letters show 1 2)], [qw(--reconcile now)])
    {
        ($rc, $out) = run({}, @$_);
        is($rc, 2, "@$_");
        like($out, qr/^rush-consumer \[-c FILE\] \[-t\]$/m, 'says how');
    }

    ($rc, $out) = run({}, '--metrics');
    is($rc, 0, 'metrics');
    my %type = $out =~ /^# TYPE (rush_consumer_\w+) (\w+)$/mg;
    my %help = $out =~ /^# HELP (rush_consumer_\w+) (\S.*)$/mg;
    cmp_ok(scalar keys %type, '>', 25, 'many');
    is(join(' ', sort keys %type), join(' ', sort keys %help),
       'each is explained');
    is(join(' ', grep { !/^# |^rush_consumer_\w+(?:\{[^}]*\})? [\d.]+$/ }
            split /\n/, $out), '', 'well-formed');
};


subtest 'wrong settings' => sub {
    foreach (@numbers) {
        my ($section, $name, $min, $max) = @$_;

        foreach my $v ($min - 1, $max + 1, 'x', '', "${min}x", '1.5',
                       '99999999999999999999')
        {
            wrong("[$section]\n$name = $v\n",
                  "FILE: [$section] \"$name\" must be a number from $min to "
                  . "$max, not \"$v\"", "$name = $v");
        }
    }

    foreach my $v ('9122', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536',
                   '127.0.0.1:x', '127.0.0.1:')
    {
        wrong("[consumer]\nlisten = $v\n", '[consumer] "listen" must be '
              . "ADDRESS:PORT or empty, not \"$v\"");
    }

    wrong("[consumer]\nname = $_\n", '[consumer] "name" must be 1 to 47 of '
          . 'A-Z a-z 0-9 . _ -') foreach 'a b', 'a/b', '%', 'a' x 48;

    wrong("[consumer]\nlog_level = loud\n", '[consumer] "log_level" must '
          . 'be debug, info, warn or error, not "loud"');
    wrong("[mysql]\n$_ =\n", '[mysql] "user" and "database" must not be '
          . 'empty') foreach qw(user database);
    wrong("[controller]\nclock_alarm = 2000\n",
          '[controller] "clock_pause" must be above "clock_alarm"');
    wrong("[redis]\ntimeout = 350\n", '[redis] "timeout" must be above '
          . '[consumer] "block" by more than 100 ms, or an idle stream looks '
          . 'like a dead server');
    wrong("[$_]\npassword_file = $dir/none\n", "[$_] \"password_file\": "
          . "cannot read \"$dir/none\": No such file or directory")
        foreach qw(redis mysql);
    wrong("[mysql]\npassword_file = $dir\n", '[mysql] "password_file": '
          . "cannot read \"$dir\": Is a directory");
};


subtest 'wrong files' => sub {
    wrong("[consumer]\nwriter = 2\n",
          'FILE: [consumer] has no setting "writer"');
    wrong("[consumers]\nwriters = 2\n",
          'FILE: [consumers] has no setting "writers"');
    wrong("writers = 2\n", 'FILE: [] has no setting "writers"');
    wrong("[consumer]\nwriters\n", 'FILE:2: not a "name = value" line');
    wrong("[consumer\n", 'FILE:1: not a "name = value" line');

    my ($rc, $out) = run({}, '-c', "$dir/none", '-t');
    is("$rc $out", "1 $dir/none: cannot read: No such file or directory\n",
       'no file');

    ($rc, $out) = conf("[consumer]\nwriters = 0\nbatch = 0\nnew = 1\n");
    is($rc, 1, 'three faults');
    is($out =~ tr/\n//, 3, 'three lines') or diag($out);

    # secrets are where packages put them
    my $text = RushTest::slurp("$RushTest::ROOT/conf/consumer.conf");
    $text =~ s!^(password_file = ).*!$1$dir/mysql.pass!mg;
    $text =~ s!^(seal_key = ).*!$1$t->{dir}/seal.key!m;
    ($rc, $out) = conf($text);
    is("$rc $out", "0 rush-consumer: the configuration is fine\n",
       'the one in conf/');
};


subtest 'limits and variables' => sub {
    # as far as rules between them allow
    my %fixed = (RUSH_REDIS_TIMEOUT => 60000,
                 RUSH_CONTROLLER_CLOCK_PAUSE => 600000);

    foreach (@numbers) {
        my ($section, $name, $min, $max) = @$_;
        my $var = variable($section, $name);

        foreach my $v ($min, $max) {
            next if $v == $min && exists $fixed{$var};
            my ($rc, $out) = run({ %fixed, $var => $v }, '-t');
            is($rc, 0, "$var=$v") or diag($out);
        }

        my ($rc, $out) = run({ $var => $max + 1 }, '-t');
        is("$rc $out", "1 $var \"$name\" must be a number from $min to "
           . "$max, not \"" . ($max + 1) . "\"\n", 'and not more');
    }

    RushTest::spew("$dir/try.conf", "[consumer]\nname = a b\n[mysql]\n"
                   . "database =\n");
    my ($rc, $out) = run({ RUSH_CONSUMER_NAME => 'ab', RUSH_MYSQL_DB => 'x' },
                         '-c', "$dir/try.conf", '-t');
    is($rc, 0, 'variables stand above the file') or diag($out);
};


subtest 'the log' => sub {
    my $d = $t->daemon('consumer');

    $d->{env}{RUSH_CONSUMER_LOG} = "$dir/none/x";
    $t->start(qw(redis mysql));
    ok(!eval { $t->start('consumer') }, 'no directory');
    is($t->log_text('consumer'), 'rush-consumer: cannot open log '
       . "\"$dir/none/x\": No such file or directory\n", 'says so');

    $d->{env}{RUSH_CONSUMER_LOG} = $log;
    $d->{env}{RUSH_CONSUMER_NAME} = 'from-the-environment';
    $t->start('consumer');
    soon('the gate opens', sub { gate_open($t) });

    my $first = (split /\n/, RushTest::slurp($log))[0];
    like($first, qr/name from-the-environment, 2 writers/, 'starts with');
    is(sprintf('%o', (stat $log)[2] & 07777), '640', 'mode');

    rename $log, "$log.1";
    kill USR1 => $t->pid('consumer');
    soon('reopened', sub { RushTest::slurp($log) =~ /"log reopened"/ });

    kill HUP => $t->pid('consumer');
    soon('HUP is harmless', sub {
        RushTest::slurp($log) =~ /settings are read at the start only/
    });
    unlike(RushTest::slurp("$log.1"), qr/settings are read/, 'the old one '
           . 'is left alone');
    ok($t->running('consumer'), 'it runs');
};


subtest 'dead letters' => sub {
    $a = $t->activity(stock => 10, limit => 2);

    my ($rc, $out) = letters('list');
    is("$rc $out", '0 ', 'none');

    $t->redis()->xadd("{a:$a}s", '*', 'x', 'y "z"');
    $t->redis()->xadd("{a:$a}s", '*', qw(e 1 t 1700000000000 p 7 g),
                      "5 k5 77-$a 1");
    soon('two', sub {
        $t->value('SELECT COUNT(*) FROM dead_letter') == 2
    });

    my ($bad, $price) = map { $_->{id} }
        $t->sql('SELECT id FROM dead_letter ORDER BY part');

    ($rc, $out) = letters('list');
    is($rc, 0, 'list');
    like($out, qr/^$bad\tactivity\ $a\tentry\ \d+-\d+\tpart\ -1\t\S+\t
         entry\ does\ not\ begin\ with\ e,\ t,\ p$/mx, 'one');
    like($out, qr/^$price\tactivity $a\t.*\tpart 0\t.*price/m, 'the other');

    ($rc, $out) = letters('show', $bad);
    is($rc, 0, 'show');
    like($out, qr/^state     open$/m, 'state');
    like($out, qr/^body      .*"x","y \\"z\\""/m, 'body');

    ($rc, $out) = letters('replay', $bad);
    is("$rc $out", "1 rush-consumer: still fails: entry does not begin with "
       . "e, t, p\n", 'replay of what nobody can read');
    ($rc, $out) = letters('replay', $price);
    is($rc, 1, 'replay without the price');
    like($out, qr/^rush-consumer: still fails: .*price/, 'says why');

    $t->insert('seckill_price', activity_id => $a, price_ver => 7,
               price => 30);
    ($rc, $out) = letters('replay', $price);
    is("$rc $out", "0 77-$a stored\n", 'replay');
    is($t->value('SELECT amount FROM orders WHERE order_no = ?', "77-$a"), 30,
       'the row');
    ($rc, $out) = letters('show', $price);
    like($out, qr/^state     replayed$/m, 'closed');

    is(join(' ', letters('discard', $bad)), '0 ', 'discard');
    is(join(' ', letters('list')), '0 ', 'none is open');

    foreach my $verb (qw(replay discard)) {
        foreach my $id ($bad, $price) {
            is(join(' ', letters($verb, $id)), "1 rush-consumer: dead letter "
               . "$id is closed\n", "$verb once more");
        }
    }

    is(join(' ', letters($_, 999)), "1 rush-consumer: there is no dead letter "
       . "999\n", "$_ of an unknown one") foreach qw(show replay discard);

    foreach my $id (undef, 'x', '', '1 ', '99999999999999999999') {
        is(join(' ', letters('show', grep { defined } $id)), '2 '
           . "rush-consumer: --dead-letters show takes the id of a letter\n",
           'no id: ' . ($id // ''));
    }

    foreach (['frobnicate'], ['frobnicate', $bad], ['list', $bad], ['']) {
        is(join(' ', letters(@$_)), '2 rush-consumer: --dead-letters list | '
           . "show ID | replay ID | discard ID\n", "wrong: @$_");
    }
};


subtest 'metrics and health' => sub {
    # the order of the letter is held by nobody in Redis
    is(($t->reconcile('--repair'))[0], 0, 'repair');

    my @orders = map { buy($t, $a, 10 + $_) } 1 .. 3;
    my $at = sub { gauge($t, 'consumer', @_) };

    soon('orders', sub { $at->('orders_total') == 3 });
    soon('acknowledged', sub {
        $at->('stream_pending') == 0 && $at->('streams') == 1
    });
    is($at->('dead_letters_total'), 2, 'letters');
    soon('none is open', sub { $at->('dead_letters_open') == 0 });
    is($at->('redis_up') . $at->('mysql_up') . $at->('controller'), '111',
       'up');
    is($at->('batch_seconds_bucket\{le="\+Inf"\}'),
       $at->('batch_seconds_count'), 'histogram');

    my $r = http("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    like($r, qr!^HTTP/1\.1\ 200\ OK\r\n.*^Content-Type:\ text/plain;
         \ version=0\.0\.4!msx, 'metrics');
    my ($head, $body) = split /\r\n\r\n/, $r, 2;
    is(($head =~ /^Content-Length: (\d+)/m)[0], length $body, 'length');

    my $h = health($t, 'consumer');
    is($h->{status}, 200, 'health');
    is_deeply({ map { $_ => $h->{json}{$_} } qw(status name lag pending) },
              { status => 'ok', name => 'from-the-environment', lag => 0,
                pending => 0 }, 'says');

    like(http("GET /x HTTP/1.0\r\n\r\n"), qr!^HTTP/1.1 404 !, 'another path');
    like(http("POST /health HTTP/1.0\r\n\r\n"), qr!^HTTP/1.1 405 !,
         'another method');
    like(http("\0" x 3000), qr!^(?:HTTP/1.1 405 |$)!, 'noise');

    # more than it serves at once, and nobody asks
    my @idle = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1:'
                     . $t->{consumer_port}{consumer}) } 1 .. 20;
    soon('idle clients are sent away', sub { health($t, 'consumer') });
    undef @idle;

    $t->stop('mysql');
    soon('without MySQL', sub { health($t, 'consumer')->{status} == 503 });
    ok(!health($t, 'consumer')->{json}{mysql}, 'says so');
    ok(health($t, 'consumer')->{json}{redis}, 'of MySQL only');
    like(join(' ', letters('list')), qr/^2\ .*^rush-consumer:\ cannot
         \ reach\ mysql$/msx, 'no letters');
    $t->start('mysql');
    soon('well again', sub { health($t, 'consumer')->{status} == 200 });
};


sub ended {
    my ($signal) = @_;
    $t->stop('consumer', $signal);
    return $t->daemon('consumer')->{status};
}


subtest 'signals' => sub {
    soon('MySQL is back', sub { leader($t) });

    my $lock = RushTest::Backend::mysql_connect($dir, 'rush');
    $lock->begin_work();
    $lock->selectrow_array('SELECT id FROM seckill_activity WHERE id = ? '
                           . 'FOR UPDATE', undef, $a);

    my $no = buy($t, $a, 20);
    soon('a batch is under way', sub {
        $t->redis()->xpending("{a:$a}s", 'rush')->[0]
    });

    kill TERM => $t->pid('consumer');
    soon('heard', sub { RushTest::slurp($log) =~ /"signal 15, batches/ });
    ok($t->running('consumer'), 'it does not drop the batch');

    $lock->rollback();
    soon('it ends', sub { !$t->running('consumer') });
    is($t->daemon('consumer')->{status}, 0, 'exit 0');
    is($t->value('SELECT COUNT(*) FROM orders WHERE order_no = ?', $no), 1,
       'the batch is stored');
    is($t->redis()->xpending("{a:$a}s", 'rush')->[0], 0, 'and acknowledged');

    $t->start('consumer');
    is(ended('INT'), 0, 'INT');
    $t->start('consumer');
    is(ended('QUIT'), 0, 'QUIT');

    $t->start('consumer');
    soon('it works', sub { leader($t) });
    $t->stop('redis');
    soon('Redis is away', sub { !health($t, 'consumer')->{json}{redis} });
    is(ended('TERM'), 0, 'TERM without Redis');
    like(join(' ', $t->reconcile()), qr/^2 .*^reconcile: mysql or redis /ms,
         'nothing to reconcile');
    $t->start('redis');
};


subtest 'a busy port' => sub {
    $t->start('consumer');

    my ($rc, $out) = $t->consumer_run();
    is($rc, 1, 'exit');
    like($out, qr/^"listen" 127\.0\.0\.1:\d+: Address already in use$/m,
         'says so');
};


subtest 'secrets' => sub {
    my @secrets = map { RushTest::slurp("$dir/$_.pass") =~ /(\S+)/ }
        qw(rush_consumer mysql);

    is(scalar @secrets, 2, 'two');
    unlike(RushTest::slurp('/proc/' . $t->pid('consumer') . '/cmdline'),
           qr/$_/, 'command line') foreach @secrets;
    $t->stop('consumer');

    # with passwords that nobody takes
    RushTest::spew("$dir/wrong.pass", "not-the-secret-of-anybody\n", 0600);
    my $env = $t->daemon('consumer')->{env};
    $env->{RUSH_REDIS_PASSWORD_FILE} = "$dir/wrong.pass";
    $env->{RUSH_MYSQL_PASSWORD_FILE} = "$dir/wrong.pass";
    $env->{RUSH_CONSUMER_LOG_LEVEL} = 'debug';
    $t->start('consumer');
    soon('refused by both', sub {
        my $text = RushTest::slurp($log);
        $text =~ /WRONGPASS/ && $text =~ /Access denied/
    });
    is(ended('TERM'), 0, 'TERM without anybody');

    my $text = join '', map { RushTest::slurp($_) } $log, "$log.1";
    my @lines = split /\n/, $text;
    my @bad = grep {
        my $line = eval { decode_json($_) };
        !$line || join(' ', sort keys %$line) ne 'level message thread time'
            || $line->{level} !~ /^(?:debug|info|warn|error|alert)$/
            || $line->{time} !~ /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/
    } @lines;

    cmp_ok(scalar @lines, '>', 30, 'many lines');
    is(join("\n", @bad), '', 'each is JSON');
    unlike($text, qr/$_/, 'no password') foreach @secrets, 'not-the-secret';
};


$t->finish();
done_testing();
