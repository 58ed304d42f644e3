//! A program that wants tokens, and the browser of whoever uses it.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::url;
use crate::harness::{Response, World};

pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Registered, and going about it as it should; a test spoils one thing.
pub(super) struct Program {
    pub(super) id: String,
    pub(super) redirect_uri: String,
}

/// What the verifier shows.
pub(super) fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

pub(super) fn register(world: &World, body: &str) -> Response {
    world.connect().request("POST", "/register", &[("Content-Type", "application/json")], body)
}

impl Program {
    pub(super) fn register(world: &World, redirect_uri: &str) -> Self {
        let asked = json!({"client_name": "Test program", "redirect_uris": [redirect_uri]});
        let response = register(world, &asked.to_string());
        assert_eq!(response.status, 201, "{response:?}");
        let told: Value = serde_json::from_str(&response.body).unwrap();
        let id = told["client_id"].as_str().unwrap().to_owned();
        Self { id, redirect_uri: redirect_uri.to_owned() }
    }

    /// What it asks for, with some of it otherwise; what is empty is left out.
    pub(super) fn query(&self, otherwise: &[(&str, &str)]) -> String {
        let challenge = challenge();
        let mut asked = BTreeMap::from([
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("state", "the-state"),
            ("scope", "mcp:read"),
            ("resource", "https://mcp.example/mcp"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        asked.extend(otherwise.iter().copied());
        let asked = asked.into_iter().filter(|(_, value)| !value.is_empty());
        Serializer::new(String::new()).extend_pairs(asked).finish()
    }

    pub(super) fn authorize(&self, world: &World, otherwise: &[(&str, &str)]) -> Response {
        world.request("GET", &format!("/authorize?{}", self.query(otherwise)), &[])
    }

    pub(super) fn send_people(&self, world: &World) -> Page {
        Page::of(self.authorize(world, &[]))
    }

    /// Up to a code, which is good for `answer` at the issuer.
    pub(super) fn code(&self, world: &World, code: &str, answer: &Value) -> String {
        let page = self.send_people(world);
        let to_issuer = page.allow(world);
        let challenge = parameter(&to_issuer, "code_challenge");
        world.issuer.tokens.gives_for_code(code, &challenge, answer);
        let state = parameter(&to_issuer, "state");
        let home = page.come_back(world, &format!("code={code}&state={state}"));
        parameter(&home, "code")
    }

    pub(super) fn redeem(&self, world: &World, code: &str, otherwise: &[(&str, &str)]) -> Response {
        let mut form = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
            ("resource", "https://mcp.example/mcp"),
        ]);
        form.extend(otherwise.iter().copied());
        post(world, "/token", &form, &[])
    }

    pub(super) fn renew(&self, world: &World, token: &str) -> Response {
        let form = BTreeMap::from([
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &self.id),
        ]);
        post(world, "/token", &form, &[])
    }
}

/// Sends a form; what is empty is left out.
pub(super) fn post(
    world: &World,
    path: &str,
    form: &BTreeMap<&str, &str>,
    headers: &[(&str, &str)],
) -> Response {
    let fields = form.iter().filter(|(_, value)| !value.is_empty());
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    world.connect().request("POST", path, &[&kind, headers].concat(), &body)
}

/// The page that asks people, and the browser that shows it.
pub(super) struct Page {
    pub(super) shown: Response,
    pub(super) cookie: String,
    pub(super) request: String,
}

impl Page {
    #[track_caller]
    pub(super) fn of(shown: Response) -> Self {
        assert_eq!(shown.status, 200, "{shown:?}");
        let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
        let request = shown.body.split("name=\"request\" value=\"").nth(1).unwrap();
        let request = request.split('"').next().unwrap().to_owned();
        Self { shown, cookie, request }
    }

    pub(super) fn answer(&self, world: &World, form: &[(&str, &str)], cookie: &str) -> Response {
        let mut fields = BTreeMap::from([("request", self.request.as_str())]);
        fields.extend(form.iter().copied());
        let from = [("Cookie", cookie), ("Origin", "https://mcp.example")];
        post(world, "/oauth/consent", &fields, &from)
    }

    #[track_caller]
    pub(super) fn allow(&self, world: &World) -> Url {
        leads_to(&self.answer(world, &[], &self.cookie))
    }

    #[track_caller]
    pub(super) fn deny(&self, world: &World) -> Url {
        leads_to(&self.answer(world, &[("deny", "deny")], &self.cookie))
    }

    #[track_caller]
    pub(super) fn come_back(&self, world: &World, query: &str) -> Url {
        leads_to(&returned(world, query, &self.cookie))
    }
}

/// What a browser with this cookie gets where the issuer sends it.
pub(super) fn returned(world: &World, query: &str, cookie: &str) -> Response {
    world.request("GET", &format!("/oauth/callback?{query}"), &[("Cookie", cookie)])
}

#[track_caller]
pub(super) fn leads_to(response: &Response) -> Url {
    assert_eq!(response.status, 303, "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    url(response.header("location"))
}

#[track_caller]
pub(super) fn parameter(url: &Url, name: &str) -> String {
    let mut found = url.query_pairs().filter(|(key, _)| key == name);
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned();
    assert!(found.next().is_none(), "{name} twice in {url}");
    value
}
