//! The proxy in front of the server, and those who try to do without it.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::harness::{Connection, Post, Reply, Server, call};

fn ada() -> Value {
    json!({
        "kind": "verified",
        "subject": "ada",
        "issuer": "https://id.example",
        "client_id": "editor",
        "scopes": ["mcp:read", "mcp:write"],
    })
}

async fn speaks_2025_11_25(mut proxy: Connection) {
    let session = proxy.begin("ada").await;
    let reply = proxy.send(Post::legacy("tools/list", json!({})).in_session(&session)).await;
    assert_eq!(reply.result()["tools"].as_array().unwrap().len(), 6);
    assert_eq!(proxy.send(Post::legacy_whoami(&session)).await.answer(), ada());
    assert_eq!(proxy.send(Post::whoami().by_delete().in_session(&session)).await.status(), "405");
}

async fn speaks_2026_07_28(mut proxy: Connection) {
    let reply = proxy.send(Post::modern("server/discover", json!({}))).await;
    let versions = reply.result()["supportedVersions"].clone();
    assert!(versions.as_array().unwrap().contains(&json!("2026-07-28")), "{versions}");
    let reply = proxy.send(Post::modern("tools/list", json!({}))).await;
    assert_eq!(reply.result()["cacheScope"], "private");
    let whoami = Post::modern("tools/call", call("whoami", json!({})));
    assert_eq!(proxy.send(whoami).await.answer(), ada());
    let echo = Post::modern("tools/call", call("echo", json!({ "message": "hi" })));
    assert_eq!(proxy.send(echo).await.answer()["echo"], "hi");
}

#[tokio::test]
async fn speaks_2025_11_25_over_tcp() {
    speaks_2025_11_25(Server::on_tcp().await.connect().await).await;
}

#[tokio::test]
async fn speaks_2026_07_28_over_tcp() {
    speaks_2026_07_28(Server::on_tcp().await.connect().await).await;
}

#[tokio::test]
async fn speaks_2025_11_25_over_a_unix_socket() {
    let directory = tempdir().unwrap();
    let server = Server::on_unix(&directory.path().join("mcp.sock")).await;
    speaks_2025_11_25(server.connect().await).await;
}

#[tokio::test]
async fn speaks_2026_07_28_over_a_unix_socket() {
    let directory = tempdir().unwrap();
    let server = Server::on_unix(&directory.path().join("mcp.sock")).await;
    speaks_2026_07_28(server.connect().await).await;
}

#[tokio::test]
async fn tells_two_callers_on_one_connection_apart() {
    let mut proxy = Server::on_tcp().await.connect().await;
    for subject in ["ada", "grace", "ada", "grace"] {
        let reply = proxy.send(Post::whoami().by(subject)).await;
        assert_eq!(reply.answer()["subject"], subject);
    }
}

#[tokio::test]
async fn leaves_out_what_the_proxy_left_out() {
    let bare = Post::whoami().without("X-Postern-Client-Id").without("X-Postern-Scopes");
    let expected = json!({
        "kind": "verified", "subject": "ada", "issuer": "https://id.example", "scopes": [],
    });
    assert_eq!(Server::on_tcp().await.send(bare).await.answer(), expected);
}

#[tokio::test]
async fn promises_nothing_of_whoami_that_it_may_leave_out() {
    let tools = Server::on_tcp().await.send(Post::modern("tools/list", json!({}))).await.result();
    let tools = tools["tools"].as_array().unwrap();
    let whoami = tools.iter().find(|tool| tool["name"] == "whoami").unwrap();
    let required = &whoami["outputSchema"]["oneOf"][0]["required"];
    assert_eq!(*required, json!(["kind", "subject", "issuer", "scopes"]), "{whoami:#}");
}

#[tokio::test]
async fn reads_a_name_beyond_ascii() {
    let adele = Post::whoami().by("=?base64?QWTDqGxl?=");
    assert_eq!(Server::on_tcp().await.send(adele).await.answer()["subject"], "Adèle");
}

/// Spoil a request that would be answered; it must get 403, and learn which header was wrong.
async fn refuses(blamed: &str, spoil: impl FnOnce(Post) -> Post) -> Reply {
    let reply = Server::on_tcp().await.send(spoil(Post::whoami())).await;
    assert_eq!(reply.status(), "403", "{reply:?}");
    let body = reply.json();
    assert_eq!(body["error"], "forbidden");
    let description = body["error_description"].as_str().unwrap();
    assert!(description.starts_with(blamed) && description.contains("proxy"), "{description}");
    reply
}

#[tokio::test]
async fn refuses_a_caller_without_identity() {
    refuses("X-Postern-Subject is missing", Post::without_identity).await;
}

#[tokio::test]
async fn refuses_a_subject_without_issuer() {
    refuses("X-Postern-Issuer is missing", |post| post.without("X-Postern-Issuer")).await;
}

#[tokio::test]
async fn refuses_a_second_subject() {
    refuses("X-Postern-Subject is repeated", |post| post.with("X-Postern-Subject", "root")).await;
}

#[tokio::test]
async fn refuses_a_second_subject_in_another_case() {
    refuses("X-Postern-Subject is repeated", |post| post.with("x-postern-subject", "root")).await;
}

#[tokio::test]
async fn refuses_an_empty_subject() {
    refuses("X-Postern-Subject is empty", |post| post.by("")).await;
}

#[tokio::test]
async fn refuses_an_undecodable_subject() {
    refuses("X-Postern-Subject is neither", |post| post.by("=?base64?!?=")).await;
}

#[tokio::test]
async fn refuses_a_token_in_place_of_an_identity_and_never_repeats_it() {
    let forged = |post: Post| post.without_identity().with("Authorization", "Bearer forged");
    let reply = refuses("X-Postern-Subject is missing", forged).await;
    assert!(!reply.text().contains("forged"), "{reply:?}");
}

#[tokio::test]
async fn refuses_a_caller_without_identity_on_any_other_path() {
    refuses("X-Postern-Subject is missing", |post| post.without_identity().to("/")).await;
}

#[tokio::test]
async fn refuses_a_caller_without_identity_with_any_other_method() {
    refuses("X-Postern-Subject is missing", |post| post.without_identity().by_get()).await;
}

#[tokio::test]
async fn answers_the_next_request_on_a_connection_where_it_refused_one() {
    let mut proxy = Server::on_tcp().await.connect().await;
    assert_eq!(proxy.send(Post::whoami().without_identity()).await.status(), "403");
    assert_eq!(proxy.send(Post::whoami()).await.answer(), ada());
}

#[tokio::test]
async fn does_not_mind_a_token_beside_the_identity() {
    let both = Post::whoami().with("Authorization", "Bearer passed-through");
    let reply = Server::on_tcp().await.send(both).await;
    assert_eq!(reply.answer(), ada());
    assert!(!reply.text().contains("passed-through"), "{reply:?}");
}

#[tokio::test]
async fn serves_nothing_but_mcp() {
    let server = Server::on_tcp().await;
    assert_eq!(server.send(Post::whoami().to("/")).await.status(), "404");
    assert_eq!(server.send(Post::whoami().to("/mcp/")).await.status(), "404");
}

#[tokio::test]
async fn refuses_a_host_that_a_browser_was_tricked_into() {
    let rebound = Post::whoami().without("Host").with("Host", "evil.example");
    assert_eq!(Server::on_tcp().await.send(rebound).await.status(), "403");
}

/// A call by somebody with these scopes; the text of its answer, and whether that is an error.
async fn called(scopes: &str, tool: &str, arguments: Value) -> (bool, String) {
    let post = Post::modern("tools/call", call(tool, arguments));
    let post = post.without("X-Postern-Scopes").with("X-Postern-Scopes", scopes);
    let result = Server::on_tcp().await.send(post).await.result();
    let text = result["content"][0]["text"].as_str().unwrap().to_owned();
    (result["isError"] == true, text)
}

#[tokio::test]
async fn a_tool_is_for_those_who_hold_its_scope() {
    for (tool, scope, arguments) in [
        ("calculate", "mcp:write", json!({ "operation": "add", "operands": [2, 3] })),
        ("echo", "mcp:read", json!({ "message": "hi" })),
        ("get_timestamp", "mcp:read", json!({})),
        ("hello_world", "tool:user", json!({ "name": "Eve" })),
    ] {
        let (error, _) = called(scope, tool, arguments.clone()).await;
        assert!(!error, "{tool}");
        // A scope that only begins like it, and one that is written otherwise, are others.
        let others = format!("{scope}s {} role:admin", scope.to_uppercase());
        let (error, told) = called(&others, tool, arguments).await;
        assert!(error && told.contains(tool) && told.contains(scope), "{told}");
    }
}

#[tokio::test]
async fn what_a_tool_cannot_do_it_says_in_words() {
    let impossible = json!({ "operation": "divide", "operands": [1, 0] });
    let (error, told) = called("mcp:write", "calculate", impossible).await;
    assert_eq!((error, told.as_str()), (true, "operands: division by zero"));
    let (error, _) = called("mcp:read", "echo", json!({ "message": "hi", "shout": true })).await;
    assert!(error, "an argument that it does not know");
}

#[tokio::test]
async fn takes_no_more_than_it_can_carry() {
    let large = call("echo", json!({ "message": "x".repeat(5 << 20) }));
    let server = Server::on_tcp().await;
    assert_eq!(server.send(Post::modern("tools/call", large)).await.status(), "413");
    assert_eq!(server.send(Post::whoami()).await.status(), "200");
}
