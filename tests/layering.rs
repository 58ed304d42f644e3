//! Data flows one way, so imports go one way. This is the list, lowest layer first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, what of ours it may use, and which outside worlds it may know.
type Layer = (&'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const LAYERS: &[Layer] = &[
    ("files",    &[],                                                          &["tokio"]),
    ("near",     &[],                                                          &[]),
    ("reason",   &[],                                                          &[]),
    ("config",   &["near"],                                                    &["cel", "chrono", "http", "jsonwebtoken", "serde", "serde_json", "serde_yaml", "tracing", "url"]),
    ("keys",     &[],                                                          &["arc_swap", "aws_lc_rs", "base64", "jsonwebtoken", "serde", "serde_json", "thiserror"]),
    ("record",   &["config", "reason"],                                                  &["arc_swap", "prometheus", "rustix", "tracing", "tracing_subscriber"]),
    ("audit",    &["config", "record"],                                        &["aws_lc_rs", "chrono", "serde", "serde_json", "thiserror", "tokio", "tracing"]),
    ("pipeline", &["config", "keys", "reason"],                                &["arc_swap", "aws_lc_rs", "base64", "bytes", "cel", "http", "jsonwebtoken", "moka", "serde", "serde_json", "thiserror", "url"]),
    ("holder",   &["config", "keys"],                                          &["arc_swap", "url"]),
    ("outbound", &["config"],                                                  &["base64", "bytes", "http", "reqwest", "rustls", "thiserror", "tokio", "url"]),
    ("refresh",  &["config", "files", "keys", "outbound", "pipeline", "record", "holder"], &["aws_lc_rs", "bytes", "http", "moka", "serde", "serde_json", "thiserror", "tokio", "tracing", "url"]),
    ("spans",    &["config", "outbound", "record"],                            &["http", "opentelemetry_proto", "prost", "tokio", "tracing"]),
    ("introspect", &["config", "holder", "outbound", "pipeline", "record"],    &["arc_swap", "base64", "http", "thiserror", "tokio", "tracing", "url"]),
    ("revoke",   &["config", "files", "pipeline", "record"],                   &["thiserror", "tokio", "tracing"]),
    ("trust",    &["config", "holder", "introspect", "outbound", "pipeline", "record", "refresh"], &["tokio"]),
    ("edge",     &["config", "files", "record"],                               &["arc_swap", "async_trait", "aws_lc_rs", "http", "pingora_core", "pingora_http", "rustix", "rustls", "socket2", "thiserror", "tokio", "tokio_rustls", "tracing", "x509_parser"]),
    ("upstream", &["config", "edge", "files", "pipeline", "record"],                            &["arc_swap", "async_trait", "aws_lc_rs", "http", "pingora_core", "pingora_http", "rustls", "thiserror", "tokio", "tokio_rustls", "tracing"]),
    ("register", &["config", "outbound", "refresh"],                          &["http", "serde_json", "thiserror", "url"]),
    ("front",    &["config", "outbound", "pipeline", "reason", "refresh", "trust"], &["aws_lc_rs", "base64", "bytes", "http", "moka", "serde", "serde_json", "thiserror", "tokio", "tracing", "url"]),
    ("snapshot", &["config", "front", "pipeline", "trust", "upstream"],                         &["arc_swap"]),
    ("explain",  &["config", "holder", "introspect", "keys", "outbound", "pipeline", "reason", "record", "refresh", "revoke", "snapshot"], &["aws_lc_rs", "bytes", "chrono", "http", "jsonwebtoken", "prometheus", "rustls", "serde_json", "thiserror", "tokio"]),
    ("reload",   &["config", "files", "record"],                               &["arc_swap", "aws_lc_rs", "serde", "tokio", "tracing"]),
    ("handover", &["record"],                                                  &["command_fds", "listenfd", "sd_notify", "thiserror", "tokio", "tracing"]),
    ("inject",   &["config", "edge", "record"],                                &["async_trait", "base64", "http", "pingora_core", "prometheus", "rustls", "serde", "serde_json", "serde_yaml", "thiserror", "tokio", "tracing"]),
    ("stream",   &["edge", "pipeline", "reason", "snapshot", "upstream"],      &["http", "thiserror", "tokio"]),
    ("exchange", &["edge", "pipeline", "reason", "record", "snapshot", "stream", "upstream"], &["bytes", "http", "pingora_core"]),
    ("gateway",  &["audit", "config", "edge", "exchange", "front", "pipeline", "reason", "record", "refresh", "snapshot", "spans", "stream", "upstream"], &["async_trait", "aws_lc_rs", "bytes", "http", "pingora_core", "pingora_http", "pingora_proxy", "tokio", "tracing"]),
    ("generation", &["config", "front", "holder", "outbound", "pipeline", "record", "refresh", "revoke", "snapshot", "stream", "trust", "upstream"], &["thiserror", "tokio"]),
    ("admin",    &["config", "edge", "holder", "keys", "reason", "record", "reload", "snapshot"],       &["async_trait", "aws_lc_rs", "base64", "http", "pingora_core", "pingora_http", "serde_json"]),
    ("redirect", &["edge", "pipeline", "record", "snapshot"],                  &["async_trait", "http", "pingora_core", "tracing"]),
    ("server",   &["admin", "audit", "config", "edge", "gateway", "generation", "handover", "outbound", "pipeline", "record", "redirect", "reload", "revoke", "spans", "upstream"], &["aws_lc_rs", "pingora_core", "pingora_proxy", "prometheus", "rustls", "socket2", "thiserror", "tokio", "tracing"]),
    ("validate", &["config", "edge", "holder", "introspect", "outbound", "pipeline", "refresh", "server", "upstream"], &["chrono", "http", "jsonwebtoken", "tokio"]),
    ("dev",      &["config", "handover", "outbound", "record", "server"],                  &["aws_lc_rs", "axum", "base64", "clap", "http", "jsonwebtoken", "rcgen", "serde", "serde_json", "tempfile", "thiserror", "tokio", "tracing", "url"]),
    ("cli",      &["audit", "config", "dev", "explain", "handover", "inject", "near", "outbound", "reason", "record", "register", "reload", "server", "validate"], &["clap", "rustix", "serde_json", "thiserror", "tokio", "tracing", "url"]),
    ("lib",      &["cli"],                                                     &["rustix", "rustls"]),
    ("main",     &[],                                                          &["mimalloc", "proxy"]),
];

/// Each module may use only those above it, so there can be no cycle.
#[test]
fn the_list_itself_points_upwards() {
    for (row, (module, inner, _)) in LAYERS.iter().enumerate() {
        for dependency in *inner {
            let above = LAYERS[..row].iter().any(|(name, ..)| name == dependency);
            assert!(above, "{module} uses {dependency}, which is not above it");
        }
    }
}

#[test]
fn modules_use_only_what_their_layer_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for file in files(&src) {
        let path = file.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
        let module = path.split(['/', '.']).next().unwrap();
        let layer = LAYERS.iter().find(|(name, ..)| *name == module);
        let (name, inner, outer) =
            layer.unwrap_or_else(|| panic!("{module} needs a line in LAYERS"));
        met.insert(name);
        if is_test(&path) {
            continue;
        }
        for (line, used) in paths(&code(&file)) {
            let allowed = match used {
                Used::Ours(other) => other == *name || inner.contains(&other.as_str()),
                Used::Crate(other) => outer.contains(&other.as_str()),
            };
            if !allowed {
                wrong.push(format!("{path}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layers:\n{}", wrong.join("\n"));
    assert_eq!(met.len(), LAYERS.len(), "a line in LAYERS is about no module");
}

enum Used {
    Ours(String),
    Crate(String),
}

/// Every `crate::x` and every path that begins with an outside crate, in imports and elsewhere.
fn paths(code: &str) -> Vec<(String, Used)> {
    let known: BTreeSet<&str> =
        LAYERS.iter().flat_map(|(_, _, outer)| outer.iter().copied()).collect();
    let mut found = Vec::new();
    for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        for path in words.filter(|word| word.contains("::")) {
            let mut parts = path.split("::");
            let (root, next) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            if root == "crate" {
                found.push((line.to_owned(), Used::Ours(next.to_owned())));
            } else if known.contains(root)
                && !code.contains(&format!("mod {root};"))
                && !imports(code, root)
            {
                found.push((line.to_owned(), Used::Crate(root.to_owned())));
            }
        }
        if let Some(root) = line.strip_prefix("use ").and_then(|rest| rest.split("::").next())
            && !["crate", "self", "std", "super"].contains(&root)
            && !code.contains(&format!("mod {root};"))
            && root.chars().all(|c| c.is_lowercase() || c == '_' || c.is_numeric())
        {
            found.push((line.to_owned(), Used::Crate(root.to_owned())));
        }
    }
    found
}

/// Whether `root` is a name here that was brought in from somewhere else.
fn imports(code: &str, root: &str) -> bool {
    let uses = code.lines().map(str::trim_start).filter_map(|line| line.strip_prefix("use "));
    let mut elsewhere = uses.filter(|path| path.split("::").next() != Some(root));
    elsewhere.any(|path| {
        path.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == root)
    })
}

fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.ends_with("rig.rs") || path.contains("/tests/")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
