//! Versions that share a store: with the same format they elect together, with another one the store is refused.

use rustix::process::Signal;

use super::home::{Home, Running, leader};
use crate::support::redis::RedisServer;

const MEMORY: &str = "{incumbent:}:memory";
const REFUSED: &str = "have format \"2\", and this incumbent uses format 1";

/// Fails unless the pages that name the formats name this one.
fn documented(row: &str, note: &str) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for (page, expected) in [("docs/operations.md", row), ("CHANGELOG.md", note)] {
        let text = std::fs::read_to_string(format!("{root}/{page}")).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(expected), "{page}: no {expected}");
    }
}

/// Writes into the memory that a version with the next format made it, and returns what it was.
fn raise(server: &RedisServer) -> String {
    let memory = server.text(&["HGET", MEMORY, "memory"]);
    let (format, rest) = memory.split_once(' ').unwrap();
    documented(
        &format!("| Redis | {format}, the first"),
        &format!("format {format} on a Redis"),
    );
    let next = format.parse::<u32>().unwrap() + 1;
    server.command(&["HSET", MEMORY, "memory", &format!("{next} {rest}")]);
    memory
}

fn candidate(home: &Home, url: &str) -> Running {
    let program = leader(&home.path("led"));
    home.start(&[
        "run",
        "job",
        "--store",
        url,
        "--interval",
        "500ms",
        "--stop-grace",
        "500ms",
        "--",
        "sh",
        "-c",
        &program,
    ])
}

#[test]
fn a_redis_of_the_next_format_is_refused_and_left_as_it_is() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let at = ["job", "--store", &url];
    let run = [
        &["run"],
        &at[..],
        &["--interval", "500ms", "--stop-grace", "500ms", "--", "true"],
    ];
    assert_eq!(home.run(&run.concat()).status, 0);
    raise(&server);
    let before = server.info("rdb_changes_since_last_save");
    home.run(&run.concat()).assert(78, REFUSED);
    for (command, status) in [("status", 78), ("doctor", 2)] {
        let ended = home.run(&[&[command], &at[..]].concat());
        assert_eq!(ended.status, status, "{ended:#?}");
        assert!(ended.stdout.contains(REFUSED), "{ended:#?}");
    }
    assert_eq!(server.info("rdb_changes_since_last_save"), before);
}

#[test]
fn a_file_of_the_next_or_the_last_format_is_refused_and_left_as_it_is() {
    let home = Home::new();
    let path = home.text_path("elections.db");
    let store = format!("sqlite:{path}");
    let run = ["run", "job", "--store", &store, "--", "true"];
    assert_eq!(home.run(&run).status, 0);
    let file = rusqlite::Connection::open(&path).unwrap();
    let version = || file.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
    let ours = version().unwrap();
    documented(
        &format!("| SQLite | {ours}, its `user_version` |"),
        &format!("and {ours} in an SQLite file"),
    );
    for other in [ours + 1, ours - 1] {
        file.pragma_update(None, "user_version", other).unwrap();
        home.run(&run)
            .assert(78, &format!("the database has format version {other}"));
        assert_eq!(version().unwrap(), other);
    }
}

#[test]
fn a_leader_whose_redis_gets_the_next_format_ends_its_program_and_no_one_leads_until_it_is_back() {
    let (home, server) = (Home::new(), RedisServer::start());
    let mut first = candidate(&home, &server.url());
    home.wait_for_lines("led", 1);
    let mut second = candidate(&home, &server.url());
    second.wait_said("standing by");
    let ours = raise(&server);
    second.wait_said(REFUSED);
    assert_eq!(first.wait(), 124);
    first.assert_said(REFUSED);
    assert!(!second.has_ended());
    assert_eq!(home.lines("led").len(), 1);
    server.command(&["HSET", MEMORY, "memory", &ours]);
    let tokens = home.wait_for_lines("led", 2);
    assert!(tokens[0] < tokens[1], "{tokens:?}");
    second.signal(Signal::TERM);
    assert_eq!(second.wait(), 0);
}

/// A later version of the same format stands by beside this one.
#[test]
fn candidates_of_another_version_are_named_while_an_upgrade_goes_on() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let leads = candidate(&home, &url);
    home.wait_for_lines("led", 1);
    let later = "later|other-host|7|99.0.0";
    server.command(&["ZADD", "{incumbent:job}:candidates", "4000000000000", later]);
    let doctor = home.run(&["doctor", "job", "--store", &url]);
    let ours = env!("CARGO_PKG_VERSION");
    let named = format!("the candidates run different versions: {ours} (");
    assert!(doctor.stdout.contains(&named), "{doctor:#?}");
    let other = "99.0.0 (other-host pid 7)";
    assert!(doctor.stdout.contains(other), "{doctor:#?}");
    leads.signal(Signal::TERM);
}
