//! When the server behind the proxy is not what it should be.

use std::net::TcpListener;

use crate::harness::{H2, Identity, Response, World};

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
