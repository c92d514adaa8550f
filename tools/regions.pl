#!/usr/bin/perl

# Copyright (C) Rush
#
# regions.pl FILE.txt OUT.h: tables of rush_address.c.  The source of C is
# US-ASCII, so names stand there as escaped UTF-8, and readably in FILE.txt.

use warnings;
use strict;

my ($in, $out) = @ARGV;

die "usage: regions.pl FILE.txt OUT.h\n" if !defined $out;

my (@provinces, %words, %chars, $kind, $name);

open my $fh, '<:raw', $in or die "$in: $!\n";

while (my $line = <$fh>) {
    next if $line =~ /^\s*(?:#|$)/;

    if ($line =~ /^\[(\w+)(?: (\w+))?\]$/) {
        ($kind, $name) = ($1, $2);

    } elsif ($kind eq 'provinces') {
        push @provinces, [split ' ', $line];

    } elsif ($kind eq 'words') {
        push @{$words{$name}}, split ' ', $line;

    } else {
        $chars{$name} .= join '', split ' ', $line;
    }
}

close $fh;

open my $o, '>', "$out.tmp" or die "$out.tmp: $!\n";

print $o <<'EOC';

/*
 * Copyright (C) Rush
 *
 * Made by tools/regions.pl of rush_regions.txt, where it can be read.
 */


#ifndef _RUSH_REGIONS_H_INCLUDED_
#define _RUSH_REGIONS_H_INCLUDED_


/* names end with a blank each; "|" stands where the short form ends */

typedef struct {
    const char  *name;
    char         kind;                  /* p m a s */
    const char  *cities;
} rush_province_t;


EOC

print $o "static const rush_province_t  rush_provinces[]\n"
    . "    __attribute__((unused)) = {\n";

foreach my $p (@provinces) {
    my ($full, $brief, $type, @names) = @$p;
    my $cities = join '', map {
        my ($long, $short) = split m!/!;
        mark($long, $short // cut($long)) . ' ';
    } @names;

    printf $o "    { %s, '%s',\n      %s },\n",
        text(mark($full, $brief) . ' '), $type, text($cities);
}

print $o "};\n\n#define RUSH_PROVINCES  ", scalar @provinces, "\n\n\n";

foreach (sort keys %words) {
    print $o "static const char  rush_words_$_\[]\n"
        . "    __attribute__((unused)) =\n      ",
        text(join '', map { "$_ " } @{$words{$_}}), ";\n\n\n";
}

foreach (sort keys %chars) {
    print $o "static const char  rush_chars_$_\[]\n"
        . "    __attribute__((unused)) =\n      ",
        text($chars{$_}), ";\n\n\n";
}

print $o "#endif /* _RUSH_REGIONS_H_INCLUDED_ */\n";
close $o or die "$out.tmp: $!\n";
rename "$out.tmp", $out or die "$out: $!\n";


# the name without what says that it is a city; as bytes of UTF-8

sub cut {
    my ($long) = @_;

    $long =~ s/(?:\xe5\xb8\x82|\xe5\x9c\xb0\xe5\x8c\xba|\xe7\x9b\x9f
                 |\xe5\x8e\xbf)$//x;

    return $long;
}


sub mark {
    my ($full, $brief) = @_;
    return $full eq $brief ? $full
        : $brief . '|' . substr $full, length $brief;
}


sub text {
    my ($bytes) = @_;
    my @parts = map { '"' . escape($_) . '"' } $bytes =~ /.{1,17}/sg;
    return @parts ? join("\n      ", @parts) : '""';
}


# octal, since a hexadecimal escape would take a letter that follows

sub escape {
    my ($bytes) = @_;
    $bytes =~ s/([\x80-\xff])/sprintf '\\%03o', ord $1/ge;
    return $bytes;
}
