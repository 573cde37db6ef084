//! Several processes on one SQLite file: this test program starts itself again.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use incumbent::protocol::{Mark, Occupancy, Reply, Request, Term, Verdict};
use incumbent::store::{SqliteStore, Store};

use super::fixtures::OP_TIMEOUT;
use super::requests::{ask, beat, claim, name, release, seen, who};

/// The file that a process started by a test works on.
const FILE: &str = "INCUMBENT_TEST_FILE";

fn again(test: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(FILE, path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// The file to work on, in a process that a test has started.
fn told() -> Option<SqliteStore> {
    let path = std::env::var_os(FILE)?;
    Some(SqliteStore::open(path.as_ref(), OP_TIMEOUT))
}

#[test]
fn processes_that_contend_for_one_file_hold_it_one_at_a_time_with_rising_terms() {
    const PROCESSES: usize = 4;
    const TURNS: usize = 20;
    if let Some(store) = told() {
        return super::run(take_turns(&store, TURNS));
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("elections.db");
    let test =
        "processes::processes_that_contend_for_one_file_hold_it_one_at_a_time_with_rising_terms";
    let children: Vec<_> = (0..PROCESSES).map(|_| again(test, &path)).collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let log = std::fs::read_to_string(path.with_extension("log")).expect("the log");
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2 * PROCESSES * TURNS);
    let mut last = 0;
    for turn in lines.chunks(2) {
        let token = turn[0].strip_prefix("begin ").expect("a beginning");
        assert_eq!(turn[1], format!("end {token}"), "two at a time");
        let token: u64 = token.parse().expect("a token");
        assert!(token > last, "{token} after {last}");
        last = token;
    }
}

async fn take_turns(store: &SqliteStore, turns: usize) {
    let path = std::env::var_os(FILE).expect("the file");
    let mut log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(Path::new(&path).with_extension("log"))
        .expect("the log");
    let (me, election) = (
        who(&format!("process-{}", std::process::id())),
        name("turns"),
    );
    let mut wake_ups = store.wake_ups(&election, me.id());
    let look = async || found(&ask(store, &election, &me, &Request::Observe).await);
    let (mut mark, mut floor) = look().await;
    let mut taken = 0;
    while taken < turns {
        if !mark.shape.is_free() {
            // A wake-up brings the next vacancy; the backstop polls.
            let woken = tokio::time::timeout(Duration::from_millis(200), wake_ups.next()).await;
            (mark, floor) = match woken {
                Ok(Some(woken)) => (woken.record.mark(&woken.memory), woken.record.floor),
                Ok(None) | Err(_) => look().await,
            };
            continue;
        }
        let number = floor.get() + 1;
        let reply = ask(store, &election, &me, &claim(&me, number, mark)).await;
        (mark, floor) = found(&reply);
        if reply.verdict == Verdict::Granted {
            // One write each, for lines of several processes must not mix.
            log.write_all(format!("begin {number}\n").as_bytes())
                .expect("a line");
            ask(store, &election, &me, &beat(&me, number)).await;
            log.write_all(format!("end {number}\n").as_bytes())
                .expect("a line");
            (mark, floor) = found(&ask(store, &election, &me, &release(&me, number)).await);
            taken += 1;
        }
    }
}

/// What a claim must expect, and what its term must be above.
fn found(reply: &Reply) -> (Mark, Term) {
    (reply.mark(), reply.record.floor)
}

/// `L1` across processes: nothing polls here, so what arrives was pushed.
#[test]
fn a_release_in_one_process_wakes_another() {
    if let Some(store) = told() {
        return super::run(async move {
            let (me, election) = (who("child"), name("woken"));
            let absent = seen(&store, &election, &me).await;
            ask(&store, &election, &me, &claim(&me, 1, absent)).await;
            ask(&store, &election, &me, &release(&me, 1)).await;
        });
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("elections.db");
    super::run(async {
        let store = SqliteStore::open(&path, OP_TIMEOUT);
        let election = name("woken");
        let mut wake_ups = store.wake_ups(&election, who("parent").id());
        ask(&store, &election, &who("parent"), &Request::Observe).await;
        let mut child = again("processes::a_release_in_one_process_wakes_another", &path);
        let told = tokio::time::timeout(Duration::from_secs(60), wake_ups.next()).await;
        let woken = told.expect("it was reported").expect("the store is open");
        let record = woken.record;
        assert_eq!(
            (record.occupancy, record.term.get()),
            (Occupancy::Vacant, 1)
        );
        assert!(child.wait().expect("it ends").success());
    });
}
