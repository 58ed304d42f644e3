//! The issuer's metadata, for clients that look for it here.
//!
//! `issuer` in it is the issuer's own, since its tokens and answers name that. Clients that compare it with
//! where they have looked (RFC 8414 section 3.3) turn away, and are right: the resource's metadata tells
//! them of the issuer. Those from before that compare nothing.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::pipeline::front::Reply;
use crate::reason::Reason;

pub(super) fn answer(metadata: Option<Map<String, Value>>) -> Reply {
    match metadata {
        Some(metadata) => Reply::public(Reason::Mirror, Value::Object(metadata).to_string().into()),
        None => unavailable(),
    }
}

/// Nothing is known of the issuer.
pub(super) fn unavailable() -> Reply {
    let why = "the authorization server's metadata cannot be had now; try again";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Reply::error(Reason::FrontUnavailable, status, "temporarily_unavailable", why).retry_after("5")
}
