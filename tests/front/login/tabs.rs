//! What people do in browsers: several tabs, the back button, the same page again.

use super::{Browser, ON, is_refused, lets_in};
use crate::harness::World;

#[test]
fn two_tabs_at_once_are_two_logins() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    let (one, two) = (browser.begin("/login"), browser.begin("/login"));
    lets_in(&world, &one, "c-1");
    lets_in(&world, &two, "c-2");
    for (begun, code) in [(&two, "c-2"), (&one, "c-1")] {
        let page = browser.come_back(&format!("code={code}&state={}", begun.parameter("state")));
        assert_eq!(page.status, 200, "{page:?}");
    }
    assert!(browser.keeps_nothing());
}

#[test]
fn a_sixth_tab_takes_the_place_of_the_first() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    let begun: Vec<_> = (0..8).map(|_| browser.begin("/login")).collect();
    assert_eq!(browser.meddle().len(), 5);
    let last = begun.last().unwrap();
    lets_in(&world, last, "c-8");
    let page = browser.come_back(&format!("code=c-8&state={}", last.parameter("state")));
    assert_eq!(page.status, 200, "{page:?}");
}

#[test]
fn the_back_button_and_a_page_loaded_anew_show_no_token() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    lets_in(&world, &begun, "c-1");
    let query = format!("code=c-1&state={}", begun.parameter("state"));
    assert_eq!(browser.come_back(&query).status, 200);
    // Back: the address is still in the history of a browser that ran no script.
    is_refused(&browser.come_back(&query), 400, "login_unknown");
    // Loaded anew: the script has taken code and state out of the address.
    is_refused(&browser.get("/callback"), 400, "login_request");
    assert_eq!(world.issuer.tokens.asked().len(), 1);
    // And it is not the end of logging in.
    let again = browser.begin("/login");
    lets_in(&world, &again, "c-2");
    let page = browser.come_back(&format!("code=c-2&state={}", again.parameter("state")));
    assert_eq!(page.status, 200, "{page:?}");
}

#[test]
fn a_login_that_was_refused_is_over_as_well() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    let state = begun.parameter("state");
    is_refused(
        &browser.come_back(&format!("error=access_denied&state={state}")),
        403,
        "login_denied",
    );
    assert!(browser.keeps_nothing());
    lets_in(&world, &begun, "c-1");
    is_refused(&browser.come_back(&format!("code=c-1&state={state}")), 400, "login_unknown");
}
