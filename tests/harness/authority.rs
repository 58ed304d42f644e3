//! An authority that signs the certificates of clients, and takes some of them back.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Datelike as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;

use super::{ClientCertificate, now};

/// Its certificate, in PEM, and its key.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    serials: AtomicU64,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key), serials: AtomicU64::new(1) }
    }

    /// For a client, good for a year.
    pub(crate) fn certify(&self) -> Certified {
        self.certify_with(|_| ())
    }

    /// For a client, and odd in some way.
    pub(crate) fn certify_with(&self, spoil: impl FnOnce(&mut CertificateParams)) -> Certified {
        let mut params = CertificateParams::new(["client.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        params.serial_number = Some(serial.into());
        let ([from, to], day) = ([-2, 365].map(date), |(y, m, d)| date_time_ymd(y, m, d));
        (params.not_before, params.not_after) = (day(from), day(to));
        spoil(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let shown = ClientCertificate::of(vec![leaf.der().clone()], private);
        Certified { shown, serial: serial.into() }
    }

    /// The list of what it has taken back, which is to be followed in so many days.
    pub(crate) fn list(&self, revoked: &[&Certified], days: i64) -> String {
        let day = |from_now| {
            let (year, month, day) = date(from_now);
            date_time_ymd(year, month, day)
        };
        let entry = |one: &&Certified| RevokedCertParams {
            serial_number: one.serial.clone(),
            revocation_time: day(-1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: day(days.min(0) - 1),
            next_update: day(days),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// What it has signed.
pub(crate) struct Certified {
    pub(crate) shown: ClientCertificate,
    serial: SerialNumber,
}

/// Year, month and day, so many days from now.
fn date(from_now: i64) -> (i32, u8, u8) {
    let day = DateTime::from_timestamp(now() + from_now * 86400, 0).unwrap();
    (day.year(), day.month().try_into().unwrap(), day.day().try_into().unwrap())
}

/// Puts a file in the place of another, all at once.
pub(crate) fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, path).unwrap();
}
