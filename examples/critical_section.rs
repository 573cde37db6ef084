//! A lock around a critical section: wait for it, do not wait, or wait for a while.
//!
//! ```text
//! cargo run --example critical_section -- blocking
//! cargo run --example critical_section -- non-blocking
//! cargo run --example critical_section -- timeout redis://db.example/
//! ```
//!
//! Start the first in one shell, which then holds the lock until you press Enter, and the others in
//! another. Unlike a lock that expires, this one is kept for as long as the section takes, and a holder
//! that dies is replaced. The store may also stand in `INCUMBENT_STORE`.

use std::io::stdin;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use incumbent::{BlockingLeadership, CampaignError, Election};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_else(|| "blocking".to_owned());
    let scratch = std::env::temp_dir();
    let store = arguments
        .next()
        .or_else(|| std::env::var("INCUMBENT_STORE").ok())
        .unwrap_or_else(|| format!("sqlite:{}/incumbent-example.db", scratch.display()));
    let lock = Election::builder("example-lock")
        .store(&store)
        .build()?
        .blocking();

    // with redis_lock.Lock(connection, "example-lock"): … | acquire(blocking=False) | acquire(timeout=2)
    let acquired = match mode.as_str() {
        "blocking" => lock.campaign(),
        "non-blocking" => lock.try_campaign(),
        "timeout" => lock.campaign_timeout(Duration::from_secs(2)),
        other => {
            return Err(format!("{other:?} is none of blocking, non-blocking, timeout").into());
        }
    };
    match acquired {
        Ok(held) => {
            count_up(&held, scratch.join("incumbent-example.counter"))?;
            Ok(ExitCode::SUCCESS)
        } // `held` was dropped: the lock is released, and the stores have confirmed it.
        Err(error @ (CampaignError::Held { .. } | CampaignError::TimedOut { .. })) => {
            println!("not acquired: {error}");
            Ok(ExitCode::from(75))
        }
        Err(error) => Err(error.into()),
    }
}

/// The critical section: it reads a number and writes a greater one. Two at a time would lose a count.
fn count_up(held: &BlockingLeadership, counter: PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    let count = match std::fs::read_to_string(&counter) {
        Ok(text) => text.trim().parse::<u64>()? + 1,
        Err(_) => 1,
    };
    println!("acquired, token {}: press Enter", held.fencing_token());
    stdin().read_line(&mut String::new())?;
    // Right before the side effect: do we still hold it?
    held.check()?;
    std::fs::write(&counter, count.to_string())?;
    println!("counted to {count}");
    Ok(())
}
