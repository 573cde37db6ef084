//! What a connection over TLS needs besides the address.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionAddr, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::store::address::{Endpoint, InvalidAddress, TlsFiles};

/// The address of a server over TLS, with the certificates read and checked.
pub(super) fn address(
    endpoint: &Endpoint,
    files: &TlsFiles,
) -> Result<ConnectionAddr, InvalidAddress> {
    // Without a provider of cryptography the library panics, and with two it does not choose. It fails
    // when the program has installed one already: then that one is used.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let address = ConnectionAddr::TcpTls {
        host: endpoint.host.clone(),
        port: endpoint.port,
        insecure: false,
        tls_params: None,
    };
    let certificates = TlsCertificates {
        client_tls: match &files.client {
            None => None,
            Some((certificate, key)) => Some(ClientTlsConfig {
                client_cert: chain("client certificate", certificate)?,
                client_key: read("client key", key)?,
            }),
        },
        root_cert: match &files.ca {
            None => None,
            Some(ca) => Some(chain("certificate of the authority", ca)?),
        },
    };
    match Client::build_with_tls(address, certificates) {
        Ok(client) => Ok(client.get_connection_info().addr().clone()),
        Err(error) => Err(InvalidAddress::File {
            what: "certificate",
            path: named(files),
            reason: error.to_string(),
        }),
    }
}

/// A file with certificates. One without any would be taken, and nobody trusted.
fn chain(what: &'static str, path: &Path) -> Result<Vec<u8>, InvalidAddress> {
    let bytes = read(what, path)?;
    match CertificateDer::pem_slice_iter(&bytes).next() {
        Some(Ok(_)) => Ok(bytes),
        Some(Err(_)) | None => Err(InvalidAddress::File {
            what,
            path: path.display().to_string(),
            reason: "it holds no certificate in PEM form".to_owned(),
        }),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, InvalidAddress> {
    std::fs::read(path).map_err(|error| InvalidAddress::File {
        what,
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn named(files: &TlsFiles) -> String {
    let client = files.client.iter().flat_map(|(cert, key)| [cert, key]);
    let paths: Vec<_> = files.ca.iter().chain(client).collect();
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
