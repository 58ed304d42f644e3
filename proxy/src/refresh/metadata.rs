//! An issuer's own metadata: where it may be, and what of it is believed.

use serde::Deserialize;
use url::Url;

use super::source::NoKeys;
use crate::config::Issuer;

/// RFC 8414 first, then `OpenID` Connect with the path inserted and appended: the order of the MCP
/// specification.
pub(super) fn places(issuer: &Issuer) -> Vec<Url> {
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

pub(super) fn key_address(place: &Url, issuer: &Issuer, body: &[u8]) -> Result<Url, NoKeys> {
    let metadata: Metadata =
        serde_json::from_slice(body).map_err(|_| NoKeys::Malformed(place.to_string()))?;
    // RFC 8414 section 3.3: metadata that names another issuer is somebody else's.
    if metadata.issuer != issuer.as_str() {
        return Err(NoKeys::OtherIssuer(place.to_string(), metadata.issuer));
    }
    // An issuer on https does not have its keys fetched over anything less.
    let secure = metadata.jwks_uri.scheme() == "https" || place.scheme() == "http";
    secure.then_some(metadata.jwks_uri).ok_or(NoKeys::Insecure(place.to_string()))
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Url,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn written(issuer: &str) -> Vec<String> {
        let text = format!(
            "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\n\
             issuers: [{{issuer: '{issuer}'}}]\nupstream: {{address: 'unix:/b'}}"
        );
        let config = Config::parse(&text).unwrap();
        let places = places(&config.rules.issuers[0].issuer);
        places.iter().map(Url::to_string).collect()
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
