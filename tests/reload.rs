//! Changing its mind without dropping anybody: rules, certificates and secrets, all new or all old.

use std::fs;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Certificate, Identity, Issuer, Key, Wire, World, now, postern, wait_until};

const WRITE: &str = "resource: {url: https://mcp.example/mcp, scopes: [mcp:admin]}";

fn report(world: &World) -> Value {
    serde_json::from_str(&world.admin("/generation").body).unwrap()
}

fn generation(world: &World) -> u64 {
    report(world)["generation"].as_u64().unwrap()
}

/// Why the file is not in force.
fn refused(world: &World) -> String {
    wait_until("it is refused", || !report(world)["refused"].is_null());
    assert!(world.metric("postern_config_current") < 0.5);
    assert!(world.metric("postern_config_reloads_total{result=\"refused\"}") > 0.5);
    report(world)["refused"]["why"].as_str().unwrap().to_owned()
}

#[test]
fn other_rules_are_in_force_for_the_next_request_and_no_connection_is_dropped() {
    let world = World::start();
    let token = world.issuer.token();
    let mut wire = world.connect();
    assert_eq!(wire.call(&token).status, 200);
    let fetched = world.issuer.fetches();
    world.configure(WRITE);
    wait_until("it is in force", || generation(&world) == 2);
    let response = wire.call(&token);
    assert_eq!(response.status, 403);
    assert!(response.header("www-authenticate").contains("scope=\"mcp:admin\""));
    world.configure("");
    wait_until("the first is in force again", || generation(&world) == 3);
    assert_eq!(wire.call(&token).status, 200, "on the same connection");
    assert_eq!(world.issuer.fetches(), fetched, "an issuer that stays is not asked again");
    assert!(world.metric("postern_config_current") > 0.5);
    assert!(world.metric("postern_config_reloads_total{result=\"ok\"}") > 1.5);
}

#[test]
fn a_bad_file_changes_nothing_and_is_shown() {
    let world = World::start();
    let token = world.issuer.token();
    world.configure("resource: {url: https://mcp.example/mcp, scopez: [mcp:admin]}");
    let why = refused(&world);
    assert!(why.contains("scopez") && why.contains("line "), "{why}");
    assert!(world.log_line("configuration unchanged").contains("scopez"));
    assert_eq!(world.call(&token).status, 200);
    let ready = world.admin("/readyz");
    assert_eq!(ready.status, 200, "what was in force before still is");
    assert!(ready.body.contains("scopez"), "{}", ready.body);
    fs::remove_file(&world.path).unwrap();
    wait_until("its absence is noticed", || refused(&world).contains("No such file"));
    world.configure(WRITE);
    wait_until("the good one is in force", || world.call(&token).status == 403);
    assert!(report(&world)["refused"].is_null());
}

#[test]
fn what_needs_a_restart_says_so_and_nothing_else_changes_either() {
    let world = World::start();
    world.configure(&format!("{WRITE}\nlimits: {{headers: 50}}\nshutdown_timeout: 5s"));
    let why = refused(&world);
    assert!(why.starts_with("limits, shutdown_timeout: ") && why.contains("restart"), "{why}");
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert_eq!(generation(&world), 1);
}

#[test]
fn a_file_is_taken_over_at_once_when_we_are_told_to_look() {
    let world = World::start();
    for round in 2..7 {
        world.signal("-HUP");
        wait_until("it has looked", || generation(&world) == round);
    }
    assert_eq!(world.call(&world.issuer.token()).status, 200);
}

#[test]
fn a_secret_in_a_file_of_its_own_is_watched_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("scope");
    fs::write(&file, "mcp:read").unwrap();
    let scope = format!("${{file:{}}}", file.display());
    let world =
        World::with(&format!("resource: {{url: https://mcp.example/mcp, scopes: ['{scope}']}}"));
    let token = world.issuer.token();
    assert_eq!(world.call(&token).status, 200);
    fs::write(&file, "mcp:admin").unwrap();
    wait_until("it is in force", || world.call(&token).status == 403);
}

#[test]
fn an_issuer_comes_and_goes_with_its_tokens_and_streams() {
    let world = World::start();
    let second = Issuer::start();
    let mut claims = world.issuer.claims();
    claims = claims.set("iss", second.url());
    let theirs = second.key.sign(&claims);
    assert_eq!(world.call(&theirs).status, 401);
    let both =
        format!("issuers: [{{issuer: '{}'}}, {{issuer: '{}'}}]", world.issuer.url(), second.url());
    world.configure(&both);
    wait_until("both are trusted", || generation(&world) == 2);
    assert_eq!(world.call(&theirs).status, 200, "its keys were there before it was trusted");
    world.upstream.next();

    let mut stream = world.connect();
    stream.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {theirs}\r\n\
         x-answer: stream\r\n\r\n"
    ));
    assert!(stream.head().starts_with("HTTP/1.1 200"));
    world.upstream.next();
    world.upstream.say("hello");
    assert_eq!(stream.event(), "data: hello");
    world.configure("");
    wait_until("it is trusted no more", || generation(&world) == 3);
    assert_eq!(world.call(&theirs).status, 401);
    assert!(world.upstream.was_abandoned_within(Duration::from_secs(20)), "its streams end");
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    let labels = format!("postern_keys{{issuer=\"{}\"}}", second.url());
    assert!(!world.admin("/metrics").body.contains(&labels), "nothing is told of it any more");
}

#[test]
fn an_issuer_that_comes_and_is_down_keeps_nobody_else_away() {
    let world = World::start();
    let down = Issuer::start();
    down.fail(500);
    let issuers =
        format!("issuers: [{{issuer: '{}'}}, {{issuer: '{}'}}]", world.issuer.url(), down.url());
    world.configure(&issuers);
    wait_until("it is in force", || generation(&world) == 2);
    assert!(world.is_ready(), "all that were served before are served");
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    let theirs = down.key.sign(&down.claims());
    assert_eq!(world.call(&theirs).status, 503, "and nobody can say what its tokens are worth");
    down.recover();
    wait_until("its tokens are believed", || world.call(&theirs).status == 200);
}

#[test]
fn a_list_of_revocations_comes_and_goes() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("revoked.yaml");
    fs::write(&list, "subjects: [{subject: ada}]").unwrap();
    let world = World::start();
    let token = world.issuer.token();
    assert_eq!(world.call(&token).status, 200);
    world.configure(&format!("revocations: {{file: '{}'}}", list.display()));
    wait_until("it is in force", || world.call(&token).status == 401);
    fs::write(&list, "tokens: []").unwrap();
    wait_until("it is watched", || world.call(&token).status == 200);
    world.configure("revocations: {file: /nowhere/revoked.yaml}");
    assert!(refused(&world).contains("revocations.file: /nowhere/revoked.yaml"));
    fs::write(&list, "tokens: ['1']").unwrap();
    wait_until("it still is watched", || world.call(&token).status == 401);
    let other = directory.path().join("other.yaml");
    fs::write(&other, "tokens: ['2']").unwrap();
    world.configure(&format!("revocations: {{file: '{}'}}", other.display()));
    wait_until("the other one is in force", || world.call(&token).status == 200);
    fs::write(&other, "tokens: ['1', '2']").unwrap();
    wait_until("and watched", || world.call(&token).status == 401);
    world.configure("");
    wait_until("there is none", || world.call(&token).status == 200);
    assert!(world.metric("postern_revocations") < 0.5);
    fs::write(&list, "subjects: [{subject: ada}]").unwrap();
    world.signal("-HUP");
    assert_eq!(world.call(&token).status, 200);
}

#[test]
fn an_issuer_that_comes_with_a_list_that_cannot_be_read_does_not_come() {
    let world = World::start();
    let second = Issuer::start();
    world.configure(&format!(
        "issuers: [{{issuer: '{}'}}, {{issuer: '{}'}}]\nrevocations: {{file: /nowhere}}",
        world.issuer.url(),
        second.url()
    ));
    assert!(refused(&world).contains("revocations.file: /nowhere"));
    assert!(second.fetches() > 0, "it has been looked at");
    let keys = format!("postern_keys{{issuer=\"{}\"}}", second.url());
    assert!(!world.admin("/metrics").body.contains(&keys), "nothing is told of it");
    assert_eq!(world.call(&second.key.sign(&second.claims())).status, 401);
}

#[test]
fn a_certificate_is_swapped_under_live_connections() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let token = world.issuer.token();
    let mut before = identity.connect(world.gateway);
    assert_eq!(before.call(&token).status, 200);
    let today = f64::from(u32::try_from(now()).unwrap());
    let file = identity.certificate.chain.display();
    let expires = format!("postern_certificate_expiry_timestamp_seconds{{file=\"{file}\"}}");
    let current = format!("postern_certificate_current{{file=\"{file}\"}}");
    let days = || (world.metric(&expires) - today) / 86400.0;
    assert!((360.0..370.0).contains(&days()), "{}", days());

    let other = tempfile::tempdir().unwrap();
    let fresh = Certificate::write_until(other.path(), &["mcp.example"], 30);
    let own = &identity.certificate;
    // One after the other, as files are: in between they do not belong together.
    fs::copy(&fresh.chain, &own.chain).unwrap();
    wait_until("it is noticed", || world.metric(&current) < 0.5);
    assert_eq!(identity.connect(world.gateway).call(&token).status, 200, "the old one is shown");
    assert!(world.log_line("certificate unchanged").contains("do not belong together"));
    fs::copy(&fresh.key, &own.key).unwrap();
    wait_until("the new one is shown", || world.metric(&current) > 0.5);
    assert!((28.0..32.0).contains(&days()), "{}", days());
    fs::copy(&fresh.authority, &own.authority).unwrap();
    assert_eq!(identity.connect(world.gateway).call(&token).status, 200, "to those who come");
    assert_eq!(before.call(&token).status, 200, "and who is there stays");
}

#[test]
fn a_hundred_changes_under_load_fail_nobody() {
    let world = World::start();
    let old = Key::new("old");
    world.issuer.publish(&[&world.issuer.key, &old]);
    let tokens = [world.issuer.token(), old.sign(&world.issuer.claims())];
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(|| {
                let mut wire = Wire::connect(world.gateway);
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(wire.call(token).status, 200);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 2..102 {
            // What is needed grows and shrinks, and whoever calls has always enough.
            let scopes = if round % 2 == 0 { "[mcp:read]" } else { "[]" };
            world.configure(&format!(
                "resource: {{url: https://mcp.example/mcp, scopes: {scopes}}}"
            ));
            world.signal("-HUP");
            wait_until("it is in force", || generation(&world) == round);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(calls.into_inner() > 100, "it was a load");
}

fn asked(world: &World, file: &str, arguments: &[&str]) -> Output {
    let mut command = postern();
    command.args(["reload", "--config", file]).args(["--admin", &world.admin.to_string()]);
    command.args(arguments).output().unwrap()
}

#[test]
fn an_operator_can_wait_for_the_outcome() {
    let world = World::start();
    let file = world.path.to_str().unwrap();
    let said = asked(&world, file, &["--wait"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!((said.status.code(), text), (Some(0), format!("in force: {file}, generation 1\n")));

    world.configure(WRITE);
    let said = asked(&world, file, &["--wait"]);
    assert!(String::from_utf8(said.stdout).unwrap().ends_with("generation 2\n"));

    // Good by itself, and not for a proxy that runs: only that one can say so.
    world.configure("shutdown_timeout: 5s");
    let said = asked(&world, file, &["--wait"]);
    let text = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(78), "{text}");
    assert!(text.contains("shutdown_timeout: it cannot change while the proxy runs"), "{text}");

    let copy = world.path.with_extension("copy");
    fs::write(&copy, fs::read_to_string(file).unwrap() + "\n# mine").unwrap();
    assert_eq!(asked(&world, copy.to_str().unwrap(), &[]).status.code(), Some(75));

    fs::write(&copy, "tls: maybe").unwrap();
    assert_eq!(asked(&world, copy.to_str().unwrap(), &["--wait"]).status.code(), Some(78));

    let address = world.admin;
    drop(world);
    let mut nobody = postern();
    nobody.args(["reload", "--admin", &address.to_string(), "--config"]);
    let good = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        good.path(),
        "tls: off\nresource: {url: https://mcp.example/mcp}\n\
         issuers: [{issuer: https://id.example}]\nupstream: {address: unix:/b}\n",
    )
    .unwrap();
    assert_eq!(nobody.arg(good.path()).output().unwrap().status.code(), Some(69));
}
