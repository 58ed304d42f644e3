//! The protected resource metadata document (RFC 9728).

use bytes::Bytes;
use serde::Serialize;

use super::proof::ALGORITHMS;
use crate::config::{ClientCertificates, Issuer, Rules, Scope, Site};

/// Written once per snapshot; served many times.
#[derive(Debug)]
pub(super) struct Metadata {
    path: String,
    url: String,
    document: Bytes,
    is_alone: bool,
}

impl Metadata {
    /// `is_alone` if the root form at its host can mean no other resource.
    pub(super) fn new(site: &Site, rules: &Rules, is_alone: bool) -> Self {
        // Section 3.1: the well-known part goes between host and path.
        let path = format!("{WELL_KNOWN}{}", site.resource.path());
        let origin = site.resource.origin();
        let document = Document {
            resource: site.resource.as_str(),
            authorization_servers: rules
                .issuers
                .iter()
                .map(|trusted| stand_in(&trusted.issuer, rules, &origin))
                .collect(),
            scopes_supported: site.scopes.iter().map(Scope::as_str).collect(),
            bearer_methods_supported: ["header"],
            dpop_signing_alg_values_supported: rules.dpop.offered.then_some(ALGORITHMS),
            dpop_bound_access_tokens_required: rules.dpop.offered.then_some(rules.dpop.required),
            tls_client_certificate_bound_access_tokens: match rules.client_certificates {
                ClientCertificates::Off => false,
                ClientCertificates::Asked | ClientCertificates::Required => true,
            },
            resource_name: site.name.as_deref(),
            resource_documentation: site.documentation.as_ref().map(url::Url::as_str),
        };
        Self {
            url: format!("{}{path}", site.resource.origin()),
            path,
            document: serde_json::to_vec(&document).unwrap_or_default().into(),
            is_alone,
        }
    }

    pub(super) fn document(&self) -> Bytes {
        self.document.clone()
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The same document at the root and at the endpoint's own place: clients try either. Some put
    /// a slash at the end.
    pub(super) fn is_at(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        path == self.path || (self.is_alone && path == WELL_KNOWN)
    }
}

/// Where clients are sent for this issuer's tokens: to us, where we stand in for it.
fn stand_in<'a>(issuer: &'a Issuer, rules: &Rules, origin: &'a str) -> &'a str {
    let front = rules.front.as_ref().filter(|front| front.issuer == *issuer);
    match front.and_then(|front| front.facade.as_ref()) {
        Some(_) => origin,
        None => issuer.as_str(),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<[&'a str; ALGORITHMS.len()]>,
    /// Said either way: MCP's conformance suite wants to read it (SEP-1932).
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_bound_access_tokens_required: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    tls_client_certificate_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<&'a str>,
}

/// RFC 9728 section 3.2: what is not so goes without saying.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_default(value: &bool) -> bool {
    !value
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
