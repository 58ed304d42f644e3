//! How connections are made, and by what they can be ended.

use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::VirtualSocketStream;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{Digest, GetProxyDigest as _};
use pingora_core::{Error, ErrorType, OrErr as _, Result};
use pingora_http::ResponseHeader;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::patient::Patient;
use crate::record::UpstreamCounts;

/// Our side of one connection, held beside pingora's: pingora offers no way to end a request whose
/// upstream is silent, but it does notice when that connection ends.
#[derive(Debug)]
pub(crate) enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Line {
    /// The connection that a request goes out on, from now on.
    pub(crate) fn of(digest: Option<&Digest>) -> Option<Arc<Self>> {
        let data = digest?.proxy_digest.as_ref()?.user_data.as_ref()?;
        let made = data.downcast_ref::<Made>()?;
        made.is_set_up.store(true, Ordering::Relaxed);
        Some(Arc::clone(&made.line))
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

/// What pingora carries beside a connection.
struct Made {
    line: Arc<Line>,
    /// TLS too, if there is any.
    is_set_up: Arc<AtomicBool>,
}

/// Connects as pingora would, and keeps hold of the [`Line`].
#[derive(Debug)]
pub(super) struct Dial {
    /// What is connected may go on as a WebSocket.
    pub(super) to_switch: bool,
    pub(super) patience: Duration,
    pub(super) counts: UpstreamCounts,
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let patience = self.patience;
        let Ok(connected) = timeout(patience, self.dial(address)).await else {
            return Error::e_explain(ErrorType::ConnectTimedout, format!("within {patience:?}"));
        };
        let (mut stream, made) = connected?;
        self.counts.connected();
        // pingora carries something of ours only beside the head of a CONNECT answer.
        let unused = ResponseHeader::from(http::Response::new(()).into_parts().0);
        stream.set_proxy_digest(ProxyDigest::new(Box::new(unused), Some(Box::new(made))));
        Ok(stream)
    }
}

impl Dial {
    async fn dial(&self, address: &SocketAddr) -> Result<(Stream, Made)> {
        let refused = || format!("{address}");
        match address {
            SocketAddr::Inet(address) => {
                let socket = tokio::net::TcpStream::connect(address).await;
                let socket = socket.or_err_with(ErrorType::ConnectError, refused)?;
                if self.to_switch {
                    // pingora cannot: it does not see that there is a socket.
                    socket.set_nodelay(true).or_err(ErrorType::SocketError, "no delay")?;
                }
                let line = Line::Tcp(again(socket.as_fd())?);
                Ok(self.made(socket, line))
            }
            SocketAddr::Unix(address) => {
                let path = address.as_pathname().unwrap_or(std::path::Path::new(""));
                let socket = tokio::net::UnixStream::connect(path).await;
                let socket = socket.or_err_with(ErrorType::ConnectError, refused)?;
                let line = Line::Unix(again(socket.as_fd())?);
                Ok(self.made(socket, line))
            }
        }
    }

    fn made<S>(&self, socket: S, line: Line) -> (Stream, Made)
    where
        S: AsyncRead + AsyncWrite + Into<Stream> + fmt::Debug + Unpin + Send + Sync + 'static,
    {
        let made = Made { line: Arc::new(line), is_set_up: Arc::default() };
        let stream = if self.to_switch {
            let patient = Patient::new(socket, Arc::clone(&made.is_set_up));
            VirtualSocketStream::new(Box::new(patient)).into()
        } else {
            socket.into()
        };
        (stream, made)
    }
}

/// The same connection under a number of its own, which nothing else can come to have.
fn again<S: From<std::os::fd::OwnedFd>>(socket: BorrowedFd<'_>) -> Result<S> {
    let owned = socket.try_clone_to_owned();
    owned.map(S::from).or_err(ErrorType::SocketError, "no second handle on a connection")
}
