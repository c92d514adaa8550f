package RushTest::Sale;

# Copyright (C) Rush
#
# One sale under observation: remembers what each request id was told and
# compares it with what Redis and MySQL have in the end.  Times of 503, 429
# and of a refusal with final:false are promises too: that copy did nothing.
#
#   my $s = RushTest::Sale->new($t, $activity);
#   my $r = $s->buy($user, key => 'k');     # as $t->buy(), remembered
#   my @r = $s->burst([[$user, $key], ...], %o_of_burst);
#   $s->remember($user, $key, $r);              # an answer got otherwise
#   $s->resolve();          # asks until nothing is unknown any more
#   $s->told('yes')         # ids with this outcome: yes no not unknown
#   $s->check(%o)           # a subtest.  o: rows => n expected live orders,
#                           # within => seconds, alarms => [kinds] expected,
#                           # dead => n expected dead letters
#
#   $s->some($n, %o)        n new buyers, each with a key; their answers
#   $s->keep_buying($seconds[, $n])   that over and over: { code => times }
#   $s->sells()             within 10 s somebody buys: a test
#   $s->sell_out($name, $total, %o_of_check)  buyers until nothing is left
#   $s->have_orders(@users) a test: each has a row
#
# Functions: user() a new one; later($seconds, $sub) in a process of its own;
# counter($t, $name[, $node]) of /metrics; load($t, %o) runs
# bench/load: { code => {}, status => {}, failed => n, ..., users => [] };
# load_start(), load_end() the same in the background; worker_sockets($t[,
# $node]) a connection to each worker, ask($t, $socket, %request) on it

use warnings;
use strict;

use Fcntl qw(:flock);
use IO::Select;
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $serial = 1_000_000;
my %NOT = map { $_ => 1 } 3, 10, 12, 60007;     # never ran


sub new {
    my ($class, $t, $id) = @_;
    return bless { t => $t, id => $id, told => {} }, $class;
}


sub path {
    my ($self) = @_;
    return "/api/v1/seckill/activities/$self->{id}/buy";
}


sub buy {
    my ($self, $user, %o) = @_;

    my $key = $o{key};
    my $r = $self->{t}->buy($self->{id}, $user, %o);

    $self->remember($user, $key, $r);
    return $r;
}


sub burst {
    my ($self, $buyers, %o) = @_;

    my @requests = map {
        my ($user, $key, %more) = @$_;
        { method => 'POST', path => $self->path(), user => $user,
          data => { quantity => 1 }, %more,
          (defined $key ? (key => $key) : ()) }
    } @$buyers;

    my @answers = $self->{t}->burst(\@requests, %o);

    $self->remember(@{$buyers->[$_]}[0, 1], $answers[$_])
        foreach 0 .. $#answers;

    return @answers;
}


# what an answer says of the copy it answers

sub kind {
    my ($r) = @_;

    my $code = $r->{code} // return 'unknown';

    return 'yes' if $code == 0;
    return 'unknown' if $code == 11 || $code == 1;
    return 'back' if $code == 60008;
    return 'not' if $NOT{$code} || $code < 1000;

    my $data = $r->{json} ? $r->{json}{data} : undef;

    return $data && $data->{final} ? 'no' : 'not';
}


sub remember {
    my ($self, $user, $key, $r) = @_;

    my $data = $r->{json} ? $r->{json}{data} : undef;

    # without a key and an answer nobody can name the request
    my $req = $key // ($data ? $data->{request_id} : undef) // return;

    $req =~ s/^"(.*)"$/$1/;

    my $kind = kind($r);
    my $told = $self->{told}{"$user:$req"} //= { user => $user, req => $req };

    $told->{$kind}++;
    $told->{orders}{$data->{order_no}}++ if $kind eq 'yes';
    push @{$told->{log}}, $r->{body} || $r->{error} || $r->{status};
}


sub outcome {
    my ($told) = @_;

    foreach (qw(yes back no unknown)) {
        return $_ if $told->{$_};
    }

    return 'not';
}


sub told {
    my ($self, $kind) = @_;
    return grep { outcome($_) eq $kind } values %{$self->{told}};
}


sub forget {
    my ($self) = @_;
    $self->{told} = {};
}


# by the ids, as a client does it

sub resolve {
    my ($self, $seconds) = @_;

    my $t = $self->{t};

    return $t->wait_for(sub {
        my @open = $self->told('unknown') or return 1;
        my @r = $t->burst([map {
            { path => "/api/v1/seckill/requests/$_->{req}?activity_id="
                      . $self->{id}, user => $_->{user} }
        } @open], conns => 16);

        foreach my $i (0 .. $#open) {
            my $r = $r[$i];
            next if ($r->{code} // -1) != 0;

            my $data = $r->{json}{data};
            my $kind = { granted => 'yes', given_back => 'back',
                         refused => 'no' }->{$data->{outcome}};

            $open[$i]{$kind}++;
            $open[$i]{orders}{$data->{order_no}}++ if $kind eq 'yes';
            push @{$open[$i]{log}}, $r->{body};
        }

        return !$self->told('unknown');
    }, $seconds // 10, 'unknown outcomes to be settled');
}


# --- the end ---

sub calm {
    my ($self, $seconds) = @_;

    my ($t, $id) = @$self{qw(t id)};
    my $why = '';

    my $calm = $t->wait_for(sub {
        my %group = eval { stream_group($t, $id) };

        $why = "no group: $@", return 0 if !%group;
        $why = "pending $group{pending}", return 0 if $group{pending};
        $why = "lag " . ($group{lag} // '?'), return 0
            if !defined $group{lag} || $group{lag};
        $why = 'orders on their way back', return 0
            if $t->value('SELECT COUNT(*) FROM orders WHERE activity_id = ? '
                         . 'AND stock_state IN (1, 2)', $id);
        return 1;
    }, $seconds, 'the sale to be calm');

    diag("not calm: $why") if !$calm;
    return $calm;
}


sub stream_group {
    my ($t, $id) = @_;

    foreach my $g ($t->redis()->xinfo('groups', "{a:$id}s")) {
        my %g = @$g;
        return %g if $g{name} eq 'rush';
    }

    return;
}


sub check {
    my ($self, $name, %o) = @_;

    # of a caller's line
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    subtest $name => sub {
        ok($self->calm($o{within} // 10), 'calm') or return;
        $self->check_books(%o);
        $self->check_holds();
        $self->check_told();
    };
}


sub check_books {
    my ($self, %o) = @_;

    my ($t, $id) = @$self{qw(t id)};

    my ($a) = $t->sql('SELECT * FROM seckill_activity WHERE id = ?', $id);
    my ($n, $units) = $t->db()->selectrow_array('SELECT COUNT(*), '
        . 'COALESCE(SUM(qty), 0) FROM orders WHERE activity_id = ? '
        . 'AND stock_state IN (0, 1, 4)', undef, $id);
    my $meta = $t->meta($id);

    is($n, $o{rows}, "$o{rows} live orders") if defined $o{rows};
    is($a->{sold}, $units, "sold: $units units of live orders");
    cmp_ok($units, '<=', $a->{total}, "not more than the $a->{total}");
    is($meta->{remain}, $a->{total} - $units, 'remain in Redis');
    is($meta->{total}, $a->{total}, 'total in Redis');
    is($meta->{epoch}, $a->{epoch}, 'epoch');

    is($t->value('SELECT COUNT(*) FROM dead_letter WHERE state = 0 '
                 . 'AND activity_id = ?', $id), $o{dead} // 0,
       'dead letters');

    my %expected = map { $_ => 1 } @{$o{alarms} || []};
    my @alarms = grep { !$expected{$_->{kind}} }
        $t->sql('SELECT kind, detail FROM alarm '
                . 'WHERE activity_id IN (0, ?)', $id);
    is(join("\n", map { "$_->{kind}: $_->{detail}" } @alarms), '',
       'no alarms');

    my ($rc, $out) = $t->reconcile();
    is($rc, $o{dead} ? 1 : 0, 'what reconcile has to say') or diag($out);
}


# who holds what, in both places

sub check_holds {
    my ($self) = @_;

    my ($t, $id) = @$self{qw(t id)};
    my %users = $t->redis()->hgetall("{a:$id}u");
    my (%held, %live, %units);

    foreach (keys %users) {
        $held{$_} = $users{$_} if $users{$_} !~ /^-/ && /:/;
    }

    foreach my $o ($t->sql('SELECT user_id, req_id, order_no, qty FROM '
                           . 'orders WHERE activity_id = ? AND stock_state '
                           . 'IN (0, 1, 4)', $id))
    {
        $live{"$o->{user_id}:$o->{req_id}"} = $o->{order_no};
        $units{$o->{user_id}} += $o->{qty};
    }

    my @differ = grep { ($held{$_} // '') ne ($live{$_} // '') }
        keys %{{%held, %live}};
    is(join(' ', sort @differ), '', 'Redis holds the live orders');

    my %counted = map { $_ => $users{$_} } grep { !/:/ } keys %users;
    @differ = grep { ($counted{$_} // 0) != ($units{$_} // 0) }
        keys %{{%counted, %units}};
    is(join(' ', sort @differ), '', 'and counts their units');
}


# each id got one answer, and it is true

sub check_told {
    my ($self) = @_;

    my ($t, $id) = @$self{qw(t id)};
    my %row = map { ("$_->{user_id}:$_->{req_id}" => $_) }
        $t->sql('SELECT user_id, req_id, order_no, stock_state FROM orders '
                . 'WHERE activity_id = ?', $id);
    my @wrong;

    foreach my $name (sort keys %{$self->{told}}) {
        my $told = $self->{told}{$name};
        my $row = $row{$name};
        my @orders = keys %{$told->{orders} || {}};
        my $bad;

        if (@orders > 1) {
            $bad = 'two orders';

        } elsif (@orders && $told->{no}) {
            $bad = 'yes and no';

        } elsif (@orders && !$row) {
            $bad = 'an order that is lost';

        } elsif (@orders && $row->{order_no} ne $orders[0]) {
            $bad = 'another order';

        } elsif ($row && $told->{no}) {
            $bad = 'an order after a no';

        } elsif ($row && outcome($told) eq 'not') {
            $bad = 'an order though nothing was to be done';
        }

        push @wrong, "$name: $bad: @{$told->{log}}" if $bad;
    }

    is(scalar @wrong, 0, 'what ' . keys(%{$self->{told}})
       . ' ids were told is true')
        or diag(join "\n", @wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]);
}


# --- many buyers ---

sub some {
    my ($self, $n, %o) = @_;
    return $self->burst([map { my $u = user(); [$u, "k$u"] } 1 .. $n],
                        conns => 8, timeout => 10, %o);
}


# for so many seconds, through whatever happens

sub keep_buying {
    my ($self, $seconds, $n) = @_;

    my $end = time() + $seconds;
    my %codes;

    while (time() < $end) {
        $codes{$_->{code} // $_->{status}}++ foreach $self->some($n // 4);
        sleep 0.02;
    }

    return \%codes;
}


# after the last fault, without a hand

sub sells {
    my ($self) = @_;

    my $start = time();

    ok($self->{t}->wait_for(sub {
        my ($r) = $self->some(1);
        return defined $r->{code} && $r->{code} == 0;
    }, 10, 'a sale'), 'it sells');

    note(sprintf 'after %.2f s', time() - $start);
}


# all that is left finds buyers, and not one unit more

sub sell_out {
    my ($self, $name, $total, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $self->resolve();

    ok($self->{t}->wait_for(sub {
        my @r = $self->some(60, conns => 30);
        return grep { defined $_->{code} && $_->{code} == 60002
                      && $_->{json}{data}{final} } @r;
    }, 15, 'the end of the stock'), 'sold out');

    $self->resolve();
    $self->check($name, rows => $total, within => 15, %o);
    is($self->{t}->meta($self->{id})->{remain}, 0, 'nothing is left');
}


sub have_orders {
    my ($self, @users) = @_;

    my %row = map { $_->{user_id} => 1 }
        $self->{t}->sql('SELECT user_id FROM orders WHERE activity_id = ?',
                        $self->{id});

    is(join(' ', grep { !$row{$_} } @users), '',
       'all ' . @users . ' who were told yes have their order');
}


# --- functions ---

sub user {
    return ++$serial;
}


sub later {
    my ($seconds, $sub) = @_;

    my $pid = fork() // die "fork: $!";

    return $pid if $pid;

    sleep $seconds;
    eval { $sub->() };
    POSIX::_exit(0);
}


sub counter {
    my ($t, $name, $node) = @_;

    my $r = $t->get('/metrics', node => $node, record => 0);

    return $r->{body} =~ /^rush_\Q$name\E (\d+)/m ? $1 : -1;
}


# while all other workers are stopped, a connection can only go to this one

sub worker_sockets {
    my ($t, $node) = @_;

    my @workers = $t->workers($node);
    my @sockets;

    foreach my $worker (@workers) {
        my @others = grep { $_ != $worker } @workers;

        CORE::kill STOP => @others;

        # one that is only about to stop may still be given the connection
        $t->wait_for(sub {
            return !grep { (RushTest::Daemon::stat_of($_))[0] ne 'T' } @others
        }, 5, 'others to stop');

        my $s = $t->connect($node);
        my $r = ask($t, $s, path => '/health');
        CORE::kill CONT => @others;

        die "a worker does not answer\n" if $r->{status} != 200;
        push @sockets, $s;
    }

    return @sockets;
}


# on a connection that stays open

sub ask {
    my ($t, $s, %q) = @_;

    my ($bytes) = $t->bytes_of(\%q);
    my $in = '';
    my $end = time() + ($q{timeout} // 5) * $RushTest::SLOW;

    syswrite $s, $bytes;

    while (IO::Select->new($s)->can_read($end - time())) {
        my $n = sysread $s, $in, 65536, length $in;
        my $r = RushTest::HTTP::parse(\$in, \%q, !$n);

        return $r if $r;
        last if !$n;
    }

    return { status => 599, headers => {}, body => '', error => 'no answer' };
}


# bench/load, compiled when it is older than its source

sub load_tool {
    my $root = $RushTest::ROOT;
    my $bin = "$RushTest::BUILD/t-load";
    my @src = glob "$root/bench/load*.c $root/shared/rush_*.c";

    open my $lock, '>', "$bin.lock" or die "$bin.lock: $!";
    flock $lock, LOCK_EX or die;

    my $made = (stat $bin)[9] // 0;

    if (grep { (stat)[9] >= $made } @src) {
        my $out = `gcc -O2 -I$root/shared -o $bin.new @src -lcrypto \\
            -lhiredis -lcrypt 2>&1`;
        die "load does not compile:\n$out" if $?;
        rename "$bin.new", $bin or die "$bin: $!";
    }

    return $bin;
}


# o: conns, requests, users, first, node, path, body, rate, seconds, close =>
# 1 (a connection each).  load_start() does not wait; load_end($load) does,
# load_end($load, 1) stops it

sub load {
    my ($t, %o) = @_;
    return load_end(load_start($t, %o));
}


sub load_start {
    my ($t, %o) = @_;

    my $out = "$t->{dir}/load" . ++$t->{loads};
    my @cmd = (load_tool(), '-c', $o{conns} // 64, '-n', $o{requests},
               '-m', 'POST', '-b', $o{body} // '{"quantity":1}',
               '-k', "$t->{dir}/jwt.key", '-u', $o{first} // 100_000,
               '-U', $o{users} // $o{requests}, '-o', "$out.granted");

    push @cmd, '-r', $o{rate} if $o{rate};
    push @cmd, '-t', $o{seconds} if $o{seconds};
    push @cmd, '-C' if $o{close};
    push @cmd, $t->url($o{node}) . $o{path};

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        eval {
            open STDOUT, '>', "$out.json" or die;
            open STDERR, '>', "$out.err" or die;
            no warnings 'exec';
            exec 'setpriv', '--pdeathsig', 'KILL', '--', @cmd;
        };
        POSIX::_exit(127);
    }

    return { pid => $pid, out => $out };
}


sub load_end {
    my ($load, $now) = @_;

    CORE::kill TERM => $load->{pid} if $now;
    waitpid $load->{pid}, 0;

    my $text = RushTest::slurp("$load->{out}.json");

    die "load failed: " . RushTest::slurp("$load->{out}.err") . "\n"
        if $? || $text !~ /^\{/;

    my $result = JSON::PP::decode_json($text);

    $result->{users} = [map { (split)[0] }
        split /\n/, RushTest::slurp("$load->{out}.granted")];

    return $result;
}


1;
