//! What conditions are evaluated on: JSON as CEL takes it, and how large it is.

use std::collections::HashMap;
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Number, Value};

use super::claims::Claims;
use crate::config::Claimed;

/// A value, and bounds on what it takes to go through it.
pub(super) struct Material {
    value: Box<dyn Val>,
    extent: Extent,
}

/// How large something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Entries of its largest list or table.
    pub(super) widest: usize,
    /// Bytes of its longest text.
    pub(super) longest: usize,
    /// What it takes in memory, about.
    pub(super) bytes: usize,
}

impl Extent {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            widest: self.widest.max(other.widest),
            longest: self.longest.max(other.longest),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn text(text: &str) -> Self {
        Self { widest: 0, longest: text.len(), bytes: ENTRY + text.len() }
    }

    fn of_all(parts: impl ExactSizeIterator<Item = Self>) -> Self {
        let itself = Self { widest: parts.len(), longest: 0, bytes: ENTRY };
        parts.fold(itself, Self::and)
    }
}

impl Material {
    /// Those claims that conditions ask for, as far as the token has them.
    pub(super) fn of_claims(claims: &Claims, wanted: &Claimed) -> Self {
        match wanted {
            Claimed::All => Self::table(claims.iter().map(|(name, value)| (name, value.into()))),
            Claimed::Only(names) => Self::table(
                names.iter().filter_map(|name| claims.get(name).map(|value| (name, value.into()))),
            ),
        }
    }

    pub(super) fn text(text: &str) -> Self {
        Self { value: Box::new(CelString::from(text.to_owned())), extent: Extent::text(text) }
    }

    pub(super) fn list(items: impl Iterator<Item = Self>) -> Self {
        let items: Vec<Self> = items.collect();
        let extent = Extent::of_all(items.iter().map(|item| item.extent));
        let items: Vec<Box<dyn Val>> = items.into_iter().map(|item| item.value).collect();
        Self { value: Box::new(CelList::from(items)), extent }
    }

    pub(super) fn table<N: AsRef<str>>(entries: impl Iterator<Item = (N, Self)>) -> Self {
        let entries: Vec<(N, Self)> = entries.collect();
        let extents =
            entries.iter().map(|(name, entry)| Extent::text(name.as_ref()).and(entry.extent));
        let extent = Extent::of_all(extents);
        let entries = entries.into_iter();
        let entries: HashMap<CelMapKey<'static>, Box<dyn Val>> = entries
            .map(|(name, entry)| (CelMapKey::String(name.as_ref().to_owned().into()), entry.value))
            .collect();
        Self { value: Box::new(CelMap::from(entries)), extent }
    }

    pub(super) fn value(&self) -> &dyn Val {
        self.value.as_ref()
    }

    pub(super) fn extent(&self) -> Extent {
        self.extent
    }
}

impl From<&Value> for Material {
    fn from(value: &Value) -> Self {
        let small = |value| Self { value, extent: Extent { bytes: ENTRY, ..Extent::default() } };
        match value {
            Value::Null => small(Box::new(CelNull)),
            Value::Bool(yes) => small(Box::new(CelBool::from(*yes))),
            Value::Number(number) => small(number_value(number)),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::list(items.iter().map(Self::from)),
            Value::Object(members) => {
                Self::table(members.iter().map(|(name, value)| (name, value.into())))
            }
        }
    }
}

/// CEL compares numbers by what they are worth, of whichever kind they are.
fn number_value(number: &Number) -> Box<dyn Val> {
    if let Some(whole) = number.as_i64() {
        return Box::new(CelInt::from(whole));
    }
    if let Some(whole) = number.as_u64() {
        return Box::new(CelUInt::from(whole));
    }
    Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({:?})", self.extent)
    }
}

/// A boxed value and its place in a table.
const ENTRY: usize = 96;
