#!/usr/bin/perl

# Copyright (C) Rush
#
# Hostile text in every member that takes text, of every route: SQL, comments,
# zero bytes, what is not UTF-8, characters beyond the first plane, marks that
# turn the direction, line ends, 60 kB.  It is refused as a bad request or
# comes back as it was, and never becomes a statement.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use RushTest::Routes;
use Test::More;

my $t = RushTest::Routes::world();
my $all = RushTest::Routes->new($t);
my $json = JSON::PP->new->canonical->allow_nonref;
my $mark = 'z' . (10 + int rand 89);         # of all that must not run

# JSON text => 1: a member of any text may take it.  All have the mark
my %hostile = map { $_->[0] =~ s/MARK/$mark/r => $_->[1] } (
    [q("' OR '1'='1' -- MARK"), 1], [q("'; DROP TABLE user; -- MARK"), 1],
    [q("MARK\\\\' UNION SELECT 1,2,3 -- "), 1], [q("MARK' /*! OR 1=1 */ #"), 1],
    [q("MARK\";`,%_?\\\\"), 1], [q("' AND SLEEP(3) -- MARK"), 1],
    [q("<MARK>&lt;\\\\u0000</script>${7*7}{{7*7}}"), 1],
    [q("%00%0d%0aMARK%27"), 1], [q("\ud83d\ude00MARK\ud842\udfb7"), 1],
    [qq("\xf0\x9f\x98\x80MARK\xf0\xa0\xae\xb7"), 1],
    [qq("\xe2\x80\xaeMARK\xe2\x80\x8f\xe2\x81\xa6"), 1],
    [qq("MARK\xef\xbf\xbf\xef\xbb\xbf"), 1],
    [q("MARK\u0000' OR 1=1"), 0], [qq("MARK\0"), 0], [q("MARK\r\nX-A: 1"), 0],
    [qq("MARK\r\nX-A: 1"), 0], [q("MARK\u001b[2J"), 0], [q("MARK\u007f"), 0],
    [qq("MARK\xc0\xa7"), 0], [qq("MARK\xff"), 0], [qq("MARK\xed\xa0\x80"), 0],
    [q("MARK\ud800"), 0], [qq("\xe5MARK' OR 1=1 -- "), 0],
    ['"MARK' . 'x' x 60_000 . '"', 0], ['["MARK"]', 0], ['{"MARK":1}', 0],
    ['null', 0], ['1e400', 0],
);
my @texts = sort keys %hostile;
my $serial = 100;

# not text of any kind: what they take has a form of its own
my %formed = map { $_ => 1 } qw(trade_code username mobile email account scene
    longitude latitude avatar image qr_code postcode ticket code
    refresh_token password old_password new_password iv encrypted_data
    phone_code);

# several lines are good there
my %lines = map { $_ => 1 } qw(info desc description text);


sub structure {
    return $json->encode([$t->sql('SELECT TABLE_NAME, COLUMN_NAME, '
        . 'COLUMN_TYPE, COLUMN_DEFAULT FROM information_schema.COLUMNS '
        . 'WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1, 2'),
        $t->sql('SELECT TRIGGER_NAME, ACTION_STATEMENT FROM '
        . 'information_schema.TRIGGERS ORDER BY 1'),
        $t->sql('SELECT id, name, permissions FROM role WHERE id = 1')]);
}


sub encoded {
    return $_[0] =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}


# what the text is, undef when it is none

sub meaning {
    my ($text) = @_;
    my $v = eval { JSON::PP->new->allow_nonref->utf8->decode($text) };
    return ref $v ? undef : $v;
}


# is the text in some column as it is?

my %columns;

sub stored {
    my ($text) = @_;

    $columns{$_->{t}}{$_->{c}} = 1 foreach !%columns ? $t->sql(
        'SELECT TABLE_NAME AS t, COLUMN_NAME AS c FROM '
        . 'information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND '
        . "DATA_TYPE = 'varchar' AND CHARACTER_SET_NAME LIKE 'utf8%'") : ();

    foreach my $table (sort keys %columns) {
        my @names = sort keys %{$columns{$table}};
        return 1 if $t->value("SELECT 1 FROM $table WHERE "
            . join(' OR ', map { "$_ = BINARY ?" } @names) . ' LIMIT 1',
            ($text) x @names);
    }

    return;
}


my (%count, @rejected);

# a body with this text for one member

sub body {
    my ($data, $name, $text) = @_;
    my %others = %$data;
    delete $others{$name};
    my $rest = $json->encode(\%others) =~ s/^\{//r;
    return "{\"$name\":$text" . ($rest eq '}' ? '' : ',') . $rest;
}


sub try_field {
    my ($route, $field) = @_;

    my $name = $field->{name};
    my $who = $all->account();
    my $most = $field->{schema}{maxLength};
    my (@q, @problems, %object);

    foreach my $text (@texts) {
        # a new password ends all tokens
        $who = $all->account() if $name eq 'new_password';

        my $q = $all->sample($route->{id}, who => $who, cheap => 1, %object);

        # its owner has room for twenty
        %object = (object => $q->{object}) if $route->{id} =~ /_change$/;

        if ($field->{in} eq 'body') {
            # names of roles are unique
            my $own = $text =~ s/$mark/$mark . ++$serial/er;
            $q->{account} = $q->{data}{username} // $who->{name};
            $q->{body} = body(delete $q->{data}, $name, $own);
            $q->{own} = $own;

        } else {
            my $v = $text =~ s/^"|"$//gr;
            next if length $v > 3000;
            $q->{path} .= "?$name=" . encoded($v);
        }

        push @q, { %$q, type => 'application/json', text => $text };
    }

    my @r = $t->burst(\@q, conns => 1);

    foreach my $i (0 .. $#r) {
        my ($r, $text) = ($r[$i], $q[$i]{text});
        my $long = length(meaning($q[$i]{own} // $text) // '') > $most;
        my $at = substr($text, 0, 40) =~ s/[^ -~]/?/gr . ": $r->{status} "
            . substr $r->{body}, 0, 120;

        $count{all}++;

        if ($r->{status} >= 500 || $r->{elapsed} > 2.5 * $RushTest::SLOW) {
            push @problems, $at;

        } elsif ((!$hostile{$text} || $long) && $text ne 'null'
                 && $field->{in} eq 'body')
        {
            # a member of several lines takes line ends, others no controls
            push @problems, $at if $r->{status} !~ /^(?:400|413)$/
                && !($lines{$name} && $text =~ /\\r\\n/);

        } elsif (($r->{code} // -1) == 0) {
            $count{taken}++;
            kept($route, $name, $q[$i]{own} // $text, $r,
                 $q[$i]{account}) || push @problems, "lost: $at";

        } elsif ($hostile{$text} && !$formed{$name}
                 && $field->{in} eq 'body')
        {
            # one that takes any text has to take these
            push @problems, "not taken: $at";
        }
    }

    is(join("\n", @problems), '', "$route->{id} $name");
}


# taken: told or stored as it came

sub kept {
    my ($route, $name, $text, $r, $account) = @_;

    my $want = meaning($text);

    # of a switch that is set the first reason stays
    return 1 if !defined $want || $route->{method} eq 'GET'
        || $route->{id} =~ /_(?:parse|selling)$/;

    # to be logged in with
    return $t->login($account, $want)->{code} == 0 if $name =~ /password/;

    my $told = ref $r->{json}{data} eq 'HASH' ? $r->{json}{data}{$name}
        : undef;

    # the answer may have that member of another act
    return defined $told && !ref $told && $told eq $want || stored($want);
}


my $before = structure();

$all->admin();
$all->sale();
$t->do($_) foreach "SET GLOBAL log_output = 'TABLE'",
    'TRUNCATE mysql.general_log', 'SET GLOBAL general_log = 1';


subtest 'every member of every route' => sub {
    my $n = 0;

    is(join(' ', $all->missing()), '', 'each route has a sample');

    foreach my $route ($all->routes()) {
        foreach my $field (grep { $_->{kind} eq 'str'
                                  && $_->{in} =~ /body|query/ }
                           @{$route->{fields}})
        {
            try_field($route, $field);
            $n++;
        }
    }

    cmp_ok($n, '>=', 60, "$n members");
    cmp_ok($count{all}, '>=', 1500, "$count{all} requests");
    cmp_ok($count{taken}, '>=', 200, "$count{taken} were taken");
};


subtest 'keys of every route' => sub {
    foreach my $route (grep { grep { $_->{name} =~ /^idempotency/i }
                              @{$_->{fields}} } $all->routes())
    {
        my $q = $all->sample($route->{id}, cheap => 1);
        my @keys = ("$mark' OR 1=1 -- ", "$mark\"", "$mark\\", "$mark`",
                    "$mark\xf0\x9f\x98\x80", "$mark\t", "$mark,b",
                    $mark . 'x' x 64, "$mark %00", "<$mark>");
        my @r = $t->burst([map { { %$q, key => $_ } } @keys], conns => 1,
                          record => 0);

        is(join(' ', map { $_->{status} } @r), join(' ', (400) x @keys),
           $route->{id});
    }
};


subtest 'nothing of it was a statement' => sub {
    my $query = 'SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE ?'
        . ' AND thread_id <> CONNECTION_ID() AND command_type ';

    is($t->value("$query <> 'Execute'", "%$mark%"), 0, 'not prepared');
    cmp_ok($t->value("$query = 'Execute'", "%$mark%"), '>', 300,
           'but a parameter');
    $t->do('SET GLOBAL general_log = 0');
    is(structure(), $before, 'the schema is what it was');
    ok($t->wait_for(sub { !$t->value('SELECT COUNT(*) FROM audit_inbox') },
                    10, 'the record'), 'the record takes all of it');
    is(($t->consumer_run('--verify-audit'))[0], 0, 'and can be verified');

    is(join("\n", grep { /\[error\]/ } split /\n/, $t->log_text('nginx')), '',
       'no input is an error');

    my @lines = grep { /\Q$mark\E/ } split /\n/, $t->log_text('nginx');
    is(scalar(grep { !m{^\d{4}/} } @lines), 0, 'no line of a log was made');
};


$t->finish();
done_testing();
