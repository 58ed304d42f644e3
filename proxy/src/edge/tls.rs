//! TLS 1.2 and 1.3 for a listener, with the process's one crypto provider.

mod authorities;
mod certificate;
mod client;
mod dates;
mod stream;

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora_core::protocols::l4::stream::Stream;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::{ALL_VERSIONS, ServerConfig};
use tokio_rustls::TlsAcceptor;

pub(crate) use authorities::{Authorities, listed};
use certificate::Shown;
pub(crate) use certificate::{Certificates, NoCertificate, authorities, first_expiry, pair};
use client::Asked;
pub(crate) use dates::{Dated, dated};
pub(super) use stream::Secured;

/// On what terms TLS begins: other ones when whom to believe has changed. A handshake goes on with
/// those that it began with.
#[derive(Debug)]
pub(crate) struct Terms(ArcSwap<ServerConfig>);

impl Terms {
    /// Clients are asked for nothing.
    pub(crate) fn for_anybody(shown: Arc<Shown>) -> Result<Self, rustls::Error> {
        Self::new(shown, None, Sessions::Resumed)
    }

    /// They may show any certificate.
    fn for_any_certificate(shown: Arc<Shown>) -> Result<Self, rustls::Error> {
        let asked = Asked::for_any(&aws_lc_rs::default_provider());
        Self::new(shown, Some(Arc::new(asked)), Sessions::Resumed)
    }

    fn new(
        shown: Arc<Shown>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
        sessions: Sessions,
    ) -> Result<Self, rustls::Error> {
        Ok(Self(ArcSwap::new(config(shown, clients, sessions)?)))
    }

    /// The whole handshake.
    pub(super) async fn accept(&self, stream: Stream) -> io::Result<Secured> {
        let acceptor = TlsAcceptor::from(self.0.load_full());
        Ok(Secured::new(acceptor.accept(stream).await?))
    }
}

/// Whether clients that come back skip the expensive half of the handshake.
#[derive(Clone, Copy)]
enum Sessions {
    Resumed,
    /// Their certificates would not be looked at again, though they may have expired or been revoked
    /// since, or their signer may not be believed any more.
    AlwaysNew,
}

fn config(
    shown: Arc<Shown>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    sessions: Sessions,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(ALL_VERSIONS)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients),
    };
    let mut config = builder.with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    match sessions {
        Sessions::Resumed => {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            config.ticketer = Ticketer::new()?;
        }
        Sessions::AlwaysNew => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
    }
    Ok(Arc::new(config))
}

const SESSIONS: usize = 4096;
