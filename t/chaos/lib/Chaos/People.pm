package Chaos::People;

# Copyright (C) Rush
#
# The owners of accounts in a round: each does one thing after the other, on
# either node, and knows what it may be told (Chaos::Person).
#
#   Chaos::People->start(work => $work, names => prefix, count => n)
#       beside the buyers, on the connections of Chaos::Work; what is known
#       in the end goes to the history by leave()
#   my @wrong = Chaos::People->settle($w, $file, %o)
#       after healing: what was seen, and what the accounts say of
#       themselves; o: lost, shifted

use warnings;
use strict;

use JSON::PP ();
use Time::HiRes qw(sleep time);

use Chaos::Person;
use Chaos::Rand;

use constant TIMEOUT => 4.5;
use constant SETTLE => 10;              # s, until an ended token is refused

my $json = JSON::PP->new->canonical;


sub start {
    my ($class, %o) = @_;

    my $work = $o{work};
    my $self = bless { %o, http => $work->{http}, people => [] }, $class;

    foreach my $n (1 .. $o{count}) {
        my $p = Chaos::Person->new(name => "$o{names}n$n",
                                   salt => "$o{names}n$n");

        $p->{rnd} = Chaos::Rand->new($work->{seed}, "person $n");
        push @{$self->{people}}, $p;
        $self->{http}->at(time() + $p->{rnd}->below(300) / 1000,
                          sub { $self->act($p) });
    }

    return $self;
}


sub act {
    my ($self, $p, $again) = @_;

    return if time() >= $self->{work}{end};

    my $rnd = $p->{rnd};
    my $o = $again || $p->choose($rnd);
    my $think = $rnd->range(10, 150) / 1000;
    my $next = sub {
        my ($once_more) = @_;
        $self->{http}->at(time() + $think, sub { $self->act($p, $once_more) });
    };

    return $self->twice($p, $o, $next) if $o->{op} eq 'twice';

    my $t0 = time();

    $self->{http}->ask($self->prepared($p, $o), TIMEOUT, sub {
        my ($r) = @_;

        $p->take($o, $r, $t0, time());

        # an address by its key, by who is not sure or just does it again
        my $open = $o->{op} eq 'address' && ($o->{asked} // 0) < 3
            && (Chaos::Person::kind($r) eq 'unknown' || $o->{again});

        $o->{again} = 0;
        $o->{asked}++ if $open;
        $next->($open ? $o : undef);
    });
}


sub prepared {
    my ($self, $p, $o) = @_;

    my $q = $p->request($o);
    my $w = $self->{work}{world};

    $q->{token} = $w->admin_token() if delete $q->{admin};

    my ($bytes) = $w->bytes_of($q);

    return ($p->{rnd}->pick(qw(a b)), $bytes);
}


sub twice {
    my ($self, $p, $o, $next) = @_;

    my @answers;

    $self->{http}->together(TIMEOUT, map { [$self->prepared($p, $o), sub {
        push @answers, $_[0];
        return if @answers < 2;
        $p->take_two($o, @answers, time());
        $next->();
    }] } 1, 2);
}


sub leave {
    my ($self, $h) = @_;

    foreach my $p (@{$self->{people}}) {
        delete $p->{rnd};
        $h->add({ ev => 'claim', kind => $_->[0], text => $_->[1] })
            foreach @{$p->{wrong}};
        $h->add({ ev => 'person', %{$p->plain()} });
    }
}


# --- after healing ---

sub settle {
    my ($class, $w, $file, %o) = @_;

    my (@wrong, @people);

    open my $fh, '<', $file or die "$file: $!";

    while (my $line = <$fh>) {
        next if $line !~ /"ev":"(?:claim|person)"/;
        my $e = $json->decode($line);

        if ($e->{ev} eq 'person') {
            push @people, Chaos::Person->from($e);
        } elsif (($e->{of} // '') ne 'payer') {
            push @wrong, [@$e{qw(kind text)}];
        }
    }

    foreach my $p (@people) {
        next if $p->{there} == 0;
        eval { ask($w, $p, %o); 1 } or $p->wrong('', 'harness: %s', $@);
        push @wrong, @{$p->{wrong}};
    }

    my ($rc, $text) = $w->consumer_run('--verify-audit');

    push @wrong, ['', "--verify-audit: $text"] if $rc != 0;

    return map { "A $_->[1]" }
        grep { !($_->[0] eq 'live' && $o{shifted})
               && !($_->[0] eq 'ended' && $o{lost}) } @wrong;
}


sub ask {
    my ($w, $p, %o) = @_;

    my $rows = $w->value('SELECT COUNT(*) FROM user WHERE username = ?',
                         $p->{name});

    $p->wrong('', '%d accounts have this name', $rows)
        if $rows > 1 || $rows == 0 && $p->{there} == 2;

    return if $rows == 0;

    sessions($w, $p, %o);

    my $token = logged_in($w, $p) or return;

    books($w, $p, $token);
}


sub sessions {
    my ($w, $p, %o) = @_;

    foreach my $s (@{$p->{sessions}}) {
        my $over = $s->{state} =~ /^end/;

        # of a clock that was ahead, it begins to hold later
        next if $s->{state} eq 'maybe' || ($o{shifted} && !$over);

        foreach my $node (qw(nginx node2)) {
            my $ok = sub {
                my @r = $w->burst([({ path => '/api/v1/user/profile',
                                      token => $s->{access} }) x 4],
                                  node => $node, conns => 4, timeout => 3,
                                  record => 0);
                return !grep { $_->{status} != ($over ? 401 : 200) } @r;
            };

            next if wait_until($ok);
            $p->wrong($over ? '' : 'live', '%s: a session that %s', $node,
                      $over ? 'has ended is accepted' : 'holds is refused');
        }

        next if !$over;

        my $r = $w->post('/api/v1/auth/refresh-token',
                         { refresh_token => $s->{refresh} }, record => 0);

        $p->wrong('', 'the refresh token of a session that has ended: %s',
                  $r->{body}) if ($r->{code} // -1) != 10007;
    }
}


sub wait_until {
    my ($sub) = @_;

    my $end = time() + SETTLE * $RushTest::SLOW;

    while (time() < $end) {
        return 1 if $sub->();
        sleep 0.1;
    }

    return 0;
}


# exactly one of the passwords that it may have

sub logged_in {
    my ($w, $p) = @_;

    my %codes;
    my $token;

    foreach my $password (@{$p->{passwords}}) {
        my $r = $w->login($p->{name}, $password, record => 0);

        $codes{$r->{code} // $r->{status}}++;
        $token = $r->{json}{data}{access_token} if ($r->{code} // -1) == 0;
    }

    # who guessed has to wait
    return if $codes{10003};

    $p->wrong('', 'of %d passwords %d are good: %s',
              scalar @{$p->{passwords}}, $codes{0} // 0,
              join ' ', map { "$_ x $codes{$_}" } sort keys %codes)
        if ($codes{0} // 0) != 1;

    return $token;
}


sub books {
    my ($w, $p, $token) = @_;

    my $me = $w->get('/api/v1/user/profile', token => $token, record => 0);

    $p->take_read({ op => 'read' }, 'yes', $me->{json}{data})
        if ($me->{code} // -1) == 0;

    my %seen;

    $seen{$_->{detail}}++ foreach $w->sql(
        'SELECT a.detail FROM address a JOIN user u ON u.id = a.user_id '
        . 'WHERE u.username = ?', $p->{name});

    foreach my $tag (sort keys %{{ %seen, %{$p->{addresses}} }}) {
        my $n = $seen{$tag} // 0;
        my $known = $p->{addresses}{$tag};

        $p->wrong('', 'address %s is there %d times', $tag, $n)
            if $n > 1 || ($known && $known->{sure} && !$n);
    }

    my $acts = $w->value(
        'SELECT COUNT(*) FROM audit_log WHERE route = ? AND object = ? '
        . 'AND kind = 0',
        'user_admin_revoke', $p->{id} // 0);

    $p->wrong('', '%d acts were acknowledged, %d are in the record',
              $p->{acts}, $acts) if $acts < $p->{acts};
}


1;
