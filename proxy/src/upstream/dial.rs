//! How connections are made, and by what they can be ended.

use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{Digest, GetProxyDigest as _};
use pingora_core::{Error, ErrorType, OrErr as _, Result};
use pingora_http::ResponseHeader;
use tokio::time::timeout;

use crate::record::UpstreamCounts;

/// Our side of one connection, held beside pingora's: pingora offers no way to end a request whose
/// upstream is silent, but it does notice when that connection ends.
#[derive(Debug)]
pub(crate) enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Line {
    /// The connection that a request goes out on.
    pub(crate) fn of(digest: Option<&Digest>) -> Option<Arc<Self>> {
        let data = digest?.proxy_digest.as_ref()?.user_data.as_ref()?;
        data.downcast_ref::<Arc<Self>>().cloned()
    }

    /// Ends it, for both sides.
    pub(crate) fn cut(&self) {
        let cut = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
            Self::Unix(socket) => socket.shutdown(Shutdown::Both),
        };
        // The only failure there is: it has ended already.
        drop(cut);
    }
}

/// Connects as pingora would, and keeps hold of the [`Line`].
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) patience: Duration,
    pub(super) counts: UpstreamCounts,
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let patience = self.patience;
        let Ok(connected) = timeout(patience, dial(address)).await else {
            return Error::e_explain(ErrorType::ConnectTimedout, format!("within {patience:?}"));
        };
        let (mut stream, line) = connected?;
        self.counts.connected();
        // pingora carries something of ours only beside the head of a CONNECT answer.
        let unused = ResponseHeader::from(http::Response::new(()).into_parts().0);
        stream.set_proxy_digest(ProxyDigest::new(Box::new(unused), Some(Box::new(Arc::new(line)))));
        Ok(stream)
    }
}

async fn dial(address: &SocketAddr) -> Result<(Stream, Line)> {
    let refused = || format!("{address}");
    match address {
        SocketAddr::Inet(address) => {
            let socket = tokio::net::TcpStream::connect(address).await;
            let socket = socket.or_err_with(ErrorType::ConnectError, refused)?;
            let line = Line::Tcp(again(socket.as_fd())?);
            Ok((socket.into(), line))
        }
        SocketAddr::Unix(address) => {
            let path = address.as_pathname().unwrap_or(std::path::Path::new(""));
            let socket = tokio::net::UnixStream::connect(path).await;
            let socket = socket.or_err_with(ErrorType::ConnectError, refused)?;
            let line = Line::Unix(again(socket.as_fd())?);
            Ok((socket.into(), line))
        }
    }
}

/// The same connection under a number of its own, which nothing else can come to have.
fn again<S: From<std::os::fd::OwnedFd>>(socket: BorrowedFd<'_>) -> Result<S> {
    let owned = socket.try_clone_to_owned();
    owned.map(S::from).or_err(ErrorType::SocketError, "no second handle on a connection")
}
