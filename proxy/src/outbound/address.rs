//! Which addresses may be dialled: an issuer's metadata, or whoever answers for its name, must not
//! make us knock on doors that only we can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Network;

/// Public addresses, and what the operator allows besides.
#[derive(Debug)]
pub(super) struct Policy(pub(super) Vec<Network>);

impl Policy {
    /// Leave to dial `address`, whoever named it.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let inner = embedded(address);
        let allows = |network: &Network| {
            network.contains(address) || inner.is_some_and(|inner| network.contains(inner))
        };
        match kind(inner.unwrap_or(address)) {
            Some(kind) if !self.0.iter().any(allows) => Err(Refused { address, kind }),
            Some(_) | None => Ok(()),
        }
    }
}

/// An address that is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}, and is dialled only if outbound.allow_networks has it")]
pub(crate) struct Refused {
    address: IpAddr,
    kind: &'static str,
}

/// What an address is if it is not a public one.
fn kind(address: IpAddr) -> Option<&'static str> {
    let listed = NOT_PUBLIC.iter().find(|(network, _)| network.contains(address));
    let listed = listed.map(|(_, kind)| *kind);
    // Of IPv6 only this part is given out: what comes later is not public until it is listed.
    let unknown = address.is_ipv6() && !GLOBAL.contains(address);
    listed.or(unknown.then_some("reserved"))
}

/// The IPv4 address that an IPv6 one leads to.
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let [.., a, b] = v6.segments();
    let tail = || v4(a, b);
    if MAPPED.contains(address) || NAT64.contains(address) || COMPATIBLE.contains(address) {
        // Those two are addresses of their own.
        return (v6 != Ipv6Addr::UNSPECIFIED && v6 != Ipv6Addr::LOCALHOST).then(tail);
    }
    let [_, a, b, ..] = v6.segments();
    SIX_TO_FOUR.contains(address).then(|| v4(a, b))
}

fn v4(a: u16, b: u16) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(u32::from(a) << 16 | u32::from(b)))
}

const GLOBAL: Network = Network::v6(0x2000 << 112, 3);
const MAPPED: Network = Network::v6(0xFFFF << 32, 96);
const COMPATIBLE: Network = Network::v6(0, 96);
/// RFC 6052; the other prefix, of RFC 8215, is for private use and is not public.
const NAT64: Network = Network::v6(0x0064_FF9B << 96, 96);
/// RFC 3056.
const SIX_TO_FOUR: Network = Network::v6(0x2002 << 112, 16);

/// IANA's special-purpose registries, and what clouds put where it does not belong.
const NOT_PUBLIC: [(Network, &str); 27] = [
    (Network::v4([169, 254, 169, 254], 32), METADATA),
    (Network::v4([168, 63, 129, 16], 32), METADATA),
    (Network::v4([100, 100, 100, 200], 32), METADATA),
    (Network::v4([192, 0, 0, 192], 32), METADATA),
    (Network::v6(0xFD00_0EC2_0000_0000_0000_0000_0000_0254, 128), METADATA),
    (Network::v4([0, 0, 0, 0], 8), "unspecified"),
    (Network::v4([10, 0, 0, 0], 8), "private"),
    (Network::v4([100, 64, 0, 0], 10), "private (carrier-grade NAT)"),
    (Network::v4([127, 0, 0, 0], 8), "loopback"),
    (Network::v4([169, 254, 0, 0], 16), "link-local"),
    (Network::v4([172, 16, 0, 0], 12), "private"),
    (Network::v4([192, 0, 0, 0], 24), "reserved"),
    (Network::v4([192, 0, 2, 0], 24), "for documentation"),
    (Network::v4([192, 168, 0, 0], 16), "private"),
    (Network::v4([198, 18, 0, 0], 15), "for benchmarks"),
    (Network::v4([198, 51, 100, 0], 24), "for documentation"),
    (Network::v4([203, 0, 113, 0], 24), "for documentation"),
    (Network::v4([224, 0, 0, 0], 4), "multicast"),
    (Network::v4([240, 0, 0, 0], 4), "reserved"),
    (Network::v6(0, 128), "unspecified"),
    (Network::v6(1, 128), "loopback"),
    (Network::v6(0xFC00 << 112, 7), "private"),
    (Network::v6(0xFE80 << 112, 10), "link-local"),
    (Network::v6(0xFF00 << 112, 8), "multicast"),
    // Teredo and its kin: tunnels to wherever.
    (Network::v6(0x2001 << 112, 23), "reserved"),
    (Network::v6(0x2001_0DB8 << 96, 32), "for documentation"),
    (Network::v6(0x3FFF << 112, 20), "for documentation"),
];

const METADATA: &str = "a cloud's metadata service";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(address: &str, kind: &str) {
        let refused = Policy(Vec::new()).check(address.parse().unwrap()).unwrap_err();
        assert_eq!(refused.kind, kind, "{address}");
        let text = refused.to_string();
        assert!(text.starts_with(&refused.address.to_string()), "{text}");
        assert!(text.contains("outbound.allow_networks"), "{text}");
    }

    #[track_caller]
    fn dials(address: &str) {
        assert_eq!(Policy(Vec::new()).check(address.parse().unwrap()), Ok(()), "{address}");
    }

    #[test]
    fn public_addresses_are_dialled() {
        for address in ["1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.0.1", "172.32.0.1"] {
            dials(address);
        }
        for address in ["192.167.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::1"]
        {
            dials(address);
        }
    }

    #[test]
    fn addresses_that_only_we_can_reach_are_not() {
        for address in ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd12::1"] {
            refuses(address, "private");
        }
        for address in ["127.0.0.1", "127.9.9.9", "::1"] {
            refuses(address, "loopback");
        }
        for address in ["169.254.1.1", "fe80::1", "febf::1"] {
            refuses(address, "link-local");
        }
        for address in ["0.0.0.0", "0.1.2.3", "::"] {
            refuses(address, "unspecified");
        }
        for address in ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"] {
            refuses(address, METADATA);
        }
        refuses("100.64.0.1", "private (carrier-grade NAT)");
        for address in ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff:fff::1"] {
            refuses(address, "for documentation");
        }
        for address in ["224.0.0.1", "239.1.1.1", "ff02::1"] {
            refuses(address, "multicast");
        }
        for address in [
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "fec0::1",
            "100::1",
            "2001::1",
            "5f00::1",
            "4000::",
        ] {
            refuses(address, "reserved");
        }
    }

    #[test]
    fn nor_are_they_in_the_disguise_of_ipv6() {
        refuses("::ffff:10.0.0.1", "private");
        refuses("::ffff:169.254.169.254", METADATA);
        refuses("::127.0.0.1", "loopback");
        refuses("64:ff9b::a00:1", "private");
        refuses("64:ff9b::7f00:1", "loopback");
        refuses("64:ff9b:1::101:101", "reserved");
        refuses("2002:a00:1::", "private");
        refuses("2002:7f00:1::1", "loopback");
        dials("::ffff:1.1.1.1");
        dials("64:ff9b::101:101");
        dials("2002:101:101::");
    }

    #[test]
    fn what_the_operator_allows_is_dialled_and_nothing_beside_it() {
        let policy = Policy(vec![Network::v4([10, 20, 0, 0], 16)]);
        let check = |address: &str| policy.check(address.parse().unwrap());
        assert!(check("10.20.30.40").is_ok() && check("::ffff:10.20.30.40").is_ok());
        assert!(check("10.21.0.1").is_err() && check("127.0.0.1").is_err());
    }
}
