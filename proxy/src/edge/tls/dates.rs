//! From when until when certificates are good, and for which names.

use std::path::Path;

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::certificate::{NoCertificate, chain, read};

/// One certificate, as far as it can be read. Times are seconds since 1970.
#[derive(Debug)]
pub(crate) struct Dated {
    pub(crate) subject: String,
    pub(crate) names: Vec<String>,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

/// All of a PEM file, in its order.
pub(crate) fn dated(path: &Path) -> Result<Vec<Dated>, NoCertificate> {
    Ok(chain(path, &read(path)?)?.iter().filter_map(|der| Dated::read(der)).collect())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a server goes by no other kind of name")]
fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

impl Dated {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        Some(Self {
            subject: certificate.subject().to_string(),
            names: names.filter_map(host).collect(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// Whether it is for this host (RFC 6125 section 6.4.3: a star stands for one label).
    pub(crate) fn is_for(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(wild) => parent.is_some_and(|parent| parent.eq_ignore_ascii_case(wild)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}
