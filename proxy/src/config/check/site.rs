//! What is protected: the sections `resource`, `upstream` and `forward`, once in the file or once for
//! each entry of `sites`.

use std::net::SocketAddr;

use super::{policy, upstream, value};
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::network::leads_to;
use crate::config::{Address, Authorization, ClaimPath, Forward, Origins, Policy, Site, Upstream};

/// What of the listeners matters to a resource.
pub(super) struct Door {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) speaks_tls: bool,
}

/// One site, or those of the section `sites`.
pub(super) fn all(root: &mut Section<'_>, door: &Door) -> Option<Vec<Site>> {
    if !root.has("sites") {
        return site(root, door).map(|site| vec![site]);
    }
    for key in ["resource", "upstream", "forward"] {
        if root.has(key) {
            let reason = "sites are listed, and each has its own";
            root.wrong(key, None, Wrong::new(reason, "move it into an entry of sites"));
            root.ignore(key);
        }
    }
    let mut sites: Vec<Site> = Vec::new();
    let sections = root.sections("sites")?;
    let expected = sections.len();
    if sections.is_empty() {
        let fix = "list resource and upstream of each site, or write them without sites";
        root.wrong("sites", Some("an empty list".into()), Wrong::new("nothing is protected", fix));
    }
    for mut section in sections {
        let Some(site) = site(&mut section, door) else { continue };
        if sites.iter().any(|other| overlap(other, &site)) {
            let reason = "another site has the same host and path";
            section.wrong("resource", None, Wrong::new(reason, "give each its own resource.url"));
        }
        sites.push(site);
    }
    (expected > 0 && sites.len() == expected).then_some(sites)
}

fn overlap(one: &Site, other: &Site) -> bool {
    one.resource.path() == other.resource.path() && one.shares_a_name(other)
}

fn site(section: &mut Section<'_>, door: &Door) -> Option<Site> {
    let fix = "say what is protected: resource.url is the address that clients are given, for \
               example https://mcp.example.com/mcp";
    if !section.has("resource") {
        section.required("resource", value::text, fix);
    }
    let site = section.section("resource").and_then(|mut resource| {
        let url = resource.required("url", value::resource, fix);
        let name = resource.optional("name", value::text);
        let documentation = resource.optional("documentation", value::link);
        let scopes = resource.list("scopes", value::scope).unwrap_or_default();
        let hosts = resource.list("hosts", value::host).unwrap_or_default();
        let origins = origins(&mut resource);
        let policy = policy::rules(&mut resource);
        let websocket = websocket(&mut resource, &policy);
        url.map(|url| (url, name, documentation, scopes, hosts, origins, policy, websocket))
    });
    let upstream = upstream::upstream(section);
    let forward = forward(section);
    if let Some(upstream) = &upstream {
        not_ourselves(section, door, upstream);
    }
    let (resource, name, documentation, scopes, hosts, origins, policy, websocket) = site?;
    if door.speaks_tls && resource.as_str().starts_with("http:") {
        let reason = "clients would dial it without TLS, and the listener speaks TLS";
        section.wrong("resource", None, Wrong::new(reason, "write https, or tls: off"));
    }
    let upstream = upstream?;
    Some(Site {
        resource,
        name,
        documentation,
        scopes,
        policy,
        hosts,
        origins,
        websocket,
        upstream,
        forward,
    })
}

fn websocket(resource: &mut Section<'_>, policy: &Policy) -> bool {
    let wanted = resource.optional("websocket", value::yes_or_no).unwrap_or(false);
    if wanted && policy.reads_calls() {
        let reason = "policy has rules about calls, and what a WebSocket calls nobody here can see";
        let fix = "remove it, or have rules about every request only";
        let found = resource.written("websocket");
        resource.wrong("websocket", found, Wrong::new(reason, fix));
    }
    wanted
}

fn not_ourselves(section: &Section<'_>, door: &Door, upstream: &Upstream) {
    let reasons = [
        (door.listen, "requests would come back to the proxy for ever"),
        (door.admin, "requests would go to metrics and probes, at admin.listen"),
    ];
    for address in &upstream.addresses {
        let Address::Tcp(to) = address else { continue };
        for (_, reason) in reasons.into_iter().filter(|(at, _)| leads_to(*to, *at)) {
            section.wrong("upstream", None, Wrong::new(reason, "write the backend's own address"));
        }
    }
}

fn origins(resource: &mut Section<'_>) -> Origins {
    let listed = resource.list("origins", value::origin).unwrap_or_default();
    if listed.iter().any(|origin| origin == ANY) {
        return Origins::Any;
    }
    Origins::Only(listed)
}

fn forward(root: &mut Section<'_>) -> Forward {
    let mut forward =
        Forward { claims: Vec::new(), authorization: Authorization::Strip, assertion: None };
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
    forward.assertion = section.optional("assertion", value::text);
    forward
}

/// Every page.
const ANY: &str = "*";
