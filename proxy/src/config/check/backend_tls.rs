//! The section `upstream.tls`.

use std::net::IpAddr;

use url::Host;

use super::{certificate_files, value};
use crate::config::BackendTls;
use crate::config::file::Section;
use crate::config::invalid::Wrong;

/// None if there is none, or if there is something wrong with it.
pub(super) fn tls(upstream: &mut Section<'_>) -> Option<BackendTls> {
    let mut section = upstream.section("tls")?;
    let fix = "name the PEM file of who signs the backend's certificate; to believe whom this \
               machine believes, its own list, often /etc/ssl/certs/ca-certificates.crt";
    let authorities = section.required("ca_file", value::path, fix);
    let server_name = section.optional("server_name", name);
    let is_shown = section.has("certificate") || section.has("key");
    let shown = if is_shown { certificate_files(&mut section) } else { None };
    Some(BackendTls { server_name, authorities: authorities?, shown })
}

fn name(text: &str) -> Result<String, Wrong> {
    let is_name = Host::parse(text).is_ok() && !text.contains(['_', '[', '*']);
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("not a name that a certificate can be for", "write a host, without a port"))
}
