//! Prints what the record function does in every case of a small domain, for the proof (`tests/proof/cases.py`): a
//! line of names, and a line of numbers for each case.

mod domain;

use std::io::{BufWriter, Result, Write, stdout};
use std::time::Duration;

use domain::{FRESH, id, requests, states, term, who};
use incumbent::protocol::{Beat, Memory, Occupancy, State, Term, Verdict, WallMillis, apply};

const UNIT: Duration = Duration::from_nanos(1);
const STATE: &str =
    "memory age memory_floor taken restarted listed floor term beat shape holder counter paused";
const REQUEST: &str =
    "kind who asked x_memory x_term x_beat x_shape x_counter x_taken attests attested clock";

fn main() -> Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    let after: Vec<String> = STATE
        .split(' ')
        .map(|name| format!("{name}_after"))
        .collect();
    writeln!(out, "{STATE} {REQUEST} granted {}", after.join(" "))?;
    for state in states(UNIT, term(60_050_000)) {
        for (request, numbers) in requests(&state, UNIT) {
            for clock in [0, 100] {
                let wall = WallMillis::new(clock).expect("a small number");
                let (after, verdict) = apply(&state, &request, id(FRESH), wall);
                let granted = i64::from(verdict == Verdict::Granted);
                let all = of(&state)
                    .into_iter()
                    .chain(numbers.clone())
                    .chain([1000 * i64::try_from(clock).expect("small"), granted])
                    .chain(of(&after));
                let words: Vec<String> = all.map(|number| number.to_string()).collect();
                writeln!(out, "{}", words.join(" "))?;
            }
        }
    }
    out.flush()
}

fn of(state: &State) -> [i64; 13] {
    let record = &state.record;
    let holder = match record.holder() {
        Some(holder) => 1 + i64::from(*holder != who(1)),
        None => 0,
    };
    let (shape, counter) = match &record.occupancy {
        Occupancy::Absent => (0, 0),
        Occupancy::Vacant => (1, 0),
        Occupancy::Held { .. } => (2, 0),
        Occupancy::Foreign { counter, .. } => (3, counter.map_or(-1, Beat::get)),
    };
    let memory = state.memory.unwrap_or(Memory::young(id(0)));
    let number = |term: Term| term.get().cast_signed();
    [
        memory.id.nonce.cast_signed(),
        i64::try_from(memory.age.as_nanos()).expect("small"),
        number(memory.floor),
        memory.taken.cast_signed(),
        i64::from(state.restarted),
        state.listed.map_or(-1, number),
        number(record.floor),
        number(record.term),
        record.beat.get(),
        shape,
        holder,
        counter,
        i64::from(record.orders.paused.is_some()),
    ]
}
