//! Where clients and probes connect: sockets that were handed over to us, or of our own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use socket2::{Domain, Socket, Type};

use super::prepared::Obstacle;
use crate::config::Boot;
use crate::handover::Inherited;

/// Bound, and nobody accepts there yet.
pub(super) struct Listeners {
    pub(super) gateway: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) redirect: Option<TcpListener>,
    /// Each a second time, to be handed on.
    pub(super) all: Vec<OwnedFd>,
}

impl Listeners {
    /// Where the settings say. A socket that was handed over and that none asks for is a mistake: nobody
    /// would answer there.
    pub(super) fn bind(boot: &Boot, mut inherited: Inherited) -> Result<Self, Obstacle> {
        let mut all = Vec::new();
        let mut listen = |key, address| {
            let listener = inherited.listener(address).map_or_else(|| bind(address), Ok);
            let both = listener.and_then(|listener| Ok((listener.try_clone()?, listener)));
            let (again, listener) = both.map_err(|error| Obstacle::Bind(key, address, error))?;
            all.push(again.into());
            Ok::<_, Obstacle>(listener)
        };
        let gateway = listen("listen", boot.listen)?;
        let admin = listen("admin.listen", boot.admin)?;
        let redirect = boot.redirect.map(|at| listen("redirect.listen", at)).transpose()?;
        match inherited.left_over() {
            Some(address) => Err(Obstacle::Unasked(address)),
            None => Ok(Self { gateway, admin, redirect, all }),
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
