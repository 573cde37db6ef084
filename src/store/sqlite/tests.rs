//! Trouble with the file: each kind is refused with an error that says what happened and what to do,
//! and is over once its cause is.

mod replaced;
mod wake;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::protocol::{Beat, CandidateId, Claim, ClaimKind, FencingToken, Mark, Record, Verdict};

const TIMEOUT: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(3);

fn who(id: &str) -> Identity {
    let id = CandidateId::new(id).expect("a valid id");
    Identity::new(id, "host", 1, "0.1.0").expect("a valid identity")
}

fn billing() -> ElectionName {
    "billing".parse().expect("a valid name")
}

fn claim(who: &Identity, expected: Mark, term: u64) -> Request {
    Request::Claim(Claim {
        holder: who.id().clone(),
        term: FencingToken::new(term).expect("a valid term"),
        expected,
        kind: ClaimKind::Shared,
        after: Beat::default(),
        window: WINDOW,
        attested: None,
        ephemeral: false,
    })
}

fn beat(who: &Identity, term: u64) -> Request {
    Request::Beat {
        holder: who.id().clone(),
        term: FencingToken::new(term).expect("a valid term"),
        attested: None,
    }
}

async fn observe(store: &SqliteStore) -> Result<Reply, StoreError> {
    store
        .execute(&billing(), &who("observer"), &Request::Observe)
        .await
}

/// Claims the absent record for `a`, term 1.
async fn elect(store: &SqliteStore) -> Reply {
    let a = who("a");
    let seen = store.execute(&billing(), &a, &Request::Observe).await;
    let request = claim(&a, seen.expect("it opens").mark(), 1);
    let reply = store.execute(&billing(), &a, &request).await;
    let reply = reply.expect("a claim is answered");
    assert_eq!(reply.verdict, Verdict::Granted);
    reply
}

struct Scratch {
    directory: tempfile::TempDir,
    path: PathBuf,
}

fn scratch() -> Scratch {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state/elections.db");
    Scratch { directory, path }
}

/// Waits until a store that was let go of elsewhere can be used.
async fn settles(store: &SqliteStore) -> Reply {
    let opened = async {
        loop {
            match observe(store).await {
                Ok(reply) => return reply,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let limit = Duration::from_secs(60);
    let settled = tokio::time::timeout(limit, opened).await;
    settled.expect("the other store lets go of the file")
}

fn message(outcome: Result<Reply, StoreError>) -> String {
    outcome.expect_err("the store refuses").to_string()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[tokio::test]
async fn opening_touches_nothing_and_the_first_operation_makes_a_private_directory() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    let _waiting = store.wake_ups(&billing(), &"a".parse().unwrap());
    let directory = path.parent().expect("a parent");
    assert!(!directory.exists());
    assert_eq!(
        observe(&store).await.expect("it opens").record,
        Record::ABSENT
    );
    let mode = std::fs::metadata(directory)
        .expect("it was made")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_and_left_alone() {
    let Scratch { directory, .. } = &scratch();
    let path = directory.path().join("notes.txt");
    let text = "these are my notes and not a database; ".repeat(100);
    std::fs::write(&path, &text).expect("a file");
    let error = observe(&SqliteStore::open(&path, TIMEOUT)).await;
    let error = error.expect_err("it refuses");
    assert!(error.is_garbled());
    assert_says(
        &error.to_string(),
        &["notes.txt", "not a database", "repaired or deleted"],
    );
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
}

#[tokio::test]
async fn a_database_with_a_page_overwritten_is_told_and_usable_again_when_replaced() {
    let Scratch { path, .. } = &scratch();
    elect(&SqliteStore::open(path, TIMEOUT)).await;
    let connection = rusqlite::Connection::open(path).expect("it opens");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
    drop(connection);
    let mut bytes = std::fs::read(path).expect("it is there");
    bytes[100..].fill(0x5a);
    std::fs::write(path, &bytes).expect("it is written");
    let store = SqliteStore::open(path, TIMEOUT);
    let error = observe(&store).await.expect_err("it refuses");
    assert!(error.is_garbled(), "{error}");
    assert_says(&error.to_string(), &["malformed", "elections.db"]);
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(crate::store::beside(path, suffix)));
    }
    assert_eq!(settles(&store).await.record, Record::ABSENT);
}

#[tokio::test]
async fn a_database_of_another_program_or_a_newer_version_is_refused() {
    let Scratch { path, .. } = &scratch();
    elect(&SqliteStore::open(path, TIMEOUT)).await;
    let connection = rusqlite::Connection::open(path).expect("it opens");
    connection
        .pragma_update(None, "user_version", 8)
        .expect("a newer version");
    let error = message(observe(&SqliteStore::open(path, TIMEOUT)).await);
    assert_says(
        &error,
        &["format version 8", "uses version 7", "move the file"],
    );
    connection
        .pragma_update(None, "application_id", 5)
        .expect("another program");
    let error = message(observe(&SqliteStore::open(path, TIMEOUT)).await);
    assert_says(&error, &["another program", "0x5", "choose another path"]);
}

#[tokio::test]
async fn a_directory_in_place_of_the_file_and_a_file_in_place_of_the_directory_are_refused() {
    let Scratch { directory, .. } = &scratch();
    let error = message(observe(&SqliteStore::open(directory.path(), TIMEOUT)).await);
    assert_says(&error, &["is a folder"]);
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let error = observe(&SqliteStore::open(&file.join("db"), TIMEOUT)).await;
    let error = error.expect_err("it is refused");
    assert!(error.is_misconfigured(), "{error}");
    assert_says(&error.to_string(), &["file", "choose another path"]);
}

#[tokio::test]
async fn a_full_disk_refuses_the_write_and_leaves_the_record_as_it_was() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    let absent = Record::ABSENT.mark(&elect(&store).await.memory);
    let pages = |pages: i64| {
        store.ask(move |database| {
            Ok(database.connection.pragma_update_and_check(
                None,
                "max_page_count",
                pages,
                |_| Ok(()),
            )?)
        })
    };
    pages(1).await.expect("the limit is set");
    let mut refused = None;
    for number in 0..1000 {
        let name = format!("filler-{number}-{}", "x".repeat(150));
        let name = ElectionName::new(&name).expect("a valid name");
        let a = who("a");
        if let Err(error) = store.execute(&name, &a, &claim(&a, absent, 1)).await {
            refused = Some((name, error));
            break;
        }
    }
    let (name, error) = refused.expect("the database fills up");
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
    assert_says(&error.to_string(), &["full", "free space", "elections.db"]);
    pages(1_000_000).await.expect("the limit is lifted");
    let inspection = store.inspect(&name).await.expect("it reads");
    assert_eq!(inspection.record, Record::ABSENT);
    let reply = store
        .execute(&billing(), &who("a"), &beat(&who("a"), 1))
        .await;
    assert_eq!(reply.expect("it writes again").verdict, Verdict::Granted);
}

#[tokio::test]
async fn a_lock_that_another_process_keeps_is_waited_for_within_the_timeout() {
    let Scratch { path, .. } = &scratch();
    elect(&SqliteStore::open(path, TIMEOUT)).await;
    let store = SqliteStore::open(path, Duration::from_millis(300));
    let mut other = rusqlite::Connection::open(path).expect("it opens");
    let lock = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .expect("the lock");
    let a = who("a");
    let error = store.execute(&billing(), &a, &beat(&a, 1)).await;
    let error = error.expect_err("it times out");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert_says(
        &error.to_string(),
        &["another process keeps the database locked"],
    );
    lock.rollback().expect("the lock is given back");
    let again = async {
        loop {
            if let Ok(reply) = store.execute(&billing(), &a, &beat(&a, 1)).await {
                return reply;
            }
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(60), again).await;
    assert_eq!(again.expect("it writes again").verdict, Verdict::Granted);
}

/// The other half of the test below, run as a user who is not root.
const AS_NOBODY: &str = "INCUMBENT_TEST_SQLITE_AS_NOBODY";

#[test]
fn a_file_or_directory_without_permission_is_denied_with_its_path() {
    if let Ok(directory) = std::env::var(AS_NOBODY) {
        return denied_below(directory.as_ref());
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let open_to_all = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a chmod");
    };
    open_to_all(directory.path(), 0o755);
    // Permissions do not bind root, so the test runs itself again as someone else.
    let program = directory.path().join("test");
    let own = std::env::current_exe().expect("this program");
    std::fs::copy(own, &program).expect("a copy that others can reach");
    open_to_all(&program, 0o755);
    let place = directory.path().join("place");
    std::fs::create_dir(&place).expect("a directory");
    open_to_all(&place, 0o777);
    let mut again = Command::new(&program);
    again
        .args(["--exact", "--test-threads=1"])
        .arg("store::sqlite::tests::a_file_or_directory_without_permission_is_denied_with_its_path")
        .env(AS_NOBODY, &place)
        .current_dir("/");
    if rustix::process::geteuid().is_root() {
        use std::os::unix::process::CommandExt;
        again.uid(65534).gid(65534);
    }
    let output = again.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn denied_below(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let denied = |path: &Path, part: &str| {
        let outcome = runtime.block_on(observe(&SqliteStore::open(path, TIMEOUT)));
        let error = outcome.expect_err("it refuses");
        assert!(error.is_denied(), "{error}");
        assert_says(
            &error.to_string(),
            &[part, "ermission denied", "grant access"],
        );
    };
    let permit = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a chmod");
    };
    let locked = directory.join("locked");
    std::fs::create_dir(&locked).expect("a directory");
    permit(&locked, 0o500);
    denied(&locked.join("below/db"), "locked/below");
    denied(&locked.join("db"), "locked/db");
    permit(&locked, 0o700);
    let path = locked.join("db");
    runtime.block_on(elect(&SqliteStore::open(&path, TIMEOUT)));
    permit(&path, 0o400);
    denied(&path, "locked/db");
    permit(&path, 0o600);
    permit(&locked, 0o500);
    denied(&path, "locked");
    permit(&locked, 0o700);
    let outcome = runtime.block_on(observe(&SqliteStore::open(&path, TIMEOUT)));
    assert_eq!(
        outcome.expect("it opens").record.floor,
        FencingToken::new(1).expect("a term")
    );
}

#[tokio::test]
async fn garbage_in_any_column_is_told_with_its_table_and_field_and_never_a_panic() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    elect(&store).await;
    let other = rusqlite::Connection::open(path).expect("it opens");
    for (field, garbage) in [
        ("floor", "-1"),
        ("floor", "9007199254740992"),
        ("floor", "0"),
        ("term", "-9223372036854775808"),
        ("term", "9007199254740991"),
        ("holder", "'{}|'"),
        ("holder", "''"),
        ("holder", "NULL"),
        ("window_ns", "-5"),
        ("window_ns", "86400000000001"),
        ("window_ns", "NULL"),
        ("identity", "'a|b'"),
        ("identity", "'a|b|many|0'"),
        ("since_ms", "-1"),
        ("changed_ms", "9223372036854775807"),
    ] {
        other.execute_batch("BEGIN").expect("a transaction");
        other
            .execute(&format!("UPDATE election SET {field} = {garbage}"), [])
            .expect("garbage is written");
        other.execute_batch("COMMIT").expect("a commit");
        for request in [Request::Observe, beat(&who("a"), 1)] {
            let outcome = store.execute(&billing(), &who("a"), &request).await;
            let error = outcome.expect_err("it refuses");
            assert!(error.is_garbled(), "{field} = {garbage}: {error}");
            assert_says(
                &error.to_string(),
                &["billing", "table election", "repaired"],
            );
        }
        other
            .execute(
                "UPDATE election SET floor = 1, term = 1, beat = 1, holder = 'a', \
                 window_ns = 3000000000, identity = 'a|host|1|0.1.0', since_ms = 1, changed_ms = 1",
                [],
            )
            .expect("it is repaired");
        observe(&store).await.expect("it reads again");
    }
}

#[tokio::test]
async fn an_idle_store_lets_go_of_a_deleted_file_by_itself() {
    let Scratch { path, .. } = &scratch();
    let idle = SqliteStore::open(path, TIMEOUT);
    observe(&idle).await.expect("it opens");
    std::fs::remove_file(path).expect("it is deleted");
    settles(&SqliteStore::open(path, TIMEOUT)).await;
}

#[tokio::test]
async fn what_only_the_presence_of_a_candidate_changes_is_written_every_few_seconds() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    observe(&store).await.expect("it opens");
    let other = rusqlite::Connection::open(path).expect("it opens");
    let version = || -> i64 {
        let version = other.pragma_query_value(None, "data_version", |row| row.get(0));
        version.expect("a version")
    };
    let mut writes = 0;
    for _ in 0..50 {
        let before = version();
        observe(&store).await.expect("it reads");
        // A reader first has pending notes written.
        store.inspect(&billing()).await.expect("it reads");
        writes += usize::from(version() != before);
    }
    // On a slow machine a note may fall due now and then.
    assert!(writes < 25, "{writes} of 50 observations wrote");
    let inspection = store.inspect(&billing()).await.expect("it reads");
    assert_eq!(inspection.candidates.len(), 1);
}

#[tokio::test]
async fn a_standby_is_noted_in_a_quiet_moment_and_not_while_it_waits_for_the_record() {
    let Scratch { path, .. } = &scratch();
    let (store, other) = (
        SqliteStore::open(path, TIMEOUT),
        SqliteStore::open(path, TIMEOUT),
    );
    observe(&store).await.expect("it opens");
    let noted = async {
        while other
            .inspect(&billing())
            .await
            .expect("it reads")
            .candidates
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let limit = Duration::from_secs(60);
    let noted = tokio::time::timeout(limit, noted).await;
    noted.expect("the standby is noted");
}

#[tokio::test]
async fn a_crowd_of_candidates_and_a_long_history_are_capped() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    observe(&store).await.expect("it opens");
    let other = rusqlite::Connection::open(path).expect("it opens");
    other
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
             INSERT INTO candidate SELECT 'billing', 'c' || i || '|h|1|0', unixepoch() * 1000 FROM n;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
             INSERT INTO history (election, at_ms, term, holder, change)
             SELECT 'billing', 1, i, 'a|h|1|0', 'joined' FROM n;",
        )
        .expect("a crowd");
    elect(&store).await;
    let newcomer = store
        .execute(&billing(), &who("newcomer"), &Request::Observe)
        .await;
    newcomer.expect("it is noted");
    let inspection = store.inspect(&billing()).await.expect("it reads");
    assert_eq!(inspection.candidates.len(), 1000);
    let history = store.history(&billing(), 5000).await.expect("it reads");
    assert_eq!(history.len(), 1000);
    assert_eq!(history[0].change, crate::store::Change::ClaimedAbsent);
}

/// No one deletes an election that was held, by hand either.
#[tokio::test]
async fn an_election_that_was_held_is_not_deleted_by_hand() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    elect(&store).await;
    assert_remembered(&rusqlite::Connection::open(path).expect("it opens"));
    let seen = observe(&store).await.expect("it reads").record;
    assert_eq!(seen.holder(), Some(who("a").id()));
}

fn assert_remembered(connection: &rusqlite::Connection) {
    let refused = connection.execute_batch("DELETE FROM election");
    let refused = refused.expect_err("it was held").to_string();
    assert!(refused.contains("its leader may still act"), "{refused}");
}

/// The note of a change is for people: nothing that someone wrote there is an error.
#[tokio::test]
async fn a_note_that_cannot_be_read_is_not_told() {
    let Scratch { path, .. } = &scratch();
    let store = SqliteStore::open(path, TIMEOUT);
    elect(&store).await;
    let connection = rusqlite::Connection::open(path).expect("it opens");
    for note in ["'yesterday'", "CAST(x'31ff' AS TEXT)", "''", "'-1'"] {
        let update = format!("UPDATE history SET note = {note}");
        connection.execute_batch(&update).expect("it is written");
        let history = store.history(&billing(), 10).await.expect("it reads");
        assert_eq!((history.len(), &history[0].note), (1, &None), "{note}");
    }
}
