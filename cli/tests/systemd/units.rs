//! What a unit and its drop-ins do for one leader: containment, credentials, exposure.

use super::*;

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
