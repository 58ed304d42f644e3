//! A client that sends exactly the bytes it is given.

use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// One connection to the proxy.
pub(crate) struct Wire {
    pub(crate) reader: BufReader<Box<dyn Stream>>,
    socket: TcpStream,
}

/// What the bytes go through: the socket itself, or TLS on it.
pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// The one value of a field.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let values = self.headers(name);
        assert_eq!(values.len(), 1, "one {name} in\n{}", self.head);
        values[0]
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let same = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.trim()).collect()
    }
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::through(address, |socket| Box::new(socket))
    }

    /// From an address of this machine's own.
    pub(crate) fn connect_from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into(), |socket| Box::new(socket))
    }

    /// Over something that `wrap` makes of the socket.
    pub(crate) fn through(
        address: SocketAddr,
        wrap: impl FnOnce(TcpStream) -> Box<dyn Stream>,
    ) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), wrap)
    }

    fn over(socket: TcpStream, wrap: impl FnOnce(TcpStream) -> Box<dyn Stream>) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let stream = wrap(socket.try_clone().unwrap());
        Self { reader: BufReader::new(stream), socket }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A proxy that refuses early may have hung up before all of it was sent.
        drop(self.reader.get_mut().write_all(bytes.as_ref()));
    }

    /// A request with a `Host` and these headers.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: mcp.example\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        self.send(format!("{head}\r\n{body}"));
        self.response(method == "HEAD")
    }

    /// `POST /mcp` with a small body and this token.
    pub(crate) fn call(&mut self, token: &str) -> Response {
        self.request("POST", "/mcp", &[("Authorization", &format!("Bearer {token}"))], "{}")
    }

    /// Reads one whole response.
    #[track_caller]
    pub(crate) fn response(&mut self, only_head: bool) -> Response {
        let head = self.head();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer, but {head:?}"));
        let mut response = Response { status, head, body: String::new() };
        let length = response.headers("content-length").first().and_then(|text| text.parse().ok());
        if let Some(length) = length.filter(|_| !only_head) {
            self.reader.by_ref().take(length).read_to_string(&mut response.body).unwrap();
        }
        response
    }

    /// Reads the head of a response and leaves the rest; empty when the connection is closed.
    pub(crate) fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match self.reader.read_line(&mut head) {
                Ok(0) | Err(_) => break,
                Ok(_) => (),
            }
        }
        head
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.reader.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// The next line of a streamed body, chunk sizes and blank lines left out.
    pub(crate) fn event(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 || line.starts_with("data: ") {
                return line.trim_end().to_owned();
            }
        }
    }

    /// The next chunk of a streamed body, byte for byte.
    pub(crate) fn chunk(&mut self) -> String {
        let mut size = String::new();
        self.reader.read_line(&mut size).unwrap();
        let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).unwrap() + 2];
        self.reader.read_exact(&mut chunk).unwrap();
        String::from_utf8(chunk).unwrap().strip_suffix("\r\n").unwrap().to_owned()
    }

    /// Whether a streamed body ends here, as one that is whole does.
    pub(crate) fn stream_ends(&mut self) -> bool {
        self.head().trim_start().starts_with("0\r\n")
    }

    /// Whether the proxy closes the connection, and says nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.is_closed_within(PATIENCE)
    }

    pub(crate) fn is_closed_within(&mut self, wait: Duration) -> bool {
        self.socket.set_read_timeout(Some(wait)).unwrap();
        match self.reader.read(&mut [0]) {
            Ok(read) => read == 0,
            // A reset, or TLS without its farewell, is an end too.
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    /// Listens for that long, and tells whether the connection stayed open and nothing came.
    pub(crate) fn is_silent_for(&mut self, wait: Duration) -> bool {
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let heard = self.reader.read(&mut [0]);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Whatever comes until the connection is closed, however it is.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end too.
        drop(self.reader.read_to_end(&mut rest));
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
