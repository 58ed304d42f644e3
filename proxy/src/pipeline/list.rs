//! Lists of what there is, cut down to what their reader may use.

mod frames;
mod listing;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::{Act, Target};
use super::json;
pub(crate) use listing::Listing;

/// Cuts the list in one message of a server's, if there is one; none if nothing changes. What is left
/// stays as it was, letter by letter. `caches` says whether the reader takes a list for everybody's that
/// does not say whose it is (2026-07-28).
pub(super) fn cut(
    message: &str,
    caches: bool,
    may: impl Fn(&Act<'_>) -> bool,
) -> Result<Option<String>, Unreadable> {
    // Only once it is sure that no reader finds another list in it.
    let whole = json::read(message.as_bytes()).ok_or(Unreadable)?;
    if !whole.is_object() {
        return Err(Unreadable);
    }
    let is_list = |result: &Value| KINDS.iter().any(|(key, ..)| result.get(key).is_some());
    if !whole.get("result").is_some_and(is_list) {
        return Ok(None);
    }
    let mut message: Members = serde_json::from_str(message).map_err(|_| Unreadable)?;
    let result = message.get_mut("result").ok_or(Unreadable)?;
    let mut members: Members = serde_json::from_str(result.get()).map_err(|_| Unreadable)?;
    let mut changed = members.set_private(caches);
    for (key, name, act) in KINDS {
        if let Some(list) = members.get_mut(key) {
            changed |= cut_list(list, name, |name| may(&act(name)))?;
        }
    }
    if !changed {
        return Ok(None);
    }
    *result = members.to_raw()?;
    Ok(Some(message.to_string()))
}

/// Whether anything was taken out.
fn cut_list(
    list: &mut Box<RawValue>,
    key: &str,
    may: impl Fn(&str) -> bool,
) -> Result<bool, Unreadable> {
    let all: Vec<Box<RawValue>> = serde_json::from_str(list.get()).map_err(|_| Unreadable)?;
    let is_kept = |item: &&str| {
        let item: Option<Value> = serde_json::from_str(item).ok();
        item.as_ref().and_then(|item| item.get(key)?.as_str()).is_some_and(&may)
    };
    let kept: Vec<&str> = all.iter().map(|item| item.get()).filter(is_kept).collect();
    if kept.len() == all.len() {
        return Ok(false);
    }
    *list = raw(format!("[{}]", kept.join(",")))?;
    Ok(true)
}

/// What a list is called, what its entries are called by, and what one does with them.
type Kind = (&'static str, &'static str, fn(&str) -> Act<'_>);

const KINDS: [Kind; 4] = [
    ("tools", "name", |name| Act::on("tools/call", Target::Tool(name))),
    ("prompts", "name", |name| Act::on("prompts/get", Target::Prompt(name))),
    ("resources", "uri", |uri| Act::on("resources/read", Target::Resource(uri))),
    // A template is taken for one of the URIs that it makes.
    ("resourceTemplates", "uriTemplate", |uri| Act::on("resources/read", Target::Resource(uri))),
];

/// An object, in its own order.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn get_mut(&mut self, wanted: &str) -> Option<&mut Box<RawValue>> {
        self.0.iter_mut().find(|(name, _)| name == wanted).map(|(_, value)| value)
    }

    /// A list that was cut is nobody else's.
    fn set_private(&mut self, caches: bool) -> bool {
        let Ok(private) = raw("\"private\"".into()) else { return false };
        match self.get_mut("cacheScope") {
            Some(scope) if scope.get() == private.get() => false,
            Some(scope) => {
                *scope = private;
                true
            }
            None if caches => {
                self.0.push(("cacheScope".into(), private));
                true
            }
            None => false,
        }
    }

    fn to_raw(&self) -> Result<Box<RawValue>, Unreadable> {
        raw(self.to_string())
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", Value::from(name.as_str()), value.get())?;
        }
        f.write_str("}")
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = pairs.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn raw(text: String) -> Result<Box<RawValue>, Unreadable> {
    RawValue::from_string(text).map_err(|_| Unreadable)
}

/// What should hold a list cannot be read for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what may be a list cannot be read: it is no JSON-RPC message, too large, or compressed")]
pub(crate) struct Unreadable;

impl Unreadable {
    /// What stands in its place.
    pub(crate) fn message(id: Option<&Value>) -> String {
        let error = json!({ "code": INTERNAL_ERROR, "message": Self.to_string() });
        json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
    }
}

/// JSON-RPC 2.0 section 5.1.
const INTERNAL_ERROR: i32 = -32_603;

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what begins so may be used.
    fn cut_to(prefix: &str, message: &str) -> Result<Option<String>, Unreadable> {
        cut(message, false, |act| act.target.is_some_and(|on| on.name().starts_with(prefix)))
    }

    #[test]
    fn what_is_left_stays_as_it_was() {
        let message = r#"{ "id":12345678901234567890123, "jsonrpc":"2.0",
            "result":{"z":1.10,"tools":[ {"name":"get","b":[1e2],"a":"\u00e4"},
            {"name":"put"}, {"a":1,"name":"get_2"}],"nextCursor":"x","a":{}}}"#;
        assert_eq!(
            cut_to("get", message).unwrap().unwrap(),
            r#"{"id":12345678901234567890123,"jsonrpc":"2.0","result":{"z":1.10,"tools":[{"name":"get","b":[1e2],"a":"\u00e4"},{"a":1,"name":"get_2"}],"nextCursor":"x","a":{}}}"#
        );
        assert_eq!(cut_to("", message), Ok(None), "nothing to cut, nothing to write anew");
    }

    #[test]
    fn each_kind_of_list_is_cut_by_what_its_entries_are_called() {
        for (key, name) in [
            ("tools", "name"),
            ("prompts", "name"),
            ("resources", "uri"),
            ("resourceTemplates", "uriTemplate"),
        ] {
            let with =
                |list: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"{key}":{list}}}}}"#);
            let list = format!(r#"[{{"{name}":"a"}},{{"{name}":"b"}},{{}},7,{{"{name}":7}}]"#);
            let left = format!(r#"[{{"{name}":"a"}}]"#);
            assert_eq!(cut_to("a", &with(&list)), Ok(Some(with(&left))), "{key}");
            assert_eq!(cut_to("a", &with("7")), Err(Unreadable));
            assert_eq!(cut_to("c", &with(&list)), Ok(Some(with("[]"))));
        }
    }

    #[test]
    fn what_was_cut_is_private() {
        let list = |scope: &str| format!(r#"{{"result":{{"tools":[]{scope}}}}}"#);
        let own = list(r#","cacheScope":"private""#);
        let all = |_: &Act<'_>| true;
        assert_eq!(cut(&list(r#","cacheScope":"public""#), false, all), Ok(Some(own.clone())));
        assert_eq!(cut(&list(r#","cacheScope":null"#), true, all), Ok(Some(own.clone())));
        assert_eq!(cut(&own, true, all), Ok(None));
        assert_eq!(cut(&list(""), true, all), Ok(Some(own)), "unsaid, it would be everybody's");
        assert_eq!(cut(&list(""), false, all), Ok(None));
    }

    #[test]
    fn other_messages_pass_and_what_is_none_does_not() {
        for message in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"tools"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"tools"}]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        ] {
            assert_eq!(cut_to("a", message), Ok(None), "{message}");
        }
        for message in [
            "",
            "<html>",
            "[]",
            r#"[{"result":{"tools":[{"name":"b"}]}}]"#,
            r#"{"result":{"tools":[]},"result":{"tools":[{"name":"b"}]}}"#,
            r#"{"result":{"tools":[],"\u0074ools":[{"name":"b"}]}}"#,
            r#"{"result":{"tools":[{"name":"a","name":"b"}]}}"#,
            r#"{"result":{"tools":[]}} {"result":{"tools":[{"name":"b"}]}}"#,
        ] {
            assert_eq!(cut_to("a", message), Err(Unreadable), "{message}");
        }
    }
}
