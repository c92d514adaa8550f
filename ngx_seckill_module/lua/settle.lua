#!lua
-- Makes the outcome of a request definite, for a worker that lost a reply.
-- KEYS 1 {a:ID}m, 2 {a:ID}u
-- ARGV 1 user, 2 req
-- Returns -1 when the activity is not loaded, else the string kept under
--      user:req: "order_no", "-order_no" given back, "-" refused; a request
--      that is not known is refused for good by this call

local field = ARGV[1] .. ':' .. ARGV[2]

if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then
    return -1
end

local kept = redis.call('HGET', KEYS[2], field)

if kept then
    return kept
end

redis.call('HSET', KEYS[2], field, '-')

return '-'
