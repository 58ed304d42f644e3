//! What a token says is read strictly, though its issuer signed it.

use proxy::pipeline::authenticate::Rejected;
use serde_json::json;

use super::Siege;
use crate::harness::{World, now};

/// A good token in which the text of one claim is replaced.
fn with(siege: &Siege, name: &str, written: &str) -> String {
    let claims = siege.claims().set(name, "PLACE").text();
    siege.with_claims(&claims.replace("\"PLACE\"", written))
}

#[test]
fn a_time_is_a_finite_number() {
    let mut siege = Siege::lay();
    let later = now() + 300;
    for name in ["exp", "nbf", "iat"] {
        let text = format!("\"{later}\"");
        let list = format!("[{later}]");
        for written in [
            &text,
            "null",
            "true",
            "{}",
            &list,
            "\"\"",
            "1e300",
            "-1e300",
            "18446744073709551616e9",
        ] {
            // Long before 1970 is as good as 1970.
            let why = match (name, written) {
                ("exp", "-1e300") => Rejected::Expired,
                (_, "-1e300") => continue,
                _ => Rejected::Claim(name),
            };
            siege.is_refused(&with(&siege, name, written), why);
        }
        for written in ["1e309", "-1e309", "NaN", "Infinity", "0x7fffffff", "+1", "01", "1.", ".5"]
        {
            siege.is_refused(&with(&siege, name, written), Rejected::NotAJwt);
        }
    }
    siege.lift();
}

#[test]
fn a_token_expires_and_begins_within_the_leeway() {
    let mut siege = Siege::lay();
    let expired = [0, -1, 1, now() - 30, now() - 31, now() - 86_400];
    for exp in expired {
        siege.is_refused(&with(&siege, "exp", &exp.to_string()), Rejected::Expired);
    }
    for written in ["-0.0", "-1", "0.5", "1e-300", &format!("{}.5", now() - 31)] {
        siege.is_refused(&with(&siege, "exp", written), Rejected::Expired);
    }
    for name in ["nbf", "iat"] {
        for later in [now() + 60, now() + 86_400, 4_102_444_800_000] {
            siege.is_refused(&with(&siege, name, &later.to_string()), Rejected::NotYetValid);
        }
        siege.passes(&with(&siege, name, &(now() + 20).to_string()));
        siege.passes(&with(&siege, name, "0"));
    }
    siege.passes(&with(&siege, "exp", &(now() - 20).to_string()));
    siege.passes(&with(&siege, "exp", &format!("{}.75", now() + 60)));
    siege.is_refused(
        &siege.with_claims(&siege.claims().without("exp").text()),
        Rejected::Claim("exp"),
    );
    siege.lift();
}

#[test]
fn an_audience_is_ours_to_the_letter_or_not_ours() {
    let mut siege = Siege::lay();
    let ours = "https://mcp.example/mcp";
    for other in [
        "https://mcp.example",
        "https://mcp.example/",
        "https://mcp.example/mc",
        "https://mcp.example/mcp/",
        "https://mcp.example/mcp/x",
        "https://mcp.example/mcpx",
        "https://mcp.example/mcp?",
        "https://mcp.example/mcp#",
        "https://mcp.example:443/mcp",
        "https://MCP.example/mcp",
        "HTTPS://mcp.example/mcp",
        "http://mcp.example/mcp",
        "https://mcp.example/%6dcp",
        "https://mcp.example/./mcp",
        " https://mcp.example/mcp",
        "https://mcp.example/mcp\u{0}",
        "https://mcp.example/mcp https://other.example",
        "https://mcp.example/mcp,https://other.example",
        "https://m\u{441}p.example/mcp",
        "*",
        "",
    ] {
        let text = serde_json::to_string(other).unwrap();
        siege.is_refused(&with(&siege, "aud", &text), Rejected::Audience);
        siege.is_refused(&with(&siege, "aud", &format!("[{text}]")), Rejected::Audience);
    }
    siege.is_refused(&with(&siege, "aud", "[]"), Rejected::Audience);
    siege.is_refused(&siege.with_claims(&siege.claims().without("aud").text()), Rejected::Audience);
    let odd = ["7", "null", "true", "{}"].map(str::to_owned);
    let mixed = [
        format!("[\"{ours}\",7]"),
        format!("[[\"{ours}\"]]"),
        format!("{{\"{ours}\":1}}"),
        format!("[\"{ours}\",null]"),
    ];
    for written in odd.iter().chain(&mixed) {
        siege.is_refused(&with(&siege, "aud", written), Rejected::Claim("aud"));
    }
    siege.passes(&with(&siege, "aud", &format!("[\"https://other.example\",\"{ours}\"]")));
    siege.lift();
}

#[test]
fn a_subject_is_a_text_with_something_in_it() {
    let mut siege = Siege::lay();
    for written in ["\"\"", "null", "7", "[\"ada\"]", "{\"ada\":1}", "true"] {
        siege.is_refused(&with(&siege, "sub", written), Rejected::Claim("sub"));
    }
    siege.is_refused(
        &siege.with_claims(&siege.claims().without("sub").text()),
        Rejected::Claim("sub"),
    );
    siege.lift();
}

#[test]
fn scopes_and_clients_of_another_shape_are_refused_and_not_passed_over() {
    let mut siege = Siege::lay();
    for name in ["scope", "scp"] {
        for written in ["7", "null", "{\"mcp:read\":1}", "[\"mcp:read\",7]", "[[\"mcp:read\"]]"] {
            siege.is_refused(&with(&siege, name, written), Rejected::Claim("scope"));
        }
    }
    for written in ["7", "null", "[\"1\"]"] {
        siege.is_refused(&with(&siege, "jti", written), Rejected::Claim("jti"));
    }
    for written in ["7", "null", "[\"test-client\"]"] {
        siege.is_refused(&with(&siege, "client_id", written), Rejected::Claim("client_id"));
    }
    siege.lift();
}

/// Each of two readers would find a claim, and not the same.
#[test]
fn a_claim_that_is_made_twice_is_made_by_nobody() {
    let mut siege = Siege::lay();
    let good = siege.claims().text();
    let body = good.trim_start_matches('{');
    for twice in [
        r#""sub":"root""#,
        r#""\u0073ub":"root""#,
        r#""iss":"https://evil.example""#,
        r#""aud":"https://other.example""#,
        r#""exp":9999999999"#,
        r#""scope":"mcp:admin""#,
        r#""x":1,"x":1"#,
        r#""x":[{"y":{"z":1,"z":1}}]"#,
        r#""act":{"sub":"a","sub":"b"}"#,
    ] {
        siege.is_refused(&siege.with_claims(&format!("{{{twice},{body}")), Rejected::NotAJwt);
        let last = format!("{},{twice}}}", good.trim_end_matches('}'));
        siege.is_refused(&siege.with_claims(&last), Rejected::NotAJwt);
    }
    siege.lift();
}

#[test]
fn claims_are_one_object_and_nothing_beside_it() {
    let mut siege = Siege::lay();
    let good = siege.claims().text();
    for claims in [
        format!("{good}{good}"),
        format!("{good} x"),
        format!("\u{feff}{good}"),
        format!("[{good}]"),
        format!("{good}\0"),
        serde_json::to_string(&good).unwrap(),
        good.replace('"', "'"),
        good.trim_end_matches('}').to_owned(),
        good.replacen('{', "{\"\\ud800\":1,", 1),
        good.replacen('{', "{\"x\":\"\t\",", 1),
        good.replacen('{', "{/**/", 1),
        good.replacen('{', "{\"x\":1,,", 1),
        String::from("null"),
    ] {
        siege.is_refused(&siege.with_claims(&claims), Rejected::NotAJwt);
    }
    siege.passes(&siege.with_claims(&format!(" \n{good}\t ")));
    siege.lift();
}

#[test]
fn depth_without_end_costs_nobody_but_its_sender() {
    let mut siege = Siege::lay();
    let good = siege.claims().text();
    // As deep as a token may be long, and deeper than a stack.
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |levels: usize| {
            let nest = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            good.replacen('{', &format!("{{\"x\":{nest},"), 1)
        };
        siege.is_refused(&siege.with_claims(&deep(1_500)), Rejected::NotAJwt);
        let response = siege.world.call(&siege.with_claims(&deep(10_000)));
        assert!([400, 401, 431].contains(&response.status), "{response:?}");
    }
    let unclosed = good.replacen('{', &format!("{{\"x\":{}", "[".repeat(10_000)), 1);
    siege.is_refused(&siege.with_claims(&unclosed), Rejected::NotAJwt);
    siege.lift();
}

#[test]
fn a_token_of_any_size_that_is_too_large_is_refused() {
    let mut siege = Siege::lay();
    let padded = |bytes: usize| {
        let claims = siege.claims().set("padding", "p".repeat(bytes));
        siege.key().sign(&claims)
    };
    let (below, above, far) = (padded(11 << 10), padded(13 << 10), padded(1 << 20));
    siege.passes(&below);
    siege.is_refused(&above, Rejected::NotAJwt);
    let mut wire = siege.world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {far}\r\n\r\n"
    ));
    // It may have hung up while the rest was on its way.
    let head = wire.head();
    assert!(["", "400", "431"].contains(&head.split(' ').nth(1).unwrap_or("")), "{head}");
    siege.lift();
}

#[test]
fn a_token_that_is_bound_to_a_key_is_refused_in_whatever_form_it_is_bound() {
    let mut siege = Siege::lay();
    for written in ["{}", "null", "false", "\"\"", "{\"x5t#S256\":\"x\"}", "[]"] {
        siege.is_refused(&with(&siege, "cnf", written), Rejected::Bound);
    }
    siege.lift();
}

/// Told apart by their claims they could not be: the kind is in the header, and it is strict.
#[test]
fn an_id_token_and_a_logout_token_are_no_access_tokens_whatever_they_claim() {
    let mut siege = Siege::lay();
    let id_token = siege.claims().set("nonce", "n").set("at_hash", "h");
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    let logout = siege.claims().set("events", event).set("sid", "s");
    for (kind, claims) in [("JWT", id_token), ("logout+jwt", logout)] {
        let header = json!({ "alg": "ES256", "typ": kind, "kid": "first" }).to_string();
        siege.is_refused(&siege.key().sign_text(&header, &claims.text()), Rejected::Type);
    }
    siege.lift();
}

/// What one gateway believed of a token is nothing to another that guards something else.
#[test]
fn a_token_that_is_good_here_is_not_for_the_resource_next_door() {
    let here = World::start();
    let token = here.issuer.token();
    assert_eq!(here.call(&token).status, 200);
    let settings = format!(
        "issuers: [{{issuer: '{}'}}]\nresource: {{url: https://next.example/mcp, \
         hosts: [mcp.example], scopes: [mcp:read]}}",
        here.issuer.url()
    );
    let next = World::with(&settings);
    let response = next.call(&token);
    assert_eq!(response.status, 401);
    let challenge = response.header("www-authenticate");
    assert!(challenge.contains(&Rejected::Audience.to_string()), "{challenge}");
    next.upstream.saw_nothing();
    assert_eq!(here.call(&token).status, 200, "and it still is good here");
}
