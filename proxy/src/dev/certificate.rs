//! A certificate authority that signs one certificate, for this laptop, and is gone.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use thiserror::Error;

/// Where the PEM files lie.
pub(super) struct Certificate {
    /// What clients must be told to trust.
    pub(super) authority: PathBuf,
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, Error)]
pub(crate) enum CannotCertify {
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot write the certificate: {0}")]
    Write(#[from] io::Error),
}

impl Certificate {
    pub(super) fn write(directory: &Path, now: SystemTime) -> Result<Self, CannotCertify> {
        let (authority_params, authority_key) = (authority(now), KeyPair::generate()?);
        let authority = authority_params.self_signed(&authority_key)?;
        // The authority's key is written nowhere: who trusts ca.pem trusts the one leaf below.
        let issuer = Issuer::new(authority_params, authority_key);
        let key = KeyPair::generate()?;
        let leaf = leaf(now)?.signed_by(&key, &issuer)?;
        let files = Self {
            authority: directory.join("ca.pem"),
            chain: directory.join("cert.pem"),
            key: directory.join("key.pem"),
        };
        write(&files.authority, &authority.pem())?;
        write(&files.chain, &(leaf.pem() + &authority.pem()))?;
        write(&files.key, &key.serialize_pem())?;
        Ok(files)
    }
}

fn authority(now: SystemTime) -> CertificateParams {
    let mut params = valid_around(now, CertificateParams::default());
    params.distinguished_name.push(DnType::CommonName, "Postern on a laptop: CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = valid_around(now, CertificateParams::new(NAMES.map(str::to_owned))?);
    params.distinguished_name.push(DnType::CommonName, "Postern on a laptop");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // RFC 5280 §4.2.1.1; Python refuses a leaf without it since 3.13.
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn valid_around(now: SystemTime, mut params: CertificateParams) -> CertificateParams {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = (now - EARLIER).into();
    params.not_after = (now + LATER).into();
    params
}

fn write(path: &Path, pem: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)?.write_all(pem.as_bytes())
}

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// For clients in a virtual machine or container whose clock is behind.
const EARLIER: Duration = Duration::from_hours(1);
const LATER: Duration = Duration::from_hours(24 * 30);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use tempfile::TempDir;

    use super::*;

    const NOW: Duration = Duration::from_hours(500_000);

    fn written() -> (TempDir, Certificate) {
        let directory = TempDir::new().unwrap();
        let files = Certificate::write(directory.path(), SystemTime::UNIX_EPOCH + NOW).unwrap();
        (directory, files)
    }

    fn trusted(name: &str, at: Duration) -> bool {
        let (_directory, files) = written();
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(&files.chain).unwrap().map(Result::unwrap).collect();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&files.authority).unwrap()).unwrap();
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crypto).build().unwrap();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(at);
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now).is_ok()
    }

    #[test]
    fn is_trusted_under_each_name_of_the_laptop() {
        for name in NAMES {
            assert!(trusted(name, NOW), "{name}");
        }
    }

    #[test]
    fn is_trusted_under_no_other_name_and_not_for_ever() {
        assert!(!trusted("postern.example", NOW));
        assert!(!trusted("localhost", NOW + LATER * 2));
    }

    #[test]
    fn the_key_is_for_its_owner_only() {
        let (_directory, files) = written();
        assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
