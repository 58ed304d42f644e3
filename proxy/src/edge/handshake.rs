//! Why a connection came to nothing before its first request: names for metrics, words for the log.

use std::io;

use rustls::{CertificateError, Error};

/// Each kind of failure. Whatever clients do, there are no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("it took longer than limits.handshake_timeout")]
    TooSlow,
    #[error("no PROXY header came first: {0}")]
    NotIntroduced(#[source] io::Error),
    #[error("{0}")]
    Tls(#[source] io::Error),
}

impl Failed {
    /// Its name in metrics and log.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::TooSlow => "too_slow",
            Self::NotIntroduced(_) => "not_introduced",
            Self::Tls(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(error) => of_tls(error),
                None => GONE,
            },
        }
    }

    /// Whether it is about who came, rather than what strangers send all day.
    pub(super) fn is_of_note(&self) -> bool {
        self.reason().starts_with("client_")
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library has many more ways to say no")]
fn of_tls(error: &Error) -> &'static str {
    match error {
        Error::NoCertificatesPresented => "client_certificate_missing",
        Error::InvalidCertificate(why) => of_certificate(why),
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => "incompatible",
        Error::AlertReceived(_) => "refused_by_client",
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => "not_tls",
        _ => "broken",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest are certificates that cannot be used")]
fn of_certificate(error: &CertificateError) -> &'static str {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "client_certificate_expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "client_certificate_not_valid_yet",
        E::Revoked => "client_certificate_revoked",
        E::UnknownIssuer => "client_certificate_unknown_authority",
        E::UnknownRevocationStatus => "client_certificate_status_unknown",
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => "client_crl_expired",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "client_certificate_other_purpose",
        // Of its signer, or of the client: it does not hold the key.
        E::BadSignature => "client_certificate_bad_signature",
        _ => "client_certificate_unusable",
    }
}

const GONE: &str = "gone";
