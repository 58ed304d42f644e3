//! Which tokens are shown to the issuer that is asked, and as whom we ask.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{CLIENT, is_refused};
use crate::harness::{Issuer, Key, World, now, wait_until};

#[test]
fn a_secret_with_special_characters_arrives_either_way() {
    for authentication in ["basic", "post"] {
        let secret = "ü:+&%= /\"?";
        let issuer = Issuer::start();
        issuer.introspection.knows_client("a:b c", secret);
        issuer.vouch("opaque", &issuer.claims());
        let settings = format!(
            "issuers: [{{issuer: '{}', introspection: {{client_id: 'a:b c', \
             client_secret: '{secret}', authentication: client_secret_{authentication}}}}}]",
            issuer.url()
        );
        let world = World::unready(issuer, &settings);
        wait_until("the proxy is ready", || world.is_ready());
        assert_eq!(world.call("opaque").status, 200);
        assert_eq!(world.issuer.introspection.asked()[0].authentication, authentication);
    }
}

/// One issuer whose tokens are opaque, and one that has keys.
fn two_kinds() -> (World, Issuer) {
    let (opaque, signing) = (Issuer::start(), Issuer::start());
    let settings = format!(
        "issuers: [{{issuer: '{}'}}, {{issuer: '{}', introspection: {{{CLIENT}}}}}]",
        signing.url(),
        opaque.url()
    );
    let world = World::unready(opaque, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    (world, signing)
}

#[test]
fn both_kinds_of_issuers_stand_side_by_side() {
    let (world, signing) = two_kinds();
    world.issuer.vouch("opaque", &world.issuer.claims());
    assert_eq!(world.call("opaque").status, 200);
    assert_eq!(world.upstream.next().values("x-postern-issuer"), [world.issuer.url()]);
    assert_eq!(world.call(&signing.token()).status, 200);
    assert_eq!(world.upstream.next().values("x-postern-issuer"), [signing.url()]);
    assert_eq!(world.issuer.introspection.inquiries(), 1);
    let ready = world.admin("/readyz").body;
    assert!(ready.contains("\"introspection_endpoint\":true"), "{ready}");
}

#[test]
fn another_issuers_token_is_never_shown_to_the_one_that_is_asked() {
    let (world, signing) = two_kinds();
    let good = signing.token();
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}")
    };
    let foreign = Issuer::start();
    let stranger = foreign.key.sign(&signing.claims().set("iss", "https://stranger.example"));
    let torn = [
        stranger,
        foreign.key.sign(&signing.claims()),
        signing.key.sign(&signing.claims().set("exp", now() - 100)),
        signing.key.sign(&signing.claims().without("iss")),
        signing.key.sign(&signing.claims().set("iss", format!("{}/", world.issuer.url()))),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}.{signature}.{signature}"),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}~.{signature}"),
        format!("{header}.{claims}.{signature}{}", "A".repeat(17 << 10)),
    ];
    for token in torn {
        let response = world.call(&token);
        assert!([400, 401, 503].contains(&response.status), "{token}: {response:?}");
    }
    assert_eq!(world.issuer.introspection.asked(), []);
    world.upstream.saw_nothing();
}

#[test]
fn a_jwt_of_the_issuer_that_is_asked_is_asked_about() {
    let (world, _) = two_kinds();
    let token = world.issuer.token();
    is_refused(&world, &world.call(&token), "the token is not active, says its issuer");
    let other = world.issuer.key.sign(&world.issuer.claims().set("jti", "2"));
    world.issuer.vouch(&other, &world.issuer.claims());
    assert_eq!(world.call(&other).status, 200);
    assert_eq!(world.issuer.introspection.inquiries(), 2);

    // Its signature and its header mean nothing here.
    let parts: Vec<_> = token.split('.').collect();
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","crit":["x"]}"#);
    let shared_secret = format!("{header}.{}.AAAA", parts[1]);
    world.issuer.vouch(&shared_secret, &world.issuer.claims());
    assert_eq!(world.call(&shared_secret).status, 200);
}

#[test]
fn keys_that_turn_do_not_touch_what_an_issuer_has_said() {
    let (world, signing) = two_kinds();
    world.issuer.vouch("opaque", &world.issuer.claims());
    assert_eq!(world.call("opaque").status, 200);
    let next = Key::new("second");
    signing.publish(&[&next]);
    assert_eq!(world.call(&next.sign(&signing.claims())).status, 200);
    let remembered = || world.metric("postern_tokens_accepted_total{verdict=\"remembered\"}");
    let before = remembered();
    assert_eq!(world.call("opaque").status, 200);
    assert!(remembered() > before);
    assert_eq!(world.issuer.introspection.inquiries(), 1);
}

#[test]
fn without_an_issuer_to_ask_nothing_is_asked() {
    let world = World::start();
    let description = "the token is not a signed JWT in compact form";
    is_refused(&world, &world.call("opaque"), description);
    assert_eq!(world.issuer.introspection.inquiries(), 0);
}
