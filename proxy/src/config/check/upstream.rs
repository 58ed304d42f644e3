//! The section `upstream`.

use std::time::Duration;

use super::{backend_tls, value};
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{Address, Check, Upstream, units};

pub(super) fn upstream(root: &mut Section<'_>) -> Option<Upstream> {
    if !root.has("upstream") {
        root.required("upstream", value::text, FIX)?;
    }
    let mut section = root.section("upstream")?;
    let addresses = addresses(&mut section);
    let trust_network = section.optional("trust_network", value::yes_or_no).unwrap_or(false);
    let connect_timeout = section.optional("connect_timeout", units::duration);
    let answer_timeout = section.optional("answer_timeout", units::duration_or_off);
    let open_requests = section.optional("open_requests", units::count_or_off);
    let check = section.section("check").map(check);
    let tls = backend_tls::tls(&mut section);
    let addresses = addresses?;
    let is_unnamed = tls.as_ref().is_some_and(|tls| tls.server_name.is_none());
    if is_unnamed && addresses.iter().any(|at| matches!(at, Address::Unix(_))) {
        let reason = "a unix socket has no name that a certificate could be for";
        let fix = "write the name of the backend's certificate as upstream.tls.server_name";
        section.wrong("tls", None, Wrong::new(reason, fix));
    }
    // A backend that knows us takes nobody else's word.
    let is_known = tls.as_ref().map_or(section.had("tls"), |tls| tls.shown.is_some());
    let trust_network = trust_network || is_known;
    if !trust_network {
        tell_of_networks(&section, &addresses)?;
    }
    Some(Upstream {
        addresses,
        trust_network,
        tls,
        connect_timeout: connect_timeout.unwrap_or(CONNECT),
        answer_timeout: answer_timeout.flatten(),
        open_requests: open_requests.flatten(),
        check,
    })
}

/// One, or a list.
fn addresses(section: &mut Section<'_>) -> Option<Vec<Address>> {
    if section.is_text("address") || !section.has("address") {
        return section.required("address", value::upstream, FIX).map(|one| vec![one]);
    }
    let all = section.list("address", value::upstream)?;
    if all.is_empty() {
        section.wrong("address", None, Wrong::new("requests could go nowhere", FIX));
        return None;
    }
    for (index, address) in all.iter().enumerate() {
        if all.iter().take(index).any(|earlier| earlier == address) {
            let wrong = Wrong::new("it is listed twice", "write each server once");
            section.wrong_at("address", index, wrong);
            return None;
        }
    }
    Some(all)
}

fn tell_of_networks(section: &Section<'_>, addresses: &[Address]) -> Option<()> {
    let index = addresses.iter().position(|address| !address.is_local());
    let Some(index) = index else { return Some(()) };
    let reason = "the caller's identity would cross a network unprotected, where anybody \
                  could send the backend an identity of their own";
    let fix = "use a unix socket or a loopback address; if only this proxy can reach that \
               address, say so with upstream.trust_network: true; or show the backend a certificate \
               (upstream.tls)";
    let wrong = Wrong::new(reason, fix);
    match addresses {
        [_] => section.wrong("address", section.written("address"), wrong),
        _ => section.wrong_at("address", index, wrong),
    }
    None
}

fn check(mut section: Section<'_>) -> Check {
    let path = section.optional("path", value::target);
    let status = section.optional("status", value::status);
    if let (None, Some(_)) = (&path, status) {
        let wrong = Wrong::new("nothing is asked for", "write what to ask for as path");
        section.wrong("status", section.written("status"), wrong);
    }
    let count =
        |count: Option<usize>, usual| count.and_then(|n| n.try_into().ok()).unwrap_or(usual);
    Check {
        path,
        status: status.unwrap_or(200),
        interval: section.optional("interval", value::check_interval).unwrap_or(INTERVAL),
        failures: count(section.optional("failures", units::count), 3),
        successes: count(section.optional("successes", units::count), 2),
    }
}

const FIX: &str = "say where the MCP server is: upstream.address is unix:/path, 127.0.0.1:PORT or \
                   a name with a port; or a list of them";
const CONNECT: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_secs(5);
