package RushTest::Provider::Alipay;

# Copyright (C) Rush
#
# Alipay, gateway.do with RSA2, of the stand-in (see RushTest/Provider.pm).  A
# trade of precreate does not exist for query and close until it was scanned
# (set(state => 'SCANNED')) or paid, as at Alipay.  In certificate mode the SN
# of certificates are computed by openssl(1).

use warnings;
use strict;

use Digest::MD5 qw(md5_hex);
use Encode qw(decode_utf8 encode encode_utf8);
use IO::Compress::Zip qw(zip);
use Math::BigInt;
use Time::HiRes qw(time);

use RushTest::Provider::Crypto;

my $json = JSON::PP->new->canonical->utf8;

my %op = (
    'alipay.trade.precreate' => 'precreate',
    'alipay.trade.page.pay' => 'page',
    'alipay.trade.wap.pay' => 'wap',
    'alipay.trade.query' => 'aquery',
    'alipay.trade.close' => 'aclose',
    'alipay.trade.refund' => 'arefund',
    'alipay.trade.fastpay.refund.query' => 'arefund_query',
    'alipay.data.dataservice.bill.downloadurl.query' => 'abill',
);


sub unescape { return $_[0] =~ tr/+/ /r =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger }
sub escape { return $_[0] =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger }


# bytes of all fields, of the address and of the body

sub form {
    my ($q) = @_;

    return $q->{form} //= { map {
        my ($name, $value) = split /=/, $_, 2;
        (unescape($name), unescape($value // ''))
    } split /&/, join '&', grep { $_ ne '' } $q->{args}, $q->{body} };
}


sub op {
    my ($q) = @_;

    return 'adownload' if $q->{path} =~ m{^/abill};
    return $op{form($q)->{method} // ''} // 'unknown';
}


# --- certificate mode ---

sub use_certs {
    my ($dir) = @_;

    # of the bundle those count that are signed by RSA
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
           . "-nodes -keyout $dir/ec.key -out $dir/ec.crt -days 30 "
           . '-subj /C=CN/CN=ec 2> /dev/null') == 0 or die "openssl\n";

    my @root = map { "$dir/$_.crt" } qw(wx2 ec wx1);

    RushTest::Provider::write_all("$dir/root.crt",
        join '', map { RushTest::Provider::slurp($_) } @root);
    RushTest::Provider::write_all("$dir/sn", $json->encode({
        app_cert_sn => sn_of("$dir/app.crt"),
        alipay_root_cert_sn => join('_', map { sn_of($_) } @root[0, 2]),
        alipay_cert_sn => sn_of("$dir/alipay.crt") }));
}


sub sn_of {
    my ($file) = @_;
    my $text = `openssl x509 -in $file -noout -nameopt RFC2253 -issuer -serial`;
    my ($issuer, $serial) = $text =~ /^issuer=(.*)\nserial=(\w+)$/m
        or die "$file: $text\n";
    return md5_hex($issuer . Math::BigInt->from_hex($serial)->bstr());
}


# of app_cert_sn, alipay_root_cert_sn or alipay_cert_sn; '' in key mode

sub sn {
    my ($dir, $name) = @_;
    my $text = RushTest::Provider::slurp("$dir/sn");
    return $text eq '' ? '' : $json->decode($text)->{$name};
}


sub text_of {
    my ($f, @skip) = @_;

    my %skip = map { $_ => 1 } 'sign', @skip;

    return join '&', map { "$_=$f->{$_}" }
        grep { !$skip{$_} && $f->{$_} ne '' } sort keys %$f;
}


sub check {
    my ($q) = @_;

    return if $q->{op} eq 'adownload';

    my $f = form($q);

    return 'app_id' if ($f->{app_id} // '') ne $RushTest::Provider::APP;
    return 'charset' if lc($f->{charset} // '') ne 'utf-8';
    return 'version' if ($f->{version} // '') ne '1.0';
    return 'format' if ($f->{format} // 'JSON') ne 'JSON';
    return 'sign_type' if ($f->{sign_type} // '') ne 'RSA2';
    return 'timestamp' if ($f->{timestamp} // '')
        !~ /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/
        || abs(seconds($f->{timestamp}) - time()) > 900;

    foreach my $name (qw(app_cert_sn alipay_root_cert_sn)) {
        return $name if ($f->{$name} // '') ne sn($q->{dir}, $name);
    }

    return 'sign' if !RushTest::Provider::Crypto::verify("$q->{dir}/app.pub",
        text_of($f), $f->{sign} // '');

    $q->{data} = eval { $json->decode($f->{biz_content} // '{}') }
        // return 'biz_content';
    return;
}


# of a time in China

sub seconds {
    my ($text) = @_;
    require Time::Local;
    my ($y, $mon, $d, $h, $m, $s) = $text =~ /(\d+)/g;
    return Time::Local::timegm($s, $m, $h, $d, $mon - 1, $y) - 28800;
}


sub good { return { code => '10000', msg => 'Success', @_ } }


sub failed {
    my ($sub) = @_;
    return { code => $sub =~ /SYSTEM/ ? '20000' : '40004',
             msg => 'Business Failed', sub_code => $sub,
             sub_msg => "canary message of $sub" };
}


sub fen {
    my ($yuan) = @_;
    return ($yuan // '') =~ /^(\d{1,9})(?:\.(\d{1,2}))?$/
        ? $1 * 100 + substr(($2 // '') . '00', 0, 2) : undef;
}


sub yuan { return sprintf '%d.%02d', $_[0] / 100, $_[0] % 100 }


sub answer {
    my ($q) = @_;

    return download($q) if $q->{op} eq 'adownload';

    my %way = (precreate => \&precreate, page => \&page, wap => \&page,
               aquery => \&query, aclose => \&close_it, arefund => \&refund,
               arefund_query => \&refund_query, abill => \&bill_url);
    my $way = $way{$q->{op}};
    my $o = $q->{fault} =~ /^e\d*:([\w.-]+)$/ ? failed($1)
        : $q->{bad} ? { code => '40002', msg => 'Invalid Arguments',
              sub_code => $q->{bad} eq 'sign' ? 'isv.invalid-signature'
                  : "isv.invalid-$q->{bad}", sub_msg => 'canary' }
        : !$way ? { code => '40002', msg => 'Invalid Arguments',
                    sub_code => 'isv.invalid-method' }
        : RushTest::Provider::change($q->{dir}, sub { $way->($q) });

    return $o if $o->{status};          # a page

    my $name = $q->{bad} || !$way ? 'error_response'
        : (form($q)->{method} =~ tr/./_/r) . '_response';

    return { status => 200, type => 'text/html;charset=utf-8',
             name => $name, value => $json->encode($o) };
}


# a "/" is written "\/", as Alipay does

sub sign {
    my ($q, $r) = @_;

    my $fault = $q->{fault};
    my $value = $r->{value} =~ s{/}{\\/}gr;
    my $key = $fault =~ /^(?:wrongkey|othercert)$/ ? 'other' : 'alipay';
    my $sn = $fault eq 'othercert' ? 'ab' x 16
        : sn($q->{dir}, 'alipay_cert_sn');
    my $sign = RushTest::Provider::Crypto::sign("$q->{dir}/$key.key", $value);

    $sign =~ s/^(.)/$1 eq 'A' ? 'B' : 'A'/e if $fault =~ /^(?:forged|stale)$/;
    $sign = "SIGNTEST$sign" if $fault eq 'signtest';

    $r->{body} = qq({"$r->{name}":$value)
        . ($sn eq '' ? '' : qq(,"alipay_cert_sn":"$sn"))
        . ($fault eq 'unsigned' || $r->{name} eq 'error_response' ? ''
           : ',"sign":"' . ($sign =~ s{/}{\\/}gr) . '"') . '}';
}


sub trade { return RushTest::Provider::load($_[0]{dir}, 'trade', $_[1] // '') }


sub wrong {
    my ($d) = @_;

    return 'out_trade_no' if ($d->{out_trade_no} // '')
        !~ /^[0-9A-Za-z_]{1,64}$/;
    return 'total_amount' if !(fen($d->{total_amount}) // 0);
    return 'subject' if ($d->{subject} // '') eq ''
        || length $d->{subject} > 256 || $d->{subject} =~ m{[/=&]};
    return 'time_expire' if defined $d->{time_expire} && $d->{time_expire}
        !~ /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
    return;
}


# made, or the one that is there; or why not

sub make {
    my ($q, $state) = @_;

    my $d = $q->{data};
    my $no = $d->{out_trade_no};
    my $trade = wrong($d) ? return 'ACQ.INVALID_PARAMETER' : trade($q, $no);

    if ($trade) {
        return 'ACQ.TRADE_HAS_CLOSE' if $trade->{state} eq 'TRADE_CLOSED';
        return 'ACQ.TRADE_HAS_SUCCESS' if $trade->{paid};
        return 'ACQ.CONTEXT_INCONSISTENT'
            if $trade->{total} != fen($d->{total_amount})
               || $trade->{subject} ne $d->{subject};
        return $trade;
    }

    return RushTest::Provider::store($q->{dir}, 'trade', $no, {
        no => $no, provider => 'alipay', state => $state,
        total => fen($d->{total_amount}), subject => $d->{subject},
        notify_url => form($q)->{notify_url}, made => time(),
        return_url => form($q)->{return_url}, expire => $d->{time_expire},
        product => $d->{product_code} });
}


sub precreate {
    my ($q) = @_;

    my $trade = make($q, 'SCANNED_NOT');
    return failed($trade) if !ref $trade;

    # nobody has scanned it: for others it is not there
    if ($trade->{state} eq 'SCANNED_NOT') {
        $trade->{state} = 'NOTPAY';
        RushTest::Provider::store($q->{dir}, 'trade', $trade->{no}, $trade);
    }

    return good(out_trade_no => $trade->{no},
                qr_code => "https://qr.alipay.com/bax$trade->{no}");
}


sub page {
    my ($q) = @_;

    my %product = (page => 'FAST_INSTANT_TRADE_PAY', wap => 'QUICK_WAP_WAY');
    my $trade = ($q->{data}{product_code} // '') eq $product{$q->{op}}
        ? make($q, 'WAIT_BUYER_PAY') : 'ACQ.INVALID_PARAMETER';

    return { status => ref $trade ? 200 : 400, type => 'text/html',
             plain => 1, body => ref $trade ? "a page to pay $trade->{no}\n"
                                            : "$trade\n" };
}


# the trade that is asked for, as far as it exists

sub known {
    my ($q) = @_;

    my $d = $q->{data};
    my ($trade) = defined $d->{trade_no}
        ? grep { ($_->{id} // '') eq $d->{trade_no} }
            RushTest::Provider::all($q->{dir}, 'trade')
        : trade($q, $d->{out_trade_no});

    return if !$trade || $trade->{provider} ne 'alipay'
        || $trade->{state} eq 'NOTPAY';

    $trade->{id} //= RushTest::Provider::number();
    return $trade;
}


sub query {
    my ($q) = @_;

    my $trade = known($q) // return failed('ACQ.TRADE_NOT_EXIST');
    my $state = $trade->{state} eq 'SCANNED' ? 'WAIT_BUYER_PAY'
        : $trade->{state};
    my $back = RushTest::Provider::refunded($q->{dir}, $trade->{no});

    $state = 'TRADE_CLOSED' if $trade->{paid} && $back >= $trade->{total};

    return good(trade_no => $trade->{id}, out_trade_no => $trade->{no},
        trade_status => $state, total_amount => yuan($trade->{total}),
        buyer_logon_id => 'can***@example.com', buyer_user_id => '20881',
        point_amount => '0.00', invoice_amount => yuan($trade->{total}),
        $trade->{paid} ? (receipt_amount => yuan($trade->{total}),
            buyer_pay_amount => yuan($trade->{total}),
            fund_bill_list => [{ amount => yuan($trade->{total}),
                                 fund_channel => 'ALIPAYACCOUNT' }],
            send_pay_date => RushTest::Provider::china($trade->{paid}))
        : (receipt_amount => '0.00', buyer_pay_amount => '0.00'));
}


sub close_it {
    my ($q) = @_;

    my $trade = known($q) // return failed('ACQ.TRADE_NOT_EXIST');

    return failed('ACQ.TRADE_STATUS_ERROR') if $trade->{paid};
    return failed('ACQ.TRADE_HAS_CLOSE') if $trade->{state} eq 'TRADE_CLOSED';

    $trade->{state} = 'TRADE_CLOSED';
    RushTest::Provider::store($q->{dir}, 'trade', $trade->{no}, $trade);
    return good(trade_no => $trade->{id}, out_trade_no => $trade->{no});
}


sub refund {
    my ($q) = @_;

    my $d = $q->{data};
    my $trade = known($q) // return failed('ACQ.TRADE_NOT_EXIST');
    my $sum = fen($d->{refund_amount});
    my $no = $d->{out_request_no} // $trade->{no};

    return failed('ACQ.INVALID_PARAMETER') if !$sum;
    return failed('ACQ.TRADE_STATUS_ERROR') if !$trade->{paid};
    return failed('ACQ.TRADE_HAS_FINISHED')
        if $trade->{state} eq 'TRADE_FINISHED';

    my $refund = RushTest::Provider::load($q->{dir}, 'refund', $no);
    my $moved = 'N';

    if ($refund) {
        return failed('ACQ.DISCORDANT_REPEAT_REQUEST')
            if $refund->{amount} != $sum;

    } else {
        return failed('ACQ.REASON_TRADE_REFUND_FEE_ERR')
            if RushTest::Provider::refunded($q->{dir}, $trade->{no}) + $sum
               > $trade->{total};

        $moved = 'Y';
        $refund = { no => $no, trade => $trade->{no}, amount => $sum,
                    provider => 'alipay', state => 'SUCCESS',
                    made => time(), done => time() };
        RushTest::Provider::store($q->{dir}, 'refund', $no, $refund);
    }

    my $all = RushTest::Provider::refunded($q->{dir}, $trade->{no});

    return good(trade_no => $trade->{id},
        out_trade_no => $q->{fault} eq 'elsewhere' ? '1' : $trade->{no},
        fund_change => $moved, refund_fee => yuan($all),
        send_back_fee => yuan($sum), buyer_logon_id => 'can***@example.com',
        gmt_refund_pay => RushTest::Provider::china($refund->{done}));
}


sub refund_query {
    my ($q) = @_;

    my $trade = known($q) // return failed('ACQ.TRADE_NOT_EXIST');
    my $no = $q->{data}{out_request_no} // '';
    my $refund = RushTest::Provider::load($q->{dir}, 'refund', $no);

    # one that is not there is no error
    return good() if !$refund || $refund->{trade} ne $trade->{no};

    return good(trade_no => $trade->{id}, out_trade_no => $trade->{no},
        out_request_no => $no, total_amount => yuan($trade->{total}),
        refund_amount => yuan($refund->{amount}),
        $refund->{state} eq 'SUCCESS' ? (refund_status => 'REFUND_SUCCESS',
            gmt_refund_pay => RushTest::Provider::china($refund->{done}))
        : ());
}


# --- bills: a zip of two CSV in GBK ---

my ($head, $title, $account, $begin, $end, $export, $file)
    = RushTest::Provider::words('alipay');


sub line {
    my ($trade, $refund) = @_;

    my $sign = $refund ? '-' : '';
    my $sum = $sign . yuan($refund ? $refund->{amount} : $trade->{total});
    my $fee = ($refund ? '' : '-') . sprintf '%.2f',
        ($refund ? $refund->{amount} : $trade->{total}) * 0.00006;
    my ($made, $done) = map { RushTest::Provider::china($_) }
        $trade->{made} // $trade->{paid},
        $refund ? $refund->{done} : $trade->{paid};

    return join ',', map { "$_\t" } $trade->{id}, $trade->{no},
        $refund ? "\xe9\x80\x80\xe6\xac\xbe" : "\xe4\xba\xa4\xe6\x98\x93",
        encode_utf8($trade->{subject} // ''), $made, $done, '', '', '', '',
        'can***@example.com', $sum, $sum, ('0.00') x 5, '', '0.00', '0.00',
        $refund ? $refund->{no} : '', $fee, '0.00', '';
}


sub bill {
    my ($dir, $day) = @_;

    my @lines;

    foreach my $trade (RushTest::Provider::all($dir, 'trade'),
                       RushTest::Provider::rows($dir))
    {
        next if ($trade->{provider} // 'wechat') ne 'alipay'
            || !$trade->{paid};
        push @lines, line($trade)
            if RushTest::Provider::day($trade->{paid}) eq $day;
        push @lines, map { line($trade, $_) }
            grep { RushTest::Provider::day($_->{made}) eq $day }
            RushTest::Provider::refunds_of($dir, $trade->{no});
    }

    return if !@lines;

    return join "\r\n", "#$title",
        "#$account\[${RushTest::Provider::SELLER}0156]", "#$begin", $head,
        @lines, "#$end", "#$export\[" . RushTest::Provider::china(time()) . ']',
        '';
}


sub bill_url {
    my ($q) = @_;

    my $d = $q->{data};

    return failed('isp.bill_not_exist')
        if ($d->{bill_type} // '') ne 'trade'
           || ($d->{bill_date} // '') !~ /^\d{4}-\d\d-\d\d$/
           || !defined bill($q->{dir}, $d->{bill_date});

    my $port = RushTest::Provider::slurp("$q->{dir}/port");

    return good(bill_download_url => "http://127.0.0.1:$port/abill?"
                . "date=$d->{bill_date}&token=canary");
}


sub download {
    my ($q) = @_;

    my ($day) = $q->{args} =~ /date=([\d-]+)/;
    my $text = decode_utf8(bill($q->{dir}, $day // '') // '');
    my $csv = encode('cp936', $text);
    my $zip;

    zip(\$csv => \$zip, Name => $RushTest::Provider::SELLER . '0156_'
        . ($day =~ s/-//gr) . encode('cp936', decode_utf8("_$file.csv")));
    return { status => 200, type => 'application/zip', body => $zip,
             plain => 1 };
}


# --- notices ---

sub notice {
    my ($dir, $trade, $refund, %o) = @_;

    my $at = RushTest::Provider::china(time() - ($o{age} // 0));
    my $back = RushTest::Provider::refunded($dir, $trade->{no});
    my $total = yuan($o{total} // $trade->{total});
    my %f = (
        notify_time => $at, notify_type => 'trade_status_sync',
        notify_id => $o{id} // RushTest::Provider::number() . '000',
        app_id => $o{app} // $RushTest::Provider::APP,
        auth_app_id => $o{app} // $RushTest::Provider::APP,
        charset => 'utf-8', version => '1.0', sign_type => 'RSA2',
        trade_no => $trade->{id} // RushTest::Provider::number(),
        out_trade_no => $trade->{no}, buyer_id => '2088102534368455',
        buyer_logon_id => 'can***@example.com',
        seller_id => $o{seller} // $RushTest::Provider::SELLER,
        seller_email => 'canary@example.com',
        trade_status => $o{state} // ($trade->{state} =~ /^TRADE/
            ? $trade->{state} : 'TRADE_SUCCESS'),
        total_amount => $total, receipt_amount => $total,
        invoice_amount => $total, buyer_pay_amount => $total,
        point_amount => '0.00', subject => encode_utf8($trade->{subject}
                                                       // 'canary subject'),
        gmt_create => RushTest::Provider::china($trade->{made} // time()),
        gmt_payment => RushTest::Provider::china($trade->{paid} // time()),
        fund_bill_list => '[{"amount":"' . $total
            . '","fundChannel":"ALIPAYACCOUNT"}]');

    my $sn = sn($dir, 'alipay_cert_sn');
    $f{alipay_cert_sn} = $sn if $sn ne '';

    if ($refund) {
        $f{gmt_refund} = RushTest::Provider::china($refund->{done}) . '.120';
        $f{refund_fee} = yuan($back);
        $f{out_biz_no} = $refund->{no};
        $f{trade_status} = $o{state} // ($back >= $trade->{total}
            ? 'TRADE_CLOSED' : 'TRADE_SUCCESS');
    }

    %f = (%f, %{$o{fields} || {}});
    delete @f{grep { !defined $f{$_} } keys %f};

    $f{sign} = RushTest::Provider::Crypto::sign(
        "$dir/" . ($o{key} // 'alipay') . '.key',
        text_of(\%f, $o{keep} ? () : 'sign_type', @{$o{skip} || []}));
    $f{sign} =~ s/^(.)/$1 eq 'A' ? 'B' : 'A'/e if $o{forged};
    $f{sign} = "SIGNTEST$f{sign}" if $o{signtest};
    delete $f{sign} if $o{unsigned};

    my ($path) = ($trade->{notify_url} // '') =~ m{^https?://[^/]+(/.*)};

    return { path => $path // '/api/v1/payment/callback/alipay',
             type => 'application/x-www-form-urlencoded; charset=utf-8',
             headers => {}, fields => \%f,
             body => join '&', map { escape($_) . '=' . escape($f{$_}) }
                 sort keys %f };
}


1;
