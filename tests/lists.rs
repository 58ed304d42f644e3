//! Lists of what there is hold what their reader may use, and nothing else.

use std::io::{BufRead as _, Read as _};

use serde_json::{Value, json};

use crate::harness::{Caller, H2, Identity, JSON, NOW, Response, World, request};

const POLICY: &str = "\
    scopes: [{tools: [write_*], all: [mcp:write]}], \
    allow: [{tools: [get_*, write_*]}, {prompts: [greet], resources: ['otu:*']}, \
            {tools: [by_path], when: \"mcp.arguments.path == '/'\"}, \
            {tools: [by_claim], when: \"'ops' in claims.groups\"}], \
    deny: [{tools: [get_secret]}, {tools: [get_by], when: \"mcp.arguments.a == 1\"}, \
           {tools: [get_late], shadow: true}]";

fn with_policy(policy: &str) -> World {
    World::with(&format!(
        "resource: {{url: https://mcp.example/mcp, scopes: [mcp:read], policy: {{{policy}}}}}\n\
         limits: {{body_bytes: 4KiB}}"
    ))
}

const LISTED: [&str; 8] =
    ["get_one", "put_one", "write_one", "by_path", "by_claim", "get_secret", "get_by", "get_late"];

fn tools(more: &str) -> String {
    let tools = LISTED.map(|name| json!({ "name": name, "inputSchema": { "z": 1, "a": 2 } }));
    let tools = Value::from(tools.to_vec());
    format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":{tools}{more}}}}}"#)
}

/// What the backend is to answer with.
fn answer(kind: &str, body: &str) -> String {
    // It travels in a header, so that lines end with what the backend takes for their end.
    let body = body.replace('\n', "\r\n");
    let (length, body) = (body.len(), body.replace("\r\n", "\\r\\n"));
    format!(
        "HTTP/1.1 200 OK\\r\\ncontent-type: {kind}\\r\\netag: x\\r\\n\
         content-length: {length}\\r\\n\\r\\n{body}"
    )
}

/// Asks for a list that the backend answers so.
fn list(world: &World, caller: &mut Caller, method: &str, answer: &str) -> (Response, String) {
    let headers =
        [JSON, NOW, ("Mcp-Method", method), ("x-answer", answer), ("Accept-Encoding", "gzip, br")];
    let mut response = caller.send(&request(method, &json!({})).to_string(), &headers);
    world.upstream.next();
    if response.headers("transfer-encoding").is_empty() {
        let body = std::mem::take(&mut response.body);
        return (response, body);
    }
    let body = chunks(caller);
    (response, body)
}

fn chunks(caller: &mut Caller) -> String {
    let mut body = String::new();
    loop {
        let mut line = String::new();
        caller.wire.reader.read_line(&mut line).unwrap();
        let size = u64::from_str_radix(line.trim(), 16).unwrap();
        caller.wire.reader.by_ref().take(size).read_to_string(&mut body).unwrap();
        caller.wire.reader.read_line(&mut String::new()).unwrap();
        if size == 0 {
            return body;
        }
    }
}

#[track_caller]
fn names(body: &str, key: &str, name: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(body).unwrap();
    let list = body["result"][key].as_array().unwrap_or_else(|| panic!("no {key} in {body}"));
    list.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_holds_what_may_be_used_with_this_token() {
    let world = with_policy(POLICY);
    let mut reader = Caller::with_scopes(&world, "mcp:read");
    let answer = answer("application/json", &tools(r#","ttlMs":5,"cacheScope":"public""#));
    let (response, body) = list(&world, &mut reader, "tools/list", &answer);
    assert_eq!(response.status, 200);
    assert_eq!(names(&body, "tools", "name"), ["get_one", "by_path", "get_by", "get_late"]);
    assert!(body.contains(r#""inputSchema":{"a":2,"z":1}"#) || body.contains(r#"{"z":1,"a":2}"#));
    assert!(body.ends_with(r#","ttlMs":5,"cacheScope":"private"}}"#), "{body}");
    assert!(response.headers("etag").is_empty());
    let mut writer = Caller::with_scopes(&world, "mcp:read mcp:write");
    let (_, body) = list(&world, &mut writer, "tools/list", &answer);
    let expected = ["get_one", "write_one", "by_path", "get_by", "get_late"];
    assert_eq!(names(&body, "tools", "name"), expected);
    let ops = world.issuer.claims().set("groups", json!(["ops"])).set("scope", "mcp:read");
    let mut ops = Caller::with_token(&world, &world.issuer.key.sign(&ops));
    let (_, body) = list(&world, &mut ops, "tools/list", &answer);
    assert!(names(&body, "tools", "name").contains(&"by_claim".to_owned()));
}

#[test]
fn the_backend_is_not_asked_to_compress_what_will_be_read() {
    let world = with_policy(POLICY);
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    let ask = |caller: &mut Caller, method: &str| {
        let body = request(method, &json!({})).to_string();
        assert_eq!(caller.send(&body, &[JSON, ("Accept-Encoding", "gzip")]).status, 502);
        world.upstream.next().values("accept-encoding").len()
    };
    assert_eq!(ask(&mut caller, "tools/list"), 0);
    let body = request("ping", &json!({})).to_string();
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    assert_eq!(caller.send(&body, &[JSON, ("Accept-Encoding", "gzip")]).status, 200);
    assert_eq!(world.upstream.next().values("accept-encoding"), ["gzip"]);
}

#[test]
fn prompts_resources_and_templates_are_lists_too() {
    let world = with_policy(POLICY);
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    for (method, key, name, all, left) in [
        ("prompts/list", "prompts", "name", ["greet", "other"], "greet"),
        ("resources/list", "resources", "uri", ["otu:1", "file:///x"], "otu:1"),
        ("resources/list", "resources", "uri", ["otu:1", "otu:a/../b"], "otu:1"),
        (
            "resources/templates/list",
            "resourceTemplates",
            "uriTemplate",
            ["otu:{id}", "x:{y}"],
            "otu:{id}",
        ),
    ] {
        let items = all.map(|item| json!({ name: item }));
        let body = json!({ "jsonrpc": "2.0", "id": 7, "result": { key: items } }).to_string();
        let answer = answer("application/json; charset=utf-8", &body);
        let (_, body) = list(&world, &mut caller, method, &answer);
        assert_eq!(names(&body, key, name), [left], "{method}");
    }
}

#[test]
fn a_list_in_a_stream_of_events_is_cut_and_the_rest_of_the_stream_is_not() {
    let world = with_policy(POLICY);
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"tools":[1]}}"#;
    let events =
        format!(": hello\n\ndata: {note}\n\nid: 3\nevent: message\ndata: {}\n\n", tools(""));
    let answer = answer("text/event-stream", &events);
    let (response, body) = list(&world, &mut caller, "tools/list", &answer);
    assert_eq!(response.header("content-type"), "text/event-stream");
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut parts = body.split_inclusive("\n\n");
    assert_eq!(parts.next(), Some(": hello\n\n"), "{body:?}");
    assert_eq!(parts.next(), Some(format!("data: {note}\n\n").as_str()));
    let last = parts.next().unwrap();
    let message = last.strip_prefix("id: 3\nevent: message\ndata: ").unwrap();
    assert_eq!(
        names(message.trim(), "tools", "name"),
        ["get_one", "by_path", "get_by", "get_late"]
    );
}

#[test]
fn a_list_on_the_stream_of_an_old_client_is_cut_as_well() {
    let world = with_policy(POLICY);
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    // In the oldest transport, it begins with where to send messages.
    let endpoint = "event: endpoint\ndata: /mcp/messages?id=1\n\n";
    let events = format!("{endpoint}data: {}\n\n", tools(""));
    let answer = answer("text/event-stream", &events);
    let response = caller.request("GET", &[("x-answer", &answer)], "");
    assert_eq!(response.header("transfer-encoding"), "chunked", "{response:?}");
    let body = chunks(&mut caller);
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let (first, message) = body.split_once("\n\n").unwrap();
    assert_eq!(first, "event: endpoint\ndata: /mcp/messages?id=1");
    let message = message.trim().strip_prefix("data: ").unwrap();
    assert_eq!(names(message, "tools", "name"), ["get_one", "by_path", "get_by", "get_late"]);
}

#[test]
fn what_cannot_be_read_does_not_pass() {
    let world = with_policy(POLICY);
    let whole = tools("");
    let repeated = whole.replacen("\"id\":7", "\"id\":7,\"result\":{}", 1);
    for (kind, more, body) in [
        ("text/html", "", "<p>"),
        ("application/json", "content-encoding: gzip\\r\\n", whole.as_str()),
        ("text/event-stream", "content-encoding: br\\r\\n", "x"),
        ("application/jsonl", "", whole.as_str()),
        ("application/json", "", &format!("{whole}{}", " ".repeat(4096))),
    ] {
        let answer = answer(kind, body).replace("etag: x\\r\\n", more);
        let mut caller = Caller::with_scopes(&world, "mcp:read");
        let (response, body) = list(&world, &mut caller, "tools/list", &answer);
        assert_eq!(response.status, 502, "{kind} {body}");
        assert!(!body.contains("get_one"));
        assert!(world.log_line("\"bad_list\"").contains("tools/list"));
    }
    let is_an_error = |text: &str| {
        let body: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!((&body["id"], &body["error"]["code"]), (&json!(7), &json!(-32603)));
    };
    for body in [&whole[..40], "", &repeated, &format!("[{whole}]"), "7"] {
        let chunked = "HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n\
                       transfer-encoding: chunked\\r\\n\\r\\n";
        let chunk = if body.is_empty() {
            String::new()
        } else {
            format!("{:x}\\r\\n{body}\\r\\n", body.len())
        };
        let answer = format!("{chunked}{chunk}0\\r\\n\\r\\n");
        let mut caller = Caller::with_scopes(&world, "mcp:read");
        let (_, text) = list(&world, &mut caller, "tools/list", &answer);
        is_an_error(&text);
        assert!(world.log_line("\"bad_list\"").contains("tools/list"));
    }
    for event in [&whole[..40], &repeated, &format!("{whole}{}", " ".repeat(4096))] {
        let events = format!("data: {event}\n\ndata: {whole}\n\n");
        let answer = answer("text/event-stream", &events);
        let mut caller = Caller::with_scopes(&world, "mcp:read");
        let (_, text) = list(&world, &mut caller, "tools/list", &answer);
        // And nothing after it.
        is_an_error(text.trim().strip_prefix("data: ").unwrap());
    }
}

#[test]
fn an_error_of_the_backends_passes_as_it_is() {
    let world = with_policy(POLICY);
    let mut caller = Caller::with_scopes(&world, "mcp:read");
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no"}}"#;
    for (status, kind) in [("404 Not Found", "application/json"), ("400 Bad Request", "text/plain")]
    {
        let answer = answer(kind, error).replace("200 OK", status);
        let (response, body) = list(&world, &mut caller, "prompts/list", &answer);
        assert_eq!(response.status.to_string(), status[..3]);
        assert_eq!(body, error);
    }
}

#[test]
fn an_operator_may_have_clients_see_what_they_could_ask_for_or_everything() {
    let answer = answer("application/json", &tools(""));
    let listed = |lists: &str| {
        let world = with_policy(&format!("{POLICY}, lists: {lists}"));
        let mut reader = Caller::with_scopes(&world, "mcp:read");
        let (_, body) = list(&world, &mut reader, "tools/list", &answer);
        names(&body, "tools", "name")
    };
    let obtainable = ["get_one", "write_one", "by_path", "get_by", "get_late"];
    assert_eq!(listed("obtainable"), obtainable);
    assert_eq!(listed("all"), LISTED);
    assert_eq!(listed("usable").len(), 4);
}

#[test]
fn a_list_is_cut_over_http_2_too() {
    let identity = Identity::new();
    let world = World::with(&format!(
        "{}\nresource: {{url: https://mcp.example/mcp, policy: {{{POLICY}}}}}",
        identity.settings()
    ));
    let answer = answer("application/json", &tools(""));
    let reader = world.issuer.claims().set("scope", "mcp:read");
    let authorization = format!("Bearer {}", world.issuer.key.sign(&reader));
    let headers = [("authorization", authorization.as_str()), JSON, ("x-answer", &answer)];
    let body = request("tools/list", &json!({})).to_string();
    let mut client = H2::connect(world.gateway, &identity);
    let response = client.request("POST", "/mcp", &headers, &body);
    assert_eq!(response.status, 200);
    let expected = ["get_one", "by_path", "get_by", "get_late"];
    assert_eq!(names(&response.body, "tools", "name"), expected);
}
