//! Which kind of request is this?

use http::Method;

use super::front::{Place, Places};
use super::site::Site;

#[derive(Debug)]
pub(super) enum Route<'s> {
    /// The protected resource metadata document (RFC 9728).
    Metadata(&'s Site),
    /// A browser asks whether a page may read the metadata.
    MetadataPreflight,
    /// What the OAuth front answers.
    Front(&'s Site, Place),
    /// Who we are.
    Landing(&'s Site),
    /// Whether we are alive.
    Health,
    /// An MCP endpoint and all below it.
    Protected(&'s Site),
    /// A public place, asked in a way that it does not answer; and those that it does.
    WrongMethod(&'static str),
    /// A path that two readers could take for two places.
    Ambiguous,
    /// A host that we do not answer for.
    ForeignHost,
    /// Anything else.
    Unknown,
}

/// What a request asks for, as far as that says where it goes.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
}

impl<'s> Route<'s> {
    /// Public places match exactly: a pattern is how a path slips past its guard. `sites` have the
    /// longer path before the shorter one.
    pub(super) fn of(asked: &Asked<'_>, sites: &'s [Site], front: &Places) -> Self {
        let Asked { method, host, path } = *asked;
        if is_ambiguous(path) {
            return Self::Ambiguous;
        }
        let mut here = sites.iter().filter(|site| site.is_at(host)).peekable();
        let Some(first) = here.peek().copied() else {
            // Probes call a machine by its address.
            return match path {
                HEALTH | HEALTHZ => Self::read_only(method, Self::Health, "GET, HEAD"),
                _ => Self::ForeignHost,
            };
        };
        // An endpoint comes before what is public: where it is the root, nothing below it is public
        // by accident.
        if let Some(site) = here.clone().find(|site| site.metadata().is_at(path)) {
            return match *method {
                Method::OPTIONS => Self::MetadataPreflight,
                _ => Self::read_only(method, Self::Metadata(site), "GET, HEAD, OPTIONS"),
            };
        }
        let is_endpoint = |site: &Site| path == site.endpoint();
        if let Some(place) = front.at(path, here.clone())
            && !here.clone().any(is_endpoint)
        {
            if place.answers(method) {
                return Self::Front(first, place);
            }
            return Self::WrongMethod(place.methods());
        }
        if let Some(site) = here.find(|site| is_within(path, site.endpoint())) {
            return Self::Protected(site);
        }
        match path {
            "/" => Self::read_only(method, Self::Landing(first), "GET, HEAD"),
            HEALTH | HEALTHZ => Self::read_only(method, Self::Health, "GET, HEAD"),
            _ => Self::Unknown,
        }
    }

    fn read_only(method: &Method, place: Self, allowed: &'static str) -> Self {
        if method == Method::GET || method == Method::HEAD {
            return place;
        }
        Self::WrongMethod(allowed)
    }
}

fn is_within(path: &str, endpoint: &str) -> bool {
    path.strip_prefix(endpoint).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Spellings that some reader would resolve to another path than the one we judge: refused, so
/// that the path which is judged is the path which is forwarded.
fn is_ambiguous(path: &str) -> bool {
    let mut segments = path.split('/').skip(1).peekable();
    let mut odd_segment = false;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        odd_segment |= matches!(segment, "." | "..") || (segment.is_empty() && !last);
    }
    !path.starts_with('/')
        || odd_segment
        || path.bytes().any(|byte| matches!(byte, b'\\' | b';' | b'%') || !byte.is_ascii_graphic())
}

const HEALTH: &str = "/health";
const HEALTHZ: &str = "/healthz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_readers_resolve_differently_are_ambiguous() {
        for path in [
            "/public/../mcp",
            "//mcp",
            "/mcp//x",
            "/%2e%2e/mcp",
            "/mcp%2Fx",
            "/.;/mcp",
            "/mcp;x=/healthz",
            "/mcp\\x",
            "/mcp%00",
            "/%252e/mcp",
            "/./mcp",
            "mcp",
            "",
        ] {
            assert!(is_ambiguous(path), "{path}");
        }
        for path in ["/", "/mcp", "/mcp/", "/mcp/sse", "/.well-known/x", "/a.b"] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }

    #[test]
    fn a_longer_name_is_another_place() {
        assert!(
            is_within("/mcp", "/mcp") && is_within("/mcp/", "/mcp") && is_within("/mcp/a", "/mcp")
        );
        assert!(!is_within("/mcpx", "/mcp") && !is_within("/mc", "/mcp"));
        assert!(is_within("/anything", ""));
    }
}
