-- Shared by all scripts that change the holder of the record.
--
-- KEYS[5]  {K}:history  stream

-- The history is for people: an election works without it. It is trimmed when a whole node of it can go.
-- An entry may have a note about what the change was made for: the names are those of `note.rs`.
-- Numbers for commands are written as text here: a server formats each number of a script again.
local function note_change(change, note)
  if note then
    redis.pcall('XADD', KEYS[5], 'MAXLEN', '~', '1000', '*', 'at', clock, 'term', record[TERM] or '0',
      'holder', ARGV[1], 'change', change, 'note', note)
  else
    redis.pcall('XADD', KEYS[5], 'MAXLEN', '~', '1000', '*', 'at', clock, 'term', record[TERM] or '0',
      'holder', ARGV[1], 'change', change)
  end
end

-- The last heartbeat of the holder, or the grant of the record, to be read before the record changes.
-- Nothing if there is no holder.
local function last_beat()
  if record[HOLDER] == '' or not record[HOLDER] then return nil end
  local changed = redis.pcall('HMGET', KEYS[2], 'changed')[1]
  return is_natural(changed, MAX_CLOCK) and changed
end
