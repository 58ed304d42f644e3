//! Calls that look like others: each is judged as what the backend would read, or by nobody.

use serde_json::{Value, json};

use super::Siege;
use crate::harness::{Caller, H2, Identity, JSON, NOW, Response, World, request, tool};

/// A gateway where `get_*` may be called and nothing else; and somebody who may call it.
fn lay(settings: &str) -> (Siege, Caller) {
    let policy = "resource: {url: https://mcp.example/mcp, scopes: [mcp:read], \
        policy: {allow: [{tools: [get_*]}, {resources: ['file:///docs/*']}]}}";
    let world = World::with(&format!("{policy}\n{settings}"));
    let caller = Caller::with_scopes(&world, "mcp:read");
    (Siege::on(world), caller)
}

/// A JSON-RPC error with this code, by which no client falls back to another era.
#[track_caller]
fn is_refused(response: &Response, status: u16, code: i64) {
    assert_eq!(response.status, status, "{response:?}");
    let body: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    assert_eq!(body["error"]["code"], code, "{body}");
}

/// The gateway is whole, and a good call passes.
#[track_caller]
fn lift(siege: &Siege, caller: &mut Caller) {
    siege.world.upstream.saw_nothing();
    assert_eq!(caller.post_now(&tool("get_one")).status, 200);
    siege.world.upstream.next();
}

#[test]
fn a_batch_is_no_way_to_hide_a_call_in_any_era() {
    let (siege, mut caller) = lay("");
    let batches = [
        json!([tool("get_one"), tool("delete")]),
        json!([tool("get_one")]),
        json!([]),
        json!([[tool("get_one")]]),
    ];
    for batch in batches {
        for version in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
            let version = ("MCP-Protocol-Version", version);
            is_refused(&caller.send(&batch.to_string(), &[JSON, version]), 400, -32600);
        }
        is_refused(&caller.send(&batch.to_string(), &[JSON]), 400, -32600);
    }
    lift(&siege, &mut caller);
}

#[test]
fn a_call_that_two_readers_could_read_differently_is_read_by_none() {
    let (siege, mut caller) = lay("");
    let call = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
    };
    let good = call(r#"{"name":"get_one"}"#);
    let torn = [
        // Twice, at every depth, and in escapes.
        call(r#"{"name":"get_one","name":"delete"}"#),
        call(r#"{"name":"get_one","\u006eame":"delete"}"#),
        call(r#"{"name":"get_one","arguments":{"a":{"b":1,"b":2}}}"#),
        good.replace(r#""id":1"#, r#""id":1,"method":"tools/list""#),
        good.replace(r#""id":1"#, r#""id":1,"params":{"name":"delete"}"#),
        good.replace(r#""id":1"#, r#""id":1,"\u006dethod":"tools/list""#),
        // More than one document, none, or half of one.
        format!("{good}{good}"),
        format!("{good}\n{good}"),
        format!("{good}}}"),
        good[..good.len() - 1].to_owned(),
        format!("\u{feff}{good}"),
        format!("\u{1e}{good}"),
        format!("{good}\0"),
        format!("/**/{good}"),
        // What only some readers take.
        call(r#"{"name":"get_one","arguments":{"x":NaN}}"#),
        call(r#"{"name":"get_one","arguments":{"x":Infinity}}"#),
        call(r#"{"name":"get_one","arguments":{"x":1e999}}"#),
        call(r#"{"name":"get_one","arguments":{"x":01}}"#),
        call(r#"{"name":"get_one","arguments":{"x":"\ud800"}}"#),
        call("{\"name\":\"get_one\",\"arguments\":{\"x\":\"\n\"}}"),
        call(r#"{"name":"get_one",}"#),
        call("{'name':'get_one'}"),
        // Depth without end.
        call(&format!(r#"{{"name":"get_one","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000))),
    ];
    for body in &torn {
        is_refused(&caller.send(body, &[JSON]), 400, -32700);
    }
    let sent = [
        good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        good.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        good.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        good.replace("get_one", "get_\u{ff}").chars().map(|c| c as u8).collect(),
    ];
    let token = siege.world.issuer.token();
    for bytes in sent {
        caller.wire.send(format!(
            "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        ));
        caller.wire.send(bytes);
        is_refused(&caller.wire.response(false), 400, -32700);
    }
    lift(&siege, &mut caller);
}

#[test]
fn a_name_in_another_case_is_neither_passed_over_nor_read() {
    let (siege, mut caller) = lay("");
    let good = tool("get_one").to_string();
    for (one, other, code) in [
        (r#""id":7"#, r#""id":7,"Method":"tools/call""#, -32600),
        (r#""id":7"#, r#""id":7,"PARAMS":{"name":"delete"}"#, -32600),
        (r#""id":7"#, "\"id\":7,\"param\u{17f}\":{\"name\":\"delete\"}", -32600),
        (r#""id":7"#, r#""id":7,"Id":8"#, -32600),
        (r#""method""#, r#""METHOD""#, -32600),
        (r#""name""#, r#""Name":"delete","name""#, -32602),
        (r#""name""#, r#""nAme":"delete","name""#, -32602),
        (r#""name""#, r#""Arguments":{},"name""#, -32602),
        (r#""name""#, r#""NAME""#, -32602),
    ] {
        let body = good.replacen(one, other, 1);
        assert_ne!(body, good);
        is_refused(&caller.send(&body, &[JSON]), 400, code);
    }
    // Other methods are not the ones they look like, and nobody allowed them.
    for method in ["Tools/Call", "tools/call ", "tools//call", "tools\\/call", "TOOLS/CALL"] {
        let response = caller.post(&request(method, &json!({ "name": "get_one" })));
        assert_eq!(response.status, 403, "{method}");
    }
    for name in ["Get_one", " get_one", "delete\u{0}get_", "ｇet_one"] {
        assert_eq!(caller.post(&tool(name)).status, 403, "{name:?}");
    }
    lift(&siege, &mut caller);
}

#[test]
fn a_message_is_a_request_a_notification_or_a_response_and_no_mixture() {
    let (siege, mut caller) = lay("");
    for message in [
        json!({}),
        json!("tools/call"),
        json!(null),
        json!({ "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }),
        json!({ "jsonrpc": 2.0, "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": [1], "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": 7 }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "error": {} }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "params": { "name": "delete" } }),
        json!({ "jsonrpc": "2.0", "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 1 }),
    ] {
        is_refused(&caller.post(&message), 400, -32600);
    }
    for params in [json!(["delete"]), json!("delete"), json!(null), json!({}), json!({ "name": 7 })]
    {
        is_refused(&caller.post(&request("tools/call", &params)), 400, -32602);
    }
    is_refused(&caller.send("", &[JSON]), 400, -32700);
    lift(&siege, &mut caller);
}

#[test]
fn headers_that_say_another_thing_than_the_body_are_answered_as_a_mismatch() {
    let (siege, mut caller) = lay("");
    let good = tool("get_one").to_string();
    let is_a_mismatch = |caller: &mut Caller, body: &str, headers: &[(&str, &str)]| {
        let response = caller.send(body, &[&[JSON], headers].concat());
        is_refused(&response, 400, -32020);
        let body: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(body["id"], 7, "whoever tries out an era knows its answer by it");
    };
    let denied = tool("delete").to_string();
    let listed = request("tools/list", &json!({})).to_string();
    let call = ("Mcp-Method", "tools/call");
    let named = ("Mcp-Name", "get_one");
    for version in [Some(NOW), Some(("MCP-Protocol-Version", "2025-11-25")), None] {
        let with = |headers: &[(&'static str, &'static str)]| {
            version.into_iter().chain(headers.iter().copied()).collect::<Vec<_>>()
        };
        for (body, headers) in [
            (&denied, with(&[call, named])),
            (&good, with(&[("Mcp-Method", "tools/list"), named])),
            (&good, with(&[("Mcp-Method", "tools/list")])),
            (&denied, with(&[("Mcp-Method", "tools/list")])),
            (&listed, with(&[call])),
            (&good, with(&[("Mcp-Method", "Tools/Call"), named])),
            (&good, with(&[call, ("Mcp-Name", "Get_one")])),
            (&good, with(&[call, ("Mcp-Name", "get_one,delete")])),
            (&good, with(&[call, ("Mcp-Name", "")])),
            (&good, with(&[call, ("Mcp-Name", "=?base64?ZGVsZXRl?=")])),
            (&good, with(&[call, ("Mcp-Name", "=?BASE64?Z2V0X29uZQ==?=")])),
            (&good, with(&[call, ("Mcp-Name", "=?base64?Z2V0X29uZQ==")])),
            (&good, with(&[call, ("Mcp-Name", "=?base64?Z2V0X29uZQ?=")])),
            (&good, with(&[call, ("Mcp-Name", "=?base64?Z2V0X29uZR==?=")])),
            (&good, with(&[call, ("Mcp-Name", "=?base64? Z2V0X29uZQ==?=")])),
        ] {
            is_a_mismatch(&mut caller, body, &headers);
        }
    }
    // In the era that has them, they must be there.
    is_a_mismatch(&mut caller, &good, &[NOW, call]);
    is_a_mismatch(&mut caller, &good, &[NOW, named]);
    is_a_mismatch(&mut caller, &good, &[NOW]);
    is_a_mismatch(&mut caller, &listed, &[NOW]);
    // And once: the other line may be the one that counts.
    let response = caller.send(&good, &[JSON, NOW, call, named, ("Mcp-Name", "delete")]);
    assert_eq!(response.status, 400, "{response:?}");
    siege.world.upstream.saw_nothing();
    let mut caller = Caller::with_scopes(&siege.world, "mcp:read");
    let encoded = ("Mcp-Name", "=?base64?Z2V0X29uZQ==?=");
    assert_eq!(caller.send(&good, &[JSON, NOW, call, encoded]).status, 200);
    siege.world.upstream.next();
    lift(&siege, &mut caller);
}

#[test]
fn a_call_in_another_wrapping_is_not_looked_into() {
    let (siege, mut caller) = lay("");
    let good = tool("get_one").to_string();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json, text/plain",
        "application/jsonx",
        "application/json-rpc",
        "",
    ] {
        is_refused(&caller.send(&good, &[("Content-Type", kind)]), 415, -32600);
    }
    is_refused(&caller.send(&good, &[]), 415, -32600);
    is_refused(&caller.send(&good, &[JSON, JSON]), 415, -32600);
    for coding in ["gzip", "identity", "br, gzip"] {
        is_refused(&caller.send(&good, &[JSON, ("Content-Encoding", coding)]), 415, -32600);
    }
    for method in ["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "QUERY"] {
        is_refused(&caller.request(method, &[JSON], &good), 400, -32600);
    }
    lift(&siege, &mut caller);
}

#[test]
fn a_body_that_http_2_did_not_announce_goes_nowhere_unread() {
    let identity = Identity::new();
    let (siege, _) = lay(&identity.settings());
    let authorization = format!("Bearer {}", siege.world.issuer.token());
    let headers = [("authorization", authorization.as_str()), JSON];
    let denied = tool("delete").to_string();
    for method in ["GET", "DELETE", "PUT"] {
        let mut client = H2::connect(siege.world.gateway, &identity);
        let response = client.request(method, "/mcp", &headers, &denied);
        is_refused(&response, 400, -32600);
    }
    let mut client = H2::connect(siege.world.gateway, &identity);
    assert_eq!(client.request("POST", "/mcp", &headers, &denied).status, 403);
}

#[test]
fn a_call_below_the_endpoint_is_judged_as_one_at_it() {
    let (siege, mut caller) = lay("");
    let token = format!("Bearer {}", siege.world.issuer.token());
    let headers = [("Authorization", token.as_str()), JSON];
    for path in ["/mcp/", "/mcp/message", "/mcp?x=y", "/mcp/a/b?sessionId=1"] {
        let body = tool("delete").to_string();
        assert_eq!(caller.wire.request("POST", path, &headers, &body).status, 403, "{path}");
    }
    lift(&siege, &mut caller);
}

#[test]
fn a_tool_that_may_not_be_called_is_as_good_as_none() {
    let (siege, mut caller) = lay("");
    let denied = caller.tool(&siege.world, "delete");
    let none = caller.tool(&siege.world, "there_is_no_such_tool");
    assert_eq!(denied.status, 403);
    let told = |response: &Response| {
        let its_own = ["date:", "x-request-id:", "x-correlation-id:"];
        let fields = response.head.lines().map(str::to_lowercase);
        let fields = fields.filter(|line| !its_own.iter().any(|name| line.starts_with(name)));
        (fields.collect::<Vec<_>>(), response.body.clone())
    };
    assert_eq!(told(&denied), told(&none));
    lift(&siege, &mut caller);
}

#[test]
fn a_uri_that_leads_elsewhere_is_refused_wherever_it_seems_to_lead() {
    let (siege, mut caller) = lay("");
    let read = |uri: &str| request("resources/read", &json!({ "uri": uri }));
    assert_eq!(caller.post_now(&read("file:///docs/a")).status, 200);
    siege.world.upstream.next();
    for uri in [
        "file:///docs/../etc/passwd",
        "file:///docs/%2e%2e/etc/passwd",
        "file:///docs/..%2fetc/passwd",
        "file:///docs/..\\etc\\passwd",
        "file:///docs/%61",
        "FILE:///docs/a",
        "file:///docs/a\u{0}",
        "file:/docs/a",
        "file://localhost/docs/a",
    ] {
        assert_eq!(caller.post(&read(uri)).status, 403, "{uri:?}");
    }
    lift(&siege, &mut caller);
}

#[test]
fn every_value_of_a_list_counts_and_none_is_made_of_two() {
    let (siege, _) = lay("");
    let scoped = |scope: Value| {
        let claims = siege.claims().set("scope", scope);
        siege.key().sign(&claims)
    };
    for scope in [json!("other mcp:read"), json!(["other", "mcp:read"]), json!(["a mcp:read b"])] {
        let token = scoped(scope);
        assert_eq!(Caller::with_token(&siege.world, &token).post(&tool("get_one")).status, 200);
        siege.world.upstream.next();
    }
    for scope in [json!("other,mcp:read"), json!(["other,mcp:read"]), json!("MCP:READ"), json!([])]
    {
        let token = scoped(scope);
        assert_eq!(Caller::with_token(&siege.world, &token).post(&tool("get_one")).status, 403);
    }
    let mut caller = Caller::with_scopes(&siege.world, "mcp:read");
    lift(&siege, &mut caller);
}
