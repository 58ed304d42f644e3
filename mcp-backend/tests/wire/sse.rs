//! HTTP+SSE of 2024-11-05: `/mcp/sse`, and where it says.

use serde_json::{Value, json};

use crate::harness::{Connection, Post, Server, call, legacy};

/// A stream that ada has begun, and where she speaks.
async fn begun(server: &Server) -> (Connection, String) {
    let mut stream = server.connect().await;
    let opened = stream.open_stream(get().by("ada")).await;
    assert_eq!(opened.header("content-type"), Some("text/event-stream"));
    let first = stream.piece().await;
    let endpoint = first.strip_prefix("event: endpoint\ndata: messages?session_id=").unwrap();
    (stream, format!("/mcp/messages?session_id={}", endpoint.trim()))
}

fn get() -> Post {
    Post::whoami().by_get().to("/mcp/sse")
}

fn say(to: &str, id: u32, method: &str, params: Value) -> Post {
    Post::legacy(method, params.clone()).said(&legacy(id, method, params)).to(to)
}

fn whoami(to: &str) -> Post {
    say(to, 2, "tools/call", call("whoami", json!({})))
}

#[tokio::test]
async fn converses_in_a_stream_and_beside_it() {
    let server = Server::on_tcp().await;
    let (mut stream, to) = begun(&server).await;
    let client = json!({ "name": "test", "version": "1" });
    let params =
        json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client });
    assert_eq!(server.send(say(&to, 1, "initialize", params)).await.status(), "202");
    assert_eq!(stream.event().await["result"]["protocolVersion"], "2024-11-05");
    let ready = Post::notification("notifications/initialized", json!({})).to(&*to);
    assert_eq!(server.send(ready).await.status(), "202");
    assert_eq!(server.send(whoami(&to)).await.status(), "202");
    let answer = stream.event().await;
    assert_eq!(
        (&answer["id"], &answer["result"]["structuredContent"]["subject"]),
        (&json!(2), &json!("ada"))
    );
    // The scopes of this request, not of the one that began.
    let renewed = whoami(&to).without("X-Postern-Scopes").with("X-Postern-Scopes", "tool:user");
    server.send(renewed).await;
    let scopes = stream.event().await["result"]["structuredContent"]["scopes"].clone();
    assert_eq!(scopes, json!(["tool:user"]));
}

#[tokio::test]
async fn nobody_speaks_in_the_stream_of_another() {
    let server = Server::on_tcp().await;
    let (_stream, to) = begun(&server).await;
    assert_eq!(server.send(whoami(&to).by("mallory")).await.status(), "404");
    assert_eq!(server.send(whoami("/mcp/messages?session_id=1")).await.status(), "404");
    assert_eq!(server.send(whoami("/mcp/messages")).await.status(), "400");
    assert_eq!(server.send(whoami(&to).without_identity()).await.status(), "403");
    assert_eq!(server.send(get().without_identity()).await.status(), "403");
    let rebound = get().without("Host").with("Host", "evil.example");
    assert_eq!(server.send(rebound).await.status(), "403");
}

#[tokio::test]
async fn takes_no_more_than_it_can_carry_and_nothing_but_messages() {
    let server = Server::on_tcp().await;
    let (_stream, to) = begun(&server).await;
    let large = say(&to, 1, "tools/call", json!({ "padding": "x".repeat(5 << 20) }));
    assert_eq!(server.send(large).await.status(), "413");
    assert_eq!(server.send(whoami(&to).said(&json!("hello"))).await.status(), "400");
    let text = whoami(&to).without("Content-Type").with("Content-Type", "text/plain");
    assert_eq!(server.send(text).await.status(), "415");
}

#[tokio::test]
async fn a_stream_takes_its_conversation_along() {
    let server = Server::on_tcp().await;
    let (stream, to) = begun(&server).await;
    drop(stream);
    // The server learns of it when it next looks.
    while server.send(whoami(&to)).await.status() != "404" {
        tokio::task::yield_now().await;
    }
}
