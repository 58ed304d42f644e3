//! `/api/v1`, for clients that speak no MCP.

use serde_json::{Value, json};

use crate::harness::{Post, Reply, Server};

async fn asked(path: &str) -> Value {
    let reply = Server::on_tcp().await.send(Post::whoami().by_get().to(path)).await;
    assert_eq!(reply.status(), "200", "{reply:?}");
    reply.json()
}

async fn called(tool: &str, body: Value) -> Reply {
    sent(post(tool, body)).await
}

fn post(tool: &str, body: Value) -> Post {
    Post::whoami().said(&body).to(format!("/api/v1/tools/{tool}"))
}

async fn sent(post: Post) -> Reply {
    Server::on_tcp().await.send(post).await
}

#[tokio::test]
async fn tells_callers_who_they_are() {
    let expected = json!({
        "sub": "ada", "iss": "https://id.example", "client_id": "editor",
        "scopes": ["mcp:read", "mcp:write"],
    });
    assert_eq!(asked("/api/v1/me").await, expected);
}

#[tokio::test]
async fn tells_callers_what_they_may_use() {
    let less = Post::whoami().by_get().to("/api/v1/tools").without("X-Postern-Scopes");
    let told = sent(less.with("X-Postern-Scopes", "mcp:read")).await.json();
    assert_eq!((&told["total"], &told["available"]), (&json!(3), &json!(2)), "{told:#}");
    let calculate = &told["tools"][2];
    assert_eq!(calculate["name"], "calculate");
    assert_eq!(
        (&calculate["available"], &calculate["required_scope"]),
        (&json!(false), &json!("mcp:write"))
    );
    assert_eq!(calculate["endpoint"], "/api/v1/tools/calculate");
    assert!(calculate["parameters"]["properties"]["operands"].is_object());
}

#[tokio::test]
async fn calls_the_same_tools() {
    let echo = called("echo", json!({ "message": "hi", "uppercase": true })).await.json();
    assert_eq!(echo["result"]["echo"], "HI");
    let sum = json!({ "operation": "add", "operands": [2, 3] });
    assert_eq!(called("calculate", sum).await.json()["result"]["result"], 5.0);
    let time = called("timestamp", json!({ "timezone": "Europe/Madrid" })).await.json();
    assert_eq!(time["result"]["timezone"], "Europe/Madrid");
}

#[tokio::test]
async fn says_what_was_wrong() {
    let by_zero = json!({ "operation": "divide", "operands": [1, 0] });
    let reply = called("calculate", by_zero).await;
    assert_eq!(reply.status(), "400");
    assert_eq!(reply.json()["error_description"], "operands: division by zero");
    assert_eq!(called("echo", json!({})).await.status(), "422");
    assert_eq!(called("echo", json!({ "message": "hi", "loud": true })).await.status(), "422");
    let text = post("echo", json!({})).without("Content-Type");
    assert_eq!(sent(text).await.status(), "415");
    let large = json!({ "message": "x".repeat(5 << 20) });
    assert_eq!(called("echo", large).await.status(), "413");
}

#[tokio::test]
async fn is_for_those_who_hold_the_scope() {
    let post = post("calculate", json!("nonsense")).without("X-Postern-Scopes");
    let reply = sent(post.with("X-Postern-Scopes", "mcp:read")).await;
    assert_eq!(reply.status(), "403", "and nothing is said of what was sent");
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"mcp:write\"";
    assert_eq!(reply.header("www-authenticate"), Some(challenge));
}

#[tokio::test]
async fn is_for_nobody_without_identity() {
    for path in ["/api/v1/me", "/api/v1/tools", "/api/v1/openapi.json"] {
        let post = Post::whoami().by_get().to(path).without_identity();
        assert_eq!(sent(post).await.status(), "403", "{path}");
    }
}

#[tokio::test]
async fn describes_itself() {
    let document = asked("/api/v1/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths.len(), 5, "{paths:?}");
    for path in paths {
        for method in document["paths"][path].as_object().unwrap().keys() {
            let post = Post::whoami().said(&json!({})).to(path.clone());
            let reply = sent(if method == "get" { post.by_get() } else { post }).await;
            assert!(["200", "422"].contains(&reply.status()), "{method} {path}: {reply:?}");
        }
    }
}
