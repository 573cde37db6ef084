-- Claim: takes the record over.
--
-- KEYS      those of record.lua
-- KEYS[5]   {K}:history, unless none is kept
-- ARGV[1]   the identity of the claimant    ARGV[2]   its id
-- ARGV[3]   the term it claims              ARGV[4]   the lowest counter to begin with
-- ARGV[5]   its window in nanoseconds
-- ARGV[6]   `shared`: the term is the claimant's; `sole`: the server numbers it, above that; `join`: an acting
--           leader joins this store
-- ARGV[7]   the memory that it vouches for  ARGV[8]   how old that is, in milliseconds
-- ARGV[9]   1 if no history is kept         ARGV[10]  the shape it expects
-- and, unless that is an absent record and the server numbers the term:
-- ARGV[11]  the term it expects             ARGV[12]  the beat it expects
-- ARGV[13]  the foreign counter it expects, or nothing
-- ARGV[14]  the memory it expects           ARGV[15]  how often records had changed hands, if it expects none
-- reply     that of record.lua
-- guard     the memory and the record are exactly what the claimant expects, and the term rises or joins; where the
--           server numbers it, an absent record is enough; while the election is paused, joins only

check_memory(true)

local found = record
if absent then record = { '0', '0', '0', '', '0', record[PAUSED], record[HANDOVER] } end

local function refused()
  record = found
  return refuse()
end
local term, joins, sole = ARGV[3], ARGV[6] == 'join', ARGV[6] == 'sole'
if shape ~= ARGV[10] then return refused() end
if not sole or shape ~= 'absent' then
  if memory[ID] ~= ARGV[14] then return refused() end
  if shape == 'absent' and memory[TAKEN] ~= ARGV[15] then return refused() end
  if record[TERM] ~= ARGV[11] or beat_to_expect() ~= ARGV[12] then return refused() end
  if shape == 'foreign' and (counter or '') ~= ARGV[13] then return refused() end
end
if record[PAUSED] and not joins then return refused() end
local floor = larger(record[FLOOR], memory[MEMORY_FLOOR])
if sole then
  term = larger(term, first_term)
  if at_most(term, floor) then term = string.format('%.0f', floor + 1) end
  if not at_most(term, MAX_TERM) then return refused() end
end
if not joins and at_most(term, floor) then return refused() end
local rises = not at_most(term, record[FLOOR])
-- What was deleted had no counter above the floor of the memory.
local beat = larger(ARGV[4], term)
if at_most(beat, memory[MEMORY_FLOOR]) then beat = string.format('%.0f', memory[MEMORY_FLOOR] + 1) end

-- For the history, and only for takeovers: claiming a vacant record makes no call more than it needs.
local beaten = last_beat()

-- The list comes first: a record that is listed and not there is a loss, and the other way round it would not be
-- noticed.
remember(ARGV[7], ARGV[8], rises and term or record[FLOOR])
count_taken()
-- A server does not undo what a script did before it failed. A record that is listed and was not made would begin a
-- new memory, for all elections.
local function unlist()
  if listed then must('HSET', KEYS[4], '@' .. KEYS[1], listed) else must('HDEL', KEYS[4], '@' .. KEYS[1]) end
end
local setting = counter and 'GETSET' or 'SETNX'
local set = redis.pcall(setting, KEYS[1], beat)
if type(set) == 'table' and set.err then
  unlist()
  return failing(set, setting)
end

if rises then record[FLOOR] = term end
record[TERM], record[BEAT], record[HOLDER], record[WINDOW] = term, beat, ARGV[2], ARGV[5]
local written = redis.pcall('HSET', KEYS[2], 'floor', record[FLOOR], 'term', record[TERM],
  'beat', record[BEAT], 'holder', record[HOLDER], 'window_ns', record[WINDOW], 'identity', ARGV[1],
  'since', clock, 'changed', clock)
if type(written) == 'table' then
  -- A counter left without its record would look like a foreign program's.
  if counter then must('GETSET', KEYS[1], counter) else must('DEL', KEYS[1]) end
  unlist()
  return failing(written, 'HSET')
end
counter = beat
if record[HANDOVER] then
  must('HDEL', KEYS[2], 'handover')
  record[HANDOVER] = false
end

if ARGV[9] ~= '1' then
  local change = 'claimed-' .. (shape == 'held' and 'stalled' or shape)
  note_change(joins and 'joined' or change, beaten)
end
return reply(GRANTED)
