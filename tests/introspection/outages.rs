//! An issuer that fails, is slow or is crowded: nobody is sent to log in again for that.

use std::thread;
use std::time::{Duration, Instant};

use super::{CLIENT, world};
use crate::harness::{Issuer, Response, Wire, World, wait_until};

#[track_caller]
fn is_told_to_try_again(response: &Response) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.header("retry-after"), "5");
    assert!(response.headers("www-authenticate").is_empty());
}

#[track_caller]
fn complaint(world: &World, text: &str) -> String {
    let line = || world.log.recv_timeout(Duration::from_secs(20)).expect("no complaint");
    std::iter::repeat_with(line).find(|line| line.contains(text)).unwrap()
}

#[test]
fn an_answer_that_two_readers_could_read_differently_is_none() {
    let world = world("");
    let twice = r#"{"active":true,"active":false}"#;
    let named_twice = r#"{"active":true,"sub":"ada","sub":"root"}"#;
    for answer in
        [twice, named_twice, r#"{"active":"true"}"#, r#"{"active":1}"#, "{}", "<html>", ""]
    {
        world.issuer.introspection.says(answer.len().to_string().as_str(), answer);
        is_told_to_try_again(&world.call(&answer.len().to_string()));
    }
    world.upstream.saw_nothing();
    complaint(&world, "did not answer with JSON");
}

#[test]
fn all_who_ask_about_a_token_share_one_inquiry() {
    let world = world("");
    world.issuer.vouch("opaque", &world.issuer.claims());
    world.issuer.introspection.hold(true);
    let gateway = world.gateway;
    thread::scope(|scope| {
        let call = || Wire::connect(gateway).call("opaque").status;
        let calls: Vec<_> = (0..30).map(|_| scope.spawn(call)).collect();
        wait_until("all are there", || world.metric("postern_connections") >= 30.0);
        world.issuer.introspection.hold(false);
        for call in calls {
            assert_eq!(call.join().unwrap(), 200);
        }
    });
    assert_eq!(world.issuer.introspection.inquiries(), 1);
}

#[test]
fn an_endpoint_that_fails_is_nobodys_bad_token() {
    let world = world("");
    world.issuer.vouch("opaque", &world.issuer.claims());
    for status in [500, 503, 404, 400, 302] {
        world.issuer.introspection.fail(status);
        is_told_to_try_again(&world.call("opaque"));
        // The failure is shared for a moment.
        wait_until("the issuer is asked again", || {
            let before = world.issuer.introspection.inquiries();
            is_told_to_try_again(&world.call("opaque"));
            world.issuer.introspection.inquiries() > before
        });
    }
    world.upstream.saw_nothing();
    complaint(&world, "its introspection endpoint: it answered 500");
    world.issuer.introspection.fail(200);
    wait_until("it recovers", || world.call("opaque").status == 200);
    assert!(world.metric("postern_requests_total{outcome=\"no_introspection\"}") >= 10.0);
}

#[test]
fn an_endpoint_that_never_answers_is_not_waited_for_long() {
    let world = world("");
    world.issuer.introspection.hold(true);
    let began = Instant::now();
    is_told_to_try_again(&world.call("opaque"));
    assert!((4..9).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[test]
fn an_endpoint_that_nobody_listens_at_is_no_bad_token() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = world(&format!(", endpoint: 'http://{closed}/introspect'"));
    is_told_to_try_again(&world.call("opaque"));
    complaint(&world, "cannot be reached");
}

#[test]
fn our_own_wrong_credentials_are_our_own_trouble() {
    for authentication in ["client_secret_basic", "client_secret_post"] {
        let settings = format!(
            "introspection: {{client_id: gateway, client_secret: wr0ng, authentication: {authentication}}}"
        );
        let world = World::trusting(&settings);
        world.issuer.vouch("opaque", &world.issuer.claims());
        is_told_to_try_again(&world.call("opaque"));
        let line = complaint(&world, "token not introspected");
        assert!(line.contains("\"ERROR\""), "{line}");
        assert!(line.contains("client_secret and authentication"), "{line}");
        assert!(line.contains(authentication), "{line}");
        assert!(!line.contains("wr0ng") && !line.contains("opaque"), "{line}");
        world.upstream.saw_nothing();
    }
}

#[test]
fn a_bad_token_that_is_sent_a_hundred_times_is_asked_about_once() {
    let world = world("");
    world.issuer.vouch("elsewhere", &world.issuer.claims().set("aud", "https://other.example"));
    let began = Instant::now();
    let mut connection = world.connect();
    for _ in 0..50 {
        for token in ["bad", "elsewhere"] {
            assert_eq!(connection.call(token).status, 401);
        }
    }
    assert!(began.elapsed() < Duration::from_secs(10), "too slow to tell");
    assert_eq!(world.issuer.introspection.inquiries(), 2);
}

#[test]
fn a_crowd_of_strangers_is_bounded_and_holds_up_nobody_who_is_known() {
    let world = world(", cache: 1s");
    world.issuer.vouch("known", &world.issuer.claims());
    assert_eq!(world.call("known").status, 200);
    world.issuer.introspection.hold(true);
    let gateway = world.gateway;
    thread::scope(|scope| {
        let stranger = |number| Wire::connect(gateway).call(&format!("stranger-{number}")).status;
        let strangers: Vec<_> =
            (0..150).map(|number| scope.spawn(move || stranger(number))).collect();
        wait_until("they crowd", || world.issuer.introspection.waiting() >= 48);
        let asked_again = || {
            let asked = world.issuer.introspection.asked();
            asked.iter().filter(|asked| asked.token == "known").count() == 2
        };
        // It is remembered; when its answer has aged, it is asked about before all the strangers who
        // came earlier and still wait.
        wait_until("it is asked about again", || {
            let known = scope.spawn(move || Wire::connect(gateway).call("known").status);
            wait_until("it is answered, or asked about", || known.is_finished() || asked_again());
            let ahead = asked_again();
            if ahead {
                assert!(
                    !strangers.iter().any(thread::ScopedJoinHandle::is_finished),
                    "it had to wait for them"
                );
                world.issuer.introspection.hold(false);
            }
            assert_eq!(known.join().unwrap(), 200);
            ahead
        });
        for stranger in strangers {
            assert!([401, 503].contains(&stranger.join().unwrap()));
        }
    });
    let most = world.issuer.introspection.most_waiting();
    assert!((48..=64).contains(&most), "{most} at once");
}

#[test]
fn a_start_with_the_issuer_down_heals_by_itself() {
    let issuer = Issuer::start();
    issuer.fail(500);
    let settings =
        format!("issuers: [{{issuer: '{}', introspection: {{{CLIENT}}}}}]", issuer.url());
    let world = World::unready(issuer, &settings);
    world.issuer.vouch("opaque", &world.issuer.claims());
    is_told_to_try_again(&world.call("opaque"));
    let ready = world.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("\"introspection_endpoint\":false"), "{}", ready.body);
    complaint(&world, "introspection endpoint not found");

    world.issuer.recover();
    wait_until("the proxy is ready", || world.is_ready());
    assert_eq!(world.call("opaque").status, 200);
}

#[test]
fn a_configured_endpoint_needs_no_metadata() {
    let issuer = Issuer::start();
    issuer.fail(500);
    let settings = format!(
        "issuers: [{{issuer: '{0}', introspection: {{{CLIENT}, endpoint: '{0}/introspect'}}}}]",
        issuer.url()
    );
    issuer.vouch("opaque", &issuer.claims());
    let world = World::unready(issuer, &settings);
    assert!(world.is_ready());
    assert_eq!(world.call("opaque").status, 200);
    assert_eq!(world.issuer.fetches(), 0);
}
