-- Statements of ngx_seckill_ops*.c (prefix NGX_SECKILL_SQL_).

-- name: switch_selling
SELECT is_on, operator, reason, changed_ms FROM switch
 WHERE name = 'selling';

-- Assignments are made from left to right: is_on changes last.
-- name: switch_set
INSERT INTO switch (name, is_on, operator, reason, changed_ms)
VALUES ('selling', ?, ?, ?, ?)
    ON DUPLICATE KEY UPDATE
       rev = rev + (is_on <> VALUES(is_on)),
       operator = IF(is_on <> VALUES(is_on), VALUES(operator), operator),
       reason = IF(is_on <> VALUES(is_on), VALUES(reason), reason),
       changed_ms = IF(is_on <> VALUES(is_on), VALUES(changed_ms),
                       changed_ms),
       is_on = VALUES(is_on);

-- name: dead_list
SELECT id, activity_id, stream_id, part, state, cause, LEFT(body, 4096),
       created_ms, closed_ms, closed_by, close_reason
  FROM dead_letter
 WHERE state = ? AND id > ? ORDER BY id LIMIT ?;

-- name: dead_state
SELECT state FROM dead_letter WHERE id = ?;

-- name: dead_close
UPDATE dead_letter SET state = ?, closed_by = ?, close_reason = ?,
       closed_ms = ?
 WHERE id = ? AND state = 0;

-- name: report_orders
SELECT o.status, COUNT(*), SUM(o.qty), SUM(o.amount),
       SUM(IF(o.payment_id <> 0, COALESCE(p.amount, 0), 0)),
       SUM(COALESCE(p.returned, 0))
  FROM orders o LEFT JOIN payment p ON p.id = o.payment_id
 WHERE o.activity_id = ? GROUP BY o.status ORDER BY o.status;
