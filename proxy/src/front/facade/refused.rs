//! Why the facade does not go on, and what is said of it.

use http::StatusCode;

use crate::front::page::{Page, escaped};
use crate::pipeline::front::{Place, Reply};
use crate::reason::Reason;

/// One variant per thing that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("a parameter is missing, repeated, or not what it may be: {0}")]
    Request(&'static str),
    #[error("the registration is not good: {0}")]
    Registration(&'static str),
    #[error("this client is not known here; it must register again")]
    Client,
    #[error("the document about this client cannot be read, or is not about it")]
    Document,
    #[error("this client may not have people sent to that redirect_uri")]
    RedirectUri,
    #[error("this page was not made for this browser, or for nothing that was begun here")]
    State,
    #[error("this took too long; go back to the program and begin again")]
    Late,
    #[error("this has been used already; go back to the program and begin again")]
    Used,
    #[error("the answer does not come from the authorization server that was asked")]
    OtherIssuer,
    #[error("the code or the refresh token is not this client's, has been used, or is too old")]
    Grant,
    #[error("the code_verifier is not that of the one who began")]
    Verifier,
    #[error("this grant_type is not known here")]
    GrantType,
    #[error("there is no such resource here")]
    Resource,
    #[error("the authorization server gave neither tokens nor a known error")]
    Issuer,
    #[error("the authorization server does not accept this gateway's own credentials")]
    Credentials,
    #[error("the authorization server cannot be asked now; try again")]
    Unavailable,
    #[error("the gateway failed")]
    Internal,
}

impl Refused {
    /// The status, and OAuth's name for it.
    fn told(self) -> (StatusCode, &'static str) {
        match self {
            Self::Request(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Registration("redirect_uris") | Self::RedirectUri => {
                (StatusCode::BAD_REQUEST, "invalid_redirect_uri")
            }
            Self::Registration(_) => (StatusCode::BAD_REQUEST, "invalid_client_metadata"),
            Self::Client => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::Document => (StatusCode::BAD_REQUEST, "invalid_client"),
            Self::State | Self::Late | Self::Used | Self::OtherIssuer => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            Self::Grant | Self::Verifier => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::GrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::Resource => (StatusCode::BAD_REQUEST, "invalid_target"),
            Self::Issuer | Self::Credentials => (StatusCode::BAD_GATEWAY, "server_error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }

    /// Its name wherever it is told of.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Request(_) | Self::Registration(_) | Self::GrantType | Self::Resource => {
                Reason::FrontRequest
            }
            Self::Client | Self::Document => Reason::FrontClient,
            Self::RedirectUri => Reason::FrontRedirectUri,
            Self::State | Self::Late | Self::Used | Self::OtherIssuer => Reason::FrontState,
            Self::Grant | Self::Verifier => Reason::FrontGrant,
            Self::Issuer | Self::Credentials => Reason::FrontIssuer,
            Self::Unavailable => Reason::FrontUnavailable,
            Self::Internal => Reason::Internal,
        }
    }

    /// To a program, or where people are, for people.
    pub(super) fn reply(self, place: Place) -> Reply {
        let ((status, code), reason, why) = (self.told(), self.reason(), self.to_string());
        let for_people = matches!(place, Place::Authorize | Place::Consent | Place::HandBack);
        let reply = if for_people {
            // A page is no place for HTTP's own way to ask for credentials.
            let status =
                if status == StatusCode::UNAUTHORIZED { StatusCode::BAD_REQUEST } else { status };
            let body = format!("<p>{}.</p>", escaped(&why));
            Page { title: "This cannot go on", body: &body, script: None }.reply(reason, status)
        } else {
            Reply::error(reason, status, code, &why)
        };
        if status == StatusCode::SERVICE_UNAVAILABLE { reply.retry_after("5") } else { reply }
    }
}
