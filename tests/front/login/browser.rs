//! A browser, as far as a login sees one: it keeps cookies, and goes where it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use url::Url;

use crate::harness::{Response, Wire, World};

#[derive(Clone)]
pub(super) struct Browser {
    gateway: SocketAddr,
    accept: &'static str,
    cookies: BTreeMap<String, String>,
}

/// A login that has begun.
pub(super) struct Begun {
    /// Where the browser was sent.
    pub(super) to: Url,
    pub(super) response: Response,
}

impl Begun {
    #[track_caller]
    pub(super) fn parameter(&self, name: &str) -> String {
        let mut found = self.to.query_pairs().filter(|(key, _)| key == name);
        let value = found.next().unwrap_or_else(|| panic!("no {name} in {}", self.to)).1;
        assert!(found.next().is_none(), "{name} twice in {}", self.to);
        value.into_owned()
    }
}

impl Browser {
    pub(super) fn of_a_person(world: &World) -> Self {
        let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        Self { gateway: world.gateway, accept, cookies: BTreeMap::new() }
    }

    pub(super) fn of_a_program(world: &World) -> Self {
        Self { accept: "*/*", ..Self::of_a_person(world) }
    }

    /// The same one, led to another replica.
    pub(super) fn at(&self, world: &World) -> Self {
        Self { gateway: world.gateway, ..self.clone() }
    }

    pub(super) fn get(&mut self, path: &str) -> Response {
        let cookies = self.cookies();
        let mut headers = vec![("Accept", self.accept)];
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let response = Wire::connect(self.gateway).request("GET", path, &headers, "");
        for cookie in response.headers("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        response
    }

    #[track_caller]
    pub(super) fn begin(&mut self, path: &str) -> Begun {
        let response = self.get(path);
        assert_eq!(response.status, 303, "{response:?}");
        Begun { to: Url::parse(response.header("location")).unwrap(), response }
    }

    /// The issuer sends it back with this.
    pub(super) fn come_back(&mut self, query: &str) -> Response {
        self.get(&format!("/callback?{query}"))
    }

    /// As it sends them.
    pub(super) fn cookies(&self) -> String {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    pub(super) fn keeps_nothing(&self) -> bool {
        self.cookies.is_empty()
    }

    /// Each cookie it keeps, to be meddled with.
    pub(super) fn meddle(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.cookies
    }
}
