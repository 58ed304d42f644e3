//! `get_timestamp`: what time it is, and how that is written.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::given::given;
use super::scope::needs;
use super::text::Text;
use crate::backend::Backend;
use crate::clock::now;

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::get_timestamp_router()
}

#[tool_router(router = get_timestamp_router)]
impl Backend {
    #[tool(
        title = "Current time",
        description = "Tells the time, in a time zone and a format of your choice.",
        meta = needs("mcp:read"),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    pub(crate) fn get_timestamp(
        Parameters(wish): Parameters<Wish>,
    ) -> Result<Json<Timestamp>, String> {
        tell(now(), &wish).map(Json).map_err(|refused| refused.to_string())
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wish {
    /// How to write it, in the placeholders of strftime; otherwise like
    /// `2026-11-20 12:00:00 UTC`.
    #[schemars(extend("type" = "string"))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    format: Option<Text<128>>,
    /// An IANA time zone like Europe/Madrid; otherwise UTC.
    #[schemars(extend("type" = "string"))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    timezone: Option<Text<64>>,
    /// Whether to add the seconds since 1970.
    include_epoch: bool,
    /// A unit in which to add how long ago that was, which is none at all.
    #[schemars(with = "Unit")]
    #[serde(deserialize_with = "given")]
    relative: Option<Unit>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(clippy::enum_variant_names, reason = "as they are sent")]
enum Unit {
    SecondsAgo,
    MinutesAgo,
    HoursAgo,
    DaysAgo,
}

#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "as it is sent")]
pub(crate) struct Timestamp {
    /// The time as it was wished for.
    timestamp: String,
    /// The same in ISO 8601, with its distance from UTC.
    iso8601: String,
    /// The time zone that both are in.
    timezone: String,
    /// Seconds since 1970, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = "integer"))] // left out, never null
    epoch: Option<i64>,
    /// How long ago, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = "string"))]
    relative: Option<String>,
}

fn tell(now: DateTime<Utc>, wish: &Wish) -> Result<Timestamp, Unheard> {
    let zone = wish.timezone.as_ref().map_or("UTC", Text::as_str);
    let local = now.with_timezone(&zone.parse::<Tz>().map_err(|_| Unheard::Zone)?);
    let format = wish.format.as_ref().map_or(USUAL, Text::as_str);
    let mut timestamp = String::new();
    write!(timestamp, "{}", local.format(format)).map_err(|_| Unheard::Format)?;
    Ok(Timestamp {
        timestamp,
        iso8601: local.to_rfc3339(),
        timezone: zone.to_owned(),
        epoch: wish.include_epoch.then(|| now.timestamp()),
        relative: wish.relative.map(|unit| format!("0 {}", unit.ago())),
    })
}

impl Unit {
    fn ago(self) -> &'static str {
        match self {
            Self::SecondsAgo => "seconds ago",
            Self::MinutesAgo => "minutes ago",
            Self::HoursAgo => "hours ago",
            Self::DaysAgo => "days ago",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unheard {
    #[error("timezone: unknown; use a name of the IANA database like Europe/Madrid, or UTC")]
    Zone,
    #[error("format: not of strftime; use placeholders like %Y-%m-%d %H:%M:%S %Z")]
    Format,
}

const USUAL: &str = "%Y-%m-%d %H:%M:%S %Z";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(wish: Value) -> Result<Value, Unheard> {
        let noon = "2026-11-20T12:00:00Z".parse().unwrap();
        tell(noon, &serde_json::from_value(wish).unwrap())
            .map(|told| serde_json::to_value(told).unwrap())
    }

    #[test]
    fn tells_utc_by_default() {
        let expected = json!({
            "timestamp": "2026-11-20 12:00:00 UTC",
            "iso8601": "2026-11-20T12:00:00+00:00",
            "timezone": "UTC",
        });
        assert_eq!(told(json!({})), Ok(expected));
    }

    #[test]
    fn tells_all_that_it_is_asked_for() {
        let expected = json!({
            "timestamp": "20.11. 07h EST",
            "iso8601": "2026-11-20T07:00:00-05:00",
            "timezone": "America/New_York",
            "epoch": 1_795_176_000,
            "relative": "0 hours ago",
        });
        let wish = json!({
            "format": "%d.%m. %Hh %Z", "timezone": "America/New_York",
            "include_epoch": true, "relative": "hours_ago",
        });
        assert_eq!(told(wish), Ok(expected));
    }

    #[test]
    fn says_so_where_there_is_no_such_zone_or_format() {
        assert_eq!(told(json!({ "timezone": "Mars/Olympus" })), Err(Unheard::Zone));
        assert_eq!(told(json!({ "format": "%Y %" })), Err(Unheard::Format));
        assert_eq!(told(json!({ "format": "%!" })), Err(Unheard::Format));
    }
}
