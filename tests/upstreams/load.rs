//! Servers that come and go while requests come all along: none is lost that could be saved.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::*;

/// What became of all requests.
#[derive(Default)]
struct Tally {
    good: AtomicUsize,
    bad: AtomicUsize,
}

/// Asks without a pause on four connections, while something happens.
fn under_load(world: &World, method: &str, happens: impl FnOnce(&Tally)) -> (usize, usize) {
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    let (token, gateway) = (world.issuer.token(), world.gateway);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut wire = Wire::connect(gateway);
                while !over.load(Ordering::SeqCst) {
                    let response = ask(&mut wire, &token, method, &[]);
                    let count = if response.status == 200 { &tally.good } else { &tally.bad };
                    count.fetch_add(1, Ordering::SeqCst);
                    if response.status != 200 {
                        wire = Wire::connect(gateway);
                    }
                }
            });
        }
        happens(&tally);
        over.store(true, Ordering::SeqCst);
    });
    (tally.good.into_inner(), tally.bad.into_inner())
}

/// Until so many more have been answered.
fn more(tally: &Tally, requests: usize) {
    let before = tally.good.load(Ordering::SeqCst);
    wait_until("more are answered", || tally.good.load(Ordering::SeqCst) > before + requests);
}

#[expect(clippy::print_stdout, reason = "the count is what is looked at")]
#[test]
fn what_may_be_done_twice_survives_servers_that_die() {
    let mut servers = ["a", "b", "c"].map(Fickle::tcp);
    let world = World::with(&settings(&servers.each_ref(), ""));
    let (good, bad) = under_load(&world, "GET", |tally| {
        for round in 0..9 {
            let server = &mut servers[round % 3];
            more(tally, 100);
            server.die();
            more(tally, 100);
            server.come();
            wait_until("it is asked again", || is_up(&world, server));
        }
    });
    println!("{good} answered, {bad} lost, while three servers died three times each");
    assert_eq!(bad, 0);
}

#[expect(clippy::print_stdout, reason = "the count is what is looked at")]
#[test]
fn what_may_be_done_once_survives_servers_that_close() {
    let directory = tempfile::tempdir().unwrap();
    let mut servers = ["a", "b", "c"].map(|name| Fickle::unix(&directory.path().join(name), name));
    let world = World::with(&settings(&servers.each_ref(), ""));
    let (good, bad) = under_load(&world, "POST", |tally| {
        for round in 0..9 {
            let server = &mut servers[round % 3];
            more(tally, 100);
            server.close();
            more(tally, 100);
            server.come();
            wait_until("it is asked again", || is_up(&world, server));
        }
    });
    println!("{good} answered, {bad} lost, while three servers closed three times each");
    assert_eq!(bad, 0);
    let served: usize = servers.iter().map(Fickle::served).sum();
    assert_eq!(served, good, "each once");
}
