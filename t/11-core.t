#!/usr/bin/perl

# Copyright (C) Rush
#
# Routes of the core: health, readiness, metrics, version, time, the API
# description; what the router says, trace ids, rate limits.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use RushTest;
use Test::More;
use Time::HiRes qw(time);

# a peer whose address a test chooses
my $REALIP = 'set_real_ip_from 127.0.0.1; real_ip_header X-Peer;';

my $t = RushTest->new(nginx => { extra_server => $REALIP });

my $serial = 110_000;

sub user { return ++$serial }

sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }

sub peer { return (headers => { 'X-Peer' => $_[0] }) }


subtest 'health' => sub {
    foreach my $path (qw(/health /healthz /api/v1/health)) {
        my $r = $t->get($path);
        is(told($r), '200 0', $path);
        is_deeply(data($r), { status => 'ok' }, 'ok');
        is($r->{headers}{'content-type'}, 'application/json', 'type');
        is($r->{headers}{'cache-control'}, 'no-store', 'no-store');
        is(join(' ', sort keys %{$r->{json}}), 'code data message trace_id',
           'envelope');
        is($r->{json}{message}, 'success', 'message');
    }

    is(told($t->get('/health', token => 'bad')), '200 0', 'for everybody');
};


subtest 'version and time' => sub {
    my $text = RushTest::slurp("$RushTest::ROOT/shared/rush_base.h");
    my ($version) = $text =~ /RUSH_VERSION +"([^"]+)"/;

    foreach my $path (qw(/version /api/v1/version)) {
        my $d = data($t->get($path));
        is($d->{version}, $version, $path);
        like($d->{nginx}, qr/^1\.\d+\.\d+$/, 'nginx');
        is(join(' ', sort @{$d->{modules}}), 'rush seckill user', 'modules');
    }

    my $before = int(time() * 1000);
    my $d = data($t->get('/api/v1/time'));
    cmp_ok($d->{now_ms}, '>=', $before - 100, 'not behind');
    cmp_ok($d->{now_ms}, '<=', time() * 1000 + 100, 'not ahead');

    my ($ms) = $d->{now} =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(\d{3})Z$/;
    is($ms, sprintf('%03d', $d->{now_ms} % 1000), 'the same as text');
};


subtest 'description' => sub {
    my $r = $t->get('/api/v1/openapi.json');

    is($r->{status}, 200);
    is($r->{headers}{'content-type'}, 'application/json', 'type');
    ok($r->{body} eq RushTest::slurp("$RushTest::ROOT/docs/openapi.json"),
       'is docs/openapi.json');
    like($r->{json}{openapi}, qr/^3\./, 'OpenAPI');
    ok(exists $r->{json}{paths}{'/health'}, 'describes its own routes');
};


subtest 'router' => sub {
    my $id = '/api/v1/admin/seckill/activities/1';

    foreach my $path ('/', '/healt', '/health/', '/healthx', '/HEALTH',
                      '/api/v1', '/api/v1/', '/api/v1/none', '/health/x',
                      '/api/v1/orders/', '/api/v1/seckill/activities/1/x')
    {
        foreach my $method (qw(GET POST DELETE)) {
            is(told($t->request($method, $path)), '404 4', "$method $path");
        }
    }

    is(told($t->get("/health?$_")), '200 0', "?$_")
        foreach '', 'x', 'x=1&x=2', '%00';
    is(told($t->get('/%68ealth')), '200 0', 'escaped');
    is(told($t->get('/api/v1/../../health')), '200 0', 'dots');
    is(told($t->get('//health')), '200 0', 'slashes');

    my %allow = (
        '/health' => 'GET, HEAD',
        '/metrics' => 'GET, HEAD',
        '/api/v1/user/login' => 'POST',
        '/api/v1/orders/1/cancel' => 'POST',
        '/api/v1/admin/products/1' => 'PUT, DELETE',
        $id => 'GET, HEAD, PUT, DELETE',
        '/api/v1/admin/seckill/activities' => 'GET, HEAD, POST',
    );

    foreach my $path (sort keys %allow) {
        foreach my $method (qw(GET POST PUT DELETE PATCH OPTIONS)) {
            next if $allow{$path} =~ /\b$method\b/;
            my $r = $t->request($method, $path);
            is(told($r), '405 5', "$method $path");
            is($r->{headers}{allow}, $allow{$path}, 'Allow');
        }
    }

    is($t->request('HEAD', '/api/v1/user/login')->{status}, 405,
       'HEAD without GET');

    # HEAD says what GET would, without its body
    foreach my $path (qw(/health /api/v1/openapi.json /none)) {
        my $get = $t->get($path);
        my $out = $t->raw("HEAD $path HTTP/1.1\r\nHost: x\r\n"
                          . "Connection: close\r\n\r\n", until_close => 1);
        my ($length) = $out =~ /^Content-Length: (\d+)/mi;
        like($out, qr/^HTTP\/1.1 $get->{status} /, "HEAD $path");
        is($length, length $get->{body}, 'length');
        like($out, qr/\r\n\r\n\z/, 'no body');
    }
};


subtest 'trace' => sub {
    my $id = '4bf92f3577b34da6a3ce929d0e0e4736';
    my $span = '00f067aa0ba902b7';
    my $zero = '0' x 32;

    my $seen = sub {
        my ($value, $path) = @_;
        my $r = $t->get($path // '/health', record => 0,
                        headers => { traceparent => $value });
        my $trace = $r->{headers}{'x-trace-id'} // '';

        is($trace, $r->{json}{trace_id}, 'header and body agree');
        like($trace, qr/^[0-9a-f]{32}\z/, 'an id');
        isnt($trace, $zero, 'not zero');
        return $trace;
    };

    is($seen->($_), $id, "taken over: $_")
        foreach "00-$id-$span-01", "00-$id-$span-00", "00-$id-$span-ff",
            "01-$id-$span-01", "cc-$id-$span-01-more";
    is($seen->("00-$id-$span-01", $_), $id, $_)
        foreach '/none', '/api/v1/orders', '/api/v1/products',
            '/api/v1/seckill/activities/4711';

    isnt($seen->($_), $id, 'refused: ' . (ref $_ ? "@$_" : $_))
        foreach "00-$id-$span-01-more", "00-$id-$span-01-", "ff-$id-$span-01",
            "00-\U$id\E-$span-01", "00-$id-0000000000000000-01",
            "00-$id-$span", "00-$id-$span-0", "00-$id-$span-0g",
            "00_$id-$span-01", "0-$id-$span-01", "00-$id-${span}0-01", $id,
            "00-${id}0-$span-01", "zz-$id-$span-01", "00-$id-$span-01,", 'x',
            ["00-$id-$span-01", "00-$id-$span-01"],
            ["00-$id-$span-01", 'x'];

    isnt($seen->("00-$zero-$span-01"), $zero, 'zero');

    my %all = map { $t->get('/health')->{json}{trace_id} => 1 } 1 .. 50;
    is(scalar keys %all, 50, 'ids differ');

    my $r = $t->get('/api/v1/openapi.json', headers => {
        traceparent => "00-$id-$span-01" });
    is($r->{headers}{'x-trace-id'}, $id, 'without an envelope');
};


# all of the text: family => type, and series => value

sub parse_metrics {
    my ($text) = @_;

    my (%help, %type, %closed, %value, @bad);
    my $now = '';

    push @bad, 'does not end with LF' if $text !~ /\n\z/;

    foreach my $line (split /\n/, $text) {
        my $family;

        if ($line =~ /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*)\z/) {
            my ($what, $told) = ($1, $3);
            my $of = $what eq 'HELP' ? \%help : \%type;

            $family = $2;
            push @bad, "twice: $line" if exists $of->{$family};
            push @bad, "TYPE before HELP: $line"
                if $what eq 'TYPE' && !exists $help{$family};
            push @bad, "type: $line"
                if $what eq 'TYPE' && $told !~ /^(?:counter|gauge|histogram)$/;
            push @bad, "after samples: $line" if $closed{"$family samples"};
            $of->{$family} = $told;

        } elsif ($line =~ /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\z/) {
            my ($name, $labels, $number) = ($1, $2 // '', $3);
            my %label;

            $family = $name;
            $family =~ s/_(?:bucket|sum|count)\z// if !exists $type{$family};

            push @bad, "no TYPE: $line" if !exists $type{$family};
            push @bad, "no histogram: $line"
                if $family ne $name && ($type{$family} // '') ne 'histogram';
            push @bad, "counter: $line"
                if ($type{$family} // '') eq 'counter' && $name !~ /_total\z/;
            push @bad, "number: $line"
                if $number !~ /^(?:\d+(?:\.\d+)?|-\d+|\+Inf|NaN)\z/;

            my $rest = $labels;

            while ($rest =~ s/^([a-zA-Z_]\w*)="((?:[^"\\]|\\["\\n])*)"//) {
                push @bad, "label twice: $line" if exists $label{$1};
                push @bad, "reserved label: $line" if $1 =~ /^__/;
                $label{$1} = $2;
                $rest =~ s/^,(?=.)// or last;
            }

            push @bad, "labels: $line" if length $rest;

            my $series = join ',', $name, map { "$_=$label{$_}" }
                sort keys %label;
            push @bad, "twice: $series" if exists $value{$series};
            $value{$series} = $number;
            $closed{"$family samples"} = 1;

        } else {
            push @bad, "line: $line";
            next;
        }

        if ($family ne $now) {
            push @bad, "not together: $line" if $closed{$family};
            $closed{$now} = 1;
            $now = $family;
        }
    }

    push @bad, "no samples: $_" foreach grep { !$closed{"$_ samples"} }
        sort keys %type;

    return (\%type, \%value, \@bad);
}


# buckets rise in the order of the text, +Inf is what _count says

sub check_histograms {
    my ($text, $type, $value) = @_;

    my (%last, %edge, @bad);

    foreach my $line (split /\n/, $text) {
        my ($family, $rest, $le, $n)
            = $line =~ /^(\w+)_bucket\{(.*),?le="([^"]+)"\} (\d+)\z/ or next;
        $rest =~ s/,\z//;
        my $series = "$family\{$rest}";
        my $x = $le eq '+Inf' ? 9 ** 9 ** 9 : $le;

        push @bad, "falls: $line" if $n < ($last{$series} // 0);
        push @bad, "order: $line" if $x <= ($edge{$series} // -1);
        $last{$series} = $n;
        $edge{$series} = $x;
    }

    foreach my $series (sort keys %last) {
        my ($family, $rest) = $series =~ /^(\w+)\{(.*)\}\z/;
        my $labels = join '', map { ",$_" } map { s/"//gr } split /,/, $rest;

        push @bad, "no +Inf: $series" if $edge{$series} != 9 ** 9 ** 9;
        push @bad, "count: $series"
            if ($value->{"${family}_count$labels"} // -1) != $last{$series};
        push @bad, "no sum: $series"
            if !exists $value->{"${family}_sum$labels"};
    }

    push @bad, "no buckets: $_" foreach grep {
        my $name = $_;
        $type->{$name} eq 'histogram' && !grep { /^$name\{/ } keys %last
    } sort keys %$type;

    return @bad;
}


subtest 'metrics' => sub {
    my $id = $t->activity(title => "a\"b\\c");
    is($t->buy($id, user())->{code}, 0, 'a buy');

    my $r = $t->get('/metrics');
    my $text = $r->{body};

    is($r->{status}, 200);
    is($r->{headers}{'content-type'},
       'text/plain; version=0.0.4; charset=utf-8', 'type');
    is($r->{headers}{'cache-control'}, 'no-store', 'no-store');

    my ($type, $value, $bad) = parse_metrics($text);
    is_deeply($bad, [], 'the text is well formed');
    is_deeply([check_histograms($text, $type, $value)], [], 'histograms');
    is(join(' ', grep { !/^(?:rush|seckill|user)_/ } keys %$type), '',
       'names are ours');

    my $docs = RushTest::slurp("$RushTest::ROOT/docs/metrics.md");
    my @missing = grep { !$type->{$_} } $docs =~ /^\| (\w+_total) \|/mg;
    is("@missing", '', 'all of docs/metrics.md are there');

    # they count
    my $series = sub { "rush_requests_total,route=$_[0],status=$_[1]" };
    my %before = %$value;
    $t->get('/healthz') foreach 1 .. 7;
    $t->get('/none') foreach 1 .. 3;
    (undef, $value) = parse_metrics($t->get('/metrics')->{body});

    my $grown = sub { $value->{$_[0]} - $before{$_[0]} };
    is($grown->($series->('rush_healthz', '2xx')), 7, 'requests');
    is($grown->($series->('none', '4xx')), 3, 'no route');
    is($grown->('rush_answers_total,code=4,name=NOT_FOUND'), 3, 'answers');
    is($grown->('rush_request_duration_seconds_count,route=rush_healthz'), 7,
       'durations');
    is($value->{rush_workers}, $t->worker_count(), 'workers');
    is($value->{rush_redis_up}, 1, 'Redis');
    is($value->{rush_mysql_up}, 1, 'MySQL');

    # for its own network
    is(told($t->get('/metrics', peer('10.1.2.3'))), '404 4', 'a stranger');
    is(told($t->get('/metrics', peer('2001:db8::1'))), '404 4', 'by IPv6');
    is($t->get('/metrics', peer('127.9.9.9'))->{status}, 200, 'a friend');
    is($t->get('/metrics', peer('::1'))->{status}, 200, 'by IPv6');
    is(told($t->get('/metrics', peer('10.1.2.3'), admin => 1)), '404 4',
       'a token does not help');
};


# the next is refused, with all that a client needs

sub limited {
    my ($name, $r, $rate, $seconds) = @_;

    my $h = $r->{headers};

    is(told($r), '429 10', "$name: limited");
    like($h->{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    cmp_ok($h->{'retry-after'}, '<=', $seconds, 'until one is free');
    like($h->{ratelimit}, qr/^"$name";r=0;t=[1-9]\d*\z/, 'RateLimit');

    my ($full) = ($h->{ratelimit} // '') =~ /t=(\d+)/;
    cmp_ok($full // 0, '>=', $h->{'retry-after'}, 'all of it comes later');
    is($h->{'ratelimit-policy'}, "\"$name\";q=$rate;w=60",
       'RateLimit-Policy');
}


subtest 'limits' => sub {
    my $node = $t->node(ready => 0, extra_server => $REALIP, limits => {
        buy => 'rate=2r/m burst=3', api => 'rate=3r/m burst=4',
        login => 'rate=4r/m burst=2', global => 'off' });
    my $id = $t->activity(stock => 9);
    my @at = (node => $node, record => 0);
    my $path = "/api/v1/seckill/activities/$id/buy";

    # buys: by user, whatever the address
    my ($one, $two) = (user(), user());
    my $buy = sub {
        my ($user, $n) = @_;
        return $t->post($path, {}, @at, user => $user, peer("10.0.0.$n"));
    };

    is($buy->($one, $_)->{status}, 200, "buy $_") foreach 1 .. 3;
    my $held = $t->meta($id)->{remain};
    limited('buy', $buy->($one, 4), 2, 30);
    is($buy->($two, 4)->{code}, 0, 'another user');
    is($t->meta($id)->{remain}, $held - 1, 'who was limited got nothing');
    limited('buy', $t->get("/api/v1/seckill/requests/x?activity_id=$id", @at,
                           user => $one), 2, 30);
    is(told($t->post($path, {}, @at, token => 'x')), '401 6',
       'no user, no limit');

    # others: by address, whoever it is
    my $list = sub {
        my ($address, $user) = @_;
        return $t->get('/api/v1/orders', @at, peer($address), user => $user);
    };

    is($list->('10.0.1.1', user())->{code}, 0, "api $_") foreach 1 .. 4;
    limited('api', $list->('10.0.1.1', user()), 3, 20);
    limited('api', $t->get('/api/v1/orders', @at, peer('10.0.1.1')), 3, 20);
    is($list->('10.0.1.2', user())->{code}, 0, 'another address');

    # of an IPv6 network all are one
    is($list->("2001:db8::$_", user())->{code}, 0, "IPv6 $_")
        foreach 1 .. 4;
    limited('api', $list->('2001:db8::ffff:1', user()), 3, 20);
    is($list->('2001:db8:0:1::1', user())->{code}, 0, 'another network');

    my $login = sub {
        return $t->post('/api/v1/user/login', {
            username => "nobody$_[1]", password => 'Wrong-1234' }, @at,
            peer($_[0]));
    };

    is(told($login->('10.0.2.1', $_)), '200 10002', "login $_")
        foreach 1 .. 2;
    limited('login', $login->('10.0.2.1', 3), 4, 15);
    is($login->('10.0.2.2', 4)->{status}, 200, 'another address');
    is($list->('10.0.2.1', user())->{code}, 0, 'classes count apart');

    # hot reads have no class of their own
    my @r = $t->burst([map { { path => "/api/v1/seckill/activities/$id" } }
                       1 .. 100], @at);
    is(scalar(grep { $_->{status} == 200 } @r), 100, 'no limit');

    my ($type, $value) = parse_metrics($t->get('/metrics', @at)->{body});
    is(join(' ', map { $value->{"rush_limited_${_}_total"} }
            qw(buy api login global)), '2 3 1 0', 'counted');
    $t->stop($node);
};


subtest 'global limit' => sub {
    my $node = $t->node(ready => 0, extra_server => $REALIP, limits => {
        global => 'rate=5r/m burst=5', api => 'off', buy => 'off',
        login => 'off' });
    my @at = (node => $node, record => 0);

    is($t->get('/health', @at, peer("10.0.3.$_"))->{status}, 200,
       "request $_") foreach 1 .. 5;
    limited('global', $t->get('/health', @at, peer('10.0.3.6')), 5, 12);
    limited('global', $t->get('/api/v1/orders', @at, user => user()), 5, 12);
    is($t->get('/metrics', @at)->{status}, 200, 'metrics are always there');
    is(told($t->get('/none', @at)), '404 4', 'no route, no limit');
    $t->stop($node);
};


subtest 'no limits' => sub {
    my $user = user();
    my @r = $t->burst([map { { path => '/api/v1/orders', user => $user } }
                       1 .. 400]);
    is(scalar(grep { $_->{status} == 200 } @r), 400, 'off is off');
    ok(!exists $r[0]{headers}{ratelimit}, 'no RateLimit');
};


sub not_ready {
    my ($name) = @_;

    my $other = $name eq 'redis' ? 'mysql' : 'redis';

    $t->kill($name);

    # a worker that comes back from the fault before has yet to see the other

    my $r;
    ok($t->wait_for(sub {
        $r = $t->get('/ready');
        return $r->{status} == 503 && data($r)->{$other};
    }, 10, 'not ready'), "$name is gone: not ready") or return;
    is($r->{code}, 3, 'busy');
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    ok(!data($r)->{$name}, 'the reason');
    is(told($t->get('/health')), '200 0', 'alive');

    my (undef, $value) = parse_metrics($t->get('/metrics')->{body});
    is($value->{"rush_${name}_up"}, 0, 'metrics');

    $t->start($name);
    ok($t->wait_ready(), 'ready again');
}


subtest 'ready' => sub {
    my $r = $t->get('/ready');
    my $d = data($r);

    is(told($r), '200 0', 'ready');
    is($r->{headers}{'cache-control'}, 'no-store', 'no-store');
    ok($d->{$_}, $_) foreach qw(redis mysql revocations gate);
    like($d->{$_}, qr/^\d+$/, $_)
        foreach qw(catalog_age_ms stock_age_ms consumer_age_ms);

    not_ready($_) foreach qw(mysql redis);
};


$t->finish();
done_testing();
