package RushTest::Provider::Crypto;

# Copyright (C) Rush
#
# RSA and AES-GCM for the stand-in provider: a filter (crypto.c), compiled once
# into the build directory and started once a process.
#
#   sign($keyfile, $text)               base64
#   verify($keyfile, $text, $base64)    1, 0; file: .crt, .pub or a key
#   seal($key, $nonce, $with, $text)    base64
#   unseal($key, $nonce, $with, $base64)  the text, or undef
#   keys($dir, %names)                  makes RSA keys NAME.key, NAME.pub; a
#                                       value that is a serial: NAME.crt too

use warnings;
use strict;

use Cwd qw(abs_path);
use Digest::SHA qw(sha1_hex);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use IPC::Open2;
use MIME::Base64 qw(decode_base64 encode_base64);
use POSIX ();

my ($pid, $owner, $to, $from);


sub program {
    my $source = dirname(abs_path(__FILE__)) . '/crypto.c';
    my $top = ($ENV{RUSH_BUILD} || dirname($source) . '/../../../../build')
        . '/t-crypto';

    open my $fh, '<:raw', $source or die "$source: $!";
    my $file = "$top/" . substr sha1_hex(do { local $/; <$fh> }), 0, 12;

    return $file if -x $file;

    make_path($top);
    open my $lock, '>', "$top/lock" or die "$top/lock: $!";
    flock $lock, LOCK_EX or die;

    if (!-x $file) {
        system($ENV{CC} || 'cc', '-O2', '-o', "$file.new", $source,
               '-lcrypto') == 0 or die "$source does not compile\n";
        rename "$file.new", $file or die "$file: $!";
    }

    return $file;
}


sub ask {
    my @words = @_;

    if (!$pid || $owner != $$) {
        $owner = $$;
        $pid = open2($from, $to, program());
    }

    print $to join(' ', @words), "\n";
    $to->flush();

    my $answer = <$from> // die "the filter has ended\n";
    chomp $answer;
    return $answer;
}


# it sees the end of its input; who has forked has not this one's

END {
    if ($pid && $owner == $$) {
        local $?;
        close $to;
        waitpid $pid, 0;
    }
}


sub word { return '=' . encode_base64($_[0] // '', '') }
sub sign { return ask('sign', $_[0], word($_[1])) }
sub verify { return ask('verify', $_[0], word($_[1]), "=$_[2]") }
sub seal { return ask('seal', map { word($_) } @_[0 .. 3]) }


sub unseal {
    my $text = ask('open', (map { word($_) } @_[0 .. 2]), "=$_[3]");
    return $text =~ s/^\+// ? decode_base64($text) : undef;
}


sub keys {
    my ($dir, %names) = @_;

    my @all;

    # side by side: most of the time one prime or another is looked for
    foreach my $name (sort CORE::keys(%names)) {
        my $child = fork() // die "fork: $!";

        if ($child == 0) {
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', '/dev/null';
            exec 'sh', '-c', make_key($dir, $name, $names{$name})
                or POSIX::_exit(127);
        }

        push @all, $child;
    }

    foreach my $child (@all) {
        waitpid $child, 0;
        die "openssl failed\n" if $? != 0;
    }
}


sub make_key {
    my ($dir, $name, $serial) = @_;

    my $file = "$dir/$name";

    return "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 "
        . "-out $file.key && openssl pkey -in $file.key -pubout "
        . "-out $file.pub"
        . ($serial ? " && openssl req -x509 -new -key $file.key -days 30 "
           . "-set_serial 0x$serial -subj /C=CN/O=stand-in/CN=$name "
           . "-out $file.crt" : '');
}


1;
