//! The unit that `incumbent unit` prints: the settings of now are in it, and what would not run is refused.

use std::fs;
use std::path::Path;

use super::home::{Ended, Home};

const STORE: &str = "redis://10.0.0.5/";

/// The line of the unit that begins like this.
fn line(unit: &str, beginning: &str) -> String {
    let found = unit.lines().find_map(|line| line.strip_prefix(beginning));
    found
        .unwrap_or_else(|| panic!("no {beginning} in {unit}"))
        .to_owned()
}

#[test]
fn a_printed_unit_has_the_settings_of_the_environment_and_the_file() {
    let home = Home::new();
    let file = home.write(
        "c.toml",
        "key_prefix = \"app:\"\nstop_timeout = \"7s\"\nrestart = true\n",
    );
    let password = home.write("pw", "hush-hush\n");
    let ended = home.run_with(
        &[("INCUMBENT_STORE", STORE), ("INCUMBENT_USERNAME", "app")],
        &[
            "unit",
            "job",
            "--config",
            &file,
            "--password-file",
            "pw",
            "--",
            "echo",
            "echo",
            "./x",
        ],
    );
    ended.assert(0, "");
    assert_eq!(ended.stderr, "");
    let run = line(&ended.stdout, "ExecStart=");
    let release = line(&ended.stdout, "ExecStopPost=");
    for both in [
        format!("--store {STORE}"),
        "--key-prefix app:".to_owned(),
        "--username app".to_owned(),
        format!("--password-file {password}"),
    ] {
        assert!(
            run.contains(&both) && release.contains(&both),
            "{both}: {}",
            ended.stdout
        );
    }
    // What the file sets later, when the unit runs, sets nothing.
    for both in [&run, &release] {
        assert_eq!(both.matches("--config").count(), 1, "{both}");
        assert!(both.contains("--config /dev/null"), "{both}");
    }
    for word in ["--stop-timeout 7s", "--restart"] {
        assert!(
            run.contains(word) && !release.contains(word),
            "{}",
            ended.stdout
        );
    }
    // Only the first word is the program.
    let program = run.split_once(" -- ").unwrap().1;
    assert!(
        program.starts_with('/') && program.ends_with("/echo echo ./x"),
        "{program}"
    );
    assert!(!ended.stdout.contains("hush") && !ended.stdout.contains("this host only"));
}

/// `run` refuses two of them that are flags, so the unit has only the one that counts.
#[test]
fn a_printed_unit_gets_the_password_as_the_strongest_setting_says() {
    let home = Home::new();
    home.write("pw", "hush-hush\n");
    let variables = [
        ("INCUMBENT_PASSWORD_CMD", "echo hush"),
        ("INCUMBENT_STORE", STORE),
    ];
    let printed = |option: &[&str]| {
        let ended = home.run_with(
            &variables,
            &[&["unit", "job"], option, &["--", "true"]].concat(),
        );
        ended.assert(0, "");
        let run = line(&ended.stdout, "ExecStart=");
        (
            run.contains("--password-file"),
            run.contains("--password-cmd"),
        )
    };
    assert_eq!(printed(&["--password-file", "pw"]), (true, false));
    assert_eq!(
        printed(&["--password-cmd", "/usr/bin/token"]),
        (false, true)
    );
}

#[test]
fn a_printed_unit_that_elects_on_its_host_only_says_so() {
    let home = Home::new();
    let inside = home.text_path("my.db");
    for (store, written) in [
        (
            &[][..],
            "--store sqlite:/var/lib/incumbent-root/elections.db".to_owned(),
        ),
        (
            &["--store", "sqlite:my.db"],
            format!("--store sqlite:{inside} "),
        ),
    ] {
        let ended = home.run(&[&["unit", "job"], store, &["--", "true"]].concat());
        ended.assert(0, "on several hosts each has a leader of its own");
        assert!(ended.stdout.contains("this host only"), "{ended:#?}");
        assert!(
            line(&ended.stdout, "ExecStart=").contains(&written),
            "{ended:#?}"
        );
    }
}

#[test]
fn a_printed_unit_names_each_file_by_where_it_is() {
    let home = Home::new();
    home.write("a&b/pw", "hush-hush\n");
    let here = home.text_path("a%26b");
    for (given, written) in [
        ("pw", format!("{here}/pw")),
        (&format!("{here}/pw"), format!("{here}/pw")),
    ] {
        let store = format!("redis+sentinel://h/s?sentinel-password-file={given}");
        let mut command = home.command(&["unit", "job", "--store", &store, "--", "true"]);
        command.current_dir(home.path("a&b"));
        let ended = Ended::from(command.output().unwrap());
        ended.assert(0, "");
        let written = format!("?sentinel-password-file={written}\"").replace('%', "%%");
        for command in ["ExecStart=", "ExecStopPost="] {
            assert!(
                line(&ended.stdout, command).contains(&written),
                "{ended:#?}"
            );
        }
    }
    // A folder that is missing does not keep the unit from starting.
    let ended = home.run(&["unit", "job", "--store", "sqlite:a$b/my.db", "--", "true"]);
    let folder = format!("-\"{}\"", home.text_path("a$b"));
    assert_eq!(line(&ended.stdout, "ReadWritePaths="), folder);
}

/// systemd gives the folder to the unit's user, with all that is in it.
#[test]
fn a_printed_unit_takes_no_folder_from_the_user_of_the_packaged_one() {
    let home = Home::new();
    for (store, expected) in [
        (&["--store", STORE][..], vec![]),
        (&["--store", "sqlite:my.db"], vec![]),
        (&[], vec!["StateDirectory=incumbent-root"]),
    ] {
        let ended = home.run(&[&["unit", "job"], store, &["--", "true"]].concat());
        ended.assert(0, "");
        let lines = ended.stdout.lines();
        let folders: Vec<&str> = lines.filter(|it| it.contains("StateDirectory=")).collect();
        assert_eq!(folders, expected, "{ended:#?}");
    }
}

#[test]
fn a_unit_that_would_not_run_is_not_printed() {
    let home = Home::new();
    let refused = |stores: &[&str], program: &str, status, why: &str| {
        let ended = home.run(&[&["unit", "job"], stores, &["--", program]].concat());
        ended.assert(status, why);
        assert_eq!(ended.stdout, "");
    };
    refused(&["--store", "foo://h/"], "true", 64, "--store");
    let two = ["--store", STORE, "--store", "redis://10.0.0.6/"];
    refused(&two, "true", 78, "2 stores");
    refused(
        &["--contain", "pidns"],
        "true",
        78,
        "contain = pidns (--contain)",
    );
    refused(
        &["--store", STORE],
        "no-such-program",
        127,
        "was not found in any folder of PATH",
    );
    refused(&["--store", STORE], "./missing", 127, "was not found");
    home.write("text", "no program\n");
    refused(
        &["--store", STORE],
        "./text",
        126,
        "is not an executable file",
    );
    let secret = ["--store", "redis://app:hush-hush@10.0.0.5/"];
    refused(&secret, "true", 78, "--password-file");
    let ended = home.run(&[&["unit", "job"], &secret[..], &["--", "true"]].concat());
    assert!(!ended.stderr.contains("hush"), "{ended:#?}");
    let variables = [
        ("INCUMBENT_PASSWORD", "hush-hush"),
        ("INCUMBENT_STORE", STORE),
    ];
    home.run_with(&variables, &["unit", "job", "--", "true"])
        .assert(
            78,
            "environment INCUMBENT_PASSWORD: the unit would contain a password",
        );
    let variables = [
        ("INCUMBENT_PASSWORD_CMD", "echo hush-hush"),
        ("INCUMBENT_STORE", STORE),
    ];
    let ended = home.run_with(&variables, &["unit", "job", "--", "true"]);
    ended.assert(
        78,
        "environment INCUMBENT_PASSWORD_CMD: the unit would contain this command",
    );
    assert!(!ended.stderr.contains("hush"), "{ended:#?}");
    // A relative path is that of the folder where the unit is printed.
    fs::copy("/bin/true", home.path("prog")).unwrap();
    let ended = home.run(&["unit", "job", "--store", STORE, "--", "./prog"]);
    ended.assert(0, "");
    let program = home.text_path("prog");
    assert!(
        line(&ended.stdout, "ExecStart=").ends_with(&format!(" -- {program}")),
        "{ended:#?}"
    );
}

/// Ubuntu 22.04 has systemd 249, which takes what it does not know for text.
#[test]
fn no_shipped_unit_needs_the_specifier_of_a_later_systemd() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut settings = text.lines().filter(|line| !line.starts_with('#'));
        let found = settings.find(|line| line.contains("%d"));
        assert_eq!(found, None, "{}", path.display());
    }
}
