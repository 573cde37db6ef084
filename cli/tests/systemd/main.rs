//! Life under a real systemd, on three hosts, seen by an independent witness.

#![allow(
    clippy::disallowed_methods,
    reason = "tests measure with the clocks of the system"
)]

mod bed;
mod figures;
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
fn a_printed_unit_runs_and_releases_where_it_was_told_to() {
    let mut bed = Bed::new(1);
    bed.start_redis();
    let witness = Witness::new(&bed.hub());
    install(bed.host(1), &[]);
    bed.boot();
    let host = bed.host(1);
    host.sh(&format!(
        "incumbent unit made --store redis://{REDIS}:6379/ -- report > /etc/systemd/system/made.service"
    ));
    let verified = host.sh("systemd-analyze verify made.service 2>&1");
    assert_eq!(verified, "");
    host.sh("systemctl daemon-reload && systemctl start made.service");
    let first = witness.wait_active(SLACK);
    host.try_sh("systemctl kill -s KILL made.service");
    witness.first_above(first.token, SLACK);
    wait_for("the release by ExecStopPost=", SLACK, || {
        let log = host.sh("journalctl -u made.service --no-pager -o cat");
        log.contains("released for an elector that died")
            .then_some(())
    });
    witness.assert_no_overlap();
}

/// A program that runs as root starts workers in the ways that may take them out of the unit's cgroup.
#[test]
fn a_worker_that_has_left_the_unit_keeps_its_term_from_being_released() {
    const WAYS: [(&str, &str); 3] = [
        ("1001", "systemd-run --scope --quiet sleep 1001"),
        ("1002", "su nobody -s /bin/sh -c 'sleep 1002'"),
        ("1003", "sudo -u nobody sleep 1003"),
    ];
    let mut bed = Bed::new(1);
    let host = bed.host(1);
    install(host, &["sqlite:/var/lib/incumbent/elections.db".to_owned()]);
    let program = format!(
        "#!/bin/sh\n{} &\nwait\n",
        WAYS.map(|(_, way)| way).join(" &\n")
    );
    host.write("/usr/bin/report", &program, 0o755);
    let of_root = "[Service]\nUser=root\nGroup=root\nRestart=no\n";
    let drop_in = "/etc/systemd/system/incumbent@.service.d/10-hardening.conf";
    host.write(drop_in, of_root, 0o644);
    bed.boot();
    let host = bed.host(1);
    host.sh(&format!(
        "systemctl daemon-reload && systemctl start {UNIT}"
    ));
    let alive = |worker: &str| {
        // The pattern does not match the line of the shell that looks for it.
        let found = host
            .try_sh(&format!("pgrep -f 'sleep [1]{}'", &worker[1..]))
            .1;
        found.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    wait_for("all workers to run", SLACK, || {
        let running = host.try_sh("pgrep -x -a sleep").1;
        WAYS.iter()
            .all(|(worker, _)| running.contains(worker))
            .then_some(())
    });
    // Neither half gets to kill what is below it.
    let main = format!("main=$(systemctl show -p MainPID --value {UNIT})");
    host.sh(&format!("{main}; {KEEPER}; kill -STOP $main $keeper"));
    host.try_sh(&format!("systemctl kill -s KILL {UNIT}"));
    let log = format!("journalctl -u {UNIT} --no-pager -o cat");
    let report = wait_for("the report of ExecStopPost=", SLACK, || {
        let log = host.sh(&log);
        let report =
            |line: &&str| line.contains("are still alive") || line.contains("released for");
        log.lines().find(report).map(str::to_owned)
    });
    let (_, listed) = report.split_once("is not released: [").expect(&report);
    let listed: Vec<&str> = listed.trim_end_matches(']').split(", ").collect();
    for (worker, way) in WAYS {
        let alive = alive(worker);
        let is_known = alive.iter().any(|pid| listed.contains(&pid.as_str()));
        assert!(is_known || alive.is_empty(), "{way}: {alive:?} in {report}");
    }
    assert!(
        !alive("1001").is_empty() && !alive("1002").is_empty(),
        "{report}"
    );
}

/// The fence takes two capabilities, which `incumbent` gets, and its program does not.
#[test]
fn a_unit_with_two_capabilities_fences_its_program_in() {
    let mut bed = Bed::new(1);
    let host = bed.host(1);
    install(host, &["sqlite:/var/lib/incumbent/elections.db".to_owned()]);
    let drop_ins = "/etc/systemd/system/incumbent@.service.d";
    let fence = format!("{drop_ins}/40-fence.conf");
    host.write(&fence, &shipped("40-fence.conf"), 0o644);
    let program = "#!/bin/sh\ngrep CapEff /proc/self/status\nexec sleep 1000\n";
    host.write("/usr/bin/report", program, 0o755);
    bed.host_mut(1).permit_fences();
    bed.boot();
    let host = bed.host(1);
    host.sh(&format!(
        "systemd-sysusers && systemctl daemon-reload && systemctl start {UNIT}"
    ));
    let log = wait_for("the program to report", SLACK, || {
        let log = host.sh(&format!("journalctl -u {UNIT} --no-pager -o cat"));
        log.contains("CapEff").then_some(log)
    });
    assert!(log.contains("containment=cgroup+fence"), "{log}");
    assert!(log.contains("CapEff:\t0000000000000000"), "{log}");
}

#[test]
fn a_password_stays_a_credential_and_mistakes_are_not_tried_again() {
    let mut bed = Bed::new(1);
    bed.start_redis();
    let witness = Witness::new(&bed.hub());
    let stores = [format!("redis://{REDIS}:6379/")];
    let host = bed.host(1);
    install(host, &stores);
    let units = "/etc/systemd/system";
    host.write(
        &format!("{units}/incumbent@demo.service.d/30-password.conf"),
        &shipped("30-password.conf"),
        0o644,
    );
    host.write("/etc/incumbent/demo.password", "hush-hush\n", 0o600);
    host.write("/etc/incumbent/bad.toml", "intervall = \"1s\"\n", 0o644);
    let usage = "[Service]\nExecStart=\nExecStart=/usr/bin/incumbent run %i --no-such-flag\n";
    host.write(
        &format!("{units}/incumbent@usage.service.d/usage.conf"),
        usage,
        0o644,
    );
    bed.boot();
    let host = bed.host(1);
    host.sh(&format!(
        "redis-cli -h {REDIS} config set requirepass hush-hush"
    ));
    host.sh("systemd-sysusers && systemctl daemon-reload");
    host.sh(&format!("systemctl start {UNIT}"));
    let leader = witness.wait_active(SLACK);
    let seen = host.sh(&format!(
        "tr '\\0' '\\n' < /proc/{}/environ; ls -A /run/credentials/{UNIT}",
        leader.pid
    ));
    assert!(
        !seen.contains("hush") && !seen.contains("PASSWORD"),
        "{seen}"
    );
    assert!(seen.contains("password"), "{seen}");

    for (instance, status) in [("bad", 78), ("usage", 64)] {
        let unit = format!("incumbent@{instance}.service");
        let (started, _) = host.try_sh(&format!("systemctl start {unit}"));
        assert!(!started, "{unit} has started");
        let shown = host.sh(&format!(
            "systemctl show -p ActiveState,NRestarts,ExecMainStatus {unit}"
        ));
        for line in [
            "ActiveState=failed".to_owned(),
            "NRestarts=0".to_owned(),
            format!("ExecMainStatus={status}"),
        ] {
            assert!(shown.lines().any(|one| one == line), "{shown}");
        }
    }
}

/// Under the default drop-in and under the strict one, on each kind of store that a unit can use on one host.
#[test]
fn the_drop_ins_let_a_leader_lead_on_each_kind_of_store() {
    let mut bed = Bed::new(1);
    let host = bed.host(1);
    install(host, &[]);
    let units = "/etc/systemd/system";
    let redis = "[Service]\nExecStart=/usr/bin/redis-server --port 6380 --bind 127.0.0.1 --dir /var/tmp --unixsocket /run/redis.sock --unixsocketperm 777\n";
    host.write(&format!("{units}/store.service"), redis, 0o644);
    let stores = [
        ("file", "sqlite:/var/lib/incumbent/elections.db"),
        ("server", "redis://127.0.0.1:6380/"),
        ("socket", "redis+unix:///run/redis.sock"),
    ];
    let mut instances = Vec::new();
    for (kind, store) in stores {
        for strict in [false, true] {
            let instance = format!("{kind}-{}", if strict { "strict" } else { "hardened" });
            let configuration =
                format!("store = {store:?}\nprogram = [\"/bin/sleep\", \"1000\"]\n");
            host.write(
                &format!("/etc/incumbent/{instance}.toml"),
                &configuration,
                0o644,
            );
            let folder = format!("{units}/incumbent@{instance}.service.d");
            // It stands for LimitRTPRIO=, which does nothing where the host itself may not raise limits.
            let priority = "[Service]\nCapabilityBoundingSet=CAP_SYS_NICE\n\
                            AmbientCapabilities=CAP_SYS_NICE\nPrivateUsers=no\n";
            host.write(&format!("{folder}/90-priority.conf"), priority, 0o644);
            if strict {
                let strict = shipped("20-strict.conf");
                host.write(&format!("{folder}/20-strict.conf"), &strict, 0o644);
            }
            instances.push((instance, store));
        }
    }
    bed.boot();
    let host = bed.host(1);
    host.sh("systemd-sysusers && systemctl daemon-reload && systemctl start store.service");
    for (instance, store) in instances {
        // It starts when its watchdog and its stores do; it leads when a majority says so.
        host.sh(&format!("systemctl start incumbent@{instance}.service"));
        wait_for(&format!("a leader of {instance}"), SLACK, || {
            let status = format!("incumbent status {instance} --store {store}");
            let (led, _) = host.try_sh(&status);
            led.then_some(())
        });
        // What they restrict takes no real-time priority from the keeper, and gives the program none.
        let log = format!("journalctl -u incumbent@{instance}.service --no-pager -o cat");
        let program = wait_for(&format!("the program of {instance}"), SLACK, || {
            let log = host.sh(&log);
            let started = log
                .lines()
                .find(|line| line.contains("started the program"));
            let pid = started?.split_once("pid=")?.1.split(' ').next()?;
            assert!(log.contains("real_time=true"), "{instance}: {log}");
            Some(pid.to_owned())
        });
        let limits = host.sh(&format!("grep 'realtime priority' /proc/{program}/limits"));
        let words: Vec<&str> = limits.split_whitespace().collect();
        assert_eq!(words[3..], ["0", "0"], "{instance}");
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

#[test]
fn the_units_verify_and_keep_their_exposure_low() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    let put = |path: &str, text: &str| {
        std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        std::fs::write(at(path), text).unwrap();
    };
    put(
        "/etc/systemd/system/incumbent@.service",
        &shipped("incumbent@.service"),
    );
    let drop_ins = "/etc/systemd/system/incumbent@.service.d";
    put(
        &format!("{drop_ins}/10-hardening.conf"),
        &shipped("10-hardening.conf"),
    );
    // A printed unit names the command where it was when it printed.
    let me = env!("CARGO_BIN_EXE_incumbent");
    let printed = Command::new(me)
        .args([
            "unit",
            "made",
            "--store",
            "redis://10.0.0.5/",
            "--",
            "/bin/true",
        ])
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    put("/etc/systemd/system/made.service", &printed);
    for program in ["/usr/bin/incumbent", "/bin/kill", me] {
        put(program, "");
        std::fs::copy("/bin/true", at(program)).unwrap();
    }
    for unit in [
        "multi-user.target",
        "network-online.target",
        "nss-lookup.target",
        "sysinit.target",
        "basic.target",
        "shutdown.target",
        "system.slice",
    ] {
        put(&format!("/usr/lib/systemd/system/{unit}"), "[Unit]\n");
    }
    let analyze = |words: &[&str], unit: &str| {
        let output = Command::new("systemd-analyze")
            .args(words)
            .arg(format!("--root={}", root.path().display()))
            .arg(unit)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let exposure = |unit: &str, what: &str| {
        let (ok, text) = analyze(&["security", "--offline=true", "--no-pager"], unit);
        assert!(ok, "{text}");
        let line = text
            .lines()
            .find(|line| line.contains("Overall exposure"))
            .unwrap();
        let number = line.split(": ").nth(1).unwrap().split(' ').next().unwrap();
        println!("exposure of {unit} {what}: {number}");
        number.parse::<f64>().unwrap()
    };
    let clean = (true, String::new());
    assert_eq!(analyze(&["verify"], UNIT), clean);
    assert!(exposure(UNIT, "with 10-hardening.conf") <= 4.0);
    assert_eq!(analyze(&["verify"], "made.service"), clean);
    assert!(exposure("made.service", "as it is printed") <= 4.0);
    let (head, tail) = printed.split_once("# User=").unwrap();
    let fenced = format!("{head}User={}", tail.replace("\n# ", "\n"));
    put("/etc/systemd/system/made.service", &fenced);
    assert_eq!(analyze(&["verify"], "made.service"), clean);
    assert!(fenced.contains("\nAmbientCapabilities=CAP_BPF CAP_NET_ADMIN\n"));
    assert!(exposure("made.service", "with its fence") <= 4.0);
    let fence = format!("{drop_ins}/40-fence.conf");
    put(&fence, &shipped("40-fence.conf"));
    assert_eq!(analyze(&["verify"], UNIT), clean);
    assert!(exposure(UNIT, "with 40-fence.conf as well") <= 4.0);
    std::fs::remove_file(at(&fence)).unwrap();
    put(
        &format!("{drop_ins}/20-strict.conf"),
        &shipped("20-strict.conf"),
    );
    put(
        &format!("{drop_ins}/30-password.conf"),
        &shipped("30-password.conf"),
    );
    assert_eq!(analyze(&["verify"], UNIT), clean);
    assert!(exposure(UNIT, "with 20-strict.conf as well") <= 1.5);
}
