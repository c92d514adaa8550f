#!/usr/bin/perl

# Copyright (C) Rush
#
# The documents tell what the source says: generated ones are fresh, every
# directive and every setting is described and none that is not there, links
# lead somewhere, commands and metrics that are named exist.

use warnings;
use strict;

use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";
my @documents = map { s!^\Q$root\E/!!r }
    "$root/README.md", "$root/CONTRIBUTING.md", "$root/CHANGES",
    glob "$root/docs/*.md";

my %contexts = (NGX_MAIN_CONF => 'main', NGX_HTTP_MAIN_CONF => 'http',
                NGX_HTTP_SRV_CONF => 'server',
                NGX_HTTP_LOC_CONF => 'location');

my $out = `$root/tools/docs.sh --check 2>&1 </dev/null`;
is("$?$out", '0', 'generated documents are fresh');

# --- directives ---

my %source = directives_of_source();
my $text = slurp("$root/docs/directives.md");

cmp_ok(scalar keys %source, '>', 15, 'directives are found');
is(join("\n", compare($text)), '', 'docs/directives.md');

foreach (['rush_redis', qr/rush_redis: not documented/],
         ['seckill_zone', qr/seckill_zone: not documented/])
{
    my ($name, $like) = @$_;
    (my $bad = $text) =~ s/^### $name$/### x_$name/m;
    like(join("\n", compare($bad)), $like, "$name is missed");
    like(join("\n", compare($bad)), qr/x_$name: no such/, "x_$name is found");
}

(my $wrong = $text) =~ s/(### rush_limit\n.*?- Context: `http`).*?\n/$1\n/s;
like(join("\n", compare($wrong)), qr/rush_limit: context/, 'wrong context');

# --- settings of the consumer ---

my @settings = settings_of_source();
my $doc = slurp("$root/docs/consumer.md");
my $sample = slurp("$root/conf/consumer.conf");

cmp_ok(scalar @settings, '>', 30, 'settings are found');
is(join("\n", in_doc($doc)), '', 'docs/consumer.md has the settings');
is(join("\n", in_sample($sample)), '', 'conf/consumer.conf has them');

$doc =~ s/^\| `sweep_batch` \| `\d+`/| `sweep_batch` | `7`/m;
like(join("\n", in_doc($doc)), qr/sweep_batch/, 'a wrong default is found');
$sample =~ s/^;writers = 2$/;writer = 2/m;
like(join("\n", in_sample($sample)), qr/writer:.*writers:/s,
     'a wrong name is found');

# --- links, commands, metrics ---

my $help = `$root/build.sh help`;
my %command = map { $_ => 1 } 'help', $help =~ /^  (\w+)  +\w/mg;
my %metric = metrics_of_source();

cmp_ok(scalar keys %command, '>', 10, 'build.sh has commands');
cmp_ok(scalar keys %metric, '>', 70, 'metrics are found');

foreach my $name (@documents) {
    is(join("\n", problems($name, slurp("$root/$name"))), '', $name);
}

like(join(' ', problems('README.md', <<'EOC')),
[a](docs/none.md) [b](docs/flow.md#nowhere) `./build.sh fly`
`rush_buy_lost_total` `shared/none.c`
EOC
     qr/none\.md.*nowhere.*fly.*rush_buy_lost_total.*none\.c/s,
     'what is not there is found');

done_testing();


# --- directives: name => "http, server" ---

sub directives_of_source {
    my %all;

    foreach my $file (glob "$root/shared/*.c $root/ngx_*_module/*.c") {
        my $text = slurp($file);

        next if $text !~ /^static ngx_command_t .*?\{(.*?)^\};/ms;
        my $table = $1;

        while ($table =~ /\{ ngx_string\("(\w+)"\),\s*([\w|\s]+),/g) {
            my ($name, $flags) = ($1, $2);
            $all{$name} = join ', ', map { $contexts{$_} // () }
                $flags =~ /(\w+)/g;
        }
    }

    return %all;
}


sub compare {
    my ($text) = @_;

    my (%seen, @bad);
    my ($index) = $text =~ /^(.*?)^## Core/ms;

    while ($text =~ /^### (\w+)\n(.*?)(?=^##|\z)/msg) {
        my ($name, $section) = ($1, $2);
        $seen{$name} = 1;

        if (!$source{$name}) {
            push @bad, "$name: no such directive";
            next;
        }

        push @bad, "$name: syntax" if $section !~ /^- Syntax: `\Q$name\E\b/m;
        push @bad, "$name: default" if $section !~ /^- Default: \S/m;
        push @bad, "$name: not in the list"
            if $index !~ /\[\Q$name\E\]\(#\Q$name\E\)/;

        my $context = $section =~ /^- Context: (.*)$/m ? $1 =~ s/`//gr : '';
        push @bad, "$name: context is $source{$name}"
            if $context ne $source{$name};
    }

    return (@bad, map { "$_: not documented" }
                  grep { !$seen{$_} } sort keys %source);
}


# --- settings: [section, name, default] ---

sub settings_of_source {
    my @all;
    my $text = slurp("$root/consumer/conf_settings.c");

    $text =~ s/"\s*\n\s*"//g;          # one string in several lines

    while ($text =~ /RUSH_(?:INT|STR)\("(\w+)",\s*"(\w+)",\s*"(\w+)",
                     \s*[\w.]+,\s*"([^"]*)"/gx)
    {
        push @all, { section => $1, name => $2, env => $3, default => $4 };
    }

    return @all;
}


sub in_doc {
    my ($text) = @_;

    my (%row, @bad);

    while ($text =~ /^### \[(\w+)\]\n(.*?)(?=^#|\z)/msg) {
        my ($section, $table) = ($1, $2);
        $row{"$section $1"} = $2
            while $table =~ /^\| `(\w+)` \| (.*?) \|/mg;
    }

    foreach my $s (@settings) {
        my $want = length $s->{default} ? "`$s->{default}`" : 'empty';
        my $have = delete $row{"$s->{section} $s->{name}"} // 'nothing';

        push @bad, "[$s->{section}] $s->{name}: $have instead of $want"
            if $have ne $want;
        push @bad, "$s->{env}: does not follow the rule"
            if $s->{env} ne uc "rush_$s->{section}_$s->{name}"
               && $text !~ /`$s->{env}`/;
    }

    return (@bad, map { "$_: no such setting" } sort keys %row);
}


sub in_sample {
    my ($text) = @_;

    my (%line, @bad);

    while ($text =~ /^\[(\w+)\]\n(.*?)(?=^\[|\z)/msg) {
        my ($section, $lines) = ($1, $2);
        $line{"$section $2"} = [$1, $3]
            while $lines =~ /^(;?)(\w+) =[ ]?(.*)$/mg;
    }

    foreach my $s (@settings) {
        my $have = delete $line{"$s->{section} $s->{name}"};

        push @bad, "$s->{name}: is not there" if !$have;
        push @bad, "$s->{name}: $have->[1] instead of $s->{default}"
            if $have && $have->[0] && length $s->{default}
               && $have->[1] ne $s->{default};
    }

    return ((map { s/.* //r . ': no such setting' } sort keys %line), @bad);
}


# --- metrics, by the tables they come from ---

sub metrics_of_source {
    my %all;
    my $counters = slurp("$root/shared/ngx_rush_counters.h");
    my $consumer = slurp("$root/consumer/metrics.c");
    my $others = join '', map { slurp($_) }
        "$root/shared/ngx_rush_metrics.c", glob "$root/ngx_*_module/*.c";

    $all{"rush_$1_total"} = 1
        while $counters =~ /\bC\([A-Z_]+,\s*(\w+),/g;
    $all{"rush_consumer_$1"} = 1
        while $consumer =~ /rush_(?:counter|gauge)\("(\w+)"/g;
    $all{"rush_$1"} = 1
        while $others =~ /_gauge\(b, "(\w+)"/g;
    $all{$1} = 1
        while $others =~ /# TYPE (rush_\w+)/g;
    $all{$1} = 1
        while $consumer =~ /rush_metrics_head\(b, "(\w+)"/g;

    return %all;
}


# --- one document ---

sub problems {
    my ($name, $text) = @_;

    my @bad;
    my ($dir) = $name =~ m!^(.*/)!;

    while ($text =~ /\]\(([^)\s]+)\)/g) {
        my ($path, $anchor) = split /#/, $1, 2;

        next if $path =~ /^https?:/;
        my $file = length $path ? ($dir // '') . $path : $name;

        push @bad, "$name: no $path" if !-e "$root/$file";
        push @bad, "$name: no heading \"$anchor\" in $file"
            if defined $anchor && -e "$root/$file"
               && !anchors($file)->{$anchor};
    }

    while ($text =~ m!\./build\.sh +([a-z]\w*)!g) {
        push @bad, "$name: no command \"$1\"" if !$command{$1};
    }

    while ($text =~ /`(rush_\w+_(?:total|up|seconds|gate|slot|open|lag
                      |pending|backlog|differences|milliseconds|controller))`
                    /gx)
    {
        push @bad, "$name: no metric $1" if !$metric{$1};
    }

    # paths of the tree; a "<" or "*" in it makes it a pattern
    while ($text =~ m!`((?:shared|consumer|conf|sql|docs|t|bench|tools|debian
                       |ngx_\w+_module)/[\w./-]*)`!gx)
    {
        push @bad, "$name: no $1" if !-e "$root/$1" && $1 !~ /issue-|NN-/;
    }

    return @bad;
}


sub anchors {
    my ($file) = @_;

    my %all;

    foreach (slurp("$root/$file") =~ /^#+ (.*)$/mg) {
        my $a = lc;
        $a =~ s/[^a-z0-9 _-]//g;
        $a =~ tr/ /-/;
        $all{$a} = 1;
    }

    return \%all;
}


sub slurp {
    my ($path) = @_;
    open my $fh, '<:raw', $path or die "$path: $!\n";
    local $/;
    return scalar <$fh>;
}
