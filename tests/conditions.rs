//! Conditions in CEL: what they see, and what becomes of those that fail.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Caller, Claims, JSON, Response, World, request, tool};

/// A gateway with one rule that allows, about everything, under this condition.
fn allowing(when: &str) -> World {
    with_policy(&format!("allow: [{{name: rule, when: {}}}]", Value::from(when)))
}

fn with_policy(policy: &str) -> World {
    World::with(&format!("resource: {{url: https://mcp.example/mcp, policy: {{{policy}}}}}"))
}

fn call_with(world: &World, claims: &Claims) -> Response {
    Caller::with_token(world, &world.issuer.key.sign(claims)).post(&tool("get_one"))
}

/// Whether somebody with these claims may call.
#[track_caller]
fn lets(world: &World, claims: &Value) -> bool {
    let all = claims.as_object().unwrap().iter();
    let claims = all.fold(world.issuer.claims(), |all, (name, value)| all.set(name, value.clone()));
    let response = call_with(world, &claims);
    if response.status == 200 {
        world.upstream.next();
        return true;
    }
    assert_eq!(response.status, 403, "{response:?}");
    assert!(response.headers("www-authenticate").is_empty());
    world.upstream.saw_nothing();
    false
}

#[test]
fn the_samples_of_other_systems_mean_what_they_say() {
    let world = allowing(r#"payload.groups.exists(group, group in ["admin", "editor"])"#);
    assert!(lets(&world, &json!({ "groups": ["dev", "editor"] })));
    assert!(lets(&world, &json!({ "groups": ["admin"] })));
    assert!(!lets(&world, &json!({ "groups": ["dev", "editors", "ADMIN", "admin,editor"] })));
    assert!(!lets(&world, &json!({ "groups": [] })));
    assert!(!lets(&world, &json!({})));

    let world = allowing(r#"has(payload.email) && payload.email.endsWith("@example.com")"#);
    assert!(lets(&world, &json!({ "email": "ada@example.com" })));
    assert!(!lets(&world, &json!({ "email": "ada@example.com.evil" })));
    assert!(!lets(&world, &json!({ "email": "ada@EXAMPLE.com" })));
    assert!(!lets(&world, &json!({ "email": ["ada@example.com"] })));
    assert!(!lets(&world, &json!({})));

    // Their lists of conditions hold if each does.
    let world = with_policy(
        r#"allow: [{when: ['"dev" in claims.groups', 'claims.email_verified == true']}]"#,
    );
    assert!(lets(&world, &json!({ "groups": ["dev"], "email_verified": true })));
    assert!(!lets(&world, &json!({ "groups": ["dev"], "email_verified": false })));
    assert!(!lets(&world, &json!({ "groups": ["dev"], "email_verified": "true" })));
    assert!(!lets(&world, &json!({ "email_verified": true })));
}

#[test]
fn whom_nothing_is_allowed_cannot_even_begin() {
    let world = allowing(r#""admin" in payload.groups"#);
    let token = |groups: &[&str]| {
        world.issuer.key.sign(&world.issuer.claims().set("groups", json!(groups)))
    };
    let mut outsider = Caller::with_token(&world, &token(&["dev"]));
    assert_eq!(outsider.post(&request("initialize", &json!({}))).status, 403);
    assert_eq!(outsider.request("GET", &[], "").status, 403);
    let mut admin = Caller::with_token(&world, &token(&["admin"]));
    assert_eq!(admin.post(&request("initialize", &json!({}))).status, 200);
    assert_eq!(admin.request("GET", &[], "").status, 200);
    // What is asked about a call is asked when there is one.
    let world = allowing(r#""dev" in payload.groups && mcp.tool.startsWith("get_")"#);
    let token = world.issuer.key.sign(&world.issuer.claims().set("groups", json!(["dev"])));
    let mut dev = Caller::with_token(&world, &token);
    assert_eq!(dev.post(&request("initialize", &json!({}))).status, 200);
    assert_eq!(dev.tool(&world, "get_one").status, 200);
    assert_eq!(dev.tool(&world, "put_one").status, 403);
}

#[test]
fn a_condition_sees_who_calls_what_with_which_arguments_and_from_where() {
    for when in [
        "principal.subject == 'ada' && principal.client == 'test-client'",
        "principal.issuer == claims.iss && 'mcp:read' in principal.scopes",
        "size(principal.roles) == 0 && size(principal.groups) == 0",
        "mcp.method == 'tools/call' && mcp.tool == 'get_one'",
        "mcp.prompt == '' && mcp.resource == ''",
        "mcp['tool'] == 'get_one'",
        "request.method == 'POST' && request.path == '/mcp'",
        "request.address == '127.0.0.1' && request.certificate == ''",
        "request.headers['content-type'] == ['application/json']",
        "!('authorization' in request.headers)",
        "payload.exp > 1600000000.5 && payload.exp == claims['exp']",
        "type(payload.exp) == int && string(payload.exp).size() == 10",
    ] {
        let world = with_policy(&format!("allow: [{{tools: ['*'], when: {}}}]", json!(when)));
        assert!(lets(&world, &json!({})), "{when}");
    }
    let world = with_policy(
        "allow: [{tools: [read_file], when: \"mcp.arguments.path.startsWith('/pub/')\"}]",
    );
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    let read = |arguments: Value| {
        request("tools/call", &json!({ "name": "read_file", "arguments": arguments }))
    };
    assert_eq!(caller.post(&read(json!({ "path": "/pub/a" }))).status, 200);
    for arguments in [json!({ "path": "/etc" }), json!({}), json!({ "path": 7 }), json!(null)] {
        assert_eq!(caller.post_now(&read(arguments)).status, 403);
    }
    assert_eq!(caller.post(&tool("read_file")).status, 403);
    assert_eq!(caller.post(&request("initialize", &json!({}))).status, 200);
}

#[test]
fn every_value_of_a_header_is_seen_by_itself() {
    let world = allowing("'admin' in request.headers['x-role'] || mcp.tool == ''");
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    let body = tool("get_one").to_string();
    let mut send = |roles: &[&str]| {
        let roles = roles.iter().map(|role| ("X-Role", *role));
        caller.send(&body, &std::iter::once(JSON).chain(roles).collect::<Vec<_>>()).status
    };
    assert_eq!(send(&["admin"]), 200);
    assert_eq!(send(&["user", "admin"]), 200);
    assert_eq!(send(&["user,admin"]), 403);
    assert_eq!(send(&["user, admin", "Admin"]), 403);
    assert_eq!(send(&[]), 403);
    let denying = with_policy(
        "deny: [{when: \"'x-role' in request.headers && 'guest' in request.headers['x-role']\"}]",
    );
    let mut caller = Caller::with_scopes(&denying, "mcp:read");
    for roles in [["guest", "admin"], ["admin", "guest"]] {
        let roles = roles.map(|role| ("X-Role", role));
        assert_eq!(caller.send(&body, &[JSON, roles[0], roles[1]]).status, 403);
    }
    assert_eq!(caller.send(&body, &[JSON]).status, 200);
}

#[test]
fn a_condition_that_fails_denies_and_is_counted_apart() {
    for (when, claims) in [
        ("claims.missing == 'a'", json!({})),
        ("claims.a.b.c == 1", json!({ "a": { "b": 7 } })),
        ("claims.a.startsWith('x')", json!({ "a": 7 })),
        ("claims.a < 3", json!({ "a": "2" })),
        ("10 / claims.a > 1", json!({ "a": 0 })),
        ("claims.a % 0 == 1", json!({ "a": 1 })),
        ("9223372036854775807 + claims.a > 0", json!({ "a": 1 })),
        ("-claims.a > 0", json!({ "a": i64::MIN })),
        ("claims.a[7] == 1", json!({ "a": [1] })),
        ("claims.a[claims.a] == 1", json!({ "a": [1] })),
        ("claims.a", json!({ "a": "true" })),
        ("int(claims.a) == 1", json!({ "a": "one" })),
        ("claims.a.exists(x, x == 1)", json!({ "a": 7 })),
        ("bool(claims.a)", json!({ "a": "perhaps" })),
    ] {
        for (policy, status) in [("allow", 403), ("deny", 403)] {
            let world = with_policy(&format!("{policy}: [{{name: rule, when: {}}}]", json!(when)));
            let claims = claims.as_object().unwrap().iter();
            let claims = claims
                .fold(world.issuer.claims(), |all, (name, value)| all.set(name, value.clone()));
            assert_eq!(call_with(&world, &claims).status, status, "{policy} {when}");
            world.upstream.saw_nothing();
            let line: Value = serde_json::from_str(&world.log_line("condition_failed")).unwrap();
            assert_eq!(line["rule"], "rule", "{when}");
            let counted = world.metric("postern_policy_condition_errors_total{rule=\"rule\"}");
            assert!(counted > 0.5, "{when}");
        }
    }
}

#[test]
fn no_token_and_no_argument_can_keep_a_condition_busy() {
    let world = with_policy(
        "allow: [{tools: ['*'], \
          when: 'mcp.arguments.a.all(x, mcp.arguments.a.all(y, x + y >= 0))'}]",
    );
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    let call = |count: u64| {
        let many: Vec<u64> = (0..count).collect();
        request("tools/call", &json!({ "name": "sum", "arguments": { "a": many } }))
    };
    assert_eq!(caller.post(&call(20)).status, 200);
    for count in [1_000, 100_000] {
        let began = Instant::now();
        assert_eq!(caller.post(&call(count)).status, 403, "{count}");
        assert!(began.elapsed() < Duration::from_secs(5), "{count} took {:?}", began.elapsed());
    }
    // Depth ends where the reader of the body ends it.
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","arguments":{{"a":{}{}}}}}}}"#,
        "[".repeat(120),
        "]".repeat(120)
    );
    assert_eq!(caller.send(&deep, &[JSON]).status, 403);
}

#[test]
fn many_groups_are_no_reason_to_be_turned_away() {
    let world = allowing(r#"payload.groups.exists(group, group in ["admin", "editor"])"#);
    let groups: Vec<String> = (0..500).map(|number| format!("group-{number}")).collect();
    assert!(!lets(&world, &json!({ "groups": groups })));
    assert!(world.log_line("\"rule\"").contains("\"denied\""), "no, and no error");
    let groups = [groups, vec!["editor".into()]].concat();
    assert!(lets(&world, &json!({ "groups": groups })));
}
