//! An issuer's own metadata: where it may be, and what of it is believed.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::schedule;
use super::source::{NoKeys, get};
use crate::config::Issuer;
use crate::config::front::{FIELDS, Kind};
use crate::outbound::{Document, Outbound};

/// A member that holds an address.
#[derive(Clone, Copy)]
pub(super) enum Member {
    Jwks,
    Introspection,
}

impl Member {
    fn name(self) -> &'static str {
        match self {
            Self::Jwks => "jwks_uri",
            Self::Introspection => "introspection_endpoint",
        }
    }
}

/// The address in `member`, from the first place that tells one.
pub(super) async fn find(
    outbound: &Outbound,
    issuer: &Issuer,
    member: Member,
) -> Result<Url, NoKeys> {
    let read = |place: &Url, found: &Document| address(place, issuer, member, &found.body);
    first(outbound, issuer, read).await
}

/// All that is passed on of it, and for how long that is good.
pub(super) async fn description(
    outbound: &Outbound,
    issuer: &Issuer,
) -> Result<(Map<String, Value>, Duration), NoKeys> {
    let read = |place: &Url, found: &Document| {
        let described = describe(place, issuer, &found.body)?;
        Ok((described, schedule::fresh_for(&found.headers)))
    };
    first(outbound, issuer, read).await
}

/// The same for whoever looks once.
pub(crate) async fn described(
    outbound: &Outbound,
    issuer: &Issuer,
) -> Result<Map<String, Value>, NoKeys> {
    description(outbound, issuer).await.map(|(described, _)| described)
}

/// What is read at the first place where it can be.
async fn first<T>(
    outbound: &Outbound,
    issuer: &Issuer,
    read: impl Fn(&Url, &Document) -> Result<T, NoKeys>,
) -> Result<T, NoKeys> {
    let mut first_failure = None;
    for place in places(issuer) {
        let found = get(outbound, &place).await;
        match found.and_then(|found| read(&place, &found)) {
            Ok(read) => return Ok(read),
            // A server may answer everything, with a page for people or with metadata that
            // lacks the member: the next place may have the right one.
            Err(failure) => first_failure = first_failure.or(Some(failure)),
        }
    }
    Err(first_failure.unwrap_or(NoKeys::NoMetadata))
}

/// RFC 8414 first, then `OpenID` Connect with the path inserted and appended: the order of the MCP
/// specification.
fn places(issuer: &Issuer) -> Vec<Url> {
    let Ok(base) = Url::parse(issuer.as_str()) else { return Vec::new() };
    let path = base.path().trim_end_matches('/').to_owned();
    let place = |path: String| {
        let mut url = base.clone();
        url.set_path(&path);
        url
    };
    let mut places = vec![
        place(format!("/.well-known/oauth-authorization-server{path}")),
        place(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        places.push(place(format!("{path}/.well-known/openid-configuration")));
    }
    places
}

fn address(place: &Url, issuer: &Issuer, member: Member, body: &[u8]) -> Result<Url, NoKeys> {
    let malformed = || NoKeys::Malformed(place.to_string(), member.name());
    let metadata: Metadata = serde_json::from_slice(body).map_err(|_| malformed())?;
    // RFC 8414 section 3.3: metadata that names another issuer is somebody else's.
    if metadata.issuer != issuer.as_str() {
        return Err(NoKeys::OtherIssuer(place.to_string(), metadata.issuer));
    }
    let told = match member {
        Member::Jwks => metadata.jwks_uri,
        Member::Introspection => metadata.introspection_endpoint,
    };
    let address = told.as_ref().and_then(Value::as_str).and_then(|text| Url::parse(text).ok());
    let address = address.ok_or_else(malformed)?;
    // An issuer on https is not asked over anything less.
    let secure = address.scheme() == "https" || place.scheme() == "http";
    secure.then_some(address).ok_or_else(|| NoKeys::Insecure(place.to_string(), member.name()))
}

/// What is passed on of a document, if it is the issuer's and says where to go. What is not as it should
/// be is left out.
fn describe(place: &Url, issuer: &Issuer, body: &[u8]) -> Result<Map<String, Value>, NoKeys> {
    let malformed = || NoKeys::Malformed(place.to_string(), "authorization_endpoint");
    let mut told: Map<String, Value> = serde_json::from_slice(body).map_err(|_| malformed())?;
    let named = told.get("issuer").and_then(Value::as_str).ok_or_else(malformed)?;
    if named != issuer.as_str() {
        return Err(NoKeys::OtherIssuer(place.to_string(), named.to_owned()));
    }
    let mut described = Map::from_iter([("issuer".to_owned(), Value::from(issuer.as_str()))]);
    for (name, kind) in FIELDS {
        let value = told.remove(*name).filter(|value| is_sound(value, *kind, place));
        described.extend(value.map(|value| ((*name).to_owned(), value)));
    }
    if !described.contains_key("authorization_endpoint") {
        return Err(malformed());
    }
    Ok(described)
}

fn is_sound(value: &Value, kind: Kind, place: &Url) -> bool {
    match kind {
        Kind::Address => value.as_str().and_then(|text| Url::parse(text).ok()).is_some_and(|url| {
            url.scheme() == "https" || (url.scheme() == "http" && place.scheme() == "http")
        }),
        Kind::Names => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
        Kind::Flag => value.is_boolean(),
    }
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<Value>,
    introspection_endpoint: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn issuer(issuer: &str) -> Issuer {
        let text = format!(
            "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\n\
             issuers: [{{issuer: '{issuer}'}}]\nupstream: {{address: 'unix:/b'}}"
        );
        Config::parse(&text).unwrap().rules.issuers.remove(0).issuer
    }

    fn written(text: &str) -> Vec<String> {
        places(&issuer(text)).iter().map(Url::to_string).collect()
    }

    #[test]
    fn an_address_is_believed_from_the_issuer_itself_and_over_https() {
        let told = |member, text: &str| {
            let place = Url::parse("https://id.example/.well-known/x").unwrap();
            address(&place, &issuer("https://id.example"), member, text.as_bytes())
        };
        let both = |keys: &str, asked: &str| {
            format!(
                r#"{{"issuer":"https://id.example","jwks_uri":{keys},"introspection_endpoint":{asked}}}"#
            )
        };
        let good = both(r#""https://a.example/k""#, r#""https://a.example/i""#);
        assert_eq!(told(Member::Jwks, &good).unwrap().as_str(), "https://a.example/k");
        assert_eq!(told(Member::Introspection, &good).unwrap().as_str(), "https://a.example/i");
        let plain = both("7", r#""http://a.example/i""#);
        assert!(matches!(told(Member::Introspection, &plain), Err(NoKeys::Insecure(..))));
        assert!(matches!(told(Member::Jwks, &plain), Err(NoKeys::Malformed(..))));
        let others = good.replace("//id.", "//evil.");
        assert!(matches!(told(Member::Introspection, &others), Err(NoKeys::OtherIssuer(..))));
        let lacking = r#"{"issuer":"https://id.example"}"#;
        assert!(matches!(told(Member::Introspection, lacking), Err(NoKeys::Malformed(..))));
    }

    #[test]
    fn what_is_passed_on_is_what_clients_go_by_and_sound() {
        let place = Url::parse("https://id.example/.well-known/x").unwrap();
        let told = |text: &str| describe(&place, &issuer("https://id.example"), text.as_bytes());
        let described = told(
            r#"{"issuer":"https://id.example","authorization_endpoint":"https://id.example/a",
            "token_endpoint":"http://id.example/t","registration_endpoint":"javascript:alert(1)",
            "scopes_supported":["a",7],"response_types_supported":["code"],"x_internal":"10.0.0.1",
            "code_challenge_methods_supported":"S256","claims_parameter_supported":"yes"}"#,
        );
        let names: Vec<String> = described.unwrap().keys().cloned().collect();
        assert_eq!(names, ["authorization_endpoint", "issuer", "response_types_supported"]);
        for lacking in [
            r#"{"issuer":"https://id.example"}"#,
            r#"{"authorization_endpoint":"https://id.example/a"}"#,
            "[1]",
            "<html>",
        ] {
            assert!(matches!(told(lacking), Err(NoKeys::Malformed(..))), "{lacking}");
        }
        let others = r#"{"issuer":"https://id.example/","authorization_endpoint":"https://i/a"}"#;
        assert!(matches!(told(others), Err(NoKeys::OtherIssuer(..))));
    }

    #[test]
    fn metadata_is_looked_for_in_the_specifications_order() {
        assert_eq!(
            written("https://id.example/tenant1"),
            [
                "https://id.example/.well-known/oauth-authorization-server/tenant1",
                "https://id.example/.well-known/openid-configuration/tenant1",
                "https://id.example/tenant1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(written("https://id.example/").len(), 2);
    }
}
