//! A producer of which exactly one is at work, on however many hosts it is started.
//!
//! ```text
//! cargo run --example producer                          # among the processes of this host
//! cargo run --example producer -- redis://db.example/   # among all that share this Redis
//! ```
//!
//! Start it in two shells: one produces, and the other says who leads. End the first in any way, and
//! the second goes on. The store may also stand in `INCUMBENT_STORE`.

use std::time::Duration;

use incumbent::{Election, ElectionEvent, EventKind, Lease};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().nth(1);
    let store = given
        .or_else(|| std::env::var("INCUMBENT_STORE").ok())
        .unwrap_or_else(|| {
            let scratch = std::env::temp_dir();
            format!("sqlite:{}/incumbent-example.db", scratch.display())
        });
    let election = Election::builder("example-producer")
        .store(&store)
        .build()?;
    tokio::spawn(tell_who_leads(election.events()));

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    // When this returns the election is released, so a standby goes on at once and not after a window.
    election.run_until(shutdown, produce).await?;
    Ok(())
}

/// The work. It stops when it is asked to, and checks the lease before each side effect: between two `await`s
/// nothing can stop it.
async fn produce(lease: Lease) {
    let token = lease.fencing_token();
    let mut number = 0;
    while lease.loss().is_none() && lease.is_leader() {
        number += 1;
        println!("item {number}, token {token}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn tell_who_leads(mut events: Receiver<ElectionEvent>) {
    while let Ok(event) = events.recv().await {
        if let EventKind::Following { leader, term } = event.kind {
            let leader = leader.map_or("somebody".to_owned(), |id| id.to_string());
            eprintln!("standing by: {leader} leads, token {term}");
        }
    }
}
