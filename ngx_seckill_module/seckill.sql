-- Statements of the seckill module: "?" are bound parameters.

-- name: catalog
SELECT a.id, a.product_id, a.title, p.title, p.image, a.price, p.price,
       a.start_ms, a.stop_ms, a.limit_per_user, a.total, a.pay_seconds,
       a.status, a.rev, a.warm
  FROM seckill_activity a JOIN product p ON p.id = a.product_id
 WHERE a.status <> 0 AND a.stop_ms > ?
 ORDER BY a.start_ms, a.id LIMIT 2000;
