-- Releases and deletes by the shortest way what was held briefly, as most locks are given back: nothing has changed it
-- since its claim, no order stands in it, and no one is seen to wait. What is released here, release.lua would release,
-- with the same effect. Anything else is left to release.lua, and then nothing was written.

if ARGV[6] == '1' and memory and remembered[2] == ARGV[3] and not redis.pcall('ZREVRANGE', KEYS[3], '0', '0')[1]
  and redis.pcall('GET', KEYS[1]) == ARGV[3] then
  local term = ARGV[3]
  local found = redis.pcall('HMGET', KEYS[2], 'floor', 'term', 'beat', 'holder', 'window_ns', 'paused', 'handover')
  if found[FLOOR] == term and found[TERM] == term and found[BEAT] == term and found[HOLDER] == ARGV[2]
    and found[WINDOW] and at_most(found[WINDOW], MAX_WINDOW_NS) and find(found[WINDOW], '^[1-9]%d*$')
    and not found[PAUSED] and not found[HANDOVER]
    -- Terms are small enough for numbers in Lua to be exact.
    and term - first_term <= AHEAD then
    -- A deletion first, as in changes.lua.
    must('DEL', KEYS[1], KEYS[2], KEYS[5])
    local id, floor, taken = memory[ID], larger(memory[MEMORY_FLOOR], term), memory[TAKEN]
    local text = FORMAT .. ' ' .. id .. ' ' .. memory[AGE] .. ' ' .. floor .. ' ' .. taken .. ' ' .. memory[SERVER]
    if text ~= memory_text then must('HSET', KEYS[4], 'memory', text) end
    must('HDEL', KEYS[4], '@' .. KEYS[1])
    redis.pcall('PUBLISH', ARGV[4], id .. ' ' .. floor .. ' ' .. taken .. ' -')
    return { GRANTED_GONE, clock, text }
  end
end
