#!/usr/bin/perl

# Copyright (C) Rush

# Prints published vectors as rows for the unit tests: a word, then columns
# in hex, with tabs between.  Usage: vectors.pl jwt|snowflake|tracecontext|
# wechatpay_v3|alipay FILE

use strict;
use warnings;

use Encode ();
use JSON::PP ();

my ($name, $file) = @ARGV;

open(my $fh, '<:raw', $file) or die "$file: $!\n";
my $json = do { local $/; <$fh> };
my $v = JSON::PP->new->utf8->allow_nonref->decode($json);

if ($name eq 'jwt') {
    jwt($v);

} elsif ($name eq 'snowflake') {
    snowflake($v);

} elsif ($name eq 'tracecontext') {
    tracecontext($v);

} elsif ($name eq 'wechatpay_v3') {
    wechatpay($v);

} elsif ($name eq 'alipay') {
    alipay($v);

} else {
    die "unknown vectors: $name\n";
}


sub row {
    my ($word, @columns) = @_;

    print join("\t", $word,
               map { unpack('H*', Encode::encode_utf8($_)) } @columns), "\n";
}


sub raw {
    my ($word, @hex) = @_;

    print join("\t", $word, @hex), "\n";
}


sub jwt {
    my ($v) = @_;

    for my $rfc (@{$v->{rfc}}) {
        if (defined $rfc->{key_b64url}) {
            row('accept', $rfc->{key_b64url}, $rfc->{jwt}, $rfc->{name});

        } else {
            row('reject', 'A' x 43, $rfc->{jwt}, $rfc->{name});
        }
    }

    for my $group (@{$v->{wycheproof_hs256}}) {
        for my $test (@{$group->{tests}}) {
            row($test->{expect}, $group->{key}{k}, $test->{jws},
                "tcId $test->{tcId}");
        }
    }

    for my $case (@{$v->{hmac_sha256_rfc4231}{cases}}) {
        raw('hmac', $case->{key_hex}, $case->{msg_hex}, $case->{mac_hex});
    }

    for my $pair (@{$v->{base64url_rfc4648}{valid}}) {
        row('base64', @$pair);
    }

    for my $text (@{$v->{base64url_rfc4648}{reject}}) {
        row('bad64', $text);
    }
}


# layouts with another split than 41-10-12 still have the same 10 bits

sub snowflake {
    my ($v) = @_;

    for my $case (@{$v->{decode_encode}}) {
        row('id', @$case{qw(id epoch_ms unix_ms machine seq)});
    }
}


# two headers of one name and foreign names are the business of nginx

sub tracecontext {
    my ($v) = @_;

    for my $case (@{$v->{traceparent}}) {
        my @headers = @{$case->{headers}};

        next if @headers != 1 || lc $headers[0][0] ne 'traceparent';

        row($case->{expect}, $headers[0][1], $case->{trace_id} // '',
            $case->{flags} // '', $case->{source});
    }
}


sub key_of {
    my ($v, $name) = @_;

    return $v->{keys}{$name} =~ s/^published test key[^:]*: //r;
}


sub wechatpay {
    my ($v) = @_;

    for my $case (@{$v->{vectors}}) {
        my $kind = $case->{kind};
        my @cases = $case->{cases} ? @{$case->{cases}} : $case;

        if ($kind eq 'request_sign') {
            row('request', key_of($v, $case->{private_key}),
                @$case{qw(method canonical_url timestamp nonce_str body
                          message signature)});

        } elsif ($kind eq 'authorization_format') {
            row('layout', @$_{qw(method canonical_url timestamp nonce_str body
                                 message mchid serial_no)}) for @cases;

        } elsif ($kind eq 'client_pay_sign') {
            row($case->{name} =~ /APP/ ? 'app' : 'jsapi',
                key_of($v, $case->{private_key}),
                @$case{qw(appid timeStamp nonceStr line4 signature)});

        } elsif ($kind eq 'response_verify' || $kind eq 'callback') {
            my $h = $case->{headers};

            row('verify', key_of($v, $case->{public_key}
                                 // $case->{certificate}),
                (map { $h->{"Wechatpay-$_"} } qw(Timestamp Nonce Serial
                                                  Signature)),
                $case->{body}, $case->{now} // $h->{'Wechatpay-Timestamp'});

        } elsif ($kind eq 'raw_sign') {
            row('sign', key_of($v, $case->{private_key}),
                @$case{qw(message signature)},
                $case->{certificate} ? key_of($v, $case->{certificate}) : '');
            row('deny', key_of($v, $case->{wrong_public_key}),
                @$case{qw(message signature)}) if $case->{wrong_public_key};

        } elsif ($kind eq 'raw_verify') {
            my $key = key_of($v, $case->{certificate});

            row('accept', $key, @$case{qw(message signature)});
            row('deny', $key, $_, $case->{signature})
                for @{$case->{must_fail_messages}};
            row('deny', $key, $case->{message}, $_)
                for @{$case->{must_fail_signatures}};

        } elsif ($kind eq 'aead') {
            aead($_) for @cases;

        } elsif ($kind eq 'certificates') {
            row('certs', $case->{apiv3_key},
                @$case{qw(body expected_serial expected_certificate_pem)});
        }
    }
}


# without a key of 32 bytes there is nothing to decrypt with: "short"

sub aead {
    my ($case) = @_;

    my $word = sub { length $_[0]{key} == 32 ? $_[1] : 'short' };
    my @in = qw(key nonce associated_data ciphertext);

    row($word->($case, 'open'), @$case{@in}, $case->{plaintext});

    for my $bad (@{$case->{must_fail} // []}) {
        my %bad = (%$case, %$bad);
        row($word->(\%bad, 'shut'), @bad{@in});
    }
}


sub form {
    my ($p) = @_;

    return join '&', map {
        my $text = Encode::encode_utf8($p->{$_});
        "$_=" . $text =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger
    } sort keys %$p;
}


sub alipay {
    my ($v) = @_;

    for my $case (@{$v->{vectors}}) {
        my $kind = $case->{kind};
        my ($name) = grep { defined } @$case{qw(public_key certificate
                                                private_key)};
        my $key = defined $name ? key_of($v, $name) : '';

        if ($kind eq 'request_sign') {
            row('request', $key, form($case->{params}),
                @$case{qw(sign_content sign)});

        } elsif ($kind =~ /notify|verify_params/) {
            my $form = form($case->{params});

            row('notice', $key, $form, $case->{sign_content},
                $kind eq 'trade_notify' ? 'drop' : 'keep');

            for my $bad (@{$case->{must_fail} // []}) {
                my %p = %{$case->{params}};

                if ($bad->{change} =~ /^(\w+) -> (\S+)/) {
                    $p{$1} = $2;

                } elsif ($bad->{change} =~ /^remove (\w+)/) {
                    delete $p{$1};

                } else {
                    next;
                }

                row('forged', $key, form(\%p));
            }

        } elsif ($kind eq 'response_verify') {
            row('answer', $key, $case->{raw_response}
                // qq({"alipay_trade_pay_response":$case->{sign_content},)
                   . qq("sign":"$case->{sign}"}),
                $case->{response_key} // 'alipay_trade_pay_response',
                $case->{sign_content});

        } elsif ($kind eq 'response_slice') {
            row('slice', @$_{qw(raw response_key expect)})
                for @{$case->{cases}};

        } elsif ($kind eq 'cert_sn') {
            row($_->{sn} =~ /_/ ? 'root' : 'sn', @$_{qw(pem sn)})
                for @{$case->{certs}};
        }
    }
}
