package RushTest::Backend;

# Copyright (C) Rush
#
# The daemons of a test: their configuration and how to see that they serve.

use warnings;
use strict;

use DBI;
use Digest::SHA qw(sha1_hex sha256_hex);
use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use IO::Socket::UNIX;
use MIME::Base64 qw(encode_base64url);
use Redis;

my %port_lock;

# in the template of all files, and no word that a log could have anyhow
my $MYSQL_PASSWORD = 'rush-test-7d41c09b';


sub write_secrets {
    my ($self) = @_;

    my $dir = $self->{dir};

    $self->{jwt_kid} = 't1';
    $self->{jwt_secret} = sha256_hex("$dir $$ " . rand());
    $self->{password}{$_} = sha1_hex("$_ $dir " . rand())
        foreach qw(rush_worker rush_consumer rush_ops);
    $self->{password}{mysql} = $MYSQL_PASSWORD;

    RushTest::spew("$dir/jwt.key", "$self->{jwt_kid}:"
                   . encode_base64url($self->{jwt_secret}, '') . "\n", 0600);
    RushTest::spew("$dir/seal.key", encode_base64url(
        pack('H*', sha256_hex("seal $dir $$ " . rand())), '') . "\n", 0600);
    RushTest::spew("$dir/$_.pass", "$self->{password}{$_}\n", 0600)
        foreach keys %{$self->{password}};

    # 64 failpoints of 32 bytes
    RushTest::spew("$dir/failpoints", "\0" x 2048);

    # ours must not leak into the daemons: names of settings
    delete @ENV{grep { /^RUSH_(?:REDIS|MYSQL|CONSUMER|CONTROLLER|ACCOUNTS|
                                 COURIER|SMS|MAIL|PAY|WECHAT|ALIPAY|
                                 SANDBOX)_/x } keys %ENV};
}


sub add_daemon {
    my ($self, $name, %o) = @_;

    my $dir = $self->{dir};

    $o{env} = {
        RUSH_FAILPOINT_FILE => "$dir/failpoints",
        ASAN_OPTIONS => asan_options($dir, 0),
        UBSAN_OPTIONS => "log_path=$dir/ubsan:print_stacktrace=1",
        %{$o{env} || {}},
    };

    $self->{daemon}{$name} = RushTest::Daemon->new(name => $name, %o);
    push @{$self->{order}}, $name;
}


sub asan_options {
    my ($dir, $leaks) = @_;
    return "log_path=$dir/asan:detect_leaks=$leaks:detect_odr_violation=0:"
        . 'handle_abort=1:detect_stack_use_after_return=1';
}


# below the range the kernel takes for outgoing connections, and locked, so
# that files running side by side never meet

sub free_port {
    my $locks = "/tmp/rush-ports.$>";

    mkdir $locks;

    for (1 .. 500) {
        my $port = 10000 + int rand 20000;

        next if $port_lock{$port};
        open my $fh, '>', "$locks/$port" or next;
        flock $fh, LOCK_EX | LOCK_NB or next;

        IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port", Listen => 1,
                              ReuseAddr => 1) or next;

        $port_lock{$port} = $fh;
        return $port;
    }

    die "no free port\n";
}


# --- redis ---

sub add_redis {
    my ($self, $o) = @_;

    $o = {} if !ref $o;

    my $dir = $self->{dir};
    my $fsync = $o->{appendfsync} || 'always';
    my $acl = RushTest::slurp("$RushTest::ROOT/conf/users.acl")
        or die "conf/users.acl is missing\n";

    foreach my $user (qw(rush_worker rush_consumer rush_ops)) {
        my $hash = sha256_hex($self->{password}{$user});
        $acl =~ s/\@$user\@/$hash/g;
    }

    # the test itself may do everything
    $acl =~ s/^\s*#.*\n//mg;
    $acl =~ s/^user default .*$/user default on nopass ~* &* +\@all/m;

    mkdir "$dir/redis";
    RushTest::spew("$dir/users.acl", $acl, 0600);
    RushTest::spew("$dir/redis.conf", <<"EOC" . ($o->{extra} || ''));
port 0
unixsocket $dir/redis.sock
unixsocketperm 777
dir $dir/redis
aclfile $dir/users.acl
appendonly yes
appendfsync $fsync
no-appendfsync-on-rewrite no
maxmemory-policy noeviction
save ""
daemonize no
loglevel notice
logfile ""
EOC

    $self->add_daemon('redis',
        argv => ['redis-server', "$dir/redis.conf"],
        log => "$dir/redis.log",
        before => sub { unlink "$dir/redis.sock" },
        ready => sub { redis_ready("$dir/redis.sock") },
    );
}


sub redis_ready {
    my ($path) = @_;

    my $s = IO::Socket::UNIX->new(Peer => $path) or return;

    print $s "PING\r\n";
    $s->flush();
    return (<$s> // '') =~ /^\+PONG/;
}


# every right; reconnects after a restart

sub redis {
    my ($self) = @_;

    my $rd = $self->{redis};

    undef $rd if $rd && !eval { $rd->ping() };

    return $self->{redis} = $rd || Redis->new(
        sock => "$self->{dir}/redis.sock", encoding => undef,
        read_timeout => 10 * $RushTest::SLOW);
}


# --- mysql ---

# as root the server must be told that this is meant

sub mysql_user {
    return $> == 0 ? ('--user=root') : ();
}


sub mysql_conf {
    my ($dir, $extra) = @_;

    return <<"EOC" . ($extra || '');
[mysqld]
datadir=$dir/mysql
socket=$dir/mysql.sock
pid-file=$dir/mysql.pid
tmpdir=$dir
skip-networking
skip-name-resolve
skip-log-bin
character-set-server=utf8mb4
collation-server=utf8mb4_general_ci
transaction-isolation=READ-COMMITTED
max-connections=300
innodb-log-file-size=8M
innodb-buffer-pool-size=32M
innodb-flush-log-at-trx-commit=2
innodb-fast-shutdown=1
performance-schema=OFF
EOC
}


# a data directory with the schema, made once for each state of sql/

sub mysql_template {
    my $sql = join "\n", map { RushTest::slurp($_) }
        sort glob "$RushTest::ROOT/sql/[0-9]*.sql";
    my $top = "$RushTest::BUILD/t-template";
    my $want = substr sha1_hex($sql . $MYSQL_PASSWORD), 0, 12;

    make_path($top);

    open my $lock, '>', "$top/lock" or die "$top/lock: $!";
    flock $lock, LOCK_EX or die;

    return "$top/$want/mysql" if -e "$top/$want/ok";

    # by name: the lock of a user's other files stays
    remove_tree(grep { -d } glob "$top/*");

    my $dir = File::Temp::tempdir('rush-m.XXXXXX', DIR => '/tmp');
    make_template($dir, $sql);

    mkdir "$top/$want" or die "$top/$want: $!";
    system('cp', '-r', "$dir/mysql", "$top/$want/mysql") == 0
        or die "cannot copy the template\n";
    RushTest::spew("$top/$want/ok", '');
    remove_tree($dir);

    return "$top/$want/mysql";
}


sub make_template {
    my ($dir, $sql) = @_;

    RushTest::spew("$dir/my.cnf", mysql_conf($dir));

    my @cmd = ('mariadb-install-db', "--defaults-file=$dir/my.cnf",
               mysql_user(), '--auth-root-authentication-method=normal',
               '--skip-test-db');
    my $out = `@cmd 2>&1 </dev/null`;
    die "mariadb-install-db failed:\n$out" if $? != 0;

    my $d = RushTest::Daemon->new(
        name => 'mysql template', log => "$dir/log", limit => 30,
        argv => ['mariadbd', "--defaults-file=$dir/my.cnf", mysql_user()],
        ready => sub { mysql_connect($dir, 'mysql', quiet => 1) },
    );

    $d->start();

    my $dbh = mysql_connect($dir, 'mysql');

    $dbh->do('CREATE DATABASE rush CHARACTER SET utf8mb4');
    $dbh->do("CREATE USER rush\@localhost IDENTIFIED BY "
             . "'$MYSQL_PASSWORD'");
    $dbh->do('GRANT SELECT, INSERT, UPDATE, DELETE ON rush.* '
             . 'TO rush@localhost');
    $dbh->do('USE rush');
    $dbh->do($_) foreach statements($sql);
    $dbh->disconnect();

    $d->stop() or die "the template server did not stop\n";
}


# of a script: comments go, ";" at the end of a line ends a statement, or what
# DELIMITER says

sub statements {
    my ($text) = @_;
    my ($end, @found) = (';');

    $text =~ s/--[ \t].*$//mg;
    $text =~ s/--$//mg;

    foreach my $part (split /^(?=DELIMITER )/m, $text) {
        $end = $1 if $part =~ s/\ADELIMITER (\S+)\n//;
        push @found, split /\Q$end\E[ \t]*(?:\n|\z)/, $part;
    }

    return grep { /\S/ } @found;
}


sub add_mysql {
    my ($self, $o) = @_;

    my $dir = $self->{dir};
    my $template = mysql_template();

    RushTest::spew("$dir/my.cnf",
                   mysql_conf($dir, ref $o ? $o->{extra} : ''));
    system('cp', '-r', $template, "$dir/mysql") == 0
        or die "cannot copy $template\n";

    $self->add_daemon('mysql',
        argv => ['mariadbd', "--defaults-file=$dir/my.cnf", mysql_user()],
        log => "$dir/mysql.log",
        limit => 30,
        before => sub { unlink "$dir/mysql.sock" },
        ready => sub { mysql_connect($dir, 'rush', quiet => 1) },
    );
}


sub mysql_connect {
    my ($dir, $db, %o) = @_;

    return if $o{quiet} && !-S "$dir/mysql.sock";

    return DBI->connect("DBI:MariaDB:$db;mariadb_socket=$dir/mysql.sock",
                        'root', '', { PrintError => 0,
                                      RaiseError => !$o{quiet},
                                      mariadb_auto_reconnect => 0 });
}


sub db {
    my ($self) = @_;

    my $dbh = $self->{dbh};

    undef $dbh if $dbh && !$dbh->ping();

    return $self->{dbh} = $dbh || mysql_connect($self->{dir}, 'rush');
}


# --- consumer ---

sub add_consumer {
    my ($self, $n) = @_;

    my $dir = $self->{dir};
    my $name = $n == 1 ? 'consumer' : "consumer$n";
    my $port = free_port();

    my %conf = (
        consumer => { name => $name, listen => "127.0.0.1:$port",
                      log_level => 'info', claim_idle => 1000,
                      claim_interval => 200, discover => 100,
                      seal_key => "$dir/seal.key" },
        controller => { poll => 100, sweep => 100 },
        redis => { socket => $self->edge('consumer', 'redis'),
                   user => 'rush_consumer',
                   password_file => "$dir/rush_consumer.pass" },
        mysql => { socket => $self->edge('consumer', 'mysql'),
                   user => 'rush', password_file => "$dir/mysql.pass",
                   database => 'rush' },
    );

    my $more = $self->{opt}{consumer_conf} || {};
    my $text = '';

    if ($self->{opt}{courier}) {
        $conf{courier} = { file => "$dir/messages", retry_min => 100,
                           retry_max => 400 };
        $conf{sms} = { driver => 'log' };
        $conf{mail} = { driver => 'log' };
    }

    foreach my $section (sort keys %{{ %conf, %$more }}) {
        my %all = (%{$conf{$section} || {}}, %{$more->{$section} || {}});
        $text .= "[$section]\n" . join('', map { "$_ = $all{$_}\n" }
                                      sort keys %all) . "\n";
    }

    RushTest::spew("$dir/$name.conf", $text);

    $self->{consumer_port}{$name} = $port;

    $self->add_daemon($name,
        argv => ["$self->{build}/rush-consumer", '-c', "$dir/$name.conf"],
        # it owns all its memory, nginx leaves much to its end
        env => { ASAN_OPTIONS => asan_options($dir, 1) },
        log => "$dir/$name.log",
        ready => sub { tcp_ready($port) },
    );
}


# where a daemon reaches a backend: straight or through a proxy

sub edge {
    my ($self, $from, $to) = @_;

    my $p = $self->{proxies}{"${from}_$to"};

    return $p ? $p->{listen} : "$self->{dir}/$to.sock";
}


sub tcp_ready {
    my ($port) = @_;
    return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port",
                                 Timeout => 1);
}


# one run of the consumer's tools: exit code and output

sub consumer_run {
    my ($self, @args) = @_;

    my $env = $self->daemon('consumer')->{env};
    local @ENV{keys %$env} = values %$env;

    my @cmd = ("$self->{build}/rush-consumer", '-c',
               "$self->{dir}/consumer.conf", @args);

    open my $fh, '-|', 'sh', '-c', 'exec "$@" 2>&1 </dev/null', 'sh', @cmd
        or die "sh: $!";
    my $out = do { local $/; <$fh> } // '';
    close $fh;

    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $out);
}


sub reconcile {
    my ($self, @args) = @_;
    return $self->consumer_run('--reconcile', @args);
}


# --- nginx ---

sub add_nginx {
    my ($self, $name, $o) = @_;

    $o = RushTest::Mode::nginx(ref $o ? $o : {});

    my $dir = "$self->{dir}/$name";
    my $port = free_port();

    mkdir $dir;
    mkdir "$dir/$_" foreach qw(body proxy fastcgi uwsgi scgi);

    RushTest::spew("$dir/nginx.conf", $self->nginx_conf($dir, $port, $o));

    my %env;

    if ($RushTest::SANITIZE) {
        $env{LD_PRELOAD} = join ' ', map { s/\n//r }
            map { `gcc -print-file-name=$_` } qw(libasan.so libubsan.so);
    }

    $self->{port}{$name} = $port;

    $self->add_daemon($name,
        argv => [$RushTest::NGINX, '-p', "$dir/", '-c', "$dir/nginx.conf",
                 '-e', "$dir/error.log"],
        env => \%env, nginx => 1, signal => 'QUIT',
        workers => $o->{workers} // 2,
        log => "$dir/error.log", out => "$dir/out.log",
        ready => sub { tcp_ready($port)
                       && $self->workers($name) >= ($o->{workers} // 2) },
    );
}


# rewrites the configuration for the next reload or start

sub configure_nginx {
    my ($self, $name, $o) = @_;

    my $dir = "$self->{dir}/$name";

    $o = RushTest::Mode::nginx($o);
    RushTest::spew("$dir/nginx.conf",
                   $self->nginx_conf($dir, $self->{port}{$name}, $o));
}


sub node {
    my ($self, %o) = @_;

    my $n = 2;
    $n++ while $self->{daemon}{"node$n"};

    $self->add_nginx("node$n", { node_id => $n, %o });

    if ($o{start} // 1) {
        $self->start("node$n");
        $self->wait_known("node$n") if $o{ready} // 1;
    }

    return "node$n";
}


sub limits {
    my ($limits) = @_;

    $limits //= 'off';

    return '' if $limits eq 'default';

    $limits = { map { $_ => 'off' } qw(global api buy login) }
        if !ref $limits;

    return join '', map { "    rush_limit $_ $limits->{$_};\n" }
        sort keys %$limits;
}


sub nginx_conf {
    my ($self, $dir, $port, $o) = @_;

    my $top = $self->{dir};
    my $user = $> == 0 ? 'user root;' : '';
    my $modules = join '', map { "load_module $self->{build}/nginx/"
                                 . "ngx_http_${_}_module.so;\n" }
        @{$o->{modules} || [qw(rush_core user seckill)]};
    my $zones = $o->{zones} // <<'EOC';
    rush_zone limit 4m; rush_zone cache 16m; rush_zone revoke 4m;
    rush_zone stats 4m; seckill_zone 4m;
EOC
    my ($redis, $mysql) = map {
        $o->{straight} ? "$self->{dir}/$_.sock" : $self->edge('nginx', $_)
    } qw(redis mysql);

    my %v = (level => 'info', workers => 2, connections => 4096,
             extra_main => '', extra_http => '', extra_server => '',
             extra_location => '', node_id => 1, redis_args => '',
             mysql_args => '', verify => 'off',
             apis => 'rush_api; user_api; seckill_api;',
             %$o);

    return <<"EOC";
$user
daemon off;
worker_processes $v{workers};
pid $dir/nginx.pid;
error_log $dir/error.log $v{level};
env RUSH_FAILPOINT_FILE;
$modules
thread_pool rush threads=2 max_queue=64;
$v{extra_main}
events { worker_connections $v{connections}; }
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    client_max_body_size 64k;
    keepalive_requests 1000000;
    rush_redis unix:$redis user=rush_worker
        password_file=$top/rush_worker.pass timeout=1s $v{redis_args};
    rush_mysql unix:$mysql user=rush password_file=$top/mysql.pass
        database=rush connections=4 $v{mysql_args};
    rush_jwt_key $top/jwt.key;
    rush_seal_key $top/seal.key;
    @{[$modules =~ /_user_/ ? "user_verify $v{verify};" : '']}
    rush_node_id $v{node_id};
    rush_thread_pool rush;
    rush_internal 127.0.0.0/8 ::1;
$zones
@{[limits($v{limits})]}
$v{extra_http}
    server {
        listen 127.0.0.1:$port;
        $v{extra_server}
        location / { $v{apis} $v{extra_location} }
    }
}
EOC
}


1;
