//! A broker that logs people in, in a dialect of its own. It compares nothing: whatever holds, we hold.

use serde_json::{Value, json};
use url::Url;

use super::{Browser, is_refused};
use crate::harness::{Broker, Response, World};

fn world(broker: &Broker) -> World {
    World::with(&format!("oauth: {{login: {{{}}}}}", broker.setting()))
}

fn leads_to(broker: &Broker, url: &str) {
    broker.answers("/authorize", 200, &json!({ "redirect_url": url }));
}

fn uuid_of(broker: &Broker) -> String {
    let asked = broker.asked();
    let uuid = asked.headers["trace-id"].to_str().unwrap().to_owned();
    let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!((parts, uuid.as_bytes()[14]), (vec![8, 4, 4, 4, 12], b'4'), "{uuid}");
    uuid
}

const LOGIN: &str = "https://login.example/authorize?client_id=x";

#[test]
fn each_step_has_exactly_the_brokers_shape() {
    let broker = Broker::start();
    let world = world(&broker);
    leads_to(&broker, LOGIN);
    let mut browser = Browser::of_a_program(&world);
    let begun = browser.begin("/auth/start");
    let state = begun.parameter("state");
    assert_eq!(begun.to.as_str(), format!("{LOGIN}&state={state}"));
    let asked = broker.asked();
    assert_eq!((asked.path.as_str(), asked.body.as_str()), ("/authorize", ""));
    assert_eq!(asked.query.len(), 1);
    assert_eq!(asked.query["callback_url"], "https://mcp.example/callback");
    assert!(!asked.headers.contains_key("content-type"));
    let first = uuid_of(&broker);

    let token = world.issuer.token();
    broker.answers("/login", 200, &json!({ "access_token": token, "refresh_token": "r-1" }));
    let told = browser.come_back(&format!("code=c-1&state={state}"));
    assert_eq!(told.status, 200, "{told:?}");
    let answer: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(
        answer,
        json!({ "access_token": token, "token_type": "Bearer", "refresh_token": "r-1" })
    );
    let asked = broker.asked();
    assert_eq!((asked.path.as_str(), asked.body.as_str()), ("/login", ""));
    assert_eq!(asked.query.len(), 2);
    assert_eq!(asked.query["code"], "c-1");
    assert_eq!(asked.query["callback_url"], "https://mcp.example/callback");
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_ne!(uuid_of(&broker), first, "each request has a name of its own");
    assert_eq!(world.call(&token).status, 200);

    broker.answers("/refresh_token", 200, &json!({ "access_token": token, "expires_in": 60 }));
    let headers = [("Content-Type", "application/json")];
    let body = r#"{"refresh_token":"r-1"}"#;
    let told = world.connect().request("POST", "/auth/refresh", &headers, body);
    assert_eq!(told.status, 200, "{told:?}");
    let asked = broker.asked();
    assert_eq!((asked.path.as_str(), asked.body.as_str()), ("/refresh_token", body));
    assert_eq!(
        (asked.query.len(), &asked.headers["content-type"]),
        (0, &"application/json".parse().unwrap())
    );
    uuid_of(&broker);
}

#[test]
fn a_state_of_the_brokers_own_is_tied_to_the_browser_as_well() {
    let broker = Broker::start();
    let world = world(&broker);
    let own = "https://login.example/authorize?state=the-brokers-own-state&x=y";
    leads_to(&broker, own);
    let mut browser = Browser::of_a_person(&world);
    assert_eq!(browser.begin("/login").to.as_str(), own);
    broker.answers("/login", 200, &json!({ "access_token": "a" }));
    let query = "code=c-1&state=the-brokers-own-state";
    is_refused(&Browser::of_a_person(&world).come_back(query), 400, "login_unknown");
    let mut thief = browser.clone();
    assert_eq!(browser.come_back(query).status, 200);
    is_refused(&thief.come_back(query), 400, "login_used");
}

/// A whole login up to the broker's answer.
fn ends_with(world: &World, broker: &Broker, status: u16, body: &Value) -> Response {
    leads_to(broker, LOGIN);
    let mut browser = Browser::of_a_person(world);
    let begun = browser.begin("/login");
    broker.answers("/login", status, body);
    browser.come_back(&format!("code=c-1&state={}", begun.parameter("state")))
}

#[test]
fn nobody_finishes_what_another_browser_has_begun() {
    let broker = Broker::start();
    let world = world(&broker);
    leads_to(&broker, LOGIN);
    let mut eve = Browser::of_a_person(&world);
    let begun = eve.begin("/login");
    let query = format!("code=eves&state={}", begun.parameter("state"));
    let times = broker.times();
    is_refused(&Browser::of_a_person(&world).come_back(&query), 400, "login_unknown");
    let state = begun.parameter("state");
    is_refused(&eve.come_back(&format!("error=access_denied&state={state}")), 403, "login_denied");
    is_refused(&eve.come_back(&query), 400, "login_unknown");
    assert_eq!(broker.times(), times, "the broker was not asked");
}

#[test]
fn its_errors_have_an_honest_status_and_are_not_repeated() {
    let broker = Broker::start();
    let world = world(&broker);
    let said = json!({ "error_message": "<b>call 555-0100</b>" });
    for (status, told, code) in [
        (400, 400, "login_code"),
        (401, 400, "login_code"),
        (500, 503, "front_unavailable"),
        (429, 503, "front_unavailable"),
    ] {
        let page = ends_with(&world, &broker, status, &said);
        is_refused(&page, told, code);
        assert!(!page.body.contains("555"), "{}", page.body);
    }
    is_refused(&ends_with(&world, &broker, 200, &said), 502, "login_answer");
    is_refused(&ends_with(&world, &broker, 200, &json!([])), 502, "login_answer");
    for (status, answer) in [
        (200, json!({})),
        (200, json!({ "redirect_url": "" })),
        (200, json!({ "redirect_url": 7 })),
        (200, json!({ "redirect_url": "javascript:alert(1)" })),
        (200, json!({ "redirect_url": "/relative" })),
        (200, json!({ "redirect_url": "https://login.example/?state=1" })),
        (200, json!({ "redirect_url": "https://user@login.example/" })),
        (404, json!({ "redirect_url": LOGIN })),
    ] {
        broker.answers("/authorize", status, &answer);
        let page = Browser::of_a_person(&world).get("/login");
        is_refused(&page, 502, "login_answer");
        assert!(page.headers("set-cookie").is_empty());
    }
    broker.answers("/authorize", 500, &json!({}));
    is_refused(&Browser::of_a_person(&world).get("/login"), 503, "front_unavailable");
}

#[test]
fn a_header_of_another_name_carries_the_trace() {
    let broker = Broker::start();
    let setting = broker.setting().replace("authorize:", "trace_header: X-B3-TraceId, authorize:");
    let world = World::with(&format!("oauth: {{login: {{{setting}}}}}"));
    leads_to(&broker, LOGIN);
    let begun = Browser::of_a_person(&world).begin("/login");
    assert_eq!(Url::parse(LOGIN).unwrap().host(), begun.to.host());
    let asked = broker.asked();
    assert!(asked.headers.contains_key("x-b3-traceid") && !asked.headers.contains_key("trace-id"));
}
