//! Faults of an SQLite file that elects among the processes of one host.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use crate::field::bed::{Bed, ONE_FILE};
use crate::field::candidate::Kind::{Library, Wrapper};

/// Locks the file of the election against writers, as a backup or a stuck process does.
fn lock(bed: &mut Bed) -> Connection {
    let store = bed.fleet.settings().stores[0].clone();
    let file = PathBuf::from(store.strip_prefix("sqlite:").unwrap());
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn a_file_locked_for_less_than_the_tenure_does_not_cost_the_leadership() {
    for kind in [Library, Wrapper] {
        let mut bed = Bed::new(ONE_FILE, &[kind, kind]);
        let leader = bed.fleet.leader();
        bed.fleet.campaigning();
        let locked = lock(&mut bed);
        std::thread::sleep(Duration::from_millis(300));
        drop(locked);
        let window = bed.window();
        bed.fleet.still_led_by(&leader, window);
        bed.verdict();
    }
}

#[test]
fn a_file_locked_for_more_than_the_tenure_makes_nobody_a_leader() {
    let mut bed = Bed::new(ONE_FILE, &[Library, Library]);
    let before = bed.fleet.leader();
    bed.fleet.campaigning();
    let locked = lock(&mut bed);
    let window = bed.window();
    bed.fleet.idle(window * 2);
    drop(locked);
    let after = bed.fleet.leader();
    assert!(after.token > before.token);
    bed.verdict();
}
