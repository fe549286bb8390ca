//! What callers and operators need to know about an error beyond its text.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

/// Who has to act for the error to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request was wrong; the same request will fail again.
    Caller,
    /// Something that this process relies on (a disk, a server, a peer) failed.
    Dependency,
    /// A defect of dozen itself.
    Ourselves,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will fail in the same way.
    Never,
    /// It may succeed; wait with back-off.
    Later,
    /// It may succeed, not before this long.
    After(Duration),
}

/// The decisions that code may take on an error. Nothing may branch on an error's text.
pub trait Diagnose: Error {
    /// Who has to act.
    fn fault(&self) -> Fault;
    /// Whether to try again.
    fn retry(&self) -> Retry;
    /// The page `docs/errors/<page>.md`: what happened, the usual causes, what to do.
    fn page(&self) -> &'static str;
}

/// An error and all its sources on one line, `a: b: c`.
///
/// An error's own text never repeats its source, so this is how to print one in full.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
