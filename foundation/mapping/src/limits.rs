//! What one document, and one translation, may cost.

use std::time::Duration;

use serde::Deserialize;

/// The deepest nesting that [`Limits::depth`] can be set to: readers and writers recurse, and a stack is finite.
pub const DEPTH_MAX: usize = 256;

/// The bounds of one document and of one translation. Whatever is beyond them is refused with an error that names the
/// bound; nothing is ever cut off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Bytes of a document as it comes, and of text that one translation may make.
    pub size: usize,
    /// How deep values may nest; never more than [`DEPTH_MAX`].
    pub depth: usize,
    /// Values of a document, and of what a translation makes of it: each text, number, list and object counts one.
    pub nodes: usize,
    /// Attributes of one XML element, and namespaces in scope at one.
    pub attributes: usize,
    /// Columns of a row.
    pub columns: usize,
    /// Values that one translation may look at.
    pub steps: u64,
    /// Bytes of text and values together that one `jq` program may go through.
    pub jq_work: u64,
    /// How long one `jq` program may run. It is asked at each step of the program, so one step may run over it.
    #[serde(with = "dozen_core::duration")]
    pub jq_time: Duration,
}

impl Limits {
    pub(crate) fn depth(&self) -> usize {
        self.depth.min(DEPTH_MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 10 * 1024 * 1024,
            depth: 64,
            nodes: 200_000,
            attributes: 256,
            columns: 1024,
            steps: 5_000_000,
            jq_work: 4_000_000,
            jq_time: Duration::from_millis(250),
        }
    }
}
