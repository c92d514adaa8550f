#!lua
-- May the caller run the request of an Idempotency-Key?
-- KEYS 1 {rush}i:USER:ROUTE:KEY
-- ARGV 1 fingerprint of the request (hex), 2 id of this run, 3 ms a run may
--      take, 4 ms a record is kept
-- Returns {0, made, again}: it may; made is the id for what it makes, again
--      is 1 when a run before may have made it; {1} another run is under way,
--      {2} the key was used for another request, {3, outcome} it has run
--
-- A record is "R fingerprint until owner made again" while a run is under way
-- (until: ms, then another run may begin), or "D fingerprint outcome".

local kept = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local made, again = ARGV[2], 0

if kept then
    local state, print, rest = kept:match('^(%u) (%x+) (.*)$')

    if print ~= ARGV[1] then
        return {2}
    end

    if state == 'D' then
        return {3, rest}
    end

    local lock, first = rest:match('^(%d+) %d+ (%d+) %d$')

    if tonumber(lock) > now then
        return {1}
    end

    made, again = first, 1
end

redis.call('SET', KEYS[1], string.format('R %s %.0f %s %s %d', ARGV[1],
                                         now + ARGV[3], ARGV[2], made, again),
           'PX', ARGV[4])

return {0, made, again}
