//! What an operator asks: `history`, `candidates`, `watch` and `doctor`.

use std::process::Stdio;

use serde_json::Value;

use super::home::{Home, leader, wait_until};
use crate::support::redis::{RedisServer, major_version, version};

const TIMING: [&str; 4] = ["--interval", "500ms", "--stop-grace", "100ms"];

fn run<'a>(url: &'a str, program: &'a str) -> Vec<&'a str> {
    let mut run = vec!["run", "job", "--store", url];
    run.extend(TIMING);
    run.extend(["--", "sh", "-c", program]);
    run
}

#[test]
fn a_handover_is_seen_in_history_candidates_and_watch() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let program = leader(&home.path("led"));
    let mut first = home.start(&run(&url, &program));
    home.wait_for_lines("led", 1);
    let second = home.start(&run(&url, &program));
    wait_until("both campaign", || {
        let listed = home.run(&["candidates", "job", "--store", &url, "-o", "json"]);
        let json = listed.json();
        json["candidates"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
    });
    let listed = home.run(&["candidates", "job", "--store", &url]);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert!(lines[0].starts_with("ROLE     HOST"), "{listed:#?}");
    assert!(lines[1].starts_with("leader   "), "{listed:#?}");
    assert!(
        lines[1].contains(&format!("{}", first.pid())),
        "{listed:#?}"
    );
    assert!(lines[2].starts_with("standby  "), "{listed:#?}");

    let mut watching = home
        .command(&[
            "watch",
            "job",
            "--store",
            &url,
            "--interval",
            "50ms",
            "-o",
            "json",
        ])
        .stdout(Stdio::from(
            std::fs::File::create(home.path("watched")).unwrap(),
        ))
        .spawn()
        .unwrap();
    home.wait_for_lines("watched", 1);
    first.signal(rustix::process::Signal::TERM);
    first.wait();
    let tokens = home.wait_for_lines("led", 2);
    wait_until("the change is reported", || {
        let told = home.lines("watched");
        let terms = told
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["term"].as_u64());
        terms
            .collect::<Vec<_>>()
            .contains(&tokens[1].parse().unwrap())
    });
    watching.kill().unwrap();
    watching.wait().unwrap();

    let told = home.run(&["history", "job", "--store", &url]);
    assert_eq!(told.status, 0, "{told:#?}");
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(
        lines[1].contains(&tokens[1]) && lines[1].contains("no end recorded"),
        "{told:#?}"
    );
    assert!(
        lines[2].contains(&tokens[0]) && lines[2].contains("resigned"),
        "{told:#?}"
    );
    let json = home
        .run(&["history", "job", "--store", &url, "-o", "json"])
        .json();
    assert_eq!(json["schema"], "incumbent.history.v1");
    assert_eq!(json["terms"][1]["ended"], "released");
    assert!(json["terms"][1]["gap_ms"].as_u64().is_some());
    assert_eq!(json["terms"][0]["holder"]["pid"], second.pid());
}

#[test]
fn who_has_ended_is_listed_no_more_and_who_stands_by_tells_its_timing() {
    let (home, server) = (Home::new(), RedisServer::start());
    let on_file = format!("sqlite:{}", home.text_path("elections.db"));
    crate::support::file::long_in_use(&home.path("elections.db"));
    for (log, store) in [("redis", &server.url()), ("file", &on_file)] {
        // A server that has a record of the election needs no probation.
        assert_eq!(home.run(&run(store, "true")).status, 0);
        let program = leader(&home.path(log));
        let mut patient = run(store, &program);
        // A candidate not seen for two windows of the leader is dropped from the list: here, after 60 s.
        patient.splice(4..4, ["--stall-polls", "60"]);
        let leading = home.start(&patient);
        home.wait_for_lines(log, 1);
        let mut standing_by = home.start(&patient);
        let pids = || {
            let listed = home.run(&["candidates", "job", "--store", store, "-o", "json"]);
            let listed = listed.json()["candidates"].as_array().unwrap().clone();
            for one in &listed {
                assert_eq!(one["timing"]["interval_ms"], 500.0, "{one}");
                assert_eq!(one["timing"]["window_ms"], 30_000.0, "{one}");
                let containment = one["containment"].as_str().unwrap();
                assert!(
                    ["cgroup+fence", "cgroup", "subreaper", "subreaper-hidepid"]
                        .contains(&containment),
                    "{one}"
                );
            }
            let pids = listed.iter().map(|one| one["pid"].as_u64().unwrap());
            pids.collect::<Vec<_>>()
        };
        wait_until("both campaign", || pids().len() == 2);
        standing_by.signal(rustix::process::Signal::TERM);
        standing_by.wait();
        let left = [u64::from(leading.pid())];
        wait_until("the one that has ended is gone", || pids() == left);
    }
}

#[test]
fn looking_at_a_file_that_is_not_there_makes_none_and_says_so() {
    let home = Home::new();
    let store = format!("--store=sqlite:{}", home.text_path("typo/elections.db"));
    for (command, status, said) in [
        (&["status", "job"][..], 3, "not held"),
        (&["list"], 0, "no elections yet"),
        (&["history", "job"], 0, "no leader in its history"),
        (&["candidates", "job"], 3, "no one campaigns"),
        (&["doctor", "job"], 0, "0 dangerous"),
    ] {
        let ended = home.run(&[command, &[&store]].concat());
        ended.assert(status, "typo/elections.db does not exist");
        assert!(ended.stdout.contains(said), "{ended:#?}");
    }
    assert!(!home.path("typo").exists());
}

#[test]
fn an_order_for_a_file_that_is_not_there_makes_none_and_is_refused() {
    let home = Home::new();
    let typed = format!("--store=sqlite:{}", home.text_path("typo/elections.db"));
    for store in [
        &[][..],
        &[typed.as_str()],
        &["--store=sqlite:relative/elections.db"],
    ] {
        for command in [
            &["pause", "job"][..],
            &["resume", "job"],
            &["resign", "job"],
            &["depose", "job", "--yes"],
        ] {
            let ended = home.run(&[command, store].concat());
            ended.assert(3, "there is no election \"job\": sqlite:/");
            ended.assert(3, "elections.db does not exist");
        }
    }
    assert!(!home.path("typo").exists() && !home.path("relative").exists());
    assert!(!home.path(".local").exists());
}

#[test]
fn a_file_that_cannot_elect_is_a_danger_to_the_doctor() {
    let home = Home::new();
    std::fs::write(home.path("notadb"), "xyz, and nothing that is a database\n").unwrap();
    std::fs::create_dir(home.path("directory")).unwrap();
    for (file, said) in [
        ("notadb", "file is not a database"),
        ("directory", "an election cannot be held"),
    ] {
        let store = format!("--store=sqlite:{}", home.text_path(file));
        for command in [&["doctor"][..], &["doctor", "job"]] {
            let ended = home.run(&[command, &[&store]].concat());
            assert_eq!(ended.status, 2, "{ended:#?}");
            assert!(ended.stdout.contains("1 dangerous"), "{ended:#?}");
            assert!(ended.stdout.contains(said), "{ended:#?}");
        }
    }
}

#[test]
fn what_never_was_reads_differently_from_what_cannot_be_reached() {
    let (home, mut server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let never = home.run(&["history", "job", "--store", &url]);
    assert_eq!(
        (never.status, never.stdout.as_str()),
        (0, "job: no leader in its history\n")
    );
    let nobody = home.run(&["candidates", "job", "--store", &url]);
    assert_eq!(
        (nobody.status, nobody.stdout.as_str()),
        (3, "job: no one campaigns\n")
    );
    server.kill();
    for command in ["history", "candidates"] {
        let away = home.run(&[command, "job", "--store", &url]);
        assert_eq!(away.status, 69, "{away:#?}");
        assert!(away.stdout.starts_with("unreachable: "), "{away:#?}");
    }
    let away = home.run(&["doctor", "job", "--store", &url]);
    assert_eq!(away.status, 2, "{away:#?}");
    assert!(away.stdout.contains("no answer\n\n"), "{away:#?}");
    assert!(away.stdout.contains("\ndanger: "), "{away:#?}");
}

/// A timing by which no request is slow, however busy the machine is.
const PATIENT: [&str; 4] = ["--interval", "20s", "--op-timeout", "20s"];

#[test]
fn a_doctor_that_finds_something_to_look_at_ends_with_1() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let master = ["127.0.0.1", &server.port().to_string()];
    let _replica = RedisServer::settings().set("replicaof", &master).start();
    wait_until("it has a replica", || {
        server.info("connected_slaves") == "1"
    });
    let odd = home.run(&[&["doctor", "--store", &url], &PATIENT[..]].concat());
    assert_eq!(odd.status, 1, "{odd:#?}");
    assert!(odd.stdout.contains("0 dangerous, 1 to look at"), "{odd:#?}");
    assert!(
        odd.stdout.contains("the server has replicas\n  risk  "),
        "{odd:#?}"
    );
}

/// A heartbeat connects to no server either.
#[test]
fn the_latency_that_the_doctor_measures_is_not_that_of_connecting() {
    let home = Home::new();
    let server = RedisServer::settings().password("pw").start();
    let store = server.url().replace(":pw@", "");
    let slow = ["--password-cmd", "sleep 0.6; echo pw", "-o", "json"];
    // A machine that stalls makes any request slow.
    wait_until("no request was slow", || {
        let json = home
            .run(&[&["doctor", "--store", &store], &slow[..]].concat())
            .json();
        let latency = &json["stores"][0]["latency_ms"];
        latency.as_f64().is_some_and(|latency| latency < 600.0)
    });
}

#[test]
fn the_doctor_tries_the_rights_finds_the_dangers_and_leaves_nothing_behind() {
    let (home, server) = (Home::new(), RedisServer::settings().durable().start());
    let url = server.url();
    let doctor = |home: &Home| home.run(&[&["doctor", "--store", &url], &PATIENT[..]].concat());
    let healthy = doctor(&home);
    assert_eq!(healthy.status, 0, "{healthy:#?}");
    assert!(
        healthy.stdout.contains("0 dangerous, 0 to look at"),
        "{healthy:#?}"
    );
    // The memory of the server stays, and lists nothing.
    let memory = "{incumbent:}:memory";
    assert_eq!(server.text(&["DBSIZE"]), "1");
    assert_eq!(server.text(&["HLEN", memory]), "1");

    server.command(&["CONFIG", "SET", "maxmemory", "100mb"]);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let evicting = doctor(&home);
    assert_eq!(evicting.status, 2, "{evicting:#?}");
    assert!(
        evicting.stdout.contains("set maxmemory-policy noeviction"),
        "{evicting:#?}"
    );
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);

    server.command(&["ACL", "SETUSER", "default", "-incr"]);
    let forbidden = doctor(&home);
    assert_eq!(forbidden.status, 2, "{forbidden:#?}");
    assert!(
        forbidden.stdout.contains("an election cannot be held"),
        "{forbidden:#?}"
    );
    server.command(&["ACL", "SETUSER", "default", "+incr"]);

    server.command(&["HSET", memory, "memory", "2 of another kind"]);
    let other = doctor(&home);
    assert_eq!(other.status, 2, "{other:#?}");
    assert!(other.stdout.contains("have format \"2\""), "{other:#?}");
    let told = home.run(&["status", "job", "--store", &url]);
    assert_eq!(told.status, 78, "{told:#?}");
    server.command(&["DEL", memory]);

    let json = home.run(&["doctor", "--store", &url, "-o", "json"]).json();
    assert_eq!(json["schema"], "incumbent.doctor.v1");
    assert!(json["stores"][0]["latency_ms"].as_f64().is_some());
}

/// The lines of a document that make a user, with a password.
fn documented_users(document: &str) -> Vec<Vec<String>> {
    let lines = document
        .lines()
        .filter_map(|line| Some(&line[line.find("ACL SETUSER")?..]));
    let words = |line: &str| line.replace(">PASSWORD", ">pw");
    lines
        .map(|line| words(line).split(' ').map(str::to_owned).collect())
        .collect()
}

/// A server that replaces Redis reports a version of Redis and its own.
#[test]
fn the_doctor_tells_the_name_and_the_version_of_the_server_itself() {
    let (home, server) = (Home::new(), RedisServer::start());
    let doctor = ["doctor", "--store", &server.url()];
    let (kind, version) = version();
    let kind = kind.to_lowercase();
    let text = home.run(&doctor).stdout;
    let row = text.lines().nth(1).unwrap();
    assert!(row.contains(&format!("  {kind} {version}  ")), "{text}");
    let json = home.run(&[&doctor[..], &["-o", "json"]].concat()).json();
    assert_eq!(json["stores"][0]["server"], kind.as_str());
    assert_eq!(json["stores"][0]["version"], version);
}

#[test]
fn the_doctor_says_that_replicas_are_not_waited_for_before_version_7() {
    let (home, server) = (Home::new(), RedisServer::start());
    let says = || {
        let doctor = home.run(&["doctor", "--store", &server.url()]);
        doctor
            .stdout
            .contains("does not apply min-replicas-to-write to scripts")
    };
    assert!(!says());
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(says(), major_version() < 7);
}

/// Rights are not what a command lacks that the server does not know.
#[test]
fn the_doctor_says_what_to_do_about_a_command_that_is_renamed_away() {
    for (command, name) in [("EVALSHA", "hidden"), ("HSET", ""), ("INFO", "")] {
        let server = RedisServer::settings()
            .set("rename-command", &[command, name])
            .start();
        let home = Home::new();
        let url = server.url();
        let doctor = home.run(&[&["doctor", "--store", &url], &PATIENT[..]].concat());
        let lower = command.to_lowercase();
        let fix = format!("remove {lower} from rename-command in the server's configuration");
        assert!(doctor.stdout.contains(&fix), "{doctor:#?}");
        assert!(!doctor.stdout.contains("give the user"), "{doctor:#?}");
        // A server without INFO is unsuitable; one without another command refuses it.
        let status = if command == "INFO" { 78 } else { 77 };
        let ended = home.run(&["run", "job", "--store", &url, "--", "true"]);
        ended.assert(status, "nknown");
    }
}

#[test]
fn the_documented_users_lack_nothing_and_the_doctor_names_each_right_that_is_taken_away() {
    let (home, server) = (Home::new(), RedisServer::settings().durable().start());
    let make = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        server.command(&words);
        let store = format!("redis://{}:pw@127.0.0.1:{}", words[2], server.port());
        home.run(&[&["doctor", "--store", &store], &PATIENT[..]].concat())
    };
    let of_docs = documented_users(include_str!("../../../docs/redis.md")).remove(0);
    let of_example = documented_users(include_str!("../../../config/production.toml")).remove(0);
    for user in [&of_docs, &of_example] {
        let healthy = make(user);
        assert_eq!(healthy.status, 0, "{user:?} {healthy:#?}");
    }
    let rights = of_docs.iter().filter_map(|word| word.strip_prefix('+'));
    for right in rights {
        // Logging in is another matter.
        if right == "@connection" {
            continue;
        }
        // Version 6 can take away a command, and not one of its subcommands.
        let taken = match major_version() {
            ..7 => right.split('|').next().unwrap(),
            7.. => right,
        };
        let lacking = make(&[&of_docs[..], &[format!("-{taken}")]].concat());
        assert_ne!(lacking.status, 0, "without {right}: {lacking:#?}");
        let fix = format!("give the user the right +{right}");
        assert!(lacking.stdout.contains(&fix), "{right}: {lacking:#?}");
        assert!(!lacking.stdout.contains("unexpected"), "{lacking:#?}");
        let others = lacking.stdout.matches("give the user the right +").count();
        assert!(others == 1 || right != "info", "{lacking:#?}");
    }
    for (patterns, fix) in [
        (
            &["resetchannels"][..],
            "give the user the channels &{PREFIX*",
        ),
        (
            &["resetkeys", "~{incumbent:*"],
            "give the user the keys ~PREFIX*",
        ),
        (
            &["resetkeys", "~incumbent:*"],
            "give the user the keys ~PREFIX*",
        ),
    ] {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let lacking = make(&[&of_docs[..], &patterns].concat());
        assert!(lacking.stdout.contains(fix), "{patterns:?}: {lacking:#?}");
        assert!(!lacking.stdout.contains("unexpected"), "{lacking:#?}");
    }
}
