#!/usr/bin/perl

# Copyright (C) Rush
#
# The style of every file; and that the checker can fail.

use warnings;
use strict;

use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";
my $out = `perl $root/tools/style.pl $root`;

is($out, '', 'the tree is in style');

my $dir = tempdir(CLEANUP => 1);
my $head = "\n/*\n * Copyright (C) Rush\n */\n\n\n";

sub found {
    my ($text, $name) = @_;

    open my $fh, '>', "$dir/" . ($name // 'a.c') or die;
    print $fh $text;
    close $fh;

    return scalar `perl $root/tools/style.pl $dir/@{[$name // 'a.c']}`;
}

is(found("${head}int  a;\n"), '', 'a good file');
like(found("int  a;\n"), qr/:1: no "Copyright/, 'copyright');
like(found("$head\tint  a;\n"), qr/:7: tab/, 'tab');
like(found("${head}int  a; \n"), qr/:7: blank at the end/, 'blank');
like(found("${head}int  a;"), qr/last line has no end/, 'last line');
like(found("${head}int  a;\n\n"), qr/blank line at the end/, 'blank line');
like(found($head . 'int  ' . 'a' x 80 . ";\n"), qr/86 columns/, 'columns');
like(found("${head}int  a = atoi(b);\n"), qr/atoi\(\): use/, 'atoi');
like(found("${head}int  a = f(sprintf(b));\n"), qr/sprintf\(\)/, 'inner');
is(found("${head}int  a = ngx_sprintf(b);\n"), '', 'ngx_sprintf is good');
is(found("$head/* gets(x) */\nchar  *a = \"atoi(x)\";\n"), '',
   'not in comments and strings');
like(found("${head}int  a; // b\n"), qr/other style/, 'comment');
like(found("${head}/* " . 'TO' . "DO: more */\n"), qr/do it/, 'to do');
like(found("${head}int  a; /* \xc3\xa9 */\n"), qr/US-ASCII/, 'ASCII');
like(found($head . "int  a;\n" x 600), qr/606 lines/, 'long file');

my $body = "    a();\n";

like(found("${head}void\nf(void)\n{\n" . $body x 99 . "}\n"),
     qr/:9: f: 101 lines/, 'long function');
is(found("${head}void\nf(void)\n{\n" . $body x 98 . "}\n"), '',
   'not too long');
like(found("${head}void\nf(void)\n{\n}\n\nvoid\ng(void)\n{\n}\n"),
     qr/:10: two blank lines/, 'gap');
like(found("# Copyright (C) Rush\nsub f {\n" . $body x 99 . "}\n", 'a.pl'),
     qr/f: 101 lines/, 'perl');

done_testing();
