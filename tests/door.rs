//! By which names the proxy may be called, and by which pages.

use rustls::ALL_VERSIONS;

use crate::harness::{H2, Identity, Issuer, Response, World, wait_until};

/// A request to `/mcp` that names this host.
fn at(world: &World, host: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut wire = world.connect();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    wire.send(format!("{head}\r\n"));
    wire.response(method == "HEAD")
}

#[test]
fn another_hosts_requests_are_misdirected() {
    let world = World::start();
    let bearer = format!("Bearer {}", world.issuer.token());
    for host in ["evil.example", "mcp.example.evil.example", "mcp.example:8443", "127.0.0.1", "x"] {
        for path in ["/mcp", "/", "/.well-known/oauth-protected-resource/mcp", "/nothing"] {
            let response = at(&world, host, "GET", path, &[("Authorization", &bearer)]);
            assert_eq!(response.status, 421, "{host} {path}");
            assert!(response.headers("www-authenticate").is_empty());
            assert!(!response.body.contains(host) || host == "x", "{}", response.body);
        }
    }
    world.upstream.saw_nothing();
    assert_eq!(at(&world, "10.1.2.3:8443", "GET", "/healthz", &[]).status, 200, "for probes");
}

#[test]
fn a_site_goes_by_its_names_however_written() {
    let world = World::with(
        "resource: {url: https://mcp.example/mcp, scopes: [mcp:read], hosts: ['gateway:8443']}",
    );
    let bearer = format!("Bearer {}", world.issuer.token());
    for host in ["mcp.example", "MCP.Example", "mcp.example:443", "gateway:8443"] {
        let response = at(&world, host, "GET", "/mcp", &[("Authorization", &bearer)]);
        assert_eq!(response.status, 200, "{host}");
        world.upstream.next();
    }
}

#[test]
fn a_target_and_a_host_that_differ_are_a_bad_request() {
    let world = World::start();
    let bearer = format!("Bearer {}", world.issuer.token());
    for (target, host) in [
        ("http://evil.example/mcp", "mcp.example"),
        ("http://mcp.example/mcp", "evil.example"),
        ("http://evil.example@mcp.example/mcp", "mcp.example"),
    ] {
        let response = at(&world, host, "GET", target, &[("Authorization", &bearer)]);
        assert!(matches!(response.status, 400 | 421), "{target} {host}: {}", response.status);
    }
    world.upstream.saw_nothing();
}

#[test]
fn over_http2_the_authority_is_the_host() {
    let identity = Identity::new();
    let issuer = Issuer::start();
    let settings = format!(
        "{}\nresource: {{url: https://other.example/mcp}}\nissuers: [{{issuer: '{}'}}]",
        identity.settings(),
        issuer.url()
    );
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    let mut client = H2::connect(world.gateway, &identity);
    assert_eq!(client.call(&world.issuer.token()).status, 421);
    let own = [("host", "other.example")];
    let response = client.request("GET", "/mcp", &own, "");
    assert!(matches!(response.status, 400 | 421), "{}", response.status);
    world.upstream.saw_nothing();
}

/// Two sites and, for the first, a second name; TLS ends here.
fn two_sites(identity: &Identity) -> World {
    let issuer = Issuer::start();
    let upstream = "upstream: {address: 'unix:/nowhere.sock'}";
    let settings = format!(
        "{}\nissuers: [{{issuer: '{}'}}]\nsites:\n\
         - {{resource: {{url: 'https://mcp.example/mcp', hosts: ['127.0.0.1:8443']}}, {upstream}}}\n\
         - {{resource: {{url: 'https://localhost/mcp'}}, {upstream}}}\n",
        identity.settings(),
        issuer.url(),
    );
    World::unready(issuer, &settings)
}

#[test]
fn a_connection_is_for_the_site_that_tls_began_with() {
    let identity = Identity::new();
    let world = two_sites(&identity);
    for (name, host, status) in [
        ("mcp.example", "mcp.example", 401),
        ("mcp.example", "MCP.example:443", 401),
        ("mcp.example", "127.0.0.1:8443", 401),
        ("mcp.example", "localhost", 421),
        ("mcp.example", "localhost:443", 421),
        ("localhost", "localhost", 401),
        ("localhost", "mcp.example", 421),
        ("localhost", "127.0.0.1:8443", 421),
        ("localhost", "evil.example", 421),
        // An address is no name, so that TLS began with none.
        ("127.0.0.1", "mcp.example", 401),
        ("127.0.0.1", "localhost", 401),
    ] {
        let client = identity.client(&["http/1.1"], ALL_VERSIONS);
        let mut wire = Identity::connect_to(world.gateway, name.try_into().unwrap(), client);
        wire.send(format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(wire.response(false).status, status, "{name} {host}");
    }
}

#[test]
fn over_http2_a_connection_is_for_the_site_that_tls_began_with() {
    let identity = Identity::new();
    let world = two_sites(&identity);
    for (name, status) in [("mcp.example", 401), ("localhost", 421), ("127.0.0.1", 401)] {
        let client = identity.client(&["h2"], ALL_VERSIONS);
        let mut client = H2::connect_to(world.gateway, name.try_into().unwrap(), client);
        assert_eq!(client.request("POST", "/mcp", &[], "{}").status, status, "{name}");
    }
}

const PAGE: &str = "https://app.example";

fn with_page() -> World {
    World::with(&format!(
        "resource: {{url: https://mcp.example/mcp, scopes: [mcp:read], origins: ['{PAGE}']}}"
    ))
}

#[test]
fn foreign_pages_are_turned_away_without_a_challenge() {
    let world = with_page();
    let bearer = format!("Bearer {}", world.issuer.token());
    for origin in ["null", "https://evil.example", "https://app.example.evil.example", "", "*"] {
        for credentials in [bearer.as_str(), ""] {
            let headers = [("Origin", origin), ("Authorization", credentials)];
            let headers = if credentials.is_empty() { &headers[..1] } else { &headers };
            let response = world.request("POST", "/mcp", headers);
            assert_eq!(response.status, 403, "{origin:?}");
            assert!(response.headers("www-authenticate").is_empty());
            assert!(response.headers("access-control-allow-origin").is_empty());
        }
    }
    let twice = [("Origin", PAGE), ("Origin", PAGE), ("Authorization", bearer.as_str())];
    assert_eq!(world.request("POST", "/mcp", &twice).status, 403);
    world.upstream.saw_nothing();
}

#[test]
fn a_page_may_ask_before_it_calls_and_without_a_token() {
    let world = with_page();
    let ask = [
        ("Origin", PAGE),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, mcp-param-region, x-secret"),
    ];
    let response = world.request("OPTIONS", "/mcp", &ask);
    assert_eq!(response.status, 204);
    assert_eq!(response.header("access-control-allow-origin"), PAGE);
    assert_eq!(response.header("access-control-allow-methods"), "GET, POST, DELETE, OPTIONS");
    let allowed = response.header("access-control-allow-headers");
    for name in ["Authorization", "Mcp-Session-Id", "MCP-Protocol-Version", "mcp-param-region"] {
        assert!(allowed.split(", ").any(|one| one == name), "{name}: {allowed}");
    }
    assert!(!allowed.contains("x-secret"), "{allowed}");
    assert!(response.headers("access-control-allow-credentials").is_empty());
    assert!(response.headers("vary").concat().contains("Origin"));
    // Without a page behind it, it is a request like any other.
    assert_eq!(world.request("OPTIONS", "/mcp", &ask[1..]).status, 401);
    let foreign = [("Origin", "https://evil.example"), ask[1]];
    assert_eq!(world.request("OPTIONS", "/mcp", &foreign).status, 403);
    world.upstream.saw_nothing();
}

#[test]
fn a_page_may_read_answers_and_errors_alike() {
    let world = with_page();
    let bearer = format!("Bearer {}", world.issuer.token());
    let unauthorized = world.request("POST", "/mcp", &[("Origin", PAGE)]);
    let answered = world.request("GET", "/mcp", &[("Origin", PAGE), ("Authorization", &bearer)]);
    assert_eq!((unauthorized.status, answered.status), (401, 200));
    for response in [unauthorized, answered] {
        assert_eq!(response.header("access-control-allow-origin"), PAGE);
        assert_eq!(response.header("vary"), "Origin");
        let exposed = response.header("access-control-expose-headers");
        for name in ["WWW-Authenticate", "Mcp-Session-Id", "Retry-After", "DPoP-Nonce"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    let no_page = world.request("POST", "/mcp", &[]);
    assert!(no_page.headers("access-control-allow-origin").is_empty());
}

#[test]
fn the_backend_opens_nothing_to_pages_and_sets_no_cookies() {
    let world = with_page();
    let bearer = format!("Bearer {}", world.issuer.token());
    let answer = "HTTP/1.1 200 OK\\r\\nAccess-Control-Allow-Origin: *\\r\\n\
                  Access-Control-Allow-Credentials: true\\r\\nServer: secret/1.0\\r\\n\
                  Set-Cookie: a=b\\r\\nWWW-Authenticate: Basic\\r\\nX-Own: kept\\r\\n\
                  Content-Length: 0\\r\\n\\r\\n";
    for origin in [None, Some(PAGE)] {
        let mut headers = vec![("Authorization", bearer.as_str()), ("x-answer", answer)];
        headers.extend(origin.map(|page| ("Origin", page)));
        let response = world.request("GET", "/mcp", &headers);
        assert_eq!((response.status, response.header("x-own")), (200, "kept"));
        let allowed: Vec<&str> = origin.into_iter().collect();
        assert_eq!(response.headers("access-control-allow-origin"), allowed);
        for name in ["access-control-allow-credentials", "server", "set-cookie"] {
            assert!(response.headers(name).is_empty(), "{name}");
        }
    }
    // Told to log in again, a client that we let in would do so for ever.
    let refusing = answer.replace("200 OK", "401 Unauthorized");
    let headers = [("Authorization", bearer.as_str()), ("x-answer", &refusing)];
    assert!(world.request("GET", "/mcp", &headers).headers("www-authenticate").is_empty());
    let stepping_up = answer.replace("200 OK", "403 Forbidden");
    let headers = [("Authorization", bearer.as_str()), ("x-answer", &stepping_up)];
    assert_eq!(world.request("GET", "/mcp", &headers).header("www-authenticate"), "Basic");
}
