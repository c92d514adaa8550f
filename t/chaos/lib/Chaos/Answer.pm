package Chaos::Answer;

# Copyright (C) Rush
#
# Operations as requests, and answers as what they say (see Chaos::History).
#
#   request($what, $token)      a request of RushTest; $token->($user) a
#                               token, of an administrator without a user
#   ret($what, $answer)         members of a "ret" event
#   settled($what, $answer)     there is nothing more to ask

use warnings;
use strict;

use JSON::PP ();

my %REQUEST = (
    buy => sub {
        my ($o) = @_;
        return (POST => "/api/v1/seckill/activities/$o->{a}/buy",
                { quantity => $o->{q},
                  $o->{retry} ? (retry => JSON::PP::true()) : () });
    },
    poll => sub { (GET => "/api/v1/seckill/results/$_[0]{order}") },
    resolve => sub {
        (GET => "/api/v1/seckill/requests/$_[0]{id}"
                . "?activity_id=$_[0]{a}")
    },
    cancel => sub { (POST => "/api/v1/orders/$_[0]{order}/cancel", {}) },
    adjust => sub {
        (POST => "/api/v1/admin/seckill/activities/$_[0]{a}/stock",
         { delta => $_[0]{q}, reason => $_[0]{id} })
    },
    pause => sub {
        (POST => "/api/v1/admin/seckill/activities/$_[0]{a}/pause", {})
    },
    resume => sub {
        (POST => "/api/v1/admin/seckill/activities/$_[0]{a}/resume", {})
    },
    warmup => sub { (POST => "/api/v1/admin/seckill/warmup/$_[0]{a}", {}) },
);

# busy, limited, closed, crowded: this copy was not executed
my %NOT = map { $_ => 1 } 3, 10, 12, 60007;

# not started .. quantity, and refused before
my %REFUSED = map { $_ => 1 } 60001 .. 60006;

# what else may come, by operation
my %FINE = (
    poll => { 4 => 'missing' },
    resolve => { 4 => 'void' },
    cancel => { 4 => 'missing', 30001 => 'refused', 30002 => 'refused' },
    adjust => { 60010 => 'refused' },
    pause => { 60010 => 'refused' },
    resume => { 60010 => 'refused' },
    warmup => { 60010 => 'refused' },
);


sub request {
    my ($what, $token) = @_;

    my ($method, $path, $data) = $REQUEST{$what->{op}}->($what);

    return { method => $method, path => $path, data => $data,
             token => $token->($what->{u}),
             $what->{op} eq 'buy' && defined $what->{id}
                 ? (key => $what->{id}) : () };
}


sub ret {
    my ($what, $r) = @_;

    my $data = ref $r->{json} eq 'HASH' ? $r->{json}{data} : undef;

    $data = {} if ref $data ne 'HASH';

    my %ret = (kind => kind($what, $r, $data), status => $r->{status} + 0,
               code => $r->{code});

    $ret{order} = $data->{order_no} if defined $data->{order_no};
    $ret{id} = $data->{request_id} if defined $data->{request_id};
    $ret{op_id} = $data->{op_id} if defined $data->{op_id};
    $ret{replayed} = 1 if $data->{replayed};
    $ret{filtered} = 1 if $REFUSED{$r->{code} // 0} && !$data->{final};
    $ret{error} = $r->{error} if defined $r->{error};
    $ret{body} = $r->{body}
        if $ret{kind} eq 'strange' || $ret{kind} eq 'missing';

    return \%ret;
}


sub kind {
    my ($what, $r, $data) = @_;

    my $op = $what->{op};
    my $code = $r->{code};

    # nothing of the request left us, or nothing of the answer came
    return $op eq 'buy' && defined $r->{sent} && !$r->{sent} ? 'not'
        : 'unknown' if $r->{status} == 599;

    return 'strange' if !defined $code;
    return buy_kind($code, $data) if $op eq 'buy';
    return $FINE{$op}{$code} if $FINE{$op}{$code};

    if ($NOT{$code} || $code == 11) {
        # a statement or a script that has begun may end
        return $op =~ /^(?:poll|resolve)$/ ? 'void' : 'unknown';
    }

    return 'strange' if $code != 0;

    if ($op eq 'resolve') {
        return { granted => 'yes', given_back => 'back', refused => 'no' }
            ->{$data->{outcome} // ''} // 'strange';
    }

    return $op ne 'poll' ? 'done'
        : ($data->{status} // '') =~ /^(queued|success|failed)$/ ? $1
        : 'strange';
}


sub buy_kind {
    my ($code, $data) = @_;

    return defined $data->{order_no} ? 'yes' : 'strange' if $code == 0;
    return 'unknown' if $code == 11;
    return 'back' if $code == 60008;
    return 'no' if $code == 60009;
    return 'not' if $NOT{$code};
    return 'strange' if !$REFUSED{$code} || !defined $data->{final};

    return $data->{final} ? 'no' : 'not';
}


sub settled {
    my ($what, $r) = @_;

    my $kind = ret($what, $r)->{kind};

    return $kind !~ /^(?:unknown|void)$/ if $what->{op} eq 'resolve';
    return $kind =~ /^(?:success|failed|missing|strange)$/
        if $what->{op} eq 'poll';

    # that it was not paused is as good
    return $kind =~ /^(?:done|refused|strange)$/;
}


1;
