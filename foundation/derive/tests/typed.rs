//! Derived messages, read and written by `dozen-messaging`.

use std::sync::Arc;

use dozen_core::{Ids, ManualClock, Timestamp};
use dozen_derive::Message;
use dozen_messaging::{DecodeError, Typed, decode, encode};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "stock.reserve")]
struct ReserveV1 {
    order: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "stock.reserve", version = 2, from = ReserveV1, key = order)]
struct ReserveV2 {
    order: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "stock.reserve", version = 3, from = ReserveV2, key = order)]
struct Reserve {
    order: Option<String>,
    urgent: bool,
}

impl From<ReserveV1> for ReserveV2 {
    fn from(old: ReserveV1) -> Self {
        Self { order: old.order.to_string() }
    }
}

impl From<ReserveV2> for Reserve {
    fn from(old: ReserveV2) -> Self {
        Self { order: Some(old.order), urgent: false }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "stock.counted", version = 2)]
enum Counted {
    Shelf(u32),
    Nothing,
}

fn ids() -> Ids {
    Ids::new(Arc::new(ManualClock::new(Timestamp(0))), 1)
}

#[test]
fn a_message_is_read_as_it_was_written() {
    let sent = Reserve { order: Some("7".into()), urgent: true };
    let message = encode(&ids(), "/shop", &sent).unwrap();
    assert_eq!((message.kind.as_str(), message.key()), ("stock.reserve", Some("7")));
    assert_eq!(decode::<Reserve>(&message).unwrap(), sent);
    let counted = encode(&ids(), "/shop", &Counted::Shelf(3)).unwrap();
    assert_eq!(decode::<Counted>(&counted).unwrap(), Counted::Shelf(3));
}

#[test]
fn an_old_version_comes_up_the_whole_chain() {
    let oldest = encode(&ids(), "/shop", &ReserveV1 { order: 7 }).unwrap();
    let expected = Reserve { order: Some("7".into()), urgent: false };
    assert_eq!(decode::<Reserve>(&oldest).unwrap(), expected);
}

#[test]
fn an_option_without_a_value_orders_nothing() {
    let unordered = encode(&ids(), "/shop", &Reserve { order: None, urgent: false }).unwrap();
    assert_eq!(unordered.key(), None);
    assert_eq!(Counted::Nothing.key(), None);
}

#[test]
fn a_version_that_nobody_reads_is_an_error_that_names_both() {
    let newer = encode(&ids(), "/shop", &Reserve { order: None, urgent: true }).unwrap();
    let refused = decode::<ReserveV2>(&newer).unwrap_err();
    assert!(
        matches!(refused, DecodeError::Version { name: "stock.reserve", found: 3, known: 2 }),
        "{refused}"
    );
    let older = Counted::decode_version(1, b"\"Nothing\"").unwrap_err();
    assert!(matches!(older, DecodeError::Version { found: 1, known: 2, .. }), "{older}");
}

#[test]
fn a_payload_that_does_not_fit_says_which_version_it_was_read_as() {
    let refused = Reserve::decode_version(1, br#"{"order": "seven"}"#).unwrap_err();
    assert!(matches!(refused, DecodeError::Payload { version: 1, .. }), "{refused}");
}
