//! What the upstream hears: strip by construction, then set.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::authorize::Permit;
use super::claims::Claims;
use super::session::SESSION_ID;
use super::token::Principal;
use super::trail::Arrival;
use super::websocket;
use crate::config::{Authorization, ClaimPath, Forward, OWN_COOKIES, OWN_HEADERS, Site};

/// What one verified token adds to each of its requests: a value for each name that it says
/// something about, in the order of [`names`]. Kept by the thousand, so all in one piece: a line for
/// each name, empty if there is nothing to say.
pub(super) struct Stamped(Bytes);

impl Stamped {
    /// Encoded values have no line ends.
    fn new(values: impl Iterator<Item = Option<String>>) -> Self {
        let lines: Vec<String> = values.map(Option::unwrap_or_default).collect();
        Self(lines.join("\n").into_boxed_str().into_boxed_bytes().into())
    }

    /// Those of the claims that the operator named.
    pub(super) fn further(&self) -> impl Iterator<Item = Option<HeaderValue>> {
        self.values().skip(FIXED.len())
    }

    fn values(&self) -> impl Iterator<Item = Option<HeaderValue>> {
        self.0.split(|byte| *byte == b'\n').map(|line| {
            let value = Some(line).filter(|line| !line.is_empty())?;
            HeaderValue::from_maybe_shared(self.0.slice_ref(value)).ok()
        })
    }

    /// What its texts take in memory.
    pub(super) fn text_bytes(&self) -> usize {
        self.0.len()
    }
}

/// The headers that only we set.
fn names(forward: &Forward) -> Box<[HeaderName]> {
    FIXED.into_iter().chain(forward.claims.iter().map(|(_, header)| header.clone())).collect()
}

/// Which claims travel.
pub(super) struct ClaimHeaders(Box<[ClaimPath]>);

impl ClaimHeaders {
    pub(super) fn new(forward: &Forward) -> Self {
        Self(forward.claims.iter().map(|(claim, _)| claim.clone()).collect())
    }

    /// Written once per token. What the token does not say leaves no header.
    pub(super) fn stamp(&self, principal: &Principal, claims: &Claims) -> Stamped {
        let memberships = principal.memberships.as_deref();
        let fixed = [
            Some(principal.subject.to_string()),
            Some(principal.issuer.to_string()),
            principal.client.as_deref().map(str::to_owned),
            Some(principal.scopes.to_string()),
            memberships.and_then(|all| list(&all.roles)),
            memberships.and_then(|all| list(&all.groups)),
        ];
        let extra = self.0.iter().map(|path| claims.at(path).and_then(claim_text));
        let value =
            |text: Option<String>| text.filter(|text| !text.is_empty()).map(|text| encode(&text));
        Stamped::new(fixed.into_iter().chain(extra).map(value))
    }
}

fn list(texts: &[Box<str>]) -> Option<String> {
    (!texts.is_empty()).then(|| json!(texts).to_string())
}

/// Text goes as it is; everything else, lists included, as JSON.
fn claim_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(value.to_string())
        }
    }
}

/// Printable ASCII goes as it is, the rest in the base64 form that MCP gives header values
/// (2026-07-28, Value Encoding): no value can end its line or stand for another.
fn encode(text: &str) -> String {
    let printable = text.bytes().all(|byte| matches!(byte, 0x20..=0x7E));
    if printable && text.trim() == text && !text.starts_with(BASE64_MARK) {
        return text.to_owned();
    }
    format!("{BASE64_MARK}{}?=", STANDARD.encode(text))
}

/// What a value says that was encoded so, or stands there as it is.
pub(super) fn decode(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    let Some(rest) = text.strip_prefix(BASE64_MARK) else { return Some(text.into()) };
    let decoded = STANDARD.decode(rest.strip_suffix("?=")?).ok()?;
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// What may pass from the client to the upstream, and what we say ourselves.
#[derive(Debug)]
pub struct Relay {
    ours: Box<[HeaderName]>,
    keep_token: bool,
    /// What clients dial, as the configuration says: what they say themselves could be anything.
    public_host: HeaderValue,
    public_scheme: HeaderValue,
}

impl Relay {
    pub(crate) fn new(site: &Site) -> Self {
        let origin = site.resource.origin();
        let (scheme, public_host) = origin.split_once("://").unwrap_or(("https", &origin));
        let value = |text| HeaderValue::from_str(text).unwrap_or(LOCALHOST);
        Self {
            ours: names(&site.forward),
            keep_token: site.forward.authorization == Authorization::Keep,
            public_host: value(public_host),
            public_scheme: value(scheme),
        }
    }

    /// Turns what the client said into what the upstream hears, which goes by the name of `host`: strip,
    /// then set.
    pub fn rewrite(
        &self,
        headers: &mut HeaderMap,
        permit: &Permit,
        arrival: &Arrival,
        host: &HeaderValue,
    ) {
        let switches = permit.handshake().is_some();
        let passes =
            |name: &HeaderName| self.passes(name) || switches && websocket::is_of_a_handshake(name);
        let dropped: Vec<HeaderName> =
            headers.keys().filter(|name| !passes(name)).cloned().collect();
        for name in dropped {
            headers.remove(name);
        }
        if !self.shows_token(permit) {
            headers.remove(AUTHORIZATION);
        }
        pass_cookies(headers);
        // What the client holds means nothing to the upstream, and only the permit has what does.
        match permit.session() {
            Some(id) => drop(headers.insert(SESSION_ID, id.clone())),
            None => drop(headers.remove(SESSION_ID)),
        }
        headers.reserve(ADDED_TO_ALL + self.ours.len());
        // The name that clients dialled means nothing to the upstream.
        headers.insert(HOST, host.clone());
        arrival.trail.write(headers);
        let address = arrival.address.to_string();
        headers.insert(FORWARDED_FOR, HeaderValue::try_from(address).unwrap_or(UNKNOWN));
        headers.insert(FORWARDED_HOST, self.public_host.clone());
        headers.insert(FORWARDED_PROTO, self.public_scheme.clone());
        for (name, value) in self.ours.iter().zip(permit.headers().values()) {
            if let Some(value) = value {
                headers.insert(name.clone(), value);
            }
        }
    }

    /// Whether the upstream gets the token too, and so can have an opinion of it. One that is bound to
    /// somebody else's key it could only misuse.
    pub(super) fn shows_token(&self, permit: &Permit) -> bool {
        self.keep_token && !permit.is_bound()
    }

    fn passes(&self, name: &HeaderName) -> bool {
        if name == AUTHORIZATION {
            return self.keep_token;
        }
        let text = name.as_str();
        // Servers fold `_`, `.` and other marks into `-`: a name with any of them may be read as
        // one that we set or judge by, so none of them passes.
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !is_of_the_way(text)
            && !self.ours.contains(name)
    }
}

/// Whether it is one of those by which gateways and proxies tell backends who called and what was asked
/// for, ours included; or one that stands beside `Upgrade`, which does not pass either: alone they mean
/// nothing, unless to a server that takes them for the whole.
fn is_of_the_way(name: &str) -> bool {
    // Most names begin like none of them, and are done with here.
    let beginnings: &[&str] = match name.as_bytes().first() {
        Some(b'c') => &["cdn-loop", "cf-access-", "cf-connecting-", "client-cert", "client-ip"],
        Some(b'd') => &["dpop"],
        Some(b'f') => &["fastly-client-ip", "forwarded", "front-end-https"],
        Some(b'h') => &["http2-settings"],
        Some(b'p') => &["proxy-"],
        Some(b'r') => &["remote-"],
        Some(b's') => &["sec-websocket-", "ssl-"],
        Some(b't') => &["tailscale-", "true-client-ip"],
        Some(b'v') => &["via"],
        Some(b'w') => &["wl-proxy-"],
        Some(b'x') => &WITH_AN_X,
        _ => &[],
    };
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

/// RFC 9113 section 8.2.3: HTTP/2 may cut cookies into crumbs; HTTP/1.1 wants one line. What a browser
/// keeps for us is nobody else's.
fn pass_cookies(headers: &mut HeaderMap) {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let crumbs: Vec<&[u8]> = lines.flat_map(|line| line.split(|byte| *byte == b';')).collect();
    let several = headers.get_all(COOKIE).iter().count() > 1;
    if !several && !crumbs.iter().copied().any(is_own_cookie) {
        return;
    }
    let others = crumbs.into_iter().filter(|crumb| !is_own_cookie(crumb));
    let others: Vec<&[u8]> = others.map(<[u8]>::trim_ascii).collect();
    // Values that were good apart are good together.
    match HeaderValue::from_bytes(&others.join(&b"; "[..])) {
        Ok(line) if !line.is_empty() => drop(headers.insert(COOKIE, line)),
        Ok(_) | Err(_) => drop(headers.remove(COOKIE)),
    }
}

fn is_own_cookie(crumb: &[u8]) -> bool {
    let name = crumb.trim_ascii_start();
    let name = name.strip_prefix(b"__Host-").unwrap_or(name);
    name.starts_with(OWN_COOKIES.as_bytes())
}

/// Two names, the trace, and where the client is.
const ADDED_TO_ALL: usize = 6;

const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");
const UNKNOWN: HeaderValue = HeaderValue::from_static("unknown");

// One value each: the client's address alone, not the way it took. `Forwarded` would say it twice.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is told of every caller, as far as the token says it.
const FIXED: [HeaderName; 6] = [
    HeaderName::from_static("x-postern-subject"),
    HeaderName::from_static("x-postern-issuer"),
    HeaderName::from_static("x-postern-client-id"),
    HeaderName::from_static("x-postern-scopes"),
    HeaderName::from_static("x-postern-roles"),
    HeaderName::from_static("x-postern-groups"),
];

const BASE64_MARK: &str = "=?base64?";

const WITH_AN_X: [&str; 29] = [
    OWN_HEADERS,
    "x-accel-",
    "x-amzn-oidc-",
    "x-appengine-",
    "x-arr-",
    "x-auth-",
    "x-authenticated-",
    "x-client-",
    "x-cluster-client-ip",
    "x-consumer-",
    "x-credential-",
    "x-envoy-",
    "x-forwarded",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-http-method",
    "x-method-override",
    "x-ms-client-",
    "x-original-",
    "x-pomerium-",
    "x-proxy-",
    "x-real-ip",
    "x-remote-",
    "x-rewrite-",
    "x-ssl-",
    "x-token-",
    "x-user",
    "x-validated-",
    "x-webauth-",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use serde_json::json;

    fn relay() -> Relay {
        let text = "tls: off\nresource: {url: https://mcp.example/mcp}\n\
                    issuers: [{issuer: https://id.example}]\n\
                    upstream: {address: unix:/run/backend.sock}\n\
                    forward: {claims: {email: X-User-Email}}";
        Relay::new(&Config::parse(text).unwrap().rules.sites[0])
    }

    #[track_caller]
    fn passes(name: &str) -> bool {
        relay().passes(&name.parse().unwrap())
    }

    #[test]
    fn what_clients_say_to_backends_passes() {
        for name in ["accept", "mcp-method", "mcp-param-region", "mcp-session-id", "traceparent"] {
            assert!(passes(name), "{name}");
        }
    }

    #[test]
    fn nobody_else_speaks_in_our_name() {
        for name in ["X-Postern-Subject", "x_postern_subject", "X.Postern.Subject", "x-postern-new"]
        {
            assert!(!passes(name), "{name}");
        }
    }

    #[test]
    fn a_claims_header_is_ours_however_spelt() {
        for name in ["X-User-Email", "x_user_email", "x-user_email", "x.user.email"] {
            assert!(!passes(name), "{name}");
        }
    }

    #[test]
    fn a_client_cannot_pose_as_a_proxy() {
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Uri",
            "X-Real-IP",
            "Via",
            "X-Original-URL",
            "X-HTTP-Method-Override",
            "Client-Cert",
            "Proxy-Authorization",
            "CDN-Loop",
            "CF-Connecting-IP",
            "DPoP",
            "Remote-User",
            "SSL-Client-Cert",
            "True-Client-IP",
            "Tailscale-User-Login",
            "WL-Proxy-Client-IP",
            "X-WebAuth-User",
            "HTTP2-Settings",
            "Sec-WebSocket-Key",
        ] {
            assert!(!passes(name), "{name}");
        }
    }

    #[test]
    fn the_token_ends_here_unless_the_operator_says_otherwise() {
        assert!(!passes("Authorization"));
    }

    #[test]
    fn a_value_can_neither_end_its_line_nor_pose_as_encoded() {
        assert_eq!(encode("ada"), "ada");
        assert_eq!(encode("a\r\nX-Admin: 1"), "=?base64?YQ0KWC1BZG1pbjogMQ==?=");
        assert_eq!(encode("Zoë"), "=?base64?Wm/Dqw==?=");
        assert_eq!(encode(" ada"), "=?base64?IGFkYQ==?=");
        assert_eq!(encode("=?base64?YQ==?="), "=?base64?PT9iYXNlNjQ/WVE9PT89?=");
    }

    #[test]
    fn lists_and_numbers_travel_as_json_and_absent_claims_not_at_all() {
        assert_eq!(claim_text(&json!(["a", "b,c"])).unwrap(), r#"["a","b,c"]"#);
        assert_eq!(claim_text(&json!(7)).unwrap(), "7");
        assert_eq!(claim_text(&json!(null)), None);
    }
}
