package Api::Client;

# Copyright (C) Rush
#
# From an operation to a request.  An operation is { r => operationId, u =>
# user 0..2, s => which session, p => path, q => query, b => body, key =>
# Idempotency-Key }; its values may name things that exist when it is sent:
#
#   @aN activity, @pN product, @oN order, @vN version of product N, @wN
#   password N, @nN user name, @t+MS time from now, @fN refresh token, @gN
#   product that only orders change, @cN trade code of order N, @yN payment,
#   @rN refund, @qN its payment, of orders, payments, refunds the newest: 0;
#   those of who asks: @k order, @m payment, @i refund, @j its payment; @dN
#   day of a bill, @lN dead letter, @bN the id before the first letter, @zN
#   before the first activity
#
# "n" makes it a notice of a provider, see Api::Notice.
#
# { raw => '1e3' } is a JSON value as it stands; all else is a JSON string.
# Which parameters a route has, and what is valid, is read from
# docs/openapi.json: the paper is what the model goes by.

use warnings;
use strict;

use Api::Notice;
use Exporter qw(import);
use JSON::PP ();
use Math::BigInt;
use RushTest;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(routes route_of resolve request_of show now NOWHERE);

use constant NOWHERE => 987654321;

my $json = JSON::PP->new->canonical->allow_nonref;
my $MAX = Math::BigInt->new('9223372036854775807');
my $routes;


sub now { return int(time() * 1000) }


sub routes {
    return $routes if $routes;

    my $doc = $json->decode(
        RushTest::slurp("$RushTest::ROOT/docs/openapi.json"));

    foreach my $path (keys %{$doc->{paths}}) {
        my $methods = $doc->{paths}{$path};

        foreach my $method (keys %$methods) {
            my $o = $methods->{$method};
            my $body = $o->{requestBody}{content}{'application/json'}{schema};
            my @auth = map { keys %$_ } @{$o->{security} || []};
            my %param;

            foreach my $p (@{$o->{parameters}}) {
                $param{substr $p->{in}, 0, 1}{$p->{name}} =
                    { %{$p->{schema}}, required => $p->{required} };
            }

            foreach my $name (keys %{$body->{properties} || {}}) {
                my %need = map { $_ => 1 } @{$body->{required} || []};
                $param{b}{$name} = { %{$body->{properties}{$name}},
                                     required => $need{$name} };
            }

            $routes->{$o->{operationId}} = {
                method => uc $method, path => $path, param => \%param,
                auth => $auth[0],
                optional => scalar grep { !%$_ } @{$o->{security} || []},
            };
        }
    }

    return $routes;
}


sub route_of {
    my ($op) = @_;
    return routes()->{$op->{r}} || die "no route $op->{r}\n";
}


# the operation as it is sent now: values in place of names, who asks

sub resolve {
    my ($m, $op) = @_;

    my $c = { op => $op, r => $op->{r}, route => route_of($op), bad => {} };

    foreach my $place (qw(p q b)) {
        foreach my $name (keys %{$op->{$place} || {}}) {
            my $v = $op->{$place}{$name} // next;

            $v = named($m, $op, $v);
            $c->{$place}{$name} = $v if defined $v;
        }
    }

    $c->{h}{'idempotency-key'} = $op->{key} if defined $op->{key};

    who($m, $op, $c);
    Api::Notice::make($m, $c, named($m, $op, $op->{n}{of})) if $op->{n};

    foreach my $place (qw(p q b h)) {
        my $param = $c->{route}{param}{$place} || {};

        foreach my $name (keys %$param) {
            my $v = $c->{$place}{$name};
            my ($ok, $value) = valid($param->{$name}, $v, $place);
            $c->{bad}{$place eq 'p' ? 'p' : 'other'}++ if !$ok;
            $c->{v}{$name} = $value if defined $value;
        }
    }

    return $c;
}


sub who {
    my ($m, $op, $c) = @_;

    return if !defined $op->{u};

    if ($op->{u} eq 'admin') {
        $c->{admin} = 1;
        return;
    }

    my $slot = $m->{slots}[$op->{u}];
    my $account = $m->{accounts}{$slot->{name}};
    my $n = $op->{s} || 0;

    # the newest session, or one before; those without an account have one
    my @all = $account ? reverse @{$account->{sessions}} : "m$slot->{uid}";
    my $id = $all[$n] // $all[-1];
    my $session = $m->{sessions}{$id};

    $c->{session} = $id;
    $c->{uid} = $session->{uid};
    $c->{token} = $session->{access};
    $c->{refresh} = $session->{refresh};
    $c->{account} = $slot->{name} if $account;
}


sub named {
    my ($m, $op, $v) = @_;

    return $v if ref $v || $v !~ /^\@([a-z])([+-]?\d+)$/;

    my ($kind, $n) = ($1, $2);

    return $m->{activity_ids}[$n] // NOWHERE if $kind eq 'a';
    return $m->{product_ids}[$n] // NOWHERE if $kind eq 'p';
    return { raw => now() + $n } if $kind eq 't';
    return "$m->{prefix}w$n" if $kind eq 'w';
    return $m->{slots}[$n]{name} if $kind eq 'n';

    return money($m, $kind, $n, $op) if $kind =~ /[gcyrqkmij]/;
    return { raw => $m->{days}[$n] } if $kind eq 'd';
    return $m->{letters}[$n]{id} if $kind eq 'l';
    return $m->{letters}[0]{id} - 1 || 1 if $kind eq 'b';
    return ($m->{activity_ids}[0] // 2) - 1 || 1 if $kind eq 'z';

    if ($kind eq 'o') {
        my @all = @{$m->{orders}};
        return @all ? $all[-1 - $n % @all]{no} : '1-1';
    }

    if ($kind eq 'v') {
        my $p = $m->{products}{$m->{product_ids}[$n] // ''} || {};
        return { raw => $p->{version} // 1 };
    }

    # a refresh token: the newest of a slot's last session, or a used one
    my $account = $m->{accounts}{$m->{slots}[$n % 10]{name}};
    my $s = $m->{sessions}{$account ? $account->{sessions}[-1] : ''} || {};

    return ($n >= 10 && $s->{used} ? $s->{used} : $s->{refresh}) // 'none';
}


sub money {
    my ($m, $kind, $n, $op) = @_;

    return ($m->{goods}[$n] || {})->{id} // NOWHERE if $kind eq 'g';

    if ($kind eq 'c') {
        my @codes = map { $_->{code} // () } reverse @{$m->{orders}};
        return @codes ? $codes[$n % @codes] : 'AAAAAAAA';
    }

    my $uid = uid_of($m, $op);
    my @all = $kind eq 'k' ? @{$m->{orders}}
        : values %{$m->{$kind =~ /[ym]/ ? 'payments' : 'refunds'}};

    if ($kind =~ /[kmij]/) {
        @all = grep { ($_->{uid} // $m->{payments}{$_->{pid}}{uid}) eq $uid }
            @all;
    }

    # an order has no other id
    my $id = $kind eq 'k' ? 'no' : $kind =~ /[qj]/ ? 'pid' : 'id';

    @all = sort { $b->{at} <=> $a->{at} || $b->{$id} cmp $a->{$id} } @all;

    return @all ? $all[$n % @all]{$id} : $kind eq 'k' ? '1-1' : NOWHERE;
}


sub uid_of {
    my ($m, $op) = @_;

    return '' if ($op->{u} // '') !~ /^\d+$/;

    my $slot = $m->{slots}[$op->{u}];
    return ($m->{accounts}{$slot->{name}} || $slot)->{uid};
}


# is it what the paper allows, and the value as the server takes it

sub valid {
    my ($schema, $v, $place) = @_;

    my $type = ref $schema->{type} ? $schema->{type}[0] : $schema->{type};
    my $raw = ref $v ? $v->{raw} : undef;
    my $body = $place eq 'b';

    if (!defined $v || ($body && defined $raw && $raw eq 'null')) {
        return !$schema->{required};
    }

    my $text = $raw // $v;
    my $number = $text =~ /^(?:0|-?[1-9][0-9]*)$/ && (!$body || defined $raw);

    if ($type eq 'integer') {
        return 0 if !$number;

        my $big = Math::BigInt->new($text);

        return 0 if $big < ($schema->{minimum} // 0)
            || $big > ($schema->{maximum} // $MAX);
        return (1, $text + 0);
    }

    if ($type eq 'boolean') {
        return 0 if $body && !defined $raw;
        return 0 if $text !~ ($body ? qr/^(?:true|false)$/
                                    : qr/^(?:true|false|1|0)$/);
        return (1, $text eq 'true' || $text eq '1' ? 1 : 0);
    }

    if (($schema->{format} // '') eq 'date-time') {
        return (0) if !$number || length $text > 15;
        return ($text >= 0 && $text <= 253402300799000, $text);
    }

    if (($schema->{pattern} // '') =~ /1-9/) {
        return 0 if $text !~ /$schema->{pattern}/
            || Math::BigInt->new($text) > $MAX;
        return (1, $text);
    }

    return 0 if $body && defined $raw;
    return 0 if defined $schema->{pattern} && $text !~ /$schema->{pattern}/;
    return 0 if length $text < ($schema->{minLength} // 0)
        || length $text > ($schema->{maxLength} // 1_000_000);

    return (1, $text);
}


# for RushTest::HTTP

sub request_of {
    my ($c) = @_;

    return Api::Notice::request($c) if $c->{notice};

    my $path = $c->{route}{path};
    $path =~ s/\{(\w+)\}/text($c->{p}{$1})/ge;

    my $query = join '&', map { "$_=" . text($c->{q}{$_}) }
        sort keys %{$c->{q} || {}};
    my %q = (method => $c->{route}{method},
             path => $path . (length $query ? "?$query" : ''));

    $q{admin} = 1 if $c->{admin};
    $q{token} = $c->{token} if defined $c->{token};
    $q{key} = $c->{h}{'idempotency-key'}
        if defined $c->{h}{'idempotency-key'};
    $q{body} = encode($c->{b}) if $c->{route}{param}{b};

    return \%q;
}


sub encode {
    my ($b) = @_;

    return '{' . join(',', map {
        my $v = $b->{$_};
        $json->encode($_) . ':' . (ref $v ? $v->{raw} : $json->encode("$v"))
    } sort keys %{$b || {}}) . '}';
}


sub text {
    my ($v) = @_;
    $v = ref $v ? $v->{raw} : $v // '';
    $v =~ s/([^A-Za-z0-9._:-])/sprintf '%%%02X', ord $1/ge;
    return $v;
}


# one line a person can follow

sub show {
    my ($c) = @_;

    my $q = request_of($c);
    my $op = $c->{op};
    my $who = !defined $op->{u} ? '' : $op->{u} eq 'admin' ? 'admin '
        : "user$op->{u} ";
    my $r = $c->{res};

    $who =~ s/ $/ (session -$op->{s}) / if $op->{s};

    my $at = $c->{t0} ? sprintf '%07.3f ', $c->{t0} % 1_000_000 / 1000 : '';

    $q->{body} = "$c->{how}: $c->{name}" if $c->{notice};

    return "$at$who$q->{method} $q->{path}"
        . (defined $q->{key} ? " key \"$q->{key}\"" : '')
        . (defined $q->{body} ? " $q->{body}" : '')
        . ($r ? " -> $r->{status} $r->{body}" : '');
}


1;
