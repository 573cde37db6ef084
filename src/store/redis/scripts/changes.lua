-- What every script does that changes who holds the record.
--
-- KEYS[4]  {K}:history  stream

-- The history is for people: an election goes on without it. It is cut when a whole node of it can go.
-- An entry may have a note besides, of what the change was made for: the names are those of `note.rs`.
-- Numbers for commands are written as text here: a server formats each number of a script anew.
local function note_change(change, note)
  if note then
    redis.pcall('XADD', KEYS[4], 'MAXLEN', '~', '1000', '*', 'at', clock, 'term', record[TERM] or '0',
      'holder', ARGV[1], 'change', change, 'note', note)
  else
    redis.pcall('XADD', KEYS[4], 'MAXLEN', '~', '1000', '*', 'at', clock, 'term', record[TERM] or '0',
      'holder', ARGV[1], 'change', change)
  end
end

-- The last sign of life of whoever holds the record, to be read before the record changes: when it last
-- beat, or was granted the record. Nothing where nobody holds it.
local function last_beat()
  if record[HOLDER] == '' or not record[HOLDER] then return nil end
  local changed = redis.pcall('HMGET', KEYS[2], 'changed')[1]
  return is_natural(changed, MAX_CLOCK) and changed
end

-- The id of the standby that is called to claim the record: the one seen last, but never who leaves it,
-- and nobody where an operator has named a successor.
local function called(leaver)
  if record[HANDOVER] and not find(record[HANDOVER], '|anyone|', 1, true) then return nil end
  local seen = redis.pcall('ZREVRANGE', KEYS[3], '0', '1')
  for i = 1, #seen do
    local id = string.match(seen[i], '^[^|]+')
    if id and id ~= leaver and is_holder(id) then return id end
  end
  return nil
end

-- Wakes the standbys when the record is free to be claimed. The message is
-- `floor term beat unproven handover`, with a handover of `-` for none, and the id of the standby
-- that is called if one is: all of a vacant record, so that it can be claimed without asking first. It is
-- a hint: whoever may not publish leaves the standbys to their polls.
local function wake(channel, leaver)
  if counter or record[HOLDER] ~= '' or record[PAUSED] then return end
  local id = called(leaver)
  redis.pcall('PUBLISH', channel, record[FLOOR] .. ' ' .. record[TERM] .. ' ' .. record[BEAT] .. ' '
    .. record[UNPROVEN] .. ' ' .. (record[HANDOVER] or '-') .. (id and ' ' .. id or ''))
end
