//! What is known of the connection that a request came on, whatever the request says.

use std::net::{IpAddr, Ipv4Addr};

/// Facts that a stage may judge by.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// SHA-256 of the certificate whose key the client has proved to hold.
    pub certificate: Option<[u8; 32]>,
    /// The host that the client named when TLS began (SNI), if it named one.
    pub server_name: Option<&'a str>,
    /// Where the client is: the connection's other end, or what a trusted proxy there says.
    pub address: IpAddr,
}

impl Default for Channel<'_> {
    /// Nothing is known.
    fn default() -> Self {
        Self { certificate: None, server_name: None, address: Ipv4Addr::UNSPECIFIED.into() }
    }
}
