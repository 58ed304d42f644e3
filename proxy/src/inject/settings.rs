//! The proxy's configuration, made of annotations, and checked by what will read it.

use serde_json::{Value, json};

use super::annotation::{PREFIX, Source, Wanted};
use super::{Problem, sidecar};
use crate::config::Config;

/// The configuration's text, unless a config map has it.
pub(super) fn written(wanted: &Wanted, problems: &mut Vec<Problem>) -> Option<String> {
    let Source::Annotations { .. } = &wanted.source else { return None };
    // The pod's address is known when it runs; any will do to check the rest.
    if let Err(invalid) = Config::parse(&settings(wanted, "192.0.2.1")?.to_string()) {
        problems.extend(invalid.told().map(|(key, found, why, fix)| {
            let (at, found) = annotation(key)
                .map_or((key.to_owned(), found), |name| (format!("{PREFIX}{name}"), found));
            Problem { at, found: found.map(str::to_owned), why: why.into(), fix: fix.into() }
        }));
    }
    serde_yaml::to_string(&settings(wanted, "${POD_IP}")?).ok()
}

fn settings(wanted: &Wanted, address: &str) -> Option<Value> {
    let Source::Annotations { resource_url, issuer, scopes, log_level } = &wanted.source else {
        return None;
    };
    let port = wanted.port;
    let tls = match wanted.tls_secret {
        Some(_) => json!({ "certificate": sidecar::CERTIFICATE, "key": sidecar::KEY }),
        // What brings requests into the pod has ended TLS.
        None => json!("terminated-in-front"),
    };
    Some(json!({
        // The app keeps the same port on loopback: nothing that names it has to change.
        "listen": format!("[{address}]:{port}"),
        "tls": tls,
        "admin": { "listen": format!("[{address}]:{}", sidecar::ADMIN_PORT) },
        "resource": { "url": resource_url, "scopes": scopes },
        "issuers": [{ "issuer": issuer }],
        "upstream": { "address": format!("127.0.0.1:{port}") },
        "log": { "level": log_level, "format": "json" },
    }))
}

/// The annotation that a setting came from.
fn annotation(key: &str) -> Option<&'static str> {
    let origins = [
        ("resource.url", "resource-url"),
        ("resource.scopes", "scopes"),
        ("resource", "resource-url"),
        ("issuers[0].issuer", "issuer"),
        ("log.level", "log-level"),
    ];
    origins.iter().find(|(setting, _)| key.starts_with(setting)).map(|(_, name)| *name)
}
