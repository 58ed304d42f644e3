//! An issuer's own metadata: where it may be, and what of it is believed.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::source::{NoKeys, get};
use crate::config::Issuer;
use crate::outbound::Outbound;

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
    let mut first_failure = None;
    for place in places(issuer) {
        let found = get(outbound, &place).await;
        match found.and_then(|found| address(&place, issuer, member, &found.body)) {
            Ok(address) => return Ok(address),
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
