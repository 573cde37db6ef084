//! What it costs the work to ask whether it may act.

use std::hint::black_box;
use std::time::Duration;

use incumbent::Election;
use incumbent::election::clock;
use incumbent::store::MemoryStore;

use crate::report::{figure, heading, median, shown, time};

pub(crate) fn run() {
    heading("check(), before each side effect");
    let election = Election::builder("check")
        .store_object(MemoryStore::new("bench"))
        .build()
        .expect("a configuration");
    let runtime = crate::runtime();
    let leadership = runtime.block_on(election.campaign()).expect("a leadership");
    let floor = each(|| {
        black_box(clock::now());
    });
    let check = each(|| {
        black_box(leadership.check()).expect("still leading");
    });
    time("floor: the whole clock, of four readings", floor);
    figure("check(), aim ≤ 60 ns", &shown(check));
    runtime.block_on(leadership.resign());
}

/// The median over batches of what one call takes.
fn each(call: impl Fn()) -> Duration {
    const CALLS: u32 = 100_000;
    let batches = (0..51).map(|_| {
        let begin = clock::now();
        for _ in 0..CALLS {
            call();
        }
        clock::now().since(begin)
    });
    let batch = median(batches.collect());
    // A call takes nanoseconds, of which a Duration has whole ones only.
    Duration::from_secs_f64(batch.as_secs_f64() / f64::from(CALLS))
}
