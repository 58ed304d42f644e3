//! Places in the tree, and a way to arrive at one.

use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;

/// One step down the tree; a key's number tells a repeated one from the first.
#[derive(Clone)]
pub(crate) enum Step {
    Key(String, usize),
    Index(usize),
}

pub(super) fn child(at: &[Step], step: Step) -> Vec<Step> {
    at.iter().cloned().chain([step]).collect()
}

pub(super) fn show_path(at: &[Step]) -> String {
    let show = |step: &Step| match step {
        Step::Key(key, _) => format!(".{key}"),
        Step::Index(index) => format!("[{index}]"),
    };
    at.iter().map(show).collect::<String>().trim_start_matches('.').to_owned()
}

/// The line on which what `at` names begins: a key, or an entry of a list.
///
/// serde tells no positions, but its errors do: read the text again and fail on arrival.
pub(crate) fn line(text: &str, at: &[Step]) -> Option<usize> {
    let arrived = Probe(at).deserialize(Deserializer::from_str(text)).err()?;
    arrived.location().map(|location| location.line())
}

/// Fails exactly at the end of its path.
struct Probe<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another shape: the path ends here")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Index(wanted), rest)) = self.0.split_first() else {
            return Err(de::Error::custom("arrived"));
        };
        for _ in 0..*wanted {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Probe(rest))?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted, nth), rest)) = self.0.split_first() else {
            return Err(de::Error::custom("arrived"));
        };
        let mut nth = *nth;
        while let Some(here) =
            pairs.next_key_seed(KeyProbe { wanted, last: rest.is_empty() && nth == 0 })?
        {
            if here && nth == 0 {
                pairs.next_value_seed(Probe(rest))?;
            } else {
                nth -= usize::from(here);
                pairs.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Tells whether a key is the wanted one, and fails on it when the path ends there.
struct KeyProbe<'p> {
    wanted: &'p str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for KeyProbe<'_> {
    type Value = bool;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyProbe<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.last => Err(E::custom("arrived")),
            same => Ok(same),
        }
    }
}
