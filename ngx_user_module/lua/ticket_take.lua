#!lua
-- Takes a ticket for one use.
-- KEYS 1 {rush}c:t:TICKET
-- ARGV 1 scene, 2 fingerprint of the use
-- Returns the sealed target, also when this very use had taken it before; nil
--      when there is no such ticket of the scene, or another use has it

local kept = redis.call('HMGET', KEYS[1], 's', 'x', 'u')

if kept[1] ~= ARGV[1] or (kept[3] and kept[3] ~= ARGV[2]) then
    return false
end

redis.call('HSET', KEYS[1], 'u', ARGV[2])

return kept[2]
