//! The status page: one document, with its style and its script in it and nothing from anywhere else.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::reply;

/// The page, and what browsers are told of it.
pub(crate) struct Page {
    policy: HeaderValue,
}

impl Page {
    pub(crate) fn new() -> Self {
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {}; img-src data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source("style"),
            source("script")
        );
        // Base64 and words of ours always fit.
        let policy = HeaderValue::try_from(policy);
        Self { policy: policy.unwrap_or(HeaderValue::from_static("default-src 'none'")) }
    }

    pub(super) fn answer(&self) -> http::Result<Response<Vec<u8>>> {
        let mut answer = reply(StatusCode::OK, "text/html; charset=utf-8", PAGE.into())?;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in GUARDS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(answer)
    }
}

/// The digest of what stands in the one element of this name: nothing else is run, or styles anything.
fn source(name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let content = PAGE.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    let content = content.map_or("", |(content, _)| content);
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, content.as_bytes())))
}

/// Whether this listener may be called so. Any page that its reader visits can have its own name lead
/// here, and would then be let read what is told: names that the whole world can have are refused.
pub(super) fn is_ours(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    let is_private = || PRIVATE.iter().any(|ending| name.ends_with(ending));
    name.parse::<IpAddr>().is_ok() || !name.contains('.') || is_private()
}

/// Endings that nobody can register: RFC 6762, ICANN's for private use, and clusters' own.
const PRIVATE: [&str; 4] = [".internal", ".local", ".localhost", ".svc"];

const GUARDS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

const PAGE: &str = include_str!("page.html");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_style_and_one_script_and_nothing_else_that_runs() {
        for name in ["style", "script"] {
            assert_eq!(PAGE.matches(&format!("<{name}")).count(), 1, "{name}");
            assert_eq!(PAGE.matches(&format!("<{name}>")).count(), 1, "{name}");
        }
        for risky in [
            "innerHTML",
            "insertAdjacent",
            "outerHTML",
            "document.write",
            "eval(",
            "http",
            "onclick",
        ] {
            let script = PAGE.split_once("<script>").unwrap().1;
            assert!(!script.contains(risky), "{risky}");
        }
    }

    #[test]
    fn a_name_that_anybody_can_register_is_not_ours() {
        for ours in [
            "127.0.0.1:9464",
            "10.1.2.3",
            "[::1]:9464",
            "localhost:9464",
            "postern",
            "postern.mcp.svc:9464",
            "postern.mcp.svc.cluster.local:9464",
            "POSTERN.LOCAL",
        ] {
            assert!(is_ours(Some(ours)), "{ours}");
        }
        for foreign in [
            "evil.example:9464",
            "127.0.0.1.evil.example",
            "local.evil.example",
            "evil.example.",
            "svc.com",
        ] {
            assert!(!is_ours(Some(foreign)), "{foreign}");
        }
        assert!(!is_ours(None));
    }
}
