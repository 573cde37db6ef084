//! Tests that need a process to themselves: it is killed, or the system refuses it a thread.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use incumbent::election::{OrderError, clock};
use incumbent::observe::State;
use incumbent::protocol::TimingConfig;
use incumbent::store::{MemoryStore, SqliteStore, Store, StoreError};
use incumbent::{CampaignError, Election};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;

use super::{election, stores, taken_by_a_stranger};

/// What a test prints in a separate process, which SIGKILL must end.
fn killed_as(test: &str, variable: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("incumbent: killing the process: its work as holder of \"billing\""),
        "{said}"
    );
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.signal(),
        Some(rustix::process::Signal::KILL.as_raw()),
        "{printed}"
    );
    printed
}

/// Set in the process whose work blocks.
const BLOCKING: &str = "INCUMBENT_TEST_BLOCKING";

#[test]
fn a_deposed_leader_whose_work_blocks_ends_the_process_long_before_its_tenure_would() {
    if std::env::var_os(BLOCKING).is_some() {
        return block_when_deposed();
    }
    let printed = killed_as(
        "process::a_deposed_leader_whose_work_blocks_ends_the_process_long_before_its_tenure_would",
        BLOCKING,
    );
    let last = printed.lines().filter_map(|line| line.parse::<u128>().ok());
    let went_on = Duration::from_millis(u64::try_from(last.max().unwrap()).unwrap());
    // A tenure is about 60 s here, and a heartbeat finds the stranger after one.
    assert!(went_on < Duration::from_secs(30), "{went_on:?}");
    assert!(printed.contains("the hook: Some(Deposed)"), "{printed}");
}

fn block_when_deposed() {
    let store = Arc::new(MemoryStore::new("taken"));
    let election = Election::builder("billing")
        .store_object(store.clone())
        .timing(TimingConfig {
            stall_polls: 60,
            ..TimingConfig::default()
        })
        .before_kill(|lease| {
            let line = format!("the hook: {:?}\n", lease.loss());
            rustix::io::write(std::io::stdout(), line.as_bytes()).unwrap();
        })
        .build()
        .unwrap();
    let name = election.name().clone();
    let outcome = election.blocking().run_as_leader(|lease| {
        store.put(&name, taken_by_a_stranger());
        while lease.check().is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let lost = clock::now();
        loop {
            println!("{}", clock::now().since(lost).as_millis());
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    unreachable!("the work never ends: {outcome:?}");
}

/// Set in the process whose log and whose handler of SIGABRT hang.
const STUCK: &str = "INCUMBENT_TEST_STUCK";

#[test]
fn a_log_and_a_handler_that_stand_still_do_not_keep_work_alive_that_blocks() {
    if std::env::var_os(STUCK).is_some() {
        return block_beside_a_stuck_log();
    }
    killed_as(
        "process::a_log_and_a_handler_that_stand_still_do_not_keep_work_alive_that_blocks",
        STUCK,
    );
}

/// A log that takes no error, ever.
struct StandsStill;

impl tracing::Subscriber for StandsStill {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        loop {
            std::thread::park();
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn block_beside_a_stuck_log() {
    tracing::subscriber::set_global_default(StandsStill).unwrap();
    let store = Arc::new(MemoryStore::new("taken"));
    let election = election(std::slice::from_ref(&store));
    let name = election.name().clone();
    let outcome = election.blocking().run_as_leader(|lease| {
        let _deadlines = lease.deadlines();
        store.put(&name, taken_by_a_stranger());
        while lease.check().is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let lost = clock::now();
        // A process that is not killed by then never will be.
        while clock::now().since(lost) < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    unreachable!("the work never ends: {outcome:?}");
}

/// Set in the process that may open no further file.
const EXHAUSTED: &str = "INCUMBENT_TEST_EXHAUSTED";

/// In a separate process, whose limit holds for all of it.
#[test]
fn who_observes_is_told_when_the_system_refuses_the_thread() {
    if std::env::var_os(EXHAUSTED).is_some() {
        return observe_without_a_thread();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "process::who_observes_is_told_when_the_system_refuses_the_thread",
        ])
        .env(EXHAUSTED, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn observe_without_a_thread() {
    let election = election(&stores(3));
    let runtime = Builder::new_current_thread().build().unwrap();
    let limits = getrlimit(Resource::Nofile);
    let current = Some(3);
    setrlimit(Resource::Nofile, Rlimit { current, ..limits }).unwrap();
    let observed = runtime.block_on(async {
        let observer = election.observer();
        let watched = election.watch().collect::<Vec<_>>().await;
        assert_eq!(watched.len(), 1);
        for view in watched.iter().chain([&election.status().await]) {
            assert_eq!(
                (&view.state, view.errors().count()),
                (&State::Unreachable, 3)
            );
        }
        assert!(
            observer
                .elections()
                .await
                .stores
                .iter()
                .all(|(_, told)| told.is_err())
        );
        assert!(
            election
                .history(1)
                .await
                .stores
                .iter()
                .all(|(_, told)| told.is_err())
        );
        assert!(matches!(
            election.operator().resume().await,
            Err(OrderError::NoMajority { .. })
        ));
        assert!(matches!(
            election.operator().depose().await,
            Err(OrderError::Unread { .. })
        ));
        let at = clock::now() + Duration::from_millis(5);
        clock::sleep_until(at).await;
        assert!(clock::now() >= at);
        assert!(matches!(
            election.campaign().await,
            Err(CampaignError::System { .. })
        ));
        // With room for it, the same can be used.
        setrlimit(Resource::Nofile, limits).unwrap();
        election.status().await.state
    });
    assert_eq!(observed, State::Absent);
}

#[test]
fn an_sqlite_store_recovers_once_the_system_grants_its_thread() {
    if std::env::var_os(EXHAUSTED).is_some() {
        return open_without_a_descriptor();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "process::an_sqlite_store_recovers_once_the_system_grants_its_thread",
        ])
        .env(EXHAUSTED, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn open_without_a_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("elections.db");
    std::fs::write(&path, "").unwrap();
    let store = SqliteStore::open(&path, Duration::from_secs(20));
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let limits = getrlimit(Resource::Nofile);
    let current = Some(3);
    setrlimit(Resource::Nofile, Rlimit { current, ..limits }).unwrap();
    let refused = runtime.block_on(store.elections()).unwrap_err();
    assert!(
        matches!(refused, StoreError::Unreachable { .. }),
        "{refused}"
    );
    setrlimit(Resource::Nofile, limits).unwrap();
    assert_eq!(runtime.block_on(store.elections()).unwrap(), []);
}
