//! Clients that hold what they were given, and clients that look like them and are not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ALL_VERSIONS;
use socket2::{Domain, Socket, Type};

use crate::harness::{H2, Identity, World, wait_until};

/// pingora bounds the writing of bodies; the heads of answers it would wait with for ever.
#[test]
fn a_client_that_takes_no_heads_is_let_go() {
    let world = World::with("limits: {write_timeout: 300ms}");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    socket.connect(&world.gateway.into()).unwrap();
    let mut socket = TcpStream::from(socket);
    let ask = format!(
        "OPTIONS /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: mcp.example\r\n\
         Access-Control-Request-Headers: {}\r\n\r\n",
        "x".repeat(500)
    );
    let answered = || world.metric("postern_requests_total{outcome=\"metadata\"}");
    let is_open = || world.metric("postern_connections") > 0.0;
    // The kernel keeps a few megabytes for it; then nothing more gets through.
    for _ in 0..20_000 {
        let before = answered();
        drop(socket.write_all(ask.as_bytes()));
        wait_until("it is answered, or let go", || answered() > before || !is_open());
        if !is_open() {
            return;
        }
    }
    panic!("it takes nothing, and is still served");
}

/// The task that reads a connection and the one that serves its first request race.
#[test]
fn a_fresh_http2_connection_with_many_requests_is_never_cut() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..150 {
                    let mut client = H2::connect(world.gateway, &identity);
                    let asked: Vec<_> =
                        (0..10).map(|_| client.begin("GET", "/healthz", &[]).unwrap()).collect();
                    for request in asked {
                        assert_eq!(request.end(None).unwrap().head.status, 200);
                    }
                }
            });
        }
    });
}

/// It has shaken hands and sent its preface, and answers nothing from then on, goodbyes included.
#[test]
fn an_http2_client_that_answers_no_goodbye_does_not_hold_up_the_end() {
    let identity = Identity::new();
    let mut world = World::with(&identity.settings());
    let tls =
        rustls::ClientConnection::new(identity.client(&["h2"], ALL_VERSIONS), Identity::name());
    let mut stream =
        rustls::StreamOwned::new(tls.unwrap(), TcpStream::connect(world.gateway).unwrap());
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    // Its settings have come: the connection stands.
    stream.read_exact(&mut [0; 9]).unwrap();
    let began = Instant::now();
    world.signal("-TERM");
    let ended = || world.proxy.0.try_wait().unwrap().is_some();
    wait_until("it has stopped", ended);
    // Not the 15 seconds for a head, let alone the 30 for requests in flight.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(world.proxy.0.wait().unwrap().success());
}

#[test]
fn a_body_that_grows_too_large_is_refused_though_leave_was_given() {
    let world = World::with("limits: {body_bytes: 100B}");
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
         Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        world.issuer.token()
    ));
    assert_eq!(wire.response(false).status, 100);
    wire.send(format!("c8\r\n{}\r\n", "x".repeat(200)));
    assert_eq!(wire.response(false).status, 413);
}

#[test]
fn torn_chunks_are_told_so() {
    let world = World::start();
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        world.issuer.token()
    ));
    assert_eq!(wire.response(false).status, 400);
}
