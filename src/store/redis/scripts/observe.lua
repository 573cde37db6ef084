-- Observe: reads the record, and notes that a candidate campaigns.
--
-- KEYS     those of record.lua
-- ARGV[1]  the identity of the candidate
-- reply    that of record.lua
-- guard    none

local trouble = note_candidate(ARGV[1], false)
-- A server that is full, or whose candidates somebody replaced, can still be read. One that has become
-- a replica must not be: what it shows may be old, and nothing can be claimed there.
if trouble and not (string.find(trouble.err, 'OOM', 1, true)
    or string.find(trouble.err, 'MISCONF', 1, true)
    or string.find(trouble.err, 'WRONGTYPE', 1, true)) then
  return trouble
end
return reply(GRANTED)
