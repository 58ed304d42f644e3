use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_backend::{CancellationToken, ListenAddress, Listener, Offer, Settings, serve};
use tempfile::TempDir;
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
        Self::on(&"127.0.0.1:0".parse().unwrap(), Arc::default()).await
    }

    pub(crate) async fn on_unix(path: &Path) -> Self {
        Self::on(&ListenAddress::Unix(path.to_owned()), Arc::default()).await
    }

    /// On TCP, with a settings file.
    pub(crate) async fn with(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::read(&Self::settings(&directory, settings)).unwrap();
        let offer = Offer::new(settings).unwrap();
        Self::on(&"127.0.0.1:0".parse().unwrap(), Arc::new(offer)).await
    }

    /// A settings file, in which `{secret}` is the path of a file with one.
    pub(crate) fn settings(directory: &TempDir, text: &str) -> PathBuf {
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "s3cret+/=\n").unwrap();
        let path = directory.path().join("backend.yaml");
        std::fs::write(&path, text.replace("{secret}", secret.to_str().unwrap())).unwrap();
        path
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

    async fn on(address: &ListenAddress, offer: Arc<Offer>) -> Self {
        let listener = Listener::bind(address).await.unwrap();
        let address = listener.address().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, offer, stop.clone()));
        Self { address, stop, serving }
    }
}
