package Api::Account;

# Copyright (C) Rush
#
# The model of accounts, sessions and profiles.  Each function is named after
# the operation it judges and returns (what is wrong, what follows).

use warnings;
use strict;

use Api::Client qw(now);

BEGIN { *want = \&Api::Model::want; *field = \&Api::Model::field;
        *told = \&Api::Model::told }

my $TRIES = 5;          # wrong passwords until the account is locked
my %COMMON = map { $_ => 1 } qw(password1 12345678);
my @PROFILE = qw(nickname sex info avatar signature location_name longitude
                 latitude);


sub weak {
    my ($password, $name) = @_;
    return length $password < 8 || $password =~ /^(.)\1*$/
        || $COMMON{lc $password} || lc $password eq lc($name // '');
}


sub add_session {
    my ($m, $account, $data) = @_;

    my $id = 's' . ++$m->{serial};

    $m->{sessions}{$id} = {
        uid => $account->{uid}, alive => 1, access => $data->{access_token},
        refresh => $data->{refresh_token},
    };
    push @{$account->{sessions}}, $id;
}


sub end_all {
    my ($m, $account) = @_;
    $m->{sessions}{$_}{alive} = 0 foreach @{$account->{sessions}};
}


sub user_register {
    my ($m, $c) = @_;

    my ($name, $password) = @{$c->{v}}{qw(username password)};

    # nobody has got one
    return want($c, qw(BAD_REQUEST CODE_WRONG TICKET_INVALID WEAK_PASSWORD
                       USER_EXISTS))
        if grep { defined $c->{v}{$_} } qw(code ticket);

    # of this seed's names alone
    return want($c, 'BAD_REQUEST')
        if ($name // '') !~ /^[A-Za-z][A-Za-z0-9._-]{2,31}$/;
    return want($c, 'BAD_REQUEST') if !defined $password;
    return want($c, 'WEAK_PASSWORD') if weak($password, $name);

    if ($m->{accounts}{lc $name}) {
        return want($c, 'USER_EXISTS');
    }

    my $wrong = want($c, 'OK');
    return $wrong if $wrong;

    my $user = $c->{data}{user};
    return 'another username' if $user->{username} ne lc $name;

    return (undef, sub {
        my $account = $m->{accounts}{lc $name} = {
            uid => $user->{id}, password => $password, fails => 0,
            sessions => [], profile => {
                (map { $_ => '' } @PROFILE), sex => 0, role => 'user',
                nickname => $c->{v}{nickname} // lc $name,
                username => lc $name },
        };
        add_session($m, $account, $c->{data});
    });
}


sub user_login {
    my ($m, $c) = @_;

    my @given = grep { defined $c->{v}{$_} }
        qw(account username mobile email);

    my @proofs = grep { defined $c->{v}{$_} } qw(password code ticket);

    return want($c, 'BAD_REQUEST') if @proofs != 1;

    # nobody has got one
    return want($c, 'BAD_REQUEST', 'TICKET_INVALID')
        if $proofs[0] eq 'ticket';
    return want($c, 'BAD_REQUEST') if @given != 1;
    return want($c, 'BAD_REQUEST', 'CODE_WRONG') if $proofs[0] eq 'code';

    my $account = $given[0] =~ /^(?:account|username)$/
        ? $m->{accounts}{lc $c->{v}{$given[0]}} : undef;

    return want($c, 'LOGIN_FAILED') if !$account;
    return want($c, 'USER_LOCKED') if $account->{fails} >= $TRIES;

    if ($account->{password} ne $c->{v}{password}) {
        return (want($c, 'LOGIN_FAILED'), sub { $account->{fails}++ });
    }

    # others may change the password while this one is looked at
    return (want($c, 'OK', $c->{n} > 1 ? 'CONFLICT' : ()), sub {
        $account->{fails} = 0;
        add_session($m, $account, $c->{data}) if told($c) eq 'OK';
    });
}


sub user_logout {
    my ($m, $c) = @_;

    my $account = $m->{accounts}{$c->{account} // ''};
    my $session = $m->{sessions}{$c->{session}};

    if (!$c->{v}{all}) {
        return (want($c, 'OK'), sub { $session->{alive} = 0 });
    }

    return want($c, 'UNAUTHORIZED') if !$account;

    return (want($c, 'OK'), sub { end_all($m, $account) });
}


sub user_password {
    my ($m, $c) = @_;

    my $account = $m->{accounts}{$c->{account} // ''};
    my ($old, $new) = @{$c->{v}}{qw(old_password new_password)};

    return want($c, 'BAD_REQUEST') if $old eq $new;
    return want($c, 'NOT_FOUND') if !$account;
    return want($c, 'WEAK_PASSWORD')
        if weak($new, $account->{profile}{username});
    return want($c, 'USER_LOCKED') if $account->{fails} >= $TRIES;

    if ($old ne $account->{password}) {
        return (want($c, 'WRONG_PASSWORD'), sub { $account->{fails}++ });
    }

    return (want($c, 'OK', $c->{n} > 1 ? 'CONFLICT' : ()), sub {
        return if told($c) ne 'OK';
        end_all($m, $account);
        @$account{qw(password fails)} = ($new, 0);
        add_session($m, $account, $c->{data});
    });
}


sub user_refresh {
    my ($m, $c) = @_;

    my $token = $c->{v}{refresh_token};
    my ($s) = grep { $_->{refresh} && ($_->{refresh} eq $token
                     || ($_->{used} // '') eq $token) }
        values %{$m->{sessions}};

    return want($c, 'REFRESH_INVALID') if !$s || !$s->{alive};

    if ($s->{refresh} ne $token) {
        # used twice: the whole family ends
        return (want($c, 'REFRESH_INVALID'), sub { $s->{alive} = 0 });
    }

    return (want($c, 'OK'), sub {
        $s->{used} = $token;
        $s->{refresh} = $c->{data}{refresh_token};
        $s->{access} = $c->{data}{access_token};
    });
}


sub user_profile {
    my ($m, $c) = @_;

    my $account = $m->{accounts}{$c->{account} // ''}
        or return want($c, 'NOT_FOUND');

    my $wrong = want($c, 'OK') || field($c, %{$account->{profile}},
                                        id => $account->{uid});

    return ($wrong, sub {
        # which of the changes was the last one is known by now
        $account->{profile}{$_} = $c->{data}{$_}
            foreach $c->{n} == 1 ? @PROFILE : ();
    });
}


sub degrees {
    my ($v, $most) = @_;
    return $v eq '' || $v =~ /^-?(?:0|[1-9]\d{0,2})(?:\.\d+)?$/
        && abs $v <= $most;
}


sub user_change {
    my ($m, $c) = @_;

    my %new = map { $_ => $c->{v}{$_} }
        grep { defined $c->{v}{$_} } @PROFILE;

    return want($c, 'BAD_REQUEST')
        if ($new{avatar} // '') !~ m!^(?:|/.*|https?://.+)$!i
        || !degrees($new{longitude} // '', 180)
        || !degrees($new{latitude} // '', 90);

    my $account = $m->{accounts}{$c->{account} // ''}
        or return want($c, 'NOT_FOUND');

    # the answer is read later: others may have been faster
    my $p = $account->{profile};
    my $wrong = want($c, 'OK') || $c->{n} == 1 && field($c, %$p, %new);

    return ($wrong || undef, sub {
        foreach (keys %new) {
            $p->{$_} = $c->{n} == 1 ? $new{$_}
                : [ref $p->{$_} ? @{$p->{$_}} : (), $new{$_}];
        }
    });
}


1;
