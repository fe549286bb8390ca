//! What an app asks for in its answer to `GET /dapr/subscribe`.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::query::{Metadata, flag, fold, metadata_of};

/// One topic that the app wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) pubsub: String,
    pub(crate) topic: String,
    /// Where its events are posted.
    pub(crate) route: Uri,
    /// Where events go that the app does not handle.
    pub(crate) dead_letter_topic: Option<String>,
    /// Events are shown as bytes, without their envelope.
    pub(crate) raw: bool,
    /// Events are posted in the format of a bulk; here each in one of its own.
    pub(crate) bulk: bool,
    pub(crate) metadata: Metadata,
}

/// More topics than this are a mistake.
const SUBSCRIPTIONS_MAX: usize = 1000;

/// The subscriptions in an answer, and a sentence for each part of it that is not followed.
pub(crate) fn read(body: &[u8], pubsub_names: &[String]) -> (Vec<Subscription>, Vec<String>) {
    let mut wanted: Vec<Subscription> = Vec::new();
    let mut remarks = Vec::new();
    if body.trim_ascii().is_empty() {
        return (wanted, remarks);
    }
    let entries = match serde_json::from_slice(body) {
        Ok(Value::Array(entries)) => entries,
        Ok(Value::Null) => Vec::new(),
        Ok(_) => {
            remarks.push("it is no JSON array; the app gets no events".to_owned());
            Vec::new()
        }
        Err(error) => {
            remarks.push(format!("it is no JSON ({error}); the app gets no events"));
            Vec::new()
        }
    };
    if entries.len() > SUBSCRIPTIONS_MAX {
        remarks.push(format!(
            "it has {} entries; only the first {SUBSCRIPTIONS_MAX} are followed",
            entries.len()
        ));
    }
    for (at, entry) in entries.into_iter().take(SUBSCRIPTIONS_MAX).enumerate() {
        let Some(entry) = fold(entry) else {
            remarks.push(format!("entry {at} is no object and is left out"));
            continue;
        };
        match read_entry(entry, pubsub_names, &mut remarks) {
            Ok(subscription) => {
                let is_same = |other: &Subscription| other.topic == subscription.topic;
                if wanted.iter().any(is_same) {
                    remarks.push(format!(
                        "entry {at} replaces an earlier one for topic `{}`",
                        subscription.topic
                    ));
                    wanted.retain(|other| !is_same(other));
                }
                wanted.push(subscription);
            }
            Err(why) => remarks.push(format!("entry {at} {why} and is left out")),
        }
    }
    (wanted, remarks)
}

fn read_entry(
    mut entry: Map<String, Value>,
    pubsub_names: &[String],
    remarks: &mut Vec<String>,
) -> Result<Subscription, String> {
    let mut text = |name: &str| match entry.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let pubsub = text("pubsubname").ok_or("names no `pubsubname`")?;
    let topic = text("topic").ok_or("names no `topic`")?;
    let route = text("route");
    let dead_letter_topic = text("deadlettertopic");
    if !pubsub_names.contains(&pubsub) {
        return Err(format!("names the pubsub `{pubsub}`; there is `{}`", pubsub_names.join("`, `")));
    }
    let mut routes = entry.remove("routes").and_then(fold).unwrap_or_default();
    let default = match routes.remove("default") {
        Some(Value::String(path)) if !path.is_empty() => Some(path),
        _ => None,
    };
    if routes.get("rules").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty()) {
        remarks.push(format!(
            "the rules for topic `{topic}` are not evaluated: all its events go to the default route"
        ));
    }
    let path = default.or(route).ok_or_else(|| format!("for topic `{topic}` has no default route"))?;
    let absolute = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
    let route = absolute
        .parse()
        .map_err(|_| format!("for topic `{topic}` has the route `{path}`, which is no path"))?;
    let metadata = metadata_of(entry.remove("metadata"));
    let raw = flag(&metadata, "rawpayload").unwrap_or_else(|_| {
        remarks
            .push(format!("`rawPayload` of topic `{topic}` is neither true nor false; it counts as false"));
        false
    });
    let bulk = entry.remove("bulksubscribe").and_then(fold).and_then(|mut bulk| bulk.remove("enabled"));
    let bulk = bulk == Some(Value::Bool(true));
    Ok(Subscription { pubsub, topic, route, dead_letter_topic, raw, bulk, metadata })
}

impl Subscription {
    /// As `GET /v1.0/metadata` shows it.
    pub(crate) fn to_value(&self) -> Value {
        json!({
            "pubsubname": self.pubsub,
            "topic": self.topic,
            "metadata": self.metadata,
            "rules": [{ "match": "", "path": self.route.to_string() }],
            "deadLetterTopic": self.dead_letter_topic.clone().unwrap_or_default(),
            "type": "PROGRAMMATIC",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> (Vec<Subscription>, Vec<String>) {
        read(body.as_bytes(), &["pubsub".to_owned()])
    }

    #[test]
    fn the_forms_of_the_sdks_are_read() {
        let (wanted, remarks) = check(
            r#"[{"pubsubname":"pubsub","topic":"a","route":"/a"},
                {"PubsubName":"pubsub","Topic":"b","routes":{"default":"b/x"},"deadLetterTopic":"dead"},
                {"pubsubname":"pubsub","topic":"c","route":"old","routes":{"default":"/new"},
                 "metadata":{"rawPayload":"\"true\""},"bulkSubscribe":{"enabled":true,"maxMessagesCount":5}}]"#,
        );
        assert_eq!(remarks, [""; 0]);
        let routes: Vec<String> = wanted.iter().map(|wanted| wanted.route.to_string()).collect();
        assert_eq!(routes, ["/a", "/b/x", "/new"]);
        assert_eq!(wanted[1].dead_letter_topic.as_deref(), Some("dead"));
        assert!(wanted[2].raw && wanted[2].bulk);
    }

    #[test]
    fn nothing_is_left_out_in_silence() {
        for (body, says) in [
            ("{", "no JSON"),
            ("{}", "no JSON array"),
            ("[7]", "no object"),
            (r#"[{"topic":"a","route":"/a"}]"#, "no `pubsubname`"),
            (r#"[{"pubsubname":"other","topic":"a","route":"/a"}]"#, "there is `pubsub`"),
            (r#"[{"pubsubname":"pubsub","topic":"a"}]"#, "no default route"),
            (r#"[{"pubsubname":"pubsub","topic":"a","route":"/a b"}]"#, "no path"),
            (
                r#"[{"pubsubname":"pubsub","topic":"a","routes":{"rules":[{"match":"x","path":"/x"}],"default":"/a"}}]"#,
                "rules for topic `a` are not evaluated",
            ),
            (
                r#"[{"pubsubname":"pubsub","topic":"a","route":"/1"},{"pubsubname":"pubsub","topic":"a","route":"/2"}]"#,
                "replaces an earlier one",
            ),
        ] {
            let (_, remarks) = check(body);
            assert!(remarks.len() == 1 && remarks[0].contains(says), "{body}: {remarks:?}");
        }
        for silent in ["", " ", "null", "[]"] {
            assert_eq!(check(silent), (vec![], vec![]), "{silent}");
        }
    }
}
