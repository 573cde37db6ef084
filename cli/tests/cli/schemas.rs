//! The JSON that commands print: each schema has a name with a version, is documented, and keeps its members.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::home::{Home, wait_until};
use crate::support::redis::RedisServer;

/// Every command that takes `-o json`, and the schema of what it prints.
const SCHEMAS: [(&str, &str); 13] = [
    ("status", "incumbent.status.v1"),
    ("watch", "incumbent.status.v1"),
    ("list", "incumbent.list.v1"),
    ("history", "incumbent.history.v1"),
    ("candidates", "incumbent.candidates.v1"),
    ("resign", "incumbent.order.v1"),
    ("pause", "incumbent.order.v1"),
    ("resume", "incumbent.order.v1"),
    ("depose", "incumbent.order.v1"),
    ("forget", "incumbent.order.v1"),
    ("doctor", "incumbent.doctor.v1"),
    ("explain", "incumbent.explain.v1"),
    ("config show", "incumbent.config.v1"),
];

/// Which members were found, and of which types.
#[derive(Default)]
struct Members(BTreeMap<String, BTreeSet<&'static str>>);

impl Members {
    fn add(&mut self, path: &str, value: &Value) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(all) => {
                all.iter()
                    .for_each(|one| self.add(&format!("{path}[]"), one));
                "array"
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.add(&format!("{path}.{name}"), member);
                }
                "object"
            }
        };
        self.0.entry(path.to_owned()).or_default().insert(kind);
    }

    fn text(&self) -> String {
        let lines = self.0.iter().map(|(path, kinds)| {
            let kinds: Vec<&str> = kinds.iter().copied().collect();
            format!("{} {}\n", path.trim_start_matches('.'), kinds.join("|"))
        });
        lines.filter(|line| !line.starts_with(' ')).collect()
    }
}

/// Within a version members are only added: what was found is kept in `tests/cli/schemas/`, and each of its
/// members stands in docs/cli.md.
#[test]
fn every_command_prints_json_of_a_documented_schema_that_keeps_its_members() {
    let (home, server, down) = (Home::new(), RedisServer::start(), RedisServer::start());
    let url = server.url();
    let mut found: BTreeMap<String, Members> = BTreeMap::new();
    let mut printed = BTreeSet::new();
    let mut keep = |words: &[&str], stdout: &str| {
        let document: Value = serde_json::from_str(stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error} in {stdout}"));
        let schema = document["schema"].as_str().unwrap().to_owned();
        let command = words
            .iter()
            .take_while(|word| !["job", "-o", "--store"].contains(word));
        let command: Vec<&str> = command.copied().collect();
        printed.insert((command.join(" "), schema.clone()));
        found.entry(schema).or_default().add("", &document);
    };
    let mut ask = |words: &[&str]| {
        let mut all = words.to_vec();
        if !["explain", "config"].contains(&words[0]) {
            all.extend(["--store", &url]);
        }
        all.extend(["-o", "json"]);
        let mut ended = home.run(&all);
        // A heartbeat may come between the look and the order.
        wait_until("no heartbeat came between", || {
            let overtaken = ended.stderr.contains("the record has changed meanwhile");
            if overtaken {
                ended = home.run(&all);
            }
            !overtaken
        });
        keep(words, &ended.stdout);
        ended.json()
    };
    for words in [
        &["status", "job"][..],
        &["list"],
        &["history", "job"],
        &["candidates", "job"],
    ] {
        ask(words);
    }
    let program = format!(
        "trap '[ -e {} ] || exit 0' TERM; echo >> {}; while :; do sleep 0.05; done",
        home.path("stubborn").display(),
        home.path("led").display()
    );
    let mut running = Vec::new();
    for lines in [1, 1] {
        running.push(home.start(&["run", "job", "--store", &url, "--", "sh", "-c", &program]));
        home.wait_for_lines("led", lines);
    }
    wait_until("both campaign", || {
        let json = ask(&["candidates", "job"]);
        json["candidates"].as_array().unwrap().len() == 2
    });
    let listed = ask(&["candidates", "job"])["candidates"].clone();
    let to = listed[1]["id"].as_str().unwrap();
    ask(&["resign", "job", "--to", to, "--wait"]);
    wait_until("both campaign again", || {
        let json = ask(&["candidates", "job"]);
        json["candidates"].as_array().unwrap().len() == 2
    });
    ask(&["pause", "job", "--reason", "new disks", "--for", "1h"]);
    for words in [
        &["status", "job"][..],
        &["list"],
        &["history", "job"],
        &["doctor", "job"],
    ] {
        ask(words);
    }
    ask(&["resume", "job"]);
    ask(&["pause", "job"]);
    // A leader that does not stop goes on being asked.
    home.write("stubborn", "");
    let listed = ask(&["candidates", "job"])["candidates"].clone();
    for to in ["id", "host"] {
        let to = listed[1][to].as_str().unwrap();
        ask(&["resign", "job", "--anyway", "--to", to]);
        ask(&["status", "job"]);
    }
    ask(&["depose", "job", "--yes", "--unsafe-now"]);
    running.clear();
    ask(&["status", "job"]);
    ask(&["resume", "job"]);
    let failing = home.run(&["run", "job", "--store", &url, "--", "sh", "-c", "exit 3"]);
    assert_eq!(failing.status, 3, "{failing:#?}");
    ask(&["history", "job"]);
    ask(&["explain"]);
    ask(&["config", "show"]);
    let log = fs::File::create(home.path("watched")).unwrap();
    let mut watching = home
        .command(&["watch", "job", "--store", &url, "-o", "json"])
        .stdout(log)
        .spawn()
        .unwrap();
    let line = home.wait_for_lines("watched", 1).remove(0);
    watching.kill().unwrap();
    watching.wait().unwrap();
    keep(&["watch"], &line);
    let forget = ["forget", "job", "--store", &url, "--yes", "-o", "json"];
    keep(&forget, &home.run(&forget).stdout);
    let away = down.url();
    drop(down);
    for words in [
        &["status", "job"][..],
        &["list"],
        &["history", "job"],
        &["doctor", "job"],
    ] {
        let all = [words, &["--store", &away, "-o", "json"]].concat();
        keep(words, &home.run(&all).stdout);
    }

    let expected = SCHEMAS.map(|(command, schema)| (command.to_owned(), schema.to_owned()));
    assert_eq!(printed, expected.into());
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/schemas");
    let documentation = include_str!("../../../docs/cli.md");
    let json = documentation.split_once("## JSON").unwrap().1;
    for (schema, members) in found {
        assert!(
            json.contains(&format!("### `{schema}`\n")),
            "{schema} is not in docs/cli.md"
        );
        for path in members.0.keys() {
            let name = path.rsplit('.').next().unwrap().trim_end_matches("[]");
            let told =
                json.contains(&format!("`{name}`")) || json.contains(&format!("\"{name}\":"));
            assert!(
                told || name.is_empty(),
                "{schema}: {path} is not in docs/cli.md"
            );
        }
        let path = folder.join(format!("{schema}.txt"));
        if std::env::var_os("INCUMBENT_REWRITE").is_some_and(|value| value == "1") {
            fs::write(&path, members.text()).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(members.text(), kept, "{schema} has changed");
    }
}

#[test]
fn every_command_that_takes_an_output_format_is_in_the_table_above() {
    let home = Home::new();
    let known: Vec<&str> = SCHEMAS.iter().map(|(command, _)| *command).collect();
    let help = home.run(&["--help"]).stdout;
    let commands = help.split_once("Commands:").unwrap().1;
    let commands = commands
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next());
    let mut with_output = 0;
    for command in commands.filter(|command| *command != "help") {
        let takes = home
            .run(&[command, "--help"])
            .stdout
            .contains("--output <OUTPUT>");
        assert_eq!(takes, known.contains(&command), "{command}");
        with_output += usize::from(takes);
    }
    assert_eq!(with_output, SCHEMAS.len() - 1, "config show is two words");
}
