-- Inspect: reads what people want to know about an election, and writes nothing.
--
-- KEYS   those of record.lua
-- reply  that of record.lua, then identity, since, changed, and a list of candidates, each followed by
--        when it was last seen
-- guard  none

local details = must('HMGET', KEYS[2], 'identity', 'since', 'changed')
local seen = redis.pcall('ZREVRANGE', KEYS[3], 0, CANDIDATES - 1, 'WITHSCORES')
if seen.err then return unread(seen, 'ZREVRANGE', KEYS[3]) end

local answer = reply(GRANTED)
-- An identity has up to 1,000 bytes.
answer[12] = details[1] and string.sub(details[1], 1, 1024)
answer[13] = details[2] and string.sub(details[2], 1, MAX_TEXT)
answer[14] = details[3] and string.sub(details[3], 1, MAX_TEXT)
for i, text in ipairs(seen) do seen[i] = string.sub(text, 1, 1024) end
answer[15] = seen
return answer
