package Api::Model;

# Copyright (C) Rush
#
# The reference model: what the API has promised so far, in dictionaries.
# judge() says whether an answer is one of those allowed, and returns what
# it means for the model; the effect follows from the answer alone, so the
# model goes on from what was seen.
#
# What lags behind by design (the node's memory, the controller, units on
# their way back) is kept as the set of views that may still be in use; after
# "settle" there is one view only, and judgement is exact.
#
#   slots      [{ uid, name }]: who acts; name is of an account or not yet
#   accounts   name => { uid, password, fails, sessions => [id], profile }
#   sessions   id => { uid, access, refresh, used, alive }
#   products   id => { versions of what a reader may see }
#   activities id => see Api::Catalog
#   keys       "activity:uid:request id" => [what Redis may keep of it]
#   orders     [{ no, uid, aid, qty, prices, seen, at, key }]; aid 0: of no
#              sale.  What else is known of them, and of money: Api::Trade
# and what is in Api::Ops and Api::Notice.

use warnings;
use strict;

use Exporter qw(import);
use Api::Account;
use Api::Catalog;
use Api::Client qw(now);
use Api::Notice;
use Api::Ops;
use Api::Order;
use Api::Refund;
use Api::Sale;
use Api::Trade;
use RushTest;

our @EXPORT_OK = qw(code name_of told want field);

our $LAG = 3000;        # ms until all have heard, on a busy machine
our $FRESH = 1500;      # ms that a cached answer may be old

my (%code, %http, %name);


sub new {
    my ($class, %o) = @_;

    my $m = bless {
        prefix => $o{prefix}, slots => [], accounts => {}, sessions => {},
        products => {}, product_ids => [], activities => {},
        activity_ids => [], keys => {}, orders => [], clones => 0,
        payments => {}, refunds => {}, made => {}, goods => $o{goods} || [],
        notices => {}, last => {},
    }, $class;

    foreach my $n (0 .. 2) {
        my $uid = $o{first} + $n;

        # a token that the core would have made, of nobody in MySQL
        $m->{sessions}{"m$uid"} = { uid => $uid, alive => 1,
                                    access => $o{token}->($uid) };
        push @{$m->{slots}}, { uid => $uid, name => "$o{prefix}n$n" };
    }

    return $m;
}


sub read_codes {
    return if %code;

    foreach (split /\n/, RushTest::slurp("$RushTest::ROOT/docs/errors.md")) {
        next if !/^\|\s*(\d+)\s*\|\s*(\d+)\s*\|\s*(\w*)\s*\|/;
        $code{$3 || 'OK'} = $1;
        $http{$1} = $2;
        $name{$1} = $3 || 'OK';
    }
}


sub code { read_codes(); return $code{$_[0]} // die "no code $_[0]\n" }

sub name_of { read_codes(); return $name{$_[0] // ''} // 'nothing' }


sub told {
    my ($c) = @_;
    return name_of($c->{res}{code});
}


# an error text unless the answer is one of these

sub want {
    my ($c, @names) = @_;

    my $told = told($c);

    # in a list too: what follows stands behind it
    return undef if grep { $_ eq $told } @names;

    return "$told, but the model allows "
        . (join ' or ', @names) . ($c->{why} ? " ($c->{why})" : '');
}


# of the answer's data

sub field {
    my ($c, %expected) = @_;

    my $data = $c->{data};

    foreach my $name (sort keys %expected) {
        my $want = $expected{$name};
        my $have = $data->{$name};
        my @all = ref $want eq 'ARRAY' ? @$want : $want;

        if (ref $want eq 'HASH') {
            next if defined $have && $have >= $want->{least}
                && $have <= $want->{most};
            @all = "$want->{least}..$want->{most}";

        } else {
            next if grep { ($have // 'undef') eq ($_ // 'undef') } @all;
        }

        return "$name is " . ($have // 'missing') . ', but the model allows '
            . join ' or ', map { $_ // 'none' } @all;
    }

    return undef;
}


# (what is wrong, what follows); nothing wrong: undef

sub judge {
    my ($m, $c) = @_;

    my $r = $c->{res};

    read_codes();

    return "no answer: " . ($r->{error} // $r->{body})
        if !defined $r->{code} || !$r->{json};
    return "code $r->{code} with status $r->{status}"
        if ($http{$r->{code}} // 0) != $r->{status};

    $c->{data} = $r->{json}{data};

    my $error = auth($m, $c);

    return (length $error ? $error : undef, sub {}) if defined $error;

    if ($c->{bad}{p}) {
        $c->{why} = 'no such path';
        return (want($c, 'NOT_FOUND'), sub {});
    }

    if ($c->{bad}{other}) {
        $c->{why} = 'docs/openapi.json does not allow the input';
        return (want($c, 'BAD_REQUEST'), sub {});
    }

    # keys of the administrator are those of all runs
    return (undef, sub {}) if $c->{admin} && told($c) eq 'KEY_REUSED'
        && defined $c->{v}{'idempotency-key'};

    my $f = Api::Account->can($c->{r}) || Api::Catalog->can($c->{r})
        || Api::Sale->can($c->{r}) || Api::Order->can($c->{r})
        || Api::Trade->can($c->{r}) || Api::Refund->can($c->{r})
        || Api::Ops->can($c->{r}) || Api::Notice->can($c->{r})
        || die "no model of $c->{r}\n";

    my ($wrong, $apply) = $f->($m, $c);

    return ($wrong, $apply || sub {});
}


# "" when this decides and the answer is right

sub auth {
    my ($m, $c) = @_;

    my $need = $c->{route}{auth} or return;
    my $session = $c->{session} ? $m->{sessions}{$c->{session}} : undef;

    return if $c->{admin} && $need eq 'admin';

    if (!$session && !$c->{admin}) {
        return if $c->{route}{optional};
        $c->{why} = 'nobody asks';
        return want($c, 'UNAUTHORIZED') // '';
    }

    if ($session && !$session->{alive}) {
        $c->{why} = 'the session has ended';
        return want($c, 'UNAUTHORIZED') // ''
            if !$c->{begun} || told($c) eq 'UNAUTHORIZED';
    }

    if ($need eq 'admin') {
        $c->{why} = 'not an administrator';
        return want($c, 'FORBIDDEN') // '';
    }

    return;
}


1;
