//! Request metadata: the query parameters `metadata.<key>=<value>`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::fault::Fault;

/// Metadata of a request or of one entry of a bulk, its keys in lower case: clients disagree on theirs.
pub(crate) type Metadata = BTreeMap<String, String>;

/// The metadata in a query. A bare `?` is an empty query.
pub(crate) fn metadata(query: Option<&str>) -> Metadata {
    pairs(query)
        .filter_map(|(key, value)| {
            Some((key.to_ascii_lowercase().strip_prefix("metadata.")?.to_owned(), value))
        })
        .collect()
}

/// The parameter `name` of a query.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    pairs(query).find(|(key, _)| key == name).map(|(_, value)| value)
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
    })
}

/// Percent-decodes. What is no escape, or no UTF-8 after it, stays as near to what was sent as text can be.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A true-or-false of request metadata. The JavaScript SDK sends some with quotes around them.
pub(crate) fn flag(metadata: &Metadata, name: &str) -> Result<bool, Fault> {
    match metadata.get(name).map(|value| value.trim_matches('"').to_ascii_lowercase()).as_deref() {
        None | Some("" | "false" | "f" | "0" | "no" | "n") => Ok(false),
        Some("true" | "t" | "1" | "yes" | "y") => Ok(true),
        Some(other) => Err(Fault::bad_request(
            "ERR_PUBSUB_REQUEST_METADATA",
            format!("metadata `{name}` must be true or false, not `{other}`"),
        )),
    }
}

/// The members of a JSON object, their names in lower case: Go's decoder does not look at case, and clients rely on it.
pub(crate) fn fold(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => {
            Some(map.into_iter().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect())
        }
        _ => None,
    }
}

/// The metadata in a member of a JSON object.
pub(crate) fn metadata_of(value: Option<Value>) -> Metadata {
    let members = value.and_then(fold).unwrap_or_default();
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    members.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_found_without_regard_to_case() {
        let found =
            metadata(Some("metadata.rawPayload=true&x=1&metadata.cloudevent.type=a%20b+c&metadata.e"));
        assert_eq!(found["rawpayload"], "true");
        assert_eq!(found["cloudevent.type"], "a b c");
        assert_eq!(found["e"], "");
        assert_eq!(found.len(), 3);
        assert!(metadata(Some("")).is_empty() && metadata(None).is_empty());
    }

    #[test]
    fn decoding_never_fails() {
        for (text, decoded) in
            [("a%2Fb", "a/b"), ("100%", "100%"), ("%zz", "%zz"), ("%e", "%e"), ("%FF", "\u{fffd}")]
        {
            assert_eq!(decode(text), decoded);
        }
    }
}
