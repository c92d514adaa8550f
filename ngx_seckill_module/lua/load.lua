#!lua
-- Opens an activity that nobody has bought from.
-- KEYS 1 {a:ID}m, 2 {a:ID}u, 3 {a:ID}s, 4 {a:ID}o
-- ARGV 1 epoch, 2 state (on, paused, off), 3 start, 4 stop, 5 remain,
--      6 limit, 7 price_ver, 8 total, 9.. op_ids that total contains
-- Returns 1 loaded, 0 refused: it is loaded under this or a later epoch, or
--      buyers are kept without a meta hash, which takes a rebuild
--
-- rver starts at the clock, so that it rises over an unload and a load too.

local old = tonumber(redis.call('HGET', KEYS[1], 'epoch') or nil)

if (old and old >= tonumber(ARGV[1]))
    or redis.call('EXISTS', KEYS[2]) == 1
then
    return 0
end

local time = redis.call('TIME')
local rver = math.max(time[1] * 1000 + math.floor(time[2] / 1000),
                      1 + (redis.call('HGET', KEYS[1], 'rver') or 0))

redis.pcall('XGROUP', 'CREATE', KEYS[3], 'rush', '0', 'MKSTREAM')

redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'state', ARGV[2],
           'start', ARGV[3], 'stop', ARGV[4], 'remain', ARGV[5],
           'limit', ARGV[6], 'price_ver', ARGV[7], 'total', ARGV[8],
           'rver', rver)
redis.call('DEL', KEYS[4])

for i = 9, #ARGV do
    redis.call('HSET', KEYS[4], ARGV[i], 0)
end

return 1
