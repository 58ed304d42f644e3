//! From what was written to what is believed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::file::{self, References, Section};
use super::invalid::{Invalid, Wrong};
use super::{
    Boot, CertificateFiles, ClientCertificates, Clients, Config, Log, OutboundRules, Rules, Tls,
    network, units,
};

mod assertion;
mod audit;
mod backend_tls;
mod dpop;
mod front;
mod issuer;
mod limits;
mod log;
mod policy;
mod proxies;
mod redirect;
mod session;
mod site;
mod traces;
mod upstream;
pub(super) mod value;

/// Every check there is; none comes later.
pub(super) fn check(text: &str) -> Result<Config, Invalid> {
    match file::read(text, References::Followed, config) {
        Ok(Some(config)) => Ok(config),
        // Unreachable by construction: what is missing has been noted.
        Ok(None) => Err(Invalid::new(Vec::new())),
        Err(problems) => Err(Invalid::new(problems)),
    }
}

fn config(mut root: Section<'_>) -> Option<Config> {
    let listen = root.optional("listen", value::address).unwrap_or(LISTEN);
    let tls = tls(&mut root, listen);
    let proxies = proxies::trusted(&mut root);
    let admin = admin(&mut root);
    let speaks_tls = matches!(tls, Some(Tls::Here { .. }));
    let knows_clients = speaks_tls || !proxies.networks.is_empty();
    let (limits, rates) = limits::all(&mut root, knows_clients);
    let outbound = outbound(&mut root);
    let log = log_rules(&mut root);
    let audit = audit::rules(&mut root);
    let traces = traces::rules(&mut root);
    let shutdown_delay = root.optional("shutdown_delay", units::duration_or_off);
    let shutdown_timeout = root.optional("shutdown_timeout", units::duration);
    let door = site::Door { listen, admin, speaks_tls };
    let sites = site::all(&mut root, &door);
    let redirect = redirect::listen(&mut root, [listen, admin], sites.as_deref());
    let issuers = issuer::all(&mut root, sites.as_ref().is_some_and(|sites| sites.len() > 1));
    let revocations = revocations(&mut root);
    let dpop = dpop::rules(&mut root);
    let session_keys = session::keys(&mut root);
    let assertion_key = assertion::key(&mut root, sites.as_deref());
    let front = front::rules(&mut root, issuers.as_deref(), sites.as_deref());
    agree(&root, listen, admin);
    let tls = tls?;
    Some(Config {
        boot: Boot {
            listen,
            redirect,
            tls: tls.clone(),
            proxies,
            admin,
            limits,
            outbound,
            log,
            audit,
            traces,
            shutdown_delay: shutdown_delay.flatten(),
            shutdown_timeout: shutdown_timeout.unwrap_or(Duration::from_secs(30)),
        },
        rules: Rules {
            sites: sites?,
            issuers: issuers?,
            revocations,
            dpop,
            session_keys,
            assertion_key,
            rates,
            front,
            client_certificates: match tls {
                Tls::Here { clients, .. } => clients.certificates,
                Tls::Off => ClientCertificates::Off,
            },
        },
    })
}

/// Settings that are good alone and impossible together.
fn agree(root: &Section<'_>, listen: SocketAddr, admin: SocketAddr) {
    if network::leads_to(listen, admin) || network::leads_to(admin, listen) {
        let reason = "metrics would be served where clients connect";
        root.wrong("admin", None, Wrong::new(reason, "give admin.listen another port"));
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
    let shown = certificate_files(&mut section);
    let others = section.sections("others").unwrap_or_default();
    let others = others.into_iter().filter_map(|mut other| certificate_files(&mut other)).collect();
    let clients = clients(&mut section);
    Some(Tls::Here { shown: shown?, others, clients })
}

fn clients(section: &mut Section<'_>) -> Clients {
    let asked = section.optional("client_certificates", value::client_certificates);
    let certificates = asked.unwrap_or(ClientCertificates::Off);
    let authorities = section.list("client_ca_files", value::path).unwrap_or_default();
    let revoked = section.list("client_crl_files", value::path).unwrap_or_default();
    let wrong = |key: &str, reason: &str, fix: &str| {
        section.wrong(key, section.written(key), Wrong::new(reason, fix));
    };
    let is_believed = section.had("client_ca_files");
    if certificates == ClientCertificates::Off && is_believed {
        let fix = "write client_certificates: asked or required, or remove the line";
        wrong("client_ca_files", "no client is asked for a certificate", fix);
    }
    if certificates == ClientCertificates::Required && !is_believed {
        let reason = "anybody can make a certificate: without an authority it keeps nobody out";
        let fix = "name the PEM files of who signs them in client_ca_files, or write asked";
        wrong("client_certificates", reason, fix);
    }
    if section.had("client_ca_files") && authorities.is_empty() {
        wrong("client_ca_files", "no authority is named", "name one at least, or remove the line");
    }
    if section.had("client_crl_files") && !is_believed {
        let fix = "name who signs the certificates and the lists in client_ca_files";
        wrong("client_crl_files", "lists of nobody who is believed", fix);
    }
    Clients { certificates, authorities, revoked }
}

fn certificate_files(section: &mut Section<'_>) -> Option<CertificateFiles> {
    let chain = section.required("certificate", value::path, "name the chain's PEM file");
    let key = section.required("key", value::path, "name the private key's PEM file");
    Some(CertificateFiles { chain: chain?, key: key? })
}

fn admin(root: &mut Section<'_>) -> SocketAddr {
    let section = root.section("admin");
    section.and_then(|mut admin| admin.optional("listen", value::address)).unwrap_or(ADMIN)
}

pub(super) fn outbound(root: &mut Section<'_>) -> OutboundRules {
    let Some(mut section) = root.section("outbound") else { return OutboundRules::default() };
    OutboundRules {
        ca_file: section.optional("ca_file", value::path),
        allow_networks: section.list("allow_networks", network::network).unwrap_or_default(),
    }
}

fn log_rules(root: &mut Section<'_>) -> Log {
    let mut log = Log::default();
    if let Some(mut section) = root.section("log") {
        log.format = section.optional("format", value::log_format).unwrap_or(log.format);
        log.levels = section.optional("level", log::levels).unwrap_or_default();
    }
    log
}

fn revocations(root: &mut Section<'_>) -> Option<PathBuf> {
    let fix = "name the file that lists what is revoked, or remove the section";
    root.section("revocations")?.required("file", value::path, fix)
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

#[cfg(test)]
mod tests;
