#!lua
-- Hands something over to a consumer that asks WeChat, and makes the place
-- of the answer.
-- KEYS 1 {rush}c:q:ID, 2 {rush}c:w:ADDRESS, 3 {rush}ask
-- ARGV 1 the id, 2 the sealed ask, 3 asks a minute of an address (0: any),
--      4 asks that may wait, 5 ms that one waits
-- Returns 0 it waits, or has an answer already; the ms until the address may
--      ask again; -1 too many wait; -2 no consumer has ever asked for any
--
-- The place is "" until a consumer takes the ask.  The history of an address is
-- a list of times, the newest first.  Asks that nobody waits for any more go.

local call, argv = redis.call, ARGV
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local address, most, life = tonumber(argv[3]), tonumber(argv[4]),
                            tonumber(argv[5])
local MINUTE = 60000

if call('GET', KEYS[1]) then
    return 0
end

if address > 0 then
    local at = call('LINDEX', KEYS[2], address - 1)
    local left = at and math.min(at + MINUTE - now, MINUTE) or 0

    if left > 0 then
        return left
    end
end

if call('XLEN', KEYS[3]) >= most then
    local oldest = call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]

    if tonumber(string.match(oldest[1], '^%d+')) >= now - life then
        return -1
    end
end

if not call('XADD', KEYS[3], 'NOMKSTREAM', 'MINID', '=', now - life, '*',
            'i', argv[1], 'm', argv[2])
then
    return -2
end

call('SET', KEYS[1], '', 'PX', life)

if address > 0 then
    call('LPUSH', KEYS[2], now)
    call('LTRIM', KEYS[2], 0, address - 1)
    call('PEXPIRE', KEYS[2], MINUTE)
end

return 0
