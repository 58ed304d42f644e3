//! Small writes leave together, and what they are gathered in is given back: most connections are
//! silent most of the time, and streams of events for hours.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose writes wait to be flushed, as far as they are small.
pub(super) struct Gathered<S> {
    stream: S,
    waiting: Vec<u8>,
    /// How much of it has left.
    sent: usize,
}

impl<S> Gathered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, waiting: Vec::new(), sent: 0 }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    pub(super) fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Until everything that waits has left.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.waiting.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        self.waiting = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Whether so much may wait; what waits already leaves if there is no room beside it.
    fn poll_room(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<bool>> {
        if self.waiting.len().saturating_add(bytes) > MOST {
            ready!(self.poll_empty(cx))?;
        }
        if self.waiting.is_empty() && bytes < MOST {
            self.waiting.reserve_exact(MOST);
        }
        Poll::Ready(Ok(bytes < MOST))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if ready!(this.poll_room(cx, bytes.len()))? {
            this.waiting.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        if ready!(this.poll_room(cx, bytes))? {
            for piece in pieces {
                this.waiting.extend_from_slice(piece);
            }
            return Poll::Ready(Ok(bytes));
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        // Small pieces are put together here, whatever the stream makes of large ones.
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_empty(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_empty(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

/// Head and body of a small answer leave together.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn small_writes_leave_together_and_leave_nothing_behind() {
        let (ours, mut theirs) = duplex(64 << 10);
        let mut gathered = Gathered::new(ours);
        gathered.write_all(b"head, ").await.unwrap();
        gathered.write_all(b"body").await.unwrap();
        assert_eq!(gathered.waiting, b"head, body");
        gathered.flush().await.unwrap();
        assert_eq!(gathered.waiting.capacity(), 0);
        let mut heard = [0; 64];
        assert_eq!(theirs.read(&mut heard).await.unwrap(), 10);
        assert_eq!(&heard[..10], b"head, body");
    }

    /// Whatever the sizes, and however little the other side takes at once.
    #[tokio::test]
    async fn nothing_is_lost_or_turned_round() {
        for takes in [1, 100, 5000] {
            let (ours, mut theirs) = duplex(takes);
            let mut gathered = Gathered::new(ours);
            let sizes = [1, MOST - 1, 1, MOST, MOST + 1, 0, 3 * MOST, 7, MOST - 2, 9];
            let said: Vec<u8> = (0..=250).cycle().take(sizes.iter().sum()).collect();
            let mut rest = said.clone();
            let speak = async move {
                for size in sizes {
                    let piece: Vec<u8> = rest.drain(..size).collect();
                    gathered.write_all(&piece).await.unwrap();
                }
                gathered.shutdown().await.unwrap();
            };
            let mut heard = Vec::new();
            let ((), read) = tokio::join!(speak, theirs.read_to_end(&mut heard));
            assert_eq!((read.unwrap(), heard == said), (said.len(), true), "{takes}");
        }
    }

    #[tokio::test]
    async fn pieces_that_are_written_at_once_stay_in_order() {
        let (ours, mut theirs) = duplex(64 << 10);
        let mut gathered = Gathered::new(ours);
        let large = vec![7; MOST];
        gathered.write_all(b"a").await.unwrap();
        let pieces = [IoSlice::new(b"b"), IoSlice::new(b""), IoSlice::new(b"c")];
        assert_eq!(gathered.write_vectored(&pieces).await.unwrap(), 2);
        let written = gathered.write_vectored(&[IoSlice::new(b"d"), IoSlice::new(&large)]).await;
        gathered.shutdown().await.unwrap();
        drop(gathered);
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), 3 + written.unwrap());
        assert!(heard.starts_with(b"abcd"));
    }
}
