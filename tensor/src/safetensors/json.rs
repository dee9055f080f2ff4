//! JSON objects whose keys must differ: `serde_json` alone would take the last of two equal ones.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// The entries of an object, sorted by key, every key once.
pub(super) struct Entries<V>(pub(super) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Collect<V> {
            type Value = Entries<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map.next_value().map_err(|e| A::Error::custom(format_args!("{key:?}: {e}")))?;
                    entries.push((key, value));
                }
                sorted(entries).map(Entries).map_err(|key| A::Error::custom(format_args!("{key:?} stands there twice")))
            }
        }
        deserializer.deserialize_map(Collect(PhantomData))
    }
}

/// `entries` in order of their keys, or the key that is there twice.
pub(super) fn sorted<V>(mut entries: Vec<(String, V)>) -> Result<Vec<(String, V)>, String> {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    match entries.windows(2).position(|pair| pair[0].0 == pair[1].0) {
        Some(twice) => Err(entries.swap_remove(twice).0),
        None => Ok(entries),
    }
}
