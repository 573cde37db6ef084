//! What `incumbent run` costs while nothing happens: memory, and how often it wakes.
//!
//! A separate test program, because other tests would disturb its counts.

#![allow(missing_docs, reason = "tests are named by what they claim")]

#[path = "takeover/field.rs"]
mod field;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::thread;
use std::time::Duration;

use field::{Elector, Field};
use incumbent::election::clock;
use rustix::process::Pid;

/// The interval of the default timing.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long is counted.
const INTERVALS: u32 = 10;

const MIB: u64 = 1024;
/// What an elector of the release may have in memory, all that it shares included.
const RESIDENT: u64 = 8 * MIB;
/// What the processes of the release may hold of the memory, their share of what others use included.
const ELECTOR: u64 = 7 * MIB;
const KEEPER: u64 = 3 * MIB;
/// What a process of any build may hold without its code, which is much longer in a build for tests.
const OWN: u64 = 4 * MIB;

#[test]
fn an_idle_run_wakes_once_an_interval_and_is_small() {
    // One after the other: each process is to have the memory that it shares with others to itself.
    on("Redis", &Field::new(&[]));
    on("SQLite", &Field::on_a_file(&[]));
    lets_go_of_its_start(&Field::on_a_file(&["--log-level", "debug"]));
}

/// The command line and the settings are read once, by a large part of the program.
fn lets_go_of_its_start(field: &Field) {
    let elector = field.elector();
    let line = elector.hear("only startup needed");
    let told = line.rsplit_once("kib=").map(|(_, kib)| kib);
    let kib: u64 = told.and_then(|kib| kib.parse().ok()).expect("its size");
    print_row(&format!(
        "| memory that only startup needed | {kib} KiB (RSS) |"
    ));
    assert!(kib >= MIB, "{line}");
}

fn on(store: &str, field: &Field) {
    let leader = field.elector();
    leader.wait_until_leading();
    for (who, pid, most) in [
        ("elector", leader.pid(), ELECTOR),
        ("keeper", leader.keeper(), KEEPER),
    ] {
        let Memory { rss, pss, own } = Memory::of(pid);
        print_row(&format!(
            "| {store}: memory of the {who} | {rss} KiB (RSS), its share {pss} KiB (PSS), {own} KiB without its code |"
        ));
        assert!(own <= OWN, "the {who} holds {own} KiB without its code");
        if !cfg!(debug_assertions) {
            assert!(pss <= most, "the {who} holds {pss} KiB");
            assert!(who == "keeper" || rss <= RESIDENT, "{rss} KiB are resident");
        }
    }
    let standby = field.elector();
    standby.wait_until_standing_by();
    // The history of the start is over: what it has set in motion, too.
    thread::sleep(INTERVAL * 7);
    let before = [&leader, &standby].map(Wakes::of);
    let begun = clock::now();
    thread::sleep(INTERVAL * INTERVALS);
    let after = [&leader, &standby].map(Wakes::of);
    let intervals = clock::now().since(begun).as_secs_f64() / INTERVAL.as_secs_f64();
    for ((role, most), (before, after)) in [("leader", (4.0, 1.5)), ("standby", (3.0, 0.5))]
        .into_iter()
        .zip(before.iter().zip(&after))
    {
        let elector = Wakes::per(&before.elector, &after.elector, intervals);
        let keeper = Wakes::per(&before.keeper, &after.keeper, intervals);
        print_row(&format!(
            "| {store}: wake-ups of a {role} per interval | {elector:.1?} | its keeper {keeper:.1?} |"
        ));
        // The thread of an SQLite store (whose name is cut) waits for its disk as often as that takes.
        let of_incumbent = elector.iter().filter(|(name, _)| !name.contains("sqlit"));
        let all: f64 = of_incumbent.map(|(_, count)| count).sum();
        assert!(all <= most.0, "the elector of a {role} woke {elector:?}");
        let all: f64 = keeper.values().sum();
        assert!(all <= most.1, "the keeper of a {role} woke {keeper:?}");
    }
}

/// How often the threads of an elector and of its keeper have gone to sleep, by the name of the thread.
struct Wakes {
    elector: BTreeMap<String, f64>,
    keeper: BTreeMap<String, f64>,
}

impl Wakes {
    fn of(elector: &Elector) -> Self {
        Self {
            elector: sleeps(elector.pid()),
            keeper: sleeps(elector.keeper()),
        }
    }

    fn per(
        before: &BTreeMap<String, f64>,
        after: &BTreeMap<String, f64>,
        intervals: f64,
    ) -> BTreeMap<String, f64> {
        let since = |(name, count): (&String, &f64)| {
            let count = count - before.get(name).copied().unwrap_or_default();
            (name.clone(), count / intervals)
        };
        after.iter().map(since).collect()
    }
}

/// How often each thread of a process has waited for something (`proc_pid_status(5)`).
fn sleeps(pid: Pid) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let pid = pid.as_raw_nonzero();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let task = task.unwrap();
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        let name = value(&status, "Name:");
        let is_main = task.file_name().to_str() == Some(&pid.to_string());
        let name = if is_main { "main" } else { name };
        let count: f64 = value(&status, "voluntary_ctxt_switches:").parse().unwrap();
        *all.entry(name.to_owned()).or_default() += count;
    }
    all
}

/// The memory of a process, in KiB.
struct Memory {
    /// All that is resident, whoever else uses it.
    rss: u64,
    /// The same, and its share only of what others use as well.
    pss: u64,
    /// What of its share is no mapped file.
    own: u64,
}

impl Memory {
    fn of(pid: Pid) -> Self {
        let path = format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero());
        let text = fs::read_to_string(path).unwrap();
        let kib = |field| {
            let text = value(&text, field).trim_end_matches(" kB");
            text.parse().unwrap()
        };
        Self {
            rss: kib("Rss:"),
            pss: kib("Pss:"),
            own: kib("Pss_Anon:"),
        }
    }
}

fn value<'a>(text: &'a str, field: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(field));
    found
        .unwrap_or_else(|| panic!("{text} has no {field}"))
        .trim()
}

/// Prints past the test harness, which keeps what a passing test prints to itself.
fn print_row(row: &str) {
    std::io::stderr()
        .write_all(format!("{row}\n").as_bytes())
        .unwrap();
}
