-- Reads the record of one election and judges it. Every script of an election begins with this text.
--
-- KEYS[1]  K              string  the heartbeat counter, present only while the election is held
-- KEYS[2]  {K}:record     hash    the rest of the record, and what operators have ordered
-- KEYS[3]  {K}:candidates zset    the candidates, by when each was last seen
-- KEYS[4]  {PREFIX}:memory hash   the memory of the server; on a cluster {K}:memory
--            memory  `format id age_ms floor taken server`: the format of all keys; which memory it is
--                    (milliseconds.number), and how old at least; no term up to the floor is granted; how often
--                    held records have changed hands; the replication id of the server
--            @K      for each record that is there, its floor
--
-- Every reply is { verdict, clock, counter, floor, term, beat, holder, window_ns, paused, handover, memory, ... }:
--   verdict  1 granted, 0 refused, 2 the record cannot be read, 3 a key has the wrong type, 4 another format
--   clock    the server's time in milliseconds, as text
--   the record as it is afterwards, each field as text or nil:
--     paused    until|by|reason      no one is elected until then, in ms, or until it is lifted: -
--     handover  term|kind|successor  the leader of that term is asked to resign
-- and for a key of the wrong type { 3, clock, key, type }, for another format { 4, clock, format }.
--
-- A record that cannot be read is answered here and never written to, each field cut to a length that
-- no valid one has. The rules are those of `reply.rs`. Numbers are compared as text, because above 2^53
-- numbers in Lua are not exact.

local GRANTED, REFUSED, UNREADABLE, MISTYPED, OTHER_FORMAT = 1, 0, 2, 3, 4
local FLOOR, TERM, BEAT, HOLDER, WINDOW, PAUSED, HANDOVER = 1, 2, 3, 4, 5, 6, 7
local FORMAT, ID, AGE, MEMORY_FLOOR, TAKEN, SERVER = '1', 1, 2, 3, 4, 5
local MAX_ORDER, MAX_REASON, MAX_CLOCK, LAST_EXACT = 1024, 600, '4398046511104', '1152921504606846975'
local MAX_TEXT, CANDIDATES, REMEMBERED_MS, IN_TURN, CALLED = 256, 1000, 60000, 63, 8
local MATURE_MS, AHEAD = '86400000', 60000000
local MAX_TERM, MAX_BEAT, MAX_WINDOW_NS = '9007199254740991', '4611686018427387904', '86400000000000'
local MAX_COUNTER, MIN_COUNTER = '9223372036854775807', '9223372036854775808'

local find = string.find

-- The error of a command: its code, and its text beginning with the code. A refusal to run a command in a
-- script has no code, and every version words it differently: the user lacks the permission, or the server has
-- no such command. The commands here are well formed, so an error without a code is a refusal, and gets the
-- code REFUSED and the name of the command. Version 6 puts the place in the script before most errors.
local function fault(failed, command)
  local text = string.gsub(failed.err, '%s+$', '')
  text = string.gsub(string.gsub(text, '^@user_script: ?%d+: ', ''), '^%-', '')
  local code = string.match(text, '^(%u+) ')
  if not code or code == 'ERR' then
    code, text = 'REFUSED', 'REFUSED ' .. string.lower(command) .. ': ' .. text
  end
  return code, text
end

-- Answers with the error of a command.
local function failing(failed, command)
  local _, text = fault(failed, command)
  return redis.error_reply(text)
end

-- Runs a command that the script cannot do without: an error ends the script.
local function must(command, ...)
  local answer = redis.pcall(command, ...)
  if type(answer) == 'table' and answer.err then
    local _, text = fault(answer, command)
    error(text, 0)
  end
  return answer
end

local time = must('TIME')
-- Milliseconds, cut from the texts of the seconds and the microseconds: a script that runs for the first
-- time in a while spends more on formatting a number than on all of its guard.
local clock = time[1] .. string.sub('00000' .. time[2], -6, -4)
-- The first term of this millisecond, which has a thousand of them.
local first_term = clock .. '000'
local counter = redis.pcall('GET', KEYS[1])
local record = redis.pcall('HMGET', KEYS[2], 'floor', 'term', 'beat', 'holder', 'window_ns', 'paused',
  'handover')
local remembered = redis.pcall('HMGET', KEYS[4], 'memory', '@' .. KEYS[1])

-- What to answer to a read that failed: which key has the wrong type, or the error itself.
local function unread(failed, command, key)
  if fault(failed, command) == 'WRONGTYPE' then return { MISTYPED, clock, key, must('TYPE', key).ok } end
  return failing(failed, command)
end

if type(counter) == 'table' then return unread(counter, 'GET', KEYS[1]) end
if record.err then return unread(record, 'HMGET', KEYS[2]) end
if remembered.err then return unread(remembered, 'HMGET', KEYS[4]) end

-- Whether one canonical decimal is at most another.
local function at_most(text, limit)
  return text == limit or #text < #limit or (#text == #limit and text < limit)
end

-- The larger of two canonical decimals.
local function larger(one, other) return at_most(one, other) and other or one end

-- Whether the text is a canonical decimal from 0 to limit.
local function is_natural(text, limit)
  return text and #text <= #limit and (find(text, '^[1-9]%d*$') or text == '0') and at_most(text, limit)
end

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

-- A memory that cannot be read is as good as none. What it holds is judged by `reply.rs` alone.
local memory, listed
local memory_text = remembered[1]
if memory_text then
  local format, id, age, floor, taken, server =
    string.match(memory_text, '^(%d+) (%d+%.%d+) (%d+) (%d+) (%d+) (%x*)$')
  if format and #memory_text < MAX_TEXT then memory = { id, age, floor, taken, server } end
  format = format or string.match(memory_text, '^(%d+) ')
  if format and format ~= FORMAT then return { OTHER_FORMAT, clock, string.sub(format, 1, MAX_TEXT) } end
end
if memory and is_natural(remembered[2], MAX_TERM) then listed = remembered[2] end

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

-- Notes that a candidate was seen, and returns any error, because an election works without it. The set is
-- pruned by age and capped whenever it grows, and when the caller asks.
local function note_candidate(identity, prune)
  local noted = redis.pcall('ZADD', KEYS[3], clock, identity)
  if type(noted) == 'table' then return noted end
  if noted == 1 or prune then
    redis.pcall('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', clock - REMEMBERED_MS))
    redis.pcall('ZREMRANGEBYRANK', KEYS[3], 0, -1 - CANDIDATES)
  end
  return nil
end
