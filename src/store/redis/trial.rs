//! Tries what an election needs of a Redis, on a scratch election that is removed again.
//!
//! ```text
//!   the four operations    whether an election can be held
//!   each command of them   which permission is missing: a refused script does not say
//! ```

use std::time::Duration;

use redis::Cmd;
use redis::aio::ConnectionLike;

use super::dial::ConnectError;
use super::failure::{self, Stage};
use super::keys::Keys;
use super::{RedisStore, reply, script};
use crate::protocol::{
    Beat, CandidateId, Claim, ClaimKind, ElectionName, FencingToken, LossReason, Request, Verdict,
};
use crate::store::Identity;
use crate::store::{StoreError, WakeUps};

/// How often a release is announced until it must have been heard, and how long each is listened for.
const ANNOUNCEMENTS: usize = 20;
const HEARD_WITHIN: Duration = Duration::from_millis(50);

/// The commands that were refused, with what the server said.
type Refused = Vec<(&'static str, StoreError)>;

impl RedisStore {
    /// The four operations, and then each command.
    pub(super) async fn try_all(&self) -> (Result<(), StoreError>, Refused) {
        let scratch = format!("incumbent-doctor-{}", uuid::Uuid::new_v4().simple());
        let unusable = |message: String| self.unexpected(message);
        let election = ElectionName::new(&scratch).map_err(|error| unusable(error.to_string()));
        let who = CandidateId::new(&scratch)
            .and_then(|id| Identity::new(id, "doctor", std::process::id(), "-"))
            .map_err(|error| unusable(error.to_string()));
        let (election, who) = match (election, who) {
            (Ok(election), Ok(who)) => (election, who),
            (Err(error), _) | (_, Err(error)) => return (Err(error), Vec::new()),
        };
        let keys = self.keys(&election);
        let wake_ups = self.shared.subscription.listen(keys.events.clone(), None);
        let tried = self.campaign_once(&election, &who).await;
        let refused = match &tried {
            // A server that is away refuses nothing.
            Err(error) if !error.is_denied() => Vec::new(),
            Ok(()) | Err(_) => self.try_commands(&keys, wake_ups).await,
        };
        // Its remains are removed, whatever the outcome.
        let election_key = keys.counter.clone();
        // The memory of a server stays; that of a cluster is of the scratch election alone.
        let listed = format!("@{}", keys.counter);
        let removals = [
            ("DEL", &keys.counter, None),
            ("DEL", &keys.record, None),
            ("DEL", &keys.candidates, None),
            ("DEL", &keys.history, None),
            match self.shared.servers.is_cluster() {
                true => ("DEL", &keys.memory, None),
                false => ("HDEL", &keys.memory, Some(&listed)),
            },
        ];
        for (command, key, field) in removals {
            let mut delete = redis::cmd(command);
            delete.arg(key).arg(field);
            if let Err(error) = self.command(&election_key, &delete).await {
                tracing::debug!(%error, "a key of the scratch election could not be removed");
            }
        }
        (tried, refused)
    }

    async fn campaign_once(
        &self,
        election: &ElectionName,
        who: &Identity,
    ) -> Result<(), StoreError> {
        let holder = who.id().clone();
        let seen = self.carry_out(election, who, &Request::Observe).await?;
        let first =
            FencingToken::next(FencingToken::ZERO, seen.clock).unwrap_or(FencingToken::ZERO);
        let second = FencingToken::next(first, seen.clock).unwrap_or(first);
        let claim = |term, expected| {
            Request::Claim(Claim {
                holder: holder.clone(),
                term,
                expected,
                kind: ClaimKind::Shared,
                window: Duration::from_secs(1),
                after: Beat::default(),
                attested: None,
                ephemeral: false,
            })
        };
        let beat = |term| Request::Beat {
            holder: holder.clone(),
            term,
            attested: None,
        };
        let release = Request::Release {
            holder: holder.clone(),
            term: second,
            reason: LossReason::Resigned,
            delete: false,
        };
        let mut mark = seen.mark();
        // A takeover too, because it needs another command than a first claim.
        for step in 0..4 {
            let request = match step {
                0 => claim(first, mark),
                1 => beat(first),
                2 => claim(second, mark),
                _ => release.clone(),
            };
            let reply = self.carry_out(election, who, &request).await?;
            mark = reply.mark();
            if reply.verdict != Verdict::Granted {
                let what = match request {
                    Request::Claim(_) => "claim",
                    Request::Beat { .. } => "heartbeat",
                    Request::Release { .. } => "release",
                    Request::Observe => "observation",
                    Request::Order(_) => "order",
                };
                return Err(self.unexpected(format!("a {what} on a scratch election was refused")));
            }
        }
        Ok(())
    }

    async fn try_commands(&self, keys: &Keys, wake_ups: WakeUps) -> Refused {
        let (candidates, history) = (keys.candidates.as_str(), keys.history.as_str());
        let (counter, record) = (keys.counter.as_str(), keys.record.as_str());
        let no_script = "0".repeat(40);
        let commands: [(&'static str, &[&str]); 21] = [
            ("time", &[]),
            ("info", &["replication"]),
            ("setnx", &[counter, "1"]),
            ("get", &[counter]),
            ("getset", &[counter, "1"]),
            ("incr", &[counter]),
            ("del", &[counter]),
            ("hset", &[record, "floor", "1"]),
            ("hmget", &[record, "floor"]),
            ("hdel", &[record, "floor"]),
            ("evalsha", &[&no_script, "1", counter]),
            ("zadd", &[candidates, "0", "nobody"]),
            ("zrevrange", &[candidates, "0", "0"]),
            ("zrem", &[candidates, "nobody"]),
            ("zremrangebyscore", &[candidates, "-inf", "0"]),
            ("zremrangebyrank", &[candidates, "1", "0"]),
            ("xadd", &[history, "*", "at", "0"]),
            ("xrevrange", &[history, "+", "-", "COUNT", "1"]),
            ("type", &[history]),
            ("eval", &["return 1", "1", history]),
            ("script|load", &["return 1"]),
        ];
        let mut refused = Vec::new();
        for (name, arguments) in commands {
            let mut command = Cmd::new();
            command
                .arg(name.split('|').collect::<Vec<_>>())
                .arg(arguments);
            // Any other error is the answer of a server that grants access.
            if let Err(error) = self.command(counter, &command).await
                && error.is_denied()
            {
                refused.push((name, error));
            }
        }
        if let Err(error) = self.try_scan().await {
            refused.push(("scan", error));
        }
        let deaf = self.try_listening(&keys.events).await;
        match deaf.is_empty() {
            true => refused.extend(self.try_waking(keys, wake_ups).await),
            false => refused.extend(deaf),
        }
        refused
    }

    /// The commands of a connection that listens, on a separate one.
    async fn try_listening(&self, channel: &str) -> Refused {
        let servers = &self.shared.servers;
        let listening = async {
            let mut connection = servers.listener().await?;
            let mut refused = Vec::new();
            for name in ["subscribe", "unsubscribe"] {
                let mut command = redis::cmd(name);
                command.arg(channel);
                let answer = script::value(connection.req_packed_command(&command).await);
                if let Err(error) = answer {
                    refused.push((name, failure::store_error(&self.label, error, Stage::Sent)));
                }
            }
            Ok::<_, ConnectError>(refused)
        };
        // The announcements find any other fault.
        match tokio::time::timeout(self.op_timeout, listening).await {
            Ok(Ok(refused)) => refused,
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// Whether an announced release is heard. A subscription is set up in the background, so the release is
    /// announced for as long as that may take.
    async fn try_waking(
        &self,
        keys: &Keys,
        mut wake_ups: WakeUps,
    ) -> Option<(&'static str, StoreError)> {
        for _ in 0..ANNOUNCEMENTS {
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(&keys.events).arg(reply::A_RELEASE);
            if let Err(error) = self.command(&keys.counter, &publish).await {
                return Some(("publish", error));
            }
            let heard = tokio::time::timeout(HEARD_WITHIN, wake_ups.next()).await;
            if matches!(heard, Ok(Some(_))) {
                return None;
            }
        }
        let waited = HEARD_WITHIN * u32::try_from(ANNOUNCEMENTS).unwrap_or(u32::MAX);
        let silence = format!("a release was announced for {waited:?} and not heard");
        Some(("subscribe", self.unexpected(silence)))
    }

    fn unexpected(&self, message: String) -> StoreError {
        StoreError::Unexpected {
            store: self.label.clone(),
            message,
        }
    }
}
