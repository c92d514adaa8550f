#!lua
-- Puts what was rebuilt from MySQL in force, in one step.
-- KEYS 1 {a:ID}m, 2 {a:ID}u, 3 {a:ID}s, 4 {a:ID}o, 5 {a:ID}u:new
-- ARGV 1 epoch expected, 0 not loaded, 2 epoch, 3 state (on, paused, off),
--      4 start, 5 stop, 6 remain, 7 limit, 8 price_ver, 9 total,
--      10.. op_ids that total contains
-- Returns 1 done, 0 refused: it is loaded under another epoch
--
-- The epoch expected is the one under which the caller closed the sale: what
-- it counted is not put in force when somebody has opened it since.
--
-- Without {a:ID}u:new nobody has bought.  The stream is kept, it is the log
-- of what was granted before.

local old = redis.call('HGET', KEYS[1], 'epoch') or '0'

if old ~= ARGV[1] or tonumber(old) >= tonumber(ARGV[2]) then
    return 0
end

local time = redis.call('TIME')
local rver = math.max(time[1] * 1000 + math.floor(time[2] / 1000),
                      1 + (redis.call('HGET', KEYS[1], 'rver') or 0))

redis.pcall('XGROUP', 'CREATE', KEYS[3], 'rush', '0', 'MKSTREAM')

redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[4])
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'state', ARGV[3],
           'start', ARGV[4], 'stop', ARGV[5], 'remain', ARGV[6],
           'limit', ARGV[7], 'price_ver', ARGV[8], 'total', ARGV[9],
           'rver', rver)

if redis.call('EXISTS', KEYS[5]) == 1 then
    redis.call('RENAME', KEYS[5], KEYS[2])
end

for i = 10, #ARGV do
    redis.call('HSET', KEYS[4], ARGV[i], 0)
end

return 1
