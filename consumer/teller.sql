-- Statements of the teller (prefix RUSH_TE_SQL_).

-- name: lock_get
SELECT GET_LOCK(CONCAT('rush_teller.', DATABASE()), 0);

-- name: payments_due
SELECT p.id, p.channel, p.amount, p.amount, p.state, p.tries, p.deadline_ms,
    p.created_ms, p.updated_ms, COALESCE(o.status, -1), p.order_no, p.subject,
    p.payer, p.client_ip, ''
FROM payment p LEFT JOIN orders o ON o.order_no = p.order_no
WHERE p.provider = ? AND p.state IN (0, 1, 3) AND p.next_ms <= ?
ORDER BY p.state = 0 DESC, p.next_ms LIMIT ?;

-- name: payments_ended
SELECT p.id, p.channel, p.amount, p.amount, p.state, p.tries, p.deadline_ms,
    p.created_ms, p.updated_ms, o.status, p.order_no, p.subject,
    p.payer, p.client_ip, ''
FROM payment p JOIN orders o ON o.order_no = p.order_no
WHERE p.provider = ? AND p.state = 1 AND o.status <> 1 LIMIT ?;

-- name: payments_nobody
UPDATE payment SET state = 5, cause = 'the provider is not configured',
    closed_ms = ?, updated_ms = ?, version = version + 1
WHERE provider = ? AND state = 0 AND tries = 0;

-- name: payment_intent
UPDATE payment SET tries = tries + 1, next_ms = ?
WHERE id = ? AND state = ? AND tries = ?;

-- name: payment_opened
UPDATE payment SET state = 1, params = ?, cause = '', tries = 0, next_ms = ?,
    updated_ms = ?, version = version + 1
WHERE id = ? AND state = 0 AND tries = ?;

-- name: payment_closing
UPDATE payment SET state = 3, tries = 0, next_ms = ?, updated_ms = ?,
    version = version + 1
WHERE id = ? AND state = ? AND tries = ?;

-- name: payment_ended
UPDATE payment SET state = ?, cause = ?, tries = 0, next_ms = 0,
    closed_ms = ?, updated_ms = ?, version = version + 1
WHERE id = ? AND state = ? AND tries = ?;

-- The version tells a worker that the provider was asked.
-- name: payment_later
UPDATE payment SET next_ms = ?, cause = ?, tries = ?, version = version + 1
WHERE id = ? AND state = ? AND tries = ?;

-- name: refunds_due
SELECT r.id, p.channel, r.amount, r.total, r.state, r.tries, 0,
    r.created_ms, r.updated_ms, -1, r.order_no, r.reason, '', '',
    COALESCE(p.transaction_id, ''), r.payment_id
FROM refund r JOIN payment p ON p.id = r.payment_id
WHERE r.provider = ? AND r.state IN (1, 2, 3) AND r.next_ms <= ?
    AND (r.state <> 1 OR r.reserved = 1)
    AND (r.state = 3 OR NOT EXISTS (SELECT 1 FROM refund x
        WHERE x.payment_id = r.payment_id AND x.id <> r.id
            AND ((x.state = 2 AND (r.state = 1 OR x.id < r.id))
                OR (x.state IN (3, 4, 6) AND x.updated_ms > ?))))
ORDER BY r.next_ms LIMIT ?;

-- name: refunds_sent
SELECT COUNT(*), COALESCE(SUM(state = 2 OR updated_ms > ?), 0) FROM refund
WHERE payment_id = ? AND id <> ? AND state IN (2, 3, 4, 6);

-- name: refund_intent
UPDATE refund SET state = 2, tries = 1, next_ms = ?, updated_ms = ?,
    version = version + 1
WHERE id = ? AND state = 1 AND reserved = 1;

-- name: refund_again
UPDATE refund SET tries = tries + 1, next_ms = ?
WHERE id = ? AND state = ? AND tries = ?;

-- name: refund_resend
UPDATE refund SET state = 2, tries = tries + 1, next_ms = ?, updated_ms = ?,
    version = version + 1
WHERE id = ? AND state = ? AND tries = ?;

-- name: refund_later
UPDATE refund SET next_ms = ?, cause = ? WHERE id = ? AND state = ?;

-- name: refund_failed
UPDATE refund SET state = 6, cause = ?, updated_ms = ?, version = version + 1
WHERE id = ? AND state = ? AND tries = ?;

-- name: bill_make
INSERT INTO bill (day, provider, created_ms, updated_ms) VALUES (?, ?, ?, ?)
ON DUPLICATE KEY UPDATE day = VALUES(day);

-- name: bills_due
SELECT day, provider, tries FROM bill
WHERE provider = ? AND state = 0 AND next_ms <= ? ORDER BY day LIMIT ?;

-- name: bill_intent
UPDATE bill SET tries = tries + 1, next_ms = ?, updated_ms = ?
WHERE day = ? AND provider = ? AND state = 0 AND tries = ?;

-- name: bill_later
UPDATE bill SET next_ms = ?, cause = ?, updated_ms = ?
WHERE day = ? AND provider = ? AND state = 0;

-- name: bill_failed
UPDATE bill SET state = 2, cause = ?, updated_ms = ?
WHERE day = ? AND provider = ? AND state = 0;

-- name: gauges
SELECT (SELECT COUNT(*) FROM payment WHERE state IN (0, 1, 3)),
    (SELECT COUNT(*) FROM refund WHERE state IN (1, 2, 3)),
    (SELECT COALESCE(MIN(updated_ms), 0) FROM payment
     WHERE state IN (0, 3) AND tries > 0),
    (SELECT COALESCE(MIN(updated_ms), 0) FROM refund
     WHERE state = 2 AND tries > 0);

-- name: sandbox_make
INSERT INTO sandbox_trade (payment_id, amount, created_ms) VALUES (?, ?, ?);

-- name: sandbox_get
SELECT state, paid_ms, amount FROM sandbox_trade WHERE payment_id = ?;

-- name: sandbox_close
UPDATE sandbox_trade SET state = 2 WHERE payment_id = ? AND state = 0;

-- name: sandbox_refund_make
INSERT INTO sandbox_refund (refund_id, payment_id, amount, created_ms)
VALUES (?, ?, ?, ?);

-- name: sandbox_refund_take
UPDATE sandbox_trade SET refunded = refunded + ?
WHERE payment_id = ? AND state = 1 AND refunded + ? <= amount;

-- name: sandbox_refund_get
SELECT r.amount, r.created_ms, t.amount
FROM sandbox_refund r JOIN sandbox_trade t ON t.payment_id = r.payment_id
WHERE r.refund_id = ?;

-- name: sandbox_paid
SELECT payment_id, amount FROM sandbox_trade
WHERE paid_ms >= ? AND paid_ms < ?;

-- name: sandbox_refunded
SELECT refund_id, amount FROM sandbox_refund
WHERE created_ms >= ? AND created_ms < ?;
