//! Addresses: ours, our issuers', and those of pages.

use url::{Host, Url};

use super::Checked;
use crate::config::invalid::Wrong;
use crate::config::{Issuer, Resource};

/// An address that we or a client fetch from.
pub(in crate::config) fn link(text: &str) -> Checked<Url> {
    let url = Url::parse(text).map_err(|error| {
        Wrong::new(format!("not a URL: {error}"), "write an absolute https URL")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("it carries a user name or a password", "remove what is before @"));
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if on_loopback(&url) => Ok(url),
        "http" => Err(Wrong::new("plain http is for loopback only", "write https")),
        _ => Err(Wrong::new("neither https nor http", "write an absolute https URL")),
    }
}

fn on_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

pub(in crate::config::check) fn resource(text: &str) -> Checked<Resource> {
    let url = link(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("it has a query or a fragment", "end it with the endpoint's path"));
    }
    if url.path().contains(['%', ';']) || url.path().contains("//") {
        let reason = "its path could be read in more than one way";
        return Err(Wrong::new(reason, "use plain segments, for example /mcp"));
    }
    let resource = Resource(url);
    // Clients compare the string, so it must be the one that everybody else would write.
    if resource.as_str() != text {
        // Not shown as it should be: a reference may stand for a part of it.
        let fix = "use a lower-case host, no default port, no dot segments and no escapes";
        return Err(Wrong::new("it is not in its canonical form, which clients compare", fix));
    }
    if resource.0.path().len() > 1 && text.ends_with('/') {
        return Err(Wrong::new("clients would drop the slash at its end", "remove the slash"));
    }
    Ok(resource)
}

/// Another name of the listener's, as clients write it into `Host`.
pub(in crate::config::check) fn host(text: &str) -> Checked<String> {
    let url = Url::parse(&format!("https://{text}/"));
    let plain = url.is_ok_and(|url| {
        url.username().is_empty() && url.path() == "/" && url.query().is_none() && url.has_host()
    });
    if !plain || text.contains(['/', '?', '#', '@', '*']) {
        let fix = "write a host, with its port if that is unusual: mcp.internal or 10.0.0.7:8443";
        return Err(Wrong::new("not a host", fix));
    }
    Ok(text.to_ascii_lowercase())
}

/// Where a page is from, as browsers say it in `Origin`.
pub(in crate::config::check) fn origin(text: &str) -> Checked<String> {
    let url = Url::parse(text).ok();
    let spelled = url.map(|url| url.origin().ascii_serialization());
    if text == "*" || spelled.is_some_and(|spelled| spelled == text && spelled != "null") {
        return Ok(text.to_owned());
    }
    let fix = "write scheme and host, and the port if it is unusual, in lower case and without a \
               slash at the end: https://inspector.example.com; or \"*\" for every page";
    Err(Wrong::new("not an origin", fix))
}

pub(in crate::config) fn issuer(text: &str) -> Checked<Issuer> {
    let url = link(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        let reason = "it has a query or a fragment";
        return Err(Wrong::new(reason, "write the issuer as its metadata spells it"));
    }
    // Kept as written: clients and tokens compare it byte for byte.
    Ok(Issuer(text.to_owned()))
}
