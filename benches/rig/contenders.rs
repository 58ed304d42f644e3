//! The proxies that are compared, and how each is started.

use std::env;
use std::fs;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::generator::Kind;
use super::process::pinned;
use super::site::{Site, part};
use crate::tokens::{ISSUER, RESOURCE};

/// A proxy that may be measured.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Whether a call without a token must be refused.
    pub(crate) authenticates: bool,
    /// What it is sent.
    pub(crate) call: Kind,
    /// At most so much of another one's CPU time for a request.
    pub(crate) aim: Option<(f64, &'static str)>,
    /// How to start it on an address; nothing where its program is absent.
    pub(crate) command: fn(&Site, SocketAddr) -> io::Result<Option<Command>>,
}

/// The first one is what the others are compared with.
pub(crate) const ALL: [Contender; 13] = [
    Contender {
        name: "pingora, TCP",
        authenticates: false,
        call: Kind::Usual,
        aim: None,
        command: pingora_tcp,
    },
    Contender {
        name: "pingora, unix socket",
        authenticates: false,
        call: Kind::Usual,
        aim: None,
        command: pingora_unix,
    },
    Contender {
        name: "postern, TCP",
        authenticates: true,
        call: Kind::Usual,
        aim: Some((1.10, "pingora, TCP")),
        command: postern_tcp,
    },
    Contender {
        name: "postern, unix socket",
        authenticates: true,
        call: Kind::Usual,
        aim: Some((0.85, "pingora, TCP")),
        command: postern_unix,
    },
    Contender {
        name: "postern, 2026-07-28",
        authenticates: true,
        call: Kind::Named,
        aim: None,
        command: postern_tcp,
    },
    Contender {
        name: "postern, 2026-07-28, a scope a tool",
        authenticates: true,
        call: Kind::Named,
        aim: Some((1.15, "postern, 2026-07-28")),
        command: postern_by_tool,
    },
    Contender {
        name: "postern, 1 KiB",
        authenticates: true,
        call: Kind::Large,
        aim: None,
        command: postern_tcp,
    },
    Contender {
        name: "postern, 1 KiB, a scope a tool",
        authenticates: true,
        call: Kind::Large,
        aim: Some((1.30, "postern, 1 KiB")),
        command: postern_by_tool,
    },
    Contender {
        name: "postern, audited",
        authenticates: true,
        call: Kind::Usual,
        aim: None,
        command: postern_audited,
    },
    Contender {
        name: "envoy jwt_authn",
        authenticates: true,
        call: Kind::Usual,
        aim: None,
        command: envoy,
    },
    Contender {
        name: "envoy jwt_authn, cached",
        authenticates: true,
        call: Kind::Usual,
        aim: None,
        command: envoy_cached,
    },
    Contender {
        name: "haproxy, plain",
        authenticates: false,
        call: Kind::Usual,
        aim: None,
        command: haproxy,
    },
    Contender {
        name: "nginx, plain",
        authenticates: false,
        call: Kind::Usual,
        aim: None,
        command: nginx,
    },
];

fn pingora_tcp(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    pingora(site, listen, &site.backend.to_string())
}

fn pingora_unix(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    pingora(site, listen, &site.unix_backend())
}

fn pingora(site: &Site, listen: SocketAddr, upstream: &str) -> io::Result<Option<Command>> {
    let mut command = part(site.cores.proxy, "bare")?;
    command.arg(listen.to_string()).arg(upstream);
    Ok(Some(command))
}

fn postern_by_tool(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    postern_with(site, listen, "postern-tools.yaml", &site.backend.to_string(), POLICY, "")
}

fn postern_audited(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    let upstream = site.backend.to_string();
    postern_with(site, listen, "postern-audited.yaml", &upstream, "{}", AUDIT)
}

fn postern_tcp(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    postern(site, listen, "postern-tcp.yaml", &site.backend.to_string())
}

fn postern_unix(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    postern(site, listen, "postern-unix.yaml", &site.unix_backend())
}

fn postern(
    site: &Site,
    listen: SocketAddr,
    file: &str,
    upstream: &str,
) -> io::Result<Option<Command>> {
    postern_with(site, listen, file, upstream, "{}", "")
}

fn postern_with(
    site: &Site,
    listen: SocketAddr,
    file: &str,
    upstream: &str,
    policy: &str,
    more: &str,
) -> io::Result<Option<Command>> {
    let config = include_str!("../counterparts/postern.yaml").replace("@UPSTREAM@", upstream);
    let config = config.replace("@POLICY@", policy) + more;
    let config = configure(site, listen, file, &config)?;
    let mut command = pinned(site.cores.proxy, Path::new(env!("CARGO_BIN_EXE_postern")));
    command.arg("run").arg("--config").arg(config);
    Ok(Some(command))
}

fn envoy(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    envoy_with(site, listen, "envoy.yaml", "")
}

fn envoy_cached(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    // Room for every token: its default is a hundred.
    envoy_with(site, listen, "envoy-cached.yaml", "jwt_cache_config: {jwt_cache_size: 1000}")
}

fn envoy_with(
    site: &Site,
    listen: SocketAddr,
    file: &str,
    cache: &str,
) -> io::Result<Option<Command>> {
    let Some(program) = find("envoy") else { return Ok(None) };
    let config = include_str!("../counterparts/envoy.yaml").replace("@CACHE@", cache);
    let config = configure(site, listen, file, &config)?;
    let mut command = pinned(site.cores.proxy, &program);
    // One worker on one core, and no look for another Envoy to take over from.
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]);
    command.arg(config);
    Ok(Some(command))
}

fn haproxy(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    let Some(program) = find("haproxy") else { return Ok(None) };
    let config =
        configure(site, listen, "haproxy.cfg", include_str!("../counterparts/haproxy.cfg"))?;
    let mut command = pinned(site.cores.proxy, &program);
    command.args(["-db", "-q", "-f"]).arg(config);
    Ok(Some(command))
}

fn nginx(site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
    let Some(program) = find("nginx") else { return Ok(None) };
    let config = configure(site, listen, "nginx.conf", include_str!("../counterparts/nginx.conf"))?;
    let mut command = pinned(site.cores.proxy, &program);
    command.args(["-e", "stderr", "-p"]).arg(site.directory()).arg("-c").arg(config);
    Ok(Some(command))
}

fn configure(site: &Site, listen: SocketAddr, file: &str, template: &str) -> io::Result<PathBuf> {
    let path = site.directory().join(file);
    let text = [
        ("@LISTEN@", listen.to_string()),
        ("@LISTEN_PORT@", listen.port().to_string()),
        ("@BACKEND@", site.backend.to_string()),
        ("@BACKEND_PORT@", site.backend.port().to_string()),
        ("@DIRECTORY@", site.directory().display().to_string()),
        ("@ISSUER@", ISSUER.to_owned()),
        ("@RESOURCE@", RESOURCE.to_owned()),
    ]
    .into_iter()
    .fold(template.to_owned(), |text, (mark, value)| text.replace(mark, &value));
    fs::write(&path, text)?;
    Ok(path)
}

/// What `prepare.sh` brought, or else what the machine has; Debian keeps servers off users' PATH.
fn find(program: &str) -> Option<PathBuf> {
    let prepared = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("bench/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    iter::once(prepared)
        .chain(env::split_paths(&path))
        .chain(iter::once(PathBuf::from("/usr/sbin")))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// An event for each call, tied to the one before.
const AUDIT: &str = "audit: {to: '@DIRECTORY@/audit.jsonl', chain: true}\n";

/// What decides by the tool that is called.
const POLICY: &str = "{scopes: [{tools: [weather], all: [mcp:write]}, \
    {tools: ['delete_*'], all: [mcp:admin]}], allow: [{tools: ['get_*']}, {tools: [weather]}]}";
