//! Texts that end.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A text of so many characters at most, in its schema as in its reading.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct Text<const MOST: usize>(String);

impl<const MOST: usize> Text<MOST> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> TryFrom<String> for Text<MOST> {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        // JSON Schema's maxLength, which clients check, counts characters and not bytes.
        if text.chars().count() > MOST { Err(TooLong(MOST)) } else { Ok(Self(text)) }
    }
}

impl<const MOST: usize> JsonSchema for Text<MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("TextOf{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MOST })
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("longer than {0} characters")]
pub(crate) struct TooLong(usize);
