//! Gives clients names (RFC 7591). What a client said is in its name, so that nobody must remember it.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::Desk;
use super::client::Registered;
use super::refused::Refused;
use crate::front::seal::For;
use crate::pipeline::front::Reply;
use crate::reason::Reason;

impl Desk<'_> {
    pub(super) fn register(&self) -> Result<Reply, Refused> {
        let asked: Value = serde_json::from_slice(self.caller.body)
            .map_err(|_| Refused::Registration("it is no JSON"))?;
        let uris = redirect_uris(&asked)?;
        if !uris.iter().all(|uri| self.may_send_to(uri)) {
            return Err(Refused::Registration("redirect_uris"));
        }
        for (member, known) in [("grant_types", &GRANTS[..]), ("response_types", &["code"])] {
            let good = |kind: &Value| kind.as_str().is_some_and(|kind| known.contains(&kind));
            let named = asked.get(member).and_then(Value::as_array);
            // A client may be able to do more than it is given.
            if named.is_some_and(|kinds| !kinds.is_empty() && !kinds.iter().any(good)) {
                return Err(Refused::Registration("what it wants to do is not done here"));
            }
        }
        let name = asked.get("client_name").and_then(Value::as_str).map(shortened);
        let registered = Registered { uris: uris.clone(), name: name.clone() };
        let now = self.caller.now;
        let to = For { purpose: "client", whom: &[self.origin()] };
        let sealed = self.front.seal.seal(to, &registered, now + KEPT);
        let id = sealed.ok_or(Refused::Registration("it is too long"))?;
        let issued = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut told = json!({
            "client_id": id,
            "client_id_issued_at": issued,
            "redirect_uris": uris,
            "grant_types": GRANTS,
            "response_types": ["code"],
            // Whatever was asked for: a secret that anybody is given is none.
            "token_endpoint_auth_method": "none",
        });
        if let (Some(told), Some(name)) = (told.as_object_mut(), name) {
            told.insert("client_name".into(), name.into());
        }
        Ok(Reply::json(Reason::Front, StatusCode::CREATED, &told))
    }
}

/// Those that a client lists, some and not many.
pub(super) fn redirect_uris(asked: &Value) -> Result<Vec<String>, Refused> {
    let wrong = Refused::Registration("redirect_uris");
    let listed = asked.get("redirect_uris").and_then(Value::as_array).ok_or(wrong)?;
    let texts: Option<Vec<String>> =
        listed.iter().map(|uri| uri.as_str().map(str::to_owned)).collect();
    texts.filter(|uris| (1..=MOST_URIS).contains(&uris.len())).ok_or(wrong)
}

/// As much of a name as people read.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

const GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];
const MOST_URIS: usize = 10;
const LONGEST_NAME: usize = 80;
/// Clients keep their names for as long as they live; the keys that seal them end earlier.
const KEPT: Duration = Duration::from_hours(24 * 365 * 10);
