//! From an address to a connection that is logged in.
//!
//! ```text
//!   Endpoint ─▶ names: every address of the name ─▶ TCP ─▶ TLS ─▶ log in, ask INFO ─▶ Dialed
//!   path     ─────────────────────────────────────▶ Unix socket ───────▲
//! ```
//!
//! The log-in is read here, not by the client library: a server that rejects a client says why and hangs up at
//! once, so writing to it fails before its message is read. It speaks version 2 of the protocol, which every server
//! and proxy understands.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use rustix::net::sockopt;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::awaited::Awaited;
use super::stream::{Io, Stream};
use super::thread::on_thread;
use crate::store::address::{Credentials, Password, PasswordError, TlsSettings};

/// How long sent data may stay unacknowledged before the kernel breaks the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(1);
/// How often a silent connection is probed, so that one whose other end has vanished is noticed.
const PROBE: Duration = Duration::from_secs(5);
/// The longest answer to a command of the log-in, in bytes. `INFO` has about 6,000.
const LONGEST: usize = 1 << 18;

const PASSWORD_COMMAND: &str = "the password command";

/// What is wrong with a server that looks like any other.
pub(super) const NO_RUN_ID: &str = "its INFO has no run_id, which identifies a server: use the server's own \
                                    address, or a proxy that passes INFO on";

/// The beginning of an alert of TLS 1.0 and later (RFC 8446, section 5.1), which is not text.
const TLS_ALERT: [u8; 2] = [21, 3];

/// A server's answer in TLS to plain text.
#[derive(Debug, thiserror::Error)]
#[error("the server speaks TLS on this port: use rediss://, or another port")]
struct SpeaksTls;

/// The log-in for the servers of one deployment.
pub(super) struct Dialer {
    pub(super) credentials: Credentials,
    pub(super) database: u16,
    pub(super) tls: Option<TlsSettings>,
    pub(super) identity: Identification,
    pub(super) awaited: Arc<Awaited>,
}

/// Whether a server that does not report its `run_id` is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Identification {
    /// Two of those that keep elections would look like one.
    Required,
    /// Sentinels keep none, and an examination goes on.
    Optional,
}

/// A connection that is logged in, and what the server reports about itself.
pub(super) struct Dialed {
    pub(super) stream: Stream,
    pub(super) server: ServerInfo,
    /// Whether another address of its name has not answered yet, and may be another server.
    pub(super) is_uncompared: bool,
}

/// A server's `INFO`; empty if it may not be read.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerInfo {
    /// A new one at each start: two that differ are two servers, or a restart lies between.
    pub(super) run_id: Option<String>,
    /// Whether it is a replica of another server.
    pub(super) is_replica: bool,
    /// That other server.
    pub(super) master: Option<String>,
    /// Whether it keeps no data, and knows which servers do.
    pub(super) is_sentinel: bool,
}

/// Why a server was not connected to. Nothing has been executed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It is not there, or does not answer.
    #[error("{0}")]
    Unreachable(Arc<dyn std::error::Error + Send + Sync>),
    /// It, or this system, refuses us.
    #[error("{0}")]
    Denied(String),
    /// What was configured cannot work.
    #[error("{0}")]
    Misconfigured(String),
    /// The address leads to different servers.
    #[error("{0}")]
    SeveralServers(String),
    /// It answered with an error.
    #[error("{}", super::failure::words(.0))]
    Answered(RedisError),
}

impl ConnectError {
    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self::Unreachable(Arc::new(io::Error::other(message.into())))
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref())
            && let Some(fault) = super::tls::fault(tls)
        {
            return match super::tls::may_pass(tls) {
                true => Self::unreachable(fault),
                false => Self::Misconfigured(fault),
            };
        }
        match error.get_ref() {
            Some(inner) if inner.is::<SpeaksTls>() => Self::Misconfigured(error.to_string()),
            Some(_) | None => Self::Unreachable(Arc::new(error)),
        }
    }
}

impl From<PasswordError> for ConnectError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::File { .. } => Self::Misconfigured(error.to_string()),
            // The service that hands out the tokens may be away.
            PasswordError::Command { .. } => Self::Unreachable(Arc::new(io::Error::other(error))),
        }
    }
}

impl Dialer {
    /// The same with its password read, for several connections at once.
    pub(super) async fn ready(&self) -> Result<Self, ConnectError> {
        let mut credentials = self.credentials.clone();
        credentials.password = self.password().await?.map(Password::Text);
        Ok(Self {
            credentials,
            database: self.database,
            tls: self.tls.clone(),
            identity: self.identity,
            awaited: Arc::clone(&self.awaited),
        })
    }

    async fn password(&self) -> Result<Option<SecretString>, ConnectError> {
        let password = match &self.credentials.password {
            None => return Ok(None),
            Some(Password::Text(text)) => return Ok(Some(text.clone())),
            Some(password) => password.clone(),
        };
        if matches!(password, Password::Command(_)) {
            self.awaited.wait(
                PASSWORD_COMMAND,
                "has not ended: let it be faster, or choose a longer op_timeout",
            );
        }
        // Dropping this early closes it silently, which ends the command.
        let (leash, mut held) = io::pipe()?;
        let read = on_thread("password", move || password.read(leash)).await?;
        // What has failed is reported.
        self.awaited.end(PASSWORD_COMMAND, &Ok(()));
        // No one reads it if the command has failed, or if there was none.
        let _unread = held.write_all(b"\n");
        Ok(Some(read?))
    }

    /// Connects to one address of `host` over TCP.
    pub(super) async fn tcp(
        &self,
        host: &str,
        address: SocketAddr,
    ) -> Result<Dialed, ConnectError> {
        let who = match host.parse::<IpAddr>() {
            Ok(_) => address.to_string(),
            Err(_) => format!("{host} ({address})"),
        };
        self.awaited.wait(&who, "does not accept a connection");
        let dialed = self.tcp_by(&who, host, address).await;
        self.awaited.end(&who, &dialed);
        dialed
    }

    async fn tcp_by(
        &self,
        who: &str,
        host: &str,
        address: SocketAddr,
    ) -> Result<Dialed, ConnectError> {
        let stream = TcpStream::connect(address).await?;
        configure(&stream)?;
        let io = match &self.tls {
            None => Io::Tcp(stream),
            #[cfg(feature = "tls")]
            Some(settings) => {
                // A server without TLS waits for the end of a line.
                self.awaited.wait(
                    who,
                    "does not answer the TLS handshake: if it runs, use its TLS port, or an address without TLS",
                );
                Io::Tls(Box::new(super::tls::connect(settings, host, stream).await?))
            }
            #[cfg(not(feature = "tls"))]
            Some(_) => {
                return Err(ConnectError::Misconfigured(format!(
                    "{host} needs TLS, which this build does not have"
                )));
            }
        };
        self.log_in(who, Stream::new(io)).await
    }

    pub(super) async fn unix(&self, path: &Path) -> Result<Dialed, ConnectError> {
        let who = format!("the socket {}", path.display());
        let dialed = self.unix_by(&who, path).await;
        self.awaited.end(&who, &dialed);
        dialed
    }

    async fn unix_by(&self, who: &str, path: &Path) -> Result<Dialed, ConnectError> {
        let stream = UnixStream::connect(path).await.map_err(|error| {
            let message = format!("{who}: {error}");
            match error.kind() {
                io::ErrorKind::PermissionDenied => ConnectError::Denied(message),
                _ => ConnectError::unreachable(message),
            }
        })?;
        self.log_in(who, Stream::new(Io::Unix(stream))).await
    }

    async fn log_in(&self, who: &str, mut stream: Stream) -> Result<Dialed, ConnectError> {
        let password = self.password().await?;
        self.awaited
            .wait(who, "accepted a connection and does not answer");
        let mut commands = Vec::new();
        match (&self.credentials.username, &password) {
            (None, None) => {}
            (None, Some(password)) => {
                commands.push(vec!["AUTH", password.expose_secret()]);
            }
            (Some(user), password) => {
                let password = password.as_ref().map_or("", |text| text.expose_secret());
                commands.push(vec!["AUTH", user, password]);
            }
        }
        let authenticates = !commands.is_empty();
        let database = self.database.to_string();
        if self.database != 0 {
            commands.push(vec!["SELECT", &database]);
        }
        commands.push(vec!["CLIENT", "SETINFO", "LIB-NAME", "incumbent"]);
        commands.push(vec![
            "CLIENT",
            "SETINFO",
            "LIB-VER",
            env!("CARGO_PKG_VERSION"),
        ]);
        commands.push(vec!["INFO"]);
        let answers = converse(&mut stream, &commands).await;
        let answers = answers.map_err(|error| match error {
            ConnectError::Unreachable(source) if self.tls.is_none() && is_hang_up(&*source) => {
                ConnectError::unreachable(format!(
                    "the server hung up without an answer ({source}); if it speaks TLS on this port, use rediss://"
                ))
            }
            error => error,
        })?;
        let answer_to = |name: &str| {
            let at = commands.iter().position(|command| command[0] == name);
            at.map(|at| &answers[at])
        };
        let info = answer_to("INFO");
        let locked_out = matches!(info, Some(Err(error)) if error.code() == Some("NOAUTH"));
        if authenticates
            && let Some(Err(error)) = answer_to("AUTH")
            // A server without any password answers with a general error, and lets all clients in.
            && (self.credentials.username.is_some() || error.code() != Some("ERR") || locked_out)
        {
            return Err(ConnectError::Answered(error.clone()));
        }
        if let Some(Err(error)) = answer_to("SELECT") {
            return Err(match error.code() {
                Some("ERR") => ConnectError::Misconfigured(format!(
                    "it has no database {database} ({}): choose another one, or set databases in its \
                     configuration",
                    super::failure::words(error)
                )),
                _ => ConnectError::Answered(error.clone()),
            });
        }
        let server = match info {
            Some(Ok(text)) => ServerInfo::read(text),
            Some(Err(error)) if self.identity == Identification::Required => {
                return Err(unidentified(error));
            }
            Some(Err(_)) | None => ServerInfo::default(),
        };
        if self.identity == Identification::Required && server.run_id.is_none() {
            return Err(ConnectError::Misconfigured(NO_RUN_ID.to_owned()));
        }
        Ok(Dialed {
            stream,
            server,
            is_uncompared: false,
        })
    }
}

impl ServerInfo {
    /// Whether it is known to be another one, or the same one restarted.
    pub(super) fn is_another_than(&self, other: &Self) -> bool {
        matches!((&self.run_id, &other.run_id), (Some(one), Some(other)) if one != other)
    }

    /// The first characters of its `run_id`.
    pub(super) fn short_id(&self) -> &str {
        let id = self.run_id.as_deref().unwrap_or("unknown");
        id.get(..8).unwrap_or(id)
    }

    pub(super) fn read(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        Self {
            run_id: field("run_id").map(|id| id.chars().take(64).collect()),
            is_replica: field("role") == Some("slave"),
            master: field("master_host")
                .zip(field("master_port"))
                .map(|(host, port)| format!("{host}:{port}")),
            is_sentinel: field("redis_mode") == Some("sentinel"),
        }
    }
}

/// The error of a server that does not answer `INFO`.
fn unidentified(error: &RedisError) -> ConnectError {
    let words = super::failure::words(error);
    if super::failure::is_unknown_command(error) {
        return ConnectError::Misconfigured(format!(
            "{words}; INFO identifies a server: remove info from rename-command in the server's \
             configuration"
        ));
    }
    match error.code() {
        Some("NOPERM") => ConnectError::Denied(format!(
            "{words}; INFO identifies a server: give the user the right +info"
        )),
        _ => ConnectError::Answered(error.clone()),
    }
}

/// Makes the kernel detect that the other end has vanished.
fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE)?;
    sockopt::set_tcp_keepintvl(stream, PROBE)?;
    let milliseconds = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, milliseconds)?;
    Ok(())
}

/// Sends commands, and reads one answer to each. If the server hangs up in between, the error is the last
/// one that it sent.
async fn converse(
    stream: &mut Stream,
    commands: &[Vec<&str>],
) -> Result<Vec<Result<String, RedisError>>, ConnectError> {
    let mut pipeline = redis::Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.cmd(command[0]).arg(&command[1..]);
    }
    // A failed write is found out by reading, after what the server sent before.
    let written = stream.write_all(&pipeline.get_packed_pipeline()).await;
    let mut answers: Vec<Result<String, RedisError>> = Vec::with_capacity(commands.len());
    let mut received = Vec::new();
    for _ in commands {
        match read_answer(stream, &mut received).await {
            Ok(answer) => answers.push(answer),
            Err(error) => {
                let words = answers.into_iter().rev().find_map(Result::err);
                return Err(match (words, written) {
                    (Some(words), _) => ConnectError::Answered(words),
                    (None, Err(unwritten)) => unwritten.into(),
                    (None, Ok(())) => error.into(),
                });
            }
        }
    }
    if !received.is_empty() {
        return Err(ConnectError::unreachable(
            "the server said more than it was asked: it does not speak the protocol of Redis",
        ));
    }
    Ok(answers)
}

/// Whether the other side ended a connection.
fn is_hang_up(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionReset | UnexpectedEof))
}

/// The next answer: a line, a text, or an error.
async fn read_answer(
    stream: &mut Stream,
    received: &mut Vec<u8>,
) -> io::Result<Result<String, RedisError>> {
    let line = read_until(stream, received, |bytes| {
        bytes
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .map(|at| at + 2)
    })
    .await?;
    let (kind, text) = line.split_at(1.min(line.len()));
    let text = text.trim_end();
    match kind {
        "+" | ":" => Ok(Ok(text.to_owned())),
        "-" => {
            let error = redis::parse_redis_value(line.as_bytes())
                .and_then(redis::Value::extract_error)
                .err();
            error.map(Err).ok_or_else(|| foreign(&line))
        }
        "$" if text == "-1" => Ok(Ok(String::new())),
        "$" => {
            let length: usize = text.parse().map_err(|_| foreign(&line))?;
            let whole = length.saturating_add(2);
            read_until(stream, received, |bytes| {
                (bytes.len() >= whole).then_some(whole)
            })
            .await
            .map(Ok)
        }
        _ => Err(foreign(&line)),
    }
}

/// Takes bytes off `received`, and reads more until `end` returns where the answer ends.
async fn read_until(
    stream: &mut Stream,
    received: &mut Vec<u8>,
    end: impl Fn(&[u8]) -> Option<usize>,
) -> io::Result<String> {
    loop {
        if let Some(end) = end(received) {
            let taken = received.drain(..end).collect();
            return String::from_utf8(taken).map_err(|_| foreign("bytes that are not UTF-8"));
        }
        if received.len() > LONGEST {
            return Err(foreign("an endless answer"));
        }
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if received.starts_with(&TLS_ALERT) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, SpeaksTls));
        }
    }
}

fn foreign(answer: &str) -> io::Error {
    let shown: String = answer.trim_end().chars().take(80).collect();
    io::Error::other(format!(
        "the server does not speak the protocol of Redis: it answered {shown:?}"
    ))
}
