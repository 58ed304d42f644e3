//! A pipeline that trusts one issuer, and that issuer's key.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderValue, Request, header};
use proxy::config::Config;
use proxy::keys::{Keyring, jwks};
use proxy::pipeline::authorize::Permit;
use proxy::pipeline::channel::Channel;
use proxy::pipeline::framing::Bounds;
use proxy::pipeline::proof::Ledger;
use proxy::pipeline::token::Principal;
use proxy::pipeline::{Cells, Decision, Pipeline, Site};
use serde_json::json;

pub(super) const ISSUER: &str = "https://id.example";
pub(super) const RESOURCE: &str = "https://mcp.example/mcp";
pub(super) const SCOPE: &str = "mcp:read";
pub(super) const KEY_ID: &str = "one";

/// In seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;

/// Signatures of Ed25519 are the same every time, so a corpus of signed tokens stays good.
pub(super) struct Desk {
    pipeline: Pipeline,
    key: Ed25519KeyPair,
}

impl Desk {
    /// One site, one required scope.
    pub(super) fn new() -> Self {
        Self::of(&format!(
            "tls: off\nresource: {{url: {RESOURCE}, scopes: ['{SCOPE}']}}\n\
             issuers: [{{issuer: {ISSUER}}}]\nupstream: {{address: unix:/run/backend.sock}}\n"
        ))
    }

    /// With a configuration that trusts that issuer.
    pub(super) fn of(configuration: &str) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let published = json!({ "kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "x": x });
        let keyring = Arc::new(Keyring::default());
        let set = json!({ "keys": [published] }).to_string();
        let config = Config::parse(configuration).unwrap();
        let algorithms = &config.rules.issuers.first().unwrap().algorithms;
        keyring.replace(jwks::parse(set.as_bytes(), algorithms).unwrap().keys);
        Self { pipeline: pipeline(&config, keyring), key }
    }

    pub(super) fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        sign(&self.key, header, payload)
    }

    /// Whom it lets pass with this value of `Authorization`, if anybody.
    pub(super) fn admits(&self, authorization: HeaderValue) -> Option<Principal> {
        let request = request(authorization);
        let [first, again] = [0, 1].map(|_| self.decide(&request));
        assert_eq!(first, again, "a remembered token is judged like a new one");
        first
    }

    /// Whom it lets pass with a bound token and this proof, if anybody.
    pub(super) fn admits_proven(&self, token: &str, proof: HeaderValue) -> Option<Principal> {
        let mut request = request(HeaderValue::from_str(&format!("DPoP {token}")).unwrap());
        request.headers.insert("dpop", proof);
        self.decide(&request)
    }

    /// What becomes of a request.
    pub(super) fn ask(&self, request: &Parts) -> Decision {
        self.pipeline.decide(request, &Channel::default(), now())
    }

    /// What a permit is for.
    pub(super) fn site(&self, permit: &Permit) -> &Site {
        self.pipeline.site(permit).unwrap()
    }

    fn decide(&self, request: &Parts) -> Option<Principal> {
        admitted(&self.ask(request))
    }
}

/// Signs any two texts.
pub(super) fn sign(key: &Ed25519KeyPair, header: &[u8], payload: &[u8]) -> String {
    let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signed = format!("{header}.{payload}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A pipeline of that configuration.
pub(super) fn pipeline(config: &Config, keyring: Arc<Keyring>) -> Pipeline {
    let bounds =
        Bounds { target_bytes: 8 << 10, header_bytes: 32 << 10, headers: 100, body_bytes: 1 << 20 };
    let keyrings = vec![keyring; config.rules.issuers.len()];
    let ledger = Arc::new(Ledger::new([0; 32]));
    let cells = Cells { keyrings, revocations: Arc::default(), ledger };
    Pipeline::new(&config.rules, bounds, &cells)
}

pub(super) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(super) fn request(authorization: HeaderValue) -> Parts {
    let request = Request::post("/mcp").header(header::HOST, "mcp.example");
    request.header(header::AUTHORIZATION, authorization).body(()).unwrap().into_parts().0
}

fn admitted(decision: &Decision) -> Option<Principal> {
    match decision {
        Decision::Forward(permit) => Some(permit.principal().clone()),
        Decision::Answer(_)
        | Decision::NeedKey(_)
        | Decision::NeedIntrospection(_)
        | Decision::NeedBody
        | Decision::Front(_) => None,
    }
}
