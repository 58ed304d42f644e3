//! From what was written to what is believed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::file::{self, Section};
use super::invalid::{Invalid, Wrong};
use super::{
    Boot, ClaimPath, ClientCertificates, Config, Forward, Limits, Log, LogFormat, OutboundRules,
    Resource, Rules, Tls, Upstream, network, units,
};

mod dpop;
mod issuer;
pub(super) mod value;

/// Every check there is; none comes later.
pub(super) fn check(text: &str) -> Result<Config, Invalid> {
    match file::read(text, config) {
        Ok(Some(config)) => Ok(config),
        // Unreachable by construction: what is missing has been noted.
        Ok(None) => Err(Invalid::new(Vec::new())),
        Err(problems) => Err(Invalid::new(problems)),
    }
}

fn config(mut root: Section<'_>) -> Option<Config> {
    let listen = root.optional("listen", value::address).unwrap_or(LISTEN);
    let tls = tls(&mut root, listen);
    let admin = admin(&mut root);
    let limits = limits(&mut root);
    let outbound = outbound(&mut root);
    let log = log(&mut root);
    let shutdown_timeout = root.optional("shutdown_timeout", units::duration);
    let protected = protected(&mut root);
    let issuers = issuer::all(&mut root, protected.as_ref().map(|(resource, ..)| resource));
    let upstream = upstream(&mut root);
    let forward = forward(&mut root);
    let revocations = revocations(&mut root);
    let dpop = dpop::rules(&mut root);
    if let Some((resource, ..)) = &protected {
        agree(&root, listen, admin, tls.as_ref(), resource, upstream.as_ref());
    }
    let (resource, name, documentation, scopes) = protected?;
    let tls = tls?;
    Some(Config {
        boot: Boot {
            listen,
            tls: tls.clone(),
            admin,
            limits,
            outbound,
            log,
            shutdown_timeout: shutdown_timeout.unwrap_or(Duration::from_secs(30)),
        },
        rules: Rules {
            resource,
            name,
            documentation,
            scopes,
            issuers: issuers?,
            upstream: upstream?,
            forward,
            revocations,
            dpop,
            client_certificates: match tls {
                Tls::Here { client_certificates, .. } => client_certificates,
                Tls::Off => ClientCertificates::Off,
            },
        },
    })
}

/// Settings that are good alone and impossible together.
fn agree(
    root: &Section<'_>,
    listen: SocketAddr,
    admin: SocketAddr,
    tls: Option<&Tls>,
    resource: &Resource,
    upstream: Option<&Upstream>,
) {
    if listen == admin && listen.port() != 0 {
        let reason = "metrics would be served where clients connect";
        root.wrong("admin", None, Wrong::new(reason, "give admin.listen another port"));
    }
    if upstream == Some(&Upstream::Tcp(listen)) {
        let reason = "requests would come back to the proxy for ever";
        root.wrong("upstream", None, Wrong::new(reason, "write the backend's own address"));
    }
    if matches!(tls, Some(Tls::Here { .. })) && resource.as_str().starts_with("http:") {
        let reason = "clients would dial it without TLS, and the listener speaks TLS";
        root.wrong("resource", None, Wrong::new(reason, "write https, or tls: off"));
    }
}

fn tls(root: &mut Section<'_>, listen: SocketAddr) -> Option<Tls> {
    if root.is_text("tls") {
        let in_front = root.optional("tls", value::no_tls)?;
        if !in_front && !listen.ip().is_loopback() {
            let reason = "tokens would cross the network in the clear";
            let fix = "give a certificate and a key, or write tls: terminated-in-front if a \
                       load balancer before this listener ends TLS";
            root.wrong("tls", root.written("tls"), Wrong::new(reason, fix));
            return None;
        }
        return Some(Tls::Off);
    }
    if !root.has("tls") {
        root.required("tls", value::text, "give tls.certificate and tls.key, or write tls: off")?;
    }
    let mut section = root.section("tls")?;
    let certificate = section.required("certificate", value::path, "name the chain's PEM file");
    let key = section.required("key", value::path, "name the private key's PEM file");
    let asked = section.optional("client_certificates", value::client_certificates);
    let client_certificates = asked.unwrap_or(ClientCertificates::Off);
    Some(Tls::Here { certificate: certificate?, key: key?, client_certificates })
}

fn admin(root: &mut Section<'_>) -> SocketAddr {
    let section = root.section("admin");
    section.and_then(|mut admin| admin.optional("listen", value::address)).unwrap_or(ADMIN)
}

fn limits(root: &mut Section<'_>) -> Limits {
    let mut limits = Limits {
        connections: 4096,
        handshake_timeout: Duration::from_secs(10),
        header_timeout: Duration::from_secs(15),
        idle_timeout: Duration::from_secs(75),
        body_timeout: Duration::from_secs(30),
        write_timeout: Duration::from_secs(30),
        header_bytes: 32 << 10,
        headers: 100,
        body_bytes: 4 << 20,
    };
    let Some(mut section) = root.section("limits") else { return limits };
    let durations = [
        ("handshake_timeout", &mut limits.handshake_timeout),
        ("header_timeout", &mut limits.header_timeout),
        ("idle_timeout", &mut limits.idle_timeout),
        ("body_timeout", &mut limits.body_timeout),
        ("write_timeout", &mut limits.write_timeout),
    ];
    for (key, slot) in durations {
        *slot = section.optional(key, units::duration).unwrap_or(*slot);
    }
    for (key, slot) in [("connections", &mut limits.connections), ("headers", &mut limits.headers)]
    {
        *slot = section.optional(key, units::count).unwrap_or(*slot);
    }
    for (key, slot) in
        [("header_bytes", &mut limits.header_bytes), ("body_bytes", &mut limits.body_bytes)]
    {
        *slot = section.optional(key, units::size).unwrap_or(*slot);
    }
    limits
}

fn outbound(root: &mut Section<'_>) -> OutboundRules {
    let Some(mut section) = root.section("outbound") else { return OutboundRules::default() };
    OutboundRules {
        ca_file: section.optional("ca_file", value::path),
        allow_networks: section.list("allow_networks", network::network).unwrap_or_default(),
    }
}

fn log(root: &mut Section<'_>) -> Log {
    let mut log = Log { format: LogFormat::Auto, level: tracing::Level::INFO };
    if let Some(mut section) = root.section("log") {
        log.format = section.optional("format", value::log_format).unwrap_or(log.format);
        log.level = section.optional("level", value::log_level).unwrap_or(log.level);
    }
    log
}

type Protected = (Resource, Option<String>, Option<url::Url>, Vec<super::Scope>);

fn protected(root: &mut Section<'_>) -> Option<Protected> {
    let fix = "say what is protected: resource.url is the address that clients are given, for \
               example https://mcp.example.com/mcp";
    if !root.has("resource") {
        root.required("resource", value::text, fix)?;
    }
    let mut section = root.section("resource")?;
    let url = section.required("url", value::resource, fix);
    let name = section.optional("name", value::text);
    let documentation = section.optional("documentation", value::link);
    let scopes = section.list("scopes", value::scope).unwrap_or_default();
    Some((url?, name, documentation, scopes))
}

fn upstream(root: &mut Section<'_>) -> Option<Upstream> {
    let fix = "say where the MCP server is: upstream.address is unix:/path or 127.0.0.1:PORT";
    if !root.has("upstream") {
        root.required("upstream", value::text, fix)?;
    }
    let mut section = root.section("upstream")?;
    let address = section.required("address", value::upstream, fix);
    let trusted = section.optional("trust_network", value::yes_or_no).unwrap_or(false);
    match address? {
        Upstream::Tcp(to) if !to.ip().is_loopback() && !trusted => {
            let reason = "the caller's identity would cross a network unprotected, where anybody \
                          could send the backend an identity of their own";
            let fix = "use a unix socket or a loopback address; if only this proxy can reach that \
                       address, say so with upstream.trust_network: true";
            let found = section.written("address");
            section.wrong("address", found, Wrong::new(reason, fix));
            None
        }
        address @ (Upstream::Tcp(_) | Upstream::Unix(_)) => Some(address),
    }
}

fn forward(root: &mut Section<'_>) -> Forward {
    let mut forward = Forward { claims: Vec::new(), authorization: super::Authorization::Strip };
    let Some(mut section) = root.section("forward") else { return forward };
    let claims = section.table("claims", value::header).into_iter();
    forward.claims = claims.map(|(claim, header)| (ClaimPath::new(&claim), header)).collect();
    for (index, (_, header)) in forward.claims.iter().enumerate() {
        if forward.claims.iter().take(index).any(|(_, earlier)| earlier == header) {
            let wrong = Wrong::new("two claims would share it", "give each claim its own header");
            section.wrong("claims", None, wrong);
        }
    }
    let kept = section.optional("authorization", value::authorization);
    forward.authorization = kept.unwrap_or(forward.authorization);
    forward
}

fn revocations(root: &mut Section<'_>) -> Option<PathBuf> {
    let fix = "name the file that lists what is revoked, or remove the section";
    root.section("revocations")?.required("file", value::path, fix)
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

#[cfg(test)]
mod tests;
