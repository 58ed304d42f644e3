//! A header may name keys, files and extensions: nothing is fetched, opened or believed.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proxy::pipeline::authenticate::Rejected;
use serde_json::{Value, json};

use super::{Siege, is_bad_request};
use crate::harness::{Key, Wire};

#[test]
fn a_key_that_the_token_brings_or_points_to_is_neither_used_nor_fetched() {
    let mut siege = Siege::lay();
    let attacker = TcpListener::bind("127.0.0.1:0").unwrap();
    attacker.set_nonblocking(true).unwrap();
    let lure = format!("http://{}/keys", attacker.local_addr().unwrap());
    let mine = Key::new("first");
    let certificate = STANDARD.encode(&mine.public()[1]);
    for (name, value) in [
        ("jwk", mine.published()),
        ("jku", json!(lure)),
        ("x5u", json!(lure)),
        ("x5c", json!([certificate])),
        ("x5t#S256", json!("AAAA")),
        ("iss", json!(lure)),
    ] {
        // No more without an id than it takes: the issuer is asked each time.
        let nameless = if name == "jwk" { &[None][..] } else { &[] };
        for id in [Some("first"), Some(lure.as_str())].iter().chain(nameless) {
            let mut header = json!({ "alg": "ES256", "typ": "at+jwt", name: value });
            if let Some(id) = id {
                header["kid"] = json!(id);
            }
            let claims = siege.claims();
            siege.has_no_key(&mine.sign_text(&header.to_string(), &claims.text()));
            // An issuer of the attacker's is no way to it either.
            let claims = claims.set("iss", lure.as_str());
            let token = mine.sign_text(&header.to_string(), &claims.text());
            siege.is_refused(&token, Rejected::Issuer);
        }
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "first", name: value });
        let honest = siege.with_header(&header.to_string());
        siege.passes(&honest);
    }
    let came = attacker.accept().map(|(_, from)| from);
    assert_eq!(came.unwrap_err().kind(), ErrorKind::WouldBlock, "nobody asks the attacker");
    let _heard = TcpStream::connect(attacker.local_addr().unwrap()).unwrap();
    assert!(attacker.accept().is_ok(), "but it would have heard");
    siege.lift();
}

#[test]
fn a_key_id_is_only_ever_looked_up() {
    let mut siege = Siege::lay();
    let long = "k".repeat(11 << 10);
    let hostile = [
        "../../../../etc/passwd",
        "/dev/null",
        "file:///dev/null",
        "' OR '1'='1' --",
        "first\u{0}",
        "first\r\nX-Postern-Subject: root",
        "\r\n{\"message\":\"listening\"}",
        "first ",
        "FIRST",
        "\u{1b}[2J\u{202e}",
        "$(touch /tmp/x)`id`${file:/etc/passwd}",
        "",
        &long,
    ];
    let mut calls = hostile.len();
    // At once: whoever comes while the issuer is being asked need not wait long.
    thread::scope(|scope| {
        for id in hostile {
            let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": id }).to_string();
            let (token, gateway) = (siege.with_header(&header), siege.world.gateway);
            scope.spawn(move || {
                let response = Wire::connect(gateway).call(&token);
                assert!([401, 503].contains(&response.status), "{id:?}: {response:?}");
            });
        }
    });
    for id in ["7", "null", "[\"first\"]", "{\"first\":1}", "true"] {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":{id}}}"#);
        siege.is_refused(&siege.with_header(&header), Rejected::NotAJwt);
        calls += 1;
    }
    siege.world.upstream.saw_nothing();
    siege.world.signal("-TERM");
    let told: Vec<String> = siege.world.log.iter().collect();
    let lines = told.iter().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let requests = lines.filter(|line| line["message"] == "request").count();
    assert_eq!(requests, calls, "each is one line:\n{}", told.join("\n"));
    let listening = told.iter().filter(|line| line.contains("\"listening\"")).count();
    assert_eq!(listening, 0, "the one true line of this kind has been read before");
}

/// Each key that is tried costs a signature check, and whoever sends the token chooses to name none.
#[test]
fn a_token_that_names_no_key_is_tried_with_a_few_of_its_kind_and_no_more() {
    let others: Vec<Key> = (0..5).map(|number| Key::new(&number.to_string())).collect();
    let published: Vec<Value> = others.iter().map(Key::published).collect();
    let mut siege = Siege::with_keys(&published, "");
    let unnamed = |key: &Key| {
        let mut header = key.header();
        header.kid = None;
        key.sign_as(&header, &siege.claims())
    };
    let [first, last] = [&others[0], &others[4]].map(unnamed);
    siege.passes(&first);
    siege.has_no_key(&last);
    siege.passes(&others[4].sign(&siege.claims()));
    siege.lift();
}

#[test]
fn a_key_id_of_64_kib_is_too_much_of_a_head() {
    let siege = Siege::lay();
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k".repeat(64 << 10) });
    let response = siege.world.call(&siege.with_header(&header.to_string()));
    assert!([400, 431].contains(&response.status), "{response:?}");
    siege.lift();
}

/// RFC 7515 section 4.1.11, RFC 7797.
#[test]
fn an_extension_that_must_be_understood_is_refused() {
    let mut siege = Siege::lay();
    for extension in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["urn:example:unknown"]"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"x""#,
        r#""b64":false"#,
        r#""b64":true"#,
    ] {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"first",{extension}}}"#);
        siege.is_refused(&siege.with_header(&header), Rejected::Critical);
    }
    siege.lift();
}

#[test]
fn a_payload_that_is_not_encoded_is_no_token() {
    let mut siege = Siege::lay();
    let header = r#"{"alg":"ES256","b64":false,"crit":["b64"],"typ":"at+jwt","kid":"first"}"#;
    let header = URL_SAFE_NO_PAD.encode(header);
    for payload in ["subada", "", "e30=", "a+b/"] {
        let signed = format!("{header}.{payload}");
        let token = format!("{signed}.{}", siege.key().sign_bytes(&signed));
        siege.is_refused(
            &token,
            if payload == "subada" { Rejected::Critical } else { Rejected::NotAJwt },
        );
    }
    siege.lift();
}

#[test]
fn only_the_compact_form_of_a_signed_token_is_read() {
    let mut siege = Siege::lay();
    let good = siege.world.issuer.token();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}")
    };
    for token in [
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{signature}.{payload}.{signature}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}~"),
        good.replace('.', "..."),
    ] {
        siege.is_refused(&token, Rejected::NotAJwt);
    }
    let general = json!({
        "payload": payload, "signatures": [{ "protected": header, "signature": signature }],
    });
    let flat = json!({ "payload": payload, "protected": header, "signature": signature });
    for json in [general.to_string(), flat.to_string()] {
        is_bad_request(&siege.world.call(&json));
        siege.is_refused(&URL_SAFE_NO_PAD.encode(json), Rejected::NotAJwt);
    }
    siege.lift();
}

/// Base64 has many spellings of the same bytes, and a token has one.
#[test]
fn a_second_spelling_of_a_good_token_is_not_it() {
    let mut siege = Siege::lay();
    // Lengths that leave bits over in each part: 2 modulo 3 for header and claims.
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"first"}"#;
    let header = format!("{header}{}", " ".repeat((5 - header.len() % 3) % 3));
    let claims = siege.claims().text();
    let claims = format!("{claims}{}", " ".repeat((5 - claims.len() % 3) % 3));
    let good = siege.key().sign_text(&header, &claims);
    siege.passes(&good);
    for part in 0..3 {
        let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        let last = parts[part].pop().unwrap();
        parts[part].push(char::from(last as u8 + 1));
        if part < 2 {
            // Signed as it is spelt, so that the spelling alone is wrong.
            parts[2] = siege.key().sign_bytes(&parts[..2].join("."));
        }
        let why = if part < 2 { Rejected::NotAJwt } else { Rejected::Signature };
        siege.is_refused(&parts.join("."), why);
    }
    siege.lift();
}

#[test]
fn a_token_of_another_kind_is_refused_though_its_issuer_signed_it() {
    let mut siege = Siege::lay();
    let named = ["JWT", "jwt", "id_token+jwt", "logout+jwt", "dpop+jwt", "oauth-id-jag+jwt"];
    let almost = ["at", "at+jwt ", "at+jwtx", "application/", "x/at+jwt", "\u{ff41}t+jwt", ""];
    for kind in named.into_iter().chain(almost) {
        let header = json!({ "alg": "ES256", "typ": kind, "kid": "first" }).to_string();
        siege.is_refused(&siege.with_header(&header), Rejected::Type);
    }
    for kind in ["null", "7", "[\"at+jwt\"]"] {
        let header = format!(r#"{{"alg":"ES256","typ":{kind},"kid":"first"}}"#);
        siege.is_refused(&siege.with_header(&header), Rejected::Type);
    }
    siege.is_refused(&siege.with_header(r#"{"alg":"ES256","kid":"first"}"#), Rejected::Type);
    siege.lift();
}
