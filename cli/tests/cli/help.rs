//! Help, the manual and completions: every command and option is there, and in the documentation.

use super::home::Home;

const COMMANDS: [&[&str]; 22] = [
    &["run"],
    &["lock"],
    &["once"],
    &["status"],
    &["list"],
    &["watch"],
    &["history"],
    &["candidates"],
    &["resign"],
    &["pause"],
    &["resume"],
    &["depose"],
    &["forget"],
    &["doctor"],
    &["explain"],
    &["config"],
    &["config", "check"],
    &["config", "show"],
    &["completions"],
    &["man"],
    &["unit"],
    &[],
];

/// Every option of `run`.
const RUN: [&str; 38] = [
    "--store",
    "--key-prefix",
    "--username",
    "--password-file",
    "--password-cmd",
    "--op-timeout",
    "--failover",
    "--interval",
    "--stall-polls",
    "--stop-grace",
    "--probation",
    "--stop-signal",
    "--stop-timeout",
    "--stdin",
    "--contain",
    "--restart",
    "--sit-out",
    "--health-cmd",
    "--health-interval",
    "--health-timeout",
    "--health-rise",
    "--health-fall",
    "--health-start-period",
    "--watchdog",
    "--id",
    "--no-wait",
    "--wait-timeout",
    "--conflict-exit-code",
    "--seats",
    "--listen",
    "--control-token-file",
    "--config",
    "--log-format",
    "--log-level",
    "INCUMBENT_FENCING_TOKEN",
    "124",
    "126",
    "127",
];

#[test]
fn every_command_has_help_on_standard_output() {
    let home = Home::new();
    for command in COMMANDS {
        let ended = home.run(&[command, &["--help"]].concat());
        assert_eq!(ended.status, 0, "{command:?}: {ended:#?}");
        let usage = format!(
            "Usage: incumbent{}",
            command
                .iter()
                .map(|word| format!(" {word}"))
                .collect::<String>()
        );
        assert!(ended.stdout.contains(&usage), "{command:?}: {ended:#?}");
        assert_eq!(ended.stderr, "");
    }
    let version = home.run(&["--version"]);
    assert!(env!("INCUMBENT_VERSION").starts_with(env!("CARGO_PKG_VERSION")));
    assert_eq!(
        version.stdout,
        format!("incumbent {}\n", env!("INCUMBENT_VERSION"))
    );
}

/// Each example begins with a command line that is understood; comments and pipes are for the reader.
#[test]
fn every_command_has_examples_that_are_right() {
    let home = Home::new();
    for command in COMMANDS {
        let help = home.run(&[command, &["--help"]].concat()).stdout;
        let (_, examples) = help.split_once("\nExample").expect("examples");
        let (_, examples) = examples.split_once(":\n").unwrap();
        let block = examples.split("\n\n").next().unwrap();
        let lines = block
            .lines()
            .filter(|line| line.starts_with("  incumbent "));
        let lines: Vec<&str> = lines.collect();
        assert!(!lines.is_empty(), "{command:?}: {help}");
        for line in block.lines() {
            assert!(line.chars().count() <= 80, "{command:?}: {line}");
        }
        for line in lines {
            let end = ["#", "|", ">", "&&", "\\"];
            let line = line.replace("\"new disks\"", "disks");
            let words = line.split_whitespace().skip(1);
            let words = words.take_while(|word| !end.iter().any(|mark| word.starts_with(mark)));
            let mut help: Vec<&str> = words.collect();
            // Asking for help parses what stands before, and runs nothing.
            let at = help
                .iter()
                .position(|word| *word == "--")
                .unwrap_or(help.len());
            help.truncate(at);
            help.push("--help");
            let ended = home.run(&help);
            assert_eq!(ended.status, 0, "{line}: {ended:#?}");
        }
    }
}

#[test]
fn no_command_is_wrong_usage_told_on_standard_error() {
    let home = Home::new();
    for arguments in [&[][..], &["config"], &["nonsense"], &["statsu", "job"]] {
        let ended = home.run(arguments);
        assert_eq!(
            (ended.status, &*ended.stdout),
            (64, ""),
            "{arguments:?}: {ended:#?}"
        );
        assert!(ended.stderr.contains("incumbent"), "{ended:#?}");
    }
    home.run(&["statsu", "job"]).assert(64, "status");
    let without = home.run(&["run", "demo", "sleep", "5"]);
    without.assert(64, "incumbent run NAME -- PROGRAM");
}

#[test]
fn run_tells_all_its_options_and_so_does_the_documentation() {
    let home = Home::new();
    let help = home.run(&["run", "--help"]).stdout;
    let documentation = include_str!("../../../docs/cli.md");
    let defaults = include_str!("../../../config/default.toml");
    for option in RUN {
        assert!(help.contains(option), "{option} is not in the help");
        assert!(
            documentation.contains(option),
            "{option} is not in docs/cli.md"
        );
    }
    let told = help.lines().filter_map(|line| {
        let line = line.trim_start();
        // Some have a short form, which comes first.
        let short = ["-n, --", "-w, --", "-E, --"];
        let long = short.iter().find_map(|short| line.strip_prefix(short));
        long.or_else(|| line.strip_prefix("--"))
    });
    for told in told.clone() {
        // `stop-grace <DURATION>`, and behind it perhaps what it means.
        let usage = told.split("  ").next().unwrap();
        let row = format!(
            "| `--{}` |",
            usage.replace(['<', '>'], "").trim_end_matches('.')
        );
        assert!(documentation.contains(&row), "docs/cli.md has no row {row}");
    }
    for option in told.map(|rest| rest.split([' ', '.']).next().unwrap()) {
        assert!(
            RUN.contains(&&*format!("--{option}")),
            "--{option} is not tested"
        );
        let key = option.replace('-', "_");
        assert!(
            option == "config" || defaults.contains(&key),
            "{key} is not in config/default.toml"
        );
    }
}

#[test]
fn the_manual_and_completions_are_made_from_the_command_itself() {
    let home = Home::new();
    let man = home.run(&["man"]).stdout;
    for part in [
        ".TH incumbent 1",
        "INCUMBENT RUN",
        "INCUMBENT CONFIG SHOW",
        "stall\\-polls",
        "exit status",
    ] {
        assert!(
            man.to_lowercase().contains(&part.to_lowercase()),
            "{part} is not in {man}"
        );
    }
    // What the help of a command says of its exit statuses, the manual says too.
    let told = COMMANDS.iter().filter(|command| {
        let help = home.run(&[command, &["--help"][..]].concat()).stdout;
        help.contains("Exit status: ")
    });
    let told = told.count();
    assert!(told > 10, "{told}");
    // `release` is for units, and not among the commands above.
    let sections = man.matches("Exit status: ").count();
    assert_eq!(sections, told + 1, "{man}");
    assert!(man.contains("0 held, 3 no one leads"), "{man}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = home.run(&["completions", shell]);
        assert_eq!(ended.status, 0);
        assert!(ended.stdout.contains("stall-polls"), "{shell}");
    }
    home.run(&["completions", "tcsh"])
        .assert(64, "possible values");
}

#[test]
fn the_production_example_can_be_used() {
    let home = Home::new();
    let example = include_str!("../../../config/production.toml");
    let password = home.write("password", "x\n");
    let example = example.replace("/run/secrets/incumbent-redis-password", &password);
    let file = home.write("production.toml", &example);
    let ended = home.run(&["config", "check", "--config", &file]);
    assert_eq!(ended.status, 0, "{ended:#?}");
}
