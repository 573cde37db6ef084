-- Observe: reads the record, and notes that a candidate campaigns.
--
-- KEYS     those of record.lua
-- ARGV[1]  the identity of the candidate
-- reply    that of record.lua
-- guard    none

check_memory(true)

-- The set is pruned by age and capped whenever it grows.
local noted = redis.pcall('ZADD', KEYS[3], clock, ARGV[1])
if noted == 1 then
  redis.pcall('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', clock - REMEMBERED_MS))
  redis.pcall('ZREMRANGEBYRANK', KEYS[3], 0, -1 - CANDIDATES)
end
-- A server that is full, or whose candidates key was replaced, can still be read. A replica must not be:
-- its data may be old, and nothing can be claimed there.
if type(noted) == 'table' then
  local code = fault(noted, 'ZADD')
  if code ~= 'OOM' and code ~= 'MISCONF' and code ~= 'WRONGTYPE' then return failing(noted, 'ZADD') end
end
return reply(GRANTED)
