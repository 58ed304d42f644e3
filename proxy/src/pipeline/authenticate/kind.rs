//! Is it an access token at all? Issuers sign other things with the same keys, for other purposes.

use super::Rejected;
use crate::config::{ClaimNames, TokenType};
use crate::pipeline::claims::{Claims, WrongType};
use crate::pipeline::jose::Typ;

/// RFC 9068 section 4 says it in the header. Where the operator lets an issuer off that, the claims
/// must say it.
pub(super) fn check(
    policy: TokenType,
    typ: Typ,
    claims: &Claims,
    names: &ClaimNames,
) -> Result<(), Rejected> {
    let by_claims = match (policy, typ) {
        (_, Typ::AccessToken) => return Ok(()),
        (TokenType::JwtOrAccessToken | TokenType::AbsentOk, Typ::Jwt)
        | (TokenType::AbsentOk, Typ::Absent) => true,
        (_, Typ::Jwt | Typ::Absent | Typ::Other) => false,
    };
    if !by_claims {
        return Err(Rejected::Type);
    }
    // An ID token needs to bear no mark, so that an access token must.
    let mut marks = names.scopes.iter().chain(&names.client).filter(|path| path.as_str() != "azp");
    let says_so = marks.any(|path| claims.at(path).is_some())
        || MARKS_OF_ACCESS.iter().any(|name| claims.get(name).is_some());
    if says_so && !is_other(claims) { Ok(()) } else { Err(Rejected::Kind) }
}

/// The same question about a token that its issuer calls active: a refresh token is, too.
pub(super) fn check_told(claims: &Claims) -> Result<(), Rejected> {
    let kind = claims.optional_text("token_type").map_err(|WrongType| Rejected::Kind)?;
    let usable = |kind: &str| ["bearer", "dpop"].iter().any(|good| kind.eq_ignore_ascii_case(good));
    if kind.is_none_or(usable) && !is_other(claims) { Ok(()) } else { Err(Rejected::Kind) }
}

fn is_other(claims: &Claims) -> bool {
    MARKS_OF_OTHERS.iter().any(|name| claims.get(name).is_some())
        || claims.get("typ").is_some_and(|kind| !KEYCLOAK_KINDS.iter().any(|good| kind == good))
}

/// Of ID tokens (`OpenID` Connect Core 2, 3.3.2.11) and of logout and other event tokens (RFC 8417).
const MARKS_OF_OTHERS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

/// `azp` is no such mark, whatever it is read for: ID tokens have it too.
const MARKS_OF_ACCESS: [&str; 3] = ["scope", "scp", "client_id"];

/// Keycloak writes `JWT` in the header of all it signs, and what it is into a claim.
const KEYCLOAK_KINDS: [&str; 2] = ["Bearer", "DPoP"];

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::config::ClaimPath;

    fn judged(policy: TokenType, typ: Typ, claims: &str) -> Result<(), Rejected> {
        let claims = Claims::decode(&URL_SAFE_NO_PAD.encode(claims)).unwrap();
        check(policy, typ, &claims, &ClaimNames::default())
    }

    const LOOSEST: TokenType = TokenType::AbsentOk;
    const ACCESS: &str = r#"{"scope":"a","client_id":"b"}"#;

    #[test]
    fn each_policy_lets_in_what_its_name_says() {
        use Typ::{Absent, AccessToken, Jwt, Other};
        for (policy, lets_in) in [
            (TokenType::Strict, &[AccessToken][..]),
            (TokenType::JwtOrAccessToken, &[AccessToken, Jwt]),
            (TokenType::AbsentOk, &[AccessToken, Jwt, Absent]),
        ] {
            for typ in [AccessToken, Jwt, Absent, Other] {
                let expected = if lets_in.contains(&typ) { Ok(()) } else { Err(Rejected::Type) };
                assert_eq!(judged(policy, typ, ACCESS), expected, "{policy:?} {typ:?}");
            }
        }
    }

    #[test]
    fn a_token_without_a_mark_of_access_is_taken_for_an_id_token() {
        for claims in ["{}", r#"{"azp":"b","sub":"c","auth_time":1}"#] {
            assert_eq!(judged(LOOSEST, Typ::Jwt, claims), Err(Rejected::Kind), "{claims}");
        }
        for claims in [r#"{"scp":["a"]}"#, r#"{"client_id":"a"}"#, r#"{"scope":"","typ":"Bearer"}"#]
        {
            assert_eq!(judged(LOOSEST, Typ::Jwt, claims), Ok(()), "{claims}");
        }
    }

    /// It says to whom the token was given, wherever the operator has it read.
    #[test]
    fn azp_is_no_mark_of_access_by_another_name_either() {
        for path in ["azp", "/azp"] {
            let names = ClaimNames { client: Some(ClaimPath::new(path)), ..ClaimNames::default() };
            let judged = |claims: &str| {
                let claims = Claims::decode(&URL_SAFE_NO_PAD.encode(claims)).unwrap();
                check(LOOSEST, Typ::Jwt, &claims, &names)
            };
            assert_eq!(judged(r#"{"azp":"b","sub":"c"}"#), Err(Rejected::Kind), "{path}");
            assert_eq!(judged(r#"{"azp":"b","sub":"c","scope":"a"}"#), Ok(()), "{path}");
        }
    }

    #[test]
    fn the_marks_of_other_tokens_weigh_more() {
        for mark in [
            r#""nonce":"n""#,
            r#""at_hash":"h""#,
            r#""events":{}"#,
            r#""typ":"ID""#,
            r#""typ":"Logout""#,
            r#""typ":7"#,
        ] {
            let claims = format!(r#"{{"scope":"a","client_id":"b",{mark}}}"#);
            assert_eq!(judged(LOOSEST, Typ::Jwt, &claims), Err(Rejected::Kind), "{mark}");
        }
    }
}
