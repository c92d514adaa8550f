-- Statements of what belongs to a user: sessions, addresses, sponsor cards,
-- figures, export, the end of an account.  Each asks for the owner itself.

-- name: user_is_open
SELECT id FROM user WHERE id = ? AND status = 0;

-- name: count_sessions
SELECT COUNT(*) FROM user_session
 WHERE user_id = ? AND revoked_ms = 0 AND expires_ms > ?;

-- name: sessions_page
SELECT agent, address, id, created_ms, used_ms, expires_ms
  FROM user_session
 WHERE user_id = ? AND revoked_ms = 0 AND expires_ms > ?
 ORDER BY used_ms DESC, id DESC LIMIT ? OFFSET ?;

-- name: session_one
SELECT created_ms, revoked_ms FROM user_session
 WHERE id = ? AND user_id = ?;

-- Ended ones too, as long as they are kept.
-- name: sessions_all
SELECT agent, address, id, created_ms, used_ms, expires_ms, revoked_ms
  FROM user_session
 WHERE user_id = ? AND id > ?
 ORDER BY id LIMIT ?;

-- The three address_* reads share their columns: see ngx_user_address.c.
-- name: addresses
SELECT a.id, a.receiver, a.mobile, a.province, a.city, a.district, a.detail,
       a.postcode, a.tag, a.created_ms, a.updated_ms, 0, 0
  FROM address a
 WHERE a.user_id = ?
 ORDER BY a.place, a.id;

-- name: address_by_id
SELECT a.id, a.receiver, a.mobile, a.province, a.city, a.district, a.detail,
       a.postcode, a.tag, a.created_ms, a.updated_ms, a.req_hash,
       NOT EXISTS (SELECT 1 FROM address b
                    WHERE b.user_id = a.user_id
                      AND (b.place < a.place
                           OR (b.place = a.place AND b.id < a.id)))
  FROM address a
 WHERE a.user_id = ? AND a.id = ?;

-- name: address_by_req
SELECT a.id, a.receiver, a.mobile, a.province, a.city, a.district, a.detail,
       a.postcode, a.tag, a.created_ms, a.updated_ms, a.req_hash,
       NOT EXISTS (SELECT 1 FROM address b
                    WHERE b.user_id = a.user_id
                      AND (b.place < a.place
                           OR (b.place = a.place AND b.id < a.id)))
  FROM address a
 WHERE a.user_id = ? AND a.req_id = ?;

-- A free slot, from a random one on; none is free: nothing is inserted.  Two
-- at once may find the same one, then the unique key refuses one of them.
-- Parameters: id, req_id, req_hash, now, now, the fields in their order (for
-- is_default its place), slots, user, random, slots.
-- name: address_insert
INSERT INTO address (id, user_id, slot, req_id, req_hash, created_ms,
                     updated_ms, receiver, mobile, province, city, district,
                     detail, postcode, tag, place)
SELECT ?, u.id, s.n, ?, ?, ?, ?, ?, ?, ?, ?, COALESCE(?, ''), ?,
       COALESCE(?, ''), COALESCE(?, ''), ?
  FROM user u JOIN user_slot s
 WHERE s.n < ? AND u.id = ? AND u.status = 0
   AND NOT EXISTS (SELECT 1 FROM address d
                    WHERE d.user_id = u.id AND d.slot = s.n)
 ORDER BY (s.n + ?) % ? LIMIT 1;

-- Parameters: the fields in their order (for is_default its place), now,
-- user, id.
-- name: address_change
UPDATE address
   SET receiver = COALESCE(?, receiver), mobile = COALESCE(?, mobile),
       province = COALESCE(?, province), city = COALESCE(?, city),
       district = COALESCE(?, district), detail = COALESCE(?, detail),
       postcode = COALESCE(?, postcode), tag = COALESCE(?, tag),
       place = COALESCE(?, place), version = version + 1, updated_ms = ?
 WHERE user_id = ? AND id = ?;

-- name: address_delete
DELETE FROM address WHERE user_id = ? AND id = ?;

-- The three sponsor* reads share their columns: see ngx_user_sponsor.c.
-- name: sponsors
SELECT s.id, s.type, s.applet_type, s.name, s.description, s.avatar,
       s.qr_code, s.input_a, s.input_b, s.is_show, s.created_ms,
       s.updated_ms, 0
  FROM user_sponsor s
 WHERE s.user_id = ?
 ORDER BY s.id DESC;

-- name: sponsor_by_id
SELECT s.id, s.type, s.applet_type, s.name, s.description, s.avatar,
       s.qr_code, s.input_a, s.input_b, s.is_show, s.created_ms,
       s.updated_ms, s.req_hash
  FROM user_sponsor s
 WHERE s.user_id = ? AND s.id = ?;

-- name: sponsor_by_req
SELECT s.id, s.type, s.applet_type, s.name, s.description, s.avatar,
       s.qr_code, s.input_a, s.input_b, s.is_show, s.created_ms,
       s.updated_ms, s.req_hash
  FROM user_sponsor s
 WHERE s.user_id = ? AND s.req_id = ?;

-- What others see of it, or its owner.
-- name: sponsor_seen
SELECT s.id, s.type, s.applet_type, s.name, s.description, s.avatar,
       s.qr_code, s.input_a, s.input_b, s.is_show, s.created_ms,
       s.updated_ms, s.req_hash
  FROM user_sponsor s JOIN user u ON u.id = s.user_id
 WHERE s.id = ? AND (s.user_id = ? OR (s.is_show = 1 AND u.status = 0));

-- Parameters as of address_insert.
-- name: sponsor_insert
INSERT INTO user_sponsor (id, user_id, slot, req_id, req_hash, created_ms,
                          updated_ms, type, applet_type, name, description,
                          avatar, qr_code, input_a, input_b, is_show)
SELECT ?, u.id, s.n, ?, ?, ?, ?, ?, COALESCE(?, 0), ?, COALESCE(?, ''),
       COALESCE(?, ''), COALESCE(?, ''), COALESCE(?, ''), COALESCE(?, ''),
       COALESCE(?, 1)
  FROM user u JOIN user_slot s
 WHERE s.n < ? AND u.id = ? AND u.status = 0
   AND NOT EXISTS (SELECT 1 FROM user_sponsor d
                    WHERE d.user_id = u.id AND d.slot = s.n)
 ORDER BY (s.n + ?) % ? LIMIT 1;

-- Parameters: the fields in their order, now, user, id.
-- name: sponsor_change
UPDATE user_sponsor
   SET type = COALESCE(?, type), applet_type = COALESCE(?, applet_type),
       name = COALESCE(?, name), description = COALESCE(?, description),
       avatar = COALESCE(?, avatar), qr_code = COALESCE(?, qr_code),
       input_a = COALESCE(?, input_a), input_b = COALESCE(?, input_b),
       is_show = COALESCE(?, is_show), version = version + 1, updated_ms = ?
 WHERE user_id = ? AND id = ?;

-- name: sponsor_delete
DELETE FROM user_sponsor WHERE user_id = ? AND id = ?;

-- The key u_req begins with the user.
-- name: order_states
SELECT status, COUNT(*) FROM orders WHERE user_id = ? GROUP BY status;

-- name: orders_after
SELECT order_no, req_id, title, cancel_reason, activity_id, product_id, qty,
       price, amount, status, granted_ms, pay_deadline_ms, paid_ms, closed_ms
  FROM orders
 WHERE user_id = ? AND order_no > ?
 ORDER BY order_no LIMIT ?;

-- name: user_closed
SELECT token_version FROM user WHERE id = ? AND status = 2;

-- Closes an account: every session and every token ends with it.
-- name: user_close
UPDATE user u LEFT JOIN user_session s
    ON s.user_id = u.id AND s.revoked_ms = 0
   SET u.status = 2, u.deleted_ms = ?, u.erased_ms = 0,
       u.token_version = u.token_version + 1, u.token_version_ms = ?,
       u.updated_ms = ?, s.revoked_ms = ?
 WHERE u.id = ? AND u.token_version = ? AND u.status = 0;
