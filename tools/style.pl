#!/usr/bin/perl

# Copyright (C) Rush
#
# style.pl [DIR | FILE...]: what a machine can judge of our style.  Prints
# "file:line: sentence" and exits 1 when there is anything to say.

use warnings;
use strict;

use File::Find;

my $LINE = 80;
my $FILE = 600;
my $FUNCTION = 100;

# name => what to use
my %forbidden = (
    sprintf => 'snprintf', vsprintf => 'vsnprintf', strcpy => 'memcpy',
    strcat => 'memcpy', strncpy => 'memcpy', strncat => 'memcpy',
    atoi => 'strtoll', atol => 'strtoll', atoll => 'strtoll',
    atof => 'strtod', strtok => 'strchr', gets => 'fgets',
    tmpnam => 'mkstemp', alloca => 'malloc',
);

# built from parts, so that this file does not name them
my $later = join '|', map { join '', @$_ } ['TO', 'DO'], ['FIX', 'ME'],
    ['X', 'XX'], ['HA', 'CK:'];

my @found;
my @files = @ARGV && -d $ARGV[0] ? files($ARGV[0]) : @ARGV;
my $root = @ARGV && -d $ARGV[0] ? "$ARGV[0]/" : '';

check($_) foreach @files;

print map { "$_\n" } @found;
exit(@found ? 1 : 0);


sub files {
    my ($dir) = @_;

    my @all;

    find({ no_chdir => 1, wanted => sub {
        return if $File::Find::name eq $dir;

        my $name = substr $File::Find::name, length($dir) + 1;

        if (-d && $name =~ m!^(?:\.git|build[^/]*|run|node_modules)$!) {
            $File::Find::prune = 1;
            return;
        }

        push @all, $File::Find::name if -f && !-l && kind($name);
    } }, $dir);

    return sort @all;
}


sub kind {
    my ($name) = @_;

    return 'generated' if $name =~ m!docs/(?:openapi\.json|errors\.md
                                      |metrics\.md)$!x;
    return 'c' if $name =~ /\.[ch]$/;
    return 'perl' if $name =~ /\.(?:pl|pm|t)$/;
    return 'lua' if $name =~ /\.lua$/;
    return 'shell' if $name =~ m!\.sh$|(?:^|/)\.ci/run$|(?:^|/)bench/run$!;
    return 'make' if $name =~ m!\.mk$|(?:^|/)Makefile$|config\.make$
                               |debian/rules$!x;
    return 'text' if $name =~ m!\.(?:md|sql|acl)$|(?:^|/)(?:LICENSE
                                |CHANGES)$!x;
    return 'conf' if $name =~ m!\.(?:conf|cnf|service|mk)$|(?:^|/)config$!x;
    return;
}


sub say_at {
    my ($file, $line, $text) = @_;
    $file =~ s/^\Q$root\E//;
    push @found, "$file:$line: $text";
}


sub check {
    my ($file) = @_;

    my $kind = kind($file) // 'text';

    return if $kind eq 'generated';

    open my $fh, '<:raw', $file or die "$file: $!\n";
    my $text = do { local $/; <$fh> } // '';
    close $fh;

    my @lines = split /\n/, $text, -1;
    pop @lines;

    say_at($file, scalar @lines, 'the last line has no end')
        if length $text && $text !~ /\n\z/;
    say_at($file, scalar @lines, 'blank line at the end')
        if @lines && $lines[-1] eq '';

    check_lines($file, $kind, \@lines);

    if ($kind =~ /^(?:c|perl|lua|shell)$/) {
        say_at($file, scalar @lines, scalar(@lines) . " lines, $FILE at most")
            if @lines > $FILE;
        say_at($file, 1, 'no "Copyright (C) Rush"')
            if $kind ne 'lua'
               && join("\n", @lines[0 .. ($#lines < 9 ? $#lines : 9)])
                  !~ /Copyright \(C\) Rush/;
    }

    check_functions($file, $kind, \@lines) if $kind =~ /^(?:c|perl|shell)$/;
    check_c($file, $text) if $kind eq 'c';
}


sub check_lines {
    my ($file, $kind, $lines) = @_;

    my $code = $kind =~ /^(?:c|perl|lua|shell|conf)$/;
    my $n = 0;

    foreach my $line (@$lines) {
        $n++;

        say_at($file, $n, 'tab') if $line =~ /\t/ && $kind ne 'make';
        say_at($file, $n, 'blank at the end of the line') if $line =~ /[ \t]$/;
        say_at($file, $n, 'CR') if $line =~ /\r/;
        say_at($file, $n, 'not US-ASCII') if $line =~ /[^\x00-\x7f]/;
        say_at($file, $n, length($line) . " columns, $LINE at most")
            if $code && length $line > $LINE;
        say_at($file, $n, "\"$1\": do it, or file an issue")
            if $line =~ /\b($later)\b/ && $line !~ /X{4}/;
    }
}


# from the line of the opening brace to that of the closing one, both at the
# start of a line (perl, shell: opened at the end of the line that names it)

sub check_functions {
    my ($file, $kind, $lines) = @_;

    my ($start, $name) = (0, '');

    foreach my $i (0 .. $#$lines) {
        my $line = $lines->[$i];

        if ($kind eq 'c' && $line eq '{') {
            $start = $i + 1;
            ($name) = join(' ', @$lines[($i > 5 ? $i - 5 : 0) .. $i])
                =~ /.*?(\w+)\([^{]*\{$/;

        } elsif ($line =~ /^sub (\w+) \{$/ || $line =~ /^(\w+)\(\) \{$/) {
            ($start, $name) = ($i + 1, $1);

        } elsif ($line eq '}' && $start) {
            my $n = $i + 2 - $start;

            say_at($file, $start, ($name // 'function')
                   . ": $n lines, $FUNCTION at most") if $n > $FUNCTION;
            $start = 0;

            check_gap($file, $lines, $i) if $kind eq 'c';
        }
    }
}


# two blank lines after a function, unless a directive or the end follows

sub check_gap {
    my ($file, $lines, $i) = @_;

    my @next = grep { defined } @$lines[$i + 1 .. $i + 3];

    return if !@next || (grep { /^#/ } @next);
    return if @next >= 3 && $next[0] eq '' && $next[1] eq ''
              && $next[2] ne '';

    say_at($file, $i + 1, 'two blank lines after a function');
}


sub check_c {
    my ($file, $text) = @_;

    # comments and strings become blanks, lines stay lines
    my $blank = sub { my $s = shift; $s =~ s/[^\n]/ /g; $s };
    $text =~ s!(/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')!
               substr($1, 0, 2) eq '/*' ? $blank->($1)
                                        : '"' . $blank->(substr $1, 2) . '"'
              !gse;

    my $n = 0;

    foreach my $line (split /\n/, $text) {
        $n++;

        say_at($file, $n, 'comment of the other style') if $line =~ m!//!;
        say_at($file, $n, '#if 0') if $line =~ /^\s*#\s*if\s+0\b/;
        while ($line =~ /\b(\w+)\s*\(/g) {
            say_at($file, $n, "$1(): use $forbidden{$1}()")
                if exists $forbidden{$1} && $file !~ m!/(?:t|bench)/!;
        }
    }
}
