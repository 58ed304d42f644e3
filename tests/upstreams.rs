//! Several servers behind one resource: which of them a request goes to, and what becomes of it where that
//! fails.

mod load;
mod names;
mod sessions;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Fickle, Response, Upstream, Wire, World, wait_until};

/// The settings for these servers.
pub(crate) fn settings(servers: &[&Fickle], more: &str) -> String {
    let addresses: Vec<String> = servers.iter().map(|server| server.address()).collect();
    format!("upstream: {{address: {addresses:?}{more}}}")
}

fn ask(wire: &mut Wire, token: &str, method: &str, headers: &[(&str, &str)]) -> Response {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    wire.request(method, "/mcp", &all, if method == "POST" { "{}" } else { "" })
}

fn get(world: &World, headers: &[(&str, &str)]) -> Response {
    ask(&mut world.connect(), &world.issuer.token(), "GET", headers)
}

fn post(world: &World, headers: &[(&str, &str)]) -> Response {
    ask(&mut world.connect(), &world.issuer.token(), "POST", headers)
}

fn servers(world: &World, server: &Fickle, state: &str) -> f64 {
    let address = server.address();
    let name = format!("postern_upstream_servers{{state=\"{state}\",upstream=\"{address}\"}}");
    world.metric(&name)
}

fn is_down(world: &World, server: &Fickle) -> bool {
    servers(world, server, "down") > 0.5
}

fn is_up(world: &World, server: &Fickle) -> bool {
    servers(world, server, "up") > 0.5
}

#[test]
fn each_has_its_turn() {
    let [a, b, c] = ["a", "b", "c"].map(Fickle::tcp);
    let world = World::with(&settings(&[&a, &b, &c], ""));
    for _ in 0..12 {
        assert_eq!(post(&world, &[]).status, 200);
    }
    assert_eq!([a.served(), b.served(), c.served()], [4, 4, 4]);
}

#[test]
fn who_has_most_to_do_gets_no_more() {
    let [busy, idle] = [(); 2].map(|()| Upstream::start());
    let addresses = [busy.address().to_string(), idle.address().to_string()];
    let world = World::with(&format!("upstream: {{address: {addresses:?}}}"));
    let token = world.issuer.token();
    let mut waiting: Vec<Wire> = Vec::new();
    let wait = |waiting: &mut Vec<Wire>| {
        let mut wire = world.connect();
        wire.send(format!(
            "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
             x-answer: wait\r\nContent-Length: 0\r\n\r\n"
        ));
        waiting.push(wire);
    };
    wait(&mut waiting);
    let one = wait_for_one(&[&busy, &idle]);
    wait(&mut waiting);
    let other = wait_for_one(&[&busy, &idle]);
    assert_ne!(one, other, "two that have nothing to do");
    // From here on one of them has one request more than the other.
    wait(&mut waiting);
    let more = wait_for_one(&[&busy, &idle]);
    let less = [&busy, &idle][1 - more];
    let open =
        |at: usize| format!("postern_upstream_open_requests{{upstream=\"{}\"}}", addresses[at]);
    for _ in 0..6 {
        // The client has its answer before the place is given back.
        wait_until("it is over", || world.metric(&open(1 - more)) < 1.5);
        assert_eq!(post(&world, &[]).status, 200);
        less.next();
    }
    let open = open(more);
    assert!((world.metric(&open) - 2.0).abs() < f64::EPSILON);
    drop(waiting);
    wait_until("each place is given back", || world.metric(&open) < 0.5);
}

/// Which of them has been asked.
fn wait_for_one(all: &[&Upstream]) -> usize {
    let mut asked = None;
    wait_until("one is asked", || {
        asked = all.iter().position(|upstream| upstream.poll().is_some());
        asked.is_some()
    });
    asked.unwrap()
}

#[test]
fn where_nobody_listens_nothing_is_lost_and_who_comes_back_is_asked_again() {
    let [mut a, b] = ["a", "b"].map(Fickle::tcp);
    let world = World::with(&settings(&[&a, &b], ""));
    a.die();
    for _ in 0..6 {
        let response = post(&world, &[]);
        assert_eq!((response.status, response.body.as_str()), (200, "b"));
    }
    let line: Value = serde_json::from_str(&world.log_line("upstream down")).unwrap();
    assert_eq!(line["upstream"], a.address().as_str());
    assert_eq!(line["why"], "connect");
    assert!(is_down(&world, &a) && is_up(&world, &b));
    let refused = format!(
        "postern_upstream_failures_total{{reason=\"connect\",upstream=\"{}\"}}",
        a.address()
    );
    assert!((world.metric(&refused) - 1.0).abs() < f64::EPSILON, "asked once and no more");
    let again = format!("postern_upstream_retries_total{{upstream=\"{}\"}}", a.address());
    assert!((world.metric(&again) - 1.0).abs() < f64::EPSILON);
    assert!(world.is_ready(), "there is another one");
    let detail = world.admin("/readyz").body;
    let detail: Value = serde_json::from_str(&detail).unwrap();
    assert_eq!(detail["upstreams"][0]["state"], "down", "{detail}");
    assert_eq!(detail["upstreams"][1]["state"], "up", "{detail}");

    a.come();
    world.log_line("upstream up again");
    assert!(is_up(&world, &a));
    let before = a.served();
    for _ in 0..6 {
        assert_eq!(post(&world, &[]).status, 200);
    }
    assert_eq!(a.served() - before, 3);
}

#[test]
fn if_all_are_down_one_is_asked_nevertheless() {
    let [mut a, mut b] = ["a", "b"].map(Fickle::tcp);
    let world = World::with(&settings(&[&a, &b], ""));
    a.die();
    b.die();
    for _ in 0..3 {
        let response = post(&world, &[]);
        assert_eq!(response.status, 502, "{response:?}");
        assert!(response.body.contains("bad_gateway"));
    }
    assert!(is_down(&world, &a) && is_down(&world, &b) && world.is_ready());
    // Nobody waits for the next look at them.
    a.come();
    let began = Instant::now();
    wait_until("somebody answers", || post(&world, &[]).status == 200);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn what_may_not_be_done_twice_is_not_sent_twice() {
    let [one, other] = [(); 2].map(|()| Upstream::start());
    let addresses = [one.address().to_string(), other.address().to_string()];
    let world = World::with(&format!("upstream: {{address: {addresses:?}}}"));
    let hang_up = [("x-answer", "hang-up")];
    let response = post(&world, &hang_up);
    assert_eq!(response.status, 502, "{response:?}");
    let asked = wait_for_one(&[&one, &other]);
    one.saw_nothing();
    other.saw_nothing();
    // Both hang up on it, each once.
    let response = get(&world, &hang_up);
    assert_eq!(response.status, 502, "{response:?}");
    for upstream in [&one, &other] {
        assert!(upstream.next().head.starts_with("GET "));
        upstream.saw_nothing();
    }
    // A session is at one of them, whatever may be done twice.
    let held = loop {
        let begun = post(&world, &[("x-answer", BEGIN)]);
        if wait_for_one(&[&one, &other]) == asked {
            break begun.header("mcp-session-id").to_owned();
        }
    };
    let at = get(&world, &[("x-answer", "hang-up"), ("Mcp-Session-Id", &held)]);
    assert_eq!(at.status, 502);
    [&one, &other][asked].next();
    [&one, &other][1 - asked].saw_nothing();
}

#[test]
fn three_that_hang_up_are_enough() {
    let bad = Upstream::start();
    let good = Fickle::tcp("good");
    let addresses = [bad.address().to_string(), good.address()];
    let world = World::with(&format!("upstream: {{address: {addresses:?}}}"));
    let mut lost = 0;
    for _ in 0..20 {
        lost += u32::from(post(&world, &[("x-answer", "hang-up")]).status == 502);
    }
    assert_eq!(lost, 3);
    let line = world.log_line("upstream down");
    assert!(line.contains("no_answer") && line.contains(&addresses[0]), "{line}");
    // It can be connected to, which is all that it was asked for.
    world.log_line("upstream up again");
}

#[test]
fn each_takes_as_much_as_it_may() {
    let upstream = Upstream::start();
    let address = upstream.address();
    let world = World::with(&format!("upstream: {{address: '{address}', open_requests: 2}}"));
    let mut open: Vec<Wire> = (0..2)
        .map(|_| {
            let mut wire = world.connect();
            wire.send(format!(
                "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
                 x-answer: wait\r\nContent-Length: 0\r\n\r\n",
                world.issuer.token()
            ));
            upstream.next();
            wire
        })
        .collect();
    let mut wire = world.connect();
    let response = ask(&mut wire, &world.issuer.token(), "POST", &[]);
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.header("retry-after"), "2");
    upstream.saw_nothing();
    assert!(world.log_line("backend_full").contains("\"status\":503"));
    drop(open.pop());
    wait_until("there is room again", || {
        // On the same connection: a refusal costs a client nothing.
        ask(&mut wire, &world.issuer.token(), "POST", &[]).status == 200
    });
}

#[test]
fn an_answer_must_begin_in_time_and_then_may_take_as_long_as_it_likes() {
    let upstream = Upstream::start();
    let address = upstream.address();
    let more = "answer_timeout: 300ms";
    let world = World::with(&format!("upstream: {{address: '{address}', {more}}}"));
    let began = Instant::now();
    let response = post(&world, &[("x-answer", "wait")]);
    assert_eq!(response.status, 504, "{response:?}");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    upstream.next();
    assert!(upstream.was_abandoned_within(Duration::from_secs(5)));
    let name = format!(
        "postern_upstream_failures_total{{reason=\"answer_timeout\",upstream=\"{address}\"}}"
    );
    assert!((world.metric(&name) - 1.0).abs() < f64::EPSILON);

    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\nx-answer: stream\r\n\r\n",
        world.issuer.token()
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    upstream.next();
    assert!(!upstream.was_abandoned_within(Duration::from_secs(1)));
}

#[test]
fn who_says_that_it_is_not_well_is_left_alone_until_it_is() {
    let [a, b] = ["a", "b"].map(Fickle::tcp);
    let check = ", check: {path: /healthz, interval: 100ms, failures: 2, successes: 2}";
    let world = World::with(&settings(&[&a, &b], check));
    a.feel(503);
    let line = world.log_line("upstream down");
    assert!(line.contains(&a.address()) && line.contains("check: "), "{line}");
    for _ in 0..4 {
        assert_eq!(post(&world, &[]).body, "b");
    }
    assert!(is_down(&world, &a), "that it answers requests does not make it well");
    a.feel(200);
    world.log_line("upstream up again");
    let before = a.served();
    for _ in 0..4 {
        assert_eq!(post(&world, &[]).status, 200);
    }
    assert_eq!(a.served() - before, 2);
}

#[test]
fn one_that_takes_no_connections_is_noticed_before_a_request_is() {
    let [mut a, b] = ["a", "b"].map(Fickle::tcp);
    let world = World::with(&settings(&[&a, &b], ", check: {interval: 100ms, failures: 1}"));
    wait_until("both are looked at", || is_up(&world, &a) && is_up(&world, &b));
    a.die();
    let line = world.log_line("upstream down");
    assert!(line.contains(&a.address()), "{line}");
    assert_eq!(a.served() + b.served(), 0);
}

/// The backend goes by the name under which it was configured.
#[test]
fn each_hears_its_own_name() {
    let directory = tempfile::tempdir().unwrap();
    let unix = Fickle::unix(&directory.path().join("b"), "unix");
    let tcp = Upstream::start();
    let addresses = [tcp.address().to_string(), unix.address()];
    let world = World::with(&format!("upstream: {{address: {addresses:?}}}"));
    for _ in 0..2 {
        assert_eq!(post(&world, &[]).status, 200);
    }
    assert_eq!(tcp.next().values("host"), [addresses[0].as_str()]);
    assert_eq!(unix.served(), 1);
}

pub(crate) const BEGIN: &str =
    "HTTP/1.1 200 OK\\r\\nMcp-Session-Id: one\\r\\nContent-Length: 2\\r\\n\\r\\n{}";
