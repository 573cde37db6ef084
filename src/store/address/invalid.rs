//! Why a text is not the address of a store.

/// Why a text is not the address of a store, or why this build cannot open it.
///
/// It names the part that is wrong, and never shows a part in which a password may stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// It does not begin with a scheme.
    #[error("the address has no scheme: it begins with one of {SCHEMES}")]
    NoScheme,
    /// The scheme is not known.
    #[error("the scheme {scheme:?} is not known: the address begins with one of {SCHEMES}")]
    Scheme {
        /// The scheme given.
        scheme: String,
    },
    /// This build cannot speak to such a store.
    #[error(
        "this build of incumbent cannot open {scheme} addresses: build it with the feature {feature}"
    )]
    Feature {
        /// The scheme given.
        scheme: &'static str,
        /// The feature that is missing.
        feature: &'static str,
    },
    /// No server is named.
    #[error("the host is missing: write {scheme}://host:port")]
    NoHost {
        /// The scheme given.
        scheme: &'static str,
    },
    /// Several hosts stand where one is meant.
    #[error(
        "{scheme} takes one host: write {scheme}+sentinel://host,host/service for the sentinels of a service, \
         {scheme}+cluster://host,host for the nodes of a cluster, and one address each for independent servers"
    )]
    SeveralHosts {
        /// The scheme given.
        scheme: &'static str,
    },
    /// A host holds a character that no host has.
    #[error(
        "a host holds {character:?}: a host is a name, an IPv4 address, or an IPv6 address in \
         brackets; redis+sentinel and redis+cluster take several, separated by commas"
    )]
    Host {
        /// The first such character.
        character: char,
    },
    /// A port is not a number from 1 to 65535.
    #[error("the port of {host} is not a number from 1 to 65535: {given}")]
    Port {
        /// The host it belongs to.
        host: String,
        /// What stands there, as text in quotes; without it where it may be a password.
        given: String,
    },
    /// The database is not a number, or there is only database 0.
    #[error("the database {text:?} is not {expected}")]
    Database {
        /// What stands there.
        text: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// A Sentinel address names no service.
    #[error(
        "the service is missing: write {scheme}://host:port/service, with the name that the \
         sentinels monitor"
    )]
    NoService {
        /// The scheme given.
        scheme: &'static str,
    },
    /// A path is missing, or does not begin with a slash where it must.
    #[error("the path is missing: write {example}")]
    Path {
        /// How it is written.
        example: &'static str,
    },
    /// The address goes on where it should end.
    #[error("the address goes on after its {part}: nothing may follow it")]
    Trailing {
        /// The last part that was understood.
        part: &'static str,
    },
    /// A parameter is not known, is given twice, or has no value.
    #[error("the parameter {name:?} {problem}: {scheme} takes {known}")]
    Parameter {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
        /// The scheme given.
        scheme: &'static str,
        /// The parameters of that scheme.
        known: String,
    },
    /// An `@` stands after the first `/`, `?` or `#`, so a password is most likely not encoded.
    #[error(
        "an @ stands after the first of /, ? and #: write these characters in a user name, a \
         password or a path as %2F, %3F, %23 and %40, or give the password apart from the address"
    )]
    Unencoded,
    /// A `%` is not followed by two hexadecimal digits, or the text is not UTF-8.
    #[error(
        "the {part} is not properly encoded: a % is followed by two hexadecimal digits of UTF-8"
    )]
    Encoding {
        /// Which part.
        part: &'static str,
    },
    /// A file that the address names cannot be used.
    #[error("the {what} {path:?} cannot be used: {reason}")]
    File {
        /// Which one.
        what: &'static str,
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The key prefix holds a brace or a control character.
    #[error(
        "the key prefix holds {character:?}: control characters and braces are not allowed, for \
         braces keep the keys of one election together"
    )]
    KeyPrefix {
        /// The first such character.
        character: char,
    },
    /// The key prefix is too long.
    #[error("the key prefix has {bytes} bytes: at most 200 are allowed")]
    KeyPrefixTooLong {
        /// Its length.
        bytes: usize,
    },
}

const SCHEMES: &str = "redis://, rediss://, redis+unix://, redis+sentinel://, rediss+sentinel://, redis+cluster://, \
     rediss+cluster:// (or valkey in place of redis), sqlite:";
