#!lua
-- Adds units to a loaded activity or withdraws unsold ones, once an op_id.
-- KEYS 1 {a:ID}m, 2 {a:ID}u, 3 {a:ID}s, 4 {a:ID}o
-- ARGV 1 op_id, 2 delta
-- Returns {1, remain} applied, {2, remain} was applied before, {0, remain}
--      refused: fewer units are left than asked for; -1 not loaded

local id, delta = ARGV[1], tonumber(ARGV[2])
local remain = tonumber(redis.call('HGET', KEYS[1], 'remain') or nil)

if not remain then
    return -1
end

if redis.call('HEXISTS', KEYS[4], id) == 1 then
    return {2, remain}
end

if delta < 0 and remain + delta < 0 then
    return {0, remain}
end

redis.call('HSET', KEYS[4], id, delta)
redis.call('HINCRBY', KEYS[1], 'remain', delta)
redis.call('HINCRBY', KEYS[1], 'total', delta)
redis.call('HINCRBY', KEYS[1], 'rver', 1)

return {1, remain + delta}
