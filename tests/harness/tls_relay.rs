//! TLS in front of the backend, which speaks plain HTTP.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::Certificate;

/// One that passes on whatever comes over a connection whose handshake went well.
pub(crate) struct TlsRelay {
    pub(crate) address: SocketAddr,
    /// The name that each connection asked for.
    pub(crate) names: Receiver<Option<String>>,
}

impl TlsRelay {
    /// Shows `certificate`; wants to see one that `clients` has signed, if it is told of any.
    pub(crate) fn start(certificate: &Certificate, clients: Option<&Path>, to: SocketAddr) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config(certificate, clients)));
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, names) = channel();
        thread::spawn(move || {
            runtime.block_on(async move {
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let (acceptor, tell) = (acceptor.clone(), tell.clone());
                    tokio::spawn(async move {
                        // A client that does not believe us hangs up.
                        let Ok(mut stream) = acceptor.accept(socket).await else { return };
                        let name = stream.get_ref().1.server_name().map(str::to_owned);
                        // The test may be over.
                        drop(tell.send(name));
                        let mut backend = TcpStream::connect(to).await.unwrap();
                        drop(copy_bidirectional(&mut stream, &mut backend).await);
                    });
                }
            });
        });
        Self { address, names }
    }
}

fn config(certificate: &Certificate, clients: Option<&Path>) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(&certificate.chain).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let provider = Arc::new(default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let pem = fs::read(authority).unwrap();
            roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    config.with_single_cert(chain, key).unwrap()
}
