package RushTest::Provider;

# Copyright (C) Rush
#
# Stands in for WeChat Pay (API v3) and Alipay (gateway.do, RSA2): an HTTP
# server on loopback, as a daemon of the harness, with real RSA keys made anew
# by openssl(1) and real signatures.  It checks what is asked of it as the real
# ones would and keeps trades; a trade is one for both, by its number.
#
#   add($t, $port, %o)      makes the keys; start('provider') starts it.  Call
#                           it before nginx and consumers are started.  o:
#                           alipay => 'cert', its certificate mode
#   file($t, $name)         path of a key file, see below
#   url($t, $path)          http://127.0.0.1:PORT$path
#   got($t[, $op])          what came: { time, op, method, path, headers, body,
#                           bad }; op: a name of an operation below
#   bad($t)                 of these what no provider would take: { op, why }
#   fault($t, $op, $fault[, $times])   the next $times (or all) calls of $op go
#                           wrong; "ok" ends it
#   trade($t, $no)          undef, or { no, provider, state, total, ... }
#   refund($t, $no)         undef, or { no, trade, amount, state, ... }
#   pay($t, $no, %o)        the buyer pays; then deliver(notice(...)), whose
#                           answer it returns, unless notify => 0.  o: notify,
#                           and those of notice()
#   set($t, $no, %fields)   changes a trade (amount => 1 and so on)
#   settle($t, $refund, $state, %o)  SUCCESS, ABNORMAL or CLOSED; tells unless
#                           notify => 0
#   notice($t, $no, %o)     a notice, not sent: { path, headers, type, body };
#                           of a refund when there is no trade but a refund of
#                           that number.  Without a trade: give the fields
#   deliver($t, $notice, %o)  sends it to nginx; o: of request()
#   certs($t, @names)       WeChat certificates that are offered: wx1, wx2
#   signer($t, $name)       key that signs answers and notices: wx1, wx2,
#                           wxpub; without a word wxpub when asked so
#   conf(%o)                directives of nginx for both (public key mode) with
#                           all checks; o: wechat, alipay => the words behind
#                           the first key, undef: none of it
#   publish($t, $name, %o)  a WeChat certificate into Redis, as the consumer
#                           does; o: serial, seal (bytes), as (another label),
#                           text (instead of the certificate)
#   entries($t)             what stands in the stream of notices: { p, k, n, b,
#                           r, data (of b) }
#   bill_row($t, %row)      one more row of all bills: no, amount, refund, ...
#
# Key files (PEM): merchant.key merchant.crt, wx1.key wx1.crt, wx2.key wx2.crt,
# wxpub.pub (WeChat's public key), apiv3; app.key app.crt (ours) alipay.pub
# alipay.crt (Alipay's), alipay.key; other.key (nobody's); app.bare, alipay.bare
# (base64 without PEM as the console shows them); in certificate mode root.crt.
#
# Operations: native jsapi h5 query close refund refund_query certificates
# tradebill download, and of Alipay precreate page wap aquery aclose arefund
# arefund_query abill adownload; "all" is each.
# Faults: ok; before (connection ends, nothing was done); timeout (it is done,
# then silence), lost (done, then the connection ends), slow (done, after 1 s);
# 500 502 503 429 (nothing done), late500 (done, then 500); eSTATUS:CODE (an
# error of WeChat, of Alipay a sub_code), uSTATUS:CODE (of WeChat, unsigned);
# answers that are unsigned, forged, wrongkey (another key, same serial),
# othercert (another key and serial, of Alipay), stale (400 s), signtest, html,
# cut, big; badhash (of a bill); elsewhere (Alipay, of a refund: done, and the
# answer is of another trade).
#
# o of notice(): total, state, mchid, appid, currency, fields => {} (of what is
# signed), id, type (event_type); seller, app, skip => [names that are not
# signed] (Alipay); key, serial, age (s), forged, signtest, unsigned, alter (a
# sub that gets the notice), apiv3.

use warnings;
use strict;

use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(decode_base64 decode_base64url);
use POSIX qw(strftime);
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

use RushTest::Provider::Crypto;
use RushTest::Sink;

our $MCHID = '1900000109';
our $APPID = 'wx8888888888888888';
our $APIV3 = 'canaryApiV3KeyOfTheStandIn000032';
our $APP = '2021000000000109';
our $SELLER = '2088000000000109';

our %SERIAL = (
    merchant => '1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C',
    wx1 => '7132D72A03E93CDDF8C03BBD1F37EEDF00000001',
    wx2 => '7132D72A03E93CDDF8C03BBD1F37EEDF00000002',
    wxpub => 'PUB_KEY_ID_0119000001092024101100000001',
    app => '20200514A00000000000000000000109',
    alipay => '20200514A00000000000000000000001',
);

our $json = JSON::PP->new->canonical->utf8->allow_nonref;

my $here = dirname(abs_path(__FILE__));


# --- what a test calls ---

sub add {
    my ($t, $port, %o) = @_;

    my $dir = "$t->{dir}/provider";

    mkdir $dir;
    mkdir "$dir/$_" foreach qw(trade refund fault);

    RushTest::Provider::Crypto::keys($dir, other => '',
        map { $_ => $SERIAL{$_} =~ /^PUB/ ? '' : $SERIAL{$_} } keys %SERIAL);
    RushTest::Provider::Alipay::use_certs($dir)
        if ($o{alipay} // '') eq 'cert';

    RushTest::spew("$dir/apiv3", "$APIV3\n", 0600);
    RushTest::spew("$dir/$_->[0].bare", bare("$dir/$_->[1]"), 0600)
        foreach ['app', 'app.key'], ['alipay', 'alipay.pub'];
    RushTest::spew("$dir/port", $port);
    certs($t, 'wx1');
    signer($t, '');

    foreach my $file (glob "$t->{dir}/consumer*.conf") {
        RushTest::spew($file, RushTest::slurp($file)
                       =~ s/\@DIR\@/$t->{dir}/gr);
    }

    $t->add_daemon('provider', log => "$dir/log", out => "$dir/log",
        argv => [$^X, "-I$RushTest::ROOT/t/lib", '-MRushTest::Provider', '-e',
                 'RushTest::Provider::serve(@ARGV)', $port, $dir],
        env => { RUSH_BUILD => $RushTest::BUILD },
        ready => sub { -e "$dir/ready" },
        before => sub { unlink "$dir/ready" });
}


# base64 without PEM, as a console shows it

sub bare {
    my ($file) = @_;
    my $text = RushTest::slurp($file);
    $text =~ s/-----[^-]+-----//g;
    return $text =~ s/\s+//gr;
}


sub dir { return "$_[0]{dir}/provider" }
sub file { return dir($_[0]) . "/$_[1]" }


sub url {
    my ($t, $path) = @_;
    return 'http://127.0.0.1:' . slurp(file($t, 'port')) . ($path // '');
}


sub got {
    my ($t, $op) = @_;
    return grep { !defined $op || $_->{op} eq $op }
        RushTest::Sink::got($t, 'provider');
}


sub bad { return grep { $_->{bad} } got($_[0]) }


sub fault {
    my ($t, $op, $fault, $times) = @_;
    write_all(file($t, "fault/$op"), "$fault " . ($times // -1));
}


sub certs { my ($t, @names) = @_; write_all(file($t, 'certs'), "@names") }
sub signer { my ($t, $name) = @_; write_all(file($t, 'signer'), $name) }


sub trade { return load(dir($_[0]), 'trade', $_[1]) }
sub refund { return load(dir($_[0]), 'refund', $_[1]) }


sub set {
    my ($t, $no, %fields) = @_;
    return change(dir($t), sub {
        my $trade = trade($t, $no) || { no => $no, provider => 'wechat' };
        @$trade{keys %fields} = values %fields;
        return store(dir($t), 'trade', $no, $trade);
    });
}


sub pay {
    my ($t, $no, %o) = @_;

    my $trade = change(dir($t), sub {
        my $trade = trade($t, $no) or die "no trade $no\n";
        die "trade $no is $trade->{state}\n"
            if $trade->{state} !~ /^(?:NOTPAY|SCANNED|WAIT_BUYER_PAY)$/;
        $trade->{state} = $trade->{provider} eq 'wechat' ? 'SUCCESS'
            : 'TRADE_SUCCESS';
        $trade->{paid} = time();
        $trade->{id} //= number();
        return store(dir($t), 'trade', $no, $trade);
    });

    return $trade if !($o{notify} // 1);
    return deliver($t, notice($t, $no, %o));
}


sub settle {
    my ($t, $no, $state, %o) = @_;

    change(dir($t), sub {
        my $refund = refund($t, $no) or die "no refund $no\n";
        $refund->{state} = $state;
        $refund->{done} = time();
        return store(dir($t), 'refund', $no, $refund);
    });

    return if !($o{notify} // 1);
    return deliver($t, notice($t, $no, %o));
}


sub notice {
    my ($t, $no, %o) = @_;

    my $trade = trade($t, $no);
    my $refund = $trade ? undef : refund($t, $no);

    $trade ||= trade($t, $refund->{trade}) if $refund;
    $trade ||= { no => $no, provider => $o{provider} // 'wechat',
                 total => $o{total} // 100, state => 'SUCCESS',
                 paid => time(), id => number() };

    my $notice = $trade->{provider} eq 'wechat'
        ? RushTest::Provider::Wechat::notice(dir($t), $trade, $refund, %o)
        : RushTest::Provider::Alipay::notice(dir($t), $trade, $refund, %o);

    $notice->{path} = $o{path} if $o{path};
    $o{alter}->($notice) if $o{alter};
    return $notice;
}


sub deliver {
    my ($t, $notice, %o) = @_;
    return $t->post($notice->{path}, body => $notice->{body},
                    type => $notice->{type}, headers => $notice->{headers},
                    %o);
}


sub conf {
    my (%o) = @_;

    my $dir = '../provider';            # from that of nginx
    my $wechat = exists $o{wechat} ? $o{wechat}
        : "public_key_id=$SERIAL{wxpub} public_key=$dir/wxpub.pub "
          . "mchid=$MCHID appid=$APPID";
    my $alipay = exists $o{alipay} ? $o{alipay}
        : "seller_id=$SELLER app_id=$APP";

    return (defined $wechat ? "seckill_wechat_pay apiv3_key=$dir/apiv3 "
                              . "$wechat;\n" : '')
        . (defined $alipay ? "seckill_alipay key=$dir/alipay.bare $alipay;\n"
                           : '');
}


sub publish {
    my ($t, $name, %o) = @_;

    my $serial = $o{serial} // $SERIAL{$name};
    my $seal = $o{seal} // decode_base64url(slurp("$t->{dir}/seal.key"));
    my $key = hmac_sha256($o{as} // 'paykey', $seal);
    my $nonce = pack 'N3', map { rand 2 ** 32 } 1 .. 3;
    my $text = $o{text} // slurp(file($t, "$name.crt"));

    $t->redis()->set("{rush}k:wx:$serial", $nonce . decode_base64(
        RushTest::Provider::Crypto::seal($key, $nonce, $o{with} // $serial,
                                         $text)));
}


sub entries {
    my ($t) = @_;

    my @all;

    foreach my $row (@{$t->redis()->xrange('{rush}pay', '-', '+')}) {
        my %e = @{$row->[1]};
        $e{data} = eval { $json->decode($e{b}) };
        push @all, \%e;
    }

    return @all;
}


sub bill_row {
    my ($t, %row) = @_;
    RushTest::Sink::write_file(file($t, 'rows'), $json->encode(\%row) . "\n",
                               '>>');
}


# --- state: files, changed under one lock ---

sub slurp {
    my ($path) = @_;
    open my $fh, '<:raw', $path or return '';
    local $/;
    return scalar <$fh> // '';
}


sub write_all {
    my ($path, $text) = @_;
    RushTest::Sink::write_file("$path.$$", $text);
    rename "$path.$$", $path or die "$path: $!\n";
}


sub change {
    my ($dir, $sub) = @_;
    open my $lock, '>', "$dir/lock" or die "$dir/lock: $!\n";
    flock $lock, LOCK_EX or die "flock: $!\n";
    return $sub->();
}


sub name_of { return $_[0] =~ s/([^A-Za-z0-9_-])/sprintf '%%%02x', ord $1/ger }


sub load {
    my ($dir, $kind, $no) = @_;
    my $text = slurp("$dir/$kind/" . name_of($no));
    return $text eq '' ? undef : $json->decode($text);
}


sub store {
    my ($dir, $kind, $no, $o) = @_;
    write_all("$dir/$kind/" . name_of($no), $json->encode($o));
    return $o;
}


sub all {
    my ($dir, $kind) = @_;
    return map { $json->decode(slurp($_)) } sort glob "$dir/$kind/*";
}


sub rows {
    my ($dir) = @_;
    return map { $json->decode($_) } split /\n/, slurp("$dir/rows");
}


sub refunds_of {
    my ($dir, $no) = @_;
    return grep { $_->{trade} eq $no } all($dir, 'refund');
}


# fen that are promised back of a trade

sub refunded {
    my ($dir, $no) = @_;
    my $sum = 0;
    $sum += $_->{amount}
        foreach grep { $_->{state} ne 'CLOSED' } refunds_of($dir, $no);
    return $sum;
}


sub number {
    return strftime('%Y%m%d', gmtime) . sprintf '%05d%06d%09d', $$ % 1e5,
        rand 1e6, rand 1e9;
}


# RFC 3339 and Alipay's form, in China

sub rfc3339 {
    my ($at) = @_;
    return strftime('%Y-%m-%dT%H:%M:%S+08:00', gmtime $at + 28800);
}


sub china {
    my ($at) = @_;
    return strftime('%Y-%m-%d %H:%M:%S', gmtime $at + 28800);
}


# lines of a section of bill.txt, bytes

sub words {
    my ($name) = @_;
    my ($text) = slurp("$here/Provider/bill.txt")
        =~ /^\[$name\]\n(.*?)\n(?:\n|\z)/ms or die "bill.txt has no $name\n";
    return split /\n/, $text;
}


sub day { return substr rfc3339($_[0]), 0, 10 }


# the name of a fault of this operation, once taken

sub fault_of {
    my ($dir, $op) = @_;

    return change($dir, sub {
        foreach my $file ("$dir/fault/$op", "$dir/fault/all") {
            my ($fault, $times) = split / /, slurp($file);
            next if !defined $fault || $fault eq 'ok' || $times == 0;
            write_all($file, "$fault " . ($times - 1)) if $times > 0;
            return $fault;
        }

        return 'ok';
    });
}


# --- the process ---

sub serve {
    my ($port, $dir) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port",
        Listen => 128, ReuseAddr => 1) or die "listen: $@\n";
    my %child;

    RushTest::Provider::Crypto::program();

    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub { kill KILL => keys %child; exit 0 };

    RushTest::Sink::write_file("$dir/ready", '');

    while (1) {
        my $s = $listen->accept() or next;
        my $pid = fork() // die "fork: $!\n";

        if ($pid == 0) {
            $SIG{TERM} = 'DEFAULT';
            close $listen;
            $s->autoflush(1);
            while (one($s, $dir)) { }
            exit 0;
        }

        $child{$pid} = 1;
        close $s;
        delete @child{grep { !kill 0 => $_ } keys %child};
    }
}


# one request; whether the connection stays

sub one {
    my ($s, $dir) = @_;

    my $head = <$s> // return 0;
    my ($method, $target) = $head =~ m{^(\w+) (\S+) HTTP/1\.[01]\r\n}
        or return 0;
    my %h;

    while (defined(my $line = <$s>)) {
        last if $line eq "\r\n";
        $h{lc $1} = $2 if $line =~ /^([^:]+):\s*(.*?)\s*\r\n/;
    }

    my $n = $h{'content-length'} // 0;
    my $body = '';
    return 0 if $n && (read $s, $body, $n) != $n;

    my ($path, $args) = split /\?/, $target, 2;
    my %q = (dir => $dir, s => $s, method => $method, target => $target,
             path => $path, args => $args // '', headers => \%h,
             body => $body);
    my $way = $path =~ m{^/(?:gateway\.do|abill)} ? 'Alipay' : 'Wechat';
    my $class = "RushTest::Provider::$way";

    $q{op} = $class->can('op')->(\%q);
    $q{bad} = $class->can('check')->(\%q);
    $q{fault} = fault_of($dir, $q{op});

    RushTest::Sink::note_it($dir, op => $q{op}, method => $method,
        path => $target, headers => \%h, body => $body, mode => $q{fault},
        ($q{bad} ? (bad => 1, why => $q{bad}) : ()));

    return before(\%q) // finish(\%q, $class->can('answer')->(\%q), $class);
}


# faults without an effect

sub before {
    my ($q) = @_;

    my $fault = $q->{fault};

    return reset_it($q->{s}) if $fault eq 'before';
    return reply($q, $fault, 'text/plain', "a page of $fault\n")
        if $fault =~ /^[45]\d\d$/;
    return;
}


# an answer is { status, body, type, headers, plain }; the module signs it

sub finish {
    my ($q, $r, $class) = @_;

    my $fault = $q->{fault};

    if ($fault eq 'timeout') {
        sleep 60;
        return 0;
    }

    return reset_it($q->{s}) if $fault eq 'lost';
    return reply($q, 500, 'text/plain', "a page of 500\n")
        if $fault eq 'late500';
    return reply($q, 200, 'text/html', '<html>a proxy</html>')
        if $fault eq 'html';

    sleep 1 if $fault eq 'slow';

    $class->can('sign')->($q, $r) if !$r->{plain};

    if ($fault eq 'cut') {
        my $half = substr $r->{body}, 0, length($r->{body}) / 2;
        reply($q, $r->{status}, $r->{type}, $half, $r->{headers},
              length $r->{body});
        close $q->{s};
        return 0;
    }

    $r->{body} .= ' ' x 2_000_000 if $fault eq 'big';

    return reply($q, $r->{status}, $r->{type}, $r->{body}, $r->{headers});
}


sub reset_it {
    my ($s) = @_;
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    close $s;
    return 0;
}


sub reply {
    my ($q, $status, $type, $body, $headers, $len) = @_;

    my $s = $q->{s};
    my %h = ('Content-Type' => $type // 'application/json; charset=utf-8',
             'Request-ID' => '08' . number() . '-268512771',
             %{$headers || {}});

    print $s "HTTP/1.1 $status x\r\n",
        (map { "$_: $h{$_}\r\n" } sort keys %h),
        $status == 204 ? '' : 'Content-Length: ' . ($len // length $body)
                              . "\r\n",
        "\r\n", $status == 204 ? '' : $body;
    return 1;
}


# they call back when they are read
require RushTest::Provider::Alipay;
require RushTest::Provider::Wechat;


1;
