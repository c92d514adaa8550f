#!/usr/bin/perl

# Copyright (C) Rush

# Prints published vectors as rows for the unit tests: a word, then columns
# in hex, with tabs between.  Usage: vectors.pl jwt|snowflake|tracecontext FILE

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
