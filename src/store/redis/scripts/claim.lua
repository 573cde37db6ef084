-- Claim: takes the record over.
--
-- KEYS      those of record.lua
-- KEYS[4]   {K}:history
-- ARGV[1]   the identity of the claimant    ARGV[2]   its id
-- ARGV[3]   the term it claims              ARGV[4]   the counter it begins with
-- ARGV[5]   its window in nanoseconds       ARGV[6]   1 when an acting leader joins this store
-- ARGV[7]   the shape it expects            ARGV[8]   the term it expects
-- ARGV[9]   the beat it expects             ARGV[10]  the foreign counter it expects, or nothing
-- reply     that of record.lua
-- guard     the record is exactly what the claimant expects, and the term rises or joins; while the
--           election is paused, joins only

local found = record
if absent then record = { '0', '0', '0', '0', '', '0', record[PAUSED], record[HANDOVER] } end

local function refused()
  record = found
  return refuse()
end
if shape ~= ARGV[7] or record[TERM] ~= ARGV[8] or record[BEAT] ~= ARGV[9] then return refused() end
if shape == 'foreign' and (counter or '') ~= ARGV[10] then return refused() end
local joins = ARGV[6] == '1'
local rises = not at_most(ARGV[3], record[FLOOR])
if not (joins or rises) then return refused() end
if record[PAUSED] and not joins then return refused() end

-- For the history, and only for takeovers: claiming a vacant record makes no call more than it needs.
local beaten = last_beat()

-- The counter comes first: a server that cannot take it refuses the whole script before anything is
-- written.
if counter then
  must('GETSET', KEYS[1], ARGV[4])
else
  must('SETNX', KEYS[1], ARGV[4])
end

-- R8: a term of zero means that no candidate ever held this record here, so this server may have
-- forgotten one that still holds it.
if record[TERM] == '0' then record[UNPROVEN] = '1' end
if rises then record[FLOOR] = ARGV[3] end
record[TERM], record[BEAT], record[HOLDER], record[WINDOW] = ARGV[3], ARGV[4], ARGV[2], ARGV[5]
local written = redis.pcall('HSET', KEYS[2], 'floor', record[FLOOR], 'term', record[TERM],
  'beat', record[BEAT], 'unproven', record[UNPROVEN], 'holder', record[HOLDER],
  'window_ns', record[WINDOW], 'identity', ARGV[1], 'since', clock, 'changed', clock)
if type(written) == 'table' then
  -- A server does not undo what a script did before it failed. A counter left without its record would look
  -- like a foreign program's.
  if counter then must('GETSET', KEYS[1], counter) else must('DEL', KEYS[1]) end
  return failing(written, 'HSET')
end
counter = ARGV[4]
if record[HANDOVER] then
  must('HDEL', KEYS[2], 'handover')
  record[HANDOVER] = false
end

local change = 'claimed-' .. (shape == 'held' and 'stalled' or shape)
note_change(joins and 'joined' or change, beaten)
return reply(GRANTED)
