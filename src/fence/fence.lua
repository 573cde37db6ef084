-- Carries out one command unless its fencing token is lower than the highest seen.
--
-- KEYS[1]   where the highest token stands    KEYS[2...]  the keys of the command
-- ARGV[1]   the token, in plain decimal       ARGV[2...]  the command; none: only raise the token
--
-- Returns {'stale', highest}, {'garbled', value}, or {'done', the command's reply}.
-- A token is at most 2^53 - 1, which a Lua number holds exactly.
local seen = redis.call('GET', KEYS[1])
if seen then
  if not string.match(seen, '^%d+$') or #seen > 16 then
    return {'garbled', string.sub(seen, 1, 80)}
  end
  if tonumber(seen) > tonumber(ARGV[1]) then
    return {'stale', seen}
  end
end
-- Raised first: a command that fails leaves the fence up, never a write without it.
if seen ~= ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1])
end
if #ARGV == 1 then
  return {'done', false}
end
return {'done', redis.call(unpack(ARGV, 2))}
