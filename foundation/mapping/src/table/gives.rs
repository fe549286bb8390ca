//! What a rule gives when all goes well.

use super::rule::{From, Into, Make, Other};
use super::schema::{Part, kind_of};
use super::target::known_kind;

/// The types of JSON Schema that it gives; none where that is not known.
pub(super) fn gives(make: &Make, scopes: &[Part<'_>]) -> Option<Vec<&'static str>> {
    match make {
        Make::Constant(value) => Some(vec![kind_of(&value.approximate())]),
        Make::Template(_) => Some(vec!["string"]),
        Make::Object(_) => Some(vec!["object"]),
        Make::Jq(_) => None,
        Make::From(from) if from.count.is_list() => Some(vec!["array"]),
        Make::From(from) => of_one(from, scopes),
    }
}

fn of_one(from: &From, scopes: &[Part<'_>]) -> Option<Vec<&'static str>> {
    match &from.into {
        Into::Converted(convert) => convert.gives().map(|kind| vec![kind]),
        Into::Object(_) => Some(vec!["object"]),
        Into::Listed(list) => {
            let other = match &list.other {
                Other::Value(value) => Some(value),
                _ => None,
            };
            let values = list.words.iter().map(|(_, value)| value).chain(other);
            Some(values.map(|value| kind_of(&value.approximate())).collect())
        }
        Into::Same => {
            let mut all = Vec::new();
            for path in &from.paths {
                all.extend(Part::look(scopes, path).part.types()?.into_iter().filter_map(known_kind));
            }
            // A null of the input counts as nothing.
            all.retain(|kind| *kind != "null");
            Some(all)
        }
    }
}
