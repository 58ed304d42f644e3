//! What a body must be: an object. Derived readers take a list of the members' values for one, too.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Read from an object, and from nothing else.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::Object;

    #[derive(Deserialize)]
    struct Pair {
        a: Option<u8>,
        #[serde(default)]
        b: Option<u8>,
    }

    #[test]
    fn a_list_is_no_object() {
        let read =
            |text| serde_json::from_str::<Object<Pair>>(text).map(|pair| (pair.0.a, pair.0.b));
        assert_eq!(read(r#"{"a":1,"b":null}"#).unwrap(), (Some(1), None));
        for text in ["[1, 2]", "[null, null]", "null", "7", r#"{"a":1,"a":2}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
