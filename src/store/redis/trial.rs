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
        let channels = [keys.events.clone(), keys.events_for(who.id())];
        let [all, one] = channels.clone();
        let wake_ups = self.shared.subscription.listen(all, one, None);
        let tried = self.campaign_once(&keys, &who).await;
        let refused = match &tried {
            // A server that is away refuses nothing.
            Err(error) if !error.is_denied() => Vec::new(),
            Ok(()) | Err(_) => self.try_commands(&keys, &channels, wake_ups).await,
        };
        // Its remains are removed, whatever the outcome.
        let election_key = keys.counter.clone();
        // The memory of a server stays.
        let listed = format!("@{}", keys.counter);
        let own = keys.with_own_memory();
        let removals = [
            ("DEL", &keys.counter, None),
            ("DEL", &keys.record, None),
            ("DEL", &keys.candidates, None),
            ("DEL", &keys.history, None),
            ("DEL", &own.memory, None),
            ("HDEL", &keys.memory, Some(&listed)),
        ];
        let removals = removals
            .into_iter()
            .take(match self.shared.servers.is_cluster() {
                true => 5,
                false => 6,
            });
        for (command, key, field) in removals {
            let mut delete = redis::cmd(command);
            delete.arg(key).arg(field);
            if let Err(error) = self.command(&election_key, &delete).await {
                tracing::debug!(%error, "a key of the scratch election could not be removed");
            }
        }
        (tried, refused)
    }

    async fn campaign_once(&self, keys: &Keys, who: &Identity) -> Result<(), StoreError> {
        let holder = who.id().clone();
        let seen = self.carry_out(keys, who, &Request::Observe).await?;
        let next = |term| FencingToken::next(term, seen.clock).unwrap_or(term);
        let first = next(FencingToken::ZERO);
        let (second, third) = (next(first), next(next(first)));
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
        let release = |term| Request::Release {
            holder: holder.clone(),
            term,
            reason: LossReason::Resigned,
            delete: false,
        };
        // A takeover too, because it needs another command than a first claim. The memory of the server counts those,
        // and what counts differently than a candidate has seen it refuses its claim, so it has its own.
        let own = keys.with_own_memory();
        let mut mark = seen.mark();
        for step in 0..7 {
            let request = match step {
                0 => claim(first, mark),
                1 => beat(first),
                2 => release(first),
                3 => Request::Observe,
                4 => claim(second, mark),
                5 => claim(third, mark),
                _ => release(third),
            };
            let keys = if step < 3 { keys } else { &own };
            let reply = self.carry_out(keys, who, &request).await?;
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

    async fn try_commands(&self, keys: &Keys, channels: &[String], wake_ups: WakeUps) -> Refused {
        let (candidates, history) = (keys.candidates.as_str(), keys.history.as_str());
        let (counter, record) = (keys.counter.as_str(), keys.record.as_str());
        let no_script = "0".repeat(40);
        let commands: [(&'static str, &[&str]); 22] = [
            ("time", &[]),
            ("info", &["replication"]),
            ("setnx", &[counter, "1"]),
            ("get", &[counter]),
            ("exists", &[counter]),
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
        let deaf = self.try_listening(channels).await;
        match deaf.is_empty() {
            true => refused.extend(self.try_waking(keys, channels, wake_ups).await),
            false => refused.extend(deaf),
        }
        refused
    }

    /// The commands of a connection that listens, on a separate one.
    async fn try_listening(&self, channels: &[String]) -> Refused {
        let servers = &self.shared.servers;
        let listening = async {
            let mut connection = servers.listener().await?;
            let mut refused = Vec::new();
            for name in ["subscribe", "unsubscribe"] {
                let mut command = redis::cmd(name);
                command.arg(channels);
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
        channels: &[String],
        mut wake_ups: WakeUps,
    ) -> Option<(&'static str, StoreError)> {
        let mut announced = 0;
        for channel in channels {
            loop {
                let mut publish = redis::cmd("PUBLISH");
                publish.arg(channel).arg(reply::A_RELEASE);
                if let Err(error) = self.command(&keys.counter, &publish).await {
                    return Some(("publish", error));
                }
                let heard = tokio::time::timeout(HEARD_WITHIN, wake_ups.next()).await;
                if matches!(heard, Ok(Some(_))) {
                    break;
                }
                announced += 1;
                if announced == ANNOUNCEMENTS {
                    return Some(("subscribe", self.unheard()));
                }
            }
        }
        None
    }

    fn unheard(&self) -> StoreError {
        let waited = HEARD_WITHIN * u32::try_from(ANNOUNCEMENTS).unwrap_or(u32::MAX);
        let silence = format!("a release was announced for {waited:?} and not heard");
        self.unexpected(silence)
    }

    fn unexpected(&self, message: String) -> StoreError {
        StoreError::Unexpected {
            store: self.label.clone(),
            message,
        }
    }
}
