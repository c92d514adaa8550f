package Api::Run;

# Copyright (C) Rush
#
# The program: worlds, seeds, reports.

use warnings;
use strict;

use Api::Client qw(request_of resolve show now);
use Api::Gen qw(sequence);
use Api::Judge qw(settle take);
use Api::Lie qw(lies tell);
use Api::Model;
use Api::Shrink qw(shrink);
use File::Path qw(make_path);
use Getopt::Long;
use JSON::PP ();
use RushTest;
use RushTest::Provider;
use RushTest::Teller;
use Test::More ();
use Time::HiRes qw(time);

my $WORLD = 150;        # runs in one world: a node has room for so many sales
my $TRIES = 120;        # of a shrink

my $HELP = <<'EOH';
t/api/run: random calls against a reference model of the API

  --seeds N     so many sequences (20), from --first S (1)
  --seed S      this one
  --length L    operations of a sequence (100)
  --clients K   1: one after another; 2 to 8: so many at the same time; an
                answer is right when some order of them explains it; 0: 1 to
                6, as the seed says (1)
  --tail N      prints so many operations before a failure (12)
  --shrink      makes a sequence that fails as short as it can
  --replay F    runs the operations of a file that a failure has left
  --selftest [NAME]  puts a liar before the server, one for each planted lie:
                each must be found, and is shrunk; prints a table
  --lies        names them

A sequence that fails is printed as steps and kept in $RUSH_BUILD/api/.
EOH

my ($t, $runs, $serial);
my %calls;


sub main {
    my (@args) = @_;

    my %o = (seeds => 20, first => 1, length => 100, clients => 1,
             tail => 12);

    local @ARGV = @args;
    GetOptions(\%o, 'seeds=i', 'first=i', 'seed=i', 'length=i', 'clients=i',
               'shrink', 'replay=s', 'selftest:s', 'lies', 'tail=i', 'help')
        && !@ARGV or do { print STDERR $HELP; return 2 };

    $o{clients} >= 0 && $o{clients} <= 8
        or do { print STDERR "--clients: 0 to 8\n"; return 2 };

    print($HELP), return 0 if $o{help};

    if ($o{lies}) {
        my %lies = lies();
        print "$_\n" foreach sort keys %lies;
        return 0;
    }

    @o{qw(first seeds)} = ($o{seed}, 1) if defined $o{seed};
    $| = 1;
    Test::More->builder->output(\my $tap);

    my $failed = defined $o{selftest} ? selftest(\%o)
        : defined $o{replay} ? replay(\%o) : seeds(\%o);

    $failed++ if !end_world();
    Test::More::done_testing();

    return $failed ? 1 : 0;
}


# --- worlds ---

sub world {
    return if $t && $runs < $WORLD;

    end_world() or die "the world did not end well\n" if $t;

    my $port = RushTest::Backend::free_port();
    my $channels = join ' ', sort keys %Api::Notice::CHANNEL;

    # hashes of passwords as cheap as can be, money that moves at once
    $t = RushTest->new(start => 0, nginx => {
        apis => 'rush_api; user_api; seckill_api; user_bcrypt_cost 4;',
        extra_http => "seckill_pay_channels $channels; "
            . 'seckill_redeem_limit 0; client_body_buffer_size 64k; '
            . RushTest::Provider::conf(),
    }, consumer_conf => {
        %{RushTest::Teller::conf(port => $port, wechat => 'key')},
        cashier => { sweep => 50 }, consumer => {}, controller => {},
        pay => { poll => 50, minute => 50, retry_min => 50,
                 retry_max => 200, bills => 0 },
    });
    RushTest::Provider::add($t, $port);
    $t->start(qw(redis mysql provider consumer nginx));
    $t->wait_ready();
    $Api::Notice::t = $t;
    $runs = 0;
}


sub end_world {
    return 1 if !$t;
    $t->finish();
    $t = undef;
    return Test::More->builder->is_passing();
}


# --- one run ---

# what is wrong (nothing: undef) after the calls that were made

sub play {
    my ($o, $lie, @ops) = @_;

    world();
    $runs++;
    $serial += 10;

    my $m = model();
    my $end = played($o, $lie, $m, @ops);

    Api::Ops::end($t, $m);
    return $end;
}


sub model {
    my $m = Api::Model->new(
        prefix => sprintf('s%06dx', $serial), first => 5_000_000 + $serial,
        token => sub { $t->token($_[0], sid => "$_[0]") },
        goods => [map { { id => $t->product(stock => $_, price => 100),
                          stock => $_, price => 100 } } 1000, 0]);

    Api::Ops::begin($t, $m, $serial);
    return $m;
}


sub played {
    my ($o, $lie, $m, @ops) = @_;

    my @log;

    while (@ops) {
        if ($ops[0]{r} eq 'settle') {
            shift @ops;
            my $wrong = settle($t, $m);
            push @log, 'settle';
            return { wrong => $wrong, r => 'settle', log => \@log } if $wrong;
            next;
        }

        my @calls;

        while (@ops && @calls < $o->{clients} && $ops[0]{r} ne 'settle') {
            push @calls, resolve($m, shift @ops);
        }

        ask($lie, @calls);
        push @log, (@calls > 1 ? '-- at the same time:' : ()),
            map { show($_) } @calls;

        my @after = map { resolve($m, $_) } observed(@calls);
        ask($lie, $_) foreach @after;
        push @log, map { show($_) } @after;

        my $end = take($m, \@after, @calls);
        return { wrong => $end->[1], r => $end->[0]{r}, log => \@log,
                 call => show($end->[0]) } if $end;
    }

    my $wrong = settle($t, $m);

    return $wrong ? { wrong => $wrong, r => 'settle',
                      log => [@log, 'settle'] } : undef;
}


# when several change one sale, a look at it tells who was the last; and when
# several turn the red switch, whoever turns it once more

sub observed {
    my (@calls) = @_;

    my %n;
    my @turns = grep { $_->{r} =~ /^seckill_(?:stop|resume)_selling$/
                       && ($_->{res}{code} // 1) == 0 } @calls;
    my @once = @turns > 1 ? { r => 'seckill_resume_selling', u => 'admin' }
        : ();

    foreach my $c (@calls) {
        $n{$c->{v}{id}}++ if $c->{admin} && defined $c->{v}{id}
            && $c->{r} =~ /^seckill_admin_(?:update|o\w+line|pause|resume)$/
            && ($c->{res}{code} // 1) == 0;
    }

    return @once, map { { r => 'seckill_admin_get', u => 'admin',
                          p => { id => $_ } } }
        grep { $n{$_} > 1 } sort keys %n;
}


sub ask {
    my ($lie, @calls) = @_;

    my @requests = map { request_of($_) } @calls;

    if ($lie->{ask}) {
        $lie->{ask}->($calls[$_], $requests[$_]) foreach 0 .. $#calls;
    }

    my $t0 = now();
    my @res = $t->burst(\@requests, conns => scalar @calls,
                        sync => @calls > 1 ? 1 : 0);
    my $t1 = now();

    foreach my $i (0 .. $#calls) {
        my $c = $calls[$i];

        @$c{qw(t0 t1 n res)} = ($t0, $t1, scalar @calls, $res[$i]);
        Api::Notice::answered($c) if $c->{notice};
        $calls{$c->{r}}{$res[$i]{code} // 'none'}++;

        my $more = $lie->{more} ? $lie->{more}->($c, $requests[$i]) : undef;
        $t->burst([$more], conns => 1) if $more;
        tell($lie, $c);
    }
}


# --- what is done with runs ---

sub seeds {
    my ($o) = @_;

    my $failed = 0;
    my $start = time();

    foreach my $seed ($o->{first} .. $o->{first} + $o->{seeds} - 1) {
        my @ops = sequence(seed => $seed, length => $o->{length});

        local $o->{clients} = $o->{clients} || 1 + $seed % 6;

        my $end = play($o, {}, @ops) or next;

        $failed++;
        report($o, "seed $seed", $end, @ops);
        shorten($o, "seed-$seed", $end, @ops) if $o->{shrink};
    }

    summary($o, $failed, time() - $start);

    return $failed;
}


sub summary {
    my ($o, $failed, $seconds) = @_;

    my ($n, %codes) = (0);

    foreach my $r (keys %calls) {
        foreach my $code (keys %{$calls{$r}}) {
            $n += $calls{$r}{$code};
            $codes{$code} += $calls{$r}{$code};
        }
    }

    printf "%d seeds, %s clients: %d failed; %d calls of %d operations, "
        . "%.0f s\n", $o->{seeds}, $o->{clients} || '1 to 6', $failed, $n,
        scalar keys %calls, $seconds;
    print '  ', join(', ', map { Api::Model::name_of($_) . " $codes{$_}" }
        sort { $codes{$b} <=> $codes{$a} } keys %codes), "\n";

    my @never = grep { /^(?:seckill|user)_/ && !$calls{$_} }
        sort keys %{Api::Client::routes()};
    print "  never called: @never\n" if @never;
}


sub replay {
    my ($o) = @_;

    my $saved = JSON::PP->new->decode(RushTest::slurp($o->{replay}));
    local $o->{clients} = $saved->{clients};
    my $end = play($o, {}, @{$saved->{ops}});

    report($o, $o->{replay}, $end, @{$saved->{ops}}) if $end;
    print "$o->{replay}: ", $end ? 'fails' : 'is well', "\n";
    shorten($o, 'replay', $end, @{$saved->{ops}}) if $end && $o->{shrink};

    return $end ? 1 : 0;
}


sub report {
    my ($o, $name, $end, @ops) = @_;

    my @log = @{$end->{log}};

    print "$name FAILED after ", scalar @log, ' of ', scalar @ops,
        " operations\n";
    shift @log while @log > $o->{tail};
    print "    $_\n" foreach @log;
    print "  $end->{call}\n" if $end->{call} && $end->{call} ne $log[-1];
    print "  => $end->{wrong}\n";
}


sub shorten {
    my ($o, $name, $end, @ops) = @_;

    my ($last, @short) = shortest($o, $end, {}, @ops);

    keep($name, $o, @short);
    print "  ", scalar @short, " operations will do:\n";
    print "    $_\n" foreach @{$last->{log}};
    print "    => $last->{wrong}\n";
}


# how it ends, and the operations; several tries for what depends on chance

sub shortest {
    my ($o, $end, $lie, @ops) = @_;

    my $repeat = $o->{clients} > 1 ? 3 : 1;
    my $last = $end;
    my $fails = sub {
        foreach (1 .. $repeat) {
            my $again = play($o, $lie, @_) or next;
            next if $again->{r} ne $end->{r};
            $last = $again;
            return 1;
        }
        return 0;
    };

    my @short = shrink($fails, $TRIES, @ops);

    return ($last, @short);
}


sub keep {
    my ($name, $o, @ops) = @_;

    my $dir = "$RushTest::BUILD/api";

    make_path($dir);
    RushTest::spew("$dir/$name.json", JSON::PP->new->canonical->encode(
        { clients => $o->{clients}, ops => \@ops }));
    print "  kept: --replay $dir/$name.json\n";
}


# every lie is found, and what shows it is short

sub selftest {
    my ($o) = @_;

    $o->{clients} ||= 1;

    my %lies = lies();
    my @names = length $o->{selftest} ? $o->{selftest} : sort keys %lies;
    my $missed = 0;

    printf "%-32s %6s  %9s\n", 'lie', 'seeds', 'shrunk to';

    foreach my $name (@names) {
        my $lie = $lies{$name} or die "no lie \"$name\"\n";
        my ($end, @ops);
        my $tries = 0;

        while (!$end && $tries < $o->{seeds}) {
            @ops = sequence(seed => $o->{first} + $tries++,
                            length => $o->{length});
            $end = play($o, $lie, @ops);
        }

        if (!$end) {
            printf "%-32s %6s  NOT FOUND\n", $name, $tries;
            $missed++;
            next;
        }

        my ($last, @short) = shortest($o, $end, $lie, @ops);

        printf "%-32s %6d  %9d  %s\n", $name, $tries, scalar @short,
            $last->{wrong};
    }

    print scalar @names, " lies, $missed not found\n";

    return $missed;
}


1;
