//! A throw-away authority and the certificate that it signs for loopback.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Where the PEM files lie.
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    pub(crate) fn write(directory: &Path) -> Self {
        Self::write_for(directory, &["localhost", "127.0.0.1", "mcp.example"])
    }

    /// For these names and addresses.
    pub(crate) fn write_for(directory: &Path, names: &[&str]) -> Self {
        let mut authority = CertificateParams::default();
        // Clients take a certificate whose names are its signer's for a self-signed one.
        authority.distinguished_name.push(DnType::CommonName, "an authority for tests");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();

        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).unwrap();
        // Python 3.13 and later refuse a leaf that does not name its signer.
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();

        let write = |name: &str, pem: String| {
            let path = directory.join(name);
            fs::write(&path, pem).unwrap();
            path
        };
        Self {
            authority: write("ca.pem", authority_pem),
            chain: write("cert.pem", leaf.pem()),
            key: write("key.pem", key.serialize_pem()),
        }
    }

    /// The `tls` setting that uses it.
    pub(crate) fn setting(&self) -> String {
        format!("tls: {{certificate: '{}', key: '{}'}}", self.chain.display(), self.key.display())
    }
}
