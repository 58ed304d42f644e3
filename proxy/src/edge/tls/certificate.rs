//! The certificate that clients are shown: read from its files, and read again when they change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::sleep;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::files::{Settling, Watched};
use crate::record::CertificateGauges;

/// The one in force. Handshakes that have begun go on with the one that they began with.
#[derive(Debug)]
pub(crate) struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Watches the two files, and is the one writer of what is shown.
pub(crate) struct Certificates {
    chain: Watched,
    key: Watched,
    shown: Arc<Shown>,
    provider: CryptoProvider,
    settling: Settling<Look>,
    gauges: CertificateGauges,
}

/// What is in the files now.
type Look = Result<(Vec<u8>, Vec<u8>), String>;

impl Certificates {
    /// Reads them for the first time: without them, nobody is served.
    pub(crate) fn start(
        chain: &Path,
        key: &Path,
        gauges: CertificateGauges,
    ) -> Result<Self, NoCertificate> {
        let provider = aws_lc_rs::default_provider();
        let pair = (read(chain)?, read(key)?);
        let certified = certified((chain, &pair.0), (key, &pair.1), &provider)?;
        gauges.taken(expiry(&certified));
        gauges.current(true);
        Ok(Self {
            chain: Watched::new(chain.to_owned(), MOST_BYTES),
            key: Watched::new(key.to_owned(), MOST_BYTES),
            shown: Arc::new(Shown(ArcSwap::from_pointee(certified))),
            provider,
            settling: Settling::new(Ok(pair)),
            gauges,
        })
    }

    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Looks again for ever. Two files are not replaced at once: only what is seen twice alike is taken
    /// for whole.
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
        let chain = self.chain.read().await;
        let chain = chain.map_err(|error| told(self.chain.path(), &error))?;
        let key = self.key.read().await;
        let key = key.map_err(|error| told(self.key.path(), &error))?;
        Ok((chain, key))
    }

    fn take_over(&self, look: Look) {
        let certified = look.and_then(|(chain, key)| {
            let (chain, key) = ((self.chain.path(), &*chain), (self.key.path(), &*key));
            certified(chain, key, &self.provider).map_err(|why| why.to_string())
        });
        self.gauges.current(certified.is_ok());
        match certified {
            Ok(certified) => {
                let file = self.chain.path().display();
                tracing::info!(%file, "certificate taken over");
                self.gauges.taken(expiry(&certified));
                self.shown.0.store(Arc::new(certified));
            }
            Err(why) => {
                tracing::error!(%why, "certificate unchanged: the new one cannot be taken over");
            }
        }
    }
}

fn certified(
    (chain_path, pem): (&Path, &[u8]),
    (key_path, key): (&Path, &[u8]),
    provider: &CryptoProvider,
) -> Result<CertifiedKey, NoCertificate> {
    let chain = chain(chain_path, pem)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| NoCertificate::Pem(key_path.to_owned(), error))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| NoCertificate::Mismatch(chain_path.to_owned(), error))
}

/// Leaf first; `path` is where it was read.
pub(super) fn chain(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, NoCertificate> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| NoCertificate::Pem(path.to_owned(), error))?;
    if chain.is_empty() { Err(NoCertificate::Empty(path.to_owned())) } else { Ok(chain) }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, NoCertificate> {
    fs::read(path).map_err(|error| NoCertificate::Unreadable(path.to_owned(), error))
}

/// Of the leaf, since 1970.
fn expiry(certified: &CertifiedKey) -> i64 {
    let leaf = certified.cert.first().and_then(|der| X509Certificate::from_der(der).ok());
    leaf.map_or(0, |(_, leaf)| leaf.validity().not_after.timestamp())
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCertificate {
    #[error("{path}: it cannot be read: {1}", path = .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{path}: it is not PEM: {1}", path = .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    #[error("{path}: it holds no certificate", path = .0.display())]
    Empty(PathBuf),
    #[error("{path} and its key do not belong together: {1}", path = .0.display())]
    Mismatch(PathBuf, #[source] rustls::Error),
}

const EVERY: Duration = Duration::from_secs(1);
const MOST_BYTES: u64 = 1 << 20;
