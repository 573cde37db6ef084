//! The HTTP server of an election, asked over real sockets.

mod ask;
mod page;
mod reads;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use ask::ask;
use incumbent::Election;
use incumbent::election::{Overrun, clock};
use incumbent::protocol::{
    Beat, FencingToken, LossReason, Occupancy, Orders, Record, TimingConfig,
};
use incumbent::store::MemoryStore;
use incumbent_cli::http::{Server, ServerOptions};

fn election(name: &str, store: &Arc<MemoryStore>) -> Election {
    Election::builder(name)
        .store_object(store.clone())
        // No one works here: a thread of this test that is late must not end the others.
        .overrun(Overrun::Report)
        .timing(TimingConfig {
            interval: Duration::from_millis(100),
            stall_polls: 30,
            stop_grace: Duration::from_secs(1),
            ..Default::default()
        })
        .build()
        .unwrap()
}

fn serve(election: &Election, token: Option<&str>) -> Server {
    let options = ServerOptions {
        token: token.map(Into::into),
        ..ServerOptions::new("127.0.0.1:0".parse().unwrap())
    };
    Server::start(election.clone(), options).unwrap()
}

fn status(server: &Server, path: &str) -> u16 {
    ask(server, "GET", path, "").status
}

/// Asks until the status is as expected: a campaign needs a moment to begin.
fn becomes(server: &Server, path: &str, expected: u16) {
    for _ in 0..400 {
        if status(server, path) == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{path} never became {expected}");
}

#[test]
fn leader_and_standby_answer_by_the_deadline_at_that_moment() {
    let store = Arc::new(MemoryStore::new("s"));
    let (first, second) = (election("billing", &store), election("billing", &store));
    let (of_first, of_second) = (serve(&first, None), serve(&second, None));
    assert_eq!(status(&of_first, "/leader"), 503);
    assert_eq!(status(&of_first, "/standby"), 503);
    assert_eq!(status(&of_first, "/readyz"), 503, "no one campaigns yet");
    assert_eq!(status(&of_first, "/livez"), 200);

    let leadership = first.blocking().campaign().unwrap();
    let waiting = {
        let second = second.clone();
        std::thread::spawn(move || second.blocking().campaign().unwrap())
    };
    becomes(&of_second, "/readyz", 200);
    for (path, on_leader, on_standby) in [
        ("/leader", 200, 503),
        ("/standby", 503, 200),
        ("/livez", 200, 200),
        ("/readyz", 200, 200),
    ] {
        for method in ["GET", "HEAD"] {
            let found = ask(&of_first, method, path, "").status;
            assert_eq!(found, on_leader, "{method} {path} on the leader");
            let found = ask(&of_second, method, path, "").status;
            assert_eq!(found, on_standby, "{method} {path} on the standby");
        }
    }
    leadership.resign();
    assert_eq!(status(&of_first, "/leader"), 503);
    let second_leadership = waiting.join().unwrap();
    assert_eq!(status(&of_second, "/leader"), 200);
    second_leadership.resign();
}

#[test]
fn a_leader_whose_record_is_in_other_hands_is_no_leader_from_then_on() {
    let store = Arc::new(MemoryStore::new("s"));
    let name = "billing".parse().unwrap();
    let leading = election("billing", &store);
    let server = serve(&leading, None);
    let leadership = leading.blocking().campaign().unwrap();
    assert_eq!(status(&server, "/leader"), 200);
    let term = FencingToken::new(leadership.fencing_token().get() + 1).unwrap();
    store.put(
        &name,
        Record {
            floor: term,
            term,
            beat: Beat::first(term, Beat::default()),
            occupancy: Occupancy::Held {
                holder: "somebody-else".parse().unwrap(),
                window: Duration::from_secs(1),
            },
            orders: Orders::NONE,
        },
    );
    assert_eq!(leadership.wait_lost(), LossReason::Deposed);
    becomes(&server, "/leader", 503);
    leadership.resign();
}

#[test]
fn a_head_request_gets_no_body_and_other_methods_are_refused() {
    let store = Arc::new(MemoryStore::new("s"));
    let server = serve(&election("billing", &store), None);
    let head = ask(&server, "HEAD", "/status", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let post = ask(&server, "POST", "/leader", "Content-Length: 0\r\n");
    assert_eq!(post.status, 405);
    assert!(post.head.contains("allow: get, head"), "{}", post.head);
    assert_eq!(status(&server, "/nothing"), 404);
    assert_eq!(status(&server, "/history?terms=0"), 400);
}

#[test]
fn resigning_needs_the_token_and_a_leader() {
    let store = Arc::new(MemoryStore::new("s"));
    let leading = election("billing", &store);
    let (off, on) = (serve(&leading, None), serve(&leading, Some("secret")));
    let post = |server: &Server, headers: &str| ask(server, "POST", "/resign", headers).status;
    assert_eq!(post(&off, "Authorization: Bearer secret\r\n"), 403);
    assert_eq!(post(&on, ""), 401);
    assert_eq!(post(&on, "Authorization: Bearer wrong!\r\n"), 401);
    assert_eq!(post(&on, "Authorization: Bearer secret\r\n"), 409);
    // The name of the scheme has no case, and the token has.
    assert_eq!(post(&on, "Authorization: bearer secret\r\n"), 409);
    assert_eq!(post(&on, "Authorization: Bearer SECRET\r\n"), 401);
    assert_eq!(ask(&on, "GET", "/resign", "").status, 405);

    let leadership = leading.blocking().campaign().unwrap();
    assert_eq!(post(&on, "Authorization: Bearer secret\r\n"), 202);
    assert_eq!(leadership.wait_lost(), LossReason::Requested);
    leadership.resign();
}

#[test]
fn pausing_and_resuming_need_the_token_and_tell_what_they_did() {
    let store = Arc::new(MemoryStore::new("s"));
    let one = election("billing", &store);
    let (off, on) = (serve(&one, None), serve(&one, Some("secret")));
    let token = "Authorization: Bearer secret\r\n";
    assert_eq!(ask(&off, "POST", "/pause", token).status, 403);
    assert_eq!(ask(&on, "POST", "/resume", "").status, 401);
    assert_eq!(ask(&on, "GET", "/pause", token).status, 405);
    let long = format!("reason={}", "x".repeat(201));
    for (query, said) in [
        ("seconds=0", "above 0"),
        ("seconds=x", "above 0, not \"x\""),
        ("seconds=18446744073709551616", "above 0"),
        ("until=1", "no part of a pause"),
        ("until", "no part of a pause"),
        ("reason=a&seconds=-1", "above 0"),
        ("seconds=1&seconds=2", "given twice"),
        ("reason=a&reason=b", "given twice"),
        ("reason=", "0 bytes"),
        ("reason=a%0Ab", "control characters"),
        (
            "reason=%FF",
            "reason=%FF: the bytes that it spells are no UTF-8",
        ),
        ("reason=a%zz", "reason=a%zz: \"%zz\" is no byte"),
        ("reason=a%+5", "\"%+5\" is no byte"),
        ("reason=50%", "\"%\" is no byte: write % and two"),
        ("reason=%E2%8", "\"%8\" is no byte"),
        (&long, "201 bytes"),
    ] {
        let path = format!("/pause?{query}");
        let refused = ask(&on, "POST", &path, token);
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.body.contains(said), "{query}: {}", refused.body);
    }
    let paused = ask(&on, "POST", "/pause?seconds=600&reason=new%20disks", token);
    assert_eq!(
        (paused.status, paused.body.trim()),
        (200, "paused on 1 of 1 stores")
    );
    let refused = one.blocking().try_campaign().unwrap_err();
    assert!(refused.to_string().ends_with(": new disks"), "{refused}");
    let document: serde_json::Value =
        serde_json::from_str(&ask(&on, "GET", "/status", "").body).unwrap();
    assert_eq!(document["paused"]["reason"], "new disks");
    assert!(ask(&on, "GET", "/", "").body.contains("Paused by "));
    assert_eq!(ask(&on, "POST", "/resume", token).status, 200);
    one.blocking().try_campaign().unwrap().resign();
}

#[test]
fn documents_name_their_schema_and_metrics_their_samples() {
    let store = Arc::new(MemoryStore::new("s"));
    let leading = election("billing", &store);
    let server = serve(&leading, None);
    let leadership = leading.blocking().campaign().unwrap();
    let token = leadership.fencing_token().get();

    let document: serde_json::Value =
        serde_json::from_str(&ask(&server, "GET", "/status", "").body).unwrap();
    assert_eq!(document["schema"], "incumbent.status.v1");
    assert_eq!(document["state"], "held");
    assert_eq!(document["term"], token);
    let document: serde_json::Value =
        serde_json::from_str(&ask(&server, "GET", "/history?terms=5", "").body).unwrap();
    assert_eq!(document["schema"], "incumbent.history.v1");
    assert_eq!(document["terms"][0]["term"], token);

    let refused = ask(&server, "GET", "/history?terms=many", "");
    assert_eq!(
        refused.body,
        "?terms=many: write ?terms=N, N from 1 to 300\n"
    );

    let open = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let metrics = ask(&server, "GET", "/metrics", open);
    assert!(
        metrics.head.contains("openmetrics-text"),
        "{}",
        metrics.head
    );
    for expected in [
        "incumbent_build_info{version=\"",
        "incumbent_leader{election=\"billing\"} 1.0",
        &format!("incumbent_fencing_token{{election=\"billing\"}} {token}.0"),
        "incumbent_elected_total{election=\"billing\"} 1",
        "incumbent_leaderships_ended_total{election=\"billing\",reason=\"deposed\"} 0",
        "incumbent_heartbeats_total{election=\"billing\",result=\"granted\"} ",
        "incumbent_heartbeat_duration_seconds_bucket{le=\"10.0\",election=\"billing\"} ",
        "incumbent_heartbeat_duration_seconds_bucket{le=\"+Inf\",election=\"billing\"} ",
        "incumbent_store_up{election=\"billing\",store=\"memory:s\"} 1.0",
    ] {
        assert!(
            metrics.body.contains(expected),
            "{expected}\n{}",
            metrics.body
        );
    }
    assert!(metrics.body.ends_with("# EOF\n"));
    // A scraper that does not ask for OpenMetrics gets the plain text format.
    for accept in ["", "Accept: */*\r\n", "Accept: text/plain\r\n"] {
        let metrics = ask(&server, "GET", "/metrics", accept);
        let kind = "content-type: text/plain; version=0.0.4";
        assert!(metrics.head.contains(kind), "{accept}{}", metrics.head);
        let counter = "# TYPE incumbent_elected_total counter\nincumbent_elected_total{";
        assert!(metrics.body.contains(counter), "{accept}{}", metrics.body);
        assert!(!metrics.body.contains("# EOF"), "{accept}{}", metrics.body);
    }
    leadership.resign();
}

/// What the metrics of a process report for the last term that ended for a reason, in seconds.
fn last_ended(server: &Server, reason: &str) -> Option<f64> {
    let metrics = ask(server, "GET", "/metrics", "").body;
    let name = "incumbent_term_ended_timestamp_seconds";
    let sample = format!("{name}{{election=\"billing\",reason=\"{reason}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&sample));
    line.map(|seconds| seconds.parse().unwrap())
}

/// The process that lost may be gone before anyone asks it.
#[test]
fn a_loss_is_told_by_who_remains_and_by_who_comes_after_it() {
    let store = Arc::new(MemoryStore::new("s"));
    let (first, second) = (election("billing", &store), election("billing", &store));
    let of_second = serve(&second, None);
    let leadership = first.blocking().campaign().unwrap();
    let waiting = std::thread::spawn(move || second.blocking().campaign().unwrap());
    becomes(&of_second, "/standby", 200);
    assert_eq!(last_ended(&of_second, "unhealthy"), None);
    let before = clock::wall().get();
    leadership.stop(LossReason::Unhealthy);
    leadership.resign();
    let second = waiting.join().unwrap();
    let after = clock::wall().get();
    let tells = |server: &Server| {
        let told = (0..400).find_map(|_| {
            std::thread::sleep(Duration::from_millis(25));
            last_ended(server, "unhealthy")
        });
        let millis = 1000.0 * told.expect("it is never reported");
        assert!(
            millis >= before as f64 - 1.0 && millis <= after as f64 + 1.0,
            "{millis}"
        );
        assert_eq!(last_ended(server, "resigned"), None);
    };
    tells(&of_second);
    // One that takes no part yet, as after a restart.
    tells(&serve(&election("billing", &store), None));
    second.resign();
}

#[test]
fn a_head_that_is_too_large_is_refused_and_the_server_goes_on() {
    let store = Arc::new(MemoryStore::new("s"));
    let server = serve(&election("billing", &store), None);
    let large = format!("X-Large: {}\r\n", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    // The server may hang up before everything is sent: that is its right.
    let sent = write!(stream, "GET / HTTP/1.1\r\nHost: test\r\n{large}\r\n");
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let refused = text.starts_with("HTTP/1.1 431") || sent.is_err() || read.is_err();
    assert!(refused, "{text}");
    assert_eq!(status(&server, "/livez"), 200);
}

#[test]
fn a_head_of_more_than_64_headers_is_refused() {
    let store = Arc::new(MemoryStore::new("s"));
    let server = serve(&election("billing", &store), None);
    // `Host` and `Connection` are two of them.
    for (count, expected) in [(62, 200), (63, 431)] {
        let headers: String = (0..count).map(|n| format!("X-{n}: y\r\n")).collect();
        let found = ask(&server, "GET", "/livez", &headers).status;
        assert_eq!(found, expected, "{count} headers and two");
    }
}

#[test]
fn every_path_takes_head() {
    let store = Arc::new(MemoryStore::new("s"));
    let server = serve(&election("billing", &store), None);
    for path in ["/", "/livez", "/metrics", "/history", "/page.js", "/events"] {
        let head = ask(&server, "HEAD", path, "");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

/// How many connections are served at a time, as docs/http.md says.
const CONNECTIONS: usize = 128;

/// Whether they never finish a request, or never read an answer.
#[test]
fn connections_that_stand_still_keep_nobody_from_an_answer() {
    let many = "GET /page.js HTTP/1.1\r\nHost: t\r\n\r\n".repeat(300);
    for unfinished in ["GET /livez HTTP/1.1\r\nHost: ", &many] {
        let store = Arc::new(MemoryStore::new("s"));
        let server = serve(&election("billing", &store), None);
        let held: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| {
                let mut stream = TcpStream::connect(server.address()).unwrap();
                stream.set_nonblocking(true).unwrap();
                // What does not fit is not wanted either.
                let sent = stream.write(unfinished.as_bytes()).unwrap();
                assert!(sent > 0);
                stream
            })
            .collect();
        let mut further = TcpStream::connect(server.address()).unwrap();
        // Long before any of the others is cut off for its own sake.
        further
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        further
            .write_all(b"GET /livez HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        further.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        // The limit holds: one of them has gone for it.
        let gone = held.iter().any(|mut stream| {
            let mut answers = Vec::new();
            match stream.read_to_end(&mut answers) {
                Ok(_) => true,
                Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        });
        assert!(gone);
    }
}

#[test]
fn a_head_that_never_ends_costs_its_connection_in_time() {
    let store = Arc::new(MemoryStore::new("s"));
    let server = serve(&election("billing", &store), None);
    let mut slow = TcpStream::connect(server.address()).unwrap();
    // Ten seconds, and a lot for a slow machine: without the limit it would go on for as long as bytes come.
    slow.set_read_timeout(Some(Duration::from_millis(250)))
        .unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nX-Slow: ").unwrap();
    let cut = (0..160).any(|_| {
        let sent = slow.write_all(b"x");
        let mut answer = [0; 256];
        let ended = match slow.read(&mut answer) {
            // Whatever is said before, the connection ends.
            Ok(_) => true,
            Err(error) => !matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ),
        };
        sent.is_err() || ended
    });
    assert!(cut, "the connection is still there after 40 s");
    assert_eq!(status(&server, "/livez"), 200);
}
