//! Issuers that are down, broken, moved or hostile: what was good goes on, and nothing bad is believed.

use std::net::ToSocketAddrs as _;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use crate::harness::{Certificate, Issuer, Key, World, wait_until};

#[test]
fn an_issuer_that_is_silent_at_start_is_waited_for_in_the_background() {
    let issuer = Issuer::start();
    issuer.fall_silent();
    let world = World::unready(issuer, "");
    let began = Instant::now();
    assert_eq!(world.call(&world.issuer.token()).status, 503);
    assert!(began.elapsed() < SLOW && !world.is_ready());
    assert!(world.admin("/readyz").body.contains("never fetched"));
    world.issuer.recover();
    wait_until("the proxy is ready", || world.is_ready());
    assert_eq!(world.call(&world.issuer.token()).status, 200);
}

/// Each of these must be refused as a whole, and what was known before must go on.
#[test]
fn no_bad_answer_replaces_good_keys() {
    let elsewhere = Issuer::start();
    let place = format!("{}/jwks", elsewhere.url());
    let world = World::start();
    let next = Key::new("second");
    elsewhere.publish(&[&next]);
    let fresh = next.sign(&world.issuer.claims());
    let good = json!({ "keys": [next.published()] }).to_string();
    let many = json!({ "keys": vec![next.published(); 10_000] }).to_string();
    let private = json!({ "keys": [with(&next, "d", "AQ")] }).to_string();
    let large = format!("{good}{}", " ".repeat(5 << 20));
    for spoil in [
        &|issuer: &Issuer| issuer.fail(500) as _,
        &|issuer: &Issuer| issuer.fail(404),
        &|issuer: &Issuer| issuer.publish_text("<html>log in</html>"),
        &|issuer: &Issuer| issuer.publish_text("{\"keys\":[]}"),
        &|issuer: &Issuer| issuer.publish_text(&large),
        &|issuer: &Issuer| issuer.publish_text(&many),
        &|issuer: &Issuer| issuer.publish_text(&private),
        &|issuer: &Issuer| issuer.move_to(&place),
    ] as [&dyn Fn(&Issuer); 8]
    {
        spoil(&world.issuer);
        assert_eq!(world.call(&fresh).status, 503, "nobody can say whether this key is good");
        assert_eq!(world.call(&world.issuer.token()).status, 200, "but this one was");
        assert!(world.is_ready());
    }
    assert_eq!(elsewhere.fetches(), 0, "no redirect is followed");
}

#[test]
fn metadata_cannot_send_the_proxy_to_an_address_that_is_not_public() {
    let stranger = Issuer::start_on("127.0.0.2:0");
    let numbered = format!("https://127.0.0.2:{}/jwks", port(&stranger));
    for (place, why) in [
        (numbered.clone(), "127.0.0.2 is loopback"),
        (numbered.replace("127.0.0.2", "[::ffff:127.0.0.2]"), "::ffff:127.0.0.2 is loopback"),
        (numbered.replace("127.0.0.2", "localhost"), "127.0.0.1 is loopback"),
        (format!("{}/jwks", stranger.url()), "it is not https"),
    ] {
        let issuer = Issuer::start();
        issuer.claim_keys_at(&place);
        let world = World::unready(issuer, "");
        let line = world.log_line("keys not fetched");
        assert!(line.contains(why), "{line}");
        assert!(line.contains("outbound.allow_networks") || why.contains("https"), "{line}");
        assert!(!world.is_ready());
    }
    assert_eq!(stranger.fetches(), 0);
}

/// This machine's own name: who asks for it learns an address that is not public.
#[test]
fn a_name_that_leads_inside_is_not_dialled() {
    let name = Command::new("uname").arg("-n").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap().trim().to_lowercase();
    let is_known = (name.as_str(), 0).to_socket_addrs().is_ok();
    let issuer = Issuer::start();
    issuer.claim_keys_at(&format!("https://{name}:{}/jwks", port(&issuer)));
    let world = World::unready(issuer, "");
    let line = world.log_line("keys not fetched");
    assert!(line.contains("outbound.allow_networks") || !is_known, "{line}");
}

#[test]
fn networks_that_the_operator_allows_are_dialled() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::write_for(directory.path(), &["127.0.0.2"]);
    let keys = Issuer::start_tls("127.0.0.2:0", &certificate);
    let issuer = Issuer::start();
    issuer.claim_keys_at(&format!("{}/jwks", keys.url()));
    keys.publish(&[&issuer.key]);
    let settings = format!(
        "outbound: {{ca_file: '{}', allow_networks: [127.0.0.2/32]}}",
        certificate.authority.display()
    );
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    assert_eq!(world.call(&world.issuer.token()).status, 200);
}

#[test]
fn an_issuers_certificate_must_be_trusted_and_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::write_for(directory.path(), &["127.0.0.1"]);
    let trusting = format!("outbound: {{ca_file: '{}'}}", certificate.authority.display());
    let start = |address, settings: &str| {
        World::unready(Issuer::start_tls(address, &certificate), settings)
    };
    let good = start("127.0.0.1:0", &trusting);
    wait_until("the proxy is ready", || good.is_ready());

    for (address, settings) in [("127.0.0.1:0", ""), ("127.0.0.2:0", &trusting)] {
        let world = start(address, settings);
        let line = world.log_line("keys not fetched");
        assert!(line.contains("certificate"), "{line}");
        assert!(!world.is_ready());
        assert_eq!(world.issuer.fetches(), 0);
    }
}

#[test]
fn metadata_may_be_where_openid_connect_puts_it() {
    let issuer = Issuer::start();
    issuer.speak_only_openid();
    let world = World::unready(issuer, "");
    wait_until("the proxy is ready", || world.is_ready());
}

#[test]
fn a_token_cannot_say_where_its_key_is() {
    let world = World::start();
    let stranger = Issuer::start();
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("at+jwt".into());
    header.kid = Some("first".into());
    let place = Some(format!("{}/jwks", stranger.url()));
    (header.jku, header.x5u) = (place.clone(), place);
    header.jwk = serde_json::from_value(stranger.key.published()).ok();
    let token = stranger.key.sign_as(&header, &world.issuer.claims());
    assert_eq!(world.call(&token).status, 401);
    assert_eq!(stranger.fetches() + stranger.asked(), 0);
    world.upstream.saw_nothing();
}

#[test]
fn odd_keys_are_skipped_and_told_and_the_rest_serves() {
    let world = World::start();
    let next = Key::new("second");
    let n = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xC1; bytes]);
    let rsa = |id: &str, n: String, e: &str| json!({"kty": "RSA", "kid": id, "n": n, "e": e});
    let set = json!({ "keys": [
        rsa("short", n(128), "AQAB"),
        rsa("even", n(256), "AQAA"),
        with(&next, "x", &URL_SAFE_NO_PAD.encode([7; 32])),
        with(&next, "d", "AQ"),
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        {"kty": "AKP", "kid": "\u{1b}[31m\nfuture", "alg": "ML-DSA-44"},
        world.issuer.key.published(),
        next.published(),
    ]});
    world.issuer.publish_text(&set.to_string());
    assert_eq!(world.call(&next.sign(&world.issuer.claims())).status, 200);
    let label = format!("{{issuer=\"{}\"}}", world.issuer.url());
    let skipped = world.metric(&format!("postern_keys_skipped{label}"));
    assert!((skipped - 6.0).abs() < f64::EPSILON, "{skipped}");
    for why in ["it is weak", "it is weak", "it is weak", "private numbers", "symmetric", "type"] {
        let line = world.log_line("key skipped");
        assert!(line.contains(why) && !line.contains('\u{1b}'), "{line}");
    }

    world.issuer.publish(&[&world.issuer.key, &next, &Key::new("third")]);
    world.call(&Key::new("unknown").sign(&world.issuer.claims()));
    assert!(world.metric(&format!("postern_keys_skipped{label}")) < 1.0);
}

#[test]
fn a_key_id_that_means_another_key_is_noticed() {
    let world = World::start();
    let old = world.issuer.token();
    assert_eq!(world.call(&old).status, 200);
    let (reused, other) = (Key::new("first"), Key::new("second"));
    world.issuer.publish(&[&reused, &other]);
    assert_eq!(world.call(&other.sign(&world.issuer.claims())).status, 200);
    assert!(world.log_line("key id reused").contains("\"first\""));
    let name = format!("postern_key_ids_reused_total{{issuer=\"{}\"}}", world.issuer.url());
    assert!((world.metric(&name) - 1.0).abs() < f64::EPSILON);
    assert_eq!(world.call(&reused.sign(&world.issuer.claims())).status, 200);
    assert_eq!(world.call(&old).status, 401);
}

fn port(issuer: &Issuer) -> String {
    issuer.url().rsplit(':').next().unwrap().to_owned()
}

/// The key as it is published, with one member spoilt.
fn with(key: &Key, member: &str, value: &str) -> Value {
    let mut published = key.published();
    published[member] = json!(value);
    published
}

const SLOW: Duration = Duration::from_secs(1);
