//! The server behind every proxy: one fixed answer, over TCP and over a unix socket.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;

use super::wire::Message;

/// Serves until it is killed; tells on standard output where TCP clients connect.
pub(crate) fn run(socket: &Path) -> io::Result<()> {
    let length = BODY.len();
    let answer: Arc<str> = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{BODY}"
    )
    .into();
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let unix = UnixListener::bind(socket)?;
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", tcp.local_addr()?);
        loop {
            tokio::select! {
                accepted = tcp.accept() => {
                    let stream = accepted?.0.into_std()?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(serve(stream, Arc::clone(&answer)));
                }
                accepted = unix.accept() => {
                    tokio::spawn(serve(accepted?.0.into_std()?, Arc::clone(&answer)));
                }
            }
        }
    })
}

/// Ends in an error when the proxy closes half-way, which is the proxy's business.
///
/// tokio's own streams ask to hear when they can be written to as well, and then a unix socket wakes
/// this process whenever the proxy reads: at the proxy's cost, and as few servers do.
async fn serve<S>(stream: S, answer: Arc<str>) -> io::Result<()>
where
    S: AsRawFd,
    for<'s> &'s S: Read + Write,
{
    #[expect(
        deprecated,
        reason = "for streams that could be closed behind its back; this one is owned"
    )]
    let stream = AsyncFd::with_interest(stream, Interest::READABLE)?;
    let mut buffer = Vec::with_capacity(PIECE);
    let mut piece = [0; PIECE];
    loop {
        let read = stream.readable().await?.try_io(|stream| stream.get_ref().read(&mut piece));
        match read {
            Err(_not_yet) => continue,
            Ok(read) => match read? {
                0 => return Ok(()),
                bytes => buffer.extend_from_slice(piece.get(..bytes).unwrap_or_default()),
            },
        }
        while let Some(request) = Message::whole(&buffer)? {
            let bytes = request.bytes;
            buffer.drain(..bytes);
            // There is always room: nobody asks again before the last answer was read.
            stream.get_ref().write_all(answer.as_bytes())?;
        }
    }
}

/// Above any request of the load.
const PIECE: usize = 16 << 10;

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"It is sunny, and 21 degrees"}]}}"#;
