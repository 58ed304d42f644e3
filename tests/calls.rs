//! Who may call what: scopes, rules, and what is asked for where they are lacking.

use serde_json::{Value, json};

use crate::harness::{Caller, H2, Identity, JSON, NOW, Response, World, request, tool};

/// A gateway whose resource has this policy.
fn with_policy(policy: &str) -> World {
    World::with(&format!(
        "resource: {{url: https://mcp.example/mcp, scopes: [mcp:read], policy: {{{policy}}}}}"
    ))
}

#[track_caller]
fn asks_for(response: &Response, scopes: &str) {
    assert_eq!(response.status, 403, "{response:?}");
    let told =
        World::challenge("insufficient_scope", "the token lacks a scope that this request needs");
    let told = told.replace("scope=\"mcp:read\"", &format!("scope=\"{scopes}\""));
    assert_eq!(response.header("www-authenticate"), told);
}

#[track_caller]
fn is_denied(response: &Response) {
    assert_eq!(response.status, 403, "{response:?}");
    assert!(response.headers("www-authenticate").is_empty(), "{response:?}");
    let body: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["error"], "forbidden");
}

const BY_SCOPE: &str = "\
    implies: {mcp:admin: mcp:write files, mcp:write: mcp:read}, \
    scopes: [{tools: [write_*, delete], all: [mcp:write]}, \
             {tools: [delete], any: [files:own, files]}, \
             {methods: [prompts/*], any: [prompts, mcp:write]}, \
             {resources: ['otu:*'], all: [otus]}]";

#[test]
fn a_tool_needs_its_scopes_and_the_challenge_names_all_of_them() {
    let world = with_policy(BY_SCOPE);
    let mut reader = Caller::with_scopes(&world, "mcp:read");
    assert_eq!(reader.tool(&world, "read_all").status, 200);
    asks_for(&reader.tool(&world, "write_one"), "mcp:write");
    asks_for(&reader.tool(&world, "delete"), "mcp:write files:own");
    let mut owner = Caller::with_scopes(&world, "mcp:read files");
    asks_for(&owner.tool(&world, "delete"), "mcp:write files");
    let mut writer = Caller::with_scopes(&world, "mcp:write files:own");
    assert_eq!(writer.tool(&world, "delete").status, 200);
    let mut stranger = Caller::with_scopes(&world, "other");
    asks_for(&stranger.tool(&world, "read_all"), "mcp:read");
    asks_for(&stranger.tool(&world, "write_one"), "mcp:write");
    world.upstream.saw_nothing();
}

#[test]
fn a_broader_scope_stands_for_the_narrower_ones_however_far() {
    let world = with_policy(BY_SCOPE);
    let mut admin = Caller::with_scopes(&world, "mcp:admin");
    for name in ["read_all", "write_one", "delete"] {
        assert_eq!(admin.tool(&world, name).status, 200, "{name}");
    }
    let mut writer = Caller::with_scopes(&world, "mcp:write");
    assert_eq!(writer.tool(&world, "read_all").status, 200);
    assert_eq!(writer.request("GET", &[], "").status, 200, "what everything needs, too");
}

#[test]
fn methods_prompts_and_resources_have_scopes_as_tools_do() {
    let world = with_policy(BY_SCOPE);
    let mut reader = Caller::with_scopes(&world, "mcp:read");
    let prompt = request("prompts/get", &json!({ "name": "greet" }));
    asks_for(&reader.post(&prompt), "mcp:write");
    asks_for(&reader.post_now(&request("prompts/list", &json!({}))), "mcp:write");
    for method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
        let read = |uri: &str| request(method, &json!({ "uri": uri }));
        asks_for(&reader.post_now(&read("otu:7")), "mcp:read otus");
        assert_eq!(reader.post_now(&read("other:7")).status, 200);
        world.upstream.next();
    }
    let complete = |of: Value| {
        let argument = json!({ "name": "id", "value": "" });
        request("completion/complete", &json!({ "ref": of, "argument": argument }))
    };
    let of = json!({ "type": "ref/resource", "uri": "otu:7" });
    asks_for(&reader.post(&complete(of)), "mcp:read otus");
    let listen = json!({ "notifications": { "resourceSubscriptions": ["other:1", "otu:7"] } });
    asks_for(&reader.post_now(&request("subscriptions/listen", &listen)), "mcp:read otus");
    world.upstream.saw_nothing();
}

#[test]
fn what_no_rule_names_is_refused_once_something_is_allowed() {
    let world = with_policy("allow: [{tools: [get_*]}, {prompts: [greet], resources: ['otu:*']}]");
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    assert_eq!(caller.tool(&world, "get_one").status, 200);
    is_denied(&caller.tool(&world, "put_one"));
    is_denied(&caller.post(&request("resources/read", &json!({ "uri": "file:///etc/passwd" }))));
    is_denied(&caller.post(&request("tasks/get", &json!({ "taskId": "1" }))));
    is_denied(&caller.post(&request("vendor/reset", &json!({}))));
    assert_eq!(caller.post(&request("prompts/get", &json!({ "name": "greet" }))).status, 200);
}

#[test]
fn a_rule_that_denies_wins_and_needs_no_other() {
    let world = with_policy(
        "allow: [{tools: ['*']}], deny: [{name: no-ends, tools: [end_*]}, {methods: [logging/*]}]",
    );
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    assert_eq!(caller.tool(&world, "get_one").status, 200);
    is_denied(&caller.tool(&world, "end_one"));
    let line: Value = serde_json::from_str(&world.log_line("\"denied\"")).unwrap();
    assert_eq!(line["rule"], "no-ends");
    assert_eq!(line["call"], "tools/call");
    assert_eq!(line["name"], "end_one");
    assert_eq!(line["subject"], "ada");
    is_denied(&caller.post(&request("logging/setLevel", &json!({ "level": "debug" }))));
    let world = with_policy("deny: [{tools: [end_*]}]");
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    assert_eq!(caller.tool(&world, "get_one").status, 200);
    is_denied(&caller.tool(&world, "end_one"));
}

#[test]
fn more_scope_is_asked_for_only_where_it_would_help() {
    let world = with_policy(
        "scopes: [{tools: ['*'], all: [mcp:write]}], allow: [{tools: [a]}], deny: [{tools: [b]}]",
    );
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    asks_for(&caller.tool(&world, "a"), "mcp:read mcp:write");
    is_denied(&caller.tool(&world, "b"));
    is_denied(&caller.tool(&world, "c"));
}

#[test]
fn whatever_is_allowed_clients_can_begin_and_end() {
    let world = with_policy("allow: [{tools: [get_*]}]");
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    for method in
        ["initialize", "ping", "server/discover", "logging/setLevel", "subscriptions/listen"]
    {
        assert_eq!(caller.post(&request(method, &json!({}))).status, 200, "{method}");
        assert_eq!(caller.post_now(&request(method, &json!({}))).status, 200, "{method}");
    }
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(caller.post(&notification).status, 200);
    assert_eq!(caller.send(&notification.to_string(), &[JSON, NOW]).status, 200);
    for answer in [json!({ "result": {} }), json!({ "error": { "code": 1, "message": "no" } })] {
        let mut answer = answer;
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = json!("of-the-server");
        assert_eq!(caller.post(&answer).status, 200, "{answer}");
    }
    for method in ["GET", "DELETE"] {
        assert_eq!(caller.request(method, &[], "").status, 200, "{method}");
    }
}

#[test]
fn a_rule_in_shadow_is_told_and_not_enforced() {
    let world = with_policy(
        "scopes: [{name: later, tools: [write_*], all: [mcp:write], shadow: true}], \
         deny: [{tools: [end_*], shadow: true}, {tools: [end_all]}]",
    );
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    for (name, rule) in [("write_one", "later"), ("end_one", "deny[0]")] {
        assert_eq!(caller.post(&tool(name)).status, 200);
        let line: Value = serde_json::from_str(&world.log_line("\"forwarded\"")).unwrap();
        assert_eq!(line["shadow"], rule);
        let counted = format!("postern_policy_shadow_total{{rule=\"{rule}\"}}");
        assert!((world.metric(&counted) - 1.0).abs() < 0.1, "{rule}");
    }
    assert_eq!(caller.post(&tool("read")).status, 200);
    assert!(!world.log_line("\"forwarded\"").contains("shadow"));
    is_denied(&caller.tool(&world, "end_all"));
    // Nothing is refused by default for the sake of what only might be allowed.
    let world = with_policy("allow: [{tools: [get_*], shadow: true}]");
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    assert_eq!(caller.post(&tool("put_one")).status, 200);
    assert!(world.log_line("\"forwarded\"").contains("\"shadow\":\"default\""));
}

#[test]
fn the_backend_gets_the_very_bytes_that_were_read() {
    let world = with_policy("allow: [{tools: ['*']}]");
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    for length in [0, 1_000, 65_000, 65_536, 66_000, 131_072, 200_000, 3 << 20] {
        let body = format!(
            "\n {{\"params\" : {{\"name\":\"t\\u0065st\", \"arguments\":{{\"x\":\"{}\"}}}},\
             \"id\":\"ä\",\"method\":\"tools/call\",\"jsonrpc\":\"2.0\"}}\n",
            "x".repeat(length)
        );
        assert_eq!(caller.send(&body, &[JSON]).status, 200, "{length}");
        let seen = world.upstream.next();
        assert!(seen.body == body, "{length}: {}", seen.body.len());
        assert_eq!(seen.values("content-length"), [body.len().to_string()]);
    }
}

#[test]
fn a_body_may_come_in_chunks_or_wait_for_leave() {
    let world = with_policy("allow: [{tools: [test]}]");
    let caller = Caller::with_scopes(&world, "mcp:read");
    let mut wire = caller.wire;
    let token = world.issuer.token();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json; charset=UTF-8\r\n"
    );
    let body = tool("test").to_string();
    let (one, two) = body.split_at(20);
    wire.send(format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    ));
    assert_eq!(wire.response(false).status, 200);
    assert_eq!(world.upstream.next().body, body);
    wire.send(format!("{head}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", body.len()));
    assert_eq!(wire.response(false).status, 100);
    wire.send(&body);
    assert_eq!(wire.response(false).status, 200);
    let seen = world.upstream.next();
    assert_eq!(seen.body, body);
    assert!(seen.values("expect").is_empty(), "it has been given");
    // Where its end is not told, no more is read than can be sent on.
    let mut wire = world.connect();
    let large = request("tools/call", &json!({ "name": "test", "x": "x".repeat(70_000) }));
    let large = large.to_string();
    wire.send(format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    ));
    assert_eq!(wire.response(false).status, 411);
    world.upstream.saw_nothing();
}

#[test]
fn a_body_that_is_too_large_is_told_before_the_backend_is_asked() {
    let world = World::with(
        "resource: {url: https://mcp.example/mcp, policy: {allow: [{tools: ['*']}]}}\n\
         limits: {body_bytes: 1KiB}",
    );
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    let large = request("tools/call", &json!({ "name": "a", "x": "x".repeat(1024) })).to_string();
    assert_eq!(caller.send(&large, &[JSON]).status, 413);
    let mut wire = world.connect();
    let token = world.issuer.token();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n",
        large.len()
    ));
    assert_eq!(wire.response(false).status, 413);
    world.upstream.saw_nothing();
}

#[test]
fn a_call_over_http_2_is_judged_as_any_other() {
    let identity = Identity::new();
    let world = World::with(&format!(
        "{}\nresource: {{url: https://mcp.example/mcp, policy: {{allow: [{{tools: [get_*]}}]}}}}",
        identity.settings()
    ));
    let mut client = H2::connect(world.gateway, &identity);
    let authorization = format!("Bearer {}", world.issuer.token());
    for (name, size, status) in [("get_one", 0, 200), ("get_one", 200_000, 200), ("put", 0, 403)] {
        let call = request("tools/call", &json!({ "name": name, "x": "x".repeat(size) }));
        let body = call.to_string();
        let length = body.len().to_string();
        let headers =
            [("authorization", authorization.as_str()), JSON, ("content-length", &length)];
        let response = client.request("POST", "/mcp", &headers, &body);
        assert_eq!(response.status, status, "{name} {size}");
        if status == 200 {
            assert!(world.upstream.next().body == body);
        }
    }
    world.upstream.saw_nothing();
}

#[test]
fn where_no_rule_is_about_calls_nothing_is_read() {
    let world = with_policy("implies: {mcp:write: mcp:read}");
    let mut caller = Caller::with_scopes(&world, "mcp:write");
    assert_eq!(caller.send("[]", &[("Content-Type", "text/plain")]).status, 200);
    assert_eq!(world.upstream.next().body, "[]");
}
