//! Which obligation of the proof (`tests/proof/mutants.py`) fails when the same rule is broken there.

const S1: &str = "goal / S1: no one else acts when one is elected";
const TAKEN_OVER: &str = "a claim is granted / who lost a store is over";
const RISES: &str = "a claim is granted / terms rise in a store";
const STALLED: &str = "what stalled is deposed / who lost a store is over";

/// The name of a mutant, and the obligation.
pub(crate) const OBLIGATIONS: &[(&str, &str)] = &[
    ("takes over without waiting for the window", STALLED),
    ("waits for its own window only", STALLED),
    (
        "numbers terms without the clocks",
        "a claim is sent on what was seen / expectations",
    ),
    ("waits for no memory to become old", S1),
    ("waits an interval for the memories to become old", S1),
    (
        "asks of each store for itself whether it was old enough",
        S1,
    ),
    (
        "is elected by what was sent before the memories were old enough",
        S1,
    ),
    ("is elected by a single store", S1),
    (
        "counts the age of a memory from the sending of a poll",
        "somebody learns the age of the memory / knowledge",
    ),
    (
        "takes the age of one memory for that of the next",
        "somebody learns the age of the memory / knowledge",
    ),
    (
        "a memory takes what is said of another",
        "an attestation is executed / memory",
    ),
    (
        "goes on with probation under another memory",
        "a heartbeat is granted / terms that count",
    ),
    (
        "misses no record",
        "an unlisted record alone is lost / who lost a store is over",
    ),
    (
        "forgets the floor of a record that it misses",
        "a listed record alone is lost / floors",
    ),
    (
        "a heartbeat is not listed",
        "a heartbeat is granted / unlisted records",
    ),
    ("claims under whatever memory", TAKEN_OVER),
    ("claims below the floor of the memory", RISES),
    ("counts no change of hands", TAKEN_OVER),
    (
        "claims one of several stores unseen, if it is absent",
        TAKEN_OVER,
    ),
    (
        "a deletion leaves no floor to the memory",
        "a release deletes the record / floors",
    ),
    ("the lease has no margin", S1),
    ("the lease outlasts the window", S1),
    ("a lease runs from the receipt of a heartbeat's reply", S1),
    ("a lease runs from the receipt of a grant", S1),
    (
        "a stall runs from the sending of a poll",
        "a standby receives it / sights in time",
    ),
    ("a lease runs from the newest heartbeat of any store", S1),
    ("fewer than a majority elect", S1),
    ("is granted whatever the record has become", TAKEN_OVER),
    ("is granted though the counter has moved on", TAKEN_OVER),
    ("is granted with a term that does not rise", RISES),
    (
        "anybody's heartbeat is granted",
        "a heartbeat is granted / who lost a store is over",
    ),
    (
        "comes before the work has ended",
        "a release is executed / who lost a store is over",
    ),
    (
        "comes when the tenure has ended, not the work",
        "a release is executed / who lost a store is over",
    ),
    (
        "a lease is renewed after its end",
        "goal / S1 is kept: nothing else makes anybody act",
    ),
];

/// The obligation that fails, or a dash: what the mutant breaks is no step of the proof, or is no matter of S1 and S2.
pub(crate) fn obligation(name: &str) -> &'static str {
    let found = OBLIGATIONS.iter().find(|(mutant, _)| *mutant == name);
    found.map_or("–", |(_, obligation)| obligation)
}
