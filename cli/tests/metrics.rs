//! The metrics, the alert rules and the dashboard: checked with the tools of Prometheus, and against
//! each other.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use incumbent::Election;
use incumbent::store::MemoryStore;
use incumbent_cli::http::{ProgramCounters, Server, ServerOptions};

fn serve() -> (Election, Server) {
    let election = Election::builder("billing")
        .store_object(MemoryStore::new("s"))
        .build()
        .unwrap();
    let options = ServerOptions {
        program: Some(Arc::new(ProgramCounters::default())),
        ..ServerOptions::new("127.0.0.1:0".parse().unwrap())
    };
    let server = Server::start(election.clone(), options).unwrap();
    (election, server)
}

fn get(address: SocketAddr, path: &str) -> Option<String> {
    ask(address, path, "")
}

fn ask(address: SocketAddr, path: &str, headers: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text.split_once("\r\n\r\n")?.1.to_owned())
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("promtool runs: it is in the package prometheus");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}\n{printed}");
}

#[test]
fn the_alert_rules_are_sound_and_fire_when_they_should_and_only_then() {
    promtool(&["check", "rules", "../config/alerts.yml"]);
    promtool(&["test", "rules", "tests/rules/alerts_test.yml"]);
}

/// The names of metrics in a text, without the suffixes that a counter and a histogram add.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices("incumbent_")
        .filter(|(at, _)| !text[..*at].ends_with(word))
        .map(|(at, _)| {
            let rest = &text[at..];
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            let name = &rest[..end];
            let base = ["_total", "_info", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            base.unwrap_or(name).to_owned()
        })
        .collect()
}

#[test]
fn alerts_dashboard_and_documentation_name_only_what_is_served_and_the_latter_all_of_it() {
    let (election, server) = serve();
    let leadership = election.blocking().campaign().unwrap();
    let served = named(&get(server.address(), "/metrics").unwrap());
    leadership.resign();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["../config/alerts.yml", "../config/grafana.json"] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let unknown: Vec<_> = named(&text).difference(&served).cloned().collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
        if file.ends_with("json") {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
    let documented = named(&fs::read_to_string(root.join("../docs/metrics.md")).unwrap());
    assert_eq!(documented, served);
}

#[test]
fn every_alert_has_its_place_in_the_runbook() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = fs::read_to_string(root.join("../config/alerts.yml")).unwrap();
    let runbook = fs::read_to_string(root.join("../docs/operations.md")).unwrap();
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 9, "{} alerts are shipped", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let section = runbook.split_once(&format!("\n### {name}\n"));
        let (_, section) = section.unwrap_or_else(|| panic!("{name} is not in docs/operations.md"));
        let section = section.split("\n#").next().unwrap().trim();
        assert!(section.len() > 100, "{name}: what to do? {section:?}");
        let link = format!(
            "runbook: \"docs/operations.md#{}\"",
            name.to_ascii_lowercase()
        );
        assert!(alert.contains(&link), "{name} does not link to its section");
    }
    // And no section is about an alert that is not shipped.
    let sections = runbook.split("\n### ").skip(1);
    let names = sections.map(|section| section.lines().next().unwrap());
    for name in names.filter(|name| name.starts_with("Incumbent")) {
        assert!(
            rules.contains(&format!("- alert: {name}\n")),
            "{name} is no alert"
        );
    }
}

/// `promtool check metrics` reads the older format, and finds fault with names and help.
#[test]
fn the_older_format_has_nothing_that_promtool_finds_fault_with() {
    let (election, server) = serve();
    let leadership = election.blocking().campaign().unwrap();
    let text = get(server.address(), "/metrics").unwrap();
    leadership.resign();
    let mut check = Command::new("promtool")
        .args(["check", "metrics", "--extended"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs: it is in the package prometheus");
    let mut input = check.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let checked = check.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&checked.stderr);
    assert!(
        checked.status.success() && printed.is_empty(),
        "{printed}\n{text}"
    );
    // It has read all of them that there is a sample of.
    let read = String::from_utf8_lossy(&checked.stdout);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for name in named(&samples.collect::<Vec<_>>().join("\n")) {
        assert!(read.contains(&name), "{name} is not in\n{read}");
    }
}

/// `promtool tsdb create-blocks-from openmetrics` reads the newer one, and wants a time for each sample.
#[test]
fn open_metrics_are_read_by_promtool() {
    let (election, server) = serve();
    let leadership = election.blocking().campaign().unwrap();
    let accept = "Accept: application/openmetrics-text\r\n";
    let text = ask(server.address(), "/metrics", accept).unwrap();
    leadership.resign();
    let timed: String = text
        .lines()
        .map(|line| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{line} 1800000000\n"),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("metrics"), folder.path().join("data"));
    fs::write(&file, timed).unwrap();
    let (file, data) = (file.to_str().unwrap(), data.to_str().unwrap());
    promtool(&["tsdb", "create-blocks-from", "openmetrics", file, data]);
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn prometheus_itself_reads_what_is_served() {
    let (election, server) = serve();
    let leadership = election.blocking().campaign().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    fs::write(
        &config,
        format!(
            "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n  - job_name: incumbent\n    static_configs:\n      - targets: ['{}']\n",
            server.address()
        ),
    )
    .unwrap();
    // The port is free a moment longer than this listener lives.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus runs: it is in the package prometheus");
    let prometheus = Prometheus(child);
    let token = leadership.fencing_token().to_string();
    let found = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        get(address, "/api/v1/query?query=incumbent_fencing_token")
            .is_some_and(|answer| answer.contains(&token))
    });
    assert!(found, "prometheus did not read the token {token}");
    drop(prometheus);
    leadership.resign();
}
