package Api::Notice;

# Copyright (C) Rush
#
# The model of what providers tell.  An operation has "n" => { of => payment,
# how => what }; the stand-in of RushTest::Provider makes the notice when it is
# sent:
#
#   paid      the buyer has paid there: told of, or told of once more
#   same      the last notice of this provider again, byte for byte
#   amount    genuine, and of another amount
#   nobody    genuine, of a trade that nobody knows
#   event     genuine, of no meaning to us
#   forged, key, unsigned, old    not genuine: signature, another key, ...
#   owner     genuine, for another merchant or application
#
# Whoever has paid has paid from the moment when the notice is made, told or
# not: the consumer asks the provider, too.
#
#   notices  "provider id" => { of, states => [of its row]; undef: no row }
#   last     provider => the last genuine notice of a payment

use warnings;
use strict;

use RushTest::Provider;
use RushTest::Teller;

BEGIN { *want = \&Api::Model::want; *told = \&Api::Model::told }

our $t;                 # not of the model, which is cloned

my %BY = (seckill_callback_alipay => 'alipay');
my %KEY = (wechat => 'wxpub', alipay => 'alipay');
my %NUMBER = (wechat => 1, alipay => 2);
my @STATE = qw(unmatched applied duplicate mismatch ignored);
my %CODE = (200 => 'OK', 400 => 'BAD_REQUEST', 401 => 'UNAUTHORIZED',
            404 => 'NOT_FOUND', 503 => 'BUSY');
my $serial = 0;

our %CHANNEL = (sandbox => 'sandbox', wechat_native => 'wechat',
                alipay_precreate => 'alipay');


sub is_one { return $_[0]{r} =~ /^seckill_(?:callback_|wechat_notify$)/ }

sub provider { return $BY{$_[0]{r}} // 'wechat' }


# what is sent, and what the provider means by it

sub make {
    my ($m, $c, $id) = @_;

    my $how = $c->{op}{n}{how};
    my $by = provider($c);
    my $p = $m->{payments}{$id};

    $p = undef if $p && $CHANNEL{$p->{channel}} ne $by;
    $how = pays($m, $p) if $how eq 'paid';
    # of Alipay's no time counts
    $how = 'forged' if $how eq 'old' && $by eq 'alipay';
    $how = 'nobody' if $how eq 'same' && !$m->{last}{$by}
        || $how eq 'amount' && !$p;

    $c->{how} = $how;
    return @$c{qw(notice name)} = @{$m->{last}{$by}} if $how eq 'same';

    $c->{of} = $p && $how ne 'nobody' ? $p->{id} : undef;
    $c->{name} = 'n' . ++$serial . 'of' . ($c->{of} // 0);

    my %o = (provider => $by, id => $c->{name}, key => $KEY{$by},
             path => $c->{route}{path});

    $o{total} = ($p && $p->{amount} || 0) + 7 if $how =~ /^(?:amount|nobody)$/;
    $o{$how} = 1 if $how =~ /^(?:forged|unsigned)$/;
    $o{key} = $by eq 'alipay' ? 'app' : 'merchant' if $how eq 'key';
    $o{serial} = $RushTest::Provider::SERIAL{$KEY{$by}} if $how eq 'key';
    $o{age} = 400 if $how eq 'old';
    @o{qw(mchid seller)} = qw(1900000110 2088000000000110)
        if $how eq 'owner';
    event($by, \%o) if $how eq 'event';
    @o{qw(state fields)} = ('SUCCESS', { transaction_id => "T$serial" })
        if $by eq 'wechat' && $p && !$p->{paid};

    $c->{notice} = RushTest::Provider::notice($t, $c->{of} // "x$serial", %o);
    $m->{last}{$by} = [@$c{qw(notice name)}] if $how =~ /^(?:paid|again)$/;
}


sub event {
    my ($by, $o) = @_;

    return $o->{type} = 'PAYSCORE.USER_OPEN_SERVICE' if $by eq 'wechat';
    $o->{fields} = { notify_type => 'servicemarket_order_notify' };
}


# nobody pays what may be closed there by now

sub pays {
    my ($m, $p) = @_;

    return 'nobody' if !$p;
    return 'again' if $p->{paid};

    my @states = @{Api::Trade::payment_states($m, $p)};

    return 'amount' if "@states" ne 'open' || !eval {
        RushTest::Provider::pay($t, $p->{id}, notify => 0) };

    $p->{paid} = 1;
    return 'paid';
}


# for liars: one of no meaning, and one of what was to be paid

sub idle {
    my ($c) = @_;

    my $by = provider($c);
    my %o = (provider => $by, key => $KEY{$by});

    event($by, \%o);
    return RushTest::Provider::notice($t, 'x' . ++$serial, %o);
}


sub payer {
    my ($c) = @_;

    my $by = provider($c);

    return RushTest::Provider::notice($t, $c->{of}, id => $c->{name},
        key => $KEY{$by}, $by eq 'alipay' ? ()
        : (state => 'SUCCESS', fields => { transaction_id => 'T1' }));
}


sub request {
    my ($c) = @_;
    return { method => 'POST', record => 0, %{$c->{notice}} };
}


# providers get no envelope: their status has the code's place, and no schema
# tells of it

sub answered {
    my ($c) = @_;

    my $r = $c->{res};
    my $name = $CODE{$r->{status}};
    my $text = provider($c) eq 'alipay'
        ? $r->{status} == 200 ? qr/^success\z/ : qr/^failure\z/
        : $r->{status} == 200 ? qr/^\z/
        : qr/^\{"code":"FAIL","message":"[a-z ]+"\}\z/;

    return if !$name || $r->{body} !~ $text;

    @$r{qw(code json)} = (Api::Model::code($name), {});
}


# --- what is answered ---

sub notice {
    my ($m, $c) = @_;

    my $how = $c->{how};
    my $genuine = $how !~ /^(?:forged|key|unsigned|old|owner)$/;

    return (want($c, $genuine ? 'OK'
                     : $how eq 'owner' ? 'BAD_REQUEST' : 'UNAUTHORIZED'),
            sub {
        my $n = $m->{notices}{provider($c) . " $c->{name}"} //= {
            of => $c->{of} // 0, how => $how };
        $n->{row} = 1 if $genuine && $how ne 'event';
    });
}


sub seckill_callback_alipay { return notice(@_) }
sub seckill_callback_wechat { return notice(@_) }
sub seckill_callback_wechat_refund { return notice(@_) }
sub seckill_wechat_notify { return notice(@_) }


# --- at rest ---

# refunds of WeChat take days; here nobody waits

sub moving {
    my ($users) = @_;

    foreach my $row ($t->sql('SELECT id FROM refund WHERE provider = 1 AND '
                             . "state = 3 AND $users"))
    {
        my $there = RushTest::Provider::refund($t, "R$row->{id}") or next;

        next if $there->{state} ne 'PROCESSING';
        RushTest::Provider::settle($t, "R$row->{id}", 'SUCCESS',
                                   key => 'wxpub');
    }
}


# each notice that was taken has a row, and does what it should; no other has

sub settle {
    my ($m) = @_;

    foreach my $key (sort keys %{$m->{notices}}) {
        my ($by, $name) = split / /, $key;
        my $n = $m->{notices}{$key};
        my ($row) = $t->sql('SELECT state, payment_id FROM payment_notice '
                            . 'WHERE provider = ? AND notice_key = ?',
                            $NUMBER{$by}, $name);
        my $is = $row ? $STATE[$row->{state}] : 'not there';
        my %may = map { $_ => 1 } !$n->{row} ? 'not there'
            : $n->{how} eq 'amount' ? 'mismatch'
            : $n->{of} ? qw(applied duplicate) : 'unmatched';

        return "notice $key ($n->{how}) is $is, the model has "
            . join ' or ', sort keys %may if !$may{$is};
        return "notice $key is of payment $row->{payment_id}"
            if $row && $row->{payment_id} != $n->{of};
    }

    return;
}


1;
