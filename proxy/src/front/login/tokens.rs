//! What an issuer gives at the end of a login, and how it is told on.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::pipeline::claims::Claims;

/// An access token and what came with it.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) expires_in: Option<u64>,
    pub(super) refresh: Option<String>,
    pub(super) scope: Option<String>,
    /// The issuer's word about who has logged in: for us alone.
    pub(super) id_token: Option<String>,
}

/// Whether an answer must say that its token is for the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// RFC 6749 section 5.1.
    Said,
    /// The broker leaves it out.
    Understood,
}

impl Tokens {
    /// What the answer holds; or what of it is missing or malformed.
    pub(super) fn read(answer: &[u8], kind: Kind) -> Result<Self, &'static str> {
        let members = Claims::read(answer).ok_or("JSON")?;
        let text = |name: &'static str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() <= LONGEST && is_plain(text) => Ok(Some(text)),
            Some(_) => Err(name),
        };
        match text("token_type")? {
            Some(told) if told.eq_ignore_ascii_case("bearer") => (),
            None if kind == Kind::Understood => (),
            // A token that its holder must prove to hold would be of no use to whoever copies it.
            Some(_) | None => return Err("token_type"),
        }
        let access = text("access_token")?.filter(|token| is_one_word(token));
        let refresh = text("refresh_token")?.filter(|token| !token.is_empty());
        Ok(Self {
            access: access.ok_or("access_token")?.clone(),
            expires_in: members.get("expires_in").and_then(Value::as_u64),
            refresh: refresh.cloned(),
            scope: text("scope")?.cloned(),
            id_token: text("id_token")?.cloned(),
        })
    }

    /// As RFC 6749 section 5.1 says it.
    pub(super) fn told(&self) -> Map<String, Value> {
        let mut told = Map::new();
        told.insert("access_token".to_owned(), json!(self.access));
        told.insert("token_type".to_owned(), json!("Bearer"));
        let further = [
            ("expires_in", self.expires_in.map(Value::from)),
            ("refresh_token", self.refresh.clone().map(Value::from)),
            ("scope", self.scope.clone().map(Value::from)),
        ];
        for (name, value) in further {
            told.extend(value.map(|value| (name.to_owned(), value)));
        }
        told
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// It is to stand in a header, and not beside something else.
fn is_one_word(token: &str) -> bool {
    !token.is_empty() && !token.contains([' ', '"', ',', '\\'])
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

const LONGEST: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Result<Tokens, &'static str> {
        Tokens::read(answer.as_bytes(), Kind::Said)
    }

    #[test]
    fn what_came_is_told_on_and_the_word_about_who_is_not() {
        let tokens = read(
            r#"{"access_token":"a.b","token_type":"bearer","expires_in":60,"refresh_token":"r",
                "scope":"x y","id_token":"i.i.i","more":1}"#,
        )
        .unwrap();
        assert_eq!(tokens.id_token.as_deref(), Some("i.i.i"));
        let told = json!({
            "access_token": "a.b", "token_type": "Bearer", "expires_in": 60, "refresh_token": "r",
            "scope": "x y",
        });
        assert_eq!(Value::Object(tokens.told()), told);
        assert_eq!(format!("{tokens:?}"), "Tokens(…)");
    }

    #[test]
    fn what_could_be_misread_is_no_answer() {
        for (answer, missing) in [
            ("[]", "JSON"),
            (r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#, "JSON"),
            (r#"{"token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":"","token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":"a b","token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":"a\r\nb","token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":7,"token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":"a"}"#, "token_type"),
            (r#"{"access_token":"a","token_type":"DPoP"}"#, "token_type"),
            (r#"{"access_token":"a","token_type":"Bearer","id_token":{}}"#, "id_token"),
        ] {
            assert_eq!(read(answer).unwrap_err(), missing, "{answer}");
        }
    }

    #[test]
    fn the_broker_need_not_say_what_kind_it_is() {
        let answer = br#"{"access_token":"a","expires_in":null}"#;
        assert!(Tokens::read(answer, Kind::Understood).is_ok());
        let other = br#"{"access_token":"a","token_type":"mac"}"#;
        assert_eq!(Tokens::read(other, Kind::Understood).unwrap_err(), "token_type");
    }
}
