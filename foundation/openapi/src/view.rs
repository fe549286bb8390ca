//! What is told of messages, as JSON.

use dozen_core::Message;
use dozen_messaging::{Delivery, Part};
use dozen_store::Failure;
use serde_json::{Value, json};

use crate::Handle;

/// A message as a CloudEvent.
pub fn message(message: &Message) -> Value {
    let mut event = message.to_value();
    // The media type that an absent one stands for, for clients that do not know the rule.
    if let Some(event) = event.as_object_mut()
        && event.contains_key("data")
    {
        event.entry("datacontenttype").or_insert_with(|| "application/json".into());
    }
    event
}

/// A message in a receiver's hands.
pub fn delivery(delivery: &Delivery, parts: &[Part]) -> Value {
    json!({
        "lease": Handle::of(delivery, parts).text(),
        "attempts": delivery.attempts,
        "until": delivery.until.to_string(),
        "stored": delivery.stored.to_string(),
        "message": message(&delivery.message),
    })
}

/// What went wrong with a message, oldest first.
pub fn failures(failures: &[Failure]) -> Value {
    let told = |failure: &Failure| {
        json!({
            "claimed": failure.claimed.map(|moment| moment.to_string()),
            "at": failure.at.to_string(),
            "error": failure.error,
        })
    };
    failures.iter().map(told).collect()
}
