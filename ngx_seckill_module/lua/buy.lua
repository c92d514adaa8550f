#!lua
-- Takes stock for up to 128 buyers of one activity and records the orders.
-- KEYS 1 {a:ID}m, 2 {a:ID}u, 3 {a:ID}s
-- ARGV 1 epoch, 2 deadline in ms or 0, then five a buyer:
--      user, req, order_no, qty, retry (0 or 1)
-- Returns {-1} when the activity is not loaded, else
--      {0, epoch, remain, rver, result of buyer 1, ...}; a result is a code
--      (0 granted, -2 old epoch, -3 past the deadline, -4 not on, -5 early,
--      -6 over, -7 quantity, -8 limit, -9 stock) or the string kept under
--      user:req ("order_no" replayed, "-order_no" given back, "-" refused)
--
-- Redis does not roll back, so everything is read and decided first; of the
-- writes XADD is the one that can fail, so it comes first.  The answer to a
-- request id never changes: what is kept is looked at before any other rule,
-- and a retry that is denied leaves "-", which an older copy of the same
-- request, still on its way, finds.  An old epoch is not a decision about
-- the request and leaves nothing.

local call, argv, argc, tonumber = redis.call, ARGV, #ARGV, tonumber
local meta = call('HMGET', KEYS[1], 'epoch', 'state', 'start', 'stop',
                  'remain', 'limit', 'rver', 'price_ver')
local epoch, remain = meta[1], tonumber(meta[5])

if not epoch or not remain then
    return {-1}
end

local fields, n = {}, 0

for i = 3, argc, 5 do
    local user = argv[i]
    fields[n + 1] = user .. ':' .. argv[i + 1]
    fields[n + 2] = user
    n = n + 2
end

local kept = call('HMGET', KEYS[2], unpack(fields))

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline, limit = tonumber(argv[2]), tonumber(meta[6])
local denied = 0

if epoch ~= argv[1] then
    denied = -2
elseif meta[2] ~= 'on' then
    denied = -4
elseif deadline ~= 0 and now > deadline then
    denied = -3
elseif now < tonumber(meta[3]) then
    denied = -5
elseif now >= tonumber(meta[4]) then
    denied = -6
end

local left, units, answers = remain, {}, {}
local entry, set = {'e', epoch, 't', now, 'p', meta[8]}, {}
local entry_n, set_n = 6, 0
local out, out_n, f = {0, tonumber(epoch), 0, tonumber(meta[7])}, 4, 0

for i = 3, argc, 5 do
    local key, user = fields[f + 1], fields[f + 2]
    local result = kept[f + 1] or answers[key]

    if not result then
        result = denied

        if result == 0 then
            local qty = tonumber(argv[i + 3])
            local held = (units[user] or kept[f + 2] or 0) + qty

            if qty < 1 or qty > limit or qty % 1 ~= 0 then
                result = -7
            elseif held > limit then
                result = -8
            elseif qty > left then
                result = -9
            else
                local order = argv[i + 2]

                left = left - qty
                units[user] = held
                answers[key] = order

                entry[entry_n + 1] = 'g'
                entry[entry_n + 2] = user .. ' ' .. argv[i + 1] .. ' '
                                     .. order .. ' ' .. qty
                entry_n = entry_n + 2

                set[set_n + 1] = key
                set[set_n + 2] = order
                set[set_n + 3] = user
                set[set_n + 4] = held
                set_n = set_n + 4
            end
        end

        if result < 0 and result ~= -2 and argv[i + 4] == '1' then
            answers[key] = '-'
            set[set_n + 1] = key
            set[set_n + 2] = '-'
            set_n = set_n + 2
        end
    end

    out_n = out_n + 1
    out[out_n] = result
    f = f + 2
end

if entry_n > 6 then
    call('XADD', KEYS[3], '*', unpack(entry))
    call('HINCRBY', KEYS[1], 'remain', left - remain)
end

if set_n > 0 then
    call('HSET', KEYS[2], unpack(set))
end

out[3] = left

return out
