//! TLS towards a server: whom to believe there, and what to show it. Read from files, and again when they
//! change: for the next connection, and no connection that was made before is used again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use pingora_core::{Error, ErrorType};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ALL_VERSIONS, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use crate::config::{BackendTls, CertificateFiles, Site};
use crate::edge::tls::{NoCertificate, authorities, first_expiry, pair};
use crate::files::{Settling, Watched};
use crate::pipeline::answer::Untrusted;
use crate::record::CertificateGauges;

/// What connections begin with.
#[derive(Debug)]
pub(crate) struct Secure(ArcSwap<Credentials>);

struct Credentials {
    /// Of nobody, nobody is believed: pingora refuses to connect then.
    authorities: Arc<CaType>,
    shown: Option<Arc<CertKey>>,
    generation: u64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Secure {
    /// Has pingora verify the server, and show what is to be shown. The peer's `sni` must not be empty:
    /// pingora would believe anybody then.
    pub(super) fn dress(&self, peer: &mut HttpPeer) {
        let now = self.0.load();
        peer.options.verify_cert = true;
        peer.options.verify_hostname = true;
        peer.options.ca = Some(Arc::clone(&now.authorities));
        peer.client_cert_key.clone_from(&now.shown);
        // Connections that were made with others are another group's.
        peer.group_key = now.generation;
    }
}

/// Watches the files, and is the one writer.
pub(crate) struct Wardrobe {
    tls: BackendTls,
    files: Vec<Watched>,
    settling: Settling<Look>,
    secure: Arc<Secure>,
    gauges: Vec<CertificateGauges>,
}

/// What is in the files now.
type Look = Result<Vec<Vec<u8>>, String>;

/// Whether the files of all of them are as they must be.
pub(crate) async fn examine(sites: &[Site]) -> Result<(), NotUsable> {
    for tls in sites.iter().filter_map(|site| site.upstream.tls.as_ref()) {
        let mut contents = Vec::new();
        for path in paths(tls) {
            let read = Watched::new(path.clone(), MOST_BYTES).read().await;
            contents.push(read.map_err(|error| NoCertificate::Unreadable(path, error))?);
        }
        credentials(tls, &contents, 0)?;
    }
    Ok(())
}

/// They are not.
#[derive(Debug, thiserror::Error)]
#[error("upstream.tls: {0}")]
pub(crate) struct NotUsable(#[from] NoCertificate);

/// Why no TLS was set up, if that is what went wrong. pingora tells it in rustls' words alone.
pub(crate) fn untrusted(error: &Error) -> Option<Untrusted> {
    let of_tls = [ErrorType::TLSHandshakeFailure, ErrorType::InvalidCert];
    if !of_tls.contains(error.etype()) {
        return None;
    }
    let words = error.to_string();
    let says = |all: &[&str]| all.iter().any(|word| words.contains(word));
    Some(match () {
        () if says(&["not valid for name", "NotValidForName"]) => Untrusted::Name,
        () if says(&["UnknownIssuer", "BadSignature"]) => Untrusted::Authority,
        () if says(&["certificate expired", "not valid yet", "Expired", "NotValidYet"]) => {
            Untrusted::Expired
        }
        () => Untrusted::Otherwise,
    })
}

/// Sets up TLS as connections for requests do, and tells what goes wrong by its name.
pub(crate) async fn handshake(
    tls: &BackendTls,
    name: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let client = client(tls).map_err(io::Error::other)?;
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    match TlsConnector::from(Arc::new(client)).connect(name, stream).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let words = Error::explain(ErrorType::TLSHandshakeFailure, error.to_string());
            let why = untrusted(&words).unwrap_or(Untrusted::Otherwise).reason().code();
            Err(io::Error::other(format!("{why}: {error}")))
        }
    }
}

fn client(tls: &BackendTls) -> Result<ClientConfig, NoCertificate> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|error| NoCertificate::Unreadable(path.clone(), error))
    };
    let mut roots = RootCertStore::empty();
    for der in authorities(&tls.authorities, &read(&tls.authorities)?)? {
        roots.add(der)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(ALL_VERSIONS)?;
    let builder = builder.with_root_certificates(roots);
    let Some(CertificateFiles { chain, key }) = &tls.shown else {
        return Ok(builder.with_no_client_auth());
    };
    let (chain, key) = pair((chain, &read(chain)?), (key, &read(key)?))?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

impl Wardrobe {
    /// Of files that cannot be used nobody is believed, until they can.
    pub(crate) fn open(
        tls: &BackendTls,
        gauges: impl Fn(&Path) -> CertificateGauges,
    ) -> (Arc<Secure>, Self) {
        let paths = paths(tls);
        let contents: Vec<Vec<u8>> =
            paths.iter().map(|path| fs::read(path).unwrap_or_default()).collect();
        let nobody = Credentials { authorities: Arc::new([]), shown: None, generation: 0 };
        let secure = Arc::new(Secure(ArcSwap::from_pointee(nobody)));
        let wardrobe = Self {
            tls: tls.clone(),
            gauges: paths.iter().map(|path| gauges(path)).collect(),
            files: paths.into_iter().map(|path| Watched::new(path, MOST_BYTES)).collect(),
            settling: Settling::new(Ok(contents.clone())),
            secure: Arc::clone(&secure),
        };
        wardrobe.take_over(Ok(contents));
        (secure, wardrobe)
    }

    /// Looks again for ever.
    pub(crate) async fn run(mut self) {
        loop {
            sleep(EVERY).await;
            let now = self.look().await;
            if self.settling.has_settled(&now) {
                self.take_over(now);
            }
        }
    }

    async fn look(&mut self) -> Look {
        let mut contents = Vec::new();
        for file in &mut self.files {
            let content = file.read().await;
            contents.push(content.map_err(|error| format!("{}: {error}", file.path().display()))?);
        }
        Ok(contents)
    }

    fn take_over(&self, look: Look) {
        let next = self.secure.0.load().generation.wrapping_add(1);
        let made = look.and_then(|contents| {
            let made = credentials(&self.tls, &contents, next).map_err(|why| why.to_string())?;
            Ok((made, contents))
        });
        let file = self.tls.authorities.display();
        match made {
            Ok((credentials, contents)) => {
                self.secure.0.store(Arc::new(credentials));
                for (gauges, content) in self.gauges.iter().zip(&contents) {
                    first_expiry(content).inspect(|ends| gauges.taken(*ends));
                }
                tracing::info!(%file, "upstream certificates taken over");
            }
            Err(why) => {
                self.gauges.iter().for_each(CertificateGauges::refused);
                tracing::error!(%file, %why, "upstream certificates unchanged: the new ones cannot be taken over");
            }
        }
    }
}

/// Authorities first, then what is shown: its chain and its key.
fn paths(tls: &BackendTls) -> Vec<PathBuf> {
    let shown = tls.shown.iter().flat_map(|CertificateFiles { chain, key }| [chain, key]);
    std::iter::once(&tls.authorities).chain(shown).cloned().collect()
}

fn credentials(
    tls: &BackendTls,
    contents: &[Vec<u8>],
    generation: u64,
) -> Result<Credentials, NoCertificate> {
    let content = |index: usize| contents.get(index).map(Vec::as_slice).unwrap_or_default();
    let believed = authorities(&tls.authorities, content(0))?;
    let wrapped = believed.iter().map(|der| WrappedX509::new(der.to_vec(), parse_x509));
    let shown = tls.shown.as_ref().map(|CertificateFiles { chain, key }| {
        let (chain, key) = pair((chain, content(1)), (key, content(2)))?;
        let chain = chain.iter().map(|der| der.to_vec()).collect();
        Ok::<_, NoCertificate>(Arc::new(CertKey::new(chain, key.secret_der().to_vec())))
    });
    let (authorities, shown) = (wrapped.collect(), shown.transpose()?);
    Ok(Credentials { authorities, shown, generation })
}

const EVERY: Duration = Duration::from_secs(1);
const MOST_BYTES: u64 = 1 << 20;
