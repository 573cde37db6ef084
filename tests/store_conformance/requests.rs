//! The requests that the suites make, and what they expect of the replies.

use std::time::Duration;

use incumbent::protocol::{
    Beat, CandidateId, Claim, ClaimKind, ElectionName, LossReason, Mark, Reply, Request, Term,
    Verdict,
};
use incumbent::store::Identity;
use incumbent::store::Store;

pub(crate) const WINDOW: Duration = Duration::from_millis(1234);

pub(crate) fn name(text: &str) -> ElectionName {
    text.parse().expect("a valid name")
}

pub(crate) fn who(id: &str) -> Identity {
    let id = CandidateId::new(id).expect("a valid id");
    Identity::new(id, "a-host", 42, "0.1.0").expect("a valid identity")
}

pub(crate) fn term(number: u64) -> Term {
    Term::new(number).expect("a valid term")
}

pub(crate) fn claim(who: &Identity, number: u64, expected: Mark) -> Request {
    Request::Claim(Claim {
        holder: who.id().clone(),
        term: term(number),
        expected,
        kind: ClaimKind::Shared,
        after: Beat::default(),
        window: WINDOW,
        attested: None,
        ephemeral: false,
    })
}

pub(crate) fn join(who: &Identity, number: u64, expected: Mark) -> Request {
    match claim(who, number, expected) {
        Request::Claim(claim) => Request::Claim(Claim {
            kind: ClaimKind::Join,
            ..claim
        }),
        other => other,
    }
}

pub(crate) fn beat(who: &Identity, number: u64) -> Request {
    Request::Beat {
        holder: who.id().clone(),
        term: term(number),
        attested: None,
    }
}

pub(crate) fn release(who: &Identity, number: u64) -> Request {
    leave(who, number, false)
}

/// A release that leaves nothing behind.
pub(crate) fn delete(who: &Identity, number: u64) -> Request {
    leave(who, number, true)
}

fn leave(who: &Identity, number: u64, delete: bool) -> Request {
    Request::Release {
        holder: who.id().clone(),
        term: term(number),
        reason: LossReason::Resigned,
        delete,
    }
}

pub(crate) async fn ask(
    store: &dyn Store,
    election: &ElectionName,
    who: &Identity,
    request: &Request,
) -> Reply {
    let reply = store.execute(election, who, request).await;
    reply.unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

pub(crate) async fn granted(
    store: &dyn Store,
    election: &ElectionName,
    who: &Identity,
    request: &Request,
) -> Reply {
    let reply = ask(store, election, who, request).await;
    assert_eq!(reply.verdict, Verdict::Granted, "{request:?}: {reply:?}");
    reply
}

pub(crate) async fn refused(
    store: &dyn Store,
    election: &ElectionName,
    who: &Identity,
    request: &Request,
) -> Reply {
    let reply = ask(store, election, who, request).await;
    assert_eq!(reply.verdict, Verdict::Refused, "{request:?}: {reply:?}");
    reply
}

/// What a claim must expect now.
pub(crate) async fn seen(store: &dyn Store, election: &ElectionName, who: &Identity) -> Mark {
    granted(store, election, who, &Request::Observe)
        .await
        .mark()
}
