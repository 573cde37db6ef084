//! What is in the program's cgroup and is not below the keeper.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use incumbent::election::clock;
use incumbent_cli::supervise::{Event, ProgramExit};

use crate::bench::{Bench, PATIENCE};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

/// The cgroup of its program, once the keeper is ready.
async fn cgroup(bench: &mut Bench) -> PathBuf {
    let ready = bench.keeper.event().await;
    assert!(matches!(ready, Event::Ready { .. }), "{ready:?}");
    let cgroup = bench.keeper.cgroup();
    cgroup.expect("run this as root, with a cgroup2").to_owned()
}

#[tokio::test]
async fn the_end_of_what_no_wait_reports_is_noticed_at_once() {
    let mut bench = Bench::new(true);
    let cgroup = cgroup(&mut bench).await;
    let program = bench.shell("echo up >> $DIR/up; until [ -e $DIR/end ]; do sleep 0.01; done");
    // No message of the elector and no timer of the keeper comes before the test ends.
    let deadline = clock::now() + 2 * HOUR;
    bench.keeper.start(program, deadline, HOUR).unwrap();
    assert!(matches!(bench.event().await, Event::Started(_)));
    bench.wait_for_lines("up", 1).await;
    let mut stray = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    fs::write(cgroup.join("cgroup.procs"), stray.id().to_string()).unwrap();
    fs::write(bench.file("end"), "").unwrap();
    let exited = Event::Exited(ProgramExit::Code(0));
    assert_eq!(bench.event().await, exited);
    let pids = vec![i32::try_from(stray.id()).unwrap()];
    assert_eq!(bench.event().await, Event::LeftBehind { pids });
    drop(stray.stdin.take());
    stray.wait().unwrap();
    assert_eq!(bench.event().await, Event::Dead);
}

#[tokio::test]
async fn groups_that_the_program_has_made_are_removed_with_its_own() {
    let mut bench = Bench::new(true);
    let cgroup = cgroup(&mut bench).await;
    let program = bench.shell(&format!("mkdir -p {}/made/below", cgroup.display()));
    bench.start(program, 600_000);
    let exited = Event::Exited(ProgramExit::Code(0));
    assert_eq!(
        bench.events().await,
        [Event::Started(0), exited, Event::Dead]
    );
    assert!(cgroup.join("made/below").exists());
    bench.keeper.close().await;
    assert!(!cgroup.exists());
}

#[tokio::test]
async fn groups_that_the_program_of_a_killed_keeper_has_made_are_removed_by_the_next() {
    let own = cgroup(&mut Bench::new(true)).await;
    let left = own.with_file_name(format!("incumbent-left-{}", fastrand::u64(..)));
    let until = clock::now() + PATIENCE;
    // The keeper of another test may remove one that is only half made.
    while fs::create_dir_all(left.join("made/below")).is_err() {
        assert!(clock::now() < until, "{} cannot be made", left.display());
    }
    cgroup(&mut Bench::new(true)).await;
    while left.exists() {
        assert!(clock::now() < until, "{} is still there", left.display());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
