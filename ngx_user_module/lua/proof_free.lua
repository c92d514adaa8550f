#!lua
-- Gives a code or a ticket back that a use has taken and that came to
-- nothing.
-- KEYS 1 {rush}c:k:CODE or {rush}c:t:TICKET
-- ARGV 1 fingerprint of the use
-- Returns 1 given back, 0 this use does not have it

if redis.call('HGET', KEYS[1], 'u') ~= ARGV[1] then
    return 0
end

return redis.call('HDEL', KEYS[1], 'u')
