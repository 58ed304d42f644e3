//! What is told of requests: one line each, and never a credential.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Identity, World, wait_until};

/// The lines of the log up to the end of the process.
fn whole_log(world: &World) -> Vec<String> {
    world.signal("-TERM");
    world.log.iter().collect()
}

/// The lines that are about requests.
fn requests(log: &[String]) -> Vec<Value> {
    let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).expect(line));
    lines.filter(|line| line["message"] == "request").collect()
}

#[test]
fn a_request_is_one_line_that_says_who_and_how_it_ended() {
    let world = World::start();
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert_eq!(world.request("GET", "/mcp", &[]).status, 401);
    let log = requests(&whole_log(&world));
    assert_eq!(log.len(), 2, "{log:?}");
    let [passed, refused] = &log[..] else { panic!("{log:?}") };
    assert_eq!((&passed["outcome"], &passed["status"]), (&"forwarded".into(), &200.into()));
    assert_eq!((&passed["subject"], &passed["client"]), (&"ada".into(), &"test-client".into()));
    assert_eq!(passed["issuer"], world.issuer.url());
    assert_eq!((&passed["method"], &passed["path"]), (&"POST".into(), &"/mcp".into()));
    assert_eq!((&refused["outcome"], &refused["status"]), (&"no_credentials".into(), &401.into()));
    assert_eq!(refused["subject"], Value::Null);
    assert_eq!(passed["security_event"], "authorization");
    assert_eq!(refused["security_event"], "authentication");
    assert_eq!((&passed["bytes_in"], &passed["bytes_out"]), (&2.into(), &2.into()));
    assert!(refused["bytes_out"].as_u64() > Some(20), "{refused}");
    let (whole, added) = (&passed["milliseconds"], &passed["added_milliseconds"]);
    assert!(whole.as_f64() > added.as_f64() && added.as_f64() > Some(0.0), "{passed}");
    assert_eq!(refused["added_milliseconds"], Value::Null);
}

#[test]
fn what_concerns_security_has_a_name_of_its_own() {
    let world = World::with("resource: {url: https://mcp.example/mcp, scopes: [mcp:admin]}");
    let expired = world.issuer.key.sign(&world.issuer.claims().set("exp", 1));
    assert_eq!(world.call(&expired).status, 401);
    assert_eq!(world.call(&world.issuer.token()).status, 403);
    assert_eq!(world.request("GET", "/healthz", &[]).status, 200);
    for line in requests(&whole_log(&world)) {
        let event = match line["outcome"].as_str().unwrap() {
            "token_expired" => "token_validation".into(),
            "insufficient_scope" => "authorization".into(),
            "health" => Value::Null,
            other => panic!("{other}"),
        };
        assert_eq!(line["security_event"], event, "{line}");
    }
}

/// Turned up and down by the file, while requests come.
#[test]
fn levels_are_by_module_and_change_while_the_proxy_runs() {
    let world = World::with("log: {format: json, level: 'info,gateway=off'}");
    let token = world.issuer.token();
    let is_in_force = |generation: u64| {
        let told: Value = serde_json::from_str(&world.admin("/generation").body).unwrap();
        told["generation"] == generation
    };
    let mut seen = Vec::new();
    for (number, (level, is_told)) in
        [("info,gateway=off", false), ("off,gateway=info", true), ("warn", false), ("info", true)]
            .into_iter()
            .enumerate()
    {
        world.configure(&format!("log: {{format: json, level: '{level}'}}"));
        wait_until(level, || is_in_force(u64::try_from(number).unwrap() + 1));
        let path = format!("/mcp/{number}");
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        assert_eq!(world.request("POST", &path, &headers).status, 200);
        if is_told {
            seen.push(path);
        }
    }
    let log = whole_log(&world);
    let paths: Vec<_> =
        requests(&log).iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, seen);
    assert!(log.iter().any(|line| line.contains("stopping")), "{log:?}");
}

#[test]
fn the_format_of_the_log_needs_a_restart() {
    let world = World::start();
    world.configure("log: {format: text, level: debug}");
    wait_until("it is refused", || world.metric("postern_config_current") < 0.5);
    assert!(world.admin("/generation").body.contains("log.format"));
}

#[test]
fn whoever_may_not_is_named_too() {
    let world = World::with("resource: {url: https://mcp.example/mcp, scopes: [mcp:admin]}");
    assert_eq!(world.call(&world.issuer.token()).status, 403);
    let log = requests(&whole_log(&world));
    let [refused] = &log[..] else { panic!("{log:?}") };
    assert_eq!(refused["outcome"], "insufficient_scope");
    assert_eq!((&refused["subject"], &refused["client"]), (&"ada".into(), &"test-client".into()));
}

#[test]
fn a_token_is_never_told_wherever_it_was_put() {
    for level in ["info", "debug"] {
        let world = World::with(&format!("log: {{format: json, level: {level}}}"));
        let token = world.issuer.token();
        let expired = world.issuer.key.sign(&world.issuer.claims().set("exp", 1));
        assert_eq!(world.call(&token).status, 200);
        for token in [&token, &expired] {
            let cookie = [("Cookie", token.as_str()), ("X-Token", token)];
            let path = format!("/mcp?access_token={token}");
            assert_eq!(world.request("POST", &path, &cookie).status, 401);
            world.request("POST", "/mcp", &[("Authorization", token)]);
            world.call(token);
        }
        let mut torn = world.connect();
        torn.send(format!(
            "POST /mcp HTTP/1.1\r\nAuthorization: Bearer {token}\r\n: broken\r\n\r\n"
        ));
        torn.rest();
        let log = whole_log(&world).join("\n");
        for token in [token, expired] {
            for part in token.split('.') {
                assert!(!log.contains(part), "{level}: {part} is in\n{log}");
            }
        }
    }
}

#[test]
fn what_a_client_sends_cannot_make_a_line_of_its_own() {
    let world = World::start();
    let claims = world.issuer.claims().set("sub", "eve\n{\"message\":\"listening\"}\u{1b}[2J");
    assert_eq!(world.call(&world.issuer.key.sign(&claims)).status, 200);
    let log = whole_log(&world);
    assert_eq!(requests(&log).len(), 1);
    assert!(log.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log:?}");
}

/// What terminals and log readers take for something else than text.
const ODD: &str = "eve\n{\"message\":\"listening\"}\r\u{1b}[2J\u{1b}]0;x\u{7}\
                   \u{9b}2J\0\u{7f}\u{202e}\u{2028}\" x=1";

/// Requests that have it wherever a client can put it.
fn speak_oddly(world: &World) {
    let claims = world.issuer.claims().set("sub", ODD).set("client_id", ODD).set("jti", ODD);
    assert_eq!(world.call(&world.issuer.key.sign(&claims)).status, 200);
    let mut header = world.issuer.key.header();
    header.kid = Some(ODD.into());
    let unknown = format!("Bearer {}", world.issuer.key.sign_as(&header, &claims));
    for (name, value) in [
        ("X-Request-Id", "a\x1b[2J"),
        ("X-Correlation-ID", "\u{9b}2J"),
        ("traceparent", "\u{1b}"),
        ("User-Agent", "\u{9b}2J\" x=1"),
        ("Authorization", &unknown),
    ] {
        world.request("GET", "/mcp", &[(name, value)]);
    }
    for line in [
        "GET /mcp/\x1b[2J HTTP/1.1",
        "GET /mcp/\u{9b}2J HTTP/1.1",
        "GET /mcp/\"x\"=1 HTTP/1.1",
        "GET /mcp/{\"message\":\"x\"} HTTP/1.1",
        "GET /mcp\\n\\u001b HTTP/1.1",
        "GE\x1bT /mcp HTTP/1.1",
        "G'E`T /mcp HTTP/1.1",
    ] {
        let mut wire = world.connect();
        wire.send(format!("{line}\r\nHost: mcp.example\r\nConnection: close\r\n\r\n"));
        wire.rest();
    }
}

#[test]
fn each_line_is_one_object_whatever_clients_say() {
    let world = World::start();
    speak_oddly(&world);
    let metrics = world.admin("/metrics").body;
    assert!(metrics.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
    for foreign in ["\"eve", "2J", "listening", "/mcp/"] {
        assert!(!metrics.contains(foreign), "{foreign} in\n{metrics}");
    }
    let log = whole_log(&world);
    let known = ["new keys", "listening", "request", "stopping", "stopped"];
    for line in &log {
        let odd = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!line.contains(odd), "{line:?}");
        let line: Value = serde_json::from_str(line).expect(line);
        assert!(known.contains(&line["message"].as_str().unwrap()), "{line}");
    }
    let lines = requests(&log);
    assert!(lines.len() > 8, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line["subject"] == ODD).count(), 1, "told whole");
}

#[test]
fn text_for_people_moves_no_cursor() {
    let world = World::with("log: {format: text}");
    speak_oddly(&world);
    let log = whole_log(&world);
    let lines: Vec<_> = log.iter().filter(|line| line.contains("request outcome=")).collect();
    assert!(lines.len() > 8, "{log:?}");
    for line in &log {
        let odd = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!line.contains(odd), "{line:?}");
        assert!(!line.starts_with('{'), "{line:?}");
    }
}

#[test]
fn clients_that_are_not_answered_write_no_lines() {
    let identity = Identity::new();
    let world = World::with(&format!("{}\nlimits: {{header_timeout: 200ms}}", identity.settings()));
    for _ in 0..5 {
        world.connect().send("not TLS");
        let mut wire = identity.connect(world.gateway);
        wire.send("GET / HTTP/1.1\r\n");
        assert!(wire.is_closed_within(Duration::from_secs(8)));
    }
    let log = whole_log(&world);
    let expected = ["new keys", "listening", "stopping", "stopped"];
    for line in &log {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(expected.contains(&line["message"].as_str().unwrap()), "{line}");
    }
}
