package Chaos::History;

# Copyright (C) Rush
#
# What the clients asked and were told, a JSON line an event; times in s.
#
#   call  { t, ev, i, op, a, u, id, q, retry, order, node }   i: which call
#   ret   { t, ev, i, kind, code, status, order, id, op_id, error }
#   epoch { ev, a, e, t0, t }   Redis had this epoch at a time in t0 .. t
#
# kind, of a buy and of a question about an id (op resolve):
#   yes      granted, or was: has an order
#   back     had an order, which was given back
#   no       refused for good
#   not      this copy was not executed, others may be
#   unknown  nobody may conclude anything
#   void     an answer that says nothing of the id
# of a poll: queued, success, failed, missing, void; of the others: done,
# refused, unknown.  Any may be strange: an answer that must not be.
#
#   my $h = Chaos::History->append($file);  $h->add({...}); $h->flush();
#   my $h = Chaos::History->load($file);
#   $h->{calls}     [{ call members, ret => ret or undef }, ...] by time
#   $h->{epochs}    { activity => [{ e, t0, t }, ...] }
#   $h->{ids}       { "a:u:id" => { a, u, id, qs => { n => 1 },
#                     answers => [{ kind, t0, t1, order, op }, ...] } }
#   $h->{people}    [what Chaos::Person->plain() says]
#   $h->{payers}    [what Chaos::Payer->plain() says]
#   $h->{nameless}  buys whose id nobody knows: [{ a, u, q, kind }]
#   Chaos::History::outcome($id)    its best answer: yes back no unknown not

use warnings;
use strict;

use JSON::PP ();

my $json = JSON::PP->new->canonical->allow_nonref;


sub append {
    my ($class, $file) = @_;

    open my $fh, '>>', $file or die "$file: $!";

    my $last = 0;

    if (-s $file) {
        open my $in, '<', $file or die "$file: $!";
        while (my $line = <$in>) {
            $last = $1 if $line =~ /"i":(\d+)/ && $1 > $last;
        }
    }

    return bless { fh => $fh, last => $last, out => '' }, $class;
}


sub add {
    my ($self, $event) = @_;
    $self->{out} .= $json->encode($event) . "\n";
    $self->flush() if length $self->{out} > 32768;
}


sub flush {
    my ($self) = @_;

    my $n = syswrite $self->{fh}, $self->{out};

    die "history: $!\n" if ($n // -1) != length $self->{out};
    $self->{out} = '';
}


# the number of a new call

sub number {
    my ($self) = @_;
    return ++$self->{last};
}


sub load {
    my ($class, $file) = @_;

    open my $fh, '<', $file or die "$file: $!";
    my @events = map { $json->decode($_) } <$fh>;

    return $class->fold(@events);
}


sub fold {
    my ($class, @events) = @_;

    my $self = bless { calls => [], epochs => {}, ids => {}, nameless => [],
                       people => [], payers => [] }, $class;
    my %call;

    foreach my $e (@events) {
        if ($e->{ev} eq 'call') {
            push @{$self->{calls}}, $call{$e->{i}} = { %$e };

        } elsif ($e->{ev} eq 'ret') {
            $call{$e->{i}}{ret} = $e;

        } elsif ($e->{ev} eq 'person') {
            push @{$self->{people}}, $e;

        } elsif ($e->{ev} eq 'payer') {
            push @{$self->{payers}}, $e;

        } elsif ($e->{ev} eq 'epoch') {
            push @{$self->{epochs}{$e->{a}}}, $e;
        }
    }

    $self->take($_) foreach @{$self->{calls}};

    return $self;
}


# an answer, or the lack of one, to whom it belongs

sub take {
    my ($self, $c) = @_;

    return if $c->{op} ne 'buy' && $c->{op} ne 'resolve';

    my $ret = $c->{ret} || { kind => 'unknown', t => 9e15 };
    my $id = $c->{id} // $ret->{id};

    if (!defined $id) {
        push @{$self->{nameless}}, { %$c, kind => $ret->{kind} };
        return;
    }

    my $all = $self->{ids}{"$c->{a}:$c->{u}:$id"} //= {
        a => $c->{a}, u => $c->{u}, id => $id, qs => {}, answers => [] };

    $all->{qs}{$c->{q}} = 1 if $c->{op} eq 'buy';

    # a question that was not answered asks nothing for
    return if $c->{op} eq 'resolve' && $ret->{kind} =~ /^(?:void|unknown)$/;

    push @{$all->{answers}}, {
        kind => $ret->{kind}, t0 => $c->{t}, t1 => $ret->{t},
        order => $ret->{order}, op => $c->{op},
    };
}


sub outcome {
    my ($id) = @_;

    my %kind = map { $_->{kind} => 1 } @{$id->{answers}};

    foreach my $kind (qw(yes back no unknown)) {
        return $kind if $kind{$kind};
    }

    return 'not';
}


1;
