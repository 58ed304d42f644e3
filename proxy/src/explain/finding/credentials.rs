//! What is in the Authorization header instead of one token. What it is, and never the thing itself.

use http::header::AUTHORIZATION;

use super::Finding;
use crate::explain::Case;

pub(super) fn found(case: &Case) -> Finding {
    let mut values = case.request.headers.get_all(AUTHORIZATION).iter();
    let (first, more) = (values.next(), values.count());
    Finding::found(match first {
        Some(_) if more > 0 => format!("{} Authorization headers", more + 1),
        Some(value) => one(&String::from_utf8_lossy(value.as_bytes())),
        None if case.request.uri.query().is_some_and(|query| query.contains("access_token=")) => {
            "no Authorization header; a token in the query is not looked at".to_owned()
        }
        None => "no Authorization header".to_owned(),
    })
}

fn one(value: &str) -> String {
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let rest = rest.trim_start();
    let known = |word: &str| OURS.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
    let mut words = rest.split_whitespace();
    let second = words.next();
    if !known(scheme) {
        let named = OTHERS.iter().find(|other| scheme.eq_ignore_ascii_case(other));
        return match named {
            Some(other) => format!("the scheme {other}"),
            None => "neither Bearer nor DPoP before the first blank".to_owned(),
        };
    }
    match (second, words.next()) {
        (None, _) => format!("{scheme}, and no token"),
        (Some(again), Some(_)) if known(again) => {
            format!("{scheme} twice: the word was pasted in together with the token")
        }
        (Some(again), None) if known(again) => format!("{scheme} twice, and no token"),
        (Some(_), Some(_)) => "a blank within the token, or something after it".to_owned(),
        (Some(token), None) => match token.chars().find(|c| !is_of_tokens(*c)) {
            Some('"' | '\'') => "quotes around the token".to_owned(),
            Some('…') => "an ellipsis: the token was cut where it was shown".to_owned(),
            Some(odd) => format!("the character {odd:?}, which no token has"),
            None => "a token that is no text".to_owned(),
        },
    }
}

fn is_of_tokens(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/=".contains(c)
}

const OURS: [&str; 2] = ["Bearer", "DPoP"];
/// Only what is known to be a scheme is shown: a word in its place may be the secret.
const OTHERS: [&str; 7] = ["Basic", "Digest", "Negotiate", "NTLM", "Token", "ApiKey", "HOBA"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pasted_in_is_recognised_and_not_repeated() {
        for (value, said) in [
            ("Bearer Bearer s3cret", "Bearer twice: the word"),
            ("Bearer bearer", "Bearer twice, and no token"),
            ("Bearer", "no token"),
            ("Bearer s3cret s3cret", "a blank"),
            ("Bearer \"s3cret\"", "quotes"),
            ("Bearer s3cret…", "ellipsis"),
            ("Bearer s3cret,", "','"),
            ("Basic s3cret", "the scheme Basic"),
            ("s3cret", "neither Bearer nor DPoP"),
        ] {
            let found = one(value);
            assert!(found.contains(said) && !found.contains("s3cret"), "{value}: {found}");
        }
    }
}
