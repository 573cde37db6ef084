//! What a person reads who gave a certificate, a key or a server that TLS cannot use.

use incumbent::store::{self, StoreError};

use crate::election::{Election, options};
use crate::support::redis::{Settings, free_port};
use crate::tls::{authority, certificate, certificate_with, openssl, over_tls};

/// Says what to do, in no words of the library that speaks TLS: those are names of its types.
fn is_plain(message: &str, advice: &str) {
    assert!(!advice.is_empty() && message.contains(advice), "{message}");
    for jargon in [
        "alert",
        "peer",
        "Context",
        "Failure",
        "Mismatch",
        "Unsupported",
        "failed to",
        "{",
        "[",
    ] {
        assert!(!message.contains(jargon), "{message}");
    }
}

#[tokio::test]
async fn what_tls_cannot_agree_on_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    authority(path, "ca");
    certificate(path, "right");
    certificate_with(
        path,
        "client",
        "extendedKeyUsage=clientAuth\nsubjectAltName=IP:127.0.0.1",
        "2",
    );
    certificate_with(
        path,
        "critical",
        "1.2.3.4=critical,ASN1:NULL\nsubjectAltName=IP:127.0.0.1",
        "2",
    );
    openssl(
        path,
        &[&[
            "ecparam",
            "-name",
            "secp521r1",
            "-genkey",
            "-noout",
            "-out",
            "p521.key",
        ]],
    );
    for command in [
        "req -new -subj /CN=p521 -key p521.key -out p521.csr",
        "x509 -req -days 2 -in p521.csr -out p521.crt -CA ca.crt -CAkey ca.key -CAcreateserial",
        // An authority whose key has that curve, and what it signs.
        "req -x509 -days 2 -subj /CN=wide -key p521.key -out wide.crt",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=signed -keyout signed.key -out signed.csr",
        "x509 -req -days 2 -in signed.csr -out signed.crt -CA wide.crt -CAkey p521.key -CAcreateserial -extfile names",
    ] {
        std::fs::write(path.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        openssl(path, &[&words]);
    }
    let cases: [(_, _, &[(&str, &str)], _); 7] = [
        ("client", "ca", &[], "serverAuth"),
        ("critical", "ca", &[], "critical"),
        ("p521", "ca", &[], "P-256"),
        ("signed", "wide", &[], "P-256"),
        (
            "right",
            "ca",
            &[
                ("tls-protocols", "TLSv1.1"),
                ("tls-ciphers", "DEFAULT@SECLEVEL=0"),
            ],
            "TLS 1.2 or 1.3",
        ),
        (
            "right",
            "ca",
            &[("tls-protocols", "TLSv1.2"), ("tls-auth-clients", "yes")],
            "give cert=FILE",
        ),
        ("right", "ca", &[], ""),
    ];
    for (name, ca, settings, fault) in cases {
        let port = free_port();
        let with =
            |server: Settings, (setting, value): &(&str, &str)| server.set(setting, &[value]);
        let _server = settings
            .iter()
            .fold(over_tls(path, name, port), with)
            .start();
        let ca = path.join(format!("{ca}.crt"));
        let url = format!("rediss://127.0.0.1:{port}?ca={}", ca.display());
        let observed = Election::new(&url.parse().unwrap(), "a").observe().await;
        let Err(error) = observed else {
            assert_eq!(fault, "", "{name}");
            continue;
        };
        assert!(
            matches!(error, StoreError::Misconfigured { .. }),
            "{name}: {error}"
        );
        is_plain(&error.to_string(), fault);
    }
}

#[test]
fn a_client_key_that_cannot_be_used_is_told_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    authority(path, "ca");
    certificate(path, "client");
    certificate(path, "other");
    for command in [
        "pkcs8 -topk8 -in client.key -out encrypted.key -passout pass:secret",
        "ec -in client.key -out traditional.key -aes256 -passout pass:secret",
        "pkey -in client.key -pubout -out public.key",
        "ecparam -name secp521r1 -genkey -noout -out p521.key",
        "req -x509 -days 2 -subj /CN=p521 -key p521.key -out p521.crt",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        openssl(path, &[&words]);
    }
    for (certificate, key, fault) in [
        ("client.crt", "encrypted.key", "passphrase"),
        ("client.crt", "traditional.key", "passphrase"),
        ("client.crt", "other.key", "not the key of"),
        ("client.crt", "public.key", "no private key"),
        ("p521.crt", "p521.key", "P-256"),
    ] {
        let [certificate, key] = [certificate, key].map(|name| path.join(name));
        let url = format!(
            "rediss://localhost?cert={}&key={}",
            certificate.display(),
            key.display()
        );
        let error = store::open(&url.parse().unwrap(), &options())
            .err()
            .unwrap()
            .to_string();
        is_plain(&error, fault);
    }
}
