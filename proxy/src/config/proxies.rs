//! Who stands in front of us, and what of it is believed.

use std::net::IpAddr;

use super::Network;

/// Proxies and load balancers that say for whom they speak. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Where they are.
    pub networks: Vec<Network>,
    /// How they say it.
    pub client_from: ClientFrom,
}

impl TrustedProxies {
    /// Whether `address` is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// How a proxy tells a client's address. One way only: what it does not write itself, it may pass
/// on as a client made it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientFrom {
    /// It adds the address to `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// It adds an element to `Forwarded` (RFC 7239).
    Forwarded,
    /// It begins each connection with a PROXY header, version 1 or 2.
    ProxyProtocol,
}
