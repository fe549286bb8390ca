//! A lease as text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dozen_messaging::{Delivery, Lease, Part};

use crate::Problem;

/// The right to settle one delivery, as a caller holds it: opaque to the caller, and complete, so that any process on the
/// same store can settle it.
///
/// It is no secret and no proof: who may call the API may settle what it finds. The fence makes an old one void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The entry.
    pub position: u64,
    /// Which lease of it.
    pub fence: u64,
    /// How often it had been handed out, this lease included.
    pub attempts: u32,
    /// The stream.
    pub stream: String,
    /// The reader that it was handed to.
    pub reader: String,
}

/// Bytes of a handle's text that are read. Names of streams and readers are shorter.
const TEXT_MAX: usize = 4096;

impl Handle {
    /// The handle of a delivery that one of `parts` handed out.
    pub fn of(delivery: &Delivery, parts: &[Part]) -> Self {
        let part = parts.get(delivery.lease.part as usize);
        let name = |name: &dyn Fn(&Part) -> String| part.map(name).unwrap_or_default();
        Self {
            position: delivery.lease.position,
            fence: delivery.lease.fence,
            attempts: delivery.attempts,
            stream: name(&|part| part.stream.to_string()),
            reader: name(&|part| part.reader.to_string()),
        }
    }

    /// As text that may stand in a URL.
    pub fn text(&self) -> String {
        let plain = serde_json::json!([self.position, self.fence, self.attempts, self.stream, self.reader]);
        URL_SAFE_NO_PAD.encode(plain.to_string())
    }

    /// Reads what [`Handle::text`] wrote. `at` is the part of the request that it came in.
    pub fn parse(text: &str, at: &str) -> Result<Self, Problem> {
        let read = || {
            let plain = URL_SAFE_NO_PAD.decode(text.get(..TEXT_MAX).unwrap_or(text)).ok()?;
            let (position, fence, attempts, stream, reader) = serde_json::from_slice(&plain).ok()?;
            Some(Self { position, fence, attempts, stream, reader })
        };
        read().ok_or_else(|| {
            Problem::invalid(at, "this is no lease: send back what `receive` gave as `lease`, unchanged")
        })
    }

    /// The lease in the words of a subscriber over `parts`. `None` when it is one of something else.
    pub fn lease(&self, parts: &[Part]) -> Option<Lease> {
        let mine = |part: &Part| *part.stream == *self.stream && *part.reader == *self.reader;
        let part = u32::try_from(parts.iter().position(mine)?).ok()?;
        Some(Lease { position: self.position, fence: self.fence, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_survives_its_text_and_fits_only_its_own_reader() {
        let handle = Handle {
            position: 9,
            fence: u64::MAX,
            attempts: 2,
            stream: "topic/größe".into(),
            reader: "mail".into(),
        };
        let text = handle.text();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert_eq!(Handle::parse(&text, "lease").unwrap(), handle);
        let part = |stream: &str, reader: &str| Part { stream: stream.into(), reader: reader.into() };
        let parts = [part("topic/a", "mail"), part("topic/größe", "mail")];
        assert_eq!(handle.lease(&parts), Some(Lease { position: 9, fence: u64::MAX, part: 1 }));
        assert_eq!(handle.lease(&[part("topic/größe", "stock")]), None);
        for wrong in ["", "x", "é", "W10", &text[1..], &"A".repeat(9_000)] {
            assert!(Handle::parse(wrong, "lease").is_err(), "{wrong}");
        }
    }
}
