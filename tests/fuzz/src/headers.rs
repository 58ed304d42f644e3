//! Any fields beside a good token, and any subject in it: what the upstream hears is what the token
//! and the connection say, and what clients say to servers; and each of it once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use proxy::pipeline::Decision;
use proxy::pipeline::trail::{Arrival, Trail};
use serde_json::json;

use super::desk::{self, Desk, ISSUER, KEY_ID, NOW, RESOURCE, SCOPE};

const EMAIL: &str = "x-user-email";

/// The subject; a NUL; then fields, each a name, a colon and a value, to the end of its line.
pub fn holds(bytes: &[u8]) {
    static DESK: LazyLock<Desk> = LazyLock::new(|| {
        Desk::of(&format!(
            "tls: off\nresource: {{url: {RESOURCE}, scopes: ['{SCOPE}']}}\n\
             issuers: [{{issuer: {ISSUER}}}]\nupstream: {{address: unix:/run/b.sock}}\n\
             forward: {{claims: {{sub: X-User-Email}}}}\n"
        ))
    });
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let Some(Ok(subject)) = parts.next().map(std::str::from_utf8) else { return };
    let mut request = desk::request(HeaderValue::from_str(&token(&DESK, subject)).unwrap());
    for (name, value) in fields(parts.next().unwrap_or_default()) {
        request.headers.append(name, value);
    }
    let Decision::Forward(permit) = DESK.ask(&request) else { return };
    assert_eq!(&*permit.principal().subject, subject);
    let address = IpAddr::from(Ipv4Addr::new(198, 51, 100, 7));
    let arrival = Arrival { address, trail: Trail::read(&request.headers, None, || [7; 16]) };
    let said = request.headers.clone();
    let backend = HeaderValue::from_static("localhost");
    DESK.site(&permit).relay().rewrite(&mut request.headers, &permit, &arrival, &backend);
    let heard = request.headers;
    each_name_has_one_spelling(&heard);
    ours_is_ours(&heard, subject);
    theirs_is_untouched(&said, &heard);
    lines_are_fields(&heard);
}

fn token(desk: &Desk, subject: &str) -> String {
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KEY_ID }).to_string();
    let claims = json!({
        "iss": ISSUER, "sub": subject, "aud": RESOURCE, "scope": SCOPE, "exp": NOW + 300,
    });
    format!("Bearer {}", desk.sign(header.as_bytes(), claims.to_string().as_bytes()))
}

/// As far as they are fields; what none is never comes this far.
fn fields(bytes: &[u8]) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
        Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
    })
}

/// As servers fold names into variables.
fn folded(name: &HeaderName) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.as_str().chars().map(fold).collect()
}

fn each_name_has_one_spelling(heard: &HeaderMap) {
    let spellings: BTreeSet<String> = heard.keys().map(folded).collect();
    assert_eq!(spellings.len(), heard.keys_len(), "{heard:?}");
}

fn ours_is_ours(heard: &HeaderMap, subject: &str) {
    let once = |name: &str| {
        let values: Vec<_> = heard.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values.len(), 1, "{name} in {heard:?}");
        values[0].to_vec()
    };
    for name in ["x-postern-subject", EMAIL] {
        assert_eq!(plain(&once(name)), subject, "{name}");
    }
    assert_eq!(once("x-postern-issuer"), ISSUER.as_bytes());
    assert_eq!(once("x-postern-scopes"), SCOPE.as_bytes());
    assert_eq!(once("host"), b"localhost");
    assert_eq!(once("x-forwarded-for"), b"198.51.100.7");
    assert_eq!(once("x-forwarded-host"), b"mcp.example");
    assert_eq!(once("x-forwarded-proto"), b"https");
    for name in ["x-request-id", "x-correlation-id"] {
        let id = once(name);
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        assert!(!id.is_empty() && id.iter().all(plain), "{name}: {id:?}");
    }
    let own = ["x-postern-subject", "x-postern-issuer", "x-postern-scopes"];
    let forwarded = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    for name in heard.keys().map(HeaderName::as_str) {
        assert!(!name.starts_with("x-postern-") || own.contains(&name), "{name}");
        let tells_of_clients = name.starts_with("forwarded") || name.starts_with("x-forwarded");
        assert!(!tells_of_clients || forwarded.contains(&name), "{name}");
        let gone = ["authorization", "dpop", "via", "http2-settings", "mcp-session-id"];
        assert!(!gone.contains(&name) && !name.starts_with("proxy-"), "{name}");
    }
    let trace = heard.get("traceparent").map(|parent| parent.to_str().unwrap());
    match trace.map(|parent| parent.split('-').map(str::len).collect::<Vec<_>>()) {
        Some(lengths) => assert_eq!(lengths, [2, 32, 16, 2]),
        None => assert!(!heard.contains_key("tracestate") && !heard.contains_key("baggage")),
    }
}

/// Undoes what values are written in.
fn plain(value: &[u8]) -> String {
    let text = std::str::from_utf8(value).unwrap();
    let coded = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let coded = coded.map(|coded| String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap());
    coded.unwrap_or_else(|| text.to_owned())
}

fn theirs_is_untouched(said: &HeaderMap, heard: &HeaderMap) {
    let kept = |name: &str| {
        let theirs = ["accept", "content-type", "last-event-id", "user-agent", "if-none-match"];
        let ends = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (name.starts_with("mcp-") && ends && name != "mcp-session-id") || theirs.contains(&name)
    };
    let of = |headers: &HeaderMap| {
        let fields = headers.iter().filter(|(name, _)| kept(name.as_str()));
        fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    };
    let (mut said_ones, mut heard_ones) = (of(said), of(heard));
    // Sorting keeps the order of the values of one name.
    said_ones.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
    heard_ones.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
    assert_eq!(said_ones, heard_ones);
    for name in heard.keys() {
        let known = said.contains_key(name) || name == EMAIL || name == header::HOST;
        let ours = name.as_str().starts_with("x-");
        assert!(known || ours, "nobody said {name}");
    }
}

/// A reader that splits at line ends and first colons finds what was meant.
fn lines_are_fields(heard: &HeaderMap) {
    let mut wire = Vec::new();
    for (name, value) in heard {
        wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let odd = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
    let lines: Vec<&[u8]> = wire.split(odd).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), heard.len());
    for (line, (name, _)) in lines.iter().zip(heard) {
        let end = line.iter().position(|byte| *byte == b':');
        assert_eq!(line.get(..end.unwrap()), Some(name.as_str().as_bytes()));
    }
    assert!(heard.get_all(header::COOKIE).iter().count() <= 1);
}
