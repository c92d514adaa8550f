#!lua
-- Ends a run of an Idempotency-Key; idem_ask.lua tells what a record is.
-- KEYS 1 {rush}i:USER:ROUTE:KEY
-- ARGV 1 id of the run, 2 what becomes of it, 3 ms to keep the record,
--      4 outcome
--      done: the outcome is kept; free: nothing was made; doubt: something
--      may have been made, the next run gets the same id for it
-- Returns 1; 0 when another run has taken over: nothing is changed

local kept = redis.call('GET', KEYS[1])

if not kept then
    return 0
end

local print, owner, made, again =
    kept:match('^R (%x+) %d+ (%d+) (%d+) (%d)$')

if owner ~= ARGV[1] then
    return 0
end

if ARGV[2] == 'done' then
    redis.call('SET', KEYS[1], 'D ' .. print .. ' ' .. ARGV[4],
               'PX', ARGV[3])

elseif ARGV[2] == 'free' and again == '0' then
    redis.call('DEL', KEYS[1])

else
    redis.call('SET', KEYS[1], 'R ' .. print .. ' 0 0 ' .. made .. ' 1',
               'PX', ARGV[3])
end

return 1
