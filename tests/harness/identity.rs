//! The certificate that the proxy under test shows, and clients that believe it.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned,
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

    /// For other names than `mcp.example`.
    pub(crate) fn for_names(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { certificate: Certificate::write_for(directory.path(), names), _directory: directory }
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
        Self::configured(self.builder(versions).with_no_client_auth(), protocols)
    }

    /// The same, and it shows this certificate of its own if it is asked.
    pub(crate) fn client_with(
        &self,
        own: &ClientCertificate,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let key = default_provider().key_provider.load_private_key(own.key.clone_key()).unwrap();
        let own = CertifiedKey::new(own.chain.clone(), key);
        let resolver = Arc::new(SingleCertAndKey::from(own));
        Self::configured(self.builder(versions).with_client_cert_resolver(resolver), protocols)
    }

    fn builder(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_file_iter(&self.certificate.authority).unwrap() {
            roots.add(authority.unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots)
    }

    fn configured(mut config: ClientConfig, protocols: &[&str]) -> Arc<ClientConfig> {
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// HTTP/1.1 over TLS.
    pub(crate) fn connect(&self, address: SocketAddr) -> Wire {
        Self::connect_as(address, self.client(&["http/1.1"], ALL_VERSIONS))
    }

    pub(crate) fn connect_as(address: SocketAddr, client: Arc<ClientConfig>) -> Wire {
        Self::connect_to(address, Self::name(), client)
    }

    /// Begins TLS with this name; an address is none (RFC 6066 section 3).
    pub(crate) fn connect_to(
        address: SocketAddr,
        name: ServerName<'static>,
        client: Arc<ClientConfig>,
    ) -> Wire {
        let tls = ClientConnection::new(client, name).unwrap();
        Wire::through(address, |socket| Box::new(StreamOwned::new(tls, socket)))
    }

    pub(crate) fn name() -> ServerName<'static> {
        NAME.try_into().unwrap()
    }
}

/// What a client shows of itself: signed by nobody but itself.
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    pub(crate) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["client.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self { chain: vec![certificate.der().clone()], key }
    }

    /// What somebody else has signed.
    pub(crate) fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key }
    }

    /// This certificate, and a key that is not its own.
    pub(crate) fn stolen(&self) -> Self {
        Self { chain: self.chain.clone(), key: Self::new().key }
    }

    /// Its key, and other bytes for the certificate.
    pub(crate) fn altered(&self, der: Vec<u8>) -> Self {
        Self { chain: vec![der.into()], key: self.key.clone_key() }
    }

    /// As tokens name it (RFC 8705 section 3.1).
    pub(crate) fn thumbprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.chain[0]);
        URL_SAFE_NO_PAD.encode(digest)
    }
}

const NAME: &str = "mcp.example";
