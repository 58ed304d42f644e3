//! The certificate that the proxy under test shows, and clients that believe it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::Wire;

/// A certificate for `mcp.example` and its key, in files.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    der: CertificateDer<'static>,
    _directory: TempDir,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) =
            (directory.path().join("tls.crt"), directory.path().join("tls.key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key, der: made.cert.der().clone(), _directory: directory }
    }

    /// The settings that make the proxy show it.
    pub(crate) fn settings(&self) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("tls: {{certificate: '{certificate}', key: '{key}'}}")
    }

    /// A client that believes it and offers these protocols.
    pub(crate) fn client(
        &self,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// HTTP/1.1 over TLS.
    pub(crate) fn connect(&self, address: SocketAddr) -> Wire {
        self.connect_as(address, self.client(&["http/1.1"], ALL_VERSIONS))
    }

    pub(crate) fn connect_as(&self, address: SocketAddr, client: Arc<ClientConfig>) -> Wire {
        let tls = ClientConnection::new(client, Self::name()).unwrap();
        Wire::through(address, |socket| Box::new(StreamOwned::new(tls, socket)))
    }

    pub(crate) fn name() -> ServerName<'static> {
        NAME.try_into().unwrap()
    }
}

const NAME: &str = "mcp.example";
