#!lua
-- Changes the rules of a loaded activity; the stock stays as it is.
-- KEYS 1 {a:ID}m
-- ARGV 1 epoch expected, 2 state (on, paused, off), 3 start, 4 stop,
--      5 limit, 6 price_ver, 7 new epoch
-- Returns 1 changed, 0 refused: not loaded, or loaded under another epoch

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
    return 0
end

redis.call('HSET', KEYS[1], 'state', ARGV[2], 'start', ARGV[3],
           'stop', ARGV[4], 'limit', ARGV[5], 'price_ver', ARGV[6],
           'epoch', ARGV[7])

return 1
