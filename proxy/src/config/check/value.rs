//! Single values: what each may be, and what to write instead.

mod upstream;
mod url;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use jsonwebtoken::Algorithm;

use crate::config::invalid::Wrong;
use crate::config::{
    Authorization, ClaimPath, ClientAuthentication, ClientCertificates, IntrospectionEndpoint,
    LogFormat, OWN_HEADERS, Scope, TokenType, units,
};

pub(super) use self::upstream::{check_interval, status, target, upstream};
pub(super) use self::url::{host, origin, resource};
pub(in crate::config) use self::url::{issuer, link};

pub(in crate::config) type Checked<T> = Result<T, Wrong>;

pub(in crate::config) fn text(text: &str) -> Checked<String> {
    if text.is_empty() {
        return Err(Wrong::new("it is empty", "write a value, or remove the line"));
    }
    Ok(text.to_owned())
}

pub(super) fn address(text: &str) -> Checked<SocketAddr> {
    // `[${POD_IP}]:8443` is good whichever family a pod's address is of.
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    let either = bracketed.and_then(|(ip, port)| Some((ip.parse().ok()?, port.parse().ok()?)));
    if let Some((ip, port)) = either {
        return Ok(SocketAddr::new(ip, port));
    }
    text.parse().map_err(|_| {
        Wrong::new("not an address with a port", "write for example 127.0.0.1:8443 or [::1]:8443")
    })
}

pub(in crate::config) fn path(text: &str) -> Checked<PathBuf> {
    self::text(text).map(PathBuf::from)
}

/// Whether somebody in front terminates TLS.
pub(super) fn no_tls(text: &str) -> Checked<bool> {
    match text {
        "off" | "false" => Ok(false),
        "terminated-in-front" => Ok(true),
        _ => Err(Wrong::new(
            "neither off nor a section",
            "give tls.certificate and tls.key, or write tls: off for loopback",
        )),
    }
}

pub(super) fn client_certificates(text: &str) -> Checked<ClientCertificates> {
    match text {
        "off" | "false" => Ok(ClientCertificates::Off),
        "asked" => Ok(ClientCertificates::Asked),
        "required" => Ok(ClientCertificates::Required),
        _ => Err(Wrong::new("no such choice", "write off, asked or required")),
    }
}

pub(super) fn yes_or_no(text: &str) -> Checked<bool> {
    text.parse().map_err(|_| Wrong::new("neither true nor false", "write true or false"))
}

pub(super) fn log_format(text: &str) -> Checked<LogFormat> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err(Wrong::new("no such format", "write auto, json or text")),
    }
}

pub(super) fn scope(text: &str) -> Checked<Scope> {
    let fits = |byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    if text.is_empty() || !text.bytes().all(fits) {
        let fix = "write one scope in each entry, without spaces, quotes or backslashes";
        return Err(Wrong::new("not a scope (RFC 6749 section 3.3)", fix));
    }
    if text == "offline_access" {
        let reason = "a client asks its authorization server for it; a resource never needs it";
        return Err(Wrong::new(reason, "remove it"));
    }
    Ok(Scope(text.to_owned()))
}

/// What an issuer may sign with unless its entry says otherwise.
pub(super) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

pub(super) fn algorithm(text: &str) -> Checked<Algorithm> {
    match text {
        "RS256" => Ok(Algorithm::RS256),
        "RS384" => Ok(Algorithm::RS384),
        "RS512" => Ok(Algorithm::RS512),
        "PS256" => Ok(Algorithm::PS256),
        "PS384" => Ok(Algorithm::PS384),
        "PS512" => Ok(Algorithm::PS512),
        "ES256" => Ok(Algorithm::ES256),
        "ES384" => Ok(Algorithm::ES384),
        "EdDSA" | "Ed25519" => Ok(Algorithm::EdDSA),
        _ => Err(Wrong::new(
            "not an algorithm whose keys can be published",
            "write RS256, PS256, ES256, EdDSA, or a longer one of their kinds",
        )),
    }
}

/// How an access token shows that it is one.
pub(super) fn token_type(text: &str) -> Checked<TokenType> {
    match text {
        "strict" => Ok(TokenType::Strict),
        "jwt-or-at" => Ok(TokenType::JwtOrAccessToken),
        "absent-ok" => Ok(TokenType::AbsentOk),
        _ => Err(Wrong::new("no such policy", "write strict, jwt-or-at or absent-ok")),
    }
}

pub(super) fn leeway(text: &str) -> Checked<Duration> {
    let leeway = if text == "0s" { Duration::ZERO } else { units::duration(text)? };
    if leeway > MOST_LEEWAY {
        let reason = "tokens would live on for more than five minutes after they have expired";
        return Err(Wrong::new(reason, "write at most 5m, and keep the clocks in step"));
    }
    Ok(leeway)
}

/// More than any clock is off that anybody looks after.
const MOST_LEEWAY: Duration = Duration::from_mins(5);

/// How long an answer about a token may be believed.
pub(super) fn cache(text: &str) -> Checked<Duration> {
    let cache = if text == "0s" { Duration::ZERO } else { units::duration(text)? };
    if cache > MOST_CACHE {
        let reason = "a token would pass for more than five minutes after it has been revoked";
        return Err(Wrong::new(reason, "write at most 5m, or 0s to ask about each request"));
    }
    Ok(cache)
}

const MOST_CACHE: Duration = Duration::from_mins(5);

pub(super) fn introspection_endpoint(text: &str) -> Checked<IntrospectionEndpoint> {
    match text {
        "discover" => Ok(IntrospectionEndpoint::Discover),
        address => link(address).map(IntrospectionEndpoint::Url),
    }
}

pub(super) fn client_authentication(text: &str) -> Checked<ClientAuthentication> {
    match text {
        "client_secret_basic" => Ok(ClientAuthentication::Basic),
        "client_secret_post" => Ok(ClientAuthentication::Post),
        _ => Err(Wrong::new(
            "no such way to authenticate",
            "write client_secret_basic or client_secret_post",
        )),
    }
}

pub(super) fn claim(text: &str) -> Checked<ClaimPath> {
    self::text(text).map(|text| ClaimPath::new(&text))
}

pub(super) fn discover(text: &str) -> Checked<()> {
    match text {
        "discover" => Ok(()),
        _ => Err(Wrong::new(
            "no such source of keys",
            "write discover, or a section with url or file",
        )),
    }
}

/// Less than the time between two looks would empty the set in fair weather.
pub(super) fn keys_max_age(text: &str) -> Checked<Duration> {
    let age = units::duration(text)?;
    if age < SHORTEST_KEYS_MAX_AGE {
        let reason = "a short outage of the issuer would be one of this proxy";
        return Err(Wrong::new(reason, "write 5m or more"));
    }
    Ok(age)
}

pub(super) const KEYS_MAX_AGE: Duration = Duration::from_hours(24);
const SHORTEST_KEYS_MAX_AGE: Duration = Duration::from_mins(5);

pub(super) fn authorization(text: &str) -> Checked<Authorization> {
    match text {
        "strip" => Ok(Authorization::Strip),
        "keep" => Ok(Authorization::Keep),
        _ => Err(Wrong::new("no such choice", "write strip or keep")),
    }
}

/// A header that a claim may travel in.
pub(super) fn header(text: &str) -> Checked<HeaderName> {
    let name: HeaderName = match text.parse() {
        // A name that some server folds into another one is no name to trust.
        Ok(name) if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => name,
        _ => {
            let fix = "use letters, digits and dashes, for example X-User-Email";
            return Err(Wrong::new("not a header name that every server reads alike", fix));
        }
    };
    if !name.as_str().starts_with("x-") {
        let fix = "choose a name of your own that starts with X-";
        return Err(Wrong::new("it may mean something else to the backend", fix));
    }
    let told_of_every_request =
        TRAIL.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded");
    if told_of_every_request
        || FIXED.iter().any(|fixed| name.as_str().strip_prefix(OWN_HEADERS) == Some(fixed))
    {
        return Err(Wrong::new("the proxy sets it already", "choose another name"));
    }
    Ok(name)
}

/// Further names that always go up.
const TRAIL: [&str; 2] = ["x-request-id", "x-correlation-id"];

/// What always goes up, under [`OWN_HEADERS`].
const FIXED: [&str; 6] = ["subject", "issuer", "client-id", "scopes", "roles", "groups"];
