//! The door.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::item::Item;
use super::{Target, target_of, texts};

/// The door for requests from outside.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where it listens.
    pub listen: SocketAddr,
    /// In the order of the file.
    pub routes: Vec<Route>,
}

/// Which requests go where.
#[derive(Clone, Debug)]
pub struct Route {
    /// This host, or `*.suffix`; `None` is every host.
    pub host: Option<String>,
    /// A path template.
    pub path: String,
    /// These methods; empty is every method.
    pub methods: Vec<String>,
    /// Headers that must have this value; `*` is any.
    pub headers: BTreeMap<String, String>,
    /// Query parameters that must have this value; `*` is any.
    pub query: BTreeMap<String, String>,
    /// Where they go.
    pub to: Target,
    /// How long it may take; `None` is the service's own.
    pub timeout: Option<Duration>,
    /// The longest request body.
    pub body_max: u64,
}

pub(super) fn route(item: &Item, body_max: u64) -> Option<Route> {
    let matching = item.get("match")?;
    Some(Route {
        host: matching.text("host").map(str::to_ascii_lowercase),
        path: matching.text("path")?.to_owned(),
        methods: matching
            .list("method")
            .iter()
            .filter_map(|item| item.as_text().map(str::to_owned))
            .collect(),
        headers: texts(matching.get("headers")?)?,
        query: texts(matching.get("query")?)?,
        to: target_of(item)?,
        timeout: item.duration("timeout"),
        body_max: item.number("body-max").unwrap_or(body_max),
    })
}
