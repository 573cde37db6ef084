//! Bad input: each is refused with the documented status and an error that names the part and the way out.

use super::home::Home;

/// What is given on the command line of `run`, and what must come of it.
const FLAGS: [(&[&str], i32, &str); 22] = [
    (
        &["", "--", "true"],
        64,
        "the name is empty: give it 1 to 200 bytes",
    ),
    (&["a{b", "--", "true"], 64, "the name holds '{' at byte 1"),
    (&["a}b", "--", "true"], 64, "the name holds '}' at byte 1"),
    (
        &["a\nb", "--", "true"],
        64,
        "the name holds '\\n' at byte 1",
    ),
    (
        &["job"],
        64,
        "there is no program to run: name one after --",
    ),
    (
        &["job", "sleep", "5"],
        64,
        "the program and its arguments go after --, as in incumbent run NAME -- PROGRAM",
    ),
    (
        &["job", "--intervall", "1s", "--", "true"],
        64,
        "a similar argument exists: '--interval'",
    ),
    (
        &["job", "--interval", "1", "--", "true"],
        64,
        "--interval: \"1\" is not a duration",
    ),
    (&["job", "--interval", "-1s", "--", "true"], 64, ""),
    (
        &["job", "--interval", "0s", "--", "true"],
        78,
        "interval must be greater than 0",
    ),
    (
        &["job", "--interval", "99999999999999999y", "--", "true"],
        64,
        "--interval: ",
    ),
    (
        &["job", "--interval", "1y", "--", "true"],
        78,
        "interval × stall_polls ≤ 86400s does not hold",
    ),
    (
        &["job", "--stall-polls", "0", "--", "true"],
        78,
        "stall_polls must be greater than 0",
    ),
    (
        &["job", "--stall-polls", "2", "--", "true"],
        78,
        "stall_polls = 4 would work (stall_polls = 2 from --stall-polls)",
    ),
    (
        &["job", "--stall-polls", "4294967295", "--", "true"],
        78,
        "stall_polls = 86400 is the most",
    ),
    (
        &["job", "--stall-polls", "4294967296", "--", "true"],
        64,
        "--stall-polls",
    ),
    (
        &["job", "--op-timeout", "2s", "--", "true"],
        78,
        "op_timeout ≤ interval does not hold: 2s > 1s; set op_timeout = 1s",
    ),
    (
        &["job", "--stop-grace", "4s", "--", "true"],
        78,
        "interval + op_timeout + stop_grace + margin < interval × stall_polls does not hold: 1s + 1s + 4s + 100ms ≥ 5s",
    ),
    (
        &["job", "--probation", "1s", "--", "true"],
        78,
        "set probation = 5s",
    ),
    (
        &["job", "--id", "a b", "--", "true"],
        64,
        "--id: the candidate id holds ' '",
    ),
    (
        &["job", "--conflict-exit-code", "256", "--", "true"],
        64,
        "256",
    ),
    (
        &["job", "--no-wait", "--wait-timeout", "1s", "--", "true"],
        64,
        "cannot be used with",
    ),
];

#[test]
fn flags_that_make_no_sense_are_refused() {
    let home = Home::new();
    for (arguments, status, fragment) in FLAGS {
        let ended = home.run(&[&["run"], arguments].concat());
        assert_eq!(ended.status, status, "{arguments:?}: {ended:#?}");
        assert!(
            ended.stderr.contains(fragment),
            "{arguments:?}: no {fragment:?} in {ended:#?}"
        );
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    let long = "x".repeat(201);
    home.run(&["run", &long, "--", "true"])
        .assert(64, "201 bytes: at most 200");
    home.run(&["status", &long])
        .assert(64, "201 bytes: at most 200");
    assert!(
        !home.path(".local").exists(),
        "something was made for a command that was refused"
    );
}

/// Stores that cannot be meant.
const STORES: [(&[&str], &str); 8] = [
    (&["foo://host"], "the scheme \"foo\" is not known"),
    (&["host"], "the address has no scheme"),
    (&["redis://"], "the host is missing"),
    (&["redis://host:port"], "the port of host is not a number"),
    (&["redis://host/x"], "the database"),
    (&["sqlite:"], "the path is missing"),
    (&[""], "the address has no scheme"),
    (
        &["sqlite:/a", "redis://host:99999"],
        "the port of host is not a number",
    ),
];

#[test]
fn addresses_that_make_no_sense_are_refused_wherever_they_stand() {
    let home = Home::new();
    for (stores, fragment) in STORES {
        let flags = stores.iter().flat_map(|store| ["--store", *store]);
        let run: Vec<&str> = ["run", "job"]
            .into_iter()
            .chain(flags)
            .chain(["--", "true"])
            .collect();
        home.run(&run).assert(64, &format!("--store: {fragment}"));
        if !stores.contains(&"") {
            let variables = [("INCUMBENT_STORE", &*stores.join(" "))];
            let expected = format!("environment INCUMBENT_STORE: {fragment}");
            home.run_with(&variables, &["status", "job"])
                .assert(78, &expected);
        }
        let file = home.write(
            "bad.toml",
            &format!("interval = \"1s\"\nstore = {stores:?}\n"),
        );
        let expected = format!("bad.toml:2: store: {fragment}");
        home.run(&["list", "--config", &file]).assert(78, &expected);
    }
}

#[test]
fn an_electorate_has_1_3_or_5_different_stores() {
    let home = Home::new();
    for count in [2, 4, 6] {
        let stores: Vec<String> = (0..count)
            .map(|n| format!("sqlite:{}", home.text_path(&format!("{n}.db"))))
            .collect();
        let variables = [("INCUMBENT_STORE", &*stores.join(" "))];
        let expected =
            format!("environment INCUMBENT_STORE: {count} stores cannot form an electorate");
        let named = format!("; they are {}", stores.join(", "));
        for command in [
            &["run", "job", "--", "true"][..],
            &["status", "job"],
            &["list"],
            &["config", "check"],
        ] {
            let ended = home.run_with(&variables, command);
            ended.assert(78, &expected);
            ended.assert(78, &named);
        }
    }
    let file = home.write("two.toml", "\n\nstore = [\"sqlite:a\",\n  \"sqlite:b\"]\n");
    let expected = format!("{file}:3: 2 stores cannot form an electorate");
    home.run(&["config", "check", "--config", &file])
        .assert(78, &expected);
    let two = ["list", "--store", "sqlite:a", "--store", "sqlite:b"];
    home.run(&two).assert(78, "--store: 2 stores cannot");
    let twice = [
        "--store", "sqlite:a", "--store", "sqlite:b", "--store", "sqlite:a",
    ];
    for command in [
        &["run", "job", "--", "true"][..],
        &["status", "job"],
        &["config", "check"],
        &["doctor"],
    ] {
        let (head, tail) = command.split_at(command.len().min(2));
        let ended = home.run(&[head, &twice, tail].concat());
        ended.assert(78, "--store: the store sqlite:");
        ended.assert(78, "is given twice");
    }
}

/// Every host would count its own file.
#[test]
fn files_beside_servers_are_refused() {
    let home = Home::new();
    let mixed = [
        "--store",
        "redis://a",
        "--store",
        "sqlite:e.db",
        "--store",
        "redis://b",
    ];
    for command in [
        &["run", "job", "--", "true"][..],
        &["status", "job"],
        &["pause", "job"],
        &["config", "check"],
        &["doctor"],
    ] {
        let (head, tail) = command.split_at(command.len().min(2));
        let ended = home.run(&[head, &mixed, tail].concat());
        ended.assert(
            78,
            "cannot form an electorate: a file is a store of one host",
        );
    }
}

#[test]
fn what_only_an_election_as_a_whole_refuses_is_named_by_where_it_stands_too() {
    let home = Home::new();
    let long = "x".repeat(190);
    let file = home.write("id.toml", &format!("id = \"{long}\"\n"));
    let check = ["config", "check", "--config", &file];
    home.run(&check)
        .assert(78, &format!("{file}:1: the candidate label"));
    let prefixed = ["list", "--store", "redis://host", "--key-prefix", "a{"];
    home.run(&prefixed).assert(78, "--key-prefix: ");
    let health = [
        ("INCUMBENT_HEALTH_RISE", "0"),
        ("INCUMBENT_HEALTH_CMD", "true"),
    ];
    home.run_with(&health, &["config", "check"])
        .assert(78, "health_rise");
}

#[test]
fn what_was_checked_is_told() {
    let home = Home::new();
    let none = home.run(&["config", "check", "job"]);
    none.assert(0, "");
    let users = home.text_path(".config/incumbent/config.toml");
    let expected = format!("none: there is no /etc/incumbent/job.toml, and no {users}");
    assert!(none.stdout.contains(&expected), "{none:#?}");
    let embedded = home.text_path(".local/state/incumbent/elections.db");
    let expected = format!("  store  sqlite:{embedded} (the embedded one, no store is given)\n");
    assert!(none.stdout.contains(&expected), "{none:#?}");

    let file = home.write("c.toml", "store = [\"redis://user:secret@host\"]\n");
    let checked = home.run(&["config", "check", "job", "--config", &file]);
    checked.assert(0, "");
    let expected = format!(
        "the configuration is valid\n  file   {file}\n  store  redis://user@host:6379 (from {file}:1)\n"
    );
    assert_eq!(checked.stdout, expected);
}

/// Files that cannot be used, and the line and reason in the error.
const FILES: [(&str, &str); 13] = [
    (
        "interval = \"1s\"\nintervall = \"1s\"\n",
        "c.toml:2: unknown setting \"intervall\": did you mean \"interval\"?",
    ),
    (
        "\n\nstall-polls = 3\n",
        "c.toml:3: unknown setting \"stall-polls\": did you mean \"stall_polls\"?",
    ),
    (
        "colour = true\n",
        "c.toml:1: unknown setting \"colour\": there are store, key_prefix",
    ),
    (
        "[timing]\ninterval = \"1s\"\n",
        "c.toml:1: unknown setting \"timing\"",
    ),
    (
        "interval = 1\n",
        "c.toml:1: interval: 1 has no unit: write a duration such as \"1s\"",
    ),
    (
        "interval = \"soon\"\n",
        "c.toml:1: interval: \"soon\" is not a duration",
    ),
    (
        "# …\nstall_polls = \"5\"\n",
        "c.toml:2: stall_polls: it takes a number, not a text",
    ),
    (
        "stall_polls = -1\n",
        "c.toml:1: stall_polls: -1 is not a number from 0 to 4294967295",
    ),
    (
        "conflict_exit_code = 300\n",
        "c.toml:1: conflict_exit_code: 300 is not a number from 0 to 255",
    ),
    (
        "no_wait = 1\n",
        "c.toml:1: no_wait: it takes true or false, not an integer",
    ),
    (
        "log_level = \"loud\"\n",
        "c.toml:1: log_level: \"loud\" is not one of off, error",
    ),
    (
        "store = [\"sqlite:a\", 5]\n",
        "c.toml:1: store: a store is a string, not an integer",
    ),
    (
        "interval = \"1s\"\ninterval = \"2s\"\n",
        "c.toml:2: this is not TOML: duplicate key",
    ),
];

#[test]
fn files_that_make_no_sense_are_refused_with_the_line() {
    let home = Home::new();
    for (text, fragment) in FILES {
        let file = home.write("c.toml", text);
        home.run(&["config", "check", "--config", &file])
            .assert(78, fragment);
        home.run(&["run", "job", "--config", &file, "--", "true"])
            .assert(78, fragment);
    }
    let missing = home.text_path("missing.toml");
    let ended = home.run(&["config", "check", "--config", &missing]);
    ended.assert(78, "missing.toml cannot be read: No such file");
    std::fs::write(home.path("binary.toml"), [0xff, 0xfe]).unwrap();
    let binary = home.text_path("binary.toml");
    home.run(&["config", "check", "--config", &binary])
        .assert(78, "binary.toml cannot be read");
    std::fs::write(home.path("large.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    let large = home.text_path("large.toml");
    home.run(&["config", "check", "--config", &large])
        .assert(78, "larger than 1 MiB");
}

#[test]
fn variables_that_make_no_sense_are_refused_by_name() {
    let home = Home::new();
    let rows = [
        (
            "INCUMBENT_INTERVAL",
            "1",
            "environment INCUMBENT_INTERVAL: \"1\" is not a duration",
        ),
        (
            "INCUMBENT_STALL_POLLS",
            "x",
            "environment INCUMBENT_STALL_POLLS: \"x\" is not a number",
        ),
        (
            "INCUMBENT_NO_WAIT",
            "maybe",
            "environment INCUMBENT_NO_WAIT: \"maybe\" is neither true nor false",
        ),
        (
            "INCUMBENT_LOG_FORMAT",
            "xml",
            "environment INCUMBENT_LOG_FORMAT: \"xml\" is not one of text, json",
        ),
        (
            "INCUMBENT_PASSWORD_FILE",
            "/no/such/file",
            "the password file /no/such/file cannot be used",
        ),
        (
            "INCUMBENT_CONFIG",
            "/no/such/file",
            "the configuration file /no/such/file cannot be read",
        ),
        ("INCUMBENT_KEY_PREFIX", "a{b", "{"),
    ];
    for (name, value, fragment) in rows {
        let variables = [(name, value), ("INCUMBENT_STORE", "redis://127.0.0.1:1")];
        home.run_with(&variables, &["config", "check"])
            .assert(78, fragment);
    }
}

#[test]
fn a_stray_variable_is_told_and_ignored() {
    let home = Home::new();
    let variables = [("INCUMBENT_INTERVALL", "2s"), ("INCUMBENT_ZEBRA", "x")];
    let ended = home.run_with(&variables, &["run", "job", "--", "true"]);
    ended.assert(
        0,
        "INCUMBENT_INTERVALL is ignored: did you mean INCUMBENT_INTERVAL?",
    );
    ended.assert(0, "INCUMBENT_ZEBRA is ignored: it is not a setting");
    let ended = home.run_with(&variables, &["status", "job"]);
    ended.assert(
        3,
        "warning: the environment variable INCUMBENT_INTERVALL is ignored",
    );
}

#[test]
fn what_the_program_is_given_is_no_stray_variable() {
    let home = Home::new();
    let inner = env!("CARGO_BIN_EXE_incumbent");
    let ended = home.run(&["run", "outer", "--", inner, "run", "inner", "--", "true"]);
    assert_eq!(ended.status, 0);
    assert!(!ended.stderr.contains("ignored"), "{ended:#?}");
}

#[test]
fn a_store_file_that_is_no_store_is_told() {
    let home = Home::new();
    let file = format!(
        "sqlite:{}",
        home.write(
            "text.db",
            "this is no database, and it is longer than a page header"
        )
    );
    let ended = home.run(&["run", "job", "--store", &file, "--no-wait", "--", "true"]);
    ended.assert(69, "text.db");
    home.run(&["status", "job", "--store", &file])
        .assert(69, "");
}

#[test]
fn without_a_home_there_is_no_place_for_the_embedded_store() {
    let home = Home::new();
    let mut command = home.command(&["config", "show"]);
    command.env_remove("HOME");
    let output = command.output().unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("/var/lib/incumbent/elections.db")
        );
    } else {
        assert_eq!(output.status.code(), Some(78));
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("give --store")
        );
    }
}

/// Where a file is and which names it has can be judged without asking the store.
#[test]
fn a_file_that_run_would_refuse_is_refused_by_the_check_of_the_configuration_too() {
    let home = Home::new();
    let linked = home.path("linked.db");
    std::fs::write(home.path("e.db"), "").unwrap();
    std::fs::hard_link(home.path("e.db"), &linked).unwrap();
    let store = format!("sqlite:{}", linked.display());
    for command in [
        &["run", "job", "--store", &store, "--", "true"][..],
        &["config", "check", "--store", &store],
    ] {
        let ended = home.run(command);
        assert_eq!(ended.status, 78, "{ended:#?}");
        assert!(ended.stderr.contains("hard links"), "{ended:#?}");
    }
    // One that does not exist yet is made by the first candidate.
    let ended = home.run(&["config", "check", "--store", "sqlite:new.db"]);
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert!(!home.path("new.db").exists());
}
