package Chaos::Forger;

# Copyright (C) Rush
#
# Notices of WeChat Pay that nobody may believe: a signature of somebody
# else's, one of another body, none, one that is an hour old.  They are made
# before a round, openssl signs them.
#
#   my $f = Chaos::Forger->new($dir);       keys in $dir, made once
#   $f->conf()          of nginx: what a node trusts
#   my $ways = $f->forge();     { way => { headers, body }, ... }

use warnings;
use strict;

use JSON::PP ();
use MIME::Base64 qw(encode_base64);

use RushTest;

use constant SERIAL => 'PUB_KEY_ID_0114232134912410000000000000';
use constant BITS => 2048;

my $json = JSON::PP->new->canonical;
my $n = 0;


sub new {
    my ($class, $dir) = @_;

    my $self = bless { dir => $dir, public => "$dir/wx_public.pem" }, $class;

    return $self if -e $self->{public};

    foreach my $name (qw(theirs other)) {
        run('genrsa', '-out', "$dir/wx_$name.pem", BITS);
    }

    run('rsa', '-in', "$dir/wx_theirs.pem", '-pubout', '-out',
        $self->{public});
    RushTest::spew("$dir/wx_apiv3", 'k' x 32, 0600);

    return $self;
}


sub conf {
    my ($self) = @_;

    return "seckill_wechat_pay apiv3_key=$self->{dir}/wx_apiv3 "
        . 'public_key_id=' . SERIAL . " public_key=$self->{public} "
        . 'mchid=1900000001; client_body_buffer_size 64k;';
}


sub run {
    my (@args) = @_;
    system("openssl @args 2> /dev/null") == 0 or die "openssl @args\n";
}


sub forge {
    my ($self) = @_;

    my $now = int time();
    my ($one, $two) = map { $self->body() } 1, 2;

    return {
        other_key => $self->notice('other', $now, $one, $one),
        swapped => $self->notice('theirs', $now, $one, $two),
        old => $self->notice('theirs', $now - 3600, $one, $one),
        unsigned => { headers => {}, body => $one },
    };
}


# with a signature of one body and the bytes of another

sub notice {
    my ($self, $key, $time, $signed, $body) = @_;

    my $nonce = sprintf 'forged%026d', ++$n;
    my $text = "$self->{dir}/wx_text";

    RushTest::spew($text, "$time\n$nonce\n$signed\n");
    run('dgst', '-sha256', '-sign', "$self->{dir}/wx_$key.pem", '-out',
        "$text.sig", $text);

    return { body => $body, headers => {
        'Wechatpay-Timestamp' => $time,
        'Wechatpay-Nonce' => $nonce,
        'Wechatpay-Serial' => SERIAL,
        'Wechatpay-Signature' =>
            encode_base64(RushTest::slurp("$text.sig"), ''),
    } };
}


sub body {
    my ($self) = @_;

    return $json->encode({
        id => sprintf('forged-%08d', ++$n), event_type => 'TRANSACTION.SUCCESS',
        create_time => '2026-01-01T00:00:00+08:00', summary => 'ok',
        resource_type => 'encrypt-resource',
        resource => { algorithm => 'AEAD_AES_256_GCM',
                      original_type => 'transaction',
                      associated_data => 'transaction', nonce => 'abcdefghijkl',
                      ciphertext => encode_base64('x' x 64, '') },
    });
}


1;
