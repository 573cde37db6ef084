-- Reads the memory of the server. Every script of an election begins with this text.
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
-- and for a key of the wrong type { 3, clock, key, type }, for another format { 4, clock, format }. Two are shorter:
-- { 5, clock, term, holder, window_ns, memory }: granted, and the record is new: floor, beat and counter are its term;
-- { 6, clock, memory }: granted, and nothing of the record is left.
--
-- A record that cannot be read is answered here and never written to, each field cut to a length that
-- no valid one has. The rules are those of `reply.rs`. Numbers are compared as text, because above 2^53
-- numbers in Lua are not exact.

local GRANTED, REFUSED, UNREADABLE, MISTYPED, OTHER_FORMAT, GRANTED_NEW, GRANTED_GONE = 1, 0, 2, 3, 4, 5, 6
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

-- Whether one canonical decimal is at most another.
local function at_most(text, limit)
  return text == limit or #text < #limit or (#text == #limit and text < limit)
end

-- The larger of two canonical decimals.
local function larger(one, other) return at_most(one, other) and other or one end

local remembered = redis.pcall('HMGET', KEYS[4], 'memory', '@' .. KEYS[1])
-- A memory that cannot be read is as good as none. What it holds is judged by `reply.rs` alone.
local memory
local memory_text = remembered[1]
if memory_text then
  local format, id, age, floor, taken, server =
    string.match(memory_text, '^(%d+) (%d+%.%d+) (%d+) (%d+) (%d+) (%x*)$')
  if format and #memory_text < MAX_TEXT then memory = { id, age, floor, taken, server } end
  format = format or string.match(memory_text, '^(%d+) ')
  if format and format ~= FORMAT then return { OTHER_FORMAT, clock, string.sub(format, 1, MAX_TEXT) } end
end
