mod properties;

use super::challenge::Challenges;
use super::token::Scheme;
use super::*;
use crate::config::Config;
use http::{HeaderMap, Method, Request, StatusCode, header};

fn pipeline() -> Pipeline {
    let text = "\
tls: off
resource: {url: https://mcp.example/mcp, scopes: [mcp:read, mcp:call]}
issuers: [{issuer: https://id.example}]
upstream: {address: unix:/run/backend.sock}
";
    let config = Config::parse(text).unwrap();
    let bounds =
        Bounds { target_bytes: 8 << 10, header_bytes: 32 << 10, headers: 100, body_bytes: 1 << 20 };
    Pipeline::new(&config.rules, bounds, &cells(Arc::default()))
}

/// For a pipeline with one issuer.
fn cells(keyring: Arc<Keyring>) -> Cells {
    let ledger = Arc::new(Ledger::new([0; 32]));
    Cells { keyrings: vec![keyring], revocations: Arc::default(), ledger }
}

fn request(method: &Method, path: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(path).header("host", "mcp.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn answer(request: &Parts) -> (StatusCode, HeaderMap, String) {
    match pipeline().decide(request, &Channel::default(), SystemTime::UNIX_EPOCH) {
        Decision::Answer(answer) => {
            let (parts, body) = answer.into_response().unwrap().into_parts();
            (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
        }
        other @ (Decision::Forward(_)
        | Decision::NeedKey(_)
        | Decision::NeedIntrospection(_)
        | Decision::NeedBody
        | Decision::Front(_)) => panic!("{other:?}"),
    }
}

fn status(method: &Method, path: &str) -> StatusCode {
    answer(&request(method, path, &[])).0
}

#[test]
fn without_credentials_the_challenge_names_no_error() {
    let (status, headers, _) = answer(&request(&Method::POST, "/mcp", &[]));
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        headers[header::WWW_AUTHENTICATE],
        "Bearer resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/mcp\", \
         scope=\"mcp:read mcp:call\""
    );
}

#[test]
fn authentication_comes_before_method_and_body() {
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS, Method::TRACE] {
        assert_eq!(status(&method, "/mcp"), StatusCode::UNAUTHORIZED, "{method}");
    }
    let huge = request(&Method::POST, "/mcp", &[("content-length", "999999999")]);
    assert_eq!(answer(&huge).0, StatusCode::UNAUTHORIZED);
}

#[test]
fn everything_below_the_endpoint_is_protected_and_the_rest_is_not_there() {
    for path in ["/mcp", "/mcp/", "/mcp/sse", "/mcp?x=/healthz"] {
        assert_eq!(status(&Method::GET, path), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/mcpx", "/admin", "/metrics", "/MCP", "/.well-known/oauth-protected-resource/x"] {
        assert_eq!(status(&Method::GET, path), StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn the_metadata_is_the_same_document_at_both_places() {
    let at = |path| answer(&request(&Method::GET, path, &[]));
    let (status, headers, own) = at("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=300");
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(own, at("/.well-known/oauth-protected-resource").2);
    assert_eq!(own, at("/.well-known/oauth-protected-resource/mcp/").2);
    assert_eq!(
        own,
        r#"{"resource":"https://mcp.example/mcp","authorization_servers":["https://id.example"],"scopes_supported":["mcp:read","mcp:call"],"bearer_methods_supported":["header"]}"#
    );
}

#[test]
fn a_browser_may_ask_for_the_metadata_with_any_header() {
    let place = "/.well-known/oauth-protected-resource/mcp";
    let ask = [("access-control-request-headers", "mcp-protocol-version")];
    let (status, headers, _) = answer(&request(&Method::OPTIONS, place, &ask));
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "mcp-protocol-version");
    let (status, headers, _) = answer(&request(&Method::POST, place, &[]));
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers[header::ALLOW], "GET, HEAD, OPTIONS");
}

#[test]
fn repeated_or_torn_credentials_are_a_bad_request_with_a_challenge() {
    for values in [&["Bearer a", "Bearer b"][..], &["Bearer a, Bearer b"], &["Bearer"]] {
        let headers: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
        let (status, headers, _) = answer(&request(&Method::POST, "/mcp", &headers));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{values:?}");
        let challenge = headers[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with("Bearer error=\"invalid_request\", "), "{challenge}");
    }
}

#[test]
fn another_scheme_is_asked_for_a_token_without_an_error() {
    let basic = request(&Method::POST, "/mcp", &[("authorization", "Basic dTpw")]);
    let (status, headers, _) = answer(&basic);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!headers[header::WWW_AUTHENTICATE].to_str().unwrap().contains("error="));
}

#[test]
fn a_token_elsewhere_than_in_the_header_is_no_token() {
    let query =
        request(&Method::GET, "/mcp?access_token=a.b.c", &[("cookie", "access_token=a.b.c")]);
    assert_eq!(answer(&query).0, StatusCode::UNAUTHORIZED);
}

#[test]
fn without_keys_nobody_is_sent_to_log_in_again() {
    // {"alg":"ES256","typ":"at+jwt","kid":"1"} . {"iss":"https://id.example"}
    let token = "Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjEifQ.\
                 eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUifQ.AAAA";
    let (status, headers, _) = answer(&request(&Method::POST, "/mcp", &[("authorization", token)]));
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key(header::RETRY_AFTER));
    assert!(!headers.contains_key(header::WWW_AUTHENTICATE));
}

#[test]
fn no_refusal_is_stored() {
    for path in ["/mcp", "/nothing", "//mcp"] {
        let (_, headers, body) = answer(&request(&Method::GET, path, &[]));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert!(body.contains("\"error_description\""), "{body}");
    }
}

/// The patterns by which the Python and TypeScript clients read a challenge are unanchored: the
/// first place that looks like a parameter is taken for it.
#[test]
fn no_challenge_can_be_misread() {
    use authenticate::Rejected;
    let all = [
        Rejected::NotAJwt,
        Rejected::Algorithm,
        Rejected::Type,
        Rejected::Critical,
        Rejected::Issuer,
        Rejected::Inactive,
        Rejected::UnknownKey(UnknownKey { issuer: 0, mark: token::Digest::of(b"id") }),
        Rejected::KeyId,
        Rejected::Signature,
        Rejected::Audience,
        Rejected::Expired,
        Rejected::NotYetValid,
        Rejected::Bound,
        Rejected::Kind,
        Rejected::TooLong,
        Rejected::Revoked,
        Rejected::KeyWithdrawn,
        Rejected::Claim("exp"),
    ];
    for (offered, used, parameters) in
        [(false, Scheme::Bearer, 3), (false, Scheme::Dpop, 7), (true, Scheme::Bearer, 7)]
    {
        let challenges = Challenges::new("https://h/.well-known/x/mcp", &[], &dpop(offered, false));
        for why in all {
            let header = challenges.invalid_token(why, used).into_header();
            let text = header.to_str().unwrap();
            let begins = "Bearer error=\"invalid_token\", error_description=\"";
            assert!(text.starts_with(begins), "{text}");
            assert_eq!(text.matches('=').count(), parameters, "{text}");
            assert_eq!(text.matches('"').count(), 2 * parameters, "{text}");
            assert!(!text.contains("scope=") && !text.contains('\\'), "{text}");
        }
    }
}

fn dpop(offered: bool, required: bool) -> config::Dpop {
    config::Dpop { offered, required, nonces: config::Nonces::Off }
}

#[test]
fn no_challenge_about_a_proof_can_be_misread() {
    use proof::Unproven;
    let all = [
        Unproven::SentAsBearer,
        Unproven::NotBound,
        Unproven::Required,
        Unproven::NoCertificate,
        Unproven::OtherCertificate,
        Unproven::NoProof,
        Unproven::Repeated,
        Unproven::NotAJwt,
        Unproven::Critical,
        Unproven::Claim("htu"),
        Unproven::Type,
        Unproven::Algorithm,
        Unproven::Signature,
        Unproven::Key,
        Unproven::Method,
        Unproven::Target,
        Unproven::Nonce,
        Unproven::Time,
        Unproven::OtherToken,
        Unproven::OtherKey,
        Unproven::Replayed,
        Unproven::Full,
    ];
    for dpop_only in [false, true] {
        let rules = dpop(dpop_only, dpop_only);
        let challenges = Challenges::new("https://h/.well-known/x/mcp", &[], &rules);
        for why in all {
            let header = challenges.unproven(why).into_header();
            let text = header.to_str().unwrap();
            let first = text.split_once("error=\"").unwrap().1.split('"').next().unwrap();
            assert_eq!(first, why.error(), "{text}");
            assert!(text.starts_with(if dpop_only { "DPoP " } else { "Bearer " }), "{text}");
            let of_bearer = !dpop_only && why.error() == "invalid_token";
            let parameters = 4 + usize::from(!dpop_only) + 2 * usize::from(of_bearer);
            assert_eq!(text.matches('=').count(), parameters, "{text}");
            assert_eq!(text.matches('"').count(), 2 * parameters, "{text}");
            assert!(!text.contains("scope=") && !text.contains('\\'), "{text}");
        }
    }
}
