use std::io;
use std::path::Path;
use std::sync::Arc;

use mcp_backend::{CancellationToken, ListenAddress, Listener, serve};
use tokio::task::JoinHandle;

use super::{Connection, Post, Reply, soon};

/// The HTTP side of the library, served by the test's own runtime.
pub(crate) struct Server {
    address: ListenAddress,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn on_tcp() -> Self {
        Self::on(&"127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn on_unix(path: &Path) -> Self {
        Self::on(&ListenAddress::Unix(path.to_owned())).await
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.address).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, post: Post) -> Reply {
        self.connect().await.send(post).await
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.serving).await.unwrap().unwrap();
    }

    async fn on(address: &ListenAddress) -> Self {
        let listener = Listener::bind(address).await.unwrap();
        let address = listener.address().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Arc::default(), stop.clone()));
        Self { address, stop, serving }
    }
}
