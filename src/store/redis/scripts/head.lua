-- Reads the memory of the server. Every script of one election continues with this text.
--
-- KEYS[1]  K              string  the heartbeat counter, present only while the election is held
-- KEYS[2]  {K}:record     hash    the rest of the record, and what operators have ordered
-- KEYS[3]  {K}:candidates zset    the candidates, by when each last looked; a leader's heartbeats are in the record
-- KEYS[4]  {PREFIX}:memory hash   the memory of the server; on a cluster {K}:memory
--            memory  `format id age_ms floor taken server`: the format of all keys; which memory it is
--                    (milliseconds.number), and how old at least; no term up to the floor is granted; how often
--                    held records have changed hands; the replication id of the server
--            @K      for each record that is there, its floor
--
-- Every reply is { verdict, clock, counter, floor, term, beat, holder, window_ns, paused, handover, memory, ... }:
--   verdict  1 granted, 0 refused, 2 the record cannot be read, 3 a key has the wrong type, 4 another format
--   clock    the server's time in milliseconds, as text
--   the record as it is afterwards, each field as text or nil:
--     paused    until|by|reason      no one is elected until then, in ms, or until it is lifted: -
--     handover  term|kind|successor  the leader of that term is asked to resign
-- and for a key of the wrong type { 3, clock, key, type }, for another format { 4, clock, format }. Two are shorter:
-- { 5, clock, term, holder, window_ns, memory }: granted, and the record is new: floor, beat and counter are its term;
-- { 6, clock, memory }: granted, and nothing of the record is left.
--
-- A record that cannot be read is answered here and never written to, each field cut to a length that
-- no valid one has. The rules are those of `reply.rs`.

local remembered = redis.pcall('HMGET', KEYS[4], 'memory', '@' .. KEYS[1])
-- A memory that cannot be read is as good as none. What it holds is judged by `reply.rs` alone.
local memory
local memory_text = remembered[1]
if memory_text then
  local format, id, age, floor, taken, server = string.match(memory_text, MEMORY)
  if format and #memory_text < MAX_TEXT then memory = { id, age, floor, taken, server } end
  format = format or string.match(memory_text, '^(%d+) ')
  if format and format ~= FORMAT then return { OTHER_FORMAT, clock, string.sub(format, 1, MAX_TEXT) } end
end
