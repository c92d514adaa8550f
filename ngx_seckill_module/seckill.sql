-- Statements of the seckill module: "?" are bound parameters.

-- name: catalog
SELECT a.id, a.product_id, a.title, p.title, p.image, a.price, p.price,
       a.start_ms, a.stop_ms, a.limit_per_user, a.total, a.pay_seconds,
       a.status, a.rev, a.warm
  FROM seckill_activity a JOIN product p ON p.id = a.product_id
 WHERE a.status <> 0 AND a.stop_ms > ?
 ORDER BY a.start_ms, a.id LIMIT 2000;

-- name: products
SELECT id, title, description, image, category, price, stock, status, version,
       created_ms, updated_ms
  FROM product
 WHERE status = 1 AND (? IS NULL OR category = ?)
   AND (? IS NULL OR title LIKE ?)
 ORDER BY CASE ? WHEN 1 THEN price WHEN 2 THEN -price ELSE -id END, id DESC
 LIMIT ? OFFSET ?;

-- name: count_products
SELECT COUNT(*) FROM product
 WHERE status = 1 AND (? IS NULL OR category = ?)
   AND (? IS NULL OR title LIKE ?);

-- name: product
SELECT id, title, description, image, category, price, stock, status, version,
       created_ms, updated_ms
  FROM product WHERE id = ? AND status <> 2;

-- name: product_insert
INSERT INTO product (title, description, image, category, price, stock,
                     status, created_ms, updated_ms, made_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: product_made
SELECT id, title, description, image, category, price, stock, status, version,
       created_ms, updated_ms
  FROM product WHERE made_id = ?;

-- name: product_update
UPDATE product
   SET title = COALESCE(?, title), description = COALESCE(?, description),
       image = COALESCE(?, image), category = COALESCE(?, category),
       price = COALESCE(?, price), status = COALESCE(?, status),
       version = version + 1, updated_ms = ?
 WHERE id = ? AND status <> 2 AND version = COALESCE(?, version);

-- name: product_delete
UPDATE product SET status = 2, version = version + 1, updated_ms = ?
 WHERE id = ? AND status <> 2
   AND NOT EXISTS (SELECT 1 FROM seckill_activity a
                    WHERE a.product_id = product.id AND a.status IN (1, 2)
                      AND a.stop_ms > ?);

-- A trigger writes product_stock_log: a duplicate there, or the same id as
-- the last one, was done before.
-- name: product_stock
UPDATE product
   SET stock = COALESCE(?, stock + ?), version = version + 1, updated_ms = ?,
       adjust_id = ?, adjust_req = ?, adjust_set = ?, adjust_delta = ?,
       adjust_by = ?, adjust_reason = ?
 WHERE id = ? AND status <> 2 AND NOT (adjust_id <=> ?)
   AND COALESCE(?, stock + ?) BETWEEN 0 AND 2147483647;

-- name: product_adjusted
SELECT p.id, p.title, p.description, p.image, p.category, p.price, p.stock,
       p.status, p.version, p.created_ms, p.updated_ms,
       m.id IS NOT NULL OR r.id IS NOT NULL,
       m.id IS NOT NULL OR COALESCE(r.product_id = p.id AND r.is_set = ?
                                    AND r.delta = ? AND r.reason = ?, 0)
  FROM product p
  LEFT JOIN product_stock_log m ON m.id = ?
  LEFT JOIN product_stock_log r ON r.operator = ? AND r.req_id = ?
 WHERE p.id = ? AND p.status <> 2;

-- name: activity
SELECT id, product_id, title, price, price_ver, start_ms, stop_ms, total, sold,
       limit_per_user, pay_seconds, status, warm, rev, applied_rev, epoch,
       created_ms, updated_ms
  FROM seckill_activity WHERE id = ?;

-- name: activities
SELECT id, product_id, title, price, price_ver, start_ms, stop_ms, total, sold,
       limit_per_user, pay_seconds, status, warm, rev, applied_rev, epoch,
       created_ms, updated_ms
  FROM seckill_activity WHERE (? IS NULL OR status = ?)
 ORDER BY id DESC LIMIT ? OFFSET ?;

-- name: count_activities
SELECT COUNT(*) FROM seckill_activity WHERE (? IS NULL OR status = ?);

-- name: activity_insert
INSERT INTO seckill_activity (product_id, title, price, start_ms, stop_ms,
       total, limit_per_user, pay_seconds, status, warm, created_ms,
       updated_ms, made_id)
SELECT id, COALESCE(?, title), COALESCE(?, price), ?, ?, ?, ?, ?, ?, ?, ?, ?,
       ?
  FROM product WHERE id = ? AND status <> 2 LOCK IN SHARE MODE;

-- name: activity_made
SELECT id, product_id, title, price, price_ver, start_ms, stop_ms, total, sold,
       limit_per_user, pay_seconds, status, warm, rev, applied_rev, epoch,
       created_ms, updated_ms
  FROM seckill_activity WHERE made_id = ?;

-- name: price_insert
INSERT INTO seckill_price (activity_id, price_ver, price)
SELECT id, price_ver, price FROM seckill_activity WHERE made_id = ?
    ON DUPLICATE KEY UPDATE price = VALUES(price);

-- name: price_next
INSERT INTO seckill_price (activity_id, price_ver, price)
SELECT id, price_ver + 1, ? FROM seckill_activity
 WHERE id = ? AND rev = ? AND price <> ? FOR UPDATE
    ON DUPLICATE KEY UPDATE price = VALUES(price);

-- name: activity_update
UPDATE seckill_activity
   SET price_ver = price_ver + (COALESCE(?, price) <> price),
       price = COALESCE(?, price), product_id = COALESCE(?, product_id),
       title = COALESCE(?, title), start_ms = COALESCE(?, start_ms),
       stop_ms = COALESCE(?, stop_ms), total = COALESCE(?, total),
       limit_per_user = COALESCE(?, limit_per_user),
       pay_seconds = COALESCE(?, pay_seconds), rev = rev + 1, updated_ms = ?
 WHERE id = ? AND rev = ?
   AND (COALESCE(?, price) = price
        OR EXISTS (SELECT 1 FROM seckill_price s
                    WHERE s.activity_id = seckill_activity.id
                      AND s.price_ver = seckill_activity.price_ver + 1
                      AND s.price = ? LOCK IN SHARE MODE))
   AND (? IS NULL OR EXISTS (SELECT 1 FROM product p
                              WHERE p.id = ? AND p.status <> 2
                              LOCK IN SHARE MODE));

-- name: activity_delete
DELETE FROM seckill_activity WHERE id = ? AND status = 0 AND warm = 0;

-- name: activity_status
UPDATE seckill_activity
   SET status = ?, warm = IF(? = 1, 1, warm), rev = rev + 1, updated_ms = ?
 WHERE id = ? AND status IN (?, ?)
   AND (? = 3 OR stop_ms > ?
                 AND EXISTS (SELECT 1 FROM product p
                              WHERE p.id = product_id AND p.status <> 2
                              LOCK IN SHARE MODE));

-- name: activity_warm
UPDATE seckill_activity SET warm = 1, rev = rev + 1, updated_ms = ?
 WHERE id = ? AND warm = 0 AND status <> 3 AND stop_ms > ?;

-- name: stock_op
INSERT INTO seckill_stock_op (id, activity_id, delta, reason, operator,
                              created_ms)
SELECT ?, id, ?, ?, ?, ? FROM seckill_activity WHERE id = ? AND status <> 0;

-- name: books
SELECT a.total, a.sold,
       COALESCE(SUM(IF(o.stock_state = 0, o.qty, 0)), 0),
       COALESCE(SUM(IF(o.stock_state = 4, o.qty, 0)), 0),
       COALESCE(SUM(IF(o.stock_state = 1, o.qty, 0)), 0),
       COALESCE(SUM(IF(o.stock_state IN (2, 3), o.qty, 0)), 0)
  FROM seckill_activity a LEFT JOIN orders o ON o.activity_id = a.id
 WHERE a.id = ? GROUP BY a.id, a.total, a.sold;

-- name: ask_repair
UPDATE seckill_activity SET repair = 1 WHERE id = ?;
