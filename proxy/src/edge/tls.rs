//! TLS 1.2 and 1.3 for the listener, with the process's one crypto provider.

mod client;
mod dates;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora_core::listeners::tls::Acceptor;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ALL_VERSIONS, ServerConfig};

use crate::config::ClientCertificates;
use client::AnyCertificate;
pub(crate) use dates::{Dated, dated};

/// Reads certificate and key, and checks that they belong together.
pub(crate) fn acceptor(
    certificate: &Path,
    key: &Path,
    clients: ClientCertificates,
) -> Result<Acceptor, NoTls> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certified = certified(certificate, key, &provider)?;
    let any = AnyCertificate::new(&provider);
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(ALL_VERSIONS)
        .map_err(NoTls::Setup)?;
    let builder = match clients {
        ClientCertificates::Off => builder.with_no_client_auth(),
        ClientCertificates::Asked => builder.with_client_cert_verifier(Arc::new(any)),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = Ticketer::new().map_err(NoTls::Setup)?;
    Ok(Acceptor::from_server_config(Arc::new(config)))
}

fn certified(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, NoTls> {
    let chain = chain(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| NoTls::Pem { path: key.to_owned(), error })?;
    CertifiedKey::from_der(chain, private, provider)
        .map_err(|error| NoTls::Mismatch { path: certificate.to_owned(), error })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, NoTls> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let chain = chain.map_err(|error| NoTls::Pem { path: path.to_owned(), error })?;
    if chain.is_empty() { Err(NoTls::NoCertificate { path: path.to_owned() }) } else { Ok(chain) }
}

fn read(path: &Path) -> Result<Vec<u8>, NoTls> {
    fs::read(path).map_err(|error| NoTls::Unreadable { path: path.to_owned(), error })
}

/// Why the listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTls {
    #[error("{path}: it cannot be read: {error}", path = path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path}: it is not PEM: {error}", path = path.display())]
    Pem { path: PathBuf, error: pem::Error },
    #[error("{path}: it holds no certificate", path = path.display())]
    NoCertificate { path: PathBuf },
    #[error("{path} and its key do not belong together: {error}", path = path.display())]
    Mismatch { path: PathBuf, error: rustls::Error },
    #[error("it cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// Clients that come back skip the expensive half of the handshake.
const SESSIONS: usize = 4096;
