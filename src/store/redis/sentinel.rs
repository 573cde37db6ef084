//! The sentinels of a deployment: where they are, as whom they are asked, and for which service.

use std::io::Read;
use std::path::Path;

use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    RedisResult,
};
use secrecy::{ExposeSecret, SecretString};

use super::topology::{address, tcp_settings};
use crate::store::address::{Endpoint, InvalidAddress, SentinelLogin};

/// The longest password, in bytes.
const MAX_PASSWORD: u64 = 4096;

/// The sentinels that know the master of a service.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub(super) addresses: Vec<ConnectionAddr>,
    pub(super) service: String,
    username: Option<String>,
    password: Option<SecretString>,
}

impl Sentinels {
    /// Reads the password; nothing is connected.
    pub(super) fn open(
        sentinels: &[Endpoint],
        service: &str,
        login: &SentinelLogin,
    ) -> Result<Self, InvalidAddress> {
        Ok(Self {
            addresses: sentinels.iter().map(address).collect(),
            service: service.to_owned(),
            username: login.username.clone(),
            password: login.password_file.as_deref().map(password).transpose()?,
        })
    }

    /// How one of them is connected to.
    pub(super) fn connection_info(&self, sentinel: &ConnectionAddr) -> RedisResult<ConnectionInfo> {
        let mut settings = RedisConnectionInfo::default();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.expose_secret());
        }
        let info = sentinel.clone().into_connection_info()?;
        Ok(info
            .set_tcp_settings(tcp_settings())
            .set_redis_settings(settings))
    }

    /// Asks for the master, which is spoken to by `settings`.
    pub(super) fn builder(
        &self,
        settings: &RedisConnectionInfo,
        tcp: TcpSettings,
    ) -> RedisResult<SentinelClientBuilder> {
        let mut builder = SentinelClientBuilder::new(
            self.addresses.iter().cloned(),
            &self.service,
            SentinelServerType::Master,
        )?
        .set_client_to_redis_protocol(settings.protocol())
        .set_client_to_redis_db(settings.db())
        .set_client_to_redis_tcp_settings(tcp.clone())
        .set_client_to_sentinel_tcp_settings(tcp);
        if let Some(username) = settings.username() {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(username) = &self.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_sentinel_password(password.expose_secret());
        }
        Ok(builder)
    }
}

/// The error of a connection that was asked for by way of the sentinels. The client library does not say
/// whether a sentinel refused the login, or the master, so the message names both.
pub(super) fn named(error: RedisError) -> RedisError {
    let code = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    if !code && error.kind() != ErrorKind::AuthenticationFailed {
        return error;
    }
    let both = "a sentinel, which takes the password of sentinel-password-file, or the master, which takes \
                the one of the address";
    RedisError::from((ErrorKind::AuthenticationFailed, both, error.to_string()))
}

/// The password in a file: all of it but the end of its line.
fn password(path: &Path) -> Result<SecretString, InvalidAddress> {
    let cannot = |reason: String| InvalidAddress::File {
        what: "password file of the sentinels",
        path: path.display().to_string(),
        reason,
    };
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_PASSWORD + 1).read_to_string(&mut text));
    let bytes = read.map_err(|error| cannot(error.to_string()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(cannot("it is empty".to_owned()));
    }
    if bytes as u64 > MAX_PASSWORD {
        return Err(cannot(format!("it has more than {MAX_PASSWORD} bytes")));
    }
    Ok(SecretString::from(text))
}
