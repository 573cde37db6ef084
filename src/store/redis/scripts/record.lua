-- Reads the record of the election and judges it.

local counter = redis.pcall('GET', KEYS[1])
local record = redis.pcall('HMGET', KEYS[2], 'floor', 'term', 'beat', 'holder', 'window_ns', 'paused',
  'handover')

-- Answers with the error of a command.
local function failing(failed, command)
  local _, text = fault(failed, command)
  return redis.error_reply(text)
end

-- What to answer to a read that failed: which key has the wrong type, or the error itself.
local function unread(failed, command, key)
  if fault(failed, command) == 'WRONGTYPE' then return { MISTYPED, clock, key, must('TYPE', key).ok } end
  return failing(failed, command)
end

if type(counter) == 'table' then return unread(counter, 'GET', KEYS[1]) end
if record.err then return unread(record, 'HMGET', KEYS[2]) end
if remembered.err then return unread(remembered, 'HMGET', KEYS[4]) end

-- Whether the text is a canonical decimal from 0 to limit.
local function is_natural(text, limit)
  return text and #text <= #limit and (find(text, '^[1-9]%d*$') or text == '0') and at_most(text, limit)
end

local listed = memory and is_natural(remembered[2], MAX_TERM) and remembered[2]

-- An id holds printable ASCII but " \ { | }, and no blank.
local function is_word(text, longest)
  return text and #text <= longest and not find(text, '[^\33\35-\91%]\94-\122\126]')
end
local function is_holder(text) return is_word(text, 200) end

local function is_pause(text)
  local ends, by, reason = string.match(text, '^([^|]*)|([^|]*)|(.*)$')
  return ends and (ends == '-' or is_natural(ends, MAX_CLOCK)) and by ~= '' and is_holder(by)
    and #reason <= MAX_REASON and not find(reason, '[^\33-\126]')
end

local function is_handover(text)
  local term, kind, to = string.match(text, '^([^|]*)|([^|]*)|(.*)$')
  if not term or term == '0' or not is_natural(term, MAX_TERM) then return false end
  if kind == 'anyone' then return to == '' end
  return to ~= '' and ((kind == 'candidate' and is_holder(to)) or (kind == 'host' and is_word(to, 253)))
end

local absent = not (record[FLOOR] or record[TERM] or record[BEAT] or record[HOLDER] or record[WINDOW])
local readable = (not counter or is_natural(counter, MAX_COUNTER)
    or (find(counter, '^-[1-9]') and is_natural(string.sub(counter, 2, 21), MIN_COUNTER)))
  and (absent
    or (is_natural(record[FLOOR], MAX_TERM) and is_natural(record[TERM], MAX_TERM)
      and at_most(record[TERM], record[FLOOR])
      and is_natural(record[BEAT], MAX_BEAT)
      and is_holder(record[HOLDER])
      and is_natural(record[WINDOW], MAX_WINDOW_NS)))
  and (not record[PAUSED] or is_pause(record[PAUSED]))
  and (not record[HANDOVER] or is_handover(record[HANDOVER]))

local function reply(verdict)
  return { verdict, clock, counter, record[FLOOR], record[TERM], record[BEAT], record[HOLDER], record[WINDOW],
    record[PAUSED], record[HANDOVER], memory and memory_text or false }
end

if not readable then
  counter = counter and string.sub(counter, 1, MAX_TEXT)
  for i = FLOOR, HANDOVER do
    record[i] = record[i] and string.sub(record[i], 1, i < PAUSED and MAX_TEXT or MAX_ORDER)
  end
  return reply(UNREADABLE)
end

-- A pause that is over counts as none.
if record[PAUSED] then
  local ends = string.match(record[PAUSED], '^[^|]*')
  if ends ~= '-' and at_most(ends, clock) then record[PAUSED] = false end
end

-- absent, vacant, held, or foreign: a counter that differs from the record's, exists without a holder, or
-- is missing although there is one.
local shape
if absent then
  shape = counter and 'foreign' or 'absent'
elseif record[HOLDER] == '' then
  shape = counter and 'foreign' or 'vacant'
else
  shape = counter == record[BEAT] and 'held' or 'foreign'
end

-- Answers that the guard does not hold. A replica's data may be old, and a leader must not mistake it for
-- its deposition: a write that changes nothing shows whether this is one.
local function refuse()
  local tried = redis.pcall('ZREMRANGEBYRANK', KEYS[3], '1', '0')
  if type(tried) == 'table' and fault(tried, '') == 'READONLY' then return failing(tried, '') end
  return reply(REFUSED)
end
