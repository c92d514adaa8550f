#!lua
-- Takes a code for one use, or trades it for a ticket.
-- KEYS 1 {rush}c:k:CODE, for a ticket 2 {rush}c:t:TICKET
-- ARGV 1 mac of the code, 2 fingerprint of the use, 3 tries a code, for a
--      ticket 4 scene, 5 sealed target, 6 life of the ticket in ms
-- Returns 1 taken, also when this very use had taken it before; 0 there is no
--      such code, or it was used, or tried too often
--
-- The last wrong try burns the code.

local kept = redis.call('HMGET', KEYS[1], 'h', 'u')

if not kept[1] then
    return 0
end

if kept[1] ~= ARGV[1] then
    if redis.call('HINCRBY', KEYS[1], 'n', 1) >= tonumber(ARGV[3]) then
        redis.call('DEL', KEYS[1])
    end

    return 0
end

if kept[2] then
    return kept[2] == ARGV[2] and 1 or 0
end

if KEYS[2] then
    redis.call('HSET', KEYS[2], 's', ARGV[4], 'x', ARGV[5])
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
end

redis.call('HSET', KEYS[1], 'u', ARGV[2])

return 1
