package Api::Lie;

# Copyright (C) Rush
#
# Wrong servers, made of the right one and a filter before it: each entry of
# lies() alters a request (ask), an answer (say) or sends one more (more).
# The model must find every one of them.

use warnings;
use strict;

use Api::Client qw(now);
use Api::Notice;
use Api::Ops;
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


# one that does nothing: a list is asked for, and this is told instead

sub instead {
    my ($r, $data) = @_;

    return (
        ask => sub {
            my ($c, $q) = @_;
            return if $c->{r} ne $r;
            @$q{qw(method path)} = ('GET', '/api/v1/admin/settlements');
            delete $q->{body};
        },
        say => sub {
            my ($c, $code) = @_;
            return $c->{r} eq $r && $code == 0 ? (0, $data->($c)) : ();
        },
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
        'a trade is paid twice' => {
            say => flip(qr/^seckill_sandbox_pay$/, 40002, 0) },
        'a paid order waits' => {
            say => change(qr/^seckill_order_detail$/, sub {
                ($_[0]{status} // 0) == 2 && ($_[0]{status} = 1) }) },
        'what was rejected goes back' => {
            ask => sub {
                my ($c, $q) = @_;
                $q->{path} =~ s/reject$/approve/
                    if $c->{r} eq 'seckill_refund_reject';
            }, say => change(qr/^seckill_refund_reject$/, sub {
                $_[0]{state_text} = 'rejected' }) },
        'a refund is of less' => {
            say => change(qr/^seckill_refund_detail$/,
                          sub { $_[0]{amount}-- }) },
        'a repeat pays another order' => {
            ask => sub { my ($c, $q) = @_;
                         delete $q->{key}
                             if $c->{r} eq 'seckill_order_place' } },
        'bad input is taken' => { say => flip(qr/./, 2, 0) },
        'a wrong password is right' => {
            say => flip(qr/^user_login$/, 10002, 0) },
        'an ended session goes on' => { say => flip(qr/./, 6, 0) },
        'a refresh token is good twice' => {
            say => flip(qr/^user_refresh$/, 10007, 0) },
        operators(), providers(),
    );
}


sub operators {
    my $switch = sub { my ($on) = @_; return sub { my ($c) = @_; return {
        selling => $on, operator => '1', reason => $c->{v}{reason} // '',
        changed_at => Api::Ops::stamp(now()) } } };
    my $bill = qr/^seckill_bill$/;

    return (
        'a stop does nothing' => { instead('seckill_stop_selling',
                                           $switch->(0)) },
        'a resume does nothing' => { instead('seckill_resume_selling',
                                             $switch->(1)) },
        'who stops again gives the reason' => {
            say => change(qr/^seckill_stop_selling$/, sub {
                $_[0]{reason} .= 'x' }) },
        'what is closed is sold out' => {
            say => flip(qr/^seckill_buy/, 12, 60002) },
        'a bill is never asked for' => { instead('seckill_bill_ask',
            sub { return { day => $_[0]{v}{day}, state_text => 'asked',
                           provider => $_[0]{v}{provider} } }) },
        'a bill is of a trade less' => { say => change($bill, sub {
            $_[0]{trades} && $_[0]{trades}-- }) },
        'a bill hides a difference' => { say => change($bill, sub {
            pop @{$_[0]{differences} || []} }) },
        'a letter is not listed' => {
            say => change(qr/^seckill_dead_letters$/, sub {
                shift @{$_[0]{list}} }) },
        'a replay does nothing' => { instead('seckill_dead_replay',
            sub { return { id => $_[0]{v}{id}, state => 'replaying' } }) },
        'a letter is discarded for good or not' => {
            instead('seckill_dead_discard', sub { return {
                id => $_[0]{v}{id}, state => 'discarded' } }) },
        'a replay is a discard' => { ask => sub {
            my ($c, $q) = @_;
            $q->{body} = '{"reason":"a lie"}'
                if $c->{r} eq 'seckill_dead_replay'
                   && $q->{path} =~ s/replay$/discard/;
        }, say => change(qr/^seckill_dead_replay$/, sub {
            $_[0]{state} = 'replaying' if $_[0]{state} }) },
        'a stream is not shown' => {
            say => change(qr/^seckill_streams$/, sub {
                pop @{$_[0]{list}} }) },
        'a stream waits' => {
            say => change(qr/^seckill_streams$/, sub {
                my ($g) = map { @{$_->{groups}} } @{$_[0]{list}};
                $g && ++$g->{lag} }) },
    );
}


# another notice in place of one that the buyer's money hangs on

sub other_notice {
    my ($how, $other) = @_;

    return sub {
        my ($c, $q) = @_;
        return if !$c->{notice} || $c->{how} !~ $how;
        @$q{qw(body headers)} = @{$other->($c)}{qw(body headers)};
    };
}


sub providers {
    my $notice = qr/^seckill_(?:callback_|wechat_notify$)/;
    my %lies = (
        'a forged notice is taken' => { say => flip($notice, 6, 0) },
        'a notice for others is taken' => { say => flip($notice, 2, 0) },
        'a genuine notice is refused' => { say => flip($notice, 0, 6) },
        'any sum will do' => {
            ask => other_notice(qr/^amount$/, \&Api::Notice::payer) },
        'an unknown trade is forgotten' => {
            ask => other_notice(qr/^nobody$/, \&Api::Notice::idle) },
    );

    foreach my $r (qw(callback_alipay callback_wechat callback_wechat_refund
                      wechat_notify))
    {
        my $drop = other_notice(qr/^(?:paid|amount|nobody)$/,
                                 \&Api::Notice::idle);

        $lies{"$r takes and drops"} = { ask => sub {
            $drop->(@_) if $_[0]{r} eq "seckill_$r" } };
    }

    return %lies;
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
