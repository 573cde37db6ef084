//! The time that passes before a candidate trusts stores that may have forgotten.

use super::*;

/// R5.
#[test]
fn probation_is_counted_from_the_first_sight_of_the_memories_of_a_majority() {
    let mut stage = Stage::new(3);
    stage.tick(0);
    for (sent, arrives) in std::mem::take(&mut stage.sent).iter().zip([100, 400, 700]) {
        stage.answer(arrives, sent);
    }
    stage.answer_all(800);
    stage.answer_all(800);
    let until = at(400) + Duration::from_secs(5);
    assert!(
        stage.has(|event| matches!(event, Event::Probation { until: end, .. } if *end == until))
    );
}

/// R5.
#[test]
fn probation_ends_with_heartbeats_that_were_sent_after_it_by_a_majority() {
    let mut stage = Stage::new(3);
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(100);
    stage.pass(150, 3_950);
    stage.tick(4_000);
    let before = std::mem::take(&mut stage.sent);
    assert_eq!(before.len(), 3, "heartbeats, before the end at 5,000 ms");
    for sent in &before {
        stage.answer(5_000, sent);
    }
    assert_eq!(
        stage.candidate.role(),
        Role::Probation,
        "none was sent after the end"
    );
    let after = std::mem::take(&mut stage.sent);
    assert_eq!(after.len(), 3, "all three were claimed");
    stage.answer(5_010, &after[0]);
    assert_eq!(
        stage.candidate.role(),
        Role::Probation,
        "one is no majority"
    );
    stage.answer(5_020, &after[1]);
    assert_eq!(stage.candidate.role(), Role::Leading);
}

/// R5: it does not do that each store was old enough when it granted something: all of them must have granted
/// something since the last of them was.
#[test]
fn a_store_that_was_proven_early_elects_nobody_by_what_it_granted_then() {
    let mut stage = Stage::new(3);
    let memory = |stage: &mut Stage, store: usize, seconds: u64| {
        let record = &mut stage.records[store];
        stage.kept[store].carry_out(record, &Request::Observe, WallMillis::ZERO);
        let memory = stage.kept[store].memory.as_mut().expect("it was used");
        memory.age = Duration::from_secs(seconds);
    };
    // The first has been proven for long, the second will be at 2,000 ms, the third does not answer.
    memory(&mut stage, 0, 500);
    memory(&mut stage, 1, 3);
    stage.tick(0);
    let polls = std::mem::take(&mut stage.sent);
    for sent in polls.iter().take(2) {
        stage.answer(0, sent);
    }
    stage.hear(0, &polls[2], Err(Failure::NotExecuted));
    stage.tick(100);
    let claims = |stage: &mut Stage| std::mem::take(&mut stage.sent).into_iter();
    for sent in claims(&mut stage).filter(|sent| sent.store.get() < 2) {
        stage.answer(100, &sent);
    }
    assert_eq!(stage.candidate.role(), Role::Probation);
    // From now on only the second one answers.
    for ms in (150..5_000).step_by(50) {
        stage.tick(ms);
        for sent in std::mem::take(&mut stage.sent) {
            match sent.store.get() {
                1 => stage.answer(ms, &sent),
                _ => stage.hear(ms, &sent, Err(Failure::NotExecuted)),
            }
        }
        assert_ne!(stage.candidate.role(), Role::Leading, "at {ms} ms");
    }
}

/// R6.
#[test]
fn a_refusal_during_probation_starts_over() {
    let mut stage = Stage::new(1);
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(0);
    stage.pass(50, 3_000);
    assert_eq!(stage.candidate.role(), Role::Probation);
    stage.records[0] = Record::ABSENT;
    stage.pass(3_050, 4_100);
    assert!(stage.has(|event| matches!(event, Event::ClaimFailed { .. })));
    stage.pass(4_150, 8_000);
    assert_ne!(
        stage.candidate.role(),
        Role::Leading,
        "5 s have not passed since the store forgot"
    );
}

#[test]
fn a_leader_vouches_for_the_memory_of_a_store_that_forgot_it_from_its_first_sight() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 1_500);
    stage.records[0] = Record::ABSENT;
    stage.pass(1_550, 2_500);
    assert!(stage.has(|event| matches!(event, Event::Joined { .. })));
    for ms in (2_550..8_500).step_by(50) {
        stage.pass(ms, ms);
        let age = stage.kept[0].memory.expect("it was used").age;
        // It was seen by the heartbeat at 2,000 ms.
        assert!(age <= Duration::from_millis(ms - 2_000), "{age:?} at {ms}");
        assert!(age + Duration::from_secs(1) >= Duration::from_millis(ms - 2_000));
    }
    assert_eq!(stage.candidate.role(), Role::Leading);
}

/// `R6`: a store that is asked to vouch for nothing does not look whether it has restarted, and a grant of one that
/// has shows nothing.
#[test]
fn every_heartbeat_of_a_probation_has_the_store_look_at_its_memory() {
    let mut stage = Stage::new(3);
    stage.kept[0] = Kept::new(Durability::Durable);
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(0);
    assert_eq!(stage.candidate.role(), Role::Probation);
    let mut heard = 0;
    for ms in (0..=4_900).step_by(50) {
        stage.tick(ms);
        for sent in &stage.sent {
            if let Request::Beat { attested, .. } = &sent.request {
                let memory = attested.map(|word| word.memory);
                assert_eq!(
                    memory,
                    Some(stage.kept[sent.store.get()].memory().id),
                    "{sent:?}"
                );
                heard += 1;
            }
        }
        stage.answer_all(ms);
    }
    assert!(heard >= 12, "{heard} heartbeats");
}

/// A successor hears of the releases one after the other. If two of them are not proof enough, it waits for
/// the third, which spares everyone a probation, but not for long.
#[test]
fn it_waits_a_moment_for_the_store_that_spares_a_probation_and_no_longer() {
    for told in [true, false] {
        let mut stage = Stage::trusted(3);
        for store in 0..3 {
            stage.held_by_another(store);
        }
        // It has lost its data not long ago.
        stage.kept[2] = Kept::new(Durability::Forgetful);
        stage.pass(0, 0);
        let wake = |stage: &mut Stage, ms, store: usize| {
            stage.records[store].occupancy = Occupancy::Vacant;
            let woken = stage.release(store, None);
            stage.input(ms, woken);
        };
        wake(&mut stage, 10, 0);
        wake(&mut stage, 11, 2);
        assert!(stage.sent.is_empty(), "{:?}", stage.sent);
        if told {
            wake(&mut stage, 12, 1);
            assert_eq!(stage.sent.len(), 3);
            stage.answer_all(13);
            assert_eq!(stage.candidate.role(), Role::Leading);
        } else {
            // It looks at all of them meanwhile.
            let claims = |stage: &Stage| {
                let claim = |sent: &&Outgoing| matches!(sent.request, Request::Claim(_));
                stage.sent.iter().filter(claim).count()
            };
            stage.tick(60);
            assert_eq!((stage.sent.len(), claims(&stage)), (3, 0));
            stage.tick(61);
            assert_eq!(claims(&stage), 2);
            stage.answer_all(62);
            assert_eq!(stage.candidate.role(), Role::Probation);
        }
    }
}

/// It waits on two stores of three while one of them is away, and another candidate could win on the others.
#[test]
fn a_probation_that_no_majority_answers_is_given_up() {
    let mut stage = Stage::new(3);
    let answered = |stage: &mut Stage, ms: u64, up: [usize; 2]| {
        stage.tick(ms);
        for sent in std::mem::take(&mut stage.sent) {
            match up.contains(&sent.store.get()) {
                true => stage.answer(ms, &sent),
                false => stage.hear(ms, &sent, Err(Failure::NotExecuted)),
            }
        }
    };
    for ms in (0..1_000).step_by(50) {
        answered(&mut stage, ms, [0, 1]);
    }
    assert_eq!(stage.candidate.role(), Role::Probation);
    for ms in (1_000..12_000).step_by(50) {
        answered(&mut stage, ms, [0, 2]);
    }
    assert_eq!(stage.candidate.role(), Role::Leading);
}
