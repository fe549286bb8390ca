//! Writes, while two systems have the data: one of them decides, the other is fed.
//!
//! ```text
//!  client ─ write ─► begin(id) ─► authority ─► end(id, took) ─► stream feature-writes/NAME ─► Applier ─► the other side
//!                    an intent row             entry instead     in order, by key           idempotency-key: id
//!                                                                                           then read both, compare
//! ```
//!
//! Writing to two systems is two transactions, and the order in which they fail decides who is right. Here one side is the
//! *authority*; the other gets every write that the authority took, at least once and under one idempotency key, in order by
//! key. How far it is behind and whether the two end up equal goes into the gate.
//!
//! Exact is the feed where the service of the authority appends to it in its own transaction ([`Feed::append_in`]). A gateway
//! cannot do that for it. It writes its intent first ([`Feed::begin`]) and its outcome afterwards; an intent without an outcome
//! is a write of which nobody knows whether it happened, and is shown and counted as such ([`Feed::unsettled`]).

mod applier;
mod feed;

use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use dozen_core::{Message, Timestamp};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::Side;
use crate::send::Request;
pub use applier::Applier;
pub use feed::Feed;

/// The header that says that a request comes from the feed, and from nobody who could show who they are.
const FEED: &str = "dozen-feed";

/// A write, as it goes to the side that is fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Write {
    /// The idempotency key: the client's, or one of the gateway's.
    pub id: String,
    /// What orders writes; those with different keys overtake each other.
    pub key: String,
    /// The side that is fed.
    pub to: Side,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers that matter: the content's type, whoever asks.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "body", default)]
    pub body: Bytes,
    /// The path to read on both sides once it is applied, to see whether they are equal. Without it nothing is compared.
    #[serde(default)]
    pub look: Option<String>,
}

mod body {
    use super::{BASE64, Bytes, Deserialize};
    use base64::Engine as _;
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64.encode(body))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?).map(Bytes::from).map_err(de::Error::custom)
    }
}

impl Write {
    /// The type of its message.
    pub const KIND: &str = "dozen.feature.write";

    fn message(&self, feature: &str, now: Timestamp) -> Message {
        let mut message = Message::new(&*self.id, "/dozen/features", Self::KIND);
        message.time = Some(now);
        message.subject = Some(feature.to_owned());
        // A plain struct with text keys.
        let data = serde_json::to_vec(self).unwrap_or_default();
        message.with_key(self.key.clone()).with_data(Some("application/json"), data)
    }

    fn request(&self) -> Result<Request, String> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(self.target.as_str());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(self.body.clone()).map_err(|error| error.to_string())?;
        let key = HeaderValue::from_str(&self.id).map_err(|error| error.to_string())?;
        request.headers_mut().insert("idempotency-key", key);
        request.headers_mut().insert(FEED, HeaderValue::from_static("true"));
        Ok(request)
    }
}

#[cfg(test)]
mod tests;
