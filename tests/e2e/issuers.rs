//! Authorization servers whose tokens are not what RFC 9068 asks for.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;

use super::post::post;
use super::{Provider, Stage, counterpart, told};
use crate::harness::{Issuer, Process, World, wait_until};

pub(super) fn asking(provider: &Provider) -> String {
    provider.admin("/format?format=opaque");
    let (id, secret) = &provider.gateway;
    // It says nothing of a subject where a client speaks for itself.
    format!(
        ", introspection: {{client_id: '{id}', client_secret: '{secret}', cache: 1s}}, \
         claims: {{subject: client_id}}"
    )
}

#[test]
fn a_real_authorization_server_vouches_for_its_opaque_tokens_until_they_are_revoked() {
    let stage = Stage::with("", asking);
    let (token, other) = (stage.provider.token(), stage.provider.token());
    assert!(!token.contains('.'), "{token} is not opaque");
    assert_eq!(stage.whoami(&token), "200");
    assert_eq!(stage.whoami(&other), "200");
    let response = stage.provider.post("/token/revocation", &format!("token={token}"));
    assert_eq!(response.status, 200, "{response:?}");
    wait_until("it is refused", || stage.whoami(&token) == "401");
    assert_eq!(stage.whoami(&other), "200");
    assert_eq!(stage.whoami("never-issued"), "401");
}

#[test]
fn what_a_real_authorization_server_will_not_judge_is_not_called_bad() {
    let stage = Stage::with("", asking);
    stage.provider.admin("/format?format=jwt");
    // It answers 400: structured tokens cannot be introspected there.
    assert_eq!(stage.whoami(&stage.provider.token()), "503");
}

/// npm's oauth2-mock-server: every token it signs has `typ: JWT`.
struct Old {
    issuer: String,
    address: SocketAddr,
    _process: Process,
}

impl Old {
    fn start() -> Self {
        let mut command = counterpart("node", "oauth2-mock-server.mjs");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let told = told(&mut process);
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let (issuer, address) = (text("issuer"), text("address").parse().unwrap());
        Self { issuer, address, _process: process }
    }

    fn token(&self, form: &str) -> Value {
        let response = post(self.address, "/token", &format!("{form}&scope=mcp%3Aread"));
        serde_json::from_str(&response.body).unwrap_or_else(|_| panic!("{response:?}"))
    }

    /// A gateway that trusts it, with further settings.
    fn guarded(&self, settings: &str) -> World {
        let settings = format!("issuers: [{{issuer: '{}'{settings}}}]", self.issuer);
        let world = World::unready(Issuer::start(), &settings);
        wait_until("the gateway has its keys", || world.is_ready());
        world
    }
}

const FOR_US: &str = "grant_type=client_credentials&aud=https%3A%2F%2Fmcp.example%2Fmcp";

#[track_caller]
fn is_refused(world: &World, token: &Value, description: &str) {
    let response = world.call(token.as_str().unwrap());
    assert_eq!(response.status, 401, "{response:?}");
    let challenge = World::challenge("invalid_token", description);
    assert_eq!(response.header("www-authenticate"), challenge);
    world.upstream.saw_nothing();
}

#[test]
fn a_server_from_before_access_tokens_had_a_type_is_refused_by_default() {
    let old = Old::start();
    let world = old.guarded("");
    let token = old.token(&format!("{FOR_US}&client_id=machine"));
    is_refused(&world, &token["access_token"], "the token is not an access token by its typ");
}

#[test]
fn a_server_from_before_access_tokens_had_a_type_is_believed_on_request() {
    let old = Old::start();
    let world = old.guarded(", typ: jwt-or-at, claims: {subject: client_id}");
    let token = old.token(&format!("{FOR_US}&client_id=machine"));
    assert_eq!(world.call(token["access_token"].as_str().unwrap()).status, 200);
    let seen = world.upstream.next();
    assert_eq!(seen.values("x-postern-subject"), ["machine"]);
    assert_eq!(seen.values("x-postern-issuer"), [old.issuer.as_str()]);
    assert_eq!(seen.values("x-postern-scopes"), ["mcp:read"]);

    let nobodys = old.token(FOR_US);
    let description = "the claim sub of the token is missing or malformed";
    is_refused(&world, &nobodys["access_token"], description);
    let person = old.token("grant_type=password&username=ada&password=x");
    is_refused(&world, &person["access_token"], "the token is for another audience");
    is_refused(&world, &person["id_token"], "the token is not an access token by its claims");
}
