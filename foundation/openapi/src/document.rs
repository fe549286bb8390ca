//! The OpenAPI document, joined from the fragments of the patterns.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::header;
use serde_json::{Map, Value, json};

/// What all fragments refer to: problems, CloudEvents, leases, and the operation that serves the document.
const SHARED: &str = include_str!("shared.json");

/// Joins fragments, each an object with `tags`, `paths` and `components`, into one OpenAPI 3.1 document. A name that two
/// fragments give is taken from the later one.
pub fn document(version: &str, fragments: &[&str]) -> Value {
    let mut joined = Map::new();
    for fragment in std::iter::once(&SHARED).chain(fragments) {
        match serde_json::from_str(fragment) {
            Ok(Value::Object(fragment)) => join(&mut joined, fragment),
            // A fragment is part of the program, and every one is read by a test.
            _ => tracing::error!("a fragment of the API's description cannot be read"),
        }
    }
    joined.insert("openapi".into(), "3.1.0".into());
    joined.insert(
        "info".into(),
        json!({
            "title": "dozen",
            "version": version,
            "description": "Queues and topics over HTTP. Durations are written `300ms`, `2s`, `5m`, `1h`, `7d`; \
                            moments as RFC 3339; messages are CloudEvents 1.0.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        }),
    );
    Value::Object(joined)
}

fn join(into: &mut Map<String, Value>, fragment: Map<String, Value>) {
    for (name, value) in fragment {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(here)), Value::Object(more)) => join(here, more),
            (Some(Value::Array(here)), Value::Array(more)) => here.extend(more),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

/// The operations of a document: method in lower case, and path.
pub fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = |(path, item): (&String, &Value)| {
        let item = item.as_object().cloned().unwrap_or_default();
        let path = path.clone();
        let verbs = item.into_iter().map(|(name, _)| name).filter(|name| name != "parameters");
        verbs.map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    paths.flat_map(methods).collect()
}

/// Serves `document` at `/dozen/v1/openapi.json`.
pub fn served(document: &Value) -> Router {
    let text: Arc<str> = document.to_string().into();
    let answer = move || {
        let text = text.to_string();
        async move { ([(header::CONTENT_TYPE, "application/json")], text) }
    };
    Router::new().route("/dozen/v1/openapi.json", get(answer))
}
