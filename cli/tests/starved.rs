//! Electors that are frozen, on a machine that has no time for their keepers (`S1`).
//!
//! A separate test program, because it leaves nothing of the machine to others.

#![allow(missing_docs, reason = "tests are named by what they claim")]

#[path = "takeover/field.rs"]
mod field;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, setpriority_process,
};

use field::{Elector, Field, PATIENCE};

/// How many electors are frozen, and on how many elections at a time.
const FREEZES: usize = 50;
const LANES: usize = 5;

/// The timing of these elections: a window of three seconds.
const TIMING: [&str; 4] = ["--interval", "600ms", "--stop-grace", "600ms"];
const WINDOW: Duration = Duration::from_secs(3);
/// How long before the end of the window its leader must be gone: the least that a timing may have.
const MARGIN: Duration = Duration::from_millis(60);
const GRACE: Duration = Duration::from_millis(600);

/// The elector is frozen, and sixteen busy loops want the processors: still, the keeper has killed the
/// program before anyone else can be elected.
#[test]
fn a_frozen_elector_never_overlaps_with_the_next() {
    let busy = BusyLoops::start(16);
    let lanes = (0..LANES).map(|_| std::thread::spawn(|| freeze(FREEZES / LANES)));
    let lanes: Vec<_> = lanes.collect();
    let runs: Vec<Frozen> = lanes
        .into_iter()
        .flat_map(|lane| lane.join().unwrap())
        .collect();
    drop(busy);
    let mut early: Vec<f64> = runs.iter().filter_map(|run| run.early).collect();
    early.sort_by(f64::total_cmp);
    let gap = runs.iter().map(|run| run.gap).min().unwrap();
    assert!(
        early.len() > FREEZES / 2,
        "of {FREEZES} timers {} were seen in time",
        early.len()
    );
    let (least, median) = (early[0], early[early.len() / 2]);
    let too_late = early.iter().filter(|early| **early < 20.0).count();
    let row = format!(
        "| the elector is frozen, window {:?}, 16 busy loops | {} runs | dead before the window's end by: \
         median {median:.1}ms, least {least:.1}ms, less than 20ms in {too_late} | shortest gap {gap:.1?} |",
        WINDOW,
        early.len(),
    );
    // Past the test harness, which keeps what a passing test prints to itself.
    writeln!(std::io::stderr(), "{row}").unwrap();
    // How late a timer may be is the machine's; that no two overlapped was asserted of every run.
    assert!(median >= 20.0, "{early:.1?}");
}

/// Processes that do nothing but keep the processors busy, in a session of their own: a kernel that shares
/// the processors among sessions would hold up what is measured in the same one, rather than the keeper.
struct BusyLoops(Child);

impl BusyLoops {
    fn start(count: usize) -> Self {
        let spin = "for i in $(seq $0); do while :; do :; done & done; wait";
        let mut command = Command::new("setsid");
        command.args(["--wait", "sh", "-c", spin, &count.to_string()]);
        Self(command.process_group(0).spawn().unwrap())
    }
}

impl Drop for BusyLoops {
    fn drop(&mut self) {
        // `setsid` forks when it leads a group, so its child leads the session.
        let pid = self.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let session = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
        kill_process_group(session, Signal::KILL).unwrap();
        self.0.wait().unwrap();
    }
}

/// How one frozen elector fared.
struct Frozen {
    /// How many milliseconds before the end of its window its program was dead: before anybody else could
    /// be elected. Unknown when the machine itself stalled for longer, so that the keeper's timer was not
    /// seen in time.
    early: Option<f64>,
    /// From the last word of its program to the first of the next.
    gap: Duration,
}

/// Freezes one leader after the other. Their programs take no SIGTERM.
fn freeze(rounds: usize) -> Vec<Frozen> {
    let field = Field::stubborn(&TIMING);
    let mut leader = field.elector();
    leader.wait_until_leading();
    let mut frozen = Vec::new();
    for round in 1..=rounds {
        let standby = field.elector();
        standby.wait_until_standing_by();
        let terms = field.terms_once_there_are(round);
        let program = pidfd_open(leader.program(), PidfdFlags::empty()).unwrap();
        let death = thread::spawn(move || wait_for_death(&program));
        leader.signal(Signal::STOP);
        let sent = last_heartbeat(&leader);
        let dead = death.join().unwrap();
        let early = sent.map(|sent| {
            (sent + WINDOW).since(Timestamp::ZERO).as_secs_f64() * 1000.0
                - dead.since(Timestamp::ZERO).as_secs_f64() * 1000.0
        });
        let next = field.wait_for_term(terms + 1);
        let last = field.witness().terms[terms - 1].last;
        frozen.push(Frozen {
            early,
            gap: next.first.checked_sub(last).expect("two programs at once"),
        });
        leader.signal(Signal::CONT);
        standby.wait_until_leading();
        leader = standby;
    }
    field.witness().assert_no_overlap();
    frozen
}

/// The latest moment at which the last heartbeat of a frozen leader was sent: its keeper's timer is
/// set to the moment at which the program is asked to end, which is counted from then.
fn last_heartbeat(leader: &Elector) -> Option<Timestamp> {
    // A keeper that sleeps has read all that its leader sent.
    wait_until_all_threads_are(leader.pid(), 'T');
    wait_until_all_threads_are(leader.keeper(), 'S');
    let now = clock::now();
    let left = timer_of(leader.keeper())?;
    // Once the program has been asked, the timer is set to its end, which is no more than that away.
    (left > GRACE).then(|| (now + left + GRACE + MARGIN).before(WINDOW))
}

/// Waits until each thread of a process is in this state (`proc_pid_stat(5)`).
fn wait_until_all_threads_are(pid: Pid, state: char) {
    let threads = format!("/proc/{}/task", pid.as_raw_nonzero());
    let is_so = || {
        fs::read_dir(&threads).unwrap().all(|thread| {
            let stat = fs::read_to_string(thread.unwrap().path().join("stat"));
            // A thread that has just ended has none.
            stat.is_ok_and(|stat| stat.rsplit_once(") ").unwrap().1.starts_with(state))
        })
    };
    let until = clock::now() + PATIENCE;
    while !is_so() {
        assert!(clock::now() < until, "{pid:?} is never {state} as a whole");
        thread::sleep(Duration::from_millis(1));
    }
}

/// In what time the timer of a process goes off (`proc_pid_fdinfo(5)`).
fn timer_of(pid: Pid) -> Option<Duration> {
    let folder = format!("/proc/{}/fdinfo", pid.as_raw_nonzero());
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix("it_value: ("))?;
        let (seconds, nanos) = value.strip_suffix(')')?.split_once(", ")?;
        Some(Duration::new(seconds.parse().ok()?, nanos.parse().ok()?))
    })
}

/// Waits for the end of a process, and returns when it was seen: no earlier than it happened.
fn wait_for_death(process: &OwnedFd) -> Timestamp {
    // The measuring thread must not be late itself. It is separate, because what a thread starts
    // inherits its priority.
    if let Err(error) = setpriority_process(None, -20) {
        println!("without the right to a higher priority ({error}), figures are worse than true");
    }
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let mut ended = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut ended, Some(&patience)), Ok(1), "it lives on");
    clock::now()
}
