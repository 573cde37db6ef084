-- Claims what is free by the shortest way, as most locks are taken: of this server alone, which numbers the term, and
-- without a history. It is taken where there is no record, which might also hold an order, and no counter, and where
-- the memory is that of this very server, and misses no record of this name. What is granted here, claim.lua would
-- grant, with the same effect. Anything else is left to claim.lua, and so is an error, after what was written is
-- undone.

if ARGV[6] == 'sole' and ARGV[10] == 'absent' and ARGV[9] == '1' and memory and not remembered[2]
  and redis.pcall('EXISTS', KEYS[2]) == 0 then
  local server = redis.pcall('INFO', 'replication')
  local floor, term = memory[MEMORY_FLOOR], larger(ARGV[3], first_term)
  if at_most(term, floor) then term = string.format('%.0f', floor + 1) end
  if type(server) == 'string' and find(server, 'role:master', 1, true)
    and find(server, 'master_replid:' .. memory[SERVER] .. '\r', 1, true)
    and at_most(ARGV[4], term) and at_most(term, MAX_TERM) then
    local age, text = ARGV[8], memory_text
    if ARGV[7] == memory[ID] and not at_most(age, memory[AGE]) then
      if not at_most(age, MATURE_MS) then age = MATURE_MS end
      text = FORMAT .. ' ' .. memory[ID] .. ' ' .. age .. ' ' .. floor .. ' ' .. memory[TAKEN] .. ' ' .. memory[SERVER]
    end
    -- A refusal would vouch for nothing, so the counter comes first, which a stranger may have. The list comes before
    -- the record, as in claim.lua.
    if redis.pcall('SETNX', KEYS[1], term) == 1 then
      local entry, written = '@' .. KEYS[1], nil
      if text == memory_text then
        written = redis.pcall('HSET', KEYS[4], entry, term)
      else
        written = redis.pcall('HSET', KEYS[4], entry, term, 'memory', text)
      end
      if type(written) ~= 'table' then
        written = redis.pcall('HSET', KEYS[2], 'floor', term, 'term', term, 'beat', term, 'holder', ARGV[2],
          'window_ns', ARGV[5], 'identity', ARGV[1], 'since', clock, 'changed', clock)
        if type(written) ~= 'table' then return { GRANTED_NEW, clock, term, ARGV[2], ARGV[5], text } end
        redis.pcall('HDEL', KEYS[4], entry)
      end
      redis.pcall('DEL', KEYS[1])
    end
  end
end
