//! What is told of a decision.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// One decision. What is not known is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    #[serde(serialize_with = "as_text")]
    pub(crate) time: SystemTime,
    pub(crate) verdict: Verdict,
    pub(crate) code: &'static str,
    /// What kind of event it is for those who look for attacks.
    #[serde(rename = "security_event", skip_serializing_if = "Option::is_none")]
    pub(crate) security: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<Box<str>>,
    pub(crate) resource: Box<str>,
    pub(crate) method: Box<str>,
    pub(crate) path: Box<str>,
    /// The MCP method and what it names, where a policy depends on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Box<str>>,
    /// If they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arguments: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<Box<str>>,
    /// One with a condition that was neither true nor false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shadow: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<Box<str>>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// The backend may have it.
    Permitted,
    /// It may not.
    Refused,
    /// A stream that was permitted may not go on.
    Ended,
}

/// To the millisecond, in UTC (RFC 3339).
fn as_text<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or_default();
    let time = DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or_default();
    serializer.collect_str(&format_args!("{time:?}"))
}
