//! A connection that has become another protocol is out of sight: none does.

use crate::harness::{H2, Identity, Wire, World};

/// Ways to ask for another protocol. `Connection` names what is to be looked at.
const WAYS: [&str; 6] = [
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "upgrade: WebSocket, h2c\r\nconnection: keep-alive, UPGRADE",
    "HTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Protocol: x\r\nTE: trailers",
];

const HIDDEN: &str = "POST /mcp/hidden HTTP/1.1\r\nHost: mcp.example\r\n\r\n";

fn ask(world: &World, fields: &str, after: &str) -> Wire {
    let token = world.issuer.token();
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         {fields}\r\n\r\n{after}"
    ));
    wire
}

#[test]
fn no_connection_is_turned_into_a_tunnel() {
    let world = World::start();
    for way in WAYS {
        let mut wire = ask(&world, way, HIDDEN);
        assert_eq!(wire.response(false).status, 200, "{way}");
        let seen = world.upstream.next();
        for name in [
            "upgrade",
            "connection",
            "http2-settings",
            "te",
            "sec-websocket-key",
            "sec-websocket-version",
            "sec-websocket-protocol",
        ] {
            assert_eq!(seen.values(name), [""; 0], "{name} of {way}");
        }
        // What came after it is a request like any other, and has no token; or nothing at all.
        let next = wire.head();
        assert!(next.is_empty() || next.starts_with("HTTP/1.1 401"), "{next}");
        world.upstream.saw_nothing();
    }
}

#[test]
fn a_server_cannot_turn_a_connection_into_a_tunnel_either() {
    let world = World::start();
    for protocol in ["x", "h2c", "websocket"] {
        let switch = format!(
            "x-answer: HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: {protocol}\\r\\n\
             Connection: Upgrade\\r\\n\\r\\n"
        );
        let fields = format!("{switch}\r\nUpgrade: {protocol}\r\nConnection: Upgrade");
        let mut wire = ask(&world, &fields, HIDDEN);
        let heard = wire.rest();
        assert!(!heard.contains("HTTP/1.1 101"), "{heard}");
        world.upstream.next();
        world.upstream.saw_nothing();
    }
}

#[test]
fn what_follows_an_answer_to_an_upgrade_stays_here() {
    let world = World::start();
    // The attack: a backend that does not know the protocol says 200, and a proxy tunnels all the same.
    for way in &WAYS[..5] {
        let frames = "\x01\x02PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let mut wire = ask(&world, way, frames);
        let heard = wire.rest();
        assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
        assert_eq!(world.upstream.next().body, "");
        world.upstream.saw_nothing();
    }
}

#[test]
fn nor_is_there_a_tunnel_over_http2() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let mut client = H2::connect(world.gateway, &identity);
    for field in
        [("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__"), ("sec-websocket-key", "a")]
    {
        let headers = [("authorization", bearer.as_str()), field];
        // A field that is not allowed here may be refused or dropped.
        let Ok(answer) = client.open("GET", "/mcp", &headers, "") else { continue };
        if answer.head.status == 200 {
            assert_eq!(world.upstream.next().values(field.0), [""; 0], "{}", field.0);
        }
        world.upstream.saw_nothing();
    }
}
