//! Where clients and probes connect: sockets that were handed over to us, or of our own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use socket2::{Domain, Socket, Type};

use super::prepared::Obstacle;
use crate::handover::Inherited;

/// Each is kept a second time, to be handed on.
pub(super) struct Sockets {
    inherited: Inherited,
    all: Vec<OwnedFd>,
}

impl Sockets {
    pub(super) fn of(inherited: Inherited) -> Self {
        Self { inherited, all: Vec::new() }
    }

    /// One for the setting `key`.
    pub(super) fn listen(
        &mut self,
        key: &'static str,
        address: SocketAddr,
    ) -> Result<TcpListener, Obstacle> {
        let mut listen = || -> io::Result<_> {
            let listener = match self.inherited.listener(address) {
                Some(inherited) => inherited,
                None => bind(address)?,
            };
            let again = OwnedFd::from(listener.try_clone()?);
            Ok((listener, again))
        };
        let (listener, again) = listen().map_err(|error| Obstacle::Bind(key, address, error))?;
        self.all.push(again);
        Ok(listener)
    }

    /// All that listen. One that no setting asks for is a mistake: nobody would answer there.
    pub(super) fn all(self) -> Result<Vec<OwnedFd>, Obstacle> {
        match self.inherited.left_over() {
            Some(address) => Err(Obstacle::Unasked(address)),
            None => Ok(self.all),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

const BACKLOG: i32 = 1024;
