-- Rush: what belongs to a user, and the end of an account.

-- status 2: closed at deleted_ms, names are kept until erased_ms, so that it
-- can be opened again meanwhile; then nothing of a person is left in the row.
ALTER TABLE user
  ADD COLUMN deleted_ms BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN erased_ms BIGINT NOT NULL DEFAULT 0,
  ADD KEY k_erase (erased_ms, deleted_ms);

ALTER TABLE user_session
  ADD KEY k_expires (expires_ms);

-- Places of what a user may have only some of: a row takes a free one, and
-- the unique key of its table refuses a second row in the same place.
CREATE TABLE user_slot (
  n  INT NOT NULL PRIMARY KEY
) ENGINE=InnoDB;

INSERT INTO user_slot (n) VALUES
  (0), (1), (2), (3), (4), (5), (6), (7), (8), (9),
  (10), (11), (12), (13), (14), (15), (16), (17), (18), (19),
  (20), (21), (22), (23), (24), (25), (26), (27), (28), (29),
  (30), (31), (32), (33), (34), (35), (36), (37), (38), (39),
  (40), (41), (42), (43), (44), (45), (46), (47), (48), (49);

-- The default address is the one with the lowest place (of equal ones that
-- with the lowest id): there is exactly one whenever there is any, whatever
-- happens at the same time.  place is a time in ms: when it was added, or, and
-- then it is negative, when it was made the default.
CREATE TABLE address (
  id          BIGINT NOT NULL PRIMARY KEY,
  user_id     BIGINT NOT NULL,
  slot        INT NOT NULL,
  place       BIGINT NOT NULL,
  req_id      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL, -- of the request that made it
  req_hash    BIGINT NOT NULL DEFAULT 0,            -- of what it gave
  receiver    VARCHAR(32) NOT NULL,
  mobile      VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  province    VARCHAR(32) NOT NULL,
  city        VARCHAR(32) NOT NULL,
  district    VARCHAR(32) NOT NULL DEFAULT '',
  detail      VARCHAR(255) NOT NULL,
  postcode    VARCHAR(12) CHARACTER SET ascii NOT NULL DEFAULT '',
  tag         VARCHAR(16) NOT NULL DEFAULT '',
  version     INT NOT NULL DEFAULT 1,
  created_ms  BIGINT NOT NULL,
  updated_ms  BIGINT NOT NULL,
  UNIQUE KEY u_slot (user_id, slot),
  UNIQUE KEY u_req (user_id, req_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- type: 1 WeChat account, 2 official account, 3 mini program, 4 group,
--       5 channel
-- applet_type, of a mini program: 1 link, 2 path, 3 code; 0 for all others
CREATE TABLE user_sponsor (
  id           BIGINT NOT NULL PRIMARY KEY,
  user_id      BIGINT NOT NULL,
  slot         INT NOT NULL,
  req_id       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  req_hash     BIGINT NOT NULL DEFAULT 0,
  type         TINYINT NOT NULL,
  applet_type  TINYINT NOT NULL DEFAULT 0,
  name         VARCHAR(64) NOT NULL,
  description  VARCHAR(255) NOT NULL DEFAULT '',
  avatar       VARCHAR(255) NOT NULL DEFAULT '',
  qr_code      VARCHAR(255) NOT NULL DEFAULT '',
  input_a      VARCHAR(255) NOT NULL DEFAULT '',
  input_b      VARCHAR(255) NOT NULL DEFAULT '',
  is_show      TINYINT NOT NULL DEFAULT 1,
  version      INT NOT NULL DEFAULT 1,
  created_ms   BIGINT NOT NULL,
  updated_ms   BIGINT NOT NULL,
  UNIQUE KEY u_slot (user_id, slot),
  UNIQUE KEY u_req (user_id, req_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
