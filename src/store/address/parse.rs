//! From text to [`Place`], part by part, so that an error can name the part.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use secrecy::SecretString;

use super::{
    Credentials, Deployment, Endpoint, InvalidAddress, Place, RedisPlace, SentinelLogin, TlsFiles,
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
    match scheme.as_str() {
        "redis" => direct(rest),
        "rediss" => tls(rest),
        "redis+unix" => unix(rest),
        "redis+sentinel" => sentinel(rest),
        "redis+cluster" => cluster(rest),
        "sqlite" => return sqlite(rest),
        _ => return Err(InvalidAddress::Scheme { scheme }),
    }
    .map(Place::Redis)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn direct(rest: &str) -> Result<RedisPlace, InvalidAddress> {
    let parts = Parts::of("redis", rest)?;
    no_parameters("redis", parts.query)?;
    Ok(RedisPlace {
        deployment: Deployment::Direct(endpoint("redis", parts.hosts, REDIS_PORT)?),
        database: database(parts.path)?,
        credentials: parts.credentials,
    })
}

fn tls(rest: &str) -> Result<RedisPlace, InvalidAddress> {
    built("rediss://", "tls", cfg!(feature = "tls"))?;
    let parts = Parts::of("rediss", rest)?;
    let known = "ca=FILE, cert=FILE and key=FILE";
    let [ca, cert, key] = parameters("rediss", known, ["ca", "cert", "key"], parts.query)?;
    let client = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert.into(), key.into())),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(InvalidAddress::Parameter {
                name: "cert".to_owned(),
                problem: "needs key beside it, and key needs cert",
                scheme: "rediss",
                known,
            });
        }
    };
    let files = TlsFiles {
        ca: ca.map(PathBuf::from),
        client,
    };
    Ok(RedisPlace {
        deployment: Deployment::Tls(endpoint("rediss", parts.hosts, REDIS_PORT)?, files),
        database: database(parts.path)?,
        credentials: parts.credentials,
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
    let [db] = parameters("redis+unix", "db=N", ["db"], query)?;
    Ok(RedisPlace {
        deployment: Deployment::Unix(decoded("path", path)?.into()),
        database: db.as_deref().map_or(Ok(0), database_number)?,
        credentials: credentials(userinfo)?,
    })
}

fn sentinel(rest: &str) -> Result<RedisPlace, InvalidAddress> {
    built("redis+sentinel://", "sentinel", cfg!(feature = "sentinel"))?;
    let parts = Parts::of("redis+sentinel", rest)?;
    let known = "sentinel-username=NAME and sentinel-password-file=FILE";
    let names = ["sentinel-username", "sentinel-password-file"];
    let [username, password_file] = parameters("redis+sentinel", known, names, parts.query)?;
    if username.is_some() && password_file.is_none() {
        return Err(InvalidAddress::Parameter {
            name: "sentinel-username".to_owned(),
            problem: "needs sentinel-password-file beside it",
            scheme: "redis+sentinel",
            known,
        });
    }
    let sentinels = endpoints("redis+sentinel", parts.hosts, SENTINEL_PORT)?;
    let path = parts.path.strip_prefix('/').unwrap_or_default();
    let (service, rest) = match path.find('/') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    if service.is_empty() {
        return Err(InvalidAddress::NoService);
    }
    Ok(RedisPlace {
        deployment: Deployment::Sentinel {
            sentinels,
            service: decoded("service", service)?,
            login: SentinelLogin {
                username,
                password_file: password_file.map(PathBuf::from),
            },
        },
        database: database(rest)?,
        credentials: parts.credentials,
    })
}

fn cluster(rest: &str) -> Result<RedisPlace, InvalidAddress> {
    built("redis+cluster://", "cluster", cfg!(feature = "cluster"))?;
    let parts = Parts::of("redis+cluster", rest)?;
    no_parameters("redis+cluster", parts.query)?;
    match database(parts.path)? {
        0 => Ok(RedisPlace {
            deployment: Deployment::Cluster(endpoints("redis+cluster", parts.hosts, REDIS_PORT)?),
            database: 0,
            credentials: parts.credentials,
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

fn built(scheme: &'static str, feature: &'static str, enabled: bool) -> Result<(), InvalidAddress> {
    enabled
        .then_some(())
        .ok_or(InvalidAddress::Feature { scheme, feature })
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
        Some(password) => Some(SecretString::from(decoded("password", password)?)),
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

/// What to say of a text that is no port. Whoever forgot the host wrote a password there, so nothing is
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

fn no_parameters(scheme: &'static str, query: Option<&str>) -> Result<(), InvalidAddress> {
    let [] = parameters(scheme, "no parameter", [], query)?;
    Ok(())
}

/// The values of the parameters `names`, each at most once, and no other.
fn parameters<const N: usize>(
    scheme: &'static str,
    known: &'static str,
    names: [&str; N],
    query: Option<&str>,
) -> Result<[Option<String>; N], InvalidAddress> {
    let mut values = [const { None }; N];
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let wrong = |problem| InvalidAddress::Parameter {
            name: name.to_owned(),
            problem,
            scheme,
            known,
        };
        let slot = names
            .iter()
            .position(|known| *known == name)
            .and_then(|at| values.get_mut(at))
            .ok_or_else(|| wrong("is not known"))?;
        if value.is_empty() {
            return Err(wrong("has no value"));
        }
        if slot.replace(decoded("parameter", value)?).is_some() {
            return Err(wrong("stands there twice"));
        }
    }
    Ok(values)
}

fn decoded(part: &'static str, text: &str) -> Result<String, InvalidAddress> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest
            .split_at_checked(2)
            .ok_or(InvalidAddress::Encoding { part })?;
        let byte = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or(InvalidAddress::Encoding { part })?;
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| InvalidAddress::Encoding { part })
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
