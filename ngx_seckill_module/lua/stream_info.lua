#!lua
-- What waits in a stream.
-- KEYS 1 the stream
-- Returns {} when there is none, else {length, newest id, ms of the clock,
--      and of each group: name, consumers, pending, lag (-1: Redis does not
--      know), oldest pending id ("" none)}

local info = redis.pcall('XINFO', 'STREAM', KEYS[1])

if info.err then
    return {}
end

local function field(row, name)
    for i = 1, #row, 2 do
        if row[i] == name then
            return row[i + 1]
        end
    end
end

local time = redis.call('TIME')
local out = {field(info, 'length'), field(info, 'last-generated-id'),
             time[1] * 1000 + math.floor(time[2] / 1000)}

for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local pending = redis.call('XPENDING', KEYS[1], field(group, 'name'))

    out[#out + 1] = field(group, 'name')
    out[#out + 1] = field(group, 'consumers')
    out[#out + 1] = field(group, 'pending')
    out[#out + 1] = field(group, 'lag') or -1
    out[#out + 1] = pending[2] or ''
end

return out
