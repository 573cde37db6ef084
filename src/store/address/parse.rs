//! From text to [`Place`], part by part, so that an error can name the part.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::{
    Credentials, Deployment, Endpoint, InvalidAddress, Password, Place, RedisPlace, TlsSettings,
};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

pub(super) fn place(text: &str) -> Result<Place, InvalidAddress> {
    // A text that is no scheme is not shown: it may be the beginning of a password.
    let (scheme, rest) = text
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
        .ok_or(InvalidAddress::NoScheme)?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme == "sqlite" {
        return sqlite(rest);
    }
    let kind = scheme
        .strip_prefix("redis")
        .or_else(|| scheme.strip_prefix("valkey"));
    match kind {
        Some("") => direct("redis", rest),
        Some("s") => direct("rediss", rest),
        Some("+unix") => unix(rest),
        Some("+sentinel") => sentinel("redis+sentinel", rest),
        Some("s+sentinel") => sentinel("rediss+sentinel", rest),
        Some("+cluster") => cluster("redis+cluster", rest),
        Some("s+cluster") => cluster("rediss+cluster", rest),
        _ => Err(InvalidAddress::Scheme { scheme }),
    }
    .map(|place| Place::Redis(Box::new(place)))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn direct(scheme: &'static str, rest: &str) -> Result<RedisPlace, InvalidAddress> {
    let parts = Parts::of(scheme, rest)?;
    if parts.hosts.contains(',') {
        return Err(InvalidAddress::SeveralHosts { scheme });
    }
    let mut parameters = Parameters::read(scheme, parts.query)?;
    let tls = parameters.tls()?;
    Ok(RedisPlace {
        deployment: Deployment::Direct(endpoint(scheme, parts.hosts, REDIS_PORT)?),
        database: database(parts.path)?,
        credentials: parts.credentials,
        tls,
    })
}

fn unix(rest: &str) -> Result<RedisPlace, InvalidAddress> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (before, query) = split_query(rest);
    let (userinfo, path) = match before.split_once("@/") {
        Some((userinfo, _)) if !userinfo.starts_with('/') => {
            (Some(userinfo), &before[userinfo.len() + 1..])
        }
        Some(_) | None => (None, before),
    };
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(InvalidAddress::Path {
            example: "redis+unix:///path/to/redis.sock",
        });
    }
    let mut parameters = Parameters::read("redis+unix", query)?;
    let db = parameters.take("db");
    Ok(RedisPlace {
        deployment: Deployment::Unix(decoded("path", path)?.into()),
        database: db.as_deref().map_or(Ok(0), database_number)?,
        credentials: credentials(userinfo)?,
        tls: None,
    })
}

fn sentinel(scheme: &'static str, rest: &str) -> Result<RedisPlace, InvalidAddress> {
    let parts = Parts::of(scheme, rest)?;
    let mut parameters = Parameters::read(scheme, parts.query)?;
    let tls = parameters.tls()?;
    let username = parameters.take("sentinel-username");
    let password = parameters.take("sentinel-password-file");
    if username.is_some() && password.is_none() {
        let problem = "needs sentinel-password-file beside it";
        return Err(parameters.wrong("sentinel-username", problem));
    }
    let sentinels = endpoints(scheme, parts.hosts, SENTINEL_PORT)?;
    let path = parts.path.strip_prefix('/').unwrap_or_default();
    let (service, rest) = match path.find('/') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    if service.is_empty() {
        return Err(InvalidAddress::NoService { scheme });
    }
    Ok(RedisPlace {
        deployment: Deployment::Sentinel {
            sentinels,
            service: decoded("service", service)?,
            credentials: Credentials {
                username,
                password: password.map(|path| Password::File(path.into())),
            },
        },
        database: database(rest)?,
        credentials: parts.credentials,
        tls,
    })
}

fn cluster(scheme: &'static str, rest: &str) -> Result<RedisPlace, InvalidAddress> {
    let parts = Parts::of(scheme, rest)?;
    let mut parameters = Parameters::read(scheme, parts.query)?;
    let tls = parameters.tls()?;
    match database(parts.path)? {
        0 => Ok(RedisPlace {
            deployment: Deployment::Cluster(endpoints(scheme, parts.hosts, REDIS_PORT)?),
            database: 0,
            credentials: parts.credentials,
            tls,
        }),
        database => Err(InvalidAddress::Database {
            text: database.to_string(),
            expected: "0, the only one that a cluster has",
        }),
    }
}

fn sqlite(rest: &str) -> Result<Place, InvalidAddress> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(InvalidAddress::Path {
            example: "sqlite:/path/to/elections.db",
        });
    }
    Ok(Place::Sqlite(path.into()))
}

/// What stands after `scheme:` of a Redis over TCP.
struct Parts<'a> {
    credentials: Credentials,
    hosts: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(scheme: &'static str, rest: &'a str) -> Result<Self, InvalidAddress> {
        let rest = rest
            .strip_prefix("//")
            .ok_or(InvalidAddress::NoHost { scheme })?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // Checked before anything else: in such an address a piece of the password stands where the
        // port or the database should, and an error that shows it would leak it.
        if tail.contains('@') {
            return Err(InvalidAddress::Unencoded);
        }
        if tail.contains('#') {
            return Err(InvalidAddress::Trailing { part: "path" });
        }
        let (path, query) = split_query(tail);
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        if hosts.is_empty() {
            return Err(InvalidAddress::NoHost { scheme });
        }
        Ok(Self {
            credentials: credentials(userinfo)?,
            hosts,
            path,
            query,
        })
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    }
}

fn credentials(userinfo: Option<&str>) -> Result<Credentials, InvalidAddress> {
    let Some(userinfo) = userinfo else {
        return Ok(Credentials::default());
    };
    let (username, password) = match userinfo.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (userinfo, None),
    };
    let username = match username {
        "" => None,
        username => Some(decoded("user name", username)?),
    };
    let password = match password {
        None | Some("") => None,
        Some(password) => Some(Password::from(decoded("password", password)?)),
    };
    Ok(Credentials { username, password })
}

fn endpoints(
    scheme: &'static str,
    hosts: &str,
    default_port: u16,
) -> Result<Vec<Endpoint>, InvalidAddress> {
    hosts
        .split(',')
        .map(|host| endpoint(scheme, host, default_port))
        .collect()
}

fn endpoint(
    scheme: &'static str,
    text: &str,
    default_port: u16,
) -> Result<Endpoint, InvalidAddress> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed
                .split_once(']')
                .ok_or(InvalidAddress::Host { character: '[' })?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(InvalidAddress::Trailing { part: "host" }),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(InvalidAddress::NoHost { scheme });
    }
    let in_brackets = text.starts_with('[');
    let allowed = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '.' | '-' | '_')
            || (in_brackets && matches!(c, ':' | '%'))
    };
    if let Some(character) = host.chars().find(|c| !allowed(*c)) {
        return Err(InvalidAddress::Host { character });
    }
    let (ip, _zone) = host.split_once('%').unwrap_or((host, ""));
    if in_brackets && ip.parse::<Ipv6Addr>().is_err() {
        return Err(InvalidAddress::Host { character: '[' });
    }
    let port = match port {
        None => default_port,
        Some(port) => {
            port.parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| InvalidAddress::Port {
                    host: host.to_owned(),
                    given: port_given(port),
                })?
        }
    };
    Ok(Endpoint {
        host: host.to_owned(),
        port,
    })
}

/// The error for a text that is no port. When the host was forgotten it is a password, so nothing is
/// shown that is not plainly a number that is out of range.
fn port_given(text: &str) -> String {
    let digits = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.chars().find(|c| !c.is_ascii_digit()) {
        _ if text.is_empty() => "nothing stands after the colon".to_owned(),
        _ if digits => format!("{text} stands there"),
        Some(_) => format!(
            "{} characters stand there, not shown because they may be a password, which is written \
             before an @ and the host",
            text.chars().count()
        ),
        None => format!("{} digits stand there", text.len()),
    }
}

fn database(path: &str) -> Result<u16, InvalidAddress> {
    match path.strip_prefix('/') {
        None | Some("") => Ok(0),
        Some(number) => database_number(number),
    }
}

fn database_number(text: &str) -> Result<u16, InvalidAddress> {
    text.parse().map_err(|_| InvalidAddress::Database {
        text: text.to_owned(),
        expected: "a number from 0 to 65535",
    })
}

/// The parameters of an address, each at most once and known to the scheme.
struct Parameters {
    scheme: &'static str,
    values: Vec<(String, String)>,
}

impl Parameters {
    fn read(scheme: &'static str, query: Option<&str>) -> Result<Self, InvalidAddress> {
        let mut read = Self {
            scheme,
            values: Vec::new(),
        };
        let pairs = query.unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let knows = |known: &&str| {
                known
                    .split_once('=')
                    .is_some_and(|(known, _)| known == name)
            };
            if !read.known().iter().any(knows) {
                return Err(read.wrong(name, "is not known"));
            }
            if value.is_empty() {
                return Err(read.wrong(name, "has no value"));
            }
            if read.values.iter().any(|(known, _)| known == name) {
                return Err(read.wrong(name, "is given twice"));
            }
            read.values
                .push((name.to_owned(), decoded("parameter", value)?));
        }
        Ok(read)
    }

    /// How those that the scheme takes are written.
    fn known(&self) -> Vec<&'static str> {
        let mut known = Vec::new();
        if self.scheme.starts_with("rediss") {
            known.extend(["ca=FILE", "cert=FILE", "key=FILE", "server-name=NAME"]);
        }
        if self.scheme.ends_with("+sentinel") {
            known.extend(["sentinel-username=NAME", "sentinel-password-file=FILE"]);
        }
        if self.scheme.ends_with("+unix") {
            known.push("db=N");
        }
        known
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.values.iter().position(|(known, _)| known == name)?;
        Some(self.values.swap_remove(at).1)
    }

    /// The settings of TLS, where the scheme asks for it.
    fn tls(&mut self) -> Result<Option<TlsSettings>, InvalidAddress> {
        if !self.scheme.starts_with("rediss") {
            return Ok(None);
        }
        if cfg!(not(feature = "tls")) {
            return Err(InvalidAddress::Feature {
                scheme: self.scheme,
                feature: "tls",
            });
        }
        let client = match (self.take("cert"), self.take("key")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            (Some(_), None) => return Err(self.wrong("cert", "needs key beside it")),
            (None, Some(_)) => return Err(self.wrong("key", "needs cert beside it")),
        };
        Ok(Some(TlsSettings {
            ca: self.take("ca").map(PathBuf::from),
            client,
            server_name: self.take("server-name"),
        }))
    }

    fn wrong(&self, name: &str, problem: &'static str) -> InvalidAddress {
        InvalidAddress::Parameter {
            name: name.to_owned(),
            problem,
            scheme: self.scheme,
            known: match self.known().join(", ") {
                known if known.is_empty() => "no parameters".to_owned(),
                known => known,
            },
        }
    }
}

fn decoded(part: &'static str, text: &str) -> Result<String, InvalidAddress> {
    let coded = |after: &str| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let decoded = percent_decode_str(text).decode_utf8().ok();
    decoded
        .filter(|_| text.split('%').skip(1).all(coded))
        .map(Cow::into_owned)
        .ok_or(InvalidAddress::Encoding { part })
}

/// The text with those characters encoded that would end its part of an address.
pub(super) fn encoded(text: &str, special: &[char]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            encoded.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            encoded.push(c);
        }
    }
    encoded
}
