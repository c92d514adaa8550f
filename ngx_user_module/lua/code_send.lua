#!lua
-- Keeps a new code and hands its message over to a consumer, unless there
-- were too many: of the number first, then of the address.
-- KEYS 1 {rush}c:k:CODE, 2 {rush}c:n:NUMBER, 3 {rush}c:a:ADDRESS, 4 {rush}out
-- ARGV 1 mac of the code, 2 its life in ms, 3 ms between two codes of a
--      number, 4 codes an hour of a number, 5 codes a day of a number,
--      6 codes a day of an address (each 0: any), 7 the sealed message
-- Returns 0, or the ms until it may be tried again
--
-- Both histories are lists of times, the newest first, of a day at most.
-- Entries of the stream that are an hour old say nothing to anybody any more;
-- they go, so a stream that nobody reads does not grow for ever.

local call, argv = redis.call, ARGV
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local HOUR, DAY = 3600000, 86400000

-- ms until the n-th time from the newest is "period" ago

local function wait(key, n, period)
    local at = n > 0 and call('LINDEX', key, n - 1)

    return at and math.min(at + period - now, period) or 0
end

local function note(key, most)
    if most > 0 then
        call('LPUSH', key, now)
        call('LTRIM', key, 0, most - 1)
        call('PEXPIRE', key, DAY)
    end
end

local interval, hour, day = tonumber(argv[3]), tonumber(argv[4]),
                            tonumber(argv[5])
local address = tonumber(argv[6])

local left = math.max(wait(KEYS[2], interval > 0 and 1 or 0, interval),
                      wait(KEYS[2], hour, HOUR), wait(KEYS[2], day, DAY))

if left <= 0 then
    left = wait(KEYS[3], address, DAY)
end

if left > 0 then
    return left
end

call('XADD', KEYS[4], 'MINID', '~', now - HOUR, '*', 'k', 'code', 'm', argv[7])
call('DEL', KEYS[1])
call('HSET', KEYS[1], 'h', argv[1], 'n', 0)
call('PEXPIRE', KEYS[1], argv[2])
note(KEYS[2], math.max(interval > 0 and 1 or 0, hour, day))
note(KEYS[3], address)

return 0
