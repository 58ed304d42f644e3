//! Whoever wants somebody else's tokens.

use serde_json::json;

use super::program::{Page, Program, leads_to, parameter, returned};
use super::{is_a_page, on};
use crate::harness::World;

const HOME: &str = "http://127.0.0.1:5000/callback";

#[test]
fn nobody_is_sent_where_the_client_did_not_say() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    for spelling in [
        "https://evil.example/callback",
        "//evil.example/callback",
        "/\\evil.example",
        "https:evil.example",
        "https:/evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://127.0.0.1:5000/callback/",
        "http://127.0.0.1:5000/callback?x=y",
        "http://127.0.0.1:5000/callback#x",
        "http://127.0.0.1:5000/Callback",
        "http://127.0.0.1:5000/%63allback",
        "http://127.0.0.1:5000/x/../callback",
        "http://127.0.0.1:5000//callback",
        "http://127.0.0.1:5000@evil.example/callback",
        "http://127.0.0.1:5000\\@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:/callback",
        "http://localhost:5000/callback",
        "https://127.0.0.1:5000/callback",
        " http://127.0.0.1:5000/callback",
        "http://127.0.0.1:5000/callback\t",
        "http://127.0.0.1:5000/callback\r\nX: y",
        // Others' addresses that are listed, but not this client's.
        "https://app.example/cb?x=y",
        "cursor://anysphere/cb",
    ] {
        let response = program.authorize(&world, &[("redirect_uri", spelling)]);
        is_a_page(&response, 400, "may not have people sent");
        assert!(!response.body.contains("evil"), "{}", response.body);
    }
    is_a_page(&program.authorize(&world, &[("redirect_uri", "")]), 400, "redirect_uri");
    // RFC 8252: the port is the program's own affair.
    let other = program.authorize(&world, &[("redirect_uri", "http://127.0.0.1:9/callback")]);
    assert_eq!(other.status, 200);
}

#[test]
fn an_address_that_is_not_listed_any_more_is_no_ones() {
    let world = World::with(&on());
    let program = Program::register(&world, "cursor://anysphere/cb");
    assert_eq!(program.authorize(&world, &[]).status, 200);
    let settings = on().replace(", 'cursor://anysphere/cb'", "");
    world.configure(&settings);
    crate::harness::wait_until("it is refused", || program.authorize(&world, &[]).status == 400);
}

#[test]
fn a_client_is_known_by_what_it_was_given_here() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let spoilt = program.id.replacen(&program.id[40..44], "AAAA", 1);
    for id in ["postern", "x", &spoilt, &program.id[..60], "http://127.0.0.1/client"] {
        is_a_page(&program.authorize(&world, &[("client_id", id)]), 400, "must register again");
    }
    let elsewhere = World::with(&on().replace("0123", "3210"));
    is_a_page(&program.authorize(&elsewhere, &[]), 400, "must register again");
}

#[test]
fn what_is_wrong_otherwise_the_client_is_told_at_home() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "unsupported_response_type"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("resource", "https://other.example/mcp", "invalid_target"),
        ("resource", "https://mcp.example/", "invalid_target"),
        ("request", "e30.e30.", "request_not_supported"),
        ("request_uri", "https://evil.example/r", "request_uri_not_supported"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "a\"b", "invalid_scope"),
    ] {
        let to = leads_to(&program.authorize(&world, &[(name, value)]));
        assert!(to.as_str().starts_with(&format!("{HOME}?error=")), "{to}");
        assert_eq!(parameter(&to, "error"), error, "{name}={value}");
        assert_eq!(parameter(&to, "state"), "the-state");
        assert_eq!(parameter(&to, "iss"), "https://mcp.example");
    }
    let twice = format!("/authorize?{}&client_id=x", program.query(&[]));
    is_a_page(&world.request("GET", &twice, &[]), 400, "repeated");
}

#[test]
fn only_the_browser_that_was_asked_can_answer() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let (page, other) = (program.send_people(&world), program.send_people(&world));
    for cookie in ["", "a=b", &other.cookie, "__Host-postern-consent=x"] {
        is_a_page(&page.answer(&world, &[], cookie), 400, "not made for this browser");
    }
    let tossed = format!("{}; {}", page.cookie, other.cookie);
    is_a_page(&page.answer(&world, &[], &tossed), 400, "not made for this browser");
    let to_issuer = page.allow(&world);
    let query = format!("code=c&state={}", parameter(&to_issuer, "state"));
    for cookie in ["", &other.cookie] {
        is_a_page(&returned(&world, &query, cookie), 400, "not made for this browser");
    }
    let mut form = std::collections::BTreeMap::new();
    form.insert("request", page.request.as_str());
    let cross = [("Cookie", page.cookie.as_str()), ("Sec-Fetch-Site", "cross-site")];
    let response = super::program::post(&world, "/oauth/consent", &form, &cross);
    is_a_page(&response, 400, "not made for this browser");
    let foreign = [("Cookie", page.cookie.as_str()), ("Origin", "https://evil.example")];
    assert_eq!(super::program::post(&world, "/oauth/consent", &form, &foreign).status, 403);
    assert!(world.issuer.tokens.asked().is_empty());
}

#[test]
fn two_tabs_of_a_browser_do_not_get_into_each_others_way() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let first = program.send_people(&world);
    let path = format!("/authorize?{}", program.query(&[("state", "second")]));
    let second = Page::of(world.request("GET", &path, &[("Cookie", &first.cookie)]));
    assert_eq!(first.cookie, second.cookie);
    let (one, two) = (first.allow(&world), second.allow(&world));
    let home = second.come_back(&world, &format!("code=2&state={}", parameter(&two, "state")));
    assert_eq!(parameter(&home, "state"), "second");
    let home = first.come_back(&world, &format!("code=1&state={}", parameter(&one, "state")));
    assert_eq!(parameter(&home, "state"), "the-state");
}

#[test]
fn an_answer_is_taken_once_and_from_the_issuer_alone() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let page = program.send_people(&world);
    let state = parameter(&page.allow(&world), "state");
    let query = format!("code=c&state={state}");
    let mixed_up = format!("{query}&iss=https%3A%2F%2Fevil.example");
    is_a_page(&returned(&world, &mixed_up, &page.cookie), 400, "does not come from");
    let named = format!("{query}&iss={}", world.issuer.url());
    page.come_back(&world, &named);
    is_a_page(&returned(&world, &named, &page.cookie), 400, "used already");
    for query in ["code=c", "state=", "code=c&state=x", "code=c&code=d&state=x"] {
        assert_eq!(returned(&world, query, &page.cookie).status, 400, "{query}");
    }
}

#[test]
fn an_issuer_that_says_it_names_itself_must() {
    let issuer = crate::harness::Issuer::start();
    issuer.describe(json!({"authorization_response_iss_parameter_supported": true}));
    let world = World::unready(issuer, &on());
    let program = Program::register(&world, HOME);
    let page = program.send_people(&world);
    let query = format!("code=c&state={}", parameter(&page.allow(&world), "state"));
    is_a_page(&returned(&world, &query, &page.cookie), 400, "does not come from");
    page.come_back(&world, &format!("{query}&iss={}", world.issuer.url()));
}

#[test]
fn what_is_sealed_for_one_step_is_nothing_at_another() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let page = program.send_people(&world);
    let state = parameter(&page.allow(&world), "state");
    let query = format!("code=c&state={}", page.request);
    assert_eq!(returned(&world, &query, &page.cookie).status, 400);
    let swapped = Page { request: state.clone(), ..page };
    assert_eq!(swapped.answer(&world, &[], &swapped.cookie).status, 400);
    for sealed in [&state, &swapped.request, &program.id] {
        assert_eq!(program.redeem(&world, sealed, &[]).status, 400);
        assert_eq!(program.renew(&world, sealed).status, 400);
    }
    assert!(world.issuer.tokens.asked().is_empty());
}

#[test]
fn what_a_client_calls_itself_is_text() {
    let world = World::with(&on());
    let name = "<script>alert(1)</script>\" onload=x \u{202e}evil";
    let asked = json!({"client_name": name, "redirect_uris": [HOME]});
    let told = super::program::register(&world, &asked.to_string());
    let told: serde_json::Value = serde_json::from_str(&told.body).unwrap();
    let id = told["client_id"].as_str().unwrap().to_owned();
    let page = Program { id, redirect_uri: HOME.into() }.send_people(&world);
    let body = &page.shown.body;
    assert!(!body.contains("<script") && !body.contains("\u{202e}"), "{body}");
    assert!(body.contains("&#60;script&#62;"), "{body}");
}

#[test]
fn nothing_secret_is_told_in_the_log() {
    let world = World::with(&format!("log: {{format: json, level: debug}}\n{}", on()));
    let program = Program::register(&world, HOME);
    let answer =
        json!({"access_token": "acc-ess", "token_type": "Bearer", "refresh_token": "ref-resh"});
    let code = program.code(&world, "iss-code", &answer);
    assert_eq!(program.redeem(&world, &code, &[]).status, 200);
    assert_eq!(program.redeem(&world, &code, &[]).status, 400);
    world.signal("-TERM");
    let log: Vec<String> = world.log.iter().collect();
    let log = log.join("\n");
    assert!(log.contains("/oauth/callback") && log.contains("front_grant"), "{log}");
    for secret in [
        "acc-ess",
        "ref-resh",
        "iss-code",
        "s3cret",
        "the-state",
        &code,
        &program.id,
        super::program::VERIFIER,
        super::KEY,
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
}
