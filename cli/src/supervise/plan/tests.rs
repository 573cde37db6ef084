//! The plan on chosen and on random orders of events.

use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn start(deadline: u64, grace: Duration) -> Input {
    Input::Order(Order::Start {
        program: Program::new(vec!["worker".into()]).unwrap(),
        deadline: at(deadline),
        grace,
    })
}

fn deadline(millis: u64) -> Input {
    Input::Order(Order::Deadline(at(millis)))
}

fn stop(by: u64) -> Input {
    Input::Order(Order::Stop { by: at(by) })
}

fn running_until(deadline: u64) -> Plan {
    let mut plan = Plan::new();
    let started = plan.step(at(0), start(deadline, GRACE));
    assert!(matches!(started[..], [Action::Start(_)]), "{started:?}");
    plan
}

fn terminate(cause: Cause) -> [Action; 2] {
    let reported = Event::Stopping(cause);
    [Action::Signal(Signal::TERM), Action::Report(reported)]
}

fn kill(cause: Cause) -> [Action; 2] {
    [Action::Report(Event::Killing(cause)), Action::Kill]
}

#[test]
fn a_program_whose_deadline_comes_is_told_and_then_killed() {
    let mut plan = running_until(5000);
    assert_eq!(plan.wake_at(), at(4000));
    assert_eq!(plan.step(at(3999), Input::Woken), []);
    assert_eq!(
        plan.step(at(4000), Input::Woken),
        terminate(Cause::Deadline)
    );
    assert_eq!(plan.wake_at(), at(5000));
    assert_eq!(plan.step(at(4999), Input::Woken), []);
    assert_eq!(plan.step(at(5000), Input::Woken), kill(Cause::Deadline));
    assert_eq!(
        plan.step(at(5003), Input::TreeEmpty),
        [Action::Report(Event::Dead)]
    );
    assert_eq!(plan.wake_at(), Timestamp::NEVER);
}

#[test]
fn a_newer_deadline_replaces_the_one_before() {
    let mut plan = running_until(5000);
    assert_eq!(plan.step(at(1000), deadline(6000)), []);
    assert_eq!(plan.wake_at(), at(5000));
    assert_eq!(plan.step(at(1500), deadline(5500)), []);
    assert_eq!(plan.wake_at(), at(4500));
}

#[test]
fn a_keeper_that_slept_past_the_deadline_kills_without_asking() {
    let mut plan = running_until(5000);
    assert_eq!(plan.step(at(9000), Input::Woken), kill(Cause::Deadline));
}

#[test]
fn a_heartbeat_after_the_sigterm_does_not_take_it_back() {
    let mut plan = running_until(5000);
    plan.step(at(4000), Input::Woken);
    assert_eq!(plan.step(at(4100), deadline(9000)), []);
    assert_eq!(plan.step(at(5000), Input::Woken), kill(Cause::StopTimeout));
}

#[test]
fn a_graceful_stop_sends_one_sigterm_and_lasts_while_the_tenure_is_renewed() {
    let mut plan = running_until(5000);
    assert_eq!(plan.step(at(1000), stop(31_000)), terminate(Cause::Asked));
    for second in 2..30 {
        let deadline = deadline(second * 1000 + 4000);
        assert_eq!(plan.step(at(second * 1000), deadline), []);
        assert_eq!(plan.step(at(second * 1000 + 1), stop(31_000)), []);
    }
    assert_eq!(
        plan.step(at(31_000), Input::Woken),
        kill(Cause::StopTimeout)
    );
}

#[test]
fn a_graceful_stop_ends_at_the_deadline_when_heartbeats_fail() {
    let mut plan = running_until(5000);
    plan.step(at(1000), stop(31_000));
    assert_eq!(plan.wake_at(), at(5000));
    assert_eq!(plan.step(at(5000), Input::Woken), kill(Cause::Deadline));
}

#[test]
fn what_the_program_leaves_behind_is_told_once_and_then_killed() {
    let mut plan = running_until(60_000);
    assert_eq!(
        plan.step(at(2000), Input::ProgramEnded),
        [Action::TerminateRest]
    );
    assert_eq!(plan.wake_at(), at(3000));
    assert_eq!(plan.step(at(3000), Input::Woken), kill(Cause::StopTimeout));
}

#[test]
fn what_a_killed_process_leaves_behind_is_killed_at_once() {
    let mut plan = running_until(5000);
    assert_eq!(plan.step(at(100), Input::SomeEnded), []);
    plan.step(at(200), Input::Order(Order::Kill));
    assert_eq!(plan.step(at(200), Input::SomeEnded), [Action::KillOrphans]);
    plan.step(at(200), Input::TreeEmpty);
    assert_eq!(plan.step(at(200), Input::SomeEnded), []);
}

#[test]
fn an_orphaned_keeper_kills_proves_releases_and_ends_in_this_order() {
    let mut plan = running_until(5000);
    assert_eq!(plan.step(at(100), Input::Orphaned), kill(Cause::Orphaned));
    assert_eq!(
        plan.step(at(101), Input::TreeEmpty),
        [Action::Report(Event::Dead), Action::Exit]
    );
    assert_eq!(plan.step(at(102), Input::Orphaned), []);
}

#[test]
fn an_idle_keeper_that_is_orphaned_releases_and_ends_at_once() {
    let mut plan = Plan::new();
    assert_eq!(plan.step(at(100), Input::Orphaned), [Action::Exit]);
}

#[test]
fn nothing_is_started_when_there_is_no_time_to_stop_it() {
    let mut plan = Plan::new();
    let start = start(5000, GRACE);
    assert_eq!(
        plan.step(at(4000), start),
        [
            Action::Report(Event::NotStarted(StartFailure::TooLate)),
            Action::Report(Event::Dead)
        ]
    );
    assert_eq!(plan.wake_at(), Timestamp::NEVER);
}

#[test]
fn a_second_start_is_taken_for_a_broken_elector() {
    let mut plan = running_until(5000);
    let start = start(6000, GRACE);
    assert_eq!(plan.step(at(10), start), kill(Cause::Orphaned));
}

#[test]
fn survivors_of_sigkill_are_swept_again_and_reported_every_second() {
    let mut plan = running_until(5000);
    plan.step(at(100), Input::Order(Order::Kill));
    let (mut sweeps, mut reports) = (0, 0);
    while plan.wake_at() <= at(10_100) {
        for action in plan.step(plan.wake_at(), Input::Woken) {
            match action {
                Action::Kill => sweeps += 1,
                Action::ReportSurvivors => reports += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(reports, 10);
    assert!((40..60).contains(&sweeps), "{sweeps}");
}

/// A kill may prove the tree dead, after which there is nothing to report of it.
#[test]
fn survivors_are_reported_before_they_are_killed_again() {
    let mut plan = running_until(5000);
    plan.step(at(100), Input::Order(Order::Kill));
    assert_eq!(
        plan.step(at(5000), Input::Woken),
        [Action::ReportSurvivors, Action::Kill]
    );
}

fn inputs() -> impl Strategy<Value = Input> {
    prop_oneof![
        (0..20_000_u64, 0..2000_u64)
            .prop_map(|(deadline, grace)| start(deadline, Duration::from_millis(grace))),
        (0..20_000_u64).prop_map(deadline),
        Just(Input::Order(Order::Signal(Signal::HUP))),
        (0..20_000_u64).prop_map(stop),
        Just(Input::Order(Order::Kill)),
        Just(Input::ProgramEnded),
        Just(Input::SomeEnded),
        Just(Input::TreeEmpty),
        Just(Input::Woken),
        Just(Input::Orphaned),
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
            Action::Start(_) => {
                assert!(!self.alive);
                *self = Self {
                    alive: true,
                    starts: self.starts + 1,
                    dead_reports: self.dead_reports,
                    ..Self::default()
                };
            }
            Action::Signal(_) => assert!(self.alive && !self.killed),
            Action::TerminateRest => self.told_rest += 1,
            Action::Kill | Action::KillOrphans | Action::ReportSurvivors => {
                assert!(self.alive && self.killed, "{now:?}")
            }
            Action::Report(Event::NotStarted(_)) => self.starts += 1,
            Action::Report(Event::Stopping(_)) => self.told += 1,
            Action::Report(Event::Killing(_)) => self.killed = true,
            Action::Report(Event::Dead) => {
                assert!(!self.alive);
                self.dead_reports += 1;
            }
            Action::Report(other) => panic!("{other:?} is not the plan's to report"),
            Action::Exit => {
                assert!(!self.alive, "released before death");
                self.over = true;
            }
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
        inputs in prop::collection::vec((inputs(), 0..900_u64), 1..60)
    ) {
        let mut plan = Plan::new();
        let mut world = World::default();
        let mut now = at(0);
        for (input, pause) in inputs {
            // The world offers only what can be: no death without life.
            let input = match input {
                Input::ProgramEnded | Input::SomeEnded | Input::TreeEmpty
                    if !world.alive =>
                {
                    Input::Woken
                }
                Input::TreeEmpty => { world.alive = false; Input::TreeEmpty }
                other => other,
            };
            for action in plan.step(now, input) {
                world.perform(now, action);
            }
            prop_assert!(!world.alive || world.killed || now < plan.deadline);
            prop_assert!(plan.wake_at() > now, "it would spin: {:?} at {:?}", plan, now);
            prop_assert_eq!(world.starts, world.dead_reports + usize::from(world.alive));
            now = (now + Duration::from_millis(pause)).min(plan.wake_at());
        }
    }
}
