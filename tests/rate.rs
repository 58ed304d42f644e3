//! How often somebody may fail, how often call, and how much have open at once.

use std::net::{IpAddr, Ipv4Addr};

use crate::harness::{H2, Identity, Issuer, ProofKey, Response, Upstream, Wire, World, wait_until};

/// A token of this subject and client.
fn token(world: &World, subject: &str, client: &str) -> String {
    let claims = world.issuer.claims().set("sub", subject).set("client_id", client);
    world.issuer.key.sign(&claims)
}

/// A request with this token, from another address of this machine.
fn from(world: &World, last: u8, token: &str) -> Response {
    let own = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    Wire::connect_from(own, world.gateway).call(token)
}

#[track_caller]
fn is_throttled(response: &Response, policy: &str, code: &str) {
    assert_eq!(response.status, 429, "{}", response.body);
    let name = policy.split(';').next().unwrap();
    let wait: u64 = response.header("retry-after").parse().unwrap();
    assert!(wait >= 1, "{wait}");
    assert_eq!(response.header("ratelimit-policy"), policy);
    assert_eq!(response.header("ratelimit"), format!("{name};r=0;t={wait}"));
    assert_eq!(response.header("cache-control"), "no-store");
    assert!(response.headers("www-authenticate").is_empty(), "no reason to log in again");
    assert!(response.body.contains(&format!("\"error\":\"{code}\"")), "{}", response.body);
}

#[track_caller]
fn fails_too_often(response: &Response, count: u32, window: u32) {
    let policy = format!("\"failed-authentication\";q={count};w={window}");
    is_throttled(response, &policy, "too_many_failures");
}

#[test]
fn a_source_that_fails_too_often_has_no_new_token_looked_at() {
    let world = World::with("limits: {failed_authentication: 3/h}");
    let known = world.issuer.token();
    assert_eq!(world.call(&known).status, 200);
    for _ in 0..3 {
        assert_eq!(world.call("a.bad.token").status, 401);
    }
    let refused = world.call("a.bad.token");
    fails_too_often(&refused, 3, 3600);
    assert_eq!(refused.header("retry-after"), "1200");
    let new = token(&world, "grace", "program");
    fails_too_often(&world.call(&new), 3, 3600);
    assert_eq!(world.call(&known).status, 200, "others come through the same door");
    assert_eq!(from(&world, 2, &new).status, 200, "another source");
    assert_eq!(world.call(&new).status, 200, "and by now it is known");
    assert_eq!(world.request("POST", "/mcp", &[]).status, 401, "how every client begins");
    wait_until("they are counted", || {
        world.metric("postern_requests_total{outcome=\"too_many_failures\"}") >= 2.0
    });
    let line = world.log_line("too_many_failures");
    assert!(line.contains("\"status\":429") && line.contains("127.0.0.1"), "{line}");
}

#[test]
fn a_token_that_was_good_when_its_issuer_was_last_asked_is_asked_about_again() {
    let issuer = Issuer::start();
    let settings = format!(
        "limits: {{failed_authentication: 2/h}}\nissuers: [{{issuer: '{}', \
         introspection: {{client_id: gateway, client_secret: s3cret, cache: 0s}}}}]",
        issuer.url()
    );
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    for token in ["known", "new"] {
        world.issuer.vouch(token, &world.issuer.claims());
    }
    assert_eq!(world.call("known").status, 200);
    assert_eq!([world.call("bad").status, world.call("worse").status], [401, 401]);
    fails_too_often(&world.call("new"), 2, 3600);
    assert_eq!(world.call("known").status, 200);
    assert_eq!(world.call("bad").status, 429, "and nobody is asked about it");
}

#[test]
fn a_source_that_stops_failing_is_heard_again() {
    let world = World::with("limits: {failed_authentication: 2/s}");
    wait_until("it is over", || world.call("a.bad.token").status == 429);
    let new = world.issuer.token();
    wait_until("its next token is looked at", || world.call(&new).status == 200);
    wait_until("it is over once more", || world.call("a.bad.token").status == 429);
}

#[test]
fn what_a_source_says_of_others_does_not_make_it_another() {
    let world = World::with("limits: {failed_authentication: 3/h}");
    let call = |address: &str| {
        let forwarded = format!("for={address}");
        let headers = [
            ("Authorization", "Bearer a.bad.token"),
            ("X-Forwarded-For", address),
            ("X-Real-IP", address),
            ("Forwarded", &forwarded),
            ("CF-Connecting-IP", address),
        ];
        world.request("POST", "/mcp", &headers).status
    };
    let seen = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "127.0.0.2", "192.0.2.1, 192.0.2.9"];
    assert_eq!(seen.map(call), [401, 401, 401, 429, 429]);
    assert_eq!(from(&world, 2, "a.bad.token").status, 401, "it was not blamed on this one");
}

#[test]
fn what_a_trusted_proxy_says_of_a_client_is_its_source_and_of_ipv6_a_network() {
    let world = World::with(
        "limits: {failed_authentication: 2/h}\ntrusted_proxies: {networks: [127.0.0.1/32]}",
    );
    let call = |address: &str| {
        let headers = [("Authorization", "Bearer a.bad.token"), ("X-Forwarded-For", address)];
        world.request("POST", "/mcp", &headers).status
    };
    let one = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:9::", "2001:db8:0:1::1"];
    assert_eq!(one.map(call), [401, 401, 429, 401]);
    let other = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::, 192.0.2.1", "192.0.2.2"];
    assert_eq!(other.map(call), [401, 401, 429, 401]);
}

#[test]
fn whatever_does_not_hold_counts_and_what_is_missing_does_not() {
    let bound = |world: &World, key: &ProofKey| {
        let cnf = serde_json::json!({"jkt": key.thumbprint()});
        world.issuer.key.sign(&world.issuer.claims().set("cnf", cnf))
    };
    let spoil: [fn(&World, &str) -> u16; 4] = [
        |world, _| world.call("a.bad.token").status,
        |world, _| world.request("POST", "/mcp", &[("Authorization", "Bearer a b")]).status,
        |world, bound| world.call(bound).status,
        |world, bound| {
            let headers = [("Authorization", &*format!("DPoP {bound}")), ("DPoP", "e30.e30.YQ")];
            world.request("POST", "/mcp", &headers).status
        },
    ];
    for (nth, spoil) in spoil.into_iter().enumerate() {
        let world = World::with("limits: {failed_authentication: 1/h}");
        let bound = bound(&world, &ProofKey::new());
        assert!(matches!(spoil(&world, &bound), 400 | 401), "{nth}");
        assert_eq!(world.call(&world.issuer.token()).status, 429, "{nth}");
    }

    let scopeless = |world: &World| world.issuer.key.sign(&world.issuer.claims().without("scope"));
    let settings = "limits: {failed_authentication: 1/h}\ndpop: {nonce: true}";
    let world = World::with(settings);
    let key = ProofKey::new();
    let bound = bound(&world, &key);
    for _ in 0..3 {
        assert_eq!(world.request("POST", "/mcp", &[]).status, 401);
        assert_eq!(world.request("POST", "/mcp", &[("Authorization", "Basic YQ==")]).status, 401);
        assert_eq!(world.call(&scopeless(&world)).status, 403);
        let proof = key.sign(&key.proof("POST", "https://mcp.example/mcp", &bound));
        let headers = [("Authorization", &*format!("DPoP {bound}")), ("DPoP", &proof)];
        let asked = world.request("POST", "/mcp", &headers);
        assert!(asked.header("www-authenticate").contains("use_dpop_nonce"), "{}", asked.head);
    }
    assert_eq!(world.call(&world.issuer.token()).status, 200);

    // Who can be blamed for an outage?
    let world = World::unready(
        Issuer::start(),
        "limits: {failed_authentication: 1/h}\n\
         issuers: [{issuer: 'http://127.0.0.1:1'}]",
    );
    let claims = world.issuer.claims().set("iss", "http://127.0.0.1:1");
    let token = world.issuer.key.sign(&claims);
    for _ in 0..3 {
        assert_eq!(world.call(&token).status, 503);
    }
}

#[test]
fn a_principal_that_calls_too_often_waits_and_others_do_not() {
    let world = World::with("limits: {requests_per_principal: 2/s}");
    let ada = token(&world, "ada", "program");
    let mut wire = world.connect();
    wait_until("ada is over", || wire.call(&ada).status == 429);
    let answers: Vec<Response> = (0..3).map(|_| wire.call(&ada)).collect();
    let refused = answers.iter().find(|one| one.status == 429).expect("two a second pass");
    is_throttled(refused, "\"principal\";q=2;w=1", "too_many_requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(world.call(&token(&world, "grace", "program")).status, 200);
    wait_until("ada is served again", || wire.call(&ada).status == 200);
}

#[test]
fn a_principal_is_who_it_is_whatever_the_token_and_the_client() {
    let world = World::with("limits: {requests_per_principal: 2/h}");
    assert_eq!(world.call(&token(&world, "ada", "one")).status, 200);
    assert_eq!(world.call(&token(&world, "ada", "two")).status, 200);
    assert_eq!(world.call(&token(&world, "ada", "three")).status, 429);
    assert_eq!(from(&world, 2, &token(&world, "ada", "one")).status, 429, "from anywhere");
    // The names of others, with what might be taken for the end of a part.
    for subject in ["ada ", "ada|", "ada\u{0}", "ada:one", "adaone", "Ada", "ad", "ada\u{ff}"] {
        assert_eq!(world.call(&token(&world, subject, "one")).status, 200, "{subject:?}");
    }
    let line = world.log_line("too_many_requests");
    assert!(line.contains("\"subject\":\"ada\""), "{line}");
}

#[test]
fn a_client_that_calls_too_often_waits_whoever_uses_it() {
    let world = World::with("limits: {requests_per_client: 2/h, requests_per_principal: 3/h}");
    assert_eq!(world.call(&token(&world, "ada", "one")).status, 200);
    assert_eq!(world.call(&token(&world, "grace", "one")).status, 200);
    let refused = world.call(&token(&world, "edsger", "one"));
    is_throttled(&refused, "\"client\";q=2;w=3600", "too_many_requests");
    assert_eq!(world.call(&token(&world, "edsger", "two")).status, 200, "another client");
    let none = world.issuer.key.sign(&world.issuer.claims().set("sub", "x").without("client_id"));
    assert_eq!(world.call(&none).status, 200, "a token that names none");
}

#[test]
fn who_is_refused_for_their_own_sake_uses_up_nothing_of_others() {
    let world = World::with("limits: {requests_per_client: 3/h, requests_per_principal: 1/h}");
    let ada = token(&world, "ada", "one");
    assert_eq!(world.call(&ada).status, 200);
    for _ in 0..5 {
        assert_eq!(world.call(&ada).status, 429);
    }
    for subject in ["grace", "edsger"] {
        assert_eq!(world.call(&token(&world, subject, "one")).status, 200, "{subject}");
    }
}

#[test]
fn only_what_may_pass_is_charged() {
    let world = World::with("limits: {requests_per_principal: 1/h, body_bytes: 1KiB}");
    let bearer = format!("Bearer {}", world.issuer.token());
    let scopeless = world.issuer.key.sign(&world.issuer.claims().without("scope"));
    assert_eq!(world.call(&scopeless).status, 403);
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(world.request("TRACE", "/mcp", &headers).status, 405);
    let large = world.connect().request("POST", "/mcp", &headers, &"x".repeat(1025));
    assert_eq!(large.status, 413);
    assert_eq!(world.request("POST", "/mcp", &headers).status, 200);
    assert_eq!(world.request("POST", "/mcp", &headers).status, 429);
}

#[test]
fn each_site_counts_for_itself() {
    let (issuer, other) = (Issuer::start(), Upstream::start());
    let site = |path: &str| {
        format!(
            "- {{resource: {{url: 'https://mcp.example{path}'}}, upstream: {{address: '{}'}}}}\n",
            other.address()
        )
    };
    let settings = format!(
        "limits: {{requests_per_principal: 1/h}}\nissuers: [{{issuer: '{}'}}]\nsites:\n{}{}",
        issuer.url(),
        site("/mcp"),
        site("/b")
    );
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    for path in ["/mcp", "/b"] {
        let claims = world.issuer.claims().set("aud", format!("https://mcp.example{path}"));
        let bearer = format!("Bearer {}", world.issuer.key.sign(&claims));
        let call = || world.request("POST", path, &[("Authorization", &bearer)]).status;
        assert_eq!([call(), call()], [200, 429], "{path}");
    }
}

/// Asks for an answer of this kind, and waits until the backend is at it.
#[track_caller]
fn open(world: &World, answer: &str, token: &str) -> Wire {
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         x-answer: {answer}\r\n\r\n"
    ));
    world.upstream.next();
    wire
}

#[test]
fn a_principal_has_only_so_many_requests_open() {
    let world = World::with("limits: {streams_per_principal: 2}");
    let (ada, other) = (token(&world, "ada", "one"), token(&world, "ada", "two"));
    let first = open(&world, "stream", &ada);
    let second = open(&world, "wait", &other);
    let refused = world.call(&ada);
    let policy = "\"streams\";q=2;qu=\"concurrent-requests\"";
    is_throttled(&refused, policy, "too_many_streams");
    assert_eq!(from(&world, 2, &other).status, 429, "from anywhere");
    assert_eq!(world.call(&token(&world, "grace", "one")).status, 200);
    drop(first);
    wait_until("there is room again", || world.call(&ada).status == 200);
    drop(second);
}

#[test]
fn a_stream_that_ends_in_any_way_gives_its_place_back() {
    let identity = Identity::new();
    let world =
        World::with(&format!("{}\nlimits: {{streams_per_principal: 1}}", identity.settings()));
    let ada = format!("Bearer {}", world.issuer.token());
    let mut client = H2::connect(world.gateway, &identity);
    let open = [("authorization", ada.as_str()), ("x-answer", "stream")];
    let mut answer = client.open("GET", "/mcp", &open, "").unwrap();
    assert_eq!(client.call(&world.issuer.token()).status, 429);
    world.upstream.say("");
    assert_eq!(answer.rest().unwrap(), "");
    let free = |client: &mut H2| client.call(&world.issuer.token()).status == 200;
    wait_until("it has ended", || free(&mut client));
    drop(client.open("GET", "/mcp", &open, "").unwrap());
    wait_until("it was dropped", || free(&mut client));
    let broken = [("authorization", ada.as_str()), ("x-answer", "hang-up")];
    wait_until("the backend hangs up", || client.request("GET", "/mcp", &broken, "").status == 502);
    wait_until("it has failed", || free(&mut client));
}

#[test]
fn a_page_may_read_why_it_has_to_wait() {
    let world = World::with(
        "limits: {requests_per_principal: 1/h}\n\
         resource: {url: https://mcp.example/mcp, origins: ['https://app.example']}",
    );
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("Origin", "https://app.example"), ("Authorization", bearer.as_str())];
    assert_eq!(world.request("POST", "/mcp", &headers).status, 200);
    let refused = world.request("POST", "/mcp", &headers);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("access-control-allow-origin"), "https://app.example");
    let exposed = refused.header("access-control-expose-headers");
    for name in ["Retry-After", "RateLimit", "RateLimit-Policy"] {
        assert!(exposed.split(", ").any(|one| one == name), "{exposed}");
    }
}

#[test]
fn what_is_public_is_never_limited() {
    let world = World::with(
        "limits: {failed_authentication: 1/h, requests_per_principal: 1/h, \
         requests_per_client: 1/h, streams_per_principal: 1}\n\
         resource: {url: https://mcp.example/mcp, origins: ['https://app.example']}",
    );
    let known = world.issuer.token();
    assert_eq!(world.call(&known).status, 200);
    assert_eq!(world.call(&known).status, 429);
    assert_eq!(world.call("a.bad.token").status, 401);
    assert_eq!(world.call("a.bad.token").status, 429);
    let metadata = "/.well-known/oauth-protected-resource";
    let paths = [metadata, &format!("{metadata}/mcp"), "/", "/health", "/healthz"];
    let preflight = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")];
    for _ in 0..3 {
        for path in paths {
            for token in ["a.bad.token", &known] {
                let bearer = format!("Bearer {token}");
                let response = world.request("GET", path, &[("Authorization", &bearer)]);
                assert_eq!(response.status, 200, "{path}");
            }
        }
        assert_eq!(world.request("OPTIONS", "/mcp", &preflight).status, 204);
        assert_eq!(world.request("POST", "/mcp", &[]).status, 401);
    }
}

/// Told 429, the official clients of two eras take the server for an old one.
#[test]
fn who_finds_out_which_mcp_is_spoken_is_not_misled() {
    let world = World::with("limits: {requests_per_principal: 1/h, failed_authentication: 2/h}");
    let known = world.issuer.token();
    assert_eq!(world.call(&known).status, 200);
    (0..2).for_each(|_| assert_eq!(world.call("a.bad.one").status, 401));
    for (token, policy) in [
        (known, "\"principal\";q=1;w=3600"),
        ("a.bad.token".into(), "\"failed-authentication\";q=2;w=3600"),
    ] {
        let bearer = format!("Bearer {token}");
        let asks = |method| {
            let headers = [("Authorization", bearer.as_str()), ("Mcp-Method", method)];
            world.request("POST", "/mcp", &headers)
        };
        assert_eq!(asks("tools/list").status, 429);
        let response = asks("server/discover");
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.header("retry-after").parse::<u64>().unwrap() > 1000);
        assert_eq!(response.header("ratelimit-policy"), policy);
    }
}
