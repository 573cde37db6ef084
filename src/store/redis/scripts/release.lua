-- Release: releases a record that is mine, and wakes a standby.
--
-- KEYS     those of record.lua
-- KEYS[5]  {K}:history
-- ARGV[1]  the identity of the holder    ARGV[2]  its id
-- ARGV[3]  its term                      ARGV[4]  the channel {K}:events
-- ARGV[5]  why it is released, for the history
-- ARGV[6]  1 to delete the record
-- reply    that of record.lua
-- guard    the record is held, by this id, under this term

check_memory(false)

if shape ~= 'held' or record[HOLDER] ~= ARGV[2] or record[TERM] ~= ARGV[3] then
  return refuse()
end

if ARGV[6] == '1' and forget() then
  -- The standbys stay listed, so that the next release can call one of them.
  if #redis.pcall('ZREVRANGE', KEYS[3], '0', '0') > 0 then
    redis.pcall('ZREM', KEYS[3], ARGV[1])
    redis.pcall('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', clock - REMEMBERED_MS))
  end
else
  -- A deletion first: a server that is out of memory still lets a holder release.
  must('DEL', KEYS[1])
  must('HSET', KEYS[2], 'holder', '', 'window_ns', '0', 'changed', clock)
  -- People read these only: without the permission they stay behind, and the release succeeds.
  redis.pcall('HDEL', KEYS[2], 'identity', 'since')
  counter, record[HOLDER], record[WINDOW] = false, '', '0'

  note_change('released', ARGV[5])
  -- A candidate that keeps campaigning is noted again by its next observation.
  redis.pcall('ZREM', KEYS[3], ARGV[1])
end
wake_one(ARGV[4], ARGV[2], not record[FLOOR])
return reply(GRANTED)
