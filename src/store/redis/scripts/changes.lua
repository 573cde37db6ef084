-- Shared by the scripts that free a record.

-- Each of the next two functions returns an iterator over the ids of the standbys to call.

-- What was deleted is offered in the order of the ids, from that of the leaver on, and round again. Locks change hands
-- often, and those that wait for long would starve if always the one seen last were called. The ids decide, so that
-- several stores call the same one.
local function in_turn(leaver)
  local seen = redis.pcall('ZREVRANGE', KEYS[3], '0', IN_TURN, 'WITHSCORES')
  local waiting, seen_at = {}, {}
  for i = 1, #seen, 2 do
    waiting[#waiting + 1], seen_at[seen[i]] = seen[i], seen[i + 1]
  end
  table.sort(waiting)
  local place, left = 1, #waiting
  while waiting[place] and waiting[place] < leaver .. '|' do place = place + 1 end
  return function()
    while left > 0 do
      local one = waiting[(place - 1) % #waiting + 1]
      place, left = place + 1, left - 1
      local id, interval_ns = string.match(one, '^([^|]+)|[^|]*|[^|]*|[^|]*|(%d+)/')
      -- A standby is seen once per interval.
      local is_alive = id and clock - seen_at[one] <= interval_ns / 800000 + 100
      if is_alive and id ~= leaver and is_holder(id) then return id end
    end
  end
end

-- Any other record is offered to those seen last, without the one that leaves, and to none if an operator has named a
-- successor.
local function seen_last(leaver)
  local seen, place = {}, 0
  if not record[HANDOVER] or find(record[HANDOVER], '|anyone|', 1, true) then
    seen = redis.pcall('ZREVRANGE', KEYS[3], '0', CALLED)
  end
  return function()
    while seen[place + 1] do
      place = place + 1
      local id = string.match(seen[place], '^[^|]+')
      if id and id ~= leaver and is_holder(id) then return id end
    end
  end
end

-- The message to the standbys when the record is free to be claimed: `memory memory_floor taken` and the record, which
-- is `floor term beat handover`, with a handover of `-` for none, or `-` if there is none any more: the whole of it,
-- so that it can be claimed without asking first. The id of the called standby follows, if there is one.
local function vacancy()
  if counter or record[PAUSED] or (record[HOLDER] or '') ~= '' then return nil end
  local left = '-'
  if record[FLOOR] then
    left = record[FLOOR] .. ' ' .. record[TERM] .. ' ' .. record[BEAT] .. ' ' .. (record[HANDOVER] or '-')
  end
  return memory[ID] .. ' ' .. memory[MEMORY_FLOOR] .. ' ' .. memory[TAKEN] .. ' ' .. left
end

-- Wakes all standbys, and calls one of them. It is only a hint: without permission to publish, they rely on their
-- polls.
local function wake_all(channel, called)
  local told = vacancy()
  if told then redis.pcall('PUBLISH', channel, told .. (called and ' ' .. called or '')) end
end

-- Wakes one standby, on its own channel, so that a release costs the same however many wait: the first one that
-- hears. Should it not claim, because it is frozen or cut off, the second one looks a moment later. Its message is
-- published first, because a server writes the last one first. If no one hears, all are woken. Other nodes of a
-- cluster do not report who hears.
local function wake_one(channel, leaver, deleted)
  local told = vacancy()
  if not told then return end
  local is_cluster = KEYS[4] == '{' .. KEYS[1] .. '}:memory'
  local function hears(id, called)
    local heard = id and redis.pcall('PUBLISH', channel .. ':' .. id, told .. ' ' .. called)
    return id and (is_cluster or heard ~= 0)
  end
  local standby = deleted and in_turn(leaver) or seen_last(leaver)
  local called = standby()
  if deleted and not called then
    standby = seen_last(leaver)
    called = standby()
  end
  local second = standby()
  hears(second, called)
  if hears(called, called) then return end
  while second do
    if hears(second, second) then return end
    second = standby()
  end
  wake_all(channel)
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
