//! Where to listen, and what must hold before we do.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener, UnixSocket, UnixStream};

/// `127.0.0.1:8000`, `[::1]:8000` or `unix:/path/to.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// Needs no port, and only its owner can connect.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = UnknownAddress;

    fn from_str(text: &str) -> Result<Self, UnknownAddress> {
        match text.strip_prefix("unix:") {
            Some("") => Err(UnknownAddress),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| UnknownAddress),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A text that is no [`ListenAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address and a port, like 127.0.0.1:8000, or unix:/path/to.sock")]
pub struct UnknownAddress;

/// A bound socket. Connections wait in its queue until it is served.
#[derive(Debug)]
pub enum Listener {
    /// An IP address and a port.
    Tcp(TcpListener),
    /// A unix socket and the file to reach it by.
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Binds, but nothing that another machine could reach.
    pub async fn bind(address: &ListenAddress) -> Result<Self, CannotListen> {
        match address {
            ListenAddress::Tcp(tcp) if !tcp.ip().to_canonical().is_loopback() => {
                Err(CannotListen::BeyondLoopback(*tcp))
            }
            ListenAddress::Tcp(_) | ListenAddress::Unix(_) => {
                Self::bind_beyond_loopback(address).await
            }
        }
    }

    /// Binds wherever told: for who has assertions to believe.
    pub async fn bind_beyond_loopback(address: &ListenAddress) -> Result<Self, CannotListen> {
        let refused = |error| CannotListen::Refused(address.clone(), error);
        match address {
            ListenAddress::Tcp(tcp) => TcpListener::bind(tcp).await.map(Self::Tcp).map_err(refused),
            ListenAddress::Unix(path) => {
                make_way(path).await?;
                let (listener, file) = bind_privately(path).map_err(refused)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Where clients find it, with the port that the system chose.
    pub fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(_, file) => Ok(ListenAddress::Unix(file.path.clone())),
        }
    }
}

/// Why there is nothing to serve on.
#[derive(Debug, thiserror::Error)]
pub enum CannotListen {
    /// Other machines could reach it.
    #[error(
        "{0} can be reached from other machines, and from there nothing is believed but the \
         proxy's signed assertions. Listen on 127.0.0.1 or on unix:/path/to.sock with the proxy \
         beside it; or say whose assertions are good, in the section assertion of the file in \
         --config"
    )]
    BeyondLoopback(SocketAddr),
    /// Another server answers on this socket.
    #[error("unix:{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The path holds something that is not ours to delete.
    #[error("{} exists and is not a socket: remove it, or listen elsewhere", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {0}: {1}")]
    Refused(ListenAddress, #[source] io::Error),
}

/// Removes the socket of a process that died before it could, and nothing else.
async fn make_way(path: &Path) -> Result<(), CannotListen> {
    let refused = |error| CannotListen::Refused(ListenAddress::Unix(path.to_owned()), error);
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(CannotListen::NotASocket(path.to_owned()))
        }
        Ok(_) if answers(path).await.map_err(refused)? => Err(CannotListen::InUse(path.to_owned())),
        Ok(_) => std::fs::remove_file(path).map_err(refused),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

async fn answers(path: &Path) -> io::Result<bool> {
    match UnixStream::connect(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

/// Between bind and listen every connect is refused, so the mode is in place before anyone
/// can use the file.
fn bind_privately(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile::at(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(ONLY_ITS_OWNER))?;
    Ok((socket.listen(BACKLOG)?, file))
}

/// The file of a bound unix socket. Dropping it unlinks the file.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    /// A successor may have put its own in place of ours.
    fn is_ours(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

const ONLY_ITS_OWNER: u32 = 0o600;
const BACKLOG: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str) {
        let address: ListenAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
    }

    #[track_caller]
    fn refuses(text: &str) {
        assert_eq!(text.parse::<ListenAddress>(), Err(UnknownAddress));
    }

    /// Must be refused before any system call could allow it.
    async fn refuses_to_bind(text: &str) {
        let refused = Listener::bind(&text.parse().unwrap()).await.unwrap_err();
        assert!(matches!(refused, CannotListen::BeyondLoopback(_)), "{refused}");
    }

    #[test]
    fn reads_addresses_as_it_writes_them() {
        reads("127.0.0.1:8000");
        reads("[::1]:0");
        reads("unix:/run/mcp.sock");
    }

    #[test]
    fn refuses_a_name_in_place_of_an_address() {
        refuses("localhost:8000");
    }

    #[test]
    fn refuses_an_address_without_port() {
        refuses("127.0.0.1");
    }

    #[test]
    fn refuses_a_socket_without_path() {
        refuses("unix:");
    }

    #[tokio::test]
    async fn refuses_to_bind_every_interface() {
        refuses_to_bind("0.0.0.0:0").await;
        refuses_to_bind("[::]:0").await;
        refuses_to_bind("[::ffff:0.0.0.0]:0").await;
    }

    #[tokio::test]
    async fn refuses_to_bind_a_private_network() {
        refuses_to_bind("10.0.0.1:0").await;
    }

    #[tokio::test]
    async fn binds_any_loopback_address() {
        let listener = Listener::bind(&"127.0.0.2:0".parse().unwrap()).await.unwrap();
        let ListenAddress::Tcp(address) = listener.address().unwrap() else { panic!() };
        assert!(address.ip().is_loopback() && address.port() != 0);
    }
}
