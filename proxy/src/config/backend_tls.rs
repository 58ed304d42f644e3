//! How a backend is spoken to over TLS. It is verified always.

use std::path::PathBuf;

use super::CertificateFiles;

/// The section `upstream.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTls {
    /// The name that it is asked for (SNI) and must have a certificate for. None: that of its address.
    pub server_name: Option<String>,
    /// Who signs its certificate, a PEM file.
    pub authorities: PathBuf,
    /// What it is shown, if it wants to know who comes.
    pub shown: Option<CertificateFiles>,
}
