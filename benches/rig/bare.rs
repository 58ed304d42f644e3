//! What Postern is compared with: pingora itself, passing everything on, with its own defaults.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// Serves until it is killed.
pub(crate) fn run(listen: &str, upstream: &str) -> Result<(), Box<dyn Error>> {
    // Nothing here speaks TLS, and the system's trust store may hold a certificate that pingora
    // panics at.
    let conf = ServerConf { ca_file: Some("/dev/null".into()), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let pass_through = match upstream.strip_prefix("unix:") {
        Some(path) => PassThrough::Unix(path.to_owned()),
        None => PassThrough::Tcp(upstream.parse()?),
    };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), pass_through);
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever()
}

enum PassThrough {
    Tcp(SocketAddr),
    Unix(String),
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(match self {
            Self::Tcp(address) => HttpPeer::new(*address, false, String::new()),
            Self::Unix(path) => HttpPeer::new_uds(path, false, String::new())?,
        }))
    }
}
