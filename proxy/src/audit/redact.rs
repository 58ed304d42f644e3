//! The arguments of a call, without what nobody shall read in them.

use serde_json::{Map, Value};

/// A copy in which whatever these members hold, at any depth, is not told. Arguments that are too long
/// are left out: events wait in memory.
pub(super) fn redacted(arguments: &Value, names: &[String]) -> Value {
    let mut left = MOST_BYTES;
    copy(arguments, names, &mut left).unwrap_or_else(|| LEFT_OUT.into())
}

/// None if there is more of it than may be told.
fn copy(value: &Value, names: &[String], left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    Some(match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => {
            *left = left.checked_sub(text.len())?;
            value.clone()
        }
        Value::Array(all) => {
            Value::Array(all.iter().map(|one| copy(one, names, left)).collect::<Option<_>>()?)
        }
        Value::Object(members) => {
            let mut told = Map::new();
            for (name, value) in members {
                *left = left.checked_sub(name.len())?;
                let hidden = names.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
                let value = if hidden { REDACTED.into() } else { copy(value, names, left)? };
                told.insert(name.clone(), value);
            }
            Value::Object(told)
        }
    })
}

const REDACTED: &str = "[redacted]";
const LEFT_OUT: &str = "[left out: more than 4 KiB]";
const MOST_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn named_members_are_hidden_at_any_depth_and_in_any_case() {
        let names = ["password".to_owned(), "token".to_owned()];
        let told = json!({"a": [{"Password": {"b": 1}, "c": "d"}], "token": null, "tokens": 1});
        let expected =
            json!({"a": [{"Password": REDACTED, "c": "d"}], "token": REDACTED, "tokens": 1});
        assert_eq!(redacted(&told, &names), expected);
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let of = |bytes: usize| redacted(&json!({ "text": "x".repeat(bytes) }), &[]);
        assert_ne!(of(4000), LEFT_OUT);
        assert_eq!(of(5000), LEFT_OUT);
        assert_eq!(redacted(&json!(vec![0; 5000]), &[]), LEFT_OUT);
        // What is hidden anyway takes no room.
        let hidden = json!({ "secret": "x".repeat(5000) });
        assert_eq!(redacted(&hidden, &["secret".to_owned()]), json!({ "secret": REDACTED }));
    }
}
