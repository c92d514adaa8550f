#!lua
-- Hands an ordinary order over to a consumer, once a request id.
-- KEYS 1 {rush}order, 2 {rush}o:ORDER_NO, with an id that a client made
--      3 {rush}o:USER:ID
-- ARGV 1 order_no, 2 user, 3 request id, 4 product, 5 quantity, 6 address,
--      7 remark, 8 fingerprint of the request, 9 orders that may wait,
--      10 ms that the keys live, 11 1: it is to be refused, unless it is an
--      old one
-- Returns the order number of this request id, the first one there was; -1
--      too many wait; -2 the id stands for another request; -3 refused
--
-- Entries that are stored stay in the stream for a while, so its length does
-- not tell how many wait.

local call, argv = redis.call, ARGV

if KEYS[3] then
    local kept = call('GET', KEYS[3])

    if kept then
        local order, print = string.match(kept, '^(%S+) (%S+)$')
        return print == argv[8] and order or -2
    end
end

if argv[11] == '1' then
    return -3
end

local waiting = 0
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])

if not groups.err then
    waiting = call('XLEN', KEYS[1])

    for _, group in ipairs(groups) do
        local v = {}

        for i = 1, #group, 2 do
            v[group[i]] = group[i + 1]
        end

        if v.name == 'rush' and v.lag then
            waiting = v.lag + v.pending
        end
    end
end

if waiting >= tonumber(argv[9]) then
    return -1
end

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

call('XADD', KEYS[1], '*', 'o', argv[1], 'u', argv[2], 'r', argv[3],
     'p', argv[4], 'q', argv[5], 'a', argv[6], 'm', argv[7], 't', now)
call('SET', KEYS[2], argv[2], 'PX', argv[10])

if KEYS[3] then
    call('SET', KEYS[3], argv[1] .. ' ' .. argv[8], 'PX', argv[10])
end

return argv[1]
