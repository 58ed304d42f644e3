//! Keys come, go, rotate and cannot be had.

use std::os::unix::fs::symlink;
use std::thread;

use crate::harness::{Issuer, Key, Wire, World, wait_until};

#[test]
fn a_rotated_key_is_accepted_within_one_request() {
    let world = World::start();
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    let next = Key::new("second");
    world.issuer.publish(&[&world.issuer.key, &next]);
    assert_eq!(world.call(&next.sign(&world.issuer.claims())).status, 200);
}

#[test]
fn a_removed_keys_token_is_refused_though_it_was_accepted_before() {
    let world = World::start();
    let old = world.issuer.token();
    assert_eq!(world.call(&old).status, 200);
    assert_eq!(world.call(&old).status, 200);
    assert!(world.metric("postern_tokens_accepted_total{verdict=\"remembered\"}") >= 1.0);

    let next = Key::new("second");
    world.issuer.publish(&[&next]);
    assert_eq!(world.call(&next.sign(&world.issuer.claims())).status, 200);
    let response = world.call(&old);
    assert_eq!(response.status, 401);
    let description = "the token is signed with a key that the issuer does not publish";
    assert_eq!(response.header("www-authenticate"), World::challenge("invalid_token", description));
}

#[test]
fn a_key_that_the_issuer_never_published_is_refused() {
    let world = World::start();
    let response = world.call(&Key::new("mine").sign(&world.issuer.claims()));
    assert_eq!(response.status, 401);
    world.upstream.saw_nothing();
}

#[test]
fn all_who_wait_for_a_key_share_few_fetches() {
    let world = World::start();
    let next = Key::new("second");
    world.issuer.publish(&[&world.issuer.key, &next]);
    let before = world.issuer.fetches();
    let token = next.sign(&world.issuer.claims());
    let gateway = world.gateway;
    thread::scope(|scope| {
        let call = || Wire::connect(gateway).call(&token).status;
        let calls: Vec<_> = (0..30).map(|_| scope.spawn(call)).collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), 200);
        }
    });
    let fetches = world.issuer.fetches() - before;
    assert!(fetches <= 3, "{fetches} fetches");
}

#[test]
fn the_same_unknown_key_is_looked_for_once() {
    let world = World::start();
    let before = world.issuer.fetches();
    let unknown = Key::new("unknown");
    for _ in 0..20 {
        assert_eq!(world.call(&unknown.sign(&world.issuer.claims())).status, 401);
    }
    assert_eq!(world.issuer.fetches() - before, 1);

    let next = Key::new("second");
    world.issuer.publish(&[&world.issuer.key, &next]);
    assert_eq!(world.call(&next.sign(&world.issuer.claims())).status, 200);
    world.issuer.publish(&[&world.issuer.key, &next, &unknown]);
    let published = unknown.sign(&world.issuer.claims());
    assert_eq!(world.call(&published).status, 200, "another set, another chance");
}

#[test]
fn without_keys_the_answer_is_try_again_and_not_log_in() {
    let issuer = Issuer::start();
    issuer.fail(500);
    let world = World::unready(issuer, "");
    let response = world.call(&world.issuer.token());
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), "5");
    assert!(response.headers("www-authenticate").is_empty());
    assert!(!world.is_ready());
    assert_eq!(world.request("POST", "/mcp", &[]).status, 401, "no token is no token, keys or not");
    world.upstream.saw_nothing();

    world.issuer.recover();
    wait_until("the proxy is ready", || world.is_ready());
    assert_eq!(world.call(&world.issuer.token()).status, 200);
}

#[test]
fn metadata_of_another_issuer_is_not_believed() {
    let impostor = Issuer::start();
    let issuer = Issuer::start();
    let settings = format!("issuers: [{{issuer: 'http://localhost:{}'}}]", port(&impostor));
    let world = World::unready(issuer, &settings);
    let complaint = world.log_line("keys not fetched");
    assert!(complaint.contains("not the configured one to the letter"), "{complaint}");
    assert!(!world.is_ready());
}

#[test]
fn keys_from_a_file_are_taken_over_when_it_is_replaced() {
    let issuer = Issuer::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let write = |keys: &[&Key]| {
        let keys: Vec<_> = keys.iter().map(|key| key.published()).collect();
        let fresh = directory.path().join("fresh");
        std::fs::write(&fresh, serde_json::json!({ "keys": keys }).to_string()).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
    };
    write(&[&issuer.key]);
    let settings =
        format!("issuers: [{{issuer: '{}', keys: {{file: '{}'}}}}]", issuer.url(), path.display());
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    let old = world.issuer.token();
    assert_eq!(world.call(&old).status, 200);
    assert_eq!(world.issuer.fetches(), 0, "a file is a file");

    let next = Key::new("second");
    write(&[&next]);
    assert_eq!(world.call(&next.sign(&world.issuer.claims())).status, 200);
    assert_eq!(world.call(&old).status, 401);
}

/// Kubernetes mounts a folder of links that lead through one link, `..data`, and moves that one.
#[test]
fn keys_from_a_mounted_config_map_are_taken_over_when_it_changes() {
    let issuer = Issuer::start();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let write = |version: &str, keys: &str| {
        std::fs::create_dir(root.join(version)).unwrap();
        std::fs::write(root.join(version).join("jwks.json"), keys).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    let set = |key: &Key| serde_json::json!({ "keys": [key.published()] }).to_string();
    write("..1", &set(&issuer.key));
    let path = root.join("jwks.json");
    symlink("..data/jwks.json", &path).unwrap();
    let settings =
        format!("issuers: [{{issuer: '{}', keys: {{file: '{}'}}}}]", issuer.url(), path.display());
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    let old = world.issuer.token();

    let next = Key::new("second");
    for (version, broken) in [("..2", ""), ("..3", &set(&next)[..40]), ("..4", "{\"keys\":[]}")] {
        write(version, broken);
        world.log_line("keys not fetched");
        assert_eq!(world.call(&old).status, 200, "after {broken:?}");
    }
    write("..5", &set(&next));
    assert_eq!(world.call(&next.sign(&world.issuer.claims())).status, 200);
    assert_eq!(world.call(&old).status, 401);
}

#[test]
fn each_issuer_has_its_own_keys_though_they_bear_the_same_name() {
    let (one, other) = (Issuer::start(), Issuer::start());
    let settings = format!("issuers: [{{issuer: '{}'}}, {{issuer: '{}'}}]", one.url(), other.url());
    let world = World::unready(one, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert_eq!(world.upstream.next().values("x-postern-issuer"), [world.issuer.url()]);
    assert_eq!(world.call(&other.token()).status, 200);
    assert_eq!(world.upstream.next().values("x-postern-issuer"), [other.url()]);

    let crossed = other.key.sign(&world.issuer.claims());
    assert_eq!(world.call(&crossed).status, 401);
    world.upstream.saw_nothing();
}

#[test]
fn one_issuer_that_is_down_takes_no_other_along() {
    let (up, down) = (Issuer::start(), Issuer::start());
    down.fail(500);
    let settings = format!("issuers: [{{issuer: '{}'}}, {{issuer: '{}'}}]", up.url(), down.url());
    let world = World::unready(up, &settings);
    wait_until("keys are there", || world.call(&world.issuer.token()).status == 200);
    assert_eq!(world.call(&down.token()).status, 503);
    assert!(!world.is_ready());
}

fn port(issuer: &Issuer) -> String {
    issuer.url().rsplit(':').next().unwrap().to_owned()
}
