//! The independent witness: a TCP service on a separate host that every program reports to with its
//! token, twenty times a second. It knows nothing of the election.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::wait::wait_for;

/// One program said that it was running.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// When the program said it, in microseconds: all hosts share this machine's clock.
    pub(crate) said: u64,
    /// When the witness heard it.
    pub(crate) at: Instant,
    pub(crate) token: u64,
    pub(crate) host: String,
    pub(crate) pid: u32,
}

/// What the witness has heard.
pub(crate) struct Witness {
    reports: Arc<Mutex<Vec<Report>>>,
}

/// Where the programs find it.
pub(crate) const ADDRESS: &str = "10.78.0.254";
pub(crate) const PORT: u16 = 7070;

/// The program that the hosts elect: it says who it is, twenty times a second, with shell builtins alone,
/// so that it starts at once. It waits on a pipe that no one writes to, which a signal interrupts, so that
/// it ends at once as well. A hang-up, which a reload sends it too, does not end it.
pub(crate) const PROGRAM: &str = r#"#!/bin/bash
exec 3<>/dev/tcp/10.78.0.254/7070
trap 'exit 0' TERM
trap '' HUP
exec 9<> <(:)
while :; do
    echo "$INCUMBENT_FENCING_TOKEN $HOSTNAME $$ $EPOCHREALTIME" >&3
    read -rt 0.05 -u 9
done
"#;

impl Witness {
    /// Listens in the given network namespace.
    pub(crate) fn new(namespace: &str) -> Self {
        let path = format!("/run/netns/{namespace}");
        let listener = std::thread::spawn(move || {
            let file = std::fs::File::open(path).unwrap();
            // SAFETY-free: only this short-lived thread changes its namespace; the socket stays there.
            move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&file),
                Some(LinkNameSpaceType::Network),
            )
            .unwrap();
            TcpListener::bind((ADDRESS, PORT)).unwrap()
        })
        .join()
        .unwrap();
        let reports = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&reports);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || listen(stream, &heard));
            }
        });
        Self { reports }
    }

    /// Everything heard so far.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.reports.lock().unwrap().clone()
    }

    /// The last report of the highest token, if it is no older than a few of its intervals. (The last words
    /// of the program before may be heard after the first of this one.)
    pub(crate) fn active(&self) -> Option<Report> {
        let reports = self.reports.lock().unwrap();
        let last = reports
            .iter()
            .max_by_key(|report| (report.token, report.said));
        let last = last.cloned()?;
        (last.at.elapsed() < Duration::from_millis(500)).then_some(last)
    }

    /// Waits until a program is running.
    pub(crate) fn wait_active(&self, at_most: Duration) -> Report {
        wait_for("a program to run", at_most, || self.active())
    }

    /// Waits until a program runs under a greater token than `token`.
    pub(crate) fn wait_successor(&self, token: u64, at_most: Duration) -> Report {
        wait_for(
            &format!("a program with a token above {token}"),
            at_most,
            || {
                let reports = self.reports.lock().unwrap();
                reports.iter().rev().find(|r| r.token > token).cloned()
            },
        )
    }

    /// When the first program with a token above `token` said that it runs, in microseconds.
    pub(crate) fn first_above(&self, token: u64, at_most: Duration) -> Report {
        self.wait_successor(token, at_most);
        let reports = self.reports.lock().unwrap();
        let above = reports.iter().filter(|report| report.token > token);
        above.min_by_key(|report| report.said).cloned().unwrap()
    }

    /// Asserts that no two programs ran at a time, and that no token went back: in the order in which
    /// the reports were made, each program's reports stand together.
    pub(crate) fn assert_no_overlap(&self) {
        let mut reports = self.reports();
        assert!(!reports.is_empty(), "the witness has no reports");
        reports.sort_by_key(|report| report.said);
        for pair in reports.windows(2) {
            assert!(
                pair[0].token < pair[1].token
                    || (pair[0].token == pair[1].token && pair[0].pid == pair[1].pid),
                "two programs overlapped, or a token went back: {:?} then {:?}",
                pair[0],
                pair[1]
            );
        }
    }
}

fn listen(stream: TcpStream, heard: &Mutex<Vec<Report>>) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let at = Instant::now();
        let words: Vec<&str> = line.split(' ').collect();
        if let [token, host, pid, said] = words[..]
            && let (Ok(token), Ok(pid)) = (token.parse(), pid.parse())
            && let Ok(said) = said.replace('.', "").parse()
        {
            let host = host.to_owned();
            let mut heard = heard.lock().unwrap();
            heard.push(Report {
                said,
                at,
                token,
                host,
                pid,
            });
        }
    }
}
