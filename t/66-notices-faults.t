#!/usr/bin/perl

# Copyright (C) Rush
#
# Notices when things go wrong: Redis away or slow, clients that leave or write
# byte by byte, a hundred at once; and platform certificates: unknown, new,
# rotated, and what pretends to be one.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use RushTest;
use RushTest::Grant qw(soon);
use RushTest::Provider;
use Test::More;
use Time::HiRes qw(sleep time);

# no public key: certificates only
my $t = RushTest->new(start => 0, mysql => 0, consumer => 0,
    nginx => { workers => 1, extra_http => 'client_body_buffer_size 64k;'
               . RushTest::Provider::conf(wechat => '') });

RushTest::Provider::add($t, RushTest::Backend::free_port());
RushTest::Provider::signer($t, 'wx1');
$t->start(qw(redis nginx));

my $serial = 1000000;
my %number = %RushTest::Provider::SERIAL;


sub notice { return RushTest::Provider::notice($t, 'T' . ++$serial, @_) }
sub bring { return RushTest::Provider::deliver($t, $_[0], record => 0) }
sub kept { return scalar RushTest::Provider::entries($t) }


sub metric {
    my ($name) = @_;
    my $r = $t->get('/metrics', record => 0);
    return $r->{body} =~ /^rush_notice_${name}_total (\d+)/m ? $1 : -1;
}


# how often Redis was asked for a key

sub looks { return metric('looks') }


sub request_of {
    my ($notice) = @_;
    return { method => 'POST', path => $notice->{path}, raw => 1,
             body => $notice->{body}, type => $notice->{type},
             headers => { %{$notice->{headers}} } };
}


# serials are forgotten after a second

sub later { sleep 1.1 }


# --- certificates ---

is(bring(notice())->{status}, 401, 'a serial that is not there');
is(looks(), 1, 'was looked for');
is(bring(notice())->{status}, 401, 'and again');
is(looks(), 1, 'was not looked for again');

RushTest::Provider::publish($t, 'wx1');
later();
is(bring(notice())->{status}, 200, 'it is there now');
is(looks(), 2, 'and was looked for once more');
is(bring(notice())->{status}, 200, 'and stays');
is(looks(), 2, 'without a look');

RushTest::Provider::publish($t, 'wx2');
RushTest::Provider::signer($t, 'wx2');
is(bring(notice())->{status}, 200, 'the next one');
is(bring(notice(key => 'wx1'))->{status}, 200, 'old and new side by side');
is(bring(notice(key => 'wx1', serial => $number{wx2}))->{status}, 401,
   'but not one as the other');
is(looks(), 3, 'one look');
is(kept(), 4, 'all that was taken is kept');

# what is in Redis is believed only when it is sealed for that serial

my %bad = (
    'AB01' => ['no seal', sub {
        $t->redis()->set('{rush}k:wx:AB01',
            RushTest::slurp(RushTest::Provider::file($t, 'wx1.crt'))) }],
    'AB02' => ['another key of the seal', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB02',
                                    seal => 'k' x 32) }],
    'AB03' => ['another label', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB03',
                                    as => 'answer') }],
    'AB04' => ['another serial in the seal', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB04',
                                    with => $number{wx1}) }],
    'AB05' => ['another serial in the certificate', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB05') }],
    'AB06' => ['a bare key', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB06', text =>
            RushTest::slurp(RushTest::Provider::file($t, 'wx1.pub'))) }],
    'AB07' => ['no certificate', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB07',
                                    text => 'x') }],
    'AB08' => ['a private key', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB08', text =>
            RushTest::slurp(RushTest::Provider::file($t, 'wx1.key'))) }],
    'AB09' => ['nothing', sub { $t->redis()->set('{rush}k:wx:AB09', '') }],
    'AB0A' => ['too much', sub {
        RushTest::Provider::publish($t, 'wx1', serial => 'AB0A',
                                    text => 'x' x 9000) }],
    'AB0B' => ['another type', sub {
        $t->redis()->hset('{rush}k:wx:AB0B', 'a', 'b') }],
);

foreach my $no (sort keys %bad) {
    my ($name, $put) = @{$bad{$no}};
    $put->();
    my $r = bring(notice(key => 'wx1', serial => $no));
    # an error of Redis may go by, and so may one in what is ours by its seal
    is($r->{status}, $no =~ /^AB0[78B]/ ? 503 : 401, "$name: not believed");
}

is(kept(), 4, 'and nothing was taken');


# --- many at once ---

RushTest::Provider::publish($t, 'wx1', serial => "00$number{wx1}");

my $before = looks();
my @answers = $t->burst([map { request_of(notice(key => 'wx1',
    serial => "00$number{wx1}")) } 1 .. 50], conns => 50, sync => 1,
    record => 0);

is(scalar(grep { $_->{status} == 200 } @answers), 50,
   '50 by a new key at once');
is(looks() - $before, 1, 'and one look for all of them');

my $n = notice();
$before = kept();
@answers = $t->burst([map { request_of($n) } 1 .. 100], conns => 100,
                     sync => 1, record => 0);
is(scalar(grep { $_->{status} == 200 && $_->{body} eq '' } @answers), 100,
   'one notice 100 times at once');

my @all = RushTest::Provider::entries($t);
is(@all - $before, 100, 'stands there 100 times');
is(scalar(grep { $_->{n} eq $all[-1]{n} } @all), 100, 'under one key');

# serials that anybody makes up

$RushTest::Mode::still = 1;
is(bring(notice())->{status}, 200, 'one is known');
$before = looks();
my @strange = map { request_of(notice(serial => "FF$_")) } 1 .. 400;
my $start = time();
@answers = $t->burst(\@strange, conns => 20, record => 0);
my $seconds = 2 + int(time() - $start);
cmp_ok(looks() - $before, '<=', 128 * $seconds, 'are bounded');
is(scalar(grep { $_->{status} =~ /^(?:401|503)$/ } @answers), 400,
   'and refused');
is(bring(notice())->{status}, 200, 'who is known does not suffer');
$RushTest::Mode::still = 0;


# --- slow and rude clients ---

sub bytes_of {
    my ($notice) = @_;
    return ($t->bytes_of(request_of($notice)))[0];
}


sub reply_of {
    my ($s) = @_;
    my $text = '';
    while (IO::Select->new($s)->can_read(5 * $RushTest::SLOW)) {
        last if !sysread $s, $text, 4096, length $text;
        last if $text =~ /\r\n\r\n/;
    }
    return $text =~ m{^HTTP/1\.1 (\d+)} ? $1 : 0;
}


my $s = $t->connect();
my ($head, $body) = bytes_of(notice()) =~ /^(.*?\r\n\r\n)(.*)\z/s;
syswrite $s, $head;

foreach my $byte (split //, $body) {
    syswrite $s, $byte;
    sleep 0.0005;
}

is(reply_of($s), 200, 'a body byte by byte');

# chunks of one byte

($head, $body) = bytes_of(notice()) =~ /^(.*?\r\n\r\n)(.*)\z/s;
$head =~ s/Content-Length: \d+/Transfer-Encoding: chunked/i;
$s = $t->connect();
syswrite $s, $head;
syswrite $s, "1\r\n$_\r\n" foreach split //, $body;
syswrite $s, "0\r\n\r\n";
is(reply_of($s), 200, 'chunks of one byte');

# who leaves has told it

$before = kept();
$s = $t->connect();
syswrite $s, bytes_of(notice());
close $s;
soon('who leaves at once has told it', sub { kept() == $before + 1 });

$s = $t->connect();
syswrite $s, substr bytes_of(notice()), 0, -10;
close $s;
is(bring(notice())->{status}, 200, 'another');
is(kept(), $before + 2, 'half a notice is none');

# while Redis is silent

$t->pause('redis');
$s = $t->connect();
syswrite $s, bytes_of(notice());
sleep 0.2;
close $s;
sleep 0.1;
$t->resume('redis');
soon('who leaves while Redis is silent has told it',
     sub { kept() == $before + 3 });


# --- Redis slow and away ---

$t->pause('redis');
$start = time();
my $r = bring(notice());
is("$r->{status} $r->{body}", '503 {"code":"FAIL","message":"come again"}',
   'Redis is silent: come again');
ok($r->{headers}{'retry-after'}, 'with a hint');
cmp_ok(time() - $start, '<', 4 * $RushTest::SLOW, 'in time');
$t->resume('redis');
soon('and again when it is back', sub { bring(notice())->{status} == 200 });

my $busy = metric('busy');
$t->stop('redis');
is(bring(notice())->{status}, 503, 'Redis is away');
$r = bring(notice(provider => 'alipay'));
is("$r->{status} $r->{body}", '503 failure', 'for Alipay too');
is(bring(notice(serial => 'EE01'))->{status}, 503,
   'a serial that cannot be looked for');
is(metric('busy'), $busy + 3, 'all counted');
is(bring(notice(forged => 1))->{status}, 401, 'what is forged is refused');

$t->start('redis');
soon('WeChat comes again', sub { bring(notice())->{status} == 200 });
is(bring(notice(provider => 'alipay'))->{body}, 'success', 'and Alipay');

# a reload has no certificate at first

if (RushTest::Mode::has_master()) {
    $before = looks();
    $t->reload('nginx');
    is(bring(notice())->{status}, 200, 'after a reload');
    is(looks() - $before, 1, 'it is looked for');
}

$t->finish();
done_testing();
