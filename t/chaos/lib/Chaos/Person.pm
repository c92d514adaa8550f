package Chaos::Person;

# Copyright (C) Rush
#
# What is known of one account from the answers that its owner got, and what
# may be.  An answer that never came leaves both open; what was not answered
# may still be done a little later.
#
#   my $p = Chaos::Person->new(name => 'ann7', salt => 'x');
#   my $op = $p->choose($rnd);          { op, ... }
#   my $q = $p->request($op);           a request of RushTest
#   $p->take($op, $answer, $t0, $t1);   s; two answers of op "twice" are taken
#                                       by take_two($op, $a, $b, $t1)
#   @{$p->{wrong}}      [kind, text]: what cannot be right.  kind "live": a
#                       token that holds was refused, which a wrong clock
#                       explains; "ended": one was accepted, which lost data
#                       of Redis explain; "" nothing explains
#   $p->{did}           { "login yes" => times }
#   $p->plain()         as data, for the history; Chaos::Person->from($data)
#
# State of a session: live; maybe; ending: will be refused soon; ended: is
# refused by all who are asked a second after "at".

use warnings;
use strict;

use JSON::PP ();

use constant LINGER => 8;               # s, what was not answered may be done
use constant PROMISE => 1.0;            # s, until all know of an end
use constant SESSIONS => 6;

my %CODE = (3 => 'unknown', 11 => 'unknown', 12 => 'unknown', 10 => 'not',
            6 => 'out', 10001 => 'exists', 10002 => 'failed',
            10003 => 'later', 10004 => 'wrong', 10007 => 'spent',
            10030 => 'full', 13 => 'conflict', 4 => 'missing');


sub new {
    my ($class, %o) = @_;

    return bless { %o, there => 0, passwords => ["tiger $o{salt} 0"],
                   nicks => {}, sessions => [], addresses => {}, acts => 0,
                   serial => 0, doubt => 0, wrong => [] }, $class;
}


sub from { return bless { %{$_[1]}, wrong => [] }, $_[0] }
sub plain { my %all = %{$_[0]}; delete $all{wrong}; return \%all }


sub wrong {
    my ($self, $kind, $format, @values) = @_;
    push @{$self->{wrong}}, [$kind, "$self->{name}: "
                             . sprintf $format, @values];
}


# --- what to do ---

sub choose {
    my ($self, $rnd) = @_;

    my @usable = grep { $_->{state} =~ /^(?:live|maybe)$/ }
        @{$self->{sessions}};
    my @over = grep { $_->{state} eq 'ended' } @{$self->{sessions}};

    return { op => 'register' } if $self->{there} == 0;
    return { op => 'login', password => $rnd->pick(@{$self->{passwords}}) }
        if !@usable || @usable < SESSIONS && $rnd->chance(20);

    my $op = $rnd->weighted(
        read => 20, nick => 10, refresh => 15, twice => 4, logout => 8,
        all => 3, password => 6, address => 10, stale => @over ? 20 : 0,
        register => $self->{there} == 1 ? 5 : 1,
        revoke => defined $self->{id} ? 3 : 0);

    my $s = $op eq 'stale' ? $rnd->pick(@over) : $rnd->pick(@usable);

    $self->{serial}++;
    return { op => $op, s => $s, new => "$self->{salt}-$self->{serial}",
             again => $rnd->chance(30) };
}


sub request {
    my ($self, $o) = @_;

    my $op = $o->{op};
    my $s = $o->{s};
    my $user = '/api/v1/user';

    return { method => 'POST', path => "$user/register", data => {
                 username => $self->{name},
                 password => $self->{passwords}[0] } } if $op eq 'register';
    return { method => 'POST', path => "$user/login", data => {
                 username => $self->{name}, password => $o->{password} } }
        if $op eq 'login';
    return { method => 'POST', path => '/api/v1/auth/refresh-token',
             data => { refresh_token => $s->{refresh} } }
        if $op eq 'refresh' || $op eq 'twice';
    return { method => 'POST', path => "/api/v1/admin/users/$self->{id}/revoke",
             admin => 1, data => {} } if $op eq 'revoke';

    my %q = (token => $s->{access});

    return { %q, method => 'GET', path => "$user/profile" }
        if $op eq 'read' || $op eq 'stale';
    return { %q, method => 'PUT', path => "$user/profile",
             data => { nickname => $o->{new} } } if $op eq 'nick';
    return { %q, method => 'POST', path => "$user/logout", data => {} }
        if $op eq 'logout';
    return { %q, method => 'POST', path => "$user/logout",
             data => { all => JSON::PP::true() } } if $op eq 'all';
    return { %q, method => 'POST', path => "$user/password", data => {
                 old_password => $self->{passwords}[0],
                 new_password => "tiger $o->{new}" } } if $op eq 'password';
    return { %q, method => 'POST', path => "$user/addresses",
             key => $o->{new}, data => {
                 receiver => 'Ann', mobile => '13800138000', province => 'P',
                 city => 'C', detail => $o->{new} } };
}


# --- what was answered ---

sub kind {
    my ($r) = @_;

    return $r->{sent} // 1 ? 'unknown' : 'not' if $r->{status} == 599;
    return 'strange' if !defined $r->{code};
    return $r->{code} == 0 ? 'yes' : $CODE{$r->{code}} // 'strange';
}


sub take {
    my ($self, $o, $r, $t0, $t1) = @_;

    my $kind = kind($r);

    $self->{did}{"$o->{op} $kind"}++;

    return $self->wrong('', '%s was answered %s %s', $o->{op}, $r->{status},
                        $r->{body} // '') if $kind eq 'strange';
    return if $kind eq 'not';

    my $data = $kind eq 'yes' ? $r->{json}{data} : {};

    $self->out($o, $t0) if $kind eq 'out';
    $self->can("take_$o->{op}")->($self, $o, $kind, $data, $t0, $t1);
}


# a token that is not good: any more, or on a node whose clock is behind

sub out {
    my ($self, $o, $t0) = @_;

    my $s = $o->{s} or return;

    $self->wrong('live', '%s: a token that holds was refused', $o->{op})
        if $s->{state} eq 'live';
    $s->{state} = 'maybe' if $s->{state} eq 'live';
}


sub opened {
    my ($self, $data, $t1) = @_;

    push @{$self->{sessions}}, {
        access => $data->{access_token}, refresh => $data->{refresh_token},
        state => $t1 < $self->{doubt} ? 'maybe' : 'live' };
}


# every session; what goes on may end those to come as well

sub doubt_all {
    my ($self, $t1) = @_;

    $self->{doubt} = $t1 + LINGER;
    $_->{state} = 'maybe'
        foreach grep { $_->{state} eq 'live' } @{$self->{sessions}};
}


sub ended {
    my ($self, $t1, @sessions) = @_;

    foreach my $s (@sessions) {
        next if $s->{state} eq 'ended';
        @$s{qw(state at)} = ('ended', $t1);
    }
}


sub take_register {
    my ($self, $o, $kind, $data, $t0, $t1) = @_;

    if ($kind eq 'yes') {
        $self->wrong('', 'registered twice') if $self->{there} == 2;
        $self->{there} = 2;
        $self->{id} = $data->{user}{id};
        $self->opened($data, $t1);

    } elsif ($kind eq 'exists') {
        $self->wrong('', 'exists, and nobody registered it')
            if $self->{there} == 0;
        $self->{there} = 2;

    } elsif ($self->{there} == 0) {
        $self->{there} = 1;
    }
}


sub take_login {
    my ($self, $o, $kind, $data, $t0, $t1) = @_;

    if ($kind eq 'yes') {
        $self->wrong('', 'logged in with a password of before')
            if !grep { $_ eq $o->{password} } @{$self->{passwords}};
        $self->wrong('', 'is user %s, was told %s', $data->{user}{id},
                     $self->{id})
            if defined $self->{id} && $self->{id} ne $data->{user}{id};

        $self->{there} = 2;
        $self->{id} = $data->{user}{id};
        $self->{passwords} = [$o->{password}] if $t1 > $self->{doubt};
        $self->opened($data, $t1);

    } elsif ($kind eq 'failed') {
        my @left = grep { $_ ne $o->{password} } @{$self->{passwords}};

        if (@left) {
            $self->{passwords} = \@left if $t0 > $self->{doubt}
                || $o->{password} eq $self->{passwords}[0];
        } elsif ($self->{there} == 2) {
            $self->wrong('', 'its only password was refused');
        }
    }
}


sub take_read {
    my ($self, $o, $kind, $data) = @_;

    return if $kind ne 'yes';

    $self->wrong('', 'is called "%s", which it never was', $data->{nickname})
        if keys %{$self->{nicks}} && !$self->{nicks}{$data->{nickname}}
           && $self->{nicked};
    $self->wrong('', 'is user %s, was told %s', $data->{id}, $self->{id})
        if defined $self->{id} && $self->{id} ne $data->{id};
}


# all that was asked for without an answer may come yet, so names only add up

sub take_nick {
    my ($self, $o, $kind) = @_;

    return if $kind ne 'yes' && $kind ne 'unknown';

    $self->{nicks}{$o->{new}} = 1;
    $self->{nicked} = 1 if $kind eq 'yes';

    # the one before is over
    if ($kind eq 'yes' && !$self->{nick_doubt}) {
        $self->{nicks} = { $o->{new} => 1 };
    }

    $self->{nick_doubt} = 1 if $kind eq 'unknown';
}


sub take_refresh {
    my ($self, $o, $kind, $data) = @_;

    my $s = $o->{s};

    if ($kind eq 'yes') {
        @$s{qw(access refresh)} = @$data{qw(access_token refresh_token)};

    } elsif ($kind eq 'spent') {
        $self->wrong('live', 'a refresh token that holds was refused')
            if $s->{state} eq 'live';
        $s->{state} = 'ending' if $s->{state} ne 'ended';

    } elsif ($s->{state} eq 'live') {
        $s->{state} = 'maybe';
    }
}


sub take_two {
    my ($self, $o, $x, $y, $t1) = @_;

    my $s = $o->{s};
    my @kinds = map { kind($_) } $x, $y;

    $self->{did}{join ' ', 'twice', sort @kinds}++;

    my @yes = grep { kind($_) eq 'yes' } $x, $y;

    $self->wrong('', 'a refresh token was traded twice') if @yes == 2;

    if (@yes == 1) {
        @$s{qw(access refresh)} =
            @{$yes[0]{json}{data}}{qw(access_token refresh_token)};
    }

    $s->{state} = @yes && grep({ $_ eq 'spent' } @kinds) ? 'ending' : 'maybe'
        if $s->{state} ne 'ended';
}


sub take_logout {
    my ($self, $o, $kind, $data, $t0, $t1) = @_;

    my $s = $o->{s};

    return $self->ended($t1, $s) if $kind eq 'yes';
    $s->{state} = 'maybe' if $kind eq 'unknown' && $s->{state} eq 'live';
}


sub take_all {
    my ($self, $o, $kind, $data, $t0, $t1) = @_;

    return $self->ended($t1, @{$self->{sessions}}) if $kind eq 'yes';
    $self->doubt_all($t1) if $kind eq 'unknown';
}


sub take_revoke {
    my ($self, $o, $kind, $data, $t0, $t1) = @_;

    if ($kind eq 'yes') {
        $self->{acts}++;
        return $self->ended($t1, @{$self->{sessions}});
    }

    $self->doubt_all($t1) if $kind =~ /^(?:unknown|conflict)$/;
    $self->wrong('', 'is unknown to its administrator')
        if $kind eq 'missing' && $self->{there} == 2;
}


sub take_password {
    my ($self, $o, $kind, $data, $t0, $t1) = @_;

    my $new = "tiger $o->{new}";

    if ($kind eq 'yes') {
        $self->{passwords} = [$new];
        $self->ended($t1, @{$self->{sessions}});
        $self->opened($data, $t1);

    } elsif ($kind eq 'wrong') {
        $self->wrong('', 'its only password was refused in a change')
            if @{$self->{passwords}} == 1 && $t0 > $self->{doubt};

    } elsif ($kind =~ /^(?:unknown|conflict)$/) {
        push @{$self->{passwords}}, $new;
        $self->doubt_all($t1);
    }
}


# the key may be used again; who asks once more is told the same

sub take_address {
    my ($self, $o, $kind, $data) = @_;

    my $a = $self->{addresses}{$o->{new}} //= { sure => 0 };

    if ($kind eq 'yes') {
        $self->wrong('', 'address %s has two ids', $o->{new})
            if defined $a->{id} && $a->{id} ne $data->{id};
        @$a{qw(sure id)} = (1, $data->{id});

    } elsif ($kind =~ /^(?:full|out|missing)$/ && !$a->{sure}) {
        delete $self->{addresses}{$o->{new}} if !$o->{asked}++;
    }
}


sub take_stale {
    my ($self, $o, $kind, $data, $t0) = @_;

    my $late = $t0 - $o->{s}{at};

    $self->wrong('ended', 'a token was accepted %.3f s after it had ended',
                 $late)
        if $kind eq 'yes' && $late > PROMISE;
}


1;
