-- Statements about money (prefix RUSH_CASH_SQL_): of the cashier, of what the
-- teller has learnt, of late payments, of the books.  Every change is
-- conditional, and whether it changed a row is looked at.

-- name: notice_get
SELECT id, state, body FROM payment_notice
WHERE provider = ? AND notice_key = ? FOR UPDATE;

-- name: notice_add
INSERT INTO payment_notice (provider, notice_key, kind, payment_id,
    refund_id, transaction_id, amount, body, received_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: notice_again
UPDATE payment_notice SET times = times + 1 WHERE id = ?;

-- name: notice_done
UPDATE payment_notice SET state = ?, cause = ?, applied_ms = ?
WHERE id = ? AND state = 0;

-- name: notices_due
SELECT n.id, n.provider, n.notice_key, n.kind, n.body, n.received_ms
FROM payment_notice n
WHERE n.state = 0 AND n.id > ? AND n.kind IN ('pay', 'refund')
    AND (EXISTS (SELECT 1 FROM payment p WHERE p.id = n.payment_id)
         OR EXISTS (SELECT 1 FROM refund r WHERE r.id = n.refund_id))
ORDER BY n.id LIMIT 100;

-- name: notices_old
SELECT id, provider, payment_id, refund_id, amount FROM payment_notice
WHERE state = 0 AND told = 0 AND received_ms <= ? ORDER BY id LIMIT 100;

-- name: notice_told
UPDATE payment_notice SET told = 1 WHERE id = ? AND state = 0 AND told = 0;

-- name: notices_open
SELECT COUNT(*) FROM payment_notice WHERE state = 0;

-- name: payment_get
SELECT id, order_no, user_id, provider, channel, amount, state,
    transaction_id, refunded, returned, paid_ms
FROM payment WHERE id = ? FOR UPDATE;

-- name: payment_other
SELECT id FROM payment
WHERE provider = ? AND transaction_id = ? AND id <> ?;

-- name: payment_paid
UPDATE payment SET state = ?, transaction_id = ?, paid_ms = ?, refunded = ?,
    cause = '', tries = 0, next_ms = 0, updated_ms = ?, version = version + 1
WHERE id = ? AND state = ?;

-- name: payment_turn
UPDATE payment SET state = ?, refunded = ?, updated_ms = ?,
    version = version + 1
WHERE id = ? AND state = 6 AND refunded = 0;

-- name: payment_reserve
UPDATE payment SET refunded = refunded + ?, updated_ms = ?,
    version = version + 1
WHERE id = ? AND state = 2 AND refunded + ? <= amount;

-- name: payment_return
UPDATE payment SET returned = returned + ?, updated_ms = ?,
    version = version + 1
WHERE id = ? AND returned + ? <= refunded;

-- name: order_get
SELECT user_id, activity_id, product_id, req_id, qty, status, stock_state,
    cancel_reason, payment_id, shop_id, slot
FROM orders WHERE order_no = ? FOR UPDATE;

-- name: order_paid
UPDATE orders SET status = 2, stock_state = 4, pay_type = ?, payment_id = ?,
    paid_ms = ?, trade_code = ?, version = version + 1, actor_kind = 4,
    actor = 0, reason = 'paid'
WHERE order_no = ? AND status = 1 AND stock_state = 0;

-- name: order_refunding
UPDATE orders SET status = 6, version = version + 1, actor_kind = ?,
    actor = ?, reason = 'refund'
WHERE order_no = ? AND payment_id = ? AND status = ?;

-- name: order_refunded
UPDATE orders SET status = 7,
    stock_state = IF(? = 1 AND stock_state = 4, 1, stock_state),
    closed_ms = ?, version = version + 1, actor_kind = 4, actor = 0,
    reason = 'refund done'
WHERE order_no = ? AND payment_id = ? AND status = 6;

-- name: ledger_add
INSERT INTO ledger (txn, account, amount, created_ms)
VALUES (?, ?, ?, ?), (?, ?, ?, ?);

-- name: refund_make
INSERT INTO refund (id, payment_id, order_no, user_id, provider, amount,
    total, reason, origin, state, reserved, next_ms, created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, ?, ?, ?);

-- name: refund_get
SELECT id, payment_id, order_no, provider, amount, state, reserved, whole,
    units_back, decided_by, origin
FROM refund WHERE id = ? FOR UPDATE;

-- name: refund_reserved
UPDATE refund SET reserved = 1, whole = ?, units_back = ?, cause = '',
    next_ms = ?, updated_ms = ?, version = version + 1
WHERE id = ? AND state = 1 AND reserved = 0;

-- name: refund_turn
UPDATE refund SET state = ?, cause = ?, updated_ms = ?, version = version + 1
WHERE id = ? AND state = ?;

-- name: refund_done
UPDATE refund SET state = 4, provider_no = ?, cause = '', done_ms = ?,
    next_ms = 0, updated_ms = ?, version = version + 1
WHERE id = ? AND state = ?;

-- What a provider has signed and nobody has believed: an answer to our own
-- question rather than a notice.
-- name: notice_of_amount
SELECT provider, kind, body, received_ms FROM payment_notice
WHERE payment_id = ? AND amount = ? AND state = 3 AND cause = 'amount'
    AND kind IN ('pay', 'query')
ORDER BY kind = 'query' DESC, id LIMIT 1;

-- name: payment_mismatch
UPDATE payment SET state = 7, amount = ?, refunded = ?, transaction_id = ?,
    paid_ms = ?, cause = ?, tries = 0, next_ms = 0, updated_ms = ?,
    version = version + 1
WHERE id = ? AND state = ?;

-- name: refund_units
SELECT COALESCE(MAX(units_back), 0) FROM refund
WHERE payment_id = ? AND reserved = 1;

-- name: refunds_due
SELECT id FROM refund FORCE INDEX (k_next)
WHERE state = 1 AND reserved = 0 AND id > ? ORDER BY id LIMIT 100;

-- name: refunds_failed
SELECT COUNT(*) FROM refund WHERE state = 6;

-- name: letters_asked
SELECT id, stream_id, body FROM dead_letter
WHERE state = 3 AND activity_id = -2 ORDER BY id LIMIT 20;

-- name: letter_turn
UPDATE dead_letter SET state = ?, cause = COALESCE(?, cause), closed_ms = ?
WHERE id = ? AND state = ?;

-- A payment or a refund has come to a day whose rows may be made already.
-- name: settlement_old
INSERT INTO settlement (day, shop_id, provider, paid_count, paid,
    refund_count, refunded, created_ms)
VALUES (?, ?, ?, 0, 0, 0, 0, 0)
ON DUPLICATE KEY UPDATE created_ms = 0;

-- name: settlement_days
SELECT DISTINCT day FROM settlement WHERE created_ms = 0 LIMIT 100;

-- name: settlement_claim
UPDATE settlement SET created_ms = 1 WHERE day = ? AND created_ms = 0;

-- One that was made old since it was claimed stays so.
-- name: settlement_make
INSERT INTO settlement (day, shop_id, provider, paid_count, paid,
    refund_count, refunded, created_ms)
SELECT ?, x.shop_id, x.provider, SUM(x.paid_count), SUM(x.paid),
    SUM(x.refund_count), SUM(x.refunded), ?
FROM (SELECT COALESCE(o.shop_id, 0) AS shop_id, p.provider,
          1 AS paid_count, p.amount AS paid, 0 AS refund_count, 0 AS refunded
      FROM payment p LEFT JOIN orders o ON o.order_no = p.order_no
      WHERE p.paid_ms >= ? AND p.paid_ms < ? AND p.state IN (2, 6, 7)
      UNION ALL
      SELECT COALESCE(o.shop_id, 0), r.provider, 0, 0, 1, r.amount
      FROM refund r LEFT JOIN orders o ON o.order_no = r.order_no
      WHERE r.done_ms >= ? AND r.done_ms < ? AND r.state = 4) x
GROUP BY x.shop_id, x.provider
ON DUPLICATE KEY UPDATE paid_count = VALUES(paid_count),
    paid = VALUES(paid), refund_count = VALUES(refund_count),
    refunded = VALUES(refunded),
    created_ms = IF(created_ms = 0, 0, VALUES(created_ms));

-- name: settlement_fee
UPDATE settlement SET fee = ? WHERE day = ? AND shop_id = ? AND provider = ?;

-- name: bill_payments
SELECT p.id, p.amount, COALESCE(o.shop_id, 0)
FROM payment p LEFT JOIN orders o ON o.order_no = p.order_no
WHERE p.provider = ? AND p.paid_ms >= ? AND p.paid_ms < ?
    AND p.state IN (2, 6, 7) AND p.id > ?
ORDER BY p.id LIMIT 5000;

-- name: bill_refunds
SELECT r.id, r.amount, COALESCE(o.shop_id, 0)
FROM refund r LEFT JOIN orders o ON o.order_no = r.order_no
WHERE r.provider = ? AND r.done_ms >= ? AND r.done_ms < ?
    AND r.state = 4 AND r.id > ?
ORDER BY r.id LIMIT 5000;

-- name: bill_payment
SELECT amount FROM payment
WHERE id = ? AND provider = ? AND state IN (2, 6, 7);

-- name: bill_refund
SELECT amount FROM refund WHERE id = ? AND provider = ? AND state = 4;

-- name: bill_clear
DELETE FROM bill_diff WHERE day = ? AND provider = ?;

-- name: bill_differs
INSERT INTO bill_diff (day, provider, kind, number, ours, theirs, created_ms)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: bill_done
INSERT INTO bill (day, provider, state, trades, paid, refunds, refunded, fee,
    diffs, created_ms, updated_ms)
VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE state = 1, trades = VALUES(trades),
    paid = VALUES(paid), refunds = VALUES(refunds),
    refunded = VALUES(refunded), fee = VALUES(fee), diffs = VALUES(diffs),
    cause = '', updated_ms = VALUES(updated_ms);

-- Late payments (late.c), by the controller.
-- name: late_due
SELECT id FROM payment FORCE INDEX (k_next)
WHERE state = 6 AND id > ? ORDER BY id LIMIT ?;

-- name: late_revive
UPDATE orders SET status = 2, stock_state = 4, slot = ?, cancel_reason = '',
    closed_ms = 0, pay_type = ?, payment_id = ?, paid_ms = ?, trade_code = ?,
    version = version + 1, actor_kind = 4, actor = 0, reason = 'paid late'
WHERE order_no = ? AND status = 5 AND stock_state = ?;

-- name: late_stock
UPDATE product SET stock = stock - ?, taken = taken + ?
WHERE id = ? AND stock >= ?;

-- name: late_sold
UPDATE seckill_activity SET sold = sold + ?
WHERE id = ? AND sold + ? <= total;

-- name: late_live
SELECT slot, qty FROM orders FORCE INDEX (u_live)
WHERE activity_id = ? AND live_user = ? ORDER BY slot;

-- name: late_activity
SELECT warm, limit_per_user FROM seckill_activity WHERE id = ?;

-- The books (books.c).  "?" is the first id, or ms, that is looked at: ids of
-- payments and refunds begin with their time.  Each gives what it found and
-- two numbers.

-- name: books_sums
SELECT txn, SUM(amount), COUNT(*) FROM ledger
WHERE txn IN (SELECT txn FROM ledger WHERE created_ms >= ?)
GROUP BY txn HAVING SUM(amount) <> 0 OR COUNT(*) <> 2 LIMIT 100;

-- name: books_payments
SELECT p.id, p.amount, COALESCE(l.amount, 0)
FROM payment p LEFT JOIN ledger l
    ON l.txn = CONVERT(CONCAT('p:', p.id) USING ascii) COLLATE ascii_bin
    AND l.account = CONVERT(CONCAT('order:', p.order_no) USING ascii)
                    COLLATE ascii_bin
WHERE p.id >= ? AND p.state IN (2, 6, 7)
    AND COALESCE(l.amount, 0) <> -p.amount LIMIT 100;

-- name: books_refunds
SELECT r.id, r.amount, COALESCE(l.amount, 0)
FROM refund r LEFT JOIN ledger l
    ON l.txn = CONVERT(CONCAT('r:', r.id) USING ascii) COLLATE ascii_bin
    AND l.account = CONVERT(CONCAT('order:', r.order_no) USING ascii)
                    COLLATE ascii_bin
WHERE r.id >= ? AND r.state = 4 AND COALESCE(l.amount, 0) <> r.amount
LIMIT 100;

-- name: books_strays
SELECT l.txn, l.amount, l.id
FROM ledger l
LEFT JOIN payment p ON l.txn LIKE 'p:%'
    AND p.id = CAST(SUBSTRING(l.txn, 3) AS SIGNED) AND p.state IN (2, 6, 7)
LEFT JOIN refund r ON l.txn LIKE 'r:%'
    AND r.id = CAST(SUBSTRING(l.txn, 3) AS SIGNED) AND r.state = 4
WHERE l.created_ms >= ? AND p.id IS NULL AND r.id IS NULL LIMIT 100;

-- name: books_promised
SELECT p.id, p.refunded, COALESCE(x.promised, 0)
FROM payment p LEFT JOIN
    (SELECT payment_id, SUM(amount) AS promised FROM refund
      WHERE reserved = 1 AND payment_id >= ? GROUP BY payment_id) x
    ON x.payment_id = p.id
WHERE p.id >= ? AND p.refunded <> COALESCE(x.promised, 0) LIMIT 100;

-- name: books_returned
SELECT p.id, p.returned, COALESCE(x.gone, 0)
FROM payment p LEFT JOIN
    (SELECT payment_id, SUM(amount) AS gone FROM refund
      WHERE state = 4 AND payment_id >= ? GROUP BY payment_id) x
    ON x.payment_id = p.id
WHERE p.id >= ? AND p.returned <> COALESCE(x.gone, 0) LIMIT 100;

-- name: books_over
SELECT id, amount, refunded FROM payment
WHERE id >= ? AND (refunded > amount OR returned > refunded) LIMIT 100;

-- name: books_twice
SELECT order_no, COUNT(*), MAX(id) FROM payment
WHERE state = 2
    AND order_no IN (SELECT order_no FROM payment WHERE id >= ? AND state = 2)
GROUP BY order_no HAVING COUNT(*) > 1 LIMIT 100;

-- name: books_paid
SELECT p.id, p.state, COALESCE(o.status, -1)
FROM payment p LEFT JOIN orders o ON o.order_no = p.order_no
WHERE p.id >= ? AND p.state = 2
    AND (o.order_no IS NULL OR o.payment_id <> p.id OR o.amount <> p.amount
         OR o.status NOT IN (2, 3, 4, 6, 7, 8)) LIMIT 100;

-- name: books_ended
SELECT o.order_no, o.status, p.id
FROM payment p JOIN orders o ON o.order_no = p.order_no
    AND o.payment_id = p.id
WHERE p.id >= ? AND p.state = 2
    AND ((o.status = 7 AND p.returned <> p.amount)
         OR (o.status = 6 AND p.refunded <> p.amount)) LIMIT 100;

-- name: books_orders
SELECT o.order_no, o.status, o.payment_id
FROM orders o LEFT JOIN payment p ON p.id = o.payment_id
WHERE o.granted_ms >= ? AND o.status IN (2, 3, 4, 6, 7, 8)
    AND (p.id IS NULL OR p.state <> 2 OR p.order_no <> o.order_no)
LIMIT 100;

-- name: books_edges
SELECT l.order_no, l.from_status, l.to_status
FROM order_log l LEFT JOIN order_edge e
    ON e.from_status = l.from_status AND e.to_status = l.to_status
WHERE l.created_ms >= ? AND (e.actors IS NULL
    OR (e.actors >> l.actor_kind) & 1 = 0) LIMIT 100;

-- name: books_path
SELECT l.order_no, m.to_status, l.from_status
FROM order_log l JOIN order_log m ON m.order_no = l.order_no
    AND m.version = (SELECT MAX(x.version) FROM order_log x
        WHERE x.order_no = l.order_no AND x.version < l.version)
WHERE l.created_ms >= ? AND m.to_status <> l.from_status LIMIT 100;

-- name: books_last
SELECT l.order_no, COALESCE(o.status, -1), l.to_status
FROM order_log l LEFT JOIN orders o ON o.order_no = l.order_no
WHERE l.created_ms >= ? AND (o.status IS NULL OR o.status <> l.to_status)
    AND NOT EXISTS (SELECT 1 FROM order_log x
        WHERE x.order_no = l.order_no AND x.version > l.version)
LIMIT 100;

-- name: books_unlogged
SELECT o.order_no, o.status, o.version FROM orders o
WHERE o.granted_ms >= ? AND o.status IN (2, 3, 4, 6, 7, 8)
    AND NOT EXISTS (SELECT 1 FROM order_log x WHERE x.order_no = o.order_no)
LIMIT 100;

-- name: books_unmatched
SELECT id, payment_id, refund_id FROM payment_notice
WHERE state = 0 AND received_ms >= ? AND received_ms < ? LIMIT 100;

-- name: books_silent
SELECT n.id, n.payment_id, n.refund_id FROM payment_notice n
WHERE n.state = 3 AND n.received_ms >= ?
    AND NOT EXISTS (SELECT 1 FROM alarm a
        WHERE a.kind IN ('payment_mismatch', 'refund_mismatch')
            AND a.detail LIKE CONCAT('notice ', n.id, ':%'))
LIMIT 100;

-- name: books_applied
SELECT n.id, p.id, p.state
FROM payment p JOIN payment_notice n ON n.payment_id = p.id
WHERE p.id >= ? AND p.state NOT IN (2, 6, 7) AND n.state = 1 LIMIT 100;

-- name: books_gone
SELECT n.id, n.payment_id, n.state
FROM payment_notice n LEFT JOIN payment p ON p.id = n.payment_id
WHERE n.received_ms >= ? AND n.state = 1 AND n.payment_id > 0
    AND p.id IS NULL LIMIT 100;

-- name: books_owed
SELECT p.id, p.amount, COALESCE(SUM(r.amount), 0)
FROM payment p LEFT JOIN refund r ON r.payment_id = p.id AND r.reserved = 1
WHERE p.id >= ? AND p.state = 7
GROUP BY p.id, p.amount HAVING COALESCE(SUM(r.amount), 0) <> p.amount
LIMIT 100;

-- name: books_late
SELECT id, amount, state FROM payment
WHERE id >= ? AND state = 6 AND updated_ms < ? LIMIT 100;

-- name: books_letters
SELECT id, activity_id, state FROM dead_letter
WHERE activity_id = -2 AND state IN (0, 3) AND created_ms >= ? LIMIT 100;
