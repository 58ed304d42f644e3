//! The request, as somebody has described it.

use std::net::IpAddr;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, pem};

use crate::config::{Config, Site};
use crate::pipeline::channel::Channel;

/// A request to the gateway, and how it gets there.
pub(crate) struct Sent {
    request: Request<Bytes>,
    certificate: Option<[u8; 32]>,
    address: Option<IpAddr>,
}

impl Sent {
    /// `POST` to the first resource, until it is told otherwise.
    pub(crate) fn new(config: &Config, line: Option<&str>) -> Result<Self, Unsendable> {
        let first = config.rules.sites.first();
        let usual = first.map_or("/", |site| site.resource.path());
        let line = line.unwrap_or("POST").trim();
        let (method, target) = line.split_once(' ').unwrap_or((line, ""));
        let target = Some(target.trim()).filter(|target| !target.is_empty()).unwrap_or(usual);
        let method: Method = method.parse().map_err(|_| Unsendable::Line)?;
        let uri: Uri = Some(target).filter(|t| !t.is_empty()).unwrap_or("/").parse()?;
        let host = uri.host().is_none().then(|| first.map(host)).flatten();
        let host = host.or_else(|| uri.authority().map(ToString::to_string)).unwrap_or_default();
        // As it goes over the wire: the host in its header, the path in the target.
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(method).uri(path).body(Bytes::new())?;
        request.headers_mut().insert(HOST, host.parse().map_err(|_| Unsendable::Line)?);
        Ok(Self { request, certificate: None, address: None })
    }

    /// The token, under the scheme that goes with the other headers.
    pub(crate) fn token(mut self, token: &str) -> Result<Self, Unsendable> {
        let scheme = if self.request.headers().contains_key("dpop") { "DPoP" } else { "Bearer" };
        let mut value =
            HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| Unsendable::Token)?;
        value.set_sensitive(true);
        self.request.headers_mut().append(AUTHORIZATION, value);
        Ok(self)
    }

    /// One field, as curl takes it. The host is the one that is said last; all else adds up.
    pub(crate) fn header(mut self, field: &str) -> Result<Self, Unsendable> {
        let (name, value) = field.split_once(':').ok_or(Unsendable::Header)?;
        let name: HeaderName = name.trim().parse().map_err(|_| Unsendable::Header)?;
        let value: HeaderValue = value.trim().parse().map_err(|_| Unsendable::Header)?;
        let headers = self.request.headers_mut();
        if name == HOST {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
        Ok(self)
    }

    /// What is sent with it.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = body.into();
        let body = self.request.body().len();
        let headers = self.request.headers_mut();
        headers.entry(CONTENT_LENGTH).or_insert_with(|| body.into());
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        self
    }

    /// Over TLS, with this certificate, in PEM: the first one, if authorities follow.
    pub(crate) fn certificate(mut self, pem: &str) -> Result<Self, Unsendable> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())?;
        let digest = digest::digest(&digest::SHA256, &certificate);
        self.certificate = digest.as_ref().try_into().ok();
        Ok(self)
    }

    /// From there, whatever its headers say.
    pub(crate) fn from(self, address: IpAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// Without another message a ping is sent, which everybody may who may anything.
    pub(super) fn into_parts(self) -> (Parts, Bytes, Channel<'static>) {
        let is_silent = self.request.method() == Method::POST && self.request.body().is_empty();
        let sent = if is_silent { self.body(PING) } else { self };
        let nothing = Channel::default();
        let address = sent.address.unwrap_or(nothing.address);
        let channel = Channel { certificate: sent.certificate, address, ..nothing };
        let (parts, body) = sent.request.into_parts();
        (parts, body, channel)
    }
}

fn host(site: &Site) -> String {
    site.names().into_iter().next().unwrap_or_default()
}

/// Scheme and token, as far as there are any.
pub(super) fn credentials(request: &Parts) -> Option<(&str, &str)> {
    let value = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.split_once(' ').map(|(scheme, token)| (scheme, token.trim_start()))
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Why no client could send such a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsendable {
    #[error("--request: write a method and a path or a URL, such as 'POST /mcp'")]
    Line,
    #[error("--request: {0}")]
    Target(#[from] http::uri::InvalidUri),
    #[error("--request: {0}")]
    Request(#[from] http::Error),
    #[error("--certificate: it is no certificate in PEM: {0}")]
    Certificate(#[from] pem::Error),
    #[error("--header: write a name, a colon and a value, such as 'Mcp-Method: tools/call'")]
    Header,
    #[error(
        "--token: there is a line break or another character in it that no header can carry: it \
         was not copied as one line"
    )]
    Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "tls: off\nresource: {url: 'https://mcp.example/mcp'}\n\
                    issuers: [{issuer: 'https://id.example'}]\nupstream: {address: 'unix:/b'}";
        Config::parse(text).unwrap()
    }

    fn sent(line: Option<&str>) -> (String, String) {
        let parts = Sent::new(&config(), line).unwrap().into_parts().0;
        let host = parts.headers[HOST].to_str().unwrap().to_owned();
        (format!("{} {}", parts.method, parts.uri), host)
    }

    #[test]
    fn what_is_not_said_is_what_a_client_would_send() {
        let at = |line: &str, host: &str| (line.to_owned(), host.to_owned());
        assert_eq!(sent(None), at("POST /mcp", "mcp.example"));
        assert_eq!(sent(Some("GET")), at("GET /mcp", "mcp.example"));
        assert_eq!(sent(Some("GET /mcp?a=b")), at("GET /mcp?a=b", "mcp.example"));
        assert_eq!(
            sent(Some("GET https://other.example:8443/")),
            at("GET /", "other.example:8443")
        );
    }

    #[test]
    fn a_proof_makes_the_scheme() {
        let scheme = |field: &str| {
            let sent = Sent::new(&config(), None).unwrap().header(field).unwrap();
            let parts = sent.token("t").unwrap().into_parts().0;
            credentials(&parts).unwrap().0.to_owned()
        };
        assert_eq!((scheme("DPoP: x"), scheme("X: y")), ("DPoP".into(), "Bearer".into()));
    }

    #[test]
    fn what_no_client_can_send_is_refused() {
        let sent = || Sent::new(&config(), None).unwrap();
        assert!(sent().token("a\nb").is_err());
        assert!(sent().header("no colon").is_err() && sent().header("a: b\r\nc: d").is_err());
        assert!(Sent::new(&config(), Some("P\0ST /")).is_err());
    }
}
