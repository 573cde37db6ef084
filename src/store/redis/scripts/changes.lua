-- What every script does that changes who holds the record.
--
-- KEYS[4]  {K}:history  stream

-- The history is for people: an election goes on without it. It is cut when a whole node of it can go.
local function note_change(change)
  redis.pcall('XADD', KEYS[4], 'MAXLEN', '~', 1000, '*', 'at', clock, 'term', record[TERM] or '0',
    'holder', ARGV[1], 'change', change)
end

-- Wakes the standbys when the record is free to be claimed. The message is
-- `floor term beat unproven clock`, and the handover if there is one: all of a vacant record, so that a
-- standby can claim it without asking first. It is a hint: whoever may not publish leaves the standbys
-- to their polls.
local function wake(channel)
  if counter or record[HOLDER] ~= '' or record[PAUSED] then return end
  redis.pcall('PUBLISH', channel, record[FLOOR] .. ' ' .. record[TERM] .. ' ' .. record[BEAT] .. ' '
    .. record[UNPROVEN] .. ' ' .. clock .. (record[HANDOVER] and ' ' .. record[HANDOVER] or ''))
end
