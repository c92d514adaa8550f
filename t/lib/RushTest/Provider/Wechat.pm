package RushTest::Provider::Wechat;

# Copyright (C) Rush
#
# WeChat Pay, API v3, of the stand-in (see RushTest/Provider.pm).

use warnings;
use strict;

use Compress::Zlib ();
use Digest::SHA qw(sha1_hex);
use Encode qw(decode_utf8 encode_utf8);
use Time::HiRes qw(time);

use RushTest::Provider::Crypto;

my $json = JSON::PP->new->canonical->utf8;

my %event = (SUCCESS => 'REFUND.SUCCESS', ABNORMAL => 'REFUND.ABNORMAL',
             CLOSED => 'REFUND.CLOSED');


sub op {
    my ($q) = @_;

    my $p = "$q->{method} $q->{path}";

    return $1 if $p =~ m{^POST /v3/pay/transactions/(native|jsapi|h5)$};
    return 'query'
        if $p =~ m{^GET /v3/pay/transactions/(?:out-trade-no|id)/[^/]+$};
    return 'close'
        if $p =~ m{^POST /v3/pay/transactions/out-trade-no/[^/]+/close$};
    return 'refund' if $p eq 'POST /v3/refund/domestic/refunds';
    return 'refund_query' if $p =~ m{^GET /v3/refund/domestic/refunds/[^/]+$};
    return 'certificates' if $p eq 'GET /v3/certificates';
    return 'tradebill' if $p eq 'GET /v3/bill/tradebill';
    return 'download' if $p eq 'GET /v3/billdownload/file';
    return 'unknown';
}


# why this would be refused, or undef

sub check {
    my ($q) = @_;

    my $h = $q->{headers};
    my ($scheme, $rest) = split / /, $h->{authorization} // '', 2;
    my %a = ($rest // '') =~ /(\w+)="([^"]*)"/g;

    return 'no User-Agent' if ($h->{'user-agent'} // '') eq '';
    return 'no Accept' if ($h->{accept} // '') !~ m{application/json|\*/\*}
        && $q->{op} ne 'download';
    return 'no JSON' if $q->{body} ne ''
        && ($h->{'content-type'} // '') !~ m{^application/json};
    return 'scheme' if $scheme ne 'WECHATPAY2-SHA256-RSA2048';
    return 'mchid' if ($a{mchid} // '') ne $RushTest::Provider::MCHID;
    return 'serial_no'
        if ($a{serial_no} // '') ne $RushTest::Provider::SERIAL{merchant};
    return 'nonce_str' if ($a{nonce_str} // '') !~ /^[0-9A-Za-z]{8,32}$/;
    return 'timestamp' if ($a{timestamp} // '') !~ /^\d{10}$/
        || abs($a{timestamp} - time()) >= 300;

    my $text = join '', map { "$_\n" } $q->{method}, $q->{target},
        @a{qw(timestamp nonce_str)}, $q->{body};

    return 'signature' if !RushTest::Provider::Crypto::verify(
        "$q->{dir}/merchant.crt", $text, $a{signature} // '');
    return 'body' if $q->{method} eq 'POST' && !body($q);
    return;
}


sub body {
    my ($q) = @_;
    return $q->{data} //= eval { $json->decode($q->{body}) };
}


sub ok_ { return { status => 200, body => $json->encode($_[0]) } }


sub error {
    my ($status, $code) = @_;
    return { status => $status, body => $json->encode({ code => $code,
        message => "canary message of $code", detail => {} }) };
}


sub answer {
    my ($q) = @_;

    return error($1, $2) if $q->{fault} =~ /^[eu](\d+):(\w+)$/;
    return error(401, 'SIGN_ERROR') if $q->{bad};

    my %way = (native => \&prepay, jsapi => \&prepay, h5 => \&prepay,
               query => \&query, close => \&close_it, refund => \&refund,
               refund_query => \&refund_query, tradebill => \&tradebill,
               certificates => \&certificates, download => \&download);
    my $way = $way{$q->{op}} || return error(404, 'RESOURCE_NOT_EXISTS');

    return RushTest::Provider::change($q->{dir}, sub { $way->($q) });
}


sub trade { return RushTest::Provider::load($_[0]{dir}, 'trade', $_[1]) }


# what is wrong with the body of a prepay, or undef

sub wrong {
    my ($op, $d) = @_;

    return 'appid' if ($d->{appid} // '') ne $RushTest::Provider::APPID;
    return 'mchid' if ($d->{mchid} // '') ne $RushTest::Provider::MCHID;
    return 'description' if ($d->{description} // '') eq ''
        || length encode_utf8($d->{description}) > 127 * 3
        || length $d->{description} > 127;
    return 'out_trade_no' if ($d->{out_trade_no} // '')
        !~ /^[0-9A-Za-z_|*-]{6,32}$/;
    return 'notify_url' if ($d->{notify_url} // '') !~ m{^https?://[^?]+$};
    return 'amount' if ref $d->{amount} ne 'HASH'
        || ($d->{amount}{total} // '') !~ /^[1-9]\d*$/
        || ($d->{amount}{currency} // 'CNY') ne 'CNY';
    return 'time_expire' if defined $d->{time_expire} && $d->{time_expire}
        !~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/;
    return 'payer' if $op eq 'jsapi' && ($d->{payer}{openid} // '') eq '';
    return 'scene_info' if $op eq 'h5'
        && (($d->{scene_info}{payer_client_ip} // '') eq ''
            || ($d->{scene_info}{h5_info}{type} // '')
               !~ /^(?:iOS|Android|Wap)$/);
    return;
}


sub prepay {
    my ($q) = @_;

    my $d = body($q);
    my $wrong = wrong($q->{op}, $d);

    return error(400, 'PARAM_ERROR') if $wrong;

    my $no = $d->{out_trade_no};
    my $trade = trade($q, $no);

    if ($trade) {
        return error(400, 'ORDER_CLOSED') if $trade->{state} eq 'CLOSED';
        return error(403, 'ORDER_PAID') if $trade->{state} ne 'NOTPAY';
        return error(400, 'INVALID_REQUEST')
            if $trade->{asked} ne $q->{op} . $q->{body};

    } else {
        my %type = (native => 'NATIVE', jsapi => 'JSAPI', h5 => 'MWEB');

        $trade = { no => $no, provider => 'wechat', state => 'NOTPAY',
                   total => $d->{amount}{total}, type => $type{$q->{op}},
                   notify_url => $d->{notify_url}, attach => $d->{attach},
                   openid => $d->{payer}{openid} // 'oCanaryPayer0001',
                   subject => $d->{description}, asked => $q->{op}
                   . $q->{body}, expire => $d->{time_expire},
                   prepay => 'wx' . RushTest::Provider::number(),
                   made => time() };
        RushTest::Provider::store($q->{dir}, 'trade', $no, $trade);
    }

    return ok_({ code_url => "weixin://wxpay/bizpayurl?pr=$trade->{prepay}" })
        if $q->{op} eq 'native';
    return ok_({ h5_url => 'https://wx.tenpay.com/cgi-bin/mmpayweb-bin/'
                     . "checkmweb?prepay_id=$trade->{prepay}&package=1" })
        if $q->{op} eq 'h5';
    return ok_({ prepay_id => $trade->{prepay} });
}


# the object of a trade, as a query and a notice have it

sub object {
    my ($trade, %o) = @_;

    my $state = $o{state} // $trade->{state};
    my $total = $o{total} // $trade->{total};
    my %r = (appid => $o{appid} // $RushTest::Provider::APPID,
             mchid => $o{mchid} // $RushTest::Provider::MCHID,
             out_trade_no => $trade->{no}, trade_state => $state,
             trade_state_desc => decode_utf8("\xe6\x94\xaf\xe4\xbb\x98"),
             amount => { total => $total + 0,
                         currency => $o{currency} // 'CNY' });

    $r{attach} = $trade->{attach} if defined $trade->{attach};

    if ($trade->{paid}) {
        %r = (%r, transaction_id => $trade->{id}, bank_type => 'OTHERS',
              trade_type => $trade->{type} // 'NATIVE',
              success_time => RushTest::Provider::rfc3339($trade->{paid}),
              payer => { openid => $trade->{openid} // 'oCanaryPayer0001' });
        $r{amount}{payer_total} = $total + 0;
        $r{amount}{payer_currency} = 'CNY';
    }

    return { %r, %{$o{fields} || {}} };
}


sub query {
    my ($q) = @_;

    my ($by, $no) = $q->{path} =~ m{/(id|out-trade-no)/([^/]+)$};

    return error(400, 'PARAM_ERROR')
        if $q->{args} ne "mchid=$RushTest::Provider::MCHID";

    my ($trade) = $by eq 'id'
        ? grep { ($_->{id} // '') eq $no }
            RushTest::Provider::all($q->{dir}, 'trade')
        : trade($q, $no);

    return error(404, 'ORDER_NOT_EXIST')
        if !$trade || $trade->{provider} ne 'wechat';

    my $back = RushTest::Provider::refunded($q->{dir}, $trade->{no});

    return ok_(object($trade, $back ? (state => 'REFUND') : ()));
}


sub close_it {
    my ($q) = @_;

    my ($no) = $q->{path} =~ m{/([^/]+)/close$};
    my $trade = trade($q, $no);

    return error(400, 'PARAM_ERROR')
        if (body($q)->{mchid} // '') ne $RushTest::Provider::MCHID;
    return error(404, 'ORDER_NOT_EXIST')
        if !$trade || $trade->{provider} ne 'wechat';
    return error(400, 'ORDER_PAID') if $trade->{state} !~ /^(?:NOTPAY|CLOSED)$/;

    $trade->{state} = 'CLOSED';
    RushTest::Provider::store($q->{dir}, 'trade', $no, $trade);
    return { status => 204, body => '' };
}


sub refund {
    my ($q) = @_;

    my $d = body($q);
    my $no = $d->{out_refund_no} // '';
    my $a = $d->{amount};

    return error(400, 'PARAM_ERROR')
        if $no !~ /^[0-9A-Za-z_|*@-]{1,64}$/ || ref $a ne 'HASH'
           || ($a->{refund} // '') !~ /^[1-9]\d*$/
           || ($a->{total} // '') !~ /^[1-9]\d*$/
           || ($a->{currency} // '') ne 'CNY'
           || length($d->{reason} // '') > 80;

    my ($trade) = defined $d->{transaction_id}
        ? grep { ($_->{id} // '') eq $d->{transaction_id} }
            RushTest::Provider::all($q->{dir}, 'trade')
        : trade($q, $d->{out_trade_no} // '');

    return error(404, 'RESOURCE_NOT_EXISTS')
        if !$trade || $trade->{provider} ne 'wechat';
    return error(403, 'TRADE_ERROR') if !$trade->{paid};
    return error(400, 'INVALID_REQUEST') if $a->{total} != $trade->{total};

    my $refund = RushTest::Provider::load($q->{dir}, 'refund', $no);

    if ($refund) {
        return error(400, 'INVALID_REQUEST')
            if $refund->{asked} ne $q->{body};

    } else {
        return error(400, 'INVALID_REQUEST')
            if RushTest::Provider::refunded($q->{dir}, $trade->{no})
               + $a->{refund} > $trade->{total};

        $refund = { no => $no, trade => $trade->{no}, amount => $a->{refund},
                    state => 'PROCESSING', id => RushTest::Provider::number(),
                    notify_url => $d->{notify_url}, asked => $q->{body},
                    made => time() };
        RushTest::Provider::store($q->{dir}, 'refund', $no, $refund);
    }

    return ok_(refund_object($trade, $refund));
}


sub refund_object {
    my ($trade, $refund) = @_;

    my $sum = $refund->{amount} + 0;
    my $total = $trade->{total} + 0;

    return { refund_id => $refund->{id}, out_refund_no => $refund->{no},
             transaction_id => $trade->{id}, out_trade_no => $trade->{no},
             channel => 'ORIGINAL', user_received_account => 'canary account',
             create_time => RushTest::Provider::rfc3339($refund->{made}),
             status => $refund->{state}, funds_account => 'AVAILABLE',
             $refund->{state} eq 'SUCCESS' ? (success_time =>
                 RushTest::Provider::rfc3339($refund->{done})) : (),
             amount => { total => $total, refund => $sum,
                         payer_total => $total, payer_refund => $sum,
                         settlement_refund => $sum, discount_refund => 0,
                         settlement_total => $total, currency => 'CNY' },
             promotion_detail => [] };
}


sub refund_query {
    my ($q) = @_;

    my ($no) = $q->{path} =~ m{/([^/]+)$};
    my $refund = RushTest::Provider::load($q->{dir}, 'refund',
                                          $no =~ s/%(..)/chr hex $1/ger);

    return error(404, 'RESOURCE_NOT_EXISTS')
        if !$refund || $refund->{provider};
    return ok_(refund_object(trade($q, $refund->{trade}), $refund));
}


sub certificates {
    my ($q) = @_;

    my @rows;

    foreach my $name (split / /, RushTest::Provider::slurp(
                          "$q->{dir}/certs"))
    {
        my $nonce = sprintf '%012x', rand 2 ** 48;

        push @rows, {
            serial_no => $RushTest::Provider::SERIAL{$name},
            effective_time => RushTest::Provider::rfc3339(time() - 3600),
            expire_time => RushTest::Provider::rfc3339(time() + 86400 * 29),
            encrypt_certificate => { algorithm => 'AEAD_AES_256_GCM',
                nonce => $nonce, associated_data => 'certificate',
                ciphertext => RushTest::Provider::Crypto::seal(
                    $RushTest::Provider::APIV3, $nonce, 'certificate',
                    RushTest::Provider::slurp("$q->{dir}/$name.crt")) } };
    }

    return ok_({ data => \@rows });
}


# --- bills ---

my ($columns, $summary) = RushTest::Provider::words('wechat');


sub yuan { return sprintf '%d.%02d', $_[0] / 100, $_[0] % 100 }


# a trade, or a refund of it

sub line {
    my ($trade, $refund) = @_;

    my $at = RushTest::Provider::china($refund ? $refund->{made}
                                               : $trade->{paid});
    my $back = $refund ? yuan($refund->{amount}) : '0.00';
    my $all = $refund ? '0.00' : yuan($trade->{total});
    my $fee = sprintf '%s%.5f', $refund ? '-' : '',
        ($refund ? $refund->{amount} : $trade->{total}) * 0.00006;

    return join ',', map { "`$_" } $at, $RushTest::Provider::APPID,
        $RushTest::Provider::MCHID, 0, '', $trade->{id}, $trade->{no},
        $trade->{openid} // '', $trade->{type} // 'NATIVE',
        $refund ? 'REFUND' : 'SUCCESS', 'OTHERS', 'CNY', $all, '0.00',
        $refund ? ($refund->{id}, $refund->{no}) : (0, 0), $back, '0.00',
        $refund ? ('ORIGINAL', $refund->{state}) : ('', ''),
        encode_utf8($trade->{subject} // ''), '', $fee, '0.60%', $all, $back,
        '';
}


sub bill {
    my ($dir, $day, $type) = @_;

    my (@lines, %sum);

    foreach my $trade (RushTest::Provider::all($dir, 'trade'),
                       RushTest::Provider::rows($dir))
    {
        next if ($trade->{provider} // 'wechat') ne 'wechat'
            || !$trade->{paid};

        if ($type ne 'REFUND'
            && RushTest::Provider::day($trade->{paid}) eq $day)
        {
            push @lines, line($trade);
            $sum{total} += $trade->{total};
        }

        foreach my $refund (RushTest::Provider::refunds_of($dir,
                                                            $trade->{no}))
        {
            next if $type eq 'SUCCESS'
                || RushTest::Provider::day($refund->{made}) ne $day;
            push @lines, line($trade, $refund);
            $sum{refund} += $refund->{amount};
        }
    }

    return if !@lines;

    my ($total, $back) = map { yuan($_ // 0) } @sum{qw(total refund)};

    return join "\r\n", $columns, @lines, $summary,
        join(',', map { "`$_" } scalar @lines, $total, $back, '0.00', '0.00',
             $total, $back), '';
}


sub tradebill {
    my ($q) = @_;

    my %a = map { split /=/, $_, 2 } split /&/, $q->{args};
    my $type = $a{bill_type} // 'ALL';

    return error(400, 'PARAM_ERROR')
        if ($a{bill_date} // '') !~ /^\d{4}-\d\d-\d\d$/
           || $type !~ /^(?:ALL|SUCCESS|REFUND)$/;

    my $text = bill($q->{dir}, $a{bill_date}, $type)
        // return error(400, 'NO_STATEMENT_EXIST');
    my $hash = sha1_hex($text);
    my $port = RushTest::Provider::slurp("$q->{dir}/port");
    my $zip = ($a{tar_type} // '') eq 'GZIP' ? '&tartype=gzip' : '';

    $hash =~ tr/0-9a-f/1-9a-f0/ if $q->{fault} eq 'badhash';

    return ok_({ hash_type => 'SHA1', hash_value => $hash,
                 download_url => "http://127.0.0.1:$port/v3/billdownload/"
                 . "file?token=$a{bill_date}.$type$zip" });
}


sub download {
    my ($q) = @_;

    my ($day, $type) = $q->{args} =~ /^token=(\d{4}-\d\d-\d\d)\.(\w+)/
        or return error(400, 'PARAM_ERROR');
    my $text = bill($q->{dir}, $day, $type) // '';

    $text = Compress::Zlib::memGzip($text) if $q->{args} =~ /tartype=gzip/;
    return { status => 200, type => 'text/plain', body => $text, plain => 1 };
}


# --- signatures of WeChat's side ---

# the name of the key that signs, when the other side asks for one

sub signer {
    my ($dir, $wanted) = @_;

    my $name = RushTest::Provider::slurp("$dir/signer");

    return $name if $name ne '';
    return 'wxpub' if ($wanted // '') =~ /^PUB_KEY_ID_/;
    return (split / /, RushTest::Provider::slurp("$dir/certs"))[0] // 'wx1';
}


# headers over a body; o: key, serial, age, forged, signtest, unsigned

sub seal {
    my ($dir, $body, %o) = @_;

    return {} if $o{unsigned};

    my $key = $o{key} // 'wx1';
    my $at = int(time()) - ($o{age} // 0);
    my $nonce = sprintf '%08x%08x%08x', map { rand 2 ** 32 } 1 .. 3;
    my $sign = RushTest::Provider::Crypto::sign("$dir/$key.key",
                                                "$at\n$nonce\n$body\n");

    $sign =~ s/^(.)/$1 eq 'A' ? 'B' : 'A'/e if $o{forged};
    $sign = "WECHATPAY/SIGNTEST/$sign" if $o{signtest};

    return { 'Wechatpay-Timestamp' => $at, 'Wechatpay-Nonce' => $nonce,
             'Wechatpay-Serial' => $o{serial}
                 // $RushTest::Provider::SERIAL{$key},
             'Wechatpay-Signature' => $sign,
             'Wechatpay-Signature-Type' => 'WECHATPAY2-SHA256-RSA2048' };
}


sub sign {
    my ($q, $r) = @_;

    my $fault = $q->{fault};
    my $key = signer($q->{dir}, $q->{headers}{'wechatpay-serial'});

    # errors may come without
    return if $r->{status} >= 400
        && ($fault =~ /^u/ || ($fault eq 'ok' && $q->{bad}));

    $r->{headers} = seal($q->{dir}, $r->{body}, key => $key,
        $fault eq 'wrongkey' ? (key => 'other', serial =>
                                $RushTest::Provider::SERIAL{$key}) : (),
        $fault eq 'stale' ? (age => 400) : (),
        map { $_ => 1 } grep { $fault eq $_ } qw(forged signtest unsigned));
}


# --- notices ---

sub notice {
    my ($dir, $trade, $refund, %o) = @_;

    my $object;

    if ($refund) {
        $object = refund_object($trade, $refund);
        $object->{refund_status} = delete $object->{status};
        $object->{mchid} = $o{mchid} // $RushTest::Provider::MCHID;
        delete @$object{qw(channel create_time funds_account
                           promotion_detail)};
        delete @{$object->{amount}}{qw(currency settlement_refund
                                       settlement_total discount_refund)};
        $object->{amount}{refund} = $o{total} if defined $o{total};
        $object = { %$object, %{$o{fields} || {}} };

    } else {
        $object = object($trade, %o);
    }

    my $original = $refund ? 'refund' : 'transaction';
    my $nonce = sprintf '%012x', rand 2 ** 48;
    my $body = $json->encode({
        id => $o{id} // 'EV-' . RushTest::Provider::number(),
        create_time => RushTest::Provider::rfc3339(time()),
        resource_type => 'encrypt-resource',
        event_type => $o{type} // ($refund
            ? $event{$refund->{state}} // 'REFUND.SUCCESS'
            : 'TRANSACTION.SUCCESS'),
        summary => 'canary summary',
        resource => { original_type => $original,
            algorithm => 'AEAD_AES_256_GCM', associated_data => $original,
            nonce => $nonce,
            ciphertext => RushTest::Provider::Crypto::seal(
                $o{apiv3} // $RushTest::Provider::APIV3, $nonce, $original,
                $json->encode($object)) } });

    my $url = $refund ? $refund->{notify_url} : $trade->{notify_url};
    my ($path) = ($url // '') =~ m{^https?://[^/]+(/.*)};
    my $key = $o{key} // signer($dir, $o{serial});

    return { path => $path // '/api/v1/payment/callback/wechat'
                     . ($refund ? '/refund' : ''),
             type => 'application/json', body => $body,
             headers => seal($dir, $body, %o, key => $key) };
}


1;
