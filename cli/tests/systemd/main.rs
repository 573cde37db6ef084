//! Life under a real systemd, on three hosts, seen by an independent witness.

#![allow(
    clippy::disallowed_methods,
    reason = "tests measure with the clocks of the system"
)]

mod bed;
mod figures;
mod units;
mod wait;
mod witness;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bed::{Bed, Host, REDIS};
use figures::Figures;
use wait::wait_for;
use witness::{Report, Witness};

/// The window of the default timing, and two of its intervals: the longest that a dead host is missed.
const WINDOW_AND_TWO: Duration = Duration::from_secs(7);
/// What a busy machine may add to anything: this is about order, not about speed.
const SLACK: Duration = Duration::from_secs(30);

const UNIT: &str = "incumbent@demo.service";

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../systemd")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Installs the units as a user would, and says which stores there are.
fn install(host: &Host, stores: &[String]) {
    host.install(
        &PathBuf::from(env!("CARGO_BIN_EXE_incumbent")),
        "/usr/bin/incumbent",
    );
    host.write("/usr/bin/report", witness::PROGRAM, 0o755);
    host.write(
        "/usr/lib/sysusers.d/incumbent.conf",
        &shipped("incumbent.sysusers.conf"),
        0o644,
    );
    let units = "/etc/systemd/system";
    host.write(
        &format!("{units}/incumbent@.service"),
        &shipped("incumbent@.service"),
        0o644,
    );
    let drop_ins = format!("{units}/incumbent@.service.d");
    host.write(
        &format!("{drop_ins}/10-hardening.conf"),
        &shipped("10-hardening.conf"),
        0o644,
    );
    host.write("/etc/incumbent/demo.toml", &configuration(stores), 0o644);
}

fn configuration(stores: &[String]) -> String {
    format!("store = {stores:?}\nprogram = [\"/usr/bin/report\"]\nstop_timeout = \"5s\"\n")
}

/// Three hosts, up, with the units installed and enabled, and a Redis on the hub.
fn three_hosts() -> (Bed, Witness) {
    three_hosts_with(|_| {})
}

fn three_hosts_with(adapt: impl Fn(&Host)) -> (Bed, Witness) {
    let mut bed = Bed::new(3);
    bed.start_redis();
    let witness = Witness::new(&bed.hub());
    for host in &bed.hosts {
        install(host, &[format!("redis://{REDIS}:6379/")]);
        adapt(host);
    }
    bed.boot();
    for host in &bed.hosts {
        host.sh("systemd-sysusers && systemctl daemon-reload");
        host.sh(&format!("systemctl enable --now {UNIT}"));
    }
    (bed, witness)
}

fn number(report: &Report) -> usize {
    report.host.trim_start_matches('h').parse().unwrap()
}

/// Does something to the host whose program runs, and returns how long it took until another ran.
fn provoke(bed: &Bed, witness: &Witness, line: &str) -> (Report, Duration) {
    let old = witness.wait_active(SLACK);
    settle(bed);
    let old_token = old.token;
    let text = bed.host(number(&old)).sh(&format!(
        "main=$(systemctl show -p MainPID --value {UNIT}); {line}"
    ));
    let event: u64 = text
        .lines()
        .next()
        .unwrap()
        .trim()
        .parse()
        .expect("the time of the event");
    let new = witness.first_above(old_token, SLACK);
    (
        new.clone(),
        Duration::from_micros(new.said.saturating_sub(event)),
    )
}

/// Waits until every host's unit is up again, so that there is somebody to take over.
fn settle(bed: &Bed) {
    for host in &bed.hosts {
        wait_for(&format!("{} to stand by or lead", host.name), SLACK, || {
            let shown = host
                .try_sh(&format!("systemctl show -p SubState,StatusText {UNIT}"))
                .1;
            let has = |line: &str| shown.lines().any(|one| one.starts_with(line));
            // The text of a unit that is down is the last that it sent.
            let settled = has("StatusText=standing by:") || has("StatusText=leading:");
            (settled && has("SubState=running")).then_some(())
        });
    }
}

const STOP: &str = "systemctl stop";

/// When systemd last sent the unit's SIGTERM, by the wall clock in microseconds: it does so as the unit
/// stops being active.
fn told_to_stop(host: &Host) -> u64 {
    let show = format!("systemctl show -p ActiveExitTimestampMonotonic --value {UNIT}");
    let text = host.sh(&show);
    let told: u64 = text.trim().parse().expect(&text);
    let since_then = figures::monotonic_micros() - told;
    figures::now_micros() - since_then
}

/// Why each of the last terms that have ended was released, according to the history.
fn endings(host: &Host, terms: usize) -> Vec<String> {
    let told = host.sh(&format!("incumbent history demo -o json -n {}", terms + 1));
    let told: serde_json::Value = serde_json::from_str(&told).expect(&told);
    let terms = told["terms"].as_array().expect("terms").iter();
    let ended = terms.filter(|term| !term["ended"].is_null());
    ended
        .map(|term| term["reason"].as_str().unwrap_or("none").to_owned())
        .collect()
}

/// The process that the elector has started first: the keeper.
const KEEPER: &str = "keeper=$(cut -d' ' -f1 /proc/$main/task/$main/children)";
/// The time, in microseconds, before what follows.
const NOW: &str = "date +%s%6N";

#[test]
fn every_way_to_end_a_leader_moves_it_and_no_two_overlap() {
    let (bed, witness) = three_hosts();
    witness.wait_active(SLACK);
    let mut figures = Figures::new();
    let program = format!("{KEEPER}; program=$(cut -d' ' -f1 /proc/$keeper/task/$keeper/children)");
    let ways: [(&str, &[&str], usize, String); 6] = [
        (
            "program killed",
            &["work-ended"],
            50,
            format!("{program}; {NOW}; kill -9 $program"),
        ),
        (
            "elector killed -9",
            &["elector-died"],
            50,
            format!("{NOW}; kill -9 $main"),
        ),
        (
            STOP,
            &["resigned"],
            50,
            format!("{NOW}; systemctl stop {UNIT}; systemctl start --no-block {UNIT}"),
        ),
        (
            "systemctl restart",
            &["resigned"],
            5,
            format!("{NOW}; systemctl restart --no-block {UNIT}"),
        ),
        (
            "keeper killed -9",
            &["keeper-died"],
            20,
            format!("{KEEPER}; {NOW}; kill -9 $keeper"),
        ),
        (
            "whole unit killed -9",
            // The half that is killed last may get to release.
            &["unit-died", "elector-died", "keeper-died"],
            5,
            // Some of the processes are gone before systemd gets to them, which it reports.
            format!("{NOW}; systemctl kill -s KILL {UNIT} || true"),
        ),
    ];
    for (what, reasons, times, line) in ways {
        for _ in 0..times {
            let old = witness.wait_active(SLACK);
            let (new, gap) = provoke(&bed, &witness, &line);
            figures.add(what, gap);
            if what == STOP {
                let told = told_to_stop(bed.host(number(&old)));
                let ours = Duration::from_micros(new.said.saturating_sub(told));
                figures.add("— of that, after the SIGTERM", ours);
                figures.add(
                    "— of that, until systemd sends it",
                    gap.saturating_sub(ours),
                );
            }
        }
        let found = endings(bed.host(1), times);
        let expected = found
            .iter()
            .all(|reason| reasons.contains(&reason.as_str()));
        assert!(expected && found.len() == times, "{what}: {found:?}");
    }
    let (_, gap) = provoke(&bed, &witness, &format!("{NOW}; kill -STOP $main"));
    figures.add("elector stopped (SIGSTOP)", gap);
    figures.print();
    witness.assert_no_overlap();
}

#[test]
fn a_dead_and_a_lost_host_are_replaced_within_a_window_and_two_intervals() {
    let (mut bed, witness) = three_hosts();
    let mut figures = Figures::new();

    let old = witness.wait_active(SLACK);
    settle(&bed);
    let at = figures::now_micros();
    bed.host_mut(number(&old)).crash();
    let new = witness.first_above(old.token, SLACK);
    let gap = Duration::from_micros(new.said - at);
    figures.add("host crashed", gap);
    // The design bounds the protocol; starting a program on a busy machine comes on top.
    assert!(gap <= WINDOW_AND_TWO + Duration::from_secs(1), "{gap:?}");
    bed.host_mut(number(&old)).power_on();
    bed.host_mut(number(&old)).wait_until_up();

    let old = witness.wait_active(SLACK);
    settle(&bed);
    let at = figures::now_micros();
    bed.cut(number(&old));
    let new = witness.first_above(old.token, SLACK);
    let gap = Duration::from_micros(new.said - at);
    figures.add("host partitioned", gap);
    assert!(gap <= WINDOW_AND_TWO + Duration::from_secs(1), "{gap:?}");
    bed.mend(number(&old));
    settle(&bed);
    assert_eq!(
        witness.wait_active(SLACK).token,
        new.token,
        "a healed host takes nothing away"
    );

    figures.print();
    witness.assert_no_overlap();
}

#[test]
fn a_store_that_comes_back_and_a_reboot_of_all_bring_a_leader_without_help() {
    let (mut bed, witness) = three_hosts();
    let old = witness.wait_active(SLACK);
    settle(&bed);
    bed.stop_redis();
    wait_for("the program to stop without a store", SLACK, || {
        witness.active().is_none().then_some(())
    });
    bed.start_redis();
    let new = witness.first_above(old.token, SLACK);
    settle(&bed);
    for host in &mut bed.hosts {
        host.power_off();
    }
    bed.boot();
    witness.first_above(new.token, SLACK);
    witness.assert_no_overlap();
}

#[test]
fn a_reload_takes_a_good_file_and_refuses_a_bad_one() {
    let (bed, witness) = three_hosts();
    let leader = witness.wait_active(SLACK);
    settle(&bed);
    let host = bed.host(number(&leader));
    let stores = [format!("redis://{REDIS}:6379/")];
    host.sh(&format!("systemctl reload {UNIT}"));
    wait_for("the reload to be reported", SLACK, || {
        let log = host.sh(&format!("journalctl -u {UNIT} --no-pager -o cat"));
        log.contains("configuration reloaded").then_some(())
    });
    let bad = format!("{}stop_timeuot = \"1s\"\n", configuration(&stores));
    host.write("/etc/incumbent/demo.toml", &bad, 0o644);
    host.sh(&format!("systemctl reload {UNIT}"));
    wait_for("the bad file to be refused", SLACK, || {
        let log = host.sh(&format!("journalctl -u {UNIT} --no-pager -o cat"));
        let refused = log.contains("configuration rejected") && log.contains("stop_timeuot");
        refused.then_some(())
    });
    assert_eq!(
        host.sh(&format!("systemctl is-active {UNIT}")).trim(),
        "active"
    );
    assert_eq!(
        witness.wait_active(SLACK).token,
        leader.token,
        "a reload moves no leader"
    );
    witness.assert_no_overlap();
}

#[test]
fn the_watchdog_ends_an_elector_that_stands_still() {
    let (bed, witness) = three_hosts();
    let leader = witness.wait_active(SLACK);
    settle(&bed);
    let host = bed.host(number(&leader));
    host.sh(&format!(
        "kill -STOP $(systemctl show -p MainPID --value {UNIT})"
    ));
    witness.first_above(leader.token, SLACK);
    wait_for(
        "systemd to notice and to start the unit again",
        SLACK,
        || {
            let log = host.sh(&format!("journalctl -u {UNIT} --no-pager -o cat"));
            let restarts = host.sh(&format!("systemctl show -p NRestarts --value {UNIT}"));
            (log.contains("Watchdog timeout") && restarts.trim() != "0").then_some(())
        },
    );
    settle(&bed);
    witness.assert_no_overlap();
}

/// What a program starts and does not wait for survives it. systemd then ends it before anyone else acts.
#[test]
fn a_worker_is_ended_in_time_whichever_half_is_killed_and_whichever_is_frozen() {
    const WORKER: &str = "#!/bin/sh\nexec setsid --wait /usr/bin/worker\n";
    let (bed, witness) = three_hosts_with(|host| {
        host.write("/usr/bin/worker", witness::PROGRAM, 0o755);
        host.write("/usr/bin/report", WORKER, 0o755);
        // The other hosts of these tests keep systemd waiting for a processor.
        let timing = "stall_polls = 12\nstop_grace = \"6s\"\n";
        let configuration = configuration(&[format!("redis://{REDIS}:6379/")]);
        host.write("/etc/incumbent/demo.toml", &(configuration + timing), 0o644);
    });
    let strikes = [
        "kill -STOP $main; kill -9 $keeper",
        "kill -STOP $keeper; kill -9 $main",
        "kill -STOP $main $keeper",
        "kill -9 $main $keeper",
    ];
    for strike in strikes {
        let (new, gap) = provoke(&bed, &witness, &format!("{KEEPER}; {NOW}; {strike}"));
        println!("{strike}: {gap:?} to term {}", new.token);
        settle(&bed);
        witness.assert_no_overlap();
    }
}

#[test]
fn a_quorum_of_three_redis_survives_the_host_of_the_leader() {
    let mut bed = Bed::new(3);
    let witness = Witness::new(&bed.hub());
    let stores: Vec<String> = bed
        .hosts
        .iter()
        .map(|host| format!("redis://{}:6379/", host.address()))
        .collect();
    let redis = "[Service]\nExecStart=/usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --dir /var/tmp --appendonly yes\nRestart=always\n[Install]\nWantedBy=multi-user.target\n";
    for host in &bed.hosts {
        install(host, &stores);
        host.write("/etc/systemd/system/store.service", redis, 0o644);
    }
    bed.boot();
    for host in &bed.hosts {
        host.sh("systemd-sysusers && systemctl daemon-reload");
        host.sh(&format!("systemctl enable --now store.service {UNIT}"));
    }
    let old = witness.wait_active(SLACK);
    settle(&bed);
    bed.host_mut(number(&old)).crash();
    let new = witness.first_above(old.token, SLACK);
    assert_ne!(new.host, old.host);
    bed.host_mut(number(&old)).power_on();
    bed.host_mut(number(&old)).wait_until_up();
    settle(&bed);
    assert_eq!(
        witness.wait_active(SLACK).token,
        new.token,
        "the host that came back waits"
    );
    witness.assert_no_overlap();
}
