//! What answers say to browsers, so that no page can make use of them.

use crate::harness::{H2, Identity, Response, World};

const HSTS: &str = "strict-transport-security";
const YEAR: &str = "max-age=31536000";

/// Our own answers, of every kind that is easily had.
fn own_answers(world: &World) -> Vec<Response> {
    let places = [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("OPTIONS", "/.well-known/oauth-protected-resource/mcp"),
        ("POST", "/mcp"),
        ("POST", "/"),
        ("GET", "/nothing"),
        ("GET", "/a//b"),
    ];
    places.map(|(method, path)| world.request(method, path, &[])).into()
}

#[test]
fn our_answers_are_no_pages() {
    for answer in own_answers(&World::start()) {
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{}", answer.head);
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header(HSTS), YEAR);
        assert!(answer.body.is_empty() || answer.header("content-type") == "application/json");
    }
}

#[test]
fn https_is_asked_for_where_it_is_spoken_by_a_name_of_its_own() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let answer = H2::connect(world.gateway, &identity).request("GET", "/healthz", &[], "");
    assert_eq!(answer.header(HSTS), YEAR);
    for url in ["http://localhost:8080/mcp", "https://localhost:8443/mcp", "https://127.0.0.1/mcp"]
    {
        let world = World::with(&format!("resource: {{url: '{url}'}}"));
        let answer = world.request("GET", "/healthz", &[]);
        assert_eq!(answer.headers(HSTS), [""; 0], "{url}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[test]
fn the_backend_has_the_last_word_on_its_own_answers() {
    let world = World::start();
    let bearer = format!("Bearer {}", world.issuer.token());
    let forwarded = |fields: &str| {
        let answer = format!("HTTP/1.1 200 OK\\r\\n{fields}Content-Length: 0\\r\\n\\r\\n");
        let headers = [("Authorization", bearer.as_str()), ("x-answer", &answer)];
        world.request("GET", "/mcp", &headers)
    };
    let silent = forwarded("");
    assert_eq!((silent.header(HSTS), silent.header("x-content-type-options")), (YEAR, "nosniff"));
    // It may have pages, which may be framed.
    assert_eq!(silent.headers("x-frame-options"), [""; 0]);
    let own =
        forwarded("Strict-Transport-Security: max-age=0\\r\\nX-Frame-Options: SAMEORIGIN\\r\\n");
    assert_eq!((own.header(HSTS), own.header("x-frame-options")), ("max-age=0", "SAMEORIGIN"));
}
