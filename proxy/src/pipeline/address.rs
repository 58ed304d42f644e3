//! Where is the client? What it says itself is worth nothing; what a trusted proxy says is.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use crate::config::{ClientFrom, TrustedProxies};

/// The client's address: the connection's other end, unless that is a trusted proxy which says
/// otherwise. `introduced` is what it said before the first request.
pub fn of_client(
    peer: IpAddr,
    introduced: Option<IpAddr>,
    headers: &HeaderMap,
    proxies: &TrustedProxies,
) -> IpAddr {
    if !proxies.trusts(peer) {
        return peer;
    }
    let hops = |name, read: fn(&str) -> Option<IpAddr>| {
        first_stranger(peer, elements(headers, &name).map(|element| read(element?)), proxies)
    };
    match proxies.client_from {
        ClientFrom::ProxyProtocol => introduced.unwrap_or(peer),
        ClientFrom::XForwardedFor => hops(X_FORWARDED_FOR, address),
        ClientFrom::Forwarded => hops(FORWARDED, forwarded),
    }
}

/// Each proxy adds whom it heard from to the right: what stands left of the first address that is
/// no trusted proxy, that stranger may have written. So it may what nobody can read.
fn first_stranger(
    peer: IpAddr,
    hops: impl Iterator<Item = Option<IpAddr>>,
    proxies: &TrustedProxies,
) -> IpAddr {
    let mut known = peer;
    for hop in hops {
        let Some(hop) = hop else { return known };
        known = hop;
        if !proxies.trusts(hop) {
            return known;
        }
    }
    known
}

/// The elements of all fields of a name, last to first. None for one that is no text.
fn elements<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'h str>> {
    headers.get_all(name).iter().rev().flat_map(|field| {
        let text = field.to_str().ok();
        let unreadable = text.is_none().then_some(None);
        // A quoted comma would be misread here, and what it makes is no address: see `forwarded`.
        text.into_iter().flat_map(|text| text.rsplit(',').map(Some)).chain(unreadable)
    })
}

/// `192.0.2.1`, `2001:db8::1`; some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// `for=192.0.2.1;proto=https`, `For="[2001:db8::1]:4711"` (RFC 7239). All of it must be well
/// formed: a host that a client made up may stand in it.
fn forwarded(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.trim_matches([' ', '\t']).split(';') {
        let (name, value) = pair.split_once('=')?;
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let readable = match quoted {
            Some(text) => !text.contains(['"', '\\']),
            None => is_token(value),
        };
        if !readable || !is_token(name) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") && found.replace(quoted.unwrap_or(value)).is_some() {
            return None;
        }
    }
    address(found?)
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_mark = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::Config;

    fn proxies(from: &str) -> TrustedProxies {
        let text = format!(
            "tls: off\nresource: {{url: https://mcp.example/mcp}}\n\
             issuers: [{{issuer: https://id.example}}]\nupstream: {{address: 'unix:/b'}}\n\
             trusted_proxies: {{networks: [10.0.0.0/8, 'fd00::/8'], client_from: {from}}}"
        );
        Config::parse(&text).unwrap().boot.proxies
    }

    /// Whom a request with these fields is from, its connection being from `peer`.
    #[track_caller]
    fn from(proxies: &TrustedProxies, peer: &str, name: &'static str, fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name, HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        of_client(peer.parse().unwrap(), None, &headers, proxies).to_string()
    }

    #[track_caller]
    fn said(fields: &[&str]) -> String {
        from(&proxies("x-forwarded-for"), "10.0.0.1", "x-forwarded-for", fields)
    }

    #[test]
    fn a_stranger_is_where_its_connection_comes_from() {
        let proxies = proxies("x-forwarded-for");
        let heard = from(&proxies, "192.0.2.1", "x-forwarded-for", &["198.51.100.1"]);
        assert_eq!(heard, "192.0.2.1");
        let nobody = TrustedProxies::default();
        assert_eq!(from(&nobody, "10.0.0.1", "x-forwarded-for", &["198.51.100.1"]), "10.0.0.1");
    }

    #[test]
    fn the_rightmost_stranger_is_the_client() {
        assert_eq!(said(&["198.51.100.1"]), "198.51.100.1");
        assert_eq!(said(&["1.1.1.1, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(said(&["1.1.1.1,198.51.100.1 , 10.0.0.2,\tfd00::7"]), "198.51.100.1");
        assert_eq!(said(&["1.1.1.1", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(said(&["2001:db8::1"]), "2001:db8::1");
        assert_eq!(said(&["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(said(&["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(said(&["::ffff:198.51.100.1, ::ffff:10.0.0.2"]), "198.51.100.1");
        assert_eq!(said(&["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "a client among the proxies");
        assert_eq!(said(&[]), "10.0.0.1");
    }

    #[test]
    fn what_nobody_can_read_ends_what_is_believed() {
        for broken in ["", "unknown", "_hidden", "198.51.100.256", "a, ", "1.1.1.1 2.2.2.2"] {
            let left_of_it = format!("1.1.1.1, {broken}");
            assert_eq!(said(&[&left_of_it]), "10.0.0.1", "{broken:?}");
            let right_of_it = format!("1.1.1.1, {broken}, 10.0.0.9");
            assert_eq!(said(&[&right_of_it]), "10.0.0.9", "{broken:?}");
            assert_eq!(said(&["1.1.1.1", broken, "10.0.0.9"]), "10.0.0.9", "{broken:?}");
        }
        assert_eq!(said(&["1.1.1.1", "\u{e9}", "10.0.0.9"]), "10.0.0.9");
    }

    #[test]
    fn forwarded_is_read_only_where_the_proxies_write_it() {
        let proxies = proxies("forwarded");
        let said = |fields: &[&str]| from(&proxies, "10.0.0.1", "forwarded", fields);
        assert_eq!(said(&["for=1.1.1.1, for=198.51.100.1;proto=https;by=_x"]), "198.51.100.1");
        assert_eq!(said(&["For=\"[2001:db8::1]:4711\", for=10.0.0.2"]), "2001:db8::1");
        for broken in [
            "proto=https",
            "for=unknown",
            "for=1.1.1.1;for=2.2.2.2",
            "for=",
            "for",
            "for=2.2.2.2;host=\"",
            "for = 2.2.2.2",
            // What a proxy makes of a host that its client made up.
            "for=3.3.3.3;host=\"x, for=2.2.2.2\";proto=http",
            "for=3.3.3.3;host=\"x, for=2.2.2.2;a=\\\"\";proto=http",
        ] {
            assert_eq!(said(&[&format!("for=1.1.1.1, {broken}")]), "10.0.0.1", "{broken}");
        }
        assert_eq!(from(&proxies, "10.0.0.1", "x-forwarded-for", &["1.1.1.1"]), "10.0.0.1");
    }

    #[test]
    fn under_the_proxy_protocol_headers_say_nothing() {
        let proxies = proxies("proxy-protocol");
        assert_eq!(from(&proxies, "10.0.0.1", "x-forwarded-for", &["1.1.1.1"]), "10.0.0.1");
        let introduced = Some("198.51.100.1".parse().unwrap());
        let peer = "10.0.0.1".parse().unwrap();
        let heard = of_client(peer, introduced, &HeaderMap::new(), &proxies);
        assert_eq!(heard.to_string(), "198.51.100.1");
    }
}
