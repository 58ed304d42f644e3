//! Whether issuers, backends and certificates are as the configuration needs them now.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use http::HeaderValue;
use jsonwebtoken::Algorithm;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::summary::algorithms;
use super::{Finding, Grade};
use crate::config::{Address, Site, Source, Tls, Upstream};
use crate::edge::tls::{Dated, NoCertificate, dated, listed};
use crate::holder::KeyHolder;
use crate::introspect::ask_once;
use crate::outbound::Outbound;
use crate::pipeline::token::Inquiry;
use crate::refresh::look_once;
use crate::server::Prepared;
use crate::upstream::{handshake, server_name};

/// Tells of each check as soon as it is done.
pub(crate) async fn check(prepared: &Prepared, mut tell: impl FnMut(Finding)) {
    for holder in prepared.rules.issuers.iter().map(KeyHolder::new) {
        for finding in issuer(&holder, &prepared.outbound).await {
            tell(finding);
        }
    }
    for site in &prepared.rules.sites {
        for address in &site.upstream.addresses {
            tell(backend(address, &site.upstream).await);
        }
    }
    if let Tls::Here { shown, others, clients } = &prepared.boot.tls {
        let all: Vec<&Path> = std::iter::once(shown).chain(others).map(|it| &*it.chain).collect();
        for chain in &all {
            certificates("tls.certificate", chain).into_iter().for_each(&mut tell);
        }
        names(&all, &prepared.rules.sites).into_iter().for_each(&mut tell);
        for file in &clients.authorities {
            certificates("tls.client_ca_files", file).into_iter().for_each(&mut tell);
        }
        for file in &clients.revoked {
            lists(file).into_iter().for_each(&mut tell);
        }
    }
    if let Some(file) = &prepared.boot.outbound.ca_file {
        certificates("outbound.ca_file", file).into_iter().for_each(&mut tell);
    }
}

async fn issuer(holder: &KeyHolder, outbound: &Outbound) -> Vec<Finding> {
    let subject = format!("issuer {}", holder.issuer.issuer.as_str());
    let began = now();
    let sight = match look_once(holder, outbound).await {
        Ok(sight) => sight,
        Err(why) => return vec![Finding::new(Grade::Bad, subject, why.to_string())],
    };
    let took = now().saturating_sub(began);
    let mut findings = match &holder.issuer.source {
        Source::Keys(_) => keys(&subject, holder),
        Source::Introspection(_) => vec![asked(&subject, holder, outbound).await],
    };
    findings.extend(sight.skipped.iter().map(|skipped| {
        let id = skipped.id.as_deref().unwrap_or("-");
        let grade = if skipped.why.is_fault() { Grade::Warning } else { Grade::Good };
        Finding::new(grade, &subject, format!("key {id:?} is skipped: {}", skipped.why))
    }));
    findings.extend(sight.date.and_then(|date| clock(&subject, &date, began, took)));
    findings
}

fn keys(subject: &str, holder: &KeyHolder) -> Vec<Finding> {
    let Some(keys) = holder.keyring.current() else {
        return vec![Finding::new(Grade::Bad, subject, "no keys")];
    };
    let ids: Vec<String> = keys.keys().map(|key| format!("{key:?}")).collect();
    let found = format!("{} usable keys: {}", ids.len(), ids.join(", "));
    let unused: Vec<Algorithm> =
        holder.issuer.algorithms.iter().copied().filter(|a| !keys.can(*a)).collect();
    let unused = match &*unused {
        [] => String::new(),
        unused => format!("; no key for {}", algorithms(unused)),
    };
    vec![Finding::new(Grade::Good, subject, found + &unused)]
}

/// About a token that it cannot know: it must say that this one is not active, and no more.
async fn asked(subject: &str, holder: &KeyHolder, outbound: &Outbound) -> Finding {
    match ask_once(holder, outbound, Inquiry::of_nobody()).await {
        Ok(told) if told.is_active() => {
            Finding::new(Grade::Bad, subject, "it calls a token active that nobody has given")
        }
        Ok(_) => Finding::new(Grade::Good, subject, "it answers when it is asked about a token"),
        Err(why) => Finding::new(Grade::Bad, subject, why.to_string()),
    }
}

/// How far its clock is from ours. It is the clock of its web server, and so no more than a sign.
fn clock(subject: &str, date: &HeaderValue, began: Duration, took: Duration) -> Option<Finding> {
    let date = DateTime::parse_from_rfc2822(date.to_str().ok()?).ok()?.timestamp();
    let (theirs, ours) = (date, i64::try_from(began.as_secs()).ok()?);
    let late = i64::try_from(took.as_secs()).ok()?;
    let off = if theirs < ours { ours - theirs } else { (theirs - ours - late).max(0) };
    let side = if theirs < ours { "behind" } else { "ahead of" };
    Some(if off > TOLERABLE {
        let text =
            format!("its clock is {off}s {side} ours: tokens may come too early or end late");
        Finding::new(Grade::Warning, subject, text)
    } else {
        Finding::new(Grade::Good, subject, "its clock and ours agree")
    })
}

async fn backend(address: &Address, upstream: &Upstream) -> Finding {
    let subject = format!("upstream {address}");
    let dial = async {
        match address {
            Address::Tcp(at) => greet(TcpStream::connect(at).await?, address, upstream).await,
            Address::Unix(path) => greet(UnixStream::connect(path).await?, address, upstream).await,
            Address::Name { host, port } => {
                greet(TcpStream::connect((host.as_str(), *port)).await?, address, upstream).await
            }
        }
    };
    let dialled = timeout(upstream.connect_timeout, dial).await;
    match dialled.unwrap_or_else(|late| Err(io::Error::from(late))) {
        Ok(()) => Finding::new(Grade::Good, subject, "it can be connected to"),
        Err(error) => Finding::new(Grade::Bad, subject, error.to_string()),
    }
}

async fn greet(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    address: &Address,
    upstream: &Upstream,
) -> io::Result<()> {
    let Some(tls) = &upstream.tls else { return Ok(()) };
    handshake(tls, &server_name(address, upstream), stream).await
}

fn certificates(setting: &str, path: &Path) -> Vec<Finding> {
    let subject = format!("{setting} {}", path.display());
    match dated(path) {
        Ok(all) => all.iter().map(|one| dates(&subject, one)).collect(),
        Err(why) => vec![unreadable(&subject, &why)],
    }
}

/// Past its next update, whoever shows a certificate that a list is about is refused.
fn lists(path: &Path) -> Vec<Finding> {
    let subject = format!("tls.client_crl_files {}", path.display());
    let now = i64::try_from(now().as_secs()).unwrap_or(i64::MAX);
    let dated = |next: i64| match next - now {
        left if left <= 0 => {
            let text = format!("it was to be replaced {}s ago: nobody gets in by it", -left);
            Finding::new(Grade::Bad, &subject, text)
        }
        left => Finding::new(Grade::Good, &subject, format!("good for {left}s more")),
    };
    match listed(path) {
        Ok(all) => all.into_iter().map(dated).collect(),
        Err(why) => vec![unreadable(&subject, &why)],
    }
}

fn dates(subject: &str, certificate: &Dated) -> Finding {
    let now = i64::try_from(now().as_secs()).unwrap_or(i64::MAX);
    let day = |seconds: i64| seconds / DAY;
    let name = &certificate.subject;
    let (grade, text) = match (certificate.not_before - now, certificate.not_after - now) {
        (ahead, _) if ahead > 0 => (Grade::Bad, format!("not valid yet, for another {ahead}s")),
        (_, left) if left <= 0 => (Grade::Bad, format!("expired {} days ago", day(-left))),
        (_, left) if left < SOON => {
            (Grade::Warning, format!("expires soon, in {} days", day(left)))
        }
        (_, left) => (Grade::Good, format!("valid for {} days more", day(left))),
    };
    Finding::new(grade, subject, format!("{text} ({name})"))
}

/// Clients compare the name that they dialled with those of the leaf that they are shown.
fn names(chains: &[&Path], sites: &[Site]) -> Vec<Finding> {
    let leaf = |chain: &&Path| dated(chain).ok()?.into_iter().next();
    let leaves: Vec<Dated> = chains.iter().filter_map(leaf).collect();
    let hosts = sites.iter().filter_map(|site| site.resource.host());
    let is_foreign = |host: &String| {
        let host = host.trim_matches(['[', ']']);
        !leaves.is_empty() && !leaves.iter().any(|leaf| leaf.is_for(host))
    };
    let finding = |host: String| {
        let names: Vec<&str> =
            leaves.iter().flat_map(|leaf| leaf.names.iter().map(String::as_str)).collect();
        let names = names.join(", ");
        let text = format!("none is for {host}, but for {names}: clients will not connect");
        Finding::new(Grade::Warning, "tls.certificate", text)
    };
    hosts.filter(is_foreign).map(finding).collect()
}

fn unreadable(subject: &str, why: &NoCertificate) -> Finding {
    Finding::new(Grade::Bad, subject, why.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the dates of others are compared with the real clock"
)]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// In seconds: what a header's whole seconds and a busy machine make of agreeing clocks.
const TOLERABLE: i64 = 5;
const DAY: i64 = 86400;
const SOON: i64 = 21 * DAY;
