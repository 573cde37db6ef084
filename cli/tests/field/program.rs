//! The programs that are elected. The test binary starts itself as them, so that nothing else has to be
//! built, and they do nothing but act: write a line every few milliseconds.

use std::path::PathBuf;
use std::process::{Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use incumbent::protocol::TimingConfig;
use incumbent::{CampaignError, Election, RunError};

use super::witness::{Pen, Witness, boot_nanos};
use crate::support::environment;

/// The test that is the program when it is asked to be.
const TEST: &str = "field::program::the_witness_sees_what_an_elected_program_does";

/// The variable that says which program to be.
pub(crate) const ROLE: &str = "WITNESS_ROLE";
pub(crate) const LOG: &str = "WITNESS_LOG";
pub(crate) const NAME: &str = "WITNESS_NAME";
pub(crate) const STORES: &str = "WITNESS_STORES";
pub(crate) const ELECTION: &str = "WITNESS_ELECTION";
pub(crate) const PREFIX: &str = "WITNESS_PREFIX";
pub(crate) const LABEL: &str = "WITNESS_LABEL";
/// Interval, stall polls, stop grace: milliseconds, a number, milliseconds.
pub(crate) const TIMING: &str = "WITNESS_TIMING";
pub(crate) const PERIOD: &str = "WITNESS_PERIOD_MS";

/// The command that starts this binary as one of its programs.
pub(crate) fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    environment::clear(&mut command)
        .args([TEST, "--exact", "--nocapture"])
        .env(ROLE, role);
    command
}

#[test]
fn the_witness_sees_what_an_elected_program_does() {
    match std::env::var(ROLE).as_deref() {
        Ok("work") => work(),
        Ok("library") => library(),
        Ok(role) => panic!("there is no program {role:?}"),
        Err(_) => show(),
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("the variable {name} is missing"))
}

fn period() -> Duration {
    let millis = std::env::var(PERIOD).map_or(5, |text| text.parse().unwrap());
    Duration::from_millis(millis)
}

fn on_sigterm() -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, told.clone()).unwrap();
    told
}

/// What `incumbent run` runs: it acts until it is asked to stop, and checks nothing. A test that is over
/// has taken the file away: then it ends too, whoever should have ended it.
fn work() -> ! {
    let told = on_sigterm();
    let token = variable("INCUMBENT_FENCING_TOKEN").parse().unwrap();
    let log = PathBuf::from(variable(LOG));
    let mut pen = Pen::new(&log, &variable(NAME), token);
    pen.write("begin", boot_nanos());
    while !told.load(Ordering::Relaxed) && log.exists() {
        pen.write("act", boot_nanos());
        std::thread::sleep(period());
    }
    pen.write("end", boot_nanos());
    exit(0);
}

/// A program that uses the library: it campaigns forever, and checks its lease before it acts.
fn library() -> ! {
    let told = on_sigterm();
    let leading = Arc::new(AtomicBool::new(false));
    std::thread::spawn({
        let (told, leading) = (told.clone(), leading.clone());
        move || loop {
            if told.load(Ordering::SeqCst) && !leading.load(Ordering::SeqCst) {
                exit(0);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let election = election().blocking();
    let (log, name) = (PathBuf::from(variable(LOG)), variable(NAME));
    while !told.load(Ordering::SeqCst) {
        let outcome = election.run_as_leader(|lease| {
            leading.store(true, Ordering::SeqCst);
            let mut pen = Pen::new(&log, &name, lease.fencing_token().get());
            let mut event = "begin";
            while !told.load(Ordering::SeqCst) && lease.loss().is_none() {
                let now = boot_nanos();
                if lease.check().is_err() {
                    break;
                }
                pen.write(event, now);
                event = "act";
                std::thread::sleep(period());
            }
        });
        leading.store(false, Ordering::SeqCst);
        match outcome {
            Ok(()) | Err(RunError::Lost { .. }) => {}
            Err(RunError::Campaign(CampaignError::Denied { .. })) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => panic!("{error}"),
        }
    }
    exit(0);
}

fn election() -> Election {
    let timing = variable(TIMING);
    let numbers: Vec<u64> = timing.split(' ').map(|n| n.parse().unwrap()).collect();
    let [interval, stall_polls, stop_grace] = numbers[..] else {
        panic!("{TIMING} is {timing:?}")
    };
    let mut builder = Election::builder(variable(ELECTION))
        .timing(TimingConfig {
            interval: Duration::from_millis(interval),
            stall_polls: u32::try_from(stall_polls).unwrap(),
            stop_grace: Duration::from_millis(stop_grace),
            ..TimingConfig::default()
        })
        .key_prefix(variable(PREFIX))
        .label(variable(LABEL));
    for store in variable(STORES).split(' ') {
        builder = builder.store(store);
    }
    builder.build().unwrap()
}

fn show() {
    let dir = tempfile::tempdir().unwrap();
    let mut witness = Witness::new(dir.path().join("log"));
    let started = boot_nanos();
    let mut program = command("work")
        .env("INCUMBENT_FENCING_TOKEN", "7")
        .env(LOG, witness.path())
        .env(NAME, "one")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while witness
        .read()
        .first()
        .is_none_or(|span| span.to - span.from < 20_000_000)
    {
        assert!(
            boot_nanos() - started < 30_000_000_000,
            "the program does not act"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    program.kill().unwrap();
    program.wait().unwrap();
    let spans = witness.read().to_vec();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!((spans[0].who.as_str(), spans[0].token), ("one", Some(7)));
    assert!(
        spans[0].from > started && spans[0].to <= boot_nanos(),
        "{spans:?}"
    );
    let mut late = Pen::new(witness.path(), "two", 6);
    late.write("begin", spans[0].from + 1);
    witness.read();
    let violations = witness.violations();
    assert_eq!(
        violations.len(),
        2,
        "an overlap, and a late token: {violations:?}"
    );
}
