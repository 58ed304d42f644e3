//! Tokens that are bound to the certificate of whom they were given to (RFC 8705 section 3).

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, HandshakeKind, StreamOwned,
    SupportedProtocolVersion,
};
use serde_json::{Value, json};

use crate::harness::{
    ClientCertificate, H2, Identity, ProofKey, Response, Wire, World, wait_until,
};

const H1: &[&str] = &["http/1.1"];

/// The proxy with TLS of its own, and a client with a certificate of its own.
struct Scene {
    identity: Identity,
    world: World,
    client: ClientCertificate,
}

impl Scene {
    fn start() -> Self {
        let identity = Identity::new();
        let settings = identity.settings();
        let asked = settings.strip_suffix('}').unwrap();
        let world = World::with(&format!("{asked}, client_certificates: asked}}"));
        Self { identity, world, client: ClientCertificate::new() }
    }

    fn bound_token(&self) -> String {
        self.token(json!({ "x5t#S256": self.client.thumbprint() }))
    }

    fn token(&self, confirmation: Value) -> String {
        self.world.issuer.key.sign(&self.world.issuer.claims().set("cnf", confirmation))
    }

    fn showing(&self, certificate: &ClientCertificate) -> Wire {
        let client = self.identity.client_with(certificate, H1, ALL_VERSIONS);
        Identity::connect_as(self.world.gateway, client)
    }
}

#[track_caller]
fn is_refused(world: &World, response: &Response, description: &str) {
    assert_eq!(response.status, 401, "{response:?}");
    let challenge = World::dpop_challenge("invalid_token", description);
    assert_eq!(response.header("www-authenticate"), challenge);
    world.upstream.saw_nothing();
}

const NONE_SHOWN: &str =
    "the token is bound to a client certificate, and this connection showed none";
const OTHER_SHOWN: &str = "the token is bound to another client certificate";

#[test]
fn a_bound_token_passes_with_its_certificate_and_only_with_it() {
    let scene = Scene::start();
    let (world, token) = (&scene.world, scene.bound_token());
    assert_eq!(scene.showing(&scene.client).call(&token).status, 200);
    assert_eq!(world.upstream.next().values("x-postern-subject"), ["ada"]);
    // By now the token itself is remembered.
    let none = scene.identity.connect(world.gateway).call(&token);
    is_refused(world, &none, NONE_SHOWN);
    is_refused(world, &scene.showing(&ClientCertificate::new()).call(&token), OTHER_SHOWN);
}

#[test]
fn the_same_holds_over_http2_and_in_both_versions_of_tls() {
    let scene = Scene::start();
    let (world, token) = (&scene.world, scene.bound_token());
    let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
    for version in versions {
        let own = scene.identity.client_with(&scene.client, &["h2"], &[version]);
        assert_eq!(H2::connect_as(world.gateway, own).call(&token).status, 200, "{version:?}");
        world.upstream.next();
        let other = ClientCertificate::new();
        let other = scene.identity.client_with(&other, &["h2"], &[version]);
        is_refused(world, &H2::connect_as(world.gateway, other).call(&token), OTHER_SHOWN);
        let own = scene.identity.client_with(&scene.client, H1, &[version]);
        let mut wire = Identity::connect_as(world.gateway, own);
        for _ in 0..2 {
            assert_eq!(wire.call(&token).status, 200, "{version:?}");
            world.upstream.next();
        }
    }
}

#[test]
fn a_session_that_is_taken_up_again_keeps_its_certificate_and_gets_no_other() {
    let scene = Scene::start();
    let (world, token) = (&scene.world, scene.bound_token());
    let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
    for version in versions {
        let own = scene.identity.client_with(&scene.client, H1, &[version]);
        let anonymous = scene.identity.client(H1, &[version]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut wire = connect(world.gateway, &own, kind);
            assert_eq!(wire.call(&token).status, 200, "{version:?} {kind:?}");
            world.upstream.next();
            let mut wire = connect(world.gateway, &anonymous, kind);
            is_refused(world, &wire.call(&token), NONE_SHOWN);
        }
    }
}

/// Checks that the handshake was of this kind.
fn connect(address: SocketAddr, client: &Arc<ClientConfig>, kind: HandshakeKind) -> Wire {
    let mut tls = ClientConnection::new(Arc::clone(client), Identity::name()).unwrap();
    Wire::through(address, |mut socket| {
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        assert_eq!(tls.handshake_kind(), Some(kind));
        Box::new(StreamOwned::new(tls, socket))
    })
}

#[test]
fn whoever_shows_a_certificate_without_its_key_gets_no_connection() {
    let scene = Scene::start();
    let world = &scene.world;
    let token = scene.bound_token();
    let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
    for version in versions {
        let stolen = scene.client.stolen();
        let client = scene.identity.client_with(&stolen, H1, &[version]);
        is_shut_out(world, &token, client);
    }
}

#[test]
fn a_chain_that_nobody_wants_to_hold_ends_the_handshake() {
    let scene = Scene::start();
    let mut long = ClientCertificate::new();
    let filler = long.chain[0].clone();
    long.chain.extend(std::iter::repeat_n(filler, 60));
    let client = scene.identity.client_with(&long, H1, ALL_VERSIONS);
    is_shut_out(&scene.world, &scene.bound_token(), client);
}

#[test]
fn a_certificate_that_nobody_can_read_harms_nobody() {
    let mut scene = Scene::start();
    // A date in month 99: what checks signatures does not look.
    let (from, to) = (&b"750101000000Z"[..], &b"759901000000Z"[..]);
    let mut der = scene.client.chain[0].to_vec();
    let at = der.windows(from.len()).position(|bytes| bytes == from).unwrap();
    der[at..at + to.len()].copy_from_slice(to);
    scene.client = scene.client.altered(der);
    assert_eq!(scene.showing(&scene.client).call(&scene.bound_token()).status, 200);
}

#[track_caller]
fn is_shut_out(world: &World, token: &str, client: Arc<ClientConfig>) {
    let before = world.metric_in_all("postern_handshakes_failed_total");
    let mut wire = Identity::connect_as(world.gateway, client);
    wire.send(format!("GET /mcp HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"));
    assert_eq!(wire.rest(), "");
    world.upstream.saw_nothing();
    wait_until("it is counted", || world.metric_in_all("postern_handshakes_failed_total") > before);
}

#[test]
fn other_tokens_pass_with_a_certificate_or_without() {
    let scene = Scene::start();
    let token = scene.world.issuer.token();
    assert_eq!(scene.showing(&scene.client).call(&token).status, 200);
    assert_eq!(scene.identity.connect(scene.world.gateway).call(&token).status, 200);
}

#[test]
fn a_token_that_is_bound_twice_needs_both_proofs() {
    let scene = Scene::start();
    let (world, key) = (&scene.world, ProofKey::new());
    let both = json!({ "jkt": key.thumbprint(), "x5t#S256": scene.client.thumbprint() });
    let token = scene.token(both);
    let call = |mut wire: Wire, proof: Option<&str>| {
        let scheme = if proof.is_some() { "DPoP" } else { "Bearer" };
        let credentials = format!("{scheme} {token}");
        let mut headers = vec![("authorization", credentials.as_str())];
        headers.extend(proof.map(|proof| ("dpop", proof)));
        wire.request("POST", "/mcp", &headers, "{}")
    };
    let proof = key.sign(&key.proof("POST", "https://mcp.example/mcp", &token));
    let anonymous = scene.identity.connect(world.gateway);
    is_refused(world, &call(anonymous, Some(&proof)), NONE_SHOWN);
    let without_proof = call(scene.showing(&scene.client), None);
    let as_bearer = "the token is bound to a key: send it under the DPoP scheme, with a proof";
    is_refused(world, &without_proof, as_bearer);
    assert_eq!(call(scene.showing(&scene.client), Some(&proof)).status, 200);
}

#[test]
fn where_no_certificate_can_be_shown_a_bound_token_is_refused() {
    let own = ClientCertificate::new();
    let identity = Identity::new();
    for settings in [String::new(), "tls: terminated-in-front".into(), identity.settings()] {
        let world = World::with(&settings);
        let confirmation = json!({ "x5t#S256": own.thumbprint() });
        let token = world.issuer.key.sign(&world.issuer.claims().set("cnf", confirmation));
        let headers = format!("Bearer {token}");
        let headers = [("Authorization", headers.as_str()), ("Client-Cert", &own.thumbprint())];
        let mut wire = if settings == identity.settings() {
            let client = identity.client_with(&own, H1, ALL_VERSIONS);
            Identity::connect_as(world.gateway, client)
        } else {
            world.connect()
        };
        is_refused(&world, &wire.request("POST", "/mcp", &headers, "{}"), NONE_SHOWN);
        assert_eq!(advertised(&mut wire), None);
    }
    let scene = Scene::start();
    let mut wire = scene.identity.connect(scene.world.gateway);
    assert_eq!(advertised(&mut wire), Some(json!(true)));
}

fn advertised(wire: &mut Wire) -> Option<Value> {
    let place = "/.well-known/oauth-protected-resource";
    let document = wire.request("GET", place, &[], "").body;
    let document: Value = serde_json::from_str(&document).unwrap();
    document.get("tls_client_certificate_bound_access_tokens").cloned()
}

#[test]
fn a_token_bound_to_a_certificate_does_not_go_up() {
    let identity = Identity::new();
    let settings = identity.settings();
    let asked = settings.strip_suffix('}').unwrap();
    let keep = "forward: {authorization: keep}";
    let world = World::with(&format!("{asked}, client_certificates: asked}}\n{keep}"));
    let scene = Scene { identity, world, client: ClientCertificate::new() };
    assert_eq!(scene.showing(&scene.client).call(&scene.bound_token()).status, 200);
    assert_eq!(scene.world.upstream.next().values("authorization"), [""; 0]);
    let plain = scene.world.issuer.token();
    assert_eq!(scene.showing(&scene.client).call(&plain).status, 200);
    assert_eq!(scene.world.upstream.next().values("authorization"), [format!("Bearer {plain}")]);
}
