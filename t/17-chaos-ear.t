#!/usr/bin/perl

# Copyright (C) Rush
#
# The listener of the chaos harness must notice what is wrong, and only that.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/chaos/lib";

use Test::More;

use Chaos::Ear;

my $NO = '77-1001';


sub order {
    my ($status, $version, %o) = @_;

    return { event => 'order', id => $version, data => {
        order_no => $NO, status => $status, version => $version,
        final => $status =~ /^[45789]$/ ? 1 : 0, %o } };
}


sub end {
    my (%data) = @_;
    return { event => 'end', data => { %{order(5, 3)->{data}}, %data } };
}


sub units {
    my ($left, %o) = @_;

    return { event => 'activity', id => 1, data => {
        id => 1001, state => 'running', left => $left, total => 10, %o } };
}


# a connection, and all that is heard on it

sub on {
    my ($e, @heard) = @_;
    $e->answered(200);
    $e->heard($_) foreach @heard;
}


sub gone { return $_[0]->ended($_[1] // 1) }

my $bye = { retry => 1500 };
my $beat = { comment => '' };
my $nothing = qr/^\z/;

my @orders = (
    ['all is well', $nothing, sub {
        my ($e) = @_;
        on($e, order(0, 0), $beat, order(1, 1), $bye);
        gone($e);
        on($e, order(1, 1), order(5, 3), end());
        gone($e);
    }],
    ['rejected', $nothing, sub { on($_[0], order(0, 0), order(9, 1)) }],
    ['cut off in a word', $nothing, sub {
        on($_[0], order(1, 1));
        gone($_[0], 0);
        on($_[0], order(1, 1));
    }],
    ['left alone', qr/left without a hint/, sub {
        on($_[0], order(1, 1));
        gone($_[0]);
    }],
    ['told nothing', qr/has heard nothing before/, sub {
        on($_[0], $bye);
        gone($_[0]);
    }],
    ['another order', qr/hears of 78-1001/,
     sub { on($_[0], order(1, 1, order_no => '78-1001')) }],
    ['an older one on the same line', qr/version 1 after 2/,
     sub { on($_[0], order(2, 2), order(1, 1)) }],
    ['the same twice', qr/version 1 after 1/,
     sub { on($_[0], order(1, 1), order(1, 1)) }],
    ['an older one when it comes again', qr/version 1 after 2/, sub {
        on($_[0], order(2, 2), $bye);
        gone($_[0]);
        on($_[0], order(1, 1));
    }],
    ['no row where one was', qr/version 0 after 1/, sub {
        on($_[0], order(1, 1), $bye);
        gone($_[0]);
        on($_[0], order(0, 0));
    }],
    ['a way that is none', qr/state 1 after 2/,
     sub { on($_[0], order(2, 2), order(1, 3)) }],
    ['one version, two states', qr/state 3 after 2/, sub {
        on($_[0], order(2, 2), $bye);
        gone($_[0]);
        on($_[0], order(3, 2));
    }],
    ['final too early', qr/state 2 is final/,
     sub { on($_[0], order(2, 2, final => 1)) }],
    ['final too late', qr/state 5 is not final/,
     sub { on($_[0], order(5, 3, final => 0)) }],
    ['an id of something else', qr/event 9 of version 1/,
     sub { on($_[0], { %{order(1, 1)}, id => 9 }) }],
    ['an end too early', qr/hears the end, nothing is final/,
     sub { on($_[0], order(1, 1), end(status => 1, version => 1)) }],
    ['another end', qr/another end than/,
     sub { on($_[0], order(5, 3), end(status => 4)) }],
    ['more behind it', qr/hears "order" behind its end/,
     sub { on($_[0], order(5, 3), end(), order(5, 4)) }],
    ['units of an order', qr/hears "activity"/, sub { on($_[0], units(3)) }],
    ['a hint that is too short', qr/come again in 10 ms/,
     sub { on($_[0], order(1, 1), { retry => 10 }) }],
    ['a token that holds', qr/^live\|.*answered 401/,
     sub { $_[0]->answered(401) }],
    ['an order that is there', qr/^lost\|.*answered 404/,
     sub { $_[0]->answered(404) }],
    ['an error', qr/^\|.*answered 500/, sub { $_[0]->answered(500) }],
    ['who is busy', $nothing, sub {
        $_[0]->answered(503);
        gone($_[0], 1);
    }],
);

my @activities = (
    ['units', $nothing, sub { on($_[0], units(3), units(4), $bye) }],
    ['the end', $nothing, sub {
        my $e = units(3, state => 'ended');
        on($_[0], $e, { event => 'end', data => $e->{data} });
        gone($_[0]);
    }],
    ['fewer than none', qr/-1 units of 10/, sub { on($_[0], units(-1)) }],
    ['more than all, for a while', $nothing, sub { on($_[0], units(11)) }],
    ['a state of its own', qr/state "open"/,
     sub { on($_[0], units(1, state => 'open')) }],
    ['another one', qr/hears of 1002/, sub { on($_[0], units(1, id => 1002)) }],
    ['not known yet', $nothing, sub { $_[0]->answered(404) }],
);

foreach (map({ [{ no => $NO, user => 7 }, $_] } @orders),
         map { [{ activity => 1001 }, $_] } @activities)
{
    my ($who, $case) = @$_;
    my ($name, $want, $sub) = @$case;
    my $e = Chaos::Ear->new(%$who);

    $sub->($e);
    like(join("\n", map { "$_->[0]|$_->[1]" } @{$e->{wrong}}), $want, $name);
}


subtest 'when it comes again' => sub {
    my $e = Chaos::Ear->new(no => $NO);

    on($e, order(1, 1), $bye);
    is(gone($e), 1.5, 'as it was told');
    $e->answered(503);
    is(gone($e), 0.2, 'soon');
    on($e, order(5, 3), end());
    is(gone($e), undef, 'never');
    ok($e->{done}, 'as it knows all');
};


subtest 'at rest' => sub {
    my $e = Chaos::Ear->new(no => $NO);

    like($e->sees({ status => 1, version => 1 }), qr/heard nothing/, 'deaf');
    on($e, order(1, 1));
    is($e->sees({ status => 1, version => 1 }), '', 'what is so');
    like($e->sees({ status => 2, version => 2 }), qr/^sees state 1, .* is 2/,
         'what was');

    on($e, order(5, 3), end());
    gone($e);
    is($e->sees({ status => 2, version => 4 }), '', 'what came after the end');
    like($e->sees({ status => 1, version => 4 }), qr/^sees state 5/,
         'what cannot have come');

    $e = Chaos::Ear->new(activity => 1001);
    on($e, units(3));
    is($e->sees({ left => 3, total => 10 }), '', 'units');
    like($e->sees({ left => 4, total => 10 }), qr/^sees left 3, it is 4/,
         'others');
};


done_testing();
