//! Who signs the certificates of clients, and what of that is revoked: read from files, and read again
//! when they change. All of them, or none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::time::sleep;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::certificate::{NoCertificate, Shown, authorities, first_expiry, read, told};
use super::client::Asked;
use super::{Sessions, Terms, config};
use crate::config::{ClientCertificates, Clients};
use crate::files::{Settling, Watched};
use crate::record::CertificateGauges;

/// Watches the files, and is the one writer of the terms.
pub(crate) struct Authorities {
    files: Vec<File>,
    shown: Arc<Shown>,
    required: bool,
    settling: Settling<Look>,
    terms: Arc<Terms>,
    lapse: Lapse,
}

struct File {
    kind: Kind,
    watched: Watched,
    gauges: CertificateGauges,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Authorities,
    Revoked,
}

/// What is in the files now.
type Look = Result<Vec<Vec<u8>>, String>;

/// When the first of the lists is too old, and whether that has been told.
#[derive(Default)]
struct Lapse {
    at: Option<i64>,
    told: bool,
}

impl Authorities {
    /// On what terms clients are served, and who looks after them if that may change. Without the
    /// files, nobody is served.
    pub(crate) fn start(
        clients: &Clients,
        shown: Arc<Shown>,
        gauges: impl Fn(&Path) -> CertificateGauges,
    ) -> Result<(Arc<Terms>, Option<Self>), NoCertificate> {
        let required = match clients.certificates {
            ClientCertificates::Off => {
                return Ok((Arc::new(Terms::for_anybody(shown)?), None));
            }
            ClientCertificates::Asked if clients.authorities.is_empty() => {
                return Ok((Arc::new(Terms::for_any_certificate(shown)?), None));
            }
            ClientCertificates::Asked => false,
            ClientCertificates::Required => true,
        };
        let file = |kind| {
            let gauges = &gauges;
            move |path: &PathBuf| File {
                kind,
                watched: Watched::new(path.clone(), MOST_BYTES),
                gauges: gauges(path),
            }
        };
        let authorities = clients.authorities.iter().map(file(Kind::Authorities));
        let revoked = clients.revoked.iter().map(file(Kind::Revoked));
        let files: Vec<File> = authorities.chain(revoked).collect();
        let contents: Result<Vec<_>, _> = files.iter().map(|it| read(it.watched.path())).collect();
        let contents = contents?;
        let believed = believe(&files, &contents, required)?;
        let lapse = Lapse { at: believed.tell(&files), told: false };
        let verifier = Some(believed.verifier);
        let terms = Arc::new(Terms::new(Arc::clone(&shown), verifier, Sessions::AlwaysNew)?);
        let settling = Settling::new(Ok(contents));
        let terms_kept = Arc::clone(&terms);
        Ok((terms, Some(Self { files, shown, required, settling, terms: terms_kept, lapse })))
    }

    /// Looks again for ever.
    pub(crate) async fn run(mut self) {
        loop {
            sleep(EVERY).await;
            self.lapse.look();
            let now = self.look().await;
            if self.settling.has_settled(&now)
                && let Err(why) = self.take_over(now)
            {
                self.files.iter().for_each(|file| file.gauges.refused());
                tracing::error!(%why, "authorities of clients unchanged: the new ones cannot be taken over");
            }
        }
    }

    async fn look(&mut self) -> Look {
        let mut contents = Vec::new();
        for file in &mut self.files {
            let content = file.watched.read().await;
            contents.push(content.map_err(|error| told(file.watched.path(), &error))?);
        }
        Ok(contents)
    }

    fn take_over(&mut self, look: Look) -> Result<(), String> {
        let contents = look?;
        let taken = || -> Result<_, NoCertificate> {
            let believed = believe(&self.files, &contents, self.required)?;
            let lapse = believed.tell(&self.files);
            let verifier = Some(believed.verifier);
            Ok((config(Arc::clone(&self.shown), verifier, Sessions::AlwaysNew)?, lapse))
        };
        let (terms, lapse) = taken().map_err(|why| why.to_string())?;
        self.terms.0.store(terms);
        self.lapse = Lapse { at: lapse, told: false };
        tracing::info!("authorities of clients taken over");
        Ok(())
    }
}

impl Lapse {
    /// Says it once: from then on whoever shows a certificate is refused.
    fn look(&mut self) {
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        if !self.told && self.at.is_some_and(|at| at <= now) {
            self.told = true;
            tracing::error!(
                "a list of revoked client certificates is past its next update: \
                 no certificate that it is about is believed until a newer one is there"
            );
        }
    }
}

/// What was made of the files.
struct Believed {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Of each file, when the first thing in it expires; since 1970.
    expiries: Vec<i64>,
}

impl Believed {
    /// Notes it, and returns when the first list is too old.
    fn tell(&self, files: &[File]) -> Option<i64> {
        let dated = || files.iter().zip(&self.expiries);
        for (file, expiry) in dated() {
            match file.kind {
                Kind::Authorities => file.gauges.taken(*expiry),
                Kind::Revoked => file.gauges.taken_list(*expiry),
            }
        }
        let lists = dated().filter(|(file, _)| file.kind == Kind::Revoked);
        lists.map(|(_, expiry)| *expiry).min()
    }
}

fn believe(
    files: &[File],
    contents: &[Vec<u8>],
    required: bool,
) -> Result<Believed, NoCertificate> {
    let (mut roots, mut lists, mut expiries) = (RootCertStore::empty(), Vec::new(), Vec::new());
    for (file, content) in files.iter().zip(contents) {
        let path = file.watched.path();
        expiries.push(match file.kind {
            Kind::Authorities => {
                for der in authorities(path, content)? {
                    let added = roots.add(der);
                    added.map_err(|error| NoCertificate::Authority(path.to_owned(), error))?;
                }
                first_expiry(content).unwrap_or(0)
            }
            Kind::Revoked => {
                let read = parse(path, content)?;
                let first = read.iter().map(|(_, next)| *next).min().unwrap_or(0);
                lists.extend(read.into_iter().map(|(der, _)| der));
                first
            }
        });
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = Arc::clone(&provider);
    // Of whom nothing is known (no list is of its signer's) it is not assumed that it is good.
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), algorithms)
        .with_crls(lists)
        .enforce_revocation_expiration();
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(NoCertificate::Lists)?;
    Ok(Believed { verifier: Arc::new(Asked::for_believed(&provider, verifier)), expiries })
}

/// When each list in the file must have been followed by a newer one, since 1970.
pub(crate) fn listed(path: &Path) -> Result<Vec<i64>, NoCertificate> {
    Ok(parse(path, &read(path)?)?.into_iter().map(|(_, next)| next).collect())
}

type List = (CertificateRevocationListDer<'static>, i64);

/// In PEM, or one list as authorities publish it (RFC 5280 section 4.2.1.13: in DER).
fn parse(path: &Path, content: &[u8]) -> Result<Vec<List>, NoCertificate> {
    let lists: Vec<_> = if content.first() == Some(&DER_SEQUENCE) {
        vec![CertificateRevocationListDer::from(content.to_vec())]
    } else {
        let lists: Result<_, _> = CertificateRevocationListDer::pem_slice_iter(content).collect();
        lists.map_err(|error| NoCertificate::Pem(path.to_owned(), error))?
    };
    if lists.is_empty() {
        return Err(NoCertificate::NoList(path.to_owned()));
    }
    let dated = |der: CertificateRevocationListDer<'static>| {
        let next = CertificateRevocationList::from_der(&der).ok()?.1.next_update()?.timestamp();
        Some((der, next))
    };
    let lists: Option<Vec<List>> = lists.into_iter().map(dated).collect();
    lists.ok_or_else(|| NoCertificate::NoList(path.to_owned()))
}

const DER_SEQUENCE: u8 = 0x30;
const EVERY: Duration = Duration::from_secs(1);
/// A list names each certificate that is revoked: of a large authority, a hundred thousand.
const MOST_BYTES: u64 = 8 << 20;
