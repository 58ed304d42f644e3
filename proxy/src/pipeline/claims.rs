//! What a token says.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Number, Value};

use super::json;
use crate::config::ClaimPath;

/// A JSON object in which no name occurs twice, at any depth.
#[derive(Debug)]
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// Decodes one part of a token.
    pub(super) fn decode(part: &str) -> Option<Self> {
        Self::read(&URL_SAFE_NO_PAD.decode(part).ok()?)
    }

    /// Reads what is sent as plain JSON.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        match json::read(json)? {
            Value::Object(members) => Some(Self(members)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => None,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// The claim that the operator has named.
    pub(crate) fn at(&self, path: &ClaimPath) -> Option<&Value> {
        if !path.is_deep() {
            return self.get(path.as_str());
        }
        let mut steps = path.as_str().split('/').skip(1).map(unescape);
        let first = self.get(&steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// An absent claim is fine; one of the wrong type is not.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, WrongType> {
        text(self.get(name))
    }

    /// A `NumericDate` (RFC 7519 section 2), which may have a fraction.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Duration>, WrongType> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(seconds)) => since_epoch(seconds).map(Some).ok_or(WrongType),
            Some(_) => Err(WrongType),
        }
    }
}

/// One text.
pub(super) fn text(value: Option<&Value>) -> Result<Option<&str>, WrongType> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(WrongType),
    }
}

/// One text or a list of texts.
pub(crate) fn texts(value: Option<&Value>) -> Result<Vec<&str>, WrongType> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::String(only)) => Ok(vec![only]),
        Some(Value::Array(all)) => all.iter().map(|one| one.as_str().ok_or(WrongType)).collect(),
        Some(_) => Err(WrongType),
    }
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// A claim is not of the type that its definition gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongType;

fn since_epoch(seconds: &Number) -> Option<Duration> {
    match seconds.as_u64() {
        Some(whole) => Some(Duration::from_secs(whole)),
        // Before 1970 is past for every purpose here.
        None => Duration::try_from_secs_f64(seconds.as_f64()?.max(0.0)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Claims> {
        Claims::decode(&URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn a_name_may_not_occur_twice_at_any_depth() {
        assert!(read(r#"{"sub":"a","iss":"b"}"#).is_some());
        assert!(read(r#"{"sub":"a","sub":"b"}"#).is_none());
        assert!(read(r#"{"sub":"a","\u0073ub":"b"}"#).is_none());
        assert!(read(r#"{"x":[{"y":{"z":1,"z":1}}]}"#).is_none());
    }

    #[test]
    fn only_an_object_will_do() {
        for json in ["[]", "7", "\"a\"", "null", "{", "{} {}", "", "\u{feff}{}"] {
            assert!(read(json).is_none(), "{json}");
        }
    }

    #[test]
    fn nesting_and_numbers_are_bounded() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(read(&deep).is_none());
        assert!(read(r#"{"exp":1e309}"#).is_none());
        assert!(read(r#"{"exp":NaN}"#).is_none());
    }

    #[test]
    fn a_pointer_goes_down_and_a_name_does_not() {
        let claims = read(r#"{"a":{"b/c":["d"]},"https://x.example/roles":1,"a.b":2}"#).unwrap();
        let at = |path: &str| claims.at(&ClaimPath::new(path)).map(Value::to_string);
        assert_eq!(at("/a/b~1c").as_deref(), Some("[\"d\"]"));
        assert_eq!(at("https://x.example/roles").as_deref(), Some("1"));
        assert_eq!(at("a.b").as_deref(), Some("2"));
        for absent in ["/a/b", "/a/b~1c/d", "/", "a/b", "/x"] {
            assert_eq!(at(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_time_is_a_number_and_nothing_else() {
        let time = |json: &str| read(json).unwrap().time("exp");
        assert_eq!(time(r#"{"exp":1.5}"#).unwrap(), Some(Duration::from_millis(1500)));
        assert_eq!(time(r#"{"exp":-5}"#).unwrap(), Some(Duration::ZERO));
        assert_eq!(time("{}").unwrap(), None);
        for json in [r#"{"exp":"1"}"#, r#"{"exp":null}"#, r#"{"exp":[1]}"#, r#"{"exp":1e300}"#] {
            assert!(time(json).is_err(), "{json}");
        }
    }
}
