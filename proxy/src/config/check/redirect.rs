//! The section `redirect`.

use std::net::SocketAddr;

use super::value;
use crate::config::Site;
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::network::leads_to;

/// Where clients come without TLS, if they may. `taken`: what the other listeners have.
pub(super) fn listen(
    root: &mut Section<'_>,
    taken: [SocketAddr; 2],
    sites: Option<&[Site]>,
) -> Option<SocketAddr> {
    let mut section = root.section("redirect")?;
    let fix = "say where plain HTTP is answered, for example 0.0.0.0:80, or remove the section";
    let listen = section.required("listen", value::address, fix)?;
    let found = section.written("listen");
    if taken.iter().any(|other| leads_to(listen, *other) || leads_to(*other, listen)) {
        let wrong = Wrong::new("another listener is there", "give it an address of its own");
        section.wrong("listen", found.clone(), wrong);
    }
    let is_plain = |site: &Site| site.resource.as_str().starts_with("http:");
    if sites.is_some_and(|sites| sites.iter().any(is_plain)) {
        let reason = "a resource is reached over http itself: there is nowhere to lead clients";
        section.wrong("listen", found, Wrong::new(reason, "write https, or remove the section"));
    }
    Some(listen)
}
