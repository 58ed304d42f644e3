//! By which names we may be called, and from which pages.

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Uri};

use super::framing::Misframed;
use crate::config::{Origins, Site};

/// A site's names and the pages that may call it.
#[derive(Debug)]
pub(super) struct Doors {
    hosts: Box<[String]>,
    origins: Origins,
}

impl Doors {
    pub(super) fn new(site: &Site) -> Self {
        let own = site.resource.origin();
        let usual = if own.starts_with("http:") { 80 } else { 443 };
        // Clients may say the usual port, and mostly do not.
        let spellings = site.names().into_iter().flat_map(|name| {
            let said = (!has_port(&name)).then(|| format!("{name}:{usual}"));
            std::iter::once(name).chain(said)
        });
        let origins = match &site.origins {
            Origins::Any => Origins::Any,
            Origins::Only(listed) => {
                Origins::Only(listed.iter().chain(std::iter::once(&own)).cloned().collect())
            }
        };
        Self { hosts: spellings.collect(), origins }
    }

    /// Whether the site goes by this name.
    pub(super) fn are_at(&self, host: &str) -> bool {
        self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// Whether one of its names, without a port, is this one.
    pub(super) fn are_named(&self, name: &str) -> bool {
        self.hosts.iter().any(|ours| without_port(ours).eq_ignore_ascii_case(name))
    }

    /// Judges the page that a request comes from, if a page sent it: a page that was brought to
    /// this machine must not speak with our users' authority (MCP 2026-07-28, Transports).
    pub(super) fn check_origin<'r>(
        &self,
        request: &'r Parts,
    ) -> Result<Option<&'r HeaderValue>, ForeignOrigin> {
        let mut origins = request.headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(None) };
        let listed = match &self.origins {
            // A page without an origin of its own could be anybody's.
            Origins::Any => origin != "null",
            Origins::Only(listed) => listed.iter().any(|listed| listed == origin),
        };
        if listed && origins.next().is_none() { Ok(Some(origin)) } else { Err(ForeignOrigin) }
    }
}

/// A page called that may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForeignOrigin;

fn has_port(host: &str) -> bool {
    without_port(host) != host
}

pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// The host that a request is for, if it names one and only one.
pub(super) fn host(request: &Parts) -> Result<&str, Misframed> {
    let mut fields = request.headers.get_all(HOST).iter();
    let field = fields.next().map(|host| host.to_str().map_err(|_| Misframed::Host)).transpose()?;
    let target = authority(&request.uri)?;
    match (target, field, fields.next()) {
        (Some(one), Some(other), None) if one.eq_ignore_ascii_case(other) => Ok(one),
        (Some(one), None, None) | (None, Some(one), None) if !one.is_empty() => Ok(one),
        _ => Err(Misframed::Host),
    }
}

/// HTTP/2's `:authority`, and that of a target in absolute form.
fn authority(target: &Uri) -> Result<Option<&str>, Misframed> {
    match target.authority() {
        // RFC 9110 section 4.2.4: a name before the host is how a URL is made to look like another.
        Some(authority) if authority.as_str().contains('@') => Err(Misframed::Host),
        authority => Ok(authority.map(http::uri::Authority::as_str)),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::config::Config;

    fn doors(resource: &str) -> Doors {
        let text = format!(
            "tls: off\nresource: {{{resource}}}\nissuers: [{{issuer: https://id.example}}]\n\
             upstream: {{address: unix:/b}}"
        );
        Doors::new(&Config::parse(&text).unwrap().rules.sites[0])
    }

    fn request(target: &str, hosts: &[&str], origins: &[&str]) -> Parts {
        let mut request = Request::get(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        for origin in origins {
            request = request.header(ORIGIN, *origin);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_site_goes_by_its_own_name_and_by_those_that_were_given() {
        let doors = doors("url: https://mcp.example/mcp, hosts: ['10.0.0.7:8443', mcp.internal]");
        for ours in [
            "mcp.example",
            "MCP.example",
            "mcp.example:443",
            "10.0.0.7:8443",
            "mcp.internal",
            "mcp.internal:443",
        ] {
            assert!(doors.are_at(ours), "{ours}");
        }
        for other in [
            "evil.example",
            "mcp.example.",
            "mcp.example:80",
            "mcp.example:8443",
            "xmcp.example",
            "mcp.example.evil.example",
            "10.0.0.7",
            "",
            "mcp.example:443:443",
        ] {
            assert!(!doors.are_at(other), "{other}");
        }
    }

    #[test]
    fn an_unusual_port_is_part_of_the_name() {
        let doors = doors("url: https://127.0.0.1:8443/mcp");
        assert!(doors.are_at("127.0.0.1:8443"));
        assert!(!doors.are_at("127.0.0.1") && !doors.are_at("127.0.0.1:443"));
    }

    #[test]
    fn a_request_names_one_host() {
        let named = |target: &str, hosts: &[&str]| {
            host(&request(target, hosts, &[])).map(str::to_owned).map_err(|_| ())
        };
        assert_eq!(named("/mcp", &["a"]), Ok("a".into()));
        assert_eq!(named("https://a/mcp", &[]), Ok("a".into()));
        assert_eq!(named("https://a/mcp", &["A"]), Ok("a".into()));
        for (target, hosts) in [
            ("/mcp", &[][..]),
            ("/mcp", &["a", "a"]),
            ("/mcp", &[""]),
            ("https://a/mcp", &["b"]),
            ("https://x@a/mcp", &[]),
            ("https://a/mcp", &["a", "a"]),
        ] {
            assert_eq!(named(target, hosts), Err(()), "{target} {hosts:?}");
        }
    }

    #[test]
    fn only_listed_pages_may_call() {
        let doors = doors("url: https://mcp.example/mcp, origins: ['https://app.example:8443']");
        let judged = |origins: &[&str]| {
            doors.check_origin(&request("/", &["a"], origins)).map(|origin| origin.is_some())
        };
        assert_eq!(judged(&[]), Ok(false));
        assert_eq!(judged(&["https://app.example:8443"]), Ok(true));
        assert_eq!(judged(&["https://mcp.example"]), Ok(true));
        for foreign in [
            "null",
            "",
            "https://app.example",
            "http://app.example:8443",
            "https://app.example:8443.evil.example",
            "https://evil.example",
            "HTTPS://mcp.example",
            "https://mcp.example/",
            "*",
        ] {
            assert_eq!(judged(&[foreign]), Err(ForeignOrigin), "{foreign}");
        }
        assert_eq!(judged(&["https://mcp.example", "https://mcp.example"]), Err(ForeignOrigin));
    }

    #[test]
    fn any_page_is_any_page_that_has_a_name() {
        let doors = doors("url: https://mcp.example/mcp, origins: ['*']");
        let judged = |origin| doors.check_origin(&request("/", &["a"], &[origin])).is_ok();
        assert!(judged("https://whoever.example") && !judged("null"));
    }
}
