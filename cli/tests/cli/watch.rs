//! `watch`: what it costs to look at many elections, and what it draws.
#![allow(
    clippy::disallowed_methods,
    reason = "a share of a core is measured by the machine's clock"
)]

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use incumbent::election::clock;

use super::home::{Home, wait_until};
use super::hosts::children_of;
use crate::support::environment;
use crate::support::redis::RedisServer;

const ELECTIONS: usize = 1000;
const MEASURED: Duration = Duration::from_secs(6);

/// The record of an election with a leader and two standbys.
fn put(server: &RedisServer) {
    let mut connection = server.connection();
    let now = clock::wall().get().to_string();
    let mut all = redis::pipe();
    for number in 0..ELECTIONS {
        let key = format!("incumbent:election-{number:04}");
        let who = |host| {
            format!(
                "{host}:{number}|{host}|{number}|0.1.0|1000000000/5/1000000000/1000000000/5000000000"
            )
        };
        all.cmd("SET").arg(&key).arg(7).ignore();
        all.cmd("HSET").arg(format!("{{{key}}}:record"));
        for (field, value) in [
            ("floor", "7"),
            ("term", "7"),
            ("beat", "7"),
            ("holder", &format!("a:{number}")),
            ("window_ns", "5000000000"),
            ("identity", &who("a")),
            ("since", &now),
            ("changed", &now),
        ] {
            all.arg(field).arg(value);
        }
        all.ignore()
            .cmd("ZADD")
            .arg(format!("{{{key}}}:candidates"));
        for host in ["a", "b", "c"] {
            all.arg(&now).arg(who(host));
        }
        all.ignore();
    }
    all.query::<()>(&mut connection).unwrap();
}

/// The processor time of a process so far, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn looks(server: &RedisServer) -> u64 {
    let stats = server.text(&["INFO", "commandstats"]);
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.and_then(|line| line.split_once("calls=")?.1.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}

/// Has all elections beat once a second, as their leaders would, until it is dropped.
struct Beating {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Beating {
    fn start(server: &RedisServer) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut connection = server.connection();
        let until = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Acquire) {
                let next = Instant::now() + Duration::from_secs(1);
                let mut all = redis::pipe();
                let now = clock::wall().get();
                for number in 0..ELECTIONS {
                    let key = format!("incumbent:election-{number:04}");
                    let record = format!("{{{key}}}:record");
                    all.cmd("INCR").arg(&key).ignore();
                    all.cmd("HINCRBY").arg(&record).arg("beat").arg(1).ignore();
                    all.cmd("HSET")
                        .arg(&record)
                        .arg("changed")
                        .arg(now)
                        .ignore();
                }
                all.query::<()>(&mut connection).unwrap();
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Measures a process that watches, and returns its share of one core in percent.
fn measured(what: &str, server: &RedisServer, pid: u32) -> f64 {
    let (began, ticks_before, looks_before) = (Instant::now(), ticks(pid), looks(server));
    std::thread::sleep(MEASURED);
    let (ticks, looks) = (ticks(pid) - ticks_before, looks(server) - looks_before);
    let took = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let (share, per_second) = (ticks as f64 / took, looks as f64 / took);
    println!(
        "| {ELECTIONS} elections that beat, {what} | {share:.1} % of one core | {per_second:.0} requests a second |"
    );
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let most = ELECTIONS as f64 * (1.0 + took);
    assert!((looks as f64) < most, "{looks} looks in {took:.1} s");
    share
}

/// Each election is asked for at most once an interval, and a thousand of them are a small part of one
/// core: docs/performance.md has the share as it is shipped; as it is built for tests it is some times as
/// much. The assertion leaves as much again for a slow machine.
#[test]
fn a_thousand_elections_are_watched_for_a_small_part_of_one_core() {
    let (home, server) = (Home::new(), RedisServer::start());
    put(&server);
    let beating = Beating::start(&server);
    let url = server.url();
    let log = std::fs::File::create(home.path("watched")).unwrap();
    let mut watching = home
        .command(&["watch", "--store", &url])
        .stdout(Stdio::from(log))
        .spawn()
        .unwrap();
    home.wait_for_lines("watched", ELECTIONS);
    let share = measured("one line for each change", &server, watching.id());
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(share < 50.0, "{share:.1} % of one core");

    let watch = format!(
        "stty rows 50 cols 160; exec {} watch --store {url}",
        env!("CARGO_BIN_EXE_incumbent")
    );
    let log = std::fs::File::create(home.path("screen")).unwrap();
    let mut script = std::process::Command::new("script");
    let mut script = environment::clear(&mut script)
        .args(["-qec", &watch, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::from(log))
        .spawn()
        .unwrap();
    wait_until("it has drawn", || {
        let screen = std::fs::read_to_string(home.path("screen")).unwrap();
        screen.contains("and 954 more, of which 954 are held")
    });
    let watching = children_of(script.id())[0].unsigned_abs();
    let share = measured("redrawn on a terminal", &server, watching);
    script.kill().unwrap();
    script.wait().unwrap();
    drop(beating);
    assert!(share < 50.0, "{share:.1} % of one core");
}

#[test]
fn an_interval_of_nothing_is_refused() {
    let home = Home::new();
    let ended = home.run(&["watch", "--interval", "0s"]);
    ended.assert(78, "--interval: the interval must be greater than 0");
}

#[test]
fn no_time_for_an_answer_is_refused_also_by_who_only_looks() {
    let home = Home::new();
    let wrong = "op_timeout must be greater than 0";
    for look in [&["watch"][..], &["status", "job"], &["pause", "job"]] {
        let ended = home.run(&[look, &["--op-timeout", "0s"]].concat());
        ended.assert(78, wrong);
    }
}

#[test]
fn a_store_that_is_away_is_told_also_when_no_election_is_named() {
    let (home, mut server) = (Home::new(), RedisServer::start());
    let url = server.url();
    server.kill();
    let watching = home.start_printing("watched", &["watch", "--store", &url]);
    home.wait_for_lines("watched", 1);
    let told = home.lines("watched");
    assert!(told[0].contains("is not reachable"), "{told:?}");
    drop(watching);
}

#[test]
fn it_ends_when_nobody_reads_it_although_nothing_changes() {
    let (home, server) = (Home::new(), RedisServer::start());
    put(&server);
    let mut watching = home
        .command(&["watch", "election-0001", "--store", &server.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(watching.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.contains("election-0001"), "{line:?}");
    assert!(watching.try_wait().unwrap().is_none(), "it goes on");
    drop(output);
    wait_until("it ends", || watching.try_wait().unwrap().is_some());
    assert!(watching.wait().unwrap().success());
}

/// What was written to the terminal: the row and the text of each line, in order.
fn written(screen: &str) -> Vec<(usize, &str)> {
    let pieces = screen.split("\u{1b}[").skip(1);
    pieces
        .filter_map(|piece| {
            let (row, text) = piece.split_once(";1H")?;
            Some((row.parse().ok()?, text))
        })
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// What `watch` has written to a terminal this wide, once that is so.
fn screen_once(home: &Home, options: &str, columns: usize, is_so: fn(&str) -> bool) -> String {
    let watch = format!(
        "stty rows 10 cols {columns}; exec {} watch {options}",
        env!("CARGO_BIN_EXE_incumbent")
    );
    let log = std::fs::File::create(home.path("screen")).unwrap();
    let mut script = std::process::Command::new("script");
    let mut script = environment::clear(&mut script)
        .args(["-qec", &watch, "/dev/null"])
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::from(log))
        .spawn()
        .unwrap();
    let screen = || std::fs::read_to_string(home.path("screen")).unwrap();
    wait_until("it has drawn", || is_so(&screen()));
    script.kill().unwrap();
    script.wait().unwrap();
    screen()
}

/// On a terminal the table is redrawn in place, also without colours. (Its columns become wider and
/// narrower with what stands in them, such as `59s ago` and then `1m ago`.)
#[test]
fn on_a_terminal_it_is_redrawn_in_place_and_no_line_is_written_twice() {
    let (home, server) = (Home::new(), RedisServer::start());
    put(&server);
    let options = format!("--interval 100ms --store {}", server.url());
    // The second at the top goes on, line by line, in its place.
    let screen = screen_once(&home, &options, 40, |screen| {
        screen.matches("\u{1b}[1;1H2").count() >= 3
    });
    let mut shown = [""; 11];
    for (row, text) in written(&screen) {
        assert!((1..=10).contains(&row), "beyond the last line: {screen}");
        assert_ne!(shown[row], text, "line {row} was written twice: {screen}");
        shown[row] = text;
    }
    assert!(shown[3].starts_with("ELECTION "), "{screen}");
    assert!(shown[4].starts_with("election-"), "{screen}");
    assert!(shown[10].starts_with("and 994 more"), "{screen}");
    // The terminal is narrower than the table: no line goes on in the place of the next, and it is left as
    // it was.
    let (off, on) = (screen.matches("\u{1b}[?7l"), screen.matches("\u{1b}[?7h"));
    let (off, on) = (off.count(), on.count());
    assert!(off >= 3 && (off == on || off == on + 1), "{off} {on}");
    assert!(
        !screen.contains("\u{1b}[32m") && !screen.contains("\u{1b}[33m"),
        "coloured: {screen}"
    );
}

/// The table as it stands on a terminal this wide, once it is drawn.
fn drawn(home: &Home, url: &str, columns: usize) -> Vec<String> {
    let options = format!("--store {url}");
    let screen = screen_once(home, &options, columns, |screen| screen.contains("held"));
    let lines = written(&screen).into_iter().filter(|(row, _)| *row >= 3);
    let line = |text: &str| {
        text.replace("\u{1b}[K", "")
            .split('\u{1b}')
            .next()
            .unwrap()
            .to_owned()
    };
    lines.map(|(_, text)| line(text)).collect()
}

/// Of a thousand that are led and one that is not, the latter is the last by name.
#[test]
fn what_is_not_led_stands_first_where_not_all_fit() {
    let (home, server) = (Home::new(), RedisServer::start());
    put(&server);
    let beating = Beating::start(&server);
    let url = server.url();
    let run = home.run(&["run", "zebra", "--store", &url, "--", "true"]);
    assert_eq!(run.status, 0, "{run:#?}");
    let lines = drawn(&home, &url, 80);
    drop(beating);
    assert!(lines[1].starts_with("zebra "), "{lines:#?}");
    let rest = lines.iter().find(|line| line.starts_with("and "));
    assert_eq!(rest.unwrap(), "and 995 more, of which 995 are held");
}

/// A long name pushed every other column off the screen.
#[test]
fn what_matters_most_stands_on_a_narrow_terminal_too() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let name = format!("accounting.{}.nightly-run", "department".repeat(12));
    let run = ["run", &name, "--id", "web-2.eu", "--store", &url, "--"];
    let _running = home.start(&[&run[..], &["sleep", "100"]].concat());
    wait_until("it is led", || {
        home.run(&["status", &name, "--store", &url]).status == 0
    });
    for (columns, all) in [(80, &["HOST", "HELD FOR", "LABEL"][..]), (40, &["HOST"])] {
        let lines = drawn(&home, &url, columns);
        let heading = &lines[0];
        let words = ["ELECTION", "STATE"].iter().chain(all);
        for word in words {
            assert!(heading.contains(word), "{columns}: {lines:#?}");
        }
        for line in &lines {
            let wide = line.chars().count();
            assert!(wide <= columns, "{wide} of {columns}: {lines:#?}");
        }
        assert!(
            lines[1].contains("accounting.") || columns == 40,
            "{lines:#?}"
        );
        assert!(
            lines[1].contains("run ") && lines[1].contains("held"),
            "{lines:#?}"
        );
    }
    let all = drawn(&home, &url, 300);
    assert!(
        all[0].contains("CANDIDATES") && all[1].contains(&name),
        "{all:#?}"
    );
}
