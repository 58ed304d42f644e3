//! Requests that two readers could take for different ones reach no second reader.

use serde_json::{Value, json};

use crate::harness::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, field, frame};
use crate::harness::{H2, Identity, Wire, World};

/// The head and body of a good request, to be spoiled.
struct Raw {
    line: String,
    fields: Vec<String>,
    body: String,
}

impl Raw {
    fn good(world: &World) -> Self {
        let authorization = format!("Authorization: Bearer {}", world.issuer.token());
        let fields = ["Host: mcp.example", "Content-Length: 2", &authorization];
        Self {
            line: "POST /mcp HTTP/1.1".into(),
            fields: fields.map(str::to_owned).to_vec(),
            body: "{}".into(),
        }
    }

    fn line(mut self, line: &str) -> Self {
        self.line = line.into();
        self
    }

    fn with(mut self, field: &str) -> Self {
        self.fields.push(field.into());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|field| !field.starts_with(name));
        self
    }

    fn chunked(self, body: &str) -> Self {
        let mut raw = self.without("Content-Length").with("Transfer-Encoding: chunked");
        raw.body = body.into();
        raw
    }

    fn send(&self, world: &World) -> Wire {
        let mut wire = world.connect();
        wire.send(format!("{}\r\n{}\r\n\r\n{}", self.line, self.fields.join("\r\n"), self.body));
        wire
    }
}

/// Spoil one thing of a good request: it is answered so, the connection is closed, and nothing
/// reaches the backend.
#[track_caller]
fn refuses(status: u16, world: &World, spoil: impl FnOnce(Raw) -> Raw) {
    let mut wire = spoil(Raw::good(world)).send(world);
    let response = wire.response(false);
    assert_eq!(response.status, status, "{response:?}");
    world.upstream.saw_nothing();
    assert!(wire.is_closed(), "what follows would be read as another request");
}

#[test]
fn an_unspoilt_request_passes() {
    let world = World::start();
    assert_eq!(Raw::good(&world).send(&world).response(false).status, 200);
    let chunked = Raw::good(&world).chunked(CHUNKS);
    assert_eq!(chunked.send(&world).response(false).status, 200);
}

#[test]
fn a_length_beside_chunks_is_refused() {
    let world = World::start();
    let body = "0\r\n\r\nGET /mcp/evil HTTP/1.1\r\nHost: x\r\n\r\n";
    refuses(400, &world, |raw| raw.chunked(body).with("Content-Length: 5"));
    refuses(400, &world, |raw| raw.chunked(body).with("Content-Length: 43"));
    refuses(400, &world, |raw| raw.with("Transfer-Encoding: chunked"));
    refuses(400, &world, |raw| {
        raw.chunked(body).with("Content-Length: 5").with("Connection: keep-alive")
    });
    refuses(400, &world, |raw| {
        raw.chunked(body).with("Content-Length: 5").with("Connection: close")
    });
}

#[test]
fn two_lengths_are_refused_even_if_they_agree() {
    let world = World::start();
    refuses(400, &world, |raw| raw.with("Content-Length: 2"));
    refuses(400, &world, |raw| raw.with("Content-Length: 3"));
    refuses(400, &world, |raw| raw.without("Content-Length").with("Content-Length: 2, 2"));
}

#[test]
fn a_length_is_digits_and_nothing_else() {
    let world = World::start();
    for length in ["+2", "-2", "0x2", "2 2", "2.0", "", "99999999999999999999x"] {
        let field = format!("Content-Length: {length}");
        refuses(400, &world, |raw| raw.without("Content-Length").with(&field));
    }
}

#[test]
fn only_chunked_and_only_once() {
    let world = World::start();
    for coding in [
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, identity",
        "xchunked",
        "chunked, chunked",
        "\"chunked\"",
        "\x0bchunked",
    ] {
        let field = format!("Transfer-Encoding: {coding}");
        refuses(400, &world, |raw| raw.chunked(CHUNKS).without("Transfer-Encoding").with(&field));
    }
    refuses(400, &world, |raw| raw.chunked(CHUNKS).with("Transfer-Encoding: chunked"));
    let shouted = Raw::good(&world).chunked(CHUNKS).without("Transfer-Encoding");
    let shouted = shouted.with("transfer-encoding: CHUNKED ").send(&world).response(false);
    assert_eq!(shouted.status, 200);
}

#[test]
fn torn_chunks_make_no_request() {
    let world = World::start();
    for body in [
        "G\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}",
        "2\r\n{}{}\r\n0",
        "2\n{}\n0\n\n",
        "2\0\r\n{}\r\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
    ] {
        let mut wire = Raw::good(&world).chunked(body).send(&world);
        let heard = wire.rest();
        assert!(!heard.starts_with("HTTP/1.1 200"), "{body:?} {heard}");
        world.upstream.saw_nothing();
    }
}

/// pingora takes no size for 0 and any byte for an extension; what the backend gets is made anew.
#[test]
fn odd_chunks_reach_nobody_as_they_came() {
    let world = World::start();
    let second = "GET /mcp/evil HTTP/1.1\r\nHost: mcp.example\r\n\r\n";
    for (odd, body) in [
        (format!("\r\n{second}0\r\n\r\n"), ""),
        (format!("2;a=b\r\n{{}}\r\n0;{second}\r\n"), "{}"),
        (format!("2;\n{second}\r\n{{}}\r\n0\r\n\r\n"), "{}"),
        (format!("2\r\n{{}}\r\n0\r\nX-A: {second}"), "{}"),
    ] {
        Raw::good(&world).chunked(&odd).with("Connection: close").send(&world).rest();
        if let Some(seen) = world.upstream.poll() {
            assert_eq!((seen.body.as_str(), seen.trailers.trim()), (body, ""), "{odd:?}");
            assert_eq!(seen.values("transfer-encoding"), ["chunked"]);
        }
        world.upstream.saw_nothing();
    }
}

#[test]
fn exactly_one_host_is_expected() {
    let world = World::start();
    refuses(400, &world, |raw| raw.without("Host"));
    refuses(400, &world, |raw| raw.with("Host: mcp.example"));
    refuses(400, &world, |raw| raw.with("Host: evil.example"));
}

#[test]
fn an_older_http_is_not_spoken() {
    let world = World::start();
    refuses(505, &world, |raw| raw.line("POST /mcp HTTP/1.0"));
    refuses(505, &world, |raw| raw.line("POST /mcp HTTP/1.0").with("Connection: keep-alive"));
    refuses(400, &world, |raw| raw.line("POST /mcp HTTP/1.0").chunked("0\r\n\r\n"));
    refuses(400, &world, |raw| raw.line("POST /mcp"));
}

#[test]
fn a_head_of_another_grammar_is_refused() {
    let world = World::start();
    for field in ["X-A: b\r\n c", "X-A: b\r\n\tc", "X-A : b", " X-A: b", "X-A", ": b", "X-A: \0"] {
        refuses(400, &world, |raw| raw.with(field));
    }
}

#[test]
fn a_line_ends_as_all_readers_end_it() {
    let world = World::start();
    let bare = "X-A: b\nTransfer-Encoding: chunked";
    for field in [bare, "X-A: b\n", "X-A: b\n\n", "X-A: b\r\r\n", "X-A: b\rX-B: c", "\nX-A: b"] {
        refuses(400, &world, |raw| raw.with(field));
    }
    refuses(400, &world, |raw| raw.line("POST /mcp HTTP/1.1\nX-A: b"));
    let mut wire = world.connect();
    wire.send("POST /mcp HTTP/1.1\nHost: mcp.example\n\n");
    assert_eq!(wire.response(false).status, 400);
    assert!(wire.is_closed());
}

/// pingora answers these by itself, before there is a request.
#[test]
fn what_cannot_be_read_is_refused_in_our_own_words() {
    let world = World::start();
    for (line, status, label) in [
        ("POST /mcp HTTP/1.1\r\n: x", 400, "torn"),
        ("CONNECT mcp.example:443 HTTP/1.1", 405, "bad_method"),
    ] {
        let counted = format!("postern_requests_total{{outcome=\"{label}\"}}");
        for before in [0.0, 1.0] {
            let mut wire = world.connect();
            if before > 0.0 {
                // The second request of a connection, too.
                assert_eq!(wire.call(&world.issuer.token()).status, 200);
                world.upstream.next();
            }
            wire.send(format!("{line}\r\nHost: mcp.example\r\n\r\n"));
            let response = wire.response(false);
            assert_eq!(response.status, status, "{response:?}");
            assert!(response.headers("server").is_empty(), "{response:?}");
            assert_eq!(response.header("content-type"), "application/json");
            assert_eq!(response.header("cache-control"), "no-store");
            assert_eq!(response.header("connection"), "close");
            let body: Value = serde_json::from_str(&response.body).unwrap();
            assert_eq!(body["error"], "invalid_request");
            assert!(wire.is_closed());
            assert!((world.metric(&counted) - before - 1.0).abs() < 0.1, "{label}");
            let told = world.log_line(&format!("\"outcome\":\"{label}\""));
            let id = response.header("x-request-id");
            assert_eq!((id.len(), response.header("x-correlation-id")), (32, id));
            assert!(told.contains(&format!("\"request_id\":\"{id}\"")), "{told}");
            assert!(told.contains("127.0.0.1") && told.contains(&status.to_string()), "{told}");
        }
    }
    world.upstream.saw_nothing();
}

#[test]
fn a_path_with_two_readings_is_refused() {
    let world = World::start();
    let paths = "/public/../mcp /mcp/../mcp //mcp /mcp//x /%2e%2e/mcp /mcp%2Fx /%6dcp /.;/mcp \
                 /mcp;x=/healthz /mcp\\x /mcp%00 /%252e/mcp /mcp/%c0%ae /mcp/\u{e9} \
                 /.well-known/oauth-protected-resource/../../mcp";
    for path in paths.split(' ') {
        let line = format!("POST {path} HTTP/1.1");
        let response = Raw::good(&world).line(&line).send(&world).response(false);
        assert_eq!(response.status, 400, "{path} {response:?}");
        world.upstream.saw_nothing();
    }
}

#[test]
fn a_query_or_a_fragment_moves_nothing_to_another_place() {
    let world = World::start();
    assert_eq!(world.request("POST", "/mcp?x=/healthz", &[]).status, 401);
    assert_eq!(world.request("GET", "/other?x=/mcp", &[]).status, 404);
    assert_ne!(world.request("GET", "/mcp#/../healthz", &[]).status, 200);
    assert_ne!(world.request("GET", "/healthz#/mcp", &[("x", "y")]).status, 404);
    world.upstream.saw_nothing();
}

#[test]
fn the_path_is_passed_on_as_it_was_judged() {
    let world = World::start();
    let path = "/mcp/a.b/c-d_e~f?q=%2F..%2F&x=;";
    let raw = Raw::good(&world).line(&format!("POST {path} HTTP/1.1"));
    assert_eq!(raw.send(&world).response(false).status, 200);
    let seen = world.upstream.next();
    assert!(seen.head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{}", seen.head);
}

#[test]
fn an_absolute_target_is_judged_by_its_path_and_for_this_host() {
    let world = World::start();
    refuses(400, &world, |raw| raw.line("POST http://evil.example/mcp HTTP/1.1"));
    let line = "POST http://mcp.example/mcp?q=1 HTTP/1.1";
    let response =
        Raw::good(&world).line(line).without("Authorization").send(&world).response(false);
    assert_eq!(response.status, 401);
    world.upstream.saw_nothing();
    let response = Raw::good(&world).line(line).send(&world).response(false);
    assert_eq!(response.status, 200);
    let seen = world.upstream.next();
    assert!(seen.head.starts_with("POST /mcp?q=1 HTTP/1.1\r\n"), "{}", seen.head);
}

/// Where the target ends is where every reader ends it.
#[test]
fn a_line_with_odd_blanks_is_refused() {
    let world = World::with("resource: {url: https://mcp.example, scopes: [mcp:read]}");
    for line in [
        "POST  /mcp HTTP/1.1",
        "POST /mcp  HTTP/1.1",
        "POST /mcp /x HTTP/1.1",
        "POST mcp HTTP/1.1",
        "POST ?a HTTP/1.1",
        "POST * HTTP/1.1",
        "POST mcp.example:443 HTTP/1.1",
        "POST http:mcp HTTP/1.1",
        "POST ftp://mcp.example/ HTTP/1.1",
        "POST /mcp HTTP/1.1 ",
        "POST\t/mcp HTTP/1.1",
        "POST /mcp\tHTTP/1.1",
        "POST /mcp\x0bx HTTP/1.1",
        " POST /mcp HTTP/1.1",
    ] {
        let claims = world.issuer.claims().set("aud", "https://mcp.example");
        let token = format!("Authorization: Bearer {}", world.issuer.key.sign(&claims));
        let raw = Raw::good(&world).line(line).without("Authorization").with(&token);
        let response = raw.send(&world).response(false);
        assert_eq!(response.status, 400, "{line:?} {response:?}");
        world.upstream.saw_nothing();
    }
}

#[test]
fn methods_that_speak_to_proxies_are_not_served() {
    let world = World::start();
    for line in ["TRACE /mcp HTTP/1.1", "CONNECT mcp.example:443 HTTP/1.1", "CONNECT /mcp HTTP/1.1"]
    {
        let response = Raw::good(&world).line(line).send(&world).response(false);
        assert!([400, 405].contains(&response.status), "{line} {response:?}");
        world.upstream.saw_nothing();
    }
}

#[test]
fn what_says_what_a_request_is_about_is_said_once() {
    let world = World::start();
    for name in
        ["Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "Last-Event-ID"]
    {
        let twice = |first: &str, second: &str| {
            let raw = Raw::good(&world).with(&format!("{name}: {first}"));
            raw.with(&format!("{}: {second}", name.to_lowercase()))
        };
        for (first, second) in [("a", "b"), ("a", "a"), ("", "a")] {
            refuses(400, &world, |_| twice(first, second));
        }
        let response = twice("a", "b").send(&world).response(false);
        let body: Value = serde_json::from_str(&response.body).unwrap();
        // As a server of 2026-07-28 says it: no sign of an older one.
        assert_eq!((&body["jsonrpc"], &body["error"]["code"]), (&json!("2.0"), &json!(-32020)));
        assert!(body.get("id").is_none(), "{body}");
        let stranger = twice("a", "b").without("Authorization").send(&world).response(false);
        assert_eq!(stranger.status, 401, "who is asked first");
    }
    let plain = Raw::good(&world).with("Mcp-Param-A: a").with("Mcp-Param-A: b").with("Mcp-Name: a");
    assert_eq!(plain.send(&world).response(false).status, 200);
}

#[test]
fn bytes_after_a_request_are_not_smuggled_in_with_it() {
    let world = World::start();
    let second = "GET /mcp/evil HTTP/1.1\r\nHost: mcp.example\r\n\r\n";
    let mut raw = Raw::good(&world);
    raw.body.push_str(second);
    let heard = raw.with("Connection: close").send(&world).rest();
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    let seen = world.upstream.next();
    assert_eq!((seen.body.as_str(), seen.head.contains("evil")), ("{}", false));
    world.upstream.saw_nothing();
}

#[test]
fn the_body_of_a_refused_request_is_no_request() {
    let world = World::start();
    let mut inner = Raw::good(&world);
    inner.line = "POST /mcp/evil HTTP/1.1".into();
    let hidden = format!("{}\r\n{}\r\n\r\n{{}}", inner.line, inner.fields.join("\r\n"));
    let mut wire = world.connect();
    let response = wire.request("POST", "/mcp", &[("Connection", "close")], &hidden);
    assert_eq!(response.status, 401);
    assert_eq!(wire.rest(), "");
    world.upstream.saw_nothing();
}

#[test]
fn http2_has_the_same_grammar() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let authorized = ("authorization", bearer.as_str());
    let mut client = H2::connect(world.gateway, &identity);
    for path in ["//mcp", "/mcp/../x", "/mcp%2Fx", "/mcp;x=/healthz"] {
        let response = client.request("POST", path, &[authorized], "{}");
        assert_eq!(response.status, 400, "{path}");
    }
    assert_eq!(client.request("TRACE", "/mcp", &[authorized], "").status, 405);
    for fields in [("content-length", "+2"), ("content-length", "3"), ("host", "evil.example")] {
        let answer = client.open("POST", "/mcp", &[authorized, fields], "{}");
        let status = answer.map_or(0, |answer| answer.head.status);
        assert_ne!(status, 200, "{fields:?}");
    }
    world.upstream.saw_nothing();
}

/// RFC 9113 sections 8.2 and 8.3, where a library would not let a client say it.
#[test]
fn what_http2_forbids_reaches_no_http1() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let pseudo: [(&str, &str); 4] = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/mcp"),
        (":authority", "mcp.example"),
    ];
    let own = ("authorization", bearer.as_str());
    let with = |odd: (&'static str, &'static str)| [&pseudo[..], &[own, odd]].concat();
    let heads: Vec<Vec<(&str, &str)>> = vec![
        with(("X-Upper", "a")),
        with(("x:colon", "a")),
        with(("x\r\nx-b", "a")),
        with(("x-a", "a\r\nx-b: c")),
        with(("x-a", "a\nb")),
        with(("x-a", "a\0b")),
        with(("", "a")),
        with(("x a", "a")),
        with(("connection", "x-a")),
        with(("transfer-encoding", "chunked")),
        with(("keep-alive", "1")),
        with(("proxy-connection", "x")),
        with(("upgrade", "h2c")),
        with(("te", "gzip")),
        with((":path", "/mcp/other")),
        with((":method", "GET")),
        with((":status", "200")),
        with((":protocol", "websocket")),
        with(("host", "evil.example")),
        with(("content-length", "7")),
        [&pseudo[..2], &[own]].concat(),
        [&[own], &pseudo[..]].concat(),
        [&pseudo[..2], &[(":path", "mcp"), pseudo[3], own]].concat(),
        [&pseudo[..2], &[(":path", ""), pseudo[3], own]].concat(),
        [&pseudo[..2], &[(":path", "/mcp\r\nx: y"), pseudo[3], own]].concat(),
        [&pseudo[..2], &[(":path", "/mcp x"), pseudo[3], own]].concat(),
        [&pseudo[..2], &[(":path", "https://mcp.example/mcp"), pseudo[3], own]].concat(),
        [&pseudo[..3], &[(":authority", "a@mcp.example"), own]].concat(),
    ];
    for head in heads {
        let mut frames = Frames::connect(world.gateway, &identity);
        let fields: Vec<u8> = head.iter().flat_map(|(name, value)| field(name, value)).collect();
        frames.send(&frame(HEADERS, END_HEADERS, 1, &fields));
        frames.send(&frame(DATA, END_STREAM, 1, b"{}"));
        world.upstream.saw_nothing();
    }
    let fields: Vec<u8> =
        with(("x-a", "b")).iter().flat_map(|(name, value)| field(name, value)).collect();
    let mut frames = Frames::connect(world.gateway, &identity);
    frames.send(&frame(HEADERS, END_HEADERS, 1, &fields));
    frames.send(&frame(DATA, END_STREAM, 1, b"{}"));
    assert_eq!(world.upstream.next().values("x-a"), ["b"], "a good one passes");
}

const CHUNKS: &str = "2\r\n{}\r\n0\r\n\r\n";

/// An empty piece, written as a chunk, would end the body before its end is written: what is too much would
/// stand before the next request, whosever that is.
#[test]
fn a_body_that_ends_with_an_empty_piece_ends_once() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let mut client = H2::connect(world.gateway, &identity);
    for body in [&["{}"][..], &[], &["{", "}"]] {
        let mut begun = client.begin("POST", "/mcp", &[("authorization", &bearer)]).unwrap();
        for piece in body {
            begun.say(piece);
        }
        assert_eq!(begun.end(None).unwrap().head.status, 200);
        let seen = world.upstream.next();
        assert!(seen.head.starts_with("POST /mcp "), "{}", seen.head);
        assert_eq!(seen.body.replace("\r\n", ""), body.concat());
    }
    world.upstream.saw_nothing();
}
