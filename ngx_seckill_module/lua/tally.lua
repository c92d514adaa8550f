#!lua
-- Adds what a worker has counted to the report of an activity.
-- KEYS 1 {a:ID}r
-- ARGV field, number, field, number, ...
-- Returns 1

for i = 1, #ARGV, 2 do
    redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end

redis.call('EXPIRE', KEYS[1], 30 * 86400)

return 1
