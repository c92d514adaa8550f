package Notice;

# Copyright (C) Rush
#
# Notices of payment providers in the bench: a genuine one again and again, each
# time verified, decrypted and added to the stream, against a bare "return 200"
# that gets the same bytes in the same round.
#
#   my $section = Notice::run($load, $pin, $quick);     of results.md

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../t/lib";

use JSON::PP;
use RushTest;
use RushTest::Provider;
use Time::HiRes qw(sleep);


sub run {
    my ($load, $pin, $quick) = @_;

    my $t = RushTest->new(start => 0, mysql => 0, consumer => 0,
        redis => { appendfsync => 'everysec' },
        nginx => { workers => 1, level => 'warn', limits => 'off',
            extra_http => 'request_pool_size 8k; client_body_buffer_size 64k;'
                . RushTest::Provider::conf(),
            extra_server => "location = /bare { return 200 ''; }\n" });

    RushTest::Provider::add($t, RushTest::Backend::free_port());
    $t->start(qw(redis nginx));
    $pin->(0, $t->workers('nginx'));
    $pin->(1, $t->pid('redis'));

    my @rows = (['what', 'per s', 'nginx us', 'redis us', 'result'],
                ['---', ('---:') x 3, '---'],
                ['RSA-2048 verified, openssl speed', rsa(), '']);

    push @rows, both($t, $load, $quick, 'WeChat Pay',
                     RushTest::Provider::notice($t, 'T1000001',
                                                key => 'wxpub')),
                both($t, $load, $quick, 'Alipay',
                     RushTest::Provider::notice($t, 'T1000002',
                                                provider => 'alipay'));

    return "## Notices\n\nNotices of payment providers, verified, decrypted "
        . "and added to the stream by one worker on one core, the load "
        . 'generator and Redis on the other; against bare `return 200` with '
        . "the same bytes in the same round.  Made by `bench/run --notices`."
        . "\n\n" . join '', map { '| ' . join(' | ', @$_) . " |\n" } @rows;
}


# on the worker's core, in this run

sub rsa {
    my $text = `taskset -c 0 openssl speed -seconds 2 rsa2048 2>/dev/null`;
    my ($rate) = $text =~ /^rsa 2048 bits\s+\S+\s+\S+\s+\S+\s+(\S+)/m
        or return ('', '', '');
    return (sprintf('%.0f', $rate), sprintf('%.1f', 1e6 / $rate), '');
}


sub both {
    my ($t, $load, $quick, $name, $notice) = @_;

    my %h = (Host => '127.0.0.1', 'Content-Type' => $notice->{type},
             'Content-Length' => length $notice->{body},
             %{$notice->{headers}});
    my $rest = " HTTP/1.1\r\n" . join('', map { "$_: $h{$_}\r\n" } sort keys
                                      %h) . "\r\n$notice->{body}";
    my $n = $quick ? 10_000 : 20_000;
    my (@bare, @all, @ratios);

    RushTest::spew("$t->{dir}/bare", "POST /bare$rest");
    RushTest::spew("$t->{dir}/notice", "POST $notice->{path}$rest");

    foreach (1 .. ($quick ? 2 : 5)) {
        push @bare, load_run($t, $load, 'bare', $n);
        push @all, load_run($t, $load, 'notice', $n);
        push @ratios, $all[-1]{nginx} / $bare[-1]{nginx};
        $t->redis()->del('{rush}pay');
    }

    my ($bare, $m) = map {
        (sort { $a->{nginx} <=> $b->{nginx} } @$_)[@$_ / 2] } \@bare, \@all;
    my $ratio = (sort { $a <=> $b } @ratios)[@ratios / 2];
    my @rows = map { [sprintf('%s, %d bytes', $_->[0],
                              length $notice->{body}),
                      sprintf('%.0f', $_->[1]{rps}),
                      sprintf('%.1f', $_->[1]{nginx}),
                      sprintf('%.1f', $_->[1]{redis}), $_->[2]] }
        ["bare, as $name", $bare, ''],
        ["notice of $name", $m, sprintf '%.2f x CPU, %.0f/s of a whole core',
         $ratio, 1e6 / $m->{nginx}];

    print "   @$_\n" foreach @rows;
    return @rows;
}


sub cpu {
    my $sum = 0;

    foreach my $file (map { glob "/proc/$_/task/*/schedstat" } @_) {
        open my $fh, '<', $file or next;
        $sum += (split ' ', <$fh>)[0];
    }

    return $sum;
}


sub load_run {
    my ($t, $load, $file, $n) = @_;

    my @pids = ([$t->workers('nginx')], [$t->pid('redis')]);
    my $mark = "$t->{dir}/mark";

    unlink $mark;

    my $pid = open my $out, '-|', 'taskset', '-c', 1, $load, '-c', 64, '-n',
        $n, '-w', 2000, '-s', $mark, '-R', "$t->{dir}/$file",
        'http://127.0.0.1:' . $t->port('nginx') . '/' or die "load: $!\n";

    sleep 0.001 until -e $mark || !kill 0, $pid;

    my @before = map { cpu(@$_) } @pids;
    my $text = do { local $/; <$out> };
    my @after = map { cpu(@$_) } @pids;

    close $out or die "load failed\n";

    my $r = decode_json($text);

    die "load: $text\n" if $r->{failed} || ($r->{status}{200} // 0) != $n;

    @$r{qw(nginx redis)} = map { ($after[$_] - $before[$_]) / $n / 1000 } 0, 1;
    return $r;
}


1;
