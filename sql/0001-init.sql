-- Rush: accounts, products, flash sales, orders.
--
-- Times are milliseconds since the epoch (UTC) in BIGINT columns that end in
-- _ms; money is integer fen; ids that leave the system travel as strings.
-- Plain MySQL 8 and MariaDB 10.6+ are both served: no RETURNING, no
-- sequences.

CREATE TABLE user (
  id               BIGINT NOT NULL PRIMARY KEY,
  username         VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  mobile           VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NULL,
  email            VARCHAR(128) CHARACTER SET ascii COLLATE ascii_general_ci NULL,
  password_hash    VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  role             TINYINT NOT NULL DEFAULT 0,      -- 0 user, 1 admin
  status           TINYINT NOT NULL DEFAULT 0,      -- 0 active, 1 banned, 2 deleted
  token_version    INT NOT NULL DEFAULT 1,
  token_version_ms BIGINT NOT NULL DEFAULT 0,       -- when it was raised last
  fails            INT NOT NULL DEFAULT 0,          -- failed logins in the window
  fail_ms          BIGINT NOT NULL DEFAULT 0,       -- start of that window
  nickname         VARCHAR(64) NOT NULL DEFAULT '',
  avatar           VARCHAR(255) NOT NULL DEFAULT '',
  sex              TINYINT NOT NULL DEFAULT 0,      -- 0 not told, 1 male, 2 female
  info             VARCHAR(255) NOT NULL DEFAULT '',
  signature        VARCHAR(255) NOT NULL DEFAULT '',
  location_name    VARCHAR(128) NOT NULL DEFAULT '',
  longitude        VARCHAR(16) NOT NULL DEFAULT '', -- decimal text
  latitude         VARCHAR(16) NOT NULL DEFAULT '',
  version          INT NOT NULL DEFAULT 1,
  created_ms       BIGINT NOT NULL,
  updated_ms       BIGINT NOT NULL,
  UNIQUE KEY u_username (username),
  UNIQUE KEY u_mobile (mobile),
  UNIQUE KEY u_email (email),
  KEY k_token_version (token_version_ms)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE user_session (
  id            BIGINT NOT NULL PRIMARY KEY,        -- "sid" of access tokens
  user_id       BIGINT NOT NULL,
  refresh_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  family_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '', -- of what all its tokens share
  created_ms    BIGINT NOT NULL,
  used_ms       BIGINT NOT NULL,
  expires_ms    BIGINT NOT NULL,
  revoked_ms    BIGINT NOT NULL DEFAULT 0,
  agent         VARCHAR(200) NOT NULL DEFAULT '',
  address       VARCHAR(45) CHARACTER SET ascii NOT NULL DEFAULT '',
  UNIQUE KEY u_refresh (refresh_hash),
  KEY k_family (family_hash),
  KEY k_user (user_id),
  KEY k_revoked (revoked_ms)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE product (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  title       VARCHAR(128) NOT NULL,
  description VARCHAR(2000) NOT NULL DEFAULT '',
  image       VARCHAR(255) NOT NULL DEFAULT '',
  category    VARCHAR(64) NOT NULL DEFAULT '',
  price       BIGINT NOT NULL,
  stock       INT NOT NULL DEFAULT 0,
  status      TINYINT NOT NULL DEFAULT 1,           -- 1 on sale, 0 off, 2 deleted
  version     INT NOT NULL DEFAULT 1,
  created_ms  BIGINT NOT NULL,
  updated_ms  BIGINT NOT NULL,
  KEY k_list (status, category, id),
  CHECK (price >= 0),
  CHECK (stock >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 AUTO_INCREMENT=1;

CREATE TABLE product_stock_log (
  id          BIGINT NOT NULL PRIMARY KEY,
  product_id  BIGINT NOT NULL,
  delta       INT NOT NULL,
  reason      VARCHAR(200) NOT NULL,
  operator    BIGINT NOT NULL,
  created_ms  BIGINT NOT NULL,
  KEY k_product (product_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- What an activity should be; the controller in the consumer makes Redis
-- follow.  rev grows with every change, applied_rev is the one Redis has.
CREATE TABLE seckill_activity (
  id             BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  product_id     BIGINT NOT NULL,
  title          VARCHAR(128) NOT NULL,
  price          BIGINT NOT NULL,
  price_ver      INT NOT NULL DEFAULT 1,
  start_ms       BIGINT NOT NULL,
  stop_ms        BIGINT NOT NULL,
  total          INT NOT NULL,
  sold           INT NOT NULL DEFAULT 0,
  limit_per_user INT NOT NULL DEFAULT 1,
  pay_seconds    INT NOT NULL DEFAULT 1800,
  status         TINYINT NOT NULL DEFAULT 0,        -- 0 draft, 1 online, 2 paused, 3 offline
  warm           TINYINT NOT NULL DEFAULT 0,        -- 1 asked to be, or is, in Redis
  rev            INT NOT NULL DEFAULT 1,
  applied_rev    INT NOT NULL DEFAULT 0,
  epoch          INT NOT NULL DEFAULT 0,
  repair         TINYINT NOT NULL DEFAULT 0,        -- 1 asked for reconcile --repair
  created_ms     BIGINT NOT NULL,
  updated_ms     BIGINT NOT NULL,
  KEY k_product (product_id),
  KEY k_status (status, stop_ms),
  CONSTRAINT c_never_oversold CHECK (sold >= 0 AND sold <= total),
  CHECK (price >= 0),
  CHECK (stop_ms > start_ms),
  CHECK (limit_per_user >= 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 AUTO_INCREMENT=1001;

-- the price an order was granted at: entries of the stream name price_ver
CREATE TABLE seckill_price (
  activity_id BIGINT NOT NULL,
  price_ver   INT NOT NULL,
  price       BIGINT NOT NULL,
  PRIMARY KEY (activity_id, price_ver)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- units added to or withdrawn from a running activity
CREATE TABLE seckill_stock_op (
  id          BIGINT NOT NULL PRIMARY KEY,
  activity_id BIGINT NOT NULL,
  delta       INT NOT NULL,
  reason      VARCHAR(200) NOT NULL DEFAULT '',
  operator    BIGINT NOT NULL DEFAULT 0,
  state       TINYINT NOT NULL DEFAULT 0,           -- 0 asked, 1 in the ledger, 2 done, 3 refused
  created_ms  BIGINT NOT NULL,
  done_ms     BIGINT NOT NULL DEFAULT 0,
  KEY k_state (state, activity_id),
  KEY k_activity (activity_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- status: 0 processing, 1 to_pay, 2 paid, 3 shipped, 4 done, 5 cancelled,
--         6 refunding, 7 refunded, 8 expired, 9 rejected (the ledger refused)
-- stock_state: 0 held until paid or pay_deadline_ms, 1 to give back (ledger
--         next), 2 given back in the ledger (Redis next), 3 given back,
--         4 sold, 5 never held (rejected)
-- A row with stock_state 1 or 2 is its own outbox entry.
CREATE TABLE orders (
  order_no        VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id         BIGINT NOT NULL,
  activity_id     BIGINT NOT NULL,                  -- 0: ordinary order
  product_id      BIGINT NOT NULL,
  req_id          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  qty             INT NOT NULL,
  price           BIGINT NOT NULL,                  -- of one unit, snapshot
  amount          BIGINT NOT NULL,                  -- price * qty
  title           VARCHAR(128) NOT NULL,            -- snapshot
  status          TINYINT NOT NULL,
  stock_state     TINYINT NOT NULL,
  slot            INT NOT NULL DEFAULT 0,           -- 0..limit-1, one per live order
  live_user       BIGINT GENERATED ALWAYS AS
                    (IF(stock_state IN (2, 3, 5), NULL, user_id)) STORED,
  cancel_reason   VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT '', -- user, timeout, rejected
  stream_id       VARCHAR(40) CHARACTER SET ascii NOT NULL DEFAULT '',
  granted_ms      BIGINT NOT NULL,
  pay_deadline_ms BIGINT NOT NULL,
  paid_ms         BIGINT NOT NULL DEFAULT 0,
  closed_ms       BIGINT NOT NULL DEFAULT 0,
  created_ms      BIGINT NOT NULL,
  version         INT NOT NULL DEFAULT 1,
  UNIQUE KEY u_req (user_id, activity_id, req_id),
  UNIQUE KEY u_live (activity_id, live_user, slot),
  KEY k_due (stock_state, pay_deadline_ms),
  CHECK (qty >= 1),
  CHECK (amount >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- last committed stream entry of each consumer, written in the transaction
-- that stores its orders
CREATE TABLE stream_position (
  activity_id BIGINT NOT NULL,
  consumer    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  last_id     VARCHAR(40) CHARACTER SET ascii NOT NULL,
  updated_ms  BIGINT NOT NULL,
  PRIMARY KEY (activity_id, consumer)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE dead_letter (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  activity_id BIGINT NOT NULL,
  stream_id   VARCHAR(40) CHARACTER SET ascii NOT NULL,
  part        INT NOT NULL,                         -- grant within the entry, -1: all
  cause       VARCHAR(255) NOT NULL,
  body        MEDIUMTEXT NOT NULL,                  -- the entry as JSON
  state       TINYINT NOT NULL DEFAULT 0,           -- 0 open, 1 replayed, 2 discarded
  created_ms  BIGINT NOT NULL,
  closed_ms   BIGINT NOT NULL DEFAULT 0,
  UNIQUE KEY u_entry (activity_id, stream_id, part),
  KEY k_state (state, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- what an operator must look at; oversell_blocked must stay empty for ever
CREATE TABLE alarm (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  kind        VARCHAR(32) CHARACTER SET ascii NOT NULL,
  activity_id BIGINT NOT NULL DEFAULT 0,
  detail      VARCHAR(500) NOT NULL,
  created_ms  BIGINT NOT NULL,
  KEY k_kind (kind, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
