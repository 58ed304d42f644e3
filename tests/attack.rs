//! What is done with tokens by those who have none that is good. Every test sends forgeries to one
//! proxy; each must be refused for what it is, and none may reach the backend.

mod algorithm;
mod call;
mod claims;
mod header;
mod issuer;
mod signature;

use std::fs;
use std::path::Path;

use proxy::pipeline::authenticate::Rejected;
use serde_json::Value;

use crate::harness::{Issuer, Key, Response, Wire, World, wait_until};

/// A proxy that is under attack, and the connection that its attacker keeps.
struct Siege {
    world: World,
    wire: Wire,
}

impl Siege {
    fn lay() -> Self {
        Self::on(World::start())
    }

    /// The issuer publishes these keys too, as they stand here.
    fn with_keys(keys: &[Value], settings: &str) -> Self {
        let issuer = Issuer::start();
        let keys = [&[issuer.key.published()], keys].concat();
        issuer.publish_text(&serde_json::json!({ "keys": keys }).to_string());
        let world = World::unready(issuer, settings);
        wait_until("the proxy is ready", || world.is_ready());
        Self::on(world)
    }

    fn on(world: World) -> Self {
        let wire = world.connect();
        Self { world, wire }
    }

    fn key(&self) -> &Key {
        &self.world.issuer.key
    }

    fn claims(&self) -> crate::harness::Claims {
        self.world.issuer.claims()
    }

    /// A good token with another header.
    fn with_header(&self, header: &str) -> String {
        self.key().sign_text(header, &self.claims().text())
    }

    /// A good token with other claims, as they are written.
    fn with_claims(&self, claims: &str) -> String {
        self.key().sign_text(&serde_json::to_string(&self.key().header()).unwrap(), claims)
    }

    #[track_caller]
    fn is_refused(&mut self, token: &str, why: Rejected) {
        let response = self.wire.call(token);
        let shown = &token[..token.len().min(300)];
        assert_eq!(response.status, 401, "{shown}\n{response:?}");
        let challenge = World::challenge("invalid_token", &why.to_string());
        assert_eq!(response.header("www-authenticate"), challenge, "{shown}");
        assert_eq!(response.header("cache-control"), "no-store");
    }

    /// Refused as one whose key nobody knows: the issuer is asked, though not every time.
    #[track_caller]
    fn has_no_key(&mut self, token: &str) {
        let response = self.wire.call(token);
        assert!([401, 503].contains(&response.status), "{response:?}");
    }

    #[track_caller]
    fn passes(&mut self, token: &str) {
        let response = self.wire.call(token);
        assert_eq!(response.status, 200, "{response:?}");
        self.world.upstream.next();
    }

    /// Nothing got through, and the gateway still does its work.
    #[track_caller]
    fn lift(mut self) {
        self.world.upstream.saw_nothing();
        let token = self.world.issuer.token();
        self.passes(&token);
    }
}

#[track_caller]
fn is_bad_request(response: &Response) {
    assert_eq!(response.status, 400, "{response:?}");
    assert!(response.header("www-authenticate").contains("invalid_request"), "{response:?}");
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let names: Vec<&str> = page
        .split('`')
        .filter(|text| text.matches('_').count() > 3 && !text.contains([' ', '/', '|']))
        .collect();
    assert!(names.len() > 30, "the page names only {names:?}");
    let places = [
        "tests",
        "tests/attack",
        "tests/e2e",
        "tests/front",
        "tests/front/facade",
        "tests/front/login",
        "proxy/src/config",
        "proxy/src/pipeline/tests",
        "proxy/src/pipeline/limit",
    ];
    let tests = places.map(|place| root.join(place));
    let entries = tests.iter().flat_map(|place| fs::read_dir(place).unwrap());
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let code: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "there is no {name}");
    }
}
