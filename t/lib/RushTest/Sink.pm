package RushTest::Sink;

# Copyright (C) Rush
#
# A mail server and a receiver of webhooks that do as they are told, as
# daemons of the harness.
#
#   add($t, $name, $port)     $name: "smtp" or "webhook"; start() starts it
#   mode($t, $name, $mode)    of mails and calls from now on
#   got($t, $name)            what came: { time, mode, ... } in order
#
# Modes of smtp: ok; greylist (451 at RCPT); refuse (550 at RCPT); full (452
# at DATA); spam (554 after the text); hello (554 instead of a greeting); slow
# (the answer to the text takes 2 s); silent (says nothing); close; auth
# (wants PLAIN ann/secret).  A mail is { from, to, text, auth }.
# Modes of webhook: a status; slow (2 s); silent; close.  A call is { head,
# headers, body }.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->canonical->utf8;


sub add {
    my ($t, $name, $port) = @_;

    my $dir = "$t->{dir}/$name";

    mkdir $dir;
    mode($t, $name, $name eq 'smtp' ? 'ok' : '200');

    $t->add_daemon($name, log => "$dir/log", out => "$dir/log",
        argv => [$^X, "-I$RushTest::ROOT/t/lib", '-MRushTest::Sink', '-e',
                 'RushTest::Sink::serve(@ARGV)', $name, $port, $dir],
        ready => sub { -e "$dir/ready" },
        before => sub { unlink "$dir/ready" });
}


sub mode {
    my ($t, $name, $mode) = @_;
    # as a whole: it is read at any time
    RushTest::spew("$t->{dir}/$name/mode.new", $mode);
    rename "$t->{dir}/$name/mode.new", "$t->{dir}/$name/mode" or die;
}


sub got {
    my ($t, $name) = @_;

    # what was read once is kept: tests ask again and again
    my $seen = $t->{sink}{$name} ||= { at => 0, all => [] };

    if (open my $fh, '<:raw', "$t->{dir}/$name/got") {
        seek $fh, $seen->{at}, 0;

        while (my $line = <$fh>) {
            last if $line !~ /\n\z/;
            push @{$seen->{all}}, $json->decode($line);
            $seen->{at} += length $line;
        }
    }

    return @{$seen->{all}};
}


# --- the process ---

sub serve {
    my ($name, $port, $dir) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port",
        Listen => 64, ReuseAddr => 1) or die "listen: $@\n";
    my %child;

    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub { kill KILL => keys %child; exit 0 };

    write_file("$dir/ready", '');

    while (1) {
        my $s = $listen->accept() or next;
        my $mode = read_file("$dir/mode");
        my $pid = fork() // die "fork: $!\n";

        if ($pid == 0) {
            $SIG{TERM} = 'DEFAULT';
            close $listen;
            $s->autoflush(1);
            $name eq 'smtp' ? smtp($s, $mode, $dir)
                            : webhook($s, $mode, $dir);
            exit 0;
        }

        $child{$pid} = 1;
        close $s;
        delete @child{grep { !kill 0 => $_ } keys %child};
    }
}


sub read_file {
    my ($path) = @_;
    open my $fh, '<', $path or return '';
    return scalar <$fh> // '';
}


sub write_file {
    my ($path, $text, $how) = @_;
    open my $fh, $how // '>', $path or die "$path: $!\n";
    syswrite $fh, $text;
    close $fh;
}


sub note_it {
    my ($dir, %what) = @_;
    write_file("$dir/got", $json->encode({ time => time(), %what }) . "\n",
               '>>');
}


# as RFC 5321 has it: CR LF ends a line, a leading dot was doubled

sub smtp {
    my ($s, $mode, $dir) = @_;

    my (%mail, @to);
    my $say = sub { print $s "$_[0]\r\n" };

    return if $mode eq 'close';
    return sleep 60 if $mode eq 'silent';
    return $say->('554 no service here') if $mode eq 'hello';

    # connections are used again
    my $begin = sub {
        $mode = read_file("$dir/mode");
        return $mode if $mode !~ /^(?:close|silent|hello)$/;
        sleep 60 if $mode eq 'silent';
        $say->('554 no service here') if $mode eq 'hello';
        exit 0;
    };

    $say->('220 sink ESMTP');

    while (defined(my $line = <$s>)) {
        die "a bare LF\n" if $line !~ s/\r\n\z//;

        if ($line =~ /^EHLO /) {
            print $s "250-sink\r\n", $mode eq 'auth'
                ? "250-AUTH PLAIN\r\n" : '', "250 8BITMIME\r\n";

        } elsif ($line =~ /^AUTH PLAIN ?(\S*)/) {
            my $text = $1;

            if ($text eq '') {
                $say->('334 ');
                ($text = <$s>) =~ s/\r\n\z//;
            }

            my $good = decode_base64($text) eq "\0ann\0secret";
            $mail{auth} = $good ? 'ann' : 'nobody';
            $say->($good ? '235 welcome' : '535 wrong');

        } elsif ($line =~ /^MAIL FROM:<(.*?)>/) {
            $mail{from} = $1;
            delete $mail{text};
            $begin->();
            @to = ();
            $say->($mode eq 'auth' && ($mail{auth} // '') ne 'ann'
                   ? '530 who are you' : '250 ok');

        } elsif ($line =~ /^RCPT TO:<(.*?)>/) {
            push @to, $1;
            note_it($dir, mode => $mode, %mail, to => "@to")
                if $mode =~ /^(?:greylist|refuse)$/;
            $say->($mode eq 'greylist' ? '451 come again'
                   : $mode eq 'refuse' ? '550 nobody here' : '250 ok');

        } elsif ($line eq 'DATA') {
            if ($mode eq 'full') {
                note_it($dir, mode => $mode, %mail, to => "@to");
                $say->('452 disk is full');
                next;
            }

            $say->('354 go on');
            $mail{text} = text_of($s) // return;
            note_it($dir, mode => $mode, %mail, to => "@to");
            sleep 2 if $mode eq 'slow';
            $say->($mode eq 'spam' ? '554 spam' : '250 taken');

        } elsif ($line eq 'QUIT') {
            return $say->('221 bye');

        } elsif ($line =~ /^(?:RSET|NOOP)/) {
            $say->('250 ok');

        } else {
            $say->('500 what');
        }
    }
}


sub text_of {
    my ($s) = @_;

    my $text = '';

    while (defined(my $line = <$s>)) {
        die "a bare LF\n" if $line !~ /\r\n\z/;
        return $text if $line eq ".\r\n";
        $line =~ s/^\.//;
        $text .= $line;
    }

    return;
}


sub webhook {
    my ($s, $mode, $dir) = @_;

    while (defined(my $head = <$s>)) {
        my %h;

        $mode = read_file("$dir/mode");
        return if $mode eq 'close';
        return sleep 60 if $mode eq 'silent';

        while (defined(my $line = <$s>)) {
            last if $line eq "\r\n";
            $h{lc $1} = $2 if $line =~ /^([^:]+):\s*(.*?)\r\n/;
        }

        read $s, my $body, $h{'content-length'} // 0;
        $head =~ s/\r\n\z//;
        note_it($dir, mode => $mode, head => $head, headers => \%h,
                body => $body);
        sleep 2 if $mode eq 'slow';

        my $status = $mode eq 'slow' ? 200 : $mode;
        print $s "HTTP/1.1 $status x\r\nContent-Length: 2\r\n",
            "Location: http://127.0.0.1:1/\r\n\r\nok";
    }
}


1;
