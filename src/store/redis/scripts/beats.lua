-- Beats: many heartbeats at once, as long as nothing is unusual about them. One that needs more than the usual is
-- left undone: it is then sent by itself, and beat.lua decides. So this text judges less, and refuses nothing.
--
-- KEYS      for each heartbeat the counter and the record, and then the memory, as in head.lua
-- ARGV      for each heartbeat the id of the holder, and its term
-- reply     the clock, the memory, and a text with `counter window_ns,` for each heartbeat, or only a comma if it is
--           left undone. If one fails, the error follows, and the text ends before that one: the rest is left undone.
-- guard     each record is held, by this id, under this term; it reads well, has the floor of its term, is listed with
--           that, and no order stands in it

local count = (#KEYS - 1) / 2
local fields = { 'memory' }
for i = 1, count do fields[i + 1] = '@' .. KEYS[2 * i - 1] end
local remembered = redis.call('HMGET', KEYS[#KEYS], unpack(fields))
local memory = remembered[1] or ''
local has_memory = #memory < MAX_TEXT and string.match(memory, MEMORY) == FORMAT

-- Whether a counter reads well, and the next one is exact as a number.
local function is_exact(text)
  return text and find(text, '^[1-9]%d*$') and at_most(text, MAX_TERM) and text ~= MAX_TERM
end

local function beaten(key, record_key, id, term)
  local record = redis.pcall('HMGET', record_key, 'floor', 'term', 'beat', 'holder', 'window_ns', 'paused', 'handover')
  local beat, window = record[BEAT], record[WINDOW]
  if record[HOLDER] ~= id or record[TERM] ~= term or record[FLOOR] ~= term then return ',' end
  if record[PAUSED] or record[HANDOVER] then return ',' end
  if not is_exact(beat) or not is_exact(window) or #window > 13 then return ',' end
  if redis.pcall('GET', key) ~= beat then return ',' end

  beat = string.format('%.0f', beat + 1)
  if type(redis.pcall('INCR', key)) == 'table' then return ',' end
  local answer = redis.pcall('HSET', record_key, 'beat', beat, 'changed', clock)
  if type(answer) == 'table' then
    local _, text = fault(answer, 'HSET')
    return nil, { err = text }
  end
  return beat .. ' ' .. window .. ','
end

local answers, failure = {}, nil
for i = 1, count do
  local term = ARGV[2 * i]
  local answer = ','
  if has_memory and remembered[i + 1] == term then
    answer, failure = beaten(KEYS[2 * i - 1], KEYS[2 * i], ARGV[2 * i - 1], term)
  end
  if failure then break end
  answers[i] = answer
end
return { clock, has_memory and memory or '', table.concat(answers), failure }
