-- Rush: roles, bans, and the record of what administrators do.

-- A role is a mask of permissions (shared/rush_permissions.h); bit id - 1 of
-- user.roles says that a user has it.  Role 1 may everything and stays.
CREATE TABLE role (
  id          INT NOT NULL PRIMARY KEY,
  name        VARCHAR(32) NOT NULL,
  permissions BIGINT NOT NULL,
  version     INT NOT NULL DEFAULT 1,
  created_ms  BIGINT NOT NULL,
  updated_ms  BIGINT NOT NULL,
  UNIQUE KEY u_name (name),
  CHECK (id BETWEEN 1 AND 62)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO role (id, name, permissions, created_ms, updated_ms)
VALUES (1, 'admin', 4611686018427387903,
        FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000),
        FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000));

ALTER TABLE user
  ADD COLUMN roles BIGINT NOT NULL DEFAULT 0,       -- bit id - 1: has the role
  ADD COLUMN ban_reason VARCHAR(200) NOT NULL DEFAULT '',
  ADD COLUMN ban_until_ms BIGINT NOT NULL DEFAULT 0, -- 0: until it is lifted
  ADD KEY k_roles (roles),
  ADD KEY k_ban (status, ban_until_ms);

UPDATE user SET roles = 1 WHERE role = 1;

-- nodes of the release before read it while they are upgraded one by one
ALTER TABLE user
  DROP COLUMN role,
  ADD COLUMN role TINYINT GENERATED ALWAYS AS (IF(roles & 1, 1, 0)) VIRTUAL;

-- What workers write: an intent before an act and its outcome.  The
-- controller of the consumer moves rows from here into the chain.
-- kind: 0 intent, 1 outcome; both have the same act.
CREATE TABLE audit_inbox (
  id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  act        BIGINT NOT NULL,
  kind       TINYINT NOT NULL,
  user_id    BIGINT NOT NULL,                       -- who
  session_id BIGINT NOT NULL,
  roles      BIGINT NOT NULL,                       -- of the caller, then
  route      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  fields     MEDIUMTEXT NOT NULL,                   -- as JSON
  address    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  trace_id   CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  code       INT NOT NULL,                          -- of an outcome
  created_ms BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- hash: SHA-256 of all other columns, the hash of the row before among them
-- (consumer/audit_log.c tells how they are written down)
CREATE TABLE audit_log (
  seq        BIGINT NOT NULL PRIMARY KEY,           -- 1, 2, 3, ...
  act        BIGINT NOT NULL,
  kind       TINYINT NOT NULL,
  user_id    BIGINT NOT NULL,
  session_id BIGINT NOT NULL,
  roles      BIGINT NOT NULL,
  route      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  fields     MEDIUMTEXT NOT NULL,
  address    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  trace_id   CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  code       INT NOT NULL,
  created_ms BIGINT NOT NULL,
  prev_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  KEY k_act (act),
  KEY k_user (user_id, seq),
  KEY k_object (object, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- the last row of the chain: without it the end could be cut off unseen
CREATE TABLE audit_head (
  id         INT NOT NULL PRIMARY KEY,
  seq        BIGINT NOT NULL,
  hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE=InnoDB;

INSERT INTO audit_head (id, seq, hash) VALUES
  (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'rows of audit_log do not change';

CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'rows of audit_log stay';
