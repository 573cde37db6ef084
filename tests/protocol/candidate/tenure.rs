//! A leader's tenure: what prolongs it, and what ends it.

use super::*;

/// A counter that a standby may have seen before a store forgot must not come back after.
#[test]
fn a_store_that_is_joined_again_counts_on() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 3_500);
    let counted = stage.records[0].beat;
    stage.records[0] = Record::ABSENT;
    stage.pass(3_550, 4_500);
    assert!(
        stage.records[0].beat > counted,
        "{} after {counted}",
        stage.records[0].beat
    );
}

#[test]
fn a_lease_runs_from_the_sending_of_what_is_acknowledged() {
    let mut stage = Stage::trusted(1);
    stage.records[0] = Stage::leading(1).records[0].clone();
    stage.records[0].occupancy = Occupancy::Vacant;
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(400);
    assert_eq!(stage.deadline_ms(), 4_900, "the claim was sent at 0 ms");
    stage.tick(1_000);
    stage.answer_all(1_700);
    assert_eq!(
        stage.deadline_ms(),
        5_900,
        "the heartbeat was sent at 1,000 ms"
    );
}

#[test]
fn nothing_is_released_before_the_work_has_ended() {
    for (resigns, until) in [(true, 20_000), (false, 20_000)] {
        let mut stage = Stage::leading(1);
        stage.pass(50, 500);
        if resigns {
            stage.input(550, Input::Resign(LossReason::Resigned));
        }
        for ms in (600..until).step_by(50) {
            stage.tick(ms);
            assert!(!stage.sent.iter().any(is_release), "at {ms} ms");
            if resigns {
                stage.answer_all(ms);
            } else {
                // Nothing is answered, so that the tenure ends.
                stage.sent.clear();
            }
        }
        assert!(resigns || stage.has(|event| matches!(event, Event::Expired { .. })));
        stage.input(until, Input::WorkEnded(LossReason::Resigned));
        assert!(stage.sent.iter().any(is_release));
    }
}

/// An order to stop a leader carries a reason for people. Only what the stores show revokes the right to act.
#[test]
fn a_leader_that_is_told_to_stop_acts_until_its_deadline_whatever_the_reason() {
    for reason in [
        LossReason::Resigned,
        LossReason::Deposed,
        LossReason::StoreForgot,
    ] {
        let mut stage = Stage::leading(1);
        let deadline = stage.deadline_ms();
        stage.input(10, Input::Resign(reason));
        assert_eq!(stage.deadline_ms(), deadline, "{reason:?}");
        assert!(stage.candidate.may_act(at(deadline - 1)), "{reason:?}");
        stage.pass(50, 2_500);
        assert!(stage.deadline_ms() > deadline, "{reason:?}");
    }
}

#[test]
fn a_leader_that_uses_other_stores_than_another_candidate_acts_until_its_deadline_which_stays() {
    let mut stage = Stage::leading(1);
    let deadline = stage.deadline_ms();
    stage.input(10, Input::Resign(LossReason::OtherStores));
    stage.pass(50, 2_500);
    assert_eq!(stage.deadline_ms(), deadline);
    assert!(stage.candidate.may_act(at(deadline - 1)));
}

#[test]
fn a_reply_after_the_end_of_the_tenure_changes_nothing() {
    let mut stage = Stage::leading(1);
    let mut late = None;
    for ms in (50..4_850).step_by(50) {
        stage.tick(ms);
        late = std::mem::take(&mut stage.sent).pop().or(late);
    }
    let late = late.expect("heartbeats that were not answered");
    let deadline = stage.deadline_ms();
    stage.answer(deadline, &late);
    assert_eq!(stage.deadline_ms(), deadline);
    assert!(!stage.candidate.may_act(at(deadline)));
    stage.pass(deadline + 50, deadline + 3_000);
    assert_eq!(stage.deadline_ms(), deadline);
    assert!(!stage.candidate.may_act(at(deadline + 50)));
}

#[test]
fn who_was_forgotten_and_lost_the_store_to_another_does_not_lead_on() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 1_500);
    stage.held_by_another(0);
    stage.kept[0].begin_again();
    stage.pass(1_550, 2_500);
    let deadline = stage.deadline_ms();
    let forgot = |event: &Event| {
        matches!(
            event,
            Event::Stopping {
                reason: LossReason::StoreForgot,
                ..
            }
        )
    };
    assert!(stage.has(forgot));
    stage.records[0] = Record::ABSENT;
    stage.pass(2_550, 4_500);
    assert_eq!(stage.deadline_ms(), deadline);
}

/// The server was restarted from a state in which another still held the election. A heartbeat that is granted does
/// not look for that, and one that is refused does: the other cannot act yet, so there is time for the work to stop.
#[test]
fn a_leader_that_a_restarted_store_refuses_is_forgotten_and_not_deposed() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 1_500);
    stage.held_by_another(0);
    stage.kept[0].restarted = true;
    stage.pass(1_550, 2_500);
    let reasons = stage.events.iter().filter_map(|event| match event {
        Event::Stopping { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [LossReason::StoreForgot]);
    assert!(stage.candidate.may_act(at(2_500)));
}

/// The elections of a process share a timer, a write and a read for what is due together, and no heartbeat is late for
/// that.
#[test]
fn heartbeats_are_due_at_one_of_256_moments_of_an_interval_and_never_late() {
    let (interval, share) = (1_000_000_000, 1_000_000_000 / 256);
    for won in [0, 1, 3, 500, 777] {
        let mut stage = Stage::trusted(1);
        stage.records[0].occupancy = Occupancy::Vacant;
        stage.tick(won);
        let sent = stage.sent.pop().expect("a poll");
        let mut now = at(won);
        let answer = |stage: &mut Stage, now: Timestamp, sent: &Outgoing| {
            let reply = stage.carry_out(won, sent);
            let (store, id) = (sent.store, sent.id);
            let result = Ok(reply);
            stage
                .candidate
                .handle(now, Input::Replied { store, id, result })
        };
        let mut step = answer(&mut stage, now, &sent);
        for beat in 0..6 {
            let sent = step.sends.pop().expect("a claim or a heartbeat");
            let due = answer(&mut stage, now, &sent).wake_at;
            assert!(due <= now + Duration::from_nanos(interval), "late: {beat}");
            assert!(due + Duration::from_nanos(share) > now + Duration::from_nanos(interval));
            if beat > 0 {
                assert_eq!(due.as_nanos() % share, 0, "{beat}");
            }
            now = due;
            step = stage.candidate.handle(now, Input::Tick);
        }
    }
}

#[test]
fn work_that_overruns_polls_a_free_store_once_an_interval() {
    let mut stage = Stage::leading(1);
    for ms in (50..6_000).step_by(50) {
        stage.tick(ms);
        stage.sent.clear();
    }
    assert!(stage.has(|event| matches!(event, Event::Expired { .. })));
    stage.records[0] = Record::ABSENT;
    let mut requests = 0;
    for ms in 6_000..16_000 {
        stage.tick(ms);
        requests += stage.sent.len();
        stage.answer_all(ms);
    }
    assert_eq!(requests, 11, "one at each end of ten intervals");
    assert_eq!(stage.records[0], Record::ABSENT, "nothing was joined");
}
