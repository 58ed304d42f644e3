//! Why a login does not go on.

use http::StatusCode;

use crate::pipeline::identity::NotOurs;
use crate::reason::Reason;

/// Each reason has its own words for people and its own name for whoever runs the gateway. None of them
/// repeats what came from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the request says the same thing twice, or at too great a length")]
    Muddled,
    #[error("there is no login to finish here")]
    Nothing,
    #[error("the answer of the authorization server holds neither a code nor an error")]
    NoCode,
    #[error("the request holds no refresh token: send JSON with refresh_token, once and as text")]
    NoRefreshToken,
    #[error("the body is not application/json")]
    NotJson,
    #[error("this gateway leads nobody to that return_to")]
    ReturnTo,
    #[error("this login was not begun in this browser, or not at this address")]
    Unknown,
    #[error("this login was begun more than ten minutes ago")]
    Expired,
    #[error("this login has been finished already")]
    Used,
    #[error("the answer comes from another authorization server than was asked")]
    OtherIssuer,
    #[error("the authorization server was not given leave to let you in")]
    Denied,
    #[error("the authorization server refused the gateway's request: {0}")]
    Failed(&'static str),
    #[error("the authorization server does not take the code, or not any more")]
    Code,
    #[error("the authorization server does not take the refresh token, or not any more")]
    RefreshToken,
    #[error("the authorization server does not accept the gateway's own credentials")]
    Credentials,
    #[error("the authorization server's answer cannot be used: {0}")]
    Answer(&'static str),
    #[error("the authorization server did not say soundly who has logged in: {0}")]
    IdToken(NotOurs),
    #[error("the authorization server did not say who has logged in: there is no ID token")]
    NoIdToken,
    #[error("the authorization server cannot be reached now")]
    Unavailable,
    #[error("the gateway has failed")]
    Internal,
}

impl Refused {
    /// Its name wherever it is told of.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Muddled | Self::Nothing | Self::NoCode | Self::NoRefreshToken => {
                Reason::LoginRequest
            }
            Self::NotJson => Reason::ContentType,
            Self::ReturnTo => Reason::LoginReturn,
            Self::Unknown => Reason::LoginUnknown,
            Self::Expired => Reason::LoginExpired,
            Self::Used => Reason::LoginUsed,
            Self::OtherIssuer => Reason::LoginIssuer,
            Self::Denied => Reason::LoginDenied,
            Self::Failed(_) => Reason::LoginFailed,
            Self::Code => Reason::LoginCode,
            Self::RefreshToken => Reason::LoginRefreshToken,
            Self::Credentials => Reason::LoginCredentials,
            Self::Answer(_) => Reason::LoginAnswer,
            Self::IdToken(_) | Self::NoIdToken => Reason::LoginIdToken,
            Self::Unavailable => Reason::FrontUnavailable,
            Self::Internal => Reason::Internal,
        }
    }

    /// The status, and the word for programs.
    pub(super) fn told(self) -> (StatusCode, &'static str) {
        match self {
            Self::Muddled
            | Self::Nothing
            | Self::NoCode
            | Self::NoRefreshToken
            | Self::ReturnTo
            | Self::Unknown
            | Self::Expired
            | Self::Used
            | Self::OtherIssuer => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
            Self::Code | Self::RefreshToken => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::Denied => (StatusCode::FORBIDDEN, "access_denied"),
            Self::Failed(_)
            | Self::Credentials
            | Self::Answer(_)
            | Self::IdToken(_)
            | Self::NoIdToken => (StatusCode::BAD_GATEWAY, "server_error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }

    /// What whoever is in front of the page may do about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::ReturnTo => "Go back to the page that sent you here, or begin without it.",
            Self::Unknown => {
                "If somebody sent you a link to this page, close it: it would have finished a login \
                 of theirs in your name. Otherwise begin again, with cookies allowed."
            }
            Self::OtherIssuer => {
                "Close this page and begin again. If it happens again, tell \
                 whoever runs this gateway."
            }
            Self::Unavailable => "Nothing is wrong with your account. Try again in a moment.",
            Self::Failed(_)
            | Self::Credentials
            | Self::Answer(_)
            | Self::IdToken(_)
            | Self::NoIdToken
            | Self::Internal => {
                "You cannot mend this. Tell whoever runs this gateway, and give them the code below."
            }
            Self::Nothing | Self::Used => {
                "A token is shown once, and not kept. Begin again if you want another: you may not even \
                 need to type your password."
            }
            Self::Muddled
            | Self::NoCode
            | Self::NoRefreshToken
            | Self::NotJson
            | Self::Expired
            | Self::Denied
            | Self::Code
            | Self::RefreshToken => {
                "No token was given to anybody. Begin again if you still want one: you may not even \
                 need to type your password."
            }
        }
    }
}

/// The errors of an authorization response (RFC 6749 section 4.1.2.1, RFC 8707, `OpenID` Connect Core
/// section 3.1.2.6). Of any other, not even the name is repeated.
pub(super) fn by_name(error: &str) -> Refused {
    match error {
        "access_denied" => Refused::Denied,
        "server_error" | "temporarily_unavailable" => Refused::Unavailable,
        other => {
            let known = KNOWN.iter().find(|known| **known == other);
            Refused::Failed(known.copied().unwrap_or("an error of its own"))
        }
    }
}

const KNOWN: [&str; 14] = [
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_client",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "request_not_supported",
    "request_uri_not_supported",
    "unauthorized_client",
    "unsupported_response_type",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_or_it_is_not_repeated() {
        assert_eq!(by_name("access_denied"), Refused::Denied);
        assert_eq!(by_name("temporarily_unavailable"), Refused::Unavailable);
        assert_eq!(by_name("invalid_scope"), Refused::Failed("invalid_scope"));
        let told = by_name("<b>call 555-0100</b>").to_string();
        assert!(!told.contains("555"), "{told}");
    }

    #[test]
    fn whose_fault_it_is_shows_in_the_status() {
        for (refused, status) in [
            (Refused::Expired, 400),
            (Refused::Denied, 403),
            (Refused::NotJson, 415),
            (Refused::Credentials, 502),
            (Refused::Unavailable, 503),
        ] {
            assert_eq!(refused.told().0.as_u16(), status, "{refused}");
        }
    }
}
