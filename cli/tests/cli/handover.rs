//! Two processes of one host on the embedded store: when one exits, the other follows.

use rustix::process::Signal;

use super::home::{Home, Running, leader};

fn tokens(lines: &[String]) -> Vec<u64> {
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

fn start(home: &Home) -> Running {
    home.start(&["run", "job", "--", "sh", "-c", &leader(&home.path("led"))])
}

#[test]
fn the_second_takes_over_when_the_first_is_stopped_and_tokens_rise() {
    let home = Home::new();
    let mut runs = vec![start(&home)];
    home.wait_for_lines("led", 1);
    for turn in 2..5 {
        runs.push(start(&home));
        let standing_by = format!("{turn} campaign");
        super::home::wait_until(&standing_by, || {
            let status = home.run(&["status", "job", "-o", "json"]).json();
            let id = runs.last().unwrap().pid();
            status["candidates"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["pid"] == id)
        });
        assert_eq!(home.lines("led").len(), turn - 1, "two lead");
        let mut first = runs.remove(0);
        first.signal(Signal::TERM);
        assert_eq!(first.wait(), 0);
        home.wait_for_lines("led", turn);
    }
    let tokens = tokens(&home.lines("led"));
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
}

#[test]
fn never_do_two_programs_run_at_once() {
    let home = Home::new();
    // Each program takes a directory that only one can take, and gives it back.
    let critical = format!(
        "mkdir {lock} || {{ echo overlap >> {log}; exit 1; }}; echo ran >> {log}; sleep 0.05; rmdir {lock}",
        lock = home.text_path("lock"),
        log = home.text_path("log"),
    );
    let mut runs: Vec<Running> = (0..6)
        .map(|_| home.start(&["run", "job", "--", "sh", "-c", &critical]))
        .collect();
    for run in &mut runs {
        assert_eq!(run.wait(), 0);
    }
    assert_eq!(home.lines("log"), ["ran"; 6]);
}

#[test]
fn the_same_label_twice_is_kept_apart() {
    let home = Home::new();
    let program = leader(&home.path("led"));
    let mut first = home.start(&["run", "job", "--id", "same", "--", "sh", "-c", &program]);
    home.wait_for_lines("led", 1);
    let second = home.run(&["run", "job", "--id", "same", "--no-wait", "--", "true"]);
    second.assert(75, "is held by same:");
    first.signal(Signal::TERM);
    assert_eq!(first.wait(), 0);
}
