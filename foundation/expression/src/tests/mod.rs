mod bounds;
mod mistakes;
mod verdicts;

use dozen_core::{Attribute, Message, Timestamp};

use crate::{Expression, Verdict};

/// An order, with everything that a message can have.
fn order() -> Message {
    let data = r#"{
        "total": 150, "rate": 0.5, "big": 18446744073709551615, "name": "Zoë \"Z\"", "note": null, "paid": true,
        "items": [{"sku": "a", "price": 100}, {"sku": "b", "price": 50.5}],
        "tags": ["eu", "gift"], "to": {"city": "Köln"}
    }"#;
    let mut message = Message::new("1", "/shop", "order.placed").with_data(None, data).with_key("customer-7");
    message.subject = Some("orders/1".into());
    message.time = Timestamp::parse("2026-05-01T12:00:00Z");
    message.extensions.insert("tenant".into(), Attribute::Text("acme".into()));
    message.extensions.insert("attempt".into(), Attribute::Integer(3));
    message
}

fn compile(text: &str) -> Expression {
    Expression::for_messages(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

fn verdict(text: &str) -> Verdict {
    compile(text).matches(&order())
}
