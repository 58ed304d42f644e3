//! Any path: either it has one reading, whoever reads it, or it leads nowhere.

use std::sync::LazyLock;

use http::{HeaderValue, Request, Uri, header};
use proxy::pipeline::Decision;
use proxy::pipeline::answer::Answer;
use serde_json::json;
use url::Url;

use super::desk::{Desk, ISSUER, KEY_ID, NOW};

/// Two endpoints under one name, of which one is inside the other, and one that is a whole host.
const OUTER: &str = "https://mcp.example/mcp";
const INNER: &str = "https://mcp.example/mcp/inner";
const WHOLE: &str = "https://whole.example";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Endpoint(&'static str),
    Public,
    Nowhere,
}

struct House {
    desk: Desk,
    tokens: [(&'static str, HeaderValue); 3],
}

/// The first byte says which host; the rest is the target.
pub fn holds(bytes: &[u8]) {
    static HOUSE: LazyLock<House> = LazyLock::new(House::new);
    let Some((first, target)) = bytes.split_first() else { return };
    let host = if first & 1 == 0 { "mcp.example" } else { "whole.example" };
    // Others are refused before anything is decided: see the gateway.
    let Ok(uri) = Uri::try_from(target) else { return };
    if !uri.path_and_query().is_some_and(|target| target.as_str().starts_with('/')) {
        return;
    }
    let path = uri.path().to_owned();
    let stated = uri.authority().is_none_or(|name| name.as_str().eq_ignore_ascii_case(host));
    let place = HOUSE.leads_to(uri, host);
    if place == Place::Nowhere {
        return;
    }
    assert!(stated, "{path:?} is judged by another host than the one it names");
    assert_eq!(place, where_it_stands(host, &path), "{path:?}");
    for reading in readings(&path) {
        assert_eq!(reading, path, "another reader would be led elsewhere");
    }
}

impl House {
    fn new() -> Self {
        let sites = [OUTER, INNER, WHOLE].map(|url| {
            format!("- {{resource: {{url: '{url}'}}, upstream: {{address: 'unix:/run/b.sock'}}}}\n")
        });
        let desk = Desk::of(&format!(
            "tls: off\nissuers: [{{issuer: {ISSUER}}}]\nsites:\n{}",
            sites.concat()
        ));
        let tokens = [OUTER, INNER, WHOLE].map(|url| {
            let head = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KEY_ID }).to_string();
            let claims = json!({ "iss": ISSUER, "sub": "ada", "aud": url, "exp": NOW + 300 });
            let token = desk.sign(head.as_bytes(), claims.to_string().as_bytes());
            (url, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())
        });
        let house = Self { desk, tokens };
        for (host, target) in [("mcp.example", "/mcp/x"), ("mcp.example", "/mcp/inner")] {
            let place = house.leads_to(Uri::from_static(target), host);
            assert!(matches!(place, Place::Endpoint(_)), "{target}: {place:?}");
        }
        house
    }

    /// Each endpoint lets in whoever has a token for it, and nobody else.
    fn leads_to(&self, uri: Uri, host: &str) -> Place {
        let request = Request::get(uri).header(header::HOST, host);
        let mut request = request.body(()).unwrap().into_parts().0;
        let place = match self.desk.ask(&request) {
            Decision::Answer(Answer::NoCredentials(_)) => None,
            Decision::Answer(Answer::Metadata(_) | Answer::Landing(_) | Answer::Healthy) => {
                Some(Place::Public)
            }
            Decision::Answer(_) => Some(Place::Nowhere),
            decision @ (Decision::Forward(_)
            | Decision::NeedKey(_)
            | Decision::NeedIntrospection(_)
            | Decision::NeedBody
            | Decision::Front(_)) => panic!("{decision:?} without a token"),
        };
        let passed = self.tokens.iter().filter(|(_, token)| {
            request.headers.insert(header::AUTHORIZATION, token.clone());
            matches!(self.desk.ask(&request), Decision::Forward(_))
        });
        let passed: Vec<_> = passed.map(|(url, _)| *url).collect();
        match (place, passed.as_slice()) {
            (None, [url]) => Place::Endpoint(url),
            (Some(place), []) => place,
            (place, passed) => panic!("{place:?} without a token, {passed:?} with one"),
        }
    }
}

/// By a table that has nothing in common with the router.
fn where_it_stands(host: &str, path: &str) -> Place {
    const KNOWN: &str = "oauth-protected-resource";
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    // Some clients put a slash at the end.
    let unslashed = segments.strip_suffix(&[""]).unwrap_or(&segments);
    match (host, unslashed) {
        ("mcp.example", ["mcp", "inner", ..]) => Place::Endpoint(INNER),
        ("mcp.example", ["mcp", ..]) => Place::Endpoint(OUTER),
        (
            "mcp.example",
            [".well-known", KNOWN, "mcp"] | [".well-known", KNOWN, "mcp", "inner"] | [],
        )
        | ("whole.example", [".well-known", KNOWN]) => Place::Public,
        ("mcp.example", ["health" | "healthz"]) if segments.len() == 1 => Place::Public,
        ("whole.example", _) => Place::Endpoint(WHOLE),
        _ => Place::Nowhere,
    }
}

/// What servers, frameworks and browsers make of a path, in the orders in which they do.
fn readings(path: &str) -> Vec<String> {
    type Step = fn(&[u8]) -> Vec<u8>;
    const STEPS: [&[Step]; 9] = [
        &[decoded, without_dots],
        &[without_dots, decoded],
        &[decoded, decoded, without_dots],
        &[without_parameters, decoded, without_dots],
        &[decoded, without_parameters, without_dots],
        &[slashes, without_dots, without_doubles],
        &[decoded, slashes, without_doubles, without_dots],
        &[decoded, up_to_nul, without_doubles],
        &[decoded, overlong, without_blanks, without_doubles, without_dots],
    ];
    let read = |steps: &&[Step]| {
        let path = steps.iter().fold(path.as_bytes().to_vec(), |path, step| step(&path));
        String::from_utf8_lossy(&path).into_owned()
    };
    let mut readings: Vec<String> = STEPS.iter().map(read).collect();
    // As browsers have it; they encode what need not be, which is the same place.
    let url = Url::parse(&format!("https://mcp.example{path}")).unwrap();
    let browsers = String::from_utf8_lossy(&decoded(url.path().as_bytes())).into_owned();
    readings.push(browsers);
    readings
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = path.get(at) {
        let encoded = (*byte == b'%').then(|| Some(digit(at + 1)? * 16 + digit(at + 2)?));
        let encoded = encoded.flatten().and_then(|byte| u8::try_from(byte).ok());
        bytes.push(encoded.unwrap_or(*byte));
        at += if encoded.is_some() { 3 } else { 1 };
    }
    bytes
}

/// RFC 3986 section 5.2.4, on whole segments.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    for (number, segment) in segments.iter().enumerate() {
        let last = number + 1 == segments.len();
        match *segment {
            b"." if last => kept.push(b""),
            b"." => (),
            b".." => {
                kept.truncate(kept.len().saturating_sub(1).max(1));
                if last {
                    kept.push(b"");
                }
            }
            other => kept.push(other),
        }
    }
    kept.join(&b'/')
}

fn without_doubles(path: &[u8]) -> Vec<u8> {
    let mut bytes = path.to_vec();
    bytes.dedup_by(|one, other| *one == b'/' && *other == b'/');
    bytes
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let bare = |segment: &[u8]| segment.split(|byte| *byte == b';').next().map(<[u8]>::to_vec);
    path.split(|byte| *byte == b'/').filter_map(bare).collect::<Vec<_>>().join(&b'/')
}

fn slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn up_to_nul(path: &[u8]) -> Vec<u8> {
    path.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

fn without_blanks(path: &[u8]) -> Vec<u8> {
    path.iter().filter(|byte| !matches!(byte, 0..=b' ' | 0x7F)).copied().collect()
}

/// Two bytes where UTF-8 has one: `/` and `.` to decoders that do not look.
fn overlong(path: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for &byte in path {
        match (bytes.last(), byte) {
            (Some(0xC0), 0xAE | 0xAF) => {
                bytes.pop();
                bytes.push(byte & 0x3F);
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}
