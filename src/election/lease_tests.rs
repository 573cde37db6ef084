//! A lease by itself; `tests/threads` looks at several threads that use one.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};

use super::clock;
use super::lease::Lease;
use crate::protocol::{FencingToken, LossReason, Timestamp};

fn lease() -> (Lease, Timestamp) {
    let deadline = clock::now() + Duration::from_secs(60);
    (
        Lease::new(FencingToken::new(1).unwrap(), deadline),
        deadline,
    )
}

#[test]
fn a_heartbeat_that_arrives_late_does_not_give_back_what_the_end_of_the_work_took() {
    let (lease, deadline) = lease();
    lease.check().unwrap();
    lease.end_work(LossReason::Resigned);
    let later = deadline + Duration::from_secs(1);
    assert!(!lease.renew(later, true));
    assert!(lease.check().is_err());
    assert_eq!(lease.remaining(), Duration::ZERO);
    assert!(lease.has_work_ended());
}

#[test]
fn who_may_not_act_has_not_ended_yet() {
    let (lease, deadline) = lease();
    assert!(!lease.renew(deadline, false));
    assert!(lease.check().is_err());
    assert!(!lease.has_work_ended());
}

#[test]
fn a_deadline_that_comes_closer_is_told() {
    let (lease, deadline) = lease();
    assert!(!lease.renew(deadline + Duration::from_secs(1), true));
    assert!(lease.renew(deadline, true));
    assert!(!lease.renew(deadline, true));
}

#[test]
fn who_follows_a_deadline_gets_each_move_once() {
    let (lease, deadline) = lease();
    let second = Duration::from_secs(1);
    lease.renew(deadline + second, true);
    lease.renew(deadline, true);
    let mut deadlines = lease.deadlines();
    assert!(
        deadlines.next().now_or_never().is_none(),
        "only changes are reported"
    );
    for moved in [deadline + second, deadline + second * 2, deadline] {
        lease.renew(moved, true);
        assert_eq!(deadlines.next().now_or_never(), Some(Some(moved)));
        lease.renew(moved, true);
        assert!(
            deadlines.next().now_or_never().is_none(),
            "{moved:?} is reported once"
        );
    }
    drop(lease);
    assert_eq!(deadlines.next().now_or_never(), Some(None));
}
