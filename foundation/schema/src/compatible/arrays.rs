//! Arrays: their elements by place, the rest of them, and how many there are.

use serde_json::{Map, Value};

use super::draft::Draft;
use super::shape::Shape;
use super::walk::Walk;

/// Allows everything, which is what an absent keyword does.
static ANYTHING: Value = Value::Bool(true);

impl Walk<'_> {
    pub(super) fn arrays(&mut self, writer: &Shape, reader: &Map<String, Value>) {
        self.sizes(writer, reader, "minItems", "maxItems", "elements");
        let unique = |side: &Map<String, Value>| side.get("uniqueItems") == Some(&Value::Bool(true));
        let at_most_one = writer.number("maxItems").is_some_and(|most| most <= 1.0);
        if unique(reader) && !unique(&writer.0) && !at_most_one {
            self.certain("equal elements are refused now");
        }
        let (own, own_rest) = elements(&writer.0, self.draft);
        let (asked, asked_rest) = elements(reader, self.draft);
        for place in 0..own.len().max(asked.len()) {
            let own = own.get(place).unwrap_or(own_rest);
            self.at(&place.to_string(), own, asked.get(place).unwrap_or(asked_rest));
        }
        // No element is beyond what the writer's own bound leaves room for.
        let room = writer.number("maxItems").is_none_or(|most| most > own.len().max(asked.len()) as f64);
        if room {
            self.at("*", own_rest, asked_rest);
        }
    }
}

/// The schemas of the first elements, and of all others. The drafts before 2020-12 had other words for both.
fn elements(side: &Map<String, Value>, draft: Draft) -> (&[Value], &Value) {
    let or_anything = |keyword: &str| side.get(keyword).unwrap_or(&ANYTHING);
    let (first, rest) = match draft {
        Draft::Of2020 => (side.get("prefixItems"), "items"),
        Draft::Of2019 | Draft::Old => (side.get("items").filter(|items| items.is_array()), "additionalItems"),
    };
    match first {
        Some(Value::Array(first)) => (first, or_anything(rest)),
        _ => (&[], or_anything("items")),
    }
}
