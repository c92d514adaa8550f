#!/usr/bin/perl

# Copyright (C) Rush
#
# Turns SQL statements and Lua scripts into one C header.
#
#   embed.pl sql PREFIX OUT.h FILE.sql       blocks "-- name: some_name"
#   embed.pl lua PREFIX OUT.h FILE.lua ...   one script a file
#   embed.pl text NAME OUT.h FILE            one string, static char NAME[]
#
# PREFIX ngx_seckill makes the enum NGX_SECKILL_SQL_* and the table
# ngx_seckill_sql[] of rush_base.h types.

use warnings;
use strict;

my ($kind, $prefix, $out, @files) = @ARGV;

die "usage: embed.pl sql|lua|text PREFIX OUT.h FILE...\n"
    if !@files || $kind !~ /^(sql|lua|text)$/;

my @rows;

foreach my $file (@files) {
    open my $fh, '<', $file or die "$file: $!\n";
    my $text = do { local $/; <$fh> };
    close $fh;

    if ($kind eq 'text') {
        write_text($text);
        exit 0;
    }

    if ($kind eq 'lua') {
        my ($name) = $file =~ m!([^/]+)\.lua$! or die "$file: not .lua\n";
        push @rows, [$name, $text];
        next;
    }

    while ($text =~ /^--\s*name:\s*(\w+)\s*\n(.*?)(?=^--\s*name:|\z)/msg) {
        my ($name, $stmt) = ($1, $2);

        $stmt =~ s/^\s*--.*\n//mg;
        $stmt =~ s/\s+/ /g;
        $stmt =~ s/^ //;
        $stmt =~ s/ ?; ?$//
            or die "$file: statement \"$name\" does not end with \";\"\n";

        push @rows, [$name, $stmt];
    }
}

my %seen;
$seen{$_->[0]}++ and die "\"$_->[0]\" stands twice\n" foreach @rows;

my $upper = uc "${prefix}_$kind";
my $lower = "${prefix}_$kind";
my $type = $kind eq 'sql' ? 'rush_stmt_t' : 'rush_script_t';

open my $o, '>', "$out.tmp" or die "$out.tmp: $!\n";

print $o "\n/* made by tools/embed.pl */\n\n#include \"rush_base.h\"\n\n";
print $o "enum {\n", map("    ${upper}_\U$_->[0]\E,\n", @rows),
    "    ${upper}_COUNT\n};\n\n";
print $o "static const $type  ${lower}[] __attribute__((unused)) = {\n";

foreach my $row (@rows) {
    my ($name, $text) = @$row;
    my $len = length $text;
    my $params = () = $text =~ /\?/g;

    my @lines = $kind eq 'sql' ? $text =~ /(.{1,66})/g
        : map { "$_\n" } split /\n/, $text;

    $len = length(join '', @lines);

    foreach (@lines) {
        s/(["\\])/\\$1/g;
        s/\n/\\n/g;
    }

    print $o "    { \"$name\",\n", join("\n", map "      \"$_\"", @lines),
        ",\n      $len", ($kind eq 'sql' ? ", $params" : ''), " },\n";
}

print $o "};\n";
close $o or die "$out.tmp: $!\n";
rename "$out.tmp", $out or die "$out: $!\n";


sub write_text {
    my ($text) = @_;

    open my $h, '>', "$out.tmp" or die "$out.tmp: $!\n";
    print $h "\n/* made by tools/embed.pl */\n\n",
        "static const char  ${prefix}[] =\n";

    foreach my $line ($text =~ /([^\n]{0,70}\n?)/g) {
        next if $line eq '';
        $line =~ s/(["\\])/\\$1/g;
        $line =~ s/\n/\\n/g;
        print $h "    \"$line\"\n";
    }

    print $h "    ;\n";
    close $h or die "$out.tmp: $!\n";
    rename "$out.tmp", $out or die "$out: $!\n";
}
