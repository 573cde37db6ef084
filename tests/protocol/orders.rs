//! What orders do to candidates: they delay a leadership or end one, and never make one.

use std::time::Duration;

use super::kept::Durability;
use super::rules::{SECOND, Stage, window};
use incumbent::protocol::{
    Event, Handover, HostName, Input, LossReason, Mark, Occupancy, Order, Prospect, Record,
    Request, Role, Successor, Term, Timestamp, Verdict, WallMillis,
};

impl Stage {
    fn order(&mut self, order: Order) -> Verdict {
        self.execute(&Request::Order(order)).verdict
    }

    fn mark(&self) -> Mark {
        self.record.mark(&self.kept.memory.expect("it was used"))
    }

    fn pause(&mut self) {
        let verdict = self.order(Order::Pause {
            lasts: None,
            by: "op".parse().unwrap(),
            reason: None,
            replaces: true,
        });
        assert_eq!(verdict, Verdict::Granted);
    }

    fn resign(&mut self, to: Option<Successor>) {
        let term = self.record.term;
        assert_eq!(self.order(Order::Resign { term, to }), Verdict::Granted);
    }

    /// Shows a player the record as a store reports a release.
    fn wake(&mut self, player: usize) {
        let woken = self.release(self.record.clone(), None);
        self.hand_in(player, woken);
    }

    fn lost(&self, player: usize) -> Option<(Timestamp, LossReason)> {
        let happened = self.players[player].happened.iter();
        happened.rev().find_map(|(at, event)| match event {
            Event::Stopping { reason, .. } => Some((*at, *reason)),
            _ => None,
        })
    }

    /// A leader, and two standbys that have seen it.
    fn with_a_leader() -> (Self, [usize; 3]) {
        let mut stage = Self::new(Durability::Durable);
        let first = stage.enter("first");
        stage.pass(SECOND / 3);
        let others = [stage.enter("second"), stage.enter("third")];
        stage.pass(SECOND * 2);
        assert_eq!(stage.role(first), Role::Leading);
        (stage, [first, others[0], others[1]])
    }
}

fn host(name: &str) -> Option<Successor> {
    Some(Successor::Host(
        HostName::new(&format!("host-of-{name}")).unwrap(),
    ))
}

#[test]
fn a_leader_that_is_asked_to_resign_stops_at_its_next_heartbeat() {
    let (mut stage, [first, ..]) = Stage::with_a_leader();
    stage.resign(None);
    let asked = stage.now;
    stage.pass(SECOND);
    let (at, reason) = stage.lost(first).expect("it stops");
    assert_eq!(reason, LossReason::Requested);
    assert!(at.since(asked) <= SECOND);
    // Its work takes its time, and the record stays held meanwhile.
    stage.pass(SECOND * 7);
    assert_eq!(stage.role(first), Role::Draining);
    assert!(stage.players[first].candidate.may_act(stage.now));
    stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
    assert_eq!(stage.record.occupancy, Occupancy::Vacant);
    // It stands until the next claim.
    assert!(stage.record.orders.handover.is_some());
    stage.pass(SECOND * 2);
    assert!(stage.record.holder().is_some());
    assert_eq!(stage.record.orders.handover, None);
}

#[test]
fn an_order_that_an_earlier_leader_left_behind_asks_nobody() {
    let mut stage = Stage::new(Durability::Durable);
    stage.clock = WallMillis::new(5000).unwrap();
    let leader = stage.enter("leader");
    stage.pass(SECOND);
    let term = Term::new(4999).unwrap();
    stage.record.orders.handover = Some(Handover { term, to: None });
    stage.pass(SECOND * 3);
    assert_eq!(stage.role(leader), Role::Leading);
}

#[test]
fn who_is_asked_to_resign_before_it_leads_sits_out_a_window() {
    let mut stage = Stage::new(Durability::Forgetful);
    let candidate = stage.enter("candidate");
    stage.pass(SECOND);
    assert_eq!(stage.role(candidate), Role::Probation);
    stage.resign(None);
    stage.pass(SECOND * 2);
    assert_eq!(stage.role(candidate), Role::Standby);
    stage.pass(window() - SECOND * 2);
    assert_eq!(stage.role(candidate), Role::Standby);
    stage.pass(SECOND * 3);
    // Meanwhile the store's memory has become old enough.
    assert_eq!(stage.role(candidate), Role::Leading);
}

#[test]
fn an_order_to_resign_is_for_the_holder_of_its_term_and_for_nobody_else() {
    let mut stage = Stage::new(Durability::Durable);
    stage.clock = WallMillis::new(5000).unwrap();
    let leader = stage.enter("leader");
    stage.pass(SECOND);
    let held = stage.record.clone();
    assert_eq!(held.term.get(), 5_000_000);
    for other in [4_999_999, 5_000_001] {
        let term = Term::new(other).unwrap();
        let verdict = stage.order(Order::Resign { term, to: None });
        assert_eq!((verdict, &stage.record), (Verdict::Refused, &held));
    }
    stage.hand_in(leader, Input::WorkEnded(LossReason::Resigned));
    let (vacant, term) = (stage.record.clone(), held.term);
    let verdict = stage.order(Order::Resign { term, to: None });
    assert_eq!((verdict, &stage.record), (Verdict::Refused, &vacant));
}

#[test]
fn an_order_to_resign_that_reached_no_majority_of_the_stores_asks_nobody() {
    let mut stage = super::candidate::Stage::leading(3);
    let term = stage.candidate.term().expect("it leads");
    let handover = Some(Handover { term, to: None });
    stage.records[0].orders.handover = handover.clone();
    stage.pass(50, 3000);
    assert_eq!(stage.candidate.role(), Role::Leading);
    stage.records[2].orders.handover = handover;
    stage.pass(3050, 4200);
    assert_eq!(stage.candidate.role(), Role::Draining);
}

#[test]
fn a_preferred_successor_claims_at_once_and_everybody_else_after_a_window() {
    for dead in [false, true] {
        let (mut stage, [first, second, third]) = Stage::with_a_leader();
        stage.resign(host("third"));
        stage.pass(SECOND);
        stage.players[third].alive = !dead;
        stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
        let released = stage.now;
        stage.wake(second);
        stage.wake(third);
        stage.pass(Duration::ZERO);
        assert_eq!(stage.role(second), Role::Standby);
        if !dead {
            assert_eq!(stage.elected(third).map(|(at, _)| at), Some(released));
            assert_eq!(stage.record.preferred(), None, "the claim clears it");
            continue;
        }
        stage.pass(window() - SECOND / 10);
        assert_eq!(stage.role(second), Role::Standby);
        stage.pass(SECOND * 2);
        let (at, _) = stage.elected(second).expect("somebody leads");
        let gap = at.since(released);
        assert!(window() <= gap && gap <= window() + 2 * SECOND, "{gap:?}");
    }
}

#[test]
fn whoever_was_asked_to_resign_sits_out() {
    let (mut stage, [first, second, third]) = Stage::with_a_leader();
    for other in [second, third] {
        stage.players[other].alive = false;
    }
    stage.resign(None);
    stage.pass(SECOND);
    stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
    let again = stage.enter_after("again", window());
    stage.pass(window() - SECOND / 10);
    assert_eq!(stage.role(again), Role::Standby);
    assert_eq!(stage.failed_claims(again), 0);
    stage.pass(SECOND);
    assert_eq!(stage.role(again), Role::Leading);
}

/// A leader goes on, no one takes over from one that died, and no one asks more often than it polls.
#[test]
fn while_paused_nobody_is_elected_and_a_leader_goes_on() {
    let (mut stage, [first, second, third]) = Stage::with_a_leader();
    stage.pause();
    stage.pass(window() * 2);
    assert_eq!(stage.role(first), Role::Leading);
    stage.players[first].alive = false;
    let before = stage.sent;
    stage.pass(window() * 4);
    for standby in [second, third] {
        assert_eq!(stage.role(standby), Role::Standby);
        assert_eq!(stage.failed_claims(standby), 0);
        let candidate = &stage.players[standby].candidate;
        assert!(candidate.pause().is_some());
        assert_eq!(candidate.prospect(), Prospect::Held);
    }
    assert!(stage.sent - before <= 2 * 21, "one poll per interval each");
    assert_eq!(stage.order(Order::Resume), Verdict::Granted);
    stage.pass(SECOND + SECOND / 10);
    assert!(
        [second, third]
            .iter()
            .any(|one| stage.role(*one) == Role::Leading)
    );
}

#[test]
fn a_pause_that_replaces_none_is_refused_while_that_of_another_holds() {
    let mut stage = Stage::new(Durability::Durable);
    stage.pause();
    let mut order = |by: &str, replaces| {
        stage.order(Order::Pause {
            lasts: None,
            by: by.parse().unwrap(),
            reason: None,
            replaces,
        })
    };
    assert_eq!(order("run", false), Verdict::Refused);
    assert_eq!(order("op", false), Verdict::Granted);
    assert_eq!(order("run", true), Verdict::Granted);
    assert_eq!(order("run", false), Verdict::Granted);
    assert_eq!(order("op", false), Verdict::Refused);
}

#[test]
fn a_pause_for_a_time_is_over_by_the_clock_of_the_store() {
    let mut stage = Stage::new(Durability::Durable);
    let verdict = stage.order(Order::Pause {
        lasts: Some(SECOND * 60),
        by: "op".parse().unwrap(),
        reason: None,
        replaces: true,
    });
    assert_eq!(verdict, Verdict::Granted);
    let candidate = stage.enter("candidate");
    stage.clock = WallMillis::new(59_999).unwrap();
    stage.pass(SECOND * 3);
    assert_eq!(stage.elected(candidate), None);
    stage.clock = WallMillis::new(60_000).unwrap();
    stage.pass(SECOND * 3);
    assert!(stage.elected(candidate).is_some(), "the pause is over");
}

#[test]
fn a_pause_of_a_vacant_election_is_told_as_the_prospect_and_lifted_by_a_wake_up() {
    let (mut stage, [first, second, _]) = Stage::with_a_leader();
    stage.pause();
    stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
    stage.pass(SECOND * 2);
    let candidate = &stage.players[second].candidate;
    assert_eq!(candidate.prospect(), Prospect::Paused);
    assert_eq!(stage.order(Order::Resume), Verdict::Granted);
    stage.wake(second);
    stage.pass(Duration::ZERO);
    assert_eq!(stage.elected(second).map(|(at, _)| at), Some(stage.now));
}

/// Depositions end a leadership as losing the record does: at once.
#[test]
fn a_leader_that_is_deposed_by_an_operator_may_not_act() {
    let (mut stage, [first, second, _]) = Stage::with_a_leader();
    let expected = stage.mark();
    assert_eq!(stage.order(Order::Depose { expected }), Verdict::Granted);
    stage.wake(second);
    stage.pass(SECOND);
    assert_eq!(stage.role(second), Role::Leading);
    assert_eq!(
        stage.lost(first).map(|(_, reason)| reason),
        Some(LossReason::Deposed)
    );
    assert!(!stage.players[first].candidate.may_act(stage.now));
}

/// No order makes a leader, or raises or lowers what terms are numbered by.
#[test]
fn no_order_touches_the_floor_the_term_or_who_holds_unless_it_deposes() {
    let (mut stage, _) = Stage::with_a_leader();
    let held = stage.record.clone();
    let bare = |record: &Record| Record {
        orders: held.orders.clone(),
        ..record.clone()
    };
    stage.pause();
    stage.resign(host("second"));
    assert_eq!(bare(&stage.record), held);
    let expected = stage.mark();
    assert_eq!(stage.order(Order::Depose { expected }), Verdict::Granted);
    let vacant = Record {
        occupancy: Occupancy::Vacant,
        ..held.clone()
    };
    assert_eq!(bare(&stage.record), vacant);
    assert!(stage.record.orders.paused.is_some());
}
