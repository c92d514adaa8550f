package Api::Ops;

# Copyright (C) Rush
#
# The model of what operators do: the red switch, streams, dead letters, and
# bills of providers.  Each function is named after the operation it judges
# and returns (what is wrong, what follows).
#
#   switch   { on, reason, at }; node: [{ at, on }] what the node may go by;
#            heard: until then Redis may go by another word
#   letters  [{ id, stream, entry, cause, good, order, may => { states } }]:
#            written by begin() as the consumer does
#   days     [YYYYMMDD]: days of this run's own; what providers have of them
#            is in "theirs", { number, amount }; bills: "day provider" => seen

use warnings;
use strict;

use Api::Client qw(now);
use JSON::PP ();
use List::Util qw(max sum0);
use POSIX qw(strftime);
use RushTest::Pay;
use RushTest::Provider;

BEGIN { *want = \&Api::Model::want; *field = \&Api::Model::field;
        *told = \&Api::Model::told; *views = \&Api::Catalog::views }

my $CHINA = 28800;
my $FIRST = 1577836800; # 2020-01-01
my %BILLS = map { $_ => 1 } qw(wechat alipay sandbox);


# --- the world of a run ---

sub begin {
    my ($t, $m, $serial) = @_;

    my ($s) = $t->sql("SELECT * FROM switch WHERE name = 'selling'");

    $m->{switch} = { on => 1, reason => $s->{reason},
                     at => stamp($s->{changed_ms}) };
    $m->{node} = [{ at => 0, on => 1 }];
    $m->{heard} = 0;
    $m->{bills} = {};

    letters($t, $m, $serial);

    # two days, and on the first one something that we know nothing of
    foreach my $n (0, 1) {
        my $at = $FIRST + 86400 * ($serial / 5 % 2000 + $n) - $CHINA + 3600;
        my $day = strftime('%Y%m%d', gmtime $at + $CHINA);

        push @{$m->{days}}, $day;
        $m->{theirs}{$day} = [];
        next if $n;

        foreach my $i (1 .. $serial / 10 % 3) {
            my $number = 9_000_000_000_000_000 + $serial * 10 + $i;

            push @{$m->{theirs}{$day}}, { number => $number,
                                          amount => 100 * $i };
            $t->insert('sandbox_trade', payment_id => $number, state => 1,
                       amount => 100 * $i, paid_ms => $at * 1000,
                       created_ms => $at * 1000);
            RushTest::Provider::bill_row($t, no => "$number", paid => $at,
                id => "T$number", total => 100 * $i, provider => $_)
                foreach qw(wechat alipay);
        }
    }
}


sub letters {
    my ($t, $m, $serial) = @_;

    my $now = now();
    my $no = RushTest::Pay::number(0);
    my $uid = $m->{slots}[-1]{uid} + 1;     # who asks for nothing
    my $good = $m->{goods}[0];
    my $gone = 900_000_000 + $serial;
    my $json = JSON::PP->new->canonical;

    foreach my $l (
        [$gone, qr/^there is no activity $gone$/, e => 1],
        [-1, undef, o => $no, r => $no, m => 'ring', u => $uid,
         p => $good->{id}, q => 1, a => 0, t => $now],
        [-1, qr/^malformed order$/, e => 'x'])
    {
        my ($activity, $cause, @fields) = @$l;
        my $entry = "$now-" . @{$m->{letters} || []};
        my $id = $t->insert('dead_letter', activity_id => $activity,
            stream_id => $entry, part => -1, cause => 'a test',
            created_ms => $now, body => $json->encode({ id => $entry,
                fields => [map { "$_" } @fields] }));

        push @{$m->{letters}}, {
            id => $id, entry => $entry, cause => $cause,
            stream => $activity < 0 ? '{rush}order' : "{a:$activity}s",
            may => { open => 1 }, good => !$cause,
            order => { no => $no, uid => $uid, aid => 0, qty => 1, key => $no,
                       prices => [$good->{price}], good => $good->{id},
                       seen => 1 },
        };
    }
}


# the next run finds it as this one did

sub end {
    my ($t, $m) = @_;

    return if !$t->value("SELECT is_on = 0 FROM switch WHERE name = "
                         . "'selling'");

    $t->post('/api/v1/admin/system/resume-selling', {}, admin => 1);
    $t->wait_ready();
}


# --- the red switch ---

# (may it be on, may it be off) for this call

sub sells {
    my ($m, $c) = @_;

    my @all = views($m->{node}, $c);

    return (scalar(grep { $_->{on} } @all), scalar grep { !$_->{on} } @all);
}


# Redis, and what reads it, may not have heard of the last change

sub heard { return $_[1]{t0} > $_[0]{heard} }


sub switched {
    my ($m, $c, $on) = @_;

    my $s = $m->{switch};
    my $new = ($s->{on} ? 1 : 0) != $on;
    my $reason = $new ? $c->{v}{reason} // '' : $s->{reason};

    my $told = $c->{data}{changed_at};

    # The answer is read later: others may have switched it since.  What came
    # of all of them, one more call will tell: Run.pm
    return (want($c, 'OK') || $c->{n} == 1
            && field($c, selling => $on, reason => $reason, changed_at =>
                     $new && is_now($c, $told) ? $told : $s->{at})
            || undef, sub {
        return if !$new;
        $m->{switch} = { on => $on, reason => $reason,
                         at => $told };
        $m->{heard} = $c->{t1} + $Api::Model::LAG;
        $m->{node} = [] if $c->{n} == 1;
        push @{$m->{node}}, { at => $c->{t1}, on => $on };
    });
}


sub stamp {
    my ($ms) = @_;
    return $ms ? strftime('%Y-%m-%dT%H:%M:%S', gmtime $ms / 1000)
        . sprintf('.%03dZ', $ms % 1000) : undef;
}


sub is_now {
    my ($c, $at) = @_;
    return ($at // '') ge stamp($c->{t0} - 1000)
        && $at le stamp($c->{t1} + 1000);
}


sub seckill_stop_selling { return switched(@_, 0) }
sub seckill_resume_selling { return switched(@_, 1) }


# what refuses while it is off; else what the other judge says

sub while_sold {
    my ($m, $c, $judge) = @_;

    my ($on, $off) = sells($m, $c);

    return want($c, 'CLOSED') if !$on;
    return undef if $off && told($c) eq 'CLOSED';
    return $judge->();
}


# --- streams ---

sub seckill_streams {
    my ($m, $c) = @_;

    my $wrong = want($c, 'OK');
    return $wrong if $wrong;

    my ($last, $size) = ($c->{v}{last_id}, $c->{v}{page_size} // 20);
    my @rows = @{$c->{data}{list}};
    my @sales = grep { defined $_->{activity_id} } @rows;
    my @ids = map { $_->{activity_id} } @sales;

    return 'streams of all behind the first page'
        if $last && @sales != @rows;
    return 'no stream of notices'
        if !$last && !grep { $_->{stream} eq '{rush}pay' } @rows;
    return scalar @ids . " streams in a page of $size" if @ids > $size;
    return "out of order: @ids"
        if grep { $ids[$_] <= ($_ ? $ids[$_ - 1] : $last // 0) } 0 .. $#ids;

    return if $c->{n} > 1;

    my %row = map { $_->{activity_id} => $_ } @sales;
    my $end = defined $c->{data}{next_last_id} ? max(0, @ids) : 9e15;

    foreach my $a (values %{$m->{activities}}) {
        my $wrong = stream_of($c, $a, $row{$a->{id}},
                              $a->{id} > ($last // 0) && $a->{id} <= $end);
        return "stream of $a->{id}: $wrong" if $wrong;
    }

    return;
}


# nothing waits in that of a sale where nothing is under way

sub stream_of {
    my ($c, $a, $row, $here) = @_;

    my @views = views($a->{views}, $c);
    my $now = $views[-1];

    return if !$here || !$a->{quiet} || !$a->{warm} || @views > 1
        || $now->{status} !~ /^[12]$/ || $now->{stop} < $c->{t1} + 1000;
    return 'is missing' if !$row;

    my ($g) = grep { $_->{name} eq 'rush' } @{$row->{groups}};

    return "is $row->{stream}" if $row->{stream} ne "{a:$a->{id}}s";
    return 'has no group' if !$g;
    return "pending $g->{pending}, lag " . ($g->{lag} // 'null')
        . ', the model has none' if $g->{pending} || ($g->{lag} // 1);
    return;
}


# --- dead letters ---

sub letter {
    my ($m, $id) = @_;
    return (grep { $_->{id} eq $id } @{$m->{letters}})[0];
}


sub seckill_dead_letters {
    my ($m, $c) = @_;

    my $state = $c->{v}{state} // 'open';

    return want($c, 'BAD_REQUEST')
        if $state !~ /^(?:open|replaying|replayed|discarded)$/;

    my $wrong = want($c, 'OK');
    my $last = $c->{v}{last_id} // 0;
    my $size = $c->{v}{page_size} // 20;

    return $wrong if $wrong;

    my @rows = @{$c->{data}{list}};
    my %row = map { $_->{id} => $_ } @rows;

    return 'a letter of another state'
        if grep { $_->{state} ne $state || $_->{id} <= $last } @rows;
    return scalar @rows . " letters in a page of $size" if @rows > $size;
    return if $c->{n} > 1;

    my $end = @rows == $size ? $rows[-1]{id} : 9e15;

    foreach my $l (grep { $_->{id} > $last && $_->{id} <= $end }
                   @{$m->{letters}})
    {
        my $is = $row{$l->{id}};

        return "letter $l->{id} is $state, the model has "
            . join ' or ', sort keys %{$l->{may}} if $is && !$l->{may}{$state};
        return "letter $l->{id} is missing"
            if !$is && $l->{may}{$state} && keys %{$l->{may}} == 1;
        next if !$is;
        return "letter $l->{id} is of $is->{stream} $is->{entry}"
            if "$is->{stream} $is->{entry} $is->{part}"
               ne "$l->{stream} $l->{entry} -1";
        return "letter $l->{id} for \"$is->{cause}\""
            if $is->{cause} ne 'a test' && $is->{cause} !~ $l->{cause};
    }

    return;
}


sub closes {
    my ($m, $c, $to, @same) = @_;

    my $l = letter($m, $c->{v}{id}) or return want($c, 'NOT_FOUND');
    my %may = %{$l->{may}};
    my @ok = grep { $may{$_} } 'open', @same;
    my $wrong = want($c, @ok ? 'OK' : (), keys %may > @ok ? 'CONFLICT' : ())
        || told($c) eq 'OK' && field($c, id => $l->{id}, state => [
            (grep { $may{$_} } @same), $may{open} ? $to : ()]);

    return ($wrong || undef, sub {
        return if told($c) ne 'OK';
        $l->{may} = { $c->{data}{state} => 1 };
        goes_on($m, $c, $l) if $c->{data}{state} eq 'replaying';
    });
}


# the controller will have stored it, or will open it again

sub goes_on {
    my ($m, $c, $l) = @_;

    $l->{may}{$l->{good} ? 'replayed' : 'open'} = 1;

    return if !$l->{good} || $l->{stored}++;

    push @{$m->{orders}}, { %{$l->{order}}, at => $c->{t1} };
}


sub seckill_dead_replay { return closes(@_, 'replaying',
                                        qw(replaying replayed)) }
sub seckill_dead_discard { return closes(@_, 'discarded', 'discarded') }


# --- bills ---

sub bill {
    my ($m, $c) = @_;

    my ($day, $of) = @{$c->{v}}{qw(day provider)};
    my $bill = $m->{bills}{"$day $of"};
    my @theirs = @{$m->{theirs}{$day}};
    my $sum = sum0(map { $_->{amount} } @theirs);
    my $d = $c->{data};
    my %done = (trades => scalar @theirs, paid => $sum, refunds => 0,
                refunded => 0, diffs => scalar @theirs, cause => '');
    my $sure = $bill && $bill->{done} && $c->{r} eq 'seckill_bill';

    my $wrong = field($c, day => $day, provider => $of,
                      state_text => ['done', $sure ? () : 'asked']);
    return $wrong if $wrong;

    # what was found before stays until it is found once more
    return undef if $d->{state_text} ne 'done' && !($bill && $bill->{ever});

    # the differences are read after the sums, and may be newer or older
    my @told = map { "$_->{kind} $_->{number} $_->{ours} $_->{theirs}" }
        @{$d->{differences}};
    my $want = join ', ', sort map { "pay_missing $_->{number} -1 "
                                     . $_->{amount} } @theirs;

    $wrong = field($c, $d->{state_text} eq 'done' ? %done : ());
    return $wrong if $wrong || $c->{v}{last_id};

    return 'differences: ' . join(', ', @told) . "; the model has $want"
        if join(', ', sort @told) ne $want;
    return undef;
}


sub seckill_bill_ask {
    my ($m, $c) = @_;

    my ($day, $of) = @{$c->{v}}{qw(day provider)};

    return want($c, 'BAD_REQUEST') if !$BILLS{$of} || !$m->{theirs}{$day};

    return (want($c, 'OK') || bill($m, $c), sub {
        my $b = $m->{bills}{"$day $of"} //= {};
        $b->{done} = $c->{data}{state_text} eq 'done';
        $b->{ever} ||= $b->{done};
    });
}


sub seckill_bill {
    my ($m, $c) = @_;

    my ($day, $of) = @{$c->{v}}{qw(day provider)};

    return want($c, 'BAD_REQUEST') if !$BILLS{$of};
    return want($c, 'NOT_FOUND') if !$m->{bills}{"$day $of"};

    return (want($c, 'OK') || bill($m, $c), sub {
        my $b = $m->{bills}{"$day $of"};
        $b->{ever} = $b->{done} = 1 if $c->{data}{state_text} eq 'done';
    });
}


# --- at rest ---

# what still moves

sub moving {
    my ($t, $m) = @_;

    my $days = join ', ', @{$m->{days}};
    my $ids = join ', ', map { $_->{id} } @{$m->{letters}};

    return 'bills' if $t->value('SELECT COUNT(*) FROM bill WHERE state = 0 '
                                . "AND day IN ($days)");
    return 'dead letters' if $t->value('SELECT COUNT(*) FROM dead_letter '
                                       . "WHERE state = 3 AND id IN ($ids)");
    return '';
}


# has Redis heard of the switch?

sub is_told {
    my ($m, $row, $meta) = @_;

    return 1 if $row->{status} !~ /^[12]$/ || !defined $meta->{state};
    return $meta->{state} eq (!$m->{switch}{on} ? 'off'
                              : $row->{status} == 1 ? 'on' : 'paused');
}


sub settle {
    my ($t, $m) = @_;

    my ($s) = $t->sql("SELECT * FROM switch WHERE name = 'selling'");
    my $on = $m->{switch}{on} ? 1 : 0;

    return "the switch is at $s->{is_on}, the model has $on"
        if $s->{is_on} != $on;
    return "it was switched for \"$s->{reason}\", the model has "
        . "\"$m->{switch}{reason}\"" if $s->{reason} ne $m->{switch}{reason};

    $m->{heard} = 0;
    $m->{node} = [{ at => 0, on => $on }];

    return letters_settle($t, $m) || bills_settle($t, $m);
}


sub letters_settle {
    my ($t, $m) = @_;

    my @states = qw(open replayed discarded replaying);

    foreach my $l (@{$m->{letters}}) {
        my $is = $states[$t->value('SELECT state FROM dead_letter '
                                   . 'WHERE id = ?', $l->{id})];

        delete $l->{may}{replaying};
        return "letter $l->{id} is $is, the model has "
            . join ' or ', sort keys %{$l->{may}}
            if !$l->{may}{$is} || keys %{$l->{may}} > 1;
    }

    return;
}


sub bills_settle {
    my ($t, $m) = @_;

    my %have = map { ("$_->{day} $RushTest::Pay::PROVIDERS[$_->{provider}]"
                      => $_) }
        $t->sql('SELECT * FROM bill WHERE day IN ('
                . join(', ', @{$m->{days}}) . ')');

    foreach my $key (sort keys %{$m->{bills}}) {
        my $row = delete $have{$key} or return "bill $key has no row";

        return "bill $key is in state $row->{state}" if $row->{state} != 1;
        $m->{bills}{$key} = { done => 1, ever => 1 };
    }

    return %have ? 'bills that nobody asked for: '
        . join ', ', sort keys %have : undef;
}


1;
