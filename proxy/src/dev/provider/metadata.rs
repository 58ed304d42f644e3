//! What the provider says about itself, and its public key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};

use super::Provider;
use super::people::Scopes;

/// RFC 8414, and the same for clients that look for `OpenID` Connect first.
pub(super) async fn document(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": provider.token_endpoint(),
        "registration_endpoint": format!("{issuer}/register"),
        "jwks_uri": format!("{issuer}/jwks"),
        "scopes_supported": Scopes::NAMES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "protected_resources": [provider.resource],
        // No ID token is ever issued; readers of an OpenID document refuse one without these.
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

pub(super) async fn jwks(State(provider): State<Arc<Provider>>) -> Json<JwkSet> {
    Json(provider.signer.jwks().clone())
}

#[cfg(test)]
mod tests {
    use super::super::rig::Rig;

    #[tokio::test]
    async fn says_the_same_at_both_places() {
        let rig = Rig::new();
        let oauth = rig.get("/.well-known/oauth-authorization-server").await;
        let openid = rig.get("/.well-known/openid-configuration").await;
        assert_eq!(oauth.json()["issuer"], Rig::ISSUER);
        assert_eq!(oauth.json(), openid.json());
    }

    #[tokio::test]
    async fn advertises_what_clients_must_check() {
        let document = Rig::new().get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert!(!document["scopes_supported"].to_string().contains("offline_access"));
    }

    #[tokio::test]
    async fn publishes_no_private_key() {
        let keys = Rig::new().get("/jwks").await.json();
        let key = &keys["keys"][0];
        assert_eq!(
            (&key["kty"], &key["alg"], &key["use"]),
            (&"EC".into(), &"ES256".into(), &"sig".into())
        );
        assert!(key.get("d").is_none());
    }

    #[tokio::test]
    async fn answers_browsers_from_anywhere() {
        let rig = Rig::new();
        let asks = [("access-control-request-headers", "mcp-protocol-version")];
        let preflight = rig.preflight("/.well-known/oauth-authorization-server", &asks).await;
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
        assert_eq!(preflight.header("access-control-allow-headers"), Some("mcp-protocol-version"));
        let jwks = rig.get("/jwks").await;
        assert_eq!(jwks.header("access-control-allow-origin"), Some("*"));
    }

    #[tokio::test]
    async fn every_run_has_another_key() {
        let kid = async || Rig::new().get("/jwks").await.json()["keys"][0]["kid"].to_string();
        assert_ne!(kid().await, kid().await);
    }
}
