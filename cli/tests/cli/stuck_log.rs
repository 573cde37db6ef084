//! A log that no one reads: it costs its lines, and nothing else.

use std::fs::OpenOptions;
use std::io::{PipeReader, Read};
use std::process::Stdio;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, Running};

/// A standard error, and what must live as long as it.
type Log = (Stdio, Option<PipeReader>);

/// A full pipe whose reader is stalled.
fn stuck() -> Log {
    let (reader, writer) = std::io::pipe().unwrap();
    let before = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, before | OFlags::NONBLOCK).unwrap();
    let mut line = [b'#'; 4096];
    line[4095] = b'\n';
    while rustix::io::write(&writer, &line) != Err(Errno::AGAIN) {}
    rustix::fs::fcntl_setfl(&writer, before).unwrap();
    (writer.into(), Some(reader))
}

/// A pipe whose reader is gone.
fn gone() -> Log {
    let (_, writer) = std::io::pipe().unwrap();
    (writer.into(), None)
}

/// A disk without space.
fn full() -> Log {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    (full.into(), None)
}

/// A leader whose log no one reads, and a standby whose log is read.
struct Bed {
    leader: Running,
    _reader: Option<PipeReader>,
    _standby: Running,
    home: Home,
}

impl Bed {
    /// The programs write their pid and stay.
    fn start((stderr, reader): Log, options: &[&str]) -> Self {
        let home = Home::new();
        let program = format!(
            "trap 'exit 0' TERM; echo $$ >> {}; while :; do sleep 0.05; done",
            home.text_path("log")
        );
        let run = [&["run", "job"], options, &["--", "sh", "-c", &program]].concat();
        let leader = home.start_unheard(&run, stderr);
        home.wait_for_lines("log", 1);
        let standby = home.start(&["run", "job", "--", "sh", "-c", &program]);
        standby.wait_said("standing by");
        Self {
            home,
            leader,
            _reader: reader,
            _standby: standby,
        }
    }

    fn program(&self) -> Pid {
        let pid = self.home.lines("log")[0].parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// The next program runs, and the one before is gone.
    fn assert_followed(&self) {
        self.home.wait_for_lines("log", 2);
        let gone = rustix::process::test_kill_process(self.program());
        assert_eq!(gone, Err(Errno::SRCH));
    }
}

#[test]
fn who_is_told_to_stop_hands_over() {
    for log in [stuck(), gone(), full()] {
        let mut bed = Bed::start(log, &["--log-level", "trace"]);
        bed.leader.signal(Signal::TERM);
        assert_eq!(bed.leader.wait(), 0);
        bed.assert_followed();
    }
}

#[test]
fn who_lost_its_program_hands_over() {
    for log in [stuck(), gone(), full()] {
        let mut bed = Bed::start(log, &[]);
        kill_process(bed.program(), Signal::KILL).unwrap();
        assert_eq!(bed.leader.wait(), 137);
        bed.assert_followed();
    }
}

#[test]
fn whose_work_is_unhealthy_is_replaced() {
    for log in [stuck(), gone(), full()] {
        let check = ["--health-cmd", "[ ! -e ill ]", "--health-interval", "100ms"];
        let quiet = ["--log-level", "warn"];
        let mut bed = Bed::start(log, &[&check[..], &quiet].concat());
        bed.home.write("ill", "");
        assert_eq!(bed.leader.wait(), 124);
        bed.assert_followed();
    }
}

#[test]
fn who_is_killed_is_followed() {
    for log in [stuck(), gone(), full()] {
        let mut bed = Bed::start(log, &[]);
        bed.leader.signal(Signal::KILL);
        bed.leader.wait_killed();
        bed.assert_followed();
    }
}

/// A reader that continues sees how many lines are missing, and then every line.
#[test]
fn who_reads_on_learns_what_was_lost() {
    let (stderr, reader) = stuck();
    let mut bed = Bed::start((stderr, None), &[]);
    let mut reader = reader.unwrap();
    // Room for some lines.
    reader.read_exact(&mut [0; 8192]).unwrap();
    bed.leader.signal(Signal::TERM);
    assert_eq!(bed.leader.wait(), 0);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let text = text.trim_start_matches(['#', '\n']);
    let (first, rest) = text.split_once('\n').unwrap();
    let lost = first.strip_prefix("log lines dropped: ").unwrap();
    assert!(lost.parse::<u64>().unwrap() > 0);
    assert!(rest.contains("leadership over"), "{rest}");
}
