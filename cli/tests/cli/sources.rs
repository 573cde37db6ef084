//! Where a value comes from: the flag stands above the environment, above the file, above the default.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use incumbent::protocol::TimingConfig;
use incumbent::store::StoreOptions;
use serde_json::Value;

use super::home::{Ended, Home};

/// The value and the source of a setting.
fn setting(document: &Value, key: &str) -> (Value, String) {
    let settings = document["settings"].as_array().unwrap();
    let one = settings.iter().find(|one| one["key"] == key).unwrap();
    (
        one["value"].clone(),
        one["source"].as_str().unwrap().to_owned(),
    )
}

fn show(home: &Home, variables: &[(&str, &str)], arguments: &[&str]) -> Value {
    let ended = home.run_with(
        variables,
        &[&["config", "show", "-o", "json"], arguments].concat(),
    );
    assert_eq!(ended.status, 0, "{ended:#?}");
    ended.json()
}

#[test]
fn the_stronger_layer_counts_and_is_named() {
    let home = Home::new();
    let file = home.write(
        "c.toml",
        "# one\ninterval = \"2s\"\nstall_polls = 7\nstore = [\"sqlite:/f\"]\n",
    );
    let config = ["--config", &*file];
    let variable = [
        ("INCUMBENT_INTERVAL", "3s"),
        ("INCUMBENT_STORE", "sqlite:/e1 sqlite:/e2 sqlite:/e3"),
    ];

    let shown = show(&home, &[], &[]);
    assert_eq!(
        setting(&shown, "interval"),
        ("1s".into(), "default".to_owned())
    );
    assert_eq!(shown["schema"], "incumbent.config.v1");

    let shown = show(&home, &[], &config);
    assert_eq!(
        setting(&shown, "interval"),
        ("2s".into(), format!("{file}:2"))
    );
    assert_eq!(
        setting(&shown, "stall_polls"),
        ("7".into(), format!("{file}:3"))
    );
    assert_eq!(
        setting(&shown, "store"),
        ("sqlite:/f".into(), format!("{file}:4"))
    );

    let shown = show(&home, &variable, &config);
    assert_eq!(
        setting(&shown, "interval"),
        ("3s".into(), "environment INCUMBENT_INTERVAL".to_owned())
    );
    assert_eq!(
        setting(&shown, "stall_polls"),
        ("7".into(), format!("{file}:3"))
    );
    assert_eq!(
        setting(&shown, "store"),
        (
            "sqlite:/e1 sqlite:/e2 sqlite:/e3".into(),
            "environment INCUMBENT_STORE".to_owned()
        )
    );

    let flags = [&config[..], &["--interval", "4s", "--store", "sqlite:/a b"]].concat();
    let shown = show(&home, &variable, &flags);
    assert_eq!(
        setting(&shown, "interval"),
        ("4s".into(), "--interval".to_owned())
    );
    assert_eq!(setting(&shown, "store").1, "--store");
}

#[test]
fn what_follows_from_the_failover_time_gives_way_to_what_is_given() {
    let home = Home::new();
    let variables = [("INCUMBENT_FAILOVER", "1400ms")];
    let shown = show(&home, &variables, &["--stop-grace", "50ms"]);
    let follows = "follows from failover".to_owned();
    assert_eq!(
        setting(&shown, "failover").1,
        "environment INCUMBENT_FAILOVER"
    );
    assert_eq!(
        setting(&shown, "interval"),
        ("200ms".into(), follows.clone())
    );
    assert_eq!(setting(&shown, "stall_polls"), ("5".into(), follows));
    assert_eq!(setting(&shown, "op_timeout").0, "200ms");
    assert_eq!(
        setting(&shown, "stop_grace"),
        ("50ms".into(), "--stop-grace".to_owned())
    );
}

#[test]
fn the_users_file_is_read_and_a_given_one_takes_its_place() {
    let home = Home::new();
    let users = home.write(".config/incumbent/config.toml", "interval = \"2s\"\n");
    let other = home.write("other.toml", "interval = \"3s\"\n");
    let shown = show(&home, &[], &[]);
    assert_eq!(
        setting(&shown, "interval"),
        ("2s".into(), format!("{users}:1"))
    );
    let shown = show(&home, &[("INCUMBENT_CONFIG", &other)], &[]);
    assert_eq!(
        setting(&shown, "interval"),
        ("3s".into(), format!("{other}:1"))
    );
    let shown = show(
        &home,
        &[("INCUMBENT_CONFIG", "/no/such/file")],
        &["--config", &other],
    );
    assert_eq!(
        setting(&shown, "interval"),
        ("3s".into(), format!("{other}:1"))
    );
    let elsewhere = home.write("xdg/incumbent/config.toml", "interval = \"4s\"\n");
    let shown = show(&home, &[("XDG_CONFIG_HOME", &home.text_path("xdg"))], &[]);
    assert_eq!(
        setting(&shown, "interval"),
        ("4s".into(), format!("{elsewhere}:1"))
    );
}

/// Without it each host would elect a leader in its embedded store.
#[test]
fn a_configuration_file_that_cannot_be_read_is_not_skipped() {
    let home = Home::new();
    let users = home.text_path(".config/incumbent/config.toml");
    fs::create_dir_all(home.path(".config/incumbent")).unwrap();
    for target in ["/no/such", "config.toml"] {
        symlink(target, &users).unwrap();
        let ended = home.run(&["config", "check"]);
        ended.assert(78, &format!("file {users} cannot be read"));
        fs::remove_file(&users).unwrap();
    }
    // Neither is there below a plain file.
    fs::remove_dir(home.path(".config/incumbent")).unwrap();
    home.write(".config/incumbent", "");
    home.run(&["config", "check"]).assert(0, "");
}

#[test]
fn what_the_home_of_another_user_hides_is_no_configuration() {
    let home = Home::new();
    home.write(".config/incumbent/config.toml", "store = ");
    fs::set_permissions(home.path(""), Permissions::from_mode(0o700)).unwrap();
    let check = home.command(&["config", "check", "--store", "redis://127.0.0.1:1"]);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(check.get_program())
        .args(check.get_args())
        .env("HOME", home.path(""));
    Ended::from(command.output().unwrap()).assert(0, "");
}

#[test]
fn the_embedded_store_is_in_the_state_directory() {
    let home = Home::new();
    let shown = show(&home, &[], &[]);
    let expected = format!(
        "sqlite:{}",
        home.text_path(".local/state/incumbent/elections.db")
    );
    assert_eq!(setting(&shown, "store").0, expected);
    let shown = show(&home, &[("XDG_STATE_HOME", "/state")], &[]);
    assert_eq!(
        setting(&shown, "store").0,
        "sqlite:/state/incumbent/elections.db"
    );
    let shown = show(&home, &[("XDG_STATE_HOME", "relative")], &[]);
    assert_eq!(
        setting(&shown, "store").0,
        expected,
        "a relative path is ignored"
    );
}

#[test]
fn the_defaults_of_the_command_are_those_of_the_library() {
    let home = Home::new();
    let shown = show(&home, &[], &[]);
    let timing = TimingConfig::default();
    let duration = |key| humantime_of(&setting(&shown, key).0);
    assert_eq!(duration("interval"), timing.interval);
    assert_eq!(duration("stop_grace"), timing.stop_grace);
    assert_eq!(
        setting(&shown, "stall_polls").0,
        timing.stall_polls.to_string()
    );
    assert_eq!(
        setting(&shown, "key_prefix").0,
        format!("{:?}", StoreOptions::KEY_PREFIX)
    );
}

fn humantime_of(text: &Value) -> std::time::Duration {
    humantime::parse_duration(text.as_str().unwrap()).unwrap()
}

#[test]
fn an_empty_variable_counts_as_none_except_where_it_means_something() {
    let home = Home::new();
    let empty = [("INCUMBENT_INTERVAL", ""), ("INCUMBENT_KEY_PREFIX", "")];
    let shown = show(&home, &empty, &[]);
    assert_eq!(
        setting(&shown, "interval"),
        ("1s".into(), "default".to_owned())
    );
    assert_eq!(
        setting(&shown, "key_prefix"),
        ("\"\"".into(), "environment INCUMBENT_KEY_PREFIX".to_owned())
    );
}

#[test]
fn of_two_settings_about_waiting_the_stronger_counts() {
    let home = Home::new();
    let file = home.write("c.toml", "wait_timeout = \"1h\"\n");
    let _leader = home.start(&[
        "run",
        "job",
        "--",
        "sh",
        "-c",
        &super::home::leader(&home.path("led")),
    ]);
    home.wait_for_lines("led", 1);
    home.run(&["run", "job", "--config", &file, "--no-wait", "--", "true"])
        .assert(75, "is held by");
    let file = home.write("d.toml", "no_wait = true\n");
    let waits = home.run(&[
        "run",
        "job",
        "--config",
        &file,
        "--wait-timeout",
        "100ms",
        "--",
        "true",
    ]);
    waits.assert(75, "within 100ms");
    let both = home.write("e.toml", "no_wait = true\nwait_timeout = \"1s\"\n");
    let ended = home.run(&["config", "check", "--config", &both]);
    ended.assert(78, "no_wait and wait_timeout are both set");
}

#[test]
fn a_timing_that_cannot_be_used_is_shown_with_where_it_comes_from() {
    let home = Home::new();
    let file = home.write("timing.toml", "interval = \"2s\"\nstop_grace = \"9s\"\n");
    let variables = [("INCUMBENT_STALL_POLLS", "2")];
    let show = ["config", "show", "--config", &file, "-o", "json"];
    let shown = home.run_with(&variables, &show);
    shown.assert(78, "stall_polls = 2 from environment INCUMBENT_STALL_POLLS");
    shown.assert(78, &format!("interval = 2s from {file}:1"));
    shown.assert(78, &format!("stop_grace = 9s from {file}:2"));
    let settings = shown.json()["settings"].clone();
    assert!(settings.as_array().unwrap().len() > 20, "{settings}");
}
