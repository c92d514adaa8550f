package Api::Lie;

# Copyright (C) Rush
#
# Wrong servers, made of the right one and a filter before it: each entry of
# lies() alters a request (ask), an answer (say) or sends one more (more).
# The model must find every one of them.

use warnings;
use strict;

use Exporter qw(import);

our @EXPORT_OK = qw(lies tell);


sub flip {
    my ($r, $from, $to) = @_;

    return sub {
        my ($c, $code, $data) = @_;
        return if $c->{r} !~ $r || $code != $from;
        return ($to, $data);
    };
}


sub change {
    my ($r, $sub) = @_;

    return sub {
        my ($c, $code, $data) = @_;
        return if $c->{r} !~ $r || !ref $data;
        return $sub->($data) ? ($code, $data) : ();
    };
}


# a call that only looks as if: the other route is asked, and its data told
# with these values
sub fake {
    my ($r, $path, %data) = @_;

    return (
        ask => sub {
            my ($c, $q) = @_;
            return if $c->{r} ne $r;
            $q->{method} = 'GET';
            $q->{path} =~ s/$path//;
            delete $q->{body};
        },
        say => change(qr/^$r$/, sub { %{$_[0]} = (%{$_[0]}, %data) }),
    );
}


sub again {
    my ($r, $key) = @_;

    return sub {
        my ($c, $q) = @_;
        return if $c->{r} ne $r || ($c->{res}{code} // 1) != 0;
        return { %$q, ($key ? (key => "again-$c->{t0}") : ()) };
    };
}


sub lies {
    my $buy = qr/^seckill_buy/;
    my $other = sub { my ($r, $name, $value) = @_; return sub {
        my ($c, $q) = @_;
        $q->{body} =~ s/("$name":)[1-9]\d{0,2}(?=[,}])/$1$value/
            if $c->{r} =~ $r && $q->{body};
    } };

    return (
        'a request id is ignored' => { ask => sub {
            my ($c, $q) = @_;
            delete $q->{key} if $c->{r} =~ $buy } },
        'a buy is done twice' => { more => again('seckill_buy', 1) },
        'the quantity is ignored' => { ask => $other->($buy, 'quantity', 1) },
        'a cancel does nothing' => { fake('seckill_order_cancel',
            '/cancel$', status => 5, cancel_reason => 'user') },
        'a pause does nothing' => { fake('seckill_admin_pause', '/pause$',
            status => 'paused') },
        'an adjustment is done twice' => {
            more => again('seckill_admin_stock') },
        'a new price is another one' => {
            ask => $other->(qr/^seckill_admin_update$/, 'price', 99) },
        'a new limit is another one' => {
            ask => $other->(qr/^seckill_admin_update$/, 'limit_per_user',
                            5) },
        'the limit says sold out' => { say => flip($buy, 60004, 60002) },
        'sold out says ended' => { say => flip($buy, 60002, 60003) },
        'a no is not final' => { say => change($buy, sub {
            $_[0]{final} ? ($_[0]{final} = 0, 1)[1] : 0 }) },
        'a repeat gets another order' => { say => change($buy, sub {
            $_[0]{replayed} && $_[0]{order_no} =~ s/^\d/9/ }) },
        'a unit is dropped' => { say => change(qr/^seckill_activity_stock$/,
            sub { $_[0]{left}-- || 1 }) },
        'a refused id was granted' => {
            say => change(qr/^seckill_request$/, sub {
                ($_[0]{outcome} // '') eq 'refused'
                && ($_[0]{outcome} = 'granted') }) },
        'a list counts one more' => {
            say => change(qr/^seckill_(?:mine|order_list)$/,
                          sub { ++$_[0]{total} }) },
        'a stranger sees an order' => {
            say => flip(qr/^seckill_(?:order_detail|result)$/, 4, 0) },
        'bad input is taken' => { say => flip(qr/./, 2, 0) },
        'a wrong password is right' => {
            say => flip(qr/^user_login$/, 10002, 0) },
        'an ended session goes on' => { say => flip(qr/./, 6, 0) },
        'a refresh token is good twice' => {
            say => flip(qr/^user_refresh$/, 10007, 0) },
    );
}


# an answer as the liar gives it

sub tell {
    my ($lie, $c) = @_;

    my $res = $c->{res};
    my $json = $res->{json};

    return if !$lie->{say} || !$json || !defined $res->{code};

    my ($code, $data) = $lie->{say}->($c, $res->{code}, $json->{data});

    return if !defined $code;

    $json->{data} = $data;
    $res->{body} =~ s/"code":\d+/"code":$code/;
    $res->{body} .= ' (a lie)';

    if ($code != $res->{code}) {
        $res->{code} = $json->{code} = $code;
        $res->{status} = 200;
    }
}


1;
