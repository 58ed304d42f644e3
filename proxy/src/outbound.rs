//! The only HTTP client: it follows no redirect, waits for nobody long, takes no more than it asked for,
//! and dials only where it may.

mod address;
pub(crate) mod credentials;
mod roots;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::{Issuer, Network, OutboundRules};
use address::{Policy, Refused};
pub(crate) use roots::NoRoots;

/// Fetches small documents.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    client: reqwest::Client,
    policy: Arc<Policy>,
    /// A host on loopback that the operator named: it may be dialled, and without TLS.
    own: Option<Host>,
}

impl Outbound {
    pub(crate) fn new(rules: &OutboundRules) -> Result<Self, CannotFetch> {
        Self::under(rules, Policy(rules.allow_networks.clone()))
    }

    /// For one place that the operator wrote out and nobody else has a say in: wherever that is, and
    /// without TLS where it has none.
    pub(crate) fn to(rules: &OutboundRules, place: &Url) -> Result<Self, CannotFetch> {
        let own = place.host().map(|host| host.to_owned());
        Ok(Self { own, ..Self::under(rules, Policy(Network::EVERY.to_vec()))? })
    }

    fn under(rules: &OutboundRules, policy: Policy) -> Result<Self, CannotFetch> {
        let policy = Arc::new(policy);
        let roots = rules.ca_file.as_deref().map(roots::read).transpose()?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_max_idle_per_host(MOST_IDLE)
            .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .tls_certs_merge(roots.unwrap_or_default())
            .dns_resolver(Guard(Arc::clone(&policy)))
            .build()?;
        Ok(Self { client, policy, own: None })
    }

    /// For addresses that begin with what the operator wrote: a host on loopback was meant.
    pub(crate) fn on_behalf_of(&self, written: &Url) -> Self {
        let own = written.host().filter(is_loopback).map(|host| host.to_owned());
        Self { own, ..self.clone() }
    }

    /// The same for what an issuer's metadata leads to.
    pub(crate) fn on_behalf_of_issuer(&self, issuer: &Issuer) -> Self {
        Url::parse(issuer.as_str()).map_or_else(|_| self.clone(), |url| self.on_behalf_of(&url))
    }

    /// The body of a 200, if it is no larger than it may be.
    pub(crate) async fn get(&self, url: &Url) -> Result<Document, Failed> {
        self.check(url)?;
        good(receive(self.client.get(url.clone())).await?)
    }

    /// The same, to a form.
    pub(crate) async fn post(
        &self,
        url: &Url,
        form: String,
        authorization: Option<HeaderValue>,
    ) -> Result<Bytes, Failed> {
        let headers = authorization.map(|value| (header::AUTHORIZATION, value));
        let question = Question {
            method: Method::POST,
            headers: headers.into_iter().collect(),
            content: Some(Content::Form(form)),
        };
        good(self.ask(url, question).await?).map(|document| document.body)
    }

    /// Whatever is answered, errors too: what they mean stands in their bodies.
    pub(crate) async fn ask(&self, url: &Url, question: Question) -> Result<Document, Failed> {
        self.check(url)?;
        let Question { method, headers, content } = question;
        let request = self.client.request(method, url.clone()).headers(headers);
        let request = match content {
            Some(Content::Form(form)) => request.header(header::CONTENT_TYPE, FORM).body(form),
            Some(Content::Json(json)) => request.header(header::CONTENT_TYPE, JSON).body(json),
            None => request,
        };
        receive(request).await
    }

    /// Brings something somewhere; what is said to that does not matter, if it is not no.
    pub(crate) async fn deliver(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(), Failed> {
        self.check(url)?;
        let request = self.client.post(url.clone()).headers(headers).body(body);
        let response = request.send().await.map_err(Failed::unreachable)?;
        let status = response.status();
        // Read, so that the connection can be used again.
        drop(read(response).await);
        if status.is_success() { Ok(()) } else { Err(Failed::Status(status)) }
    }

    /// What can be told before a name is looked up; the rest is up to [`Guard`].
    fn check(&self, url: &Url) -> Result<(), Failed> {
        let host = url.host().ok_or(Failed::Insecure)?;
        if self.own.as_ref().is_some_and(|own| *own == host.to_owned()) {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(Failed::Insecure);
        }
        let address: IpAddr = match host {
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
            Host::Domain(LOCALHOST) => Ipv4Addr::LOCALHOST.into(),
            Host::Domain(_) => return Ok(()),
        };
        self.policy.check(address).map_err(Failed::Refused)
    }
}

fn good(document: Document) -> Result<Document, Failed> {
    match document.status {
        StatusCode::OK => Ok(document),
        other => Err(Failed::Status(other)),
    }
}

async fn receive(request: reqwest::RequestBuilder) -> Result<Document, Failed> {
    let request = request.header(header::ACCEPT, JSON);
    let mut response = request.send().await.map_err(Failed::unreachable)?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    Ok(Document { status, headers, body: read(response).await? })
}

async fn read(mut response: reqwest::Response) -> Result<Bytes, Failed> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Failed::unreachable)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Failed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name.as_ref() == LOCALHOST,
    }
}

/// What somebody is asked, and how.
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Option<Content>,
}

/// What is sent along.
pub(crate) enum Content {
    /// Encoded already.
    Form(String),
    Json(String),
}

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Looks names up and gives out only addresses that may be dialled: the client connects to these and
/// to no others, so that a name cannot mean something else by then.
struct Guard(Arc<Policy>);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = dialable(&policy, name.as_str(), found)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn dialable(
    policy: &Policy,
    name: &str,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut refusal = None;
    let mut may = |address: &SocketAddr| {
        // That name was seen to be the operator's own.
        if name == LOCALHOST && address.ip().is_loopback() {
            return true;
        }
        let checked = policy.check(address.ip());
        refusal = refusal.or(checked.err());
        checked.is_ok()
    };
    let good: Vec<SocketAddr> = found.filter(|address| may(address)).collect();
    match refusal {
        Some(refused) if good.is_empty() => Err(refused.into()),
        None if good.is_empty() => Err(io::Error::other("the name has no address").into()),
        Some(_) | None => Ok(good),
    }
}

/// Why nothing can be fetched at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotFetch {
    #[error("{0}")]
    Roots(#[from] NoRoots),
    #[error(
        "the HTTP client cannot be set up: {why}; it needs the system's authorities (on Debian: \
         ca-certificates), or a file of them in outbound.ca_file",
        why = innermost(.0)
    )]
    Client(#[from] reqwest::Error),
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("it is not https")]
    Insecure,
    #[error("{0}")]
    Refused(#[source] Refused),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is larger than 1 MiB")]
    TooLarge,
}

impl Failed {
    fn unreachable(error: reqwest::Error) -> Self {
        // An address may hold what a reference in the configuration stands for.
        let error = error.without_url();
        Self::Unreachable(innermost(&error))
    }
}

/// The cause of a failure is layers down, and the only part worth reading.
fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// An issuer that is asked about tokens is asked about several at once.
const MOST_IDLE: usize = 16;
const CONNECT: Duration = Duration::from_secs(3);
const TOTAL: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 1 << 20;
const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(written: &str) -> Outbound {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let outbound = Outbound::new(&OutboundRules::default()).unwrap();
        outbound.on_behalf_of(&Url::parse(written).unwrap())
    }

    fn check(outbound: &Outbound, url: &str) -> Result<(), Failed> {
        outbound.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_public_issuer_cannot_send_us_inside() {
        let outbound = outbound("https://id.example");
        assert!(check(&outbound, "https://keys.example/jwks").is_ok());
        for url in [
            "https://169.254.169.254/latest",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://0x7f.1/",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert!(matches!(check(&outbound, url), Err(Failed::Refused(_))), "{url}");
        }
        assert!(matches!(check(&outbound, "http://keys.example/"), Err(Failed::Insecure)));
    }

    #[test]
    fn a_loopback_issuer_may_use_its_own_host_and_no_other_that_is_not_public() {
        let numbered = outbound("http://127.0.0.1:9");
        assert!(check(&numbered, "http://127.0.0.1:10/jwks").is_ok());
        assert!(check(&numbered, "https://127.0.0.2/").is_err());
        assert!(matches!(check(&numbered, "http://keys.example/"), Err(Failed::Insecure)));
        assert!(check(&numbered, "https://localhost/").is_err());
        let named = outbound("http://localhost:9");
        assert!(check(&named, "http://localhost:9/jwks").is_ok());
        assert!(check(&named, "http://127.0.0.1:9/jwks").is_err());
    }

    #[test]
    fn a_failure_does_not_show_what_was_asked_for() {
        let response =
            reqwest::Response::from(http::Response::builder().status(500).body("").unwrap());
        let error = response.error_for_status().unwrap_err();
        let error = error.with_url(Url::parse("https://id.example/jwks?key=s3cret").unwrap());
        let shown = Failed::unreachable(error).to_string();
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn of_a_names_addresses_only_public_ones_are_dialled() {
        let policy = Policy(Vec::new());
        let found = |addresses: &[&str]| -> Vec<SocketAddr> {
            addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
        };
        let dialable =
            |name, addresses: &[&str]| dialable(&policy, name, found(addresses).into_iter());
        assert_eq!(dialable("id.example", &["10.0.0.1", "1.1.1.1"]).unwrap(), found(&["1.1.1.1"]));
        let refusal = dialable("id.example", &["10.0.0.1", "::1"]).unwrap_err().to_string();
        assert!(refusal.starts_with("10.0.0.1 is private"), "{refusal}");
        assert!(dialable("id.example", &[]).is_err());
        assert!(dialable("localhost", &["127.0.0.1", "::1"]).is_ok());
        assert!(dialable("localhost", &["10.0.0.1"]).is_err(), "whatever the hosts file says");
        assert!(dialable("localhost.", &["127.0.0.1"]).is_err());
    }
}
