//! What the backend hears, and from whom.

use serde_json::{Value, json};

use crate::harness::{H2, Identity, Response, Seen, World};

const CLAIMS: &str = "forward: {claims: {email: X-User-Email, groups: X-User-Groups}}";

/// A good token, and these headers beside it.
fn call_with(world: &World, headers: &[(&str, &str)]) -> Response {
    let bearer = format!("Bearer {}", world.issuer.token());
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    world.connect().request("POST", "/mcp", &all, "{}")
}

/// What the backend hears when a client with a good token sends these as well.
#[track_caller]
fn heard_with(world: &World, headers: &[(&str, &str)]) -> Seen {
    let response = call_with(world, headers);
    assert_eq!(response.status, 200, "{headers:?} {response:?}");
    world.upstream.next()
}

/// The four values that always go up, once each, and nothing that the client made up.
#[track_caller]
fn is_ours_alone(world: &World, seen: &Seen) {
    assert_eq!(seen.values("x-postern-subject"), ["ada"]);
    assert_eq!(seen.values("x-postern-issuer"), [world.issuer.url()]);
    assert_eq!(seen.values("x-postern-client-id"), ["test-client"]);
    assert_eq!(seen.values("x-postern-scopes"), ["mcp:read mcp:write"]);
    assert!(!seen.head.contains("evil"), "{}", seen.head);
}

#[test]
fn nobody_else_says_who_is_calling_however_it_is_spelt() {
    let world = World::with(CLAIMS);
    for name in [
        "X-Postern-Subject",
        "x-postern-subject",
        "X-POSTERN-SUBJECT",
        "x_postern_subject",
        "X_Postern-Subject",
        "X.Postern.Subject",
        "x-postern.subject",
        "X~Postern~Subject",
        "X-Postern-Issuer",
        "X-Postern-Client-Id",
        "X-Postern-Scopes",
        "X-Postern-Whatever-Comes",
        "X-User-Email",
        "x_user_email",
        "X.User.Groups",
        "X-USER-GROUPS",
    ] {
        is_ours_alone(&world, &heard_with(&world, &[(name, "evil")]));
        is_ours_alone(&world, &heard_with(&world, &[(name, "evil"), (name, "evil too")]));
        is_ours_alone(&world, &heard_with(&world, &[(name, "\t evil \t")]));
    }
}

#[test]
fn a_name_that_only_looks_like_ours_is_no_name() {
    let world = World::start();
    for name in ["X-Postern-Subject ", "X-P\u{43e}stern-Subject", "X-Postern-Subject\0"] {
        assert_eq!(call_with(&world, &[(name, "evil")]).status, 400, "{name:?}");
    }
    world.upstream.saw_nothing();
}

#[test]
fn a_client_cannot_name_our_headers_away() {
    let world = World::start();
    for named in ["X-Postern-Subject", "x-postern-subject, X-Postern-Scopes", "Authorization", "TE"]
    {
        let seen = heard_with(&world, &[("Connection", named), ("X-Postern-Subject", "evil")]);
        is_ours_alone(&world, &seen);
        assert_eq!(seen.values("connection"), [""; 0], "{named}");
    }
}

#[test]
fn a_client_cannot_name_the_length_of_its_body_away() {
    let world = World::start();
    let response = call_with(&world, &[("Connection", "Content-Length")]);
    match response.status {
        200 => assert_eq!(world.upstream.next().body, "{}"),
        _ => world.upstream.saw_nothing(),
    }
}

#[test]
fn trailers_say_nothing_about_the_caller() {
    let world = World::start();
    let mut wire = world.connect();
    let token = world.issuer.token();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         Trailer: X-Postern-Subject\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\n{{}}\r\n0\r\nX-Postern-Subject: evil\r\n\r\n"
    ));
    assert_eq!(wire.response(false).status, 200);
    let seen = world.upstream.next();
    assert_eq!((seen.body.as_str(), seen.trailers.trim()), ("{}", ""));
    is_ours_alone(&world, &seen);
}

#[test]
fn trailers_say_nothing_over_http2_either() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-postern-subject", "evil".parse().unwrap());
    let bearer = format!("Bearer {}", world.issuer.token());
    let mut client = H2::connect(world.gateway, &identity);
    let mut begun = client.begin("POST", "/mcp", &[("authorization", &bearer)]).unwrap();
    begun.say("{}");
    assert_eq!(begun.end(Some(trailers)).unwrap().head.status, 200);
    let seen = world.upstream.next();
    assert_eq!((seen.body.as_str(), seen.trailers.trim()), ("{}", ""));
    is_ours_alone(&world, &seen);
}

#[test]
fn a_client_cannot_pose_as_a_proxy() {
    let world = World::start();
    let names = [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-User",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "Via",
        "Proxy-Authorization",
        "Client-Cert",
    ];
    let forged: Vec<_> = names.iter().map(|&name| (name, "evil")).collect();
    is_ours_alone(&world, &heard_with(&world, &forged));

    let response = world.request("POST", "/mcp", &forged);
    assert_eq!(response.status, 401);
    assert_eq!(response.header("www-authenticate"), World::PLAIN_CHALLENGE);
}

/// What arrives as `X-User-Email` when the token's `email` is this.
#[track_caller]
fn email(world: &World, claim: impl Into<Value>) -> Vec<String> {
    let token = world.issuer.key.sign(&world.issuer.claims().set("email", claim));
    let bearer = [("Authorization", &*format!("Bearer {token}")), ("X-User-Email", "evil")];
    let response = world.connect().request("POST", "/mcp", &bearer, "{}");
    assert_eq!(response.status, 200, "{response:?}");
    let seen = world.upstream.next();
    is_ours_alone(world, &seen);
    seen.values("x-user-email").into_iter().map(str::to_owned).collect()
}

#[test]
fn a_claim_travels_in_its_header() {
    let world = World::with(CLAIMS);
    assert_eq!(email(&world, "ada@example.com"), ["ada@example.com"]);
    assert_eq!(email(&world, "a, b; c=\"d\""), ["a, b; c=\"d\""]);
    assert_eq!(email(&world, json!(["a", "b,c"])), [r#"["a","b,c"]"#]);
    assert_eq!(email(&world, json!({ "a": 1 })), [r#"{"a":1}"#]);
    assert_eq!(email(&world, 7), ["7"]);
    assert_eq!(email(&world, true), ["true"]);
}

#[test]
fn a_claim_that_could_split_a_header_travels_encoded() {
    let world = World::with(CLAIMS);
    let encoded = "=?base64?YQ0KWC1BZG1pbjogMQ==?=";
    assert_eq!(email(&world, "a\r\nX-Admin: 1"), [encoded]);
    assert_eq!(email(&world, "a\0"), ["=?base64?YQA=?="]);
    assert_eq!(email(&world, "Zoë"), ["=?base64?Wm/Dqw==?="]);
    assert_eq!(email(&world, json!(["ë"])), ["=?base64?WyLDqyJd?="]);
    assert_eq!(email(&world, " a"), ["=?base64?IGE=?="]);
    assert_eq!(email(&world, encoded), ["=?base64?PT9iYXNlNjQ/WVEwS1dDMUJaRzFwYmpvZ01RPT0/PQ==?="]);
    assert_eq!(email(&world, "x".repeat(8 << 10)), ["x".repeat(8 << 10)]);
}

#[test]
fn a_claim_that_is_not_there_leaves_no_header() {
    let world = World::with(CLAIMS);
    assert_eq!(email(&world, ""), [""; 0]);
    assert_eq!(email(&world, Value::Null), [""; 0]);
    let seen = heard_with(&world, &[("X-User-Groups", "evil")]);
    assert_eq!(seen.values("x-user-groups"), [""; 0]);
    let token = world.issuer.key.sign(&world.issuer.claims().without("client_id"));
    assert_eq!(world.call(&token).status, 200);
    assert_eq!(world.upstream.next().values("x-postern-client-id"), [""; 0]);
}

#[test]
fn a_subject_that_could_split_a_header_travels_encoded() {
    let world = World::start();
    let token = world.issuer.key.sign(&world.issuer.claims().set("sub", "a\r\nX-Admin: 1"));
    assert_eq!(world.call(&token).status, 200);
    let seen = world.upstream.next();
    assert_eq!(seen.values("x-postern-subject"), ["=?base64?YQ0KWC1BZG1pbjogMQ==?="]);
    assert_eq!(seen.values("x-admin"), [""; 0]);
}

#[test]
fn the_backend_gets_the_token_where_the_operator_says_so() {
    let world = World::with("forward: {authorization: keep}");
    let token = world.issuer.token();
    assert_eq!(world.call(&token).status, 200);
    assert_eq!(world.upstream.next().values("authorization"), [format!("Bearer {token}")]);
}

#[test]
fn the_backend_is_called_by_its_own_name() {
    let world = World::start();
    let seen = heard_with(&world, &[]);
    assert_eq!(seen.values("host"), [world.upstream.address().to_string()]);
}

#[test]
fn what_clients_say_to_the_server_passes_unchanged() {
    let world = World::start();
    let said = [
        ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "=?base64?Wm/Dqw==?="),
        ("Mcp-Param-Region", "eu"),
        ("Last-Event-ID", "7"),
    ];
    let seen = heard_with(&world, &said);
    for (name, value) in said {
        assert_eq!(seen.values(name), [value], "{name}");
    }
    assert_eq!(seen.body, "{}");
}

#[test]
fn what_the_server_answers_passes_unchanged() {
    let world = World::start();
    for (status, body) in [
        ("200 OK", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        ("202 Accepted", ""),
        ("400 Bad Request", r#"{"jsonrpc":"2.0","error":{"code":-32020}}"#),
        ("400 Bad Request", r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022}}"#),
        ("404 Not Found", "gone"),
        ("405 Method Not Allowed", "{}"),
        ("500 Internal Server Error", "oh"),
    ] {
        let raw = format!(
            "HTTP/1.1 {status}\\r\\nAllow: POST\\r\\nX-Own: a\\r\\n\
             Content-Length: {}\\r\\n\\r\\n{body}",
            body.len()
        );
        let response = call_with(&world, &[("x-answer", &raw)]);
        assert_eq!(response.status.to_string(), status.split(' ').next().unwrap());
        assert_eq!(response.body, body);
        assert_eq!(response.header("allow"), "POST");
        assert_eq!(response.header("x-own"), "a");
        assert_eq!(response.header("content-length"), body.len().to_string());
    }
}

#[test]
fn an_answer_without_a_body_stays_one() {
    let world = World::start();
    for status in ["204 No Content", "304 Not Modified"] {
        let response =
            call_with(&world, &[("x-answer", &format!("HTTP/1.1 {status}\\r\\n\\r\\n"))]);
        assert_eq!(response.status.to_string(), status.split(' ').next().unwrap());
        assert!(response.headers("transfer-encoding").is_empty(), "{response:?}");
        world.upstream.next();
    }
    assert_eq!(call_with(&world, &[]).status, 200);
}

#[test]
fn the_old_answers_to_the_old_methods_pass_too() {
    let world = World::start();
    let bearer = format!("Bearer {}", world.issuer.token());
    let raw =
        "HTTP/1.1 405 Method Not Allowed\\r\\nAllow: POST\\r\\nContent-Length: 2\\r\\n\\r\\n{}";
    for method in ["GET", "DELETE"] {
        let headers = [("Authorization", bearer.as_str()), ("x-answer", raw)];
        let response = world.request(method, "/mcp", &headers);
        assert_eq!((response.status, response.body.as_str()), (405, "{}"), "{method}");
        assert_eq!(response.header("allow"), "POST");
    }
}

#[test]
fn a_status_keeps_the_words_that_the_server_gave_it() {
    let world = World::start();
    for status in ["404 Not Found", "404 Nobody Home"] {
        let raw = format!("HTTP/1.1 {status}\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}");
        let response = call_with(&world, &[("x-answer", &raw)]);
        assert!(response.head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{}", response.head);
        world.upstream.next();
    }
}

#[test]
fn crumbs_of_cookies_are_one_line_again_for_the_server() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let crumbs = [("authorization", bearer.as_str()), ("cookie", "a=1"), ("cookie", "b=2")];
    let response = H2::connect(world.gateway, &identity).request("POST", "/mcp", &crumbs, "{}");
    assert_eq!((response.status, response.body.as_str()), (200, "{}"));
    let seen = world.upstream.next();
    assert_eq!(seen.values("cookie"), ["a=1; b=2"]);
    is_ours_alone(&world, &seen);
}
