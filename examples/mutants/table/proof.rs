//! Which break of the proof's rules (`tests/proof/mutants.txt`) is that of a mutant, and the obligation that fails there.

/// The rows of the proof: the rule, the name of its break, what happens then, and what fails, or "nothing".
const ROWS: &str = include_str!("../../../tests/proof/mutants.txt");

macro_rules! breaks {
    ($($rule:literal, $name:literal => $proof:literal;)*) => {
        &[$(($rule, $name, $proof)),*]
    };
}

/// The rule and the name of a mutant, and the break of the proof.
#[rustfmt::skip]
pub(crate) const BREAKS: &[(&str, &str, &str)] = breaks! {
    "R1", "takes over without waiting for the window" => "no stall";
    "R1", "waits for its own window only" => "the own window";
    "R3", "numbers terms without the clocks" => "a term behind the clock";
    "R3", "claims twice with one term" => "elected after it gave up";
    "hints", "claims what was released under a memory that it never saw" => "a term behind the clock";
    "R5", "waits for no memory to become old" => "no wait";
    "R5", "waits an interval for the memories to become old" => "no wait";
    "R5", "asks of each store for itself whether it was old enough" => "each store old enough at its own send";
    "R5", "is elected by what was sent before the memories were old enough" => "age at execution";
    "R5", "is elected by a single store" => "majorities that share no store";
    "R5", "counts the age of a memory from the sending of a poll" => "age from the send";
    "R5", "takes the age of one memory for that of the next" => "age of another memory";
    "R5", "a memory takes what is said of another" => "attests any memory";
    "R6", "goes on with probation under another memory" => "a hold over two memories";
    "R7", "misses no record" => "no list";
    "R7", "forgets the floor of a record that it misses" => "the list has no floors";
    "R7", "a claim is not listed" => "a claim lists nothing";
    "R7", "a heartbeat is not listed" => "a heartbeat lists nothing";
    "R8", "claims under whatever memory" => "a record under any memory";
    "R8", "claims below the floor of the memory" => "a claim below the memory floor";
    "R8", "counts no change of hands" => "no count of changes of hands";
    "R8", "a foreign counter without a record is the same one whenever it returns" => "a foreign counter without a count of changes of hands";
    "R3", "an only store grants the term as it is proposed" => "no clock in the script";
    "R8", "claims one of several stores unseen, if it is absent" => "an absent record under any memory";
    "R9", "a deletion leaves no floor to the memory" => "a deletion forgets the floor";
    "R9", "a deletion leaves the floor to the memory, and not the counter" => "a claim begins its counter anew";
    "R9", "a join begins its counter below that of a deleted record" => "a claim begins its counter anew";
    "timing", "the lease has no margin" => "no margin";
    "timing", "the lease outlasts the window" => "no margin";
    "send", "a lease runs from the receipt of a heartbeat's reply" => "a lease from the receipt";
    "send", "a lease runs from the receipt of a grant" => "a lease from the receipt";
    "receive", "a stall runs from the sending of a poll" => "stall from the send";
    "majority", "a lease runs from the newest heartbeat of any store" => "a lease of one store";
    "majority", "fewer than a majority elect" => "majorities that share no store";
    "claim", "is granted whatever the record has become" => "any mark";
    "claim", "is granted though the counter has moved on" => "a counter that has moved on";
    "claim", "is granted with a term that does not rise" => "a term that does not rise";
    "claim", "lowers the floor" => "a join lowers the floor";
    "claim", "begins its counter at one" => "a claim begins its counter anew";
    "claim", "begins its counter anew when it joins again" => "a claim begins its counter anew";
    "S3", "anybody's heartbeat is granted" => "a heartbeat of anybody";
    "S3", "a heartbeat leaves the counter as it is" => "a counter that does not move";
    "S3", "anybody's release is granted" => "a release of anybody";
    "S3", "a holder's release of an older term is granted" => "a release of an older term";
    "release", "comes before the work has ended" => "a release before the end";
    "release", "comes when the tenure has ended, not the work" => "a release before the end";
    "lost is final", "a lease is renewed after its end" => "renews after the end";
    "lost is final", "a leader joins a store after its tenure has ended" => "a join after the end";
    "S4", "a store that does not answer counts as vacant" => "a store that does not answer is vacant";
    "order: pause", "a claim is granted while the election is paused" => "a claim in a pause";
    "order: depose", "is granted whatever the record has become" => "deposes what has changed";
    "order: depose", "is granted without a holder" => "deposes no one";
    "order: depose", "lets the counter of a stranger come again" => "a deposition lets a counter come again";
    "order: forget", "is granted of a holder" => "a holder is forgotten";
    "claim.lua", "is granted whatever the record has become" => "any mark";
    "claim.lua", "is granted whatever the shape" => "any shape";
    "claim.lua", "is granted though the counter has moved on" => "a counter that has moved on";
    "claim.lua", "is granted though a stranger's counter has moved on" => "a foreign counter is not compared";
    "claim.lua", "is granted with a term that does not rise" => "a term that does not rise";
    "claim.lua", "is granted while the election is paused" => "a claim in a pause";
    "claim.lua", "is granted under whatever memory (R8)" => "a record under any memory";
    "claim.lua", "is granted though records have changed hands (R8)" => "no count of changes of hands";
    "claim.lua", "is granted below the floor of the memory (R8)" => "a claim below the memory floor";
    "memory.lua", "does not notice a restart (R7)" => "a loss keeps the id";
    "memory.lua", "misses no record (R7)" => "no list";
    "memory.lua", "forgets the floor of a record that it misses (R7)" => "the list has no floors";
    "memory.lua", "lists no record (R7)" => "a claim lists nothing";
    "memory.lua", "takes what is said of another memory (R5)" => "attests any memory";
    "memory.lua", "counts no change of hands" => "no count of changes of hands";
    "claim.lua", "numbers no term by the clock (R3)" => "no clock in the script";
    "claim.lua", "claims one of several stores unseen, if it is absent (R8)" => "an absent record under any memory";
    "claim.lua", "a join begins its counter below that of a deleted record (R9)" => "a claim begins its counter anew";
    "changes.lua", "a deletion leaves no floor to the memory (R9)" => "a deletion forgets the floor";
    "changes.lua", "a deletion leaves the floor to the memory, and not the counter (R9)" => "a claim begins its counter anew";
    "claim.lua", "a join lowers the floor" => "a join lowers the floor";
    "claim_free.lua", "claims one of several stores unseen (R8)" => "an absent record under any memory";
    "claim_free.lua", "claims what is expected to be there" => "any shape";
    "claim_free.lua", "does not look for a record" => "any shape";
    "claim_free.lua", "takes what has the counter of a stranger" => "any shape";
    "claim_free.lua", "does not notice a restart (R7)" => "a loss keeps the id";
    "claim_free.lua", "misses no record (R7)" => "no list";
    "claim_free.lua", "numbers no term by the clock (R3)" => "no clock in the script";
    "claim_free.lua", "numbers no term above the floor (R3)" => "a term that does not rise";
    "claim_free.lua", "begins with a lower counter than it was asked for" => "a claim begins its counter anew";
    "claim_free.lua", "takes what is said of another memory (R5)" => "attests any memory";
    "claim_free.lua", "lists no record (R7)" => "a claim lists nothing";
    "release_brief.lua", "anybody's is granted" => "a release of anybody";
    "release_brief.lua", "takes the counter of a stranger away" => "a release takes the counter of a stranger";
    "release_brief.lua", "leaves no floor to the memory (R9)" => "a deletion forgets the floor";
    "beat.lua", "anybody's is granted" => "a heartbeat of anybody";
    "beat.lua", "one of another term is granted" => "a heartbeat of anybody";
    "beat.lua", "is granted though a stranger touched the counter" => "a heartbeat on the counter of a stranger";
    "beats.lua", "anybody's is granted" => "a heartbeat of anybody";
    "beats.lua", "one of another term is granted" => "a heartbeat of anybody";
    "beats.lua", "is granted though a stranger touched the counter" => "a heartbeat on the counter of a stranger";
    "release.lua", "anybody's is granted" => "a release of anybody";
    "release.lua", "one of another term is granted" => "a release of an older term";
    "release.lua", "takes the counter of a stranger away" => "a release takes the counter of a stranger";
    "order.lua", "depose is granted without a holder" => "deposes no one";
    "order.lua", "depose is granted of a leader that has beaten since" => "deposes what has changed";
    "order.lua", "depose is granted though a stranger's counter has moved on" => "deposes whatever the counter of a stranger is";
    "order.lua", "depose lets the counter of a stranger come again" => "a deposition lets a counter come again";
    "order.lua", "forget is granted of a holder" => "a holder is forgotten";
};

/// What fails in the proof under the break of that name.
pub(crate) fn fails(name: &str) -> Option<&'static str> {
    let rows = ROWS.lines().filter(|row| !row.starts_with('#'));
    let mut cells = rows.map(|row| row.split(" | ").skip(1));
    let mut found = cells.find_map(|mut row| (row.next()? == name).then_some(row))?;
    found.nth(1)
}

/// The obligation that fails, "nothing" where the proof stands without the rule, or a dash where it has no such rule.
pub(crate) fn obligation(rule: &str, name: &str) -> &'static str {
    let found = BREAKS.iter().find(|one| (one.0, one.1) == (rule, name));
    found.and_then(|one| fails(one.2)).unwrap_or("–")
}
