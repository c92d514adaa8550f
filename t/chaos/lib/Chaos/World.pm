package Chaos::World;

# Copyright (C) Rush
#
# What a round plays in: nginx nodes a and b with two workers each, Redis,
# MariaDB, consumers d1 and d2, and a proxy before every edge.  Redis and
# MariaDB lie on small file systems of their own where mount is allowed, so
# that a disk can be full.  A world lives over many rounds: each makes
# activities and users of its own.
#
#   my $w = Chaos::World->new(build => dir with failpoints);
#   $w->nodes()         { a => '127.0.0.1:port', b => .. }, through the proxies
#   $w->proxies()       { 'a-redis' => Chaos::Proxy, ... }
#   $w->redis(), $w->sql(), $w->value(), $w->do(), $w->activity(),
#   $w->token($user), $w->admin_token(), $w->reconcile() and others of
#                       RushTest, by ways that no fault touches
#   $w->logs()          { name => path }
#   $w->name('a')       'nginx': what RushTest calls it; also b, d1, d2
#   $w->late_payment($rule)     of the consumers, by starting them again
#   $w->launch($name)   starts it, does not wait until it serves
#   $w->serves($name)
#   $w->end($keep)      stops all; removes the directory if not $keep

use warnings;
use strict;

use File::Path qw(remove_tree);
use Time::HiRes qw(sleep time);

use RushTest;

use Chaos::Forger;
use Chaos::Nginx;
use Chaos::Plan;
use Chaos::Proxy;

our @ISA = qw(RushTest);

our $FAKETIME = (glob '/usr/lib/*/faketime/libfaketime.so.1')[0];

my %NAME = (a => 'nginx', b => 'node2', d1 => 'consumer', d2 => 'consumer2');
my %WHO = reverse %NAME;
my %alive;

use constant ZONES => <<'END';
    rush_zone limit 4m; rush_zone cache 4m; rush_zone revoke 1m;
    rush_zone stats 1m; seckill_zone 2m;
END

use constant SLOW_CONSUMER => {
    consumer => { claim_idle => 500, claim_interval => 100, discover => 100,
                  block => 100 },
    controller => { poll => 100, sweep => 100, reconcile => 3,
                    trim_interval => 1, trim_keep => 5 },
    redis => { connect_timeout => 1000, timeout => 2000 },
    mysql => { connect_timeout => 1000, timeout => 3000 },
    # an hour of a schedule is six seconds
    pay => { minute => 100, poll => 100, connect_timeout => 200,
             timeout => 500, retry_min => 50,
             retry_max => 500 },
    sandbox => { enabled => 1 },
    cashier => { sweep => 100, late_payment => 'revive' },
};


sub new {
    my ($class, %o) = @_;

    my $self = $class->SUPER::new(redis => 0, mysql => 0, consumer => 0,
                                  nginx => 0, start => 0,
                                  consumer_conf => SLOW_CONSUMER);

    $self->{build} = $o{build} if $o{build};
    $alive{$self->{dir}} = $self;
    $self->{forger} = Chaos::Forger->new($self->{dir});
    $self->{client_port}{$_} = RushTest::Backend::free_port()
        foreach qw(a b);

    $self->small_disk('redis', '24m', "$self->{dir}/redis");
    $self->add_redis();
    $self->add_mysql();
    $self->small_mysql();
    $self->add_consumer($_) foreach 1, 2;
    $self->add_nginx('nginx', $self->nginx_options('nginx'));
    $self->add_nginx('node2', $self->nginx_options('node2'));
    $self->add_proxies();

    # starting alone, MariaDB leaves time to the others
    $self->launch($_) foreach qw(mysql redis);
    $self->await($_) foreach qw(redis mysql);
    $self->launch($_) foreach qw(consumer consumer2 nginx node2);
    $self->await($_) foreach @{$self->{order}};
    $self->wait_ready($_) foreach qw(nginx node2);

    return $self;
}


sub name { return $NAME{$_[1]} // $_[1] }


# of now: an nginx may have been upgraded

sub pid {
    my ($self, $name) = @_;
    my $d = $self->daemon($name);
    return $d->running() ? $d->{pid} : undef;
}


sub nodes {
    my ($self) = @_;
    return { map { $_ => "127.0.0.1:$self->{client_port}{$_}" } qw(a b) };
}


sub proxies {
    my ($self) = @_;
    return $self->{edges};
}


sub logs {
    my ($self) = @_;
    return { map { $_ => $self->daemon($_)->{log} } @{$self->{order}} };
}


# --- how it is put together ---

# The disk of a daemon: a mount of its own, gone with our mount namespace

sub small_disk {
    my ($self, $name, $size, $dir) = @_;

    return if !$ENV{CHAOS_MOUNT};

    mkdir $dir;
    system('mount', '-t', 'tmpfs', '-o', "size=$size,mode=0755", 'chaos',
           $dir) == 0 or return;

    push @{$self->{mounts}}, $dir;
    $self->{disk}{$name} = $dir;
}


sub small_mysql {
    my ($self) = @_;

    my $disk = "$self->{dir}/mdisk";

    $self->small_disk('mysql', '192m', $disk);
    return if !$self->{disk}{mysql};

    system('mv', "$self->{dir}/mysql", "$disk/mysql") == 0
        && symlink("$disk/mysql", "$self->{dir}/mysql")
        or die "cannot move the data of MariaDB\n";
}


sub add_daemon {
    my ($self, $name, %o) = @_;

    $self->SUPER::add_daemon($name, %o);
    bless $self->{daemon}{$name}, 'Chaos::Nginx' if $o{nginx};
    $self->{daemon}{$name}{pid_file} = "$self->{dir}/$name/nginx.pid"
        if $o{nginx};
}


sub add_consumer {
    my ($self, $n) = @_;
    local $self->{who} = "d$n";
    $self->SUPER::add_consumer($n);
}


sub nginx_conf {
    my ($self, $dir, $port, $o) = @_;

    local $self->{who} = $WHO{$dir =~ m!([^/]+)$! ? $1 : ''};

    my $text = $self->SUPER::nginx_conf($dir, $port, $o);

    # a daemon may be upgraded, a child of ours not
    $text =~ s/^daemon off;/daemon on;/m or die "no daemon directive\n";

    return $text;
}


sub nginx_options {
    my ($self, $name, %o) = @_;

    return { workers => 2, node_id => $name eq 'nginx' ? 1 : 2,
             zones => ZONES, level => 'info',
             extra_main => "worker_shutdown_timeout 5s;\n"
                           . "env LD_PRELOAD;\nenv FAKETIME;\n",
             extra_http => 'user_bcrypt_cost 4; seckill_pay_channels sandbox; '
                           . 'rush_events heartbeat=300ms '
                           . 'user=100 address=10000; '
                           . $self->{forger}->conf(),
             mysql_args => 'timeout=2s', %o };
}


# good on a node whose clock is wrong by an hour

sub token {
    my ($self, $user, %claims) = @_;

    my $now = int time();

    return $self->SUPER::token($user, iat => $now - 7200, exp => $now + 7200,
                               %claims);
}


# while a daemon is configured: its own way to a backend

sub edge {
    my ($self, $from, $to) = @_;
    return "$self->{dir}/$self->{who}-$to.sock";
}


sub add_proxies {
    my ($self) = @_;

    foreach my $edge (@Chaos::Plan::EDGES) {
        my ($who, $to) = split /-/, $edge;
        my %o = (name => $edge, kind => $to, dir => $self->{dir},
                 listen => "$self->{dir}/$edge.sock",
                 to => "$self->{dir}/$to.sock");

        if ($who eq 'client') {
            %o = (%o, kind => 'http',
                  listen => "127.0.0.1:$self->{client_port}{$to}",
                  to => '127.0.0.1:' . $self->{port}{$NAME{$to}});
        }

        $self->{edges}{$edge} = Chaos::Proxy->start(%o);
    }
}


# --- daemons ---

sub launch {
    my ($self, $name, %env) = @_;

    my $d = $self->daemon($name);

    delete $self->{dbh} if $name eq 'mysql';
    delete $self->{redis} if $name eq 'redis';

    local $d->{ready} = sub { 1 };
    local $d->{env} = { %{$d->{env}}, %env };

    $d->start();
}


sub late_payment {
    my ($self, $rule) = @_;

    my @all = qw(consumer consumer2);

    return if ($self->{late} // 'revive') eq $rule;

    foreach my $name (@all) {
        my $file = "$self->{dir}/$name.conf";
        my $text = RushTest::slurp($file);

        $text =~ s/^late_payment = \K\w+$/$rule/m
            or die "no late_payment in $file\n";
        $self->daemon($name)->stop();
        delete $self->daemon($name)->{status};
        RushTest::spew($file, $text);
        $self->launch($name);
    }

    $self->await($_) foreach @all;
    $self->{late} = $rule;
}


sub serves {
    my ($self, $name) = @_;
    my $d = $self->daemon($name);
    return $d->running() && $d->{ready}->() ? 1 : 0;
}


sub await {
    my ($self, $name) = @_;

    my $end = time() + 30 * $RushTest::SLOW;

    until ($self->serves($name)) {
        die "$name does not serve:\n" . $self->daemon($name)->tail()
            if time() > $end;
        sleep 0.01;
    }
}


# --- the end ---

sub end {
    my ($self, $keep) = @_;

    delete $alive{$self->{dir}} or return;

    my $dir = $self->{dir};

    CORE::kill CONT => map { RushTest::Daemon::session($_)
                             && $self->ours($_) ? $_ : () } pids();
    $self->stop_all();
    $_->stop() foreach values %{$self->{edges}};

    my @left = grep { $self->ours($_) } pids();

    CORE::kill KILL => @left if @left;

    # what was kept must be readable when the mounts are gone
    if ($keep && $self->{disk}{redis}) {
        system("cp -r '$dir/redis' '$dir/redis.kept'");
    }

    foreach my $mount (@{$self->{mounts}}) {
        unlink "$mount/filler";
        system('umount', '-l', $mount);
    }

    unlink "$dir/mysql" if -l "$dir/mysql";
    remove_tree($keep ? ("$dir/mysql", "$dir/mdisk") : $dir);
}


sub pids {
    return map { m!(\d+)! } glob '/proc/[0-9]*';
}


sub ours {
    my ($self, $pid) = @_;

    my $session = RushTest::Daemon::session($pid) or return 0;

    return scalar grep { $_ == $session } map { @{$_->{sessions}} }
        values %{$self->{daemon}};
}


# a process that is told to end, or died

sub DESTROY { }


END {
    local $?;
    $_->end(0) foreach grep { $_->{owner} == $$ } values %alive;
}


1;
