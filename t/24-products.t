#!/usr/bin/perl

# Copyright (C) Rush
#
# Products: lists and their filters, details, the short cache in front of
# them, and what an administrator changes.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use POSIX ();
use RushTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = RushTest->new();

my $TOP = '/api/v1/products';
my $UNKNOWN = 987_654_321;

my $tea = "\x{8336}";
my $smile = "\x{1f600}";


sub data { return $_[0]{json}{data} }

sub told { return "$_[0]{status} " . ($_[0]{code} // '-') }


sub admin {
    my ($method, $path, $data) = @_;

    return $t->request($method, "/api/v1/admin/products$path", admin => 1,
                       defined $data ? (data => $data) : ());
}


sub create {
    my (%o) = @_;

    my $r = admin('POST', '', { title => 'Thing', price => 100, %o });
    is(told($r), '200 0', 'created') or diag($r->{body});

    return data($r);
}


sub encoded {
    my ($text) = @_;
    utf8::encode($text);
    return $text =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}


# totals and titles; the cache of lists is a second old at most

sub listed {
    my ($query) = @_;

    my $d = data($t->get("$TOP?$query"));

    return join ' ', @$d{qw(total page page_size total_page)}, '',
        map { $_->{title} } @{$d->{list}};
}


sub becomes {
    my ($path, $what, $want) = @_;

    my $from = time();
    my $got;

    ok($t->wait_for(sub {
        $got = data($t->get("$TOP/$path"))->{$what};
        return defined $got && $got eq $want;
    }, 3, "$what of $path"), "$what is $want") or diag($got);

    cmp_ok(time() - $from, '<=', 1.1 * $RushTest::SLOW, 'within a second');
}


sub loads {
    my ($n) = $t->get('/metrics')->{body}
        =~ /^rush_cache_loads_total(?:\{[^}]*\})? (\d+)/m;
    return $n // die 'no rush_cache_loads_total';
}


subtest 'lists' => sub {
    is(listed('category=none'), '0 1 20 0 ', 'an empty list');

    foreach (['ant', 300], ['bee', 100], ['cat', 200], ['dog', 200],
             ['elk', 500])
    {
        create(title => $_->[0], price => $_->[1], category => 'zoo');
    }

    create(title => 'hidden', price => 1, category => 'zoo', status => 0);

    my $q = 'category=zoo';

    is(listed($q), '5 1 20 1  elk dog cat bee ant', 'newest first');
    is(listed("$q&sort=new"), '5 1 20 1  elk dog cat bee ant', 'new');
    is(listed("$q&sort=price_asc"), '5 1 20 1  bee dog cat ant elk', 'cheap');
    is(listed("$q&sort=price_desc"), '5 1 20 1  elk ant dog cat bee', 'dear');

    is(listed("$q&page_size=2"), '5 1 2 3  elk dog', 'first page');
    is(listed("$q&page_size=2&page=2"), '5 2 2 3  cat bee', 'second');
    is(listed("$q&page_size=2&page=3"), '5 3 2 3  ant', 'last');
    is(listed("$q&page_size=2&page=4"), '5 4 2 3 ', 'behind it');
    is(listed("$q&page=10000&page_size=100"), '5 10000 100 1 ', 'far');

    is(listed("$q&keyword=a"), '2 1 20 1  cat ant', 'a keyword');
    is(listed("$q&keyword=a&sort=price_desc&page_size=1&page=2"),
       '2 2 1 2  cat', 'all at once');
    is(listed('keyword=hidden'), '0 1 20 0 ', 'what is off is not listed');

    foreach ('page=0', 'page=10001', 'page=x', 'page_size=0',
             'page_size=101', 'sort=price', 'sort=NEW', 'sort=',
             'category=' . 'x' x 65, 'keyword=' . 'x' x 65, 'keyword=%00',
             'keyword=%ff')
    {
        is(told($t->get("$TOP?$_")), '400 2', substr $_, 0, 20);
    }
};


subtest 'signs of LIKE' => sub {
    my %sign = ('100% x' => '%', 'a_b x' => '_', 'c\\d x' => '\\',
                "it's x" => "'", '"quoted" x' => '"', "$tea x" => $tea);

    create(title => $_, category => 'signs') foreach sort keys %sign;

    foreach my $title (sort keys %sign) {
        my $name = encoded($title);
        is(listed('category=signs&keyword=' . encoded($sign{$title})),
           "1 1 20 1  $title", "only $name");
        is(listed('category=signs&keyword=' . encoded($title)),
           "1 1 20 1  $title", "all of $name");
    }

    is(listed('category=signs&keyword=' . encoded($_)), '0 1 20 0 ',
       encoded($_))
        foreach '%x', '_ x', '\\%', '\\_', '%%', "' OR 1=1 -- ", '\\\\';

    is(listed('category=' . encoded('sign%')), '0 1 20 0 ',
       'a category is no pattern');
};


subtest 'one product' => sub {
    my $text = "'; DROP TABLE product; -- \\' \" % \${x} \n $tea $smile <b>";
    my $title = "O'Neil \\ \" -- $tea $smile";
    my %all = (title => $title, description => $text, category => "'c\\",
               image => 'https://img.test/a?b=1&c="', price => 1299,
               stock => 7, status => 0);
    my $made = create(%all);
    my $id = $made->{id};

    like($id, qr/^\d+$/, 'an id');
    is($made->{$_}, $all{$_}, "$_ as it was sent") foreach sort keys %all;
    is("$made->{version} $made->{currency}", '1 CNY', 'version, currency');

    my $r = $t->get("$TOP/$id");
    is_deeply(data($r), $made, 'the detail, also of one that is off');
    is_deeply(data($t->get("$TOP/$id/stock")), { id => $id, stock => 7 },
              'its stock');
    is_deeply([$t->db()->selectrow_array(
                  'SELECT HEX(title), HEX(description) FROM product '
                  . 'WHERE id = ?', undef, $id)],
              [map { my $s = $_; utf8::encode($s); uc unpack 'H*', $s }
               $title, $text], 'byte by byte in MySQL');
    ok($t->value('SELECT COUNT(*) FROM product'), 'the table stands');

    foreach my $path ("$TOP/$id", "$TOP/$id/stock", "$TOP?category=zoo") {
        my $etag = $t->get($path)->{headers}{etag};
        like($etag // '', qr/^(?:W\/)?"[^"]+"$/, 'an ETag');

        $r = $t->get($path, headers => { 'If-None-Match' => $etag });
        is("$r->{status} $r->{body}", '304 ', "304 of $path");
        is($r->{headers}{etag}, $etag, 'with the ETag');
        is($t->get($path, headers => { 'If-None-Match' => '"other"' })
           ->{status}, 200, 'another ETag');
    }

    my $etag = $t->get("$TOP/$id")->{headers}{etag};
    admin('PUT', "/$id", { price => 1300 });
    becomes($id, price => 1300);
    is($t->get("$TOP/$id", headers => { 'If-None-Match' => $etag })
       ->{status}, 200, 'changed: another ETag');

    foreach ("$TOP/$UNKNOWN", "$TOP/$UNKNOWN/stock", "$TOP/0",
             "$TOP/abc", "$TOP/9223372036854775808", "$TOP/-1/stock")
    {
        is(told($t->get($_)), '404 4', $_) foreach $_, $_;
    }

    my $sale = $t->activity(product => $id);
    becomes($id, activity_id => $sale);
};


subtest 'update' => sub {
    my $was = create(title => 'Old', description => 'd', image => 'i',
                     category => 'c', stock => 3);
    my $id = $was->{id};

    $t->get("$TOP/$id");
    my $now = data(admin('PUT', "/$id", { title => 'New', version => 1 }));

    cmp_ok($now->{version}, '==', 2, 'version');
    $was->{$_} = $now->{$_} foreach qw(version updated_at);
    is_deeply($now, { %$was, title => 'New' }, 'nothing else');
    becomes($id, title => 'New');

    my %next = (description => '', image => 'j', category => '', price => 0,
                status => 0);
    my $n = 2;

    foreach my $name (sort keys %next) {
        my $d = data(admin('PUT', "/$id", { $name => $next{$name} }));
        is("$d->{$name} $d->{version}", $next{$name} . ' ' . ++$n, $name);
        is($d->{title}, 'New', 'the title stays');
    }

    is(told(admin('PUT', "/$id", { title => 'x', version => 1 })), '409 13',
       'an old version');
    is(told(admin('PUT', "/$id", { title => 'x', version => $n + 1 })),
       '409 13', 'one to come');
    is(told(admin('PUT', "/$UNKNOWN", { title => 'x' })), '404 4', 'unknown');
    is(told(admin('PUT', "/$UNKNOWN", { title => 'x', version => 1 })),
       '404 4', 'in no version');
    is(told(admin('PUT', "/$id", $_)), '400 2', 'bad input')
        foreach { title => '' }, { price => -1 }, { status => 2 },
            { version => 0 };

    is(data(admin('PUT', "/$id", { price => 8 }))->{title}, 'New',
       'refusals changed nothing');

    # of many with one version one wins
    my $v = $t->value('SELECT version FROM product WHERE id = ?', $id);
    my @r = $t->burst([map {
        { method => 'PUT', path => "/api/v1/admin/products/$id", admin => 1,
          data => { price => $_, version => $v } } } 1 .. 12], sync => 1);
    is(join(' ', sort map { $_->{code} // $_->{status} } @r),
       join(' ', 0, (13) x 11), 'one of twelve');
    is($t->value('SELECT version FROM product WHERE id = ?', $id), $v + 1,
       'one version');

    is(told(admin('POST', '', $_)), '400 2', 'not created')
        foreach { title => 'x' }, { price => 1 }, { title => '', price => 1 },
            { title => 'x' x 129, price => 1 }, { title => 'x', price => -1 },
            { title => 'x', price => 1, stock => -1 },
            { title => 'x', price => 1, description => 'x' x 2001 };
};


subtest 'stock' => sub {
    my $id = create(stock => 5)->{id};
    my $set = sub {
        my $r = admin('POST', "/$id/stock", { reason => 'why', @_ });
        return ($r->{code} // '-') ? told($r) : data($r)->{stock};
    };

    $t->get("$TOP/$id"), $t->get("$TOP/$id/stock");
    is($set->(delta => 4), 9, 'more');
    becomes("$id/stock", stock => 9);
    becomes($id, stock => 9);
    is($set->(delta => -2), 7, 'less');
    is($set->(stock => 20, reason => "it's $tea"), 20, 'set');
    is($set->(delta => -20), 0, 'to nothing');
    becomes("$id/stock", stock => 0);

    is($set->(delta => -1), '200 20002', 'not below');
    is($set->(stock => 1, delta => 1), '400 2', 'both');
    is($set->(stock => 0, delta => 0), '400 2', 'both, though 0');
    is($set->(), '400 2', 'none');
    is($set->(stock => -1), '400 2', 'negative');
    is($set->(delta => 1, reason => ''), '400 2', 'no reason');
    is(told(admin('POST', "/$id/stock", { delta => 1 })), '400 2',
       'no reason at all');
    is(told(admin('POST', "/$UNKNOWN/stock", { delta => 1, reason => 'x' })),
       '404 4', 'unknown');

    # a number that the column cannot hold is refused, too
    $t->do('UPDATE product SET stock = 2147483600 WHERE id = ?', $id);
    is($set->(delta => 100), '200 20002', 'not above');
    is($set->(delta => 47), 2147483647, 'the most');

    my @log = $t->sql('SELECT delta, reason, operator, created_ms '
                      . 'FROM product_stock_log WHERE product_id = ? '
                      . 'ORDER BY id', $id);
    is(join(' ', map { $_->{delta} } @log), '4 -2 20 -20 47', 'the log');
    is($log[0]{reason}, 'why', 'reason');
    is($log[0]{operator}, 1, 'operator');
    cmp_ok(abs($log[0]{created_ms} - time() * 1000), '<', 60_000, 'time');

    my $many = create(stock => 0)->{id};
    $t->burst([map {
        { method => 'POST', path => "/api/v1/admin/products/$many/stock",
          admin => 1, data => { delta => 1, reason => 'x' } } } 1 .. 20],
        sync => 1);
    becomes("$many/stock", stock => 20);
};


subtest 'delete' => sub {
    my $id = create(title => 'gone', category => 'gone')->{id};
    my $kept = create()->{id};
    my $sale = $t->activity(product => $kept);
    my $old = create()->{id};

    $t->activity(product => $old, start => -5000, stop => -1000, wait => 0,
                 status => 1);

    is(listed('category=gone'), '1 1 20 1  gone', 'listed');
    is(told($t->get("$TOP/$id")), '200 0', 'read');
    is_deeply(data(admin('DELETE', "/$id")), { id => $id }, 'deleted');

    ok($t->wait_for(sub { $t->get("$TOP/$id")->{status} == 404 }, 1,
                    'the end'), 'gone within a second');
    ok($t->wait_for(sub { listed('category=gone') eq '0 1 20 0 ' }, 2,
                    'the list'), 'not listed');
    is(told($t->get("$TOP/$id/stock")), '404 4', 'no stock');
    is(told(admin('DELETE', "/$id")), '404 4', 'again');
    is(told(admin('PUT', "/$id", { price => 1 })), '404 4', 'no update');
    is(told(admin('POST', "/$id/stock", { stock => 1, reason => 'x' })),
       '404 4', 'no stock change');
    is(told(admin('DELETE', "/$UNKNOWN")), '404 4', 'unknown');

    is(told(admin('DELETE', "/$kept")), '200 20001', 'on sale');
    $t->do('UPDATE seckill_activity SET status = 2, rev = rev + 1 '
           . 'WHERE id = ?', $sale);
    is(told(admin('DELETE', "/$kept")), '200 20001', 'paused');
    $t->do('UPDATE seckill_activity SET status = 3, rev = rev + 1 '
           . 'WHERE id = ?', $sale);
    is(told(admin('DELETE', "/$kept")), '200 0', 'offline');
    is(told(admin('DELETE', "/$old")), '200 0', 'its sale is over');
};


# somebody has done this in MySQL, but his COMMIT takes a while

sub meanwhile {
    my ($name, @statements) = @_;

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        my $db = RushTest::Backend::mysql_connect($t->{dir}, 'rush');

        $db->begin_work();
        $db->do($_) foreach @statements;
        RushTest::spew("$t->{dir}/$name", '');
        sleep 0.5;
        $db->commit();
        POSIX::_exit(0);
    }

    $t->wait_for(sub { -e "$t->{dir}/$name" }, 5, $name);
    return $pid;
}


subtest 'a sale begins while its product is deleted' => sub {
    my ($gone, $sold) = map { create()->{id} } 1 .. 2;
    my $draft = $t->activity(product => $gone, status => 0, warm => 0);
    my $now = int(time() * 1000);
    my $pid = meanwhile('deleted',
        "UPDATE product SET status = 2 WHERE id = $gone");
    my $r = $t->post('/api/v1/admin/seckill/activities', {
        product_id => $gone, title => 'x', price => 1, total => 1,
        start_at => $now - 1000, end_at => $now + 600_000,
        online => JSON::PP::true }, admin => 1);

    waitpid $pid, 0;
    is(told($r), '404 4', 'no sale of a product that is gone');
    is($t->value('SELECT COUNT(*) FROM seckill_activity WHERE product_id = ? '
                 . 'AND status = 1', $gone), 0, 'nor a row');

    $t->do('UPDATE product SET status = 1 WHERE id = ?', $gone);
    $pid = meanwhile('deleted again',
        "UPDATE product SET status = 2 WHERE id = $gone");
    $r = $t->post("/api/v1/admin/seckill/activities/$draft/online", {},
                  admin => 1);
    waitpid $pid, 0;
    is($t->value('SELECT status FROM seckill_activity WHERE id = ?', $draft),
       0, 'a draft stays one') or diag(told($r));

    $draft = $t->activity(product => $sold, status => 0, warm => 0);
    $pid = meanwhile('sold',
        "SELECT 1 FROM product WHERE id = $sold LOCK IN SHARE MODE",
        "UPDATE seckill_activity SET status = 1 WHERE id = $draft");
    is(told(admin('DELETE', "/$sold")), '200 20001', 'on sale by now');
    waitpid $pid, 0;
};


subtest 'who may' => sub {
    my $id = $t->product();
    my $top = '/api/v1/admin/products';
    my @all = (['POST', $top, { title => 'x', price => 1 }],
               ['PUT', "$top/$id", { price => 1 }],
               ['DELETE', "$top/$id"],
               ['POST', "$top/$id/stock", { stock => 1, reason => 'x' }]);

    foreach (@all) {
        my ($method, $path, @data) = @$_;
        @data = (data => @data) if @data;

        is(told($t->request($method, $path, @data, user => 5)), '403 7',
           "$method: a user");
        is(told($t->request($method, $path, @data)), '401 6', 'nobody');
    }

    is($t->value('SELECT CONCAT(price, stock, status) FROM product '
                 . 'WHERE id = ?', $id), '100010001', 'nothing was changed');
};


subtest 'many cold readers' => sub {
    foreach my $path (map({ $t->product() . $_ } '', '/stock'),
                      $UNKNOWN + 1)
    {
        my $before = loads();
        my @r = $t->burst([({ path => "$TOP/$path" }) x 40], sync => 1);
        my %body = map { $_->{body} =~ s/"trace_id":"[^"]*"//r => 1 } @r;

        my $want = $path eq $UNKNOWN + 1 ? '404 4' : '200 0';
        is(join(', ', map { told($_) } @r), join(', ', ($want) x 40),
           "40 at $path");
        is(scalar keys %body, 1, 'one answer');
        is(loads() - $before, 1, 'one load');
    }
};


subtest 'without MySQL' => sub {
    my $id = $t->product();

    is(told($t->get("$TOP/$id")), '200 0', 'before');
    $t->kill('mysql');

    ok($t->wait_for(sub { told($t->get("$TOP/$id")) eq '503 3' }, 10,
                    'a refusal'), 'a cached one goes, too');

    my @r = map { $t->get($_) } "$TOP/$id/stock", $TOP, "$TOP?keyword=x",
        "$TOP/$UNKNOWN";
    push @r, admin('POST', '', { title => 'x', price => 1 }),
        admin('PUT', "/$id", { price => 1 }), admin('DELETE', "/$id"),
        admin('POST', "/$id/stock", { delta => 1, reason => 'x' });

    is(join(', ', map { told($_) } @r), join(', ', ('503 3') x 8),
       'all of them');
    is((grep { ($_->{json}{trace_id} // '') eq '' } @r) + 0, 0, 'envelopes');

    $t->start('mysql');
    ok($t->wait_for(sub { told($t->get("$TOP/$id")) eq '200 0' }, 15,
                    'an answer'), 'and back');
    is(data($t->get("$TOP/$id"))->{price}, 1000, 'as it was');
};


$t->finish();
done_testing();
