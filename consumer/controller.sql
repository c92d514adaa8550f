-- Statements of the controller and of --reconcile (prefix RUSH_CTL_SQL_).

-- name: lock_get
SELECT GET_LOCK(CONCAT('rush_ctl.', DATABASE()), 0);

-- name: lock_mine
SELECT COALESCE(IS_USED_LOCK(CONCAT('rush_ctl.', DATABASE()))
    = CONNECTION_ID(), 0);

-- name: now
SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED);

-- name: activities
SELECT id, status, warm, rev, applied_rev, epoch, repair, start_ms, stop_ms,
    total, sold, limit_per_user, price_ver,
    COALESCE((SELECT is_on FROM switch WHERE name = 'selling'), 1)
FROM seckill_activity
WHERE warm = 1 OR rev <> applied_rev OR repair = 1 ORDER BY id;

-- name: activities_all
SELECT id, status, warm, rev, applied_rev, epoch, repair, start_ms, stop_ms,
    total, sold, limit_per_user, price_ver,
    COALESCE((SELECT is_on FROM switch WHERE name = 'selling'), 1)
FROM seckill_activity ORDER BY id;

-- name: activity
SELECT id, status, warm, rev, applied_rev, epoch, repair, start_ms, stop_ms,
    total, sold, limit_per_user, price_ver,
    COALESCE((SELECT is_on FROM switch WHERE name = 'selling'), 1)
FROM seckill_activity WHERE id = ?;

-- name: applied
UPDATE seckill_activity SET applied_rev = ? WHERE id = ? AND rev = ?;

-- name: epoch_raise
UPDATE seckill_activity SET epoch = ?, warm = 1 WHERE id = ? AND epoch = ?;

-- name: unload
UPDATE seckill_activity SET warm = 0
WHERE id = ? AND rev = ? AND applied_rev = rev;

-- name: positions_delete
DELETE FROM stream_position WHERE activity_id = ?;

-- name: repair_set
UPDATE seckill_activity SET repair = 1 WHERE id = ? AND repair = 0;

-- name: repair_done
UPDATE seckill_activity SET repair = 0 WHERE id = ?;

-- name: repairs_open
SELECT COUNT(*) FROM seckill_activity WHERE repair = 1;

-- name: sold_fix
UPDATE seckill_activity SET sold = ? WHERE id = ? AND sold = ?;

-- name: ops
SELECT o.id, o.activity_id, o.delta, o.state, a.warm
FROM seckill_stock_op o JOIN seckill_activity a ON a.id = o.activity_id
WHERE o.state IN (0, 1) ORDER BY o.id LIMIT 100;

-- name: ops_in_total
SELECT id FROM seckill_stock_op
WHERE state = 1 AND activity_id = ? ORDER BY id;

-- name: ops_open
SELECT COUNT(*) FROM seckill_stock_op
WHERE state IN (0, 1) AND activity_id = ?;

-- name: op_total
UPDATE seckill_activity SET total = total + ?
WHERE id = ? AND total + ? >= sold AND total + ? <= 2147483647;

-- name: op_state
UPDATE seckill_stock_op SET state = ?, done_ms = ?
WHERE id = ? AND state = ?;

-- name: sweep
UPDATE orders SET status = 5, stock_state = 1, cancel_reason = 'timeout',
    closed_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED),
    version = version + 1, actor_kind = 3, actor = 0, reason = 'timeout'
WHERE stock_state = 0 AND status IN (0, 1)
    AND pay_deadline_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
    AND (pay_deadline_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - ?
         OR NOT EXISTS (SELECT 1 FROM payment p
                         WHERE p.open_order = orders.order_no))
ORDER BY pay_deadline_ms LIMIT ?;

-- name: back_asked
SELECT order_no, activity_id, qty FROM orders
WHERE stock_state = 1 AND activity_id > 0 LIMIT ?;

-- name: back_in_ledger
UPDATE orders SET stock_state = 2 WHERE order_no = ? AND stock_state = 1;

-- name: ledger_lower
UPDATE seckill_activity SET sold = sold - ? WHERE id = ? AND sold >= ?;

-- name: back_to_redis
SELECT order_no, activity_id, user_id, req_id, qty FROM orders
WHERE stock_state = 2 AND activity_id > 0 LIMIT ?;

-- name: back_done
UPDATE orders SET stock_state = 3 WHERE order_no = ? AND stock_state = 2;

-- name: products_asked
SELECT o.order_no, o.product_id, o.qty
FROM orders o JOIN product p ON p.id = o.product_id
WHERE o.stock_state = 1 AND o.activity_id = 0 AND p.taken >= o.qty LIMIT ?;

-- name: product_order_back
UPDATE orders SET stock_state = 3
WHERE order_no = ? AND stock_state = 1 AND activity_id = 0;

-- name: product_back
UPDATE product SET stock = stock + ?, taken = taken - ?
WHERE id = ? AND taken >= ?;

-- name: product_sums
SELECT p.id, p.stock, p.taken, COALESCE(o.qty, 0)
FROM product p LEFT JOIN
    (SELECT product_id, SUM(qty) AS qty FROM orders
      WHERE activity_id = 0 AND stock_state IN (0, 1, 4)
      GROUP BY product_id) o ON o.product_id = p.id
WHERE p.taken <> COALESCE(o.qty, 0) ORDER BY p.id LIMIT 100;

-- name: product_fix
UPDATE product SET stock = stock + taken - ?, taken = ?
WHERE id = ? AND stock = ? AND taken = ? AND stock + taken >= ?;

-- name: orders_live
SELECT user_id, slot, req_id, order_no, qty
FROM orders FORCE INDEX (u_live)
WHERE activity_id = ? AND live_user >= ? AND (live_user > ? OR slot > ?)
ORDER BY live_user, slot LIMIT 2000;

-- name: orders_back_count
SELECT COUNT(*) FROM orders FORCE INDEX (u_live)
WHERE activity_id = ? AND live_user IS NULL;

-- name: orders_back
SELECT user_id, req_id, order_no FROM orders FORCE INDEX (u_live)
WHERE activity_id = ? AND live_user IS NULL AND user_id % ? = ?;

-- name: orders_unfinished
SELECT COUNT(*) FROM orders
WHERE activity_id = ? AND stock_state IN (0, 1, 2);

-- name: order_of_request
SELECT order_no, qty, stock_state FROM orders
WHERE user_id = ? AND activity_id = ? AND req_id = ?;

-- name: units_of_user
SELECT COALESCE(SUM(IF(stock_state IN (0, 1, 4), qty, 0)), 0),
    COALESCE(SUM(stock_state = 2), 0)
FROM orders FORCE INDEX (u_req) WHERE user_id = ? AND activity_id = ?;

-- name: ledger
SELECT a.total, a.sold,
    COALESCE(SUM(IF(o.stock_state IN (0, 1, 4), o.qty, 0)), 0),
    COALESCE(SUM(o.stock_state = 2), 0)
FROM seckill_activity a LEFT JOIN orders o ON o.activity_id = a.id
WHERE a.id = ? GROUP BY a.id, a.total, a.sold;

-- name: ledger_limit
SELECT live_user, SUM(qty) FROM orders FORCE INDEX (u_live)
WHERE activity_id = ? AND live_user > 0
GROUP BY live_user HAVING SUM(qty) > ? LIMIT 100;

-- name: bad_states
SELECT order_no, status, stock_state FROM orders
WHERE activity_id = ? AND NOT (
    (status IN (0, 1) AND stock_state = 0)
    OR (status IN (2, 3, 4, 6) AND stock_state = 4)
    OR (status IN (5, 6, 7, 8) AND stock_state IN (1, 3))
    OR (status IN (5, 6, 7, 8) AND stock_state = 2 AND activity_id > 0)
    OR (status = 5 AND stock_state = 5 AND activity_id = 0)
    OR (status = 7 AND stock_state = 4)
    OR (status = 9 AND stock_state = 5))
LIMIT 100;

-- name: dead_letters
SELECT COUNT(*) FROM dead_letter
WHERE state IN (0, 3) AND activity_id = ?;

-- name: dead_grants
SELECT stream_id, body FROM dead_letter
WHERE state IN (0, 3) AND activity_id = ? AND part >= 0 ORDER BY id;

-- name: dead_state
SELECT state FROM dead_letter
WHERE activity_id = ? AND LOCATE(?, body) > 0 ORDER BY id DESC LIMIT 1;

-- name: revoked_users
SELECT id, token_version FROM user WHERE token_version_ms > ?;

-- name: revoked_sessions
SELECT id FROM user_session WHERE revoked_ms > ?;

-- name: bans_lift
UPDATE user SET status = 0, ban_until_ms = 0, version = version + 1,
    updated_ms = ?
WHERE status = 1 AND ban_until_ms > 0 AND ban_until_ms <= ?;

-- The record of administrators (audit_log.c).  All but the chain's own
-- columns stand in both tables, in this order.

-- name: audit_head
SELECT seq, hash FROM audit_head WHERE id = 1;

-- name: audit_head_lock
SELECT seq, hash FROM audit_head WHERE id = 1 FOR UPDATE;

-- name: audit_head_set
UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1;

-- name: audit_waiting
SELECT COUNT(*) FROM (SELECT id FROM audit_inbox LIMIT 1000) a;

-- name: audit_inbox
SELECT id, act, kind, user_id, session_id, roles, route, object, fields,
    address, trace_id, code, created_ms
FROM audit_inbox ORDER BY id LIMIT 100 FOR UPDATE;

-- name: audit_insert
INSERT INTO audit_log (seq, act, kind, user_id, session_id, roles, route,
    object, fields, address, trace_id, code, created_ms, prev_hash, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: audit_inbox_delete
DELETE FROM audit_inbox WHERE id = ?;

-- name: audit_rows
SELECT seq, act, kind, user_id, session_id, roles, route, object, fields,
    address, trace_id, code, created_ms, prev_hash, hash
FROM audit_log WHERE seq > ? ORDER BY seq LIMIT 500;

-- Accounts that were closed long enough ago: every trace of a person goes.
-- The first UPDATE decides: an account that was opened again has no row.
-- name: erase_due
SELECT id FROM user
 WHERE erased_ms = 0 AND deleted_ms > 0 AND deleted_ms <= ?
   AND status = 2
 ORDER BY deleted_ms LIMIT ?;

-- name: erase_user
UPDATE user
   SET username = NULL, mobile = NULL, email = NULL, wx_key = NULL,
       password_hash = '',
       nickname = '', avatar = '', sex = 0, info = '', signature = '',
       location_name = '', longitude = '', latitude = '', fails = 0,
       fail_ms = 0, ban_reason = '', roles = 0, erased_ms = ?, updated_ms = ?, version = version + 1
 WHERE id = ? AND status = 2 AND erased_ms = 0 AND deleted_ms > 0
   AND deleted_ms <= ?;

-- name: erase_sessions
DELETE FROM user_session WHERE user_id = ?;

-- name: erase_addresses
DELETE FROM address WHERE user_id = ?;

-- name: erase_sponsors
DELETE FROM user_sponsor WHERE user_id = ?;

-- name: erase_orders
UPDATE orders SET address = '', remark = ''
WHERE user_id = ? AND (address <> '' OR remark <> '');

-- Sessions that nobody can use any more.
-- name: purge_expired
DELETE FROM user_session WHERE expires_ms <= ?
 ORDER BY expires_ms LIMIT ?;

-- name: purge_revoked
DELETE FROM user_session WHERE revoked_ms > 0 AND revoked_ms <= ?
 ORDER BY revoked_ms LIMIT ?;
