//! What stands behind a resource: one server, or several that are alike.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::BackendTls;

/// Where permitted requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where each is: at least one.
    pub addresses: Vec<Address>,
    /// Whether they may be reached over a network.
    pub trust_network: bool,
    /// How they are spoken to over TLS, if they are.
    pub tls: Option<BackendTls>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer may take to begin, if there is a bound.
    pub answer_timeout: Option<Duration>,
    /// Requests that one server may have open at once, if there is a bound.
    pub open_requests: Option<u32>,
    /// How they are looked at beside the requests, if they are.
    pub check: Option<Check>,
}

/// Where one server is, or several that share a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// HTTP over TCP.
    Tcp(SocketAddr),
    /// HTTP over a unix socket.
    Unix(PathBuf),
    /// HTTP over TCP, at every address that the name has.
    Name {
        /// What is looked up.
        host: String,
        /// The same at all of them.
        port: u16,
    },
}

impl Address {
    /// Whether only this machine can be meant.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => is_loopback(address.ip()),
            Self::Unix(_) => true,
            Self::Name { host, .. } => host.eq_ignore_ascii_case("localhost"),
        }
    }
}

/// Also as IPv6 writes an address of IPv4.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// As the configuration spells it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// As one line for people.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

/// How a server shows that it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked for. None: to be connected to is enough.
    pub path: Option<String>,
    /// What must be answered.
    pub status: u16,
    /// The time between two looks.
    pub interval: Duration,
    /// Looks in a row that fail before requests go elsewhere.
    pub failures: u32,
    /// Looks in a row that succeed before they come back.
    pub successes: u32,
}
