-- Statements of administration.
--
-- The admin_user* statements share their list of columns, which
-- ngx_user_admin_put() reads by position.
--
-- An act on a user is one UPDATE that asks for the token version it was
-- decided upon.  Whoever takes an active administrator away looks for
-- another one and locks the rows it finds, so two that take away each other
-- meet: one waits, or is refused as a deadlock.

-- name: admin_user
SELECT id, username, mobile, email, nickname, avatar, info, signature, status,
       ban_reason, ban_until_ms, roles, created_ms, updated_ms, deleted_ms,
       token_version, version, erased_ms
  FROM user
 WHERE id = ?;

-- name: admin_users
SELECT id, username, mobile, email, nickname, avatar, info, signature, status,
       ban_reason, ban_until_ms, roles, created_ms, updated_ms, deleted_ms,
       token_version, version, erased_ms
  FROM user
 WHERE (? IS NULL OR id = ?) AND (? IS NULL OR username = ?)
   AND (? IS NULL OR mobile = ?) AND (? IS NULL OR email = ?)
   AND (? IS NULL OR username LIKE ? OR nickname LIKE ?)
   AND status BETWEEN ? AND ?
   AND (? IS NULL OR (roles > 0 AND roles & ? <> 0))
   AND created_ms >= ? AND created_ms < ?
 ORDER BY id LIMIT ? OFFSET ?;

-- name: admin_users_count
SELECT COUNT(*)
  FROM user
 WHERE (? IS NULL OR id = ?) AND (? IS NULL OR username = ?)
   AND (? IS NULL OR mobile = ?) AND (? IS NULL OR email = ?)
   AND (? IS NULL OR username LIKE ? OR nickname LIKE ?)
   AND status BETWEEN ? AND ?
   AND (? IS NULL OR (roles > 0 AND roles & ? <> 0))
   AND created_ms >= ? AND created_ms < ?;

-- name: admin_batch
SELECT u.id, u.username, u.mobile, u.email, u.nickname, u.avatar, u.info,
       u.signature, u.status, u.ban_reason, u.ban_until_ms, u.roles,
       u.created_ms, u.updated_ms, u.deleted_ms, u.token_version, u.version,
       u.erased_ms
  FROM user u
 WHERE u.id IN (SELECT j.id
                  FROM JSON_TABLE(?, '$[*]'
                                  COLUMNS (id BIGINT PATH '$')) j)
 ORDER BY u.id;

-- name: admin_insert
INSERT INTO user (id, username, mobile, email, password_hash, nickname,
                  created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- NULL keeps a member; of a name "" takes it away
-- name: admin_change
UPDATE user
   SET username = IF(? IS NULL, username, NULLIF(?, '')),
       mobile = IF(? IS NULL, mobile, NULLIF(?, '')),
       email = IF(? IS NULL, email, NULLIF(?, '')),
       nickname = COALESCE(?, nickname), info = COALESCE(?, info),
       signature = COALESCE(?, signature),
       version = version + 1, updated_ms = ?
 WHERE id = ? AND version = ? AND status <> 2;

-- A ban, a deletion (2, which takes the roles away), or, with what was there,
-- the end of all sessions.
-- name: admin_end
UPDATE user u LEFT JOIN user_session s
    ON s.user_id = u.id AND s.revoked_ms = 0
   SET u.status = ?, u.ban_reason = ?, u.ban_until_ms = ?, u.deleted_ms = ?,
       u.roles = IF(? = 2, 0, u.roles),
       u.token_version = u.token_version + 1, u.token_version_ms = ?,
       u.version = u.version + 1, u.updated_ms = ?, s.revoked_ms = ?
 WHERE u.id = ? AND u.token_version = ? AND u.status = ?
   AND (? = 0 OR u.roles & 1 = 0 OR u.status <> 0
        OR EXISTS (SELECT 1
                     FROM (SELECT id FROM user
                            WHERE roles > 0 AND roles & 1 AND status = 0
                              AND id <> ?
                            LIMIT 1 FOR UPDATE) a));

-- An account that is allowed again, or restored.
-- name: admin_open
UPDATE user
   SET status = 0, ban_until_ms = 0, deleted_ms = 0,
       version = version + 1, updated_ms = ?
 WHERE id = ? AND token_version = ? AND status = ? AND erased_ms = 0;

-- Rows of roles are locked: a role that is being removed is not given.
-- name: admin_set_roles
UPDATE user
   SET roles = ?, token_version = token_version + 1, token_version_ms = ?,
       version = version + 1, updated_ms = ?
 WHERE id = ? AND token_version = ? AND status <> 2
   AND ? = (SELECT COUNT(*)
              FROM (SELECT id FROM role WHERE ? >> (id - 1) & 1
                     LIMIT 62 LOCK IN SHARE MODE) r)
   AND (? & 1 OR roles & 1 = 0 OR status <> 0
        OR EXISTS (SELECT 1
                     FROM (SELECT id FROM user
                            WHERE roles > 0 AND roles & 1 AND status = 0
                              AND id <> ?
                            LIMIT 1 FOR UPDATE) a));

-- name: role_list
SELECT id, name, permissions, created_ms, updated_ms, version
  FROM role
 ORDER BY id;

-- name: role
SELECT id, name, permissions, created_ms, updated_ms, version
  FROM role
 WHERE id = ?;

-- name: role_made
SELECT id, name, permissions, created_ms, updated_ms, version,
       COALESCE(made_id = ?, 0)
  FROM role
 WHERE name = ? OR made_id = ?
 ORDER BY made_id = ? DESC LIMIT 1;

-- Takes the lowest free id; role 1 is always there.
-- name: role_insert
INSERT INTO role (id, name, permissions, created_ms, updated_ms, made_id)
SELECT r.id + 1, ?, ?, ?, ?, ?
  FROM role r LEFT JOIN role n ON n.id = r.id + 1
 WHERE n.id IS NULL AND r.id < 62
 ORDER BY r.id LIMIT 1;

-- name: role_change
UPDATE role
   SET name = COALESCE(?, name), permissions = COALESCE(?, permissions),
       version = version + 1, updated_ms = ?
 WHERE id = ? AND id <> 1 AND version = ?;

-- name: role_delete
DELETE FROM role
 WHERE id = ? AND id <> 1 AND version = ?
   AND NOT EXISTS (SELECT 1 FROM user u
                    WHERE u.roles > 0 AND u.roles >> (role.id - 1) & 1
                      FOR UPDATE);

-- name: audit_list
SELECT seq, act, kind, code, user_id, roles, route, object, fields, address,
       trace_id, created_ms, prev_hash, hash
  FROM audit_log
 WHERE seq < ? AND (? IS NULL OR user_id = ?) AND (? IS NULL OR act = ?)
   AND (? IS NULL OR object = ?) AND (? IS NULL OR route = ?)
   AND created_ms >= ? AND created_ms < ?
 ORDER BY seq DESC LIMIT ?;
