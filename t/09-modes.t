#!/usr/bin/perl

# Copyright (C) Rush
#
# The modes of the suite do what they say: small files are run in each, one of
# them with a worker that leaks.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use RushTest;
use Test::More;

plan(skip_all => 'modes are tried from outside of them')
    if $RushTest::Mode::MODE ne '';

my $dir = tempdir(CLEANUP => 1);
my $BARE = 'mysql => 0, consumer => 0, ready => 0';


# a test in a mode: all it printed, and whether it passed

sub run_in {
    my ($mode, $code) = @_;

    RushTest::spew("$dir/a.t", <<"EOC");
use warnings;
use strict;
use lib '$FindBin::Bin/lib';
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);
$code
\$t->finish();
done_testing();
EOC

    local $ENV{RUSH_MODE} = $mode;
    delete local $ENV{RUSH_RECORD};

    my $out = `$^X $dir/a.t 2>&1 < /dev/null`;
    return ($out, $? == 0);
}


sub passes {
    my ($mode, $code, @like) = @_;

    my ($out, $passed) = run_in($mode, $code);

    ok($passed, "$mode: passes") or diag($out);
    like($out, $_, "$mode: $_") foreach @like;
}


sub fails {
    my ($mode, $code, @like) = @_;

    my ($out, $passed) = run_in($mode, $code);

    ok(!$passed, "$mode: fails") or diag($out);
    like($out, $_, "$mode: $_") foreach @like;
}


# --- hup ---

passes('hup', <<"EOC", qr/^# mode hup: [2-9] reloads$/m, qr/^# [4-9] workers/m);
my \$t = RushTest->new($BARE, nginx => { workers => 1 });
my (%pids, \$end);
for (\$end = time() + 3.5; time() < \$end; sleep 0.1) {
    \$t->get('/health');
    \$pids{\$_} = 1 foreach \$t->workers();
}
note(keys(%pids) + 1, ' workers');
EOC

fails('hup', <<"EOC", qr/it was never reloaded/);
my \$t = RushTest->new($BARE);
no warnings 'redefine';
local *RushTest::reload = sub { 0 };
my \$end;
for (\$end = time() + 3.5; time() < \$end; sleep 0.1) { \$t->get('/health') }
EOC

# left alone: while a test says so, and while it listens to a stream

foreach my $still ('$RushTest::Mode::still = 1;',
                   'my $s = RushTest::Events::dial($t->port());')
{
    fails('hup', <<"EOC", qr/it was never reloaded/);
use RushTest::Events;
my \$t = RushTest->new($BARE);
$still
my \$end;
for (\$end = time() + 3.5; time() < \$end; sleep 0.1) { \$t->get('/health') }
EOC
}


# --- processes ---

foreach (['single', 0], ['one', 1], ['four', 4]) {
    my ($mode, $n) = @$_;

    passes($mode, <<"EOC", qr/^# mode $mode: 1 nginx with $n children$/m);
my \$t = RushTest->new($BARE, nginx => { workers => 2 });
is(\$t->get('/health')->{status}, 200, 'serves');
is(scalar(\$t->daemon('nginx')->children()), $n, 'children');
EOC
}

fails('four', <<"EOC", qr/mode four: not so/);
my \$t = RushTest->new($BARE);
no warnings 'redefine';
local *RushTest::Daemon::children = sub { return (1) x 3 };
\$t->get('/health');
EOC

passes('single', <<"EOC", qr/ok 1 # skip mode single: no master/);
my \$t = RushTest->new($BARE);
subtest 'a worker dies' => sub {
    RushTest::Mode::needs_master();
    fail('it ran');
};
EOC

{
    local $ENV{RUSH_MODE} = 'hup';
    my $out = `$^X $FindBin::Bin/60-reload.t 2>&1 < /dev/null`;
    is($out, "1..0 # SKIP mode hup: it reloads by itself\n", 'a whole file');
}


# --- bytewise ---

passes('bytewise', <<"EOC", qr/^# mode bytewise: 2 edges byte by byte$/m);
my \$t = RushTest->new($BARE);
is(\$t->get('/health')->{status}, 200, 'serves');

# as nginx does; how many of them a read finds is up to the machine
my \$before = \$t->proxy('nginx_redis')->stats()->{writes};
my \$s = IO::Socket::UNIX->new(Peer => \$t->edge('nginx', 'redis'));
my \$in = '';
print \$s "ECHO ", 'x' x 1000, "\\r\\n";
\$s->flush();
1 while length \$in < 1008 && sysread \$s, \$in, 65536, length \$in;

my \$stats = \$t->proxy('nginx_redis')->stats();
cmp_ok(\$stats->{writes} - \$before, '>=', 1008, 'a write for each byte');
cmp_ok(\$stats->{connections}, '>', 2, 'nginx comes this way');
EOC


# --- leak ---

RushTest::spew("$dir/leak.c", <<'EOC');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* each turn of the event loop loses as many bytes as the environment says */

static int  size;

__attribute__((constructor)) static void
init(void)
{
    size = atoi(getenv("RUSH_TEST_LEAK"));
}

int
epoll_wait(int ep, struct epoll_event *events, int n, int timeout)
{
    char  *p = malloc(size);
    int  (*real)(int, struct epoll_event *, int, int);

    memset(p, 1, size);
    real = dlsym(RTLD_NEXT, "epoll_wait");
    return real(ep, events, n, timeout);
}
EOC

system($ENV{CC} || 'cc', '-shared', '-fPIC', '-O0', '-o', "$dir/leak.so",
       "$dir/leak.c") == 0 or die "leak.c does not compile\n";

# a sanitizer has an allocator of its own, which keeps what was freed
foreach my $size ($RushTest::SANITIZE ? () : (16, 512)) {
    my $code = <<"EOC";
my \$t = RushTest->new($BARE, start => 0, nginx => { workers => 1 });
\@{\$t->daemon('nginx')->{env}}{qw(LD_PRELOAD RUSH_TEST_LEAK)}
    = ('$dir/leak.so', $size);
\$t->start();
\$t->get('/health');
EOC

    if ($size < 100) {
        passes('leak', $code, qr/^# mode leak: 1 kinds of requests repeated/m);
    } else {
        fails('leak', $code, qr!^not ok \d+ - GET /health 200: \d\.\d\d, !m);
    }
}

done_testing();
