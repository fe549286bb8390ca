//! JSON as the values that the evaluator knows, borrowing every text that has no escapes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A value that may borrow from the JSON it was read from.
pub(crate) type Boxed<'v> = Box<dyn Val + 'v>;

/// What of a document is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nothing: it is not referred to.
    Nothing,
    /// These members of it. The others are read over and not built, which is most of the cost.
    Members(BTreeSet<String>),
    /// All of it.
    All,
}

/// Reads a document; `None` when it is no JSON.
pub(crate) fn parse<'v>(text: &'v [u8], wanted: &Wanted) -> Option<Boxed<'v>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Seed { wanted }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// Takes a value that is parsed already. `size` counts it in bytes, by estimate; `None` when that goes over `limit`.
pub(crate) fn convert<'v>(value: &'v Value, size: &mut usize, limit: usize) -> Option<Boxed<'v>> {
    *size += 8;
    if *size > limit {
        return None;
    }
    Some(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (None, Some(whole)) => Box::new(CelUInt::from(whole)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => {
            *size += text.len();
            Box::new(CelString::from(text.as_str()))
        }
        Value::Array(items) => {
            let items: Option<Vec<Boxed<'v>>> = items.iter().map(|item| convert(item, size, limit)).collect();
            Box::new(CelList::from(items?))
        }
        Value::Object(members) => {
            let mut map = HashMap::with_capacity(members.len());
            for (name, value) in members {
                *size += name.len();
                map.insert(CelMapKey::String(name.as_str().into()), convert(value, size, limit)?);
            }
            Box::new(CelMap::from(map))
        }
    })
}

struct Seed<'w> {
    wanted: &'w Wanted,
}

impl<'v> DeserializeSeed<'v> for Seed<'_> {
    type Value = Boxed<'v>;

    fn deserialize<D: Deserializer<'v>>(self, reader: D) -> Result<Boxed<'v>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'v> Visitor<'v> for Seed<'_> {
    type Value = Boxed<'v>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Boxed<'v>, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Boxed<'v>, E> {
        Ok(Box::new(CelBool::from(truth)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Boxed<'v>, E> {
        Ok(Box::new(CelInt::from(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Boxed<'v>, E> {
        Ok(match i64::try_from(number) {
            Ok(whole) => Box::new(CelInt::from(whole)),
            Err(_) => Box::new(CelUInt::from(number)),
        })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Boxed<'v>, E> {
        Ok(Box::new(CelDouble::from(number)))
    }

    fn visit_borrowed_str<E>(self, text: &'v str) -> Result<Boxed<'v>, E> {
        Ok(Box::new(CelString::from(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Boxed<'v>, E> {
        Ok(Box::new(CelString::from(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'v>>(self, mut items: A) -> Result<Boxed<'v>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Seed { wanted: &Wanted::All })? {
            list.push(item);
        }
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'v>>(self, mut members: A) -> Result<Boxed<'v>, A::Error> {
        let mut map = HashMap::new();
        while let Some(name) = members.next_key_seed(Name)? {
            match self.wanted {
                Wanted::Members(wanted) if !wanted.contains(name.inner()) => {
                    members.next_value::<IgnoredAny>()?;
                }
                _ => {
                    let value = members.next_value_seed(Seed { wanted: &Wanted::All })?;
                    map.insert(CelMapKey::String(name), value);
                }
            }
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

/// The name of a member.
struct Name;

impl<'v> DeserializeSeed<'v> for Name {
    type Value = CelString<'v>;

    fn deserialize<D: Deserializer<'v>>(self, reader: D) -> Result<CelString<'v>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'v> Visitor<'v> for Name {
    type Value = CelString<'v>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'v str) -> Result<CelString<'v>, E> {
        Ok(CelString::from(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<CelString<'v>, E> {
        Ok(CelString::from(text.to_owned()))
    }
}
