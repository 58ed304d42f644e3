//! The proxy's word in writing.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::harness::{Post, Process, Reply, Server, Signer};

/// A backend that knows this signer's key.
async fn knowing(signer: &Signer, settings: &str) -> (Server, TempDir) {
    let directory = tempdir().unwrap();
    let keys = directory.path().join("keys.json");
    signer.publish(&keys);
    let settings = format!("{}\n{settings}", told(&keys.to_string_lossy()));
    (Server::with(&settings).await, directory)
}

fn told(keys: &str) -> String {
    format!(
        "assertion:\n  keys: {keys}\n  issuer: https://mcp.example\n  \
         audience: https://backend.example"
    )
}

const REQUIRED: &str = "  required: true";

fn asserted(assertion: &str) -> Post {
    Post::whoami().without_identity().with("X-Postern-Assertion", assertion)
}

#[tokio::test]
async fn believes_what_the_proxy_signed() {
    let signer = Signer::new();
    for settings in ["", REQUIRED] {
        let (server, _keys) = knowing(&signer, settings).await;
        let good = signer.sign(&Signer::header(), &Signer::claims());
        let expected = json!({
            "kind": "verified", "subject": "ada", "issuer": "https://id.example",
            "client_id": "editor", "scopes": ["mcp:read", "mcp:write"],
            "claims": { "email": "ada@example.com" },
        });
        // Whatever stands beside it, and by whatever name it was called: it is signed.
        let post = asserted(&good).with("X-Postern-Subject", "mallory");
        assert_eq!(server.send(post).await.answer(), expected);
        let elsewhere = asserted(&good).without("Host").with("Host", "backend.internal");
        assert_eq!(server.send(elsewhere).await.answer(), expected);
    }
}

/// Spoil a good assertion; it must be refused although there are good plain headers beside it.
async fn refuses(spoil: impl FnOnce(&mut Value, &mut Value)) {
    let signer = Signer::new();
    let (mut header, mut claims) = (Signer::header(), Signer::claims());
    spoil(&mut header, &mut claims);
    is_refused(&signer, &signer.sign(&header, &claims)).await;
}

async fn is_refused(signer: &Signer, assertion: &str) {
    let (server, _keys) = knowing(signer, "").await;
    let reply = server.send(Post::whoami().with("X-Postern-Assertion", assertion)).await;
    assert_eq!(reply.status(), "403", "{reply:?}");
}

#[tokio::test]
async fn refuses_one_for_another_backend() {
    refuses(|_, claims| claims["aud"] = json!("https://other.example")).await;
    refuses(|_, claims| drop(claims.as_object_mut().unwrap().remove("aud"))).await;
}

#[tokio::test]
async fn refuses_one_of_another_gateway() {
    refuses(|_, claims| claims["iss"] = json!("https://other.example")).await;
    refuses(|_, claims| drop(claims.as_object_mut().unwrap().remove("iss"))).await;
}

#[tokio::test]
async fn refuses_one_that_is_over_or_never_ends() {
    let now = Signer::claims()["iat"].as_u64().unwrap();
    refuses(|_, claims| claims["exp"] = json!(now - 10)).await;
    refuses(|_, claims| claims["exp"] = json!(now + 61)).await;
    refuses(|_, claims| drop(claims.as_object_mut().unwrap().remove("exp"))).await;
    refuses(|_, claims| drop(claims.as_object_mut().unwrap().remove("iat"))).await;
}

#[tokio::test]
async fn refuses_one_about_nobody() {
    refuses(|_, claims| claims["sub"] = json!("")).await;
    refuses(|_, claims| drop(claims.as_object_mut().unwrap().remove("sub_iss"))).await;
}

#[tokio::test]
async fn refuses_another_kind_of_token_that_the_same_key_signed() {
    refuses(|header, _| header["typ"] = json!("JWT")).await;
    refuses(|header, _| drop(header.as_object_mut().unwrap().remove("typ"))).await;
}

#[tokio::test]
async fn refuses_any_other_algorithm_and_any_other_key() {
    for algorithm in ["none", "HS256", "RS256"] {
        refuses(|header, _| header["alg"] = json!(algorithm)).await;
    }
    refuses(|header, _| header["kid"] = json!("two")).await;
    let stranger = Signer::new();
    is_refused(&Signer::new(), &stranger.sign(&Signer::header(), &Signer::claims())).await;
}

#[tokio::test]
async fn refuses_one_that_was_changed_or_is_none() {
    let signer = Signer::new();
    let good = signer.sign(&Signer::header(), &Signer::claims());
    let mut claims = Signer::claims();
    claims["sub"] = json!("mallory");
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
    is_refused(&signer, &parts.join(".")).await;
    for none in ["", "ada", ".."] {
        is_refused(&signer, none).await;
    }
}

#[tokio::test]
async fn refuses_two() {
    let signer = Signer::new();
    let (server, _keys) = knowing(&signer, "").await;
    let good = signer.sign(&Signer::header(), &Signer::claims());
    let twice = asserted(&good).with("X-Postern-Assertion", &good);
    assert_eq!(server.send(twice).await.status(), "403");
}

#[tokio::test]
async fn believes_plain_headers_too_unless_told_otherwise() {
    let signer = Signer::new();
    let (server, _keys) = knowing(&signer, "").await;
    assert_eq!(server.send(Post::whoami()).await.answer()["subject"], "ada");
    let (server, _keys) = knowing(&signer, REQUIRED).await;
    for forged in [Post::whoami(), Post::whoami().to("/api/v1/me").by_get(), Post::whoami().to("/")]
    {
        let reply = server.send(forged).await;
        assert_eq!(reply.status(), "403");
        assert!(reply.text().contains("X-Postern-Assertion is missing"), "{reply:?}");
    }
}

#[tokio::test]
async fn blames_nobody_where_the_keys_cannot_be_had() {
    let signer = Signer::new();
    let server = Server::with(&told("/nowhere/keys.json")).await;
    let good = signer.sign(&Signer::header(), &Signer::claims());
    assert_eq!(server.send(asserted(&good)).await.status(), "503");
}

#[tokio::test]
async fn is_required_only_where_somebody_says_whose_are_good() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("backend.yaml");
    std::fs::write(&path, "").unwrap();
    let options =
        ["--listen", "127.0.0.1:0", "--require-assertion", "--config", path.to_str().unwrap()];
    let ended = Process::start(&options).end().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("section assertion"), "{ended:?}");
}

async fn compatible(value: &str) -> Reply {
    let server = Server::with("trust_unverified_jwt_in_header: X-Validated-Jwt").await;
    server.send(Post::whoami().with("X-Validated-Jwt", value)).await
}

#[tokio::test]
async fn reads_a_token_that_nobody_verified_only_when_told_so_in_so_many_words() {
    let mut claims = Signer::claims();
    claims["iss"] = json!("https://id.example");
    claims["sub"] = json!("grace");
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    for value in
        [format!("e30.{payload}.c2ln"), payload.clone(), STANDARD.encode(claims.to_string())]
    {
        let answer = compatible(&value).await.answer();
        assert_eq!(
            (&answer["subject"], &answer["scopes"][0]),
            (&json!("grace"), &json!("mcp:read"))
        );
    }
    let ignored = Server::on_tcp().await;
    let reply = ignored.send(Post::whoami().with("X-Validated-Jwt", &payload)).await;
    assert_eq!(reply.answer()["subject"], "ada");
    claims["exp"] = json!(1);
    for value in
        [URL_SAFE_NO_PAD.encode(claims.to_string()), "e30".into(), "a.b".into(), "!".into()]
    {
        assert_eq!(compatible(&value).await.status(), "403", "{value}");
    }
}
