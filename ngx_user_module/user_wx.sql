-- Statements of the login by WeChat.  Who is known to WeChat by a key has one
-- account: the unique key refuses a second one.

-- Closed and deleted accounts too: they keep their key until they are erased.
-- name: user_by_wx
SELECT username, mobile, email, nickname, avatar, info, signature,
       location_name, longitude, latitude, password_hash, wx_key,
       id, sex, roles, status, token_version, fail_ms, created_ms, fails
  FROM user
 WHERE wx_key = ?;

-- The same of a number.
-- name: wx_by_mobile
SELECT username, mobile, email, nickname, avatar, info, signature,
       location_name, longitude, latitude, password_hash, wx_key,
       id, sex, roles, status, token_version, fail_ms, created_ms, fails
  FROM user
 WHERE mobile = ?;

-- name: wx_insert
INSERT INTO user (id, mobile, password_hash, wx_key, nickname, created_ms,
                  updated_ms)
VALUES (?, ?, '', ?, ?, ?, ?);

-- name: wx_bind
UPDATE user SET wx_key = ?, version = version + 1, updated_ms = ?
 WHERE id = ? AND token_version = ? AND status = 0 AND wx_key IS NULL;

-- The same for who has shown the number of the account.
-- name: wx_bind_mobile
UPDATE user SET wx_key = ?, version = version + 1, updated_ms = ?
 WHERE id = ? AND token_version = ? AND status = 0 AND wx_key IS NULL
   AND mobile = ?;

-- A number or an address logs in by code, a username by password.
-- name: wx_unbind
UPDATE user SET wx_key = NULL, version = version + 1, updated_ms = ?
 WHERE id = ? AND token_version = ? AND status = 0
   AND (mobile IS NOT NULL OR email IS NOT NULL
        OR (username IS NOT NULL AND password_hash <> ''));
