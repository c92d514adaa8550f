-- Two units and 20 seconds to pay: what happens to those who do not.

SET @now = FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000);

INSERT INTO seckill_activity (product_id, title, price, start_ms, stop_ms, total, limit_per_user, pay_seconds, status, warm, created_ms, updated_ms)
  VALUES (4, 'Kettle, 20 seconds to pay', 9900, @now - 1000, @now + 86400000, 2, 1, 20, 1, 0, @now, @now);

SET @id = LAST_INSERT_ID();

INSERT INTO seckill_price (activity_id, price_ver, price) VALUES (@id, 1, 9900);
UPDATE seckill_activity SET warm = 1, rev = rev + 1, updated_ms = @now WHERE id = @id;
