#!/usr/bin/perl

# Copyright (C) Rush
#
# The record of what administrators do: an intent and an outcome of each
# write, also of one that failed or whose worker was killed; the chain, and
# what --verify-audit finds; nothing secret in it.

use warnings;
use strict;

use DBI;
use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use RushTest;
use Test::More;
use Time::HiRes qw(time);

my $t = RushTest->new(failpoints => 1,
                      nginx => { extra_http => 'user_bcrypt_cost 4;' },
                      allow => [qr/worker process \d+ exited on signal/]);
my $doc = JSON::PP->new->utf8->decode(
    RushTest::slurp("$FindBin::Bin/../docs/openapi.json"));
my $json = JSON::PP->new->canonical;      # of text, not bytes
my $now = int(time() * 1000);
my $canary = 'canary-' . int rand 1e9;

$t->insert('user', id => 900_001, username => 'root', password_hash => '',
           roles => 1, created_ms => $now, updated_ms => $now);
$t->{admin_token} = $t->token(900_001, sid => '77', role => 'admin',
                              roles => 1);


sub admin {
    my ($method, $path, $data, %o) = @_;
    my $r = $t->request($method, "/api/v1/admin$path", admin => 1,
                        ($data ? (data => $data) : ()), %o);
    return wantarray ? ($r->{code}, $r->{json}{data}, $r) : $r->{code};
}


# both rows of the act of a request, when they are in the chain

sub act {
    my ($r, $want) = @_;
    my @rows;

    $t->wait_for(sub {
        @rows = $t->sql('SELECT * FROM audit_log WHERE trace_id = ? '
                        . 'ORDER BY seq', $r->{json}{trace_id});
        return @rows >= ($want // 2);
    }, 5, 'the act in the chain');

    return @rows;
}


sub settled {
    return $t->wait_for(sub {
        !$t->value('SELECT COUNT(*) FROM audit_inbox') }, 5, 'the inbox');
}


sub verify { return $t->consumer_run('--verify-audit') }


subtest 'an empty chain' => sub {
    my ($rc, $out) = verify();
    is($rc, 0, 'is whole') or diag($out);
    like($out, qr/^audit: 0 rows are whole, the last one is 0{64}$/m, 'said');
};


subtest 'intent and outcome' => sub {
    my ($code, $data, $r) = admin('POST', '/users', {
        username => 'anna', mobile => '13812345678',
        email => 'anna.secret@example.com', nickname => "Q\"\x{e9}\\",
        password => "$canary-pw" }, headers => { 'User-Agent' => 'x' });

    is($code, 0, 'a user');
    my @rows = act($r);
    is(scalar @rows, 2, 'two rows');

    my ($i, $o) = @rows;
    is("$i->{kind} $o->{kind}", '0 1', 'intent, outcome');
    is($i->{act}, $o->{act}, 'of one act');
    is("$i->{user_id} $i->{session_id} $i->{roles}", '900001 77 1', 'who');
    is($i->{route}, 'user_admin_create', 'route');
    is($i->{address}, '127.0.0.1', 'address');
    is($o->{code}, 0, 'success');
    is("$i->{object}:$o->{object}", ":$data->{id}", 'what was made');
    is_deeply($json->decode($i->{fields}), {
        username => 'anna', mobile => '***', email => '***',
        nickname => "Q\"\x{e9}\\" }, 'what was given');
    cmp_ok(abs($i->{created_ms} - time() * 1000), '<', 10_000, 'when');
    is($o->{fields}, '{}', 'not twice');

    # an act that is refused
    ($code, $data, $r) = admin('PUT', '/users/5/status',
        { status => 'banned', reason => 'x', until => '2099-01-01T00:00:00Z',
          more => $canary });
    @rows = act($r);
    is("$code " . join(' ', map { "$_->{kind} $_->{code} $_->{object}" }
                       @rows), '4 0 0 5 1 4 5', 'refused');
    is_deeply($json->decode($rows[0]{fields}), { id => '5', reason => 'x',
        status => 'banned', until => '2099-01-01T00:00:00.000Z' },
        'only fields');

    # an array, a bool, money
    (undef, undef, $r) = admin('POST', '/roles', { name => 'r1',
        permissions => ['orders_read', 'users_read'] });
    is_deeply($json->decode((act($r))[0]{fields}), { name => 'r1',
        permissions => ['orders_read', 'users_read'] }, 'an array');
    ($code, $data, $r) = admin('POST', '/products',
        { title => 'Cup', price => 500, stock => 3 });
    @rows = act($r);
    is_deeply($json->decode($rows[0]{fields}), { title => 'Cup',
        price => 500, stock => 3 }, 'numbers');
    is($rows[1]{object}, $data->{id}, 'a product');
};


# each route that writes leaves two rows, whatever comes of it

subtest 'every write' => sub {
    my $n = 0;

    foreach my $path (sort keys %{$doc->{paths}}) {
        foreach my $method (sort keys %{$doc->{paths}{$path}}) {
            my $op = $doc->{paths}{$path}{$method};
            next if !$op->{'x-permission'};

            (my $real = $path) =~ s/\{\w+\}/999999999/g;

            my %data = (ids => [1], name => 'x', permissions => [],
                reason => 'x', roles => [], mobile => '13600000077',
                product_id => '999999999', title => 'x', price => 1,
                start_at => $now, end_at => $now + 1_000_000, total => 1,
                ($path =~ /activities/ ? (delta => 1) : (stock => 1)),
                ($path =~ /status/ ? (status => 'banned') : ()),
                mode => 'report', day => 20260301, provider => 'sandbox',
                trade_code => 'ABCDEFGH', carrier => 'SF', number => 'S1',
                ($path =~ /orders/ ? (status => 'done', version => 1) : ()));
            my $r = $t->request(uc $method, $real, admin => 1,
                                data => \%data);
            my $id = $op->{operationId};

            if ($method eq 'get') {
                is($t->value('SELECT COUNT(*) FROM audit_inbox WHERE '
                    . 'trace_id = ?', $r->{json}{trace_id}), 0, "$id: none");
                next;
            }

            my @rows = act($r);
            $n++;
            is(join(' ', map { "$_->{route} $_->{kind} $_->{code}" } @rows),
               "$id 0 0 $id 1 $r->{code}", "$id: $r->{code}");
        }
    }

    cmp_ok($n, '>=', 24, "$n routes");

    # one of them has stopped all sales
    is(scalar admin('POST', '/system/resume-selling', { reason => 'x' }), 0,
       'selling again');
};


subtest 'what is no act' => sub {
    settled();
    my $before = $t->value('SELECT COUNT(*) FROM audit_log');
    my $path = '/api/v1/admin/roles';
    my %role = (name => 'x', permissions => []);

    is($t->post($path, \%role)->{status}, 401, 'nobody');
    is($t->post($path, \%role, user => 5)->{status}, 403, 'no permission');
    is($t->post($path, {}, admin => 1)->{status}, 400, 'malformed');
    is($t->get($path, admin => 1)->{status}, 200, 'a read');
    settled();
    is($t->value('SELECT COUNT(*) FROM audit_log'), $before, 'no row');
};


$t->insert('user', id => 900_002, username => 'otto', password_hash => '',
           created_ms => $now, updated_ms => $now);


subtest 'workers that are killed' => sub {
    RushTest::Mode::needs_master();
    my $at = sub {
        my ($point, $want, $what) = @_;
        my $trace = sprintf '%032x', int rand 2**40;
        my $reason = "killed at $point";

        $t->failpoint($point, 'kill', 1);
        my ($bytes) = $t->bytes_of({ method => 'PUT', admin => 1,
            path => '/api/v1/admin/users/900002/status',
            data => { status => 'banned', reason => $reason },
            headers => { traceparent => "00-$trace-0000000000000001-01" } });
        is($t->raw($bytes, idle => 5), '', "$what: no answer");
        $t->failpoint($point, 'off');
        ok($t->wait_for(sub { $t->get('/ready')->{status} == 200 }, 10,
                        'a new worker'), 'a new one');
        settled();

        my @rows = $t->sql('SELECT * FROM audit_log WHERE trace_id = ?',
                           $trace);
        is(join(' ', map { $_->{kind} } @rows), $want, $what);
        like($rows[0]{fields}, qr/$reason/, 'told before it was done');
        return $t->value('SELECT COUNT(*) FROM user WHERE ban_reason = ?',
                         $reason);
    };

    is($at->('W10', '0', 'before the first step'), 0, 'not done');
    is($at->('W9', '0', 'before the outcome'), 1, 'done');
};


subtest 'a consumer that is killed' => sub {
    $t->failpoint('C9', 'kill', 1);
    my (undef, undef, $r) = admin('POST', '/users/900002/revoke');
    ok($t->wait_for(sub { !$t->running('consumer') }, 5, 'its death'),
       'killed before COMMIT');
    $t->failpoint('C9', 'off');
    $t->start('consumer');
    is(scalar(act($r)), 2, 'nothing is lost');
    is($t->value('SELECT COUNT(*) FROM audit_log WHERE trace_id = ?',
                 $r->{json}{trace_id}), 2, 'nothing is there twice');
};


subtest 'many at once' => sub {
    my @r = $t->burst([map { { method => 'POST', admin => 1,
        path => '/api/v1/admin/users/900002/revoke' } } 1 .. 200],
        conns => 16);
    is(scalar(grep { $_->{status} !~ /^(?:200|409|503)$/ } @r), 0, 'answers');
    settled();

    my %acts = map { $_->{json}{trace_id} => $_->{code} }
        grep { $_->{code} != 3 } @r;
    my %told = map { $_->{trace_id} => $_->{code} }
        $t->sql('SELECT trace_id, code FROM audit_log WHERE kind = 1');
    is(join(' ', grep { !defined $told{$_} || $told{$_} != $acts{$_} }
            keys %acts), '', 'each outcome as it was answered');
    is($t->value('SELECT COUNT(*) FROM audit_log'),
       $t->value('SELECT MAX(seq) FROM audit_log'), 'no gap');
};


# by other code than the consumer's

sub chain {
    my $prev = '0' x 64;
    my $n = 0;

    foreach my $row ($t->sql('SELECT * FROM audit_log ORDER BY seq')) {
        my $text = '';

        foreach my $v (@$row{qw(seq)}, $prev, @$row{qw(act kind user_id
            session_id roles route object fields address trace_id code
            created_ms)})
        {
            my $bytes = "$v";
            utf8::encode($bytes) if utf8::is_utf8($bytes);
            $text .= length($bytes) . ":$bytes,";
        }

        return "row $row->{seq}" if $row->{prev_hash} ne $prev
            || $row->{hash} ne sha256_hex($text);
        $prev = $row->{hash};
        $n++;
    }

    return $n > 100 ? '' : "$n rows only";
}


subtest 'the chain' => sub {
    settled();
    is(chain(), '', 'as documented');

    my ($rc, $out) = verify();
    my $n = $t->value('SELECT COUNT(*) FROM audit_log');
    is($rc, 0, 'whole') or diag($out);
    like($out, qr/^audit: $n rows are whole, the last one is [0-9a-f]{64}$/m,
         'said');

    # while rows come
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $t->burst([map { { method => 'POST', admin => 1,
            path => '/api/v1/admin/users/900002/revoke' } } 1 .. 100],
            conns => 4, record => 0);
        require POSIX;
        POSIX::_exit(0);
    }
    is(join(' ', map { (verify())[0] } 1 .. 5), '0 0 0 0 0', 'while it grows');
    waitpid $pid, 0;
    settled();
};


sub as_daemon {
    return DBI->connect("DBI:MariaDB:rush;mariadb_socket=$t->{dir}/mysql.sock",
        'rush', $t->{password}{mysql}, { PrintError => 0, RaiseError => 1 });
}


subtest 'rows stay' => sub {
    my $dbh = as_daemon();

    foreach my $sql ('UPDATE audit_log SET code = 0 WHERE seq = 2',
                     'UPDATE audit_log SET hash = hash',
                     'DELETE FROM audit_log WHERE seq = 2',
                     'DELETE FROM audit_log', 'TRUNCATE audit_log',
                     'REPLACE INTO audit_log SELECT * FROM audit_log '
                     . 'WHERE seq = 2', 'DROP TRIGGER audit_log_no_update',
                     'DROP TABLE audit_log')
    {
        ok(!eval { $dbh->do($sql); 1 }, "refused: $sql");
    }

    my ($rc) = verify();
    is($rc, 0, 'whole');
};


# what somebody does who may do everything in MySQL

subtest 'what is found' => sub {
    my $last = $t->value('SELECT MAX(seq) FROM audit_log');

    $t->stop('consumer');
    $t->do("DROP TRIGGER audit_log_no_$_") foreach qw(update delete);
    $t->do('CREATE TABLE keep_log AS SELECT * FROM audit_log');
    $t->do('CREATE TABLE keep_head AS SELECT * FROM audit_head');

    my $broken = sub {
        my ($what, $row, @sql) = @_;

        $t->do($_) foreach @sql;
        my ($rc, $out) = verify();
        is($rc, 1, "$what: found");
        like($out, qr/^audit: row $row: /m, "$what: row $row");

        foreach my $table (qw(log head)) {
            $t->do("DELETE FROM audit_$table");
            $t->do("INSERT INTO audit_$table SELECT * FROM keep_$table");
        }
    };

    foreach my $set ('act = act + 1', 'kind = 1 - kind', 'user_id = 5',
                     'session_id = 5', 'roles = 3', 'route = "x"',
                     'object = "6"', 'fields = "{}"', 'address = "::1"',
                     'trace_id = REVERSE(trace_id)', 'code = 9',
                     'created_ms = created_ms - 1',
                     'hash = REVERSE(hash)', 'prev_hash = REVERSE(hash)',
                     'route = CONCAT(route, object), object = ""')
    {
        $broken->("changed $set", 3,
                  "UPDATE audit_log SET $set WHERE seq = 3");
    }

    $broken->('removed', 4, 'DELETE FROM audit_log WHERE seq = 4');
    $broken->('the first', 1, 'DELETE FROM audit_log WHERE seq = 1');
    $broken->('the last', $last, "DELETE FROM audit_log WHERE seq = $last");
    $broken->('all', 1, 'DELETE FROM audit_log');
    $broken->('removed, others moved up', 4,
              'DELETE FROM audit_log WHERE seq = 4',
              'UPDATE audit_log SET seq = seq - 1 WHERE seq > 4 '
              . 'ORDER BY seq');
    $broken->('swapped', 5, 'UPDATE audit_log SET seq = -1 WHERE seq = 5',
              'UPDATE audit_log SET seq = 5 WHERE seq = 6',
              'UPDATE audit_log SET seq = 6 WHERE seq = -1');
    my $cols = 'act, kind, user_id, session_id, roles, route, object, fields,'
        . ' address, trace_id, code, created_ms';
    $broken->('added', $last + 1, 'INSERT INTO audit_log (seq, ' . $cols
        . ', prev_hash, hash) SELECT ' . ($last + 1) . ", $cols, hash, hash "
        . "FROM audit_log WHERE seq = $last");
    $broken->('before the first', 1, 'INSERT INTO audit_log (seq, ' . $cols
        . ", prev_hash, hash) SELECT 0, $cols, hash, hash FROM audit_log "
        . 'WHERE seq = 1', 'UPDATE audit_log SET seq = seq + 1 WHERE seq >= 0 '
        . 'ORDER BY seq DESC');
    $broken->('another head', $last,
              'UPDATE audit_head SET hash = REVERSE(hash)');
    $broken->('no head', 0, 'DELETE FROM audit_head');

    my ($rc, $out) = verify();
    is($rc, 0, 'whole again') or diag($out);

    $t->stop('mysql');
    is((verify())[0], 2, 'without MySQL nothing is known');
    $t->start('mysql');
    $t->start('consumer');

    # else a worker finds its connections gone when it uses them
    $t->restart('nginx');
    $t->wait_ready();
};


subtest 'reading it' => sub {
    my ($code, $data, $r) = admin('GET', '/audit?page_size=3');
    my @list = @{$data->{list}};

    is("$code " . scalar @list, '0 3', 'a page');
    cmp_ok($list[0]{id}, '>', $list[1]{id}, 'newest first');
    is($data->{next_last_id}, $list[2]{id}, 'where the next begins');
    (undef, $data) = admin('GET', "/audit?page_size=3&last_id=$list[2]{id}");
    is($data->{list}[0]{id}, $list[2]{id} - 1, 'the next page');

    my ($row) = grep { $_->{kind} eq 'outcome' } @list;
    (undef, $data) = admin('GET', "/audit?act=$row->{act}");
    is(join(' ', map { $_->{kind} } @{$data->{list}}), 'outcome intent',
       'an act');
    is($data->{list}[1]{code}, undef, 'an intent has no code');
    is("@{$data->{list}[1]{roles}}", '1', 'roles');

    (undef, $data) = admin('GET', '/audit?route=user_admin_create');
    ok(@{$data->{list}} && !grep({ $_->{route} ne 'user_admin_create' }
                                 @{$data->{list}}), 'of a route');
    (undef, $data) = admin('GET', '/audit?object=5');
    is_deeply([map { $_->{fields}{reason} // '-' } @{$data->{list}}],
              ['-', 'x'], 'of an object');
    (undef, $data) = admin('GET', '/audit?user_id=5');
    is(scalar @{$data->{list}}, 0, 'of another');
    (undef, $data) = admin('GET', '/audit?user_id=900001&page_size=100');
    is(scalar @{$data->{list}}, 100, 'of root');
    (undef, $data) = admin('GET', "/audit?to=$now");
    is(scalar @{$data->{list}}, 0, 'before');
    (undef, $data) = admin('GET', '/audit?from=' . ($now + 3600_000));
    is(scalar @{$data->{list}}, 0, 'after');
    is(admin('GET', '/audit?page_size=101'), 2, 'too many');
    is(admin('GET', '/audit?last_id=x'), 2, 'no id');
};


subtest 'nothing secret' => sub {
    my @found;

    foreach my $table (qw(audit_log audit_inbox)) {
        foreach my $row ($t->sql("SELECT * FROM $table")) {
            my $text = join ' ', map { $_ // '' } values %$row;
            push @found, $row->{seq} // $row->{id}
                if $text =~ /$canary|13812345678|anna\.secret|eyJ/;
        }
    }

    is("@found", '', 'in the record');
    unlike($t->log_text('nginx') . $t->log_text('consumer'), qr/$canary/,
           'in the logs');
};


subtest 'an outcome that cannot be written' => sub {
    $t->insert('user', id => 900_003, username => 'paul', password_hash => '',
               created_ms => $now, updated_ms => $now);

    # the intent is in, the act too, then MySQL goes
    $t->failpoint('W9', 'sleep', 1);
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my $r = $t->post('/api/v1/admin/users/900003/revoke', {}, admin => 1,
                         fresh => 1, record => 0);
        require POSIX;
        POSIX::_exit($r->{code} // 99);
    }
    $t->wait_for(sub { $t->failpoint_hits('W9') }, 5, 'the end of the act');
    $t->kill('mysql');
    $t->failpoint('W9', 'off');
    waitpid $pid, 0;
    is($? >> 8, 0, 'it is done, and answered so');
    $t->start('mysql');
    like($t->get('/metrics')->{body}, qr/^rush_audit_lost_total 1$/m,
         'counted');
};


$t->finish();
done_testing();
