//! A producer that keeps a numbered log without a gap, a double or a step back, even while two copies
//! of it believe that they lead.
//!
//! ```text
//! cargo run --example fenced_log                     # the log: a file
//! cargo run --example fenced_log -- redis://127.0.0.1/
//! cargo run --example fenced_log -- sqlite:/tmp/ledger.db
//! ```
//!
//! Start it twice with `--careless`, and freeze the one that leads (`kill -STOP`) for more than the
//! window. The other takes over. Wake the first (`kill -CONT`): it never looks at its lease and goes on
//! with the token of the past, as a machine does that its hypervisor has frozen. The log refuses it.
//!
//! The election is held on the store that `INCUMBENT_STORE` names, or on a file of this host.

mod ledger;

use std::time::Duration;

use incumbent::{Election, Overrun};
use ledger::Ledger;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let careless = arguments.iter().any(|argument| argument == "--careless");
    arguments.retain(|argument| argument != "--careless");
    let scratch = std::env::temp_dir();
    let log = arguments.into_iter().next();
    let log = log.unwrap_or_else(|| format!("file:{}/incumbent-example.log", scratch.display()));
    let store = std::env::var("INCUMBENT_STORE")
        .unwrap_or_else(|_| format!("sqlite:{}/incumbent-example.db", scratch.display()));

    let mut ledger = Ledger::open(&log)?;
    let election = Election::builder("example-fenced-log")
        .store(&store)
        .interval(Duration::from_millis(200))
        .stall_polls(8)
        // The log refuses late appends, so this process need not be killed for it.
        .overrun(Overrun::Report)
        .build()?
        .blocking();

    loop {
        let leadership = election.campaign()?;
        let token = leadership.fencing_token();
        // First the fence, then the look at what is there: nothing can be added behind our back.
        ledger.raise(token)?;
        let mut number = ledger.last()?.map_or(1, |last| last.number + 1);
        println!("leading with token {token}, from entry {number} on");

        while careless || leadership.check().is_ok() {
            match ledger.append(token, number) {
                Ok(()) => println!("wrote {number} with token {token}"),
                Err(error) if error.is_stale() => {
                    println!("{error}");
                    break;
                }
                // The entry may or may not be there: the next leadership, ours or another's, looks.
                Err(error) => return Err(error.into()),
            }
            number += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
