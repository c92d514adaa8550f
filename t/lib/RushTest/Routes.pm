package RushTest::Routes;

# Copyright (C) Rush
#
# Every route of docs/openapi.json, and a request for each that succeeds, so
# that a test can go through all of them.  A new route without a row in
# %samples makes the tests that use this fail.  Routes whose questions and
# answers have a form of others (t/66-notices*.t) are left out.
#
#   my $t = RushTest::Routes::world(%o);     with a courier and a stand-in for
#                         WeChat, serving; o of RushTest
#   my $all = RushTest::Routes->new($t);
#   $all->routes()        { id, method, path, auth => '', 'optional', 'user',
#                         'admin' or 'internal', permission, params => [],
#                         fields => [{ name, in => 'path', 'query', 'header',
#                         'body', type, kind => 'str', 'id', 'key', 'time',
#                         'int', 'bool', 'list', required }] }
#   $all->route($id)      one of them
#   $all->missing()       ids of routes without a sample, samples without route
#   $all->sample($id, %o) { method, path, data, token, owner, object }
#                         for a caller and objects made for it; owner => id
#   $all->account(%o)     { id, name, token, mobile } of somebody logged in
#   $all->admin()         a token of role 1
#   $all->holder(@names)  a user, with a role of these permissions: its token
#   $all->all_rows()      { table => [rows] } without what daemons move, when
#                         they are done

use warnings;
use strict;

use JSON::PP ();
use RushTest;
use RushTest::Made;
use RushTest::RouteOrders;
use RushTest::RoutePay;
use RushTest::Wechat;

our @ISA = qw(RushTest::RouteOrders RushTest::RoutePay);
our $PASSWORD = 'canary-pw heron 7';

my $serial = 0;
my $json = JSON::PP->new->utf8;

# operation => sub: path members, body, and what else a request has

my %samples = (
    rush_api_health => {}, rush_api_version => {}, rush_health => {},
    rush_healthz => {}, rush_metrics => {}, rush_openapi => {},
    rush_ready => {}, rush_time => {}, rush_version => {},

    # products and activities
    seckill_product_list => {}, seckill_activity_list => {},
    seckill_product_detail => { of => 'product' },
    seckill_product_stock => { of => 'product' },
    seckill_activity_detail => { of => 'sale' },
    seckill_activity_status => { of => 'sale' },
    seckill_activity_stock => { of => 'sale' },
    seckill_activity_events => { of => 'sale' },
    seckill_product_create => { body => { title => 'A kettle', price => 5,
        stock => 3, description => 'x', category => 'home' } },
    seckill_product_update => { of => 'product',
                                body => { title => 'Another' } },
    seckill_product_adjust => { of => 'product',
                                body => { delta => 2, reason => 'found' } },
    seckill_product_delete => { of => 'product' },
    seckill_init => { body => sub { +{ product_id => $_[0]->product(),
                                      stock => 3 } } },
    seckill_admin_list => {},
    seckill_admin_create => { body => sub { +{ draft(),
        product_id => $_[0]->product() } } },
    seckill_admin_get => { of => 'draft_id' },
    seckill_admin_update => { of => 'draft_id', body => { title => 'Other' } },
    seckill_admin_delete => { of => 'draft_id' },
    seckill_admin_availability => { of => 'sale' },
    seckill_admin_warmup => { of => 'draft_id' },
    seckill_admin_online => { of => 'draft_id' },
    seckill_admin_offline => { of => 'own_sale' },
    seckill_admin_pause => { of => 'own_sale' },
    seckill_admin_resume => { of => 'paused' },
    seckill_admin_reconcile => { of => 'sale', body => { mode => 'report' } },
    seckill_admin_stock => { of => 'sale', body => { delta => 1,
                                                     reason => 'more' } },

    # operations
    seckill_stop_selling => { body => { reason => 'a drill' } },
    seckill_resume_selling => { body => { reason => 'it is over' } },
    seckill_streams => {}, seckill_dead_letters => {},
    seckill_dead_replay => { of => 'letter' },
    seckill_dead_discard => { of => 'letter', body => { reason => 'old' } },
    seckill_report => { of => 'sale' },

    # orders
    RushTest::RouteOrders::samples(),
    seckill_buy => { of => 'sale', body => { quantity => 1 } },
    seckill_buy_product => { body => sub { +{ product_id =>
        $_[0]->sale_product(), quantity => 1 } } },
    seckill_result => { of => 'order' },
    seckill_result_events => { of => 'order' },
    seckill_order_events => { of => 'order' },
    seckill_request => { of => 'order' },

    RushTest::RoutePay::samples(),

    # accounts
    user_register => { body => sub { +{ username => 'reg' . ++$serial,
        password => $PASSWORD, nickname => 'Nick' } } },
    user_login => { body => sub { +{ account => $_[1]{name},
                                    password => $PASSWORD } } },
    user_refresh => { body => sub { +{ refresh_token =>
        $_[0]->refresh($_[1]) } } },
    user_logout => { body => { all => JSON::PP::false } },
    user_profile => {},
    user_change => { body => { nickname => 'Other', sex => 1 } },
    user_password => { body => { old_password => $PASSWORD,
                                 new_password => "$PASSWORD new" } },
    user_send_code => { body => sub { +{ scene => 'login',
                                        mobile => mobile() } } },
    user_verify_code => { body => sub {
        my ($self) = @_;
        my $mobile = mobile();
        return { scene => 'bind', mobile => $mobile,
                 code => $self->code('bind', $mobile) };
    } },
    user_reset => { body => sub {
        my ($self, $who) = @_;
        return { new_password => "$PASSWORD new",
                 ticket => $self->ticket('reset', $who->{mobile}) };
    } },
    user_bind => { body => sub {
        my ($self) = @_;
        return { ticket => $self->ticket('bind', 'b' . ++$serial
                                         . '@example.com') };
    } },
    user_wx_mini_auth => { body => sub { +{ code => wx_code() } } },
    user_wx_mini_bind => { body => sub { +{ code => wx_code() } } },
    user_wx_mini_unbind => { body => sub {
        my ($self, $who) = @_;
        $self->{t}->do('UPDATE user SET wx_key = ? WHERE id = ?',
                       "$RushTest::Wechat::APPID:oSample" . ++$serial,
                       $who->{id});
        return {};
    } },
    user_close => { body => { password => $PASSWORD } },
    user_sessions => {}, user_addresses => {}, user_sponsors => {},
    user_stats => {}, user_export => {},
    user_session_end => { of => 'session' },
    user_address_add => { body => sub { place() } },
    user_address_change => { of => 'address', body => { detail => 'Else' } },
    user_address_remove => { of => 'address' },
    user_address_parse => { body => { text => 'x 13812345678' } },
    user_sponsor_add => { body => { type => 1, name => 'Acme' } },
    user_sponsor => { of => 'sponsor' },
    user_sponsor_change => { of => 'sponsor', body => { name => 'Bcme' } },
    user_sponsor_remove => { of => 'sponsor' },

    # administration
    user_admin_users => {}, user_role_list => {}, user_audit => {},
    user_admin_batch => { body => sub { +{ ids => [$_[1]{id}] } } },
    user_admin_create => { body => sub { +{ username => 'adm' . ++$serial,
        password => $PASSWORD } } },
    user_admin_user => { of => 'user' },
    user_admin_change => { of => 'user', body => { nickname => 'Other' } },
    user_admin_delete => { of => 'user' },
    user_admin_restore => { of => 'deleted' },
    user_admin_status => { of => 'user', body => { status => 'banned',
                                                   reason => 'bots' } },
    user_admin_roles => { of => 'user', body => { roles => [] } },
    user_admin_revoke => { of => 'user' },
    user_role_create => { body => sub { +{ name => 'made ' . ++$serial,
        permissions => ['orders_read'] } } },
    user_role_change => { of => 'role', body => { permissions => [] } },
    user_role_delete => { of => 'role' },
);


sub world {
    my (%o) = @_;

    my $port = RushTest::Backend::free_port();
    my $t = RushTest->new(
        start => 0, courier => 1,
        consumer_conf => { wechat => RushTest::Wechat::conf($port) },
        nginx => { extra_http => 'user_bcrypt_cost 4; user_wechat_limit'
            . ' address=0; user_code_limit interval=0 hour=0 day=0'
            . ' address=0; seckill_pay_channels sandbox wechat_native;' }, %o);

    RushTest::Wechat::add($t, $port);
    $t->start(qw(redis mysql wechat consumer nginx));
    $t->wait_ready();

    return $t;
}


sub wx_code { return RushTest::Wechat::code('ok', 'oSample' . ++$serial) }


sub new {
    my ($class, $t) = @_;

    my $doc = $json->decode(RushTest::slurp(
        "$RushTest::ROOT/docs/openapi.json"));
    my $self = bless { t => $t, routes => [] }, $class;

    foreach my $path (sort keys %{$doc->{paths}}) {
        foreach my $method (sort keys %{$doc->{paths}{$path}}) {
            push @{$self->{routes}}, route_of($path, uc $method,
                $doc->{paths}{$path}{$method});
        }
    }

    @{$self->{routes}} = grep {
        $_->{path} !~ m{/payment/callback/|/pay/wechat/notify$}
    } @{$self->{routes}};

    $self->{by_id} = { map { $_->{id} => $_ } @{$self->{routes}} };

    return $self;
}


sub routes { return @{$_[0]{routes}} }

sub route { return $_[0]{by_id}{$_[1]} // die "no route $_[1]\n" }


sub missing {
    my ($self) = @_;
    return sort((grep { !$samples{$_} } keys %{$self->{by_id}}),
                (grep { !$self->{by_id}{$_} } keys %samples));
}


sub route_of {
    my ($path, $method, $op) = @_;

    my @security = @{$op->{security} || []};
    my $auth = $path !~ m!^/api/! && $path =~ /metrics/ ? 'internal'
        : !@security ? ''
        : (grep { $_->{admin} } @security) ? 'admin'
        : (grep { !%$_ } @security) ? 'optional' : 'user';

    my $schema = $op->{requestBody}{content}{'application/json'}{schema};
    my %must = map { $_ => 1 } @{$schema->{required} || []};

    my @fields = map { { name => $_->{name}, in => $_->{in},
                         kind => kind($_->{schema}), schema => $_->{schema},
                         required => $_->{required} } }
        @{$op->{parameters} || []};

    push @fields, map { { name => $_, in => 'body', required => $must{$_},
                          kind => kind($schema->{properties}{$_}),
                          schema => $schema->{properties}{$_} } }
        sort keys %{$schema->{properties} || {}};

    return { id => $op->{operationId}, method => $method, path => $path,
             auth => $auth, permission => $op->{'x-permission'},
             params => [$path =~ /\{(\w+)\}/g], fields => \@fields };
}


sub kind {
    my ($schema) = @_;

    my $type = ref $schema->{type} ? $schema->{type}[0] : $schema->{type};

    return $type eq 'integer' ? 'int' : $type eq 'boolean' ? 'bool'
        : $type eq 'array' ? 'list' : $schema->{format} ? 'time'
        : !$schema->{pattern} ? 'str'
        : $schema->{pattern} =~ /0-9\]\{0,18/ ? 'id' : 'key';
}


# --- requests that succeed ---

# o: who => an account; object => id; cheap => 1: no code is sent for it

sub sample {
    my ($self, $id, %o) = @_;

    my $route = $self->route($id);
    my $row = $samples{$id} // die "no sample of $id\n";

    $self->sell();

    my $who = $o{who} // $self->account();
    my $q = { method => $route->{method}, path => $route->{path},
              owner => $who->{id} };

    $q->{token} = $route->{auth} eq 'admin' ? $self->admin()
        : $route->{auth} =~ /user|optional/ ? $who->{token} : undef;

    if ($row->{of}) {
        my $make = $row->{of};
        $q->{object} = $o{object} // $self->$make($who);
        $q->{path} =~ s/\{\w+\}/$q->{object}/;

        # an object of that one
        my $in = $row->{in};
        $q->{path} =~ s/\{\w+\}/$self->$in($q->{object})/e if $in;
    }

    $q->{path} .= '?' . $row->{query}->($self, $who) if $row->{query};

    if ($row->{body}) {
        local $self->{cheap} = $o{cheap};
        my $data = ref $row->{body} eq 'CODE' ? $row->{body}->($self, $who)
            : $row->{body};
        $q->{data} = { %$data };
    }

    return $q;
}


# rows as register and login make them, but for the hash of a refresh token

sub account {
    my ($self) = @_;

    my $t = $self->{t};
    my $now = RushTest::Data::now_ms();
    my $id = 100_000_000_000_000_000 + 1000 * ++$serial;
    my %who = (id => $id, name => "own$serial", mobile => mobile());

    $self->{hash} //= $self->hash();

    $t->insert('user', id => $id, username => $who{name},
               mobile => $who{mobile}, nickname => $who{name},
               password_hash => $self->{hash}, created_ms => $now,
               updated_ms => $now);
    $t->insert('user_session', id => $id + 1, user_id => $id,
               refresh_hash => sprintf('%064d', $id),
               family_hash => sprintf('%064d', $id), created_ms => $now,
               used_ms => $now, expires_ms => $now + 86400_000);
    $who{token} = $t->token($id, sid => ($id + 1) . "");

    return \%who;
}


# of the password, as register stores it

sub hash {
    my ($self) = @_;

    my $r = $self->{t}->register('hashed' . ++$serial, $PASSWORD);
    die "register: $r->{body}\n" if ($r->{code} // -1) != 0;

    return $self->{t}->value('SELECT password_hash FROM user WHERE id = ?',
                             $r->{json}{data}{user}{id});
}


sub refresh {
    my ($self, $who) = @_;
    my $r = $self->{t}->login($who->{name}, $PASSWORD);
    die "login: $r->{body}\n" if ($r->{code} // -1) != 0;
    return $r->{json}{data}{refresh_token};
}


sub admin {
    my ($self) = @_;
    return $self->{admin} //= do {
        my $who = $self->account();
        $self->{t}->do('UPDATE user SET roles = 1 WHERE id = ?', $who->{id});
        $self->{root} = $who->{id};
        $self->{t}->token($who->{id}, role => 'admin', roles => 1);
    };
}


sub holder {
    my ($self, @permissions) = @_;

    my $t = $self->{t};
    my $r = $t->post('/api/v1/admin/roles', { name => 'holder ' . ++$serial,
        permissions => \@permissions }, token => $self->admin());
    my $role = $r->{json}{data}{id} // die "role: $r->{body}\n";
    my $who = $self->account();
    my $mask = 1 << ($role - 1);

    $t->do('UPDATE user SET roles = ? WHERE id = ?', $mask, $who->{id});

    return $t->token($who->{id}, roles => $mask);
}


# numbers of one form, so that a test may look for them

sub mobile {
    return sprintf '1387%07d', ++$serial;
}


sub place {
    return { receiver => 'Li', mobile => '13812345678', province => 'P',
             city => 'C', detail => 'D', @_ };
}


sub draft {
    my $now = int time();
    return (title => 'A draft', price => 5, total => 3,
            start_at => ($now + 3600) * 1000, end_at => ($now + 7200) * 1000);
}


sub send_code {
    my ($self, $scene, $target) = @_;
    return '000000' if $self->{cheap};
    my $r = $self->{t}->send_code($scene, $target);
    die "send-code: $r->{body}\n" if ($r->{code} // -1) != 0;
    return $self->{t}->code($target);
}


sub code { my $self = shift; return $self->send_code(@_) }


sub ticket {
    my ($self, $scene, $target) = @_;

    return 'A' x 43 if $self->{cheap};

    my $r = $self->{t}->post('/api/v1/user/verify-code', {
        scene => $scene, code => $self->code($scene, $target),
        RushTest::Data::target($target) });

    return $r->{json}{data}{ticket} // die "verify-code: $r->{body}\n";
}


# --- objects ---

sub user { return $_[0]->account()->{id} }

sub session {
    my ($self, $who) = @_;
    return $self->{t}->value('SELECT MAX(id) FROM user_session '
                             . 'WHERE user_id = ?', $who->{id});
}


sub deleted {
    my ($self) = @_;
    my $id = $self->user();
    $self->{t}->do('UPDATE user SET status = 2, deleted_ms = ? WHERE id = ?',
                   RushTest::Data::now_ms(), $id);
    return $id;
}


sub product { return $_[0]{t}->product(title => 'A lamp') }


# one for all who only look or buy

sub sale {
    my ($self) = @_;
    return $self->{sale} //= $self->{t}->activity(stock => 100_000,
                                                  limit => 100);
}


sub sale_product {
    my ($self) = @_;
    return $self->{t}->value('SELECT product_id FROM seckill_activity '
                             . 'WHERE id = ?', $self->sale());
}


sub own_sale { return $_[0]{t}->activity(stock => 10) }


sub paused {
    my ($self) = @_;
    my $id = $self->own_sale();
    my $r = $self->{t}->post("/api/v1/admin/seckill/activities/$id/pause",
                             token => $self->admin());
    die "pause: $r->{body}\n" if ($r->{code} // -1) != 0;
    return $id;
}


sub draft_id {
    my ($self) = @_;
    return $self->{t}->activity(status => 0, warm => 0, start => 3600_000,
                                stop => 7200_000);
}


sub made {
    my ($self, $path, $data, $token) = @_;
    my $r = $self->{t}->post($path, $data, token => $token);
    return $r->{json}{data}{id} // die "$path: $r->{body}\n";
}


sub address {
    my ($self, $who) = @_;
    return $self->made('/api/v1/user/addresses', place(), $who->{token});
}


sub sponsor {
    my ($self, $who) = @_;
    return $self->made('/api/v1/user/sponsors', { type => 1,
        name => 'Hidden', is_show => JSON::PP::false }, $who->{token});
}


sub role {
    my ($self) = @_;
    return $self->made('/api/v1/admin/roles', { name => 'role ' . ++$serial,
        permissions => [] }, $self->admin());
}


1;
