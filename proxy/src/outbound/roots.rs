//! Authorities that the operator trusts besides the system's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, pem};

/// Every certificate in a PEM file; each is one that a chain can end at.
pub(super) fn read(path: &Path) -> Result<Vec<Certificate>, NoRoots> {
    let unusable = |why| NoRoots { path: path.to_owned(), why };
    let text = fs::read(path).map_err(|error| unusable(Why::Unreadable(error)))?;
    certificates(&text).map_err(unusable)
}

fn certificates(text: &[u8]) -> Result<Vec<Certificate>, Why> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let all = all.map_err(Why::Pem)?;
    if all.is_empty() {
        return Err(Why::Empty);
    }
    let one = |certificate: CertificateDer<'_>| {
        let made = Certificate::from_der(&certificate);
        // The client would find out too, and not say whose fault it is.
        RootCertStore::empty().add(certificate.into_owned()).map_err(Why::NotARoot)?;
        made.map_err(Why::NotACertificate)
    };
    all.into_iter().map(one).collect()
}

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("outbound.ca_file: {path}: {why}", path = path.display())]
pub(crate) struct NoRoots {
    path: PathBuf,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("it is not PEM: {0}")]
    Pem(#[source] pem::Error),
    #[error("it holds no certificate")]
    Empty,
    #[error("one of its certificates cannot be an authority: {0}")]
    NotARoot(#[source] rustls::Error),
    #[error("one of its certificates cannot be used: {0}")]
    NotACertificate(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_usable_certificate_is_refused() {
        let wrong = |text: &str| certificates(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(wrong(""), "it holds no certificate");
        assert_eq!(wrong("{}"), "it holds no certificate");
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(wrong(torn).starts_with("it is not PEM"), "{}", wrong(torn));
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(wrong(empty).starts_with("one of its certificates"), "{}", wrong(empty));
    }
}
