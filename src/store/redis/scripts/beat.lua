-- Beat: increments the heartbeat counter of a record that is mine.
--
-- KEYS     those of record.lua
-- ARGV[1]  the id of the holder            ARGV[2]  its term
-- ARGV[3]  the memory that it vouches for  ARGV[4]  how old that is, in milliseconds
-- reply    that of record.lua
-- guard    the record is held, by this id, under this term

local mine = shape == 'held' and record[HOLDER] == ARGV[1] and record[TERM] == ARGV[2]
-- A candidate that is refused learns whether the server may have forgotten it.
check_memory(ARGV[3] ~= '' or not mine)
if not mine then return refuse() end

-- The reply of INCR would pass through a double; the text of the counter is exact.
must('INCR', KEYS[1])
counter = must('GET', KEYS[1])
record[BEAT] = counter
must('HSET', KEYS[2], 'beat', counter, 'changed', clock)
remember(ARGV[3], ARGV[4], record[FLOOR])
return reply(GRANTED)
