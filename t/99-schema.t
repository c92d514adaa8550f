#!/usr/bin/perl

# Copyright (C) Rush
#
# What the other files have sent and received (RUSH_RECORD, written by
# t/lib/RushTest/HTTP.pm) against docs/openapi.json:
#
#   - an answer is one that the document allows for its route and status
#   - a request that succeeded is one that the document allows
#   - after the whole suite (RUSH_WHOLE): each route succeeded somewhere, each
#     code of shared/rush_errors.h was answered somewhere

use warnings;
use strict;

use FindBin;
use JSON::Validator;
use Mojo::JSON qw(decode_json false from_json true);
use Test::More;

my $root = "$FindBin::Bin/..";

# codes that no request can produce from outside, and why
my %unreachable = (
    INTERNAL => 'means a broken invariant or no memory: a test that gets it '
        . 'has found a bug',
);

# what nginx refuses before a route is found is HTML where no location with
# "rush_error" is set up
my %by_nginx = map { $_ => 1 } 400, 405, 408, 411, 412, 413, 414, 416, 501,
    505;

my $doc = decode_json(slurp("$root/docs/openapi.json"));
my %http = errors();
my @operations = operations();
my (%validator, %seen_route, %seen_code, %good);

prove_it_fails();

my $file = $ENV{RUSH_RECORD};

if (!defined $file || !-s $file) {
    pass('no record of other files: nothing to judge');
    done_testing();
    exit;
}

judge($file);
done_testing();


sub judge {
    my ($file) = @_;

    my (%problems, $n);

    open my $fh, '<:raw', $file or die "$file: $!\n";

    while (my $line = <$fh>) {
        my $rec = decode_json($line);
        $n++;

        foreach my $text (check($rec)) {
            my $at = "$rec->{file}: $rec->{method} "
                . substr($rec->{path}, 0, 100) . " -> $rec->{status}: $text";
            $problems{$text} //= $at;
        }
    }

    close $fh;

    my @problems = map { $problems{$_} } sort keys %problems;
    is(scalar @problems, 0, "$n requests and answers are as documented")
        or diag(map { "$_\n" } @problems[0 .. min($#problems, 39)]);

    if (!$ENV{RUSH_WHOLE}) {
        note('not the whole suite: coverage is not judged');
        return;
    }

    is(join(' ', unseen_routes()), '', 'every route succeeded somewhere');
    is(join(' ', unseen_codes()), '', 'every code was answered somewhere');
}


# --- one record ---

sub check {
    my ($rec) = @_;

    my $body = $rec->{body} // '';
    my ($path) = split /\?/, $rec->{path}, 2;
    my ($op, $others) = find($rec->{method}, $path);

    # an answer may be no more than its status
    if ($op && $op->{raw} && $op->{method} eq 'post'
        && $rec->{status} == 200 && $body eq '')
    {
        $seen_route{$op->{id}} = 1;
        return;
    }

    return check_bare($rec, $op) if $rec->{method} eq 'HEAD' || $body eq '';

    return if $body =~ /^\s*<html>/ && $by_nginx{$rec->{status}};

    if ($op && $rec->{status} == 200 && $op->{stream}) {
        return check_stream($rec, $op);
    }

    if ($op && $rec->{status} == 200 && $op->{raw}) {
        $seen_route{$op->{id}} = 1;
        return;
    }

    if ($op && $rec->{status} == 200 && $op->{csv}
        && ($rec->{headers}{'content-type'} // '') =~ m!^text/csv\b!)
    {
        return;
    }

    my $json = parse($body);

    return 'the body is no envelope: ' . substr $body, 0, 60
        if ref $json ne 'HASH';

    return (check_envelope($rec, $json, $op, $others),
            $op ? check_operation($rec, $json, $op) : ());
}


# the events that were kept of a stream

sub check_stream {
    my ($rec, $op) = @_;

    my $h = $rec->{headers};
    my @bad;

    $seen_route{$op->{id}} = 1;

    push @bad, 'no event stream'
        if ($h->{'content-type'} // '') !~ /^text\/event-stream/;
    push @bad, 'may be cached'
        if ($h->{'cache-control'} // '') ne 'no-store';
    push @bad, 'no X-Trace-Id'
        if ($h->{'x-trace-id'} // '') !~ /^[0-9a-f]{32}$/;
    push @bad, 'no event' if $rec->{body} !~ /^data: /m;

    foreach my $line (grep { /^data: / } split /\n/, $rec->{body}) {
        push @bad, errors_of(validator("$op->{id} stream", $op->{stream}),
                             parse(substr $line, 6));
    }

    return ((map { "$op->{id}: $_" } @bad),
            map { "$op->{id}: accepted, but $_" } check_request($rec, $op));
}


# without a body: HEAD, 304, 412

sub check_bare {
    my ($rec, $op) = @_;

    my $status = $rec->{status};

    return if $rec->{method} eq 'HEAD';
    return if $op && $op->{method} eq 'get' && $status == 304;

    return "$status without a body";
}


sub check_envelope {
    my ($rec, $json, $op, $others) = @_;

    my ($status, $code) = ($rec->{status}, $json->{code});
    my $h = $rec->{headers};

    return 'the envelope has no code' if !defined $code;

    $seen_code{$code} = 1;

    my @bad;

    # error_page keeps the status that nginx chose
    push @bad, "code $code with status $status"
        if ($code ? ($http{$code} // 0) : 200) != $status
           && !($code =~ /^[28]$/ && $status =~ /^4(?:14|31)$/);

    push @bad, 'trace_id is not X-Trace-Id'
        if ($json->{trace_id} // '') ne ($h->{'x-trace-id'} // '-');
    push @bad, 'no Cache-Control' if !defined $h->{'cache-control'};
    push @bad, "$status without Retry-After"
        if $status =~ /^(?:409|429|503)$/ && !defined $h->{'retry-after'};
    push @bad, '405 without Allow'
        if $others && $status == 405 && !defined $h->{allow};

    push @bad, errors_of(validator('envelope',
        { '$ref' => '#/components/schemas/envelope' }), $json) if !$op;

    return @bad;
}


sub check_operation {
    my ($rec, $json, $op) = @_;

    my $status = $rec->{status};
    my $documented = $op->{responses}{$status};

    return "$op->{id}: status $status (code $json->{code}) is not documented"
        if !$documented;

    my $schema = $documented->{content}{'application/json'}{schema};

    # same answers but for the trace: seen once is enough
    my ($same) = $rec->{body} =~ /^(.*),"trace_id"/;
    my @bad;

    if (!$good{"$op->{id} $status $same"}) {
        @bad = map { "$op->{id}: $_" }
            errors_of(validator("$op->{id} $status", $schema), $json);
        $good{"$op->{id} $status $same"} = 1 if !@bad;
    }

    if ($json->{code} == 0) {
        $seen_route{$op->{id}} = 1;
        push @bad, map { "$op->{id}: accepted, but $_" }
            check_request($rec, $op);
    }

    return @bad;
}


# --- the request of a success ---

sub check_request {
    my ($rec, $op) = @_;

    my ($path, $query) = split /\?/, $rec->{path}, 2;
    my %value = (path => { path_values($op, $path) },
                 header => $rec->{request_headers} || {}, query => {});

    foreach (split /&/, $query // '') {
        my ($name, $v) = map { unescape($_) } split(/=/, $_, 2), '';
        $value{query}{$name} = $v;
    }

    my @bad;

    foreach my $p (@{$op->{parameters}}) {
        my $name = $p->{in} eq 'header' ? lc $p->{name} : $p->{name};
        my $v = $value{$p->{in}}{$name};

        if (!defined $v) {
            push @bad, "$p->{in} \"$name\" is not given" if $p->{required};
            next;
        }

        # a structured field string may have quotes
        $v =~ s/^"(.*)"$/$1/ if $p->{in} eq 'header';

        push @bad, map { "$p->{in} \"$name\": $_" }
            errors_of(validator("$op->{id} $p->{in} $name", $p->{schema}),
                      typed($v, $p->{schema}));
    }

    return (@bad, check_request_body($rec, $op));
}


sub check_request_body {
    my ($rec, $op) = @_;

    my $schema = $op->{body} or return;
    my $text = $rec->{request_body};

    return $op->{body_required} ? 'there is no body' : ()
        if ($text // '') eq '';

    my $data = parse($text);
    return 'the body is no object' if ref $data ne 'HASH';

    # the server takes null for absent, ids and times as integers too
    foreach my $name (keys %$data) {
        my $s = $schema->{properties}{$name};

        if (!defined $data->{$name}) {
            delete $data->{$name};

        } elsif ($s && !ref $data->{$name} && $data->{$name} =~ /^\d+$/) {
            $data->{$name} = "$data->{$name}" if ($s->{pattern} // '')
                =~ /^\^\[1-9\]/;
            $data->{$name} = '2026-01-01T00:00:00Z'
                if ($s->{format} // '') eq 'date-time';
        }
    }

    return map { "body$_" }
        errors_of(validator("$op->{id} body", $schema), $data);
}


# text of a path, a query or a header as its schema wants it

sub typed {
    my ($v, $schema) = @_;

    my $type = $schema->{type} // '';

    return $v + 0 if $type eq 'integer' && $v =~ /^-?\d{1,18}$/;
    return '2026-01-01T00:00:00Z'       # ms will do too
        if ($schema->{format} // '') eq 'date-time' && $v =~ /^\d+$/;
    return $v =~ /^(?:1|true)$/ ? true : false
        if $type eq 'boolean' && $v =~ /^(?:[01]|true|false)$/;
    return $v;
}


# --- the document ---

sub operations {
    my @all;

    foreach my $path (sort keys %{$doc->{paths}}) {
        foreach my $method (sort keys %{$doc->{paths}{$path}}) {
            my $o = $doc->{paths}{$path}{$method};
            my $body = $o->{requestBody};
            my $ok = $o->{responses}{200}{content};

            (my $re = quotemeta $path) =~ s/\\\{\w+\\\}/([^\/]+)/g;

            push @all, {
                id => $o->{operationId}, method => $method, path => $path,
                re => qr/^$re$/, parameters => $o->{parameters},
                literal => ($path !~ /\{/),
                responses => $o->{responses}, csv => $ok->{'text/csv'},
                body => $body && $body->{content}{'application/json'}{schema},
                body_required => $body && $body->{required},
                stream => $ok->{'text/event-stream'}{schema},
                raw => !($ok->{'application/json'}
                         && $ok->{'application/json'}{schema}),
            };
        }
    }

    # a literal segment wins over a {name}
    return sort { $b->{literal} <=> $a->{literal} } @all;
}


# the operation, and whether the path has others

sub find {
    my ($method, $path) = @_;

    $method = 'GET' if $method eq 'HEAD';
    $path = unescape($path);

    my @here = grep { $path =~ $_->{re} } @operations;
    my ($op) = grep { uc $_->{method} eq $method } @here;

    return ($op, scalar @here);
}


sub path_values {
    my ($op, $path) = @_;

    my @names = $op->{path} =~ /\{(\w+)\}/g;
    my @values = unescape($path) =~ $op->{re};

    return map { $names[$_] => $values[$_] } 0 .. $#names;
}


sub validator {
    my ($name, $schema) = @_;

    return $validator{$name} ||= JSON::Validator->new->schema({
        '$schema' => 'http://json-schema.org/draft-07/schema#',
        allOf => [$schema], components => $doc->{components} });
}


sub errors_of {
    my ($validator, $data) = @_;
    my @errors = map { "$_" } $validator->validate($data);
    s!\s*/allOf/\S+!!g foreach @errors;
    return @errors;
}


sub errors {
    my %all;
    my $text = slurp("$root/shared/rush_errors.h");

    while ($text =~ /\bE\((\w+),\s+(\d+),\s+(\d+),/g) {
        $all{$2} = $3;
        $all{$1} = $2;
    }

    return %all;
}


sub unseen_routes {
    return grep { !$seen_route{$_} } sort map { $_->{id} } @operations;
}


sub unseen_codes {
    return grep { !$seen_code{$http{$_}} && !$unreachable{$_} }
        sort grep { /^[A-Z]/ } keys %http;
}


# --- the checks can fail ---

sub prove_it_fails {
    my $trace = 'a' x 32;
    my $answer = "{\"code\":0,\"message\":\"success\",\"data\":"
        . "{\"id\":\"1\",\"stock\":5},\"trace_id\":\"$trace\"}";
    my %rec = (file => $0, method => 'GET', status => 200, body => $answer,
               path => '/api/v1/products/1/stock',
               headers => { 'x-trace-id' => $trace, 'cache-control' => 'x' });

    my $fails = sub {
        my ($name, $like, %o) = @_;
        my @bad = check({ %rec, %o });
        like("@bad", $like, $name);
    };

    is(join(' ', check(\%rec)), '', 'a good record');

    (my $bad = $answer) =~ s/5/"5"/;
    $fails->('wrong type', qr/integer/, body => $bad);
    ($bad = $answer) =~ s/,"stock":5//;
    $fails->('missing member', qr/stock/, body => $bad);
    ($bad = $answer) =~ s/5/5,"x":1/;
    $fails->('member too many', qr/not allowed/, body => $bad);
    ($bad = $answer) =~ s/"code":0/"code":60002/;
    $fails->('code of another route', qr/60002|enum|anyOf|const/,
             body => $bad);
    $fails->('status', qr/not documented/, status => 422);
    $fails->('no envelope', qr/no envelope/, body => 'oops');
    $fails->('trace id', qr/trace_id/, headers => { 'x-trace-id' => 'b' });
    $fails->('request', qr/accepted, but path "id"/,
             path => '/api/v1/products/01/stock');

    my %stream = (file => $0, method => 'GET', status => 200,
                  path => '/api/v1/orders/1-1/events', headers => {
                      'content-type' => 'text/event-stream',
                      'x-trace-id' => $trace, 'cache-control' => 'no-store' });
    my $data = "event: order\ndata: " . '{"order_no":"1-1","status":1,'
        . '"status_text":"to_pay","version":1,"final":false,'
        . '"server_time_ms":1}';

    is(join(' ', check({ %stream, body => "$data\n\n" })), '',
       'a good stream');
    like(join(' ', check({ %stream, body => "event: x\n\n" })), qr/no event/,
         'an empty stream');
    (my $wrong = $data) =~ s/:1,/:"1",/;
    like(join(' ', check({ %stream, body => "$wrong\n\n" })), qr/integer/,
         'an event of another form');

    cmp_ok(scalar(unseen_routes()), '>', 10, 'routes not seen');
    cmp_ok(scalar(unseen_codes()), '>', 10, 'codes not seen');

    %seen_route = %seen_code = %good = ();
}


# --- small things ---

# Mojo's decode_json() refuses U+FFFF and its like, which are good JSON

sub parse {
    my ($bytes) = @_;
    utf8::decode($bytes) or return;
    return eval { from_json($bytes) };
}


sub unescape {
    my ($s) = @_;
    $s =~ tr/+/ /;
    $s =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    return $s;
}


sub min { return $_[0] < $_[1] ? $_[0] : $_[1] }


sub slurp {
    my ($path) = @_;
    open my $fh, '<:raw', $path or die "$path: $!\n";
    local $/;
    return scalar <$fh>;
}
