//! The PROXY protocol, versions 1 and 2: a load balancer's first words on a connection tell for whom
//! it speaks (haproxy.org, proxy-protocol.txt).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Reads one, and not a byte more. None: the load balancer speaks for itself, or for something that
/// has no address.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut begin = [0; SIGNATURE.len()];
    stream.read_exact(&mut begin).await?;
    if begin == *SIGNATURE {
        return read_binary(stream).await;
    }
    let mut line = begin.to_vec();
    // Whoever says something else is not made to say more of it.
    while line.starts_with(b"PROXY ") && !line.contains(&b'\n') && line.len() < LONGEST_LINE {
        line.push(stream.read_u8().await?);
    }
    let line = line.strip_suffix(b"\r\n").and_then(|line| str::from_utf8(line).ok());
    Ok(told_in_text(line.ok_or(Malformed)?)?)
}

/// `PROXY TCP4 198.51.100.1 203.0.113.7 56324 443`, `PROXY UNKNOWN` and anything after it.
fn told_in_text(line: &str) -> Told {
    let rest = line.strip_prefix("PROXY ").ok_or(Malformed)?;
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        return Ok(None);
    }
    let source = match rest.split_once(' ') {
        Some(("TCP4", rest)) => between::<Ipv4Addr>(rest).map(IpAddr::from),
        Some(("TCP6", rest)) => between::<Ipv6Addr>(rest).map(|source| source.to_canonical()),
        Some(_) | None => None,
    };
    source.map(Some).ok_or(Malformed)
}

/// Source and destination, then their ports.
fn between<A: FromStr>(text: &str) -> Option<A> {
    let mut words = text.split(' ');
    let mut next = || words.next();
    let (source, destination) = (next()?.parse().ok()?, next()?.parse::<A>());
    let ports = [next()?, next()?].map(is_port);
    (destination.is_ok() && ports == [true, true] && next().is_none()).then_some(source)
}

fn is_port(text: &str) -> bool {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    canonical && text.parse::<u16>().is_ok()
}

async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let length = usize::from(stream.read_u16().await?);
    let mut rest = [0; LONGEST_REST];
    let rest = rest.get_mut(..length).ok_or(Malformed)?;
    stream.read_exact(rest).await?;
    match command {
        LOCAL => Ok(None),
        PROXY => Ok(told_in_binary(family, rest)?),
        _ => Err(Malformed.into()),
    }
}

/// What follows the addresses is for others.
fn told_in_binary(family: u8, rest: &[u8]) -> Told {
    let source = match family {
        UNSPECIFIED => return Ok(None),
        // Each has the source, the destination and the ports.
        TCP_V4 => rest
            .first_chunk::<12>()
            .and_then(|all| all.first_chunk::<4>())
            .copied()
            .map(IpAddr::from),
        TCP_V6 => rest
            .first_chunk::<36>()
            .and_then(|all| all.first_chunk::<16>())
            .copied()
            .map(IpAddr::from),
        // Unix sockets, and datagrams, which nobody can proxy to us.
        _ => None,
    };
    source.map(|source| Some(source.to_canonical())).ok_or(Malformed)
}

type Told = Result<Option<IpAddr>, Malformed>;

/// Not what was agreed on.
#[derive(Debug, thiserror::Error)]
#[error("no PROXY header")]
struct Malformed;

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_V4: u8 = 0x11;
const TCP_V6: u8 = 0x21;

/// The end of the line included.
const LONGEST_LINE: usize = 107;
/// Addresses, and more of the rest than load balancers send.
const LONGEST_REST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a header tells, and how many bytes of it and of what follows are left.
    fn told(bytes: &[u8]) -> Result<(Option<String>, usize), io::ErrorKind> {
        let mut left = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let told = runtime.block_on(read(&mut left)).map_err(|error| error.kind())?;
        Ok((told.map(|address| address.to_string()), left.len()))
    }

    fn line(text: &str) -> Result<(Option<String>, usize), io::ErrorKind> {
        told(format!("PROXY {text}\r\nnext").as_bytes())
    }

    #[test]
    fn a_line_tells_the_source_and_what_follows_is_left() {
        let from = |address: &str| Ok((Some(address.to_owned()), 4));
        assert_eq!(line("TCP4 198.51.100.1 203.0.113.7 56324 443"), from("198.51.100.1"));
        assert_eq!(line("TCP6 2001:db8::1 ::1 65535 0"), from("2001:db8::1"));
        assert_eq!(line("TCP6 ::ffff:198.51.100.1 ::1 1 2"), from("198.51.100.1"));
        assert_eq!(line("UNKNOWN"), Ok((None, 4)));
        assert_eq!(line("UNKNOWN ffff::1 whatever"), Ok((None, 4)));
        let longest = format!("UNKNOWN {}", "x".repeat(LONGEST_LINE - 16));
        assert_eq!(line(&longest), Ok((None, 4)));
    }

    #[test]
    fn a_line_of_any_other_form_is_refused() {
        for text in [
            "",
            "TCP4",
            "TCP4 198.51.100.1",
            "TCP4 198.51.100.1 203.0.113.7 1",
            "TCP4 198.51.100.1 203.0.113.7 1 2 3",
            "TCP4 198.51.100.1  203.0.113.7 1 2",
            "TCP4 198.51.100.1 203.0.113.7 1 65536",
            "TCP4 198.51.100.1 203.0.113.7 1 -2",
            "TCP4 198.51.100.1 203.0.113.7 1 +2",
            "TCP4 198.51.100.1 203.0.113.7 01 2",
            "TCP4 198.51.100.256 203.0.113.7 1 2",
            "TCP4 198.51.100.1 nowhere 1 2",
            "TCP4 2001:db8::1 ::1 1 2",
            "TCP6 198.51.100.1 203.0.113.7 1 2",
            "tcp4 198.51.100.1 203.0.113.7 1 2",
            "UDP4 198.51.100.1 203.0.113.7 1 2",
            "UNKNOWNS",
            "TCP4 198.51.100.1 203.0.113.7 1 2\nPROXY TCP4 1.1.1.1 1.1.1.1 1 2",
            "TCP4 198.51.100.1 203.0.113.7 1 2\r",
            &format!("UNKNOWN {}", "x".repeat(LONGEST_LINE - 15)),
        ] {
            assert_eq!(line(text), Err(io::ErrorKind::InvalidData), "{text:?}");
        }
        for other in [
            &b"GET /mcp HTTP/1.1\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00",
        ] {
            assert_eq!(told(other), Err(io::ErrorKind::InvalidData), "{other:?}");
        }
        assert_eq!(told(b"PROXY TCP4 198"), Err(io::ErrorKind::UnexpectedEof));
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length[..], rest, b"next"].concat()
    }

    const V4: [u8; 12] = [198, 51, 100, 1, 203, 0, 113, 7, 1, 2, 3, 4];

    #[test]
    fn a_binary_header_tells_the_source_and_what_follows_is_left() {
        let from = |address: &str| Ok((Some(address.to_owned()), 4));
        assert_eq!(told(&binary(PROXY, TCP_V4, &V4)), from("198.51.100.1"));
        let with_more = [&V4[..], &[4, 0, 1, 0]].concat();
        assert_eq!(told(&binary(PROXY, TCP_V4, &with_more)), from("198.51.100.1"));
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        assert_eq!(told(&binary(PROXY, TCP_V6, &v6)), from("2001:db8::"));
        assert_eq!(told(&binary(LOCAL, UNSPECIFIED, &[])), Ok((None, 4)));
        assert_eq!(told(&binary(LOCAL, TCP_V4, &V4)), Ok((None, 4)), "says nothing then");
        assert_eq!(told(&binary(PROXY, UNSPECIFIED, &[1, 2])), Ok((None, 4)));
    }

    #[test]
    fn a_binary_header_of_any_other_form_is_refused() {
        for (command, family, rest) in [
            (0x11, TCP_V4, &V4[..]),
            (0x22, TCP_V4, &V4),
            (PROXY, 0x12, &V4),
            (PROXY, 0x31, &[0; 216]),
            (PROXY, 0x10, &V4),
            (PROXY, TCP_V4, &V4[..11]),
            (PROXY, TCP_V6, &V4),
            (PROXY, TCP_V4, &[]),
            (PROXY, TCP_V4, &[0; LONGEST_REST + 1]),
            (LOCAL, UNSPECIFIED, &[0; LONGEST_REST + 1]),
        ] {
            let header = binary(command, family, rest);
            assert_eq!(told(&header), Err(io::ErrorKind::InvalidData), "{command} {family}");
        }
        let whole = binary(PROXY, TCP_V4, &V4);
        for end in [0, 11, 12, 13, 15, 20, 27] {
            assert_eq!(told(&whole[..end]), Err(io::ErrorKind::UnexpectedEof), "{end}");
        }
    }
}
