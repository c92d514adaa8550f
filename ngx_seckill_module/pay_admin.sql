-- Statements of what administrators read of money.  Columns of an ORDER BY are
-- compared by >= and <= only: MariaDB takes one that equals a constant out of
-- the ORDER BY of a prepared statement, and leaves it out when the statement
-- runs next with another one.

-- name: payments_any
SELECT id, order_no, user_id, provider, channel, amount, subject, payer,
       state, cause, transaction_id, refunded, returned, tries, next_ms,
       deadline_ms, created_ms, paid_ms, closed_ms, updated_ms, version
  FROM payment
 WHERE id < ? AND id >= ? AND id <= ? AND (? IS NULL OR state = ?)
   AND (? IS NULL OR channel = ?) AND (? IS NULL OR provider = ?)
   AND (? IS NULL OR user_id = ?) AND (? IS NULL OR order_no = ?)
   AND (? IS NULL OR transaction_id = ?)
   AND created_ms >= ? AND created_ms < ?
 ORDER BY id DESC LIMIT ?;

-- name: payment_exists
SELECT 1 FROM payment WHERE id = ?;

-- name: notices_of_payment
SELECT id, provider, kind, notice_key, payment_id, refund_id, transaction_id,
       amount, state, cause, body, times, received_ms, applied_ms, closed_ms,
       closed_by, close_reason
  FROM payment_notice WHERE payment_id = ? AND id < ?
 ORDER BY id DESC LIMIT ?;

-- Of the states (two parameters) unmatched ("0") only what there was an alarm
-- of: the others may be applied yet.
-- name: notices_any
SELECT id, provider, kind, notice_key, payment_id, refund_id, transaction_id,
       amount, state, cause, body, times, received_ms, applied_ms, closed_ms,
       closed_by, close_reason
  FROM payment_notice
 WHERE state IN (?, ?) AND (state > 0 OR told = 1) AND id < ?
 ORDER BY id DESC LIMIT ?;

-- name: notice_one
SELECT id, provider, kind, notice_key, payment_id, refund_id, transaction_id,
       amount, state, cause, body, times, received_ms, applied_ms, closed_ms,
       closed_by, close_reason
  FROM payment_notice WHERE id = ?;

-- Nothing is done by it any more: no try to apply it, no refund of what it
-- tells of.
-- name: notice_close
UPDATE payment_notice
   SET state = 5, closed_ms = ?, closed_by = ?, close_reason = ?
 WHERE id = ? AND (state = 3 OR (state = 0 AND told = 1));

-- Done before: it is done once more.
-- name: bill_ask
INSERT INTO bill (day, provider, state, next_ms, created_ms, updated_ms)
VALUES (?, ?, 0, ?, ?, ?)
    ON DUPLICATE KEY UPDATE state = 0, tries = 0, cause = '',
       next_ms = VALUES(next_ms), updated_ms = VALUES(updated_ms);

-- name: bill_one
SELECT day, provider, state, trades, paid, refunds, refunded, fee, diffs,
       cause, created_ms, updated_ms
  FROM bill WHERE day = ? AND provider = ?;

-- name: bill_diffs
SELECT id, kind, number, ours, theirs
  FROM bill_diff WHERE day = ? AND provider = ? AND id > ?
 ORDER BY id LIMIT ?;

-- name: count_settlements
SELECT COUNT(*) FROM settlement
 WHERE day >= ? AND day <= ? AND shop_id >= ? AND shop_id <= ?
   AND provider >= ? AND provider <= ?;

-- name: settlements
SELECT day, shop_id, provider, paid_count, paid, refund_count, refunded, fee,
       created_ms
  FROM settlement
 WHERE day >= ? AND day <= ? AND shop_id >= ? AND shop_id <= ?
   AND provider >= ? AND provider <= ?
 ORDER BY day DESC, shop_id, provider LIMIT ? OFFSET ?;
