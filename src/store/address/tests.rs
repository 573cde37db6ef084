//! What an address may look like, what it says when it is wrong, and that it keeps its secrets.

use secrecy::ExposeSecret;

use super::*;

fn parsed(text: &str) -> StoreAddress {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> InvalidAddress {
    match text.parse::<StoreAddress>() {
        Ok(address) => panic!("{text} is {address}"),
        Err(error) => error,
    }
}

fn redis(text: &str) -> RedisPlace {
    match parsed(text).place {
        Place::Redis(place) => *place,
        Place::Sqlite(path) => panic!("{text} is the file {}", path.display()),
    }
}

fn password(text: &str) -> Option<String> {
    let password = redis(text).credentials.password?;
    let (leash, _held) = std::io::pipe().unwrap();
    Some(password.read(leash).unwrap().expose_secret().to_owned())
}

#[test]
fn what_is_shown_is_the_whole_address_but_the_password_and_parses_again() {
    for (text, shown) in [
        ("redis://localhost", "redis://localhost:6379"),
        ("redis://localhost/", "redis://localhost:6379"),
        ("REDIS://127.0.0.1:7000/15", "redis://127.0.0.1:7000/15"),
        ("redis://[::1]/0", "redis://[::1]:6379"),
        (
            "redis://[fe80::1%25eth0]:7/1",
            "redis://[fe80::1%25eth0]:7/1",
        ),
        ("redis://:secret@db", "redis://db:6379"),
        ("redis://app:secret@db/2", "redis://app@db:6379/2"),
        ("redis://a%40b:secret@db", "redis://a%40b@db:6379"),
        ("redis://app:se@cret@db", "redis://app@db:6379"),
        (
            "redis+unix:///run/redis.sock",
            "redis+unix:///run/redis.sock",
        ),
        (
            "redis+unix:/run/redis.sock?db=3",
            "redis+unix:///run/redis.sock?db=3",
        ),
        (
            "redis+unix://app:secret@/run/re%3Fdis.sock?db=3",
            "redis+unix://app@/run/re%3Fdis.sock?db=3",
        ),
        ("redis+unix:///run/a@/b.sock", "redis+unix:///run/a@/b.sock"),
        ("sqlite:elections.db", "sqlite:elections.db"),
        ("sqlite:///var/lib/e.db", "sqlite:/var/lib/e.db"),
        ("sqlite:////srv/e.db", "sqlite:////srv/e.db"),
        ("valkey://db", "valkey://db:6379"),
        ("valkey+unix:///s", "valkey+unix:///s"),
        (
            "valkey+sentinel://s1/main",
            "valkey+sentinel://s1:26379/main",
        ),
        ("valkey+cluster://n1", "valkey+cluster://n1:6379"),
        #[cfg(feature = "tls")]
        ("rediss://app:secret@db:7/1", "rediss://app@db:7/1"),
        #[cfg(feature = "tls")]
        ("valkeys://db?server-name=other", "valkeys://db:6379"),
        #[cfg(feature = "tls")]
        (
            "rediss+sentinel://s1/main?ca=/c",
            "rediss+sentinel://s1:26379/main",
        ),
        #[cfg(feature = "tls")]
        ("valkeys+cluster://n1", "valkeys+cluster://n1:6379"),
        (
            "redis+sentinel://app:secret@s1,s2:7,[::1]/main/2",
            "redis+sentinel://app@s1:26379,s2:7,[::1]:26379/main/2",
        ),
        (
            "redis+sentinel://s1/main?sentinel-username=me&sentinel-password-file=/run/p",
            "redis+sentinel://s1:26379/main",
        ),
        (
            "redis+cluster://:secret@n1,n2:7",
            "redis+cluster://n1:6379,n2:7",
        ),
    ] {
        let address = parsed(text);
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.label(), shown);
        assert_eq!(format!("{address:?}"), format!("StoreAddress({shown})"));
        assert_eq!(parsed(shown).to_string(), shown, "it parses again");
    }
}

#[test]
fn the_password_is_what_stands_between_the_first_colon_and_the_last_at() {
    assert_eq!(password("redis://db"), None);
    assert_eq!(password("redis://app@db"), None);
    assert_eq!(password("redis://app:@db"), None);
    assert_eq!(password("redis://:pw@db").as_deref(), Some("pw"));
    assert_eq!(password("redis://a:p:w@db").as_deref(), Some("p:w"));
    assert_eq!(password("redis://a:p%2Fw%25@db").as_deref(), Some("p/w%"));
    assert_eq!(password("redis://a:p@w@db").as_deref(), Some("p@w"));
    assert_eq!(password("redis+unix://a:p%2Fw@/s").as_deref(), Some("p/w"));
}

#[test]
fn addresses_that_differ_in_the_password_alone_are_not_the_same() {
    assert_eq!(parsed("redis://:a@db"), parsed("redis://:a@db:6379/0"));
    assert_ne!(parsed("redis://:a@db"), parsed("redis://:b@db"));
    assert_ne!(parsed("redis://:a@db"), parsed("redis://db"));
}

#[test]
fn the_part_that_is_wrong_is_named() {
    for (text, part) in [
        ("", "no scheme"),
        ("localhost", "no scheme"),
        ("://localhost", "no scheme"),
        ("etcd://localhost", "\"etcd\" is not known"),
        ("localhost:6379", "\"localhost\" is not known"),
        ("redis:", "host is missing"),
        ("redis:localhost", "host is missing"),
        ("redis://", "host is missing"),
        ("redis:///2", "host is missing"),
        ("redis://:7000", "host is missing"),
        ("redis://app@", "host is missing"),
        ("redis://db:0", "port of db"),
        ("redis://db:65536", "port of db"),
        ("redis://db:", "port of db"),
        ("redis://::1", "host is missing"),
        ("redis://[::1", "a host holds '['"),
        ("redis://[db]", "a host holds '['"),
        ("redis://[4%]", "a host holds '['"),
        ("redis://[::1]x", "goes on after its host"),
        ("redis://a b", "a host holds ' '"),
        ("redis://a,b", "redis+sentinel://host,host/service"),
        ("redis://a:1,b:2/main", "redis+cluster://host,host"),
        ("valkey://:pw@a,[::1]", "one address each for independent"),
        ("redis://a,redis://b", "one address each for independent"),
        ("rediss://a,b", "rediss+sentinel://host,host/service"),
        ("redis://a;b", "a host holds ';'"),
        ("redis+cluster://a;b", "a host holds ';'"),
        ("redis://db/x", "database \"x\""),
        ("redis://db/-1", "database \"-1\""),
        ("redis://db/65536", "database \"65536\""),
        ("redis://db/1/2", "database \"1/2\""),
        ("redis://db/1#x", "goes on after its path"),
        (
            "redis://db?db=1",
            "parameter \"db\" is not known: redis takes no parameters",
        ),
        ("redis://%zz@db", "user name is not properly encoded"),
        ("redis://a:%f@db", "password is not properly encoded"),
        ("redis://a:%ff@db", "password is not properly encoded"),
        ("redis+unix://", "redis+unix:///path"),
        ("redis+unix:run/redis.sock", "redis+unix:///path"),
        ("redis+unix:///run/", "redis+unix:///path"),
        ("redis+unix:///s?db=x", "database \"x\""),
        (
            "redis+unix:///s?db=1&db=2",
            "parameter \"db\" is given twice",
        ),
        ("redis+unix:///s?db=", "parameter \"db\" has no value"),
        ("sqlite:", "sqlite:/path"),
        #[cfg(feature = "tls")]
        ("rediss://db?cert=a", "needs key"),
        #[cfg(feature = "tls")]
        ("rediss+cluster://db?key=a", "needs cert"),
        (
            "redis+cluster://db?ca=a",
            "redis+cluster takes no parameters",
        ),
        ("valkeyss://db", "\"valkeyss\" is not known"),
        #[cfg(feature = "tls")]
        (
            "rediss://db?tls=no",
            "rediss takes ca=FILE, cert=FILE, key=FILE, server-name=NAME",
        ),
        ("redis+sentinel://s1,s2", "service is missing"),
        ("redis+sentinel://s1//2", "service is missing"),
        ("redis+sentinel://s1,/main", "host is missing"),
        ("redis+sentinel://s1:x/main", "port of s1"),
        (
            "redis+sentinel://s1/main?sentinel-username=me",
            "\"sentinel-username\" needs sentinel-password-file beside it",
        ),
        (
            "redis+sentinel://s1/main?sentinel-password=x",
            "redis+sentinel takes sentinel-username=NAME, sentinel-password-file=FILE",
        ),
        ("redis+cluster://n1/1", "only one that a cluster has"),
    ] {
        let error = refused(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let known = refused("http://x").to_string();
    for scheme in [
        "redis://",
        "rediss://",
        "redis+unix://",
        "redis+sentinel://",
        "rediss+cluster://",
        "valkey",
        "sqlite:",
    ] {
        assert!(known.contains(scheme), "{known}");
    }
}

#[test]
fn no_error_shows_a_password_however_the_address_is_mistyped() {
    for text in [
        "hunter2",
        ":hunter2@db",
        "redis://:hun/ter2@db",
        "redis://a:hun?ter2@db",
        "redis://a:hun#ter2@db/1",
        "redis://a:hunter2",
        "redis://a:hunter2/1",
        "redis://:hunter2",
        "redis://a:hunter2%@db",
        "redis://a:hunter2%zz@db",
        "redis://a:hunter2@db:port",
        "redis://a:hunter2@",
        "redis://a:hunter2,b",
        "redis://:hunter2,b/0",
        "redis://a:hunter2@db/x",
        "redis+unix://a:hunter2@sock",
        "redis+unix://a:hunter2@/sock?db=x",
        "redis+sentinel://a:hunter2@s1",
        "redis+cluster://a:hunter2@n1:x",
        "rediss://a:hunter2@db?ca=",
        "xx://a:hunter2@db",
    ] {
        let error = refused(text);
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(
                !shown.contains("hun") && !shown.contains("ter2"),
                "{text}: {shown}"
            );
        }
    }
}
