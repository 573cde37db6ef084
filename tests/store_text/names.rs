//! Names and identities: what is written can be read again, and the error names the rule that was broken.

use std::time::Duration;

use incumbent::protocol::{CandidateId, ElectionName, InvalidText, Timing, TimingConfig};
use incumbent::store::{Identity, InvalidIdentity, StoreList};
use proptest::prelude::*;

use super::support::seed;

#[test]
fn an_election_name_is_refused_with_the_rule_it_breaks() {
    let refusal = |text: &str| ElectionName::new(text).expect_err("a bad name").to_string();
    assert_eq!(refusal(""), "the name is empty: give it 1 to 200 bytes");
    assert!(refusal(&"x".repeat(201)).contains("201 bytes: at most 200"));
    assert!(refusal(&"é".repeat(101)).contains("202 bytes"));
    for (text, at) in [
        ("{a", 0),
        ("a}", 1),
        ("ab\n", 2),
        ("é\0", 2),
        ("a\u{85}", 1),
        ("\x7f", 0),
    ] {
        let error = ElectionName::new(text).expect_err("a bad name");
        let character = text[at..].chars().next().expect("a character");
        let InvalidText::Character {
            character: found,
            at: place,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((found, place), (character, at));
    }
    for text in ["a", " ", "a b", "a:b/c*?", "日本", &"x".repeat(200)] {
        assert_eq!(ElectionName::new(text).expect("a good name").as_str(), text);
    }
}

#[test]
fn an_identity_is_refused_with_the_part_that_breaks_a_rule() {
    let refusal = |text: &str| {
        let error = text.parse::<Identity>().expect_err("a bad identity");
        (error.to_string(), error)
    };
    for text in ["", "a", "a|h", "a|h|1"] {
        assert!(matches!(
            refusal(text).1,
            InvalidIdentity::Part(InvalidText::Empty { .. }) | InvalidIdentity::Incomplete
        ));
    }
    for (text, part) in [
        ("|h|1|v", "candidate id is empty"),
        ("a||1|v", "host name is empty"),
        ("a|h|1|", "version is empty"),
        ("a|h|x|v", "process id \"x\""),
        ("a|h|-1|v", "process id \"-1\""),
        ("a|h|4294967296|v", "process id \"4294967296\""),
        ("a b|h|1|v", "' '"),
        ("a|h|1|v|w", "not five numbers"),
        ("ä|h|1|v", "'ä'"),
        ("a|h\"|1|v", "'\"'"),
        ("a|h\\|1|v", "'\\\\'"),
        ("a{|h|1|v", "'{'"),
    ] {
        let (message, _) = refusal(text);
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let long = "x".repeat(254);
    assert!(
        refusal(&format!("{long}|h|1|v"))
            .0
            .contains("254 bytes: at most 200")
    );
    assert!(
        refusal(&format!("a|{long}|1|v"))
            .0
            .contains("254 bytes: at most 253")
    );
}

#[test]
fn every_identity_can_be_read_as_it_is_written() {
    let word = || "[!-~]{1,40}".prop_map(|text| text.replace(['|', '{', '}', '"', '\\'], "_"));
    let parts = (word(), word(), any::<u32>(), word());
    let place = "--test store_text every_identity";
    seed::check(place, 1000, &parts, |(id, host, pid, version)| {
        let id = CandidateId::new(&id).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let identity = Identity::new(id, &host, pid, &version)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let read: Identity = identity
            .to_string()
            .parse()
            .map_err(|error: InvalidIdentity| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(read.pid(), pid);
        prop_assert_eq!(
            (read.host(), read.version()),
            (host.as_str(), version.as_str())
        );
        prop_assert_eq!(read, identity);
        Ok(())
    });
}

#[test]
fn every_timing_of_a_candidate_can_be_read_as_it_is_written() {
    let parts = (
        1..2_000_000_000_u64,
        3..2_000_u32,
        1..1_000_u64,
        0..100_u64,
        0..1_000_u64,
    );
    let place = "--test store_text every_timing_of_a_candidate";
    seed::check(
        place,
        1000,
        &parts,
        |(interval, stall_polls, op, grace, more)| {
            let interval = Duration::from_nanos(interval);
            let config = TimingConfig {
                interval,
                stall_polls,
                op_timeout: Some(Duration::from_nanos(op).min(interval)),
                stop_grace: Duration::from_millis(grace),
                probation: Some(interval * stall_polls + Duration::from_nanos(more)),
            };
            // What breaks the inequality is no timing, and no candidate has it.
            let Ok(timing) = Timing::new(&config) else {
                return Ok(());
            };
            let plain: Identity = "a|host|1|0.1.0"
                .parse()
                .map_err(|error: InvalidIdentity| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(plain.timing(), None);
            let contained = |identity: &Identity| {
                let contained = identity.clone().with_containment("cgroup");
                contained.map_err(|error| TestCaseError::fail(error.to_string()))
            };
            let identity = plain.clone().with_timing(timing);
            let stores = StoreList::new(["redis://a:6379", "redis://b:6379"]);
            for identity in [contained(&plain)?, contained(&identity)?, identity, plain] {
                let with_stores = identity.clone().with_stores(stores.clone());
                for identity in [identity, with_stores] {
                    prop_assert_eq!(identity.to_string().parse::<Identity>(), Ok(identity));
                }
            }
            Ok(())
        },
    );
}

#[test]
fn a_containment_is_a_word() {
    let refused = |containment: &str| {
        let text = format!("a|host|1|0.1.0||{containment}");
        text.parse::<Identity>().unwrap_err().to_string()
    };
    for text in ["", "a b", "a{b", &"c".repeat(41)] {
        assert!(refused(text).contains("containment"), "{text}");
    }
}

#[test]
fn a_timing_that_nobody_can_campaign_by_is_refused_with_what_is_wrong() {
    let refused = |timing: &str| {
        let text = format!("a|host|1|0.1.0|{timing}");
        text.parse::<Identity>().unwrap_err().to_string()
    };
    for text in ["", "1", "1/2/3/4", "1/2/3/4/5/6", "1/2/3/4/x", "-1/2/3/4/5"] {
        assert!(refused(text).contains("not five numbers"), "{text}");
    }
    assert!(refused("1000000000/5/1000000000/9000000000/5000000000").contains("does not hold"));
}

/// Whatever a stranger wrote: no panic, and what is accepted obeys the rules.
#[test]
fn any_text_is_a_name_by_the_rules_or_no_name() {
    let place = "--test store_text any_text_is_a_name";
    seed::check(place, 2000, &any::<String>(), |text| {
        let good = (1..=200).contains(&text.len())
            && !text.chars().any(|c| c.is_control() || c == '{' || c == '}');
        prop_assert_eq!(ElectionName::new(&text).is_ok(), good);
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"|{}\"\\".contains(&byte));
        let good = (1..=200).contains(&text.len()) && plain;
        prop_assert_eq!(CandidateId::new(&text).is_ok(), good);
        if let Ok(identity) = text.parse::<Identity>() {
            prop_assert_eq!(identity.to_string().parse::<Identity>(), Ok(identity));
        }
        Ok(())
    });
}
