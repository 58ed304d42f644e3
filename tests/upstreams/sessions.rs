//! A session is where it was begun, whichever replica is asked.

use super::*;

pub(super) const SHARED_KEY: &str = "session: {keys: ['0123456789abcdef0123456789abcdef']}";

/// Begins sessions until there is one at this server.
fn begin_at(world: &World, name: &str) -> String {
    let mut held = None;
    wait_until("a session is begun there", || {
        let begun = post(world, &[]);
        assert_eq!(begun.status, 200, "{begun:?}");
        held = (begun.body == name).then(|| begun.header("mcp-session-id").to_owned());
        held.is_some()
    });
    held.unwrap()
}

#[test]
fn a_session_stays_where_it_was_begun() {
    let [a, b] = ["a", "b"].map(Fickle::tcp);
    let both = format!("{SHARED_KEY}\n{}", settings(&[&a, &b], ""));
    let world = World::with(&both);
    let turned = format!("{SHARED_KEY}\n{}", settings(&[&b, &a], ""));
    let replica =
        World::with(&format!("{turned}\nissuers: [{{issuer: '{}'}}]", world.issuer.url()));
    for name in ["a", "b"] {
        let held = begin_at(&world, name);
        assert_eq!(begin_at(&world, name), held, "one session, one name");
        for method in ["POST", "GET", "DELETE", "POST"] {
            for gateway in [world.gateway, replica.gateway] {
                let headers = [("Mcp-Session-Id", held.as_str())];
                let token = world.issuer.token();
                let response = ask(&mut Wire::connect(gateway), &token, method, &headers);
                assert_eq!((response.status, response.body.as_str()), (200, name), "{response:?}");
                assert_eq!(response.header("mcp-session-id"), held);
            }
        }
    }
    assert_eq!(a.strays() + b.strays(), 0);
}

#[test]
fn a_session_waits_for_its_server_and_ends_with_it() {
    let [mut a, b] = ["a", "b"].map(Fickle::tcp);
    let world = World::with(&settings(&[&a, &b], ""));
    let held = begin_at(&world, "a");
    let headers = [("Mcp-Session-Id", held.as_str())];
    a.die();
    let mut wire = world.connect();
    for method in ["POST", "GET", "POST"] {
        let response = ask(&mut wire, &world.issuer.token(), method, &headers);
        assert_eq!(response.status, 503, "{response:?}");
        assert_eq!(response.header("retry-after"), "2");
        assert!(response.headers("www-authenticate").is_empty());
        assert!(world.log_line("backend_down").contains("\"subject\":\"ada\""));
        if response.headers("connection") == ["close"] {
            wire = world.connect();
        }
    }
    assert_eq!(post(&world, &[]).body, "b", "others are none of its business");
    a.come();
    wait_until("its server is back", || post(&world, &headers).status == 200);

    world.configure(&settings(&[&b], ""));
    wait_until("its server is none of ours", || post(&world, &headers).status == 404);
    let response = post(&world, &headers);
    assert!(response.body.contains("unknown_session"), "{response:?}");
    assert_eq!(a.strays() + b.strays(), 0, "it was never sent to another");
}
