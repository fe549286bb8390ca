//! What the sidecar says of itself, and what the app adds to it.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use dozen_core::Mutex;
use http::StatusCode;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::sidecar::Sidecar;
use crate::subscription::Subscription;

/// Entries that the app may add.
const EXTENDED_MAX: usize = 64;
/// Bytes of one of them.
const EXTENDED_BYTES_MAX: usize = 4096;

/// What the app added by `PUT /v1.0/metadata/{key}`.
#[derive(Debug, Default)]
pub(crate) struct Extended(Mutex<BTreeMap<String, String>>);

impl Extended {
    pub(crate) fn put(&self, key: &str, value: &[u8]) -> Result<Response, Fault> {
        let refused = |message: String| Err(Fault::bad_request("ERR_MALFORMED_REQUEST", message));
        let Ok(value) = std::str::from_utf8(value) else {
            return refused(format!("the value of metadata `{key}` must be text"));
        };
        if key.is_empty() || key.len() + value.len() > EXTENDED_BYTES_MAX {
            return refused(format!(
                "a metadata key and its value may be {EXTENDED_BYTES_MAX} bytes together"
            ));
        }
        let mut map = self.0.lock();
        if map.len() >= EXTENDED_MAX && !map.contains_key(key) {
            return refused(format!("there are {EXTENDED_MAX} metadata entries already"));
        }
        map.insert(key.to_owned(), value.to_owned());
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn to_value(&self) -> Value {
        let map = self.0.lock();
        let mut extended = json!({ "daprRuntimeVersion": env!("CARGO_PKG_VERSION") });
        for (key, value) in map.iter() {
            extended[key] = value.as_str().into();
        }
        extended
    }
}

/// `GET /v1.0/metadata`.
pub(crate) fn get(sidecar: &Sidecar) -> Response {
    let components: Vec<Value> = sidecar
        .options
        .pubsub_names
        .iter()
        .map(|name| {
            json!({ "name": name, "type": "pubsub.dozen", "version": "v1",
                    "capabilities": ["BULK_PUBSUB", "MESSAGE_TTL"] })
        })
        .collect();
    let subscriptions: Vec<Value> = sidecar.wanted.borrow().iter().map(Subscription::to_value).collect();
    let mut body = json!({
        "id": sidecar.options.app_id,
        "runtimeVersion": env!("CARGO_PKG_VERSION"),
        "components": components,
        "extended": sidecar.extended.to_value(),
        "subscriptions": subscriptions,
    });
    if let Some((host, port)) =
        sidecar.options.app_address.as_deref().and_then(|address| address.rsplit_once(':'))
    {
        body["appConnectionProperties"] =
            json!({ "port": port.parse::<u16>().unwrap_or(0), "protocol": "http", "channelAddress": host });
    }
    axum::Json(body).into_response()
}
