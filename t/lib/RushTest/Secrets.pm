package RushTest::Secrets;

# Copyright (C) Rush
#
# What no log may tell: every file of the suite looks for it in its end.  The
# keys and passwords of the daemons, each token that was made here or came in
# an answer, refresh tokens and tickets.  secret($text) adds one of a test.
#
# Of a token the signature is kept: without it the rest is good for nothing.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64url);

my $MAC = 43;               # characters of 32 bytes: all of them have so many
my $MOST = 100_000;


sub secret {
    my ($self, @texts) = @_;
    $self->{secret}{$_} = 1 foreach grep { defined && length > 5 } @texts;
    return $self;
}


# the end of a token; others than ours are no secret

sub note_token {
    my ($self, $token) = @_;

    my $mac = substr $token, -$MAC;

    $self->{macs}{$mac} = 1 if length $mac == $MAC
        && keys %{$self->{macs}} < $MOST && $mac =~ /^[\w-]+$/
        && $mac !~ /^(.)\1+$/;
}


sub note_answer {
    my ($self, $body) = @_;

    return if index($body, '_token"') < 0 && index($body, '"ticket"') < 0;

    $self->note_token($1)
        while $body =~ /"(?:access_token|refresh_token|ticket)":"([\w.-]+)"/g;
}


# "file: what" of each that some log has

sub told {
    my ($self) = @_;

    my @told;
    my %fixed = (%{$self->{secret} || {}}, map { $_ => 1 } $self->own_keys());

    foreach my $file (glob "$self->{dir}/*.log $self->{dir}/*/*.log") {
        my $name = $file =~ s!^\Q$self->{dir}\E/!!r;
        my $text = RushTest::slurp($file);

        push @told, map { "$name: " . substr($_, 0, 8) . '...' }
            grep { index($text, $_) >= 0 } sort keys %fixed;

        # the same one may be there often
        my %macs = map { $_ => 1 } grep { $self->{macs}{substr $_, -$MAC} }
            $text =~ /([\w-]{$MAC,})/g;

        push @told, map { "$name: a token, " . substr($_, 0, 8) . '...' }
            sort keys %macs;
    }

    return @told;
}


# the daemons' own

sub own_keys {
    my ($self) = @_;

    my ($seal) = RushTest::slurp("$self->{dir}/seal.key") =~ /(\S+)/;

    return grep { defined } $seal, $self->{jwt_secret},
        (defined $self->{jwt_secret}
         ? encode_base64url($self->{jwt_secret}, '') : ()),
        values %{$self->{password} || {}};
}


1;
