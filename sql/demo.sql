-- Demo data of "./build.sh up": @admin@ and @buyer@ become password hashes.

SET @now = FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000);

INSERT INTO user (id, username, password_hash, roles, nickname, created_ms, updated_ms) VALUES
  (1, 'admin', '@admin@', 1, 'Administrator', @now, @now),
  (2, 'alice', '@buyer@', 0, 'Alice', @now, @now),
  (3, 'bob',   '@buyer@', 0, 'Bob',   @now, @now),
  (4, 'carol', '@buyer@', 0, 'Carol', @now, @now);

INSERT INTO product (id, title, description, category, price, stock, created_ms, updated_ms) VALUES
  (1, 'Phone X',         '6.1 inch, 256 GB',              'phone',  599900, 1000, @now, @now),
  (2, 'Headphones',      'Wireless, noise cancelling',    'audio',  129900, 1000, @now, @now),
  (3, 'Mechanical keys', '87 keys, hot-swappable',        'office',  49900, 1000, @now, @now),
  (4, 'Kettle',          '1.7 l, holds the temperature',  'home',    19900, 1000, @now, @now),
  (5, 'Coffee beans',    '1 kg, roasted this week',       'food',     8900, 1000, @now, @now);

-- one on sale now, one in two minutes, one over
INSERT INTO seckill_activity (product_id, title, price, start_ms, stop_ms, total, limit_per_user, status, warm, created_ms, updated_ms) VALUES
  (1, 'Phone X, 100 for a third',  199900, @now - 1000, @now + 86400000, 100, 1, 1, 1, @now, @now),
  (2, 'Headphones, in two minutes', 64900, @now + 120000, @now + 86520000, 50, 1, 1, 1, @now, @now),
  (3, 'Mechanical keys, yesterday', 24900, @now - 90000000, @now - 3600000, 20, 1, 1, 0, @now, @now);

INSERT INTO seckill_price (activity_id, price_ver, price)
  SELECT id, price_ver, price FROM seckill_activity;
