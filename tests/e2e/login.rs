//! A person with a browser, at a real authorization server.

use serde_json::json;

use super::page::Browser;
use super::provider::Provider;
use super::{Ground, Stage};

/// By keyboard alone, and without anything that the browser would complain about.
#[test]
fn a_person_logs_in_copies_the_token_and_it_opens_the_door() {
    let (mut browser, ground) = (Browser::start(), Ground::new());
    let origin = format!("https://{}", ground.gateway);
    let provider = Provider::start(&ground.resource());
    let client = provider.registered(&format!("{origin}/callback"));
    let login = format!("{{client_id: '{client}', scopes: [openid, offline_access, 'mcp:read']}}");
    let further = format!("{}\noauth: {{login: {login}}}", ground.certificate.setting());
    let stage = Stage::on(ground, provider, &further, "");
    browser.open(&stage.ground.certificate.chain, &json!({}));
    #[expect(clippy::disallowed_methods, reason = "whoever wants to look at it says where")]
    let pictures = std::env::var("POSTERN_PICTURES").ok();
    browser.say(&json!({ "login": format!("{origin}/login"), "pictures": pictures }));
    let told = browser.next();
    assert_eq!(
        told["address"],
        format!("{origin}/callback"),
        "the code has gone from it: {told:#}"
    );
    assert_eq!(told["title"], "You are signed in");
    let token = told["token"].as_str().unwrap();
    assert_eq!(stage.whoami(token), "200");
    assert_eq!((&told["masked"], &told["shown"]), (&json!(1), &json!(1)), "{told:#}");
    let steps = ["Show", "Refresh token", "", "Copy", "Show", "Get another token"];
    assert_eq!(told["steps"], json!(steps), "{told:#}");
    assert_eq!((&told["before"], &told["after"]), (&json!(true), &json!(false)));
    assert!(told["said"].as_str().unwrap().contains("has forgotten the token"), "{told:#}");
    assert_eq!(told["back"]["holds"], false, "{told:#}");
    assert_eq!(told["complaints"], json!([]), "{told:#}");
}
