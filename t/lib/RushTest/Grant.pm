package RushTest::Grant;

# Copyright (C) Rush
#
# Tests of the consumer without nginx: grants are made as a worker makes
# them, by the digest of buy.lua.
#
#   buy($t, $activity, $user, %o)   o: key, qty, epoch, retry, order; the order
#                                   number, a kept answer or a code of buy.lua;
#                                   "closed" when it is not loaded, the first
#                                   word of an error ("NOSCRIPT")
#   buy_many($t, $activity, @users) one unit each, one entry of the stream
#   gate_open($t)                   buy.lua can be called
#   soon($name, sub { ... }, $seconds)  a check: it becomes true
#   clean($t, $name)                a check: reconcile finds nothing
#   follows($t)                     MySQL's wishes are all in Redis
#   health($t, $daemon)             { status, json }; undef: nobody answers
#   gauge($t, $daemon, $name)       of /metrics, without rush_consumer_
#   leader($t)                      name of the daemon with the lock
#   log_lines($t, $daemon, $levels) decoded lines with a level like that
#   FAST                            consumer_conf with short periods

use warnings;
use strict;

use Digest::SHA qw(sha1_hex);
use Exporter qw(import);
use HTTP::Tiny;
use JSON::PP qw(decode_json);
use Test::More;

our @EXPORT = qw(buy buy_many gate_open soon clean follows health gauge leader
                 log_lines FAST);

# of the daemon: what a test waits for comes soon
use constant FAST => {
    consumer => { discover => 50, block => 50, claim_interval => 50 },
    controller => { poll => 30, sweep => 30, reconcile => 0 },
};

my $serial = 1000;
my $sha;


sub sha {
    return $sha //= sha1_hex(RushTest::slurp(
        "$RushTest::ROOT/ngx_seckill_module/lua/buy.lua"));
}


sub script {
    my ($t, $id, $epoch, @buyers) = @_;

    $epoch //= $t->meta($id)->{epoch} // 1;

    my $r = eval {
        $t->redis()->evalsha(sha(), 3, (map { "{a:$id}$_" } qw(m u s)),
                             $epoch, 0, @buyers);
    };

    return $@ =~ /^\[\w+\] (\w+)/ ? $1 : "died: $@" if !$r;
    return 'closed' if $r->[0] == -1;
    return $r;
}


sub buy {
    my ($t, $id, $user, %o) = @_;

    my $order = $o{order} // ++$serial . "-$id";
    my $r = script($t, $id, $o{epoch}, $user, $o{key} // $order, $order,
                   $o{qty} // 1, $o{retry} // 0);

    return ref $r ? $r->[4] eq '0' ? $order : $r->[4] : $r;
}


sub buy_many {
    my ($t, $id, @users) = @_;

    my @orders = map { ++$serial . "-$id" } @users;
    my $r = script($t, $id, undef, map {
        ($users[$_], $orders[$_], $orders[$_], 1, 0)
    } 0 .. $#users);

    die "buy: $r\n" if !ref $r;
    return grep { defined } map { $r->[4 + $_] eq '0' ? $orders[$_] : undef }
        0 .. $#users;
}


sub gate_open {
    my ($t) = @_;
    return $t->redis()->script_exists(sha())->[0];
}


sub soon {
    my ($name, $sub, $seconds) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    # a server may be away meanwhile
    my $v = RushTest->wait_for(sub { eval { $sub->() } }, $seconds // 10,
                               $name);
    ok($v, $name);
    return $v;
}


sub clean {
    my ($t, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($rc, $out);

    my $v = $t->wait_for(sub {
        ($rc, $out) = $t->reconcile();
        return $rc == 0;
    }, 15, "$name to be clean");

    ok($v, "$name: reconcile finds nothing") or diag($out);
}


sub follows {
    my ($t) = @_;
    return !$t->value('SELECT COUNT(*) FROM seckill_activity '
                      . 'WHERE rev <> applied_rev');
}


sub get {
    my ($t, $name, $path) = @_;

    my $port = $t->{consumer_port}{$name};
    my $r = HTTP::Tiny->new(timeout => 5)->get("http://127.0.0.1:$port$path");

    return $r->{status} == 599 ? undef : $r;
}


sub health {
    my ($t, $name) = @_;

    my $r = get($t, $name, '/health') or return;

    return { status => $r->{status}, json => decode_json($r->{content}) };
}


sub gauge {
    my ($t, $name, $metric) = @_;

    my $r = get($t, $name, '/metrics') or return;

    return $r->{content} =~ /^rush_consumer_$metric (\S+)$/m ? $1 : undef;
}


sub leader {
    my ($t) = @_;

    foreach my $name (grep { /^consumer/ } sort keys %{$t->{daemon}}) {
        my $h = $t->running($name) && health($t, $name) or next;
        return $name if $h->{json}{controller};
    }

    return;
}


sub log_lines {
    my ($t, $name, $levels) = @_;
    return grep { $_->{level} =~ /^(?:$levels)$/ }
        map { decode_json($_) } grep { /^\{/ } split /\n/,
        $t->log_text($name);
}


1;
