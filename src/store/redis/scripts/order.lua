-- Order: carries out an operator's order.
--
-- KEYS     those of record.lua
-- KEYS[5]  {K}:history
-- ARGV[1]  the identity of the operator   ARGV[2]  the channel {K}:events
-- ARGV[3]  which order, and after it
--   pause    ARGV[4] for how many ms, or - until it is lifted; ARGV[5] by|reason; ARGV[6] 1 to replace the pause of
--            another
--   resume
--   resign   ARGV[4] the term; ARGV[5] the handover: term|kind|successor
--   depose   ARGV[4] the shape, ARGV[5] the term, ARGV[6] the beat, ARGV[7] the foreign counter expected,
--            ARGV[8] the memory expected
--   forget   as depose; ARGV[9] how often records had changed hands, if it expects none
-- reply    that of record.lua
-- guard    pause: that it replaces, or no other pauses it; resume: none; resign: the record is held under the term; depose: the record is held,
--          and exactly what the operator expects; forget: it is free, and exactly that, and no order stands

check_memory(true)

local order = ARGV[3]

-- Whether the memory and the record are exactly as the operator saw them.
local function as_seen()
  if shape ~= ARGV[4] or (record[TERM] or '0') ~= ARGV[5] or beat_to_expect() ~= ARGV[6] then return false end
  if shape == 'foreign' and (counter or '') ~= ARGV[7] then return false end
  return memory[ID] == ARGV[8] and (shape ~= 'absent' or memory[TAKEN] == ARGV[9])
end

if order == 'pause' then
  local by = record[PAUSED] and string.match(record[PAUSED], '|([^|]*)|')
  if by and by ~= string.match(ARGV[5], '^[^|]*') and ARGV[6] ~= '1' then return refuse() end
  local until_ms = '-'
  if ARGV[4] ~= '-' then
    until_ms = string.format('%.0f', clock + ARGV[4])
    if not at_most(until_ms, MAX_CLOCK) then until_ms = MAX_CLOCK end
  end
  record[PAUSED] = until_ms .. '|' .. ARGV[5]
  must('HSET', KEYS[2], 'paused', record[PAUSED])
  note_change('paused', record[PAUSED])

elseif order == 'resume' then
  must('HDEL', KEYS[2], 'paused')
  if record[PAUSED] then
    record[PAUSED] = false
    note_change('resumed')
    wake_all(ARGV[2], seen_last('')())
  end

elseif order == 'resign' then
  if shape ~= 'held' or record[TERM] ~= ARGV[4] then return refuse() end
  record[HANDOVER] = ARGV[5]
  must('HSET', KEYS[2], 'handover', record[HANDOVER])
  note_change('asked-to-resign', record[HANDOVER])

elseif order == 'depose' then
  if shape ~= 'held' and shape ~= 'foreign' then return refuse() end
  if not as_seen() then return refuse() end
  if absent then
    record = { '0', '0', '0', '', '0', record[PAUSED], record[HANDOVER] }
  end
  local beaten = last_beat()
  count_taken()
  -- The counter that a foreign program leaves behind counts as written, so that it is not written again.
  if is_natural(counter, LAST_EXACT) and not at_most(counter, record[BEAT]) then record[BEAT] = counter end
  must('DEL', KEYS[1])
  must('HSET', KEYS[2], 'floor', record[FLOOR], 'term', record[TERM], 'beat', record[BEAT],
    'holder', '', 'window_ns', '0', 'changed', clock)
  must('HDEL', KEYS[2], 'identity', 'since', 'handover')
  local deposed = record[HOLDER]
  counter, record[HOLDER], record[WINDOW], record[HANDOVER] = false, '', '0', false
  note_change('deposed', beaten)
  wake_all(ARGV[2], seen_last(deposed)())

elseif order == 'forget' then
  if shape ~= 'absent' and shape ~= 'vacant' then return refuse() end
  if not as_seen() or not forget() then return refuse() end
  redis.pcall('DEL', KEYS[3])

else
  return redis.error_reply('ERR no such order: ' .. order)
end
return reply(GRANTED)
