-- Statements of the way from the stream to MySQL (prefix RUSH_SQL_).
-- "(@list)" stands for numbers, see rush_db_list().

-- name: order_insert
INSERT INTO orders (order_no, user_id, activity_id, product_id, req_id, qty,
    price, amount, title, slot, stream_id, granted_ms, pay_deadline_ms,
    created_ms, status, stock_state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0);

-- name: order_reject
INSERT INTO orders (order_no, user_id, activity_id, product_id, req_id, qty,
    price, amount, title, slot, stream_id, granted_ms, pay_deadline_ms,
    created_ms, closed_ms, status, stock_state, cancel_reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, 9, 5, 'rejected');

-- name: ledger_add
UPDATE seckill_activity SET sold = sold + ?
WHERE id = ? AND sold + ? <= total;

-- name: position_set
INSERT INTO stream_position (activity_id, consumer, last_id, updated_ms)
VALUES (?, ?, ?, ?)
ON DUPLICATE KEY UPDATE last_id = VALUES(last_id),
    updated_ms = VALUES(updated_ms);

-- name: position_all
SELECT consumer, last_id FROM stream_position WHERE activity_id = ?;

-- name: position_delete
DELETE FROM stream_position WHERE activity_id = ? AND consumer = ?;

-- name: orders_of_users
SELECT user_id, order_no, req_id, qty, slot, stock_state
FROM orders FORCE INDEX (u_req)
WHERE user_id IN (@list) AND activity_id = ?
ORDER BY user_id;

-- name: order_by_no
SELECT user_id, activity_id, req_id, qty FROM orders WHERE order_no = ?;

-- name: activities_warm
SELECT id, product_id, title, price, price_ver, limit_per_user, pay_seconds,
    epoch
FROM seckill_activity WHERE warm = 1 ORDER BY id;

-- name: activity_by_id
SELECT id, product_id, title, price, price_ver, limit_per_user, pay_seconds,
    epoch
FROM seckill_activity WHERE id = ?;

-- name: activity_is_warm
SELECT warm FROM seckill_activity WHERE id = ? LOCK IN SHARE MODE;

-- name: prices
SELECT activity_id, price_ver, price FROM seckill_price
WHERE activity_id IN (@list) ORDER BY activity_id;

-- Ordinary orders.  taken moves with stock, see sql/0006-orders.sql.
-- name: ordinary_products
SELECT id, status, stock, price, shop_id, title
FROM product WHERE id IN (@list) ORDER BY id;

-- name: ordinary_lock
SELECT id, status, stock, price, shop_id, title
FROM product WHERE id IN (@list) ORDER BY id FOR UPDATE;

-- name: ordinary_addresses
SELECT id, user_id, receiver, mobile, province, city, district, detail,
    postcode, tag
FROM address WHERE id IN (@list) ORDER BY id;

-- name: ordinary_insert
INSERT INTO orders (order_no, user_id, product_id, req_id, qty, price, amount,
    title, shop_id, stream_id, granted_ms, pay_deadline_ms, created_ms,
    closed_ms, status, stock_state, cancel_reason, remark, address, req_hash,
    reason, activity_id, slot, actor_kind)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0,
    3);

-- name: ordinary_find
SELECT order_no, user_id FROM orders WHERE order_no = ?
UNION ALL
SELECT order_no, user_id FROM orders
WHERE user_id = ? AND activity_id = 0 AND req_id = ?;

-- name: product_take
UPDATE product SET stock = stock - ?, taken = taken + ?
WHERE id = ? AND status = 1 AND stock >= ?;

-- name: alarm_insert
INSERT INTO alarm (kind, activity_id, detail, created_ms)
VALUES (?, ?, ?, ?);

-- name: dead_insert
INSERT INTO dead_letter (activity_id, stream_id, part, cause, body,
    created_ms)
VALUES (?, ?, ?, ?, ?, ?);

-- name: dead_open
SELECT COUNT(*) FROM dead_letter WHERE state IN (0, 3);

-- name: dead_parts
SELECT stream_id, part FROM dead_letter WHERE activity_id = ?;

-- name: dead_list
SELECT id, activity_id, stream_id, part, created_ms, cause
FROM dead_letter WHERE state IN (0, 3) ORDER BY id LIMIT 1000;

-- name: dead_by_id
SELECT id, activity_id, stream_id, part, state, created_ms, closed_ms, cause,
    body
FROM dead_letter WHERE id = ?;

-- name: dead_asked
SELECT id, activity_id, stream_id, part, state, created_ms, closed_ms, cause,
    body
FROM dead_letter WHERE state = 3 AND activity_id > -2 ORDER BY id LIMIT 10;

-- name: dead_done
UPDATE dead_letter SET state = 1, closed_ms = ? WHERE id = ? AND state = 3;

-- name: dead_open_again
UPDATE dead_letter SET state = 0, closed_by = 0, close_reason = '', cause = ?
WHERE id = ? AND state = 3;

-- name: dead_close
UPDATE dead_letter SET state = ?, closed_ms = ?
WHERE id = ? AND state = 0;
