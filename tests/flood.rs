//! Many callers at once, while keys rotate or their issuer is silent: valid traffic passes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::harness::{Issuer, Key, Wire, World, wait_until};

#[test]
fn a_silent_issuer_delays_nobody_whose_key_is_known() {
    let world = World::start();
    let (token, next) = (world.issuer.token(), Key::new("second"));
    world.issuer.publish(&[&world.issuer.key, &next]);
    world.issuer.fall_silent();
    let (gateway, asked) = (world.gateway, world.issuer.asked());
    let fresh = next.sign(&world.issuer.claims());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| Wire::connect(gateway).call(&fresh).status);
        wait_until("it has been asked again", || world.issuer.asked() > asked);
        let mut calls = 0;
        while !waiting.is_finished() {
            calls += 1;
            quick(&mut world.connect(), &token);
        }
        assert_eq!(waiting.join().unwrap(), 503, "nobody can say whether this key is good");
        assert!(calls > 0, "it was not waited for");
    });
    world.issuer.recover();
    wait_until("the new key is known", || world.call(&fresh).status == 200);
}

#[test]
fn all_keys_may_change_at_once() {
    let world = World::start();
    let old = world.issuer.token();
    assert_eq!(world.call(&old).status, 200);
    let (one, other) = (Key::new("new-1"), Key::new("new-2"));
    world.issuer.publish(&[&one, &other]);
    let tokens = [&one, &other].map(|key| key.sign(&world.issuer.claims()));
    let gateway = world.gateway;
    thread::scope(|scope| {
        for token in tokens.iter().cycle().take(200) {
            scope.spawn(move || assert_eq!(Wire::connect(gateway).call(token).status, 200));
        }
    });
    assert_eq!(world.call(&old).status, 401, "its key is gone");
}

#[test]
fn ten_thousand_unknown_key_ids_delay_nobody_and_hide_no_rotation() {
    let world = World::start();
    let token = world.issuer.token();
    let next = Key::new("second");
    let fresh = next.sign(&world.issuer.claims());
    let (began, before) = (Instant::now(), world.issuer.fetches());
    let (sent, rotated) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (gateway, flood) = (world.gateway, Flood::new(&world.issuer));
    let goes_on = || {
        let enough = sent.load(Ordering::SeqCst) >= 10_000 && rotated.load(Ordering::SeqCst);
        !enough && began.elapsed() < Duration::from_mins(1)
    };
    thread::scope(|scope| {
        for _ in 0..STRANGERS {
            scope.spawn(|| {
                let mut wire = Wire::connect(gateway);
                while goes_on() {
                    let number = sent.fetch_add(1, Ordering::SeqCst);
                    let status = wire.call(&flood.token(number)).status;
                    assert!([401, 503].contains(&status), "{status}");
                }
            });
        }
        let valid = scope.spawn(|| {
            let mut wire = Wire::connect(gateway);
            while goes_on() {
                quick(&mut wire, &token);
            }
        });
        wait_until("the budget is spent", || sent.load(Ordering::SeqCst) > 3_000);
        world.issuer.publish(&[&world.issuer.key, &next]);
        let published = Instant::now();
        wait_until("the new key is known", || world.call(&fresh).status == 200);
        let took = published.elapsed();
        rotated.store(true, Ordering::SeqCst);
        assert!(took < EARN + SLOW, "the rotation took {took:?}");
        valid.join().unwrap();
    });
    let fetches = world.issuer.fetches() - before;
    // Eight at once, one for each interval, and what the clock asks for by itself.
    let budget = 8 + usize::try_from(began.elapsed().as_secs() / EARN.as_secs()).unwrap() + 2;
    assert!(fetches <= budget, "{fetches} fetches, and {budget} would be right");
    let refused = format!("postern_key_looks_refused_total{{issuer=\"{}\"}}", world.issuer.url());
    assert!(world.metric(&refused) > 0.0);
}

/// Tokens like the issuer's own, but for the key id and a signature of zeros.
struct Flood(String);

impl Flood {
    fn new(issuer: &Issuer) -> Self {
        Self(URL_SAFE_NO_PAD.encode(json!(issuer.claims().0).to_string()))
    }

    fn token(&self, number: usize) -> String {
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": format!("random-{number}")});
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.{}", self.0, URL_SAFE_NO_PAD.encode([0; 64]))
    }
}

/// A valid call, which passes without delay.
#[track_caller]
fn quick(wire: &mut Wire, token: &str) {
    let began = Instant::now();
    assert_eq!(wire.call(token).status, 200);
    assert!(began.elapsed() < SLOW, "a valid call took {:?}", began.elapsed());
}

const SLOW: Duration = Duration::from_secs(1);
const EARN: Duration = Duration::from_secs(4);
/// More than may wait for a look that must be earned, so that there are always some who are sent away.
const STRANGERS: usize = 96;
