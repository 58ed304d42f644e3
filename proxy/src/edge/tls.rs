//! TLS 1.2 and 1.3 for the listener, with the process's one crypto provider.

mod certificate;
mod client;
mod dates;

use std::sync::Arc;

use pingora_core::listeners::tls::Acceptor;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ALL_VERSIONS, ServerConfig};

use crate::config::ClientCertificates;
use certificate::Shown;
pub(crate) use certificate::{Certificates, NoCertificate};
use client::AnyCertificate;
pub(crate) use dates::{Dated, dated};

/// Speaks TLS with whatever is shown when a client comes.
pub(crate) fn acceptor(
    shown: Arc<Shown>,
    clients: ClientCertificates,
) -> Result<Acceptor, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let any = AnyCertificate::new(&provider);
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(ALL_VERSIONS)?;
    let builder = match clients {
        ClientCertificates::Off => builder.with_no_client_auth(),
        ClientCertificates::Asked => builder.with_client_cert_verifier(Arc::new(any)),
    };
    let mut config = builder.with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = Ticketer::new()?;
    Ok(Acceptor::from_server_config(Arc::new(config)))
}

/// Clients that come back skip the expensive half of the handshake.
const SESSIONS: usize = 4096;
