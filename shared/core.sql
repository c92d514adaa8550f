-- Statements of the core.

-- name: roles
SELECT id, permissions FROM role;

-- name: audit
INSERT INTO audit_inbox (act, kind, user_id, session_id, roles, route, object,
                         fields, address, trace_id, code, created_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
