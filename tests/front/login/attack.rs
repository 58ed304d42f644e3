//! A48: what others have done to logins, and A52 as far as it is about cookies.

use std::thread;

use serde_json::json;

use super::{Browser, ON, is_refused, lets_in};
use crate::harness::{Issuer, World};

/// A browser that has begun, with a code that is good for it; and the answer that would finish it.
fn begun(world: &World) -> (Browser, String) {
    let mut browser = Browser::of_a_person(world);
    let begun = browser.begin("/login");
    lets_in(world, &begun, "c-1");
    let query = format!("code=c-1&state={}", begun.parameter("state"));
    (browser, query)
}

fn nobody_was_asked(world: &World) {
    assert_eq!(world.issuer.tokens.asked().len(), 0);
}

#[test]
fn replay_by_somebody_who_kept_the_cookie_too() {
    let world = World::with(ON);
    let (mut browser, query) = begun(&world);
    let mut thief = browser.clone();
    assert_eq!(browser.come_back(&query).status, 200);
    is_refused(&thief.come_back(&query), 400, "login_used");
    assert_eq!(world.issuer.tokens.asked().len(), 1, "the issuer was not even asked");
    // Other rules do not make it forget.
    world.configure(&ON.replace("app.example", "other.example"));
    crate::harness::wait_until("the rules are others", || {
        let asked = "/login?return_to=https://other.example/done";
        Browser::of_a_person(&world).get(asked).status == 303
    });
    is_refused(&thief.come_back(&query), 400, "login_used");
}

#[test]
fn replay_at_the_same_moment() {
    let world = World::with(ON);
    let (browser, query) = begun(&world);
    world.issuer.tokens.hold(true);
    let mut told: Vec<u16> = thread::scope(|scope| {
        let several: Vec<_> = (0..4)
            .map(|_| {
                let (mut browser, query) = (browser.clone(), query.clone());
                scope.spawn(move || browser.come_back(&query).status)
            })
            .collect();
        crate::harness::wait_until("one has asked", || !world.issuer.tokens.asked().is_empty());
        world.issuer.tokens.hold(false);
        several.into_iter().map(|one| one.join().unwrap()).collect()
    });
    told.sort_unstable();
    assert_eq!(told, [200, 400, 400, 400]);
    assert_eq!(world.issuer.tokens.asked().len(), 1);
}

#[test]
fn fixation_with_a_login_of_somebody_elses() {
    let world = World::with(ON);
    let (_, eves) = begun(&world);
    // Eve sends Ada the end of her own login.
    let mut ada = Browser::of_a_person(&world);
    let page = ada.come_back(&eves);
    is_refused(&page, 400, "login_unknown");
    assert!(page.body.contains("If somebody sent you a link"), "{}", page.body);
    nobody_was_asked(&world);
    // Also while Ada logs in herself; and her own goes on.
    let own = ada.begin("/login");
    is_refused(&ada.come_back(&eves), 400, "login_unknown");
    lets_in(&world, &own, "c-2");
    let page = ada.come_back(&format!("code=c-2&state={}", own.parameter("state")));
    assert_eq!(page.status, 200);
}

#[test]
fn code_injection_into_the_login_of_another() {
    let world = World::with(ON);
    let mut ada = Browser::of_a_person(&world);
    let (adas, eves) = (ada.begin("/login"), Browser::of_a_person(&world).begin("/login"));
    lets_in(&world, &eves, "eves-code");
    // PKCE: the code is for another verifier, as the issuer finds.
    let page = ada.come_back(&format!("code=eves-code&state={}", adas.parameter("state")));
    is_refused(&page, 400, "login_code");
    // An issuer that does not look at verifiers: the nonce is another's, as we find.
    let mut ada = Browser::of_a_person(&world);
    let adas = ada.begin("/login");
    let answer = super::tokens(&world, &super::identity(&world, &eves));
    world.issuer.tokens.gives_for_code("c", &adas.parameter("code_challenge"), &answer);
    let page = ada.come_back(&format!("code=c&state={}", adas.parameter("state")));
    is_refused(&page, 502, "login_id_token");
    assert!(!page.body.contains(answer["access_token"].as_str().unwrap()));
}

#[test]
fn mix_up_of_issuers() {
    let issuer = Issuer::start();
    issuer.describe(json!({ "authorization_response_iss_parameter_supported": true }));
    let world = World::unready(issuer, ON);
    crate::harness::wait_until("the proxy is ready", || world.is_ready());
    let own = world.issuer.url();
    for iss in [
        String::new(),
        "&iss=https://evil.example".into(),
        format!("&iss={own}/"),
        format!("&iss={}", own.to_uppercase()),
        "&iss=".into(),
    ] {
        let (mut browser, query) = begun(&world);
        is_refused(&browser.come_back(&format!("{query}{iss}")), 400, "login_issuer");
        // Its errors are not believed either.
        let (mut browser, query) = begun(&world);
        let state = query.split_once("state=").unwrap().1;
        let error = format!("error=access_denied&state={state}{iss}");
        is_refused(&browser.come_back(&error), 400, "login_issuer");
    }
    nobody_was_asked(&world);
    let (mut browser, query) = begun(&world);
    assert_eq!(browser.come_back(&format!("{query}&iss={own}")).status, 200);
    // Where it promises nothing, what it says must still be true.
    let world = World::with(ON);
    let (mut browser, query) = begun(&world);
    is_refused(
        &browser.come_back(&format!("{query}&iss=https://evil.example")),
        400,
        "login_issuer",
    );
}

#[test]
fn cookie_tossing_and_tampering() {
    let world = World::with(ON);
    let is_unknown = |meddle: &dyn Fn(&mut Browser)| {
        let (mut browser, query) = begun(&world);
        meddle(&mut browser);
        is_refused(&browser.come_back(&query), 400, "login_unknown");
    };
    // From a neighbour below the same domain, who may not use the prefix; or changed on the way.
    is_unknown(&|browser| {
        let cookies = std::mem::take(browser.meddle());
        let tossed = |(name, value): (String, String)| (name.replace("__Host-", ""), value);
        browser.meddle().extend(cookies.into_iter().map(tossed));
    });
    is_unknown(&|browser| {
        for value in browser.meddle().values_mut() {
            *value = format!("{}A", &value[..value.len() - 1]);
            *value = value.replacen("AA", "BA", 1) + "A";
        }
    });
    is_unknown(&|browser| browser.meddle().values_mut().for_each(String::clear));
    // One of Eve's own logins, under the name of Ada's.
    let mut eve = Browser::of_a_person(&world);
    eve.begin("/login");
    let eves = eve.meddle().values().next().unwrap().clone();
    is_unknown(&|browser| browser.meddle().values_mut().for_each(|value| value.clone_from(&eves)));
    // Twice, the second one Eve's: nobody can say which is the browser's.
    let (browser, query) = begun(&world);
    let name = browser.cookies().split('=').next().unwrap().to_owned();
    let both = format!("{}; {name}={eves}", browser.cookies());
    let path = format!("/callback?{query}");
    let headers = [("Cookie", both.as_str()), ("Accept", "text/html")];
    is_refused(&world.request("GET", &path, &headers), 400, "login_unknown");
    nobody_was_asked(&world);
}

#[test]
fn an_open_redirect_in_every_spelling() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    for target in TARGETS {
        let page = browser.get(&format!("/login?return_to={target}"));
        is_refused(&page, 400, "login_return");
        assert!(page.headers("location").is_empty() && page.headers("set-cookie").is_empty());
    }
    let twice = "/login?return_to=https://app.example/done&return_to=https://evil.example";
    is_refused(&browser.get(twice), 400, "login_request");
    // What is said at the end counts for nothing.
    let begun =
        browser.begin("/login?redirect_uri=https://evil.example/&callback_url=//evil.example");
    assert_eq!(begun.parameter("redirect_uri"), "https://mcp.example/callback");
    lets_in(&world, &begun, "c-1");
    let state = begun.parameter("state");
    let page = browser.come_back(&format!("code=c-1&state={state}&return_to=https://evil.example"));
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("evil") && page.headers("location").is_empty());
    // And the one that is listed is offered, not gone to: no token leaves this host by itself.
    let begun = browser.begin("/login?return_to=https%3A%2F%2Fapp.example%2Fdone");
    lets_in(&world, &begun, "c-2");
    let page = browser.come_back(&format!("code=c-2&state={}", begun.parameter("state")));
    assert!(page.body.contains("href=\"https://app.example/done\""), "{}", page.body);
    assert_eq!((page.status, page.headers("location").len()), (200, 0));
}

/// None of them is `https://app.example/done`, which alone is listed.
const TARGETS: [&str; 38] = [
    "//evil.example",
    "///evil.example",
    "/%5Cevil.example",
    "%5C%5Cevil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:%5C%5Cevil.example",
    "https://evil.example",
    "https://app.example@evil.example/done",
    "https://app.example%40evil.example/done",
    "https://evil.example%23app.example/done",
    "https://evil.example%5C@app.example/done",
    "https://app.example.evil.example/done",
    "https://app.example%00.evil.example/done",
    "https://app.example:443/done",
    "https://app.example:444/done",
    "http://app.example/done",
    "HTTPS://app.example/done",
    "https://APP.example/done",
    "https://app.example/done/",
    "https://app.example/done/../x",
    "https://app.example/./done",
    "https://app.example/done%3Fx",
    "https://app.example/done%23x",
    "https://app.example//done",
    "https://app.example./done",
    "%20https://app.example/done",
    "https://app.example/done%20",
    "https://app.example/done%0D%0ASet-Cookie:%20a=b",
    "https://app.example/do%09ne",
    "%09//evil.example",
    "java%0Ascript:alert(1)",
    "javascript:alert(1)",
    "data:text/html,x",
    "https%253A%252F%252Fapp.example%252Fdone",
    "/mcp",
    "/",
    "",
];

#[test]
fn a_host_that_is_not_ours_begins_nothing() {
    let world = World::with(ON);
    let mut wire = world.connect();
    wire.send(
        "GET /login HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\r\n",
    );
    assert_eq!(wire.response(false).status, 421);
    let forwarded = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")];
    let to = world.request("GET", "/login", &forwarded);
    assert!(to.header("location").contains("redirect_uri=https%3A%2F%2Fmcp.example%2Fcallback"));
}

#[test]
fn parameters_that_two_readers_could_take_for_two() {
    let world = World::with(ON);
    for twice in ["&code=c-2", "&state=x", "&error=a&error=b", "&iss=a&iss=b", "&c%6Fde=c-2"] {
        let (mut browser, query) = begun(&world);
        is_refused(&browser.come_back(&format!("{query}{twice}")), 400, "login_request");
    }
    let (mut browser, query) = begun(&world);
    let long = query.replace("c-1", &"c".repeat(7000));
    is_refused(&browser.come_back(&long), 400, "login_request");
    for empty in ["code=c-1", "code=c-1&state=", "", "code=&state=&error="] {
        let response = Browser::of_a_person(&world).come_back(empty);
        assert_eq!(response.status, 400, "{empty}: {response:?}");
    }
    nobody_was_asked(&world);
}

/// A49, as far as logins follow what metadata says.
#[test]
fn metadata_that_points_inside_is_not_followed() {
    for endpoint in ["https://169.254.169.254/token", "https://10.0.0.1/token", "https://[::1]/t"] {
        let issuer = Issuer::start();
        issuer.describe(json!({ "token_endpoint": endpoint }));
        let world = World::unready(issuer, ON);
        crate::harness::wait_until("the proxy is ready", || world.is_ready());
        let (mut browser, query) = begun(&world);
        let page = browser.come_back(&query);
        is_refused(&page, 502, "login_answer");
        assert!(!page.body.contains("169.254") && !page.body.contains("10.0."), "{}", page.body);
    }
}
