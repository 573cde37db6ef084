//! What the threads of a process share, in every order of their steps that loom explores: the lease, the guard that ends
//! the process, and which thread keeps a lock.
//!
//! The files of the library are compiled once more here, with the primitives of loom, which runs a test again and again,
//! in other orders of loads, stores and locks. Some of these only a weaker processor than ours shows. Loom leaves out
//! those in which two threads load first what the other stores after its own load (load buffering).

#[path = "../../src/election/custody.rs"]
mod custody;
#[path = "../../src/election/guard.rs"]
#[allow(dead_code, reason = "the first lease starts the guard")]
mod guard;
#[path = "../../src/election/lease.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the work of these tests asks little of its lease"
)]
mod lease;
#[path = "../../src/election/moments.rs"]
mod moments;
mod stand_in;

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use incumbent::protocol::{self, FencingToken, LossReason, Timestamp};
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;

use custody::{Custody, End};
use lease::Lease;
use stand_in::{alarm, clock, end, error, once, sync};

fn leads_until(deadline: Timestamp) -> Lease {
    Lease::new(FencingToken::new(1).unwrap(), deadline)
}

/// As the driver does it.
fn renew(lease: &Lease, deadline: Timestamp, may_act: bool) {
    if lease.renew(deadline, may_act) {
        guard::hasten(deadline);
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(seconds)
}

/// Runs in every order that loom explores.
fn in_every_order(test: impl Fn() + Send + Sync + 'static) {
    let orders = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&orders);
    loom::model(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        stand_in::begin();
        test();
    });
    println!(
        "{} orders",
        orders.load(std::sync::atomic::Ordering::Relaxed)
    );
    assert!(orders.load(std::sync::atomic::Ordering::Relaxed) > 1);
}

#[test]
fn nobody_acts_once_the_work_has_ended_whatever_heartbeats_come_in() {
    in_every_order(|| {
        let lease = leads_until(at(100));
        let driver = {
            let lease = lease.clone();
            thread::spawn(move || renew(&lease, at(200), true))
        };
        let work = {
            let lease = lease.clone();
            thread::spawn(move || {
                lease.end_work(LossReason::Resigned);
                // The records are released after this.
                assert!(lease.check().is_err(), "acts beside the next leader");
            })
        };
        driver.join().unwrap();
        work.join().unwrap();
        assert!(lease.check().is_err(), "acts beside the next leader");
        assert_eq!(lease.remaining(), Duration::ZERO);
    });
}

#[test]
fn a_reader_never_joins_one_deadline_with_the_certain_moment_of_another() {
    in_every_order(|| {
        let lease = leads_until(at(100));
        clock::set(at(60));
        let driver = {
            let lease = lease.clone();
            // It is deposed: what it has left is over at the moment of the clock.
            thread::spawn(move || renew(&lease, at(50), true))
        };
        let work = {
            let lease = lease.clone();
            thread::spawn(move || {
                if lease.remaining().is_zero() {
                    assert!(lease.check().is_err(), "acts after it saw that it is over");
                }
            })
        };
        driver.join().unwrap();
        work.join().unwrap();
        assert!(lease.check().is_err(), "acts after its deadline");
    });
}

#[test]
fn who_is_deposed_does_not_act_from_then_on() {
    in_every_order(|| {
        let lease = leads_until(at(100));
        let deposed = Arc::new(AtomicBool::new(false));
        let driver = {
            let (lease, deposed) = (lease.clone(), Arc::clone(&deposed));
            thread::spawn(move || {
                renew(&lease, at(150), true);
                renew(&lease, at(50), false);
                deposed.store(true, Release);
            })
        };
        let work = {
            let lease = lease.clone();
            thread::spawn(move || {
                if deposed.load(Acquire) {
                    assert!(lease.check().is_err(), "acts after its deposition");
                }
            })
        };
        driver.join().unwrap();
        work.join().unwrap();
        assert!(lease.check().is_err(), "acts after its deposition");
    });
}

#[test]
fn the_guard_wakes_by_the_earliest_deadline_whenever_that_comes_closer() {
    in_every_order(|| {
        let lease = leads_until(at(100));
        let guarded = guard::watch(
            &"billing".parse().unwrap(),
            lease.clone(),
            guard::KillHook::default(),
        );
        let driver = {
            let lease = lease.clone();
            thread::spawn(move || renew(&lease, at(50), false))
        };
        driver.join().unwrap();
        // It has looked once or not yet, and sleeps on its timer.
        alarm::let_it_look();
        assert!(
            alarm::armed() <= at(50),
            "sleeps past a deadline: {:?}",
            alarm::armed()
        );
        drop(guarded);
    });
}

/// A lock: the thread that keeps it has its lease, and releases a number.
type Lock = Custody<Lease, Lease, u32>;

/// Runs the caller's part beside the moment at which the first heartbeat is due. Returns how many releases were sent or
/// handed on.
fn beside_the_due_moment(
    lock: Lock,
    caller: impl FnOnce(&Lock) -> usize + Send + 'static,
) -> usize {
    let lock = Arc::new(lock);
    let election_thread = {
        let lock = Arc::clone(&lock);
        thread::spawn(move || {
            let left = lock.fall_due(|lease| {
                renew(&lease, at(200), true);
                lease
            });
            left.iter().count()
        })
    };
    caller(&lock) + election_thread.join().unwrap()
}

#[test]
fn a_lock_that_is_let_go_while_it_falls_due_is_released_once() {
    in_every_order(|| {
        let lease = leads_until(at(100));
        let work = lease.clone();
        let released = beside_the_due_moment(Custody::with_caller(lease), move |lock| {
            work.end_work(LossReason::Resigned);
            let end = lock.end(|_| (1, ())).expect("it is released once");
            assert!(work.check().is_err(), "acts beside the next holder");
            match end {
                End::Resign(_) => 1,
                // It is sent, and if it is not confirmed, handed on.
                End::Release(()) => usize::from(lock.depart()),
            }
        });
        assert_eq!(released, 1);
    });
}

#[test]
fn a_release_that_falls_due_on_its_way_is_handed_on_once() {
    in_every_order(|| {
        let lock = Custody::leaving(1);
        let released = beside_the_due_moment(lock, |lock| usize::from(lock.depart()));
        assert_eq!(released, 1);
    });
}

#[test]
fn a_lock_that_the_election_thread_won_is_resigned_whenever_it_falls_due() {
    in_every_order(|| {
        let lock = Custody::with_election_thread(leads_until(at(100)));
        let released = beside_the_due_moment(lock, |lock| {
            let end = lock.end(|_| -> (u32, ()) { unreachable!("its caller never kept it") });
            usize::from(matches!(end, Some(End::Resign(_))))
        });
        assert_eq!(released, 1);
    });
}
