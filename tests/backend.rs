//! When the server behind the proxy is not what it should be.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use serde_json::json;

use crate::harness::{H2, Identity, ProofKey, Response, World};

#[track_caller]
fn is_bad_gateway(response: &Response) {
    assert_eq!(response.status, 502, "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    assert!(response.headers("www-authenticate").is_empty(), "the caller can do nothing about it");
    assert!(response.body.starts_with("{\"error\":\"bad_gateway\""), "{}", response.body);
}

fn answered(world: &World, answer: &str) -> Response {
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("Authorization", bearer.as_str()), ("x-answer", answer)];
    world.connect().request("POST", "/mcp", &headers, "{}")
}

#[test]
fn a_server_that_is_not_there_is_a_bad_gateway() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let identity = Identity::new();
    let upstream = format!("upstream: {{address: '{nobody}'}}");
    let world = World::with(&format!("{}\n{upstream}", identity.settings()));
    let token = world.issuer.token();
    is_bad_gateway(&identity.connect(world.gateway).call(&token));
    let mut client = H2::connect(world.gateway, &identity);
    is_bad_gateway(&client.call(&token));
    assert_eq!(client.request("POST", "/mcp", &[], "{}").status, 401, "who is asked first");
    assert_eq!(client.request("GET", "/healthz", &[], "").status, 200);
    assert!(world.is_ready(), "a proxy without its server is still the one to ask");
}

#[test]
fn a_server_that_hangs_up_or_speaks_another_protocol_is_a_bad_gateway() {
    let world = World::start();
    is_bad_gateway(&answered(&world, "hang-up"));
    is_bad_gateway(&answered(&world, "SSH-2.0-OpenSSH\\r\\n\\r\\n"));
    assert_eq!(world.call(&world.issuer.token()).status, 200);
}

#[test]
fn a_request_that_may_have_had_its_effect_is_not_sent_again() {
    let world = World::start();
    is_bad_gateway(&answered(&world, "hang-up"));
    world.upstream.next();
    world.upstream.saw_nothing();
}

/// A server that answers with `first`, and then with `again` until it is hung up on: how often that was.
fn pouring(first: &'static str, again: &'static str) -> (World, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let world =
        World::with(&format!("upstream: {{address: '{}'}}", listener.local_addr().unwrap()));
    let pouring = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        assert!(connection.read(&mut [0; 4096]).unwrap() > 0);
        drop(connection.write_all(first.as_bytes()));
        (0..MOST).find(|_| connection.write_all(again.as_bytes()).is_err()).unwrap_or(MOST)
    });
    (world, pouring)
}

const MOST: usize = 10_000_000;

#[test]
fn an_answer_that_never_begins_is_not_waited_for() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let (world, pouring) = pouring("", early);
    let mut wire = world.connect();
    let mut response = wire.call(&world.issuer.token());
    let mut heads = 0;
    while response.status == 103 {
        heads += 1;
        response = wire.response(false);
    }
    is_bad_gateway(&response);
    assert_eq!(heads, 100);
    assert!(pouring.join().unwrap() < MOST, "it was hung up on");
}

#[test]
fn a_head_without_an_end_is_not_waited_for_and_not_kept() {
    let (world, pouring) = pouring("HTTP/1.1 200 OK\r\n", "a: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    is_bad_gateway(&world.call(&world.issuer.token()));
    // What the sockets' buffers hold comes on top of what was read.
    assert!(pouring.join().unwrap() * 32 < 16 << 20, "it was hung up on");
    let many = "a: b\\r\\n".repeat(300);
    is_bad_gateway(&answered(&World::start(), &format!("HTTP/1.1 200 OK\\r\\n{many}\\r\\n")));
}

const KEPT: &str = "forward: {authorization: keep}";

fn refusing(challenge: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\\r\\nWWW-Authenticate: {challenge}\\r\\n\
         Content-Length: 0\\r\\n\\r\\n"
    )
}

/// Whoever was shown the token may say that it is no longer good. Where another is to be had, we say.
#[test]
fn a_backend_that_refuses_the_token_has_the_caller_challenged() {
    let told = World::PLAIN_CHALLENGE.replace(
        "Bearer ",
        "Bearer error=\"invalid_token\", \
         error_description=\"the server can no longer use the token\", ",
    );
    let own = "Bearer error=\"invalid_token\", resource_metadata=\"https://evil.example\"";
    let world = World::with(KEPT);
    let response = answered(&world, &refusing(own));
    assert_eq!((response.status, response.headers("www-authenticate")), (401, vec![&*told]));
    world.log_line("\"token_refused_by_backend\"");
    assert_eq!(world.call(&world.issuer.token()).status, 200, "the token itself still holds here");
    // What it wants for itself is not the caller's to give.
    for own in ["Basic realm=\"x\"", "Bearer", "Bearer error=\"invalid_request\""] {
        let response = answered(&world, &refusing(own));
        assert_eq!((response.status, response.headers("www-authenticate")), (401, vec![]));
    }
}

#[test]
fn a_backend_that_saw_no_token_has_nobody_challenged() {
    let refusing = refusing("Bearer error=\"invalid_token\"");
    let response = answered(&World::start(), &refusing);
    assert_eq!((response.status, response.headers("www-authenticate")), (401, vec![]));
    // A token that is bound to a key stays here, whatever the operator says.
    let world = World::with(KEPT);
    let key = ProofKey::new();
    let claims = world.issuer.claims().set("cnf", json!({ "jkt": key.thumbprint() }));
    let token = world.issuer.key.sign(&claims);
    let proof = key.sign(&key.proof("POST", "https://mcp.example/mcp", &token));
    let credentials = format!("DPoP {token}");
    let headers = [("Authorization", &*credentials), ("DPoP", &*proof), ("x-answer", &*refusing)];
    let response = world.connect().request("POST", "/mcp", &headers, "{}");
    assert_eq!((response.status, response.headers("www-authenticate")), (401, vec![]));
    assert!(world.upstream.next().values("authorization").is_empty());
}
