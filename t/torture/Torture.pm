package Torture;

# Copyright (C) Rush
#
# The system under torture: nginx with one worker and one consumer, both with
# the preloaded library, both before Redis with a proxy that lies.
#
#   my $h = Torture->new();           { t => RushTest, sale => its Sale, ... }
#   $h->arm($who, $kind, $n, %o)      $who: worker, master, any (of nginx),
#                                     consumer, start (of it), tool;
#                                     $kind: alloc pool slab mysql connect
#                                     socket send recv, or a lie of Resp; o:
#                                     error, after, times
#   $h->disarm()                      { seen, hits, where }
#   $h->run($daemon, @args)           its program once more, as "tool"
#   $h->fail($what)                   a finding; findings() all of them
#   $h->calm_down($what)              all that must hold at the end of a part

use warnings;
use strict;

use POSIX ();
use Time::HiRes qw(time sleep);

use Resp;
use RushTest;
use RushTest::Raw;
use RushTest::Provider;
use RushTest::Sale;
use Test::More ();
use Trade;

my %KIND = (alloc => 1, slab => 2, mysql => 4, connect => 8, socket => 16,
            send => 32, recv => 64, pool => 128);
my $SIZE = 1024;
my $HEAD = 'l L L L Q Q Q Q q l L L';       # see wrap.h

# what nginx refuses by itself has the envelope as well, see conf/nginx.conf
my $SERVER = <<'EOC';
        location = /stub { stub_status; }
        error_page 400 403 404 405 413 414 500 502 503 504 /_rush_error;
        error_page 494 =431 /_rush_error;
        location = /_rush_error { internal; rush_error; }
EOC

# MySQL: error, what else; "after": the server has done it
our @MYSQL = ([2006], [2013], [2013, after => 1], [1205], [1213], [1062],
              [1114]);

our %CODES;                                 # all that may be answered


sub new {
    my ($class, %o) = @_;

    my $self = bless { findings => [], rows => [], %o }, $class;

    %CODES = (0 => 1, map { $_ => 1 }
        RushTest::slurp("$RushTest::ROOT/shared/rush_errors.h")
            =~ /^\s+E\(\w+,\s+(\d+),/mg);

    my $t = $self->{t} = RushTest->new(
        start => 0, proxy => [qw(nginx_redis consumer_redis)],
        nginx => { workers => 1, connections => 512,
                   extra_server => $SERVER, extra_http => Trade::conf() },
        consumer_conf => { controller => { reconcile => 0 },
                           Trade::CONSUMER() });

    RushTest::Provider::add($t, RushTest::Backend::free_port());

    $self->own_proxies();

    # the loader keeps what it took, and is not known behind our malloc();
    # MariaDB's library loses the columns of a statement when one has no
    # memory: their rows when it prepares, the block they are unpacked into
    # when it executes
    RushTest::spew("$t->{dir}/lsan", "leak:dl_open_worker\nleak:_dl_\n"
                   . "leak:mysql_stmt_prepare\nleak:mysql_stmt_execute\n"
                   . "leak:mysql_real_query\n");

    foreach my $name (qw(nginx consumer)) {
        my $env = $t->daemon($name)->{env};

        RushTest::spew("$t->{dir}/$name.torture", "\0" x $SIZE);
        open $self->{file}{$name}, '+<:raw', "$t->{dir}/$name.torture"
            or die "$name.torture: $!";

        $env->{RUSH_TORTURE_FILE} = "$t->{dir}/$name.torture";
        $env->{LD_PRELOAD} = join ' ', "$RushTest::BUILD/wrap.so",
            $env->{LD_PRELOAD} // ();
        $env->{LSAN_OPTIONS} = "suppressions=$t->{dir}/lsan"
            . ':print_suppressions=0';
        $env->{ASAN_OPTIONS} .= ':verify_asan_link_order=0'
            . ':allocator_may_return_null=1:fast_unwind_on_malloc=0';
        $env->{ASAN_OPTIONS} =~ s/detect_leaks=0/detect_leaks=1/
            && ($env->{ASAN_OPTIONS} .= ':leak_check_at_exit=0');
    }

    # nginx says so itself
    RushTest::spew("$t->{dir}/tool.torture", "\0" x $SIZE);
    open $self->{file}{tool}, '+<:raw', "$t->{dir}/tool.torture"
        or die "tool.torture: $!";

    $t->allow(qr/\[emerg\].* (?:malloc|posix_memalign)\(.*\(12: /);
    $t->start(qw(redis mysql consumer nginx));
    $t->wait_ready();

    $self->{activity} = $t->activity(stock => 1_000_000);
    $self->{empty} = $t->activity(stock => 0);
    $self->{sale} = RushTest::Sale->new($t, $self->{activity});
    $self->base();

    return $self;
}


# what is held now is what is held when nothing is going on

sub base {
    my ($self) = @_;
    $self->{base} = $self->held();
    $self->lost('start');
}


sub own_proxies {
    my ($self) = @_;

    my $t = $self->{t};

    foreach my $edge (keys %{$t->{proxies}}) {
        my $listen = $t->{proxies}{$edge}{listen};

        $t->{proxies}{$edge}->stop();
        $t->{proxies}{$edge} = Resp->new(listen => $listen,
                                         target => "$t->{dir}/redis.sock");
    }
}


sub worker {
    my ($self) = @_;
    return ($self->{t}->workers())[0] // 0;
}


# --- what fails ---

sub arm {
    my ($self, $who, $kind, $n, %o) = @_;

    my $daemon = { consumer => 'consumer', start => 'consumer',
                   tool => 'tool' }->{$who} // 'nginx';
    my $pid = $who eq 'worker' ? $self->worker()
        : $who =~ /^(?:any|start|tool)$/ ? -1
        : $self->{t}->pid($daemon);

    $self->{armed} = [$daemon, $kind];

    if (!$KIND{$kind}) {
        $self->{t}->proxy("${daemon}_redis")->arm($n, $kind);
        return;
    }

    # the kind is what makes it fire: last
    my $head = pack $HEAD, $pid, 0, $o{error} // 0, $o{after} // 0, $n,
        $o{times} // 1, 0, 0, 0, 0, 0, 0;

    $self->put($daemon, 0, $head . "\0" x ($SIZE - length $head));
    $self->put($daemon, 4, pack 'L', $KIND{$kind});
}


sub disarm {
    my ($self) = @_;

    my ($daemon, $kind) = @{$self->{armed}};

    return $self->{t}->proxy("${daemon}_redis")->disarm() if !$KIND{$kind};

    $self->put($daemon, 4, pack 'L', 0);
    sysseek $self->{file}{$daemon}, 0, 0;
    my $in;
    sysread $self->{file}{$daemon}, $in, $SIZE;

    my (undef, undef, undef, undef, undef, undef, $seen, $hits)
        = unpack $HEAD, $in;

    return { seen => $seen, hits => $hits,
             where => unpack 'Z*', substr $in, 72 };
}


# whether it has fired, while it is armed

sub fired {
    my ($self) = @_;

    my ($daemon) = @{$self->{armed}};

    sysseek $self->{file}{$daemon}, 0, 0;
    my $in;
    sysread $self->{file}{$daemon}, $in, $SIZE;

    return (unpack $HEAD, $in)[7];
}


sub put {
    my ($self, $daemon, $at, $bytes) = @_;
    sysseek $self->{file}{$daemon}, $at, 0;
    syswrite $self->{file}{$daemon}, $bytes;
}


# "object+offset ..." to functions

sub place {
    my ($self, $where) = @_;

    my @names;

    foreach my $frame (split ' ', $where // '') {
        my ($object, $at) = $frame =~ /^(\S+)\+(0x[0-9a-f]+)$/ or next;
        my $name = $self->{names}{$frame}
            //= `addr2line -f -e $object $at 2>/dev/null` // '';

        $name =~ s/\n.*//s;
        next if $name =~ /^__wrap_|^\?\?$|^torture_|^(?:m|c|re)alloc$/;
        push @names, $name;
        last if @names >= 6;
    }

    return @names ? join ' < ', @names : $where // '';
}


# a program of its own, as "tool": (how it ended, what it said)

sub run {
    my ($self, $name, @args) = @_;

    my $t = $self->{t};
    my ($argv, $env) = @{$t->daemon($name)}{qw(argv env)};

    local @ENV{keys %$env} = values %$env;
    local $ENV{RUSH_TORTURE_FILE} = "$t->{dir}/tool.torture";

    my $pid = open(my $fh, '-|') // die "fork: $!";

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        { exec @$argv, @args };
        POSIX::_exit(127);
    }

    local $/;
    my $out = <$fh> // '';
    close $fh;

    return (ending($?), $out);
}


sub ending {
    my ($status) = @_;
    return $status & 127 ? 'signal ' . ($status & 127)
        : 'exit ' . ($status >> 8);
}


# --- findings ---

sub fail {
    my ($self, $what) = @_;
    print "    FAIL $what\n" if push(@{$self->{findings}}, $what) <= 100;
    $self->{failed}++;
    return;
}


sub findings {
    my ($self) = @_;
    return @{$self->{findings}};
}


# serving again, without help

sub ready {
    my ($self, $what) = @_;

    my $t = $self->{t};

    foreach (1 .. 1200) {
        my $r = $t->get('/ready', fresh => 1, record => 0, timeout => 3);
        return 1 if $r->{status} == 200;
        $self->{unready} = $r->{body};
        sleep 0.01;
    }

    return $self->fail("$what: not ready again: $self->{unready}");
}


# what the worker holds: clients, descriptors

sub held {
    my ($self) = @_;

    my $t = $self->{t};

    delete $t->{http};
    my $r = $t->get('/stub', fresh => 1, record => 0);
    my ($active) = $r->{body} =~ /Active connections: (\d+)/;
    my @fds = glob '/proc/' . $self->worker() . '/fd/*';

    return { clients => $active // -1, fds => scalar @fds };
}


# Blocks of the worker that nothing points to any more, beyond those that
# nginx itself lost when it started

sub lost {
    my ($self, $what) = @_;

    my $t = $self->{t};
    my $worker = $self->worker();

    $self->put('nginx', 56, pack 'l', $worker);
    $self->put('nginx', 60, pack 'L', 1);

    $t->wait_for(sub {
        $t->get('/health', fresh => 1, record => 0);
        my $in;
        sysseek $self->{file}{nginx}, 60, 0;
        sysread $self->{file}{nginx}, $in, 4;
        return unpack('L', $in) == 0;
    }, 20, 'the leak check') or return $self->fail("$what: no leak check");

    my $text = RushTest::slurp("$t->{dir}/asan.$worker");
    my ($last) = $text =~ /.*(^=+\n==\d+==ERROR: LeakSanitizer.*)/ms;
    my ($n) = ($last // '') =~ /leaked in (\d+) alloc/ ? $1 : 0;

    $self->{lost}{$worker} //= $n;
    $self->fail("$what: lost blocks: " . substr $last, 0, 3000)
        if $n > $self->{lost}{$worker};
    $self->{lost}{$worker} = $n;
}


# files of sanitizers with more in them than the leak checks above

sub reports {
    my ($self) = @_;

    my $dir = $self->{t}{dir};
    my @files;

    foreach my $file (glob "$dir/asan.* $dir/ubsan.*") {
        my $text = RushTest::slurp($file);

        $text =~ s/^=+\n==\d+==ERROR: LeakSan.*?^SUMMARY: [^\n]*\n//gms
            if $file =~ /\.(\d+)$/ && exists $self->{lost}{$1};
        push @files, $file if $text =~ /\S/;
    }

    return @files;
}


# of them those that nobody was told of

sub new_reports {
    my ($self) = @_;
    return grep { !$self->{told}{$_}++ } $self->reports();
}


# a line of the table

sub report {
    my ($self, $part, $flow, $n, $fails, %ends) = @_;

    $self->{injected} += $fails;

    printf "%-13s %-16s %5d %5d  %-36s %s\n", $part, $flow, $n, $fails,
        join(' ', map { "$_:$ends{$_}" } sort keys %ends),
        $self->{failed} ? 'FAIL' : 'ok'
        if $fails || $self->{failed} || $self->{o}{verbose};
}


# the files of leak checks that found nothing new

sub tidy {
    my ($self) = @_;

    my %bad = map { $_ => 1 } $self->reports();
    unlink grep { !$bad{$_} } glob "$self->{t}{dir}/asan.*";
}


# any other answer than these says what is not so

sub calm_down {
    my ($self, $part, %o) = @_;

    my $t = $self->{t};

    $self->ready($part);

    # one check of the sale, its TAP kept for the case that it fails
    my $out = '';
    my $tb = Test::More->builder;
    my @to = ($tb->output(), $tb->failure_output(), $tb->todo_output());

    open my $fh, '>', \$out or die;
    $tb->output($fh);
    $tb->failure_output($fh);
    $tb->todo_output($fh);

    # what lies about Redis may rightly be reported
    $t->do('DELETE FROM alarm') if $o{alarms};

    my $ok = eval { $self->{sale}->resolve()
                        && $self->{sale}->check($part, within => 20) };
    $out .= "# $@" if $@;

    $tb->output($to[0]);
    $tb->failure_output($to[1]);
    $tb->todo_output($to[2]);

    $self->fail("$part: the books:\n" . join '', map { "      $_\n" }
                grep { /not ok|^\s*#/ } split /\n/, $out) if !$ok;

    $self->lost($part);

    my $now;
    $t->wait_for(sub {
        $now = $self->held();
        return $now->{clients} <= 1
            && $now->{fds} <= $self->{base}{fds} + 6;
    }, 6, 'clients and descriptors')
        or $self->fail("$part: held: $now->{clients} clients, $now->{fds} "
                       . "descriptors; before: $self->{base}{fds}");

    return $ok;
}


1;
