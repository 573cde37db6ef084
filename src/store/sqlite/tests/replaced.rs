//! Files that are new, deleted, replaced, restored or known by two names: no one acts beside a leader that the
//! file may have forgotten.

use super::*;
use crate::protocol::{Attestation, Memory};

#[tokio::test]
async fn whoever_claims_in_a_file_outwaits_those_who_may_lead_in_one_before_it() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    let outwaits = |term| claim_by(&store, "a", term);
    assert!(!outwaits(1).await, "no one uses another file at its path");
    set_age(path, WINDOW - Duration::from_secs(1));
    assert!(outwaits(2).await, "it is younger than a window");
    set_age(path, WINDOW * 9 / 8);
    assert!(!outwaits(3).await, "no one can lead in another");
    let connection = rusqlite::Connection::open(path).expect("it opens");
    let born_later = "UPDATE memory SET born_ns = 1 << 62";
    connection.execute_batch(born_later).expect("it is written");
    assert!(!outwaits(4).await, "it is older than the start of the host");
}

/// The clock of the host knows better than any candidate.
#[tokio::test]
async fn no_candidate_can_vouch_for_the_age_of_a_file() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    elect(&store).await;
    set_age(path, WINDOW);
    let a = who("a");
    let vouching = Request::Beat {
        holder: a.id().clone(),
        term: FencingToken::new(1).expect("a valid term"),
        attested: Some(Attestation {
            memory: observe(&store).await.expect("it reads").memory.id,
            age: Memory::MATURE,
        }),
    };
    for request in [vouching, Request::Observe] {
        let reply = store.execute(&billing(), &a, &request).await;
        let reply = reply.expect("it is answered");
        assert_eq!(reply.verdict, Verdict::Granted);
        assert!(reply.memory.age < Memory::MATURE, "{reply:?}");
    }
}

/// Both then work on the new file: the leader of the old one joins it, or finds it taken.
#[tokio::test]
async fn a_file_or_its_folder_that_was_deleted_under_a_leader_may_have_forgotten_it() {
    let deletions: [fn(&Path) -> std::io::Result<()>; 4] = [
        |path| std::fs::remove_file(path),
        |path| std::fs::remove_dir_all(path.parent().expect("a parent")),
        |path| std::fs::rename(path, path.with_extension("old")),
        |path| {
            std::fs::rename(
                path.parent().expect("a parent"),
                path.with_file_name("../old"),
            )
        },
    ];
    for delete in deletions {
        let Scratch { path, .. } = &scratch();
        let (old, new) = (
            SqliteStore::open(path, TIMEOUT),
            SqliteStore::open(path, TIMEOUT),
        );
        claim_by(&old, "a", 1).await;
        set_age(path, WINDOW * 9 / 8);
        delete(path).expect("it is deleted");
        // When only the file was moved away, its log stays, and a store that has it open must look first.
        observe(&old).await.expect("it opens the new one");
        assert!(claim_by(&new, "b", 2).await, "a may lead still");
        let a = who("a");
        let reply = old.execute(&billing(), &a, &beat(&a, 1)).await;
        let reply = reply.expect("it has opened the new file");
        assert_eq!(reply.verdict, Verdict::Refused);
        assert_eq!(reply.record.holder(), Some(who("b").id()));
        assert!(is_young(&reply), "so a knows that b does not act yet");
    }
}

#[tokio::test]
async fn a_database_that_goes_back_in_time_may_have_forgotten_a_leader() {
    // What puts an older state, in `backup`, in the place of the database at `path`.
    let restores: [fn(&Path, &Path); 5] = [
        |path, backup| {
            let mut to = rusqlite::Connection::open(path).expect("it opens");
            let from = rusqlite::Connection::open(backup).expect("it opens");
            let copying = rusqlite::backup::Backup::new(&from, &mut to).expect("it begins");
            copying
                .run_to_completion(100, Duration::ZERO, None)
                .expect("it is restored");
        },
        |path, backup| {
            for suffix in ["-wal", "-shm"] {
                std::fs::remove_file(crate::store::beside(path, suffix)).expect("it is deleted");
            }
            std::fs::copy(backup, path).expect("it is copied");
        },
        |path, backup| std::fs::rename(backup, path).expect("it is replaced"),
        |path, _| std::fs::remove_file(crate::store::beside(path, "-wal")).expect("it is deleted"),
        |path, _| std::fs::remove_file(crate::store::beside(path, "-wake")).expect("it is deleted"),
    ];
    for (number, restore) in restores.into_iter().enumerate() {
        let Scratch { path, directory } = &scratch();
        let backup = directory.path().join("backup.db");
        let store = SqliteStore::open(path, TIMEOUT);
        claim_by(&store, "a", 1).await;
        set_age(path, WINDOW * 9 / 8);
        let connection = rusqlite::Connection::open(path).expect("it opens");
        let vacuum = format!("VACUUM INTO '{}'", backup.display());
        connection.execute_batch(&vacuum).expect("a backup");
        drop(connection);
        assert!(!claim_by(&store, "b", 2).await, "nothing is forgotten");
        restore(path, &backup);
        // An order before the claim must not make it look intact.
        let resume = Request::Order(crate::protocol::Order::Resume);
        let other = SqliteStore::open(path, TIMEOUT);
        // A store that has the old files open lets go of them at its next look.
        drop(observe(&store).await);
        settles(&other).await;
        let reply = other.execute(&billing(), &who("op"), &resume).await;
        reply.expect("an order is answered");
        assert!(claim_by(&other, "c", 5).await, "restore {number}");
        assert!(claim_by(&store, "d", 6).await, "restore {number}");
        set_age(path, WINDOW * 9 / 8);
        assert!(!claim_by(&store, "e", 7).await, "restore {number}");
    }
}

/// Takes the record over from any holder. Returns whether it may have forgotten someone.
async fn claim_by(store: &SqliteStore, id: &str, term: u64) -> bool {
    let seen = observe(store).await.expect("it reads").mark();
    let id = who(id);
    let request = claim(&id, seen, term);
    let reply = store.execute(&billing(), &id, &request).await;
    let reply = reply.expect("a claim is answered");
    assert_eq!(reply.verdict, Verdict::Granted);
    is_young(&reply)
}

/// Whether the memory is younger than the window of a leader that it may have forgotten.
fn is_young(reply: &Reply) -> bool {
    reply.memory.age < WINDOW
}

/// Has the memory of a database be that old.
fn set_age(path: &Path, age: Duration) {
    let born = patience::boot_time().before(age).as_nanos();
    let connection = rusqlite::Connection::open(path).expect("it opens");
    let born = i64::try_from(born).expect("it is no later than now");
    let changed = connection.execute("UPDATE memory SET born_ns = ?1", [born]);
    assert_eq!(changed.expect("it is written"), 1);
}

#[tokio::test]
async fn a_file_with_two_names_is_refused_until_it_has_one() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    claim_by(&store, "a", 1).await;
    let second = path.with_extension("second");
    std::fs::hard_link(path, &second).expect("a link");
    for name in [path, &second] {
        let error = observe(&SqliteStore::open(name, TIMEOUT)).await;
        let error = error.expect_err("it is refused");
        assert!(error.is_misconfigured(), "{error}");
        assert_says(
            &error.to_string(),
            &["2 names (hard links)", "symbolic link"],
        );
    }
    // A store that had it open does not go on either.
    let a = who("a");
    let error = message(store.execute(&billing(), &a, &beat(&a, 1)).await);
    assert_says(&error, &["2 names"]);
    std::fs::remove_file(second).expect("the link is removed");
    let reply = store.execute(&billing(), &a, &beat(&a, 1)).await;
    assert_eq!(reply.expect("it goes on").verdict, Verdict::Granted);
}

#[tokio::test]
async fn a_symbolic_link_is_the_file_that_it_leads_to() {
    let Scratch { path, directory } = &scratch();
    let real = directory.path().join("real");
    std::fs::create_dir(&real).expect("a directory");
    std::os::unix::fs::symlink(&real, path.parent().expect("a parent")).expect("a link");
    // The one at the end leads nowhere at first.
    std::os::unix::fs::symlink("../real/target.db", path).expect("a link");
    let linked = SqliteStore::open(path, TIMEOUT);
    claim_by(&linked, "a", 1).await;
    let direct = SqliteStore::open(&real.join("target.db"), TIMEOUT);
    let seen = observe(&direct).await.expect("it reads").record;
    assert_eq!(seen.holder(), Some(who("a").id()));
    let again = SqliteStore::open(path, TIMEOUT);
    assert_eq!(again.label(), direct.label());
    // A link that leads elsewhere leads to another database, of which no one knows what it has seen.
    std::fs::remove_file(path).expect("the link is removed");
    std::os::unix::fs::symlink("../real/other.db", path).expect("a link");
    assert_eq!(
        observe(&linked).await.expect("it reads").record,
        Record::ABSENT
    );
    assert!(claim_by(&linked, "b", 2).await);
}

#[tokio::test]
async fn users_of_one_inode_with_different_logs_are_kept_apart() {
    let Scratch { path, .. } = &scratch();
    let old = SqliteStore::open(path, TIMEOUT);
    claim_by(&old, "a", 1).await;
    for suffix in ["-shm", "-wake"] {
        std::fs::remove_file(crate::store::beside(path, suffix)).expect("it is deleted");
        // The one who has the old files open does not look while it is idle.
        let error = message(observe(&SqliteStore::open(path, TIMEOUT)).await);
        assert_says(&error, &["another process uses", "-shm", "fuser"]);
        observe(&old).await.expect("it has let go of the old files");
        let new = SqliteStore::open(path, TIMEOUT);
        assert_eq!(settles(&new).await.record.holder(), Some(who("a").id()));
    }
}
