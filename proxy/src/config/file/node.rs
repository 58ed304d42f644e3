//! A tree of text: what a file says before anybody asks what it means.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;

use crate::config::invalid::Wrong;

/// YAML without its types: `8080`, `"8080"` and `${PORT}` are the same kind of thing.
pub(super) enum Node {
    Nothing,
    Text(String),
    List(Vec<Node>),
    /// Repeated keys are kept, so that they can be told.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn read(text: &str) -> Result<Self, serde_yaml::Error> {
        let mut root = Self::deserialize(Deserializer::from_str(text))?;
        Spelling(&mut root).deserialize(Deserializer::from_str(text))?;
        Ok(root)
    }

    pub(super) fn text(self) -> Result<String, Wrong> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Nothing => Err(Wrong::new("it has no value", "give it one, or remove the line")),
            Self::List(_) | Self::Map(_) => {
                Err(Wrong::new("a single value is expected", "write one value on the same line"))
            }
        }
    }

    pub(super) fn show(&self) -> String {
        match self {
            Self::Nothing => "nothing".into(),
            Self::Text(text) => format!("{text:?}"),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a section".into(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a section")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = pairs.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

/// Reads a tree once more, for the spelling of what YAML takes for numbers: `+49`, `1.10` and `12e4` are
/// names and secrets, too.
struct Spelling<'n>(&'n mut Node);

impl<'de> DeserializeSeed<'de> for Spelling<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Node::Nothing => IgnoredAny::deserialize(deserializer).map(|IgnoredAny| ()),
            Node::Text(text) => String::deserialize(deserializer).map(|spelt| *text = spelt),
            Node::List(_) => deserializer.deserialize_seq(self),
            Node::Map(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Spelling<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was there a moment ago")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if let Node::List(nodes) = self.0 {
            for node in nodes {
                items.next_element_seed(Spelling(node))?;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        if let Node::Map(entries) = self.0 {
            for (_, node) in entries {
                pairs.next_key::<IgnoredAny>()?;
                pairs.next_value_seed(Spelling(node))?;
            }
        }
        Ok(())
    }
}
