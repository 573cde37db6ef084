-- Beat: increments the heartbeat counter of a record that is mine.
--
-- KEYS     those of record.lua
-- ARGV[1]  the identity of the holder    ARGV[2]  its id
-- ARGV[3]  its term                      ARGV[4]  1 when it has outwaited every leader that this
--                                                 server may have forgotten
-- reply    that of record.lua
-- guard    the record is held, by this id, under this term

if shape ~= 'held' or record[HOLDER] ~= ARGV[2] or record[TERM] ~= ARGV[3] then
  return refuse()
end

-- The reply of INCR would pass through a double; the text of the counter is exact.
must('INCR', KEYS[1])
counter = must('GET', KEYS[1])
record[BEAT] = counter
if ARGV[4] == '1' then record[UNPROVEN] = '0' end
must('HSET', KEYS[2], 'beat', counter, 'unproven', record[UNPROVEN], 'changed', clock)
-- Every tenth heartbeat removes candidates that are no longer seen.
note_candidate(ARGV[1], string.sub(counter, -1) == '0')
return reply(GRANTED)
