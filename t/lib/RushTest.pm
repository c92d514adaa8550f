package RushTest;

# Copyright (C) Rush
#
# Test harness: a private Redis, MariaDB, consumers and nginx in one temporary
# directory, unix sockets behind, one free TCP port in front.  Every file
# ends with "$t->finish(); done_testing();": finish() stops everything and
# adds three checks: no alert in an nginx log, no sanitizer report, no
# process left.
#
#   use FindBin; use lib "$FindBin::Bin/lib";
#   use RushTest; use Test::More;
#
#   my $t = RushTest->new();                    # everything, defaults
#   my $a = $t->activity(stock => 3);           # id, on sale when it returns
#   my $r = $t->post("/api/v1/seckill/activities/$a/buy", {}, user => 7);
#   is($r->{code}, 0);
#   $t->finish();
#   done_testing();
#
# new(%o)
#   nginx        0, or { workers => 2, limits => 'off' | 'default' | { buy =>
#                'rate=5r/s burst=10', ... }, extra_main, extra_http,
#                extra_server, extra_location => text, zones => text,
#                apis => 'rush_api; user_api; seckill_api;',
#                modules => [qw(rush_core user seckill)],
#                redis_args, mysql_args => text, verify => 'off' or 'on',
#                level => 'info', node_id => 1,
#                straight => 1 (proxies are for other nodes) }
#   redis        0, or { appendfsync => 'always', extra => text }
#   mysql        0, or { extra => text }
#   consumer     number of daemons, default 1
#   consumer_conf  { section => { key => value } } over the defaults
#   courier      1: consumers deliver codes, into a file: messages(), code()
#   proxy        [qw(nginx_redis nginx_mysql consumer_redis consumer_mysql)]
#                puts a RushTest::Proxy on that edge: $t->proxy($name)
#   allow        [qr/../] alerts this file expects
#   failpoints   1: takes the build with failpoints
#   start        0: start() the daemons yourself
#   ready        0: does not wait until /ready says yes (wait_ready())
#
# Requests: get put post del patch ($path[, $data], %o); request($method,
# $path, %o).  $data is encoded as JSON.  %o: user => id or token => text
# (Authorization), admin => 1, key => Idempotency-Key, headers => {}, body =>
# raw text, type => content type, node => 'node2', fresh => 1 (a connection
# of its own), timeout.  Answer: { status, headers, body, code, json, error }
# (code is the envelope's, undef when there is none; status 599: no answer).
#   burst(\@requests, %o)   each { method, path, data, ...%o above }; o: conns
#                => 64, timeout => 30, sync => 1 (last byte of all at once),
#                raw => 1 (no json); answers in the order of requests
#   raw($bytes, %o)         bytes on a new connection, all that came back
#   connect([$node])        a plain socket
#
# Accounts: register($name, $password) login($name, $password) -> answer;
#   token($user, %claims) minted offline with the key; admin_token()
#   send_code($scene, $target, %o) -> answer; code($target) the newest one that
#   was delivered, waits for it; messages() all of them, decoded
# Data: activity(%o) product(%o) buy($activity, $user, %o) sql($text, @bind)
#   -> rows as hashes; value($text, @bind); do($text, @bind); db() DBI handle;
#   all_rows() of MySQL as a text;
#   redis() Redis handle (all rights); meta($activity) hash; live_orders($id)
# Waiting: wait_for($sub, $seconds, $what) true value or undef and a diag;
#   wait_steady(the same): three times in a row, for what workers agree on;
#   wait_ready([$node]) /ready on every worker, wait_known($node) and all that
#   is on sale was seen, wait_loaded($activity) on every node
# Daemons ('nginx', 'node2', 'redis', 'mysql', 'consumer', 'consumer2'):
#   start stop kill($name[, $signal]) restart pause resume pid workers
#   worker_count($name)
#   reload($name) kill_worker($name) running; log_text($name);
#   node(%nginx) starts a second nginx and returns its name
#   (ready => 0: at once)
#   reconcile(@args) -> ($exit, $output); consumer_run(@args) likewise
#   failpoint($name, $action, $countdown): off, kill, sleep (3 s, or until it
#   is off) or error at the countdown-th pass; failpoint_hits($name) since then
#   allow(qr/../)
# Secrets: secret($text) no log may have it, see RushTest/Secrets.pm

use warnings;
use strict;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use Test::More ();
use Time::HiRes qw(time sleep);

use RushTest::Backend;
use RushTest::Daemon;
use RushTest::Data;
use RushTest::HTTP;
use RushTest::Mode;
use RushTest::Proxy;
use RushTest::Secrets;

our @ISA = qw(RushTest::Backend RushTest::Data RushTest::HTTP
              RushTest::Secrets);

our $ROOT = abs_path(dirname(__FILE__) . '/../..');
our $SANITIZE = $ENV{RUSH_SANITIZE} ? 1 : 0;
our $BUILD = $ENV{RUSH_BUILD}
    || "$ROOT/" . ($SANITIZE ? 'build-asan' : 'build');
our $NGINX = $ENV{RUSH_NGINX} || '/usr/sbin/nginx';
our $SLOW = $SANITIZE ? 3 : 1;          # factor of all time limits

my %alive;


sub new {
    my ($class, %o) = @_;

    RushTest::Mode::begin();

    my $self = bless {
        owner => $$,
        dir => tempdir('rush-t.XXXXXX', DIR => $ENV{RUSH_TMP} || '/tmp'),
        daemon => {},
        order => [],
        proxies => {},
        allowed => [@{$o{allow} || []}],
        build => $o{failpoints} ? failpoint_build() : $BUILD,
        opt => \%o,
    }, $class;

    chmod 0755, $self->{dir};
    $alive{$self->{dir}} = $self;

    $SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 1 };
    $SIG{PIPE} = 'IGNORE';

    $self->write_secrets();
    $self->add_redis($o{redis}) if $o{redis} // 1;
    $self->add_mysql($o{mysql}) if $o{mysql} // 1;

    foreach my $edge (@{$o{proxy} || []}) {
        my ($to) = $edge =~ /_(redis|mysql)$/ or die "no edge $edge\n";
        $self->{proxies}{$edge} = RushTest::Proxy->new(
            listen => "$self->{dir}/$edge.sock",
            target => "$self->{dir}/$to.sock");
    }

    foreach my $edge (RushTest::Mode::edges()) {
        next if $self->{proxies}{$edge};
        my ($to) = $edge =~ /_(redis|mysql)$/;
        $self->{proxies}{$edge} = RushTest::Proxy->new(
            listen => "$self->{dir}/$edge.sock",
            target => "$self->{dir}/$to.sock");
        $self->{proxies}{$edge}->bytewise();
    }

    $self->add_consumer($_) foreach 1 .. ($o{consumer} // 1);
    $self->add_nginx('nginx', $o{nginx}) if $o{nginx} // 1;

    if ($o{start} // 1) {
        $self->start();
        $self->wait_ready() if $o{ready} // 1;
    }

    return $self;
}


sub start {
    my ($self, @names) = @_;

    foreach my $name (@names ? @names : @{$self->{order}}) {
        my $d = $self->daemon($name);
        $d->start();
        delete $self->{dbh} if $name eq 'mysql';
        delete $self->{redis} if $name eq 'redis';
    }

    return $self;
}


sub stop {
    my ($self, $name, $signal) = @_;
    $self->daemon($name)->stop($signal);
    return $self;
}


sub kill {
    my ($self, $name, $signal) = @_;
    $self->allow(qr/worker process \d+ exited on signal/)
        if $self->daemon($name)->{nginx};
    $self->daemon($name)->kill($signal || 'KILL');
    return $self;
}


sub restart {
    my ($self, $name) = @_;
    $self->stop($name);
    return $self->start($name);
}


sub pause  { my ($self, $n) = @_; CORE::kill STOP => $self->pid($n) }
sub resume { my ($self, $n) = @_; CORE::kill CONT => $self->pid($n) }


sub daemon {
    my ($self, $name) = @_;
    return $self->{daemon}{$name} || die "no daemon \"$name\"\n";
}


sub running {
    my ($self, $name) = @_;
    return $self->daemon($name)->running();
}


sub pid {
    my ($self, $name) = @_;
    return $self->daemon($name)->{pid};
}


sub proxy {
    my ($self, $name) = @_;
    return $self->{proxies}{$name} || die "no proxy \"$name\"\n";
}


# pids of the workers that serve now, not of those shutting down

sub workers {
    my ($self, $name) = @_;
    return $self->daemon($name || 'nginx')->workers();
}


# how many there should be

sub worker_count {
    my ($self, $name) = @_;
    return $self->daemon($name || 'nginx')->{workers};
}


sub kill_worker {
    my ($self, $name, $signal) = @_;

    my ($pid) = $self->workers($name);

    $self->allow(qr/worker process \d+ exited on signal/);
    CORE::kill $signal || 'KILL', $pid;

    $self->wait_for(sub {
        my @now = $self->workers($name);
        return @now && !grep { $_ == $pid } @now;
    }, 5, 'a new worker') or return;

    return $pid;
}


# returns when the old workers are gone, or after the time limit (wait => 0:
# at once)

sub reload {
    my ($self, $name, %o) = @_;

    my %old = map { $_ => 1 } $self->workers($name);

    CORE::kill HUP => $self->pid($name || 'nginx');

    return $self->wait_for(sub {
        my @now = $self->workers($name);
        return @now && !grep { $old{$_} } @now;
    }, $o{wait} // 10, 'new workers');
}


sub log_text {
    my ($self, $name) = @_;
    return slurp($self->daemon($name)->{log});
}


sub allow {
    my ($self, @patterns) = @_;
    push @{$self->{allowed}}, @patterns;
    return $self;
}


sub wait_for {
    my ($self, $sub, $timeout, $what) = @_;

    my $end = time() + ($timeout // 10) * $SLOW;
    my $pause = 0.005;

    while (1) {
        my $v = $sub->();
        return $v if $v;
        last if time() > $end;
        sleep $pause;
        $pause = $pause < 0.05 ? $pause * 1.5 : 0.05;
    }

    Test::More::diag("waited in vain for " . ($what // 'a condition'));
    return;
}


# what all workers must agree on: many requests at once may all have met the
# same one, so they do three times

sub wait_steady {
    my ($self, $sub, @o) = @_;

    return $self->wait_for(sub {
        foreach (1 .. 3) {
            $sub->() or return;
            sleep 0.05;
        }
        return 1;
    }, @o);
}


# sanitized builds have them; else they are in a build of its own

sub failpoint_build {
    my $dir = $SANITIZE ? $BUILD : "$BUILD/fp";

    -x "$dir/rush-consumer" or die "$dir is not built: ./build.sh test\n";

    return $dir;
}


# the failpoint file is mapped by running processes: written in place

sub failpoint {
    my ($self, $name, $action, $countdown) = @_;

    my %code = (off => 0, kill => 1, sleep => 2, error => 3);
    my $all = $self->{failpoints} ||= {};

    # counted before it has a place of its own
    my $n = keys %$all;
    my $at = $all->{$name} //= $n;

    open my $fh, '+<', "$self->{dir}/failpoints" or die "failpoints: $!";
    sysseek $fh, 32 * $at, 0;
    syswrite $fh, pack('a16 L L Q', $name, $code{$action} // die("action"),
                       $countdown // 1, 0);
    close $fh;
}


sub failpoint_hits {
    my ($self, $name) = @_;
    my $at = $self->{failpoints}{$name} // return 0;
    return unpack 'x24 Q', substr slurp("$self->{dir}/failpoints"), 32 * $at;
}


# --- the end ---

sub stop_all {
    my ($self) = @_;

    delete $self->{http};

    my %rank = (redis => 3, mysql => 2, consumer => 1);
    my $rank = sub { $rank{$_[0] =~ /^([a-z]+)/ ? $1 : ''} || 0 };
    my @late;

    foreach my $name (sort { $rank->($a) <=> $rank->($b) || $a cmp $b }
                      keys %{$self->{daemon}})
    {
        my $d = $self->{daemon}{$name};
        # its data is thrown away
        my $clean = $name eq 'mysql' ? $d->kill('KILL') : $d->stop();
        push @late, $name if !$clean;
    }

    $_->stop() foreach values %{$self->{proxies}};

    delete $self->{dbh};
    delete $self->{redis};

    return @late;
}


sub problems {
    my ($self) = @_;

    my @late = $self->stop_all();
    my (@alerts, @reports);

    foreach my $d (grep { $_->{nginx} } values %{$self->{daemon}}) {
        open my $fh, '<', $d->{log} or next;
        while (my $line = <$fh>) {
            next if $line !~ /\[(?:alert|crit|emerg)\]/;
            next if grep { $line =~ $_ } @{$self->{allowed}};
            push @alerts, $line;
        }
    }

    push @reports, "$_:\n" . substr slurp($_), 0, 4000
        foreach glob "$self->{dir}/asan.* $self->{dir}/ubsan.*";

    # nginx clears its environment: what is reported late goes to stderr
    foreach my $d ($SANITIZE ? values %{$self->{daemon}} : ()) {
        my $text = slurp($d->{log});
        my $re = qr/^.*(?:Sanitizer: |: runtime error: )/m;
        push @reports, "$d->{log}:\n" . substr $text, $-[0], 4000
            if $text =~ $re;
    }

    my %ours = map { $_ => 1 } map { @{$_->{sessions}} }
        values %{$self->{daemon}};
    my @left;

    # who was told to end may need a moment
    foreach (1 .. 20) {
        @left = grep { $ours{RushTest::Daemon::session($_)} }
            map { m!(\d+)! } glob '/proc/[0-9]*';
        last if !@left;
        select undef, undef, undef, 0.05;
    }

    CORE::kill KILL => @left if @left;

    return (\@alerts, \@reports, [(map { "$_ had to be killed" } @late),
                                  map { "pid $_" } @left], [$self->told()]);
}


sub finish {
    my ($self) = @_;

    return if !delete $alive{$self->{dir}};

    my ($alerts, $reports, $left, $told) = $self->problems();

    Test::More::is(join('', @$alerts), '', 'no alerts in nginx logs');
    Test::More::is(join("\n", @$reports), '', 'no sanitizer reports');
    Test::More::is(join("\n", @$told), '', 'no secret in a log');
    Test::More::is(join(', ', @$left), '', 'no process left');

    $self->clean(@$alerts || @$reports || @$told || @$left);
}


sub clean {
    my ($self, $bad) = @_;

    if ($ENV{RUSH_KEEP} || $bad || !Test::More->builder->is_passing()) {
        Test::More::diag("logs are kept in $self->{dir}");
        remove_tree("$self->{dir}/mysql") if !$ENV{RUSH_KEEP};
        return;
    }

    remove_tree($self->{dir});
}


sub DESTROY {
    my ($self) = @_;

    return if $self->{owner} != $$ || !delete $alive{$self->{dir}};

    local $?;
    $self->stop_all();
    $self->clean(1);
}


# a file that died or forgot finish()

END {
    my $rc = $?;

    foreach my $self (grep { $_->{owner} == $$ } values %alive) {
        my @bad = map { @$_ } $self->problems();

        Test::More::diag($_) foreach @bad;
        $rc ||= 1 if @bad;
        delete $alive{$self->{dir}};
        $self->clean($rc);
    }

    $? = $rc;
}


sub slurp {
    my ($path) = @_;
    open my $fh, '<:raw', $path or return '';
    local $/;
    my $text = <$fh>;
    return $text // '';
}


sub spew {
    my ($path, $text, $mode) = @_;
    unlink $path;
    open my $fh, '>:raw', $path or die "$path: $!";
    chmod $mode, $path if defined $mode;
    print $fh $text;
    close $fh or die "$path: $!";
}


1;
