//! In a PID namespace, nothing of a program outlives both halves of `incumbent`, whoever is killed or frozen.
//!
//! `SURVIVOR_ROUNDS=1000 cargo test --test takeover survivors -- --nocapture` repeats it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use incumbent::election::clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::field::{PATIENCE, pid};

use crate::print_row;
use crate::support::environment;
use crate::support::marked::marked;

/// What a program may do to get out of the way: new sessions, double forks, deaf children, its own subreaper.
const FLEEING: &str = "\
trap '' TERM HUP INT
setsid sleep 1000 & (setsid sleep 1000 &) & (sleep 1000 & sleep 1000 &)
setsid sh -c \"trap '' TERM; while :; do sleep 0.05; done\" &
\"$BINARY\" run inner --store \"sqlite:$DIR/inner.db\" --contain subreaper -- sh -c 'echo up > $DIR/up; exec sleep 1000' &
wait";

/// An ordinary user, who has no cgroup either.
const ORDINARY: [&str; 6] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

/// One leader and its program.
struct Run {
    directory: tempfile::TempDir,
    mark: String,
    elector: Child,
    keeper: Pid,
}

impl Run {
    /// Starts one as this user, or by `words`, and waits until all of its processes are up.
    fn start(words: &[&str], binary: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path(), everybody).unwrap();
        let mark = format!("mark-{}", fastrand::u64(..));
        let line = [words, &[binary.to_str().unwrap()]].concat();
        let mut command = Command::new(line[0]);
        environment::clear(&mut command)
            .args(&line[1..])
            .args(["run", "outer", "--contain", "pidns", "--store"])
            .arg(format!("sqlite:{}/outer.db", directory.path().display()))
            .args(["--", "sh", "-c", FLEEING])
            .env("SURVIVOR_TEST_MARK", &mark)
            .env("BINARY", binary)
            .env("DIR", directory.path())
            .stdin(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap());
        let elector = command.spawn().unwrap();
        let mut run = Self {
            directory,
            mark,
            elector,
            keeper: Pid::INIT,
        };
        run.wait_until("everything is up", |run| {
            run.directory.path().join("up").exists()
        });
        let log = run.log();
        let ready = log
            .lines()
            .find(|line| line.contains("the keeper is ready"));
        let ready = ready.unwrap();
        assert!(ready.contains("containment=pidns"), "{ready}");
        run.keeper = pid(ready);
        run
    }

    fn log(&self) -> String {
        let mut log = String::new();
        let file = fs::File::open(self.directory.path().join("log"));
        file.unwrap().read_to_string(&mut log).unwrap();
        log
    }

    fn elector(&self) -> Pid {
        Pid::from_child(&self.elector)
    }

    /// The processes of the program that are alive: not those of `incumbent`.
    fn alive(&self) -> Vec<u32> {
        let ours = [self.elector(), self.keeper].map(|pid| pid.as_raw_nonzero().get());
        let mut alive = marked(&self.mark);
        alive.retain(|pid| !ours.contains(&pid.cast_signed()));
        alive.into_iter().collect()
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = clock::now() + PATIENCE;
        while !holds(self) {
            let (alive, log) = (self.alive(), self.log());
            assert!(clock::now() < until, "not {what}: alive {alive:?}\n{log}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What a failed test leaves behind is found by its mark.
        self.elector.kill().unwrap();
        self.elector.wait().unwrap();
        for pid in marked(&self.mark) {
            let pid = Pid::from_raw(pid.cast_signed()).unwrap();
            // It may have ended meanwhile.
            let _ended = kill_process(pid, Signal::KILL).is_err();
        }
    }
}

/// Lets nothing of a program survive what is done to both halves, as often as `SURVIVOR_ROUNDS` says.
fn none_survives(what: &str, strike: impl Fn(&Run)) {
    assert!(
        rustix::process::geteuid().is_root(),
        "only root may become another user: run this test as root"
    );
    let rounds = std::env::var("SURVIVOR_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap());
    // Where every user may run it.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = place.path().join("incumbent");
    fs::copy(env!("CARGO_BIN_EXE_incumbent"), &binary).unwrap();
    for (user, words) in [("root", &[][..]), ("an ordinary user", &ORDINARY)] {
        for _ in 0..rounds {
            let run = Run::start(words, &binary);
            assert!(run.alive().len() > 6, "{:?}", run.alive());
            strike(&run);
            run.wait_until("all dead", |run| run.alive().is_empty());
        }
        print_row(&format!(
            "| {what} | {user} | {rounds} runs | 0 survivors |"
        ));
    }
}

fn send(to: Pid, signal: Signal) {
    kill_process(to, signal).unwrap();
}

#[test]
fn elector_and_keeper_killed_at_once_leave_nothing_alive() {
    none_survives("elector and keeper killed -9 at once", |run| {
        // So that neither does anything about the death of the other.
        send(run.elector(), Signal::STOP);
        send(run.keeper, Signal::STOP);
        send(run.elector(), Signal::KILL);
        send(run.keeper, Signal::KILL);
    });
}

#[test]
fn a_keeper_killed_while_its_elector_is_frozen_leaves_nothing_alive() {
    none_survives("elector frozen, keeper killed -9", |run| {
        send(run.elector(), Signal::STOP);
        send(run.keeper, Signal::KILL);
    });
}

#[test]
fn an_elector_killed_while_its_keeper_is_frozen_leaves_nothing_alive() {
    none_survives("keeper frozen, elector killed -9", |run| {
        send(run.keeper, Signal::STOP);
        send(run.elector(), Signal::KILL);
    });
}

#[test]
fn an_elector_that_is_stopped_leaves_nothing_alive() {
    none_survives("elector stopped twice", |run| {
        send(run.elector(), Signal::TERM);
        send(run.elector(), Signal::QUIT);
    });
}
