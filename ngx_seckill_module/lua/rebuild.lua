#!lua
-- Puts what was rebuilt from MySQL in force, in one step.
-- KEYS 1 {a:ID}m, 2 {a:ID}u, 3 {a:ID}s, 4 {a:ID}o, 5 {a:ID}u:new
-- ARGV 1 epoch, 2 state (on, paused, off), 3 start, 4 stop, 5 remain,
--      6 limit, 7 price_ver, 8 total, 9.. op_ids that total contains
-- Returns 1 done, 0 refused: it is loaded under this or a later epoch
--
-- Without {a:ID}u:new nobody has bought.  The stream is kept, it is the log
-- of what was granted before.

local old = tonumber(redis.call('HGET', KEYS[1], 'epoch') or nil)

if old and old >= tonumber(ARGV[1]) then
    return 0
end

local time = redis.call('TIME')
local rver = math.max(time[1] * 1000 + math.floor(time[2] / 1000),
                      1 + (redis.call('HGET', KEYS[1], 'rver') or 0))

redis.pcall('XGROUP', 'CREATE', KEYS[3], 'rush', '0', 'MKSTREAM')

redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[4])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'state', ARGV[2],
           'start', ARGV[3], 'stop', ARGV[4], 'remain', ARGV[5],
           'limit', ARGV[6], 'price_ver', ARGV[7], 'total', ARGV[8],
           'rver', rver)

if redis.call('EXISTS', KEYS[5]) == 1 then
    redis.call('RENAME', KEYS[5], KEYS[2])
end

for i = 9, #ARGV do
    redis.call('HSET', KEYS[4], ARGV[i], 0)
end

return 1
