//! Starts the candidate from every small state, reachable or not, gives it every input that a small world has, and
//! prints what it does, for the proof (`tests/proof/starts.py`): a line of names, and numbers of 32 bits after it.
//! A moment is in milliseconds, and a memory is the number of its loss.

mod choices;
mod planted;
mod printer;

use std::io::{BufWriter, Result, Write, stdout};
use std::time::Duration;

use incumbent::protocol::{Electorate, Timing, TimingConfig};

use printer::*;

fn main() -> Result<()> {
    let size: usize = std::env::args()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(1);
    let mut out = BufWriter::new(stdout().lock());
    let mut names = format!("{WHOLE} {REPLY}");
    for (part, each) in [("", VIEW), (AFTER, VIEW_AFTER)] {
        names = format!("{names} {part}");
        for store in 0..size {
            for name in each.split(' ') {
                names = format!("{names} {name}_{store}");
            }
        }
    }
    let names: Vec<&str> = names.split_whitespace().collect();
    writeln!(out, "{}", names.join(" "))?;
    for other_window in [WINDOW, PROBATION] {
        let timing = TimingConfig {
            interval: Duration::from_millis(INTERVAL),
            stall_polls: 5,
            stop_grace: Duration::from_millis(500),
            op_timeout: Some(Duration::from_millis(TIMEOUT)),
            probation: Some(Duration::from_millis(PROBATION)),
        };
        let mut printer = Printer {
            out: &mut out,
            other_window,
            electorate: Electorate::new(size).expect("one, three or five stores"),
            timing: Timing::new(&timing).expect("a valid timing"),
            count: 0,
        };
        if size == 1 || other_window > WINDOW {
            printer.all()?;
        }
        eprintln!("{} steps", printer.count);
    }
    out.flush()
}
