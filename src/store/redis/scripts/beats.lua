-- Beats: many heartbeats at once, as long as nothing is unusual about them. One that needs more than the usual is
-- answered with 0 and left undone: it is then sent by itself, and beat.lua decides. So this text judges less, and
-- refuses nothing.
--
-- KEYS      for each heartbeat those of record.lua but the last, and then that one
-- ARGV      for each heartbeat the identity of the holder, its id, and its term
-- reply     for each heartbeat that of record.lua, or 0, or an error
-- guard     each record is held, by this id, under this term; it reads well, has the floor of its term, is listed with
--           that, and no order stands in it

local count = (#KEYS - 1) / 3
local fields = { 'memory' }
for i = 1, count do fields[i + 1] = '@' .. KEYS[3 * i - 2] end
local remembered = redis.call('HMGET', KEYS[#KEYS], unpack(fields))
local memory = remembered[1] or ''
local has_memory = #memory < MAX_TEXT and string.match(memory, MEMORY) == FORMAT

-- Whether a counter reads well, and the next one is exact as a number.
local function is_exact(text)
  return text and find(text, '^[1-9]%d*$') and at_most(text, MAX_TERM) and text ~= MAX_TERM
end

local function beaten(i)
  local who, id, term = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local key, record_key, candidates = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  if not has_memory or remembered[i + 1] ~= term then return 0 end
  local record = redis.pcall('HMGET', record_key, 'floor', 'term', 'beat', 'holder', 'window_ns', 'paused', 'handover')
  local floor, found, beat, holder, window, paused, handover = unpack(record)
  if holder ~= id or found ~= term or floor ~= term or paused or handover then return 0 end
  if not is_exact(beat) or not is_exact(window) or #window > 13 then return 0 end
  if redis.pcall('GET', key) ~= beat then return 0 end

  beat = string.format('%.0f', beat + 1)
  if type(redis.pcall('INCR', key)) == 'table' then return 0 end
  local answer = redis.pcall('HSET', record_key, 'beat', beat, 'changed', clock)
  if type(answer) == 'table' then return answer end
  note_candidate(candidates, who, string.sub(beat, -1) == '0')
  return { GRANTED, clock, beat, floor, term, beat, holder, window, false, false, memory }
end

local answers = {}
for i = 1, count do answers[i] = beaten(i) end
return answers
