//! A job that cron starts on many hosts at the same minute, and that must run once.
//!
//! ```text
//! * * * * *  cron "$(date -u +\%FT\%R)" redis://db.example/
//! ```
//!
//! The second to arrive finds it held, and skips it. One so late that the first has finished
//! finds the slot done: an election decides who may run, and only what is kept with the result can show
//! that it was run. `Election::run_once` keeps late ones out too, while the clocks and the store can be trusted. The store may also stand in `INCUMBENT_STORE`.

use std::fs;
use std::time::Duration;

use incumbent::fence::FencedFile;
use incumbent::{Election, Lease};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let slot = arguments.next().ok_or("usage: cron SLOT [STORE]")?;
    let scratch = std::env::temp_dir();
    let store = arguments
        .next()
        .or_else(|| std::env::var("INCUMBENT_STORE").ok())
        .unwrap_or_else(|| format!("sqlite:{}/incumbent-example.db", scratch.display()));
    let election = Election::builder("example-cron").store(&store).build()?;

    match election.blocking().try_campaign() {
        Ok(leadership) => run_once(&slot, leadership.lease()),
        Err(error) if error.is_held() => {
            println!("slot {slot} skipped: {error}");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs the job unless the slot is done, and marks it done together with its result.
fn run_once(slot: &str, lease: &Lease) -> Result<(), Box<dyn std::error::Error>> {
    let result = std::env::temp_dir().join("incumbent-example.cron");
    let fenced = FencedFile::new(&result);
    // First the fence, then the look: a frozen run of an older slot can no longer change the answer.
    fenced.raise(lease.fencing_token())?;
    if fs::read_to_string(&result).is_ok_and(|done| done == slot) {
        println!("slot {slot} is done already");
        return Ok(());
    }
    std::thread::sleep(Duration::from_millis(200)); // The job.
    fenced.replace(lease.fencing_token(), slot.as_bytes())?;
    println!("slot {slot} done, token {}", lease.fencing_token());
    Ok(())
}
