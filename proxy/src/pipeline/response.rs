//! What the client hears of the upstream's answer, and who may read it.

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, SERVER, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// Whether a header of the upstream's ends here.
pub(crate) fn ends_here(name: &HeaderName, status: StatusCode) -> bool {
    // Which pages may read is said in one place, and what serves behind us is nobody's business. A
    // cookie would go to every server behind this host.
    name.as_str().starts_with("access-control-")
        || name == SERVER
        || name == SET_COOKIE
        // We let the caller in: told to log in again, a client would do so for ever, unless it is the
        // token that is refused, which we say ourselves. A 403 may ask for more scopes.
        || (name == WWW_AUTHENTICATE && status == StatusCode::UNAUTHORIZED)
}

/// Whether the upstream says of the token that it is no longer good (RFC 6750 section 3.1), rather than
/// that it wants credentials of its own.
pub(super) fn refuses_token(status: StatusCode, headers: &HeaderMap) -> bool {
    let refuses = |challenge: &str| {
        let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        let mut named = parameters.split(',').filter_map(|one| one.trim().split_once('='));
        scheme.eq_ignore_ascii_case("bearer")
            && named.any(|(name, value)| {
                name.eq_ignore_ascii_case("error") && value.trim_matches('"') == "invalid_token"
            })
    };
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    status == StatusCode::UNAUTHORIZED
        && challenges.any(|challenge| challenge.to_str().is_ok_and(refuses))
}

/// What lets a page read an answer, errors included: it must see the challenge to act on it.
pub(crate) fn shared_with(page: &HeaderValue) -> [(HeaderName, HeaderValue); 3] {
    [
        (ACCESS_CONTROL_ALLOW_ORIGIN, page.clone()),
        (ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED)),
        (VARY, HeaderValue::from_static("Origin")),
    ]
}

/// What every answer says to browsers, unless the backend has said it in its own way.
pub(crate) fn hardened(https_only: bool) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let no_guesses = (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let no_way_back = (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(A_YEAR));
    std::iter::once(no_guesses).chain(https_only.then_some(no_way_back))
}

const A_YEAR: &str = "max-age=31536000";

const EXPOSED: &str = "DPoP-Nonce, Mcp-Session-Id, RateLimit, RateLimit-Policy, Retry-After, \
    WWW-Authenticate, X-Correlation-ID, X-Request-Id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_neither_opens_us_to_pages_nor_tells_what_it_is() {
        for name in
            ["access-control-allow-origin", "access-control-max-age", "server", "set-cookie"]
        {
            assert!(ends_here(&name.parse().unwrap(), StatusCode::OK), "{name}");
        }
        for name in ["content-type", "mcp-session-id", "vary", "retry-after", "x-access-control"] {
            assert!(!ends_here(&name.parse().unwrap(), StatusCode::OK), "{name}");
        }
        assert!(ends_here(&WWW_AUTHENTICATE, StatusCode::UNAUTHORIZED));
        assert!(!ends_here(&WWW_AUTHENTICATE, StatusCode::FORBIDDEN));
    }

    #[test]
    fn the_upstream_refuses_a_token_by_its_error_code_alone() {
        let refused = |status: StatusCode, challenges: &[&str]| {
            let named = |text: &&str| (WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap());
            refuses_token(status, &challenges.iter().map(named).collect())
        };
        for challenge in [
            "Bearer error=\"invalid_token\"",
            "bearer realm=\"r\", ERROR=invalid_token, error_description=\"expired\"",
        ] {
            assert!(refused(StatusCode::UNAUTHORIZED, &["Basic", challenge]), "{challenge}");
            assert!(!refused(StatusCode::FORBIDDEN, &[challenge]), "{challenge}");
        }
        for challenge in [
            "Bearer",
            "Bearer realm=\"invalid_token\"",
            "Bearer error=\"insufficient_scope\"",
            "Basic error=\"invalid_token\"",
            "error=\"invalid_token\"",
        ] {
            assert!(!refused(StatusCode::UNAUTHORIZED, &[challenge]), "{challenge}");
        }
        assert!(!refused(StatusCode::UNAUTHORIZED, &[]));
    }
}
