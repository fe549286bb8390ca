//! What hostile input must never do: every reader of the product as a plain function of bytes.
//!
//! ```text
//!  corpus/NAME/* ──► Mutator ──► target(&[u8]) ──► panics where a promise is broken
//!  words of NAME ──┘  by seed         ▲
//!                                     └── libFuzzer (fuzz/deep), led by coverage, for as long as one likes
//! ```
//!
//! A target is more than "does not panic": what is written is read as the same again, the canonical form of a canonical
//! form is itself, what comes out is bounded by what goes in, what was split on the wire says the same as the whole.
//!
//! `cargo test -p dozen-fuzz` runs every target on its corpus and on some thousand mutations of it that a seed repeats;
//! `DOZEN_FUZZ=100000` makes it so many. For more, with a nightly compiler and `cargo install cargo-fuzz`:
//!
//! ```text
//! mkdir -p fuzz/deep/corpus/xml
//! DOZEN_FUZZ_TARGET=xml cargo +nightly fuzz run --fuzz-dir fuzz/deep deep fuzz/deep/corpus/xml fuzz/corpus/xml
//! ```
//!
//! What leads it somewhere new it writes into the first folder, what breaks something into `fuzz/deep/artifacts`; git keeps neither.
//!
//! Input that broke something goes into the corpus under a name that says what it was.

#![expect(clippy::unwrap_used, reason = "a target panics where a promise is broken")]

mod documents;
mod expressions;
mod file;
mod framing;
mod messages;
mod mutator;

pub use mutator::Mutator;

/// Something that reads what others wrote.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name; that of its folder in the corpus, too.
    pub name: &'static str,
    /// Panics if a promise does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Pieces of its language, which chance alone would not find.
    pub words: &'static [&'static str],
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "request", run: framing::head, words: framing::REQUEST_WORDS },
    Target { name: "response", run: framing::answer, words: framing::RESPONSE_WORDS },
    Target { name: "chunked", run: framing::chunked, words: framing::CHUNKED_WORDS },
    Target { name: "path", run: framing::path, words: framing::PATH_WORDS },
    Target { name: "cel", run: expressions::cel, words: expressions::CEL_WORDS },
    Target { name: "mapping", run: expressions::mapping, words: expressions::MAPPING_WORDS },
    Target { name: "json", run: documents::json, words: documents::JSON_WORDS },
    Target { name: "xml", run: documents::xml, words: documents::XML_WORDS },
    Target { name: "csv", run: documents::csv, words: documents::CSV_WORDS },
    Target { name: "soap", run: documents::soap, words: documents::SOAP_WORDS },
    Target { name: "fixed", run: documents::fixed, words: documents::FIXED_WORDS },
    Target { name: "form", run: documents::form, words: documents::FORM_WORDS },
    Target { name: "message", run: messages::message, words: messages::MESSAGE_WORDS },
    Target { name: "schema", run: messages::schema, words: messages::SCHEMA_WORDS },
    Target { name: "file", run: file::file, words: file::WORDS },
];
