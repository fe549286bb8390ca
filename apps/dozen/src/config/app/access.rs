//! Who may pass the gateway, and how often.

use std::collections::BTreeMap;
use std::path::Path;

use dozen_gateway::access::AccessOptions;
use dozen_gateway::auth::{KeySource, MethodOptions};
use serde_json::from_value;

use super::super::item::Item;
use super::json::json;

/// What all routes share, as it stands in the file.
#[derive(Clone, Copy)]
pub(crate) struct AccessItems<'i> {
    /// The gateway's section.
    pub(crate) gateway: &'i Item,
    /// Where relative paths start from.
    pub(crate) folder: &'i Path,
}

impl AccessItems<'_> {
    /// The gateway's own options. What is wrong is left out, and told with the entry that it stands in.
    pub(crate) fn read(self, mut wrong: impl FnMut(&Item, String)) -> AccessOptions {
        AccessOptions {
            identity: self.each("identity", |item| self.method(item), &mut wrong),
            consumers: self.each("consumers", |item| from_value(json(item)).map_err(said), &mut wrong),
            plans: self.each("plans", |item| from_value(json(item)).map_err(said), &mut wrong),
            shed: self
                .gateway
                .get("shed")
                .and_then(|item| from_value(json(item)).map_err(|error| wrong(item, said(error))).ok()),
        }
    }

    fn each<T>(
        self,
        section: &str,
        read: impl Fn(&Item) -> Result<T, String>,
        wrong: &mut impl FnMut(&Item, String),
    ) -> BTreeMap<String, T> {
        let mut all = BTreeMap::new();
        for field in self.gateway.get(section).map(Item::fields).unwrap_or_default() {
            match read(&field.item) {
                Ok(one) => drop(all.insert(field.name.clone(), one)),
                Err(problem) => wrong(&field.item, problem),
            }
        }
        all
    }

    fn method(self, item: &Item) -> Result<MethodOptions, String> {
        let mut method = from_value(json(item)).map_err(said)?;
        if let MethodOptions::Jwt(jwt) = &mut method
            && let KeySource::File(path) = &mut jwt.keys
        {
            *path = self.folder.join(&*path);
        }
        Ok(method)
    }
}

fn said(error: serde_json::Error) -> String {
    error.to_string()
}
