//! A composition as it is written.

use std::hash::{Hash, Hasher};

use dozen_mapping::{Value, json};
use serde::{Deserialize, Serialize};

use super::read;

/// A composition as it is written: a mapping of calls by their names, and of the keys below beside them.
///
/// It stays a tree until it is compiled, so that a mistake can be told with the place where it stands. A call is
/// `{ get: "orders:/orders/{id}" }`, or with `post`, `put`, `patch` or `delete`; beside it may stand `body`, `headers`,
/// `pass-back`, `need`, `on-error`, `default`, `timeout`, `max` and `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Compose(pub Value);

/// Keys of a composition that are no calls.
pub(super) const KEYS: [&str; 7] = ["deadline", "max", "pass", "reply", "map", "status", "errors"];
/// Keys of a call, one of which says what is asked.
pub(super) const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

impl Compose {
    /// The services that it asks, in the order of the calls; one that is asked twice comes twice.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let members = self.0.as_object().into_iter().flat_map(|object| object.iter());
        let calls = members.filter(|(name, _)| !KEYS.contains(&&***name));
        calls.filter_map(|(_, call)| {
            let asked = METHODS.iter().find_map(|method| call.get(method))?;
            Some(read::service(asked.as_text()?).0)
        })
    }
}

impl Hash for Compose {
    fn hash<H: Hasher>(&self, state: &mut H) {
        json::write(&self.0).hash(state);
    }
}
