package RushTest::Routes;

# Copyright (C) Rush
#
# More of RushTest::Routes: what operations leave behind, and all rows.

use warnings;
use strict;

my $serial = 0;


# somebody may have used the red switch

sub sell {
    my ($self) = @_;

    my $t = $self->{t};

    return if $t->do("UPDATE switch SET is_on = 1, rev = 1, operator = 0, "
                     . "reason = '' WHERE rev <> 1") == 0;
    $t->wait_ready();
    $t->wait_loaded($self->{sale}) if $self->{sale};
}


# one that nobody can store: it stays open

sub letter {
    my ($self) = @_;

    my $id = 7_000_000 + ++$serial;

    $self->{t}->do('INSERT INTO dead_letter (id, activity_id, stream_id, '
        . 'part, cause, body, created_ms) VALUES (?, 999999, ?, -1, ?, ?, 1)',
        $id, "$id-0", 'there is no activity 999999',
        '{"id":"1-0","fields":[]}');

    return $id;
}


# --- what there is ---

# moved by daemons all the time, or of the clock

my %moving = map { $_ => 1 } qw(audit_inbox audit_log audit_head
    stream_position applied_rev epoch warm token_version_ms);

sub all_rows {
    my ($self) = @_;

    my $t = $self->{t};
    my %all;

    # what the consumer was asked for is done, what was cancelled is back
    $t->wait_for(sub {
        return !$t->value('SELECT (SELECT COUNT(*) FROM seckill_stock_op '
            . 'WHERE state < 2) + (SELECT COUNT(*) FROM orders WHERE '
            . 'stock_state IN (1, 2)) + (SELECT COUNT(*) FROM '
            . 'seckill_activity WHERE rev <> applied_rev AND warm = 1) + '
            . '(SELECT COUNT(*) FROM dead_letter WHERE state = 3) + '
            . '(SELECT COUNT(*) FROM refund WHERE state = 1 AND '
            . 'reserved = 0)');
    }, 10, 'the consumer');

    foreach my $table (map { $_->{name} } $t->sql('SELECT TABLE_NAME AS name '
        . 'FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() '
        . 'ORDER BY 1'))
    {
        next if $moving{$table};
        my @rows = $t->sql("SELECT * FROM $table");
        delete @$_{keys %moving} foreach @rows;
        $all{$table} = \@rows;
    }

    return \%all;
}


1;
