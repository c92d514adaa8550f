-- Rush: the life of an order after the grant, payments, refunds, the books.

-- shared/rush_order.h declares these; actors: bit n for actor_kind n
CREATE TABLE order_edge (
  from_status TINYINT NOT NULL,
  to_status   TINYINT NOT NULL,
  actors      INT NOT NULL,
  PRIMARY KEY (from_status, to_status)
) ENGINE=InnoDB;

INSERT INTO order_edge (from_status, to_status, actors) VALUES
  (0, 1, 8), (0, 5, 14), (1, 2, 16), (1, 5, 14), (5, 2, 16), (2, 3, 4),
  (2, 4, 4), (2, 8, 12), (2, 6, 12), (3, 4, 14), (3, 6, 12), (4, 6, 12),
  (8, 6, 12), (6, 7, 24);

-- taken: units of product.stock that ordinary orders hold or have bought
-- (stock_state 0, 1, 4); it moves with stock in one statement, so stock plus
-- taken changes by what administrators do only
ALTER TABLE product
  ADD COLUMN shop_id BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN taken INT NOT NULL DEFAULT 0,
  ADD CONSTRAINT c_never_below_taken CHECK (taken >= 0);

-- actor_kind: 1 user, 2 admin, 3 system, 4 provider; actor: its id, 0: none.
-- They and reason tell of the last change of status.
ALTER TABLE orders
  MODIFY COLUMN live_user BIGINT GENERATED ALWAYS AS
    (IF(stock_state IN (2, 3, 5) OR activity_id = 0, NULL, user_id)) STORED,
  ADD COLUMN shop_id     BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN actor_kind  TINYINT NOT NULL DEFAULT 3,
  ADD COLUMN actor       BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN reason      VARCHAR(200) NOT NULL DEFAULT '',
  ADD COLUMN remark      VARCHAR(200) NOT NULL DEFAULT '', -- of the buyer
  ADD COLUMN req_hash    BIGINT NOT NULL DEFAULT 0, -- rush_order_hash()
  ADD COLUMN address     VARCHAR(2000) NOT NULL DEFAULT '', -- snapshot, JSON
  ADD COLUMN pay_type    VARCHAR(20) CHARACTER SET ascii NOT NULL DEFAULT '', -- channel that paid
  ADD COLUMN payment_id  BIGINT NOT NULL DEFAULT 0, -- that paid
  ADD COLUMN trade_code  CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN redeemed_ms BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN shipped_ms  BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN done_ms     BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN carrier     VARCHAR(32) NOT NULL DEFAULT '',
  ADD COLUMN tracking    VARCHAR(64) CHARACTER SET ascii NOT NULL DEFAULT '',
  ADD COLUMN hidden      TINYINT NOT NULL DEFAULT 0, -- from its buyer's list
  ADD UNIQUE KEY u_trade_code (trade_code),
  ADD KEY k_status (status, order_no);

-- every change of status; the birth of an order is its own row
CREATE TABLE order_log (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_no    VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id     BIGINT NOT NULL,
  from_status TINYINT NOT NULL,
  to_status   TINYINT NOT NULL,
  version     INT NOT NULL,
  actor_kind  TINYINT NOT NULL,
  actor       BIGINT NOT NULL,
  reason      VARCHAR(200) NOT NULL,
  created_ms  BIGINT NOT NULL,
  UNIQUE KEY u_version (order_no, version),
  KEY k_created (created_ms)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The last adjustment of a product's stock by an administrator: its id
-- (ngx_rush_made_id()), the key of the request, the number that was set or
-- the change.  Each has its row in product_stock_log, written by a trigger,
-- so the statement that moves the stock is refused when it was done before.
ALTER TABLE product_stock_log
  ADD COLUMN is_set TINYINT NOT NULL DEFAULT 0, -- delta: 1 the number
  ADD COLUMN req_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD UNIQUE KEY u_req (operator, req_id);

ALTER TABLE product
  ADD COLUMN adjust_id     BIGINT NULL,
  ADD COLUMN adjust_req    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN adjust_set    TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN adjust_delta  INT NOT NULL DEFAULT 0,
  ADD COLUMN adjust_by     BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN adjust_reason VARCHAR(200) NOT NULL DEFAULT '';

DELIMITER //

CREATE TRIGGER product_adjusted AFTER UPDATE ON product FOR EACH ROW
IF NOT (NEW.adjust_id <=> OLD.adjust_id) THEN
  INSERT INTO product_stock_log (id, product_id, is_set, delta, reason,
      operator, req_id, created_ms)
  VALUES (NEW.adjust_id, NEW.id, NEW.adjust_set, NEW.adjust_delta,
      NEW.adjust_reason, NEW.adjust_by, NEW.adjust_req, NEW.updated_ms);
END IF//

CREATE TRIGGER orders_edge BEFORE UPDATE ON orders FOR EACH ROW
IF NEW.status <> OLD.status THEN
  IF NEW.version <> OLD.version + 1 THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'orders: status without version';
  END IF;
  IF NOT EXISTS (SELECT 1 FROM order_edge
                  WHERE from_status = OLD.status AND to_status = NEW.status
                    AND (actors >> NEW.actor_kind) & 1 = 1) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'orders: no such edge';
  END IF;
END IF//

CREATE TRIGGER orders_log AFTER UPDATE ON orders FOR EACH ROW
IF NEW.status <> OLD.status THEN
  INSERT INTO order_log (order_no, user_id, from_status, to_status, version,
      actor_kind, actor, reason, created_ms)
  VALUES (NEW.order_no, NEW.user_id, OLD.status, NEW.status, NEW.version,
      NEW.actor_kind, NEW.actor, NEW.reason,
      CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED));
END IF//

CREATE TRIGGER order_log_no_update BEFORE UPDATE ON order_log FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'rows of order_log do not change'//

DELIMITER ;

-- provider, channel, state: shared/rush_pay.h.  out_trade_no is the id.
-- open_order: an order has one open payment at most.
CREATE TABLE payment (
  id             BIGINT NOT NULL PRIMARY KEY,
  order_no       VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id        BIGINT NOT NULL,
  provider       TINYINT NOT NULL,
  channel        TINYINT NOT NULL,
  amount         BIGINT NOT NULL,                   -- fen, of the order
  subject        VARCHAR(128) NOT NULL,
  payer          VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '', -- openid for jsapi
  client_ip      VARCHAR(45) CHARACTER SET ascii NOT NULL DEFAULT '',
  state          TINYINT NOT NULL DEFAULT 0,
  open_order     VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin
                   GENERATED ALWAYS AS
                   (IF(state IN (0, 1, 3), order_no, NULL)) STORED,
  params         TEXT NOT NULL,                     -- for the client, JSON
  cause          VARCHAR(200) NOT NULL DEFAULT '',  -- why it failed
  transaction_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  refunded       BIGINT NOT NULL DEFAULT 0,         -- fen promised back
  returned       BIGINT NOT NULL DEFAULT 0,         -- fen gone back
  deadline_ms    BIGINT NOT NULL,                   -- of the order
  tries          INT NOT NULL DEFAULT 0,            -- calls of this state
  next_ms        BIGINT NOT NULL DEFAULT 0,         -- look again then
  paid_ms        BIGINT NOT NULL DEFAULT 0,
  closed_ms      BIGINT NOT NULL DEFAULT 0,
  created_ms     BIGINT NOT NULL,
  updated_ms     BIGINT NOT NULL,
  version        INT NOT NULL DEFAULT 1,
  UNIQUE KEY u_open (open_order),
  UNIQUE KEY u_transaction (provider, transaction_id),
  KEY k_order (order_no),
  KEY k_user (user_id, id),
  KEY k_next (state, next_ms),
  KEY k_paid (paid_ms),
  CHECK (amount >= 0),
  CONSTRAINT c_never_over_refunded
    CHECK (refunded >= 0 AND refunded <= amount),
  CHECK (returned >= 0 AND returned <= refunded)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- what providers told, as it came out of its signature
CREATE TABLE payment_notice (
  id             BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  provider       TINYINT NOT NULL,
  notice_key     VARCHAR(160) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind           VARCHAR(16) CHARACTER SET ascii NOT NULL, -- pay, refund, query
  payment_id     BIGINT NOT NULL DEFAULT 0,
  refund_id      BIGINT NOT NULL DEFAULT 0,
  transaction_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  amount         BIGINT NOT NULL DEFAULT 0,
  state          TINYINT NOT NULL DEFAULT 0,
  cause          VARCHAR(200) NOT NULL DEFAULT '',
  body           MEDIUMTEXT NOT NULL,
  times          INT NOT NULL DEFAULT 1,            -- it came
  received_ms    BIGINT NOT NULL,
  applied_ms     BIGINT NOT NULL DEFAULT 0,
  told           TINYINT NOT NULL DEFAULT 0,        -- 1: alarm, unmatched long
  closed_ms      BIGINT NOT NULL DEFAULT 0,         -- state 5: dealt with
  closed_by      BIGINT NOT NULL DEFAULT 0,
  close_reason   VARCHAR(200) NOT NULL DEFAULT '',
  UNIQUE KEY u_notice (provider, notice_key),
  KEY k_state (state, id),
  KEY k_payment (payment_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE refund (
  id             BIGINT NOT NULL PRIMARY KEY,       -- out_refund_no: "R" and id
  payment_id     BIGINT NOT NULL,
  order_no       VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id        BIGINT NOT NULL,
  provider       TINYINT NOT NULL,
  amount         BIGINT NOT NULL,
  total          BIGINT NOT NULL,                   -- of the payment
  reason         VARCHAR(80) NOT NULL DEFAULT '',
  origin         TINYINT NOT NULL,
  state          TINYINT NOT NULL DEFAULT 0,
  reserved       TINYINT NOT NULL DEFAULT 0,        -- 1: in payment.refunded
  whole          TINYINT NOT NULL DEFAULT 0,        -- 1: ends the order
  units_back     TINYINT NOT NULL DEFAULT 0,        -- 1: and stock comes back
  provider_no    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  cause          VARCHAR(200) NOT NULL DEFAULT '',
  decided_by     BIGINT NOT NULL DEFAULT 0,
  tries          INT NOT NULL DEFAULT 0,
  next_ms        BIGINT NOT NULL DEFAULT 0,
  req_id         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  done_ms        BIGINT NOT NULL DEFAULT 0,
  created_ms     BIGINT NOT NULL,
  updated_ms     BIGINT NOT NULL,
  version        INT NOT NULL DEFAULT 1,
  UNIQUE KEY u_req (user_id, req_id),
  KEY k_payment (payment_id),
  KEY k_next (state, next_ms),
  KEY k_user (user_id, id),
  KEY k_done (done_ms),
  CHECK (amount >= 1 AND amount <= total)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Double entry: the amounts of one txn add up to 0, and a txn is written
-- once.  "p:ID" a payment: provider:NAME +, order:NUMBER -; "r:ID" a refund:
-- the other way round.
CREATE TABLE ledger (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  txn         VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount      BIGINT NOT NULL,                      -- fen
  created_ms  BIGINT NOT NULL,
  UNIQUE KEY u_txn (txn, account),
  KEY k_account (account, id),
  KEY k_created (created_ms)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- what a provider's own clearing would know: trades of the sandbox.
-- state: 0 waits, 1 paid, 2 closed; fault: of the next notice (drills)
CREATE TABLE sandbox_trade (
  payment_id  BIGINT NOT NULL PRIMARY KEY,
  amount      BIGINT NOT NULL,
  state       TINYINT NOT NULL DEFAULT 0,
  refunded    BIGINT NOT NULL DEFAULT 0,
  paid_ms     BIGINT NOT NULL DEFAULT 0,
  created_ms  BIGINT NOT NULL,
  CHECK (refunded >= 0 AND refunded <= amount)
) ENGINE=InnoDB;

CREATE TABLE sandbox_refund (
  refund_id   BIGINT NOT NULL PRIMARY KEY,
  payment_id  BIGINT NOT NULL,
  amount      BIGINT NOT NULL,
  created_ms  BIGINT NOT NULL,
  KEY k_payment (payment_id)
) ENGINE=InnoDB;

-- A day (China time, YYYYMMDD) of one shop by one provider.  created_ms 0: a
-- payment or refund came late, the row is to be made again.
CREATE TABLE settlement (
  day          INT NOT NULL,
  shop_id      BIGINT NOT NULL,
  provider     TINYINT NOT NULL,
  paid_count   INT NOT NULL,
  paid         BIGINT NOT NULL,
  refund_count INT NOT NULL,
  refunded     BIGINT NOT NULL,
  fee          BIGINT NOT NULL DEFAULT 0,           -- of the provider's bill
  created_ms   BIGINT NOT NULL,
  PRIMARY KEY (day, shop_id, provider),
  KEY k_created (created_ms)
) ENGINE=InnoDB;

-- Bills to compare; asked by an administrator or made by the consumer each
-- day.  state: 0 asked, 1 done, 2 failed (cause)
CREATE TABLE bill (
  day         INT NOT NULL,
  provider    TINYINT NOT NULL,
  state       TINYINT NOT NULL DEFAULT 0,
  tries       INT NOT NULL DEFAULT 0,
  next_ms     BIGINT NOT NULL DEFAULT 0,
  trades      INT NOT NULL DEFAULT 0,               -- of the provider
  paid        BIGINT NOT NULL DEFAULT 0,
  refunds     INT NOT NULL DEFAULT 0,
  refunded    BIGINT NOT NULL DEFAULT 0,
  fee         BIGINT NOT NULL DEFAULT 0,
  diffs       INT NOT NULL DEFAULT 0,
  cause       VARCHAR(200) NOT NULL DEFAULT '',
  created_ms  BIGINT NOT NULL,
  updated_ms  BIGINT NOT NULL,
  PRIMARY KEY (day, provider)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- kind: pay_missing (they have it, we do not), pay_unknown (we have it, they
-- do not), pay_amount, refund_missing, refund_unknown, refund_amount
CREATE TABLE bill_diff (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  day         INT NOT NULL,
  provider    TINYINT NOT NULL,
  kind        VARCHAR(16) CHARACTER SET ascii NOT NULL,
  number      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ours        BIGINT NOT NULL,                      -- fen, -1: none
  theirs      BIGINT NOT NULL,
  created_ms  BIGINT NOT NULL,
  UNIQUE KEY u_diff (day, provider, kind, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- dead_letter.state 3: asked to be replayed; activity_id -1: of {rush}order,
-- -2: of {rush}pay
ALTER TABLE dead_letter
  ADD COLUMN closed_by BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN close_reason VARCHAR(200) NOT NULL DEFAULT '';

-- what an operator has switched; on: 1 as usual, 0 off.  'selling'
CREATE TABLE switch (
  name        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  is_on       TINYINT NOT NULL,
  rev         INT NOT NULL DEFAULT 1,
  operator    BIGINT NOT NULL DEFAULT 0,
  reason      VARCHAR(200) NOT NULL DEFAULT '',
  changed_ms  BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO switch (name, is_on, changed_ms) VALUES ('selling', 1, 0);

-- the same for each try of one Idempotency-Key: ngx_rush_made_id()
ALTER TABLE product ADD COLUMN made_id BIGINT NULL,
  ADD UNIQUE KEY u_made (made_id);
ALTER TABLE seckill_activity ADD COLUMN made_id BIGINT NULL,
  ADD UNIQUE KEY u_made (made_id);
ALTER TABLE role ADD COLUMN made_id BIGINT NULL,
  ADD UNIQUE KEY u_made (made_id);
