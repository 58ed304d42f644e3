//! Where a client may be sent back to.

use url::Url;

/// Whether somebody may be sent to `asked` when `registered` is what the client registered.
///
/// Byte for byte, but for the port of a loopback URI: a native application gets its port from the
/// system when it starts to listen (RFC 8252 §7.3).
pub(super) fn matches(registered: &str, asked: &str) -> bool {
    registered == asked
        || loopback(registered).is_some_and(|registered| Some(registered) == loopback(asked))
}

/// Whether a client may register this: https, http on loopback, or an application's own scheme.
pub(super) fn registrable(uri: &str) -> bool {
    let plain = uri.len() <= LONGEST && uri.bytes().all(|byte| byte.is_ascii_graphic());
    let Some(url) = Url::parse(uri).ok().filter(|_| plain) else { return false };
    match url.scheme() {
        // RFC 6749 §3.1.2: no fragment.
        _ if url.fragment().is_some() => false,
        "https" => true,
        "http" => loopback(uri).is_some(),
        scheme => !DANGEROUS.contains(&scheme),
    }
}

/// The URI with an answer in its query.
pub(super) fn with(uri: &str, answer: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    // RFC 6749 §3.1.2: the query that was registered stays.
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{}", query.finish())
}

/// What `form-action` must allow for the way back: browsers apply it to the redirect as well.
pub(super) fn form_action(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return "'none'".to_owned() };
    match url.host() {
        Some(url::Host::Domain(_) | url::Host::Ipv4(_)) if url.origin().is_tuple() => {
            url.origin().ascii_serialization()
        }
        // CSP has no words for an IPv6 address, nor for the host of a scheme of one's own.
        Some(_) | None => format!("{}:", url.scheme()),
    }
}

/// The host of a loopback http URI and what follows its port.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = LOOPBACK.into_iter().find(|host| rest.starts_with(host))?;
    let rest = rest.strip_prefix(host)?;
    let after = match rest.strip_prefix(':') {
        None => rest,
        Some(port) => port.trim_start_matches(|digit: char| digit.is_ascii_digit()),
    };
    (after.is_empty() || after.starts_with(['/', '?'])).then_some((host, after))
}

const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];
/// Schemes that run or read what they name.
const DANGEROUS: [&str; 6] = ["about", "blob", "data", "file", "javascript", "vbscript"];
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_port_of_a_registered_loopback_uri_matches() {
        assert!(matches("http://127.0.0.1/callback", "http://127.0.0.1:53412/callback"));
        assert!(matches("http://localhost:3000/callback", "http://localhost:3001/callback"));
        assert!(matches("http://[::1]:1/callback", "http://[::1]/callback"));
    }

    #[test]
    fn nothing_else_about_a_loopback_uri_is_free() {
        for asked in [
            "http://localhost:1/callback",
            "http://127.0.0.1:1/other",
            "http://127.0.0.1:1/callback?more",
            "https://127.0.0.1:1/callback",
            "http://127.0.0.1:1@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:1.evil.example/callback",
        ] {
            assert!(!matches("http://127.0.0.1/callback", asked), "{asked}");
        }
    }

    #[test]
    fn other_uris_match_byte_for_byte() {
        assert!(matches("https://app.example/back", "https://app.example/back"));
        assert!(!matches("https://app.example/back", "https://app.example:444/back"));
        assert!(!matches("https://app.example/back", "https://app.example/back/"));
    }

    #[test]
    fn registers_web_loopback_and_application_uris() {
        for uri in ["https://a.example/b", "http://[::1]:80/b", "cursor://x.y/oauth/callback"] {
            assert!(registrable(uri), "{uri}");
        }
    }

    #[test]
    fn registers_no_uri_that_is_open_or_dangerous() {
        for uri in [
            "http://a.example/b",
            "http://127.0.0.1.nip.example/b",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a.example/b#fragment",
            "https://a.example/b\r\nx: y",
            "/callback",
        ] {
            assert!(!registrable(uri), "{uri}");
        }
    }

    #[test]
    fn keeps_the_query_that_was_registered() {
        assert_eq!(with("https://a/b?c=d", &[("code", "x y")]), "https://a/b?c=d&code=x+y");
        assert_eq!(with("app:/b", &[("code", "x")]), "app:/b?code=x");
    }

    #[test]
    fn the_form_may_lead_to_the_clients_origin_only() {
        assert_eq!(form_action("http://localhost:6274/oauth"), "http://localhost:6274");
        assert_eq!(form_action("http://[::1]:1/b"), "http:");
        assert_eq!(form_action("cursor://x.y/oauth"), "cursor:");
    }
}
