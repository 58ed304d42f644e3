//! Why the token endpoint says no, in the words of RFC 6749 §5.2.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use thiserror::Error;

use super::Unavailable;
use super::parameters::Repeated;

#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("the client identified itself twice")]
    TwoCredentials,
    #[error("unknown client, or the wrong secret for it")]
    Client,
    #[error("this grant type is none of authorization_code, refresh_token, client_credentials")]
    GrantType,
    #[error("the client is not registered for this grant type")]
    ForbiddenGrantType,
    #[error("the code is unknown, used before, or older than a minute")]
    Code,
    #[error("the code or refresh token belongs to another client")]
    OtherClient,
    #[error("redirect_uri is not the one the code was sent to")]
    RedirectUri,
    #[error("code_verifier does not match code_challenge")]
    Verifier,
    #[error("the refresh token is unknown or used before")]
    RefreshToken,
    #[error("resource is not the one this provider issues tokens for")]
    Resource,
    #[error("none of the scopes asked for can be granted")]
    Scope,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Repeated(_) | Self::Missing(_) | Self::TwoCredentials => "invalid_request",
            Self::Client => "invalid_client",
            Self::GrantType => "unsupported_grant_type",
            Self::ForbiddenGrantType => "unauthorized_client",
            Self::Code
            | Self::OtherClient
            | Self::RedirectUri
            | Self::Verifier
            | Self::RefreshToken => "invalid_grant",
            Self::Resource => "invalid_target",
            Self::Scope => "invalid_scope",
            Self::Unavailable(_) => "server_error",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Client => StatusCode::UNAUTHORIZED,
            Self::Unavailable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Repeated(_)
            | Self::Missing(_)
            | Self::TwoCredentials
            | Self::GrantType
            | Self::ForbiddenGrantType
            | Self::Code
            | Self::OtherClient
            | Self::RedirectUri
            | Self::Verifier
            | Self::RefreshToken
            | Self::Resource
            | Self::Scope => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::info!(error = self.code(), reason = %self, "the identity provider gives no token");
        let body = json!({ "error": self.code(), "error_description": self.to_string() });
        let mut response = (self.status(), Json(body)).into_response();
        if matches!(self, Self::Client) {
            let challenge = HeaderValue::from_static("Basic realm=\"Postern on a laptop\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
