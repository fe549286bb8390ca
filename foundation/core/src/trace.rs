//! W3C trace context: the thread that ties a request to everything it caused.

use std::fmt;
use std::str::FromStr;

use crate::Ids;

/// The `traceparent` header of W3C Trace Context level 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Shared by everything that one request caused.
    pub trace_id: u128,
    /// The step that caused this one.
    pub parent_id: u64,
    /// Whether somebody upstream records this trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Starts a new trace.
    pub fn start(ids: &Ids) -> Self {
        let trace_id = (u128::from(ids.random()) << 64 | u128::from(ids.random())).max(1);
        Self { trace_id, parent_id: ids.random().max(1), sampled: true }
    }

    /// The next step of the same trace.
    pub fn child(&self, ids: &Ids) -> Self {
        Self { parent_id: ids.random().max(1), ..*self }
    }

    /// The trace id as 32 hexadecimal digits.
    pub fn trace_id_text(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = ();

    /// Any version but `ff`, as the standard asks; unknown versions are read as version 00.
    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 55 && bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        let hex = |range: std::ops::Range<usize>| {
            bytes.get(range).filter(|part| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        };
        let text_of = |range| hex(range).and_then(|part| std::str::from_utf8(part).ok()).ok_or(());
        let version = text_of(0..2)?;
        if !shaped || version == "ff" || (version == "00" && bytes.len() != 55) {
            return Err(());
        }
        let trace_id = u128::from_str_radix(text_of(3..35)?, 16).map_err(drop)?;
        let parent_id = u64::from_str_radix(text_of(36..52)?, 16).map_err(drop)?;
        let flags = u8::from_str_radix(text_of(53..55)?, 16).map_err(drop)?;
        if trace_id == 0 || parent_id == 0 {
            return Err(());
        }
        Ok(Self { trace_id, parent_id, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<TraceContext>().unwrap().to_string(), text);
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert!(wrong.parse::<TraceContext>().is_err(), "{wrong}");
        }
    }
}
