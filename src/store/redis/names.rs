//! Which servers a name leads to.
//!
//! A store is one server. A name with several addresses, or a proxy in front of several servers, could lead one
//! candidate to one server and the next candidate to another, and each would lead on its own. So it connects to
//! every address of a store's name, several times if there are few, and all connections must reach the same
//! server. Sentinels, and the nodes of a cluster, are several servers by design: any of them will do.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::dial::{ConnectError, Dialed, Dialer};
use super::link::Looks;
use super::sentinel::by_way_of;
use super::thread::on_thread;
use crate::store::address::Endpoint;

/// The most addresses of one name that are tried.
const MOST: usize = 16;
/// How much longer than the first connection the others may take at least, if only the address families differ:
/// one of them often does not work.
const BEHIND: Duration = Duration::from_millis(100);

/// Connects to the one server at `endpoint`, and compares at least as many connections as `looks` asks for.
///
/// # Errors
///
/// Fails if connections to it reach different servers, or if that cannot be ruled out.
pub(super) async fn only(
    dialer: &Dialer,
    endpoint: &Endpoint,
    looks: Looks,
) -> Result<Dialed, ConnectError> {
    let begun = Instant::now();
    let addresses = resolve(endpoint).await?;
    let dialer = &dialer.ready().await?;
    let of_one_family = |ipv4| addresses.iter().filter(|one| one.is_ipv4() == ipv4).count();
    let several = of_one_family(true).max(of_one_family(false)) > 1;
    let dial =
        |address: SocketAddr| async move { (address, dialer.tcp(&endpoint.host, address).await) };
    let mut dialing: FuturesUnordered<_> = addresses.iter().copied().map(dial).collect();
    let (mut reached, mut failed): (Vec<(SocketAddr, Dialed)>, _) = (Vec::new(), None);
    let mut until = None;
    loop {
        let next = match until {
            Some(until) if !several => timeout_at(until, dialing.next()).await.ok().flatten(),
            _ => dialing.next().await,
        };
        match next {
            None => break,
            Some((address, Ok(dialed))) => {
                until.get_or_insert_with(|| (Instant::now() + BEHIND).max(begun + looks.patience));
                reached.push((address, dialed));
            }
            Some((address, Err(error))) => failed = Some((address, error)),
        }
    }
    if let Some(&(address, _)) = reached.first() {
        // One that fails may be the one that leads elsewhere.
        let further = (reached.len()..looks.connections).map(|_| dial(address));
        for (address, dialed) in join_all(further).await {
            reached.push((address, dialed?));
        }
    }
    let ids = reached
        .iter()
        .filter_map(|(_, dialed)| dialed.server.run_id.as_deref());
    if ids.collect::<BTreeSet<_>>().len() > 1 {
        return Err(ConnectError::SeveralServers(different(endpoint, &reached)));
    }
    match (reached.into_iter().next(), failed) {
        (Some(_), Some((address, error))) if several => Err(ConnectError::unreachable(format!(
            "{} has {} addresses, and not all of them answer, so they may be different servers ({address}: \
             {error}): a store is one server, use the address of one",
            endpoint.host,
            addresses.len()
        ))),
        // It answers, so it is a server, and which one is not known.
        (Some(_), Some((address, error))) if !matches!(error, ConnectError::Unreachable(_)) => {
            Err(by_way_of("one of its addresses", address, error))
        }
        (Some((_, dialed)), _) => Ok(Dialed {
            is_uncompared: !dialing.is_empty(),
            ..dialed
        }),
        (None, Some((_, error))) => Err(error),
        (None, None) => Err(ConnectError::unreachable("its name has no address")),
    }
}

fn different(endpoint: &Endpoint, reached: &[(SocketAddr, Dialed)]) -> String {
    let servers: Vec<String> = reached
        .iter()
        .map(|(address, dialed)| format!("{address} with run_id {}", dialed.server.short_id()))
        .collect();
    format!(
        "{endpoint} leads to different servers ({}), on each of which a candidate could lead: a store is one \
         server, use the address of one",
        servers.join(", ")
    )
}

/// Connects to whichever server at `endpoint` answers first.
pub(super) async fn any(dialer: &Dialer, endpoint: &Endpoint) -> Result<Dialed, ConnectError> {
    let addresses = resolve(endpoint).await?;
    let mut dialing: FuturesUnordered<_> = addresses
        .iter()
        .map(|address| dialer.tcp(&endpoint.host, *address))
        .collect();
    let mut failed = None;
    while let Some(dialed) = dialing.next().await {
        match dialed {
            Ok(dialed) => return Ok(dialed),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| ConnectError::unreachable("its name has no address")))
}

async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, ConnectError> {
    let Endpoint { host, port } = endpoint.clone();
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = on_thread("name lookup", move || {
        (host.as_str(), port)
            .to_socket_addrs()
            .map(|found| found.take(MOST).collect::<BTreeSet<_>>())
    });
    let found = found.await?.map_err(|error: io::Error| {
        ConnectError::unreachable(format!(
            "the name {:?} is not known: {error}",
            endpoint.host
        ))
    })?;
    Ok(found.into_iter().collect())
}
