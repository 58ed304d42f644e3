//! Names with several addresses that come and go, as the system looks them up.

use std::fs;
use std::net::SocketAddr;

use super::sessions::SHARED_KEY;
use super::*;

#[test]
fn the_addresses_of_a_name_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let hosts = directory.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 backend.test\n").unwrap();
    let one = Fickle::tcp("one");
    let mut first: SocketAddr = one.address().parse().unwrap();
    first.set_ip([127, 0, 0, 2].into());
    let two = Fickle::at(first, "two");
    let name = format!("backend.test:{}", first.port());
    let world =
        World::naming(&hosts, &format!("upstream: {{address: '{name}', trust_network: true}}"));
    let held = post(&world, &[]).header("mcp-session-id").to_owned();
    for _ in 0..4 {
        assert_eq!(post(&world, &[]).body, "one");
    }
    let servers = format!("postern_upstream_servers{{state=\"up\",upstream=\"{name}\"}}");
    assert!((world.metric(&servers) - 1.0).abs() < f64::EPSILON);

    fs::write(&hosts, "127.0.0.1 backend.test\n127.0.0.2 backend.test\n").unwrap();
    wait_until("both are known", || world.metric(&servers) > 1.5);
    let before = two.served();
    for _ in 0..4 {
        assert_eq!(post(&world, &[]).status, 200);
    }
    assert_eq!(two.served() - before, 2);
    let headers = [("Mcp-Session-Id", held.as_str())];
    for _ in 0..3 {
        assert_eq!(post(&world, &headers).body, "one", "where its session is");
    }

    // Nobody knows the name any more: what was good is kept.
    fs::write(&hosts, "").unwrap();
    let line = world.log_line("upstream not looked up");
    assert!(line.contains(&name), "{line}");
    for _ in 0..4 {
        assert_eq!(post(&world, &[]).status, 200);
    }
    let failed = format!("postern_upstream_lookups_total{{result=\"failed\",upstream=\"{name}\"}}");
    assert!(world.metric(&failed) > 0.5);

    fs::write(&hosts, "127.0.0.2 backend.test\n").unwrap();
    world.log_line("upstream gone");
    wait_until("one is left", || world.metric(&servers) < 1.5);
    assert_eq!(post(&world, &[]).body, "two");
    assert_eq!(post(&world, &headers).status, 404, "its server is none of ours any more");
    assert_eq!(one.strays() + two.strays(), 0);
}

#[test]
fn a_name_that_nobody_knows_is_waited_for_by_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let hosts = directory.path().join("hosts");
    fs::write(&hosts, "").unwrap();
    let server = Fickle::tcp("one");
    let port = server.address().parse::<SocketAddr>().unwrap().port();
    let settings =
        format!("{SHARED_KEY}\nupstream: {{address: 'backend.test:{port}', trust_network: true}}");
    let world = World::naming(&hosts, &settings);
    let response = post(&world, &[]);
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.header("retry-after"), "2");
    fs::write(&hosts, "127.0.0.1 backend.test\n").unwrap();
    wait_until("it is known", || post(&world, &[]).status == 200);
    let held = post(&world, &[]).header("mcp-session-id").to_owned();

    // Nor does a replica that cannot look it up yet take its sessions for ended.
    let nothing = directory.path().join("nothing");
    fs::write(&nothing, "").unwrap();
    let issuers = format!("issuers: [{{issuer: '{}'}}]", world.issuer.url());
    let replica = World::naming(&nothing, &format!("{settings}\n{issuers}"));
    let headers = [("Mcp-Session-Id", held.as_str())];
    let token = world.issuer.token();
    let mut wire = replica.connect();
    assert_eq!(ask(&mut wire, &token, "POST", &headers).status, 503);
    fs::write(&nothing, "127.0.0.1 backend.test\n").unwrap();
    wait_until("it goes on", || ask(&mut wire, &token, "POST", &headers).status == 200);
}

/// Whoever answers for the name of this machine sends no request to another one.
#[test]
fn localhost_is_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let hosts = directory.path().join("hosts");
    let server = Fickle::tcp("one");
    let port = server.address().parse::<SocketAddr>().unwrap().port();
    fs::write(&hosts, "192.0.2.1 localhost\n127.0.0.1 localhost\n").unwrap();
    let world = World::naming(&hosts, &format!("upstream: {{address: 'localhost:{port}'}}"));
    for _ in 0..4 {
        assert_eq!(post(&world, &[]).body, "one");
    }
    let servers = format!("postern_upstream_servers{{state=\"up\",upstream=\"localhost:{port}\"}}");
    assert!((world.metric(&servers) - 1.0).abs() < f64::EPSILON);
}
