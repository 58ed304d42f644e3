//! Each issuer speaks for itself: by its name to the letter, with its own keys, under its own rules.

use jsonwebtoken::Algorithm;
use proxy::pipeline::authenticate::Rejected;
use serde_json::json;

use super::Siege;
use crate::harness::{Issuer, Key, World, wait_until};

#[test]
fn an_issuer_is_named_to_the_letter() {
    let mut siege = Siege::lay();
    let url = siege.world.issuer.url();
    for almost in [
        format!("{url}/"),
        format!("{url}//"),
        format!("{url}?"),
        format!("{url}#"),
        format!("{url} "),
        format!(" {url}"),
        format!("{url}\0"),
        format!("{url}\n"),
        format!("{url}.evil.example"),
        format!("{url}@evil.example"),
        format!("http://evil.example/{url}"),
        url.replace("http:", "HTTP:"),
        url.replace("http:", "https:"),
        url.replace("127.0.0.1", "localhost"),
        url.replace("127.0.0.1", "127.1"),
        url.replace("127.0.0.1", "\u{ff11}27.0.0.1"),
        url.replace("127.0.0.1", "127\u{3002}0\u{3002}0\u{3002}1"),
        url.replace("http", "ht\u{200b}tp"),
        url.replace("http", "h\u{1d413}tp"),
        url.replace('/', "\u{2215}"),
        url[..url.len() - 1].to_owned(),
        format!("{url}0"),
        String::new(),
    ] {
        let claims = siege.claims().set("iss", almost).text();
        siege.is_refused(&siege.with_claims(&claims), Rejected::Issuer);
    }
    for odd in [json!([url]), json!({ "url": url }), json!(7), json!(null), json!(true)] {
        let claims = siege.claims().set("iss", odd).text();
        siege.is_refused(&siege.with_claims(&claims), Rejected::Claim("iss"));
    }
    let nobody = siege.claims().without("iss").text();
    siege.is_refused(&siege.with_claims(&nobody), Rejected::Claim("iss"));
    // Escapes are another way to write the same text.
    let escaped = siege.claims().text().replace("http:", "\\u0068ttp:");
    siege.passes(&siege.with_claims(&escaped));
    siege.lift();
}

/// Two issuers whose keys go by the names given.
fn two(mine: &Key, theirs: &Key) -> (World, Issuer) {
    let (one, other) = (Issuer::start(), Issuer::start());
    one.publish(&[mine]);
    other.publish(&[theirs]);
    let settings = format!("issuers: [{{issuer: '{}'}}, {{issuer: '{}'}}]", one.url(), other.url());
    let world = World::unready(one, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    (world, other)
}

#[test]
fn one_issuers_key_signs_for_no_other_under_whichever_name() {
    for (mine, theirs) in [("same", "same"), ("one", "other")] {
        let (mine, theirs) = (Key::new(mine), Key::new(theirs));
        let (world, other) = two(&mine, &theirs);
        let mut siege = Siege::on(world);
        let own = siege.claims();
        siege.passes(&mine.sign(&own));
        siege.passes(&theirs.sign(&other.claims()));
        // Whose claims, whose key, by which name.
        for (claims, signer, named) in [
            (&own, &theirs, &mine),
            (&own, &theirs, &theirs),
            (&other.claims(), &mine, &theirs),
            (&other.claims(), &mine, &mine),
        ] {
            siege.has_no_key(&signer.sign_as(&named.header(), claims));
            let mut unnamed = signer.header();
            unnamed.kid = None;
            siege.has_no_key(&signer.sign_as(&unnamed, claims));
        }
        siege.world.upstream.saw_nothing();
        siege.passes(&mine.sign(&own));
    }
}

#[test]
fn one_issuers_audiences_and_algorithms_are_no_others() {
    let (one, other) = (Issuer::start(), Issuer::start());
    let (elliptic, edwards) = (Key::new("key"), Key::of(Algorithm::EdDSA, "key"));
    let wrong = Key::of(Algorithm::EdDSA, "edwards");
    one.publish(&[&elliptic, &wrong]);
    other.publish(&[&edwards]);
    let settings = format!(
        "issuers: [{{issuer: '{}', audiences: [here], algorithms: [ES256]}}, \
         {{issuer: '{}', audiences: [there], algorithms: [EdDSA]}}]",
        one.url(),
        other.url()
    );
    let world = World::unready(one, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    let mut siege = Siege::on(world);
    let (here, there) = (siege.claims(), other.claims());
    siege.passes(&elliptic.sign(&here.clone().set("aud", "here")));
    siege.passes(&edwards.sign(&there.clone().set("aud", "there")));
    siege.is_refused(&elliptic.sign(&here.clone().set("aud", "there")), Rejected::Audience);
    siege.is_refused(&edwards.sign(&there.set("aud", "here")), Rejected::Audience);
    siege.is_refused(&wrong.sign(&here.set("aud", "here")), Rejected::Algorithm);
    siege.world.upstream.saw_nothing();
}
