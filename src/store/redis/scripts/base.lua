-- What every script begins with: the names of values, the clock of the server, and how commands fail. Numbers are
-- compared as text, because above 2^53 numbers in Lua are not exact.

local GRANTED, REFUSED, UNREADABLE, MISTYPED, OTHER_FORMAT, GRANTED_NEW, GRANTED_GONE = 1, 0, 2, 3, 4, 5, 6
local FLOOR, TERM, BEAT, HOLDER, WINDOW, PAUSED, HANDOVER = 1, 2, 3, 4, 5, 6, 7
local FORMAT, ID, AGE, MEMORY_FLOOR, TAKEN, SERVER = '1', 1, 2, 3, 4, 5
local MAX_ORDER, MAX_REASON, MAX_CLOCK, LAST_EXACT = 1024, 600, '4398046511104', '1152921504606846975'
local MAX_TEXT, CANDIDATES, REMEMBERED_MS, IN_TURN, CALLED = 256, 1000, 60000, 63, 8
local MATURE_MS, AHEAD = '86400000', 60000000
local MAX_TERM, MAX_BEAT, MAX_WINDOW_NS = '9007199254740991', '4611686018427387904', '86400000000000'
local MAX_COUNTER, MIN_COUNTER = '9223372036854775807', '9223372036854775808'

-- A memory, with the fields that its text holds.
local MEMORY = '^(%d+) (%d+%.%d+) (%d+) (%d+) (%d+) (%x*)$'

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
