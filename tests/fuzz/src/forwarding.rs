//! Whatever a client writes before a trusted proxy adds its word: it is where that proxy saw it.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use proxy::config::{Config, TrustedProxies};
use proxy::edge::introduction;
use proxy::pipeline::address::of_client;

const CLIENT: &str = "198.51.100.7";
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

struct Trust {
    x_forwarded_for: TrustedProxies,
    forwarded: TrustedProxies,
    introduced: TrustedProxies,
}

/// The first byte says who speaks, and how; the rest is what it says.
pub fn holds(bytes: &[u8]) {
    static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust {
        x_forwarded_for: trust("x-forwarded-for"),
        forwarded: trust("forwarded"),
        introduced: trust("proxy-protocol"),
    });
    let Some((first, said)) = bytes.split_first() else { return };
    match first % 3 {
        0 => header_says(&TRUST.x_forwarded_for, &X_FORWARDED_FOR, said, ["", ""]),
        1 => header_says(&TRUST.forwarded, &header::FORWARDED, said, ["for=", ";proto=https"]),
        _ => connection_says(&TRUST.introduced, said),
    }
}

fn trust(from: &str) -> TrustedProxies {
    let text = format!(
        "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\n\
         issuers: [{{issuer: 'https://id.example'}}]\nupstream: {{address: 'unix:/b'}}\n\
         trusted_proxies: {{networks: [10.0.0.0/8], client_from: {from}}}"
    );
    Config::parse(&text).unwrap().boot.proxies
}

/// A client's own fields, one on each line; the proxies add around the address what `dress` says.
fn header_says(proxies: &TrustedProxies, name: &HeaderName, said: &[u8], dress: [&str; 2]) {
    let mut fields: Vec<HeaderValue> = Vec::new();
    for line in said.split(|byte| *byte == b'\n') {
        fields.extend(HeaderValue::from_bytes(line));
    }
    let heard = |peer, fields: &[HeaderValue]| {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name.clone(), field.clone());
        }
        of_client(peer, None, &headers, proxies)
    };
    assert_eq!(heard(STRANGER, &fields), STRANGER, "nobody trusts it");
    let dressed = |address: &str| [dress[0], address, dress[1]].concat();
    // One trusted proxy, or two; each adds to the last field, or a field of its own.
    for hops in [&[CLIENT][..], &[CLIENT, "10.0.0.2"]] {
        for own_field in [true, false] {
            let mut fields = fields.clone();
            for hop in hops {
                let before = if own_field { None } else { fields.pop() };
                let before = before.map(|field| [field.as_bytes(), b", "].concat());
                let field = [before.unwrap_or_default(), dressed(hop).into_bytes()].concat();
                fields.push(HeaderValue::from_bytes(&field).unwrap());
            }
            let heard = heard(PROXY, &fields);
            let told = CLIENT.parse::<IpAddr>().unwrap();
            // What is no text is believed in no part, and then the proxy itself is who calls.
            let unread = fields.iter().any(|field| field.to_str().is_err());
            let nearest = heard == PROXY || heard == IpAddr::from([10, 0, 0, 2]);
            assert!(heard == told || (unread && nearest), "{heard} by {fields:?}");
        }
    }
    // All of it the proxy's own, whatever it may mean: some address, in its usual form.
    let heard = heard(PROXY, &fields);
    assert_eq!(heard, heard.to_canonical());
    let text = fields.iter().map(|field| String::from_utf8_lossy(field.as_bytes()).into_owned());
    assert!(heard == PROXY || text.collect::<String>().contains(['.', ':']), "out of the air");
}

fn connection_says(proxies: &TrustedProxies, said: &[u8]) {
    let Some((introduced, length)) = introduction_of(said) else { return };
    let header = said.get(..length).unwrap();
    let by_line = header.starts_with(b"PROXY ");
    assert!(by_line || header.starts_with(b"\r\n\r\n\0\r\nQUIT\n"), "no introduction");
    assert!(!by_line || (length <= 107 && header.ends_with(b"\r\n")), "no line");
    for end in [length - 1, length / 2] {
        assert!(introduction_of(header.get(..end).unwrap()).is_none(), "half of it is enough");
    }
    let followed = [header, b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\n"].concat();
    assert_eq!(introduction_of(&followed), Some((introduced, length)), "what follows matters");
    if let Some(address) = introduced {
        assert_eq!(address, address.to_canonical());
        let source = String::from_utf8_lossy(header);
        let source = source.split(' ').nth(2).and_then(|text| text.parse::<IpAddr>().ok());
        assert!(!by_line || source.map(|source| source.to_canonical()) == Some(address));
    }
    let mut headers = HeaderMap::new();
    headers.append(X_FORWARDED_FOR, HeaderValue::from_static("1.1.1.1"));
    headers.append(header::FORWARDED, HeaderValue::from_static("for=1.1.1.1"));
    assert_eq!(of_client(PROXY, introduced, &headers, proxies), introduced.unwrap_or(PROXY));
    assert_eq!(of_client(STRANGER, introduced, &headers, proxies), STRANGER);
}

/// What it tells, and how many bytes it takes. Bytes in memory are always there.
fn introduction_of(bytes: &[u8]) -> Option<(Option<IpAddr>, usize)> {
    let mut left = bytes;
    let polled = {
        let read = pin!(introduction::read(&mut left));
        read.poll(&mut Context::from_waker(Waker::noop()))
    };
    match polled {
        Poll::Ready(told) => told.ok().map(|told| (told, bytes.len() - left.len())),
        Poll::Pending => panic!("it waits for what is there"),
    }
}
