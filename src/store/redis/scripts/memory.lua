-- Checks the memory of the server, and begins a new one where it may have forgotten something. Every script that
-- does more than look continues with this text. The last argument of each call is a number that no other call has.

local nonce = ARGV[#ARGV]

-- The id of the server. A plain search, because a pattern would be tried at each character of the text.
local function server_id()
  local text = must('INFO', 'replication')
  local _, before = find(text, 'master_replid:', 1, true)
  local id = before and string.match(text, '^%x+', before + 1)
  if not find(text, 'role:master', 1, true) then
    must('ZREMRANGEBYRANK', KEYS[3], '1', '0')
    error('READONLY it is a replica, although it takes writes: use its master', 0)
  end
  if not id then error('REFUSED info: it does not report the master_replid, which shows a restart', 0) end
  return id
end

local function write_memory()
  memory_text = FORMAT .. ' ' .. table.concat(memory, ' ')
  must('HSET', KEYS[4], 'memory', memory_text)
end

-- Begins a new memory where one is needed. The id of a server changes when it restarts, and when it becomes a
-- master: it may have lost writes by then. A record that the memory lists, and that is not there, was evicted or
-- deleted. A request that neither claims nor attests anything need not look at the server.
local function check_memory(looks)
  local lost = (absent or record[FLOOR] == '0') and listed
  local server = (looks or lost or not memory) and server_id()
  if memory and not lost and (not server or memory[SERVER] == server) then return end
  local floor, taken = memory and memory[MEMORY_FLOOR] or '0', memory and memory[TAKEN] or '0'
  -- A forged one, far ahead of the clock, must not use up the terms of all elections.
  if lost and not at_most(lost, floor) and at_most(lost, string.format('%.0f', first_term + AHEAD)) then
    floor = lost
  end
  memory = { clock .. '.' .. nonce, '0', floor, taken, server }
  write_memory()
  if lost then
    must('HDEL', KEYS[4], '@' .. KEYS[1])
    listed = nil
  end
end

-- Takes in a candidate's word that the memory `id` is `age` old, and lists the record with its floor.
local function remember(id, age, floor)
  if id == memory[ID] and not at_most(age, memory[AGE]) then
    memory[AGE] = at_most(age, MATURE_MS) and age or MATURE_MS
    write_memory()
  end
  if listed ~= floor then must('HSET', KEYS[4], '@' .. KEYS[1], floor) end
end

-- Counts that a held record changes hands.
local function count_taken()
  if shape ~= 'held' and shape ~= 'foreign' then return end
  memory[TAKEN] = string.format('%.0f', memory[TAKEN] + 1)
  write_memory()
end

-- The beat that a claim or an order must expect. A foreign program may write one counter again and again, and a record
-- may come and go meanwhile: without a record, what counts is how often held records have changed hands.
local function beat_to_expect()
  if shape == 'foreign' and (record[FLOOR] or '0') == '0' then return memory[TAKEN] end
  return record[BEAT] or '0'
end
