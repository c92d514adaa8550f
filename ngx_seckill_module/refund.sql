-- Statements of refunds as workers write and read them.  What is promised
-- (payment.refunded) and what has gone back is the consumer's.

-- What is left of a payment, less what was asked for and is not promised yet;
-- and the refund that an earlier try of this request has made.  Parameters:
-- refund, user, request, payment, user, user.
-- name: refundable
SELECT p.state, o.status, o.payment_id = p.id,
       p.amount - p.refunded
       - (SELECT COALESCE(SUM(a.amount), 0) FROM refund a
           WHERE a.payment_id = p.id AND a.reserved = 0 AND a.state IN (0, 1)),
       COALESCE((SELECT r.id FROM refund r WHERE r.id = ?),
                (SELECT r.id FROM refund r
                  WHERE r.user_id = ? AND r.req_id = ?), 0)
  FROM payment p JOIN orders o ON o.order_no = p.order_no
 WHERE p.id = ? AND (? IS NULL OR p.user_id = ?);

-- The row of the payment is locked before the others are counted, so of many
-- at once no more come in than there is left.  Parameters: refund, amount,
-- reason, origin, state, decided by, request, now (three times), payment,
-- user, user, amount.
-- name: refund_insert
INSERT INTO refund (id, payment_id, order_no, user_id, provider, amount,
                    total, reason, origin, state, decided_by, req_id, next_ms,
                    created_ms, updated_ms)
SELECT ?, p.id, p.order_no, p.user_id, p.provider, ?, p.amount, ?, ?, ?, ?, ?,
       ?, ?, ?
  FROM payment p JOIN orders o ON o.order_no = p.order_no
 WHERE p.id = ? AND (? IS NULL OR p.user_id = ?) AND p.state = 2
   AND o.payment_id = p.id AND o.status IN (2, 3, 4, 8)
   AND ? <= p.amount - p.refunded
            - (SELECT COALESCE(SUM(a.amount), 0) FROM refund a
                WHERE a.payment_id = p.id AND a.reserved = 0
                  AND a.state IN (0, 1))
   FOR UPDATE;

-- All of refunds_* and refund_* that read share their columns.
-- name: refund_one
SELECT id, payment_id, order_no, user_id, provider, amount, total, reason,
       origin, state, reserved, whole, units_back, provider_no, cause,
       decided_by, tries, next_ms, done_ms, created_ms, updated_ms, version
  FROM refund WHERE id = ?;

-- name: refunds_of_payment
SELECT id, payment_id, order_no, user_id, provider, amount, total, reason,
       origin, state, reserved, whole, units_back, provider_no, cause,
       decided_by, tries, next_ms, done_ms, created_ms, updated_ms, version
  FROM refund WHERE payment_id = ? AND user_id = ?
 ORDER BY id DESC LIMIT 100;

-- name: refunds_any
SELECT id, payment_id, order_no, user_id, provider, amount, total, reason,
       origin, state, reserved, whole, units_back, provider_no, cause,
       decided_by, tries, next_ms, done_ms, created_ms, updated_ms, version
  FROM refund
 WHERE id < ? AND (? IS NULL OR state = ?) AND (? IS NULL OR origin = ?)
   AND (? IS NULL OR provider = ?) AND (? IS NULL OR payment_id = ?)
   AND (? IS NULL OR user_id = ?) AND (? IS NULL OR order_no = ?)
   AND created_ms >= ? AND created_ms < ?
 ORDER BY id DESC LIMIT ?;

-- name: refund_decide
UPDATE refund
   SET state = ?, cause = ?, decided_by = ?, tries = 0, next_ms = ?,
       updated_ms = ?, version = version + 1
 WHERE id = ? AND state = 0 AND version = COALESCE(?, version);

-- The number stays, and so does what is promised: the provider is asked what
-- became of it.  What was never promised has to be that first.
-- name: refund_again
UPDATE refund
   SET state = IF(reserved = 1, 2, 1), cause = '', decided_by = ?, tries = 0,
       next_ms = ?, updated_ms = ?, version = version + 1
 WHERE id = ? AND state = 6 AND version = COALESCE(?, version);

-- What a provider has told of a payment in another amount than was asked for
-- ("3" mismatch), the least of it: in any way, and asked by us; and the refund
-- that gives it back ("4"), if there is one.
-- name: mismatch_why
SELECT p.state,
       COALESCE((SELECT MIN(n.amount) FROM payment_notice n
                  WHERE n.payment_id = p.id AND n.state = 3
                    AND n.cause = 'amount' AND n.amount > 0
                    AND n.transaction_id <> ''
                    AND n.kind IN ('pay', 'query')), 0),
       COALESCE((SELECT MIN(n.amount) FROM payment_notice n
                  WHERE n.payment_id = p.id AND n.state = 3
                    AND n.cause = 'amount' AND n.amount > 0
                    AND n.transaction_id <> '' AND n.kind = 'query'), 0),
       COALESCE((SELECT MIN(r.id) FROM refund r
                  WHERE r.payment_id = p.id AND r.origin = 4), 0)
  FROM payment p WHERE p.id = ?;

-- The provider is asked at once; it is anyway, from time to time.
-- name: mismatch_ask
UPDATE payment SET next_ms = ? WHERE id = ? AND state IN (1, 3);

-- The row of the payment is locked before the others are looked at: of many at
-- once one comes in.  Parameters: refund, amount (twice), reason, decided by,
-- now (three times), payment.
-- name: mismatch_insert
INSERT INTO refund (id, payment_id, order_no, user_id, provider, amount,
                    total, reason, origin, state, decided_by, next_ms,
                    created_ms, updated_ms)
SELECT ?, p.id, p.order_no, p.user_id, p.provider, ?, ?, ?, 4, 1, ?, ?, ?, ?
  FROM payment p
 WHERE p.id = ? AND p.state IN (1, 3, 4, 5)
   AND NOT EXISTS (SELECT 1 FROM refund r
                    WHERE r.payment_id = p.id AND r.origin = 4)
   FOR UPDATE;
