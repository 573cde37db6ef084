//! TLS to a server: which servers it trusts, and what is wrong with a certificate that it refuses.
//!
//! The files are read for each connection, so that a renewed certificate needs no restart.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage,
    PeerIncompatible, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dial::ConnectError;
use crate::store::address::{InvalidAddress, TlsSettings};

const CLIENT_CERTIFICATE: &str = "client certificate";
const CLIENT_KEY: &str = "client key";

/// The keys that both sides can use.
const KEYS: &str =
    "a key of the curve P-256 or P-384, an Ed25519 key, or an RSA key of 2,048 bits or more";

/// Speaks TLS to the server at the other end of `stream`, which is reached by the name `host`.
pub(super) async fn connect(
    settings: &TlsSettings,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let misconfigured = |error: InvalidAddress| ConnectError::Misconfigured(error.to_string());
    let config = config(settings).map_err(misconfigured)?;
    let name = settings.server_name.as_deref().unwrap_or(host);
    // The zone of an IPv6 address means something only on this host.
    let name = name.split('%').next().unwrap_or(name).to_owned();
    let server = ServerName::try_from(name.clone()).map_err(|_| {
        ConnectError::Misconfigured(format!(
            "{name:?} cannot be the name in a certificate: give server-name"
        ))
    })?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(server, stream);
    connecting.await.map_err(ConnectError::from)
}

/// The settings of one connection, with the files as they are now.
///
/// # Errors
///
/// [`InvalidAddress::File`] names the file that cannot be used.
pub(super) fn config(settings: &TlsSettings) -> Result<ClientConfig, InvalidAddress> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (roots, pinned) = match &settings.ca {
        Some(path) => trusted(path)?,
        None => (system_roots(), Vec::new()),
    };
    let verifier = Arc::new(Verifier {
        chain: WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .ok(),
        pinned,
        provider: Arc::clone(&provider),
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match &settings.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(CLIENT_CERTIFICATE, certificate)?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(|error| unusable(certificate, key, &error))?
        }
    })
}

/// The authorities of the system. One that cannot be read counts as missing: then no server is trusted.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// The certificates of a file, each trusted as an authority and as a server's own.
fn trusted(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), InvalidAddress> {
    let pinned = certificates("certificate of the authority", path)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pinned.iter().cloned());
    Ok((roots, pinned))
}

fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, InvalidAddress> {
    let bytes = read(what, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(invalid(what, path, "it holds no certificate in PEM form")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, InvalidAddress> {
    let bytes = read(CLIENT_KEY, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let encrypted = String::from_utf8_lossy(&bytes).contains("ENCRYPTED");
        let reason = match encrypted {
            true => {
                "it is encrypted, and there is no way to give its passphrase: decrypt it, as with `openssl pkey -in \
                 FILE -out NEW`, and let no one else read it"
            }
            false => "it holds no private key in PEM form",
        };
        invalid(CLIENT_KEY, path, reason)
    })
}

/// Why a client certificate and a key that were read cannot be used together.
fn unusable(certificate: &Path, key: &Path, error: &rustls::Error) -> InvalidAddress {
    use rustls::Error as E;
    match error {
        E::InconsistentKeys(_) => {
            let certificate = certificate.display();
            let reason = format!(
                "it is not the key of the certificate {certificate}: give the one it was made with"
            );
            invalid(CLIENT_KEY, key, reason)
        }
        // It says so of every key that it cannot parse.
        E::General(_) => invalid(CLIENT_KEY, key, format!("it is not supported: use {KEYS}")),
        error => invalid(CLIENT_CERTIFICATE, certificate, error),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, InvalidAddress> {
    std::fs::read(path).map_err(|error| invalid(what, path, error))
}

fn invalid(what: &'static str, path: &Path, reason: impl ToString) -> InvalidAddress {
    InvalidAddress::File {
        what,
        path: shown(path),
        reason: reason.to_string(),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Trusts a server with exactly a given certificate, and otherwise one whose chain ends in an authority.
///
/// The names, dates and purpose of a certificate that was given itself are not checked: giving it as `ca`
/// already names the server.
#[derive(Debug)]
struct Verifier {
    /// Absent when there is no authority to trust.
    chain: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.contains(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.chain {
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether waiting may fix the fault: a certificate can be renewed on the server, and clocks can be set.
pub(super) fn may_pass(error: &rustls::Error) -> bool {
    use CertificateError as C;
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. }
        )
    )
}

/// What an error of TLS says about the certificates and the addresses in use; `None` when it is about neither.
pub(super) fn fault(error: &rustls::Error) -> Option<String> {
    use rustls::Error as E;
    Some(match error {
        E::InvalidCertificate(fault) => {
            let (what, advice) = explained(fault);
            format!("the server's certificate is refused: {what}; {advice}")
        }
        E::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => format!(
            "the server refuses our certificate, or wants one ({error}): give cert=FILE and key=FILE of a client \
             certificate that it trusts"
        ),
        E::AlertReceived(AlertDescription::ProtocolVersion)
        | E::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server speaks no version of TLS from 1.2 on: allow TLS 1.2 or 1.3 there".to_owned(),
        // A server of TLS 1.2 says no more when it wants a certificate.
        E::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        )
        | E::PeerIncompatible(_) => format!(
            "the server and this host cannot agree on how to speak TLS: give it {KEYS}, and the usual ciphers; if it \
             wants a client certificate, give cert=FILE and key=FILE"
        ),
        E::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS on this port: use its TLS port, or an address without TLS"
                .to_owned()
        }
        _ => return None,
    })
}

/// What is wrong with a certificate, and what to do about it.
fn explained(fault: &CertificateError) -> (String, String) {
    use CertificateError as C;
    let (what, advice): (&str, &str) = match fault {
        C::ExpiredContext { time, not_after } => {
            let what = format!("it expired {} ago", between(*not_after, *time));
            return (what, "renew it".to_owned());
        }
        C::NotValidYetContext { time, not_before } => {
            let wait = between(*time, *not_before);
            let what = format!("it is not valid before {wait} from now");
            return (
                what,
                "set the clocks of this host and of the authority".to_owned(),
            );
        }
        C::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            let names = match names.as_slice() {
                [] => "no name at all".to_owned(),
                names => names.join(", "),
            };
            let what = format!("it is for {names}, and not for {}", expected.to_str());
            let advice = "use a host that it names, give one of its names as server-name=NAME, or make a certificate \
                          with a subjectAltName";
            return (what, advice.to_owned());
        }
        C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            let what = "the key that signed it, or the kind of that signature, is not supported";
            return (
                what.to_owned(),
                format!("sign it with {KEYS}, and SHA-256 or more"),
            );
        }
        C::UnknownIssuer => (
            "no authority that is trusted here has signed it",
            "give the certificate of the authority that signed it, or a self-signed one itself, as ca=FILE",
        ),
        C::BadSignature => (
            "it was not signed by the authority that it names",
            "if that has a new key, give its present certificate as ca=FILE",
        ),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => (
            "it is not meant for a server",
            "make one whose extendedKeyUsage has serverAuth",
        ),
        C::BadEncoding => ("it cannot be read", "make a new one"),
        C::Other(other) => match other.to_string().as_str() {
            "UnsupportedCertVersion" => (
                "it is an X.509 certificate of version 1",
                "make one of version 3",
            ),
            "CaUsedAsEndEntity" => (
                "it is that of an authority",
                "make one for the server, or give this very certificate as ca=FILE",
            ),
            "EndEntityUsedAsCa" => (
                "it was signed by one that is not of an authority",
                "make that one anew with basicConstraints=CA:TRUE",
            ),
            "UnsupportedCriticalExtension" => (
                "it has a critical extension that is unknown here",
                "make one without it",
            ),
            other => return unexplained(other),
        },
        fault => return unexplained(&format!("{fault:?}")),
    };
    (what.to_owned(), advice.to_owned())
}

/// A fault that is too rare to be explained here.
fn unexplained(fault: &str) -> (String, String) {
    let what = format!("it is not valid ({fault})");
    let advice = "`openssl x509 -noout -text -in FILE` shows what is in it".to_owned();
    (what, advice)
}

/// `db.example` of `DnsName("db.example")`.
fn bare(presented: &str) -> &str {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

/// The time between two moments, in the largest unit that fits.
fn between(earlier: UnixTime, later: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    match units.iter().find(|(length, _)| seconds >= 2 * length) {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => format!("{seconds} seconds"),
    }
}
