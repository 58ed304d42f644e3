//! A client that sends HTTP/2 frames that no library would.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ALL_VERSIONS, ClientConnection, StreamOwned};

use super::Identity;

/// One HTTP/2 connection, frame by frame.
pub(crate) struct Frames {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

impl Frames {
    /// Shakes hands, and says so little as it must.
    pub(crate) fn connect(address: SocketAddr, identity: &Identity) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let client = identity.client(&["h2"], ALL_VERSIONS);
        let tls = ClientConnection::new(client, Identity::name()).unwrap();
        let mut frames = Self { stream: StreamOwned::new(tls, socket) };
        frames.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        assert!(frames.send(&frame(SETTINGS, 0, 0, &[])));
        frames
    }

    /// Whether the proxy still takes it: it may have hung up, or stopped listening for long.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Takes what has come, so that nothing waits for it to be taken.
    pub(crate) fn listen(&mut self) {
        self.stream.sock.set_nonblocking(true).unwrap();
        let mut heard = [0; 16 << 10];
        while self.stream.read(&mut heard).is_ok_and(|bytes| bytes > 0) {}
        self.stream.sock.set_nonblocking(false).unwrap();
    }

    /// The next frame that comes: its kind, flags, stream and payload.
    pub(crate) fn next(&mut self) -> (u8, u8, u32, Vec<u8>) {
        self.stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).unwrap();
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]).try_into().unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        (kind, flags, u32::from_be_bytes(stream), payload)
    }

    /// Whether the proxy hangs up, however it says so.
    pub(crate) fn is_closed_within(&mut self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        self.stream.sock.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut heard = [0; 16 << 10];
        while Instant::now() < deadline {
            match self.stream.read(&mut heard) {
                Ok(0) => return true,
                Ok(_) => (),
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(_) => return true,
            }
        }
        false
    }
}

/// RFC 9113 section 4.1.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// A head in the plainest form that RFC 7541 has.
pub(crate) fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "https"), (":path", path)];
    let own = own.into_iter().chain([(":authority", "mcp.example")]);
    own.chain(fields.iter().copied()).flat_map(|(name, value)| field(name, value)).collect()
}

/// One field, not to be remembered.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A length in seven bits and more, then the bytes as they are.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len().checked_sub(127) {
        None => bytes.push(u8::try_from(text.len()).unwrap()),
        Some(mut rest) => {
            bytes.push(127);
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
    }
    bytes.extend(text.as_bytes());
    bytes
}

/// For one write: longer than anything here that is listened to takes.
const PATIENCE: Duration = Duration::from_secs(5);
