-- Reads the record of one election and judges it. Every script of an election begins with this text.
--
-- KEYS[1]  K              string  the heartbeat counter, present only while the election is held
-- KEYS[2]  {K}:record     hash    the rest of the record
-- KEYS[3]  {K}:candidates zset    who campaigns, by when it was last seen
--
-- Every reply is { verdict, clock, counter, floor, term, beat, unproven, holder, window_ns, ... }:
--   verdict  1 granted, 0 refused, 2 the record cannot be read, 3 a key has the wrong type
--   clock    the server's time in milliseconds, as text
--   the record as it is afterwards, each field as text or nil, cut to a length that no valid one has
-- and for a key of the wrong type { 3, clock, key, type }.
--
-- A record that cannot be read is never written to. The rules are those of `reply.rs`: numbers are
-- compared as text, or below 2^53, where a double is exact.

local GRANTED, REFUSED, UNREADABLE, MISTYPED = 1, 0, 2, 3
local FLOOR, TERM, BEAT, UNPROVEN, HOLDER, WINDOW = 1, 2, 3, 4, 5, 6
local MAX_TERM, MAX_WINDOW_NS = 9007199254740991, 86400000000000
local MAX_TEXT, HISTORY, CANDIDATES, REMEMBERED_MS = 256, 1000, 1000, 60000

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local clock = string.format('%.0f', now_ms)

local function failed(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

-- What to answer to a read that failed: its own error, or which key has the wrong type.
local function failure(reply, key)
  if string.find(reply.err, 'WRONGTYPE', 1, true) then
    return { MISTYPED, clock, key, redis.call('TYPE', key).ok }
  end
  return reply
end

local function cut(text)
  return text and string.sub(text, 1, MAX_TEXT)
end

-- Whether the text is a canonical decimal from 0 to max, which is below 2^53.
local function is_natural(text, max)
  return text and #text <= 16 and (text == '0' or string.find(text, '^[1-9]%d*$') ~= nil)
    and tonumber(text) <= max
end

-- Whether the text is a canonical decimal of at most 19 digits whose magnitude is at most `max`.
local function is_long(digits, max)
  return #digits < 19 or (#digits == 19 and digits <= max)
end

local function is_counter(text)
  if text == '0' then return true end
  local sign, digits = string.match(string.sub(text, 1, 21), '^(-?)([1-9]%d*)$')
  if not digits then return false end
  return is_long(digits, sign == '-' and '9223372036854775808' or '9223372036854775807')
end

local function is_beat(text)
  return text == '0'
    or (string.find(string.sub(text, 1, 20), '^[1-9]%d*$') ~= nil and is_long(text, '4611686018427387904'))
end

local function is_holder(text)
  return #text <= 200 and not string.find(text, '[^\33-\126]') and not string.find(text, '[|{}"\\]')
end

local counter = redis.pcall('GET', KEYS[1])
if failed(counter) then return failure(counter, KEYS[1]) end
local record = redis.pcall('HMGET', KEYS[2], 'floor', 'term', 'beat', 'unproven', 'holder', 'window_ns')
if failed(record) then return failure(record, KEYS[2]) end

local absent = not (record[FLOOR] or record[TERM] or record[BEAT] or record[UNPROVEN]
  or record[HOLDER] or record[WINDOW])

local function reply(verdict)
  return { verdict, clock, cut(counter), cut(record[FLOOR]), cut(record[TERM]), cut(record[BEAT]),
    cut(record[UNPROVEN]), cut(record[HOLDER]), cut(record[WINDOW]) }
end

local readable = (not counter or is_counter(counter))
  and (absent
    or (is_natural(record[FLOOR], MAX_TERM) and is_natural(record[TERM], MAX_TERM)
      and tonumber(record[TERM]) <= tonumber(record[FLOOR])
      and record[BEAT] and is_beat(record[BEAT])
      and (record[UNPROVEN] == '0' or record[UNPROVEN] == '1')
      and record[HOLDER] and is_holder(record[HOLDER])
      and is_natural(record[WINDOW], MAX_WINDOW_NS)))

-- absent, vacant, held, or foreign: a counter that differs from the record's, stands where there is no
-- holder, or is gone from under one.
local shape
if not readable then
  shape = 'unreadable'
elseif absent then
  shape = counter and 'foreign' or 'absent'
elseif record[HOLDER] == '' then
  shape = counter and 'foreign' or 'vacant'
else
  shape = counter == record[BEAT] and 'held' or 'foreign'
end

-- Answers that the guard does not hold. What a replica shows may be old, and a leader must not take it
-- for its deposition: a write that changes nothing tells whether this is one.
local function refuse()
  local tried = redis.pcall('ZREMRANGEBYRANK', KEYS[3], 1, 0)
  if failed(tried) and string.find(tried.err, 'READONLY', 1, true) then return tried end
  return reply(REFUSED)
end

-- Notes that a candidate was seen. The set is pruned by age and capped, and what goes wrong here is
-- returned, for it must not stop an election that works without it.
local function note_candidate(identity, prune)
  local noted = redis.pcall('ZADD', KEYS[3], clock, identity)
  if failed(noted) then return noted end
  if noted == 1 or prune then
    redis.pcall('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now_ms - REMEMBERED_MS))
    redis.pcall('ZREMRANGEBYRANK', KEYS[3], 0, -1 - CANDIDATES)
  end
  return nil
end

-- Appends to the history, which is for people: an election goes on without it.
local function note_history(key, term, identity, change)
  redis.pcall('XADD', key, 'MAXLEN', HISTORY, '*', 'at', clock, 'term', term, 'holder', identity,
    'change', change)
end
