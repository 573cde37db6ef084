-- Shared by what candidates send again and again.

-- Notes that a candidate was seen, and returns any error, because an election works without it. The set is
-- pruned by age and capped whenever it grows, and when the caller asks.
local function note_candidate(candidates, identity, prune)
  local noted = redis.pcall('ZADD', candidates, clock, identity)
  if type(noted) == 'table' then return noted end
  if noted == 1 or prune then
    redis.pcall('ZREMRANGEBYSCORE', candidates, '-inf', string.format('%.0f', clock - REMEMBERED_MS))
    redis.pcall('ZREMRANGEBYRANK', candidates, 0, -1 - CANDIDATES)
  end
  return nil
end
