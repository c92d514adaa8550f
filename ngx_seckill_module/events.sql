-- Statements of the event streams of orders: "?" are bound parameters.

-- name: order_live
SELECT order_no, user_id, status, version, cancel_reason, pay_deadline_ms
  FROM orders WHERE order_no = ?;

-- NGX_SECKILL_ASK of them; "" is no order
-- name: orders_live
SELECT order_no, user_id, status, version, cancel_reason, pay_deadline_ms
  FROM orders
 WHERE order_no IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: order_log_last
SELECT COALESCE(MAX(id), 0) FROM order_log;

-- present states: of several changes of an order the last one is enough.
-- The list is that of ids that were not visible when later ones were
-- (NGX_SECKILL_GAPS_ASKED); 0 is no id
-- name: order_log_after
SELECT o.order_no, o.user_id, o.status, o.version, o.cancel_reason,
       o.pay_deadline_ms, l.id
  FROM order_log l JOIN orders o ON o.order_no = l.order_no
 WHERE l.id > ? OR l.id IN (?, ?, ?, ?, ?, ?, ?, ?,
                            ?, ?, ?, ?, ?, ?, ?, ?)
 ORDER BY l.id LIMIT 500;
