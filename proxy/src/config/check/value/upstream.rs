//! Where a server behind us is, and how it is looked at.

use std::time::Duration;

use super::Checked;
use crate::config::invalid::Wrong;
use crate::config::{Address, units};

pub(in crate::config::check) fn upstream(text: &str) -> Checked<Address> {
    let fix = "write unix:/absolute/path.sock, an address with a port such as 127.0.0.1:8080, or a \
               name with a port such as mcp.internal:8080";
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') {
            return Err(Wrong::new("the socket's path is not absolute", fix));
        }
        if path.len() > LONGEST_PATH || path.contains('\0') {
            let reason = "no socket can have that path: it is longer than 107 bytes";
            return Err(Wrong::new(reason, "choose a shorter one"));
        }
        return Ok(Address::Unix(path.into()));
    }
    if let Ok(address) = text.parse() {
        return Ok(Address::Tcp(address));
    }
    let named = text.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse().ok().filter(|port| *port > 0)?;
        is_name(host).then(|| Address::Name { host: host.to_owned(), port })
    });
    named.ok_or(Wrong::new("neither a unix socket nor an address or a name with a port", fix))
}

/// A host's name (RFC 1123), with `_`, which some clusters have in theirs. What ends in a number is
/// an address to some readers.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253
        && host.split('.').all(is_label)
        && last.starts_with(|first: char| first.is_ascii_alphabetic())
}

pub(in crate::config::check) fn target(text: &str) -> Checked<String> {
    if !text.starts_with('/') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Wrong::new("not a path", "write what to ask for, for example /healthz"));
    }
    Ok(text.to_owned())
}

pub(in crate::config::check) fn status(text: &str) -> Checked<u16> {
    let status = text.parse().ok().filter(|status| (200..=599).contains(status));
    status.ok_or(Wrong::new("not a status that ends a request", "write 200, say"))
}

/// Not so often that looking is most of what a server does.
pub(in crate::config::check) fn check_interval(text: &str) -> Checked<Duration> {
    let interval = units::duration(text)?;
    if interval < SHORTEST_INTERVAL {
        return Err(Wrong::new("it is shorter than 100ms", "write 5s, say"));
    }
    Ok(interval)
}

/// What fits into an address of that kind.
const LONGEST_PATH: usize = 107;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
