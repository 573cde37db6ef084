//! Candidates with different lists of stores: majorities of two lists need not meet, so no two may be used at
//! once.

use incumbent::store::StoreList;
use rustix::process::Signal;

use super::home::{Home, Running, leader, wait_until};
use crate::support::redis::RedisServer;

/// A candidate that is starved for a while stands by again, and is still there.
const RUN: [&str; 5] = ["run", "job", "--interval", "200ms", "--restart"];

fn servers(count: usize) -> (Vec<RedisServer>, Vec<String>) {
    let servers: Vec<RedisServer> = (0..count).map(|_| RedisServer::start()).collect();
    let urls = servers.iter().map(RedisServer::url).collect();
    (servers, urls)
}

fn stores<'a>(urls: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let flags = urls
        .into_iter()
        .map(|url| ["--store".to_owned(), url.clone()]);
    flags.flatten().collect()
}

fn command(words: &[&str], stores: &[String], rest: &[&str]) -> Vec<String> {
    let words = words.iter().map(|word| (*word).to_owned());
    let rest = rest.iter().map(|word| (*word).to_owned());
    words.chain(stores.iter().cloned()).chain(rest).collect()
}

/// Starts a candidate with these stores and a window of 200 ms times `polls`, whose program writes a line to `log`
/// when it starts.
fn candidate(home: &Home, polls: &str, stores: &[String], log: &str) -> Running {
    let program = leader(&home.path(log));
    let words = [&RUN[..], &["--stall-polls", polls]].concat();
    let command = command(&words, stores, &["--", "sh", "-c", &program]);
    home.start(&command.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_candidate_with_other_stores_than_the_others_does_not_start() {
    let home = Home::new();
    let (_servers, urls) = servers(4);
    let local = |url: &String| url.replace("127.0.0.1", "localhost");
    let bounded = [&RUN[..], &["--stall-polls", "20", "--wait-timeout", "30s"]].concat();
    let old = stores(&urls[..3]);
    let _first = candidate(&home, "20", &old, "led");
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
    let other = candidate(&home, "20", &written, "led");
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

#[test]
fn two_that_lead_with_different_stores_both_end_when_the_shared_one_is_back() {
    let home = Home::new();
    let (servers, urls) = servers(5);
    let shared = &servers[2];
    let ours = stores(&urls[..3]);
    let mut first = candidate(&home, "15", &ours, "first");
    home.wait_for_lines("first", 1);
    let mut standby = candidate(&home, "15", &ours, "standby");
    standby.wait_said("standing by");
    shared.freeze();
    let mut other = candidate(&home, "15", &stores(&urls[2..]), "other");
    home.wait_for_lines("other", 1);
    assert!(!first.has_ended() && !standby.has_ended());
    shared.thaw();

    let pid = other.pid();
    for one in [&mut first, &mut standby] {
        assert_eq!(one.wait(), 78);
        one.assert_said(&format!("pid {pid} does not use {}", urls[0]));
        one.assert_said(&format!("It uses {}, 2 other stores", urls[2]));
        one.assert_said("stop every candidate on every host, wait one window");
    }
    assert_eq!(other.wait(), 78);
    other.assert_said(&format!("does not use {}", urls[3]));
    assert_eq!(home.lines("standby"), [""; 0]);
    let history = home.run(&command(&["history", "job"], &ours, &["-o", "json"]));
    assert!(history.stdout.contains("\"other-stores\""), "{history:#?}");
}

#[test]
fn the_order_of_the_stores_does_not_count() {
    let home = Home::new();
    let (_servers, urls) = servers(3);
    let first = candidate(&home, "10", &stores(&urls), "first");
    home.wait_for_lines("first", 1);
    let turned = candidate(&home, "10", &stores(urls.iter().rev()), "turned");
    turned.wait_said("standing by");
    let candidates = home.run(&command(&["candidates", "job"], &stores(&urls), &[]));
    assert!(
        !candidates.stdout.contains("differently"),
        "{candidates:#?}"
    );
    first.signal(Signal::TERM);
    home.wait_for_lines("turned", 1);
}

#[test]
fn the_list_is_changed_as_the_runbook_says_although_a_dead_candidate_is_still_listed() {
    let home = Home::new();
    let (servers, urls) = servers(5);
    let old = stores(&urls[..3]);
    let mut leader = candidate(&home, "10", &old, "old");
    home.wait_for_lines("old", 1);
    let mut standby = candidate(&home, "10", &old, "standby");
    standby.wait_said("standing by");
    standby.signal(Signal::KILL);
    standby.wait_killed();
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 0);
    // Anyone with access to the server can write such an entry, which no store forgets.
    let key = "{incumbent:job}:candidates";
    let list = StoreList::new(urls[..3].iter().map(String::as_str));
    let forged = format!("stranger|host|1|0.1.0|||{list}");
    servers[2].command(&["ZADD", key, "4000000000000", &forged]);

    let new = candidate(&home, "10", &stores(&urls[2..]), "new");
    let tokens = [home.lines("old"), home.wait_for_lines("new", 1)];
    let tokens = tokens.map(|lines| lines[0].parse::<u64>().unwrap());
    assert!(tokens[0] < tokens[1], "{tokens:?}");
    new.assert_said("checking whether it is alive");
}
