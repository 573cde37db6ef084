//! Candidates with different lists of stores: majorities of two lists need not meet, so no two may be used at
//! once.

use super::home::{Home, leader, wait_until};
use crate::support::redis::RedisServer;

#[test]
fn a_candidate_with_other_stores_than_the_others_does_not_start() {
    let home = Home::new();
    let servers: Vec<RedisServer> = (0..4).map(|_| RedisServer::start()).collect();
    let urls: Vec<String> = servers.iter().map(RedisServer::url).collect();
    let local = |url: &String| url.replace("127.0.0.1", "localhost");
    let stores = |urls: &[String]| -> Vec<String> {
        let flags = urls.iter().map(|url| ["--store".to_owned(), url.clone()]);
        flags.flatten().collect()
    };
    let command = |words: &[&str], stores: &[String], rest: &[&str]| -> Vec<String> {
        let words = words.iter().map(|word| (*word).to_owned());
        let rest = rest.iter().map(|word| (*word).to_owned());
        words.chain(stores.iter().cloned()).chain(rest).collect()
    };
    // A candidate that is starved for a while stands by again, and is still there.
    let patient = ["--interval", "200ms", "--stall-polls", "20", "--restart"];
    let run = [&["run", "job"][..], &patient].concat();
    let bounded = [&run[..], &["--wait-timeout", "30s"]].concat();
    let program = leader(&home.path("led"));
    let old = stores(&urls[..3]);
    let first = command(&run, &old, &["--", "sh", "-c", &program]);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let _first = home.start(&first);
    home.wait_for_lines("led", 1);

    // The fourth store takes the place of the first: {1, 3} is a majority of one, {2, 4} of the other.
    let new = stores(&urls[1..]);
    let refused = home.run(&command(&bounded, &new, &["--", "true"]));
    let lacks = format!("does not use {}", urls[3].trim_end_matches('/'));
    refused.assert(78, &lacks);
    refused.assert(78, "stop every candidate on every host, wait one window");
    let alone = home.run(&command(&bounded, &stores(&urls[..1]), &["--", "true"]));
    alone.assert(78, "uses 3 stores and not 1");

    let doctor = home.run(&command(&["doctor", "job"], &new, &[]));
    assert_eq!(doctor.status, 2, "{doctor:#?}");
    assert!(doctor.stdout.contains(&lacks), "{doctor:#?}");
    let candidates = home.run(&command(&["candidates", "job"], &new, &[]));
    assert!(candidates.stdout.contains(&lacks), "{candidates:#?}");
    let candidates = home.run(&command(&["candidates", "job"], &old, &[]));
    assert!(
        !candidates.stdout.contains("does not use"),
        "{candidates:#?}"
    );

    // The same servers under other names.
    let mut written = stores(&urls[..3]);
    written[1] = local(&urls[0]);
    let other = command(&run, &written, &["--", "sh", "-c", &program]);
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    let other = home.start(&other);
    other.wait_said("writes the addresses of the stores differently");
    wait_until("both campaign", || {
        let json = home.run(&command(&["candidates", "job"], &old, &["-o", "json"]));
        json.json()["candidates"].as_array().unwrap().len() == 2
    });
    let doctor = home.run(&command(&["doctor", "job"], &old, &[]));
    assert_eq!(
        doctor.stdout.matches("writes the addresses").count(),
        1,
        "{doctor:#?}"
    );
}
