//! Where the steps of requests go.

use super::super::item::Item;
use super::super::scalar;

/// A collector of traces, and what it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// `host:port`.
    pub to: String,
    /// Whether it is spoken to over TLS.
    pub is_tls: bool,
    /// Of a hundred traces that begin here.
    pub sample_percent: u8,
}

pub(super) fn traces(item: &Item) -> Option<Traces> {
    let to = scalar::base_url(item.text("to")?)?;
    Some(Traces {
        to: to.address,
        is_tls: to.is_tls,
        sample_percent: u8::try_from(item.number("sample-percent")?).ok()?,
    })
}
