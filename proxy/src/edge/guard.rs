//! The stream that pingora reads: a deadline for each whole request head, and buffered writes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::{SslDigest, TlsRef};
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use pingora_http::ResponseHeader;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::connection::{Connection, Phase};
use super::gather::Gathered;
use super::pulse::COMMENT;
use super::refusal::in_our_words;
use crate::record::Traffic;

/// A plain or a TLS stream of pingora's.
pub(super) trait Transport:
    AsyncRead
    + AsyncWrite
    + Unpin
    + Send
    + Sync
    + Shutdown
    + UniqueID
    + Ssl
    + GetTimingDigest
    + GetSocketDigest
    + 'static
{
}

impl<S> Transport for S where
    S: AsyncRead
        + AsyncWrite
        + Unpin
        + Send
        + Sync
        + Shutdown
        + UniqueID
        + Ssl
        + GetTimingDigest
        + GetSocketDigest
        + 'static
{
}

/// pingora bounds each read, so that a byte now and then keeps a head open for ever, and does not
/// bound a second head at all. It also writes a small answer in two pieces unless they are buffered
/// outside TLS.
pub(super) struct Guarded<S> {
    inner: Gathered<S>,
    connection: Arc<Connection>,
    digest: Arc<ProxyDigest>,
    alarm: Option<Pin<Box<Sleep>>>,
    write_alarm: Option<Pin<Box<Sleep>>>,
    pulse: Option<Pin<Box<Sleep>>>,
    traffic: Traffic,
    refused: bool,
}

impl<S: Transport> Guarded<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>, traffic: Traffic) -> Self {
        // The digest is pingora's only way to carry something of ours to the requests; it insists
        // on the head of a CONNECT answer.
        let unused = ResponseHeader::from(http::Response::new(()).into_parts().0);
        let user_data: Box<dyn std::any::Any + Send + Sync> = Box::new(Arc::clone(&connection));
        let digest = ProxyDigest::new(Box::new(unused), Some(user_data));
        Self {
            inner: Gathered::new(stream),
            connection,
            digest: Arc::new(digest),
            alarm: None,
            write_alarm: None,
            pulse: None,
            traffic,
            refused: false,
        }
    }

    /// Says something on a stream of events that has been silent for long. pingora has no place for
    /// that, but it always reads while a stream is silent, to see whether the client has gone.
    fn break_silence(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.connection.pulse().due() {
            let alarm = self.pulse.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if alarm.deadline() != due {
                alarm.as_mut().reset(due);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return;
            }
            // Nothing is waiting to be written, so that the buffer has room and takes all of it.
            self.connection.pulse().says(true);
            self.connection.pulse().writes();
            drop(Pin::new(&mut self.inner).poll_write(cx, COMMENT));
            // What does not leave now leaves with what comes next; a broken connection shows there.
            if let Poll::Ready(Ok(())) = Pin::new(&mut self.inner).poll_flush(cx) {
                self.connection.pulse().flushed();
            }
        }
    }

    /// Takes what pingora answers before there is a request, and says it in our words.
    fn refuse(&mut self, cx: &mut Context<'_>, theirs: &[u8]) -> Poll<io::Result<usize>> {
        if !self.refused {
            let name = self.traffic.name();
            let (status, ours) = in_our_words(theirs, &name);
            // Nothing is waiting to be written, so that the buffer has room and takes all of it.
            ready!(Pin::new(&mut self.inner).poll_write(cx, ours.as_bytes()))?;
            self.refused = true;
            self.traffic.unread(status, self.connection.caller().peer, &name);
        }
        Poll::Ready(Ok(theirs.len()))
    }

    /// Whether what the connection waits for is overdue. If not, the reader is woken in time.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(wait) = self.connection.wait() {
            let now = Instant::now();
            if wait.due.is_some_and(|due| due <= now) {
                return true;
            }
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(wait.look_again)));
            if alarm.is_elapsed() || alarm.deadline() > wait.look_again {
                alarm.as_mut().reset(wait.look_again);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
        }
        false
    }
}

impl<S> Guarded<S> {
    /// Passes on what writing came to, unless the client has taken nothing for too long. pingora
    /// bounds the writing of bodies; heads and the ends of answers it does not.
    fn unless_stuck<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_alarm = None;
            return written;
        }
        let longest = self.connection.write_timeout();
        let alarm = self.write_alarm.get_or_insert_with(|| Box::pin(sleep(longest)));
        alarm.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Transport> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let phase = this.connection.phase();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        let late = match (phase, &read) {
            (_, Poll::Pending) => {
                this.break_silence(cx);
                this.is_late(cx)
            }
            (Phase::Busy, Poll::Ready(_)) => false,
            (Phase::Idle, Poll::Ready(_)) => {
                if buffer.filled().len() > before {
                    this.connection.expect(Phase::Head);
                }
                false
            }
            (Phase::Head, Poll::Ready(_)) => Instant::now() >= this.connection.deadline(),
        };
        if late { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { read }
    }
}

impl<S: Transport> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.connection.has_no_request() {
            return this.refuse(cx, bytes);
        }
        this.connection.pulse().writes();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.unless_stuck(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            this.connection.pulse().flushed();
        }
        this.unless_stuck(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.unless_stuck(shut, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.connection.has_no_request() {
            let theirs: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            return this.refuse(cx, &theirs);
        }
        this.connection.pulse().writes();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, pieces);
        this.unless_stuck(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl<S: Transport> Shutdown for Guarded<S> {
    async fn shutdown(&mut self) {
        // The peer may be gone already, or take nothing, and then there is nobody to say goodbye to.
        let goodbye = async {
            drop(self.inner.flush().await);
            self.inner.get_mut().shutdown().await;
        };
        drop(timeout(GOODBYE, goodbye).await);
    }
}

impl<S: Transport> UniqueID for Guarded<S> {
    fn id(&self) -> UniqueIDType {
        self.inner.get_ref().id()
    }
}

impl<S: Transport> Ssl for Guarded<S> {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ref().get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ref().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.get_ref().selected_alpn_proto()
    }
}

#[async_trait]
impl<S: Transport> Peek for Guarded<S> {}

impl<S: Transport> GetTimingDigest for Guarded<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_ref().get_timing_digest()
    }
}

impl<S: Transport> GetProxyDigest for Guarded<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl<S: Transport> GetSocketDigest for Guarded<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_ref().get_socket_digest()
    }
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a client's connection")
    }
}

/// How long the end of a connection may take.
const GOODBYE: Duration = Duration::from_secs(5);
