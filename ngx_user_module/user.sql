-- Statements of the accounts.  A flow has one durable effect per statement:
-- ending all tokens of a user is one UPDATE over both tables.
--
-- The user_by_* statements share their list of columns, which ngx_user_load()
-- reads by position.  Deleted accounts are not found.

-- name: user_by_id
SELECT username, mobile, email, nickname, avatar, info, signature,
       location_name, longitude, latitude, password_hash, wx_key,
       id, sex, roles, status, token_version, fail_ms, created_ms, fails
  FROM user
 WHERE id = ? AND status <> 2;

-- name: user_by_username
SELECT username, mobile, email, nickname, avatar, info, signature,
       location_name, longitude, latitude, password_hash, wx_key,
       id, sex, roles, status, token_version, fail_ms, created_ms, fails
  FROM user
 WHERE username = ? AND status <> 2;

-- name: user_by_mobile
SELECT username, mobile, email, nickname, avatar, info, signature,
       location_name, longitude, latitude, password_hash, wx_key,
       id, sex, roles, status, token_version, fail_ms, created_ms, fails
  FROM user
 WHERE mobile = ? AND status <> 2;

-- name: user_by_email
SELECT username, mobile, email, nickname, avatar, info, signature,
       location_name, longitude, latitude, password_hash, wx_key,
       id, sex, roles, status, token_version, fail_ms, created_ms, fails
  FROM user
 WHERE email = ? AND status <> 2;

-- name: user_insert
INSERT INTO user (id, username, mobile, email, password_hash, nickname,
                  created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- Counts a try before the password is hashed, so that parallel guesses do not
-- slip through: one that comes too early changes nothing.  Parameters: when
-- failures are forgotten, now, id, tries without a wait, now, the longest
-- wait, tries without a wait, most doublings.
-- name: user_count_try
UPDATE user
   SET fails = IF(fail_ms <= ?, 1, fails + 1), fail_ms = ?
 WHERE id = ?
   AND (fails < ?
        OR fail_ms <= ? - LEAST(?, 1000 << LEAST(fails - ?, ?)));

-- name: user_uncount_try
UPDATE user SET fails = fails - 1 WHERE id = ? AND fails > 0;

-- name: user_forgive
UPDATE user SET fails = 0, fail_ms = 0 WHERE id = ?;

-- The same with a hash of a higher cost for the same password.
-- name: user_rehash
UPDATE user SET fails = 0, fail_ms = 0, password_hash = ?
 WHERE id = ? AND password_hash = ?;

-- name: user_change
UPDATE user
   SET nickname = COALESCE(?, nickname), sex = COALESCE(?, sex),
       avatar = COALESCE(?, avatar), info = COALESCE(?, info),
       signature = COALESCE(?, signature),
       location_name = COALESCE(?, location_name),
       longitude = COALESCE(?, longitude), latitude = COALESCE(?, latitude),
       version = version + 1, updated_ms = ?
 WHERE id = ? AND status = 0;

-- Ends every session and every token of a user.
-- name: user_end_all
UPDATE user u LEFT JOIN user_session s
    ON s.user_id = u.id AND s.revoked_ms = 0
   SET u.token_version = u.token_version + 1, u.token_version_ms = ?,
       u.updated_ms = ?, s.revoked_ms = ?
 WHERE u.id = ? AND u.token_version = ?;

-- The same with a new password.
-- name: user_set_password
UPDATE user u LEFT JOIN user_session s
    ON s.user_id = u.id AND s.revoked_ms = 0
   SET u.password_hash = ?, u.fails = 0, u.fail_ms = 0,
       u.token_version = u.token_version + 1, u.token_version_ms = ?,
       u.updated_ms = ?, s.revoked_ms = ?
 WHERE u.id = ? AND u.token_version = ?;

-- Nothing is inserted when the password was changed or the account closed
-- after it was read.  The lock waits for who is doing that just now: he has
-- looked for sessions already and would not end this one.
-- name: session_insert
INSERT INTO user_session (id, user_id, refresh_hash, family_hash, created_ms,
                          used_ms, expires_ms, agent, address)
SELECT ?, id, ?, ?, ?, ?, ?, ?, ?
  FROM user
 WHERE id = ? AND token_version = ? AND status = 0
  LOCK IN SHARE MODE;

-- name: session_by_family
SELECT s.refresh_hash, s.id, s.expires_ms, s.revoked_ms,
       u.id, u.roles, u.status, u.token_version
  FROM user_session s JOIN user u ON u.id = s.user_id
 WHERE s.family_hash = ?;

-- name: session_rotate
UPDATE user_session
   SET refresh_hash = ?, used_ms = ?, expires_ms = LEAST(?, created_ms + ?)
 WHERE id = ? AND refresh_hash = ? AND revoked_ms = 0;

-- name: session_end
UPDATE user_session SET revoked_ms = ?
 WHERE id = ? AND user_id = ? AND revoked_ms = 0;
