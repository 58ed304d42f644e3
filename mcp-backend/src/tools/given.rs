//! Arguments that may be left out.

use serde::{Deserialize, Deserializer};

/// What is there must be what the schema says, and `null` is none of that.
pub(super) fn given<'de, T, D>(value: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(value).map(Some)
}
