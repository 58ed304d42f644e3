//! A backend that comes and goes, says which one it is, and knows its own sessions only.

#![expect(clippy::disallowed_types, reason = "no request waits here but for its test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use socket2::{Domain, SockAddr, Socket, Type};

/// One server, on threads of its own.
pub(crate) struct Fickle {
    place: Place,
    listener: Option<Arc<Socket>>,
    accepting: Option<thread::JoinHandle<()>>,
    state: Arc<State>,
}

enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

struct State {
    name: &'static str,
    served: AtomicUsize,
    strays: AtomicUsize,
    health: AtomicU16,
    open: Mutex<Vec<Socket>>,
}

impl Fickle {
    /// At a port that stays its own. Connections are kept.
    pub(crate) fn tcp(name: &'static str) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), name)
    }

    /// The same at this very address.
    pub(crate) fn at(address: SocketAddr, name: &'static str) -> Self {
        let mut fickle = Self::new(Place::Tcp(address), name);
        fickle.come();
        let bound = fickle.listener.as_ref().unwrap().local_addr().unwrap();
        fickle.place = Place::Tcp(bound.as_socket().unwrap());
        fickle
    }

    /// At a socket's path. Each connection is for one request.
    pub(crate) fn unix(path: &Path, name: &'static str) -> Self {
        let mut fickle = Self::new(Place::Unix(path.into()), name);
        fickle.come();
        fickle
    }

    fn new(place: Place, name: &'static str) -> Self {
        let state = State {
            name,
            served: AtomicUsize::new(0),
            strays: AtomicUsize::new(0),
            health: AtomicU16::new(200),
            open: Mutex::default(),
        };
        Self { place, listener: None, accepting: None, state: Arc::new(state) }
    }

    /// As the proxy's configuration writes it.
    pub(crate) fn address(&self) -> String {
        match &self.place {
            Place::Tcp(address) => address.to_string(),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Requests that it has answered.
    pub(crate) fn served(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }

    /// Requests for sessions that are not its own.
    pub(crate) fn strays(&self) -> usize {
        self.state.strays.load(Ordering::SeqCst)
    }

    /// What `/healthz` is answered from now on.
    pub(crate) fn feel(&self, status: u16) {
        self.state.health.store(status, Ordering::SeqCst);
    }

    /// Listens, at the same place as before.
    pub(crate) fn come(&mut self) {
        let (domain, address) = match &self.place {
            Place::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Place::Unix(path) => (Domain::UNIX, SockAddr::unix(path).unwrap()),
        };
        let listener = Socket::new(domain, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(1024).unwrap();
        let listener = Arc::new(listener);
        let (accepts, state) = (Arc::clone(&listener), Arc::clone(&self.state));
        let keeps = matches!(self.place, Place::Tcp(_));
        self.listener = Some(listener);
        self.accepting = Some(thread::spawn(move || {
            while let Ok((connection, _)) = accepts.accept() {
                let mut open = state.open.lock().unwrap();
                open.push(connection.try_clone().unwrap());
                drop(open);
                let state = Arc::clone(&state);
                thread::spawn(move || serve(&connection, &state, keeps));
            }
        }));
    }

    /// Lets nobody in any more; who is in is still answered.
    pub(crate) fn close(&mut self) {
        if let Place::Unix(path) = &self.place {
            // First of all nobody can find it, so that nobody is left at the door.
            drop(fs::remove_file(path));
        }
        let Some(listener) = self.listener.take() else { return };
        listener.shutdown(std::net::Shutdown::Both).unwrap();
        drop(listener);
        self.accepting.take().unwrap().join().unwrap();
    }

    /// Goes at once, whoever is in.
    pub(crate) fn die(&mut self) {
        self.close();
        for connection in self.state.open.lock().unwrap().drain(..) {
            // It may have gone by itself.
            drop(connection.shutdown(std::net::Shutdown::Both));
        }
    }
}

impl Drop for Fickle {
    fn drop(&mut self) {
        self.die();
    }
}

fn serve(connection: &Socket, state: &State, keeps: bool) {
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).is_ok_and(|read| read > 0) {
                continue;
            }
            return;
        }
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, it)| it.trim())
        };
        let length = field("content-length").map_or(0, |length| length.parse().unwrap());
        drop(reader.by_ref().take(length).read_to_end(&mut Vec::new()));
        let status = match field("mcp-session-id") {
            _ if head.starts_with("GET /healthz ") => state.health.load(Ordering::SeqCst),
            Some(session) if session != state.name => {
                state.strays.fetch_add(1, Ordering::SeqCst);
                404
            }
            Some(_) | None => {
                state.served.fetch_add(1, Ordering::SeqCst);
                200
            }
        };
        let (name, kept) = (state.name, if keeps { "keep-alive" } else { "close" });
        let answer = format!(
            "HTTP/1.1 {status} It\r\nMcp-Session-Id: {name}\r\nConnection: {kept}\r\n\
             Content-Length: {}\r\n\r\n{name}",
            name.len()
        );
        if writer.write_all(answer.as_bytes()).is_err() || !keeps {
            return;
        }
    }
}
