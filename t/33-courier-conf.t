#!/usr/bin/perl

# Copyright (C) Rush
#
# Settings of the courier: what is refused, with a sentence that tells.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;

my $t = RushTest->new(
    start => 0, nginx => 0, redis => 0, mysql => 0,
    consumer_conf => {
        courier => { brand => 'Rush', subject => 'A code',
                     text_login => '{code} is your code',
                     retry_min => 50, retry_max => 200 },
        sms => { driver => 'webhook', url => 'http://127.0.0.1/hook?x=1',
                 secret_file => '@DIR@/sms.secret' },
        mail => { driver => 'smtp', from => 'no-reply@rush.example',
                  url => 'smtp://127.0.0.1:25', starttls => 0 },
    },
);

my $file = "$t->{dir}/consumer.conf";

RushTest::spew("$t->{dir}/sms.secret", "a secret of some length\n", 0600);
RushTest::spew($file, RushTest::slurp($file) =~ s/\@DIR\@/$t->{dir}/r);

my $conf = RushTest::slurp($file);

my ($rc, $out) = $t->consumer_run('-t');
is($rc, 0, $out);

foreach (['(?<=seal_key = ).*', '', qr/"seal_key" is needed/],
         ['(?<=seal_key = ).*', '/none', qr!cannot read "/none"!],
         ['(?<=seal_key = ).*', "$t->{dir}/jwt.key", qr/43 characters/],
         ['driver = smtp', 'driver = pigeon', qr/must be smtp, log or/],
         ['driver = webhook', 'driver = smtp', qr/must be webhook, log/],
         ['driver = webhook', 'driver = log', qr/"file" is needed/],
         ['url = smtp://', 'url = http://', qr/\[mail\] "url" must be/],
         ['url = http://', 'url = ftp://', qr/\[sms\] "url" must be/],
         ['url = http://', 'url = http://u:p@', qr/\[sms\] "url" must/],
         ['(?<=url = )http://.*', '', qr/\[sms\] "url" must be/],
         ['(?<=secret_file = ).*', '', qr/at least 16 bytes/],
         ['from = no-reply@', 'from = no reply@', qr/"from" must be/],
         ['from = .*', 'from = a@b@c', qr/"from" must be/],
         ['(?<=from = ).*', '', qr/"from" must be/],
         ['text_login = .*', 'text_login = none', qr/have \{code\}/],
         ['subject = .*', 'subject = {code}', qr/must not have \{code\}/],
         ['brand = .*', "brand = a\xff", qr/UTF-8/],
         ['(?<=brand = ).*', '', qr/1 to 500/],
         ['retry_min = 50', 'retry_min = 500', qr/"retry_max" must not/],
         ['claim_interval = 200', 'claim_interval = 600', qr/half/],
         ['parallel.*|(?=\[courier\])', "[courier]\nparallel = 65\n",
          qr/1 to 64/],
         ['(?<=\[mail\]\n)', "user = ann\n", qr/go together/],
         ['smtp://127.0.0.1', "smtp://mail.example\nuser = ann",
          qr/not sent without TLS/])
{
    my ($from, $to, $like) = @$_;
    (my $bad = $conf) =~ s/$from/$to/;
    isnt($bad, $conf, "\"$from\" is there");
    RushTest::spew($file, $bad);
    ($rc, $out) = $t->consumer_run('-t');
    is($rc, 1, substr $to, 0, 40);
    like($out, $like, 'told');
}

$t->finish();
done_testing();
