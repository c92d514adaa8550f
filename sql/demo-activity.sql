-- One more activity of the demo, when all others are over.

SET @now = FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000);

INSERT INTO seckill_activity (product_id, title, price, start_ms, stop_ms, total, limit_per_user, status, warm, created_ms, updated_ms)
  VALUES (1, 'Phone X, 100 for a third', 199900, @now - 1000, @now + 86400000, 100, 1, 1, 0, @now, @now);

SET @id = LAST_INSERT_ID();

INSERT INTO seckill_price (activity_id, price_ver, price) VALUES (@id, 1, 199900);
UPDATE seckill_activity SET warm = 1, rev = rev + 1, updated_ms = @now WHERE id = @id;
