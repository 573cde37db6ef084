//! Orders that come while the program is being started.

use std::time::Duration;

use incumbent_cli::supervise::{Event, ProgramExit};

use crate::bench::{ALL, Bench};

/// It comes between fork and exec, when the keeper's own handlers are still there.
#[tokio::test]
async fn a_stop_that_comes_while_the_program_is_being_started_reaches_it() {
    for contain in ALL.into_iter().cycle().take(60) {
        let mut bench = Bench::contained(contain);
        let program = bench.shell("exec sleep 1000");
        bench.start(program, 600_000);
        bench.keeper.stop(Duration::from_secs(60));
        let events = bench.events_of_the_keeper_alone().await;
        let ended = Event::Exited(ProgramExit::Signal(15));
        assert!(events.contains(&ended), "{events:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_killed_while_it_is_being_started_counts_as_started() {
    for contain in ALL.into_iter().cycle().take(60) {
        let mut bench = Bench::contained(contain);
        let program = bench.shell("exec sleep 1000");
        bench.start(program, 600_000);
        bench.keeper.kill();
        let events = bench.events().await;
        for expected in [Event::Started(0), Event::Exited(ProgramExit::Signal(9))] {
            assert!(events.contains(&expected), "{events:?}");
        }
    }
}
