#!lua
-- Gives the units of one order back, once.
-- KEYS 1 {a:ID}m, 2 {a:ID}u
-- ARGV 1 user, 2 req, 3 order_no, 4 qty
-- Returns 1 given back, 0 nothing to do: the order does not hold the units
--      (given back before, rebuilt without it, activity not loaded)
--
-- "-order_no" stays under user:req, so that a late copy of the request does
-- not win a second time.

local user, order, qty = ARGV[1], ARGV[3], tonumber(ARGV[4])
local field = user .. ':' .. ARGV[2]

if redis.call('HEXISTS', KEYS[1], 'epoch') == 0
    or redis.call('HGET', KEYS[2], field) ~= order
    or string.sub(order, 1, 1) == '-'
then
    return 0
end

local held = tonumber(redis.call('HGET', KEYS[2], user) or 0)

redis.call('HSET', KEYS[2], field, '-' .. order)

if held > qty then
    redis.call('HINCRBY', KEYS[2], user, -qty)
else
    redis.call('HDEL', KEYS[2], user)
end

redis.call('HINCRBY', KEYS[1], 'remain', qty)
redis.call('HINCRBY', KEYS[1], 'rver', 1)

return 1
