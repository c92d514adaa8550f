-- Statements of payments and refunds as workers write and read them.  What a
-- provider has said (states 2, 6, 7, what went back) is the consumer's.

-- Of the caller's order only, and only where the address has not been set.
-- name: order_address
UPDATE orders o JOIN address a ON a.id = ? AND a.user_id = o.user_id
   SET o.address = JSON_OBJECT('id', CAST(a.id AS CHAR),
                               'receiver', a.receiver, 'mobile', a.mobile,
                               'province', a.province, 'city', a.city,
                               'district', a.district, 'detail', a.detail,
                               'postcode', a.postcode, 'tag', a.tag)
 WHERE o.order_no = ? AND o.user_id = ? AND o.status = 1 AND o.address = '';

-- name: address_is_mine
SELECT 1 FROM address WHERE id = ? AND user_id = ?;

-- The amount is that of the row, and the order cannot be cancelled meanwhile.
-- "2" is wechat_jsapi, which needs to know who pays.  Parameters: id,
-- provider, channel, channel, client, now (three times), order, user, now,
-- channel.
-- name: payment_insert
INSERT INTO payment (id, order_no, user_id, provider, channel, amount,
                     subject, payer, client_ip, params, deadline_ms, next_ms,
                     created_ms, updated_ms)
SELECT ?, o.order_no, o.user_id, ?, ?, o.amount, LEFT(o.title, 120),
       IF(? = 2, (SELECT SUBSTRING_INDEX(u.wx_key, ':', -1) FROM user u
                   WHERE u.id = o.user_id), ''),
       ?, '', o.pay_deadline_ms, ?, ?, ?
  FROM orders o
 WHERE o.order_no = ? AND o.user_id = ? AND o.status = 1
   AND o.stock_state = 0 AND o.amount > 0 AND o.pay_deadline_ms > ?
   AND (? <> 2 OR EXISTS (SELECT 1 FROM user u
                           WHERE u.id = o.user_id AND u.wx_key IS NOT NULL))
   AND NOT EXISTS (SELECT 1 FROM payment p WHERE p.open_order = o.order_no)
  LOCK IN SHARE MODE;

-- Why nothing was inserted: whose the order is, its state, and its payment that
-- is open, or that an earlier try of this request has made.
-- name: payment_why
SELECT o.user_id, o.status, o.stock_state, o.pay_deadline_ms, o.amount,
       u.wx_key IS NOT NULL, p.id, p.channel, p.state
  FROM orders o LEFT JOIN user u ON u.id = o.user_id
       LEFT JOIN payment p ON p.order_no = o.order_no
                          AND (p.open_order IS NOT NULL OR p.id = ?)
 WHERE o.order_no = ?
 ORDER BY p.id = ? DESC LIMIT 1;

-- name: payment_mine
SELECT id, order_no, channel, amount, state, params, cause, refunded,
       returned, deadline_ms, paid_ms, closed_ms, created_ms, version
  FROM payment WHERE id = ? AND user_id = ?;

-- name: payment_sync
UPDATE payment SET next_ms = ?, updated_ms = ?
 WHERE id = ? AND user_id = ? AND state = 1 AND updated_ms <= ?;

-- name: payment_close
UPDATE payment
   SET state = 3, tries = 0, next_ms = ?, updated_ms = ?,
       version = version + 1
 WHERE id = ? AND user_id = ? AND state IN (0, 1);

-- What the buyer's wallet would do; "4" is the sandbox.
-- name: sandbox_pay
UPDATE sandbox_trade t JOIN payment p ON p.id = t.payment_id
   SET t.state = 1, t.paid_ms = ?
 WHERE t.payment_id = ? AND p.user_id = ? AND p.provider = 4 AND t.state = 0;

-- name: sandbox_trade
SELECT t.state, t.amount, t.paid_ms
  FROM payment p LEFT JOIN sandbox_trade t ON t.payment_id = p.id
 WHERE p.id = ? AND p.user_id = ? AND p.provider = 4;
