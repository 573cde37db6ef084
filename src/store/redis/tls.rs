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
    RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dial::ConnectError;
use crate::store::address::{InvalidAddress, TlsSettings};

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
    let wrong = |error: rustls::Error| InvalidAddress::File {
        what: "client certificate",
        path: settings
            .client
            .as_ref()
            .map_or_else(String::new, |(path, _)| shown(path)),
        reason: error.to_string(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match &settings.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("client certificate", certificate)?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(wrong)?
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
    let what = "client key";
    PrivateKeyDer::from_pem_slice(&read(what, path)?)
        .map_err(|_| invalid(what, path, "it holds no private key in PEM form"))
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
        E::InvalidCertificate(fault) => format!(
            "the server's certificate is refused: {}{}",
            in_words(fault),
            advice(fault)
        ),
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
        E::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS on this port: use its TLS port, or an address without TLS"
                .to_owned()
        }
        _ => return None,
    })
}

/// What is wrong with a certificate, for people.
fn in_words(fault: &CertificateError) -> String {
    use CertificateError as C;
    match fault {
        C::UnknownIssuer => "no authority that is trusted here has signed it".to_owned(),
        C::Expired => "it has expired".to_owned(),
        C::ExpiredContext { time, not_after } => {
            format!("it expired {} ago", between(*not_after, *time))
        }
        C::NotValidYet => "it is not valid yet".to_owned(),
        C::NotValidYetContext { time, not_before } => {
            let wait = between(*time, *not_before);
            format!("it is not valid before {wait} from now")
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
            format!("it is for {names}, and not for {}", expected.to_str())
        }
        C::Other(other) => other.to_string(),
        // These have names that can be read, and no further data.
        fault => format!("{fault:?}"),
    }
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

fn advice(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::UnknownIssuer => {
            "; give the certificate of the authority that signed it, or a self-signed one itself, as ca=FILE"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "; use a host that it names, give one of its names as server-name=NAME, or make a certificate \
             with a subjectAltName"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "; renew it",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "; set the clocks of this host and of the authority"
        }
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "; it is an X.509 certificate of version 1: make one of version 3"
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "; it is that of an authority: make one for the server, or give this very certificate as ca=FILE"
        }
        _ => "",
    }
}
