//! One election on one store, as a candidate of these tests sees it.

use std::sync::Arc;
use std::time::Duration;

use incumbent::protocol::{
    Beat, Claim, ClaimKind, ElectionName, FencingToken, LossReason, Mark, Memory, MemoryId, Record,
    Reply, Request, Verdict, WallMillis,
};
use incumbent::store::Identity;
use incumbent::store::{self, Inspection, Store, StoreAddress, StoreError, StoreOptions};

/// A candidate, its store, and its election.
pub(crate) struct Election {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) name: ElectionName,
    pub(crate) who: Identity,
}

impl Election {
    /// `who` campaigns for `billing` on the store at `address`.
    pub(crate) fn new(address: &StoreAddress, who: &str) -> Self {
        Self::with(address, &options(), "billing", who)
    }

    pub(crate) fn with(
        address: &StoreAddress,
        options: &StoreOptions,
        name: &str,
        who: &str,
    ) -> Self {
        Self {
            store: store::open(address, options).unwrap(),
            name: name.parse().unwrap(),
            who: identity(who),
        }
    }

    /// The same election for somebody else.
    pub(crate) fn rival(&self, who: &str) -> Self {
        Self {
            store: Arc::clone(&self.store),
            name: self.name.clone(),
            who: identity(who),
        }
    }

    /// The same over separate connections, as another runtime uses it.
    pub(crate) fn apart(&self) -> Self {
        let mut apart = self.rival(self.who.id().as_str());
        apart.store = self.store.apart().unwrap();
        apart
    }

    pub(crate) async fn execute(&self, request: &Request) -> Result<Reply, StoreError> {
        self.store.execute(&self.name, &self.who, request).await
    }

    pub(crate) async fn observe(&self) -> Result<Reply, StoreError> {
        self.execute(&Request::Observe).await
    }

    pub(crate) async fn claim(&self, term: u64, expected: Mark) -> Result<Reply, StoreError> {
        self.execute(&self.claim_request(term, expected)).await
    }

    pub(crate) fn claim_request(&self, term: u64, expected: Mark) -> Request {
        Request::Claim(Claim {
            holder: self.who.id().clone(),
            term: FencingToken::new(term).unwrap(),
            expected,
            kind: ClaimKind::Shared,
            after: Beat::default(),
            window: Duration::from_secs(5),
            attested: None,
            ephemeral: false,
        })
    }

    pub(crate) async fn beat(&self, term: u64) -> Result<Reply, StoreError> {
        self.execute(&Request::Beat {
            holder: self.who.id().clone(),
            term: FencingToken::new(term).unwrap(),
            attested: None,
        })
        .await
    }

    pub(crate) async fn release(&self, term: u64) -> Result<Reply, StoreError> {
        self.execute(&Request::Release {
            holder: self.who.id().clone(),
            term: FencingToken::new(term).unwrap(),
            reason: LossReason::Resigned,
            delete: false,
        })
        .await
    }

    pub(crate) async fn inspect(&self) -> Result<Inspection, StoreError> {
        self.store.inspect(&self.name).await
    }

    /// Claims whatever stands there now, and must be granted.
    pub(crate) async fn win(&self, term: u64) -> Reply {
        let seen = self.observe().await.unwrap();
        let reply = self.claim(term, seen.mark()).await.unwrap();
        assert_eq!(reply.verdict, Verdict::Granted);
        reply
    }
}

/// An absent record on a store that has no memory yet.
pub(crate) fn nothing() -> Mark {
    let memory = MemoryId {
        made: WallMillis::ZERO,
        nonce: 0,
    };
    Record::ABSENT.mark(&Memory::young(memory))
}

pub(crate) fn identity(who: &str) -> Identity {
    Identity::new(who.parse().unwrap(), "host.example", 4711, "0.1.0").unwrap()
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions::default().op_timeout(Duration::from_secs(10))
}

/// Longer than a request to a server that answers takes, and short enough to wait for.
pub(crate) const HASTY: Duration = Duration::from_millis(500);

pub(crate) fn hasty() -> StoreOptions {
    options().op_timeout(HASTY)
}
