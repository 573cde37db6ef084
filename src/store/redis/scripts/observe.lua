-- Observe: reads the record, and notes that a candidate campaigns.
--
-- KEYS     those of record.lua
-- ARGV[1]  the identity of the candidate
-- reply    that of record.lua
-- guard    none

check_memory(true)

local trouble = note_candidate(KEYS[3], ARGV[1], false)
-- A server that is full, or whose candidates key was replaced, can still be read. A replica must not be:
-- its data may be old, and nothing can be claimed there.
if trouble then
  local code = fault(trouble, 'ZADD')
  if code ~= 'OOM' and code ~= 'MISCONF' and code ~= 'WRONGTYPE' then return failing(trouble, 'ZADD') end
end
return reply(GRANTED)
