package RushTest::Data;

# Copyright (C) Rush
#
# Tokens, rows and what the tests look at.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use Time::HiRes qw(time);

my $json = JSON::PP->new->canonical->allow_nonref;
my $serial = 0;


sub now_ms {
    return int(time() * 1000);
}


# an access token as the core makes it; claims override, undef removes one.
# kid, alg and secret stand for themselves

sub token {
    my ($self, $user, %claims) = @_;

    my $kid = delete $claims{kid} // $self->{jwt_kid};
    my $alg = delete $claims{alg} // 'HS256';
    my $secret = delete $claims{secret} // $self->{jwt_secret};
    my $now = int time();

    my %all = (iss => 'rush', aud => 'rush', sub => "$user", sid => "$user",
               ver => 1, role => 'user', iat => $now, exp => $now + 3600,
               jti => 'test' . ++$serial, %claims);

    delete @all{grep { !defined $all{$_} } keys %all};

    my $head = { alg => $alg, kid => $kid, typ => 'at+jwt' };
    my $text = join '.', map { encode_base64url($json->encode($_), '') }
        $head, \%all;

    my $token = "$text." . encode_base64url(hmac_sha256($text, $secret), '');

    $self->note_token($token);

    return $token;
}


sub admin_token {
    my ($self, %claims) = @_;
    return $self->{admin_token} if $self->{admin_token} && !%claims;
    my $token = $self->token($claims{sub} // 1, role => 'admin', %claims);
    $self->{admin_token} = $token if !%claims;
    return $token;
}


sub register {
    my ($self, $name, $password, %o) = @_;
    return $self->post('/api/v1/user/register',
        { username => $name, password => $password, %{$o{fields} || {}} },
        %o);
}


sub login {
    my ($self, $name, $password, %o) = @_;
    return $self->post('/api/v1/user/login',
        { username => $name, password => $password }, %o);
}


sub target {
    my ($target) = @_;
    return ($target =~ /\@/ ? 'email' : 'mobile') => $target;
}


# codes of before do not count for code()

sub send_code {
    my ($self, $scene, $target, %o) = @_;

    $self->{codes}{$target} = grep { $_->{target} eq $target }
        $self->messages();

    return $self->post('/api/v1/user/send-code',
                       { scene => $scene, target($target) }, %o);
}


# the answer of what is asked again while a server of just now is busy

sub not_busy {
    my ($self, $sub) = @_;

    my $r;

    $self->wait_for(sub { ($r = $sub->())->{status} != 503 }, 5, 'an answer');
    return $r;
}


sub messages {
    my ($self) = @_;
    return map { $json->decode($_) }
        split /\n/, RushTest::slurp("$self->{dir}/messages");
}


sub code {
    my ($self, $target) = @_;

    my $seen = $self->{codes}{$target} // 0;

    my $m = $self->wait_for(sub {
        my @m = grep { $_->{target} eq $target } $self->messages();
        return @m > $seen ? $m[-1] : undef;
    }, 10, "a code for $target") or die "no code for $target\n";

    return $m->{code};
}


# --- rows ---

sub sql {
    my ($self, $text, @bind) = @_;
    return @{$self->db()->selectall_arrayref($text, { Slice => {} }, @bind)};
}


sub value {
    my ($self, $text, @bind) = @_;
    return ($self->db()->selectrow_array($text, undef, @bind))[0];
}


# all that is in MySQL, to look for what must not be there

sub all_rows {
    my ($self) = @_;

    my @rows;

    foreach my $table (map { values %$_ } $self->sql('SHOW TABLES')) {
        push @rows, map { join "\t", $table, map { $_ // '' } @$_ }
            @{$self->db()->selectall_arrayref("SELECT * FROM $table")};
    }

    die "there is nothing in MySQL\n" if !@rows;
    return join "\n", @rows;
}


# a deadlock with what daemons do is no fault of anybody

sub do {
    my ($self, $text, @bind) = @_;

    foreach my $try (1 .. 5) {
        my $n = eval { $self->db()->do($text, undef, @bind) };

        return $n if defined $n;
        die $@ if $try == 5 || $@ !~ /Deadlock found/;
    }
}


sub insert {
    my ($self, $table, %row) = @_;

    my @names = sort keys %row;

    $self->do("INSERT INTO $table (" . join(', ', @names) . ') VALUES ('
              . join(', ', ('?') x @names) . ')', @row{@names});

    return $row{id} // $self->db()->last_insert_id(undef, undef, $table, 'id');
}


sub product {
    my ($self, %o) = @_;

    my $now = now_ms();

    return $self->insert('product', title => 'Product ' . ++$serial,
                         price => 1000, stock => 1000, created_ms => $now,
                         updated_ms => $now, %o);
}


# rows for an activity that is on sale when this returns.  start and stop are
# in ms and relative to now; "from" and "to" absolute; wait => 0 does not wait

sub activity {
    my ($self, %o) = @_;

    my $now = now_ms();
    my $price = $o{price} // 100;
    my $status = $o{status} // 1;
    my $warm = $o{warm} // 1;

    my $id = $self->insert('seckill_activity',
        product_id => $o{product} // $self->product(price => $price * 2),
        title => $o{title} // 'Sale ' . ++$serial,
        price => $price, price_ver => 1,
        start_ms => $o{from} // $now + ($o{start} // -1000),
        stop_ms => $o{to} // $now + ($o{stop} // 3600_000),
        total => $o{stock} // 10,
        limit_per_user => $o{limit} // 1,
        pay_seconds => $o{pay_seconds} // 1800,
        status => $status, warm => 0, rev => 1,
        created_ms => $now, updated_ms => $now,
        (defined $o{id} ? (id => $o{id}) : ()));

    $self->insert('seckill_price', activity_id => $id, price_ver => 1,
                  price => $price);

    # only now may the controller see it
    $self->do('UPDATE seckill_activity SET warm = ? WHERE id = ?', $warm, $id)
        if $warm;

    $self->wait_loaded($id) if $warm && $status == 1 && ($o{wait} // 1);

    return $id;
}


# in Redis, and visible on every node

sub wait_loaded {
    my ($self, $id) = @_;

    if ($self->{daemon}{consumer}) {
        # made at the start it is off until the whole rebuild is checked
        $self->wait_for(sub { ($self->meta($id)->{state} // '') eq 'on' },
                        15, "activity $id in Redis")
            or die "activity $id was not loaded\n";
    }

    foreach my $node (grep { $self->{daemon}{$_}{nginx}
                             && $self->running($_) } keys %{$self->{daemon}})
    {
        $self->wait_seen($id, $node);
        $self->wait_ready($node);
    }
}


sub wait_seen {
    my ($self, $id, $node) = @_;

    my $r;

    $self->wait_for(sub {
        $r = $self->get("/api/v1/seckill/activities/$id/stock",
                        node => $node, record => 0);
        # generation 0: known from MySQL, not yet seen in Redis
        return ($r->{code} // -1) == 0 && $r->{json}{data}{generation};
    }, 15, "activity $id on $node")
        or die "activity $id is not served: $r->{body}\n";
}


# a node that has just started has seen what is on sale

sub wait_known {
    my ($self, $node) = @_;

    $self->wait_ready($node);

    return if grep { !$self->{daemon}{$_} || !$self->running($_) }
        qw(redis mysql);

    foreach my $row ($self->sql('SELECT id FROM seckill_activity WHERE '
                                . 'warm = 1 AND status = 1'))
    {
        $self->wait_seen($row->{id}, $node) if %{$self->meta($row->{id})};
    }
}


# Every worker of a node says yes, as far as one can see from outside: each
# knows its own connections only.  Nothing to wait for where a part is missing

sub wait_ready {
    my ($self, @nodes) = @_;

    return 1 if grep { !$self->{daemon}{$_} || !$self->running($_) }
        qw(nginx redis mysql consumer);

    foreach my $node (@nodes ? @nodes : 'nginx') {
        my @r;

        $self->wait_for(sub {
            @r = $self->burst([map { { path => '/ready' } } 1 .. 16],
                              node => $node, sync => 1, record => 0);
            return !grep { $_->{status} != 200 } @r;
        }, 15, "$node to be ready") or die "$node: $r[0]{body}\n";
    }

    return 1;
}


sub meta {
    my ($self, $id) = @_;
    return { $self->redis()->hgetall("{a:$id}m") };
}


sub buy {
    my ($self, $id, $user, %o) = @_;
    return $self->post("/api/v1/seckill/activities/$id/buy",
                       { quantity => delete $o{quantity} // 1 },
                       user => $user, %o);
}


# orders that are paid, with all that the books want to see of it.  $o: with a
# method "do"; the condition is about orders

sub paid {
    my ($o, $where, @bind) = @_;

    $where .= ' AND status = 1 AND stock_state = 0';

    my $id = "CAST(SUBSTRING_INDEX(order_no, '-', 1) AS UNSIGNED)";

    $o->do('INSERT INTO payment (id, order_no, user_id, provider, channel, '
           . 'amount, subject, params, state, transaction_id, deadline_ms, '
           . "paid_ms, created_ms, updated_ms) SELECT $id, order_no, "
           . "user_id, 4, 8, amount, title, '{}', 2, CONCAT('T', $id), "
           . 'pay_deadline_ms, granted_ms, granted_ms, granted_ms '
           . "FROM orders WHERE $where", @bind);

    foreach my $side (["'provider:sandbox'", ''],
                      ["CONCAT('order:', order_no)", '-'])
    {
        $o->do('INSERT INTO ledger (txn, account, amount, created_ms) '
               . "SELECT CONCAT('p:', $id), $side->[0], $side->[1]amount, "
               . "granted_ms FROM orders WHERE $where", @bind);
    }

    return $o->do('UPDATE orders SET status = 2, stock_state = 4, '
                  . 'version = version + 1, actor_kind = 4, paid_ms = '
                  . "granted_ms, pay_type = 'sandbox', payment_id = $id "
                  . "WHERE $where", @bind);
}


sub live_orders {
    my ($self, $id) = @_;
    return $self->value('SELECT COUNT(*) FROM orders WHERE activity_id = ? '
                        . 'AND stock_state IN (0, 1, 4)', $id);
}


1;
