//! `status`, `list` and `explain`: what a person reads, and what a program reads.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use super::home::{Home, leader, wait_until};
use crate::support::redis::RedisServer;

/// Replaces what differs from run to run by a word, so that the rest can be compared as a whole.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let words = line.split_inclusive(' ').map(|word| {
            let (word, blank) = word
                .strip_suffix(' ')
                .map_or((word, ""), |word| (word, " "));
            let number = word.trim_matches(['(', ')']);
            let is_time = number.ends_with("ms") || number.ends_with('s');
            let digits = number
                .trim_end_matches(['m', 's'])
                .chars()
                .all(|c| c.is_ascii_digit() || c == '.');
            if is_time && digits && number.len() > 1 && number != "5s" {
                format!("TIME{blank}")
            } else {
                format!("{word}{blank}")
            }
        });
        steady.push_str(words.collect::<String>().trim_end());
        steady.push('\n');
    }
    steady
}

#[test]
fn an_election_that_never_was_reads_differently_from_one_that_is_released() {
    let home = Home::new();
    let absent = home.run(&["status", "job"]);
    assert_eq!(absent.status, 3);
    assert_eq!(
        absent.stdout,
        "job: not held: the stores have no record of it\n  fix        no candidate campaigns: start \
         one, or use the stores and the key prefix that the candidates use; if one runs already, `incumbent \
         doctor job` shows why it is not listed\n"
    );
    assert!(!home.path(".local").exists(), "looking made a store");
    home.run(&["run", "job", "--", "true"]);
    let vacant = home.run(&["status", "job"]);
    assert_eq!(vacant.status, 3);
    let first = vacant.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        "job: not held: the last holder has released it, or was deposed"
    );
    let json = home.run(&["status", "job", "-o", "json"]).json();
    assert_eq!(
        (&json["state"], &json["holder"]),
        (&json!("vacant"), &Value::Null)
    );
    assert!(json["term"].as_u64().unwrap() > 1_600_000_000_000);
}

/// A replica refuses the candidates that would be listed: to start another changes nothing.
#[test]
fn what_to_do_about_a_server_that_has_become_a_replica_leads_to_the_reason() {
    let (home, server) = (Home::new(), RedisServer::start());
    let store = ["--store", &server.url()];
    home.run(&[&["run", "job"], &store[..], &["--", "true"]].concat());
    // Its master is away, so it keeps the record.
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let status = home.run(&[&["status", "job"], &store[..]].concat());
    assert_eq!(status.status, 3, "{status:#?}");
    let hint = format!(
        "`incumbent doctor job --store {}` shows why it is not listed",
        store[1]
    );
    assert!(status.stdout.contains(&hint), "{status:#?}");
    let master = "a replica of 127.0.0.1:1";
    assert!(status.stderr.contains(master), "{status:#?}");
    let doctor = home.run(&[&["doctor", "job"], &store[..]].concat());
    assert!(
        doctor.stdout.contains(&format!("the server is {master}")),
        "{doctor:#?}"
    );
    assert!(!doctor.stdout.contains("start a candidate"), "{doctor:#?}");
}

#[test]
fn a_held_election_is_shown_with_its_holder() {
    let home = Home::new();
    let run = [
        "run",
        "job",
        "--id",
        "web-1",
        "--",
        "sh",
        "-c",
        &leader(&home.path("led")),
    ];
    let running = home.start(&run);
    home.wait_for_lines("led", 1);
    let token = &home.lines("led")[0];

    let ended = home.run(&["status", "job"]);
    assert_eq!(ended.status, 0, "{ended:#?}");
    let text = steady(&ended.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "job: held");
    assert!(lines[1].starts_with("  holder     web-1:"), "{text}");
    assert_eq!(lines[3], format!("  pid        {}", running.pid()));
    assert_eq!(
        lines[4],
        format!("  version    {}", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(lines[5], format!("  term       {token}"));
    assert!(lines[7].starts_with("  contained  "), "{text}");
    assert_eq!(lines[8], "  window     5s");
    // The leader counts from when it sent its last heartbeat, so that no more is left than this.
    assert_eq!(
        lines[9],
        "  tenure     4.9s, of which TIME are left at most unless it beats again"
    );
    assert!(
        lines[10].starts_with("  since      20") && lines[10].ends_with("Z TIME ago)"),
        "{text}"
    );
    assert_eq!(lines[11], "  changed    TIME ago");
    assert!(lines.iter().any(|line| line.contains("leader")), "{text}");
    assert!(
        !ended.stdout.contains('\u{1b}'),
        "colour where there is no terminal"
    );

    let json = home.run(&["status", "job", "-o", "json"]).json();
    let keys: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = [
        "schema",
        "majority",
        "election",
        "state",
        "holder",
        "term",
        "beat",
        "window_ms",
        "tenure_left_ms",
        "since_ms",
        "held_for_ms",
        "changed_ago_ms",
        "stalled",
        "unproven",
        "paused",
        "handover",
        "candidates",
        "stores",
        "seats",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(json["schema"], "incumbent.status.v1");
    assert_eq!(json["state"], "held");
    assert_eq!(json["term"].to_string(), *token);
    assert_eq!(json["window_ms"], 5000);
    assert_eq!(json["holder"]["pid"], running.pid());
    assert_eq!(json["candidates"][0]["leads"], true);
    assert_eq!(json["stores"][0]["state"], "held");

    let list = home.run(&["list"]);
    assert_eq!(list.status, 0);
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert!(lines[0].starts_with("ELECTION  STATE  TERM"), "{list:#?}");
    assert!(
        lines[1].starts_with(&format!("job       held   {token}")),
        "{list:#?}"
    );
    let json = home.run(&["list", "-o", "json"]).json();
    assert_eq!(json["schema"], "incumbent.list.v1");
    assert_eq!(json["elections"][0]["election"], "job");
    assert_eq!(json["stores"][0]["state"], "ok");
}

#[test]
fn a_list_of_nothing_says_so() {
    let home = Home::new();
    let list = home.run(&["list"]);
    assert_eq!((list.status, &*list.stdout), (0, "no elections yet\n"));
    let json = home.run(&["list", "-o", "json"]).json();
    assert_eq!(json["elections"], json!([]));
}

#[test]
fn a_long_list_is_cut_and_says_so() {
    let home = Home::new();
    for name in ["b", "c", "a"] {
        home.run(&["run", name, "--", "true"]).assert(0, "");
    }
    let list = home.run(&["list", "-n", "2"]);
    list.assert(
        0,
        "1 more elections are not shown: these are the first 2 by name",
    );
    let names = list.stdout.lines().skip(1).map(|line| &line[..1]);
    assert_eq!(names.collect::<String>(), "ab");
    let json = home.run(&["list", "--limit", "1", "-o", "json"]).json();
    assert_eq!(
        (&json["elections"][0]["election"], &json["omitted"]),
        (&json!("a"), &json!(2))
    );
    let whole = home.run(&["list"]);
    assert_eq!((whole.stdout.lines().count(), &*whole.stderr), (4, ""));
    home.run(&["list", "-n", "0"]).assert(64, "0");
}

#[test]
fn of_three_stores_one_may_be_down_and_is_named() {
    let home = Home::new();
    let mut servers = [
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start(),
    ];
    let urls = servers.each_ref().map(RedisServer::url);
    let stores = urls.each_ref().map(|url| ["--store", url]).concat();
    let program = leader(&home.path("led"));
    let run = [
        &["run", "job", "--stop-grace", "500ms", "--interval", "500ms"],
        &stores[..],
        &["--", "sh", "-c", &program],
    ];
    let _leader = home.start(&run.concat());
    home.wait_for_lines("led", 1);
    let status = [&["status", "job"], &stores[..]].concat();
    assert_eq!(home.run(&status).status, 0);

    servers[1].kill();
    let ended = home.run(&status);
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert!(
        ended.stdout.contains("stores, of which 2 decide"),
        "{ended:#?}"
    );
    let down = ended
        .stdout
        .lines()
        .find(|line| line.contains(&urls[1]))
        .unwrap();
    assert!(down.contains("unreachable"), "{down}");
    assert!(!down.contains("not reachable"), "{down}");
    let why = format!("unreachable: {} is not reachable", urls[1]);
    assert!(ended.stdout.contains(&why), "{ended:#?}");
    let json = home.run(&[&status[..], &["-o", "json"]].concat()).json();
    let states: Vec<&Value> = (0..3).map(|n| &json["stores"][n]["state"]).collect();
    assert_eq!(states, ["held", "unreachable", "held"]);
    let list = home.run(&[&["list"], &stores[..]].concat());
    assert_eq!(list.status, 0, "{list:#?}");
    assert!(list.stdout.contains("unreachable: "), "{list:#?}");

    servers[2].kill();
    let ended = home.run(&status);
    assert_eq!(ended.status, 69, "{ended:#?}");
    assert!(
        ended
            .stdout
            .starts_with("job: not known: too few stores answer\n"),
        "{ended:#?}"
    );
}

#[test]
fn a_foreign_holder_and_a_garbled_record_are_told_apart() {
    let home = Home::new();
    let server = RedisServer::start();
    let url = server.url();
    server.command(&["SET", "incumbent:other", "41"]);
    let foreign = home.run(&["status", "other", "--store", &url]);
    assert_eq!(foreign.status, 0, "{foreign:#?}");
    let first = foreign.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        "other: held by a program that speaks only the bare protocol"
    );
    let json = home
        .run(&["status", "other", "--store", &url, "-o", "json"])
        .json();
    assert_eq!(
        (&json["state"], &json["beat"]),
        (&json!("foreign"), &json!(41))
    );
    assert_eq!(json["term"], Value::Null, "no record names a holder");

    server.command(&["SET", "incumbent:bad", "\u{1b}[31mred"]);
    let garbled = home.run(&["status", "bad", "--store", &url]);
    assert_eq!(garbled.status, 69, "{garbled:#?}");
    assert!(
        garbled
            .stdout
            .starts_with("bad: not known: the record cannot be read\n"),
        "{garbled:#?}"
    );
    assert!(
        !garbled.stdout.contains('\u{1b}'),
        "what a store says reaches the terminal"
    );
    // Neither has a record, and the list has both, with what is wrong.
    let list = home.run(&["list", "--store", &url]);
    assert_eq!(list.status, 0, "{list:#?}");
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert!(lines[1].starts_with("bad       garbled"), "{list:#?}");
    assert!(lines[2].starts_with("other     foreign"), "{list:#?}");
    assert_eq!(lines[3], "");
    let trouble = "the value of incumbent:bad is \"\\u{1b}[31mred\", where a 64-bit integer";
    assert!(
        lines[4].starts_with("garbled: ") && lines[4].contains(trouble),
        "{list:#?}"
    );
    let json = home.run(&["list", "--store", &url, "-o", "json"]).json();
    let bad = &json["elections"][0];
    assert_eq!(
        (&bad["election"], &bad["state"]),
        (&json!("bad"), &json!("garbled"))
    );
    assert!(
        bad["stores"][0]["error"]
            .as_str()
            .unwrap()
            .contains("incumbent:bad")
    );
    // A user who may scan the keys but not read them gets an error that names this.
    let user = [
        "ACL", "SETUSER", "walker", "on", ">pw", "~*", "&*", "+@all", "-evalsha",
    ];
    server.command(&user);
    let walker = format!("redis://walker:pw@127.0.0.1:{}", server.port());
    let list = home.run(&["list", "--store", &walker]);
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert!(lines[1].starts_with("bad       forbidden"), "{list:#?}");
    assert!(lines[4].starts_with("forbidden: "), "{list:#?}");
    assert_eq!(
        lines[5],
        format!(
            "correct the user and the password; `incumbent doctor --store redis://walker@127.0.0.1:{}` shows which \
             permission is missing",
            server.port()
        )
    );
    assert_eq!(lines.len(), 6, "{list:#?}");
    let watch = home.command(&["watch", "--store", &url, "-o", "json"]);
    assert!(first_lines(watch, 2).contains("the value of incumbent:bad"));
}

/// The first lines that a command writes which goes on.
fn first_lines(mut command: std::process::Command, count: usize) -> String {
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.take(count).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    lines.join("\n")
}

#[test]
fn text_is_coloured_only_on_a_terminal() {
    let home = Home::new();
    // `script` gives the command a terminal.
    let on_terminal_of = |words: &str, variables: &[(&str, &str)]| {
        let command = format!("{} {words}", env!("CARGO_BIN_EXE_incumbent"));
        let mut script = home.command::<&str>(&[]);
        let mut script_command = std::process::Command::new("script");
        script_command
            .args(["-qec", &command, "/dev/null"])
            .env_clear();
        for (name, value) in script.get_envs() {
            script_command.env(name, value.unwrap());
        }
        script_command
            .env("TERM", "xterm")
            .envs(variables.iter().copied());
        script_command.current_dir(script.get_current_dir().unwrap());
        script = script_command;
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    // An order makes no file.
    assert_eq!(home.run(&["run", "job", "--", "true"]).status, 0);
    // A wait of a window is shown where an operator looks.
    let depose = on_terminal_of("depose job --yes", &[]);
    let watching = "watching \"job\" for 5s or the holder's own window";
    assert!(depose.contains(watching), "{depose}");
    let quiet = home.run(&["depose", "job", "--yes"]);
    assert!(!quiet.stderr.contains("watching"), "{quiet:#?}");
    let on_terminal = |variables: &[(&str, &str)]| on_terminal_of("status job", variables);
    assert!(on_terminal(&[]).contains("\u{1b}[33mnot held"));
    assert!(on_terminal(&[("NO_COLOR", "1")]).contains("job: not held"));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let home = Home::new();
    let binary = env!("CARGO_BIN_EXE_incumbent");
    let pipe = format!("for i in 1 2 3; do {binary} man; echo $? >&3; done 3>status | true");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &pipe]).current_dir(home.path(""));
    assert!(shell.status().unwrap().success());
    wait_until("all three have ended", || home.lines("status").len() == 3);
    assert_eq!(home.lines("status"), ["0", "0", "0"]);
}

#[test]
fn explain_gives_the_figures_of_the_timing() {
    let home = Home::new();
    let text = home.run(&["explain"]).stdout;
    for part in [
        "1s + 1s + 1s + 100ms = 3.1s < 5s, with 1.9s to spare",
        "at most 7s",
        "up to 1.9s",
        "4.9s  ────────────────────────────┤",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let json = home
        .run(&[
            "explain",
            "-o",
            "json",
            "--interval",
            "200ms",
            "--stall-polls",
            "10",
        ])
        .json();
    assert_eq!(json["schema"], "incumbent.explain.v1");
    assert_eq!(json["window_ms"], 2000.0);
    assert_eq!(json["worst_failover_ms"], 2400.0);
    let quick = home
        .run(&["explain", "--failover", "700ms", "-o", "json"])
        .json();
    assert_eq!(
        (&quick["failover_ms"], &quick["worst_failover_ms"]),
        (&json!(700.0), &json!(700.0))
    );
    assert_eq!(
        (&quick["interval_ms"], &quick["stop_grace_ms"]),
        (&json!(100.0), &json!(100.0))
    );
    let rare = home
        .run(&["explain", "--failover", "700ms", "--stall-polls", "12"])
        .stdout;
    assert!(rare.contains("50ms × 12 polls"), "{rare}");
    let file = home.write("quick.toml", "failover = \"100ms\"\n");
    let refused = home.run(&["explain", "--config", &file]);
    refused.assert(78, "failover = 182ms is the smallest that works");
    refused.assert(78, &format!("failover = 100ms from {file}:1"));
    home.run(&["explain", "--stall-polls", "3"])
        .assert(78, "stall_polls = 4 would work");
}

/// Others write to the stores: what turns the order of characters around, or has no width, must not mislead who reads.
#[test]
fn characters_that_mislead_a_reader_are_shown_by_their_numbers_by_every_command() {
    let home = Home::new();
    let election = "job\u{202e}gol\u{200b}";
    home.run(&["run", election, "--", "true"]);
    let paused = home.run(&["pause", election, "--reason", "to\u{202d}day"]);
    paused.assert(0, "");
    for command in [
        &["status", election][..],
        &["list"],
        &["history", election],
        &["run", election, "--no-wait", "--", "true"],
        &[
            "run",
            election,
            "--no-wait",
            "--log-format",
            "json",
            "--",
            "true",
        ],
        &["status", election, "-o", "json"],
        &["doctor", election],
    ] {
        let ended = home.run(command);
        let shown = format!("{}{}", ended.stdout, ended.stderr);
        // The reason, where the name is not repeated.
        let escaped = ["202e", "202d"].iter().any(|number| shown.contains(number));
        assert!(escaped, "{command:?}: {shown}");
        let misleading = ['\u{202e}', '\u{202d}', '\u{200b}'];
        assert!(!shown.contains(misleading), "{command:?}: {shown:?}");
    }
}
