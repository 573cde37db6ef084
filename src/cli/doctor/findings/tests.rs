//! What a server says of itself, and what the doctor makes of it.

use super::*;

fn store(facts: &[(&str, &str)]) -> StoreEvidence {
    StoreEvidence {
        store: "redis://r/".to_owned(),
        examination: Ok(Examination {
            kind: "redis",
            facts: facts
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            withheld: None,
            trial: Some(Ok(())),
        }),
        latency: Some(Duration::from_millis(1)),
        clock_offset_ms: Some(3),
    }
}

fn findings(stores: Vec<StoreEvidence>) -> Vec<Finding> {
    judge(&Evidence {
        timing: Timing::default(),
        electorate: Electorate::new(stores.len()).unwrap(),
        view: None,
        stores,
    })
}

/// The first finding about a single store, as text; the note that there is one store is left out.
fn check(facts: &[(&str, &str)], expected: Option<(Severity, &str)>) {
    let found = findings(vec![store(facts)]);
    let first = found.iter().find(|finding| finding.store.is_some());
    let first = first.map(|finding| (finding.severity, finding.found.as_str()));
    assert_eq!(first, expected, "{facts:?}");
}

#[test]
fn what_a_server_says_is_judged_by_what_it_puts_at_risk() {
    use Severity::{Danger, Note, Warning};
    check(&[("redis_version", "7.0.15"), ("role", "master")], None);
    check(
        &[("redis_version", "5.0.3")],
        Some((Warning, "the server is version 5.0.3")),
    );
    check(
        &[("role", "slave")],
        Some((Danger, "the server is a replica")),
    );
    check(&[("connected_slaves", "0")], None);
    check(
        &[("connected_slaves", "2")],
        Some((Warning, "the server has replicas")),
    );
    check(&[("aof_enabled", "1")], None);
    check(
        &[("aof_enabled", "0")],
        Some((Note, "the server does not keep an append-only file")),
    );
    check(
        &[("rdb_last_bgsave_status", "err")],
        Some((Danger, "its last save to disk has failed")),
    );
    check(
        &[("maxmemory", "0"), ("maxmemory_policy", "allkeys-lru")],
        None,
    );
    check(
        &[("maxmemory", "100"), ("maxmemory_policy", "volatile-lru")],
        None,
    );
    check(
        &[("maxmemory", "100"), ("maxmemory_policy", "allkeys-lru")],
        Some((
            Danger,
            "the server evicts keys when it is full (maxmemory-policy allkeys-lru)",
        )),
    );
    check(
        &[
            ("maxmemory", "100"),
            ("maxmemory_policy", "noeviction"),
            ("used_memory", "91"),
        ],
        Some((Warning, "the server uses 91 of 100 bytes")),
    );
}

#[test]
fn latency_is_judged_against_the_timing_and_clocks_against_each_other() {
    for (millis, expected) in [
        (1, None),
        (260, Some(Severity::Warning)),
        (501, Some(Severity::Danger)),
    ] {
        let mut slow = store(&[]);
        slow.latency = Some(Duration::from_millis(millis));
        let found = findings(vec![slow]);
        let about = found.iter().find(|one| one.store.is_some());
        assert_eq!(about.map(|one| one.severity), expected, "{millis} ms");
    }
    let mut behind = store(&[]);
    behind.clock_offset_ms = Some(-5000);
    assert_eq!(
        findings(vec![behind])[0].found,
        "its clock is 5s behind ours"
    );
}

#[test]
fn two_addresses_of_one_server_are_no_two_votes() {
    let same = || store(&[("run_id", "a")]);
    let found = findings(vec![same(), store(&[("run_id", "b")]), same()]);
    assert_eq!(found[0].severity, Severity::Danger);
    assert!(
        found[0].found.ends_with("are the same server"),
        "{}",
        found[0].found
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn what_cannot_be_reached_or_is_forbidden_is_a_danger_with_a_fix() {
    let mut away = store(&[]);
    away.examination = Err(StoreError::Unreachable {
        store: "redis://r/".into(),
        source: std::sync::Arc::new(std::io::Error::other("refused")),
    });
    let mut forbidden = store(&[]);
    if let Ok(examination) = &mut forbidden.examination {
        examination.trial = Some(Err(StoreError::Denied {
            store: "redis://r/".into(),
            message: "NOPERM".to_owned(),
        }));
    }
    for evidence in [away, forbidden] {
        let found = findings(vec![evidence]);
        assert_eq!(found[0].severity, Severity::Danger);
        assert!(found[0].fix.is_some());
    }
}
