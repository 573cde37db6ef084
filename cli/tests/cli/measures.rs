//! What `/metrics` of `incumbent run` reports, sample by sample, while things happen to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, Running, wait_until};
use super::hosts::children_of;
use crate::support::redis::{RedisServer, free_port};

/// A candidate that serves its metrics.
struct Scraped {
    running: Running,
    port: u16,
}

impl Scraped {
    /// Its program keeps running when asked to stop, for as long as there is a file `stubborn`.
    fn start(home: &Home, server: &RedisServer) -> Self {
        let port = free_port();
        let program = format!(
            "trap '[ -e {} ] || exit 0' TERM; echo $$ >> {}; while :; do sleep 0.05; done",
            home.path("stubborn").display(),
            home.path("programs").display()
        );
        let (url, listen) = (server.url(), port.to_string());
        let mut run = vec!["run", "job", "--store", &url, "--listen", &listen];
        // A machine that stalls for a second is no reason to lose a leadership.
        run.extend(["--interval", "400ms", "--stall-polls", "10", "--restart"]);
        run.extend(["--stop-timeout", "300ms", "--stop-grace", "500ms"]);
        run.extend(["--sit-out", "100ms", "--health-cmd", "true"]);
        run.extend(["--health-interval", "100ms"]);
        run.extend(["--", "sh", "-c", &program]);
        let running = home.start(&run);
        Self { running, port }
    }

    fn scrape(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The value of the sample of this name, with this label besides the election.
    fn sample(&self, name: &str, label: &str) -> Option<f64> {
        let text = self.scrape()?;
        let head = match label {
            "" => format!("incumbent_{name}{{election=\"job\"}} "),
            label => format!("incumbent_{name}{{election=\"job\",{label}}} "),
        };
        let line = text.lines().find_map(|line| line.strip_prefix(&head));
        line.map(|value| value.parse().unwrap())
    }

    #[track_caller]
    fn becomes(&self, name: &str, label: &str, expected: f64) {
        let mut last = None;
        wait_until(&format!("{name} {label} is {expected}"), || {
            last = self.sample(name, label);
            last.is_some_and(|value| (value - expected).abs() < 1e-9)
        });
    }

    #[track_caller]
    fn exceeds(&self, name: &str, label: &str, limit: f64) {
        wait_until(&format!("{name} {label} is more than {limit}"), || {
            self.sample(name, label).is_some_and(|value| value > limit)
        });
    }

    /// The last program that was started is the leader's.
    fn kill_the_program(home: &Home) {
        let programs = home.lines("programs");
        let pid = programs.last().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
}

#[test]
fn every_sample_follows_what_happens() {
    let (home, mut server) = (Home::new(), RedisServer::settings().durable().start());
    let mut a = Scraped::start(&home, &server);
    a.becomes("program_up", "", 1.0);
    let b = Scraped::start(&home, &server);
    b.becomes("campaigns", "", 1.0);

    // One leads, and one is a standby.
    for (name, of_a, of_b) in [
        ("leader", 1.0, 0.0),
        ("campaigns", 1.0, 1.0),
        ("elected_total", 1.0, 0.0),
        ("window_seconds", 4.0, 4.0),
        ("program_up", 1.0, 0.0),
        ("program_starts_total", 1.0, 0.0),
        ("paused", 0.0, 0.0),
        ("overruns_total", 0.0, 0.0),
    ] {
        a.becomes(name, "", of_a);
        b.becomes(name, "", of_b);
    }
    let status = home.run(&["status", "job", "--store", &server.url(), "-o", "json"]);
    let token = status.json()["term"].as_f64().unwrap();
    a.becomes("fencing_token", "", token);
    assert_eq!(b.sample("fencing_token", ""), None);
    let tenure = a.sample("tenure_remaining_seconds", "").unwrap();
    assert!(tenure > 0.0 && tenure < 4.0, "{tenure}");
    a.exceeds("heartbeats_total", "result=\"granted\"", 2.0);
    a.exceeds("heartbeat_duration_seconds_count", "", 2.0);
    a.exceeds("heartbeat_duration_seconds_sum", "", 0.0);
    a.exceeds("program_health_checks_total", "result=\"passed\"", 1.0);
    let store = format!("store=\"{}\"", server.url());
    a.becomes("store_up", &store, 1.0);
    b.becomes("store_up", &store, 1.0);
    let version = format!(
        "incumbent_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    assert!(a.scrape().unwrap().contains(&version));

    // An operator pauses and resumes; a program that ends is started again.
    home.run(&["pause", "job", "--store", &server.url()]);
    a.becomes("paused", "", 1.0);
    b.becomes("paused", "", 1.0);
    home.run(&["resume", "job", "--store", &server.url()]);
    a.becomes("paused", "", 0.0);
    b.becomes("paused", "", 0.0);
    Scraped::kill_the_program(&home);
    a.becomes("program_starts_total", "", 2.0);
    a.becomes("program_up", "", 1.0);
    a.becomes("program_stops_total", "", 0.0);

    // Asked to resign, with a program that has to be killed for it.
    home.wait_for_lines("programs", 2);
    home.write("stubborn", "");
    home.run(&["resign", "job", "--store", &server.url()]);
    b.becomes("leader", "", 1.0);
    a.becomes("leader", "", 0.0);
    a.becomes("leaderships_ended_total", "reason=\"requested\"", 1.0);
    a.becomes("program_kills_total", "cause=\"stop-timeout\"", 1.0);
    a.becomes("program_stops_total", "", 1.0);
    a.exceeds("program_stop_seconds_total", "", 0.29);
    b.exceeds("leaderless_seconds_total", "", 0.0);
    b.becomes("program_up", "", 1.0);
    home.wait_for_lines("programs", 3);

    // The keeper dies, and the program with it.
    let keepers = children_of(b.running.pid());
    kill_process(Pid::from_raw(keepers[0]).unwrap(), Signal::KILL).unwrap();
    a.becomes("leader", "", 1.0);
    a.becomes("elected_total", "", 2.0);
    home.wait_for_lines("programs", 4);

    // The store is away for longer than a tenure.
    server.kill();
    a.becomes("store_up", &store, 0.0);
    a.exceeds("heartbeats_total", "result=\"failed\"", 0.0);
    a.becomes("leaderships_ended_total", "reason=\"tenure-ended\"", 1.0);
    // A keeper that the machine keeps from its deadline is killed for it, and its elector ends.
    let mut ended = false;
    wait_until("the program was killed at its deadline", || {
        ended = a.running.has_ended();
        let killed = a.sample("program_kills_total", "cause=\"deadline\"");
        ended || killed.is_some_and(|kills| kills > 0.0)
    });
    if !ended {
        a.becomes("tenure_remaining_seconds", "", 0.0);
        a.becomes("program_up", "", 0.0);
    }
}
