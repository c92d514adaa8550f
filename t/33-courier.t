#!/usr/bin/perl

# Copyright (C) Rush
#
# How codes travel: mail by SMTP, SMS by a webhook, retries, consumers that
# die.  Their settings are in t/33-courier-conf.t.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64);
use RushTest;
use RushTest::Grant qw(gauge soon log_lines);
use RushTest::Sink;
use Test::More;
use Time::HiRes qw(sleep time);

my $secret = 'a secret of some length';
my $smtp = RushTest::Backend::free_port();
my $web = RushTest::Backend::free_port();
my $brand = "Rush \x{95ea}\x{8d2d}";
utf8::encode(my $brand_bytes = $brand);

my $t = RushTest->new(
    start => 0, consumer => 2, failpoints => 1,
    nginx => { extra_http => 'user_code_limit interval=0 hour=0 day=0 '
                   . 'address=0;' },
    consumer_conf => {
        consumer => { block => 50 },
        courier => { brand => $brand_bytes, retry_min => 50, retry_max => 200,
                     subject => "$brand_bytes: " . ('x' x 60) . ' code',
                     text_login => '. {code} is your code',
                     text_reset => "$brand_bytes {code} {minutes} {what}" },
        sms => { driver => 'webhook', timeout => 1000,
                 url => "http://127.0.0.1:$web/hook?x=1",
                 secret_file => '@DIR@/sms.secret' },
        mail => { driver => 'smtp', from => 'no-reply@rush.example',
                  url => "smtp://127.0.0.1:$smtp", starttls => 0,
                  timeout => 1000 },
    },
);

RushTest::spew("$t->{dir}/sms.secret", "$secret\n", 0600);

foreach (1, 2) {
    my $file = "$t->{dir}/consumer" . ($_ == 1 ? '' : 2) . '.conf';
    RushTest::spew($file, RushTest::slurp($file) =~ s/\@DIR\@/$t->{dir}/r);
}

RushTest::Sink::add($t, 'smtp', $smtp);
RushTest::Sink::add($t, 'webhook', $web);
$t->start(qw(redis mysql smtp webhook consumer nginx));
$t->wait_ready();

my $serial = 10;


sub number { return sprintf '137000%05d', $serial++ }
sub email { return 'user' . $serial++ . '@example.com' }


sub ask {
    my ($scene, $target) = @_;
    my $r = $t->not_busy(sub { $t->send_code($scene, $target) });
    is($r->{code}, 0, "asked for $target") or diag($r->{body});
}


sub mails {
    my ($target) = @_;
    return grep { ($_->{to} // '') eq $target } RushTest::Sink::got($t, 'smtp');
}


sub calls {
    my ($target) = @_;
    return grep { $_->{body} =~ /"target":"\Q$target\E"/ }
        RushTest::Sink::got($t, 'webhook');
}


sub count {
    my ($name) = @_;
    my $n = 0;
    $n += gauge($t, $_, "messages_${name}_total") // 0
        foreach qw(consumer consumer2);
    return $n;
}


# a counter rises by one while the sub runs

sub counts {
    my ($name, $sub) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $before = count($name);

    $sub->();
    soon("messages_${name}_total", sub { count($name) == $before + 1 });
}


sub settled {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    soon($name // 'all is acknowledged', sub {
        my $p = $t->redis()->xpending('{rush}out', 'rush');
        return $p->[0] == 0 && $t->redis()->xlen('{rush}out') == 0;
    });
}


# headers (unfolded) and body of a mail

sub parsed {
    my ($mail) = @_;
    my ($head, $body) = split /\r\n\r\n/, $mail->{text}, 2;
    $head =~ s/\r\n[ \t]/ /g;
    return ({ map { /^([\w-]+): (.*)$/s ? (lc $1, $2) : () }
              split /\r\n/, $head }, $body);
}


sub words {
    my ($text) = @_;
    $text =~ s/\?= +=\?/?==?/g;
    $text =~ s/=\?UTF-8\?B\?(.*?)\?=/decode_base64($1)/ge;
    return $text;
}


subtest 'a mail' => sub {
    my $to = email();

    counts('sent', sub { ask('login', $to) });

    my ($mail) = mails($to);
    my ($h, $body) = parsed($mail);

    is($mail->{from}, 'no-reply@rush.example');
    is($h->{to}, "<$to>");
    like($h->{from}, qr/^=\?UTF-8\?B\?\S+\?= <no-reply\@rush\.example>$/);
    is(words($h->{from}), "$brand_bytes <no-reply\@rush.example>");
    like($h->{'message-id'}, qr/^<rush-\d+-\d+\@rush\.example>$/);
    like($h->{date}, qr/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),[ ]\d\d[ ]\w{3}[ ]
                        20\d\d[ ]\d\d:\d\d:\d\d[ ]\+0000$/x);
    is(words($h->{subject}), "$brand_bytes: " . ('x' x 60) . ' code');
    is($h->{'mime-version'}, '1.0');
    is($h->{'content-type'}, 'text/plain; charset=UTF-8');
    is($h->{'content-transfer-encoding'}, '7bit');
    is($h->{'auto-submitted'}, 'auto-generated');
    like($body, qr/^\. \d{6} is your code\r\n$/, 'the dot stays');
    unlike($mail->{text}, qr/[^\r]\n|\r[^\n]|[^\r\n -~]/, 'lines of ASCII');
    is(scalar(grep { length > 78 } split /\r\n/, $mail->{text}), 0,
       'of 78 characters at most');

    ask('reset', $to);
    soon('another one', sub { mails($to) == 2 });
    ($h, $body) = parsed((mails($to))[1]);
    is($h->{'content-transfer-encoding'}, 'base64');
    like(decode_base64($body), qr/^\Q$brand_bytes\E \d{6} 5 \{what\}$/);
    settled();
};


subtest 'a call of the webhook' => sub {
    my $to = number();

    counts('sent', sub { ask('bind', $to) });

    my ($call) = calls($to);
    my $h = $call->{headers};
    my $d = decode_json($call->{body});

    is($call->{head}, 'POST /hook?x=1 HTTP/1.1');
    is($h->{'content-type'}, 'application/json');
    like($h->{'user-agent'}, qr/^rush-consumer/);
    like($h->{'idempotency-key'}, qr/^\d+-\d+$/);
    is($d->{id}, $h->{'idempotency-key'});
    is("$d->{kind} $d->{target} $d->{scene}", "sms $to bind");
    like($d->{code}, qr/^\d{6}$/);
    like($d->{text}, qr/^\[\Q$brand\E\] $d->{code} binds/);
    like($d->{expires_at}, qr/^20\d\d-\d\d-\d\dT/);
    is_deeply([sort keys %$d],
              [qw(code expires_at id kind scene target text)]);

    my ($time, $v1) = $h->{'x-rush-signature'}
        =~ /^t=(\d+),v1=([0-9a-f]{64})$/;
    ok(abs($time - time()) < 10, 'signed now');
    is($v1, hmac_sha256_hex("$time.$call->{body}", $secret), 'and well');
    settled();
};


subtest 'a mail server that wants another try' => sub {
    foreach (['greylist', 2], ['full', 2], ['close', 0], ['silent', 0],
             ['slow', 1])
    {
        my ($mode, $least) = @$_;
        my $to = email();
        my $retried = count('retried');

        RushTest::Sink::mode($t, 'smtp', $mode);
        ask('login', $to);

        soon("$mode: tried again", sub {
            count('retried') >= $retried + 2 && mails($to) >= $least }, 20);
        RushTest::Sink::mode($t, 'smtp', 'ok');
        soon("$mode: delivered", sub {
            grep { $_->{mode} eq 'ok' } mails($to) }, 15);

        my %id = map { my ($h) = parsed($_); ($h->{'message-id'}, 1) }
            grep { $_->{text} } mails($to);
        is(scalar keys %id, 1, 'under one Message-ID');
        settled("$mode: acknowledged");
        my $n = mails($to);
        sleep 0.5;
        is(scalar(mails($to)), $n, 'no more of it');
    }
};


subtest 'a mail server that refuses' => sub {
    foreach my $mode (qw(refuse spam hello)) {
        my $to = email();

        RushTest::Sink::mode($t, 'smtp', $mode);
        counts('failed', sub { ask('login', $to) });
        RushTest::Sink::mode($t, 'smtp', 'ok');
        settled("$mode: acknowledged");
        sleep 0.5;
        is(scalar(grep { $_->{mode} eq 'ok' } mails($to)), 0,
           "$mode: not tried again");
    }
};


subtest 'a mail server that is gone' => sub {
    my $to = email();
    my $retried = count('retried');

    $t->stop('smtp');
    ask('login', $to);
    soon('tried', sub { count('retried') > $retried + 1 });

    # others do not wait for it
    my $sms = number();
    ask('login', $sms);
    soon('an SMS goes out', sub { calls($sms) });

    $t->start('smtp');
    soon('delivered', sub { mails($to) == 1 });
    settled();
};


subtest 'a webhook that wants another try' => sub {
    foreach my $mode (qw(500 503 429 close silent slow)) {
        my $to = number();
        my $retried = count('retried');

        RushTest::Sink::mode($t, 'webhook', $mode);
        ask('login', $to);
        soon("$mode: tried again", sub { count('retried') >= $retried + 2 },
             20);
        RushTest::Sink::mode($t, 'webhook', '200');
        soon("$mode: delivered", sub {
            grep { $_->{mode} eq '200' } calls($to) }, 15);

        my %key = map { $_->{headers}{'idempotency-key'} => 1 } calls($to);
        is(scalar keys %key, 1, 'under one Idempotency-Key');
        settled("$mode: acknowledged");
    }
};


subtest 'a webhook that refuses' => sub {
    foreach my $mode (400, 401, 404, 422, 302) {
        my $to = number();

        RushTest::Sink::mode($t, 'webhook', $mode);
        counts('failed', sub { ask('login', $to) });
        RushTest::Sink::mode($t, 'webhook', '200');
        settled("$mode: acknowledged");
        is(scalar(calls($to)), 1, "$mode: called once, no redirection");
    }
};


subtest 'many at once' => sub {
    my @to = map { number() } 1 .. 60;
    my $start = time();

    RushTest::Sink::mode($t, 'webhook', 'slow');
    my @r = $t->burst([map { { method => 'POST',
        path => '/api/v1/user/send-code',
        data => { scene => 'login', mobile => $_ } } } @to]);
    is(scalar(grep { $_->{code} == 0 } @r), 60);
    sleep 0.3;
    RushTest::Sink::mode($t, 'webhook', '200');

    soon('all are delivered', sub { !grep { !calls($_) } @to }, 30);
    my $time = time() - $start;
    ok($time < 30 * $RushTest::SLOW, "in $time s");
    settled();
};


subtest 'expired' => sub {
    my $to = number();

    RushTest::Sink::mode($t, 'webhook', '500');
    $t->stop('consumer');

    # as a worker an hour ago would have written it
    ask('login', $to);
    my ($entry) = @{$t->redis()->xrange('{rush}out', '-', '+')};
    my %f = @{$entry->[1]};
    $t->redis()->xdel('{rush}out', $entry->[0]);
    my $old = int(time() * 1000) - 299_000;
    $t->redis()->del('{rush}out');
    $t->redis()->xadd('{rush}out', "$old-0", %f);

    $t->start('consumer');
    soon('expired', sub { count('expired') == 1 }, 15);
    ok(scalar(calls($to)) >= 1, 'it was tried to the end');
    RushTest::Sink::mode($t, 'webhook', '200');
    settled();
    is(scalar(grep { $_->{mode} eq '200' } calls($to)), 0, 'and no longer');

    # and one that nobody may open
    counts('failed', sub {
        $t->redis()->xadd('{rush}out', '*', k => 'code', m => 'x' x 200);
    });
    counts('failed', sub {
        $t->redis()->xadd('{rush}out', '*', k => 'none', m => $f{m});
    });
    counts('failed', sub { $t->redis()->xadd('{rush}out', '*', a => 1) });
    settled();
};


subtest 'killed between delivery and acknowledgement' => sub {
    my $to = number();

    $t->failpoint('M1', 'kill');
    ask('login', $to);
    soon('it dies', sub { !$t->running('consumer') });
    is(scalar(calls($to)), 1, 'after the call');
    $t->failpoint('M1', 'off');

    $t->start('consumer2');
    soon('another one takes over', sub { calls($to) == 2 }, 20);
    my %key = map { $_->{headers}{'idempotency-key'} => 1 } calls($to);
    is(scalar keys %key, 1, 'under the same Idempotency-Key');
    settled();

    $t->stop('consumer2');
    ask('login', $to = number());
    $t->failpoint('M1', 'kill');
    $t->start('consumer');
    soon('dies again', sub { !$t->running('consumer') });
    $t->failpoint('M1', 'off');
    $t->start('consumer');
    soon('the same one comes back', sub { calls($to) == 2 });
    settled();
};


subtest 'killed while it waits' => sub {
    my @to = map { number() } 1 .. 5;

    RushTest::Sink::mode($t, 'webhook', '500');
    ask('login', $_) foreach @to;
    soon('tried', sub { !grep { !calls($_) } @to });
    $t->kill('consumer');
    $t->start('consumer2');
    RushTest::Sink::mode($t, 'webhook', '200');

    soon('all come through', sub {
        !grep { my $to = $_; !grep { $_->{mode} eq '200' } calls($to) } @to
    }, 20);
    $t->start('consumer');
    settled();
};


subtest 'two consumers' => sub {
    my @to = map { number() } 1 .. 40;

    RushTest::Sink::mode($t, 'webhook', '503');
    $t->burst([map { { method => 'POST', path => '/api/v1/user/send-code',
        data => { scene => 'login', mobile => $_ } } } @to]);

    # they wait for longer than claim_idle, and are kept
    sleep 2.5;
    RushTest::Sink::mode($t, 'webhook', '200');
    soon('all are delivered', sub {
        !grep { my $to = $_; !grep { $_->{mode} eq '200' } calls($to) } @to
    }, 20);
    settled();

    my @twice = grep { my $to = $_;
        1 < grep { $_->{mode} eq '200' } calls($to) } @to;
    is("@twice", '', 'none twice');

    $t->stop('consumer2');
};


subtest 'Redis is away' => sub {
    my $to = number();

    RushTest::Sink::mode($t, 'webhook', '500');
    ask('login', $to);
    soon('tried', sub { calls($to) });
    $t->stop('redis');
    RushTest::Sink::mode($t, 'webhook', '200');
    soon('what is held is delivered', sub {
        grep { $_->{mode} eq '200' } calls($to) });
    $t->start('redis');
    settled();
    $t->wait_ready();

    # all of its data is lost
    $t->redis()->del('{rush}out');
    ask('login', $to = number());
    soon('the group is made again', sub { calls($to) }, 15);
    settled();
};


subtest 'the end waits for what is on its way' => sub {
    my $to = number();

    RushTest::Sink::mode($t, 'webhook', 'slow');
    RushTest::spew("$t->{dir}/consumer.conf",
        RushTest::slurp("$t->{dir}/consumer.conf")
        =~ s/^(\[sms\].*?)timeout = 1000/$1timeout = 9000/msr);
    $t->restart('consumer');
    ask('login', $to);
    soon('called', sub { calls($to) });
    $t->stop('consumer');
    RushTest::Sink::mode($t, 'webhook', '200');
    $t->start('consumer');
    settled();
    is(scalar(calls($to)), 1, 'once');
};


subtest 'logging in to the mail server' => sub {
    my $conf = RushTest::slurp("$t->{dir}/consumer.conf");
    my $to = email();

    RushTest::Sink::mode($t, 'smtp', 'auth');
    RushTest::spew("$t->{dir}/mail.pass", "secret\n", 0600);
    my $login = "user = ann\npassword_file = $t->{dir}/mail.pass\n";
    RushTest::spew("$t->{dir}/consumer.conf",
                   $conf =~ s/^\[mail\]\n/[mail]\n$login/mr);
    $t->restart('consumer');
    ask('login', $to);
    soon('delivered', sub { mails($to) });
    is((mails($to))[0]{auth}, 'ann');

    # a wrong password is ours to mend: it does not lose the message
    my $retried = count('retried');
    RushTest::spew("$t->{dir}/mail.pass", "wrong\n", 0600);
    $t->restart('consumer');
    ask('login', $to = email());
    soon('tried again', sub { count('retried') > 1 });
    RushTest::spew("$t->{dir}/mail.pass", "secret\n", 0600);
    $t->restart('consumer');
    soon('mended', sub { mails($to) });

    # STARTTLS that is not offered: nothing goes out in the clear
    RushTest::Sink::mode($t, 'smtp', 'ok');
    RushTest::spew("$t->{dir}/consumer.conf",
                   $conf =~ s/^starttls = 0/starttls = 1/mr);
    $t->restart('consumer');
    ask('login', $to = email());
    soon('tried again', sub { count('retried') > 1 });
    is(scalar(mails($to)), 0, 'no mail without TLS');
    RushTest::spew("$t->{dir}/consumer.conf", $conf);
    $t->restart('consumer');
    soon('mended', sub { mails($to) });
    settled();
};


# a mail server that others wrote, and a reader that others wrote

my $read_mail = <<'EOC';
import email, email.policy, sys
m = email.message_from_binary_file(sys.stdin.buffer,
                                   policy=email.policy.default)
a = m['from'].addresses[0]
for line in (m.defects, [d for v in m.values() for d in v.defects],
             m['subject'], a.display_name, a.addr_spec,
             m['to'].addresses[0].addr_spec, m['date'].datetime.utcoffset(),
             m.get_content_type(), m.get_content().strip()):
    print(line)
EOC

subtest 'TLS, to a server of others' => sub {
    my $python = '/usr/bin/python3';

    plan skip_all => 'no aiosmtpd'
        if system("$python -c 'import aiosmtpd' 2>/dev/null") != 0;

    my $conf = RushTest::slurp("$t->{dir}/consumer.conf");
    my $pem = "$t->{dir}/tls";

    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $pem.key "
           . "-out $pem.crt -subj /CN=localhost "
           . "-addext subjectAltName=DNS:localhost 2>/dev/null") == 0
        or die "openssl failed\n";

    foreach (['smtp', 'tls'], ['smtps', 'smtps']) {
        my ($scheme, $option) = @$_;
        my $port = RushTest::Backend::free_port();
        my $name = "mailer-$scheme";
        my $to = email();
        my $before = () = glob "$t->{dir}/box/new/*";
        my $tls = $conf =~ s/^starttls = 0/starttls = 1/mr
            =~ s!^url = smtp:.*!url = $scheme://localhost:$port!mr;

        $t->add_daemon($name, log => "$t->{dir}/$name.log",
            argv => [$python, '-m', 'aiosmtpd', '-n', '-l',
                     "localhost:$port", '-c', 'aiosmtpd.handlers.Mailbox',
                     "--${option}cert", "$pem.crt", "--${option}key",
                     "$pem.key", "$t->{dir}/box"],
            ready => sub { RushTest::Backend::tcp_ready($port) });
        $t->start($name);

        # nobody whom the system trusts has signed it
        RushTest::spew("$t->{dir}/consumer.conf", $tls);
        $t->restart('consumer');
        ask('reset', $to);
        soon('tried again', sub { count('retried') > 1 });

        RushTest::spew("$t->{dir}/consumer.conf",
            $tls =~ s/^\[mail\]\n/[mail]\nca_file = $pem.crt\n/mr);
        $t->restart('consumer');
        soon("$scheme: delivered", sub {
            $before < (() = glob "$t->{dir}/box/new/*") }, 15);
        settled();

        my ($file) = grep { RushTest::slurp($_) =~ /\Q$to\E/ }
            glob "$t->{dir}/box/new/*";
        RushTest::spew("$t->{dir}/read.py", $read_mail);
        my $text = `$python $t->{dir}/read.py < $file 2>&1`;

        like($text, qr/^\[\]\n\[\]\n\Q$brand_bytes\E:[ ]x{60}[ ]code\n
                       \Q$brand_bytes\E\nno-reply\@rush\.example\n\Q$to\E\n
                       0:00:00\ntext\/plain\n
                       \Q$brand_bytes\E[ ]\d{6}[ ]5[ ]\{what\}\n$/x,
             "$scheme: a mail as it should be");
        $t->stop($name);
    }

    RushTest::spew("$t->{dir}/consumer.conf", $conf);
    $t->restart('consumer');
};


# --- nothing is told to anybody else ---

my @codes = ((map { decode_json($_->{body})->{code} }
              RushTest::Sink::got($t, 'webhook')),
             (map { /^\. (\d{6}) / ? $1 : () } map { (parsed($_))[1] // '' }
              grep { $_->{text} } RushTest::Sink::got($t, 'smtp')));
my $codes = join '|', @codes;

cmp_ok(scalar @codes, '>', 100, 'codes to look for');

foreach my $name (qw(consumer consumer2 nginx)) {
    my $log = $t->log_text($name);

    # times of the log are digits too
    $log =~ s/"time":"[^"]*"//g;
    $log =~ s/\b\d{13}-\d+\b//g;

    unlike($log, qr/(?<!\d)(?:$codes)(?!\d)|137000\d{5}|user\d+\@example/,
           "neither a code nor a target in the log of $name");
    unlike($log, qr/\Q$secret\E/, 'nor a secret');
}

my $dump = $t->all_rows();
unlike($dump, qr/(?<!\d)(?:$codes)(?!\d)|137000\d{5}/, 'nor in MySQL');

is(join("\n", map { $_->{message} } log_lines($t, 'consumer', 'alert')), '',
   'no alarm');

$t->finish();
done_testing();
