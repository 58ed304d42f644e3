//! The certificate that the proxy under test shows, and clients that believe it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::{Certificate, Wire};

/// A certificate for `mcp.example`, its key, and who signed it, in files.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    _directory: TempDir,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { certificate: Certificate::write(directory.path()), _directory: directory }
    }

    /// The settings that make the proxy show it.
    pub(crate) fn settings(&self) -> String {
        self.certificate.setting()
    }

    /// A client that believes it and offers these protocols.
    pub(crate) fn client(
        &self,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate.authority).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// HTTP/1.1 over TLS.
    pub(crate) fn connect(&self, address: SocketAddr) -> Wire {
        Self::connect_as(address, self.client(&["http/1.1"], ALL_VERSIONS))
    }

    pub(crate) fn connect_as(address: SocketAddr, client: Arc<ClientConfig>) -> Wire {
        let tls = ClientConnection::new(client, Self::name()).unwrap();
        Wire::through(address, |socket| Box::new(StreamOwned::new(tls, socket)))
    }

    pub(crate) fn name() -> ServerName<'static> {
        NAME.try_into().unwrap()
    }
}

const NAME: &str = "mcp.example";
