//! The certificate that clients are shown: read from its files, and read again when they change.

use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert, VerifierBuilderError};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use tokio::time::sleep;

use super::dates::Dated;
use crate::config::CertificateFiles;
use crate::files::{Settling, Watched};
use crate::record::CertificateGauges;

/// Those in force. Handshakes that have begun go on with the one that they began with.
#[derive(Debug)]
pub(crate) struct Shown(Box<[ArcSwap<Named>]>);

/// One of them, and for whom it is.
#[derive(Debug)]
struct Named {
    certified: Arc<CertifiedKey>,
    leaf: Option<Dated>,
}

impl ResolvesServerCert for Shown {
    /// The first that is for the name by which the client begins; else the first of all.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| {
            let mut all = self.0.iter().map(ArcSwap::load);
            all.find(|one| one.leaf.as_ref().is_some_and(|leaf| leaf.is_for(name)))
        });
        let shown = named.or_else(|| self.0.first().map(ArcSwap::load))?;
        Some(Arc::clone(&shown.certified))
    }
}

/// Watches the files of all of them, and is the one writer of what is shown.
pub(crate) struct Certificates {
    pairs: Vec<Pair>,
    shown: Arc<Shown>,
    provider: CryptoProvider,
}

/// The files of one.
struct Pair {
    chain: Watched,
    key: Watched,
    settling: Settling<Look>,
    gauges: CertificateGauges,
}

/// What is in the files now.
type Look = Result<(Vec<u8>, Vec<u8>), String>;

impl Certificates {
    /// Reads them for the first time: without them, nobody is served.
    pub(crate) fn start(
        first: &CertificateFiles,
        others: &[CertificateFiles],
        gauges: impl Fn(&Path) -> CertificateGauges,
    ) -> Result<Self, NoCertificate> {
        let provider = aws_lc_rs::default_provider();
        let (mut pairs, mut shown) = (Vec::new(), Vec::new());
        for CertificateFiles { chain, key } in iter::once(first).chain(others) {
            let content = (read(chain)?, read(key)?);
            let named = named((chain, &content.0), (key, &content.1), &provider)?;
            let gauges = gauges(chain);
            gauges.taken(named.expiry());
            shown.push(ArcSwap::from_pointee(named));
            pairs.push(Pair {
                chain: Watched::new(chain.clone(), MOST_BYTES),
                key: Watched::new(key.clone(), MOST_BYTES),
                settling: Settling::new(Ok(content)),
                gauges,
            });
        }
        Ok(Self { pairs, shown: Arc::new(Shown(shown.into())), provider })
    }

    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Looks again for ever. Two files are not replaced at once: only what is seen twice alike is taken
    /// for whole.
    pub(crate) async fn run(mut self) {
        loop {
            sleep(EVERY).await;
            for (pair, shown) in self.pairs.iter_mut().zip(&self.shown.0) {
                let now = pair.look().await;
                if pair.settling.has_settled(&now) {
                    pair.take_over(now, shown, &self.provider);
                }
            }
        }
    }
}

impl Pair {
    async fn look(&mut self) -> Look {
        let chain = self.chain.read().await;
        let chain = chain.map_err(|error| told(self.chain.path(), &error))?;
        let key = self.key.read().await;
        let key = key.map_err(|error| told(self.key.path(), &error))?;
        Ok((chain, key))
    }

    fn take_over(&self, look: Look, shown: &ArcSwap<Named>, provider: &CryptoProvider) {
        let named = look.and_then(|(chain, key)| {
            let (chain, key) = ((self.chain.path(), &*chain), (self.key.path(), &*key));
            named(chain, key, provider).map_err(|why| why.to_string())
        });
        match named {
            Ok(named) => {
                let file = self.chain.path().display();
                tracing::info!(%file, "certificate taken over");
                self.gauges.taken(named.expiry());
                shown.store(Arc::new(named));
            }
            Err(why) => {
                tracing::error!(%why, "certificate unchanged: the new one cannot be taken over");
                self.gauges.refused();
            }
        }
    }
}

impl Named {
    /// Since 1970.
    fn expiry(&self) -> i64 {
        self.leaf.as_ref().map_or(0, |leaf| leaf.not_after)
    }
}

fn named(
    chain: (&Path, &[u8]),
    key: (&Path, &[u8]),
    provider: &CryptoProvider,
) -> Result<Named, NoCertificate> {
    let certified = certified(chain, key, provider)?;
    let leaf = certified.cert.first().and_then(|der| Dated::read(der));
    Ok(Named { certified: Arc::new(certified), leaf })
}

/// The chain, leaf first, and the key, which belong together and which any reader can take apart.
pub(crate) fn pair(
    chain_file: (&Path, &[u8]),
    key_file: (&Path, &[u8]),
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), NoCertificate> {
    let chain = readable(chain_file.0, chain(chain_file.0, chain_file.1)?)?;
    certified(chain_file, key_file, &aws_lc_rs::default_provider())?;
    let key = PrivateKeyDer::from_pem_slice(key_file.1)
        .map_err(|error| NoCertificate::Pem(key_file.0.to_owned(), error))?;
    Ok((chain, key))
}

/// Certificates that others can have signed theirs with.
pub(crate) fn authorities(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, NoCertificate> {
    let all = readable(path, chain(path, pem)?)?;
    let mut roots = RootCertStore::empty();
    for der in &all {
        let added = roots.add(der.clone());
        added.map_err(|error| NoCertificate::Authority(path.to_owned(), error))?;
    }
    Ok(all)
}

fn readable(
    path: &Path,
    all: Vec<CertificateDer<'static>>,
) -> Result<Vec<CertificateDer<'static>>, NoCertificate> {
    let is_readable = |der: &CertificateDer<'_>| Dated::read(der).is_some();
    let odd = || NoCertificate::Authority(path.to_owned(), CertificateError::BadEncoding.into());
    if all.iter().all(is_readable) { Ok(all) } else { Err(odd()) }
}

/// When the first of them expires, since 1970.
pub(crate) fn first_expiry(pem: &[u8]) -> Option<i64> {
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    all.filter_map(|der| Dated::read(&der)).map(|it| it.not_after).min()
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

pub(super) fn told(path: &Path, error: &io::Error) -> String {
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
    #[error("{path}: a certificate in it cannot be used: {1}", path = .0.display())]
    Authority(PathBuf, #[source] rustls::Error),
    #[error("{path}: it holds no list of revoked certificates that can be read", path = .0.display())]
    NoList(PathBuf),
    #[error("the lists of revoked certificates cannot be used: {0}")]
    Lists(#[source] VerifierBuilderError),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

const EVERY: Duration = Duration::from_secs(1);
const MOST_BYTES: u64 = 1 << 20;
