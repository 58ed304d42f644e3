//! Addresses: a range of them, as CIDR writes it, and whether two are one place.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::invalid::Wrong;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// All that there are.
    pub(crate) const EVERY: [Self; 2] = [Self::v4([0, 0, 0, 0], 0), Self::v6(0, 0)];

    pub(crate) const fn v4(first: [u8; 4], bits: u8) -> Self {
        let [a, b, c, d] = first;
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    pub(crate) const fn v6(first: u128, bits: u8) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::from_bits(first)), bits }
    }

    /// Whether `address` is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let other = u32::from(first) ^ u32::from(address);
                other.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let other = u128::from(first) ^ u128::from(address);
                other.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// `10.20.0.0/16`, `fd12:3456::/32`.
pub(super) fn network(text: &str) -> Result<Network, Wrong> {
    let fix = "write for example 10.20.0.0/16, 10.20.30.40/32 or fd12:3456::/32";
    let Some((first, bits)) = text.split_once('/') else {
        return Err(Wrong::new("it lacks the number of bits after a slash", fix));
    };
    let Ok(first) = first.parse::<IpAddr>() else {
        return Err(Wrong::new("not a network of addresses", fix));
    };
    let most = if first.is_ipv4() { 32 } else { 128 };
    let Some(bits) = bits.parse::<u8>().ok().filter(|bits| *bits <= most) else {
        return Err(Wrong::new(format!("not a number of bits between 0 and {most}"), fix));
    };
    let rest = match first {
        IpAddr::V4(first) => u32::from(first).checked_shl(bits.into()).unwrap_or(0).into(),
        IpAddr::V6(first) => u128::from(first).checked_shl(bits.into()).unwrap_or(0),
    };
    if rest != 0 {
        let reason = "the address goes on after the network's bits: which of the two is meant?";
        return Err(Wrong::new(reason, fix));
    }
    Ok(Network { first, bits })
}

/// Whether whoever dials `to` may meet a listener at `at`, as far as the addresses tell: which ones this
/// machine has besides those of loopback they do not.
pub(super) fn leads_to(to: SocketAddr, at: SocketAddr) -> bool {
    let dialled = match to.ip().to_canonical() {
        // The system takes these for loopback.
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let listener = at.ip().to_canonical();
    // A listener at [::] hears both families.
    let hears_all = listener.is_unspecified() && (listener.is_ipv6() || dialled.is_ipv4());
    let meet = listener == dialled || hears_all && dialled.is_loopback();
    // The system gives each listener at port 0 another one.
    meet && to.port() == at.port() && at.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_like_it() {
        let holds =
            |text: &str, address: &str| network(text).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.20.0.0/16", "10.20.255.1") && !holds("10.20.0.0/16", "10.21.0.0"));
        assert!(holds("10.0.0.7/32", "10.0.0.7") && !holds("10.0.0.7/32", "10.0.0.6"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("::/0", "ffff::") && holds("::1/128", "::1"));
    }

    #[test]
    fn what_could_be_meant_otherwise_is_refused() {
        for text in [
            "10.0.0.0",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::1/64",
            "::/129",
            "x/8",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/-1",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
        assert_eq!(network("fd12:3456::/32").unwrap().to_string(), "fd12:3456::/32");
    }
}
