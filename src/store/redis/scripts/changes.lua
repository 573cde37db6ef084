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

-- The id of the standby that is called to claim the record: the one seen last, except the one that leaves,
-- and none if an operator has named a successor.
local function called(leaver)
  if record[HANDOVER] and not find(record[HANDOVER], '|anyone|', 1, true) then return nil end
  local seen = redis.pcall('ZREVRANGE', KEYS[3], '0', '1')
  for i = 1, #seen do
    local id = string.match(seen[i], '^[^|]+')
    if id and id ~= leaver and is_holder(id) then return id end
  end
  return nil
end

-- Wakes the standbys when the record is free to be claimed. The message is `memory memory_floor taken`, the record,
-- and the id of the called standby if there is one. The record is `floor term beat handover`, with a handover of
-- `-` for none, or `-` if there is none any more: the whole of it, so that it can be claimed without asking first.
-- It is only a hint: without permission to publish, the standbys rely on their polls.
local function wake(channel, leaver)
  if counter or record[PAUSED] or (record[HOLDER] or '') ~= '' then return end
  local id = called(leaver)
  local left = '-'
  if record[FLOOR] then
    left = record[FLOOR] .. ' ' .. record[TERM] .. ' ' .. record[BEAT] .. ' ' .. (record[HANDOVER] or '-')
  end
  redis.pcall('PUBLISH', channel, memory[ID] .. ' ' .. memory[MEMORY_FLOOR] .. ' ' .. memory[TAKEN] .. ' ' .. left
    .. (id and ' ' .. id or ''))
end

-- Deletes the record and its history, and returns whether it did: a record stays while an order stands in it, and
-- if a term or counter far ahead of the clock would use up the terms of all elections.
local function forget()
  local floor = larger(memory[MEMORY_FLOOR], larger(record[FLOOR] or '0', record[BEAT] or '0'))
  if record[PAUSED] or record[HANDOVER] or not at_most(floor, string.format('%.0f', first_term + AHEAD)) then
    return false
  end
  -- A deletion first: a server that is out of memory then lets the script write. A failure after it leaves a
  -- record that is listed and not there, which begins a new memory.
  must('DEL', KEYS[1], KEYS[2], KEYS[5])
  if floor ~= memory[MEMORY_FLOOR] then
    memory[MEMORY_FLOOR] = floor
    write_memory()
  end
  if listed then must('HDEL', KEYS[4], '@' .. KEYS[1]) end
  counter, record = false, { false, false, false, false, false, false, false }
  return true
end
