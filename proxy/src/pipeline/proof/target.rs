//! Does a proof's `htu` name the place that was asked for?

use url::Url;

/// Compares without query and fragment, and after normalisation (RFC 3986 sections 6.2.2 and
/// 6.2.3). `origin` is the configured one: what a client writes into `Host` names nothing.
pub(super) fn is_named(htu: &str, origin: &str, path: &str) -> bool {
    let place = normal(htu);
    place.is_some() && place == normal(&format!("{origin}{path}"))
}

fn normal(text: &str) -> Option<(String, String)> {
    // A parser for browsers forgives spaces, backslashes and letters that only look like ours.
    if text.len() > MOST_BYTES || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let names_a_place = matches!(url.scheme(), "https" | "http")
        && url.username().is_empty()
        && url.password().is_none();
    names_a_place.then(|| (url.origin().ascii_serialization(), unescaped(url.path())))
}

/// Escapes of what needs none are taken out; the others are written in capitals.
fn unescaped(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = after.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            plain.push('%');
            rest = after;
            continue;
        };
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                plain.push(char::from(byte));
            }
            Ok(_) | Err(_) => plain.extend(["%", &digits.to_ascii_uppercase()]),
        }
        rest = after.get(2..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// As long as a request's own target may be, by default.
const MOST_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(htu: &str) -> bool {
        is_named(htu, "https://mcp.example", "/mcp/a-b")
    }

    #[test]
    fn other_spellings_name_the_same_place() {
        for htu in [
            "https://mcp.example/mcp/a-b",
            "https://mcp.example:443/mcp/a-b",
            "HTTPS://MCP.EXAMPLE/mcp/a-b",
            "https://mcp.example/mcp/x/../a-b",
            "https://mcp.example/./mcp/a-b",
            "https://mcp.example/mcp/a%2db",
            "https://mcp.example/mcp/a%2Db",
            "https://mcp.example/mcp/a-b?query=1",
            "https://mcp.example/mcp/a-b#part",
        ] {
            assert!(is(htu), "{htu}");
        }
    }

    #[test]
    fn other_places_are_other_places() {
        for htu in [
            "http://mcp.example/mcp/a-b",
            "https://mcp.example:8443/mcp/a-b",
            "https://mcp.example.evil/mcp/a-b",
            "https://evil.example/mcp/a-b",
            "https://mcp.example/mcp",
            "https://mcp.example/mcp/a-b/",
            "https://mcp.example/mcp/A-b",
            "https://mcp.example/mcp/a%2Fb",
            "https://mcp.example/mcp%2fa-b",
            "https://user@mcp.example/mcp/a-b",
            "https://mcp.example@evil.example/mcp/a-b",
            "https://mcp.example\\mcp\\a-b",
            "https://mcp.example/mcp/a-b ",
            " https://mcp.example/mcp/a-b",
            "https://mcp.example/mc\tp/a-b",
            "https://\u{ff4d}cp.example/mcp/a-b",
            "//mcp.example/mcp/a-b",
            "/mcp/a-b",
            "ftp://mcp.example/mcp/a-b",
            "",
        ] {
            assert!(!is(htu), "{htu}");
        }
    }

    #[test]
    fn a_port_and_an_endpoint_at_the_root_are_compared_too() {
        assert!(is_named("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/"));
        assert!(!is_named("http://127.0.0.1", "http://127.0.0.1:8080", "/"));
    }

    #[test]
    fn escapes_are_written_one_way() {
        assert_eq!(unescaped("/%7e%2f%c3%a9%41%%4"), "/~%2F%C3%A9A%%4");
    }
}
