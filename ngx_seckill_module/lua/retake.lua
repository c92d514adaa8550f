#!lua
-- Takes the units of an order again that were given back: its payment came
-- late.  The other way round of release.lua.
-- KEYS 1 {a:ID}m, 2 {a:ID}u
-- ARGV 1 user, 2 req, 3 order_no, 4 qty
-- Returns 1 taken, 2 the order holds them already, 0 fewer units are left,
--      -1 the activity is not loaded, -2 the user would hold more than the
--      limit, -3 the request has become something else

local user, order, qty = ARGV[1], ARGV[3], tonumber(ARGV[4])
local field = user .. ':' .. ARGV[2]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'remain', 'limit')
local remain = tonumber(meta[2])

if not meta[1] or not remain then
    return -1
end

local kept = redis.call('HGET', KEYS[2], field)

if kept == order then
    return 2
end

if kept and kept ~= '-' .. order then
    return -3
end

local held = tonumber(redis.call('HGET', KEYS[2], user) or 0)

if held + qty > tonumber(meta[3]) then
    return -2
end

if remain < qty then
    return 0
end

redis.call('HSET', KEYS[2], field, order, user, held + qty)
redis.call('HINCRBY', KEYS[1], 'remain', -qty)
redis.call('HINCRBY', KEYS[1], 'rver', 1)

return 1
