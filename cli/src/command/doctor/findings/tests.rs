//! What a server says of itself, and what the doctor makes of it.

use incumbent::observe::StoreView;
use incumbent::protocol::{
    Beat, FencingToken, Occupancy, Orders, Pause, Reason, Record, TimingConfig, WallMillis,
};
use incumbent::store::Identity;
use incumbent::store::{Inspection, SeenCandidate};

use super::*;

fn store(facts: &[(&str, &str)]) -> StoreEvidence {
    let mut examination = Examination::default();
    examination.kind = "redis";
    examination.trial = Some(Ok(()));
    examination.facts = facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    StoreEvidence {
        store: "redis://r/".to_owned(),
        examination: Ok(examination),
        latency: Some(Duration::from_millis(1)),
        clock_offset_ms: Some(3),
    }
}

fn findings(stores: Vec<StoreEvidence>) -> Vec<Finding> {
    judge(&evidence(stores))
}

fn evidence(stores: Vec<StoreEvidence>) -> Evidence {
    Evidence {
        chosen: None,
        keeping: Ok(Keeping {
            asked: Contain::Auto,
            containment: Containment {
                pid_namespace: true,
                unfenced: None,
                ..in_cgroup()
            },
            memory_locked: true,
            real_time: true,
            reads_others: true,
            quota: None,
        }),
        electorate: Electorate::new(stores.len()).unwrap(),
        view: None,
        stores,
    }
}

fn nothing() -> Containment {
    Containment {
        cgroup: None,
        pid_namespace: false,
        hidden: false,
        unfenced: Some("it may not".to_owned()),
    }
}

fn in_cgroup() -> Containment {
    Containment {
        cgroup: Some("/sys/fs/cgroup/a".into()),
        ..nothing()
    }
}

fn hidden() -> Containment {
    Containment {
        hidden: true,
        ..nothing()
    }
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
    let replicated = |version| [("redis_version", version), ("min_slaves_good_slaves", "1")];
    check(&replicated("7.0.15"), None);
    check(
        &replicated("6.2.5"),
        Some((
            Warning,
            "version 6.2.5 does not apply min-replicas-to-write to scripts",
        )),
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
    check(&[("aof_enabled", "1"), ("appendfsync", "no")], None);
    check(
        &[("aof_enabled", "0"), ("save", "")],
        Some((Note, "the server keeps nothing on disk")),
    );
    for facts in [
        &[("aof_enabled", "0"), ("save", "3600 1 300 100")][..],
        &[("aof_enabled", "0")],
    ] {
        check(facts, Some((Note, "the server keeps no append-only file")));
    }
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
        assert!(!found[0].fix.is_empty());
    }
}

#[test]
fn what_an_election_can_do_without_is_told_by_its_right_and_wrong_credentials_once() {
    let denied = |message: &str| StoreError::Denied {
        store: "redis://r/".into(),
        message: message.to_owned(),
    };
    let mut lacking = store(&[]);
    if let Ok(examination) = &mut lacking.examination {
        examination.refused = vec![("xadd", denied("NOPERM"))];
        examination.withheld = Some(denied("NOPERM info"));
    }
    let found = findings(vec![lacking]);
    // No candidate does without this one.
    assert_eq!(found[0].severity, Severity::Danger);
    assert_eq!(found[0].fix, "give the user the right +info");
    assert_eq!(found[1].severity, Severity::Warning);
    assert_eq!(
        found[1].found,
        "xadd is not possible: it refuses access: NOPERM"
    );
    assert_eq!(found[1].fix, "give the user the right +xadd");

    let mut wrong = store(&[]);
    if let Ok(examination) = &mut wrong.examination {
        examination.trial = Some(Err(denied("WRONGPASS")));
        examination.refused = vec![("xadd", denied("WRONGPASS"))];
        examination.withheld = Some(denied("WRONGPASS"));
    }
    let found = findings(vec![wrong]);
    let about = found.iter().filter(|one| one.store.is_some());
    assert_eq!(about.count(), 1, "{found:?}");
}

/// A candidate with this process id.
fn candidate(pid: u32, version: &str) -> Identity {
    let id = format!("c{pid}").parse().unwrap();
    Identity::new(id, "host", pid, version).unwrap()
}

/// An election with these candidates.
fn fleet(candidates: impl Iterator<Item = Identity>) -> ElectionView {
    let at = WallMillis::new(1).unwrap();
    let mut inspection = Inspection::new(Record::ABSENT, at);
    inspection.candidates = candidates
        .map(|identity| SeenCandidate::new(identity, at))
        .collect();
    let seen = StoreView::new("redis://r/", Ok(inspection));
    let one = Electorate::new(1).unwrap();
    ElectionView::merge("billing".parse().unwrap(), one, vec![seen])
}

/// The severities and the texts of what is found about these candidates, on a server.
fn of_candidates(chosen: Option<&TimingConfig>, timings: &[TimingConfig]) -> Vec<Finding> {
    let mut server = store(&[]);
    if let Ok(examination) = &mut server.examination {
        examination.kind = "redis";
    }
    let mut evidence = evidence(vec![server]);
    evidence.chosen = chosen.map(|config| Timing::new(config).unwrap());
    let candidates = (1..)
        .zip(timings)
        .map(|(pid, config)| candidate(pid, "0.1.0").with_timing(Timing::new(config).unwrap()));
    evidence.view = Some(fleet(candidates));
    let mut found = judge(&evidence);
    found.retain(|one| one.severity > Severity::Note);
    found
}

#[test]
fn the_timings_of_all_candidates_are_compared() {
    let usual = TimingConfig::default();
    let patient = TimingConfig {
        stall_polls: 9,
        ..usual.clone()
    };
    let waiting = TimingConfig {
        probation: Some(Duration::from_secs(9)),
        ..usual.clone()
    };
    assert_eq!(of_candidates(None, &[usual.clone(), usual.clone()]), []);
    let chosen = of_candidates(Some(&patient), &[usual.clone(), usual.clone()]);
    assert_eq!(chosen[0].severity, Severity::Warning);
    assert!(chosen[0].found.contains("this configuration"), "{chosen:?}");

    let mixed = of_candidates(None, &[usual.clone(), patient.clone(), usual]);
    let severities: Vec<_> = mixed.iter().map(|one| one.severity).collect();
    assert_eq!(severities, [Severity::Danger, Severity::Warning]);
    assert_eq!(
        mixed[0].found,
        "host pid 1 (5s), host pid 3 (5s) would not wait for the window of host pid 2, 9s, after a \
         store has lost its data"
    );
    assert_eq!(mixed[0].fix, "set probation = \"9s\" everywhere");
    assert!(mixed[1].found.contains("1s × 9"), "{mixed:?}");

    // A candidate that waits for the longest window is safe.
    let safe = of_candidates(None, &[waiting, patient]);
    assert_eq!(safe.len(), 1, "{safe:?}");
    assert_eq!(safe[0].severity, Severity::Warning);
}

#[test]
fn candidates_of_different_versions_are_named() {
    let of = |versions: &[&str]| {
        let mut evidence = evidence(vec![store(&[])]);
        let candidates = (1..).zip(versions);
        let candidates = candidates.map(|(pid, version)| candidate(pid, version));
        evidence.view = Some(fleet(candidates));
        let mut found = judge(&evidence).into_iter();
        found.find_map(|one| one.found.contains("versions").then_some(one.found))
    };
    assert_eq!(of(&["0.2.0", "0.2.0"]), None);
    assert_eq!(
        of(&["0.2.0", "0.3.0", "0.2.0"]).unwrap(),
        "the candidates run different versions: 0.2.0 (host pid 1, host pid 3); 0.3.0 (host pid 2)"
    );
}

#[test]
fn a_record_with_the_highest_term_is_told_with_its_repair() {
    for (floor, told) in [
        (FencingToken::MAX.get() - 1, false),
        (FencingToken::MAX.get(), true),
    ] {
        let mut evidence = evidence(vec![store(&[])]);
        let mut view = fleet([1, 2].map(|pid| candidate(pid, "0.1.0")).into_iter());
        view.stores[0].inspection.as_mut().unwrap().record.floor =
            FencingToken::new(floor).unwrap();
        evidence.view = Some(view);
        let found = judge(&evidence);
        let about = found.iter().find(|one| one.found.contains("highest term"));
        assert_eq!(about.is_some(), told, "{found:?}");
        assert!(about.is_none_or(|one| {
            one.severity == Severity::Danger && one.fix.contains("delete the record")
        }));
    }
}

#[test]
fn a_pause_is_told_with_what_it_puts_at_risk() {
    let paused = |record: Record, clock: u64| {
        let mut view = fleet([1, 2].map(|pid| candidate(pid, "0.1.0")).into_iter());
        if let Ok(inspection) = &mut view.stores[0].inspection {
            inspection.record = record;
            inspection.record.orders.paused = Some(Pause {
                until: None,
                by: "ops@desk".parse().unwrap(),
                reason: Some(Reason::new("new disks").unwrap()),
            });
            inspection.changed = WallMillis::new(1);
            inspection.clock = WallMillis::new(clock).unwrap();
        }
        let mut evidence = evidence(vec![store(&[])]);
        let ElectionView {
            election,
            electorate,
            stores,
            ..
        } = view;
        evidence.view = Some(ElectionView::merge(election, electorate, stores));
        let all = judge(&evidence);
        let found = all.into_iter().find(|one| one.found.contains("paused"));
        let found = found.expect("a pause is a finding");
        assert_eq!(
            found.found,
            "the election is paused by ops@desk until it is resumed: new disks"
        );
        assert!(found.fix.contains("incumbent resume billing"), "{found:?}");
        (found.severity, found.risk)
    };
    let term = FencingToken::new(5).unwrap();
    let held = Record {
        floor: term,
        term,
        beat: Beat::first(term, Beat::default()),
        occupancy: Occupancy::Held {
            holder: "c1".parse().unwrap(),
            window: Duration::from_secs(5),
        },
        orders: Orders::NONE,
    };
    let (severity, risk) = paused(held.clone(), 2);
    assert_eq!(severity, Severity::Warning);
    assert!(risk.starts_with("when the leader dies"), "{risk}");
    for (record, clock) in [(held, 60_000), (Record::ABSENT, 2)] {
        let (severity, risk) = paused(record, clock);
        assert_eq!(
            (severity, &*risk),
            (Severity::Danger, "no one is elected until it ends")
        );
    }
}

#[test]
fn how_a_program_would_be_kept_here_is_told() {
    let mut evidence = evidence(vec![store(&[])]);
    evidence.keeping = Ok(Keeping {
        asked: Contain::Auto,
        containment: nothing(),
        memory_locked: false,
        real_time: false,
        reads_others: true,
        quota: None,
    });
    let found: Vec<String> = judge(&evidence).into_iter().map(|one| one.found).collect();
    for part in ["no cgroup", "PID namespace", "no real-time priority"] {
        assert!(found.iter().any(|one| one.contains(part)), "{found:?}");
    }
    assert!(
        found
            .iter()
            .any(|one| one.contains("cannot lock its memory"))
    );
    evidence.keeping = Ok(Keeping {
        asked: Contain::Auto,
        containment: hidden(),
        memory_locked: true,
        real_time: true,
        reads_others: true,
        quota: None,
    });
    let found: Vec<Finding> = judge(&evidence).into_iter().collect();
    assert!(found.iter().any(|one| one.found.contains("hidepid")));
    for (real_time, severity) in [(false, Severity::Danger), (true, Severity::Note)] {
        evidence.keeping = Ok(Keeping {
            asked: Contain::Auto,
            containment: hidden(),
            memory_locked: true,
            real_time,
            reads_others: true,
            quota: Some(Quota {
                group: "/sys/fs/cgroup/a".into(),
                processors: 0.2,
                throttled: 7,
            }),
        });
        let found = judge(&evidence);
        let of_quota = found
            .iter()
            .find(|one| one.found.contains("quota"))
            .unwrap();
        assert!(
            of_quota
                .found
                .ends_with("0.20 processors in /sys/fs/cgroup/a, throttled 7 times")
        );
        assert_eq!(of_quota.severity, severity);
    }
    if let Ok(kept) = &mut evidence.keeping {
        kept.containment = in_cgroup();
        kept.reads_others = false;
    }
    let found = judge(&evidence);
    assert!(
        found
            .iter()
            .any(|one| one.risk.contains("release --after-unit")),
        "{found:?}"
    );
    let outlives = |found: &[Finding]| found.iter().any(|one| one.fix.contains("--contain pidns"));
    assert!(outlives(&found), "{found:?}");
    if let Ok(kept) = &mut evidence.keeping {
        kept.containment.pid_namespace = true;
    }
    assert!(!outlives(&judge(&evidence)));
    if let Ok(kept) = &mut evidence.keeping {
        (kept.asked, kept.containment) = (Contain::Subreaper, nothing());
    }
    let found = judge(&evidence);
    let advised = found
        .iter()
        .filter(|one| one.fix.starts_with("leave out contain = subreaper"));
    assert_eq!(advised.count(), 2, "{found:?}");
    evidence.keeping = Err("EAGAIN".to_owned());
    assert_eq!(judge(&evidence)[0].severity, Severity::Danger);
}
