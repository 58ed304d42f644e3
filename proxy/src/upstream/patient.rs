//! A connection on which no answer is heard before the request has been said.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// pingora looks for an answer and for the rest of the request in no order. If it meets a 101 before it has
/// seen that the request had no body, it takes that for the end of what comes after the switch, and
/// hangs up. So here the answer waits for that end, which pingora flushes once more. What TLS says before
/// there is a request waits for nothing.
#[derive(Debug)]
pub(super) struct Patient<S> {
    socket: S,
    is_set_up: Arc<AtomicBool>,
    flushes: u8,
    reader: Option<Waker>,
}

impl<S> Patient<S> {
    pub(super) fn new(socket: S, is_set_up: Arc<AtomicBool>) -> Self {
        Self { socket, is_set_up, flushes: 0, reader: None }
    }

    fn is_set_up(&self) -> bool {
        self.is_set_up.load(Ordering::Relaxed)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_set_up() && this.flushes < OF_A_REQUEST {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut this.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_flush(cx))?;
        if !this.is_set_up() {
            return Poll::Ready(Ok(()));
        }
        this.flushes = this.flushes.saturating_add(1);
        if this.flushes >= OF_A_REQUEST {
            this.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl<S> VirtualSocket for Patient<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug,
{
    /// They were set before.
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

/// One after its head, one at its end.
const OF_A_REQUEST: u8 = 2;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn an_answer_that_comes_early_is_heard_when_the_request_has_ended() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let is_set_up = Arc::new(AtomicBool::new(false));
        let (mut reader, mut writer) = tokio::io::split(Patient::new(ours, Arc::clone(&is_set_up)));
        theirs.write_all(b"tls").await.unwrap();
        reader.read_exact(&mut [0; 3]).await.unwrap();
        for _ in 0..2 {
            writer.flush().await.unwrap();
        }
        is_set_up.store(true, Ordering::Relaxed);
        theirs.write_all(b"101").await.unwrap();
        let heard = tokio::spawn(async move {
            let mut heard = [0; 3];
            reader.read_exact(&mut heard).await.unwrap();
            heard
        });
        writer.write_all(b"head").await.unwrap();
        writer.flush().await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!heard.is_finished());
        writer.flush().await.unwrap();
        assert_eq!(heard.await.unwrap(), *b"101");
    }
}
