//! One JSON-RPC message.

use serde_json::{Map, Value};

use super::{Act, Garbled, Target, Unclear};
use crate::pipeline::json;

/// A message that every reader takes for the same one.
#[derive(Debug)]
pub(super) struct Message(Map<String, Value>);

impl Message {
    pub(super) fn read(body: &[u8]) -> Result<Self, Unclear> {
        let message = match json::read(body).ok_or(Garbled::Json)? {
            Value::Object(members) => Self(members),
            Value::Array(_) => return Err(Garbled::Batch.into()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(Garbled::Message.into());
            }
        };
        message.check_envelope()?;
        match message.check_params() {
            Ok(()) => Ok(message),
            Err(why) => Err(message.unclear(why)),
        }
    }

    /// A request, a notification or a response, and no mixture.
    fn check_envelope(&self) -> Result<(), Garbled> {
        let has = |name| self.0.contains_key(name);
        let is_marked = self.0.get("jsonrpc").is_some_and(|version| version == "2.0");
        let id_is_good = self.0.get("id").is_none_or(|id| id.is_string() || id.is_number());
        let is_one_kind = match self.0.get("method") {
            Some(Value::String(method)) => !method.is_empty() && !has("result") && !has("error"),
            Some(_) => false,
            None => has("id") && !has("params") && (has("result") != has("error")),
        };
        if is_marked && id_is_good && is_one_kind && is_plain(&self.0, &ENVELOPE) {
            Ok(())
        } else {
            Err(Garbled::Message)
        }
    }

    fn check_params(&self) -> Result<(), Garbled> {
        let plain = match self.0.get("params") {
            None => true,
            Some(Value::Object(params)) => {
                let inner = |name, known: &[&str]| match params.get(name) {
                    Some(Value::Object(members)) => is_plain(members, known),
                    Some(_) | None => true,
                };
                is_plain(params, &PARAMS)
                    && inner("ref", &["type", "name", "uri"])
                    && inner("notifications", &["resourceSubscriptions"])
            }
            Some(_) => false,
        };
        let names_what_it_must = match self.method() {
            "tools/call" | "prompts/get" => self.text("name").is_some(),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                self.text("uri").is_some()
            }
            "completion/complete" => self.completed().is_some(),
            "subscriptions/listen" => self.watched().is_some(),
            _ => true,
        };
        if plain && names_what_it_must { Ok(()) } else { Err(Garbled::Params) }
    }

    pub(super) fn method(&self) -> &str {
        self.0.get("method").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn id(&self) -> Option<&Value> {
        self.0.get("id")
    }

    /// Whether somebody waits for an answer to it.
    pub(super) fn is_request(&self) -> bool {
        self.0.contains_key("method") && self.0.contains_key("id")
    }

    pub(super) fn unclear(&self, why: Garbled) -> Unclear {
        Unclear { why, id: self.id().cloned() }
    }

    /// What 2026-07-28 mirrors into `Mcp-Name`; and whether it must be there.
    pub(super) fn mirrored(&self) -> Option<(&str, bool)> {
        match self.method() {
            "tools/call" | "prompts/get" => Some((self.text("name")?, true)),
            "resources/read" => Some((self.text("uri")?, true)),
            "resources/subscribe" | "resources/unsubscribe" => Some((self.text("uri")?, false)),
            method if method.starts_with("tasks/") => Some((self.text("taskId")?, false)),
            _ => None,
        }
    }

    pub(super) fn acts(&self) -> Vec<Act<'_>> {
        let method = self.method();
        let arguments = self.params().and_then(|params| params.get("arguments"));
        let act = |target| Act { method, target, arguments };
        let one = match method {
            "tools/call" => self.text("name").map(Target::Tool),
            "prompts/get" => self.text("name").map(Target::Prompt),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                self.text("uri").map(Target::Resource)
            }
            "completion/complete" => self.completed(),
            "subscriptions/listen" => {
                let watched = self.watched().unwrap_or_default();
                let resources = watched.into_iter().map(|uri| act(Some(Target::Resource(uri))));
                return std::iter::once(act(None)).chain(resources).collect();
            }
            _ => None,
        };
        vec![act(one)]
    }

    /// What values are completed of.
    fn completed(&self) -> Option<Target<'_>> {
        let of = self.params()?.get("ref")?;
        let text = |name: &str| of.get(name)?.as_str();
        match text("type")? {
            "ref/prompt" => text("name").map(Target::Prompt),
            "ref/resource" => text("uri").map(Target::Resource),
            _ => None,
        }
    }

    /// The resources whose changes are to be told.
    fn watched(&self) -> Option<Vec<&str>> {
        let listed = self.params().and_then(|params| params.get("notifications"));
        match listed.and_then(|wanted| wanted.get("resourceSubscriptions")) {
            None => Some(Vec::new()),
            Some(Value::Array(uris)) => uris.iter().map(Value::as_str).collect(),
            Some(_) => None,
        }
    }

    /// What is said about the message, beside what it asks for.
    pub(super) fn meta(&self, name: &str) -> Option<&str> {
        self.params()?.get("_meta")?.get(name)?.as_str()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.params()?.get(name)?.as_str()
    }

    fn params(&self) -> Option<&Map<String, Value>> {
        self.0.get("params")?.as_object()
    }
}

/// Whether none of the names is a known one to some reader and an unknown one to others: there are
/// decoders that do not tell capitals, nor what folds into the same letters.
fn is_plain(members: &Map<String, Value>, known: &[&str]) -> bool {
    members.keys().all(|name| {
        known.contains(&name.as_str())
            || name.len() > LONGEST_SPELLING
            || !known.iter().any(|known| folded(known).eq(folded(name)))
    })
}

/// Upwards, then down: so `ſ` is an `s`, and the sign for Kelvin a `k`.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: [&str; 7] = ["_meta", "arguments", "name", "notifications", "ref", "taskId", "uri"];

/// No known name is as long, whatever its letters are folded from.
const LONGEST_SPELLING: usize = 128;
