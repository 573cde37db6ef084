//! The plan on chosen and on random orders of events.

use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn running_until(deadline: u64) -> Plan {
    let mut plan = Plan::new();
    let start = Happening::Start {
        deadline: at(deadline),
        grace: GRACE,
    };
    assert_eq!(plan.step(at(0), start), [Action::Spawn]);
    plan
}

#[test]
fn a_program_whose_deadline_comes_is_told_and_then_killed() {
    let mut plan = running_until(5000);
    assert_eq!(plan.wake_at(), at(4000));
    assert_eq!(plan.step(at(3999), Happening::Woken), []);
    assert_eq!(
        plan.step(at(4000), Happening::Woken),
        [Action::Terminate(Cause::Deadline)]
    );
    assert_eq!(plan.wake_at(), at(5000));
    assert_eq!(plan.step(at(4999), Happening::Woken), []);
    assert_eq!(
        plan.step(at(5000), Happening::Woken),
        [Action::KillTree(Cause::Deadline)]
    );
    assert_eq!(
        plan.step(at(5003), Happening::TreeEmpty),
        [Action::ReportDead]
    );
    assert_eq!(plan.wake_at(), Timestamp::NEVER);
}

#[test]
fn a_newer_deadline_replaces_the_one_before() {
    let mut plan = running_until(5000);
    assert_eq!(plan.step(at(1000), Happening::Deadline(at(6000))), []);
    assert_eq!(plan.wake_at(), at(5000));
    assert_eq!(plan.step(at(1500), Happening::Deadline(at(5500))), []);
    assert_eq!(plan.wake_at(), at(4500));
}

#[test]
fn a_keeper_that_slept_past_the_deadline_kills_without_asking() {
    let mut plan = running_until(5000);
    assert_eq!(
        plan.step(at(9000), Happening::Woken),
        [Action::KillTree(Cause::Deadline)]
    );
}

#[test]
fn a_heartbeat_after_the_sigterm_does_not_take_it_back() {
    let mut plan = running_until(5000);
    plan.step(at(4000), Happening::Woken);
    assert_eq!(plan.step(at(4100), Happening::Deadline(at(9000))), []);
    assert_eq!(
        plan.step(at(5000), Happening::Woken),
        [Action::KillTree(Cause::StopTimeout)]
    );
}

#[test]
fn a_graceful_stop_sends_one_sigterm_and_lasts_while_the_tenure_is_renewed() {
    let mut plan = running_until(5000);
    let stop = Happening::Stop { by: at(31_000) };
    assert_eq!(plan.step(at(1000), stop), [Action::Terminate(Cause::Asked)]);
    for second in 2..30 {
        let deadline = Happening::Deadline(at(second * 1000 + 4000));
        assert_eq!(plan.step(at(second * 1000), deadline), []);
        assert_eq!(plan.step(at(second * 1000 + 1), stop), []);
    }
    assert_eq!(
        plan.step(at(31_000), Happening::Woken),
        [Action::KillTree(Cause::StopTimeout)]
    );
}

#[test]
fn a_graceful_stop_ends_at_the_deadline_when_heartbeats_fail() {
    let mut plan = running_until(5000);
    plan.step(at(1000), Happening::Stop { by: at(31_000) });
    assert_eq!(plan.wake_at(), at(5000));
    assert_eq!(
        plan.step(at(5000), Happening::Woken),
        [Action::KillTree(Cause::Deadline)]
    );
}

#[test]
fn what_the_program_leaves_behind_is_told_once_and_then_killed() {
    let mut plan = running_until(60_000);
    assert_eq!(
        plan.step(at(2000), Happening::ProgramEnded),
        [Action::TerminateRest]
    );
    assert_eq!(plan.wake_at(), at(3000));
    assert_eq!(
        plan.step(at(3000), Happening::Woken),
        [Action::KillTree(Cause::StopTimeout)]
    );
}

#[test]
fn what_a_killed_process_leaves_behind_is_killed_at_once() {
    let mut plan = running_until(5000);
    assert_eq!(plan.step(at(100), Happening::SomeEnded), []);
    plan.step(at(200), Happening::Kill);
    assert_eq!(plan.step(at(200), Happening::SomeEnded), [Action::Chase]);
    plan.step(at(200), Happening::TreeEmpty);
    assert_eq!(plan.step(at(200), Happening::SomeEnded), []);
}

#[test]
fn an_orphaned_keeper_kills_proves_releases_and_ends_in_this_order() {
    let mut plan = running_until(5000);
    assert_eq!(
        plan.step(at(100), Happening::Orphaned),
        [Action::KillTree(Cause::Orphaned)]
    );
    assert_eq!(
        plan.step(at(101), Happening::TreeEmpty),
        [Action::ReportDead, Action::Release, Action::Exit]
    );
    assert_eq!(plan.step(at(102), Happening::Orphaned), []);
}

#[test]
fn an_idle_keeper_that_is_orphaned_releases_and_ends_at_once() {
    let mut plan = Plan::new();
    assert_eq!(
        plan.step(at(100), Happening::Orphaned),
        [Action::Release, Action::Exit]
    );
}

#[test]
fn nothing_is_started_when_there_is_no_time_to_stop_it() {
    let mut plan = Plan::new();
    let start = Happening::Start {
        deadline: at(5000),
        grace: GRACE,
    };
    assert_eq!(
        plan.step(at(4000), start),
        [Action::RefuseLate, Action::ReportDead]
    );
    assert_eq!(plan.wake_at(), Timestamp::NEVER);
}

#[test]
fn a_second_start_is_taken_for_a_broken_elector() {
    let mut plan = running_until(5000);
    let start = Happening::Start {
        deadline: at(6000),
        grace: GRACE,
    };
    assert_eq!(
        plan.step(at(10), start),
        [Action::KillTree(Cause::Orphaned)]
    );
}

#[test]
fn survivors_of_sigkill_are_swept_again_and_reported_every_second() {
    let mut plan = running_until(5000);
    plan.step(at(100), Happening::Kill);
    let (mut sweeps, mut reports) = (0, 0);
    while plan.wake_at() <= at(10_100) {
        for action in plan.step(plan.wake_at(), Happening::Woken) {
            match action {
                Action::Sweep => sweeps += 1,
                Action::ReportSurvivors => reports += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(reports, 10);
    assert!((40..60).contains(&sweeps), "{sweeps}");
}

fn happenings() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0..20_000_u64, 0..2000_u64).prop_map(|(deadline, grace)| Happening::Start {
            deadline: at(deadline),
            grace: Duration::from_millis(grace),
        }),
        (0..20_000_u64).prop_map(|deadline| Happening::Deadline(at(deadline))),
        Just(Happening::Signal(Signal::HUP)),
        (0..20_000_u64).prop_map(|by| Happening::Stop { by: at(by) }),
        Just(Happening::Kill),
        Just(Happening::ProgramEnded),
        Just(Happening::SomeEnded),
        Just(Happening::TreeEmpty),
        Just(Happening::Woken),
        Just(Happening::Orphaned),
    ]
}

/// What the world knows: whether the tree lives, and what it was asked.
#[derive(Default)]
struct World {
    alive: bool,
    told: usize,
    told_rest: usize,
    killed: bool,
    dead_reports: usize,
    starts: usize,
    over: bool,
}

impl World {
    fn perform(&mut self, now: Timestamp, action: Action) {
        assert!(!self.over, "{action:?} after the end");
        match action {
            Action::Spawn => {
                assert!(!self.alive);
                *self = Self {
                    alive: true,
                    starts: self.starts + 1,
                    dead_reports: self.dead_reports,
                    ..Self::default()
                };
            }
            Action::RefuseLate => self.starts += 1,
            Action::Forward(_) => assert!(self.alive && !self.killed),
            Action::Terminate(_) => self.told += 1,
            Action::TerminateRest => self.told_rest += 1,
            Action::KillTree(_) => self.killed = true,
            Action::Sweep | Action::Chase | Action::ReportSurvivors => {
                assert!(self.alive && self.killed, "{now:?}")
            }
            Action::ReportDead => {
                assert!(!self.alive);
                self.dead_reports += 1;
            }
            Action::Release => assert!(!self.alive, "released before death"),
            Action::Exit => self.over = true,
        }
        assert!(self.told <= 1 && self.told_rest <= 1, "asked twice");
    }
}

proptest! {
    /// Whatever happens in whatever order: nothing lives past its deadline without having been killed,
    /// nothing is asked to end twice, nothing is released before it is dead, and every start ends in
    /// exactly one report of death.
    #[test]
    fn nothing_outlives_its_deadline(
        events in prop::collection::vec((happenings(), 0..900_u64), 1..60)
    ) {
        let mut plan = Plan::new();
        let mut world = World::default();
        let mut now = at(0);
        for (happening, pause) in events {
            // The world offers only what can be: no death without life.
            let happening = match happening {
                Happening::ProgramEnded | Happening::SomeEnded | Happening::TreeEmpty
                    if !world.alive =>
                {
                    Happening::Woken
                }
                Happening::TreeEmpty => { world.alive = false; Happening::TreeEmpty }
                other => other,
            };
            for action in plan.step(now, happening) {
                world.perform(now, action);
            }
            prop_assert!(!world.alive || world.killed || now < plan.deadline);
            prop_assert!(plan.wake_at() > now, "it would spin: {:?} at {:?}", plan, now);
            prop_assert_eq!(world.starts, world.dead_reports + usize::from(world.alive));
            now = (now + Duration::from_millis(pause)).min(plan.wake_at());
        }
    }
}
