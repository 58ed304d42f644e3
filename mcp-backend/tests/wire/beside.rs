//! What there is beside tools: resources, prompts, completion, messages, subscriptions.

use serde_json::{Value, json};

use crate::harness::{Post, Process, Server, call, legacy, modern};

async fn asked(method: &str, params: Value) -> Value {
    Server::on_tcp().await.send(Post::modern(method, params)).await.json()
}

#[tokio::test]
async fn tells_about_itself() {
    let listed = asked("resources/list", json!({})).await;
    assert_eq!(listed["result"]["resources"][0]["uri"], "mcp://server/info", "{listed}");
    let read = asked("resources/read", json!({ "uri": "mcp://server/info" })).await;
    let contents = &read["result"]["contents"][0];
    assert_eq!(contents["mimeType"], "application/json", "{read}");
    let info: Value = serde_json::from_str(contents["text"].as_str().unwrap()).unwrap();
    assert_eq!(info["name"], "mcp-backend");
    let calculate = &info["tools"][0];
    assert_eq!(
        (&calculate["name"], &calculate["required_scope"]),
        (&json!("calculate"), &json!("mcp:write"))
    );
}

#[tokio::test]
async fn says_so_where_there_is_no_such_resource() {
    let read = asked("resources/read", json!({ "uri": "mcp://server/secrets" })).await;
    assert_eq!(read["error"]["code"], -32602, "{read}");
    assert_eq!(read["error"]["data"]["uri"], "mcp://server/secrets");
}

async fn guide(arguments: Value) -> Value {
    asked("prompts/get", json!({ "name": "tool_usage_guide", "arguments": arguments })).await
}

fn text(prompt: &Value) -> &str {
    prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap()
}

#[tokio::test]
async fn guides_through_its_tools() {
    let overview = guide(json!({})).await;
    for tool in ["calculate", "echo", "get_timestamp", "hello_world", "ping", "whoami"] {
        assert!(text(&overview).contains(&format!("- {tool}: ")), "{overview}");
    }
    let calculate = guide(json!({ "tool_name": "calculate" })).await;
    for part in ["operands (required)", "- precision: ", "mcp:write"] {
        assert!(text(&calculate).contains(part), "{calculate}");
    }
    assert!(text(&guide(json!({ "tool_name": "ping" })).await).contains("no arguments"));
    let unknown = guide(json!({ "tool_name": "otus_teams" })).await;
    assert_eq!(unknown["error"]["code"], -32602, "not offered here: {unknown}");
}

#[tokio::test]
async fn completes_the_names_of_tools() {
    let complete = |prompt: &str, typed: &str| {
        let params = json!({
            "ref": { "type": "ref/prompt", "name": prompt },
            "argument": { "name": "tool_name", "value": typed },
        });
        asked("completion/complete", params)
    };
    let values = |answer: Value| answer["result"]["completion"]["values"].clone();
    assert_eq!(values(complete("tool_usage_guide", "e").await), json!(["echo"]));
    assert_eq!(values(complete("tool_usage_guide", "").await).as_array().unwrap().len(), 6);
    assert_eq!(values(complete("another", "e").await), json!([]));
}

#[tokio::test]
async fn lists_a_page_at_a_time_and_knows_its_own_cursors() {
    for method in ["tools/list", "prompts/list", "resources/list"] {
        assert!(asked(method, json!({})).await["result"]["nextCursor"].is_null());
        let refused = asked(method, json!({ "cursor": "abc" })).await;
        assert_eq!(refused["error"]["code"], -32602, "{method}: {refused}");
    }
}

async fn initialized() -> Process {
    let mut server = Process::start(&[]);
    let client = json!({ "name": "test", "version": "1" });
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    server.ask(&legacy(1, "initialize", params)).await;
    server.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    server
}

#[tokio::test]
async fn tells_a_clients_log_what_it_wants_to_hear() {
    let mut server = initialized().await;
    let ping = |id| legacy(id, "tools/call", call("ping", json!({})));
    assert_eq!(server.ask(&ping(2)).await["id"], 2, "nobody asked for messages");
    server.ask(&legacy(3, "logging/setLevel", json!({ "level": "debug" }))).await;
    let message = server.ask(&ping(4)).await;
    assert_eq!(message["method"], "notifications/message", "{message}");
    assert_eq!(message["params"]["data"], json!({ "tool": "ping" }));
    let answer: Value = serde_json::from_str(&server.line().await.unwrap()).unwrap();
    assert_eq!(answer["id"], 4);
    server.ask(&legacy(5, "logging/setLevel", json!({ "level": "warning" }))).await;
    assert_eq!(server.ask(&ping(6)).await["id"], 6);
}

#[tokio::test]
async fn tells_a_client_of_2026_07_28_only_with_the_request_that_asks() {
    let mut server = Process::start(&[]);
    let mut ping = modern(1, "tools/call", call("ping", json!({})));
    assert_eq!(server.ask(&ping).await["id"], 1);
    ping["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("debug");
    assert_eq!(server.ask(&ping).await["method"], "notifications/message");
}

#[tokio::test]
async fn takes_subscriptions_to_what_there_is_in_both_eras() {
    let mut server = initialized().await;
    for (method, uri, good) in [
        ("resources/subscribe", "mcp://server/info", true),
        ("resources/unsubscribe", "mcp://server/info", true),
        ("resources/subscribe", "mcp://server/secrets", false),
    ] {
        let answer = server.ask(&legacy(2, method, json!({ "uri": uri }))).await;
        assert_eq!(answer["result"].is_object(), good, "{answer}");
    }
    let mut server = Process::start(&[]);
    let both = json!(["mcp://server/info", "mcp://server/secrets"]);
    let listen = json!({ "notifications": { "resourceSubscriptions": both } });
    let acknowledged = server.ask(&modern(1, "subscriptions/listen", listen)).await;
    let told = acknowledged.to_string();
    assert!(told.contains("server/info") && !told.contains("server/secrets"), "{told}");
}
