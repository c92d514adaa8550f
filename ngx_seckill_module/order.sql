-- Orders: statements of the seckill module.

-- What an order may need to be placed, in one look.  Rows of others do not
-- matter: x makes one row in any case.
-- name: order_check
SELECT p.status, p.stock, a.id, o.order_no, o.req_hash
  FROM (SELECT 1 AS n) x
  LEFT JOIN product p ON p.id = ?
  LEFT JOIN address a ON a.id = ? AND a.user_id = ?
  LEFT JOIN orders o ON o.user_id = ? AND o.activity_id = 0 AND o.req_id = ?;

-- name: order_any
SELECT order_no, user_id, activity_id, product_id, req_id, qty, price, amount,
       title, status, stock_state, cancel_reason, granted_ms, pay_deadline_ms,
       paid_ms, closed_ms, version
  FROM orders WHERE order_no = ?;

-- name: order_whole
SELECT o.order_no, o.user_id, o.activity_id, o.product_id, o.req_id, o.qty,
       o.price, o.amount, o.title, o.status, o.stock_state, o.cancel_reason,
       o.granted_ms, o.pay_deadline_ms, o.paid_ms, o.closed_ms, o.version,
       o.shop_id, o.remark, o.address, o.pay_type, o.trade_code,
       o.redeemed_ms, o.shipped_ms, o.done_ms, o.carrier, o.tracking,
       o.hidden, l.from_status, l.to_status, l.version, l.actor_kind, l.actor,
       l.reason, l.created_ms
  FROM orders o LEFT JOIN order_log l ON l.order_no = o.order_no
 WHERE o.order_no = ? ORDER BY l.version;

-- name: orders_by_user
SELECT order_no, user_id, activity_id, product_id, req_id, qty, price, amount,
       title, status, stock_state, cancel_reason, granted_ms, pay_deadline_ms,
       paid_ms, closed_ms, version
  FROM orders
 WHERE user_id = ? AND hidden = 0 AND (? IS NULL OR status = ?)
   AND activity_id BETWEEN ? AND ? AND granted_ms BETWEEN ? AND ?
 ORDER BY granted_ms DESC, order_no DESC LIMIT ? OFFSET ?;

-- name: count_orders_by_user
SELECT COUNT(*) FROM orders
 WHERE user_id = ? AND hidden = 0 AND (? IS NULL OR status = ?)
   AND activity_id BETWEEN ? AND ? AND granted_ms BETWEEN ? AND ?;

-- The order named last tells where to go on, also when it is hidden by now.
-- name: orders_by_user_after
SELECT o.order_no, o.user_id, o.activity_id, o.product_id, o.req_id, o.qty,
       o.price, o.amount, o.title, o.status, o.stock_state, o.cancel_reason,
       o.granted_ms, o.pay_deadline_ms, o.paid_ms, o.closed_ms, o.version
  FROM orders o JOIN orders k ON k.user_id = o.user_id
 WHERE o.user_id = ? AND o.hidden = 0 AND (? IS NULL OR o.status = ?)
   AND o.activity_id BETWEEN ? AND ? AND o.granted_ms BETWEEN ? AND ?
   AND k.order_no = ?
   AND (o.granted_ms < k.granted_ms
        OR o.granted_ms = k.granted_ms AND o.order_no < k.order_no)
 ORDER BY o.granted_ms DESC, o.order_no DESC LIMIT ?;

-- name: orders_any
SELECT order_no, user_id, activity_id, product_id, req_id, qty, price, amount,
       title, status, stock_state, cancel_reason, granted_ms, pay_deadline_ms,
       paid_ms, closed_ms, version
  FROM orders
 WHERE (? IS NULL OR status = ?) AND (? IS NULL OR user_id = ?)
   AND (? IS NULL OR product_id = ?)
   AND activity_id BETWEEN ? AND ? AND granted_ms BETWEEN ? AND ?
 ORDER BY order_no DESC LIMIT ? OFFSET ?;

-- name: count_orders_any
SELECT COUNT(*) FROM orders
 WHERE (? IS NULL OR status = ?) AND (? IS NULL OR user_id = ?)
   AND (? IS NULL OR product_id = ?)
   AND activity_id BETWEEN ? AND ? AND granted_ms BETWEEN ? AND ?;

-- name: orders_any_after
SELECT order_no, user_id, activity_id, product_id, req_id, qty, price, amount,
       title, status, stock_state, cancel_reason, granted_ms, pay_deadline_ms,
       paid_ms, closed_ms, version, shop_id, remark, address, pay_type,
       trade_code, redeemed_ms, shipped_ms, done_ms, carrier, tracking, hidden
  FROM orders
 WHERE (? IS NULL OR status = ?) AND (? IS NULL OR user_id = ?)
   AND (? IS NULL OR product_id = ?)
   AND activity_id BETWEEN ? AND ? AND granted_ms BETWEEN ? AND ?
   AND (? IS NULL OR order_no < ?)
 ORDER BY order_no DESC LIMIT ?;

-- name: order_by_req
SELECT order_no, stock_state FROM orders
 WHERE user_id = ? AND req_id = ? AND (? IS NULL OR activity_id = ?)
 ORDER BY granted_ms DESC LIMIT 1;

-- name: order_cancel
UPDATE orders
   SET status = 5, stock_state = 1, cancel_reason = 'user', closed_ms = ?,
       version = version + 1, actor_kind = 1, actor = user_id, reason = ''
 WHERE order_no = ? AND user_id = ? AND status = 1 AND stock_state = 0;

-- name: order_confirm
UPDATE orders
   SET status = 4, done_ms = ?, version = version + 1, actor_kind = 1,
       actor = user_id, reason = ''
 WHERE order_no = ? AND user_id = ? AND status = 3;

-- name: order_hide
UPDATE orders SET hidden = 1, version = version + 1
 WHERE order_no = ? AND user_id = ? AND hidden = 0
   AND status IN (4, 5, 7, 8, 9);

-- What an administrator may do by hand: cancelled and expired orders give
-- their units back.
-- name: order_status
UPDATE orders
   SET status = ?, version = version + 1, actor_kind = 2, actor = ?,
       reason = ?, stock_state = IF(? IN (5, 8), 1, stock_state),
       cancel_reason = IF(? = 5, 'admin', cancel_reason),
       closed_ms = IF(? IN (5, 8), ?, closed_ms),
       shipped_ms = IF(? = 3, ?, shipped_ms),
       done_ms = IF(? = 4, ?, done_ms)
 WHERE order_no = ? AND version = ?
   AND EXISTS (SELECT 1 FROM order_edge e
                WHERE e.from_status = orders.status AND e.to_status = ?
                  AND (e.actors >> 2) & 1 = 1);

-- name: order_ship
UPDATE orders
   SET status = 3, carrier = ?, tracking = ?, shipped_ms = ?,
       version = version + 1, actor_kind = 2, actor = ?, reason = ''
 WHERE order_no = ? AND status = 2 AND (? IS NULL OR version = ?);

-- name: order_redeem
UPDATE orders
   SET status = 4, redeemed_ms = ?, done_ms = ?, version = version + 1,
       actor_kind = 2, actor = ?, reason = 'redeemed'
 WHERE trade_code = ? AND status = 2 AND redeemed_ms = 0;

-- name: order_by_code
SELECT order_no, status, redeemed_ms FROM orders WHERE trade_code = ?;
