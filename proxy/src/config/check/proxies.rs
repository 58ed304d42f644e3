//! The section `trusted_proxies`.

use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{ClientFrom, TrustedProxies, network};

pub(super) fn trusted(root: &mut Section<'_>) -> TrustedProxies {
    let Some(mut section) = root.section("trusted_proxies") else {
        return TrustedProxies::default();
    };
    let networks = section.list("networks", network::network);
    let client_from = section.optional("client_from", client_from).unwrap_or_default();
    if !section.had("networks") || networks.as_ref().is_some_and(Vec::is_empty) {
        let fix = "list where the proxies are, for example [10.20.0.0/16], or remove the section";
        section.wrong("networks", None, Wrong::new("no proxy is named", fix));
    }
    TrustedProxies { networks: networks.unwrap_or_default(), client_from }
}

fn client_from(text: &str) -> Result<ClientFrom, Wrong> {
    match text {
        "x-forwarded-for" => Ok(ClientFrom::XForwardedFor),
        "forwarded" => Ok(ClientFrom::Forwarded),
        "proxy-protocol" => Ok(ClientFrom::ProxyProtocol),
        _ => Err(Wrong::new(
            "no such way to tell a client's address",
            "write x-forwarded-for, forwarded or proxy-protocol: what the proxies write themselves",
        )),
    }
}
