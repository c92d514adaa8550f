package RushTest::Wechat;

# Copyright (C) Rush
#
# Stands in for api.weixin.qq.com: jscode2session, stable_token and
# getuserphonenumber, as a daemon of the harness.  A code tells what becomes of
# it, so tests beside each other do not meet.
#
#   conf($port)               settings of [wechat] for it, with @DIR@ in them
#   add($t, $port)            start('wechat') starts it; writes the secret
#   code($kind, $name)        a fresh login code: "ok.oAnn.7"
#   mode($t, $what, $mode)    "token": see below; "all": ok, silent, 500
#   got($t[, $path])          what came: { time, method, path, args, body }
#   key($name)                the session key of an openid, base64
#   encrypt($name, \%data)    (iv, encrypted_data) under it
#   phone($number, %o)        the data of a number: appid, age (s), country
#   token($t)                 the access token that is good now
#   expire($t, $errcode)      it ends: calls with it get this errcode
#   calls($t, $code)          calls of jscode2session with it; asked(...) waits
#   begin($t, \%fields, %o)   a login (or another request) whose answer is read
#   finish($s)                later: { status, code, body }
#
# Kinds of a login code, its name being the openid: ok; busy (-1 once, then
# ok); eNNN (always this errcode); slow (answers after 1 s); hold (answers once
# the file "go" is there); half (ends in its middle); cut (half of the JSON);
# h500, h302 (a status); reset, close (instead of an answer); html; big;
# nokey; badid (an openid with blanks).  A code that was looked at is used.
# Kinds of a phone code, its name being the number: ok, busy, eNNN, reset, half,
# cut, h500; mark (of another app), old (an hour); us (of country 1).
# Modes of the token: ok; busy, slow, eNNN, h500; short (ends in a second).

use warnings;
use strict;

use Digest::MD5 qw(md5 md5_hex);
use Fcntl qw(O_CREAT O_EXCL O_WRONLY);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

use RushTest::Grant ();
use RushTest::Sink;

our $APPID = 'wx4f4bc4dec97d474b';
our $SECRET = 'canary5ecretofaminiprogram000000';

my $json = JSON::PP->new->canonical->utf8;
my $serial = 0;


sub conf {
    my ($port, %o) = @_;
    return { appid => $APPID, secret_file => '@DIR@/wechat.secret',
             base_url => "http://127.0.0.1:$port", timeout => 1500, %o };
}


sub add {
    my ($t, $port) = @_;

    my $dir = "$t->{dir}/wechat";

    mkdir $dir;
    mkdir "$dir/seen";
    mode($t, 'all', 'ok');
    mode($t, 'token', 'ok');
    RushTest::spew("$dir/token.1", '40001');
    RushTest::spew("$t->{dir}/wechat.secret", "$SECRET\n", 0600);

    foreach my $file (glob "$t->{dir}/consumer*.conf") {
        RushTest::spew($file, RushTest::slurp($file)
                       =~ s/\@DIR\@/$t->{dir}/gr);
    }

    $t->add_daemon('wechat', log => "$dir/log", out => "$dir/log",
        argv => [$^X, "-I$RushTest::ROOT/t/lib", '-MRushTest::Wechat', '-e',
                 'RushTest::Wechat::serve(@ARGV)', $port, $dir],
        ready => sub { -e "$dir/ready" },
        before => sub { unlink "$dir/ready" });
}


sub code {
    my ($kind, $name) = @_;
    return join '.', $kind, $name, ++$serial, int(rand 1e9);
}


sub mode {
    my ($t, $what, $mode) = @_;
    RushTest::spew("$t->{dir}/wechat/$what.new", $mode);
    rename "$t->{dir}/wechat/$what.new", "$t->{dir}/wechat/$what" or die;
}


sub got {
    my ($t, $path) = @_;
    return grep { !defined $path || $_->{path} =~ /\Q$path\E$/ }
        RushTest::Sink::got($t, 'wechat');
}


sub key { return encode_base64(md5("session of $_[0]"), '') }


sub encrypt {
    my ($name, $data, %o) = @_;

    my $iv = $o{iv} // md5(rand);
    my $text = ref $data ? $json->encode($data) : $data;

    return (encode_base64($iv, ''),
            encode_base64(aes('-e', $o{key} // key($name), $iv, $text), ''));
}


# by openssl(1): not by the code that is tested

sub aes {
    my ($way, $key, $iv, $text) = @_;

    require File::Temp;
    my $file = File::Temp->new();
    binmode $file;
    print $file $text;
    $file->flush();

    my $out = sprintf 'openssl enc -aes-128-cbc %s -K %s -iv %s -in %s', $way,
        unpack('H*', decode_base64($key)), unpack('H*', $iv),
        $file->filename();
    return scalar `$out 2>/dev/null`;
}


sub phone {
    my ($number, %o) = @_;
    my $country = $o{country} // '86';
    return { phoneNumber => $country eq '86' ? $number : "+$country$number",
             purePhoneNumber => "$number", countryCode => $country,
             watermark => { timestamp => int(time() - ($o{age} // 0)),
                            appid => $o{appid} // $APPID } };
}


sub token {
    my ($t) = @_;
    return 'canary-access-token-' . newest("$t->{dir}/wechat");
}


sub expire {
    my ($t, $errcode) = @_;
    my $dir = "$t->{dir}/wechat";
    my $n = newest($dir);
    RushTest::spew("$dir/token." . ($n + 1), $errcode);
}


sub newest {
    my ($dir) = @_;
    return (sort { $b <=> $a } map { /\.(\d+)$/ } glob "$dir/token.*")[0];
}


sub calls {
    my ($t, $code) = @_;
    return grep { ($_->{args}{js_code} // '') eq $code }
        got($t, 'jscode2session');
}


sub asked {
    my ($t, $code) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    RushTest::Grant::soon('WeChat is asked', sub { scalar calls($t, $code) });
}


sub begin {
    my ($t, $fields, %o) = @_;
    my $s = $t->connect($o{node});
    syswrite $s, ($t->bytes_of({ method => 'POST',
        path => '/api/v1/user/wx-mini-auth', %o, data => $fields }))[0];
    return $s;
}


sub finish {
    my ($s) = @_;
    my $text = '';

    while (IO::Select->new($s)->can_read(10 * $RushTest::SLOW)) {
        last if !sysread $s, $text, 65536, length $text;
        my ($n) = $text =~ /Content-Length: (\d+)/i or next;
        last if $text =~ /\r\n\r\n(.{$n})/s;
    }

    my ($status) = $text =~ m{^HTTP/1\.1 (\d+)};
    my ($code) = $text =~ /\{"code":(\d+)/;
    return { status => $status // 599, code => $code, body => $text };
}


# --- the process ---

sub serve {
    my ($port, $dir) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port",
        Listen => 128, ReuseAddr => 1) or die "listen: $@\n";
    my %child;

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


sub one {
    my ($s, $dir) = @_;

    my $head = <$s> // return 0;
    my ($method, $path, $args) = $head =~ m{^(\w+) ([^ ?]+)\??(\S*) HTTP/1.1}
        or die "a bad request\n";
    my %h;

    while (defined(my $line = <$s>)) {
        last if $line eq "\r\n";
        $h{lc $1} = $2 if $line =~ /^([^:]+):\s*(.*?)\r\n/;
    }

    read $s, my $body, $h{'content-length'} // 0;
    my %a = map { my ($k, $v) = split /=/, $_, 2;
                  ($k => ($v // '') =~ s/%(..)/chr hex $1/ger) }
        split /&/, $args;
    my $all = RushTest::Sink::read_file("$dir/all");

    RushTest::Sink::note_it($dir, method => $method, path => $path,
        args => \%a, headers => \%h, body => $body // '');

    return sleep 60 if $all eq 'silent';
    return reply($s, 500, 'oops') if $all eq '500';

    my $data = ($body // '') ne '' ? eval { $json->decode($body) } : undef;

    return $path eq '/sns/jscode2session' ? session($s, $dir, $method, %a)
        : $path eq '/cgi-bin/stable_token' ? give_token($s, $dir, $data)
        : $path eq '/wxa/business/getuserphonenumber'
            ? number($s, $dir, $a{access_token} // '', $data)
        : reply($s, 404, 'what');
}


sub reply {
    my ($s, $status, $text, $len) = @_;
    print $s "HTTP/1.1 $status x\r\nContent-Type: text/plain\r\n",
        $status == 302 ? "Location: http://127.0.0.1:1/\r\n" : '',
        'Content-Length: ', $len // length $text, "\r\n\r\n$text";
    return 1;
}


sub say_json { return reply($_[0], 200, $json->encode($_[1])) }


sub refuse {
    my ($s, $errcode) = @_;
    return say_json($s, { errcode => 0 + $errcode,
                          errmsg => "canary-errmsg rid: $errcode" });
}


# was this never seen before?

sub first {
    my ($dir, $what) = @_;
    return sysopen my $fh, "$dir/seen/" . md5_hex($what),
        O_CREAT | O_EXCL | O_WRONLY;
}


# what all calls may meet; undef: go on, else whether the connection stays

sub mishap {
    my ($s, $dir, $kind, $code, $text) = @_;

    if ($kind eq 'busy') {
        return refuse($s, -1) if first($dir, "busy $code");

    } elsif ($kind =~ /^e(-?\d+)$/) {
        return refuse($s, $1);

    } elsif ($kind =~ /^h(\d+)$/) {
        return reply($s, $1, 'a page');

    } elsif ($kind eq 'reset' || $kind eq 'close') {
        setsockopt $s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)
            if $kind eq 'reset';
        close $s;
        return 0;

    } elsif ($kind eq 'half') {
        reply($s, 200, substr($text, 0, length($text) / 2), length $text);
        close $s;
        return 0;

    } elsif ($kind eq 'cut') {
        return reply($s, 200, substr $text, 0, length($text) / 2);

    } elsif ($kind eq 'html') {
        return reply($s, 200, '<html>a proxy</html>');

    } elsif ($kind eq 'big') {
        return reply($s, 200, $text . ' ' x 20000);

    } elsif ($kind eq 'slow') {
        sleep 1;

    } elsif ($kind eq 'hold') {
        my $end = time() + 20;
        sleep 0.01 while !-e "$dir/go" && time() < $end;
    }

    return;
}


# a code is good once; -1 and refusals do not use it up

sub use_up {
    my ($s, $dir, $kind, $code, $text, $used) = @_;

    my $end = $kind =~ /^(?:busy|e-?\d+)$/
        ? mishap($s, $dir, $kind, $code, $text) : undef;

    return $end if defined $end;
    return refuse($s, $used) if !first($dir, "used $code");
    return mishap($s, $dir, $kind, $code, $text) // reply($s, 200, $text);
}


sub session {
    my ($s, $dir, $method, %a) = @_;

    my $code = $a{js_code} // '';
    my ($kind, $name) = split /\./, $code;

    return refuse($s, 40013) if ($a{appid} // '') ne $APPID;
    return refuse($s, 40125) if ($a{secret} // '') ne $SECRET;
    return refuse($s, 40002) if ($a{grant_type} // '') ne 'authorization_code'
                                || $method ne 'GET';
    return refuse($s, 40029) if ($name // '') !~ /^\w+$/;

    my %r = (openid => $name, session_key => $kind eq 'vector'
             ? 'tiihtNczf5v6AKRyjwEUhQ==' : key($name));

    delete $r{session_key} if $kind eq 'nokey';
    $r{openid} = "a b\n$name" if $kind eq 'badid';

    my $text = $json->encode(\%r);

    return use_up($s, $dir, $kind, $code, $text, 40163);
}


sub give_token {
    my ($s, $dir, $data) = @_;

    my $mode = RushTest::Sink::read_file("$dir/token");

    return refuse($s, 40002) if ($data->{grant_type} // '')
        ne 'client_credential';
    return refuse($s, 40013) if ($data->{appid} // '') ne $APPID;
    return refuse($s, 40125) if ($data->{secret} // '') ne $SECRET;
    return refuse($s, 45009) if $data->{force_refresh};

    my %r = (access_token => 'canary-access-token-' . newest($dir),
             expires_in => $mode eq 'short' ? 1 : 7200);
    my $end = mishap($s, $dir, $mode, int(time() / 1e6), $json->encode(\%r));

    return $end // say_json($s, \%r);
}


sub number {
    my ($s, $dir, $token, $data) = @_;

    my $code = $data->{code} // '';
    my ($kind, $name) = split /\./, $code;
    my $newest = newest($dir);

    return refuse($s, RushTest::Sink::read_file("$dir/token.$newest"))
        if $token ne "canary-access-token-$newest";

    return refuse($s, 40029) if ($name // '') !~ /^\d+$/;

    my $text = $json->encode({ errcode => 0, errmsg => 'ok', phone_info =>
        phone($name, $kind eq 'mark' ? (appid => 'wx0000000000000000') : (),
              $kind eq 'old' ? (age => 3600) : (),
              $kind eq 'us' ? (country => '1') : ()) });

    return use_up($s, $dir, $kind, $code, $text, 40029);
}


1;
