//! The framing rules of HTTP/1.1, in one place and without I/O.
//!
//! Two programs that disagree about where a request ends can be played against each other: what one takes for a
//! body, the other takes for the next request. So nothing here is forwarded as it came:
//!
//! ```text
//! bytes ──► HeadScan ──► request() / response() ──► Decoder ──► write ──► bytes
//!           finds the    one strict reading,        removes     one canonical
//!           end, or      or a typed Refusal         framing     spelling
//!           refuses
//! ```
//!
//! Promises: a message that two readers could read differently is refused with a [`Refusal`] that names the reason
//! and the status; nothing panics on any input; the result does not depend on how the bytes were split on the wire.

mod chunked;
mod decoder;
mod head;
mod known;
mod path;
mod refusal;
mod scan;
mod stream;
mod trailers;
mod write;

pub use chunked::ChunkedDecoder;
pub use decoder::{Decoder, Piece};
pub use head::{Field, HEADERS_MAX, Length, RequestHead, ResponseHead, Slots, request, response, slots};
pub use path::{Slashes, canonical_path, canonical_query};
pub use refusal::Refusal;
pub use scan::HeadScan;
pub use stream::{Streamed, stream_request};
pub use trailers::{announced, last_chunk_with, may_trail, read_trailers};
pub use write::{
    chunk, copy_fields, decimal, field, is_hop_by_hop, last_chunk, length_field, names_equal, request_line,
    status_line,
};

pub(crate) use write::is_named_by_connection;

#[cfg(test)]
mod tests;
