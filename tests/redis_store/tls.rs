//! TLS to real servers: whom a candidate trusts, and what it says of a certificate that it does not.

use std::path::Path;
use std::time::Duration;

use incumbent::store::{self, InvalidAddress, StoreAddress, StoreError};
use tokio::io::AsyncWriteExt;

use crate::cluster::cluster;
use crate::election::{Election, options};
use crate::faults::{subscribed, until, woken};
use crate::support::faketime;
use crate::support::redis::{RedisServer, Settings, free_port};

/// A server that speaks TLS on `port` with the certificate `name` of the directory.
pub(crate) fn over_tls(directory: &Path, name: &str, port: u16) -> Settings {
    let file = |name: String| directory.join(name).display().to_string();
    RedisServer::settings()
        .set("tls-port", &[&port.to_string()])
        .set("tls-cert-file", &[&file(format!("{name}.crt"))])
        .set("tls-key-file", &[&file(format!("{name}.key"))])
        .set("tls-ca-cert-file", &[&file(format!("{name}.crt"))])
        .set("tls-auth-clients", &["no"])
}

fn election(url: &str) -> Election {
    Election::new(&url.parse().unwrap(), "a")
}

#[tokio::test]
async fn a_self_signed_certificate_that_is_given_itself_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    // No name in it, and allowed to sign others: as openssl makes them.
    authority(directory.path(), "self");
    authority(directory.path(), "stranger");
    let port = free_port();
    let _server = over_tls(directory.path(), "self", port).start();
    let trusting = |name: &str| {
        let ca = directory.path().join(name);
        election(&format!("rediss://127.0.0.1:{port}?ca={}", ca.display()))
    };
    trusting("self.crt").win(7).await;
    let error = trusting("stranger.crt").observe().await.unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
}

#[tokio::test]
async fn an_address_may_say_valkey_in_place_of_redis() {
    let directory = tempfile::tempdir().unwrap();
    authority(directory.path(), "self");
    let (port, ca) = (free_port(), directory.path().join("self.crt"));
    let server = over_tls(directory.path(), "self", port).start();
    let redis = election(&server.url());
    redis.win(7).await;
    for url in [
        format!("valkey://127.0.0.1:{}", server.port()),
        format!("valkeys://127.0.0.1:{port}?ca={}", ca.display()),
        server.unix_url().replace("redis+unix:", "valkey+unix:"),
    ] {
        let valkey = election(&url);
        let seen = valkey.observe().await.unwrap().record;
        assert_eq!(seen.term.get(), 7, "{url}");
        assert_eq!(valkey.store.label(), url.split('?').next().unwrap());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    authority(path, "ca");
    for (name, extensions, days, query, fault) in [
        (
            "nameless",
            "basicConstraints=CA:FALSE",
            "2",
            "",
            "give one of its names as server-name",
        ),
        (
            "other",
            "subjectAltName=DNS:db.example",
            "2",
            "",
            "db.example",
        ),
        (
            "other",
            "subjectAltName=DNS:db.example",
            "2",
            "&server-name=db.example",
            "",
        ),
        (
            "other",
            "subjectAltName=DNS:db.example",
            "2",
            "&server-name=db.other",
            "db.example",
        ),
        ("first", "", "2", "", "version 1"),
        (
            "expired",
            "subjectAltName=IP:127.0.0.1",
            "-1",
            "",
            "; renew it",
        ),
        ("right", "subjectAltName=IP:127.0.0.1", "2", "", ""),
    ] {
        certificate_with(path, name, extensions, days);
        let port = free_port();
        let _server = over_tls(path, name, port).start();
        let ca = path.join("ca.crt");
        let url = format!("rediss://127.0.0.1:{port}?ca={}{query}", ca.display());
        match election(&url).observe().await {
            Ok(_) => assert_eq!(fault, "", "{name} {query}"),
            Err(error) => {
                // It may be renewed while candidates wait.
                let waits = matches!(error, StoreError::Unreachable { .. });
                assert_eq!(waits, name == "expired", "{error}");
                assert_eq!(error.is_misconfigured(), name != "expired", "{error}");
                assert!(error.to_string().contains(fault), "{error}");
                for code in ["UNIX", "Other", "DnsName", "peer"] {
                    assert!(!error.to_string().contains(code), "{error}");
                }
                assert_ne!(fault, "", "{error}");
                assert_eq!(
                    error.to_string().contains("it expired 24 hours ago"),
                    name == "expired",
                    "{error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_port_without_tls_is_told_from_one_that_cannot_be_reached() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = async {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection
                .write_all(b"-ERR Protocol error\r\n")
                .await
                .unwrap();
            connection.shutdown().await.unwrap();
        }
    };
    let a = election(&format!("rediss://127.0.0.1:{port}"));
    let error = tokio::select! {
        observed = a.observe() => observed.unwrap_err(),
        () = plain => unreachable!(),
    };
    assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

/// Each side waits for the other to go on, or hangs up without a word.
#[tokio::test]
async fn the_wrong_one_of_two_ports_is_told_by_whether_it_speaks_tls() {
    let directory = tempfile::tempdir().unwrap();
    authority(directory.path(), "self");
    let port = free_port();
    let server = over_tls(directory.path(), "self", port).start();
    let error = election(&format!("redis://127.0.0.1:{port}"))
        .observe()
        .await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("use rediss://"), "{error}");
    let url = format!("rediss://127.0.0.1:{}", server.port());
    let hasty = options().op_timeout(Duration::from_millis(300));
    let a = Election::with(&url.parse().unwrap(), &hasty, "billing", "a");
    let error = a.observe().await.unwrap_err().to_string();
    assert!(error.contains("an address without TLS"), "{error}");
}

/// Neither a leader nor a standby is started again when certificates are renewed.
#[tokio::test]
async fn certificates_that_were_renewed_on_disk_serve_the_next_connection() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    authority(path, "ca");
    certificate(path, "server");
    let port = free_port();
    let mut server = over_tls(path, "server", port).durable().start();
    let a = election(&format!(
        "rediss://127.0.0.1:{port}?ca={}",
        path.join("ca.crt").display()
    ));
    a.win(7).await;

    server.kill();
    let renewed = tempfile::tempdir().unwrap();
    authority(renewed.path(), "ca");
    certificate(renewed.path(), "server");
    let renew = |name: &str| {
        std::fs::rename(renewed.path().join(name), path.join(name)).unwrap();
    };
    renew("server.crt");
    renew("server.key");
    server.start_again();
    until("the old authority is no longer enough", async || {
        matches!(a.beat(7).await, Err(StoreError::Misconfigured { .. }))
    })
    .await;
    renew("ca.crt");
    until("the renewed authority is trusted", async || {
        a.beat(7).await.is_ok()
    })
    .await;
}

/// An authority that is renewed here before the server has its new certificate is worth a warning, no more.
#[tokio::test]
async fn a_connection_that_works_outlives_the_certificate_that_it_was_made_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    authority(path, "ca");
    authority(path, "renewed");
    certificate(path, "server");
    let port = free_port();
    let server = over_tls(path, "server", port).start();
    let address = format!(
        "rediss://127.0.0.1:{port}?ca={}",
        path.join("ca.crt").display()
    );
    let hasty = options().op_timeout(Duration::from_millis(200));
    let a = Election::with(&address.parse().unwrap(), &hasty, "billing", "a");
    until("the server answers in time", async || {
        a.observe().await.is_ok()
    })
    .await;
    std::fs::rename(path.join("renewed.crt"), path.join("ca.crt")).unwrap();
    let clients = server.info("total_connections_received");
    until("a new connection was refused", async || {
        a.observe().await.expect("the present one works");
        server.log().contains("Error accepting a client connection")
    })
    .await;
    for _ in 0..20 {
        a.observe().await.expect("the present one still works");
    }
    assert_ne!(server.info("total_connections_received"), clients);
}

#[tokio::test]
async fn sentinels_and_clusters_are_spoken_to_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    authority(path, "ca");
    certificate(path, "server");
    let ca = path.join("ca.crt");
    let ca = ca.display();
    // Only TLS is spoken between the servers, so the ports that are announced are those of TLS.
    let only_tls = |port: u16| {
        over_tls(path, "server", port)
            .set("tls-ca-cert-file", &[&ca.to_string()])
            .set("tls-replication", &["yes"])
    };
    let (master_port, sentinel_port) = (free_port(), free_port());
    let master = only_tls(master_port).start();
    let sentinel = only_tls(sentinel_port)
        .sentinel_at("main", master_port)
        .start();
    until("the sentinel knows the master", async || {
        sentinel.info("master0").contains("status=ok")
    })
    .await;
    let a = election(&format!(
        "rediss+sentinel://127.0.0.1:{sentinel_port}/main?ca={ca}"
    ));
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    a.win(7).await;
    subscribed(&master, 3).await;
    a.release(7).await.unwrap();
    woken(&mut wake_ups).await;
    let valkey = format!("valkeys+sentinel://127.0.0.1:{sentinel_port}/main?ca={ca}");
    let seen = election(&valkey).observe().await.unwrap().record;
    assert_eq!(seen.floor.get(), 7);

    let port = free_port();
    let first = std::cell::Cell::new(Some(port));
    let nodes =
        cluster(|| only_tls(first.take().unwrap_or_else(free_port)).set("tls-cluster", &["yes"]))
            .await;
    for n in 0..10 {
        let scheme = ["rediss+cluster", "valkeys+cluster"][n % 2];
        let url = format!("{scheme}://127.0.0.1:{port}?ca={ca}");
        let a = Election::with(&url.parse().unwrap(), &options(), &format!("e{n}"), "a");
        a.win(7).await;
    }
    for node in &nodes {
        assert_ne!(node.text(&["DBSIZE"]), "0", "no node has them all");
    }
}

#[tokio::test]
async fn tls_is_spoken_with_a_private_authority_and_a_client_certificate() {
    let certificates = tempfile::tempdir().unwrap();
    let file = |name: &str| certificates.path().join(name).display().to_string();
    authority(certificates.path(), "ca");
    authority(certificates.path(), "stranger");
    certificate(certificates.path(), "server");
    certificate(certificates.path(), "client");
    for clients in ["no", "yes"] {
        let port = free_port();
        let server = RedisServer::settings()
            .password("hunter2")
            .set("tls-port", &[&port.to_string()])
            .set("tls-cert-file", &[&file("server.crt")])
            .set("tls-key-file", &[&file("server.key")])
            .set("tls-ca-cert-file", &[&file("ca.crt")])
            .set("tls-auth-clients", &[clients])
            .start();
        let base = format!("rediss://:hunter2@127.0.0.1:{port}/1");
        let ca = format!("{base}?ca={}", file("ca.crt"));
        let both = format!(
            "{ca}&cert={}&key={}",
            file("client.crt"),
            file("client.key")
        );
        let election = |url: &str| Election::new(&url.parse().unwrap(), "a");

        let a = election(&both);
        let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
        subscribed(&server, 2).await;
        a.win(7).await;
        a.release(7).await.unwrap();
        woken(&mut wake_ups).await;

        assert_eq!(election(&ca).observe().await.is_ok(), clients == "no");
        for wrong in [base.clone(), format!("{base}?ca={}", file("stranger.crt"))] {
            let error = election(&wrong).observe().await.unwrap_err();
            assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .contains("no authority that is trusted here has signed it"),
                "{error}"
            );
        }
        drop(server);
    }

    for (query, what) in [
        ("ca=/nowhere/ca.crt".to_owned(), "/nowhere/ca.crt"),
        (format!("ca={}", file("server.key")), "server.key"),
        (
            format!("cert={}&key={}", file("client.key"), file("client.crt")),
            "client.key",
        ),
    ] {
        let address: StoreAddress = format!("rediss://localhost?{query}").parse().unwrap();
        let error = store::open(&address, &options()).err().unwrap();
        assert!(matches!(error, InvalidAddress::File { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

pub(crate) fn authority(directory: &Path, name: &str) {
    let subject = format!("/CN={name}");
    let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
    openssl(
        directory,
        &[
            &[
                "req", "-x509", "-days", "2", "-subj", &subject, "-out", &crt,
            ],
            NEW_KEY,
            &["-keyout", &key],
        ],
    );
}

/// A certificate for this host, signed by the authority `ca`.
pub(crate) fn certificate(directory: &Path, name: &str) {
    let names = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
    certificate_with(directory, name, names, "2");
}

/// A certificate signed by the authority `ca`; without extensions it is one of version 1.
pub(crate) fn certificate_with(directory: &Path, name: &str, extensions: &str, days: &str) {
    let subject = format!("/CN={name}");
    let [key, csr, crt] = ["key", "csr", "crt"].map(|kind| format!("{name}.{kind}"));
    openssl(
        directory,
        &[
            &["req", "-subj", &subject, "-out", &csr],
            NEW_KEY,
            &["-keyout", &key],
        ],
    );
    std::fs::write(directory.join("extensions"), extensions).unwrap();
    let with_extensions: &[&str] = match extensions {
        "" => &[],
        _ => &["-extfile", "extensions"],
    };
    // One that was valid, and is no longer, for a day.
    let (clock, days) = match days {
        "-1" => (-3, "2"),
        days => (0, days),
    };
    openssl_on(
        clock,
        directory,
        &[
            &["x509", "-req", "-days", days, "-in", &csr, "-out", &crt],
            &["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
            with_extensions,
        ],
    );
}

const NEW_KEY: &[&str] = &[
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

pub(crate) fn openssl(directory: &Path, arguments: &[&[&str]]) {
    openssl_on(0, directory, arguments);
}

/// As many days from now as `clock` says.
fn openssl_on(clock: i64, directory: &Path, arguments: &[&[&str]]) {
    let output = faketime::command(clock, "openssl")
        .args(arguments.concat())
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("cannot start openssl ({error}): install it"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
