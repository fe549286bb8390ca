//! JSON, read and written without touching a digit.
//!
//! The reader is strict (RFC 8259) and refuses what receivers disagree about: a name that is there twice, half of a
//! surrogate pair, bytes that are no UTF-8.

mod read;
mod write;

pub use read::read;
pub use write::write;
