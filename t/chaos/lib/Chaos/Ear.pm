package Chaos::Ear;

# Copyright (C) Rush
#
# What is known to somebody who listens to an order or to an activity, over
# many connections, and what may be heard.
#
#   my $e = Chaos::Ear->new(no => $order_no, user => $user);  or activity =>
#   $e->path(), $e->{user}          where it listens, and as whom
#   $e->answered($status)           of a new connection: true when it listens
#   $e->heard(\%event)              as RushTest::Events has them
#   $e->ended($whole)               the connection is over; whole: as the
#                                   protocol wants it.  Returns the seconds
#                                   until it comes again, undef: never
#   $e->{done}                      it was told that nothing follows
#   $e->sees(\%now)                 '', or in which way it differs from what
#                                   is so: { status, version } or { left,
#                                   total, state }
#   @{$e->{wrong}}                  [kind, text], as of Chaos::Payer
#   $e->{did}                       { what => how often }

use warnings;
use strict;

use Chaos::Payer;

use constant AGAIN => 0.2;              # s, when nobody said how long

my %STATE = map { $_ => 1 } qw(not_started running paused sold_out ended);
my %FINAL = map { $_ => 1 } 4, 5, 7, 8, 9;


sub new {
    my ($class, %o) = @_;
    return bless { %o, wrong => [], did => {}, on => {} }, $class;
}


sub name {
    my ($self) = @_;
    return defined $self->{no} ? "order $self->{no}"
        : "activity $self->{activity}";
}


sub path {
    my ($self) = @_;

    return "/api/v1/orders/$self->{no}/events" if defined $self->{no};
    return "/api/v1/seckill/activities/$self->{activity}/events";
}


sub wrong {
    my ($self, $kind, $format, @values) = @_;
    push @{$self->{wrong}}, [$kind, 'who listens to ' . $self->name() . ' '
                             . sprintf $format, @values];
}


# --- a connection ---

sub answered {
    my ($self, $status) = @_;

    $self->{on} = { status => $status };
    $self->{did}{"answer $status"}++;

    return 1 if $status == 200;

    # an activity is not known to a node that has just begun
    return if $status =~ /^(?:429|503)$/
              || $status == 404 && !defined $self->{no};

    $self->wrong($status == 401 ? 'live' : $status == 404 ? 'lost' : '',
                 'is answered %d', $status);
    return;
}


sub heard {
    my ($self, $e) = @_;

    my $on = $self->{on};

    return $self->wrong('', 'hears "%s" behind its end',
                        $e->{event} // $e->{raw}) if $on->{end};

    if (defined $e->{retry}) {
        $self->{did}{hint}++;
        $self->wrong('', 'has to come again in %d ms', $e->{retry})
            if $e->{retry} < 1000 || $e->{retry} > 3000;
        return $on->{retry} = $e->{retry} / 1000;
    }

    return $self->{did}{heartbeat}++ if !defined $e->{event};
    return $self->over($e->{data}) if $e->{event} eq 'end';

    my $want = defined $self->{no} ? 'order' : 'activity';

    return $self->wrong('', 'hears "%s"', $e->{event})
        if $e->{event} ne $want || !$e->{data};

    $self->{did}{event}++;
    $self->{on}{n}++;

    return defined $self->{no} ? $self->order($e) : $self->activity($e);
}


sub order {
    my ($self, $e) = @_;

    my ($d, $last, $on) = ($e->{data}, $self->{last}, $self->{on});
    my ($s, $v) = @$d{qw(status version)};

    $self->wrong('', 'hears of %s', $d->{order_no})
        if $d->{order_no} ne $self->{no};
    $self->wrong('', 'hears event %s of version %d', $e->{id} // 'none', $v)
        if ($e->{id} // -1) != $v;
    $self->wrong('', 'is told that state %d is%s final', $s,
                 $d->{final} ? '' : ' not')
        if ($d->{final} ? 1 : 0) != ($FINAL{$s} || 0);

    if ($last) {
        $self->wrong('', 'hears of version %d after %d', $v,
                     $last->{version})
            if $v < $last->{version} || $on->{n} > 1
               && $v == $last->{version};
        $self->wrong('', 'hears of state %d after %d', $s, $last->{status})
            if $v == $last->{version} ? $s != $last->{status}
               : !Chaos::Payer::reach($last->{status})->{$s} && $s != 9;
    }

    @$on{qw(final last)} = ($d->{final} ? 1 : 0, $d);
    $self->{last} = { status => $s, version => $v };
}


sub activity {
    my ($self, $e) = @_;

    my ($d, $on) = ($e->{data}, $self->{on});

    $self->wrong('', 'hears of %s', $d->{id}) if $d->{id} ne
        $self->{activity};
    $self->wrong('', 'hears of state "%s"', $d->{state})
        if !$STATE{$d->{state}};
    # of a change to the total one side hears first
    $self->wrong('', 'hears of %d units of %d', @$d{qw(left total)})
        if $d->{left} < 0 || $d->{total} < 0;

    @$on{qw(final last)} = ($d->{state} eq 'ended' ? 1 : 0, $d);
    $self->{last} = { map { $_ => $d->{$_} } qw(left total state) };
}


sub over {
    my ($self, $data) = @_;

    my $on = $self->{on};
    my $last = $on->{last} || {};

    $self->{did}{end}++;
    $self->wrong('', 'hears the end, nothing is final')
        if !$on->{final};
    $self->wrong('', 'hears another end than what was last')
        if grep { ($last->{$_} // '') ne ($data->{$_} // '') }
                qw(status version state left);

    $on->{end} = 1;
}


sub ended {
    my ($self, $whole) = @_;

    my $on = $self->{on};

    # without an answer nothing is known
    return AGAIN if ($on->{status} // 0) != 200;

    $self->{did}{$on->{end} ? 'over' : defined $on->{retry} ? 'told to go'
                 : 'cut off'}++;

    $self->wrong('', 'is left without a hint, and without an end')
        if $whole && !$on->{end} && !defined $on->{retry};
    $self->wrong('', 'has heard nothing before the end')
        if $whole && !$on->{n};

    $self->{done} = 1 if $on->{end};
    $self->{on} = {};

    return $self->{done} ? undef : $on->{retry} // AGAIN;
}


# --- at rest ---

sub sees {
    my ($self, $now) = @_;

    my $last = $self->{last};

    return 'has heard nothing' if !$last;

    if (!defined $self->{no}) {
        my ($bad) = grep { $last->{$_} != $now->{$_} } qw(left total);
        return $bad ? "sees $bad $last->{$bad}, it is $now->{$bad}" : '';
    }

    # who was told the end may miss what follows: a payment that came late, a
    # refund of what is done
    return '' if $last->{status} == $now->{status}
                 || $self->{done} && Chaos::Payer::reach($last->{status})
                                     ->{$now->{status}};

    return "sees state $last->{status}, version $last->{version}, it is "
        . "$now->{status}, version $now->{version}";
}


1;
