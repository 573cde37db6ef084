//! Breaks of the guards of the scripts that a Redis runs.

use super::{Mutant, mutants};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "claim.lua", "is granted whatever the record has become", "store/redis/scripts/claim.lua",
        "  if record[TERM] ~= ARGV[11] or beat_to_expect() ~= ARGV[12] then return refused() end" => "";
    "claim.lua", "is granted whatever the shape", "store/redis/scripts/claim.lua",
        "if shape ~= ARGV[10] then return refused() end" => "";
    "claim.lua", "is granted whatever the term", "store/redis/scripts/claim.lua",
        "record[TERM] ~= ARGV[11] or beat_to_expect() ~= ARGV[12]" => "record[BEAT] ~= ARGV[12]";
    "claim.lua", "is granted though the counter has moved on", "store/redis/scripts/claim.lua",
        "record[TERM] ~= ARGV[11] or beat_to_expect() ~= ARGV[12]" => "record[TERM] ~= ARGV[11]";
    "claim.lua", "is granted though a stranger's counter has moved on", "store/redis/scripts/claim.lua",
        "if shape == 'foreign' and (counter or '') ~= ARGV[13] then return refused() end" => "";
    "claim.lua", "is granted with a term that does not rise", "store/redis/scripts/claim.lua",
        "if not joins and at_most(term, floor) then" => "if not joins and at_most(term, memory[MEMORY_FLOOR]) then";
    "claim.lua", "is granted while the election is paused", "store/redis/scripts/claim.lua",
        "if record[PAUSED] and not joins then return refused() end" => "";
    "claim.lua", "a leader may not join while the election is paused", "store/redis/scripts/claim.lua",
        "if record[PAUSED] and not joins then return refused() end" => "if record[PAUSED] then return refused() end";
    "claim.lua", "is granted under whatever memory (R8)", "store/redis/scripts/claim.lua",
        "if memory[ID] ~= ARGV[14] then return refused() end" => "";
    "claim.lua", "is granted though records have changed hands (R8)", "store/redis/scripts/claim.lua",
        "if shape == 'absent' and memory[TAKEN] ~= ARGV[15] then return refused() end" => "";
    "claim.lua", "is granted below the floor of the memory (R8)", "store/redis/scripts/claim.lua",
        "local floor = larger(record[FLOOR], memory[MEMORY_FLOOR])" => "local floor = record[FLOOR]";
    "memory.lua", "does not notice a restart (R7)", "store/redis/scripts/memory.lua",
        "(not server or memory[SERVER] == server)" => "(not server or memory[SERVER] == memory[SERVER])";
    "memory.lua", "misses no record (R7)", "store/redis/scripts/memory.lua",
        "local lost = (absent or record[FLOOR] == '0') and listed" => "local lost = false";
    "memory.lua", "forgets the floor of a record that it misses (R7)", "store/redis/scripts/memory.lua",
        "    floor = lost\n" => "";
    "memory.lua", "lists no record (R7)", "store/redis/scripts/memory.lua",
        "if listed ~= floor then must('HSET', KEYS[4], '@' .. KEYS[1], floor) end" => "";
    "memory.lua", "takes what is said of another memory (R5)", "store/redis/scripts/memory.lua",
        "if id == memory[ID] and not at_most(age, memory[AGE]) then" => "if id ~= '' and not at_most(age, memory[AGE]) then";
    "memory.lua", "counts no change of hands", "store/redis/scripts/memory.lua",
        "memory[TAKEN] = string.format('%.0f', memory[TAKEN] + 1)" => "";
    "claim.lua", "numbers no term by the clock (R3)", "store/redis/scripts/claim.lua",
        "  term = larger(term, first_term)\n" => "";
    "claim.lua", "numbers no term above the floors (R3)", "store/redis/scripts/claim.lua",
        "  if at_most(term, floor) then term = string.format('%.0f', floor + 1) end\n" => "";
    "claim.lua", "grants a term above the highest (R3)", "store/redis/scripts/claim.lua",
        "  if not at_most(term, MAX_TERM) then return refused() end\n" => "";
    "claim.lua", "asks what an only store's claimant has seen (R8)", "store/redis/scripts/claim.lua",
        "if not sole or shape ~= 'absent' then" => "if true then";
    "claim.lua", "claims one of several stores unseen, if it is absent (R8)", "store/redis/scripts/claim.lua",
        "if not sole or shape ~= 'absent' then" => "if shape ~= 'absent' then";
    "claim.lua", "a join begins its counter below that of a deleted record (R9)", "store/redis/scripts/claim.lua",
        "if at_most(beat, memory[MEMORY_FLOOR]) then beat = string.format('%.0f', memory[MEMORY_FLOOR] + 1) end" => "";
    "changes.lua", "a deletion leaves no floor to the memory (R9)", "store/redis/scripts/changes.lua",
        "    memory[MEMORY_FLOOR] = floor\n" => "";
    "changes.lua", "a deletion leaves the floor to the memory, and not the counter (R9)", "store/redis/scripts/changes.lua",
        "larger(record[FLOOR] or '0', record[BEAT] or '0')" => "record[FLOOR] or '0'";
    "changes.lua", "a deletion takes a pause with it (R9)", "store/redis/scripts/changes.lua",
        "if record[PAUSED] or record[HANDOVER] or not at_most" => "if record[HANDOVER] or not at_most";
    "changes.lua", "a deletion takes a handover with it (R9)", "store/redis/scripts/changes.lua",
        "if record[PAUSED] or record[HANDOVER] or not at_most" => "if record[PAUSED] or not at_most";
    "changes.lua", "a deletion leaves a term far ahead of the clock to the memory (R9)", "store/redis/scripts/changes.lua",
        " or not at_most(floor, string.format('%.0f', first_term + AHEAD)) then" => " then";
    "changes.lua", "a deleted record stays listed (R9)", "store/redis/scripts/changes.lua",
        "  if listed then must('HDEL', KEYS[4], '@' .. KEYS[1]) end\n" => "";
    "claim.lua", "a join lowers the floor", "store/redis/scripts/claim.lua",
        "if rises then record[FLOOR] = term end" => "record[FLOOR] = term";
    "claim.lua", "the order to resign outlives the claim", "store/redis/scripts/claim.lua",
        "must('HDEL', KEYS[2], 'handover')" => "";
    "claim_free.lua", "claims one of several stores unseen (R8)", "store/redis/scripts/claim_free.lua",
        "if ARGV[6] == 'sole' and " => "if ";
    "claim_free.lua", "claims what is expected to be there", "store/redis/scripts/claim_free.lua",
        "ARGV[10] == 'absent' and " => "";
    "claim_free.lua", "does not look for a record", "store/redis/scripts/claim_free.lua",
        "\n  and redis.pcall('EXISTS', KEYS[2]) == 0 then" => " then";
    "claim_free.lua", "takes what has the counter of a stranger", "store/redis/scripts/claim_free.lua",
        "redis.pcall('SETNX', KEYS[1], term) == 1 then" => "redis.pcall('SETNX', KEYS[1], term) then";
    "claim_free.lua", "does not notice a restart (R7)", "store/redis/scripts/claim_free.lua",
        "    and find(server, 'master_replid:' .. memory[SERVER] .. '\\r', 1, true)\n" => "";
    "claim_free.lua", "misses no record (R7)", "store/redis/scripts/claim_free.lua",
        " and memory and not remembered[2]" => " and memory";
    "claim_free.lua", "numbers no term by the clock (R3)", "store/redis/scripts/claim_free.lua",
        "larger(ARGV[3], first_term)" => "ARGV[3]";
    "claim_free.lua", "numbers no term above the floor (R3)", "store/redis/scripts/claim_free.lua",
        "  if at_most(term, floor) then term = string.format('%.0f', floor + 1) end\n" => "";
    "claim_free.lua", "begins with a lower counter than it was asked for", "store/redis/scripts/claim_free.lua",
        "    and at_most(ARGV[4], term) and" => "    and";
    "claim_free.lua", "takes what is said of another memory (R5)", "store/redis/scripts/claim_free.lua",
        "ARGV[7] == memory[ID] and" => "ARGV[7] ~= '' and";
    "claim_free.lua", "lists no record (R7)", "store/redis/scripts/claim_free.lua",
        "        written = redis.pcall('HSET', KEYS[4], entry, term)\n" => "";
    "release_brief.lua", "deletes a record that must stay", "store/redis/scripts/release_brief.lua",
        "if ARGV[6] == '1' and " => "if ";
    "release_brief.lua", "anybody's is granted", "store/redis/scripts/release_brief.lua",
        " and found[HOLDER] == ARGV[2]\n" => "\n";
    "release_brief.lua", "takes the counter of a stranger away", "store/redis/scripts/release_brief.lua",
        "\n  and redis.pcall('GET', KEYS[1]) == ARGV[3] then" => " then";
    "release_brief.lua", "a pause goes with it (R9)", "store/redis/scripts/release_brief.lua",
        "not found[PAUSED] and " => "";
    "release_brief.lua", "a handover goes with it (R9)", "store/redis/scripts/release_brief.lua",
        " and not found[HANDOVER]" => "";
    "release_brief.lua", "leaves a term far ahead of the clock to the memory (R9)", "store/redis/scripts/release_brief.lua",
        "\n    and term - first_term <= AHEAD then" => " then";
    "release_brief.lua", "leaves no floor to the memory (R9)", "store/redis/scripts/release_brief.lua",
        "larger(memory[MEMORY_FLOOR], term)" => "memory[MEMORY_FLOOR]";
    "release_brief.lua", "stays listed (R9)", "store/redis/scripts/release_brief.lua",
        "    must('HDEL', KEYS[4], '@' .. KEYS[1])\n" => "";
    "release_brief.lua", "wakes no standby", "store/redis/scripts/release_brief.lua",
        "    redis.pcall('PUBLISH', ARGV[4], id .. ' ' .. floor .. ' ' .. taken .. ' -')\n" => "";
    "beat.lua", "anybody's is granted", "store/redis/scripts/beat.lua",
        "local mine = shape == 'held' and record[HOLDER] == ARGV[1] and record[TERM] == ARGV[2]"
        => "local mine = shape == 'held' and record[TERM] == ARGV[2]";
    "beat.lua", "one of another term is granted", "store/redis/scripts/beat.lua",
        "local mine = shape == 'held' and record[HOLDER] == ARGV[1] and record[TERM] == ARGV[2]"
        => "local mine = shape == 'held' and record[HOLDER] == ARGV[1]";
    "beat.lua", "is granted though a stranger touched the counter", "store/redis/scripts/beat.lua",
        "local mine = shape == 'held' and record[HOLDER] == ARGV[1] and record[TERM] == ARGV[2]"
        => "local mine = record[HOLDER] == ARGV[1] and record[TERM] == ARGV[2]";
    "beat.lua", "does not take what its holder says of the memory (R5)", "store/redis/scripts/beat.lua",
        "remember(ARGV[3], ARGV[4], record[FLOOR])" => "remember('', '0', record[FLOOR])";
    "beats.lua", "anybody's is granted", "store/redis/scripts/beats.lua",
        "record[HOLDER] ~= id or " => "";
    "beats.lua", "one of another term is granted", "store/redis/scripts/beats.lua",
        " or record[TERM] ~= term" => "";
    "beats.lua", "is granted under a floor above its term", "store/redis/scripts/beats.lua",
        " or record[FLOOR] ~= term" => "";
    "beats.lua", "passes over an order", "store/redis/scripts/beats.lua",
        "  if record[PAUSED] or record[HANDOVER] then return ',' end\n" => "";
    "beats.lua", "is granted though a stranger touched the counter", "store/redis/scripts/beats.lua",
        "  if redis.pcall('GET', key) ~= beat then return ',' end\n" => "";
    "beats.lua", "is granted of a record that is not listed", "store/redis/scripts/beats.lua",
        "has_memory and remembered[i + 1] == term" => "has_memory";
    "beats.lua", "does not show that the leader is alive", "store/redis/scripts/beats.lua",
        ", 'changed', clock" => "";
    "beats.lua", "leaves one undone that it has counted", "store/redis/scripts/beats.lua",
        "return nil, { err = text }" => "return ','";
    "changes.lua", "calls for a lock whoever was seen last", "store/redis/scripts/changes.lua",
        "deleted and in_turn(leaver) or seen_last(leaver)" => "seen_last(leaver)";
    "changes.lua", "calls for a lock a standby that is late", "store/redis/scripts/changes.lua",
        "if is_alive and id ~= leaver" => "if id and id ~= leaver";
    "release.lua", "anybody's is granted", "store/redis/scripts/release.lua",
        "if shape ~= 'held' or record[HOLDER] ~= ARGV[2] or record[TERM] ~= ARGV[3] then"
        => "if shape ~= 'held' or record[TERM] ~= ARGV[3] then";
    "release.lua", "one of another term is granted", "store/redis/scripts/release.lua",
        "if shape ~= 'held' or record[HOLDER] ~= ARGV[2] or record[TERM] ~= ARGV[3] then"
        => "if shape ~= 'held' or record[HOLDER] ~= ARGV[2] then";
    "release.lua", "takes the counter of a stranger away", "store/redis/scripts/release.lua",
        "if shape ~= 'held' or record[HOLDER] ~= ARGV[2] or record[TERM] ~= ARGV[3] then"
        => "if record[HOLDER] ~= ARGV[2] or record[TERM] ~= ARGV[3] then";
    "release.lua", "wakes no standby", "store/redis/scripts/release.lua",
        "wake_one(ARGV[4], ARGV[2], not record[FLOOR])" => "";
    "order.lua", "the pause of a run takes the place of an operator's", "store/redis/scripts/order.lua",
        " and ARGV[6] ~= '1' then return refuse() end" => " and ARGV[6] == '-' then return refuse() end";
    "order.lua", "resume lifts nothing", "store/redis/scripts/order.lua",
        "  must('HDEL', KEYS[2], 'paused')" => "";
    "order.lua", "resume wakes no standby", "store/redis/scripts/order.lua",
        "    wake_all(ARGV[2], seen_last('')())" => "";
    "order.lua", "resign is asked of another term", "store/redis/scripts/order.lua",
        "if shape ~= 'held' or record[TERM] ~= ARGV[4] then return refuse() end" => "if shape ~= 'held' then return refuse() end";
    "order.lua", "resign is granted without a holder", "store/redis/scripts/order.lua",
        "if shape ~= 'held' or record[TERM] ~= ARGV[4] then return refuse() end" => "if record[TERM] ~= ARGV[4] then return refuse() end";
    "order.lua", "depose is granted without a holder", "store/redis/scripts/order.lua",
        "  if shape ~= 'held' and shape ~= 'foreign' then return refuse() end\n" => "";
    "order.lua", "depose is granted of another term", "store/redis/scripts/order.lua",
        "if shape ~= ARGV[4] or (record[TERM] or '0') ~= ARGV[5] or beat_to_expect() ~= ARGV[6] then"
        => "if shape ~= ARGV[4] or beat_to_expect() ~= ARGV[6] then";
    "order.lua", "depose is granted of a leader that has beaten since", "store/redis/scripts/order.lua",
        "if shape ~= ARGV[4] or (record[TERM] or '0') ~= ARGV[5] or beat_to_expect() ~= ARGV[6] then"
        => "if shape ~= ARGV[4] or (record[TERM] or '0') ~= ARGV[5] then";
    "order.lua", "depose is granted though a stranger's counter has moved on", "store/redis/scripts/order.lua",
        "  if shape == 'foreign' and (counter or '') ~= ARGV[7] then return false end\n" => "";
    "order.lua", "depose lets the counter of a stranger come again", "store/redis/scripts/order.lua",
        "  if is_natural(counter, LAST_EXACT) and not at_most(counter, record[BEAT]) then record[BEAT] = counter end\n" => "";
    "order.lua", "forget is granted of a holder", "store/redis/scripts/order.lua",
        "  if shape ~= 'absent' and shape ~= 'vacant' then return refuse() end\n" => "";
    "order.lua", "forget is granted whatever the record has become", "store/redis/scripts/order.lua",
        "if not as_seen() or not forget() then" => "if not forget() then";
    "record.lua", "a pause never ends by the clock", "store/redis/scripts/record.lua",
        "if ends ~= '-' and at_most(ends, clock) then record[PAUSED] = false end" => "";
    "record.lua", "a counter that a stranger touched counts as the holder's", "store/redis/scripts/record.lua",
        "shape = counter == record[BEAT] and 'held' or 'foreign'" => "shape = 'held'";
};
