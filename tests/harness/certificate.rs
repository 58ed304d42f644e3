//! A throw-away authority and the certificate that it signs for loopback.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::now;

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
        Self::write_until(directory, names, 363)
    }

    /// The same, good for so many days from now; of less than none, it has expired.
    pub(crate) fn write_until(directory: &Path, names: &[&str], days: i64) -> Self {
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
        let end = DateTime::from_timestamp(now() + days * 86400, 0).unwrap();
        let [month, day] = [end.month(), end.day()].map(|part| part.try_into().unwrap());
        leaf.not_after = date_time_ymd(end.year(), month, day);
        // Nobody believes one that is good for longer than a year.
        let begin = DateTime::from_timestamp(now() + (days.min(0) - 2) * 86400, 0).unwrap();
        let [month, day] = [begin.month(), begin.day()].map(|part| part.try_into().unwrap());
        leaf.not_before = date_time_ymd(begin.year(), month, day);
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
