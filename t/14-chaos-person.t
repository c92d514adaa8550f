#!/usr/bin/perl

# Copyright (C) Rush
#
# The owner of an account in the chaos harness must notice what is wrong, and
# only that.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/chaos/lib";

use Test::More;

use Chaos::Person;
use Chaos::Rand;

my $n = 0;


sub yes {
    my (%data) = @_;
    return { status => 200, code => 0, json => { data => \%data } };
}


sub code { return { status => 200, code => $_[0], json => { data => {} } } }
sub lost { return { status => 599, sent => 1, error => 'closed' } }
sub opened { return yes(access_token => 'a' . ++$n, refresh_token => "r$n",
                        user => { id => 7 }) }


# somebody with an account and a session, at 10 s

sub ann {
    my $p = Chaos::Person->new(name => 'ann', salt => 'x');

    $p->take({ op => 'register' }, opened(), 9, 10);
    return $p;
}


sub session { return $_[0]{sessions}[$_[1] // -1] }


sub says {
    my ($p, $want, $name) = @_;
    my @said = map { "$_->[0]|$_->[1]" } @{$p->{wrong}};
    like(join("\n", @said), $want, $name);
}


my $nothing = qr/^\z/;

my @cases = (
    ['all is well', $nothing, sub {
        my ($p) = @_;
        my $s = session($p);
        $p->take({ op => 'read', s => $s }, yes(id => 7, nickname => 'x'),
                 11, 11.1);
        $p->take({ op => 'refresh', s => $s }, opened(), 12, 12.1);
        $p->take({ op => 'logout', s => $s }, yes(), 13, 13.1);
        $p->take({ op => 'stale', s => $s }, code(6), 15, 15.1);
    }],
    ['a token that is over', qr/^ended\|.*1\.900 s after it had ended/, sub {
        my ($p) = @_;
        my $s = session($p);
        $p->take({ op => 'logout', s => $s }, yes(), 13, 13.1);
        $p->take({ op => 'stale', s => $s }, yes(), 15, 15.1);
    }],
    ['within the second', $nothing, sub {
        my ($p) = @_;
        my $s = session($p);
        $p->take({ op => 'logout', s => $s }, yes(), 13, 13.1);
        $p->take({ op => 'stale', s => $s }, yes(), 14, 14.1);
    }],
    ['a logout without an answer', $nothing, sub {
        my ($p) = @_;
        my $s = session($p);
        $p->take({ op => 'logout', s => $s }, lost(), 13, 17);
        $p->take({ op => 'read', s => $s }, code(6), 18, 18.1);
    }],
    ['a token that holds', qr/^live\|.*read: a token that holds/, sub {
        my ($p) = @_;
        $p->take({ op => 'read', s => session($p) }, code(6), 18, 18.1);
    }],
    ['two at once, both win', qr/traded twice/, sub {
        my ($p) = @_;
        $p->take_two({ op => 'twice', s => session($p) }, opened(), opened(),
                     12);
    }],
    ['two at once, one wins', $nothing, sub {
        my ($p) = @_;
        $p->take_two({ op => 'twice', s => session($p) }, opened(),
                     code(10007), 12);
        is(session($p)->{state}, 'ending');
    }],
    ['registered twice', qr/registered twice/, sub {
        $_[0]->take({ op => 'register' }, opened(), 11, 12);
    }],
    ['a password that was changed without an answer', $nothing, sub {
        my ($p) = @_;
        my ($old) = @{$p->{passwords}};
        $p->take({ op => 'password', s => session($p), new => 'y' }, lost(),
                 11, 12);
        $p->take({ op => 'login', password => $old }, code(10002), 30, 31);
        $p->take({ op => 'login', password => 'tiger y' }, opened(), 32, 33);
        is_deeply($p->{passwords}, ['tiger y']);
    }],
    ['no password is good', qr/its only password was refused/, sub {
        my ($p) = @_;
        $p->take({ op => 'login', password => $p->{passwords}[0] },
                 code(10002), 30, 31);
    }],
    ['an old password', qr/with a password of before/, sub {
        my ($p) = @_;
        $p->take({ op => 'login', password => 'older' }, opened(), 30, 31);
    }],
    ['all sessions end with a password', qr/^ended\|/, sub {
        my ($p) = @_;
        my $s = session($p);
        $p->take({ op => 'password', s => $s, new => 'y' }, opened(), 11, 12);
        is(session($p)->{state}, 'live', 'but the new one');
        $p->take({ op => 'stale', s => $s }, yes(), 14, 14.1);
    }],
    ['another account', qr/is user 8, was told 7/, sub {
        my ($p) = @_;
        $p->take({ op => 'read', s => session($p) },
                 yes(id => 8, nickname => 'x'), 11, 12);
    }],
    ['a name it never had', qr/is called "z"/, sub {
        my ($p) = @_;
        my %o = (s => session($p));
        $p->take({ op => 'nick', %o, new => 'y' }, yes(), 11, 12);
        $p->take({ op => 'read', %o }, yes(id => 7, nickname => 'z'), 13, 14);
    }],
    ['an address with two ids', qr/two ids/, sub {
        my ($p) = @_;
        my %o = (op => 'address', s => session($p), new => 'd');
        $p->take({ %o }, lost(), 11, 12);
        $p->take({ %o }, yes(id => 1), 13, 14);
        $p->take({ %o }, yes(id => 2), 15, 16);
    }],
    ['an answer that must not be', qr/read was answered 500/, sub {
        my ($p) = @_;
        $p->take({ op => 'read', s => session($p) },
                 { status => 500, code => 1, body => '' }, 11, 12);
    }],
);

foreach (@cases) {
    my ($name, $want, $sub) = @$_;

    my $p = ann();
    $sub->($p);
    says($p, $want, $name);
}


# whatever it does, and whatever is lost, it says nothing when each answer is
# that of a server that does what it says

subtest 'a random life' => sub {
    foreach my $seed (1 .. 200) {
        my $rnd = Chaos::Rand->new($seed, 'life');
        my $p = Chaos::Person->new(name => 'bob', salt => 's');
        my $time = 0;

        foreach (1 .. 30) {
            my $o = $p->choose($rnd);

            $time += $rnd->range(1, 20) / 10;
            ok(0, 'a request') if !$p->request($o)->{path};
            next if $o->{op} eq 'twice';
            $p->take($o, lost(), $time, $time + 0.1);
        }

        is(scalar @{$p->{wrong}}, 0, "life $seed") if @{$p->{wrong}};
    }

    pass('200 of them');
};


done_testing();
