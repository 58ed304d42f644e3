//! From one process to the next: the sockets that clients connect to, and the word that somebody serves.
//!
//! systemd hands sockets to a process that it starts, and so does a process that is to be succeeded by a
//! newer one. To the process that is started both look alike, but for a line to whom it succeeds.

mod successor;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;

use listenfd::ListenFd;
use sd_notify::NotifyState;

pub(crate) use successor::Succession;

/// What this process was given when it was started.
#[derive(Default)]
pub(crate) struct Inherited {
    listeners: Vec<TcpListener>,
    predecessor: Option<Predecessor>,
}

impl Inherited {
    /// Takes it. To be called once, before there are other threads: it is taken out of the environment.
    pub(crate) fn take() -> Result<Self, Alien> {
        let mut given = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..given.len() {
            if let Ok(Some(listener)) = given.take_tcp_listener(index) {
                inherited.listeners.push(listener);
                continue;
            }
            match given.take_unix_datagram(index) {
                // One that nobody is at the other end of is no line.
                Ok(Some(line)) if line.peer_addr().is_ok() => {
                    inherited.predecessor = Some(Predecessor(line));
                }
                Ok(_) | Err(_) => return Err(Alien(index)),
            }
        }
        Ok(inherited)
    }

    /// The socket that listens at this address. With port 0 any port will do.
    pub(crate) fn listener(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let fits = |listener: &TcpListener| {
            listener.local_addr().is_ok_and(|found| {
                found.ip() == address.ip() && [0, found.port()].contains(&address.port())
            })
        };
        let place = self.listeners.iter().position(fits)?;
        Some(self.listeners.remove(place))
    }

    /// Where a socket listens that nobody asked for.
    pub(crate) fn left_over(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(|listener| listener.local_addr().ok())
    }

    /// Whom this process succeeds.
    pub(crate) fn predecessor(&mut self) -> Option<Predecessor> {
        self.predecessor.take()
    }
}

/// The process that serves until this one does.
pub(crate) struct Predecessor(UnixDatagram);

impl Predecessor {
    /// It may go. Who is gone already leaves us to serve all the same.
    pub(crate) fn relieve(&self) {
        if let Err(error) = self.0.send(RELIEVED) {
            tracing::warn!(%error, "the process before this one cannot be told");
        }
    }
}

/// Something was handed over with which nothing can be done.
#[derive(Debug)]
pub(crate) struct Alien(usize);

impl fmt::Display for Alien {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LISTEN_FDS: socket {} of those that were handed over listens for no TCP connections; in a \
             .socket unit write ListenStream= with an address and a port",
            self.0 + 1
        )
    }
}

/// Tells systemd that this process serves, if it wants to know.
pub(crate) fn serving() {
    tell(&[NotifyState::Ready]);
}

/// Tells systemd that this process is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells systemd which process serves from now on.
fn succeeded_by(process: u32) {
    tell(&[NotifyState::MainPid(process), NotifyState::Ready]);
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

const RELIEVED: &[u8] = b"serving";
