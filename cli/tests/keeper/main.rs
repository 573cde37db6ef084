//! The keeper with real processes: whatever the program does, it ends when it must, and all of it.

#![allow(missing_docs, reason = "tests are named by what they claim")]

mod bench;
mod cgroup;
mod fence;
#[path = "../../../tests/support/held.rs"]
#[allow(unreachable_pub, reason = "it is shared with other test programs")]
mod held;
#[path = "../../../tests/support/marked.rs"]
#[allow(unreachable_pub, reason = "it is shared with other test programs")]
mod marked;
mod pidns;
mod starting;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bench::{ALL, Bench, GRACE, count_lines};
use held::Held;
use incumbent::election::clock;
use incumbent_cli::supervise::{Cause, Contain, Event, ProgramExit, StartFailure};
use rustix::process::{Pid, Signal, kill_process};

const LONG: u64 = 60_000;
const SECOND: Duration = Duration::from_secs(1);
const STUBBORN: &str = "trap '' TERM; echo up >> $DIR/up; while :; do sleep 0.01; done";

#[tokio::test]
async fn a_program_that_ends_is_reported_with_its_status() {
    let mut bench = Bench::new(false);
    for (script, exit) in [
        ("exit 0", ProgramExit::Code(0)),
        ("exit 7", ProgramExit::Code(7)),
        ("kill -9 $$", ProgramExit::Signal(9)),
        ("kill -15 $$", ProgramExit::Signal(15)),
    ] {
        let program = bench.shell(script);
        bench.start(program, LONG);
        assert_eq!(
            bench.events().await,
            [Event::Started(0), Event::Exited(exit), Event::Dead],
            "{script}"
        );
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_says_why() {
    let mut bench = Bench::new(true);
    let plain = bench.file("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    let no_interpreter = bench.file("no-interpreter");
    fs::write(&no_interpreter, "#!/no/such/shell\n").unwrap();
    fs::set_permissions(&no_interpreter, fs::Permissions::from_mode(0o755)).unwrap();
    for (path, status) in [
        ("/no/such/program", 127),
        ("no-such-program-along-path", 127),
        (no_interpreter.to_str().unwrap(), 127),
        (plain.to_str().unwrap(), 126),
        ("/", 126),
    ] {
        let program = bench.program(&[path]);
        bench.start(program, LONG);
        match &bench.events().await[..] {
            [Event::NotStarted(failure), Event::Dead] => {
                assert_eq!(failure.status(), status, "{path}: {failure}");
            }
            events => panic!("{path}: {events:?}"),
        }
    }
}

#[tokio::test]
async fn a_start_that_comes_too_late_is_refused() {
    let mut bench = Bench::new(false);
    let program = bench.shell("echo up >> $DIR/up");
    bench.start(program, 200);
    assert_eq!(
        bench.events().await,
        [Event::NotStarted(StartFailure::TooLate), Event::Dead]
    );
    assert!(!bench.file("up").exists());
}

#[tokio::test]
async fn without_a_newer_deadline_the_program_is_told_and_then_killed() {
    for contain in ALL {
        let mut bench = Bench::contained(contain);
        let program = bench.shell(STUBBORN);
        bench.start_and_wait(program).await;
        let deadline = bench.set_deadline(GRACE + SECOND);
        assert_eq!(
            bench.events_of_the_keeper_alone().await,
            [
                Event::Stopping(Cause::Deadline),
                Event::Killing(Cause::Deadline),
                Event::Exited(ProgramExit::Signal(9)),
                Event::Dead,
            ]
        );
        assert!(clock::now() >= deadline);
        assert_eq!(bench.alive(), [].into());
    }
}

#[tokio::test]
async fn the_keeper_kills_on_time_while_nobody_listens_to_it() {
    let mut bench = Bench::new(false);
    let program = bench.shell(STUBBORN);
    bench.start_and_wait(program).await;
    let deadline = bench.set_deadline(SECOND);
    // As frozen as a test can be: this thread, and with it the handle, does nothing.
    std::thread::sleep(deadline.since(clock::now()) + SECOND);
    assert_eq!(bench.alive(), [].into());
    // However late the elector is, it hears what the keeper has said before it judges it.
    let events = bench.events().await;
    assert!(
        events.contains(&Event::Killing(Cause::Deadline)),
        "{events:?}"
    );
    assert_eq!(events.last(), Some(&Event::Dead));
}

fn slow_program(bench: &Bench) -> (incumbent_cli::supervise::Program, Held) {
    let script = bench.file("slow");
    fs::write(&script, "#!/bin/sh\necho up >> $DIR/up\nexec sleep 1000\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let held = Held::hold(&script).expect("no one else opens it");
    (bench.program(&[script.to_str().unwrap()]), held)
}

#[tokio::test]
async fn a_program_that_is_still_being_executed_is_stopped_by_its_deadline() {
    for contain in ALL {
        let mut bench = Bench::contained(contain);
        let (program, held) = slow_program(&bench);
        bench.start(program, 3000);
        assert_eq!(
            bench.events().await,
            [
                Event::Stopping(Cause::Deadline),
                Event::Started(0),
                Event::Exited(ProgramExit::Signal(15)),
                Event::Dead,
            ]
        );
        drop(held);
        assert!(!bench.file("up").exists(), "it ran");
    }
}

#[tokio::test]
async fn an_elector_that_dies_while_the_program_is_executed_leaves_nothing_to_run() {
    let mut bench = Bench::new(false);
    let (program, held) = slow_program(&bench);
    let up = bench.file("up");
    bench.start(program, LONG);
    let keeper = Pid::from_raw(bench.keeper.pid()).unwrap();
    let forked = format!("/proc/{0}/task/{0}/children", keeper.as_raw_nonzero());
    let until = clock::now() + bench::PATIENCE;
    while fs::read_to_string(&forked).unwrap().is_empty() {
        assert!(clock::now() < until, "nothing was forked");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let Bench {
        keeper, directory, ..
    } = bench;
    keeper.close().await;
    drop(held);
    assert!(!up.exists(), "it ran");
    drop(directory);
}

#[tokio::test]
async fn a_program_whose_execution_takes_longer_than_a_tenure_runs_at_last() {
    let mut bench = Bench::new(false);
    let (program, held) = slow_program(&bench);
    let first = bench.start(program, 2500);
    while clock::now() < first + SECOND {
        bench.set_deadline(GRACE + SECOND * 2);
        tokio::select! {
            event = bench.keeper.event() => assert!(matches!(event, Event::Ready { .. }), "{event:?}"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    bench.set_deadline(Duration::from_millis(LONG));
    drop(held);
    assert!(matches!(bench.event().await, Event::Started(_)));
    bench.wait_for_lines("up", 1).await;
}

#[tokio::test]
async fn newer_deadlines_keep_the_program_alive() {
    let mut bench = Bench::new(false);
    let program =
        bench.shell("echo up >> $DIR/up; while :; do echo tick >> $DIR/ticks; sleep 0.01; done");
    bench.start_and_wait(program).await;
    let first = bench.set_deadline(GRACE + SECOND * 2);
    while clock::now() < first + Duration::from_millis(500) {
        bench.set_deadline(GRACE + SECOND * 2);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.set_deadline(Duration::from_millis(LONG));
    let ticks = count_lines(&bench.file("ticks"));
    bench.wait_for_lines("ticks", ticks + 2).await;
    bench.keeper.kill();
    assert!(bench.events().await.contains(&Event::Killing(Cause::Asked)));
}

#[tokio::test]
async fn a_stop_sends_exactly_one_sigterm_and_then_kills() {
    let mut bench = Bench::new(false);
    let program = bench.shell(
        "trap 'echo asked >> $DIR/asked' TERM; echo up >> $DIR/up; while :; do sleep 0.01; done",
    );
    bench.start_and_wait(program).await;
    for _ in 0..3 {
        bench.keeper.stop(Duration::from_secs(30));
    }
    assert_eq!(bench.event().await, Event::Stopping(Cause::Asked));
    bench.wait_for_lines("asked", 1).await;
    bench.set_deadline(Duration::from_millis(400));
    assert_eq!(
        bench.events_of_the_keeper_alone().await,
        [
            Event::Killing(Cause::Deadline),
            Event::Exited(ProgramExit::Signal(9)),
            Event::Dead,
        ]
    );
    assert_eq!(count_lines(&bench.file("asked")), 1);
}

#[tokio::test]
async fn a_program_that_does_not_stop_in_time_is_killed_before_its_deadline() {
    let mut bench = Bench::new(false);
    let program = bench.shell(STUBBORN);
    bench.start_and_wait(program).await;
    bench.keeper.stop(Duration::from_millis(100));
    let events = bench.events_of_the_keeper_alone().await;
    assert!(
        events.contains(&Event::Killing(Cause::StopTimeout)),
        "{events:?}"
    );
}

#[tokio::test]
async fn signals_are_handed_on() {
    let mut bench = Bench::new(false);
    let program = bench.shell(
        "for s in HUP USR1 USR2 WINCH; do trap \"echo $s >> \\$DIR/$s\" $s; done; \
         echo up >> $DIR/up; while :; do sleep 0.01; done",
    );
    bench.start_and_wait(program).await;
    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
    ] {
        bench.keeper.signal(signal);
        bench.wait_for_lines(name, 1).await;
    }
}

#[tokio::test]
async fn the_keeper_itself_ignores_every_signal_that_it_can() {
    let mut bench = Bench::new(false);
    let program =
        bench.shell("echo up >> $DIR/up; while [ ! -e $DIR/go ]; do sleep 0.01; done; exit 3");
    bench.start_and_wait(program).await;
    let keeper = Pid::from_raw(bench.keeper.pid()).unwrap();
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::PIPE,
        Signal::TSTP,
        Signal::IO,
    ] {
        kill_process(keeper, signal).unwrap();
    }
    fs::write(bench.file("go"), "").unwrap();
    assert_eq!(
        bench.events().await,
        [Event::Exited(ProgramExit::Code(3)), Event::Dead]
    );
}

#[tokio::test]
async fn children_that_detach_themselves_are_killed_as_well() {
    for contain in ALL {
        let mut bench = Bench::contained(contain);
        let program = bench.shell(
            "setsid sh -c 'sleep 1000 & sleep 1000' & \
             (setsid setsid sh -c \"trap '' TERM HUP; echo up >> $DIR/up; sleep 1000; sleep 1000\" &) & \
             (sh -c 'sleep 1000' &) ; wait; sleep 1000",
        );
        bench.start_and_wait(program).await;
        bench.until_alive(5).await;
        bench.keeper.kill();
        bench.events().await;
        assert_eq!(bench.alive(), [].into());
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_dead_before_the_tree_counts_as_dead() {
    let mut bench = Bench::new(false);
    let program = bench.shell(
        "setsid sh -c \"trap '' TERM; echo up >> $DIR/up; while :; do sleep 0.01; done\" & \
         while [ ! -e $DIR/up ]; do sleep 0.01; done; exit 4",
    );
    bench.start(program, LONG);
    assert_eq!(
        bench.events().await,
        [
            Event::Started(0),
            Event::Exited(ProgramExit::Code(4)),
            Event::LeftBehind { pids: vec![] },
            Event::Killing(Cause::StopTimeout),
            Event::Dead,
        ]
    );
    assert_eq!(bench.alive(), [].into());
}

#[tokio::test]
async fn a_thousand_processes_die_together() {
    for contain in ALL {
        let mut bench = Bench::contained(contain);
        let program = bench.shell(
            "i=0; while [ $i -lt 500 ]; do sleep 1000 & setsid sleep 1000 & i=$((i+1)); done; \
             echo up >> $DIR/up; wait",
        );
        bench.start_and_wait(program).await;
        bench.keeper.kill();
        bench.events().await;
        assert_eq!(bench.alive(), [].into());
    }
}

#[tokio::test]
async fn a_chain_of_forks_cannot_run_away() {
    for contain in ALL {
        let mut bench = Bench::contained(contain);
        let link = bench.file("link");
        fs::write(&link, "#!/bin/sh\necho up >> $DIR/up\nsetsid \"$0\" &\n").unwrap();
        fs::set_permissions(&link, fs::Permissions::from_mode(0o755)).unwrap();
        let program = bench.shell("for i in 1 2 3; do $DIR/link; done; sleep 1000");
        bench.start_and_wait(program).await;
        bench.wait_for_lines("up", 30).await;
        bench.keeper.kill();
        bench.events().await;
        let links = count_lines(&bench.file("up"));
        assert_eq!(bench.alive(), [].into());
        assert_eq!(count_lines(&bench.file("up")), links, "it went on");
    }
}

#[tokio::test]
async fn when_the_elector_is_gone_the_tree_and_then_the_keeper_end() {
    for contain in ALL {
        let mut bench = Bench::contained(contain);
        let program = bench.shell(&format!("setsid sleep 1000 & {STUBBORN}"));
        bench.start_and_wait(program).await;
        let pid = bench.keeper.pid();
        let group = bench.keeper.cgroup().map(ToOwned::to_owned);
        let (keeper, program) = bench.split();
        keeper.close().await;
        assert_eq!(program.alive(), [].into());
        assert!(!fs::exists(format!("/proc/{pid}/exe")).unwrap(), "keeper");
        assert!(group.is_none_or(|group| !group.exists()), "cgroup");
    }
}

#[tokio::test]
async fn the_program_inherits_nothing_but_its_standard_streams() {
    let file = tempfile::tempfile().unwrap();
    // Left open for every child of this process, as a shell might do.
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let mut bench = Bench::new(true);
    let program = bench.shell(
        "sh -c 'exec ls -l /proc/self/fd > $DIR/fds'; \
         cat /proc/$$/stat > $DIR/stat; exec cat /proc/self/status /proc/self/oom_score_adj > $DIR/status",
    );
    bench.start(program, LONG);
    let Event::Started(pid) = bench.event().await else {
        panic!("not started");
    };
    bench.events().await;
    drop(file);

    let fds = fs::read_to_string(bench.file("fds")).unwrap();
    let links = fds.lines().filter_map(|line| line.split_once(" -> "));
    let numbers: Vec<&str> = links
        .filter(|(_, target)| !target.starts_with("/proc/"))
        .filter_map(|(link, _)| link.rsplit(' ').next())
        .collect();
    assert_eq!(numbers, ["0", "1", "2"], "{fds}");
    assert!(fds.contains(" 0 -> /dev/null\n"), "{fds}");

    let status = fs::read_to_string(bench.file("status")).unwrap();
    for field in ["SigBlk:\t", "SigIgn:\t", "SigCgt:\t"] {
        let mask = status.lines().find_map(|line| line.strip_prefix(field));
        let mask = u64::from_str_radix(mask.unwrap(), 16).unwrap();
        // Signals 32 and 33 belong to the C library, which lets no one touch them.
        assert_eq!(mask & !(0b11 << 31), 0, "{status}");
    }
    let oom_score = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert!(status.ends_with(&oom_score), "{status}");

    let stat = fs::read_to_string(bench.file("stat")).unwrap();
    let fields: Vec<&str> = stat.split(' ').collect();
    let (parent, group, session, nice) = (fields[3], fields[4], fields[5], fields[18]);
    assert_eq!(group, pid.to_string());
    assert_eq!(
        (parent, session),
        (
            bench.keeper.pid().to_string().as_str(),
            bench.keeper.pid().to_string().as_str()
        )
    );
    let own = rustix::process::getpriority_process(None).unwrap();
    assert_eq!(nice, own.to_string());
}

/// Of a PID namespace whose init is not below the keeper: a child that loses its parent there gets that init.
#[tokio::test]
async fn what_escapes_through_a_pid_namespace_is_killed_with_its_cgroup_and_not_seen_without() {
    let mut outside = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "cat"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", outside.id());
    let until = clock::now() + bench::PATIENCE;
    let init = loop {
        let child = fs::read_to_string(&children).unwrap();
        // It is in its namespace once it is the program that it was to become.
        let name = fs::read_to_string(format!("/proc/{}/comm", child.trim()));
        if name.is_ok_and(|name| name.trim() == "cat") {
            break child.trim().to_owned();
        }
        assert!(
            clock::now() < until,
            "only root may make a PID namespace: run this test as root"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    for (contain, left) in [(Contain::Auto, 0), (Contain::Subreaper, 1)] {
        let mut bench = Bench::contained(contain);
        let worker = "setsid sh -c \"echo up >> $DIR/up; exec sleep 1000\" &";
        let escape = format!("nsenter --target {init} --pid sh -c '{worker}'");
        let program = bench.shell(&format!("{escape}; echo up >> $DIR/up; exec sleep 1000"));
        bench.start_and_wait(program).await;
        bench.wait_for_lines("up", 2).await;
        assert_eq!(bench.alive().len(), 2);
        bench.keeper.kill();
        assert_eq!(bench.events().await.last(), Some(&Event::Dead));
        assert_eq!(bench.alive().len(), left);
    }
    // It counts as what the program leaves behind when it ends by itself.
    let mut bench = Bench::contained(Contain::Auto);
    let worker = "setsid sh -c \"trap '' TERM; echo up >> $DIR/up; while :; do sleep 1; done\" &";
    let escape = format!("nsenter --target {init} --pid sh -c '{worker}'");
    let wait = "until [ -e $DIR/end ]; do sleep 0.01; done";
    let program = bench.shell(&format!("{escape}; echo up >> $DIR/up; {wait}"));
    bench.start_and_wait(program).await;
    bench.wait_for_lines("up", 2).await;
    fs::write(bench.file("end"), "").unwrap();
    assert_eq!(bench.events().await.last(), Some(&Event::Dead));
    assert_eq!(bench.alive().len(), 0);
    // Its end is that of all processes in its namespace.
    drop(outside.stdin.take());
    outside.wait().unwrap();
}
