//! What is answered where TLS is not spoken: where to come instead, and nothing else.

use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;
use url::form_urlencoded;

use super::Pipeline;
use super::framing::Misframed;
use super::origin::{host, without_port};

/// What becomes of a request that came in the clear.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// It is for the same place over https.
    Elsewhere(String),
    /// It carries a token, which whoever is on the way has read. To lead it on would hide that.
    Exposed,
    /// Nobody here goes by that name.
    Misdirected,
    /// It is none that can be led anywhere.
    Misframed(Misframed),
}

impl Pipeline {
    /// Judges a request that came in the clear.
    pub(crate) fn plain(&self, request: &Parts) -> Plain {
        if carries_a_token(request) {
            return Plain::Exposed;
        }
        let name = self.bounds.check_head(request).and_then(|()| host(request));
        let name = match name {
            Ok(name) => without_port(name),
            Err(why) => return Plain::Misframed(why),
        };
        let Some(site) = self.sites.iter().find(|site| site.is_named(name)) else {
            return Plain::Misdirected;
        };
        let target = request.uri.path_and_query().map_or("", |target| target.as_str());
        if !target.starts_with('/') {
            return Plain::Misframed(Misframed::Target);
        }
        match request.method {
            Method::GET | Method::HEAD => {
                Plain::Elsewhere(format!("{}{target}", site.resource().origin()))
            }
            // What was meant to be changed has been sent in the clear: no client shall get used to it.
            _ => Plain::Misframed(Misframed::Method),
        }
    }
}

/// In any of the ways in which clients send one (RFC 6750 section 2, RFC 9449), good or not.
fn carries_a_token(request: &Parts) -> bool {
    let headers = &request.headers;
    let in_header = headers.contains_key(AUTHORIZATION) || headers.contains_key("dpop");
    let query = request.uri.query().unwrap_or_default();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    in_header || names.any(|name| name.eq_ignore_ascii_case("access_token"))
}
