-- Statements of what codes open.  A number or an address belongs to one
-- account: the unique keys refuse a second one.

-- name: user_bind_mobile
UPDATE user SET mobile = ?, version = version + 1, updated_ms = ?
 WHERE id = ? AND token_version = ? AND status = 0;

-- name: user_bind_email
UPDATE user SET email = ?, version = version + 1, updated_ms = ?
 WHERE id = ? AND token_version = ? AND status = 0;
